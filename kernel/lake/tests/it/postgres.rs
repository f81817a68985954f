//! The catalog in PostgreSQL: the same statements, the same answers, over a lake's whole life.

use candor_lake::{DAY_US, LakeConfig, Retention};
use candor_model::Signal;

use crate::bed::{Bed, rows};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lake_lives_its_life_over_postgres() {
    let Some(bed) = Bed::postgres("a_lake_lives_its_life_over_postgres").await else { return };
    let retention = Retention { logs_us: 5 * DAY_US, ..Retention::default() };
    let config = LakeConfig { retention, ..bed.config() };
    let mut next = 0;
    for round in 0..3 {
        // Each round is a start: positions and tables are found again.
        let lake = bed.lake_with(config.clone()).await;
        for _ in 0..4 {
            bed.logs(next, 400);
            next += 400;
            lake.flush(None).await.unwrap();
        }
        bed.log.append(bed.project(), Signal::Errors, rows(Signal::Errors, round * 5, 5), crate::bed::START);
        bed.logs(next, 7);
        next += 7;
        lake.upkeep().await.unwrap();
        assert_eq!(bed.offsets(&lake, Signal::Logs).await, (0..next as i64).collect::<Vec<_>>());
    }
    let lake = bed.lake_with(config).await;
    assert!(lake.compact(None).await.unwrap() >= 4, "small files are merged");
    let snapshot = lake.flush(None).await.unwrap();
    let pinned = lake.pin_snapshot(&bed.shop, Signal::Logs, snapshot).await.unwrap();
    assert_eq!(pinned.rows(), next as u64);
    let errors = lake.pin_snapshot(&bed.shop, Signal::Errors, snapshot).await.unwrap();
    assert_eq!(errors.rows(), 15);
    drop((pinned, errors));

    // An export is a SQLite file here too.
    let out = bed.folder.path().join("shop.db");
    let exported = lake.export(&bed.shop, &[("abc".to_owned(), 7)], "http://localhost/lake/1/", &out).await;
    assert_eq!(exported.unwrap(), snapshot);

    // Time passes: rows, history, bytes.
    for _ in 0..8 {
        bed.advance_seconds(86_400);
        lake.upkeep().await.unwrap();
    }
    assert_eq!(lake.pin(&bed.shop, Signal::Logs).await.unwrap().rows(), 0);
    lake.drop_project(bed.project()).await.unwrap();
    for _ in 0..3 {
        bed.advance_seconds(4000);
        bed.log.append(bed.other.project(), Signal::Logs, rows(Signal::Logs, 0, 1), crate::bed::START);
        lake.flush(None).await.unwrap();
        lake.upkeep().await.unwrap();
    }
    let left = bed.stored().await;
    assert!(left.iter().all(|key| key.starts_with(&format!("lake/p{}/", bed.other.project()))), "{left:?}");
}
