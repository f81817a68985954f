//! The broker: which part answers what.

mod dispatch;
mod outdated;
mod session;
mod throttle;
mod versions;

pub use dispatch::Broker;
pub use session::Session;
