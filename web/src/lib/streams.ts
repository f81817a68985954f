// Streams over the server's API, and how messages read: bytes, JSON digit for digit, retention in words.
import { call } from "./api";

export interface Overview { listening: boolean; bootstrap: string | null; users: string[]; tls: boolean; may_change: boolean; topics: number }
export interface Topic {
  name: string; partitions: number; messages: number; bytes: number | null; rate: number | null; retention_ms: number | null; retention_bytes: number | null;
  values: string; cleanup: string; read_only: boolean; created_at: string | null;
}
export interface PartitionOf { partition: number; start: number; end: number; stable: number; bytes: number | null }
export interface Config { name: string; value: string; default: string; source: "topic" | "default"; kind: "flag" | "number" | "choice" | "list" | "text"; words: string[]; text: string }
export interface Reader { group: string; state: string; lag: number; partitions: number }
export interface TopicDetail extends Topic { parts: PartitionOf[]; configs: Config[]; groups: Reader[] }
export interface Part { kind: "json" | "text" | "binary"; text: string | null; base64: string | null; size: number; cut: boolean; schema_id: number | null; schema: string | null }
export interface Message {
  partition: number; offset: number; timestamp: string | null; append_time: boolean; key: Part | null; value: Part | null;
  headers: { name: string; value: Part | null }[]; size: number; transaction: "open" | "aborted" | null;
}
export interface Page { messages: Message[]; next: string | null; looked_at: number; complete: boolean; partitions_left: number }
export interface Group { group: string; kind: string; state: string; protocol_type: string; members: number; topics: string[]; lag: number }
export interface GroupOffset { topic: string; partition: number; committed: number | null; start: number; end: number; lag: number | null; member: string | null; metadata: string }
export interface GroupDetail extends Group {
  assignor: string; idle: boolean; offsets: GroupOffset[];
  who: { id: string; client_id: string; host: string; instance: string | null; assigned: { topic: string; partitions: number[] }[] }[];
}
export interface LagHistory { every_s: number; times: string[]; sum: (number | null)[]; series: { topic: string; partition: number; lags: (number | null)[] }[]; partial: boolean }
export interface Reset { topic: string; partitions?: number[]; to: "earliest" | "latest" | "timestamp" | "offset"; offset?: number; timestamp?: string; dry_run: boolean }
export interface Moved { partition: number; before: number | null; after: number }
export interface NewMessage { key: string | null; value: string | null; headers: { name: string; value: string | null }[]; partition?: number; base64: boolean }
export interface Produced { partition: number; offset: number; message: Message | null }
export interface KafkaUser { name: string; owner: boolean; created_at: string }
export interface NewKafkaUser { username: string; password: string }
export interface NewBridge {
  name: string; direction: "pull" | "push"; bootstrap: string[]; tls: boolean; ca: string | null; sasl: { mechanism: string; username: string; password?: string } | null;
  topics: string[]; exclude: string[]; prefix: string; start: "earliest" | "latest"; groups: boolean;
}
export interface Bridge extends NewBridge {
  created_at: string; group: string; state: "starting" | "running" | "failing" | "paused"; error: string | null; retry_in_s: number | null;
  records: number; bytes: number; records_per_second: number; lag: number; groups_error: string | null;
  mirrored: { source: string; target: string | null; error: string | null; lag: number; skipped: number; partitions: { partition: number; position: number; end: number; lag: number }[] }[];
  mirrored_groups: { group: string; partitions: number; error: string | null }[];
}
export interface Rule { resource: string; name: string; prefixed: boolean; principal: string; host: string; operation: string; allow: boolean }

export interface Quota { user: string | null; client_id: string | null; produce: number | null; consume: number | null }

const base = "/api/v1/streams", enc = encodeURIComponent;
const at = (path: string, project: string, query: Record<string, string | undefined> = {}) => {
  const search = new URLSearchParams({ project });
  for (const [key, value] of Object.entries(query)) if (value) search.set(key, value);
  return `${base}${path}?${search}`;
};
const topicPath = (topic: string) => `/topics/${enc(topic)}`;
const bridgePath = (bridge: string) => `/bridges/${enc(bridge)}`;
const groupPath = (group: string) => `/groups/${enc(group)}`;

export const streams = {
  overview: (project: string, signal?: AbortSignal) => call<Overview>("GET", at("", project), undefined, signal),
  topics: (project: string, q = "", signal?: AbortSignal) => call<{ topics: Topic[]; total: number }>("GET", at("/topics", project, { q }), undefined, signal),
  topic: (project: string, topic: string, signal?: AbortSignal) => call<TopicDetail>("GET", at(topicPath(topic), project), undefined, signal),
  createTopic: (project: string, body: { name: string; partitions?: number; configs: { name: string; value: string }[] }) => call<TopicDetail>("POST", at("/topics", project), body),
  changeTopic: (project: string, topic: string, body: { configs?: { name: string; value: string | null }[]; partitions?: number }) => call<TopicDetail>("PUT", at(topicPath(topic), project), body),
  deleteTopic: (project: string, topic: string) => call<void>("DELETE", at(topicPath(topic), project)),
  messages: (project: string, topic: string, query: Record<string, string | undefined>, signal?: AbortSignal) => call<Page>("GET", at(`${topicPath(topic)}/messages`, project, query), undefined, signal),
  produce: (project: string, topic: string, body: NewMessage) => call<Produced>("POST", at(`${topicPath(topic)}/messages`, project), body),
  tailUrl: (project: string, topic: string, query: Record<string, string | undefined>, after?: string) => at(`${topicPath(topic)}/tail`, project, { ...query, last_event_id: after }),
  groups: (project: string, q = "", signal?: AbortSignal) => call<{ groups: Group[]; total: number }>("GET", at("/groups", project, { q }), undefined, signal),
  group: (project: string, group: string, signal?: AbortSignal) => call<GroupDetail>("GET", at(groupPath(group), project), undefined, signal),
  lag: (project: string, group: string, signal?: AbortSignal) => call<LagHistory>("GET", at(`${groupPath(group)}/lag`, project), undefined, signal),
  reset: (project: string, group: string, body: Reset) => call<{ offsets: Moved[] }>("POST", at(`${groupPath(group)}/reset`, project), body),
  deleteGroup: (project: string, group: string) => call<void>("DELETE", at(groupPath(group), project)),
  bridges: (project: string, signal?: AbortSignal) => call<Bridge[]>("GET", at("/bridges", project), undefined, signal),
  bridge: (project: string, bridge: string, signal?: AbortSignal) => call<Bridge>("GET", at(bridgePath(bridge), project), undefined, signal),
  createBridge: (project: string, body: NewBridge) => call<Bridge>("POST", at("/bridges", project), body),
  holdBridge: (project: string, bridge: string, act: "pause" | "resume") => call<Bridge>("POST", at(`${bridgePath(bridge)}/${act}`, project)),
  deleteBridge: (project: string, bridge: string) => call<{ group_left: string | null }>("DELETE", at(bridgePath(bridge), project)),
  users: (project: string, signal?: AbortSignal) => call<KafkaUser[]>("GET", at("/users", project), undefined, signal),
  createUser: (project: string, name: string, owner: boolean) => call<NewKafkaUser>("POST", at("/users", project), { name, owner }),
  renewUser: (project: string, name: string) => call<NewKafkaUser>("POST", at(`/users/${enc(name)}/password`, project)),
  deleteUser: (project: string, name: string) => call<void>("DELETE", at(`/users/${enc(name)}`, project)),
  rules: (project: string, signal?: AbortSignal) => call<Rule[]>("GET", at("/acls", project), undefined, signal),
  addRule: (project: string, rule: Rule) => call<Rule>("POST", at("/acls", project), rule),
  quotas: (project: string, signal?: AbortSignal) => call<Quota[]>("GET", at("/quotas", project), undefined, signal),
  setQuota: (project: string, quota: Quota) => call<void>("PUT", at("/quotas", project), quota),
  removeRule: (project: string, rule: Rule) => call<void>("DELETE", at("/acls", project), rule),
};

/** A message that an event of a live tail brings. */
export function messageOf(data: string): Message | undefined {
  try {
    return JSON.parse(data) as Message;
  } catch {
    return undefined;
  }
}

/** `0-4711`: a message's place in its topic, as addresses name it. */
export const placeOfMessage = (message: { partition: number; offset: number }) => `${message.partition}-${message.offset}`;

/** SQL over a topic's table. */
export const sqlOf = (topic: string) => `SELECT * FROM stream."${topic.replace(/"/g, '""')}"`;

export function bytesOf(base64: string): Uint8Array {
  return Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
}

export const textBytes = (text: string) => new TextEncoder().encode(text);

/** The bytes of a part, as far as they are here; a part that a schema was read out of has them no more as text. */
export const partBytes = (part: Part) => (part.base64 !== null ? bytesOf(part.base64) : textBytes(part.text ?? ""));

export function toBase64(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}

const lineBytes = 8;
const hexByte = (byte: number) => byte.toString(16).padStart(2, "0");

/** The first bytes in hex: `00 00 00 12 …`. */
export function hexLine(bytes: Uint8Array, most = 24): string {
  return [...bytes.slice(0, most)].map(hexByte).join(" ") + (bytes.length > most ? " …" : "");
}

/** Bytes as a dump: place, eight in hex, the same as text: what a drawer is wide enough for. */
export function hexDump(bytes: Uint8Array, most = 4096): string {
  const lines: string[] = [];
  for (let from = 0; from < Math.min(bytes.length, most); from += lineBytes) {
    const some = [...bytes.slice(from, Math.min(from + lineBytes, most))];
    const hex = some.map(hexByte).join(" ").padEnd(lineBytes * 3 - 1);
    const text = some.map((byte) => (byte >= 32 && byte < 127 ? String.fromCharCode(byte) : "·")).join("");
    lines.push(`${from.toString(16).padStart(6, "0")}  ${hex}  ${text}`);
  }
  return lines.join("\n");
}

/** JSON with line breaks and indents and nothing else changed: no number loses a digit, no key its place. */
export function pretty(json: string): string {
  let out = "", depth = 0, inside = false;
  const line = () => `\n${"  ".repeat(Math.max(0, depth))}`;
  for (let i = 0; i < json.length; i++) {
    const c = json[i]!;
    if (inside) {
      out += c;
      if (c === "\\") out += json[++i] ?? "";
      else if (c === '"') inside = false;
    } else if (c === '"') {
      inside = true;
      out += c;
    } else if (c === "{" || c === "[") {
      const closing = /^\s*[}\]]/.exec(json.slice(i + 1, i + 200));
      if (closing) {
        out += c + closing[0].trim();
        i += closing[0].length;
      } else {
        depth++;
        out += c + line();
      }
    } else if (c === "}" || c === "]") {
      depth--;
      out += line() + c;
    } else if (c === ",") out += c + line();
    else if (c === ":") out += ": ";
    else if (!/\s/.test(c)) out += c;
  }
  return out;
}

/** One line of a part for a list. */
export function oneLine(part: Part | null, most = 300): string {
  if (!part) return "";
  if (part.text !== null) return part.text.slice(0, most * 2).replace(/\s+/g, " ").slice(0, most);
  return hexLine(partBytes(part));
}

const lengths: [ms: number, one: string, many: string][] = [[86_400_000, "day", "days"], [3_600_000, "hour", "hours"], [60_000, "minute", "minutes"], [1000, "second", "seconds"]];

/** `604800000` as "7 days"; null as "for ever". */
export function kept(ms: number | null): string {
  if (ms === null) return "for ever";
  for (const [length, one, many] of lengths) {
    if (ms >= length && (ms % length === 0 || ms > length * 10)) { const n = Math.round(ms / length); return `${n} ${n === 1 ? one : many}`; }
  }
  return ms >= 1000 ? `${Math.round(ms / 1000)} seconds` : `${ms} ms`;
}

/** Messages a second in a few characters. */
export function perSecond(rate: number | null): string {
  if (rate === null) return "…";
  if (rate === 0) return "0/s";
  if (rate < 0.05) return "<0.1/s";
  return rate < 10 ? `${rate.toFixed(1)}/s` : `${new Intl.NumberFormat("en", { maximumFractionDigits: 0 }).format(rate)}/s`;
}

/** The states of a bridge: how each is drawn, said, and meant. */
export const bridgeStates: Record<Bridge["state"], [css: string, words: string, meaning: string]> = {
  starting: ["soft", "starting", "It connects to both sides"],
  running: ["state-ok", "running", "Records go over as they come"],
  failing: ["level-error", "standing still", "Something is wrong; it tries again by itself"],
  paused: ["soft", "paused", "Somebody holds it, or the policy does; it goes on where it stood"],
};

/** What each way to open values means, the calmest words for it. */
export const valueModes: [mode: string, name: string, meaning: string][] = [
  ["auto", "What is JSON or text", "Values that are JSON or text pass the default rules: payment cards and secrets are replaced before they are stored. Binary values are stored as they are sent."],
  ["json", "JSON alone", "Values that are JSON pass the default rules; everything else is stored as it is sent."],
  ["text", "All as text", "Every value that is UTF-8 passes the default rules as text."],
  ["schema", "By their schema", "Values say by which schema they are to be read; other values are stored as they are sent."],
  ["opaque", "Nothing", "No value, key or header is opened: all bytes are stored as they are sent, and what they hold is not looked at."],
];

/** Where a text stands for a password that nobody can show any more. */
export const passwordGone = "YOUR_PASSWORD";

export interface Access { bootstrap: string; username: string; password: string; tls: boolean; topic: string }
export interface StreamSnippet { id: string; name: string; install: string; code: (access: Access) => string }

const protocol = (tls: boolean) => (tls ? "SASL_SSL" : "SASL_PLAINTEXT");

/** How to send and read a message, with the real host and name. */
export const streamSnippets: StreamSnippet[] = [
  {
    id: "kcat", name: "kcat", install: "",
    code: (a) => `echo 'order-1:{"total": 12.5}' | kcat -P -t ${a.topic} -K : -b ${a.bootstrap} \\
  -X security.protocol=${protocol(a.tls)} -X sasl.mechanism=SCRAM-SHA-256 \\
  -X sasl.username='${a.username}' -X sasl.password='${a.password}'`,
  },
  {
    id: "python", name: "confluent-kafka", install: "pip install confluent-kafka",
    code: (a) => `from confluent_kafka import Producer

producer = Producer({
    "bootstrap.servers": "${a.bootstrap}",
    "security.protocol": "${protocol(a.tls)}",
    "sasl.mechanism": "SCRAM-SHA-256",
    "sasl.username": "${a.username}",
    "sasl.password": "${a.password}",
})
producer.produce("${a.topic}", key="order-1", value='{"total": 12.5}')
producer.flush()`,
  },
  {
    id: "java", name: "client.properties", install: "",
    code: (a) => `bootstrap.servers=${a.bootstrap}
security.protocol=${protocol(a.tls)}
sasl.mechanism=SCRAM-SHA-256
sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required username="${a.username}" password="${a.password}";`,
  },
];
