// What goes wrong with networks, sessions and size: the screen says so, keeps what it had, and goes on by itself.
import { fail, say } from "./browser.mjs";
import { largeEvent, sendEvent, sendLogs, sendMany } from "./seed.mjs";

const manyRows = 12_000;
/** Half of what a screen shows: this runs without a graphics card, beside the server. */
const frameMsMost = 34, scrollPasses = 3;

/** The line is cut and mended under a live tail: nothing is missed. Then under a list. */
export async function lostServer({ page, origin, look, see, gone, allowing, holds }, line, direct, token) {
  await page.goto(`${origin}/app/shop/explore?live=1&q=tail`);
  await see("Live:", "live tail");
  await sendLogs(direct, token, [{ message: "tail before the cut", metadata: { level: "info" } }]);
  await see("tail before the cut", "live tail");
  await allowing(/ERR_|Failed to (load|fetch)/, async () => {
    line.cut();
    await see("The server does not answer", "a lost tail says so");
    await sendLogs(direct, token, [{ message: "tail during the cut", metadata: { level: "warn" } }]);
    await look("live-lost");
    line.mend();
    await see("tail during the cut", "a lost tail takes up where it broke off");
    await see("Live:", "a lost tail is live again");
    holds(await page.getByText("tail before the cut").count() === 1, "a resumed tail shows a record twice");

    await page.goto(`${origin}/app/shop/errors`);
    await see("PaymentError", "errors");
    line.cut();
    await see("The server does not answer", "a list without a server says so");
    await see("PaymentError", "a list without a server keeps what it had");
    await look("server-gone");
    line.mend();
    await gone("[role=alert]", "a list goes on by itself");

    // Code that does not come: a view not opened before, while the server is away.
    await page.goto(`${origin}/app/shop/errors`);
    await see("PaymentError", "errors");
    await page.route(/assets\/Settings/, (route) => route.abort());
    await page.keyboard.press("g");
    await page.keyboard.press("p");
    await see("This view could not be loaded", "code that does not come");
    await page.unroute(/assets\/Settings/);
    await page.getByRole("button", { name: "Try again" }).click();
    await see("Sentry DSN", "a view loaded again");
  });
}

/** A session that ends leads to the door, and signing in leads back to exactly where one was. */
export async function lostSession({ page, context, origin, see, appear, holds, watch }) {
  const address = `${origin}/app/shop/explore?q=declined&range=6h`;
  await page.goto(address);
  await appear(".rows .line", "before the session ends");
  const other = await context.newPage();
  watch(other);
  await other.goto(`${origin}/app/shop/errors`);
  await other.getByText("PaymentError").first().waitFor();
  await other.getByRole("button", { name: /^ada/ }).click();
  await other.getByRole("button", { name: "Sign out" }).click();
  await other.getByLabel("Password").waitFor({ timeout: 5000 }).catch(() => fail("signing out does not lead to the door"));
  await page.keyboard.press("r");
  await see("Sign in", "a session that ended in another tab");
  // The door stands still: it must not ask again and again who is there.
  let asked = 0;
  page.on("request", (request) => { if (request.url().endsWith("/api/v1/me")) asked++; });
  await page.waitForTimeout(1000);
  holds(asked <= 1, `the door asks who is there ${asked} times a second`);
  holds(page.url() === address, `the address was ${address} and is ${page.url()}`);
  await page.getByLabel("E-mail").fill("ada@example.org");
  await page.getByLabel("Password").fill("wrong wrong wrong");
  await page.keyboard.press("Enter");
  await appear("[role=alert]", "a wrong password says so");
  await page.getByLabel("Password").fill("correct horse battery");
  await page.keyboard.press("Enter");
  await appear(".rows .line", "signing in leads back");
  holds(page.url() === address, `signing in leads to ${page.url()}`);
  await other.close();
}

/** Ten thousand rows scroll without a blank or a stall; an event of a megabyte opens. */
export async function large({ page, origin, appear, see, holds }, direct, token, project) {
  await sendMany(direct, token, manyRows);
  await page.goto(`${origin}/app/shop/explore?q=service:many&range=6h`);
  await appear(".rows .line", "many rows");
  const rows = await page.evaluate(async (wanted) => {
    const grid = document.querySelector(".rows");
    const loaded = () => Number(grid.getAttribute("aria-rowcount")) - 1;
    const until = Date.now() + 60_000;
    while (loaded() < wanted && Date.now() < until) { grid.scrollTop = grid.scrollHeight; await new Promise((r) => setTimeout(r, 60)); }
    return loaded();
  }, 10_000);
  holds(rows >= 10_000, `only ${rows} rows came while scrolling`);
  // What this machine gives a plain list of as many lines is the measure where it is slow, or busy with something else.
  let frames, plain;
  for (let i = 0; i < scrollPasses; i++) {
    plain = await page.evaluate(scrollPlain);
    frames = await page.evaluate(scrollRows);
    if (frames.median <= frameMsMost && frames.blank <= 9) break;
  }
  const rounded = (ms) => Math.round(ms * 10) / 10;
  say({ scrolled_rows: rows, frame_ms_median: rounded(frames.median), frame_ms_p95: rounded(frames.p95), plain_frame_ms_median: rounded(plain.median), blank_frames: frames.blank });
  holds(frames.median <= Math.max(frameMsMost, 2 * plain.median), `a frame takes ${frames.median} ms while scrolling, that of a plain list ${plain.median} ms`);
  holds(frames.blank <= 9, `${frames.blank} of 180 frames are blank while scrolling`);

  // What senders write is text, however long and whatever it holds.
  const hostile = `<img src=x onerror=alert(1)> \u202Eesrever\u202C\n\n${"long ".repeat(40_000)}`;
  await sendLogs(direct, token, [{ message: hostile, metadata: { level: "error", service: "hostile" } }]);
  await page.goto(`${origin}/app/shop/explore?q=service:hostile`);
  await see("<img src=x", "a hostile record is text");
  const height = await page.locator(".rows .line").first().evaluate((line) => line.getBoundingClientRect().height);
  holds(height <= 30, `a long record's line is ${height} px high`);
  await page.keyboard.press("Enter");
  await see(/all 200,\d+ characters/, "a long record offers the rest");

  const id = "c".repeat(32), event = largeEvent(id);
  await sendEvent(direct, project, event);
  const began = Date.now();
  await page.goto(`${origin}/app/shop/events/${id}`);
  await see("LargeError", "a large event");
  await see("Raw event", "a large event");
  say({ large_event_bytes: JSON.stringify(event).length, opened_ms: Date.now() - began });
  await page.getByRole("button", { name: /^event \{/ }).click();
  await page.getByRole("button", { name: /^extra \{/ }).last().click();
  await see(/200 more/, "a large object shows a part and offers the rest");
}

/** In the page: what 180 frames take while the rows scroll, and how many show no row in their middle. */
async function scrollRows() {
  const grid = document.querySelector(".rows");
  const times = [];
  let blank = 0;
  grid.scrollTop = 0;
  let last = performance.now();
  for (let i = 0; i < 180; i++) {
    grid.scrollTop += 240;
    await new Promise((next) => requestAnimationFrame(next));
    const now = performance.now(), box = grid.getBoundingClientRect();
    times.push(now - last);
    last = now;
    if (!document.elementFromPoint(box.left + 300, box.top + box.height / 2)?.closest(".line")) blank++;
  }
  times.sort((a, b) => a - b);
  return { median: times[90], p95: times[171], blank };
}

/** In the page: what a frame takes while a list without any code of ours scrolls over the whole page. */
async function scrollPlain() {
  const list = document.createElement("div");
  list.style.cssText = "position:fixed;inset:0;z-index:9999;overflow:auto;font:13px monospace;background:#fff";
  list.append(...Array.from({ length: 10_000 }, (_, i) => { const line = document.createElement("div"); line.textContent = `${i} a line of a plain list, as long as one of a log`; return line; }));
  document.body.append(list);
  const times = [];
  let last = performance.now();
  for (let i = 0; i < 60; i++) {
    list.scrollTop += 240;
    await new Promise((next) => requestAnimationFrame(next));
    const now = performance.now();
    times.push(now - last);
    last = now;
  }
  list.remove();
  times.sort((a, b) => a - b);
  return { median: times[30] };
}
