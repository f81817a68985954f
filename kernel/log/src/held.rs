//! Partitions that a reader asks about again and again: found once, then looked at many at a time.
//!
//! Who reads a thousand partitions pays one look at what the log knows for all of them, not a search by name and a lock
//! for each.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use candor_gate::StreamSubjects;
use candor_model::{Offset, Partition};

use crate::reader::{Look, look_at};
use crate::state::{PartitionKey, PartitionState};
use crate::streams::{Aborted, header_of};
use crate::{Log, ReadError, Topic};

/// A partition that was found. It stands for the same one as long as the log is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Held(pub(crate) PartitionKey);

/// Where a partition begins and ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ends {
    /// The oldest offset that is held.
    pub start: Offset,
    /// The first offset that is not committed yet.
    pub high_watermark: Offset,
    /// The first offset that may belong to an open transaction.
    pub last_stable: Offset,
    /// The topic was deleted.
    pub is_deleted: bool,
}

/// A batch that was read, without what only the log asks about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadBatch {
    /// The offset of its first record.
    pub base: Offset,
    /// How many offsets it takes.
    pub count: u32,
    /// The encoded batch.
    pub batch: Bytes,
    /// Whom its records are about.
    pub subjects: StreamSubjects,
}

impl Log {
    /// Finds partitions of a topic. The caller knows that the topic has them: one that holds nothing yet is noted down.
    pub fn hold(&self, topic: &Topic, partitions: impl IntoIterator<Item = Partition>) -> Vec<Held> {
        let partitions: Vec<Partition> = partitions.into_iter().collect();
        let found: Vec<_> = {
            let state = self.inner.shared.state.read();
            partitions.iter().map(|partition| state.find(topic, *partition)).collect()
        };
        let found = found.into_iter().zip(&partitions).map(|(found, partition)| {
            Held(found.unwrap_or_else(|| self.inner.shared.state.write().intern(topic, *partition)))
        });
        found.collect()
    }

    /// Where partitions begin and end, all at one moment.
    pub fn ends(&self, of: impl IntoIterator<Item = Held>) -> Vec<Ends> {
        let state = self.inner.shared.state.read();
        let ends = |held: &PartitionState| Ends {
            start: Offset(held.start),
            high_watermark: Offset(held.end),
            last_stable: Offset(held.last_stable()),
            is_deleted: held.deleted,
        };
        of.into_iter().map(|held| state.get(held.0).map(ends).unwrap_or_default()).collect()
    }

    /// The same as [`Log::read`] for a partition that was found. Unless `takes_any`, nothing is read from the journal's
    /// disk where not even the first batch fits into `max_bytes`, and none is given.
    pub async fn read_held(
        &self,
        held: Held,
        from: Offset,
        max_bytes: usize,
        takes_any: bool,
    ) -> Result<Vec<ReadBatch>, ReadError> {
        let (topic, partition) = {
            let state = self.inner.shared.state.read();
            let own = |batch: &crate::Committed| ReadBatch {
                base: batch.base,
                count: batch.count,
                batch: batch.batch.clone(),
                subjects: batch.subjects.clone(),
            };
            match look_at(&self.inner.shared, &state, Some(held.0), from.0, max_bytes, own)? {
                Look::Batches(batches) => return Ok(batches),
                Look::Stored { .. } => {}
            }
            let Some(found) = state.get(held.0) else { return Ok(Vec::new()) };
            if !takes_any && found.journal_bytes_at(from.0).is_some_and(|bytes| bytes as usize > max_bytes) {
                return Ok(Vec::new());
            }
            (found.topic.clone(), found.partition)
        };
        let batches = self.read(&topic, partition, from, max_bytes).await?;
        let own = |batch: crate::Committed| ReadBatch {
            base: batch.base,
            count: batch.count,
            batch: batch.batch,
            subjects: batch.subjects,
        };
        Ok(batches.into_iter().map(own).collect())
    }

    /// The same as [`Log::aborted_among`] for batches of a partition that was found.
    pub fn aborted_in(&self, held: Held, batches: &[ReadBatch]) -> Vec<Aborted> {
        let state = self.inner.shared.state.read();
        let Some(found) = state.get(held.0) else { return Vec::new() };
        let each = batches.iter().map(|batch| (batch.base.0, batch.count, &batch.batch));
        aborted_among(found, each)
    }

    /// Waits until the high watermark of one of these partitions passes its offset, one of them begins behind it, or
    /// was deleted, or the timeout.
    pub async fn wait_held(&self, partitions: Vec<(Held, Offset)>, timeout: Duration) {
        let watched = partitions.into_iter().map(|(held, from)| (held.0, from.0)).collect();
        self.wait_watched(watched, timeout).await;
    }
}

/// Aborted transactions that batches of a partition, in order, hold something of. See [`Log::aborted_among`].
pub(crate) fn aborted_among<'a>(
    held: &PartitionState,
    batches: impl Iterator<Item = (u64, u32, &'a Bytes)> + Clone,
) -> Vec<Aborted> {
    let Some(stream) = held.stream.as_ref().filter(|stream| stream.has_aborted()) else { return Vec::new() };
    let Some((first, _, _)) = batches.clone().next() else { return Vec::new() };
    let to = batches.clone().last().map_or(first, |(base, count, _)| base + u64::from(count));
    let mut written: HashMap<i64, Vec<u64>> = HashMap::new();
    for (base, _, batch) in batches {
        let header = header_of(&held.topic, batch);
        if let Some(header) = header.filter(|header| header.is_transactional() && !header.is_control()) {
            written.entry(header.producer_id).or_default().push(base);
        }
    }
    let is_met = |(aborted, marker): &(Aborted, u64)| {
        let Some(bases) = written.get(&aborted.producer_id) else { return false };
        // In order, as they were read.
        let next = bases.partition_point(|base| *base < aborted.first_offset.0);
        bases.get(next).is_some_and(|base| base < marker)
    };
    let found = stream.aborted_to(first, to).into_iter().filter(is_met);
    found.map(|(aborted, _)| aborted).collect()
}
