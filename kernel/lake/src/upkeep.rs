//! What the lake does by itself: folding, publishing by pressure and age, merging, retention, deleting.
//!
//! Publishing by age is lazy where it may be. A tail is due at five minutes of age; one below 256 KiB at fifteen:
//! the rows of a quiet project cost little memory and little replay, and its files would be mostly footer. And what
//! is due by age is written at a bounded pace, oldest first, so that thousands of quiet projects make a steady
//! trickle of files and not a burst. Pressure, `flush` and a stop know no pace.
//!
//! Three tasks: one publishes, one publishes streams, one does the rest, so that a long merge delays no publish, nor the
//! records of a fast producer the rows of others. All hold the lake weakly and end when the last handle is dropped.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use candor_model::{ProjectId, Signal, Timestamp};
use futures::{StreamExt, TryStreamExt};
use parking_lot::Mutex;

use crate::catalog::{Aged, Change, ChangeKind, Doomed, key_of};
use crate::compact::CROWD;
use crate::config::DAY_US;
use crate::inner::Inner;
use crate::keeping::Fate;
use crate::name::TableName;
use crate::table::Table;
use crate::trim::Part;
use crate::{Keeping, LakeError};

/// How often tails are looked at.
const TICK: Duration = Duration::from_secs(1);

/// How often the rest is looked at.
const ROUND: Duration = Duration::from_secs(5);

/// Merges in one such round: two a second.
const MERGES_A_ROUND: usize = 10;

/// Longest pause after a failure.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// So many times as long as it took to publish streams is waited before more is: a fast producer is to have the cores.
const STREAM_RESTS: u32 = 2;

/// How often history is cut and unused lists are dropped, µs.
const EXPIRY_EVERY_US: i64 = 60 * 1_000_000;

/// How often rows are looked at for their age, µs.
const RETENTION_EVERY_US: i64 = 600 * 1_000_000;

/// How often days that are over are looked for, µs.
const DAYS_EVERY_US: i64 = 3600 * 1_000_000;

/// How often the objects of writes that failed are looked for, µs.
const GARBAGE_EVERY_US: i64 = 600 * 1_000_000;

/// A file list that nobody asked for so long is dropped, µs.
const LISTING_IDLE_US: i64 = 600 * 1_000_000;

/// Tables read back from the log at once.
const CATCH_UPS: usize = 4;

/// Objects deleted at once.
const DELETES: usize = 8;

/// Files deleted in one transaction.
const BURIED_AT_ONCE: usize = 256;

/// What upkeep remembers between rounds.
#[derive(Default)]
pub(crate) struct Memory {
    /// Files that publishing by age may still write, in thousandths, and when that was counted.
    allowance: i64,
    counted_at: Option<Timestamp>,
    expired_at: Option<Timestamp>,
    collected_at: Option<Timestamp>,
    retained_at: Option<Timestamp>,
    days_at: Option<Timestamp>,
    /// The moment on the board of pins when a file was scheduled for deletion.
    scheduled: HashMap<i64, u64>,
}

impl Memory {
    /// What is past its time is looked for in the next round.
    pub(crate) fn look_again(&mut self) {
        self.retained_at = None;
    }
}

/// True, and noted, where that much time has passed (or the clock was set back).
fn is_time(last: &mut Option<Timestamp>, now: Timestamp, every_us: i64) -> bool {
    let due = last.is_none_or(|last| now.0 - last.0 >= every_us || now < last);
    if due {
        *last = Some(now);
    }
    due
}

/// Starts the tasks on the current runtime.
pub(crate) fn start(inner: &Arc<Inner>, memory: &Arc<Mutex<Memory>>) {
    let wake = Arc::clone(&inner.wake);
    let (weak, notes) = (Arc::downgrade(inner), Arc::clone(memory));
    tokio::spawn(async move {
        let mut pause = TICK;
        loop {
            tokio::select! {
                () = wake.notified(), if pause == TICK => {}
                () = tokio::time::sleep(pause) => {}
            }
            let Some(inner) = alive(&weak) else { return };
            let result = inner.tend_tails(&notes).await;
            pause = after(result, pause, TICK, "publishing");
        }
    });
    let weak = Arc::downgrade(inner);
    tokio::spawn(async move {
        let mut pause = TICK;
        loop {
            tokio::time::sleep(pause).await;
            let Some(inner) = alive(&weak) else { return };
            let began = tokio::time::Instant::now();
            let result = inner.tend_streams().await;
            let rest = began.elapsed().saturating_mul(STREAM_RESTS).clamp(TICK, PAUSE_MAX);
            pause = after(result, pause.max(TICK), rest, "publishing streams");
        }
    });
    let (weak, notes) = (Arc::downgrade(inner), Arc::clone(memory));
    tokio::spawn(async move {
        if let Some(inner) = alive(&weak) {
            // What a crash left behind, and the rows that only the log has: nobody waits for either.
            if let Err(error) = inner.collect_garbage().await {
                tracing::warn!(error = %candor_model::chain(&error), "cannot collect what a crash left behind");
            }
            futures::stream::iter(inner.tables.list(None))
                .for_each_concurrent(CATCH_UPS, |table| {
                    let inner = &inner;
                    async move {
                        if let Err(error) = inner.make_whole(&table).await {
                            let (project, error) = (table.project, candor_model::chain(&error));
                            tracing::error!(%project, %error, "cannot read the log back");
                        }
                    }
                })
                .await;
        }
        let mut pause = ROUND;
        loop {
            tokio::time::sleep(pause).await;
            let Some(inner) = alive(&weak) else { return };
            let result = inner.tend_files(&notes, MERGES_A_ROUND).await;
            pause = after(result, pause, ROUND, "upkeep");
        }
    });
}

fn alive(weak: &Weak<Inner>) -> Option<Arc<Inner>> {
    weak.upgrade().filter(|inner| !inner.closed.load(Ordering::Relaxed))
}

/// The pause until the next round: longer after each failure.
fn after(result: Result<(), LakeError>, pause: Duration, usual: Duration, what: &str) -> Duration {
    match result {
        Ok(()) => usual,
        Err(error) => {
            let pause = (pause * 2).min(PAUSE_MAX);
            tracing::warn!(error = %candor_model::chain(&error), retry_in_s = pause.as_secs(), "{what} failed");
            pause
        }
    }
}

/// What is due to the files of a table.
#[derive(Default)]
pub(crate) struct OfTable {
    ends: Vec<i64>,
    parts: Vec<Part>,
}

/// What is due to files, by project, table, and the table's id.
#[derive(Default)]
pub(crate) struct Due(HashMap<(ProjectId, TableName, i64), OfTable>);

impl Due {
    /// Notes what becomes of a file of which rows from before `end` are past their time.
    pub(crate) fn note(&mut self, aged: &Aged, end: i64, lag_us: i64) {
        let fate = Keeping::fate(end, lag_us, aged.came);
        if fate == Fate::Stays {
            return;
        }
        let of_table = self.0.entry((aged.project, aged.name.clone(), aged.table)).or_default();
        match fate {
            Fate::LosesBefore(end) => of_table.parts.push(Part { file: aged.file, end }),
            _ => of_table.ends.push(aged.file),
        }
    }
}

impl Inner {
    /// Folds and publishes what is due.
    pub(crate) async fn tend_tails(self: &Arc<Inner>, memory: &Mutex<Memory>) -> Result<(), LakeError> {
        let tables = self.tables.list(None);
        for table in &tables {
            if table.touched.swap(false, Ordering::Relaxed) {
                let mut state = table.state.lock();
                let seen = state.seen.clone();
                for tail in state.partitions.iter_mut().filter(|tail| tail.is_loose() && !tail.is_taken()) {
                    tail.fold(seen.as_deref())?;
                }
                self.tables.account(table, &state);
            }
        }
        let due = self.due_by_size(&tables);
        if !due.is_empty() {
            self.publish(due, None).await?;
        }
        let due = self.due_by_age(&tables, memory);
        if !due.is_empty() {
            self.publish(due, None).await?;
        }
        Ok(())
    }

    /// Tables whose tail is full; where all tails together are, the largest until half of the bound is free.
    fn due_by_size(&self, tables: &[Arc<Table>]) -> Vec<Arc<Table>> {
        let size = |table: &Table| table.tail_bytes.load(Ordering::Relaxed);
        let mut held: Vec<&Arc<Table>> =
            tables.iter().filter(|table| table.is_whole() && size(table) > 0).collect();
        held.sort_by_key(|table| std::cmp::Reverse(size(table)));
        let mut total = self.tables.bytes();
        let crowded = total >= self.config.total_bytes;
        let mut due = Vec::new();
        for table in held {
            if size(table) >= self.config.table_bytes || (crowded && total > self.config.total_bytes / 2) {
                total = total.saturating_sub(size(table));
                due.push(Arc::clone(table));
            }
        }
        due
    }

    /// Tables whose tail is old enough, oldest first, as many as the pace allows.
    fn due_by_age(&self, tables: &[Arc<Table>], memory: &Mutex<Memory>) -> Vec<Arc<Table>> {
        let now = self.clock.now();
        let mut old: Vec<(Timestamp, &Arc<Table>)> = tables
            .iter()
            .filter(|table| table.is_whole())
            .filter_map(|table| {
                let bytes = table.tail_bytes.load(Ordering::Relaxed);
                if bytes == 0 {
                    return None;
                }
                let tiny = bytes < self.config.tiny_bytes;
                let age = if tiny { self.config.tiny_age_us } else { self.config.publish_age_us };
                table.since().filter(|since| now.0 - since.0 >= age).map(|since| (since, table))
            })
            .collect();
        old.sort_by_key(|(since, _)| *since);

        let mut memory = memory.lock();
        let pace = i64::from(self.config.files_per_second.max(1));
        let passed = memory.counted_at.map_or(1_000_000, |at| (now.0 - at.0).clamp(0, 2_000_000));
        // What was not used is not saved up for a burst.
        memory.allowance = (memory.allowance + pace * passed / 1000).min(pace * 2000);
        memory.counted_at = Some(now);
        let allowed = usize::try_from(memory.allowance / 1000).unwrap_or(0).min(old.len());
        memory.allowance -= allowed as i64 * 1000;
        old.truncate(allowed);
        old.into_iter().map(|(_, table)| Arc::clone(table)).collect()
    }

    /// Merges, drops what is past its time, cuts history, deletes.
    pub(crate) async fn tend_files(
        self: &Arc<Inner>,
        memory: &Mutex<Memory>,
        merges: usize,
    ) -> Result<(), LakeError> {
        let now = self.clock.now();
        if is_time(&mut memory.lock().days_at, now, DAYS_EVERY_US) {
            self.find_crowds(now).await?;
        }
        self.drop_deleted().await?;
        let mut left = merges;
        for table in self.tables.list(None) {
            if left == 0 {
                break;
            }
            if table.small_files.load(Ordering::Relaxed) >= CROWD {
                let before = self.counters.files_merged.load(Ordering::Relaxed);
                self.compact_table(&table, CROWD, left).await?;
                if self.counters.files_merged.load(Ordering::Relaxed) > before {
                    left -= 1;
                }
            }
        }
        if is_time(&mut memory.lock().collected_at, now, GARBAGE_EVERY_US) {
            self.collect_garbage().await?;
        }
        if is_time(&mut memory.lock().retained_at, now, RETENTION_EVERY_US) {
            self.retain(now).await?;
        }
        if is_time(&mut memory.lock().expired_at, now, EXPIRY_EVERY_US) {
            self.expire(memory, now).await?;
            self.forget_listings(now.0 - LISTING_IDLE_US);
            self.forget_tokens(now).await?;
        }
        Ok(())
    }

    /// Marks the tables that have files to merge: many of one day, or several of a day that is over.
    async fn find_crowds(&self, now: Timestamp) -> Result<(), LakeError> {
        let below = self.config.file_bytes / 2;
        let today = now.0.div_euclid(DAY_US);
        let crowds = [
            self.catalog.crowded(CROWD, below, today + 1).await?,
            self.catalog.crowded(2, below, today).await?,
        ];
        for key in crowds.into_iter().flatten() {
            if let Some(table) = self.tables.get(&key) {
                table.small_files.fetch_max(CROWD, Ordering::Relaxed);
            }
        }
        Ok(())
    }

    /// Ends the files whose rows are past their time on the arrival clock, and takes from others those that are (see
    /// [`Keeping::fate`]).
    pub(crate) async fn retain(self: &Arc<Inner>, now: Timestamp) -> Result<usize, LakeError> {
        // A merge must not bring back what ends here.
        let _merging = self.merging.lock().await;
        let keeping = self.keeping();
        let mut changed = 0;
        for signal in Signal::ALL {
            let cutoff = now.0.saturating_sub(keeping.shortest(signal));
            let mut due = Due::default();
            for aged in self.catalog.aged(signal, cutoff).await? {
                let kept = keeping.of(aged.project);
                due.note(&aged, kept.end_of(signal, now.0), kept.lag.of(signal));
            }
            changed += self.end_due(due, now).await?;
        }
        Ok(changed + self.retain_streams(now).await?)
    }

    /// Does what is due to files; gives how many there were.
    pub(crate) async fn end_due(self: &Arc<Inner>, due: Due, now: Timestamp) -> Result<usize, LakeError> {
        let mut changed = 0;
        for ((project, name, id), OfTable { ends, parts }) in due.0 {
            changed += ends.len() + parts.len();
            if !ends.is_empty() {
                self.end_files(project, name.clone(), id, ends, now).await?;
            }
            self.trim(project, name, id, parts, now).await?;
        }
        Ok(changed)
    }

    /// Ends files of a table.
    pub(crate) async fn end_files(
        self: &Arc<Inner>,
        project: ProjectId,
        name: TableName,
        id: i64,
        files: Vec<i64>,
        now: Timestamp,
    ) -> Result<(), LakeError> {
        let Some(table) = self.tables.get(&(project, name.clone())) else { return Ok(()) };
        let change = Change {
            project,
            name,
            table: Some(id),
            columns: self.table_columns(&table).await?.as_ref().clone(),
            new_columns: Vec::new(),
            add: Vec::new(),
            remove: files.clone(),
            positions: Vec::new(),
            kind: ChangeKind::Delete,
        };
        let committing = self.committing.lock().await;
        let done = self.catalog.commit(&[change], now, &|| self.new_uuid()).await?;
        self.replace_files(&table, done.snapshot, &files, None);
        self.advance_head(done.snapshot);
        drop(committing);
        Ok(())
    }

    /// Cuts history, then deletes the bytes of files that no snapshot, no pin and no grace holds any more.
    pub(crate) async fn expire(&self, memory: &Mutex<Memory>, now: Timestamp) -> Result<usize, LakeError> {
        let committing = self.committing.lock().await;
        let scheduled = self.catalog.expire(Timestamp(now.0 - self.config.history_us), now).await?;
        let moment = self.pins.moment();
        drop(committing);
        memory.lock().scheduled.extend(scheduled.into_iter().map(|id| (id, moment)));

        let doomed = self.catalog.doomed(Timestamp(now.0 - self.config.grace_us)).await?;
        // Scheduled before the start: whoever read them then is gone.
        let free: Vec<Doomed> = {
            let memory = memory.lock();
            let is_free =
                |file: &Doomed| memory.scheduled.get(&file.id).is_none_or(|at| self.pins.are_past(*at));
            doomed.into_iter().filter(is_free).collect()
        };
        for some in free.chunks(BURIED_AT_ONCE) {
            let paths = some.iter().flat_map(|file| std::iter::once(&file.path).chain(&file.sidecars));
            futures::stream::iter(paths.map(|path| key_of(path)).collect::<Vec<_>>())
                .map(|key| async move {
                    self.forget_open(&key);
                    self.files.delete(&key).await
                })
                .buffer_unordered(DELETES)
                .try_collect::<Vec<()>>()
                .await?;
            self.catalog.buried(some).await?;
            let mut memory = memory.lock();
            for file in some {
                memory.scheduled.remove(&file.id);
            }
        }
        Ok(free.len())
    }
}
