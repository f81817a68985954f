// Errors: the list of issues of one state, newest first or by count.
import { useEffect, useState } from "react";
import { api, type Issue } from "../lib/api";
import { count } from "../lib/format";
import { useKeys } from "../lib/keys";
import { useLoad, usePolling } from "../lib/load";
import { go, href, setQuery, usePlace } from "../lib/route";
import { Empty, Level, Shown, SkeletonRows, Time } from "../parts/basics";
import { FirstEvent } from "../parts/FirstEvent";
import { SearchBar } from "../parts/SearchBar";
import { Trend } from "../parts/Trend";
import { Veiled } from "../parts/veil";
import "../design/errors.css";

const states = ["unresolved", "resolved", "archived"] as const;
/** What the server gives at most in one answer. */
const listMost = 200;
const orders: [id: string, name: string, css: string][] = [["count", "Events", "number"], ["users", "People", "number"], ["last_seen", "Last seen", ""], ["first_seen", "First seen", "wide"]];

export function Errors({ project }: { project: string }) {
  const { query } = usePlace();
  const status = query.get("status") ?? "unresolved";
  const q = query.get("q") ?? "";
  const order = query.get("order") ?? "last_seen";
  const [chosen, setChosen] = useState<number>();
  const loaded = useLoad(`${project} ${status} ${q} ${order}`, (signal) => api.issues(project, { status, q, order, limit: String(listMost) }, signal));
  usePolling(loaded.reload, 5000);
  const issues = loaded.data?.issues ?? [];
  const counts = loaded.data?.counts ?? {};
  const at = Math.max(0, issues.findIndex((issue) => issue.id === chosen));
  const move = (to: number) => setChosen(issues[Math.max(0, Math.min(issues.length - 1, to))]?.id);
  const set = (next: Issue["status"]) => {
    const issue = issues[at];
    if (!issue) return;
    setChosen(issues[at + 1]?.id ?? issues[at - 1]?.id);
    api.setIssue(project, issue.id, issue.status === next ? "unresolved" : next).finally(loaded.reload);
  };
  useKeys({
    j: () => move(at + 1), k: () => move(at - 1), arrowdown: () => move(at + 1), arrowup: () => move(at - 1),
    enter: () => { const issue = issues[at]; if (issue) go(href([project, "errors", String(issue.id)])); },
    e: () => set("resolved"), a: () => set("archived"), r: loaded.reload,
  });
  useEffect(() => { document.querySelector("tr[data-selected=true]")?.scrollIntoView({ block: "nearest" }); }, [chosen]);
  return (
    <div className="errors">
      <SearchBar label="Search issues" placeholder="type, value or place" q={q} run={(next) => setQuery({ q: next || undefined })} />
      <nav className="tabs" aria-label="State">
        {states.map((s) => (
          <a key={s} className="tab" aria-current={status === s ? "page" : undefined} href={href([project, "errors"], { status: s === "unresolved" ? undefined : s, q, order: query.get("order") ?? undefined })}>
            {s} {loaded.data && <span className="soft data">{count(counts[s] ?? 0)}</span>}
          </a>
        ))}
      </nav>
      <Shown loaded={loaded} skeleton={<SkeletonRows columns="1fr 120px 92px 92px 116px 116px" rows={8} rowPx={53} />}>
        {() => issues.length === 0 ? <NoIssues project={project} known={Object.keys(counts).length > 0} again={loaded.reload} /> : (
          <>
            <table className="list issues">
              <thead>
                <tr>
                  <th>Issue</th><th className="trend-head">24 h</th>
                  {orders.map(([id, name, css]) => (
                    <th key={id} className={css} aria-sort={order === id ? "descending" : undefined}>
                      <button type="button" className="sort" aria-label={`Sort by ${name.toLowerCase()}`} onClick={() => setQuery({ order: id === "last_seen" ? undefined : id }, true)}>{name}<span aria-hidden="true">{order === id ? " ↓" : ""}</span></button>
                    </th>
                  ))}
                </tr>
              </thead>
              <tbody>{issues.map((issue, i) => <Row key={issue.id} project={project} issue={issue} selected={i === at} />)}</tbody>
            </table>
            {issues.length === listMost && <p className="page soft">The first {listMost} are shown. Search to find others.</p>}
          </>
        )}
      </Shown>
    </div>
  );
}

function Row({ project, issue, selected }: { project: string; issue: Issue; selected: boolean }) {
  return (
    <tr data-selected={selected}>
      <td>
        <div className="row issue-first"><a href={href([project, "errors", String(issue.id)])} className="issue-title clip"><Veiled text={issue.type || issue.title} /></a><span className="soft data clip">{issue.culprit}</span></div>
        <div className="row issue-second"><Level text={issue.level} /><span className="clip" title={issue.value}><Veiled text={issue.value} /></span></div>
      </td>
      <td className="trend-cell"><Trend counts={issue.trend} /></td>
      <td className="number data">{count(issue.count)}</td>
      <td className="number data">{count(issue.users)}</td>
      <td><Time at={issue.last_seen} /></td>
      <td className="wide"><Time at={issue.first_seen} /></td>
    </tr>
  );
}

function NoIssues({ project, known, again }: { project: string; known: boolean; again: () => void }) {
  if (known) return <Empty title="No issues here"><p className="soft">None fits this search and state.</p></Empty>;
  return <FirstEvent project={project} title="No errors have come yet" lead="Point any Sentry SDK at this project; only the DSN changes." with="sentry-node" signal="errors" arrived={again} />;
}
