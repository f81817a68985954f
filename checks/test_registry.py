"""The schema registry with real clients: confluent-kafka's serializers over real topics, and KafkaJS's registry client."""

import concurrent.futures
import json
import shutil
import subprocess
import urllib.error
import urllib.request
from base64 import b64encode

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.schema_registry import Schema, SchemaReference, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.schema_registry.json_schema import JSONDeserializer, JSONSerializer
from confluent_kafka.schema_registry.protobuf import ProtobufDeserializer, ProtobufSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, timestamp_pb2

from server import ROOT, Server, kafka_settings

pytestmark = pytest.mark.local

MEDIA_TYPE = "application/vnd.schemaregistry.v1+json"


@pytest.fixture(scope="module")
def broker():
    with Server(None, "--kafka-listen", "127.0.0.1:0") as server:
        yield server


@pytest.fixture(scope="module")
def project(broker):
    return broker.project("schemas")


class Registry:
    """The API, by hand."""

    def __init__(self, broker, project):
        kafka = project["kafka"]
        self.url = f"{broker.http}/registry"
        self.user = (kafka["username"], kafka["password"])

    def __call__(self, method, path, body=None, user=None):
        """Gives the status and the document."""
        user = user or self.user
        request = urllib.request.Request(self.url + path, method=method, data=None if body is None else json.dumps(body).encode())
        request.add_header("Authorization", "Basic " + b64encode(":".join(user).encode()).decode())
        request.add_header("Content-Type", MEDIA_TYPE)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                assert answer.headers["Content-Type"] == MEDIA_TYPE
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            assert error.headers["Content-Type"] == MEDIA_TYPE
            return error.code, json.loads(error.read())

    def client(self):
        return SchemaRegistryClient({"url": self.url, "basic.auth.user.info": ":".join(self.user)})


@pytest.fixture(scope="module")
def registry(broker, project):
    return Registry(broker, project)


@pytest.fixture
def fresh(broker):
    """A project of its own."""
    name = f"fresh-{len(broker.cli('project', 'list', '--json').stdout)}"
    return Registry(broker, broker.project(name))


def record(*fields, name="R") -> str:
    return json.dumps({"type": "record", "name": name, "fields": list(fields)})


A = {"name": "a", "type": "int"}
B = {"name": "b", "type": "string"}
B_OR = {**B, "default": ""}


def through_a_topic(project, topic, serialized) -> bytes:
    """What a consumer gets of what a producer sent."""
    config = kafka_settings(project)
    producer = Producer(config)
    producer.produce(topic, serialized)
    assert producer.flush(30) == 0
    consumer = Consumer({**config, "group.id": topic, "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    try:
        for _ in range(60):
            message = consumer.poll(0.5)
            if message and not message.error():
                return message.value()
    finally:
        consumer.close()
    raise AssertionError("nothing came")


def test_avro_serializers_with_references(registry, project):
    client = registry.client()
    part = Schema(json.dumps({"type": "record", "name": "Part", "namespace": "shop", "fields": [{"name": "n", "type": "int"}]}), "AVRO")
    client.register_schema("part", part)
    whole = json.dumps({"type": "record", "name": "Whole", "namespace": "shop", "fields": [
        {"name": "parts", "type": {"type": "array", "items": "shop.Part"}},
        {"name": "name", "type": ["null", "string"], "default": None}]})
    schema = Schema(whole, "AVRO", [SchemaReference("shop.Part", "part", 1)])
    context = SerializationContext("avro-topic", MessageField.VALUE)
    value = {"parts": [{"n": 7}, {"n": -1}], "name": "Ann"}
    sent = AvroSerializer(client, schema)(value, context)
    got = through_a_topic(project, "avro-topic", sent)
    assert got == sent
    assert AvroDeserializer(registry.client())(got, context) == value
    status, found = registry("GET", f"/schemas/ids/{int.from_bytes(got[1:5], 'big')}")
    assert status == 200 and found["references"] == [{"name": "shop.Part", "subject": "part", "version": 1}]
    assert "schemaType" not in found
    assert registry("GET", "/subjects/part/versions/1/referencedby") == (200, [int.from_bytes(got[1:5], "big")])
    assert registry("DELETE", "/subjects/part")[1]["error_code"] == 42206


def test_json_serializers_with_references(registry, project):
    client = registry.client()
    part = json.dumps({"$id": "https://example.com/part.json", "type": "object", "properties": {"n": {"type": "integer"}}})
    client.register_schema("json-part", Schema(part, "JSON"))
    whole = json.dumps({"$id": "https://example.com/whole.json", "title": "Whole", "type": "object",
                        "properties": {"part": {"$ref": "https://example.com/part.json"}}, "required": ["part"]})
    schema = Schema(whole, "JSON", [SchemaReference("https://example.com/part.json", "json-part", 1)])
    context = SerializationContext("json-topic", MessageField.VALUE)
    sent = JSONSerializer(schema, client)({"part": {"n": 3}}, context)
    got = through_a_topic(project, "json-topic", sent)
    assert got == sent
    assert JSONDeserializer(schema, schema_registry_client=registry.client())(got, context) == {"part": {"n": 3}}


def messages():
    """Two files, one of which imports the other and a known one, as a compiler would make them."""
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(timestamp_pb2.DESCRIPTOR.serialized_pb)
    part = descriptor_pb2.FileDescriptorProto(name="part.proto", package="shop", syntax="proto3")
    line = part.message_type.add(name="Part")
    line.field.add(name="n", number=1, type=17, label=1)
    pool.Add(part)
    whole = descriptor_pb2.FileDescriptorProto(name="whole.proto", package="shop", syntax="proto3",
                                               dependency=["part.proto", "google/protobuf/timestamp.proto"])
    whole.message_type.add(name="First")
    outer = whole.message_type.add(name="Outer")
    inner = outer.nested_type.add(name="Whole")
    inner.field.add(name="parts", number=1, type=11, type_name=".shop.Part", label=3)
    inner.field.add(name="at", number=2, type=11, type_name=".google.protobuf.Timestamp", label=1)
    inner.oneof_decl.add(name="_note")
    inner.field.add(name="note", number=3, type=9, label=1, oneof_index=0, proto3_optional=True)
    entry = inner.nested_type.add(name="CountsEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=9, label=1)
    entry.field.add(name="value", number=2, type=5, label=1)
    inner.field.add(name="counts", number=4, type=11, type_name=".shop.Outer.Whole.CountsEntry", label=3)
    pool.Add(whole)
    found = pool.FindMessageTypeByName("shop.Outer.Whole")
    return message_factory.GetMessageClass(found)


def test_protobuf_serializers_with_references(registry, project):
    kind = messages()
    value = kind(note="hello", counts={"x": 2})
    value.parts.add(n=-5)
    value.at.seconds = 1_700_000_000
    context = SerializationContext("proto-topic", MessageField.VALUE)
    sent = ProtobufSerializer(kind, registry.client())(value, context)
    got = through_a_topic(project, "proto-topic", sent)
    assert got == sent
    assert got[5:8] == bytes([4, 2, 0]), "the second message's first"
    assert ProtobufDeserializer(kind)(got, context) == value
    # With a registry it takes the writer's schema from there, as a descriptor, with what that refers to.
    assert ProtobufDeserializer(kind, {}, registry.client())(got, context) == value
    found = registry("GET", "/subjects/proto-topic-value/versions/latest")[1]
    assert found["schemaType"] == "PROTOBUF" and found["references"][0]["name"] == "part.proto"
    assert "optional string note = 3;" in found["schema"] and "map<string, int32> counts = 4;" in found["schema"]
    # Its text is the same schema as the descriptor that was sent.
    again = {"schema": found["schema"], "schemaType": "PROTOBUF", "references": found["references"]}
    assert registry("POST", "/subjects/proto-topic-value", again)[1]["id"] == found["id"]


def test_rules_hold_within_values_that_name_a_schema(registry, project):
    client = registry.client()
    schema = json.dumps({"type": "record", "name": "Login", "fields": [{"name": "note", "type": ["null", "string"]}, {"name": "n", "type": "int"}]})
    context = SerializationContext("logins", MessageField.VALUE)
    got = through_a_topic(project, "logins", AvroSerializer(client, schema)({"note": "paid with 4111 1111 1111 1111", "n": 5}, context))
    assert b"4111" not in got
    assert AvroDeserializer(client)(got, context) == {"note": "paid with [card]", "n": 5}
    kind = messages()
    context = SerializationContext("proto-logins", MessageField.VALUE)
    value = kind(note="password=hunter2", counts={"x": 2})
    value.parts.add(n=1)
    got = through_a_topic(project, "proto-logins", ProtobufSerializer(kind, client)(value, context))
    assert b"hunter2" not in got
    read = ProtobufDeserializer(kind)(got, context)
    assert read.note.startswith("password=[") and read.counts == value.counts and read.parts == value.parts


def test_kafkajs_client(registry):
    node = shutil.which("node")
    package = ROOT / "checks/node_modules/@kafkajs/confluent-schema-registry"
    if not node or not package.exists():
        pytest.skip("SKIPPED 3 cases: node or @kafkajs/confluent-schema-registry is not installed")
    username, password = registry.user
    done = subprocess.run([node, "clients/registry.mjs", registry.url, username, password], cwd=ROOT / "checks",
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.split() == ["AVRO", "JSON", "PROTOBUF"], done.stdout


def test_the_life_of_a_subject(fresh):
    one, two = {"schema": record(A)}, {"schema": record(A, B_OR)}
    assert fresh("GET", "/subjects") == (200, [])
    status, first = fresh("POST", "/subjects/s/versions", one)
    assert (status, first["id"], first["version"]) == (200, 1, 1)
    assert fresh("POST", "/subjects/s/versions", one)[1]["id"] == 1, "the same is no new version"
    assert fresh("POST", "/subjects/other/versions", one)[1]["id"] == 1, "an id is one over all subjects"
    assert fresh("POST", "/subjects/s/versions", two)[1]["id"] == 2
    assert fresh("GET", "/subjects/s/versions") == (200, [1, 2])
    assert fresh("GET", "/subjects/s/versions/latest")[1]["version"] == 2
    assert fresh("GET", "/subjects/s/versions/-1/schema")[1] == json.loads(two["schema"])
    assert fresh("POST", "/subjects/s", one)[1]["version"] == 1
    guid = fresh("GET", "/schemas/ids/1")[1]["guid"]
    assert fresh("GET", f"/schemas/guids/{guid}")[1]["schema"] == fresh("GET", "/schemas/ids/1")[1]["schema"]
    assert fresh("GET", "/schemas/ids/1/schema")[1] == json.loads(one["schema"])
    assert fresh("GET", "/schemas/ids/1/subjects") == (200, ["other", "s"])
    assert fresh("GET", "/schemas/ids/1/versions")[1] == [{"subject": "other", "version": 1}, {"subject": "s", "version": 1}]
    assert [each["id"] for each in fresh("GET", "/schemas?subjectPrefix=s&latestOnly=true")[1]] == [2]
    assert len(fresh("GET", "/schemas")[1]) == 3
    # Deleting hides first.
    assert fresh("DELETE", "/subjects/s/versions/2?permanent=true")[1]["error_code"] == 40407
    assert fresh("DELETE", "/subjects/s/versions/2") == (200, 2)
    assert fresh("DELETE", "/subjects/s/versions/2")[1]["error_code"] == 40406
    assert fresh("GET", "/subjects/s/versions/2")[1]["error_code"] == 40402
    assert fresh("GET", "/subjects/s/versions/2?deleted=true")[1]["id"] == 2
    assert fresh("GET", "/schemas/ids/2")[0] == 200, "values that were written with it still open"
    assert fresh("DELETE", "/subjects/s/versions/2?permanent=true") == (200, 2)
    assert fresh("GET", "/schemas/ids/2")[1]["error_code"] == 40403
    assert fresh("DELETE", "/subjects/s?permanent=true")[1]["error_code"] == 40405
    assert fresh("DELETE", "/subjects/s") == (200, [1])
    assert fresh("DELETE", "/subjects/s")[1]["error_code"] == 40404
    assert fresh("GET", "/subjects/s/versions")[1]["error_code"] == 40401
    assert fresh("GET", "/subjects?deleted=true") == (200, ["other", "s"])
    assert fresh("DELETE", "/subjects/s?permanent=true") == (200, [1])
    assert fresh("GET", "/subjects?deleted=true") == (200, ["other"])
    # An id is never given twice.
    assert fresh("POST", "/subjects/s/versions", two)[1]["id"] == 3


def test_compatibility(fresh):
    fresh("POST", "/subjects/s/versions", {"schema": record(A)})
    narrower = {"schema": record(A, B)}
    assert fresh("POST", "/compatibility/subjects/s/versions/latest", narrower) == (200, {"is_compatible": False})
    status, told = fresh("POST", "/compatibility/subjects/s/versions?verbose=true", narrower)
    assert "READER_FIELD_MISSING_DEFAULT_VALUE" in told["messages"][0] and "{oldSchemaVersion: 1}" in told["messages"]
    status, refused = fresh("POST", "/subjects/s/versions", narrower)
    assert (status, refused["error_code"]) == (409, 409) and "incompatible with an earlier schema" in refused["message"]
    assert fresh("PUT", "/config/s", {"compatibility": "FORWARD"}) == (200, {"compatibility": "FORWARD"})
    assert fresh("GET", "/config/s") == (200, {"compatibilityLevel": "FORWARD"})
    assert fresh("POST", "/subjects/s/versions", narrower)[0] == 200
    assert fresh("DELETE", "/config/s") == (200, {"compatibilityLevel": "FORWARD"})
    assert fresh("GET", "/config/s")[1]["error_code"] == 40408
    assert fresh("GET", "/config/s?defaultToGlobal=true") == (200, {"compatibilityLevel": "BACKWARD"})
    assert fresh("PUT", "/config", {"compatibility": "NONE"})[0] == 200
    assert fresh("POST", "/subjects/s/versions", {"schema": '"string"'})[0] == 200
    assert fresh("GET", "/config") == (200, {"compatibilityLevel": "NONE"})
    assert fresh("PUT", "/config", {"compatibility": "SIDEWAYS"})[1]["error_code"] == 42203


def test_modes_contexts_and_ids_of_old(fresh):
    assert fresh("GET", "/mode") == (200, {"mode": "READWRITE"})
    assert fresh("PUT", "/mode/old", {"mode": "IMPORT"}) == (200, {"mode": "IMPORT"})
    assert fresh("POST", "/subjects/old/versions", {"schema": record(A)})[1]["error_code"] == 42205
    assert fresh("POST", "/subjects/old/versions", {"schema": record(A), "id": 77, "version": 5})[1]["id"] == 77
    assert fresh("GET", "/subjects/old/versions") == (200, [5])
    assert fresh("POST", "/subjects/old/versions", {"schema": record(B), "id": 77})[1]["error_code"] == 42205
    assert fresh("POST", "/subjects/s/versions", {"schema": record(B)})[1]["id"] == 78
    assert fresh("POST", "/subjects/s/versions", {"schema": record(A, B), "id": 90})[1]["error_code"] == 42205
    assert fresh("PUT", "/mode/s", {"mode": "READONLY"})[0] == 200
    assert fresh("POST", "/subjects/s/versions", {"schema": record(B, {**A, "default": 0})})[1]["error_code"] == 42205
    assert fresh("PUT", "/mode/s", {"mode": "LOUD"})[1]["error_code"] == 42204
    assert fresh("GET", "/mode/none")[1]["error_code"] == 40409
    assert fresh("PUT", "/mode", {"mode": "IMPORT"})[1]["error_code"] == 42205, "there are subjects"
    assert fresh("POST", "/subjects/%3A.test%3As/versions", {"schema": '"int"'})[0] == 200
    assert fresh("GET", "/contexts") == (200, [".", ".test"])
    assert fresh("GET", "/contexts/.test/subjects") == (200, [":.test:s"])
    assert fresh("GET", "/contexts/.test/subjects/s/versions/latest")[1]["schema"] == '"int"'
    assert fresh("GET", "/subjects") == (200, [":.test:s", "old", "s"])


def test_what_users_of_other_registries_stumbled_over(fresh):
    # Primitive types are their names.
    fresh("POST", "/subjects/p/versions", {"schema": '{"type": "string"}'})
    assert fresh("GET", "/schemas/ids/1")[1]["schema"] == '"string"'
    # Files that every compiler brings need no reference.
    known = 'syntax = "proto3"; import "google/protobuf/timestamp.proto"; import "confluent/meta.proto"; message M { google.protobuf.Timestamp t = 1; }'
    assert fresh("POST", "/subjects/m/versions", {"schema": known, "schemaType": "PROTOBUF"})[0] == 200
    assert fresh("GET", "/schemas/types")[1] == ["JSON", "PROTOBUF", "AVRO"]
    for body, code in [({"schema": "{"}, 42201), ({}, 42201), ({"schema": '"int"', "schemaType": "XML"}, 42201),
                       ({"schema": '"int"', "references": [{"name": "x", "subject": "none", "version": 1}]}, 42201)]:
        assert fresh("POST", "/subjects/bad/versions", body)[1]["error_code"] == code, body
    for path, code in [("/subjects/none/versions/1", 40401), ("/subjects/p/versions/9", 40402), ("/subjects/p/versions/x", 42202),
                       ("/subjects/p/versions/0", 42202), ("/schemas/ids/99", 40403), ("/schemas/ids/x", 40403), ("/nowhere", 404)]:
        status, refused = fresh("GET", path)
        assert (refused["error_code"], status) == (code, code if code < 1000 else code // 100), path
    assert fresh("POST", "/subjects/p", {"schema": '"long"'})[1]["error_code"] == 40403


def test_one_schema_at_once_has_one_id(fresh):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        same = [pool.submit(fresh, "POST", "/subjects/same/versions", {"schema": record(A)}) for _ in range(24)]
        many = [pool.submit(fresh, "POST", f"/subjects/s{n % 3}-{n}/versions", {"schema": record(A, name=f"R{n}")}) for n in range(24)]
    assert {(each.result()[1]["id"], each.result()[1]["version"]) for each in same} == {(same[0].result()[1]["id"], 1)}
    assert len({each.result()[1]["id"] for each in many}) == 24


def test_who_may(broker, project, registry, fresh):
    assert registry("GET", "/subjects", user=("nobody", "wrong"))[0] == 401
    assert registry("GET", "/subjects", user=(registry.user[0], "wrong"))[0] == 401
    registry("POST", "/subjects/own/versions", {"schema": '"int"'})
    assert fresh("GET", "/subjects/own/versions")[1]["error_code"] == 40401, "another project's"
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{broker.http}/registry/subjects", timeout=10)
    assert refused.value.code == 401 and refused.value.headers["WWW-Authenticate"].startswith("Basic")


def test_schemas_outlive_the_process(broker):
    with Server(None, "--kafka-listen", "127.0.0.1:0") as server:
        registry = Registry(server, server.project("kept"))
        registry("POST", "/subjects/s/versions", {"schema": record(A)})
        registry("PUT", "/config/s", {"compatibility": "FULL", "normalize": True})
        registry("DELETE", "/subjects/s/versions/1")
        server.kill()
        server.start()
        registry.url = f"{server.http}/registry"
        assert registry("GET", "/subjects/s/versions/1?deleted=true")[1]["id"] == 1
        assert registry("GET", "/config/s")[1] == {"compatibilityLevel": "FULL", "normalize": True}
        assert registry("POST", "/subjects/s/versions", {"schema": record(B)})[1]["id"] == 2


def test_clients_see_errors_as_such(registry):
    with pytest.raises(SchemaRegistryError) as refused:
        registry.client().get_schema(4242)
    assert refused.value.error_code == 40403 and refused.value.http_status_code == 404
