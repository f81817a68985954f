"""A policy holds over `kill -9`: no record without one, and none past its time."""

import json
import os
import random
import threading
import time

import pytest

from server import CLUSTERED, Server, post_otlp
from test_leaks import everything

KILLS = int(os.environ.get("CANDOR_KILLS", "5"))
# Records come every eight hours, and are kept for two days: six of those.
STEP_S, STEPS_KEPT = 8 * 3600, 6
# By when what a policy no longer keeps is off the disk: upkeep looks every few seconds.
GONE_S = 60
UPKEEP_S = 7
# By when a server goes by what the clock's file says.
CLOCK_S = 1.5


def striking(count: int) -> str:
    """A policy that strikes the first so many words of a record: each one more is stricter."""
    rules = "".join(f'[[scrub.rule]]\nid = "word-{n}"\nat = "**"\npattern = "word{n:02}"\naction = "replace:[gone]"\n' for n in range(count))
    return f'candor_policy = 1\nextends = "preset:default"\n{rules}'


def test_a_change_is_whole_or_not_at_all(own_server, tmp_path, show):
    server = own_server()
    project = server.project("changing")
    file = tmp_path / "policy.toml"
    stop, lock = threading.Event(), threading.Lock()
    # What was acknowledged, with how many words the policy struck that was acknowledged before it was sent.
    acked: dict[str, int] = {}
    holds, tried, number = 0, 0, 0

    def sending(worker: int, round_: int):
        n = 0
        while not stop.is_set():
            n += 1
            name = f"w{worker}-r{round_}-{n}"
            struck = holds
            body = name + " " + " ".join(f"word{word:02}" for word in range(2 * KILLS + 2))
            try:
                if post_otlp(server, project["ingest_token"], [body]).status == 200:
                    with lock:
                        acked[name] = struck
            except OSError:
                continue

    def changing():
        nonlocal holds, tried
        while not stop.is_set():
            tried = min(holds + 1, 2 * KILLS + 1)
            file.write_text(striking(tried))
            applied = server.cli("policy", "apply", str(file), check=False)
            if applied.returncode == 0:
                holds = tried
            time.sleep(random.uniform(0, 0.2))

    for round_ in range(KILLS):
        stop.clear()
        workers = [threading.Thread(target=sending, args=(w, round_)) for w in range(2)] + [threading.Thread(target=changing)]
        for worker in workers:
            worker.start()
        time.sleep(random.uniform(0.5, 1.5))
        server.kill()
        stop.set()
        for worker in workers:
            worker.join()
        server.start()
        shown = json.loads(server.cli("policy", "show", "--json").stdout)["in_force"]["policy"]
        now = sum(rule["id"].startswith("word-") for rule in shown["scrub"]["rule"])
        # A change that was not answered is there or it is not; one that was answered is.
        assert holds <= now <= max(holds, tried)
        holds = now
    # What each version struck, by the number that records carry.
    versions = {}
    rows = server.query("changing", "SELECT body, _epoch FROM logs")
    for row in rows:
        name, *words = row["body"].split()
        struck = words.count("[gone]")
        assert words == ["[gone]"] * struck + [f"word{word:02}" for word in range(struck, len(words))], row
        assert versions.setdefault(row["_epoch"], struck) == struck, f"version {row['_epoch']} struck {struck} and {versions[row['_epoch']]} words"
        assert struck >= acked.get(name, 0), f"{name}: {struck} words struck, {acked[name]} when it was sent"
    lost = set(acked) - {row["body"].split()[0] for row in rows}
    show(f"kill -9 {KILLS} times while policies changed, {'PostgreSQL and S3' if CLUSTERED else 'a data dir'}: {len(acked)} records acknowledged, "
         f"{len(lost)} lost, under {len(versions)} versions, each cleared by one whole")
    assert len(acked) > 20 and len(versions) > 2 and not lost


@pytest.mark.local
def test_nothing_outlives_its_time(tmp_path, show):
    clock, policy = tmp_path / "clock", tmp_path / "policy.toml"
    clock.write_text("0")
    policy.write_text('candor_policy = 1\nextends = "preset:default"\n[[activity]]\nid = "operations"\nretention = { live = "2d", max_lag = "2h" }\n')
    server = Server(None, "--test-clock", "--policy", str(policy), env={"CANDOR_CLOCK_FILE": str(clock)})
    try:
        server.start()
        project = server.project("kept")
        steps, first_end = 8, 8
        for step in range(steps):
            clock.write_text(str(step * STEP_S))
            time.sleep(CLOCK_S)
            assert post_otlp(server, project["ingest_token"], [f"step-{step}-{n}-here" for n in range(50)]).status == 200
            server.cli("flush")
        for now in range(first_end, first_end + KILLS):
            clock.write_text(str(now * STEP_S))
            # Upkeep looks within seconds; some of it is killed before, some while it runs, some after.
            time.sleep(random.uniform(0, 2))
            server.kill()
            server.start()
            rows = {row["body"] for row in server.query("kept", "SELECT body FROM logs")}
            over = [body for body in rows if int(body.split("-")[1]) + STEPS_KEPT < now]
            assert not over, f"at step {now}: {over[:3]}"
            lost = [f"step-{late}-{n}-here" for late in range(steps) if late + STEPS_KEPT > now for n in range(50) if f"step-{late}-{n}-here" not in rows]
            assert not lost, f"at step {now}: {lost[:3]}"
        # Rows end at once; their files stay for readers that began before, two hours at the least, and go in two steps.
        last = steps + STEPS_KEPT + 3
        until = time.monotonic() + GONE_S
        there, look = ["not looked yet"], 0
        while there and time.monotonic() < until:
            clock.write_text(str((last + look) * STEP_S))
            time.sleep(UPKEEP_S)
            look += 1
            there = [place for place, held in everything(server, tmp_path / f"look-{look}").items() if b"-here" in held]
        show(f"kill -9 {KILLS} times while rows ended: none seen past its time, none lost before; on the disk afterwards: {len(there)} places")
        assert not there
    finally:
        server.cleanup()
