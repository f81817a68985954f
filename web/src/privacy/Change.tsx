// The policy's source to change: what is wrong at its line as one types, what each change does, and applying it.
import { lazy, Suspense, useEffect, useMemo, useState } from "react";
import { mod, useKeys } from "../lib/keys";
import { useLoad, useQuiet } from "../lib/load";
import { count } from "../lib/format";
import { isHere, marks, policies, refuses, type Applied, type Checked, type Mark } from "../lib/policy";
import { setQuery, usePlace } from "../lib/route";
import { Time, Trouble } from "../parts/basics";
import { ApplyDialog } from "./ApplyDialog";
import { Changes, Ticked } from "./Changes";
import { ownerName, type Area } from "./area";

const PolicyEditor = lazy(() => import("./PolicyEditor"));

export function Change(area: Area) {
  const { owner, shown, may, draft, setDraft, reload } = area;
  const { query } = usePlace();
  // What was announced is the newest that somebody wrote; an interim version is nobody's writing.
  const base = (shown.announced ?? shown.in_force)?.source ?? "";
  const [text, setText] = useState(draft ?? base);
  const [applied, setApplied] = useState<Applied>();
  const [jump, setJump] = useState({ line: Number(query.get("line")) });
  const toLine = (line: number) => { setQuery({ line: String(line) }, true); setJump({ line }); };
  const asking = query.get("apply") === "1";
  const quiet = useQuiet(text);
  const loaded = useLoad(`${owner ?? ""} ${shown.in_force?.epoch} ${quiet}`, (signal) => policies.check(owner, quiet, signal).then((checked) => ({ checked, of: quiet })));
  // An answer about another text says nothing of this one.
  const fresh = loaded.data?.of === text;
  const found = useMemo(() => marks(loaded.data?.checked), [loaded.data]);
  const changed = text !== base;
  const ready = fresh && !loaded.problem && !found.some(refuses);
  const write = (next: string) => {
    setText(next);
    setDraft(next === base ? undefined : next);
    if (next !== text) setApplied(undefined);
  };
  const ask = () => { if (may && ready && changed) setQuery({ apply: "1" }); };
  const close = () => setQuery({ apply: undefined }, true);
  const done = (result: Applied) => {
    setApplied(result);
    setDraft(undefined);
    close();
    reload();
  };
  // An untouched text follows what was applied elsewhere.
  useEffect(() => { if (draft === undefined) setText(base); }, [base]);
  useKeys({ "mod+enter": ask });
  return (
    <div className="change">
      <div className="change-text">
        <Suspense fallback={<div className="editor" />}><PolicyEditor value={text} onChange={write} onApply={ask} marks={found} at={jump} /></Suspense>
      </div>
      <aside className="change-side stack" aria-label="What it says">
        <div className="row limits">
          <Verdict loading={!fresh} found={found} same={changed ? undefined : shown.announced ? "this is announced" : "this holds"} checked={loaded.data?.checked} />
          <span className="grow" />
          {changed && <button type="button" className="button" onClick={() => write(base)}>Back to what {shown.announced ? "was announced" : "holds"}</button>}
          {may && <button type="button" className="button" data-kind="primary" disabled={!ready || !changed} onClick={ask}>Apply <kbd>{mod}enter</kbd></button>}
        </div>
        {!may && <p className="soft">Only an owner of the organisation applies a policy. Anyone may write one and see what it would change.</p>}
        {owner !== undefined && !shown.has_own && <p className="soft">{owner} has no policy of its own: this is the instance's. Applied here, it becomes {owner}'s alone.</p>}
        {loaded.problem && <Trouble problem={loaded.problem} again={loaded.reload} />}
        {applied && <Done applied={applied} owner={ownerName(owner)} />}
        {found.length > 0 && <section><h3>{count(found.length)} {found.length === 1 ? "remark" : "remarks"}</h3><ul className="findings">{found.map((mark, i) => <Said key={i} mark={mark} toLine={toLine} />)}</ul></section>}
        {loaded.data && loaded.data.checked.faults.length === 0 && <section className="stack"><h3>Beside what holds now</h3><Changes changes={loaded.data.checked.changes} none="Nothing is different." /></section>}
      </aside>
      {asking && ready && changed && loaded.data && <ApplyDialog area={area} text={text} changes={loaded.data.checked.changes} close={close} done={done} />}
    </div>
  );
}

function Verdict({ loading, found, same, checked }: { loading: boolean; found: Mark[]; same?: string; checked?: Checked }) {
  const faults = found.filter((mark) => mark.severity === "fault").length, refused = found.filter((mark) => mark.severity === "error").length;
  const [css, words] = !checked || loading ? ["soft", "reading"]
    : faults ? ["level-error", `${count(faults)} ${faults === 1 ? "fault" : "faults"}: it is no policy yet`]
    : refused ? ["level-error", `refused by ${count(refused)} ${refused === 1 ? "rule" : "rules"}`]
    : ["state-ok", same ?? "it may be applied"];
  return <span className={`badge ${css} verdict`} role="status">{words}</span>;
}

function Said({ mark, toLine }: { mark: Mark; toLine: (line: number) => void }) {
  const name = mark.severity === "error" ? "refused" : mark.severity;
  return (
    <li className="finding">
      <span className={`badge ${mark.severity === "warning" ? "level-warning" : "level-error"}`}>{name}</span>
      <div>
        <p>{mark.key && <code>{mark.key} </code>}<Ticked text={mark.why} />.</p>
        <p className="soft">{mark.write && <>To mend it: <Ticked text={mark.write} />. </>}{isHere(mark) ? <button type="button" className="json-more" onClick={() => toLine(mark.line)}>Line {mark.line}</button> : `In ${mark.file}`}</p>
      </div>
    </li>
  );
}

function Done({ applied, owner }: { applied: Applied; owner: string }) {
  const { in_force: now, announced } = applied;
  return (
    <div className="done" role="status">
      {announced ? <p><strong>Epoch {announced.epoch} is announced</strong> and begins to hold <Time at={announced.effective_at} />. {now.is_interim ? <>Its stricter parts hold from now on, as epoch {now.epoch}.</> : <>Until then epoch {now.epoch} goes on holding, as it is.</>}</p>
        : <p><strong>Epoch {now.epoch} holds</strong> for {owner} from now on.</p>}
    </div>
  );
}
