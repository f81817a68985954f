//! The OTLP listener: gRPC services as routes on the same kind of listener as everything else.

use axum::Router;
use tonic::service::Routes;

/// The services as a router. What is not a known method is answered as gRPC asks, with `UNIMPLEMENTED`.
pub(super) fn router(services: Routes) -> Router {
    services.prepare().into_axum_router()
}
