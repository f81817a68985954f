// SQL: editor above, result below as table or chart, schema beside.
import { lazy, Suspense, useEffect, useState } from "react";
import { api, type Cell, type QueryResult, type Schema } from "../lib/api";
import { bytes, count, millis } from "../lib/format";
import { useKeys } from "../lib/keys";
import { useLoad } from "../lib/load";
import { setQuery, usePlace } from "../lib/route";
import { Skeleton, Trouble, Veiled, Waiting } from "../parts/basics";
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
    else setQuery({ sql: draft });
  };
  useKeys({ "mod+Enter": run, "mod+enter": run });
  return (
    <div className="sql">
      <div className="sql-top">
        <Suspense fallback={<div className="editor" />}><Editor value={draft} onChange={setDraft} onRun={run} schema={schema.data} /></Suspense>
        <SchemaList schema={schema.data} add={(name) => setDraft(`${draft.trimEnd()} ${name}`)} />
      </div>
      <div className="sql-bar row">
        <button type="button" className="button" data-kind="primary" onClick={run}>Run <kbd>⌘↵</kbd></button>
        <Waiting seconds={result.waited} what="Running" stop={result.stop} />
        {result.data && !result.loading && <Facts result={result.data} />}
        <span className="grow" />
        {result.data && (
          <>
            <button type="button" className="button" aria-pressed={!chart} onClick={() => setQuery({ as: undefined }, true)}>Table</button>
            <button type="button" className="button" aria-pressed={chart} onClick={() => setQuery({ as: "chart" }, true)}>Chart</button>
          </>
        )}
      </div>
      <div className="sql-result" role="region" aria-label="Result" tabIndex={0} data-stale={result.loading || undefined}>
        {result.problem ? <div className="page"><Trouble problem={result.problem} /></div>
          : result.data ? (chart ? <Suspense fallback={<Skeleton />}><Chart result={result.data} /></Suspense> : <Table result={result.data} />)
          : result.loading && result.slow ? <Skeleton />
          : <p className="page soft">The answer appears here. Every signal is a table: <code>logs</code>, <code>errors</code>, <code>spans</code>.</p>}
      </div>
    </div>
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
          <ul>{table.columns.map((c) => <li key={c.name}><button type="button" className="data" title={`Add ${c.name}`} onClick={() => add(c.name)}><span className="grow clip">{c.name}</span><span className="soft">{c.type.toLowerCase()}</span></button></li>)}</ul>
        </details>
      ))}
    </aside>
  );
}

export function cellText(cell: Cell): string {
  return cell === null ? "null" : typeof cell === "object" ? JSON.stringify(cell) : String(cell);
}

const shown = 1000;

function Table({ result }: { result: QueryResult }) {
  const numeric = result.columns.map((c) => /INT|DOUBLE|FLOAT|DECIMAL/i.test(c.type));
  if (!result.rows.length) return <p className="page soft">No rows.</p>;
  return (
    <>
      <table className="list data">
        <thead><tr>{result.columns.map((c, i) => <th key={i} className={numeric[i] ? "number" : ""} title={c.type}>{c.name}</th>)}</tr></thead>
        <tbody>
          {result.rows.slice(0, shown).map((row, r) => (
            <tr key={r}>{row.map((cell, i) => <td key={i} className={numeric[i] ? "number" : ""}>{cell === null ? <span className="soft">null</span> : <Veiled text={cellText(cell)} />}</td>)}</tr>
          ))}
        </tbody>
      </table>
      {result.rows.length > shown && <p className="page soft">Showing {count(shown)} of {count(result.rows.length)} rows; add a LIMIT or aggregate.</p>}
    </>
  );
}
