// The facts of an issue beside its story: how often, how many people, since when, tags as bars, what the gate removed.
import { api, type Cell, type EventDetail, type Issue } from "../lib/api";
import { count } from "../lib/format";
import { useLoad } from "../lib/load";
import { href } from "../lib/route";
import { Time } from "./basics";
import { Trend } from "./Trend";
import { Person, removals, Veil, Veiled, veilWords } from "./veil";

/** Events whose tags are counted: the newest ones, which answers "what do they share" without a long scan. */
const eventsCounted = 1000;
const valuesShown = 4;

export function IssueFacts({ project, issue, event }: { project: string; issue: Issue; event?: EventDetail }) {
  const trace = (event?.event as { contexts?: { trace?: { trace_id?: Cell } } } | undefined)?.contexts?.trace?.trace_id;
  return (
    <aside className="facts" aria-label="Facts">
      <dl>
        <div><dt>Events</dt><dd className="data">{count(issue.count)}</dd></div>
        <div><dt>People</dt><dd className="data">{count(issue.users)}</dd></div>
        <div><dt>First seen</dt><dd><Time at={issue.first_seen} /></dd></div>
        <div><dt>Last seen</dt><dd><Time at={issue.last_seen} /></dd></div>
        {issue.release && <div><dt>Release</dt><dd className="data"><Veiled text={issue.release} /></dd></div>}
        {issue.environment && <div><dt>Environment</dt><dd className="data"><Veiled text={issue.environment} /></dd></div>}
        {event?.subject && <div><dt>Person</dt><dd><Person code={event.subject} /></dd></div>}
      </dl>
      <figure><Trend counts={issue.trend} /><figcaption className="soft">Events of the last 24 hours</figcaption></figure>
      {event && <Removed event={event} />}
      <Tags project={project} issue={issue} event={event} />
      {typeof trace === "string" && <p><a href={href([project, "explore"], { q: `trace:${trace}`, range: "7d" })}>Logs of this trace</a></p>}
    </aside>
  );
}

/** What the gate took out of this event, kind by kind, with the places on hover. */
function Removed({ event }: { event: EventDetail }) {
  const byKind = new Map<string, Set<string>>();
  for (const { kind, path } of removals(event.event as Cell)) byKind.set(kind, (byKind.get(kind) ?? new Set()).add(path));
  const people = byKind.get("person");
  byKind.delete("person");
  return (
    <section>
      <h2>What the gate removed</h2>
      {byKind.size === 0 && !people ? <p className="soft">Nothing in this event.</p> : (
        <ul className="removed">
          {[...byKind].map(([kind, paths]) => <li key={kind} title={[...paths].join("\n")}><Veil kind={kind} /> <span className="soft">{veilWords(kind)}{paths.size > 1 ? `, in ${paths.size} places` : ""}</span><span className="data soft removed-path">{[...paths].slice(0, 3).join(", ")}</span></li>)}
          {people && <li title={[...people].join("\n")}><span className="soft">Who it was stays in the vault; codes stand for them</span><span className="data soft removed-path">{[...people].slice(0, 3).join(", ")}</span></li>}
        </ul>
      )}
    </section>
  );
}

export interface TagBar { key: string; values: [value: string, events: number][]; events: number }

/** Tags of many events as counts, the tag that most events have first. */
export function tagBars(tags: Record<string, Cell>[]): TagBar[] {
  const keys = new Map<string, Map<string, number>>();
  for (const one of tags) {
    for (const [key, value] of Object.entries(one)) {
      const values = keys.get(key) ?? new Map<string, number>();
      values.set(String(value), (values.get(String(value)) ?? 0) + 1);
      keys.set(key, values);
    }
  }
  return [...keys].map(([key, values]) => ({ key, values: [...values].sort((a, b) => b[1] - a[1]), events: [...values.values()].reduce((a, b) => a + b, 0) }))
    .sort((a, b) => b.events - a.events || (a.key < b.key ? -1 : 1));
}

function Tags({ project, issue, event }: { project: string; issue: Issue; event?: EventDetail }) {
  const sql = `SELECT tags FROM errors WHERE issue = ${issue.id} ORDER BY timestamp DESC LIMIT ${eventsCounted}`;
  const asked = useLoad(`${project} ${issue.id} ${issue.count}`, (signal) => api.query(project, sql, eventsCounted, signal));
  const many = asked.data?.rows.map((row) => row[0]).filter((cell): cell is Record<string, Cell> => cell !== null && typeof cell === "object" && !Array.isArray(cell));
  const bars = tagBars(many ?? (event ? [event.tags] : []));
  if (!bars.length) return null;
  return (
    <section>
      <h2>Tags</h2>
      {bars.map(({ key, values, events }) => (
        <div key={key} className="tag">
          <h3 className="clip" title={key}>{key}</h3>
          <ul>
            {values.slice(0, valuesShown).map(([value, n]) => (
              <li key={value} data-here={event?.tags[key] === value || undefined} title={`${value}: ${count(n)} of ${count(events)}${event?.tags[key] === value ? ", this event's" : ""}`}>
                <span className="tag-bar" style={{ width: `${(n / events) * 100}%` }} /><span className="clip grow data"><Veiled text={value} /></span><span className="data soft">{Math.round((n / events) * 100)} %</span>
              </li>
            ))}
            {values.length > valuesShown && <li className="soft">and {count(values.length - valuesShown)} more</li>}
          </ul>
        </div>
      ))}
    </section>
  );
}
