"""Figures of a build: ingest, small appends beside the bare disk, size, memory. `make bench`.

    python3 bench/run.py [--rows 500000] [--runs 3]

Uses target/release/candor where it exists, else CANDOR_BIN. Prints one JSON document a figure; a run that was not
made is not printed. Peers (ClickHouse, DuckDB) are not measured here yet.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "checks"))
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
if "CANDOR_BIN" not in os.environ and (TARGET / "release/candor").exists():
    os.environ["CANDOR_BIN"] = str(TARGET / "release/candor")

from server import Server, binary, resident_mb  # noqa: E402


def tool(*arguments) -> dict:
    """Runs the load generator of this folder and gives what it printed."""
    built = TARGET / ("release" if "release" in binary() else "debug") / "candor-bench"
    return json.loads(subprocess.run([built, *map(str, arguments)], check=True, capture_output=True, text=True).stdout)


def cpu_s(pid: int) -> float:
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def say(name: str, **figures):
    print(json.dumps({"figure": name, "build": binary().rsplit("/", 2)[1], **figures}), flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--runs", type=int, default=3)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="candor-bench-") as scratch:
        data = pathlib.Path(scratch) / "data"
        say("data", **tool("generate", "--rows", chosen.rows, "--out", data))
        for path, folder in (("/v1/logs", "otlp"), ("/api/logs?source_name=bench", "json")):
            rates, cpus, peaks, sizes = [], [], [], []
            for _ in range(chosen.runs):
                with Server() as server:
                    project = server.project("bench")
                    before = cpu_s(server.ready["pid"])
                    sent = tool("send", "--url", server.http + path, "--token", project["ingest_token"], "--dir", data / folder)
                    cpus.append((cpu_s(server.ready["pid"]) - before) * 1000 / sent["mb"])
                    rates.append(sent["mb_per_s"])
                    peaks.append(resident_mb(server.ready["pid"]))
                    assert server.count("bench", "logs") == chosen.rows
                    server.cli("flush")
                    sizes.append(sum(f.stat().st_size for f in (server.data_dir / "objects").rglob("*") if f.is_file()) / 1e6)
            say(f"ingest {folder}", mb_per_s=statistics.median(rates), cpu_ms_per_mb=statistics.median(cpus), resident_mb=max(peaks), objects_mb=statistics.median(sizes), runs=chosen.runs)
        ratios = []
        with Server() as server:
            project = server.project("small")
            for _ in range(chosen.runs):
                bare = tool("disk", "--dir", scratch, "--count", 300)["latency"]["p50_ms"]
                ours = tool("small", "--url", server.http + "/v1/logs", "--token", project["ingest_token"], "--count", 300)["latency"]["p50_ms"]
                ratios.append((ours / bare, ours, bare))
        ratio, ours, bare = sorted(ratios)[len(ratios) // 2]
        say("small append", ratio=ratio, candor_ms=ours, bare_ms=bare, runs=chosen.runs)
        with Server() as server:
            time.sleep(2)
            say("start", ready_s=server.ready_s, idle_resident_mb=resident_mb(server.ready["pid"]))


if __name__ == "__main__":
    main()
