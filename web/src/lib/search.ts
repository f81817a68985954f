// The search language as the screen writes it, and what a log record's row says.
import type { Cell, Record_ } from "./api";

/** `key:value`, quoted where the value needs it. */
export function term(key: string, value: string): string {
  return `${key}:${/^[\w.\-/]+$/.test(value) ? value : `"${value.replace(/(["\\])/g, "\\$1")}"`}`;
}

/** The terms of a search text: words, `key:value`, and quoted phrases as one. */
function terms(q: string): string[] {
  return q.match(/(?:[^\s"]|"(?:[^"\\]|\\.)*"?)+/g) ?? [];
}

export const hasTerm = (q: string, key: string, value: string) => terms(q).includes(term(key, value));

/** Adds or removes `key:value` in a search text. */
export function toggleTerm(q: string, key: string, value: string): string {
  const wanted = term(key, value);
  const all = terms(q);
  return (all.includes(wanted) ? all.filter((t) => t !== wanted) : [...all, wanted]).join(" ");
}

/** Adds `-key:value`. */
export const withoutTerm = (q: string, key: string, value: string) => `${q} -${term(key, value)}`.trim();

/** A column's text; of anything but text, its JSON. */
export function cellText(cell: Cell | undefined): string {
  return cell === null || cell === undefined ? "" : typeof cell === "object" ? JSON.stringify(cell) : String(cell);
}

/** A column of a record, or an attribute of that name. */
export function field(row: Record_, name: string): string {
  if (name in row) return cellText(row[name]);
  const attributes = row.attributes;
  return attributes && typeof attributes === "object" && !Array.isArray(attributes) ? cellText(attributes[name]) : "";
}

/** A record's place in the log, as an address names it. */
export const placeOf = (row: Record_) => `${row._partition ?? 0}-${row._offset}`;

export function parsePlace(text: string | null): { partition: number; offset: number } | undefined {
  const match = /^(\d{1,10})-(\d{1,18})$/.exec(text ?? "");
  return match ? { partition: Number(match[1]), offset: Number(match[2]) } : undefined;
}
