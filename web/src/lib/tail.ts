// Live tail: server-sent events into a bounded list, newest first. A lost connection is taken up again where it
// broke off: the browser does that for a dropped stream, but gives up on an answer that is an error, so we do it.
import { useEffect, useState } from "react";
import { signedOut, type Record_ } from "./api";

const kept = 2000;
/** Records are shown in bursts, so that a fast stream costs one render per interval. */
const renderEveryMs = 150;
const againAfterMs = { first: 500, most: 8000 };

export interface Tail<T = Record_> { rows: T[]; seen: number; dropped: number; state: "connecting" | "open" | "lost"; ended?: string }

/** Follows `address(after)`; `key` says when it is another tail. Undefined follows nothing. */
export const useTail = (key: string | undefined, address: (after?: string) => string): Tail => useEvents(key, address, recordOf);

/** The same for whatever `read` makes of an event's data and id. */
export function useEvents<T>(key: string | undefined, address: (after?: string) => string, read: (data: string, id: string) => T | undefined): Tail<T> {
  const fresh: Tail<T> = { rows: [], seen: 0, dropped: 0, state: "connecting" };
  const [tail, setTail] = useState(fresh);
  useEffect(() => {
    if (key === undefined) return;
    setTail(fresh);
    let waiting: T[] = [];
    let dropped = 0;
    let last: string | undefined;
    let pause = againAfterMs.first;
    let again: ReturnType<typeof setTimeout> | undefined;
    let source: EventSource;
    const open = () => {
      source = new EventSource(address(last));
      source.onopen = () => { pause = againAfterMs.first; setTail((t) => ({ ...t, state: "open" })); };
      source.onerror = () => {
        source.close();
        setTail((t) => ({ ...t, state: "lost" }));
        void askWhy();
        again = setTimeout(open, pause);
        pause = Math.min(pause * 2, againAfterMs.most);
      };
      source.onmessage = (event) => {
        if (event.lastEventId) last = event.lastEventId;
        const record = read(event.data, event.lastEventId);
        if (!record) return;
        waiting.push(record);
        if (waiting.length > kept) { dropped += waiting.length - kept; waiting = waiting.slice(-kept); }
      };
      source.addEventListener("dropped", (event) => { dropped += missed((event as MessageEvent<string>).data); });
      // The server says why it ends a tail for good: it is not asked again.
      source.addEventListener("ended", (event) => { source.close(); setTail((t) => ({ ...t, state: "lost", ended: endedBy((event as MessageEvent<string>).data) })); });
    };
    open();
    const timer = setInterval(() => {
      if (!waiting.length && !dropped) return;
      const next = waiting.reverse(), lost = dropped;
      waiting = [];
      dropped = 0;
      setTail((t) => ({ ...t, rows: [...next, ...t.rows].slice(0, kept), seen: t.seen + next.length, dropped: t.dropped + lost }));
    }, renderEveryMs);
    return () => { source.close(); clearInterval(timer); clearTimeout(again); };
  }, [key]);
  return tail;
}

/** An event source does not say why it failed; a session that ended must lead to the door. */
async function askWhy() {
  const status = await fetch("/api/v1/me").then((r) => r.status, () => 0);
  if (status === 401) window.dispatchEvent(new Event(signedOut));
}

/** A record with its place in the log, which the tail tells as the event's id. Signal topics have one partition. */
export function recordOf(data: string, id: string): Record_ | undefined {
  try {
    return { ...(JSON.parse(data) as Record_), _partition: 0, _offset: Number(id) };
  } catch {
    return undefined;
  }
}

/** Why an `ended` event says a tail ended. */
export function endedBy(data: string): string {
  try {
    return String((JSON.parse(data) as { detail?: string }).detail ?? "");
  } catch {
    return "";
  }
}

/** How many records a `dropped` event tells of. */
export function missed(data: string): number {
  try {
    return Number((JSON.parse(data) as { count?: number }).count) || 0;
  } catch {
    return 0;
  }
}
