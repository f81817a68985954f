//! The compact columnar form in which the log holds signal batches.

use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use candor_model::Signal;

/// Encodes rows of a signal.
pub fn encode(_signal: Signal, _rows: &RecordBatch) -> Bytes {
    todo!()
}

/// Why bytes are not a batch.
#[derive(Debug, thiserror::Error)]
#[error("not a batch of this format: {0}")]
pub struct CodecError(pub &'static str);

/// Decodes what [`encode`] made, also by older releases.
pub fn decode(_signal: Signal, _bytes: &[u8]) -> Result<RecordBatch, CodecError> {
    todo!()
}
