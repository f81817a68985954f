//! Read tokens for the open door.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::HeaderMap;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Body;
use super::rights::rows_of;
use crate::app::App;
use crate::http::problem::Answer;
use crate::http::{Caller, Problem};

/// Lifetime of a token where the caller names none, seconds.
const TTL_SECONDS: i64 = 3_600;

/// Longest lifetime: a forgotten token ends by itself.
const TTL_SECONDS_MAX: i64 = 30 * 86_400;

/// The body of `POST /api/v1/lake/catalog`.
#[derive(Deserialize)]
pub struct Ask {
    project: String,
    ttl_seconds: Option<i64>,
}

/// `POST /api/v1/lake/catalog`: a token and where the files are; the catalog itself is at
/// `/lake/{number}/catalog.db` for that token.
pub async fn catalog(
    caller: Caller,
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Body(ask): Body<Ask>,
) -> Answer<Json<Value>> {
    let (project, scope) = rows_of(&app, &caller, &ask.project).await?;
    let ttl = ask.ttl_seconds.unwrap_or(TTL_SECONDS);
    if !(1..=TTL_SECONDS_MAX).contains(&ttl) {
        return Err(Problem::bad_request("ttl_seconds is 1 second to 30 days"));
    }
    let snapshot = app.export_catalog(&scope).await?.snapshot;
    let token = app.lake.mint_token(&scope, ttl).await.map_err(|error| Problem::internal(&error))?;
    app.people.audit(&caller.actor(), "lake.token", &format!("project:{}", project.id)).await?;
    Ok(Json(json!({
        "token": token.token,
        "expires": token.expires.to_string(),
        "snapshot": snapshot,
        "number": project.id.0,
        "data_path": format!("{}/lake/{}/", app.base_for(&headers), project.id),
    })))
}
