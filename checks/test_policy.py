"""The policy as an operator uses it: checked, compared, applied; what holds is what is stored."""

import json
import pathlib
import subprocess
import time

import pytest

from server import Server, binary, post_otlp, post_sentry

DAY_S = 86_400
# By when a server goes by what the clock's file says.
CLOCK_S = 1.5


def written(folder: pathlib.Path, text: str, name="policy.toml") -> str:
    file = folder / name
    file.write_text(text)
    return str(file)


def extended(rest: str, preset="default") -> str:
    return f'candor_policy = 1\nextends = "preset:{preset}"\n{rest}\n'


def candor(*arguments):
    return subprocess.run([binary(), *arguments], capture_output=True, text=True, timeout=60)


def errors_kept(live: str) -> str:
    return f'[[activity]]\nid = "errors"\nretention = {{ live = "{live}" }}\n'


def test_check_says_what_is_wrong_and_where(tmp_path):
    bad = candor("policy", "check", written(tmp_path, 'candor_policy = 1\n[collect]\nuser_agnet = "drop"\n'))
    assert bad.returncode == 1
    assert "policy.toml:3:14: collect.user_agnet: there is no such key; did you mean `user_agent`?" in bad.stdout
    unlawful = candor("policy", "check", written(tmp_path, extended('[consent]\nmode = { default = "implied" }')), "--json")
    assert unlawful.returncode == 1
    findings = json.loads(unlawful.stdout)["findings"]
    assert [one["key"] for one in findings if one["severity"] == "error"] == ["consent.mode.default"]
    good = candor("policy", "check", written(tmp_path, extended(errors_kept("7d"))))
    assert good.returncode == 0, good
    assert 'activity.errors.retention.live = "7d", where preset:default says "30d"' in good.stdout


def test_presets_are_listed_and_printed_and_extended(tmp_path):
    listed = json.loads(candor("policy", "presets", "--json").stdout)
    names = [preset["name"] for preset in listed]
    assert names == ["preset:default", "preset:strict", "preset:logflare", "preset:logrocket-2018", "preset:better-stack-2022",
                     "preset:sentry-2013", "preset:confluent-2015"]
    for name in names:
        text = candor("policy", "presets", name).stdout
        assert "candor_policy = 1" in text
        assert not json.loads(candor("policy", "check", written(tmp_path, text), "--json").stdout)["faults"], name
    schema = json.loads(candor("policy", "schema").stdout)
    assert schema["properties"]["collect"]["properties"]["ip"]["properties"]["action"]["enum"] == ["drop", "generalise", "vault"]


def test_diff_tells_which_way_a_change_goes(tmp_path):
    old = written(tmp_path, extended(errors_kept("30d")), "old.toml")
    new = written(tmp_path, extended(errors_kept("7d") + '[collect]\ndevice_ids = "keep"\n'), "new.toml")
    changes = json.loads(candor("policy", "diff", old, new, "--json").stdout)
    assert {(one["key"], one["class"]) for one in changes} == {("activity.errors.retention.live", "tightening"), ("collect.device_ids", "loosening")}


def test_a_first_start_with_a_bad_policy_is_refused(tmp_path):
    server = Server(None, "--policy", written(tmp_path, "candor_policy = 1\n[retention]\nlogs = 3\n"))
    try:
        with pytest.raises(AssertionError, match="there is no such key"):
            server.start()
    finally:
        server.cleanup()


def test_a_file_seeds_the_first_start_and_is_then_compared(tmp_path):
    server = Server(None, "--policy", written(tmp_path, extended(errors_kept("7d"))))
    try:
        server.start()
        shown = json.loads(server.cli("policy", "show", "--json").stdout)
        assert shown["in_force"]["epoch"] == 1
        assert shown["in_force"]["policy"]["activity"][0]["retention"]["live"] == "7d"
        server.stop()
        written(tmp_path, extended(errors_kept("9d")))
        server.start()
        assert json.loads(server.cli("policy", "show", "--json").stdout)["in_force"]["epoch"] == 1
        assert "the policy in force is NOT the one of --policy" in server.log_text()
    finally:
        server.cleanup()


def test_what_is_refused_leaves_what_holds(own_server, tmp_path):
    server = own_server()
    refused = server.cli("policy", "apply", written(tmp_path, extended('[collect]\nenrichment = ["x"]')), check=False)
    assert refused.returncode == 1 and "collect.enrichment" in refused.stderr, refused
    assert json.loads(server.cli("policy", "show", "--json").stdout)["in_force"]["epoch"] == 1


def test_the_same_payload_under_two_policies_is_two_things_on_the_disk(own_server, tmp_path, show):
    server = own_server()
    plain, strict = server.project("plain"), server.project("harsh")
    rule = '[[scrub.rule]]\nid = "mail"\nat = "**"\ndetect = ["email", "phone"]\naction = "replace:[gone]"\n'
    server.cli("policy", "apply", written(tmp_path, extended(rule)), "--project", "harsh")
    event = {"event_id": "c" * 32, "message": "write to jane@example.org, card 4111 1111 1111 1111", "platform": "python"}
    for project in (plain, strict):
        assert post_otlp(server, project["ingest_token"], ["call +14155552671 or jane@example.org"]).status == 200
        assert post_sentry(server, project, [("event", event)], {"event_id": "c" * 32}).status == 200
    bodies = {name: server.query(name, "SELECT body FROM logs")[0]["body"] for name in ("plain", "harsh")}
    values = {name: server.query(name, "SELECT value FROM errors")[0]["value"] for name in ("plain", "harsh")}
    show(f"policies of two projects: {bodies}, {values}")
    assert bodies == {"plain": "call +14155552671 or jane@example.org", "harsh": "call [gone] or [gone]"}
    assert "jane@example.org" in values["plain"] and "jane@example.org" not in values["harsh"]
    assert all("[card]" in value for value in values.values())
    epochs = {name: server.query(name, "SELECT _epoch FROM logs")[0]["_epoch"] for name in ("plain", "harsh")}
    assert int(epochs["harsh"]) > int(epochs["plain"]) == 1


def test_what_loosens_waits_for_its_day(tmp_path):
    clock = tmp_path / "clock"
    clock.write_text("0")
    server = Server(None, "--test-clock", env={"CANDOR_CLOCK_FILE": str(clock)})
    try:
        server.start()
        text = extended(errors_kept("60d"))
        applied = json.loads(server.cli("policy", "apply", written(tmp_path, text), "--json").stdout)
        assert [one["class"] for one in applied["changes"]] == ["loosening"]
        assert applied["announced"]["epoch"] == 2 and applied["in_force"]["epoch"] == 1
        clock.write_text(str(30 * DAY_S + 60))
        for _ in range(100):
            if json.loads(server.cli("policy", "show", "--json").stdout)["in_force"]["epoch"] == 2:
                break
            time.sleep(0.2)
        shown = json.loads(server.cli("policy", "show", "--json").stdout)
        assert shown["in_force"]["epoch"] == 2 and shown["announced"] is None
    finally:
        server.cleanup()


def test_what_came_under_a_stricter_policy_keeps_its_time(tmp_path):
    clock = tmp_path / "clock"
    clock.write_text("0")

    def kept(live: str) -> str:
        return written(tmp_path, extended(f'[[activity]]\nid = "operations"\nretention = {{ live = "{live}" }}\n'))

    server = Server(None, "--test-clock", "--policy", kept("20d"), env={"CANDOR_CLOCK_FILE": str(clock)})
    try:
        server.start()
        project = server.project("kept")
        assert json.loads(server.cli("policy", "apply", kept("60d"), "--json").stdout)["announced"]["epoch"] == 2
        clock.write_text(str(25 * DAY_S))
        time.sleep(CLOCK_S)
        assert post_otlp(server, project["ingest_token"], ["came before"]).status == 200
        clock.write_text(str(31 * DAY_S))
        for _ in range(100):
            if json.loads(server.cli("policy", "show", "--json").stdout)["in_force"]["epoch"] == 2:
                break
            time.sleep(0.2)
        assert post_otlp(server, project["ingest_token"], ["came after"]).status == 200
        bodies = lambda: sorted(row["body"] for row in server.query("kept", "SELECT body FROM logs"))
        assert bodies() == ["came after", "came before"]
        clock.write_text(str(50 * DAY_S))
        time.sleep(CLOCK_S)
        assert bodies() == ["came after"]
        server.kill()
        server.start()
        assert bodies() == ["came after"]
        clock.write_text(str(70 * DAY_S))
        time.sleep(CLOCK_S)
        assert bodies() == ["came after"]
    finally:
        server.cleanup()
