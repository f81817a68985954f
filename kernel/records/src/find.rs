//! Records by their timestamps.

use crate::bad::BadBatch;
use crate::header::TimestampType;
use crate::opened::Opened;

/// A record that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// Its offset, from the base offset that the batch's header has.
    pub offset: i64,
    /// Its timestamp, milliseconds since 1970.
    pub timestamp: i64,
}

/// The first record from the offset `from` on whose timestamp is `timestamp` or later (milliseconds since 1970). A
/// header's greatest timestamp below that says without opening the batch that there is none.
pub fn first_at_or_after(batch: &Opened, timestamp: i64, from: i64) -> Result<Option<Found>, BadBatch> {
    let header = batch.header();
    for record in batch.records() {
        let record = record?;
        let found = Found { offset: record.offset(header), timestamp: record.timestamp(header) };
        if found.timestamp >= timestamp && found.offset >= from {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// The first record with the greatest timestamp; none where no record has one, and the first record where all have
/// the broker's time.
pub fn greatest_timestamp(batch: &Opened) -> Result<Option<Found>, BadBatch> {
    let header = batch.header();
    let mut greatest: Option<Found> = None;
    for record in batch.records() {
        let record = record?;
        let found = Found { offset: record.offset(header), timestamp: record.timestamp(header) };
        if found.timestamp >= 0 && greatest.is_none_or(|greatest| found.timestamp > greatest.timestamp) {
            greatest = Some(found);
        }
        if greatest.is_some() && header.timestamp_type() == TimestampType::LogAppendTime {
            break;
        }
    }
    Ok(greatest)
}
