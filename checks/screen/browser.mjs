// The browser, the connection that can be cut, and what every part of the check does with a page: look at it in both
// themes with axe, wait for words, note what is wrong.
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import net from "node:net";
import { chromium } from "playwright-core";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const waitMs = 10_000;

export const wrong = [];
export const say = (line) => console.log(JSON.stringify(line));
export function fail(what) { wrong.push(what); say({ failed: what }); }

/** A line to the server that can be cut and mended, as networks are. */
export async function cuttable(target) {
  const { hostname, port } = new URL(target);
  const open = new Set();
  let whole = true;
  const listener = net.createServer((client) => {
    if (!whole) return client.destroy();
    const server = net.connect(Number(port), hostname);
    for (const end of [client, server]) { open.add(end); end.on("close", () => open.delete(end)); end.on("error", () => {}); }
    client.pipe(server).pipe(client);
    client.on("close", () => server.destroy());
    server.on("close", () => client.destroy());
  });
  await new Promise((ready) => listener.listen(0, "127.0.0.1", ready));
  return {
    origin: `http://localhost:${listener.address().port}`,
    cut() { whole = false; for (const end of open) end.destroy(); },
    mend() { whole = true; },
    close() { this.cut(); listener.close(); },
  };
}

export async function start(origin, out) {
  mkdirSync(out, { recursive: true });
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"],
  });
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, permissions: ["clipboard-read", "clipboard-write"] });
  const page = await context.newPage();
  const foreign = new Set();
  // What the browser says on its console about answers that a check asked for: no session yet, a query that is wrong.
  const allowed = [/401 \(Unauthorized\)/];
  context.on("request", (request) => { if (!request.url().startsWith(origin) && !/^(data|blob):/.test(request.url())) foreign.add(request.url()); });
  watch(page);

  function watch(watched) {
    watched.on("pageerror", (error) => fail(`page error: ${error.message}`));
    watched.on("console", (message) => {
      if (message.type() === "error" && !allowed.some((pattern) => pattern.test(message.text()))) fail(`console error at ${watched.url()}: ${message.text()}`);
    });
  }

  /** Runs something while the console may say this. */
  async function allowing(pattern, act) {
    allowed.push(pattern);
    try {
      await act();
      await page.waitForTimeout(50);
    } finally {
      allowed.splice(allowed.indexOf(pattern), 1);
    }
  }

  /** Photographs the page in both themes and asks axe about it. */
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

  const see = (text, what) => page.getByText(text).first().waitFor({ timeout: waitMs })
    .catch(() => fail(`${what}: "${text}" is not on the page ${page.url()}`));
  const appear = (selector, what) => page.locator(selector).first().waitFor({ timeout: waitMs })
    .catch(() => fail(`${what}: ${selector} is not on the page ${page.url()}`));
  const gone = (selector, what) => page.locator(selector).first().waitFor({ state: "detached", timeout: waitMs })
    .catch(() => fail(`${what}: ${selector} is still on the page ${page.url()}`));
  const holds = (condition, what) => { if (!condition) fail(what); };
  return { browser, context, page, origin, out, foreign, watch, allowing, look, see, appear, gone, holds };
}
