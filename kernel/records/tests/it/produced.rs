//! What a producer may not send is refused for what it is.

use bytes::Bytes;
use candor_records::{BadBatch, ProducedLimits, validate_produced};

use crate::{changed, one, opened, resealed};

const LIMITS: ProducedLimits = ProducedLimits { batch_bytes: 10_000, records: 100 };

fn refused(batch: &[u8]) -> (i16, String) {
    let bad = validate_produced(batch, LIMITS).expect_err("it is refused");
    (bad.code(), bad.to_string())
}

/// A field of the header set, and the checksum right.
fn with(name: &str, at: usize, field: &[u8]) -> Bytes {
    resealed(&one(name), |batch| batch[at..at + field.len()].copy_from_slice(field))
}

#[test]
fn exactly_one_batch_is_taken() {
    let batch = one("kafka_python_none");
    validate_produced(&batch, LIMITS).unwrap();
    let twice = [&batch[..], &batch[..]].concat();
    assert_eq!(refused(&twice), (87, "more than one batch for a partition".into()));
    let behind = [&batch[..], b"x"].concat();
    assert_eq!(refused(&behind), (2, "the batch is not as long as it says".into()));
    for end in 0..batch.len() {
        assert_eq!(refused(&batch[..end]).0, 2, "cut at {end}");
    }
}

#[test]
fn other_formats_and_damage_are_told_apart() {
    let batch = one("librdkafka_zstd");
    for (magic, code) in [(0, 87), (1, 87), (3, 2), (0xff, 2)] {
        assert_eq!(refused(&changed(&batch, |batch| batch[16] = magic)).0, code, "{magic}");
    }
    for at in 17..batch.len() {
        let wrong = changed(&batch, |batch| batch[at] ^= 0x10);
        assert_eq!(validate_produced(&wrong, LIMITS), Err(BadBatch::Crc), "byte {at}");
    }
    assert_eq!(
        refused(&with("librdkafka_zstd", 21, &[0, 5])),
        (76, "compression codec 5 is not known".into())
    );
}

#[test]
fn limits_hold_to_the_byte() {
    let batch = one("kafka_python_none");
    let limits = ProducedLimits { batch_bytes: batch.len() - 1, records: 3 };
    let bad = validate_produced(&batch, limits).unwrap_err();
    assert_eq!((bad, bad.code()), (BadBatch::Size { bytes: 208, max: 207 }, 10));
    let limits = ProducedLimits { batch_bytes: batch.len(), records: 2 };
    assert_eq!(validate_produced(&batch, limits), Err(BadBatch::TooMany(3)));
}

#[test]
fn fields_that_only_the_broker_sets_are_refused() {
    let plain = "kafka_python_none";
    let cases: [(Bytes, i16, &str); 11] = [
        (with(plain, 0, &5i64.to_be_bytes()), 87, "the base offset of what is produced is not 0"),
        (with(plain, 57, &0i32.to_be_bytes()), 87, "the batch holds no records"),
        (with(plain, 57, &(-1i32).to_be_bytes()), 87, "the batch holds no records"),
        (with(plain, 57, &i32::MIN.to_be_bytes()), 87, "the batch holds no records"),
        (with(plain, 57, &4i32.to_be_bytes()), 87, "the offsets are not as many as the records"),
        (with(plain, 23, &i32::MAX.to_be_bytes()), 87, "the offsets are not as many as the records"),
        (with(plain, 21, &[0, 0x20]), 87, "only the broker writes control batches"),
        (with(plain, 21, &[0, 0x40]), 87, "only the broker sets a delete horizon"),
        (with(plain, 21, &[0, 0x10]), 87, "a transaction needs a producer id"),
        (
            with("librdkafka_none", 53, &(-1i32).to_be_bytes()),
            87,
            "a producer id comes with a sequence number",
        ),
        (
            with("librdkafka_none", 51, &(-1i16).to_be_bytes()),
            87,
            "a producer id comes with a producer epoch",
        ),
    ];
    for (batch, code, message) in cases {
        assert_eq!(refused(&batch), (code, message.to_owned()));
    }
    let bad = refused(&with(plain, 21, &[0, 0x08]));
    assert_eq!(bad, (32, "a producer cannot set the time at which the log took a record".into()));
}

#[test]
fn offsets_within_go_up_by_one() {
    // The first record's offset delta stands behind its length of two bytes, attributes and timestamp delta.
    let (batch, delta_at) = (one("kafka_python_none"), 61 + 2 + 1 + 1);
    assert_eq!(batch[delta_at], 0);
    let batch = resealed(&batch, |batch| batch[delta_at] = 2);
    validate_produced(&batch, LIMITS).unwrap();
    let bad = opened(&batch).check_produced().unwrap_err();
    let message = "the offsets of the records do not follow on one another";
    assert_eq!((bad.code(), bad.to_string().as_str()), (87, message));
}
