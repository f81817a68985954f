//! The Arrow schemas of the signals: the columns of contract.md but for those that the lake adds
//! (`_ingested_at`, `_partition`, `_offset`, `_epoch`) and `issue`, which is resolved at read.

use arrow::datatypes::SchemaRef;
use candor_model::Signal;

/// The schema of a signal's rows.
pub fn schema(_signal: Signal) -> SchemaRef {
    todo!()
}
