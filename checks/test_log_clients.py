"""Unmodified clients of logs and traces: what they send is found within a second of its acknowledgement, and equal."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import threading
import time
import urllib.parse

import pytest

from server import otlp_logs

HERE = pathlib.Path(__file__).resolve().parent
NODE = shutil.which("node")
SCRIPTS = {"python": [sys.executable, str(HERE / "clients/logs.py")], "node": [NODE, str(HERE / "clients/logs.mjs")]}
VISIBLE_S = 1.0
GIVE_UP_S = 20


def rows(server, project, sql):
    answer = server.api("POST", "/api/v1/query", {"project": project, "sql": sql})
    assert answer.status == 200, answer
    found = answer.json()
    names = [column["name"] for column in found["columns"]]
    return [dict(zip(names, row)) for row in found["rows"]]


def attributes_of(row) -> dict:
    held = row["attributes"] or {}
    if isinstance(held, str):
        held = json.loads(held)
    return dict(held) if isinstance(held, dict) else {pair[0]: pair[1] for pair in (list(p.values()) if isinstance(p, dict) else p for p in held)}


def unix_nano(row) -> int:
    import datetime
    text = row["timestamp"].replace("Z", "+00:00")
    moment = datetime.datetime.fromisoformat(text)
    micros = (moment - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)) // datetime.timedelta(microseconds=1)
    return micros * 1000 + (row.get("timestamp_ns") or 0)


def as_sent(stored, sent):
    """What is stored, in the form of what was sent: text stays, the rest is JSON text."""
    return stored if isinstance(sent, str) or stored is None else json.loads(stored)


def differences(line, row):
    """What of a record is not as its client said it must be."""
    attributes = attributes_of(row)
    for name, sent in line["columns"].items():
        if name == "timestamp_unix_nano":
            ok = unix_nano(row) == sent
        elif name == "timestamp_not_before":
            ok = sent - 0.001 <= unix_nano(row) / 1e9 <= time.time() + 1
        elif name == "body_starts":
            ok = row["body"].startswith(sent)
        else:
            ok = as_sent(row[name], sent) == sent if isinstance(sent, (dict, list)) else row[name] == sent
        if not ok:
            yield f"{name}: sent {sent!r}, stored {row.get(name)!r} {row.get('timestamp')}"
    for name, sent in line["attributes"].items():
        if as_sent(attributes.get(name), sent) != sent:
            yield f"attribute {name}: sent {sent!r}, stored {attributes.get(name)!r}"
    for name, stored in line["gate"].items():
        if attributes.get(name) != stored:
            yield f"attribute {name}: the gate should have stored {stored!r}, not {attributes.get(name)!r}"
        if stored is None and not any(code.startswith("user:") for code in row["subjects"] or []):
            yield f"attribute {name}: no code among the subjects {row['subjects']!r}"


class Watch(threading.Thread):
    """Looks for one record until it is there."""

    def __init__(self, server, project, line):
        super().__init__()
        self.server, self.project, self.line, self.found, self.seconds = server, project, line, [], None
        self.start()

    def run(self):
        line = self.line
        sql = f"SELECT * FROM {line['table']} WHERE attributes['{line['key_attribute']}'] = '{line['key']}'"
        while time.time() < line["acknowledged"] + GIVE_UP_S:
            began = time.time()
            self.found = rows(self.server, self.project, sql)
            if self.found:
                # It was there when the query began, at the latest.
                self.seconds = max(0.0, began - line["acknowledged"])
                return
            time.sleep(0.02)


@pytest.mark.parametrize("language", SCRIPTS)
def test_real_clients(server, show, language):
    if language == "node" and not NODE:
        pytest.skip("node is not installed")
    project = server.project(f"clients-{language}")
    times = "3"
    command = [*SCRIPTS[language], "--url", server.http, "--grpc", server.ready["otlp_grpc"], "--token", project["ingest_token"], "--times", times]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=HERE)
    watches = [Watch(server, project["name"], json.loads(line)) for line in process.stdout]
    errors = process.stderr.read()
    assert process.wait() == 0, errors
    for watch in watches:
        watch.join()
    wrong, gate = [], {}
    for watch in watches:
        line = watch.line
        if len(watch.found) != 1:
            wrong.append(f"{line['client']} {line['key']}: {len(watch.found)} rows")
            continue
        wrong += [f"{line['client']}: {difference}" for difference in differences(line, watch.found[0])]
        gate.update({(line["client"], name): stored for name, stored in line["gate"].items()})
    assert not wrong, "\n".join(wrong)
    assert watches, errors
    seconds = sorted(watch.seconds for watch in watches)
    p99 = seconds[min(len(seconds) - 1, len(seconds) * 99 // 100)]
    show(f"{language} clients of logs and traces: {len(watches)} records equal to what was sent, visible within {p99 * 1000:.0f} ms of the acknowledgement (p99)")
    for (client, name), stored in sorted(gate.items()):
        show(f"  changed by the gate, {client}: {name} is stored as {stored or 'a code in subjects'}")
    assert p99 <= VISIBLE_S


def test_the_largest_requests(server, show):
    """The largest bodies that the protocols allow, near their limits, of ordinary records."""
    project = server.project("largest")
    token = project["ingest_token"]
    began = time.monotonic()
    body = otlp_logs([f"record {n} {'x' * 900}" for n in range(4000)], attributes={"http.route": "/cart", "n": 1})
    answer = server.request("POST", "/v1/logs", body, {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}, timeout=120)
    assert (answer.status, answer.body) == (200, b"{}"), answer
    batch = json.dumps({"batch": [{"message": f"record {n} {'y' * 1000}", "metadata": {"n": n}} for n in range(11_000)]}).encode()
    assert 11 << 20 < len(batch) < 12 << 20
    answer = server.request("POST", "/logs?" + urllib.parse.urlencode({"source_name": "largest"}), batch, {"X-API-KEY": token, "Content-Type": "application/json"}, timeout=120)
    assert answer.json() == {"message": "Logged!"}, answer
    shown = f"{len(body) / 1e6:.1f} MB of OTLP and {len(batch) / 1e6:.1f} MB of Logflare in {time.monotonic() - began:.1f} s"
    found = rows(server, "largest", "SELECT source, count(*) AS n, count(DISTINCT body) AS d FROM logs GROUP BY source ORDER BY n")
    assert [(row["source"], int(row["n"]), int(row["d"])) for row in found] == [(None, 4000, 4000), ("largest", 11_000, 11_000)]
    show(f"largest requests: {shown}, every record found")


def test_a_retry_with_an_idempotency_key_is_stored_once(server):
    project = server.project("retries")
    token = project["ingest_token"]
    for path, body in (("/v1/logs", otlp_logs(["once"])), ("/logs", b'{"message":"once"}'), ("/", b'{"message":"once"}')):
        key = os.urandom(8).hex()
        for _ in range(3):
            answer = server.request("POST", path, body, {"Authorization": f"Bearer {token}", "Content-Type": "application/json", "Idempotency-Key": key})
            assert answer.status in (200, 202), answer
    assert server.count("retries", "logs", "body = 'once'") == 3


def test_what_is_not_stored_is_never_answered_as_stored(server):
    project = server.project("partial")
    headers = {"Authorization": f"Bearer {project['ingest_token']}", "Content-Type": "application/json"}
    metrics = {"resourceMetrics": [{"scopeMetrics": [{"metrics": [{"name": "m", "sum": {"dataPoints": [{"asInt": "1"}, {"asInt": "2"}]}}]}]}]}
    answer = server.request("POST", "/v1/metrics", json.dumps(metrics).encode(), headers)
    assert answer.status == 200 and answer.json()["partialSuccess"]["rejectedDataPoints"] == "2", answer
    records = {"resourceLogs": [{"scopeLogs": [{"logRecords": [{"body": {"stringValue": "good"}}, {"timeUnixNano": {}}]}]}]}
    answer = server.request("POST", "/v1/logs", json.dumps(records).encode(), headers)
    assert answer.json()["partialSuccess"]["rejectedLogRecords"] == "1", answer
    answer = server.request("POST", "/logs", b'[{"message":"good"},7]', headers)
    assert answer.status == 200 and answer.json()["dropped"] == 1, answer
    answer = server.request("POST", "/", b'[{"message":"good"},7]', headers)
    assert answer.status == 202 and answer.headers["X-Candor-Dropped"] == "1", answer
    assert server.count("partial", "logs", "body = 'good'") == 3
