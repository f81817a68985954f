"""Ingest, small appends, start: what a write costs."""

import pathlib
import subprocess
import time

from measure import BUILD, TARGET, Server, cpu_by_thread, cpu_s, median, resident_mb, say, spread, stored_mb, tool

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


def start(runs: int):
    """An empty data dir: time to ready, memory when idle."""
    ready, resident = [], []
    for _ in range(runs):
        with Server() as server:
            ready.append(server.ready_s)
            time.sleep(2)
            resident.append(resident_mb(server.ready["pid"]))
    say("start on an empty data dir", ready_s=spread(ready), resident_mb=spread(resident), runs=runs)
