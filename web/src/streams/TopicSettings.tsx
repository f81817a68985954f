// How a topic is set: how its values may be opened, how long they are kept, every configuration, its end.
import { useState } from "react";
import { count } from "../lib/format";
import { go, href } from "../lib/route";
import { kept, streams, valueModes, type Config, type TopicDetail } from "../lib/streams";
import { Modal } from "../parts/overlay";
import { Veil } from "../parts/veil";

interface Props { project: string; topic: TopicDetail; may: boolean; reload: () => void; failed: (error?: unknown) => void }

const dayMs = 86_400_000;
const keptFor: [string, string][] = [[String(dayMs), "1 day"], [String(7 * dayMs), "7 days"], [String(30 * dayMs), "30 days"], [String(365 * dayMs), "365 days"], ["-1", "for ever"]];

export function TopicSettings({ project, topic, may, reload, failed }: Props) {
  const [saved, setSaved] = useState("");
  const [asking, setAsking] = useState(false);
  const [all, setAll] = useState(false);
  const value = (name: string) => topic.configs.find((c) => c.name === name)?.value ?? "";
  const change = (what: string, body: Parameters<typeof streams.changeTopic>[2]) =>
    streams.changeTopic(project, topic.name, body).then(() => { failed(); setSaved(what); reload(); }, (error) => { setSaved(""); failed(error); });
  const set = (name: string, next: string | null) => void change(name, { configs: [{ name, value: next }] });
  const remove = () => streams.deleteTopic(project, topic.name).then(() => go(href([project, "streams"]), true), (error) => { setAsking(false); failed(error); });
  const retention = value("retention.ms");
  const times = keptFor.some(([ms]) => ms === retention) ? keptFor : [[retention, kept(Number(retention) < 0 ? null : Number(retention))] as [string, string], ...keptFor];
  const told = (name: string) => <span role="status" className="soft">{saved === name && "Saved"}</span>;
  const shown = topic.configs.filter((c) => all || c.source === "topic");
  return (
    <div className="page settings">
      <section className="stack">
        <h2>How values may be opened</h2>
        <p className="soft">What the gate replaces never reaches the disk; where it did, a chip stands: <Veil kind="card" /> Keys and headers are looked at whenever values are.</p>
        <fieldset className="modes" disabled={!may}>
          <legend className="sr-only">candor.values</legend>
          {valueModes.map(([mode, name, meaning]) => (
            <label key={mode} className="mode" data-chosen={topic.values === mode}>
              <input type="radio" name="values" value={mode} checked={topic.values === mode} onChange={() => set("candor.values", mode)} />
              <span><strong>{name}</strong> <span className="data soft">{mode}</span><span className="mode-means">{meaning}</span></span>
            </label>
          ))}
        </fieldset>
        {told("candor.values")}
        <p className="soft">A change holds for messages that come from now on.</p>
      </section>
      <section className="stack">
        <h2>How long messages are kept</h2>
        <div className="row limits">
          <div className="field"><label htmlFor="s-cleanup">Old messages</label><select id="s-cleanup" className="select" disabled={!may} value={[...value("cleanup.policy").split(",")].sort().join(",")} onChange={(event) => set("cleanup.policy", event.target.value)}><option value="delete">go by age and size</option><option value="compact">keep the newest of each key</option><option value="compact,delete">both</option></select></div>
          <div className="field"><label htmlFor="s-retention">By age</label><select id="s-retention" className="select" disabled={!may || !topic.cleanup.includes("delete")} value={retention} onChange={(event) => set("retention.ms", event.target.value)}>{times.map(([ms, name]) => <option key={ms} value={ms}>{name}</option>)}</select></div>
          {told("cleanup.policy")}{told("retention.ms")}
        </div>
      </section>
      {may && <section className="stack">
        <h2>Partitions</h2>
        <form className="row limits" onSubmit={(event) => { event.preventDefault(); void change("partitions", { partitions: Number(new FormData(event.currentTarget).get("partitions")) }); }}>
          <div className="field"><label htmlFor="s-partitions">How many</label><input id="s-partitions" name="partitions" key={topic.partitions} className="input data" type="number" min={topic.partitions} max={10_000} defaultValue={topic.partitions} /></div>
          <button className="button">Add partitions</button>{told("partitions")}
        </form>
        <p className="soft">More spread the load over more readers. They are never taken away, and keys that come from now on may go to other partitions than before.</p>
      </section>}
      <section className="stack">
        <h2>Every configuration</h2>
        <label className="row"><input type="checkbox" checked={all} onChange={(event) => setAll(event.target.checked)} /> Show the {count(topic.configs.filter((c) => c.source === "default").length)} that have their defaults</label>
        {shown.length === 0 ? <p className="soft">Nothing is set on this topic.</p> : (
          <dl className="configs">{shown.map((c) => <Configuration key={c.name} config={c} may={may} set={set} told={told(c.name)} />)}</dl>
        )}
      </section>
      {may && <section className="stack">
        <h2>Delete the topic</h2>
        <p className="soft">Its messages can no longer be read by anyone, at once.</p>
        <div><button type="button" className="button" data-kind="danger" onClick={() => setAsking(true)}>Delete {topic.name}</button></div>
      </section>}
      {asking && <ConfirmName name={topic.name} act="Delete" close={() => setAsking(false)} run={() => void remove()} />}
    </div>
  );
}

function Configuration({ config, may, set, told }: { config: Config; may: boolean; set: (name: string, value: string | null) => void; told: React.ReactNode }) {
  const [editing, setEditing] = useState(false);
  const id = `config-${config.name}`;
  return (
    <div className="config">
      <dt><span className="data">{config.name}</span> <span className="soft">{config.source === "topic" ? "set here" : "default"}</span></dt>
      <dd className="stack">
        {editing ? (
          <form className="row" onSubmit={(event) => { event.preventDefault(); set(config.name, String(new FormData(event.currentTarget).get("value"))); setEditing(false); }}>
            <label className="sr-only" htmlFor={id}>{config.name}</label>
            {config.kind === "choice" || config.kind === "flag" ? <select id={id} name="value" className="select" defaultValue={config.value} autoFocus>{config.words.map((w) => <option key={w}>{w}</option>)}</select> : <input id={id} name="value" className="input data" defaultValue={config.value} autoFocus autoComplete="off" />}
            <button className="button">Save</button><button type="button" className="button" data-kind="quiet" onClick={() => setEditing(false)}>Cancel</button>
          </form>
        ) : (
          <span className="row config-value"><span className="data">{config.value || "nothing"}</span>
            {may && <button type="button" className="button" data-kind="quiet" aria-label={`Change ${config.name}`} onClick={() => setEditing(true)}>Change</button>}
            {may && config.source === "topic" && <button type="button" className="button" data-kind="quiet" aria-label={`Put ${config.name} back to its default`} title={`Back to ${config.default || "nothing"}`} onClick={() => set(config.name, null)}>Back to default</button>}
            {told}</span>
        )}
        <span className="soft">{config.text}</span>
      </dd>
    </div>
  );
}

/** Asks for a name to be typed before something ends. */
export function ConfirmName({ name, act, close, run }: { name: string; act: string; close: () => void; run: () => void }) {
  const [typed, setTyped] = useState("");
  return (
    <Modal close={close} className="help" label={`${act} ${name}`}>
      <form className="stack" onSubmit={(event) => { event.preventDefault(); if (typed === name) run(); }}>
        <h2>{act} {name}?</h2>
        <div className="field"><label htmlFor="confirm">Type its name to go on</label><input id="confirm" className="input data" autoFocus autoComplete="off" value={typed} onChange={(event) => setTyped(event.target.value)} /></div>
        <div className="row"><button className="button" data-kind="danger" disabled={typed !== name}>{act}</button><button type="button" className="button" onClick={close}>Keep it</button></div>
      </form>
    </Modal>
  );
}
