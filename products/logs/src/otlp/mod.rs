//! OTLP: logs and traces over HTTP (protobuf and JSON) and gRPC; metrics are counted and refused until they are
//! stored. <https://opentelemetry.io/docs/specs/otlp/>

pub mod binary;
mod context;
mod frames;
pub(crate) mod grpc;
pub(crate) mod http;
mod reply;
#[cfg(test)]
mod tests;
pub mod text;
mod wire;

use crate::cursor::Malformed;
pub use frames::Export;

/// A whole request cannot be read. Nothing of it is stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OtlpError {
    /// The frames of its protobuf do not fit together.
    #[error("the body is not a protobuf export request")]
    Protobuf,
    /// Its JSON is not JSON, or its frame is not that of an export request.
    #[error("the body is not a JSON export request: {0}")]
    Json(Malformed),
}
