"""Figures of a build, beside the peers, in one run: `make bench`.

    python3 bench/run.py [start] [appends] [s3] [scrub] [ingest] [queries] [tenants] [streams] [--rows 5000000] [--runs 7]

Uses target/release/candor where it exists, else CANDOR_BIN. Prints one JSON document a figure; what was not run is not
printed. Runs of what is compared go by turns; figures are medians, CPU beside wall. `queries` installs ClickHouse
(chdb) and DuckDB from PyPI into bench/.venv, `scrub` Sentry's Relay with them; `streams` needs Java, Maven and librdkafka's
load generator (see streams.py) and is left out where they are not.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile

from measure import ROOT, say

SECTIONS = ("start", "appends", "s3", "scrub", "ingest", "queries", "tenants", "streams")


def peers_python() -> str:
    """A Python that has the peers; installs them the first time."""
    venv = ROOT / "bench/.venv"
    python, stamp, wanted = venv / "bin/python", venv / ".installed", ROOT / "bench/requirements.txt"
    if not stamp.exists() or stamp.read_text() != wanted.read_text():
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", wanted], check=True)
        stamp.write_text(wanted.read_text())
    return str(python)


def main():
    parser = argparse.ArgumentParser(description="Figures of a build.")
    parser.add_argument("sections", nargs="*", choices=[*SECTIONS, []], help="all of them when none is named")
    parser.add_argument("--rows", type=int, default=5_000_000, help="rows of the queries")
    parser.add_argument("--ingest-rows", type=int, default=1_000_000, help="rows of each ingest run")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--projects", type=int, default=2000)
    parser.add_argument("--seconds", type=int, default=600, help="of the quiet projects")
    parser.add_argument("--data", type=pathlib.Path, help="keep the generated payloads in this folder")
    chosen = parser.parse_args()
    sections = chosen.sections or SECTIONS
    import ingest
    import queries
    import scrub
    import streams
    import tenants
    with tempfile.TemporaryDirectory(prefix="candor-bench-") as scratch:
        scratch = pathlib.Path(scratch)
        data = chosen.data or scratch / "data"
        if "start" in sections:
            ingest.start(chosen.runs)
        if "appends" in sections:
            ingest.appends(scratch, chosen.runs)
        if "s3" in sections:
            ingest.s3(chosen.runs)
        if "scrub" in sections:
            scrub.compare(scratch, peers_python, chosen.runs)
        if "ingest" in sections:
            say("data", **queries.main_data(data / str(chosen.ingest_rows), chosen.ingest_rows))
            ingest.before_the_log(data / str(chosen.ingest_rows))
            ingest.ingest(data / str(chosen.ingest_rows), chosen.ingest_rows, chosen.runs)
        if "queries" in sections:
            os.environ["CANDOR_PEERS_PYTHON"] = peers_python()
            say("data", **queries.main_data(data / str(chosen.rows), chosen.rows))
            queries.compare(data / str(chosen.rows), scratch, chosen.rows, chosen.runs)
        if "tenants" in sections:
            tenants.tenants(chosen.projects, chosen.seconds)
        if "streams" in sections:
            streams.compare(peers_python, chosen.runs)


if __name__ == "__main__":
    main()
