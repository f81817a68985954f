"""The 29 places of an error event, and those that correspond to them in the other protocols.

A place takes a leaf, which is text with the canary before the secret, or the secret as a number and the canary beside
it; None says that it cannot hold that.
"""

import dataclasses
import json
import time
import urllib.parse
import uuid

from matrix import Secret, grouped


@dataclasses.dataclass(frozen=True)
class Plant:
    """A secret and the canary beside it."""
    secret: Secret
    canary: str

    @property
    def leaf(self):
        return self.secret.value if self.secret.is_number else f"{self.canary} {self.secret.text}"

    @property
    def name(self):
        """As a member's name, which no number can be."""
        return None if self.secret.is_number else self.leaf

    def within(self, form: str):
        """In a text; a number's digits."""
        return form.format(c=self.canary, s=self.secret.text, q=urllib.parse.quote(self.secret.text))

    def number(self):
        return int(self.secret.digits) if self.secret.digits else None

    def dotted(self):
        return f"{self.canary} {grouped(self.secret.digits, '.')}" if self.secret.digits else None

    def json(self):
        return json.dumps({"canary": self.canary, "inner": self.secret.value})

    def encoded(self):
        return urllib.parse.quote(f"note={self.canary} {self.secret.text}")


URL, QUERY, LINE, FUNCTION, STATEMENT = "https://shop.example/{c}?q={q}", "note={c}&q={q}", "x = '{c} {s}'", "{c} f_{s}", "SELECT '{c} {s}'"


def frame(**members):
    return {"exception": {"values": [{"type": "E", "value": "v", "stacktrace": {"frames": [{"filename": "a.py", "lineno": 1, **members}]}}]}}


def named(name, value="x"):
    return None if name is None else {name: value}


# The place whose form is a number, whatever the secret's.
NUMBER = "extra, a number"

# What stands there names a person: it leaves the row for a code, and what is harmless in it with it.
PERSONS = ("user name", "user's full name", "user id")

# As members of an event.
EVENT = {
    NUMBER: lambda p: {"extra": {"amount": p.number()}} if p.number() else None,
    "extra, JSON in text": lambda p: {"extra": {"note": p.json()}},
    "extra, URL-encoded": lambda p: {"extra": {"note": p.encoded()}},
    "extra, dotted": lambda p: {"extra": {"note": p.dotted()}} if p.dotted() else None,
    "extra, a key": lambda p: p.name and {"extra": named(p.name)},
    "tag": lambda p: {"tags": {"note": p.leaf}},
    "exception value": lambda p: {"exception": {"values": [{"type": "E", "value": p.leaf}]}},
    "exception type": lambda p: {"exception": {"values": [{"type": p.leaf, "value": "v"}]}},
    "transaction": lambda p: {"transaction": p.leaf},
    "request URL": lambda p: {"request": {"url": p.within(URL)}},
    "request query": lambda p: {"request": {"url": "https://shop.example/", "query_string": p.within(QUERY)}},
    "frame, context line": lambda p: frame(context_line=p.within(LINE)),
    "frame, variable": lambda p: frame(vars={"note": p.leaf}),
    "frame, function": lambda p: frame(function=p.within(FUNCTION)),
    "breadcrumb message": lambda p: {"breadcrumbs": {"values": [{"message": p.leaf, "timestamp": 1}]}},
    "breadcrumb category": lambda p: {"breadcrumbs": {"values": [{"category": p.leaf, "message": "m", "timestamp": 1}]}},
    "message": lambda p: {"logentry": {"formatted": p.leaf}},
    "message parameter": lambda p: {"logentry": {"message": "%s", "params": [p.leaf]}},
    "user name": lambda p: {"user": {"username": p.leaf}},
    "user's full name": lambda p: {"user": {"name": p.leaf}},
    "user id": lambda p: {"user": {"id": p.leaf}},
    "context": lambda p: {"contexts": {"order": {"note": p.leaf}}},
    "User-Agent": lambda p: {"request": {"url": "https://shop.example/", "headers": [["User-Agent", p.leaf]]}},
    "release": lambda p: {"release": p.leaf},
    "server name": lambda p: {"server_name": p.leaf},
    "fingerprint": lambda p: {"fingerprint": [p.leaf]},
    "span description": lambda p: {"spans": [{"description": p.within(STATEMENT), "span_id": "a" * 16, "trace_id": "b" * 32, "start_timestamp": 1, "timestamp": 2}]},
    "thread name": lambda p: {"threads": {"values": [{"name": p.leaf}]}},
    "module": lambda p: p.name and {"modules": named(p.name, "1")},
}
assert len(EVENT) == 29


def event(place: str, plant: Plant):
    """The members of an event with the secret at that place; none where the place cannot hold it."""
    made = EVENT[place](plant)
    if made and (place in PERSONS or plant.canary not in json.dumps(made)):
        made.setdefault("extra", {})["beside"] = plant.canary
    return made or None


# As parts of a record of logs or traces, by the names of OpenTelemetry's conventions: attributes, but for those that
# say otherwise. Names with dots are members of members where a protocol has objects.
def attribute(name, value):
    return {"attributes": {name: value}} if value is not None else None


RECORD = {
    NUMBER: lambda p: attribute("amount", p.number()),
    "extra, JSON in text": lambda p: attribute("note", p.json()),
    "extra, URL-encoded": lambda p: attribute("note", p.encoded()),
    "extra, dotted": lambda p: attribute("note", p.dotted()),
    "extra, a key": lambda p: p.name and attribute(p.name, "x"),
    "tag": lambda p: attribute("tag.note", p.leaf),
    "exception value": lambda p: attribute("exception.message", p.leaf),
    "exception type": lambda p: attribute("exception.type", p.leaf),
    "transaction": lambda p: {"name": p.leaf},
    "request URL": lambda p: attribute("url.full", p.within(URL)),
    "request query": lambda p: attribute("url.query", p.within(QUERY)),
    "frame, context line": lambda p: attribute("exception.stacktrace", 'Traceback:\n  File "a.py", line 1, in f\n    ' + p.within(LINE)),
    "frame, variable": lambda p: attribute("frames", [{"vars": {"note": p.leaf}}]),
    "frame, function": lambda p: attribute("code.function.name", p.within(FUNCTION)),
    "breadcrumb message": lambda p: {"event": {"name": "crumb", "attributes": {"message": p.leaf}}},
    "breadcrumb category": lambda p: {"event": {"name": p.leaf, "attributes": {}}},
    "message": lambda p: {"body": p.leaf},
    "message parameter": lambda p: attribute("params", [p.leaf]),
    "user name": lambda p: attribute("user.name", p.leaf),
    "user's full name": lambda p: attribute("user.full_name", p.leaf),
    "user id": lambda p: attribute("user.id", p.leaf),
    "context": lambda p: attribute("order", {"note": p.leaf}),
    "User-Agent": lambda p: attribute("user_agent.original", p.leaf),
    "release": lambda p: {"resource": {"service.version": p.leaf}},
    "server name": lambda p: {"resource": {"host.name": p.leaf}},
    "fingerprint": lambda p: attribute("fingerprint", ["v1", p.leaf]),
    "span description": lambda p: attribute("db.query.text", p.within(STATEMENT)),
    "thread name": lambda p: attribute("thread.name", p.leaf),
    "module": lambda p: p.name and attribute("modules", named(p.name, "1")),
}
assert list(RECORD) == list(EVENT)


def record(place: str, plant: Plant):
    """The parts of a record: attributes, resource, body, name, event."""
    made = RECORD[place](plant)
    if made and (place in PERSONS or plant.canary not in json.dumps(made)):
        made.setdefault("attributes", {})["beside"] = plant.canary
    return made or None


# --- records as OTLP has them, in JSON; protobuf is made of the same -----------------------------------------------

def any_value(value):
    if isinstance(value, dict):
        return {"kvlistValue": {"values": key_values(value)}}
    if isinstance(value, list):
        return {"arrayValue": {"values": [any_value(item) for item in value]}}
    return {"stringValue": value} if isinstance(value, str) else {"intValue": value}


def key_values(values: dict):
    return [{"key": name, "value": any_value(value)} for name, value in values.items()]


def only_text(value) -> str:
    """Of what OTLP has as text alone."""
    return value if isinstance(value, str) else str(value)


def otlp_logs(records) -> dict:
    def one(parts):
        attributes = dict(parts.get("attributes", {}))
        if event := parts.get("event"):
            attributes["breadcrumbs"] = [{"category": event["name"], **event["attributes"]}]
        log = {"timeUnixNano": str(time.time_ns()), "severityNumber": 9, "body": any_value(parts.get("body", "x")), "attributes": key_values(attributes)}
        if "name" in parts:
            log["eventName"] = only_text(parts["name"])
        return {"resource": {"attributes": key_values(parts.get("resource", {}))}, "scopeLogs": [{"logRecords": [log]}]}
    return {"resourceLogs": [one(parts) for parts in records]}


def otlp_traces(records) -> dict:
    def one(parts):
        now = time.time_ns()
        span = {"traceId": uuid.uuid4().hex, "spanId": uuid.uuid4().hex[:16], "name": only_text(parts.get("name", "n")), "startTimeUnixNano": str(now),
                "endTimeUnixNano": str(now + 1), "attributes": key_values(parts.get("attributes", {}))}
        if "body" in parts:
            span["status"] = {"code": 2, "message": only_text(parts["body"])}
        if event := parts.get("event"):
            span["events"] = [{"timeUnixNano": str(now), "name": only_text(event["name"]), "attributes": key_values(event["attributes"])}]
        return {"resource": {"attributes": key_values(parts.get("resource", {}))}, "scopeSpans": [{"spans": [span]}]}
    return {"resourceSpans": [one(parts) for parts in records]}


def protobuf(request: dict):
    """The same request as OTLP's message, whose ids are bytes and not hexadecimal digits."""
    from google.protobuf import json_format
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
    message = ExportLogsServiceRequest() if "resourceLogs" in request else ExportTraceServiceRequest()
    json_format.ParseDict(request, message, ignore_unknown_fields=True)
    if "resourceSpans" in request:
        for sent, built in zip(request["resourceSpans"], message.resource_spans):
            for span, made in zip(sent["scopeSpans"][0]["spans"], built.scope_spans[0].spans):
                made.trace_id, made.span_id = bytes.fromhex(span["traceId"]), bytes.fromhex(span["spanId"])
    return message


# --- records as JSON shippers have them ----------------------------------------------------------------------------

def members(parts: dict) -> dict:
    """Attributes as objects, each with its resource, name and events beside them."""
    nested = {}
    for name, value in parts.get("attributes", {}).items():
        into, steps = nested, name.split(".") if "canary" not in name else [name]
        for step in steps[:-1]:
            into = into.setdefault(step, {})
        into[steps[-1]] = value
    for part in ("resource", "name", "event"):
        if part in parts:
            nested[part] = parts[part]
    return nested


def logflare(parts: dict) -> dict:
    return {"message": parts.get("body", "x"), "metadata": members(parts)}


def better_stack(parts: dict) -> dict:
    return {"message": parts.get("body", "x"), **members(parts)}


# --- what Kafka alone has: (key, value, headers) -------------------------------------------------------------------

KAFKA = {
    "text": lambda p: (None, p.within("{c} {s}"), None),
    "text in lines": lambda p: (None, p.within("GET /a 200\n{c} pays with {s}, thanks\nGET /b 200"), None),
    "JSON that is cut": lambda p: (None, '{"note":"' + p.within("{c} {s}") + '"', None),
    "JSON behind a byte order mark": lambda p: (None, '\ufeff{"note":"' + p.within("{c} {s}") + '"}', None),
    "JSON with a name twice": lambda p: (None, '{"a":"x","a":"' + p.within("{c} {s}") + '","a":"y"}', None),
    "JSON with NaN": lambda p: (None, '{"a":NaN,"note":"' + p.within("{c} {s}") + '"}', None),
    "lines of JSON": lambda p: (None, '{"a":1}\n{"note":"' + p.within("{c} {s}") + '"}', None),
    "JSON as Python has it": lambda p: (None, "{'note': '" + p.within("{c} {s}") + "'}", None),
    "list of JSON": lambda p: (None, json.dumps([{"canary": p.canary}, [p.secret.value]]), None),
    "key": lambda p: (p.within("{c} {s}"), "v", None),
    "key, JSON": lambda p: (p.json(), '{"v":1}', None),
    "key of a tombstone": lambda p: (p.within("{c} {s}"), None, None),
    "header": lambda p: (None, "v", [("note", p.within("{c} {s}").encode())]),
    "header, JSON": lambda p: (None, "v", [("note", p.json().encode())]),
    "header's name": lambda p: (None, "v", [(p.within("{c} {s}"), b"v")]),
}
