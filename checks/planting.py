"""More places where a secret may stand: protobuf and gRPC, traces, Sentry's other items, MessagePack, names of sources."""

import gzip
import json
import time
import urllib.parse
import uuid

import wire
from server import Server, post_sentry


def places(server: Server, project: dict):
    """Every place: its protocol, its name, and what plants (secret, canary) there and gives the answer's status."""
    for encode, send in otlp_ways(server, project).items():
        for place, plant in log_places().items():
            yield f"{encode} logs", place, lambda s, c, plant=plant, send=send: send("logs", plant(s, c))
        for place, plant in span_places().items():
            yield f"{encode} traces", place, lambda s, c, plant=plant, send=send: send("traces", plant(s, c))
    for kind, of_kind in sentry_places().items():
        for place, plant in of_kind.items():
            yield f"Sentry {kind}", place, lambda s, c, plant=plant: post_sentry(server, project, plant(s, c)).status
    for place, send in shipper_places(server, project).items():
        yield "shippers", place, send


def otlp_ways(server, project):
    key = f"Bearer {project['ingest_token']}"

    def over_http(signal, request):
        return wire.post(server, f"/v1/{signal}", request, {"Authorization": key, "Content-Type": "application/x-protobuf"}).status

    def over_grpc(signal, request):
        path = wire.EXPORT if signal == "logs" else "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
        answer = wire.grpc(server, wire.frame(request), {"authorization": key}, path=path)
        return 200 if answer.status == "OK" else answer

    return {"OTLP protobuf": lambda signal, message: over_http(signal, message.SerializeToString()),
            "OTLP/gRPC": lambda signal, message: over_grpc(signal, message.SerializeToString())}


def attribute(key, value):
    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
    return KeyValue(key=key, value=value if isinstance(value, AnyValue) else AnyValue(string_value=value))


def number(text):
    from opentelemetry.proto.common.v1.common_pb2 import AnyValue
    return AnyValue(int_value=int(text)) if text.isdigit() else AnyValue(string_value=text)


def nested(text):
    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValueList
    return AnyValue(kvlist_value=KeyValueList(values=[attribute("list", AnyValue(array_value=ArrayValue(values=[AnyValue(string_value=text)])))]))


def log_places():
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
    from opentelemetry.proto.common.v1.common_pb2 import AnyValue

    def request(fill):
        message = ExportLogsServiceRequest()
        resource = message.resource_logs.add()
        scope = resource.scope_logs.add()
        record = scope.log_records.add(time_unix_nano=time.time_ns())
        fill(resource, scope, record)
        return message

    def put(place):
        return lambda s, c: request(lambda resource, scope, record: place(resource, scope, record, s, c))

    return {
        "body": put(lambda r, sc, x, s, c: x.body.MergeFrom(AnyValue(string_value=f"{c} {s}"))),
        "body, nested": put(lambda r, sc, x, s, c: x.body.MergeFrom(nested(f"{c} {s}"))),
        "attribute": put(lambda r, sc, x, s, c: x.attributes.append(attribute("note", f"{c} {s}"))),
        "attribute, nested": put(lambda r, sc, x, s, c: x.attributes.append(attribute("note", nested(f"{c} {s}")))),
        "key": put(lambda r, sc, x, s, c: x.attributes.append(attribute(f"{c} {s}", "v"))),
        "number": put(lambda r, sc, x, s, c: x.attributes.extend([attribute("c", c), attribute("amount", number(s))])),
        # Six bytes before it, so that the base64 in which bytes are stored would show the secret's own.
        "bytes": put(lambda r, sc, x, s, c: x.attributes.extend([attribute("c", c), attribute("raw", AnyValue(bytes_value=b"is no " + s.encode()))])),
        "resource": put(lambda r, sc, x, s, c: r.resource.attributes.append(attribute("service.name", f"{c} {s}"))),
        "scope": put(lambda r, sc, x, s, c: setattr(sc.scope, "name", f"{c} {s}")),
        "schema url": put(lambda r, sc, x, s, c: setattr(r, "schema_url", f"https://h/{c}?q={urllib.parse.quote(s)}")),
        "severity text": put(lambda r, sc, x, s, c: setattr(x, "severity_text", f"{c} {s}")),
        "event name": put(lambda r, sc, x, s, c: setattr(x, "event_name", f"{c} {s}")),
    }


def span_places():
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    def put(place):
        def plant(s, c):
            message = ExportTraceServiceRequest()
            resource = message.resource_spans.add()
            now = time.time_ns()
            span = resource.scope_spans.add().spans.add(trace_id=uuid.uuid4().bytes, span_id=uuid.uuid4().bytes[:8], name="n", start_time_unix_nano=now, end_time_unix_nano=now + 1)
            place(resource, span, s, c)
            return message
        return plant

    return {
        "name": put(lambda r, x, s, c: setattr(x, "name", f"{c} {s}")),
        "attribute": put(lambda r, x, s, c: x.attributes.append(attribute("note", f"{c} {s}"))),
        "url": put(lambda r, x, s, c: x.attributes.append(attribute("url.full", f"https://h/{c}?q={urllib.parse.quote(s)}"))),
        "key": put(lambda r, x, s, c: x.attributes.append(attribute(f"{c} {s}", "v"))),
        "number": put(lambda r, x, s, c: x.attributes.extend([attribute("c", c), attribute("amount", number(s))])),
        "event name": put(lambda r, x, s, c: x.events.add(name=f"{c} {s}")),
        "event attribute": put(lambda r, x, s, c: x.events.add(name="e").attributes.append(attribute("note", f"{c} {s}"))),
        "link attribute": put(lambda r, x, s, c: x.links.add(trace_id=b"1" * 16, span_id=b"2" * 8).attributes.append(attribute("note", f"{c} {s}"))),
        "status": put(lambda r, x, s, c: x.status.MergeFrom(type(x.status)(code=2, message=f"{c} {s}"))),
        "trace state": put(lambda r, x, s, c: setattr(x, "trace_state", f"v={c} {s}")),
        "resource": put(lambda r, x, s, c: r.resource.attributes.append(attribute("host.name", f"{c} {s}"))),
    }


def sentry_places():
    trace = lambda: {"trace_id": uuid.uuid4().hex, "span_id": uuid.uuid4().hex[:16], "op": "o"}
    now = time.time()

    def transaction(**members):
        return [("transaction", {"type": "transaction", "event_id": uuid.uuid4().hex, "start_timestamp": now, "timestamp": now + 1, "contexts": {"trace": trace()}, "spans": [], **members})]

    def child(**members):
        return transaction(spans=[{**trace(), "start_timestamp": now, "timestamp": now, **members}])

    def container(kind, item):
        return [(kind, {"items": [item]}, {"item_count": 1, "content_type": f"application/vnd.sentry.items.{kind}+json"})]

    def span(**members):
        return container("span", {**trace(), "name": "n", "start_timestamp": now, "end_timestamp": now, "status": "ok", **members})

    def log(**members):
        return container("log", {"timestamp": now, "level": "info", "body": "b", **members})

    def attached(content, name="notes.txt"):
        return [("event", {"message": "with an attachment"}), ("attachment", content, {"filename": name})]

    text = lambda value: {"value": value, "type": "string"}
    return {
        "transaction": {
            "name": lambda s, c: transaction(transaction=f"{c} {s}"),
            "tag": lambda s, c: transaction(tags={"note": f"{c} {s}"}),
            "context": lambda s, c: transaction(contexts={"trace": trace(), "order": {"note": f"{c} {s}"}}),
            "extra": lambda s, c: transaction(extra={"a": {"b": [f"{c} {s}"]}}),
            "request": lambda s, c: transaction(request={"url": f"https://h/{c}?q={urllib.parse.quote(s)}"}),
            "span description": lambda s, c: child(description=f"{c} {s}"),
            "span data": lambda s, c: child(data={"note": f"{c} {s}"}),
            "span data key": lambda s, c: child(data={f"{c} {s}": 1}),
            "measurement": lambda s, c: transaction(measurements={c: {"value": int(s) if s.isdigit() else 1, "unit": s}}),
        },
        "span v2": {
            "name": lambda s, c: span(name=f"{c} {s}"),
            "attribute": lambda s, c: span(attributes={"note": text(f"{c} {s}")}),
            "key": lambda s, c: span(attributes={f"{c} {s}": text("v")}),
            "link": lambda s, c: span(links=[{"attributes": {"note": text(f"{c} {s}")}}]),
        },
        "log": {
            "body": lambda s, c: log(body=f"{c} {s}"),
            "attribute": lambda s, c: log(attributes={"note": text(f"{c} {s}")}),
            "key": lambda s, c: log(attributes={f"{c} {s}": text("v")}),
            "number": lambda s, c: log(body=c, attributes={"n": {"value": int(s) if s.isdigit() else s, "type": "integer"}}),
        },
        "attachment": {
            "text": lambda s, c: attached(f"{c}\nline with {s}\n".encode()),
            "JSON": lambda s, c: attached(json.dumps({"canary": c, "deep": [{"note": s}]}).encode(), "a.json"),
            # The run of text that a secret stands in is blanked whole.
            "binary": lambda s, c: attached(b"\x00\x01\xff" + c.encode() + b"\x00\x02\xff" + s.encode() + b"\x00\xfe", "dump.bin"),
            "file name": lambda s, c: attached(b"content", f"{c} {s}"),
        },
        "unknown items": {
            "in the middle": lambda s, c: [("never_heard_of", {"note": s}), ("event", {"message": c})],
            "session": lambda s, c: [("session", {"sid": s, "did": s}), ("event", {"message": c})],
        },
    }


def shipper_places(server, project):
    import msgpack
    token = {"Authorization": f"Bearer {project['ingest_token']}"}
    to = lambda path, body, **headers: wire.post(server, path, body, {**token, **headers}).status
    # What is refused leaves nothing; its canary comes by itself.
    refused = lambda c, expected, status: to("/logs", json.dumps({"message": c}).encode()) if status == expected else status
    packed = lambda record: to("/", msgpack.packb([record]), **{"Content-Type": "application/msgpack"})
    return {
        "MessagePack message": lambda s, c: packed({"message": f"{c} {s}"}),
        "MessagePack key": lambda s, c: packed({"message": "x", f"{c} {s}": 1}),
        "MessagePack nested": lambda s, c: packed({"message": "x", "a": [{"b": f"{c} {s}"}]}),
        "MessagePack bytes": lambda s, c: packed({"message": c, "raw": s.encode()}),
        "Logflare lines, gzip": lambda s, c: to("/logs", gzip.compress(json.dumps({"message": f"{c} {s}"}).encode() + b"\n"), **{"Content-Encoding": "gzip"}),
        "Logflare source": lambda s, c: to("/logs?" + urllib.parse.urlencode({"source_name": f"{c} {s}"}), b'{"message":"x"}'),
        "what is no JSON": lambda s, c: refused(c, 406, to("/logs", f'{{"message": {s}'.encode())),
        "a path that is not there": lambda s, c: refused(c, 404, to(f"/nowhere/{urllib.parse.quote(s)}", b"x")),
    }
