//! Thousands of quiet projects, and a busy one: memory and files stay bounded.

use candor_lake::{LakeConfig, Pressure};
use candor_model::{Clock, ProjectId, Signal};

use crate::bed::{Bed, logs};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn quiet_projects_cost_little_memory_and_few_files() {
    let bed = Bed::new().await;
    let lake = bed.lake().await;
    let projects = 300;
    let mut files = Vec::new();
    let mut bytes = 0;
    // One record every ten seconds each; upkeep once a second would be the same at coarser steps.
    for step in 0..100 {
        for project in 0..projects {
            bed.log.append(ProjectId(1000 + project), Signal::Logs, logs(step, 1), bed.clock.now());
        }
        bed.advance_seconds(10);
        let before = lake.stats().files_published;
        lake.upkeep().await.unwrap();
        files.push(lake.stats().files_published - before);
        bytes = bytes.max(lake.stats().tail_bytes);
    }
    let published: usize = files.iter().sum();
    assert!(published >= 100, "tails of fifteen minutes are published: {published}");
    assert!(files.iter().all(|count| *count <= 2 * 8), "at the pace, never in a burst: {files:?}");
    let per_row = bytes / (300 * 100);
    assert!(per_row < 1500, "{per_row} bytes of memory a row");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_row_batches_are_folded_where_they_come() {
    let bed = Bed::new().await;
    let lake = bed.lake().await;
    for n in 0..5000 {
        bed.logs(n, 1);
    }
    let pinned = lake.pin(&bed.shop, Signal::Logs).await.unwrap();
    assert_eq!(pinned.rows(), 5000);
    assert!(pinned.tail.len() < 300, "{} batches", pinned.tail.len());
    lake.upkeep().await.unwrap();
    let pinned = lake.pin(&bed.shop, Signal::Logs).await.unwrap();
    assert!(pinned.rows() == 5000 && pinned.tail.len() <= 4, "{} batches", pinned.tail.len());
    assert_eq!(bed.offsets(&lake, Signal::Logs).await, (0..5000).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn full_tails_are_published_and_pressure_tells_when_they_cannot_be() {
    let bed = Bed::new().await;
    let config = LakeConfig { table_bytes: 1 << 20, total_bytes: 3 << 20, ..bed.config() };
    let lake = bed.lake_with(config).await;
    bed.logs(0, 500);
    lake.upkeep().await.unwrap();
    assert_eq!(lake.stats().files_published, 0);
    assert_eq!(lake.pressure(), Pressure::None);
    let mut n = 500;
    while lake.pressure() == Pressure::None {
        bed.logs(n, 500);
        n += 500;
    }
    let mut slow = 0;
    while let Pressure::Slow { percent } = lake.pressure() {
        assert!(percent >= slow, "{percent} after {slow}");
        slow = percent;
        bed.logs(n, 500);
        n += 500;
    }
    assert!((50..100).contains(&slow), "{slow}");
    assert_eq!(lake.pressure(), Pressure::Refuse);
    lake.upkeep().await.unwrap();
    assert_eq!(lake.pressure(), Pressure::None);
    assert_eq!(lake.stats().rows_published, n);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn upkeep_publishes_by_itself_and_ends_with_the_lake() {
    let bed = Bed::new().await;
    let config = LakeConfig { table_bytes: 1 << 20, upkeep: true, ..bed.config() };
    let lake = bed.lake_with(config).await;
    let mut n = 0;
    let waited = std::time::Instant::now();
    while lake.stats().files_published == 0 {
        assert!(waited.elapsed().as_secs() < 20);
        bed.logs(n, 500);
        n += 500;
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert_eq!(lake.pin(&bed.shop, Signal::Logs).await.unwrap().rows(), n as u64);
}
