// Sends what a page sends through the unmodified @sentry/browser, bundled and run in Chromium, from another origin.
//
//   node sentry_browser.mjs DSN [--large]
//
// Prints what sentry_python.py prints; without a status where the SDK held an item back, as the server had asked. Exits
// 1 where the browser refused a request (a preflight, a missing header) or the page failed. Two pages send: one in the
// SDK's default way, spans by themselves, and one with whole transactions.
import { createServer } from "node:http";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { chromium } from "playwright-core";

const [dsn, flag] = process.argv.slice(2);
const here = dirname(fileURLToPath(import.meta.url));
const bundle = await build({ entryPoints: [join(here, "sentry_browser_page.js")], bundle: true, write: false, minify: true, sourcemap: false });
const script = bundle.outputFiles[0].text;
const html = '<!doctype html><meta charset="utf-8"><title>shop</title><button id="buy">Buy</button><script src="/app.3f2a9c1b.js"></script>';

const site = createServer((request, response) => {
  const isScript = request.url.endsWith(".js");
  response.writeHead(200, { "content-type": isScript ? "text/javascript" : "text/html; charset=utf-8" });
  response.end(isScript ? script : html);
});
await new Promise((listening) => site.listen(0, "127.0.0.1", listening));

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"],
});
let wrong = 0;
try {
  for (const traceLifecycle of flag === "--large" ? ["static"] : ["stream", "static"]) {
    await visit(await browser.newPage(), traceLifecycle);
  }
} finally {
  await browser.close();
  site.close();
}
process.exit(wrong ? 1 : 0);

async function visit(page, traceLifecycle) {
  await page.exposeFunction("tell", (line) => console.log(line));
  page.on("requestfailed", (request) => {
    wrong++;
    console.error(`refused: ${request.method()} ${request.url()} ${request.failure()?.errorText}`);
  });
  page.on("console", (message) => {
    if (/CORS|Access-Control/.test(message.text())) {
      wrong++;
      console.error(message.text());
    }
  });
  await page.goto(`http://localhost:${site.address().port}/checkout?cart=17`);
  await page.evaluate(([dsn, options]) => window.start(dsn, options), [dsn, { large: flag === "--large", traceLifecycle }]);
  await page.close();
}
