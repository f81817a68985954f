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

/** Members side by side: by name, and by order where a name alone differs. */
function paired(before: object, after: object): [name: string, was: unknown, is: unknown, to: string | undefined][] {
  const a = members(before), b = members(after);
  if (a.length === b.length) return a.map(([name, was], i) => [name, was, b[i]![1], b[i]![0]]);
  const left = new Map(b), out: [string, unknown, unknown, string | undefined][] = [];
  for (const [name, was] of a) {
    out.push(left.has(name) ? [name, was, left.get(name), name] : [name, was, undefined, undefined]);
    left.delete(name);
  }
  for (const [name, is] of left) out.push([name, nothing, is, name]);
  return out;
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
