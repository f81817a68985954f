// The time range of a view, in the URL: `range=1h`, or `from` and `to`.
import { useState, type FormEvent } from "react";
import { duration, fromField, span, toField } from "../lib/format";
import { setQuery, usePlace } from "../lib/route";
import { zoneName } from "../lib/zone";
import { Panel } from "./overlay";

const presets = ["15m", "1h", "6h", "24h", "7d", "30d"];
const unitNames: Record<string, string> = { s: "s", m: "min", h: "h", d: "d", w: "weeks" };

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
  setQuery({ from: new Date(from).toISOString(), to: new Date(to).toISOString(), range: undefined, row: undefined, live: undefined });
}

const lastly = (range: string) => `last ${range.slice(0, -1)} ${unitNames[range.slice(-1)] ?? ""}`;

export function TimeRange() {
  const { query } = usePlace();
  const range = rangeOf(query);
  const last = (text: string) => setQuery({ range: text, from: undefined, to: undefined, row: undefined, live: undefined });
  return (
    <Panel id="range" label="Time range" title="Time range (t)" name={<><span className="clip">{range.live ? lastly(range.key) : span(range.from, range.to)}</span> <span aria-hidden="true">▾</span></>}>
      {(close) => (
        <div className="range stack">
          <div className="range-presets">
            {presets.map((p) => <button key={p} type="button" className="button" aria-pressed={range.live && range.key === p} onClick={() => { last(p); close(); }}>{lastly(p)}</button>)}
          </div>
          <Other last={(text) => { last(text); close(); }} />
          <FromTo range={range} close={close} />
        </div>
      )}
    </Panel>
  );
}

function Other({ last }: { last: (text: string) => void }) {
  const [wrong, setWrong] = useState(false);
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const text = String(new FormData(event.currentTarget).get("last")).trim();
    if (duration(text)) last(text);
    else setWrong(true);
  };
  return (
    <form onSubmit={submit} className="field">
      <label htmlFor="range-last">Another length</label>
      <span className="row"><input id="range-last" name="last" className="input data" placeholder="45m" autoComplete="off" aria-describedby="range-hint" aria-invalid={wrong} /><button className="button">Set</button></span>
      <span id="range-hint" className={wrong ? "hint wrong" : "hint"}>A number and s, m, h, d or w: 45m, 3d.</span>
    </form>
  );
}

function FromTo({ range, close }: { range: Range; close: () => void }) {
  const [wrong, setWrong] = useState(false);
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const from = fromField(String(form.get("from"))), to = fromField(String(form.get("to")));
    if (!(from < to)) return setWrong(true);
    zoomTo(from, to);
    close();
  };
  return (
    <form onSubmit={submit} className="field">
      <label htmlFor="range-from">From</label>
      <input id="range-from" name="from" type="datetime-local" className="input data" defaultValue={toField(range.from)} required />
      <label htmlFor="range-to">To</label>
      <span className="row"><input id="range-to" name="to" type="datetime-local" className="input data" defaultValue={toField(range.to)} required aria-invalid={wrong} /><button className="button">Set</button></span>
      <span className={wrong ? "hint wrong" : "hint"}>{wrong ? "The end comes after the beginning." : `On the clock of ${zoneName(new Date(range.to))}.`}</span>
    </form>
  );
}
