// The search field of a view: `/` reaches it, Enter runs, Escape leaves it.
import { useEffect, useState } from "react";

export function SearchBar({ label, placeholder, q, run }: { label: string; placeholder: string; q: string; run: (q: string) => void }) {
  const [draft, setDraft] = useState(q);
  useEffect(() => setDraft(q), [q]);
  return (
    <form className="search" role="search" onSubmit={(event) => { event.preventDefault(); run(draft.trim()); }}>
      <label className="sr-only" htmlFor="q">{label}</label>
      <input id="q" data-search className="input data" placeholder={placeholder} value={draft} spellCheck={false} autoComplete="off" autoCapitalize="off" maxLength={4000}
        onChange={(event) => setDraft(event.target.value)}
        onKeyDown={(event) => { if (event.key === "Escape") { event.stopPropagation(); event.currentTarget.blur(); } }} />
      {draft !== "" && <button type="button" className="button search-clear" data-kind="quiet" aria-label="Clear the search" onClick={() => { setDraft(""); run(""); }}>✕</button>}
      <button className="button">Search</button>
    </form>
  );
}
