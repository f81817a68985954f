// A project's settings: its address, its keys, its end.
import { useState } from "react";
import { api, Problem, type Created } from "../lib/api";
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
