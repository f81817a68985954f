"""Scrubbing alone, beside Sentry's Relay on the same bytes.

    python scrub.py relay EVENT LOG      run by `compare` with the peers' Python: one round, as JSON

Both in processor time, each round the best of two seconds, rounds by turns. Relay's wheel takes and gives JSON and
compiles its rules at every call: what it takes with no rules, and with rules for an event of one word, is measured,
too, and its figure is given with all of that and without. Relay is under the Functional Source License and here for
comparison alone.
"""

import json
import pathlib
import re
import subprocess
import sys
import time

MEASURED_S = 2.0
# About what Relay is given at once of a log.
PIECE_BYTES = 30_000
LOG_BYTES = 1_000_000


def dirty_event() -> dict:
    """About 30 KB as error trackers get them: 40 frames, 60 breadcrumbs, something to strike in most."""
    def frame(n):
        return {"filename": f"/srv/app/shop/views_{n}.py", "function": f"handle_{n}", "module": f"shop.views_{n}", "lineno": n, "in_app": True,
                "pre_context": ["def handle(request):", "    cart = Cart.load(request)"], "context_line": "    card = '4111 1111 1111 1111'",
                "post_context": ["    return cart.pay(card)"], "vars": {"request": f"<WSGIRequest: POST '/pay?token=abc{n}'>", "password": "'hunter2'", "n": str(n)}}

    def crumb(n):
        return {"timestamp": 1767323000 + n, "type": "http", "category": "httplib", "level": "info", "message": f"GET /v1/items/{n} with Authorization: Bearer abcdef0123456789",
                "data": {"url": f"https://jane:hunter2@api.example/v1/items/{n}?q=shoes", "method": "GET", "status_code": 200}}

    return {"event_id": "fc6d8c0c43fc4630ad850ee518f1b9d0", "platform": "python",
            "exception": {"values": [{"type": "PaymentError", "value": "card 4111111111111111 declined for DE89370400440532013000",
                                      "stacktrace": {"frames": [frame(n) for n in range(40)]}}]},
            "breadcrumbs": {"values": [crumb(n) for n in range(60)]},
            "request": {"url": "https://shop.example/pay", "headers": [["Cookie", "sid=abc"], ["Host", "shop.example"]]}}


def clean_log() -> str:
    """Lines of a service that logs nothing it should not."""
    line = ("2026-01-02T03:{:02}:{:02}.{:03}Z INFO [worker-{}] org.example.shop.CartService: GET /cart/items/{} answered 200 in {}.{} ms "
            "user=u{} trace_id={:032x}\n")
    lines, size = [], 0
    for n in range(LOG_BYTES):
        lines.append(line.format(n // 60 % 60, n % 60, n % 1000, n % 16, n * 7919, n % 50, n % 10, n * 31, n * 0x9E3779B97F4A7C15F39C0C6ED3B5A1D7 % (1 << 128)))
        size += len(lines[-1])
        if size >= LOG_BYTES:
            break
    return "".join(lines)


def compare(scratch: pathlib.Path, peers_python, runs: int):
    """MB a second of one core: the dirty event, that event once it is clean, and lines of a clean log."""
    from measure import BUILD, TARGET, say, spread
    event, log = scratch / "event.json", scratch / "clean.log"
    event.write_text(json.dumps(dirty_event(), separators=(",", ":")))
    log.write_text(clean_log())
    python = peers_python()
    seen: dict[str, list[float]] = {}
    for _ in range(runs):
        relay = subprocess.run([python, pathlib.Path(__file__), "relay", event, log], check=True, capture_output=True, text=True)
        figures = json.loads(relay.stdout)
        ours = subprocess.run([TARGET / BUILD / "examples/scrub_speed", event, log], check=True, capture_output=True, text=True)
        for line in ours.stdout.splitlines():
            of = "event" if line.startswith(str(event)) else "log"
            rules = re.search(r", ([a-z ]+): ", line)[1]
            figures[f"candor {rules} {of}"], *clean = [float(number) for number in re.findall(r"([\d.]+) MB/s", line)]
            if clean:
                figures[f"candor {rules} {of}, once clean"] = clean[0]
        for name, figure in figures.items():
            seen.setdefault(name, []).append(figure)
    say("scrub", event_bytes=event.stat().st_size, log_bytes=log.stat().st_size, mb_per_s={name: spread(values) for name, values in seen.items()}, runs=runs)


def best_s(work) -> float:
    """Processor time of the best round."""
    best, until = float("inf"), time.monotonic() + MEASURED_S
    while time.monotonic() < until:
        began = time.process_time()
        work()
        best = min(best, time.process_time() - began)
    return best


def relay(event: pathlib.Path, log: pathlib.Path) -> dict:
    from sentry_relay.processing import convert_datascrubbing_config, pii_strip_event
    text = log.read_text()
    payloads = {
        "event": [json.loads(event.read_text())],
        "log": [{"logentry": {"formatted": text[at:at + PIECE_BYTES]}} for at in range(0, len(text), PIECE_BYTES)],
    }
    sizes = {"event": event.stat().st_size, "log": log.stat().st_size}
    configs = {
        "default": convert_datascrubbing_config({"scrubData": True, "scrubDefaults": True, "scrubIpAddresses": True, "sensitiveFields": [], "excludeFields": []}),
        "** @common": {"applications": {"**": ["@common"]}},
    }
    none, word = {"applications": {}}, [{"logentry": {"formatted": "a"}}]
    strip = lambda config, events: best_s(lambda: [pii_strip_event(config, event) for event in events])
    without = {name: strip(none, events) for name, events in payloads.items()}
    bare = strip(none, word)
    figures = {}
    for rules, config in configs.items():
        compiled = max(0.0, strip(config, word) - bare)
        for name, events in payloads.items():
            whole = strip(config, events)
            alone = whole - without[name] - compiled * len(events)
            figures[f"relay {rules} {name}"] = sizes[name] / whole / 1e6
            figures[f"relay {rules} {name}, rules alone"] = sizes[name] / max(alone, 1e-9) / 1e6
    return figures


if __name__ == "__main__":
    print(json.dumps(relay(pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3]))))
