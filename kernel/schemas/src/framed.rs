//! Values as clients of a registry write them: a zero byte, the schema's id as four bytes, most significant first, and
//! the value.

use std::sync::Arc;

use candor_model::Value;
use candor_model::limits::RECORD_BYTES_MAX;

use crate::Schema;

/// Bytes before the value.
pub const FRAME_BYTES: usize = 5;

/// The id of the schema that a value names; none where it is not framed so.
pub fn schema_id(value: &[u8]) -> Option<i32> {
    match value.first_chunk::<FRAME_BYTES>()? {
        [0, id @ ..] => Some(i32::from_be_bytes(*id)).filter(|id| *id > 0),
        _ => None,
    }
}

/// Opens a framed value with the schema that it names; none where it is not framed, is longer than a record that is
/// opened, `lookup` does not know the id, or it does not fit.
pub fn decode_framed(lookup: impl FnOnce(i32) -> Option<Arc<Schema>>, value: &[u8]) -> Option<Value> {
    let schema = lookup(schema_id(value)?)?;
    let payload = value.get(FRAME_BYTES..).filter(|payload| payload.len() <= RECORD_BYTES_MAX)?;
    schema.decode(payload).ok()
}
