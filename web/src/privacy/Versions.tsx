// Every version that a policy had, and the source of one.
import { lazy, Suspense, useEffect } from "react";
import { useKeys } from "../lib/keys";
import { useLoad } from "../lib/load";
import { appliedBy, policies, stateOf, type State, type Version } from "../lib/policy";
import { href, setQuery, usePlace } from "../lib/route";
import { CopyButton, Empty, Shown, Skeleton, Time } from "../parts/basics";
import { Source } from "./Source";
import { of, type Area } from "./area";

const Compare = lazy(() => import("./Compare"));

const states: Record<State, [css: string, words: string]> = {
  holds: ["state-ok", "holds"], announced: ["level-info", "announced"], ended: ["soft", "ended"], withdrawn: ["soft", "withdrawn"],
};

export function Versions(area: Area) {
  const { project, owner, shown } = area;
  const { query } = usePlace();
  const loaded = useLoad(`${owner ?? ""} ${shown.in_force?.epoch} ${shown.announced?.epoch}`, (signal) => policies.versions(owner, signal));
  return (
    <Shown loaded={loaded}>
      {(versions) => versions.length === 0 ? (
        <Empty title={`${project} has no policy of its own`}>
          <p className="soft">The instance's holds here: <a href={href([project, "privacy", "versions"], of(undefined))}>its versions</a>. The first one of {project} appears here once it is applied: <a href={area.address("change")}>write it</a>.</p>
        </Empty>
      ) : query.get("to") ? <Suspense fallback={<Skeleton />}><Compare area={area} versions={versions} /></Suspense> : <List area={area} versions={versions} />}
    </Shown>
  );
}

function List({ area, versions }: { area: Area; versions: Version[] }) {
  const { owner, me } = area;
  const { query } = usePlace();
  const asked = Number(query.get("epoch"));
  const at = Math.max(0, versions.findIndex((v) => v.epoch === asked));
  const chosen = versions[at]!;
  const show = (to: number) => { const next = versions[Math.max(0, Math.min(versions.length - 1, to))]; if (next) setQuery({ epoch: String(next.epoch) }, true); };
  const compare = () => { if (versions.length > 1) setQuery({ from: String((versions[at + 1] ?? versions[at - 1])!.epoch), to: String(chosen.epoch) }); };
  useKeys({ j: () => show(at + 1), k: () => show(at - 1), arrowdown: () => show(at + 1), arrowup: () => show(at - 1), d: compare });
  const loaded = useLoad(`${owner ?? ""} ${chosen.epoch}`, (signal) => policies.version(owner, chosen.epoch, signal));
  useEffect(() => { document.querySelector("tr[data-selected=true]")?.scrollIntoView({ block: "nearest" }); }, [chosen.epoch]);
  return (
    <div className="page privacy-page stack">
      <div className="table-room" tabIndex={0} role="region" aria-label="Versions">
        <table className="list versions">
          <thead><tr><th>Epoch</th><th>State</th><th>Applied</th><th>By</th><th>Holds from</th><th>Until</th><th>Hash</th></tr></thead>
          <tbody>{versions.map((v, i) => {
            const [css, words] = states[stateOf(v)];
            return (
              <tr key={v.epoch} data-selected={i === at}>
                <td><a className="data" aria-current={i === at ? "true" : undefined} href={href([area.project, "privacy", "versions"], { ...of(owner), epoch: String(v.epoch) })}>{v.epoch}</a></td>
                <td><span className={`badge ${css}`}>{words}</span>{v.is_interim && <span className="soft" title="The policy before it with the stricter parts of the one that was announced"> interim</span>}</td>
                <td><Time at={v.applied_at} /></td><td>{appliedBy(v.applied_by, me.user)}</td>
                <td>{v.activated_at ? <Time at={v.activated_at} /> : stateOf(v) === "announced" ? <Time at={v.effective_at} /> : <span className="soft">never</span>}</td>
                <td>{v.ended_at ? <Time at={v.ended_at} /> : <span className="soft">{stateOf(v) === "announced" ? "" : "now"}</span>}</td><td className="data" title={v.hash}>{v.hash.slice(0, 12)}</td>
              </tr>
            );
          })}</tbody>
        </table>
      </div>
      <Shown loaded={loaded}>
        {(one) => one.epoch !== chosen.epoch ? null : (
          <section className="stack">
            <div className="row limits"><h2 className="grow">Source of epoch {one.epoch}</h2><CopyButton text={one.source} aria-label="Copy the source" />{versions.length > 1 && <button type="button" className="button" onClick={compare}>Compare <kbd>d</kbd></button>}</div>
            <Source text={one.source} label={`Source of epoch ${one.epoch}`} />
          </section>
        )}
      </Shown>
    </div>
  );
}
