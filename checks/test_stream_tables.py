"""Topics are tables: what real Kafka clients write is what SQL reads, through transactions, schema changes and kills."""

import base64
import json
import threading
import time

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

from server import Server, fresh_name, kafka_settings, post_otlp
from test_kafka import SOON_S

pytestmark = pytest.mark.local


@pytest.fixture(scope="module")
def broker():
    with Server(None, "--kafka-listen", "127.0.0.1:0") as server:
        yield server


@pytest.fixture(scope="module")
def project(broker):
    return broker.project("tables")


def ask(server, sql, project="tables") -> list[list]:
    answer = server.api("POST", "/api/v1/query", {"project": project, "sql": sql})
    assert answer.status == 200, (sql, answer)
    return answer.json()["rows"]


def one(server, sql, project="tables"):
    return ask(server, sql, project)[0][0]


def send(config, topic, records, **more):
    """Sends (key, value, headers) and waits until each is acknowledged."""
    producer, failed = Producer({**config, "linger.ms": 5, **more}), []
    for key, value, headers in records:
        producer.produce(topic, value, key=key, headers=headers, on_delivery=lambda error, _: error and failed.append(error))
        producer.poll(0)
    assert producer.flush(SOON_S) == 0 and not failed, failed


def make(config, topic, partitions, **configs):
    admin = AdminClient(config)
    admin.create_topics([NewTopic(topic, partitions, config=configs)])[topic].result(SOON_S)
    return admin


def test_text_json_bytes_nulls_and_headers(broker, project):
    config, topic = kafka_settings(project), f"{fresh_name()}.v1"
    send(config, topic, [(b"k1", b'{"n":1,"ok":true,"who":"ann","deep":{"a":[1,2]}}', [("trace", b"a"), ("trace", b"b"), ("raw", b"\xff")]),
                         (b"k2", b'{"n":2.5,"who":null}', None), (b"k3", None, None), (b"k4", b"no json", [("none", None)]), (None, b"\xfe\x01", None)])
    rows = broker.query("tables", f'SELECT * FROM stream."{topic}" ORDER BY value')
    by_key = {row["key"]: row for row in rows}
    first = by_key["k1"]
    assert list(first)[:12] == ["partition", "offset", "timestamp", "key", "value", "headers", "subject", "subjects", "_ingested_at", "_partition", "_offset", "_epoch"]
    assert (first["v_n"], first["v_ok"], first["v_who"], json.loads(first["v_deep"])) == (1.0, True, "ann", {"a": [1, 2]})
    assert first["headers"] == {"trace": "b", "raw": "\\xff"} and first["subject"] is None and first["subjects"] == []
    assert (by_key["k2"]["v_n"], by_key["k2"]["v_who"]) == (2.5, None)
    assert by_key["k3"]["value"] is None and by_key["k4"]["value"] == "no json" and by_key["k4"]["headers"] == {"none": None}
    assert by_key[None]["value"] == "\\xfe01", "what is no text in a table of text"
    assert (first["_partition"], first["_offset"]) == (first["partition"], first["offset"])
    assert one(broker, f"SELECT count(*) FROM stream.\"{topic}\" WHERE v_n > 2 AND headers['trace'] IS NULL") == 1

    raw = fresh_name()
    send(config, raw, [(b"\0\0\0\1", b"\0\1\2", None)])
    assert one(broker, f'SELECT count(*) FROM stream."{raw}"') == 1
    # What the first ones are holds for all that follow.
    send(config, raw, [(b"text", b"text", None)])
    described = {row["column_name"]: row["data_type"] for row in broker.query("tables", f'DESCRIBE stream."{raw}"')}
    assert (described["key"], described["value"]) == ("BLOB", "BLOB")
    assert [row[0] for row in ask(broker, f'SELECT value FROM stream."{raw}" ORDER BY value')] == [base64.b64encode(v).decode() for v in (b"\0\1\2", b"text")]
    assert f'stream."{raw}"' in [row["table_name"] for row in broker.query("tables", "SHOW TABLES")]


def test_names_are_the_projects_own(broker, project):
    other = broker.project("neighbour")
    topic = "logs"
    send(kafka_settings(project), topic, [(None, b"ours", None)])
    send(kafka_settings(other), topic, [(None, b"theirs", None)] * 2)
    assert ask(broker, "SELECT value FROM stream.logs") == [["ours"]]
    assert ask(broker, "SELECT value FROM stream.logs", "neighbour") == [["theirs"]] * 2
    assert one(broker, "SELECT count(*) FROM logs") == 0
    refused = broker.api("POST", "/api/v1/query", {"project": "neighbour", "sql": f'SELECT * FROM stream."{fresh_name()}"'})
    assert refused.status == 400 and "not found" in refused.json()["detail"], refused


def test_transactions(broker, project, show):
    config, topic = kafka_settings(project), fresh_name()
    make(config, topic, 1)
    producer = Producer({**config, "transactional.id": fresh_name()})
    producer.init_transactions(SOON_S)
    worst, kept = 0.0, 0
    for round in range(8):
        producer.begin_transaction()
        for n in range(50):
            producer.produce(topic, json.dumps({"round": round, "n": n}).encode())
        producer.flush(SOON_S)
        assert one(broker, f'SELECT count(*) FROM stream."{topic}"') == kept, "nothing of an open transaction"
        if round % 2:
            producer.abort_transaction(SOON_S)
        else:
            producer.commit_transaction(SOON_S)
            kept += 50
        ended = time.monotonic()
        while one(broker, f'SELECT count(*) FROM stream."{topic}"') != kept:
            assert time.monotonic() - ended < 1, "committed a second ago and not there"
        worst = max(worst, time.monotonic() - ended)
        if round == 4:
            broker.cli("flush", "--project", "tables")
    assert ask(broker, f'SELECT DISTINCT v_round FROM stream."{topic}" ORDER BY 1') == [[0], [2], [4], [6]]
    show(f"stream tables: 8 transactions, 4 of them aborted: {kept} rows, visible {worst * 1000:.0f} ms after the end at worst")


def test_select_while_a_producer_runs_and_its_schema_changes(broker, project, show):
    config, topic, total = kafka_settings(project), fresh_name(), 6000
    failed, counts, columns, stop = [], [], set(), threading.Event()

    def produce():
        try:
            producer = Producer({**config, "linger.ms": 2, "enable.idempotence": True})
            for n in range(total):
                value = {"n": n} if n < total // 3 else {"n": n, "colour": "red"} if n < 2 * total // 3 else {"n": n + 0.5, "colour": n}
                producer.produce(topic, json.dumps(value).encode(), key=str(n % 7).encode())
                producer.poll(0)
                if n % 50 == 0:
                    time.sleep(0.01)
                if n in (total // 3 - 1, 2 * total // 3 - 1):
                    # Each shape is there for a while.
                    assert producer.flush(SOON_S) == 0
                    polls, until = len(counts), time.monotonic() + SOON_S
                    while len(counts) < polls + 3 and time.monotonic() < until:
                        time.sleep(0.01)
            assert producer.flush(SOON_S) == 0
        except Exception as error:
            failed.append(error)
        finally:
            stop.set()

    def flush():
        while not stop.is_set():
            broker.cli("flush", "--project", "tables")
            time.sleep(0.2)

    make(config, topic, 4)
    threads = [threading.Thread(target=produce), threading.Thread(target=flush)]
    for thread in threads:
        thread.start()
    while not stop.is_set() or not counts or counts[-1] < total:
        answer = broker.api("POST", "/api/v1/query", {"project": "tables", "sql": f'SELECT count(*), count(DISTINCT "offset" * 4 + partition) FROM stream."{topic}"'})
        assert answer.status == 200, answer
        count, distinct = answer.json()["rows"][0]
        assert count == distinct and (not counts or count >= counts[-1]), (counts[-1:], count, distinct)
        counts.append(count)
        answer = broker.api("POST", "/api/v1/query", {"project": "tables", "sql": f'SELECT * FROM stream."{topic}" LIMIT 1'})
        columns.add(tuple(sorted(f"{column['name']} {column['type']}" for column in answer.json()["columns"] if column["name"].startswith("v_"))))
        assert len(counts) < 5000
    for thread in threads:
        thread.join()
    assert not failed, failed
    assert counts[-1] == total
    assert ask(broker, f'SELECT min(v_n), max(v_n), count(v_n), count(v_colour), count(*) FROM stream."{topic}"') == [[0.0, total - 0.5, total, 2 * total // 3, total]]
    assert {("v_n BIGINT",), ("v_colour VARCHAR", "v_n BIGINT"), ("v_colour VARCHAR", "v_n DOUBLE")} <= columns, columns
    show(f"stream tables: {len(counts)} counts of {total} records under a producer, none fell; columns seen: {sorted(columns)}")


def test_a_topic_deleted_and_made_again(broker, project):
    config, topic = kafka_settings(project), fresh_name()
    admin = AdminClient(config)
    send(config, topic, [(None, b'{"old":1}', None)] * 3)
    assert one(broker, f'SELECT count(*) FROM stream."{topic}"') == 3
    broker.cli("flush", "--project", "tables")
    admin.delete_topics([topic])[topic].result(SOON_S)
    answer = broker.api("POST", "/api/v1/query", {"project": "tables", "sql": f'SELECT 1 FROM stream."{topic}"'})
    assert answer.status == 400, answer
    make(config, topic, 2)
    assert ask(broker, f'SELECT * FROM stream."{topic}"') == []
    send(config, topic, [(None, b'{"new":1}', None)])
    rows = broker.query("tables", f'SELECT * FROM stream."{topic}"')
    assert len(rows) == 1 and rows[0]["v_new"] == 1 and "v_old" not in rows[0]


def test_opaque_values_are_bytes(broker, project):
    config, topic = kafka_settings(project), fresh_name()
    make(config, topic, 1, **{"retention.ms": "-1", "candor.values": "opaque"})
    send(config, topic, [(b"key", b"text", None)])
    rows = broker.query("tables", f'SELECT key, value FROM stream."{topic}"')
    assert rows == [{"key": base64.b64encode(b"key").decode(), "value": base64.b64encode(b"text").decode()}]


def test_kill_and_restart_exactly(own_server, show):
    server = own_server("--kafka-listen", "127.0.0.1:0")
    project = server.project("tables")
    topic, acknowledged, kills = fresh_name(), set(), 3
    make(kafka_settings(project), topic, 3)
    for kill in range(kills):
        config = {**kafka_settings(project), "bootstrap.servers": server.ready["kafka"]}
        producer = Producer({**config, "linger.ms": 1, "message.timeout.ms": 3000})

        def told(error, message):
            if error is None:
                acknowledged.add((message.partition(), message.offset(), message.value().decode()))

        for n in range(1500):
            producer.produce(topic, json.dumps({"kill": kill, "n": n}).encode(), on_delivery=told)
            producer.poll(0)
            if n == 500:
                producer.flush(SOON_S)
                one(server, f'SELECT count(*) FROM stream."{topic}"')
                if kill != 1:
                    server.cli("flush", "--project", "tables")
        producer.poll(0.02)
        server.kill()
        producer.purge()
        producer.flush(1)
        data_dir = server.data_dir
        server = own_server("--kafka-listen", "127.0.0.1:0", data_dir=data_dir)
        rows = ask_all(server, topic)
        found = {(partition, offset, value) for partition, offset, value in rows}
        assert len(found) == len(rows), "a row twice"
        assert acknowledged <= found, f"{len(acknowledged - found)} acknowledged records are missing after kill {kill + 1}"
        assert sorted(offset for partition, offset, _ in rows if partition == 0) == list(range(sum(partition == 0 for partition, _, _ in rows)))
    show(f"stream tables: {kills} kills under a producer: {len(acknowledged)} acknowledged, {len(rows)} rows, none lost, none twice")


def ask_all(server, topic) -> list[tuple]:
    rows = server.query("tables", f'SELECT partition, "offset", value FROM stream."{topic}"')
    return [(row["partition"], row["offset"], row["value"]) for row in rows]


def test_duckdb_reads_topics(broker, project, tmp_path):
    from test_duckdb import attached
    config, topic = kafka_settings(project), f"Orders.{fresh_name()}"
    send(config, topic, [(b"a", b'{"n":1,"w":1,"b":true}', [("h", b"v")]), (b"b", b'{"n":2}', None)])
    broker.cli("flush", "--project", "tables")
    send(config, topic, [(None, None, None), (b"c", b'{"n":2.5,"w":"text","new":"x"}', None)])
    broker.cli("flush", "--project", "tables")
    connection, lake = attached(broker, "tables", tmp_path / "tables.db")
    catalog = lake["attach"].split(" AS ")[1].split()[0]
    theirs = connection.execute(f'SELECT key, value, headers, v_n, v_w, v_b, v_new, subjects, epoch_us("timestamp") FROM {catalog}.stream."{topic}" ORDER BY value').fetchall()
    ours = broker.query("tables", f'SELECT key, value, headers, v_n, v_w, v_b, v_new, subjects FROM stream."{topic}" ORDER BY value')
    assert [tuple(row.values()) for row in ours] == [row[:-1] for row in theirs]
    assert [row["v_w"] for row in ours] == ["1", "text", None, None] and [row["v_n"] for row in ours] == [1.0, 2.5, 2.0, None]
    connection.close()


def test_whom_a_record_is_about_has_the_codes_of_logs(broker, project):
    """The same person has one code in logs and in topics; the record itself stays as it was sent."""
    config, topic = kafka_settings(project), fresh_name()
    ada = {"user.id": "u-17", "user.email": "ada@example.com"}
    assert post_otlp(broker, project["ingest_token"], ["signed in"], attributes=ada).status == 200
    value = b'{"user": {"id": "u-17", "email": "Ada@example.com"}, "n": 1}'
    send(config, topic, [(b"k", value, None), (b"k", b'{"n":2}', None), (b"k", b'{"email":"ada@example.com"}', None), (b"k", b"text", [("user_id", b"u-17")])])
    logged = broker.query("tables", "SELECT subject, subjects FROM logs WHERE body = 'signed in'")[0]
    assert len(logged["subjects"]) == 2 and logged["subject"].startswith("user:")
    user, email = logged["subjects"]
    expected = [[user, [user, email]], [None, []], [email, [email]], [user, [user]]]
    for place in ("from the log", "from a file"):
        assert ask(broker, f'SELECT subject, subjects FROM stream."{topic}" ORDER BY partition, "offset"') == expected, place
        broker.cli("flush", "--project", "tables")
    assert ask(broker, f'SELECT value FROM stream."{topic}" WHERE "offset" = 0') == [[value.decode()]]
    joined = f'SELECT count(*) FROM logs l JOIN stream."{topic}" s ON l.subject = s.subject WHERE l.body = \'signed in\''
    assert one(broker, joined) == 2

    opaque = fresh_name()
    make(config, opaque, 1, **{"candor.values": "opaque"})
    send(config, opaque, [(b"k", value, None)])
    assert ask(broker, f'SELECT subject, subjects FROM stream."{opaque}"') == [[None, []]]


def test_values_of_schemas_are_columns_after_a_start_without_a_listener(own_server):
    server = own_server("--kafka-listen", "127.0.0.1:0")
    project = server.project("tables")
    config, topic = kafka_settings(project), fresh_name()
    make(config, topic, 1)
    schema = json.dumps({"type": "record", "name": "Order", "fields": [{"name": "city", "type": "string"}]})
    login = f"{config['sasl.username']}:{config['sasl.password']}"
    with SchemaRegistryClient({"url": f"{server.http}/registry", "basic.auth.user.info": login}) as registry:
        value = AvroSerializer(registry, schema)({"city": "Graz"}, SerializationContext(topic, MessageField.VALUE))
    send(config, topic, [(None, value, None)])
    server.kill()
    server = own_server("--kafka-listen", "off", data_dir=server.data_dir)
    server.cli("flush", "--project", "tables")
    assert server.query("tables", f'SELECT v_city, value FROM stream."{topic}"') == [{"v_city": "Graz", "value": '{"city":"Graz"}'}]
