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
use http::StatusCode;
use serde_json::json;

use crate::Logs;
use crate::cursor::Malformed;
use crate::drops::Parsed;
use crate::event::Dialect;
use crate::events::Events;
use crate::intake::Outcome;
use crate::shipper::{self, Failure};
use crate::sources::SourceError;

/// Largest body as it comes over the wire, bytes: what Logflare takes.
pub(crate) const BODY_BYTES_MAX: usize = 12 << 20;

const DIALECT: Dialect = Dialect {
    message: &["event_message", "message", "log_entry", "msg"],
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
    match shipper::receive(&logs, "logflare", BODY_BYTES_MAX, request, events).await {
        Ok(outcome) => success(&outcome),
        Err(failure) => refusal(&failure),
    }
}

fn success(outcome: &Outcome) -> Response {
    let drops = &outcome.drops;
    if outcome.stored == 0 && drops.unreadable() > 0 {
        let body = Json(json!({ "message": [drops.to_string()] }));
        return (StatusCode::NOT_ACCEPTABLE, body).into_response();
    }
    if drops.is_empty() {
        return Json(json!({ "message": "Logged!" })).into_response();
    }
    let errors = [drops.to_string()];
    Json(json!({ "message": "Logged!", "dropped": drops.total(), "errors": errors })).into_response()
}

fn refusal(failure: &Failure) -> Response {
    let full = || (StatusCode::TOO_MANY_REQUESTS, json!({ "message": "Buffer Full: Too Many Requests" }));
    let (status, body) = match failure {
        Failure::Refused(Refusal::NoKey | Refusal::WrongKey) => {
            (StatusCode::UNAUTHORIZED, json!({ "error": "Unauthorized" }))
        }
        Failure::Refused(Refusal::RateLimited { .. } | Refusal::QuotaExceeded { .. }) => full(),
        Failure::Append(AppendError::Overloaded) => full(),
        Failure::Refused(refusal) => (refusal.status(), json!({ "error": refusal.to_string() })),
        Failure::Source(SourceError::Sql(_)) => {
            (StatusCode::SERVICE_UNAVAILABLE, json!({ "error": "metadata is unreachable" }))
        }
        Failure::Source(error) => (StatusCode::NOT_ACCEPTABLE, json!({ "message": [error.to_string()] })),
        Failure::Body(wrong) => {
            (StatusCode::NOT_ACCEPTABLE, json!({ "message": [format!("the body is not JSON: {wrong}")] }))
        }
        Failure::Append(error) => (StatusCode::SERVICE_UNAVAILABLE, json!({ "error": error.to_string() })),
    };
    failure.answer(status, Json(body))
}
