//! The broker: which part answers what.

mod dispatch;
mod outdated;
mod session;
pub(crate) mod throttle;
mod versions;

pub use dispatch::Broker;
pub use session::Session;
