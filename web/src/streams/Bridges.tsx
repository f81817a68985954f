// Bridges: which other clusters topics are mirrored from and to, how far each is, and what stands in its way.
import { useState } from "react";
import { asProblem, type Problem } from "../lib/api";
import { count } from "../lib/format";
import { useKeys } from "../lib/keys";
import { useLoad, usePolling } from "../lib/load";
import { go, href, setQuery, usePlace } from "../lib/route";
import { bridgeStates, perSecond, streams, type Bridge, type NewBridge, type Overview } from "../lib/streams";
import { Shown, SkeletonRows, Snippet, Trouble } from "../parts/basics";
import { Modal } from "../parts/overlay";

const lookEveryMs = 3000;

export function BridgeStateOf({ bridge }: { bridge: Bridge }) {
  const [css, words, meaning] = bridgeStates[bridge.state];
  return <span className={`badge ${css}`} title={meaning}>{words}</span>;
}

export const bridgeWay = (bridge: Bridge) => `${bridge.direction === "pull" ? "from" : "to"} ${bridge.bootstrap.join(", ")}`;

/** What stands in a bridge's way: itself, or the first of its topics that is not mirrored. */
function wrongWith(bridge: Bridge): string | null {
  if (bridge.error) return bridge.error;
  const topics = bridge.mirrored.filter((t) => t.error);
  const first = topics[0];
  if (!first) return bridge.groups_error;
  return `${first.source}: ${first.error}${topics.length > 1 ? `, and ${topics.length - 1} more` : ""}`;
}

export function Bridges({ project, overview }: { project: string; overview: Overview }) {
  const { query } = usePlace();
  const loaded = useLoad(project, (signal) => streams.bridges(project, signal));
  usePolling(loaded.reload, lookEveryMs);
  const [chosen, setChosen] = useState<string>();
  const bridges = loaded.data ?? [];
  const at = Math.max(0, bridges.findIndex((b) => b.name === chosen));
  const move = (to: number) => setChosen(bridges[Math.max(0, Math.min(bridges.length - 1, to))]?.name);
  const open = (bridge?: Bridge) => { if (bridge) go(href([project, "streams", "bridges", bridge.name])); };
  useKeys({ j: () => move(at + 1), k: () => move(at - 1), arrowdown: () => move(at + 1), arrowup: () => move(at - 1), enter: () => open(bridges[at]), r: loaded.reload });
  const may = overview.may_change;
  return (
    <>
      <Shown loaded={loaded} skeleton={<SkeletonRows columns="1fr 1fr 92px 92px 92px 1fr" rows={4} rowPx={33} />}>
        {(list) => list.length === 0 ? (
          <section className="page stack first">
            <div><h2>No bridge yet</h2><p className="soft">A bridge mirrors topics from another Kafka cluster to here, or from here to there: each record once, in order, and on request where consumer groups stand.</p></div>
            <Snippet label="Make a bridge" code={`candor bridge create main --project ${project} --from kafka.example.org:9092 --topics 'orders,clicks-*' --groups`} />
            {may && <div><button type="button" className="button" onClick={() => setQuery({ new: "1" })}>New bridge</button></div>}
          </section>
        ) : (
          <>
            {may && <div className="streams-head bridges-head"><button type="button" className="button" onClick={() => setQuery({ new: "1" })}>New bridge</button></div>}
            <table className="list groups bridges">
              <thead><tr><th>Bridge</th><th>State</th><th className="wide">Other cluster</th><th className="number">Lag</th><th className="number">Rate</th><th className="number narrow-out">Topics</th><th className="wide">In the way</th></tr></thead>
              <tbody>{list.map((b, i) => (
                <tr key={b.name} data-selected={i === at}>
                  <td><a className="topic-name data" href={href([project, "streams", "bridges", b.name])}>{b.name}</a></td><td><BridgeStateOf bridge={b} /></td>
                  <td className="wide data">{bridgeWay(b)}</td><td className="number data">{count(b.lag)}</td><td className="number data">{perSecond(b.records_per_second)}</td>
                  <td className="number data narrow-out">{count(b.mirrored.length)}</td><td className="wide">{wrongWith(b) ?? <span className="soft">nothing</span>}</td>
                </tr>
              ))}</tbody>
            </table>
          </>
        )}
      </Shown>
      {may && query.get("new") === "1" && <NewBridgeForm project={project} close={() => setQuery({ new: undefined })} />}
    </>
  );
}

const words = (text: string) => text.split(/[\s,]+/).filter(Boolean);

function NewBridgeForm({ project, close }: { project: string; close: () => void }) {
  const [problem, setProblem] = useState<Problem>();
  const [tls, setTls] = useState(false);
  const [sasl, setSasl] = useState("");
  const submit = (form: HTMLFormElement) => {
    const given = new FormData(form);
    const text = (name: string) => String(given.get(name) ?? "").trim();
    const told: NewBridge = {
      name: text("name"), direction: text("direction") === "push" ? "push" : "pull", bootstrap: words(text("bootstrap")), tls, ca: (tls && text("ca")) || null,
      sasl: sasl ? { mechanism: sasl, username: text("username"), password: String(given.get("password") ?? "") } : null,
      topics: words(text("topics")), exclude: words(text("exclude")), prefix: text("prefix"), start: text("start") === "latest" ? "latest" : "earliest", groups: given.get("groups") === "on",
    };
    streams.createBridge(project, told).then((made) => go(href([project, "streams", "bridges", made.name]), true), (error) => setProblem(asProblem(error)));
  };
  return (
    <Modal close={close} className="help" label="New bridge">
      <form className="stack" onSubmit={(event) => { event.preventDefault(); submit(event.currentTarget); }}>
        <h2>New bridge</h2>
        {problem && <Trouble problem={problem} />}
        <div className="row limits">
          <div className="field"><label htmlFor="b-name">Name</label><input id="b-name" name="name" className="input data" required maxLength={60} autoFocus autoComplete="off" spellCheck={false} /></div>
          <div className="field"><label htmlFor="b-way">Records go</label><select id="b-way" name="direction" className="select"><option value="pull">from the other cluster to here</option><option value="push">from here to the other cluster</option></select></div>
        </div>
        <div className="field"><label htmlFor="b-servers">Servers of the other cluster</label><input id="b-servers" name="bootstrap" className="input data" required placeholder="kafka.example.org:9092" autoComplete="off" spellCheck={false} /></div>
        <div className="row limits">
          <div className="field"><label htmlFor="b-topics">Topics</label><input id="b-topics" name="topics" className="input data" required defaultValue="*" autoComplete="off" spellCheck={false} /></div>
          <div className="field"><label htmlFor="b-exclude">But not</label><input id="b-exclude" name="exclude" className="input data" autoComplete="off" spellCheck={false} /></div>
          <div className="field"><label htmlFor="b-prefix">Prefix</label><input id="b-prefix" name="prefix" className="input data" maxLength={100} placeholder="none" autoComplete="off" spellCheck={false} /></div>
        </div>
        <div className="row limits">
          <div className="field"><label htmlFor="b-start">Begin</label><select id="b-start" name="start" className="select"><option value="earliest">with the oldest record</option><option value="latest">with what comes from now on</option></select></div>
          <div className="field"><label htmlFor="b-tls">Connection</label><select id="b-tls" className="select" value={tls ? "tls" : ""} onChange={(event) => setTls(event.target.value === "tls")}><option value="">in the clear</option><option value="tls">TLS</option></select></div>
          <div className="field"><label htmlFor="b-sasl">Log in</label><select id="b-sasl" className="select" value={sasl} onChange={(event) => setSasl(event.target.value)}><option value="">as nobody</option><option>SCRAM-SHA-512</option><option>SCRAM-SHA-256</option><option>PLAIN</option></select></div>
        </div>
        {tls && <div className="field"><label htmlFor="b-ca">Certificates to trust (PEM)</label><textarea id="b-ca" name="ca" className="input data" rows={3} placeholder="the system's" spellCheck={false} /></div>}
        {sasl && (
          <div className="row limits">
            <div className="field"><label htmlFor="b-user">User</label><input id="b-user" name="username" className="input data" required autoComplete="off" spellCheck={false} /></div>
            <div className="field"><label htmlFor="b-password">Password</label><input id="b-password" name="password" className="input data" type="password" required autoComplete="new-password" /></div>
          </div>
        )}
        <label className="row"><input type="checkbox" name="groups" /> Carry over where consumer groups stand</label>
        <p className="soft">In names of topics * stands for any characters. A password is kept sealed and never shown. What comes in passes the gate. Only an owner of the organisation makes bridges.</p>
        <div className="row"><button className="button" data-kind="primary">Make it</button><button type="button" className="button" onClick={close}>Cancel</button></div>
      </form>
    </Modal>
  );
}
