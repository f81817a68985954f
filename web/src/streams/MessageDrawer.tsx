// One message, whole: key, value and headers as text, JSON or bytes, and where it lies.
import { useContext, useState } from "react";
import { bytes, count, exact, exactWithZone } from "../lib/format";
import { useLoad } from "../lib/load";
import { href, setQuery } from "../lib/route";
import { parsePlace } from "../lib/search";
import { hexDump, partBytes, placeOfMessage, pretty, streams, toBase64, type Message, type Part, type TopicDetail } from "../lib/streams";
import { zoneName } from "../lib/zone";
import { CopyButton, Skeleton, Trouble } from "../parts/basics";
import { InProject } from "../parts/veil";
import { Long } from "../parts/JsonTree";

export function MessageDrawer({ project, topic, rows, place }: { project: string; topic: TopicDetail; rows: Message[]; place: string }) {
  const named = parsePlace(place);
  const here = rows.find((m) => placeOfMessage(m) === place);
  const whole = here && ![here.key, here.value].some((part) => part?.cut);
  // A list has the beginnings of messages, and a link may name one that no list shows.
  const asked = useLoad(whole || !named ? undefined : `${project} ${topic.name} ${place}`, (signal) =>
    streams.messages(project, topic.name, { from: "offset", partition: String(named!.partition), offset: String(named!.offset), limit: "1" }, signal).then((page) => page.messages[0] ?? null));
  const found = asked.data && placeOfMessage(asked.data) === place ? asked.data : undefined;
  const message = whole ? here : found ?? here;
  const close = () => setQuery({ row: undefined });
  return (
    <aside className="drawer" aria-label="Message">
      {message ? <Whole message={message} close={close} /> : asked.problem ? <Trouble problem={asked.problem} again={asked.reload} /> : asked.loading && named ? <Skeleton />
        : <div className="stack"><p>There is no message at {place}: it may have reached the end of its retention, or given way to a newer one of its key.</p><div><button type="button" className="button" onClick={close}>Close</button></div></div>}
    </aside>
  );
}

export function Whole({ message, close }: { message: Message; close?: () => void }) {
  const at = message.timestamp;
  return (
    <>
      <div className="row">
        <h2 className="grow data">Partition {message.partition}, offset {count(message.offset)}</h2>
        <CopyButton text={() => JSON.stringify(message, null, 2)} label="Copy JSON" />
        {close && <button type="button" className="button" data-kind="quiet" aria-label="Close" title="Close (esc)" onClick={close}>✕</button>}
      </div>
      <p className="data soft" title={at ? exactWithZone(at) : undefined}>{at ? <>{exact(at)} {zoneName(new Date(at))}, {message.append_time ? "when it came" : "as its producer says"}</> : "Its producer gave no time"}</p>
      {message.transaction && <p className="note">{message.transaction === "aborted" ? "Its transaction was aborted: readers of committed messages do not see it." : "Its transaction has not ended: readers of committed messages do not see it yet."}</p>}
      <PartShown name="Key" part={message.key} none="It has no key." />
      <PartShown name="Value" part={message.value} none="It has no value: a tombstone, which removes its key from a compacted topic." />
      <section className="stack">
        <h3>Headers</h3>
        {message.headers.length === 0 ? <p className="soft">None.</p> : <dl className="fields">{message.headers.map((h, i) => <div key={i} className="field-line"><dt className="clip" title={h.name}>{h.name}</dt><dd><span className="field-value">{!h.value ? <span className="soft">null</span> : h.value.text !== null ? <Long text={h.value.text} /> : hexDump(partBytes(h.value), 256)}</span></dd></div>)}</dl>}
      </section>
    </>
  );
}

type Form = "json" | "text" | "hex" | "base64";
const names: Record<Form, string> = { json: "JSON", text: "Text", hex: "Hex", base64: "Base64" };

/** What a part can be shown as: the bytes of a value that a schema was read out of are what it was read from. */
export function formsOf(part: Part): Form[] {
  const all: (Form | false)[] = [part.text !== null && part.kind === "json" && "json", part.text !== null && part.schema === null && "text", (part.base64 !== null || part.schema === null) && "hex", (part.base64 !== null || part.schema === null) && "base64"];
  return all.filter((form) => form !== false);
}

export function shownAs(part: Part, form: Form): string {
  if (form === "json") return pretty(part.text ?? "");
  if (form === "text") return part.text ?? "";
  return form === "hex" ? hexDump(partBytes(part)) : part.base64 ?? toBase64(partBytes(part));
}

function PartShown({ name, part, none }: { name: string; part: Part | null; none: string }) {
  const forms = part ? formsOf(part) : [];
  const [chosen, setChosen] = useState<Form>();
  const project = useContext(InProject);
  const form = chosen && forms.includes(chosen) ? chosen : forms[0];
  if (!part || !form) return <section className="stack"><h3>{name}</h3><p className="soft">{none}</p></section>;
  const text = shownAs(part, form);
  return (
    <section className="stack part">
      <div className="row part-head">
        <h3>{name} <span className="soft">{bytes(part.size)}{part.cut && ", the beginning"}</span></h3>
        {part.schema_id !== null && <a href={href([project, "streams", "schemas"], { id: String(part.schema_id) })} title={part.schema ? "It is read by this schema" : "It begins with the id of a schema that the project does not have, or that does not fit it"}>schema <span className="data">{part.schema_id}</span>{part.schema && ` ${part.schema}`}</a>}
        <span className="grow" />
        <span className="row" role="group" aria-label={`${name} as`}>{forms.map((f) => <button key={f} type="button" className="button" data-kind="quiet" aria-pressed={f === form} onClick={() => setChosen(f)}>{names[f]}</button>)}</span>
        <CopyButton text={text} aria-label={`Copy the ${name.toLowerCase()}`} />
      </div>
      <pre className="drawer-body" tabIndex={0} role="region" aria-label={name}>{form === "hex" || form === "base64" ? text : <Long text={text} />}</pre>
    </section>
  );
}
