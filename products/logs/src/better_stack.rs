//! Better Stack Telemetry's ingest: `POST /` with a token.
//!
//! A body is JSON (an object, a list, a line an event) or MessagePack. An event's text is `message`, its time `dt`
//! in any unit or RFC 3339. Clients flush with an empty list, which is a success.
//! Facts from betterstack.com/docs/logs/ingesting-data/http/logs and from what its clients send.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use candor_gate::admission::Refusal;
use candor_log::AppendError;
use candor_model::LogRecord;
use http::{HeaderName, HeaderValue, StatusCode};

use crate::Logs;
use crate::cursor::Malformed;
use crate::drops::Parsed;
use crate::event::Dialect;
use crate::events::Events;
use crate::intake::Outcome;
use crate::msgpack;
use crate::shipper::{self, Failure};
use crate::sources::SourceError;

/// Largest body as it comes over the wire, bytes: what Better Stack takes.
pub(crate) const BODY_BYTES_MAX: usize = 10 << 20;

/// How many records of a request were dropped: the answer's body is empty, so a header says it.
const DROPPED: HeaderName = HeaderName::from_static("x-candor-dropped");

const DIALECT: Dialect = Dialect {
    message: &["message", "msg", "event_message"],
    time: &["dt", "timestamp", "time", "@timestamp", "datetime"],
};

/// The records of a body, one by one.
pub fn events(body: &[u8]) -> Result<Events<'_>, Malformed> {
    match msgpack::begins(body) {
        true => Events::message_pack(body, &DIALECT),
        false => Events::json(body, None, &DIALECT),
    }
}

/// The records of a body.
pub fn parse(body: &[u8]) -> Result<Parsed<LogRecord>, Malformed> {
    events(body).map(Parsed::collect)
}

/// What is said of a body that holds no records.
const UNREADABLE: &str = "Couldn't parse JSON content.";

/// `POST /`.
pub(crate) async fn ingest(State(logs): State<Arc<Logs>>, request: Request) -> Response {
    match shipper::receive(&logs, "better-stack", BODY_BYTES_MAX, request, events, |_| None).await {
        Ok(outcome) => success(&outcome),
        Err(failure) => refusal(&failure),
    }
}

fn success(outcome: &Outcome) -> Response {
    if outcome.stored == 0 && outcome.drops.unreadable() > 0 {
        return (StatusCode::NOT_ACCEPTABLE, UNREADABLE).into_response();
    }
    let mut response = StatusCode::ACCEPTED.into_response();
    if !outcome.drops.is_empty() {
        response.headers_mut().insert(DROPPED, HeaderValue::from(outcome.drops.total()));
    }
    response
}

fn refusal(failure: &Failure) -> Response {
    let (status, text) = match failure {
        Failure::Refused(Refusal::NoKey | Refusal::WrongKey) => {
            (StatusCode::FORBIDDEN, "Unauthorized".to_owned())
        }
        Failure::Refused(Refusal::BodyTooLarge { .. } | Refusal::DecodedTooLarge) => {
            (StatusCode::PAYLOAD_TOO_LARGE, "payload reached size limit".to_owned())
        }
        Failure::Refused(refusal) => (refusal.status(), refusal.to_string()),
        Failure::Source(SourceError::Sql(_)) => {
            (StatusCode::SERVICE_UNAVAILABLE, "metadata is unreachable".to_owned())
        }
        Failure::Source(error) => (StatusCode::NOT_ACCEPTABLE, error.to_string()),
        Failure::Body(_) => (StatusCode::NOT_ACCEPTABLE, UNREADABLE.to_owned()),
        Failure::Append(AppendError::Overloaded) => (StatusCode::TOO_MANY_REQUESTS, "overloaded".to_owned()),
        Failure::Append(error) => (StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
    };
    failure.answer(status, text)
}
