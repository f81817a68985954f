//! What the journal's thread, readers and maintenance share.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};
use tokio::sync::{Notify, oneshot};

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
    /// Who waits for more, by partition and number of the wait.
    waiters: Mutex<HashMap<PartitionKey, HashMap<u64, Arc<Notify>>>>,
    /// Waits so far.
    waits: AtomicU64,
    /// Who waits until what was changed last is in a checkpoint.
    pub checkpoint_asked: Mutex<Vec<oneshot::Sender<()>>>,
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
            waits: AtomicU64::new(0),
            checkpoint_asked: Mutex::new(Vec::new()),
            rolled: Notify::new(),
            footers: Mutex::new(HashMap::new()),
        }
    }

    /// Shows a group that is on stable storage, batches and their partitions: `apply` moves the high watermarks, then
    /// the followers see it, then who waits is woken.
    pub fn publish(&self, keys: &[PartitionKey], batches: &[Committed], apply: impl FnOnce(&mut State)) {
        {
            let followers = self.followers.lock();
            apply(&mut self.state.write());
            {
                let mut cache = self.cache.lock();
                for (partition, committed) in keys.iter().zip(batches) {
                    cache.insert(*partition, committed);
                }
            }
            if !batches.is_empty() {
                for follower in followers.iter() {
                    follower.committed(batches);
                }
            }
        }
        self.wake(keys.iter().copied());
    }

    /// Wakes who waits for these partitions.
    pub fn wake(&self, partitions: impl Iterator<Item = PartitionKey>) {
        let waiters = self.waiters.lock();
        if waiters.is_empty() {
            return;
        }
        for partition in partitions {
            waiters
                .get(&partition)
                .into_iter()
                .flat_map(HashMap::values)
                .for_each(|waiter| waiter.notify_waiters());
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

    /// Something to wait on for more of any of these partitions, as long as it is kept.
    pub fn waiting(&self, partitions: Vec<PartitionKey>) -> Waiting<'_> {
        let number = self.waits.fetch_add(1, Ordering::Relaxed);
        let woken = Arc::new(Notify::new());
        let mut waiters = self.waiters.lock();
        for partition in &partitions {
            waiters.entry(*partition).or_default().insert(number, Arc::clone(&woken));
        }
        drop(waiters);
        Waiting { shared: self, partitions, number, woken }
    }

    /// Wakes everybody, as the log closes.
    pub fn wake_all(&self) {
        self.waiters.lock().values().flat_map(HashMap::values).for_each(|waiter| waiter.notify_waiters());
    }
}

/// A wait for more of some partitions. Take its `woken` and enable it before looking whether there is more: no wake is
/// missed then.
pub(crate) struct Waiting<'a> {
    shared: &'a Shared,
    partitions: Vec<PartitionKey>,
    number: u64,
    pub woken: Arc<Notify>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut waiters = self.shared.waiters.lock();
        for partition in &self.partitions {
            if let Some(of_it) = waiters.get_mut(partition) {
                of_it.remove(&self.number);
                if of_it.is_empty() {
                    waiters.remove(partition);
                }
            }
        }
    }
}
