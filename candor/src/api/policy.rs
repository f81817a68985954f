//! The policy: what holds, what was announced, what a file would change.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use candor_ledger::Action;
use candor_meta::tenancy::Project;
use candor_model::PolicyEpoch;
use candor_notices::{Held, Owner, Refused, Version};
use candor_policy::{Resolved, Severity};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Body, Params};
use crate::app::App;
use crate::http::problem::Answer;
use crate::http::{Caller, Problem};
use crate::policies;

/// Which policy is meant: a project's own, or, without one, the instance's.
#[derive(Deserialize)]
pub struct Which {
    project: Option<String>,
}

/// A policy file, and whose it is to be.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    project: Option<String>,
    /// As faults name it.
    #[serde(default = "unnamed")]
    name: String,
    source: String,
}

fn unnamed() -> String {
    "policy.toml".to_owned()
}

/// A version, by its epoch.
#[derive(Deserialize)]
pub struct Numbered {
    project: Option<String>,
    epoch: u32,
}

/// `GET /api/v1/policy`.
pub async fn show(
    caller: Caller,
    State(app): State<Arc<App>>,
    Params(which): Params<Which>,
) -> Answer<Json<Value>> {
    let (owner, project) = readable(&caller, &app, which.project.as_deref()).await?;
    let own = app.policies.own(owner);
    let in_force = match &project {
        Some(project) => app.policies.of(project.id),
        None => own.clone(),
    };
    let announced = app.policies.announced(owner).await?;
    let mut warnings = Vec::new();
    if let Some(held) = &in_force {
        warnings = candor_policy::lint(&held.resolved);
    }
    Ok(Json(json!({
        "project": project.map(|project| format!("{}/{}", project.org_name, project.name)),
        "has_own": own.is_some(),
        "in_force": in_force.as_deref().map(whole),
        "announced": announced.as_ref().map(whole),
        "warnings": warnings,
    })))
}

/// `PUT /api/v1/policy`: makes a file the policy.
pub async fn apply(
    caller: Caller,
    State(app): State<Arc<App>>,
    Body(file): Body<File>,
) -> Answer<Json<Value>> {
    let (owner, project) = changeable(&caller, &app, file.project.as_deref()).await?;
    // What the gate would not take is refused before it is kept: a start would fail by it.
    let may_hold =
        |read: &Resolved| candor_policy::lint(read).iter().all(|one| one.severity != Severity::Error);
    if let Some(read) = candor_policy::read(&file.name, &file.source).ok().filter(may_hold) {
        app.compiled(&read.policy)?;
    }
    let before = app.policies.own(owner).map(|held| held.version.epoch);
    let applied = app.policies.apply(owner, &file.name, &file.source, &caller.actor()).await?;
    let applied = applied.map_err(refusal)?;
    // What tightens holds before the answer.
    app.enforcement.put_in_force().await.map_err(|error| Problem::internal(&*error))?;
    if let Some(streams) = &app.streams {
        streams.bridges().review().await;
    }
    app.people.audit(&caller.actor(), "policy.apply", &policies::subject(owner)).await?;
    let begun = Some(&applied.in_force).filter(|version| Some(version.epoch) != before);
    let written = begun.map(|version| (Action::PolicyActivate, version));
    for (action, version) in
        written.into_iter().chain(applied.announced.iter().map(|version| (Action::PolicyAnnounce, version)))
    {
        let event = policies::event(action, caller.actor(), version);
        let event = match &project {
            Some(project) => event.of_project(project.org, project.id),
            None => event,
        };
        app.books.ledger.append(event).await?;
    }
    Ok(Json(json!({
        "in_force": version(&applied.in_force),
        "announced": applied.announced.as_ref().map(version),
        "changes": applied.changes,
        "warnings": applied.warnings,
    })))
}

/// `DELETE /api/v1/policy/announced`: takes back what was announced and does not hold yet.
pub async fn withdraw(
    caller: Caller,
    State(app): State<Arc<App>>,
    Params(which): Params<Which>,
) -> Answer<StatusCode> {
    let (owner, _) = changeable(&caller, &app, which.project.as_deref()).await?;
    if !app.policies.withdraw(owner).await? {
        return Err(Problem::not_found("nothing was announced"));
    }
    app.people.audit(&caller.actor(), "policy.withdraw", &policies::subject(owner)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /api/v1/policy/check`: what a file says, and what it would change. It changes nothing.
pub async fn check(
    caller: Caller,
    State(app): State<Arc<App>>,
    Body(file): Body<File>,
) -> Answer<Json<Value>> {
    let (owner, project) = readable(&caller, &app, file.project.as_deref()).await?;
    let resolved = match candor_policy::read(&file.name, &file.source) {
        Ok(resolved) => resolved,
        Err(faults) => {
            return Ok(Json(json!({ "faults": faults, "findings": [], "changes": [] })));
        }
    };
    let held = match &project {
        Some(project) => app.policies.of(project.id),
        None => app.policies.own(owner),
    };
    let changes =
        held.map(|held| candor_policy::diff(&held.resolved.policy, &resolved.policy)).unwrap_or_default();
    Ok(Json(json!({
        "faults": [],
        "findings": candor_policy::lint(&resolved),
        "changes": changes,
    })))
}

/// `GET /api/v1/policy/versions`, newest first.
pub async fn versions(
    caller: Caller,
    State(app): State<Arc<App>>,
    Params(which): Params<Which>,
) -> Answer<Json<Value>> {
    let (owner, _) = readable(&caller, &app, which.project.as_deref()).await?;
    let versions = app.policies.versions(owner).await?;
    Ok(Json(Value::Array(versions.iter().map(version).collect())))
}

/// `GET /api/v1/policy/version`: one of them, whole.
pub async fn one_version(
    caller: Caller,
    State(app): State<Arc<App>>,
    Params(which): Params<Numbered>,
) -> Answer<Json<Value>> {
    let (owner, _) = readable(&caller, &app, which.project.as_deref()).await?;
    let held = app.policies.version(owner, PolicyEpoch(which.epoch)).await?;
    let held = held.ok_or_else(|| Problem::not_found("there is no such version"))?;
    Ok(Json(whole(&held)))
}

/// Whose policy the caller asks for, where it may be read. The instance's is published anyway.
async fn readable(caller: &Caller, app: &App, project: Option<&str>) -> Answer<(Owner, Option<Project>)> {
    match project {
        None => Ok((Owner::Instance, None)),
        Some(path) => {
            let (project, _) = caller.read(app, path).await?;
            Ok((Owner::Project(project.id), Some(project)))
        }
    }
}

/// Whose policy is to change, where the caller may change it: an owner.
async fn changeable(caller: &Caller, app: &App, project: Option<&str>) -> Answer<(Owner, Option<Project>)> {
    match project {
        None => {
            caller.must_own(app, app.tenancy.default_org().await?.id).await?;
            Ok((Owner::Instance, None))
        }
        Some(path) => {
            let (project, _) = caller.read(app, path).await?;
            caller.must_own(app, project.org).await?;
            Ok((Owner::Project(project.id), Some(project)))
        }
    }
}

fn refusal(refused: Refused) -> Problem {
    let detail = refused.to_string();
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "The policy is refused", detail)
}

fn version(version: &Version) -> Value {
    json!({
        "epoch": version.epoch.0,
        "hash": version.hash,
        "is_interim": version.is_interim,
        "applied_by": version.applied_by,
        "applied_at": version.applied_at.to_string(),
        "effective_at": version.effective_at.to_string(),
        "activated_at": version.activated_at.map(|at| at.to_string()),
        "ended_at": version.ended_at.map(|at| at.to_string()),
    })
}

fn whole(held: &Held) -> Value {
    let mut out = version(&held.version);
    if let Some(object) = out.as_object_mut() {
        object.insert("source".to_owned(), json!(held.version.source));
        object.insert("policy".to_owned(), json!(held.resolved.policy));
    }
    out
}
