//! Files that hold rows past their time beside others that are not are written anew without them.
//!
//! A file holds up to a day of arrival. Where the policy wants bytes gone sooner than the newest row of a file is past
//! its time, the file cannot wait for it, and what is still to be kept must not go with the rest.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow::array::{AsArray, BooleanArray};
use arrow::compute::filter_record_batch;
use arrow::datatypes::TimestampMicrosecondType;
use arrow::record_batch::RecordBatch;
use candor_model::{ProjectId, Timestamp};

use crate::LakeError;
use crate::catalog::{Change, ChangeKind, key_of};
use crate::columns::INGESTED_AT;
use crate::compact::merged;
use crate::inner::Inner;
use crate::name::TableName;
use crate::publish::blocking;

/// A file of which a part is past its time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Part {
    pub(crate) file: i64,
    /// Rows that came before this moment are past their time, µs.
    pub(crate) end: i64,
}

impl Inner {
    /// Writes files of a table anew without the rows that are past their time. A file of which rows were denied is left
    /// to whoever rewrites those, and ended whole if nobody did. The caller holds the lock of merges.
    pub(crate) async fn trim(
        self: &Arc<Inner>,
        project: ProjectId,
        name: TableName,
        id: i64,
        parts: Vec<Part>,
        now: Timestamp,
    ) -> Result<(), LakeError> {
        let Some(table) = self.tables.get(&(project, name.clone())) else { return Ok(()) };
        let files = self.catalog.mergeable(project, &name, id, i64::MAX as u64).await?;
        for Part { file, end } in parts {
            let Some(whole) = files.iter().find(|whole| whole.id == file) else {
                self.end_files(project, name.clone(), id, vec![file], now).await?;
                continue;
            };
            let stored = self.files.open(&key_of(&table.path(&whole.path))).await?;
            let input = stored.read(0..stored.length()).await?;
            // Read after the list of files was, so that none of them has a wider one.
            let columns = match table.name.is_stream() {
                true => Arc::new(self.catalog.columns(&table.name, id).await?),
                false => self.table_columns(&table).await?,
            };
            let encoded = {
                let columns = Arc::clone(&columns);
                blocking(move || merged(&columns, vec![input], |rows| since(&rows, end))).await?
            };
            if encoded.summary.rows == 0 {
                self.end_files(project, name.clone(), id, vec![file], now).await?;
                continue;
            }
            let (kept, bytes) = self.name_file(whole.day, encoded);
            self.store(vec![(table.path(&kept.path), bytes)]).await?;
            let change = Change {
                project,
                name: name.clone(),
                table: Some(id),
                columns: columns.as_ref().clone(),
                new_columns: Vec::new(),
                add: vec![kept.clone()],
                remove: vec![file],
                positions: Vec::new(),
                kind: ChangeKind::Delete,
            };
            let committing = self.committing.lock().await;
            let done = self.catalog.commit(&[change], now, &|| self.new_uuid()).await?;
            let added =
                done.tables.first().and_then(|(_, ids)| ids.first()).map(|id| kept.listed(*id, &table));
            self.replace_files(&table, done.snapshot, &[file], added);
            self.advance_head(done.snapshot);
            drop(committing);
            self.counters.files_merged.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// The rows that came at `end` or later.
fn since(rows: &RecordBatch, end: i64) -> Result<RecordBatch, LakeError> {
    let came = rows
        .column_by_name(INGESTED_AT)
        .and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>())
        .ok_or_else(|| LakeError::Inconsistent(format!("a file has no column {INGESTED_AT}")))?;
    let is_kept: BooleanArray = came.iter().map(|came| Some(came.is_some_and(|came| came >= end))).collect();
    Ok(filter_record_batch(rows, &is_kept)?)
}
