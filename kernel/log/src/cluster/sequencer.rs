//! The sequencer: gives segments their offsets, once each.

use std::sync::Arc;

use async_trait::async_trait;
use candor_model::{Partition, PolicyEpoch, RequestId, Timestamp};

use candor_records::Header;

use crate::streams::StreamState;
use crate::{Rejected, Topic};

/// A segment that is on stable storage and asks for offsets.
pub(crate) struct Proposal {
    /// Its name in the store: unique, and what tells a repeated commit.
    pub key: Arc<str>,
    pub bytes: u64,
    pub made_at: Timestamp,
    pub parts: Vec<ProposedPart>,
}

/// What a segment holds of a partition, batches in order.
pub(crate) struct ProposedPart {
    pub topic: Topic,
    pub partition: Partition,
    pub batches: Vec<ProposedBatch>,
}

/// A batch of a segment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ProposedBatch {
    /// Records of the same part before it.
    pub relative: u64,
    pub count: u32,
    /// Its stored form, bytes.
    pub bytes: u32,
    pub request: Option<RequestId>,
    /// The policy it was cleared under; of batches that are stored all or none the oldest of theirs.
    pub epoch: PolicyEpoch,
    /// Of a stream.
    pub stream: Option<ProposedStream>,
}

/// What a sequencer asks of a batch of a stream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ProposedStream {
    pub header: Header,
    /// It ends a transaction of which nothing is to be read.
    pub aborts: bool,
}

impl ProposedBatch {
    /// Where it comes from a producer that numbers what it sends.
    pub fn numbered(&self) -> Option<&ProposedStream> {
        self.stream.as_ref().filter(|stream| stream.header.has_producer())
    }

    /// The greatest of its records' timestamps, milliseconds; -1 where it is not of a stream.
    pub fn max_timestamp(&self) -> i64 {
        self.stream.map_or(-1, |stream| stream.header.max_timestamp)
    }
}

/// Where a batch went, or where its first try had gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sequenced {
    pub base: u64,
    pub count: u32,
    pub duplicate: bool,
}

/// What became of a batch.
pub(crate) type Outcome = Result<Sequenced, Rejected>;

/// Neighbouring batches of a partition that lie together in a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Run {
    pub base: u64,
    /// The offset after its last record.
    pub next: u64,
    pub segment: Arc<str>,
    /// The offset within the segment's part of what is at `base`.
    pub relative: u64,
}

/// What a partition holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub topic: Topic,
    pub partition: Partition,
    pub start: u64,
    pub next: u64,
}

/// Why the sequencer did not.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SequencerError {
    /// The database failed. Where the error is transient the outcome is unknown, and repeating is harmless.
    #[error("the sequencer failed")]
    Sql(#[from] candor_meta::SqlError),
    /// The segment came so late that it was taken for garbage.
    #[error("{0} was given up before it was committed")]
    GivenUp(Arc<str>),
    /// It did not answer in time. Then the outcome is unknown, too.
    #[error("the sequencer did not answer in time")]
    Silent,
    /// Another node holds the lease.
    #[error("another node holds the lease")]
    Fenced,
}

impl SequencerError {
    /// True where the same may pass later; and then the outcome is unknown.
    pub fn is_transient(&self) -> bool {
        match self {
            SequencerError::Sql(error) => error.is_transient(),
            SequencerError::Silent => true,
            SequencerError::GivenUp(_) | SequencerError::Fenced => false,
        }
    }
}

/// Gives out offsets and knows where they lie. Shared by all nodes.
#[async_trait]
pub(crate) trait Sequencer: Send + Sync {
    /// Commits a segment; by part and batch, where each went. Repeating it gives the same answer.
    async fn commit(&self, proposal: &Proposal) -> Result<Vec<Vec<Outcome>>, SequencerError>;

    /// Partitions that changed since, or all.
    async fn bounds(&self, since: Option<Timestamp>) -> Result<Vec<Bounds>, SequencerError>;

    /// All partitions, and the transactions of those of streams at the same moment.
    async fn learn(&self) -> Result<Vec<(Bounds, Option<StreamState>)>, SequencerError>;

    /// Runs from the one that holds `from` on, at most `limit`.
    async fn find(
        &self,
        topic: &Topic,
        partition: Partition,
        from: u64,
        limit: u32,
    ) -> Result<Vec<Run>, SequencerError>;
}
