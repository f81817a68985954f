// sarama through what every client is asked: administration, produce, groups, transactions.
// Arguments: bootstrap user password topic. Prints one line of JSON.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/IBM/sarama"
)

const (
	count         = 300
	inTransaction = 20
	wait          = 30 * time.Second
)

var (
	addresses []string
	topic     string
	seen      sync.Map
)

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func until(what string, done func() bool) {
	for end := time.Now().Add(wait); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			panic("it did not come to pass: " + what)
		}
	}
}

func read() (n int) {
	seen.Range(func(any, any) bool { n++; return true })
	return n
}

func config() *sarama.Config {
	made := sarama.NewConfig()
	// sarama chooses versions by this, not by what the broker says.
	made.Version = sarama.V4_0_0_0
	made.Net.SASL.Enable = true
	made.Net.SASL.User, made.Net.SASL.Password = os.Args[2], os.Args[3]
	made.Producer.Return.Successes = true
	made.Producer.RequiredAcks = sarama.WaitForAll
	made.Producer.Idempotent = true
	made.Net.MaxOpenRequests = 1
	made.Consumer.Offsets.Initial = sarama.OffsetOldest
	made.Consumer.Offsets.AutoCommit.Interval = 100 * time.Millisecond
	made.Consumer.Group.Rebalance.Timeout = 10 * time.Second
	made.Consumer.Group.Heartbeat.Interval = 300 * time.Millisecond
	return made
}

// member reads in a group and knows what it was given.
type member struct {
	group sarama.ConsumerGroup
	lock  sync.Mutex
	has   int
	ended chan struct{}
}

func (one *member) Setup(session sarama.ConsumerGroupSession) error {
	one.lock.Lock()
	defer one.lock.Unlock()
	one.has = len(session.Claims()[topic])
	return nil
}

func (one *member) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (one *member) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for message := range claim.Messages() {
		seen.Store(string(message.Value), true)
		session.MarkMessage(message, "")
	}
	return nil
}

func (one *member) partitions() int {
	one.lock.Lock()
	defer one.lock.Unlock()
	return one.has
}

func join(name string) *member {
	group, err := sarama.NewConsumerGroup(addresses, name, config())
	must(err)
	one := &member{group: group, ended: make(chan struct{})}
	go func() {
		defer close(one.ended)
		for {
			if errors.Is(group.Consume(context.Background(), []string{topic}, one), sarama.ErrClosedConsumerGroup) {
				return
			}
		}
	}()
	return one
}

func (one *member) close() {
	must(one.group.Close())
	<-one.ended
}

func committed(admin sarama.ClusterAdmin, group string) (total int64) {
	found, err := admin.ListConsumerGroupOffsets(group, nil)
	must(err)
	for _, block := range found.Blocks[topic] {
		total += max(0, block.Offset)
	}
	return total
}

func main() {
	addresses, topic = []string{os.Args[1]}, os.Args[4]
	told := map[string]any{}
	admin, err := sarama.NewClusterAdmin(addresses, config())
	must(err)
	detail := &sarama.TopicDetail{NumPartitions: 2, ReplicationFactor: 1}
	must(admin.CreateTopic(topic, detail, false))
	told["twice"] = errors.Is(admin.CreateTopic(topic, detail, false), sarama.ErrTopicAlreadyExists)
	must(admin.CreatePartitions(topic, 4, nil, false))
	described, err := admin.DescribeTopics([]string{topic})
	must(err)
	told["partitions"] = len(described[0].Partitions)
	hour := "3600000"
	must(admin.IncrementalAlterConfig(sarama.TopicResource, topic, map[string]sarama.IncrementalAlterConfigsEntry{
		"retention.ms": {Operation: sarama.IncrementalAlterConfigsOperationSet, Value: &hour}}, false))
	configs, err := admin.DescribeConfig(sarama.ConfigResource{Type: sarama.TopicResource, Name: topic, ConfigNames: []string{"retention.ms"}})
	must(err)
	told["retention"] = configs[0].Value

	squeezed := config()
	squeezed.Producer.Compression = sarama.CompressionSnappy
	producer, err := sarama.NewSyncProducer(addresses, squeezed)
	must(err)
	var messages []*sarama.ProducerMessage
	for n := range count {
		messages = append(messages, &sarama.ProducerMessage{Topic: topic, Key: sarama.StringEncoder(fmt.Sprint("k", n)), Value: sarama.StringEncoder(fmt.Sprint("v", n))})
	}
	must(producer.SendMessages(messages))
	places := map[string]bool{}
	for _, message := range messages {
		places[fmt.Sprint(message.Partition, "-", message.Offset)] = true
	}
	told["produced"] = len(places)
	must(producer.Close())

	first := join(topic)
	until("the first has all", func() bool { return read() == count && first.partitions() == 4 })
	until("the first has committed", func() bool { return committed(admin, topic) == count })
	second := join(topic)
	until("both have two", func() bool { return first.partitions() == 2 && second.partitions() == 2 })
	told["shared"] = true
	second.close()
	until("the first has all again", func() bool { return first.partitions() == 4 })
	told["taken_over"] = true
	told["read"] = read()
	first.close()
	told["committed_offsets"] = committed(admin, topic)
	must(admin.DeleteConsumerGroup(topic))

	transactional := config()
	transactional.Producer.Transaction.ID = topic
	writer, err := sarama.NewSyncProducer(addresses, transactional)
	must(err)
	group := topic + "-txn"
	for _, what := range []string{"kept", "dropped", "kept"} {
		must(writer.BeginTxn())
		for n := range inTransaction {
			_, _, err := writer.SendMessage(&sarama.ProducerMessage{Topic: topic, Key: sarama.StringEncoder(fmt.Sprint("t", n)), Value: sarama.StringEncoder(what)})
			must(err)
		}
		at := int64(9)
		if what == "kept" {
			at = 7
		}
		must(writer.AddOffsetsToTxn(map[string][]*sarama.PartitionOffsetMetadata{topic: {{Partition: 0, Offset: at}}}, group))
		if what == "kept" {
			must(writer.CommitTxn())
		} else {
			must(writer.AbortTxn())
		}
	}
	must(writer.Close())
	told["in_transaction"] = committed(admin, group)

	careful := config()
	careful.Consumer.IsolationLevel = sarama.ReadCommitted
	reader, err := sarama.NewConsumer(addresses, careful)
	must(err)
	counts, lock := map[string]int{}, sync.Mutex{}
	for partition := range int32(4) {
		from, err := reader.ConsumePartition(topic, partition, sarama.OffsetOldest)
		must(err)
		go func() {
			for message := range from.Messages() {
				kind := string(message.Value)
				if strings.HasPrefix(kind, "v") {
					kind = "v"
				}
				lock.Lock()
				counts[kind]++
				lock.Unlock()
			}
		}()
	}
	until("everything is read", func() bool {
		lock.Lock()
		defer lock.Unlock()
		return counts["v"] == count && counts["kept"] >= 2*inTransaction
	})
	lock.Lock()
	told["kept"], told["dropped"], told["before"] = counts["kept"], counts["dropped"], counts["v"]
	lock.Unlock()
	must(admin.DeleteTopic(topic))
	left, err := admin.ListTopics()
	must(err)
	_, there := left[topic]
	told["deleted"] = !there
	line, err := json.Marshal(told)
	must(err)
	fmt.Println(string(line))
}
