"""Real Python clients of logs and traces: sends records and says how each must be stored.

    python logs.py --url http://127.0.0.1:8080 --grpc 127.0.0.1:4317 --token TOKEN [--only NAME] [--times N]

One JSON line a record, printed as soon as its client has its acknowledgement:

    {"client": …, "table": "logs"|"spans", "key": …, "key_attribute": …, "acknowledged": UNIX_SECONDS,
     "columns": {…}, "attributes": {…}, "gate": {…}}

The attribute `key_attribute` is `key` in no other row. `columns` and `attributes` are what must be stored, as
text where the column is text; `gate` names what the gate changes, with its stored form (null: it left the row and is
a code in `subjects`). The clients are the published packages, configured as their manuals say.
"""

import argparse
import json
import logging
import sys
import time
import uuid

SERVICE, VERSION, HOST = "check-python", "1.2.3", "box-1"


def say(client, table, key, columns, attributes, gate=None):
    line = {"client": client, "table": table, "key": key, "key_attribute": "check.id", "acknowledged": time.time(), "columns": columns,
            "attributes": attributes, "gate": gate or {}}
    print(json.dumps(line), flush=True)


def key() -> str:
    return f"k{uuid.uuid4().hex[:20]}"


def resource():
    from opentelemetry.sdk.resources import Resource
    return Resource.create({"service.name": SERVICE, "service.version": VERSION, "host.name": HOST, "deployment.environment.name": "checks"})


RESOURCE_ATTRIBUTES = {"service.name": SERVICE, "service.version": VERSION, "host.name": HOST, "deployment.environment.name": "checks", "telemetry.sdk.language": "python"}


def otlp_logs(client, exporter, times):
    """Logs by the standard library's logging and by the API, in and out of a span, of every kind of value."""
    from opentelemetry import trace
    from opentelemetry._logs import LogRecord, SeverityNumber
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
    from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

    provider = LoggerProvider(resource=resource())
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    logger = provider.get_logger("checks.clients", "0.1", attributes={"team": "checks"})
    scope = {"otel.scope.name": "checks.clients", "otel.scope.version": "0.1", "otel.scope.team": "checks"}
    span = NonRecordingSpan(SpanContext(0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331, False, TraceFlags(1)))
    for _ in range(times):
        k, now = key(), time.time_ns()
        with trace.use_span(span):
            logger.emit(LogRecord(
                timestamp=now, observed_timestamp=now + 1000, severity_number=SeverityNumber.WARN, severity_text="WARN",
                body=f"order {k} is late", context=trace.set_span_in_context(span), attributes={
                    "check.id": k, "int": 7, "big": 2**53 + 1, "double": 0.5, "bool": True, "text": "grüße 😀",
                    "list": ["a", "b"], "nested": {"a": {"b": [1, 2]}}, "password": "hunter2-hunter2",
                    "user.id": f"u-{k}", "card": "4111111111111111"}))
        say(client, "logs", k, {
            "body": f"order {k} is late", "severity_text": "WARN", "severity_number": 13, "service_name": SERVICE,
            "host_name": HOST, "trace_id": "0af7651916cd43dd8448eb211c80319c", "span_id": "b7ad6b7169203331",
            "timestamp_unix_nano": now}, {
            **RESOURCE_ATTRIBUTES, **scope, "int": "7", "big": str(2**53 + 1), "double": "0.5", "bool": "true",
            "text": "grüße 😀", "list": ["a", "b"], "nested": {"a": {"b": [1, 2]}}, "otel.flags": "1"},
            {"password": "[secret]", "card": "[card]", "user.id": None})

        k, now = key(), time.time_ns()
        logger.emit(LogRecord(timestamp=now, body={"message": "structured", "check": k}, severity_number=SeverityNumber.ERROR3,
                              event_name="check.event", attributes={"check.id": k}))
        say(client, "logs", k, {"body": {"message": "structured", "check": k}, "severity_text": "ERROR3", "severity_number": 19},
            {"otel.event_name": "check.event", **scope})
    provider.force_flush()
    provider.shutdown()


def otlp_traces(client, exporter, times):
    """A parent and its failing child with an event, a link and a status."""
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

    provider = TracerProvider(resource=resource())
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("checks.clients", "0.1")
    linked = SpanContext(0x11111111111111111111111111111111, 0x2222222222222222, True, TraceFlags(1))
    for _ in range(times):
        parent_key, child_key = key(), key()
        with tracer.start_as_current_span("GET /cart", kind=SpanKind.SERVER, attributes={"check.id": parent_key, "http.response.status_code": 200}) as parent:
            with tracer.start_as_current_span("query", kind=SpanKind.CLIENT, links=[Link(linked, {"why": "batch"})],
                                              attributes={"check.id": child_key, "db.statement": "SELECT 1"}) as child:
                child.add_event("retry", {"attempt": 2}, timestamp=1_767_225_600_123_456_789)
                child.set_status(Status(StatusCode.ERROR, "timed out"))
            say(client, "spans", child_key, span_columns(child, "query", "client", "error", parent.get_span_context().span_id), {
                "db.statement": "SELECT 1", "otel.status_description": "timed out",
                "otel.events": [{"timestamp": "2026-01-01T00:00:00.123456789Z", "name": "retry", "attributes": {"attempt": 2}}],
                "otel.scope.name": "checks.clients", "otel.scope.version": "0.1", **RESOURCE_ATTRIBUTES})
        say(client, "spans", parent_key, span_columns(parent, "GET /cart", "server", "unset", None), {"http.response.status_code": "200"})
    provider.shutdown()


def span_columns(span, name, kind, status, parent):
    context = span.get_span_context()
    return {"name": name, "op": kind, "status": status, "service_name": SERVICE, "release": VERSION,
            "trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}",
            "parent_span_id": f"{parent:016x}" if parent else None, "timestamp_unix_nano": span.start_time,
            "duration_ns": span.end_time - span.start_time}


def http_headers(arguments):
    return {"authorization": f"Bearer {arguments.token}"}


def otlp_http_logs(arguments):
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    for compression in (Compression.Gzip, Compression.NoCompression):
        exporter = OTLPLogExporter(endpoint=f"{arguments.url}/v1/logs", headers=http_headers(arguments), compression=compression)
        otlp_logs(f"opentelemetry-exporter-otlp-proto-http logs {compression.value}", exporter, arguments.times)


def otlp_http_traces(arguments):
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    exporter = OTLPSpanExporter(endpoint=f"{arguments.url}/v1/traces", headers=http_headers(arguments), compression=Compression.Gzip)
    otlp_traces("opentelemetry-exporter-otlp-proto-http traces", exporter, arguments.times)


def otlp_grpc_logs(arguments):
    import grpc
    from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
    for compression in (grpc.Compression.Gzip, grpc.Compression.NoCompression):
        exporter = OTLPLogExporter(endpoint=arguments.grpc, insecure=True, headers=http_headers(arguments), compression=compression)
        otlp_logs(f"opentelemetry-exporter-otlp-proto-grpc logs {compression.name}", exporter, arguments.times)


def otlp_grpc_traces(arguments):
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    exporter = OTLPSpanExporter(endpoint=arguments.grpc, insecure=True, headers=http_headers(arguments))
    otlp_traces("opentelemetry-exporter-otlp-proto-grpc traces", exporter, arguments.times)


def logtail(arguments):
    from logtail import LogtailHandler

    handler = LogtailHandler(source_token=arguments.token, host=arguments.url, flush_interval=0.05, raise_exceptions=True)
    logger = logging.getLogger(f"checks.{uuid.uuid4().hex}")
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    logger.addHandler(handler)
    for _ in range(arguments.times):
        sent = []
        k = key()
        logger.info(f"logtail {k}", extra={"order": {"id": 7, "n": [1, {"a": None}]}, "check.id": k, "password": "hunter2-hunter2"})
        sent.append((k, {"body": f"logtail {k}", "severity_text": "info", "severity_number": 9},
                     {"order.id": "7", "order.n": [1, {"a": None}], "context.runtime.logger_name": logger.name}, {"password": "[secret]"}))
        k = key()
        try:
            raise ValueError("broken")
        except ValueError:
            logger.exception(f"logtail failed {k}", extra={"check.id": k})
        sent.append((k, {"body_starts": f"logtail failed {k}", "severity_text": "error", "severity_number": 17}, {}, {}))
        handler.flush()
        for k, columns, attributes, gate in sent:
            say("logtail-python", "logs", k, columns, attributes, gate)


CLIENTS = {"otlp-http-logs": otlp_http_logs, "otlp-http-traces": otlp_http_traces, "otlp-grpc-logs": otlp_grpc_logs,
           "otlp-grpc-traces": otlp_grpc_traces, "logtail": logtail}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", required=True)
    parser.add_argument("--grpc", default="")
    parser.add_argument("--token", required=True)
    parser.add_argument("--only", choices=CLIENTS)
    parser.add_argument("--times", type=int, default=1)
    arguments = parser.parse_args()
    for name, run in CLIENTS.items():
        if arguments.only in (None, name) and (arguments.grpc or "grpc" not in name):
            print(name, file=sys.stderr)
            run(arguments)


if __name__ == "__main__":
    main()
