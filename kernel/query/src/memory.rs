//! Memory of queries: a bound for each and one for all together. Nothing spills.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion::common::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryLimit, MemoryPool, MemoryReservation};

/// The bound of all queries together.
#[derive(Debug)]
pub(crate) struct SharedMemory {
    limit: usize,
    used: AtomicUsize,
    /// What this is a part of.
    whole: Option<Arc<SharedMemory>>,
}

impl SharedMemory {
    /// A bound of `limit` bytes.
    pub(crate) fn new(limit: usize) -> Arc<SharedMemory> {
        Arc::new(SharedMemory { limit, used: AtomicUsize::new(0), whole: None })
    }

    /// A bound of `limit` bytes out of those of `whole`.
    pub(crate) fn part_of(whole: &Arc<SharedMemory>, limit: usize) -> Arc<SharedMemory> {
        Arc::new(SharedMemory { limit, used: AtomicUsize::new(0), whole: Some(Arc::clone(whole)) })
    }

    fn try_grow(&self, additional: usize) -> bool {
        if !take(&self.used, additional, self.limit) {
            return false;
        }
        let granted = self.whole.as_ref().is_none_or(|whole| whole.try_grow(additional));
        if !granted {
            self.used.fetch_sub(additional, Ordering::Relaxed);
        }
        granted
    }

    fn grow(&self, additional: usize) {
        self.used.fetch_add(additional, Ordering::Relaxed);
        if let Some(whole) = &self.whole {
            whole.grow(additional);
        }
    }

    fn shrink(&self, amount: usize) {
        self.used.fetch_sub(amount, Ordering::Relaxed);
        if let Some(whole) = &self.whole {
            whole.shrink(amount);
        }
    }

    /// Bytes that all queries hold now.
    #[cfg(test)]
    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }
}

/// One query's memory.
#[derive(Debug)]
pub(crate) struct QueryMemory {
    shared: Arc<SharedMemory>,
    limit: usize,
    used: AtomicUsize,
}

impl QueryMemory {
    /// A pool of at most `limit` bytes out of what all share.
    pub(crate) fn new(shared: Arc<SharedMemory>, limit: usize) -> Arc<QueryMemory> {
        Arc::new(QueryMemory { shared, limit, used: AtomicUsize::new(0) })
    }
}

fn take(counter: &AtomicUsize, amount: usize, limit: usize) -> bool {
    let taken = counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
        used.checked_add(amount).filter(|sum| *sum <= limit)
    });
    taken.is_ok()
}

impl MemoryPool for QueryMemory {
    fn name(&self) -> &str {
        "query"
    }

    fn grow(&self, _reservation: &MemoryReservation, additional: usize) {
        self.used.fetch_add(additional, Ordering::Relaxed);
        self.shared.grow(additional);
    }

    fn shrink(&self, _reservation: &MemoryReservation, shrink: usize) {
        self.used.fetch_sub(shrink, Ordering::Relaxed);
        self.shared.shrink(shrink);
    }

    fn try_grow(&self, _reservation: &MemoryReservation, additional: usize) -> Result<()> {
        if !take(&self.used, additional, self.limit) {
            return Err(DataFusionError::ResourcesExhausted("the query's bound of memory".to_owned()));
        }
        if !self.shared.try_grow(additional) {
            self.used.fetch_sub(additional, Ordering::Relaxed);
            return Err(DataFusionError::ResourcesExhausted("the bound of all queries' memory".to_owned()));
        }
        Ok(())
    }

    fn reserved(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.limit)
    }
}

impl fmt::Display for QueryMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "query memory: {} of {} bytes", self.reserved(), self.limit)
    }
}
