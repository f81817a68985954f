// Rail, bar, palette and help: what stands around every view of a project.
import { useEffect, useMemo, useRef, useState, type ReactNode } from "react";
import { api, type Me } from "../lib/api";
import { useKeys } from "../lib/keys";
import { go, href, usePlace } from "../lib/route";
import { applyTheme, theme, type Theme } from "../lib/theme";
import { copy } from "./basics";

const icons: Record<string, ReactNode> = {
  explore: <svg viewBox="0 0 24 24" aria-hidden="true"><path d="M4 6h16M4 12h10M4 18h13" /></svg>,
  errors: <svg viewBox="0 0 24 24" aria-hidden="true"><path d="M12 4 3 19h18L12 4zM12 10v4M12 16.6v.1" /></svg>,
  sql: <svg viewBox="0 0 24 24" aria-hidden="true"><path d="m7 8-4 4 4 4M17 8l4 4-4 4M14 5l-4 14" /></svg>,
  start: <svg viewBox="0 0 24 24" aria-hidden="true"><path d="M12 20V8M7 12l5-5 5 5M5 4h14" /></svg>,
  settings: <svg viewBox="0 0 24 24" aria-hidden="true"><circle cx="12" cy="12" r="3" /><path d="M12 3v3M12 18v3M3 12h3M18 12h3M5.6 5.6l2.2 2.2M16.2 16.2l2.2 2.2M18.4 5.6l-2.2 2.2M7.8 16.2l-2.2 2.2" /></svg>,
  theme: <svg viewBox="0 0 24 24" aria-hidden="true"><circle cx="12" cy="12" r="8" /><path d="M12 4a8 8 0 0 1 0 16z" fill="currentColor" /></svg>,
};

export const views: { id: string; name: string; keys: string }[] = [
  { id: "explore", name: "Explore", keys: "g l" },
  { id: "errors", name: "Errors", keys: "g e" },
  { id: "sql", name: "SQL", keys: "g s" },
  { id: "start", name: "Send events", keys: "g i" },
  { id: "settings", name: "Settings", keys: "g p" },
];

export function Frame({ me, project, view, bar, children }: { me: Me; project: string; view: string; bar?: ReactNode; children: ReactNode }) {
  const [palette, setPalette] = useState(false);
  const [help, setHelp] = useState(false);
  const [mode, setMode] = useState<Theme>(theme);
  const { query } = usePlace();
  const range = { range: query.get("range") ?? undefined, from: query.get("from") ?? undefined, to: query.get("to") ?? undefined };
  const turnTheme = () => {
    const next: Theme = mode === "system" ? "dark" : mode === "dark" ? "light" : "system";
    applyTheme(next);
    setMode(next);
  };
  useKeys({
    ...Object.fromEntries(views.map((v) => [v.keys, () => go(href([project, v.id], range))])),
    "mod+k": () => setPalette(true),
    "?": () => setHelp(true),
    "/": () => document.querySelector<HTMLElement>("[data-search]")?.focus(),
    t: () => document.querySelector<HTMLElement>("#range")?.focus(),
  });
  useEffect(() => {
    const name = views.find((v) => v.id === view)?.name ?? "Candor";
    document.title = `${name} · ${project} · Candor`;
  }, [view, project]);
  return (
    <div className="frame">
      <nav className="rail" aria-label="Views">
        <img className="mark" src="/app/mark.svg" alt="Candor" width={28} height={28} />
        {views.map((v) => (
          <a key={v.id} href={href([project, v.id], range)} aria-current={view === v.id ? "page" : undefined} aria-label={v.name} title={`${v.name} (${v.keys})`}>{icons[v.id]}</a>
        ))}
        <span className="spacer" />
        <button type="button" onClick={turnTheme} aria-label={`Theme: ${mode}`} title={`Theme: ${mode}`}>{icons.theme}</button>
      </nav>
      <header className="bar">
        <ProjectSwitch me={me} project={project} view={view} />
        <span className="grow" />
        {bar}
        <button type="button" className="button wide" data-kind="quiet" onClick={() => setPalette(true)}>Go to <kbd>⌘K</kbd></button>
        <button type="button" className="button wide" data-kind="quiet" onClick={() => copy(location.href)} title="Copies the address of exactly this view">Share</button>
        <button type="button" className="button" data-kind="quiet" title={me.user.email} onClick={() => api.signOut().finally(() => location.assign("/app/"))}>Sign out</button>
      </header>
      <main className="main" id="main" tabIndex={-1}>{children}</main>
      {palette && <Palette me={me} project={project} close={() => setPalette(false)} />}
      {help && <Help close={() => setHelp(false)} />}
    </div>
  );
}

function ProjectSwitch({ me, project, view }: { me: Me; project: string; view: string }) {
  return (
    <span className="where row">
      <label className="sr-only" htmlFor="project">Project</label>
      <select id="project" className="select" value={project} onChange={(event) => go(event.target.value === "+" ? href(["projects", "new"]) : href([event.target.value, view]))}>
        {me.orgs.map((org, at) => (
          <optgroup key={org.name} label={org.name}>
            {org.projects.map((p) => {
              const name = at === 0 ? p.name : `${org.name}/${p.name}`;
              return <option key={p.number} value={name}>{p.name}</option>;
            })}
          </optgroup>
        ))}
        <option value="+">New project…</option>
      </select>
    </span>
  );
}

/** A dialog that takes focus, closes on Escape and on a click beside it. */
export function Modal({ close, className, label, children }: { close: () => void; className: string; label: string; children: ReactNode }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const element = dialog.current;
    element?.showModal();
    return () => element?.close();
  }, []);
  return (
    <dialog ref={dialog} className={className} aria-label={label} onCancel={(event) => { event.preventDefault(); close(); }}
      onClick={(event) => { if (event.target === dialog.current) close(); }}>
      {children}
    </dialog>
  );
}

interface Goal { name: string; hint: string; address: string }

function Palette({ me, project, close }: { me: Me; project: string; close: () => void }) {
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const goals = useMemo(() => {
    const found: Goal[] = [];
    const q = text.trim();
    const id = q.replace(/-/g, "").toLowerCase();
    if (/^[0-9a-f]{32}$/.test(id)) {
      found.push({ name: `Event ${id.slice(0, 8)}…`, hint: "by event id", address: href([project, "events", id]) });
      found.push({ name: `Trace ${id.slice(0, 8)}…`, hint: "logs of a trace id", address: href([project, "explore"], { q: `trace_id:${id}`, range: "7d" }) });
    } else if (/^[0-9a-f]{16}$/.test(id)) {
      found.push({ name: `Span ${id}`, hint: "logs of a span id", address: href([project, "explore"], { q: `span_id:${id}`, range: "7d" }) });
    }
    const all: Goal[] = [
      ...views.map((v) => ({ name: v.name, hint: v.keys, address: href([project, v.id]) })),
      ...me.orgs.flatMap((org, i) => org.projects.map((p) => ({ name: p.name, hint: "project", address: href([i === 0 ? p.name : `${org.name}/${p.name}`, "explore"]) }))),
      { name: "New project", hint: "", address: href(["projects", "new"]) },
    ];
    found.push(...all.filter((g) => g.name.toLowerCase().includes(q.toLowerCase())));
    if (q && !/^[0-9a-f]{32}$/.test(id)) found.push({ name: `Search logs for “${q}”`, hint: "", address: href([project, "explore"], { q }) });
    return found;
  }, [text, me, project]);
  const chosen = Math.min(at, goals.length - 1);
  const open = (goal: Goal | undefined) => { if (goal) { close(); go(goal.address); } };
  return (
    <Modal close={close} className="palette" label="Go to anything">
      <input autoFocus role="combobox" aria-expanded="true" aria-controls="palette-list" aria-activedescendant={`goal-${chosen}`} aria-label="A view, a project, an event id, a trace id, or words"
        placeholder="A view, a project, an event id, a trace id, or words" value={text} onChange={(event) => { setText(event.target.value); setAt(0); }}
        onKeyDown={(event) => {
          if (event.key === "ArrowDown") { event.preventDefault(); setAt(Math.min(chosen + 1, goals.length - 1)); }
          if (event.key === "ArrowUp") { event.preventDefault(); setAt(Math.max(chosen - 1, 0)); }
          if (event.key === "Enter") { event.preventDefault(); open(goals[chosen]); }
        }} />
      <ul id="palette-list" role="listbox" aria-label="Goals">
        {goals.map((goal, i) => (
          <li key={goal.address + goal.name} id={`goal-${i}`} role="option" aria-selected={i === chosen} onClick={() => open(goal)}><span className="grow">{goal.name}</span><span className="soft">{goal.hint}</span></li>
        ))}
      </ul>
    </Modal>
  );
}

const help: [string, string][] = [
  ["/", "search"], ["j k", "next and previous row"], ["enter", "open"], ["esc", "close"], ["t", "time range"], ["l", "live"],
  ["g l", "Explore"], ["g e", "Errors"], ["g s", "SQL"], ["g i", "Send events"], ["g p", "Settings"],
  ["w", "wrap lines"], ["c", "copy the row"], ["⌘ enter", "run SQL"], ["⌘K", "go to anything"], ["?", "this page"],
];

function Help({ close }: { close: () => void }) {
  return (
    <Modal close={close} className="help" label="Keys">
      <h2>Keys</h2>
      <dl>{help.map(([key, what]) => <div key={key} style={{ display: "contents" }}><dt><kbd>{key}</kbd></dt><dd>{what}</dd></div>)}</dl>
      <div className="row" style={{ marginTop: 14 }}><button type="button" className="button" autoFocus onClick={close}>Close</button></div>
    </Modal>
  );
}
