//! From the tail to files: sort, encode, store, commit, swap.
//!
//! Objects are written before the commit that names them, and an intent before the objects, so that a crash between
//! leaves garbage that the next start finds by name. Files and the position in the log are one transaction: what is
//! replayed after a crash is exactly what no file holds. Only then, under the table's lock, do the rows leave the
//! tail and the files join the list.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow::array::AsArray;
use arrow::compute::{concat_batches, interleave_record_batch};
use arrow::datatypes::TimestampMicrosecondType;
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use candor_model::{Offset, Partition, ProjectId};
use candor_store::FileKind;
use futures::{StreamExt, TryStreamExt};

use crate::LakeError;
use crate::catalog::{Change, ChangeKind, NewFile, key_of, schema_folder};
use crate::columns::{CatalogColumn, Columns, INGESTED_AT};
use crate::config::DAY_US;
use crate::encode::{Encoded, Encoder};
use crate::inner::{Inner, detached};
use crate::order::{CHUNK_ROWS, sorted};
use crate::pin::DataFile;
use crate::promote::{adapt, candidates};
use crate::table::{Listing, Table};
use crate::tail::Taken;

/// Tables in one round, under one commit: bounds the rows of a transaction.
const ROUND_TABLES: usize = 64;

/// Bytes of tails in one round: bounds what is encoded and not stored yet.
const ROUND_BYTES: usize = 128 << 20;

/// Objects written at once: hides the latency of a sync or of S3.
const PUTS: usize = 8;

/// What a table gives to a round. Goes back into the tail unless it was swapped.
struct Job {
    table: Arc<Table>,
    taken: Vec<Taken>,
    /// From the tail, not from the log's backlog.
    from_tail: bool,
    swapped: bool,
}

impl Drop for Job {
    fn drop(&mut self) {
        if self.from_tail && !self.swapped {
            let mut state = self.table.state.lock();
            for tail in &mut state.partitions {
                tail.restore();
            }
        }
    }
}

/// A table's rows as files, not stored yet.
struct Prepared {
    columns: Columns,
    new_columns: Vec<CatalogColumn>,
    files: Vec<(NewFile, Bytes)>,
}

impl Inner {
    /// Publishes the tails of a project or of all; gives the snapshot.
    pub(crate) async fn flush(self: &Arc<Inner>, project: Option<ProjectId>) -> Result<i64, LakeError> {
        let inner = Arc::clone(self);
        detached(async move {
            let tables = inner.tables.list(project);
            for table in &tables {
                inner.make_whole(table).await?;
            }
            inner.publish(tables, None).await?;
            inner.publish_streams(&inner.unpublished_streams(project), usize::MAX).await?;
            Ok(inner.head())
        })
        .await
    }

    /// Publishes these tables, all or until the time is up. Must not be cancelled: call it from a task of its own.
    pub(crate) async fn publish(
        self: &Arc<Inner>,
        mut tables: Vec<Arc<Table>>,
        until: Option<tokio::time::Instant>,
    ) -> Result<(), LakeError> {
        let _publishing = self.publishing.lock().await;
        // Large first: where time is short, most memory and most of the later replay go.
        tables.retain(|table| table.is_whole() && !self.has_ended(table));
        tables.sort_by_key(|table| std::cmp::Reverse(table.tail_bytes.load(Ordering::Relaxed)));
        let mut tables = tables.into_iter().peekable();
        while tables.peek().is_some() {
            if until.is_some_and(|until| tokio::time::Instant::now() >= until) {
                return Ok(());
            }
            let mut jobs = Vec::new();
            let mut bytes = 0;
            while jobs.len() < ROUND_TABLES && bytes < ROUND_BYTES {
                let Some(table) = tables.next() else { break };
                bytes += table.tail_bytes.load(Ordering::Relaxed);
                let taken: Vec<Taken> = {
                    let mut state = table.state.lock();
                    let passes = table.name.is_stream();
                    state.partitions.iter_mut().filter_map(|tail| tail.take(passes)).collect()
                };
                if !taken.is_empty() {
                    jobs.push(Job { table, taken, from_tail: true, swapped: false });
                }
            }
            let published = self.round(jobs).await;
            match &published {
                Ok(()) => self.failures.store(0, Ordering::Relaxed),
                Err(_) => {
                    self.failures.fetch_add(1, Ordering::Relaxed);
                }
            }
            published?;
        }
        Ok(())
    }

    /// Publishes rows read back from the log that do not fit into a tail.
    pub(crate) async fn publish_backlog(
        self: &Arc<Inner>,
        table: &Arc<Table>,
        partition: Partition,
        batches: Vec<RecordBatch>,
        to: Offset,
    ) -> Result<(), LakeError> {
        let _publishing = self.publishing.lock().await;
        let from = table.state.lock().partition(partition, to).published;
        let taken = vec![Taken { partition, batches, from, to }];
        self.round(vec![Job { table: Arc::clone(table), taken, from_tail: false, swapped: false }]).await
    }

    async fn round(self: &Arc<Inner>, mut jobs: Vec<Job>) -> Result<(), LakeError> {
        if jobs.is_empty() {
            return Ok(());
        }
        let mut prepared = Vec::with_capacity(jobs.len());
        for job in &jobs {
            prepared.push(self.prepare(job).await?);
        }
        let objects: Vec<(String, Bytes)> = jobs
            .iter()
            .zip(&prepared)
            .flat_map(|(job, prepared)| {
                prepared.files.iter().map(|(file, bytes)| (job.table.path(&file.path), bytes.clone()))
            })
            .collect();
        self.store(objects).await?;

        let changes: Vec<Change> = jobs
            .iter()
            .zip(&prepared)
            .map(|(job, prepared)| Change {
                project: job.table.project,
                name: job.table.name.clone(),
                table: job.table.state.lock().table,
                columns: prepared.columns.clone(),
                new_columns: prepared.new_columns.clone(),
                add: prepared.files.iter().map(|(file, _)| file.clone()).collect(),
                remove: Vec::new(),
                positions: job.taken.iter().map(|taken| (taken.partition, taken.from, taken.to)).collect(),
                kind: ChangeKind::Insert,
            })
            .collect();
        let committing = self.committing.lock().await;
        let done = self.catalog.commit(&changes, self.clock.now(), &|| self.new_uuid()).await?;
        for ((job, prepared), (table, ids)) in jobs.iter_mut().zip(&prepared).zip(&done.tables) {
            let files: Vec<DataFile> =
                prepared.files.iter().zip(ids).map(|((file, _), id)| file.listed(*id, &job.table)).collect();
            self.swap(job, *table, done.snapshot, Arc::new(prepared.columns.clone()), files);
        }
        self.advance_head(done.snapshot);
        drop(committing);
        for job in &jobs {
            let topic = candor_log::Topic { project: job.table.project, name: job.table.name.topic() };
            for taken in &job.taken {
                self.source.consumed(&topic, taken.partition, taken.to);
            }
        }
        Ok(())
    }

    /// Rows leave the tail and files join the list, at once for whoever looks.
    fn swap(&self, job: &mut Job, table: i64, snapshot: i64, columns: Arc<Columns>, files: Vec<DataFile>) {
        let small = files.iter().filter(|file| file.length < self.config.file_bytes / 2).count();
        self.counters.files_published.fetch_add(files.len(), Ordering::Relaxed);
        let rows: u64 = files.iter().map(|file| file.rows).sum();
        self.counters.rows_published.fetch_add(rows as usize, Ordering::Relaxed);
        job.table.small_files.fetch_add(small, Ordering::Relaxed);

        let mut state = job.table.state.lock();
        for taken in &job.taken {
            let tail = state.partition(taken.partition, taken.to);
            if job.from_tail {
                tail.release();
            } else {
                tail.published = Some(taken.to);
            }
        }
        state.table = Some(table);
        state.snapshot = snapshot;
        state.generation += 1;
        if let Some(seen) = &mut state.seen {
            Arc::make_mut(seen).adopt_ids(&columns);
        }
        if let Some(listing) = &mut state.listing {
            let mut all = Vec::with_capacity(listing.files.len() + files.len());
            all.extend(listing.files.iter().cloned());
            all.extend(files);
            *listing = Listing { columns, files: Arc::new(all) };
        }
        self.tables.account(&job.table, &state);
        job.swapped = true;
    }

    /// Sorts and encodes, off the async threads.
    async fn prepare(&self, job: &Job) -> Result<Prepared, LakeError> {
        let seen = job.table.state.lock().seen.clone();
        let columns = match seen {
            Some(seen) => seen,
            None => self.table_columns(&job.table).await?,
        };
        let batches: Vec<RecordBatch> =
            job.taken.iter().flat_map(|taken| taken.batches.iter().cloned()).collect();
        let (mut prepared, encoded) = blocking(move || {
            let mut columns = columns.as_ref().clone();
            let refs: Vec<&RecordBatch> = batches.iter().collect();
            columns.promote(candidates(&columns, &refs));
            let new_columns = columns.assign_ids();
            let mut encoded = Vec::new();
            for (day, rows) in by_day(&refs, columns.is_stream) {
                encoded.push((day, encode(&columns, &refs, &rows)?));
            }
            Ok((Prepared { columns, new_columns, files: Vec::new() }, encoded))
        })
        .await?;
        for (day, encoded) in encoded {
            prepared.files.push(self.name_file(day, encoded));
        }
        Ok(prepared)
    }

    /// A table's columns as the catalog has them.
    pub(crate) async fn table_columns(&self, table: &Table) -> Result<Arc<Columns>, LakeError> {
        let id = {
            let state = table.state.lock();
            if let Some(listing) = &state.listing {
                return Ok(Arc::clone(&listing.columns));
            }
            state.table
        };
        Ok(Arc::new(match id {
            Some(id) => self.catalog.columns(&table.name, id).await?,
            None => Columns::new(&table.name),
        }))
    }

    /// Gives an encoded file its name.
    pub(crate) fn name_file(&self, day: i64, encoded: Encoded) -> (NewFile, Bytes) {
        let file = NewFile {
            path: format!("{}/{}.parquet", day_name(day), self.new_uuid()),
            length: encoded.bytes.len() as u64,
            footer: encoded.footer,
            raw_bytes: encoded.raw_bytes,
            day,
            summary: encoded.summary,
        };
        (file, encoded.bytes)
    }

    /// Notes what is about to be written, then writes it.
    pub(crate) async fn store(&self, objects: Vec<(String, Bytes)>) -> Result<(), LakeError> {
        let paths: Vec<String> = objects.iter().map(|(path, _)| path.clone()).collect();
        self.catalog.intend(&paths).await?;
        futures::stream::iter(objects.into_iter().map(Ok))
            .try_for_each_concurrent(PUTS, |(path, bytes)| async move {
                self.files.put(&key_of(&path), FileKind::Parquet, bytes).await?;
                Ok(())
            })
            .await
    }

    /// Removes the objects of writes that no commit took. Those are given up first, while nothing is under way, so that
    /// no commit can still name them. Each is removed twice, in two rounds: a put that failed here may arrive late.
    pub(crate) async fn collect_garbage(&self) -> Result<usize, LakeError> {
        if !self.catalog.has_intents().await? {
            return Ok(0);
        }
        let (mut paths, before) = {
            let _merging = self.merging.lock().await;
            let _publishing = self.publishing.lock().await;
            self.catalog.give_up_intents().await?
        };
        let keys: Vec<String> = paths.iter().map(|path| key_of(path)).collect();
        futures::stream::iter(keys)
            .map(|key| async move { self.files.delete(&key).await })
            .buffer_unordered(PUTS)
            .try_collect::<Vec<()>>()
            .await?;
        let collected = paths.len();
        paths.truncate(before);
        self.catalog.forget_intents(&paths).await?;
        Ok(collected)
    }
}

impl Table {
    /// A file's path below the data path.
    pub(crate) fn path(&self, file: &str) -> String {
        format!("{}{}{file}", schema_folder(self.project), self.name.folder())
    }
}

impl NewFile {
    /// As a query sees it.
    pub(crate) fn listed(&self, id: i64, table: &Table) -> DataFile {
        DataFile {
            id,
            key: key_of(&table.path(&self.path)),
            length: self.length,
            footer: self.footer,
            rows: self.summary.rows,
            timestamps: self.summary.timestamps,
            ingested: self.summary.ingested,
            columns: Arc::clone(&self.summary.columns),
        }
    }
}

/// Work that keeps a core busy, on a thread that may be kept busy.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LakeError> + Send + 'static,
) -> Result<T, LakeError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(stopped) if stopped.is_panic() => std::panic::resume_unwind(stopped.into_panic()),
        Err(_) => Err(LakeError::Closed),
    }
}

/// The rows in order, by the day of their arrival: a file never spans two, so retention drops whole files. Records of a
/// stream stay in the order of the log.
fn by_day(batches: &[&RecordBatch], is_stream: bool) -> Vec<(i64, Vec<(usize, usize)>)> {
    let ingested: Vec<&[i64]> = batches
        .iter()
        .map(|batch| {
            let column = batch.column_by_name(INGESTED_AT);
            column
                .and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>())
                .map_or(&[] as &[i64], |times| times.values())
        })
        .collect();
    let day_of = |batch: usize, row: usize| {
        let time = ingested.get(batch).and_then(|times| times.get(row)).copied().unwrap_or(0);
        time.div_euclid(DAY_US)
    };
    let mut days: Vec<(i64, Vec<(usize, usize)>)> = Vec::new();
    let rows = match is_stream {
        true => as_they_are(batches),
        false => sorted(batches),
    };
    for (batch, row) in rows {
        let day = day_of(batch, row);
        match days.iter_mut().find(|(known, _)| *known == day) {
            Some((_, rows)) => rows.push((batch, row)),
            None => days.push((day, vec![(batch, row)])),
        }
    }
    days
}

fn encode(
    columns: &Columns,
    batches: &[&RecordBatch],
    rows: &[(usize, usize)],
) -> Result<Encoded, LakeError> {
    let mut encoder = Encoder::new(columns)?;
    for piece in rows.chunks(CHUNK_ROWS) {
        let chunk = match columns.is_stream {
            true => alike(columns, batches, piece)?,
            false => interleave_record_batch(batches, piece)?,
        };
        encoder.write(&adapt(columns, &chunk)?)?;
    }
    encoder.finish()
}

fn as_they_are(batches: &[&RecordBatch]) -> Vec<(usize, usize)> {
    let rows = batches.iter().enumerate();
    rows.flat_map(|(at, batch)| (0..batch.num_rows()).map(move |row| (at, row))).collect()
}

/// Rows of a stream's batches in the table's columns: each batch has the fields that its own records had.
fn alike(
    columns: &Columns,
    batches: &[&RecordBatch],
    rows: &[(usize, usize)],
) -> Result<RecordBatch, LakeError> {
    let mut pieces = Vec::new();
    for run in rows.chunk_by(|a, b| a.0 == b.0 && a.1 + 1 == b.1) {
        let Some((at, first)) = run.first().copied() else { continue };
        let Some(batch) = batches.get(at) else { continue };
        pieces.push(adapt(columns, &batch.slice(first, run.len()))?);
    }
    Ok(concat_batches(&columns.schema, &pieces)?)
}

/// A day as folders name it: `2026-11-20`.
fn day_name(day: i64) -> String {
    jiff::Timestamp::from_second(day.saturating_mul(86_400))
        .map_or_else(|_| format!("day{day}"), |time| time.strftime("%Y-%m-%d").to_string())
}
