//! Version 2: what there is, records in, and consumers.

mod consumers;
mod produce;
mod topics;

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use http::{HeaderMap, header};
use serde_json::Value;

use super::RestState;
use super::door;
use super::error::{Answer, RestError};

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

/// Refuses what does not say that it is JSON of version 2: a page of another origin cannot say so without asking first.
/// A request without a body may say nothing.
fn must_be_v2(headers: &HeaderMap) -> Answer<()> {
    let said = door::media_type(headers);
    let is_embedded = said.starts_with("application/vnd.kafka.") && said.ends_with(".v2+json");
    match said.as_str() {
        "" | "application/json" | MEDIA_TYPE => Ok(()),
        _ if is_embedded => Ok(()),
        _ => Err(door::unsupported(MEDIA_TYPE)),
    }
}

/// Every path of it, below [`super::PREFIX`].
pub(super) fn routes() -> Router<RestState> {
    const INSTANCE: &str = "/consumers/{group}/instances/{instance}";
    let of = |path: &str| format!("{INSTANCE}{path}");
    Router::new()
        .route("/consumers/{group}", post(consumers::make))
        .route(INSTANCE, delete(consumers::end))
        .route(
            &of("/subscription"),
            get(consumers::subscription).post(consumers::subscribe).delete(consumers::unsubscribe),
        )
        .route(&of("/assignments"), get(consumers::assignment).post(consumers::assign))
        .route(&of("/offsets"), get(consumers::offsets).post(consumers::commit))
        .route(&of("/positions"), post(consumers::seek))
        .route(&of("/positions/beginning"), post(consumers::seek_to_beginning))
        .route(&of("/positions/end"), post(consumers::seek_to_end))
        .route(&of("/records"), get(consumers::records))
        .route("/brokers", get(topics::brokers))
        .route("/topics", get(topics::list))
        .route("/topics/{topic}", get(topics::one).post(produce::to_topic))
        .route("/topics/{topic}/partitions", get(topics::partitions))
        .route("/topics/{topic}/partitions/{partition}", get(topics::partition).post(produce::to_partition))
        .route("/topics/{topic}/partitions/{partition}/offsets", get(topics::offsets))
}
