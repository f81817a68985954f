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
from confluent_kafka.schema_registry import Schema, SchemaReference, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

from server import Server, kafka_settings

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


@pytest.fixture
def store():
    """A server with an account, a project without anything and one to be filled; how its Kafka is reached."""
    with Server(None, "--kafka-listen", "127.0.0.1:0") as server:
        assert server.api("POST", "/api/v1/setup", {"email": "ada@example.org", "password": "correct horse battery"}).status == 200
        server.project("shop")
        yield server, kafka_settings(server.project("store"))


def walk(server, script, show):
    """Runs a script of the browser against a server, and fails with what it found wrong."""
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if not chromium or not (HERE / "node_modules/playwright-core").exists():
        pytest.skip("Chromium or playwright-core is not installed: 1 case")
    out = pathlib.Path(os.environ.get("CANDOR_SCREENSHOTS", HERE / "screen/out"))
    done = subprocess.run(["node", f"screen/{script}", server.http.replace("127.0.0.1", "localhost"), str(out)], cwd=HERE, capture_output=True,
                          text=True, timeout=LIMIT_S, env={**os.environ, "CHROMIUM": chromium})
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    looks = [line for line in lines if "view" in line]
    walks = [line for line in lines if "walked" in line]
    show(f"{script}: {len(looks)} looks with axe, {sum(line['serious'] for line in looks)} serious faults; "
         f"{len(walks)} views walked by Tab, {sum(line['stops'] for line in walks)} stops")
    failed = "\n".join(json.dumps(line["failed"]) for line in lines if "failed" in line)
    assert done.returncode == 0 and not failed and lines[-1:] == [{"wrong": 0}], f"{failed}\n{done.stderr[-2000:]}"


def test_the_streams_area_works_and_axe_finds_no_serious_fault(show, store, reading):
    server, config = store
    seed(config)
    for client in ("billing-a", "billing-b"):
        reading(config, "billing", "orders", client)
    reports = Consumer({**config, "group.id": "reports"})
    reports.commit(offsets=[TopicPartition("orders", partition, 20) for partition in range(3)], asynchronous=False)
    reports.close()
    walk(server, "streams.mjs", show)


def record(*fields):
    return json.dumps({"type": "record", "name": "Order", "namespace": "shop", "doc": "What somebody bought.", "fields": list(fields)})


def seed_schemas(registry, config):
    """Subjects as people have them: versions, references, contexts, hidden ones, and messages that name them."""
    field = lambda name, kind, **more: {"name": name, "type": kind, **more}
    base = [field("id", "string"), field("total", "double"), field("items", {"type": "array", "items": {"type": "record", "name": "Item", "fields": [field("sku", "string"), field("count", "int")]}})]
    later = [*base, field("city", ["null", "string"], default=None)]
    newest = [field("id", "string"), field("total", "double", doc="In euros."), *later[2:], field("tags", {"type": "array", "items": "string"}, default=[])]
    versions = [record(*fields) for fields in (base, later, newest)]
    for version in versions:
        registry.register_schema("orders-value", Schema(version, "AVRO"))
    registry.register_schema(":.staging:orders-value", Schema(versions[0], "AVRO"))
    registry.register_schema("customers-value", Schema(json.dumps({"title": "Customer", "type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer"}}}), "JSON"))
    registry.register_schema("money-value", Schema('syntax = "proto3";\npackage shop;\nmessage Money { int64 cents = 1; string currency = 2; }', "PROTOBUF"))
    registry.register_schema("payments-value", Schema(
        'syntax = "proto3";\npackage shop;\nimport "money.proto";\nmessage Payment { string order = 1; shop.Money paid = 2; repeated string notes = 3; }',
        "PROTOBUF", [SchemaReference("money.proto", "money-value", 1)]))
    registry.register_schema("legacy-value", Schema('"string"', "AVRO"))
    registry.delete_subject("legacy-value")
    orders = lambda version: AvroSerializer(registry, versions[version], conf={"auto.register.schemas": False, "use.latest.version": False})
    admin = AdminClient(config)
    admin.create_topics([NewTopic("orders", 2)])["orders"].result(20)
    order = {"id": "order-1", "total": 12.5, "items": [{"sku": "S-1", "count": 2}], "city": "Graz", "tags": ["gift"]}
    for version in (0, 2):
        serialize = orders(version)
        send(config, "orders", [{"key": f"order-{n}", "value": serialize({**order, "id": f"order-{n}"}, SerializationContext("orders", MessageField.VALUE))} for n in range(10)])


def test_schemas_are_looked_at_compared_tested_and_changed(show, store):
    server, config = store
    with SchemaRegistryClient({"url": f"{server.http}/registry", "basic.auth.user.info": f"{config['sasl.username']}:{config['sasl.password']}"}) as registry:
        seed_schemas(registry, config)
    walk(server, "schemas.mjs", show)
