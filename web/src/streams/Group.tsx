// One group: its lag over the last hour, its members, its offsets, and where it goes on.
import { lazy, Suspense, useState } from "react";
import { asProblem, type Problem } from "../lib/api";
import { count } from "../lib/format";
import { useLoad, usePolling } from "../lib/load";
import { go, href, setQuery, usePlace } from "../lib/route";
import { streams, type GroupDetail, type GroupOffset, type Overview } from "../lib/streams";
import { Shown, Trouble } from "../parts/basics";
import { StateOf } from "./Groups";
import { ResetDialog } from "./ResetDialog";
import { ConfirmName } from "./TopicSettings";

const LagChart = lazy(() => import("./LagChart").then((m) => ({ default: m.LagChart })));

const lookEveryMs = 3000, lagEveryMs = 5000;

export function GroupPage({ project, name, overview }: { project: string; name: string; overview: Overview }) {
  const { query } = usePlace();
  const loaded = useLoad(`${project} ${name}`, (signal) => streams.group(project, name, signal));
  usePolling(loaded.reload, lookEveryMs);
  const lag = useLoad(`${project} ${name}`, (signal) => streams.lag(project, name, signal));
  usePolling(lag.reload, lagEveryMs);
  const [problem, setProblem] = useState<Problem>();
  const [asking, setAsking] = useState(false);
  const remove = () => streams.deleteGroup(project, name).then(() => go(href([project, "streams", "groups"]), true), (error) => { setAsking(false); setProblem(asProblem(error)); });
  return (
    <Shown loaded={loaded}>
      {(group) => (
        <div className="streams group page stack">
          <header className="stack">
            <p className="soft"><a href={href([project, "streams", "groups"])}>Groups</a></p>
            <div className="row topic-title"><h1 className="data grow">{group.group || "(no name)"}</h1>
              {overview.may_change && <><button type="button" className="button" disabled={!group.idle || group.topics.length === 0} title={group.idle ? undefined : "Stop its readers first"} onClick={() => setQuery({ reset: group.topics[0] })}>Move its offsets</button>
                <button type="button" className="button" data-kind="danger" disabled={!group.idle} title={group.idle ? undefined : "Stop its readers first"} onClick={() => setAsking(true)}>Delete</button></>}
            </div>
            <dl className="figures">
              <div><dt>State</dt><dd><StateOf state={group.state} /></dd></div>
              <div><dt>Lag</dt><dd className="data">{count(group.lag)}</dd></div>
              <div><dt>Members</dt><dd className="data">{count(group.members)}</dd></div>
              <div><dt>Protocol</dt><dd>{group.kind}{group.protocol_type && group.protocol_type !== "consumer" && `, ${group.protocol_type}`}</dd></div>
              {group.assignor && <div><dt>Assigned by</dt><dd>{group.assignor}</dd></div>}
            </dl>
            {overview.may_change && !group.idle && <p className="soft">Its offsets can be moved, and it can be deleted, once nobody reads in it.</p>}
            {problem && <Trouble problem={problem} />}
          </header>
          <section className="stack">
            <h2>Lag over the last hour</h2>
            {lag.data && lag.data.times.length > 1 ? <Suspense fallback={<div className="lag-room" />}><LagChart history={lag.data} /></Suspense> : <p className="lag-room soft">Noted every 5 seconds since the server started; the first notes are on their way.</p>}
          </section>
          <Members group={group} />
          <Offsets project={project} group={group} />
          {query.get("reset") && overview.may_change && group.idle && <ResetDialog project={project} group={group} topic={query.get("reset")!} close={() => setQuery({ reset: undefined })} done={() => { setQuery({ reset: undefined }); loaded.reload(); }} />}
          {asking && <ConfirmName name={group.group} act="Delete" close={() => setAsking(false)} run={() => void remove()} />}
        </div>
      )}
    </Shown>
  );
}

function Members({ group }: { group: GroupDetail }) {
  return (
    <section className="stack">
      <h2>Members</h2>
      {group.who.length === 0 ? <p className="soft">Nobody reads in it now.</p> : (
        <table className="list">
          <thead><tr><th>Client</th><th className="wide">From</th><th>Reads</th></tr></thead>
          <tbody>{group.who.map((m) => <tr key={m.id}><td className="data" title={m.id}>{m.client_id || m.id}{m.instance && <span className="soft"> instance {m.instance}</span>}</td><td className="data wide">{m.host}</td><td className="data">{m.assigned.length === 0 ? <span className="soft">nothing</span> : m.assigned.map((a) => `${a.topic} ${ranges(a.partitions)}`).join(", ")}</td></tr>)}</tbody>
        </table>
      )}
    </section>
  );
}

/** `0-3, 7` of partitions. */
export function ranges(numbers: number[]): string {
  const sorted = [...numbers].sort((a, b) => a - b), found: [number, number][] = [];
  for (const n of sorted) {
    const last = found.at(-1);
    if (last && last[1] === n - 1) last[1] = n;
    else found.push([n, n]);
  }
  return found.map(([a, b]) => (a === b ? String(a) : `${a}-${b}`)).join(", ");
}

function Offsets({ project, group }: { project: string; group: GroupDetail }) {
  const who = (o: GroupOffset) => group.who.find((m) => m.id === o.member)?.client_id ?? "";
  return (
    <section className="stack">
      <h2>Offsets</h2>
      {group.offsets.length === 0 ? <p className="soft">Nothing is committed yet.</p> : (
        <table className="list">
          <thead><tr><th>Topic</th><th className="number">Partition</th><th className="number">Committed</th><th className="number wide">Ends at</th><th className="number">Lag</th><th className="wide">Read by</th></tr></thead>
          <tbody>{group.offsets.map((o) => <tr key={`${o.topic} ${o.partition}`}><td><a className="data" href={href([project, "streams", "topics", o.topic])}>{o.topic}</a></td><td className="number data">{o.partition}</td><td className="number data">{o.committed === null ? <span className="soft">none</span> : count(o.committed)}</td><td className="number data wide">{count(o.end)}</td><td className="number data">{o.lag === null ? <span className="soft">unknown</span> : count(o.lag)}</td><td className="wide data">{who(o)}</td></tr>)}</tbody>
        </table>
      )}
    </section>
  );
}
