// Live tail: server-sent events into a bounded list, newest first.
import { useEffect, useState } from "react";
import type { Record_ } from "./api";

const kept = 2000;
/** Records are shown in bursts, so that a fast stream costs one render per interval. */
const renderEveryMs = 150;

export interface Tail { rows: Record_[]; seen: number; dropped: number; state: "connecting" | "open" }

export function useTail(url: string | undefined): Tail {
  const [tail, setTail] = useState<Tail>({ rows: [], seen: 0, dropped: 0, state: "connecting" });
  useEffect(() => {
    if (!url) return;
    setTail({ rows: [], seen: 0, dropped: 0, state: "connecting" });
    let waiting: Record_[] = [];
    let dropped = 0;
    const source = new EventSource(url);
    source.onopen = () => setTail((t) => ({ ...t, state: "open" }));
    source.onerror = () => setTail((t) => ({ ...t, state: "connecting" }));
    source.onmessage = (event) => {
      try {
        waiting.push(JSON.parse(event.data) as Record_);
      } catch {
        return;
      }
      if (waiting.length > kept) { waiting = waiting.slice(-kept); dropped++; }
    };
    source.addEventListener("dropped", (event) => { dropped += Number((event as MessageEvent).data) || Number(JSON.parse((event as MessageEvent).data)?.count) || 0; });
    const timer = setInterval(() => {
      if (!waiting.length && !dropped) return;
      const next = waiting.reverse(), lost = dropped;
      waiting = [];
      dropped = 0;
      setTail((t) => ({ ...t, rows: [...next, ...t.rows].slice(0, kept), seen: t.seen + next.length, dropped: t.dropped + lost }));
    }, renderEveryMs);
    return () => { source.close(); clearInterval(timer); };
  }, [url]);
  return tail;
}
