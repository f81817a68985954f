// Two versions of a schema, line by line: beside each other, or one below the other. `n` and `p` go from change to change.
import { useLoad } from "../lib/load";
import { setQuery, usePlace } from "../lib/route";
import { diffLines, laidOut, schemas, type SubjectDetail } from "../lib/schemas";
import { Shown } from "../parts/basics";
import { DiffBar, DiffRows, useJump } from "../parts/TextDiff";

export function SchemaDiff({ project, subject }: { project: string; subject: SubjectDetail }) {
  const { query } = usePlace();
  const numbers = subject.all.map((v) => v.version);
  const pick = (name: string, otherwise: number) => { const asked = Number(query.get(name)); return numbers.includes(asked) ? asked : otherwise; };
  const to = pick("to", numbers[0]!), from = pick("from", numbers.find((n) => n < to) ?? numbers.at(-1)!);
  const unified = query.get("as") === "unified";
  const loaded = useLoad(`${project} ${subject.subject} ${from} ${to}`, (signal) =>
    Promise.all([schemas.version(project, subject.subject, from, signal), schemas.version(project, subject.subject, to, signal)]).then(([a, b]) => ({ from, to, rows: diffLines(laidOut(a.kind, a.schema), laidOut(b.kind, b.schema)) })));
  const { whole, jump } = useJump();
  const choice = (id: string, label: string, value: number) => (
    <div className="field"><label htmlFor={`d-${id}`}>{label}</label><select id={`d-${id}`} className="select" value={value} onChange={(event) => setQuery({ [id]: event.target.value }, true)}>{subject.all.map((v) => <option key={v.version} value={v.version}>version {v.version}{v.deleted ? ", hidden" : ""}</option>)}</select></div>
  );
  return (
    <div className="schema-diff" ref={whole}>
      <div className="messages-bar">
        {choice("from", "From", from)}{choice("to", "To", to)}
        <button type="button" className="button" aria-label="Turn around" title="Turn around" onClick={() => setQuery({ from: String(to), to: String(from) }, true)}>⇄</button>
        <DiffBar jump={jump} />
      </div>
      <Shown loaded={loaded}>{(of) => <DiffRows key={`${of.from} ${of.to}`} unified={unified} rows={of.rows} from={`version ${of.from}`} to={`version ${of.to}`} />}</Shown>
    </div>
  );
}
