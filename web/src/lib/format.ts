// How numbers, sizes, durations and times read.
import { zone, zoneName, type Zone } from "./zone";

const number = new Intl.NumberFormat("en");
export const count = (n: number) => number.format(n);

export function bytes(n: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  while (n >= 1000 && unit < units.length - 1) { n /= 1000; unit++; }
  return `${unit && n < 10 ? n.toFixed(1) : Math.round(n)} ${units[unit]}`;
}

export function millis(ms: number): string {
  return ms < 1000 ? `${ms < 10 ? Number(ms.toFixed(1)) : Math.round(ms)} ms` : `${(ms / 1000).toFixed(ms < 10_000 ? 1 : 0)} s`;
}

/** "3 min ago"; the exact time belongs in the title. */
export function ago(time: string | number, now = Date.now()): string {
  const seconds = (now - new Date(time).getTime()) / 1000;
  const past = seconds >= 0;
  const s = Math.abs(seconds);
  const text =
    s < 5 ? "now" : s < 60 ? `${Math.floor(s)} s` : s < 3600 ? `${Math.floor(s / 60)} min`
    : s < 86_400 ? `${Math.floor(s / 3600)} h` : s < 86_400 * 60 ? `${Math.floor(s / 86_400)} d` : new Date(time).toISOString().slice(0, 10);
  if (text === "now" || text.includes("-")) return text;
  return past ? `${text} ago` : `in ${text}`;
}

/** A date whose UTC fields are those of the clock that the reader chose. */
function shown(time: Date | string | number, in_: Zone): Date | undefined {
  const d = new Date(time);
  if (Number.isNaN(d.getTime())) return undefined;
  return in_ === "utc" ? d : new Date(d.getTime() - d.getTimezoneOffset() * 60_000);
}

/** `2026-11-20` on the chosen clock. */
export function day(time: Date | string | number, in_: Zone = zone()): string {
  return shown(time, in_)?.toISOString().slice(0, 10) ?? "";
}

/** `12:04:31.204` on the chosen clock. */
export function clock(time: Date | string | number, in_: Zone = zone()): string {
  return shown(time, in_)?.toISOString().slice(11, 23) ?? String(time);
}

/** `2026-11-20 12:04:31.204` on the chosen clock. */
export function exact(time: Date | string | number, in_: Zone = zone()): string {
  const d = shown(time, in_);
  return d ? `${d.toISOString().slice(0, 10)} ${d.toISOString().slice(11, 23)}` : String(time);
}

/** The exact time with its zone, and the same in UTC where that differs: what stands on hover. */
export function exactWithZone(time: Date | string | number): string {
  const d = new Date(time);
  if (Number.isNaN(d.getTime())) return String(time);
  const mine = `${exact(d)} ${zoneName(d)}`;
  return zoneName(d) === "UTC" ? mine : `${mine}\n${exact(d, "utc")} UTC`;
}

/** A span of time in as few words as it needs: one day is named once. */
export function span(from: number, to: number): string {
  const [a, b] = [exact(from).slice(0, 16), exact(to).slice(0, 16)];
  return a.slice(0, 10) === b.slice(0, 10) ? `${a} to ${b.slice(11)}` : `${a} to ${b}`;
}

/** What `<input type="datetime-local">` shows, and reads back, on the chosen clock. */
export const toField = (time: number) => exact(time).slice(0, 16).replace(" ", "T");
export const fromField = (text: string) => Date.parse(zone() === "utc" ? `${text}Z` : text);

const units: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };

/** Milliseconds of "15m", "1h", "7d"; undefined for anything else. */
export function duration(text: string): number | undefined {
  const match = /^(\d{1,5})([smhdw])$/.exec(text.trim());
  return match ? Number(match[1]) * (units[match[2]!] ?? 0) * 1000 : undefined;
}

/** The level's name for colour and words, from whatever a sender wrote. */
export function level(text: string | null | undefined, severity?: number | null): "fatal" | "error" | "warning" | "info" | "debug" | "trace" | "unknown" {
  if (severity && severity > 0) {
    return severity >= 21 ? "fatal" : severity >= 17 ? "error" : severity >= 13 ? "warning" : severity >= 9 ? "info" : severity >= 5 ? "debug" : "trace";
  }
  switch ((text ?? "").toLowerCase()) {
    case "fatal": case "critical": case "crit": case "emerg": case "alert": case "panic": return "fatal";
    case "error": case "err": case "severe": return "error";
    case "warning": case "warn": return "warning";
    case "info": case "information": case "notice": return "info";
    case "debug": return "debug";
    case "trace": case "verbose": return "trace";
    default: return "unknown";
  }
}
