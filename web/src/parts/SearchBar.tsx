// The search field of a view: `/` reaches it, Enter runs, arrows choose a suggestion, Escape leaves it.
import { useEffect, useRef, useState, type KeyboardEvent } from "react";
import { suggest, syntax, type Vocabulary } from "../lib/suggest";
import { Panel } from "./overlay";

interface Props { label: string; placeholder: string; q: string; run: (q: string) => void; words?: Vocabulary }

export function SearchBar({ label, placeholder, q, run, words }: Props) {
  const [draft, setDraft] = useState(q);
  const [cursor, setCursor] = useState<number>();
  const [chosen, setChosen] = useState(-1);
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => setDraft(q), [q]);
  const found = words && cursor !== undefined ? suggest(draft.slice(0, cursor), words) : undefined;
  const close = () => { setCursor(undefined); setChosen(-1); };
  const take = (text: string) => {
    if (!found || cursor === undefined) return;
    // A whole term is followed by a space; a key waits for its value.
    const inserted = text.endsWith(":") ? text : `${text} `;
    const at = found.from + inserted.length;
    setDraft(draft.slice(0, found.from) + inserted + draft.slice(cursor));
    setCursor(at);
    setChosen(-1);
    requestAnimationFrame(() => { input.current?.focus(); input.current?.setSelectionRange(at, at); });
  };
  const onKey = (event: KeyboardEvent<HTMLInputElement>) => {
    const items = found?.items ?? [];
    if (event.key === "Escape") {
      event.stopPropagation();
      if (items.length) close();
      else event.currentTarget.blur();
    } else if (items.length && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
      event.preventDefault();
      setChosen((chosen + (event.key === "ArrowDown" ? 1 : items.length + (chosen < 0 ? 0 : -1))) % items.length);
    } else if (event.key === "Enter" && items[chosen]) {
      event.preventDefault();
      take(items[chosen].text);
    }
  };
  return (
    <form className="search" role="search" onSubmit={(event) => { event.preventDefault(); close(); run(draft.trim()); }}>
      <label className="sr-only" htmlFor="q">{label}</label>
      <span className="search-field">
        <input id="q" ref={input} data-search className="input data" placeholder={placeholder} value={draft} spellCheck={false} autoComplete="off" autoCapitalize="off" maxLength={4000}
          {...(words && { role: "combobox", "aria-expanded": found !== undefined, "aria-controls": "q-suggestions", "aria-autocomplete": "list" as const, "aria-activedescendant": chosen >= 0 ? `q-suggestion-${chosen}` : undefined })}
          onChange={(event) => { setDraft(event.target.value); setCursor(event.target.selectionStart ?? undefined); setChosen(-1); }} onBlur={close} onKeyDown={onKey} />
        {draft !== "" && <button type="button" className="button search-clear" data-kind="quiet" aria-label="Clear the search" onClick={() => { setDraft(""); run(""); }}>✕</button>}
        {words && (
          <ul id="q-suggestions" role="listbox" aria-label="Suggestions" className="panel suggestions" hidden={!found}>
            {found?.items.map((item, i) => (
              <li key={item.text} id={`q-suggestion-${i}`} role="option" aria-selected={i === chosen} className="data" onPointerDown={(event) => { event.preventDefault(); take(item.text); }}>
                <span className="grow clip">{item.text}</span><span className="soft">{item.hint}</span>
              </li>
            ))}
          </ul>
        )}
      </span>
      <button className="button">Search</button>
      {words && (
        <Panel label="How to search" name={<span aria-hidden="true">?</span>} accessibleName="How to search" title="How to search">
          {() => <dl className="syntax">{syntax.map(([example, meaning]) => <div key={example}><dt><code>{example}</code></dt><dd>{meaning}</dd></div>)}</dl>}
        </Panel>
      )}
    </form>
  );
}
