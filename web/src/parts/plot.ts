// What all charts share: colours the browser computes, a 24-hour time axis on the chosen clock, their fonts.
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { exact } from "../lib/format";
import { seriesSlot } from "./veil";

const font = "13px Inter Variable, system-ui, sans-serif";

/** A canvas does not know light-dark(): the browser computes the colour of a token. */
export function colour(name: string): string {
  const probe = document.createElement("span");
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const computed = getComputedStyle(probe).color;
  probe.remove();
  return computed;
}

/** A colour token for each name: its own by hash, the next free one where two of a chart would share. */
export function seriesTokens(names: string[]): Map<string, string> {
  const taken = new Set<number>();
  const tokens = new Map<string, string>();
  for (const name of [...names].sort()) {
    let slot = seriesSlot(name);
    for (let i = 0; i < 8 && taken.has(slot); i++) slot = (slot + 1) % 8;
    taken.add(slot);
    tokens.set(name, `--series-${slot + 1}`);
  }
  return tokens;
}

const minute = 60, hour = 3600, day = 86_400;

/** Times on the axis: the clock within a day, the date where it changes. */
function timeLabels(_: uPlot, splits: number[], __: number, ___: number, step: number): string[] {
  let before = "";
  return splits.map((at) => {
    const text = exact(at * 1000), date = text.slice(5, 10), clock = text.slice(11, step < minute ? 19 : 16);
    const label = step >= day ? date : clock === "00:00" || (before && before !== date) ? `${date} ${clock}` : clock;
    before = date;
    return label;
  });
}

const steps = [1, 5, 10, 15, 30, minute, 2 * minute, 5 * minute, 10 * minute, 15 * minute, 30 * minute, hour, 2 * hour, 3 * hour, 6 * hour, 12 * hour, day, 2 * day, 7 * day, 30 * day, 365 * day];

export function timeAxis(): uPlot.Axis {
  return { stroke: colour("--text-soft"), font, size: 28, gap: 6, space: 96, incrs: steps, values: timeLabels, grid: { show: false }, ticks: { show: false } };
}

export function numberAxis(): uPlot.Axis {
  const line = colour("--line");
  return { stroke: colour("--text-soft"), font, size: 56, gap: 8, space: 28, grid: { stroke: line, width: 1 }, ticks: { show: false } };
}
