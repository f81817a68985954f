// The policy that holds: since when, by whom, what is to be looked at, what was announced; and its source.
import { useState } from "react";
import { asProblem, type Problem } from "../lib/api";
import { exactWithZone } from "../lib/format";
import { useLoad } from "../lib/load";
import { appliedBy, fileName, policies, type Finding, type Whole } from "../lib/policy";
import { href } from "../lib/route";
import { CopyButton, Empty, Shown, Time, Trouble } from "../parts/basics";
import { Modal } from "../parts/overlay";
import { Changes, Ticked } from "./Changes";
import { Source } from "./Source";
import { of, ownerName, type Area } from "./area";

/** Where a policy is published: of a project that has its own, of the instance else. */
const publishedAt = (project: string | null) => (project === null ? "/privacy" : `/privacy/${project.split("/").map(encodeURIComponent).join("/")}`);

export function InForce(area: Area) {
  const { project, owner, shown, me } = area;
  const held = shown.in_force;
  if (!held) return <Empty title="No policy holds"><p>Write one, and apply it.</p><p><a className="button" href={area.address("change")}>Write one</a></p></Empty>;
  const own = owner === undefined || shown.has_own;
  const page = publishedAt(owner !== undefined && shown.has_own ? shown.project : null);
  return (
    <div className="page privacy-page stack">
      <section className="stack">
        <div className="row limits"><div className="grow"><h1>{own ? `The policy of ${ownerName(owner)}` : `${project} goes by the instance's policy`}</h1>
          {!own && <p className="soft">It has none of its own yet. <a href={area.address("change")}>Write one</a>, or <a href={href([project, "privacy"], of(undefined))}>see the instance's</a>.</p>}</div>
          <a className="button" href={page} target="_blank" rel="noreferrer" title="The page that is published of it, without a sign-in">As people read it</a></div>
        <dl className="figures">
          <div><dt>Holds since</dt><dd><Time at={held.activated_at} /></dd></div>
          <div><dt>Applied by</dt><dd>{appliedBy(held.applied_by, me.user)}</dd></div>
          <div><dt>Epoch</dt><dd className="data">{held.epoch}{held.is_interim && <span className="badge level-info interim" title="The policy before it with the stricter parts of the one that was announced">interim</span>}</dd></div>
          <div><dt>Notice period</dt><dd>{held.policy.governance.changes.prior_days} days, {held.policy.governance.changes.subprocessor_days} for a new recipient</dd></div>
          <div><dt>Hash</dt><dd className="row"><span className="data" title={held.hash}>{held.hash.slice(0, 12)}</span><CopyButton text={held.hash} data-kind="quiet" aria-label="Copy the hash" /></dd></div>
        </dl>
      </section>
      {shown.announced && <Announced area={area} announced={shown.announced} held={held} />}
      <Warnings area={area} warnings={shown.warnings} own={own} />
      <section className="stack">
        <div className="row"><h2 className="grow">{held.is_interim ? "What holds, written out" : "What was written"}</h2><CopyButton text={held.source} aria-label="Copy the source" /><a className="button" href={area.address("change")}>{area.may ? "Change it" : "Try a change"}</a></div>
        <Source text={held.source} label="Source of the policy" />
      </section>
    </div>
  );
}

/** What begins to hold on its day, unless it is taken back. */
function Announced({ area, announced, held }: { area: Area; announced: Whole; held: Whole }) {
  const { owner, may, me, reload } = area;
  const [asking, setAsking] = useState(false);
  const [problem, setProblem] = useState<Problem>();
  const changes = useLoad(`${owner ?? ""} ${held.epoch} ${announced.epoch}`, (signal) => policies.check(owner, announced.source, signal));
  const withdraw = () => policies.withdraw(owner).then(reload, (error) => setProblem(asProblem(error))).finally(() => setAsking(false));
  return (
    <section className="announced stack" aria-label="Announced">
      <div className="row limits">
        <div className="grow"><h2>Announced: epoch {announced.epoch} begins to hold <span title={exactWithZone(announced.effective_at)}><Time at={announced.effective_at} /></span></h2>
          <p className="soft">On {exactWithZone(announced.effective_at).split("\n")[0]!.replace(/\.\d+/, "")}, for new records only. Announced <Time at={announced.applied_at} /> by {appliedBy(announced.applied_by, me.user)}.</p></div>
        <a className="button" href={`${publishedAt(owner === undefined || !area.shown.has_own ? null : area.shown.project)}?version=${announced.epoch}`} target="_blank" rel="noreferrer">As people read it</a>
        <a className="button" href={href([area.project, "privacy", "versions"], { ...of(owner), from: String(held.epoch), to: String(announced.epoch) })}>Compare the sources</a>
        {may && <button type="button" className="button" data-kind="danger" onClick={() => setAsking(true)}>Withdraw it</button>}
      </div>
      {problem && <Trouble problem={problem} />}
      <Shown loaded={changes}>{(checked) => <Changes changes={checked.changes} none="It says what holds already." />}</Shown>
      {asking && (
        <Modal close={() => setAsking(false)} className="help" label="Withdraw what was announced">
          <div className="stack">
            <h2>Withdraw epoch {announced.epoch}?</h2>
            <p>What holds now goes on holding{held.is_interim && ", with the stricter parts that began at once"}. The announcement stays among the versions.</p>
            <div className="row"><button type="button" className="button" data-kind="danger" onClick={() => void withdraw()}>Withdraw it</button><button type="button" className="button" autoFocus onClick={() => setAsking(false)}>Keep it</button></div>
          </div>
        </Modal>
      )}
    </section>
  );
}

function Warnings({ area, warnings, own }: { area: Area; warnings: Finding[]; own: boolean }) {
  return (
    <section className="stack">
      <h2>{warnings.length === 0 ? "Nothing to look at" : "To be looked at"}</h2>
      {warnings.length === 0 ? <p className="soft">The lint finds nothing in this policy that a person should look at.</p> : (
        <ul className="findings">{warnings.map((w, i) => {
          const here = own && !/^preset:/.test(w.file);
          return (
            <li key={i} className="finding">
              <span className={`badge level-${w.severity}`}>{w.severity}</span>
              <div><p><code>{w.key}</code> <Ticked text={w.why} />.</p><p className="soft">To mend it: <Ticked text={w.write} />. <a href={href([area.project, "privacy", "change"], { ...of(area.owner), line: here ? String(w.line) : undefined })}>{here ? `Line ${w.line}` : `In ${w.file || fileName}`}</a></p></div>
            </li>
          );
        })}</ul>
      )}
    </section>
  );
}
