// Users of Kafka clients, the rules of what those who are no owners may do, and what each may move.
import { useState } from "react";
import { asProblem, type Problem } from "../lib/api";
import { useLoad } from "../lib/load";
import { setQuery, usePlace } from "../lib/route";
import { streams, type KafkaUser, type NewKafkaUser, type Overview, type Rule } from "../lib/streams";
import { Shown, Snippet, Time, Trouble } from "../parts/basics";
import { Modal } from "../parts/overlay";
import { Quotas } from "./Quotas";
import { ConfirmName } from "./TopicSettings";

export function AccessPage({ project, overview }: { project: string; overview: Overview }) {
  const { query } = usePlace();
  const users = useLoad(project, (signal) => streams.users(project, signal));
  const rules = useLoad(project, (signal) => streams.rules(project, signal));
  const [made, setMade] = useState<NewKafkaUser>();
  const [problem, setProblem] = useState<Problem>();
  const [gone, setGone] = useState<KafkaUser>();
  const may = overview.may_change;
  const done = () => { setProblem(undefined); users.reload(); rules.reload(); };
  const failed = (error: unknown) => setProblem(asProblem(error));
  const renew = (user: KafkaUser) => streams.renewUser(project, user.name).then((fresh) => { setMade(fresh); done(); }, failed);
  const close = () => setQuery({ new: undefined });
  return (
    <div className="page settings access">
      {problem && <Trouble problem={problem} />}
      <section className="stack">
        <h2>Users</h2>
        <p className="soft">A Kafka client logs in as one of these, by SCRAM-SHA-256, SCRAM-SHA-512 or PLAIN. Passwords are kept as SCRAM keys and shown once.</p>
        <Shown loaded={users}>
          {(list) => list.length === 0 ? <p className="soft">No user yet{may ? ": make the first one." : "."}</p> : (
            <table className="list">
              <thead><tr><th>Name</th><th>May</th><th className="wide">Made</th>{may && <th><span className="sr-only">Acts</span></th>}</tr></thead>
              <tbody>{list.map((user) => (
                <tr key={user.name}>
                  <td className="data">{user.name}</td><td>{user.owner ? "everything" : "what rules allow"}</td><td className="wide"><Time at={user.created_at} /></td>
                  {may && <td><span className="row acts"><button type="button" className="button" data-kind="quiet" aria-label={`New password for ${user.name}`} onClick={() => void renew(user)}>New password</button><button type="button" className="button" data-kind="danger" aria-label={`Delete ${user.name}`} onClick={() => setGone(user)}>Delete</button></span></td>}
                </tr>
              ))}</tbody>
            </table>
          )}
        </Shown>
        {may && <div><button type="button" className="button" onClick={() => setQuery({ new: "user" })}>New user</button></div>}
        {made && <div className="stack" aria-live="polite"><p className="note">This is the only time the password of {made.username} is shown.</p><Snippet label={`Password of ${made.username}`} code={made.password} /></div>}
      </section>
      <section className="stack">
        <h2>Rules</h2>
        <p className="soft">A user that may not do everything may do what a rule allows and none forbids. Nothing said means no.</p>
        <Shown loaded={rules}>
          {(list) => list.length === 0 ? <p className="soft">No rule yet: only users that may do everything get anywhere.</p> : (
            <table className="list">
              <thead><tr><th>Who</th><th>May</th><th>What</th><th className="wide">From</th>{may && <th><span className="sr-only">Acts</span></th>}</tr></thead>
              <tbody>{list.map((rule) => <RuleRow key={JSON.stringify(rule)} rule={rule} may={may} remove={() => void streams.removeRule(project, rule).then(done, failed)} />)}</tbody>
            </table>
          )}
        </Shown>
        {may && <div><button type="button" className="button" onClick={() => setQuery({ new: "rule" })}>New rule</button></div>}
      </section>
      <Quotas project={project} users={users.data ?? []} may={may} />
      {may && query.get("new") === "user" && <NewUser project={project} close={close} done={(fresh) => { setMade(fresh); close(); done(); }} />}
      {may && query.get("new") === "rule" && <NewRule project={project} users={users.data ?? []} close={close} done={() => { close(); done(); }} />}
      {gone && <ConfirmName name={gone.name} act="Delete" close={() => setGone(undefined)} run={() => void streams.deleteUser(project, gone.name).then(done, failed).finally(() => setGone(undefined))} />}
    </div>
  );
}

const plain = (word: string) => word.replace(/_/g, " ");

/** A rule's subject in words: `topic orders`, `topics that begin with tmp-`, `every group`. */
export function aboutWhat(rule: Rule): string {
  const kind = plain(rule.resource);
  if (rule.resource === "cluster") return "the cluster";
  if (rule.prefixed) return `${kind}s that begin with ${rule.name}`;
  return rule.name === "*" ? `every ${kind}` : `${kind} ${rule.name}`;
}

function RuleRow({ rule, may, remove }: { rule: Rule; may: boolean; remove: () => void }) {
  const who = rule.principal === "User:*" ? "everybody" : rule.principal.replace(/^User:/, "");
  return (
    <tr>
      <td className="data">{who}</td><td><span className={rule.allow ? "" : "level-error"}>{rule.allow ? "may" : "may not"}</span> {rule.operation === "all" ? "do everything" : plain(rule.operation)}</td><td className="data">{aboutWhat(rule)}</td><td className="wide data">{rule.host === "*" ? <span className="soft">everywhere</span> : rule.host}</td>
      {may && <td><button type="button" className="button" data-kind="danger" aria-label={`Remove the rule: ${who} ${rule.allow ? "may" : "may not"} ${plain(rule.operation)}, ${aboutWhat(rule)}`} onClick={remove}>Remove</button></td>}
    </tr>
  );
}

function NewUser({ project, close, done }: { project: string; close: () => void; done: (made: NewKafkaUser) => void }) {
  const [problem, setProblem] = useState<Problem>();
  const submit = (form: HTMLFormElement) => {
    const given = new FormData(form);
    streams.createUser(project, String(given.get("name")).trim(), given.get("may") === "owner").then(done, (error) => setProblem(asProblem(error)));
  };
  return (
    <Modal close={close} className="help" label="New user">
      <form className="stack" onSubmit={(event) => { event.preventDefault(); submit(event.currentTarget); }}>
        <h2>New user</h2>
        {problem && <Trouble problem={problem} />}
        <div className="field"><label htmlFor="u-name">Name</label><input id="u-name" name="name" className="input data" required maxLength={200} autoFocus autoComplete="off" spellCheck={false} /></div>
        <div className="field"><label htmlFor="u-may">May</label><select id="u-may" name="may" className="select" defaultValue="rules"><option value="rules">what rules allow</option><option value="owner">everything in this project</option></select></div>
        <div className="row"><button className="button" data-kind="primary">Make it</button><button type="button" className="button" onClick={close}>Cancel</button></div>
      </form>
    </Modal>
  );
}

/** What may be done to each kind of thing, likeliest first. */
const operations: Record<string, string[]> = {
  topic: ["read", "write", "describe", "create", "delete", "alter", "describe_configs", "alter_configs", "all"], group: ["read", "describe", "delete", "describe_configs", "alter_configs", "all"],
  cluster: ["create", "describe", "alter", "idempotent_write", "describe_configs", "alter_configs", "cluster_action", "all"], transactional_id: ["write", "describe", "two_phase_commit", "all"],
};

function NewRule({ project, users, close, done }: { project: string; users: KafkaUser[]; close: () => void; done: () => void }) {
  const [problem, setProblem] = useState<Problem>();
  const [resource, setResource] = useState("topic");
  const submit = (form: HTMLFormElement) => {
    const given = new FormData(form);
    const text = (name: string) => String(given.get(name) ?? "").trim();
    const rule: Rule = { resource, name: resource === "cluster" ? "kafka-cluster" : text("name"), prefixed: resource !== "cluster" && text("pattern") === "prefixed", principal: `User:${text("who")}`, host: text("host") || "*", operation: text("operation"), allow: text("allow") === "may" };
    streams.addRule(project, rule).then(done, (error) => setProblem(asProblem(error)));
  };
  return (
    <Modal close={close} className="help" label="New rule">
      <form className="stack" onSubmit={(event) => { event.preventDefault(); submit(event.currentTarget); }}>
        <h2>New rule</h2>
        {problem && <Trouble problem={problem} />}
        <div className="row limits">
          <div className="field"><label htmlFor="a-who">Who</label><select id="a-who" name="who" className="select" autoFocus>{users.filter((u) => !u.owner).map((u) => <option key={u.name}>{u.name}</option>)}<option value="*">everybody</option></select></div>
          <div className="field"><label htmlFor="a-allow">May</label><select id="a-allow" name="allow" className="select"><option>may</option><option>may not</option></select></div>
          <div className="field"><label htmlFor="a-operation">Do</label><select id="a-operation" name="operation" className="select" key={resource}>{operations[resource]!.map((o) => <option key={o} value={o}>{o === "all" ? "everything" : plain(o)}</option>)}</select></div>
        </div>
        <div className="row limits">
          <div className="field"><label htmlFor="a-resource">To a</label><select id="a-resource" className="select" value={resource} onChange={(event) => setResource(event.target.value)}>{Object.keys(operations).map((r) => <option key={r} value={r}>{plain(r)}</option>)}</select></div>
          {resource !== "cluster" && <>
            <div className="field"><label htmlFor="a-pattern">Whose name</label><select id="a-pattern" name="pattern" className="select"><option value="literal">is</option><option value="prefixed">begins with</option></select></div>
            <div className="field"><label htmlFor="a-name">Name</label><input id="a-name" name="name" className="input data" required maxLength={300} placeholder="orders, or * for all" autoComplete="off" spellCheck={false} /></div>
          </>}
        </div>
        <div className="field"><label htmlFor="a-host">From</label><input id="a-host" name="host" className="input data" placeholder="everywhere, or an address" autoComplete="off" /></div>
        <div className="row"><button className="button" data-kind="primary">Add it</button><button type="button" className="button" onClick={close}>Cancel</button></div>
      </form>
    </Modal>
  );
}
