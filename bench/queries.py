"""The same rows in Candor, DuckDB and ClickHouse: bytes on disk, eight queries cold and warm, memory, restart."""

import json
import pathlib
import threading
import time

from measure import Server, cpu_s, drop_caches, median, resident_mb, say, spread, stored_mb, tool
from peers import Peer

# The last hour of the generator's twelve.
HOUR = ("2026-09-21 12:46:40", "2026-09-21 13:46:40")

# Per engine: the minute of a time, an attribute, a time.
WORDS = {
    "candor": dict(minute="date_trunc('minute', timestamp)", status="attributes['http.status']", time="TIMESTAMP '{} +00:00'"),
    "duckdb": dict(minute="date_trunc('minute', timestamp)", status="attributes['http.status']", time="TIMESTAMP '{}'"),
    "clickhouse": dict(minute="toStartOfMinute(timestamp)", status="attributes['http.status']", time="toDateTime64('{}', 6, 'UTC')"),
}

QUERIES = {
    "levels a minute, one hour": "SELECT {minute} AS m, severity_text, count(*) AS n FROM logs WHERE timestamp >= {from} AND timestamp < {to} GROUP BY 1, 2",
    "services by errors": "SELECT service_name, count(*) AS n FROM logs WHERE severity_number >= 17 GROUP BY 1 ORDER BY n DESC, 1 LIMIT 10",
    "needle (20 rows)": "SELECT count(*) FROM logs WHERE body LIKE '%zygomorphicfault%'",
    "rare word of a service": "SELECT count(*) FROM logs WHERE body LIKE '%quarantine%' AND service_name = 'service-00'",
    "rare word (200 rows)": "SELECT count(*) FROM logs WHERE body LIKE '%quarantine%'",
    "by attribute": "SELECT {status} AS s, count(*) AS n FROM logs GROUP BY 1 ORDER BY 1",
    "last 100 of a service": "SELECT timestamp, severity_text, body FROM logs WHERE service_name = 'service-00' ORDER BY timestamp DESC LIMIT 100",
    "one trace": "SELECT timestamp, service_name, body FROM logs WHERE trace_id = '{trace}'",
}

DUCKDB_LOAD = """CREATE TABLE logs AS SELECT CAST(timestamp AS TIMESTAMP) AS timestamp, severity_text, severity_number, service_name, host_name, trace_id, body,
    CAST(CAST(attributes AS JSON) AS MAP(VARCHAR, VARCHAR)) AS attributes FROM read_parquet('{}') ORDER BY service_name, timestamp"""
CLICKHOUSE_TABLE = """CREATE TABLE logs (timestamp DateTime64(6, 'UTC') CODEC(Delta, ZSTD), severity_text LowCardinality(String) CODEC(ZSTD),
    severity_number Int32 CODEC(ZSTD), service_name LowCardinality(String) CODEC(ZSTD), host_name LowCardinality(String) CODEC(ZSTD),
    trace_id String CODEC(ZSTD), body String CODEC(ZSTD), attributes Map(LowCardinality(String), String) CODEC(ZSTD))
    ENGINE = MergeTree ORDER BY (service_name, timestamp)"""
CLICKHOUSE_LOAD = """INSERT INTO logs SELECT timestamp, severity_text, severity_number, service_name, host_name, trace_id, body,
    JSONExtract(attributes, 'Map(String, String)') FROM file('{}', 'Parquet')"""
# Its result and condition caches would answer a repeated query from memory.
CLICKHOUSE_SETTINGS = " SETTINGS use_query_condition_cache = 0, use_query_cache = 0"


def texts(engine: str, trace: str) -> dict[str, str]:
    words = WORDS[engine]
    filled = {"minute": words["minute"], "status": words["status"], "from": words["time"].format(HOUR[0]),
              "to": words["time"].format(HOUR[1]), "trace": trace}
    tail = CLICKHOUSE_SETTINGS if engine == "clickhouse" else ""
    out = {}
    for name, sql in QUERIES.items():
        for key, value in filled.items():
            sql = sql.replace("{" + key + "}", value)
        out[name] = sql + tail
    return out


class Candor:
    """Candor behind the face of a peer."""

    def __init__(self, server: Server, project: str):
        self.server, self.project = server, project

    def ask(self, sql: str) -> dict:
        pid = self.server.ready["pid"]
        cpu, began = cpu_s(pid), time.perf_counter()
        answer = self.server.api("POST", "/api/v1/query", {"project": self.project, "sql": sql})
        wall = (time.perf_counter() - began) * 1000
        if answer.status != 200:
            raise SystemExit(f"candor: {answer.body.decode()}\n{sql}")
        return {"wall_ms": wall, "cpu_ms": (cpu_s(pid) - cpu) * 1000, "rows": answer.json()["rows"]}

    def restart(self):
        self.server.stop()
        self.server.start()


def same(name: str, answers: dict):
    """Row counts and counts agree."""
    shapes = {}
    for engine, answer in answers.items():
        rows = answer["rows"]
        shapes[engine] = (len(rows), sum(int(row[-1]) for row in rows) if not name.startswith(("last", "one")) else None)
    if len(set(shapes.values())) != 1:
        raise SystemExit(f"{name}: the engines disagree: {shapes}")
    return shapes["candor"]


def compare(data: pathlib.Path, scratch: pathlib.Path, rows: int, runs: int):
    with Server() as server:
        project = server.project("bench")
        pid = server.ready["pid"]
        before = cpu_s(pid)
        sent = tool("send", "--url", server.http + "/v1/logs", "--token", project["ingest_token"], "--dir", data / "otlp")
        server.cli("flush", timeout=600)
        spent = cpu_s(pid) - before
        settle(server)
        table_mb = stored_mb(server.data_dir / "objects" / "lake")
        say("load", engine="candor", seconds=sent["seconds"], cpu_s=spent, mb=table_mb, journal_and_segments_mb=stored_mb(server.data_dir) - table_mb)
        duckdb, clickhouse = Peer("duckdb", scratch / "duckdb"), Peer("clickhouse", scratch / "clickhouse")
        load(duckdb, [DUCKDB_LOAD.format(data / "rows.parquet"), "CHECKPOINT"])
        load(clickhouse, [CLICKHOUSE_TABLE, CLICKHOUSE_LOAD.format(data / "rows.parquet"), "OPTIMIZE TABLE logs FINAL"])
        engines = {"candor": Candor(server, "bench"), "duckdb": duckdb, "clickhouse": clickhouse}
        trace = server.query("bench", "SELECT trace_id, count(*) AS n FROM logs GROUP BY 1 HAVING count(*) = 5 LIMIT 1")[0]["trace_id"]
        asked = {engine: texts(engine, trace) for engine in engines}
        cold(engines, asked)
        warm(engines, asked, runs)
        residence(server, engines["candor"], asked["candor"], rows)
        under_scans(server, project, runs)
        duckdb.stop()
        clickhouse.stop()


def settle(server, quiet_s: float = 6.0, limit_s: float = 180.0):
    """Waits until merging is done: no file has come or gone for a while."""
    until, since, seen = time.monotonic() + limit_s, time.monotonic(), None
    while time.monotonic() < until and time.monotonic() - since < quiet_s:
        now = sorted(p.name for p in (server.data_dir / "objects" / "lake").rglob("*") if p.is_file())
        if now != seen:
            seen, since = now, time.monotonic()
        time.sleep(0.5)


def load(peer: Peer, statements: list[str]):
    took = [peer.ask(sql) for sql in statements]
    # Parts that a merge replaced stay on disk for minutes; they are not the table.
    active = "SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND table = 'logs'"
    mb = int(peer.ask(active)["rows"][0][0]) / 1e6 if peer.name == "clickhouse" else stored_mb(peer.folder)
    say("load", engine=peer.name, seconds=sum(t["wall_ms"] for t in took) / 1000, cpu_s=sum(t["cpu_ms"] for t in took) / 1000, mb=mb)


def cold(engines, asked):
    """Each query first after a restart with an empty page cache; the program itself is warmed by `SELECT 1`."""
    for name in QUERIES:
        wall = {}
        for engine, peer in engines.items():
            if not drop_caches():
                say("cold queries", skipped="the page cache cannot be emptied here")
                return
            peer.restart()
            peer.ask("SELECT 1")
            drop_caches()
            wall[engine] = round(peer.ask(asked[engine][name])["wall_ms"], 1)
        say("cold query", query=name, wall_ms=wall)


def warm(engines, asked, runs):
    for name in QUERIES:
        seen = {engine: {"wall": [], "cpu": []} for engine in engines}
        for run in range(runs + 1):
            answers = {engine: peer.ask(asked[engine][name]) for engine, peer in engines.items()}
            shape = same(name, answers)
            if run == 0:
                continue
            for engine, answer in answers.items():
                seen[engine]["wall"].append(answer["wall_ms"])
                seen[engine]["cpu"].append(answer["cpu_ms"])
        say("warm query", query=name, rows=shape[0], wall_ms={e: median(s["wall"]) for e, s in seen.items()},
            cpu_ms={e: round(sum(s["cpu"]) / runs, 1) for e, s in seen.items()}, runs=runs)


def residence(server, candor, asked, rows):
    """Memory a minute after one of each query, and the time to be ready on this much data."""
    for sql in asked.values():
        candor.ask(sql)
    time.sleep(60)
    resident = resident_mb(server.ready["pid"])
    server.stop()
    server.start()
    say("with data", rows=rows, resident_mb_after_queries=resident, ready_s=round(server.ready_s, 3))
    server.kill()
    server.start()
    say("with data, after kill -9", rows=rows, ready_s=round(server.ready_s, 3))


def under_scans(server, project, runs):
    """Small appends while eight full scans run, beside the same when idle."""
    url, token = server.http + "/v1/logs", project["ingest_token"]
    idle, busy, scans = [], [], []
    for _ in range(min(runs, 3)):
        idle.append(tool("small", "--url", url, "--token", token, "--count", 300)["latency"]["p99_ms"])
        stop = threading.Event()

        def scan():
            while not stop.is_set():
                answer = server.api("POST", "/api/v1/query", {"project": "bench", "sql": "SELECT count(*) FROM logs WHERE body LIKE '%nowhere to be found%'"})
                scans.append(answer.status)

        threads = [threading.Thread(target=scan) for _ in range(8)]
        for thread in threads:
            thread.start()
        time.sleep(1)
        busy.append(tool("small", "--url", url, "--token", token, "--count", 300)["latency"]["p99_ms"])
        stop.set()
        for thread in threads:
            thread.join()
    refused = sum(1 for status in scans if status != 200)
    say("acknowledged under 8 full scans", idle_p99_ms=spread(idle), busy_p99_ms=spread(busy), ratio=round(median(busy) / median(idle), 2),
        scans=len(scans), scans_refused=refused)


def main_data(out: pathlib.Path, rows: int) -> dict:
    """The generator's payloads and the peers' file; made once for a folder."""
    made = out / "made.json"
    if made.exists() and json.loads(made.read_text())["rows"] == rows:
        return json.loads(made.read_text())
    figures = tool("generate", "--rows", rows, "--out", out)
    made.write_text(json.dumps(figures))
    return figures
