// Which clock times are read on: the reader's own, or UTC. Kept on this device.
import { useSyncExternalStore } from "react";

export type Zone = "local" | "utc";

const listeners = new Set<() => void>();
// Unit tests load this module without a window.
let current: Zone = typeof localStorage !== "undefined" && localStorage.getItem("zone") === "utc" ? "utc" : "local";

export const zone = (): Zone => current;

export function setZone(next: Zone) {
  current = next;
  next === "utc" ? localStorage.setItem("zone", next) : localStorage.removeItem("zone");
  for (const listener of listeners) listener();
}

/** Renders the caller again when the clock changes. */
export function useZone(): Zone {
  return useSyncExternalStore((listener) => { listeners.add(listener); return () => listeners.delete(listener); }, zone);
}

/** `UTC`, or `UTC+1` as the reader's clock has it at a time. */
export function zoneName(at: Date, in_: Zone = current): string {
  const minutes = in_ === "utc" ? 0 : -at.getTimezoneOffset();
  if (minutes === 0) return "UTC";
  const rest = Math.abs(minutes) % 60;
  return `UTC${minutes < 0 ? "−" : "+"}${Math.floor(Math.abs(minutes) / 60)}${rest ? `:${String(rest).padStart(2, "0")}` : ""}`;
}
