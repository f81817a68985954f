//! `candor serve`: opens the data dir, puts the parts together, listens, and stops in order.
//!
//! Three pools of threads, so that a heavy query never delays an acknowledgement: this runtime takes connections and
//! ingest, the engine runs queries on threads of its own, and the journal has its thread.

mod allocator;
mod compose;
mod grpc;
mod kafka;
mod options;
mod signals;
mod storage;
mod stream_tables;
mod token_keys;

pub use options::UsageError;

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use candor_gate::admission::Cause;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use self::kafka::KafkaListener;
use crate::app::{Addresses, App};
use crate::cli::{Global, ServeArgs};
use crate::data_dir::Address;
use crate::http::listen::{HttpListener, bind};
use crate::http::{router, tls};
use crate::{VERSION, files, logging, output};
use options::Options;

/// Time that requests under way get to end once the server stops.
const DRAIN_WAIT_MAX: Duration = Duration::from_secs(3);

/// Time that publishing the tail gets; what is not published is read back from the log at the next start.
const PUBLISH_WAIT_MAX: Duration = Duration::from_secs(5);

/// Time that the last notes in the databases get: what is not noted is found in the log at the next start.
const SETTLE_WAIT_MAX: Duration = Duration::from_secs(1);

/// Time that the whole of a stop gets, however much of what it needs is lost: ten seconds are promised.
const STOP_WAIT_MAX: Duration = Duration::from_millis(8_500);

/// What of it is left for the log, which commits what waits.
const LOG_WAIT_MIN: Duration = Duration::from_millis(1_500);

/// How often is asked whether the first account was made.
const LOOK_FOR_ACCOUNT_EVERY: Duration = Duration::from_secs(1);

/// Stack of a worker thread: parsers recurse as deep as limits allow.
const STACK_BYTES: usize = 4 << 20;

/// Runs the server until it is told to stop.
pub fn run(arguments: ServeArgs, global: &Global) -> Result<()> {
    let options = Options::validate(arguments, global)?;
    logging::start();
    allocator::give_back_what_is_freed();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("candor")
        .thread_stack_size(STACK_BYTES)
        .build()
        .context("cannot start the runtime")?;
    let result = runtime.block_on(serve(options, global.json));
    // What still blocks has had its time: the process ends.
    runtime.shutdown_timeout(Duration::from_millis(200));
    result
}

async fn serve(options: Options, as_json: bool) -> Result<()> {
    let stop = CancellationToken::new();
    signals::watch(stop.clone())?;
    let http_sockets = bind("listen", &options.listen).await?;
    let grpc_sockets = match &options.otlp_grpc_listen {
        Some(address) => bind("otlp-grpc-listen", address).await?,
        None => Vec::new(),
    };
    let kafka_sockets = match &options.kafka_listen {
        Some(address) => bind("kafka-listen", address).await?,
        None => Vec::new(),
    };
    let acceptor = match &options.tls {
        Some((certificate, key)) => Some(tls::acceptor(certificate, key)?),
        None => None,
    };
    let http = first_address(&http_sockets)?;
    let grpc = grpc_sockets.first().map(TcpListener::local_addr).transpose()?;
    let kafka = kafka_sockets.first().map(TcpListener::local_addr).transpose()?;
    let house = compose::open(&options, kafka, stop.clone()).await?;
    let app = Arc::clone(&house.app);
    let local = local_listener(http, acceptor.is_some()).await?;
    let local_host = local.as_ref().map(TcpListener::local_addr).transpose()?.map(|at| at.to_string());
    let base = options.public_url.clone().unwrap_or_else(|| bound_base(http, acceptor.is_some()));
    // Set once, here.
    let given = options.public_url.is_some();
    let _ = app.addresses.set(Addresses { base: base.clone(), given, local: local_host.clone() });

    let router = router::router(Arc::clone(&app), house.http);
    let mut listeners = Vec::new();
    let http_listener = HttpListener {
        sockets: http_sockets,
        tls: acceptor.clone(),
        router: router.clone(),
        counts: Arc::clone(&app.connections),
    };
    listeners.push(tokio::spawn(http_listener.run(stop.clone())));
    let local_url = match (local, local_host) {
        (Some(socket), Some(address)) => {
            let listener = HttpListener {
                sockets: vec![socket],
                tls: None,
                router,
                counts: Arc::clone(&app.connections),
            };
            listeners.push(tokio::spawn(listener.run(stop.clone())));
            format!("http://{address}")
        }
        _ => format!("http://{}", reachable(http)),
    };
    if let Some(streams) = app.streams.clone().filter(|_| !kafka_sockets.is_empty()) {
        let listener = KafkaListener {
            sockets: kafka_sockets,
            tls: acceptor.clone(),
            streams,
            trusted_proxies: options.trusted_proxies.as_slice().into(),
        };
        listeners.push(tokio::spawn(listener.run(stop.clone())));
    }
    if !grpc_sockets.is_empty() {
        let listener = HttpListener {
            sockets: grpc_sockets,
            tls: acceptor,
            router: house.grpc,
            counts: Arc::clone(&app.connections),
        };
        listeners.push(tokio::spawn(listener.run(stop.clone())));
    }

    let screen = options.public_url.clone().unwrap_or_else(|| browser_base(http, options.tls.is_some()));
    app.data_dir.publish_address(&Address {
        pid: std::process::id(),
        version: VERSION.to_owned(),
        url: local_url,
        screen: screen.clone(),
    })?;
    let ready = ready_document(&app, &screen, http, grpc, kafka).await?;
    announce(&ready, &base, &screen, as_json, app.test_clock);
    if let Some(path) = &options.ready_file {
        files::write_private(path, ready.to_string().as_bytes())
            .with_context(|| format!("--ready-file {}: cannot write it", path.display()))?;
        if !ready["setup_url"].is_null() {
            tokio::spawn(retire_setup_link(Arc::clone(&app), path.clone(), ready));
        }
    }
    tracing::info!(%http, version = VERSION, ready_ms = app.started.elapsed().as_millis() as u64, "ready");

    stop.cancelled().await;
    drain(&app, listeners).await;
    Ok(())
}

/// Stops in order, within [`STOP_WAIT_MAX`]. Each step may fail or be cut short where storage is lost: what was
/// acknowledged is on stable storage already, and the next start goes on from there.
async fn drain(app: &App, listeners: Vec<tokio::task::JoinHandle<()>>) {
    tracing::info!("stopping: draining requests");
    let until = Instant::now() + STOP_WAIT_MAX;
    app.admission.pressure().set(Cause::Stopping, true);
    app.data_dir.withdraw_address();
    if timeout(DRAIN_WAIT_MAX, futures::future::join_all(listeners)).await.is_err() {
        tracing::warn!("some requests did not end in time");
    }
    match timeout(SETTLE_WAIT_MAX, app.admission.save_usage()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            let error = logging::chain(&error);
            tracing::warn!(error, "the use of keys since the last seconds is not stored");
        }
        Err(_) => tracing::warn!("the use of keys since the last seconds is not stored in time"),
    }
    match timeout(SETTLE_WAIT_MAX, app.vault.settle()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::warn!(error = logging::chain(&error), "the vault is not up to date; the log has it");
        }
        Err(_) => tracing::warn!("the vault is not up to date in time; the log has it"),
    }
    match timeout(SETTLE_WAIT_MAX, app.books.ledger.tend()).await {
        Ok(Ok(())) => {}
        _ => tracing::warn!("the last reads are not in the ledger"),
    }
    let publish_until = (until - LOG_WAIT_MIN).min(Instant::now() + PUBLISH_WAIT_MAX);
    match timeout_at(publish_until, app.lake.close()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::warn!(error = logging::chain(&error), "the tail is not published; the log has it")
        }
        Err(_) => tracing::warn!("the tail is not published in time; the log has it"),
    }
    if timeout_at(until, app.log.close()).await.is_err() {
        tracing::warn!("what waited for the log is not stored in time; nobody was told that it was");
    }
    tracing::info!("stopped");
}

fn first_address(sockets: &[TcpListener]) -> Result<SocketAddr> {
    let socket = sockets.first().context("no socket is bound")?;
    socket.local_addr().context("the socket has no address")
}

/// An address as someone on this machine reaches it.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

fn bound_base(address: SocketAddr, tls: bool) -> String {
    let scheme = if tls { "https" } else { "http" };
    format!("{scheme}://{}", reachable(address))
}

/// Where a browser on this machine finds us: `localhost`, which counts as a safe place, where loopback is listened on.
fn browser_base(address: SocketAddr, tls: bool) -> String {
    let scheme = if tls { "https" } else { "http" };
    let ip = address.ip();
    if ip.is_loopback() || ip.is_unspecified() {
        format!("{scheme}://localhost:{}", address.port())
    } else {
        format!("{scheme}://{address}")
    }
}

/// With TLS on, commands beside the data dir talk to a second socket on loopback: the certificate is made out to
/// another name than the one they would use.
async fn local_listener(http: SocketAddr, tls: bool) -> Result<Option<TcpListener>> {
    if !tls {
        return Ok(None);
    }
    let address: SocketAddr = match http {
        SocketAddr::V4(_) => (std::net::Ipv4Addr::LOCALHOST, 0).into(),
        SocketAddr::V6(_) => (std::net::Ipv6Addr::LOCALHOST, 0).into(),
    };
    TcpListener::bind(address).await.map(Some).context("cannot bind the local socket of commands")
}

async fn ready_document(
    app: &App,
    screen: &str,
    http: SocketAddr,
    grpc: Option<SocketAddr>,
    kafka: Option<SocketAddr>,
) -> Result<Value> {
    let setup_token = app.people.issue_setup_token().await?;
    let setup_url = setup_token.map(|token| format!("{screen}/app/setup?token={token}"));
    Ok(json!({
        "pid": std::process::id(),
        "version": VERSION,
        "http": http.to_string(),
        "kafka": kafka.map(|address| address.to_string()),
        "otlp_grpc": grpc.map(|address| address.to_string()),
        "syslog": null,
        "setup_url": setup_url,
    }))
}

/// Writes the ready file again, without the link, once somebody has used it.
async fn retire_setup_link(app: Arc<App>, path: std::path::PathBuf, mut ready: Value) {
    while !matches!(app.people.setup_needed().await, Ok(false)) {
        tokio::select! {
            () = app.stop.cancelled() => return,
            () = tokio::time::sleep(LOOK_FOR_ACCOUNT_EVERY) => {}
        }
    }
    ready["setup_url"] = Value::Null;
    if let Err(error) = files::write_private(&path, ready.to_string().as_bytes()) {
        tracing::warn!(%error, "the ready file still holds the setup link, which no longer works");
    }
}

/// What a person who starts the server reads. It goes to standard output, not to the log: the link is a secret.
fn announce(ready: &Value, base: &str, screen: &str, as_json: bool, test_clock: bool) {
    if as_json {
        let _ = output::json(ready);
        return;
    }
    let mut out = output::stdout();
    let _ = writeln!(out, "Candor {VERSION} listens at {base}; the screen is at {screen}/app/");
    if let Some(link) = ready.get("setup_url").and_then(Value::as_str) {
        let _ = writeln!(out, "Make the first account here (the link works once):\n  {link}");
    }
    if test_clock {
        let _ = writeln!(
            out,
            "This data dir was made for tests: its clock may be shifted. Keep nothing real in it."
        );
    }
    let _ = out.flush();
}

/// The files that TLS needs.
type TlsFiles = (std::path::PathBuf, std::path::PathBuf);

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_for_people_name_what_is_listened_on() {
        for (address, tls, expected) in [
            ("127.0.0.1:8080", false, "http://localhost:8080"),
            ("[::1]:8080", true, "https://localhost:8080"),
            ("0.0.0.0:80", false, "http://localhost:80"),
            ("192.0.2.7:8443", true, "https://192.0.2.7:8443"),
            ("[2001:db8::7]:8443", true, "https://[2001:db8::7]:8443"),
        ] {
            let address: SocketAddr = address.parse().expect("an address");
            assert_eq!(browser_base(address, tls), expected);
        }
    }
}
