//! The protocol's outside: connections, frames, headers. What a request asks is answered by a [`Service`].
//!
//! Kafka answers the requests of a connection one after the other. So does this, but for produce requests: the next is
//! taken in while earlier ones wait for stable storage, else a client that keeps five in flight would pay five syncs in
//! a row. Answers go out in the order of the requests all the same.

mod answers;
mod connection;
mod fields;
mod frame;
mod request;
mod rope;
mod shape;
mod shapes;

use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;

pub(crate) use answers::{AnswerRoom, Answers};
pub use connection::{Connection, Limits};
pub(crate) use fields::{Fields, PutFields, Read};
pub use frame::Room;
pub(crate) use frame::{FrameReader, Held};
pub use request::{Answer, Request};
pub use rope::Rope;
pub(crate) use rope::RopeBuilder;
pub(crate) use shape::Shape;

/// Answers requests.
pub trait Service: Send + Sync + 'static {
    /// What is known of a connection from one request to the next.
    type Session: Send + Sync + 'static;

    /// Takes a request in. What must happen in the order of the requests (a produce's place in the log) has happened
    /// when this returns; the rest is in the call.
    fn call(self: &Arc<Self>, session: &Arc<Self::Session>, request: Request) -> Call;

    /// True where the connection's next frame is no request but a bare token of SASL.
    fn takes_raw(&self, session: &Self::Session) -> bool;

    /// True where who is on the connection has proved who it is: before that its requests are small and it has less time.
    fn knows(&self, _session: &Self::Session) -> bool {
        true
    }

    /// Answers such a token.
    fn raw(self: &Arc<Self>, session: &Arc<Self::Session>, token: Bytes) -> BoxFuture<'static, Answer>;
}

/// A request that is being answered.
pub struct Call {
    /// Gives the answer.
    pub answer: BoxFuture<'static, Answer>,
    /// The connection's next request may be taken in before.
    pub lets_others_in: bool,
}
