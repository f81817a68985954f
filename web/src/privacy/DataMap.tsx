// The data map: which signal goes where, why, how long, and what the gate does on the way; made from the policy in force.
import { basisWords, deeds, mapRows, peersOf, recipientsOf, signalName, spanWords, termWords } from "../lib/datamap";
import type { Activity, Policy } from "../lib/policy";
import { useLoad } from "../lib/load";
import { href } from "../lib/route";
import { bridgeStates, streams } from "../lib/streams";
import { Empty, Shown } from "../parts/basics";
import { of, ownerName, type Area } from "./area";

export function DataMap(area: Area) {
  const held = area.shown.in_force;
  if (!held) return <Empty title="No policy holds"><p><a href={area.address("change")}>Write one</a></p></Empty>;
  const { policy } = held;
  return (
    <div className="page privacy-page stack">
      <section className="stack">
        <div><h1>Where data goes</h1><p className="soft">Made from the policy of {ownerName(area.shown.has_own ? area.owner : undefined)} in force, epoch {held.epoch}. Nothing here is written by hand.</p></div>
        <Signals policy={policy} />
      </section>
      <Recipients policy={policy} />
      <Peers project={area.project} policy={policy} />
      <section className="stack">
        <div><h2>What the gate does on the way</h2><p className="soft">Before anything is stored. <a href={href([area.project, "privacy", "test"], of(area.owner))}>Try it on a record</a>.</p></div>
        <dl className="deeds">{deeds(policy).map((deed) => <div key={`${deed.key} ${deed.does}`}><dt>{deed.what}</dt><dd>{deed.does}</dd><dd><code className="clause">{deed.key}</code></dd></div>)}</dl>
      </section>
    </div>
  );
}

const Terms = ({ terms, plain }: { terms: string[]; plain?: boolean }) => (terms.length === 0 ? <span className="soft">none said</span> : <ul>{terms.map((term) => <li key={term}>{plain ? termWords(term) : <code>{term}</code>}</li>)}</ul>);

/** An activity's cells span its signals. */
function Signals({ policy }: { policy: Policy }) {
  const rows = mapRows(policy);
  return (
    <div className="table-room" tabIndex={0} role="region" aria-label="Data map">
      <table className="list map">
        <thead><tr><th>Signal</th><th>Activity</th><th>About</th><th>Purpose</th><th>Legal basis</th><th>Kept</th><th>Categories of data</th><th>Who else gets it</th></tr></thead>
        <tbody>{rows.map(({ signal, activity, recipients }) => {
          const first = activity.signals[0] === signal, span = activity.signals.length;
          return (
            <tr key={`${activity.id} ${signal}`} className={first ? "map-first" : undefined}>
              <td className="data">{signalName(signal)}</td>
              {first && <>
                <td rowSpan={span}>{activity.title ?? activity.id}</td>
                <td rowSpan={span}><Terms terms={activity.subjects} plain /></td>
                <td rowSpan={span}>{activity.purpose ? <span title={activity.purpose}>{termWords(activity.purpose)}</span> : <Terms terms={activity.data_uses} />}</td>
                <td rowSpan={span} title={activity.legal_basis}>{basisWords(activity.legal_basis)}</td>
                <td rowSpan={span}><Kept activity={activity} /></td>
                <td rowSpan={span}><Terms terms={activity.data_categories} /></td>
                <td rowSpan={span}>{recipients.length ? recipients.map((r) => r.name).join(", ") : <span className="soft">nobody</span>}</td>
              </>}
            </tr>
          );
        })}</tbody>
      </table>
    </div>
  );
}

function Kept({ activity: { retention } }: { activity: Activity }) {
  return <>{spanWords(retention.live)}<span className="soft map-note">bytes gone {spanWords(retention.max_lag)} later{retention.backups === "0d" ? ", no backups" : `, backups ${spanWords(retention.backups)}`}</span></>;
}

function Recipients({ policy }: { policy: Policy }) {
  if (policy.recipient.length === 0) return <section><h2>Who else gets data</h2><p className="soft">Nobody: the policy names no recipient.</p></section>;
  return (
    <section className="stack">
      <h2>Who else gets data</h2>
      <div className="table-room" tabIndex={0} role="region" aria-label="Recipients">
        <table className="list map">
          <thead><tr><th>Recipient</th><th>Country</th><th>As</th><th>Uses</th><th>Of which activities</th><th>Fields</th><th>Transfer by</th><th>Addresses</th></tr></thead>
          <tbody>{policy.recipient.map((r) => {
            const activities = policy.activity.filter((activity) => recipientsOf(activity, [r]).length);
            return (
              <tr key={r.id}>
                <td>{r.name}</td><td>{r.country}</td><td title={r.role}>{termWords(r.role)}</td><td><Terms terms={r.uses} /></td>
                <td>{activities.length ? activities.map((one) => one.title ?? one.id).join(", ") : <span className="soft">a use of its own</span>}</td>
                <td><Terms terms={r.fields} /></td><td>{r.transfer ? <code>{r.transfer}</code> : <span className="soft">none said</span>}</td><td><Terms terms={r.endpoints} /></td>
              </tr>
            );
          })}</tbody>
        </table>
      </div>
    </section>
  );
}

/** Where records leave for now, beside who is declared there: what the policy does not name is not sent to. */
function Peers({ project, policy }: { project: string; policy: Policy }) {
  const loaded = useLoad(project, (signal) => streams.bridges(project, signal));
  return (
    <section className="stack">
      <div><h2>Where records of {project} are sent now</h2><p className="soft">By bridges to other clusters, the one way out there is. One whose address is no recipient's is refused, and paused when its recipient goes; this machine itself is nobody else.</p></div>
      <Shown loaded={loaded}>
        {(bridges) => {
          const peers = peersOf(bridges, policy.recipient);
          if (peers.length === 0) return <p className="soft">Nowhere.</p>;
          return (
            <div className="table-room" tabIndex={0} role="region" aria-label="Where records are sent">
              <table className="list map peers">
                <thead><tr><th>Address</th><th>Declared as</th><th>By bridge</th><th>It is</th></tr></thead>
                <tbody>{peers.map((peer) => {
                  const bridge = bridges.find((one) => one.name === peer.bridge)!, [css, words, meaning] = bridgeStates[bridge.state];
                  return (
                    <tr key={`${peer.bridge} ${peer.address}`}>
                      <td className="data">{peer.address}</td>
                      <td>{peer.declared.length ? peer.declared.map((r) => r.name).join(", ") : peer.here ? <span className="soft">this machine</span> : <span className="way-loosening">nobody</span>}</td>
                      <td><a href={href([project, "streams", "bridges", peer.bridge])}>{peer.bridge}</a></td>
                      <td><span className={`badge ${css}`} title={meaning}>{words}</span>{bridge.error && <span className="soft map-note">{bridge.error}</span>}</td>
                    </tr>
                  );
                })}</tbody>
              </table>
            </div>
          );
        }}
      </Shown>
    </section>
  );
}
