//! Every route on the one listener. A path that two parts both claim panics here at the start, and in a test before
//! that; unknown paths are problems, not empty answers.

use std::sync::Arc;

use axum::Router;
use axum::response::IntoResponse;
use axum::routing::get;

use super::{Problem, assets, door, health};
use crate::api;
use crate::app::App;
use crate::privacy;

/// Everything on the listener: ours, and what the products bring.
pub fn router(app: Arc<App>, products: impl IntoIterator<Item = Router>) -> Router {
    let own = Router::new()
        .route("/", get(health::root))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(health::metrics))
        .route("/app", get(assets::to_screen))
        .route("/app/", get(assets::index))
        .route("/app/{*path}", get(assets::asset))
        .route("/lake/{project}/{*path}", get(door::serve))
        .merge(api::routes())
        .merge(privacy::routes())
        .with_state(app);
    products.into_iter().fold(own, Router::merge).fallback(unknown)
}

async fn unknown() -> axum::response::Response {
    Problem::not_found("there is nothing at this path").into_response()
}
