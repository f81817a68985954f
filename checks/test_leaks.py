"""What the gate takes out is nowhere on disk, and the harmless canary beside it is everywhere it was put."""

import base64
import itertools
import json
import pathlib
import sqlite3
import urllib.parse

import pytest

from server import Server, otlp_logs, post_better_stack, post_logflare, post_otlp, post_sentry

SECRETS = {
    "card": "4111111111111111",
    "card_spaced": "4111 1111 1111 1111",
    "iban": "GB82WEST12345698765432",
    "ssn": "536-90-4399",
    "password": "hunter2",
}
PLANTED = {
    "card": SECRETS["card"], "card_spaced": SECRETS["card_spaced"], "iban": SECRETS["iban"],
    "ssn": SECRETS["ssn"], "password": f"password={SECRETS['password']}",
}
CANARY = "harmlesscanary"


TRACE, SPAN = "5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174"


def span(name="x", attributes=None, event="e", status="", state=""):
    """An OTLP/JSON request with one span, which has one event."""
    pairs = [{"key": k, "value": {"stringValue": v} if isinstance(v, str) else {"intValue": str(v)}} for k, v in (attributes or {}).items()]
    return {"resourceSpans": [{"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "check"}}]}, "scopeSpans": [{"scope": {"name": "checks"}, "spans": [
        {"traceId": TRACE, "spanId": SPAN, "name": name, "kind": 1, "startTimeUnixNano": "1790000000000000000", "endTimeUnixNano": "1790000000100000000",
         "traceState": state, "attributes": pairs, "events": [{"name": event, "timeUnixNano": "1790000000050000000", "attributes": pairs[:1]}], "status": {"code": 2, "message": status}}]}]}]}


def sentry_span(**members):
    return {"trace_id": TRACE, "span_id": SPAN, "start_timestamp": 1790000000, "timestamp": 1790000001, "op": "o", "description": "d", **members}


def transaction(**members):
    return [("transaction", {"type": "transaction", "transaction": "t", "start_timestamp": 1790000000, "timestamp": 1790000001,
                             "contexts": {"trace": {"trace_id": TRACE, "span_id": SPAN, "op": "o"}}, **members})]


def places(protocol: str):
    """Every place of a record of the protocol: name, and what plants (secret text, canary id) there."""
    number = lambda s: int(s) if s.isdigit() else s
    if protocol == "otlp":
        return {
            "message": lambda s, c: ("otlp", {"bodies": [f"{c} paid with {s} today"]}),
            "attribute": lambda s, c: ("otlp", {"bodies": ["x"], "attributes": {"note": f"{c} {s}"}}),
            "key": lambda s, c: ("otlp", {"bodies": ["x"], "attributes": {f"{c} {s}": "v"}}),
            "number": lambda s, c: ("otlp", {"bodies": [c], "attributes": {"amount": number(s)}}),
            "url": lambda s, c: ("otlp", {"bodies": ["x"], "attributes": {"url.full": f"https://shop.example/{c}?q={urllib.parse.quote(s)}"}}),
            "service": lambda s, c: ("otlp", {"bodies": ["x"], "service": f"{c} {s}"}),
        }
    if protocol in ("logflare", "better_stack"):
        return {
            "message": lambda s, c: (protocol, {"message": f"{c} {s}"}),
            "attribute": lambda s, c: (protocol, {"message": "x", "metadata": {"note": f"{c} {s}"}}),
            "key": lambda s, c: (protocol, {"message": "x", "metadata": {f"{c} {s}": 1}}),
            "number": lambda s, c: (protocol, {"message": c, "metadata": {"amount": number(s)}}),
            "nested": lambda s, c: (protocol, {"message": "x", "metadata": {"a": {"b": [{"c": f"{c} {s}"}]}}}),
            "json_text": lambda s, c: (protocol, {"message": json.dumps({"canary": c, "inner": s})}),
        }
    if protocol == "otlp_grpc":
        return {
            "message": lambda s, c: ("grpc_logs", json.loads(otlp_logs([f"{c} paid with {s} today"]))),
            "attribute": lambda s, c: ("grpc_logs", json.loads(otlp_logs(["x"], {"note": f"{c} {s}"}))),
            "number": lambda s, c: ("grpc_logs", json.loads(otlp_logs([c], {"amount": number(s)}))),
            "span name": lambda s, c: ("grpc_spans", span(f"{c} {s}")),
            "span attribute": lambda s, c: ("grpc_spans", span(attributes={"note": f"{c} {s}"})),
        }
    if protocol == "otlp_traces":
        return {
            "name": lambda s, c: ("spans", span(f"{c} {s}")),
            "attribute": lambda s, c: ("spans", span(attributes={"note": f"{c} {s}"})),
            "key": lambda s, c: ("spans", span(attributes={f"{c} {s}": "v"})),
            "number": lambda s, c: ("spans", span(c, {"amount": number(s)})),
            "url": lambda s, c: ("spans", span(attributes={"url.full": f"https://shop.example/{c}?q={urllib.parse.quote(s)}"})),
            "event": lambda s, c: ("spans", span(event=f"{c} {s}")),
            "status": lambda s, c: ("spans", span(status=f"{c} {s}")),
        }
    if protocol == "sentry_items":
        log = lambda body, **attributes: [("log", {"items": [{"timestamp": 1790000000, "trace_id": TRACE, "level": "info", "body": body, "attributes": {
            key: {"value": value, "type": "string" if isinstance(value, str) else "integer"} for key, value in attributes.items()}}]},
            {"item_count": 1, "content_type": "application/vnd.sentry.items.log+json"})]
        v2 = lambda **members: [("span", {"items": [{"trace_id": TRACE, "span_id": SPAN, "name": "n", "status": "ok", "is_segment": True,
            "start_timestamp": 1790000000, "end_timestamp": 1790000001, "attributes": {}, **members}]}, {"item_count": 1, "content_type": "application/vnd.sentry.items.span.v2+json"})]
        return {
            "log body": lambda s, c: ("items", log(f"{c} {s}")),
            "log attribute": lambda s, c: ("items", log("x", note=f"{c} {s}")),
            "log number": lambda s, c: ("items", log(c, amount=number(s))),
            "transaction": lambda s, c: ("items", transaction(transaction=f"{c} {s}")),
            "transaction's tag": lambda s, c: ("items", transaction(tags={"note": f"{c} {s}"})),
            "transaction's span": lambda s, c: ("items", transaction(spans=[sentry_span(description=f"{c} {s}")])),
            "transaction's span's data": lambda s, c: ("items", transaction(spans=[sentry_span(data={"note": f"{c} {s}"})])),
            "span v2": lambda s, c: ("items", v2(name=f"{c} {s}")),
            "span v2's attribute": lambda s, c: ("items", v2(attributes={"note": {"value": f"{c} {s}", "type": "string"}})),
            "attachment": lambda s, c: ("items", [("event", {"message": "x"}), ("attachment", f"{c} {s}\n".encode(), {"filename": "a.txt"})]),
            "attachment's name": lambda s, c: ("items", [("event", {"message": "x"}), ("attachment", b"x", {"filename": f"{c} {s}"})]),
            "JSON attachment": lambda s, c: ("items", [("event", {"message": "x"}), ("attachment", json.dumps({"canary": c, "note": number(s)}).encode(), {"filename": "a.json"})]),
            # What no detector looks at stays: a memory dump keeps the canary in a run of its own.
            "dump": lambda s, c: ("items", [("event", {"message": "x"}), ("attachment", b"\xff\x00" + s.encode() + b"\x00\xfe" + c.encode() + b"\x00", {"filename": "core"})]),
            "wide dump": lambda s, c: ("items", [("event", {"message": "x"}), ("attachment", b"\xff\xfe" + s.encode("utf-16-le") + b"\xff" + c.encode() + b"\x00", {"filename": "core"})]),
        }
    return {
        "message": lambda s, c: ("sentry", {"message": f"{c} {s}"}),
        "exception": lambda s, c: ("sentry", {"exception": {"values": [{"type": "E", "value": f"{c} {s}"}]}}),
        "exception_type": lambda s, c: ("sentry", {"exception": {"values": [{"type": f"{c} {s}", "value": "v"}]}}),
        "tag": lambda s, c: ("sentry", {"tags": {"note": f"{c} {s}"}}),
        "tag_key": lambda s, c: ("sentry", {"tags": {f"{c} {s}": "v"}}),
        "extra": lambda s, c: ("sentry", {"extra": {"note": f"{c} {s}"}}),
        "extra_number": lambda s, c: ("sentry", {"extra": {"note": c, "amount": number(s)}}),
        "url": lambda s, c: ("sentry", {"request": {"url": f"https://shop.example/{c}?q={urllib.parse.quote(s)}"}}),
        "breadcrumb": lambda s, c: ("sentry", {"breadcrumbs": {"values": [{"message": f"{c} {s}", "timestamp": 1}]}}),
        "variable": lambda s, c: ("sentry", {"exception": {"values": [{"type": "E", "value": "v", "stacktrace": {"frames": [
            {"function": "f", "filename": "a.py", "lineno": 1, "vars": {"note": f"{c} {s}"}}]}}]}}),
        "context": lambda s, c: ("sentry", {"contexts": {"order": {"note": f"{c} {s}"}}}),
        "release": lambda s, c: ("sentry", {"release": f"{c} {s}"}),
    }


def send(server, project, how, record):
    """Sends a record; true where it was acknowledged."""
    token = project["ingest_token"]
    if how.startswith("grpc"):
        return send_grpc(server, token, how, record)
    answer = {
        "otlp": lambda: post_otlp(server, token, **record),
        "spans": lambda: server.request("POST", "/v1/traces", json.dumps(record).encode(), {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}),
        "logflare": lambda: post_logflare(server, token, [record]),
        "better_stack": lambda: post_better_stack(server, token, [record]),
        "items": lambda: post_sentry(server, project, record),
        "sentry": lambda: post_sentry(server, project, [("event", {"platform": "python", **record})]),
    }[how]()
    return answer.status in (200, 202) and b"rejected" not in answer.body


def send_grpc(server, token, how, record):
    import grpc
    from google.protobuf.json_format import ParseDict
    from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as logs, logs_service_pb2_grpc as logs_grpc
    from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as traces, trace_service_pb2_grpc as traces_grpc
    with grpc.insecure_channel(server.ready["otlp_grpc"]) as channel:
        if how == "grpc_logs":
            stub, request = logs_grpc.LogsServiceStub(channel), ParseDict(record, logs.ExportLogsServiceRequest())
        else:
            stub, request = traces_grpc.TraceServiceStub(channel), ParseDict(record, traces.ExportTraceServiceRequest())
            for one in request.resource_spans[0].scope_spans[0].spans:
                one.trace_id, one.span_id = bytes.fromhex(TRACE), bytes.fromhex(SPAN)
        return not stub.Export(request, metadata=[("authorization", f"Bearer {token}")], timeout=20).HasField("partial_success")


@pytest.fixture(scope="module")
def planted():
    """A server with every secret sent through every place of every protocol, still running."""
    with Server() as server:
        project = server.project("leaks")
        canaries = {}
        number = itertools.count()
        for protocol in ("otlp", "otlp_grpc", "otlp_traces", "logflare", "better_stack", "sentry", "sentry_items"):
            for place, plant in places(protocol).items():
                for kind, secret in PLANTED.items():
                    canary = f"{CANARY}{next(number)}x"
                    assert send(server, project, *plant(secret, canary)), (protocol, place, kind)
                    canaries[canary] = f"{protocol} {place} {kind}"
        yield server, canaries


def everything(server: Server, into: pathlib.Path) -> dict[str, bytes]:
    """Every byte that a search of the data dir can reach: raw files, decrypted and decoded files, SQLite pages, logs."""
    server.cli("verify", "storage", "--decrypt-to", str(into), timeout=300)
    found = {"own log": server.log_text().encode()}
    folders = [server.data_dir, into]
    if server.place:
        # What PostgreSQL and the object store keep: their own files, their logs and write-ahead logs, and a dump.
        folders += [server.place.postgres.folder, server.place.s3.folder]
        found["dump"] = server.place.postgres.dump(server.place.database)
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file():
                found[str(path)] = path.read_bytes()
                if path.suffix == ".db":
                    # A dump shows what pages hold in overflow chains; the raw bytes above show free pages and the WAL.
                    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
                        found[f"{path} dump"] = "\n".join(database.iterdump()).encode(errors="replace")
    return found


@pytest.mark.parametrize("moment", ["running", "flushed", "stopped"])
def test_no_secret_and_every_canary_on_disk(planted, tmp_path, show, moment):
    server, canaries = planted
    if moment == "flushed":
        server.cli("flush", "--project", "leaks")
    if moment == "stopped":
        server.stop()
    store = everything(server, tmp_path / "decrypted")
    forms = {}
    for name, secret in SECRETS.items():
        raw = secret.encode()
        forms[name] = {raw, urllib.parse.quote(secret).encode(), base64.b64encode(raw).rstrip(b"="), raw.hex().encode(), secret.encode("utf-16-le")}
    leaks = [(name, where) for name, shapes in forms.items() for where, data in store.items() if any(shape in data for shape in shapes)]
    assert not leaks, leaks[:20]
    blob = b"\n".join(store.values())
    missing = [where for canary, where in canaries.items() if canary.encode() not in blob]
    assert not missing, f"{len(missing)} canaries lost: {missing[:20]}"
    show(f"leaks, {moment}: {len(canaries)} records in {len(store)} files and dumps, {sum(map(len, store.values()))} bytes searched, no secret, every canary")
