//! Notices why nothing can be taken in: no space, a lost database or object store, a lake that does not keep up.
//!
//! It looks every second and tells the one admission point, which answers 503 with Retry-After before a body is
//! read and lets requests in again as soon as the cause is gone. Reads go on meanwhile.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use candor_gate::admission::{Admission, Cause};
use candor_lake::{Lake, Pressure};
use candor_meta::Database;
use candor_store::S3Objects;

use crate::ballast::Ballast;
use crate::files;

/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How often S3 is asked whether it answers, in looks: a request is a small cost, and every put tells as well.
const ASK_OBJECTS_EVERY: u32 = 3;

/// How often the use of keys with a quota is stored.
const SAVE_USAGE_EVERY: Duration = Duration::from_secs(5);

/// How long the database may take to answer a trivial statement.
const DATABASE_WAIT_MAX: Duration = Duration::from_secs(3);

/// Share of the device that data may not take: what metadata and erasure need when nothing else fits.
const RESERVE_SHARE: u64 = 20;
/// Least reserve, bytes.
const RESERVE_BYTES_MIN: u64 = 4 << 20;
/// Most reserve, bytes.
const RESERVE_BYTES_MAX: u64 = 1 << 30;

/// The reserve for a device of that size, bytes.
pub fn reserve_bytes(device_bytes: u64) -> u64 {
    (device_bytes / RESERVE_SHARE).clamp(RESERVE_BYTES_MIN, RESERVE_BYTES_MAX)
}

/// Bytes free on the data dir's device, as last seen.
#[derive(Debug, Default)]
pub struct FreeSpace(AtomicU64);

impl FreeSpace {
    /// The bytes, once looked.
    pub fn bytes(&self) -> Option<u64> {
        Some(self.0.load(Ordering::Relaxed)).filter(|bytes| *bytes > 0)
    }
}

/// What is watched, and whom to tell.
pub struct Watcher {
    /// Where the data lies.
    pub folder: PathBuf,
    /// Free bytes below which data is refused.
    pub reserve: u64,
    /// The metadata.
    pub meta: Database,
    /// False while the right to serve from the metadata is lost: another process may have it by now.
    pub serving: tokio::sync::watch::Receiver<bool>,
    /// The objects, where they are in S3.
    pub s3: Option<S3Objects>,
    /// The tables.
    pub lake: Lake,
    /// The admission point.
    pub admission: Admission,
    /// For the metrics.
    pub free: Arc<FreeSpace>,
    /// The room that the databases get when nothing else is left.
    pub ballast: Ballast,
}

impl Watcher {
    /// Watches until it is dropped.
    pub async fn run(mut self) {
        let mut looks = 0u32;
        let mut objects_lost = false;
        loop {
            // A lost store is asked at every look: what waits for it is let in as soon as it is back.
            if looks.is_multiple_of(ASK_OBJECTS_EVERY) || objects_lost {
                objects_lost = self.objects_lost().await;
            }
            self.look(objects_lost).await;
            looks = looks.wrapping_add(1);
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                Ok(()) = self.serving.changed() => {}
            }
        }
    }

    async fn objects_lost(&self) -> bool {
        match &self.s3 {
            Some(s3) => !s3.is_reachable().await,
            None => false,
        }
    }

    async fn look(&self, objects_lost: bool) {
        let pressure = self.admission.pressure();
        let before = pressure.cause();
        match files::free_bytes(&self.folder) {
            Ok(free) => {
                self.free.0.store(free.max(1), Ordering::Relaxed);
                pressure.set(Cause::DiskFull, free <= self.reserve);
                self.ballast.adjust(free);
            }
            Err(error) => tracing::warn!(%error, "cannot ask for free space"),
        }
        let serves = *self.serving.borrow();
        if !serves {
            pressure.set(Cause::DatabaseLost, true);
        }
        let asked = tokio::time::timeout(DATABASE_WAIT_MAX, self.meta.query("SELECT 1", &[])).await;
        pressure.set(Cause::DatabaseLost, !serves || !matches!(asked, Ok(Ok(_))));
        pressure.set(Cause::ObjectsLost, objects_lost);
        pressure.set(Cause::Lagging, self.lake.pressure() == Pressure::Refuse);
        match (before, pressure.cause()) {
            (was, Some(cause)) if was != Some(cause) => tracing::warn!(?cause, "ingest is refused"),
            (Some(_), None) => tracing::info!("ingest is let in again"),
            _ => {}
        }
    }
}

/// Stores what keys with a quota use, until it is dropped. Apart from the watcher, which a locked database must not keep
/// from seeing that the device is full.
pub async fn keep_usage(admission: Admission) {
    loop {
        tokio::time::sleep(SAVE_USAGE_EVERY).await;
        if let Err(error) = admission.save_usage().await {
            tracing::debug!(error = crate::logging::chain(&error), "the use of keys is not stored yet");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::reserve_bytes;

    #[test]
    fn the_reserve_follows_the_device() {
        assert_eq!(reserve_bytes(64 << 20), 4 << 20);
        assert_eq!(reserve_bytes(1 << 30), (1 << 30) / 20);
        assert_eq!(reserve_bytes(1 << 40), 1 << 30);
    }
}
