// Loading with honesty: what we have stays on screen while the next answer is on its way; old answers never win.
import { useCallback, useEffect, useRef, useState } from "react";
import { Problem } from "./api";

/** A server that does not answer is asked again after this. */
const againAfterMs = 3000;

export interface Loaded<T> {
  data: T | undefined;
  problem: Problem | undefined;
  /** True while an answer is awaited; `slow` once that has taken longer than 150 ms. */
  loading: boolean;
  slow: boolean;
  /** Seconds waited, counted from 2 on. */
  waited: number;
  reload: () => void;
  stop: () => void;
}

/** Runs `load` whenever `key` changes; an undefined key means nothing to load yet. */
export function useLoad<T>(key: string | undefined, load: (signal: AbortSignal) => Promise<T>): Loaded<T> {
  const [state, setState] = useState<{ data?: T; problem?: Problem; loading: boolean }>({ loading: key !== undefined });
  const [slow, setSlow] = useState(false);
  const [waited, setWaited] = useState(0);
  const [turn, setTurn] = useState(0);
  const latest = useRef(load);
  latest.current = load;
  const controller = useRef<AbortController>(undefined);
  const lastKey = useRef<string>(undefined);

  useEffect(() => {
    if (key === undefined) return;
    const abort = new AbortController();
    controller.current = abort;
    // A problem stands until the same question is answered: it must not flicker with every try.
    const sameQuestion = lastKey.current === key;
    lastKey.current = key;
    setState((s) => ({ ...s, loading: true, problem: sameQuestion ? s.problem : undefined }));
    const began = Date.now();
    const slowTimer = setTimeout(() => setSlow(true), 150);
    const ticker = setInterval(() => setWaited(Math.floor((Date.now() - began) / 1000)), 1000);
    let againTimer: ReturnType<typeof setTimeout> | undefined;
    const settle = () => { clearTimeout(slowTimer); clearInterval(ticker); setSlow(false); setWaited(0); };
    latest.current(abort.signal).then(
      (data) => { if (!abort.signal.aborted) { settle(); setState({ data, loading: false }); } },
      (error: unknown) => {
        if (abort.signal.aborted) return;
        settle();
        const problem = error instanceof Problem ? error : new Problem(-1, "Something went wrong on this page", String(error));
        setState((s) => ({ ...s, problem, loading: false }));
        if (problem.status === 0) againTimer = setTimeout(() => setTurn((t) => t + 1), againAfterMs);
      },
    );
    return () => { abort.abort(); clearTimeout(slowTimer); clearInterval(ticker); clearTimeout(againTimer); };
  }, [key, turn]);

  const reload = useCallback(() => setTurn((t) => t + 1), []);
  const stop = useCallback(() => {
    controller.current?.abort();
    setSlow(false);
    setWaited(0);
    setState((s) => ({ ...s, loading: false }));
  }, []);
  return { data: state.data, problem: state.problem, loading: state.loading, slow, waited, reload, stop };
}

/** Asks again every so often while the page is seen. */
export function usePolling(reload: () => void, everyMs: number) {
  useEffect(() => {
    const timer = setInterval(() => { if (!document.hidden) reload(); }, everyMs);
    return () => clearInterval(timer);
  }, [reload, everyMs]);
}

/** After this much quiet the server is asked what a text that is being written says. */
const quietMs = 250;

/** A value once it has stayed the same for a while; the first at once. */
export function useQuiet<T>(value: T, ms = quietMs): T {
  const [quiet, setQuiet] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setQuiet(value), ms);
    return () => clearTimeout(timer);
  }, [value, ms]);
  return quiet;
}
