"""Many quiet projects: memory, files a second, and the way back after `kill -9`."""

import pathlib
import tempfile
import threading
import time

from measure import Server, cpu_s, resident_mb, say, tool


def tenants(projects: int, seconds: int):
    """Every project sends one event every 10 s."""
    with Server() as server, tempfile.TemporaryDirectory() as scratch:
        tokens = []
        began = time.monotonic()
        for number in range(projects):
            made = server.api("POST", "/api/v1/projects", {"name": f"quiet-{number:04}"})
            assert made.status in (200, 201), made
            tokens.append(made.json()["ingest_token"])
        created_s = time.monotonic() - began
        listing = pathlib.Path(scratch) / "tokens"
        listing.write_text("\n".join(tokens))
        stop, names, resident = threading.Event(), set(), [0.0]

        def watch():
            while not stop.wait(1):
                names.update(str(p) for p in server.data_dir.rglob("*"))
                resident[0] = max(resident[0], resident_mb(server.ready["pid"]))

        before = {str(p) for p in server.data_dir.rglob("*")}
        watcher = threading.Thread(target=watch)
        watcher.start()
        cpu = cpu_s(server.ready["pid"])
        sent = tool("tenants", "--url", server.http + "/v1/logs", "--tokens", listing, "--every-s", 10, "--seconds", seconds)
        cpu = cpu_s(server.ready["pid"]) - cpu
        stop.set()
        watcher.join()
        server.kill()
        server.start()
        found = sum(server.count(f"quiet-{number:04}", "logs") for number in range(0, projects, max(1, projects // 50)))
        expected = sum(1 for number in range(sent["records"]) if number % projects % max(1, projects // 50) == 0)
        say("quiet projects", projects=projects, seconds=seconds, records=sent["records"], latency=sent["latency"], cpu_percent=round(100 * cpu / seconds, 1),
            resident_mb=resident[0], files_a_second=round(len(names - before) / seconds, 2), created_in_s=round(created_s, 1),
            ready_after_kill_s=round(server.ready_s, 3), records_of_every_nth_project={"expected": expected, "found": found})
