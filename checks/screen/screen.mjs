// Walks the screen in a real browser: sets up the server by its one-time link, sends records through the real
// protocols, looks at every view in both themes, runs axe on each, and drives it by keyboard alone.
//
//   node screen.mjs SETUP_URL OUT_DIR
//
// Prints one JSON line a view; exits 1 when something is wrong. Screenshots land in OUT_DIR.
import { cuttable, fail, say, start, wrong } from "./browser.mjs";
import { keys, walk } from "./keyboard.mjs";
import { large, lostServer, lostSession } from "./robust.mjs";
import { errorEvent, sendEvent, sendLogs, sendWithFile, someLogs } from "./seed.mjs";

const [setupUrl, out] = process.argv.slice(2);
/** First load, compressed; what a route adds to it. */
const firstLoadMost = 200_000, routeMost = 120_000;
const paintMsMost = 1500;

const direct = new URL(setupUrl).origin;
const line = await cuttable(direct);
const screen = await start(line.origin, out);
const { page, origin, look, see, appear, holds, allowing } = screen;
const open = async (path, selector) => { await page.goto(`${origin}/app/${path}`); await appear(selector, path); await page.waitForTimeout(300); };
const query = (sql, more = "") => `shop/sql?sql=${encodeURIComponent(sql)}${more}`;

// The first account and project, typed by keyboard.
await page.goto(setupUrl.replace(direct, origin));
await page.getByLabel("E-mail").waitFor();
say({ first_load_bytes: await loaded("the door", firstLoadMost) });
await walk(page, "setup");
await page.getByLabel("E-mail").fill("ada@example.org");
await look("setup");
await page.getByLabel("E-mail").focus();
await page.keyboard.press("Tab");
await page.keyboard.type("correct horse battery");
await page.keyboard.press("Enter");
await page.getByLabel("Name").waitFor();
await look("new-project");
await page.getByLabel("Name").fill("shop");
await page.keyboard.press("Enter");
await see("Waiting for the first one", "first event");
await look("first-event");

// What the snippet says, done: the mark turns into the thing itself.
const token = /X-API-KEY: ([^']+)'/.exec(await page.getByLabel("curl snippet", { exact: true }).innerText())?.[1];
holds(/^cnd_/.test(token ?? ""), `the snippet holds no real token: ${token}`);
await page.getByRole("button", { name: "Copy: curl snippet" }).click();
await see("Copied", "copying a snippet");
holds((await page.evaluate(() => navigator.clipboard.readText())).includes(`${origin}/api/logs`), "the copied snippet does not name this host");
const project = await page.evaluate(() => fetch("/api/v1/projects/shop").then((r) => r.json()));
await page.goto(`${origin}/app/shop/explore`);
await see("No logs have come yet", "empty Explore");
await look("explore-empty");
await page.goto(`${origin}/app/shop/errors`);
await see("No errors have come yet", "empty Errors");
await look("errors-empty");
await open("shop/start", ".first");
await sendLogs(direct, token, someLogs(600));
await see(/600 logs arrived/, "the waiting mark turns");
await appear(".arrived .line", "the first record itself");
await look("arrived");
await sendEvent(direct, project, errorEvent("a".repeat(32), { exception: { values: [{ type: "TimeoutError", value: "no answer from the bank", stacktrace: { frames: [{ function: "ask", filename: "shop/bank.py", lineno: 7, in_app: true, context_line: "    bank.ask()" }] } }] } }));
for (let i = 1; i < 5; i++) await sendEvent(direct, project, errorEvent(String(i).padStart(32, "b"), { timestamp: Date.now() / 1000 - i * 600 }));
await sendWithFile(direct, project, errorEvent("0".padStart(32, "b")), "basket.txt", "one kettle, one mug");

// Explore.
await open("shop/explore", ".rows .line");
await page.locator(".histogram canvas").waitFor();
holds(await drawn(".histogram canvas") > 0.02, "the histogram is blank");
await look("explore");
await walk(page, "explore");
await page.goto(`${origin}/app/shop/explore`);
await appear(".rows .line", "Explore");
await page.keyboard.press("/");
await page.keyboard.type("service:pay level>=error");
await page.keyboard.press("Enter");
await page.waitForURL(/level/);
await page.keyboard.press("Escape");
await page.waitForTimeout(400);
await page.keyboard.press("Enter");
await appear(".drawer", "enter opens the drawer");
await look("explore-drawer");
const shared = page.url();
await walk(page, "explore-drawer");
await page.goto(shared.replace(/q=[^&]*/, "q=nothing-like-this"));
await appear(".drawer .drawer-body", "an address opens its record whatever the search finds");
await see("Nothing found in this range", "nothing found");
await look("explore-nothing");
await open("shop/explore?q=declined", ".veil");
await page.mouse.move(700, 150);
await page.mouse.down();
await page.mouse.move(1100, 150, { steps: 4 });
await page.mouse.up();
await page.waitForURL(/from=/, { timeout: 5000 }).catch(() => fail("a drag over the histogram does not zoom"));
await page.goBack();
await page.waitForURL((url) => !url.search.includes("from="), { timeout: 5000 }).catch(() => fail("back does not leave the zoom"));
await appear(".rows .line", "Explore after a zoom");
await page.keyboard.press("t");
await appear(".range", "time range");
await look("time-range");
await page.keyboard.press("Escape");
await page.keyboard.press(".");
await appear("[role=menu]", "row menu");
await look("row-menu");
await page.keyboard.press("Escape");

// Suggestions: a key, its values, by arrows; then what stands there is searched for.
await page.goto(`${origin}/app/shop/explore`);
await appear(".rows .line", "Explore");
await page.keyboard.press("/");
await page.keyboard.type("ser");
await appear(".suggestions li", "suggestions");
await page.keyboard.press("ArrowDown");
await page.keyboard.press("Enter");
await page.keyboard.type("c");
await page.keyboard.press("ArrowDown");
await look("suggestions");
await page.keyboard.press("Enter");
await page.keyboard.press("Enter");
await page.waitForURL(/q=service%3Acart$/, { timeout: 5000 }).catch(() => fail(`suggestions lead to ${page.url()}`));
await page.getByRole("button", { name: "How to search" }).click();
await appear(".syntax", "how to search");
await look("how-to-search");
await page.keyboard.press("Escape");

// Live tail.
await page.goto(`${origin}/app/shop/explore?live=1`);
await see("Live:", "live tail");
await look("live-waiting");
for (let i = 0; i < 20; i++) await sendLogs(direct, token, [{ message: `live record ${i}`, metadata: { level: ["info", "warn", "error"][i % 3] } }]);
await see("live record 19", "live tail");
await look("live-tail");
await page.keyboard.press("j");
await page.keyboard.press("j");
await page.keyboard.press("Enter");
await appear(".drawer .drawer-body", "a record of the live tail opens");
const under = await page.locator(".drawer .drawer-body").innerText();
holds(under === "live record 17", `j j enter opens ${under}`);
await sendLogs(direct, token, [{ message: "live record 20", metadata: { level: "info" } }]);
await see("live record 20", "live tail");
holds(await page.locator(".rows .line[data-open=true]").innerText().then((text) => text.includes(under)), "the open record moves when another arrives");
await page.keyboard.press("Escape");
await walk(page, "live-tail");

// SQL.
await open("shop/sql", ".cm-content");
await look("sql-empty");
await walk(page, "sql-empty");
await open(query("SELECT service_name, severity_text, count(*) AS n, max(timestamp) AS newest FROM logs GROUP BY 1, 2 ORDER BY n DESC"), ".cells-row");
await look("sql");
await walk(page, "sql");
await open(query("SELECT date_trunc('minute', timestamp) AS minute, service_name, count(*) AS n FROM logs GROUP BY 1, 2 ORDER BY 1"), ".cells-row");
await page.getByRole("button", { name: "Chart" }).click();
await page.locator(".chart canvas").waitFor({ timeout: 5000 }).catch(() => fail("SQL gives no chart"));
holds(await drawn(".chart canvas") > 0.002, "the chart is blank");
await look("sql-chart");
await allowing(/400 \(Bad Request\)/, async () => { await open(query("SELECT * FROM nowhere"), "[role=alert]"); });
await see("The query does not fit the tables", "a wrong query says what is wrong");
await look("sql-error");

// Errors.
await open("shop/errors", ".issues tbody tr");
await look("errors");
await walk(page, "errors");
await page.getByRole("columnheader", { name: "Events" }).getByRole("button").click();
await page.waitForURL(/order=count/, { timeout: 5000 }).catch(() => fail("a head does not sort"));
await page.getByRole("link", { name: "PaymentError" }).click();
for (const words of ["charge", "Breadcrumbs", "What the gate removed", "Raw event, after the gate"]) await see(words, "error page");
await appear(".story .veil", "the error page draws the veil");
await see("plan", "tags");
await see("basket.txt", "attachments");
const [file] = await Promise.all([page.waitForEvent("download", { timeout: 5000 }).catch(() => undefined), page.getByRole("link", { name: "basket.txt" }).click()]);
holds(file?.suggestedFilename() === "basket.txt", "an attachment does not download");
await page.waitForTimeout(400);
await look("error");
await walk(page, "error");

await open("shop/settings", ".settings");
await look("settings");
await walk(page, "settings");
// A limit is typed, saved and there after a reload; the focus stays where it was.
await page.locator("#ingest-bytes_per_day").fill("5000000000");
await page.keyboard.press("Enter");
await see("Saved", "a limit is saved");
holds(await page.evaluate(() => document.activeElement?.id === "ingest-bytes_per_day"), "saving a limit loses the focus");
await open("shop/settings", ".settings");
holds(await page.locator("#ingest-bytes_per_day").inputValue() === "5000000000", "a saved limit is not there after a reload");
await page.locator("#ingest-bytes_per_day").fill("");
await page.keyboard.press("Enter");
await see("Saved", "a limit is lifted");
await page.getByRole("button", { name: "Make new keys" }).click();
await see("This is the only time", "new keys");
await look("settings-rotated");
await page.getByRole("button", { name: "Delete shop" }).click();
await appear("dialog", "delete asks");
await look("settings-delete");
await page.keyboard.press("Escape");
await open("shop/start?with=otel-python", ".first");
await look("start-otel");
await walk(page, "start");
await open("_components", "main");
await look("components");
await open("nowhere/explore", "main h1");
await look("no-project");
await open("shop/explore", ".rows .line");
await page.keyboard.press("Control+k");
await appear("dialog [role=listbox]", "palette");
await look("palette");
await page.keyboard.press("Escape");
await page.keyboard.press("?");
await appear("dialog.help", "keys");
await look("help");
await page.keyboard.press("Escape");
await page.getByRole("button", { name: /^ada/ }).click();
await see("Colours", "what one sets");
await look("me");
await page.getByRole("button", { name: "UTC", exact: true }).click();
await page.keyboard.press("Escape");

await keys(screen);
await projects();
await lostServer(screen, line, direct, token);
await lostSession(screen);
await large(screen, direct, token, project);

// Narrow: readable, and nothing scrolls sideways.
const views = { explore: "shop/explore", drawer: shared.slice(`${origin}/app/`.length), errors: "shop/errors", error: "shop/events/" + "0".padStart(32, "b"), sql: query("SELECT service_name, count(*) AS n FROM logs GROUP BY 1"), start: "shop/start", settings: "shop/settings" };
for (const [width, height] of [[360, 720], [390, 844], [1024, 768]]) {
  await page.setViewportSize({ width, height });
  for (const [name, path] of Object.entries(views)) {
    await page.goto(`${origin}/app/${path}`);
    await page.waitForTimeout(700);
    const over = await page.evaluate(() => Math.max(document.documentElement.scrollWidth - innerWidth, (document.querySelector("main")?.scrollWidth ?? 0) - (document.querySelector("main")?.clientWidth ?? 0)));
    holds(over <= 0, `${name} at ${width} px scrolls ${over} px sideways`);
    if (width !== 360) await look(`${name}-${width}`);
  }
}

holds(screen.foreign.size === 0, `third parties were asked: ${[...screen.foreign].slice(0, 5).join(" ")}`);
await routes();
await screen.browser.close();
line.close();
say({ wrong: wrong.length });
process.exit(wrong.length ? 1 : 0);

/** A second project: switching keeps the view, back returns. */
async function projects() {
  await page.goto(`${origin}/app/projects/new`);
  await page.getByLabel("Name").fill("other");
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/other\/start/);
  await page.goto(`${origin}/app/shop/explore`);
  await appear(".rows .line", "before switching");
  await page.getByLabel("Project").selectOption("other");
  await page.waitForURL(/\/other\/explore/);
  await see("No logs have come yet", "the other project");
  await page.goBack();
  await appear(".rows .line", "back in the first project");
  holds(await page.getByLabel("Project").inputValue() === "shop", "back does not return to the first project");
  await page.goForward();
  await see("No logs have come yet", "forward again");
}

/** Bytes of scripts, styles, fonts and the page, as they came over the wire. */
async function loaded(what, most) {
  await page.waitForLoadState("networkidle");
  const bytes = await page.evaluate(() => [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
    .filter((r) => !r.name.includes("/api/")).reduce((sum, r) => sum + r.encodedBodySize, 0));
  holds(bytes > 0 && bytes <= most, `${what} loads ${bytes} bytes`);
  return bytes;
}

/** What each route adds to the first load, in a browser that has nothing yet. */
async function routes() {
  const state = await screen.context.storageState();
  const sizes = {}, paints = {};
  for (const [name, path] of Object.entries({ ...views, drawer: undefined })) {
    if (!path) continue;
    const fresh = await screen.browser.newContext({ storageState: state });
    const tab = await fresh.newPage();
    await tab.goto(`${origin}/app/${path}`);
    await tab.waitForLoadState("networkidle", { timeout: 5000 }).catch(() => {});
    // A machine that was busy with something else is asked again.
    for (let i = 0; i < 6; i++) {
      paints[name] = await largestPaint(tab);
      if (paints[name] <= paintMsMost) break;
      await tab.reload();
      await tab.waitForLoadState("networkidle", { timeout: 5000 }).catch(() => {});
    }
    holds(paints[name] <= paintMsMost, `${name} paints its largest part after ${paints[name]} ms`);
    const entries = await tab.evaluate(() => performance.getEntriesByType("resource").filter((r) => r.name.includes("/assets/")).map((r) => [r.name.replace(/.*assets\//, ""), r.encodedBodySize]));
    sizes[name] = entries.filter(([file]) => !/^index-|\.woff2$/.test(file)).reduce((sum, [, size]) => sum + size, 0);
    holds(sizes[name] <= routeMost, `${name} adds ${sizes[name]} bytes`);
    await fresh.close();
  }
  say({ route_bytes: sizes });
  say({ largest_paint_ms: paints });
}

/** When the largest part of a page stood, ms. */
function largestPaint(tab) {
  return tab.evaluate(() => new Promise((done) => {
    new PerformanceObserver((list) => done(Math.round(list.getEntries().at(-1).startTime))).observe({ type: "largest-contentful-paint", buffered: true });
    setTimeout(() => done(0), 1000);
  }));
}

/** The share of a canvas's pixels that are not its commonest colour. */
async function drawn(selector) {
  return page.locator(selector).first().evaluate((canvas) => {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    let inked = 0;
    for (let i = 3; i < data.length; i += 4) if (data[i] > 40) inked++;
    return inked / (data.length / 4);
  });
}
