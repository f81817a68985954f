// Walks the Streams area in a real browser: empty, with what real Kafka clients sent, live, by keyboard, as one who
// may only read, narrow. Looks at every view in both themes with axe.
//
//   node streams.mjs ORIGIN OUT_DIR    (an account ada@example.org, projects `shop` (empty) and `store` (with messages))
//
// Prints one JSON line a look; exits 1 when something is wrong. Screenshots land in OUT_DIR.
import { fail, say, start, wrong } from "./browser.mjs";
import { walk } from "./keyboard.mjs";

const [origin, out] = process.argv.slice(2);
/** Looked at by eyes alone, where they asked to: what is made of the same parts as a view that axe sees. */
const glance = (name) => (process.env.CANDOR_SCREENSHOTS ? look(name) : undefined);
const routeMost = 120_000;
const screen = await start(origin, out);
const { page, look, see, appear, gone, holds, allowing } = screen;
page.setDefaultTimeout(10_000);
const open = async (path, selector) => { await page.goto(`${origin}/app/${path}`); await appear(selector, path); await page.waitForTimeout(100); };
const api = (method, path, body) => page.evaluate(async ([m, p, b]) => {
  const answer = await fetch(p, { method: m, headers: { "X-Candor": "1", "Content-Type": "application/json" }, body: b === undefined ? undefined : JSON.stringify(b) });
  return { status: answer.status, json: await answer.json().catch(() => undefined) };
}, [method, path, body]);
const text = (selector) => page.locator(selector).first().innerText();

await page.goto(`${origin}/app/shop/streams`);
await page.getByLabel("E-mail").fill("ada@example.org");
await page.getByLabel("Password").fill("correct horse battery");
await page.keyboard.press("Enter");

// Empty: the snippet holds the real address and name, and the mark turns into the thing itself.
await see("No topics yet", "no topics");
const snippet = await page.getByLabel("kcat snippet", { exact: true }).innerText();
holds(/-b 127\.0\.0\.1:\d+/.test(snippet) && snippet.includes("sasl.username='shop'"), `the snippet is not filled: ${snippet}`);
await see("candor.logs", "signals as topics");
await glance("streams-empty");
await api("POST", "/api/v1/streams/topics?project=shop", { name: "first" });
await gone(".wait", "the waiting mark turns");
await open("shop/streams/topics/first", ".first");
await glance("topic-empty");
await api("POST", "/api/v1/streams/topics/first/messages?project=shop", { key: "k", value: "arrived" });
await see("arrived", "the first message arrives by itself");

// Topics.
await open("store/streams", ".topics tbody tr");
await see(/\d\/s/, "a rate at the second look");
await look("topics");
await page.keyboard.press("j");
await page.keyboard.press("j");
await page.keyboard.press("Enter");
await page.waitForURL(/topics\/orders$/, { timeout: 5000 }).catch(() => fail(`j enter opens ${page.url()}`));

// Messages: newest first, older ones, of a key, from an offset and a time, one of them whole.
await appear(".message[id]", "messages");
await glance("messages");
const before = await page.locator(".message[id]").count();
await page.getByRole("button", { name: "Older" }).click();
await page.waitForFunction((n) => document.querySelectorAll(".message[id]").length > n, before, { timeout: 5000 }).catch(() => fail("no older messages come"));
await page.keyboard.press("Enter");
await appear(".drawer .part", "enter opens the message");
await look("message");
holds(/row=\d+-\d+/.test(page.url()), "an open message is not in the address");
await page.keyboard.press("Escape");
await gone(".drawer", "escape closes the message");
await page.keyboard.press("/");
await page.keyboard.type("order-7");
await page.keyboard.press("Enter");
await page.waitForURL(/key=order-7/, { timeout: 5000 }).catch(() => fail("a key is not searched for"));
await see(/found among/, "a look for a key says how far it went");
const keys = new Set(await page.locator(".message[id] > span:nth-child(4)").allInnerTexts());
holds(keys.size === 1 && keys.has("order-7"), `a look for order-7 shows ${[...keys].slice(0, 5)}`);
await open("store/streams/topics/orders", ".message[id]");
await page.getByLabel("Holds").fill('"CITY": "turku"');
await page.keyboard.press("Enter");
await page.waitForURL(/text=/, { timeout: 5000 }).catch(() => fail("a text is not searched for"));
await see(/found among/, "a look for a text says how far it went");
const held = await page.locator(".message[id] .message-value").allTextContents();
holds(held.length > 0 && held.every((value) => value.includes("Turku")), `a look for Turku shows ${held.filter((value) => !value.includes("Turku")).slice(0, 2)}`);
const saved = page.waitForEvent("download");
await page.getByRole("button", { name: "Save", exact: true }).click();
holds((await saved).suggestedFilename() === "orders.ndjson", "messages are not saved");
await open("store/streams/topics/orders?from=offset&partition=1&offset=3", ".message[id]");
holds(await page.locator(".message[id]").first().getAttribute("id") === "message-1-3", "an offset is not where it begins");
await open(`store/streams/topics/orders?from=time&time=${encodeURIComponent(new Date(Date.now() - 3_600_000).toISOString())}`, ".message[id]");
await glance("messages-time");
// What the gate replaced is a chip, bytes are hex, a schema's id is shown.
await open("store/streams/topics/payments", ".message[id] .veil");
await glance("messages-veil");
await open("store/streams/topics/binary", ".message[id]");
await page.locator(".message[id]").first().click();
await appear(".drawer .part", "a binary message opens");
await see("schema", "the schema's id");
await glance("message-binary");
await open("store/streams/topics/ledger", ".state-aborted");
await see("tombstone", "a tombstone says so");
await glance("messages-transactions");

// Live.
await open("store/streams/topics/orders?live=1", ".messages");
await see("Live:", "live tail");
for (let i = 0; i < 5; i++) await api("POST", "/api/v1/streams/topics/orders/messages?project=store", { key: `live-${i}`, value: `{"live": ${i}}` });
await see("live-4", "live tail");
await glance("messages-live");

// Partitions, groups, settings, produce.
await open("store/streams/topics/orders?tab=partitions", ".list tbody tr");
await glance("topic-partitions");
await open("store/streams/topics/orders?tab=groups", ".list tbody tr");
await glance("topic-groups");
await open("store/streams/topics/orders?tab=settings", ".modes");
await look("topic-settings");
await page.getByLabel("Show the").check();
await appear(".config:nth-child(20)", "every configuration");
await glance("topic-settings-all");
await page.getByRole("radio", { name: /All as text/ }).click();
await see("Saved", "how values may be opened is saved");
holds((await api("GET", "/api/v1/streams/topics/orders?project=store")).json.values === "text", "candor.values is not what was chosen");
await page.getByRole("radio", { name: /What is JSON or text/ }).click();
await open("store/streams/topics/orders?tab=produce", ".produce form");
await page.getByLabel("Key", { exact: true }).fill("by-hand");
await page.getByLabel("Value", { exact: true }).fill('{"card": "4111 1111 1111 1111", "big": 12345678901234567890}');
await page.getByRole("button", { name: "Add a header" }).click();
await page.getByLabel("Name of header 1").fill("source");
await page.getByLabel("Value of header 1").fill("screen");
await page.getByRole("button", { name: "Send it" }).click();
await appear(".produced .veil", "what is sent passes the gate");
holds((await text(".produced .drawer-body >> nth=1")).includes("12345678901234567890"), "a large number loses digits");
await look("produce");

// SQL on it in one click.
await open("store/streams/topics/orders", ".topic-title");
const sql = await page.getByRole("link", { name: "SQL", exact: true }).last().getAttribute("href");
holds(new URL(sql, origin).searchParams.get("sql") === 'SELECT * FROM stream."orders"', `the SQL link is ${sql}`);

// Groups: an idle one is moved, an active one is not.
await open("store/streams/groups", ".groups tbody tr");
await see("reading", "an active group");
await glance("groups");
await open("store/streams/groups/billing", ".group .figures");
await page.locator(".lag-room canvas").waitFor({ timeout: 12_000 }).catch(() => fail("no lag chart"));
await look("group");
await page.keyboard.press("v");
await appear(".lag-table", "v shows the lag as a table");
await page.keyboard.press("v");
holds(await page.getByRole("button", { name: "Move its offsets" }).isDisabled(), "an active group's offsets can be moved");
await allowing(/409/, async () => {
  const refused = await api("POST", "/api/v1/streams/groups/billing/reset?project=store", { topic: "orders", to: "earliest" });
  holds(refused.status === 409, `moving an active group answers ${refused.status}`);
});
await open("store/streams/groups/reports", ".group .figures");
await page.getByRole("button", { name: "Move its offsets" }).click();
await see(/reads \d+ again|begins here/, "what would move is told");
await look("group-reset");
await page.getByRole("button", { name: "Move them" }).click();
await gone("dialog", "moving closes the dialog");
const moved = (await api("GET", "/api/v1/streams/groups/reports?project=store")).json.offsets;
holds(moved.length === 4 && moved.every((o) => o.committed === o.start), `the offsets are ${JSON.stringify(moved.map((o) => o.committed))}`);

// Users and rules.
await open("store/streams/access", ".access .list");
await page.getByRole("button", { name: "New user" }).click();
await page.getByLabel("Name", { exact: true }).fill("reader");
await page.keyboard.press("Enter");
await see("This is the only time the password", "a password is shown");
await page.getByRole("button", { name: "New rule" }).click();
await appear("dialog", "a new rule");
await page.locator("#a-name").fill("orders");
await glance("rule-new");
await page.keyboard.press("Enter");
await see("topic orders", "a rule is there");
await look("access");
await page.getByRole("button", { name: "New quota" }).click();
await page.getByLabel("Sends at most, MB/s").fill("2.5");
await glance("quota-new");
await page.keyboard.press("Enter");
await see("each user", "a quota is there");
await see("2.5 MB/s", "what a quota bounds");
await look("quotas");
await page.getByRole("button", { name: "Remove the quota of each user" }).click();
await see("No quota yet", "a quota is removed");
await page.getByRole("button", { name: /Remove the rule: reader/ }).click();
await see("No rule yet", "a rule is removed");

// Bridges: none, one that runs, one that stands still and says why; held, let go on, removed.
const bootstrap = (await api("GET", "/api/v1/streams?project=store")).json.bootstrap;
const { username, password } = (await api("POST", "/api/v1/streams/users?project=store", { name: "mirror", owner: true })).json;
await open("store/streams/bridges", ".first");
await see("No bridge yet", "no bridges");
holds((await page.getByLabel("Make a bridge", { exact: true }).innerText()).includes("candor bridge create main --project store"), "the command names another project");
await glance("bridges-empty");
await page.getByRole("button", { name: "New bridge" }).click();
await page.getByLabel("Name", { exact: true }).fill("copies");
await page.getByLabel("Servers of the other cluster").fill(bootstrap);
await page.getByLabel("Topics", { exact: true }).fill("orders, no-such-*");
await page.getByLabel("Prefix").fill("copy.");
await page.getByLabel("Log in").selectOption("SCRAM-SHA-512");
await page.getByLabel("User", { exact: true }).fill(username);
await page.getByLabel("Password", { exact: true }).fill(password);
await page.getByLabel("Carry over").check();
await look("bridge-new");
await page.keyboard.press("Enter");
await page.waitForURL(/bridges\/copies/, { timeout: 5000 }).catch(() => fail("a new bridge does not open"));
await see("copy.orders", "a mirrored topic");
await see("running", "a bridge that runs");
await see("billing", "a group that is carried over");
await look("bridge");
holds(!(await page.content()).includes(password), "a bridge shows its password");
await page.getByRole("button", { name: "Pause" }).click();
await see("paused", "a held bridge");
await page.getByRole("button", { name: "Resume" }).click();
await see("running", "a bridge that goes on");
await api("POST", "/api/v1/streams/bridges?project=store", { name: "nowhere", direction: "push", bootstrap: ["127.0.0.1:1"], topics: ["orders"] });
await open("store/streams/bridges", ".bridges tbody tr");
await see("cannot be reached", "what is in the way of a bridge");
await look("bridges");
await page.keyboard.press("j");
await page.keyboard.press("Enter");
await page.waitForURL(/bridges\/nowhere/, { timeout: 5000 }).catch(() => fail(`j enter opens ${page.url()}`));
await see("Tried again in", "a bridge that stands still says when it tries again");
await glance("bridge-failing");
await page.getByRole("button", { name: "Delete" }).click();
await page.getByLabel("Type its name to go on").fill("nowhere");
await page.keyboard.press("Enter");
await see("could not be removed", "what a deleted bridge leaves is told");

// By Tab alone.
for (const [name, path, selector] of [["topics", "store/streams", ".topics tbody tr"], ["message", "store/streams/topics/payments?row=0-0", ".drawer .part"], ["access", "store/streams/access", ".access .list"], ["bridges", "store/streams/bridges", ".bridges tbody tr"]]) {
  await open(path, selector);
  await walk(page, name);
}

// A topic is made and deleted.
await open("store/streams", ".topics tbody tr");
await page.getByRole("button", { name: "New topic" }).click();
await page.getByLabel("Name", { exact: true }).fill("short-lived");
await glance("topic-new");
await page.keyboard.press("Enter");
await page.waitForURL(/topics\/short-lived/, { timeout: 5000 }).catch(() => fail("a new topic does not open"));
await open("store/streams/topics/short-lived?tab=settings", ".modes");
await page.getByRole("button", { name: "Delete short-lived" }).click();
await page.getByLabel("Type its name to go on").fill("short-lived");
await page.keyboard.press("Enter");
await page.waitForURL(/store\/streams$/, { timeout: 5000 }).catch(() => fail("a deleted topic does not lead to the list"));
await page.keyboard.press("Control+k");
await page.keyboard.type("payments");
await appear("#palette-list [role=option]:has-text('payments'):has-text('topic')", "the palette finds a topic");
await page.keyboard.press("Enter");
await page.waitForURL(/topics\/payments/, { timeout: 5000 }).catch(() => fail("the palette does not open a topic"));

// Who may only read sees nothing that acts.
await page.route(/\/api\/v1\/streams\?/, async (route) => {
  const answer = await route.fetch();
  await route.fulfill({ response: answer, json: { ...(await answer.json()), may_change: false } });
});
for (const [path, selector, acts] of [
  ["store/streams", ".topics tbody tr", ["New topic"]], ["store/streams/topics/orders?tab=settings", ".modes", ["Delete orders", "Add partitions"]],
  ["store/streams/groups/reports", ".group .figures", ["Move its offsets", "Delete"]], ["store/streams/access", ".access .list", ["New user", "New rule", "New quota", /New password/]],
  ["store/streams/bridges", ".bridges tbody tr", ["New bridge"]], ["store/streams/bridges/copies", ".group .figures", ["Pause", "Delete"]],
]) {
  await open(path, selector);
  for (const name of acts) holds(await page.getByRole("button", { name }).count() === 0, `who may only read sees ${name} on ${path}`);
}
await open("store/streams/topics/orders?tab=produce", ".message[id]");
holds(await page.getByRole("radio").count() === 0 && await page.getByRole("link", { name: "Produce" }).count() === 0, "who may only read sees the form of a message");
await open("store/streams/topics/orders?tab=settings", ".modes");
holds(await page.getByRole("radio").first().isDisabled(), "who may only read chooses how values are opened");
await glance("topic-settings-read");
await page.unroute(/\/api\/v1\/streams\?/);
await allowing(/404/, async () => { await open("store/streams/topics/none-such", "[role=alert]"); });
await glance("topic-missing");

// Narrow: readable, and nothing scrolls sideways.
const views = {
  topics: ["store/streams", ".topics tbody tr"], messages: ["store/streams/topics/orders", ".message[id]"], message: ["store/streams/topics/orders?row=0-0", ".drawer .part"],
  settings: ["store/streams/topics/orders?tab=settings", ".modes"], produce: ["store/streams/topics/orders?tab=produce", ".produce form"],
  groups: ["store/streams/groups", ".groups tbody tr"], group: ["store/streams/groups/billing", ".lag-room canvas"], access: ["store/streams/access", ".access .list"],
};
for (const [width, names] of [[360, Object.keys(views)], [1024, ["messages", "group"]]]) {
  await page.setViewportSize({ width, height: 760 });
  for (const name of names) {
    await open(...views[name]);
    const over = await page.evaluate(() => Math.max(document.documentElement.scrollWidth - innerWidth, (document.querySelector("main")?.scrollWidth ?? 0) - (document.querySelector("main")?.clientWidth ?? 0)));
    holds(over <= 0, `${name} at ${width} px scrolls ${over} px sideways`);
    if (width === 360 && process.env.CANDOR_SCREENSHOTS) await page.screenshot({ path: `${out}/${name}-360.png` });
  }
}
const sizes = await page.evaluate(() => performance.getEntriesByType("resource").filter((r) => r.name.includes("/assets/")).map((r) => [r.name.replace(/.*assets\//, ""), r.encodedBodySize]));
const bytes = sizes.filter(([file]) => !/^index-|\.woff2$/.test(file)).reduce((sum, [, size]) => sum + size, 0);
holds(bytes <= routeMost, `Streams adds ${bytes} bytes`);
say({ route_bytes: bytes });
holds(screen.foreign.size === 0, `third parties were asked: ${[...screen.foreign].slice(0, 5).join(" ")}`);
await screen.browser.close();
say({ wrong: wrong.length });
process.exit(wrong.length ? 1 : 0);
