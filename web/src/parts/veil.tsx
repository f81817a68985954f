// The veil: what the gate removed is drawn, never blank; a person is a short code chip of one colour everywhere.
import { createContext, Fragment, useContext, type ReactNode } from "react";
import type { Cell } from "../lib/api";
import { href } from "../lib/route";
import { Reveal } from "./Reveal";

/** The project whose records are shown: what a person's chip opens lies in it. */
export const InProject = createContext("");

const words: Record<string, string> = {
  card: "a payment card number", iban: "a bank account number", ssn: "a US social security number",
  secret: "a password, token or other secret", private_key: "a private key", url_credentials: "a user and password in a URL",
  email: "an e-mail address", phone: "a phone number", ip: "an IP address", mac: "a network card's address", imei: "a mobile device's number",
  user: "a user's name or number", removed: "a value",
};
/** What also stands in prose, in brackets: a veil only where it is known that the gate put it there. */
const wordsToo: Record<string, string> = { name: "a person's name", device: "a device's id", session: "a session's id", replay: "a recording's id" };
const codes = "\\b((?:user|email|name|device|session|replay):[a-z2-7]{26})\\b";
const pattern = (kinds: Record<string, string>) => new RegExp(`\\[(${Object.keys(kinds).join("|")})\\]|${codes}`, "g");
const veilPattern = pattern(words), everyPattern = pattern({ ...words, ...wordsToo });

/** True where a text that the gate changed has a placeholder or a code in it. */
export const isVeiled = (text: string) => text.search(everyPattern) >= 0;

/** Text with what the gate removed drawn as hatched chips, and persons as code chips. `all` where the gate is known to have changed it. */
export function Veiled({ text, tabs = true, all = false, clause }: { text: string; tabs?: boolean; all?: boolean; clause?: string }) {
  const parts: ReactNode[] = [];
  let last = 0;
  for (const match of text.matchAll(all ? everyPattern : veilPattern)) {
    parts.push(text.slice(last, match.index));
    parts.push(match[1] ? <Veil kind={match[1]} clause={clause} /> : <Person code={match[2]!} tabs={tabs} />);
    last = match.index + match[0].length;
  }
  if (!parts.length) return <>{text}</>;
  parts.push(text.slice(last));
  return <>{parts.map((part, i) => <Fragment key={i}>{part}</Fragment>)}</>;
}

const veilName = (kind: string) => kind.replace("_", " ");
export const veilWords = (kind: string) => words[kind] ?? wordsToo[kind] ?? kind;

/** `clause` is the policy's key that asked for it, where that is known. */
export function Veil({ kind, clause }: { kind: string; clause?: string }) {
  return <span className="veil" title={`The gate removed ${veilWords(kind)} here before it was stored${clause ? `: ${clause}` : ""}.`}>{veilName(kind)}</span>;
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
  const link = (
    <a {...chip} title={`${title} Opens what else they did.`} tabIndex={tabs ? undefined : -1} onClick={(event) => event.stopPropagation()}
      href={href([project, "explore"], { q: `subject:"${code}"`, range: "7d" })}>{inside}</a>
  );
  // A row of a long list opens to a drawer, which has it.
  return tabs ? <span className="person-room">{link}<Reveal project={project} code={code} /></span> : link;
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
