// Two texts line by line: beside each other, or one below the other. `n` and `p` go from change to change, `u` turns the form.
import { useRef, useState } from "react";
import { count } from "../lib/format";
import { useKeys } from "../lib/keys";
import { setQuery, usePlace } from "../lib/route";
import { changedPiece, folded, type DiffRow, type Stretch } from "../lib/schemas";
import "../design/diff.css";

/** Rows drawn: whoever reads more than that reads the texts. */
const rowsMost = 5000;

/** Moves the focus among the changes within an element. */
export function useJump() {
  const whole = useRef<HTMLDivElement>(null);
  const jump = (by: number) => {
    const marks = [...(whole.current?.querySelectorAll<HTMLElement>("[data-change]") ?? [])];
    const at = marks.indexOf(document.activeElement as HTMLElement);
    const next = marks[at < 0 ? (by > 0 ? 0 : marks.length - 1) : Math.max(0, Math.min(marks.length - 1, at + by))];
    next?.focus({ preventScroll: true });
    next?.scrollIntoView({ block: "center" });
  };
  return { whole, jump };
}

/** How it is shown, kept in the address, and the way from change to change. */
export function DiffBar({ jump }: { jump: (by: number) => void }) {
  const unified = usePlace().query.get("as") === "unified";
  const show = (as: boolean) => setQuery({ as: as ? "unified" : undefined }, true);
  useKeys({ n: () => jump(1), p: () => jump(-1), u: () => show(!unified) });
  return (
    <>
      <div className="row diff-form" role="group" aria-label="Shown as"><button type="button" className="button" aria-pressed={!unified} onClick={() => show(false)}>Side by side</button><button type="button" className="button" aria-pressed={unified} onClick={() => show(true)}>One column</button></div>
      <span className="grow" />
      <div className="row"><button type="button" className="button" onClick={() => jump(-1)} title="Change before (p)">Previous <kbd>p</kbd></button><button type="button" className="button" onClick={() => jump(1)} title="Next change (n)">Next <kbd>n</kbd></button></div>
    </>
  );
}

/** Rows of two texts. `from` and `to` name them: "version 3". */
export function DiffRows({ rows, unified, from, to }: { rows: DiffRow[]; unified: boolean; from: string; to: string }) {
  const [open, setOpen] = useState<ReadonlySet<number>>(new Set());
  const came = rows.filter((r) => !r.same && r.right).length, went = rows.filter((r) => !r.same && r.left).length;
  if (came + went === 0) return <p className="page soft">{from === to ? "A version is the same as itself." : `Both say the same: ${from} and ${to}.`}</p>;
  const stretches = folded(rows.slice(0, rowsMost)).map((s) => ("folded" in s && open.has(s.from) ? { rows: rows.slice(s.from, s.from + s.folded), from: s.from } : s));
  return (
    <>
      <p className="diff-sum" role="status"><span className="diff-went">− {count(went)}</span> <span className="diff-came">+ {count(came)}</span> <span className="soft">lines from {from} to {to}{rows.length > rowsMost && `; the first ${count(rowsMost)} lines are shown`}</span></p>
      <div className="diff-scroll" tabIndex={0} role="region" aria-label={`What changed from ${from} to ${to}`}>
        <table className="diff data" data-as={unified ? "unified" : "beside"}>
          <colgroup>{unified ? <><col className="diff-n" /><col className="diff-n" /><col /></> : <><col className="diff-n" /><col /><col className="diff-n" /><col /></>}</colgroup>
          <thead className="sr-only"><tr>{unified ? <><th>Old line</th><th>New line</th><th>Text</th></> : <><th>Line</th><th>{from}</th><th>Line</th><th>{to}</th></>}</tr></thead>
          <tbody>{stretches.map((s) => <StretchShown key={s.from} stretch={s} unified={unified} show={() => setOpen(new Set([...open, s.from]))} />)}</tbody>
        </table>
      </div>
    </>
  );
}

function StretchShown({ stretch, unified, show }: { stretch: Stretch; unified: boolean; show: () => void }) {
  if ("folded" in stretch) return <tr className="diff-fold"><td colSpan={unified ? 3 : 4}><button type="button" className="button" data-kind="quiet" onClick={show}>{count(stretch.folded)} equal lines</button></td></tr>;
  const { rows } = stretch;
  const begins = (i: number) => !rows[i]!.same && (i === 0 || rows[i - 1]!.same);
  const mark = (i: number) => (begins(i) ? { "data-change": true, tabIndex: -1 } : {});
  if (!unified) return <>{rows.map((r, i) => (
    <tr key={i} {...mark(i)}>
      <td className="diff-n">{r.left?.n}</td><td className={r.same ? "" : r.left ? "diff-went" : "diff-none"}><Line row={r} side="left" /></td>
      <td className="diff-n">{r.right?.n}</td><td className={r.same ? "" : r.right ? "diff-came" : "diff-none"}><Line row={r} side="right" /></td>
    </tr>
  ))}</>;
  // One below the other what went stands before what came in its place.
  const ordered: { row: DiffRow; side: "left" | "right"; begins: boolean }[] = [];
  for (let i = 0; i < rows.length; ) {
    if (rows[i]!.same) { ordered.push({ row: rows[i]!, side: "right", begins: false }); i++; continue; }
    let end = i;
    while (end < rows.length && !rows[end]!.same) end++;
    const some = rows.slice(i, end), sides = (["left", "right"] as const).flatMap((side) => some.filter((r) => r[side]).map((row) => ({ row, side, begins: false })));
    if (sides[0]) sides[0].begins = true;
    ordered.push(...sides);
    i = end;
  }
  return <>{ordered.map(({ row, side, begins: first }, i) => (
    <tr key={i} {...(first ? { "data-change": true, tabIndex: -1 } : {})}>
      <td className="diff-n">{row.same || side === "left" ? row.left?.n : ""}</td><td className="diff-n">{row.same || side === "right" ? row.right?.n : ""}</td>
      <td className={row.same ? "" : side === "left" ? "diff-went" : "diff-came"}><Line row={row} side={side} /></td>
    </tr>
  ))}</>;
}

/** A line with its sign; of two that stand for each other the piece that differs is marked. */
function Line({ row, side }: { row: DiffRow; side: "left" | "right" }) {
  const line = row[side];
  if (!line) return null;
  if (row.same) return <span className="diff-line">{"  "}{line.text}</span>;
  const Tag = side === "left" ? "del" : "ins";
  const sign = side === "left" ? "− " : "+ ";
  if (!row.left || !row.right) return <Tag className="diff-line">{sign}{line.text}</Tag>;
  const [from, left, right] = changedPiece(row.left.text, row.right.text);
  const to = side === "left" ? left : right;
  return <Tag className="diff-line">{sign}{line.text.slice(0, from)}<mark>{line.text.slice(from, to)}</mark>{line.text.slice(to)}</Tag>;
}
