// The handle at a column's edge: dragged, or moved with the arrows.
import { useRef } from "react";
import { narrowestPx } from "../lib/widths";

export function Resizer({ name, px, set }: { name: string; px: number; set: (px: number) => void }) {
  const from = useRef({ x: 0, px });
  return (
    <span className="resizer" role="separator" aria-orientation="vertical" aria-label={`Width of ${name}`} aria-valuenow={px} aria-valuemin={narrowestPx} tabIndex={0}
      onPointerDown={(event) => { event.preventDefault(); event.currentTarget.setPointerCapture(event.pointerId); from.current = { x: event.clientX, px }; }}
      onPointerMove={(event) => { if (event.currentTarget.hasPointerCapture(event.pointerId)) set(from.current.px + event.clientX - from.current.x); }}
      onKeyDown={(event) => {
        const step = event.key === "ArrowRight" ? 16 : event.key === "ArrowLeft" ? -16 : 0;
        if (!step) return;
        event.preventDefault();
        event.stopPropagation();
        set(px + step);
      }} />
  );
}
