//! How each side is reached: the other cluster by its addresses, this one by a pipe within the process.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use candor_meta::Tenancy;
use candor_model::{ProjectId, Random};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::link::{Bounds, Link};
use super::login::Credential;
use crate::bridge::egress::Egress;
use crate::bridge::spec::Mechanism;
use crate::bridge::trouble::Trouble;
use crate::broker::Broker;
use crate::wire::{Connection, Limits, Room};

/// Time to reach a server: name, connection, TLS and log in each.
const CONNECT_WAIT_MAX: Duration = Duration::from_secs(10);

/// What a pipe within the process holds before who writes waits, bytes.
const PIPE_BYTES: usize = 256 << 10;

/// A connection.
pub(crate) trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

/// One of the two clusters.
#[derive(Clone)]
pub(crate) enum Side {
    /// This one, within the process.
    Local(Arc<LocalSide>),
    /// The other.
    Remote(Arc<RemoteSide>),
}

/// A project of this cluster. What comes in passes the gate as everything that is produced does.
pub(crate) struct LocalSide {
    /// Answers.
    pub broker: Arc<Broker>,
    /// Whose topics and groups are meant.
    pub project: ProjectId,
    /// Room for large requests, the house's.
    pub room: Room,
}

/// Another cluster.
pub(crate) struct RemoteSide {
    /// Servers to begin with.
    pub bootstrap: Vec<(String, u16)>,
    /// How TLS is spoken, where it is.
    pub tls: Option<TlsConnector>,
    /// Who logs in.
    pub credential: Option<Credential>,
    /// Nonces.
    pub random: Arc<dyn Random>,
    /// Whose records the bridge moves.
    pub project: ProjectId,
    /// The project that clients of this machine are who prove nothing, where there is one.
    pub anonymous: Option<Arc<str>>,
    /// Which project that is.
    pub tenancy: Tenancy,
    /// Where records may go, where some do.
    pub egress: Option<Egress>,
}

impl RemoteSide {
    /// What makes TLS connections that trust these certificates, or else the system's.
    pub fn connector(ca: Option<&str>) -> Result<TlsConnector, Trouble> {
        super::tls::connector(ca).map_err(Trouble::Other)
    }
}

/// Addresses that are no broker's: what clouds tell their machines, secrets among it, is at such.
fn is_forbidden(ip: IpAddr) -> bool {
    /// The metadata service of AWS over IPv6.
    const METADATA: &str = "fd00:ec2::254";
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            ip.is_link_local() || ip.is_unspecified() || ip.is_multicast() || ip == Ipv4Addr::BROADCAST
        }
        IpAddr::V6(ip) => {
            ip.is_unicast_link_local()
                || ip.is_unspecified()
                || ip.is_multicast()
                || METADATA.parse() == Ok(ip)
        }
    }
}

/// Whether who is at the other end of a connection is on this machine.
fn is_here(peer: IpAddr, own: IpAddr) -> bool {
    peer.is_loopback() || peer == own
}

impl Side {
    /// What the side is called in messages.
    pub fn name(&self) -> &'static str {
        match self {
            Side::Local(_) => "this server",
            Side::Remote(_) => "the other cluster",
        }
    }

    /// The servers to begin with. This cluster has one, whose address does not matter.
    pub fn bootstrap(&self) -> Vec<(String, u16)> {
        match self {
            Side::Local(_) => vec![(String::new(), 0)],
            Side::Remote(side) => side.bootstrap.clone(),
        }
    }

    /// Connects and logs in.
    pub async fn dial(&self, host: &str, port: u16, bounds: Bounds) -> Result<Link, Trouble> {
        match self {
            Side::Local(side) => side.dial(bounds).await,
            Side::Remote(side) => side.dial(host, port, bounds).await,
        }
    }
}

/// A connection that is served within the process; it ends with its guard.
struct Pipe {
    stream: tokio::io::DuplexStream,
    _ends: DropGuard,
}

impl AsyncRead for Pipe {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::pin::Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
        bytes: &[u8],
    ) -> std::task::Poll<std::io::Result<usize>> {
        std::pin::Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::pin::Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::pin::Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl LocalSide {
    async fn dial(&self, bounds: Bounds) -> Result<Link, Trouble> {
        let Some(session) = self.broker.insider(self.project).await else {
            return Err(Trouble::Other("the project is gone, or metadata cannot be reached".to_owned()));
        };
        let (ours, theirs) = tokio::io::duplex(PIPE_BYTES);
        let stop = CancellationToken::new();
        let connection = Connection {
            service: Arc::clone(&self.broker),
            session: Arc::new(session),
            limits: Limits::default(),
            room: self.room.clone(),
        };
        let pipe = Pipe { stream: ours, _ends: stop.clone().drop_guard() };
        tokio::spawn(async move {
            if let Err(error) = connection.serve(theirs, stop).await {
                tracing::debug!(%error, "a connection of a bridge within the process ended");
            }
        });
        let mut link = Link::new("this server".to_owned(), Box::new(pipe), bounds);
        link.learn_versions().await?;
        Ok(link)
    }
}

impl RemoteSide {
    /// Refuses this machine to a bridge that does not log in, where such clients are taken for a project that is not
    /// its own; and an address to which a password would go for everybody to read. A cluster may name any address as
    /// a broker's, so each connection is asked about.
    async fn check(&self, stream: &TcpStream) -> Result<(), String> {
        let peer = stream.peer_addr().map_err(|error| said(&error))?.ip().to_canonical();
        let own = stream.local_addr().map_err(|error| said(&error))?.ip().to_canonical();
        match (&self.credential, self.anonymous.as_deref()) {
            (None, Some(name)) if is_here(peer, own) => {
                let found = self.tenancy.resolve(name).await.map_err(|error| error.to_string())?;
                if found.is_none_or(|found| found.id != self.project) {
                    return Err(
                        "clients of this machine that do not log in are taken for another project here: \
                                give the bridge a log in"
                            .to_owned(),
                    );
                }
            }
            (Some(login), _)
                if login.mechanism == Mechanism::Plain && self.tls.is_none() && !is_here(peer, own) =>
            {
                return Err("PLAIN without TLS would send the password for everybody on the way to read: turn TLS on, \
                            or log in by SCRAM-SHA-512"
                    .to_owned());
            }
            _ => {}
        }
        Ok(())
    }

    async fn dial(&self, host: &str, port: u16, bounds: Bounds) -> Result<Link, Trouble> {
        let server = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        if let Some(egress) = &self.egress {
            egress(self.project, host, port).map_err(|forbidden| Trouble::Other(forbidden.why))?;
        }
        let unreachable = |why: String| Trouble::Unreachable { server: server.clone(), why };
        let late = || unreachable("no answer in time".to_owned());
        let stream = timeout(CONNECT_WAIT_MAX, connect(host, port)).await.map_err(|_| late())?;
        let stream = stream.map_err(&unreachable)?;
        self.check(&stream).await.map_err(|why| Trouble::Other(format!("{server}: {why}")))?;
        let _ = stream.set_nodelay(true);
        let wire: Box<dyn Wire> = match &self.tls {
            None => Box::new(stream),
            Some(tls) => {
                let name = ServerName::try_from(host.to_owned())
                    .map_err(|_| unreachable("its name cannot stand in a certificate".to_owned()))?;
                let connecting = timeout(CONNECT_WAIT_MAX, tls.connect(name, stream));
                let secured = connecting.await.map_err(|_| late())?;
                Box::new(secured.map_err(|error| unreachable(format!("TLS failed: {error}")))?)
            }
        };
        let mut link = Link::new(server, wire, bounds);
        link.learn_versions().await?;
        if let Some(credential) = &self.credential {
            link.log_in(credential, &*self.random).await?;
        }
        Ok(link)
    }
}

/// An error of the system in its words, without its number.
fn said(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}

/// Connects to the first address of the name that answers. An address is checked when it is known, not its name.
async fn connect(host: &str, port: u16) -> Result<TcpStream, String> {
    let found: Vec<SocketAddr> = match tokio::net::lookup_host((host, port)).await {
        Ok(found) => found.collect(),
        Err(error) => return Err(format!("its name is not known: {}", said(&error))),
    };
    let mut why = "its name has no address".to_owned();
    for address in found {
        if is_forbidden(address.ip()) {
            why = format!("{} is a link-local or other address that bridges do not go to", address.ip());
            continue;
        }
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => why = said(&error),
        }
    }
    Err(why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_known_by_each_of_its_addresses() {
        for (peer, own, is) in [
            ("127.0.0.1", "127.0.0.1", true),
            ("127.8.0.1", "127.0.0.1", true),
            ("::1", "::1", true),
            ("10.1.2.3", "10.1.2.3", true),
            ("10.1.2.4", "10.1.2.3", false),
        ] {
            assert_eq!(is_here(peer.parse().unwrap(), own.parse().unwrap()), is, "{peer} {own}");
        }
    }

    #[test]
    fn addresses_of_no_broker_are_not_gone_to() {
        for (address, is) in [
            ("169.254.169.254", true),
            ("::ffff:169.254.169.254", true),
            ("fe80::1", true),
            ("fd00:ec2::254", true),
            ("0.0.0.0", true),
            ("::", true),
            ("224.0.0.1", true),
            ("127.0.0.1", false),
            ("10.1.2.3", false),
            ("2001:db8::1", false),
        ] {
            assert_eq!(is_forbidden(address.parse().unwrap()), is, "{address}");
        }
    }
}
