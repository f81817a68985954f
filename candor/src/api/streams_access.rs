//! Users of Kafka clients and their rules.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use candor_streams::view::{AccessRule, ClientQuota, KafkaUser, NewKafkaUser};
use http::StatusCode;
use serde::Deserialize;

use super::issues::InProject;
use super::streams::{changing, note, reading};
use super::{Body, Params};
use crate::app::App;
use crate::http::Caller;
use crate::http::problem::Answer;

/// `GET /api/v1/streams/users`.
pub async fn users(
    caller: Caller,
    State(app): State<Arc<App>>,
    Params(ask): Params<InProject>,
) -> Answer<Json<Vec<KafkaUser>>> {
    let (view, scope) = reading(&caller, &app, &ask.project).await?;
    Ok(Json(view.users(&scope)))
}

/// The body of `POST /api/v1/streams/users`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    name: String,
    #[serde(default)]
    owner: bool,
}

/// `POST /api/v1/streams/users`: the answer holds the password, once.
pub async fn create_user(
    caller: Caller,
    State(app): State<Arc<App>>,
    Params(ask): Params<InProject>,
    Body(body): Body<NewUser>,
) -> Answer<(StatusCode, Json<NewKafkaUser>)> {
    let (view, scope) = changing(&caller, &app, &ask.project).await?;
    let made = view.create_user(&scope, &body.name, body.owner).await?;
    note(&caller, &app, &scope, "kafka-user.create", &format!("user:{}", made.username)).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// `DELETE /api/v1/streams/users/{user}`.
pub async fn delete_user(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(user): Path<String>,
    Params(ask): Params<InProject>,
) -> Answer<StatusCode> {
    let (view, scope) = changing(&caller, &app, &ask.project).await?;
    view.delete_user(&scope, &user).await?;
    note(&caller, &app, &scope, "kafka-user.delete", &format!("user:{user}")).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /api/v1/streams/users/{user}/password`: a new one, shown once.
pub async fn renew_user(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(user): Path<String>,
    Params(ask): Params<InProject>,
) -> Answer<Json<NewKafkaUser>> {
    let (view, scope) = changing(&caller, &app, &ask.project).await?;
    let made = view.renew_user(&scope, &user).await?;
    note(&caller, &app, &scope, "kafka-user.renew", &format!("user:{user}")).await?;
    Ok(Json(made))
}

/// `GET /api/v1/streams/acls`.
pub async fn rules(
    caller: Caller,
    State(app): State<Arc<App>>,
    Params(ask): Params<InProject>,
) -> Answer<Json<Vec<AccessRule>>> {
    let (view, scope) = reading(&caller, &app, &ask.project).await?;
    Ok(Json(view.rules(&scope)))
}

/// `POST /api/v1/streams/acls`.
pub async fn add_rule(
    caller: Caller,
    State(app): State<Arc<App>>,
    Params(ask): Params<InProject>,
    Body(rule): Body<AccessRule>,
) -> Answer<(StatusCode, Json<AccessRule>)> {
    let (view, scope) = changing(&caller, &app, &ask.project).await?;
    let rule = view.add_rule(&scope, &rule).await?;
    note(&caller, &app, &scope, "acl.create", &said(&rule)).await?;
    Ok((StatusCode::CREATED, Json(rule)))
}

/// `DELETE /api/v1/streams/acls`: exactly the rule of the body.
pub async fn remove_rule(
    caller: Caller,
    State(app): State<Arc<App>>,
    Params(ask): Params<InProject>,
    Body(rule): Body<AccessRule>,
) -> Answer<StatusCode> {
    let (view, scope) = changing(&caller, &app, &ask.project).await?;
    view.remove_rule(&scope, &rule).await?;
    note(&caller, &app, &scope, "acl.delete", &said(&rule)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /api/v1/streams/quotas`.
pub async fn quotas(
    caller: Caller,
    State(app): State<Arc<App>>,
    Params(ask): Params<InProject>,
) -> Answer<Json<Vec<ClientQuota>>> {
    let (view, scope) = reading(&caller, &app, &ask.project).await?;
    Ok(Json(view.quotas(&scope)))
}

/// `PUT /api/v1/streams/quotas`: without bounds it goes.
pub async fn set_quota(
    caller: Caller,
    State(app): State<Arc<App>>,
    Params(ask): Params<InProject>,
    Body(quota): Body<ClientQuota>,
) -> Answer<StatusCode> {
    let (view, scope) = changing(&caller, &app, &ask.project).await?;
    view.set_quota(&scope, &quota).await?;
    let named = |name: &Option<String>| name.clone().unwrap_or_default();
    let what = format!("user:{} client:{}", named(&quota.user), named(&quota.client_id));
    note(&caller, &app, &scope, "quota.set", &what).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn said(rule: &AccessRule) -> String {
    let verb = if rule.allow { "allow" } else { "deny" };
    format!("{verb} {} {} {}:{}", rule.principal, rule.operation, rule.resource, rule.name)
}
