// An empty view is a lesson: one sentence, one snippet, a live mark that turns into the thing itself.
import { useEffect } from "react";
import { api, type Project } from "../lib/api";
import { useLoad, usePolling } from "../lib/load";
import { href } from "../lib/route";
import { keysOf, snippets } from "../lib/snippets";
import { Shown, Snippet } from "./basics";

const lookEveryMs = 1500;

interface Props { project: string; title: string; lead: string; with: string; signal: string; arrived: () => void }

export function FirstEvent({ project, title, lead, with: id, signal, arrived }: Props) {
  const detail = useLoad(project, (abort) => api.project(project, abort));
  usePolling(detail.reload, lookEveryMs);
  const here = (detail.data?.signals[signal]?.rows ?? 0) > 0;
  useEffect(() => { if (here) arrived(); }, [here]);
  const snippet = snippets.find((s) => s.id === id) ?? snippets[0]!;
  return (
    <Shown loaded={detail}>
      {(data: Project) => (
        <section className="page stack first">
          <div><h2>{title}</h2><p className="soft">{lead}</p></div>
          <Snippet label={`${snippet.name} snippet`} code={snippet.code(keysOf(data))} />
          <p className="wait"><i />Waiting for the first one</p>
          <p><a href={href([project, "start"], { with: id })}>Other clients and keys</a>, or load the demo on the server's machine: <code>candor demo --project {project}</code></p>
        </section>
      )}
    </Shown>
  );
}
