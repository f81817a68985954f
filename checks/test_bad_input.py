"""Bad input: each gets the protocol's own error or a counted drop, its neighbours survive, and memory stays bounded."""

import gzip
import json
import os
import pathlib
import socket
import subprocess
import threading
import time
import uuid
import zlib

import pytest

import wire
from server import Server, envelope, post_otlp, post_sentry

MB = 1 << 20
# What the process may take, MB: the bound that ingest has under load.
RESIDENT_MB_MAX = 600


@pytest.fixture(scope="module")
def bed():
    """A server of this file's own, so that its memory is this file's doing, with clients on it that dawdle."""
    with Server() as server:
        bed = Bed(server, server.project("bad-input"))
        bed.dawdlers = Dawdlers(server, bed.token)
        yield bed


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
    # A client that looks for an answer only when it has sent all gets it too, not a connection that is closed.
    answer = bed.server.request("POST", path, b"[" + b" " * (30 * MB), {**protocol.headers(bed), "Content-Type": "application/json"})
    show(f"bad input | {protocol.name:<14} | 30 MB by a client that listens last | {answer}")
    assert answer.status == 413
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


def test_attributes_beyond_the_limit_are_counted(bed, show):
    """What leaves no trace in an answer leaves one in the metrics."""
    name = "\ncandor_gate_attributes_dropped_total "
    counted = lambda: int(float(bed.server.request("GET", "/metrics").body.decode().split(name)[1].split()[0]))
    # What shippers send as an object stays one, whole, where it would unfold to too many.
    for protocol, dropped in {Otlp: 2_000, Logflare: 0, BetterStack: 0, Sentry: 0}.items():
        before, case = counted(), f"many{uuid.uuid4().hex[:10]}"
        record = protocol.record(case, {f"k{n}": n for n in range(12_000)})
        answer = wire.post(bed.server, protocol.path.format(number=bed.number), protocol.batch([record]), protocol.headers(bed))
        show(f"bad input | {protocol.name:<14} | 12,000 attributes            | {answer} | stored, {counted() - before} attributes dropped and counted")
        assert answer.status in (200, 202) and bed.stored(case) == 1 and counted() - before == dropped


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


# --- gRPC ------------------------------------------------------------------------------------------------------

def export_request(bodies) -> bytes:
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
    request = ExportLogsServiceRequest()
    scope = request.resource_logs.add().scope_logs.add()
    for body in bodies:
        scope.log_records.add(time_unix_nano=time.time_ns()).body.string_value = body
    return request.SerializeToString()


def test_grpc(bed, show):
    case = f"grpc{uuid.uuid4().hex[:10]}"
    good = export_request([case])
    key = {"authorization": f"Bearer {bed.token}"}
    zipped = {**key, "grpc-encoding": "gzip"}
    frame = wire.frame
    cases = [
        ("no key", frame(good), {}, "UNAUTHENTICATED"),
        ("wrong key", frame(good), {"authorization": "Bearer no"}, "UNAUTHENTICATED"),
        ("no protobuf", frame(b"\xff\xff\xff\xffgarbage"), key, "INVALID_ARGUMENT"),
        ("cut protobuf", frame(good[:-5]), key, "INVALID_ARGUMENT"),
        ("cut frame", frame(good)[:-5], key, "INTERNAL"),
        ("a length that lies", frame(good, length=0xFFFFFFFF), key, "RESOURCE_EXHAUSTED"),
        ("no message", b"", key, "INTERNAL"),
        ("two messages", frame(good) + frame(good), key, "INVALID_ARGUMENT"),
        ("lying gzip", frame(b"not gzip at all", True), zipped, "INTERNAL"),
        ("truncated gzip", frame(gzip.compress(good * 50)[:-20], True), zipped, "INTERNAL"),
        ("unknown encoding", frame(good, True), {**key, "grpc-encoding": "rot13"}, "UNIMPLEMENTED"),
        ("bomb, gzip, 1 GiB", frame(BOMB, True), zipped, "RESOURCE_EXHAUSTED"),
        ("100 MB message", frame(b"", length=100 * MB) + b"\0" * MB, key, "RESOURCE_EXHAUSTED"),
    ]
    for name, body, headers, expected in cases:
        answer = wire.grpc(bed.server, body, headers)
        show(f"bad input | OTLP/gRPC      | {name:<28} | {answer}")
        assert answer is not None and answer.status == expected, (name, answer)
    answer = wire.grpc(bed.server, frame(good), key, path=wire.EXPORT.replace("Export", "Import"))
    show(f"bad input | OTLP/gRPC      | {'unknown method':<28} | {answer}")
    assert answer.status == "UNIMPLEMENTED"
    assert bed.stored(case) == 0, "nothing of a refused call is stored"

    # A bad record among good ones; text that is no UTF-8.
    neighbour = f"good{uuid.uuid4().hex[:10]}"
    bad = export_request([neighbour, "LATER", neighbour]).replace(b"LATER", b"\xff\xfe\xff\xfe\xff")
    answer = wire.grpc(bed.server, frame(bad), key)
    show(f"bad input | OTLP/gRPC      | {'invalid UTF-8':<28} | {answer} | neighbours stored {bed.stored(neighbour)} of 2")
    assert answer.status == "OK" and bed.stored(neighbour) == 2


# --- memory ----------------------------------------------------------------------------------------------------

def peak_mb(server) -> float:
    status = pathlib.Path(f"/proc/{server.ready['pid']}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1000


def test_memory_stays_bounded(bed, show):
    """Many at once: bombs, bodies at the limit, messages that are held open, while others are served."""
    server = bed.server
    before = peak_mb(server)
    headers = {**Otlp.headers(bed), "Content-Encoding": "gzip"}
    large = b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[' + b",".join(Otlp.record("x" * 900) for _ in range(17_000)) + b"]}]}]}"
    assert 15 * MB < len(large) < 20 * MB
    answers, calls = [], []
    work = [lambda: wire.post(server, "/v1/logs", BOMB, headers)] * 10
    work += [lambda: wire.post(server, "/v1/logs", large, Otlp.headers(bed))] * 10
    work += [lambda: wire.grpc(server, wire.frame(b"\0" * (2 * MB), length=19 * MB), {"authorization": f"Bearer {bed.token}"}, end=False, timeout=10)] * 10
    threads = [threading.Thread(target=lambda one=one: answers.append(one())) for one in work]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        began = time.monotonic()
        assert server.request("GET", "/healthz", timeout=10).status == 200
        calls.append(time.monotonic() - began)
        time.sleep(0.05)
    statuses = sorted(str(answer.status) if answer else "none" for answer in answers)
    counts = ", ".join(f"{statuses.count(status)} x {status}" for status in sorted(set(statuses)))
    show(f"bad input | 30 at once     | 10 bombs, 10 of 16 MB, 10 half a gRPC message: {counts}; /healthz within {max(calls) * 1000:.0f} ms meanwhile")
    assert set(statuses) <= {"200", "413", "503", "none", "UNAVAILABLE"}, statuses
    assert "413" in statuses or "503" in statuses
    show(f"bad input | memory         | resident at most {peak_mb(server):.0f} MB over all of it ({before:.0f} MB before the 30 at once)")
    assert peak_mb(server) < RESIDENT_MB_MAX


# --- slow and half-closed --------------------------------------------------------------------------------------

class Dawdlers:
    """Clients that begin and do not end. The server waits for them while the other checks run."""

    def __init__(self, server, token):
        head = f"POST /v1/logs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n".encode()
        self.server, self.ended, self.began = server, {}, time.monotonic()
        self.stuck = [self.connect(b"POST /v1/logs HTTP/1.1\r\nHost: x\r\nContent-Le") for _ in range(200)]
        self.half = self.connect(head + b"abc")
        self.half.shutdown(socket.SHUT_WR)
        silent, mute, dripping = self.connect(head + b"abc"), self.connect(b""), self.connect(b"POST /v1/logs HT")
        self.threads = [threading.Thread(target=self.wait, args=pair, daemon=True) for pair in (("half-closed in its body", self.half), ("silent in its body", silent), ("silent from the start", mute), ("a head, byte by byte", dripping))]
        for thread in self.threads:
            thread.start()
        threading.Thread(target=self.drip, args=(dripping,), daemon=True).start()

    def connect(self, data):
        connection = wire.connect(self.server.ready["http"], timeout=90)
        connection.sendall(data)
        return connection

    def drip(self, connection):
        try:
            while True:
                connection.sendall(b"x")
                time.sleep(1)
        except OSError:
            pass

    def wait(self, name, connection):
        answer = wire.read_answer(connection)
        self.ended[name] = (time.monotonic() - self.began, answer)


def test_wrong_sql(bed, show):
    """30 attempts and more to read files, other projects or settings, or to change anything."""
    server = bed.server
    other = server.project("sql-other")
    assert post_otlp(server, other["ingest_token"], ["not yours"]).status == 200
    refused = 0
    for sql in SQL_ATTEMPTS:
        sql = sql.replace("NUMBER", str(other["number"])).replace("DATA_DIR", str(server.data_dir))
        answer = server.api("POST", "/api/v1/query", {"project": bed.project["name"], "sql": sql})
        said = answer.json().get("detail", "") if answer.status != 200 else f"{answer.json()['rows']}"
        show(f"bad input | SQL            | {sql:<60.60} | {answer.status} {said:.110}")
        assert b"not yours" not in answer.body and b"root:" not in answer.body, (sql, answer)
        if answer.status == 200:
            assert answer.json()["rows"] == [], (sql, answer)
        else:
            assert 400 <= answer.status < 500 and said, (sql, answer)
            refused += 1
    assert refused >= 30
    for sql in ("SELECT " + "(" * 5000 + "1" + ")" * 5000, "SELECT 1 WHERE " + " OR ".join(["1=1"] * 20_000), "SELECT '" + "x" * 3_000_000 + "'",
                "SELECT " + "-" * 100_000 + "1", "WITH " + ", ".join(f"c{n} AS (SELECT * FROM c{n - 1})" if n else "c0 AS (SELECT 1)" for n in range(500)) + " SELECT * FROM c499"):
        answer = server.api("POST", "/api/v1/query", {"project": bed.project["name"], "sql": sql})
        show(f"bad input | SQL            | {sql[:40]:<40} … of {len(sql):>9} bytes | {answer.status} {str(answer.body[:80])}")
        assert answer.status in (200, 400, 413, 422), answer
        assert server.request("GET", "/healthz").status == 200
    show(f"bad input | SQL            | {refused} of {len(SQL_ATTEMPTS)} attempts refused, the rest saw nothing")


SQL_ATTEMPTS = [
    # files
    "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'", "CREATE EXTERNAL TABLE t STORED AS PARQUET LOCATION 'DATA_DIR/objects'",
    "COPY logs TO '/tmp/x.csv'", "COPY (SELECT 1) TO 's3://b/x'", "SELECT * FROM '/etc/passwd'", "SELECT * FROM \"/etc/passwd\"",
    "SELECT * FROM read_csv('/etc/passwd')", "SELECT * FROM read_parquet('DATA_DIR/objects')", "SELECT * FROM 'file:///etc/passwd'",
    "SELECT * FROM \"DATA_DIR/meta.db\"", "SELECT * FROM glob('/etc/*')", "SELECT load_extension('x')", "SELECT pg_read_file('/etc/passwd')",
    "SELECT * FROM parquet_metadata('DATA_DIR/objects')",
    # other projects
    "SELECT * FROM pNUMBER.logs", "SELECT * FROM \"pNUMBER\".\"logs\"", "SELECT * FROM \"default/sql-other\".logs", "SELECT * FROM \"sql-other\".logs",
    "SELECT * FROM datafusion.pNUMBER.logs", "SELECT * FROM candor.public.logs_NUMBER", "SELECT * FROM \"NUMBER\".logs", "SELECT * FROM lake.pNUMBER.logs",
    "SELECT * FROM vault", "SELECT * FROM sqlite_master", "SELECT * FROM meta.project", "SELECT * FROM people", "SELECT * FROM project_key",
    # settings and state
    "SELECT * FROM information_schema.df_settings", "SHOW ALL", "SHOW datafusion.execution.batch_size", "SET datafusion.execution.batch_size = 1", "RESET ALL",
    "SET datafusion.catalog.location = '/etc'", "SELECT * FROM information_schema.tables WHERE table_name = 'lake_token'",
    # changes
    "SHOW TABLES; DROP TABLE logs", "DROP TABLE logs", "DELETE FROM logs", "UPDATE logs SET body = 'x'", "INSERT INTO logs (body) VALUES ('x')", "TRUNCATE TABLE logs",
    "CREATE TABLE x AS SELECT * FROM logs", "CREATE VIEW v AS SELECT 1", "CREATE SCHEMA s", "CREATE DATABASE d", "ALTER TABLE logs ADD COLUMN x INT",
    "CREATE FUNCTION f() RETURNS INT RETURN 1", "EXECUTE x", "PREPARE x AS SELECT 1", "BEGIN", "SELECT 1; SELECT 2", "EXPLAIN ANALYZE DELETE FROM logs",
    "CALL x()", "GRANT ALL ON logs TO x", "VACUUM", "ATTACH 'x' AS y", "PRAGMA database_list", "LOAD 'x'", "INSTALL httpfs",
    "WITH x AS (DELETE FROM logs RETURNING *) SELECT * FROM x",
]


# --- a full disk -----------------------------------------------------------------------------------------------

def test_a_full_disk_says_so_and_comes_back(own_server, tmp_path, show):
    mount = tmp_path / "small"
    mount.mkdir()
    if os.getuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200m", "tmpfs", str(mount)], capture_output=True).returncode != 0:
        pytest.skip("cannot mount a tmpfs: 1 case")
    try:
        server = own_server(data_dir=mount / "data")
        bed = Bed(server, server.project("full"))
        assert post_otlp(server, bed.token, ["before"]).status == 200
        filler = mount / "filler"
        with open(filler, "wb") as file:
            try:
                while True:
                    file.write(b"\0" * MB)
            except OSError:
                pass
        sent, deadline = 0, time.monotonic() + 60
        senders = {
            "OTLP/HTTP": lambda: post_otlp(server, bed.token, [os.urandom(256).hex() for _ in range(500)]),
            "Sentry": lambda: post_sentry(server, bed.project, [("event", {"message": os.urandom(256).hex()})]),
            "Logflare": lambda: wire.post(server, Logflare.path, Logflare.batch([Logflare.record("full")]), Logflare.headers(bed)),
            "Better Stack": lambda: wire.post(server, "/", BetterStack.batch([BetterStack.record("full")]), BetterStack.headers(bed)),
        }
        while time.monotonic() < deadline and (answer := senders["OTLP/HTTP"]()).status == 200:
            sent += 1
        for name, send in senders.items():
            answer = send()
            show(f"bad input | {name:<14} | a full disk                  | {answer} Retry-After: {answer.headers['Retry-After']}")
            assert answer.status == 503 and int(answer.headers["Retry-After"]) > 0, (name, answer)
        answer = wire.grpc(server, wire.frame(export_request(["full"])), {"authorization": f"Bearer {bed.token}"})
        show(f"bad input | OTLP/gRPC      | a full disk                  | {answer}")
        assert answer.status == "UNAVAILABLE"
        ready = server.request("GET", "/readyz")
        assert ready.status == 503 and server.request("GET", "/healthz").status == 200
        assert server.count("full", "logs", "body = 'before'") == 1, "reads go on"
        made = server.project("made-while-full")
        assert made["number"], "metadata still commits: a reserve is kept for it"
        filler.unlink()
        began, deadline = time.monotonic(), time.monotonic() + 30
        while time.monotonic() < deadline and (back := post_otlp(server, bed.token, ["after"])).status != 200:
            time.sleep(0.1)
        assert back.status == 200, back
        after_s = time.monotonic() - began
        assert server.count("full", "logs", "body = 'after'") == 1
        assert server.request("GET", "/readyz").status == 200
        server.stop()
        server.start()
        assert server.count("full", "logs", "body IN ('before', 'after')") == 2, "and what was acknowledged is there after a restart"
        show(f"bad input | all            | a full disk                  | {sent} more requests stored, then 503 with Retry-After from all; reads and metadata went on; back by itself {after_s:.1f} s after there was room")
    finally:
        subprocess.run(["umount", "-l", str(mount)], capture_output=True)


def test_slow_and_half_closed_connections(bed, show):
    """Last, because the server is patient with them."""
    dawdlers, server = bed.dawdlers, bed.server
    began = time.monotonic()
    assert server.request("GET", "/healthz", timeout=5).status == 200
    assert time.monotonic() - began < 2, "they keep nobody else waiting"
    for thread in dawdlers.threads:
        thread.join(timeout=75 - (time.monotonic() - dawdlers.began))
    for name in ("half-closed in its body", "silent in its body", "silent from the start", "a head, byte by byte"):
        assert name in dawdlers.ended, f"{name}: still open"
        seconds, answer = dawdlers.ended[name]
        show(f"bad input | connections    | {name:<28} | {answer or 'closed'} after {seconds:.0f} s")
    assert dawdlers.ended["silent in its body"][1].status == 408
    for connection in dawdlers.stuck:
        connection.settimeout(5)
    closed = sum(wire.read_answer(connection) is None for connection in dawdlers.stuck)
    assert closed == len(dawdlers.stuck)
    metrics = server.request("GET", "/metrics").body.decode()
    left = float(metrics.split("\ncandor_http_connections ")[1].split()[0])
    show(f"bad input | connections    | 200 half a head              | all closed; {left:.0f} connections open now; nobody else waited")
    assert left <= 3
    assert "\ncandor_panics_total 0\n" in metrics and "panicked" not in server.log_text(), "nothing panics"
