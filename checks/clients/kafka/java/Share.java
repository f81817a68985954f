import java.io.BufferedReader;
import java.io.FileReader;
import java.io.InputStreamReader;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.Set;
import java.util.TreeMap;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.ListShareGroupOffsetsSpec;
import org.apache.kafka.clients.consumer.AcknowledgeType;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaShareConsumer;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicIdPartition;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.serialization.StringDeserializer;

/**
 * The share consumer of the Java client, for the checks. Its argument is a file of client properties; each line of
 * standard input is a command, each answer some lines that end with "done" or "error WHY".
 *
 * <ul>
 *   <li>configure GROUP NAME=VALUE…
 *   <li>read GROUP TOPIC COUNT SECONDS VERDICTS: reads until so many records came to an end, or for so long; what is said
 *       of a record goes by the verdicts in turn (accept, release, reject, renew, leave). Prints "got VALUE DELIVERIES
 *       VERDICT" for each, and at last "lock MILLISECONDS". A record that is left stays locked: the consumer is not closed.
 *   <li>offsets GROUP: prints "offset TOPIC PARTITION START" for each partition
 *   <li>move GROUP TOPIC PARTITION START, drop GROUP TOPIC, delete GROUP, describe GROUP, groups
 * </ul>
 */
public class Share {
    private static final List<KafkaShareConsumer<String, String>> LEFT_OPEN = new ArrayList<>();

    public static void main(String[] given) throws Exception {
        Properties settings = new Properties();
        try (FileReader file = new FileReader(given[0])) {
            settings.load(file);
        }
        BufferedReader commands = new BufferedReader(new InputStreamReader(System.in));
        try (Admin admin = Admin.create(settings)) {
            for (String line = commands.readLine(); line != null; line = commands.readLine()) {
                List<String> words = List.of(line.split(" "));
                try {
                    if (words.get(0).equals("read")) {
                        read(settings, words);
                    } else {
                        administer(admin, words);
                    }
                    say("done");
                } catch (Exception failed) {
                    say("error " + failed);
                }
            }
        }
        System.exit(0);
    }

    private static void administer(Admin admin, List<String> words) throws Exception {
        String group = words.size() > 1 ? words.get(1) : "";
        switch (words.get(0)) {
            case "configure" -> {
                ConfigResource resource = new ConfigResource(ConfigResource.Type.GROUP, group);
                List<AlterConfigOp> changes = words.subList(2, words.size()).stream()
                    .map(text -> text.split("=", 2))
                    .map(pair -> new AlterConfigOp(new ConfigEntry(pair[0], pair[1]), AlterConfigOp.OpType.SET))
                    .toList();
                admin.incrementalAlterConfigs(Map.of(resource, changes)).all().get();
            }
            case "offsets" -> {
                var offsets = admin.listShareGroupOffsets(Map.of(group, new ListShareGroupOffsetsSpec()))
                    .partitionsToOffsetInfo(group).get();
                var sorted = new TreeMap<String, String>();
                offsets.forEach((place, info) -> sorted.put(place.topic() + " " + place.partition(),
                    info.startOffset() + " " + info.lag().map(Object::toString).orElse("?")));
                sorted.forEach((place, stands) -> say("offset " + place + " " + stands));
            }
            case "move" -> admin.alterShareGroupOffsets(group, Map.of(
                new TopicPartition(words.get(2), Integer.parseInt(words.get(3))), Long.parseLong(words.get(4)))).all().get();
            case "drop" -> admin.deleteShareGroupOffsets(group, Set.of(words.get(2))).all().get();
            case "delete" -> admin.deleteShareGroups(List.of(group)).all().get();
            case "describe" -> {
                var described = admin.describeShareGroups(List.of(group)).all().get().get(group);
                say("state " + described.groupState() + " " + described.members().size());
            }
            case "groups" -> admin.listGroups().all().get().forEach(listed ->
                say("group " + listed.groupId() + " " + listed.type().map(Object::toString).orElse("?")));
            default -> throw new IllegalArgumentException(words.get(0));
        }
    }

    private static void read(Properties given, List<String> words) {
        int count = Integer.parseInt(words.get(3));
        long until = System.nanoTime() + Duration.ofSeconds(Long.parseLong(words.get(4))).toNanos();
        String[] verdicts = words.get(5).split(",");
        Properties settings = new Properties();
        settings.putAll(given);
        settings.put("group.id", words.get(1));
        settings.put("key.deserializer", StringDeserializer.class.getName());
        settings.put("value.deserializer", StringDeserializer.class.getName());
        settings.put("share.acknowledgement.mode", "explicit");
        Set<String> renewed = new HashSet<>();
        int ended = 0;
        int turn = 0;
        boolean leaves = false;
        KafkaShareConsumer<String, String> consumer = new KafkaShareConsumer<>(settings);
        consumer.subscribe(List.of(words.get(2)));
        while (ended < count && !leaves && System.nanoTime() < until) {
            ConsumerRecords<String, String> records = consumer.poll(Duration.ofMillis(500));
            for (ConsumerRecord<String, String> record : records) {
                // What was renewed comes again with the next poll.
                boolean again = renewed.remove(record.topic() + record.partition() + ":" + record.offset());
                String verdict = again ? "accept" : verdicts[turn++ % verdicts.length];
                say("got " + record.value() + " " + record.deliveryCount().orElse((short) 0) + " " + verdict);
                if (verdict.equals("leave")) {
                    leaves = true;
                    continue;
                }
                if (verdict.equals("renew")) {
                    renewed.add(record.topic() + record.partition() + ":" + record.offset());
                }
                consumer.acknowledge(record, AcknowledgeType.valueOf(verdict.toUpperCase()));
                ended += verdict.equals("accept") || verdict.equals("reject") ? 1 : 0;
            }
            Map<TopicIdPartition, Optional<KafkaException>> outcome = consumer.commitSync();
            outcome.forEach((place, error) -> error.ifPresent(why -> say("failed " + why)));
        }
        say("lock " + consumer.acquisitionLockTimeoutMs().orElse(-1));
        if (leaves) {
            LEFT_OPEN.add(consumer);
        } else {
            consumer.close();
        }
    }

    private static void say(String line) {
        System.out.println(line);
        System.out.flush();
    }
}
