//! What a broker writes into a batch: where it stands, and the broker's time.

use crate::bad::BadBatch;
use crate::build::Producer;
use crate::header::{CHECKED_AT, Header, LOG_APPEND_TIME, TRANSACTIONAL, TimestampType, put};

/// Bytes at the front of a batch that say where it stands: base offset, length, leader epoch. The checksum does not
/// cover them.
pub const PLACE_BYTES: usize = 16;

/// The first bytes of a batch at another place; the rest of it follows as it is. For answers that are put together of
/// slices.
pub fn placed(header: &Header, base_offset: i64, leader_epoch: i32) -> [u8; PLACE_BYTES] {
    let header = Header { base_offset, leader_epoch, ..*header }.write();
    let mut out = [0; PLACE_BYTES];
    out.copy_from_slice(header.first_chunk::<PLACE_BYTES>().unwrap_or(&[0; PLACE_BYTES]));
    out
}

/// Writes base offset and leader epoch into the batch at the front of `batch`. Its checksum stays right.
pub fn place(batch: &mut [u8], base_offset: i64, leader_epoch: i32) -> Result<(), BadBatch> {
    Header::parse(batch)?;
    put(batch, 0, base_offset.to_be_bytes());
    put(batch, 12, leader_epoch.to_be_bytes());
    Ok(())
}

/// Writes the greatest timestamp (milliseconds since 1970) and what timestamps mean into the batch at the front of
/// `batch`, and the checksum anew, as `DefaultRecordBatch.setMaxTimestamp` does. With [`TimestampType::LogAppendTime`]
/// that timestamp is the one of all its records.
pub fn set_max_timestamp(batch: &mut [u8], kind: TimestampType, timestamp: i64) -> Result<(), BadBatch> {
    let header = Header::parse(batch)?;
    if header.timestamp_type() == kind && header.max_timestamp == timestamp {
        return Ok(());
    }
    let attributes = match kind {
        TimestampType::CreateTime => header.attributes & !LOG_APPEND_TIME,
        TimestampType::LogAppendTime => header.attributes | LOG_APPEND_TIME,
    };
    put(batch, CHECKED_AT, attributes.to_be_bytes());
    put(batch, 35, timestamp.to_be_bytes());
    seal(batch.get_mut(..header.bytes).ok_or(BadBatch::Length)?);
    Ok(())
}

/// Writes the checksum of a whole batch.
pub(crate) fn seal(batch: &mut [u8]) {
    let crc = crc32c::crc32c(batch.get(CHECKED_AT..).unwrap_or_default());
    put(batch, 17, crc.to_be_bytes());
}

/// Makes a batch that was read one of a producer's transaction, to be sent as it is otherwise: base offset 0, no leader
/// epoch, the producer's numbers, a checksum of its own. The records keep their bytes. Nothing where it is no batch.
pub fn set_producer(batch: &mut [u8], producer: Producer) {
    let Ok(mut header) = Header::parse(batch) else { return };
    header.base_offset = 0;
    header.leader_epoch = -1;
    header.attributes |= TRANSACTIONAL;
    header.producer_id = producer.id;
    header.producer_epoch = producer.epoch;
    header.base_sequence = producer.sequence;
    put(batch, 0, header.write());
    seal(batch);
}
