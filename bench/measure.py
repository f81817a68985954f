"""What every benchmark shares: the program under test, its CPU, the load generator, and how a figure is printed."""

import contextlib
import json
import os
import pathlib
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "checks"))
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
if "CANDOR_BIN" not in os.environ and (TARGET / "release/candor").exists():
    os.environ["CANDOR_BIN"] = str(TARGET / "release/candor")

from server import Server, binary, resident_mb  # noqa: E402,F401

BUILD = "release" if "/release/" in binary() else "debug"


def tool(*arguments, env=None) -> dict:
    """Runs the load generator of this folder and gives what it printed."""
    built = TARGET / BUILD / "candor-bench"
    done = subprocess.run([built, *map(str, arguments)], capture_output=True, text=True, env={**os.environ, **(env or {})})
    if done.returncode != 0:
        raise SystemExit(f"candor-bench {' '.join(map(str, arguments[:1]))} failed: {done.stderr}")
    return json.loads(done.stdout)


def cpu_by_thread(pid: int) -> dict[str, float]:
    """CPU seconds so far of a process, by the names of its threads without their numbers."""
    spent: dict[str, float] = {}
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            name = (task / "comm").read_text().strip().rstrip("0123456789").rstrip("-")
            ran_ns = int((task / "schedstat").read_text().split()[0])
            spent[name] = spent.get(name, 0.0) + ran_ns / 1e9
    return spent


def cpu_s(pid: int) -> float:
    """CPU seconds so far of a process, threads that ended included."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def stored_mb(folder: pathlib.Path) -> float:
    """Bytes of all files below a folder, MB."""
    total = 0
    for file in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            total += file.stat().st_size if file.is_file() else 0
    return total / 1e6


def median(values) -> float:
    return round(statistics.median(values), 3)


def spread(values) -> dict:
    """Median, least and most, as every figure is given."""
    return {"median": median(values), "min": round(min(values), 3), "max": round(max(values), 3)}


def say(name: str, **figures):
    print(json.dumps({"figure": name, "build": BUILD, **figures}), flush=True)


def drop_caches() -> bool:
    """Empties the page cache; false where that is not allowed."""
    subprocess.run(["sync"], check=True)
    try:
        pathlib.Path("/proc/sys/vm/drop_caches").write_text("3")
    except OSError:
        return False
    return True
