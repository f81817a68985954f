// An empty topic, or none at all: one sentence, how to send with the real host and name, a mark that waits.
import { useEffect } from "react";
import { usePolling } from "../lib/load";
import { fresh } from "../lib/snippets";
import { href, setQuery, usePlace } from "../lib/route";
import { passwordGone, streamSnippets, type Overview } from "../lib/streams";
import { Snippet } from "../parts/basics";

const lookEveryMs = 1500;

interface Props { project: string; overview: Overview; topic?: string; title: string; lead: string; look: () => void; here: boolean; arrived?: () => void }

export function FirstMessage({ project, overview, topic, title, lead, look, here, arrived }: Props) {
  const { query } = usePlace();
  usePolling(look, lookEveryMs);
  useEffect(() => { if (here) arrived?.(); }, [here]);
  const chosen = streamSnippets.find((s) => s.id === query.get("with")) ?? streamSnippets[0]!;
  const known = fresh.get(project)?.kafka;
  const [username = "USERNAME"] = known ? [known.username] : overview.users;
  const access = { bootstrap: overview.bootstrap ?? "", username, password: known?.password ?? passwordGone, tls: overview.tls, topic: topic ?? "orders" };
  return (
    <section className="page stack first">
      <div><h2>{title}</h2><p className="soft">{lead}</p></div>
      <div className="tabs" role="tablist" aria-label="Client">
        {streamSnippets.map((s) => (
          <button key={s.id} type="button" role="tab" id={`tab-${s.id}`} aria-controls="snippet" aria-selected={s.id === chosen.id} tabIndex={s.id === chosen.id ? 0 : -1} className="tab"
            onClick={() => setQuery({ with: s.id }, true)}
            onKeyDown={(event) => {
              const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
              if (!step) return;
              event.preventDefault();
              const next = streamSnippets[(streamSnippets.indexOf(chosen) + step + streamSnippets.length) % streamSnippets.length]!;
              setQuery({ with: next.id }, true);
              document.getElementById(`tab-${next.id}`)?.focus();
            }}>{s.name}</button>
        ))}
      </div>
      <div id="snippet" role="tabpanel" aria-labelledby={`tab-${chosen.id}`} className="stack">
        {chosen.install && <Snippet code={chosen.install} label="Install" />}
        <Snippet code={chosen.code(access)} label={`${chosen.name} snippet`} />
        {!known && <p className="note">The password of <span className="data">{username}</span> was shown once. If you no longer have it, an owner or admin makes a new one under <a href={href([project, "streams", "access"])}>Users and rules</a>.</p>}
      </div>
      <p className="wait"><i />Waiting for the first one</p>
    </section>
  );
}
