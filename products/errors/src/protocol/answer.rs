//! Answers as Sentry gives them: exactly 200 (some SDKs take no other for success), `{"id": …}`, or
//! `{"detail": …, "causes": […]}`.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use candor_model::{Object, Value, json};
use http::{HeaderName, HeaderValue, StatusCode, header};

/// `X-Sentry-Rate-Limits`: what to hold back and for how long. SDKs obey it on any status.
pub const RATE_LIMITS: HeaderName = HeaderName::from_static("x-sentry-rate-limits");
/// `X-Sentry-Error`: what browsers show.
pub const SENTRY_ERROR: HeaderName = HeaderName::from_static("x-sentry-error");

/// What `GET …/store/` answers: a transparent GIF of one pixel.
const PIXEL: &[u8] = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\x00\x00\x00\x21\xf9\x04\x01\x00\x00\x00\x00\x2c\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02\x44\x01\x00\x3b";

/// An accepted request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Accepted {
    /// The event's id, where there is one.
    pub id: Option<String>,
    /// Categories that are accepted but not stored yet, and for how many seconds to hold them back.
    pub hold_back: Vec<(u32, &'static str)>,
    /// Answer with a pixel.
    pub pixel: bool,
}

/// A refused request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// 400, 401, 403, 413, 415, 429 or 503.
    pub status: StatusCode,
    /// What is wrong.
    pub detail: String,
    /// What it came from, outermost first.
    pub causes: Vec<String>,
    /// After how many seconds to try again.
    pub retry_after: Option<u64>,
}

impl Refused {
    /// A refusal without causes.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Refused {
        Refused { status, detail: detail.into(), causes: Vec::new(), retry_after: None }
    }

    /// With a cause.
    pub fn because(mut self, cause: impl Into<String>) -> Refused {
        self.causes.push(cause.into());
        self
    }

    /// To be tried again after some seconds.
    pub fn after(mut self, seconds: u64) -> Refused {
        self.retry_after = Some(seconds);
        self
    }
}

impl IntoResponse for Accepted {
    fn into_response(self) -> Response {
        let mut response = if self.pixel {
            typed(StatusCode::OK, "image/gif", Body::from(PIXEL))
        } else {
            let mut body = Object::new();
            if let Some(id) = self.id {
                body.insert("id", id);
            }
            typed(StatusCode::OK, "application/json", Body::from(json::to_string(&Value::Object(body))))
        };
        if let Some(limits) = limits(&self.hold_back) {
            response.headers_mut().insert(RATE_LIMITS, limits);
        }
        response
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let mut body = Object::new();
        body.insert("detail", self.detail.as_str());
        if !self.causes.is_empty() {
            body.insert(
                "causes",
                Value::Array(self.causes.iter().map(|cause| Value::from(cause.as_str())).collect()),
            );
        }
        let text = json::to_string(&Value::Object(body));
        let mut response = typed(self.status, "application/json", Body::from(text));
        let headers = response.headers_mut();
        if let Ok(detail) = HeaderValue::from_str(&self.detail) {
            headers.insert(SENTRY_ERROR, detail);
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            if self.status == StatusCode::TOO_MANY_REQUESTS
                && let Ok(limits) = HeaderValue::from_str(&format!("{seconds}::key"))
            {
                // No category: all of them.
                headers.insert(RATE_LIMITS, limits);
            }
        }
        response
    }
}

fn typed(status: StatusCode, content_type: &'static str, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// `3600:session:project:not_supported, 60:attachment:project:not_supported`.
fn limits(hold_back: &[(u32, &'static str)]) -> Option<HeaderValue> {
    let mut by_time: Vec<(u32, Vec<&str>)> = Vec::new();
    for (seconds, category) in hold_back {
        match by_time.iter_mut().find(|(known, _)| known == seconds) {
            Some((_, categories)) if categories.contains(category) => {}
            Some((_, categories)) => categories.push(category),
            None => by_time.push((*seconds, vec![category])),
        }
    }
    let limits: Vec<String> = by_time
        .into_iter()
        .map(|(seconds, categories)| format!("{seconds}:{}:project:not_supported", categories.join(";")))
        .collect();
    HeaderValue::from_str(&limits.join(", ")).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_back_is_listed_once_by_time() {
        let limits =
            limits(&[(3600, "session"), (1, "attachment"), (3600, "replay"), (3600, "session")]).unwrap();
        assert_eq!(limits, "3600:session;replay:project:not_supported, 1:attachment:project:not_supported");
        assert!(super::limits(&[]).is_none());
    }

    #[test]
    fn the_pixel_is_a_gif() {
        assert_eq!(PIXEL.len(), 43);
        assert!(PIXEL.starts_with(b"GIF89a") && PIXEL.ends_with(b"\x3b"));
    }
}
