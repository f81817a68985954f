// Snippets for the first event, filled with the real host and keys.

import type { Created, Project } from "./api";

/** Secrets of projects just made: shown once, so they live in memory only. */
export const fresh = new Map<string, Created>();

/** Stands where a token would that nobody can show any more. */
export const tokenGone = "YOUR_INGEST_TOKEN";

export interface Keys { host: string; dsn: string; token: string; project: string }
export interface Snippet { id: string; name: string; what: string; install: string; code: (keys: Keys) => string }

export function keysOf(project: Project, token = fresh.get(project.name)?.ingest_token): Keys {
  return { host: location.origin, dsn: project.dsn, token: token ?? tokenGone, project: project.name };
}

export const snippets: Snippet[] = [
  {
    id: "curl", name: "curl", what: "One log record, from any shell", install: "",
    code: (k) => `curl ${k.host}/api/logs?source_name=hello \\
  -H 'X-API-KEY: ${k.token}' -H 'Content-Type: application/json' \\
  -d '{"message":"hello from curl","metadata":{"level":"info"}}'`,
  },
  {
    id: "sentry-python", name: "Sentry, Python", what: "Errors and traces, with the SDK you have", install: "pip install sentry-sdk",
    code: (k) => `import sentry_sdk

sentry_sdk.init(dsn="${k.dsn}", traces_sample_rate=1.0)

1 / 0  # the first error`,
  },
  {
    id: "sentry-node", name: "Sentry, Node", what: "Errors and traces", install: "npm install @sentry/node",
    code: (k) => `import * as Sentry from "@sentry/node";

Sentry.init({ dsn: "${k.dsn}", tracesSampleRate: 1 });

Sentry.captureException(new Error("the first error"));`,
  },
  {
    id: "sentry-browser", name: "Sentry, browser", what: "Errors of a page", install: "npm install @sentry/browser",
    code: (k) => `import * as Sentry from "@sentry/browser";

Sentry.init({ dsn: "${k.dsn}" });

Sentry.captureMessage("hello from the browser");`,
  },
  {
    id: "otel-python", name: "OpenTelemetry, Python", what: "Logs and traces over OTLP", install: "pip install opentelemetry-distro opentelemetry-exporter-otlp",
    code: (k) => `export OTEL_EXPORTER_OTLP_ENDPOINT=${k.host}
export OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf
export OTEL_EXPORTER_OTLP_HEADERS="Authorization=Bearer ${k.token}"
export OTEL_PYTHON_LOGGING_AUTO_INSTRUMENTATION_ENABLED=true
opentelemetry-instrument --logs_exporter otlp --traces_exporter otlp --metrics_exporter none --service_name hello python app.py`,
  },
  {
    id: "otel-node", name: "OpenTelemetry, Node", what: "Logs and traces over OTLP", install: "npm install @opentelemetry/auto-instrumentations-node @opentelemetry/api",
    code: (k) => `export OTEL_EXPORTER_OTLP_ENDPOINT=${k.host}
export OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf
export OTEL_EXPORTER_OTLP_HEADERS="Authorization=Bearer ${k.token}"
export OTEL_SERVICE_NAME=hello OTEL_METRICS_EXPORTER=none
node --require @opentelemetry/auto-instrumentations-node/register app.js`,
  },
  {
    id: "logflare", name: "pino, Logflare", what: "Logs of a Node application", install: "npm install pino pino-logflare",
    code: (k) => `import pino from "pino";
import { createPinoLogflareTransport } from "pino-logflare"; // or logflarePinoVercel, as you have it

const log = pino({
  transport: {
    target: "pino-logflare",
    options: { apiKey: "${k.token}", sourceToken: "hello", apiBaseUrl: "${k.host}" },
  },
});
log.info("hello from pino");`,
  },
  {
    id: "better-stack", name: "Better Stack, Node", what: "Logs with @logtail/node", install: "npm install @logtail/node",
    code: (k) => `import { Logtail } from "@logtail/node";

const logtail = new Logtail("${k.token}", { endpoint: "${k.host}" });

await logtail.info("hello from logtail");
await logtail.flush();`,
  },
];
