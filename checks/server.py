"""A real candor process on free ports, and small clients for its protocols."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
import uuid

from cluster import CLUSTER

# Where the servers of this run keep their data.
CLUSTERED = os.environ.get("CANDOR_MODE") == "cluster"

ROOT = pathlib.Path(__file__).resolve().parent.parent
START_S = 30


def binary() -> str:
    """The program under test: CANDOR_BIN, else the newest build of this checkout."""
    if given := os.environ.get("CANDOR_BIN"):
        return given
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    built = [p for p in (target / "debug/candor", target / "release/candor") if p.exists()]
    if not built:
        raise SystemExit("no candor binary: run `cargo build` first, or set CANDOR_BIN")
    return str(max(built, key=lambda p: p.stat().st_mtime))


class Answer:
    """An HTTP answer, whatever its status."""

    def __init__(self, status: int, headers, body: bytes):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"<{self.status} {self.body[:300]!r}>"


class Server:
    """One `candor serve` over a data dir of its own."""

    def __init__(self, data_dir=None, *flags, env=None, prefix=(), place=None):
        self.own = data_dir is None
        self.data_dir = pathlib.Path(data_dir or tempfile.mkdtemp(prefix="candor-check-"))
        self.flags, self.env, self.prefix = list(flags), env or {}, list(prefix)
        # With CANDOR_MODE=cluster every server keeps its data in PostgreSQL and S3; a check may give it a place.
        self.own_place = place is None and CLUSTERED
        self.place = CLUSTER.place() if self.own_place else place
        if self.place:
            self.flags += self.place.flags
            self.env = {**self.place.env, **self.env}
        self.process = None
        self.ready = {}

    def start(self):
        ready_file = self.data_dir.parent / f"{self.data_dir.name}.ready"
        ready_file.unlink(missing_ok=True)
        self.log = open(self.data_dir.parent / f"{self.data_dir.name}.log", "ab")
        began = time.monotonic()
        self.process = subprocess.Popen(
            [*self.prefix, binary(), "serve", "--data-dir", str(self.data_dir),
             *([] if "--listen" in self.flags else ["--listen", "127.0.0.1:0"]), *([] if "--kafka-listen" in self.flags else ["--kafka-listen", "off"]), "--otlp-grpc-listen", "127.0.0.1:0", "--syslog-listen", "off",
             "--ready-file", str(ready_file), *self.flags],
            stdout=self.log, stderr=self.log, env={**os.environ, **self.env})
        while not ready_file.exists():
            if self.process.poll() is not None:
                raise AssertionError(f"candor stopped at start: {self.log_text()[-3000:]}")
            if time.monotonic() - began > START_S:
                self.kill()
                raise AssertionError(f"candor not ready after {START_S} s: {self.log_text()[-3000:]}")
            time.sleep(0.005)
        self.ready_s = time.monotonic() - began
        self.ready = json.loads(ready_file.read_text())
        self.http = f"http://{self.ready['http']}"
        return self

    def log_text(self) -> str:
        return (self.data_dir.parent / f"{self.data_dir.name}.log").read_text(errors="replace")

    def kill(self):
        """kill -9: nothing is drained."""
        if self.process and self.process.poll() is None:
            os.kill(self.ready.get("pid", self.process.pid), signal.SIGKILL)
            self.process.kill()
            self.process.wait()

    def stop(self) -> float:
        """SIGTERM; gives the seconds until it was gone."""
        began = time.monotonic()
        if self.process and self.process.poll() is None:
            os.kill(self.ready.get("pid", self.process.pid), signal.SIGTERM)
            self.process.wait(timeout=15)
        return time.monotonic() - began

    def cleanup(self):
        self.kill()
        if self.own:
            shutil.rmtree(self.data_dir, ignore_errors=True)
            for end in ("log", "ready"):
                (self.data_dir.parent / f"{self.data_dir.name}.{end}").unlink(missing_ok=True)
        if self.own_place:
            self.place.cleanup()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.cleanup()

    def cli(self, *args, check=True, timeout=120):
        """A command against this server, found by its data dir. Gives the finished process."""
        done = subprocess.run([binary(), *args, "--data-dir", str(self.data_dir)], capture_output=True, text=True, timeout=timeout,
                              env={**os.environ, **self.env})
        if check and done.returncode != 0:
            raise AssertionError(f"candor {' '.join(args)} exited {done.returncode}: {done.stderr[-2000:]}\n{self.log_text()[-1500:]}")
        return done

    def project(self, name: str) -> dict:
        return json.loads(self.cli("project", "create", name, "--json").stdout)

    def query(self, project: str, sql: str, *flags) -> list[dict]:
        """Rows of a query, as objects."""
        out = self.cli("query", "--project", project, "--format", "ndjson", *flags, sql).stdout
        return [json.loads(line) for line in out.splitlines() if line.strip()]

    def count(self, project: str, table: str, where: str = "true") -> int:
        return int(self.query(project, f"SELECT count(*) AS n FROM {table} WHERE {where}")[0]["n"])

    @property
    def admin_key(self) -> str:
        return (self.data_dir / "admin.key").read_text().strip()

    def request(self, method: str, path: str, body: bytes | None = None, headers: dict | None = None, timeout=30) -> Answer:
        request = urllib.request.Request(self.http + path, data=body, method=method, headers=headers or {})
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return Answer(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as error:
            return Answer(error.code, error.headers, error.read())

    def api(self, method: str, path: str, body=None) -> Answer:
        """The API as the local admin."""
        return self.request(method, path, None if body is None else json.dumps(body).encode(),
                            {"Authorization": f"Bearer {self.admin_key}", "Content-Type": "application/json", "X-Candor": "1"})


def kafka_settings(project: dict, **more) -> dict:
    """How librdkafka's clients log in as the owner of a project that was just made."""
    kafka = project["kafka"]
    return {"bootstrap.servers": kafka["bootstrap"], "security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "SCRAM-SHA-256",
            "sasl.username": kafka["username"], "sasl.password": kafka["password"], **more}


def fresh_name() -> str:
    """A name that no topic, group or user has yet."""
    return f"t-{uuid.uuid4().hex[:10]}"


def resident_mb(pid: int) -> float:
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1000
    return 0.0


# --- one record in each protocol -------------------------------------------------------------------------------

def otlp_logs(bodies, attributes=None, service="check", time_ns=None) -> bytes:
    """An OTLP/JSON export request with one record a body."""
    now = time_ns or time.time_ns()
    attrs = [{"key": k, "value": {"stringValue": v} if isinstance(v, str) else {"intValue": str(v)}} for k, v in (attributes or {}).items()]
    return json.dumps({"resourceLogs": [{
        "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]},
        "scopeLogs": [{"scope": {"name": "checks"}, "logRecords": [
            {"timeUnixNano": str(now + i), "severityNumber": 9, "severityText": "INFO", "body": {"stringValue": body}, "attributes": attrs}
            for i, body in enumerate(bodies)]}]}]}).encode()


def post_otlp(server: Server, token: str, bodies, **how) -> Answer:
    return server.request("POST", "/v1/logs", otlp_logs(bodies, **how), {"Authorization": f"Bearer {token}", "Content-Type": "application/json"})


def post_logflare(server: Server, token: str, records, source="checks") -> Answer:
    return server.request("POST", f"/api/logs?source_name={source}", json.dumps({"batch": records}).encode(), {"X-API-KEY": token, "Content-Type": "application/json"})


def post_better_stack(server: Server, token: str, records) -> Answer:
    return server.request("POST", "/", json.dumps(records).encode(), {"Authorization": f"Bearer {token}", "Content-Type": "application/json"})


def envelope(items, headers=None) -> bytes:
    lines = [json.dumps(headers or {}).encode()]
    for item_type, payload, *extra in items:
        data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        lines += [json.dumps({"type": item_type, "length": len(data), **(extra[0] if extra else {})}).encode(), data]
    return b"\n".join(lines) + b"\n"


def post_sentry(server: Server, project: dict, items, headers=None) -> Answer:
    key = project["dsn"].split("//")[1].split("@")[0]
    return server.request("POST", f"/api/{project['number']}/envelope/", envelope(items, headers),
                          {"X-Sentry-Auth": f"Sentry sentry_key={key}, sentry_version=7, sentry_client=checks/1"})
