// The commonest values of a few columns; a click puts one into the search or takes it out.
import type { SearchResult } from "../lib/api";
import { count, level } from "../lib/format";
import { setQuery } from "../lib/route";
import { hasTerm, toggleTerm } from "../lib/search";

const names: Record<string, string> = { service_name: "service", severity_text: "level", host_name: "host", source: "source" };
const shownMost = 12;

/** Senders write `ERROR`, `error`, `err`: the search takes them for one, so they are counted as one. */
export function byLevel(values: [string, number][]): [string, number][] {
  const sums = new Map<string, number>();
  for (const [word, n] of values) {
    const name = level(word) === "unknown" ? word : level(word);
    sums.set(name, (sums.get(name) ?? 0) + n);
  }
  return [...sums].sort((a, b) => b[1] - a[1]);
}

export function Facets({ q, facets }: { q: string; facets: SearchResult["facets"] }) {
  if (Object.values(facets).every((values) => values.length === 0)) return null;
  return (
    <aside className="facets" aria-label="Commonest values">
      {Object.entries(facets).filter(([, values]) => values.length > 0).map(([column, values]) => {
        const key = names[column] ?? column;
        return (
          <section key={column}>
            <h2>{key}</h2>
            <ul>
              {(key === "level" ? byLevel(values) : values).filter(([value]) => value !== "").slice(0, shownMost).map(([value, n]) => (
                <li key={value}>
                  <button type="button" aria-pressed={hasTerm(q, key, value)} title={value} onClick={() => setQuery({ q: toggleTerm(q, key, value) || undefined, row: undefined })}>
                    <span className={`clip grow${key === "level" ? ` badge level-${level(value)}` : ""}`}>{value}</span><span className="soft data">{count(n)}</span>
                  </button>
                </li>
              ))}
            </ul>
          </section>
        );
      })}
    </aside>
  );
}
