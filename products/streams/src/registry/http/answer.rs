//! Answers in the registry's form.

use axum::body::Body;
use axum::response::Response;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

use super::super::RegistryError;
use super::super::book::SCHEMA_BYTES_PER_PROJECT_MAX;
use crate::auth::Nobody;

/// The media type of answers.
const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/vnd.schemaregistry.v1+json");

/// Longest list, bytes: all that a project may have of schemas, each once.
pub(super) const LIST_BYTES_MAX: usize = SCHEMA_BYTES_PER_PROJECT_MAX;

/// What handlers give.
pub(super) type Answer = Result<Response, Refusal>;

/// A request that was not done.
pub(super) struct Refusal {
    status: u16,
    code: i32,
    message: String,
}

impl Refusal {
    pub(super) fn new(status: u16, code: i32, message: impl Into<String>) -> Refusal {
        Refusal { status, code, message: message.into() }
    }

    pub(super) fn sql(error: candor_meta::SqlError) -> Refusal {
        Refusal::internal(&error)
    }

    fn internal(error: &dyn std::error::Error) -> Refusal {
        tracing::error!(error = candor_model::chain(error), "a request to the schema registry failed");
        Refusal::new(500, 50001, "Error in the backend data store; the server's log says more")
    }
}

impl From<Nobody> for Refusal {
    fn from(nobody: Nobody) -> Refusal {
        match nobody {
            Nobody::Busy => Refusal::new(503, 50303, nobody.to_string()),
            Nobody::Unsaid | Nobody::Wrong => Refusal::new(401, 401, format!("Unauthorized: {nobody}")),
        }
    }
}

impl From<RegistryError> for Refusal {
    fn from(error: RegistryError) -> Refusal {
        match error {
            RegistryError::Refused { code, message } => {
                let status = if code < 1000 { code } else { code / 100 };
                Refusal::new(u16::try_from(status).unwrap_or(500), code, message)
            }
            RegistryError::Sql(error) if error.is_transient() => {
                tracing::warn!(
                    error = candor_model::chain(&error),
                    "the schema registry's store is unreachable"
                );
                Refusal::new(503, 50303, "the registry's store is busy or unreachable; try again")
            }
            RegistryError::Sql(error) => Refusal::internal(&error),
        }
    }
}

impl From<Refusal> for Response {
    fn from(refusal: Refusal) -> Response {
        let Refusal { status, code, message } = refusal;
        let body = serde_json::json!({ "error_code": code, "message": message }).to_string();
        let mut response = json(body);
        *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        match status {
            401 => {
                let basic = HeaderValue::from_static("Basic realm=\"candor\"");
                headers.insert(header::WWW_AUTHENTICATE, basic);
            }
            503 => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            _ => {}
        }
        response
    }
}

/// A document.
pub(super) fn ok<T: Serialize + ?Sized>(value: &T) -> Answer {
    match serde_json::to_string(value) {
        Ok(text) => Ok(json(text)),
        Err(error) => Err(Refusal::internal(&error)),
    }
}

/// A list, written one item after the other: what does not fit an answer is never there as a whole.
pub(super) fn list<T: Serialize>(items: impl Iterator<Item = T>) -> Result<String, RegistryError> {
    let mut text = "[".to_owned();
    for item in items {
        let item = serde_json::to_string(&item)
            .map_err(|_| RegistryError::new(50001, "an item of the list cannot be written as JSON"))?;
        // With a comma and the bracket at the end.
        if text.len().saturating_add(item.len()).saturating_add(2) > LIST_BYTES_MAX {
            return Err(RegistryError::new(
                422,
                format!(
                    "the list has more than {LIST_BYTES_MAX} bytes: ask for a part of it with the parameters offset and \
                     limit"
                ),
            ));
        }
        if text.len() > 1 {
            text.push(',');
        }
        text.push_str(&item);
    }
    text.push(']');
    Ok(text)
}

/// Text that is JSON already, or a schema's own.
pub(super) fn json(text: String) -> Response {
    let mut response = Response::new(Body::from(text));
    response.headers_mut().insert(header::CONTENT_TYPE, MEDIA_TYPE);
    response
}
