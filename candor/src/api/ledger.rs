//! The ledger over HTTP, and revealing, which is written there before a value is given.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use candor_ledger::scan::Code;
use candor_ledger::{Action, Entry, Event};
use candor_model::{OrgId, Timestamp};
use candor_people::ReadRole;
use http::{HeaderValue, StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};

use super::issues::InProject;
use super::rights::{ROLES_CLAUSE, policy_of, sees};
use super::{Body, Params};
use crate::app::App;
use crate::http::problem::Answer;
use crate::http::{Caller, Problem};

/// Entries of a page where the caller names no number.
const PAGE: u32 = 100;

/// Most entries of a page.
const PAGE_MAX: u32 = 1_000;

/// The clause of a policy that says whether a value is shown for a reason alone.
const REASON_CLAUSE: &str = "governance.reads.reveal_needs_reason";

/// Longest reason, bytes: a sentence or two, and not a place to keep what was revealed.
const REASON_BYTES_MAX: usize = 1_000;

/// The parameters of `GET /api/v1/ledger`.
#[derive(Deserialize)]
pub struct Ask {
    project: String,
    /// Only entries of smaller numbers.
    before: Option<u64>,
    limit: Option<u32>,
}

/// `GET /api/v1/ledger`: the newest entries first. A privacy officer sees whom they concerned, and why.
pub async fn list(
    caller: Caller,
    State(app): State<Arc<App>>,
    Params(ask): Params<Ask>,
) -> Answer<Json<Value>> {
    let (_, scope) = caller.read(&app, &ask.project).await?;
    let ledger = &app.books.ledger;
    // What was counted so far is asked for.
    ledger.settle(Some(scope.project())).await?;
    let limit = ask.limit.unwrap_or(PAGE).clamp(1, PAGE_MAX);
    let entries = ledger.entries(scope.project(), ask.before, limit).await?;
    let whole = sees(&app, &caller, &scope).await?.details();
    let mut out = Vec::with_capacity(entries.len());
    for entry in &entries {
        let mut shown = show(entry);
        if whole && let Some(detail) = ledger.detail(&entry.leaf).await? {
            shown["reason"] = json!(detail.reason);
            shown["subjects"] = detail.subjects.iter().map(|code| json!(code.to_string())).collect();
        }
        out.push(shown);
    }
    let full = entries.len() == limit as usize;
    let next = entries.last().filter(|_| full).map(|entry| entry.leaf.index);
    Ok(Json(json!({ "entries": out, "before": next })))
}

fn show(entry: &Entry) -> Value {
    let leaf = &entry.leaf;
    json!({
        "index": leaf.index,
        "timestamp": Timestamp(leaf.time).to_string(),
        "since": leaf.since.map(|since| Timestamp(since).to_string()),
        "actor": leaf.actor,
        "action": leaf.action.name(),
        "purpose": leaf.purpose,
        "signal": leaf.signal,
        "count": leaf.count,
        "rows": leaf.rows,
        "subject_count": leaf.subjects,
        "clause": leaf.clause,
        "policy": leaf.policy,
        "leaf": entry.text,
    })
}

/// `GET /api/v1/ledger/{index}/proof`, as C2SP tlog-proof writes it.
pub async fn proof(caller: Caller, State(app): State<Arc<App>>, Path(index): Path<u64>) -> Answer<Response> {
    let absent = || Problem::not_found(format!("the ledger has no entry {index} that you may read"));
    let entry = app.books.ledger.entry(index).await?.ok_or_else(absent)?;
    // An entry of the instance is anybody's who may sign in; one of a project its readers' alone.
    if let Some(org) = entry.leaf.org {
        may_see(&app, &caller, OrgId(org)).await?.then_some(()).ok_or_else(absent)?;
    }
    Ok(text(app.books.ledger.proof(index).await?.to_text()))
}

/// `GET /api/v1/ledger/checkpoint`: the newest, signed. Kept elsewhere, it shows later that nothing was taken back.
pub async fn checkpoint(_: Caller, State(app): State<Arc<App>>) -> Answer<Response> {
    let newest = app.books.ledger.checkpoint().await?;
    let (_, note) = newest.ok_or_else(|| Problem::not_found("the ledger is empty"))?;
    let mut response = text(note);
    if let Ok(key) = HeaderValue::from_str(&app.books.ledger.notary().verifier_key()) {
        response.headers_mut().insert("x-candor-verifier-key", key);
    }
    Ok(response)
}

fn text(content: String) -> Response {
    let mut response = content.into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn may_see(app: &App, caller: &Caller, org: OrgId) -> Answer<bool> {
    match caller.user() {
        None => Ok(true),
        Some(user) => Ok(app.tenancy.role_of(user.id, org).await?.is_some()),
    }
}

/// `GET /api/v1/reveal`: whether the caller may reveal, and what that takes, so that a screen offers what will be done.
pub async fn may_reveal(
    caller: Caller,
    State(app): State<Arc<App>>,
    Params(ask): Params<InProject>,
) -> Answer<Json<Value>> {
    let (_, scope) = caller.read(&app, &ask.project).await?;
    let sees = sees(&app, &caller, &scope).await?;
    let reads = &policy_of(&app, scope.project())?.resolved.policy.governance.reads;
    Ok(Json(json!({
        "sees": sees.name(),
        "may_reveal": sees.values(),
        "needs_reason": reads.reveal_needs_reason,
    })))
}

/// The body of `POST /api/v1/reveal`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reveal {
    project: String,
    code: String,
    #[serde(default)]
    reason: String,
}

/// `POST /api/v1/reveal`: what stands behind a code. The entry is on stable storage before the value is given, also where
/// there turns out to be none.
pub async fn reveal(
    caller: Caller,
    State(app): State<Arc<App>>,
    Body(ask): Body<Reveal>,
) -> Answer<Json<Value>> {
    let (_, scope) = caller.read(&app, &ask.project).await?;
    if !sees(&app, &caller, &scope).await?.values() {
        let detail = "your role sees codes: who may reveal the policy says, and an owner gives the role";
        return Err(Problem::forbidden(detail).clause(ROLES_CLAUSE));
    }
    let not_valid =
        |detail: &str| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "Not valid", detail.to_owned());
    let reason = ask.reason.trim();
    let reads = &policy_of(&app, scope.project())?.resolved.policy.governance.reads;
    if reason.is_empty() && reads.reveal_needs_reason {
        return Err(not_valid("say why: reason is empty").clause(REASON_CLAUSE));
    }
    if reason.len() > REASON_BYTES_MAX {
        return Err(not_valid("a reason has at most 1,000 bytes").clause(REASON_CLAUSE));
    }
    let code = Code::parse(&ask.code).ok_or_else(|| not_valid("code is no person's: kind:26 characters"))?;
    // What was acknowledged may be on its way to the vault.
    if let Err(error) = app.vault.settle().await {
        tracing::warn!(error = crate::logging::chain(&error), "the vault is not up to date");
    }
    let mut event =
        Event::new(Action::Reveal, scope.actor(), "reveal").of_project(scope.org(), scope.project());
    event.rows = 1;
    event.clause = Some(ROLES_CLAUSE.to_owned());
    event.reason = Some(reason.to_owned()).filter(|reason| !reason.is_empty());
    event.subjects.add(code);
    let index = app.books.ledger.append(event).await?;
    let values = app.books.vault.reveal(&app.keyring, scope.project(), &code.to_string()).await?;
    if values.is_empty() {
        return Err(Problem::not_found("nothing stands behind this code: it never did, or it was erased"));
    }
    Ok(Json(json!({ "code": code.to_string(), "values": values, "index": index })))
}

/// The parameters of `/api/v1/members`.
#[derive(Deserialize)]
pub struct InOrg {
    org: Option<String>,
}

/// `GET /api/v1/members`: who belongs to an organisation, and what each may see.
pub async fn members(
    caller: Caller,
    State(app): State<Arc<App>>,
    Params(ask): Params<InOrg>,
) -> Answer<Json<Value>> {
    let org = owned(&app, &caller, ask.org.as_deref()).await?;
    let members: Vec<Value> = app
        .people
        .members(&app.tenancy, org)
        .await?
        .iter()
        .map(|member| json!({ "id": member.id, "email": member.email, "role": member.role.name() }))
        .collect();
    Ok(Json(json!({ "members": members })))
}

/// The body of `PUT /api/v1/members`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Give {
    org: Option<String>,
    email: String,
    role: String,
}

/// `PUT /api/v1/members`: an owner says what a member may see.
pub async fn give(caller: Caller, State(app): State<Arc<App>>, Body(ask): Body<Give>) -> Answer<StatusCode> {
    let org = owned(&app, &caller, ask.org.as_deref()).await?;
    let role = ReadRole::from_name(&ask.role).ok_or_else(|| {
        let names = ReadRole::ALL.map(ReadRole::name).join(", ");
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "Not valid", format!("role is one of {names}"))
    })?;
    let given = app.people.set_read_role(&app.tenancy, &caller.actor(), &ask.email, org, role).await?;
    let user = given.ok_or_else(|| Problem::not_found("no member of the organisation has that address"))?;
    let mut event = Event::new(Action::RoleChange, caller.actor(), format!("user:{user} {}", role.name()));
    event.clause = Some(ROLES_CLAUSE.to_owned());
    app.books.ledger.append(event).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn owned(app: &App, caller: &Caller, name: Option<&str>) -> Answer<OrgId> {
    let absent = || Problem::not_found("there is no such organisation");
    let org = match name {
        Some(name) => app.tenancy.org_named(name).await?.ok_or_else(absent)?,
        None => app.tenancy.default_org().await?,
    };
    caller.must_own(app, org.id).await?;
    Ok(org.id)
}
