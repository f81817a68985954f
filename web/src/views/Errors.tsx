// Errors: the list of issues, and one event's page with its story and its facts.
import { useEffect, useState } from "react";
import { api, type Cell, type EventDetail, type Issue } from "../lib/api";
import { count } from "../lib/format";
import { useKeys } from "../lib/keys";
import { useLoad } from "../lib/load";
import { go, href, setQuery, usePlace } from "../lib/route";
import { Empty, Level, Skeleton, Snippet, Time, Trouble, Veiled } from "../parts/basics";
import { EventStory } from "../parts/EventStory";
import { snippets } from "../lib/snippets";
import "../design/errors.css";

const states = ["unresolved", "resolved", "archived"] as const;

export function Errors({ project }: { project: string }) {
  const { query } = usePlace();
  const status = query.get("status") ?? "unresolved";
  const q = query.get("q") ?? "";
  const [draft, setDraft] = useState(q);
  const [at, setAt] = useState(0);
  const loaded = useLoad(`${project} ${status} ${q}`, (signal) => api.issues(project, { status, q, limit: "200" }, signal));
  useEffect(() => {
    const timer = setInterval(() => { if (!document.hidden) loaded.reload(); }, 5000);
    return () => clearInterval(timer);
  }, [loaded.reload]);
  const issues = loaded.data?.issues ?? [];
  const open = (issue: Issue | undefined) => { if (issue) go(href([project, "errors", String(issue.id)])); };
  useKeys({
    j: () => setAt(Math.min(at + 1, issues.length - 1)), k: () => setAt(Math.max(at - 1, 0)), enter: () => open(issues[at]),
  });
  useEffect(() => { document.querySelector("tr[data-selected=true]")?.scrollIntoView({ block: "nearest" }); }, [at]);
  return (
    <div className="errors">
      <form className="explore-search" role="search" onSubmit={(event) => { event.preventDefault(); setQuery({ q: draft.trim() || undefined }); }}>
        <label className="sr-only" htmlFor="q">Search issues</label>
        <input id="q" data-search className="input data" placeholder="type, value or place" value={draft} onChange={(event) => setDraft(event.target.value)} />
        <button className="button">Search</button>
      </form>
      <div className="tabs" role="tablist" aria-label="State">
        {states.map((s) => <button key={s} type="button" role="tab" aria-selected={status === s} onClick={() => setQuery({ status: s === "unresolved" ? undefined : s })}>{s}</button>)}
      </div>
      {loaded.problem ? <div className="page"><Trouble problem={loaded.problem} again={loaded.reload} /></div>
        : !loaded.data ? <Skeleton />
        : issues.length === 0 ? <NoIssues project={project} filtered={q !== "" || status !== "unresolved"} />
        : (
          <table className="list issues">
            <thead><tr><th>Issue</th><th className="trend-head">24 h</th><th className="number">Events</th><th className="number">People</th><th>Last seen</th><th className="wide">First seen</th></tr></thead>
            <tbody>
              {issues.map((issue, i) => (
                <tr key={issue.id} data-selected={i === at}>
                  <td>
                    <a href={href([project, "errors", String(issue.id)])} className="issue-title"><Veiled text={issue.type || issue.title} /></a>
                    <div className="clip issue-value"><Veiled text={issue.value} /></div>
                    <div className="row soft issue-place"><Level text={issue.level} /><span className="clip data">{issue.culprit}</span></div>
                  </td>
                  <td><Trend counts={issue.trend} /></td>
                  <td className="number data">{count(issue.count)}</td>
                  <td className="number data">{count(issue.users)}</td>
                  <td><Time at={issue.last_seen} /></td>
                  <td className="wide"><Time at={issue.first_seen} /></td>
                </tr>
              ))}
            </tbody>
          </table>
        )}
    </div>
  );
}

function NoIssues({ project, filtered }: { project: string; filtered: boolean }) {
  const detail = useLoad(filtered ? undefined : project, (signal) => api.project(project, signal));
  if (filtered) return <Empty title="No issues here"><p className="soft">None fits this search and state.</p></Empty>;
  const sentry = snippets.find((s) => s.id === "sentry-node")!;
  return (
    <Empty title="No errors have come yet">
      <p>Point any Sentry SDK at this project; only the DSN changes.</p>
      {detail.data && <Snippet label="Sentry, Node" code={sentry.code({ host: location.origin, dsn: detail.data.dsn, token: "", project })} />}
      <p className="wait"><i />Waiting for the first one</p>
      <p><a href={href([project, "start"])}>Other clients</a></p>
    </Empty>
  );
}

function Trend({ counts }: { counts: number[] }) {
  const most = Math.max(1, ...counts);
  return (
    <svg className="trend" viewBox={`0 0 ${counts.length * 4} 20`} role="img" aria-label={`${count(counts.reduce((a, b) => a + b, 0))} in 24 hours`} preserveAspectRatio="none">
      {counts.map((n, i) => <rect key={i} x={i * 4} width={3} y={20 - Math.max(n ? 2 : 0.6, (n / most) * 20)} height={Math.max(n ? 2 : 0.6, (n / most) * 20)} />)}
    </svg>
  );
}

/** One issue: the newest event, or the one that the address names. */
export function IssuePage({ project, id }: { project: string; id: string }) {
  const { query } = usePlace();
  const issue = useLoad(`${project} ${id}`, () => api.issue(project, id));
  const events = useLoad(`${project} ${id} events`, () => api.issueEvents(project, id));
  const wanted = query.get("event") ?? events.data?.events[0]?.event_id;
  const event = useLoad(wanted && `${project} ${wanted}`, () => api.event(project, wanted!));
  const [problem, setProblem] = useState(issue.problem);
  const set = (status: Issue["status"]) => {
    if (issue.data) api.setIssue(project, issue.data.id, status).then(() => issue.reload(), setProblem);
  };
  const turn = (to: string | null | undefined) => { if (to) setQuery({ event: to }, true); };
  useKeys({
    e: () => set(issue.data?.status === "resolved" ? "unresolved" : "resolved"), a: () => set(issue.data?.status === "archived" ? "unresolved" : "archived"),
    j: () => turn(event.data?.previous), k: () => turn(event.data?.next), escape: () => go(href([project, "errors"])),
  });
  if (issue.problem) return <div className="page"><Trouble problem={issue.problem} again={issue.reload} /></div>;
  if (!issue.data) return <Skeleton />;
  const i = issue.data;
  return (
    <div className="issue page">
      <header className="issue-head">
        <div className="grow">
          <p><a href={href([project, "errors"])}>Errors</a></p>
          <h1><Veiled text={i.type || i.title} /></h1>
          <p className="issue-message"><Veiled text={i.value} /></p>
          <p className="row soft"><Level text={i.level} /><span className="data clip">{i.culprit}</span>{i.status !== "unresolved" && <strong className="state-ok">{i.status}</strong>}</p>
        </div>
        <div className="row acts">
          <button type="button" className="button" data-kind={i.status === "resolved" ? undefined : "primary"} onClick={() => set(i.status === "resolved" ? "unresolved" : "resolved")}>{i.status === "resolved" ? "Open again" : "Resolve"} <kbd>e</kbd></button>
          <button type="button" className="button" onClick={() => set(i.status === "archived" ? "unresolved" : "archived")}>{i.status === "archived" ? "Take out of archive" : "Archive"} <kbd>a</kbd></button>
        </div>
      </header>
      {problem && <Trouble problem={problem} />}
      <div className="issue-body">
        <div className="story">
          {event.data && (
            <div className="row event-nav">
              <span className="soft grow">Event <code>{event.data.event_id.slice(0, 8)}</code>, <Time at={event.data.timestamp} /></span>
              <button type="button" className="button" disabled={!event.data.previous} onClick={() => turn(event.data?.previous)}>Older</button>
              <button type="button" className="button" disabled={!event.data.next} onClick={() => turn(event.data?.next)}>Newer</button>
            </div>
          )}
          {event.problem ? <Trouble problem={event.problem} again={event.reload} /> : event.data ? <EventStory event={event.data} /> : <Skeleton />}
        </div>
        <Facts project={project} issue={i} event={event.data} />
      </div>
    </div>
  );
}

function Facts({ project, issue, event }: { project: string; issue: Issue; event?: EventDetail }) {
  const tags = Object.entries(event?.tags ?? {});
  const trace = (event?.event as { contexts?: { trace?: { trace_id?: Cell } } } | undefined)?.contexts?.trace?.trace_id;
  return (
    <aside className="facts" aria-label="Facts">
      <dl>
        <div><dt>Events</dt><dd className="data">{count(issue.count)}</dd></div>
        <div><dt>People</dt><dd className="data">{count(issue.users)}</dd></div>
        <div><dt>First seen</dt><dd><Time at={issue.first_seen} /></dd></div>
        <div><dt>Last seen</dt><dd><Time at={issue.last_seen} /></dd></div>
        {issue.release && <div><dt>Release</dt><dd className="data"><Veiled text={issue.release} /></dd></div>}
        {issue.environment && <div><dt>Environment</dt><dd className="data">{issue.environment}</dd></div>}
        {event?.subject && <div><dt>Person</dt><dd><Veiled text={event.subject} /></dd></div>}
      </dl>
      <Trend counts={issue.trend} />
      {tags.length > 0 && (
        <section><h2>Tags</h2>
          <dl>{tags.map(([key, value]) => <div key={key}><dt className="clip" title={key}>{key}</dt><dd className="data"><Veiled text={value} /></dd></div>)}</dl>
        </section>
      )}
      {typeof trace === "string" && <p><a href={href([project, "explore"], { q: `trace:${trace}`, range: "7d" })}>Logs of this trace</a></p>}
    </aside>
  );
}

/** An event by its id: finds its issue and goes there. */
export function EventById({ project, id }: { project: string; id: string }) {
  const event = useLoad(`${project} ${id}`, () => api.event(project, id));
  useEffect(() => {
    if (event.data?.issue != null) go(href([project, "errors", String(event.data.issue)], { event: id }), true);
  }, [event.data]);
  if (event.problem) return <div className="page"><Trouble problem={event.problem} /></div>;
  if (event.data && event.data.issue === null) return <div className="page"><EventStory event={event.data} /></div>;
  return <Skeleton />;
}
