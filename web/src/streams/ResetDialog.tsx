// Where a group goes on: what would move is shown before anything does.
import { useState } from "react";
import { asProblem, type Problem } from "../lib/api";
import { count, fromField, toField } from "../lib/format";
import { useLoad } from "../lib/load";
import { streams, type GroupDetail, type Reset } from "../lib/streams";
import { Trouble } from "../parts/basics";
import { Modal } from "../parts/overlay";

interface Props { project: string; group: GroupDetail; topic: string; close: () => void; done: () => void }

export function ResetDialog({ project, group, topic: first, close, done }: Props) {
  const [topic, setTopic] = useState(first);
  const [to, setTo] = useState<Reset["to"]>("earliest");
  const [partition, setPartition] = useState("");
  const [offset, setOffset] = useState("0");
  const [time, setTime] = useState(toField(Date.now() - 3_600_000));
  const [problem, setProblem] = useState<Problem>();
  const [busy, setBusy] = useState(false);
  const at = fromField(time);
  const ready = to === "offset" ? /^\d{1,15}$/.test(offset) : to === "timestamp" ? !Number.isNaN(at) : true;
  const body: Reset = {
    topic, to, partitions: partition === "" ? undefined : [Number(partition)], offset: to === "offset" ? Number(offset) : undefined,
    timestamp: to === "timestamp" && ready ? new Date(at).toISOString() : undefined, dry_run: true,
  };
  const question = ready ? JSON.stringify(body) : undefined;
  // The answer before stays while the next one is on its way: it must not pass for what this move would do.
  const preview = useLoad(question, () => streams.reset(project, group.group, body).then((answer) => ({ ...answer, asked: question })));
  const move = () => {
    setBusy(true);
    streams.reset(project, group.group, { ...body, dry_run: false }).then(done, (error) => { setBusy(false); setProblem(asProblem(error)); });
  };
  const answered = ready && !preview.problem && preview.data?.asked === question;
  const moved = answered ? preview.data?.offsets ?? [] : [];
  const partitions = [...new Set(group.offsets.filter((o) => o.topic === topic).map((o) => o.partition))].sort((a, b) => a - b);
  return (
    <Modal close={close} className="help reset" label={`Move the offsets of ${group.group}`}>
      <form className="stack" onSubmit={(event) => { event.preventDefault(); move(); }}>
        <h2>Move the offsets of {group.group}</h2>
        <div className="row limits">
          <div className="field"><label htmlFor="r-topic">Topic</label><select id="r-topic" className="select" value={topic} onChange={(event) => { setTopic(event.target.value); setPartition(""); }}>{group.topics.map((t) => <option key={t}>{t}</option>)}</select></div>
          <div className="field"><label htmlFor="r-partition">Partition</label><select id="r-partition" className="select" value={partition} onChange={(event) => setPartition(event.target.value)}><option value="">all</option>{partitions.map((p) => <option key={p}>{p}</option>)}</select></div>
          <div className="field"><label htmlFor="r-to">To</label><select id="r-to" className="select" value={to} autoFocus onChange={(event) => setTo(event.target.value as Reset["to"])}><option value="earliest">the oldest message</option><option value="latest">the end</option><option value="timestamp">a time</option><option value="offset">an offset</option></select></div>
          {to === "offset" && <div className="field"><label htmlFor="r-offset">Offset</label><input id="r-offset" className="input data" type="number" min={0} value={offset} onChange={(event) => setOffset(event.target.value)} /></div>}
          {to === "timestamp" && <div className="field"><label htmlFor="r-time">Time</label><input id="r-time" className="input data" type="datetime-local" value={time} onChange={(event) => setTime(event.target.value)} /></div>}
        </div>
        {(problem ?? preview.problem) && <Trouble problem={(problem ?? preview.problem)!} />}
        <div className="reset-preview" role="region" aria-label="What would move" tabIndex={0}>
          <table className="list">
            <thead><tr><th className="number">Partition</th><th className="number">Committed</th><th className="number">Moves to</th><th>Which means</th></tr></thead>
            <tbody>{moved.map((m) => <tr key={m.partition}><td className="number data">{m.partition}</td><td className="number data">{m.before === null ? <span className="soft">none</span> : count(m.before)}</td><td className="number data">{count(m.after)}</td><td>{meaning(m.before, m.after)}</td></tr>)}</tbody>
          </table>
        </div>
        <div className="row"><button className="button" data-kind="primary" disabled={!moved.length || busy}>Move them</button><button type="button" className="button" onClick={close}>Cancel</button></div>
      </form>
    </Modal>
  );
}

/** What a move means to a group's reader. */
export function meaning(before: number | null, after: number): string {
  if (before === null) return "begins here";
  if (before === after) return "stays";
  return before > after ? `reads ${count(before - after)} again` : `skips ${count(after - before)}`;
}
