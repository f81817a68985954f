// Walks the Privacy area in a real browser: what holds, changing it, what was announced, versions, the rule tester, the
// data map, the ledger; by keyboard, as one who may not change it, narrow. Looks at every view in both themes with axe.
//
//   node privacy.mjs ORIGIN OUT_DIR    (an account ada@example.org, a project `shop`, both policies as a first start leaves them)
//
// Prints one JSON line a look; exits 1 when something is wrong. Screenshots land in OUT_DIR.
import { fail, say, start, wrong } from "./browser.mjs";
import { walk } from "./keyboard.mjs";

const [origin, out] = process.argv.slice(2);
/** Looked at by eyes alone, where they asked to: what is made of the same parts as a view that axe sees. */
const glance = (name) => (process.env.CANDOR_SCREENSHOTS ? look(name) : undefined);
const routeMost = 120_000;
const screen = await start(origin, out);
const { page, look, see, appear, gone, holds } = screen;
page.setDefaultTimeout(10_000);
const open = async (path, selector) => { await page.goto(`${origin}/app/${path}`); await appear(selector, path); await page.waitForTimeout(100); };
const api = (method, path, body) => page.evaluate(async ([m, p, b]) => {
  const answer = await fetch(p, { method: m, headers: { "X-Candor": "1", "Content-Type": "application/json" }, body: b === undefined ? undefined : JSON.stringify(b) });
  return { status: answer.status, json: await answer.json().catch(() => undefined) };
}, [method, path, body]);
const text = (selector) => page.locator(selector).first().innerText();
const inForce = async (query = "") => (await api("GET", `/api/v1/policy${query}`)).json;
/** Writes the whole policy anew in the editor. */
async function write(source) {
  await page.locator(".policy-editor .cm-content").click();
  await page.keyboard.press("Control+a");
  await page.keyboard.insertText(source);
}
const policy = (rest) => `candor_policy = 1\nextends = "preset:default"\n${rest}`;
const retention = (live) => `\n[[activity]]\nid = "errors"\nretention = { live = "${live}" }\n`;
/** Cells of the row of a key in a table of changes. */
const changeOf = async (key) => (await page.locator(`.changes tr:has(code:text-is("${key}")) td`).allInnerTexts()).map((cell) => cell.replace(/\s+/g, " ").trim());

await page.goto(`${origin}/app/shop/explore`);
await page.getByLabel("E-mail").fill("ada@example.org");
await page.getByLabel("Password").fill("correct horse battery");
await page.keyboard.press("Enter");
await appear(".rail", "signed in");

// What holds: a project without a policy of its own goes by the instance's.
await page.keyboard.press("g");
await page.keyboard.press("v");
await see("shop goes by the instance's policy", "g v opens the policy");
await see("the first start of the server", "who applied it");
holds((await text(".findings")).includes("controller.name"), "what the lint warns of is not told");
holds((await text(".code")).includes('extends = "preset:default"'), "the source is not shown");
await look("privacy");
await open("shop/privacy/versions", ".page");
await see("shop has no policy of its own", "no versions yet");
await glance("privacy-versions-none");
await page.getByRole("button", { name: "The instance" }).click();
await appear(".versions tbody tr", "the instance's versions");
holds(/of=instance/.test(page.url()), "whose policy is not in the address");
await page.getByRole("link", { name: "Policy", exact: true }).click();
await see("The policy of the instance", "the instance's policy");

// Changing it: a fault stands at its line, then what each key's change does; nothing is applied by it.
await open("shop/privacy/change", ".policy-editor .cm-content");
await see("this holds", "an untouched policy");
holds(await page.getByRole("button", { name: /^Apply/ }).isDisabled(), "what holds already can be applied");
await write(policy('[collect]\nuser_agnet = "keep"\n'));
await see("did you mean", "a fault with what to write");
holds(/no such key/.test(await text(".cm-said-fault")), "the fault is not at its line");
holds(/1 fault/.test(await text(".verdict")), `the verdict is ${await text(".verdict")}`);
holds(await page.getByRole("button", { name: /^Apply/ }).isDisabled(), "a file with faults can be applied");
await look("privacy-fault");
await page.locator(".findings").getByRole("button", { name: "Line 4" }).click();
await page.waitForURL(/line=4/, { timeout: 5000 }).catch(() => fail("the line is not in the address"));
await page.keyboard.press("End");
await page.keyboard.type(" # seen");
holds((await page.locator(".policy-editor .cm-line").nth(3).innerText()).endsWith("# seen"), "a fault does not lead to its line");
await write(policy('[collect]\nenrichment = ["crm"]\n'));
await appear(".cm-said-error", "what the lint refuses stands at its line");
holds(await page.getByRole("button", { name: /^Apply/ }).isDisabled(), "what the lint refuses can be applied");
const mixed = policy(`[collect]\nuser_agent = "keep"\n[consent.mode]\ndefault = "opt_in"\n[notice]\ncontact = "privacy@shop.example"\n[controller]\nname = "Shop"\n${retention("7d")}`);
await write(mixed);
await see("it may be applied", "a policy that may be applied");
holds(JSON.stringify(await changeOf("activity.errors.retention.live")) === JSON.stringify(["activity.errors.retention.live", "▼ tightening", "30d", "7d"]), `a shorter time is ${await changeOf("activity.errors.retention.live")}`);
holds((await changeOf("collect.user_agent"))[1] === "▲ loosening", `keeping browsers' names is ${await changeOf("collect.user_agent")}`);
holds((await changeOf("notice.contact"))[1] === "● neutral", `an address to write to is ${await changeOf("notice.contact")}`);
holds(!(await inForce("?project=shop")).has_own, "writing a policy changes something");
await look("privacy-change");

// What is being written stays while one looks elsewhere, and records can be tried by it.
await page.getByRole("link", { name: "Try a record" }).click();
await appear(".sides tr[data-fate]", "the first sample");
await see("not applied", "a draft says so");
const agent = () => page.locator('.sides tr:has-text("User-Agent") td').nth(1).innerText();
holds(/python-requests 2"/.test(await agent()), `the policy that holds keeps ${await agent()} of the browser's name`);
await page.getByLabel("By the policy").selectOption({ label: "that is being written" });
await page.waitForFunction(() => /python-requests\/2\.32/.test([...document.querySelectorAll(".sides tr")].find((row) => row.textContent.includes("User-Agent"))?.cells[1]?.textContent ?? ""), undefined, { timeout: 5000 })
  .catch(() => fail("the policy that is being written is not tried"));

// Applying says before what holds at once, and what waits until when.
await page.getByRole("link", { name: /Change it/ }).click();
await see("it may be applied", "the draft is still there");
await page.getByRole("button", { name: /^Apply/ }).click();
await appear("dialog", "applying asks");
const begins = new Date(Date.now() + 30 * 86_400_000);
const dialog = await text("dialog");
holds(dialog.includes("Holds at once") && dialog.includes("30 days of notice") && dialog.includes(String(begins.getFullYear())), `the dialog says ${dialog}`);
holds(/Holds at once[^]*retention\.live[^]*Waits until[^]*collect\.user_agent/.test(dialog), "what tightens is not told apart from what loosens");
await look("privacy-apply");
await page.keyboard.press("Escape");
await gone("dialog", "escape closes the dialog");
holds(!(await inForce("?project=shop")).has_own, "looking at what would change changes something");
await page.keyboard.press("Control+Enter");
await appear("dialog", "mod enter asks");
await page.getByRole("button", { name: "Announce it" }).click();
await see("is announced", "what applying did");
await see("Its stricter parts hold from now on", "the stricter parts");
const shop = await inForce("?project=shop");
holds(shop.in_force.is_interim && shop.in_force.policy.activity[0].retention.live === "7d" && shop.announced?.policy.collect.user_agent === "keep", "the policy is not what was announced");

// What was announced stands with the policy, is compared, and withdrawn.
await open("shop/privacy", ".announced .changes");
await see("The policy of shop", "a policy of its own");
holds(/in 29 d|in 30 d/.test(await text(".announced")) && (await changeOf("collect.user_agent"))[1] === "▲ loosening", "what was announced does not say what it loosens");
holds((await changeOf("activity.errors.retention.live")).length === 0, "what holds already is told as announced");
await look("privacy-announced");
await page.getByRole("link", { name: "Compare the sources" }).click();
await appear(".diff [data-change]", "two sources");
holds(/from=\d+&to=\d+/.test(page.url()), "what is compared is not in the address");
await page.keyboard.press("n");
await page.waitForFunction(() => document.activeElement?.hasAttribute("data-change"), undefined, { timeout: 3000 }).catch(() => fail("n does not go to a change"));
await look("privacy-compare");
await page.keyboard.press("Escape");
await appear(".versions tbody tr", "escape closes the comparison");
holds((await page.locator(".versions tbody tr").allInnerTexts()).map((row) => /announced|holds/.exec(row)?.[0]).join() === "announced,holds", "the versions' states are wrong");
await page.keyboard.press("j");
await page.waitForURL(/epoch=\d+/, { timeout: 5000 }).catch(() => fail("j does not choose a version"));
await see(/Source of epoch/, "a version's source");
await look("privacy-versions");
await open("shop/privacy", ".announced");
await page.getByRole("button", { name: "Withdraw it" }).click();
await appear("dialog", "withdrawing asks");
await page.locator("dialog").getByRole("button", { name: "Withdraw it" }).click();
await gone(".announced", "what was announced is withdrawn");
holds((await inForce("?project=shop")).announced === null, "the server still announces it");

// What only tightens holds at once.
await open("shop/privacy/change", ".policy-editor .cm-content");
await write(policy(`[collect]\nuser_agent = "family_only"\n[consent.mode]\ndefault = "opt_in"\n[notice]\ncontact = "privacy@shop.example"\n[controller]\nname = "Shop"\n${retention("3d")}[[scrub.rule]]\nid = "mail"\nat = "**"\ndetect = ["email", "phone"]\naction = "replace:[mail]"\n`));
await see("it may be applied", "a stricter policy");
await page.getByRole("button", { name: /^Apply/ }).click();
await appear("dialog", "applying asks");
holds(!(await text("dialog")).includes("Waits"), "what tightens waits");
await page.getByRole("button", { name: "Apply it" }).click();
await see(/Epoch \d+ holds/, "it holds at once");
await see("this holds", "what was applied is what is written");
holds((await inForce("?project=shop")).in_force.policy.activity[0].retention.live === "3d", "the policy does not hold");

// The tester: chips where something went or was replaced, each with its clause; persons as codes; switches.
await open("shop/privacy/test", ".sides tr[data-fate]");
await see("scrub.rule.payment", "the clause of a card");
holds(await page.locator(".sides .veil").count() >= 4, "what was removed is not drawn");
holds(await page.locator(".tester-sum .person").count() > 0, "no code of a person");
await look("privacy-test");
await page.getByLabel("Sent by a browser").check();
await see("No code of a person", "a browser's user has not agreed");
holds(/browser=1/.test(page.url()), "a switch is not in the address");
await page.getByRole("button", { name: "A log record" }).click();
await see("checkout of", "another sample");
holds(await page.getByLabel("Sent as").inputValue() === "logs", "a log record is sent as an error");
await glance("privacy-test-log");
await page.getByLabel("Record, as JSON").fill("{");
await see("This is not JSON", "what is no JSON");
await page.getByLabel("Record, as JSON").fill('{"message": "order 12345678901234567890123 of ada@example.org", "password": "hunter2-prod"}');
await appear('.sides tr:has-text("password") .veil', "a secret by its name");
holds((await text(".sides")).includes("[mail]"), "the rule of the project is not tried");
holds((await api("POST", "/api/v1/query", { project: "shop", sql: "SELECT count(*) FROM logs" })).json.rows[0][0] === 0, "a record that was tried is stored");
await open("shop/privacy/change", ".policy-editor .cm-content");
await write(policy('[[scrub.rule]]\nid = "none"\nat = "**"\ndetect = ["card"]\naction = "drop_event"\n'));
await see("it may be applied", "a rule that drops");
await open("shop/privacy/test?edited=1", ".dropped");
await see("A rule of the policy drops the whole record", "why it is dropped");
await look("privacy-dropped");
await open("shop/privacy/change", ".policy-editor .cm-content");
await page.getByRole("button", { name: "Back to what holds" }).click();
await see("this holds", "a draft is thrown away");

// The data map says what the policy in force says.
await open("shop/privacy/map", ".map tbody tr");
holds(/errors[^]*3 days/.test(await text(".map")), "the data map says another time than the policy");
holds((await text(".deeds")).includes("scrub.rule.mail"), "a rule is not in the data map");
await look("privacy-map");

// The ledger has what was done: a read by a query, with its proof; filtered by what was done; copied.
await open("shop/privacy/ledger", ".ledger-list tbody tr");
holds((await page.locator(".ledger-list tbody tr").allInnerTexts()).some((row) => row.includes("rows were read") && row.includes("ada@example.org")), "a query is not in the ledger");
await page.keyboard.press("j");
await appear(".drawer .drawer-text >> nth=1", "an entry with its proof");
holds(/row=\d+/.test(page.url()), "an open entry is not in the address");
await look("privacy-ledger");
await page.getByRole("button", { name: "Copy the proof" }).click();
const copied = await page.evaluate(() => navigator.clipboard.readText());
holds(copied === await page.locator(".drawer-text").nth(1).evaluate((proof) => proof.textContent) && copied.length > 100, `what is copied is no proof: ${copied.slice(0, 80)}`);
await page.keyboard.press("Escape");
await gone(".drawer", "escape closes an entry");
await page.getByLabel("Of what kind").selectOption("reveal");
await see("None of that kind", "nothing was revealed");
await page.getByLabel("Of what kind").selectOption("read");
await appear(".ledger-list tbody tr", "reads alone");
await page.getByRole("button", { name: "Copy the checkpoint" }).click();
await see("Copied", "the checkpoint is copied");

// The page that people read, of a policy of its own.
await open("shop/privacy", ".code");
const page_ = await page.getByRole("link", { name: "As people read it" }).getAttribute("href");
const published = await api("GET", page_);
holds(page_ === "/privacy/default/shop" && published.status === 200, `the published page ${page_} answers ${published.status}`);

// By Tab alone.
for (const [name, path, selector] of [["privacy", "shop/privacy", ".code"], ["privacy change", "shop/privacy/change", ".policy-editor .cm-content"], ["privacy versions", "shop/privacy/versions", ".versions tbody tr"], ["privacy test", "shop/privacy/test", ".sides tr[data-fate]"], ["privacy map", "shop/privacy/map", ".deeds"], ["privacy ledger", "shop/privacy/ledger", ".ledger-list tbody tr"]]) {
  await open(path, selector);
  await walk(page, name);
}

// Who may not change it sees nothing that does, and can still try.
await page.route(/\/api\/v1\/me$/, async (route) => {
  const answer = await route.fetch();
  const me = await answer.json();
  await route.fulfill({ response: answer, json: { ...me, orgs: me.orgs.map((org) => ({ ...org, role: "member" })) } });
});
await open("shop/privacy/change", ".policy-editor .cm-content");
await see("Only an owner of the organisation applies a policy", "why there is no button");
holds(await page.getByRole("button", { name: /^Apply/ }).count() === 0, "who may not change the policy sees Apply");
await page.unroute(/\/api\/v1\/me$/);

// Narrow: readable, and nothing scrolls sideways.
const views = {
  policy: ["shop/privacy", ".code"], change: ["shop/privacy/change", ".policy-editor .cm-content"], versions: ["shop/privacy/versions", ".versions tbody tr"],
  compare: ["shop/privacy/versions?to=1&of=instance", ".compare-bar"], test: ["shop/privacy/test", ".sides tr[data-fate]"], map: ["shop/privacy/map", ".deeds"], ledger: ["shop/privacy/ledger", ".ledger-list tbody tr"],
};
for (const [width, names] of [[360, Object.keys(views)], [1024, ["test", "change", "map", "ledger"]]]) {
  await page.setViewportSize({ width, height: 760 });
  for (const name of names) {
    await open(...views[name]);
    const over = await page.evaluate(() => Math.max(document.documentElement.scrollWidth - innerWidth, (document.querySelector("main")?.scrollWidth ?? 0) - (document.querySelector("main")?.clientWidth ?? 0)));
    holds(over <= 0, `${name} at ${width} px scrolls ${over} px sideways`);
    if (process.env.CANDOR_SCREENSHOTS) await page.screenshot({ path: `${out}/privacy-${name}-${width}.png` });
  }
}
// What the area adds to the first load, editor included, to somebody whose browser has none of it.
const fresh = await screen.browser.newContext({ storageState: await screen.context.storageState() });
const first = await fresh.newPage();
await first.goto(`${origin}/app/shop/privacy/change`);
await first.locator(".policy-editor .cm-content").waitFor();
const sizes = await first.evaluate(() => performance.getEntriesByType("resource").filter((r) => r.name.includes("/assets/")).map((r) => [r.name.replace(/.*assets\//, ""), r.encodedBodySize]));
const bytes = sizes.filter(([file]) => !/^index-|\.woff2$/.test(file)).reduce((sum, [, size]) => sum + size, 0);
holds(bytes > 0 && bytes <= routeMost, `Privacy adds ${bytes} bytes`);
say({ route_bytes: bytes });
holds(screen.foreign.size === 0, `third parties were asked: ${[...screen.foreign].slice(0, 5).join(" ")}`);
await screen.browser.close();
say({ wrong: wrong.length });
process.exit(wrong.length ? 1 : 0);
