//! Bodies that arrive too slowly end: a connection that trickles holds a request's memory for nothing.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep, sleep};

/// Longest wait for the next piece. A little more than the admission point waits, which says in the protocol's own words
/// what is wrong.
const PIECE_WAIT_MAX: Duration = Duration::from_secs(35);

/// Longest time for the whole body: 100 MB at 3 Mbit/s, and again a little more than the admission point's.
const WHOLE_WAIT_MAX: Duration = Duration::from_secs(305);

/// The body came too slowly.
#[derive(Debug, thiserror::Error)]
#[error("the body came too slowly")]
pub struct TooSlow;

/// A body with a clock on it.
pub struct TimedBody {
    inner: Incoming,
    began: Instant,
    piece: Pin<Box<Sleep>>,
}

/// Puts a clock on a body.
pub fn timed(inner: Incoming) -> axum::body::Body {
    if inner.is_end_stream() {
        return axum::body::Body::empty();
    }
    let body = TimedBody { inner, began: Instant::now(), piece: Box::pin(sleep(PIECE_WAIT_MAX)) };
    axum::body::Body::new(body.map_err(axum::BoxError::from))
}

impl Body for TimedBody {
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::BoxError>>> {
        match Pin::new(&mut self.inner).poll_frame(context) {
            Poll::Ready(frame) => {
                let now = Instant::now();
                let next = (now + PIECE_WAIT_MAX).min(self.began + WHOLE_WAIT_MAX);
                self.piece.as_mut().reset(next);
                Poll::Ready(frame.map(|frame| frame.map_err(axum::BoxError::from)))
            }
            Poll::Pending => match self.piece.as_mut().poll(context) {
                Poll::Ready(()) => Poll::Ready(Some(Err(Box::new(TooSlow)))),
                Poll::Pending => Poll::Pending,
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
