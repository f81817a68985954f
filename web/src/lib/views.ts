// The views of a project, and everything that ⌘K can find.
import type { Me } from "./api";
import { href } from "./route";

export const views: { id: string; name: string; keys: string }[] = [
  { id: "explore", name: "Explore", keys: "g l" },
  { id: "errors", name: "Errors", keys: "g e" },
  { id: "streams", name: "Streams", keys: "g t" },
  { id: "sql", name: "SQL", keys: "g s" },
  { id: "privacy", name: "Privacy", keys: "g v" },
  { id: "start", name: "Send events", keys: "g i" },
  { id: "settings", name: "Settings", keys: "g p" },
];

export interface Goal { name: string; hint: string; address: string }

/** A project as addresses and the API name it: of the first organisation by its name alone. */
export const pathOf = (me: Me, org: number, project: string) => (org === 0 ? project : `${me.orgs[org]!.name}/${project}`);

export const projectsOf = (me: Me) =>
  me.orgs.flatMap((org, i) => org.projects.map((p) => ({ path: pathOf(me, i, p.name), number: p.number })));

const signals: Record<string, [view: string, name: string]> = {
  "candor.logs": ["explore", "the topic of logs"], "candor.errors": ["errors", "the topic of errors"], "candor.spans": ["sql", "the topic of spans"],
};
/** Topics that a search shows at most. */
const topicsMost = 6;

/** What a text may mean, likeliest first. */
export function goalsFor(text: string, me: Me, project: string, topics: string[] = []): Goal[] {
  const q = text.trim();
  const projects = projectsOf(me);
  const found: Goal[] = [];
  const id = q.replace(/-/g, "").toLowerCase();
  const isEvent = /^[0-9a-f]{32}$/.test(id);
  if (isEvent) {
    found.push({ name: `Event ${id.slice(0, 8)}…`, hint: "by event id", address: href([project, "events", id]) });
    found.push({ name: `Trace ${id.slice(0, 8)}…`, hint: "logs of a trace id", address: href([project, "explore"], { q: `trace:${id}`, range: "7d" }) });
  } else if (/^[0-9a-f]{16}$/.test(id)) {
    found.push({ name: `Span ${id}`, hint: "logs of a span id", address: href([project, "explore"], { q: `span:${id}`, range: "7d" }) });
  }
  const dsn = /^https?:\/\/[0-9a-f]{16,64}@[^/]+\/(\d+)$/.exec(q);
  const owner = dsn && projects.find((p) => String(p.number) === dsn[1]);
  if (owner) found.push({ name: owner.path, hint: "the DSN's project", address: href([owner.path, "settings"]) });
  const offset = /^(?:offset\s+)?(?:(\d{1,10})-)?(\d{1,18})$/.exec(q);
  if (offset) found.push({ name: `Log record at offset ${offset[2]}`, hint: "candor.logs", address: href([project, "explore"], { row: `${offset[1] ?? 0}-${offset[2]}` }) });
  const signal = signals[q];
  if (signal) found.push({ name: q, hint: signal[1], address: href([project, signal[0]]) });
  // `orders`, and `orders 0-4711` for a message of it.
  const [, named = "", place] = /^(\S+?)(?:\s+(\d{1,10}-\d{1,18}))?$/.exec(q) ?? [];
  const fitting = named ? topics.filter((name) => (place ? name === named : name.toLowerCase().includes(named.toLowerCase()))) : [];
  for (const name of fitting.slice(0, topicsMost)) {
    const address = href([project, "streams", "topics", name], { row: place });
    found.push(place ? { name: `Message ${place} of ${name}`, hint: "topic", address } : { name, hint: "topic", address });
  }
  const all: Goal[] = [
    ...views.map((v) => ({ name: v.name, hint: v.keys, address: href([project, v.id]) })),
    ...projects.map((p) => ({ name: p.path, hint: "project", address: href([p.path, "explore"]) })),
    { name: "New project", hint: "", address: href(["projects", "new"]) },
  ];
  found.push(...all.filter((goal) => goal.name.toLowerCase().includes(q.toLowerCase())));
  if (q && !isEvent) found.push({ name: `Search logs for “${q}”`, hint: "", address: href([project, "explore"], { q }) });
  return found;
}
