//! The Kafka listener: sockets, TLS, how many connections. What is said on them is [`candor_streams`]'s.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use candor_streams::Streams;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// Connections at once. Each costs some 80 KiB while it sends, some 10 while it waits.
const CONNECTIONS_MAX: usize = 10_000;

/// Time for a TLS handshake.
const HANDSHAKE_WAIT_MAX: Duration = Duration::from_secs(10);

/// Sockets on which Kafka is spoken.
pub(super) struct KafkaListener {
    pub(super) sockets: Vec<TcpListener>,
    pub(super) tls: Option<TlsAcceptor>,
    pub(super) streams: Streams,
}

impl KafkaListener {
    /// Serves until `stop`, then lets requests under way end; the caller bounds how long.
    pub(super) async fn run(self, stop: CancellationToken) {
        let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let loops = self.sockets.into_iter().map(|socket| {
            let (permits, stop) = (Arc::clone(&permits), stop.clone());
            let (streams, tls) = (self.streams.clone(), self.tls.clone());
            async move {
                let mut open = JoinSet::new();
                loop {
                    let next = async {
                        let permit = Arc::clone(&permits).acquire_owned().await;
                        (permit, socket.accept().await)
                    };
                    let (permit, accepted) = tokio::select! {
                        () = stop.cancelled() => break,
                        next = next => next,
                    };
                    while open.try_join_next().is_some() {}
                    match accepted {
                        Ok((stream, peer)) => {
                            let (streams, tls, stop) = (streams.clone(), tls.clone(), stop.clone());
                            open.spawn(async move {
                                connection(stream, peer, streams, tls, stop).await;
                                drop(permit);
                            });
                        }
                        Err(error) => {
                            // Out of descriptors, most likely: wait for some to come free rather than spin.
                            tracing::warn!(%error, "cannot accept a connection");
                            tokio::time::sleep(Duration::from_millis(100)).await;
                        }
                    }
                }
                while open.join_next().await.is_some() {}
            }
        });
        futures::future::join_all(loops).await;
    }
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    streams: Streams,
    tls: Option<TlsAcceptor>,
    stop: CancellationToken,
) {
    let _ = stream.set_nodelay(true);
    let served = match tls {
        None => streams.serve(stream, peer, stop).await,
        Some(tls) => match tokio::time::timeout(HANDSHAKE_WAIT_MAX, tls.accept(stream)).await {
            Ok(Ok(stream)) => streams.serve(stream, peer, stop).await,
            _ => return,
        },
    };
    if let Err(error) = served {
        tracing::debug!(%error, "a Kafka connection ended");
    }
}
