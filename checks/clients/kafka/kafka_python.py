"""kafka-python through what every client is asked: administration, produce, groups, transactions.

Arguments: bootstrap user password topic. Prints one line of JSON.
"""

import json
import sys
import threading
import time

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, OffsetAndMetadata, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import TopicAlreadyExistsError

COUNT, IN_TRANSACTION, WAIT_S = 300, 20, 30
bootstrap, user, password, topic = sys.argv[1:5]
base = dict(bootstrap_servers=bootstrap, security_protocol="SASL_PLAINTEXT", sasl_mechanism="SCRAM-SHA-256", sasl_plain_username=user, sasl_plain_password=password)
told, seen = {}, set()


def consumer(group, **more):
    return KafkaConsumer(**base, group_id=group, auto_offset_reset="earliest", enable_auto_commit=False, heartbeat_interval_ms=300, **more)


class Member:
    """Reads in a group, in a thread of its own, which its rebalances need."""

    def __init__(self, group):
        self.consumer, self.stop, self.commit, self.has = consumer(group), threading.Event(), threading.Event(), 0
        self.consumer.subscribe([topic])
        self.thread = threading.Thread(target=self.read)
        self.thread.start()

    def read(self):
        while not self.stop.is_set():
            for messages in self.consumer.poll(timeout_ms=100).values():
                seen.update(message.value for message in messages)
            self.has = len(self.consumer.assignment())
            if self.commit.is_set():
                self.consumer.commit()
                self.commit.clear()
        self.consumer.close()

    def leave(self):
        self.stop.set()
        self.thread.join()


def until(what, done):
    end = time.monotonic() + WAIT_S
    while not done():
        assert time.monotonic() < end, f"it did not come to pass: {what}"
        time.sleep(0.02)


admin = KafkaAdminClient(**base)
admin.create_topics({topic: {"num_partitions": 2, "replication_factor": 1}})
try:
    admin.create_topics({topic: {"num_partitions": 2, "replication_factor": 1}})
except TopicAlreadyExistsError:
    told["twice"] = True
admin.create_partitions({topic: 4})
told["partitions"] = len(admin.describe_topics([topic])[0]["partitions"])
admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, {"retention.ms": "3600000"})])
told["retention"] = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])["topic"][topic]["retention.ms"]["value"]

producer = KafkaProducer(**base, acks="all", compression_type="gzip", enable_idempotence=True)
sent = [producer.send(topic, f"v{n}".encode(), key=f"k{n}".encode()) for n in range(COUNT)]
told["produced"] = len({(at.partition, at.offset) for at in (one.get(WAIT_S) for one in sent)})
producer.close()


def committed(group):
    return sum(max(0, at.offset) for at in admin.list_group_offsets(group)[group].values())


first = Member(topic)
until("the first has all", lambda: len(seen) == COUNT and first.has == 4)
first.commit.set()
until("the first has committed", lambda: not first.commit.is_set())
second = Member(topic)
until("both have two", lambda: first.has == second.has == 2)
told["shared"] = True
second.leave()
until("the first has all again", lambda: first.has == 4)
told["taken_over"], told["read"] = True, len(seen)
first.leave()
told["committed_offsets"] = committed(topic)
admin.delete_groups([topic])

group = f"{topic}-txn"
writer = KafkaProducer(**base, transactional_id=topic)
writer.init_transactions()
for what in ("kept", "dropped", "kept"):
    writer.begin_transaction()
    for n in range(IN_TRANSACTION):
        writer.send(topic, what.encode(), key=f"t{n}".encode())
    writer.send_offsets_to_transaction({TopicPartition(topic, 0): OffsetAndMetadata(7 if what == "kept" else 9, "", -1)}, group)
    if what == "kept":
        writer.commit_transaction()
    else:
        writer.flush()
        writer.abort_transaction()
writer.close()
told["in_transaction"] = committed(group)

counts = {"kept": 0, "dropped": 0, "v": 0}
reader = consumer(f"{topic}-reader", isolation_level="read_committed")
reader.assign([TopicPartition(topic, partition) for partition in range(4)])


def everything():
    for messages in reader.poll(timeout_ms=200).values():
        for message in messages:
            kind = message.value.decode()
            counts["v" if kind.startswith("v") else kind] += 1
    return counts["v"] == COUNT and counts["kept"] >= 2 * IN_TRANSACTION


until("everything is read", everything)
reader.close()
told.update(kept=counts["kept"], dropped=counts["dropped"], before=counts["v"])
admin.delete_topics([topic])
told["deleted"] = topic not in admin.list_topics()
admin.close()
print(json.dumps(told))
