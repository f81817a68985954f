// The policy over the server's API: what holds, what a file would change and when, what it makes of a record.
import { call, RawJson } from "./api";

/** Whose policy: a project's path, or the instance's. */
export type Owner = string | undefined;

export interface Fault { file: string; line: number; column: number; key: string; why: string; write: string }
export interface Finding extends Fault { severity: "error" | "warning" }
export type Direction = "tightening" | "loosening" | "mixed" | "neutral";
export interface Change { key: string; class: Direction; old?: unknown; new?: unknown }
export interface Version {
  epoch: number; hash: string; is_interim: boolean; applied_by: string; applied_at: string; effective_at: string; activated_at: string | null; ended_at: string | null;
}
export interface Activity {
  id: string; title?: string; signals: string[]; subjects: string[]; data_categories: string[]; data_uses: string[]; purpose?: string; legal_basis: string;
  retention: { live: string; max_lag: string; backups: string; basis: string };
}
export interface Recipient { id: string; name: string; country: string; role: string; uses: string[]; endpoints: string[]; transfer?: string; fields: string[] }
export interface Rule { id: string; at: string; detect?: string[]; pattern?: string; action: string }
/** A policy, whole: what the screen reads of it. */
export interface Policy {
  activity: Activity[];
  recipient: Recipient[];
  collect: {
    unknown_fields: Record<string, string>; fields: Record<string, string[]>; enrichment: string[];
    ip: { action: string; v4: number; v6: number; derive: string[] }; user_agent: string; location: string; device_ids: string;
    streams: Record<string, { opaque?: string; values?: string; subject_key?: string }>;
  };
  consent: { mode: Record<string, string>; no_cookie: string; signals: { gpc: string[]; dnt: string[]; beats_stored_consent: boolean }; children: { min_age: number; below: string; parental_consent: boolean } };
  identity: { keys: string[]; ip_is_identity: boolean; pseudonym: { scope: string; vault: string } };
  scrub: { on_error: string; keys_too: boolean; decode: string[]; rule: Rule[]; allow: { at: string; detect: string[]; reason: string }[] };
  governance: { changes: Periods };
}
export interface Whole extends Version { source: string; policy: Policy }
export interface Shown { project: string | null; has_own: boolean; in_force: Whole | null; announced: Whole | null; warnings: Finding[] }
export interface Checked { faults: Fault[]; findings: Finding[]; changes: Change[] }
export interface Applied { in_force: Version; announced: Version | null; changes: Change[]; warnings: Finding[] }
export type Signal = "errors" | "logs";
export interface Test { project: string; source?: string; signal: Signal; browser: boolean; global_privacy_control: boolean; do_not_track: boolean }
export interface Tested { before: unknown; after: unknown; dropped: string | null; subjects: string[]; changes: { place: string; clause: string; is_removed: boolean }[] }

/** What faults call the file that is written here. */
export const fileName = "policy.toml";

const at = (path: string, owner: Owner, query: Record<string, string> = {}) => {
  const search = new URLSearchParams({ ...(owner === undefined ? {} : { project: owner }), ...query }).toString();
  return `/api/v1/policy${path}${search ? `?${search}` : ""}`;
};
const file = (owner: Owner, source: string) => ({ project: owner ?? null, name: fileName, source });

export const policies = {
  show: (owner: Owner, signal?: AbortSignal) => call<Shown>("GET", at("", owner), undefined, signal),
  check: (owner: Owner, source: string, signal?: AbortSignal) => call<Checked>("POST", at("/check", undefined), file(owner, source), signal),
  apply: (owner: Owner, source: string) => call<Applied>("PUT", at("", undefined), file(owner, source)),
  withdraw: (owner: Owner) => call<void>("DELETE", at("/announced", owner)),
  versions: (owner: Owner, signal?: AbortSignal) => call<Version[]>("GET", at("/versions", owner), undefined, signal),
  version: (owner: Owner, epoch: number, signal?: AbortSignal) => call<Whole>("GET", at("/version", owner, { epoch: String(epoch) }), undefined, signal),
  /** The record goes as it was written: a large number keeps its digits. */
  test: (asked: Test, record: string, signal?: AbortSignal) => call<Tested>("POST", at("/test", undefined), new RawJson(`${JSON.stringify(asked).slice(0, -1)},"record":${record}}`), signal),
};

/** True for what is announced before it holds. */
export const waits = (change: Change) => change.class === "loosening" || change.class === "mixed";

/** What applying changes would do: what holds at once, what waits, and until when (milliseconds since 1970). */
export interface Plan { now: Change[]; later: Change[]; at: number | undefined; days: number }
/** Days between an announcement and its day. */
export interface Periods { prior_days: number; subprocessor_days: number }

/** Somebody else who is to get data: a recipient that was not there as a whole. */
const isNewRecipient = ({ key, old, new: after }: Change) => key.startsWith("recipient.") && (old ?? null) === null && typeof after === "object" && after !== null && !Array.isArray(after);


export function planned(changes: Change[], periods: Periods, now = Date.now()): Plan {
  if (!changes.some(waits)) return { now: changes, later: [], at: undefined, days: 0 };
  const days = Math.max(...changes.filter(waits).map((change) => (isNewRecipient(change) ? periods.subprocessor_days : periods.prior_days)));
  // What is stricter holds beside what held; without any of it the file waits as a whole.
  const interim = changes.some((change) => change.class === "tightening");
  return { now: interim ? changes.filter((c) => !waits(c)) : [], later: interim ? changes.filter(waits) : changes, at: now + days * 86_400_000, days };
}

/** A fault or a finding, as it stands in the editor. */
export interface Mark extends Fault { severity: "fault" | "error" | "warning" }

/** What is said of a file: faults before findings, by line. What stands in a preset has no line here. */
export function marks(checked: Checked | undefined): Mark[] {
  const all: Mark[] = [...(checked?.faults ?? []).map((f) => ({ ...f, severity: "fault" as const })), ...(checked?.findings ?? [])];
  const weight = { fault: 0, error: 1, warning: 2 };
  return all.sort((a, b) => weight[a.severity] - weight[b.severity] || a.line - b.line || a.column - b.column);
}
export const isHere = (mark: Fault) => mark.file === fileName;
export const refuses = (mark: Mark) => mark.severity !== "warning";

/** Who applied a version, in words. */
export function appliedBy(actor: string, me?: { id: number; email: string }): string {
  if (actor === "system:first-start") return "the first start of the server";
  if (actor === "admin") return "the local admin key";
  if (me && actor === `user:${me.id}`) return me.email;
  return actor.replace(/^(user|token):/, "$1 ");
}

export type State = "holds" | "announced" | "ended" | "withdrawn";
export const stateOf = (version: Version): State =>
  version.activated_at === null ? (version.ended_at === null ? "announced" : "withdrawn") : version.ended_at === null ? "holds" : "ended";

/** A value of a policy in one line. */
export function written(value: unknown): string {
  if (value === null || value === undefined) return "";
  if (typeof value === "string") return value;
  if (Array.isArray(value)) return value.length ? value.map(written).join(", ") : "none";
  if (typeof value === "object") return Object.entries(value).map(([name, inner]) => `${name} ${written(inner)}`).join(", ");
  return String(value);
}
