//! Version 2: what there is, and records in.

mod produce;
mod topics;

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header;
use serde_json::Value;

use super::RestState;
use super::error::RestError;

/// What answers of version 2 are.
const MEDIA_TYPE: &str = "application/vnd.kafka.v2+json";

/// An answer of version 2.
struct V2(Value);

impl IntoResponse for V2 {
    fn into_response(self) -> Response {
        ([(header::CONTENT_TYPE, MEDIA_TYPE)], self.0.to_string()).into_response()
    }
}

/// An error of version 2, which says in its code what is not there.
fn named(error: RestError) -> RestError {
    // Kafka has one error for a topic and a partition that are not there; the topic is looked at first.
    if error.code == 40403 { RestError::topic_not_found() } else { error }
}

/// Every path of it, below [`super::PREFIX`].
pub(super) fn routes() -> Router<RestState> {
    Router::new()
        .route("/brokers", get(topics::brokers))
        .route("/topics", get(topics::list))
        .route("/topics/{topic}", get(topics::one).post(produce::to_topic))
        .route("/topics/{topic}/partitions", get(topics::partitions))
        .route("/topics/{topic}/partitions/{partition}", get(topics::partition).post(produce::to_partition))
        .route("/topics/{topic}/partitions/{partition}/offsets", get(topics::offsets))
}
