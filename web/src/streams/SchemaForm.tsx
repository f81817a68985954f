// A schema written by hand: what would not fit earlier versions and whom it would break, and its registration.
import { useState } from "react";
import { asProblem, type Problem } from "../lib/api";
import { begun, kindNames, levels, mending, type Kind, type NewSchema, type Reference, type Tested } from "../lib/schemas";
import { Trouble } from "../parts/basics";

interface Props {
  start?: NewSchema;
  /** Versions that it may be held against, the latest first. */
  versions?: number[];
  level?: string;
  may: boolean;
  /** The number that it would get. */
  next: number;
  test?: (body: NewSchema & { version?: number; level?: string }) => Promise<Tested>;
  register: (schema: NewSchema) => Promise<void>;
}

const referencesMost = 50;

export function SchemaForm({ start, versions = [], level, may, next, test, register }: Props) {
  const [kind, setKind] = useState<Kind>(start?.kind ?? "AVRO");
  const [text, setText] = useState(start?.schema ?? begun.AVRO);
  const [references, setReferences] = useState<Reference[]>(start?.references ?? []);
  const [against, setAgainst] = useState("");
  const [held, setHeld] = useState("");
  const [tested, setTested] = useState<Tested>();
  const [problem, setProblem] = useState<Problem>();
  const [busy, setBusy] = useState(false);
  const stale = () => { setTested(undefined); setProblem(undefined); };
  const schema = (): NewSchema => ({ schema: text, kind, references: references.filter((r) => r.name && r.subject) });
  const run = (act: () => Promise<void>) => {
    setBusy(true);
    act().then(() => setProblem(undefined), (error) => { setTested(undefined); setProblem(asProblem(error)); }).finally(() => setBusy(false));
  };
  const ask = async () => setTested(await test?.({ ...schema(), version: against ? Number(against) : undefined, level: held || undefined }));
  const change = (at: number, part: Partial<Reference>) => { setReferences(references.map((r, i) => (i === at ? { ...r, ...part } : r))); stale(); };
  const turn = (to: Kind) => { setKind(to); if (text === begun[kind] || text.trim() === "") setText(begun[to]); stale(); };
  return (
    <div className="schema-form">
      <form className="stack" aria-label="A schema" onSubmit={(event) => { event.preventDefault(); run(test ? ask : () => register(schema())); }}>
        <div className="row limits">
          <div className="field"><label htmlFor="f-kind">Type</label><select id="f-kind" className="select" value={kind} onChange={(event) => turn(event.target.value as Kind)}>{(Object.keys(kindNames) as Kind[]).map((k) => <option key={k} value={k}>{kindNames[k]}</option>)}</select></div>
          {test && <>
            <div className="field"><label htmlFor="f-against">Held against</label><select id="f-against" className="select" value={against} onChange={(event) => { setAgainst(event.target.value); stale(); }}><option value="">what the level asks for</option>{versions.map((v) => <option key={v} value={v}>version {v}</option>)}</select></div>
            <div className="field"><label htmlFor="f-level">Level</label><select id="f-level" className="select" value={held} onChange={(event) => { setHeld(event.target.value); stale(); }}><option value="">the subject's, {level}</option>{levels.map(([l]) => <option key={l}>{l}</option>)}</select></div>
          </>}
        </div>
        <div className="field"><label htmlFor="f-schema">Schema</label><textarea id="f-schema" className="input data produce-value" rows={18} spellCheck={false} value={text} onChange={(event) => { setText(event.target.value); stale(); }}
          onKeyDown={(event) => { if (event.key === "Enter" && (event.metaKey || event.ctrlKey)) { event.preventDefault(); event.currentTarget.form?.requestSubmit(); } }} /></div>
        {references.map((r, i) => (
          <div className="row limits" key={i}>
            <div className="field grow"><label htmlFor={`f-name-${i}`}>It names</label><input id={`f-name-${i}`} className="input data" placeholder={kind === "PROTOBUF" ? "other.proto" : "shop.Address"} value={r.name} autoComplete="off" spellCheck={false} onChange={(event) => change(i, { name: event.target.value })} /></div>
            <div className="field grow"><label htmlFor={`f-subject-${i}`}>Of the subject</label><input id={`f-subject-${i}`} className="input data" value={r.subject} autoComplete="off" spellCheck={false} onChange={(event) => change(i, { subject: event.target.value })} /></div>
            <div className="field"><label htmlFor={`f-version-${i}`}>Version</label><input id={`f-version-${i}`} className="input data schema-number" type="number" min={1} value={r.version} onChange={(event) => change(i, { version: Number(event.target.value) })} /></div>
            <button type="button" className="button" data-kind="quiet" aria-label={`Remove reference ${i + 1}`} onClick={() => { setReferences(references.filter((_, at) => at !== i)); stale(); }}>✕</button>
          </div>
        ))}
        <div className="row limits">
          {test && <button className="button" data-kind="primary" disabled={busy}>Test it</button>}
          {may && <button type={test ? "button" : "submit"} className="button" data-kind={test ? undefined : "primary"} disabled={busy} onClick={test && (() => run(() => register(schema())))}>Register as version {next}</button>}
          <button type="button" className="button" data-kind="quiet" disabled={references.length >= referencesMost} onClick={() => setReferences([...references, { name: "", subject: "", version: 1 }])}>Add a reference</button>
        </div>
      </form>
      {(test || problem) && <section className="stack" aria-live="polite" aria-label="What was found">
        {problem && <Trouble problem={problem} />}
        {tested ? <Findings tested={tested} /> : !problem && <p className="soft">A test registers nothing. It says which versions the schema fits, and for each thing that does not fit who could no longer read what.</p>}
      </section>}
    </div>
  );
}

function Findings({ tested }: { tested: Tested }) {
  return (
    <>
      <p className={`badge ${tested.compatible ? "state-ok" : "level-error"} schema-verdict`}>{tested.compatible ? "It fits" : "It does not fit"} <span className="soft">at {tested.level}</span></p>
      {tested.same_as !== null && <p className="soft">It is the same as version {tested.same_as}: registering it changes nothing.</p>}
      {tested.versions.length === 0 && <p className="soft">{tested.level === "NONE" ? "At this level nothing is held against anything." : "There is no version to hold it against."}</p>}
      {tested.versions.map(({ version, found }) => (
        <section key={version} className="stack schema-found">
          <h3>Version {version}: {found.length === 0 ? "fits" : `${found.length} ${found.length === 1 ? "thing does" : "things do"} not`}</h3>
          {found.length > 0 && <ul className="stack">{found.map((one, i) => (
            <li key={i} className="schema-unfit">
              <p><strong>{one.reader === "new" ? `Readers with the new schema could not read what version ${version} wrote.` : `Readers that still have version ${version} could not read what the new schema writes.`}</strong></p>
              <p>{one.text}.</p>
              {mending(one.error) && <p className="soft">{mending(one.error)}</p>}
              <p className="soft data">{one.error}{one.path && ` at ${one.path}`}{one.info && `: ${one.info}`}</p>
            </li>
          ))}</ul>}
        </section>
      ))}
    </>
  );
}
