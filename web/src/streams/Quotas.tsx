// What Kafka clients may move a second: by user, by client, or each that has nothing of its own.
import { useState } from "react";
import { asProblem, type Problem } from "../lib/api";
import { bytes } from "../lib/format";
import { useLoad } from "../lib/load";
import { setQuery, usePlace } from "../lib/route";
import { streams, type KafkaUser, type Quota } from "../lib/streams";
import { Shown, Trouble } from "../parts/basics";
import { Modal } from "../parts/overlay";

const megabyte = 1_000_000;

/** Whom a quota is for, in words. */
export function forWhom(quota: Quota): string {
  const user = quota.user === null ? "" : quota.user === "*" ? "each user" : `user ${quota.user}`;
  const client = quota.client_id === null ? "" : quota.client_id === "*" ? "each client" : `client ${quota.client_id}`;
  return [user, client].filter(Boolean).join(", ");
}

const rate = (value: number | null) => (value === null ? <span className="soft">no bound</span> : `${bytes(value)}/s`);

export function Quotas({ project, users, may }: { project: string; users: KafkaUser[]; may: boolean }) {
  const { query } = usePlace();
  const loaded = useLoad(project, (signal) => streams.quotas(project, signal));
  const [problem, setProblem] = useState<Problem>();
  const set = (quota: Quota) => streams.setQuota(project, quota).then(() => { setProblem(undefined); loaded.reload(); });
  const remove = (quota: Quota) => void set({ ...quota, produce: null, consume: null }).catch((error) => setProblem(asProblem(error)));
  return (
    <section className="stack">
      <h2>Quotas</h2>
      <p className="soft">Clients that move more are slowed down, not refused. The closest quota counts: user and client before user, before client.</p>
      {problem && <Trouble problem={problem} />}
      <Shown loaded={loaded}>
        {(list) => list.length === 0 ? <p className="soft">No quota yet: clients move as much as they can.</p> : (
          <table className="list">
            <thead><tr><th>For</th><th className="number">Sends</th><th className="number">Reads</th>{may && <th><span className="sr-only">Acts</span></th>}</tr></thead>
            <tbody>{list.map((quota) => (
              <tr key={forWhom(quota)}><td className="data">{forWhom(quota)}</td><td className="number data">{rate(quota.produce)}</td><td className="number data">{rate(quota.consume)}</td>
                {may && <td><button type="button" className="button" data-kind="danger" aria-label={`Remove the quota of ${forWhom(quota)}`} onClick={() => remove(quota)}>Remove</button></td>}</tr>
            ))}</tbody>
          </table>
        )}
      </Shown>
      {may && <div><button type="button" className="button" onClick={() => setQuery({ new: "quota" })}>New quota</button></div>}
      {may && query.get("new") === "quota" && <NewQuota users={users} set={set} close={() => setQuery({ new: undefined })} />}
    </section>
  );
}

function NewQuota({ users, set, close }: { users: KafkaUser[]; set: (quota: Quota) => Promise<void>; close: () => void }) {
  const [problem, setProblem] = useState<Problem>();
  const submit = (form: HTMLFormElement) => {
    const given = new FormData(form);
    const text = (name: string) => String(given.get(name) ?? "").trim() || null;
    const bound = (name: string) => { const value = text(name); return value === null ? null : Number(value) * megabyte; };
    set({ user: text("user"), client_id: text("client"), produce: bound("produce"), consume: bound("consume") }).then(close, (error) => setProblem(asProblem(error)));
  };
  return (
    <Modal close={close} className="help" label="New quota">
      <form className="stack" onSubmit={(event) => { event.preventDefault(); submit(event.currentTarget); }}>
        <h2>New quota</h2>
        {problem && <Trouble problem={problem} />}
        <div className="row limits">
          <div className="field"><label htmlFor="q-user">User</label><select id="q-user" name="user" className="select" autoFocus defaultValue="*"><option value="*">each</option><option value="">does not count</option>{users.map((u) => <option key={u.name}>{u.name}</option>)}</select></div>
          <div className="field"><label htmlFor="q-client">Client id</label><input id="q-client" name="client" className="input data" placeholder="does not count" autoComplete="off" spellCheck={false} /></div>
        </div>
        <div className="row limits">
          <div className="field"><label htmlFor="q-produce">Sends at most, MB/s</label><input id="q-produce" name="produce" className="input data" type="number" min="0.001" step="any" placeholder="no bound" /></div>
          <div className="field"><label htmlFor="q-consume">Reads at most, MB/s</label><input id="q-consume" name="consume" className="input data" type="number" min="0.001" step="any" placeholder="no bound" /></div>
        </div>
        <div className="row"><button className="button" data-kind="primary">Set it</button><button type="button" className="button" onClick={close}>Cancel</button></div>
      </form>
    </Modal>
  );
}
