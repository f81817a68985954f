"""Starting, stopping, and the promises of the command line."""

import json
import subprocess
import time

from server import binary, post_otlp, resident_mb


def test_ready_fast_small_and_gone_in_time(own_server, show):
    server = own_server()
    time.sleep(1)
    idle = resident_mb(server.ready["pid"])
    assert set(server.ready) == {"pid", "version", "http", "kafka", "otlp_grpc", "syslog", "setup_url"}
    assert server.ready["setup_url"].startswith("http://localhost:")
    stopped = server.stop()
    show(f"start: ready in {server.ready_s:.2f} s, {idle:.0f} MB resident when idle, stopped in {stopped:.2f} s ({binary().rsplit('/', 2)[1]} build)")
    assert server.ready_s < 2 and stopped < 10


def test_what_is_built_is_in_help_and_what_is_not_is_absent():
    text = subprocess.run([binary(), "--help"], capture_output=True, text=True).stdout
    for command in ("serve", "setup", "project", "query", "flush", "tail", "lake", "verify", "backup", "demo", "policy"):
        assert command in text, command
    for absent in ("subject",):
        assert f"\n  {absent}" not in text, absent
    assert subprocess.run([binary(), "no-such-command"], capture_output=True).returncode == 2


def test_acknowledged_is_visible_within_a_second(server, show):
    project = server.project("visible")
    waits = []
    for i in range(30):
        assert post_otlp(server, project["ingest_token"], [f"visible {i}"]).status == 200
        acked = time.monotonic()
        while True:
            answer = server.api("POST", "/api/v1/query", {"project": "visible", "sql": f"SELECT count(*) FROM logs WHERE body = 'visible {i}'"})
            if int(answer.json()["rows"][0][0]) == 1:
                break
            assert time.monotonic() - acked < 1, "not visible after a second"
        waits.append(time.monotonic() - acked)
    waits.sort()
    show(f"acknowledged to queried: p50 {waits[15] * 1000:.0f} ms, p99 {waits[-1] * 1000:.0f} ms, the query included")


def test_demo_fills_a_project(own_server):
    server = own_server()
    server.cli("demo", timeout=300)
    for table in ("logs", "errors", "spans"):
        assert server.count("demo", table) > 10, table
