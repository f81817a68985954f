// Two sources beside each other: versions, and what is being written.
import { useState } from "react";
import { useKeys } from "../lib/keys";
import { useLoad } from "../lib/load";
import { policies, type Version } from "../lib/policy";
import { setQuery, usePlace } from "../lib/route";
import { diffLines } from "../lib/schemas";
import { Shown } from "../parts/basics";
import { DiffBar, DiffRows, useJump } from "../parts/TextDiff";
import type { Area } from "./area";

/** What is written and not applied may be compared, too. */
const draftName = "draft";

export default function Compare({ area, versions }: { area: Area; versions: Version[] }) {
  const { owner, draft } = area;
  const { query } = usePlace();
  const [written] = useState(draft);
  const names = [...(written === undefined ? [] : [draftName]), ...versions.map((v) => String(v.epoch))];
  const pick = (key: string, otherwise: string) => { const asked = query.get(key); return asked && names.includes(asked) ? asked : otherwise; };
  const to = pick("to", names[0]!), from = pick("from", names[1] ?? names[0]!);
  const unified = query.get("as") === "unified";
  const source = (name: string, signal: AbortSignal) => (name === draftName ? Promise.resolve(written ?? "") : policies.version(owner, Number(name), signal).then((one) => one.source));
  const loaded = useLoad(`${owner ?? ""} ${from} ${to}`, (signal) => Promise.all([source(from, signal), source(to, signal)]).then(([a, b]) => ({ from, to, rows: diffLines(a.trimEnd(), b.trimEnd()) })));
  const { whole, jump } = useJump();
  const title = (name: string) => (name === draftName ? "what is being written" : `epoch ${name}`);
  useKeys({ escape: () => setQuery({ from: undefined, to: undefined, as: undefined }) });
  const choice = (id: "from" | "to", label: string, value: string) => (
    <div className="field"><label htmlFor={`v-${id}`}>{label}</label><select id={`v-${id}`} className="select" value={value} onChange={(event) => setQuery({ [id]: event.target.value }, true)}>{names.map((name) => <option key={name} value={name}>{title(name)}</option>)}</select></div>
  );
  return (
    <div className="compare" ref={whole}>
      <div className="compare-bar">
        <button type="button" className="button" onClick={() => setQuery({ from: undefined, to: undefined, as: undefined })}>All versions</button>
        {choice("from", "From", from)}{choice("to", "To", to)}
        <button type="button" className="button" aria-label="Turn around" title="Turn around" onClick={() => setQuery({ from: to, to: from }, true)}>⇄</button>
        <DiffBar jump={jump} />
      </div>
      <Shown loaded={loaded}>{(two) => <DiffRows key={`${two.from} ${two.to}`} unified={unified} rows={two.rows} from={title(two.from)} to={title(two.to)} />}</Shown>
    </div>
  );
}
