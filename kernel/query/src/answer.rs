//! The answer of a query: columns, batches as they come, and what it took.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::physical_plan::ExecutionPlan;
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;

use crate::QueryError;
use crate::meter::Meter;
use crate::tables::scan::ScanCounts;

/// A column of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type in SQL's words: `VARCHAR`, `BIGINT`, `TIMESTAMP`, `VARCHAR[]`, `MAP(VARCHAR, VARCHAR)`, …
    pub r#type: String,
}

/// What a query took.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Stats {
    /// From the call to now, or to the end, ms.
    pub elapsed_ms: f64,
    /// CPU time over all threads, ms.
    pub cpu_ms: f64,
    /// Rows read from files and tail, before filters.
    pub rows_scanned: u64,
    /// Bytes read from files and tail.
    pub bytes_scanned: u64,
    /// Files that were read.
    pub files: u64,
    /// Files that were skipped without being read.
    pub files_pruned: u64,
}

impl Stats {
    /// These rows, with the rest of what the whole query took.
    pub(crate) fn timed(self, whole: &Stats) -> Stats {
        Stats { rows_scanned: self.rows_scanned + whole.rows_scanned, ..*whole }
    }
}

/// What the running query and its reader share.
pub(crate) struct Progress {
    pub(crate) meter: Arc<Meter>,
    pub(crate) counts: Arc<ScanCounts>,
    pub(crate) started: Instant,
    plan: OnceLock<Arc<dyn ExecutionPlan>>,
    truncated: AtomicBool,
    given: AtomicU64,
    /// Elapsed nanoseconds at the end; 0 while it runs.
    elapsed: AtomicU64,
}

impl Progress {
    pub(crate) fn new() -> Progress {
        Progress {
            meter: Arc::default(),
            counts: Arc::default(),
            started: Instant::now(),
            plan: OnceLock::new(),
            truncated: AtomicBool::new(false),
            given: AtomicU64::new(0),
            elapsed: AtomicU64::new(0),
        }
    }

    /// The plan that runs, for its metrics.
    pub(crate) fn set_plan(&self, plan: Arc<dyn ExecutionPlan>) {
        // A query has one plan.
        let _ = self.plan.set(plan);
    }

    /// Rows were cut.
    pub(crate) fn set_truncated(&self) {
        self.truncated.store(true, Ordering::Relaxed);
    }

    /// Whether rows were cut.
    pub(crate) fn is_truncated(&self) -> bool {
        self.truncated.load(Ordering::Relaxed)
    }

    /// The query ended.
    pub(crate) fn end(&self) {
        let nanos = u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.elapsed.store(nanos.max(1), Ordering::Relaxed);
    }

    pub(crate) fn stats(&self) -> Stats {
        let elapsed_ms = match self.elapsed.load(Ordering::Relaxed) {
            0 => self.started.elapsed().as_secs_f64() * 1e3,
            nanos => nanos as f64 / 1e6,
        };
        let files = self.counts.read.files();
        Stats {
            elapsed_ms,
            cpu_ms: self.meter.cpu_ms(),
            rows_scanned: self.counts.tail_rows.load(Ordering::Relaxed)
                + self.plan.get().map_or(0, |plan| rows_decoded(plan.as_ref())),
            bytes_scanned: self.counts.tail_bytes.load(Ordering::Relaxed) + self.counts.read.bytes(),
            files,
            files_pruned: self.counts.files_known().saturating_sub(files),
        }
    }
}

/// Rows that scans of files gave or dropped by a filter pushed into them.
pub(crate) fn rows_decoded(plan: &dyn ExecutionPlan) -> u64 {
    let mut rows: usize = plan.children().iter().map(|child| rows_decoded(child.as_ref()) as usize).sum();
    // The tail's scan keeps no metric of bytes; a scan of files always does.
    if let Some(metrics) = plan.metrics().filter(|_| plan.name() == "DataSourceExec")
        && let Some(pruned) = metrics.sum_by_name("pushdown_rows_pruned")
    {
        rows += pruned.as_usize() + metrics.output_rows().unwrap_or(0);
    }
    rows as u64
}

/// How many rows an answer has given.
pub struct Given(Arc<Progress>);

impl Given {
    /// So far; all of them after the end.
    pub fn rows(&self) -> u64 {
        self.0.given.load(Ordering::Relaxed)
    }
}

/// A running query. Dropping it stops the query.
pub struct Answer {
    pub(crate) columns: Vec<Column>,
    pub(crate) schema: SchemaRef,
    pub(crate) first: Option<RecordBatch>,
    pub(crate) batches: mpsc::Receiver<RecordBatch>,
    pub(crate) end: Option<oneshot::Receiver<Result<(), QueryError>>>,
    pub(crate) progress: Arc<Progress>,
    pub(crate) answer_bytes: Option<usize>,
    pub(crate) _stop: StopOnDrop,
}

/// Stops the task of a query when its reader goes away.
pub(crate) struct StopOnDrop(pub(crate) AbortHandle);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Answer {
    /// The columns.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The Arrow schema of the batches.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// The next batch; none at the end.
    pub async fn next(&mut self) -> Option<Result<RecordBatch, QueryError>> {
        if let Some(first) = self.first.take() {
            return Some(Ok(self.counted(first)));
        }
        if let Some(batch) = self.batches.recv().await {
            return Some(Ok(self.counted(batch)));
        }
        // No more batches: either all came, or what stopped the query says so now.
        let mut end = self.end.take()?;
        crate::engine::end_of(&mut end).await.err().map(Err)
    }

    fn counted(&self, batch: RecordBatch) -> RecordBatch {
        self.progress.given.fetch_add(batch.num_rows() as u64, Ordering::Relaxed);
        batch
    }

    /// The count of rows given, which goes on while the answer is read elsewhere.
    pub fn given(&self) -> Given {
        Given(Arc::clone(&self.progress))
    }

    /// Every remaining batch, within the bound of the answer's bytes.
    pub async fn collect(&mut self) -> Result<Vec<RecordBatch>, QueryError> {
        let mut batches = Vec::new();
        while let Some(batch) = self.next().await {
            batches.push(batch?);
        }
        Ok(batches)
    }

    /// True once rows were cut at the limit; final after the end.
    pub fn truncated(&self) -> bool {
        self.progress.is_truncated()
    }

    /// What the query has taken so far; final after the end.
    pub fn stats(&self) -> Stats {
        self.progress.stats()
    }

    /// Most bytes that the answer may have as text where it is put together whole.
    pub(crate) fn text_bytes_max(&self) -> usize {
        // JSON of numbers and times is up to four times their memory; text is as long as it is.
        self.answer_bytes.map_or(usize::MAX, |bytes| bytes.saturating_mul(4))
    }
}
