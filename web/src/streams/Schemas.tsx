// Subjects of schemas: what there is, how each may change, and what is set for all of them.
import { useEffect, useState } from "react";
import { asProblem, type Problem } from "../lib/api";
import { count } from "../lib/format";
import { useKeys } from "../lib/keys";
import { useLoad, usePolling } from "../lib/load";
import { go, href, setQuery, usePlace } from "../lib/route";
import { kindNames, schemas, schemaSnippets, type Settings, type Subject } from "../lib/schemas";
import { fresh } from "../lib/snippets";
import { passwordGone, type Overview } from "../lib/streams";
import { Empty, Shown, SkeletonRows, Snippet, Trouble } from "../parts/basics";
import { Modal } from "../parts/overlay";
import { SearchBar } from "../parts/SearchBar";
import { SchemaForm } from "./SchemaForm";
import { SettingsForm } from "./SchemaSettings";

const lookEveryMs = 3000;

export const subjectAddress = (project: string, subject: string, query: Record<string, string | undefined> = {}) => href([project, "streams", "schemas", subject], query);

export function Schemas({ project, overview }: { project: string; overview: Overview }) {
  const { query } = usePlace();
  const q = query.get("q") ?? "", deleted = query.get("deleted") === "1", id = query.get("id");
  const [chosen, setChosen] = useState<string>();
  const loaded = useLoad(`${project} ${q} ${deleted}`, (signal) => schemas.list(project, q, deleted, signal));
  usePolling(loaded.reload, lookEveryMs);
  const subjects = loaded.data?.subjects ?? [];
  const at = Math.max(0, subjects.findIndex((s) => s.subject === chosen));
  const move = (to: number) => setChosen(subjects[Math.max(0, Math.min(subjects.length - 1, to))]?.subject);
  useKeys({
    j: () => move(at + 1), k: () => move(at - 1), arrowdown: () => move(at + 1), arrowup: () => move(at - 1), r: loaded.reload,
    enter: () => { const s = subjects[at]; if (s) go(subjectAddress(project, s.subject)); },
  });
  useEffect(() => { document.querySelector("tr[data-selected=true]")?.scrollIntoView({ block: "nearest" }); }, [chosen]);
  if (id) return <OfId project={project} id={Number(id)} />;
  if (query.get("new") === "1" && overview.may_change) return <NewSubject project={project} />;
  const bare = !q && !deleted;
  return (
    <>
      <div className="streams-head">
        <SearchBar label="Search subjects" placeholder="a subject's name" q={q} run={(next) => setQuery({ q: next || undefined }, true)} />
        {overview.may_change && <button type="button" className="button" onClick={() => setQuery({ new: "1" })}>New subject</button>}
      </div>
      <Shown loaded={loaded} skeleton={<SkeletonRows columns="1fr 116px 92px 92px 1fr" rows={8} rowPx={33} />}>
        {(data) => (
          <>
            <div className="row schemas-facts">
              <label className="row"><input type="checkbox" checked={deleted} onChange={(event) => setQuery({ deleted: event.target.checked ? "1" : undefined }, true)} /> Show hidden ones</label>
              <span className="grow" />
              <Whole settings={data.whole} may={overview.may_change} project={project} reload={loaded.reload} />
            </div>
            {subjects.length > 0 ? <List project={project} subjects={subjects} at={at} />
              : bare ? <First project={project} overview={overview} />
              : <Empty title={q ? "No subject fits" : "Nothing is here, nor hidden"}><p><button type="button" className="button" onClick={() => setQuery({ q: undefined, deleted: undefined })}>Show all</button></p></Empty>}
            {data.total > subjects.length && <p className="page soft">The first {count(subjects.length)} of {count(data.total)} are shown. Search to find others.</p>}
          </>
        )}
      </Shown>
    </>
  );
}

function List({ project, subjects, at }: { project: string; subjects: Subject[]; at: number }) {
  const inContexts = subjects.some((s) => s.context !== ".");
  return (
    <table className="list subjects">
      <thead><tr><th>Subject</th>{inContexts && <th className="wide">Context</th>}<th>Type</th><th className="number">Versions</th><th className="number narrow-out">Latest id</th><th className="wide">New versions</th><th className="wide">Topic</th></tr></thead>
      <tbody>{subjects.map((s, i) => (
        <tr key={s.subject} data-selected={i === at}>
          <td><a className="topic-name data" href={subjectAddress(project, s.subject)}>{s.subject}</a>{s.deleted && <span className="badge level-warning hidden-mark">hidden</span>}</td>
          {inContexts && <td className="wide data">{s.context === "." ? <span className="soft">default</span> : s.context}</td>}
          <td>{kindNames[s.kind]}</td><td className="number data">{count(s.versions)}</td><td className="number data narrow-out">{s.id}</td><td className="wide data">{s.level}</td>
          <td className="wide data">{s.topic ? <a href={href([project, "streams", "topics", s.topic])}>{s.topic}</a> : <span className="soft">none of its name</span>}</td>
        </tr>
      ))}</tbody>
    </table>
  );
}

function Whole({ settings, may, project, reload }: { settings: Settings; may: boolean; project: string; reload: () => void }) {
  const [open, setOpen] = useState(false);
  return (
    <>
      <span className="soft">Where a subject says nothing: <span className="data">{settings.level.now}</span>, <span className="data">{settings.mode.now}</span></span>
      {may && <button type="button" className="button" data-kind="quiet" aria-label="Change what holds where a subject says nothing" onClick={() => setOpen(true)}>Change</button>}
      {open && (
        <Modal close={() => setOpen(false)} className="help" label="All subjects">
          <h2>Where a subject says nothing of its own</h2>
          <SettingsForm settings={settings} may save={(change) => schemas.setAll(project, change).then(() => { setOpen(false); reload(); })} cancel={() => setOpen(false)} />
        </Modal>
      )}
    </>
  );
}

function First({ project, overview }: { project: string; overview: Overview }) {
  const { query } = usePlace();
  const chosen = schemaSnippets.find((s) => s.id === query.get("with")) ?? schemaSnippets[0]!;
  const known = fresh.get(project)?.kafka;
  const access = { url: `${location.origin}/registry`, username: known?.username ?? overview.users[0] ?? "USERNAME", password: known?.password ?? passwordGone, bootstrap: overview.bootstrap ?? "", tls: overview.tls };
  return (
    <section className="page stack first">
      <div><h2>No schemas yet</h2><p className="soft">Clients of Confluent's Schema Registry find one at <span className="data">{access.url}</span>: their serializers register schemas by themselves.</p></div>
      <div className="row" role="group" aria-label="Client">{schemaSnippets.map((s) => <button key={s.id} type="button" className="button" aria-pressed={s.id === chosen.id} onClick={() => setQuery({ with: s.id }, true)}>{s.name}</button>)}</div>
      {chosen.install && <Snippet code={chosen.install} label="Install" />}
      <Snippet code={chosen.code(access)} label={`${chosen.name} snippet`} />
      {!known && <p className="note">The password of <span className="data">{access.username}</span> was shown once. If you no longer have it, an owner or admin makes a new one under <a href={href([project, "streams", "access"])}>Users and rules</a>.</p>}
      <p className="wait"><i />Waiting for the first one</p>
    </section>
  );
}

function NewSubject({ project }: { project: string }) {
  const [name, setName] = useState("");
  const [problem, setProblem] = useState<Problem>();
  return (
    <div className="page stack">
      <div className="row"><h2 className="grow">New subject</h2><button type="button" className="button" data-kind="quiet" onClick={() => setQuery({ new: undefined })}>Cancel</button></div>
      <div className="field reading"><label htmlFor="subject-name">Subject</label><input id="subject-name" className="input data" maxLength={512} autoFocus autoComplete="off" spellCheck={false} placeholder="orders-value" value={name} onChange={(event) => setName(event.target.value)} /><span className="hint">A topic's name with -value or -key: serializers look there.</span></div>
      {problem && <Trouble problem={problem} />}
      <SchemaForm may register={async (schema) => {
        const subject = name.trim();
        if (!subject) return setProblem(asProblem("A subject needs a name."));
        await schemas.register(project, subject, schema).then(() => go(subjectAddress(project, subject), true), (error) => setProblem(asProblem(error)));
      }} next={1} />
    </div>
  );
}

/** What a value names by its schema's id. */
function OfId({ project, id }: { project: string; id: number }) {
  const loaded = useLoad(`${project} ${id}`, (signal) => schemas.places(project, id, signal));
  const first = loaded.data?.[0];
  useEffect(() => { if (loaded.data?.length === 1 && first) go(subjectAddress(project, first.subject, { version: String(first.version) }), true); }, [loaded.data]);
  return (
    <Shown loaded={loaded}>
      {(places) => (
        <section className="page stack">
          <h2>Schema {id}</h2>
          <ul className="stack">{places.map((p) => <li key={`${p.subject} ${p.version}`}><a className="data" href={subjectAddress(project, p.subject, { version: String(p.version) })}>{p.subject}, version {p.version}</a></li>)}</ul>
        </section>
      )}
    </Shown>
  );
}
