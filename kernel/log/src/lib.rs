//! The durable log: topics, partitions, offsets; acknowledged when on stable storage.
//!
//! One thread commits: it takes all appends that wait, settles their offsets, writes them to the journal with one
//! sync, shows them to followers and readers, and acknowledges them. What was acknowledged is on stable storage;
//! data is durable before its offset is visible; offsets never repeat and never move; no reader passes the high
//! watermark.
//!
//! The trade-off refused: an index in a database on the way of an append. Where batches lie is known in memory and
//! rebuilt from a checkpoint and the journal's tail, so that an append costs one write and one sync.

#[cfg(test)]
mod basics;
mod batch;
pub mod blobs;
mod cache;
mod checkpoint;
mod cleaner;
mod cluster;
mod committer;
#[cfg(test)]
mod conformance;
pub mod driven;
mod floors;
mod held;
pub mod ingest;
pub mod inspect;
mod journal;
mod maintenance;
mod mutant;
mod open;
pub mod options;
mod plan;
mod producers;
mod queue;
mod reader;
mod rewrite;
mod segment;
mod shared;
#[cfg(test)]
mod sim;
mod state;
mod stream_reads;
mod stream_upkeep;
mod streams;
#[cfg(test)]
mod testing;
mod window;
mod wire;

pub use blobs::{Blobs, StoredBlob};
pub use cleaner::Compaction;
pub use floors::FloorError;
pub use held::{Ends, Held, ReadBatch};
pub use ingest::{Ingest, Kept, Receipt};
pub use options::{ClusterOptions, Consumer, FailStop, Limits, LogOptions, OpenError};
pub use producers::Rejected;
pub use stream_upkeep::{DeleteError, Retention};
pub use streams::{Aborted, ActiveProducer};

use batch::Batch;
use cluster::Cluster;
use queue::{Answers, Queue, Request};
use reader::Reader;
use shared::Shared;

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use candor_gate::{Admitted, StreamSubjects};
use candor_model::{Offset, Partition, PolicyEpoch, ProjectId, RequestId, Timestamp, TopicName};
use candor_store::Files;
use tokio::sync::oneshot;

/// A topic of a project.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Topic {
    /// The project.
    pub project: ProjectId,
    /// The name in it.
    pub name: TopicName,
}

/// Why an append was not acknowledged. Nothing of it will be read, but see `Unavailable`.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AppendError {
    /// No space left (the reserve is kept): answer 503 with Retry-After.
    #[error("no space left")]
    Full,
    /// Too much waits already: answer 429 or 503 with Retry-After.
    #[error("overloaded")]
    Overloaded,
    /// The database or object store is lost for now: answer 503 with Retry-After. In a cluster the answer of a
    /// commit may have been lost: then it is stored nevertheless, once.
    #[error("storage is unreachable")]
    Unavailable,
    /// The log is shutting down.
    #[error("shutting down")]
    Closed,
    /// A batch that cannot be taken as it is. Of a signal it is only ever [`Rejected::Outdated`].
    #[error(transparent)]
    Rejected(#[from] Rejected),
}

impl AppendError {
    /// True where the policy changed between gate and log: nothing of it is stored, and whoever still has what came
    /// clears it again.
    pub fn is_outdated(&self) -> bool {
        matches!(self, AppendError::Rejected(Rejected::Outdated))
    }
}

/// Where an acknowledged batch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// The offset of its first record.
    pub base: Offset,
    /// How many records.
    pub count: u32,
    /// It had been stored before under its request id, or its producer's sequence numbers; nothing was written now.
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
    /// How many offsets it takes: its records, and those that compaction dropped.
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
    /// Whom the records of a stream's batch are about.
    pub subjects: StreamSubjects,
}

/// Sees every committed batch in offset order, after it is on stable storage and before it is acknowledged.
/// Must be quick: it runs on the log's own thread.
pub trait Follower: Send + Sync {
    /// A segment was committed.
    fn committed(&self, batches: &[Committed]);
}

/// The log. Cheap to clone; the last clone dropped stops its thread.
#[derive(Clone)]
pub struct Log {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    files: Arc<Files>,
    queue: Arc<Queue>,
    stopped: tokio::sync::watch::Receiver<bool>,
    /// Where the log is that of a cluster.
    cluster: Option<Cluster>,
    /// See [`Reader::blocking_threads`].
    blocking_threads: bool,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.queue.close(AppendError::Closed);
    }
}

impl Log {
    /// Opens the log in a data directory: reads the checkpoint and the journal's tail, cuts a torn end, and starts
    /// the journal's thread.
    pub async fn open(options: LogOptions) -> Result<Log, OpenError> {
        open::open(options).await
    }

    /// Opens the log of a cluster as one of its nodes: segments in object storage, order from a database.
    pub async fn open_cluster(options: ClusterOptions) -> Result<Log, OpenError> {
        cluster::open(options).await
    }

    /// Appends batches in one segment: all are acknowledged or none. Waits until they are on stable storage.
    pub async fn append(&self, batches: Vec<Admitted>) -> Result<Vec<Appended>, AppendError> {
        self.append_batches(batches.iter().map(Batch::new).collect()).await
    }

    /// Appends batches under one sync where it can be, each by itself: one that is refused does not keep the others.
    ///
    /// Their turn among all appends is settled when this returns. The future gives what became of each, in their order,
    /// once all that were taken are on stable storage.
    pub fn append_each(
        &self,
        batches: Vec<Admitted>,
    ) -> impl Future<Output = Vec<Result<Appended, AppendError>>> + Send + use<> {
        self.append_each_batch(batches.iter().map(Batch::new).collect())
    }

    fn append_each_batch(
        &self,
        batches: Vec<Batch>,
    ) -> impl Future<Output = Vec<Result<Appended, AppendError>>> + Send + use<> {
        let count = batches.len();
        let submitted = self.submit(batches, true);
        async move {
            match submitted {
                Ok(answer) => answer.await.unwrap_or(Err(AppendError::Unavailable)),
                Err(error) => Err(error),
            }
            .unwrap_or_else(|error| vec![Err(error); count])
        }
    }

    async fn append_batches(&self, batches: Vec<Batch>) -> Result<Vec<Appended>, AppendError> {
        self.submit(batches, false)?.await.unwrap_or(Err(AppendError::Unavailable))?.into_iter().collect()
    }

    /// Queues batches: from now on they have their turn.
    fn submit(&self, batches: Vec<Batch>, each: bool) -> Result<oneshot::Receiver<Answers>, AppendError> {
        let (reply, answer) = oneshot::channel();
        if batches.is_empty() {
            let _ = reply.send(Ok(Vec::new()));
            return Ok(answer);
        }
        if self.inner.cluster.is_some()
            && !each
            && batches.len() > 1
            && batches.iter().any(|batch| batch.topic.name.signal().is_none())
        {
            return Err(Rejected::AllOrNone.into());
        }
        if let Some(cluster) = &self.inner.cluster
            && batches.iter().any(|batch| cluster.node.is_behind(&batch.topic, batch.partition))
        {
            return Err(AppendError::Unavailable);
        }
        self.inner.queue.push(Request { batches, each, reply })?;
        Ok(answer)
    }

    /// Adds a follower; it sees what is committed from now on. Gives the high watermark of every topic at that
    /// moment, so that the follower can read what came before. Not to be called by a follower.
    pub fn follow(&self, follower: Arc<dyn Follower>) -> Vec<(Topic, Partition, Offset)> {
        let mut followers = self.inner.shared.followers.lock();
        followers.push(follower);
        let state = self.inner.shared.state.read();
        let held = state.partitions.iter().filter(|partition| partition.end > 0 && !partition.deleted);
        held.map(|held| (held.topic.clone(), held.partition, Offset(held.end))).collect()
    }

    /// The first offset that is not committed yet, 0 for an unknown topic.
    pub fn high_watermark(&self, topic: &Topic, partition: Partition) -> Offset {
        let state = self.inner.shared.state.read();
        Offset(state.find_named(topic, partition).map_or(0, |partition| partition.end))
    }

    /// The oldest offset that is still held.
    pub fn log_start(&self, topic: &Topic, partition: Partition) -> Offset {
        let state = self.inner.shared.state.read();
        Offset(state.find_named(topic, partition).map_or(0, |partition| partition.start))
    }

    /// Topics of a project, or of all, sorted.
    pub fn topics(&self, project: Option<ProjectId>) -> Vec<Topic> {
        let mut topics = self.inner.shared.state.read().topics();
        topics.retain(|topic| project.is_none_or(|project| topic.project == project));
        topics
    }

    /// Batches from `from` on, at most about `max_bytes` (at least one batch where there is one). The first may
    /// begin before `from`, which lies within it, or after it, where records were erased.
    pub async fn read(
        &self,
        topic: &Topic,
        partition: Partition,
        from: Offset,
        max_bytes: usize,
    ) -> Result<Vec<Committed>, ReadError> {
        if let Some(cluster) = &self.inner.cluster {
            return cluster.node.read(topic, partition, from.0, max_bytes).await;
        }
        let Inner { shared, files, blocking_threads, .. } = &*self.inner;
        let reader = Reader { shared, files, blocking_threads: *blocking_threads };
        reader.read(topic, partition, from.0, max_bytes).await
    }

    /// Waits until the high watermark passes `from`, or the timeout.
    pub async fn wait(
        &self,
        topic: &Topic,
        partition: Partition,
        from: Offset,
        timeout: std::time::Duration,
    ) {
        self.wait_for(&[(topic, partition, from)], timeout).await;
    }

    /// A consumer says how far it has come durably; what it has not consumed is not trimmed.
    pub fn consumed(&self, consumer: &'static str, topic: &Topic, partition: Partition, next: Offset) {
        let mut state = self.inner.shared.state.write();
        let key = state.intern(topic, partition);
        let Some(held) = state.get_mut(key) else { return };
        match held.consumed.iter_mut().find(|(name, _)| *name == consumer) {
            Some((_, position)) => *position = next.0.max(*position),
            None => held.consumed.push((consumer, next.0)),
        }
    }

    /// Lets go of all that a deleted project has in the log, whoever has not consumed it. It cannot be read from now
    /// on; files that hold it beside what is others' are written anew behind this: within seconds in the journal,
    /// within half an hour in a cluster.
    ///
    /// An error says that a cluster's database did not take it; it is to be called again.
    pub async fn forget(&self, project: ProjectId) -> Result<(), ForgetError> {
        self.inner.shared.state.write().forget(project);
        self.inner.shared.rolled.notify_one();
        match &self.inner.cluster {
            Some(cluster) => cluster.forget(project).await,
            None => Ok(()),
        }
    }

    /// Partitions of which committed rows cannot be read back to be shown; appends to them are refused. Only in a
    /// cluster there may be any.
    pub fn behind(&self) -> usize {
        self.inner.cluster.as_ref().map_or(0, |cluster| cluster.node.behind())
    }

    /// The attachments that records name.
    pub fn blobs(&self) -> Blobs {
        Blobs::new(Arc::clone(&self.inner.files))
    }

    /// Commits what waits and stops; later appends are refused.
    pub async fn close(&self) {
        self.inner.queue.close(AppendError::Closed);
        let mut stopped = self.inner.stopped.clone();
        // An error means that the thread is gone already.
        let _ = stopped.wait_for(|stopped| *stopped).await;
    }
}

/// A project's batches stay for now.
#[derive(Debug, thiserror::Error)]
#[error("the log's database did not let go of the project")]
pub struct ForgetError(#[source] Box<dyn std::error::Error + Send + Sync>);

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
