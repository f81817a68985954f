// Severity-stacked bars over time. Drag zooms, double-click steps out, one key shows the numbers as a table.
import { useEffect, useRef, useState } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { count, exact, level } from "../lib/format";

const order = ["unknown", "trace", "debug", "info", "warning", "error", "fatal"] as const;
type Name = (typeof order)[number];
const color: Record<Name, string> = {
  unknown: "--debug", trace: "--debug", debug: "--debug", info: "--info", warning: "--warning", error: "--error", fatal: "--error",
};

interface Props {
  buckets: { t: string; counts: Record<string, number> }[];
  bucketUs: number;
  onZoom: (from: number, to: number) => void;
  onOut: () => void;
}

/** Counts per level, whatever words the senders used. */
export function stack(buckets: Props["buckets"]): { times: number[]; series: [Name, number[]][] } {
  const times = buckets.map((b) => Date.parse(b.t) / 1000);
  const present = order
    .map((name): [Name, number[]] => [
      name,
      buckets.map((b) => Object.entries(b.counts).reduce((sum, [text, n]) => sum + (level(text) === name ? n : 0), 0)),
    ])
    .filter(([, counts]) => counts.some((n) => n > 0));
  return { times, series: present };
}

export function Histogram({ buckets, bucketUs, onZoom, onOut }: Props) {
  const host = useRef<HTMLDivElement>(null);
  const [asTable, setAsTable] = useState(false);
  const handlers = useRef({ onZoom, onOut });
  handlers.current = { onZoom, onOut };

  useEffect(() => {
    const element = host.current;
    if (!element || asTable) return;
    const { times, series } = stack(buckets);
    if (!times.length) return;
    const style = getComputedStyle(document.documentElement);
    const css = (name: string) => resolve(style.getPropertyValue(name));
    // Stacked: each series is drawn as its sum with all below it, highest first.
    const sums: number[][] = [];
    let below = times.map(() => 0);
    for (const [, counts] of series) {
      below = below.map((n, i) => n + (counts[i] ?? 0));
      sums.push(below);
    }
    const drawn = series.map(([name], i) => ({ name, sum: sums[i]! })).reverse();
    const half = bucketUs / 2e6;
    const plot = new uPlot(
      {
        width: element.clientWidth, height: 96, legend: { show: false }, padding: [6, 8, 0, 0],
        cursor: { drag: { x: true, y: false, setScale: false }, points: { show: false }, y: false },
        scales: { x: { time: true, range: () => [times[0]! - half, times[times.length - 1]! + 3 * half] }, y: { range: (_, __, max) => [0, Math.max(1, max)] } },
        axes: [
          { stroke: css("--text-soft"), font: "11px Inter Variable", size: 24, grid: { show: false }, ticks: { show: false } },
          { stroke: css("--text-soft"), font: "11px Inter Variable", size: 48, grid: { stroke: css("--line"), width: 1 }, ticks: { show: false }, space: 28 },
        ],
        series: [{}, ...drawn.map(({ name }) => ({
          label: name, fill: css(color[name]), stroke: css(color[name]), width: 0, points: { show: false },
          paths: uPlot.paths.bars!({ size: [0.86, 40], align: 1, gap: 1 }),
        }))],
        hooks: {
          setSelect: [(u) => {
            if (u.select.width < 4) return;
            const from = u.posToVal(u.select.left, "x"), to = u.posToVal(u.select.left + u.select.width, "x");
            u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
            handlers.current.onZoom(from * 1000, to * 1000);
          }],
        },
      },
      [times, ...drawn.map((d) => d.sum)],
      element,
    );
    const out = () => handlers.current.onOut();
    plot.over.addEventListener("dblclick", out);
    const observer = new ResizeObserver(() => plot.setSize({ width: element.clientWidth, height: 96 }));
    observer.observe(element);
    return () => { observer.disconnect(); plot.over.removeEventListener("dblclick", out); plot.destroy(); };
  }, [buckets, bucketUs, asTable]);

  const { times, series } = stack(buckets);
  const total = series.reduce((sum, [, counts]) => sum + counts.reduce((a, b) => a + b, 0), 0);
  return (
    <figure className="histogram" onKeyDown={(event) => { if (event.key === "t" && event.currentTarget === event.target) { event.preventDefault(); event.stopPropagation(); setAsTable(!asTable); } }} tabIndex={0}
      aria-label={`Records over time: ${count(total)} in ${times.length} buckets. Press t for a table.`}>
      {asTable ? (
        <div style={{ maxHeight: 160, overflow: "auto" }}>
          <table className="list"><thead><tr><th>Time</th>{series.map(([name]) => <th key={name} className="number">{name}</th>)}</tr></thead>
            <tbody>{times.map((t, i) => <tr key={t}><td className="data">{exact(t * 1000)}</td>{series.map(([name, counts]) => <td key={name} className="number data">{count(counts[i] ?? 0)}</td>)}</tr>)}</tbody></table>
        </div>
      ) : <div ref={host} style={{ height: 96 }} />}
      <button type="button" className="button histogram-swap" data-kind="quiet" onClick={() => setAsTable(!asTable)}>{asTable ? "Chart" : "Table"}</button>
    </figure>
  );
}

// A canvas does not know light-dark(): let the browser compute the colour once.
function resolve(value: string): string {
  const probe = document.createElement("span");
  probe.style.color = value;
  document.body.append(probe);
  const computed = getComputedStyle(probe).color;
  probe.remove();
  return computed;
}
