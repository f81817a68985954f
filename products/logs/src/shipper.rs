//! What the protocols of log shippers share: one request in, its records stored, and why it was not taken. How that
//! is said is each protocol's own.

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use candor_gate::admission::Refusal;
use candor_log::AppendError;
use http::header::RETRY_AFTER;
use http::{HeaderValue, StatusCode};

use crate::Logs;
use crate::cursor::Malformed;
use crate::door;
use crate::events::Events;
use crate::intake::{self, Outcome, Sender};
use crate::sources::SourceError;

/// Seconds after which a client that was refused for now may come again, as Logflare says it.
const RETRY_AFTER_S: u32 = 3;

/// A source that a body names.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Named {
    /// Beside a batch: a parameter of the request.
    ByRequest(String),
    /// By the only event.
    ByEvent {
        /// What stands there.
        name: String,
        /// False where the event may mean something else by it.
        is_plain: bool,
    },
}

/// Why a request was not taken.
pub(crate) enum Failure {
    Refused(Refusal),
    Source(SourceError),
    Body(Malformed),
    Append(AppendError),
}

/// Lets a request in, takes its body apart and stores its records.
pub(crate) async fn receive(
    logs: &Logs,
    protocol: &'static str,
    body_bytes_max: usize,
    request: Request,
    events: fn(&[u8]) -> Result<Events<'_>, Malformed>,
    named: fn(&[u8]) -> Option<Named>,
) -> Result<Outcome, Failure> {
    let entry = door::enter(logs, protocol, body_bytes_max, request).await.map_err(Failure::Refused)?;
    let source = logs.source_in(&entry, named).await.map_err(Failure::Source)?;
    let store = async || {
        let events = events(&entry.body).map_err(Failure::Body)?;
        let sender = Sender { entry: &entry, source: &source };
        intake::store(&*logs.door, sender, events).await.map_err(Failure::Append)
    };
    match store().await {
        // The policy changed on the way. Shippers drop what is refused, and the body is still here.
        Err(Failure::Append(error)) if error.is_outdated() => store().await,
        stored => stored,
    }
}

impl Failure {
    /// An answer, with the time to wait where the client may come again.
    pub(crate) fn answer(&self, status: StatusCode, body: impl IntoResponse) -> Response {
        let mut response = (status, body).into_response();
        if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            let seconds = match self {
                Failure::Refused(refusal) => refusal.retry_after().unwrap_or(RETRY_AFTER_S),
                _ => RETRY_AFTER_S,
            };
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
