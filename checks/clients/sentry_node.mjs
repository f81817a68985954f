// Sends what an application sends through the unmodified @sentry/node.
//
//   node sentry_node.mjs DSN [--large]
//
// Prints what sentry_python.py prints; without a status where the SDK held an item back, as the server had asked.
import * as Sentry from "@sentry/node";

const [dsn, flag] = process.argv.slice(2);

const lines = [];

// What tells an item's rows from others, in the places where it stands.
function brief(payload) {
  return {
    event_id: payload?.event_id,
    contexts: { trace: { span_id: payload?.contexts?.trace?.span_id } },
    spans: (payload?.spans ?? []).map(() => ({})),
    items: (payload?.items ?? []).map(({ span_id, body }) => ({ span_id, body })),
  };
}

// The SDK's own transport; it only tells what it did.
function recording(options) {
  const inner = Sentry.makeNodeTransport(options);
  return {
    ...inner,
    async send(envelope) {
      const answer = await inner.send(envelope);
      const [headers, items] = envelope;
      for (const [item, payload] of items) {
        const line = { acked: Date.now() / 1000, status: answer.statusCode, headers, type: item.type, item };
        if (payload instanceof Uint8Array) line.content = Buffer.from(payload).toString("base64");
        else if (item.type === "attachment") line.content = Buffer.from(payload).toString("base64");
        else line.payload = typeof payload === "string" ? JSON.parse(payload) : payload;
        const { acked, status, type } = line;
        console.log(JSON.stringify({ acked, status, type, brief: brief(line.payload) }));
        lines.push(line);
      }
      return answer;
    },
  };
}

Sentry.init({
  dsn,
  transport: recording,
  tracesSampleRate: 1,
  enableLogs: true,
  sendDefaultPii: true,
  release: "shop@1.2.3",
  environment: "staging",
  serverName: "web-1",
  maxValueLength: 100_000,
});

function innermost(cart) {
  return cart.items[0].price;
}

function checkout(cart) {
  try {
    return innermost(cart);
  } catch (cause) {
    throw new RangeError("cannot check out", { cause });
  }
}

function ordinary() {
  const scope = Sentry.getIsolationScope();
  scope.setTag("shop", "eu");
  scope.setTag("größe", "übergroß ☃");
  scope.setContext("order", { number: 9007199254740991, weight: 1.5, nothing: null, flags: [true, false] });
  scope.setUser({ id: "4711", email: "ada@example.org", username: "ada", ip_address: "192.0.2.7" });
  scope.setExtra("half a surrogate", "broken \ud83d here");
  scope.setExtra("settings", { password: "hunter2-hunter2", note: "paid with 4111111111111111" });
  scope.setTag("who", "mail to ada@example.org");
  Sentry.addBreadcrumb({ category: "cart", message: "one thing added", level: "info", data: { quantity: 1 } });
  try {
    checkout({ items: [] });
  } catch (error) {
    Sentry.captureException(error);
  }
  Sentry.captureMessage("the cart is empty", "warning");
  Sentry.captureException(new AggregateError([new TypeError("a"), new SyntaxError("b")], "two at once"));
  Sentry.withScope((inner) => {
    inner.setFingerprint(["payment", "{{ default }}"]);
    inner.addAttachment({ filename: "notes.txt", data: "token=abcdefgh12345678\nplain text\n", contentType: "text/plain" });
    inner.addAttachment({ filename: "dump.bin", data: new Uint8Array(256).map((_, at) => at) });
    Sentry.captureException(new Error("with attachments"));
  });
  Sentry.startSpan({ name: "/checkout", op: "http.server", attributes: { "http.request.method": "POST" } }, () => {
    Sentry.startSpan({ name: "SELECT * FROM cart", op: "db", attributes: { "db.system": "sqlite", rows: 3 } }, () => {});
    Sentry.startSpan({ name: "fails", op: "function" }, (span) => span.setStatus({ code: 2, message: "internal_error" }));
    Sentry.captureMessage("inside a trace");
  });
  Sentry.logger.info("cart has things", { cart: "c-17", count: 3, whole: true, weight: 1.5 });
  Sentry.logger.error(Sentry.logger.fmt`payment of ${"c-17"} failed`);
  Sentry.metrics.count("carts", 1);
  Sentry.withMonitor("nightly", () => {}, { schedule: { type: "crontab", value: "0 0 * * *" } });
}

function large() {
  const scope = Sentry.getIsolationScope();
  for (let number = 0; number < 90; number++) scope.setExtra(`part ${number}`, "x".repeat(9_000) + number);
  try {
    checkout({ items: [] });
  } catch (error) {
    Sentry.captureException(error);
  }
  Sentry.startSpan({ name: "large", op: "task" }, () => {
    for (let number = 0; number < 900; number++) {
      Sentry.startSpan({ name: `step ${number} ${"y".repeat(200)}`, op: "step", attributes: { number } }, () => {});
    }
  });
  for (let number = 0; number < 100; number++) Sentry.logger.info(`line ${number}`, { filler: "z".repeat(5_000) });
}

(flag === "--large" ? large : ordinary)();
await Sentry.flush(30_000);
await Sentry.close(30_000);
for (const line of lines) console.log(JSON.stringify(line));
