//! Small files become large ones.
//!
//! Files of one day of arrival are merged, smallest first, while the next is no larger than what is gathered so far:
//! each row is rewritten about once for every doubling of its file. A day that is over is merged whole. Files with
//! erased rows are left alone: they are rewritten without those rows, not merged with them.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use candor_model::ProjectId;
use futures::{StreamExt, TryStreamExt};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::LakeError;
use crate::catalog::{Change, ChangeKind, Mergeable, key_of};
use crate::columns::Columns;
use crate::config::DAY_US;
use crate::encode::{Encoded, Encoder};
use crate::inner::{Inner, detached};
use crate::order::Merge;
use crate::promote::{adapt, candidates};
use crate::publish::blocking;
use crate::table::{Listing, Table};

/// So many files of a day are worth a merge while the day lasts.
pub(crate) const CROWD: usize = 8;

/// Files in one merge: each holds a batch of rows in memory.
const INPUTS_MAX: usize = 64;

/// What the inputs of a merge hold before compression, bytes: bounds its memory, and with it the text of one piece,
/// which Arrow addresses with 31 bits.
const RAW_BYTES_MAX: u64 = 512 << 20;

/// Inputs up to this size are always gathered: below it a file is mostly footer.
const TINY_BYTES: u64 = 64 << 10;

/// Rows read from an input at once.
const READ_ROWS: usize = 4096;

/// Inputs fetched at once.
const GETS: usize = 4;

/// How long after its end a day counts as over: tails from before midnight must be published.
const DAY_GRACE_US: i64 = 3600 * 1_000_000;

impl Inner {
    /// Merges what is small in a project or in all; gives how many files were replaced.
    pub(crate) async fn compact(self: &Arc<Inner>, project: Option<ProjectId>) -> Result<usize, LakeError> {
        let inner = Arc::clone(self);
        detached(async move {
            let mut replaced = 0;
            for table in inner.tables.list(project) {
                replaced += inner.compact_table(&table, 2, usize::MAX).await?;
            }
            Ok(replaced)
        })
        .await
    }

    /// Merges files of a table in groups of at least `crowd` (2 on days that are over), at most `merges` groups;
    /// gives how many files were replaced. Must not be cancelled.
    pub(crate) async fn compact_table(
        self: &Arc<Inner>,
        table: &Arc<Table>,
        crowd: usize,
        merges: usize,
    ) -> Result<usize, LakeError> {
        let _merging = self.merging.lock().await;
        let mut replaced = 0;
        for _ in 0..merges {
            let Some(id) = table.state.lock().table else { break };
            let files =
                self.catalog.mergeable(table.project, &table.name, id, self.config.file_bytes / 2).await?;
            let today = (self.clock.now().0 - DAY_GRACE_US).div_euclid(DAY_US);
            let Some(group) = choose(&files, crowd, today, self.config.file_bytes) else {
                table.small_files.store(0, Ordering::Relaxed);
                break;
            };
            self.merge(table, id, &group).await?;
            replaced += group.len();
            self.counters.files_merged.fetch_add(group.len(), Ordering::Relaxed);
        }
        Ok(replaced)
    }

    async fn merge(
        self: &Arc<Inner>,
        table: &Arc<Table>,
        id: i64,
        group: &[Mergeable],
    ) -> Result<(), LakeError> {
        let day = group.first().map_or(0, |file| file.day);
        let rows: u64 = group.iter().map(|file| file.rows).sum();
        let keys: Vec<String> = group.iter().map(|file| key_of(&table.path(&file.path))).collect();
        let inputs: Vec<Bytes> = futures::stream::iter(keys)
            .map(|key| async move {
                let file = self.files.open(&key).await?;
                Ok::<_, LakeError>(file.read(0..file.length()).await?)
            })
            .buffered(GETS)
            .try_collect()
            .await?;
        let columns = self.promoted_for(table, id, inputs.clone()).await?;
        let encoded = {
            let columns = Arc::clone(&columns);
            blocking(move || merged(&columns, inputs, Ok)).await?
        };
        if encoded.summary.rows != rows {
            let found = encoded.summary.rows;
            return Err(LakeError::Inconsistent(format!("files of {rows} rows hold {found}")));
        }
        let (file, bytes) = self.name_file(day, encoded);
        self.store(vec![(table.path(&file.path), bytes)]).await?;
        let ended: Vec<i64> = group.iter().map(|file| file.id).collect();
        let change = Change {
            project: table.project,
            name: table.name.clone(),
            table: Some(id),
            columns: columns.as_ref().clone(),
            new_columns: Vec::new(),
            add: vec![file.clone()],
            remove: ended.clone(),
            positions: Vec::new(),
            kind: ChangeKind::Merge,
        };
        let committing = self.committing.lock().await;
        let done = self.catalog.commit(&[change], self.clock.now(), &|| self.new_uuid()).await?;
        let added = done.tables.first().and_then(|(_, ids)| ids.first()).map(|id| file.listed(*id, table));
        self.replace_files(table, done.snapshot, &ended, added);
        self.advance_head(done.snapshot);
        drop(committing);
        Ok(())
    }

    /// Ends files in a table's list and adds what takes their place.
    pub(crate) fn replace_files(
        &self,
        table: &Table,
        snapshot: i64,
        ended: &[i64],
        added: Option<crate::DataFile>,
    ) {
        let mut state = table.state.lock();
        state.snapshot = snapshot;
        state.generation += 1;
        if let Some(listing) = &mut state.listing {
            let kept = listing.files.iter().filter(|file| !ended.contains(&file.id)).cloned();
            let files = Arc::new(kept.chain(added).collect());
            *listing = Listing { columns: Arc::clone(&listing.columns), files };
        }
    }

    /// The table's columns, with those added that only the rows of many small files show to be frequent.
    async fn promoted_for(
        self: &Arc<Inner>,
        table: &Arc<Table>,
        id: i64,
        inputs: Vec<Bytes>,
    ) -> Result<Arc<Columns>, LakeError> {
        if table.name.is_stream() {
            // Read after the list of files was, so that none of them has a wider one.
            return Ok(Arc::new(self.catalog.columns(&table.name, id).await?));
        }
        let known = self.table_columns(table).await?;
        let found = {
            let known = Arc::clone(&known);
            blocking(move || {
                let mut sample = Vec::new();
                for input in inputs {
                    let reader = ParquetRecordBatchReaderBuilder::try_new(input)?;
                    let reader = reader.with_batch_size(READ_ROWS).build()?;
                    sample.extend(reader.take(1).collect::<Result<Vec<_>, ArrowError>>()?);
                }
                Ok(candidates(&known, &sample.iter().collect::<Vec<_>>()))
            })
            .await?
        };
        if found.is_empty() {
            return Ok(known);
        }
        // Columns are added under the lock of publishes, which add them too.
        let _publishing = self.publishing.lock().await;
        let mut columns = self.table_columns(table).await?.as_ref().clone();
        let taken: Vec<String> =
            columns.schema.fields().iter().map(|field| field.name().to_lowercase()).collect();
        let room = candor_model::limits::PROMOTED_COLUMNS_MAX.saturating_sub(columns.promoted.len());
        columns.promote(
            found.into_iter().filter(|found| !taken.contains(&found.column().to_lowercase())).take(room),
        );
        let new_columns = columns.assign_ids();
        if new_columns.is_empty() {
            return Ok(Arc::new(columns));
        }
        let change = Change {
            project: table.project,
            name: table.name.clone(),
            table: Some(id),
            columns: columns.clone(),
            new_columns,
            add: Vec::new(),
            remove: Vec::new(),
            positions: Vec::new(),
            kind: ChangeKind::Insert,
        };
        let committing = self.committing.lock().await;
        let done = self.catalog.commit(&[change], self.clock.now(), &|| self.new_uuid()).await?;
        let columns = Arc::new(columns);
        let mut state = table.state.lock();
        state.snapshot = done.snapshot;
        state.generation += 1;
        if let Some(listing) = &mut state.listing {
            listing.columns = Arc::clone(&columns);
        }
        drop(state);
        self.advance_head(done.snapshot);
        drop(committing);
        Ok(columns)
    }
}

/// The next files to merge: of one day, smallest first; none where no group is worth it. `files` come by day, then
/// by size.
fn choose(files: &[Mergeable], crowd: usize, today: i64, file_bytes: u64) -> Option<Vec<Mergeable>> {
    files.chunk_by(|a, b| a.day == b.day).find_map(|day| {
        let is_over = day.first().is_some_and(|file| file.day < today);
        let mut group: Vec<Mergeable> = Vec::new();
        let (mut bytes, mut raw) = (0, 0);
        for file in day {
            let grows = is_over || file.bytes <= TINY_BYTES.max(bytes);
            let fits = bytes + file.bytes <= file_bytes && raw + file.raw_bytes <= RAW_BYTES_MAX;
            if !grows || !fits || group.len() == INPUTS_MAX {
                break;
            }
            bytes += file.bytes;
            raw += file.raw_bytes;
            group.push(file.clone());
        }
        (group.len() >= if is_over { 2 } else { crowd.max(2) }).then_some(group)
    })
}

/// What `keep` leaves of the rows of files, in one.
pub(crate) fn merged(
    columns: &Columns,
    inputs: Vec<Bytes>,
    keep: impl Fn(RecordBatch) -> Result<RecordBatch, LakeError>,
) -> Result<Encoded, LakeError> {
    let readers = inputs
        .into_iter()
        .map(|input| {
            let reader =
                ParquetRecordBatchReaderBuilder::try_new(input)?.with_batch_size(READ_ROWS).build()?;
            Ok(Adapted { reader, columns })
        })
        .collect::<Result<Vec<_>, LakeError>>()?;
    let mut merge = Merge::new(readers)?;
    let mut encoder = Encoder::new(columns)?;
    while let Some(chunk) = merge.next_chunk()? {
        let kept = keep(chunk)?;
        if kept.num_rows() > 0 {
            encoder.write(&kept)?;
        }
    }
    encoder.finish()
}

/// An input in the columns of the table.
struct Adapted<'a, R> {
    reader: R,
    columns: &'a Columns,
}

impl<R: Iterator<Item = Result<RecordBatch, ArrowError>>> Iterator for Adapted<'_, R> {
    type Item = Result<RecordBatch, LakeError>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.reader.next()?;
        Some(batch.and_then(|batch| adapt(self.columns, &batch)).map_err(LakeError::from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(day: i64, bytes: u64) -> Mergeable {
        Mergeable { id: bytes as i64, path: String::new(), bytes, raw_bytes: bytes * 10, rows: 1, day }
    }

    fn chosen(files: &[Mergeable], crowd: usize, today: i64) -> Vec<u64> {
        let group = choose(files, crowd, today, 32 << 20).unwrap_or_default();
        group.into_iter().map(|file| file.bytes).collect()
    }

    #[test]
    fn a_group_is_of_one_day_and_grows_by_files_no_larger_than_itself() {
        let mib = 1 << 20;
        assert!(chosen(&[file(1, 10), file(2, 10), file(2, 11)], 3, 1).is_empty());
        assert_eq!(chosen(&[file(1, 10), file(2, 10), file(2, 11), file(2, 12)], 3, 1), [10, 11, 12]);
        assert_eq!(chosen(&[file(2, 10), file(2, 11), file(2, 12), file(2, mib)], 3, 1), [10, 11, 12]);
        assert_eq!(chosen(&[file(0, 10), file(0, mib)], 8, 1), [10, mib]);
        let large: Vec<_> = (0..9).map(|n| file(2, 10 * mib + n)).collect();
        assert!(chosen(&large, 3, 1).is_empty());
    }
}
