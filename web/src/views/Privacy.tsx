// Privacy: the policy that holds, changing it, its versions, what it makes of a record, where data goes, who did what with it.
import type { Me } from "../lib/api";
import { useKeys } from "../lib/keys";
import { useLoad } from "../lib/load";
import { policies } from "../lib/policy";
import { href, setQuery, usePlace } from "../lib/route";
import { Shown } from "../parts/basics";
import { Change } from "../privacy/Change";
import { DataMap } from "../privacy/DataMap";
import { InForce } from "../privacy/InForce";
import { LedgerPage } from "../privacy/Ledger";
import { Tester } from "../privacy/Tester";
import { Versions } from "../privacy/Versions";
import { useDraft } from "../privacy/draft";
import { of, type Area } from "../privacy/area";
import "../design/privacy.css";

const parts = [["policy", "Policy"], ["change", "Change it"], ["versions", "Versions"], ["test", "Try a record"], ["map", "Data map"], ["ledger", "Ledger"]] as const;

export function Privacy({ me, project }: { me: Me; project: string }) {
  const { path, query } = usePlace();
  const part = path[2] ?? "policy";
  const instance = query.get("of") === "instance";
  const owner = instance ? undefined : project;
  const loaded = useLoad(`${project} ${owner ?? "instance"}`, (signal) => policies.show(owner, signal).then((shown) => ({ shown, owner })));
  const [draft, setDraft] = useDraft(owner);
  const org = me.orgs.find((one) => project.startsWith(`${one.name}/`)) ?? me.orgs[0];
  const may = (instance ? me.orgs[0] : org)?.role === "owner";
  const address = (to: string) => href([project, "privacy", ...(to === "policy" ? [] : [to])], of(owner));
  useKeys({ r: loaded.reload });
  return (
    <div className="privacy">
      <div className="privacy-head">
        <nav className="tabs" aria-label="Privacy">
          {parts.map(([id, label]) => <a key={id} className="tab" aria-current={part === id ? "page" : undefined} href={address(id)}>{label}{id === "change" && draft !== undefined && <span className="badge level-info">not applied</span>}</a>)}
        </nav>
        {part !== "ledger" && <div className="row" role="group" aria-label="Whose policy">
          <button type="button" className="button" aria-pressed={!instance} onClick={() => setQuery({ of: undefined, from: undefined, to: undefined, epoch: undefined })}>{project}</button>
          <button type="button" className="button" aria-pressed={instance} title="What holds where a project has no policy of its own" onClick={() => setQuery({ of: "instance", from: undefined, to: undefined, epoch: undefined })}>The instance</button>
        </div>}
      </div>
      <Shown loaded={loaded}>
        {({ shown, owner: asked }) => {
          // What was loaded for another owner is never shown under this one.
          if (asked !== owner) return null;
          const area: Area = { me, project, owner, may, shown, draft, setDraft, reload: loaded.reload, address };
          return part === "change" ? <Change key={owner ?? ""} {...area} />
            : part === "versions" ? <Versions key={owner ?? ""} {...area} />
            : part === "test" ? <Tester {...area} />
            : part === "map" ? <DataMap {...area} />
            : part === "ledger" ? <LedgerPage key={project} {...area} />
            : <InForce {...area} />;
        }}
      </Shown>
    </div>
  );
}
