// A result as a table: virtual rows, sticky head, columns of any width, a cell to move with the arrows and copy.
import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useMemo, useRef, useState } from "react";
import type { Cell, QueryResult } from "../lib/api";
import { count } from "../lib/format";
import { useKeys } from "../lib/keys";
import { cellText } from "../lib/search";
import { useWidths } from "../lib/widths";
import { setQuery, usePlace } from "../lib/route";
import { copy, CopyButton } from "./basics";
import { JsonTree, Long } from "./JsonTree";
import { Resizer } from "./Resizer";
import { Veiled } from "./veil";

const rowPx = 28, headPx = 28, characterPx = 7.9, paddingPx = 24;
/** Rows looked at to guess how wide a column is. */
const rowsMeasured = 100;
/** Characters of a cell that are drawn: the rest is cut off by the column anyway, and copied whole. */
const charactersDrawn = 400;

const isNumber = (type: string) => /INT|DOUBLE|FLOAT|DECIMAL|REAL/i.test(type);

function guessedWidth(result: QueryResult, column: number): number {
  const name = result.columns[column]!.name.length;
  const most = result.rows.slice(0, rowsMeasured).reduce((n, row) => Math.max(n, Math.min(48, cellText(row[column]).length)), name);
  return Math.round(most * characterPx + paddingPx);
}

export function DataTable({ result }: { result: QueryResult }) {
  const scroller = useRef<HTMLDivElement>(null);
  const [at, setAt] = useState<{ row: number; column: number }>({ row: 0, column: 0 });
  const { query } = usePlace();
  const open = rowOf(query.get("row"), result);
  const { widths, set } = useWidths();
  const guessed = useMemo(() => result.columns.map((_, i) => guessedWidth(result, i)), [result]);
  const sizes = result.columns.map((c, i) => widths.get(c.name) ?? guessed[i]!);
  const virtual = useVirtualizer({ count: result.rows.length, getScrollElement: () => scroller.current, estimateSize: () => rowPx, overscan: 12, scrollPaddingStart: headPx });
  useEffect(() => setAt({ row: open ?? 0, column: 0 }), [result]);
  const move = (rows: number, columns: number) => {
    const row = Math.max(0, Math.min(result.rows.length - 1, at.row + rows)), column = Math.max(0, Math.min(result.columns.length - 1, at.column + columns));
    setAt({ row, column });
    if (open !== undefined && rows !== 0) setQuery({ row: String(row) }, true);
    virtual.scrollToIndex(row, { align: "auto" });
    const left = sizes.slice(0, column).reduce((a, b) => a + b, 0), element = scroller.current;
    if (element && columns !== 0) {
      if (left < element.scrollLeft) element.scrollLeft = left;
      else if (left + sizes[column]! > element.scrollLeft + element.clientWidth) element.scrollLeft = left + sizes[column]! - element.clientWidth;
    }
  };
  useKeys({
    j: () => move(1, 0), k: () => move(-1, 0), arrowdown: () => move(1, 0), arrowup: () => move(-1, 0), arrowright: () => move(0, 1), arrowleft: () => move(0, -1),
    c: () => void copy(cellText(result.rows[at.row]?.[at.column])),
    enter: () => setQuery({ row: String(at.row) }, open !== undefined), escape: () => { if (open !== undefined) setQuery({ row: undefined }); },
  });
  if (!result.rows.length) return <p className="page soft">No rows.</p>;
  const columns = `${sizes.map((px) => `${px}px`).join(" ")} 1fr`;
  return (
    <div className="cells-whole">
      <div className="cells" ref={scroller} role="grid" aria-label="Result" aria-rowcount={result.rows.length + 1} aria-colcount={result.columns.length} tabIndex={0} aria-activedescendant={`cell-${at.row}-${at.column}`}>
        <div role="presentation" style={{ minWidth: sizes.reduce((a, b) => a + b, 0) }}>
          <div role="row" aria-rowindex={1} className="cells-head" style={{ gridTemplateColumns: columns }}>
            {result.columns.map((c, i) => <span key={i} role="columnheader" className={isNumber(c.type) ? "clip number" : "clip"} title={`${c.name}, ${c.type.toLowerCase()}`}>{c.name}<Resizer name={c.name} px={sizes[i]!} set={(px) => set(c.name, px)} /></span>)}
          </div>
          <div role="presentation" style={{ height: virtual.getTotalSize(), position: "relative" }}>
            {virtual.getVirtualItems().map((item) => (
              <div key={item.key} role="row" aria-rowindex={item.index + 2} className="cells-row data" data-open={item.index === open} style={{ gridTemplateColumns: columns, transform: `translateY(${item.start}px)` }}>
                {result.rows[item.index]!.map((cell, i) => (
                  <span key={i} id={`cell-${item.index}-${i}`} role="gridcell" aria-selected={at.row === item.index && at.column === i} className={isNumber(result.columns[i]!.type) ? "clip number" : "clip"}
                    title={cell === null ? undefined : cellText(cell).slice(0, 2000)} onClick={() => setAt({ row: item.index, column: i })} onDoubleClick={() => setQuery({ row: String(item.index) }, open !== undefined)}><CellText cell={cell} /></span>
                ))}
              </div>
            ))}
          </div>
        </div>
      </div>
      {open !== undefined && <RowDrawer result={result} row={open} />}
    </div>
  );
}

/** The row that an address names, where the result has it. */
function rowOf(text: string | null, result: QueryResult): number | undefined {
  const row = /^\d{1,6}$/.test(text ?? "") ? Number(text) : -1;
  return row >= 0 && row < result.rows.length ? row : undefined;
}

/** One row with its fields below each other. */
function RowDrawer({ result, row }: { result: QueryResult; row: number }) {
  const cells = result.rows[row]!;
  const json = () => JSON.stringify(Object.fromEntries(result.columns.map((c, i) => [c.name, cells[i]])), null, 2);
  return (
    <aside className="drawer" aria-label="Row">
      <div className="row">
        <h2 className="grow">Row {count(row + 1)} of {count(result.rows.length)}</h2>
        <CopyButton text={json} label="Copy JSON" />
        <button type="button" className="button" data-kind="quiet" aria-label="Close" title="Close (esc)" onClick={() => setQuery({ row: undefined })}>✕</button>
      </div>
      <dl>
        {result.columns.map((c, i) => (
          <div key={i} className="field-line"><dt className="clip" title={`${c.name}, ${c.type.toLowerCase()}`}>{c.name}</dt><dd>{cells[i] === null ? <span className="soft">null</span> : <div className="field-value">{typeof cells[i] === "object" ? <JsonTree name={Array.isArray(cells[i]) ? "list" : "map"} value={cells[i]!} /> : <Long text={cellText(cells[i])} />}</div>}</dd></div>
        ))}
      </dl>
    </aside>
  );
}

function CellText({ cell }: { cell: Cell }) {
  if (cell === null) return <span className="soft">null</span>;
  return <Veiled text={cellText(cell).slice(0, charactersDrawn)} tabs={false} />;
}
