// What every part of the Privacy area gets.
import type { Me } from "../lib/api";
import type { Owner, Shown } from "../lib/policy";

export interface Area {
  me: Me; project: string; owner: Owner;
  /** Whether this person may change this policy. */
  may: boolean;
  shown: Shown;
  /** What is being written and was not applied; undefined where nothing is. */
  draft: string | undefined; setDraft: (text: string | undefined) => void;
  reload: () => void;
  address: (part: string) => string;
}

/** The part of an address that names the owner. */
export const of = (owner: Owner): Record<string, string | undefined> => ({ of: owner === undefined ? "instance" : undefined });
export const ownerName = (owner: Owner) => owner ?? "the instance";
