// How numbers, sizes, durations and times read.

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

/** 2026-11-20 12:04:31.204 in the reader's zone. */
export function exact(time: string | number): string {
  const d = new Date(time);
  if (Number.isNaN(d.getTime())) return String(time);
  const two = (n: number) => String(n).padStart(2, "0");
  return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} ${clock(d)}`;
}

export function clock(time: Date | string | number): string {
  const d = new Date(time);
  const two = (n: number) => String(n).padStart(2, "0");
  return `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}.${String(d.getMilliseconds()).padStart(3, "0")}`;
}

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
