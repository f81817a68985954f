//! The answer of a query: columns, batches as they come, and what it took.

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;

use crate::QueryError;

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

/// A running query. Dropping it stops the query.
pub struct Answer {}

impl Answer {
    /// The columns.
    pub fn columns(&self) -> &[Column] {
        todo!()
    }
    /// The Arrow schema of the batches.
    pub fn schema(&self) -> SchemaRef {
        todo!()
    }
    /// The next batch; none at the end.
    pub async fn next(&mut self) -> Option<Result<RecordBatch, QueryError>> {
        todo!()
    }
    /// Every remaining batch.
    pub async fn collect(&mut self) -> Result<Vec<RecordBatch>, QueryError> {
        todo!()
    }
    /// True once rows were cut at the limit; final after the end.
    pub fn truncated(&self) -> bool {
        todo!()
    }
    /// What the query has taken so far; final after the end.
    pub fn stats(&self) -> Stats {
        todo!()
    }
}
