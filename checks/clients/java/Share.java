import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
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
 * The share consumer of the Java client, for the checks. Arguments: a file of client properties, a command, the group,
 * and what the command takes. Prints one line a record or answer.
 *
 * <ul>
 *   <li>configure GROUP NAME=VALUE…
 *   <li>read GROUP TOPIC COUNT SECONDS VERDICTS: reads until so many records were accepted, or for so long; what is said
 *       of a record goes by the verdicts in turn (accept, release, reject, renew, leave). Prints "got VALUE DELIVERIES VERDICT",
 *       "committed OFFSETS" or "failed WHY", and at last "lock MILLISECONDS".
 *   <li>offsets GROUP: prints "offset TOPIC PARTITION START"
 *   <li>move GROUP TOPIC PARTITION START, drop GROUP TOPIC, delete GROUP, describe GROUP, groups
 * </ul>
 */
public class Share {
    public static void main(String[] given) throws Exception {
        Properties settings = new Properties();
        try (var file = new java.io.FileReader(given[0])) {
            settings.load(file);
        }
        List<String> left = List.of(given).subList(3, given.length);
        String command = given[1];
        String group = given[2];
        if (command.equals("read")) {
            read(settings, group, left);
        } else {
            try (Admin admin = Admin.create(settings)) {
                administer(admin, command, group, left);
            }
        }
    }

    private static void administer(Admin admin, String command, String group, List<String> left) throws Exception {
        switch (command) {
            case "configure" -> {
                ConfigResource resource = new ConfigResource(ConfigResource.Type.GROUP, group);
                List<AlterConfigOp> changes = left.stream()
                    .map(text -> text.split("=", 2))
                    .map(pair -> new AlterConfigOp(new ConfigEntry(pair[0], pair[1]), AlterConfigOp.OpType.SET))
                    .toList();
                admin.incrementalAlterConfigs(Map.of(resource, changes)).all().get();
            }
            case "offsets" -> {
                var offsets = admin.listShareGroupOffsets(Map.of(group, new ListShareGroupOffsetsSpec()))
                    .partitionsToOffsetInfo(group).get();
                new TreeMap<>(byName(offsets)).forEach((place, info) -> say("offset " + place + " " + info));
            }
            case "move" -> admin.alterShareGroupOffsets(group, Map.of(
                new TopicPartition(left.get(0), Integer.parseInt(left.get(1))), Long.parseLong(left.get(2)))).all().get();
            case "drop" -> admin.deleteShareGroupOffsets(group, java.util.Set.of(left.get(0))).all().get();
            case "delete" -> admin.deleteShareGroups(List.of(group)).all().get();
            case "describe" -> {
                var described = admin.describeShareGroups(List.of(group)).all().get().get(group);
                say("state " + described.groupState() + " members " + described.members().size());
            }
            case "groups" -> admin.listGroups().all().get().forEach(listed ->
                say("group " + listed.groupId() + " " + listed.type().map(Object::toString).orElse("?")));
            default -> throw new IllegalArgumentException(command);
        }
        say("done");
    }

    private static Map<String, Object> byName(Map<TopicPartition, ? extends Object> offsets) {
        Map<String, Object> named = new HashMap<>();
        offsets.forEach((place, info) -> named.put(place.topic() + " " + place.partition(), shown(info)));
        return named;
    }

    /** The offset of an answer's entry, whichever class this version of the client has for it. */
    private static Object shown(Object info) {
        if (info == null) {
            return "none";
        }
        try {
            return info.getClass().getMethod("startOffset").invoke(info);
        } catch (ReflectiveOperationException otherwise) {
            return info;
        }
    }

    private static void read(Properties settings, String group, List<String> left) {
        String topic = left.get(0);
        int count = Integer.parseInt(left.get(1));
        long until = System.nanoTime() + Duration.ofSeconds(Long.parseLong(left.get(2))).toNanos();
        String[] verdicts = left.get(3).split(",");
        settings.put("group.id", group);
        settings.put("key.deserializer", StringDeserializer.class.getName());
        settings.put("value.deserializer", StringDeserializer.class.getName());
        settings.put("share.acknowledgement.mode", "explicit");
        int accepted = 0;
        int turn = 0;
        try (KafkaShareConsumer<String, String> consumer = new KafkaShareConsumer<>(settings)) {
            consumer.setAcknowledgementCommitCallback((offsets, error) ->
                say(error == null ? "committed " + offsets.values() : "failed " + error));
            consumer.subscribe(List.of(topic));
            while (accepted < count && System.nanoTime() < until) {
                ConsumerRecords<String, String> records = consumer.poll(Duration.ofMillis(500));
                for (ConsumerRecord<String, String> record : records) {
                    String verdict = verdicts[turn++ % verdicts.length];
                    say("got " + record.value() + " " + record.deliveryCount().orElse((short) 0) + " " + verdict);
                    if (verdict.equals("leave")) {
                        say("held");
                        sleep();
                    }
                    if (verdict.equals("renew")) {
                        consumer.acknowledge(record, AcknowledgeType.RENEW);
                        consumer.commitSync();
                        verdict = "accept";
                    }
                    consumer.acknowledge(record, AcknowledgeType.valueOf(verdict.toUpperCase()));
                    accepted += verdict.equals("accept") ? 1 : 0;
                }
                Map<TopicIdPartition, Optional<KafkaException>> outcome = consumer.commitSync();
                outcome.forEach((place, error) -> error.ifPresent(why -> say("failed " + why)));
                if (!records.isEmpty()) {
                    say("synced " + records.count());
                }
            }
            say("lock " + consumer.acquisitionLockTimeoutMs().orElse(-1));
        }
        say("done");
    }

    /** Until it is killed. */
    private static void sleep() {
        try {
            Thread.sleep(600_000);
        } catch (InterruptedException ended) {
            Thread.currentThread().interrupt();
        }
    }

    private static void say(String line) {
        System.out.println(line);
        System.out.flush();
    }
}
