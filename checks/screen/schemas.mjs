// Walks the Schemas of the Streams area in a real browser: none yet, a list, a subject with its versions, two of them
// compared, a change tested and registered, settings, deletion, as one who may only read, narrow.
//
//   node schemas.mjs ORIGIN OUT_DIR    (an account ada@example.org, projects `shop` (none) and `store` (with schemas))
//
// Prints one JSON line a look; exits 1 when something is wrong. Screenshots land in OUT_DIR.
import { start, say, wrong } from "./browser.mjs";
import { walk } from "./keyboard.mjs";

const [origin, out] = process.argv.slice(2);
const glance = (name) => (process.env.CANDOR_SCREENSHOTS ? look(name) : undefined);
const screen = await start(origin, out);
const { page, look, see, appear, gone, holds, allowing } = screen;
page.setDefaultTimeout(10_000);
const open = async (path, selector) => { await page.goto(`${origin}/app/${path}`); await appear(selector, path); await page.waitForTimeout(100); };
const subject = (name, rest = "") => `store/streams/schemas/${encodeURIComponent(name)}${rest}`;
const api = (method, path) => page.evaluate(async ([m, p]) => {
  const answer = await fetch(p, { method: m, headers: { "X-Candor": "1" } });
  return { status: answer.status, json: await answer.json().catch(() => undefined) };
}, [method, path]);
const text = (selector) => page.locator(selector).first().innerText();

await page.goto(`${origin}/app/shop/streams/schemas`);
await page.getByLabel("E-mail").fill("ada@example.org");
await page.getByLabel("Password").fill("correct horse battery");
await page.keyboard.press("Enter");

// None yet: the snippet holds the registry's address and the user's name.
await see("No schemas yet", "no schemas");
const snippet = await page.getByLabel("curl snippet", { exact: true }).innerText();
holds(snippet.includes(`${origin}/registry/subjects/`) && snippet.includes("-u 'shop:"), `the snippet is not filled: ${snippet}`);
await glance("schemas-empty");

// The list, by search and by keyboard.
await open("store/streams/schemas", ".subjects tbody tr");
holds(!(await page.getByText("legacy-value").count()), "a hidden subject is listed without being asked for");
await page.getByLabel("Show hidden ones").check();
await see("legacy-value", "hidden subjects are shown when asked for");
await see(".staging", "a context is told");
await look("schemas");
await page.getByLabel("Show hidden ones").uncheck();
await gone("text=legacy-value", "hidden subjects go again");
await page.keyboard.press("/");
await page.keyboard.type("orders-v");
await page.keyboard.press("Enter");
await page.waitForURL(/q=orders-v/);
await page.waitForFunction(() => document.querySelectorAll(".subjects tbody tr").length === 2);
await open("store/streams/schemas", ".subjects tbody tr");
await page.locator(".subjects a", { hasText: /^orders-value$/ }).click();

// A subject: its latest version laid out and coloured, what it refers to, who uses it.
await appear(".code .tok-key", "the schema is coloured");
holds((await text(".code")).includes('"name": "Order"') || (await text(".code")).includes('"name": "total"'), "the schema is not laid out");
await see(/values of version/, "the topic's messages name versions");
await see("by its name", "the topic of that name");
await look("schema");
await page.keyboard.press("j");
await page.waitForURL(/version=2/);
await see("Version 2", "j shows the version before");
await open(subject("payments-value"), ".code .tok-word");
await page.getByRole("link", { name: "money-value, version 1" }).click();
await see("Referred to by", "a reference leads to its subject");
await page.getByRole("link", { name: "payments-value, version 1" }).first().waitFor();
await glance("schema-protobuf");

// Two versions, side by side and in one column, by keyboard.
await open(subject("orders-value"), ".code .tok-key");
await page.keyboard.press("d");
await appear(".diff td.diff-came", "what came is told");
await look("schema-diff");
await page.keyboard.press("n");
holds(await page.evaluate(() => document.activeElement?.hasAttribute("data-change")), "n does not go to a change");
await page.keyboard.press("u");
await appear(".diff[data-as=unified] .diff-came", "u shows one column");
await look("schema-diff-unified");
await page.getByLabel("From", { exact: true }).selectOption("3");
await see("the same as itself", "a version is compared with itself");

// A change that does not fit: whom it would break, and that it is not registered.
await open(subject("orders-value", "?tab=test"), ".schema-form textarea");
const schema = JSON.parse(await page.getByLabel("Schema", { exact: true }).inputValue());
const changed = (fields) => JSON.stringify({ ...schema, fields: [...schema.fields, ...fields] }, null, 2);
await page.getByLabel("Schema", { exact: true }).fill(changed([{ name: "country", type: "string" }]));
await page.getByRole("button", { name: "Test it" }).click();
await see("It does not fit", "a change that does not fit");
await see("Readers with the new schema could not read what version 3 wrote.", "who is broken is told");
await see("Give the field a default value", "what mends it is told");
await look("schema-test");
await allowing(/409/, async () => {
  await page.getByRole("button", { name: "Register as version 4" }).click();
  await see("test it to see why", "a schema that does not fit is not registered");
});
await page.getByLabel("Level", { exact: true }).selectOption("FORWARD");
await page.getByRole("button", { name: "Test it" }).click();
await see("It fits", "another level");
await page.getByLabel("Schema", { exact: true }).fill("{");
await allowing(/422/, async () => {
  await page.getByRole("button", { name: "Test it" }).click();
  await see("Invalid schema", "what is no schema");
});
await page.getByLabel("Level", { exact: true }).selectOption("");
await page.getByLabel("Schema", { exact: true }).fill(changed([{ name: "country", type: "string", default: "?" }]));
await page.keyboard.press("Control+Enter");
await see("It fits", "a change that fits");
await glance("schema-fits");
await page.getByRole("button", { name: "Register as version 4" }).click();
await page.waitForURL(/version=4/);
await see("Version 4", "the new version is shown");

// Settings of the subject, and of all.
await open(subject("orders-value", "?tab=settings"), ".schema-settings");
await page.getByLabel("A new version has to fit").selectOption("FULL");
await page.getByRole("button", { name: "Save" }).click();
await see("Saved", "a level is saved");
holds((await api("GET", "/api/v1/streams/schemas/subjects/orders-value?project=store")).json.settings.level.own === "FULL", "the level is not what was chosen");
await look("schema-settings");
await open("store/streams/schemas", ".subjects tbody tr");
await page.getByRole("button", { name: "Change what holds" }).click();
await page.getByLabel("A new version has to fit").selectOption("BACKWARD_TRANSITIVE");
await glance("schemas-all-settings");
await page.getByRole("button", { name: "Save" }).click();
await see("BACKWARD_TRANSITIVE", "what holds for all is shown");

// A subject is made, a version hidden and removed, the subject too.
await page.getByRole("button", { name: "New subject" }).click();
await page.getByLabel("Subject", { exact: true }).fill("short-lived-value");
await page.getByLabel("Type", { exact: true }).selectOption("JSON");
await glance("schema-new");
await page.getByRole("button", { name: "Register as version 1" }).click();
await page.waitForURL(/schemas\/short-lived-value$/);
await page.getByRole("button", { name: "Hide", exact: true }).click();
await look("schema-hide");
await page.getByRole("button", { name: "Hide it" }).click();
await page.getByRole("button", { name: "Remove", exact: true }).click();
await page.getByRole("button", { name: "Remove it" }).click();
await page.waitForURL(/streams\/schemas$/);
await allowing(/404/, async () => {
  holds((await api("GET", "/api/v1/streams/schemas/subjects/short-lived-value?project=store&deleted=true")).status === 404, "a removed subject is still there");
});
await open(subject("customers-value", "?tab=settings"), ".schema-settings");
await page.getByRole("button", { name: "Hide customers-value" }).click();
await page.getByLabel("Type its name to go on").fill("customers-value");
await page.keyboard.press("Enter");
await page.waitForURL(/streams\/schemas$/);
await gone("text=customers-value", "a hidden subject leaves the list");

// From a message to its schema, from a topic to its subjects.
await open("store/streams/topics/orders", ".message[id]");
await page.locator(".message[id]").first().click();
await page.locator(".drawer a", { hasText: /^schema/ }).click();
await page.waitForURL(/schemas\/orders-value\?version=3/);
await open("store/streams/topics/orders", ".topic-head a[href*=schemas]");

// By Tab alone.
for (const [name, path, selector] of [["schemas", "store/streams/schemas", ".subjects tbody tr"], ["schema", subject("orders-value"), ".code"], ["schema-diff", subject("orders-value", "?tab=diff"), ".diff"]]) {
  await open(path, selector);
  await walk(page, name);
}

// Who may only read sees nothing that acts, but may test.
await page.route(/\/api\/v1\/streams\?/, async (route) => {
  const answer = await route.fetch();
  await route.fulfill({ response: answer, json: { ...(await answer.json()), may_change: false } });
});
for (const [path, selector, acts] of [
  ["store/streams/schemas", ".subjects tbody tr", ["New subject", /Change what holds/]], [subject("orders-value"), ".code", ["Hide"]],
  [subject("orders-value", "?tab=test"), ".schema-form", [/Register as/]], [subject("orders-value", "?tab=settings"), ".schema-settings", ["Save", /^Hide/]],
]) {
  await open(path, selector);
  for (const name of acts) holds(await page.getByRole("button", { name }).count() === 0, `who may only read sees ${name} on ${path}`);
}
await page.unroute(/\/api\/v1\/streams\?/);

// Narrow: readable, and nothing scrolls sideways.
const views = {
  schemas: ["store/streams/schemas", ".subjects tbody tr"], schema: [subject("orders-value"), ".code .tok-key"], "schema-diff": [subject("orders-value", "?tab=diff&from=1&to=3"), ".diff"],
  "schema-diff-unified": [subject("orders-value", "?tab=diff&as=unified&from=1&to=3"), ".diff"], "schema-test": [subject("orders-value", "?tab=test"), ".schema-form"], "schema-settings": [subject("orders-value", "?tab=settings"), ".schema-settings"],
};
for (const [width, names] of [[360, Object.keys(views)], [1024, ["schema", "schema-diff"]]]) {
  await page.setViewportSize({ width, height: 760 });
  for (const name of names) {
    await open(...views[name]);
    const over = await page.evaluate(() => Math.max(document.documentElement.scrollWidth - innerWidth, (document.querySelector("main")?.scrollWidth ?? 0) - (document.querySelector("main")?.clientWidth ?? 0)));
    holds(over <= 0, `${name} at ${width} px scrolls ${over} px sideways`);
    if (process.env.CANDOR_SCREENSHOTS) await page.screenshot({ path: `${out}/${name}-${width}.png` });
  }
}
holds(screen.foreign.size === 0, `third parties were asked: ${[...screen.foreign].slice(0, 5).join(" ")}`);
await screen.browser.close();
say({ wrong: wrong.length });
process.exit(wrong.length ? 1 : 0);
