// Real Node clients of logs and traces: sends records and says how each must be stored.
//
//   node logs.mjs --url http://127.0.0.1:8080 --grpc 127.0.0.1:4317 --token TOKEN [--only NAME] [--times N]
//
// Prints the same lines as logs.py. The clients are the published packages, configured as their manuals say.
import { createRequire } from 'node:module';
import { hostname } from 'node:os';
import { randomBytes } from 'node:crypto';
import { parseArgs } from 'node:util';

const require = createRequire(import.meta.url);
const { values: options } = parseArgs({
  options: {
    url: { type: 'string' }, grpc: { type: 'string', default: '' }, token: { type: 'string' },
    only: { type: 'string' }, times: { type: 'string', default: '1' },
  },
});
const times = Number(options.times);
const newKey = () => `k${randomBytes(10).toString('hex')}`;
const headers = { authorization: `Bearer ${options.token}` };
const [SERVICE, VERSION, HOST] = ['check-node', '1.2.3', 'box-2'];

function say(client, table, key, columns, attributes, gate = {}, keyAttribute = 'check.id') {
  console.log(JSON.stringify({ client, table, key, key_attribute: keyAttribute, acknowledged: Date.now() / 1000, columns, attributes, gate }));
}

async function resource() {
  const { resourceFromAttributes } = await import('@opentelemetry/resources');
  return resourceFromAttributes({ 'service.name': SERVICE, 'service.version': VERSION, 'host.name': HOST });
}
const RESOURCE_ATTRIBUTES = { 'service.name': SERVICE, 'service.version': VERSION, 'host.name': HOST };

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const SPAN = 'b7ad6b7169203331';

async function otlpLogs(client, exporter) {
  const { LoggerProvider, SimpleLogRecordProcessor } = await import('@opentelemetry/sdk-logs');
  const { SeverityNumber } = await import('@opentelemetry/api-logs');
  const { context, trace, ROOT_CONTEXT } = await import('@opentelemetry/api');
  const provider = new LoggerProvider({ resource: await resource(), processors: [new SimpleLogRecordProcessor({ exporter })] });
  const logger = provider.getLogger('checks.clients', '0.1');
  const within = trace.setSpanContext(ROOT_CONTEXT, { traceId: TRACE, spanId: SPAN, traceFlags: 1 });
  for (let n = 0; n < times; n++) {
    const [key, structured, now] = [newKey(), newKey(), Date.now()];
    logger.emit({
      timestamp: now, severityNumber: SeverityNumber.WARN, severityText: 'WARN', body: `order ${key} is late`, context: within,
      attributes: {
        'check.id': key, int: 7, negative: -3, double: 0.5, bool: true, text: 'grüße 😀', list: ['a', 'b'],
        nested: { a: { b: [1, 2] } }, bytes: new Uint8Array([255, 0]), password: 'hunter2-hunter2', 'user.id': `u-${key}`,
        card: '4111111111111111',
      },
    });
    logger.emit({ timestamp: now, severityNumber: SeverityNumber.ERROR3, eventName: 'check.event', body: { message: 'structured', n: 1 }, attributes: { 'check.id': structured } });
    await provider.forceFlush();
    say(client, 'logs', key, {
      body: `order ${key} is late`, severity_text: 'WARN', severity_number: 13, service_name: SERVICE, host_name: HOST,
      trace_id: TRACE, span_id: SPAN, timestamp_unix_nano: now * 1e6,
    }, {
      ...RESOURCE_ATTRIBUTES, int: '7', negative: '-3', double: '0.5', bool: 'true', text: 'grüße 😀', list: ['a', 'b'],
      nested: { a: { b: [1, 2] } }, bytes: '/wA=', 'otel.scope.name': 'checks.clients', 'otel.scope.version': '0.1', 'otel.flags': '1',
    }, { password: '[secret]', card: '[card]', 'user.id': null });
    say(client, 'logs', structured, { body: { message: 'structured', n: 1 }, severity_text: 'ERROR3', severity_number: 19 }, { 'otel.event_name': 'check.event' });
  }
  await provider.shutdown();
}

async function otlpTraces(client, exporter) {
  const { BasicTracerProvider, SimpleSpanProcessor } = await import('@opentelemetry/sdk-trace-base');
  const { SpanKind, SpanStatusCode, trace, ROOT_CONTEXT } = await import('@opentelemetry/api');
  const provider = new BasicTracerProvider({ resource: await resource(), spanProcessors: [new SimpleSpanProcessor(exporter)] });
  const tracer = provider.getTracer('checks.clients', '0.1');
  for (let n = 0; n < times; n++) {
    const [parentKey, childKey, start] = [newKey(), newKey(), Date.now()];
    const parent = tracer.startSpan('GET /cart', { kind: SpanKind.SERVER, startTime: start, attributes: { 'check.id': parentKey, 'http.response.status_code': 200 } }, ROOT_CONTEXT);
    const child = tracer.startSpan('query', {
      kind: SpanKind.CLIENT, startTime: start + 1, attributes: { 'check.id': childKey, 'db.statement': 'SELECT 1' },
      links: [{ context: { traceId: '1'.repeat(32), spanId: '2'.repeat(16), traceFlags: 1 }, attributes: { why: 'batch' } }],
    }, trace.setSpan(ROOT_CONTEXT, parent));
    child.addEvent('retry', { attempt: 2 }, 1767225600123);
    child.setStatus({ code: SpanStatusCode.ERROR, message: 'timed out' });
    child.end(start + 11);
    parent.end(start + 20);
    await provider.forceFlush();
    const columns = (span, name, op, status, from, milliseconds) => ({
      name, op, status, service_name: SERVICE, release: VERSION, trace_id: span.spanContext().traceId, span_id: span.spanContext().spanId,
      timestamp_unix_nano: from * 1e6, duration_ns: milliseconds * 1e6,
    });
    say(client, 'spans', childKey, { ...columns(child, 'query', 'client', 'error', start + 1, 10), parent_span_id: parent.spanContext().spanId }, {
      ...RESOURCE_ATTRIBUTES, 'db.statement': 'SELECT 1', 'otel.status_description': 'timed out',
      'otel.events': [{ timestamp: '2026-01-01T00:00:00.123Z', name: 'retry', attributes: { attempt: 2 } }],
    });
    say(client, 'spans', parentKey, { ...columns(parent, 'GET /cart', 'server', 'unset', start, 20), parent_span_id: null }, { 'http.response.status_code': '200' });
  }
  await provider.shutdown();
}

// The transport in this process instead of a worker: so its acknowledgement can be seen. (It sends a batch twice when it
// is ended while one is on its way, so it is ended after.)
async function pinoLogflare() {
  const pino = require('pino');
  const transport = require('pino-logflare').default;
  const source = 'checks pino';
  const fetched = globalThis.fetch;
  for (let n = 0; n < times; n++) {
    let acknowledged;
    const answer = new Promise((done) => { acknowledged = done; });
    globalThis.fetch = async (...request) => { const response = await fetched(...request); acknowledged(response.status); return response; };
    const stream = await transport({ apiKey: options.token, sourceToken: source, apiBaseUrl: options.url, batchSize: 2 });
    const logger = pino({ level: 'trace' }, stream);
    const [plain, failed] = [newKey(), newKey()];
    const before = Date.now();
    logger.warn({ 'check.id': plain, order: { id: 7, items: [{ sku: 'a' }] }, password: 'hunter2-hunter2', user: `ada ${plain}`, ip: '192.0.2.7' }, `pino ${plain}`);
    logger.error({ 'check.id': failed, err: new Error('broken') }, `pino failed ${failed}`);
    const status = await answer;
    globalThis.fetch = fetched;
    if (status !== 200) throw new Error(`pino-logflare got ${status}`);
    // Its own fields stand in `metadata`, and so does the name by which the row is found.
    say('pino-logflare', 'logs', plain, { body: `pino ${plain}`, severity_text: 'warning', severity_number: 13, host_name: hostname(), source, timestamp_not_before: before / 1000 },
      { 'metadata.order.id': '7', 'metadata.order.items': [{ sku: 'a' }] }, { 'metadata.password': '[secret]', 'metadata.user': null, 'metadata.ip': '[ip]' }, 'metadata.check.id');
    say('pino-logflare', 'logs', failed, { body: `pino failed ${failed}`, severity_text: 'error', severity_number: 17, source }, { 'metadata.err.type': 'Error', 'metadata.err.message': 'broken' }, {}, 'metadata.check.id');
    await new Promise((done) => { setTimeout(done, 50); });
    await new Promise((done) => { stream.once('close', done); stream.end(); });
  }
}

async function logtail() {
  const { Logtail } = require('@logtail/node');
  for (let n = 0; n < times; n++) {
    const client = new Logtail(options.token, { endpoint: options.url, throwExceptions: true });
    const key = newKey();
    const before = Date.now();
    await client.warn(`logtail ${key}`, { 'check.id': key, order: { id: 7, items: [{ sku: 'a' }] }, password: 'hunter2-hunter2', user: { id: `u-${key}` } });
    await client.flush();
    say('@logtail/node', 'logs', key, { body: `logtail ${key}`, severity_text: 'warn', severity_number: 13, timestamp_not_before: before / 1000 },
      { 'order.id': '7', 'order.items': [{ sku: 'a' }] }, { password: '[secret]', 'user.id': null });
  }
}

const over = {
  http: (signal) => ({ url: `${options.url}/v1/${signal}`, headers }),
  proto: (signal) => ({ url: `${options.url}/v1/${signal}`, headers, compression: 'gzip' }),
  grpc: () => {
    const { Metadata, credentials } = require('@grpc/grpc-js');
    const metadata = new Metadata();
    metadata.set('authorization', headers.authorization);
    return { url: `http://${options.grpc}`, credentials: credentials.createInsecure(), metadata };
  },
};
const clients = {};
for (const kind of ['http', 'proto', 'grpc']) {
  clients[`otlp-${kind}-logs`] = async () => {
    const name = `@opentelemetry/exporter-logs-otlp-${kind}`;
    await otlpLogs(name, new (await import(name)).OTLPLogExporter(over[kind]('logs')));
  };
  clients[`otlp-${kind}-traces`] = async () => {
    const name = `@opentelemetry/exporter-trace-otlp-${kind}`;
    await otlpTraces(name, new (await import(name)).OTLPTraceExporter(over[kind]('traces')));
  };
}
clients['pino-logflare'] = pinoLogflare;
clients.logtail = logtail;

for (const [name, run] of Object.entries(clients)) {
  if ((options.only ?? name) !== name || (name.includes('grpc') && !options.grpc)) continue;
  console.error(name);
  await run();
}
