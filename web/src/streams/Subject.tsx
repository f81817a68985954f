// One subject: its versions and what they say, two of them compared, a new one tested, how it may change.
import { useState } from "react";
import { asProblem, type Problem } from "../lib/api";
import { bytes, count } from "../lib/format";
import { useKeys } from "../lib/keys";
import { useLoad, usePolling } from "../lib/load";
import { go, href, setQuery, usePlace } from "../lib/route";
import { kindNames, laidOut, schemas, tokens, type Kind, type SubjectDetail, type VersionDetail } from "../lib/schemas";
import type { Overview } from "../lib/streams";
import { CopyButton, Shown, Skeleton, Trouble } from "../parts/basics";
import { Modal } from "../parts/overlay";
import { SchemaDiff } from "./SchemaDiff";
import { SchemaForm } from "./SchemaForm";
import { subjectAddress } from "./Schemas";
import { SubjectSettings } from "./SchemaSettings";

const lookEveryMs = 5000;
/** Lines of a schema that are drawn; the copy has all. */
const linesMost = 4000;

export function SubjectPage({ project, name, overview }: { project: string; name: string; overview: Overview }) {
  const { query } = usePlace();
  const loaded = useLoad(`${project} ${name}`, (signal) => schemas.subject(project, name, signal));
  usePolling(loaded.reload, lookEveryMs);
  return (
    <Shown loaded={loaded}>
      {(subject) => {
        const tabs: [string, string][] = [["schema", "Schema"], ...(subject.all.length > 1 ? [["diff", "Compare"] as [string, string]] : []), ["test", "Test a change"], ["settings", "Settings"]];
        const tab = tabs.some(([id]) => id === query.get("tab")) ? query.get("tab")! : "schema";
        const address = (id: string) => subjectAddress(project, name, { tab: id === "schema" ? undefined : id });
        return (
          <div className="streams topic subject">
            <header className="topic-head">
              <p className="soft"><a href={href([project, "streams", "schemas"])}>Schemas</a></p>
              <div className="row topic-title"><h1 className="data grow">{subject.subject}</h1>{subject.deleted && <span className="badge level-warning">hidden</span>}</div>
              <dl className="figures">
                <div><dt>Type</dt><dd>{kindNames[subject.kind]}</dd></div>
                <div><dt>Latest version</dt><dd className="data">{subject.latest}</dd></div>
                <div><dt>Its id</dt><dd className="data">{subject.id}</dd></div>
                <div><dt>New versions</dt><dd className="data">{subject.settings.level.now}{subject.settings.level.own === null && <span className="soft"> as for all</span>}</dd></div>
                {subject.settings.mode.now !== "READWRITE" && <div><dt>Mode</dt><dd className="data">{subject.settings.mode.now}</dd></div>}
                {subject.context !== "." && <div><dt>Context</dt><dd className="data">{subject.context}</dd></div>}
                {subject.topic && <div><dt>Topic</dt><dd className="data"><a href={href([project, "streams", "topics", subject.topic])}>{subject.topic}</a></dd></div>}
              </dl>
            </header>
            <nav className="tabs" aria-label="Subject">{tabs.map(([id, label]) => <a key={id} className="tab" aria-current={tab === id ? "page" : undefined} href={address(id)}>{label}</a>)}</nav>
            {tab === "diff" ? <SchemaDiff project={project} subject={subject} />
              : tab === "test" ? <Test project={project} subject={subject} may={overview.may_change} reload={loaded.reload} />
              : tab === "settings" ? <SubjectSettings project={project} subject={subject} may={overview.may_change} reload={loaded.reload} />
              : <Versions project={project} subject={subject} may={overview.may_change} reload={loaded.reload} />}
          </div>
        );
      }}
    </Shown>
  );
}

function Versions({ project, subject, may, reload }: { project: string; subject: SubjectDetail; may: boolean; reload: () => void }) {
  const { query } = usePlace();
  const asked = Number(query.get("version"));
  const at = Math.max(0, subject.all.findIndex((v) => v.version === (asked || subject.latest)));
  const version = subject.all[at]!;
  const loaded = useLoad(`${project} ${subject.subject} ${version.version} ${version.deleted}`, (signal) => schemas.version(project, subject.subject, version.version, signal));
  const show = (to: number) => { const next = subject.all[Math.max(0, Math.min(subject.all.length - 1, to))]; if (next) setQuery({ version: String(next.version) }, true); };
  useKeys({
    j: () => show(at + 1), k: () => show(at - 1), arrowdown: () => show(at + 1), arrowup: () => show(at - 1), r: reload,
    d: () => { if (subject.all.length > 1) go(subjectAddress(project, subject.subject, { tab: "diff", to: String(version.version) })); },
  });
  return (
    <div className="schema-whole">
      <nav className="schema-versions" aria-label="Versions">
        <ol>{subject.all.map((v) => (
          <li key={v.version}><a href={subjectAddress(project, subject.subject, { version: String(v.version) })} aria-current={v.version === version.version ? "true" : undefined}><span className="data">{v.version}</span> <span className="soft">id {v.id}, {bytes(v.size)}</span>{v.deleted && <span className="badge level-warning">hidden</span>}</a></li>
        ))}</ol>
      </nav>
      <Shown loaded={loaded} skeleton={<Skeleton lines={14} />}>
        {(one) => <>
          <Text key={one.version} subject={subject} one={one} may={may} project={project} reload={() => { reload(); loaded.reload(); }} />
          <Facts project={project} subject={subject} one={one} />
        </>}
      </Shown>
    </div>
  );
}

function Text({ project, subject, one, may, reload }: { project: string; subject: SubjectDetail; one: VersionDetail; may: boolean; reload: () => void }) {
  const [asking, setAsking] = useState(false);
  const [problem, setProblem] = useState<Problem>();
  const text = laidOut(one.kind, one.schema);
  const act = one.deleted ? "Remove" : "Hide";
  const remove = () => schemas.remove(project, subject.subject, one.version, one.deleted)
    .then(() => (subject.all.length === 1 && one.deleted ? go(href([project, "streams", "schemas"]), true) : reload()), (error) => setProblem(asProblem(error))).finally(() => setAsking(false));
  return (
    <section className="schema-text stack">
      <div className="row limits">
        <h2 className="grow">Version {one.version}{one.deleted && <span className="badge level-warning hidden-mark">hidden</span>}</h2>
        <CopyButton text={text} aria-label="Copy the schema" />
        {subject.all.length > 1 && <a className="button" href={subjectAddress(project, subject.subject, { tab: "diff", to: String(one.version) })}>Compare <kbd>d</kbd></a>}
        {may && <button type="button" className="button" data-kind="danger" onClick={() => setAsking(true)}>{act}</button>}
      </div>
      {problem && <Trouble problem={problem} />}
      <Code kind={one.kind} text={text} label={`Version ${one.version}`} />
      {asking && (
        <Modal close={() => setAsking(false)} className="help" label={`${act} version ${one.version}`}>
          <div className="stack">
            <h2>{act} version {one.version}?</h2>
            <p>{one.deleted ? `Messages that name schema ${one.id} can no longer be read by anyone${one.same.length ? ", unless another subject still has it" : ""}.` : "Serializers no longer find it; messages that name it are still read. Registering the schema again makes a new version of it."}</p>
            <div className="row"><button type="button" className="button" data-kind="danger" onClick={() => void remove()}>{act} it</button><button type="button" className="button" autoFocus onClick={() => setAsking(false)}>Keep it</button></div>
          </div>
        </Modal>
      )}
    </section>
  );
}

function Code({ kind, text, label }: { kind: Kind; text: string; label: string }) {
  const lines = text.split("\n");
  return (
    <>
      <pre className="code" tabIndex={0} role="region" aria-label={label}><code>{lines.slice(0, linesMost).map((line, i) => <span key={i} className="code-line">{tokens(kind, line).map(([token, piece], at) => (token ? <span key={at} className={`tok-${token}`}>{piece}</span> : piece))}{"\n"}</span>)}</code></pre>
      {lines.length > linesMost && <p className="soft">The first {count(linesMost)} of {count(lines.length)} lines are shown; the copy has all.</p>}
    </>
  );
}

function Facts({ project, subject, one }: { project: string; subject: SubjectDetail; one: VersionDetail }) {
  const place = (p: { subject: string; version: number }) => <a className="data" href={subjectAddress(project, p.subject, { version: String(p.version) })}>{p.subject}, version {p.version}</a>;
  const list = (title: string, none: string, places: React.ReactNode[]) => <section><h3>{title}</h3>{places.length === 0 ? <p className="soft">{none}</p> : <ul>{places.map((p, i) => <li key={i}>{p}</li>)}</ul>}</section>;
  return (
    <aside className="schema-facts stack" aria-label="About this version">
      <section><h3>Id</h3><p className="data">{one.id}</p></section>
      <section><h3>Guid</h3><p className="row"><span className="data clip" title={one.guid}>{one.guid}</span><CopyButton text={one.guid} data-kind="quiet" aria-label="Copy the guid" /></p></section>
      {list("It refers to", "Nothing.", one.references.map((r) => <>{place(r)} <span className="soft">as {r.name}</span></>))}
      {list("Referred to by", "Nothing.", one.referenced_by.map(place))}
      {one.same.length > 0 && list("The same schema", "", one.same.map(place))}
      <UsedBy project={project} subject={subject} />
      {one.metadata !== undefined && <section><h3>Metadata</h3><pre className="code">{JSON.stringify(one.metadata, null, 2)}</pre></section>}
      {one.ruleSet !== undefined && <section><h3>Rules</h3><pre className="code">{JSON.stringify(one.ruleSet, null, 2)}</pre></section>}
    </aside>
  );
}

function UsedBy({ project, subject }: { project: string; subject: SubjectDetail }) {
  const loaded = useLoad(`${project} ${subject.subject} ${subject.latest}`, (signal) => schemas.topics(project, subject.subject, signal));
  const versions = (all: number[], what: string) => all.length > 0 && <>, {what} of {all.length === 1 ? "version" : "versions"} {all.join(", ")}</>;
  return (
    <section>
      <h3>Topics that use it</h3>
      {loaded.problem ? <Trouble problem={loaded.problem} again={loaded.reload} /> : !loaded.data ? <p className="soft">Looking…</p> : (
        <>
          {loaded.data.topics.length === 0 ? <p className="soft">None that is known.</p> : <ul>{loaded.data.topics.map((t) => (
            <li key={t.topic}><a className="data" href={href([project, "streams", "topics", t.topic])}>{t.topic}</a><span className="soft">{t.by_name && ", by its name"}{versions(t.keys, "keys")}{versions(t.values, "values")}</span></li>
          ))}</ul>}
          <p className="soft">Among the newest {count(loaded.data.looked_at)} messages{loaded.data.topics_left > 0 && `; ${count(loaded.data.topics_left)} topics were not looked into`}.</p>
        </>
      )}
    </section>
  );
}

function Test({ project, subject, may, reload }: { project: string; subject: SubjectDetail; may: boolean; reload: () => void }) {
  const latest = useLoad(`${project} ${subject.subject} ${subject.latest}`, (signal) => schemas.version(project, subject.subject, subject.latest, signal));
  const shown = subject.all.filter((v) => !v.deleted).map((v) => v.version);
  return (
    <Shown loaded={latest}>
      {(one) => (
        <div className="page schema-test">
          <SchemaForm key={one.version} start={{ kind: one.kind, schema: laidOut(one.kind, one.schema), references: one.references }} versions={shown} level={subject.settings.level.now} may={may} next={(subject.all[0]?.version ?? 0) + 1}
            test={(body) => schemas.test(project, subject.subject, body)}
            register={async (schema) => { const made = await schemas.register(project, subject.subject, schema); reload(); go(subjectAddress(project, subject.subject, { version: String(made.version) })); }} />
        </div>
      )}
    </Shown>
  );
}
