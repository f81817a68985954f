//! Search: newest rows, counts over time, commonest values.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use candor_model::{EventTime, Signal, Timestamp};
use candor_query::{Limits, SearchRequest};
use serde::Deserialize;

use super::Params;
use super::query::json_text;
use super::rights::must_read;
use crate::app::App;
use crate::http::problem::Answer;
use crate::http::{Caller, Problem};

/// Rows of a page where the caller names no number.
const PAGE_ROWS: usize = 100;

/// Most rows of a page: what the screen's virtual table scrolls through at once.
const PAGE_ROWS_MAX: usize = 1_000;

/// The parameters of `GET /api/v1/search`.
#[derive(Deserialize)]
pub struct Ask {
    project: String,
    #[serde(default)]
    q: String,
    from: Option<String>,
    to: Option<String>,
    limit: Option<usize>,
    cursor: Option<String>,
    table: Option<String>,
}

/// `GET /api/v1/search`.
pub async fn search(
    caller: Caller,
    State(app): State<Arc<App>>,
    Params(ask): Params<Ask>,
) -> Answer<Response> {
    let (_, scope) = caller.read(&app, &ask.project).await?;
    let signal = match ask.table.as_deref() {
        None => Signal::Logs,
        Some(name) => Signal::from_name(name)
            .ok_or_else(|| Problem::bad_request("table is one of logs, errors, spans"))?,
    };
    let cursor = ask.cursor.filter(|cursor| !cursor.is_empty());
    let request = SearchRequest {
        signal,
        text: ask.q,
        from: time("from", ask.from.as_deref())?,
        to: time("to", ask.to.as_deref())?,
        limit: ask.limit.unwrap_or(PAGE_ROWS).clamp(1, PAGE_ROWS_MAX),
        summary: cursor.is_none(),
        cursor,
    };
    must_read(&app, &caller, &scope).await?;
    let page = app.query.search(&scope, request, Limits::default()).await?;
    let rows = page.rows.iter().map(|batch| batch.num_rows() as u64).sum();
    let text = page.to_json();
    app.books.note_page(&scope, signal, rows, &text).await;
    Ok(json_text(text))
}

/// RFC 3339, or microseconds since the epoch.
fn time(name: &str, text: Option<&str>) -> Answer<Option<Timestamp>> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    text.parse::<i64>()
        .ok()
        .map(Timestamp)
        .or_else(|| EventTime::parse(text).map(EventTime::timestamp))
        .map(Some)
        .ok_or_else(|| Problem::bad_request(format!("{name} is an RFC 3339 time or microseconds since 1970")))
}
