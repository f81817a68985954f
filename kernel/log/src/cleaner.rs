//! Compaction by key (`cleanup.policy=compact`): of each key a topic of streams keeps the last record.
//!
//! A pass reads the part of a partition that came since the last pass and remembers the last offset of each key in
//! bounded memory ([`keys`]); then it reads the partition from its beginning and writes anew what stays ([`pass`]).
//! Where the keys do not fit, the pass ends before the batch that did not, and the next one goes on there. What is
//! written lies in files of its own before it is found in place of what was read, in one step. Nothing beyond the last
//! stable offset is touched, nor what a consumer has not consumed, nor the active end: the open journal file, or in a
//! cluster segments whose commit may still be repeated. Offsets never move; what goes leaves a gap.
//!
//! The rules are those of Apache Kafka's `LogCleaner` (with KIP-534): a tombstone, and the marker of a transaction of
//! which nothing is left, get a time at which they may go when a pass first finds them so; a producer's last batch
//! stays, without records, as does the last batch that a pass sees, so that a reader gets past it. The trade-off
//! refused is rewriting a part of a partition: a pass costs a read and a write of all of it, which the dirty ratio
//! bounds.

mod keys;
mod local;
mod pass;

use candor_model::Timestamp;

use crate::{Log, Topic};

pub(crate) use keys::KEYS_MAX;
pub(crate) use local::{note, sparse};
pub(crate) use pass::{Done, Job, Store, run};

/// How a topic of streams is compacted by key.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Compaction {
    /// So long a record stays whatever comes after it, milliseconds (`min.compaction.lag.ms`).
    pub lag_min_ms: u64,
    /// After so long a record is compacted whatever the dirty ratio, milliseconds (`max.compaction.lag.ms`).
    pub lag_max_ms: u64,
    /// Which part of the bytes must have come since the last pass, 0 to 1 (`min.cleanable.dirty.ratio`).
    pub dirty_ratio_min: f64,
    /// So long a tombstone stays after a pass found it, milliseconds (`delete.retention.ms`).
    pub delete_retention_ms: u64,
    /// After so long what came last is no active end any more, milliseconds (`segment.ms`).
    pub segment_ms: u64,
}

impl Default for Compaction {
    /// As with Kafka.
    fn default() -> Compaction {
        Compaction {
            lag_min_ms: 0,
            lag_max_ms: i64::MAX as u64,
            dirty_ratio_min: 0.5,
            delete_retention_ms: 24 * 3600 * 1000,
            segment_ms: 7 * 24 * 3600 * 1000,
        }
    }
}

impl Log {
    /// Says how a topic of streams is compacted by key from now on, or that it is not. To be said anew after each
    /// start; until then it is not.
    pub fn set_compaction(&self, topic: &Topic, compaction: Option<Compaction>) {
        {
            let mut state = self.inner.shared.state.write();
            match compaction {
                Some(compaction) => state.compaction.insert(topic.clone(), compaction),
                None => state.compaction.remove(topic),
            };
        }
        self.inner.shared.rolled.notify_one();
    }
}

/// How far a partition is compacted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Cleaned {
    /// The first offset that no pass has seen. Were it forgotten, a pass would begin with the first of all.
    pub to: u64,
    /// When the first tombstone or marker below it may go, milliseconds since 1970.
    pub horizon: Option<i64>,
}

/// Batches that lie together, as far as it matters for whether to compact them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Held {
    pub end: u64,
    pub bytes: u64,
    /// Microseconds.
    pub first_ingested: i64,
    pub last_ingested: i64,
}

pub(crate) fn micros(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX).saturating_mul(1000)
}

/// Of what may be compacted of a partition, in offset order, how much is due: up to which offset. None where nothing
/// is.
pub(crate) fn due(
    compaction: &Compaction,
    cleaned: Cleaned,
    held: impl IntoIterator<Item = Held>,
    now: Timestamp,
) -> Option<u64> {
    let youngest = now.0.saturating_sub(micros(compaction.lag_min_ms));
    let (mut clean, mut dirty) = (0_u64, 0_u64);
    let (mut until, mut dirty_since) = (None, None);
    for run in held {
        if run.end <= cleaned.to {
            clean += run.bytes;
        } else if run.last_ingested > youngest {
            break;
        } else {
            dirty += run.bytes;
            dirty_since.get_or_insert(run.first_ingested);
        }
        until = Some(run.end);
    }
    let overdue = now.0.saturating_sub(micros(compaction.lag_max_ms));
    let is_overdue = dirty_since.is_some_and(|since| since < overdue);
    let is_dirty = dirty > 0 && dirty as f64 / (clean + dirty) as f64 > compaction.dirty_ratio_min;
    let has_expired = cleaned.horizon.is_some_and(|horizon| horizon <= now.0 / 1000);
    until.filter(|_| is_overdue || is_dirty || has_expired)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_is_due_by_ratio_lag_and_horizon() {
        let second = Timestamp::SECOND;
        let run = |end, at| Held { end, bytes: 100, first_ingested: at * second, last_ingested: at * second };
        let held = [run(10, 10), run(20, 20), run(30, 30)];
        let compaction = Compaction { delete_retention_ms: 0, ..Compaction::default() };
        let at = |compaction: &Compaction, to, horizon, now| {
            due(compaction, Cleaned { to, horizon }, held, Timestamp(now * second))
        };
        // All is dirty, two thirds, one third, nothing.
        assert_eq!(at(&compaction, 0, None, 40), Some(30));
        assert_eq!(at(&compaction, 10, None, 40), Some(30));
        assert_eq!(at(&compaction, 20, None, 40), None);
        assert_eq!(at(&compaction, 30, None, 40), None);
        assert_eq!(at(&Compaction { dirty_ratio_min: 0.0, ..compaction }, 20, None, 40), Some(30));
        assert_eq!(at(&Compaction { dirty_ratio_min: 0.0, ..compaction }, 30, None, 40), None);
        // What is young stays out of it.
        assert_eq!(at(&Compaction { lag_min_ms: 15_000, ..compaction }, 0, None, 40), Some(20));
        assert_eq!(at(&Compaction { lag_min_ms: 15_000, ..compaction }, 20, None, 40), None);
        assert_eq!(at(&Compaction { lag_min_ms: 10_000, ..compaction }, 0, None, 40), Some(30));
        // What is old does not wait for the ratio.
        assert_eq!(at(&Compaction { lag_max_ms: 10_000, ..compaction }, 20, None, 40), None);
        assert_eq!(at(&Compaction { lag_max_ms: 9_000, ..compaction }, 20, None, 40), Some(30));
        // A tombstone's time has come.
        assert_eq!(at(&compaction, 30, Some(40_001), 40), None);
        assert_eq!(at(&compaction, 30, Some(40_000), 40), Some(30));
        assert_eq!(due(&compaction, Cleaned { to: 0, horizon: Some(0) }, [], Timestamp(0)), None);
    }
}
