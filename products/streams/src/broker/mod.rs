//! The broker: which part answers what.

mod dispatch;
mod session;
mod versions;

pub use dispatch::Broker;
pub use session::Session;
