// Keyboard before mouse: single keys and two-key chords, off while typing.
import { useEffect } from "react";

export type Keys = Record<string, (event: KeyboardEvent) => void>;

const stack: Keys[] = [];
let pending = "";
let pendingTimer: ReturnType<typeof setTimeout> | undefined;

function typing(target: EventTarget | null): boolean {
  // A box to tick takes no text: single keys keep their meaning there.
  if (target instanceof HTMLInputElement && target.type === "checkbox") return false;
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
}

/** Enter on a link or button is that link's or button's own. */
function acts(target: EventTarget | null): boolean {
  return target instanceof Element && target.closest("a, button, summary, [role=tab], [role=option]") !== null;
}

function find(key: string) {
  for (let i = stack.length - 1; i >= 0; i--) {
    const act = stack[i]?.[key];
    if (act) return act;
  }
  return undefined;
}

function onKey(event: KeyboardEvent) {
  if (event.defaultPrevented) return;
  const mod = event.metaKey || event.ctrlKey;
  const name = `${mod ? "mod+" : ""}${event.key.length === 1 ? event.key : event.key.toLowerCase()}`;
  if (typing(event.target) && !mod && event.key !== "Escape") return;
  if (event.key === "Enter" && !mod && acts(event.target)) return;
  // A dialog's keys are its own: Escape must reach the browser, which closes it.
  if (event.altKey || document.querySelector("dialog[open]")) return;
  const chord = pending ? `${pending} ${name}` : "";
  pending = "";
  clearTimeout(pendingTimer);
  const act = (chord && find(chord)) || find(name);
  if (act) {
    event.preventDefault();
    act(event);
  } else if (stack.some((keys) => Object.keys(keys).some((k) => k.startsWith(`${name} `)))) {
    pending = name;
    pendingTimer = setTimeout(() => (pending = ""), 1200);
  }
}

if (typeof window !== "undefined") window.addEventListener("keydown", onKey);

/** What the platform calls its command key, before a letter. */
export const mod = typeof navigator !== "undefined" && /Mac|iPhone|iPad/.test(navigator.platform) ? "⌘" : "Ctrl ";

/** Binds keys while the component is shown; the newest binding of a key wins. */
export function useKeys(keys: Keys) {
  useEffect(() => {
    stack.push(keys);
    return () => {
      const at = stack.lastIndexOf(keys);
      if (at >= 0) stack.splice(at, 1);
    };
  });
}
