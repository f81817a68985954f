//! Rows go when their time on the arrival clock is over, whatever their senders say the time is.

use candor_lake::{DAY_US, Keeping, Kept, LakeConfig, Retention};
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
    let (mut left, mut gone) = (Vec::new(), Vec::new());
    for _ in 0..11 {
        bed.advance_seconds(86_400);
        lake.upkeep().await.unwrap();
        let mut counts = Vec::new();
        for signal in Signal::ALL {
            counts.push(lake.pin(&bed.shop, signal).await.unwrap().rows());
        }
        left.push(format!("{counts:?}"));
        gone.extend(lake.take_gone());
    }
    // Each table's rows are told of once, when they go.
    let of = |name: &str| (bed.project(), name.to_owned(), 10);
    assert_eq!(gone, [of("errors"), of("spans"), of("logs")]);
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

/// Bytes must be gone within hours here, and a day's rows share a file: it is written anew without those past their time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_past_its_time_leaves_a_file_and_what_is_not_stays() {
    const HOUR_US: i64 = 3600 * 1_000_000;
    let bed = Bed::new().await;
    let lake = bed.lake().await;
    let live = Retention { logs_us: 2 * DAY_US, errors_us: 2 * DAY_US, spans_us: 2 * DAY_US };
    let mut kept = Kept::from(live);
    kept.lag = Retention { logs_us: 2 * HOUR_US, errors_us: 2 * HOUR_US, spans_us: 2 * HOUR_US };
    lake.keep(Keeping { instance: kept, projects: std::collections::HashMap::new() });
    // To the first hour of a day, so that all of it is in one.
    let into_day = bed.clock.now().0.rem_euclid(DAY_US);
    bed.advance_seconds((DAY_US - into_day) / 1_000_000 + 60);
    for hour in 0..8 {
        bed.logs(hour * 10, 10);
        bed.advance_seconds(3600);
        lake.flush(None).await.unwrap();
    }
    assert_eq!(lake.compact(None).await.unwrap(), 8, "eight files become one");
    // From where the first hour's rows are past their time.
    bed.advance_seconds(2 * 86_400 - 8 * 3600 + 60);
    let mut left = Vec::new();
    for _ in 0..9 {
        lake.upkeep().await.unwrap();
        left.push(lake.pin(&bed.shop, Signal::Logs).await.unwrap().rows());
        bed.advance_seconds(3600);
    }
    // Rows of a file go when the oldest of them must be gone, and none before its time.
    let gone: u64 = lake.take_gone().into_iter().map(|(_, _, rows)| rows).sum();
    assert_eq!(gone, 80);
    for (hour, rows) in left.iter().enumerate() {
        let in_time = 80 - 10 * (hour as u64 + 1).min(8);
        assert!((in_time..=in_time + 20).contains(rows), "{hour} hours later {rows} rows: {left:?}");
    }
    assert_eq!(left.last(), Some(&0));
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
