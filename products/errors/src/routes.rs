//! Sentry's paths: envelope and store, with and without the last slash, and the preflight of browsers.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Path, Request, State};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use candor_gate::admission::Admission;
use candor_log::Ingest;
use candor_model::{Clock, Random};
use http::HeaderMap;

use crate::issues::Issues;
use crate::outcomes::Outcomes;
use crate::protocol::answer::{Accepted, Refused};
use crate::protocol::cors;
use crate::reception;

/// What the routes need of the house. Cheap to clone.
#[derive(Clone)]
pub struct ErrorsState {
    pub(crate) admission: Admission,
    pub(crate) ingest: Ingest,
    pub(crate) issues: Issues,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) outcomes: Outcomes,
}

impl ErrorsState {
    /// The routes' share of the house.
    pub fn new(
        admission: Admission,
        ingest: Ingest,
        issues: Issues,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> ErrorsState {
        ErrorsState { admission, ingest, issues, clock, random, outcomes: Outcomes::default() }
    }

    /// What became of what was sent, since the start.
    pub fn outcomes(&self) -> &Outcomes {
        &self.outcomes
    }
}

/// Every path that this product serves.
///
/// The binary gives requests the peer's address as [`ConnectInfo`], and folds duplicate slashes before it routes
/// ([`crate::protocol::path::fold_request`]).
pub fn routes(state: ErrorsState) -> Router {
    let envelope = || post(envelope).options(cors::preflight);
    let store = || -> MethodRouter<ErrorsState> { get(store_get).post(store_post).options(cors::preflight) };
    let old_store =
        || -> MethodRouter<ErrorsState> { get(old_store_get).post(old_store_post).options(cors::preflight) };
    Router::new()
        .route("/api/{number}/envelope/", envelope())
        .route("/api/{number}/envelope", envelope())
        .route("/api/{number}/store/", store())
        .route("/api/{number}/store", store())
        .route("/api/store/", old_store())
        .route("/api/store", old_store())
        .layer(middleware::from_fn(cors::add_headers))
        .with_state(state)
}

async fn envelope(
    State(state): State<ErrorsState>,
    Path(number): Path<String>,
    request: Request,
) -> Response {
    let (call, body) = Call::of(&state, request);
    answer(reception::envelope(&state, Some(&number), &call, body).await)
}

async fn store_post(
    State(state): State<ErrorsState>,
    Path(number): Path<String>,
    request: Request,
) -> Response {
    let (call, body) = Call::of(&state, request);
    answer(reception::store(&state, Some(&number), &call, body).await)
}

async fn store_get(
    State(state): State<ErrorsState>,
    Path(number): Path<String>,
    request: Request,
) -> Response {
    let (call, _) = Call::of(&state, request);
    answer(reception::store_pixel(&state, Some(&number), &call).await)
}

async fn old_store_post(State(state): State<ErrorsState>, request: Request) -> Response {
    let (call, body) = Call::of(&state, request);
    answer(reception::store(&state, None, &call, body).await)
}

async fn old_store_get(State(state): State<ErrorsState>, request: Request) -> Response {
    let (call, _) = Call::of(&state, request);
    answer(reception::store_pixel(&state, None, &call).await)
}

fn answer(result: Result<Accepted, Refused>) -> Response {
    match result {
        Ok(accepted) => accepted.into_response(),
        Err(refused) => refused.into_response(),
    }
}

/// A request without its body.
pub(crate) struct Call {
    pub uri: http::Uri,
    pub headers: HeaderMap,
    /// The peer, or whom a trusted proxy names.
    pub peer: Option<IpAddr>,
    /// The country that a trusted proxy states.
    pub country: Option<String>,
}

impl Call {
    fn of(state: &ErrorsState, request: Request) -> (Call, Body) {
        let (parts, body) = request.into_parts();
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
        let country = peer.and_then(|peer| state.admission.client_country(peer, &parts.headers));
        let peer = peer.map(|peer| state.admission.client_ip(peer, &parts.headers));
        (Call { uri: parts.uri, headers: parts.headers, peer, country }, body)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}
