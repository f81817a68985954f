// Schemas over the server's API, and how their texts read: laid out, coloured, and one beside another.
import { call } from "./api";
import { pretty } from "./streams";

export type Kind = "AVRO" | "JSON" | "PROTOBUF";
export interface Setting { now: string; own: string | null }
export interface Settings { level: Setting; mode: Setting }
export interface Subject {
  subject: string; context: string; topic: string | null; kind: Kind; latest: number; id: number; versions: number; deleted: boolean; level: string;
}
export interface SubjectList { subjects: Subject[]; total: number; whole: Settings }
export interface Version { version: number; id: number; kind: Kind; size: number; deleted: boolean }
export interface SubjectDetail extends Subject { settings: Settings; all: Version[] }
export interface Reference { name: string; subject: string; version: number }
export interface Place { subject: string; version: number }
export interface VersionDetail extends Version {
  guid: string; schema: string; references: Reference[]; referenced_by: Place[]; same: Place[]; metadata?: unknown; ruleSet?: unknown;
}
export interface NewSchema { schema: string; kind: Kind; references: Reference[] }
export interface Unfit { error: string; reader: "new" | "old"; path: string; text: string; info: string }
export interface Tested { compatible: boolean; level: string; same_as: number | null; versions: { version: number; found: Unfit[] }[] }
export interface Users { topics: { topic: string; by_name: boolean; keys: number[]; values: number[] }[]; looked_at: number; topics_left: number }
export interface SettingsChange { level: string | null; mode: string | null }

const at = (path: string, project: string, query: Record<string, string | undefined> = {}) => {
  const search = new URLSearchParams({ project });
  for (const [key, value] of Object.entries(query)) if (value) search.set(key, value);
  return `/api/v1/streams/schemas${path}?${search}`;
};
const of = (subject: string, more = "") => `/subjects/${encodeURIComponent(subject)}${more}`;

export const schemas = {
  list: (project: string, q = "", deleted = false, signal?: AbortSignal) => call<SubjectList>("GET", at("", project, { q, deleted: deleted ? "true" : undefined }), undefined, signal),
  setAll: (project: string, body: SettingsChange) => call<Settings>("PUT", at("", project), body),
  places: (project: string, id: number, signal?: AbortSignal) => call<Place[]>("GET", at(`/ids/${id}`, project), undefined, signal),
  subject: (project: string, subject: string, signal?: AbortSignal) => call<SubjectDetail>("GET", at(of(subject), project), undefined, signal),
  set: (project: string, subject: string, body: SettingsChange) => call<SubjectDetail>("PUT", at(of(subject), project), body),
  version: (project: string, subject: string, version: number, signal?: AbortSignal) => call<VersionDetail>("GET", at(of(subject, `/versions/${version}`), project), undefined, signal),
  register: (project: string, subject: string, body: NewSchema) => call<Version>("POST", at(of(subject, "/versions"), project), body),
  test: (project: string, subject: string, body: NewSchema & { version?: number; level?: string }) => call<Tested>("POST", at(of(subject, "/test"), project), body),
  topics: (project: string, subject: string, signal?: AbortSignal) => call<Users>("GET", at(of(subject, "/topics"), project), undefined, signal),
  remove: (project: string, subject: string, version?: number, permanent = false) =>
    call<void>("DELETE", at(of(subject, version === undefined ? "" : `/versions/${version}`), project, { permanent: permanent ? "true" : undefined })),
};

/** What each level asks of a new version, the calmest words for it. */
export const levels: [level: string, name: string, meaning: string][] = [
  ["BACKWARD", "New readers read old messages", "A new version reads what the latest one wrote: update consumers first, then producers."],
  ["BACKWARD_TRANSITIVE", "New readers read all old messages", "As above, held against every earlier version and not the latest alone."],
  ["FORWARD", "Old readers read new messages", "The latest version reads what a new one writes: update producers first, then consumers."],
  ["FORWARD_TRANSITIVE", "All old readers read new messages", "As above, held against every earlier version."],
  ["FULL", "Both ways", "New and latest read each other: producers and consumers may be updated in any order."],
  ["FULL_TRANSITIVE", "Both ways, all versions", "As above, held against every earlier version."],
  ["NONE", "Anything", "Nothing is held against anything: what breaks is found by whoever reads."],
];

export const modes: [mode: string, name: string, meaning: string][] = [
  ["READWRITE", "Versions come and go", "Clients that may write the topic register versions."],
  ["READONLY", "Nothing changes", "Versions are read, none is registered or deleted."],
  ["IMPORT", "Versions are brought in", "Versions come with the ids and numbers that they had elsewhere, unchecked. It is for an empty subject."],
];

export const kindNames: Record<Kind, string> = { AVRO: "Avro", JSON: "JSON Schema", PROTOBUF: "Protobuf" };

/** What mends a difference, by the registry's name of it. */
export function mending(error: string): string | undefined {
  if (error === "READER_FIELD_MISSING_DEFAULT_VALUE") return "Give the field a default value, or make it a union with null and default null.";
  if (error === "MISSING_ENUM_SYMBOLS") return "Keep the symbols, or give the enum a default.";
  if (error === "TYPE_MISMATCH") return "Keep the type, or add a field of another name beside it.";
  if (error === "NAME_MISMATCH") return "Keep the name, or give the new one the old as an alias.";
  if (error.startsWith("REQUIRED_") || error.includes("REQUIRED_PROPERTY")) return "Leave the property optional, or give it a default.";
  if (error === "FIELD_NUMERIC_LABEL_CHANGED" || error.startsWith("FIELD_") || error === "ONEOF_FIELD_REMOVED") return "Keep the field as it was, and add one of a new number beside it.";
  return undefined;
}

/** A schema's text as people read it; what cannot be laid out stays as it is. */
export const laidOut = (kind: Kind, text: string) => (kind === "PROTOBUF" ? text.trimEnd() : pretty(text));

export type Token = [kind: "key" | "string" | "number" | "word" | "comment" | "", text: string];

const jsonToken = /"(?:[^"\\]|\\.)*"(?=\s*:)|"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|\b(?:true|false|null)\b/g;
const protoToken = /\/\/.*$|"(?:[^"\\]|\\.)*"|\b\d+\b|\b(?:syntax|edition|package|import|public|weak|option|message|enum|oneof|map|reserved|extensions|extend|service|rpc|returns|stream|repeated|optional|required|to|max|true|false|double|float|u?int(?:32|64)|sint(?:32|64)|s?fixed(?:32|64)|bool|string|bytes)\b/g;

/** A line of a schema in coloured pieces. */
export function tokens(kind: Kind, line: string): Token[] {
  const out: Token[] = [];
  let last = 0;
  for (const match of line.matchAll(kind === "PROTOBUF" ? protoToken : jsonToken)) {
    const text = match[0], next = line.slice(match.index + text.length);
    if (match.index > last) out.push(["", line.slice(last, match.index)]);
    out.push([text.startsWith("//") ? "comment" : text.startsWith('"') ? (kind !== "PROTOBUF" && /^\s*:/.test(next) ? "key" : "string") : /^-?\d/.test(text) ? "number" : "word", text]);
    last = match.index + text.length;
  }
  if (last < line.length) out.push(["", line.slice(last)]);
  return out;
}

/** A line of one text beside the line of another; equal ones are both there. */
export interface DiffRow { left?: { n: number; text: string }; right?: { n: number; text: string }; same: boolean }

/** Lines of both middles times each other: beyond it what differs is told as one piece. */
const comparedMost = 4_000_000;

/** What lines went and came between two texts: a longest common subsequence of what is between the equal ends. */
export function diffLines(before: string, after: string): DiffRow[] {
  const a = before.split("\n"), b = after.split("\n");
  let head = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) head++;
  let tail = 0;
  while (tail < a.length - head && tail < b.length - head && a[a.length - 1 - tail] === b[b.length - 1 - tail]) tail++;
  const n = a.length - head - tail, m = b.length - head - tail;
  const rows: DiffRow[] = [];
  const both = (i: number, j: number) => rows.push({ left: { n: i + 1, text: a[i]! }, right: { n: j + 1, text: b[j]! }, same: true });
  for (let i = 0; i < head; i++) both(i, i);
  let gone: number[] = [], come: number[] = [];
  // What went and what came in its place stand beside each other.
  const settle = () => {
    for (let k = 0; k < Math.max(gone.length, come.length); k++) {
      const i = gone[k], j = come[k];
      rows.push({ left: i === undefined ? undefined : { n: i + 1, text: a[i]! }, right: j === undefined ? undefined : { n: j + 1, text: b[j]! }, same: false });
    }
    gone = [];
    come = [];
  };
  if (n * m > comparedMost) {
    for (let i = 0; i < n; i++) gone.push(head + i);
    for (let j = 0; j < m; j++) come.push(head + j);
  } else {
    // How long the longest common subsequence of the rests is.
    const width = m + 1, longest = new Uint32Array((n + 1) * width);
    for (let i = n - 1; i >= 0; i--) {
      for (let j = m - 1; j >= 0; j--) {
        longest[i * width + j] = a[head + i] === b[head + j] ? longest[(i + 1) * width + j + 1]! + 1 : Math.max(longest[(i + 1) * width + j]!, longest[i * width + j + 1]!);
      }
    }
    let i = 0, j = 0;
    while (i < n || j < m) {
      if (i < n && j < m && a[head + i] === b[head + j]) {
        settle();
        both(head + i++, head + j++);
      } else if (j >= m || (i < n && longest[(i + 1) * width + j]! >= longest[i * width + j + 1]!)) gone.push(head + i++);
      else come.push(head + j++);
    }
  }
  settle();
  for (let k = tail; k > 0; k--) both(a.length - k, b.length - k);
  return rows;
}

/** The piece of two lines that differs, between what both begin and end with: `[from, to of one, to of the other]`. */
export function changedPiece(one: string, other: string): [from: number, one: number, other: number] {
  let from = 0;
  while (from < one.length && from < other.length && one[from] === other[from]) from++;
  let end = 0;
  while (end < one.length - from && end < other.length - from && one[one.length - 1 - end] === other[other.length - 1 - end]) end++;
  return [from, one.length - end, other.length - end];
}

/** Stretches of rows: what changed with some lines around, and how many equal ones lie between. */
export type Stretch = { rows: DiffRow[]; from: number } | { folded: number; from: number };

export function folded(rows: DiffRow[], around = 3): Stretch[] {
  const shown = new Uint8Array(rows.length);
  rows.forEach((row, at) => { if (!row.same) shown.fill(1, Math.max(0, at - around), at + around + 1); });
  const out: Stretch[] = [];
  for (let at = 0; at < rows.length; ) {
    let end = at;
    while (end < rows.length && shown[end] === shown[at]) end++;
    // A fold that hides a line or two is longer than what it hides.
    if (shown[at] || end - at < 3) out.push({ rows: rows.slice(at, end), from: at });
    else out.push({ folded: end - at, from: at });
    at = end;
  }
  return out;
}

/** A schema to begin with. */
export const begun: Record<Kind, string> = {
  AVRO: '{\n  "type": "record",\n  "name": "Order",\n  "namespace": "shop",\n  "fields": [\n    {"name": "id", "type": "string"},\n    {"name": "total", "type": "double"}\n  ]\n}',
  JSON: '{\n  "$schema": "https://json-schema.org/draft/2020-12/schema",\n  "title": "Order",\n  "type": "object",\n  "properties": {\n    "id": {"type": "string"},\n    "total": {"type": "number"}\n  },\n  "required": ["id"]\n}',
  PROTOBUF: 'syntax = "proto3";\n\npackage shop;\n\nmessage Order {\n  string id = 1;\n  double total = 2;\n}',
};

export interface RegistryAccess { url: string; username: string; password: string; bootstrap: string; tls: boolean }

/** How a first schema is registered, with the real host and name. */
export const schemaSnippets: { id: string; name: string; install: string; code: (a: RegistryAccess) => string }[] = [
  {
    id: "curl", name: "curl", install: "",
    code: (a) => `curl -u '${a.username}:${a.password}' ${a.url}/subjects/orders-value/versions \\
  -H 'Content-Type: application/json' \\
  -d '{"schema": "{\\"type\\":\\"record\\",\\"name\\":\\"Order\\",\\"fields\\":[{\\"name\\":\\"id\\",\\"type\\":\\"string\\"}]}"}'`,
  },
  {
    id: "python", name: "confluent-kafka", install: "pip install 'confluent-kafka[avro,schemaregistry]'",
    code: (a) => `from confluent_kafka import SerializingProducer
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroSerializer

registry = SchemaRegistryClient({"url": "${a.url}", "basic.auth.user.info": "${a.username}:${a.password}"})
schema = '{"type": "record", "name": "Order", "fields": [{"name": "id", "type": "string"}]}'
producer = SerializingProducer({
    "bootstrap.servers": "${a.bootstrap}",
    "security.protocol": "${a.tls ? "SASL_SSL" : "SASL_PLAINTEXT"}",
    "sasl.mechanism": "SCRAM-SHA-256",
    "sasl.username": "${a.username}",
    "sasl.password": "${a.password}",
    "value.serializer": AvroSerializer(registry, schema),
})
producer.produce("orders", value={"id": "order-1"})
producer.flush()`,
  },
];
