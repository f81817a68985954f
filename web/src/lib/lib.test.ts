import { describe, expect, test } from "vitest";
import { ago, bytes, duration, level, millis } from "./format";
import { href } from "./route";
import { snippets } from "./snippets";
import { plotted } from "../parts/Chart";
import { stack } from "../parts/Histogram";
import { toggleTerm } from "../views/Explore";

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

test("levels of different words stack as one", () => {
  const { series } = stack([{ t: "2026-11-20T12:00:00Z", counts: { ERROR: 2, error: 1, INFO: 4 } }]);
  expect(series).toEqual([["info", [4]], ["error", [3]]]);
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
