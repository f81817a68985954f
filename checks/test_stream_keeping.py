"""Topics are kept as long as they say, and compacted, also where no Kafka client is listened to."""

import time

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from server import Server, fresh_name, kafka_settings
from test_kafka import SOON_S

pytestmark = pytest.mark.local

# Longest time for what upkeep does within seconds of its being due.
WITHIN_S = 30
# Upkeep looks every five seconds where topics are compacted.
LOOKS_S = 12


def lag_bytes(server) -> float:
    lines = server.request("GET", "/metrics").body.decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("candor_lake_stream_lag_bytes"))


def held(config, topic) -> list[tuple]:
    """What a reader from the beginning is given: offset and value."""
    consumer = Consumer({**config, "group.id": fresh_name(), "enable.partition.eof": True})
    consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
    found, until = [], time.monotonic() + WITHIN_S
    while time.monotonic() < until:
        message = consumer.poll(1)
        if message is not None and message.error() and message.error().code() == KafkaError._PARTITION_EOF:
            consumer.close()
            return found
        if message is not None and not message.error():
            found.append((message.offset(), message.value().decode()))
    raise AssertionError(f"no end of {topic} after {found}")


def test_retention_and_compaction_go_on_without_a_listener(tmp_path, show):
    clock = tmp_path / "clock"
    clock.write_text("0")
    with Server(tmp_path / "data", "--test-clock", "--kafka-listen", "127.0.0.1:0", env={"CANDOR_CLOCK_FILE": str(clock)}) as server:
        config = kafka_settings(server.project("kept"))
        short, keyed, kept = fresh_name(), fresh_name(), fresh_name()
        compact = {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0", "segment.ms": "10000"}
        topics = [NewTopic(short, 1, config={"retention.ms": "600000"}), NewTopic(keyed, 1, config=compact), NewTopic(kept, 1, config={"retention.ms": "-1"})]
        admin = AdminClient(config)
        for made in admin.create_topics(topics).values():
            made.result(SOON_S)
        for topic, key, value in [(short, "a", "expired"), (keyed, "k", "superseded"), (keyed, "k", "latest"), (kept, "b", "kept")]:
            producer = Producer(config)
            producer.produce(topic, value, key=key)
            assert producer.flush(SOON_S) == 0
        assert held(config, short) == [(0, "expired")] and held(config, keyed) == [(0, "superseded"), (1, "latest")]
        server.stop()

        server.flags = ["--test-clock", "--kafka-listen", "off"]
        server.start()
        clock.write_text(str(2 * 86400))
        began = time.monotonic()
        while lag_bytes(server) > 0:
            assert time.monotonic() - began < WITHIN_S, "what is in no file is not let go of"
            time.sleep(0.2)
        time.sleep(LOOKS_S)
        server.stop()

        # At the time of the first run nothing is due: what is gone went in the second one.
        clock.write_text("0")
        server.flags = ["--test-clock", "--kafka-listen", "127.0.0.1:0"]
        server.start()
        config["bootstrap.servers"] = server.ready["kafka"]
        found = {topic: held(config, topic) for topic in (short, keyed, kept)}
        assert found == {short: [], keyed: [(1, "latest")], kept: [(0, "kept")]}
        show("trimmed and compacted without a listener")
