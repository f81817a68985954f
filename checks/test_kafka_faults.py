"""What goes wrong on Kafka's wire: half of a request refused, a full disk, readers of what is gone, transactions whose
client went, retries over a crash. On a data dir and on PostgreSQL and S3."""

import os
import subprocess
import time
import uuid

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from kafka.protocol import admin, consumer, metadata, producer

import kafka_wire
from cluster import free_port
from kafka_wire import WAIT_S, Connection, errors
from server import CLUSTERED

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

# Kafka's error codes.
FINE, OUT_OF_RANGE, CORRUPT, UNKNOWN_TOPIC, OUT_OF_ORDER, OLD_EPOCH, STORAGE, UNKNOWN_ID = 0, 1, 2, 3, 45, 47, 56, 100
COMMITTED_ONLY = 1
NO_ID = uuid.UUID(int=0)


class Client:
    """A client of a server of its own, that may be restarted under it."""

    def __init__(self, own_server, **how):
        self.server = own_server("--kafka-listen", f"127.0.0.1:{free_port()}", "--kafka-anonymous", "faults", **how)
        self.server.project("faults")
        self.connect()

    def connect(self):
        self.connection = Connection(self.server.ready["kafka"])
        return self

    def topic(self, partitions=1, name=None) -> str:
        name = name or f"t-{uuid.uuid4().hex[:8]}"
        made = self.connection.ask(admin.CreateTopicsRequest, 5, timeout_ms=5000, validate_only=False, topics=[
            {"name": name, "num_partitions": partitions, "replication_factor": 1, "assignments": [], "configs": []}])
        assert errors(made) == {FINE}
        return name

    def topic_id(self, name: str) -> uuid.UUID:
        found = self.connection.ask(metadata.MetadataRequest, 12, topics=[{"topic_id": NO_ID, "name": name}], allow_auto_topic_creation=False)
        return found.topics[0].topic_id

    def produce(self, parts: dict, transactional_id=None) -> dict:
        """Batches by topic and partition; gives (error, offset) of each."""
        topics = [{"name": topic, "partition_data": [{"index": index, "records": records}]} for (topic, index), records in parts.items()]
        answer = self.connection.ask(producer.ProduceRequest, 9, transactional_id=transactional_id, acks=-1, timeout_ms=10_000, topic_data=topics)
        return {(topic.name, part.index): (part.error_code, part.base_offset) for topic in answer.responses for part in topic.partition_responses}

    def fetch(self, topic: str, offset: int, isolation=0):
        """The error, the log's start, where committed reading ends, and the bytes of records."""
        part = {"partition": 0, "current_leader_epoch": -1, "fetch_offset": offset, "last_fetched_epoch": -1, "log_start_offset": -1, "partition_max_bytes": 1 << 20}
        answer = self.connection.ask(consumer.FetchRequest, 11, replica_id=-1, max_wait_ms=100, min_bytes=1, max_bytes=1 << 20, isolation_level=isolation, session_id=0,
                                     session_epoch=-1, topics=[{"topic": topic, "partitions": [part]}], forgotten_topics_data=[], rack_id="")
        return answer.responses[0].partitions[0]

    def stable(self, topic: str) -> int:
        part = {"partition_index": 0, "current_leader_epoch": -1, "timestamp": -1}
        answer = self.connection.ask(consumer.ListOffsetsRequest, 5, replica_id=-1, isolation_level=COMMITTED_ONLY, topics=[{"name": topic, "partitions": [part]}])
        return answer.topics[0].partitions[0].offset

    def producer(self, transactional_id=None, timeout_ms=60_000):
        made = self.connection.ask(producer.InitProducerIdRequest, 3, transactional_id=transactional_id, transaction_timeout_ms=timeout_ms, producer_id=-1, producer_epoch=-1)
        assert made.error_code == FINE
        return made.producer_id, made.producer_epoch

    def begin(self, name: str, topic: str, timeout_ms=60_000):
        """A transaction that has written two records."""
        ids = self.producer(name, timeout_ms)
        added = self.connection.ask(producer.AddPartitionsToTxnRequest, 3, v3_and_below_transactional_id=name, v3_and_below_producer_id=ids[0],
                                    v3_and_below_producer_epoch=ids[1], v3_and_below_topics=[{"name": topic, "partitions": [0]}])
        assert errors(added) == {FINE}
        wrote = self.produce({(topic, 0): kafka_wire.batch(2, ids, 0, transactional=True)}, name)
        assert [error for error, _ in wrote.values()] == [FINE]
        return ids


@pytest.fixture
def client(own_server):
    return Client(own_server)


def until(what: str, done):
    end = time.monotonic() + WAIT_S
    while not done():
        assert time.monotonic() < end, f"it did not come to pass: {what}"
        time.sleep(0.05)


def test_half_of_a_request_is_refused_and_half_is_stored(client):
    topic = client.topic(2)
    broken = bytearray(kafka_wire.batch(3))
    broken[-1] ^= 1
    # No partition stands twice in a request: a second topic holds the third fault.
    wrote = client.produce({(topic, 0): kafka_wire.batch(3), (client.topic(), 0): bytes(broken), (client.topic(), 7): kafka_wire.batch(1), ("no-such", 0): kafka_wire.batch(1)})
    assert sorted(error for error, _ in wrote.values()) == [FINE, CORRUPT, UNKNOWN_TOPIC, UNKNOWN_TOPIC]
    assert wrote[topic, 0] == (FINE, 0) and client.fetch(topic, 0).high_watermark == 3


def test_a_retry_over_a_crash_is_stored_once(client):
    topic, ids = client.topic(), client.producer()
    place = (topic, 0)
    batches = [kafka_wire.batch(2, ids, sequence) for sequence in (0, 2, 4, 6, 8)]
    assert [client.produce({place: one})[place] for one in batches] == [(FINE, offset) for offset in (0, 2, 4, 6, 8)]
    client.server.kill()
    client.server.start()
    client.connect()
    assert [client.produce({place: one})[place] for one in batches] == [(FINE, offset) for offset in (0, 2, 4, 6, 8)], "each has the place that it had"
    assert client.fetch(topic, 0).high_watermark == 10
    assert client.produce({place: kafka_wire.batch(1, ids, 12)})[place][0] == OUT_OF_ORDER
    newer = (ids[0], ids[1] + 1)
    assert client.produce({place: kafka_wire.batch(1, newer, 0)})[place] == (FINE, 10)
    assert client.produce({place: kafka_wire.batch(1, ids, 10)})[place][0] == OLD_EPOCH


def test_a_reader_of_what_is_deleted_is_told_where_there_is_something(client):
    topic = client.topic()
    client.produce({(topic, 0): kafka_wire.batch(3)})
    client.produce({(topic, 0): kafka_wire.batch(3)})
    deleted = client.connection.ask(admin.DeleteRecordsRequest, 1, topics=[{"name": topic, "partitions": [{"partition_index": 0, "offset": 3}]}], timeout_ms=5000)
    assert errors(deleted) == {FINE}
    for offset in (0, 2, 99):
        assert client.fetch(topic, offset).error_code == OUT_OF_RANGE
    found = client.fetch(topic, 3)
    assert (found.error_code, found.log_start_offset, found.high_watermark) == (FINE, 3, 6) and found.records


def test_a_topic_made_again_is_another(client):
    topic = client.topic()
    old = client.topic_id(topic)
    client.produce({(topic, 0): kafka_wire.batch(3)})
    assert errors(client.connection.ask(admin.DeleteTopicsRequest, 4, topic_names=[topic], timeout_ms=5000)) == {FINE}
    client.topic(name=topic)
    new = client.topic_id(topic)
    assert old != new and client.fetch(topic, 0).high_watermark == 0

    def by_id(of):
        answer = client.connection.ask(producer.ProduceRequest, 13, transactional_id=None, acks=-1, timeout_ms=5000,
                                       topic_data=[{"name": "", "topic_id": of, "partition_data": [{"index": 0, "records": kafka_wire.batch(1)}]}])
        return answer.responses[0].partition_responses[0].error_code

    assert (by_id(old), by_id(new)) == (UNKNOWN_ID, FINE)


@pytest.mark.parametrize("by", ["its timeout", "an administrator", "its next producer", "a crash and its timeout"])
def test_a_transaction_whose_client_went_holds_readers_back_no_longer_than(client, by):
    topic, name = client.topic(), f"x-{uuid.uuid4().hex[:8]}"
    ids = client.begin(name, topic, timeout_ms=2_000 if "timeout" in by else 60_000)
    client.produce({(topic, 0): kafka_wire.batch(1)})
    assert client.stable(topic) == 0 and not client.fetch(topic, 0, COMMITTED_ONLY).records, "an open transaction holds back what follows"
    if by == "an administrator":
        marked = client.connection.ask(producer.WriteTxnMarkersRequest, 1, markers=[{"producer_id": ids[0], "producer_epoch": ids[1], "transaction_result": False,
                                                                                    "topics": [{"name": topic, "partition_indexes": [0]}], "coordinator_epoch": 0}])
        assert errors(marked) == {FINE}
    elif by == "its next producer":
        until("the next producer is ready", lambda: client.connection.ask(
            producer.InitProducerIdRequest, 3, transactional_id=name, transaction_timeout_ms=60_000, producer_id=-1, producer_epoch=-1).error_code == FINE)
    elif by.startswith("a crash"):
        client.server.kill()
        client.server.start()
        client.connect()
    until("the stable offset moves on", lambda: client.stable(topic) == 4)
    found = client.fetch(topic, 0, COMMITTED_ONLY)
    assert [(of.producer_id, of.first_offset) for of in found.aborted_transactions] == [(ids[0], 0)]
    if by != "an administrator":
        # An administrator ends it in the partition; its coordinator still has it for open, as Kafka's has.
        late = client.produce({(topic, 0): kafka_wire.batch(1, ids, 2, transactional=True)}, name)[topic, 0]
        assert late[0] != FINE, "what comes late of it is refused"
        assert client.stable(topic) == 4


def test_a_clean_stop_leaves_everything_as_it_was(client):
    topic, ids = client.topic(2), client.producer()
    assert client.produce({(topic, 0): kafka_wire.batch(2, ids, 0)})[topic, 0] == (FINE, 0)
    of = {"group_id": "stays", "generation_id_or_member_epoch": -1, "member_id": ""}
    part = {"partition_index": 0, "committed_offset": 1, "committed_leader_epoch": -1, "committed_metadata": "here"}
    assert errors(client.connection.ask(consumer.OffsetCommitRequest, 7, **of, topics=[{"name": topic, "partitions": [part]}])) == {FINE}
    before = client.topic_id(topic)
    client.server.stop()
    client.server.start()
    client.connect()
    assert client.topic_id(topic) == before and client.fetch(topic, 0).high_watermark == 2
    assert client.produce({(topic, 0): kafka_wire.batch(2, ids, 2)})[topic, 0] == (FINE, 2)
    found = client.connection.ask(consumer.OffsetFetchRequest, 6, group_id="stays", topics=[{"name": topic, "partition_indexes": [0]}]).topics[0].partitions[0]
    assert (found.committed_offset, found.metadata) == (1, "here")


@pytest.mark.local
def test_a_full_disk_refuses_records_and_goes_on_reading(own_server, tmp_path, show):
    mount = tmp_path / "small"
    mount.mkdir()
    if os.getuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200m", "tmpfs", str(mount)], capture_output=True).returncode != 0:
        pytest.skip("cannot mount a tmpfs: 1 case")
    try:
        client = Client(own_server, data_dir=mount / "data")
        topic, big = client.topic(), kafka_wire.batch(500, value=os.urandom(1000))
        assert client.produce({(topic, 0): kafka_wire.batch(3)})[topic, 0] == (FINE, 0)
        filler = mount / "filler"
        with open(filler, "wb") as file:
            try:
                while True:
                    file.write(b"\0" * (1 << 20))
            except OSError:
                pass
        stored, end = 0, time.monotonic() + 60
        while (answer := client.produce({(topic, 0): big})[topic, 0])[0] == FINE:
            stored += 1
            assert time.monotonic() < end
        assert answer[0] == STORAGE, answer
        found = client.fetch(topic, 0)
        assert found.error_code == FINE and found.high_watermark == 3 + 500 * stored, "reads go on, of what was acknowledged"
        filler.unlink()
        until("there is room again", lambda: client.produce({(topic, 0): kafka_wire.batch(1)})[topic, 0][0] == FINE)
        end_offset = client.fetch(topic, 0).high_watermark
        client.server.stop()
        client.server.start()
        assert client.connect().fetch(topic, 0).high_watermark == end_offset
        show(f"kafka: a full disk: {stored} more batches stored, then KAFKA_STORAGE_ERROR; reads went on, and records came back by themselves")
    finally:
        subprocess.run(["umount", "-l", str(mount)], capture_output=True)


@pytest.mark.skipif(not CLUSTERED, reason="only PostgreSQL and S3 can be lost: 2 cases")
@pytest.mark.parametrize("lost", ["PostgreSQL", "S3"])
def test_records_wait_for_lost_storage_and_are_stored_once(client, lost, show):
    place, topic, acked = client.server.place, client.topic(), []
    storage = place.postgres if lost == "PostgreSQL" else place.s3
    sender = Producer({"bootstrap.servers": client.server.ready["kafka"], "enable.idempotence": True, "linger.ms": 2, "request.timeout.ms": 3000, "log_level": 0})

    def told(error, message):
        assert error is None, error
        acked.append((message.offset(), message.value()))

    try:
        for n in range(400):
            if n == 100:
                storage.freeze()
                frozen = time.monotonic()
            elif n == 300:
                storage.thaw()
                away = time.monotonic() - frozen
            sender.produce(topic, str(n), on_delivery=told)
            sender.poll(0.02)
    finally:
        storage.thaw()
    assert sender.flush(60) == 0 and len(acked) == 400
    reader = Consumer({"bootstrap.servers": client.server.ready["kafka"], "group.id": "reader", "log_level": 0})
    reader.assign([TopicPartition(topic, 0, 0)])
    found, end = [], time.monotonic() + WAIT_S
    while len(found) < 400 and time.monotonic() < end:
        found += [(message.offset(), message.value()) for message in reader.consume(400, timeout=0.5) if not message.error()]
    reader.close()
    assert found == sorted(acked) and [value for _, value in found] == [str(n).encode() for n in range(400)]
    show(f"kafka: {lost} did not answer for {away:.0f} s under an idempotent producer: 400 of 400 stored, once and in order")
