//! Logs: the protocols of log shippers and tracers in, their own answers out.
//!
//! Each protocol is a parser (bytes to records, pure, fuzzed) and a thin layer of HTTP or gRPC over it. Nothing here
//! stores: records go through the gate into the log by way of [`candor_log::ingest`].

pub mod better_stack;
#[cfg(test)]
mod captured;
mod cors;
mod cursor;
mod door;
pub mod drops;
mod event;
pub mod events;
mod idempotency;
pub mod intake;
pub mod level;
pub mod logflare;
mod msgpack;
pub mod otlp;
mod routes;
mod shipper;
#[cfg(test)]
mod shown;
pub mod sources;
pub mod times;
mod weight;

pub use cursor::Malformed;
use routes::Logs;
pub use routes::{LogsState, grpc, routes};
