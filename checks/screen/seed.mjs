// What the check sends, through the real protocols: logs, errors, ten thousand records, an event of a megabyte.
import { fail } from "./browser.mjs";

const levels = ["info", "info", "info", "debug", "warn", "error"];

async function post(origin, path, headers, body) {
  const answer = await fetch(origin + path, { method: "POST", headers: { "Content-Type": "application/json", ...headers }, body: JSON.stringify(body) });
  if (answer.status !== 200) fail(`sending to ${path}: ${answer.status} ${(await answer.text()).slice(0, 300)}`);
}

export const sendLogs = (origin, token, batch) => post(origin, "/api/logs?source_name=hello", { "X-API-KEY": token }, { batch });

export const someLogs = (count) => Array.from({ length: count }, (_, i) => ({
  message: i % 40 === 0 ? "card 4111 1111 1111 1111 declined" : `request ${i} answered in ${i % 90} ms`,
  timestamp: new Date(Date.now() - i * 5000).toISOString(),
  metadata: { level: levels[i % 6], service: ["cart", "web", "pay"][i % 3], host: `h${i % 4}`, user: { id: `u${i % 7}` }, took_ms: i % 90 },
}));

/** Many records of the same hour, with long and short messages. */
export async function sendMany(origin, token, count) {
  const each = 2500;
  for (let sent = 0; sent < count; sent += each) {
    await sendLogs(origin, token, Array.from({ length: Math.min(each, count - sent) }, (_, i) => ({
      message: `many ${sent + i} ${"words ".repeat(i % 12)}`, timestamp: new Date(Date.now() - 60_000 - (sent + i) * 200).toISOString(),
      metadata: { level: levels[i % 6], service: "many", host: `m${i % 9}` },
    })));
  }
}

export function errorEvent(id, more = {}) {
  return {
    event_id: id, timestamp: Date.now() / 1000,
    platform: "python", level: "error", release: "shop@1.2.0", environment: "production", user: { id: "u1", email: "ada@example.org" }, tags: { plan: "pro" },
    exception: { values: [{ type: "PaymentError", value: "card 4111111111111111 declined", stacktrace: { frames: [
      { function: "handle", filename: "web/server.py", lineno: 10, in_app: false },
      { function: "checkout", filename: "shop/views.py", lineno: 88, in_app: true, pre_context: ["def checkout(request):"], context_line: "    charge(request.order)", post_context: [] },
      { function: "charge", filename: "shop/pay.py", lineno: 42, in_app: true, pre_context: ["def charge(order):", "    total = order.total"], context_line: "    raise PaymentError(order)", post_context: ["", "def refund(order):"], vars: { password: "hunter2", total: 12 } }] } }] },
    breadcrumbs: { values: [
      { timestamp: Date.now() / 1000 - 3, category: "http", type: "http", message: "GET /cart", level: "info", data: { method: "GET", status_code: 200 } },
      { timestamp: Date.now() / 1000 - 1, category: "ui.click", message: "button#pay", level: "info" }] },
    request: { method: "POST", url: "https://shop.example/pay?token=abc", headers: [["Cookie", "sid=1"]] }, contexts: { runtime: { name: "CPython", version: "3.11" } },
    ...more,
  };
}

export const sendEvent = (origin, project, event) => {
  const key = project.dsn.split("//")[1].split("@")[0];
  return post(origin, `/api/${project.number}/store/?sentry_key=${key}`, {}, event);
};

/** An event and a file with it, as one envelope. */
export async function sendWithFile(origin, project, event, name, text) {
  const key = project.dsn.split("//")[1].split("@")[0];
  const payload = JSON.stringify(event);
  const items = [{ event_id: event.event_id }, { type: "event", length: Buffer.byteLength(payload) }, payload,
    { type: "attachment", length: Buffer.byteLength(text), filename: name, content_type: "text/plain" }, text];
  const body = items.map((item) => (typeof item === "string" ? item : JSON.stringify(item))).join("\n");
  const answer = await fetch(`${origin}/api/${project.number}/envelope/?sentry_key=${key}`, { method: "POST", body });
  if (answer.status !== 200) fail(`sending an envelope: ${answer.status} ${(await answer.text()).slice(0, 300)}`);
}

/** An event as large as Sentry's protocol takes. */
export function largeEvent(id) {
  const extra = Object.fromEntries(Array.from({ length: 400 }, (_, i) => [`field_${i}`, Array.from({ length: 40 }, (_, j) => `value ${i} ${j} ${"x".repeat(46)}`)]));
  return errorEvent(id, { exception: { values: [{ type: "LargeError", value: "much to say", stacktrace: { frames: Array.from({ length: 120 }, (_, i) => ({ function: `f${i}`, filename: `lib/f${i}.py`, lineno: i, in_app: i > 100, context_line: `    f${i + 1}()` })) } }] }, extra });
}
