// The ledger over the server's API: what was done with a project's data.
import { call, callText } from "./api";

export interface Entry {
  index: number; timestamp: string; since: string | null; actor: string; action: string; purpose: string | null; signal: string | null;
  count: number; rows: number; subject_count: number | null; clause: string | null; policy: string | null; leaf: string;
  /** Whom it concerned, and why: only for those who may see it. */
  reason?: string | null; subjects?: string[];
}
export interface Page { entries: Entry[]; before: number | null }

const pageOf = 200;

export const ledger = {
  page: (project: string, before?: number, signal?: AbortSignal) =>
    call<Page>("GET", `/api/v1/ledger?${new URLSearchParams({ project, limit: String(pageOf), ...(before === undefined ? {} : { before: String(before) }) })}`, undefined, signal),
  proof: (index: number, signal?: AbortSignal) => callText("GET", `/api/v1/ledger/${index}/proof`, undefined, signal),
  checkpoint: () => callText("GET", "/api/v1/ledger/checkpoint"),
};

/** Every action, with its words. */
export const actions: [action: string, words: string][] = [
  ["policy.activate", "a policy began to hold"], ["policy.announce", "a policy was announced"], ["read", "rows were read"], ["reveal", "a value was revealed"],
  ["export", "data left for other tools"], ["disclosure", "something was given to a recipient"], ["drop", "records were not taken"],
  ["retention", "what was past its time went"], ["erase", "what belongs to a person went"], ["role.change", "somebody's role changed"],
];
export const actionWords = (action: string) => actions.find(([name]) => name === action)?.[1] ?? action;
