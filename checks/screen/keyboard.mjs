// Each view by keyboard alone: Tab reaches everything and is held nowhere, the focus can be seen, keys do what the
// help says, Escape closes what they opened.
import { fail, say } from "./browser.mjs";

const stepsMost = 400;
const completionMsMost = 50;
/** Marks where Tab stands, and says whether it can be seen there. */
function focused() {
  const e = document.activeElement;
  if (!e || e === document.body) return null;
  e.dataset.reached = "1";
  const shown = (n) => { const s = getComputedStyle(n); return (s.outlineStyle !== "none" && parseFloat(s.outlineWidth) > 0) || s.boxShadow !== "none"; };
  const box = e.getBoundingClientRect();
  const name = `${e.tagName.toLowerCase()}${e.id ? `#${e.id}` : ""} "${(e.getAttribute("aria-label") ?? e.textContent ?? "").trim().slice(0, 30)}"`;
  // A column's handle changes its own ground; the editor's frame stands around it.
  const seen = shown(e) || e.getAttribute("role") === "separator" || e.closest(".editor, .cm-editor") !== null;
  return { name, seen, inside: box.width > 0 && box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth };
}

/** What a mouse could use here that Tab has not reached. */
function missed() {
  const all = [...document.querySelectorAll("a[href], button:not([disabled]), input, select, textarea, summary, [tabindex='0'], [contenteditable='true']")];
  return all.filter((e) => e.tabIndex >= 0 && e.checkVisibility({ visibilityProperty: true }) && !e.dataset.reached)
    .map((e) => `${e.tagName.toLowerCase()} "${(e.getAttribute("aria-label") ?? e.textContent ?? "").trim().slice(0, 40)}"`);
}

/** Tab through a view from its beginning until it comes round. */
export async function walk(page, name) {
  await page.evaluate(() => { document.activeElement?.blur?.(); getSelection()?.removeAllRanges(); document.body.tabIndex = -1; document.body.focus(); document.body.removeAttribute("tabindex"); });
  const path = [];
  let round = false;
  for (let i = 0; i < stepsMost; i++) {
    await page.keyboard.press("Tab");
    const at = await page.evaluate(focused);
    if (at === null || (path.length > 2 && at.name === path[0])) { round = true; break; }
    if (!at.seen) fail(`${name}: the focus cannot be seen on ${at.name}`);
    if (!at.inside) fail(`${name}: the focus goes out of sight on ${at.name}`);
    if (at.name === path.at(-1) && at.name === path.at(-2)) { fail(`${name}: Tab is held at ${at.name}`); break; }
    path.push(at.name);
  }
  if (!round) fail(`${name}: Tab does not come round in ${stepsMost} steps`);
  for (const what of await page.evaluate(missed)) fail(`${name}: Tab does not reach ${what}`);
  say({ walked: name, stops: path.length });
}

/** From a letter typed to the list on the page, ms; a machine that was busy with something else is asked again. */
async function completionMs(page) {
  let took = 0;
  for (const letter of ["r", "v", "i"]) {
    took = await completionOf(page, letter);
    if (took <= completionMsMost) break;
    await page.keyboard.press("Escape");
    await page.waitForTimeout(200);
  }
  if (took > completionMsMost) fail(`completion takes ${took} ms`);
  return took;
}

async function completionOf(page, letter) {
  await page.evaluate(() => {
    const began = {};
    globalThis.completionMs = undefined;
    addEventListener("keydown", () => { began.at ??= performance.now(); }, { capture: true, once: true });
    new MutationObserver((_, seen) => {
      if (!document.querySelector(".cm-tooltip-autocomplete li")) return;
      globalThis.completionMs = performance.now() - began.at;
      seen.disconnect();
    }).observe(document.body, { childList: true, subtree: true });
  });
  await page.keyboard.press(letter);
  await page.waitForFunction(() => globalThis.completionMs !== undefined, null, { timeout: 5000 });
  return Math.round(await page.evaluate(() => globalThis.completionMs));
}

/** The keys of the help, each seen to do what it says. */
export async function keys({ page, origin, appear, gone, holds, allowing }) {
  const press = (...all) => all.reduce((before, key) => before.then(() => page.keyboard.press(key)), Promise.resolve());
  const text = (selector) => page.locator(selector).first().innerText();
  const focusedId = () => page.evaluate(() => document.activeElement?.id);
  await page.goto(`${origin}/app/shop/explore`);
  await appear(".rows .line", "keys");

  for (const [chord, view] of [["e", "errors"], ["s", "sql"], ["i", "start"], ["p", "settings"], ["l", "explore"]]) {
    await press("g", chord);
    await page.waitForURL(new RegExp(`/shop/${view}`), { timeout: 5000 }).catch(() => fail(`g ${chord} does not open ${view}`));
    // The editor of SQL does not take the focus by itself, else the next chord would be typed into it.
    await page.waitForTimeout(100);
  }
  await appear(".rows .line", "keys");
  await press("/");
  holds(await focusedId() === "q", "/ does not reach the search");
  await press("Escape");
  holds(await focusedId() !== "q", "escape does not leave the search");

  const chosen = () => page.locator(".rows .line[aria-selected=true]").getAttribute("aria-rowindex");
  const before = Number(await chosen());
  await press("j", "j", "k");
  holds(Number(await chosen()) === before + 1, `j j k moves from row ${before} to ${await chosen()}`);
  await press("Enter");
  await appear(".drawer", "enter opens the drawer");
  const first = await text(".drawer h2");
  await press("j");
  await page.waitForTimeout(100);
  holds(await text(".drawer h2") !== first, "j does not move the drawer to the next record");
  await page.goBack();
  await gone(".drawer", "back closes the drawer");
  await press("Enter");
  await appear(".drawer", "enter opens the drawer again");
  await press("Escape");
  await gone(".drawer", "escape closes the drawer");

  await press("c");
  await page.waitForTimeout(100);
  holds((await page.evaluate(() => navigator.clipboard.readText())).includes("_offset"), "c does not copy the row");
  await press("w");
  await appear(".line.wrap", "w wraps");
  await press("w");
  await press(".");
  await appear("[role=menu]", ". opens the row's menu");
  await press("ArrowDown", "Escape");
  await gone("[role=menu]", "escape closes the row's menu");
  await press("t");
  await appear(".range", "t opens the time range");
  await press("Escape");
  await gone(".range", "escape closes the time range");
  holds(await focusedId() === "range", "the focus does not go back to the time range");
  await press("?");
  await appear("dialog.help", "? opens the keys");
  await press("Escape");
  await gone("dialog.help", "escape closes the keys");
  await press("Control+k");
  await appear("dialog [role=listbox]", "⌘K opens the palette");
  await page.keyboard.type("settings");
  await press("Enter");
  await page.waitForURL(/\/shop\/settings/, { timeout: 5000 }).catch(() => fail("the palette does not go to what was typed"));

  // Enter on a button is the button's: it must not open the chosen row.
  await page.goto(`${origin}/app/shop/explore`);
  await appear(".rows .line", "enter on a button");
  await page.getByRole("button", { name: "Live" }).focus();
  await press("Enter");
  await page.waitForURL(/live=1/, { timeout: 5000 }).catch(() => fail("enter does not press the focused button"));
  holds(await page.locator(".drawer").count() === 0, "enter on a button opens a row");
  await press("l");
  await page.waitForURL((url) => !url.search.includes("live"), { timeout: 5000 }).catch(() => fail("l does not turn live off"));

  // A column is made wider with the arrows, and the address keeps it.
  await appear(".resizer", "column handles");
  await page.getByRole("separator", { name: "Width of Service" }).focus();
  await press("ArrowRight", "ArrowRight");
  await page.waitForURL(/w=service/, { timeout: 5000 }).catch(() => fail("arrows do not resize a column"));

  await page.goto(`${origin}/app/shop/sql?sql=${encodeURIComponent("SELECT service_name, count(*) AS n FROM logs GROUP BY 1 ORDER BY 1")}`);
  await appear(".cells-row", "SQL");
  await page.locator(".cells").focus();
  await press("ArrowRight", "j", "c");
  await page.waitForTimeout(100);
  const cell = await page.locator(".cells [aria-selected=true]").innerText();
  holds(cell !== "" && await page.evaluate(() => navigator.clipboard.readText()) === cell, `c does not copy the chosen cell ${cell}`);
  await press("Enter");
  await appear(".drawer", "enter opens the row of a result");
  await press("Escape");
  await gone(".drawer", "escape closes the row of a result");
  await press("v");
  await appear(".chart-whole, .sql-result > .page", "v shows the chart");
  await press("v");
  await page.locator(".cm-content").focus();
  await press("Control+a");
  await page.keyboard.type("SELECT se", { delay: 20 });
  await appear(".cm-tooltip-autocomplete", "completion");
  await press("Escape");
  await gone(".cm-tooltip-autocomplete", "escape closes the completion");
  say({ completion_ms: await completionMs(page) });
  holds((await text(".cm-tooltip-autocomplete li")).startsWith("service_name"), `completion begins with ${await text(".cm-tooltip-autocomplete li")}`);
  // The editor takes no choice within 75 ms of offering it: nobody meant it.
  await page.waitForTimeout(200);
  await press("Enter");
  await page.keyboard.type(" FROM logs LIMIT 3");
  await press("Control+Enter");
  await page.waitForFunction(() => document.querySelectorAll(".cells-row").length === 3, null, { timeout: 5000 }).catch(() => fail("⌘enter does not run the query"));

  await page.goto(`${origin}/app/shop/errors`);
  await appear(".issues tbody tr", "errors");
  await press("Enter");
  await appear(".issue-head", "enter opens the issue");
  await press("e");
  await appear(".issue-head .state-ok", "e resolves");
  await press("e");
  await gone(".issue-head .state-ok", "e opens again");
  await press("a");
  await appear(".issue-head .state-ok", "a archives");
  await press("a");
  await gone(".issue-head .state-ok", "a takes out of the archive");
  await press("Escape");
  await page.waitForURL(/\/shop\/errors$/, { timeout: 5000 }).catch(() => fail("escape does not go back to the list"));
  await allowing(/400/, async () => {
    await page.goto(`${origin}/app/shop/explore?q=${encodeURIComponent("level>=>")}`);
    await appear("[role=alert]", "a wrong search says so");
  });
}
