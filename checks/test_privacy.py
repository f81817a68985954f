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
