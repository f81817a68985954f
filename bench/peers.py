"""The peers: each a process of its own that answers SQL lines with rows, wall and CPU milliseconds.

    python peers.py duckdb|clickhouse FOLDER      SQL in JSON strings on stdin, one answer a line on stdout
"""

import json
import os
import pathlib
import resource
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent


class Peer:
    """A peer in a process of its own, so that its CPU and memory are its own."""

    def __init__(self, name: str, folder: pathlib.Path):
        self.name, self.folder = name, folder
        folder.mkdir(parents=True, exist_ok=True)
        self.start()

    def start(self):
        python = os.environ.get("CANDOR_PEERS_PYTHON", sys.executable)
        self.process = subprocess.Popen([python, HERE / "peers.py", self.name, str(self.folder)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, sql: str) -> dict:
        self.process.stdin.write(json.dumps(sql) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline() or '{"error": "it stopped"}')
        if "error" in answer:
            raise SystemExit(f"{self.name}: {answer['error']}\n{sql}")
        return answer

    def stop(self):
        self.process.stdin.close()
        self.process.wait(timeout=120)

    def restart(self):
        self.stop()
        self.start()


def used_ms() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return (usage.ru_utime + usage.ru_stime) * 1000


def serve(name: str, folder: str):
    if name == "duckdb":
        import duckdb
        connection = duckdb.connect(f"{folder}/rows.duckdb")
        connection.execute("SET TimeZone = 'UTC'")
        run = lambda sql: connection.execute(sql).fetchall()  # noqa: E731
    else:
        from chdb import session
        connection = session.Session(folder)

        def run(sql):
            text = str(connection.query(sql, "JSONCompactEachRow"))
            return [json.loads(line) for line in text.splitlines() if line]
    for line in sys.stdin:
        sql = json.loads(line)
        try:
            cpu, began = used_ms(), time.perf_counter()
            rows = run(sql)
            answer = {"wall_ms": (time.perf_counter() - began) * 1000, "cpu_ms": used_ms() - cpu, "rows": rows}
        except Exception as error:  # noqa: BLE001: whatever a peer raises is its answer
            answer = {"error": str(error)}
        print(json.dumps(answer, default=str), flush=True)


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2])
