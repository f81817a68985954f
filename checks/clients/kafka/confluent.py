"""confluent-kafka (librdkafka) through what every client is asked: administration, produce, groups, transactions.

Arguments: bootstrap user password topic protocol(classic|consumer). Prints one line of JSON.
"""

import json
import sys
import time

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions, NewTopic

COUNT, IN_TRANSACTION, WAIT_S = 300, 20, 30
bootstrap, user, password, topic, protocol = sys.argv[1:6]
base = {"bootstrap.servers": bootstrap, "security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "SCRAM-SHA-256", "sasl.username": user, "sasl.password": password}
told, seen = {}, set()


def consumer(group, **more):
    return Consumer({**base, "group.id": group, "group.protocol": protocol, "auto.offset.reset": "earliest", "enable.auto.commit": False, **more})


def poll(members, what, done):
    until = time.monotonic() + WAIT_S
    while not done():
        assert time.monotonic() < until, f"it did not come to pass: {what}"
        for member in members:
            seen.update(message.value() for message in member.consume(100, timeout=0.05) if not message.error())


admin = AdminClient(base)
admin.create_topics([NewTopic(topic, 2)])[topic].result(WAIT_S)
try:
    admin.create_topics([NewTopic(topic, 2)])[topic].result(WAIT_S)
except KafkaException as error:
    told["twice"] = error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS
admin.create_partitions([NewPartitions(topic, 4)])[topic].result(WAIT_S)
told["partitions"] = len(admin.list_topics(topic, timeout=WAIT_S).topics[topic].partitions)
hour = ConfigEntry("retention.ms", "3600000", incremental_operation=AlterConfigOpType.SET)
for done in admin.incremental_alter_configs([ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=[hour])]).values():
    done.result(WAIT_S)
for found in admin.describe_configs([ConfigResource(ConfigResource.Type.TOPIC, topic)]).values():
    told["retention"] = found.result(WAIT_S)["retention.ms"].value

producer, places = Producer({**base, "compression.type": "zstd", "enable.idempotence": True}), set()
for n in range(COUNT):
    producer.produce(topic, f"v{n}", f"k{n}", on_delivery=lambda error, message: places.add((message.partition(), message.offset())))
assert producer.flush(WAIT_S) == 0
told["produced"] = len(places)


def committed(group):
    found = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])[group].result(WAIT_S)
    return sum(max(0, at.offset) for at in found.topic_partitions)


first, second = consumer(topic), consumer(topic)
first.subscribe([topic])
poll([first], "the first has all", lambda: len(seen) == COUNT and len(first.assignment()) == 4)
first.commit(asynchronous=False)
second.subscribe([topic])
poll([first, second], "both have two", lambda: len(first.assignment()) == len(second.assignment()) == 2)
told["shared"] = True
second.close()
poll([first], "the first has all again", lambda: len(first.assignment()) == 4)
told["taken_over"], told["read"] = True, len(seen)
first.close()
told["committed_offsets"] = committed(topic)
admin.delete_consumer_groups([topic])[topic].result(WAIT_S)

group = f"{topic}-txn"
writer, member = Producer({**base, "transactional.id": topic}), consumer(group)
writer.init_transactions(WAIT_S)
for what in ("kept", "dropped", "kept"):
    writer.begin_transaction()
    for n in range(IN_TRANSACTION):
        writer.produce(topic, what, f"t{n}")
    writer.send_offsets_to_transaction([TopicPartition(topic, 0, 7 if what == "kept" else 9)], member.consumer_group_metadata(), WAIT_S)
    if what == "kept":
        writer.commit_transaction(WAIT_S)
    else:
        writer.flush(WAIT_S)
        writer.abort_transaction(WAIT_S)
member.close()
told["in_transaction"] = committed(group)

counts = {"kept": 0, "dropped": 0, "v": 0}
reader, ended = consumer(f"{topic}-reader", **{"isolation.level": "read_committed", "enable.partition.eof": True}), set()
reader.assign([TopicPartition(topic, partition, 0) for partition in range(4)])
while len(ended) < 4:
    for message in reader.consume(500, timeout=0.5):
        if message.error():
            ended.add(message.partition())
        else:
            kind = message.value().decode()
            counts["v" if kind.startswith("v") else kind] += 1
reader.close()
told.update(kept=counts["kept"], dropped=counts["dropped"], before=counts["v"])
admin.delete_topics([topic])[topic].result(WAIT_S)
told["deleted"] = topic not in admin.list_topics(timeout=WAIT_S).topics
print(json.dumps(told))
