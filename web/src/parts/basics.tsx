// The smallest pieces: buttons that copy, times, problems, empty views, the veil.
import { Fragment, useEffect, useState, type ReactNode } from "react";
import type { Problem } from "../lib/api";
import { ago, exact, level } from "../lib/format";

export function CopyButton({ text, label = "Copy" }: { text: string; label?: string }) {
  const [done, setDone] = useState(false);
  useEffect(() => {
    if (!done) return;
    const timer = setTimeout(() => setDone(false), 1600);
    return () => clearTimeout(timer);
  }, [done]);
  return (
    <button type="button" className="button" onClick={() => copy(text).then(() => setDone(true))}>
      <span aria-live="polite">{done ? "Copied" : label}</span>
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
      <pre tabIndex={0} aria-label={label}><code>{code}</code></pre>
      <CopyButton text={code} />
    </div>
  );
}

export function Time({ at }: { at: string | null | undefined }) {
  if (!at) return <span className="soft">never</span>;
  return <time dateTime={at} title={exact(at)}>{ago(at)}</time>;
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
      {again && <button type="button" className="button" style={{ marginTop: 6 }} onClick={again}>Try again</button>}
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
    <div className="page stack" aria-busy="true" aria-label="Loading">
      {Array.from({ length: lines }, (_, i) => <span key={i} className="skeleton" style={{ width: `${88 - ((i * 17) % 50)}%` }} />)}
    </div>
  );
}

/** Says that something takes long, how long already, and offers to stop it. */
export function Waiting({ seconds, what, stop }: { seconds: number; what: string; stop: () => void }) {
  if (seconds < 2) return null;
  return (
    <span className="wait" role="status"><i />{what}, {seconds} s <button type="button" className="button" onClick={stop}>Stop</button></span>
  );
}

const removed: Record<string, string> = {
  card: "a payment card number", iban: "a bank account number", ssn: "a US social security number",
  secret: "a password, token or other secret", private_key: "a private key", url_credentials: "a user and password in a URL",
  email: "an e-mail address", phone: "a phone number", ip: "an IP address", removed: "a value",
};
const veilPattern = /\[(card|iban|ssn|secret|private_key|url_credentials|email|phone|ip|removed)\]|\b((?:user|email|name|device|session|replay):[a-z2-7]{26})\b/g;

/** Text with what the gate removed drawn as hatched chips, and persons as code chips. */
export function Veiled({ text }: { text: string }) {
  const parts: ReactNode[] = [];
  let last = 0;
  for (const match of text.matchAll(veilPattern)) {
    parts.push(text.slice(last, match.index));
    parts.push(match[1] ? <Veil kind={match[1]} /> : <Person code={match[2]!} />);
    last = match.index + match[0].length;
  }
  if (!parts.length) return <>{text}</>;
  parts.push(text.slice(last));
  return <>{parts.map((part, i) => <Fragment key={i}>{part}</Fragment>)}</>;
}

export function Veil({ kind }: { kind: string }) {
  const words = removed[kind] ?? kind;
  return <span className="veil" title={`The gate removed ${words} here before it was stored (default rules).`}>{kind.replace("_", " ")}</span>;
}

/** The colour of a person or series follows its name, the same everywhere. */
export function seriesColor(name: string): string {
  let hash = 0;
  for (let i = 0; i < name.length; i++) hash = (hash * 31 + name.charCodeAt(i)) >>> 0;
  return `var(--series-${(hash % 8) + 1})`;
}

export function Person({ code }: { code: string }) {
  const [kind, id = ""] = code.split(":");
  return (
    <span className="person" style={{ borderColor: seriesColor(code) }} title={`A person, by ${kind}: ${code}. Who it is stays in the vault.`}>
      <span className="sr-only">person </span>{id.slice(0, 4)}
    </span>
  );
}
