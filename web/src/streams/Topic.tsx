// One topic: what it is at a glance, and under tabs its messages, partitions, groups and settings.
import { Fragment, useState } from "react";
import { asProblem, type Problem } from "../lib/api";
import { bytes, count } from "../lib/format";
import { useLoad, usePolling } from "../lib/load";
import { href, usePlace } from "../lib/route";
import { schemas } from "../lib/schemas";
import { perSecond, sqlOf, streams, type Overview, type TopicDetail } from "../lib/streams";
import { Shown, Trouble } from "../parts/basics";
import { Messages } from "./Messages";
import { Produce } from "./Produce";
import { TopicSettings } from "./TopicSettings";
import { Kept } from "./Topics";
import { StateOf } from "./Groups";

const lookEveryMs = 3000;

/** Where the rows of a signal's topic are looked at. */
const signalViews: Record<string, [view: string, words: string]> = { "candor.logs": ["explore", "Explore"], "candor.errors": ["errors", "Errors"], "candor.spans": ["sql", "SQL"] };

export function Topic({ project, name, overview }: { project: string; name: string; overview: Overview }) {
  const { query } = usePlace();
  const loaded = useLoad(`${project} ${name}`, (signal) => streams.topic(project, name, signal));
  usePolling(loaded.reload, lookEveryMs);
  // Without an answer about schemas the topic is shown all the same.
  const subjects = (useLoad(`${project} ${name}`, (signal) => schemas.list(project, name, false, signal)).data?.subjects ?? []).filter((s) => s.topic === name);
  const [problem, setProblem] = useState<Problem>();
  const tabs = (topic: TopicDetail): [id: string, name: string][] => [
    ["messages", "Messages"], ["partitions", "Partitions"], ["groups", `Groups ${topic.groups.length || ""}`.trim()], ["settings", "Settings"],
    ...(overview.may_change && !topic.read_only ? [["produce", "Produce"] as [string, string]] : []),
  ];
  return (
    <Shown loaded={loaded}>
      {(topic) => {
        const all = tabs(topic);
        const tab = all.some(([id]) => id === query.get("tab")) ? query.get("tab")! : "messages";
        return (
          <div className="streams topic">
            <header className="topic-head">
              <p className="soft"><a href={href([project, "streams"])}>Topics</a></p>
              <div className="row topic-title"><h1 className="data grow">{topic.name}</h1><a className="button" href={href([project, "sql"], { sql: topic.read_only ? `SELECT * FROM ${topic.name.replace("candor.", "")} ORDER BY timestamp DESC LIMIT 100` : sqlOf(topic.name) })}>SQL</a></div>
              <dl className="figures">
                <div><dt>Messages</dt><dd className="data">{count(topic.messages)}</dd></div>
                <div><dt>Rate</dt><dd className="data">{perSecond(topic.rate)}</dd></div>
                <div><dt>Size</dt><dd className="data">{topic.bytes === null ? "unknown" : bytes(topic.bytes)}</dd></div>
                <div><dt>Partitions</dt><dd className="data">{count(topic.partitions)}</dd></div>
                {!topic.read_only && <div><dt>Kept</dt><dd><Kept topic={topic} /></dd></div>}
                {!topic.read_only && <div><dt>Values</dt><dd>{topic.values}</dd></div>}
                {subjects.length > 0 && <div><dt>Schemas</dt><dd className="data">{subjects.map((s, i) => <Fragment key={s.subject}>{i > 0 && ", "}<a href={href([project, "streams", "schemas", s.subject])}>{s.subject}</a></Fragment>)}</dd></div>}
                <div><dt>Lag of its groups</dt><dd className="data">{topic.groups.length ? count(topic.groups.reduce((sum, g) => sum + g.lag, 0)) : "none read"}</dd></div>
              </dl>
            </header>
            <nav className="tabs" aria-label="Topic">{all.map(([id, label]) => <a key={id} className="tab" aria-current={tab === id ? "page" : undefined} href={href([project, "streams", "topics", name], { tab: id === "messages" ? undefined : id })}>{label}</a>)}</nav>
            {problem && <div className="page"><Trouble problem={problem} /></div>}
            {tab === "messages" ? topic.read_only ? <Signal project={project} name={name} /> : <Messages project={project} topic={topic} overview={overview} reload={loaded.reload} />
              : tab === "partitions" ? <Partitions topic={topic} />
              : tab === "groups" ? <GroupsOf project={project} topic={topic} />
              : tab === "produce" ? <Produce project={project} topic={topic} done={loaded.reload} />
              : <TopicSettings project={project} topic={topic} may={overview.may_change && !topic.read_only} reload={loaded.reload} failed={(error) => setProblem(error === undefined ? undefined : asProblem(error))} />}
          </div>
        );
      }}
    </Shown>
  );
}

function Signal({ project, name }: { project: string; name: string }) {
  const [view, words] = signalViews[name] ?? ["sql", "SQL"];
  return (
    <section className="page stack reading">
      <p>This topic carries a signal of the project: a Kafka client with the project's credentials can read it as JSON, after the gate. Its records are rows of a table, to search and query.</p>
      <p><a className="button" href={href([project, view])}>Look at them in {words}</a></p>
    </section>
  );
}

function Partitions({ topic }: { topic: TopicDetail }) {
  return (
    <table className="list">
      <thead><tr><th className="number">Partition</th><th className="number">Begins at</th><th className="number">Ends at</th><th className="number">Messages</th><th className="number wide">Size</th><th className="wide">Transactions</th></tr></thead>
      <tbody>
        {topic.parts.map((p) => (
          <tr key={p.partition}>
            <td className="number data">{p.partition}</td><td className="number data">{count(p.start)}</td><td className="number data">{count(p.end)}</td><td className="number data">{count(p.end - p.start)}</td>
            <td className="number data wide">{p.bytes === null ? "unknown" : bytes(p.bytes)}</td>
            <td className="wide">{p.stable < p.end ? <>open from <span className="data">{count(p.stable)}</span> on</> : <span className="soft">none open</span>}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function GroupsOf({ project, topic }: { project: string; topic: TopicDetail }) {
  if (!topic.groups.length) return <section className="page stack reading"><h2>No group has read from it</h2><p className="soft">A consumer group is here once it has committed an offset.</p></section>;
  return (
    <table className="list">
      <thead><tr><th>Group</th><th>State</th><th className="number">Lag</th><th className="number">Partitions</th></tr></thead>
      <tbody>{topic.groups.map((g) => <tr key={g.group}><td><a className="data" href={href([project, "streams", "groups", g.group])}>{g.group}</a></td><td><StateOf state={g.state} /></td><td className="number data">{count(g.lag)}</td><td className="number data">{count(g.partitions)}</td></tr>)}</tbody>
    </table>
  );
}
