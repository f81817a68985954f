//! The Kafka listener: sockets, TLS, how many connections. What is said on them is [`candor_streams`]'s.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use candor_gate::admission::Network;
use candor_notices::Policies;
use candor_streams::bridge::{Egress, Forbidden};
use candor_streams::{Peer, Streams};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// Connections at once. Each costs some 80 KiB while it sends, some 10 while it waits.
const CONNECTIONS_MAX: usize = 10_000;

/// Time for a TLS handshake.
const HANDSHAKE_WAIT_MAX: Duration = Duration::from_secs(10);

/// Where bridges may send: by the policy that holds in their project at that moment.
pub(super) fn egress(policies: &Policies) -> Egress {
    let policies = policies.clone();
    Arc::new(move |project, host, port| {
        let nothing_holds = || Forbidden { clause: "recipient", why: "no policy holds there".to_owned() };
        let held = policies.of(project).ok_or_else(nothing_holds)?;
        let asked = held.resolved.policy.whole_records_to(host, port);
        asked.map(drop).map_err(|forbidden| Forbidden { clause: forbidden.clause, why: forbidden.why })
    })
}

/// Sockets on which Kafka is spoken.
pub(super) struct KafkaListener {
    pub(super) sockets: Vec<TcpListener>,
    pub(super) tls: Option<TlsAcceptor>,
    pub(super) streams: Streams,
    /// Where TLS ends before us: clients behind these may log in on connections without it.
    pub(super) trusted_proxies: Arc<[Network]>,
}

impl KafkaListener {
    /// Serves until `stop`, then lets requests under way end; the caller bounds how long.
    pub(super) async fn run(self, stop: CancellationToken) {
        self.warn_of_the_clear();
        let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let loops = self.sockets.into_iter().map(|socket| {
            let (permits, stop) = (Arc::clone(&permits), stop.clone());
            let (streams, tls) = (self.streams.clone(), self.tls.clone());
            let proxies = Arc::clone(&self.trusted_proxies);
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
                            let is_private = tls.is_some() || is_private(peer.ip(), &proxies);
                            let peer = Peer { address: peer, is_private };
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

    /// Says at the start what clients elsewhere will find.
    fn warn_of_the_clear(&self) {
        let is_elsewhere = |socket: &TcpListener| socket.local_addr().is_ok_and(|at| !is_loopback(at.ip()));
        if self.tls.is_none() && self.trusted_proxies.is_empty() && self.sockets.iter().any(is_elsewhere) {
            tracing::warn!(
                "Kafka clients on other machines cannot log in without TLS: give --tls-cert and --tls-key, or name \
                 with --trusted-proxy where TLS ends"
            );
        }
    }
}

fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// Whether nobody reads along on a connection without TLS.
fn is_private(peer: IpAddr, trusted_proxies: &[Network]) -> bool {
    is_loopback(peer) || trusted_proxies.iter().any(|network| network.contains(peer))
}

async fn connection(
    stream: TcpStream,
    peer: Peer,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_tls_loopback_and_proxies_alone_are_private() {
        let proxies: Vec<Network> = ["10.1.0.0/16", "2001:db8::/32"].map(|text| text.parse().unwrap()).into();
        for (peer, without, with) in [
            ("127.0.0.1", true, true),
            ("127.9.9.9", true, true),
            ("::1", true, true),
            ("::ffff:127.0.0.1", true, true),
            ("10.1.2.3", false, true),
            ("::ffff:10.1.2.3", false, true),
            ("2001:db8::1", false, true),
            ("10.2.0.1", false, false),
            ("192.168.1.1", false, false),
            ("::", false, false),
        ] {
            let peer: IpAddr = peer.parse().unwrap();
            assert_eq!((is_private(peer, &[]), is_private(peer, &proxies)), (without, with), "{peer}");
        }
    }
}
