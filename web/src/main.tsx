// The screen's entry: who is here, where they are, which view that is.
import "@fontsource-variable/inter/wght.css";
import "@fontsource-variable/jetbrains-mono/wght.css";
import "./design/tokens.css";
import "./design/base.css";
import "./design/frame.css";
import { lazy, StrictMode, Suspense, useEffect, useState } from "react";
import { createRoot } from "react-dom/client";
import { api, signedOut, type Me } from "./lib/api";
import { useLoad } from "./lib/load";
import { followLinks, go, href, placeNow, usePlace } from "./lib/route";
import { applyTheme } from "./lib/theme";
import { projectsOf } from "./lib/views";
import { Skeleton, Trouble } from "./parts/basics";
import { Boundary } from "./parts/Boundary";
import { Frame } from "./parts/Frame";
import { TimeRange } from "./parts/TimeRange";
import { NewProject, Setup, SignIn } from "./views/Doors";

/** Where each view's code is: asked for while the session is, when the address already names the view. */
const code = {
  explore: () => import("./views/Explore"), sql: () => import("./views/Sql"), errors: () => import("./views/Errors"), issue: () => import("./views/Issue"),
  start: () => import("./views/Start"), streams: () => import("./views/Streams"), privacy: () => import("./views/Privacy"), settings: () => import("./views/Settings"), components: () => import("./views/Components"),
};
const Explore = lazy(() => code.explore().then((m) => ({ default: m.Explore })));
const Sql = lazy(() => code.sql().then((m) => ({ default: m.Sql })));
const Errors = lazy(() => code.errors().then((m) => ({ default: m.Errors })));
const IssuePage = lazy(() => code.issue().then((m) => ({ default: m.IssuePage })));
const EventById = lazy(() => code.issue().then((m) => ({ default: m.EventById })));
const Start = lazy(() => code.start().then((m) => ({ default: m.Start })));
const Streams = lazy(() => code.streams().then((m) => ({ default: m.Streams })));
const Privacy = lazy(() => code.privacy().then((m) => ({ default: m.Privacy })));
const Settings = lazy(() => code.settings().then((m) => ({ default: m.Settings })));
const Components = lazy(() => code.components().then((m) => ({ default: m.Components })));

function beginLoading([, view, id]: string[]) {
  const named = (view === "errors" && id) || view === "events" ? "issue" : view;
  // What cannot be loaded here is asked for again, and reported, where it is shown.
  if (named && named in code) void code[named as keyof typeof code]().catch(() => undefined);
}

function App() {
  const { path } = usePlace();
  const status = useLoad("status", api.status);
  // Asked together; before setup nobody is anybody, and the answer is not looked at.
  const [turn, setTurn] = useState(0);
  const me = useLoad(`me ${turn}`, api.me);
  const again = () => { status.reload(); setTurn(turn + 1); };
  useEffect(() => {
    document.addEventListener("click", followLinks);
    return () => document.removeEventListener("click", followLinks);
  }, []);
  // A session that ended, here or in another tab, leads to the door; the address stays, so signing in leads back.
  useEffect(() => {
    window.addEventListener(signedOut, me.reload);
    return () => window.removeEventListener(signedOut, me.reload);
  }, [me.reload]);
  if (path[0] === "_components") return <Suspense><Components /></Suspense>;
  if (status.problem) return <div className="page"><Trouble problem={status.problem} again={status.reload} /></div>;
  if (!status.data) return status.slow ? <Skeleton /> : null;
  if (path[0] === "setup" && !status.data.setup_needed) { queueMicrotask(() => go(href([]), true)); return null; }
  if (status.data.setup_needed) return <Setup done={again} />;
  if (me.problem?.status === 401) return <SignIn done={again} />;
  if (me.problem) return <div className="page"><Trouble problem={me.problem} again={again} /></div>;
  if (!me.data) return me.slow ? <Skeleton /> : null;
  return (
    <>
      {status.data.test_clock && <p className="note" role="status">This server's clock is shifted for tests: times are not real.</p>}
      <Signed me={me.data} again={again} />
    </>
  );
}

function Signed({ me, again }: { me: Me; again: () => void }) {
  const { path } = usePlace();
  const names = projectsOf(me).map((p) => p.path);
  const [project, view = "explore", id] = path;
  const lost = project !== undefined && project !== "projects" && !names.includes(project);
  useEffect(() => {
    if (project === undefined || project === "setup") go(names[0] ? href([names[0], "explore"]) : href(["projects", "new"]), true);
  }, [project]);
  if (project === "projects") return <NewProject done={again} />;
  if (project === undefined || project === "setup") return null;
  if (lost) {
    return <main className="page stack"><h1>No project named {project}</h1><p>It does not exist, or you may not read it.</p><p><a href={href([])}>Go to your projects</a></p></main>;
  }
  const page =
    view === "explore" ? <Explore project={project} />
    : view === "sql" ? <Sql project={project} />
    : view === "errors" && id ? <IssuePage key={id} project={project} id={id} />
    : view === "errors" ? <Errors project={project} />
    : view === "events" && id ? <EventById project={project} id={id} />
    : view === "streams" ? <Streams project={project} />
    : view === "privacy" ? <Privacy me={me} project={project} />
    : view === "start" ? <Start project={project} />
    : view === "settings" ? <Settings project={project} gone={again} />
    : <div className="page"><h1>No such view</h1><p><a href={href([project, "explore"])}>Explore</a></p></div>;
  return (
    <Frame me={me} project={project} view={view === "events" ? "errors" : view} bar={view === "explore" ? <TimeRange /> : undefined}>
      <Boundary key={`${project}/${view}`}><Suspense fallback={<Skeleton />}><div style={{ height: "100%" }}>{page}</div></Suspense></Boundary>
    </Frame>
  );
}

applyTheme();
beginLoading(placeNow().path);
createRoot(document.getElementById("root")!).render(<StrictMode><App /></StrictMode>);
