"""Bad input: each gets the protocol's own error or a counted drop, its neighbours survive, and memory stays bounded."""

import gzip
import json
import pathlib
import random
import time
import uuid
import zlib

import pytest

import wire
from server import envelope, otlp_logs, resident_mb

MB = 1 << 20
# What the process may take, MB: the bound that ingest has under load.
RESIDENT_MB_MAX = 600


@pytest.fixture(scope="module")
def bed(server):
    """A project whose tables show what was stored of each case."""
    return Bed(server, server.project("bad-input"))


class Bed:
    def __init__(self, server, project):
        self.server, self.project = server, project
        self.token, self.number = project["ingest_token"], project["number"]
        self.dsn_key = project["dsn"].split("//")[1].split("@")[0]

    def stored(self, case) -> int:
        """Records of a case in all tables: each has the case's name in its text."""
        texts = {"logs": "body", "errors": "value", "spans": "name"}
        return sum(self.server.count(self.project["name"], table, f"{column} LIKE '%{case}%'") for table, column in texts.items())


# --- the protocols ---------------------------------------------------------------------------------------------

class Otlp:
    name, path = "OTLP/HTTP JSON", "/v1/logs"
    refused, unencodable, drops = 400, 400, lambda answer: int(answer.json().get("partialSuccess", {}).get("rejectedLogRecords", 0))

    def headers(bed):
        return {"Authorization": f"Bearer {bed.token}", "Content-Type": "application/json"}

    def record(case, members=None, raw=None):
        """A record's JSON; `members` go into its attributes, `raw` stands in for a value."""
        attributes = [{"key": key, "value": {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}} for key, value in (members or {}).items()]
        record = {"timeUnixNano": str(time.time_ns()), "body": {"stringValue": case}, "attributes": attributes}
        text = json.dumps(record).encode()
        return text if raw is None else text[:-1] + b',"attributes":[{"key":"v","value":' + raw + b"}]}"

    def batch(records):
        return b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[' + b",".join(records) + b"]}]}]}"


class Logflare:
    name, path = "Logflare", "/api/logs?source_name=bad"
    refused, unencodable, drops = 406, 406, lambda answer: answer.json().get("dropped", 0)

    def headers(bed):
        return {"X-API-KEY": bed.token, "Content-Type": "application/json"}

    def record(case, members=None, raw=None):
        text = json.dumps({"message": case, "metadata": members or {}}).encode()
        return text if raw is None else text[:-1] + b',"v":' + raw + b"}"

    def batch(records):
        return b'{"batch":[' + b",".join(records) + b"]}"


class BetterStack(Logflare):
    name, path = "Better Stack", "/"
    refused, unencodable, drops = 406, 406, lambda answer: int(answer.headers.get("X-Candor-Dropped", 0))

    def headers(bed):
        return {"Authorization": f"Bearer {bed.token}", "Content-Type": "application/json"}

    def batch(records):
        return b"[" + b",".join(records) + b"]"


class Sentry:
    name, path = "Sentry", "/api/{number}/envelope/"
    refused, unencodable, drops = 400, 400, None

    def headers(bed):
        return {"X-Sentry-Auth": f"Sentry sentry_key={bed.dsn_key}, sentry_version=7"}

    def record(case, members=None, raw=None):
        text = json.dumps({"event_id": uuid.uuid4().hex, "message": case, "platform": "python", "extra": members or {}}).encode()
        return text if raw is None else text[:-1] + b',"contexts":{"v":' + raw + b"}}"

    def batch(records):
        return envelope([("event", record) for record in records])


PROTOCOLS = [Otlp, Logflare, BetterStack, Sentry]


def nested(levels, protocol):
    if protocol is Otlp:
        return b'{"arrayValue":{"values":[' * levels + b'{"intValue":1}' + b"]}}" * levels
    return b'{"a":' * levels + b"1" + b"}" * levels


def compressed(data, window_bits=31):
    packer = zlib.compressobj(9, zlib.DEFLATED, window_bits)
    return packer.compress(data) + packer.flush()


def bomb(size: int, window_bits=31) -> bytes:
    packer, chunk = zlib.compressobj(9, zlib.DEFLATED, window_bits), b"\0" * MB
    return b"".join(packer.compress(chunk) for _ in range(size // MB)) + packer.flush()


BOMB = bomb(1024 * MB)


def bodies(protocol, case):
    """Whole requests that are bad: name, body, headers, expected status."""
    import brotli
    good = protocol.batch([protocol.record(case)])
    gzipped = {"Content-Encoding": "gzip"}
    yield "truncated gzip", gzip.compress(good)[:-12], gzipped, 400
    yield "lying gzip", good, gzipped, 400
    yield "gzip with a wrong checksum", gzip.compress(good)[:-8] + b"\0" * 8, gzipped, 400
    yield "lying zstd", good, {"Content-Encoding": "zstd"}, 400
    yield "unknown encoding", good, {"Content-Encoding": "rot13"}, 415
    yield "bomb, gzip, 1 GiB", BOMB, gzipped, 413
    yield "bomb, gzip in gzip", gzip.compress(BOMB), {"Content-Encoding": "gzip, gzip"}, 413
    yield "bomb, deflate", bomb(200 * MB, 15), {"Content-Encoding": "deflate"}, 413
    yield "bomb, brotli", brotli.compress(b"\0" * (200 * MB), quality=1), {"Content-Encoding": "br"}, 413
    yield "100 MB body", good + b" " * (100 * MB), {}, 413
    yield "100 MB body in chunks", good + b" " * (100 * MB), {"Transfer-Encoding": "chunked"}, 413
    yield "cut JSON", good[:-4] if protocol is not Sentry else envelope([("event", protocol.record(case)[:-4])]), {}, protocol.refused
    yield "no JSON", b"<xml/>", {}, protocol.refused
    yield "empty body", b"", {}, 400 if protocol is Sentry else protocol.refused
    yield "nested 100,000 deep", protocol.batch([protocol.record(case, raw=nested(100_000, protocol))]), {}, (200, protocol.refused)


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda p: p.name)
def test_bad_requests(bed, show, protocol):
    path, case = protocol.path.format(number=bed.number), f"bad{uuid.uuid4().hex[:12]}"
    for name, body, headers, expected in bodies(protocol, case):
        chunked = headers.pop("Transfer-Encoding", None) is not None
        answer = wire.post(bed.server, path, body, {**protocol.headers(bed), **headers}, chunked)
        show(f"bad input | {protocol.name:<14} | {name:<28} | {answer}")
        assert answer is not None, name
        assert answer.status in (expected if isinstance(expected, tuple) else (expected,)), (name, answer)
        if answer.status == 200:
            assert protocol.drops(answer) == 1, (name, answer)
        assert bed.server.request("GET", "/healthz").status == 200
    assert bed.stored(case) == 0, "nothing of a refused request is stored"


def records(protocol, case):
    """Records that are bad or odd: name, JSON, and whether they are stored (else dropped and counted)."""
    yield "invalid UTF-8", protocol.record(case).replace(b"bad", b"bad\xff\xfe", 1), True
    yield "a string as a record", b'"bad"' if protocol in (Otlp, Sentry) else b"7", False
    yield "null as a record", b"null", False
    yield "nested 200 deep", protocol.record(case, raw=nested(200, protocol)), False
    yield "NaN", protocol.record(case, raw=b'{"doubleValue":NaN}' if protocol is Otlp else b"NaN"), True
    yield "Infinity", protocol.record(case, raw=b'{"doubleValue":-Infinity}' if protocol is Otlp else b"-Infinity"), True
    yield "a number of 400 digits", protocol.record(case, raw=b'{"doubleValue":' + b"9" * 400 + b"}" if protocol is Otlp else b"9" * 400), True
    yield "duplicate keys", protocol.record(case)[:-1] + b"," + protocol.record(case)[1:], True
    yield "10,000 attributes", protocol.record(case, {f"k{n}": n for n in range(10_000)}), True
    yield "a key of 100 KB", protocol.record(case, {"k" * 100_000: 1}), True
    yield "half a surrogate", protocol.record(case, {"half": "\ud83d"}), True
    yield "NUL and control characters", protocol.record(case, {"nul": "a\0b\x1b[31m"}), True


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda p: p.name)
def test_neighbours_of_bad_records_survive(bed, show, protocol):
    path = protocol.path.format(number=bed.number)
    for name, record, is_stored in records(protocol, "CASE"):
        case, neighbour = f"bad{uuid.uuid4().hex[:12]}", f"good{uuid.uuid4().hex[:12]}"
        record = record.replace(b"CASE", case.encode())
        batch = [protocol.record(neighbour), record, protocol.record(neighbour)]
        answer = wire.post(bed.server, path, protocol.batch(batch), protocol.headers(bed))
        stored = bed.stored(neighbour), bed.stored(case[3:])
        show(f"bad input | {protocol.name:<14} | {name:<28} | {str(answer):.150} | neighbours stored {stored[0]} of 2, itself {'stored' if stored[1] else 'dropped and counted'}")
        assert answer is not None and answer.status in (200, 202), (name, answer)
        assert stored == (2, int(is_stored)), (name, stored, answer)
        if protocol.drops:
            assert protocol.drops(answer) == int(not is_stored), (name, answer)


def test_unknown_items_and_odd_times(bed, show):
    server, name = bed.server, bed.project["name"]
    case = f"odd{uuid.uuid4().hex[:10]}"
    headers = Sentry.headers(bed)
    items = [("no_such_type", {"a": 1}), ("event", {"message": case}), ("event_that_is_new", b"\xff\xfe"), ("log", {"items": [None, {"body": case, "level": "info"}]})]
    answer = wire.post(server, f"/api/{bed.number}/envelope/", envelope(items), headers)
    show(f"bad input | Sentry         | unknown item types           | {answer} | neighbours stored {bed.stored(case)} of 2")
    assert answer.status == 200 and bed.stored(case) == 2
    metrics = server.request("GET", "/metrics").body.decode()
    assert 'candor_sentry_outcomes_total{category="other",outcome="not_supported",reason="unknown_item"} 2' in metrics
    assert 'candor_panics_total 0' in metrics

    times = {"1970-01-01T00:00:00Z": 0, "2500-01-01T00:00:00Z": 16_725_225_600}
    for text, seconds in times.items():
        case = f"year{uuid.uuid4().hex[:10]}"
        sent = {
            Otlp: json.dumps({"timeUnixNano": str(seconds * 10**9) if seconds else "1", "body": {"stringValue": case}}).encode(),
            Logflare: json.dumps({"message": case, "timestamp": text}).encode(),
            BetterStack: json.dumps({"message": case, "dt": text}).encode(),
            Sentry: json.dumps({"message": case, "timestamp": seconds}).encode(),
        }
        for protocol, record in sent.items():
            answer = wire.post(server, protocol.path.format(number=bed.number), protocol.batch([record]), protocol.headers(bed))
            assert answer.status in (200, 202), (protocol.name, answer)
        rows = server.query(name, f"SELECT timestamp FROM logs WHERE body = '{case}'") + server.query(name, f"SELECT timestamp FROM errors WHERE value = '{case}'")
        assert [row["timestamp"][:19] for row in rows] == [text[:19]] * 4, rows
        show(f"bad input | all            | a time in {text[:4]}               | stored as sent, in every protocol")
    # A clock that is a day slow: the sender says when it sent, so its times are moved, and it is said by how much.
    case, now = f"skew{uuid.uuid4().hex[:10]}", time.time()
    at = now - 86_400
    body = envelope([("event", {"message": case, "timestamp": at - 10})], {"event_id": uuid.uuid4().hex, "sent_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))})
    assert wire.post(server, f"/api/{bed.number}/envelope/", body, headers).status == 200
    row = server.query(name, f"SELECT CAST(to_unixtime(timestamp) AS DOUBLE) AS t, event FROM errors WHERE value = '{case}'")[0]
    assert abs(row["t"] - (now - 10)) < 5 and "clock_drift" in row["event"], row["t"]
    show("bad input | Sentry         | a clock that is a day slow   | times moved by the drift, `_meta.timestamp` says so")
    # Flushed, written to Parquet and read again: the far times did not break the files.
    server.cli("flush", "--project", name)
    assert bed.stored("year") == 8


def test_keys(bed, show):
    server, number = bed.server, bed.number
    other = Bed(server, server.project("bad-input-other"))
    good = {protocol: protocol.batch([protocol.record("keys")]) for protocol in PROTOCOLS}
    cases = [
        (Otlp, "/v1/logs", {"Content-Type": "application/json"}, 401),
        (Otlp, "/v1/logs", {"Content-Type": "application/json", "Authorization": "Bearer no"}, 401),
        (Otlp, "/v1/logs", {"Content-Type": "application/json", "Authorization": f"Bearer {bed.dsn_key}"}, 401),
        (Logflare, "/api/logs?source_name=x", {}, 401),
        (Logflare, "/api/logs?source_name=x", {"X-API-KEY": "no"}, 401),
        (BetterStack, "/", {}, 403),
        (BetterStack, "/", {"Authorization": "Bearer no"}, 403),
        (Sentry, f"/api/{number}/envelope/", {}, 401),
        (Sentry, f"/api/{number}/envelope/", {"X-Sentry-Auth": f"Sentry sentry_key={'0' * 32}"}, 403),
        (Sentry, f"/api/{number}/envelope/", {"X-Sentry-Auth": "Sentry sentry_key=not-hex"}, 400),
        (Sentry, f"/api/{number}/envelope/", {"X-Sentry-Auth": f"Sentry sentry_key={other.dsn_key}"}, 403),
        (Sentry, "/api/not-a-number/envelope/", Sentry.headers(bed), 400),
        (Sentry, "/api/999999/envelope/", Sentry.headers(bed), 403),
    ]
    for protocol, path, headers, expected in cases:
        answer = wire.post(server, path, good[protocol], headers)
        what = next(iter([value for name, value in headers.items() if name != "Content-Type"]), "no key")
        show(f"bad input | {protocol.name:<14} | key: {what.split('=')[0].split()[-1]:<12.12}{path:<32} | {answer}")
        assert answer is not None and answer.status == expected, (path, headers, answer)
    assert bed.stored("keys") == 0 and other.stored("keys") == 0
