// SQL completion: the columns of the tables that the query names, tables, functions, keywords, in that order.
import type { Schema } from "./api";

export interface Choice { label: string; detail: string; apply?: string; boost: number }

export const keywords = ("SELECT FROM WHERE GROUP BY ORDER HAVING LIMIT OFFSET AS AND OR NOT IN IS NULL LIKE ILIKE BETWEEN DISTINCT CASE WHEN THEN ELSE END JOIN LEFT INNER ON "
  + "USING WITH UNION ALL INTERVAL ASC DESC CAST TRUE FALSE EXISTS OVER PARTITION FILTER").split(" ");

const named = /\b(?:from|join)\s+("[^"]+"|[\w.]+)/gi;

/** A name as SQL takes it: in quotes where it is more than lower-case letters, digits and underscores. */
export const quoted = (name: string) => (/^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name.replace(/"/g, '""')}"`);

/** Tables that a query reads, as far as it is written. */
export function tablesOf(sql: string): string[] {
  return [...sql.matchAll(named)].map((match) => match[1]!.replace(/"/g, "").toLowerCase());
}

/** What may stand where the word ends at the end of `before`. */
export function choices(before: string, whole: string, schema: Schema): Choice[] {
  const tables = schema.tables;
  const reads = tablesOf(whole);
  const read = tables.filter((t) => reads.includes(t.name.toLowerCase()));
  const wantsTable = /\b(?:from|join)\s+[\w."]*$/i.test(before);
  const owner = /([\w]+)\.\w*$/.exec(before)?.[1]?.toLowerCase();
  const dotted = owner && tables.find((t) => t.name.toLowerCase() === owner);
  const columnsIn = dotted ? [dotted] : read.length ? read : tables;
  const seen = new Set<string>();
  const columns = columnsIn.flatMap((table) => table.columns.filter((c) => !seen.has(c.name) && seen.add(c.name))
    .map((c): Choice => ({ label: c.name, apply: quoted(c.name), detail: c.type.toLowerCase(), boost: /^(_|a_)/.test(c.name) ? 2 : 3 })));
  if (dotted) return columns;
  const names = tables.map((t): Choice => ({ label: t.name, detail: "table", boost: 1 }));
  if (wantsTable) return names;
  return [
    ...columns, ...names,
    ...schema.functions.map((f): Choice => ({ label: f.name, detail: f.kind, apply: `${f.name}(`, boost: -1 })),
    ...keywords.map((k): Choice => ({ label: k, detail: "", boost: 0 })),
  ];
}
