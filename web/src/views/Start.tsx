// Send your first event: a snippet with the real host and key, and a mark that turns into the thing itself.
import { useState } from "react";
import { api, Problem, type Project, type Record_ } from "../lib/api";
import { count } from "../lib/format";
import { useLoad, usePolling } from "../lib/load";
import { href, setQuery, usePlace } from "../lib/route";
import { fresh, keysOf, snippets, tokenGone } from "../lib/snippets";
import { LogLines } from "../explore/LogLine";
import { Shown, Snippet, Time, Trouble } from "../parts/basics";
import { Veiled } from "../parts/veil";
import { cellText } from "../lib/search";
import "../design/explore.css";

const lookEveryMs = 1000;
const graceSeconds = 86_400;

export function Start({ project }: { project: string }) {
  const { query } = usePlace();
  const chosen = snippets.find((s) => s.id === query.get("with")) ?? snippets[0]!;
  const loaded = useLoad(project, (signal) => api.project(project, signal));
  usePolling(loaded.reload, lookEveryMs);
  const [token, setToken] = useState(fresh.get(project)?.ingest_token);
  const [problem, setProblem] = useState<Problem>();
  const renew = () => api.rotateKeys(project, graceSeconds).then((made) => { fresh.set(made.name, made); setToken(made.ingest_token); loaded.reload(); }, setProblem);
  return (
    <Shown loaded={loaded}>
      {(data) => {
        const code = chosen.code(keysOf(data, token));
        return (
          <div className="page stack first">
            <div><h1>Send your first event</h1><p className="soft">Keep the SDK or shipper you have; change its host and key.</p></div>
            <Clients chosen={chosen.id} />
            <div id="snippet" role="tabpanel" aria-labelledby={`tab-${chosen.id}`} className="stack">
              <p>{chosen.what}.</p>
              {chosen.install && <Snippet code={chosen.install} label="Install" />}
              <Snippet code={code} label={`${chosen.name} snippet`} />
              {code.includes(tokenGone) && (
                <p className="note">The ingest token was shown once, when the project was made. If you no longer have it: <button type="button" className="button" onClick={renew}>Make a new one</button> The old one goes on working for 24 hours.</p>
              )}
              {problem && <Trouble problem={problem} />}
            </div>
            <Arrived project={project} signals={data.signals} />
          </div>
        );
      }}
    </Shown>
  );
}

function Clients({ chosen }: { chosen: string }) {
  const at = snippets.findIndex((s) => s.id === chosen);
  const choose = (to: number) => {
    const next = snippets[(to + snippets.length) % snippets.length]!;
    setQuery({ with: next.id }, true);
    document.getElementById(`tab-${next.id}`)?.focus();
  };
  return (
    <div className="tabs" role="tablist" aria-label="Clients" onKeyDown={(event) => {
      if (event.key === "ArrowRight") choose(at + 1);
      else if (event.key === "ArrowLeft") choose(at - 1);
      else if (event.key === "Home") choose(0);
      else if (event.key === "End") choose(-1);
      else return;
      event.preventDefault();
    }}>
      {snippets.map((s) => (
        <button key={s.id} id={`tab-${s.id}`} type="button" role="tab" className="tab" aria-selected={s.id === chosen} aria-controls="snippet" tabIndex={s.id === chosen ? 0 : -1} onClick={() => setQuery({ with: s.id }, true)}>{s.name}</button>
      ))}
    </div>
  );
}

const where: Record<string, string> = { logs: "explore", spans: "sql", errors: "errors" };
const newest: Record<string, string> = {
  logs: "SELECT timestamp, severity_text, severity_number, service_name, source, body, subject FROM logs ORDER BY _offset DESC LIMIT 1",
  errors: "SELECT type, value FROM errors ORDER BY _offset DESC LIMIT 1",
  spans: "SELECT name, duration_ns / 1000000 AS ms FROM spans ORDER BY _offset DESC LIMIT 1",
};

function Arrived({ project, signals }: { project: string; signals: Project["signals"] }) {
  const some = Object.entries(signals).filter(([, s]) => s.rows > 0);
  return (
    <section aria-live="polite" className="stack">
      {some.length === 0 ? (
        <>
          <p className="wait"><i />Waiting for the first one</p>
          <p className="soft">Or load the demo on the server's machine: <code>candor demo --project {project}</code></p>
        </>
      ) : some.map(([name, s]) => (
        <div key={name} className="arrived">
          <p className="wait done"><i /><span>{count(s.rows)} {name} arrived, the last <Time at={s.last} />.</span> <a href={href([project, where[name] ?? "sql"], name === "spans" ? { sql: "SELECT * FROM spans ORDER BY timestamp DESC LIMIT 100" } : {})}>Look at them</a></p>
          <Newest project={project} signal={name} rows={s.rows} />
        </div>
      ))}
    </section>
  );
}

/** The thing itself: the newest record of a signal. */
function Newest({ project, signal, rows }: { project: string; signal: string; rows: number }) {
  const sql = newest[signal];
  const found = useLoad(sql && `${project} ${signal} ${rows}`, (abort) => api.query(project, sql!, 1, abort));
  const cells = found.data?.rows[0];
  if (!found.data || !cells) return null;
  const record: Record_ = Object.fromEntries(found.data.columns.map((c, i) => [c.name, cells[i] ?? null]));
  if (signal === "logs") return <LogLines rows={[record]} />;
  return <p className="data arrived-line"><strong><Veiled text={cellText(cells[0])} /></strong> <Veiled text={signal === "spans" ? `${cellText(cells[1])} ms` : cellText(cells[1])} /></p>;
}
