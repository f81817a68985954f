"""Sentry's own SDKs, unmodified: what their transport sent is found within a second of its acknowledgement, and equal."""

import base64
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time
import uuid

import pytest

import compare
from server import envelope, post_sentry
from visible import VISIBLE_S, Watch, p99_s

CLIENTS = pathlib.Path(__file__).resolve().parent / "clients"
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")
SDKS = {
    "sentry-sdk (Python)": [sys.executable, str(CLIENTS / "sentry_python.py")],
    "@sentry/node": ["node", str(CLIENTS / "sentry_node.mjs")],
    "@sentry/browser (Chromium)": ["node", str(CLIENTS / "sentry_browser.mjs")],
}
# Items that are accepted and not stored yet, by the category under which that is counted.
UNSTORED = {"session": "session", "sessions": "session", "check_in": "monitor", "profile": "profile",
            "profile_chunk": "profile", "trace_metric": "trace_metric", "replay_event": "replay", "replay_recording": "replay"}
STORED = {"event", "transaction", "span", "log"}


def outcomes(server) -> dict:
    """Counts of what became of Sentry's items, by category and outcome."""
    counts = {}
    for line in server.request("GET", "/metrics").body.decode().splitlines():
        if line.startswith("candor_sentry_outcomes_total{"):
            labels, count = line.removeprefix("candor_sentry_outcomes_total{").split("} ")
            labels = dict(label.split("=") for label in labels.split(","))
            at = labels["category"].strip('"'), labels["outcome"].strip('"')
            counts[at] = counts.get(at, 0) + int(count)
    return counts


def watch(server, project, line):
    """Looks for the rows of an item; nothing for one that is not stored yet."""
    kind, payload = line["type"], line["brief"]
    if kind == "event":
        return Watch(server, project, "errors", f"event_id = '{payload['event_id']}'", line["acked"])
    if kind == "transaction":
        trace = payload["contexts"]["trace"]
        return Watch(server, project, "spans", f"attributes['sentry.event_id'] = '{payload['event_id']}' OR attributes['sentry.segment.id'] = '{trace['span_id']}'", line["acked"], 1 + len(payload["spans"]))
    if kind == "span":
        ids = ", ".join(f"'{span['span_id']}'" for span in payload["items"])
        return Watch(server, project, "spans", f"span_id IN ({ids})", line["acked"], len(payload["items"]))
    if kind == "log":
        body = payload["items"][-1]["body"].replace("'", "''")
        return Watch(server, project, "logs", f"body = '{body}'", line["acked"])
    return None


def send(server, project, command):
    """Runs an SDK. What it sent, as its transport had it, and the watches that began at each acknowledgement."""
    process = subprocess.Popen([*command[:2], project["dsn"], *command[2:]], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=CLIENTS)
    lines, watches = [], []
    for text in process.stdout:
        line = json.loads(text)
        if "brief" not in line:
            lines.append(line)
        elif line.get("status") == 200 and (found := watch(server, project["name"], line)):
            watches.append(found)
    errors = process.stderr.read()
    assert process.wait() == 0, errors
    return lines, watches


def check(server, project, name, lines, show):
    """Compares everything that was sent with what `candor query` gives."""
    table = compare.Table()
    read = lambda of: server.query(project["name"], f"SELECT * FROM {of}")
    errors = {row["event_id"]: row for row in read("errors")}
    spans = {row["span_id"]: row for row in read("spans")}
    logs = read("logs")
    sent = {"errors": 0, "spans": 0, "logs": 0, "attachments": 0}
    for line in (line for line in lines if line["type"] in STORED):
        payload = line["payload"]
        if line["type"] == "event":
            row = errors[payload["event_id"]]
            event = json.loads(row["event"])
            stored = event.pop("attachments", [])
            compare.compare_event(table, name, payload, row, event)
            compare_attachments(server, project, table, name, payload["event_id"], lines, stored)
            sent["attachments"] += len(stored)
            sent["errors"] += 1
        elif line["type"] == "transaction":
            compare.compare_transaction(table, name, payload, spans)
            sent["spans"] += 1 + len(payload["spans"])
        elif line["type"] == "span":
            for span in payload["items"]:
                compare.compare_span(table, name, span, spans[span["span_id"]])
            sent["spans"] += len(payload["items"])
        else:
            for log in payload["items"]:
                rows = [row for row in logs if row["body"] == log["body"] and compare.time_matches(log["timestamp"], row)]
                assert len(rows) == 1, (log["body"], len(rows))
                compare.compare_log(table, name, log, rows[0])
            sent["logs"] += len(payload["items"])
    assert not table.faults, "\n".join(table.faults[:40])
    # A browser measures the page until it closes, and what it sends then its script no longer sees.
    late = [row for row in spans.values() if (row["op"] or "").startswith("ui.webvital.")]
    told = {span["span_id"] for line in lines if line["type"] == "span" for span in line["payload"]["items"]}
    spans = {span_id: row for span_id, row in spans.items() if row not in late or span_id in told}
    attachments = sum(line["type"] == "attachment" for line in lines)
    assert sent == {"errors": len(errors), "spans": len(spans), "logs": len(logs), "attachments": attachments}, "nothing is stored that was not sent"
    show(f"{name}: {sent['errors']} errors, {sent['spans']} spans, {sent['logs']} log records, {sent['attachments']} attachments equal to what the SDK's transport sent, but for:")
    for line in table.lines():
        show(line)
    return sent


def compare_attachments(server, project, table, name, event_id, lines, stored):
    """Every attachment of an event, downloaded."""
    sent = [line for line in lines if line["type"] == "attachment" and line["headers"].get("event_id") == event_id]
    assert len(stored) == len(sent), (stored, sent)
    for line, named in zip(sent, stored):
        item = line["item"]
        if (named["name"], named["content_type"]) != (item["filename"], item.get("content_type", "")):
            table.faults.append(f"{name}: attachment {item}: stored as {named}")
        answer = server.api("GET", f"/api/v1/events/{event_id}/attachments/{named['id']}?project={project['name']}")
        assert answer.status == 200 and len(answer.body) == named["size"], answer
        content = base64.b64decode(line["content"])
        if answer.body != content:
            table.judge(name, f"attachment {item['filename']}", content.decode(errors="replace"), answer.body.decode(errors="replace"))


@pytest.mark.parametrize("name", SDKS)
def test_ordinary_traffic(server, show, name):
    if not shutil.which(SDKS[name][0]) or ("Chromium" in name and not CHROMIUM):
        pytest.skip(f"{SDKS[name][0]} or Chromium is not installed: 1 case")
    project = server.project(f"sentry-{uuid.uuid4().hex[:8]}")
    before = outcomes(server)
    lines, watches = send(server, project, SDKS[name])
    p99 = p99_s(watches)
    sent = check(server, project, name, lines, show)
    assert sent["errors"] >= 5 and sent["spans"] >= 3 and sent["logs"] >= 1 and sent["attachments"] == (0 if "browser" in name else 2), sent
    show(f"{name}: visible within {p99 * 1000:.0f} ms of the acknowledgement (p99 of {len(watches)} items)")
    assert p99 <= VISIBLE_S

    # What is not stored yet: 200, counted as such, and held back by the SDK from then on.
    counted = {at: count - before.get(at, 0) for at, count in outcomes(server).items()}
    unstored = {}
    for line in (line for line in lines if line["type"] in UNSTORED):
        category = UNSTORED[line["type"]]
        assert line.get("status") in (200, None), line
        unstored[category] = unstored.get(category, 0) + (line.get("status") == 200)
    for category, number in unstored.items():
        assert number and counted.get((category, "not_supported")) == number, (category, number, counted)
    assert not [at for at, count in counted.items() if at[1] in ("invalid", "filtered") and count], counted
    assert {line["type"] for line in lines if line.get("status") != 200} <= set(UNSTORED), "only what the server asked to hold back was"
    show(f"{name}: not stored yet, answered 200 with X-Sentry-Rate-Limits and counted as not_supported: {', '.join(f'{n} {c}' for c, n in sorted(unstored.items()))}")


@pytest.mark.parametrize("name", SDKS)
def test_the_largest_that_an_sdk_sends(server, show, name):
    if not shutil.which(SDKS[name][0]) or ("Chromium" in name and not CHROMIUM):
        pytest.skip(f"{SDKS[name][0]} or Chromium is not installed: 1 case")
    project = server.project(f"sentry-{uuid.uuid4().hex[:8]}")
    lines, watches = send(server, project, [*SDKS[name], "--large"])
    p99 = p99_s(watches)
    sent = check(server, project, name, lines, lambda line: None)
    largest = max(len(json.dumps(line["payload"])) for line in lines if line["type"] == "event")
    assert largest > 600_000, largest
    show(f"{name}, large: {sent['errors']} errors (the largest {largest / 1e6:.2f} MB), {sent['spans']} spans, {sent['logs']} log records equal, visible within {p99 * 1000:.0f} ms (p99)")
    assert p99 <= VISIBLE_S


def test_the_largest_envelopes(server, show):
    """Sentry's limits: an event of 1 MB, 1,000 spans of a transaction, a container of logs of 1 MB, 20 MB in all."""
    project = server.project("largest-envelope")
    now, trace = time.time(), uuid.uuid4().hex
    event = {"event_id": uuid.uuid4().hex, "platform": "python", "timestamp": now, "message": "large", "extra": {}}
    event["extra"] = {f"part {n}": "p" * 4000 for n in range(200)}
    event["extra"]["rest"] = "r" * ((1 << 20) - len(json.dumps(event)) - 12)
    assert len(json.dumps(event)) == 1 << 20
    spans = [{"trace_id": trace, "span_id": f"{n + 1:016x}", "parent_span_id": f"{0xabc:016x}", "op": "step", "description": f"step {n} {'y' * 300}", "start_timestamp": now, "timestamp": now + 0.001} for n in range(1000)]
    transaction = {"type": "transaction", "event_id": uuid.uuid4().hex, "transaction": "large", "start_timestamp": now, "timestamp": now + 1, "platform": "python",
                   "contexts": {"trace": {"trace_id": trace, "span_id": f"{0xabcdef:016x}", "op": "task"}}, "spans": spans}
    logs = {"items": [{"timestamp": now + n / 1000, "trace_id": trace, "level": "info", "body": f"line {n}", "attributes": {"filler": {"value": "z" * 900, "type": "string"}}} for n in range(1000)]}
    items = [("event", event), ("transaction", transaction), ("log", logs, {"item_count": 1000, "content_type": "application/vnd.sentry.items.log+json"})]
    so_far = len(envelope(items))
    items.append(("attachment", b"a" * (20_000_000 - so_far - 100), {"filename": "core"}))
    body = envelope(items)
    assert 19_900_000 < len(body) <= 20_000_000
    answer = post_sentry(server, project, items)
    acknowledged = time.time()
    assert answer.status == 200 and not answer.headers["X-Sentry-Rate-Limits"], answer
    watches = [Watch(server, project["name"], "errors", f"event_id = '{event['event_id']}'", acknowledged),
               Watch(server, project["name"], "spans", f"trace_id = '{trace}'", acknowledged, 1001),
               Watch(server, project["name"], "logs", f"trace_id = '{trace}'", acknowledged, 1000)]
    p99 = p99_s(watches)
    table = compare.Table()
    row = server.query(project["name"], "SELECT * FROM errors")[0]
    stored = json.loads(row["event"])
    (named,) = stored.pop("attachments")
    assert list(compare.differences(event, stored)) == []
    attachment = server.api("GET", f"/api/v1/events/{event['event_id']}/attachments/{named['id']}?project={project['name']}")
    assert attachment.body == items[-1][1]
    rows = {row["span_id"]: row for row in server.query(project["name"], "SELECT * FROM spans")}
    compare.compare_transaction(table, "envelope", transaction, rows)
    assert not table.faults, table.faults[:5]
    assert sorted(row["body"] for row in server.query(project["name"], "SELECT body FROM logs")) == sorted(log["body"] for log in logs["items"])
    show(f"largest envelope: {len(body) / 1e6:.1f} MB with an event of 1 MiB, {len(rows)} spans of one transaction and 1,000 log records and an attachment of {len(attachment.body) / 1e6:.1f} MB: equal, visible within {p99 * 1000:.0f} ms")
    answer = post_sentry(server, project, [("event", {"message": "x" * (11 << 20)})])
    assert answer.status == 413 and answer.json()["detail"], answer
