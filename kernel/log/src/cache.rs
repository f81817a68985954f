//! The tail cache: the newest batches, for readers that keep up, within a budget of bytes.

use std::collections::{HashMap, VecDeque};

use crate::Committed;
use crate::batch::vault_weight;
use crate::state::PartitionKey;

/// What a cached batch takes beside its bytes.
const OVERHEAD_BYTES: usize = 256;

/// Recent batches by partition; each partition's are without gaps up to its newest.
pub(crate) struct TailCache {
    budget: usize,
    bytes: usize,
    batches: HashMap<PartitionKey, VecDeque<Committed>>,
    /// Which partition's oldest batch goes next.
    order: VecDeque<PartitionKey>,
}

fn weight(batch: &Committed) -> usize {
    batch.batch.len() + batch.subjects.as_bytes().len() + vault_weight(&batch.vault) + OVERHEAD_BYTES
}

impl TailCache {
    pub fn new(budget: usize) -> TailCache {
        TailCache { budget, bytes: 0, batches: HashMap::new(), order: VecDeque::new() }
    }

    pub fn insert(&mut self, partition: PartitionKey, batch: &Committed) {
        // Rows are ten times their encoded form; who wants them parsed followed the log.
        let batch = Committed { rows: None, ..batch.clone() };
        self.bytes += weight(&batch);
        self.batches.entry(partition).or_default().push_back(batch);
        self.order.push_back(partition);
        while self.bytes > self.budget {
            let Some(partition) = self.order.pop_front() else { break };
            let Some(batches) = self.batches.get_mut(&partition) else { continue };
            if let Some(gone) = batches.pop_front() {
                self.bytes -= weight(&gone);
            }
            if batches.is_empty() {
                self.batches.remove(&partition);
            }
        }
    }

    /// Forgets a partition's batches that begin before an offset: what is stored is not the same any more.
    pub fn forget(&mut self, partition: PartitionKey, before: u64) {
        let Some(batches) = self.batches.get_mut(&partition) else { return };
        let count = batches.partition_point(|batch| batch.base.0 < before);
        self.bytes -= batches.drain(..count).map(|batch| weight(&batch)).sum::<usize>();
        if batches.is_empty() {
            self.batches.remove(&partition);
        }
        let mut left = count;
        self.order.retain(|of| {
            let goes = left > 0 && *of == partition;
            left -= usize::from(goes);
            !goes
        });
    }

    /// What is wanted of batches from `from` on that begin before `until`, where the cache has it: at least one, and no
    /// more than about `max_bytes`. None where it has none.
    pub fn read<T>(
        &self,
        partition: PartitionKey,
        from: u64,
        until: u64,
        max_bytes: usize,
        own: impl Fn(&Committed) -> T,
    ) -> Option<Vec<T>> {
        let batches = self.batches.get(&partition)?;
        let end = |batch: &Committed| batch.base.0 + u64::from(batch.count);
        let first = batches.partition_point(|batch| end(batch) <= from);
        if batches.front()?.base.0 > from {
            return None;
        }
        let mut bytes = 0;
        let mut found = Vec::new();
        for batch in batches.iter().skip(first) {
            bytes += batch.batch.len();
            if batch.base.0 >= until || (!found.is_empty() && bytes > max_bytes) {
                break;
            }
            found.push(own(batch));
        }
        (!found.is_empty()).then_some(found)
    }
}
