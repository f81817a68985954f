// The rule tester: a record before and after the gate, and which clause did what. Nothing of it is stored.
import { useMemo, useState } from "react";
import { compared, inOrderOf, rowsMost, type Row } from "../lib/compared";
import { count } from "../lib/format";
import { mod, useKeys } from "../lib/keys";
import { useLoad, useQuiet } from "../lib/load";
import { policies, type Tested } from "../lib/policy";
import { setQuery, usePlace } from "../lib/route";
import { Shown } from "../parts/basics";
import { isVeiled, Person, Veil, Veiled } from "../parts/veil";
import { samples } from "./samples";
import type { Area } from "./area";

/** What was pasted may be about persons: it stays in memory alone, and goes when the page does. */
const pasted = new Map<string, string>();

export function Tester({ project, owner, shown, draft }: Area) {
  const { query } = usePlace();
  const sample = samples.find((one) => one.id === query.get("sample")) ?? samples[0]!;
  const [text, setText] = useState(pasted.get(project) ?? sample.record);
  const signal = query.get("signal") === "logs" ? "logs" : query.get("signal") === "errors" ? "errors" : sample.signal;
  const on = (name: string, otherwise = false) => (query.get(name) ? query.get(name) === "1" : otherwise);
  const browser = on("browser", sample.browser), gpc = on("gpc"), dnt = on("dnt"), edited = on("edited") && draft !== undefined;
  // A project goes by its own policy; asked for the instance's, that one is sent along.
  const source = edited ? draft : owner === undefined ? shown.in_force?.source : undefined;
  const [turn, setTurn] = useState(0);
  const quiet = useQuiet(text);
  const fault = useMemo(() => faultOf(quiet), [quiet]);
  const asked = { project, source, signal, browser, global_privacy_control: gpc, do_not_track: dnt } as const;
  const loaded = useLoad(fault ? undefined : `${JSON.stringify(asked)} ${shown.in_force?.epoch} ${turn} ${quiet}`, (abort) => policies.test(asked, quiet, abort).then((tested) => ({ ...tested, before: inOrderOf(tested.before, JSON.parse(quiet)) })));
  const write = (next: string) => { pasted.set(project, next); setText(next); };
  const take = (id: string) => {
    const one = samples.find((s) => s.id === id)!;
    write(one.record);
    setQuery({ sample: id, signal: undefined, browser: undefined }, true);
  };
  useKeys({ "mod+enter": () => setTurn(turn + 1) });
  const turnOf = (name: string, value: boolean, otherwise = false) => setQuery({ [name]: value === otherwise ? undefined : value ? "1" : "0" }, true);
  const tick = (name: string, label: string, value: boolean, otherwise?: boolean) => (
    <label className="row tick"><input id={`t-${name}`} type="checkbox" checked={value} onChange={(event) => turnOf(name, event.target.checked, otherwise)} />{label}</label>
  );
  return (
    <div className="tester">
      <section className="tester-record stack" aria-label="The record">
        <div className="row limits">
          <span className="soft">Begin with</span>
          {samples.map((one) => <button key={one.id} type="button" className="button" aria-pressed={text === one.record} onClick={() => take(one.id)}>{one.name}</button>)}
        </div>
        <div className="field tester-field">
          <label htmlFor="record">Record, as JSON</label>
          <textarea id="record" data-search className="input data" value={text} spellCheck={false} aria-invalid={fault !== undefined} aria-describedby="record-said" onChange={(event) => write(event.target.value)} onKeyDown={(event) => { if (event.key === "Enter" && (event.metaKey || event.ctrlKey)) setTurn(turn + 1); }} />
          <p id="record-said" className={fault ? "hint wrong" : "hint"} role="status">{fault ?? `Tried as you type (${mod}enter again). Nothing of it is stored or noted.`}</p>
        </div>
        <div className="row limits">
          <div className="field"><label htmlFor="signal">Sent as</label><select id="signal" className="select" value={signal} onChange={(event) => setQuery({ signal: event.target.value }, true)}><option value="errors">an error event</option><option value="logs">a log record</option></select></div>
          <div className="field"><label htmlFor="by">By the policy</label><select id="by" className="select" value={edited ? "1" : "0"} onChange={(event) => turnOf("edited", event.target.value === "1")}><option value="0">that holds</option><option value="1" disabled={draft === undefined}>that is being written</option></select></div>
        </div>
        <div className="row ticks">{tick("browser", "Sent by a browser", browser, sample.browser)}{tick("gpc", "with Global Privacy Control", gpc)}{tick("dnt", "with Do Not Track", dnt)}</div>
      </section>
      <section className="tester-result" aria-label="What the gate makes of it" aria-busy={loaded.loading}>
        {fault && !loaded.data ? <p className="page soft">Write or paste a record; what the gate makes of it appears here.</p> : <Shown loaded={loaded}>{(tested) => <Result tested={tested} />}</Shown>}
      </section>
    </div>
  );
}

/** Why a text is no record, as far as the screen can tell. */
export function faultOf(text: string): string | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return value !== null && typeof value === "object" && !Array.isArray(value) ? undefined : "A record is an object: it begins with { and ends with }.";
  } catch (error) {
    return text.trim() ? `This is not JSON: ${(error as Error).message}` : "Paste an event, or a log record.";
  }
}

const reasons: Record<string, string> = {
  "policy:activity": "No activity of the policy takes this signal.", "policy:consent": "The person has not agreed, and the policy asks for that first.",
  "policy:consent.children": "It is about somebody younger than the policy lets be recorded.", "policy:scrub.rule": "A rule of the policy drops the whole record.",
  "policy:scrub.on_error": "It could not be looked through whole; what cannot be scrubbed is not kept.",
};

function Result({ tested }: { tested: Tested }) {
  const rows = useMemo(() => compared(tested.before, tested.after === null ? undefined : tested.after), [tested]);
  const clauses = useMemo(() => {
    const of = new Map<string, string[]>();
    for (const { place, clause } of tested.changes) of.set(place, [...new Set([...(of.get(place) ?? []), clause])]);
    return of;
  }, [tested]);
  const dropped = tested.dropped !== null;
  const removed = tested.changes.filter((change) => change.is_removed).length;
  return (
    <>
      <div className="tester-sum row limits" role="status">
        {dropped ? <span className="badge level-error">dropped</span> : <span className="badge state-ok">stored</span>}
        {!dropped && <span>{tested.changes.length === 0 ? "as it came" : `${count(removed)} removed, ${count(tested.changes.length - removed)} replaced`}</span>}
        <span className="grow" />
        {tested.subjects.length > 0 && <span className="row"><span className="soft">About</span>{tested.subjects.map((code) => <Person key={code} code={code} />)}</span>}
        {!dropped && tested.subjects.length === 0 && <span className="soft">No code of a person</span>}
      </div>
      {dropped && <div className="dropped"><p><strong>The gate drops this record.</strong> {reasons[tested.dropped!] ?? ""} Reports call it <code>{tested.dropped}</code>.</p></div>}
      <div className="sides-scroll" tabIndex={0} role="region" aria-label="Before and after">
        <table className="sides data" data-dropped={dropped || undefined}>
          <thead><tr><th>As it came</th><th>{dropped ? "Nothing is stored" : "As it would be stored"}</th><th className="wide">Clause</th></tr></thead>
          <tbody>{rows.map((row, i) => <Side key={i} row={row} dropped={dropped} clauses={row.before === "}" || row.before === "]" ? undefined : clauses.get(row.place)} />)}</tbody>
        </table>
        {rows.length >= rowsMost && <p className="page soft">The first {count(rowsMost)} lines are shown.</p>}
      </div>
      {tested.changes.length > 0 && (
        <section className="tester-changes stack">
          <h2>Which clause did what</h2>
          <table className="list">
            <thead><tr><th>Place</th><th>What</th><th>Clause</th></tr></thead>
            <tbody>{tested.changes.map((change, i) => <tr key={i}><td className="data">{change.place}</td><td>{change.is_removed ? "removed" : "replaced"}</td><td><code className="clause">{change.clause}</code></td></tr>)}</tbody>
          </table>
        </section>
      )}
    </>
  );
}

function Side({ row, dropped, clauses = [] }: { row: Row; dropped: boolean; clauses?: string[] }) {
  const clause = clauses.join(", ") || undefined;
  const indent = { paddingLeft: `${12 + row.depth * 16}px` };
  const name = (text: string | undefined, veiled: boolean) => text !== undefined && <><span className="soft">{veiled ? <Veiled text={text} /> : text}</span>: </>;
  const gone = row.after === undefined && !dropped;
  return (
    <tr data-fate={dropped ? undefined : row.fate === "same" ? undefined : row.fate}>
      <td style={indent}>{row.before !== undefined && <>{name(row.nameBefore, false)}<span className={row.leaf ? "" : "soft"}>{row.before}</span></>}</td>
      <td style={indent}>
        {dropped ? null : gone ? row.begins && <>{name(row.nameBefore, false)}<Veil kind="removed" clause={clause} /></>
          : row.after !== undefined && <>{name(row.nameAfter, true)}<span className={row.leaf ? "" : "soft"}>{row.fate !== "changed" ? row.after : isVeiled(row.after) ? <Veiled text={row.after} clause={clause} all /> : <span className="replaced" title={clause && `Replaced by ${clause}`}>{row.after}</span>}</span></>}
      </td>
      <td className="wide">{!dropped && clauses.map((one) => <code key={one} className="clause">{one}</code>)}</td>
    </tr>
  );
}
