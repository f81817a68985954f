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
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            () = tokio::time::sleep(STOP_WAIT_MAX) => tracing::warn!("stopping takes too long"),
        }
        std::process::exit(1);
    });
    Ok(())
}
