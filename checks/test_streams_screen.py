"""The Streams area of the screen in a real browser, over what real Kafka clients sent: every view, axe, both themes, keyboard."""

import json
import os
import pathlib
import shutil
import subprocess
import threading

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from server import Server

pytestmark = pytest.mark.local

HERE = pathlib.Path(__file__).parent
LIMIT_S = 300
CARD = "4111 1111 1111 1111"


def send(config, topic, messages):
    producer = Producer(config)
    for message in messages:
        producer.produce(topic, **message)
    assert producer.flush(20) == 0


def seed(config):
    """Topics as people have them: JSON, cards for the gate, framed bytes, transactions and tombstones."""
    admin = AdminClient(config)
    for future in admin.create_topics([NewTopic(name, partitions) for name, partitions in (("orders", 4), ("payments", 2), ("binary", 1), ("ledger", 1))]).values():
        future.result(20)
    cities = ["Lyon", "Graz", "Porto", "Ghent", "Turku"]
    send(config, "orders", [{"key": f"order-{n % 40}", "value": json.dumps({"order": n, "total": round(n * 1.37, 2), "city": cities[n % 5], "items": [{"sku": f"S-{n % 9}", "count": 1 + n % 3}]}),
                             "headers": [("trace", f"{n:032x}"), ("source", "checkout")]} for n in range(600)])
    send(config, "payments", [{"key": f"order-{n}", "value": json.dumps({"order": n, "card": CARD, "note": "paid at the till"})} for n in range(30)])
    send(config, "binary", [{"key": bytes([0, n]), "value": b"\x00\x00\x00\x00\x07" + bytes(range(n, n + 40))} for n in range(20)])
    moving = Producer({**config, "transactional.id": "mover"})
    moving.init_transactions(20)
    for number, commits in enumerate((True, False, True)):
        moving.begin_transaction()
        moving.produce("ledger", key=f"account-{number}", value=json.dumps({"moved": number}))
        moving.flush(20)
        moving.commit_transaction(20) if commits else moving.abort_transaction(20)
    send(config, "ledger", [{"key": "account-0", "value": None}])


@pytest.fixture
def reading():
    """Runs members of a group until the check is over."""
    over, threads = threading.Event(), []

    def begin(config, group, topic, client):
        def read():
            consumer = Consumer({**config, "group.id": group, "client.id": client, "auto.offset.reset": "earliest", "enable.auto.commit": False})
            consumer.subscribe([topic])
            seen = 0
            while not over.is_set():
                message = consumer.poll(0.2)
                # It falls behind: every third message is committed, and no more than some.
                if message and not message.error() and (seen := seen + 1) % 3 == 0 and seen < 200:
                    consumer.commit(message, asynchronous=True)
            consumer.close()
        threads.append(threading.Thread(target=read, daemon=True))
        threads[-1].start()

    yield begin
    over.set()
    for thread in threads:
        thread.join(10)


def test_the_streams_area_works_and_axe_finds_no_serious_fault(show, reading):
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if not chromium or not (HERE / "node_modules/playwright-core").exists():
        pytest.skip("Chromium or playwright-core is not installed: 1 case")
    with Server(None, "--kafka-listen", "127.0.0.1:0") as server:
        assert server.api("POST", "/api/v1/setup", {"email": "ada@example.org", "password": "correct horse battery"}).status == 200
        server.project("shop")
        kafka = server.project("store")["kafka"]
        config = {"bootstrap.servers": kafka["bootstrap"], "security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "SCRAM-SHA-256",
                  "sasl.username": kafka["username"], "sasl.password": kafka["password"]}
        seed(config)
        for client in ("billing-a", "billing-b"):
            reading(config, "billing", "orders", client)
        reports = Consumer({**config, "group.id": "reports"})
        reports.commit(offsets=[TopicPartition("orders", partition, 20) for partition in range(3)], asynchronous=False)
        reports.close()
        out = pathlib.Path(os.environ.get("CANDOR_SCREENSHOTS", HERE / "screen/out"))
        done = subprocess.run(["node", "screen/streams.mjs", server.http.replace("127.0.0.1", "localhost"), str(out)], cwd=HERE, capture_output=True,
                              text=True, timeout=LIMIT_S, env={**os.environ, "CHROMIUM": chromium})
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    looks = [line for line in lines if "view" in line]
    walks = [line for line in lines if "walked" in line]
    show(f"streams screen: {len(looks)} looks with axe, {sum(line['serious'] for line in looks)} serious faults; "
         f"{len(walks)} views walked by Tab, {sum(line['stops'] for line in walks)} stops")
    failed = "\n".join(json.dumps(line["failed"]) for line in lines if "failed" in line)
    assert done.returncode == 0 and not failed and lines[-1:] == [{"wrong": 0}], f"{failed}\n{done.stderr[-2000:]}"
