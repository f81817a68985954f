"""A backup taken under load is a consistent cut, and comes up elsewhere."""

import json
import shutil
import subprocess
import threading
import time

import pytest

from server import Server, binary, post_otlp, post_sentry


@pytest.mark.local
def test_backup_under_load_restores_elsewhere(own_server, tmp_path, show):
    server = own_server()
    project = server.project("saved")
    acked: list[str] = []
    stop = threading.Event()

    def load():
        n = 0
        while not stop.is_set():
            n += 1
            if post_otlp(server, project["ingest_token"], [f"row {n}"]).status == 200:
                acked.append(f"row {n}")
            post_sentry(server, project, [("event", {"message": f"event {n}", "user": {"id": f"u{n % 5}"}})])

    worker = threading.Thread(target=load)
    worker.start()
    time.sleep(1)
    server.cli("flush", "--project", "saved")
    time.sleep(0.5)
    before = set(acked)
    manifest = json.loads(server.cli("backup", "create", str(tmp_path / "backup"), "--json").stdout)
    after = set(acked)
    time.sleep(0.3)
    stop.set()
    worker.join()
    root_key = server.data_dir / "root.key"
    restored_dir = tmp_path / "restored"
    assert not list((tmp_path / "backup").rglob("root.key")), "the root key is never in a backup"
    subprocess.run([binary(), "backup", "restore", str(tmp_path / "backup"), "--data-dir", str(restored_dir), "--root-key", str(root_key)], check=True, capture_output=True, text=True, timeout=120)
    if not (restored_dir / "root.key").exists():
        shutil.copy(root_key, restored_dir / "root.key")
    restored = own_server(data_dir=restored_dir)
    bodies = [row["body"] for row in restored.query("saved", "SELECT body FROM logs")]
    assert len(bodies) == len(set(bodies)), "nothing twice"
    assert before <= set(bodies), f"{len(before - set(bodies))} acknowledged before the backup are missing"
    assert set(bodies) <= after | {f"row {len(after) + i}" for i in range(1, 4)}, "nothing from after the cut"
    # The manifest says what the copy holds: every offset of it, and none beyond.
    said = {topic["topic"]: (topic["start"], topic["end"]) for topic in manifest["topics"] if topic["project"] == project["number"]}
    for table in ("logs", "errors"):
        held = restored.query("saved", f"SELECT count(*) AS n, min(_offset) AS first, max(_offset) + 1 AS next FROM {table}")[0]
        start, end = said[f"candor.{table}"]
        assert (int(held["n"]), int(held["first"]), int(held["next"])) == (end - start, start, end), (table, held, said)
    # The keys work there too, and the cut goes on.
    assert post_otlp(restored, project["ingest_token"], ["after restore"]).status == 200
    assert restored.count("saved", "logs", "body = 'after restore'") == 1
    events = restored.count("saved", "errors")
    show(f"backup under load: {len(before)} rows acknowledged before, {len(bodies)} in the cut, {len(after)} by its end; {events} events; keys and writes work after restore")
