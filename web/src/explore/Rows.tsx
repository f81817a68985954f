// The virtual table of log records: sticky head, columns of any width, a selection that follows its record.
import { useVirtualizer } from "@tanstack/react-virtual";
import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "react";
import type { Record_ } from "../lib/api";
import { useKeys } from "../lib/keys";
import { href, go, setQuery, usePlace } from "../lib/route";
import { cellText, placeOf, toggleTerm, withoutTerm } from "../lib/search";
import { useWidths } from "../lib/widths";
import { copy } from "../parts/basics";
import { Menu, type Act } from "../parts/overlay";
import { Resizer } from "../parts/Resizer";
import { LogCells } from "./LogLine";

const linePx = 24;
/** Rows below the last one seen at which the next page is asked for. */
const ahead = 100;

export const columnsOf = (query: URLSearchParams) => (query.get("cols") ?? "").split(",").filter(Boolean);

/** Shows an attribute as a column, or hides it. */
export function toggleColumn(query: URLSearchParams, name: string) {
  const shown = columnsOf(query);
  setQuery({ cols: (shown.includes(name) ? shown.filter((c) => c !== name) : [...shown, name]).join(",") || undefined }, true);
}

interface Props { project: string; rows: Record_[]; live: boolean; withDate: boolean; more: () => void }

export function Rows({ project, rows, live, withDate, more }: Props) {
  const { query } = usePlace();
  const wrap = query.get("wrap") === "1";
  const open = query.get("row");
  const q = query.get("q") ?? "";
  const shown = query.get("cols");
  const columns = useMemo(() => columnsOf(query), [shown]);
  const { widths, set } = useWidths();
  const scroller = useRef<HTMLDivElement>(null);
  const [chosen, setChosen] = useState<string>();
  const [menu, setMenu] = useState<{ x: number; y: number }>();
  const at = Math.max(0, rows.findIndex((row) => placeOf(row) === (open ?? chosen)));
  const row = rows[at];
  // The same function while the rows are the same: for another one the table measures every row anew, at each frame.
  const getItemKey = useCallback((i: number) => placeOf(rows[i]!), [rows]);
  const virtual = useVirtualizer({ count: rows.length, getScrollElement: () => scroller.current, estimateSize: () => linePx, overscan: 16, getItemKey, scrollPaddingStart: 32, paddingStart: 0 });
  useLayoutEffect(() => virtual.measure(), [wrap]);
  const items = virtual.getVirtualItems();
  const last = items[items.length - 1]?.index ?? 0;
  useEffect(() => { if (last >= rows.length - ahead) more(); }, [last, rows.length]);
  useStillWhileRowsArrive(scroller, rows, live);

  const fixed: [string, string, number][] = [["time", "Time", withDate ? 156 : 112], ["level", "Level", 76], ["service", "Service", 120], ...columns.map((c): [string, string, number] => [c, c, 140])];
  const sizes = fixed.map(([id, , px]) => widths.get(id) ?? px);
  const move = (to: number) => {
    const next = rows[Math.max(0, Math.min(rows.length - 1, to))];
    if (!next) return;
    setChosen(placeOf(next));
    virtual.scrollToIndex(rows.indexOf(next), { align: "auto" });
    if (open) setQuery({ row: placeOf(next) }, true);
  };
  const show = (record: Record_ | undefined) => {
    if (!record) return;
    setChosen(placeOf(record));
    setQuery({ row: open === placeOf(record) ? undefined : placeOf(record) }, open !== null);
  };
  const showMenu = () => {
    const line = scroller.current?.querySelector("[aria-selected=true]")?.getBoundingClientRect();
    if (row && line) setMenu({ x: line.left + 120, y: line.bottom });
  };
  useKeys({
    j: () => move(at + 1), k: () => move(at - 1), arrowdown: () => move(at + 1), arrowup: () => move(at - 1),
    enter: () => { if (row && open !== placeOf(row)) show(row); },
    escape: () => { if (open) setQuery({ row: undefined }); },
    w: () => setQuery({ wrap: wrap ? undefined : "1" }, true),
    c: () => { if (row) void copy(JSON.stringify(row, null, 2)); },
    ".": showMenu,
  });
  return (
    <>
      <div className="rows" ref={scroller} role="grid" aria-label="Log records, newest first" aria-rowcount={rows.length + 1} tabIndex={0}
        aria-activedescendant={row ? `row-${placeOf(row)}` : undefined} style={{ "--cols": `${sizes.map((px) => `${px}px`).join(" ")} minmax(240px, 1fr)` } as React.CSSProperties}>
        <div style={{ minWidth: sizes.reduce((a, b) => a + b + 12, 24 + 240) }} role="presentation">
          <div className="line-head" role="row" aria-rowindex={1}>
            {fixed.map(([id, name], i) => (
              <span key={id} role="columnheader" className="clip">
                {name}
                {columns.includes(id) && <button type="button" className="column-out" aria-label={`Hide ${name}`} onClick={() => toggleColumn(query, id)}>✕</button>}
                <Resizer name={name} px={sizes[i]!} set={(px) => set(id, px)} />
              </span>
            ))}
            <span role="columnheader">Message</span>
          </div>
          <div style={{ height: virtual.getTotalSize(), position: "relative" }} role="presentation">
            {items.map((item) => {
              const record = rows[item.index]!, id = placeOf(record);
              return (
                <div key={id} id={`row-${id}`} ref={wrap ? virtual.measureElement : undefined} data-index={item.index} role="row" aria-rowindex={item.index + 2} aria-selected={item.index === at}
                  className={`line data${wrap ? " wrap" : ""}`} data-open={id === open} style={{ transform: `translateY(${item.start}px)` }} onClick={() => show(record)}
                  onContextMenu={(event) => { event.preventDefault(); setChosen(id); setMenu({ x: event.clientX, y: event.clientY }); }}>
                  <LogCells row={record} columns={columns} withDate={withDate} cell="gridcell" />
                </div>
              );
            })}
          </div>
        </div>
      </div>
      {menu && row && <Menu label="What to do with the record" at={menu} close={() => setMenu(undefined)} acts={rowActs(project, row, q, () => show(row))} />}
    </>
  );
}

function rowActs(project: string, row: Record_, q: string, open: () => void): Act[] {
  const trace = cellText(row.trace_id), service = cellText(row.service_name), person = cellText(row.subject);
  const ask = (text: string, range?: string) => () => go(href([project, "explore"], { q: text, range }));
  return [
    { name: "Open", keys: "enter", run: open },
    { name: "Copy as JSON", keys: "c", run: () => void copy(JSON.stringify(row, null, 2)) },
    { name: "Copy the message", run: () => void copy(cellText(row.body)) },
    ...(trace ? [{ name: "All of its trace", run: ask(`trace:${trace}`, "7d") }] : []),
    ...(person ? [{ name: "All of its person", run: ask(`subject:"${person}"`, "7d") }] : []),
    ...(service ? [
      { name: `Only ${service}`, run: () => setQuery({ q: toggleTerm(q, "service", service) }) },
      { name: `Without ${service}`, run: () => setQuery({ q: withoutTerm(q, "service", service) }) },
    ] : []),
  ];
}

/** While records arrive above, a reader who scrolled down keeps the lines under their eyes. */
function useStillWhileRowsArrive(scroller: React.RefObject<HTMLDivElement | null>, rows: Record_[], live: boolean) {
  const first = useRef<string>(undefined);
  useLayoutEffect(() => {
    const before = first.current, element = scroller.current;
    first.current = rows[0] && placeOf(rows[0]);
    if (!live || !before || !element || element.scrollTop === 0) return;
    const added = rows.findIndex((row) => placeOf(row) === before);
    if (added > 0) element.scrollTop += added * linePx;
  }, [rows, live]);
}
