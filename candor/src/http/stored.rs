//! Stored files as bodies of answers.

use std::ops::Range;

use axum::body::Body;
use candor_store::{StoreError, StoredFile};
use futures::stream;

/// Read and sent at once, bytes: bounds what one reader holds in memory.
const PIECE_BYTES: u64 = 1 << 20;

/// A range of a file, piece by piece, as fast as it is taken. After a failure the connection breaks off, short of the
/// length that was promised.
pub fn body(file: StoredFile, range: Range<u64>) -> Body {
    let pieces = stream::try_unfold((file, range), |(file, range)| async move {
        if range.is_empty() {
            return Ok(None);
        }
        let end = range.end.min(range.start + PIECE_BYTES);
        let piece = file.read(range.start..end).await?;
        Ok::<_, StoreError>(Some((piece, (file, end..range.end))))
    });
    Body::from_stream(pieces)
}
