"""Kafka over HTTP as kafka-rest speaks it: what goes in by plain HTTP comes out of librdkafka, and back."""

import base64
import http.client
import json
import time
import urllib.parse
import uuid

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

from server import Server, fresh_name, kafka_settings

pytestmark = pytest.mark.local

# Longest time for what takes some round trips, seconds.
SOON_S = 30


@pytest.fixture(scope="module")
def broker():
    with Server(None, "--kafka-listen", "127.0.0.1:0") as server:
        yield server


@pytest.fixture(scope="module")
def project(broker):
    return broker.project("rest")


class Rest:
    """A client of one project."""

    def __init__(self, broker, project):
        self.broker, kafka = broker, project["kafka"]
        pair = base64.b64encode(f"{kafka['username']}:{kafka['password']}".encode()).decode()
        self.headers = {"Authorization": f"Basic {pair}"}
        self.cluster = self.ask("GET", "/v3/clusters").json()["data"][0]["cluster_id"]

    def ask(self, method, path, body=None, kind="application/json"):
        body = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        return self.broker.request(method, f"/kafka{path}", body, {**self.headers, "Content-Type": kind})

    def v3(self, method, path, body=None):
        return self.ask(method, f"/v3/clusters/{self.cluster}{path}", body)

    def topic(self, partitions=1) -> str:
        name = fresh_name()
        made = self.v3("POST", "/topics", {"topic_name": name, "partitions_count": partitions})
        assert made.status == 201, made
        return name


@pytest.fixture(scope="module")
def rest(broker, project):
    return Rest(broker, project)


@pytest.fixture(scope="module")
def settings(project) -> dict:
    return kafka_settings(project)


def consume(settings, topic, count) -> list:
    """Reads a topic from its beginning until there are so many messages."""
    consumer = Consumer({**settings, "group.id": uuid.uuid4().hex, "auto.offset.reset": "earliest", "enable.auto.commit": False})
    consumer.subscribe([topic])
    found, until = [], time.monotonic() + SOON_S
    try:
        while len(found) < count and time.monotonic() < until:
            for message in consumer.consume(500, timeout=0.5):
                assert message.error() is None, message.error()
                found.append(message)
    finally:
        consumer.close()
    return found


def records_in(rest, topic, records):
    body = "\n".join(json.dumps(record) for record in records).encode()
    answer = rest.v3("POST", f"/topics/{topic}/records", body)
    assert answer.status == 200, answer
    return [json.loads(line) for line in answer.body.splitlines()]


def test_records_in_by_http_come_out_of_librdkafka(rest, settings, show):
    topic = rest.topic(4)
    count = 2000
    records = [{"key": {"type": "STRING", "data": f"k{n}"}, "value": {"type": "JSON", "data": {"n": n}},
                "headers": [{"name": "h", "value": base64.b64encode(bytes([n % 256])).decode()}], "timestamp": "2026-01-02T03:04:05.678Z"}
               for n in range(count)]
    told = records_in(rest, topic, records)
    assert [line["error_code"] for line in told] == [200] * count
    found = consume(settings, topic, count)
    where = {message.key().decode(): (message.partition(), message.offset()) for message in found}
    assert where == {f"k{n}": (told[n]["partition_id"], told[n]["offset"]) for n in range(count)}
    for message in found:
        n = int(message.key()[1:])
        assert json.loads(message.value()) == {"n": n} and message.headers() == [("h", bytes([n % 256]))]
        assert message.timestamp()[1] == 1767323045678
    # A record with a key goes where librdkafka sends it with the partitioner of the Java client.
    producer, placed = Producer({**settings, "partitioner": "murmur2_random"}), {}
    for n in range(100):
        producer.produce(topic, b"", key=f"k{n}", on_delivery=lambda error, message: placed.update({message.key().decode(): message.partition()}))
    assert producer.flush(SOON_S) == 0
    assert placed == {key: where[key][0] for key in placed} and len(placed) == 100
    show(f"kafka rest: {count} records in by HTTP, {len(found)} equal out of librdkafka; 100 of 100 keys where Java's clients send them")


def test_records_of_librdkafka_come_out_by_http(rest, settings, show):
    topic = rest.topic()
    producer = Producer({**settings, "compression.type": "zstd", "linger.ms": 20})
    values = [json.dumps({"n": n}).encode() if n % 3 == 0 else f"text {n}".encode() if n % 3 == 1 else bytes([255, n % 256]) for n in range(1500)]
    for n, value in enumerate(values):
        producer.produce(topic, value, key=None if n % 2 else b"k", headers=[("h", b"\x00")], timestamp=1767323045000 + n)
    assert producer.flush(SOON_S) == 0
    path, found = f"/topics/{topic}/partitions/0/records?offset=0", []
    while len(found) < len(values):
        page = rest.v3("GET", path).json()
        assert page["data"], len(found)
        found += page["data"]
        path = page["metadata"]["next"].split(rest.cluster)[1]
    back = {"JSON": lambda data: json.dumps(data).encode(), "STRING": str.encode, "BINARY": base64.b64decode}
    assert [back[record["value"]["type"]](record["value"]["data"]) for record in found] == values
    assert [record["offset"] for record in found] == list(range(len(values)))
    assert found[0]["key"] == {"type": "STRING", "data": "k"} and found[1]["key"] is None
    assert found[0]["headers"] == [{"name": "h", "value": "AA=="}]
    later = rest.v3("GET", f"/topics/{topic}/partitions/0/records?timestamp=1767323045700&max_records=1").json()["data"]
    assert later[0]["offset"] == 700
    show(f"kafka rest: {len(found)} of {len(values)} records of librdkafka equal by HTTP")


def test_aborted_transactions_are_not_read(rest, settings):
    topic = rest.topic()
    producer = Producer({**settings, "transactional.id": uuid.uuid4().hex})
    producer.init_transactions(SOON_S)
    for value, ends in ((b"1", producer.abort_transaction), (b"2", producer.commit_transaction), (b"3", producer.abort_transaction)):
        producer.begin_transaction()
        producer.produce(topic, value)
        assert producer.flush(SOON_S) == 0
        ends(SOON_S)
    page = rest.v3("GET", f"/topics/{topic}/partitions/0/records?type=STRING").json()
    assert [record["value"]["data"] for record in page["data"]] == ["2"]


def test_a_stream_is_answered_while_it_goes_on(rest, broker, show):
    topic = rest.topic()
    host, port = broker.ready["http"].rsplit(":", 1)
    connection = http.client.HTTPConnection(host, int(port), timeout=SOON_S)
    connection.putrequest("POST", f"/kafka/v3/clusters/{rest.cluster}/topics/{topic}/records")
    for name, value in {**rest.headers, "Content-Type": "application/json", "Transfer-Encoding": "chunked"}.items():
        connection.putheader(name, value)
    connection.endheaders()

    def piece(data: bytes):
        connection.send(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    response, offsets = None, []
    for n in range(20):
        one = json.dumps({"value": {"type": "JSON", "data": n}}).encode()
        half = len(one) // 2
        piece(one[:half])
        piece(one[half:])
        response = response or connection.getresponse()
        offsets.append(json.loads(response.readline())["offset"])
    connection.send(b"0\r\n\r\n")
    assert response.read() == b"" and offsets == list(range(20))
    connection.close()
    show("kafka rest: 20 records of one open stream, each answered before the next was sent")


def test_open_streams_hold_room_for_what_has_come_and_no_more(rest, broker):
    topic = rest.topic()
    host, port = broker.http.split("//")[1].split(":")
    path = f"/kafka/v3/clusters/{rest.cluster}/topics/{topic}/records"
    waiting = []
    for _ in range(24):
        connection = http.client.HTTPConnection(host, int(port), timeout=SOON_S)
        connection.putrequest("POST", path)
        for name, value in {**rest.headers, "Content-Type": "application/json", "Transfer-Encoding": "chunked"}.items():
            connection.putheader(name, value)
        connection.endheaders()
        begun = b'{"value": {"type": "STRING", "data": "' + b"x" * 100_000
        connection.send(b"%x\r\n%s\r\n" % (len(begun), begun))
        waiting.append(connection)
    time.sleep(0.5)
    began = time.monotonic()
    answer = rest.ask("POST", f"/topics/{topic}", {"records": [{"value": "y" * 500_000}, {"value": "z"}]}, "application/vnd.kafka.json.v2+json")
    assert [told["error_code"] for told in answer.json()["offsets"]] == [None, None] and time.monotonic() - began < 5
    for connection in waiting:
        connection.send(b'3\r\n"}}\r\n0\r\n\r\n')
    assert sorted(json.loads(connection.getresponse().read())["offset"] for connection in waiting) == list(range(2, 26))
    for connection in waiting:
        connection.close()


def test_one_record_that_is_refused_among_many_is_found_quickly(rest, show):
    topic, count = rest.topic(), 20_000
    assert rest.v3("POST", f"/topics/{topic}/configs:alter", {"data": [{"name": "cleanup.policy", "value": "compact"}]}).status == 204
    # A compacted topic takes no record without a key.
    records = [{"key": None if n == count // 3 else n, "value": n} for n in range(count)]
    began = time.monotonic()
    told = rest.ask("POST", f"/topics/{topic}", {"records": records}, "application/vnd.kafka.json.v2+json").json()["offsets"]
    took = time.monotonic() - began
    assert [n for n, one in enumerate(told) if one["error_code"] is not None] == [count // 3]
    assert [one["offset"] for one in told if one["offset"] is not None] == list(range(count - 1)) and took < 10
    show(f"kafka rest: {count} records of which one is refused, answered in {took:.2f} s")


def test_version_2(rest, settings):
    # JSON is stored as it stands in the request.
    topic = rest.topic(2)
    body = {"records": [{"key": "aw==", "value": "dg==", "partition": 1}, {"value": "dw==", "partition": 0}]}
    answer = rest.ask("POST", f"/topics/{topic}", body, "application/vnd.kafka.binary.v2+json")
    assert [(told["partition"], told["offset"]) for told in answer.json()["offsets"]] == [(1, 0), (0, 0)]
    answer = rest.ask("POST", f"/topics/{topic}", {"records": [{"value": {"a": 1}, "partition": 0}]}, "application/vnd.kafka.json.v2+json")
    assert answer.json()["offsets"] == [{"partition": 0, "offset": 1, "error_code": None, "error": None}]
    assert sorted((m.partition(), m.offset(), m.key(), m.value()) for m in consume(settings, topic, 3)) == [
        (0, 0, None, b"w"), (0, 1, None, b'{"a": 1}'), (1, 0, b"k", b"v")]
    assert topic in rest.ask("GET", "/topics").json()
    assert rest.ask("GET", f"/topics/{topic}/partitions/0/offsets").json() == {"beginning_offset": 0, "end_offset": 2}


V2 = "application/vnd.kafka.v2+json"


def test_a_consumer_instance_reads_what_librdkafka_sent(rest, settings, show):
    topic, group, count = rest.topic(4), fresh_name(), 2000
    producer = Producer({**settings, "linger.ms": 20})
    for n in range(count):
        producer.produce(topic, json.dumps({"n": n}).encode(), str(n % 50).encode())
    assert producer.flush(SOON_S) == 0
    made = rest.ask("POST", f"/consumers/{group}", {"name": "one", "format": "json", "auto.offset.reset": "earliest", "auto.commit.enable": "false"}, V2)
    assert made.status == 200 and made.json()["base_uri"].endswith(f"/kafka/consumers/{group}/instances/one"), made
    one = f"/consumers/{group}/instances/one"
    assert rest.ask("POST", f"{one}/subscription", {"topics": [topic]}, V2).status == 204
    seen, until, asked = [], time.monotonic() + SOON_S, 0
    while len(seen) < count and time.monotonic() < until:
        seen += rest.ask("GET", f"{one}/records?timeout=3000", kind="application/vnd.kafka.json.v2+json").json()
        asked += 1
    assert sorted(record["value"]["n"] for record in seen) == list(range(count))
    assert rest.ask("POST", f"{one}/offsets", None, V2).status == 200
    # A real consumer of the group goes on where it left off.
    assert rest.ask("DELETE", one).status == 204
    producer.produce(topic, b'{"n": -1}', b"7")
    assert producer.flush(SOON_S) == 0
    consumer = Consumer({**settings, "group.id": group, "group.protocol": "consumer", "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    found, until = [], time.monotonic() + SOON_S
    while not found and time.monotonic() < until:
        found = consumer.consume(10, timeout=0.5)
    assert [message.value() for message in found] == [b'{"n": -1}']
    consumer.close()
    show(f"kafka rest: {count} records read by a consumer instance in {asked} requests, and its group handed to librdkafka")


def test_schemas_by_http_and_by_confluents_serializers_are_the_same(rest, broker, project, settings):
    topic = rest.topic()
    text = json.dumps({"type": "record", "name": "Order", "fields": [{"name": "id", "type": "string"}, {"name": "note", "type": ["null", "string"], "default": None}]})
    body = {"value_schema": text, "records": [{"value": {"id": "by-http", "note": {"string": "n"}}}]}
    sent = rest.ask("POST", f"/topics/{topic}", body, "application/vnd.kafka.avro.v2+json").json()
    user = project["kafka"]
    with SchemaRegistryClient({"url": f"{broker.http}/registry", "basic.auth.user.info": f"{user['username']}:{user['password']}"}) as registry:
        latest = registry.get_latest_version(f"{topic}-value")
        assert latest.schema_id == sent["value_schema_id"]
        context = SerializationContext(topic, MessageField.VALUE)
        assert AvroDeserializer(registry)(consume(settings, topic, 1)[0].value(), context) == {"id": "by-http", "note": "n"}
        producer = Producer(settings)
        producer.produce(topic, AvroSerializer(registry, text)({"id": "by-client", "note": None}, context))
        assert producer.flush(SOON_S) == 0
    read = rest.v3("GET", f"/topics/{topic}/partitions/0/records?type=AVRO").json()["data"]
    assert [record["value"] for record in read] == [{"type": "AVRO", "schema_id": latest.schema_id, "data": {"id": name, "note": note}} for name, note in (("by-http", "n"), ("by-client", None))]
    told = records_in(rest, topic, [{"value": {"schema_version": 1, "data": {"id": 5}}}, {"value": {"data": {"id": "latest", "note": None}}}])
    assert [line["error_code"] for line in told] == [42203, 200] and "id: a string is expected" in told[0]["message"]


def test_groups_of_real_consumers(rest, settings):
    topic = rest.topic(2)
    records_in(rest, topic, [{"partition_id": n % 2, "value": {"type": "JSON", "data": n}} for n in range(10)])
    for protocol in ("classic", "consumer"):
        group = uuid.uuid4().hex
        consumer = Consumer({**settings, "group.id": group, "group.protocol": protocol, "auto.offset.reset": "earliest",
                             "enable.auto.commit": False, "client.id": "c"})
        consumer.subscribe([topic])
        seen, until = [], time.monotonic() + SOON_S
        while len(seen) < 10 and time.monotonic() < until:
            seen += consumer.consume(10, timeout=0.5)
        consumer.commit(offsets=[TopicPartition(topic, 0, 5), TopicPartition(topic, 1, 2)], asynchronous=False)
        shown = rest.v3("GET", f"/consumer-groups/{group}").json()
        assert (shown["state"], shown["type"], shown["is_simple"]) == ("STABLE", protocol.upper(), False)
        members = rest.v3("GET", f"/consumer-groups/{group}/consumers").json()["data"]
        assert [member["client_id"] for member in members] == ["c"]
        given = rest.v3("GET", f"/consumer-groups/{group}/consumers/{urllib.parse.quote(members[0]['consumer_id'], safe='')}/assignments").json()["data"]
        assert sorted((one["topic_name"], one["partition_id"]) for one in given) == [(topic, 0), (topic, 1)]
        lags = rest.v3("GET", f"/consumer-groups/{group}/lags").json()["data"]
        assert {(lag["partition_id"], lag["lag"], lag["consumer_id"]) for lag in lags} == {(0, 0, members[0]["consumer_id"]), (1, 3, members[0]["consumer_id"])}
        assert rest.v3("GET", f"/consumer-groups/{group}/lag-summary").json()["total_lag"] == 3
        consumer.close()


def test_who_and_what_is_refused(rest, broker, project):
    other = Rest(broker, broker.project("other"))
    topic = rest.topic()
    assert other.v3("GET", f"/topics/{topic}").status == 404
    key, token = project["dsn"].split("//")[1].split("@")[0], project["ingest_token"]
    for value in (None, "Basic bm9ib2R5Og==", f"Bearer {token}", f"Basic {base64.b64encode(f'{key}:{token}'.encode()).decode()}"):
        headers = {"Content-Type": "application/json", **({"Authorization": value} if value else {})}
        for method, path in (("GET", "/kafka/v3/clusters"), ("GET", "/kafka/topics"), ("POST", f"/kafka/topics/{topic}"),
                             ("POST", f"/kafka/v3/clusters/{rest.cluster}/topics/{topic}/records")):
            answer = broker.request(method, path, b"{}" if method == "POST" else None, headers)
            assert answer.status == 401 and answer.json()["error_code"] == 40101 and answer.json()["message"], (method, path, value)
    assert rest.v3("POST", f"/topics/{topic}/records", b"").status == 422
    told = records_in(rest, topic, [{"value": {"type": "AVRO", "data": 1}}, {"value": {"type": "STRING", "data": "x"}}])
    assert [line["error_code"] for line in told] == [40801, 200]
    assert rest.ask("GET", "/nothing").json()["error_code"] == 404


def test_on_loopback_nobody_may_act_in_the_project_that_the_server_was_given():
    with Server(None, "--kafka-listen", "127.0.0.1:0", "--kafka-anonymous", "open") as server:
        server.project("open")
        assert "candor.logs" in server.request("GET", "/kafka/topics").json()
        # A page in a browser of this machine is not this machine.
        for headers in ({"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Host": "evil.example"}):
            assert server.request("GET", "/kafka/topics", headers=headers).status == 401, headers
