// One bridge: its state, its topics with their lag, its groups, and what may be done to it.
import { useState } from "react";
import { asProblem, type Problem } from "../lib/api";
import { bytes, count } from "../lib/format";
import { useKeys } from "../lib/keys";
import { useLoad, usePolling } from "../lib/load";
import { go, href } from "../lib/route";
import { perSecond, streams, type Bridge, type Overview } from "../lib/streams";
import { Shown, Time, Trouble } from "../parts/basics";
import { BridgeStateOf, bridgeWay } from "./Bridges";
import { ConfirmName } from "./TopicSettings";

const lookEveryMs = 2000;

export function BridgePage({ project, name, overview }: { project: string; name: string; overview: Overview }) {
  const loaded = useLoad(`${project} ${name}`, (signal) => streams.bridge(project, name, signal));
  usePolling(loaded.reload, lookEveryMs);
  useKeys({ r: loaded.reload });
  const [problem, setProblem] = useState<Problem>();
  const [asking, setAsking] = useState(false);
  const [left, setLeft] = useState<string>();
  const failed = (error: unknown) => setProblem(asProblem(error));
  const hold = (act: "pause" | "resume") => streams.holdBridge(project, name, act).then(() => { setProblem(undefined); loaded.reload(); }, failed);
  const back = href([project, "streams", "bridges"]);
  const remove = () => streams.deleteBridge(project, name).then((answer) => (answer.group_left ? setLeft(answer.group_left) : go(back)), failed).finally(() => setAsking(false));
  if (left) return <div className="page stack first"><h2>{name} is deleted</h2><p>Its group <span className="data">{left}</span> could not be removed at the other cluster: delete it there.</p><p><a href={back}>All bridges</a></p></div>;
  return (
    <Shown loaded={loaded}>
      {(bridge) => (
        <div className="streams group page stack">
          <header className="stack">
            <p className="soft"><a href={back}>Bridges</a></p>
            <div className="row topic-title"><h1 className="data grow">{bridge.name}</h1>
              {overview.may_change && <>
                {bridge.state === "paused" ? <button type="button" className="button" onClick={() => void hold("resume")}>Resume</button> : <><button type="button" className="button" onClick={() => void hold("pause")}>Pause</button><button type="button" className="button" title="Look at both sides again, and take up topics that were deleted at the target" onClick={() => void hold("resume")}>Begin anew</button></>}
                <button type="button" className="button" data-kind="danger" onClick={() => setAsking(true)}>Delete</button>
              </>}
            </div>
            <dl className="figures">
              <div><dt>State</dt><dd><BridgeStateOf bridge={bridge} /></dd></div>
              <div><dt>Lag</dt><dd className="data">{count(bridge.lag)}</dd></div>
              <div><dt>Rate</dt><dd className="data">{perSecond(bridge.records_per_second)}</dd></div>
              <div><dt>Since it began</dt><dd className="data">{count(bridge.records)} records, {bytes(bridge.bytes)}</dd></div>
            </dl>
            {bridge.error && <p className="note" role="status">{bridge.error}{bridge.retry_in_s !== null && `. Tried again in ${bridge.retry_in_s} s.`}</p>}
            {problem && <Trouble problem={problem} />}
          </header>
          <Topics project={project} bridge={bridge} />
          {bridge.groups && <Groups bridge={bridge} />}
          <Facts bridge={bridge} />
          {asking && <ConfirmName name={bridge.name} act="Delete" close={() => setAsking(false)} run={() => void remove()} />}
        </div>
      )}
    </Shown>
  );
}

function Facts({ bridge }: { bridge: Bridge }) {
  const login = bridge.sasl ? `${bridge.sasl.username} by ${bridge.sasl.mechanism}` : "as nobody";
  const facts: [name: string, value: React.ReactNode][] = [
    ["Mirrors", bridgeWay(bridge)], ["Connection", `${bridge.tls ? "TLS" : "in the clear"}, ${login}`],
    ["Topics", `${bridge.topics.join(", ")}${bridge.exclude.length ? `, but not ${bridge.exclude.join(", ")}` : ""}${bridge.prefix ? `, as ${bridge.prefix}…` : ""}`],
    ["Begins", bridge.start === "latest" ? "with what came from then on" : "with the oldest record"], ["Group at the target", bridge.group], ["Made", <Time key="made" at={bridge.created_at} />],
  ];
  return <section className="stack"><h2>As it was made</h2><dl className="bridge-facts">{facts.map(([name, value]) => <div key={name}><dt>{name}</dt><dd className="data">{value}</dd></div>)}</dl></section>;
}

function Topics({ project, bridge }: { project: string; bridge: Bridge }) {
  const here = (source: string, target: string | null) => (bridge.direction === "pull" ? target : source);
  return (
    <section className="stack">
      <h2>Topics</h2>
      {bridge.mirrored.length === 0 ? <p className="soft">{bridge.state === "running" ? "No topic of the source fits." : "Not known yet."}</p> : (
        <table className="list">
          <thead><tr><th>At the source</th><th className="wide">At the target</th><th className="number">Partitions</th><th className="number">Lag</th><th>In the way</th></tr></thead>
          <tbody>{bridge.mirrored.map((t) => {
            const own = here(t.source, t.target);
            const link = (name: string | null) => (name === null ? <span className="soft">none</span> : name === own && !t.error ? <a className="topic-name data" href={href([project, "streams", "topics", name])}>{name}</a> : <span className="data">{name}</span>);
            return (
              <tr key={t.source}>
                <td>{bridge.direction === "push" ? link(t.source) : <span className="data">{t.source}</span>}</td><td className="wide">{bridge.direction === "pull" ? link(t.target) : <span className="data">{t.target}</span>}</td>
                <td className="number data">{count(t.partitions.length)}</td><td className="number data">{count(t.lag)}</td><td>{t.error ?? (t.skipped > 0 ? `${count(t.skipped)} offsets were deleted at the source before they were mirrored` : <span className="soft">nothing</span>)}</td>
              </tr>
            );
          })}</tbody>
        </table>
      )}
    </section>
  );
}

function Groups({ bridge }: { bridge: Bridge }) {
  return (
    <section className="stack">
      <h2>Groups</h2>
      {bridge.groups_error && <p className="note" role="status">{bridge.groups_error}</p>}
      {bridge.mirrored_groups.length === 0 ? <p className="soft">No group of the source has read a mirrored topic yet.</p> : (
        <table className="list">
          <thead><tr><th>Group</th><th className="number">Partitions</th><th>In the way</th></tr></thead>
          <tbody>{bridge.mirrored_groups.map((g) => <tr key={g.group}><td className="data">{g.group}</td><td className="number data">{count(g.partitions)}</td><td>{g.error ?? <span className="soft">nothing</span>}</td></tr>)}</tbody>
        </table>
      )}
    </section>
  );
}
