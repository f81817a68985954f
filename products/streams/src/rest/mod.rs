//! Kafka over HTTP as Confluent's REST Proxy speaks it (kafka-rest): all of v3 that one cluster has, and of v2 topics,
//! records in, and consumers.
//!
//! A request proves who it is by itself, with the name and password of a Kafka user, and is then a client like any
//! other: what it asks goes through the parts that connections ask ([`client`]). Shapes and codes of errors are those of
//! `api/v3/openapi.yaml` and of the v2 reference.

mod client;
mod consumers;
mod door;
mod error;
mod format;
mod links;
mod objects;
mod read;
mod schemas;
mod send;
#[cfg(test)]
mod tests;
mod v2;
mod v3;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::Router;
use axum::response::{IntoResponse, Response};
use candor_gate::admission::Admission;
use candor_model::{Clock, Random};
use http::{HeaderMap, StatusCode};
use tokio::sync::OwnedSemaphorePermit;

pub(crate) use client::Client;

use crate::streams::Streams;
use consumers::Consumers;
use error::{Answer, RestError};

/// Where all of it is.
pub const PREFIX: &str = "/kafka";

/// What links begin with, by the headers of a request: scheme and host.
pub type Base = Arc<dyn Fn(&HeaderMap) -> String + Send + Sync>;

/// What the routes need of the house. Cheap to clone.
#[derive(Clone)]
pub struct RestState {
    pub(crate) streams: Streams,
    pub(crate) admission: Admission,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) base: Base,
    turn: Arc<AtomicU32>,
    consumers: Consumers,
}

impl RestState {
    /// The routes' share of the house. `random` names consumers.
    pub fn new(
        streams: Streams,
        admission: Admission,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        base: Base,
    ) -> RestState {
        let consumers = Consumers::start(random);
        RestState { streams, admission, clock, base, turn: Arc::default(), consumers }
    }

    /// Waits for room, shared with the large requests of connections.
    async fn room(&self, bytes: usize) -> Answer<OwnedSemaphorePermit> {
        let stopped = |_| RestError::plain(StatusCode::SERVICE_UNAVAILABLE, "the server stops");
        self.streams.room().take(bytes).await.map_err(stopped)
    }

    /// Milliseconds since 1970.
    fn now_ms(&self) -> i64 {
        self.clock.now().0.div_euclid(1000)
    }

    /// Another number each time: records without a key go to one partition after the other.
    fn next_turn(&self) -> u32 {
        self.turn.fetch_add(1, Ordering::Relaxed)
    }
}

/// Every path of it. The binary gives requests the peer's address as [`axum::extract::ConnectInfo`].
pub fn routes(state: RestState) -> Router {
    let within = v3::routes()
        .merge(v2::routes())
        .fallback(unknown)
        .method_not_allowed_fallback(not_allowed)
        .with_state(state);
    Router::new().nest(PREFIX, within)
}

async fn unknown() -> Response {
    RestError::not_found("HTTP 404 Not Found").into_response()
}

async fn not_allowed() -> Response {
    RestError::plain(StatusCode::METHOD_NOT_ALLOWED, "HTTP 405 Method Not Allowed").into_response()
}

/// Milliseconds since 1970 as RFC 3339.
fn shown_time(ms: i64) -> String {
    candor_model::Timestamp(ms.saturating_mul(1000)).to_string()
}
