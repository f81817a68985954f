import { describe, expect, test } from "vitest";
import { compared, inOrderOf } from "./compared";
import { basisWords, deeds, isAt, mapRows, peersOf, signalName, spanWords, termWords } from "./datamap";
import { appliedBy, marks, planned, stateOf, written, type Change, type Policy, type Version } from "./policy";
import { tomlPieces } from "./toml";
import { faultOf } from "../privacy/Tester";
import { samples } from "../privacy/samples";
import { isVeiled } from "../parts/veil";

const change = (key: string, way: Change["class"]): Change => ({ key, class: way });
const dayMs = 86_400_000;
const days = (prior_days: number, subprocessor_days = prior_days) => ({ prior_days, subprocessor_days });

describe("what applying does", () => {
  const less = change("activity.errors.retention.live", "tightening"), more = change("collect.user_agent", "loosening"), same = change("notice.contact", "neutral"), both = change("scrub.rule.mail.at", "mixed");
  test("what does not loosen holds at once", () => {
    expect(planned([less, same], days(30), 0)).toEqual({ now: [less, same], later: [], at: undefined, days: 0 });
    expect(planned([], days(30), 0)).toEqual({ now: [], later: [], at: undefined, days: 0 });
  });
  test("what loosens or cannot be told waits for the notice period", () => {
    expect(planned([less, more, same, both], days(30), 1000)).toEqual({ now: [less, same], later: [more, both], at: 1000 + 30 * dayMs, days: 30 });
  });
  test("where nothing tightens the whole file waits", () => {
    expect(planned([more, same], days(7), 0)).toEqual({ now: [], later: [more, same], at: 7 * dayMs, days: 7 });
  });
  test("somebody else who gets data has a time of their own, and the longest counts", () => {
    const who = { ...change("recipient.pager", "loosening"), old: null, new: { id: "pager" } }, wider = { ...change("recipient.pager.endpoints", "loosening"), old: ["a"], new: ["a", "b"] };
    expect(planned([who], days(7, 45), 0).days).toBe(45);
    expect(planned([who], days(7, 2), 0).days).toBe(2);
    expect(planned([who, more], days(7, 2), 0).days).toBe(7);
    expect(planned([wider], days(7, 45), 0).days).toBe(7);
  });
});

describe("versions", () => {
  const version = (activated_at: string | null, ended_at: string | null) => stateOf({ activated_at, ended_at } as Version);
  test("a version is announced, holds, ends, or is withdrawn before it held", () => {
    expect([version(null, null), version("a", null), version("a", "b"), version(null, "b")]).toEqual(["announced", "holds", "ended", "withdrawn"]);
  });
  test("who applied one", () => {
    expect(appliedBy("user:7", { id: 7, email: "ada@example.org" })).toBe("ada@example.org");
    expect(appliedBy("user:8", { id: 7, email: "ada@example.org" })).toBe("user 8");
    expect(appliedBy("token:3")).toBe("token 3");
    expect(appliedBy("system:first-start")).toBe("the first start of the server");
  });
  test("values in one line", () => {
    expect(written(["a", "b"])).toBe("a, b");
    expect(written([])).toBe("none");
    expect(written(false)).toBe("false");
    expect(written({ id: "mail", detect: ["email"] })).toBe("id mail, detect email");
  });
});

test("faults come before what is refused, warnings last, each by its line", () => {
  const at = (line: number) => ({ file: "policy.toml", line, column: 1, key: "k", why: "w", write: "" });
  const found = marks({ faults: [at(9)], findings: [{ ...at(1), severity: "warning" }, { ...at(7), severity: "error" }, { ...at(3), severity: "error" }], changes: [] });
  expect(found.map((mark) => `${mark.severity} ${mark.line}`)).toEqual(["fault 9", "error 3", "error 7", "warning 1"]);
  expect(marks(undefined)).toEqual([]);
});

describe("the colours of TOML", () => {
  const kinds = (text: string) => tomlPieces(text.split("\n")).map((line) => line.filter(([kind, piece]) => kind && piece.trim()).map(([kind, piece]) => `${kind} ${piece}`));
  test("tables, keys, and values", () => {
    expect(kinds('[collect] # what\nip = { v4 = 24, derive = ["country"] }\n[[scrub.rule]]\nkeys_too = true')).toEqual([
      ["keyword [collect]", "comment # what"],
      ["propertyName ip", "operator =", "bracket {", "propertyName v4", "operator =", "number 24", "propertyName derive", "operator =", "bracket [", 'string "country"', "bracket ]", "bracket }"],
      ["keyword [[scrub.rule]]"], ["propertyName keys_too", "operator =", "bool true"],
    ]);
  });
  test("texts of several lines, lists of several lines, dotted and quoted keys", () => {
    expect(kinds('a = """one\n[no table]\nend"""\nb.c = 1')).toEqual([["propertyName a", "operator =", 'string """one'], ["string [no table]"], ['string end"""'], ["propertyName b", "propertyName c", "operator =", "number 1"]]);
    expect(kinds("x = [\n  1,\n]\ny = 2026-12-01")).toEqual([["propertyName x", "operator =", "bracket ["], ["number 1"], ["bracket ]"], ["propertyName y", "operator =", "number 2026-12-01"]]);
  });
});

describe("a record before and after", () => {
  const shown = (before: unknown, after: unknown) => compared(before, after).map((r) => `${r.place}|${r.fate}|${r.before ?? ""}|${r.after ?? ""}`);
  test("what is equal, replaced, removed and new", () => {
    expect(shown({ a: 1, mail: "x@y.z", b: 2 }, { a: 1, mail: "[email]" })).toEqual(["|same|{|{", "a|same|1|1", 'mail|changed|"x@y.z"|"[email]"', "b|removed|2|", "|same|}|}"]);
    expect(shown({ a: 1, gone: { deep: [1] } }, { a: 1 })).toEqual([
      "|same|{|{", "a|same|1|1", "gone|removed|{|", "gone.deep|removed|[|", "gone.deep.0|removed|1|", "gone.deep|removed|]|", "gone|removed|}|", "|same|}|}",
    ]);
    expect(compared({ a: 1, gone: { deep: 1 } }, { a: 1 }).filter((r) => r.begins).map((r) => r.place)).toEqual(["gone"]);
  });
  test("a name that the gate changed stands beside what it was", () => {
    expect(compared({ "card 4111": 1 }, { "card [card]": 1 })[1]).toMatchObject({ fate: "changed", nameBefore: "card 4111", nameAfter: "card [card]" });
  });
  test("a new name is no other's new name", () => {
    expect(compared({ geo: 1 }, { country: "DE" }).map((row) => row.fate)).toEqual(["same", "removed", "added", "same"]);
  });
  test("members stand in the order in which they were written", () => {
    expect(JSON.stringify(inOrderOf({ a: { x: 1, y: 2 }, b: [{ c: 1, d: 2 }], z: 0 }, { b: [{ d: 0, c: 0 }], a: { y: 0 } }))).toBe('{"b":[{"d":2,"c":1}],"a":{"y":2,"x":1},"z":0}');
    expect(JSON.stringify(inOrderOf({ attributes: { level: 1, host: 2 }, body: "b" }, { message: "b", host: 0, level: 0 }))).toBe('{"attributes":{"host":2,"level":1},"body":"b"}');
  });
  test("something new has no other side", () => {
    expect(shown({ a: 1 }, { a: 1, b: { c: 2 } })).toEqual(["|same|{|{", "a|same|1|1", "b|added||{", "b.c|added||2", "b|added||}", "|same|}|}"]);
  });
  test("of a dropped record everything went", () => {
    expect(compared({ a: 1 }, undefined).every((row) => row.fate === "removed" && row.after === undefined)).toBe(true);
  });
  test("lines are bounded", () => {
    const many = Object.fromEntries(Array.from({ length: 9000 }, (_, i) => [`k${i}`, i]));
    expect(compared(many, many).length).toBeLessThan(3010);
  });
});

test("placeholders and codes are veils, other brackets are not", () => {
  expect(["[email]", "a [session] of", "user:abcdefghijklmnopqrstuvwxyz"].every(isVeiled)).toBe(true);
  expect(isVeiled("Chrome 120 [beta]")).toBe(false);
});

test("a record is an object", () => {
  expect(faultOf('{"a": 1}')).toBeUndefined();
  expect(faultOf("[1]")).toMatch(/object/);
  expect(faultOf("{")).toMatch(/not JSON/);
  expect(faultOf(" ")).toMatch(/Paste/);
  expect(samples.map((sample) => faultOf(sample.record))).toEqual(samples.map(() => undefined));
});

describe("the data map", () => {
  const policy = {
    activity: [
      { id: "errors", signals: ["errors", "stream:orders", "stream:*"], subjects: [], data_categories: [], data_uses: ["essential.service.operations.improve"], legal_basis: "eu-gdpr:A6-1-f", retention: { live: "30d", max_lag: "1h", backups: "0d", basis: "fixed" } },
      { id: "ads", signals: ["logs"], subjects: [], data_categories: [], data_uses: ["marketing"], legal_basis: "eu-gdpr:A6-1-a", retention: { live: "1d", max_lag: "1h", backups: "0d", basis: "fixed" } },
    ],
    recipient: [{ id: "pager", name: "PagerCo", country: "US", role: "dpv:DataSubProcessor", uses: ["essential.service.operations"], endpoints: [], fields: [] }],
    collect: { unknown_fields: { default: "scrub", replays: "drop" }, fields: {}, enrichment: [], ip: { action: "generalise", v4: 24, v6: 48, derive: ["country"] }, user_agent: "family_only", location: "country", device_ids: "drop", streams: { "*": { opaque: "reject" } } },
    consent: { mode: { default: "opt_in" }, no_cookie: "anonymous", signals: { gpc: ["no_share"], dnt: [], beats_stored_consent: true }, children: { min_age: 16, below: "erase", parental_consent: true } },
    identity: { keys: ["user.id"], ip_is_identity: false, pseudonym: { scope: "site", vault: "per_subject_key" } },
    scrub: { on_error: "drop_event", keys_too: true, decode: [], rule: [{ id: "pay", at: "extra.note", detect: ["card"], action: "mask:4" }], allow: [] },
    governance: { changes: days(30) },
  } as Policy;
  test("a row for each signal, with who gets data for that use or what it is part of", () => {
    expect(mapRows(policy).map((row) => [row.signal, row.recipients.map((r) => r.id).join()])).toEqual([["errors", "pager"], ["stream:orders", "pager"], ["stream:*", "pager"], ["logs", ""]]);
    expect(["errors", "stream:orders", "stream:*"].map(signalName)).toEqual(["errors", "topic orders", "every other topic"]);
  });
  test("terms and spans in words", () => {
    expect([spanWords("30d"), spanWords("1h"), spanWords("soon")]).toEqual(["30 days", "1 hour", "soon"]);
    expect([basisWords("eu-gdpr:A6-1-a"), basisWords("other"), termWords("dpv:ServiceOptimisation"), termWords("anonymous_user")]).toEqual(["consent", "other", "service optimisation", "anonymous user"]);
  });
  test("what the gate does, each with its key", () => {
    const by = Object.fromEntries(deeds(policy).map((deed) => [deed.key, deed.does]));
    expect(by["collect.ip"]).toBe("The first 24 bits of IPv4 and 48 bits of IPv6 stay, the rest becomes zero; kept in their place: country.");
    expect(by["collect.unknown_fields.replays"]).toBe("They are dropped.");
    expect(by["consent.signals.dnt"]).toBe("It is ignored.");
    expect(by["scrub.rule.pay"]).toBe("card at extra.note: mask:4.");
    expect(by["collect.streams.*"]).toBe("binary values are refused.");
  });
});

describe("where records are sent", () => {
  test("an address is a recipient's by host and port", () => {
    const cases: [string, string, boolean][] = [
      ["https://a.example", "A.example:443", true], ["https://a.example", "a.example:9092", false], ["kafka://a.example", "a.example:9092", true],
      ["a.example:9093", "a.example:9092", false], ["a.example", "a.example:1", true], ["*.a.example:1", "b.a.example:1", true],
      ["*.a.example:1", "a.example:1", false], ["*.a.example:1", "ba.example:1", false], ["[2001:db8::1]:1", "[2001:db8::1]:1", true],
    ];
    for (const [endpoint, address, expected] of cases) expect([endpoint, address, isAt(endpoint, address)]).toEqual([endpoint, address, expected]);
  });
  test("bridges that pull send nothing, and this machine is nobody else", () => {
    const recipient = { id: "mirror", endpoints: ["mirror.example:9092"] } as Policy["recipient"][number];
    const peers = peersOf([
      { name: "in", direction: "pull", bootstrap: ["x.example:1"] }, { name: "out", direction: "push", bootstrap: ["mirror.example:9092", "127.0.0.1:1", "y.example:1"] },
    ], [recipient]);
    expect(peers.map((peer) => [peer.address, peer.declared.map((r) => r.id), peer.here])).toEqual([["mirror.example:9092", ["mirror"], false], ["127.0.0.1:1", [], true], ["y.example:1", [], false]]);
  });
});
