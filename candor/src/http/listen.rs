//! Accepting connections: how many, how long, how large; HTTP/1.1 and HTTP/2 (also in the clear) on one port.
//!
//! Slow clients are bounded in four places: the time to the first request (handshake, preface and head), the time
//! between pieces of a body ([`super::body`]), the time a write waits ([`super::patient`]), and the number of
//! connections. A panic in a handler answers 500 and costs nobody else their connection.

use std::future::Future;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::response::IntoResponse;
use candor_errors::protocol::path::fold_request;
use futures::FutureExt;
use http::Request;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::patient::Patient;
use super::{Problem, body};

/// Connections at once. Each costs some 20 KiB while idle: 200 MB at the worst.
const CONNECTIONS_MAX: usize = 10_000;

/// Time to the first whole request head, with handshake and preface; and from one request to the next head.
const HEAD_WAIT_MAX: Duration = Duration::from_secs(60);

/// One request's head, bytes. Browsers and SDKs stay below 16 KiB.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// Header fields of one request.
const HEADERS_MAX: usize = 128;

/// HTTP/2 streams of one connection at once.
const STREAMS_MAX: u32 = 256;

/// Counts of connections, for the metrics.
#[derive(Debug, Default)]
pub struct ConnectionCounts {
    /// Accepted since the start.
    pub accepted: AtomicU64,
    /// Open now.
    pub open: AtomicU64,
    /// Handlers that panicked.
    pub panics: AtomicU64,
}

/// Listeners that serve one router.
pub struct HttpListener {
    /// The bound sockets.
    pub sockets: Vec<TcpListener>,
    /// Turns TLS on.
    pub tls: Option<TlsAcceptor>,
    /// What is served.
    pub router: Router,
    /// Counts.
    pub counts: Arc<ConnectionCounts>,
}

impl HttpListener {
    /// Serves until `stop`, then lets requests under way end; the caller bounds how long.
    pub async fn run(self, stop: CancellationToken) {
        let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let graceful = Arc::new(GracefulShutdown::new());
        let loops = self.sockets.into_iter().map(|socket| {
            let (permits, graceful) = (Arc::clone(&permits), Arc::clone(&graceful));
            let (router, tls) = (self.router.clone(), self.tls.clone());
            let (counts, stop) = (Arc::clone(&self.counts), stop.clone());
            async move {
                loop {
                    // Where all places are taken, a stop must not wait for one to come free.
                    let next = async {
                        let permit = Arc::clone(&permits).acquire_owned().await;
                        (permit, socket.accept().await)
                    };
                    let Some((Ok(permit), accepted)) = until(&stop, next).await else { return };
                    let (stream, peer) = match accepted {
                        Ok(accepted) => accepted,
                        Err(error) => {
                            // Out of descriptors, most likely: wait for some to come free rather than spin.
                            tracing::warn!(%error, "cannot accept a connection");
                            tokio::time::sleep(Duration::from_millis(100)).await;
                            continue;
                        }
                    };
                    counts.accepted.fetch_add(1, Ordering::Relaxed);
                    counts.open.fetch_add(1, Ordering::Relaxed);
                    let (router, tls, counts) = (router.clone(), tls.clone(), Arc::clone(&counts));
                    let watcher = graceful.watcher();
                    tokio::spawn(async move {
                        // A response of ours is often smaller than a packet and always whole.
                        let _ = stream.set_nodelay(true);
                        let served = Served { peer, router, counts: Arc::clone(&counts) };
                        served.connection(stream, tls, watcher).await;
                        counts.open.fetch_sub(1, Ordering::Relaxed);
                        drop(permit);
                    });
                }
            }
        });
        futures::future::join_all(loops).await;
        if let Some(graceful) = Arc::into_inner(graceful) {
            graceful.shutdown().await;
        }
    }
}

/// One connection.
struct Served {
    peer: SocketAddr,
    router: Router,
    counts: Arc<ConnectionCounts>,
}

impl Served {
    async fn connection(
        self,
        stream: TcpStream,
        tls: Option<TlsAcceptor>,
        watcher: hyper_util::server::graceful::Watcher,
    ) {
        match tls {
            None => self.http(TokioIo::new(Patient::new(stream)), watcher).await,
            Some(tls) => {
                if let Ok(Ok(stream)) = tokio::time::timeout(HEAD_WAIT_MAX, tls.accept(stream)).await {
                    self.http(TokioIo::new(Patient::new(stream)), watcher).await;
                }
            }
        }
    }

    async fn http<S>(self, io: TokioIo<S>, watcher: hyper_util::server::graceful::Watcher)
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_WAIT_MAX)
            .max_headers(HEADERS_MAX)
            .max_buf_size(HEAD_BYTES_MAX);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_header_list_size(HEAD_BYTES_MAX as u32)
            .max_concurrent_streams(STREAMS_MAX)
            .keep_alive_interval(HEAD_WAIT_MAX)
            .keep_alive_timeout(Duration::from_secs(20));
        let asked = Arc::new(AtomicBool::new(false));
        let noted = Arc::clone(&asked);
        let service = hyper::service::service_fn(move |request| {
            noted.store(true, Ordering::Relaxed);
            answer(self.router.clone(), request, self.peer, Arc::clone(&self.counts))
        });
        let connection = watcher.watch(builder.serve_connection_with_upgrades(io, service).into_owned());
        let silence = async {
            tokio::time::sleep(HEAD_WAIT_MAX).await;
            // hyper's own head timer starts only once it knows the protocol; this one starts at once.
            if asked.load(Ordering::Relaxed) {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            // Errors here are peers that left or spoke no HTTP: nothing anyone could act on.
            _ = connection => {}
            () = silence => {}
        }
    }
}

async fn answer(
    router: Router,
    request: Request<hyper::body::Incoming>,
    peer: SocketAddr,
    counts: Arc<ConnectionCounts>,
) -> Result<http::Response<Body>, std::convert::Infallible> {
    let (parts, body) = request.into_parts();
    // A client that asked first will not send what was refused, and HTTP/2 has its own way to say stop.
    let sends_on = parts.version < http::Version::HTTP_2 && !parts.headers.contains_key(http::header::EXPECT);
    let (body, unread) = body::timed(body);
    let mut request = Request::from_parts(parts, body);
    request.extensions_mut().insert(ConnectInfo(peer));
    // Before the router: its layers run after the route was chosen, and Sentry's SDKs send doubled slashes.
    let request = fold_request(request);
    let answered = AssertUnwindSafe(router.oneshot(request)).catch_unwind().await;
    if sends_on {
        unread.read_over().await;
    }
    Ok(match answered {
        Ok(Ok(response)) => response,
        Ok(Err(never)) => match never {},
        Err(_) => {
            counts.panics.fetch_add(1, Ordering::Relaxed);
            Problem::new(
                http::StatusCode::INTERNAL_SERVER_ERROR,
                "Internal error",
                "the server failed at this request; its log says where",
            )
            .into_response()
        }
    })
}

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// It is no address.
    #[error("--{flag} {address}: not an address\ngive HOST:PORT, as in 127.0.0.1:8080")]
    Address {
        /// Which flag.
        flag: &'static str,
        /// What it says.
        address: String,
    },
    /// The system refused.
    #[error(
        "--{flag} {address}: {source}\nstop what listens there, or give another address (port 0 takes a free one)"
    )]
    Refused {
        /// Which flag.
        flag: &'static str,
        /// What it says.
        address: String,
        /// Why.
        source: std::io::Error,
    },
}

/// Binds an address. A name may have several (`localhost` has one of each family): all are bound, to one port.
pub async fn bind(flag: &'static str, address: &str) -> Result<Vec<TcpListener>, BindError> {
    let not_one = || BindError::Address { flag, address: address.to_owned() };
    let found: Vec<SocketAddr> = tokio::net::lookup_host(address).await.map_err(|_| not_one())?.collect();
    let mut sockets: Vec<TcpListener> = Vec::new();
    for mut candidate in found {
        if let Some(first) = sockets.first().and_then(|socket| socket.local_addr().ok())
            && candidate.port() == 0
        {
            candidate.set_port(first.port());
        }
        match TcpListener::bind(candidate).await {
            Ok(socket) => sockets.push(socket),
            // The second family of a name is a courtesy: hosts without IPv6 are common.
            Err(error) if !sockets.is_empty() => {
                tracing::debug!(%candidate, %error, "second address not bound")
            }
            Err(source) => return Err(BindError::Refused { flag, address: address.to_owned(), source }),
        }
    }
    if sockets.is_empty() { Err(not_one()) } else { Ok(sockets) }
}

/// Runs a future until `stop`.
pub async fn until<T>(stop: &CancellationToken, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        done = work => Some(done),
        () = stop.cancelled() => None,
    }
}
