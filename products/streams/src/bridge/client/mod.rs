//! A small Kafka client: of the other cluster over TCP or TLS, and of this one within the process.
//!
//! One link is asked one thing at a time; a side that does several at once has several. The trade-off refused is a
//! client with queues and retries of its own: what failed is begun anew from what the target has committed, which is
//! the only place that knows.

mod answers;
pub(super) mod cluster;
pub(super) mod dial;
mod link;
mod login;
pub(super) mod tls;

pub(crate) use cluster::{Cluster, Node};
pub(crate) use dial::{LocalSide, RemoteSide, Side};
pub(crate) use link::Bounds;
pub(crate) use login::Credential;

/// What bridges call themselves.
pub(crate) const CLIENT_ID: &str = "candor-bridge";
