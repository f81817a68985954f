// The page of sentry_browser.mjs: an application with the unmodified @sentry/browser in it.
import * as Sentry from "@sentry/browser";

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
  const inner = Sentry.makeFetchTransport(options);
  return {
    ...inner,
    async send(envelope) {
      const answer = await inner.send(envelope);
      const [headers, items] = envelope;
      for (const [item, payload] of items) {
        const line = { acked: Date.now() / 1000, status: answer.statusCode, headers, type: item.type, item };
        if (payload instanceof Uint8Array) line.bytes = payload.length;
        else line.payload = typeof payload === "string" ? JSON.parse(payload) : payload;
        const { acked, status, type } = line;
        window.tell(JSON.stringify({ acked, status, type, brief: brief(line.payload) }));
        lines.push(line);
      }
      return answer;
    },
  };
}

window.start = async (dsn, options) => {
  Sentry.init({
    dsn,
    traceLifecycle: options.traceLifecycle,
    transport: recording,
    integrations: [Sentry.browserTracingIntegration({ idleTimeout: 300 }), Sentry.replayIntegration()],
    tracesSampleRate: 1,
    replaysSessionSampleRate: 1,
    enableLogs: true,
    sendDefaultPii: true,
    release: "shop@1.2.3",
    environment: "staging",
  });
  Sentry.setUser({ id: "4711", email: "ada@example.org", username: "ada" });
  Sentry.setTag("shop", "eu");
  Sentry.setExtra("half a surrogate", "broken \ud83d here");
  Sentry.setExtra("settings", { password: "hunter2-hunter2", note: "paid with 4111111111111111" });
  Sentry.setTag("who", "mail to ada@example.org");
  document.querySelector("#buy").click();

  function innermost(cart) {
    return cart.items[0].price;
  }
  try {
    innermost({ items: [] });
  } catch (error) {
    Sentry.captureException(error);
  }
  Sentry.captureMessage("the cart is empty", "warning");
  Sentry.addBreadcrumb({ category: "cart", message: "one thing added", level: "info", data: { quantity: 1 } });
  // From a timer, as a page's own code runs: what a debugger evaluates has no unhandled rejections.
  setTimeout(function unhandled() {
    Promise.reject(new Error("nobody awaited this"));
    Promise.reject("a string, not an error");
    throw new RangeError("nobody caught this");
  });
  Sentry.startSpan({ name: "checkout", op: "ui.action" }, () => {
    Sentry.startSpan({ name: "pay", op: "function", attributes: { amount: 12.5 } }, () => {});
    Sentry.captureMessage("inside a trace");
  });
  Sentry.logger.warn("cart has things", { cart: "c-17", count: 3 });
  if (options.large) {
    for (let number = 0; number < 90; number++) Sentry.setExtra(`part ${number}`, "x".repeat(9_000) + number);
    Sentry.captureMessage("large");
  }
  await new Promise((done) => setTimeout(done, 700));
  await Sentry.flush(20_000);
  // The page is left, which sends what was measured up to then; seen from within, so before it is closed.
  Object.defineProperty(document, "visibilityState", { value: "hidden" });
  document.dispatchEvent(new Event("visibilitychange"));
  window.dispatchEvent(new Event("pagehide"));
  await Sentry.flush(20_000);
  await new Promise((done) => setTimeout(done, 700));
  for (const line of lines) await window.tell(JSON.stringify(line));
};
