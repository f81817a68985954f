// What is being written of a policy stays in this tab until it is applied or thrown away.
import { useState } from "react";
import type { Owner } from "../lib/policy";

const keyOf = (owner: Owner) => `policy ${owner ?? ""}`;

export function useDraft(owner: Owner): [string | undefined, (text: string | undefined) => void] {
  const [, setTurn] = useState(0);
  const set = (text: string | undefined) => {
    if (text === undefined) sessionStorage.removeItem(keyOf(owner));
    else sessionStorage.setItem(keyOf(owner), text);
    setTurn((turn) => turn + 1);
  };
  return [sessionStorage.getItem(keyOf(owner)) ?? undefined, set];
}
