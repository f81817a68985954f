"""One round of administration, produce, a group that grows and shrinks, and transactions, by each Kafka client there is."""

import concurrent.futures
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time
import urllib.request
import uuid

import pytest

from cluster import free_port
from server import Server

pytestmark = pytest.mark.local

HERE = pathlib.Path(__file__).resolve().parent
CLIENTS = HERE / "clients/kafka"
ROUND_S = 120
INSTALL_S = 900 if os.environ.get("CANDOR_SOAK") else 300

# What a round tells: of 300 records with keys, of two transactions of 20 that were kept and one that was dropped.
EXPECTED = {"twice": True, "partitions": 4, "retention": "3600000", "produced": 300, "shared": True, "taken_over": True, "read": 300,
            "committed_offsets": 300, "in_transaction": 7, "kept": 40, "dropped": 0, "before": 300, "deleted": True}

# franz-go commits in its transactions what it read in them: 7 records in each that was kept.
ROUNDS = {
    "confluent": ("python", "classic", EXPECTED),
    "confluent-848": ("python", "consumer", EXPECTED),
    "kafka_python": ("python", "classic", EXPECTED),
    "aio": ("python", "classic", EXPECTED),
    "kafkajs": ("node", "classic", EXPECTED),
    # It has no way to commit offsets in a transaction but those of messages that it is reading.
    "platformatic": ("node", "classic", {name: value for name, value in EXPECTED.items() if name != "in_transaction"}),
    "platformatic-848": ("node", "consumer", {name: value for name, value in EXPECTED.items() if name != "in_transaction"}),
    "java": ("java", "classic", EXPECTED),
    "java-848": ("java", "consumer", EXPECTED),
    "franz-go": ("go", "classic", {**EXPECTED, "in_transaction": 14}),
    "franz-go-848": ("go", "consumer", {**EXPECTED, "in_transaction": 14}),
    "sarama": ("go", "classic", EXPECTED),
    # It cannot set configurations.
    "node_rdkafka": ("native", "classic", {name: value for name, value in EXPECTED.items() if name != "retention"}),
    "node_rdkafka-848": ("native", "consumer", {name: value for name, value in EXPECTED.items() if name != "retention"}),
    # It knows no groups and no transactions. Of 300 records it deletes ten in each partition.
    "rskafka": ("rust", "classic", {"twice": True, "partitions": 4, "produced": 300, "read": 300, "left": 260, "deleted": True}),
}

# Clients that take minutes to build: `make soak` does, and what was built once is run by `make test` as well.
BUILT_IN_SOAKS = {"native": "node_modules/node-rdkafka/build/Release/node-librdkafka.node", "rust": ".bin/debug/candor-rust-client"}


class Missing(Exception):
    """What a client needs and this machine has not."""


def install(kind: str):
    """Fetches and builds what rounds of this kind are run with; gives what goes before a round's arguments."""
    if kind == "python":
        return lambda name: [sys.executable, str(CLIENTS / f"{name.removesuffix('-848')}.py")]
    if kind == "node":
        if not (HERE / "node_modules/kafkajs").exists():
            raise Missing("npm packages are not installed")
        return lambda name: ["node", str(CLIENTS / f"{name.removesuffix('-848')}.mjs")]
    if kind in BUILT_IN_SOAKS:
        return built_in_soaks(kind)
    tool = {"java": "mvn", "go": "go"}[kind]
    if not shutil.which(tool) or not shutil.which(kind):
        raise Missing(f"{tool} is not installed")
    folder = CLIENTS / kind
    if kind == "java":
        jars(folder)
        return lambda name: ["java", "-XX:TieredStopAtLevel=1", "-cp", f"{folder}/.lib/*", str(folder / ("Share.java" if name == "share" else "Round.java"))]
    fetched(["go", "build", "-o", ".bin/", "./franz", "./sarama"], folder, GOTOOLCHAIN="local", GOFLAGS="-buildvcs=false")
    return lambda name: [str(folder / ".bin" / ("sarama" if name == "sarama" else "franz"))]


def built_in_soaks(kind: str):
    folder = CLIENTS / kind
    program = folder / BUILT_IN_SOAKS[kind]
    if not program.exists():
        if not os.environ.get("CANDOR_SOAK"):
            raise Missing(f"{program.name} is not built (`make soak` does)")
        if kind == "rust":
            fetched(["cargo", "build", "--locked", "--target-dir", ".bin"], folder)
        else:
            # The headers of Node that are there beat fetching them.
            headers = pathlib.Path(shutil.which("node")).resolve().parent.parent
            fetched(["npm", "ci", "--no-audit", "--no-fund"], folder, **({"npm_config_nodedir": str(headers)} if (headers / "include/node/node.h").exists() else {}))
    return lambda name: [str(program)] if kind == "rust" else ["node", str(folder / f"{name.removesuffix('-848')}.mjs")]


def jars(folder: pathlib.Path):
    """Fetches what a folder's pom.xml names into its .lib."""
    stamp, wanted = folder / ".lib/.installed.xml", (folder / "pom.xml").read_text()
    if not stamp.exists() or stamp.read_text() != wanted:
        shutil.rmtree(folder / ".lib", ignore_errors=True)
        fetched(["mvn", "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=.lib"], folder)
        stamp.write_text(wanted)


def fetched(command, folder, **env):
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=INSTALL_S, env={**os.environ, **env})
    if done.returncode:
        raise Missing(f"{' '.join(command[:2])} failed: {(done.stdout + done.stderr)[-300:]}")


def go(name: str, project: dict, installed):
    kind, protocol, _ = ROUNDS[name]
    before = installed[kind].result()
    kafka = project["kafka"]
    topic = f"{name}-{uuid.uuid4().hex[:8]}"
    done = subprocess.run([*before(name), kafka["bootstrap"], kafka["username"], kafka["password"], topic, protocol], capture_output=True, text=True, timeout=ROUND_S)
    assert done.returncode == 0, f"{name}: {done.stderr[-3000:]}"
    return json.loads(done.stdout.strip().splitlines()[-1])


@pytest.fixture(scope="module")
def rounds():
    """All rounds at once: each mostly waits."""
    with Server(None, "--kafka-listen", "127.0.0.1:0") as server, concurrent.futures.ThreadPoolExecutor(16) as pool:
        project = server.project("clients")
        installed = {kind: pool.submit(install, kind) for kind in {kind for kind, _, _ in ROUNDS.values()}}
        yield {name: pool.submit(go, name, project, installed) for name in ROUNDS}


@pytest.mark.parametrize("name", ROUNDS)
def test_a_round_of(name, rounds, show):
    try:
        told = rounds[name].result()
    except Missing as lacks:
        pytest.skip(f"{lacks}: 1 case")
    assert told == ROUNDS[name][2]
    show(f"kafka: {name}: {'administration, 300 records' if name == 'rskafka' else 'administration, 300 records, a group of one, two and one, three transactions'}: as expected")


def test_kafka_connect(tmp_path, show):
    """A distributed worker, its three compacted topics, sources exactly once: lines of a file through a topic to another."""
    if not shutil.which("mvn") or not shutil.which("java"):
        pytest.skip("mvn is not installed: 1 case")
    folder = CLIENTS / "connect"
    try:
        jars(folder)
    except Missing as lacks:
        pytest.skip(f"{lacks}: 1 case")
    lines = [str(n) for n in range(2000)]
    (tmp_path / "in.txt").write_text("\n".join(lines) + "\n")
    rest = f"http://127.0.0.1:{free_port()}"
    with Server(None, "--kafka-listen", "127.0.0.1:0") as server:
        kafka = server.project("connect")["kafka"]
        login = {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "SCRAM-SHA-256", "sasl.jaas.config":
                 f"org.apache.kafka.common.security.scram.ScramLoginModule required username=\"{kafka['username']}\" password=\"{kafka['password']}\";"}
        settings = {"bootstrap.servers": kafka["bootstrap"], "group.id": "connect", "listeners": rest, "plugin.discovery": "service_load",
                    "exactly.once.source.support": "enabled", "offset.flush.interval.ms": "1000"}
        settings |= {f"{kind}.converter": "org.apache.kafka.connect.storage.StringConverter" for kind in ("key", "value")}
        settings |= {f"{kind}.storage.topic": f"connect-{kind}" for kind in ("config", "offset", "status")}
        settings |= {f"{whose}{name}": value for whose in ("", "producer.", "consumer.", "admin.") for name, value in login.items()}
        (tmp_path / "worker.properties").write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        worker = subprocess.Popen(["java", "-XX:TieredStopAtLevel=1", "-cp", f"{folder}/.lib/*", "org.apache.kafka.connect.cli.ConnectDistributed",
                                   str(tmp_path / "worker.properties")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            for name, config in {"from": {"connector.class": "org.apache.kafka.connect.file.FileStreamSourceConnector", "file": str(tmp_path / "in.txt"), "topic": "lines"},
                                 "to": {"connector.class": "org.apache.kafka.connect.file.FileStreamSinkConnector", "file": str(tmp_path / "out.txt"), "topics": "lines"}}.items():
                until = time.monotonic() + ROUND_S
                while not put(f"{rest}/connectors/{name}/config", config):
                    assert time.monotonic() < until and worker.poll() is None, "the worker does not take its connectors"
                    time.sleep(0.5)
            out, until = tmp_path / "out.txt", time.monotonic() + ROUND_S
            while not out.exists() or len(out.read_text().splitlines()) < len(lines):
                assert time.monotonic() < until, out.exists() and len(out.read_text().splitlines())
                time.sleep(0.5)
            assert out.read_text().splitlines() == lines
            show(f"kafka: Kafka Connect's worker: {len(lines)} lines from a file through a topic to a file, each once and in order")
        finally:
            worker.kill()
            worker.wait()


def put(url: str, body: dict) -> bool:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"}, method="PUT")
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status < 300
    except OSError:
        return False
