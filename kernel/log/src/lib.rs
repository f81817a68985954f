//! The durable log: topics, partitions, offsets; acknowledged when on stable storage.

pub mod ingest;
pub mod options;

pub use ingest::{Ingest, Receipt};
pub use options::{Consumer, FailStop, Limits, LogOptions, OpenError};

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use candor_gate::Admitted;
use candor_model::{Offset, Partition, PolicyEpoch, ProjectId, RequestId, Timestamp, TopicName};

/// A topic of a project.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Topic {
    /// The project.
    pub project: ProjectId,
    /// The name in it.
    pub name: TopicName,
}

/// Why an append was not acknowledged. Nothing of it will be read, unless `Unknown`.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AppendError {
    /// No space left (the reserve is kept): answer 503 with Retry-After.
    #[error("no space left")]
    Full,
    /// Too much waits already: answer 429 or 503 with Retry-After.
    #[error("overloaded")]
    Overloaded,
    /// The database or object store is lost for now: answer 503 with Retry-After.
    #[error("storage is unreachable")]
    Unavailable,
    /// The log is shutting down.
    #[error("shutting down")]
    Closed,
}

/// Where an acknowledged batch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// The offset of its first record.
    pub base: Offset,
    /// How many records.
    pub count: u32,
    /// It had been stored before under its request id; nothing was written now.
    pub duplicate: bool,
}

/// A committed batch, as it is handed to followers and given to readers.
#[derive(Debug, Clone)]
pub struct Committed {
    /// The topic.
    pub topic: Topic,
    /// The partition.
    pub partition: Partition,
    /// The offset of its first record.
    pub base: Offset,
    /// How many records.
    pub count: u32,
    /// When the log took it; the arrival clock of retention.
    pub ingested_at: Timestamp,
    /// The policy it was cleared under.
    pub epoch: PolicyEpoch,
    /// Its request id.
    pub request: Option<RequestId>,
    /// The encoded batch.
    pub batch: Bytes,
    /// The parsed rows where they are at hand (straight from [`Admitted`]); readers of old data decode `batch`.
    pub rows: Option<RecordBatch>,
    /// What goes to the vault.
    pub vault: Vec<candor_keyring::VaultEntry>,
}

/// Sees every committed batch in offset order, after it is on stable storage and before it is acknowledged.
/// Must be quick: it runs on the log's own thread.
pub trait Follower: Send + Sync {
    /// A segment was committed.
    fn committed(&self, batches: &[Committed]);
}

/// The log. Cheap to clone.
#[derive(Clone)]
pub struct Log {}

impl Log {
    /// Opens the log in a data directory: reads the checkpoint and the journal's tail, cuts a torn end, and starts
    /// the journal's thread.
    pub async fn open(_options: LogOptions) -> Result<Log, OpenError> {
        todo!()
    }
    /// Appends batches in one segment: all are acknowledged or none. Waits until they are on stable storage.
    pub async fn append(&self, _batches: Vec<Admitted>) -> Result<Vec<Appended>, AppendError> {
        todo!()
    }
    /// Adds a follower; it sees what is committed from now on. Gives the high watermark of every topic at that
    /// moment, so that the follower can read what came before.
    pub fn follow(&self, _follower: Arc<dyn Follower>) -> Vec<(Topic, Partition, Offset)> {
        todo!()
    }
    /// The first offset that is not committed yet, 0 for an unknown topic.
    pub fn high_watermark(&self, _topic: &Topic, _partition: Partition) -> Offset {
        todo!()
    }
    /// The oldest offset that is still held.
    pub fn log_start(&self, _topic: &Topic, _partition: Partition) -> Offset {
        todo!()
    }
    /// Topics of a project, or of all.
    pub fn topics(&self, _project: Option<ProjectId>) -> Vec<Topic> {
        todo!()
    }
    /// Batches from `from` on, at most about `max_bytes` (at least one batch where there is one).
    pub async fn read(
        &self,
        _topic: &Topic,
        _partition: Partition,
        _from: Offset,
        _max_bytes: usize,
    ) -> Result<Vec<Committed>, ReadError> {
        todo!()
    }
    /// Waits until the high watermark passes `from`, or the timeout.
    pub async fn wait(
        &self,
        _topic: &Topic,
        _partition: Partition,
        _from: Offset,
        _timeout: std::time::Duration,
    ) {
        todo!()
    }
    /// A consumer says how far it has come durably; what it has not consumed is not trimmed.
    pub fn consumed(&self, _consumer: &'static str, _topic: &Topic, _partition: Partition, _next: Offset) {
        todo!()
    }
    /// Seals what is open and stops; later appends are refused.
    pub async fn close(&self) {
        todo!()
    }
}

/// Why a read failed.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The offset is below the start or beyond the high watermark.
    #[error("offset {asked} is out of range: {start} to {end}")]
    OutOfRange {
        /// What was asked for.
        asked: u64,
        /// The log start.
        start: u64,
        /// The high watermark.
        end: u64,
    },
    /// Stored bytes could not be read.
    #[error("cannot read the log")]
    Storage(#[source] Box<dyn std::error::Error + Send + Sync>),
}
