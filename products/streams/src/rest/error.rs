//! Errors as kafka-rest has them: a status, and `{"error_code":40403,"message":"…"}`.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use kafka_protocol::ResponseError;
use kafka_protocol::protocol::StrBytes;
use serde_json::{Value, json};

use crate::auth::Nobody;

/// What handlers give.
pub(super) type Answer<T> = Result<T, RestError>;

/// Why something was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RestError {
    pub status: StatusCode,
    /// The status, or that and two digits that say more.
    pub code: u32,
    pub message: String,
}

impl RestError {
    pub fn new(status: StatusCode, code: u32, message: impl Into<String>) -> RestError {
        RestError { status, code, message: message.into() }
    }

    /// An error whose code is its status.
    pub fn plain(status: StatusCode, message: impl Into<String>) -> RestError {
        RestError::new(status, status.as_u16().into(), message)
    }

    pub fn bad_request(message: impl Into<String>) -> RestError {
        RestError::plain(StatusCode::BAD_REQUEST, message)
    }

    pub fn not_found(message: impl Into<String>) -> RestError {
        RestError::plain(StatusCode::NOT_FOUND, message)
    }

    pub fn topic_not_found() -> RestError {
        RestError::new(StatusCode::NOT_FOUND, 40401, "Topic not found.")
    }

    pub fn partition_not_found() -> RestError {
        RestError::new(StatusCode::NOT_FOUND, 40402, "Partition not found.")
    }

    /// The request's body is not what it should be.
    pub fn payload(message: impl std::fmt::Display) -> RestError {
        RestError::new(StatusCode::UNPROCESSABLE_ENTITY, 42206, format!("Payload error. {message}"))
    }

    /// What Kafka's error is over HTTP (`KafkaExceptionMapper` of rest-utils).
    pub fn of(code: i16, message: Option<&StrBytes>) -> RestError {
        use ResponseError::*;
        let error = ResponseError::try_from_code(code).unwrap_or(UnknownServerError);
        let (status, number) = match error {
            TopicAuthorizationFailed
            | GroupAuthorizationFailed
            | ClusterAuthorizationFailed
            | TransactionalIdAuthorizationFailed => (StatusCode::FORBIDDEN, 40301),
            UnknownTopicOrPartition | UnknownTopicId => (StatusCode::NOT_FOUND, 40403),
            ThrottlingQuotaExceeded => (StatusCode::TOO_MANY_REQUESTS, 429),
            GroupIdNotFound => (StatusCode::NOT_FOUND, 404),
            UnknownServerError => (StatusCode::INTERNAL_SERVER_ERROR, 50002),
            error if error.is_retriable() => (StatusCode::INTERNAL_SERVER_ERROR, 50003),
            _ => (StatusCode::BAD_REQUEST, 40002),
        };
        let message = match message.filter(|message| !message.is_empty()) {
            Some(message) => message.to_string(),
            None => error.to_string(),
        };
        RestError::new(status, number, message)
    }

    /// The body.
    pub fn body(&self) -> Value {
        json!({ "error_code": self.code, "message": self.message })
    }
}

/// Nothing for Kafka's 0, else its error.
pub(super) fn check(code: i16, message: Option<&StrBytes>) -> Answer<()> {
    if code == 0 { Ok(()) } else { Err(RestError::of(code, message)) }
}

impl From<Nobody> for RestError {
    fn from(error: Nobody) -> RestError {
        match error {
            Nobody::Unsaid | Nobody::Wrong => {
                RestError::new(StatusCode::UNAUTHORIZED, 40101, error.to_string())
            }
            Nobody::Busy => RestError::plain(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
        }
    }
}

impl IntoResponse for RestError {
    fn into_response(self) -> Response {
        let mut response = (self.status, axum::Json(self.body())).into_response();
        if self.status == StatusCode::TOO_MANY_REQUESTS {
            // A bucket is never in debt for less than it takes to ask again.
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            let asks = HeaderValue::from_static(r#"Basic realm="Kafka", charset="UTF-8""#);
            response.headers_mut().insert(header::WWW_AUTHENTICATE, asks);
        }
        response
    }
}
