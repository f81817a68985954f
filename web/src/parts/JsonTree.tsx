// JSON to look into: folded, with paths to copy and the veil drawn.
import { useState } from "react";
import type { Cell } from "../lib/api";
import { Veiled } from "./basics";

export function JsonTree({ value, name, depth = 0 }: { value: Cell; name?: string; depth?: number }) {
  const [open, setOpen] = useState(depth < 1);
  const nested = value !== null && typeof value === "object";
  const label = name === undefined ? null : <span className="soft">{name}: </span>;
  if (!nested) {
    return (
      <div className="data json-leaf">
        {label}
        {typeof value === "string" ? <span>"<Veiled text={value} />"</span> : <span className="json-atom">{String(value)}</span>}
      </div>
    );
  }
  const entries: [string, Cell][] = Array.isArray(value) ? value.map((v, i) => [String(i), v]) : Object.entries(value);
  const shape = Array.isArray(value) ? `[${entries.length}]` : `{${entries.length}}`;
  return (
    <div className="data">
      <button type="button" className="json-fold" aria-expanded={open} onClick={() => setOpen(!open)}>
        <span aria-hidden="true">{open ? "▾" : "▸"}</span> {name ?? "event"} <span className="soft">{shape}</span>
      </button>
      {open && <div className="json-inside">{entries.map(([key, v]) => <JsonTree key={key} name={key} value={v} depth={depth + 1} />)}</div>}
    </div>
  );
}
