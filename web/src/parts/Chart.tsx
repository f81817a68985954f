// A result as a chart: the first time or number column is x; a text column splits; the last number column is y.
import { useEffect, useRef } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import type { QueryResult } from "../lib/api";
import { seriesColor } from "./basics";

export interface Plotted { time: boolean; xs: number[]; series: { name: string; ys: (number | null)[] }[] }

/** Reads a chart out of a result; a text when it has none to show. */
export function plotted(result: QueryResult): Plotted | string {
  const types = result.columns.map((c) => c.type.toUpperCase());
  const isTime = (t: string) => t.startsWith("TIMESTAMP") || t.startsWith("DATE");
  const isNumber = (t: string) => /INT|DOUBLE|FLOAT|DECIMAL|REAL/.test(t);
  const x = types.findIndex(isTime) >= 0 ? types.findIndex(isTime) : types.findIndex(isNumber);
  const values = types.map((t, i) => ({ t, i })).filter(({ t, i }) => i !== x && isNumber(t)).map(({ i }) => i);
  if (x < 0 || !values.length) return "A chart needs a time or number column and another number column.";
  const split = types.findIndex((t, i) => i !== x && /CHAR|TEXT|STRING|BOOL/.test(t));
  const time = isTime(types[x]!);
  const at = (row: QueryResult["rows"][number]) => (time ? Date.parse(String(row[x])) / 1000 : Number(row[x]));
  const xs = [...new Set(result.rows.map(at))].filter((n) => !Number.isNaN(n)).sort((a, b) => a - b);
  const index = new Map(xs.map((n, i) => [n, i]));
  const series = new Map<string, (number | null)[]>();
  for (const row of result.rows) {
    const place = index.get(at(row));
    if (place === undefined) continue;
    for (const v of values) {
      const column = result.columns[v]!.name;
      const name = split >= 0 ? (values.length > 1 ? `${row[split]} ${column}` : String(row[split])) : column;
      if (!series.has(name)) { if (series.size >= 24) continue; series.set(name, xs.map(() => null)); }
      series.get(name)![place] = row[v] === null ? null : Number(row[v]);
    }
  }
  return { time, xs, series: [...series].map(([name, ys]) => ({ name, ys })) };
}

export default function Chart({ result }: { result: QueryResult }) {
  const host = useRef<HTMLDivElement>(null);
  const data = plotted(result);
  useEffect(() => {
    const element = host.current;
    if (!element || typeof data === "string") return;
    const style = (name: string) => {
      element.style.color = name;
      return getComputedStyle(element).color;
    };
    const soft = style("var(--text-soft)"), line = style("var(--line)");
    const colors = data.series.map((s) => style(seriesColor(s.name)));
    element.style.color = "";
    const size = () => ({ width: element.clientWidth, height: Math.max(220, Math.min(420, element.clientHeight - 40)) });
    const axis = { stroke: soft, font: "11px Inter Variable", grid: { stroke: line, width: 1 }, ticks: { show: false } };
    const plot = new uPlot({ ...size(), scales: { x: { time: data.time } }, axes: [axis, { ...axis, size: 60 }],
      series: [{}, ...data.series.map((s, i) => ({ label: s.name, stroke: colors[i], width: 1.5, spanGaps: true, points: { show: data.xs.length < 60, size: 4 } }))] },
      [data.xs, ...data.series.map((s) => s.ys)], element);
    const observer = new ResizeObserver(() => plot.setSize(size()));
    observer.observe(element);
    return () => { observer.disconnect(); plot.destroy(); };
  }, [result]);
  if (typeof data === "string") return <p className="page soft">{data}</p>;
  return <div ref={host} className="chart" role="img" aria-label={`Chart of ${data.series.map((s) => s.name).join(", ")}. The same numbers are under Table.`} />;
}
