// The server's API as the screen uses it: one function that speaks HTTP, types for what comes back.

/** RFC 9457 problem details, as the server sends them. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly title: string,
    readonly detail: string,
    readonly clause?: string,
  ) {
    super(detail || title);
  }
}

/** A problem to show, whatever was thrown. */
export const asProblem = (error: unknown) => (error instanceof Problem ? error : new Problem(-1, "Not done", String(error)));

/** Fired on `window` when the server no longer knows this session. */
export const signedOut = "candor:signed-out";

/** A body that is JSON already, digit for digit. */
export class RawJson { constructor(readonly text: string) {} }

const whoAmI = "/api/v1/me", session = "/api/v1/session";

export async function call<T>(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<T> {
  return parse(await callText(method, path, body, signal)) as T;
}

/** The same, for what is answered as text; "" where there is nothing. */
export async function callText(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<string> {
  let response: Response;
  try {
    response = await fetch(path, {
      method,
      signal,
      credentials: "same-origin",
      headers: { "X-Candor": "1", ...(body === undefined ? {} : { "Content-Type": "application/json" }) },
      body: body === undefined ? undefined : body instanceof RawJson ? body.text : JSON.stringify(body),
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Problem(0, "The server does not answer", "Check that Candor is running and that this device reaches it. This page tries again by itself.");
  }
  const text = await response.text();
  if (!response.ok) {
    const problem = (parse(text) ?? {}) as { title?: string; detail?: string; clause?: string };
    // Asking who one is finds out by itself; telling it would have it ask again for ever.
    if (response.status === 401 && path !== whoAmI && path !== session) window.dispatchEvent(new Event(signedOut));
    throw new Problem(response.status, problem.title ?? `HTTP ${response.status}`, problem.detail ?? "", problem.clause);
  }
  return text;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

export interface Status { version: string; setup_needed: boolean; test_clock: boolean }
export interface Me {
  user: { id: number; email: string };
  orgs: { name: string; role: string; projects: { name: string; number: number }[] }[];
}
export interface Created { name: string; number: number; dsn: string; ingest_token: string; kafka: { bootstrap: string; username: string; password: string } | null }
/** What a key may use; null is without a limit. */
export interface Limits { requests_per_second: number | null; bytes_per_second: number | null; bytes_per_day: number | null }
export interface Project {
  name: string; org: string; number: number; created_at: string; dsn: string;
  keys: { id: number; kind: string; hint: string; created_at: string; expires_at: string | null; limits: Limits }[];
  signals: Record<string, { rows: number; last: string | null }>;
  sources: { id: string; name: string; created_at: string }[];
}
export type Cell = null | boolean | number | string | Cell[] | { [key: string]: Cell };
export type Record_ = { [column: string]: Cell };
export interface Stats {
  elapsed_ms: number; cpu_ms: number; rows_scanned: number; bytes_scanned: number; files: number; files_pruned: number;
}
export interface QueryResult {
  columns: { name: string; type: string }[]; rows: Cell[][]; truncated: boolean; stats: Stats;
}
/** Buckets that hold rows, oldest first; `t` is the start, µs since 1970. */
export interface Histogram { bucket_us: number; buckets: { t: number; counts: Record<string, number> }[] }
export interface SearchResult {
  rows: Record_[]; cursor: string | null; total: number;
  histogram: Histogram;
  facets: Record<string, [string, number][]>; stats: Stats;
}
export interface Issue {
  id: number; title: string; type: string; value: string; culprit: string; level: string;
  status: "unresolved" | "resolved" | "archived"; count: number; users: number;
  first_seen: string; last_seen: string; release: string | null; environment: string | null; trend: number[];
}
export interface EventDetail {
  event: { [key: string]: Cell }; issue: number | null; event_id: string; timestamp: string;
  subject: string | null; subjects: string[]; tags: Record<string, string>;
  next: string | null; previous: string | null;
}
export interface Schema {
  tables: { name: string; columns: { name: string; type: string }[] }[];
  functions: { name: string; kind: string }[];
}

const in_ = (project: string) => `project=${encodeURIComponent(project)}`;

/** Where the screen downloads what came with an event. */
export const attachmentPath = (project: string, event: string, id: string) => `/api/v1/events/${event}/attachments/${id}?${in_(project)}`;

export const api = {
  status: () => call<Status>("GET", "/api/v1/status"),
  setup: (body: { token: string; email: string; password: string; org?: string }) => call<void>("POST", "/api/v1/setup", body),
  signIn: (email: string, password: string) => call<void>("POST", session, { email, password }),
  signOut: () => call<void>("DELETE", session),
  me: () => call<Me>("GET", whoAmI),
  createProject: (name: string, org?: string) => call<Created>("POST", "/api/v1/projects", { name, org }),
  project: (name: string, signal?: AbortSignal) => call<Project>("GET", `/api/v1/projects/${encodeURIComponent(name)}`, undefined, signal),
  rotateKeys: (name: string, grace_seconds: number) =>
    call<Created>("POST", `/api/v1/projects/${encodeURIComponent(name)}/rotate-keys`, { grace_seconds }),
  limitKeys: (name: string, kind: string, limits: Limits) =>
    call<void>("PUT", `/api/v1/projects/${encodeURIComponent(name)}/limits`, { kind, ...limits }),
  deleteProject: (name: string) => call<void>("DELETE", `/api/v1/projects/${encodeURIComponent(name)}`),
  query: (project: string, sql: string, max_rows: number, signal?: AbortSignal) =>
    call<QueryResult>("POST", "/api/v1/query", { project, sql, max_rows }, signal),
  schema: (project: string) => call<Schema>("GET", `/api/v1/schema?${in_(project)}`),
  search: (project: string, params: Record<string, string>, signal?: AbortSignal) =>
    call<SearchResult>("GET", `/api/v1/search?${in_(project)}&${new URLSearchParams(params)}`, undefined, signal),
  issues: (project: string, params: Record<string, string>, signal?: AbortSignal) =>
    call<{ issues: Issue[]; counts: Partial<Record<Issue["status"], number>> }>("GET", `/api/v1/issues?${in_(project)}&${new URLSearchParams(params)}`, undefined, signal),
  issue: (project: string, id: string) => call<Issue>("GET", `/api/v1/issues/${id}?${in_(project)}`),
  setIssue: (project: string, id: number, status: Issue["status"]) =>
    call<Issue>("PUT", `/api/v1/issues/${id}?${in_(project)}`, { status }),
  issueEvents: (project: string, id: string, limit = 20) =>
    call<{ events: { event_id: string; timestamp: string; release: string | null; environment: string | null; subject: string | null }[] }>(
      "GET", `/api/v1/issues/${id}/events?${in_(project)}&limit=${limit}`),
  event: (project: string, id: string) => call<EventDetail>("GET", `/api/v1/events/${id}?${in_(project)}`),
  /** The address of a live tail; `after` resumes behind that offset. */
  tailUrl: (project: string, q: string, after?: string) =>
    `/api/v1/tail?${in_(project)}&q=${encodeURIComponent(q)}${after === undefined ? "" : `&last_event_id=${after}`}`,
  /** One log record by its place in the log: what an address with `row=` names. */
  record: async (project: string, partition: number, offset: number, signal?: AbortSignal): Promise<Record_ | undefined> => {
    const sql = `SELECT * FROM logs WHERE _partition = ${partition} AND _offset = ${offset}`;
    const { columns, rows } = await api.query(project, sql, 1, signal);
    return rows[0] && Object.fromEntries(columns.map((c, i) => [c.name, rows[0]![i] ?? null]));
  },
};
