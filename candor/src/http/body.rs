//! Bodies that arrive too slowly end: a connection that trickles holds a request's memory for nothing. And bodies that
//! were refused before their end are read over for a while: most clients look for an answer only when they have sent
//! all, and one that finds the connection closed instead tries the same again.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::sync::oneshot;
use tokio::time::{Instant, Sleep, sleep, timeout};

/// Longest wait for the next piece. A little more than the admission point waits, which says in the protocol's own words
/// what is wrong.
const PIECE_WAIT_MAX: Duration = Duration::from_secs(35);

/// Longest time for the whole body: 100 MB at 3 Mbit/s, and again a little more than the admission point's.
const WHOLE_WAIT_MAX: Duration = Duration::from_secs(305);

/// For how long, and how much of, a refused body is read over.
const REFUSED_WAIT_MAX: Duration = Duration::from_secs(3);
const REFUSED_BYTES_MAX: usize = 128 << 20;

/// The body came too slowly.
#[derive(Debug, thiserror::Error)]
#[error("the body came too slowly")]
pub struct TooSlow;

/// A body with a clock on it.
pub struct TimedBody {
    inner: Option<Incoming>,
    began: Instant,
    piece: Pin<Box<Sleep>>,
    /// Takes back what is not read to its end.
    unread: Option<oneshot::Sender<Incoming>>,
}

/// What is left of a body once nobody reads it any more.
pub struct Unread(oneshot::Receiver<Incoming>);

/// Puts a clock on a body.
pub fn timed(inner: Incoming) -> (axum::body::Body, Unread) {
    let (unread, left) = oneshot::channel();
    if inner.is_end_stream() {
        return (axum::body::Body::empty(), Unread(left));
    }
    let piece = Box::pin(sleep(PIECE_WAIT_MAX));
    let body = TimedBody { inner: Some(inner), began: Instant::now(), piece, unread: Some(unread) };
    (axum::body::Body::new(body.map_err(axum::BoxError::from)), Unread(left))
}

impl Unread {
    /// Reads over what the client still sends, within bounds.
    pub async fn read_over(mut self) {
        let Ok(mut body) = self.0.try_recv() else { return };
        let mut left = REFUSED_BYTES_MAX;
        let reading = async {
            while let Some(Ok(frame)) = body.frame().await {
                let length = frame.data_ref().map_or(0, Bytes::len);
                match left.checked_sub(length) {
                    Some(rest) => left = rest,
                    None => return,
                }
            }
        };
        let _ = timeout(REFUSED_WAIT_MAX, reading).await;
    }
}

impl Drop for TimedBody {
    fn drop(&mut self) {
        // One that has been silent is not waited for again.
        let silent = Instant::now() + PIECE_WAIT_MAX > self.piece.deadline() + REFUSED_WAIT_MAX;
        if let (Some(inner), Some(unread)) = (self.inner.take(), self.unread.take())
            && !(silent || inner.is_end_stream())
        {
            // Whoever answered may have gone.
            let _ = unread.send(inner);
        }
    }
}

impl Body for TimedBody {
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::BoxError>>> {
        let Some(inner) = &mut self.inner else { return Poll::Ready(None) };
        match Pin::new(inner).poll_frame(context) {
            Poll::Ready(frame) => {
                let now = Instant::now();
                let next = (now + PIECE_WAIT_MAX).min(self.began + WHOLE_WAIT_MAX);
                self.piece.as_mut().reset(next);
                Poll::Ready(frame.map(|frame| frame.map_err(axum::BoxError::from)))
            }
            Poll::Pending => match self.piece.as_mut().poll(context) {
                Poll::Ready(()) => {
                    // Nothing more is waited for.
                    self.inner = None;
                    Poll::Ready(Some(Err(Box::new(TooSlow))))
                }
                Poll::Pending => Poll::Pending,
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map(Body::size_hint).unwrap_or_default()
    }
}
