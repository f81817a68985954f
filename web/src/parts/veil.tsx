// The veil: what the gate removed is drawn, never blank; a person is a short code chip of one colour everywhere.
import { createContext, Fragment, useContext, type ReactNode } from "react";
import type { Cell } from "../lib/api";
import { href } from "../lib/route";

/** The project whose records are shown: what a person's chip opens lies in it. */
export const InProject = createContext("");

const words: Record<string, string> = {
  card: "a payment card number", iban: "a bank account number", ssn: "a US social security number",
  secret: "a password, token or other secret", private_key: "a private key", url_credentials: "a user and password in a URL",
  email: "an e-mail address", phone: "a phone number", ip: "an IP address", removed: "a value",
};
const kinds = Object.keys(words).join("|");
const veilPattern = new RegExp(`\\[(${kinds})\\]|\\b((?:user|email|name|device|session|replay):[a-z2-7]{26})\\b`, "g");

/** Text with what the gate removed drawn as hatched chips, and persons as code chips. */
export function Veiled({ text, tabs = true }: { text: string; tabs?: boolean }) {
  const parts: ReactNode[] = [];
  let last = 0;
  for (const match of text.matchAll(veilPattern)) {
    parts.push(text.slice(last, match.index));
    parts.push(match[1] ? <Veil kind={match[1]} /> : <Person code={match[2]!} tabs={tabs} />);
    last = match.index + match[0].length;
  }
  if (!parts.length) return <>{text}</>;
  parts.push(text.slice(last));
  return <>{parts.map((part, i) => <Fragment key={i}>{part}</Fragment>)}</>;
}

const veilName = (kind: string) => kind.replace("_", " ");
export const veilWords = (kind: string) => words[kind] ?? kind;

export function Veil({ kind }: { kind: string }) {
  return <span className="veil" title={`The gate removed ${veilWords(kind)} here before it was stored (default rules).`}>{veilName(kind)}</span>;
}

/** The colour of a person or series follows its name, the same everywhere. */
export function seriesSlot(name: string): number {
  let hash = 0;
  for (let i = 0; i < name.length; i++) hash = (hash * 31 + name.charCodeAt(i)) >>> 0;
  // The low bits of that sum hardly differ between short names: fold the high ones in.
  return ((hash ^ (hash >>> 11) ^ (hash >>> 22)) >>> 0) % 8;
}

/** `tabs` is false in long lists, where a stop at every row would bury what comes after them. */
export function Person({ code, tabs = true }: { code: string; tabs?: boolean }) {
  const project = useContext(InProject);
  const [kind, id = ""] = code.split(":");
  const chip = { className: "person", style: { "--who": `var(--series-${seriesSlot(code) + 1})` } as React.CSSProperties };
  const inside = <><span className="sr-only">person </span>{id.slice(0, 4)}</>;
  const title = `A person, by ${kind}: ${code}. Who it is stays in the vault.`;
  if (!project) return <span {...chip} title={title}>{inside}</span>;
  return (
    <a {...chip} title={`${title} Opens what else they did.`} tabIndex={tabs ? undefined : -1} onClick={(event) => event.stopPropagation()}
      href={href([project, "explore"], { q: `subject:"${code}"`, range: "7d" })}>{inside}</a>
  );
}

export interface Removal { kind: string; path: string }

/** Everything that the gate took out of a value, with where it stood. */
export function removals(value: Cell, path = "", found: Removal[] = []): Removal[] {
  if (typeof value === "string") {
    for (const match of value.matchAll(veilPattern)) found.push({ kind: match[1] ?? "person", path });
  } else if (value !== null && typeof value === "object") {
    for (const [key, inner] of Object.entries(value)) removals(inner, path ? `${path}.${key}` : key, found);
  }
  return found;
}
