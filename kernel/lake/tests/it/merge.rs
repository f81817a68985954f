//! Small files become large ones, with the same rows.

use candor_lake::{DAY_US, LakeConfig};
use candor_model::{Clock, Signal};

use crate::bed::Bed;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_merge_keeps_every_row_and_the_old_files_as_long_as_they_are_read() {
    let bed = Bed::new().await;
    let config = LakeConfig { grace_us: 0, ..bed.config() };
    let lake = bed.lake_with(config).await;
    for n in 0..9 {
        bed.logs(n * 1000, 1000);
        lake.flush(None).await.unwrap();
    }
    let before = lake.pin(&bed.shop, Signal::Logs).await.unwrap();
    assert_eq!(before.files.len(), 9);
    let rows_before = bed.rows(&lake, &before).await;
    lake.upkeep().await.unwrap();
    let after = lake.pin(&bed.shop, Signal::Logs).await.unwrap();
    assert_eq!(after.files.len(), 1);
    let rows_after = bed.rows(&lake, &after).await;
    // Only promoted copies may be new.
    let same = rows_after.project(&(0..rows_before.num_columns()).collect::<Vec<_>>()).unwrap();
    assert_eq!(same, rows_before);
    let merged = after.files[0].length;
    let small: u64 = before.files.iter().map(|file| file.length).sum();
    assert!(merged * 2 < small * 3, "{small} bytes became {merged}");

    // History holds the old files for an hour, then a pin does, then nothing.
    bed.advance_seconds(3700);
    lake.upkeep().await.unwrap();
    assert_eq!(bed.stored().await.len(), 10);
    assert_eq!(bed.rows(&lake, &before).await, rows_before);
    drop((before, after));
    bed.advance_seconds(100);
    lake.upkeep().await.unwrap();
    assert_eq!(bed.stored().await.len(), 1);
    assert_eq!(bed.offsets(&lake, Signal::Logs).await, (0..9000).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_stay_within_the_day_of_their_arrival() {
    let bed = Bed::new().await;
    let lake = bed.lake().await;
    for day in 0..3 {
        for n in 0..3 {
            bed.logs(day * 30 + n * 10, 10);
            if n == 1 {
                lake.flush(None).await.unwrap();
            }
        }
        bed.advance_seconds(86_400);
    }
    lake.flush(None).await.unwrap();
    // The last flush held rows of one day; those before held rows of two.
    let pinned = lake.pin(&bed.shop, Signal::Logs).await.unwrap();
    assert_eq!(pinned.files.len(), 6);
    let day = |at: i64| at.div_euclid(DAY_US);
    assert!(pinned.files.iter().all(|file| day(file.ingested.0) == day(file.ingested.1)));

    lake.upkeep().await.unwrap();
    let pinned = lake.pin(&bed.shop, Signal::Logs).await.unwrap();
    assert_eq!(pinned.files.len(), 3, "days that are over are merged whole");
    assert!(pinned.files.iter().all(|file| day(file.ingested.0) == day(file.ingested.1)));
    assert_eq!(bed.offsets(&lake, Signal::Logs).await, (0..90).collect::<Vec<_>>());
    assert!(bed.clock.now() > crate::bed::START);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn denied_files_are_not_merged() {
    let bed = Bed::new().await;
    let lake = bed.lake().await;
    for n in 0..3 {
        bed.logs(n * 10, 10);
        lake.flush(None).await.unwrap();
    }
    let pinned = lake.pin(&bed.shop, Signal::Logs).await.unwrap();
    lake.deny(&pinned.files[..1]).await.unwrap();
    assert_eq!(lake.compact(None).await.unwrap(), 2);
    let left = lake.pin(&bed.shop, Signal::Logs).await.unwrap();
    assert!(left.files.iter().any(|file| file.key == pinned.files[0].key));
}
