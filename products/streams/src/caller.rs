//! Who asks.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use candor_model::ProjectId;

/// The other end of a connection.
#[derive(Debug, Clone, Copy)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// Nobody reads along between here and there: TLS, loopback, or a proxy at which TLS ends.
    pub is_private: bool,
}

/// A client that has proved who it is, for one request.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The project that its credential opens. All names of topics, groups and transactions are within it.
    pub project: ProjectId,
    /// Its principal without the type: `shop` of `User:shop`.
    pub user: Arc<str>,
    /// What it calls itself in the request's header.
    pub client_id: Option<Arc<str>>,
    /// Where it comes from.
    pub host: IpAddr,
}
