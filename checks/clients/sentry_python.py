"""Sends what an application sends through the unmodified Python SDK of Sentry.

    python sentry_python.py DSN [--large]

Prints one short JSON line for each item that left, as soon as the server has answered: when, with what status, the
item's type and by what its rows are found (`brief`). At the end a line for each again, with its payload exactly as it went over the wire (or `content` in base64, where it is no JSON). `--large` sends the largest payloads that the SDK makes instead.
"""

import base64
import json
import logging
import sys
import time

import sentry_sdk
from sentry_sdk import logger as sentry_logger
from sentry_sdk.crons import monitor
from sentry_sdk.transport import HttpTransport


LINES = []


def brief(payload):
    """What tells an item's rows from others, in the places where it stands."""
    trace = payload.get("contexts", {}).get("trace", {})
    return {"event_id": payload.get("event_id"), "contexts": {"trace": {"span_id": trace.get("span_id")}},
            "spans": [{}] * len(payload.get("spans", [])),
            "items": [{"span_id": item.get("span_id"), "body": item.get("body")} for item in payload.get("items", [])]}


class Recording(HttpTransport):
    """The SDK's own transport; it only tells what it did."""

    def _send_request(self, body, headers, *args, envelope=None, **kwargs):
        self.status = None
        try:
            return super()._send_request(body, headers, *args, envelope=envelope, **kwargs)
        finally:
            acked = time.time()
            for item in envelope.items if envelope else []:
                data = item.get_bytes()
                line = {"acked": acked, "status": self.status, "encoding": headers.get("Content-Encoding"),
                        "headers": envelope.headers, "type": item.headers.get("type"), "item": item.headers}
                try:
                    line["payload"] = json.loads(data)
                except ValueError:
                    line["content"] = base64.b64encode(data).decode()
                print(json.dumps({"acked": acked, "status": self.status, "type": line["type"], "brief": brief(line.get("payload", {}))}), flush=True)
                LINES.append(json.dumps(line, default=str))

    def _request(self, *args, **kwargs):
        response = super()._request(*args, **kwargs)
        self.status = response.status
        return response


def innermost(cart):
    card_holder = "Ada"  # a local variable that the SDK sends
    return cart["total"] / len(cart["items"])


def checkout(cart):
    try:
        return innermost(cart)
    except ZeroDivisionError as error:
        raise ValueError(f"cannot check out {card_holder_of(cart)}") from error


def card_holder_of(cart):
    return cart.get("holder", "nobody")


def ordinary():
    scope = sentry_sdk.get_isolation_scope()
    scope.start_session()
    scope.set_tag("shop", "eu")
    scope.set_tag("größe", "übergroß ☃")
    scope.set_context("order", {"number": 2**60, "weight": 1.5, "nothing": None, "flags": [True, False]})
    scope.set_user({"id": "4711", "email": "ada@example.org", "username": "ada", "ip_address": "192.0.2.7", "plan": "gold"})
    scope.set_extra("not a number", float("nan"))
    scope.set_extra("infinite", float("inf"))
    scope.set_extra("settings", {"password": "hunter2-hunter2", "note": "paid with 4111111111111111"})
    scope.set_tag("who", "mail to ada@example.org")
    sentry_sdk.add_breadcrumb(category="cart", message="one thing added", level="info", data={"quantity": 1})
    try:
        checkout({"items": [], "total": 1})
    except ValueError:
        sentry_sdk.capture_exception()

    sentry_sdk.capture_message("the cart is empty", level="warning")
    logging.getLogger("shop.stock").error("only %d of %s left", 3, "tea")

    try:
        raise ExceptionGroup("two at once", [KeyError("sku"), OSError(28, "no space")])
    except ExceptionGroup:
        sentry_sdk.capture_exception()

    with sentry_sdk.new_scope() as inner:
        inner.fingerprint = ["payment", "{{ default }}"]
        inner.add_attachment(bytes=b"token=abcdefgh12345678\nplain text\n", filename="notes.txt", content_type="text/plain")
        inner.add_attachment(bytes=bytes(range(256)), filename="dump.bin")
        sentry_sdk.capture_exception(RuntimeError("with attachments"))

    with sentry_sdk.start_transaction(op="http.server", name="/checkout") as transaction:
        transaction.set_data("http.request.method", "POST")
        with sentry_sdk.start_span(op="db", name="SELECT * FROM cart") as span:
            span.set_data("db.system", "sqlite")
            span.set_tag("replica", "2")
        with sentry_sdk.start_span(op="http.client", name="GET https://stock.example/tea"):
            sentry_sdk.capture_message("inside a trace")

    sentry_logger.info("cart {cart} has {count} things", cart="c-17", count=3)
    sentry_logger.error("payment failed", attributes={"amount": 12.5, "retry": True, "gateway": "acme"})

    @monitor(monitor_slug="nightly", monitor_config={"schedule": {"type": "crontab", "value": "0 0 * * *"}})
    def nightly():
        pass

    nightly()
    scope.end_session()


def large():
    """An event near Sentry's limit of 1 MiB, a trace of 1,000 spans, 100 logs in one container."""
    for number in range(95):
        sentry_sdk.add_breadcrumb(category="step", message="x" * 9_000 + str(number))
    try:
        checkout({"items": [], "total": 1})
    except ValueError:
        sentry_sdk.capture_exception()
    with sentry_sdk.start_transaction(op="task", name="large"):
        for number in range(999):
            with sentry_sdk.start_span(op="step", name=f"step {number} " + "y" * 200) as span:
                span.set_data("number", number)
    for number in range(100):
        sentry_logger.info("line {number}", number=number, attributes={"filler": "z" * 5_000})


def main():
    dsn = sys.argv[1]
    sentry_sdk.init(
        dsn=dsn, transport=Recording, traces_sample_rate=1.0, profiles_sample_rate=1.0, enable_logs=True, send_default_pii=True,
        max_value_length=100_000, release="shop@1.2.3", environment="staging", server_name="web-1", shutdown_timeout=30)
    (large if "--large" in sys.argv[2:] else ordinary)()
    sentry_sdk.flush(timeout=30)
    sentry_sdk.get_client().close(timeout=30)
    print("\n".join(LINES), flush=True)


main()
