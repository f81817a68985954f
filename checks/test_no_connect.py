"""Nothing leaves the machine: as it comes, the server opens no connection and asks no name server."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

pytestmark = pytest.mark.local

HERE = pathlib.Path(__file__).resolve().parent
# How long the server is left alone while it is watched.
IDLE_S = 600 if os.environ.get("CANDOR_SOAK") else 8

# A call that could reach another machine: a connection, or a datagram to an address.
REACHES = re.compile(r"(connect|sendto|sendmsg|sendmmsg)\(.*sa_family=AF_(?!UNIX)")


def test_nothing_leaves_the_machine(tmp_path, show):
    alone = ["unshare", "--net", "--map-root-user"]
    for program in ("strace", "unshare", "ip"):
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed: 1 case")
    if subprocess.run([*alone, "true"], capture_output=True).returncode != 0:
        pytest.skip("no network namespace can be made here: 1 case")
    trace = tmp_path / "trace"
    inside = [sys.executable, str(HERE / "netless.py"), str(trace), str(IDLE_S)]
    done = subprocess.run([*alone, "sh", "-c", 'ip link set lo up && exec "$@"', "sh", *inside], capture_output=True, text=True,
                          timeout=IDLE_S + 120, cwd=HERE)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)
    calls = trace.read_text(errors="replace").splitlines()
    accepted = sum("accept4(" in call and "sa_family=AF_INET" in call for call in calls)
    assert accepted > 5, "the trace shows no client: it is none of this server"
    assert [call for call in calls if REACHES.search(call)] == []
    assert found == {"records": 100, "logs": 2, "errors": 1, "screen": 200}
    show(f"alone in a network namespace: {accepted} connections taken, 0 made, over {IDLE_S} s of quiet and every signal")
