// Changes of a policy by key: which way each goes, what stood there and what stands there now.
import type { ReactNode } from "react";
import { written, type Change, type Direction } from "../lib/policy";

/** Each way with a sign, a word, and what it means. */
const ways: Record<Direction, [sign: string, word: string, meaning: string]> = {
  tightening: ["▼", "tightening", "Less is done with data: it holds at once"],
  loosening: ["▲", "loosening", "More is done with data: it is announced first"],
  mixed: ["◆", "both ways", "It goes both ways, or cannot be told: it is announced first"],
  neutral: ["●", "neutral", "What is done with data is the same"],
};

export function Way({ of }: { of: Direction }) {
  const [sign, word, meaning] = ways[of];
  return <span className={`way way-${of}`} title={meaning}><span aria-hidden="true">{sign}</span> {word}</span>;
}

export function Changes({ changes, none }: { changes: Change[]; none: ReactNode }) {
  if (changes.length === 0) return <p className="soft">{none}</p>;
  return (
    <div className="table-room" tabIndex={0} role="region" aria-label="Changes">
      <table className="list changes">
        <thead><tr><th>Key</th><th>Way</th><th>Before</th><th>After</th></tr></thead>
        <tbody>{changes.map((change, i) => (
          <tr key={i}><td><code>{change.key}</code></td><td><Way of={change.class} /></td><td className="data"><Value of={change.old} /></td><td className="data"><Value of={change.new} /></td></tr>
        ))}</tbody>
      </table>
    </div>
  );
}

/** Words with `names` in them. */
export const Ticked = ({ text }: { text: string }) => <>{text.split("`").map((piece, i) => (i % 2 ? <code key={i}>{piece}</code> : piece))}</>;

const Value = ({ of }: { of: unknown }) => (of === null || of === undefined ? <span className="soft">not there</span> : <>{written(of)}</>);
