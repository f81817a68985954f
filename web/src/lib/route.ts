// Where one is, from the address and back: every view, selection, range and drawer lives in the URL.
import { useSyncExternalStore } from "react";

const base = "/app";

export interface Place {
  /** Path segments below /app/. */
  path: string[];
  query: URLSearchParams;
}

// Unit tests load this module without a window.
let current: Place = typeof window === "undefined" ? { path: [], query: new URLSearchParams() } : read();
const listeners = new Set<() => void>();

function read(): Place {
  const below = location.pathname.startsWith(base) ? location.pathname.slice(base.length) : "";
  return {
    path: below.split("/").filter(Boolean).map(decodeURIComponent),
    query: new URLSearchParams(location.search),
  };
}

function changed() {
  current = read();
  for (const listener of listeners) listener();
}

if (typeof window !== "undefined") window.addEventListener("popstate", changed);

export const placeNow = (): Place => current;

export function usePlace(): Place {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    placeNow,
  );
}

/** The address of a view: `href(["shop", "errors"], { q: "cart" })`. Empty values are left out. */
export function href(path: string[], query: Record<string, string | undefined> = {}): string {
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) if (value) search.set(key, value);
  const text = search.toString();
  return `${base}/${path.map(encodeURIComponent).join("/")}${text ? `?${text}` : ""}`;
}

/** Goes to an address; `replace` when back should not return to where we are (typing, moving a selection). */
export function go(address: string, replace = false) {
  if (address === location.pathname + location.search) return;
  // A replaced entry keeps its depth: how far back is still this app.
  const depth = replace ? depthHere() : depthHere() + 1;
  history[replace ? "replaceState" : "pushState"]({ depth }, "", address);
  changed();
}

function depthHere(): number {
  const state = history.state as { depth?: number } | null;
  return state?.depth ?? 0;
}

/** Steps back where that stays within the app, else does `otherwise`. */
export function back(otherwise: () => void) {
  if (depthHere() > 0) history.back();
  else otherwise();
}

/** Changes query keys of the current address; undefined removes one. */
export function setQuery(changes: Record<string, string | undefined>, replace = false) {
  const next = new URLSearchParams(current.query);
  for (const [key, value] of Object.entries(changes)) value ? next.set(key, value) : next.delete(key);
  const text = next.toString();
  go(`${location.pathname}${text ? `?${text}` : ""}`, replace);
}

/** Lets plain links move within the app without a page load. */
export function followLinks(event: MouseEvent) {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey) return;
  const link = (event.target as Element | null)?.closest?.("a[href]");
  if (!(link instanceof HTMLAnchorElement) || link.target || link.origin !== location.origin) return;
  if (!link.pathname.startsWith(`${base}/`) || link.hasAttribute("download")) return;
  event.preventDefault();
  go(link.pathname + link.search);
}
