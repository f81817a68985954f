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
mod keeping;
mod name;
mod order;
mod pin;
mod promote;
mod publish;
mod serve;
mod source;
mod streams;
mod table;
mod tail;
mod trim;
mod upkeep;

pub use columns::{EPOCH, INGESTED_AT, OFFSET, PARTITION, base_schema};
pub use config::{DAY_US, LakeConfig, Retention};
pub use error::LakeError;
pub use export::EXPORT_APPLICATION_ID;
pub use keeping::{Keeping, Kept, TopicKept};
pub use name::TableName;
pub use pin::{Bound, ColumnStats, DataFile, Pinned};
pub use promote::EXACT_COPIES;
pub use serve::{LakeGrant, LakeToken, ServeError, Served};
pub use source::Source;
pub use streams::{StreamTables, StreamTopic, ValueDecoder};

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use candor_meta::{Database, ReadScope};
use candor_model::{Clock, Offset, ProjectId, Random, Signal};
use candor_store::{Files, StoredFile};
use parking_lot::Mutex;

use crate::catalog::Catalog;
use crate::follow::LogFollower;
use crate::inner::{Inner, Kind, Opening, detached};
use crate::streams::Streams;
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
    /// About how many bytes of streams are in the log and in no file, since the start.
    pub stream_lag_bytes: u64,
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
        let pinned = self.inner.pin(scope.project(), signal.into()).await?;
        Ok(pinned.hiding(self.inner.not_before(scope.project(), Kind::Signal(signal))))
    }

    /// Pins published files as of a snapshot, without the tail.
    pub async fn pin_snapshot(
        &self,
        scope: &ReadScope,
        signal: Signal,
        snapshot: i64,
    ) -> Result<Pinned, LakeError> {
        let pinned = self.inner.pin_snapshot(scope.project(), &signal.into(), snapshot).await?;
        Ok(pinned.hiding(self.inner.not_before(scope.project(), Kind::Signal(signal))))
    }

    /// Keeps rows so long from now on. Readers see nothing older at once; bytes go as the lags say.
    pub fn keep(&self, keeping: Keeping) {
        let mut held = self.inner.keeping.write();
        if **held != keeping {
            *held = Arc::new(keeping);
            drop(held);
            // The next look at what is past its time is not waited for.
            self.memory.lock().look_again();
            self.inner.wake.notify_one();
        }
    }

    /// How many rows of whose tables were past their time and are no more, since this was asked last, by project and
    /// table (`logs`, `stream:TOPIC`).
    pub fn take_gone(&self) -> Vec<(ProjectId, String, u64)> {
        let gone = self.inner.catalog.take_gone();
        let mut gone: Vec<_> =
            gone.into_iter().map(|((project, name), rows)| (project, name.stored(), rows)).collect();
        gone.sort_unstable();
        gone
    }

    /// When the oldest row in the files of each table came, µs, by project and table (`logs`, `stream:TOPIC`).
    pub async fn oldest(&self) -> Result<HashMap<(ProjectId, String), i64>, LakeError> {
        self.inner.catalog.oldest().await
    }

    /// Says what topics of streams there are, whose records are tables from now on, and who opens values that name a
    /// schema. Once; what is said again counts for nothing.
    pub fn serve_streams(&self, topics: Arc<dyn StreamTables>, decoder: Option<Arc<dyn ValueDecoder>>) {
        let _ = self.inner.streams.set(Streams { topics, decoder });
    }

    /// The names of the topics of the project that the scope may read, sorted.
    pub fn streams(&self, scope: &ReadScope) -> Vec<Arc<str>> {
        self.inner.stream_topics(scope.project()).into_iter().map(|topic| topic.name).collect()
    }

    /// Pins the table of a topic: all that is stable in the log now. None where no topic has that name.
    pub async fn pin_stream(&self, scope: &ReadScope, name: &str) -> Result<Option<Pinned>, LakeError> {
        match self.inner.stream_topic(scope.project(), name) {
            Some(topic) => {
                let pinned = self.inner.pin_stream(scope.project(), &topic).await?;
                Ok(Some(pinned.hiding(self.inner.not_before(scope.project(), Kind::Topic(name)))))
            }
            None => Ok(None),
        }
    }

    /// The same of published files as of a snapshot.
    pub async fn pin_stream_snapshot(
        &self,
        scope: &ReadScope,
        name: &str,
        snapshot: i64,
    ) -> Result<Option<Pinned>, LakeError> {
        let Some(topic) = self.inner.stream_topic(scope.project(), name) else { return Ok(None) };
        let table = TableName::Stream(topic.topic);
        let pinned = self.inner.pin_snapshot(scope.project(), &table, snapshot).await?;
        Ok(Some(pinned.hiding(self.inner.not_before(scope.project(), Kind::Topic(name)))))
    }

    /// The columns of a topic's table as far as they are known without reading the log. None where no topic has that
    /// name.
    pub async fn stream_columns(
        &self,
        scope: &ReadScope,
        name: &str,
    ) -> Result<Option<SchemaRef>, LakeError> {
        match self.inner.stream_topic(scope.project(), name) {
            Some(topic) => self.inner.stream_columns(scope.project(), &topic).await.map(Some),
            None => Ok(None),
        }
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
            inner.tend_streams().await?;
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
            stream_lag_bytes: self.inner.stream_lag_bytes(),
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
    pub async fn serve(&self, grant: &LakeGrant, path: &str) -> Result<Served, ServeError> {
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
        ids: Vec<(ProjectId, TableName, i64)>,
    ) -> Result<(), LakeError> {
        let head = self.head();
        let ids: HashMap<TableKey, i64> =
            ids.into_iter().map(|(project, name, id)| ((project, name), id)).collect();
        let follower = Arc::new(LogFollower(Arc::downgrade(self)));
        // Rows that are committed while the tables are made are set aside, see `LogFollower`.
        let ends = self.source.follow(follower);

        let mut published: HashMap<(TableKey, candor_model::Partition), Offset> = HashMap::new();
        for position in &positions {
            let key = (position.project, position.name.clone());
            published.insert((key, position.partition), position.next);
        }
        let mut partitions: HashMap<TableKey, Vec<(PartitionTail, Option<Backlog>, bool)>> = HashMap::new();
        for (topic, partition, end) in ends {
            let key = (topic.project, TableName::of(&topic.name));
            if self.is_dropped(topic.project) {
                self.source.consumed(&topic, partition, end);
                continue;
            }
            let at = published.remove(&(key.clone(), partition));
            if at.is_some_and(|at| at > end) {
                return Err(LakeError::Inconsistent(format!(
                    "table p{}.{} is at offset {} and its log ends at {end}: one of them is of another time",
                    topic.project,
                    key.1.stored(),
                    at.unwrap_or_default()
                )));
            }
            let from = at.unwrap_or_default().max(self.source.log_start(&topic, partition));
            if !key.1.is_stream() && at.is_some_and(|at| at < from) {
                tracing::error!(project = %topic.project, topic = %topic.name, "the log was cut before its rows were in the table");
            }
            if let Some(at) = at {
                self.source.consumed(&topic, partition, at);
            }
            if key.1.is_stream() {
                // It stays in the log until somebody asks.
                let tail = PartitionTail::new(partition, at, from);
                partitions.entry(key).or_default().push((tail, None, from < end));
                continue;
            }
            let backlog = (from < end).then_some(Backlog { partition, from, until: end });
            let tail = PartitionTail::new(partition, at, end);
            partitions.entry(key).or_default().push((tail, backlog, false));
        }
        // A topic that was deleted from the log may still be a table.
        let mut lost = published.into_iter().filter(|((key, _), at)| at.0 > 0 && !key.1.is_stream());
        if let Some(((key, _), at)) = lost.next() {
            return Err(LakeError::Inconsistent(format!(
                "table p{}.{} is at offset {at} and the log does not know its topic",
                key.0,
                key.1.stored()
            )));
        }
        for key in ids.keys() {
            partitions.entry(key.clone()).or_default();
        }
        for (key, tails) in partitions {
            let lags = tails.iter().any(|(_, _, lags)| *lags);
            let backlog = tails.iter().filter_map(|(_, backlog, _)| *backlog).collect();
            let mut tails: Vec<PartitionTail> = tails.into_iter().map(|(tail, _, _)| tail).collect();
            tails.sort_by_key(|tail| tail.partition);
            let table = Table::new(key.clone(), ids.get(&key).copied(), head, backlog);
            table.state.lock().partitions = tails;
            if lags {
                table.lag.note(self.clock.now(), 0);
            }
            self.tables.get_or_make(key, |_| table);
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
        for table in self.tables.remove(project, None) {
            self.clear(&table);
        }
        self.advance_head(snapshot);
        drop(committing);
        self.revoke_tokens(project).await
    }

    /// Empties a table that has ended.
    fn clear(&self, table: &Table) {
        let mut state = table.state.lock();
        state.partitions.clear();
        state.listing = None;
        self.tables.account(table, &state);
    }

    /// True for a table that has ended, and is in somebody's hands still.
    fn has_ended(&self, table: &Table) -> bool {
        self.is_dropped(table.project) || table.is_dropped.load(Ordering::Relaxed)
    }
}
