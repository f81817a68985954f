// What stands behind a person's code: who may look, and looking, which the ledger has before the answer comes.
import { useEffect, useState } from "react";
import { call } from "./api";

export interface MayReveal { sees: "nothing" | "tokens" | "reveal" | "all"; may_reveal: boolean; needs_reason: boolean }
export interface Revealed { code: string; values: string[]; index: number }

/** Roles and policies change while a page is open: what was said is asked again after so long. */
const freshMs = 60_000;
const said = new Map<string, { at: number; answer: Promise<MayReveal> }>();

export function mayReveal(project: string, now = Date.now()): Promise<MayReveal> {
  const known = said.get(project);
  if (known && now - known.at < freshMs) return known.answer;
  const answer = call<MayReveal>("GET", `/api/v1/reveal?${new URLSearchParams({ project })}`);
  said.set(project, { at: now, answer });
  answer.catch(() => said.delete(project));
  return answer;
}

export const reveal = (project: string, code: string, reason: string) => call<Revealed>("POST", "/api/v1/reveal", { project, code, reason });

/** Whether who looks at this may reveal in a project; undefined until that is known, and where it cannot be. */
export function useMayReveal(project: string): MayReveal | undefined {
  const [may, setMay] = useState<MayReveal>();
  useEffect(() => {
    let here = true;
    setMay(undefined);
    if (project) mayReveal(project).then((answer) => here && setMay(answer), () => undefined);
    return () => { here = false; };
  }, [project]);
  return may;
}
