//! The fixed part of a batch.
//!
//! ```text
//!  0  8  base offset               23  4  last offset delta
//!  8  4  length of what follows    27  8  base timestamp, ms
//! 12  4  partition leader epoch    35  8  max timestamp, ms
//! 16  1  magic: 2                  43  8  producer id
//! 17  4  CRC-32C of what follows   51  2  producer epoch
//! 21  2  attributes                53  4  base sequence
//!                                  57  4  records
//! ```
//!
//! A broker may set base offset and leader epoch: the checksum begins behind them.

use crate::bad::BadBatch;
use crate::codec::Codec;

/// Bytes before the records.
pub const HEADER_BYTES: usize = 61;

/// Where the length counts from.
pub(crate) const LENGTH_AT: usize = 12;
/// Where the checksum counts from.
pub(crate) const CHECKED_AT: usize = 21;

/// In the attributes: the broker's time, not the producer's.
pub(crate) const LOG_APPEND_TIME: i16 = 0x08;
/// In the attributes: part of a transaction.
pub(crate) const TRANSACTIONAL: i16 = 0x10;
/// In the attributes: holds a marker.
pub(crate) const CONTROL: i16 = 0x20;
/// In the attributes: the base timestamp says when tombstones and markers may go (KIP-534).
pub(crate) const DELETE_HORIZON: i16 = 0x40;

/// What a timestamp of a record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimestampType {
    /// When the producer made it.
    CreateTime,
    /// When the broker took it.
    LogAppendTime,
}

/// A batch's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The offset of its first record. What a producer sends says 0.
    pub base_offset: i64,
    /// The whole batch, bytes.
    pub bytes: usize,
    /// The partition's leader epoch.
    pub leader_epoch: i32,
    /// The checksum as sent.
    pub crc: u32,
    /// Codec, timestamp type, transactional, control, delete horizon.
    pub attributes: i16,
    /// The offset of its last record less that of the first.
    pub last_offset_delta: i32,
    /// Milliseconds since 1970, that the records' count from.
    pub base_timestamp: i64,
    /// The greatest of the records, milliseconds since 1970; -1 without one.
    pub max_timestamp: i64,
    /// Who produced it; -1 for nobody that numbers what it sends.
    pub producer_id: i64,
    /// The producer's epoch; -1 without a producer id.
    pub producer_epoch: i16,
    /// The number of its first record; -1 without a producer id.
    pub base_sequence: i32,
    /// Records that it holds.
    pub records: i32,
}

fn array<const N: usize>(from: &[u8], at: usize) -> Option<[u8; N]> {
    from.get(at..at + N)?.try_into().ok()
}

impl Header {
    /// Reads the header of the batch at the front of `from`, which may go on behind it. Checks lengths and magic, not
    /// the checksum.
    pub fn parse(from: &[u8]) -> Result<Header, BadBatch> {
        // The magic's place is the same in all formats.
        let magic = array::<1>(from, 16).ok_or(BadBatch::Length)?;
        let magic = i8::from_be_bytes(magic);
        if magic != 2 {
            return Err(BadBatch::Magic(magic));
        }
        Header::read(from).ok_or(BadBatch::Length)
    }

    fn read(from: &[u8]) -> Option<Header> {
        let length = i32::from_be_bytes(array(from, 8)?);
        let bytes = usize::try_from(length).ok()?.checked_add(LENGTH_AT)?;
        if bytes < HEADER_BYTES || bytes > from.len() {
            return None;
        }
        Some(Header {
            base_offset: i64::from_be_bytes(array(from, 0)?),
            bytes,
            leader_epoch: i32::from_be_bytes(array(from, 12)?),
            crc: u32::from_be_bytes(array(from, 17)?),
            attributes: i16::from_be_bytes(array(from, CHECKED_AT)?),
            last_offset_delta: i32::from_be_bytes(array(from, 23)?),
            base_timestamp: i64::from_be_bytes(array(from, 27)?),
            max_timestamp: i64::from_be_bytes(array(from, 35)?),
            producer_id: i64::from_be_bytes(array(from, 43)?),
            producer_epoch: i16::from_be_bytes(array(from, 51)?),
            base_sequence: i32::from_be_bytes(array(from, 53)?),
            records: i32::from_be_bytes(array(from, 57)?),
        })
    }

    /// Checks the checksum of the batch that this is the header of.
    pub fn check(&self, batch: &[u8]) -> Result<(), BadBatch> {
        let checked = batch.get(CHECKED_AT..self.bytes).ok_or(BadBatch::Length)?;
        if crc32c::crc32c(checked) == self.crc { Ok(()) } else { Err(BadBatch::Crc) }
    }

    /// The codec's number: 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd; 5 to 7 are not known.
    pub fn codec(&self) -> u8 {
        (self.attributes & 0x07) as u8
    }

    /// How its records are compressed.
    pub fn compression(&self) -> Result<Codec, BadBatch> {
        Codec::from_number(self.codec()).ok_or(BadBatch::Codec(self.codec()))
    }

    /// What its timestamps say.
    pub fn timestamp_type(&self) -> TimestampType {
        if self.attributes & LOG_APPEND_TIME == 0 {
            TimestampType::CreateTime
        } else {
            TimestampType::LogAppendTime
        }
    }

    /// Part of a transaction.
    pub fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL != 0
    }

    /// Holds a marker that no consumer is given.
    pub fn is_control(&self) -> bool {
        self.attributes & CONTROL != 0
    }

    /// From when on its tombstones and markers may go, milliseconds since 1970, where compaction said so. Its base
    /// timestamp is the same number then.
    pub fn delete_horizon(&self) -> Option<i64> {
        (self.attributes & DELETE_HORIZON != 0).then_some(self.base_timestamp)
    }

    /// From a producer that numbers what it sends.
    pub fn has_producer(&self) -> bool {
        self.producer_id >= 0
    }

    /// Offsets that it takes: one more than its last delta. 0 where the delta is negative.
    pub fn offsets(&self) -> u32 {
        u32::try_from(i64::from(self.last_offset_delta) + 1).unwrap_or(0)
    }

    /// The offset of its last record. A header may claim what does not fit; then it is the greatest there is.
    pub fn last_offset(&self) -> i64 {
        self.base_offset.saturating_add(i64::from(self.last_offset_delta))
    }

    /// The number of its last record for its producer; -1 without one. Numbers go on with 0 behind 2^31 - 1.
    pub fn last_sequence(&self) -> i32 {
        if self.base_sequence < 0 {
            return -1;
        }
        // As `DefaultRecordBatch.incrementSequence`.
        self.base_sequence.wrapping_add(self.last_offset_delta) & i32::MAX
    }

    /// The header as it stands before the records.
    pub(crate) fn write(&self) -> [u8; HEADER_BYTES] {
        let mut out = [0; HEADER_BYTES];
        let length = self.bytes.saturating_sub(LENGTH_AT) as i32;
        put(&mut out, 0, self.base_offset.to_be_bytes());
        put(&mut out, 8, length.to_be_bytes());
        put(&mut out, 12, self.leader_epoch.to_be_bytes());
        put(&mut out, 16, [2]);
        put(&mut out, 17, self.crc.to_be_bytes());
        put(&mut out, CHECKED_AT, self.attributes.to_be_bytes());
        put(&mut out, 23, self.last_offset_delta.to_be_bytes());
        put(&mut out, 27, self.base_timestamp.to_be_bytes());
        put(&mut out, 35, self.max_timestamp.to_be_bytes());
        put(&mut out, 43, self.producer_id.to_be_bytes());
        put(&mut out, 51, self.producer_epoch.to_be_bytes());
        put(&mut out, 53, self.base_sequence.to_be_bytes());
        put(&mut out, 57, self.records.to_be_bytes());
        out
    }
}

/// Writes a field; nothing where there is no room.
pub(crate) fn put<const N: usize>(to: &mut [u8], at: usize, field: [u8; N]) {
    if let Some(place) = to.get_mut(at..at + N) {
        place.copy_from_slice(&field);
    }
}
