"""Topics are kept as long as they say, and compacted, also where no Kafka client is listened to."""

import time

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from server import Server, fresh_name, kafka_settings
from test_kafka import SOON_S

pytestmark = pytest.mark.local

WITHIN_S = 30


def stored(server, into) -> bytes:
    """The log's stored files, decrypted."""
    server.cli("verify", "storage", "--decrypt-to", str(into), timeout=60)
    return b"".join(path.read_bytes() for path in into.rglob("*") if path.is_file() and "log" in path.relative_to(into).parts)


def test_retention_and_compaction_go_on_without_a_listener(tmp_path, show):
    clock = tmp_path / "clock"
    clock.write_text("0")
    env = {"CANDOR_CLOCK_FILE": str(clock)}
    with Server(tmp_path / "data", "--test-clock", "--kafka-listen", "127.0.0.1:0", env=env) as server:
        config = kafka_settings(server.project("kept"))
        short, keyed, kept = fresh_name(), fresh_name(), fresh_name()
        admin, compact = AdminClient(config), {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0", "segment.ms": "10000"}
        topics = [NewTopic(short, 1, config={"retention.ms": "600000"}), NewTopic(keyed, 1, config=compact), NewTopic(kept, 1, config={"retention.ms": "-1"})]
        for made in admin.create_topics(topics).values():
            made.result(SOON_S)
        producer = Producer(config)
        for topic, key, value in [(short, "a", "expired-canary"), (keyed, "k", "superseded-canary"), (keyed, "k", "latest-canary"), (kept, "b", "kept-canary")]:
            producer.produce(topic, value, key=key)
        assert producer.flush(SOON_S) == 0
        text = stored(server, tmp_path / "before")
        assert all(canary in text for canary in (b"expired-canary", b"superseded-canary", b"latest-canary", b"kept-canary"))
        server.stop()
        clock.write_text(str(2 * 86400))
        server.flags = ["--test-clock", "--kafka-listen", "off"]
        server.start()
        began, turn = time.monotonic(), 0
        while True:
            text = stored(server, tmp_path / f"after-{turn}")
            turn += 1
            if b"expired-canary" not in text and b"superseded-canary" not in text:
                break
            assert time.monotonic() - began < WITHIN_S, [canary for canary in (b"expired-canary", b"superseded-canary") if canary in text]
            time.sleep(0.5)
        assert b"latest-canary" in text and b"kept-canary" in text, "nothing else goes"
        show(f"gone {time.monotonic() - began:.1f} s after the start without a listener")
