//! Bridges to other Kafka clusters. Who makes one lets records leave the project, or enter it: only an owner does.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use candor_meta::WriteScope;
use candor_streams::bridge::{Bridge, BridgeError, Bridges, Spec};
use http::StatusCode;
use serde_json::{Value, json};

use super::issues::InProject;
use super::streams::note;
use super::{Body, Params};
use crate::app::App;
use crate::http::problem::Answer;
use crate::http::{Caller, Problem};

/// The bridges, and the right to change a project's as its owner.
async fn owning(caller: &Caller, app: &App, project: &str) -> Answer<(Bridges, WriteScope)> {
    let (project, _) = caller.read(app, project).await?;
    caller.must_own(app, project.org).await?;
    let scope = app.tenancy.user_write(project.id).await?;
    Ok((bridges(app)?, scope.ok_or_else(|| Problem::not_found("the project was deleted meanwhile"))?))
}

fn bridges(app: &App) -> Answer<Bridges> {
    let off = || Problem::conflict("Kafka does not listen here: start the server with --kafka-listen");
    Ok(app.streams.as_ref().ok_or_else(off)?.bridges().clone())
}

/// `GET /api/v1/streams/bridges`: none where Kafka does not listen.
pub async fn list(
    caller: Caller,
    State(app): State<Arc<App>>,
    Params(ask): Params<InProject>,
) -> Answer<Json<Vec<Bridge>>> {
    let (_, scope) = caller.read(&app, &ask.project).await?;
    let bridges = app.streams.as_ref().map(|streams| streams.bridges().list(&scope));
    Ok(Json(bridges.unwrap_or_default()))
}

/// `POST /api/v1/streams/bridges`: makes one and begins it.
pub async fn create(
    caller: Caller,
    State(app): State<Arc<App>>,
    Params(ask): Params<InProject>,
    Body(spec): Body<Spec>,
) -> Answer<(StatusCode, Json<Bridge>)> {
    let (bridges, scope) = owning(&caller, &app, &ask.project).await?;
    let made = bridges.create(&scope, spec).await?;
    note(&caller, &app, &scope, "bridge.create", &format!("bridge:{}", made.spec.name)).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// `GET /api/v1/streams/bridges/{bridge}`.
pub async fn show(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(bridge): Path<String>,
    Params(ask): Params<InProject>,
) -> Answer<Json<Bridge>> {
    let (_, scope) = caller.read(&app, &ask.project).await?;
    Ok(Json(bridges(&app)?.get(&scope, &bridge)?))
}

/// `PUT /api/v1/streams/bridges/{bridge}`: tells it otherwise; it goes on where it stands.
pub async fn change(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(bridge): Path<String>,
    Params(ask): Params<InProject>,
    Body(spec): Body<Spec>,
) -> Answer<Json<Bridge>> {
    let (bridges, scope) = owning(&caller, &app, &ask.project).await?;
    if spec.name != bridge {
        return Err(Problem::bad_request("a bridge keeps its name: the body names another"));
    }
    let changed = bridges.change(&scope, spec).await?;
    note(&caller, &app, &scope, "bridge.change", &format!("bridge:{bridge}")).await?;
    Ok(Json(changed))
}

/// `DELETE /api/v1/streams/bridges/{bridge}`: what it mirrored stays.
pub async fn remove(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(bridge): Path<String>,
    Params(ask): Params<InProject>,
) -> Answer<Json<Value>> {
    let (bridges, scope) = owning(&caller, &app, &ask.project).await?;
    let left = bridges.delete(&scope, &bridge).await?;
    note(&caller, &app, &scope, "bridge.delete", &format!("bridge:{bridge}")).await?;
    Ok(Json(json!({ "group_left": left })))
}

/// `POST /api/v1/streams/bridges/{bridge}/pause`.
pub async fn pause(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(bridge): Path<String>,
    Params(ask): Params<InProject>,
) -> Answer<Json<Bridge>> {
    hold(&caller, &app, &ask.project, &bridge, true).await
}

/// `POST /api/v1/streams/bridges/{bridge}/resume`: one that runs is begun anew.
pub async fn resume(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(bridge): Path<String>,
    Params(ask): Params<InProject>,
) -> Answer<Json<Bridge>> {
    hold(&caller, &app, &ask.project, &bridge, false).await
}

async fn hold(caller: &Caller, app: &App, project: &str, bridge: &str, paused: bool) -> Answer<Json<Bridge>> {
    let (bridges, scope) = owning(caller, app, project).await?;
    let changed = bridges.pause(&scope, bridge, paused).await?;
    let act = if paused { "bridge.pause" } else { "bridge.resume" };
    note(caller, app, &scope, act, &format!("bridge:{bridge}")).await?;
    Ok(Json(changed))
}

impl From<BridgeError> for Problem {
    fn from(error: BridgeError) -> Problem {
        let detail = error.to_string();
        match error {
            BridgeError::Missing(_) => Problem::not_found(detail),
            BridgeError::Exists(_) => Problem::conflict(detail),
            BridgeError::Forbidden(forbidden) => Problem::forbidden(detail).clause(forbidden.clause),
            BridgeError::Refused(_) => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "Not valid", detail),
            BridgeError::Sql(error) => error.into(),
        }
    }
}
