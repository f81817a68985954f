// The doors: the first account, signing in, the first project.
import { useState, type FormEvent, type ReactNode } from "react";
import { api, Problem } from "../lib/api";
import { go, href, usePlace } from "../lib/route";
import { fresh } from "../lib/snippets";
import { Trouble } from "../parts/basics";

/** A form that runs one call, shows what went wrong, and cannot be sent twice. */
function useSend() {
  const [problem, setProblem] = useState<Problem>();
  const [busy, setBusy] = useState(false);
  const send = (act: (form: FormData) => Promise<void>) => async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    if (busy) return;
    setBusy(true);
    setProblem(undefined);
    try {
      await act(new FormData(event.currentTarget));
    } catch (error) {
      setProblem(error instanceof Problem ? error : new Problem(-1, "Something went wrong on this page", String(error)));
      setBusy(false);
    }
  };
  return { problem, busy, send };
}

function Door({ title, lead, children, onSubmit }: { title: string; lead: string; children: ReactNode; onSubmit: (event: FormEvent<HTMLFormElement>) => void }) {
  return (
    <main className="door">
      <form onSubmit={onSubmit}>
        <img className="mark" src="/app/mark.svg" alt="" />
        <div><h1>{title}</h1><p className="soft">{lead}</p></div>
        {children}
      </form>
    </main>
  );
}

function Field({ name, label, hint, ...input }: { name: string; label: string; hint?: string } & React.InputHTMLAttributes<HTMLInputElement>) {
  return (
    <div className="field">
      <label htmlFor={name}>{label}</label>
      <input id={name} name={name} className="input" aria-describedby={hint ? `${name}-hint` : undefined} {...input} />
      {hint && <span id={`${name}-hint`} className="hint">{hint}</span>}
    </div>
  );
}

const text = (form: FormData, name: string) => String(form.get(name) ?? "");

export function Setup({ done }: { done: () => void }) {
  const { query } = usePlace();
  const { problem, busy, send } = useSend();
  const token = query.get("token") ?? "";
  if (!token) {
    return (
      <Door title="Candor waits for its first account" lead="Open the one-time link that the server printed when it started. It looks like this page with a token in its address." onSubmit={(event) => event.preventDefault()}>
        <p className="soft">Lost it? Start the server again, or make the account on its machine: <code>candor setup --email you@example.org --password-file FILE</code></p>
      </Door>
    );
  }
  return (
    <Door title="Welcome to Candor" lead="Make the first account. It owns this server's organisation." onSubmit={send(async (form) => {
      await api.setup({ token, email: text(form, "email"), password: text(form, "password"), org: text(form, "org") || undefined });
      done();
      go(href(["projects", "new"]), true);
    })}>
      <Field name="email" label="E-mail" type="email" autoComplete="username" required autoFocus />
      <Field name="password" label="Password" type="password" autoComplete="new-password" minLength={12} required hint="12 characters or more; a few words are best." />
      <Field name="org" label="Organisation" placeholder="default" autoComplete="organization" pattern="[a-z0-9][a-z0-9\-]*" hint="Lower-case letters, digits and dashes. You may leave it empty." />
      {problem && <Trouble problem={problem} />}
      <button className="button" data-kind="primary" disabled={busy}>Make the account</button>
    </Door>
  );
}

export function SignIn({ done }: { done: () => void }) {
  const { problem, busy, send } = useSend();
  return (
    <Door title="Sign in" lead="Candor, on this server." onSubmit={send(async (form) => {
      await api.signIn(text(form, "email"), text(form, "password"));
      done();
    })}>
      <Field name="email" label="E-mail" type="email" autoComplete="username" required autoFocus />
      <Field name="password" label="Password" type="password" autoComplete="current-password" required />
      {problem && <Trouble problem={problem} />}
      <button className="button" data-kind="primary" disabled={busy}>Sign in</button>
    </Door>
  );
}

export function NewProject({ done }: { done: () => void }) {
  const { problem, busy, send } = useSend();
  return (
    <Door title="New project" lead="A project is one application or site: its own keys, tables and policy." onSubmit={send(async (form) => {
      const created = await api.createProject(text(form, "name"));
      fresh.set(created.name, created);
      done();
      go(href([created.name, "start"]));
    })}>
      <Field name="name" label="Name" required autoFocus placeholder="shop" pattern="[a-z0-9][a-z0-9._\-]*" hint="Lower-case letters, digits, dots and dashes." />
      {problem && <Trouble problem={problem} />}
      <button className="button" data-kind="primary" disabled={busy}>Make the project</button>
    </Door>
  );
}
