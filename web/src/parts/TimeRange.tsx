// The time range of a view, in the URL: `range=1h`, or `from` and `to`.
import { useState } from "react";
import { duration, exact } from "../lib/format";
import { setQuery, usePlace } from "../lib/route";

const presets = ["15m", "1h", "6h", "24h", "7d", "30d"];

export interface Range { from: number; to: number; live: boolean; key: string }

/** The range that the address names; `now` is taken when a view loads. */
export function rangeOf(query: URLSearchParams, now = Date.now()): Range {
  const from = Date.parse(query.get("from") ?? ""), to = Date.parse(query.get("to") ?? "");
  if (!Number.isNaN(from) && !Number.isNaN(to) && from < to) return { from, to, live: false, key: `${from}-${to}` };
  const text = query.get("range") ?? "1h";
  const length = duration(text) ?? 3_600_000;
  return { from: now - length, to: now, live: true, key: text };
}

export function zoomTo(from: number, to: number) {
  setQuery({ from: new Date(from).toISOString(), to: new Date(to).toISOString(), range: undefined, cursor: undefined });
}

export function TimeRange() {
  const { query } = usePlace();
  const range = rangeOf(query);
  const [custom, setCustom] = useState("");
  const fixed = !range.live;
  return (
    <span className="row">
      <label className="sr-only" htmlFor="range">Time range</label>
      <select id="range" className="select" value={fixed ? "fixed" : range.key} onChange={(event) => setQuery({ range: event.target.value, from: undefined, to: undefined })}>
        {fixed && <option value="fixed">{exact(range.from).slice(5, 16)} to {exact(range.to).slice(5, 16)}</option>}
        {presets.map((p) => <option key={p} value={p}>last {p.replace("m", " min").replace("h", " h").replace("d", " d")}</option>)}
        {!fixed && !presets.includes(range.key) && <option value={range.key}>last {range.key}</option>}
      </select>
      <form className="wide" onSubmit={(event) => { event.preventDefault(); if (duration(custom)) { setQuery({ range: custom, from: undefined, to: undefined }); setCustom(""); } }}>
        <label className="sr-only" htmlFor="range-custom">Custom range, such as 45m</label>
        <input id="range-custom" className="select" style={{ width: 64 }} placeholder="45m" value={custom} onChange={(event) => setCustom(event.target.value)} />
      </form>
    </span>
  );
}
