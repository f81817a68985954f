// A policy's source to read: its lines, coloured.
import { tomlPieces } from "../lib/toml";
import "../design/diff.css";

const css: Record<string, string> = { keyword: "tok-key", string: "tok-string", number: "tok-number", bool: "tok-number", comment: "tok-comment" };
/** Lines that are drawn; the copy has all. */
const linesMost = 4000;

export function Source({ text, label }: { text: string; label: string }) {
  const lines = text.trimEnd().split("\n");
  return (
    <>
      <pre className="code" tabIndex={0} role="region" aria-label={label}><code>{tomlPieces(lines.slice(0, linesMost)).map((pieces, i) => <span key={i} className="code-line">{pieces.map(([kind, piece], at) => (css[kind] ? <span key={at} className={css[kind]}>{piece}</span> : piece))}{"\n"}</span>)}</code></pre>
      {lines.length > linesMost && <p className="soft">The first {linesMost} of {lines.length} lines are shown; the copy has all.</p>}
    </>
  );
}
