// Explore: search, time, histogram, facets, a virtual table, a drawer, live tail.
import { lazy, Suspense, useEffect, useMemo, useState } from "react";
import { api, Problem, type Record_, type SearchResult } from "../lib/api";
import { ago, count, millis } from "../lib/format";
import { useKeys } from "../lib/keys";
import { useLoad } from "../lib/load";
import { back, href, setQuery, usePlace } from "../lib/route";
import { vocabularyOf } from "../lib/suggest";
import { useTail, type Tail } from "../lib/tail";
import { Facets } from "../explore/Facets";
import { Drawer } from "../explore/Drawer";
import { Rows } from "../explore/Rows";
import { Empty, Shown, SkeletonRows, Trouble, Waiting } from "../parts/basics";
import { FirstEvent } from "../parts/FirstEvent";
import { SearchBar } from "../parts/SearchBar";
import { rangeOf, zoomTo, type Range } from "../parts/TimeRange";
import "../design/explore.css";

const Histogram = lazy(() => import("../parts/Histogram").then((m) => ({ default: m.Histogram })));

const pageRows = 500;
/** Rows kept while scrolling: enough for eyes, little enough for a tab. Beyond it the time range is the way. */
const rowsMost = 50_000;
const dayMs = 86_400_000;

export function Explore({ project }: { project: string }) {
  const { query } = usePlace();
  const q = query.get("q") ?? "";
  const live = query.get("live") === "1";
  const open = query.get("row");
  const [nonce, setNonce] = useState(0);
  const again = () => setNonce((n) => n + 1);
  const range = useMemo(() => rangeOf(query), [query.get("range"), query.get("from"), query.get("to"), q, nonce]);
  const params = { q, from: new Date(range.from).toISOString(), to: new Date(range.to).toISOString(), limit: String(pageRows) };
  const found = useLoad(live ? undefined : `${project} ${q} ${range.key} ${nonce}`, (signal) => api.search(project, params, signal));
  const tail = useTail(live ? `${project} ${q}` : undefined, (after) => api.tailUrl(project, q, after));
  const older = useOlder(project, params, live ? undefined : found.data);
  const rows = live ? tail.rows : older.rows;
  const turnLive = () => setQuery({ live: live ? undefined : "1", row: undefined });
  useKeys({ l: turnLive, r: again });

  const words = useMemo(() => vocabularyOf(found.data, rows), [found.data, live]);
  const withDate = live ? false : range.to - range.from > dayMs || new Date(range.from).toDateString() !== new Date().toDateString();
  return (
    <div className="explore">
      <SearchBar label="Search logs" placeholder='service:cart level>=error "timed out" -healthcheck' q={q} words={words} run={(next) => { setQuery({ q: next || undefined, row: undefined }); if (next === q) again(); }} />
      <div className="explore-facts row">
        {live ? <TailState tail={tail} /> : found.data && <span className="soft" role="status">{count(found.data.total)} in {millis(found.data.stats.elapsed_ms)}</span>}
        <Waiting seconds={found.waited} what="Searching" stop={found.stop} />
        <span className="grow" />
        <button type="button" className="button" aria-pressed={live} title="Live tail (l)" onClick={turnLive}><i className="live-mark" />Live</button>
      </div>
      {live ? (
        <div className="explore-body">
          {rows.length > 0 ? <Rows project={project} rows={rows} live withDate={false} more={() => undefined} />
            : <Empty title="Waiting for the next one"><p className="soft">New records that fit the search appear here as they arrive. Press <kbd>l</kbd> to look back instead.</p></Empty>}
          {open && <Drawer project={project} rows={rows} place={open} />}
        </div>
      ) : (
        <Shown loaded={found} skeleton={<Coming />}>
          {(data) => (
            <>
              <div className="explore-histogram">
                {data.total > 0 && <Suspense fallback={<div className="histogram-room" />}><Histogram histogram={data.histogram} from={range.from} to={range.to} onZoom={zoomTo} onOut={() => stepOut(range)} /></Suspense>}
              </div>
              <div className="explore-body" data-stale={found.loading && found.slow || undefined}>
                <Facets q={q} facets={data.facets} />
                {rows.length > 0 ? <Rows project={project} rows={rows} live={false} withDate={withDate} more={older.more} /> : <Nothing project={project} q={q} arrived={again} />}
                {open && <Drawer project={project} rows={rows} place={open} />}
              </div>
              {older.problem && <div className="explore-foot"><Trouble problem={older.problem} again={older.more} /></div>}
            </>
          )}
        </Shown>
      )}
    </div>
  );
}

/** The shape of what is being searched for. */
function Coming() {
  return (
    <>
      <div className="explore-histogram"><span className="skeleton histogram-room" /></div>
      <div className="explore-body"><div className="facets" /><div className="grow"><SkeletonRows columns="112px 76px 120px 1fr" rows={24} rowPx={24} /></div></div>
    </>
  );
}

/** Out of a zoom: back to where it was made, else a range of twice the length. */
function stepOut(range: Range) {
  const more = (range.to - range.from) / 2;
  const wider = () => zoomTo(range.from - more, Math.min(range.to + more, Date.now()));
  if (range.live) wider();
  else back(wider);
}

function TailState({ tail }: { tail: Tail }) {
  const said = tail.state === "open" ? `Live: ${count(tail.seen)} since you looked`
    : tail.state === "lost" ? "The server does not answer. Trying again; nothing will be missed" : "Connecting";
  return <span className={`wait${tail.state === "lost" ? " lost" : ""}`} role="status"><i />{said}{tail.dropped > 0 && `, ${count(tail.dropped)} left out because they came too fast`}</span>;
}

/** The first page and those after it, one at a time. */
function useOlder(project: string, params: Record<string, string>, first: SearchResult | undefined) {
  const [state, setState] = useState<{ of?: SearchResult; rows: Record_[]; cursor: string | null; busy: boolean; problem?: Problem }>({ rows: [], cursor: null, busy: false });
  const current = state.of === first ? state : { of: first, rows: first?.rows ?? [], cursor: first?.cursor ?? null, busy: false };
  useEffect(() => setState({ of: first, rows: first?.rows ?? [], cursor: first?.cursor ?? null, busy: false }), [first]);
  const more = () => {
    if (!current.cursor || current.busy || current.rows.length >= rowsMost) return;
    setState({ ...current, busy: true, problem: undefined });
    api.search(project, { ...params, cursor: current.cursor }).then(
      (next) => setState((s) => (s.of === first ? { ...s, rows: [...s.rows, ...next.rows], cursor: next.cursor, busy: false } : s)),
      (error: unknown) => setState((s) => (s.of === first ? { ...s, busy: false, problem: error instanceof Problem ? error : new Problem(-1, "Older records could not be read", String(error)) } : s)),
    );
  };
  return { rows: current.rows, problem: state.problem, more };
}

/** Nothing found: the first event's lesson where the project has none, else where the newest record is. */
function Nothing({ project, q, arrived }: { project: string; q: string; arrived: () => void }) {
  const detail = useLoad(project, (signal) => api.project(project, signal));
  const logs = detail.data?.signals.logs;
  if (!logs) return <Shown loaded={detail}>{() => null}</Shown>;
  if (logs.rows === 0) {
    return <FirstEvent project={project} title="No logs have come yet" lead="Send one from any shell, or point a client at this project." with="curl" signal="logs" arrived={arrived} />;
  }
  return (
    <Empty title="Nothing found in this range">
      {logs.last && <p className="soft">The project holds {count(logs.rows)} records; the last arrived {ago(logs.last)}.</p>}
      <p className="row">
        <a className="button" href={href([project, "explore"], { q, range: "7d" })}>Look at the last 7 d</a>
        {q && <button type="button" className="button" onClick={() => setQuery({ q: undefined })}>Clear the search</button>}
      </p>
    </Empty>
  );
}
