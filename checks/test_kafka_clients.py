"""One round of administration, produce, a group that grows and shrinks, and transactions, by each Kafka client there is."""

import concurrent.futures
import json
import os
import pathlib
import shutil
import subprocess
import sys
import uuid

import pytest

from server import Server

pytestmark = pytest.mark.local

HERE = pathlib.Path(__file__).resolve().parent
CLIENTS = HERE / "clients/kafka"
ROUND_S = 120
INSTALL_S = 300

# What a round tells: of 300 records with keys, of two transactions of 20 that were kept and one that was dropped.
EXPECTED = {"twice": True, "partitions": 4, "retention": "3600000", "produced": 300, "shared": True, "taken_over": True, "read": 300,
            "committed_offsets": 300, "in_transaction": 7, "kept": 40, "dropped": 0, "before": 300, "deleted": True}

# franz-go commits in its transactions what it read in them: 7 records in each that was kept.
ROUNDS = {
    "aiokafka": ("python", "classic", EXPECTED),
    "kafkajs": ("node", "classic", EXPECTED),
    # It has no way to commit offsets in a transaction but those of messages that it is reading.
    "platformatic": ("node", "classic", {name: value for name, value in EXPECTED.items() if name != "in_transaction"}),
    "platformatic-848": ("node", "consumer", {name: value for name, value in EXPECTED.items() if name != "in_transaction"}),
    "java": ("java", "classic", EXPECTED),
    "java-848": ("java", "consumer", EXPECTED),
    "franz-go": ("go", "classic", {**EXPECTED, "in_transaction": 14}),
    "franz-go-848": ("go", "consumer", {**EXPECTED, "in_transaction": 14}),
    "sarama": ("go", "classic", EXPECTED),
}


class Missing(Exception):
    """What a client needs and this machine has not."""


def install(kind: str):
    """Fetches and builds what rounds of this kind are run with; gives what goes before a round's arguments."""
    if kind == "python":
        return lambda _: [sys.executable, str(CLIENTS / "aio.py")]
    if kind == "node":
        if not (HERE / "node_modules/kafkajs").exists():
            raise Missing("npm packages are not installed")
        return lambda name: ["node", str(CLIENTS / f"{name.removesuffix('-848')}.mjs")]
    tool = {"java": "mvn", "go": "go"}[kind]
    if not shutil.which(tool) or not shutil.which(kind):
        raise Missing(f"{tool} is not installed")
    folder = CLIENTS / kind
    if kind == "java":
        stamp = folder / ".lib/.installed.xml"
        wanted = (folder / "pom.xml").read_text()
        if not stamp.exists() or stamp.read_text() != wanted:
            shutil.rmtree(folder / ".lib", ignore_errors=True)
            fetched(["mvn", "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=.lib"], folder)
            stamp.write_text(wanted)
        return lambda _: ["java", "-XX:TieredStopAtLevel=1", "-cp", f"{folder}/.lib/*", str(folder / "Round.java")]
    fetched(["go", "build", "-o", ".bin/", "./franz", "./sarama"], folder, GOTOOLCHAIN="local", GOFLAGS="-buildvcs=false")
    return lambda name: [str(folder / ".bin" / ("sarama" if name == "sarama" else "franz"))]


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
    show(f"kafka: {name}: administration, 300 records, a group of one, two and one, three transactions: as expected")
