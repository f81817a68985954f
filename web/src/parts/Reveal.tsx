// Reveals who stands behind a code, for those who may: asks why, says that it is on record, shows it until it is closed.
import { useState, type FormEvent } from "react";
import { asProblem, type Problem } from "../lib/api";
import { href } from "../lib/route";
import { reveal, useMayReveal, type Revealed } from "../lib/reveal";
import { CopyButton, Trouble } from "./basics";
import { Modal } from "./overlay";

const kinds: Record<string, string> = { user: "user", email: "e-mail address", name: "name", device: "device", session: "session", replay: "recording" };

/** The button on a code; nothing for who may not reveal. */
export function Reveal({ project, code }: { project: string; code: string }) {
  const may = useMayReveal(project);
  const [open, setOpen] = useState(false);
  if (!may?.may_reveal) return null;
  const [kind = "", id = ""] = code.split(":");
  return (
    <>
      <button type="button" className="reveal" aria-label={`Reveal person ${id.slice(0, 4)}`} title={`Show the ${kinds[kind] ?? kind} behind this code. It is written to the ledger.`}
        onClick={(event) => { event.stopPropagation(); setOpen(true); }}>reveal</button>
      {open && <RevealDialog project={project} code={code} needsReason={may.needs_reason} close={() => setOpen(false)} />}
    </>
  );
}

function RevealDialog({ project, code, needsReason, close }: { project: string; code: string; needsReason: boolean; close: () => void }) {
  const [reason, setReason] = useState("");
  const [problem, setProblem] = useState<Problem>();
  const [busy, setBusy] = useState(false);
  const [shown, setShown] = useState<Revealed>();
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setBusy(true);
    setProblem(undefined);
    reveal(project, code, reason.trim()).then(setShown, (error) => setProblem(asProblem(error))).finally(() => setBusy(false));
  };
  return (
    // A click or a key in here is none of the row's below it.
    <span onClick={(event) => event.stopPropagation()} onKeyDown={(event) => event.stopPropagation()}>
      <Modal close={close} className="help reveal-dialog" label="Reveal a person">
        {shown ? (
          <div className="stack">
            <h2>Who this is</h2>
            <ul className="revealed">{shown.values.map((value) => <li key={value} className="row"><output className="data grow">{value}</output><CopyButton text={value} aria-label="Copy the value" /></li>)}</ul>
            <p className="soft">On record as <a href={href([project, "privacy", "ledger"], { row: String(shown.index) })}>entry {shown.index} of the ledger</a>.</p>
            <div className="row"><button type="button" className="button" data-kind="primary" autoFocus onClick={close}>Close <kbd>esc</kbd></button></div>
          </div>
        ) : (
          <form className="stack" onSubmit={submit}>
            <h2>Show who stands behind this code?</h2>
            <p className="data soft reveal-code">{code}</p>
            {problem && <Trouble problem={problem} />}
            <div className="field">
              <label htmlFor="reveal-reason">Why{needsReason ? "" : " (may stay empty)"}</label>
              <input id="reveal-reason" className="input" value={reason} maxLength={500} required={needsReason} autoFocus autoComplete="off" onChange={(event) => setReason(event.target.value)} />
              <small className="soft">You, the time and the reason are written to the ledger before anything is shown, and nobody can take that back.</small>
            </div>
            <div className="row"><button type="submit" className="button" data-kind="primary" disabled={busy || (needsReason && !reason.trim())}>Reveal</button><button type="button" className="button" onClick={close}>Not now <kbd>esc</kbd></button></div>
          </form>
        )}
      </Modal>
    </span>
  );
}
