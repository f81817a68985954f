// What else happened around an event: the logs of its trace, else those of the seconds before and after it.
import { api, type Cell, type EventDetail } from "../lib/api";
import { useLoad } from "../lib/load";
import { href } from "../lib/route";
import { LogLines } from "../explore/LogLine";
import "../design/explore.css";

const beforeMs = 10_000, afterMs = 5_000, traceMs = 3_600_000, rowsMost = 20;

export function Around({ project, event }: { project: string; event: EventDetail }) {
  const at = Date.parse(event.timestamp);
  const trace = (event.event as { contexts?: { trace?: { trace_id?: Cell } } }).contexts?.trace?.trace_id;
  const span = (before: number, after: number) => ({ from: new Date(at - before).toISOString(), to: new Date(at + after).toISOString() });
  const search = typeof trace === "string" ? { q: `trace:${trace}`, ...span(traceMs, traceMs) } : { q: "", ...span(beforeMs, afterMs) };
  const found = useLoad(Number.isNaN(at) ? undefined : `${project} ${event.event_id}`, (signal) => api.search(project, { ...search, limit: String(rowsMost) }, signal));
  const rows = found.data?.rows ?? [];
  if (rows.length === 0) return null;
  return (
    <section>
      <h2>{typeof trace === "string" ? "Logs of its trace" : "Logs around it"}</h2>
      <LogLines rows={[...rows].reverse()} />
      <p><a href={href([project, "explore"], search)}>Open in Explore</a></p>
    </section>
  );
}
