//! Damaged, lying and hostile batches: an error, never a panic, and never more memory than the bounds say.

use bytes::Bytes;
use candor_model::Random;
use candor_model::random::Seeded;
use candor_records::{
    BadBatch, BatchBuilder, Bounds, Codec, Headers, Marker, ProducedLimits, Rebuild, first_at_or_after,
    greatest_timestamp, open, place, set_max_timestamp, validate_produced,
};
use candor_testbed::fuzz::{Body, fuzz};

use crate::{BOUNDS, captured, one, resealed};

/// Everything that is done with bytes from outside. What opens without an error is rebuilt and opens again.
fn exercise(bytes: &[u8]) {
    let batch = Bytes::copy_from_slice(bytes);
    let limits = ProducedLimits { batch_bytes: 1 << 20, records: BOUNDS.records };
    let _ = validate_produced(&batch, limits);
    let mut copy = bytes.to_vec();
    if place(&mut copy, 7, 8).is_ok() {
        let _ = set_max_timestamp(&mut copy, candor_records::TimestampType::LogAppendTime, 9);
    }
    let Ok(opened) = open(&batch, BOUNDS) else { return };
    assert!(opened.body().len() <= BOUNDS.bytes);
    let _ = (opened.check_produced(), first_at_or_after(&opened, 5, 5), greatest_timestamp(&opened));
    let mut rebuild = Rebuild::new(opened.header()).unwrap();
    let mut records = 0;
    for record in opened.records() {
        let Ok(record) = record else { return };
        let headers = record.headers.iter().count();
        assert_eq!(headers, record.headers.len());
        assert_eq!(headers == 0, record.headers.is_empty());
        let _ = (record.timestamp(opened.header()), record.offset(opened.header()), Marker::read(&record));
        rebuild.push(&record);
        records += 1;
    }
    assert_eq!(records, opened.header().records);
    let again = rebuild.finish().unwrap();
    let reopened = open(&again, Bounds { bytes: 2 * BOUNDS.bytes, ..BOUNDS }).unwrap();
    assert!(reopened.records().zip(opened.records()).all(|(one, other)| one == other));
    reopened.header().check(&again).unwrap();
}

#[test]
fn every_truncation_is_an_error() {
    for (name, batch) in captured() {
        for end in 0..batch.len() {
            assert_eq!(open(&batch.slice(..end), BOUNDS).err(), Some(BadBatch::Length), "{name} at {end}");
        }
        // Cut within, with a length and a checksum that agree.
        for end in 61..batch.len() {
            let cut = resealed(&batch, |batch| {
                batch.truncate(end);
                let length = end as i32 - 12;
                batch[8..12].copy_from_slice(&length.to_be_bytes());
            });
            let read = open(&cut, BOUNDS).map(|opened| opened.check_produced());
            // Of an LZ4 frame the mark of its end may be missing: all records came before it.
            let may_be_whole = name.ends_with("lz4") && end + 4 >= batch.len();
            assert!(may_be_whole || !matches!(read, Ok(Ok(_))), "{name} at {end}: {read:?}");
            exercise(&cut);
        }
    }
}

#[test]
fn lengths_that_lie_are_not_believed() {
    let plain = one("kafka_python_none");
    for (at, field) in
        [(57usize, i32::MAX), (57, 9_999), (57, -1), (57, i32::MIN), (8, i32::MAX), (8, -1), (8, 48)]
    {
        let lying = resealed(&plain, |batch| batch[at..at + 4].copy_from_slice(&field.to_be_bytes()));
        assert!(open(&lying, BOUNDS).is_err(), "{field} at {at}");
        exercise(&lying);
    }
    // Fewer records than there are: what is left over is an error.
    let fewer = resealed(&plain, |batch| batch[57..61].copy_from_slice(&2i32.to_be_bytes()));
    let opened = open(&fewer, BOUNDS).unwrap();
    let last = opened.records().last();
    assert_eq!(last, Some(Err(BadBatch::Field("bytes follow the last record"))));
    assert_eq!(opened.records().count(), 3);
    // More: the one that is not there is.
    let more = resealed(&plain, |batch| batch[57..61].copy_from_slice(&4i32.to_be_bytes()));
    assert_eq!(open(&more, BOUNDS).unwrap().records().last(), Some(Err(BadBatch::Record(3))));
}

/// A batch whose records unfold to `size` bytes of zeros.
fn bomb(codec: Codec, size: usize) -> Bytes {
    let mut builder = BatchBuilder::new(codec);
    builder.push(0, None, Some(&vec![0; size]), Headers::default());
    builder.finish().unwrap()
}

#[test]
fn bombs_stop_at_the_bound() {
    for codec in Codec::ALL {
        let bomb = bomb(codec, 64 << 20);
        if codec != Codec::None {
            assert!(bomb.len() < 4 << 20, "{codec:?}: {}", bomb.len());
        }
        let bad = open(&bomb, BOUNDS).unwrap_err();
        assert_eq!((bad, bad.code()), (BadBatch::TooLarge, 10), "{codec:?}");
        assert!(open(&bomb, Bounds { bytes: 65 << 20, records: 1 }).is_ok());
        assert_eq!(open(&bomb, Bounds { bytes: 65 << 20, records: 0 }).err(), Some(BadBatch::TooMany(1)));
    }
    // The bound itself is allowed.
    for codec in Codec::ALL {
        let batch = bomb(codec, 1000);
        let length = open(&batch, BOUNDS).unwrap().body().len();
        assert!(open(&batch, Bounds { bytes: length, records: 1 }).is_ok(), "{codec:?}");
        assert_eq!(open(&batch, Bounds { bytes: length - 1, records: 1 }).err(), Some(BadBatch::TooLarge));
    }
}

/// A batch with these bytes for its compressed records.
fn compressed_as(codec: u8, body: &[u8]) -> Bytes {
    resealed(&one("kafka_python_none"), |batch| {
        batch.truncate(61);
        batch.extend_from_slice(body);
        let length = batch.len() as i32 - 12;
        batch[8..12].copy_from_slice(&length.to_be_bytes());
        batch[22] = codec;
    })
}

#[test]
fn what_claims_to_be_large_is_not_made_room_for() {
    // A bare snappy block of 4 GiB less one, and one within the bound that has nothing behind it.
    let huge = compressed_as(2, b"\xff\xff\xff\xff\x0f\x00");
    assert_eq!(open(&huge, BOUNDS).err(), Some(BadBatch::TooLarge));
    let hollow = compressed_as(2, b"\xff\xff\x3f\x00");
    assert_eq!(open(&hollow, BOUNDS).err(), Some(BadBatch::Compressed));
    // A framed block that is longer than what is there, and a frame that is cut.
    for body in [
        &b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01\x7f\xff\xff\xff\0"[..],
        b"\x82SNAPPY\0\0\0",
        b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01\0\0",
    ] {
        assert_eq!(open(&compressed_as(2, body), BOUNDS).err(), Some(BadBatch::Compressed));
    }
    for codec in 1..=4 {
        let noise = compressed_as(codec, b"this is not compressed at all");
        assert_eq!(open(&noise, BOUNDS).err(), Some(BadBatch::Compressed), "{codec}");
    }
}

#[test]
fn snappy_streams_one_behind_the_other_are_one() {
    let framed = one("kafka_python_snappy");
    let plain = one("kafka_python_none");
    let (first, second) = plain[61..].split_at(80);
    let block = |part: &[u8]| snap::raw::Encoder::new().compress_vec(part).unwrap();
    let stream = |part: &[u8]| {
        let block = block(part);
        [&framed[61..77], &(block.len() as u32).to_be_bytes(), &block].concat()
    };
    let batch = compressed_as(2, &[stream(first), stream(second)].concat());
    assert_eq!(crate::plain(&batch), crate::plain(&plain));
}

#[test]
fn damaged_batches_do_no_harm() {
    let corpus: Vec<Bytes> = captured().into_iter().map(|(_, batch)| batch).collect();
    let make = |case: u64| {
        let random = Seeded::new(case);
        let below = |limit: usize| (random.next_u64() % limit as u64) as usize;
        let mut bytes = corpus[below(corpus.len())].to_vec();
        for _ in 0..1 + below(4) {
            let at = if below(3) == 0 { below(bytes.len()) } else { 61 + below(bytes.len() - 61) };
            match below(5) {
                0 => bytes[at] ^= 1 << below(8),
                1 => bytes[at] = [0, 0xff, 0x7f, 0x80, 1][below(5)],
                2 if bytes.len() > 70 => drop(bytes.remove(at)),
                3 => bytes.insert(at, below(256) as u8),
                _ => {
                    let other = &corpus[below(corpus.len())];
                    let from = below(other.len());
                    let end = (from + below(20)).min(other.len());
                    bytes.splice(at..at, other[from..end].iter().copied());
                }
            }
        }
        // Most cases get past the length.
        if below(8) > 0 {
            let length = bytes.len() as i32 - 12;
            bytes[8..12].copy_from_slice(&length.to_be_bytes());
        }
        Body(bytes)
    };
    fuzz(make, |body| exercise(&body.0));
}
