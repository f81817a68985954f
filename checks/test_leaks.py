"""What the gate takes out is nowhere on disk, and the harmless canary beside it is everywhere it was put."""

import base64
import itertools
import json
import pathlib
import re
import sqlite3
import urllib.parse

import pytest

import planting
from server import Server, post_better_stack, post_logflare, post_otlp, post_sentry

SECRETS = {
    "card": "4111111111111111",
    "card_spaced": "4111 1111 1111 1111",
    "iban": "GB82WEST12345698765432",
    "ssn": "536-90-4399",
    "password": "hunter2",
}
PLANTED = {
    "card": SECRETS["card"], "card_spaced": SECRETS["card_spaced"], "iban": SECRETS["iban"],
    "ssn": SECRETS["ssn"], "password": f"password={SECRETS['password']}",
}
CANARY = "harmlesscanary"


def places(protocol: str):
    """Every place of a record of the protocol: name, and what plants (secret text, canary id) there."""
    number = lambda s: int(s) if s.isdigit() else s
    if protocol == "otlp":
        return {
            "message": lambda s, c: ("otlp", {"bodies": [f"{c} paid with {s} today"]}),
            "attribute": lambda s, c: ("otlp", {"bodies": ["x"], "attributes": {"note": f"{c} {s}"}}),
            "key": lambda s, c: ("otlp", {"bodies": ["x"], "attributes": {f"{c} {s}": "v"}}),
            "number": lambda s, c: ("otlp", {"bodies": [c], "attributes": {"amount": number(s)}}),
            "url": lambda s, c: ("otlp", {"bodies": ["x"], "attributes": {"url.full": f"https://shop.example/{c}?q={urllib.parse.quote(s)}"}}),
            "service": lambda s, c: ("otlp", {"bodies": ["x"], "service": f"{c} {s}"}),
        }
    if protocol in ("logflare", "better_stack"):
        return {
            "message": lambda s, c: (protocol, {"message": f"{c} {s}"}),
            "attribute": lambda s, c: (protocol, {"message": "x", "metadata": {"note": f"{c} {s}"}}),
            "key": lambda s, c: (protocol, {"message": "x", "metadata": {f"{c} {s}": 1}}),
            "number": lambda s, c: (protocol, {"message": c, "metadata": {"amount": number(s)}}),
            "nested": lambda s, c: (protocol, {"message": "x", "metadata": {"a": {"b": [{"c": f"{c} {s}"}]}}}),
            "json_text": lambda s, c: (protocol, {"message": json.dumps({"canary": c, "inner": s})}),
        }
    return {
        "message": lambda s, c: ("sentry", {"message": f"{c} {s}"}),
        "exception": lambda s, c: ("sentry", {"exception": {"values": [{"type": "E", "value": f"{c} {s}"}]}}),
        "exception_type": lambda s, c: ("sentry", {"exception": {"values": [{"type": f"{c} {s}", "value": "v"}]}}),
        "tag": lambda s, c: ("sentry", {"tags": {"note": f"{c} {s}"}}),
        "tag_key": lambda s, c: ("sentry", {"tags": {f"{c} {s}": "v"}}),
        "extra": lambda s, c: ("sentry", {"extra": {"note": f"{c} {s}"}}),
        "extra_number": lambda s, c: ("sentry", {"extra": {"note": c, "amount": number(s)}}),
        "url": lambda s, c: ("sentry", {"request": {"url": f"https://shop.example/{c}?q={urllib.parse.quote(s)}"}}),
        "breadcrumb": lambda s, c: ("sentry", {"breadcrumbs": {"values": [{"message": f"{c} {s}", "timestamp": 1}]}}),
        "variable": lambda s, c: ("sentry", {"exception": {"values": [{"type": "E", "value": "v", "stacktrace": {"frames": [
            {"function": "f", "filename": "a.py", "lineno": 1, "vars": {"note": f"{c} {s}"}}]}}]}}),
        "context": lambda s, c: ("sentry", {"contexts": {"order": {"note": f"{c} {s}"}}}),
        "release": lambda s, c: ("sentry", {"release": f"{c} {s}"}),
    }


@pytest.fixture(scope="module")
def planted():
    """A server with every secret sent through every place of every protocol, still running."""
    with Server() as server:
        project = server.project("leaks")
        canaries = {}
        number = itertools.count()
        for protocol in ("otlp", "logflare", "better_stack", "sentry"):
            for place, plant in places(protocol).items():
                for kind, secret in PLANTED.items():
                    canary = f"{CANARY}{next(number)}x"
                    how, record = plant(secret, canary)
                    if how == "otlp":
                        answer = post_otlp(server, project["ingest_token"], **record)
                    elif how == "logflare":
                        answer = post_logflare(server, project["ingest_token"], [record])
                    elif how == "better_stack":
                        answer = post_better_stack(server, project["ingest_token"], [record])
                    else:
                        answer = post_sentry(server, project, [("event", {"platform": "python", **record})])
                    assert answer.status in (200, 202), (protocol, place, kind, answer)
                    canaries[canary] = f"{protocol} {place} {kind}"
        for protocol, place, plant in planting.places(server, project):
            for kind, secret in PLANTED.items():
                canary = f"{CANARY}{next(number)}x"
                status = plant(secret, canary)
                assert status in (200, 202), (protocol, place, kind, status)
                canaries[canary] = f"{protocol} {place} {kind}"
        yield server, canaries


def everything(server: Server, into: pathlib.Path) -> dict[str, bytes]:
    """Every byte that a search of the data dir can reach: raw files, decrypted and decoded files, SQLite pages, logs."""
    server.cli("verify", "storage", "--decrypt-to", str(into), timeout=300)
    found = {"own log": server.log_text().encode()}
    folders = [server.data_dir, into]
    if server.place:
        # What PostgreSQL and the object store keep: their own files, their logs and write-ahead logs, and a dump.
        folders += [server.place.postgres.folder, server.place.s3.folder]
        found["dump"] = server.place.postgres.dump(server.place.database)
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file():
                found[str(path)] = path.read_bytes()
                if path.suffix == ".db":
                    # A dump shows what pages hold in overflow chains; the raw bytes above show free pages and the WAL.
                    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
                        found[f"{path} dump"] = "\n".join(database.iterdump()).encode(errors="replace")
    return found


@pytest.mark.parametrize("moment", ["running", "flushed", "stopped"])
def test_no_secret_and_every_canary_on_disk(planted, tmp_path, show, moment):
    server, canaries = planted
    if moment == "flushed":
        server.cli("flush", "--project", "leaks")
    if moment == "stopped":
        server.stop()
    store = everything(server, tmp_path / "decrypted")
    forms = {}
    for name, secret in SECRETS.items():
        raw = secret.encode()
        forms[name] = {raw, urllib.parse.quote(secret).encode(), base64.b64encode(raw).rstrip(b"="), raw.hex().encode(), secret.encode("utf-16-le")}
    leaks = [(name, where) for name, shapes in forms.items() for where, data in store.items() if any(shape in data for shape in shapes)]
    assert not leaks, leaks[:20]
    found = {canary for data in store.values() for canary in re.findall(rf"{CANARY}\d+x".encode(), data)}
    missing = [where for canary, where in canaries.items() if canary.encode() not in found]
    assert not missing, f"{len(missing)} canaries lost: {missing[:20]}"
    show(f"leaks, {moment}: {len(canaries)} records in {len(store)} files and dumps, {sum(map(len, store.values()))} bytes searched, no secret, every canary")
