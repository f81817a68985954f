// Column widths that the reader set, kept in the address: `w=time:190,service:90`.
import { setQuery, usePlace } from "./route";

export const narrowestPx = 48;
const widestPx = 1200;

export function parseWidths(text: string | null): Map<string, number> {
  const widths = new Map<string, number>();
  for (const part of (text ?? "").split(",")) {
    const at = part.lastIndexOf(":");
    const px = Number(part.slice(at + 1));
    if (at > 0 && Number.isFinite(px)) widths.set(decodeURIComponent(part.slice(0, at)), Math.max(narrowestPx, Math.min(widestPx, Math.round(px))));
  }
  return widths;
}

export function useWidths() {
  const { query } = usePlace();
  const widths = parseWidths(query.get("w"));
  const set = (name: string, px: number) => {
    widths.set(name, Math.max(narrowestPx, Math.min(widestPx, Math.round(px))));
    setQuery({ w: [...widths].map(([key, value]) => `${encodeURIComponent(key)}:${value}`).join(",") }, true);
  };
  return { widths, set };
}
