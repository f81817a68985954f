//! The search language over batches as they arrive, for the live tail.

use arrow::array::BooleanArray;
use arrow::record_batch::RecordBatch;
use candor_model::Signal;

use crate::QueryError;

/// A compiled search. Matches the same rows as the search over the table.
#[derive(Debug, Clone)]
pub struct TailFilter {}

impl TailFilter {
    /// Compiles search text for a signal's rows.
    pub fn new(_signal: Signal, _text: &str) -> Result<TailFilter, QueryError> {
        todo!()
    }
    /// Which rows match. Columns that the batch lacks are null.
    pub fn matches(&self, _batch: &RecordBatch) -> Result<BooleanArray, QueryError> {
        todo!()
    }
    /// The predicate in words, as EXPLAIN shows it.
    pub fn explain(&self) -> String {
        todo!()
    }
}
