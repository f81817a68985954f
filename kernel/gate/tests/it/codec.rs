//! Batches survive their encoding, and no bytes make the decoder panic.

use arrow::record_batch::RecordBatch;
use candor_gate::codec::{CodecError, decode, decompressed, encode};
use candor_gate::schema::schema;
use candor_model::random::Seeded;
use candor_model::{EventTime, LogRecord, Random, Records, Signal, SpanRecord, Value};

use crate::{Bed, error, object};

/// Batches of every signal, small and large, with values of every kind.
fn batches() -> Vec<(Signal, RecordBatch)> {
    let bed = Bed::new();
    let cleared = |records: Records| {
        let signal = records.signal();
        (signal, bed.clear(records).admitted.unwrap().rows().unwrap().clone())
    };
    let mut all = vec![
        cleared(Records::Logs(vec![LogRecord::default()])),
        cleared(Records::Spans(vec![SpanRecord::default(); 3])),
        cleared(Records::Errors(vec![error("{}")])),
        cleared(Records::Errors(
            (0..50).map(|n| error(&format!(r#"{{"event_id": "{n}", "tags": {{"n": {n}}}}}"#))).collect(),
        )),
    ];
    for rows in [1, 2, 63, 64, 65, 1000] {
        all.push(cleared(Records::Logs((0..rows).map(log).collect())));
        all.push(cleared(Records::Spans((0..rows).map(span).collect())));
    }
    all.extend(Signal::ALL.map(|signal| (signal, RecordBatch::new_empty(schema(signal)))));
    all
}

#[test]
fn a_batch_without_compression_is_the_same_batch() {
    let mut shrunk = 0;
    for (signal, rows) in batches() {
        let encoded = encode(signal, &rows);
        let plain = decompressed(&encoded).unwrap();
        assert_eq!(decode(signal, &plain), decode(signal, &encoded));
        assert_eq!(decompressed(&plain).unwrap(), plain);
        shrunk += usize::from(encoded.len() < plain.len());
    }
    assert!(shrunk > 5, "some were compressed");
    assert_eq!(decompressed(b"short"), Err(CodecError("too short")));
}

fn log(n: i64) -> LogRecord {
    LogRecord {
        timestamp: Some(EventTime { micros: n * n * 1_000_003 - 5, nanos: (n % 1000) as u16 }),
        severity_text: ["INFO", "WARN", ""][n as usize % 3].into(),
        severity_number: (n % 25) as i32,
        body: match n % 5 {
            0 => Value::Null,
            1 => "größe 🦀".into(),
            n => format!("line {n} of the day\n\0").into(),
        },
        trace_id: format!(
            "{:032x}",
            u128::from(n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
        ),
        span_id: if n % 7 == 0 { String::new() } else { format!("{n:016X}") },
        host_name: "h".repeat(n as usize % 4),
        attributes: object(&match n % 4 {
            0 => "{}".to_owned(),
            1 => format!(r#"{{"n": {n}, "same": "x"}}"#),
            2 => format!(r#"{{"same": "y", "n": {n}, "u{}": null}}"#, n % 100),
            _ => format!(r#"{{"user.id": "u{n}", "list": [{n}]}}"#),
        }),
        ..LogRecord::default()
    }
}

fn span(n: i64) -> SpanRecord {
    SpanRecord {
        duration_ns: if n % 2 == 0 { i64::MAX } else { i64::MIN },
        trace_id: format!("{n:032x}"),
        span_id: format!("{n:016x}"),
        parent_span_id: if n % 2 == 0 { String::new() } else { format!("{:016x}", n - 1) },
        name: format!("span {}", n % 300),
        ..SpanRecord::default()
    }
}

#[test]
fn batches_survive() {
    for (signal, rows) in batches() {
        let encoded = encode(signal, &rows);
        let decoded = decode(signal, &encoded).unwrap();
        assert_eq!(decoded, rows, "{signal:?}, {} rows", rows.num_rows());
        assert_eq!(encode(signal, &decoded), encoded);
        // A slice of a batch is a batch.
        if rows.num_rows() > 2 {
            let slice = rows.slice(1, rows.num_rows() - 2);
            assert_eq!(decode(signal, &encode(signal, &slice)).unwrap(), slice);
        }
        for other in Signal::ALL.into_iter().filter(|other| *other != signal) {
            assert_eq!(decode(other, &encoded), Err(CodecError("another signal")));
        }
    }
}

#[test]
fn a_small_batch_is_small_and_a_large_one_smaller() {
    let bed = Bed::new();
    let record = || LogRecord {
        timestamp: Some(EventTime { micros: 1_763_632_800_000_000, nanos: 0 }),
        severity_text: "INFO".into(),
        severity_number: 9,
        body: "GET /cart took 12 ms".into(),
        service_name: "cart".into(),
        attributes: object(r#"{"http.request.method": "GET", "http.response.status_code": 200}"#),
        ..LogRecord::default()
    };
    let size = |rows: usize| {
        bed.clear(Records::Logs((0..rows).map(|_| record()).collect())).admitted.unwrap().batch().len()
    };
    assert!(size(1) < 200, "{}", size(1));
    assert!(size(1000) < 400, "{}", size(1000));
}

/// A batch of format 1 as it was first written. Old data folders open: this text never changes.
#[test]
fn the_first_format_still_reads() {
    let bed = Bed::new();
    let record = LogRecord {
        timestamp: Some(EventTime { micros: 7, nanos: 8 }),
        body: "hello".into(),
        attributes: object(r#"{"a": 1}"#),
        ..LogRecord::default()
    };
    let admitted = bed.clear(Records::Logs(vec![record])).admitted.unwrap();
    let hex = data_encoding::HEXLOWER.encode(admitted.batch());
    let expected = "0101000100000045000000d5ad26320002010e010201100209018080afa2dbffad06030100040201000507010568656c6c6f\
                    0601000701000801000901000a01000b0a010161010100000101310c01000d020000";
    assert_eq!(hex, expected);
    let decoded =
        decode(Signal::Logs, &data_encoding::HEXLOWER.decode(expected.as_bytes()).unwrap()).unwrap();
    assert_eq!(Some(&decoded), admitted.rows());
}

#[test]
fn a_batch_of_an_older_release_reads_with_nulls() {
    let (signal, rows) = batches().swap_remove(5);
    let fewer: Vec<usize> =
        (0..rows.num_columns()).filter(|n| rows.schema().field(*n).name() != "status").collect();
    let older = rows.project(&fewer).unwrap();
    let decoded = decode(signal, &encode(signal, &older)).unwrap();
    assert_eq!(decoded.column_by_name("status").unwrap().null_count(), decoded.num_rows());
    assert_eq!(decoded.column_by_name("name"), rows.column_by_name("name"));
    // But not without a column that every row has.
    let broken = rows.project(&[2, 3]).unwrap();
    assert!(decode(signal, &encode(signal, &broken)).is_err());
}

#[test]
fn damage_is_noticed_everywhere() {
    let (signal, rows) = batches().swap_remove(8);
    let encoded = encode(signal, &rows);
    for at in 0..encoded.len() {
        let mut bad = encoded.to_vec();
        bad[at] ^= 0x10;
        assert!(decode(signal, &bad).is_err(), "byte {at}");
        assert!(decode(signal, &encoded[..at]).is_err(), "cut at {at}");
    }
    assert!(decode(signal, &[&encoded[..], b"x"].concat()).is_err(), "longer");
}

/// Damage under a right checksum: what a bug or another version could write. Nothing may panic, and what is taken
/// must be a batch that encodes again.
#[test]
fn no_bytes_make_it_panic() {
    let random = Seeded::new(11);
    let plain: Vec<(Signal, Vec<u8>)> = batches()
        .into_iter()
        .filter(|(_, rows)| rows.num_rows() <= 3 || rows.num_rows() == 50)
        .map(|(signal, rows)| (signal, unpacked(&encode(signal, &rows))))
        .collect();
    let mut taken = 0;
    for round in 0..6_000 {
        let (signal, original) = &plain[round % plain.len()];
        let mut bytes = original.clone();
        for _ in 0..=random.next_u64() % 4 {
            let at = 15 + (random.next_u64() as usize) % (bytes.len() - 15).max(1);
            match random.next_u64() % 4 {
                0 if at < bytes.len() => bytes[at] = random.next_u64() as u8,
                1 if at < bytes.len() => {
                    bytes[at] = [0, 1, 2, 3, 4, 0x7f, 0x80, 0xff][random.next_u64() as usize % 8]
                }
                2 if at < bytes.len() => drop(bytes.remove(at)),
                _ => bytes.insert(at.min(bytes.len()), random.next_u64() as u8),
            }
        }
        let rows_max = if round % 500 == 0 { 600_000 } else { 200 };
        if random.next_u64().is_multiple_of(8) {
            bytes[3..7].copy_from_slice(&((random.next_u64() % rows_max) as u32).to_le_bytes());
        }
        seal(&mut bytes);
        if let Ok(decoded) = decode(*signal, &bytes) {
            taken += 1;
            assert_eq!(decode(*signal, &encode(*signal, &decoded)).as_ref(), Ok(&decoded));
        }
    }
    assert!(taken > 100, "the mutations must reach beyond the first check: {taken}");
}

/// The same batch without compression.
fn unpacked(encoded: &[u8]) -> Vec<u8> {
    let length = u32::from_le_bytes(encoded[7..11].try_into().unwrap()) as usize;
    let mut out = encoded[..15].to_vec();
    match encoded[2] {
        0 => out.extend_from_slice(&encoded[15..]),
        _ => out.extend(zstd::bulk::decompress(&encoded[15..], length).unwrap()),
    }
    out[2] = 0;
    seal(&mut out);
    out
}

/// Puts the right length and checksum in.
fn seal(bytes: &mut [u8]) {
    let length = (bytes.len() - 15) as u32;
    bytes[7..11].copy_from_slice(&length.to_le_bytes());
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&bytes[..11]);
    hasher.update(&bytes[15..]);
    let checksum = hasher.finalize();
    bytes[11..15].copy_from_slice(&checksum.to_le_bytes());
}
