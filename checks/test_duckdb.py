"""The lake opens in DuckDB, offline, and agrees with candor; a count never falls."""

import hashlib
import json
import os
import pathlib
import sqlite3
import threading
import time

import pytest

from server import CLUSTERED, post_better_stack, post_otlp, post_sentry

# Rows of a request: every flush compares every row so far, so that ten times the load takes ten times as long.
ROWS = 50 if os.environ.get("CANDOR_SOAK") else 6
MERGES = 5

duckdb = pytest.importorskip("duckdb", reason="duckdb is not installed: 3 cases")


def connect():
    import importlib.util
    connection = duckdb.connect(config={"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"})
    for name in ("sqlite_scanner", "ducklake", "httpfs"):
        spec = importlib.util.find_spec(f"duckdb_extension_{name}")
        if spec is None:
            pytest.skip(f"the wheel duckdb-extension-{name} is not installed: 1 case")
        file = next(pathlib.Path(next(iter(spec.submodule_search_locations))).rglob(f"{name}.duckdb_extension"))
        connection.execute(f"LOAD '{file}'")
    return connection


def attached(server, project: str, out: pathlib.Path):
    out.unlink(missing_ok=True)
    lake = json.loads(server.cli("lake", "catalog", "--project", project, "--out", str(out), "--json").stdout)
    connection = connect()
    connection.execute(lake["secret"])
    connection.execute(lake["attach"])
    return connection, lake


def canonical(value):
    """One text for a value, whichever side it came from."""
    if value is None:
        return "null"
    if hasattr(value, "isoformat"):
        return value.astimezone(__import__("datetime").timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")
    if isinstance(value, str) and len(value) >= 20 and value[4:5] == "-" and value[10:11] == "T" and value.endswith("Z"):
        head, _, fraction = value[:-1].partition(".")
        return f"{head}.{fraction.ljust(6, '0')[:6]}"
    if isinstance(value, dict):
        return json.dumps({k: value[k] for k in sorted(value)}, sort_keys=True)
    if isinstance(value, (list, tuple)):
        return json.dumps(list(value))
    return str(value)


def digest(rows, columns) -> str:
    lines = sorted("\x1f".join(canonical(row[c]) for c in columns) for row in rows)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def test_duckdb_agrees_over_flushes_and_no_count_falls(own_server, tmp_path, show):
    server = own_server()
    project = server.project("lake")
    other = server.project("other")
    stop = threading.Event()
    counts, polls = [], []

    def load():
        n = 0
        while not stop.is_set():
            n += 1
            post_otlp(server, project["ingest_token"], [f"row {n} {i}" for i in range(ROWS)], attributes={"n": str(n), "shard": str(n % 7)}, service=f"service-{n % 5}")
            post_sentry(server, project, [("event", {"message": f"event {n}", "tags": {"n": str(n)}})])
            time.sleep(0.02)

    def poll():
        while not stop.is_set():
            began = time.monotonic()
            answer = server.api("POST", "/api/v1/query", {"project": "lake", "sql": "SELECT count(*) FROM logs"})
            if answer.status == 200:
                counts.append(int(answer.json()["rows"][0][0]))
                polls.append(time.monotonic() - began)
            time.sleep(max(0, 0.02 - (time.monotonic() - began)))

    def merges() -> int:
        """Commits so far that replaced files by one, as the operator's catalog records them."""
        count = "SELECT count(*) FROM {}ducklake_snapshot_changes WHERE changes_made LIKE '%merge_adjacent%'"
        if server.place:
            return int(server.place.postgres.query(server.place.database, count.format("candor_lake.")))
        with sqlite3.connect(f"file:{server.data_dir / 'lake.db'}?mode=ro", uri=True) as catalog:
            return catalog.execute(count.format("")).fetchone()[0]

    threads = [threading.Thread(target=load), threading.Thread(target=poll)]
    for thread in threads:
        thread.start()
    compared = 0
    try:
        for flush in range(20):
            time.sleep(0.3)
            snapshot = json.loads(server.cli("flush", "--project", "lake", "--json").stdout)["snapshot"]
            connection, lake = attached(server, "lake", tmp_path / "lake.db")
            at = lake["snapshot"]
            assert at >= snapshot
            for table in ("logs", "errors"):
                ours = server.query("lake", f"SELECT * FROM {table}", "--snapshot", str(at))
                name = lake["attach"].split(" AS ")[1].split()[0]
                cursor = connection.execute(f'SELECT * FROM {name}."{table}"')
                columns = [c[0] for c in cursor.description]
                theirs = [dict(zip(columns, row)) for row in cursor.fetchall()]
                assert len(ours) == len(theirs), (flush, table)
                shared = [c for c in columns if ours and c in ours[0]]
                stored = set(columns)
                assert stored - set(shared) == set(), f"DuckDB sees columns that candor does not: {stored - set(shared)}"
                assert digest(ours, shared) == digest(theirs, shared), (flush, table)
                compared += len(ours)
            filtered = "service_name = 'service-1' AND body LIKE 'row 1%'"
            name = lake["attach"].split(" AS ")[1].split()[0]
            theirs = connection.execute(f"SELECT count(*) FROM {name}.logs WHERE {filtered}").fetchone()[0]
            ours = server.query("lake", f"SELECT count(*) AS n FROM logs WHERE {filtered}", "--snapshot", str(at))[0]["n"]
            assert int(ours) == theirs
            connection.close()
        # The counts go on over merges of what the flushes left.
        until = time.monotonic() + 60
        while merges() < MERGES and time.monotonic() < until:
            server.cli("flush", "--project", "lake")
            time.sleep(0.5)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    falls = sum(1 for before, after in zip(counts, counts[1:]) if after < before)
    show(f"duckdb {duckdb.__version__}: 20 flushes, {compared} rows compared over every stored column, equal; "
         f"{len(counts)} counts polled, over {merges()} merges of files, {falls} fell, {sorted(polls)[len(polls) // 2] * 1000:.1f} ms median")
    assert falls == 0 and len(counts) > 50 and merges() >= MERGES
    # It writes over its own former catalog and over nothing else.
    again, notes = tmp_path / "again.db", tmp_path / "notes.txt"
    notes.write_text("keep")
    for _ in range(2):
        server.cli("lake", "catalog", "--project", "lake", "--out", str(again))
    own_files = [] if CLUSTERED else [server.data_dir / "lake.db"]
    for other_file in (notes, tmp_path, *own_files):
        refused = server.cli("lake", "catalog", "--project", "lake", "--out", str(other_file), check=False)
        assert refused.returncode != 0 and "is there already" in refused.stderr, refused.stderr
    assert notes.read_text() == "keep"
    # Its token opens no other project, and without it nothing.
    token = {"Authorization": f"Bearer {lake['token']}"}
    assert server.request("GET", f"/lake/{project['number']}/catalog.db", headers=token).status == 200
    assert server.request("GET", f"/lake/{project['number']}/catalog.db").status == 401
    assert server.request("GET", f"/lake/{other['number']}/catalog.db", headers=token).status == 403
    assert server.api("POST", "/api/v1/query", {"project": "lake", "sql": "select 1"}).status == 200
    assert server.request("POST", "/api/v1/query", b'{"project":"lake","sql":"select 1"}', {**token, "Content-Type": "application/json"}).status in (401, 403)
