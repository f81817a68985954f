//! SIGTERM and SIGINT: the first stops in order, the second at once.

use std::time::Duration;

use anyhow::{Context, Result};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A stop that takes longer than this is ended: nothing acknowledged is lost by it.
const STOP_WAIT_MAX: Duration = Duration::from_millis(9_500);

/// Cancels `stop` at the first signal and ends the process at the second, or when stopping takes too long.
pub(super) fn watch(stop: CancellationToken) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stop.cancel();
        // A thread of its own: what keeps the runtime's from stopping keeps them from looking at the time, too.
        let watch = std::thread::Builder::new().name("candor-stop".to_owned());
        let watched = watch.spawn(|| {
            std::thread::sleep(STOP_WAIT_MAX);
            tracing::warn!("stopping takes too long");
            std::process::exit(1);
        });
        if let Err(error) = watched {
            tracing::warn!(%error, "nothing watches how long stopping takes");
        }
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        std::process::exit(1);
    });
    Ok(())
}
