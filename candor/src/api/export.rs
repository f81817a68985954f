//! Every row of a query as a stream, in the form asked for: what `candor query` prints.
//!
//! Rows leave as the reader takes them, so memory stays bounded however many there are. An error after the first
//! rows breaks the stream off: the reader sees an incomplete body, never a short one that looks whole.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use candor_query::{Format, Limits, QueryError};
use futures::{StreamExt, stream};
use http::{HeaderValue, header};
use serde::Deserialize;

use super::Body;
use super::rights::must_read;
use crate::app::App;
use crate::books::Watched;
use crate::http::listen::until;
use crate::http::problem::Answer;
use crate::http::{Caller, Problem};

/// The body of `POST /api/v1/export`.
#[derive(Deserialize)]
pub struct Ask {
    project: String,
    sql: String,
    format: String,
    max_rows: Option<usize>,
    snapshot: Option<i64>,
}

/// `POST /api/v1/export`.
pub async fn export(caller: Caller, State(app): State<Arc<App>>, Body(ask): Body<Ask>) -> Answer<Response> {
    let (_, scope) = caller.read(&app, &ask.project).await?;
    let format = Format::from_name(&ask.format)
        .ok_or_else(|| Problem::bad_request("format is one of json, ndjson, csv, table"))?;
    let limits = Limits { rows: ask.max_rows, snapshot: ask.snapshot, ..Limits::unbounded_rows() };
    must_read(&app, &caller, &scope).await?;
    let answer = app.query.sql(&scope, &ask.sql, limits).await?;
    let mut watched = Watched::new(&app.books, &scope, &ask.sql, &answer);
    let rows = candor_query::encode::stream(answer, format).inspect(move |piece| {
        if let Ok(piece) = piece {
            watched.read(piece);
        }
    });
    // A stop of the server is an error of the stream too: a body that just ended would look whole.
    let rows = stream::unfold((rows, app.stop.clone()), |(mut rows, stop)| async move {
        let next = match until(&stop, rows.next()).await {
            Some(next) => next?,
            None => Err(QueryError::Cancelled),
        };
        if let Err(error) = &next {
            // Its text may quote a value of the row that it failed on.
            tracing::info!(error = error.kind(), "an export broke off");
        }
        Some((next, (rows, stop)))
    });
    let mut response = axum::body::Body::from_stream(rows).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(format.media_type()));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}
