//! Topics of streams as tables.
//!
//! What the log has of a topic and no file is the table's tail, and it stays in the log: nothing of it is opened on the
//! way of an acknowledgement. A query has its partitions read on, from where they are published to their last stable
//! offset, before it is pinned; so it sees every record that was acknowledged before it, of transactions those that
//! were committed. What it had read is kept for the next one as long as there is room: a cache, bounded, that nobody
//! misses. Upkeep publishes as for signals, reading the same way.
//!
//! The trade-off refused: rows made as records come. A producer of a hundred megabytes a second would pay for tables
//! that nobody asks for yet, or be slowed to their pace.

pub(crate) mod columns;
mod follow;
pub(crate) mod piece;
mod pin;
mod rows;
mod tend;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use candor_gate::ValuesMode;
use candor_model::{ProjectId, Timestamp, TopicName, Value};

/// A topic whose records are a table.
#[derive(Debug, Clone)]
pub struct StreamTopic {
    /// The name that clients and queries use.
    pub name: Arc<str>,
    /// What the log calls it. A topic that was deleted and made again has another.
    pub topic: TopicName,
    /// How its values may be opened (`candor.values`).
    pub values: ValuesMode,
    /// How long rows are kept after the log took them, milliseconds; none for ever.
    pub retention_ms: Option<u64>,
    /// How long after the log took them records are compacted by key at the earliest, milliseconds, but for what else
    /// that waits for; none where they are not.
    pub compact_after_ms: Option<u64>,
    /// What the log keeps of a partition, bytes; none for all. Rows that are in files stay.
    pub retention_bytes: Option<u64>,
}

/// What topics there are. Answers from memory.
pub trait StreamTables: Send + Sync {
    /// A project's topics, sorted by name, without those of signals.
    fn topics(&self, project: ProjectId) -> Vec<StreamTopic>;
    /// The topic that has this name now.
    fn topic(&self, project: ProjectId, name: &str) -> Option<StreamTopic>;
    /// The topic that the log calls so; none once it was deleted.
    fn in_log(&self, project: ProjectId, topic: &TopicName) -> Option<StreamTopic>;
}

/// Values that name a schema, opened.
pub trait ValueDecoder: Send + Sync {
    /// What a value says that begins with a zero and the id of its schema (the Confluent wire format); none where that is
    /// not known or does not fit, which leaves the value as it is. `topic` is the log's name. May block for as long as
    /// reading a schema takes.
    fn decode(&self, project: ProjectId, topic: &TopicName, value: &[u8]) -> Option<Value>;
}

/// What the lake knows of streams beside the log.
pub(crate) struct Streams {
    pub(crate) topics: Arc<dyn StreamTables>,
    pub(crate) decoder: Option<Arc<dyn ValueDecoder>>,
}

/// What of a table is in the log and not in files: since when, and about how much.
#[derive(Default)]
pub(crate) struct Lag {
    /// When the log took the first of it, µs; 0 without any.
    since: AtomicI64,
    bytes: AtomicU64,
    /// After a failure, when to try again, µs.
    rests_until: AtomicI64,
}

impl Lag {
    /// Notes what came.
    pub(crate) fn note(&self, at: Timestamp, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        // None waits where it is 0, so the first one counts.
        let _ = self.since.compare_exchange(0, at.0.max(1), Ordering::Relaxed, Ordering::Relaxed);
    }

    /// What there is.
    pub(crate) fn get(&self) -> Option<(Timestamp, u64)> {
        match self.since.load(Ordering::Relaxed) {
            0 => None,
            since => Some((Timestamp(since), self.bytes())),
        }
    }

    /// About how many bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// When to try again, µs.
    fn rests_until(&self) -> i64 {
        self.rests_until.load(Ordering::Relaxed)
    }

    fn rest_until(&self, at: i64) {
        self.rests_until.store(at, Ordering::Relaxed);
    }

    /// Takes it off: whoever does so reads all there is, or puts back what is left.
    fn take(&self) -> (i64, u64) {
        (self.since.swap(0, Ordering::Relaxed), self.bytes.swap(0, Ordering::Relaxed))
    }

    fn put_back(&self, (since, bytes): (i64, u64)) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        if since != 0 {
            self.since.store(since, Ordering::Relaxed);
        }
    }
}
