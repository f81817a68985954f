//! Issues and the events in them.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use candor_errors::{IssueQuery, IssuesError, Order, Status};
use candor_meta::ReadScope;
use candor_model::Timestamp;
use candor_query::{Format, Limits};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::rights::rows_of;
use super::{Body, Params};
use crate::app::App;
use crate::http::problem::Answer;
use crate::http::{Caller, Problem};

/// Events of an issue where the caller names no number.
const EVENTS: usize = 50;

/// Most events of an issue in one answer.
const EVENTS_MAX: usize = 500;

impl From<IssuesError> for Problem {
    fn from(error: IssuesError) -> Problem {
        match error {
            IssuesError::Sql(error) => error.into(),
            IssuesError::Log(_) => Problem::internal(&error),
        }
    }
}

/// The parameters of `GET /api/v1/issues`.
#[derive(Deserialize)]
pub struct List {
    project: String,
    status: Option<String>,
    #[serde(default)]
    q: String,
    order: Option<String>,
    limit: Option<usize>,
    offset: Option<usize>,
}

/// `GET /api/v1/issues`.
pub async fn list(
    caller: Caller,
    State(app): State<Arc<App>>,
    Params(ask): Params<List>,
) -> Answer<Json<Value>> {
    let (_, scope) = rows_of(&app, &caller, &ask.project).await?;
    let query = IssueQuery {
        status: ask
            .status
            .as_deref()
            .filter(|status| !matches!(*status, "" | "all"))
            .map(status)
            .transpose()?,
        search: ask.q,
        order: match ask.order.as_deref() {
            None | Some("") => Order::default(),
            Some(name) => Order::from_name(name)
                .ok_or_else(|| Problem::bad_request("order is one of last_seen, first_seen, count, users"))?,
        },
        limit: ask.limit.unwrap_or(0),
        offset: ask.offset.unwrap_or(0),
    };
    let issues = app.issues.list(&scope, &query).await?;
    let counts: Map<String, Value> = app
        .issues
        .counts(&scope)
        .await?
        .into_iter()
        .map(|(status, count)| (status.name().to_owned(), count.into()))
        .collect();
    Ok(Json(json!({ "issues": issues, "counts": counts })))
}

fn status(name: &str) -> Answer<Status> {
    Status::from_name(name)
        .ok_or_else(|| Problem::bad_request("status is one of unresolved, resolved, archived"))
}

/// The parameter `project`.
#[derive(Deserialize)]
pub struct InProject {
    pub(super) project: String,
}

fn no_issue() -> Problem {
    Problem::not_found("the project has no issue of that number")
}

/// `GET /api/v1/issues/{id}`.
pub async fn show(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(id): Path<i64>,
    Params(ask): Params<InProject>,
) -> Answer<Json<Value>> {
    let (_, scope) = rows_of(&app, &caller, &ask.project).await?;
    one(&app, &scope, id).await
}

async fn one(app: &App, scope: &ReadScope, id: i64) -> Answer<Json<Value>> {
    let issue = app.issues.get(scope, id).await?.ok_or_else(no_issue)?;
    Ok(Json(serde_json::to_value(issue).map_err(|error| Problem::internal(&error))?))
}

/// The body of `PUT /api/v1/issues/{id}`.
#[derive(Deserialize)]
pub struct Change {
    status: String,
}

/// `PUT /api/v1/issues/{id}`.
pub async fn change(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(id): Path<i64>,
    Params(ask): Params<InProject>,
    Body(body): Body<Change>,
) -> Answer<Json<Value>> {
    let (project, scope) = rows_of(&app, &caller, &ask.project).await?;
    if !app.issues.set_status(&scope, id, status(&body.status)?).await? {
        return Err(no_issue());
    }
    app.people.audit(&caller.actor(), "issue.status", &format!("project:{} issue:{id}", project.id)).await?;
    one(&app, &scope, id).await
}

/// The parameters of `GET /api/v1/issues/{id}/events`.
#[derive(Deserialize)]
pub struct Events {
    project: String,
    limit: Option<usize>,
}

/// `GET /api/v1/issues/{id}/events`: newest first.
pub async fn events(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(id): Path<i64>,
    Params(ask): Params<Events>,
) -> Answer<Json<Value>> {
    let (_, scope) = rows_of(&app, &caller, &ask.project).await?;
    app.issues.get(&scope, id).await?.ok_or_else(no_issue)?;
    let limit = ask.limit.unwrap_or(EVENTS).clamp(1, EVENTS_MAX);
    let sql = format!(
        "SELECT event_id, timestamp, release, environment, subject FROM errors WHERE issue = {id} \
         ORDER BY timestamp DESC, _offset DESC LIMIT {limit}"
    );
    Ok(Json(json!({ "events": rows(&app, &scope, &sql).await? })))
}

/// `GET /api/v1/events/{event_id}`: the whole event as the gate let it through, and its neighbours in the issue.
pub async fn event(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(event_id): Path<String>,
    Params(ask): Params<InProject>,
) -> Answer<Json<Value>> {
    let (_, scope) = rows_of(&app, &caller, &ask.project).await?;
    let absent = || Problem::not_found("the project has no event of that id");
    let id = plain_id(&event_id).ok_or_else(absent)?;
    let sql = format!(
        "SELECT event, issue, event_id, timestamp, subject, subjects, tags FROM errors WHERE event_id = '{id}' LIMIT 1"
    );
    let mut row = rows(&app, &scope, &sql).await?.into_iter().next().ok_or_else(absent)?;
    let parsed =
        row.get("event").and_then(Value::as_str).and_then(|text| serde_json::from_str::<Value>(text).ok());
    let mut parsed = parsed.unwrap_or(Value::Null);
    let late = candor_errors::attachments::late(&app.issues, &scope, &id).await?;
    if let (false, Some(members)) = (late.is_empty(), parsed.as_object_mut()) {
        let listed = members.entry("attachments").or_insert_with(|| json!([]));
        if let Some(listed) = listed.as_array_mut() {
            listed.extend(late.iter().filter_map(|about| serde_json::from_str::<Value>(about).ok()));
        }
    }
    row.insert("event".to_owned(), parsed);
    let issue = row.get("issue").and_then(as_integer);
    let at = row.get("timestamp").and_then(Value::as_str).map(str::to_owned);
    let (mut next, mut previous) = (Value::Null, Value::Null);
    if let (Some(issue), Some(at)) = (issue, at) {
        next = neighbour(&app, &scope, issue, &at, &id, ">", "ASC").await?;
        previous = neighbour(&app, &scope, issue, &at, &id, "<", "DESC").await?;
        row.insert("issue".to_owned(), issue.into());
    }
    row.insert("next".to_owned(), next);
    row.insert("previous".to_owned(), previous);
    Ok(Json(Value::Object(row)))
}

/// An event's id as 32 hex digits, as events are stored under it; none where it is none.
pub(super) fn plain_id(id: &str) -> Option<String> {
    let id: String = id.chars().filter(|c| *c != '-').collect::<String>().to_ascii_lowercase();
    (id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(id)
}

/// The event of the issue that comes right after or before in time; of those at one moment the ids decide.
async fn neighbour(
    app: &App,
    scope: &ReadScope,
    issue: i64,
    at: &str,
    id: &str,
    side: &str,
    order: &str,
) -> Answer<Value> {
    // The time is our own rendering of a stored one, and still does not go into SQL as it came.
    let Some(at) = candor_model::EventTime::parse(at).map(|time| Timestamp(time.micros)) else {
        return Ok(Value::Null);
    };
    let sql = format!(
        "SELECT event_id FROM errors WHERE issue = {issue} AND (timestamp {side} TIMESTAMP '{at}' \
         OR (timestamp = TIMESTAMP '{at}' AND event_id {side} '{id}')) \
         ORDER BY timestamp {order}, event_id {order} LIMIT 1"
    );
    let found = rows(app, scope, &sql).await?.into_iter().next();
    Ok(found.and_then(|mut row| row.remove("event_id")).unwrap_or(Value::Null))
}

fn as_integer(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

/// The rows of a query as objects.
async fn rows(app: &App, scope: &ReadScope, sql: &str) -> Answer<Vec<Map<String, Value>>> {
    let answer = app.query.sql(scope, sql, Limits::default()).await?;
    let given = answer.given();
    let text = candor_query::encode::collect(answer, Format::Ndjson).await?;
    app.books.note_page(scope, candor_model::Signal::Errors, given.rows(), &text).await;
    text.split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).map_err(|error| Problem::internal(&error)))
        .collect()
}
