//! Errors as RFC 9457 `application/problem+json`, outside the paths whose protocol has a form of its own.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};

/// What went wrong, for the person who asked.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    title: String,
    detail: String,
    clause: Option<String>,
    retry_after_seconds: Option<u64>,
}

/// What handlers give.
pub type Answer<T> = Result<T, Problem>;

impl Problem {
    /// A problem: the title names the kind, the detail this case and what to do.
    pub fn new(status: StatusCode, title: impl Into<String>, detail: impl Into<String>) -> Problem {
        Problem {
            status,
            title: title.into(),
            detail: detail.into(),
            clause: None,
            retry_after_seconds: None,
        }
    }

    /// The request is malformed.
    pub fn bad_request(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, "Bad request", detail)
    }

    /// Nobody has said who they are.
    pub fn unauthorized() -> Problem {
        Problem::new(
            StatusCode::UNAUTHORIZED,
            "Not signed in",
            "sign in, or send a personal token as Authorization: Bearer; ingest keys cannot read",
        )
    }

    /// Known, but not allowed.
    pub fn forbidden(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::FORBIDDEN, "Not allowed", detail)
    }

    /// Nothing there, or nothing that this caller may see: the two look alike on purpose.
    pub fn not_found(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::NOT_FOUND, "Not found", detail)
    }

    /// The request contradicts what is there.
    pub fn conflict(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::CONFLICT, "Conflict", detail)
    }

    /// Not now.
    pub fn unavailable(detail: impl Into<String>, retry_after_seconds: u64) -> Problem {
        let mut problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "Not available now", detail);
        problem.retry_after_seconds = Some(retry_after_seconds);
        problem
    }

    /// Our fault. The cause goes to the log, not to the caller.
    pub fn internal(error: &dyn std::error::Error) -> Problem {
        tracing::error!(error = crate::logging::chain(error), "a request failed");
        Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "Internal error",
            "the server failed at this request; its log says more",
        )
    }

    /// Adds the time to wait.
    pub fn retry_after(mut self, seconds: u64) -> Problem {
        self.retry_after_seconds = Some(seconds);
        self
    }

    /// Adds the clause of the policy that refused.
    pub fn clause(mut self, clause: impl Into<String>) -> Problem {
        self.clause = Some(clause.into());
        self
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut body = serde_json::json!({
            "title": self.title,
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        if let (Some(clause), Some(object)) = (self.clause, body.as_object_mut()) {
            object.insert("clause".to_owned(), clause.into());
        }
        let mut response = (self.status, body.to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"candor\""));
        }
        if let Some(seconds) = self.retry_after_seconds {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<candor_meta::SqlError> for Problem {
    fn from(error: candor_meta::SqlError) -> Problem {
        match error {
            candor_meta::SqlError::Full(_) => {
                tracing::warn!(error = crate::logging::chain(&error), "metadata has no space");
                Problem::unavailable("no space left for metadata", 5)
            }
            candor_meta::SqlError::Transient(_) => {
                tracing::warn!(error = crate::logging::chain(&error), "metadata is unreachable");
                Problem::unavailable("metadata is busy or unreachable", 1)
            }
            other => Problem::internal(&other),
        }
    }
}

impl From<candor_people::PeopleError> for Problem {
    fn from(error: candor_people::PeopleError) -> Problem {
        use candor_people::PeopleError as E;
        let detail = error.to_string();
        match error {
            E::Sql(error) => error.into(),
            E::Tenancy(error) => error.into(),
            E::Busy => Problem::unavailable(detail, 1),
            E::Hash(_) => Problem::internal(&error),
            E::Email | E::Password | E::Token => {
                Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "Not valid", detail)
            }
            E::SetupToken => Problem::forbidden(detail),
            E::SetupDone | E::EmailTaken => Problem::conflict(detail),
            E::Credentials => Problem::new(StatusCode::UNAUTHORIZED, "Not signed in", detail),
            E::Throttled { retry_after_seconds } => {
                Problem::new(StatusCode::TOO_MANY_REQUESTS, "Too many attempts", detail)
                    .retry_after(retry_after_seconds)
            }
        }
    }
}
