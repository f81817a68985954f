//! What real clients make is read as they meant it.

use candor_records::{
    Checked, Codec, Found, ProducedLimits, first_at_or_after, greatest_timestamp, validate_produced,
};

use crate::{Plain, T, captured, one, opened, plain};

fn meant() -> Vec<Plain> {
    let bytes = |text: &[u8]| Some(text.to_vec());
    let note = b"{\"note\":\"plain plain plain plain plain plain plain plain\"}";
    vec![
        Plain {
            offset: 0,
            timestamp: T,
            key: bytes(b"k1"),
            value: bytes(note),
            headers: vec![(b"a".to_vec(), bytes(b"1")), (b"b".to_vec(), None)],
        },
        Plain {
            offset: 1,
            timestamp: T + 1500,
            key: None,
            value: bytes(b"text text text text text text text text text text"),
            headers: vec![],
        },
        Plain {
            offset: 2,
            timestamp: T - 7,
            key: bytes(b"k3"),
            value: None,
            headers: vec![("é".as_bytes().to_vec(), bytes(b"\x00\xff"))],
        },
    ]
}

#[test]
fn records_of_clients_are_read_in_every_codec() {
    let mut codecs = Vec::new();
    for (name, batch) in captured() {
        let limits = ProducedLimits { batch_bytes: batch.len(), records: 3 };
        let header = validate_produced(&batch, limits).unwrap_or_else(|bad| panic!("{name}: {bad}"));
        assert_eq!((header.records, header.offsets(), header.last_offset()), (3, 3, 2), "{name}");
        assert_eq!(plain(&batch), meant(), "{name}");
        let checked = Checked { greatest: T + 1500, least: Some(T - 7), all_have_keys: false };
        assert_eq!(opened(&batch).check_produced(), Ok(checked), "{name}");
        assert_eq!(header.max_timestamp, T + 1500, "{name}");
        codecs.push(header.compression().unwrap());
    }
    for codec in Codec::ALL {
        assert!(codecs.iter().filter(|seen| **seen == codec).count() >= 2, "{codec:?} of two clients");
    }
}

#[test]
fn fields_of_producers_are_read() {
    let header = *opened(&one("kafka_python_transactional")).header();
    assert!(header.is_transactional() && !header.is_control() && header.has_producer());
    assert_eq!((header.producer_id, header.producer_epoch, header.base_sequence), (4711, 3, 40));
    assert_eq!(header.last_sequence(), 42);
    let header = *opened(&one("librdkafka_none")).header();
    assert!(header.has_producer() && !header.is_transactional());
    assert_eq!((header.producer_epoch, header.base_sequence), (0, 0));
    let header = *opened(&one("kafka_python_none")).header();
    assert_eq!((header.has_producer(), header.last_sequence()), (false, -1));
    // Numbers go on with 0 behind the greatest.
    let header = candor_records::Header { base_sequence: i32::MAX, last_offset_delta: 2, ..header };
    assert_eq!(header.last_sequence(), 1);
}

#[test]
fn what_is_not_compressed_is_not_copied() {
    let batch = one("kafka_python_none");
    let within = |part: &[u8]| batch.as_ptr_range().contains(&part.as_ptr());
    let open = opened(&batch);
    let value = open.records().next().unwrap().unwrap().value.unwrap();
    assert!(within(value) && within(&open.bytes_of(value)));
    assert_eq!(open.bytes_of(value), value);
    assert_eq!(open.bytes_of(b"elsewhere"), b"elsewhere"[..]);
    let batch = one("kafka_python_zstd");
    let open = opened(&batch);
    let value = open.records().next().unwrap().unwrap().value.unwrap();
    assert_eq!(open.bytes_of(value).as_ptr(), value.as_ptr());
}

#[test]
fn records_are_found_by_their_timestamps() {
    for (name, batch) in captured() {
        let open = opened(&batch);
        let found = |timestamp, from| {
            first_at_or_after(&open, timestamp, from).unwrap().map(|found| (found.offset, found.timestamp))
        };
        assert_eq!(found(0, 0), Some((0, T)), "{name}");
        assert_eq!(found(T, 0), Some((0, T)), "{name}");
        assert_eq!(found(T + 1, 0), Some((1, T + 1500)), "{name}");
        assert_eq!(found(T - 7, 2), Some((2, T - 7)), "{name}");
        assert_eq!(found(T + 1501, 0), None, "{name}");
        let greatest = Found { offset: 1, timestamp: T + 1500 };
        assert_eq!(greatest_timestamp(&open), Ok(Some(greatest)), "{name}");
    }
}
