// A message written by hand: through the gate as everything else, and shown as it was stored.
import { useState } from "react";
import { asProblem, type Problem } from "../lib/api";
import { count } from "../lib/format";
import { href } from "../lib/route";
import { placeOfMessage, streams, type NewMessage, type Produced, type TopicDetail } from "../lib/streams";
import { Trouble } from "../parts/basics";
import { removals } from "../parts/veil";
import { Whole } from "./MessageDrawer";

const headersMost = 100;

export function Produce({ project, topic, done }: { project: string; topic: TopicDetail; done: () => void }) {
  const [headers, setHeaders] = useState<number[]>([]);
  const [tombstone, setTombstone] = useState(false);
  const [sent, setSent] = useState<Produced>();
  const [problem, setProblem] = useState<Problem>();
  const [busy, setBusy] = useState(false);
  const submit = (form: HTMLFormElement) => {
    const given = new FormData(form);
    const text = (name: string) => String(given.get(name) ?? "");
    const message: NewMessage = {
      key: text("key") === "" ? null : text("key"), value: tombstone ? null : text("value"), base64: text("form") === "base64",
      partition: text("partition") === "" ? undefined : Number(text("partition")),
      headers: headers.map((h) => ({ name: text(`header-${h}`), value: text(`header-value-${h}`) })).filter((h) => h.name !== ""),
    };
    setBusy(true);
    streams.produce(project, topic.name, message)
      .then((made) => { setSent(made); setProblem(undefined); done(); }, (error) => { setSent(undefined); setProblem(asProblem(error)); })
      .finally(() => setBusy(false));
  };
  return (
    <div className="page produce">
      <form className="stack" aria-label="A message" onSubmit={(event) => { event.preventDefault(); submit(event.currentTarget); }}>
        <div className="row produce-first">
          <div className="field grow"><label htmlFor="p-key">Key</label><input id="p-key" name="key" className="input data" placeholder="none" autoComplete="off" spellCheck={false} /></div>
          <div className="field"><label htmlFor="p-partition">Partition</label><select id="p-partition" name="partition" className="select"><option value="">by its key</option>{topic.parts.map((p) => <option key={p.partition} value={p.partition}>{p.partition}</option>)}</select></div>
          <div className="field"><label htmlFor="p-form">Written as</label><select id="p-form" name="form" className="select"><option value="text">text</option><option value="base64">base64</option></select></div>
        </div>
        <div className="field"><label htmlFor="p-value">Value</label><textarea id="p-value" name="value" className="input data produce-value" rows={10} spellCheck={false} disabled={tombstone} placeholder={tombstone ? "none: a tombstone" : '{"total": 12.5}'} /></div>
        <label className="row"><input type="checkbox" checked={tombstone} onChange={(event) => setTombstone(event.target.checked)} /> No value: a tombstone for its key</label>
        {headers.map((h, i) => (
          <div className="row" key={h}>
            <label className="sr-only" htmlFor={`header-${h}`}>Name of header {i + 1}</label><input id={`header-${h}`} name={`header-${h}`} className="input data" placeholder="header" autoComplete="off" />
            <label className="sr-only" htmlFor={`header-value-${h}`}>Value of header {i + 1}</label><input id={`header-value-${h}`} name={`header-value-${h}`} className="input data" placeholder="value" autoComplete="off" />
            <button type="button" className="button" data-kind="quiet" aria-label={`Remove header ${i + 1}`} onClick={() => setHeaders(headers.filter((one) => one !== h))}>✕</button>
          </div>
        ))}
        <div className="row"><button className="button" data-kind="primary" disabled={busy}>Send it</button><button type="button" className="button" disabled={headers.length >= headersMost} onClick={() => setHeaders([...headers, Math.max(0, ...headers) + 1])}>Add a header</button></div>
        {problem && <Trouble problem={problem} />}
      </form>
      <section className="stack produced" aria-live="polite">
        {!sent ? <p className="soft">What you send passes the gate like everything else, and is on stable storage when it shows here. {topic.values === "opaque" || topic.values === "schema" ? "This topic's values are not opened." : "Payment cards and secrets are replaced before anything is stored."}</p> : (
          <>
            <p className="wait done"><i />Stored at partition {sent.partition}, offset {count(sent.offset)}. {sent.message && <a href={href([project, "streams", "topics", topic.name], { row: placeOfMessage(sent.message) })}>Look at it among the others</a>}</p>
            {sent.message && removals([sent.message.key?.text ?? null, sent.message.value?.text ?? null]).length > 0 && <p className="note">Where a chip stands, the gate replaced a value before it was stored.</p>}
            {sent.message && <Whole message={sent.message} />}
          </>
        )}
      </section>
    </div>
  );
}
