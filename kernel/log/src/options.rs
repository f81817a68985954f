//! What a log is opened with: disk, keys, clock, consumers and limits.

use std::sync::Arc;
use std::time::Duration;

use candor_meta::Database;
use candor_model::{Clock, Random, TopicName};
use candor_store::{Disk, DiskError, Files, KeyWrap, StoreError};

use crate::cleaner::KEYS_MAX;

/// What a log is opened with.
pub struct LogOptions {
    /// Where the journal lies (folder `journal`).
    pub disk: Arc<dyn Disk>,
    /// Where history segments lie (prefix `log/`).
    pub files: Arc<Files>,
    /// Wraps the keys of journal files; none writes them plain (`at_rest = "off"`).
    pub keys: Option<Arc<dyn KeyWrap>>,
    /// The arrival clock.
    pub clock: Arc<dyn Clock>,
    /// Keys and ids come from here.
    pub random: Arc<dyn Random>,
    /// Told when a sync failed and the process must stop.
    pub stop: Arc<dyn FailStop>,
    /// Who must have consumed a batch before it may be trimmed. Until such a consumer has said how far it came, all
    /// is held for it.
    pub consumers: Vec<Consumer>,
    /// Sizes and times.
    pub limits: Limits,
}

/// What the log of a cluster is opened with.
pub struct ClusterOptions {
    /// Where segments lie (prefix `log/`): shared by all nodes.
    pub files: Arc<Files>,
    /// Where order comes from: shared by all nodes.
    pub database: Database,
    /// The arrival clock.
    pub clock: Arc<dyn Clock>,
    /// Names of segments come from here.
    pub random: Arc<dyn Random>,
    /// Told when the log cannot go on in this process.
    pub stop: Arc<dyn FailStop>,
    /// Who must have consumed a batch before it may be trimmed.
    pub consumers: Vec<Consumer>,
    /// Sizes and times. `group_bytes` is the size of a segment, `journal_bytes` what small segments may take before
    /// they are compacted.
    pub limits: Limits,
    /// How often segments are sealed while appends keep coming, 100 to 250 ms: puts cost money, each. An append
    /// after a pause does not wait for it, a full segment neither.
    pub linger: Duration,
    /// Segments put at once.
    pub puts_in_flight: usize,
    /// How often other nodes' commits are asked for.
    pub poll: Duration,
}

impl ClusterOptions {
    /// The linger where nobody says otherwise: ten puts a second at most, 860,000 a day.
    pub const LINGER: Duration = Duration::from_millis(100);
    /// Puts at once where nobody says otherwise.
    pub const PUTS_IN_FLIGHT: usize = 4;
    /// The poll where nobody says otherwise: an acknowledged record is to be visible within one second.
    pub const POLL: Duration = Duration::from_millis(500);
}

/// A consumer that holds back trimming.
#[derive(Clone)]
pub struct Consumer {
    /// Its name, as it gives it to [`crate::Log::consumed`].
    pub name: &'static str,
    /// Which topics it consumes.
    pub topics: fn(&TopicName) -> bool,
}

/// Stops the process. After a failed sync nothing is known about what the disk holds; only a restart, which reads
/// it back, may go on.
pub trait FailStop: Send + Sync {
    /// Must not return in production; where it does (tests), the log refuses everything from then on.
    fn stop(&self, why: &str);
}

/// Sizes and times of a log.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Size of a journal file, bytes.
    pub journal_file_bytes: u64,
    /// Journal kept before it is compacted into history segments, bytes.
    pub journal_bytes: u64,
    /// Size at which a history segment is closed, bytes. It is built in memory. A partition with more than a quarter
    /// of it to compact gets segments of its own, the rest share.
    pub segment_bytes: usize,
    /// One group of appends under one sync, bytes.
    pub group_bytes: usize,
    /// Appends that wait, bytes; beyond it they are refused as overloaded.
    pub queue_bytes: usize,
    /// Recent batches kept in memory for readers, bytes.
    pub tail_cache_bytes: usize,
    /// Signal topics: age at which batches may go.
    pub retention: Duration,
    /// Signal topics: size of a project's topics together from which the oldest may go, bytes.
    pub retention_project_bytes: u64,
    /// Request ids remembered.
    pub window_requests: usize,
    /// Keys remembered in one pass of compaction by key; more than 917,504 are not.
    pub compaction_keys: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            journal_file_bytes: 64 << 20,
            journal_bytes: 256 << 20,
            segment_bytes: 16 << 20,
            group_bytes: 8 << 20,
            queue_bytes: 64 << 20,
            tail_cache_bytes: 32 << 20,
            retention: Duration::from_secs(24 * 3600),
            retention_project_bytes: 1 << 30,
            window_requests: 1 << 17,
            compaction_keys: KEYS_MAX,
        }
    }
}

/// Why a log could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The disk failed.
    #[error("cannot read the journal")]
    Disk(#[from] DiskError),
    /// A stored file failed.
    #[error("cannot read a file of the log")]
    Store(#[from] StoreError),
    /// Bytes that had been acknowledged are damaged: nothing is cut, the operator decides.
    #[error("{file}: damaged at byte {at} before valid records: {what}; restore a backup")]
    Hole {
        /// The journal file.
        file: String,
        /// Where.
        at: u64,
        /// What is wrong there.
        what: &'static str,
    },
    /// The sequencer cannot be reached.
    #[error("cannot reach the sequencer")]
    Sequencer(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A file of the journal is missing.
    #[error("{0} is missing from the journal; restore a backup")]
    Missing(String),
    /// The key of a journal file cannot be unwrapped.
    #[error("{0}: its key cannot be unwrapped; is this the right root key?")]
    KeyGone(String),
    /// Written by a newer Candor.
    #[error("{file}: format {found} is newer than this program knows")]
    Newer {
        /// Which file.
        file: String,
        /// What it says.
        found: u8,
    },
}
