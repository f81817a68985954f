"""Real Kafka clients, unmodified: librdkafka of 2026 (confluent-kafka) and of 2022 (Debian's kcat), and kafka-python."""

import json
import os
import pathlib
import shutil
import socket
import subprocess
import threading
import time
import uuid

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import (AclBinding, AclOperation, AclPermissionType, AdminClient, ConfigResource, NewPartitions, NewTopic, ResourcePatternType,
                                   ResourceType, ScramCredentialInfo, ScramMechanism, UserScramCredentialUpsertion)
from kafka import KafkaConsumer, KafkaProducer

from server import Server, fresh_name, kafka_settings, post_otlp
from visible import unix_nano

pytestmark = pytest.mark.local

# Longest time for what takes some round trips, seconds.
SOON_S = 30


@pytest.fixture(scope="module")
def broker():
    with Server(None, "--kafka-listen", "127.0.0.1:0") as server:
        yield server


@pytest.fixture(scope="module")
def project(broker):
    return broker.project("streams")


def cpu_s(pid: int) -> float:
    """CPU seconds so far of a process."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def produce(config, topic, values, **how) -> dict:
    """Sends values, each with its number as key; gives where each went."""
    where, failed = {}, []
    producer = Producer(config)

    def told(value):
        def tell(error, message):
            if error:
                failed.append(error)
            else:
                where[value] = (message.partition(), message.offset())
        return tell

    for number, value in enumerate(values):
        producer.produce(topic, value, key=str(number).encode(), on_delivery=told(value), **how)
        producer.poll(0)
    assert producer.flush(SOON_S) == 0
    assert not failed, failed
    return where


def consume(config, topics, count, within=SOON_S) -> list:
    """Reads until there are so many messages."""
    consumer = Consumer({"group.id": fresh_name(), "auto.offset.reset": "earliest", "enable.auto.commit": False, **config})
    consumer.subscribe(topics)
    found, until = [], time.monotonic() + within
    try:
        while len(found) < count and time.monotonic() < until:
            for message in consumer.consume(500, timeout=0.5):
                assert message.error() is None, message.error()
                found.append(message)
    finally:
        consumer.close()
    return found


def test_what_project_create_prints(broker, project):
    kafka = project["kafka"]
    assert kafka["bootstrap"] == broker.ready["kafka"] and kafka["username"] == "streams" and len(kafka["password"]) >= 20


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_librdkafka_reads_what_it_wrote(broker, project, codec, show):
    topic = fresh_name()
    config = kafka_settings(project)
    values = [f"{n} {'x' * (n % 200)}".encode() for n in range(2000)]
    where = produce({**config, "compression.type": codec, "enable.idempotence": True, "linger.ms": 5}, topic, values)
    assert len(set(where.values())) == len(values)
    began = time.monotonic()
    found = consume(config, [topic], len(values))
    assert {message.value(): (message.partition(), message.offset()) for message in found} == where
    assert len({message.partition() for message in found}) == 4, "a topic of a first produce has four partitions"
    show(f"kafka: librdkafka 2.16, {codec}: {len(found)} of {len(values)} equal, read after {time.monotonic() - began:.2f} s")


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_every_way_to_log_in(broker, project, mechanism):
    config = kafka_settings(project, **{"sasl.mechanism": mechanism})
    assert AdminClient(config).list_topics(timeout=SOON_S).cluster_id
    errors = []
    wrong = AdminClient({**config, "sasl.password": "no", "error_cb": errors.append})
    with pytest.raises(KafkaException):
        wrong.list_topics(timeout=2)
    wrong.poll(1)
    assert any(error.code() == KafkaError._AUTHENTICATION for error in errors), errors


def test_without_a_log_in_nothing_is_told(broker):
    anonymous = AdminClient({"bootstrap.servers": broker.ready["kafka"]})
    with pytest.raises(KafkaException):
        anonymous.list_topics(timeout=3)


def test_projects_do_not_see_each_other(broker, project):
    topic = fresh_name()
    produce(kafka_settings(project), topic, [b"mine"])
    other = kafka_settings(broker.project(f"other{uuid.uuid4().hex[:6]}"))
    assert topic not in AdminClient(other).list_topics(timeout=SOON_S).topics
    produce(other, topic, [b"theirs"])
    assert [message.value() for message in consume(other, [topic], 1)] == [b"theirs"]
    assert [message.value() for message in consume(kafka_settings(project), [topic], 1)] == [b"mine"]


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_a_group_shares_partitions_and_goes_on_where_it_stood(broker, project, protocol, show):
    topic, group = fresh_name(), fresh_name()
    config = kafka_settings(project)
    grouped = {**config, "group.id": group, "group.protocol": protocol}
    admin = AdminClient(config)
    admin.create_topics([NewTopic(topic, 6)])[topic].result(SOON_S)
    values = [str(n).encode() for n in range(600)]
    produce(config, topic, values)
    seen, lock = [], threading.Lock()
    stop = threading.Event()

    def member():
        consumer = Consumer({**grouped, "auto.offset.reset": "earliest"})
        consumer.subscribe([topic])
        while not stop.is_set():
            message = consumer.poll(0.2)
            if message and not message.error():
                with lock:
                    seen.append((message.value(), message.partition()))
        consumer.close()

    members = [threading.Thread(target=member) for _ in range(3)]
    began = time.monotonic()
    for one in members:
        one.start()
        time.sleep(0.3)
    until = time.monotonic() + SOON_S
    while len({value for value, _ in seen}) < len(values) and time.monotonic() < until:
        time.sleep(0.1)
    took = time.monotonic() - began
    stop.set()
    for one in members:
        one.join()
    assert {value for value, _ in seen} == set(values)
    # Who comes later reads only what is new.
    produce(config, topic, [b"later"])
    later = consume(grouped, [topic], 1)
    assert [message.value() for message in later] == [b"later"]
    show(f"kafka: a {protocol} group of 3 over 6 partitions read {len(values)} within {took:.1f} s, and went on where it stood")


def test_a_first_consumer_joins_at_once(broker, project, show):
    topic = fresh_name()
    config = kafka_settings(project)
    produce(config, topic, [b"x"])
    began = time.monotonic()
    assert len(consume(config, [topic], 1)) == 1
    took = time.monotonic() - began
    show(f"kafka: a first consumer joined and read after {took:.2f} s")
    assert took < 5


def test_administration(broker, project):
    config = kafka_settings(project)
    admin, topic = AdminClient(config), fresh_name()
    admin.create_topics([NewTopic(topic, 3, config={"retention.ms": "60000"})])[topic].result(SOON_S)
    with pytest.raises(KafkaException) as again:
        admin.create_topics([NewTopic(topic, 3)])[topic].result(SOON_S)
    assert again.value.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS
    admin.create_partitions([NewPartitions(topic, 5)])[topic].result(SOON_S)
    assert len(admin.list_topics(topic, timeout=SOON_S).topics[topic].partitions) == 5
    produce(config, topic, [str(n).encode() for n in range(100)])
    admin.delete_topics([topic])[topic].result(SOON_S)
    until = time.monotonic() + SOON_S
    while topic in admin.list_topics(timeout=SOON_S).topics:
        assert time.monotonic() < until
    # A topic of the same name begins at nothing.
    admin.create_topics([NewTopic(topic, 1)])[topic].result(SOON_S)
    where = produce(config, topic, [b"anew"])
    assert where == {b"anew": (0, 0)}
    assert [message.value() for message in consume(config, [topic], 1)] == [b"anew"]


def test_offsets_by_time(broker, project):
    config = kafka_settings(project)
    admin, topic = AdminClient(config), fresh_name()
    admin.create_topics([NewTopic(topic, 1)])[topic].result(SOON_S)
    producer = Producer(config)
    base = int(time.time() * 1000) - 100_000
    for n in range(100):
        producer.produce(topic, str(n), timestamp=base + n * 10)
    assert producer.flush(SOON_S) == 0
    consumer = Consumer({**config, "group.id": fresh_name()})
    asked = {base: 0, base + 5: 1, base + 500: 50, base + 990: 99, base + 100_000: -1}
    for when, offset in asked.items():
        [found] = consumer.offsets_for_times([TopicPartition(topic, 0, when)], timeout=SOON_S)
        assert found.offset == offset, (when, found)
    assert consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=SOON_S) == (0, 100)
    consumer.close()


def test_kafka_python(broker, project, show):
    topic = fresh_name()
    kafka = project["kafka"]
    how = dict(bootstrap_servers=kafka["bootstrap"], security_protocol="SASL_PLAINTEXT", sasl_mechanism="PLAIN",
               sasl_plain_username=kafka["username"], sasl_plain_password=kafka["password"])
    producer = KafkaProducer(**how, acks="all", compression_type="gzip")
    sent = [producer.send(topic, str(n).encode(), key=b"k") for n in range(500)]
    producer.flush(SOON_S)
    assert [future.get(SOON_S).offset for future in sent] == list(range(500))
    producer.close()
    consumer = KafkaConsumer(topic, **how, group_id=fresh_name(), auto_offset_reset="earliest", consumer_timeout_ms=SOON_S * 1000)
    found = []
    for message in consumer:
        found.append(message.value)
        if len(found) == 500:
            break
    consumer.close()
    assert found == [str(n).encode() for n in range(500)]
    show(f"kafka: kafka-python 3: {len(found)} of 500 equal, in order")


@pytest.mark.skipif(not shutil.which("kcat"), reason="kcat is not installed: 1 case")
def test_an_old_librdkafka(broker, project, show):
    topic = fresh_name()
    flags = [part for key, value in kafka_settings(project).items() for part in ("-X", f"{key}={value}")]
    lines = [f"line {n}" for n in range(300)]
    subprocess.run(["kcat", "-P", "-t", topic, *flags], input="\n".join(lines), text=True, check=True, timeout=SOON_S)
    out = subprocess.run(["kcat", "-C", "-t", topic, "-o", "beginning", "-e", "-q", *flags], capture_output=True, text=True, check=True, timeout=SOON_S)
    assert sorted(out.stdout.splitlines()) == sorted(lines)
    metadata = json.loads(subprocess.run(["kcat", "-L", "-J", *flags], capture_output=True, text=True, check=True, timeout=SOON_S).stdout)
    assert any(of["topic"] == topic and len(of["partitions"]) == 4 for of in metadata["topics"])
    show("kafka: kcat with librdkafka 2.0: 300 of 300 lines")


def test_what_was_acknowledged_outlives_kill_9(broker, show):
    with Server(None, "--kafka-listen", "127.0.0.1:0") as server:
        project = server.project("dying")
        topic = "lasting"
        acked = []
        producer = Producer({**kafka_settings(project), "enable.idempotence": True, "linger.ms": 1})
        until = time.monotonic() + 3
        n = 0
        while time.monotonic() < until:
            try:
                producer.produce(topic, str(n).encode(), on_delivery=lambda error, message: acked.append(message.value()) if not error else None)
                n += 1
            except BufferError:
                pass
            producer.poll(0.0005)
        server.kill()
        server.flags = ["--kafka-listen", server.ready["kafka"]]
        server.start()
        assert producer.flush(SOON_S) == 0, "what was under way is sent again"
        found = [message.value() for message in consume(kafka_settings(project), [topic], n)]
        assert len(acked) == n and sorted(found) == sorted(acked), (n, len(acked), len(found), len(set(found)))
        show(f"kafka: kill -9 under an idempotent producer: {n} acknowledged in the end, 0 lost, 0 doubled")


def test_secrets_in_values_do_not_stay(broker, project):
    topic = fresh_name()
    config = kafka_settings(project)
    card, opaque = "4111111111111111", b"\x00\xff\xfe" + b"4111111111111111"
    values = [json.dumps({"card": card, "item": "book"}).encode(), f"paid with {card}".encode(), opaque, b"plain"]
    produce({**config, "compression.type": "zstd"}, topic, values)
    found = {message.key(): message.value() for message in consume(config, [topic], len(values))}
    assert json.loads(found[b"0"])["item"] == "book" and card not in found[b"0"].decode()
    assert card not in found[b"1"].decode() and found[b"1"].startswith(b"paid with ")
    assert found[b"2"] == opaque and found[b"3"] == b"plain"


def test_signals_are_topics_of_json(broker, project, show):
    config = kafka_settings(project)
    admin, group = AdminClient(config), fresh_name()
    assert {"candor.logs", "candor.errors", "candor.spans"} <= set(admin.list_topics(timeout=SOON_S).topics)
    secret = "4111111111111111"
    sent = [f"row {n} paid with {secret}" for n in range(500)]
    for at in range(0, len(sent), 100):
        answer = post_otlp(broker, project["ingest_token"], sent[at:at + 100], attributes={"order": 7})
        assert answer.status == 200, answer
    found = consume({**config, "group.id": group, "enable.auto.commit": True}, ["candor.logs"], len(sent))
    assert [message.offset() for message in found] == list(range(len(sent)))
    rows = [json.loads(message.value()) for message in found]
    assert [row["body"].split(" paid")[0] for row in rows] == [f"row {n}" for n in range(len(sent))]
    assert not any(secret.encode() in message.value() for message in found)
    stored = broker.query(project["name"], "SELECT * FROM logs WHERE body LIKE 'row 17 %'")
    assert len(stored) == 1 and {name: value for name, value in rows[17].items() if name != "issue"} == stored[0]
    times = [unix_nano(row["timestamp"]) // 1_000_000 for row in rows]
    assert [message.timestamp()[1] for message in found] == times
    # The group goes on where it stood, and a reader may begin within what the log holds as one.
    post_otlp(broker, project["ingest_token"], ["later"])
    assert [json.loads(message.value())["body"] for message in consume({**config, "group.id": group}, ["candor.logs"], 1)] == ["later"]
    consumer = Consumer({**config, "group.id": fresh_name()})
    consumer.assign([TopicPartition("candor.logs", 0, 250)])
    message = consumer.poll(SOON_S)
    assert message.error() is None and message.offset() == 250 and json.loads(message.value())["_offset"] == 250
    [at] = consumer.offsets_for_times([TopicPartition("candor.logs", 0, times[300])], timeout=SOON_S)
    assert times[at.offset] >= times[300] and (at.offset == 0 or times[at.offset - 1] < times[300])
    consumer.close()
    show(f"kafka: candor.logs: {len(found)} of {len(sent)} rows as JSON records, equal to the table's, the planted number in none")


def test_signals_are_read_only(broker, project):
    config = kafka_settings(project)
    admin = AdminClient(config)
    told = []
    producer = Producer(config)
    producer.produce("candor.logs", b"{}", on_delivery=lambda error, message: told.append(error.code()))
    assert producer.flush(SOON_S) == 0 and told == [KafkaError.TOPIC_AUTHORIZATION_FAILED]
    attempts = [
        (admin.delete_topics(["candor.logs"])["candor.logs"], {KafkaError.TOPIC_AUTHORIZATION_FAILED}),
        (admin.create_partitions([NewPartitions("candor.logs", 2)])["candor.logs"], {KafkaError.TOPIC_AUTHORIZATION_FAILED}),
        (admin.create_topics([NewTopic("candor.logs", 1)])["candor.logs"], {KafkaError.TOPIC_ALREADY_EXISTS}),
        (admin.create_topics([NewTopic("candor.mine", 1)])["candor.mine"], {KafkaError.TOPIC_EXCEPTION}),
        (list(admin.alter_configs([ConfigResource("topic", "candor.logs", set_config={"retention.ms": "1"})]).values())[0], {KafkaError.TOPIC_AUTHORIZATION_FAILED}),
        (list(admin.delete_records([TopicPartition("candor.logs", 0, 1)]).values())[0], {KafkaError.TOPIC_AUTHORIZATION_FAILED}),
    ]
    for attempt, codes in attempts:
        with pytest.raises(KafkaException) as refused:
            attempt.result(SOON_S)
        assert refused.value.args[0].code() in codes, refused.value


def test_users_do_what_rules_allow(broker, project):
    topic, group, user = fresh_name(), fresh_name(), fresh_name()
    config = kafka_settings(project)
    admin = AdminClient(config)
    admin.create_topics([NewTopic(topic, 1)])[topic].result(SOON_S)
    password = uuid.uuid4().hex
    made = UserScramCredentialUpsertion(user, ScramCredentialInfo(ScramMechanism.SCRAM_SHA_256, 4096), password.encode())
    admin.alter_user_scram_credentials([made])[user].result(SOON_S)
    guest = {**config, "sasl.username": user, "sasl.password": password}

    def allow(kind, what, operation):
        rule = AclBinding(kind, what, ResourcePatternType.LITERAL, f"User:{user}", "*", operation, AclPermissionType.ALLOW)
        admin.create_acls([rule])[rule].result(SOON_S)

    def sent():
        told = []
        producer = Producer({**guest, "message.timeout.ms": 10000, "topic.metadata.refresh.interval.ms": 500})
        producer.produce(topic, b"x", on_delivery=lambda error, message: told.append(error and error.code()))
        producer.flush(SOON_S)
        return told

    def read():
        """Reads one message, or tells the first error."""
        consumer = Consumer({**guest, "group.id": group, "auto.offset.reset": "earliest"})
        consumer.subscribe([topic])
        message = consumer.poll(SOON_S)
        consumer.close()
        return message.error().code() if message.error() else message.value()

    assert topic not in AdminClient(guest).list_topics(timeout=SOON_S).topics
    assert sent() == [KafkaError.TOPIC_AUTHORIZATION_FAILED]
    allow(ResourceType.TOPIC, topic, AclOperation.WRITE)
    assert sent() == [None]
    assert read() == KafkaError.GROUP_AUTHORIZATION_FAILED
    allow(ResourceType.GROUP, group, AclOperation.READ)
    assert read() == KafkaError.TOPIC_AUTHORIZATION_FAILED
    allow(ResourceType.TOPIC, topic, AclOperation.READ)
    assert read() == b"x"
    assert set(AdminClient(guest).list_topics(timeout=SOON_S).topics) == {topic}, "neither other topics nor the signals"


def test_before_a_log_in_requests_are_short(broker):
    host, port = broker.ready["kafka"].rsplit(":", 1)
    for length, kept in ((50_000, True), (70_000, False), (90_000_000, False)):
        with socket.create_connection((host, int(port)), timeout=5) as connection:
            connection.sendall(length.to_bytes(4, "big"))
            connection.settimeout(1 if kept else 5)
            try:
                ended = connection.recv(1) == b""
            except TimeoutError:
                ended = False
            except ConnectionResetError:
                ended = True
            assert ended != kept, length


def test_a_deleted_user_is_answered_no_more(broker, project):
    answer = broker.api("POST", f"/api/v1/streams/users?project={project['name']}", {"name": fresh_name(), "owner": True})
    assert answer.status == 201, answer
    user = answer.json()
    admin = AdminClient(kafka_settings({"kafka": {**project["kafka"], **user}}))
    assert admin.list_topics(timeout=SOON_S).brokers
    assert broker.api("DELETE", f"/api/v1/streams/users/{user['username']}?project={project['name']}").status in (200, 204)
    with pytest.raises(KafkaException):
        admin.list_topics(timeout=3)


def test_a_fetch_ends_when_its_topic_is_deleted(broker, project):
    topic = fresh_name()
    produce(kafka_settings(project), topic, ["one"])
    consumer = Consumer(kafka_settings(project, **{"group.id": fresh_name(), "fetch.wait.max.ms": 20_000, "enable.partition.eof": False}))
    consumer.assign([TopicPartition(topic, partition, 0) for partition in range(4)])
    assert consumer.poll(SOON_S).value() == b"one"
    time.sleep(0.5)
    admin = AdminClient(kafka_settings(project))
    before = cpu_s(broker.ready["pid"])
    admin.delete_topics([topic])[topic].result(SOON_S)
    time.sleep(3)
    assert cpu_s(broker.ready["pid"]) - before < 1.5, "a fetch that waits spins"
    consumer.close()


def test_settings_of_the_broker():
    flags = ["--kafka-set", "auto.create.topics.enable=false", "--kafka-set", "num.partitions=2,group.initial.rebalance.delay.ms=100"]
    with Server(None, "--kafka-listen", "127.0.0.1:0", *flags) as server:
        config = kafka_settings(server.project("set"))
        admin, topic = AdminClient(config), fresh_name()
        asked = admin.list_topics(topic, timeout=SOON_S).topics[topic]
        assert asked.error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART
        admin.create_topics([NewTopic(topic, -1)])[topic].result(SOON_S)
        assert len(admin.list_topics(topic, timeout=SOON_S).topics[topic].partitions) == 2
        broker_1 = ConfigResource("broker", "1")
        told = admin.describe_configs([broker_1])[broker_1].result(SOON_S)
        found = {name: told[name].value for name in ("auto.create.topics.enable", "num.partitions", "group.initial.rebalance.delay.ms")}
        assert found == {"auto.create.topics.enable": "false", "num.partitions": "2", "group.initial.rebalance.delay.ms": "100"}
