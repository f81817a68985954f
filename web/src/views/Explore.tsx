// Explore: search, time, histogram, facets, a virtual table, a drawer, live tail.
import { useVirtualizer } from "@tanstack/react-virtual";
import { lazy, Suspense, useEffect, useMemo, useRef, useState } from "react";
import { api, type Record_, type SearchResult } from "../lib/api";
import { clock, count, exact, level, millis } from "../lib/format";
import { useKeys } from "../lib/keys";
import { useLoad } from "../lib/load";
import { href, setQuery, usePlace } from "../lib/route";
import { useTail } from "../lib/tail";
import { copy, Person, Skeleton, Trouble, Veiled, Waiting } from "../parts/basics";
import { rangeOf, zoomTo } from "../parts/TimeRange";
import "../design/explore.css";

const Histogram = lazy(() => import("../parts/Histogram").then((m) => ({ default: m.Histogram })));

const pageRows = 200;
const text = (row: Record_, column: string) => (typeof row[column] === "string" ? (row[column] as string) : "");
const idOf = (row: Record_) => `${row._partition ?? 0}-${row._offset}`;

/** Adds or removes `key:value` in a search text. */
export function toggleTerm(q: string, key: string, value: string): string {
  const term = `${key}:${/^[\w.\-/]+$/.test(value) ? value : `"${value.replace(/(["\\])/g, "\\$1")}"`}`;
  return q.includes(term) ? q.replace(term, "").replace(/\s+/g, " ").trim() : `${q} ${term}`.trim();
}

export function Explore({ project }: { project: string }) {
  const { query } = usePlace();
  const q = query.get("q") ?? "";
  const live = query.get("live") === "1";
  const [nonce, setNonce] = useState(0);
  const range = useMemo(() => rangeOf(query), [query.get("range"), query.get("from"), query.get("to"), q, nonce]);
  const params = { q, from: new Date(range.from).toISOString(), to: new Date(range.to).toISOString(), limit: String(pageRows) };
  const found = useLoad(`${project} ${q} ${range.key} ${nonce}`, (signal) => api.search(project, params, signal));
  const [older, setOlder] = useState<{ rows: Record_[]; cursor: string | null; busy: boolean }>();
  useEffect(() => setOlder(undefined), [found.data]);
  const tail = useTail(live ? api.tailUrl(project, q) : undefined);
  const rows = useMemo(
    () => (live ? tail.rows : [...(found.data?.rows ?? []), ...(older?.rows ?? [])]),
    [live, tail.rows, found.data, older],
  );
  const cursor = older ? older.cursor : found.data?.cursor;
  const more = async () => {
    if (!cursor || older?.busy || live) return;
    setOlder({ rows: older?.rows ?? [], cursor, busy: true });
    try {
      const next = await api.search(project, { ...params, cursor });
      setOlder({ rows: [...(older?.rows ?? []), ...next.rows], cursor: next.cursor, busy: false });
    } catch {
      setOlder({ rows: older?.rows ?? [], cursor, busy: false });
    }
  };
  useKeys({ l: () => setQuery({ live: live ? undefined : "1" }), r: () => setNonce(nonce + 1) });

  return (
    <div className="explore">
      <Search q={q} run={(next) => { setQuery({ q: next || undefined, row: undefined }); if (next === q) setNonce(nonce + 1); }} />
      <div className="explore-head">
        <div className="row explore-facts">
          {live ? (
            <span className="wait" role="status"><i />{tail.state === "open" ? `Live: ${count(tail.seen)} since you looked` : "Connecting"}{tail.dropped > 0 && `, ${count(tail.dropped)} left out because they came too fast`}</span>
          ) : found.data ? (
            <span className="soft" role="status">{count(found.data.total)} in {millis(found.data.stats.elapsed_ms)}</span>
          ) : <span className="soft">&nbsp;</span>}
          <Waiting seconds={found.waited} what="Searching" stop={found.stop} />
          <span className="grow" />
          <button type="button" className="button" aria-pressed={live} title="Live tail (l)" onClick={() => setQuery({ live: live ? undefined : "1" })}>● Live</button>
        </div>
        {!live && found.data && found.data.histogram.buckets.length > 0 && (
          <Suspense fallback={<div style={{ height: 96 }} />}>
            <Histogram buckets={found.data.histogram.buckets} bucketUs={found.data.histogram.bucket_us} onZoom={zoomTo} onOut={() => history.back()} />
          </Suspense>
        )}
      </div>
      {found.problem && !live ? (
        <div className="page"><Trouble problem={found.problem} again={found.reload} /></div>
      ) : !live && !found.data ? (
        found.slow || found.loading ? <Skeleton lines={14} /> : null
      ) : (
        <div className="explore-body">
          {!live && found.data && <Facets q={q} facets={found.data.facets} />}
          <Rows project={project} rows={rows} more={more} empty={live ? "Nothing has come yet that fits. New records appear here as they arrive." : undefined} />
        </div>
      )}
    </div>
  );
}

function Search({ q, run }: { q: string; run: (q: string) => void }) {
  const [draft, setDraft] = useState(q);
  useEffect(() => setDraft(q), [q]);
  return (
    <form className="explore-search" role="search" onSubmit={(event) => { event.preventDefault(); run(draft.trim()); }}>
      <label className="sr-only" htmlFor="q">Search logs</label>
      <input id="q" data-search className="input data" placeholder='service:cart level>=error "timed out" -healthcheck' value={draft} spellCheck={false} autoComplete="off" maxLength={4000}
        onChange={(event) => setDraft(event.target.value)} onKeyDown={(event) => { if (event.key === "Escape") event.currentTarget.blur(); }} />
      <button className="button">Search</button>
    </form>
  );
}

const facetNames: Record<string, [string, string]> = {
  service_name: ["service", "service"], severity_text: ["level", "level"], host_name: ["host", "host"], source: ["source", "source"],
};

function Facets({ q, facets }: { q: string; facets: SearchResult["facets"] }) {
  return (
    <aside className="facets" aria-label="Facets">
      {Object.entries(facets).filter(([, values]) => values.length > 0).map(([column, values]) => {
        const [title, key] = facetNames[column] ?? [column, column];
        return (
          <section key={column}>
            <h2>{title}</h2>
            <ul>
              {values.slice(0, 12).map(([value, n]) => {
                const next = toggleTerm(q, key, value);
                return (
                  <li key={value}>
                    <button type="button" aria-pressed={next.length < q.length} onClick={() => setQuery({ q: next || undefined })}>
                      <span className="clip grow">{value || "(none)"}</span><span className="soft data">{count(n)}</span>
                    </button>
                  </li>
                );
              })}
            </ul>
          </section>
        );
      })}
    </aside>
  );
}

function Rows({ project, rows, more, empty }: { project: string; rows: Record_[]; more: () => void; empty?: string }) {
  const { query } = usePlace();
  const wrap = query.get("wrap") === "1";
  const openId = query.get("row");
  const scroller = useRef<HTMLDivElement>(null);
  const [at, setAt] = useState(0);
  const virtual = useVirtualizer({ count: rows.length, getScrollElement: () => scroller.current, estimateSize: () => 24, overscan: 20 });
  const items = virtual.getVirtualItems();
  const last = items[items.length - 1]?.index ?? 0;
  useEffect(() => { if (rows.length && last >= rows.length - 20) more(); }, [last, rows.length]);
  const move = (to: number) => {
    const next = Math.max(0, Math.min(rows.length - 1, to));
    setAt(next);
    virtual.scrollToIndex(next, { align: "auto" });
    if (openId && rows[next]) setQuery({ row: idOf(rows[next]) }, true);
  };
  useKeys({
    j: () => move(at + 1), k: () => move(at - 1),
    enter: () => { if (rows[at]) setQuery({ row: idOf(rows[at]) }); },
    escape: () => { if (openId) setQuery({ row: undefined }); },
    w: () => setQuery({ wrap: wrap ? undefined : "1" }, true),
    c: () => { if (rows[at]) void copy(JSON.stringify(rows[at], null, 2)); },
  });
  const opened = openId ? rows.find((row) => idOf(row) === openId) : undefined;
  if (rows.length === 0) {
    return (
      <section className="page stack reading grow">
        <h2>{empty ? "Waiting" : "Nothing found in this range"}</h2>
        <p className="soft">{empty ?? "Widen the time range, or take a word out of the search."}</p>
        <p><a href={href([project, "start"])}>Send events to this project</a></p>
      </section>
    );
  }
  return (
    <>
      <div className="rows" ref={scroller} role="grid" aria-label="Log records, newest first" aria-rowcount={rows.length} tabIndex={0}>
        <div style={{ height: virtual.getTotalSize(), position: "relative" }} role="presentation">
          {items.map((item) => {
            const row = rows[item.index]!;
            const name = level(text(row, "severity_text"), row.severity_number as number);
            return (
              <div key={idOf(row)} ref={virtual.measureElement} data-index={item.index} role="row" aria-rowindex={item.index + 1} aria-selected={item.index === at}
                className={`line data${wrap ? " wrap" : ""}`} data-open={idOf(row) === openId} style={{ transform: `translateY(${item.start}px)` }}
                onClick={() => { setAt(item.index); setQuery({ row: idOf(row) === openId ? undefined : idOf(row) }, openId !== null); }}>
                <span role="gridcell" className="line-time" title={exact(text(row, "timestamp"))}>{clock(text(row, "timestamp"))}</span>
                <span role="gridcell" className={`badge level-${name}`}>{name}</span>
                <span role="gridcell" className="line-service clip">{text(row, "service_name") || text(row, "source")}</span>
                <span role="gridcell" className="line-body"><Veiled text={text(row, "body")} />{typeof row.subject === "string" && <> <Person code={row.subject} /></>}</span>
              </div>
            );
          })}
        </div>
      </div>
      {opened && <Drawer project={project} row={opened} />}
    </>
  );
}

function Drawer({ project, row }: { project: string; row: Record_ }) {
  const { query } = usePlace();
  const q = query.get("q") ?? "";
  const attributes = (row.attributes ?? {}) as Record<string, string>;
  const fields = Object.entries(row).filter(([key, value]) => value !== null && value !== "" && !["attributes", "body", "timestamp_ns"].includes(key));
  const at = Date.parse(text(row, "timestamp"));
  const around = { from: new Date(at - 30_000).toISOString(), to: new Date(at + 30_000).toISOString() };
  const line = (key: string, value: string, term: string) => (
    <div key={term} className="drawer-field">
      <dt title={term}>{key}</dt>
      <dd><Veiled text={value} /></dd>
      <button type="button" className="button" data-kind="quiet" aria-label={`Search for this ${key}`} title="Search for this value" onClick={() => setQuery({ q: toggleTerm(q, term, value) })}>+</button>
    </div>
  );
  return (
    <aside className="drawer" aria-label="Record">
      <div className="row">
        <h2 className="grow">{exact(text(row, "timestamp"))}</h2>
        <button type="button" className="button" onClick={() => copy(JSON.stringify(row, null, 2))}>Copy JSON</button>
        <button type="button" className="button" data-kind="quiet" aria-label="Close" title="Close (esc)" onClick={() => setQuery({ row: undefined })}>✕</button>
      </div>
      <pre className="drawer-body"><Veiled text={text(row, "body")} /></pre>
      <div className="row" style={{ flexWrap: "wrap" }}>
        <a className="button" href={href([project, "explore"], { ...around })}>Around</a>
        {text(row, "trace_id") && <a className="button" href={href([project, "explore"], { q: `trace:${text(row, "trace_id")}`, range: "7d" })}>Trace</a>}
        {text(row, "subject") && <a className="button" href={href([project, "explore"], { q: `subject:"${text(row, "subject")}"`, range: "7d" })}>This person</a>}
      </div>
      <dl>
        {fields.map(([key, value]) => line(key, typeof value === "string" ? value : JSON.stringify(value), key))}
        {Object.entries(attributes).map(([key, value]) => line(key, String(value), key))}
      </dl>
    </aside>
  );
}
