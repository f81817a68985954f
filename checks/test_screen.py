"""The screen in a real browser: every view, axe, keyboard alone, both themes, narrow, lost servers and sessions, size."""

import json
import os
import pathlib
import shutil
import subprocess

import pytest

HERE = pathlib.Path(__file__).parent
LIMIT_S = 600


def test_the_screen_works_and_axe_finds_no_serious_fault(own_server, show):
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if not chromium or not (HERE / "node_modules/playwright-core").exists():
        pytest.skip("Chromium or playwright-core is not installed: 1 case")
    server = own_server()
    out = pathlib.Path(os.environ.get("CANDOR_SCREENSHOTS", HERE / "screen/out"))
    done = subprocess.run(["node", "screen/screen.mjs", server.ready["setup_url"], str(out)], cwd=HERE, capture_output=True,
                          text=True, timeout=LIMIT_S, env={**os.environ, "CHROMIUM": chromium})
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    looks = [line for line in lines if "view" in line]
    walks = [line for line in lines if "walked" in line]
    show(f"screen: {len(looks)} looks with axe, {sum(line['serious'] for line in looks)} serious faults; "
         f"{len(walks)} views walked by Tab, {sum(line['stops'] for line in walks)} stops")
    for line in lines:
        if not {"view", "walked", "failed", "wrong"} & line.keys():
            show(f"screen: {', '.join(f'{key} {value}' for key, value in line.items())}")
    failed = "\n".join(json.dumps(line["failed"]) for line in lines if "failed" in line)
    assert done.returncode == 0 and not failed and lines[-1:] == [{"wrong": 0}], f"{failed}\n{done.stderr[-2000:]}"
