//! Batches that are made here.

use bytes::Bytes;
use candor_model::Random;
use candor_model::random::Seeded;
use candor_records::{
    BadBatch, BatchBuilder, Codec, Found, Headers, HeadersBuf, Marker, MarkerKind, PLACE_BYTES,
    ProducedLimits, Producer, Rebuild, TimestampType, first_at_or_after, greatest_timestamp, place, placed,
    set_max_timestamp, validate_produced,
};

use crate::{Plain, T, captured, one, opened, plain};

const LIMITS: ProducedLimits = ProducedLimits { batch_bytes: 1 << 20, records: 10_000 };

fn random_record(random: &Seeded, offset: i64) -> Plain {
    let below = |limit: u64| random.next_u64() % limit;
    let bytes = |most: u64| {
        let length = [0, 1, 63, 64, 130, 9000][below(6) as usize].min(most);
        let fill = below(256) as u8;
        (below(5) > 0)
            .then(|| (0..length).map(|at| if at % 7 == 0 { below(256) as u8 } else { fill }).collect())
    };
    let headers = (0..below(4)).map(|_| (bytes(64).unwrap_or_default(), bytes(130))).collect();
    Plain {
        offset,
        timestamp: T + below(100_000) as i64 - 50_000,
        key: bytes(130),
        value: bytes(9000),
        headers,
    }
}

fn push(builder: &mut BatchBuilder, record: &Plain) {
    let mut headers = HeadersBuf::new();
    for (name, value) in &record.headers {
        headers.push(name, value.as_deref());
    }
    builder.push(record.timestamp, record.key.as_deref(), record.value.as_deref(), headers.headers());
}

#[test]
fn what_is_built_is_read_and_may_be_produced() {
    let random = Seeded::new(1);
    for round in 0..100 {
        let codec = Codec::ALL[round % 5];
        let producer = Producer { id: 9, epoch: 2, sequence: 7 };
        let builder = BatchBuilder::new(codec);
        let mut builder = match round % 3 {
            0 => builder,
            1 => builder.producer(producer),
            _ => builder.transactional(producer),
        };
        let records: Vec<Plain> =
            (0..1 + random.next_u64() % 40).map(|offset| random_record(&random, offset as i64)).collect();
        records.iter().for_each(|record| push(&mut builder, record));
        assert_eq!((builder.len(), builder.is_empty()), (records.len(), false));
        let batch = builder.finish().unwrap();
        let header = validate_produced(&batch, LIMITS).unwrap();
        assert_eq!((header.compression(), header.is_transactional()), (Ok(codec), round % 3 == 2));
        assert_eq!(header.has_producer(), round % 3 != 0);
        assert_eq!(plain(&batch), records);
        let greatest = records.iter().map(|record| record.timestamp).max().unwrap();
        assert_eq!(
            (opened(&batch).check_produced().unwrap().greatest, header.max_timestamp),
            (greatest, greatest)
        );
    }
}

#[test]
fn a_batch_of_known_clients_is_built_to_the_byte() {
    let same = one("kafka_python_transactional");
    let producer = Producer { id: 4711, epoch: 3, sequence: 40 };
    let mut builder = BatchBuilder::new(Codec::None).transactional(producer);
    plain(&same).iter().for_each(|record| push(&mut builder, record));
    let mut built = builder.finish().unwrap().to_vec();
    place(&mut built, 0, 0).unwrap();
    assert_eq!(built, same);
}

#[test]
fn a_place_leaves_the_checksum_right() {
    for (name, batch) in captured() {
        let header = *opened(&batch).header();
        let mut moved = batch.to_vec();
        place(&mut moved, 1 << 40, 77).unwrap();
        let front = placed(&header, 1 << 40, 77);
        assert_eq!(moved, [&front[..], &batch[PLACE_BYTES..]].concat(), "{name}");
        let moved = Bytes::from(moved);
        let header = *opened(&moved).header();
        assert_eq!((header.base_offset, header.leader_epoch, header.check(&moved)), (1 << 40, 77, Ok(())));
        assert_eq!(header.last_offset(), (1 << 40) + 2);
        assert_eq!(plain(&moved)[2].offset, (1 << 40) + 2);
    }
    assert_eq!(place(&mut [0; 61], 1, 1), Err(BadBatch::Magic(0)));
}

#[test]
fn the_time_of_the_log_takes_the_place_of_the_producers() {
    for (name, batch) in captured() {
        let mut stamped = batch.to_vec();
        set_max_timestamp(&mut stamped, TimestampType::LogAppendTime, T + 9).unwrap();
        let stamped = Bytes::from(stamped);
        let open = opened(&stamped);
        let header = *open.header();
        assert_eq!((header.check(&stamped), header.max_timestamp), (Ok(()), T + 9), "{name}");
        assert_eq!(header.timestamp_type(), TimestampType::LogAppendTime);
        assert!(plain(&stamped).iter().all(|record| record.timestamp == T + 9));
        assert_eq!(first_at_or_after(&open, T + 1, 1).unwrap().map(|found| found.offset), Some(1));
        assert_eq!(greatest_timestamp(&open), Ok(Some(Found { offset: 0, timestamp: T + 9 })));
        // And back: nothing was lost.
        let mut back = stamped.to_vec();
        set_max_timestamp(&mut back, TimestampType::CreateTime, T + 1500).unwrap();
        assert_eq!(back, batch, "{name}");
    }
}

#[test]
fn markers_are_as_apache_kafka_writes_them() {
    for kind in [MarkerKind::Abort, MarkerKind::Commit] {
        let marker = Marker { kind, coordinator_epoch: 5 };
        let batch = marker.batch(4711, 3, T);
        let open = opened(&batch);
        let header = *open.header();
        assert!(header.is_control() && header.is_transactional() && header.check(&batch).is_ok());
        assert_eq!((header.producer_id, header.producer_epoch, header.base_sequence), (4711, 3, -1));
        assert_eq!((header.records, header.offsets(), header.max_timestamp), (1, 1, T));
        let record = open.records().next().unwrap().unwrap();
        assert_eq!(record.key, Some(&[0, 0, 0, kind as u8][..]));
        assert_eq!(record.value, Some(&[0, 0, 0, 0, 0, 5][..]));
        assert_eq!(Marker::read(&record), Some(marker));
        let other = candor_records::Record { key: Some(&[0, 0, 0, 2]), ..record };
        assert_eq!(Marker::read(&other), None);
        assert_eq!(validate_produced(&batch, LIMITS).map_err(|bad| bad.code()), Err(87));
    }
}

#[test]
fn a_rebuilt_batch_says_what_it_said() {
    for (name, batch) in captured() {
        let mut moved = batch.to_vec();
        place(&mut moved, 500, 3).unwrap();
        let moved = Bytes::from(moved);
        let open = opened(&moved);
        let mut rebuild = Rebuild::new(open.header()).unwrap();
        open.records().for_each(|record| rebuild.push(&record.unwrap()));
        let same = rebuild.finish().unwrap();
        assert_eq!(plain(&same), plain(&moved), "{name}");
        let crc_and_length = |header: &candor_records::Header| (header.crc, header.bytes);
        let (crc, bytes) = crc_and_length(opened(&same).header());
        assert_eq!(
            *opened(&same).header(),
            candor_records::Header { crc, bytes, ..*open.header() },
            "{name}"
        );
        opened(&same).header().check(&same).unwrap();
    }
}

#[test]
fn gaps_and_empty_batches_keep_offsets_and_numbers() {
    for (name, batch) in captured() {
        let open = opened(&batch);
        let mut rebuild = Rebuild::new(open.header()).unwrap();
        rebuild.push(&open.records().nth(2).unwrap().unwrap());
        let gaps = rebuild.finish().unwrap();
        let header = *opened(&gaps).header();
        assert_eq!((header.records, header.offsets(), header.max_timestamp), (1, 3, T - 7), "{name}");
        assert_eq!(plain(&gaps), [plain(&batch)[2].clone()]);
        let empty = Rebuild::new(open.header()).unwrap().finish().unwrap();
        let emptied = *opened(&empty).header();
        assert_eq!(
            (emptied.records, emptied.bytes, emptied.codec(), emptied.max_timestamp),
            (0, 61, 0, T + 1500)
        );
        assert_eq!((emptied.offsets(), emptied.last_sequence()), (3, open.header().last_sequence()));
        assert_eq!((plain(&empty), emptied.check(&empty)), (vec![], Ok(())));
        // Batches with gaps hold up to being rebuilt again.
        let mut rebuild = Rebuild::new(&header).unwrap();
        opened(&gaps).records().for_each(|record| rebuild.push(&record.unwrap()));
        assert_eq!(plain(&rebuild.finish().unwrap()), plain(&gaps));
    }
}

#[test]
fn a_delete_horizon_moves_no_timestamp() {
    let batch = one("kafka_python_lz4");
    let open = opened(&batch);
    let mut rebuild = Rebuild::new(open.header()).unwrap().with_delete_horizon(T + 86_400_000);
    open.records().for_each(|record| rebuild.push(&record.unwrap()));
    let marked = rebuild.finish().unwrap();
    let header = *opened(&marked).header();
    assert_eq!((header.delete_horizon(), header.max_timestamp), (Some(T + 86_400_000), T + 1500));
    assert_eq!(plain(&marked), plain(&batch));
    assert_eq!(open.header().delete_horizon(), None);
}

#[test]
fn times_before_1970_and_none_at_all_are_kept() {
    let mut builder = BatchBuilder::new(Codec::None);
    for timestamp in [-1, i64::MAX, 0, i64::MIN] {
        builder.push(timestamp, None, None, Headers::default());
    }
    let batch = builder.finish().unwrap();
    let read: Vec<i64> = plain(&batch).iter().map(|record| record.timestamp).collect();
    assert_eq!(read, [-1, i64::MAX, 0, i64::MIN]);
    let mut builder = BatchBuilder::new(Codec::None);
    builder.push(-1, None, None, Headers::default());
    let batch = builder.finish().unwrap();
    let checked = opened(&batch).check_produced().unwrap();
    assert_eq!((checked.greatest, checked.least, checked.all_have_keys), (-1, None, false));
    assert_eq!(greatest_timestamp(&opened(&batch)), Ok(None));
}
