import { describe, expect, test } from "vitest";
import { choices, tablesOf } from "./complete";
import { ago, bytes, duration, exact, level, millis, span } from "./format";
import { StringStream } from "@codemirror/language";
import { lexer } from "./lexer";
import { href } from "./route";
import { parsePlace, placeOf, toggleTerm, withoutTerm } from "./search";
import { snippets } from "./snippets";
import { suggest } from "./suggest";
import { missed, recordOf } from "./tail";
import { goalsFor } from "./views";
import { parseWidths } from "./widths";
import { byLevel } from "../explore/Facets";
import { plotted } from "../parts/Chart";
import { stack } from "../parts/Histogram";
import { tagBars } from "../parts/IssueFacts";
import { seriesTokens } from "../parts/plot";
import { removals } from "../parts/veil";

describe("words for numbers", () => {
  test("relative times", () => {
    const now = Date.parse("2026-11-20T12:00:00Z");
    expect(ago("2026-11-20T11:59:58Z", now)).toBe("now");
    expect(ago("2026-11-20T11:57:00Z", now)).toBe("3 min ago");
    expect(ago("2026-11-20T14:00:00Z", now)).toBe("in 2 h");
    expect(ago("1970-01-01T00:00:00Z", now)).toBe("1970-01-01");
  });
  test("sizes and durations", () => {
    expect(bytes(1_234_567)).toBe("1.2 MB");
    expect(bytes(12)).toBe("12 B");
    expect(millis(1234)).toBe("1.2 s");
    expect(duration("15m")).toBe(900_000);
    expect(duration("15 fortnights")).toBeUndefined();
  });
  test("a severity number beats the sender's word", () => {
    expect(level("weird", 17)).toBe("error");
    expect(level("WARN")).toBe("warning");
    expect(level(null)).toBe("unknown");
  });
});

test("addresses escape what they carry", () => {
  expect(href(["a/b", "explore"], { q: 'x "y"', empty: undefined })).toBe("/app/a%2Fb/explore?q=x+%22y%22");
});

test("a facet's term goes in and comes out of the search", () => {
  const once = toggleTerm("timed out", "service", "my cart");
  expect(once).toBe('timed out service:"my cart"');
  expect(toggleTerm(once, "service", "my cart")).toBe("timed out");
});

test("a term inside another is not taken for it", () => {
  expect(toggleTerm("service:cart-v2", "service", "cart")).toBe("service:cart-v2 service:cart");
  expect(withoutTerm("", "host", "web 1")).toBe('-host:"web 1"');
});

test("levels of different words count and stack as one, and empty buckets are drawn", () => {
  const at = Date.parse("2026-11-20T12:00:00Z");
  const histogram = { bucket_us: 60_000_000, buckets: [{ t: at * 1000, counts: { ERROR: 2, error: 1, info: 4 } as Record<string, number> }, { t: (at + 120_000) * 1000, counts: { info: 1 } as Record<string, number> }] };
  const { times, series } = stack(histogram, at, at + 180_000);
  expect(times).toEqual([at / 1000, at / 1000 + 60, at / 1000 + 120]);
  expect(series).toEqual([["info", [4, 0, 1]], ["error", [3, 0, 0]]]);
  expect(byLevel([["info", 5], ["ERROR", 2], ["error", 4], ["INFO", 2]])).toEqual([["info", 7], ["error", 6]]);
});

test("suggestions follow what is typed", () => {
  const words = { keys: ["service", "level", "order", "deploy.service"], values: new Map<string, [string, number][]>([["service", [["cart", 5], ["my web", 2]]], ["level", [["error", 3], ["warn", 1]]]]) };
  const texts = (before: string) => suggest(before, words)?.items.map((item) => item.text);
  expect(texts("timed out ser")).toEqual(["service:", "deploy.service:"]);
  expect(texts("service:")).toEqual(["service:cart", 'service:"my web"']);
  expect(texts("-service:w")).toEqual(['service:"my web"']);
  expect(suggest("-service:w", words)?.from).toBe(1);
  expect(texts("level>=e")).toEqual(["level>=error"]);
  expect(texts('order:"not known')).toBeUndefined();
  expect(texts("service:cart ")).toBeUndefined();
});

test("times read on the chosen clock", () => {
  expect(exact("2026-11-20T12:04:31.204567Z", "utc")).toBe("2026-11-20 12:04:31.204");
  expect(exact("no time", "utc")).toBe("no time");
  const at = new Date(2026, 10, 20, 12, 0).getTime();
  expect(span(at, at + 60_000)).toBe("2026-11-20 12:00 to 12:01");
});

test("completion knows the tables that the query reads", () => {
  const table = (name: string, ...columns: string[]) => ({ name, columns: columns.map((c) => ({ name: c, type: "VARCHAR" })) });
  const schema = { tables: [table("logs", "service_name", "body"), table("errors", "type")], functions: [{ name: "sum", kind: "aggregate" }] };
  expect(tablesOf('SELECT 1 FROM logs l JOIN "errors" e')).toEqual(["logs", "errors"]);
  const labels = (before: string, after = "") => choices(before, before + after, schema).filter((c) => c.boost > 0).map((c) => c.label);
  expect(labels("SELECT ser", " FROM logs")).toEqual(["service_name", "body", "logs", "errors"]);
  expect(labels("SELECT * FROM ")).toEqual(["logs", "errors"]);
  expect(labels("SELECT errors.")).toEqual(["type"]);
});

test("the palette finds ids, DSNs and offsets", () => {
  const me = { user: { id: 1, email: "a@b" }, orgs: [{ name: "one", role: "owner", projects: [{ name: "shop", number: 1 }] }, { name: "two", role: "admin", projects: [{ name: "web", number: 7 }] }] };
  const first = (text: string) => goalsFor(text, me, "shop")[0]?.address;
  expect(first("3e3f48e0-5e07-325f-6ba6-1e7ec4403304")).toBe("/app/shop/events/3e3f48e05e07325f6ba61e7ec4403304");
  expect(first("http://93dd4e49f918dab0958e7a152cd4c367@127.0.0.1:8080/7")).toBe("/app/two%2Fweb/settings");
  expect(first("offset 4711")).toBe("/app/shop/explore?row=0-4711");
  expect(first("candor.errors")).toBe("/app/shop/errors");
  expect(first("timed out")).toBe("/app/shop/explore?q=timed+out");
  expect(parsePlace("0-4711")).toEqual({ partition: 0, offset: 4711 });
  expect(parsePlace("0-47; DROP")).toBeUndefined();
});

test("what the gate removed is found with its place", () => {
  const event = { user: { id: "user:rsmkpwwkwcbcraq5kte2qvr6iy", ip_address: "[ip]" }, extra: { list: ["a [card] and [card]"], note: "[unknown]" } };
  expect(removals(event)).toEqual([
    { kind: "person", path: "user.id" }, { kind: "ip", path: "user.ip_address" }, { kind: "card", path: "extra.list.0" }, { kind: "card", path: "extra.list.0" },
  ]);
});

test("tags become bars, the commonest first", () => {
  expect(tagBars([{ page: "/a", env: "x" }, { page: "/b" }, { page: "/a" }])).toEqual([
    { key: "page", values: [["/a", 2], ["/b", 1]], events: 3 }, { key: "env", values: [["x", 1]], events: 1 },
  ]);
});

test("series of one chart never share a colour while there are colours left", () => {
  const tokens = seriesTokens(["cart", "storefront", "payments", "a", "b", "c", "d", "e"]);
  expect(new Set(tokens.values()).size).toBe(8);
});

test("column widths from an address are bounded, whatever it says", () => {
  expect([...parseWidths("time:190,a%3Ab:9999,bad,x:NaN,y:1")]).toEqual([["time", 190], ["a:b", 1200], ["y", 48]]);
});

test("a record of the tail has its place in the log", () => {
  expect(placeOf(recordOf('{"body":"m1"}', "17")!)).toBe("0-17");
  expect(recordOf("no JSON", "17")).toBeUndefined();
});

test("a tail's word about missed records is read, whatever it holds", () => {
  expect(missed('{"count":12}')).toBe(12);
  expect(missed("nonsense")).toBe(0);
});

test("a result becomes a chart split by its text column", () => {
  const result = {
    columns: [{ name: "minute", type: "TIMESTAMP" }, { name: "level", type: "VARCHAR" }, { name: "n", type: "BIGINT" }],
    rows: [["2026-11-20T12:00:00Z", "info", 3], ["2026-11-20T12:01:00Z", "error", 1]], truncated: false,
    stats: { elapsed_ms: 1, cpu_ms: 1, rows_scanned: 2, bytes_scanned: 0, files: 0, files_pruned: 0 },
  };
  const chart = plotted(result);
  expect(typeof chart === "string" ? chart : chart.series).toEqual([{ name: "info", ys: [3, null] }, { name: "error", ys: [null, 1] }]);
  expect(plotted({ ...result, columns: [{ name: "a", type: "VARCHAR" }], rows: [["x"]] })).toContain("needs a time");
});

test("every snippet names the host or the DSN it was given", () => {
  for (const s of snippets) {
    const code = s.code({ host: "http://h:1", dsn: "http://k@h:1/7", token: "tok", project: "shop" });
    expect(code).toMatch(/h:1/);
  }
});

describe("colours of SQL", () => {
  const colored = (...lines: string[]) => {
    const state = lexer.startState!(2);
    return lines.map((line) => {
      const stream = new StringStream(line, 2, 2), found: string[] = [];
      while (!stream.eol()) {
        stream.start = stream.pos;
        const kind = lexer.token(stream, state);
        expect(stream.pos).toBeGreaterThan(stream.start);
        if (kind) found.push(`${kind}:${stream.current()}`);
      }
      return found.join(" ");
    });
  };
  test("words, names, numbers and texts", () => {
    expect(colored(`SELECT "a b", 1.5e3, null FROM logs`)).toEqual([`keyword:SELECT variableName:"a b" operator:, number:1.5e3 operator:, null:null keyword:FROM variableName:logs`]);
    expect(colored("cast(x as varchar) -- 'not text'")).toEqual(["keyword:cast operator:( variableName:x keyword:as typeName:varchar operator:) comment:-- 'not text'"]);
  });
  test("a text and a comment of several lines", () => {
    expect(colored("'it''s", "still' from", "/* a /* b */", "c */ 'x'")).toEqual(["string:'it''s", "string:still' keyword:from", expect.stringMatching(/^(comment:.+ ?)+$/), expect.stringMatching(/comment:.* string:'x'$/)]);
  });
});
