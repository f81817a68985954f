"""The live tail: what matches, as it arrives; taken up again where it broke; slow readers are told what they missed."""

import json
import socket
import subprocess
import threading
import time
import urllib.parse

from server import binary, post_otlp, post_sentry

WAIT_S = 20


class Tail:
    """A running `candor tail --json`, its lines collected as they come, each with when."""

    def __init__(self, server, project, *search):
        self.lines = []
        self.process = subprocess.Popen([binary(), "tail", "--project", project, "--json", *search, "--data-dir", str(server.data_dir)],
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        for line in self.process.stdout:
            self.lines.append((time.time(), json.loads(line)))

    def bodies(self):
        return [record["body"] for _, record in self.lines]

    def wait(self, count):
        until(lambda: len(self.lines) >= count, f"{count} lines, there are {len(self.lines)}")

    def stop(self):
        self.process.kill()
        self.process.wait()


def until(holds, what):
    deadline = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def readers(server) -> int:
    metrics = server.request("GET", "/metrics").body.decode()
    return int(float(metrics.split("\ncandor_tail_readers ")[1].split()[0]))


def test_words_and_keys_as_they_arrive(server, show):
    project = server.project("tail-live")
    token = project["ingest_token"]
    post_otlp(server, token, ["wanted, but before the tail"])
    before = readers(server)
    searches = {"wanted": ["wanted"], "http.route:/cart": ["http.route:/cart"], "service:shop": ["service:shop wanted"], "-wanted": ["-wanted"], "all": []}
    tails = {name: Tail(server, "tail-live", *search) for name, search in searches.items()}
    until(lambda: readers(server) == before + len(tails), "all tails stand")
    acknowledged = {}
    for n in range(20):
        body = f"wanted {n}" if n % 2 else f"other {n}"
        answer = post_otlp(server, token, [body], attributes={"http.route": "/cart" if n % 3 else "/pay"}, service="shop" if n % 5 else "mail")
        acknowledged[body] = time.time()
        assert answer.status == 200
    expected = {
        "wanted": [b for b in acknowledged if b.startswith("wanted")],
        "http.route:/cart": [b for b in acknowledged if int(b.split()[1]) % 3],
        "service:shop": [b for b in acknowledged if b.startswith("wanted") and int(b.split()[1]) % 5],
        "-wanted": [b for b in acknowledged if b.startswith("other")],
        "all": list(acknowledged),
    }
    seconds = []
    for name, tail in tails.items():
        tail.wait(len(expected[name]))
        tail.stop()
        assert tail.bodies() == expected[name], name
        seconds += [at - acknowledged[record["body"]] for at, record in tail.lines]
    show(f"tail: {len(seconds)} lines of 5 tails, in order, none more; the slowest {max(seconds) * 1000:.0f} ms after its acknowledgement")
    assert max(seconds) < 1
    until(lambda: readers(server) == before, "readers that left are gone")


def test_errors_and_spans_have_tails_too(server):
    project = server.project("tail-errors")
    follow = Sse(server, "tail-errors", q="level:error", table="errors")
    post_sentry(server, project, [("event", {"message": "just so", "level": "info"}), ("event", {"message": "broken", "level": "error"})])
    (event,) = follow.read(1)
    assert json.loads(event["data"])["value"] == "broken"
    follow.close()


class Sse:
    """A reader of server-sent events that reads when it is told to."""

    def __init__(self, server, project, q="", last=None, table=None, buffer=None, key=None, headers=None):
        self.connection = socket.socket()
        if buffer:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        host, port = server.ready["http"].rsplit(":", 1)
        self.connection.settimeout(WAIT_S)
        self.connection.connect((host, int(port)))
        query = urllib.parse.urlencode({"project": project, "q": q, **({"table": table} if table else {})})
        proof = headers or [f"Authorization: Bearer {key or server.admin_key}"]
        head = [f"GET /api/v1/tail?{query} HTTP/1.1", "Host: x", *proof, *([f"Last-Event-ID: {last}"] if last else [])]
        self.connection.sendall("\r\n".join(head).encode() + b"\r\n\r\n")
        self.data, self.last, self.ended = b"", None, False
        while b"\r\n\r\n" not in self.data:
            self.data += self.connection.recv(4096)
        head, self.data = self.data.split(b"\r\n\r\n", 1)
        self.status = int(head.split()[1])
        self.text = b""

    def unchunk(self):
        """Takes whole chunks off what has come."""
        while b"\r\n" in self.data:
            length, rest = self.data.split(b"\r\n", 1)
            size = int(length, 16)
            self.ended = size == 0
            if len(rest) < size + 2:
                return
            self.text += rest[:size]
            self.data = rest[size + 2:]

    def read(self, count, enough=lambda events: False):
        """Events until there are so many, or enough."""
        events = []
        while len(events) < count and not enough(events):
            self.unchunk()
            while b"\n\n" in self.text and len(events) < count:
                block, self.text = self.text.split(b"\n\n", 1)
                event = {}
                for line in block.decode().split("\n"):
                    name, _, value = line.partition(":")
                    event[name] = value.removeprefix(" ")
                self.last = event.get("id", self.last)
                if "data" in event:
                    events.append(event)
            if len(events) < count and not enough(events):
                got = self.connection.recv(65536)
                assert got, f"closed after {len(events)} events"
                self.data += got
        return events

    def at_end(self):
        """Whether the server has nothing more to say; waits for it."""
        self.unchunk()
        while not self.ended and (got := self.connection.recv(65536)):
            self.data += got
            self.unchunk()
        return self.ended

    def close(self):
        self.connection.close()


def test_a_reader_resumes_by_last_event_id(server, show):
    project = server.project("tail-resume")
    send = lambda of: post_otlp(server, project["ingest_token"], [f"{of} {n}" for n in range(50)])
    first = Sse(server, "tail-resume")
    send("a")
    seen = first.read(30)
    first.close()
    # What came while nobody read is not lost, also when it was published meanwhile, and neither is the rest of `a`.
    send("b")
    server.cli("flush", "--project", "tail-resume")
    send("c")
    second = Sse(server, "tail-resume", last=first.last)
    seen += second.read(120)
    second.close()
    bodies = [json.loads(event["data"])["body"] for event in seen]
    assert bodies == [f"{of} {n}" for of in "abc" for n in range(50)]
    ids = [int(event["id"]) for event in seen]
    assert ids == list(range(ids[0], ids[0] + 150)), "ids are offsets"
    # A reader that lost its connection before its first record resumes where it stood.
    third = Sse(server, "tail-resume")
    third.unchunk()
    while b"id:" not in third.text:
        third.data += third.connection.recv(4096)
        third.unchunk()
    standing = third.text.decode().split("id:")[1].split()[0]
    third.close()
    send("d")
    fourth = Sse(server, "tail-resume", last=standing)
    assert [json.loads(event["data"])["body"] for event in fourth.read(50)] == [f"d {n}" for n in range(50)]
    fourth.close()
    show("tail: 150 records over a broken connection and a flush, each once and in order by Last-Event-ID")


def test_a_slow_reader_is_told_what_it_missed(server, show):
    project = server.project("tail-slow")
    slow, quick = Sse(server, "tail-slow", buffer=4096), Sse(server, "tail-slow", q="last")
    total = 0
    for batch in range(20):
        bodies = [f"record {batch} {n} {'x' * 300}" for n in range(2000)]
        assert post_otlp(server, project["ingest_token"], bodies).status == 200
        total += len(bodies)
    assert post_otlp(server, project["ingest_token"], ["the last"]).status == 200
    (event,) = quick.read(1)
    assert json.loads(event["data"])["body"] == "the last", "nobody waits for the slow one"
    events = slow.read(total + 100, enough=lambda events: bool(events) and '"the last"' in events[-1]["data"])
    missed = [json.loads(event["data"])["count"] for event in events if event.get("event") == "dropped"]
    seen = [event for event in events if event.get("event") != "dropped"]
    assert missed and len(seen) + sum(missed) == total + 1, (len(seen), missed)
    ids = [int(event["id"]) for event in seen]
    assert ids == sorted(set(ids)) and ids[-1] == total
    show(f"tail: a slow reader got {len(seen)} of {total + 1} records and was told of the {sum(missed)} others in {len(missed)} events `dropped`")
    slow.close(), quick.close()


def test_a_tail_outlives_its_server(own_server, show):
    """kill -9, a start on the same address: the tail goes on where it was, nothing twice."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = "127.0.0.1:%d" % probe.getsockname()[1]
    server = own_server("--listen", address)
    project = server.project("shop")
    tail = Tail(server, "shop")
    until(lambda: readers(server) == 1, "the tail stands")
    send = lambda of: post_otlp(server, project["ingest_token"], [f"{of} {n}" for n in range(20)])
    assert send("a").status == 200
    tail.wait(20)
    server.kill()
    server.start()
    assert send("b").status == 200
    tail.wait(40)
    tail.stop()
    assert tail.bodies() == [f"{of} {n}" for of in "ab" for n in range(20)]
    show("tail: goes on over kill -9 and a new start, each record once")


def test_only_who_may_read_may_follow(server):
    project, other = server.project("tail-keys"), server.project("tail-other")
    for key in (project["ingest_token"], other["ingest_token"], project["dsn"].split("//")[1].split("@")[0], "no"):
        follow = Sse(server, "tail-keys", key=key)
        assert follow.status in (401, 403), (key, follow.status)
        follow.close()
    answer = server.api("GET", "/api/v1/tail?project=tail-keys&q=" + urllib.parse.quote("(unclosed"))
    assert answer.status == 400 and answer.json()["detail"], answer
    assert server.api("GET", "/api/v1/tail?project=no-such-project").status == 404


def test_a_tail_ends_with_the_right_to_read(own_server, show):
    """A token that is revoked, a session that is signed out: their tails are told within half a minute, and end."""
    server = own_server()
    project = server.project("shop")
    head = {"Content-Type": "application/json", "X-Candor": "1"}
    account = {"email": "ada@example.com", "password": "correct horse battery"}
    setup = {**account, "token": server.ready["setup_url"].split("token=")[1]}
    made = server.request("POST", "/api/v1/setup", json.dumps(setup).encode(), head)
    assert made.status == 200, made
    cookie = made.headers["Set-Cookie"].split(";")[0]
    mine = {**head, "Cookie": cookie}
    tokens = [server.request("POST", "/api/v1/tokens", json.dumps({"name": name}).encode(), mine).json() for name in ("kept", "revoked")]
    kept, revoked = (Sse(server, "shop", key=token["token"]) for token in tokens)
    signed_out = Sse(server, "shop", headers=[f"Cookie: {cookie}"])
    assert (kept.status, revoked.status, signed_out.status) == (200, 200, 200)
    post_otlp(server, project["ingest_token"], ["before"])
    for follow in (kept, revoked, signed_out):
        assert json.loads(follow.read(1)[0]["data"])["body"] == "before"
    assert server.request("DELETE", f"/api/v1/tokens/{tokens[1]['id']}", headers=mine).status == 204
    # The token that is kept is not bound to the session that made it.
    assert server.request("DELETE", "/api/v1/session", headers=mine).status == 204
    began = time.monotonic()
    for follow in (revoked, signed_out):
        follow.connection.settimeout(45)
        (event,) = follow.read(1)
        assert event["event"] == "ended" and "has ended" in json.loads(event["data"])["detail"], event
        assert follow.at_end(), "the answer ends with it"
        follow.close()
    took = time.monotonic() - began
    post_otlp(server, project["ingest_token"], ["after"])
    assert json.loads(kept.read(1)[0]["data"])["body"] == "after"
    kept.close()
    assert took < 40
    show(f"tail: ended {took:.0f} s after its token was revoked or its session signed out; another token's went on")


def test_tails_are_counted_and_one_too_many_is_refused(own_server, show):
    server = own_server()
    project = server.project("shop")
    tails = [Sse(server, "shop") for _ in range(500)]
    assert {tail.status for tail in tails} == {200}
    refused = server.api("GET", "/api/v1/tail?project=shop")
    assert refused.status == 503 and refused.headers["Retry-After"] and "500" in refused.json()["detail"], refused
    # They are woken together and all get it.
    began = time.monotonic()
    post_otlp(server, project["ingest_token"], ["one for all"])
    for tail in tails:
        assert json.loads(tail.read(1)[0]["data"])["body"] == "one for all"
    took = time.monotonic() - began
    for tail in tails:
        tail.close()
    until(lambda: readers(server) == 0, "readers that left are gone")
    Sse(server, "shop").close()
    show(f"tail: 500 at once got a record within {took:.1f} s, the 501st was refused")


def test_a_batch_larger_than_a_window_comes_whole(server):
    """A reader that keeps up is never moved on within what one request brought, however many records that is."""
    project = server.project("tail-large")
    every, some = Sse(server, "tail-large"), Sse(server, "tail-large", q='"record 7 "')
    bodies = [f"record {n % 10} of {n} {'x' * 100}" for n in range(15_000)]
    assert post_otlp(server, project["ingest_token"], bodies).status == 200
    assert [json.loads(event["data"])["body"] for event in every.read(15_000)] == bodies
    assert [json.loads(event["data"])["body"] for event in some.read(1_500)] == bodies[7::10]
    every.close(), some.close()
