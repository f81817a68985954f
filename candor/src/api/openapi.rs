//! The description of `/api/v1`, kept by hand beside the handlers; a test holds it and [`super::ROUTES`] equal.

use axum::response::Response;

use super::query::json_text;

/// The document.
pub const DOCUMENT: &str = include_str!("../../openapi.json");

/// `GET /api/v1/openapi.json`.
pub async fn document() -> Response {
    json_text(DOCUMENT)
}
