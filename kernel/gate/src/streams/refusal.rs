//! Why a producer's batch is not taken.

use candor_records::BadBatch;

use crate::clear::NO_ACTIVITY;

/// Records that an answer names. Apache Kafka names all, which makes an answer larger than the request where every one
/// of many small records is refused.
const NAMED_MAX: usize = 100;

/// Why a record is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordRefusal {
    /// Compaction goes by keys.
    #[error("a compacted topic takes no record without a key")]
    NoKey,
    /// Too far from now.
    #[error("the timestamp is further from now than the topic allows")]
    Timestamp,
    /// Scrubbing it would turn a number into text.
    #[error(
        "a number within is a payment card's, a social security number or a secret, which no number can stand for: send it as text or leave it out"
    )]
    Type,
    /// It is JSON in another encoding, so that nothing within can be replaced.
    #[error("a secret or payment data stand within JSON that is not UTF-8: send UTF-8 or leave them out")]
    Encoding,
    /// A rule drops records of its kind.
    #[error("a rule of the policy takes no record with what is in it")]
    Rule,
    /// The policy takes no value that the gate cannot open.
    #[error(
        "the policy takes no binary values here: send JSON, text or what a registered schema describes, or write `opaque = \"allow\"` for the topic under `collect.streams`"
    )]
    Opaque,
    /// What the policy leaves out stands in a value that cannot be written anew.
    #[error("the policy keeps only some fields of this topic, which takes values in JSON")]
    Fields,
}

/// A record that is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefusedRecord {
    /// Where it is in its batch, from 0.
    pub index: u32,
    /// Why.
    pub reason: RecordRefusal,
}

/// Why a batch is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StreamRefusal {
    /// The batch itself.
    #[error(transparent)]
    Batch(#[from] BadBatch),
    /// No activity of the policy has the topic.
    #[error(
        "no activity of the policy has this topic among its signals: write `stream:NAME` or `stream:*` there"
    )]
    NoActivity,
    /// Some of its records, which Kafka's protocol calls `record_errors`.
    #[error("{count} records are refused, record {} because {}", .first.first().map_or(0, |record| record.index), .first.first().map_or(String::new(), |record| record.reason.to_string()))]
    Records {
        /// How many.
        count: u32,
        /// The first of them, at most 100.
        first: Vec<RefusedRecord>,
    },
}

impl StreamRefusal {
    /// The reason in reports: the policy's key, or else that it is a stream's batch.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            StreamRefusal::NoActivity => NO_ACTIVITY,
            StreamRefusal::Records { first, .. } => match first.first().map(|record| record.reason) {
                Some(RecordRefusal::Rule) => "policy:scrub.rule",
                Some(RecordRefusal::Opaque) => "policy:collect.streams",
                Some(RecordRefusal::Fields) => "policy:collect.unknown_fields",
                _ => "stream",
            },
            StreamRefusal::Batch(_) => "stream",
        }
    }

    /// The number by which the protocol names the error (see [`BadBatch::code`]): of records `INVALID_TIMESTAMP` 32 where
    /// it is about their time, else `INVALID_RECORD` 87, as in Apache Kafka's `LogValidator`.
    pub fn code(&self) -> i16 {
        match self {
            StreamRefusal::Batch(bad) => bad.code(),
            // `POLICY_VIOLATION`: no client sends it again.
            StreamRefusal::NoActivity => 44,
            StreamRefusal::Records { first, .. } => {
                let is_late = first.iter().any(|record| record.reason == RecordRefusal::Timestamp);
                if is_late { 32 } else { 87 }
            }
        }
    }
}

/// Collects refused records.
#[derive(Default)]
pub(super) struct Refused {
    count: u32,
    first: Vec<RefusedRecord>,
}

impl Refused {
    pub fn add(&mut self, index: u32, reason: RecordRefusal) {
        self.count += 1;
        if self.first.len() < NAMED_MAX {
            self.first.push(RefusedRecord { index, reason });
        }
    }

    /// An error where there are any.
    pub fn finish(self) -> Result<(), StreamRefusal> {
        match self.count {
            0 => Ok(()),
            count => Err(StreamRefusal::Records { count, first: self.first }),
        }
    }
}
