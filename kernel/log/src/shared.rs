//! What the journal's thread, readers and maintenance share.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;

use candor_store::Files;

use crate::cache::TailCache;
use crate::segment::{Part, SegmentError, read_footer};
use crate::state::{PartitionKey, State};
use crate::{Committed, Follower};

/// Footers kept: one of a segment that thousands of partitions share takes a megabyte.
const FOOTERS_MAX: usize = 16;

pub(crate) struct Shared {
    pub state: RwLock<State>,
    pub cache: Mutex<TailCache>,
    /// Held from the moment a group becomes visible until every follower has seen it: a follower that joins sees
    /// all of a group or nothing.
    pub followers: Mutex<Vec<Arc<dyn Follower>>>,
    /// Who waits for more, by partition.
    waiters: Mutex<HashMap<PartitionKey, Arc<Notify>>>,
    /// Told when a journal file was begun: maintenance has something to do.
    pub rolled: Notify,
    /// Footers of segments read lately.
    footers: Mutex<HashMap<Arc<str>, Arc<Vec<Part>>>>,
}

impl Shared {
    pub fn new(state: State, tail_cache_bytes: usize) -> Shared {
        Shared {
            state: RwLock::new(state),
            cache: Mutex::new(TailCache::new(tail_cache_bytes)),
            followers: Mutex::new(Vec::new()),
            waiters: Mutex::new(HashMap::new()),
            rolled: Notify::new(),
            footers: Mutex::new(HashMap::new()),
        }
    }

    /// Shows a group that is on stable storage: `apply` moves the high watermarks, then the followers see it, then
    /// who waits is woken.
    pub fn publish(&self, group: &[(PartitionKey, Committed)], apply: impl FnOnce(&mut State)) {
        let batches: Vec<Committed> = group.iter().map(|(_, committed)| committed.clone()).collect();
        {
            let followers = self.followers.lock();
            apply(&mut self.state.write());
            {
                let mut cache = self.cache.lock();
                for (partition, committed) in group {
                    cache.insert(*partition, committed);
                }
            }
            if !batches.is_empty() {
                for follower in followers.iter() {
                    follower.committed(&batches);
                }
            }
        }
        let mut waiters = self.waiters.lock();
        for (partition, _) in group {
            if let Some(waiter) = waiters.remove(partition) {
                waiter.notify_waiters();
            }
        }
    }

    /// A segment's footer.
    pub async fn footer(&self, files: &Files, key: &Arc<str>) -> Result<Arc<Vec<Part>>, SegmentError> {
        if let Some(parts) = self.footers.lock().get(key) {
            return Ok(Arc::clone(parts));
        }
        let parts = Arc::new(read_footer(files, key).await?);
        let mut footers = self.footers.lock();
        if footers.len() >= FOOTERS_MAX {
            footers.clear();
        }
        footers.insert(Arc::clone(key), Arc::clone(&parts));
        Ok(parts)
    }

    /// Something to wait on for more of a partition. Look at the high watermark after taking it.
    pub fn waiter(&self, partition: PartitionKey) -> Arc<Notify> {
        Arc::clone(self.waiters.lock().entry(partition).or_default())
    }

    /// Wakes everybody, as the log closes.
    pub fn wake_all(&self) {
        for (_, waiter) in self.waiters.lock().drain() {
            waiter.notify_waiters();
        }
    }
}
