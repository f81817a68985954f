"""How soon what was acknowledged is found, and how it is read back."""

import datetime
import json
import threading
import time

VISIBLE_S = 1.0
GIVE_UP_S = 20
POLL_S = 0.02


def rows(server, project, sql):
    """Rows by the API, as objects. For polling; what is compared is read by `candor query`."""
    answer = server.api("POST", "/api/v1/query", {"project": project, "sql": sql})
    assert answer.status == 200, answer
    found = answer.json()
    names = [column["name"] for column in found["columns"]]
    return [dict(zip(names, row)) for row in found["rows"]]


class Watch(threading.Thread):
    """Looks for rows until there are as many as were sent."""

    def __init__(self, server, project, table, where, acknowledged, expected=1):
        super().__init__()
        self.server, self.project, self.acknowledged, self.expected = server, project, acknowledged, expected
        self.sql = f"SELECT count(*) AS n FROM {table} WHERE {where}"
        self.found, self.seconds = 0, None
        self.start()

    def run(self):
        while time.time() < self.acknowledged + GIVE_UP_S:
            began = time.time()
            self.found = int(rows(self.server, self.project, self.sql)[0]["n"])
            if self.found >= self.expected:
                # It was there when the query began, at the latest.
                self.seconds = max(0.0, began - self.acknowledged)
                return
            time.sleep(POLL_S)


def p99_s(watches) -> float:
    """Joins the watches; the 99th percentile of the seconds from acknowledgement to visible."""
    for watch in watches:
        watch.join()
    missing = [f"{watch.sql}: {watch.found} of {watch.expected}" for watch in watches if watch.seconds is None]
    assert not missing, "\n".join(missing)
    seconds = sorted(watch.seconds for watch in watches)
    return seconds[min(len(seconds) - 1, len(seconds) * 99 // 100)]


def unix_nano(text, nanos=0) -> int:
    """Nanoseconds of a stored time, with its column of the remainder."""
    moment = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    micros = (moment - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)) // datetime.timedelta(microseconds=1)
    return micros * 1000 + (nanos or 0)


def as_sent(stored, sent):
    """What an attribute holds, in the form of what was sent: text stays, the rest is JSON text."""
    return stored if isinstance(sent, str) or stored is None else json.loads(stored)
