// Walks the screen in a real browser: sets up the server by its one-time link, sends records through the real
// protocols, looks at every view in both themes, runs axe on each, and drives it by keyboard alone.
//
//   node screen.mjs SETUP_URL OUT_DIR
//
// Prints one JSON line a view; exits 1 when something is wrong. Screenshots land in OUT_DIR.
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const [setupUrl, out] = process.argv.slice(2);
mkdirSync(out, { recursive: true });
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const origin = new URL(setupUrl).origin;
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"],
});
const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
const page = await context.newPage();
let wrong = 0;
const say = (line) => console.log(JSON.stringify(line));
const fail = (what) => { wrong++; say({ failed: what }); };
page.on("pageerror", (error) => fail(`page error: ${error.message}`));
const foreign = new Set();
page.on("request", (request) => { if (!request.url().startsWith(origin) && !/^(data|blob):/.test(request.url())) foreign.add(request.url()); });

async function look(name) {
  for (const theme of ["light", "dark"]) {
    await page.evaluate((t) => { document.documentElement.dataset.theme = t; }, theme);
    await page.waitForTimeout(200);
    await page.screenshot({ path: `${out}/${name}-${theme}.png` });
    await page.evaluate(axe);
    const faults = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
    const serious = faults.violations.filter((v) => ["serious", "critical"].includes(v.impact))
      .map((v) => ({ rule: v.id, what: v.help, where: v.nodes.slice(0, 3).map((n) => n.target.join(" ")) }));
    say({ view: name, theme, serious: serious.length });
    for (const fault of serious) fail({ view: name, theme, ...fault });
  }
  await page.evaluate(() => delete document.documentElement.dataset.theme);
}

async function see(text, what) {
  await page.getByText(text).first().waitFor({ timeout: 10_000 }).catch(() => fail(`${what}: "${text}" is not on the page ${page.url()}`));
}

// The first account and project, typed by keyboard.
await page.goto(setupUrl);
await page.getByLabel("E-mail").fill("ada@example.org");
await look("setup");
await page.keyboard.press("Tab");
await page.keyboard.type("correct horse battery");
await page.keyboard.press("Enter");
await page.getByLabel("Name").waitFor();
await page.getByLabel("Name").fill("shop");
await page.keyboard.press("Enter");
await see("Waiting for the first one", "first event");
await look("first-event");

// What the snippet says, done: the mark turns into the thing itself.
const snippet = await page.getByLabel("curl snippet").innerText();
const token = /X-API-KEY: ([^']+)'/.exec(snippet)?.[1];
const me = await page.evaluate(() => fetch("/api/v1/projects/shop").then((r) => r.json()));
const send = (path, headers, body) => fetch(origin + path, { method: "POST", headers: { "Content-Type": "application/json", ...headers }, body: JSON.stringify(body) });
const levels = ["info", "info", "info", "debug", "warn", "error"];
const batch = Array.from({ length: 600 }, (_, i) => ({
  message: i % 40 === 0 ? "card 4111 1111 1111 1111 declined" : `request ${i} answered in ${i % 90} ms`,
  timestamp: new Date(Date.now() - i * 5000).toISOString(), metadata: { level: levels[i % 6], service: ["cart", "web", "pay"][i % 3], host: `h${i % 4}`, user: { id: `u${i % 7}` } },
}));
const answer = await send("/api/logs?source_name=hello", { "X-API-KEY": token }, { batch });
if (answer.status !== 200) fail(`sending logs: ${answer.status} ${await answer.text()}`);
await page.getByText(/600 logs arrived/).waitFor({ timeout: 10_000 }).catch(() => fail("the waiting mark did not turn"));

const key = me.dsn.split("//")[1].split("@")[0];
const event = {
  platform: "python", level: "error", release: "shop@1.2.0", environment: "production", user: { id: "u1", email: "ada@example.org" }, tags: { plan: "pro" },
  exception: { values: [{ type: "PaymentError", value: "card 4111111111111111 declined", stacktrace: { frames: [
    { function: "handle", filename: "web/server.py", lineno: 10, in_app: false },
    { function: "charge", filename: "shop/pay.py", lineno: 42, in_app: true, pre_context: ["def charge(order):", "    total = order.total"], context_line: "    raise PaymentError(order)", post_context: ["", "def refund(order):"], vars: { password: "hunter2", total: 12 } }] } }] },
  breadcrumbs: { values: [{ timestamp: Date.now() / 1000 - 3, category: "http", message: "GET /cart", level: "info" }, { timestamp: Date.now() / 1000 - 1, category: "ui.click", message: "button#pay", level: "info" }] },
  request: { method: "POST", url: "https://shop.example/pay?token=abc", headers: [["Cookie", "sid=1"]] }, contexts: { runtime: { name: "CPython", version: "3.11" } },
};
for (let i = 0; i < 5; i++) await send(`/api/${me.number}/store/?sentry_key=${key}`, {}, { ...event, event_id: String(i).padStart(32, "b"), timestamp: Date.now() / 1000 - i * 600 });

// Explore, by keyboard.
await page.locator("body").click({ position: { x: 5, y: 780 } }).catch(() => {});
await page.keyboard.press("g");
await page.keyboard.press("l");
await see("answered in", "Explore");
await page.locator(".line").first().waitFor();
await page.waitForTimeout(400);
await look("explore");
await page.keyboard.press("/");
if ((await page.evaluate(() => document.activeElement?.id)) !== "q") fail("/ does not reach the search");
await page.keyboard.type("service:pay level>=error");
await page.keyboard.press("Enter");
await page.waitForURL(/level/);
await page.waitForTimeout(600);
await page.keyboard.press("Escape");
await page.keyboard.press("j");
await page.keyboard.press("Enter");
await page.locator(".drawer").waitFor({ timeout: 5000 }).catch(() => fail("enter does not open the drawer"));
await look("explore-drawer");
await page.keyboard.press("Escape");
if (await page.locator(".drawer").count()) fail("escape does not close the drawer");
await page.goto(`${origin}/app/shop/explore?q=declined`);
await page.locator(".veil").first().waitFor({ timeout: 5000 }).catch(() => fail("no veil is drawn"));

// Live tail.
await page.goto(`${origin}/app/shop/explore?live=1`);
await see("Live:", "live tail");
for (let i = 0; i < 20; i++) await send("/api/logs?source_name=hello", { "X-API-KEY": token }, { message: `live record ${i}`, metadata: { level: levels[i % 6] } });
await see("live record 19", "live tail");
await look("live-tail");

// SQL.
await page.goto(`${origin}/app/shop/sql`);
await page.locator(".cm-content").waitFor();
await page.locator(".cm-content").click();
await page.keyboard.press("Control+Enter");
await page.locator(".sql-result table").waitFor({ timeout: 10_000 }).catch(() => fail("SQL gives no table"));
await look("sql");
await page.getByRole("button", { name: "Chart" }).click();
await page.locator(".sql-result canvas").waitFor({ timeout: 5000 }).catch(() => fail("SQL gives no chart"));
await look("sql-chart");
await page.goto(`${origin}/app/shop/sql?sql=${encodeURIComponent("SELECT * FROM nowhere")}`);
await page.getByRole("alert").waitFor({ timeout: 10_000 }).catch(() => fail("a wrong query shows no error"));
await look("sql-error");

// Errors.
await page.goto(`${origin}/app/shop/errors`);
await see("PaymentError", "Errors");
await look("errors");
await page.locator("body").click({ position: { x: 5, y: 780 } }).catch(() => {});
await page.keyboard.press("Enter");
await see("charge", "error page");
await see("Breadcrumbs", "error page");
await page.locator(".veil").first().waitFor({ timeout: 5000 }).catch(() => fail("the error page draws no veil"));
await look("error");
await page.keyboard.press("e");
await see("resolved", "resolve by key");

await page.goto(`${origin}/app/shop/settings`);
await see("Sentry DSN", "settings");
await look("settings");
await page.goto(`${origin}/app/_components`);
await look("components");

// Everything on Explore is reachable by Tab alone, and focus is never lost.
await page.goto(`${origin}/app/shop/explore`);
await page.locator(".line").first().waitFor();
const reached = new Set();
for (let i = 0; i < 60; i++) {
  await page.keyboard.press("Tab");
  reached.add(await page.evaluate(() => { const e = document.activeElement; return e ? `${e.tagName}:${e.getAttribute("aria-label") ?? e.id ?? e.textContent?.slice(0, 20)}` : "none"; }));
}
for (const wanted of ["A:Explore", "A:Errors", "A:SQL", "SELECT:project", "SELECT:range", "INPUT:q"]) if (![...reached].some((r) => r.startsWith(wanted))) fail(`tab does not reach ${wanted}`);
await page.keyboard.press("Control+k");
await page.getByRole("listbox").waitFor({ timeout: 3000 }).catch(() => fail("⌘K opens nothing"));
await look("palette");
await page.keyboard.press("Escape");

// Narrow, and large.
await page.setViewportSize({ width: 360, height: 720 });
await page.goto(`${origin}/app/shop/errors`);
await see("PaymentError", "narrow errors");
if (await page.evaluate(() => document.documentElement.scrollWidth > innerWidth)) fail("360 px wide scrolls sideways");
await look("narrow");

const timing = await page.evaluate(() => performance.getEntriesByType("resource").filter((r) => r.initiatorType === "script" || r.name.endsWith(".js") || r.name.endsWith(".css")).reduce((sum, r) => sum + r.encodedBodySize, 0));
say({ transferred_js_css_bytes: timing });
if (foreign.size) fail(`third parties were asked: ${[...foreign].slice(0, 5).join(" ")}`);
await browser.close();
say({ wrong });
process.exit(wrong ? 1 : 0);
