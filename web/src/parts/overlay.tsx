// What opens over a view: a dialog, and a panel below a button. Escape closes each, and focus goes back.
import { useEffect, useRef, useState, type ReactNode } from "react";

/** A dialog that takes focus, closes on Escape and on a click beside it. */
export function Modal({ close, className, label, children }: { close: () => void; className: string; label: string; children: ReactNode }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const element = dialog.current;
    element?.showModal();
    return () => element?.close();
  }, []);
  return (
    <dialog ref={dialog} className={className} aria-label={label} onCancel={(event) => { event.preventDefault(); close(); }}
      onClick={(event) => { if (event.target === dialog.current) close(); }}>
      {children}
    </dialog>
  );
}

interface PanelProps { id?: string; label: string; name: ReactNode; children: (close: () => void) => ReactNode; title?: string; accessibleName?: string }

/** A button with a panel below it. */
export function Panel({ id, label, name, title, accessibleName, children }: PanelProps) {
  const [open, setOpen] = useState(false);
  const button = useRef<HTMLButtonElement>(null);
  const whole = useRef<HTMLSpanElement>(null);
  const close = () => { setOpen(false); button.current?.focus(); };
  useEffect(() => {
    if (!open) return;
    whole.current?.querySelector<HTMLElement>(".panel :is(button, input, a)")?.focus();
    const outside = (event: PointerEvent) => { if (!whole.current?.contains(event.target as Node)) setOpen(false); };
    document.addEventListener("pointerdown", outside);
    return () => document.removeEventListener("pointerdown", outside);
  }, [open]);
  return (
    <span ref={whole} className="panel-host"
      onKeyDown={(event) => { if (open && event.key === "Escape") { event.stopPropagation(); close(); } }}
      onBlur={(event) => { if (open && event.relatedTarget && !event.currentTarget.contains(event.relatedTarget)) setOpen(false); }}>
      <button id={id} ref={button} type="button" className="button" aria-expanded={open} aria-haspopup="dialog" aria-label={accessibleName} title={title} onClick={() => setOpen(!open)}>{name}</button>
      {open && <div className="panel" role="dialog" aria-label={label}>{children(close)}</div>}
    </span>
  );
}

export interface Act { name: string; keys?: string; run: () => void }

/** A menu of acts at a place on the page; arrows move, Enter acts, Escape closes. */
export function Menu({ acts, label, at, close }: { acts: Act[]; label: string; at: { x: number; y: number }; close: () => void }) {
  const list = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const before = document.activeElement as HTMLElement | null;
    list.current?.querySelector("button")?.focus();
    const outside = (event: PointerEvent) => { if (!list.current?.contains(event.target as Node)) close(); };
    document.addEventListener("pointerdown", outside);
    return () => { document.removeEventListener("pointerdown", outside); before?.focus({ preventScroll: true }); };
  }, []);
  const step = (by: number) => {
    const items = [...(list.current?.querySelectorAll("button") ?? [])];
    items[(items.indexOf(document.activeElement as HTMLButtonElement) + by + items.length) % items.length]?.focus();
  };
  // Kept inside the window: a menu at the last row opens upwards.
  const y = Math.min(at.y, innerHeight - acts.length * 28 - 16), x = Math.min(at.x, innerWidth - 260);
  return (
    <div ref={list} className="panel menu" role="menu" aria-label={label} style={{ position: "fixed", left: x, top: Math.max(8, y) }}
      onKeyDown={(event) => {
        if (event.key === "Escape" || event.key === "Tab") { event.preventDefault(); close(); }
        else if (event.key === "ArrowDown" || event.key === "j") step(1);
        else if (event.key === "ArrowUp" || event.key === "k") step(-1);
        else return;
        event.preventDefault();
        event.stopPropagation();
      }}>
      {acts.map((act) => <button key={act.name} type="button" role="menuitem" onClick={() => { close(); act.run(); }}><span className="grow">{act.name}</span>{act.keys && <kbd>{act.keys}</kbd>}</button>)}
    </div>
  );
}
