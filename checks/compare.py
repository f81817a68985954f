"""What Sentry's SDKs sent beside what is stored: every member, and a closed table of what the gate changes."""

import re

from visible import as_sent, unix_nano

ABSENT = "(absent)"
# Whom the clients' scripts name.
IDENTIFIERS = {"4711", "ada", "ada@example.org"}
# What they plant for the detectors.
SECRETS = {"4111111111111111": "[card]", "hunter2-hunter2": "[secret]", "abcdefgh12345678": "[secret]"}
CODE = re.compile(r"(user|email|name|device|session|replay):[a-z2-7]{26}")

# What the gate does, by the place where it does it: the place's pattern, the stored form as people read it, and whether
# a pair of sent and stored is that. Whatever differs and is not here is a fault.
CHANGES = [
    (r"(.*\.)?user\.id", "user:CODE", lambda sent, stored: code_of(stored, "user")),
    (r"(.*\.)?user\.email", "email:CODE", lambda sent, stored: code_of(stored, "email")),
    (r"(.*\.)?user\.(username|name)", "name:CODE", lambda sent, stored: code_of(stored, "name")),
    (r"(.*\.)?replay(_i|I)d", "replay:CODE", lambda sent, stored: code_of(stored, "replay")),
    (r"(.*\.)?user\.ip_address", "[ip]", lambda sent, stored: stored == "[ip]"),
    (r"(.*\.)?user\.(plan|geo\..*)", "absent: a trait of a person", lambda sent, stored: stored is ABSENT),
    (r".*", "KIND:CODE where the text repeats an identifier", lambda sent, stored: repeats(sent, stored)),
    (r".*password", "[secret]", lambda sent, stored: stored == "[secret]"),
    (r".*", "[card] or [secret] within the text", lambda sent, stored: isinstance(sent, str) and without_secrets(sent) == stored),
    (r".*", "\ufffd for half a surrogate", lambda sent, stored: isinstance(sent, str) and re.sub("[\ud800-\udfff]", "\ufffd", sent) == stored),
]
# In rows, identifiers leave: `subjects` has their codes.
LEAVES_ROWS = r"user\.(id|email|username|name)|(.*\.)?replay(_i|I)d"


def code_of(stored, kind):
    return isinstance(stored, str) and stored.startswith(f"{kind}:") and CODE.fullmatch(stored) is not None


def without_secrets(text):
    for secret, placeholder in SECRETS.items():
        text = text.replace(secret, placeholder)
    return text


def repeats(sent, stored):
    """Text in which identifiers of the user, and nothing else, have become their codes."""
    if not isinstance(sent, str) or not isinstance(stored, str) or not CODE.search(stored):
        return False
    words = CODE.split(stored)[::2]
    found = re.fullmatch("(.+?)".join(map(re.escape, words)), sent, re.DOTALL)
    return found is not None and set(found.groups()) <= IDENTIFIERS


class Table:
    """The changes that were seen, for printing."""

    def __init__(self):
        self.seen, self.faults = {}, []

    def judge(self, client, path, sent, stored, subjects=None):
        place = re.sub(r"\[\d+\]", "[]", path)
        if subjects is not None and stored is ABSENT and re.fullmatch(LEAVES_ROWS, place):
            kind = {"id": "user", "email": "email", "replay_id": "replay", "replayId": "replay"}.get(place.rsplit(".", 1)[-1], "name")
            if any(subject.startswith(kind + ":") for subject in subjects):
                self.seen.setdefault(place, {})["leaves the row; its code is in `subjects`"] = None
                return
        for pattern, form, holds in CHANGES:
            if re.fullmatch(pattern, place) and holds(sent, stored):
                self.seen.setdefault(place, {})[form] = None
                return
        self.faults.append(f"{client}: {path}: sent {sent!r:.300}, stored {stored!r:.300}")

    def lines(self):
        for place, forms in sorted(self.seen.items()):
            yield f"  {place:<40} {' or '.join(forms)}"


def differences(sent, stored, path=""):
    """Leaves that differ: place, what was sent, what is stored. 1 is not true, and 1.0 is 1."""
    if isinstance(sent, dict) and isinstance(stored, dict):
        for key in [*sent, *(key for key in stored if key not in sent)]:
            yield from differences(sent.get(key, ABSENT), stored.get(key, ABSENT), f"{path}.{key}" if path else key)
    elif isinstance(sent, list) and isinstance(stored, list) and len(sent) == len(stored):
        for at, (one, other) in enumerate(zip(sent, stored)):
            yield from differences(one, other, f"{path}[{at}]")
    elif isinstance(sent, bool) != isinstance(stored, bool) or sent != stored:
        yield path, sent, stored


def time_matches(sent, row, column="timestamp"):
    """A time in a column is the time that was sent: RFC 3339 exactly, a number of seconds to the microsecond."""
    stored = unix_nano(row[column], row.get(f"{column}_ns"))
    if isinstance(sent, str):
        return stored == unix_nano(sent)
    return abs(stored - sent * 1e9) <= 1000


# --- errors ----------------------------------------------------------------------------------------------------

def compare_event(table, client, payload, row, event):
    """An error event: `event` whole, and every column that is read from it."""
    for path, sent, stored in differences(payload, event):
        table.judge(client, path, sent, stored)
    main = (payload.get("exception", {}).get("values") or [{}])[-1]
    message = payload.get("logentry", {})
    message = message.get("formatted") or message.get("message") or payload.get("message")
    trace = payload.get("contexts", {}).get("trace", {})
    columns = {
        "event_id": payload["event_id"], "level": payload.get("level", "error"), "type": main.get("type"),
        "value": main.get("value") or message, "platform": payload["platform"], "release": payload.get("release"),
        "environment": payload.get("environment", "production"), "transaction": payload.get("transaction"),
        "trace_id": trace.get("trace_id"), "span_id": trace.get("span_id"),
    }
    for name, sent in columns.items():
        if row[name] != sent:
            table.judge(client, name, sent, row[name])
    if not time_matches(payload["timestamp"], row):
        table.faults.append(f"{client}: timestamp: sent {payload['timestamp']}, stored {row['timestamp']}")
    for name, sent in payload.get("tags", {}).items():
        if row["tags"].get(name) != str(sent):
            table.judge(client, f"tags.{name}", sent, row["tags"].get(name, ABSENT))


# --- spans and logs --------------------------------------------------------------------------------------------

def compare_attributes(table, client, expected, row):
    """Attributes that were sent, each under its name; null and empty members say nothing and are not kept."""
    for name, sent in expected.items():
        if sent in (None, [], {}):
            continue
        stored = row["attributes"].get(name, ABSENT)
        if stored is ABSENT or (as_sent(stored, sent) if stored != "[ip]" else stored) != sent:
            table.judge(client, name, sent, stored, row["subjects"])


def compare_columns(table, client, expected, row):
    for name, sent in expected.items():
        if (row[name] or None) != (sent or None):
            table.judge(client, name, sent, row[name])


def compare_span_times(table, client, start, end, row):
    """Start and length, each to the microsecond where seconds were sent as a number."""
    seconds = [unix_nano(time) / 1e9 if isinstance(time, str) else time for time in (start, end)]
    if not time_matches(start, row) or abs(row["duration_ns"] - (seconds[1] - seconds[0]) * 1e9) > 2000:
        table.faults.append(f"{client}: times: sent {start} to {end}, stored {row['timestamp']} and {row['duration_ns']} ns")


def typed(attributes):
    return {name: attribute["value"] for name, attribute in attributes.items()}


def compare_span(table, client, span, row):
    """A span of a container."""
    attributes = typed(span["attributes"])
    known = {"trace_id", "span_id", "parent_span_id", "name", "status"}
    compare_columns(table, client, {
        **{name: span.get(name) for name in known}, "op": attributes.get("sentry.op"),
        "release": attributes.get("sentry.release"), "service_name": attributes.get("service.name")}, row)
    compare_span_times(table, client, span["start_timestamp"], span["end_timestamp"], row)
    rest = {name: value for name, value in span.items() if name not in known | {"start_timestamp", "end_timestamp", "attributes", "is_segment"}}
    compare_attributes(table, client, {**attributes, **rest, "sentry.is_segment": span["is_segment"]}, row)


def compare_log(table, client, log, row):
    """A record of a container."""
    attributes = typed(log["attributes"])
    compare_columns(table, client, {
        "body": log["body"], "severity_text": log["level"], "trace_id": log.get("trace_id"), "source": "sentry",
        "span_id": log.get("span_id") or attributes.get("sentry.trace.parent_span_id"),
        "host_name": attributes.get("server.address")}, row)
    numbers = {"trace": 1, "debug": 5, "info": 9, "warn": 13, "error": 17, "fatal": 21}
    if row["severity_number"] != log.get("severity_number", numbers[log["level"]]):
        table.faults.append(f"{client}: severity_number {row['severity_number']} of {log['level']}")
    if not time_matches(log["timestamp"], row):
        table.faults.append(f"{client}: timestamp: sent {log['timestamp']}, stored {row['timestamp']}")
    compare_attributes(table, client, attributes, row)


# --- transactions ----------------------------------------------------------------------------------------------

def flat(name, value, depth=3):
    """Objects unfold to dotted names, three deep."""
    if isinstance(value, dict) and depth:
        return {inner: leaf for key, member in value.items() for inner, leaf in flat(f"{name}.{key}", member, depth - 1).items()}
    return {name: value}


def of_all_spans(payload):
    shared = flat("user", payload["user"]) if "user" in payload else {}
    return {**shared, "sentry.environment": payload.get("environment"), "server.address": payload.get("server_name")}


def compare_transaction(table, client, payload, rows):
    """A transaction: its root, with everything that is said of the whole, and its spans. `rows` by span id."""
    trace = payload["contexts"]["trace"]
    root = rows[trace["span_id"]]
    compare_columns(table, client, {
        "name": payload.get("transaction"), "op": trace.get("op"), "status": trace.get("status"), "trace_id": trace["trace_id"],
        "parent_span_id": trace.get("parent_span_id"), "release": payload.get("release")}, root)
    compare_span_times(table, client, payload["start_timestamp"], payload["timestamp"], root)
    expected = {**(trace.get("data") or {}), **of_all_spans(payload), "sentry.is_segment": True, "sentry.origin": trace.get("origin")}
    for name, value in (payload.get("tags") or {}).items():
        expected[name if name not in expected else f"tags.{name}"] = str(value)
    for name, context in payload["contexts"].items():
        skipped = {"trace_id", "span_id", "parent_span_id", "op", "status", "data", "origin"} if name == "trace" else set()
        for key, value in (context or {}).items():
            if key not in skipped and not (key == "type" and value == name):
                expected |= flat(f"contexts.{name}.{key}", value)
    columns = {"type", "transaction", "start_timestamp", "timestamp", "release", "spans", "tags", "user", "environment", "server_name", "contexts"}
    for name, value in payload.items():
        if name in ("event_id", "platform", "dist"):
            expected[f"sentry.{name}"] = value
        elif name == "sdk":
            expected |= flat("sentry.sdk", value)
        elif name == "measurements":
            expected |= {f"measurements.{key}": measured["value"] for key, measured in value.items()}
        elif name not in columns:
            expected |= flat(name, value)
    compare_attributes(table, client, expected, root)

    for span in payload["spans"]:
        row = rows[span["span_id"]]
        compare_columns(table, client, {
            "name": span.get("description") or span.get("op"), "op": span.get("op"), "status": span.get("status"),
            "trace_id": span["trace_id"], "parent_span_id": span.get("parent_span_id"), "release": payload.get("release")}, row)
        compare_span_times(table, client, span["start_timestamp"], span["timestamp"], row)
        expected = {**(span.get("data") or {}), **of_all_spans(payload), "sentry.segment.id": trace["span_id"], "sentry.segment.name": payload.get("transaction")}
        for name, value in (span.get("tags") or {}).items():
            expected[name if name not in expected else f"tags.{name}"] = value
        renamed = {"origin": "sentry.origin", "segment_id": "sentry.segment.id", "is_segment": "sentry.is_segment"}
        columns = {"trace_id", "span_id", "parent_span_id", "op", "description", "status", "start_timestamp", "timestamp", "data", "tags", "measurements"}
        for name, value in span.items():
            if name not in columns:
                expected |= flat(renamed.get(name, name), value)
        compare_attributes(table, client, expected, row)
