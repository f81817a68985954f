// The smallest pieces: buttons that copy, times, problems, empty views.
import { useEffect, useState, type ReactNode } from "react";
import type { Problem } from "../lib/api";
import { ago, exactWithZone, level } from "../lib/format";
import type { Loaded } from "../lib/load";

export function CopyButton({ text, label = "Copy", done: after = "Copied", ...button }: { text: string | (() => string); label?: string; done?: string } & React.ButtonHTMLAttributes<HTMLButtonElement>) {
  const [done, setDone] = useState(false);
  useEffect(() => {
    if (!done) return;
    const timer = setTimeout(() => setDone(false), 1600);
    return () => clearTimeout(timer);
  }, [done]);
  return (
    <button type="button" className="button" {...button} onClick={() => copy(typeof text === "string" ? text : text()).then(() => setDone(true))}>
      <span aria-live="polite">{done ? after : label}</span>
    </button>
  );
}

export async function copy(text: string) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // The clipboard needs a secure origin; a plain http host falls back to a selection.
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
}

export function Snippet({ code, label }: { code: string; label: string }) {
  return (
    <div className="snippet">
      <pre tabIndex={0} role="region" aria-label={label}><code>{code}</code></pre>
      <CopyButton text={code} aria-label={`Copy: ${label}`} />
    </div>
  );
}

export function Time({ at }: { at: string | null | undefined }) {
  if (!at) return <span className="soft">never</span>;
  return <time dateTime={at} title={exactWithZone(at)}>{ago(at)}</time>;
}

export function Level({ text, severity }: { text?: string | null; severity?: number | null }) {
  const name = level(text, severity);
  return <span className={`badge level-${name}`}>{name}</span>;
}

export function Trouble({ problem, again }: { problem: Problem; again?: () => void }) {
  return (
    <div className="problem" role="alert">
      <strong>{problem.title}</strong>
      {problem.detail && <p>{problem.detail}</p>}
      {problem.clause && <p>The policy says so: <a href={`/privacy#${problem.clause}`} target="_blank" rel="noreferrer">{problem.clause}</a></p>}
      {again && <button type="button" className="button" onClick={again}>Try again</button>}
    </div>
  );
}

export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <section className="page stack reading">
      <h2>{title}</h2>
      {children}
    </section>
  );
}

export function Skeleton({ lines = 8 }: { lines?: number }) {
  return (
    <div className="page stack" role="status" aria-busy="true" aria-label="Loading">
      {Array.from({ length: lines }, (_, i) => <span key={i} className="skeleton" style={{ width: `${88 - ((i * 17) % 50)}%` }} />)}
    </div>
  );
}

/** Rows to come, in the columns that they will have. */
export function SkeletonRows({ columns, rows, rowPx }: { columns: string; rows: number; rowPx: number }) {
  const cells = columns.split(" ").length;
  return (
    <div role="status" aria-busy="true" aria-label="Loading">
      {Array.from({ length: rows }, (_, r) => (
        <div key={r} className="skeleton-row" style={{ gridTemplateColumns: columns, height: rowPx }}>
          {Array.from({ length: cells }, (_, c) => <span key={c} className="skeleton" style={{ width: `${84 - ((r * 13 + c * 29) % 46)}%` }} />)}
        </div>
      ))}
    </div>
  );
}

/** What was loaded, or why not: a server that went away leaves what was there in place, under a word about it. */
export function Shown<T>({ loaded, skeleton = <Skeleton />, children }: { loaded: Loaded<T>; skeleton?: ReactNode; children: (data: T) => ReactNode }) {
  const { data, problem, loading, slow, reload } = loaded;
  const gone = problem?.status === 0;
  if (problem && !(gone && data !== undefined)) return <div className="page"><Trouble problem={problem} again={reload} /></div>;
  if (data === undefined && !loading) return <div className="page row"><span className="soft">Stopped.</span> <button type="button" className="button" onClick={reload}>Ask again</button></div>;
  if (data === undefined) return slow ? skeleton : null;
  return <>{gone && <div className="page"><Trouble problem={problem} again={reload} /></div>}{children(data)}</>;
}

/** Says that something takes long, how long already, and offers to stop it. */
export function Waiting({ seconds, what, stop }: { seconds: number; what: string; stop: () => void }) {
  if (seconds < 2) return null;
  return (
    <span className="wait" role="status"><i />{what}, {seconds} s <button type="button" className="button" onClick={stop}>Stop</button></span>
  );
}
