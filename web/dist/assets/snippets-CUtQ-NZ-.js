var e=[{id:`curl`,name:`curl`,what:`One log record, from any shell`,install:``,code:e=>`curl ${e.host}/api/logs?source_name=hello \\
  -H 'X-API-KEY: ${e.token}' -H 'Content-Type: application/json' \\
  -d '{"message":"hello from curl","metadata":{"level":"info"}}'`},{id:`sentry-python`,name:`Sentry, Python`,what:`Errors and traces, with the SDK you have`,install:`pip install sentry-sdk`,code:e=>`import sentry_sdk

sentry_sdk.init(dsn="${e.dsn}", traces_sample_rate=1.0)

1 / 0  # the first error`},{id:`sentry-node`,name:`Sentry, Node`,what:`Errors and traces`,install:`npm install @sentry/node`,code:e=>`import * as Sentry from "@sentry/node";

Sentry.init({ dsn: "${e.dsn}", tracesSampleRate: 1 });

Sentry.captureException(new Error("the first error"));`},{id:`sentry-browser`,name:`Sentry, browser`,what:`Errors of a page`,install:`npm install @sentry/browser`,code:e=>`import * as Sentry from "@sentry/browser";

Sentry.init({ dsn: "${e.dsn}" });

Sentry.captureMessage("hello from the browser");`},{id:`otel-python`,name:`OpenTelemetry, Python`,what:`Logs and traces over OTLP`,install:`pip install opentelemetry-distro opentelemetry-exporter-otlp`,code:e=>`export OTEL_EXPORTER_OTLP_ENDPOINT=${e.host}
export OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf
export OTEL_EXPORTER_OTLP_HEADERS="Authorization=Bearer ${e.token}"
export OTEL_PYTHON_LOGGING_AUTO_INSTRUMENTATION_ENABLED=true
opentelemetry-instrument --logs_exporter otlp --traces_exporter otlp --metrics_exporter none --service_name hello python app.py`},{id:`otel-node`,name:`OpenTelemetry, Node`,what:`Logs and traces over OTLP`,install:`npm install @opentelemetry/auto-instrumentations-node @opentelemetry/api`,code:e=>`export OTEL_EXPORTER_OTLP_ENDPOINT=${e.host}
export OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf
export OTEL_EXPORTER_OTLP_HEADERS="Authorization=Bearer ${e.token}"
export OTEL_SERVICE_NAME=hello OTEL_METRICS_EXPORTER=none
node --require @opentelemetry/auto-instrumentations-node/register app.js`},{id:`logflare`,name:`pino, Logflare`,what:`Logs of a Node application`,install:`npm install pino pino-logflare`,code:e=>`import pino from "pino";
import { createPinoLogflareTransport } from "pino-logflare"; // or logflarePinoVercel, as you have it

const log = pino({
  transport: {
    target: "pino-logflare",
    options: { apiKey: "${e.token}", sourceToken: "hello", apiBaseUrl: "${e.host}" },
  },
});
log.info("hello from pino");`},{id:`better-stack`,name:`Better Stack, Node`,what:`Logs with @logtail/node`,install:`npm install @logtail/node`,code:e=>`import { Logtail } from "@logtail/node";

const logtail = new Logtail("${e.token}", { endpoint: "${e.host}" });

await logtail.info("hello from logtail");
await logtail.flush();`}];export{e as t};