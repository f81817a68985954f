//! Schemas of topics: subjects, versions, what may change about them, and a test before anybody depends on it.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use candor_streams::view::{
    NewSchema, Place, SchemaTest, SchemaTopics, SettingsChange, SubjectDetail, SubjectList, SubjectSettings,
    SubjectVersion, Tested, VersionDetail,
};
use http::StatusCode;
use serde::Deserialize;

use super::issues::InProject;
use super::streams::{changing, note, reading};
use super::{Body, Params};
use crate::app::App;
use crate::http::Caller;
use crate::http::problem::Answer;

/// The parameters of `GET /api/v1/streams/schemas`.
#[derive(Deserialize)]
pub struct Wanted {
    project: String,
    #[serde(default)]
    q: String,
    /// Subjects whose versions are all hidden, too.
    #[serde(default)]
    deleted: bool,
}

/// `GET /api/v1/streams/schemas`: none where Kafka does not listen.
pub async fn list(
    caller: Caller,
    State(app): State<Arc<App>>,
    Params(ask): Params<Wanted>,
) -> Answer<Json<SubjectList>> {
    let (_, scope) = caller.read(&app, &ask.project).await?;
    let list = app.streams.as_ref().map(|streams| streams.view().subjects(&scope, &ask.q, ask.deleted));
    Ok(Json(list.unwrap_or_default()))
}

/// `PUT /api/v1/streams/schemas`: how schemas may change of subjects that have nothing of their own.
pub async fn set_all(
    caller: Caller,
    State(app): State<Arc<App>>,
    Params(ask): Params<InProject>,
    Body(body): Body<SettingsChange>,
) -> Answer<Json<SubjectSettings>> {
    let (view, scope) = changing(&caller, &app, &ask.project).await?;
    let what = said(&body);
    let set = view.set_all_schemas(&scope, body).await?;
    note(&caller, &app, &scope, "schemas.set", &what).await?;
    Ok(Json(set))
}

/// `GET /api/v1/streams/schemas/ids/{id}`: the versions that a schema is.
pub async fn places(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(id): Path<i32>,
    Params(ask): Params<InProject>,
) -> Answer<Json<Vec<Place>>> {
    let (view, scope) = reading(&caller, &app, &ask.project).await?;
    Ok(Json(view.schema_places(&scope, id)?))
}

/// `GET /api/v1/streams/schemas/subjects/{subject}`.
pub async fn subject(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(subject): Path<String>,
    Params(ask): Params<InProject>,
) -> Answer<Json<SubjectDetail>> {
    let (view, scope) = reading(&caller, &app, &ask.project).await?;
    Ok(Json(view.subject(&scope, &subject)?))
}

/// `PUT /api/v1/streams/schemas/subjects/{subject}`: what is not named goes back to what is set for all.
pub async fn set_subject(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(subject): Path<String>,
    Params(ask): Params<InProject>,
    Body(body): Body<SettingsChange>,
) -> Answer<Json<SubjectDetail>> {
    let (view, scope) = changing(&caller, &app, &ask.project).await?;
    let what = format!("subject:{subject} {}", said(&body));
    let set = view.set_subject(&scope, &subject, body).await?;
    note(&caller, &app, &scope, "schema.set", what.trim_end()).await?;
    Ok(Json(set))
}

/// The parameters of a deletion.
#[derive(Deserialize)]
pub struct HowGone {
    project: String,
    /// For good: what is hidden already alone.
    #[serde(default)]
    permanent: bool,
}

/// `DELETE /api/v1/streams/schemas/subjects/{subject}`.
pub async fn delete_subject(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(subject): Path<String>,
    Params(ask): Params<HowGone>,
) -> Answer<StatusCode> {
    delete(&caller, &app, &subject, None, &ask).await
}

/// `POST /api/v1/streams/schemas/subjects/{subject}/versions`.
pub async fn register(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(subject): Path<String>,
    Params(ask): Params<InProject>,
    Body(body): Body<NewSchema>,
) -> Answer<(StatusCode, Json<SubjectVersion>)> {
    let (view, scope) = changing(&caller, &app, &ask.project).await?;
    let made = view.register_schema(&scope, &subject, body).await?;
    let what = format!("subject:{subject} version:{}", made.version);
    note(&caller, &app, &scope, "schema.register", &what).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// `GET /api/v1/streams/schemas/subjects/{subject}/versions/{version}`.
pub async fn version(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path((subject, version)): Path<(String, i32)>,
    Params(ask): Params<InProject>,
) -> Answer<Json<VersionDetail>> {
    let (view, scope) = reading(&caller, &app, &ask.project).await?;
    Ok(Json(view.subject_version(&scope, &subject, version)?))
}

/// `DELETE /api/v1/streams/schemas/subjects/{subject}/versions/{version}`.
pub async fn delete_version(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path((subject, version)): Path<(String, i32)>,
    Params(ask): Params<HowGone>,
) -> Answer<StatusCode> {
    delete(&caller, &app, &subject, Some(version), &ask).await
}

/// `POST /api/v1/streams/schemas/subjects/{subject}/test`: changes nothing, so that whoever may read may ask.
pub async fn test(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(subject): Path<String>,
    Params(ask): Params<InProject>,
    Body(body): Body<SchemaTest>,
) -> Answer<Json<Tested>> {
    let (view, scope) = reading(&caller, &app, &ask.project).await?;
    Ok(Json(view.test_schema(&scope, &subject, body).await?))
}

/// `GET /api/v1/streams/schemas/subjects/{subject}/topics`.
pub async fn topics(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(subject): Path<String>,
    Params(ask): Params<InProject>,
) -> Answer<Json<SchemaTopics>> {
    let (view, scope) = reading(&caller, &app, &ask.project).await?;
    Ok(Json(view.schema_topics(&scope, &subject).await?))
}

async fn delete(
    caller: &Caller,
    app: &App,
    subject: &str,
    version: Option<i32>,
    how: &HowGone,
) -> Answer<StatusCode> {
    let (view, scope) = changing(caller, app, &how.project).await?;
    view.delete_schemas(&scope, subject, version, how.permanent).await?;
    let version = version.map(|version| format!(" version:{version}")).unwrap_or_default();
    let act = if how.permanent { "schema.remove" } else { "schema.delete" };
    note(caller, app, &scope, act, &format!("subject:{subject}{version}")).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn said(change: &SettingsChange) -> String {
    let words = [("level", &change.level), ("mode", &change.mode)];
    let words = words.map(|(name, value)| format!("{name}:{}", value.as_deref().unwrap_or("inherited")));
    words.join(" ")
}
