// How a subject's schemas may change, and its end.
import { useEffect, useState } from "react";
import { asProblem, type Problem } from "../lib/api";
import { go, href } from "../lib/route";
import { levels, modes, schemas, type Settings, type SettingsChange, type SubjectDetail } from "../lib/schemas";
import { Trouble } from "../parts/basics";
import { ConfirmName } from "./TopicSettings";

interface Form { settings: Settings; may: boolean; save: (change: SettingsChange) => Promise<void>; cancel?: () => void }

/** Level and mode, each with what it means; empty is as for all. */
export function SettingsForm({ settings, may, save, cancel }: Form) {
  const ofSubject = !cancel;
  const [level, setLevel] = useState(settings.level.own ?? "");
  const [mode, setMode] = useState(settings.mode.own ?? "");
  const { own: ownLevel } = settings.level, { own: ownMode } = settings.mode;
  // Somebody else may have set them meanwhile.
  useEffect(() => { setLevel(ownLevel ?? ""); setMode(ownMode ?? ""); }, [ownLevel, ownMode]);
  const [problem, setProblem] = useState<Problem>();
  const [saved, setSaved] = useState(false);
  const inherited = (own: string | null, now: string) => (own === null && ofSubject ? `as for all, ${now}` : ofSubject ? "as for all" : own === null ? `as it comes, ${now}` : "as it comes");
  const means = (table: [string, string, string][], chosen: string, now: string) => table.find(([id]) => id === (chosen || now))?.[2];
  const submit = () => save({ level: level || null, mode: mode || null }).then(() => { setProblem(undefined); setSaved(true); }, (error) => { setSaved(false); setProblem(asProblem(error)); });
  const shownModes = mode === "READONLY_OVERRIDE" ? [...modes, ["READONLY_OVERRIDE", "Nothing changes anywhere", "Set for all, it wins over every subject."] as const] : modes;
  return (
    <form className="stack schema-settings" onSubmit={(event) => { event.preventDefault(); void submit(); }}>
      {problem && <Trouble problem={problem} />}
      <div className="field"><label htmlFor="c-level">A new version has to fit</label>
        <select id="c-level" className="select" disabled={!may} value={level} onChange={(event) => { setLevel(event.target.value); setSaved(false); }}><option value="">{inherited(settings.level.own, settings.level.now)}</option>{levels.map(([id, name]) => <option key={id} value={id}>{id}: {name}</option>)}</select>
        <span className="hint">{means(levels, level, settings.level.now)}</span></div>
      <div className="field"><label htmlFor="c-mode">Versions</label>
        <select id="c-mode" className="select" disabled={!may} value={mode} onChange={(event) => { setMode(event.target.value); setSaved(false); }}><option value="">{inherited(settings.mode.own, settings.mode.now)}</option>{shownModes.map(([id, name]) => <option key={id} value={id}>{id}: {name}</option>)}</select>
        <span className="hint">{means(modes, mode, settings.mode.now)}</span></div>
      {may && <div className="row"><button className="button" data-kind="primary">Save</button>{cancel && <button type="button" className="button" onClick={cancel}>Cancel</button>}<span role="status" className="soft">{saved && "Saved"}</span></div>}
    </form>
  );
}

export function SubjectSettings({ project, subject, may, reload }: { project: string; subject: SubjectDetail; may: boolean; reload: () => void }) {
  const [asking, setAsking] = useState(false);
  const [problem, setProblem] = useState<Problem>();
  const remove = () => schemas.remove(project, subject.subject, undefined, subject.deleted)
    .then(() => go(href([project, "streams", "schemas"]), true), (error) => { setAsking(false); setProblem(asProblem(error)); });
  return (
    <div className="page settings">
      <section className="stack">
        <h2>How its schemas may change</h2>
        <SettingsForm settings={subject.settings} may={may} save={(change) => schemas.set(project, subject.subject, change).then(reload)} />
      </section>
      {may && <section className="stack">
        <h2>{subject.deleted ? "Remove the subject for good" : "Hide the subject"}</h2>
        {problem && <Trouble problem={problem} />}
        <p className="soft">{subject.deleted ? "Messages that name schemas which no other subject has can no longer be read by anyone." : "Serializers find none of its versions any more; messages that name their ids are still read. Registering a schema again makes a new version of it."}</p>
        <div><button type="button" className="button" data-kind="danger" onClick={() => setAsking(true)}>{subject.deleted ? "Remove" : "Hide"} {subject.subject}</button></div>
      </section>}
      {asking && <ConfirmName name={subject.subject} act={subject.deleted ? "Remove" : "Hide"} close={() => setAsking(false)} run={() => void remove()} />}
    </div>
  );
}
