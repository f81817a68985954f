// One issue: the story of an event on the left, the facts on the right, the acts above, what happened around below.
import { useEffect, useState } from "react";
import { api, Problem, type EventDetail, type Issue } from "../lib/api";
import { exact } from "../lib/format";
import { useKeys } from "../lib/keys";
import { useLoad } from "../lib/load";
import { go, href, setQuery, usePlace } from "../lib/route";
import { zoneName } from "../lib/zone";
import { Level, Shown, Skeleton, Time, Trouble } from "../parts/basics";
import { EventStory } from "../parts/EventStory";
import { IssueFacts } from "../parts/IssueFacts";
import { Around } from "../parts/Around";
import { Veiled } from "../parts/veil";
import "../design/errors.css";

/** The newest event of the issue, or the one that the address names. */
export function IssuePage({ project, id }: { project: string; id: string }) {
  const { query } = usePlace();
  const issue = useLoad(`${project} ${id}`, () => api.issue(project, id));
  const newest = useLoad(query.get("event") ? undefined : `${project} ${id} events`, () => api.issueEvents(project, id, 1));
  const wanted = query.get("event") ?? newest.data?.events[0]?.event_id;
  const event = useLoad(wanted && `${project} ${wanted}`, () => api.event(project, wanted!));
  const [problem, setProblem] = useState<Problem>();
  const set = (status: Issue["status"]) => {
    const next = issue.data?.status === status ? "unresolved" : status;
    setProblem(undefined);
    if (issue.data) api.setIssue(project, issue.data.id, next).then(issue.reload, (error: unknown) => setProblem(error instanceof Problem ? error : new Problem(-1, "Not changed", String(error))));
  };
  const turn = (to: string | null | undefined) => { if (to) setQuery({ event: to }, true); };
  useKeys({
    e: () => set("resolved"), a: () => set("archived"),
    j: () => turn(event.data?.previous), k: () => turn(event.data?.next), escape: () => go(href([project, "errors"])),
  });
  return (
    <Shown loaded={issue}>
      {(i) => (
        <article className="issue">
          <header className="issue-head">
            <div className="grow">
              <p className="row"><a href={href([project, "errors"])}>Errors</a><span className="soft" aria-hidden="true">/</span><Level text={i.level} />{i.status !== "unresolved" && <strong className="state-ok">{i.status}</strong>}</p>
              <h1><Veiled text={i.type || i.title} /></h1>
              <p className="issue-message"><Veiled text={i.value} /></p>
              <p className="soft data">{i.culprit}</p>
            </div>
            <div className="row acts">
              <button type="button" className="button" data-kind={i.status === "resolved" ? undefined : "primary"} onClick={() => set("resolved")}>{i.status === "resolved" ? "Open again" : "Resolve"} <kbd>e</kbd></button>
              <button type="button" className="button" onClick={() => set("archived")}>{i.status === "archived" ? "Take out of archive" : "Archive"} <kbd>a</kbd></button>
            </div>
          </header>
          {problem && <Trouble problem={problem} />}
          <div className="issue-body">
            <div className="story">
              {newest.problem && <Trouble problem={newest.problem} again={newest.reload} />}
              <Shown loaded={event} skeleton={<Skeleton lines={14} />}>{(e) => <><EventNav event={e} turn={turn} /><EventStory project={project} event={e} /><Around project={project} event={e} /></>}</Shown>
            </div>
            <IssueFacts project={project} issue={i} event={event.data} />
          </div>
        </article>
      )}
    </Shown>
  );
}

function EventNav({ event, turn }: { event: EventDetail; turn: (to: string | null) => void }) {
  return (
    <div className="row event-nav">
      <span className="soft grow">Event <code title={event.event_id}>{event.event_id.slice(0, 8)}</code>, <Time at={event.timestamp} /><span className="wide">, {exact(event.timestamp)} {zoneName(new Date(event.timestamp))}</span></span>
      <button type="button" className="button" disabled={!event.previous} onClick={() => turn(event.previous)}>Older <kbd>j</kbd></button>
      <button type="button" className="button" disabled={!event.next} onClick={() => turn(event.next)}>Newer <kbd>k</kbd></button>
    </div>
  );
}

/** An event by its id: finds its issue and goes there. */
export function EventById({ project, id }: { project: string; id: string }) {
  const event = useLoad(`${project} ${id}`, () => api.event(project, id));
  const issue = event.data?.issue;
  useEffect(() => {
    if (issue != null) go(href([project, "errors", String(issue)], { event: id }), true);
  }, [issue]);
  return <Shown loaded={event}>{(e) => (e.issue === null ? <div className="issue"><EventStory project={project} event={e} /></div> : <Skeleton />)}</Shown>;
}
