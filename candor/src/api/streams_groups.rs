//! Groups of Kafka clients: how far they are, and where they go on.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use candor_streams::view::{GroupDetail, GroupList, LagHistory, Reset, ResetTo};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::issues::InProject;
use super::streams::{Search, changing, note, reading};
use super::streams_messages::time_ms;
use super::{Body, Params};
use crate::app::App;
use crate::http::Caller;
use crate::http::problem::Answer;

/// `GET /api/v1/streams/groups`.
pub async fn list(
    caller: Caller,
    State(app): State<Arc<App>>,
    Params(ask): Params<Search>,
) -> Answer<Json<GroupList>> {
    let (view, scope) = reading(&caller, &app, &ask.project).await?;
    Ok(Json(view.groups(&scope, &ask.q).await?))
}

/// `GET /api/v1/streams/groups/{group}`.
pub async fn show(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(group): Path<String>,
    Params(ask): Params<InProject>,
) -> Answer<Json<GroupDetail>> {
    let (view, scope) = reading(&caller, &app, &ask.project).await?;
    Ok(Json(view.group(&scope, &group).await?))
}

/// `DELETE /api/v1/streams/groups/{group}`.
pub async fn remove(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(group): Path<String>,
    Params(ask): Params<InProject>,
) -> Answer<StatusCode> {
    let (view, scope) = changing(&caller, &app, &ask.project).await?;
    view.delete_group(&scope, &group).await?;
    note(&caller, &app, &scope, "group.delete", &format!("group:{group}")).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The parameters of `GET /api/v1/streams/groups/{group}/lag`.
#[derive(Deserialize)]
pub struct OfTopic {
    project: String,
    topic: Option<String>,
}

/// `GET /api/v1/streams/groups/{group}/lag`: over the last hour, as far as this process has run.
pub async fn lag(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(group): Path<String>,
    Params(ask): Params<OfTopic>,
) -> Answer<Json<LagHistory>> {
    let (view, scope) = reading(&caller, &app, &ask.project).await?;
    Ok(Json(view.lag(&scope, &group, ask.topic.as_deref())))
}

/// The body of `POST /api/v1/streams/groups/{group}/reset`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Move {
    topic: String,
    partitions: Option<Vec<u32>>,
    to: ResetTo,
    offset: Option<u64>,
    timestamp: Option<String>,
    #[serde(default)]
    dry_run: bool,
}

/// `POST /api/v1/streams/groups/{group}/reset`.
pub async fn reset(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(group): Path<String>,
    Params(ask): Params<InProject>,
    Body(body): Body<Move>,
) -> Answer<Json<Value>> {
    let (view, scope) = changing(&caller, &app, &ask.project).await?;
    let timestamp_ms = match body.to {
        ResetTo::Timestamp => Some(time_ms(body.timestamp.as_deref())?),
        _ => None,
    };
    let what = format!("group:{group} topic:{}", body.topic);
    let Move { topic, partitions, to, offset, dry_run, .. } = body;
    let reset = Reset { topic, partitions, to, offset, timestamp_ms, dry_run };
    let moved = view.reset(&scope, &group, reset).await?;
    if !dry_run {
        note(&caller, &app, &scope, "group.reset", &what).await?;
    }
    Ok(Json(json!({ "offsets": moved })))
}
