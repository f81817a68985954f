// Rail, bar, palette and help: what stands around every view of a project.
import { useEffect, useMemo, useState, type ReactNode } from "react";
import { api, type Me } from "../lib/api";
import { mod, useKeys } from "../lib/keys";
import { useLoad } from "../lib/load";
import { go, href, usePlace } from "../lib/route";
import { streams } from "../lib/streams";
import { goalsFor, pathOf, views, type Goal } from "../lib/views";
import { applyTheme, theme, type Theme } from "../lib/theme";
import { setZone, useZone, zoneName } from "../lib/zone";
import { CopyButton } from "./basics";
import { Modal, Panel } from "./overlay";
import { InProject } from "./veil";

const icons: Record<string, ReactNode> = {
  explore: <svg viewBox="0 0 24 24" aria-hidden="true"><path d="M4 6h16M4 12h10M4 18h13" /></svg>,
  errors: <svg viewBox="0 0 24 24" aria-hidden="true"><path d="M12 4 3 19h18L12 4zM12 10v4M12 16.6v.1" /></svg>,
  streams: <svg viewBox="0 0 24 24" aria-hidden="true"><path d="M3 8c3-3 6-3 9 0s6 3 9 0M3 16c3-3 6-3 9 0s6 3 9 0" /></svg>,
  sql: <svg viewBox="0 0 24 24" aria-hidden="true"><path d="m7 8-4 4 4 4M17 8l4 4-4 4M14 5l-4 14" /></svg>,
  privacy: <svg viewBox="0 0 24 24" aria-hidden="true"><path d="M12 3.5 5 6v5.5c0 4.3 2.8 7.4 7 9 4.2-1.6 7-4.7 7-9V6l-7-2.5zM9 12l2.2 2.2L15.2 10" /></svg>,
  start: <svg viewBox="0 0 24 24" aria-hidden="true"><path d="M12 20V8M7 12l5-5 5 5M5 4h14" /></svg>,
  settings: <svg viewBox="0 0 24 24" aria-hidden="true"><circle cx="12" cy="12" r="3" /><path d="M12 3v3M12 18v3M3 12h3M18 12h3M5.6 5.6l2.2 2.2M16.2 16.2l2.2 2.2M18.4 5.6l-2.2 2.2M7.8 16.2l-2.2 2.2" /></svg>,
  help: <svg viewBox="0 0 24 24" aria-hidden="true"><path d="M9 9a3 3 0 1 1 4.2 2.8c-.8.4-1.2 1-1.2 2M12 17.4v.1" /><circle cx="12" cy="12" r="9" /></svg>,
  wide: <svg viewBox="0 0 24 24" aria-hidden="true"><path d="M4 5h16v14H4zM10 5v14" /></svg>,
};

export function Frame({ me, project, view, bar, children }: { me: Me; project: string; view: string; bar?: ReactNode; children: ReactNode }) {
  const [palette, setPalette] = useState(false);
  const [help, setHelp] = useState(false);
  const [wide, setWide] = useState(() => localStorage.getItem("rail") === "wide");
  useZone();
  const { query } = usePlace();
  const range = { range: query.get("range") ?? undefined, from: query.get("from") ?? undefined, to: query.get("to") ?? undefined };
  const turnRail = () => {
    localStorage.setItem("rail", wide ? "narrow" : "wide");
    setWide(!wide);
  };
  useKeys({
    ...Object.fromEntries(views.map((v) => [v.keys, () => go(href([project, v.id], range))])),
    "mod+k": () => setPalette(true),
    "?": () => setHelp(true),
    "/": () => document.querySelector<HTMLElement>("[data-search]")?.focus(),
    t: () => document.querySelector<HTMLElement>("#range")?.click(),
  });
  useEffect(() => {
    const name = views.find((v) => v.id === view)?.name ?? "Candor";
    document.title = `${name} · ${project} · Candor`;
  }, [view, project]);
  return (
    <InProject value={project}>
      <div className="frame" data-rail={wide ? "wide" : undefined}>
        <a className="skip" href="#main" onClick={(event) => { event.preventDefault(); document.getElementById("main")?.focus(); }}>Skip to the view</a>
        <nav className="rail" aria-label="Views">
          <img className="mark" src="/app/mark.svg" alt="Candor" width={28} height={28} />
          {views.map((v) => (
            <a key={v.id} href={href([project, v.id], range)} aria-current={view === v.id ? "page" : undefined} aria-label={v.name} title={`${v.name} (${v.keys})`}>{icons[v.id]}<span className="rail-name">{v.name}</span></a>
          ))}
          <span className="spacer" />
          <button type="button" className="rail-extra" onClick={() => setHelp(true)} aria-label="Keys" title="Keys (?)">{icons.help}<span className="rail-name">Keys</span></button>
          <button type="button" className="rail-extra" onClick={turnRail} aria-pressed={wide} aria-label="Names beside the icons" title="Names beside the icons">{icons.wide}<span className="rail-name">Narrow</span></button>
        </nav>
        <header className="bar">
          <ProjectSwitch me={me} project={project} view={view} />
          <span className="grow" />
          {bar}
          <button type="button" className="button wide" data-kind="quiet" onClick={() => setPalette(true)}>Go to <kbd>{mod}K</kbd></button>
          <CopyButton className="button wide" data-kind="quiet" text={() => location.href} label="Share" done="Link copied" title="Copies the address of exactly this view" />
          <Mine me={me} />
        </header>
        <main className="main" id="main" tabIndex={-1}>{children}</main>
        {palette && <Palette me={me} project={project} close={() => setPalette(false)} />}
        {help && <Help close={() => setHelp(false)} />}
      </div>
    </InProject>
  );
}

/** Who is signed in, and what they set for this device. */
function Mine({ me }: { me: Me }) {
  const [mode, setMode] = useState<Theme>(theme);
  const zone = useZone();
  const turn = (next: Theme) => { applyTheme(next); setMode(next); };
  return (
    <Panel label="You" name={<><span className="clip me-name">{me.user.email.split("@")[0]}</span> <span aria-hidden="true">▾</span></>} title={me.user.email}>
      {() => (
        <div className="stack mine">
          <p className="clip" title={me.user.email}>{me.user.email}</p>
          <div className="field" role="group" aria-label="Colours"><span className="hint">Colours</span><span className="row">{(["system", "light", "dark"] as const).map((m) => <button key={m} type="button" className="button" aria-pressed={mode === m} onClick={() => turn(m)}>{m}</button>)}</span></div>
          <div className="field" role="group" aria-label="Times"><span className="hint">Times</span><span className="row">{(["local", "utc"] as const).map((z) => <button key={z} type="button" className="button" aria-pressed={zone === z} onClick={() => setZone(z)}>{z === "utc" ? "UTC" : `this device, ${zoneName(new Date(), z)}`}</button>)}</span></div>
          <button type="button" className="button" onClick={() => api.signOut().finally(() => location.assign("/app/"))}>Sign out</button>
        </div>
      )}
    </Panel>
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
              const name = pathOf(me, at, p.name);
              return <option key={p.number} value={name}>{p.name}</option>;
            })}
          </optgroup>
        ))}
        <option value="+">New project…</option>
      </select>
    </span>
  );
}

function Palette({ me, project, close }: { me: Me; project: string; close: () => void }) {
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  // Without Kafka, or without an answer, everything else is still found.
  const topics = useLoad(project, (signal) => streams.topics(project, "", signal)).data?.topics;
  const goals = useMemo(() => goalsFor(text, me, project, topics?.filter((t) => !t.read_only).map((t) => t.name)), [text, me, project, topics]);
  const chosen = Math.min(at, goals.length - 1);
  const open = (goal: Goal | undefined) => { if (goal) { close(); go(goal.address); } };
  return (
    <Modal close={close} className="palette" label="Go to anything">
      <input autoFocus role="combobox" aria-expanded="true" aria-controls="palette-list" aria-activedescendant={`goal-${chosen}`} aria-label="A view, a project, a topic, an event or trace id, a DSN, words"
        placeholder="A view, a project, a topic, an event or trace id, a DSN, words" value={text} onChange={(event) => { setText(event.target.value); setAt(0); }}
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
  ["/", "search"], ["j k", "next and previous row"], [".", "what to do with the row"], ["enter", "open"], ["esc", "close"], ["t", "time range"], ["l", "live"],
  ["g l", "Explore"], ["g e", "Errors"], ["g t", "Streams"], ["g s", "SQL"], ["g i", "Send events"], ["g p", "Settings"],
  ["w", "wrap lines"], ["c", "copy the row or cell"], ["r", "ask again"], ["v", "chart or table"], ["-", "zoom out"], ["e", "resolve an issue"], ["a", "archive an issue"],
  [`${mod}enter`, "run SQL"], [`${mod}K`, "go to anything"], ["?", "this page"],
];

function Help({ close }: { close: () => void }) {
  return (
    <Modal close={close} className="help" label="Keys">
      <h2>Keys</h2>
      <dl>{help.map(([key, what]) => <div key={key}><dt><kbd>{key}</kbd></dt><dd>{what}</dd></div>)}</dl>
      <div className="row"><button type="button" className="button" autoFocus onClick={close}>Close</button></div>
    </Modal>
  );
}
