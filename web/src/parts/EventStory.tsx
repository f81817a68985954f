// An event's story: exceptions with their stacks, breadcrumbs as a timeline, request, contexts, the raw event folded.
import { useState } from "react";
import { type Cell, type EventDetail, attachmentPath } from "../lib/api";
import { bytes, clock, exactWithZone } from "../lib/format";
import { cellText as text } from "../lib/search";
import { CopyButton, Level } from "./basics";
import { JsonTree, Long } from "./JsonTree";
import { Veiled } from "./veil";

type Json = { [key: string]: Cell };
const object = (cell: Cell | undefined): Json => (cell && typeof cell === "object" && !Array.isArray(cell) ? cell : {});
const list = (cell: Cell | undefined): Json[] => {
  const items = Array.isArray(cell) ? cell : object(cell).values;
  return Array.isArray(items) ? items.map(object) : [];
};

export function EventStory({ project, event: detail }: { project: string; event: EventDetail }) {
  const event = detail.event;
  // Sentry lists causes first; people read the last thrown first.
  const exceptions = list(event.exception).reverse();
  const threads = list(event.threads).filter((t) => list(object(t.stacktrace).frames).length > 0);
  const message = text(object(event.logentry).formatted) || text(object(event.logentry).message) || text(event.message);
  const crumbs = list(event.breadcrumbs);
  const request = object(event.request);
  const attachments = list(event.attachments);
  const contexts = Object.entries(object(event.contexts)).filter(([, value]) => Object.keys(object(value)).length > 0);
  return (
    <div className="stack">
      {exceptions.length === 0 && message && <section><h2>Message</h2><pre className="event-message" tabIndex={0} role="region" aria-label="Message"><Long text={message} /></pre></section>}
      {exceptions.map((exception, i) => (
        <section key={i}>
          <h2>{i > 0 && <span className="soft">caused by </span>}<Veiled text={text(exception.type)} /></h2>
          {i > 0 || exceptions.length > 1 ? <p className="data"><Long text={text(exception.value)} /></p> : null}
          <Stack frames={list(object(exception.stacktrace).frames)} />
        </section>
      ))}
      {exceptions.length === 0 && threads.slice(0, 1).map((thread, i) => <section key={i}><h2>Stack</h2><Stack frames={list(object(thread.stacktrace).frames)} /></section>)}
      {attachments.length > 0 && <section><h2>Attachments</h2><ul className="attachments">{attachments.map((one) => <Attachment key={text(one.id)} project={project} event={detail.event_id} attachment={one} />)}</ul></section>}
      {crumbs.length > 0 && <section><h2>Breadcrumbs</h2><Crumbs crumbs={crumbs} /></section>}
      {Object.keys(request).length > 0 && (
        <section><h2>Request</h2><p className="data"><strong>{text(request.method)}</strong> <Veiled text={text(request.url)} /></p>
          {["query_string", "headers", "data", "cookies", "env"].filter((k) => request[k] != null && !["", "{}", "[]"].includes(text(request[k]))).map((k) => <JsonTree key={k} name={k} value={request[k]!} depth={1} />)}
        </section>
      )}
      {contexts.length > 0 && <section><h2>Contexts</h2>{contexts.map(([key, value]) => <JsonTree key={key} name={key} value={value} depth={1} />)}</section>}
      {event.extra != null && Object.keys(object(event.extra)).length > 0 && <section><h2>Extra</h2><JsonTree name="extra" value={event.extra} /></section>}
      <section>
        <div className="row"><h2 className="grow">Raw event, after the gate</h2><CopyButton text={() => JSON.stringify(event, null, 2)} label="Copy JSON" /></div>
        <JsonTree value={event as Cell} depth={1} />
      </section>
    </div>
  );
}

/** A file that came with the event, as a download: what is in it is a stranger's, and is never shown here. */
function Attachment({ project, event, attachment }: { project: string; event: string; attachment: Json }) {
  const name = text(attachment.name) || "attachment";
  return (
    <li>
      <a href={attachmentPath(project, event, text(attachment.id))} download={name}><Veiled text={name} /></a>
      <span className="soft data">{bytes(Number(attachment.size) || 0)}</span>
      <span className="soft">{text(attachment.content_type) || text(attachment.type)}</span>
    </li>
  );
}

function Stack({ frames }: { frames: Json[] }) {
  const [all, setAll] = useState(false);
  if (!frames.length) return null;
  const newest = [...frames].reverse();
  const mine = newest.filter((f) => f.in_app === true);
  const shown = all || mine.length === 0 ? newest : mine;
  return (
    <div>
      <ol className="frames">{shown.map((frame, i) => <Frame key={i} frame={frame} open={i === 0} />)}</ol>
      {mine.length > 0 && mine.length < newest.length && (
        <button type="button" className="button" data-kind="quiet" onClick={() => setAll(!all)}>{all ? "Only this application's frames" : `All ${newest.length} frames`}</button>
      )}
    </div>
  );
}

function Frame({ frame, open: initially }: { frame: Json; open: boolean }) {
  const [open, setOpen] = useState(initially);
  const before = Array.isArray(frame.pre_context) ? frame.pre_context : [], after = Array.isArray(frame.post_context) ? frame.post_context : [];
  const line = Number(frame.lineno) || 0;
  const vars = object(frame.vars);
  const more = frame.context_line != null || Object.keys(vars).length > 0;
  const title = (
    <>
      <span className="data frame-where"><Veiled text={text(frame.filename) || text(frame.module) || text(frame.abs_path) || "?"} /></span>
      {text(frame.function) && <><span className="soft"> in </span><code><Veiled text={text(frame.function)} /></code></>}
      {line > 0 && <span className="soft"> at line <span className="data">{line}</span></span>}
      {frame.in_app === true && <span className="frame-mine" title="A frame of your application, not of a library">yours</span>}
    </>
  );
  const source: [number, Cell, boolean][] = [
    ...before.map((code, i): [number, Cell, boolean] => [line - before.length + i, code, false]),
    ...(frame.context_line != null ? [[line, frame.context_line, true] as [number, Cell, boolean]] : []),
    ...after.map((code, i): [number, Cell, boolean] => [line + 1 + i, code, false]),
  ];
  return (
    <li className="frame-item">
      {more ? <button type="button" className="frame-head" aria-expanded={open} onClick={() => setOpen(!open)}><span aria-hidden="true">{open ? "▾ " : "▸ "}</span>{title}</button> : <div className="frame-head">{title}</div>}
      {open && source.length > 0 && (
        <pre className="frame-source" tabIndex={0} role="region" aria-label={`Source around line ${line}`}>{source.map(([n, code, here], i) => <div key={i} className={here ? "here" : ""}><span className="frame-line">{n > 0 ? n : ""}</span><Veiled text={text(code)} /></div>)}</pre>
      )}
      {open && Object.keys(vars).length > 0 && <div className="frame-vars"><JsonTree name="variables" value={vars} depth={1} /></div>}
    </li>
  );
}

function Crumbs({ crumbs }: { crumbs: Json[] }) {
  return (
    <ol className="crumbs">
      {crumbs.map((crumb, i) => {
        const raw = crumb.timestamp;
        const at = typeof raw === "number" ? raw * 1000 : Date.parse(text(raw));
        return (
          <li key={i}>
            <span className="data soft" title={Number.isNaN(at) ? undefined : exactWithZone(at)}>{Number.isNaN(at) ? "" : clock(at)}</span>
            <Level text={text(crumb.level) || "info"} />
            <span className="data soft clip" title={text(crumb.category)}>{text(crumb.category) || text(crumb.type)}</span>
            <div className="crumb-text data">{text(crumb.message) && <span className="crumb-said"><Long text={text(crumb.message)} /></span>}<CrumbData data={object(crumb.data)} /></div>
          </li>
        );
      })}
    </ol>
  );
}

/** A few plain values stand in the line; anything else is folded. */
function CrumbData({ data }: { data: Json }) {
  const entries = Object.entries(data);
  if (!entries.length) return null;
  const plain = entries.length <= 5 && entries.every(([, value]) => value === null || (typeof value !== "object" && String(value).length < 200));
  if (!plain) return <JsonTree name="data" value={data} depth={1} />;
  return <>{entries.map(([key, value]) => <span key={key} className="crumb-pair"><span className="soft">{key} </span><Veiled text={text(value)} /></span>)}</>;
}
