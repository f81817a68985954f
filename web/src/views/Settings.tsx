// A project's settings: its address, its keys, its end.
import { useState } from "react";
import { api, Problem, type Created, type Limits } from "../lib/api";
import { count, exact, exactWithZone } from "../lib/format";
import { useLoad } from "../lib/load";
import { href } from "../lib/route";
import { fresh } from "../lib/snippets";
import { Shown, Snippet, Time, Trouble } from "../parts/basics";
import { Modal } from "../parts/overlay";

const dayS = 86_400;

export function Settings({ project, gone }: { project: string; gone: () => void }) {
  const loaded = useLoad(project, (signal) => api.project(project, signal));
  const [made, setMade] = useState<Created>();
  const [problem, setProblem] = useState<Problem>();
  const [asking, setAsking] = useState(false);
  const failed = (error: unknown) => { setAsking(false); setProblem(error instanceof Problem ? error : new Problem(-1, "Not done", String(error))); };
  const rotate = () => api.rotateKeys(project, dayS).then((created) => { setMade(created); fresh.set(created.name, created); setProblem(undefined); loaded.reload(); }, failed);
  const remove = () => api.deleteProject(project).then(() => { gone(); location.assign(href([])); }, failed);
  return (
    <Shown loaded={loaded}>
      {(p) => (
        <div className="page settings">
          <header><h1>{p.name}</h1><p className="soft">Project <span className="data">{p.number}</span> of {p.org}, made <Time at={p.created_at} />.</p></header>
          {problem && <Trouble problem={problem} />}
          <section className="stack">
            <h2>What it holds</h2>
            <dl className="holds">{Object.entries(p.signals).map(([name, s]) => <div key={name}><dt>{name}</dt><dd><span className="data">{count(s.rows)}</span><span className="soft">{s.rows > 0 ? <>, the last <Time at={s.last} /></> : ", none yet"}</span></dd></div>)}</dl>
          </section>
          <section className="stack">
            <h2>Sentry DSN</h2>
            <p className="soft">Public: it can only write, and may stand in a page's source.</p>
            <Snippet label="DSN" code={p.dsn} />
          </section>
          <section className="stack">
            <h2>Keys</h2>
            <p className="soft">Ingest tokens are kept as a hash and shown once. New keys leave the old ones working for 24 hours.</p>
            <table className="list">
              <thead><tr><th>Kind</th><th>Begins with</th><th>Made</th><th>Works</th></tr></thead>
              <tbody>{p.keys.map((key) => <tr key={key.id}><td>{key.kind === "dsn" ? "DSN" : key.kind}</td><td className="data">{key.hint}…</td><td><Time at={key.created_at} /></td><td><KeyLife ends={key.expires_at} /></td></tr>)}</tbody>
            </table>
            <div><button type="button" className="button" onClick={rotate}>Make new keys</button></div>
            {made && <div className="stack"><p className="note">This is the only time the ingest token is shown.</p><Snippet label="New DSN" code={made.dsn} /><Snippet label="New ingest token" code={made.ingest_token} /></div>}
          </section>
          {p.sources.length > 0 && <section className="stack">
            <h2>Sources of logs</h2>
            <p className="soft">Shippers name a source, or give its id. A new name makes a new source.</p>
            <table className="list">
              <thead><tr><th>Name</th><th>Id</th><th>First used</th></tr></thead>
              <tbody>{p.sources.map((source) => <tr key={source.id}><td className="data">{source.name}</td><td className="data">{source.id}</td><td><Time at={source.created_at} /></td></tr>)}</tbody>
            </table>
          </section>}
          <section className="stack">
            <h2>Limits</h2>
            <p className="soft">What a key may send, decompressed; nothing stands for no limit, 0 lets nothing in. Who sends more is told when to come again.</p>
            {["ingest", "dsn"].map((kind) => <LimitsOf key={kind} kind={kind} limits={p.keys.find((key) => key.kind === kind && !key.expires_at)?.limits}
              save={(limits) => api.limitKeys(project, kind, limits).then(() => { setProblem(undefined); return true; }, (error) => { failed(error); return false; })} />)}
          </section>
          <section className="stack">
            <h2>Delete the project</h2>
            <p className="soft">Its keys stop at once and its tables can no longer be read.</p>
            <div><button type="button" className="button" data-kind="danger" onClick={() => setAsking(true)}>Delete {p.name}</button></div>
          </section>
          {asking && <ConfirmDelete name={p.name} close={() => setAsking(false)} act={remove} />}
        </div>
      )}
    </Shown>
  );
}

const limitFields: [keyof Limits, string][] = [["requests_per_second", "Requests a second"], ["bytes_per_second", "Bytes a second"], ["bytes_per_day", "Bytes a day"]];

/** The fields hold what was typed, so that nothing moves and the focus stays when it is saved. */
function LimitsOf({ kind, limits, save }: { kind: string; limits?: Limits; save: (limits: Limits) => Promise<boolean> }) {
  const [saved, setSaved] = useState(false);
  if (!limits) return null;
  const name = kind === "dsn" ? "DSN" : "token";
  const submit = (form: HTMLFormElement) => {
    const given = new FormData(form);
    const value = (field: keyof Limits) => { const text = String(given.get(field) ?? "").trim(); return text === "" ? null : Number(text); };
    void save({ requests_per_second: value("requests_per_second"), bytes_per_second: value("bytes_per_second"), bytes_per_day: value("bytes_per_day") }).then(setSaved);
  };
  return (
    <form className="row limits" aria-label={`Limits of the ${name}`} onChange={() => setSaved(false)} onSubmit={(event) => { event.preventDefault(); submit(event.currentTarget); }}>
      {limitFields.map(([field, label]) => (
        <div className="field" key={field}>
          <label htmlFor={`${kind}-${field}`}>{label}</label>
          <input id={`${kind}-${field}`} name={field} className="input data" type="number" min={0} max={field === "requests_per_second" ? 4294967295 : Number.MAX_SAFE_INTEGER} step={1} placeholder="no limit" defaultValue={limits[field] ?? ""} />
        </div>
      ))}
      <button className="button">Limit the {name}</button>
      <span role="status" className="soft">{saved && "Saved"}</span>
    </form>
  );
}

function KeyLife({ ends }: { ends: string | null }) {
  if (!ends) return <>until replaced</>;
  return Date.parse(ends) < Date.now() ? <span className="soft">no longer</span> : <>until <time dateTime={ends} title={exactWithZone(ends)}>{exact(ends).slice(0, 16)}</time></>;
}

function ConfirmDelete({ name, close, act }: { name: string; close: () => void; act: () => void }) {
  const [typed, setTyped] = useState("");
  return (
    <Modal close={close} className="help" label={`Delete ${name}`}>
      <form className="stack" onSubmit={(event) => { event.preventDefault(); if (typed === name) act(); }}>
        <h2>Delete {name}?</h2>
        <div className="field"><label htmlFor="confirm">Type its name to go on</label><input id="confirm" className="input" autoFocus value={typed} onChange={(event) => setTyped(event.target.value)} /></div>
        <div className="row"><button className="button" data-kind="danger" disabled={typed !== name}>Delete</button><button type="button" className="button" onClick={close}>Keep it</button></div>
      </form>
    </Modal>
  );
}
