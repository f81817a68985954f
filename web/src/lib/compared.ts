// A record before and after the gate, laid out in lines that stand beside each other.

/** `removed` stood there and went, `changed` has another value, `added` came. */
export type Fate = "same" | "changed" | "removed" | "added";
export interface Row {
  depth: number; fate: Fate;
  /** The place, as clauses name it: `user.email`. */
  place: string;
  /** Names on both sides; the gate may have changed one. Undefined in lists and at the top. */
  nameBefore?: string; nameAfter?: string;
  /** What stands there: a bracket, or a value as JSON. Undefined where nothing does. */
  before?: string; after?: string;
  /** Whether the texts are values, not brackets. */
  leaf: boolean;
  /** True for the line at which something that stands on one side alone begins. */
  begins?: boolean;
}

type Members = [name: string, value: unknown][];
const isTree = (value: unknown): value is object => value !== null && typeof value === "object";
const members = (value: object): Members => (Array.isArray(value) ? value.map((inner, i) => [String(i), inner]) : Object.entries(value));
const brackets = (value: object) => (Array.isArray(value) ? ["[", "]"] as const : ["{", "}"] as const);
const within = (place: string, name: string) => (place ? `${place}.${name}` : name);

/** Lines are bounded: whoever needs more than these reads the JSON. */
export const rowsMost = 3000;

/** The rows of two values; `after` undefined where the record is dropped. */
export function compared(before: unknown, after: unknown): Row[] {
  const rows: Row[] = [];
  both(rows, before, after, 0, "", {});
  return rows;
}

interface Names { nameBefore?: string; nameAfter?: string }

function both(rows: Row[], before: unknown, after: unknown, depth: number, place: string, names: Names) {
  if (rows.length >= rowsMost) return;
  if (isTree(before) && isTree(after) && Array.isArray(before) === Array.isArray(after)) {
    const [open, close] = brackets(before);
    const renamed = names.nameBefore !== names.nameAfter;
    rows.push({ depth, place, ...names, fate: renamed ? "changed" : "same", before: open, after: open, leaf: false });
    for (const [name, was, is, to] of paired(before, after)) {
      const list = Array.isArray(before), below = within(place, name);
      const inner = list ? {} : { nameBefore: name, nameAfter: to };
      if (to === undefined) one(rows, was, "removed", depth + 1, below, list ? undefined : name);
      else if (was === nothing) one(rows, is, "added", depth + 1, within(place, to), list ? undefined : to);
      else both(rows, was, is, depth + 1, below, inner);
    }
    rows.push({ depth, place, fate: "same", before: close, after: close, leaf: false });
    return;
  }
  if (after === undefined) return one(rows, before, "removed", depth, place, names.nameBefore);
  if (isTree(before) || isTree(after)) {
    one(rows, before, "removed", depth, place, names.nameBefore);
    one(rows, after, "added", depth, place, names.nameAfter);
    return;
  }
  const fate = before === after && names.nameBefore === names.nameAfter ? "same" : "changed";
  rows.push({ depth, place, ...names, fate, before: JSON.stringify(before), after: JSON.stringify(after), leaf: true });
}

const nothing = Symbol("nothing");

/** Members side by side: by name; of the rest those that are the same under a name that the gate changed. */
function paired(before: object, after: object): [name: string, was: unknown, is: unknown, to: string | undefined][] {
  const left = new Map(members(after));
  const a = members(before), here = new Set(a.map(([name]) => name));
  const renamed = (was: unknown) => [...left].find(([to, is]) => !here.has(to) && JSON.stringify(is) === JSON.stringify(was))?.[0];
  const out: [string, unknown, unknown, string | undefined][] = [];
  for (const [name, was] of a) {
    const to = left.has(name) ? name : renamed(was);
    out.push(to === undefined ? [name, was, undefined, undefined] : [name, was, left.get(to), to]);
    if (to !== undefined) left.delete(to);
  }
  for (const [name, is] of left) out.push([name, nothing, is, name]);
  return out;
}

/** A value with its members in the order of another: people find what they wrote where they wrote it. */
export function inOrderOf(value: unknown, like: unknown): unknown {
  if (Array.isArray(value)) return value.map((inner, i) => inOrderOf(inner, Array.isArray(like) ? like[i] : undefined));
  if (!isTree(value) || !isTree(like)) return value;
  const names = Object.keys(like), place = (name: string) => { const at = names.indexOf(name); return at < 0 ? names.length : at; };
  const sorted = Object.entries(value).sort(([a], [b]) => place(a) - place(b));
  // Members of a log record that are neither its text nor its attributes are its attributes.
  return Object.fromEntries(sorted.map(([name, inner]) => [name, inOrderOf(inner, (like as Record<string, unknown>)[name] ?? (name === "attributes" ? like : undefined))]));
}

/** A value that stands on one side, or on both alike. */
function one(rows: Row[], value: unknown, fate: Fate, depth: number, place: string, name: string | undefined, begins = fate !== "same") {
  if (rows.length >= rowsMost) return;
  const row = (text: string, leaf: boolean, named?: string): Row => ({
    depth, place, fate, leaf,
    ...(fate === "added" ? {} : { before: text, nameBefore: named }), ...(fate === "removed" ? {} : { after: text, nameAfter: named }),
  });
  if (!isTree(value)) { rows.push({ ...row(JSON.stringify(value) ?? "null", true, name), begins }); return; }
  const [open, close] = brackets(value);
  rows.push({ ...row(open, false, name), begins });
  for (const [inner, below] of members(value)) one(rows, below, fate, depth + 1, within(place, inner), Array.isArray(value) ? undefined : inner, false);
  rows.push(row(close, false));
}
