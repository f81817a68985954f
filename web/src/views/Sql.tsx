// SQL: editor above, result below as table or chart, schema beside.
import { lazy, Suspense, useEffect, useState } from "react";
import { api, type QueryResult, type Schema } from "../lib/api";
import { quoted } from "../lib/complete";
import { bytes, count, millis } from "../lib/format";
import { mod, useKeys } from "../lib/keys";
import { useLoad } from "../lib/load";
import { href, setQuery, usePlace } from "../lib/route";
import { Skeleton, Trouble, Waiting } from "../parts/basics";
import { DataTable } from "../parts/DataTable";
import "../design/sql.css";

const Editor = lazy(() => import("../parts/Editor"));
const Chart = lazy(() => import("../parts/Chart"));

const first = "SELECT date_trunc('minute', timestamp) AS minute, severity_text, count(*) AS n\nFROM logs\nWHERE timestamp > now() - INTERVAL '1 hour'\nGROUP BY 1, 2 ORDER BY 1";
const maxRows = 10_000;

export function Sql({ project }: { project: string }) {
  const { query } = usePlace();
  const asked = query.get("sql") ?? undefined;
  const chart = query.get("as") === "chart";
  const [draft, setDraft] = useState(asked ?? first);
  const [turn, setTurn] = useState(0);
  useEffect(() => { if (asked !== undefined) setDraft(asked); }, [asked]);
  const schema = useLoad(project, () => api.schema(project));
  const result = useLoad(asked === undefined ? undefined : `${project} ${turn} ${asked}`, (signal) => api.query(project, asked!, maxRows, signal));
  const run = () => {
    if (!draft.trim()) return;
    if (draft === asked) setTurn(turn + 1);
    else setQuery({ sql: draft, w: undefined, row: undefined });
  };
  const show = (as: boolean) => setQuery({ as: as ? "chart" : undefined }, true);
  useKeys({ "mod+enter": run, v: () => show(!chart) });
  return (
    <div className="sql">
      <div className="sql-top">
        <Suspense fallback={<div className="editor" />}><Editor value={draft} onChange={setDraft} onRun={run} schema={schema.data} /></Suspense>
        <SchemaList schema={schema.data} add={(name) => setDraft(`${draft.trimEnd()} ${name}`)} />
      </div>
      <div className="sql-bar row">
        <button type="button" className="button" data-kind="primary" onClick={run}>Run <kbd>{mod}enter</kbd></button>
        <Waiting seconds={result.waited} what="Running" stop={result.stop} />
        {result.data && !result.loading && <Facts result={result.data} />}
        <span className="grow" />
        {result.data && (
          <>
            <button type="button" className="button" aria-pressed={!chart} title="Table or chart (v)" onClick={() => show(false)}>Table</button>
            <button type="button" className="button" aria-pressed={chart} title="Table or chart (v)" onClick={() => show(true)}>Chart</button>
          </>
        )}
      </div>
      <div className="sql-result" data-stale={(result.loading && result.slow) || undefined}>
        {result.problem ? <div className="page"><Trouble problem={result.problem} /></div>
          : result.data ? (chart ? <Suspense fallback={<Skeleton />}><Chart result={result.data} /></Suspense> : <DataTable result={result.data} />)
          : result.loading ? (result.slow ? <Skeleton /> : null)
          : <Examples project={project} />}
      </div>
    </div>
  );
}

const examples: [name: string, sql: string, as?: string][] = [
  ["Records a minute, by level", first, "chart"],
  ["The noisiest services", "SELECT service_name, count(*) AS n, count(*) FILTER (WHERE severity_number >= 17) AS errors\nFROM logs\nGROUP BY 1 ORDER BY n DESC"],
  ["Slowest spans", "SELECT name, count(*) AS n, avg(duration_ns) / 1e6 AS mean_ms, max(duration_ns) / 1e6 AS slowest_ms\nFROM spans\nGROUP BY 1 ORDER BY slowest_ms DESC LIMIT 50"],
  ["Errors by release", "SELECT release, type, count(*) AS n, count(DISTINCT subject) AS people\nFROM errors\nGROUP BY 1, 2 ORDER BY n DESC"],
];

/** What an empty result teaches: the tables, and queries to begin with. */
function Examples({ project }: { project: string }) {
  return (
    <section className="page stack reading">
      <p className="soft">The answer appears here. Every signal is a table: <code>logs</code>, <code>errors</code>, <code>spans</code>. To begin with:</p>
      <ul className="examples">{examples.map(([name, sql, as]) => <li key={name}><a href={href([project, "sql"], { sql, as })}>{name}</a></li>)}</ul>
    </section>
  );
}

function Facts({ result }: { result: QueryResult }) {
  const s = result.stats;
  return (
    <span className="soft data" role="status">
      {count(result.rows.length)} rows{result.truncated && ` (the first ${count(maxRows)})`} · {millis(s.elapsed_ms)} · CPU {millis(s.cpu_ms)} · read {count(s.rows_scanned)} rows, {bytes(s.bytes_scanned)} · {s.files - s.files_pruned} of {s.files} files
    </span>
  );
}

function SchemaList({ schema, add }: { schema?: Schema; add: (name: string) => void }) {
  return (
    <aside className="schema" aria-label="Tables">
      {(schema?.tables ?? []).map((table) => (
        <details key={table.name} open={table.name === "logs"}>
          <summary className="data">{table.name}</summary>
          <ul>{table.columns.map((c) => <li key={c.name}><button type="button" className="data" title={`Add ${c.name}`} onClick={() => add(quoted(c.name))}><span className="grow clip">{c.name}</span><span className="soft">{c.type.toLowerCase()}</span></button></li>)}</ul>
        </details>
      ))}
    </aside>
  );
}
