"""What is published, what is on record: the page, its sentences and versions; the ledger and what it finds."""

import json
import pathlib
import shutil
import sqlite3
import subprocess

import pytest

from server import CLUSTERED, binary, post_sentry


def written(folder: pathlib.Path, text: str) -> str:
    file = folder / "policy.toml"
    file.write_text(text)
    return str(file)


def page(server, path="/privacy", **asked):
    query = "&".join(f"{name}={value}" for name, value in asked.items())
    return server.request("GET", f"{path}?{query}")


def verified(server, *more):
    """`verify ledger` of a server's data, wherever that is."""
    given = server.place.flags if server.place else []
    pairs = zip(given[::2], given[1::2])
    place = [word for flag, value in pairs if flag in ("--metadata", "--root-key") for word in (flag, value)]
    return server.cli("verify", "ledger", *place, *more, check=False)


def test_the_page_is_the_policy_without_a_sign_in(own_server, tmp_path):
    server = own_server()
    html = page(server)
    assert html.status == 200 and html.headers["Content-Type"].startswith("text/html")
    assert "default-src 'none'" in html.headers["Content-Security-Policy"]
    text = html.body.decode()
    assert "<script" not in text and "ENFORCED" in text.upper() and "ATTESTED" in text.upper()
    sentences = json.loads(page(server, format="json").body)
    classes = {one["class"] for section in sentences["sections"] for one in section["sentences"]}
    assert classes == {"ENFORCED", "MEASURED", "ATTESTED"}
    assert all(one["keys"] for section in sentences["sections"] for one in section["sentences"])
    german = page(server, lang="de", format="md").body.decode()
    assert german != page(server, lang="en", format="md").body.decode()
    # A change of a key is a change of its sentence, and the old page stays.
    rule = 'candor_policy = 1\nextends = "preset:default"\n[[activity]]\nid = "errors"\nretention = { live = "7d" }\n'
    server.cli("policy", "apply", written(tmp_path, rule))
    compared = json.loads(page(server, "/privacy/compare", **{"from": 1, "to": 2}).body)
    assert [one["key"] for one in compared["keys"]] == ["activity.errors.retention.live"]
    assert compared["sentences"] and all("activity.errors.retention.live" in [key for key, _ in one["keys"]] for one in compared["sentences"])
    assert page(server, version=1).status == 200 and page(server, version=9).status == 404
    assert verified(server).returncode == 0
    rendered = server.cli("policy", "render", "--format", "json").stdout
    assert "7" in rendered and json.loads(rendered)["sections"]


def test_machines_read_it_too(own_server):
    server = own_server()
    gpc = json.loads(server.request("GET", "/.well-known/gpc.json").body)
    assert gpc["gpc"] is True and len(gpc["lastUpdate"]) == 10
    assert json.loads(server.request("GET", "/privacy/record.jsonld").body)["@context"]
    assert json.loads(server.request("GET", "/privacy/subprocessors.json").body) is not None
    assert server.request("GET", "/privacy/feed.xml").body.startswith(b"<?xml")
    assert json.loads(server.request("GET", "/privacy/policy.schema.json").body)["properties"]["collect"]
    assert server.request("GET", "/privacy/nobody").status == 404 and server.request("GET", "/privacy/default/nothing").status == 404


def test_reads_of_persons_are_on_record_and_tampering_is_found(own_server, tmp_path, show):
    server = own_server()
    project = server.project("shop")
    event = {"event_id": "d" * 32, "message": "it broke", "platform": "python", "user": {"id": "4711", "email": "ada@example.org"}}
    assert post_sentry(server, project, [("event", event)], {"event_id": "d" * 32}).status == 200
    code = server.query("shop", "SELECT subject FROM errors")[0]["subject"]
    server.query("shop", "SELECT message FROM (SELECT 'no person' AS message)")
    entries = server.api("GET", "/api/v1/ledger?project=shop").json()["entries"]
    reads = [one for one in entries if one["action"] == "read"]
    assert reads and max(one["subject_count"] for one in reads) >= 1, entries
    assert "ada@example.org" not in json.dumps(entries)
    # The local admin key sees codes.
    refused = server.api("POST", "/api/v1/reveal", {"project": "shop", "code": code, "reason": "a call"})
    assert refused.status == 403 and refused.json()["clause"] == "governance.reads.roles", refused
    proof = server.api("GET", f"/api/v1/ledger/{entries[0]['index']}/proof")
    assert proof.status == 200 and b"c2sp.org/tlog-proof" in proof.body
    beside = verified(server)
    assert beside.returncode == 0, beside
    checkpoint = tmp_path / "checkpoint"
    checkpoint.write_bytes(server.api("GET", "/api/v1/ledger/checkpoint").body)
    assert verified(server, "--checkpoint", str(checkpoint)).returncode == 0
    if CLUSTERED:
        return
    server.stop()
    copy = tmp_path / "copy"
    shutil.copytree(server.data_dir, copy)
    with sqlite3.connect(copy / "meta.db") as database:
        (number, leaf) = database.execute("SELECT id, leaf FROM ledger_entry ORDER BY id LIMIT 1").fetchone()
        changed = leaf.replace('"rows":', '"rowz":', 1)
        assert changed != leaf
        database.execute("UPDATE ledger_entry SET leaf = ? WHERE id = ?", (changed, number))
    found = subprocess.run([binary(), "verify", "ledger", "--data-dir", str(copy)], capture_output=True, text=True, timeout=60)
    show(f"ledger with a changed entry: {found.stdout.strip()[:300]}")
    assert found.returncode == 1 and "changed" in (found.stdout + found.stderr), found


# --- what the policy says of readers and of recipients ------------------------------------------------------------

EMAIL, PASSWORD = "ada@example.org", "correct horse battery"


class Person:
    """The first account, signed in: an owner, and of the role that they give themselves."""

    def __init__(self, server):
        self.server = server
        assert server.api("POST", "/api/v1/setup", {"email": EMAIL, "password": PASSWORD}).status == 200
        signed = server.request("POST", "/api/v1/session", json.dumps({"email": EMAIL, "password": PASSWORD}).encode(), {"Content-Type": "application/json", "X-Candor": "1"})
        self.cookie = signed.headers["Set-Cookie"].split(";")[0]

    def api(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        return self.server.request(method, path, data, {"Cookie": self.cookie, "Content-Type": "application/json", "X-Candor": "1"})

    def takes_role(self, role):
        assert self.api("PUT", "/api/v1/members", {"email": EMAIL, "role": role}).status == 204

    def reveals(self, code, reason="they called"):
        return self.api("POST", "/api/v1/reveal", {"project": "shop", "code": code, "reason": reason})

    def query(self):
        return self.api("POST", "/api/v1/query", {"project": "shop", "sql": "SELECT subject FROM errors"}).status


def reading(server):
    """A project with an event about a person: who is asked, and the person's code."""
    project = server.project("shop")
    event = {"event_id": "d" * 32, "message": "it broke", "platform": "python", "user": {"id": "4711"}}
    assert post_sentry(server, project, [("event", event)], {"event_id": "d" * 32}).status == 200
    person = Person(server)
    return person, person.api("POST", "/api/v1/query", {"project": "shop", "sql": "SELECT subject FROM errors"}).json()["rows"][0][0]


def ledger_of(server, action):
    return [one for one in server.api("GET", "/api/v1/ledger?project=shop").json()["entries"] if one["action"] == action]


def extended(rest):
    return f'candor_policy = 1\nextends = "preset:strict"\n{rest}\n'


def test_a_role_sees_what_the_policy_says(own_server, tmp_path):
    server = own_server("--kafka-listen", "127.0.0.1:0")
    person, code = reading(server)
    # Who was given nothing is a viewer and sees codes.
    assert person.reveals(code).json()["clause"] == "governance.reads.roles"
    assert person.api("GET", "/api/v1/reveal?project=shop").json() == {"sees": "tokens", "may_reveal": False, "needs_reason": True}
    person.takes_role("responder")
    without = person.reveals(code, " ")
    assert without.status == 422 and without.json()["clause"] == "governance.reads.reveal_needs_reason", without
    shown = person.reveals(code)
    assert shown.status == 200 and shown.json()["values"] == ["4711"], shown
    # A responder does not see whom an entry concerned; a privacy officer does, and why.
    revealed = [one for one in person.api("GET", "/api/v1/ledger?project=shop").json()["entries"] if one["action"] == "reveal"]
    assert len(revealed) == 1 and "reason" not in revealed[0]
    person.takes_role("privacy-officer")
    revealed = [one for one in person.api("GET", "/api/v1/ledger?project=shop").json()["entries"] if one["action"] == "reveal"]
    assert revealed[0]["reason"] == "they called" and revealed[0]["subjects"] == [code]
    # The policy takes it from the role: it is looked up at each read.
    server.cli("policy", "apply", written(tmp_path, extended('[governance.reads]\nroles = { viewer = "tokens", responder = "tokens", dpo = "reveal" }')), "--project", "shop")
    assert person.reveals(code).status == 200
    assert "reason" not in person.api("GET", "/api/v1/ledger?project=shop").json()["entries"][0]
    person.takes_role("responder")
    assert person.reveals(code).status == 403
    # Who runs the instance reads no rows, through any door.
    assert person.query() == 200
    person.takes_role("operator")
    assert person.query() == 403
    doors = ["issues?project=shop", "search?project=shop", "tail?project=shop", f"events/{'d' * 32}?project=shop", "issues/1/events?project=shop", "streams/topics/t/messages?project=shop"]
    for door in doors:
        answer = person.api("GET", f"/api/v1/{door}")
        assert answer.status == 403 and answer.json()["clause"] == "governance.reads.roles", (door, answer)
    assert person.api("POST", "/api/v1/lake/catalog", {"project": "shop"}).status == 403


def test_reads_are_written_and_reasons_asked_for_as_the_policy_says(own_server, tmp_path):
    reads = '[governance.reads]\nledger = false\nreveal_needs_reason = false\n'
    server = own_server("--policy", written(tmp_path, extended(reads)))
    person, code = reading(server)
    server.query("shop", "SELECT * FROM errors")
    assert ledger_of(server, "read") == []
    person.takes_role("responder")
    assert person.reveals(code, "").status == 200
    assert len(ledger_of(server, "reveal")) == 1, "what is revealed is on record whatever is said of reads"
    # Stricter holds at once.
    server.cli("policy", "apply", written(tmp_path, extended("")))
    assert person.reveals(code, "").json()["clause"] == "governance.reads.reveal_needs_reason"
    server.query("shop", "SELECT * FROM errors")
    assert max(one["subject_count"] for one in ledger_of(server, "read")) == 1


RECIPIENT = """[[recipient]]
id = "mirror"
name = "Mirror Co"
country = "DE"
role = "dpv:DataProcessor"
uses = ["essential.service.operations"]
endpoints = ["192.0.2.7:9092"]
"""


def bridge(server, name, address, direction="push"):
    return server.api("POST", "/api/v1/streams/bridges?project=shop", {"name": name, "direction": direction, "bootstrap": [address]})


@pytest.mark.parametrize("preset", ["default", "strict"])
def test_records_go_to_declared_addresses_alone(own_server, tmp_path, preset):
    base = f'candor_policy = 1\nextends = "preset:{preset}"\n'
    server = own_server("--kafka-listen", "127.0.0.1:0", "--policy", written(tmp_path, base + RECIPIENT))
    server.project("shop")
    undeclared = bridge(server, "other", "192.0.2.8:9092")
    assert undeclared.status == 403 and undeclared.json()["clause"] == "recipient.endpoints", undeclared
    assert bridge(server, "port", "192.0.2.7:9093").status == 403
    assert bridge(server, "here", "127.0.0.1:1").status == 201, "loopback is this machine"
    assert bridge(server, "in", "192.0.2.8:9092", "pull").status == 201, "nothing is sent there"
    assert bridge(server, "out", "192.0.2.7:9092").status == 201
    shown = lambda: server.api("GET", "/api/v1/streams/bridges/out?project=shop").json()
    assert shown()["state"] != "paused"
    # Its recipient goes: what tightens holds at once.
    server.cli("policy", "apply", written(tmp_path, base))
    paused = shown()
    assert paused["state"] == "paused" and "no recipient of the policy has the address 192.0.2.7:9092" in paused["error"], paused
    resumed = server.api("POST", "/api/v1/streams/bridges/out/resume?project=shop")
    assert resumed.status == 403 and resumed.json()["clause"] == "recipient.endpoints", resumed
    # Who is new is announced, and gets nothing before their day.
    applied = json.loads(server.cli("policy", "apply", written(tmp_path, base + RECIPIENT), "--json").stdout)
    assert applied["announced"] is not None and server.api("POST", "/api/v1/streams/bridges/out/resume?project=shop").status == 403


def test_a_recipient_of_some_fields_gets_no_whole_records(own_server, tmp_path):
    text = 'candor_policy = 1\nextends = "preset:default"\n' + RECIPIENT + 'fields = ["issue.title"]\n'
    server = own_server("--kafka-listen", "127.0.0.1:0", "--policy", written(tmp_path, text))
    server.project("shop")
    refused = bridge(server, "out", "192.0.2.7:9092")
    assert refused.status == 403 and refused.json()["clause"] == "recipient.fields", refused


def test_rules_of_sentry_become_rules_of_a_policy(tmp_path):
    file = tmp_path / "pii.json"
    file.write_text(json.dumps({"rules": {"order": {"type": "pattern", "pattern": "ORD-[0-9]+", "redaction": {"method": "replace", "text": "[order]"}}, "odd": {"type": "faces"}},
                                "applications": {"$string": ["@email:replace", "order"], "extra.x": ["odd"]}}))
    run = lambda *words: subprocess.run([binary(), "policy", *words], capture_output=True, text=True, timeout=60)
    imported = run("import", str(file))
    assert imported.returncode == 0 and "odd" in imported.stderr, imported
    policy = written(tmp_path, 'candor_policy = 1\nextends = "preset:default"\n' + imported.stdout)
    assert run("check", policy).returncode == 0, run("check", policy)
    file.write_text("not JSON")
    nothing = run("import", str(file))
    assert nothing.returncode == 1 and nothing.stdout == "", nothing
