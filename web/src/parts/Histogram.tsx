// Severity-stacked bars over time. Drag zooms, double-click steps out, one key shows the numbers as a table.
import { useEffect, useRef, useState } from "react";
import uPlot from "uplot";
import type { Histogram as Counts } from "../lib/api";
import { count, exact, level, span } from "../lib/format";
import { useKeys } from "../lib/keys";
import { useColours } from "../lib/theme";
import { useZone } from "../lib/zone";
import { colour, numberAxis, timeAxis } from "./plot";

const order = ["unknown", "trace", "debug", "info", "warning", "error", "fatal"] as const;
type Name = (typeof order)[number];
const token: Record<Name, string> = {
  unknown: "--debug", trace: "--debug", debug: "--debug", info: "--info", warning: "--warning", error: "--error", fatal: "--error",
};

const heightPx = 104;
/** Far more than the server's answer holds: a range that would need more is drawn without its empty buckets. */
const bucketsMost = 2000;

interface Props {
  histogram: Counts;
  from: number;
  to: number;
  onZoom: (from: number, to: number) => void;
  onOut: () => void;
}

export interface Stack { times: number[]; series: [Name, number[]][] }

/** Counts per level over the whole range, whatever words the senders used; the server leaves out empty buckets. */
export function stack({ bucket_us, buckets }: Counts, from: number, to: number): Stack {
  const width = bucket_us / 1e6;
  const held = new Map(buckets.map((b) => [b.t / 1e6, b.counts]));
  const first = Math.floor(from / 1000 / width) * width;
  const size = Math.ceil((to / 1000 - first) / width);
  const times = size > 0 && size <= bucketsMost ? Array.from({ length: size }, (_, i) => first + i * width) : [...held.keys()];
  const series = order
    .map((name): [Name, number[]] => [
      name,
      times.map((t) => Object.entries(held.get(t) ?? {}).reduce((sum, [text, n]) => sum + (level(text) === name ? n : 0), 0)),
    ])
    .filter(([, counts]) => counts.some((n) => n > 0));
  return { times, series };
}

export function Histogram({ histogram, from, to, onZoom, onOut }: Props) {
  const host = useRef<HTMLDivElement>(null);
  const [asTable, setAsTable] = useState(false);
  const [at, setAt] = useState<number>();
  const colours = useColours(), zone = useZone();
  const handlers = useRef({ onZoom, onOut });
  handlers.current = { onZoom, onOut };
  const { times, series } = stack(histogram, from, to);
  const width = histogram.bucket_us / 1e6;

  useEffect(() => {
    const element = host.current;
    if (!element || asTable || !times.length) return;
    // Stacked: each series is drawn as its sum with all below it, highest first.
    let below = times.map(() => 0);
    const drawn = series.map(([name, counts]) => ({ name, sum: (below = below.map((n, i) => n + (counts[i] ?? 0))) })).reverse();
    const ends: [number, number] = [times[0]!, times[times.length - 1]! + width];
    const plot = new uPlot(
      {
        width: element.clientWidth, height: heightPx, legend: { show: false }, padding: [6, 24, 0, 0],
        cursor: { drag: { x: true, y: false, setScale: false }, points: { show: false }, y: false },
        scales: { x: { time: true, range: () => ends }, y: { range: (_, __, max) => [0, Math.max(1, max)] } },
        axes: [timeAxis(), { ...numberAxis(), incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6, 1e7, 1e8, 1e9], values: (_, splits) => splits.map((n) => count(n)) }],
        series: [{}, ...drawn.map(({ name }) => ({
          label: name, fill: colour(token[name]), width: 0, points: { show: false },
          paths: uPlot.paths.bars!({ size: [0.84, 48], align: 1 }),
        }))],
        hooks: {
          setSelect: [(u) => {
            if (u.select.width < 4) return;
            const begin = u.posToVal(u.select.left, "x"), end = u.posToVal(u.select.left + u.select.width, "x");
            u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
            handlers.current.onZoom(begin * 1000, end * 1000);
          }],
          // The bar under the pointer begins at or before it; the nearest point may be the next one.
          setCursor: [(u) => {
            const left = u.cursor.left ?? -1;
            setAt(left < 0 ? undefined : Math.floor((u.posToVal(left, "x") - ends[0]) / width));
          }],
        },
      },
      [times, ...drawn.map((d) => d.sum)],
      element,
    );
    const out = () => handlers.current.onOut();
    plot.over.addEventListener("dblclick", out);
    const observer = new ResizeObserver(() => plot.setSize({ width: element.clientWidth, height: heightPx }));
    observer.observe(element);
    return () => { observer.disconnect(); plot.over.removeEventListener("dblclick", out); plot.destroy(); };
  }, [histogram, from, to, asTable, colours, zone]);

  const total = series.reduce((sum, [, counts]) => sum + counts.reduce((a, b) => a + b, 0), 0);
  const swap = () => { setAsTable(!asTable); setAt(undefined); };
  useKeys({ v: swap, "-": onOut });
  return (
    <figure className="histogram" tabIndex={0} aria-label={`Records over time: ${count(total)} in ${times.length} buckets. Press v for a table, minus to zoom out.`}>
      {asTable ? <Numbers times={times} series={series} /> : <div ref={host} style={{ height: heightPx }} />}
      <figcaption className="histogram-caption">
        {at !== undefined && times[at] !== undefined ? (
          <span className="data">{span(times[at] * 1000, (times[at] + width) * 1000)} {series.filter(([, counts]) => counts[at]).map(([name, counts]) => <span key={name} className={`badge level-${name}`}>{name} {count(counts[at]!)}</span>)}</span>
        ) : <button type="button" className="button" data-kind="quiet" onClick={swap} title="The numbers as a table (v)">{asTable ? "Chart" : "Table"}</button>}
      </figcaption>
    </figure>
  );
}

function Numbers({ times, series }: Stack) {
  const held = times.map((t, i) => ({ t, i })).filter(({ i }) => series.some(([, counts]) => counts[i]));
  return (
    <div className="histogram-table" tabIndex={0} role="region" aria-label="Records over time, as a table">
      <table className="list">
        <thead><tr><th>Time</th>{series.map(([name]) => <th key={name} className="number">{name}</th>)}</tr></thead>
        <tbody>{held.map(({ t, i }) => <tr key={t}><td className="data">{exact(t * 1000).slice(0, 19)}</td>{series.map(([name, counts]) => <td key={name} className="number data">{count(counts[i] ?? 0)}</td>)}</tr>)}</tbody>
      </table>
    </div>
  );
}
