"""What Candor did with personal data: a table that queries read, written through every door, and whole or found not to be."""

import json
import pathlib
import sqlite3
import subprocess
import time
import uuid

import pytest

from server import CLUSTERED, binary, fresh_name, kafka_settings, post_otlp, post_sentry

WAIT_S = 20
COLUMNS = ["timestamp", "index", "actor", "action", "purpose", "signal", "rows", "subject_count", "clause"]


def report(server, project, who="ada@example.org"):
    event_id = uuid.uuid4().hex
    event = {"event_id": event_id, "message": "it broke", "platform": "python", "user": {"id": who, "email": who}}
    assert post_sentry(server, project, [("event", event)], {"event_id": event_id}).status == 200


def entries(server, project, where="true"):
    return server.query(project, f"SELECT * FROM ledger WHERE {where} ORDER BY index")


def until_entry(server, project, where):
    """What is counted without waiting is in the ledger within seconds."""
    deadline = time.monotonic() + WAIT_S
    while not (found := entries(server, project, where)):
        assert time.monotonic() < deadline, f"no entry where {where}: {entries(server, project)}"
        time.sleep(0.2)
    return found


def verified(server):
    given = server.place.flags if server.place else []
    pairs = zip(given[::2], given[1::2])
    place = [word for flag, value in pairs if flag in ("--metadata", "--root-key") for word in (flag, value)]
    return server.cli("verify", "ledger", *place, check=False)


def test_the_table_has_what_was_done_in_one_project(own_server):
    server = own_server()
    shop, _ = server.project("shop"), server.project("other")
    assert entries(server, "shop") == []
    report(server, shop)
    assert server.count("shop", "errors") == 1
    server.query("shop", "SELECT subject FROM errors")
    server.query("shop", "SELECT subject FROM errors")
    # At once, the newest too; alike ones are one entry.
    found = entries(server, "shop", "action = 'read' AND subject_count > 0")
    assert len(found) == 1 and found[0]["rows"] == 2 and found[0]["signal"] == "errors" and found[0]["actor"] == "admin", found
    assert list(found[0])[:len(COLUMNS)] == COLUMNS
    total = server.count("shop", "ledger")
    assert total >= 2 and len(entries(server, "shop")) == total
    newest = server.query("shop", "SELECT index FROM ledger ORDER BY index DESC LIMIT 1")[0]["index"]
    assert newest == max(entry["index"] for entry in entries(server, "shop"))
    assert server.count("other", "ledger") == 0, "of its own project only"
    assert "ada@example.org" not in json.dumps(entries(server, "shop"))
    assert "ledger" in [row["table_name"] for row in server.query("shop", "SHOW TABLES")]
    refused = server.cli("query", "--project", "shop", "DELETE FROM ledger", check=False)
    assert refused.returncode != 0
    assert verified(server).returncode == 0


def test_tails_are_on_record(own_server):
    server = own_server()
    project = server.project("tailed")
    following = subprocess.Popen([binary(), "tail", "--project", "tailed", "--json", "--data-dir", str(server.data_dir)],
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + WAIT_S
        while b"\ncandor_tail_readers 1" not in server.request("GET", "/metrics").body:
            assert time.monotonic() < deadline, "no tail stands"
            time.sleep(0.05)
        assert post_otlp(server, project["ingest_token"], ["hello"], attributes={"user.email": "ada@example.org"}).status == 200
        assert json.loads(following.stdout.readline())["body"] == "hello"
    finally:
        following.kill()
        following.wait()
    [entry] = until_entry(server, "tailed", "purpose = 'tail'")
    assert (entry["action"], entry["signal"], entry["rows"], entry["subject_count"]) == ("read", "logs", 1, 1), entry


def test_files_that_leave_are_on_record(own_server, tmp_path):
    server = own_server()
    project = server.project("lake")
    for _ in range(3):
        report(server, project)
    server.cli("flush", "--project", "lake")
    out = tmp_path / "lake.db"
    lake = json.loads(server.cli("lake", "catalog", "--project", "lake", "--out", str(out), "--json").stdout)
    with sqlite3.connect(out) as catalog:
        [(path,)] = catalog.execute("SELECT f.path FROM ducklake_data_file f JOIN ducklake_table t USING (table_id) WHERE t.table_name = 'errors'").fetchall()
    name = path if path.startswith("errors/") else f"errors/{path}"
    headers = {"Authorization": f"Bearer {lake['token']}"}
    address = f"/lake/{project['number']}/{name}"
    length = int(server.request("HEAD", address, None, headers).headers["Content-Length"])
    # As readers of Parquet do: the end, then pieces. Nobody who asked how long it is has read it.
    for piece in (f"bytes={length - 8}-{length - 1}", "bytes=0-99", "bytes=100-199"):
        assert server.request("GET", address, None, {**headers, "Range": piece}).status == 206
    [entry] = until_entry(server, "lake", "purpose = 'lake'")
    # Those of one look are one entry; a look may fall between two of them.
    total = entries(server, "lake", "purpose = 'lake'")
    assert sum(one["rows"] for one in total) == 3 and entry["signal"] == "errors" and entry["action"] == "export", total


def test_what_kafka_clients_read_is_on_record(own_server):
    kafka = pytest.importorskip("confluent_kafka", reason="confluent-kafka is not installed: 1 case")
    server = own_server("--kafka-listen", "127.0.0.1:0")
    project = server.project("shop")
    for n in range(4):
        assert post_otlp(server, project["ingest_token"], [f"line {n}"]).status == 200
    topic = fresh_name()
    producer = kafka.Producer(kafka_settings(project))
    producer.produce(topic, value=json.dumps({"user": {"email": "ada@example.org"}}).encode())
    producer.produce(topic, value=json.dumps({"plain": True}).encode())
    assert producer.flush(WAIT_S) == 0
    consumer = kafka.Consumer({**kafka_settings(project), "client.id": "billing", "group.id": fresh_name(), "auto.offset.reset": "earliest"})
    try:
        consumer.subscribe(["candor.logs", topic])
        read, deadline = 0, time.monotonic() + WAIT_S
        while read < 6 and time.monotonic() < deadline:
            message = consumer.poll(0.5)
            read += message is not None and message.error() is None
    finally:
        consumer.close()
    assert read == 6
    logs = until_entry(server, "shop", "purpose = 'kafka:billing' AND signal = 'logs'")
    assert sum(one["rows"] for one in logs) >= 4 and logs[0]["action"] == "read", logs
    assert logs[0]["actor"].startswith("kafka:") and project["kafka"]["username"] not in logs[0]["actor"], logs
    opened = until_entry(server, "shop", f"purpose = 'kafka:billing' AND signal = 'stream:{topic}'")
    assert max(one["subject_count"] for one in opened) >= 1, opened
    assert verified(server).returncode == 0


def test_what_is_not_taken_is_on_record(own_server, tmp_path):
    server = own_server()
    policy = tmp_path / "policy.toml"
    policy.write_text('candor_policy = 1\nextends = "preset:default"\n[[scrub.rule]]\nid = "gone"\nat = "**"\npattern = "forbidden"\naction = "drop_event"\n')
    server.cli("policy", "apply", str(policy))
    project = server.project("dropping")
    assert post_otlp(server, project["ingest_token"], ["forbidden one", "fine", "forbidden two"]).status == 200
    assert server.count("dropping", "logs") == 1
    [entry] = until_entry(server, "dropping", "action = 'drop'")
    assert (entry["rows"], entry["clause"], entry["actor"], entry["subject_count"]) == (2, "scrub.rule", "system", 0), entry


def test_a_deleted_project_leaves_a_ledger_that_is_whole(own_server, tmp_path):
    server = own_server()
    project = server.project("leaving")
    report(server, project)
    server.query("leaving", "SELECT subject FROM errors")
    assert entries(server, "leaving", "subject_count > 0")
    before = verified(server)
    assert before.returncode == 0, before
    server.cli("project", "delete", "leaving")
    if CLUSTERED:
        assert verified(server).returncode == 0
        return
    details = "SELECT count(*) FROM ledger_detail WHERE project = ?"
    deadline = time.monotonic() + WAIT_S
    while True:
        with sqlite3.connect(f"file:{server.data_dir}/meta.db?mode=ro", uri=True) as database:
            (left,) = database.execute(details, (project["number"],)).fetchone()
            (stays,) = database.execute("SELECT count(*) FROM ledger_entry WHERE project = ?", (project["number"],)).fetchone()
        if left == 0:
            break
        assert time.monotonic() < deadline, f"{left} details are left"
        time.sleep(0.2)
    assert stays >= 1
    assert verified(server).returncode == 0


@pytest.mark.local
def test_a_flipped_byte_is_found(own_server, tmp_path):
    server = own_server()
    project = server.project("shop")
    report(server, project)
    server.query("shop", "SELECT subject FROM errors")
    assert entries(server, "shop")
    server.stop()
    assert verified(server).returncode == 0
    meta = pathlib.Path(server.data_dir) / "meta.db"
    with sqlite3.connect(meta) as database:
        (number, leaf) = database.execute("SELECT id, leaf FROM ledger_entry ORDER BY id DESC LIMIT 1").fetchone()
    # One bit of one digit, where it lies in the file.
    with sqlite3.connect(meta) as database:
        at = leaf.rindex('"time":') + len('"time":') + 3
        flipped = leaf[:at] + chr(ord(leaf[at]) ^ 1) + leaf[at + 1:]
        database.execute("UPDATE ledger_entry SET leaf = ? WHERE id = ?", (flipped, number))
    found = verified(server)
    assert found.returncode == 1 and str(number) in found.stdout + found.stderr, found
