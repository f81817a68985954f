// What may follow in a search text: keys and values that the records at hand have, and how the language is written.
import type { Record_, SearchResult } from "./api";
import { level } from "./format";
import { term } from "./search";

export interface Suggestion { text: string; hint: string }
export interface Suggestions { from: number; items: Suggestion[] }
export interface Vocabulary { keys: string[]; values: Map<string, [value: string, count: number][]> }

const itemsMost = 8;
/** Rows whose attributes are looked at: those on the first screen say what there is. */
const rowsRead = 200;
const shortNames: Record<string, string> = { service_name: "service", severity_text: "level", host_name: "host", source: "source" };
const levels = ["trace", "debug", "info", "warn", "error", "fatal"];

/** The keys and values of an answer. */
export function vocabularyOf(found: SearchResult | undefined, rows: Record_[]): Vocabulary {
  const values: Vocabulary["values"] = new Map();
  for (const [column, list] of Object.entries(found?.facets ?? {})) values.set(shortNames[column] ?? column, list.filter(([value]) => value !== ""));
  values.set("level", levels.map((name) => [name, (found?.facets.severity_text ?? []).reduce((sum, [word, n]) => sum + (level(word).startsWith(name) ? n : 0), 0)]));
  const attributes = new Set<string>();
  for (const row of rows.slice(0, rowsRead)) for (const key of Object.keys((row.attributes ?? {}) as object)) attributes.add(key);
  return { keys: ["service", "level", "host", "source", "trace", "span", "subject", ...[...attributes].sort()], values };
}

/** Suggestions for the word that ends at the cursor; none where nothing would be new. */
export function suggest(before: string, words: Vocabulary): Suggestions | undefined {
  const word = /(?:^|[\s(])(-?)((?:[^\s"()]|"(?:[^"\\]|\\.)*"?)*)$/.exec(before)?.[2] ?? "";
  if (!word) return undefined;
  const from = before.length - word.length;
  const colon = /^([\w.]+)(:(?:>=|<=|>|<)?|>=|<=|>|<)"?(.*)$/.exec(word);
  if (colon) {
    const [, key = "", sign = "", typed = ""] = colon;
    const items = (words.values.get(key) ?? []).filter(([value]) => value.toLowerCase().includes(typed.toLowerCase()) && value !== typed)
      .map(([value, n]) => ({ text: `${key}${sign}${term("", value).slice(1)}`, hint: n ? String(n) : "" }));
    return items.length ? { from, items: items.slice(0, itemsMost) } : undefined;
  }
  const lower = word.toLowerCase();
  const items = words.keys.filter((key) => key.toLowerCase().includes(lower))
    .sort((a, b) => Number(b.toLowerCase().startsWith(lower)) - Number(a.toLowerCase().startsWith(lower)))
    .map((key) => ({ text: `${key}:`, hint: words.values.has(key) ? "" : "attribute" }));
  return items.length ? { from, items: items.slice(0, itemsMost) } : undefined;
}

/** The language by example: what the panel beside the field shows. */
export const syntax: [example: string, meaning: string][] = [
  ["timed out", "both words, anywhere in a record"], ['"timed out"', "the phrase"], ["service:cart", "exactly this value; host, level, source, trace or any attribute"],
  ["level>=error", "error and worse; numbers and times compare too"], ["host:web*", "* stands for anything"], ["order:*", "has an order at all"],
  ["-healthcheck", "without it"], ["(a OR b)", "one of them"], ["path:~^/api", "a regular expression"],
];
