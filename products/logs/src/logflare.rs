//! Logflare's JSON ingest: `POST /logs`, `/api/logs`, `/api/events`.
//!
//! A body is `{"batch": […]}`, a list, one event, or a line an event. An event's text is `event_message` (or
//! `message`), its time `timestamp` in any unit or RFC 3339, and everything of its own stands in `metadata`.
//! Facts from Logflare's router.ex, logs controller and log_event.ex; docs.logflare.app.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use candor_gate::admission::Refusal;
use candor_log::AppendError;
use candor_model::LogRecord;
use http::header::RETRY_AFTER;
use http::{HeaderValue, StatusCode};
use serde_json::json;

use crate::Logs;
use crate::cursor::Malformed;
use crate::door;
use crate::drops::Parsed;
use crate::event::Dialect;
use crate::events::Events;
use crate::intake::{self, Sender};
use crate::sources::SourceError;

/// Largest body as it comes over the wire, bytes: what Logflare takes.
pub(crate) const BODY_BYTES_MAX: usize = 12 << 20;

/// Seconds after which a client that was refused for now may come again, as Logflare says it.
const RETRY_AFTER_S: u32 = 3;

const DIALECT: Dialect = Dialect {
    message: &["event_message", "message", "msg"],
    time: &["timestamp", "time", "@timestamp", "datetime", "dt"],
};

/// The records of a body, one by one.
pub fn events(body: &[u8]) -> Result<Events<'_>, Malformed> {
    Events::json(body, Some("batch"), &DIALECT)
}

/// The records of a body.
pub fn parse(body: &[u8]) -> Result<Parsed<LogRecord>, Malformed> {
    events(body).map(Parsed::collect)
}

/// `POST /logs` and its other names.
pub(crate) async fn ingest(State(logs): State<Arc<Logs>>, request: Request) -> Response {
    match accept(&logs, request).await {
        Ok(response) => response,
        Err(failure) => failure.into_response(),
    }
}

/// Why a request was not taken.
enum Failure {
    Refused(Refusal),
    Source(SourceError),
    Body(Malformed),
    Append(AppendError),
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Failure {
        Failure::Refused(refusal)
    }
}

async fn accept(logs: &Logs, request: Request) -> Result<Response, Failure> {
    let entry = door::enter(logs, "logflare", BODY_BYTES_MAX, request).await?;
    let source = logs.source(&entry).await.map_err(Failure::Source)?;
    let events = events(&entry.body).map_err(Failure::Body)?;
    let sender = Sender { entry: &entry, source: &source };
    let outcome = intake::store(&*logs.door, sender, events).await.map_err(Failure::Append)?;
    let parser_drops = outcome.drops.unreadable();
    if outcome.stored == 0 && parser_drops > 0 {
        let body = Json(json!({ "message": [outcome.drops.to_string()] }));
        return Ok((StatusCode::NOT_ACCEPTABLE, body).into_response());
    }
    if outcome.drops.is_empty() {
        return Ok(Json(json!({ "message": "Logged!" })).into_response());
    }
    let body = json!({ "message": "Logged!", "dropped": outcome.drops.total(), "errors": [outcome.drops.to_string()] });
    Ok(Json(body).into_response())
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let (status, body) = match &self {
            Failure::Refused(Refusal::NoKey | Refusal::WrongKey) => {
                (StatusCode::UNAUTHORIZED, json!({ "error": "Unauthorized" }))
            }
            Failure::Refused(Refusal::RateLimited { .. } | Refusal::QuotaExceeded { .. }) => {
                (StatusCode::TOO_MANY_REQUESTS, json!({ "message": "Buffer Full: Too Many Requests" }))
            }
            Failure::Append(AppendError::Overloaded) => {
                (StatusCode::TOO_MANY_REQUESTS, json!({ "message": "Buffer Full: Too Many Requests" }))
            }
            Failure::Refused(refusal) => (refusal.status(), json!({ "error": refusal.to_string() })),
            Failure::Source(SourceError::Sql(_)) => {
                (StatusCode::SERVICE_UNAVAILABLE, json!({ "error": "metadata is unreachable" }))
            }
            Failure::Source(error) => (StatusCode::NOT_ACCEPTABLE, json!({ "message": [error.to_string()] })),
            Failure::Body(wrong) => {
                (StatusCode::NOT_ACCEPTABLE, json!({ "message": [format!("the body is not JSON: {wrong}")] }))
            }
            Failure::Append(error) => {
                (StatusCode::SERVICE_UNAVAILABLE, json!({ "error": error.to_string() }))
            }
        };
        let mut response = (status, Json(body)).into_response();
        if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            let seconds = match &self {
                Failure::Refused(refusal) => refusal.retry_after().unwrap_or(RETRY_AFTER_S),
                _ => RETRY_AFTER_S,
            };
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
