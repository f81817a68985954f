//! Rows go when their time on the arrival clock is over, whatever their senders say the time is.

use candor_lake::{DAY_US, LakeConfig, Retention};
use candor_model::{Clock, Signal};

use crate::bed::{Bed, rows};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_signal_is_kept_for_its_time_then_goes_from_lists_history_and_disk() {
    let bed = Bed::new().await;
    let retention = Retention { logs_us: 9 * DAY_US, errors_us: 3 * DAY_US, spans_us: 6 * DAY_US };
    let lake = bed.lake_with(LakeConfig { retention, ..bed.config() }).await;
    for signal in Signal::ALL {
        bed.log.append(bed.project(), signal, rows(signal, 0, 10), bed.clock.now());
    }
    lake.flush(None).await.unwrap();
    let mut left = Vec::new();
    for _ in 0..11 {
        bed.advance_seconds(86_400);
        lake.upkeep().await.unwrap();
        let mut counts = Vec::new();
        for signal in Signal::ALL {
            counts.push(lake.pin(&bed.shop, signal).await.unwrap().rows());
        }
        left.push(format!("{counts:?}"));
    }
    expect_test::expect![[r#"
        [10, 10, 10]
        [10, 10, 10]
        [10, 10, 10]
        [10, 0, 10]
        [10, 0, 10]
        [10, 0, 10]
        [10, 0, 0]
        [10, 0, 0]
        [10, 0, 0]
        [0, 0, 0]
        [0, 0, 0]"#]]
    .assert_eq(&left.join("\n"));
    // An hour of history and ten minutes of grace later the bytes are gone.
    for _ in 0..3 {
        bed.advance_seconds(3700);
        lake.upkeep().await.unwrap();
    }
    assert_eq!(bed.stored().await, Vec::<String>::new());
    drop(lake);
    let lake = bed.lake().await;
    assert_eq!(lake.pin(&bed.shop, Signal::Logs).await.unwrap().rows(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_project_leaves_nothing_and_does_not_come_back() {
    let bed = Bed::new().await;
    let lake = bed.lake().await;
    bed.logs(0, 10);
    lake.flush(None).await.unwrap();
    bed.logs(10, 10);
    lake.drop_project(bed.project()).await.unwrap();
    assert_eq!(lake.pin(&bed.shop, Signal::Logs).await.unwrap().rows(), 0);
    for _ in 0..3 {
        bed.advance_seconds(3700);
        bed.log.append(bed.other.project(), Signal::Logs, rows(Signal::Logs, 0, 1), bed.clock.now());
        lake.flush(None).await.unwrap();
        lake.upkeep().await.unwrap();
    }
    assert!(bed.stored().await.iter().all(|key| key.starts_with(&format!("lake/p{}/", bed.other.project()))));
    drop(lake);
    let lake = bed.lake().await;
    assert_eq!(lake.pin(&bed.shop, Signal::Logs).await.unwrap().rows(), 0);
    assert_eq!(lake.pin(&bed.other, Signal::Logs).await.unwrap().rows(), 3);
}
