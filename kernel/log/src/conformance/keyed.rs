//! What a log does with topics that are compacted by key.

use std::collections::BTreeMap;

use candor_gate::StreamSubjects;
use candor_model::{Offset, Random, Timestamp, TopicName};
use candor_records::{Bounds, Producer, open};

use super::streams::{Short, one};
use super::{Bed, P, until};
use crate::testing::{keyed, marker, numbered, stream};
use crate::{Committed, Compaction, Limits, Log, Retention, Topic};

on_every_log!(
    of_each_key_the_last_record_stays,
    nothing_beyond_an_open_transaction_is_compacted,
    what_is_compacted_may_also_be_deleted,
    whom_records_name_stays_beside_them,
);

const NOBODY: Producer = Producer { id: -1, epoch: -1, sequence: -1 };
const HOUR: i64 = 3600 * Timestamp::SECOND;

/// Longer than what was appended last counts as the active end, in a cluster as well.
const SETTLED: i64 = 1200 * Timestamp::SECOND;

fn at_once() -> Compaction {
    Compaction {
        dirty_ratio_min: 0.0,
        delete_retention_ms: 3_600_000,
        segment_ms: 0,
        ..Compaction::default()
    }
}

fn small(bed: Bed) -> Bed {
    let limits = Limits {
        journal_file_bytes: 8 << 10,
        journal_bytes: 16 << 10,
        segment_bytes: 8 << 10,
        // Several passes are needed.
        compaction_keys: 3,
        ..bed.limits.clone()
    };
    Bed { limits, ..bed }
}

async fn batches(log: &Log, topic: &Topic) -> Vec<Committed> {
    let mut from = log.log_start(topic, P);
    let mut all: Vec<Committed> = Vec::new();
    while from < log.high_watermark(topic, P) {
        let read = log.read(topic, P, from, 3000).await.expect("reads");
        let last = read.last().expect("at least one");
        assert!(all.last().is_none_or(|before| before.base < read[0].base), "in order");
        from = Offset(last.base.0 + u64::from(last.count));
        all.extend(read);
    }
    all
}

/// Records by offset: key, and the first byte of the value where there is one.
type Records = BTreeMap<u64, (String, Option<u8>)>;

fn records(batches: &[Committed]) -> Records {
    let mut all = Records::new();
    for batch in batches {
        let opened = open(&batch.batch, Bounds { bytes: 1 << 20, records: 1000 }).expect("opens");
        opened.header().check(&batch.batch).expect("its checksum is right");
        for record in opened.records().filter(|_| !opened.header().is_control()) {
            let record = record.expect("a record");
            assert_eq!(record.timestamp(opened.header()), 1000);
            let key = String::from_utf8(record.key.expect("a key").to_vec()).expect("text");
            let value = record.value.map(|value| value[0]);
            all.insert(batch.base.0 + record.offset_delta as u64, (key, value));
        }
    }
    all
}

/// Waits until exactly this is left.
async fn left(log: &Log, topic: &Topic, expected: &Records) -> Vec<Committed> {
    let mut all = Vec::new();
    until("it is compacted", async || {
        log.inner.shared.rolled.notify_one();
        all = batches(log, topic).await;
        records(&all) == *expected
    })
    .await;
    all
}

async fn of_each_key_the_last_record_stays(bed: Bed) {
    let bed = small(bed);
    let log = bed.open().await;
    let topic = stream(1);
    let mut expected: BTreeMap<String, (u64, Option<u8>)> = BTreeMap::new();
    let send = async |log: &Log, n: u64, sequence: i32, expected: &mut BTreeMap<_, _>| {
        let keys = [format!("k{}", n % 7), format!("k{}", n % 5), format!("once {}", n / 10)];
        let value = vec![n as u8; 700];
        // One key is deleted now and then, and in the end.
        let values = [(n % 7 != 3).then_some(&*value), Some(&*value), Some(&*value)];
        let of_batch: Vec<_> = keys.iter().map(String::as_str).zip(values).collect();
        let producer = Producer { id: 5, epoch: 0, sequence };
        assert_eq!(one(log, keyed(&topic, false, producer, &of_batch)).await, Ok((3 * n, false)));
        for (nth, (key, value)) in (0..).zip(keys.into_iter().zip(values)) {
            expected.insert(key, (3 * n + nth, value.map(|value| value[0])));
        }
    };
    for n in 0..40 {
        send(&log, n, 3 * n as i32, &mut expected).await;
    }
    let by_offset = |expected: &BTreeMap<String, (u64, Option<u8>)>| -> Records {
        let of_each = expected.iter().map(|(key, (offset, value))| (*offset, (key.clone(), *value)));
        of_each.collect()
    };
    let whole = batches(&log, &topic).await;
    assert_eq!(whole.len(), 40);
    // Another producer's last batch, of which no record stays.
    let other = Producer { id: 6, epoch: 0, sequence: 0 };
    let again = [("k1", Some(&b"x"[..])), ("k2", Some(&b"x"[..]))];
    assert_eq!(one(&log, keyed(&topic, false, other, &again)).await, Ok((120, false)));
    let last = [("k1", Some(&b"y"[..])), ("k2", None)];
    assert_eq!(one(&log, keyed(&topic, false, NOBODY, &last)).await, Ok((122, false)));
    expected.insert("k1".to_owned(), (122, Some(b'y')));
    expected.insert("k2".to_owned(), (123, None));
    let bytes = log.partition_bytes(&topic, P);
    bed.clock.advance(SETTLED);
    log.set_compaction(&topic, Some(at_once()));
    let after = left(&log, &topic, &by_offset(&expected)).await;
    assert!(expected.values().any(|(_, value)| value.is_none()), "tombstones stay for now");
    let bounds = |log: &Log| (log.log_start(&topic, P).0, log.high_watermark(&topic, P).0);
    assert_eq!(bounds(&log), (0, 124));
    assert!(log.partition_bytes(&topic, P).zip(bytes).is_none_or(|(after, before)| after * 2 < before));
    assert!(after.iter().any(|batch| batch.base == Offset(120) && batch.count == 2), "a producer's last");
    // Who asks for what is gone gets what comes next, from wherever it lies.
    for from in 0..124 {
        let read = log.read(&topic, P, Offset(from), 1).await.expect("reads");
        let next = after.iter().find(|batch| batch.base.0 + u64::from(batch.count) > from);
        assert_eq!(read[0].base, next.expect("there is one").base, "from {from}");
    }
    let found = log.offset_for_timestamp(&topic, P, 1000).await.expect("reads");
    assert_eq!(found, by_offset(&expected).keys().next().map(|first| (Offset(*first), 1000)));
    log.close().await;

    let log = bed.open().await;
    assert_eq!(bounds(&log), (0, 124));
    assert!(records(&batches(&log, &topic).await) == by_offset(&expected));
    // Retries are known, numbers and offsets go on.
    let retried: Vec<Short> = vec![
        one(&log, keyed(&topic, false, other, &again)).await,
        one(&log, keyed(&topic, false, Producer { sequence: 5, ..other }, &again)).await,
    ];
    assert_eq!(retried, [Ok((120, true)), Err(crate::Rejected::OutOfOrderSequence)]);
    assert_eq!(
        one(&log, keyed(&topic, false, Producer { sequence: 2, ..other }, &[("k3", Some(b"z"))])).await,
        Ok((124, false))
    );
    expected.insert("k3".to_owned(), (124, Some(b'z')));
    // When their time has come tombstones go, though nothing much is new.
    bed.clock.advance(HOUR + SETTLED);
    log.set_compaction(&topic, Some(at_once()));
    expected.retain(|_, (_, value)| value.is_some());
    left(&log, &topic, &by_offset(&expected)).await;
    assert_eq!(bounds(&log), (0, 125));
    log.close().await;
}

async fn nothing_beyond_an_open_transaction_is_compacted(bed: Bed) {
    let bed = small(bed);
    // What lies together is compacted together, so what is before the transaction is to lie apart.
    let bed = Bed { limits: Limits { journal_bytes: 1 << 20, ..bed.limits.clone() }, ..bed };
    let log = bed.open().await;
    let topic = stream(1);
    log.set_compaction(&topic, Some(at_once()));
    let send = async |is_transactional, id, sequence, key: &str, value: u8| {
        let producer = Producer { id, epoch: 0, sequence };
        // Not to be compressed: two of them fill a journal file.
        let random = (1..3000).map(|_| bed.random.next_u64() as u8);
        let value: Vec<u8> = [value].into_iter().chain(random).collect();
        let sent = one(&log, keyed(&topic, is_transactional, producer, &[(key, Some(&*value))])).await;
        sent.expect("is taken").0
    };
    let expect = |of: &[(u64, &str, u8)]| -> Records {
        of.iter().map(|(offset, key, value)| (*offset, ((*key).to_owned(), Some(*value)))).collect()
    };
    send(false, 1, 0, "a", 0).await;
    send(false, 1, 1, "a", 1).await;
    // It will be aborted.
    assert_eq!(send(true, 2, 0, "a", 2).await, 2);
    send(false, 1, 2, "a", 3).await;
    send(false, 1, 3, "b", 4).await;
    send(false, 1, 4, "b", 5).await;
    bed.clock.advance(SETTLED);
    let all = [(1, "a", 1), (2, "a", 2), (3, "a", 3), (4, "b", 4), (5, "b", 5)];
    left(&log, &topic, &expect(&all)).await;
    log.set_compaction(&topic, None);
    assert_eq!(one(&log, marker(&topic, 2, 0, false)).await, Ok((6, false)));
    assert_eq!(send(true, 2, 1, "b", 6).await, 7);
    assert_eq!(one(&log, marker(&topic, 2, 0, true)).await, Ok((8, false)));
    // One that was aborted is not the last of its key.
    assert_eq!(send(true, 2, 2, "b", 7).await, 9);
    assert_eq!(one(&log, marker(&topic, 2, 0, false)).await, Ok((10, false)));
    let before = batches(&log, &topic).await;
    let told = |batches: &[Committed]| -> Vec<u64> {
        log.aborted_among(batches).iter().map(|aborted| aborted.first_offset.0).collect()
    };
    assert_eq!(told(&before), [2, 9]);
    let without: Vec<Committed> = before.iter().filter(|batch| batch.base.0 != 2).cloned().collect();
    assert_eq!(told(&without), [9], "nothing of it was read");
    bed.clock.advance(SETTLED);
    log.set_compaction(&topic, Some(at_once()));
    let after = left(&log, &topic, &expect(&[(3, "a", 3), (7, "b", 6)])).await;
    assert!(after.iter().any(|batch| batch.base.0 == 6), "a marker stays for now");
    // Its time comes once nothing of its transaction is left; something new lets passes be due.
    for round in 0..3 {
        bed.clock.advance(HOUR + SETTLED);
        let offset = send(false, 1, 5 + round, "c", 8 + round as u8).await;
        bed.clock.advance(SETTLED);
        let expected = [(3, "a", 3), (7, "b", 6), (offset, "c", 8 + round as u8)];
        left(&log, &topic, &expect(&expected)).await;
    }
    until("the marker goes", async || {
        log.inner.shared.rolled.notify_one();
        let all = batches(&log, &topic).await;
        !all.iter().any(|batch| batch.base.0 == 6)
    })
    .await;
    // Of the other there is still its producer's last batch.
    let after = batches(&log, &topic).await;
    let bases: Vec<u64> = after.iter().map(|batch| batch.base.0).collect();
    assert!(bases.contains(&9) && bases.contains(&10), "{bases:?}");
    assert_eq!(told(&after), [9]);
    log.close().await;
}

async fn what_is_compacted_may_also_be_deleted(bed: Bed) {
    let bed = small(bed);
    let log = bed.open().await;
    let topic = Topic { name: TopicName("both".to_owned()), ..stream(1) };
    let value = vec![1; 3000];
    for n in 0..6 {
        let batch = keyed(&topic, false, NOBODY, &[(["a", "b"][n % 2], Some(&*value))]);
        assert_eq!(one(&log, batch).await, Ok((n as u64, false)));
    }
    log.set_retention(&topic, Retention { ms: Some(3_600_000), bytes: None });
    bed.clock.advance(SETTLED);
    log.set_compaction(&topic, Some(at_once()));
    let young = [(4, ("a".to_owned(), Some(1))), (5, ("b".to_owned(), Some(1)))];
    left(&log, &topic, &Records::from(young)).await;
    bed.clock.advance(HOUR);
    until("its time has passed", async || {
        log.inner.shared.rolled.notify_one();
        log.log_start(&topic, P) == Offset(6)
    })
    .await;
    // Another topic, of which nothing was said, stays as it is.
    assert_eq!(one(&log, numbered(1, 0, 0, 1)).await, Ok((0, false)));
    log.close().await;
}

async fn whom_records_name_stays_beside_them(bed: Bed) {
    let bed = small(bed);
    let log = bed.open().await;
    let topic = stream(1);
    let value = vec![1; 3000];
    let named = |batch: crate::batch::Batch, of: &[(u32, &str)]| crate::batch::Batch {
        subjects: StreamSubjects::of(of.iter().map(|(delta, code)| (*delta, vec![*code]))),
        ..batch
    };
    let both = keyed(&topic, false, NOBODY, &[("a", Some(&*value)), ("b", Some(&*value))]);
    let newer = keyed(&topic, false, NOBODY, &[("a", Some(&*value))]);
    assert_eq!(one(&log, named(both, &[(0, "user:a"), (1, "user:b")])).await, Ok((0, false)));
    assert_eq!(one(&log, named(newer, &[(0, "user:c")])).await, Ok((2, false)));
    for offset in 3..6 {
        let nobody = keyed(&topic, false, NOBODY, &[("c", Some(&*value))]);
        assert_eq!(one(&log, nobody).await, Ok((offset, false)));
    }
    let told = |all: &[Committed]| -> Vec<(u64, String)> {
        let of_batch = |batch: &Committed| {
            let mut opened = batch.subjects.open();
            let deltas = 0..batch.count;
            deltas
                .map(|delta| (batch.base.0 + u64::from(delta), opened.of(delta).join(" ")))
                .filter(|(_, codes)| !codes.is_empty())
                .collect::<Vec<_>>()
        };
        all.iter().flat_map(of_batch).collect()
    };
    let person = |offset, code: &str| (offset, code.to_owned());
    let all = [person(0, "user:a"), person(1, "user:b"), person(2, "user:c")];
    assert_eq!(told(&batches(&log, &topic).await), all);
    log.close().await;

    let log = bed.open().await;
    assert_eq!(told(&batches(&log, &topic).await), all, "as stored");
    bed.clock.advance(SETTLED);
    log.set_compaction(&topic, Some(at_once()));
    let expected = [(1, "b", 1), (2, "a", 1), (5, "c", 1)];
    let expected = expected.map(|(offset, key, value)| (offset, (key.to_owned(), Some(value))));
    let after = left(&log, &topic, &Records::from(expected)).await;
    assert_eq!(told(&after), all[1..], "nobody of what was compacted away");
    log.close().await;
}
