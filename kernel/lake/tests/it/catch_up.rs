//! Start-up: what only the log has is read back behind the start, and a query waits for it.

use std::sync::atomic::Ordering;

use candor_lake::LakeConfig;
use candor_model::Signal;

use crate::bed::Bed;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_ways_into_the_tail_give_the_same_rows() {
    let bed = Bed::new().await;
    let lake = bed.lake().await;
    for n in 0..300 {
        bed.logs(n * 3, 3);
    }
    let live = lake.pin(&bed.shop, Signal::Logs).await.unwrap();
    let live = bed.rows(&lake, &live).await;
    drop(lake);
    let lake = bed.lake().await;
    let replayed = lake.pin(&bed.shop, Signal::Logs).await.unwrap();
    assert_eq!(bed.rows(&lake, &replayed).await, live);
    assert!(bed.log.reads.load(Ordering::Relaxed) > 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_come_during_the_catch_up_stand_after_what_is_read_back() {
    let bed = Bed::new().await;
    drop(bed.lake().await);
    bed.logs(0, 100);
    let lake = bed.lake().await;
    // Nothing has asked for the table yet: these come before the backlog is read.
    bed.logs(100, 10);
    assert_eq!(bed.log.reads.load(Ordering::Relaxed), 0);
    assert_eq!(bed.offsets(&lake, Signal::Logs).await, (0..110).collect::<Vec<_>>());
    lake.flush(None).await.unwrap();
    assert_eq!(bed.offsets(&lake, Signal::Logs).await, (0..110).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backlog_larger_than_a_tail_is_published_on_the_way() {
    let bed = Bed::new().await;
    for n in 0..40 {
        bed.logs(n * 500, 500);
    }
    let config = LakeConfig { table_bytes: 2 << 20, ..bed.config() };
    let lake = bed.lake_with(config.clone()).await;
    bed.logs(20_000, 5);
    let pinned = lake.pin(&bed.shop, Signal::Logs).await.unwrap();
    assert!(pinned.files.len() > 1);
    assert!(lake.stats().tail_bytes < 4 << 20);
    assert_eq!(bed.offsets(&lake, Signal::Logs).await, (0..20_005).collect::<Vec<_>>());
    drop((lake, pinned));
    let lake = bed.lake_with(config).await;
    assert_eq!(bed.offsets(&lake, Signal::Logs).await, (0..20_005).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_cannot_be_read_fails_the_query_and_not_the_next_one() {
    let bed = Bed::new().await;
    bed.logs(0, 10);
    let lake = bed.lake().await;
    bed.log.refuse_reads.store(true, Ordering::Relaxed);
    assert!(lake.pin(&bed.shop, Signal::Logs).await.is_err());
    assert!(lake.flush(None).await.is_err());
    bed.log.refuse_reads.store(false, Ordering::Relaxed);
    assert_eq!(lake.pin(&bed.shop, Signal::Logs).await.unwrap().rows(), 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gap_in_the_log_is_told_and_not_passed_over() {
    let bed = Bed::new().await;
    for n in 0..3 {
        bed.logs(n * 10, 10);
    }
    let lake = bed.lake().await;
    bed.log.lose(bed.project(), Signal::Logs, 1);
    let refused = lake.pin(&bed.shop, Signal::Logs).await.err().expect("offsets 10 to 20 are missing");
    let told = "expected offset 10 of the log, got 20";
    assert!(matches!(&refused, candor_lake::LakeError::Inconsistent(what) if what == told), "{refused}");
}
