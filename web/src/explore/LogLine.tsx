// One log record as a line: when, how bad, who said it, what.
import { memo } from "react";
import type { Record_ } from "../lib/api";
import { clock, day, exactWithZone, level } from "../lib/format";
import { cellText, field } from "../lib/search";
import { Person, Veiled } from "../parts/veil";

/** Characters of a value that a line draws: the rest is cut off anyway, and stands in the drawer. */
const drawnMost = 1000;
const head = (text: string) => (text.length > drawnMost ? `${text.slice(0, drawnMost)}…` : text);

const none: readonly string[] = [];

interface Props { row: Record_; columns?: readonly string[]; withDate?: boolean; tabs?: boolean; cell?: "gridcell" }

/** The line's cells, to stand in a grid: time, level, service, the columns asked for, the message with its person. */
export const LogCells = memo(function LogCells({ row, columns = none, withDate = false, tabs = false, cell }: Props) {
  const at = cellText(row.timestamp);
  const name = level(cellText(row.severity_text), typeof row.severity_number === "number" ? row.severity_number : null);
  return (
    <>
      <span role={cell} className="line-time" title={exactWithZone(at)}>{withDate && <span className="line-day">{day(at).slice(5)} </span>}{clock(at)}</span>
      <span role={cell} className={`badge level-${name}`}>{name}</span>
      <span role={cell} className="line-service clip" title={cellText(row.service_name)}>{cellText(row.service_name) || cellText(row.source)}</span>
      {columns.map((column) => <span key={column} role={cell} className="line-column clip" title={head(field(row, column))}><Veiled text={head(field(row, column))} tabs={tabs} /></span>)}
      <span role={cell} className="line-body"><Veiled text={head(cellText(row.body))} tabs={tabs} />{typeof row.subject === "string" && <> <Person code={row.subject} tabs={tabs} /></>}</span>
    </>
  );
});

/** A few lines outside Explore. */
export function LogLines({ rows, withDate }: { rows: Record_[]; withDate?: boolean }) {
  return <ul className="lines">{rows.map((row, i) => <li key={i} className="line data"><LogCells row={row} withDate={withDate} tabs /></li>)}</ul>;
}
