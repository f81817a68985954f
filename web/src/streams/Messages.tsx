// Messages of a topic: the newest, from an offset or a time, of a key, or live; one of them whole in a drawer.
import { useEffect, useState } from "react";
import { asProblem, type Problem } from "../lib/api";
import { bytes, clock, count, exact, exactWithZone, fromField, toField } from "../lib/format";
import { useKeys } from "../lib/keys";
import { useLoad } from "../lib/load";
import { setQuery, usePlace } from "../lib/route";
import { messageOf, oneLine, placeOfMessage, streams, type Message, type Overview, type Page, type Part, type TopicDetail } from "../lib/streams";
import { useEvents } from "../lib/tail";
import { Empty, Shown, SkeletonRows, Trouble } from "../parts/basics";
import { Veiled } from "../parts/veil";
import { FirstMessage } from "./FirstMessage";
import { MessageDrawer } from "./MessageDrawer";

const pageMessages = "100";
/** Messages kept while reading on: beyond it an offset or a time is the way. */
const messagesMost = 5000;

interface Props { project: string; topic: TopicDetail; overview: Overview; reload: () => void }

export function Messages({ project, topic, overview, reload }: Props) {
  const { query } = usePlace();
  const from = query.get("from") ?? "newest", partition = query.get("partition") ?? undefined, key = query.get("key") ?? undefined, text = query.get("text") ?? undefined;
  const live = query.get("live") === "1", open = query.get("row");
  const [nonce, setNonce] = useState(0);
  const again = () => setNonce((n) => n + 1);
  const offset = query.get("offset") ?? undefined, time = query.get("time") ?? undefined;
  const wanted = { from, partition, key, text, offset: from === "offset" ? offset ?? "0" : undefined, time: from === "time" ? time : undefined, limit: pageMessages };
  const ready = from !== "time" || time !== undefined;
  const question = `${project} ${topic.name} ${JSON.stringify(wanted)} ${nonce}`;
  const empty = topic.messages === 0;
  const first = useLoad(live || !ready || empty ? undefined : question, async (signal): Promise<Answer> => ({ ...await streams.messages(project, topic.name, wanted, signal), asked: { partition, key, text, limit: pageMessages } }));
  const on = useMore(project, topic.name, first.data);
  const tail = useEvents(live ? `${project} ${topic.name} ${partition} ${key} ${text}` : undefined, (after) => streams.tailUrl(project, topic.name, { partition, key, text }, after), messageOf);
  const rows = live ? tail.rows : on.messages;
  const at = rows.findIndex((m) => placeOfMessage(m) === open);
  const show = (m?: Message) => { if (m) setQuery({ row: placeOfMessage(m) }, open !== null); };
  const [chosen, setChosen] = useState<string>();
  const marked = at >= 0 ? at : Math.max(0, rows.findIndex((m) => placeOfMessage(m) === chosen));
  const move = (to: number) => {
    const next = rows[Math.max(0, Math.min(rows.length - 1, to))];
    if (!next) return;
    setChosen(placeOfMessage(next));
    if (open) show(next);
  };
  const turnLive = () => setQuery({ live: live ? undefined : "1", row: undefined });
  useKeys({
    j: () => move(marked + 1), k: () => move(marked - 1), arrowdown: () => move(marked + 1), arrowup: () => move(marked - 1), enter: () => show(rows[marked]), l: turnLive, r: again,
  });
  useEffect(() => { document.querySelector(".message[aria-selected=true]")?.scrollIntoView({ block: "nearest" }); }, [marked, open]);
  return (
    <div className="messages-whole">
      <Toolbar topic={topic} live={live} turnLive={turnLive} again={again} rows={rows} />
      {live && <p className="row messages-facts" role="status">{tail.state === "lost" ? <span className="wait lost"><i />{tail.ended ? `The tail ended: ${tail.ended}` : "The server does not answer; trying again"}</span> : <span className="wait"><i />Live: {count(tail.seen)} since you look{tail.dropped > 0 && `, ${count(tail.dropped)} skipped because they came faster than they could be shown`}</span>}</p>}
      <div className="explore-body">
        {live ? <List rows={rows} marked={marked} open={open} choose={show} live /> : empty ? <FirstMessage project={project} overview={overview} topic={topic.name} title="No messages yet" lead="Send the first one from any Kafka client." look={reload} here={false} />
          : !ready ? <p className="page soft grow">Choose a time to read from.</p> : (
            <Shown loaded={first} skeleton={<div className="grow"><SkeletonRows columns="112px 40px 92px 160px 1fr 64px" rows={16} rowPx={28} /></div>}>
              {(page) => rows.length === 0 && !on.next ? <div className="grow"><Empty title={page.asked.text ? "No message holds it" : page.asked.key ? "No message of this key" : "Nothing here"}><p className="soft">{count(page.looked_at)} messages were looked at.</p><p><button type="button" className="button" onClick={() => setQuery({ key: undefined, text: undefined, from: undefined, offset: undefined, time: undefined, partition: undefined })}>Show the newest</button></p></Empty></div> : (
                <div className="messages-scroll grow">
                  <List rows={rows} marked={marked} open={open} choose={show} />
                  <More on={on} page={page} keyed={page.asked.key !== undefined || page.asked.text !== undefined} back={from === "newest"} />
                </div>
              )}
            </Shown>
          )}
        {open && <MessageDrawer project={project} topic={topic} rows={rows} place={open} />}
      </div>
    </div>
  );
}

/** A first page with what was asked for: it stays while the next question is on its way, and must not pass for its answer. */
type Answer = Page & { asked: Record<"partition" | "key" | "text" | "limit", string | undefined> };
interface On { messages: Message[]; next: string | null; lookedAt: number; more: () => void; loading: boolean; problem?: Problem; left: number }

/** The pages after the first, as far as they were asked for. */
function useMore(project: string, topic: string, first: Answer | undefined): On {
  const [pages, setPages] = useState<{ of?: Page; rest: Page[]; loading: boolean; problem?: Problem }>({ rest: [], loading: false });
  const rest = pages.of === first ? pages.rest : [];
  const last = rest.at(-1) ?? first;
  const more = () => {
    if (!first || !last?.next || (pages.of === first && pages.loading)) return;
    setPages({ of: first, rest, loading: true });
    streams.messages(project, topic, { ...first.asked, cursor: last.next }).then(
      (page) => setPages((s) => (s.of === first ? { of: first, rest: [...rest, page], loading: false } : s)),
      (error) => setPages((s) => (s.of === first ? { of: first, rest, loading: false, problem: asProblem(error) } : s)),
    );
  };
  const all = first ? [first, ...rest] : [];
  return {
    messages: all.flatMap((page) => page.messages), next: last?.next ?? null, lookedAt: all.reduce((sum, page) => sum + page.looked_at, 0), more,
    loading: pages.of === first && pages.loading, problem: pages.of === first ? pages.problem : undefined, left: first?.partitions_left ?? 0,
  };
}

function More({ on, page, keyed, back }: { on: On; page: Page; keyed: boolean; back: boolean }) {
  const full = on.messages.length >= messagesMost;
  return (
    <div className="messages-more row">
      {on.next && !full && <button type="button" className="button" onClick={on.more} disabled={on.loading}>{keyed && !page.complete ? "Look further" : back ? "Older" : "Newer"}</button>}
      <span className="soft">{keyed ? `${count(on.messages.length)} found among ${count(on.lookedAt)} looked at` : `${count(on.messages.length)} shown`}{!on.next && ", that is all"}{full && ": go on from an offset or a time"}{on.left > 0 && `; ${count(on.left)} more partitions are left out, choose one to see it`}</span>
      {on.problem && <Trouble problem={on.problem} again={on.more} />}
    </div>
  );
}

/** Saves what is shown as one JSON a line, in the order of the list. */
function save(topic: string, rows: Message[]) {
  const url = URL.createObjectURL(new Blob([rows.map((m) => `${JSON.stringify(m)}\n`).join("")], { type: "application/x-ndjson" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = `${topic}.ndjson`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

function Toolbar({ topic, live, turnLive, again, rows }: { topic: TopicDetail; live: boolean; turnLive: () => void; again: () => void; rows: Message[] }) {
  const { query } = usePlace();
  const from = query.get("from") ?? "newest", partition = query.get("partition") ?? "";
  const [key, setKey] = useState(query.get("key") ?? "");
  useEffect(() => setKey(query.get("key") ?? ""), [query.get("key")]);
  const [text, setText] = useState(query.get("text") ?? "");
  useEffect(() => setText(query.get("text") ?? ""), [query.get("text")]);
  const set = (changes: Record<string, string | undefined>) => setQuery({ row: undefined, ...changes });
  return (
    <div className="messages-bar">
      <div className="field"><label htmlFor="m-partition">Partition</label>
        <select id="m-partition" className="select" value={partition} onChange={(event) => set({ partition: event.target.value || undefined })}>
          {from !== "offset" && <option value="">all</option>}
          {topic.parts.map((p) => <option key={p.partition} value={p.partition}>{p.partition}</option>)}
        </select>
      </div>
      {!live && <div className="field"><label htmlFor="m-from">From</label>
        <select id="m-from" className="select" value={from} onChange={(event) => { const next = event.target.value; set({ from: next === "newest" ? undefined : next, partition: next === "offset" ? partition || "0" : partition || undefined, time: next === "time" ? new Date(Date.now() - 3_600_000).toISOString() : undefined, offset: next === "offset" ? String(topic.parts[Number(partition || 0)]?.start ?? 0) : undefined }); }}>
          <option value="newest">the newest</option><option value="oldest">the oldest</option><option value="offset">an offset</option><option value="time">a time</option>
        </select>
      </div>}
      {!live && from === "offset" && <div className="field"><label htmlFor="m-offset">Offset</label><input key={query.get("offset")} id="m-offset" className="input data" type="number" min={0} defaultValue={query.get("offset") ?? "0"} onKeyDown={(event) => { if (event.key === "Enter") set({ offset: event.currentTarget.value }); }} onBlur={(event) => { if (event.target.value !== query.get("offset")) set({ offset: event.target.value || "0" }); }} /></div>}
      {!live && from === "time" && <div className="field"><label htmlFor="m-time">Time</label><input id="m-time" className="input data" type="datetime-local" value={toField(Date.parse(query.get("time") ?? "") || Date.now())} onChange={(event) => { const time = fromField(event.target.value); if (time) set({ time: new Date(time).toISOString() }); }} /></div>}
      <form className="row grow messages-find" role="search" aria-label="Messages" onKeyDown={(event) => { if (event.key === "Enter") { event.preventDefault(); event.currentTarget.requestSubmit(); } }} onSubmit={(event) => { event.preventDefault(); set({ key: key || undefined, text: text || undefined }); }}>
        <div className="field grow"><label htmlFor="m-key">Key</label>
        <input id="m-key" data-search className="input data" placeholder="order-1, or order-* for what begins so" value={key} spellCheck={false} autoComplete="off" onChange={(event) => setKey(event.target.value)} onKeyDown={(event) => { if (event.key === "Escape") { event.stopPropagation(); event.currentTarget.blur(); } }} /></div>
        <div className="field grow"><label htmlFor="m-text">Holds</label>
        <input id="m-text" className="input data" placeholder="a text in key, value or a header" maxLength={200} value={text} spellCheck={false} autoComplete="off" onChange={(event) => setText(event.target.value)} /></div>
      </form>
      <div className="row messages-acts">
        <button type="button" className="button" aria-pressed={live} onClick={turnLive} title="Messages as they come (l)"><span className="live-mark" aria-hidden="true" />Live</button>
        {!live && <button type="button" className="button" onClick={again} title="Ask again (r)">Ask again</button>}
        <button type="button" className="button" disabled={rows.length === 0} onClick={() => save(topic.name, rows)} title={`Saves the ${count(rows.length)} messages that are shown, one JSON a line`}>Save</button>
      </div>
    </div>
  );
}

function List({ rows, marked, open, choose, live = false }: { rows: Message[]; marked: number; open: string | null; choose: (message: Message) => void; live?: boolean }) {
  const today = new Date().toDateString();
  return (
    <div className={live ? "messages messages-scroll grow" : "messages"} role="grid" aria-label="Messages" tabIndex={0} aria-activedescendant={rows[marked] && `message-${placeOfMessage(rows[marked])}`}>
      <div role="row" className="message message-head"><span role="columnheader">Time</span><span role="columnheader" className="number" title="Partition">P</span><span role="columnheader" className="number">Offset</span><span role="columnheader">Key</span><span role="columnheader">Value</span><span role="columnheader" className="number message-size">Size</span></div>
      {rows.map((m, i) => (
        <div key={placeOfMessage(m)} id={`message-${placeOfMessage(m)}`} role="row" className="message data" aria-selected={i === marked} data-open={placeOfMessage(m) === open} onClick={() => choose(m)}>
          <span role="gridcell" className="soft" title={m.timestamp ? exactWithZone(m.timestamp) : undefined}>{!m.timestamp ? "no time" : new Date(m.timestamp).toDateString() === today ? clock(m.timestamp) : exact(m.timestamp).slice(5, 19)}</span>
          <span role="gridcell" className="number">{m.partition}</span>
          <span role="gridcell" className="number">{count(m.offset)}</span>
          <span role="gridcell" className="clip"><Line part={m.key} none="no key" /></span>
          <span role="gridcell" className="clip message-value">{m.transaction && <span className={`badge state-${m.transaction}`}>{m.transaction} </span>}<Line part={m.value} none="tombstone" /></span>
          <span role="gridcell" className="number soft message-size">{bytes(m.size)}</span>
        </div>
      ))}
    </div>
  );
}

function Line({ part, none }: { part: Part | null; none: string }) {
  if (!part) return <span className="soft">{none}</span>;
  if (part.kind === "binary") return <><span className="soft">{part.schema_id !== null ? `schema ${part.schema_id}` : "bytes"} </span>{oneLine(part)}</>;
  return <Veiled text={oneLine(part)} tabs={false} />;
}
