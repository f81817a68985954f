// Topics: what each holds, how quickly it grows, how long it is kept.
import { useEffect, useState } from "react";
import { asProblem, type Problem } from "../lib/api";
import { bytes, count } from "../lib/format";
import { useKeys } from "../lib/keys";
import { useLoad, usePolling } from "../lib/load";
import { go, href, setQuery, usePlace } from "../lib/route";
import { kept, perSecond, streams, valueModes, type Overview, type Topic } from "../lib/streams";
import { Empty, Shown, SkeletonRows, Trouble } from "../parts/basics";
import { Modal } from "../parts/overlay";
import { SearchBar } from "../parts/SearchBar";
import { FirstMessage } from "./FirstMessage";

const lookEveryMs = 3000, firstLookMs = 1000;

export function Topics({ project, overview }: { project: string; overview: Overview }) {
  const { query } = usePlace();
  const q = query.get("q") ?? "";
  const making = query.get("new") === "1" && overview.may_change;
  const [chosen, setChosen] = useState<string>();
  const loaded = useLoad(`${project} ${q}`, (signal) => streams.topics(project, q, signal));
  // A rate takes two looks.
  usePolling(loaded.reload, loaded.data?.topics.some((t) => t.rate === null) ? firstLookMs : lookEveryMs);
  const topics = loaded.data?.topics ?? [];
  const at = Math.max(0, topics.findIndex((t) => t.name === chosen));
  const move = (to: number) => setChosen(topics[Math.max(0, Math.min(topics.length - 1, to))]?.name);
  const open = (topic?: Topic) => { if (topic) go(href([project, "streams", "topics", topic.name])); };
  useKeys({ j: () => move(at + 1), k: () => move(at - 1), arrowdown: () => move(at + 1), arrowup: () => move(at - 1), enter: () => open(topics[at]), r: loaded.reload });
  useEffect(() => { document.querySelector("tr[data-selected=true]")?.scrollIntoView({ block: "nearest" }); }, [chosen]);
  const none = !q && topics.length > 0 && topics.every((t) => t.read_only);
  return (
    <>
      <div className="streams-head">
        <SearchBar label="Search topics" placeholder="a topic's name" q={q} run={(next) => setQuery({ q: next || undefined }, true)} />
        {overview.may_change && <button type="button" className="button" onClick={() => setQuery({ new: "1" })}>New topic</button>}
      </div>
      <Shown loaded={loaded} skeleton={<SkeletonRows columns="1fr 92px 116px 92px 92px 116px 92px" rows={8} rowPx={33} />}>
        {(data) => (
          <>
            {none && <FirstMessage project={project} overview={overview} title="No topics yet" lead="Point any Kafka client here: a topic is made at the first message." look={loaded.reload} here={false} />}
            {topics.length === 0 ? <Empty title="No topic fits"><p><button type="button" className="button" onClick={() => setQuery({ q: undefined })}>Clear the search</button></p></Empty> : (
              <>
                {none && <h2 className="streams-own">Signals of this project, as topics to read</h2>}
                <table className="list topics">
                  <thead><tr><th>Topic</th><th className="number narrow-out">Partitions</th><th className="number">Messages</th><th className="number">Rate</th><th className="number wide">Size</th><th className="wide">Kept</th><th className="wide">Values</th></tr></thead>
                  <tbody>{topics.map((topic, i) => <Row key={topic.name} project={project} topic={topic} selected={i === at} />)}</tbody>
                </table>
              </>
            )}
            {data.total > topics.length && <p className="page soft">The first {count(topics.length)} of {count(data.total)} are shown. Search to find others.</p>}
          </>
        )}
      </Shown>
      {making && <NewTopic project={project} close={() => setQuery({ new: undefined })} />}
    </>
  );
}

function Row({ project, topic, selected }: { project: string; topic: Topic; selected: boolean }) {
  return (
    <tr data-selected={selected}>
      <td><a className="topic-name data" href={href([project, "streams", "topics", topic.name])}>{topic.name}</a>{topic.read_only && <span className="soft"> signal</span>}</td>
      <td className="number data narrow-out">{count(topic.partitions)}</td>
      <td className="number data">{count(topic.messages)}</td>
      <td className="number data" title={topic.rate === null ? "Known at the second look" : "Messages a second, over the last minute"}>{perSecond(topic.rate)}</td>
      <td className="number data wide">{topic.bytes === null ? <span className="soft" title="Nobody counts the bytes of a topic in object storage">unknown</span> : bytes(topic.bytes)}</td>
      <td className="wide">{topic.read_only ? <span className="soft">as its table</span> : <Kept topic={topic} />}</td>
      <td className="wide">{topic.read_only ? <span className="soft">rows</span> : topic.values}</td>
    </tr>
  );
}

export function Kept({ topic }: { topic: Topic }) {
  const compacts = topic.cleanup.includes("compact"), deletes = topic.cleanup.includes("delete");
  const parts = [compacts && "newest of each key", deletes && kept(topic.retention_ms), deletes && topic.retention_bytes !== null && `${bytes(topic.retention_bytes)} a partition`].filter(Boolean);
  return <>{parts.join(", ")}</>;
}

function NewTopic({ project, close }: { project: string; close: () => void }) {
  const [problem, setProblem] = useState<Problem>();
  const submit = (form: HTMLFormElement) => {
    const given = new FormData(form);
    const text = (name: string) => String(given.get(name) ?? "").trim();
    const configs = [{ name: "candor.values", value: text("values") }, { name: "cleanup.policy", value: text("cleanup") }].filter((c) => c.value !== "auto" && c.value !== "delete");
    streams.createTopic(project, { name: text("name"), partitions: Number(text("partitions")) || undefined, configs })
      .then((made) => go(href([project, "streams", "topics", made.name]), true), (error) => setProblem(asProblem(error)));
  };
  return (
    <Modal close={close} className="help" label="New topic">
      <form className="stack" onSubmit={(event) => { event.preventDefault(); submit(event.currentTarget); }}>
        <h2>New topic</h2>
        {problem && <Trouble problem={problem} />}
        <div className="field"><label htmlFor="topic-name">Name</label><input id="topic-name" name="name" className="input data" required maxLength={249} autoFocus autoComplete="off" spellCheck={false} /><span className="hint">Letters, digits, dots, dashes and underscores.</span></div>
        <div className="field"><label htmlFor="topic-partitions">Partitions</label><input id="topic-partitions" name="partitions" className="input data" type="number" min={1} max={10_000} defaultValue={4} /><span className="hint">More can be added later, never fewer.</span></div>
        <div className="field"><label htmlFor="topic-values">Values that may be opened</label><select id="topic-values" name="values" className="select" defaultValue="auto">{valueModes.map(([id, name]) => <option key={id} value={id}>{name} ({id})</option>)}</select></div>
        <div className="field"><label htmlFor="topic-cleanup">Old messages</label><select id="topic-cleanup" name="cleanup" className="select" defaultValue="delete"><option value="delete">go by age and size</option><option value="compact">keep the newest of each key</option><option value="compact,delete">both</option></select></div>
        <div className="row"><button className="button" data-kind="primary">Make it</button><button type="button" className="button" onClick={close}>Cancel</button></div>
      </form>
    </Modal>
  );
}
