//! The lake: topics become tables.
//!
//! The newest rows of a table are Arrow in memory (the tail, which the log can rebuild), the rest Parquet under a
//! catalog in the shape of DuckLake 1.0. A row is visible when the log acknowledges it, and stays visible through
//! publishing, merging and a crash: it is in the tail until the very moment it is in a file.
//!
//! The trade-off refused: a write per record or per second into the table's files. The log is the staging area, so
//! files are written for readers: large, sorted, few.

mod catalog;
mod columns;
mod compact;
mod config;
mod encode;
mod error;
mod export;
mod follow;
mod inner;
mod order;
mod pin;
mod promote;
mod publish;
mod serve;
mod source;
mod table;
mod tail;
mod upkeep;

pub use columns::{EPOCH, INGESTED_AT, OFFSET, PARTITION, base_schema};
pub use config::{DAY_US, LakeConfig, Retention};
pub use error::LakeError;
pub use export::EXPORT_APPLICATION_ID;
pub use pin::{Bound, ColumnStats, DataFile, Pinned};
pub use promote::EXACT_COPIES;
pub use serve::{LakeGrant, LakeToken, ServeError};
pub use source::Source;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use candor_meta::{Database, ReadScope};
use candor_model::{Clock, Offset, ProjectId, Random, Signal};
use candor_store::{Files, StoredFile};
use parking_lot::Mutex;

use crate::catalog::Catalog;
use crate::follow::LogFollower;
use crate::inner::{Inner, Opening, detached};
use crate::table::{Backlog, Table, TableKey};
use crate::tail::PartitionTail;

/// How long a clean stop publishes. What is left then is read back from the log at the next start.
const CLOSE_WITHIN: Duration = Duration::from_secs(6);

/// What a lake stands on.
pub struct LakeParts {
    /// `lake.db`, or a schema of its own in PostgreSQL. No other process may write it.
    pub catalog: Database,
    /// `meta.db`: holds the read tokens, hashed.
    pub meta: Database,
    /// Where the Parquet files go.
    pub files: Arc<Files>,
    /// The log ([`candor_log::Log`] is one).
    pub source: Arc<dyn Source>,
    /// The clock of retention, of ages and of snapshots.
    pub clock: Arc<dyn Clock>,
    /// For file names and tokens.
    pub random: Arc<dyn Random>,
}

/// How hard the lake asks ingest to slow down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pressure {
    /// Publishing keeps up.
    None,
    /// The tails are past their bound: delay answers, the more the nearer they are to the refusal.
    Slow {
        /// How much of the way from the bound to the refusal is gone, 0 to 99.
        percent: u8,
    },
    /// The tails are far past their bound, publishing fails, or rows cannot be shown: answer 429 or 503 with
    /// Retry-After.
    Refuse,
}

/// What the lake holds and did since its start, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LakeStats {
    /// Tables with rows.
    pub tables: usize,
    /// Bytes of all tails in memory.
    pub tail_bytes: usize,
    /// Files published.
    pub files_published: usize,
    /// Rows published.
    pub rows_published: usize,
    /// Files that merges replaced.
    pub files_merged: usize,
    /// Publishes that failed since the last that did not.
    pub failures: u32,
    /// The newest snapshot.
    pub snapshot: i64,
}

/// The lake. Cheap to clone; its own tasks end with the last handle.
#[derive(Clone)]
pub struct Lake {
    inner: Arc<Inner>,
    memory: Arc<Mutex<upkeep::Memory>>,
}

impl Lake {
    /// Starts the lake: brings the catalog's tables up, follows the log, and starts its own upkeep on the runtime
    /// that this is called on (publishing, compaction, retention). Rows that were acknowledged but not published
    /// are read back from the log behind the return; a query that needs them waits for them.
    pub async fn start(parts: LakeParts, config: LakeConfig) -> Result<Lake, LakeError> {
        parts.meta.migrate(&catalog::schema::tokens()).await?;
        let now = parts.clock.now();
        let mut uuid = [0; 16];
        parts.random.fill(&mut uuid);
        let uuid = data_encoding::HEXLOWER.encode(&uuid);
        let catalog = Catalog::open(parts.catalog.clone(), &config.data_path, now, &uuid).await?;
        catalog.settle().await?;
        let opening = Opening { head: catalog.head().await?, dropped: catalog.dropped().await?, catalog };
        let positions = opening.catalog.positions().await?;
        let tables = opening.catalog.tables().await?;
        let inner = Arc::new(Inner::new(parts, config, opening));
        inner.follow(positions, tables)?;
        let memory = Arc::new(Mutex::new(upkeep::Memory::default()));
        if inner.config.upkeep {
            upkeep::start(&inner, &memory);
        } else {
            inner.collect_garbage().await?;
        }
        Ok(Lake { inner, memory })
    }

    /// Pins a table of the project that the scope may read. A project without rows has empty tables.
    pub async fn pin(&self, scope: &ReadScope, signal: Signal) -> Result<Pinned, LakeError> {
        self.inner.pin(scope.project(), signal).await
    }

    /// Pins published files as of a snapshot, without the tail.
    pub async fn pin_snapshot(
        &self,
        scope: &ReadScope,
        signal: Signal,
        snapshot: i64,
    ) -> Result<Pinned, LakeError> {
        self.inner.pin_snapshot(scope.project(), signal, snapshot).await
    }

    /// Opens a published file of a pinned table.
    pub async fn open(&self, file: &DataFile) -> Result<StoredFile, LakeError> {
        self.inner.open(&file.key).await
    }

    /// Publishes the tail of a project or of all; gives the snapshot. All that was acknowledged before the call is
    /// in it.
    pub async fn flush(&self, project: Option<ProjectId>) -> Result<i64, LakeError> {
        self.inner.flush(project).await
    }

    /// Merges the small files of a project or of all now, rather than when upkeep finds them; gives how many files
    /// were replaced.
    pub async fn compact(&self, project: Option<ProjectId>) -> Result<usize, LakeError> {
        self.inner.compact(project).await
    }

    /// One round of upkeep now, as its own tasks do it: folds, publishes what is due, merges, ends what is past its
    /// time, cuts history, deletes.
    pub async fn upkeep(&self) -> Result<(), LakeError> {
        let (inner, memory) = (Arc::clone(&self.inner), Arc::clone(&self.memory));
        detached(async move {
            inner.tend_tails(&memory).await?;
            inner.tend_files(&memory, usize::MAX).await
        })
        .await
    }

    /// How hard ingest should slow down. Cheap: ask at every request.
    pub fn pressure(&self) -> Pressure {
        self.inner.pressure()
    }

    /// What the lake holds and did.
    pub fn stats(&self) -> LakeStats {
        let counters = &self.inner.counters;
        LakeStats {
            tables: self.inner.tables.list(None).len(),
            tail_bytes: self.inner.tables.bytes(),
            files_published: counters.files_published.load(Ordering::Relaxed),
            rows_published: counters.rows_published.load(Ordering::Relaxed),
            files_merged: counters.files_merged.load(Ordering::Relaxed),
            failures: self.inner.failures.load(Ordering::Relaxed),
            snapshot: self.inner.head(),
        }
    }

    /// Publishes the tails, for a few seconds at most, and stops upkeep. What is not published by then is read back
    /// from the log at the next start.
    pub async fn close(&self) -> Result<(), LakeError> {
        self.inner.closed.store(true, Ordering::Relaxed);
        let inner = Arc::clone(&self.inner);
        let until = tokio::time::Instant::now() + CLOSE_WITHIN;
        detached(async move { inner.publish(inner.tables.list(None), Some(until)).await }).await
    }

    /// Ends the tables of a deleted project; their files go when history and pins are past.
    pub async fn drop_project(&self, project: ProjectId) -> Result<(), LakeError> {
        let inner = Arc::clone(&self.inner);
        detached(async move { inner.drop_project(project).await }).await
    }

    /// Writes a DuckLake catalog of one project to a new SQLite file: schema `main`, file names relative to
    /// `/lake/<project number>/`, a table `issues(group_hash, issue)` from `issues`. Gives the snapshot.
    pub async fn export(
        &self,
        scope: &ReadScope,
        issues: &[(String, i64)],
        data_path: &str,
        out: &Path,
    ) -> Result<i64, LakeError> {
        self.inner.export(scope.project(), issues, data_path, out).await
    }

    /// Ends every read token of a project at once.
    pub async fn revoke_tokens(&self, project: ProjectId) -> Result<(), LakeError> {
        self.inner.revoke_tokens(project).await
    }

    /// Makes a token that reads the published files of the scope's project for `ttl_seconds`.
    pub async fn mint_token(&self, scope: &ReadScope, ttl_seconds: i64) -> Result<LakeToken, LakeError> {
        self.inner.mint_token(scope, ttl_seconds).await
    }

    /// The grant of a presented token for a project: `Unauthorized` for one that is unknown or expired,
    /// `Forbidden` for another project's.
    pub async fn authorize(&self, token: &str, project: ProjectId) -> Result<LakeGrant, ServeError> {
        self.inner.authorize(token, project).await
    }

    /// The file behind a path below `/lake/<project>/` (`logs/2026-11-20/….parquet`), while a snapshot that is
    /// kept names it. `length()` and `read(range)` of the result answer HEAD and ranged GET.
    pub async fn serve(&self, grant: &LakeGrant, path: &str) -> Result<StoredFile, ServeError> {
        self.inner.serve(grant, path).await
    }

    /// Marks files (by [`DataFile::key`]) that hold erased rows: `/lake/` answers 410 for them, and merges leave
    /// them alone, until they are rewritten.
    pub async fn deny(&self, files: &[DataFile]) -> Result<(), LakeError> {
        let paths: Vec<String> = files
            .iter()
            .filter_map(|file| file.key.strip_prefix(catalog::KEY_PREFIX).map(str::to_owned))
            .collect();
        Ok(self.inner.catalog.deny(&paths).await?)
    }
}

impl Inner {
    /// Makes the tables that the catalog and the log know, and follows the log.
    fn follow(
        self: &Arc<Inner>,
        positions: Vec<catalog::Position>,
        ids: Vec<(ProjectId, Signal, i64)>,
    ) -> Result<(), LakeError> {
        let head = self.head();
        let ids: HashMap<TableKey, i64> =
            ids.into_iter().map(|(project, signal, id)| ((project, signal), id)).collect();
        let follower = Arc::new(LogFollower(Arc::downgrade(self)));
        // Rows that are committed while the tables are made are set aside, see `LogFollower`.
        let ends = self.source.follow(follower);

        let mut published: HashMap<(TableKey, candor_model::Partition), Offset> = HashMap::new();
        for position in &positions {
            published.insert(((position.project, position.signal), position.partition), position.next);
        }
        let mut partitions: HashMap<TableKey, Vec<(PartitionTail, Option<Backlog>)>> = HashMap::new();
        for (topic, partition, end) in ends {
            let Some(signal) = topic.name.signal() else { continue };
            let key = (topic.project, signal);
            if self.is_dropped(topic.project) {
                self.source.consumed(&topic, partition, end);
                continue;
            }
            let at = published.remove(&(key, partition));
            if at.is_some_and(|at| at > end) {
                return Err(LakeError::Inconsistent(format!(
                    "table p{}.{} is at offset {} and its log ends at {end}: one of them is of another time",
                    topic.project,
                    signal.name(),
                    at.unwrap_or_default()
                )));
            }
            let from = at.unwrap_or_default().max(self.source.log_start(&topic, partition));
            if at.is_some_and(|at| at < from) {
                tracing::error!(project = %topic.project, topic = %topic.name, "the log was cut before its rows were in the table");
            }
            if let Some(at) = at {
                self.source.consumed(&topic, partition, at);
            }
            let backlog = (from < end).then_some(Backlog { partition, from, until: end });
            let tail = PartitionTail::new(partition, at, end);
            partitions.entry(key).or_default().push((tail, backlog));
        }
        if let Some(((key, _), at)) = published.into_iter().find(|(_, at)| at.0 > 0) {
            return Err(LakeError::Inconsistent(format!(
                "table p{}.{} is at offset {at} and the log does not know its topic",
                key.0,
                key.1.name()
            )));
        }
        for key in ids.keys() {
            partitions.entry(*key).or_default();
        }
        for (key, tails) in partitions {
            let (mut tails, backlog): (Vec<_>, Vec<_>) = tails.into_iter().unzip();
            tails.sort_by_key(|tail| tail.partition);
            let table =
                Table::new(key, ids.get(&key).copied(), head, backlog.into_iter().flatten().collect());
            table.state.lock().partitions = tails;
            self.tables.get_or_make(key, || table);
        }
        self.take_aside();
        Ok(())
    }

    async fn drop_project(self: &Arc<Inner>, project: ProjectId) -> Result<(), LakeError> {
        // Nothing publishes or merges while the tables end.
        let _merging = self.merging.lock().await;
        let _publishing = self.publishing.lock().await;
        self.mark_dropped(project);
        let committing = self.committing.lock().await;
        let snapshot = self.catalog.drop_project(project, self.clock.now()).await?;
        for table in self.tables.remove(project) {
            let mut state = table.state.lock();
            state.partitions.clear();
            state.listing = None;
            self.tables.account(&table, &state);
        }
        self.advance_head(snapshot);
        drop(committing);
        self.revoke_tokens(project).await
    }
}
