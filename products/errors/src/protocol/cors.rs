//! Cross-origin rules: any site may send, as with Sentry; the DSN is public and can only write.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};

/// Relay's list, the two headers of trace propagation, and the one of consent.
const ALLOW_HEADERS: &str = "x-sentry-auth,x-requested-with,x-forwarded-for,origin,referer,accept,content-type,\
    authentication,authorization,content-encoding,transfer-encoding,sentry-trace,baggage,candor-consent";
const EXPOSE_HEADERS: &str = "x-sentry-error,x-sentry-rate-limits,retry-after";
/// How long a browser remembers the answer to a preflight, seconds.
const MAX_AGE: &str = "3600";

/// Adds what every answer carries.
pub async fn add_headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSE_HEADERS));
    headers.insert(
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("cross-origin"),
    );
    response
}

/// Answers a preflight.
pub async fn preflight() -> Response {
    let headers = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "POST"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, ALLOW_HEADERS),
        (header::ACCESS_CONTROL_MAX_AGE, MAX_AGE),
    ];
    (StatusCode::OK, headers).into_response()
}
