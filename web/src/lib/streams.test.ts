import { describe, expect, test } from "vitest";
import { hexDump, hexLine, kept, messageOf, oneLine, partBytes, perSecond, placeOfMessage, pretty, sqlOf, streamSnippets, textBytes, toBase64, type LagHistory, type Part, type Rule } from "./streams";
import { endedBy } from "./tail";
import { goalsFor } from "./views";
import { aboutWhat } from "../streams/Access";
import { ranges } from "../streams/Group";
import { linesOf } from "../streams/LagChart";
import { formsOf, shownAs } from "../streams/MessageDrawer";
import { meaning } from "../streams/ResetDialog";

const part = (more: Partial<Part>): Part => ({ kind: "text", text: null, base64: null, size: 0, cut: false, schema_id: null, schema: null, ...more });

describe("how messages read", () => {
  test("JSON is indented and nothing else of it changes", () => {
    expect(pretty('{"a":[1,2.50,12345678901234567890],"b":{ },"c":[],"d":"x,{y}:\\"z\\\\"}')).toBe(
      '{\n  "a": [\n    1,\n    2.50,\n    12345678901234567890\n  ],\n  "b": {},\n  "c": [],\n  "d": "x,{y}:\\"z\\\\"\n}');
    // A beginning that was cut off, and what is no JSON, come out whole all the same.
    expect(pretty('{"a":"cut of')).toBe('{\n  "a": "cut of');
    expect(pretty("]]]")).toBe("\n]\n]\n]");
  });
  test("bytes are hex and base64, and the same again", () => {
    const bytes = Uint8Array.from({ length: 20 }, (_, i) => i * 13);
    expect(partBytes(part({ base64: toBase64(bytes) }))).toEqual(bytes);
    expect(hexLine(bytes, 3)).toBe("00 0d 1a …");
    expect(hexDump(textBytes("order-1\u00e9!")).split("\n")).toEqual(["000000  6f 72 64 65 72 2d 31 c3  order-1·", "000008  a9 21                    ·!"]);
  });
  test("a part offers the forms that it has", () => {
    const json = part({ kind: "json", text: '{"a":1}' });
    expect(formsOf(json)).toEqual(["json", "text", "hex", "base64"]);
    expect(shownAs(json, "base64")).toBe("eyJhIjoxfQ==");
    expect(formsOf(part({ kind: "binary", base64: "AAAA" }))).toEqual(["hex", "base64"]);
    // What a schema was read out of is not made up of its words.
    expect(formsOf(part({ kind: "json", text: "{}", base64: "AAAAAAc=", schema: "avro Order", schema_id: 7 }))).toEqual(["json", "hex", "base64"]);
  });
  test("lines, places and events", () => {
    expect(oneLine(part({ text: "a\n  b\tc" }))).toBe("a b c");
    expect(oneLine(null)).toBe("");
    expect(placeOfMessage({ partition: 3, offset: 41 })).toBe("3-41");
    expect(messageOf("not json")).toBeUndefined();
    expect(endedBy('{"detail":"the topic was deleted"}')).toBe("the topic was deleted");
    expect(endedBy("?")).toBe("");
  });
});

test("retention, rates and SQL in words", () => {
  expect([kept(null), kept(604_800_000), kept(86_400_000), kept(90_000), kept(1500), kept(20)]).toEqual(["for ever", "7 days", "1 day", "90 seconds", "2 seconds", "20 ms"]);
  expect([perSecond(null), perSecond(0), perSecond(0.01), perSecond(0.25), perSecond(1234.5)]).toEqual(["…", "0/s", "<0.1/s", "0.3/s", "1,235/s"]);
  expect(sqlOf('odd"name')).toBe('SELECT * FROM stream."odd""name"');
});

test("snippets hold the real address, name and protocol", () => {
  for (const snippet of streamSnippets) {
    const code = snippet.code({ bootstrap: "kafka.example:9093", username: "shop", password: "s3cret", tls: true, topic: "orders" });
    for (const words of ["kafka.example:9093", "shop", "s3cret", "SASL_SSL"]) expect(code, snippet.id).toContain(words);
  }
});

test("the palette finds topics and messages of them", () => {
  const me = { user: { id: 1, email: "ada@example.org" }, orgs: [{ name: "acme", role: "owner", projects: [{ name: "shop", number: 1 }] }] };
  const first = (text: string) => goalsFor(text, me, "shop", ["orders", "order-events"])[0];
  expect(first("order-e")?.address).toBe("/app/shop/streams/topics/order-events");
  expect(first("orders 2-4711")?.address).toBe("/app/shop/streams/topics/orders?row=2-4711");
  expect(first("candor.logs")?.address).toBe("/app/shop/explore");
});

test("lag is drawn by partition, or as its sum where lines could not be told apart", () => {
  const history = (n: number): LagHistory => ({ every_s: 5, times: ["2026-11-20T12:00:00Z"], sum: [n], partial: false, series: Array.from({ length: n }, (_, i) => ({ topic: "orders", partition: i, lags: [1] })) });
  expect(linesOf(history(1)).lines.map((l) => l.name)).toEqual(["partition 0"]);
  expect(linesOf(history(2)).lines.map((l) => l.name)).toEqual(["all together", "partition 0", "partition 1"]);
  expect(linesOf(history(9))).toMatchObject({ left: 9, lines: [{ name: "all together", ys: [9] }] });
});

test("groups, resets and rules in plain words", () => {
  expect(ranges([5, 0, 1, 2, 7, 6])).toBe("0-2, 5-7");
  expect([meaning(null, 3), meaning(3, 3), meaning(9, 3), meaning(3, 1203)]).toEqual(["begins here", "stays", "reads 6 again", "skips 1,200"]);
  const rule = (more: Partial<Rule>): Rule => ({ resource: "topic", name: "orders", prefixed: false, principal: "User:a", host: "*", operation: "read", allow: true, ...more });
  expect([aboutWhat(rule({})), aboutWhat(rule({ name: "*" })), aboutWhat(rule({ prefixed: true, name: "tmp-" })), aboutWhat(rule({ resource: "cluster" }))]).toEqual(["topic orders", "every topic", "topics that begin with tmp-", "the cluster"]);
});
