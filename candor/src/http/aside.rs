//! Large bodies are worked on aside: parsing, decompression and the gate take some 20 ms of CPU a MB, and the small
//! requests of neighbours, which share the worker's thread, must not wait for them.
//!
//! A request stays on its worker until a large body is there whole. From then on each step of it waits for one of as
//! many places as there are cores, and hands the worker's other tasks to another thread while it runs. Refused: a pool
//! that reads bodies too, where a client that drips would hold a place; and deciding by `Content-Length`, which gRPC
//! and chunked bodies lack. What waits for a place is counted by admission like all bodies in the house.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, header};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::sync::Semaphore;
use tokio_util::sync::PollSemaphore;

/// Bodies up to so many bytes are worked on where they are: a millisecond or two, less than it is worth to move them.
const INLINE_BYTES_MAX: usize = 64 << 10;

/// The same for bodies with an encoding, which are some ten times as large once it is undone.
const INLINE_ENCODED_BYTES_MAX: usize = 8 << 10;

/// The places where large bodies are worked on. Cheap to clone.
#[derive(Clone)]
pub struct Places(Arc<Semaphore>);

impl Places {
    /// As many as there are cores: more would only take turns, and hold more half-made records.
    pub fn new() -> Places {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Places(Arc::new(Semaphore::new(cores)))
    }
}

impl Default for Places {
    fn default() -> Places {
        Places::new()
    }
}

/// The header in which gRPC says that messages may be compressed.
const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");

/// Serves a request, aside once its body has turned out large. For a runtime of several threads.
pub async fn large(State(places): State<Places>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let is_grpc_encoded = is_encoded(&parts.headers, &GRPC_ENCODING);
    let is_encoded = is_grpc_encoded || is_encoded(&parts.headers, &header::CONTENT_ENCODING);
    let is_aside = Arc::new(AtomicBool::new(false));
    let watched = Watched {
        body,
        inline_bytes_max: if is_encoded { INLINE_ENCODED_BYTES_MAX } else { INLINE_BYTES_MAX },
        bytes: 0,
        // A gRPC message may be decompressed as soon as it is there, before the body's end is known.
        before_its_end: is_grpc_encoded,
        is_aside: Arc::clone(&is_aside),
        held: None,
    };
    let serving = Box::pin(next.run(Request::from_parts(parts, Body::new(watched))));
    Serving { serving, is_aside, places: PollSemaphore::new(places.0) }.await
}

fn is_encoded(headers: &HeaderMap, name: &HeaderName) -> bool {
    headers.get_all(name).iter().any(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"))
}

type Polled = Option<Result<Frame<Bytes>, axum::Error>>;

/// A body that sends its request aside before it gives the end of something large.
struct Watched {
    body: Body,
    inline_bytes_max: usize,
    bytes: usize,
    before_its_end: bool,
    is_aside: Arc<AtomicBool>,
    /// Given at the next call, which is made aside.
    held: Option<Polled>,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Polled> {
        if let Some(held) = self.held.take() {
            return Poll::Ready(held);
        }
        let polled = ready!(Pin::new(&mut self.body).poll_frame(context));
        if let Some(Ok(frame)) = &polled {
            self.bytes += frame.data_ref().map_or(0, Bytes::len);
        }
        let ends = polled.is_none() || self.body.is_end_stream();
        let is_due = self.bytes > self.inline_bytes_max && (ends || self.before_its_end);
        if is_due && !self.is_aside.swap(true, Ordering::Relaxed) {
            self.held = Some(polled);
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(polled)
    }

    fn is_end_stream(&self) -> bool {
        self.held.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A request that is served.
struct Serving<F> {
    serving: Pin<Box<F>>,
    is_aside: Arc<AtomicBool>,
    places: PollSemaphore,
}

impl<F: Future> Future for Serving<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        if !self.is_aside.load(Ordering::Relaxed) {
            return self.serving.as_mut().poll(context);
        }
        // The places are never closed; a step that waits for something else holds none.
        let place = ready!(self.places.poll_acquire(context));
        let polled = tokio::task::block_in_place(|| self.serving.as_mut().poll(context));
        drop(place);
        polled
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use axum::Router;
    use axum::middleware::from_fn_with_state;
    use axum::routing::post;
    use futures::future::join_all;
    use futures::stream;
    use tower::ServiceExt;

    use super::*;

    /// What a handler does with a body, ms.
    const WORK: Duration = Duration::from_millis(300);

    /// Reads a body and computes, as parsers do: without a pause.
    async fn work(request: Request) -> String {
        let body = axum::body::to_bytes(request.into_body(), usize::MAX).await.expect("a body");
        if body.len() > 1000 {
            let until = Instant::now() + WORK;
            while Instant::now() < until {
                std::hint::spin_loop();
            }
        }
        body.len().to_string()
    }

    async fn send(router: &Router, headers: &[(&str, &str)], pieces: usize, piece_bytes: usize) -> Duration {
        let piece = Bytes::from(vec![b'x'; piece_bytes]);
        let pieces = stream::iter((0..pieces).map(move |_| Ok::<_, std::io::Error>(piece.clone())));
        let mut request = Request::post("/").body(Body::from_stream(pieces)).expect("a request");
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
            request.headers_mut().insert(name, value.parse().expect("a value"));
        }
        let began = Instant::now();
        let answer = router.clone().oneshot(request).await.expect("an answer");
        let body = axum::body::to_bytes(answer.into_body(), usize::MAX).await.expect("a body");
        assert!(!body.is_empty());
        began.elapsed()
    }

    fn router() -> Router {
        let router = Router::new().route("/", post(work));
        router.layer(from_fn_with_state(Places(Arc::new(Semaphore::new(2))), large))
    }

    /// The longest of some small requests that come while large ones are worked on, all on one worker.
    async fn slowest_beside(headers: &'static [(&str, &str)], pieces: usize, piece_bytes: usize) -> Duration {
        let router = router();
        let large = (0..6).map(|_| {
            let router = router.clone();
            tokio::spawn(async move { send(&router, headers, pieces, piece_bytes).await })
        });
        let large: Vec<_> = large.collect();
        tokio::task::yield_now().await;
        let mut slowest = Duration::ZERO;
        for _ in 0..10 {
            let router = router.clone();
            let began = Instant::now();
            tokio::spawn(async move { send(&router, &[], 1, 10).await }).await.expect("it ends");
            slowest = slowest.max(began.elapsed());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        join_all(large).await.into_iter().for_each(|done| assert!(done.expect("it ends") >= WORK));
        slowest
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn the_small_do_not_wait_for_the_large() {
        for (headers, pieces, piece_bytes) in [
            (&[][..], 5, INLINE_BYTES_MAX / 4),
            (&[("content-encoding", "gzip")][..], 5, INLINE_ENCODED_BYTES_MAX / 4),
            (&[("grpc-encoding", "gzip")][..], 5, INLINE_ENCODED_BYTES_MAX / 4),
        ] {
            // Each would wait for three times two of the large, were they worked on where they are.
            let slowest = slowest_beside(headers, pieces, piece_bytes).await;
            assert!(slowest < WORK, "{headers:?}: {slowest:?}");
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn no_more_are_worked_on_at_once_than_there_are_places() {
        let router = router();
        let began = Instant::now();
        join_all((0..4).map(|_| {
            let router = router.clone();
            tokio::spawn(async move { send(&router, &[], 5, INLINE_BYTES_MAX / 4).await })
        }))
        .await;
        assert!(began.elapsed() >= 2 * WORK, "{:?}", began.elapsed());
    }
}
