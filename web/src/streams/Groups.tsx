// Groups of Kafka clients: how they stand and how far they are behind.
import { useEffect, useState } from "react";
import { count } from "../lib/format";
import { useKeys } from "../lib/keys";
import { useLoad, usePolling } from "../lib/load";
import { go, href, setQuery, usePlace } from "../lib/route";
import { streams, type Overview } from "../lib/streams";
import { Empty, Shown, SkeletonRows, Snippet } from "../parts/basics";
import { SearchBar } from "../parts/SearchBar";

const lookEveryMs = 3000;

/** Kafka's words for how a group stands, in plain ones. */
const states: Record<string, [css: string, words: string, meaning: string]> = {
  Stable: ["state-ok", "reading", "Every member knows what it reads"], Empty: ["soft", "idle", "Nobody reads in it; its offsets are kept"], Dead: ["soft", "gone", "It has neither members nor offsets"],
  PreparingRebalance: ["level-warning", "rebalancing", "Members are asked to join again"], CompletingRebalance: ["level-warning", "rebalancing", "The leader assigns partitions"],
  Assigning: ["level-warning", "assigning", "Partitions are being assigned"], Reconciling: ["level-warning", "reconciling", "Members let go of partitions and take others"],
};

export function StateOf({ state }: { state: string }) {
  const [css, words, meaning] = states[state] ?? ["soft", state, ""];
  return <span className={`badge ${css}`} title={meaning ? `${meaning} (${state})` : state}>{words}</span>;
}

export function Groups({ project, overview }: { project: string; overview: Overview }) {
  const { query } = usePlace();
  const q = query.get("q") ?? "";
  const [chosen, setChosen] = useState<string>();
  const loaded = useLoad(`${project} ${q}`, (signal) => streams.groups(project, q, signal));
  usePolling(loaded.reload, lookEveryMs);
  const groups = loaded.data?.groups ?? [];
  const at = Math.max(0, groups.findIndex((g) => g.group === chosen));
  const move = (to: number) => setChosen(groups[Math.max(0, Math.min(groups.length - 1, to))]?.group);
  const address = (group: string) => href([project, "streams", "groups", group]);
  useKeys({ j: () => move(at + 1), k: () => move(at - 1), arrowdown: () => move(at + 1), arrowup: () => move(at - 1), r: loaded.reload, enter: () => { const g = groups[at]; if (g) go(address(g.group)); } });
  useEffect(() => { document.querySelector("tr[data-selected=true]")?.scrollIntoView({ block: "nearest" }); }, [chosen]);
  return (
    <>
      <div className="streams-head"><SearchBar label="Search groups" placeholder="a group's name" q={q} run={(next) => setQuery({ q: next || undefined }, true)} /></div>
      <Shown loaded={loaded} skeleton={<SkeletonRows columns="1fr 120px 92px 92px 1fr" rows={8} rowPx={33} />}>
        {(data) => groups.length === 0 ? q ? <Empty title="No group fits"><p><button type="button" className="button" onClick={() => setQuery({ q: undefined })}>Clear the search</button></p></Empty> : (
          <section className="page stack first">
            <div><h2>No group reads yet</h2><p className="soft">A consumer with a group is here from its first join on.</p></div>
            <Snippet label="kcat snippet" code={`kcat -b ${overview.bootstrap} -G billing orders \\\n  -X security.protocol=${overview.tls ? "SASL_SSL" : "SASL_PLAINTEXT"} -X sasl.mechanism=SCRAM-SHA-256 \\\n  -X sasl.username='${overview.users[0] ?? "USERNAME"}' -X sasl.password='YOUR_PASSWORD'`} />
            <p className="wait"><i />Waiting for the first one</p>
          </section>
        ) : (
          <>
            <table className="list groups">
              <thead><tr><th>Group</th><th>State</th><th className="number">Members</th><th className="number">Lag</th><th className="wide">Topics</th><th className="wide">Protocol</th></tr></thead>
              <tbody>{groups.map((g, i) => (
                <tr key={g.group} data-selected={i === at}>
                  <td><a className="topic-name data" href={address(g.group)}>{g.group || "(no name)"}</a></td><td><StateOf state={g.state} /></td><td className="number data">{count(g.members)}</td><td className="number data">{g.topics.length ? count(g.lag) : <span className="soft">none</span>}</td>
                  <td className="wide data">{g.topics.slice(0, 3).join(", ")}{g.topics.length > 3 && <span className="soft"> and {g.topics.length - 3} more</span>}</td><td className="wide">{g.kind}</td>
                </tr>
              ))}</tbody>
            </table>
            {data.total > groups.length && <p className="page soft">The first {count(groups.length)} of {count(data.total)} are shown. Search to find others.</p>}
          </>
        )}
      </Shown>
    </>
  );
}
