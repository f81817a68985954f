// A result as a chart: the first time or number column is x; a text column splits; the last number column is y.
import { useEffect, useRef } from "react";
import uPlot from "uplot";
import type { QueryResult } from "../lib/api";
import { count, exact } from "../lib/format";
import { useColours } from "../lib/theme";
import { useZone } from "../lib/zone";
import { colour, numberAxis, seriesTokens, timeAxis } from "./plot";

/** More lines than this cannot be told apart. */
const seriesMost = 24;

export interface Plotted { time: boolean; xs: number[]; series: { name: string; ys: (number | null)[] }[]; left: number }

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
  const left = new Set<string>();
  for (const row of result.rows) {
    const place = index.get(at(row));
    if (place === undefined) continue;
    for (const v of values) {
      const column = result.columns[v]!.name;
      const name = split >= 0 ? (values.length > 1 ? `${row[split]} ${column}` : String(row[split])) : column;
      if (!series.has(name)) {
        if (series.size >= seriesMost) { left.add(name); continue; }
        series.set(name, xs.map(() => null));
      }
      series.get(name)![place] = row[v] === null ? null : Number(row[v]);
    }
  }
  return { time, xs, series: [...series].map(([name, ys]) => ({ name, ys })), left: left.size };
}

export default function Chart({ result }: { result: QueryResult }) {
  const host = useRef<HTMLDivElement>(null);
  const colours = useColours(), zone = useZone();
  const data = plotted(result);
  useEffect(() => {
    const element = host.current;
    if (!element || typeof data === "string") return;
    const tokens = seriesTokens(data.series.map((s) => s.name));
    // The legend takes as many lines as its names need; the plot has what is left.
    const size = () => ({ width: element.clientWidth - 24, height: Math.max(160, element.clientHeight - (element.querySelector<HTMLElement>(".u-legend")?.offsetHeight ?? 40) - 12) });
    const sparse = data.xs.length < 60;
    const plot = new uPlot({
      ...size(), padding: [12, 24, 0, 0], scales: { x: { time: data.time }, y: { range: (_, min, max) => [Math.min(0, min), max <= 0 ? 1 : max * 1.05] } },
      axes: [data.time ? timeAxis() : { ...numberAxis(), size: 28 }, { ...numberAxis(), size: 72 }],
      series: [
        { label: data.time ? "Time" : result.columns[0]!.name, value: (_, v) => (v === null ? "" : data.time ? exact(v * 1000).slice(0, 19) : count(v)) },
        ...data.series.map((s) => ({ label: s.name, stroke: colour(tokens.get(s.name)!), width: 1.75, spanGaps: true, points: { show: sparse, size: 5 }, value: (_: uPlot, v: number | null) => (v === null ? "" : count(v)) })),
      ],
    }, [data.xs, ...data.series.map((s) => s.ys)], element);
    plot.setSize(size());
    const observer = new ResizeObserver(() => plot.setSize(size()));
    observer.observe(element);
    return () => { observer.disconnect(); plot.destroy(); };
  }, [result, colours, zone]);
  if (typeof data === "string") return <p className="page soft">{data}</p>;
  return (
    <div className="chart-whole">
      <div ref={host} className="chart" role="img" aria-label={`Chart of ${data.series.map((s) => s.name).join(", ")}. The same numbers are under Table.`} />
      {data.left > 0 && <p className="soft chart-left">{count(data.left)} more are not drawn: a chart shows {seriesMost} lines. Filter or group in the query.</p>}
    </div>
  );
}
