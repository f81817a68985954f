//! A log without threads: who drives it says when appends are committed and when it is maintained. For simulations of
//! what stands on a log; its code is the one that ships.

use std::sync::Arc;

use candor_store::DiskError;
use tokio::sync::watch;

use crate::maintenance::{Maintenance, MaintenanceError};
use crate::open::{Opened, read_back};
use crate::queue::Queue;
use crate::{AppendError, Inner, Log, LogOptions, OpenError};

/// What is done beside commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upkeep {
    /// The open journal file is ended, so that what it holds may be compacted.
    Seal,
    /// Retention, history and compaction by key, each where it is due.
    Trim,
    /// A checkpoint.
    Checkpoint,
}

/// What a log's threads would do. Dropped, it is as if the process had been killed.
pub struct Driver {
    opened: Opened,
    queue: Arc<Queue>,
    group_bytes: usize,
    stopped: watch::Sender<bool>,
}

/// Opens the log of a disk. Blocks.
pub fn open(options: &LogOptions) -> Result<(Log, Driver), OpenError> {
    let opened = read_back(options)?;
    let queue = Arc::new(Queue::new(options.limits.queue_bytes));
    let (stopped, seen) = watch::channel(false);
    let inner = Inner {
        shared: Arc::clone(&opened.committer.shared),
        files: Arc::clone(&options.files),
        queue: Arc::clone(&queue),
        stopped: seen,
        cluster: None,
        blocking_threads: false,
    };
    let group_bytes = options.limits.group_bytes;
    Ok((Log { inner: Arc::new(inner) }, Driver { opened, queue, group_bytes, stopped }))
}

impl Driver {
    /// Waits until something waits to be committed; false once the log is closed.
    pub async fn has_some(&self) -> bool {
        self.queue.has_some().await
    }

    /// Commits what waits, as one group; false once the disk has failed.
    pub fn commit(&mut self) -> bool {
        let group = self.queue.drain(self.group_bytes);
        self.opened.committer.commit(group);
        let has_failed = self.opened.committer.has_failed();
        if has_failed {
            self.queue.fail(AppendError::Unavailable);
        }
        !has_failed
    }

    /// Does some upkeep; false where the disk failed in a way after which only a restart may go on.
    pub async fn keep(&mut self, what: Upkeep) -> bool {
        match self.try_keep(what).await {
            Ok(()) => true,
            Err(MaintenanceError::Disk(error)) => matches!(error, DiskError::Full),
            Err(_) => true,
        }
    }

    async fn try_keep(&mut self, what: Upkeep) -> Result<(), MaintenanceError> {
        let Opened { committer, maintenance } = &mut self.opened;
        match what {
            Upkeep::Seal => committer.seal_file(),
            Upkeep::Trim => {
                maintenance.trim();
                if maintenance.needs_compaction() {
                    maintenance.compact().await?;
                }
                if maintenance.waits_for_the_active_end() {
                    committer.seal_file();
                }
                maintenance.clean().await?;
            }
            Upkeep::Checkpoint => {
                let snapshot = Maintenance::snapshot(committer);
                maintenance.checkpoint(snapshot).await?;
            }
        }
        Ok(())
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.queue.fail(AppendError::Unavailable);
        // An error means that nobody holds the log any more.
        let _ = self.stopped.send(true);
        self.opened.committer.shared.wake_all();
    }
}
