//! What every handle of a lake shares.

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use candor_log::Committed;
use candor_meta::Database;
use candor_model::{Clock, ProjectId, Random, Signal};
use candor_store::{Files, StoredFile};
use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;

use crate::catalog::Catalog;
use crate::pin::Pins;
use crate::source::Source;
use crate::streams::Streams;
use crate::table::Tables;
use crate::{Keeping, LakeConfig, LakeError, Pressure};

/// Open files kept at hand, so that the ranged reads of one query do not read a header each. A handle is small and
/// holds no descriptor.
const OPEN_FILES_MAX: usize = 1024;

/// So many publishes failed in a row: something is wrong that will not pass by itself.
const FAILURES_MAX: u32 = 3;

/// What every handle of a lake shares.
pub(crate) struct Inner {
    pub(crate) catalog: Catalog,
    pub(crate) meta: Database,
    pub(crate) files: Arc<Files>,
    pub(crate) source: Arc<dyn Source>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) config: LakeConfig,
    /// How long rows are kept.
    pub(crate) keeping: RwLock<Arc<Keeping>>,
    pub(crate) tables: Tables,
    pub(crate) pins: Pins,
    /// Once somebody said what topics there are.
    pub(crate) streams: OnceLock<Streams>,
    // The three locks are taken in this order.
    /// Held for a whole merge.
    pub(crate) merging: tokio::sync::Mutex<()>,
    /// Held for a whole publish: one at a time takes from the tails and adds columns.
    pub(crate) publishing: tokio::sync::Mutex<()>,
    /// Held from a commit to the end of its swap, so that swaps come in the order of the snapshots.
    pub(crate) committing: tokio::sync::Mutex<()>,
    /// Wakes upkeep before its time.
    pub(crate) wake: Arc<Notify>,
    /// Rows that were committed cannot be shown.
    pub(crate) broken: AtomicBool,
    pub(crate) closed: AtomicBool,
    /// Publishes that failed since the last that did not.
    pub(crate) failures: AtomicU32,
    pub(crate) counters: Counters,
    /// While the lake starts: what is committed meanwhile. Then none.
    pub(crate) aside: Mutex<Option<Vec<Committed>>>,
    head: AtomicI64,
    dropped: RwLock<HashSet<ProjectId>>,
    opened: Mutex<HashMap<String, StoredFile>>,
}

/// A table as its clients call it.
#[derive(Clone, Copy)]
pub(crate) enum Kind<'a> {
    Signal(Signal),
    Topic(&'a str),
}

/// What happened since the start.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) files_published: AtomicUsize,
    pub(crate) rows_published: AtomicUsize,
    pub(crate) files_merged: AtomicUsize,
}

/// The parts that only the start knows.
pub(crate) struct Opening {
    pub(crate) catalog: Catalog,
    pub(crate) head: i64,
    pub(crate) dropped: HashSet<ProjectId>,
}

impl Inner {
    pub(crate) fn new(parts: crate::LakeParts, config: LakeConfig, opening: Opening) -> Inner {
        Inner {
            catalog: opening.catalog,
            meta: parts.meta,
            files: parts.files,
            source: parts.source,
            clock: parts.clock,
            random: parts.random,
            keeping: RwLock::new(Arc::new(config.retention.into())),
            config,
            tables: Tables::default(),
            pins: Pins::default(),
            streams: OnceLock::new(),
            publishing: tokio::sync::Mutex::new(()),
            merging: tokio::sync::Mutex::new(()),
            committing: tokio::sync::Mutex::new(()),
            wake: Arc::new(Notify::new()),
            broken: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            failures: AtomicU32::new(0),
            counters: Counters::default(),
            aside: Mutex::new(Some(Vec::new())),
            head: AtomicI64::new(opening.head),
            dropped: RwLock::new(opening.dropped),
            opened: Mutex::new(HashMap::new()),
        }
    }

    /// How long rows are kept.
    pub(crate) fn keeping(&self) -> Arc<Keeping> {
        Arc::clone(&self.keeping.read())
    }

    /// What came before this is past its time, as the policy of its project says.
    pub(crate) fn not_before(&self, project: ProjectId, table: Kind<'_>) -> i64 {
        let keeping = self.keeping();
        let now = self.clock.now().0;
        match table {
            Kind::Signal(signal) => keeping.of(project).end_of(signal, now),
            Kind::Topic(name) => keeping.of(project).end_of_topic(name, now),
        }
    }

    /// The newest snapshot whose swap is done.
    pub(crate) fn head(&self) -> i64 {
        self.head.load(Ordering::Acquire)
    }

    pub(crate) fn advance_head(&self, snapshot: i64) {
        self.head.fetch_max(snapshot, Ordering::AcqRel);
    }

    pub(crate) fn is_dropped(&self, project: ProjectId) -> bool {
        self.dropped.read().contains(&project)
    }

    pub(crate) fn mark_dropped(&self, project: ProjectId) {
        self.dropped.write().insert(project);
    }

    pub(crate) fn pressure(&self) -> Pressure {
        let bytes = self.tables.bytes();
        let bound = self.config.total_bytes.max(1);
        let failing = self.failures.load(Ordering::Relaxed) >= FAILURES_MAX;
        if self.broken.load(Ordering::Relaxed) || bytes >= 2 * bound || (failing && bytes >= bound) {
            return Pressure::Refuse;
        }
        match bytes.checked_sub(bound) {
            Some(past) => Pressure::Slow { percent: u8::try_from(past * 100 / bound).unwrap_or(99).min(99) },
            None => Pressure::None,
        }
    }

    /// A name that no other object has: time-ordered as in UUID version 7 (RFC 9562, section 5.7).
    pub(crate) fn new_uuid(&self) -> String {
        let mut bytes = [0; 16];
        self.random.fill(&mut bytes);
        let millis = self.clock.now().0.max(0) as u64 / 1000;
        if let Some((time, rest)) = bytes.split_at_mut_checked(6) {
            time.copy_from_slice(&millis.to_be_bytes()[2..]);
            for (at, (mask, bits)) in [(0, (0x0f, 0x70)), (2, (0x3f, 0x80))] {
                if let Some(byte) = rest.get_mut(at) {
                    *byte = (*byte & mask) | bits;
                }
            }
        }
        let hex = data_encoding::HEXLOWER.encode(&bytes);
        let part = |range: std::ops::Range<usize>| hex.get(range).unwrap_or_default();
        format!("{}-{}-{}-{}-{}", part(0..8), part(8..12), part(12..16), part(16..20), part(20..32))
    }

    /// Opens a file, or gives the handle at hand.
    pub(crate) async fn open(&self, key: &str) -> Result<StoredFile, LakeError> {
        if let Some(file) = self.opened.lock().get(key) {
            return Ok(file.clone());
        }
        let file = self.files.open(key).await?;
        let mut opened = self.opened.lock();
        if opened.len() >= OPEN_FILES_MAX {
            opened.clear();
        }
        opened.insert(key.to_owned(), file.clone());
        Ok(file)
    }

    /// Drops the handle of a file that is gone.
    pub(crate) fn forget_open(&self, key: &str) {
        self.opened.lock().remove(key);
    }
}

/// Runs to its end even where the caller goes away: between a commit and its swap there is no stopping.
pub(crate) async fn detached<T: Send + 'static>(
    work: impl Future<Output = Result<T, LakeError>> + Send + 'static,
) -> Result<T, LakeError> {
    match tokio::spawn(work).await {
        Ok(result) => result,
        Err(stopped) if stopped.is_panic() => std::panic::resume_unwind(stopped.into_panic()),
        Err(_) => Err(LakeError::Closed),
    }
}
