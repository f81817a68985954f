//! A batch whose records can be read.

use bytes::Bytes;

use crate::bad::BadBatch;
use crate::codec::Codec;
use crate::header::{HEADER_BYTES, Header};
use crate::record::Record;
use crate::varint::Reader;

/// The least that a record takes: its length, attributes, two deltas, and lengths of key, value and headers.
const RECORD_BYTES_MIN: usize = 7;

/// How much a batch may unfold to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of its records, decompressed.
    pub bytes: usize,
    /// Records.
    pub records: u32,
}

/// A batch and its records, decompressed where they were compressed.
#[derive(Debug, Clone)]
pub struct Opened {
    header: Header,
    body: Bytes,
}

/// Opens the batch at the front of `batch`. What is not compressed is not copied. The checksum is not looked at.
pub fn open(batch: &Bytes, bounds: Bounds) -> Result<Opened, BadBatch> {
    let header = Header::parse(batch)?;
    let count =
        u32::try_from(header.records).map_err(|_| BadBatch::Field("the number of records is negative"))?;
    if count > bounds.records {
        return Err(BadBatch::TooMany(count));
    }
    let body = batch.slice(HEADER_BYTES..header.bytes);
    let body = match header.compression()? {
        Codec::None if body.len() > bounds.bytes => return Err(BadBatch::TooLarge),
        Codec::None => body,
        // Compaction leaves batches without records.
        _ if count == 0 && body.is_empty() => body,
        codec => Bytes::from(codec.decompress(&body, bounds.bytes)?),
    };
    if (count as usize).saturating_mul(RECORD_BYTES_MIN) > body.len() {
        return Err(BadBatch::Field("the batch has fewer records than it says"));
    }
    Ok(Opened { header, body })
}

impl Opened {
    /// Its header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Its records, decompressed, as they stand one behind the other.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Its records, in order. Each is read when it is asked for; after an error there are no more.
    pub fn records(&self) -> Records<'_> {
        let count = u32::try_from(self.header.records).unwrap_or(0);
        Records { rest: Reader(&self.body), next: 0, count }
    }

    /// `part`, a key or a value of one of its records, without copying it. What is not part of it is copied.
    pub fn bytes_of(&self, part: &[u8]) -> Bytes {
        let from = (part.as_ptr() as usize).wrapping_sub(self.body.as_ptr() as usize);
        let is_within = from.checked_add(part.len()).is_some_and(|end| end <= self.body.len());
        if is_within { self.body.slice(from..from + part.len()) } else { Bytes::copy_from_slice(part) }
    }
}

/// See [`Opened::records`].
#[derive(Debug, Clone)]
pub struct Records<'a> {
    rest: Reader<'a>,
    next: u32,
    count: u32,
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, BadBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next == self.count {
            // Once: what stands behind the last record belongs to nothing.
            let is_whole = std::mem::take(&mut self.rest.0).is_empty();
            return (!is_whole).then_some(Err(BadBatch::Field("bytes follow the last record")));
        }
        let record = Record::read(&mut self.rest);
        let index = self.next;
        self.next += 1;
        if record.is_none() {
            self.next = self.count;
            self.rest.0 = &[];
        }
        Some(record.ok_or(BadBatch::Record(index)))
    }
}
