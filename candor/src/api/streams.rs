//! Streams as the screen shows them: topics, how they are set, and what is done to them.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use candor_meta::{ReadScope, WriteScope};
use candor_streams::view::{Change, NewTopic, TopicDetail, TopicList, View, ViewError};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::issues::InProject;
use super::{Body, Params};
use crate::app::App;
use crate::http::problem::Answer;
use crate::http::{Caller, Problem};

/// The streams, and the right to read a project's.
pub(super) async fn reading(caller: &Caller, app: &App, project: &str) -> Answer<(View, ReadScope)> {
    let (_, scope) = caller.read(app, project).await?;
    Ok((view(app)?, scope))
}

/// The streams, and the right to change a project's.
pub(super) async fn changing(caller: &Caller, app: &App, project: &str) -> Answer<(View, WriteScope)> {
    let project = caller.manage(app, project).await?;
    let scope = app.tenancy.user_write(project.id).await?;
    Ok((view(app)?, scope.ok_or_else(|| Problem::not_found("the project was deleted meanwhile"))?))
}

fn view(app: &App) -> Answer<View> {
    let off = || Problem::conflict("Kafka does not listen here: start the server with --kafka-listen");
    Ok(app.streams.as_ref().ok_or_else(off)?.view().clone())
}

/// Notes what was done, and to what.
pub(super) async fn note(
    caller: &Caller,
    app: &App,
    scope: &WriteScope,
    act: &str,
    what: &str,
) -> Answer<()> {
    let object = format!("project:{} {what}", scope.project());
    Ok(app.people.audit(&caller.actor(), act, &object).await?)
}

/// The parameters of a list.
#[derive(Deserialize)]
pub struct Search {
    pub(super) project: String,
    #[serde(default)]
    pub(super) q: String,
}

/// `GET /api/v1/streams`: where Kafka clients connect, and as whom; whether the caller may change anything.
pub async fn overview(
    caller: Caller,
    State(app): State<Arc<App>>,
    Params(ask): Params<InProject>,
) -> Answer<Json<Value>> {
    let (project, scope) = caller.read(&app, &ask.project).await?;
    let may_change = caller.must_manage(&app, project.org).await.is_ok();
    let Some(streams) = &app.streams else {
        return Ok(Json(json!({ "listening": false, "bootstrap": null, "users": [], "tls": false,
            "may_change": may_change, "topics": 0 })));
    };
    let users: Vec<String> = streams.view().users(&scope).into_iter().map(|user| user.name).collect();
    Ok(Json(json!({
        "listening": true,
        "bootstrap": streams.bootstrap(),
        "users": users,
        "tls": app.kafka_tls,
        "may_change": may_change,
        "topics": streams.view().topics_count(&scope),
    })))
}

/// `GET /api/v1/streams/topics`: none where Kafka does not listen.
pub async fn topics(
    caller: Caller,
    State(app): State<Arc<App>>,
    Params(ask): Params<Search>,
) -> Answer<Json<TopicList>> {
    let (_, scope) = caller.read(&app, &ask.project).await?;
    let topics = app.streams.as_ref().map(|streams| streams.view().topics(&scope, &ask.q));
    Ok(Json(topics.unwrap_or_default()))
}

/// `POST /api/v1/streams/topics`.
pub async fn create_topic(
    caller: Caller,
    State(app): State<Arc<App>>,
    Params(ask): Params<InProject>,
    Body(body): Body<NewTopic>,
) -> Answer<(StatusCode, Json<TopicDetail>)> {
    let (view, scope) = changing(&caller, &app, &ask.project).await?;
    let made = view.create_topic(&scope, body).await?;
    note(&caller, &app, &scope, "topic.create", &format!("topic:{}", made.summary.name)).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// `GET /api/v1/streams/topics/{topic}`.
pub async fn topic(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(topic): Path<String>,
    Params(ask): Params<InProject>,
) -> Answer<Json<TopicDetail>> {
    let (view, scope) = reading(&caller, &app, &ask.project).await?;
    Ok(Json(view.topic(&scope, &topic).await?))
}

/// The body of `PUT /api/v1/streams/topics/{topic}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangeTopic {
    #[serde(default)]
    configs: Vec<Change>,
    partitions: Option<u32>,
}

/// `PUT /api/v1/streams/topics/{topic}`: what is named changes, the rest stays.
pub async fn change_topic(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(topic): Path<String>,
    Params(ask): Params<InProject>,
    Body(body): Body<ChangeTopic>,
) -> Answer<Json<TopicDetail>> {
    let (view, scope) = changing(&caller, &app, &ask.project).await?;
    let names: Vec<String> = body.configs.iter().map(|change| change.name.clone()).collect();
    let changed = view.change_topic(&scope, &topic, body.configs, body.partitions).await?;
    let what = format!("topic:{topic} {}", names.join(" "));
    note(&caller, &app, &scope, "topic.change", what.trim_end()).await?;
    Ok(Json(changed))
}

/// `DELETE /api/v1/streams/topics/{topic}`.
pub async fn delete_topic(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(topic): Path<String>,
    Params(ask): Params<InProject>,
) -> Answer<StatusCode> {
    let (view, scope) = changing(&caller, &app, &ask.project).await?;
    view.delete_topic(&scope, &topic).await?;
    note(&caller, &app, &scope, "topic.delete", &format!("topic:{topic}")).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl From<ViewError> for Problem {
    fn from(error: ViewError) -> Problem {
        let detail = error.to_string();
        match error {
            ViewError::Missing(_) => Problem::not_found(detail),
            ViewError::Refused(_) => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "Not valid", detail),
            ViewError::Conflict(_) => Problem::conflict(detail),
            ViewError::Later(_) => Problem::unavailable(detail, 1),
            ViewError::Read(_) => Problem::internal(&error),
            ViewError::Sql(error) if error.is_transient() => {
                tracing::warn!(error = crate::logging::chain(&*error), "metadata is unreachable");
                Problem::unavailable("metadata is busy or unreachable", 1)
            }
            ViewError::Sql(error) => Problem::internal(&*error),
        }
    }
}
