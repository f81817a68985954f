//! SQL within the limits of the API, and the schema for completion.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use candor_query::{Format, Limits, QueryError};
use http::{HeaderValue, StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};

use super::rights::must_read;
use super::{Body, Params};
use crate::app::App;
use crate::books::Watched;
use crate::http::problem::Answer;
use crate::http::{Caller, Problem};

/// Most rows that one answer of the API holds; `candor query` and `/api/v1/export` have no such limit.
const ROWS_MAX: usize = 100_000;

/// The body of `POST /api/v1/query`.
#[derive(Deserialize)]
pub struct Ask {
    project: String,
    sql: String,
    max_rows: Option<usize>,
    snapshot: Option<i64>,
}

/// `POST /api/v1/query`.
pub async fn query(caller: Caller, State(app): State<Arc<App>>, Body(ask): Body<Ask>) -> Answer<Response> {
    let (_, scope) = caller.read(&app, &ask.project).await?;
    let defaults = Limits::default();
    let rows = ask.max_rows.or(defaults.rows).map(|rows| rows.min(ROWS_MAX));
    let limits = Limits { rows, snapshot: ask.snapshot, ..defaults };
    must_read(&app, &caller, &scope).await?;
    let answer = app.query.sql(&scope, &ask.sql, limits).await?;
    let mut watched = Watched::new(&app.books, &scope, &ask.sql, &answer);
    let text = candor_query::encode::collect(answer, Format::Json).await?;
    watched.read(&text);
    watched.end().await;
    Ok(json_text(text))
}

/// JSON that is text already.
pub fn json_text(text: impl Into<axum::body::Body>) -> Response {
    let mut response = text.into().into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The parameter `project`.
#[derive(Deserialize)]
pub struct InProject {
    project: String,
}

/// `GET /api/v1/schema`.
pub async fn schema(
    caller: Caller,
    State(app): State<Arc<App>>,
    Params(asked): Params<InProject>,
) -> Answer<Json<Value>> {
    let (_, scope) = caller.read(&app, &asked.project).await?;
    let tables: Vec<Value> = app
        .query
        .schema(&scope)
        .await?
        .into_iter()
        .map(|table| {
            let columns: Vec<Value> = table
                .columns
                .into_iter()
                .map(|column| json!({ "name": column.name, "type": column.r#type }))
                .collect();
            json!({ "name": table.name, "columns": columns })
        })
        .collect();
    let functions: Vec<Value> = app
        .query
        .functions()
        .into_iter()
        .map(|function| json!({ "name": function.name, "kind": function.kind }))
        .collect();
    Ok(Json(json!({ "tables": tables, "functions": functions })))
}

impl From<QueryError> for Problem {
    fn from(error: QueryError) -> Problem {
        let detail = error.to_string();
        match error {
            QueryError::Overloaded => Problem::unavailable("too many queries are running", 2),
            QueryError::Cancelled => Problem::unavailable("the query was stopped", 1),
            QueryError::Storage(_) | QueryError::Internal(_) => Problem::internal(&error),
            QueryError::Refused(_) => Problem::new(StatusCode::BAD_REQUEST, "Refused", detail),
            QueryError::Timeout(_) => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "Too slow", detail),
            QueryError::Memory(_) | QueryError::TooLarge(_) => {
                Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "Too large", detail)
            }
            QueryError::NoSnapshot(_) => Problem::not_found(detail),
            QueryError::Syntax(_) => Problem::new(StatusCode::BAD_REQUEST, "This is not valid SQL", detail),
            QueryError::Plan(_) => {
                Problem::new(StatusCode::BAD_REQUEST, "The query does not fit the tables", detail)
            }
            QueryError::Search(_) => {
                Problem::new(StatusCode::BAD_REQUEST, "The search cannot be read", detail)
            }
            QueryError::Execution(_) => {
                Problem::new(StatusCode::BAD_REQUEST, "A value could not be computed", detail)
            }
            QueryError::Argument(_) => Problem::bad_request(detail),
        }
    }
}
