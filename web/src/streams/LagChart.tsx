// A group's lag over the last hour: the sum, and each partition as long as lines can be told apart; as a table on `v`.
import { useEffect, useRef, useState } from "react";
import uPlot from "uplot";
import { count, exact } from "../lib/format";
import { useKeys } from "../lib/keys";
import type { LagHistory } from "../lib/streams";
import { useColours } from "../lib/theme";
import { useZone } from "../lib/zone";
import { colour, numberAxis, seriesTokens, timeAxis } from "../parts/plot";

/** More lines than this cannot be told apart: the sum alone is drawn. */
const linesMost = 8;

export interface Lines { xs: number[]; lines: { name: string; ys: (number | null)[]; isSum: boolean }[]; left: number }

/** What is drawn: partitions where they are few, and their sum where there is more than one. */
export function linesOf(history: LagHistory): Lines {
  const many = history.series.length > linesMost;
  const topics = new Set(history.series.map((s) => s.topic));
  const parts = many ? [] : history.series.map((s) => ({ name: topics.size > 1 ? `${s.topic} ${s.partition}` : `partition ${s.partition}`, ys: s.lags, isSum: false }));
  const sum = { name: "all together", ys: history.sum, isSum: true };
  return { xs: history.times.map((t) => Date.parse(t) / 1000), lines: parts.length === 1 ? parts : [sum, ...parts], left: many ? history.series.length : 0 };
}

export function LagChart({ history }: { history: LagHistory }) {
  const host = useRef<HTMLDivElement>(null);
  const drawn = useRef<uPlot>(undefined);
  const [asTable, setAsTable] = useState(false);
  const colours = useColours(), zone = useZone();
  const { xs, lines, left } = linesOf(history);
  const shape = lines.map((l) => l.name).join("|");
  const data: uPlot.AlignedData = [xs, ...lines.map((l) => l.ys)];
  useKeys({ v: () => setAsTable(!asTable) });
  useEffect(() => {
    const element = host.current;
    if (!element || asTable) return;
    const tokens = seriesTokens(lines.filter((l) => !l.isSum).map((l) => l.name));
    const size = () => ({ width: element.clientWidth, height: 188 });
    const plot = new uPlot({
      ...size(), padding: [10, 12, 0, 0], scales: { x: { time: true }, y: { range: (_, __, max) => [0, max <= 0 ? 1 : max * 1.05] } },
      axes: [timeAxis(), { ...numberAxis(), size: 72 }],
      series: [
        { label: "Time", value: (_, v) => (v === null ? "" : exact(v * 1000).slice(0, 19)) },
        ...lines.map((l) => ({ label: l.name, stroke: colour(l.isSum ? "--text" : tokens.get(l.name)!), width: l.isSum ? 2 : 1.5, points: { show: xs.length < 30, size: 4 }, value: (_: uPlot, v: number | null) => (v === null ? "" : count(v)) })),
      ],
    }, data, element);
    drawn.current = plot;
    const observer = new ResizeObserver(() => plot.setSize(size()));
    observer.observe(element);
    return () => { observer.disconnect(); plot.destroy(); drawn.current = undefined; };
  }, [shape, asTable, colours, zone]);
  useEffect(() => { drawn.current?.setData(data); }, [history]);
  return (
    <div className="stack">
      {asTable ? (
        <div className="lag-table" role="region" aria-label="Lag as a table" tabIndex={0}>
          <table className="list"><thead><tr><th>Time</th>{lines.map((l) => <th key={l.name} className="number">{l.name}</th>)}</tr></thead>
            <tbody>{xs.map((x, i) => <tr key={x}><td className="data">{exact(x * 1000).slice(0, 19)}</td>{lines.map((l) => <td key={l.name} className="number data">{l.ys[i] === null || l.ys[i] === undefined ? "" : count(l.ys[i])}</td>)}</tr>).reverse()}</tbody></table>
        </div>
      ) : <div ref={host} className="lag-room" role="img" aria-label={`Lag over time of ${lines.map((l) => l.name).join(", ")}. The same numbers are under Table.`} />}
      <p className="row"><button type="button" className="button" data-kind="quiet" onClick={() => setAsTable(!asTable)} title="Chart or table (v)">{asTable ? "Chart" : "Table"}</button><span className="soft">{left > 0 && `${count(left)} partitions are drawn as their sum. `}{history.partial && "Not every partition was noted: the sum holds all of them."}</span></p>
    </div>
  );
}
