// Every component with its states on one page: what the browser tests photograph in both themes.
import { Problem } from "../lib/api";
import { Empty, Level, Skeleton, Snippet, Time, Trouble } from "../parts/basics";
import { JsonTree } from "../parts/JsonTree";
import { Panel } from "../parts/overlay";
import { Trend } from "../parts/Trend";
import { Person, Veil, Veiled } from "../parts/veil";

export function Components() {
  return (
    <main className="page stack">
      <h1>Components</h1>
      <section className="row" aria-label="Buttons">
        <button type="button" className="button">Plain</button><button type="button" className="button" data-kind="primary">Primary</button>
        <button type="button" className="button" data-kind="quiet">Quiet</button><button type="button" className="button" data-kind="danger">Danger</button>
        <button type="button" className="button" aria-pressed="true">Pressed</button><button type="button" className="button" disabled>Disabled</button>
        <Panel label="A panel" name="Panel ▾">{(close) => <button type="button" className="button" onClick={close}>Close</button>}</Panel>
      </section>
      <section className="row" aria-label="Levels">{["fatal", "error", "warning", "info", "debug", "trace", "other"].map((l) => <Level key={l} text={l} />)}</section>
      <section className="row" aria-label="Veil">
        {["card", "iban", "ssn", "secret", "email", "ip"].map((k) => <Veil key={k} kind={k} />)}
        <Person code="user:abcdefghijklmnopqrstuvwxyz" /><span><Veiled text="paid with [card] by email:bbbbbbbbbbbbbbbbbbbbbbbbbb" /></span>
      </section>
      <section className="field" style={{ maxWidth: 320 }} aria-label="Field"><label htmlFor="c-input">Label</label><input id="c-input" className="input" placeholder="placeholder" /><span className="hint">A hint in plain words.</span></section>
      <Snippet label="Snippet" code={'curl http://localhost:8080/healthz'} />
      <Trouble problem={new Problem(503, "Storage is full", "Candor keeps a reserve for erasure. Free some space; ingest goes on by itself.")} again={() => undefined} />
      <p className="note">A note: something to know before acting.</p>
      <p className="row"><span className="wait"><i />Waiting for the first one</span><span className="wait done"><i />Arrived <Time at="2026-01-01T00:00:00Z" /></span></p>
      <Trend counts={[0, 1, 3, 0, 2, 8, 5, 0, 0, 1]} />
      <JsonTree value={{ message: "paid with [card]", count: 3, nested: { list: [1, true, null] } }} />
      <Skeleton lines={3} />
      <Empty title="An empty view is a lesson"><p className="soft">One sentence, one snippet, one mark.</p></Empty>
    </main>
  );
}
