"""Bridges: topics, offsets and groups between two servers, and between one and Apache Kafka, under producers and kill -9."""

import collections
import json
import os
import pathlib
import shutil
import subprocess
import threading
import time
import uuid

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewPartitions, NewTopic, ResourceType

from cluster import free_port
from server import Server, post_otlp
from test_kafka_clients import Missing, fetched

pytestmark = pytest.mark.local

HERE = pathlib.Path(__file__).resolve().parent
# Longest time for what takes some looks of a bridge, which are a second and more apart.
SOON_S = 40
BROKER = HERE / "clients/kafka/broker"


class Candor:
    """A server with one project, as a Kafka cluster."""

    def __init__(self, *flags):
        self.server = Server(None, "--kafka-listen", f"127.0.0.1:{free_port()}", *flags).start()
        self.made = self.server.project("shop")
        self.config = client(self.made["kafka"])

    def bridge(self, *args, check=True, **how):
        return self.server.cli("bridge", *args, "--project", "shop", "--json", check=check, **how)

    def shown(self, name: str) -> dict:
        return json.loads(self.bridge("show", name).stdout)

    def login(self, tmp_path) -> list[str]:
        """What a bridge to here is given."""
        secret = tmp_path / f"{uuid.uuid4().hex}.password"
        secret.write_text(self.made["kafka"]["password"] + "\n")
        return ["--sasl", "SCRAM-SHA-512", "--username", self.made["kafka"]["username"], "--password-file", str(secret)]

    @property
    def bootstrap(self) -> str:
        return self.made["kafka"]["bootstrap"]


def client(kafka: dict) -> dict:
    return {"bootstrap.servers": kafka["bootstrap"], "security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN",
            "sasl.username": kafka["username"], "sasl.password": kafka["password"], "log_level": 0}


@pytest.fixture(scope="module", autouse=True)
def starting(tmp_path_factory):
    """Apache Kafka, which takes its time to start, or what it lacks here."""
    try:
        broker = Kafka(tmp_path_factory.mktemp("kafka"))
    except Missing as lacks:
        yield lacks
        return
    yield broker
    broker.process.kill()
    broker.process.wait()
    broker.log.close()


@pytest.fixture
def kafka(starting):
    if isinstance(starting, Missing):
        pytest.skip(f"{starting}: 1 case")
    starting.wait()
    return starting


@pytest.fixture(scope="module")
def here():
    candor = Candor()
    yield candor
    candor.server.cleanup()


@pytest.fixture(scope="module")
def there():
    candor = Candor()
    yield candor
    candor.server.cleanup()


# A client of each cluster: it has to live until it has told what came of a request.
ADMINS = {}


def admin(config) -> AdminClient:
    return ADMINS.setdefault(config["bootstrap.servers"], AdminClient(config))


def name(of="t") -> str:
    return f"{of}-{uuid.uuid4().hex[:8]}"


def make_topic(config, topic, partitions=1, **configs):
    admin(config).create_topics([NewTopic(topic, partitions, 1, config={k.replace("_", "."): v for k, v in configs.items()})])[topic].result(SOON_S)


def produce(config, topic, values, **how):
    failed = []
    producer = Producer({**config, "enable.idempotence": True})
    for value in values:
        producer.produce(topic, value, on_delivery=lambda error, _: error and failed.append(error), **how)
        producer.poll(0)
    assert producer.flush(SOON_S) == 0 and not failed, failed


def read_all(config, topic, count, within=SOON_S) -> list:
    """Messages of a topic from its beginning: so many, and what comes within a second more."""
    partitions = admin(config).list_topics(topic, timeout=SOON_S).topics[topic].partitions
    consumer = Consumer({**config, "group.id": name("reader"), "enable.auto.commit": False, "isolation.level": "read_committed", "auto.offset.reset": "earliest"})
    consumer.assign([TopicPartition(topic, p, 0) for p in partitions])
    found, until = [], time.monotonic() + within
    try:
        while time.monotonic() < until:
            for message in consumer.consume(1000, timeout=0.3):
                assert message.error() is None, message.error()
                found.append(message)
            if len(found) >= count and until > time.monotonic() + 1:
                until = time.monotonic() + 1
    finally:
        consumer.close()
    return found


def by_partition(messages) -> dict:
    """What each partition holds, in its order: key, value, headers, time."""
    held = collections.defaultdict(list)
    for m in messages:
        held[m.partition()].append((m.key(), m.value(), m.headers(), m.timestamp()))
    return dict(held)


def until(what, within=SOON_S, every=0.2):
    """Waits for something true and gives it."""
    end = time.monotonic() + within
    while not (found := what()):
        assert time.monotonic() < end, f"not within {within} s: {what()}"
        time.sleep(every)
    return found


def ends(config, topic) -> int:
    """The last offsets of a topic together."""
    consumer = Consumer({**config, "group.id": "ends"})
    try:
        partitions = consumer.list_topics(topic, timeout=SOON_S).topics[topic].partitions
        return sum(consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=SOON_S)[1] for p in partitions)
    except KafkaException:
        return -1
    finally:
        consumer.close()


def committed(config, group, topic, partitions) -> dict:
    consumer = Consumer({**config, "group.id": group})
    try:
        return {at.partition: at.offset for at in consumer.committed([TopicPartition(topic, p) for p in range(partitions)], timeout=SOON_S) if at.offset >= 0}
    finally:
        consumer.close()


class Shop(threading.Thread):
    """Produces in transactions, every fifth of them given up, until it is told to stop."""

    def __init__(self, config, topic, partitions):
        super().__init__(daemon=True)
        self.config, self.topic, self.partitions = config, topic, partitions
        self.kept, self.dropped, self.ended, self.failed = [], 0, threading.Event(), None

    def run(self):
        try:
            producer = Producer({**self.config, "transactional.id": name("shop"), "linger.ms": 1, "compression.type": "lz4"})
            producer.init_transactions(SOON_S)
            n = 0
            while not self.ended.is_set():
                n += 1
                producer.begin_transaction()
                values = [f"{'dropped' if n % 5 == 0 else 'kept'}-{n}-{i}" for i in range(20)]
                for i, value in enumerate(values):
                    producer.produce(self.topic, value, key=f"k{i % 7}", partition=i % self.partitions, headers=[("n", str(n).encode())])
                if n % 5 == 0:
                    producer.flush(SOON_S)
                    producer.abort_transaction(SOON_S)
                    self.dropped += len(values)
                else:
                    producer.commit_transaction(SOON_S)
                    self.kept += values
                time.sleep(0.01)
        except Exception as failed:  # told by whoever waits for the thread
            self.failed = failed

    def end(self) -> int:
        self.ended.set()
        self.join(SOON_S)
        assert self.failed is None, self.failed
        return len(self.kept)


def same_and_whole(source, target, topic, mirrored, count):
    """Both sides hold the same in the same order, and none of it is what was given up."""
    at_source = by_partition(read_all(source, topic, count))
    at_target = by_partition(read_all(target, mirrored, count))
    told = {p: len(held) for p, held in at_target.items()}
    assert sum(told.values()) == count, f"{told} of {count}"
    assert at_target == at_source
    assert not any(value.startswith(b"dropped") for held in at_target.values() for _, value, *_ in held)


def caught_up(candor, bridge):
    """True once a bridge has nothing left to do."""
    try:
        shown = candor.shown(bridge)
    except AssertionError:
        return False
    return shown if shown["state"] == "running" and shown["mirrored"] and shown["lag"] == 0 and not any(t["error"] for t in shown["mirrored"]) else None


def test_pull_with_kills_loses_and_doubles_nothing(here, there, tmp_path, show):
    topic, bridge = name("orders"), name("pull")
    make_topic(there.config, topic, 3, retention_ms="7200000", cleanup_policy="compact,delete")
    shop = Shop(there.config, topic, 3)
    shop.start()
    here.bridge("create", bridge, "--from", there.bootstrap, "--topics", topic, "--prefix", "eu.", *there.login(tmp_path))
    mirrored = f"eu.{topic}"
    for kill in range(3):
        before = max(0, ends(here.config, mirrored))
        until(lambda: ends(here.config, mirrored) > before + 100, every=0.05)
        here.server.kill()
        here.server.start()
    count = shop.end()
    until(lambda: caught_up(here, bridge))
    same_and_whole(there.config, here.config, topic, mirrored, count)
    configs = admin(here.config).describe_configs([ConfigResource(ResourceType.TOPIC, mirrored)])
    told = {entry.name: entry.value for entry in next(iter(configs.values())).result(SOON_S).values()}
    assert (told["retention.ms"], set(told["cleanup.policy"].split(","))) == ("7200000", {"compact", "delete"})
    show(f"bridges: pulled {count} records in transactions, {shop.dropped} given up, over 3 kill -9: each once, in order")
    here.bridge("delete", bridge)


def test_push_with_kills_loses_and_doubles_nothing(here, there, tmp_path, show):
    topic, bridge = name("clicks"), name("push")
    make_topic(here.config, topic, 2)
    here.bridge("create", bridge, "--to", there.bootstrap, "--topics", topic, *there.login(tmp_path))
    sent = 0
    for kill in range(3):
        before = max(0, ends(there.config, topic))
        values = [f"{sent + n:06}".encode() for n in range(700)]
        produce({**here.config, "compression.type": "zstd", "linger.ms": 2}, topic, values)
        sent += len(values)
        # Killed while it writes what this round brought.
        until(lambda: ends(there.config, topic) > before, every=0.02)
        # The server that the bridge and its source are in dies, and then the one that it writes to.
        dies = there if kill == 1 else here
        dies.server.kill()
        dies.server.start()
    until(lambda: caught_up(here, bridge))
    same_and_whole(here.config, there.config, topic, topic, sent)
    show(f"bridges: pushed {sent} records over kill -9 of the source twice and of the target once: each once, in order")
    here.bridge("delete", bridge)


def test_groups_move_over_and_neither_skip_nor_read_again(here, there, tmp_path):
    topic, bridge, group = name("orders"), name("groups"), name("billing")
    make_topic(there.config, topic, 2)
    here.bridge("create", bridge, "--from", there.bootstrap, "--topics", topic, "--groups", *there.login(tmp_path))
    sent = []
    for burst in range(8):
        values = [f"{burst}-{n}".encode() for n in range(50)]
        produce(there.config, topic, values)
        sent += values
        time.sleep(0.2)
    settings = {"group.id": group, "enable.auto.commit": False, "auto.offset.reset": "earliest"}
    # Where a group has read further than the bridge, it is moved to what is mirrored, and on from there.
    until(lambda: caught_up(here, bridge) and ends(here.config, topic) >= len(sent))
    reader = Consumer({**there.config, **settings})
    reader.subscribe([topic])
    read = []
    while len(read) < 250:
        read += [m for m in reader.consume(50, timeout=1) if not m.error()][: 250 - len(read)]
    last = {}
    for message in read:
        last[message.partition()] = message.offset() + 1
    reader.commit(offsets=[TopicPartition(topic, p, at) for p, at in last.items()], asynchronous=False)
    reader.close()
    until(lambda: len(committed(here.config, group, topic, 2)) == len(last))
    shown = here.shown(bridge)
    assert any(one["group"] == group and one["error"] is None for one in shown["mirrored_groups"]), shown["mirrored_groups"]
    assert not any(one["group"].startswith("candor-bridge.") for one in shown["mirrored_groups"])
    mover = Consumer({**here.config, **settings})
    mover.subscribe([topic])
    rest, end = [], time.monotonic() + SOON_S
    while len(rest) < len(sent) - len(read) and time.monotonic() < end:
        rest += [m.value() for m in mover.consume(100, timeout=1) if not m.error()]
    rest += [m.value() for m in mover.consume(100, timeout=2) if not m.error()]
    assert sorted([m.value() for m in read] + rest) == sorted(sent), "what is new is exact: none is skipped, none is read again"
    # A group with members at the target is the target's: what the source says from now on does not move it.
    mover.commit(asynchronous=False)
    stands = committed(here.config, group, topic, 2)
    produce(there.config, topic, [b"late"] * 20)
    reader = Consumer({**there.config, "group.id": group})
    reader.commit(offsets=[TopicPartition(topic, p, ends(there.config, topic)) for p in range(2)], asynchronous=False)
    reader.close()
    told = until(lambda: next((g["error"] for g in here.shown(bridge)["mirrored_groups"] if g["group"] == group), None))
    assert "members" in told and committed(here.config, group, topic, 2) == stands
    mover.close()
    # Nor is it ever moved back.
    reader = Consumer({**there.config, "group.id": group})
    reader.commit(offsets=[TopicPartition(topic, p, 0) for p in range(2)], asynchronous=False)
    reader.close()
    time.sleep(2.5)
    held = committed(here.config, group, topic, 2)
    assert held.keys() == stands.keys() and all(at >= stands[p] for p, at in held.items()), f"{held} after {stands}"
    here.bridge("delete", bridge)


def test_what_goes_wrong_is_told_and_the_rest_goes_on(here, there, tmp_path):
    secret = tmp_path / "wrong"
    secret.write_text("correct-horse\n")
    login = ["--sasl", "SCRAM-SHA-256", "--username", there.made["kafka"]["username"], "--password-file", str(secret)]
    here.bridge("create", "wrong-password", "--from", there.bootstrap, *login)
    here.bridge("create", "nobody-there", "--from", f"127.0.0.1:{free_port()}")
    here.bridge("create", "metadata-service", "--from", "169.254.169.254:80")
    for bridge, words in {"wrong-password": "refused the log in", "nobody-there": "cannot be reached", "metadata-service": "link-local"}.items():
        told = until(lambda: here.shown(bridge)["error"])
        assert words in told and "correct-horse" not in told, told
        assert here.shown(bridge)["state"] == "failing"
        here.bridge("delete", bridge)
    small, large, gone, keyless = name("small"), name("large"), name("gone"), name("keyless")
    for topic in (small, large, gone, keyless):
        make_topic(there.config, topic)
    make_topic(here.config, large, max_message_bytes="20000")
    make_topic(here.config, keyless, cleanup_policy="compact")
    bridge = name("mixed")
    here.bridge("create", bridge, "--from", there.bootstrap, "--topics", f"{small},{large},{gone},{keyless},none-such", *there.login(tmp_path))
    # A batch that is too large is cut; a record that is too large stops its topic.
    produce({**there.config, "linger.ms": 50}, large, [os.urandom(900) for _ in range(60)])
    until(lambda: ends(here.config, large) > 60)
    produce(there.config, large, [os.urandom(30_000)])
    produce(there.config, keyless, [b"no key"])
    produce(there.config, small, [b"one"])
    of = lambda topic: next((t for t in here.shown(bridge)["mirrored"] if t["source"] == topic), {"error": None})
    assert "max.message.bytes" in until(lambda: of(large)["error"])
    assert "key" in until(lambda: of(keyless)["error"])
    assert "not at the source" in until(lambda: of("none-such")["error"])
    # Deleted at the source: what was mirrored stays. Deleted at the target: it is not made again by itself.
    admin(there.config).delete_topics([gone])[gone].result(SOON_S)
    admin(here.config).delete_topics([small])[small].result(SOON_S)
    assert "not at the source" in until(lambda: of(gone)["error"])
    assert "deleted at the target" in until(lambda: of(small)["error"])
    here.bridge("resume", bridge)
    until(lambda: ends(here.config, small) > 0)
    # A topic that grows is grown, and a new one that fits is taken up.
    admin(there.config).create_partitions([NewPartitions(small, 3)])[small].result(SOON_S)
    produce(there.config, small, [b"two"], partition=2)
    until(lambda: len(read_all(here.config, small, 2, 3)) == 2, within=60)
    # What the source deletes before it was mirrored is told, and what it still has arrives.
    here.bridge("pause", bridge)
    produce(there.config, small, [b"more"] * 10, partition=0)
    at = TopicPartition(small, 0, 8)
    admin(there.config).delete_records([at])[at].result(SOON_S)
    here.bridge("resume", bridge)
    until(lambda: of(small).get("skipped") == 7)
    until(lambda: len(read_all(here.config, small, 5, 3)) == 5)
    assert not any("correct-horse" in text for text in (here.server.log_text(), here.bridge("list").stdout))
    assert there.made["kafka"]["password"] not in here.server.log_text() + here.bridge("list").stdout
    assert there.made["kafka"]["password"].encode() not in b"".join(path.read_bytes() for path in here.server.data_dir.glob("meta.db*"))
    here.bridge("delete", bridge)


def test_bridges_in_a_circle_do_not_echo(here, there, tmp_path):
    topic = name("loop")
    make_topic(there.config, topic)
    here.bridge("create", "first", "--from", there.bootstrap, "--topics", topic, *there.login(tmp_path))
    produce(there.config, topic, [b"a"])
    until(lambda: ends(here.config, topic) > 0)
    there.bridge("create", "second", "--from", here.bootstrap, "--topics", topic, *here.login(tmp_path))
    told = until(lambda: (there.shown("second")["mirrored"] or [{"error": None}])[0]["error"])
    assert "go round for ever" in told
    there.bridge("create", "named", "--from", here.bootstrap, "--topics", topic, "--prefix", "back.", *here.login(tmp_path))
    until(lambda: ends(there.config, f"back.{topic}") > 0)
    produce(there.config, topic, [b"b"])
    until(lambda: len(read_all(here.config, topic, 2, 3)) == 2)
    assert len(read_all(there.config, topic, 2, 3)) == 2, "what was mirrored came back"
    there.bridge("delete", "second")
    there.bridge("delete", "named")
    here.bridge("delete", "first")


def test_a_signal_is_pushed_by_name_and_paused(here, there, tmp_path):
    post = lambda words: post_otlp(here.server, here.made["ingest_token"], words)
    assert post(["first words"]).status == 200
    here.bridge("create", "signals", "--to", there.bootstrap, "--topics", "candor.logs", "--prefix", "shop.", *there.login(tmp_path))
    # The target's own signals are not written to; under a prefix the name is free.
    target = "shop.candor.logs"
    until(lambda: ends(there.config, target) > 0)
    assert json.loads(here.bridge("pause", "signals").stdout)["state"] == "paused"
    assert post(["second words"]).status == 200
    time.sleep(1)
    assert [b"first words" in m.value() for m in read_all(there.config, target, 1, 3)] == [True]
    here.bridge("resume", "signals")
    until(lambda: len(read_all(there.config, target, 2, 3)) == 2)
    # Told otherwise it goes on where it stands: the given flags change, the rest and the password stay.
    user = there.made["kafka"]["username"]
    told = json.loads(here.bridge("create", "signals", "--replace", "--topics", "candor.logs,candor.errors").stdout)
    assert told["topics"] == ["candor.logs", "candor.errors"] and told["sasl"] == {"mechanism": "SCRAM-SHA-512", "username": user}
    assert (told["direction"], told["bootstrap"], told["prefix"], told["groups"]) == ("push", [there.bootstrap], "shop.", False)
    # The password goes nowhere else, and not otherwise, unless it is given again.
    port = there.bootstrap.rsplit(":", 1)[1]
    for other in (["--sasl", "PLAIN"], ["--to", f"localhost:{port}"], ["--tls"], ["--username", "other"]):
        refused = here.bridge("create", "signals", "--replace", *other, check=False)
        assert refused.returncode == 1 and "give the password again" in refused.stderr, (other, refused.stderr)
    refused = here.bridge("create", "signals", "--replace", "--to", "kafka.example.org:9092", "--sasl", "PLAIN", check=False)
    assert refused.returncode == 1 and "PLAIN without TLS" in refused.stderr
    secret = there.login(tmp_path)[-2:]
    told = json.loads(here.bridge("create", "signals", "--replace", "--sasl", "PLAIN", *secret).stdout)
    assert told["sasl"] == {"mechanism": "PLAIN", "username": user}
    until(lambda: {t["target"] for t in here.shown("signals")["mirrored"] if not t["error"]} == {target, "shop.candor.errors"})
    assert len(read_all(there.config, target, 2, 3)) == 2
    refused = here.bridge("create", "signals", "--replace", "--from", there.bootstrap, check=False)
    assert refused.returncode == 1 and "direction" in refused.stderr
    here.bridge("delete", "signals")
    refused = here.bridge("show", "signals", check=False)
    assert refused.returncode == 1 and "no bridge" in refused.stderr
    refused = here.bridge("create", "bad name", "--to", there.bootstrap, check=False)
    assert refused.returncode == 1 and "name" in refused.stderr


def certificate(folder: pathlib.Path, of: str) -> tuple[str, str]:
    """A certificate of this machine that signs itself, and its key."""
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed: 1 case")
    pair = str(folder / f"{of}-cert.pem"), str(folder / f"{of}-key.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", f"/CN={of}", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE",
                    "-out", pair[0], "-keyout", pair[1]], check=True, capture_output=True)
    return pair


def test_over_tls_and_only_with_who_is_trusted(here, tmp_path):
    (cert, key), (wrong, _) = certificate(tmp_path, "right"), certificate(tmp_path, "wrong")
    secured = Candor("--tls-cert", cert, "--tls-key", key)
    try:
        over_tls = {**secured.config, "security.protocol": "SASL_SSL", "ssl.ca.location": cert}
        topic = name("sealed")
        produce(over_tls, topic, [b"sealed"])
        login = secured.login(tmp_path)
        here.bridge("create", "trusting", "--from", secured.bootstrap, "--topics", topic, "--tls", "--ca", cert, *login)
        here.bridge("create", "misled", "--from", secured.bootstrap, "--topics", topic, "--prefix", "m.", "--tls", "--ca", wrong, *login)
        here.bridge("create", "in-the-clear", "--from", secured.bootstrap, "--topics", topic, "--prefix", "c.", *login)
        until(lambda: caught_up(here, "trusting"))
        assert [m.value() for m in read_all(here.config, topic, 1, 5)] == [b"sealed"]
        for bridge, words in {"misled": "TLS failed", "in-the-clear": ""}.items():
            told = until(lambda: here.shown(bridge)["error"])
            assert words in told and here.shown(bridge)["state"] == "failing" and not here.shown(bridge)["records"], told
        # With the right ones, and the password again, it goes on.
        here.bridge("create", "misled", "--replace", "--ca", cert, *login[-2:])
        until(lambda: caught_up(here, "misled"))
        for bridge in ("trusting", "misled", "in-the-clear"):
            here.bridge("delete", bridge)
    finally:
        secured.server.cleanup()


def test_no_bridge_becomes_who_proves_nothing():
    """Clients of the machine that do not log in are taken for a project here: another project's bridge is none of them."""
    open_house = Candor("--kafka-anonymous", "shop")
    try:
        make_topic({"bootstrap.servers": open_house.bootstrap, "log_level": 0}, "till")
        produce(open_house.config, "till", [b"private"])
        open_house.server.project("other")
        port = open_house.bootstrap.rsplit(":", 1)[1]
        for of, host in (("thief", "127.0.0.1"), ("named", "localhost")):
            open_house.server.cli("bridge", "create", of, "--project", "other", "--from", f"{host}:{port}")
            shown = lambda: json.loads(open_house.server.cli("bridge", "show", of, "--project", "other", "--json").stdout)
            assert "taken for another project" in until(lambda: shown()["error"])
            assert shown()["state"] == "failing" and not shown()["mirrored"]
        # Its own topics it may have again under another name.
        open_house.bridge("create", "own", "--from", f"127.0.0.1:{port}", "--topics", "till", "--prefix", "copy.")
        until(lambda: caught_up(open_house, "own"))
        assert [m.value() for m in read_all(open_house.config, "copy.till", 1, 5)] == [b"private"]
    finally:
        open_house.server.cleanup()


class Kafka:
    """Apache Kafka, one KRaft node, as it comes but for where it listens: in the clear, to whoever comes."""

    def __init__(self, folder: pathlib.Path):
        stamp = BROKER / ".lib/.installed.xml"
        if not shutil.which("java") or not shutil.which("mvn"):
            raise Missing("java or mvn is not installed")
        jars = f"{BROKER}/.lib/*"
        if not stamp.exists() or stamp.read_text() != (BROKER / "pom.xml").read_text():
            fetched(["mvn", "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=.lib"], BROKER)
            stamp.write_text((BROKER / "pom.xml").read_text())
        self.port, controller = free_port(), free_port()
        self.config = {"bootstrap.servers": f"127.0.0.1:{self.port}", "log_level": 0}
        (folder / "server.properties").write_text("\n".join([
            "process.roles=broker,controller", "node.id=1", f"controller.quorum.voters=1@127.0.0.1:{controller}",
            f"listeners=PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{controller}", "controller.listener.names=CONTROLLER", f"log.dirs={folder}/data",
            "offsets.topic.replication.factor=1", "transaction.state.log.replication.factor=1", "transaction.state.log.min.isr=1",
            "offsets.topic.num.partitions=2", "transaction.state.log.num.partitions=2", "group.initial.rebalance.delay.ms=0", ""]))
        java = ["java", "-Xmx512m", "-XX:TieredStopAtLevel=1", "-cp", jars]
        subprocess.run([*java, "kafka.tools.StorageTool", "format", "-t", "MkU3OEVBNTcwNTJENDM2Qg", "-c", folder / "server.properties"], check=True, capture_output=True)
        self.log = open(folder / "broker.log", "wb")
        self.process = subprocess.Popen([*java, "kafka.Kafka", folder / "server.properties"], stdout=self.log, stderr=self.log)

    def wait(self):
        def is_up():
            try:
                return AdminClient(self.config).list_topics(timeout=2)
            except KafkaException:
                assert self.process.poll() is None, "Kafka ended"
        until(is_up, within=60)


def test_apache_kafka_is_pulled_from(here, kafka, show):
    topic, bridge, group = name("orders"), name("kafka"), name("billing")
    make_topic(kafka.config, topic, 3, retention_ms="3600000")
    shop = Shop(kafka.config, topic, 3)
    shop.start()
    here.bridge("create", bridge, "--from", kafka.config["bootstrap.servers"], "--topics", topic, "--groups")
    until(lambda: ends(here.config, topic) > 50, every=0.05)
    here.server.kill()
    here.server.start()
    time.sleep(1)
    count = shop.end()
    reader = Consumer({**kafka.config, "group.id": group})
    reader.commit(offsets=[TopicPartition(topic, p, 30) for p in range(3)], asynchronous=False)
    reader.close()
    until(lambda: caught_up(here, bridge))
    same_and_whole(kafka.config, here.config, topic, topic, count)
    until(lambda: len(committed(here.config, group, topic, 3)) == 3)
    show(f"bridges: pulled {count} records from Apache Kafka over a kill -9, {shop.dropped} given up: each once, in order")
    here.bridge("delete", bridge)


def test_apache_kafka_is_pushed_to(here, kafka, show):
    topic, bridge, group = name("clicks"), name("kafka"), name("stats")
    make_topic(here.config, topic, 3, cleanup_policy="delete", retention_ms="86400000")
    shop = Shop(here.config, topic, 3)
    shop.start()
    here.bridge("create", bridge, "--to", kafka.config["bootstrap.servers"], "--topics", topic, "--prefix", "candor-", "--groups")
    mirrored = f"candor-{topic}"
    until(lambda: ends(kafka.config, mirrored) > 50, every=0.05)
    shop.end()
    here.server.kill()
    here.server.start()
    produce(here.config, topic, [f"kept-after-{n}".encode() for n in range(100)])
    count = len(shop.kept) + 100
    until(lambda: caught_up(here, bridge))
    same_and_whole(here.config, kafka.config, topic, mirrored, count)
    reader = Consumer({**here.config, "group.id": group})
    reader.commit(offsets=[TopicPartition(topic, p, 10) for p in range(3)], asynchronous=False)
    reader.close()
    until(lambda: len(committed(kafka.config, group, mirrored, 3)) == 3)
    configs = admin(kafka.config).describe_configs([ConfigResource(ResourceType.TOPIC, mirrored)])
    assert next(iter(configs.values())).result(SOON_S)["retention.ms"].value == "86400000"
    show(f"bridges: pushed {count} records to Apache Kafka over a kill -9: each once, in order")
    here.bridge("delete", bridge)
