//! What the binary mounts: the HTTP paths and the gRPC services, over the house's admission, gate and log.

use std::sync::Arc;

use axum::Router;
use axum::middleware;
use axum::routing::post;
use candor_gate::admission::Admission;
use tonic::service::Routes;

use crate::door::Entry;
use crate::intake::Accept;
use crate::shipper::Named;
use crate::sources::{SourceError, Sources};
use crate::{better_stack, cors, logflare, otlp};

/// What the routes need of the house.
pub(crate) struct Logs {
    pub(crate) admission: Admission,
    pub(crate) door: Box<dyn Accept>,
    pub(crate) sources: Sources,
}

impl Logs {
    /// The name of the source that a request names; empty where it names none.
    pub(crate) async fn source(&self, entry: &Entry) -> Result<Arc<str>, SourceError> {
        match entry.source() {
            Some(asked) => self.sources.resolve(entry.project(), asked).await,
            None => Ok(Arc::from("")),
        }
    }

    /// As [`Logs::source`] where the body may name the source too: the URL comes first.
    pub(crate) async fn source_in(
        &self,
        entry: &Entry,
        named: fn(&[u8]) -> Option<Named>,
    ) -> Result<Arc<str>, SourceError> {
        if entry.source().is_some() {
            return self.source(entry).await;
        }
        match named(&entry.body) {
            Some(Named::ByRequest(asked)) => self.sources.resolve(entry.project(), &asked).await,
            // No event is lost over what stands there, and what may be a member of its own makes no source.
            Some(Named::ByEvent { name, is_plain: true }) => {
                match self.sources.resolve(entry.project(), &name).await {
                    Err(SourceError::BadName | SourceError::TooMany) => Ok(Arc::from("")),
                    found => found,
                }
            }
            Some(Named::ByEvent { name, is_plain: false }) => {
                let known = self.sources.known(entry.project(), &name).await;
                Ok(known.unwrap_or_else(|| Arc::from("")))
            }
            None => Ok(Arc::from("")),
        }
    }
}

/// What the routes need of the house. Cheap to clone.
#[derive(Clone)]
pub struct LogsState(Arc<Logs>);

impl LogsState {
    /// The routes' share of the house. `door` is [`candor_log::Ingest`] but in tests.
    pub fn new(admission: Admission, door: impl Accept + 'static, sources: Sources) -> LogsState {
        LogsState(Arc::new(Logs { admission, door: Box::new(door), sources }))
    }
}

/// Every HTTP path of this product.
///
/// The binary gives requests the peer's address as [`axum::extract::ConnectInfo`] of a `SocketAddr`. `GET /` is not
/// here: it is answered for others.
pub fn routes(state: LogsState) -> Router {
    let logflare = || post(logflare::ingest).options(cors::preflight);
    Router::new()
        .route("/v1/logs", post(otlp::http::logs).options(cors::preflight))
        .route("/v1/traces", post(otlp::http::traces).options(cors::preflight))
        .route("/v1/metrics", post(otlp::http::metrics).options(cors::preflight))
        .route("/logs", logflare())
        .route("/api/logs", logflare())
        .route("/api/events", logflare())
        .route("/", post(better_stack::ingest).options(cors::preflight))
        .layer(middleware::from_fn(cors::allow))
        .with_state(state.0)
}

/// The gRPC services of OTLP, for a listener of their own: HTTP/2 with prior knowledge.
pub fn grpc(state: LogsState) -> Routes {
    otlp::grpc::services(&state.0)
}
