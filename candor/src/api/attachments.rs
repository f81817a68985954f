//! What came with an error event.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use candor_errors::attachments::{self, CollectError};
use http::{HeaderValue, header};

use super::Params;
use super::issues::InProject;
use super::rights::rows_of;
use crate::app::App;
use crate::http::problem::Answer;
use crate::http::{Caller, Problem, stored};

/// `GET /api/v1/events/{event_id}/attachments/{attachment_id}`: the content as the gate left it, always as a download: it is
/// whatever a stranger's program sent, and must never run in the screen's origin.
pub async fn download(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path((event_id, id)): Path<(String, String)>,
    Params(ask): Params<InProject>,
) -> Answer<Response> {
    let (_, scope) = rows_of(&app, &caller, &ask.project).await?;
    let absent = || Problem::not_found("the event has no attachment of that id, or it is over its time");
    let event_id = super::issues::plain_id(&event_id).ok_or_else(absent)?;
    let found = attachments::open(&app.issues, &app.log.blobs(), &scope, &event_id, &id).await;
    let found = found.map_err(|error| match error {
        CollectError::Issues(error) => error.into(),
        CollectError::Sql(error) => error.into(),
        error => Problem::internal(&error),
    })?;
    let file = found.ok_or_else(absent)?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream")),
        (header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment")),
        (header::CONTENT_LENGTH, HeaderValue::from(file.length())),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox")),
        (header::CACHE_CONTROL, HeaderValue::from_static("private, no-store")),
    ];
    let range = 0..file.length();
    Ok((headers, stored::body(file, range)).into_response())
}
