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
use candor_model::{LogRecord, json};
use http::StatusCode;
use memchr::memmem;

use crate::Logs;
use crate::cursor::{Cursor, Malformed};
use crate::door::SOURCE_NAMES;
use crate::drops::Parsed;
use crate::event::Dialect;
use crate::events::Events;
use crate::intake::Outcome;
use crate::shipper::{self, Failure, Named};
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

/// The source that a body names in place of the URL, as Logflare merges their parameters: beside `batch`, or as a
/// member of a body that is one event.
fn named_source(body: &[u8]) -> Option<Named> {
    let mut cursor = Cursor::new(body);
    let may_name =
        || [&b"\"source"[..], b"\"collection"].iter().any(|name| memmem::find(body, name).is_some());
    if cursor.peek() != Some(b'{') || !may_name() {
        return None;
    }
    let mut found: [Option<String>; SOURCE_NAMES.len()] = Default::default();
    let mut is_batch = false;
    let walk = cursor.members::<Malformed>(|cursor, key| {
        let value = cursor.skip()?;
        is_batch |= key == "batch" && value.starts_with(b"[");
        if let Some(place) = SOURCE_NAMES.iter().position(|name| *name == key)
            && let Some(slot) = found.get_mut(place)
            && let Ok(value) = json::parse(value, json::Leniency::LENIENT)
        {
            *slot = value.as_str().filter(|name| !name.trim().is_empty()).map(str::to_owned);
        }
        Ok(())
    });
    // More than one document: lines, each an event of its own.
    if walk.is_err() || !cursor.is_at_end() {
        return None;
    }
    let (place, name) = found.into_iter().enumerate().find_map(|(place, name)| Some((place, name?)))?;
    Some(match is_batch {
        true => Named::ByRequest(name),
        // Nobody but this protocol says `source_name`; `source` may be anything of the application's.
        false => {
            Named::ByEvent { is_plain: SOURCE_NAMES.get(place).is_some_and(|of| of.ends_with("_name")), name }
        }
    })
}

/// `POST /logs` and its other names.
pub(crate) async fn ingest(State(logs): State<Arc<Logs>>, request: Request) -> Response {
    match shipper::receive(&logs, "logflare", BODY_BYTES_MAX, request, events, named_source).await {
        Ok(outcome) => success(&outcome),
        Err(failure) => refusal(&failure),
    }
}

fn success(outcome: &Outcome) -> Response {
    let drops = &outcome.drops;
    if outcome.stored == 0 && drops.unreadable() > 0 {
        let body = Json(serde_json::json!({ "message": [drops.to_string()] }));
        return (StatusCode::NOT_ACCEPTABLE, body).into_response();
    }
    if drops.is_empty() {
        return Json(serde_json::json!({ "message": "Logged!" })).into_response();
    }
    let errors = [drops.to_string()];
    Json(serde_json::json!({ "message": "Logged!", "dropped": drops.total(), "errors": errors }))
        .into_response()
}

fn refusal(failure: &Failure) -> Response {
    let full = || {
        (StatusCode::TOO_MANY_REQUESTS, serde_json::json!({ "message": "Buffer Full: Too Many Requests" }))
    };
    let (status, body) = match failure {
        Failure::Refused(Refusal::NoKey | Refusal::WrongKey) => {
            (StatusCode::UNAUTHORIZED, serde_json::json!({ "error": "Unauthorized" }))
        }
        Failure::Refused(Refusal::RateLimited { .. } | Refusal::QuotaExceeded { .. }) => full(),
        Failure::Append(AppendError::Overloaded) => full(),
        Failure::Refused(refusal) => (refusal.status(), serde_json::json!({ "error": refusal.to_string() })),
        Failure::Source(SourceError::Sql(_)) => {
            (StatusCode::SERVICE_UNAVAILABLE, serde_json::json!({ "error": "metadata is unreachable" }))
        }
        Failure::Source(error) => {
            (StatusCode::NOT_ACCEPTABLE, serde_json::json!({ "message": [error.to_string()] }))
        }
        Failure::Body(wrong) => (
            StatusCode::NOT_ACCEPTABLE,
            serde_json::json!({ "message": [format!("the body is not JSON: {wrong}")] }),
        ),
        Failure::Append(error) => {
            (StatusCode::SERVICE_UNAVAILABLE, serde_json::json!({ "error": error.to_string() }))
        }
    };
    failure.answer(status, Json(body))
}
