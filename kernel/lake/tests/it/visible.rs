//! What is acknowledged is visible, once, through publishes and merges.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use candor_model::{Partition, Signal};

use crate::bed::{Bed, logs, rows};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_visible_when_they_are_committed_and_survive_a_flush_unchanged() {
    let bed = Bed::new().await;
    let lake = bed.lake().await;
    assert_eq!(lake.pin(&bed.shop, Signal::Logs).await.unwrap().rows(), 0);
    for n in 0..10 {
        bed.logs(n * 7, 7);
        assert_eq!(lake.pin(&bed.shop, Signal::Logs).await.unwrap().rows(), (n as u64 + 1) * 7);
    }
    let before = lake.pin(&bed.shop, Signal::Logs).await.unwrap();
    let rows_before = bed.rows(&lake, &before).await;
    let snapshot = lake.flush(None).await.unwrap();
    let after = lake.pin(&bed.shop, Signal::Logs).await.unwrap();
    assert_eq!((after.snapshot, after.files.len(), after.tail.len()), (snapshot, 1, 0));
    assert_eq!(bed.rows(&lake, &after).await, rows_before);

    // The pin from before reads on as it was.
    assert_eq!((before.files.len(), before.rows()), (0, 70));
    // The other project sees nothing of it.
    assert_eq!(lake.pin(&bed.other, Signal::Logs).await.unwrap().rows(), 0);
    assert_eq!(lake.stats().tail_bytes, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_signal_and_every_partition_becomes_rows() {
    let bed = Bed::new().await;
    let lake = bed.lake().await;
    for signal in Signal::ALL {
        for partition in [0, 1, 2] {
            let rows = rows(signal, 0, 20);
            bed.log.append_to(bed.project(), signal, Partition(partition), rows, crate::bed::START);
        }
    }
    let mut before = Vec::new();
    for signal in Signal::ALL {
        let pinned = lake.pin(&bed.shop, signal).await.unwrap();
        before.push(pinned.rows());
    }
    assert_eq!(before, [60, 60, 60]);
    lake.flush(Some(bed.project())).await.unwrap();
    for signal in Signal::ALL {
        let pinned = lake.pin(&bed.shop, signal).await.unwrap();
        assert_eq!((pinned.rows(), pinned.files.len()), (60, 1));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_count_falls_while_flushes_and_merges_run() {
    let bed = Arc::new(Bed::new().await);
    let lake = bed.lake().await;
    let stop = Arc::new(AtomicBool::new(false));
    let acknowledged = Arc::new(AtomicUsize::new(0));

    let load = {
        let (bed, stop, acknowledged) = (Arc::clone(&bed), Arc::clone(&stop), Arc::clone(&acknowledged));
        std::thread::spawn(move || {
            let mut n = 0;
            while !stop.load(Ordering::Relaxed) {
                bed.logs(n, 10);
                n += 10;
                acknowledged.store(n, Ordering::SeqCst);
                std::thread::sleep(std::time::Duration::from_micros(300));
            }
        })
    };
    let poll = {
        let (bed, lake, stop) = (Arc::clone(&bed), lake.clone(), Arc::clone(&stop));
        let acknowledged = Arc::clone(&acknowledged);
        tokio::spawn(async move {
            let (mut last, mut polls) = (0, 0);
            while !stop.load(Ordering::Relaxed) {
                let due = acknowledged.load(Ordering::SeqCst) as u64;
                let pinned = lake.pin(&bed.shop, Signal::Logs).await.unwrap();
                let counted = pinned.rows();
                assert!(counted >= last, "the count fell from {last} to {counted}");
                assert!(counted >= due, "{due} rows were acknowledged, {counted} are visible");
                last = counted;
                polls += 1;
                tokio::task::yield_now().await;
            }
            polls
        })
    };
    let mut merged = 0;
    for round in 0..24 {
        lake.flush(None).await.unwrap();
        if round % 4 == 3 {
            merged += lake.compact(None).await.unwrap();
        }
        if round % 7 == 6 {
            bed.advance_seconds(4000);
            lake.upkeep().await.unwrap();
        }
    }
    stop.store(true, Ordering::Relaxed);
    load.join().unwrap();
    let polls = poll.await.unwrap();
    assert!(merged > 8 && polls > 20, "{merged} files merged, {polls} polls");

    let offsets = bed.offsets(&lake, Signal::Logs).await;
    let expected: Vec<i64> = (0..acknowledged.load(Ordering::SeqCst) as i64).collect();
    assert_eq!(offsets, expected, "each row exactly once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_is_read_as_it_was() {
    let bed = Bed::new().await;
    let lake = bed.lake().await;
    bed.logs(0, 100);
    let first = lake.flush(None).await.unwrap();
    bed.logs(100, 50);
    let second = lake.flush(None).await.unwrap();
    bed.logs(150, 1);
    lake.compact(None).await.unwrap();
    for (snapshot, expected) in [(first, 100), (second, 150)] {
        let pinned = lake.pin_snapshot(&bed.shop, Signal::Logs, snapshot).await.unwrap();
        assert_eq!(bed.rows(&lake, &pinned).await.num_rows(), expected);
    }
    assert_eq!(lake.pin_snapshot(&bed.other, Signal::Logs, second).await.unwrap().rows(), 0);
    let missing = lake.pin_snapshot(&bed.shop, Signal::Logs, 999).await.err().unwrap();
    assert_eq!(missing.to_string(), "no snapshot 999: it expired or never was");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_carry_what_prunes_them_and_no_other_text() {
    let bed = Bed::new().await;
    let lake = bed.lake().await;
    bed.log.append(bed.project(), Signal::Logs, logs(0, 50), crate::bed::START);
    lake.flush(None).await.unwrap();
    let of_publish = lake.pin(&bed.shop, Signal::Logs).await.unwrap();
    drop(lake);
    let lake = bed.lake().await;
    let of_catalog = lake.pin(&bed.shop, Signal::Logs).await.unwrap();
    let (a, b) = (&of_publish.files[0], &of_catalog.files[0]);
    assert_eq!(
        (&a.key, a.length, a.footer, a.rows, a.timestamps, a.ingested),
        (&b.key, b.length, b.footer, b.rows, b.timestamps, b.ingested)
    );
    let sorted = |file: &candor_lake::DataFile| {
        let mut columns = file.columns.to_vec();
        columns.sort_by_key(|stats| stats.column);
        columns
    };
    assert_eq!(sorted(a), sorted(b));
    let shown: Vec<String> = sorted(b)
        .iter()
        .map(|stats| {
            format!("{} {:?} {:?} {}/{}", stats.column, stats.min, stats.max, stats.nulls, stats.rows)
        })
        .collect();
    expect_test::expect![[r#"
        _epoch Some(Int(1)) Some(Int(1)) 0/50
        _ingested_at Some(Int(1795168800000000)) Some(Int(1795168800000000)) 0/50
        _offset Some(Int(0)) Some(Int(49)) 0/50
        host_name Some(Text("host-0")) Some(Text("host-9")) 8/50
        service_name Some(Text("service-0")) Some(Text("service-4")) 0/50
        severity_number Some(Int(0)) Some(Int(24)) 0/50
        severity_text Some(Text("error")) Some(Text("warn")) 0/50
        source Some(Text("app")) Some(Text("app")) 0/50
        timestamp Some(Int(1795168800000000)) Some(Int(1795168804900000)) 0/50"#]]
    .assert_eq(&shown.join("\n"));
}
