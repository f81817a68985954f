// Before a policy is applied: what holds at once, and what waits until when.
import { useState } from "react";
import { asProblem, type Problem } from "../lib/api";
import { day } from "../lib/format";
import { planned, policies, type Applied, type Change } from "../lib/policy";
import { Trouble } from "../parts/basics";
import { Modal } from "../parts/overlay";
import { Changes } from "./Changes";
import { ownerName, type Area } from "./area";

export function ApplyDialog({ area, text, changes, close, done }: { area: Area; text: string; changes: Change[]; close: () => void; done: (applied: Applied) => void }) {
  const { owner, shown } = area;
  const [problem, setProblem] = useState<Problem>();
  const [busy, setBusy] = useState(false);
  const plan = planned(changes, shown.in_force?.policy.governance.changes ?? { prior_days: 0, subprocessor_days: 0 });
  const apply = () => {
    setBusy(true);
    policies.apply(owner, text).then(done, (error) => setProblem(asProblem(error))).finally(() => setBusy(false));
  };
  return (
    <Modal close={close} className="help apply" label="Apply the policy">
      <div className="stack">
        <h2>Apply this policy to {ownerName(owner)}?</h2>
        {problem && <Trouble problem={problem} />}
        {changes.length === 0 && <p>It says what holds already, in other words.</p>}
        {plan.now.length > 0 && <section className="stack"><h3>Holds at once</h3><Changes changes={plan.now} none="" /></section>}
        {plan.later.length > 0 && plan.at !== undefined && (
          <section className="stack">
            <h3>Waits until {day(plan.at)}: {plan.days} {plan.days === 1 ? "day" : "days"} of notice</h3>
            <p className="soft">{plan.now.length ? "It is announced now and holds for new records from that day on." : "Something loosens and nothing tightens: the whole file is announced now and holds for new records from that day on."}</p>
            <Changes changes={plan.later} none="" />
          </section>
        )}
        {shown.announced && <p className="note">Epoch {shown.announced.epoch}, which was announced, is withdrawn by this.</p>}
        <div className="row"><button type="button" className="button" data-kind="primary" disabled={busy} autoFocus onClick={apply}>{plan.at === undefined ? "Apply it" : "Announce it"}</button><button type="button" className="button" onClick={close}>Not yet</button></div>
      </div>
    </Modal>
  );
}
