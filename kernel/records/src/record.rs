//! One record, as a view of the bytes that hold it.
//!
//! ```text
//! varint  length of what follows     varint   key length, -1 none     then the key
//!      1  attributes (unused)        varint   value length, -1 none   then the value
//! varlong timestamp delta, ms        varint   headers, each: varint length and name, varint length (-1 none) and value
//! varint  offset delta
//! ```

use crate::header::{Header, TimestampType};
use crate::varint::{self, Reader};

/// A record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// Not used by any version of the format.
    pub attributes: i8,
    /// Its timestamp less the batch's base timestamp, milliseconds.
    pub timestamp_delta: i64,
    /// Its offset less the batch's base offset.
    pub offset_delta: i32,
    /// What it is about; compaction keeps the last of each.
    pub key: Option<&'a [u8]>,
    /// What it says; without one it is a tombstone for its key.
    pub value: Option<&'a [u8]>,
    /// Names and values beside it.
    pub headers: Headers<'a>,
}

impl<'a> Record<'a> {
    /// Its offset.
    pub fn offset(&self, header: &Header) -> i64 {
        header.base_offset.wrapping_add(i64::from(self.offset_delta))
    }

    /// Its timestamp, milliseconds since 1970; -1 where the producer gave none. Where the batch has the broker's time,
    /// all its records do.
    pub fn timestamp(&self, header: &Header) -> i64 {
        match header.timestamp_type() {
            TimestampType::LogAppendTime => header.max_timestamp,
            // Any two numbers may stand there, and this is what Java makes of them.
            TimestampType::CreateTime => header.base_timestamp.wrapping_add(self.timestamp_delta),
        }
    }

    /// Reads the next one; none where there is none that is whole and well formed.
    pub(crate) fn read(from: &mut Reader<'a>) -> Option<Record<'a>> {
        let length = usize::try_from(from.varint()?).ok()?;
        let mut body = Reader(from.take(length)?);
        let record = Record {
            attributes: body.byte()? as i8,
            timestamp_delta: body.varlong()?,
            offset_delta: body.varint()?,
            key: body.nullable()?,
            value: body.nullable()?,
            headers: Headers::read(&mut body)?,
        };
        // What a record says about its length has to be what it takes.
        body.0.is_empty().then_some(record)
    }

    /// Appends it.
    pub(crate) fn write(&self, to: &mut Vec<u8>) {
        let nullable = |bytes: Option<&[u8]>| match bytes {
            Some(bytes) => varint::length(bytes.len() as i64) + bytes.len(),
            None => varint::length(-1),
        };
        let length = 1
            + varint::length(self.timestamp_delta)
            + varint::length(i64::from(self.offset_delta))
            + nullable(self.key)
            + nullable(self.value)
            + varint::length(i64::from(self.headers.count))
            + self.headers.bytes.len();
        varint::put(length as i64, to);
        to.push(self.attributes as u8);
        varint::put(self.timestamp_delta, to);
        varint::put(i64::from(self.offset_delta), to);
        varint::put_nullable(self.key, to);
        varint::put_nullable(self.value, to);
        varint::put(i64::from(self.headers.count), to);
        to.extend_from_slice(self.headers.bytes);
    }
}

/// A record's headers: names, which may repeat, and values, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Headers<'a> {
    count: u32,
    /// As they stand in the record. Only what was read through to its end is kept here.
    bytes: &'a [u8],
}

impl<'a> Headers<'a> {
    /// Reads the number and all headers, so that going through them later cannot fail.
    fn read(from: &mut Reader<'a>) -> Option<Headers<'a>> {
        let count = u32::try_from(from.varint()?).ok()?;
        let bytes = from.0;
        for _ in 0..count {
            header(from)?;
        }
        let length = bytes.len() - from.0.len();
        Some(Headers { count, bytes: bytes.get(..length)? })
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// True without any.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Each name, in UTF-8 if the producer kept to the protocol, and its value.
    pub fn iter(&self) -> impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> + use<'a> {
        let mut rest = Reader(self.bytes);
        (0..self.count).map_while(move |_| header(&mut rest))
    }
}

fn header<'a>(from: &mut Reader<'a>) -> Option<(&'a [u8], Option<&'a [u8]>)> {
    let name = from.nullable()??;
    Some((name, from.nullable()?))
}

/// Headers that are being put together.
#[derive(Debug, Clone, Default)]
pub struct HeadersBuf {
    count: u32,
    bytes: Vec<u8>,
}

impl HeadersBuf {
    /// None yet.
    pub fn new() -> HeadersBuf {
        HeadersBuf::default()
    }

    /// Adds one behind the others.
    pub fn push(&mut self, name: &[u8], value: Option<&[u8]>) {
        varint::put_nullable(Some(name), &mut self.bytes);
        varint::put_nullable(value, &mut self.bytes);
        self.count += 1;
    }

    /// Bytes that they take in a record.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// As a record has them.
    pub fn headers(&self) -> Headers<'_> {
        Headers { count: self.count, bytes: &self.bytes }
    }
}
