// JSON to look into: folded, the veil drawn, and bounded, so that a megabyte opens as quickly as a line.
import { useState } from "react";
import type { Cell } from "../lib/api";
import { count } from "../lib/format";
import { Veiled } from "./veil";

const entriesStep = 200;
const charactersFirst = 2000;

/** A text of any length: the first part, and the rest when asked for. */
export function Long({ text }: { text: string }) {
  const [all, setAll] = useState(false);
  if (all || text.length <= charactersFirst) return <Veiled text={text} />;
  return <><Veiled text={text.slice(0, charactersFirst)} />… <button type="button" className="json-more" onClick={() => setAll(true)}>all {count(text.length)} characters</button></>;
}

export function JsonTree({ value, name, depth = 0 }: { value: Cell; name?: string; depth?: number }) {
  const [open, setOpen] = useState(depth < 1);
  const [shown, setShown] = useState(entriesStep);
  if (value === null || typeof value !== "object") {
    return (
      <div className="data json-leaf">
        {name !== undefined && <span className="soft">{name}: </span>}
        {typeof value === "string" ? <Long text={value} /> : <span className="json-atom">{String(value)}</span>}
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
      {open && (
        <div className="json-inside">
          {entries.slice(0, shown).map(([key, v]) => <JsonTree key={key} name={key} value={v} depth={depth + 1} />)}
          {entries.length > shown && <button type="button" className="json-more" onClick={() => setShown(shown + entriesStep)}>{count(entries.length - shown)} more</button>}
        </div>
      )}
    </div>
  );
}
