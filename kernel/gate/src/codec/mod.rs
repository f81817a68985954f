//! The compact columnar form in which the log holds signal batches.
//!
//! ```text
//! 0   u8   version, 1
//! 1   u8   signal: 1 logs, 2 errors, 3 spans
//! 2   u8   compression: 0 none, 1 zstd
//! 3   u32  rows                                        all numbers little-endian
//! 7   u32  length of the columns before compression
//! 11  u32  CRC-32 of everything but itself
//! 15  columns, each: u8 number (its place in the schema, from 0), varint length, content
//! ```
//!
//! Content by type: integers are zigzag varints of the difference to the one before, or one constant; text is a
//! constant, a dictionary with one code a row, packed hexadecimal, or lengths and bytes, whichever fits; a list is
//! counts and the text of all items; a map is a table of *shapes* (which keys, in which order), one shape number a
//! row, and one text column a key.
//!
//! Why not Arrow IPC or Parquet: batches are as small as one record, and their fixed cost (several hundred bytes of
//! schema and offsets) would be most of the journal. Shapes make attributes columnar, which zstd rewards. The trade
//! refused is skipping: to read one column all are decompressed, which catch-up does anyway.
//!
//! Decoding believes nothing: every length is checked against what is there, and what is expanded is bounded.

mod bytes;
mod columns;
mod map;
mod text;

use std::borrow::Cow;
use std::cell::RefCell;

use ::bytes::Bytes;
use arrow::record_batch::RecordBatch;
use candor_model::Signal;
use candor_model::limits::BATCH_RECORDS_MAX;

use crate::schema::schema;
use bytes::{Reader, put_varint};
pub(crate) use map::build as build_map;

const VERSION: u8 = 1;
const HEADER_BYTES: usize = 15;
const CRC_AT: usize = 11;

/// Columns before compression. The gate admits far smaller batches; this bounds what a damaged length can ask for.
const PAYLOAD_BYTES_MAX: usize = 1 << 30;

/// Below so many bytes compression gains nothing.
const COMPRESS_BYTES_MIN: usize = 64;

/// zstd's fastest level: the journal is short-lived, and 3 costs half as much CPU again for a tenth less.
const ZSTD_LEVEL: i32 = 1;

const PLAIN: u8 = 0;
const ZSTD: u8 = 1;

/// Why bytes are not a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a batch of this format: {0}")]
pub struct CodecError(pub &'static str);

fn signal_number(signal: Signal) -> u8 {
    match signal {
        Signal::Logs => 1,
        Signal::Errors => 2,
        Signal::Spans => 3,
    }
}

/// Encodes rows of a signal. Columns that are not the signal's are left out.
pub fn encode(signal: Signal, rows: &RecordBatch) -> Bytes {
    let schema = schema(signal);
    let mut payload = Vec::with_capacity(4096);
    let mut content = Vec::new();
    for (number, field) in schema.fields().iter().enumerate() {
        let Some(column) = rows.column_by_name(field.name()) else { continue };
        content.clear();
        if column.data_type() == field.data_type() && columns::encode(column, &mut content) {
            payload.push(u8::try_from(number).unwrap_or(u8::MAX));
            put_varint(&mut payload, content.len() as u64);
            payload.extend_from_slice(&content);
        }
    }
    let compressed = (payload.len() >= COMPRESS_BYTES_MIN).then(|| compress(&payload)).flatten();
    let (method, stored) = match &compressed {
        Some(compressed) if compressed.len() < payload.len() => (ZSTD, compressed),
        _ => (PLAIN, &payload),
    };
    let mut out = Vec::with_capacity(HEADER_BYTES + stored.len());
    out.extend_from_slice(&[VERSION, signal_number(signal), method]);
    out.extend_from_slice(&u32::try_from(rows.num_rows()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(&u32::try_from(payload.len()).unwrap_or(u32::MAX).to_le_bytes());
    let checksum = checksum(&out, stored);
    out.extend_from_slice(&checksum.to_le_bytes());
    out.extend_from_slice(stored);
    Bytes::from(out)
}

/// The head of a batch and its columns in the clear.
struct Opened<'a> {
    head: &'a [u8],
    number: u8,
    rows: usize,
    length: usize,
    payload: Cow<'a, [u8]>,
}

fn open(encoded: &[u8]) -> Result<Opened<'_>, CodecError> {
    let (head, stored) = encoded.split_at_checked(HEADER_BYTES).ok_or(CodecError("too short"))?;
    let mut header = Reader::new(head);
    if header.u8()? != VERSION {
        return Err(CodecError("unknown version"));
    }
    let (number, method) = (header.u8()?, header.u8()?);
    let (rows, length, expected) = (header.u32()? as usize, header.u32()? as usize, header.u32()?);
    if checksum(head.get(..CRC_AT).unwrap_or(&[]), stored) != expected {
        return Err(CodecError("wrong checksum"));
    }
    if rows > BATCH_RECORDS_MAX || length > PAYLOAD_BYTES_MAX {
        return Err(CodecError("too large"));
    }
    let payload = match method {
        PLAIN => Cow::Borrowed(stored),
        ZSTD => {
            let payload = zstd::bulk::decompress(stored, length);
            Cow::Owned(payload.map_err(|_| CodecError("does not decompress"))?)
        }
        _ => return Err(CodecError("unknown compression")),
    };
    Ok(Opened { head, number, rows, length, payload })
}

/// Decodes what [`encode`] made, also by older releases.
pub fn decode(signal: Signal, encoded: &[u8]) -> Result<RecordBatch, CodecError> {
    let Opened { number, rows, length, payload, .. } = open(encoded)?;
    if number != signal_number(signal) {
        return Err(CodecError("another signal"));
    }
    decode_payload(signal, rows, length, &payload)
}

/// The same batch without compression, for who searches stored bytes: it decodes to the same rows.
pub fn decompressed(encoded: &[u8]) -> Result<Bytes, CodecError> {
    let Opened { head, payload, .. } = open(encoded)?;
    let mut out = Vec::with_capacity(HEADER_BYTES + payload.len());
    out.extend_from_slice(head.get(..CRC_AT).unwrap_or(&[]));
    if let Some(method) = out.get_mut(2) {
        *method = PLAIN;
    }
    let checksum = checksum(&out, &payload);
    out.extend_from_slice(&checksum.to_le_bytes());
    out.extend_from_slice(&payload);
    Ok(Bytes::from(out))
}

fn decode_payload(
    signal: Signal,
    rows: usize,
    length: usize,
    payload: &[u8],
) -> Result<RecordBatch, CodecError> {
    if payload.len() != length {
        return Err(CodecError("wrong length"));
    }
    let schema = schema(signal);
    let mut contents: Vec<Option<&[u8]>> = vec![None; schema.fields().len()];
    let mut reader = Reader::new(payload);
    while !reader.is_empty() {
        let number = usize::from(reader.u8()?);
        let length = reader.length()?;
        let content = reader.take(length)?;
        // A number beyond ours is a column of a newer release: the rest still reads.
        if let Some(slot) = contents.get_mut(number) {
            if slot.is_some() {
                return Err(CodecError("a column stands twice"));
            }
            *slot = Some(content);
        }
    }
    let mut budget = bytes::Budget::new();
    let decoded = schema
        .fields()
        .iter()
        .zip(contents)
        .map(|(field, content)| columns::decode(field.data_type(), content, rows, &mut budget))
        .collect::<Result<Vec<_>, _>>()?;
    RecordBatch::try_new(schema, decoded).map_err(|_| CodecError("columns do not make the schema"))
}

fn checksum(head: &[u8], stored: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(head);
    hasher.update(stored);
    hasher.finalize()
}

fn compress(payload: &[u8]) -> Option<Vec<u8>> {
    thread_local! {
        /// A compressor's tables are most of the cost of a small batch: each thread keeps one.
        static COMPRESSOR: RefCell<Option<zstd::bulk::Compressor<'static>>> = const { RefCell::new(None) };
    }
    COMPRESSOR.with_borrow_mut(|slot| {
        if slot.is_none() {
            *slot = zstd::bulk::Compressor::new(ZSTD_LEVEL).ok();
        }
        slot.as_mut()?.compress(payload).ok()
    })
}
