//! What a Fetch or a ListOffsets asks of a topic of streams beside its batches.

use std::time::Duration;

use candor_model::{Offset, Partition};
use candor_records::{Bounds, first_at_or_after, open};

use crate::held::aborted_among;
use crate::state::{PartitionKey, PartitionState, Place};
use crate::streams::{Aborted, ActiveProducer, greatest_timestamp, header_of};
use crate::{Committed, Log, ReadError, Topic};

/// How much is read at once to find a timestamp, bytes.
const SEARCH_BYTES: usize = 1 << 20;

/// What a batch that is searched may unfold to. What is larger was refused when it came.
pub(crate) const OPENED_MAX: Bounds = Bounds { bytes: 256 << 20, records: 1 << 24 };

impl Log {
    /// The first offset that may belong to an open transaction: where readers of what is committed stop. Without open
    /// transactions the high watermark, 0 for an unknown topic.
    pub fn last_stable_offset(&self, topic: &Topic, partition: Partition) -> Offset {
        let state = self.inner.shared.state.read();
        Offset(state.find_named(topic, partition).map_or(0, PartitionState::last_stable))
    }

    /// A topic's partitions, in order, and the last stable offset of each. None of one that was deleted.
    pub fn stable_ends(&self, topic: &Topic) -> Vec<(Partition, Offset)> {
        let state = self.inner.shared.state.read();
        let held = state.partitions_of(topic).filter(|held| !held.deleted);
        let mut ends: Vec<_> = held.map(|held| (held.partition, Offset(held.last_stable()))).collect();
        ends.sort_unstable();
        ends
    }

    /// Aborted transactions that have something from `from` to before `to`, by first offset: what a Fetch answer tells
    /// who reads what is committed (KIP-98).
    pub fn aborted(&self, topic: &Topic, partition: Partition, from: Offset, to: Offset) -> Vec<Aborted> {
        let state = self.inner.shared.state.read();
        let stream = state.find_named(topic, partition).and_then(|held| held.stream.as_ref());
        stream.map_or_else(Vec::new, |stream| stream.aborted(from.0, to.0))
    }

    /// Aborted transactions that batches, read from one partition, hold something of, by first offset. Others are not
    /// told of: where compaction left nothing of one, its marker may be gone as well, and a reader that skips until the
    /// marker would skip what is behind it.
    pub fn aborted_among(&self, batches: &[Committed]) -> Vec<Aborted> {
        let Some(first) = batches.first() else { return Vec::new() };
        let state = self.inner.shared.state.read();
        let Some(held) = state.find_named(&first.topic, first.partition) else { return Vec::new() };
        aborted_among(held, batches.iter().map(|batch| (batch.base.0, batch.count, &batch.batch)))
    }

    /// The producers that a partition remembers, by id, with the transactions that they have open there.
    pub fn producers(&self, topic: &Topic, partition: Partition) -> Vec<ActiveProducer> {
        let state = self.inner.shared.state.read();
        let stream = state.find_named(topic, partition).and_then(|held| held.stream.as_ref());
        stream.map_or_else(Vec::new, |stream| stream.active())
    }

    /// Waits until the high watermark of one of these partitions passes its offset, one of them begins behind it, or
    /// the timeout.
    ///
    /// A last stable offset moves only where something is appended, the end of a transaction at the least: who waits
    /// for that gives the high watermark that it saw.
    pub async fn wait_any(&self, partitions: &[(Topic, Partition, Offset)], timeout: Duration) {
        let named: Vec<_> =
            partitions.iter().map(|(topic, partition, from)| (topic, *partition, *from)).collect();
        self.wait_for(&named, timeout).await;
    }

    pub(crate) async fn wait_for(&self, partitions: &[(&Topic, Partition, Offset)], timeout: Duration) {
        self.wait_watched(self.keys_of(partitions), timeout).await;
    }

    pub(crate) async fn wait_watched(&self, watched: Vec<(PartitionKey, u64)>, timeout: Duration) {
        let shared = &self.inner.shared;
        let waiting = shared.waiting(watched.iter().map(|(key, _)| *key).collect());
        let deadline = tokio::time::Instant::now() + timeout;
        loop {
            let mut woken = std::pin::pin!(waiting.woken.notified());
            // From here on a wake is not missed, so the look below may not come too early.
            woken.as_mut().enable();
            let is_over = {
                let state = shared.state.read();
                let passes =
                    |held: &PartitionState, from: u64| held.end > from || held.start > from || held.deleted;
                watched.iter().any(|(key, from)| state.get(*key).is_some_and(|held| passes(held, *from)))
            };
            if is_over || *self.inner.stopped.borrow() {
                return;
            }
            if tokio::time::timeout_at(deadline, woken).await.is_err() {
                return;
            }
        }
    }

    fn keys_of(&self, partitions: &[(&Topic, Partition, Offset)]) -> Vec<(PartitionKey, u64)> {
        let known: Vec<_> = {
            let state = self.inner.shared.state.read();
            partitions.iter().map(|(topic, partition, _)| state.find(topic, *partition)).collect()
        };
        let keyed = known.into_iter().zip(partitions).map(|(known, (topic, partition, from))| {
            let key = known.unwrap_or_else(|| self.inner.shared.state.write().intern(topic, *partition));
            (key, from.0)
        });
        keyed.collect()
    }

    /// The first record of a stream whose timestamp is `timestamp` or later (milliseconds since 1970): its offset and
    /// its timestamp. None where there is none.
    pub async fn offset_for_timestamp(
        &self,
        topic: &Topic,
        partition: Partition,
        timestamp: i64,
    ) -> Result<Option<(Offset, i64)>, ReadError> {
        let start = self.log_start(topic, partition).0;
        let mut from = start;
        while let Some(at) = self.next_with(topic, partition, from, timestamp).await? {
            let batches = self.read(topic, partition, Offset(at), SEARCH_BYTES).await?;
            let Some(last) = batches.last() else { break };
            from = last.base.0 + u64::from(last.count);
            for batch in &batches {
                if let Some(found) = find_in(batch, timestamp, start)? {
                    return Ok(Some(found));
                }
            }
        }
        Ok(None)
    }

    /// The first record of a stream with the greatest timestamp: its offset and its timestamp, milliseconds since 1970.
    /// None where no record has one.
    pub async fn max_timestamp(
        &self,
        topic: &Topic,
        partition: Partition,
    ) -> Result<Option<(Offset, i64)>, ReadError> {
        let start = self.log_start(topic, partition).0;
        let (mut greatest, unknown_to) = match &self.inner.cluster {
            Some(cluster) => {
                let known = cluster.sequencer.known_greatest(topic, partition, start).await;
                known.map_err(|error| ReadError::Storage(Box::new(error)))?
            }
            None => self.known_greatest(topic, partition, start),
        };
        let mut from = start;
        while from < unknown_to {
            let batches = self.read(topic, partition, Offset(from), SEARCH_BYTES).await?;
            let Some(last) = batches.last() else { break };
            from = last.base.0 + u64::from(last.count);
            for batch in &batches {
                greatest = greatest.max(greatest_in(batch, start)?);
            }
        }
        match greatest {
            0.. => self.offset_for_timestamp(topic, partition, greatest).await,
            _ => Ok(None),
        }
    }

    /// The greatest timestamp from an offset on, as far as it is known without reading, and up to where it is not: of
    /// batches that lie together with some that were deleted.
    fn known_greatest(&self, topic: &Topic, partition: Partition, start: u64) -> (i64, u64) {
        let state = self.inner.shared.state.read();
        let Some(held) = state.find_named(topic, partition) else { return (-1, 0) };
        let (mut greatest, mut unknown_to) = (-1, 0);
        for chunk in held.chunks.range(held.chunk_at(start)..) {
            match &chunk.place {
                _ if chunk.base >= start => greatest = greatest.max(chunk.max_timestamp),
                Place::Journal { entries, .. } => {
                    for entry in entries.iter() {
                        match entry.base >= start {
                            true => greatest = greatest.max(entry.max_timestamp),
                            false => unknown_to = entry.base + u64::from(entry.count),
                        }
                    }
                }
                Place::History { .. } => unknown_to = chunk.end,
            }
        }
        (greatest, unknown_to)
    }

    /// Where to read on for a record with that timestamp: from the batch that may hold it, or from where a run of
    /// batches begins of which one does.
    async fn next_with(
        &self,
        topic: &Topic,
        partition: Partition,
        from: u64,
        timestamp: i64,
    ) -> Result<Option<u64>, ReadError> {
        match &self.inner.cluster {
            Some(cluster) => {
                let next = cluster.sequencer.next_with(topic, partition, from, timestamp).await;
                // What is committed and not shown here yet waits.
                let end = self.high_watermark(topic, partition).0;
                let next = next.map_err(|error| ReadError::Storage(Box::new(error)))?;
                Ok(next.filter(|next| *next < end))
            }
            None => Ok(self.known_next_with(topic, partition, from, timestamp)),
        }
    }

    fn known_next_with(&self, topic: &Topic, partition: Partition, from: u64, timestamp: i64) -> Option<u64> {
        let state = self.inner.shared.state.read();
        let held = state.find_named(topic, partition)?;
        let mut chunks = held.chunks.range(held.chunk_at(from)..);
        chunks.find_map(|chunk| match &chunk.place {
            _ if chunk.max_timestamp < timestamp => None,
            Place::Journal { entries, .. } => {
                let mut later = entries.iter().filter(|entry| entry.base + u64::from(entry.count) > from);
                later.find(|entry| entry.max_timestamp >= timestamp).map(|entry| entry.base.max(from))
            }
            Place::History { .. } => Some(chunk.base.max(from)),
        })
    }
}

/// The greatest timestamp of a batch's records from `start` on, -1 without any.
fn greatest_in(batch: &Committed, start: u64) -> Result<i64, ReadError> {
    if batch.base.0 >= start {
        return Ok(greatest_timestamp(batch));
    }
    let mut greatest = -1;
    let mut from = start;
    // Each one that is found is later than the one before.
    while let Some((offset, timestamp)) = find_in(batch, greatest + 1, from)? {
        (greatest, from) = (timestamp, offset.0 + 1);
    }
    Ok(greatest)
}

fn find_in(batch: &Committed, timestamp: i64, start: u64) -> Result<Option<(Offset, i64)>, ReadError> {
    let header = header_of(&batch.topic, &batch.batch);
    let Some(header) = header.filter(|header| header.max_timestamp >= timestamp) else { return Ok(None) };
    let failed = |error| ReadError::Storage(Box::new(error));
    let opened = open(&batch.batch, OPENED_MAX).map_err(failed)?;
    // What the batch itself says of its place counts for nothing.
    let skipped = i64::try_from(start.saturating_sub(batch.base.0)).unwrap_or(i64::MAX);
    let first = header.base_offset.wrapping_add(skipped);
    let found = first_at_or_after(&opened, timestamp, first).map_err(failed)?;
    Ok(found.map(|found| {
        let within = u64::try_from(found.offset.wrapping_sub(header.base_offset)).unwrap_or(0);
        (Offset(batch.base.0 + within), found.timestamp)
    }))
}
