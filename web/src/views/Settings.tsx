// A project's settings: its address, its keys, its end.
import { useState } from "react";
import { api, Problem, type Created } from "../lib/api";
import { exact } from "../lib/format";
import { useLoad } from "../lib/load";
import { href } from "../lib/route";
import { Skeleton, Snippet, Time, Trouble } from "../parts/basics";
import { Modal } from "../parts/Frame";

const dayS = 86_400;

export function Settings({ project, gone }: { project: string; gone: () => void }) {
  const loaded = useLoad(project, (signal) => api.project(project, signal));
  const [made, setMade] = useState<Created>();
  const [problem, setProblem] = useState<Problem>();
  const [asking, setAsking] = useState(false);
  if (!loaded.data) return loaded.problem ? <div className="page"><Trouble problem={loaded.problem} again={loaded.reload} /></div> : <Skeleton />;
  const p = loaded.data;
  const rotate = () => api.rotateKeys(project, dayS).then((created) => { setMade(created); loaded.reload(); }, setProblem);
  return (
    <div className="page stack">
      <div><h1>{p.org}/{p.name}</h1><p className="soft">Project {p.number}, made <Time at={p.created_at} />.</p></div>
      {problem && <Trouble problem={problem} />}
      <section className="stack reading">
        <h2>Sentry DSN</h2>
        <p className="soft">Public: it can only write, and may stand in a page's source.</p>
        <Snippet label="DSN" code={p.dsn} />
      </section>
      <section className="stack">
        <h2>Keys</h2>
        <p className="soft reading">Ingest tokens are stored as a hash and shown once. Making new keys leaves the old ones working for 24 hours.</p>
        <table className="list" style={{ maxWidth: 720 }}>
          <thead><tr><th>Kind</th><th>Key</th><th>Made</th><th>Works until</th></tr></thead>
          <tbody>{p.keys.map((key) => <tr key={key.id}><td>{key.kind}</td><td className="data">{key.hint}</td><td><Time at={key.created_at} /></td><td>{key.expires_at ? <span title={exact(key.expires_at)}>{exact(key.expires_at).slice(0, 16)}</span> : <span className="soft">rotated</span>}</td></tr>)}</tbody>
        </table>
        <div><button type="button" className="button" onClick={rotate}>Make new keys</button></div>
        {made && <div className="stack reading"><p className="note">This is the only time the ingest token is shown.</p><Snippet label="New keys" code={`DSN           ${made.dsn}\ningest token  ${made.ingest_token}`} /></div>}
      </section>
      <section className="stack">
        <h2>Delete the project</h2>
        <p className="soft reading">Its keys stop at once and its tables can no longer be read.</p>
        <div><button type="button" className="button" data-kind="danger" onClick={() => setAsking(true)}>Delete {p.name}</button></div>
      </section>
      {asking && <ConfirmDelete name={p.name} close={() => setAsking(false)} act={() => api.deleteProject(project).then(() => { gone(); location.assign(href([])); }, (error) => { setAsking(false); setProblem(error as Problem); })} />}
    </div>
  );
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
