//! OTLP over HTTP: `POST /v1/logs`, `/v1/traces`, `/v1/metrics`.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use candor_gate::admission::Refusal;
use candor_log::AppendError;
use candor_model::limits::BODY_BYTES_MAX;
use http::StatusCode;
use tonic::Code;

use super::OtlpError;
use super::reply::{Encoding, Kind, Rejected, failure, success};
use crate::Logs;
use crate::door::{self, Entry};
use crate::intake::{self, Outcome, Sender};
use crate::sources::SourceError;

/// Seconds after which a client whose records found no room may come again.
const RETRY_AFTER_S: u32 = 2;

/// Why a request was not taken, whatever it came over.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("the content type is neither application/x-protobuf nor application/json")]
    ContentType,
    #[error(transparent)]
    Body(#[from] OtlpError),
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Append(#[from] AppendError),
}

impl Failure {
    /// The code of google.rpc and the HTTP status. What may be retried has one that clients retry
    /// (OTLP specification, "Failures": 429, 502, 503, 504; `UNAVAILABLE`, `RESOURCE_EXHAUSTED` with a `RetryInfo`).
    pub(super) fn codes(&self) -> (Code, StatusCode) {
        match self {
            Failure::Refused(refusal) => (code(refusal), refusal.status()),
            Failure::ContentType => (Code::InvalidArgument, StatusCode::UNSUPPORTED_MEDIA_TYPE),
            Failure::Body(_) | Failure::Source(SourceError::BadName | SourceError::TooMany) => {
                (Code::InvalidArgument, StatusCode::BAD_REQUEST)
            }
            Failure::Append(AppendError::Overloaded) => {
                (Code::ResourceExhausted, StatusCode::TOO_MANY_REQUESTS)
            }
            Failure::Source(SourceError::Sql(_)) | Failure::Append(_) => {
                (Code::Unavailable, StatusCode::SERVICE_UNAVAILABLE)
            }
        }
    }

    /// Seconds after which the same request may pass.
    pub(super) fn retry_after_s(&self) -> Option<u32> {
        match self {
            Failure::Refused(refusal) => refusal.retry_after(),
            Failure::Append(_) | Failure::Source(SourceError::Sql(_)) => Some(RETRY_AFTER_S),
            _ => None,
        }
    }
}

/// The code of google.rpc that says why a request was not let in.
fn code(refusal: &Refusal) -> Code {
    match refusal {
        Refusal::NoKey | Refusal::WrongKey => Code::Unauthenticated,
        Refusal::WrongProject => Code::PermissionDenied,
        Refusal::RateLimited { .. } | Refusal::QuotaExceeded { .. } => Code::ResourceExhausted,
        Refusal::Overloaded { .. } | Refusal::Unavailable { .. } => Code::Unavailable,
        // As collectors say it; without a `RetryInfo` it is not to be retried.
        Refusal::BodyTooLarge { .. } | Refusal::DecodedTooLarge => Code::ResourceExhausted,
        Refusal::UnsupportedEncoding => Code::Unimplemented,
        Refusal::BadEncoding { .. } | Refusal::BodyCut | Refusal::KeyReused => Code::InvalidArgument,
        Refusal::BodyTimeout => Code::DeadlineExceeded,
    }
}

/// What was not stored of a request, as the specification's partial success says it.
pub(super) fn rejected(outcome: &Outcome) -> Option<Rejected> {
    (!outcome.drops.is_empty())
        .then(|| Rejected { count: outcome.drops.total(), message: outcome.drops.to_string() })
}

/// Metrics are understood and not stored yet: every data point is rejected, in so many words.
pub(super) fn rejected_metrics(count: u64) -> Option<Rejected> {
    (count > 0).then(|| Rejected { count, message: "metrics are not stored yet".to_owned() })
}

/// Stores the records of a request in protobuf or JSON.
pub(super) async fn store(
    logs: &Logs,
    entry: &Entry,
    kind: Kind,
    encoding: Encoding,
) -> Result<Option<Rejected>, Failure> {
    let body = &*entry.body;
    let source = match kind {
        Kind::Logs => logs.source(entry).await?,
        Kind::Traces | Kind::Metrics => Arc::from(""),
    };
    let sender = Sender { entry, source: &source };
    let door = &*logs.door;
    let outcome = match (kind, encoding) {
        (Kind::Logs, Encoding::Protobuf) => intake::store(door, sender, super::binary::logs(body)?).await?,
        (Kind::Logs, Encoding::Json) => intake::store(door, sender, super::text::logs(body)?).await?,
        (Kind::Traces, Encoding::Protobuf) => {
            intake::store(door, sender, super::binary::spans(body)?).await?
        }
        (Kind::Traces, Encoding::Json) => intake::store(door, sender, super::text::spans(body)?).await?,
        (Kind::Metrics, Encoding::Protobuf) => {
            return Ok(rejected_metrics(super::binary::count_data_points(body)?));
        }
        (Kind::Metrics, Encoding::Json) => {
            return Ok(rejected_metrics(super::text::count_data_points(body)?));
        }
    };
    Ok(rejected(&outcome))
}

/// `POST /v1/logs`.
pub(crate) async fn logs(State(logs): State<Arc<Logs>>, request: Request) -> Response {
    export(&logs, Kind::Logs, request).await
}

/// `POST /v1/traces`.
pub(crate) async fn traces(State(logs): State<Arc<Logs>>, request: Request) -> Response {
    export(&logs, Kind::Traces, request).await
}

/// `POST /v1/metrics`.
pub(crate) async fn metrics(State(logs): State<Arc<Logs>>, request: Request) -> Response {
    export(&logs, Kind::Metrics, request).await
}

async fn export(logs: &Logs, kind: Kind, request: Request) -> Response {
    // Before the body is read, only the content type tells how to answer.
    let announced = Encoding::of(request.headers(), &[]);
    let (encoding, outcome) = match door::enter(logs, "otlp", BODY_BYTES_MAX, request).await {
        Err(refusal) => (announced, Err(Failure::Refused(refusal))),
        Ok(entry) => match Encoding::of(&entry.headers, &entry.body) {
            None => (None, Err(Failure::ContentType)),
            Some(encoding) => (Some(encoding), store(logs, &entry, kind, encoding).await),
        },
    };
    let encoding = encoding.unwrap_or(Encoding::Json);
    match outcome {
        Ok(rejected) => success(encoding, kind, rejected.as_ref()),
        Err(reason) => {
            let (code, status) = reason.codes();
            failure(encoding, status, code, &reason.to_string(), reason.retry_after_s())
        }
    }
}
