// franz-go through what every client is asked: administration, produce, groups, transactions.
// Arguments: bootstrap user password topic protocol(classic|consumer). Prints one line of JSON.
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

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

const (
	count         = 300
	inTransaction = 20
	wait          = 30 * time.Second
)

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// member reads in a group and knows what it was given.
type member struct {
	client *kgo.Client
	lock   sync.Mutex
	has    map[int32]bool
	ended  chan struct{}
}

var (
	ctx   = context.Background()
	topic string
	base  []kgo.Opt
	seen  sync.Map
)

func client(more ...kgo.Opt) *kgo.Client {
	made, err := kgo.NewClient(append(append([]kgo.Opt{}, base...), more...)...)
	must(err)
	return made
}

func join(group string) *member {
	one := &member{has: map[int32]bool{}, ended: make(chan struct{})}
	change := func(to bool) func(context.Context, *kgo.Client, map[string][]int32) {
		return func(_ context.Context, _ *kgo.Client, what map[string][]int32) {
			one.lock.Lock()
			defer one.lock.Unlock()
			for _, partition := range what[topic] {
				if to {
					one.has[partition] = true
				} else {
					delete(one.has, partition)
				}
			}
		}
	}
	one.client = client(kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit(),
		kgo.OnPartitionsAssigned(change(true)), kgo.OnPartitionsRevoked(change(false)), kgo.OnPartitionsLost(change(false)))
	go func() {
		defer close(one.ended)
		for {
			found := one.client.PollFetches(ctx)
			if found.IsClientClosed() {
				return
			}
			found.EachRecord(func(record *kgo.Record) { seen.Store(string(record.Value), true) })
		}
	}()
	return one
}

func (one *member) partitions() int {
	one.lock.Lock()
	defer one.lock.Unlock()
	return len(one.has)
}

func (one *member) close() {
	one.client.Close()
	<-one.ended
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

func main() {
	topic = os.Args[4]
	base = []kgo.Opt{kgo.SeedBrokers(os.Args[1]), kgo.SASL(scram.Auth{User: os.Args[2], Pass: os.Args[3]}.AsSha256Mechanism())}
	if os.Args[5] == "consumer" {
		// Its switch for groups of KIP-848.
		ctx = context.WithValue(ctx, "opt_in_kafka_next_gen_balancer_beta", true)
		base = append(base, kgo.WithContext(ctx))
	}
	told := map[string]any{}
	plain := client()
	admin := kadm.NewClient(plain)
	_, err := admin.CreateTopic(ctx, 2, 1, nil, topic)
	must(err)
	_, err = admin.CreateTopic(ctx, 2, 1, nil, topic)
	told["twice"] = errors.Is(err, kerr.TopicAlreadyExists)
	grown, err := admin.UpdatePartitions(ctx, 4, topic)
	must(err)
	must(grown.Error())
	listed, err := admin.ListTopics(ctx, topic)
	must(err)
	told["partitions"] = len(listed[topic].Partitions)
	hour := "3600000"
	altered, err := admin.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "retention.ms", Value: &hour}}, topic)
	must(err)
	must(altered[0].Err)
	configs, err := admin.DescribeTopicConfigs(ctx, topic)
	must(err)
	for _, config := range configs[0].Configs {
		if config.Key == "retention.ms" {
			told["retention"] = config.MaybeValue()
		}
	}

	producer := client(kgo.ProducerBatchCompression(kgo.ZstdCompression()), kgo.ProducerLinger(5*time.Millisecond))
	var records []*kgo.Record
	for n := range count {
		records = append(records, &kgo.Record{Topic: topic, Key: fmt.Appendf(nil, "k%d", n), Value: fmt.Appendf(nil, "v%d", n)})
	}
	results := producer.ProduceSync(ctx, records...)
	must(results.FirstErr())
	places := map[string]bool{}
	for _, result := range results {
		places[fmt.Sprint(result.Record.Partition, "-", result.Record.Offset)] = true
	}
	told["produced"] = len(places)
	producer.Close()

	first := join(topic)
	until("the first has all", func() bool { return read() == count && first.partitions() == 4 })
	must(first.client.CommitUncommittedOffsets(ctx))
	second := join(topic)
	until("both have two", func() bool { return first.partitions() == 2 && second.partitions() == 2 })
	told["shared"] = true
	second.close()
	until("the first has all again", func() bool { return first.partitions() == 4 })
	told["taken_over"] = true
	told["read"] = read()
	first.close()
	fetched, err := admin.FetchOffsets(ctx, topic)
	must(err)
	total := int64(0)
	fetched.Each(func(at kadm.OffsetResponse) { total += at.At })
	told["committed_offsets"] = total
	deleted, err := admin.DeleteGroups(ctx, topic)
	must(err)
	must(deleted.Error())

	// Each transaction reads one record in a group and commits its offset with what it writes.
	group := topic + "-txn"
	session, err := kgo.NewGroupTransactSession(append(append([]kgo.Opt{}, base...), kgo.TransactionalID(topic), kgo.ConsumerGroup(group),
		kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.RequireStableFetchOffsets())...)
	must(err)
	for _, what := range []string{"kept", "dropped", "kept"} {
		must(session.Begin())
		if what == "kept" {
			until("a transaction reads", func() bool {
				limited, cancel := context.WithTimeout(ctx, wait)
				defer cancel()
				return session.PollRecords(limited, 7).NumRecords() > 0
			})
		}
		for n := range inTransaction {
			session.Produce(ctx, &kgo.Record{Topic: topic, Key: fmt.Appendf(nil, "t%d", n), Value: []byte(what)}, func(_ *kgo.Record, err error) { must(err) })
		}
		must(session.Client().Flush(ctx))
		kept, err := session.End(ctx, kgo.TransactionEndTry(what == "kept"))
		must(err)
		if kept != (what == "kept") {
			panic("a transaction ended the other way: " + what)
		}
	}
	session.Close()
	ended, err := admin.FetchOffsets(ctx, group)
	must(err)
	total = 0
	ended.Each(func(at kadm.OffsetResponse) { total += at.At })
	told["in_transaction"] = total

	ends, err := admin.ListEndOffsets(ctx, topic)
	must(err)
	reader := client(kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords())
	counts, at := map[string]int{}, map[int32]int64{}
	until("everything is read", func() bool {
		limited, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		reader.PollFetches(limited).EachRecord(func(record *kgo.Record) {
			at[record.Partition] = record.Offset + 1
			if !record.Attrs.IsControl() {
				kind := string(record.Value)
				if strings.HasPrefix(kind, "v") {
					kind = "v"
				}
				counts[kind]++
			}
		})
		done := true
		ends.Each(func(end kadm.ListedOffset) { done = done && at[end.Partition] >= end.Offset })
		return done
	})
	reader.Close()
	told["kept"], told["dropped"], told["before"] = counts["kept"], counts["dropped"], counts["v"]
	gone, err := admin.DeleteTopics(ctx, topic)
	must(err)
	must(gone.Error())
	left, err := admin.ListTopics(ctx)
	must(err)
	told["deleted"] = !left.Has(topic)
	plain.Close()
	line, err := json.Marshal(told)
	must(err)
	fmt.Println(string(line))
}
