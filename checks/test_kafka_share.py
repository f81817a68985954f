"""Share groups (KIP-932) with real clients: librdkafka's share consumer, and that of Apache Kafka's Java client."""

import json
import socket
import subprocess
import threading
import time
from collections import Counter

import confluent_kafka
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewTopic, ResourceType

if not hasattr(confluent_kafka, "ShareConsumer"):
    pytest.skip("this confluent-kafka has no share consumer: 3 cases", allow_module_level=True)
from confluent_kafka import ShareConsumer

from server import Server, fresh_name, kafka_settings
from test_kafka_clients import Missing, install

pytestmark = pytest.mark.local

# Longest time for what takes some round trips, seconds. A client that was cut off by a crash takes some to come back.
SOON_S = 60


@pytest.fixture(scope="module")
def broker():
    # A port of its own that stays: clients come back to it after a crash.
    with Server(None, "--kafka-listen", f"127.0.0.1:{free_port()}") as server:
        yield server


@pytest.fixture(scope="module")
def project(broker):
    return broker.project("shares")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def topic_with(project, values, partitions=2) -> str:
    topic = fresh_name()
    admin = AdminClient(kafka_settings(project))
    admin.create_topics([NewTopic(topic, partitions)])[topic].result(SOON_S)
    producer = Producer(kafka_settings(project))
    for number, value in enumerate(values):
        producer.produce(topic, value.encode(), partition=number % partitions)
    assert producer.flush(SOON_S) == 0
    return topic


def group_from_start(project) -> str:
    group = fresh_name()
    entry = ConfigEntry("share.auto.offset.reset", "earliest", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.GROUP, group, incremental_configs=[entry])
    admin = AdminClient(kafka_settings(project))
    for outcome in admin.incremental_alter_configs([resource]).values():
        outcome.result(SOON_S)
    return group


def test_members_of_librdkafka_share_the_records_of_each_partition(broker, project, show):
    values = [str(number) for number in range(2000)]
    topic, group = topic_with(project, values), group_from_start(project)
    seen, lock, stop = Counter(), threading.Lock(), threading.Event()

    def member():
        with ShareConsumer({**kafka_settings(project), "group.id": group, "max.poll.records": 100}) as consumer:
            consumer.subscribe([topic])
            while not stop.is_set():
                for message in consumer.poll(0.5):
                    assert message.error() is None, message.error()
                    with lock:
                        seen[message.value().decode()] += 1
                consumer.commit_sync()

    members = [threading.Thread(target=member) for _ in range(3)]
    began = time.monotonic()
    for one in members:
        one.start()
    while len(seen) < len(values) and time.monotonic() < began + SOON_S:
        time.sleep(0.05)
    took = time.monotonic() - began
    stop.set()
    for one in members:
        one.join(SOON_S)
    assert seen == Counter(values), "each record once"
    # The screen's list of groups shows it beside the others.
    listed = broker.api("GET", f"/api/v1/streams/groups?project={project['name']}")
    assert listed.status == 200 and group in json.dumps(listed.json()), listed
    show(f"kafka: a share group of 3 members of librdkafka {confluent_kafka.libversion()[0]}, 2 partitions: "
         f"{len(seen)} of {len(values)} records once each, in {took:.1f} s")


def test_what_librdkafka_releases_comes_again_and_what_it_rejects_does_not(project):
    topic, group = topic_with(project, ["a", "b", "c"], partitions=1), group_from_start(project)
    verdicts = {"a": [1], "b": [2, 2, 1], "c": [3]}
    said = []
    config = {**kafka_settings(project), "group.id": group, "share.acknowledgement.mode": "explicit"}
    with ShareConsumer(config) as consumer:
        consumer.subscribe([topic])
        until = time.monotonic() + SOON_S
        while len(said) < 5 and time.monotonic() < until:
            for message in consumer.poll(0.5):
                value = message.value().decode()
                verdict = verdicts[value].pop(0)
                said.append((value, verdict))
                consumer.acknowledge(message, verdict)
            outcome = consumer.commit_sync()
            assert all(error is None for error in outcome.values()), outcome
    assert sorted(said) == [("a", 1), ("b", 1), ("b", 2), ("b", 2), ("c", 3)]


class Java:
    """The Java client: commands in, lines out."""

    def __init__(self, before, folder, project):
        kafka = project["kafka"]
        login = "org.apache.kafka.common.security.scram.ScramLoginModule"
        (folder / "client.properties").write_text(
            f"bootstrap.servers={kafka['bootstrap']}\nsecurity.protocol=SASL_PLAINTEXT\nsasl.mechanism=SCRAM-SHA-256\n"
            f"sasl.jaas.config={login} required username=\"{kafka['username']}\" password=\"{kafka['password']}\";\n")
        self.process = subprocess.Popen([*before, str(folder / "client.properties")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __call__(self, command) -> list:
        """The words of each line of the answer."""
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        lines = []
        for line in self.process.stdout:
            words = line.split()
            assert words[0] != "error", line
            if words == ["done"]:
                return lines
            lines.append(words)
        raise AssertionError(f"the Java client ended at {command!r}")

    def got(self, command) -> list:
        """Value, delivery and verdict of each record that was read."""
        return [(value, int(deliveries), verdict) for kind, *rest in self(command) if kind == "got" for value, deliveries, verdict in [rest]]


@pytest.fixture(scope="module")
def java(project, tmp_path_factory):
    try:
        before = install("java")("share")
    except Missing as lacks:
        pytest.skip(f"{lacks}: 1 case")
    client = Java(before, tmp_path_factory.mktemp("java"), project)
    yield client
    client.process.kill()
    client.process.wait()


def test_the_java_client_reads_administers_and_survives_a_crash_of_the_broker(broker, project, java, show):
    topic, group = topic_with(project, [f"v{number}" for number in range(8)], partitions=1), fresh_name()
    java(f"configure {group} share.auto.offset.reset=earliest share.record.lock.duration.ms=15000")
    # Accepted, given back, given more time and accepted then, refused.
    began = time.monotonic()
    lines = java(f"read {group} {topic} 8 {SOON_S} accept,release,renew,reject")
    assert ["lock", "15000"] in lines and not any(line[0] == "failed" for line in lines), lines
    ended = Counter(value for kind, value, _, verdict in (line for line in lines if line[0] == "got") if verdict in ("accept", "reject"))
    assert ended == Counter(f"v{number}" for number in range(8)), lines
    again = [int(deliveries) for kind, value, deliveries, verdict in (line for line in lines if line[0] == "got") if int(deliveries) > 1]
    assert again, "what was given back is given again, and counted"
    took = time.monotonic() - began
    assert java(f"offsets {group}") == [["offset", topic, "0", "8", "0"]], "it has no lag"
    assert ["group", group, "Share"] in java("groups") and java(f"describe {group}") == [["state", "Empty", "0"]]
    java(f"move {group} {topic} 0 4")
    assert java(f"offsets {group}") == [["offset", topic, "0", "4", "4"]]
    # Every second one is accepted, the others are locked when the broker is killed.
    first = java.got(f"read {group} {topic} 4 {SOON_S} accept,leave")
    accepted = {value for value, _, verdict in first if verdict == "accept"}
    assert [value for value, *_ in first] == ["v4", "v5", "v6", "v7"] and accepted == {"v4", "v6"}
    broker.kill()
    broker.start()
    second = java.got(f"read {group} {topic} 2 {SOON_S} accept")
    assert [(value, deliveries) for value, deliveries, _ in second] == [("v5", 2), ("v7", 2)], "what was accepted does not come again"
    show(f"kafka: Java share consumer 4.2: 8 records by every verdict in {took:.1f} s; after kill -9, {len(accepted)} of 2 accepted "
         f"not given again, {len(second)} of 2 others given again")
