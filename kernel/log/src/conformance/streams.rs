//! What a log does with topics of streams: producers that retry, transactions, and what a Fetch asks.

use std::time::{Duration, Instant};

use candor_model::{Offset, Partition, Timestamp};
use candor_store::Disk;

use super::{Backend, Bed, P, until};
use crate::batch::Batch;
use crate::testing::{Kafka, batch, marker, numbered, stream, topic, transactional};
use crate::{
    Aborted, AppendError, Appended, DeleteError, Limits, Log, ReadError, Rejected, Retention, Topic, inspect,
};

on_every_log!(
    a_producer_is_stored_once_and_in_order_even_after_a_restart,
    a_new_epoch_begins_at_zero_and_numbers_wrap,
    a_producer_is_forgotten_after_a_week,
    what_is_of_a_transaction_is_stable_once_it_ends,
    a_wait_for_many_partitions_ends_with_any_of_them,
    a_timestamp_finds_its_record,
    streams_are_deleted_by_hand,
    a_streams_retention_is_its_own,
);

fn bed() -> Bed {
    Bed::local("").expect("a local one")
}

/// Short: the offset, whether it was stored before, or why it was refused.
pub(super) type Short = Result<(u64, bool), Rejected>;

fn short(answer: Result<Appended, AppendError>) -> Short {
    match answer {
        Ok(appended) => Ok((appended.base.0, appended.duplicate)),
        Err(AppendError::Rejected(rejected)) => Err(rejected),
        Err(error) => panic!("{error}"),
    }
}

async fn each(log: &Log, batches: Vec<Batch>) -> Vec<Short> {
    log.append_each_batch(batches).await.into_iter().map(short).collect()
}

pub(super) async fn one(log: &Log, batch: Batch) -> Short {
    each(log, vec![batch]).await[0]
}

const GAP: Short = Err(Rejected::OutOfOrderSequence);
const OLD: Short = Err(Rejected::InvalidProducerEpoch);

async fn a_producer_is_stored_once_and_in_order_even_after_a_restart(bed: Bed) {
    let log = bed.open().await;
    // Several in one request, each answered by itself.
    let sent = vec![numbered(7, 0, 0, 3), numbered(7, 0, 3, 2), numbered(7, 0, 9, 1), numbered(7, 0, 0, 3)];
    assert_eq!(each(&log, sent).await, [Ok((0, false)), Ok((3, false)), GAP, Ok((0, true))]);
    // All or none: what the second refuses takes the first with it, and its numbers.
    let none = log.append_batches(vec![numbered(7, 0, 5, 1), numbered(7, 0, 7, 1)]).await;
    let expected = if bed.is_local() { Rejected::OutOfOrderSequence } else { Rejected::AllOrNone };
    assert!(matches!(none, Err(AppendError::Rejected(why)) if why == expected), "{none:?}");
    assert_eq!(one(&log, numbered(7, 0, 5, 1)).await, Ok((5, false)));
    // Others are others, and what has no producer is not looked at.
    let plain = || numbered(-1, -1, -1, 2);
    assert_eq!(one(&log, numbered(8, 0, 0, 1)).await, Ok((6, false)));
    assert_eq!(each(&log, vec![plain(), plain()]).await, [Ok((7, false)), Ok((9, false))]);
    // The other partition has numbers of its own.
    let elsewhere = Batch { partition: Partition(1), ..numbered(7, 0, 0, 1) };
    assert_eq!(one(&log, elsewhere).await, Ok((0, false)));
    for n in 6..10 {
        assert_eq!(one(&log, numbered(7, 0, n, 1)).await, Ok((u64::from(n as u32) + 5, false)));
    }
    log.close().await;

    for checkpoint in [true, false] {
        if !checkpoint {
            // The journal alone tells it as well.
            bed.disk_without_checkpoint();
        }
        let log = bed.open().await;
        // The last five are 5 to 9; older ones are not remembered, as with Kafka.
        let again = [(5, Ok((5, true))), (7, Ok((12, true))), (9, Ok((14, true))), (4, GAP), (11, GAP)];
        for (sequence, expected) in again {
            assert_eq!(one(&log, numbered(7, 0, sequence, 1)).await, expected, "{sequence}");
        }
        // Of another length it is no retry.
        assert_eq!(one(&log, numbered(7, 0, 9, 2)).await, GAP);
        log.close().await;
    }
}

impl Bed {
    pub(super) fn is_local(&self) -> bool {
        matches!(self.backend, Backend::Local)
    }

    fn disk_without_checkpoint(&self) {
        if self.is_local() {
            self.disk().remove("log/checkpoint").expect("removes");
        }
    }
}

async fn a_new_epoch_begins_at_zero_and_numbers_wrap(bed: Bed) {
    let log = bed.open().await;
    // Nothing is known of it: taken as it comes, unless it is part of a transaction.
    assert_eq!(one(&log, transactional(5, 1, 4, 1)).await, GAP);
    assert_eq!(one(&log, numbered(5, 1, i32::MAX - 1, 2)).await, Ok((0, false)));
    assert_eq!(one(&log, numbered(5, 1, 0, 1)).await, Ok((2, false)));
    assert_eq!(one(&log, numbered(6, 1, i32::MAX, 3)).await, Ok((3, false)));
    assert_eq!(one(&log, numbered(6, 1, 2, 1)).await, Ok((6, false)));
    assert_eq!(one(&log, numbered(6, 1, i32::MAX, 3)).await, Ok((3, true)));
    assert_eq!(one(&log, numbered(5, 2, 1, 1)).await, GAP);
    assert_eq!(one(&log, numbered(5, 2, 0, 1)).await, Ok((7, false)));
    assert_eq!(one(&log, numbered(5, 1, 1, 1)).await, OLD);
    // What the old epoch stored is not compared any more.
    assert_eq!(one(&log, numbered(5, 1, 0, 1)).await, OLD);
    assert_eq!(one(&log, numbered(5, 2, -1, 1)).await, GAP);
    log.close().await;
}

async fn a_producer_is_forgotten_after_a_week(bed: Bed) {
    let log = bed.open().await;
    assert_eq!(one(&log, numbered(5, 0, 0, 1)).await, Ok((0, false)));
    assert_eq!(one(&log, transactional(6, 0, 0, 1)).await, Ok((1, false)));
    bed.clock.advance(6 * 24 * 3600 * Timestamp::SECOND);
    assert_eq!(one(&log, numbered(5, 0, 5, 1)).await, GAP);
    bed.clock.advance(24 * 3600 * Timestamp::SECOND);
    assert_eq!(one(&log, numbered(5, 0, 5, 1)).await, Ok((2, false)));
    assert_eq!(one(&log, numbered(5, 0, 7, 1)).await, GAP);
    // One with an open transaction stays.
    assert_eq!(one(&log, transactional(6, 0, 5, 1)).await, GAP);
    log.close().await;
}

async fn what_is_of_a_transaction_is_stable_once_it_ends(bed: Bed) {
    let log = bed.open().await;
    let stable = |log: &Log| log.last_stable_offset(&stream(1), P).0;
    let aborted = |log: &Log, from, to| -> Vec<(u64, i64)> {
        let aborted = log.aborted(&stream(1), P, Offset(from), Offset(to));
        aborted.iter().map(|Aborted { first_offset, producer_id }| (first_offset.0, *producer_id)).collect()
    };
    assert_eq!(one(&log, numbered(-1, -1, -1, 2)).await, Ok((0, false)));
    assert_eq!(stable(&log), 2);
    assert_eq!(one(&log, transactional(1, 0, 0, 2)).await, Ok((2, false)));
    assert_eq!(one(&log, transactional(2, 0, 0, 2)).await, Ok((4, false)));
    assert_eq!(one(&log, transactional(1, 0, 2, 2)).await, Ok((6, false)));
    assert_eq!(one(&log, numbered(3, 0, 0, 1)).await, Ok((8, false)));
    assert_eq!(stable(&log), 2);
    assert_eq!(one(&log, numbered(1, 0, 4, 1)).await, Err(Rejected::InvalidTransactionState));
    // Producer 2 aborts first: what is of 1 is still open.
    assert_eq!(one(&log, marker(&stream(1), 2, 0, false)).await, Ok((9, false)));
    assert_eq!((stable(&log), aborted(&log, 0, 10)), (2, vec![(4, 2)]));
    // A marker of a later epoch fences; one of an earlier is refused.
    assert_eq!(one(&log, marker(&stream(1), 1, 1, false)).await, Ok((10, false)));
    assert_eq!(one(&log, marker(&stream(1), 1, 0, true)).await, OLD);
    assert_eq!(one(&log, transactional(1, 0, 4, 1)).await, OLD);
    assert_eq!((stable(&log), aborted(&log, 0, 11)), (11, vec![(2, 1), (4, 2)]));
    // In the same epoch numbers go on, in another they begin again.
    assert_eq!(one(&log, transactional(2, 0, 2, 1)).await, Ok((11, false)));
    assert_eq!(one(&log, marker(&stream(1), 2, 0, true)).await, Ok((12, false)));
    assert_eq!(one(&log, transactional(1, 1, 0, 1)).await, Ok((13, false)));
    assert_eq!(stable(&log), 13);
    // A marker of what is not open ends nothing.
    assert_eq!(one(&log, marker(&stream(1), 4, 0, false)).await, Ok((14, false)));
    log.close().await;

    for checkpoint in [true, false] {
        if !checkpoint {
            bed.disk_without_checkpoint();
        }
        let log = bed.open().await;
        assert_eq!(stable(&log), 13);
        assert_eq!(aborted(&log, 0, 15), [(2, 1), (4, 2)]);
        assert_eq!(aborted(&log, 10, 15), [(2, 1)]);
        assert_eq!(aborted(&log, 0, 4), [(2, 1)]);
        assert_eq!(aborted(&log, 11, 15), []);
        assert_eq!(one(&log, marker(&stream(1), 1, 0, true)).await, OLD);
        log.close().await;
    }
    let log = bed.open().await;
    assert_eq!(one(&log, marker(&stream(1), 1, 1, true)).await, Ok((15, false)));
    assert_eq!(stable(&log), 16);
    // What is of signals is stable as it comes.
    log.append_batches(vec![batch(1, b"x", 2)]).await.expect("appends");
    assert_eq!(log.last_stable_offset(&topic(1), P), Offset(2));
    // Of all partitions at once, in order, until the topic is deleted.
    for partition in [3, 1].map(Partition) {
        let batch = Batch { partition, ..numbered(-1, -1, -1, 2) };
        assert!(one(&log, batch).await.is_ok());
    }
    let ends = [(P, Offset(16)), (Partition(1), Offset(2)), (Partition(3), Offset(2))];
    assert_eq!(log.stable_ends(&stream(1)), ends);
    log.delete_topic(&stream(1)).await.expect("deletes");
    assert!(log.stable_ends(&stream(1)).is_empty());
    log.close().await;
}

async fn a_wait_for_many_partitions_ends_with_any_of_them(bed: Bed) {
    let log = bed.open().await;
    let of = |n: u32| Batch { partition: Partition(n), ..numbered(-1, -1, -1, 1) };
    assert_eq!(one(&log, of(3)).await, Ok((0, false)));
    let watched: Vec<_> = (0..1000).map(|n| (stream(1), Partition(n), Offset(u64::from(n == 3)))).collect();
    let start = Instant::now();
    log.wait_any(&watched, Duration::from_millis(30)).await;
    assert!(start.elapsed() >= Duration::from_millis(30), "nothing came");
    // An append comes at any moment of a wait, and never is it missed.
    for round in 0..50_u32 {
        let partition = (round * 37) % 1000;
        let end = log.high_watermark(&stream(1), Partition(partition));
        let mut watched = watched.clone();
        for (_, partition, from) in &mut watched {
            *from = log.high_watermark(&stream(1), *partition);
        }
        let waiter = tokio::spawn({
            let log = log.clone();
            async move { log.wait_any(&watched, Duration::from_secs(60)).await }
        });
        tokio::time::sleep(Duration::from_micros(u64::from(round) * 20)).await;
        assert_eq!(one(&log, of(partition)).await, Ok((end.0, false)));
        tokio::time::timeout(Duration::from_secs(10), waiter).await.expect("wakes").expect("runs");
    }
    // Who waits is told of a deletion as well.
    let waiter = tokio::spawn({
        let log = log.clone();
        async move { log.wait_any(&[(stream(1), Partition(5), Offset(7))], Duration::from_secs(60)).await }
    });
    log.delete_topic(&stream(1)).await.expect("deletes");
    tokio::time::timeout(Duration::from_secs(10), waiter).await.expect("wakes").expect("runs");
    log.close().await;
}

async fn a_timestamp_finds_its_record(bed: Bed) {
    let limits = Limits {
        journal_file_bytes: 8 << 10,
        journal_bytes: 16 << 10,
        segment_bytes: 8 << 10,
        tail_cache_bytes: 1,
        ..Limits::default()
    };
    let bed = Bed { limits, ..bed };
    let log = bed.open().await;
    assert_eq!(log.offset_for_timestamp(&stream(1), P, 0).await.expect("reads"), None);
    // Three a batch; of every batch the second is the latest, and one batch is far ahead of its time.
    let value = vec![7; 700];
    let mut all = Vec::new();
    for n in 0..60_i64 {
        let at = if n == 31 { 100_000 } else { 1000 + 10 * n };
        let timestamps = [at, at + 7, at + 2];
        let kafka = Kafka { timestamps: &timestamps, value: &value, ..Kafka::default() };
        assert_eq!(one(&log, kafka.batch(&stream(1))).await, Ok((3 * n as u64, false)));
        all.extend(timestamps);
    }
    let local = async |log: &Log| {
        for asked in [0, 1000, 1001, 1007, 1008, 1100, 1307, 1320, 1599, 5000, 100_007, 100_008] {
            let expected = (0..).zip(&all).find(|(_, at)| **at >= asked).map(|(n, at)| (Offset(n), *at));
            let found = log.offset_for_timestamp(&stream(1), P, asked).await.expect("reads");
            assert_eq!(found, expected, "{asked}");
        }
        let greatest = log.max_timestamp(&stream(1), P).await.expect("reads");
        assert_eq!(greatest, Some((Offset(94), 100_007)));
    };
    local(&log).await;
    // A cluster does it later.
    until("history is made", async || {
        if !bed.is_local() {
            return true;
        }
        log.inner.shared.rolled.notify_one();
        let state = log.inner.shared.state.read();
        let held = state.find_named(&stream(1), P).expect("held");
        held.chunks.iter().any(|chunk| chunk.segment().is_some())
    })
    .await;
    local(&log).await;
    log.close().await;
    let log = bed.open().await;
    local(&log).await;
    // What was deleted is not found, within a batch neither.
    log.delete_records(&stream(1), P, Offset(2)).await.expect("deletes");
    let found = log.offset_for_timestamp(&stream(1), P, 1001).await.expect("reads");
    assert_eq!(found, Some((Offset(2), 1002)));
    log.delete_records(&stream(1), P, Offset(95)).await.expect("deletes");
    let found = log.max_timestamp(&stream(1), P).await.expect("reads");
    assert_eq!(found, Some((Offset(95), 100_002)));
    log.delete_records(&stream(1), P, Offset(180)).await.expect("deletes");
    assert_eq!(log.max_timestamp(&stream(1), P).await.expect("reads"), None);
    log.close().await;
}

#[tokio::test]
async fn records_and_topics_that_were_deleted_stay_deleted() {
    let bed = bed();
    let log = bed.open().await;
    for n in 0..4 {
        assert_eq!(one(&log, numbered(1, 0, 3 * n, 3)).await, Ok((3 * n as u64, false)));
    }
    let beyond = log.delete_records(&stream(1), P, Offset(13)).await;
    assert_eq!(beyond, Err(DeleteError::OutOfRange { asked: 13, end: 12 }));
    assert_eq!(log.delete_records(&stream(1), P, Offset(4)).await, Ok(Offset(4)));
    assert_eq!(log.delete_records(&stream(1), P, Offset(2)).await, Ok(Offset(4)));
    let aside = bed.copy();
    log.close().await;
    // As it was on the disk when it was answered, without the stop.
    let log = aside.open().await;
    let read = log.read(&stream(1), P, Offset(4), 1).await.expect("reads");
    assert_eq!((read[0].base, log.log_start(&stream(1), P)), (Offset(3), Offset(4)));
    let below = log.read(&stream(1), P, Offset(3), 1).await;
    assert!(matches!(below, Err(ReadError::OutOfRange { asked: 3, start: 4, end: 12 })));
    // Its producers go on.
    assert_eq!(one(&log, numbered(1, 0, 0, 3)).await, Ok((0, true)));
    let other = Topic { name: candor_model::TopicName("orders.2".to_owned()), ..stream(1) };
    let kept = Kafka::default().batch(&other);
    assert_eq!(one(&log, kept).await, Ok((0, false)));
    log.delete_topic(&stream(1)).await.expect("deletes");
    let again = aside.copy();
    until("no file of the journal holds it", async || {
        let disk = aside.disk();
        let paths = disk.list("log/journal").expect("lists");
        let keys = crate::testing::TestKeys(3);
        let mut all =
            paths.iter().flat_map(|path| inspect::journal(&*disk, path, Some(&keys)).unwrap_or_default());
        !all.any(|batch| batch.topic == stream(1))
    })
    .await;
    assert_eq!(one(&log, numbered(1, 0, 12, 1)).await, Err(Rejected::Deleted));
    let elsewhere = Batch { partition: Partition(9), ..numbered(1, 0, 0, 1) };
    assert_eq!(one(&log, elsewhere).await, Err(Rejected::Deleted), "a partition that there was none of");
    let unwritten = Topic { name: candor_model::TopicName("unwritten".to_owned()), ..stream(1) };
    log.delete_topic(&unwritten).await.expect("deletes");
    assert_eq!(one(&log, Kafka::default().batch(&unwritten)).await, Err(Rejected::Deleted));
    for log in [log, again.open().await] {
        assert_eq!(log.topics(None), std::slice::from_ref(&other));
        assert!(log.read(&stream(1), P, Offset(4), 1).await.is_err());
        assert_eq!(log.read(&other, P, Offset(0), 1).await.expect("reads").len(), 1);
        log.close().await;
    }
    assert!(
        Log::delete_topic(&bed.open().await, &topic(1)).await.is_err(),
        "a signal's goes with its project"
    );
}

impl Bed {
    /// The same, on a copy of what is on its disk.
    fn copy(&self) -> Bed {
        let copy = Bed { limits: self.limits.clone(), ..bed() };
        let (from, to) = (self.disk(), copy.disk());
        for folder in ["log", "objects"] {
            for path in from.list(folder).expect("lists") {
                let Ok(file) = from.open(&path) else { continue };
                let mut content = vec![0; file.length().expect("length") as usize];
                file.read_at(&mut content, 0).expect("reads");
                to.create(&path).expect("creates").write_at(&content, 0).expect("writes");
            }
        }
        copy
    }
}

#[tokio::test]
async fn streams_are_kept_as_their_topics_say() {
    let limits = Limits {
        journal_file_bytes: 8 << 10,
        retention: Duration::from_secs(3600),
        retention_project_bytes: 20_000,
        ..Limits::default()
    };
    let bed = Bed { limits, ..bed() };
    let topics: Vec<Topic> = ["week", "hour", "small"]
        .map(|name| Topic { name: candor_model::TopicName(name.to_owned()), ..stream(1) })
        .into();
    let (hour, small) = (&topics[1], &topics[2]);
    let say = |log: &Log| {
        log.set_retention(hour, Retention { ms: Some(3_600_000), bytes: None });
        log.set_retention(small, Retention { ms: None, bytes: Some(10_000) });
    };
    let log = bed.open().await;
    say(&log);
    let value = vec![7; 1000];
    for _ in 0..40 {
        let kafka = Kafka { value: &value, ..Kafka::default() };
        log.append_batches(topics.iter().map(|topic| kafka.batch(topic)).collect()).await.expect("appends");
    }
    // Far more than a project's signals may take; the signal itself stays.
    log.append_batches(vec![batch(1, &[1; 1000], 1)]).await.expect("appends");
    let starts = |log: &Log| topics.iter().map(|topic| log.log_start(topic, P).0).collect::<Vec<_>>();
    until("the small one is cut", async || {
        log.inner.shared.rolled.notify_one();
        starts(&log)[2] >= 27
    })
    .await;
    assert!(matches!(*starts(&log), [0, 0, 27..=31]), "{:?}", starts(&log));
    assert_eq!(log.log_start(&topic(1), P), Offset(0));
    log.close().await;
    bed.clock.advance(2 * 3600 * Timestamp::SECOND);
    let log = bed.open().await;
    say(&log);
    until("the short one goes", async || {
        log.inner.shared.rolled.notify_one();
        starts(&log)[1] == 40
    })
    .await;
    assert!(matches!(*starts(&log), [0, 40, 27..=40]), "{:?}", starts(&log));
    bed.clock.advance(7 * 24 * 3600 * Timestamp::SECOND);
    // Nobody has said how long the first is kept, and until then it stays.
    assert_eq!(starts(&log)[0], 0);
    log.set_retention(&topics[0], Retention::default());
    until("a week passes", async || {
        log.inner.shared.rolled.notify_one();
        starts(&log)[0] == 40
    })
    .await;
    log.close().await;
}

async fn streams_are_deleted_by_hand(bed: Bed) {
    let log = bed.open().await;
    for n in 0..4 {
        assert_eq!(one(&log, numbered(1, 0, 3 * n, 3)).await, Ok((3 * n as u64, false)));
    }
    assert_eq!(log.delete_records(&stream(1), P, Offset(4)).await, Ok(Offset(4)));
    assert_eq!(log.delete_records(&stream(1), P, Offset(2)).await, Ok(Offset(4)));
    log.close().await;
    let log = bed.open().await;
    let read = log.read(&stream(1), P, Offset(4), 1).await.expect("reads");
    assert_eq!((read[0].base, log.log_start(&stream(1), P)), (Offset(3), Offset(4)));
    assert!(log.read(&stream(1), P, Offset(3), 1).await.is_err());
    assert_eq!(one(&log, numbered(1, 0, 0, 3)).await, Ok((0, true)));
    log.delete_topic(&stream(1)).await.expect("deletes");
    assert!(log.read(&stream(1), P, Offset(4), 1).await.is_err());
    log.close().await;
    let log = bed.open().await;
    assert!(log.read(&stream(1), P, Offset(4), 1).await.is_err());
    log.close().await;
}

async fn a_streams_retention_is_its_own(bed: Bed) {
    let limits =
        Limits { retention: Duration::from_secs(3600), journal_file_bytes: 8 << 10, ..Limits::default() };
    let bed = Bed { limits, ..bed };
    let hour = Topic { name: candor_model::TopicName("hour".to_owned()), ..stream(1) };
    let log = bed.open().await;
    log.append_batches(vec![batch(1, b"signal", 1)]).await.expect("appends");
    assert_eq!(one(&log, Kafka::default().batch(&hour)).await, Ok((0, false)));
    assert_eq!(one(&log, Kafka::default().batch(&stream(1))).await, Ok((0, false)));
    log.close().await;
    bed.clock.advance(2 * 3600 * Timestamp::SECOND);
    let log = bed.open().await;
    until("the signal goes", async || log.log_start(&topic(1), P) == Offset(1)).await;
    assert_eq!((log.log_start(&hour, P), log.log_start(&stream(1), P)), (Offset(0), Offset(0)));
    log.set_retention(&hour, Retention { ms: Some(3_600_000), bytes: None });
    until("the short one goes", async || log.log_start(&hour, P) == Offset(1)).await;
    assert_eq!(log.log_start(&stream(1), P), Offset(0));
    // Of a small one as much stays as it may have, and not much more.
    let small = Topic { name: candor_model::TopicName("small".to_owned()), ..stream(1) };
    log.set_retention(&small, Retention { ms: None, bytes: Some(10_000) });
    let value = vec![7; 2500];
    for n in 0..12 {
        let kafka = Kafka { value: &value, ..Kafka::default() };
        assert_eq!(one(&log, kafka.batch(&small)).await, Ok((n, false)));
    }
    until("the small one is cut", async || {
        log.inner.shared.rolled.notify_one();
        log.log_start(&small, P) >= Offset(4)
    })
    .await;
    assert!(log.log_start(&small, P) <= Offset(8), "four of 2,500 bytes stay");
    log.close().await;
}
