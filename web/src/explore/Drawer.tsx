// One record, whole: its message, its fields to search by, and what stands around it.
import { api, type Record_ } from "../lib/api";
import { exact, exactWithZone } from "../lib/format";
import { useLoad } from "../lib/load";
import { href, setQuery, usePlace } from "../lib/route";
import { cellText, hasTerm, parsePlace, placeOf, toggleTerm, withoutTerm } from "../lib/search";
import { zoneName } from "../lib/zone";
import { CopyButton, Level, Skeleton, Trouble } from "../parts/basics";
import { Reveal } from "../parts/Reveal";
import { Long } from "../parts/JsonTree";
import { columnsOf, toggleColumn } from "./Rows";

const aroundMs = 30_000;
/** What the search language calls a column. */
const searchNames: Record<string, string> = { service_name: "service", severity_text: "level", host_name: "host", trace_id: "trace", span_id: "span" };
const shownAbove = ["attributes", "body", "timestamp", "timestamp_ns", "severity_number", "subjects"];

/** The record that the address names: of the rows at hand, else asked for, since a link may outlive its range. */
export function Drawer({ project, rows, place }: { project: string; rows: Record_[]; place: string }) {
  const here = rows.find((row) => placeOf(row) === place);
  const named = parsePlace(place);
  const asked = useLoad(here || !named ? undefined : `${project} ${place}`, (signal) => api.record(project, named!.partition, named!.offset, signal));
  const row = here ?? asked.data;
  const close = () => setQuery({ row: undefined });
  return (
    <aside className="drawer" aria-label="Record">
      {row ? <Whole project={project} row={row} close={close} />
        : asked.problem ? <Trouble problem={asked.problem} again={asked.reload} />
        : asked.loading && named ? <Skeleton />
        : <div className="stack"><p>There is no record at {place}: it may have reached the end of its retention.</p><div><button type="button" className="button" onClick={close}>Close</button></div></div>}
    </aside>
  );
}

function Whole({ project, row, close }: { project: string; row: Record_; close: () => void }) {
  const at = cellText(row.timestamp), time = Date.parse(at);
  const trace = cellText(row.trace_id), person = cellText(row.subject);
  const link = (query: Record<string, string>) => href([project, "explore"], query);
  const fields = Object.entries(row).filter(([key, value]) => value !== null && value !== "" && !shownAbove.includes(key));
  // Promoted columns are copies of attributes, which stand below in full.
  const own = fields.filter(([key]) => !/^(_|a_)/.test(key));
  const place = fields.filter(([key]) => key.startsWith("_"));
  const attributes = Object.entries((row.attributes ?? {}) as Record<string, string>);
  return (
    <>
      <div className="row">
        <h2 className="grow data" title={exactWithZone(at)}>{exact(at)} <span className="soft">{zoneName(new Date(at))}</span></h2>
        <CopyButton text={() => JSON.stringify(row, null, 2)} label="Copy JSON" />
        <button type="button" className="button" data-kind="quiet" aria-label="Close" title="Close (esc)" onClick={close}>✕</button>
      </div>
      <div className="row"><Level text={cellText(row.severity_text)} severity={Number(row.severity_number) || null} /><span className="soft data">{cellText(row.service_name)}</span></div>
      <pre className="drawer-body" tabIndex={0} role="region" aria-label="Message"><Long text={cellText(row.body)} /></pre>
      <nav className="row drawer-links" aria-label="From here">
        {!Number.isNaN(time) && <a className="button" href={link({ from: new Date(time - aroundMs).toISOString(), to: new Date(time + aroundMs).toISOString(), row: placeOf(row) })}>Around it</a>}
        {trace && <a className="button" href={link({ q: `trace:${trace}`, range: "7d" })}>Its trace</a>}
        {person && <a className="button" href={link({ q: `subject:"${person}"`, range: "7d" })}>This person</a>}
        {person && <Reveal project={project} code={person} />}
      </nav>
      <Fields fields={own.map(([key, value]) => [key, cellText(value)])} />
      {attributes.length > 0 && <><h3>Attributes</h3><Fields fields={attributes.map(([key, value]) => [key, cellText(value)])} columns /></>}
      <details><summary className="soft">Where it lies in the log</summary><Fields fields={place.map(([key, value]) => [key, cellText(value)])} bare /></details>
    </>
  );
}

function Fields({ fields, columns, bare }: { fields: [string, string][]; columns?: boolean; bare?: boolean }) {
  const { query } = usePlace();
  const q = query.get("q") ?? "";
  const shown = columnsOf(query);
  const asTime = (key: string, value: string) => (/timestamp|_at$/.test(key) && /^\d{4}-\d\d-\d\dT/.test(value) ? exact(value) : value);
  return (
    <dl className="fields">
      {fields.map(([key, value]) => {
        const name = searchNames[key] ?? key;
        const within = hasTerm(q, name, value);
        return (
          <div key={key} className="field-line">
            <dt className="clip" title={key}>{key}</dt>
            <dd>
              <span className="field-value"><Long text={asTime(key, value)} /></span>
              {!bare && !/timestamp/.test(key) && (
                <span className="field-acts">
                  <button type="button" className="button" data-kind="quiet" aria-pressed={within} aria-label={`${within ? "Drop" : "Search for"} ${key} = ${value}`} title={within ? "Drop from the search" : "Only this value"} onClick={() => setQuery({ q: toggleTerm(q, name, value) || undefined })}>+</button>
                  {!within && <button type="button" className="button" data-kind="quiet" aria-label={`Search without ${key} = ${value}`} title="Without this value" onClick={() => setQuery({ q: withoutTerm(q, name, value) })}>−</button>}
                  {columns && <button type="button" className="button" data-kind="quiet" aria-pressed={shown.includes(key)} aria-label={`${shown.includes(key) ? "Hide" : "Show"} ${key} as a column`} title="As a column" onClick={() => toggleColumn(query, key)}>▥</button>}
                </span>
              )}
            </dd>
          </div>
        );
      })}
    </dl>
  );
}
