// Every version that a policy had, and two sources beside each other.
import { useEffect, useState } from "react";
import { useKeys } from "../lib/keys";
import { useLoad } from "../lib/load";
import { appliedBy, policies, stateOf, type State, type Version } from "../lib/policy";
import { href, setQuery, usePlace } from "../lib/route";
import { diffLines } from "../lib/schemas";
import { CopyButton, Empty, Shown, Time } from "../parts/basics";
import { DiffBar, DiffRows, useJump } from "../parts/TextDiff";
import { Source } from "./Source";
import { of, type Area } from "./area";

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
      ) : query.get("to") ? <Compare area={area} versions={versions} /> : <List area={area} versions={versions} />}
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
                <td>{v.ended_at ? <Time at={v.ended_at} /> : <span className="soft">now</span>}</td><td className="data" title={v.hash}>{v.hash.slice(0, 12)}</td>
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

/** What is written and not applied may be compared, too. */
const draftName = "draft";

function Compare({ area, versions }: { area: Area; versions: Version[] }) {
  const { owner, draft } = area;
  const { query } = usePlace();
  const [written] = useState(draft);
  const names = [...(written === undefined ? [] : [draftName]), ...versions.map((v) => String(v.epoch))];
  const pick = (key: string, otherwise: string) => { const asked = query.get(key); return asked && names.includes(asked) ? asked : otherwise; };
  const to = pick("to", names[0]!), from = pick("from", names[1] ?? names[0]!);
  const unified = query.get("as") === "unified";
  const source = (name: string, signal: AbortSignal) => (name === draftName ? Promise.resolve(written ?? "") : policies.version(owner, Number(name), signal).then((one) => one.source));
  const loaded = useLoad(`${owner ?? ""} ${from} ${to}`, (signal) => Promise.all([source(from, signal), source(to, signal)]).then(([a, b]) => ({ from, to, rows: diffLines(a.trimEnd(), b.trimEnd()) })));
  const { whole, jump } = useJump();
  const title = (name: string) => (name === draftName ? "what is being written" : `epoch ${name}`);
  useKeys({ escape: () => setQuery({ from: undefined, to: undefined, as: undefined }) });
  const choice = (id: "from" | "to", label: string, value: string) => (
    <div className="field"><label htmlFor={`v-${id}`}>{label}</label><select id={`v-${id}`} className="select" value={value} onChange={(event) => setQuery({ [id]: event.target.value }, true)}>{names.map((name) => <option key={name} value={name}>{title(name)}</option>)}</select></div>
  );
  return (
    <div className="compare" ref={whole}>
      <div className="compare-bar">
        <button type="button" className="button" onClick={() => setQuery({ from: undefined, to: undefined, as: undefined })}>All versions</button>
        {choice("from", "From", from)}{choice("to", "To", to)}
        <button type="button" className="button" aria-label="Turn around" title="Turn around" onClick={() => setQuery({ from: to, to: from }, true)}>⇄</button>
        <DiffBar jump={jump} />
      </div>
      <Shown loaded={loaded}>{(two) => <DiffRows key={`${two.from} ${two.to}`} unified={unified} rows={two.rows} from={title(two.from)} to={title(two.to)} />}</Shown>
    </div>
  );
}
