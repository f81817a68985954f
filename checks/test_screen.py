"""The screen in a real browser: first event, Explore, live tail, SQL, an error's page; axe, keyboard, both themes."""

import os
import pathlib
import shutil
import subprocess

import pytest

HERE = pathlib.Path(__file__).parent


def test_the_screen_works_and_axe_finds_no_serious_fault(own_server, show):
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if not chromium or not (HERE / "node_modules/playwright-core").exists():
        pytest.skip("Chromium or playwright-core is not installed: 1 case")
    server = own_server()
    out = pathlib.Path(os.environ.get("CANDOR_SCREENSHOTS", HERE / "screen/out"))
    done = subprocess.run(["node", "screen/screen.mjs", server.ready["setup_url"], str(out)], cwd=HERE, capture_output=True, text=True, timeout=300, env={**os.environ, "CHROMIUM": chromium})
    show(f"screen: {done.stdout.count('serious')} looks, screenshots in {out.relative_to(HERE) if out.is_relative_to(HERE) else out}; last line {done.stdout.strip().splitlines()[-1] if done.stdout.strip() else ''}")
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
