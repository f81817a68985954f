// The ledger: what was done with a project's data, entry by entry, each with its proof.
import { useEffect, useState } from "react";
import { asProblem, type Problem } from "../lib/api";
import { count, exactWithZone } from "../lib/format";
import { useKeys } from "../lib/keys";
import { actions, actionWords, ledger, type Entry } from "../lib/ledger";
import { useLoad } from "../lib/load";
import { appliedBy } from "../lib/policy";
import { setQuery, usePlace } from "../lib/route";
import { copy, CopyButton, Empty, Shown, Time, Trouble } from "../parts/basics";
import { Person } from "../parts/veil";
import type { Area } from "./area";

export function LedgerPage({ project, me }: Area) {
  const { query } = usePlace();
  const loaded = useLoad(project, (signal) => ledger.page(project, undefined, signal));
  const [older, setOlder] = useState<{ entries: Entry[]; before: number | null }>();
  const [problem, setProblem] = useState<Problem>();
  const all = [...(loaded.data?.entries ?? []), ...(older?.entries ?? [])];
  const before = older ? older.before : loaded.data?.before ?? null;
  const action = query.get("action") ?? "";
  const entries = action ? all.filter((entry) => entry.action === action) : all;
  const chosen = Number(query.get("row") ?? NaN);
  const at = entries.findIndex((entry) => entry.index === chosen);
  const open = at < 0 ? undefined : entries[at];
  const show = (to: number) => { const next = entries[Math.max(0, Math.min(entries.length - 1, to))]; if (next) setQuery({ row: String(next.index) }, open !== undefined); };
  const close = () => setQuery({ row: undefined });
  const more = () => { if (before !== null) ledger.page(project, before).then((page) => setOlder({ entries: [...(older?.entries ?? []), ...page.entries], before: page.before }), (error) => setProblem(asProblem(error))); };
  useKeys({ j: () => show(at + 1), k: () => show(at - 1), arrowdown: () => show(at + 1), arrowup: () => show(at - 1), escape: close, r: () => { setOlder(undefined); loaded.reload(); } });
  useEffect(() => { document.querySelector("tr[data-selected=true]")?.scrollIntoView({ block: "nearest" }); }, [chosen]);
  return (
    <div className="ledger">
      <div className="compare-bar">
        <div className="field"><label htmlFor="l-action">Of what kind</label><select id="l-action" className="select" value={action} onChange={(event) => setQuery({ action: event.target.value || undefined, row: undefined }, true)}><option value="">everything</option>{actions.map(([name, words]) => <option key={name} value={name}>{words}</option>)}</select></div>
        <span className="grow" />
        <CheckpointButton />
      </div>
      {problem && <div className="page"><Trouble problem={problem} again={more} /></div>}
      <Shown loaded={loaded}>
        {() => all.length === 0 ? <Empty title="Nothing in the ledger yet"><p className="soft">Reads of rows about persons, what is revealed or exported, changes of the policy and what is dropped or past its time are written here, and nobody can take an entry back.</p></Empty> : (
          <div className="ledger-body">
            <div className="ledger-list">
              {entries.length === 0 ? <p className="page soft">None of that kind among the newest {count(all.length)}.</p> : (
                <table className="list">
                  <thead><tr><th className="number">Entry</th><th>When</th><th>What</th><th>By</th><th className="number">Rows</th><th className="wide">Persons</th><th className="wide">Clause</th></tr></thead>
                  <tbody>{entries.map((entry) => (
                    <tr key={entry.index} data-selected={entry === open}>
                      <td className="number"><button type="button" className="json-more data" aria-expanded={entry === open} aria-label={`Entry ${entry.index}`} onClick={() => (entry === open ? close() : setQuery({ row: String(entry.index) }))}>{entry.index}</button></td>
                      <td className="nowrap"><Time at={entry.timestamp} /></td><td><span title={entry.action}>{actionWords(entry.action)}</span>{entry.signal && <span className="soft"> of {entry.signal}</span>}{entry.count > 1 && <span className="soft"> {count(entry.count)} times</span>}</td>
                      <td>{appliedBy(entry.actor, me.user)}</td><td className="number data">{count(entry.rows)}</td><td className="wide data">{entry.subject_count ?? ""}</td><td className="wide">{entry.clause && <code className="clause">{entry.clause}</code>}</td>
                    </tr>
                  ))}</tbody>
                </table>
              )}
              {before !== null && <p className="page"><button type="button" className="button" onClick={more}>{action ? "Look further back" : "Older"}</button></p>}
            </div>
            {open && <Detail key={open.index} entry={open} me={me} close={close} />}
          </div>
        )}
      </Shown>
    </div>
  );
}

function Detail({ entry, me, close }: { entry: Entry; me: Area["me"]; close: () => void }) {
  const proof = useLoad(String(entry.index), (signal) => ledger.proof(entry.index, signal));
  const facts: [string, React.ReactNode][] = [
    ["When", <>{entry.since && <>{exactWithZone(entry.since).split("\n")[0]} to </>}{exactWithZone(entry.timestamp).split("\n")[0]}</>], ["By", appliedBy(entry.actor, me.user)], ["Purpose", entry.purpose], ["Signal", entry.signal],
    ["Rows", count(entry.rows)], ["Persons", entry.subject_count], ["Clause", entry.clause && <code className="clause">{entry.clause}</code>], ["Policy", entry.policy && <span title={entry.policy}>{entry.policy.slice(0, 12)}</span>], ["Reason", entry.reason],
  ];
  return (
    <aside className="drawer" aria-label={`Entry ${entry.index}`}>
      <div className="row"><h2 className="grow">Entry {entry.index}: {actionWords(entry.action)}</h2><button type="button" className="button" data-kind="quiet" onClick={close}>Close <kbd>esc</kbd></button></div>
      <dl>{facts.filter(([, value]) => value !== null && value !== undefined && value !== false && value !== "").map(([name, value]) => <div key={name} className="field-line"><dt>{name}</dt><dd><span className="field-value">{value}</span></dd></div>)}</dl>
      {entry.subjects && entry.subjects.length > 0 && <section className="stack"><h3>Whom it concerned</h3><p className="row limits">{entry.subjects.map((code) => <Person key={code} code={code} />)}</p></section>}
      <section className="stack"><div className="row"><h3 className="grow">The entry, as it is hashed</h3><CopyButton text={entry.leaf} aria-label="Copy the entry" /></div><pre className="drawer-text" tabIndex={0} role="region" aria-label="The entry">{entry.leaf}</pre></section>
      <section className="stack">
        <Shown loaded={proof}>{(text) => <><div className="row"><h3 className="grow">Proof that it is in the ledger</h3><CopyButton text={text} label="Copy the proof" /></div><pre className="drawer-text" tabIndex={0} role="region" aria-label="Proof">{text}</pre></>}</Shown>
      </section>
    </aside>
  );
}

/** The newest checkpoint: whoever keeps it can tell later that nothing was taken back. */
function CheckpointButton() {
  const [said, setSaid] = useState("");
  return (
    <div className="row"><span className="soft" role="status">{said}</span><button type="button" className="button" title="Signed; kept elsewhere it shows later that no entry was taken back" onClick={() => ledger.checkpoint().then(copy).then(() => setSaid("Copied"), (error) => setSaid(asProblem(error).message))}>Copy the checkpoint</button></div>
  );
}
