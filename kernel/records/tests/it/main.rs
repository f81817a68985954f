//! Record batches, as clients make them and as nobody should.
#![allow(clippy::unwrap_used, missing_docs)]

mod build;
mod clients;
mod damage;
mod produced;

use bytes::Bytes;
use candor_records::{Bounds, Header, Opened, Record, open};

/// 2026-09-21T14:13:20Z, the time of the batches of `batches.hex`, milliseconds since 1970.
pub const T: i64 = 1_790_000_000_000;

pub const BOUNDS: Bounds = Bounds { bytes: 1 << 20, records: 10_000 };

/// A record with its headers written out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plain {
    pub offset: i64,
    pub timestamp: i64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl Plain {
    pub fn of(header: &Header, record: &Record<'_>) -> Plain {
        let owned = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
        Plain {
            offset: record.offset(header),
            timestamp: record.timestamp(header),
            key: owned(record.key),
            value: owned(record.value),
            headers: record.headers.iter().map(|(name, value)| (name.to_vec(), owned(value))).collect(),
        }
    }
}

pub fn opened(batch: &Bytes) -> Opened {
    open(batch, BOUNDS).unwrap()
}

pub fn plain(batch: &Bytes) -> Vec<Plain> {
    let opened = opened(batch);
    opened.records().map(|record| Plain::of(opened.header(), &record.unwrap())).collect()
}

/// What clients sent: names and bytes.
pub fn captured() -> Vec<(&'static str, Bytes)> {
    let lines = include_str!("batches.hex").lines().filter(|line| !line.starts_with('#'));
    let captured = lines.map(|line| {
        let (name, hex) = line.split_once(' ').unwrap();
        (name, Bytes::from(data_encoding::HEXLOWER.decode(hex.as_bytes()).unwrap()))
    });
    captured.collect()
}

/// The one of that name.
pub fn one(name: &str) -> Bytes {
    captured().into_iter().find(|(known, _)| *known == name).unwrap().1
}

/// Asks for a copy that can be changed.
pub fn changed(batch: &Bytes, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut copy = batch.to_vec();
    change(&mut copy);
    copy
}

/// The same with the checksum that fits.
pub fn resealed(batch: &Bytes, change: impl FnOnce(&mut Vec<u8>)) -> Bytes {
    let mut copy = changed(batch, change);
    let crc = crc32c::crc32c(&copy[21..]);
    copy[17..21].copy_from_slice(&crc.to_be_bytes());
    Bytes::from(copy)
}
