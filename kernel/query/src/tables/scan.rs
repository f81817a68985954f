//! A pinned table as the engine scans it: the tail in memory and the files beyond it, one after another.
//!
//! Filters are evaluated here, once over the tail and once over the files, so that each side gets the best plan:
//! the engine's own rule pushes the files' filter into the Parquet decoder where the query asked for that.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use candor_lake::{DataFile, TableName};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DFSchema, Result, ScalarValue, Statistics, ToDFSchema};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::datasource::physical_plan::{
    FileGroup, FileGroupPartitioner, FileScanConfigBuilder, ParquetSource,
};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType, col, lit};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};
use parking_lot::Mutex;

use super::cache::FileCache;
use super::chain::ChainExec;
use super::promoted::{self, PromotedFactory};
use super::prune;
use super::reader::{ReadCounts, StoredFiles};
use crate::source::{Scoped, View};

/// Batches of the tail smaller than this are put together before they are worked on: one append may be one row.
const TAIL_BATCH_ROWS_MIN: usize = 1024;

/// Most rows of a piece of the tail: the engine's own batch.
const TAIL_PIECE_ROWS_MAX: usize = 8192;

/// With so many files a partition there is work for all without cutting files.
const FILES_A_PARTITION: usize = 4;

/// Files of less than this in all are not cut: about two row groups.
const CUT_BYTES_MIN: usize = 2 << 20;

/// Most bytes of a batch from files, by what their rows take on average: an event may be as long as a book.
const BATCH_BYTES: usize = 16 << 20;

/// Fewest rows of such a batch.
const BATCH_ROWS_MIN: usize = 64;

/// How many times as long as in its file a row is in memory, about.
const UNPACKED: usize = 8;

/// Columns that may be long. Without them a batch has as many rows as any.
const LONG: [&str; 8] = ["body", "key", "value", "headers", "event", "contexts", "attributes", "tags"];

/// What a query took from tables, beside what its plan's own metrics say.
#[derive(Debug, Default)]
pub(crate) struct ScanCounts {
    /// What was read from files.
    pub(crate) read: Arc<ReadCounts>,
    /// Rows of the tail that were looked at.
    pub(crate) tail_rows: AtomicU64,
    /// Bytes of the tail that were looked at.
    pub(crate) tail_bytes: AtomicU64,
    /// Files of the tables that were scanned, pruned or not.
    known: Mutex<HashMap<TableName, u64>>,
}

impl ScanCounts {
    /// Files of the tables that were scanned, pruned or not.
    pub(crate) fn files_known(&self) -> u64 {
        self.known.lock().values().sum()
    }
}

/// A pinned table.
pub(crate) struct PinnedTable {
    pinned: View,
    tables: Arc<dyn Scoped>,
    cache: Arc<FileCache>,
    counts: Arc<ScanCounts>,
}

impl PinnedTable {
    /// For a table of `tables`.
    pub(crate) fn new(
        pinned: View,
        tables: Arc<dyn Scoped>,
        cache: Arc<FileCache>,
        counts: Arc<ScanCounts>,
    ) -> PinnedTable {
        PinnedTable { pinned, tables, cache, counts }
    }

    /// The tail's scan; none where it is empty.
    fn scan_tail(&self, columns: &[usize], partitions: usize) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let rows = self.tail_rows();
        if rows == 0 {
            return Ok(None);
        }
        let schema = Arc::new(self.pinned.schema.project(columns)?);
        let batches = put_together(&self.pinned.tail, columns, &schema)?;
        let bytes: usize = batches.iter().map(slice_bytes).sum();
        self.counts.tail_rows.fetch_add(rows as u64, Ordering::Relaxed);
        self.counts.tail_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        Ok(Some(MemorySourceConfig::try_new_exec(&dealt(batches, rows, partitions), schema, None)?))
    }

    /// What a row that is past its time fails; none where there is no such row.
    fn in_time(&self) -> Option<Expr> {
        let not_before = ScalarValue::TimestampMicrosecond(Some(self.pinned.not_before?), Some("UTC".into()));
        Some(col("_ingested_at").gt_eq(lit(not_before)))
    }

    fn tail_rows(&self) -> usize {
        self.pinned.tail.iter().map(RecordBatch::num_rows).sum()
    }

    /// The files' scan; none where there is nothing to read.
    fn scan_files(
        &self,
        files: &[DataFile],
        columns: &[usize],
        limit: Option<usize>,
        implied: Option<Arc<dyn PhysicalExpr>>,
        partitions: usize,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        if files.is_empty() {
            return Ok(None);
        }
        let schema = &self.pinned.schema;
        let mut newest_first: Vec<&DataFile> = files.iter().collect();
        newest_first.sort_by_key(|file| std::cmp::Reverse((file.timestamps.1, file.id)));
        let mut groups: Vec<Vec<PartitionedFile>> = vec![Vec::new(); partitions.clamp(1, files.len())];
        let dealt = groups.len();
        let bytes: u64 = files.iter().map(|file| file.length).sum();
        let mut all = Vec::with_capacity(files.len());
        for (at, file) in newest_first.into_iter().enumerate() {
            let statistics = Arc::new(prune::statistics(file, schema));
            all.push(Arc::clone(&statistics));
            let partitioned = PartitionedFile::new(shown_name(file), file.length).with_statistics(statistics);
            groups[at % dealt].push(partitioned);
        }
        let statistics = Statistics::try_merge_iter(all.iter().map(Arc::as_ref), schema)?;
        let reader = StoredFiles::new(
            Arc::clone(&self.tables),
            files.iter(),
            Arc::clone(&self.cache),
            Arc::clone(&self.counts.read),
        );
        let mut source = ParquetSource::new(TableSchema::from(Arc::clone(schema)))
            .with_parquet_file_reader_factory(Arc::new(reader));
        if let Some(implied) = implied {
            source = source.with_predicate(implied);
        }
        let groups: Vec<FileGroup> = groups.into_iter().map(FileGroup::new).collect();
        // A few large files are cut at row groups, so that all threads have work; many are taken one by one.
        let few = files.len() < partitions * FILES_A_PARTITION;
        let cut = FileGroupPartitioner::new()
            .with_target_partitions(partitions)
            .with_repartition_file_min_size(CUT_BYTES_MIN)
            .repartition_file_groups(&groups)
            .filter(|_| few && bytes >= CUT_BYTES_MIN as u64);
        let config = FileScanConfigBuilder::new(lake_url()?, Arc::new(source))
            .with_file_groups(cut.unwrap_or(groups))
            .with_statistics(statistics)
            .with_expr_adapter(Some(Arc::new(PromotedFactory)))
            .with_projection_indices(Some(columns.to_vec()))?
            .with_limit(limit)
            .with_batch_size(batch_rows(files, columns.iter().map(|at| schema.field(*at).name())))
            .build();
        Ok(Some(DataSourceExec::from_data_source(config)))
    }
}

/// How many rows a batch of these columns may have; none for as many as any.
fn batch_rows<'a>(files: &[DataFile], mut columns: impl Iterator<Item = &'a String>) -> Option<usize> {
    if !columns.any(|name| LONG.contains(&name.as_str())) {
        return None;
    }
    let longest = files.iter().map(|file| file.length as usize / (file.rows.max(1) as usize)).max()?;
    let rows = BATCH_BYTES / longest.saturating_mul(UNPACKED).max(1);
    (rows < TAIL_PIECE_ROWS_MAX).then(|| rows.max(BATCH_ROWS_MIN))
}

/// The name that EXPLAIN shows of a file: its key in the store is nobody's but ours.
pub(crate) fn shown_name(file: &DataFile) -> String {
    format!("file-{}", file.id)
}

/// Deals rows out evenly, newest first, so that every partition begins with what a limit wants and all end the tail
/// at about the same time.
fn dealt(batches: Vec<RecordBatch>, rows: usize, partitions: usize) -> Vec<Vec<RecordBatch>> {
    let partitions = partitions.clamp(1, rows.max(1));
    let mut parts: Vec<Vec<RecordBatch>> = vec![Vec::new(); partitions];
    let piece_rows = rows.div_ceil(partitions).clamp(TAIL_BATCH_ROWS_MIN, TAIL_PIECE_ROWS_MAX);
    let mut next = 0;
    for batch in batches.iter().rev() {
        let mut end = batch.num_rows();
        while end > 0 {
            let start = end.saturating_sub(piece_rows);
            parts[next % partitions].push(batch.slice(start, end - start));
            next += 1;
            end = start;
        }
    }
    parts
}

/// The name under which the engine looks a store up; nothing is read through that store.
pub(crate) fn lake_url() -> Result<ObjectStoreUrl> {
    ObjectStoreUrl::parse("lake://files")
}

/// Projects batches and puts neighbours together until each is worth a call.
fn put_together(tail: &[RecordBatch], columns: &[usize], schema: &SchemaRef) -> Result<Vec<RecordBatch>> {
    let mut together = Vec::new();
    let mut waiting: Vec<RecordBatch> = Vec::new();
    let mut waiting_rows = 0;
    let mut flush = |waiting: &mut Vec<RecordBatch>| -> Result<()> {
        match waiting.len() {
            0 => {}
            1 => together.append(waiting),
            _ => {
                together.push(datafusion::arrow::compute::concat_batches(schema, waiting.iter())?);
                waiting.clear();
            }
        }
        Ok(())
    };
    for batch in tail.iter().filter(|batch| batch.num_rows() > 0) {
        let batch = batch.project(columns)?;
        let rows = batch.num_rows();
        if rows >= TAIL_BATCH_ROWS_MIN {
            flush(&mut waiting)?;
            waiting_rows = 0;
        }
        waiting_rows += rows;
        waiting.push(batch);
        if waiting_rows >= TAIL_BATCH_ROWS_MIN {
            flush(&mut waiting)?;
            waiting_rows = 0;
        }
    }
    flush(&mut waiting)?;
    Ok(together)
}

/// Bytes of a batch's own rows, where it is a slice of something larger too.
pub(crate) fn slice_bytes(batch: &RecordBatch) -> usize {
    batch.columns().iter().map(|column| column.to_data().get_slice_memory_size().unwrap_or(0)).sum()
}

impl fmt::Debug for PinnedTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PinnedTable").field("name", &self.pinned.name).finish_non_exhaustive()
    }
}

#[async_trait]
impl TableProvider for PinnedTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.pinned.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Exact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = &self.pinned.schema;
        self.counts.known.lock().insert(self.pinned.name.clone(), self.pinned.files.len() as u64);
        let asked: Vec<usize> = match projection {
            Some(columns) => columns.clone(),
            None => (0..schema.fields().len()).collect(),
        };
        let df_schema: DFSchema = Arc::clone(schema).to_dfschema()?;
        let physical = |filters: Vec<Expr>| {
            conjunction(filters).map(|filter| state.create_physical_expr(filter, &df_schema)).transpose()
        };
        let filters: Vec<Expr> = filters.iter().cloned().chain(self.in_time()).collect();
        let implied = physical(promoted::implied(&filters, schema))?;
        let predicate = physical(filters)?;
        let files = match &predicate {
            Some(predicate) => prune::candidates(&self.pinned.files, schema, predicate)?,
            None => self.pinned.files.to_vec(),
        };
        let mut read = asked.clone();
        if let Some(predicate) = &predicate {
            let mut needed: Vec<usize> =
                collect_columns(predicate).iter().map(|column| column.index()).collect();
            needed.sort_unstable();
            needed.retain(|column| !asked.contains(column));
            read.extend(needed);
        }
        let partitions = state.config().target_partitions();
        let pushed_limit = limit.filter(|_| predicate.is_none());
        let sides = [
            self.scan_tail(&read, partitions)?,
            self.scan_files(&files, &read, pushed_limit, implied, partitions)?,
        ];
        let mut plans = Vec::with_capacity(sides.len());
        for side in sides.into_iter().flatten() {
            plans.push(match &predicate {
                Some(predicate) => filtered(side, predicate, asked.len())?,
                None => side,
            });
        }
        match plans.pop() {
            None => Ok(Arc::new(EmptyExec::new(Arc::new(schema.project(&asked)?)))),
            Some(only) if plans.is_empty() => Ok(only),
            Some(last) => {
                plans.push(last);
                Ok(Arc::new(ChainExec::new(plans)?))
            }
        }
    }
}

/// The rows of `side` in which `predicate` is true, of its first `keep` columns.
fn filtered(
    side: Arc<dyn ExecutionPlan>,
    predicate: &Arc<dyn PhysicalExpr>,
    keep: usize,
) -> Result<Arc<dyn ExecutionPlan>> {
    let schema = side.schema();
    let predicate = datafusion::physical_expr::utils::reassign_expr_columns(Arc::clone(predicate), &schema)?;
    let filter: Arc<dyn ExecutionPlan> = Arc::new(FilterExec::try_new(predicate, side)?);
    if keep == schema.fields().len() {
        return Ok(filter);
    }
    let kept = (0..keep).map(|at| {
        let name = schema.field(at).name();
        let column = datafusion::physical_expr::expressions::Column::new(name, at);
        ProjectionExpr { expr: Arc::new(column) as Arc<dyn PhysicalExpr>, alias: name.clone() }
    });
    Ok(Arc::new(ProjectionExec::try_new(kept, filter)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_of_long_rows_are_short() {
        let file = |rows: u64, length: u64| DataFile {
            id: 1,
            key: "f".to_owned(),
            length,
            footer: 100,
            rows,
            timestamps: (0, 0),
            ingested: (0, 0),
            columns: Arc::new([]),
        };
        let of = |files: &[DataFile], columns: &[&str]| {
            let columns: Vec<String> = columns.iter().map(|name| (*name).to_owned()).collect();
            batch_rows(files, columns.iter())
        };
        let (logs, events) = (file(100_000, 6_000_000), file(1_000, 20_000_000));
        assert_eq!(of(std::slice::from_ref(&logs), &["timestamp", "body", "attributes"]), None);
        assert_eq!(of(&[logs, events.clone()], &["event"]), Some(104));
        assert_eq!(of(&[events], &["timestamp", "level"]), None);
        assert_eq!(of(&[file(1, 1 << 30)], &["event"]), Some(BATCH_ROWS_MIN));
        assert_eq!(of(&[], &["event"]), None);
    }
}
