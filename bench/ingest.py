"""Ingest, small appends, start: what a write costs."""

import pathlib
import subprocess
import tempfile
import time

from measure import BUILD, TARGET, Server, cpu_by_thread, cpu_s, median, resident_mb, say, spread, stored_mb, tool

# In the folder of the checks, which `measure` has put on the path.
import cluster  # noqa: E402
from server import otlp_logs  # noqa: E402

ROUTES = {"otlp": "/v1/logs", "json": "/api/logs?source_name=bench"}


def ingest(data: pathlib.Path, rows: int, runs: int):
    """Every payload once over 8 connections, each answered after its fsync; formats by turns, a fresh server each."""
    seen = {folder: {"mb_per_s": [], "cpu_ms_per_mb": [], "resident_mb": [], "disk_mb": [], "threads": []} for folder in ROUTES}
    for _ in range(runs):
        for folder, path in ROUTES.items():
            with Server() as server:
                project = server.project("bench")
                pid = server.ready["pid"]
                before, threads = cpu_s(pid), cpu_by_thread(pid)
                sent = tool("send", "--url", server.http + path, "--token", project["ingest_token"], "--dir", data / folder)
                spent, now = cpu_s(pid) - before, cpu_by_thread(pid)
                figures = seen[folder]
                figures["mb_per_s"].append(sent["mb_per_s"])
                figures["cpu_ms_per_mb"].append(spent * 1000 / sent["mb"])
                figures["threads"].append({name: (s - threads.get(name, 0.0)) * 1000 / sent["mb"] for name, s in now.items()})
                figures["resident_mb"].append(resident_mb(pid))
                assert server.count("bench", "logs") == rows
                server.cli("flush")
                figures["disk_mb"].append(stored_mb(server.data_dir / "objects"))
    for folder, figures in seen.items():
        by_thread = {name: median([run.get(name, 0.0) for run in figures["threads"]]) for name in figures["threads"][0]}
        say(f"ingest {folder}", mb_per_s=spread(figures["mb_per_s"]), cpu_ms_per_mb=spread(figures["cpu_ms_per_mb"]),
            cpu_ms_per_mb_by_thread={name: ms for name, ms in sorted(by_thread.items(), key=lambda item: -item[1]) if ms >= 0.05},
            resident_mb=max(figures["resident_mb"]),
            objects_mb=median(figures["disk_mb"]), runs=runs)


def before_the_log(data: pathlib.Path):
    """MB a second of one core, stage by stage, over the payloads that are sent: parsing, the gate, encoding."""
    for payload in (data / "otlp" / "000000.pb", data / "json" / "000000.json"):
        print_lines = subprocess.run([TARGET / BUILD / "examples/ingest_speed", payload], check=True, capture_output=True, text=True)
        say("stages before the log", line=print_lines.stdout.strip().replace(str(payload), payload.name))


def appends(scratch: pathlib.Path, runs: int):
    """One small record after the other, beside 4 KiB appended and synced on the same disk in turns with it."""
    ratios, ours, bare, p99 = [], [], [], []
    with Server() as server:
        project = server.project("small")
        for _ in range(runs):
            bare.append(tool("disk", "--dir", scratch, "--count", 400)["latency"]["p50_ms"])
            latency = tool("small", "--url", server.http + "/v1/logs", "--token", project["ingest_token"], "--count", 400)["latency"]
            ours.append(latency["p50_ms"])
            p99.append(latency["p99_ms"])
            ratios.append(ours[-1] / bare[-1])
    say("small append", ratio=spread(ratios), candor_ms=spread(ours), candor_p99_ms=spread(p99), bare_ms=spread(bare), runs=runs)


# What the log waits for further records of a segment while it is under load, ms; and what all but put and wait may take.
LINGER_MS, REST_MS = 100, 50
# Between requests that are each alone: longer than the log waits.
APART_MS = 120


def s3(runs: int):
    """A small record on PostgreSQL and S3, from sending to its answer, beside one bare put to the same store in turns with
    it: requests that come alone, and 8 connections with one after the other."""
    if lacks := cluster.missing():
        say("small append on S3", skipped=f"SKIPPED: {lacks} (checks/install brings both)")
        return
    try:
        place = cluster.CLUSTER.place()
        seen = {name: [] for name in ("put_ms", "put_p99_ms", "alone_ms", "alone_p99_ms", "crowd_ms", "crowd_p99_ms", "over_put_ms")}
        with Server(place=place) as server, tempfile.TemporaryDirectory() as payloads:
            token = server.project("small")["ingest_token"]
            url = server.http + "/v1/logs"
            for number in range(400):
                pathlib.Path(payloads, f"{number:04}.json").write_bytes(otlp_logs([f"small append {number}"]))
            for _ in range(runs):
                put = tool("put", "--url", place.objects + "-bare", "--count", 60, "--pause-ms", APART_MS, env=place.env)["latency"]
                alone = tool("small", "--url", url, "--token", token, "--count", 60, "--pause-ms", APART_MS)["latency"]
                crowd = tool("send", "--url", url, "--token", token, "--dir", payloads)["latency"]
                for name, latency in (("put", put), ("alone", alone), ("crowd", crowd)):
                    seen[f"{name}_ms"].append(latency["p50_ms"])
                    seen[f"{name}_p99_ms"].append(latency["p99_ms"])
                seen["over_put_ms"].append(alone["p50_ms"] - put["p50_ms"])
            assert server.count("small", "logs") == runs * 460
        target = median(seen["put_ms"]) + LINGER_MS + REST_MS
        say("small append on S3", **{name: spread(values) for name, values in seen.items()},
            target_ms=round(target, 3), within_target=median(seen["alone_ms"]) < target and median(seen["crowd_ms"]) < target, runs=runs)
        place.cleanup()
    finally:
        cluster.CLUSTER.cleanup()


def start(runs: int):
    """An empty data dir: time to ready, memory when idle."""
    ready, resident = [], []
    for _ in range(runs):
        with Server() as server:
            ready.append(server.ready_s)
            time.sleep(2)
            resident.append(resident_mb(server.ready["pid"]))
    say("start on an empty data dir", ready_s=spread(ready), resident_mb=spread(resident), runs=runs)
