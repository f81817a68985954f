// The Java client through what every client is asked: administration, produce, groups, transactions.
// Arguments: bootstrap user password topic protocol(classic|consumer). Prints one line of JSON.

import java.time.Duration;
import java.util.*;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.TopicExistsException;

public class Round {
    static final int COUNT = 300, IN_TRANSACTION = 20;
    static final long WAIT_MS = 30_000;
    static Map<String, Object> base;
    static String protocol;

    static Map<String, Object> with(Object... more) {
        var config = new HashMap<>(base);
        for (int i = 0; i < more.length; i += 2) config.put((String) more[i], more[i + 1]);
        return config;
    }

    static KafkaConsumer<String, String> consumer(String group, String isolation) {
        var text = "org.apache.kafka.common.serialization.StringDeserializer";
        return new KafkaConsumer<>(with("group.id", group, "group.protocol", protocol, "auto.offset.reset", "earliest", "enable.auto.commit", "false",
            "isolation.level", isolation, "key.deserializer", text, "value.deserializer", text));
    }

    static KafkaProducer<String, String> producer(Object... more) {
        var text = "org.apache.kafka.common.serialization.StringSerializer";
        var config = with("key.serializer", text, "value.serializer", text, "linger.ms", 5);
        for (int i = 0; i < more.length; i += 2) config.put((String) more[i], more[i + 1]);
        return new KafkaProducer<>(config);
    }

    static void poll(List<KafkaConsumer<String, String>> members, Set<String> seen, java.util.function.BooleanSupplier done) {
        long until = System.currentTimeMillis() + WAIT_MS;
        while (!done.getAsBoolean()) {
            if (System.currentTimeMillis() > until) throw new IllegalStateException("it did not come to pass: " + seen.size() + " seen");
            for (var member : members) for (var found : member.poll(Duration.ofMillis(50))) seen.add(found.value());
        }
    }

    public static void main(String[] arguments) throws Exception {
        String topic = arguments[3];
        protocol = arguments[4];
        base = Map.of("bootstrap.servers", arguments[0], "security.protocol", "SASL_PLAINTEXT", "sasl.mechanism", "SCRAM-SHA-256", "sasl.jaas.config",
            "org.apache.kafka.common.security.scram.ScramLoginModule required username=\"" + arguments[1] + "\" password=\"" + arguments[2] + "\";");
        var told = new LinkedHashMap<String, Object>();
        try (var admin = Admin.create(base)) {
            admin.createTopics(List.of(new NewTopic(topic, 2, (short) 1))).all().get(30, TimeUnit.SECONDS);
            try {
                admin.createTopics(List.of(new NewTopic(topic, 2, (short) 1))).all().get(30, TimeUnit.SECONDS);
            } catch (java.util.concurrent.ExecutionException error) {
                told.put("twice", error.getCause() instanceof TopicExistsException);
            }
            admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(4))).all().get(30, TimeUnit.SECONDS);
            told.put("partitions", admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic).partitions().size());
            var resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
            admin.incrementalAlterConfigs(Map.of(resource, List.of(new AlterConfigOp(new ConfigEntry("retention.ms", "3600000"), AlterConfigOp.OpType.SET)))).all().get();
            told.put("retention", admin.describeConfigs(List.of(resource)).all().get().get(resource).get("retention.ms").value());

            var offsets = new HashSet<String>();
            try (var producer = producer("compression.type", "lz4")) {
                var sent = new ArrayList<java.util.concurrent.Future<RecordMetadata>>();
                for (int n = 0; n < COUNT; n++) sent.add(producer.send(new ProducerRecord<>(topic, "k" + n, "v" + n)));
                for (var one : sent) offsets.add(one.get().partition() + "-" + one.get().offset());
            }
            told.put("produced", offsets.size());

            var seen = new HashSet<String>();
            var first = consumer(topic, "read_uncommitted");
            var second = consumer(topic, "read_uncommitted");
            first.subscribe(List.of(topic));
            poll(List.of(first), seen, () -> seen.size() == COUNT && first.assignment().size() == 4);
            first.commitSync();
            second.subscribe(List.of(topic));
            poll(List.of(first, second), seen, () -> first.assignment().size() == 2 && second.assignment().size() == 2);
            told.put("shared", true);
            second.close();
            poll(List.of(first), seen, () -> first.assignment().size() == 4);
            told.put("taken_over", true);
            told.put("read", seen.size());
            first.close();
            long committed = 0;
            for (var at : admin.listConsumerGroupOffsets(topic).partitionsToOffsetAndMetadata().get().values()) committed += at.offset();
            told.put("committed_offsets", committed);
            admin.deleteConsumerGroups(List.of(topic)).all().get();

            var group = topic + "-txn";
            try (var producer = producer("transactional.id", topic)) {
                producer.initTransactions();
                for (String what : List.of("kept", "dropped", "kept")) {
                    producer.beginTransaction();
                    for (int n = 0; n < IN_TRANSACTION; n++) producer.send(new ProducerRecord<>(topic, "t" + n, what));
                    try (var reader = consumer(group, "read_committed")) {
                        var at = Map.of(new TopicPartition(topic, 0), new OffsetAndMetadata(what.equals("kept") ? 7 : 9));
                        producer.sendOffsetsToTransaction(at, reader.groupMetadata());
                    }
                    if (what.equals("kept")) producer.commitTransaction(); else { producer.flush(); producer.abortTransaction(); }
                }
            }
            told.put("in_transaction", admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get().get(new TopicPartition(topic, 0)).offset());
            var counts = new TreeMap<String, Integer>();
            try (var reader = consumer(topic + "-reader", "read_committed")) {
                var all = new ArrayList<TopicPartition>();
                for (int n = 0; n < 4; n++) all.add(new TopicPartition(topic, n));
                reader.assign(all);
                reader.seekToBeginning(all);
                var ends = reader.endOffsets(all);
                long until = System.currentTimeMillis() + WAIT_MS;
                while (all.stream().anyMatch(of -> reader.position(of) < ends.get(of)) && System.currentTimeMillis() < until)
                    for (var found : reader.poll(Duration.ofMillis(100))) counts.merge(found.value().replaceAll("^v.*", "v"), 1, Integer::sum);
            }
            told.put("kept", counts.getOrDefault("kept", 0));
            told.put("dropped", counts.getOrDefault("dropped", 0));
            told.put("before", counts.getOrDefault("v", 0));
            admin.deleteTopics(List.of(topic)).all().get();
            told.put("deleted", !admin.listTopics().names().get().contains(topic));
        }
        var json = new StringJoiner(", ", "{", "}");
        told.forEach((name, value) -> json.add("\"" + name + "\": " + (value instanceof String ? "\"" + value + "\"" : value)));
        System.out.println(json);
    }
}
