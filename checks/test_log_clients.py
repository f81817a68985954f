"""Unmodified clients of logs and traces: what they send is found within a second of its acknowledgement, and equal."""

import base64
import gzip
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time
import urllib.parse

import pytest

from server import otlp_logs
from visible import VISIBLE_S, Watch, as_sent, p99_s, unix_nano

HERE = pathlib.Path(__file__).resolve().parent
NODE = shutil.which("node")
SCRIPTS = {"python": [sys.executable, str(HERE / "clients/logs.py")], "node": [NODE, str(HERE / "clients/logs.mjs")]}


def attributes_of(row) -> dict:
    return row["attributes"] or {}


def differences(line, row):
    """What of a record is not as its client said it must be."""
    attributes = attributes_of(row)
    for name, sent in line["columns"].items():
        if name == "timestamp_unix_nano":
            ok = unix_nano(row["timestamp"], row["timestamp_ns"]) == sent
        elif name == "timestamp_not_before":
            ok = sent - 0.001 <= unix_nano(row["timestamp"]) / 1e9 <= time.time() + 1
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
        if stored is None and not any(code.startswith(("user:", "name:")) for code in row["subjects"] or []):
            yield f"attribute {name}: no code among the subjects {row['subjects']!r}"


@pytest.mark.parametrize("language", SCRIPTS)
def test_real_clients(server, show, language):
    if language == "node" and not NODE:
        pytest.skip("node is not installed")
    project = server.project(f"clients-{language}")
    times = "3"
    command = [*SCRIPTS[language], "--url", server.http, "--grpc", server.ready["otlp_grpc"], "--token", project["ingest_token"], "--times", times]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=HERE)
    lines, watches = [], []
    for text in process.stdout:
        line = json.loads(text)
        lines.append(line)
        watches.append(Watch(server, project["name"], line["table"], f"attributes['{line['key_attribute']}'] = '{line['key']}'", line["acknowledged"]))
    errors = process.stderr.read()
    assert process.wait() == 0, errors
    assert lines, errors
    p99 = p99_s(watches)
    found = {}
    for table in ("logs", "spans"):
        for row in server.query(project["name"], f"SELECT * FROM {table}"):
            for name in ("check.id", "metadata.check.id"):
                if name in attributes_of(row):
                    found.setdefault((table, attributes_of(row)[name]), []).append(row)
    wrong, gate = [], {}
    for line in lines:
        of_key = found.pop((line["table"], line["key"]), [])
        if len(of_key) != 1:
            wrong.append(f"{line['client']} {line['key']}: {len(of_key)} rows")
            continue
        wrong += [f"{line['client']}: {difference}" for difference in differences(line, of_key[0])]
        for name, stored in line["gate"].items():
            gate.setdefault((name, stored), set()).add(line["client"])
    assert not wrong, "\n".join(wrong)
    assert not found, f"nothing is stored that was not sent: {found}"
    show(f"{language} clients of logs and traces: {len(lines)} records equal to what was sent, visible within {p99 * 1000:.0f} ms of the acknowledgement (p99), but for:")
    for (name, stored), clients in sorted(gate.items(), key=str):
        show(f"  {name:<20} {stored or 'leaves the row; its code is in `subjects`':<45} {len(clients)} clients: {', '.join(sorted(clients))}")
    assert p99 <= VISIBLE_S


def largest_otlp(signal, size):
    """An export request of about `size` bytes, of ordinary records; and their bodies or names."""
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
    request = ExportLogsServiceRequest() if signal == "logs" else ExportTraceServiceRequest()
    resource = (request.resource_logs if signal == "logs" else request.resource_spans).add()
    resource.resource.attributes.append(KeyValue(key="service.name", value=AnyValue(string_value="largest")))
    scope = (resource.scope_logs if signal == "logs" else resource.scope_spans).add()
    texts, now, run = [], time.time_ns(), os.urandom(4).hex()
    attributes = [KeyValue(key="http.route", value=AnyValue(string_value="/cart")), KeyValue(key="n", value=AnyValue(int_value=1))]
    while 1000 * len(texts) < size:
        texts.append(f"{run} record {len(texts)} {'x' * 900}")
        if signal == "logs":
            scope.log_records.add(time_unix_nano=now, severity_number=9, body=AnyValue(string_value=texts[-1]), attributes=attributes)
        else:
            scope.spans.add(name=texts[-1], trace_id=os.urandom(16), span_id=os.urandom(8), start_time_unix_nano=now, end_time_unix_nano=now + 1000, attributes=attributes)
    return request, texts


@pytest.mark.parametrize("signal", ["logs", "traces"])
def test_the_largest_otlp_requests(server, show, signal):
    """4 and 8 MiB, as collectors batch them, by every way; what is acknowledged is found at once, each record once."""
    import google.protobuf.json_format
    import grpc
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2_grpc import LogsServiceStub
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub
    project = server.project(f"largest-{signal}")
    bearer = f"Bearer {project['ingest_token']}"
    table, column = ("logs", "body") if signal == "logs" else ("spans", "name")
    channel = grpc.insecure_channel(server.ready["otlp_grpc"], options=[("grpc.max_send_message_length", 32 << 20)])
    stub = (LogsServiceStub if signal == "logs" else TraceServiceStub)(channel)

    def over_http(request, headers, encode):
        headers = {"Authorization": bearer, **headers}
        answer = server.request("POST", f"/v1/{signal}", encode(request), headers, timeout=60)
        assert (answer.status, answer.body) in ((200, b""), (200, b"{}")), answer

    def over_grpc(request, compression):
        assert not stub.Export(request, metadata=[("authorization", bearer)], compression=compression, timeout=60).ByteSize()

    ways = {
        "HTTP protobuf": lambda r: over_http(r, {"Content-Type": "application/x-protobuf"}, lambda r: r.SerializeToString()),
        "HTTP protobuf gzip": lambda r: over_http(r, {"Content-Type": "application/x-protobuf", "Content-Encoding": "gzip"}, lambda r: gzip.compress(r.SerializeToString(), 1)),
        "HTTP JSON": lambda r: over_http(r, {"Content-Type": "application/json"}, lambda r: as_json(google.protobuf.json_format.MessageToDict(r))),
        "gRPC": lambda r: over_grpc(r, grpc.Compression.NoCompression),
        "gRPC gzip": lambda r: over_grpc(r, grpc.Compression.Gzip),
    }
    seen = []
    for name, send in ways.items():
        for size in (4 << 20, 8 << 20):
            request, texts = largest_otlp(signal, size)
            send(request)
            acknowledged = time.time()
            p99_s([Watch(server, project["name"], table, f"{column} LIKE '{texts[0][:8]}%'", acknowledged, len(texts))])
            seen.append(time.time() - acknowledged)
            rows = server.query(project["name"], f"SELECT {column} FROM {table} WHERE {column} LIKE '{texts[0][:8]}%'")
            assert sorted(row[column] for row in rows) == sorted(texts), name
    show(f"largest OTLP requests, {signal}: 4 and 8 MiB by {', '.join(ways)}: every record found, once and equal, {max(seen) * 1000:.0f} ms after the acknowledgement at most (the query's own time in it)")
    assert max(seen) <= VISIBLE_S


def as_json(request) -> bytes:
    """OTLP's own JSON: ids are hexadecimal there, where protobuf's is base64."""
    for resource in request.get("resourceSpans", []):
        for span in (span for scope in resource["scopeSpans"] for span in scope["spans"]):
            span["traceId"], span["spanId"] = (base64.b64decode(span[name]).hex() for name in ("traceId", "spanId"))
    return json.dumps(request).encode()


def test_the_largest_batches_of_shippers(server, show):
    """The largest bodies that Logflare and Better Stack take, near their limits."""
    import msgpack
    project = server.project("largest")
    token = project["ingest_token"]
    key = {"Authorization": f"Bearer {token}"}
    records = lambda of, count: [{"message": f"{of} record {n} {'y' * 1000}", "metadata": {"n": n}} for n in range(count)]
    path = "/logs?" + urllib.parse.urlencode({"source_name": "largest"})
    bodies = {
        "logflare": (path, json.dumps({"batch": records("logflare", 11_000)}).encode(), {"Content-Type": "application/json"}, 200, 12 << 20),
        "better stack": ("/", json.dumps(records("better stack", 9_500)).encode(), {"Content-Type": "application/json"}, 202, 10 << 20),
        "msgpack": ("/", msgpack.packb(records("msgpack", 9_900)), {"Content-Type": "application/msgpack"}, 202, 10 << 20),
    }
    for name, (path, body, headers, status, limit) in bodies.items():
        assert 0.9 * limit < len(body) < limit, (name, len(body))
        answer = server.request("POST", path, body, {**key, **headers}, timeout=60)
        acknowledged = time.time()
        assert answer.status == status and "X-Candor-Dropped" not in answer.headers, answer
        count = server.query("largest", f"SELECT count(*) AS n, count(DISTINCT body) AS d FROM logs WHERE body LIKE '{name} record%'")[0]
        sent = int(body.count(b"record "))
        assert (int(count["n"]), int(count["d"])) == (sent, sent), name
        show(f"largest batch, {name}: {len(body) / 1e6:.1f} MB, {sent} records, all counted {(time.time() - acknowledged) * 1000:.0f} ms after the acknowledgement")
        assert time.time() - acknowledged <= VISIBLE_S


def test_a_retry_with_an_idempotency_key_is_stored_once(server):
    project = server.project("retries")
    token = project["ingest_token"]
    for path, body in (("/v1/logs", otlp_logs(["once"])), ("/logs", b'{"message":"once"}'), ("/", b'{"message":"once"}')):
        key = os.urandom(8).hex()
        for _ in range(3):
            answer = server.request("POST", path, body, {"Authorization": f"Bearer {token}", "Content-Type": "application/json", "Idempotency-Key": key})
            assert answer.status in (200, 202), answer
        other = server.request("POST", path, body.replace(b"once", b"other"), {"Authorization": f"Bearer {token}", "Content-Type": "application/json", "Idempotency-Key": key})
        assert other.status == 422 and "Idempotency-Key" in str(other.body), other
    assert server.count("retries", "logs", "body = 'other'") == 0
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
