// Send your first event: a snippet with the real host and key, and a mark that turns into the thing itself.
import { useEffect, useState } from "react";
import { api, type Project } from "../lib/api";
import { count } from "../lib/format";
import { useLoad } from "../lib/load";
import { href, setQuery, usePlace } from "../lib/route";
import { snippets } from "../lib/snippets";
import { Skeleton, Snippet, Time, Trouble } from "../parts/basics";
import { fresh } from "./Doors";

export function Start({ project }: { project: string }) {
  const { query } = usePlace();
  const chosen = snippets.find((s) => s.id === query.get("with")) ?? snippets[0]!;
  const loaded = useLoad(project, (signal) => api.project(project, signal));
  const { reload, data } = loaded;
  useEffect(() => {
    // The waiting mark looks once a second while the page is seen.
    const timer = setInterval(() => { if (!document.hidden) reload(); }, 1000);
    return () => clearInterval(timer);
  }, [reload]);
  const [token, setToken] = useState(fresh.get(project)?.ingest_token);
  if (!data) return loaded.problem ? <div className="page"><Trouble problem={loaded.problem} again={reload} /></div> : <Skeleton />;
  const keys = { host: location.origin, dsn: data.dsn, token: token ?? "YOUR_INGEST_TOKEN", project };
  const code = chosen.code(keys);
  return (
    <div className="page stack">
      <div><h1>Send your first event</h1><p className="soft">Keep the SDK or shipper you have; change its host and key.</p></div>
      <div className="tabs" role="tablist" aria-label="Clients" onKeyDown={(event) => {
        const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
        if (!step) return;
        const next = snippets[(snippets.indexOf(chosen) + step + snippets.length) % snippets.length]!;
        setQuery({ with: next.id }, true);
        document.getElementById(`tab-${next.id}`)?.focus();
      }}>
        {snippets.map((s) => (
          <button key={s.id} id={`tab-${s.id}`} type="button" role="tab" aria-selected={s === chosen} aria-controls="snippet" tabIndex={s === chosen ? 0 : -1} onClick={() => setQuery({ with: s.id }, true)}>{s.name}</button>
        ))}
      </div>
      <div id="snippet" role="tabpanel" aria-labelledby={`tab-${chosen.id}`} className="stack">
        <p>{chosen.what}.</p>
        {chosen.install && <Snippet code={chosen.install} label="Install" />}
        <Snippet code={code} label={`${chosen.name} snippet`} />
        {code.includes("YOUR_INGEST_TOKEN") && (
          <p className="note">The ingest token was shown once, when the project was made. If you no longer have it: <button type="button" className="button" onClick={async () => setToken((await api.rotateKeys(project, 86_400)).ingest_token)}>Make a new one</button> The old one goes on working for 24 hours.</p>
        )}
      </div>
      <Arrived project={project} signals={data.signals} />
    </div>
  );
}

const where: Record<string, string> = { logs: "explore", spans: "sql", errors: "errors" };

function Arrived({ project, signals }: { project: string; signals: Project["signals"] }) {
  const some = Object.entries(signals).filter(([, s]) => s.rows > 0);
  return (
    <section aria-live="polite" className="stack">
      {some.length === 0 ? (
        <p className="wait"><i />Waiting for the first one</p>
      ) : some.map(([name, s]) => (
        <p key={name} className="wait done"><i />
          <span>{count(s.rows)} {name} arrived, the last <Time at={s.last} />. <a href={href([project, where[name] ?? "sql"], name === "spans" ? { sql: "SELECT * FROM spans ORDER BY timestamp DESC LIMIT 100" } : {})}>Look at them</a></span>
        </p>
      ))}
    </section>
  );
}
