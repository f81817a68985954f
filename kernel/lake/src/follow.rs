//! Rows from the log into the tails: live ones as they are committed, older ones read back at start.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use arrow::record_batch::RecordBatch;
use candor_log::{Committed, Follower};
use candor_model::{Offset, Timestamp};

use crate::LakeError;
use crate::inner::{Inner, detached};
use crate::name::TableName;
use crate::table::{Backlog, Table, TableKey};
use crate::tail::rows_of;

/// Read from the log at once when catching up, bytes as stored.
const READ_BYTES: usize = 4 << 20;

/// What the log calls. Weak: the log outlives a lake that was dropped.
pub(crate) struct LogFollower(pub(crate) Weak<Inner>);

impl Follower for LogFollower {
    fn committed(&self, batches: &[Committed]) {
        let Some(inner) = self.0.upgrade() else { return };
        if let Some(aside) = &mut *inner.aside.lock() {
            aside.extend(batches.iter().cloned());
            return;
        }
        inner.take_all(batches);
    }
}

impl Inner {
    /// Takes what was committed while the lake started, and from now on what is, in order.
    pub(crate) fn take_aside(&self) {
        let mut aside = self.aside.lock();
        if let Some(batches) = aside.take() {
            self.take_all(&batches);
        }
    }

    fn take_all(&self, batches: &[Committed]) {
        let mut is_full = self.tables.bytes() >= self.config.total_bytes;
        for batch in batches {
            match self.take_live(batch) {
                Ok(bytes) => is_full |= bytes >= self.config.table_bytes,
                Err(error) => {
                    // The rows are safe in the log, but not shown until the next start reads them back. Nothing
                    // more may be acknowledged into that dark.
                    self.broken.store(true, Ordering::Relaxed);
                    tracing::error!(
                        project = %batch.topic.project, topic = %batch.topic.name, offset = %batch.base,
                        error = %candor_model::chain(&error), "committed rows cannot be shown"
                    );
                }
            }
        }
        if is_full {
            self.wake.notify_one();
        }
    }

    /// Adds a batch to its tail; gives the bytes of the table's tails.
    fn take_live(&self, batch: &Committed) -> Result<usize, LakeError> {
        let project = batch.topic.project;
        if self.is_dropped(project) {
            return Ok(0);
        }
        let key: TableKey = (project, TableName::of(&batch.topic.name));
        let Some(signal) = key.1.signal() else {
            self.note_stream(key, batch);
            return Ok(0);
        };
        // Outside the lock: a query must not wait for it.
        let rows = rows_of(signal, batch)?;
        let table = self.tables.get_or_make(key, |key| Table::new(key, None, self.head(), Vec::new()));
        let mut state = table.state.lock();
        let tail = state.partition(batch.partition, batch.base);
        let end = Offset(batch.base.0 + u64::from(batch.count));
        if end <= tail.next {
            return Ok(0);
        }
        if batch.base != tail.next {
            return Err(LakeError::Inconsistent(format!(
                "expected offset {}, got {}",
                tail.next, batch.base
            )));
        }
        tail.push(rows, batch.ingested_at, end, None)?;
        self.tables.account(&table, &state);
        table.touched.store(true, Ordering::Relaxed);
        Ok(state.bytes())
    }

    /// Waits until the table holds all that was in the log when the lake started. The reading goes on where the
    /// caller goes away.
    pub(crate) async fn make_whole(self: &Arc<Inner>, table: &Arc<Table>) -> Result<(), LakeError> {
        if table.is_whole() {
            return Ok(());
        }
        let (inner, table) = (Arc::clone(self), Arc::clone(table));
        detached(async move { table.whole.get_or_try_init(|| inner.catch_up(&table)).await.copied() }).await
    }

    async fn catch_up(self: &Arc<Inner>, table: &Arc<Table>) -> Result<(), LakeError> {
        for backlog in &table.backlog {
            self.catch_up_partition(table, *backlog).await?;
        }
        Ok(())
    }

    /// Reads a partition's backlog. More than a tail may hold is published on the way, so that a long absence does
    /// not need its rows in memory.
    async fn catch_up_partition(
        self: &Arc<Inner>,
        table: &Arc<Table>,
        backlog: Backlog,
    ) -> Result<(), LakeError> {
        // Only signals have one.
        let Some(signal) = table.name.signal() else { return Ok(()) };
        let topic = candor_log::Topic { project: table.project, name: signal.topic() };
        // An attempt that failed half way may have published a part.
        let published = {
            let mut state = table.state.lock();
            state.partition(backlog.partition, backlog.until).published
        };
        let mut next = published.map_or(backlog.from, |at| at.max(backlog.from));
        let mut older: Vec<(RecordBatch, Timestamp)> = Vec::new();
        let mut bytes = 0;
        while next < backlog.until {
            let read = self.source.read(&topic, backlog.partition, next, READ_BYTES).await?;
            let from = next;
            for batch in read {
                if batch.base >= backlog.until {
                    break;
                }
                // Only what was let go of at the front may be missing: retention, a deletion.
                if batch.base > next && self.source.log_start(&topic, backlog.partition) < batch.base {
                    return Err(LakeError::Inconsistent(format!(
                        "expected offset {next} of the log, got {}",
                        batch.base
                    )));
                }
                // The log may have put batches together since: take only what lies beyond.
                let end = batch.base.0 + u64::from(batch.count);
                let skip = next.0.saturating_sub(batch.base.0).min(u64::from(batch.count)) as usize;
                let rows = rows_of(signal, &batch)?;
                let rows = rows.slice(skip, rows.num_rows() - skip);
                if rows.num_rows() == 0 {
                    continue;
                }
                next = Offset(end);
                bytes += rows.get_array_memory_size();
                older.push((rows, batch.ingested_at));
            }
            if next == from {
                return Err(LakeError::Inconsistent(format!("the log holds nothing at offset {next}")));
            }
            if bytes >= self.config.table_bytes {
                let rows = std::mem::take(&mut older).into_iter().map(|(rows, _)| rows).collect();
                self.publish_backlog(table, backlog.partition, rows, next).await?;
                bytes = 0;
            }
            tokio::task::yield_now().await;
        }
        let mut state = table.state.lock();
        let tail = state.partition(backlog.partition, backlog.until);
        tail.put_before(older)?;
        tail.fold(None)?;
        self.tables.account(table, &state);
        table.touched.store(true, Ordering::Relaxed);
        Ok(())
    }
}
