//! Batches out of records.

use bytes::Bytes;

use crate::bad::BadBatch;
use crate::codec::Codec;
use crate::header::{DELETE_HORIZON, HEADER_BYTES, Header, TRANSACTIONAL, TimestampType, put};
use crate::place::seal;
use crate::record::{Headers, Record};

/// What there is in place of a timestamp, producer, epoch or sequence.
const NONE: i8 = -1;

/// Beyond what is asked for, so that a few longer values do not make a batch move.
const ROOM_BYTES: usize = 256;

/// Who produces a batch, and the number of its first record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Producer {
    /// Its id.
    pub id: i64,
    /// Its epoch.
    pub epoch: i16,
    /// The number of the batch's first record.
    pub sequence: i32,
}

/// Puts a batch together. Its base offset is 0 and its leader epoch -1, as a producer sends it.
#[derive(Debug)]
pub struct BatchBuilder {
    header: Header,
    codec: Codec,
    /// Room for the header, and the records.
    batch: Vec<u8>,
}

impl BatchBuilder {
    /// A batch without a producer's id.
    pub fn new(codec: Codec) -> BatchBuilder {
        let header = Header {
            base_offset: 0,
            bytes: 0,
            leader_epoch: NONE.into(),
            crc: 0,
            attributes: codec.number().into(),
            last_offset_delta: -1,
            base_timestamp: NONE.into(),
            max_timestamp: NONE.into(),
            producer_id: NONE.into(),
            producer_epoch: NONE.into(),
            base_sequence: NONE.into(),
            records: 0,
        };
        BatchBuilder { header, codec, batch: room(0) }
    }

    /// Of a producer that numbers what it sends.
    pub fn producer(mut self, producer: Producer) -> BatchBuilder {
        self.header.producer_id = producer.id;
        self.header.producer_epoch = producer.epoch;
        self.header.base_sequence = producer.sequence;
        self
    }

    /// Part of the producer's transaction.
    pub fn transactional(self, producer: Producer) -> BatchBuilder {
        self.producer(producer).with_attributes(TRANSACTIONAL)
    }

    pub(crate) fn with_attributes(mut self, attributes: i16) -> BatchBuilder {
        self.header.attributes |= attributes;
        self
    }

    /// Adds a record; `timestamp` is milliseconds since 1970, -1 for none. How many there may be is for the caller to
    /// bound.
    pub fn push(&mut self, timestamp: i64, key: Option<&[u8]>, value: Option<&[u8]>, headers: Headers<'_>) {
        if self.header.records == 0 {
            self.header.base_timestamp = timestamp;
        }
        let record = Record {
            attributes: 0,
            timestamp_delta: timestamp.wrapping_sub(self.header.base_timestamp),
            offset_delta: self.header.records,
            key,
            value,
            headers,
        };
        record.write(&mut self.batch);
        self.header.last_offset_delta = self.header.records;
        self.header.records = self.header.records.saturating_add(1);
        self.header.max_timestamp = self.header.max_timestamp.max(timestamp);
    }

    /// Records so far.
    pub fn len(&self) -> usize {
        self.header.records as usize
    }

    /// True before the first record.
    pub fn is_empty(&self) -> bool {
        self.header.records == 0
    }

    /// Bytes of the records so far, before they are compressed.
    pub fn bytes(&self) -> usize {
        self.batch.len() - HEADER_BYTES
    }

    /// The batch of a few bytes that are not compressed, which cannot fail.
    pub(crate) fn finish_small(self) -> Bytes {
        sealed(self.header, self.batch)
    }

    /// The batch. Fails where it would be larger than the format can say.
    pub fn finish(self) -> Result<Bytes, BadBatch> {
        finish(self.header, self.codec, self.batch)
    }
}

/// Makes a batch anew of records of another, changed or fewer, as Apache Kafka's log cleaner does: codec, base offset,
/// last offset, leader epoch and the producer's fields stay, so that its sequence numbers still say what came; offsets
/// that nothing is pushed for become gaps.
#[derive(Debug)]
pub struct Rebuild {
    header: Header,
    codec: Codec,
    /// What a record's delta grows by, where the base timestamp is another now.
    shift: i64,
    greatest: i64,
    /// Room for the header, and the records.
    batch: Vec<u8>,
    count: u32,
}

impl Rebuild {
    /// Begins with the header of the batch as it was.
    pub fn new(header: &Header) -> Result<Rebuild, BadBatch> {
        let codec = header.compression()?;
        // Most of what is rebuilt becomes hardly longer; what is compressed unfolds to more, and grows as it comes.
        let batch = room(header.bytes.saturating_sub(HEADER_BYTES));
        Ok(Rebuild { header: *header, codec, shift: 0, greatest: NONE.into(), batch, count: 0 })
    }

    /// Its tombstones and markers may go from then on, milliseconds since 1970 (KIP-534). To be said before the first
    /// record is pushed.
    pub fn with_delete_horizon(mut self, horizon: i64) -> Rebuild {
        self.shift = self.header.base_timestamp.wrapping_sub(horizon);
        self.header.base_timestamp = horizon;
        self.header.attributes |= DELETE_HORIZON;
        self
    }

    /// Adds a record with the deltas of the batch that it is from; records come in their order.
    pub fn push(&mut self, record: &Record<'_>) {
        let record = Record { timestamp_delta: record.timestamp_delta.wrapping_add(self.shift), ..*record };
        record.write(&mut self.batch);
        self.greatest = self.greatest.max(record.timestamp(&self.header));
        self.count += 1;
    }

    /// Bytes of the records so far, before they are compressed.
    pub fn bytes(&self) -> usize {
        self.batch.len() - HEADER_BYTES
    }

    /// The batch, with a checksum of its own. Without records it keeps its offsets and its producer's numbers
    /// (`DefaultRecordBatch.writeEmptyHeader`). Fails where it would be larger than the format can say.
    pub fn finish(mut self) -> Result<Bytes, BadBatch> {
        self.header.records = i32::try_from(self.count).map_err(|_| BadBatch::TooMany(self.count))?;
        if self.count == 0 {
            self.codec = Codec::None;
            self.header.attributes &= !(DELETE_HORIZON | 0x07);
            self.header.base_timestamp = NONE.into();
        } else if self.header.timestamp_type() == TimestampType::CreateTime {
            self.header.max_timestamp = self.greatest;
        }
        finish(self.header, self.codec, self.batch)
    }
}

/// Room for a header and so many bytes of records.
fn room(bytes: usize) -> Vec<u8> {
    let mut batch = Vec::with_capacity(HEADER_BYTES + bytes + ROOM_BYTES);
    batch.resize(HEADER_BYTES, 0);
    batch
}

fn finish(header: Header, codec: Codec, batch: Vec<u8>) -> Result<Bytes, BadBatch> {
    let batch = match codec {
        Codec::None => batch,
        codec => {
            let records = codec.compress(batch.get(HEADER_BYTES..).unwrap_or_default())?;
            let mut compressed = room(records.len());
            compressed.extend_from_slice(&records);
            compressed
        }
    };
    if i32::try_from(batch.len()).is_err() {
        return Err(BadBatch::TooLarge);
    }
    Ok(sealed(header, batch))
}

/// The header put into its room, with length and checksum.
fn sealed(mut header: Header, mut batch: Vec<u8>) -> Bytes {
    header.bytes = batch.len();
    put(&mut batch, 0, header.write());
    seal(&mut batch);
    Bytes::from(batch)
}
