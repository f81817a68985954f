//! Search over a table: newest rows, a histogram by severity, the commonest values of a few columns.

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use candor_model::{Signal, Timestamp};

use crate::Stats;

/// What to search for.
#[derive(Debug, Clone)]
pub struct SearchRequest {
    /// Which table.
    pub signal: Signal,
    /// The search language; empty for everything.
    pub text: String,
    /// From this time on.
    pub from: Option<Timestamp>,
    /// Until before this time.
    pub to: Option<Timestamp>,
    /// Most rows.
    pub limit: usize,
    /// Where the last page ended.
    pub cursor: Option<String>,
    /// Count over time and facets too (a first page wants them, a next page does not).
    pub summary: bool,
}

/// One page of rows, newest first.
#[derive(Debug, Clone)]
pub struct SearchPage {
    /// The columns.
    pub schema: SchemaRef,
    /// The rows, newest first.
    pub rows: Vec<RecordBatch>,
    /// Where the next page begins; none at the end.
    pub cursor: Option<String>,
    /// All matching rows; none without summary.
    pub total: Option<u64>,
    /// Matching rows over time.
    pub histogram: Option<Histogram>,
    /// The commonest values.
    pub facets: Vec<Facet>,
    /// What it took.
    pub stats: Stats,
}

/// Rows over time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Histogram {
    /// Width of a bucket, µs.
    pub bucket_us: i64,
    /// The buckets that hold rows, oldest first.
    pub buckets: Vec<Bucket>,
}

/// One bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// Its start, µs since the epoch.
    pub t: i64,
    /// Rows by severity (`error`, `warn`, …).
    pub counts: Vec<(String, u64)>,
}

/// The commonest values of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facet {
    /// The column.
    pub column: String,
    /// Values and their rows, most first.
    pub values: Vec<(String, u64)>,
}

impl SearchPage {
    /// The JSON of `GET /api/v1/search`.
    pub fn to_json(&self) -> Vec<u8> {
        todo!()
    }
}
