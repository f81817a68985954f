"""Data in PostgreSQL and S3: nothing depends on the machine, what is lost for a while comes back, and one serves."""

import json
import os
import subprocess
import threading
import time

import pytest

import cluster
from server import Server, binary, post_better_stack, post_logflare, post_otlp, post_sentry

pytestmark = pytest.mark.skipif(cluster.missing() is not None, reason=f"{cluster.missing()}: 13 cases")

BACK_WITHIN_S = 20


@pytest.fixture
def place():
    made = cluster.CLUSTER.place()
    yield made
    made.cleanup()


def start_fails(data_dir, flags, env, timeout=60) -> str:
    """What a start that fails says."""
    done = subprocess.run([binary(), "serve", "--data-dir", str(data_dir), "--listen", "127.0.0.1:0", "--otlp-grpc-listen", "off", *flags],
                          capture_output=True, text=True, timeout=timeout, env=env)
    assert done.returncode in (1, 2), (done.returncode, done.stderr)
    return done.stderr


def test_another_machine_goes_on_where_one_was_lost(place, tmp_path, show):
    first = Server(tmp_path / "one", place=place)
    sent = []
    with first:
        project = first.project("shared")
        for i in range(20):
            assert post_otlp(first, project["ingest_token"], [f"row {i}-{n}" for n in range(10)]).status == 200
            sent += [f"row {i}-{n}" for n in range(10)]
            if i == 10:
                first.cli("flush", "--project", "shared")
        assert post_sentry(first, project, [("event", {"message": "boom", "user": {"email": "ada@example.org"}})]).status == 200
        first.kill()
    # Its disk is gone as well. All that a new one needs is the address of the data, and the root key.
    held = {path.name for path in first.data_dir.rglob("*") if path.is_file()}
    assert held <= {"instance.json", "lock", "admin.key", "server.json", "storage.json", "reserve"}, held
    with Server(tmp_path / "two", place=place) as second:
        rows = second.query("shared", "SELECT body, count(*) AS n FROM logs GROUP BY body")
        assert sorted(row["body"] for row in rows) == sorted(sent) and all(int(row["n"]) == 1 for row in rows)
        assert second.count("shared", "errors", "subject IS NOT NULL AND issue IS NOT NULL") == 1
        assert post_otlp(second, project["ingest_token"], ["after"]).status == 200, "the keys work there"
        assert second.count("shared", "logs") == len(sent) + 1
        second.cli("flush", "--project", "shared")
        checked = json.loads(second.cli("verify", "storage", "--json").stdout)
        assert checked["place"] == place.objects and not checked["faults"] and checked["files"] >= 3, checked
        # A backup of this machine's folder would hold nothing.
        backup = second.cli("backup", "create", str(tmp_path / "backup"), check=False)
        assert backup.returncode == 1 and "pg_dump" in backup.stderr, backup.stderr
    stopped = subprocess.run([binary(), "backup", "create", str(tmp_path / "backup"), "--data-dir", str(tmp_path / "two")], capture_output=True, text=True)
    assert stopped.returncode == 1 and "pg_dump" in stopped.stderr, stopped.stderr
    show(f"another machine: {len(sent)} rows of one that was killed, read from PostgreSQL and S3; {checked['files']} files open there, ready in {second.ready_s:.2f} s")


def test_what_is_wrong_at_the_start_is_said(place, tmp_path, show):
    env = {**os.environ, **place.env}
    said = {}

    def metadata(url):
        return ["--metadata", url, "--objects", place.objects, "--root-key", str(place.root_key)]

    said["no root key"] = start_fails(tmp_path / "a", ["--metadata", place.postgres.url(place.database), "--objects", place.objects], env)
    assert "--root-key" in said["no root key"]
    said["database down"] = start_fails(tmp_path / "b", metadata(f"postgres://candor:hunter2@127.0.0.1:{cluster.free_port()}/x"), env)
    assert "--metadata: cannot open" in said["database down"] and "hunter2" not in said["database down"]
    said["no such database"] = start_fails(tmp_path / "c", metadata(place.postgres.url("nowhere")), env)
    assert "nowhere" in said["no such database"]
    wrong = [*place.flags]
    wrong[wrong.index(place.objects)] = "s3://no-such-bucket/x"
    said["wrong bucket"] = start_fails(tmp_path / "d", wrong, env)
    assert "--objects s3://no-such-bucket/x" in said["wrong bucket"] and "no such bucket" in said["wrong bucket"]
    said["wrong secret"] = start_fails(tmp_path / "e", place.flags, {**env, "AWS_SECRET_ACCESS_KEY": "wrong"})
    assert "AWS_SECRET_ACCESS_KEY" in said["wrong secret"]
    said["objects down"] = start_fails(tmp_path / "f", place.flags, {**env, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{cluster.free_port()}"})
    assert place.objects in said["objects down"]
    with Server(tmp_path / "g", place=place) as running:
        running.project("kept")
        said["a second process"] = start_fails(tmp_path / "h", place.flags, env)
        assert "another candor serves" in said["a second process"]
        assert running.count("kept", "logs") == 0, "the first one is undisturbed"
    other_key = [*place.flags[:-1], str(tmp_path / "other.key")]
    said["another root key"] = start_fails(tmp_path / "i", other_key, env)
    assert "root key" in said["another root key"]
    said["the same folder without the flags"] = start_fails(tmp_path / "g", [], env)
    assert "PostgreSQL" in said["the same folder without the flags"]
    for what, text in said.items():
        lines = [line for line in text.splitlines() if line.strip()]
        show(f"start refused, {what}: {lines[-1] if len(lines) == 1 else ' / '.join(lines)[:260]}")


def until(what: str, is_so, within: float = BACK_WITHIN_S) -> float:
    began = time.monotonic()
    while not is_so():
        assert time.monotonic() - began < within, what
        time.sleep(0.1)
    return time.monotonic() - began


@pytest.mark.parametrize("lost", ["postgres", "s3"])
def test_ingest_refuses_while_storage_is_lost_and_comes_back(place, tmp_path, lost, show):
    server = Server(tmp_path / "data", place=place)
    part = getattr(place, lost)
    with server:
        project = server.project("lossy")
        token = project["ingest_token"]
        acked, answers, stop = [], [], threading.Event()

        def load(worker):
            n = 0
            while not stop.is_set():
                n += 1
                name = f"w{worker}-{n}"
                began = time.monotonic()
                try:
                    answer = post_otlp(server, token, [name])
                except OSError as error:
                    answers.append((time.monotonic() - began, None, str(error)))
                    continue
                answers.append((time.monotonic() - began, answer.status, answer.headers.get("Retry-After")))
                if answer.status == 200:
                    acked.append(name)
                else:
                    time.sleep(0.05)

        workers = [threading.Thread(target=load, args=(n,)) for n in range(3)]
        for worker in workers:
            worker.start()
        time.sleep(1)
        server.cli("flush", "--project", "lossy")
        time.sleep(0.5)
        before = len(acked)
        part.stop()
        try:
            refused = until("it refuses", lambda: post_otlp(server, token, ["x"]).status == 503, 30)
            # The other protocols refuse in their own way.
            for answer in (post_logflare(server, token, [{"message": "x"}]), post_better_stack(server, token, [{"message": "x"}]),
                           post_sentry(server, project, [("event", {"message": "x"})])):
                assert answer.status == 503 and int(answer.headers["Retry-After"]) > 0, answer
            assert server.request("GET", "/healthz").status == 200
            assert server.request("GET", "/readyz").status == 503
            time.sleep(2)
            during = len(acked)
        finally:
            part.start()
        back = until("it comes back", lambda: post_otlp(server, token, ["back"]).status == 200, 60)
        time.sleep(1)
        stop.set()
        for worker in workers:
            worker.join()
        statuses = {status for _, status, _ in answers}
        assert statuses <= {200, 503}, statuses
        assert all(int(retry) > 0 for _, status, retry in answers if status == 503)
        slowest = max(took for took, _, _ in answers)
        assert len(acked) > during, "it goes on"

        def stored():
            return {row["body"]: int(row["n"]) for row in server.query("lossy", "SELECT body, count(*) AS n FROM logs GROUP BY body")}

        until("all that was acknowledged is visible", lambda: set(acked) <= set(stored()), 5)
        found = stored()
        doubled = [name for name in acked if found[name] != 1]
        show(f"{lost} lost under load: {before} acknowledged before, {len(acked)} in the end, 0 lost, {len(doubled)} doubled; "
             f"503 after {refused:.1f} s, back {back:.1f} s after it was, slowest answer {slowest:.1f} s")
        assert not doubled
    # What a stop with everything there leaves is whole.
    with Server(tmp_path / "again", place=place) as again:
        assert set(acked) <= {row["body"] for row in again.query("lossy", "SELECT body FROM logs")}


def test_a_deletion_while_s3_is_lost_removes_all_that_it_can(place, tmp_path):
    def named():
        return int(place.postgres.query(place.database, "SELECT count(*) FROM candor.vault"))

    with Server(tmp_path / "data", place=place) as server:
        project = server.project("leaving")
        assert post_sentry(server, project, [("event", {"message": "x", "user": {"email": "ada@example.org"}})]).status == 200
        until("the vault knows her", lambda: named() > 0)
        place.s3.stop()
        try:
            server.cli("project", "delete", "leaving")
            until("the vault has forgotten her", lambda: named() == 0, 10)
        finally:
            place.s3.start()


def test_a_sentry_retry_over_a_kill_is_stored_once(place, tmp_path):
    with Server(tmp_path / "one", place=place) as server:
        project = server.project("retries")
        event = {"event_id": "c" * 32, "message": "once"}
        assert post_sentry(server, project, [("event", event)], {"event_id": event["event_id"]}).status == 200
        server.kill()
    with Server(tmp_path / "two", place=place) as server:
        assert post_sentry(server, project, [("event", event)], {"event_id": event["event_id"]}).status == 200
        assert server.count("retries", "errors") == 1


def test_an_acknowledgement_takes_one_put_and_little_more(place, tmp_path, show):
    with Server(tmp_path / "data", place=place) as server:
        token = server.project("quick")["ingest_token"]
        took = []
        for i in range(30):
            time.sleep(0.12)
            began = time.monotonic()
            assert post_otlp(server, token, [f"small {i}"]).status == 200
            took.append(time.monotonic() - began)
        took.sort()
        show(f"a small request on PostgreSQL and S3: p50 {took[15] * 1000:.0f} ms, p99 {took[-1] * 1000:.0f} ms from sending to its answer")
        assert took[15] < 0.2


class Load:
    """Workers that send rows until they are told to stop, and what was acknowledged of it."""

    def __init__(self, server, token, workers=3):
        self.acked, self.stopped = [], threading.Event()
        self.threads = [threading.Thread(target=self._run, args=(server, token, n)) for n in range(workers)]
        for thread in self.threads:
            thread.start()

    def _run(self, server, token, worker):
        n = 0
        while not self.stopped.is_set():
            n += 1
            try:
                if post_otlp(server, token, [f"w{worker}-{n}"]).status == 200:
                    self.acked.append(f"w{worker}-{n}")
                    continue
            except OSError:
                pass
            time.sleep(0.05)

    def end(self) -> list[str]:
        self.stopped.set()
        for thread in self.threads:
            thread.join()
        return self.acked


def all_there_once(server, project, acked):
    found = {row["body"]: int(row["n"]) for row in server.query(project, "SELECT body, count(*) AS n FROM logs GROUP BY body")}
    assert set(acked) <= set(found), f"{len(set(acked) - set(found))} of {len(acked)} acknowledged rows are missing"
    assert not [name for name in acked if found[name] != 1]


@pytest.mark.parametrize("how", ["stop", "freeze"])
@pytest.mark.parametrize("lost", ["postgres", "s3"])
def test_a_stop_without_storage_ends_in_time(place, tmp_path, lost, how, show):
    part = getattr(place, lost)
    with Server(tmp_path / "data", place=place) as server:
        token = server.project("ending")["ingest_token"]
        load = Load(server, token)
        time.sleep(1)
        getattr(part, how)()
        try:
            time.sleep(0.3)
            took = server.stop()
            code = server.process.returncode
        finally:
            part.start() if how == "stop" else part.thaw()
            acked = load.end()
    assert took < 10 and code == 0, (took, code, server.log_text()[-2000:])
    assert len(acked) > 5
    with Server(tmp_path / "again", place=place) as again:
        all_there_once(again, "ending", acked)
    show(f"SIGTERM with {lost} lost ({how}): gone after {took:.1f} s, {len(acked)} acknowledged, 0 lost")


HOLDERS = """SELECT l.pid, (l.classid::bigint << 32) | l.objid::bigint FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
             WHERE l.locktype = 'advisory' AND l.granted AND a.state = 'idle in transaction' AND a.datname = current_database()"""


def serving(place) -> tuple[int, int]:
    """The server process that holds the lock of who serves, and the lock's number."""
    first = None
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        held = set(place.postgres.query(place.database, HOLDERS).splitlines())
        # Locks of a transaction come and go; this one stays.
        first = held & first if first else held
        if len(first) == 1:
            time.sleep(0.2)
            if set(place.postgres.query(place.database, HOLDERS).splitlines()) & first:
                pid, number = next(iter(first)).split("|")
                return int(pid), int(number)
            first = None
        time.sleep(0.05)
    raise AssertionError("nobody holds the lock of who serves")


def test_a_lost_lock_is_taken_again(place, tmp_path, show):
    with Server(tmp_path / "data", place=place) as server:
        token = server.project("held")["ingest_token"]
        load = Load(server, token)
        time.sleep(0.5)
        pid, _ = serving(place)
        place.postgres.query(place.database, f"SELECT pg_terminate_backend({pid})")
        took = until("the lock is held again", lambda: "is held again" in server.log_text(), 10)
        assert serving(place)[0] != pid
        until("it takes rows again", lambda: post_otlp(server, token, ["again"]).status == 200, 10)
        acked = load.end()
        assert server.process.poll() is None
        until("all that was acknowledged is visible", lambda: server.count("held", "logs") >= len(acked), 5)
        all_there_once(server, "held", acked)
        show(f"the connection of the lock was ended: held again after {took:.1f} s, {len(acked)} acknowledged, 0 lost")


def test_who_lost_the_lock_to_another_ends(place, tmp_path, show):
    with Server(tmp_path / "data", place=place) as server:
        token = server.project("fenced")["ingest_token"]
        load = Load(server, token)
        time.sleep(0.5)
        pid, number = serving(place)
        # Somebody else waits for the lock, as another candor that starts does, and gets it.
        other = subprocess.Popen([str(place.postgres.bin / "psql"), "-h", "127.0.0.1", "-p", str(place.postgres.port), "-U", "candor", "-d", place.database,
                                  "-Atc", f"SELECT pg_advisory_lock({number}); SELECT pg_sleep(60)"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            until("it waits", lambda: place.postgres.query(place.database, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted") == "1", 10)
            began = time.monotonic()
            place.postgres.query(place.database, f"SELECT pg_terminate_backend({pid})")
            code = server.process.wait(timeout=30)
            took = time.monotonic() - began
            assert code == 1 and "another candor serves" in server.log_text()
            # As long as the database may take to notice that a connection of its own is gone, and some for a slow machine.
            assert took < 12, took
            acked = load.end()
            said = start_fails(tmp_path / "second", place.flags, {**os.environ, **place.env})
            assert "another candor serves" in said
        finally:
            # Its server process would sleep on.
            place.postgres.query(place.database, f"SELECT count(pg_terminate_backend(pid)) FROM pg_locks WHERE ((classid::bigint << 32) | objid::bigint) = {number}")
            other.wait()
            load.end()
    with Server(tmp_path / "again", place=place) as again:
        all_there_once(again, "fenced", acked)
    show(f"the lock went to another: the process ended after {took:.1f} s, {len(acked)} acknowledged, 0 lost")
