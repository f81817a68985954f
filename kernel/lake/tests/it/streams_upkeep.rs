//! Topics of streams over time: publishing, memory, retention, deletion, a log that lets go.

use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::datatypes::Int64Type;
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use candor_gate::ValuesMode;
use candor_lake::{LakeConfig, LakeError, StreamTables};
use candor_model::Clock;

use crate::bed::Bed;
use crate::streams::{
    Registry, WEEK_MS, append, batch, bed, column, fields, lake, offsets, pin, rows, value,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_absence_needs_no_more_memory_than_a_tail() {
    let (bed, registry) = bed(ValuesMode::Text).await;
    let text = "x".repeat(1000);
    for _ in 0..40 {
        append(&bed, 0, batch(&vec![value(&text); 500]));
    }
    let config = LakeConfig { table_bytes: 4 << 20, total_bytes: 8 << 20, ..bed.config() };
    let lake = bed.lake_with(config).await;
    lake.serve_streams(Arc::clone(&registry) as Arc<dyn StreamTables>, None);
    assert_eq!(lake.stats().tail_bytes, 0, "what nobody asks for stays in the log");
    let pinned = pin(&bed, &lake).await;
    assert_eq!(pinned.rows(), 20_000);
    let held: usize = pinned.tail.iter().map(RecordBatch::get_array_memory_size).sum();
    assert!(held <= 8 << 20 && !pinned.files.is_empty(), "{held} bytes, {} files", pinned.files.len());
    // Nobody asks any more: it goes, and comes back when somebody does.
    bed.advance_seconds(61);
    append(&bed, 0, batch(&[value("more")]));
    assert!(lake.stats().tail_bytes > 0 || pinned.tail.is_empty());
    lake.upkeep().await.unwrap();
    assert_eq!(lake.stats().tail_bytes, 0);
    assert_eq!(pin(&bed, &lake).await.rows(), 20_001);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn upkeep_publishes_by_age_and_ends_what_the_topic_does_not_keep() {
    let (bed, registry) = bed(ValuesMode::Text).await;
    registry.add("short", "short", ValuesMode::Text);
    registry.0.lock()[1].retention_ms = Some(60_000);
    let lake = lake(&bed, &registry).await;
    append(&bed, 0, batch(&[value("a")]));
    bed.log.append_stream(bed.project(), "short", 0, batch(&[value("b")]), bed.clock.now());
    lake.upkeep().await.unwrap();
    assert_eq!(lake.stats().files_published, 0);
    bed.advance_seconds(31);
    lake.upkeep().await.unwrap();
    assert_eq!(lake.stats().files_published, 1, "before half of what the log keeps is over");
    bed.advance_seconds(900);
    lake.upkeep().await.unwrap();
    assert_eq!(lake.stats().files_published, 2);
    let short = async || lake.pin_stream(&bed.shop, "short").await.unwrap().unwrap().rows();
    assert_eq!((pin(&bed, &lake).await.rows(), short().await), (1, 0));
    bed.advance_seconds(8 * 86_400);
    lake.upkeep().await.unwrap();
    assert_eq!(pin(&bed, &lake).await.rows(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_topic_is_no_table_and_one_made_again_is_another() {
    let (bed, registry) = bed(ValuesMode::Auto).await;
    let lake = lake(&bed, &registry).await;
    append(&bed, 0, batch(&[value("{\"old\":1}")]));
    lake.flush(None).await.unwrap();
    let stored = bed.stored().await.len();
    assert!(stored > 0);
    registry.remove("orders");
    assert!(lake.pin_stream(&bed.shop, "orders").await.unwrap().is_none());
    registry.add("orders", "orders#2", ValuesMode::Auto);
    assert_eq!(pin(&bed, &lake).await.rows(), 0);
    bed.log.append_stream(bed.project(), "orders#2", 0, batch(&[(None, Some(&[0, 1]))]), bed.clock.now());
    lake.upkeep().await.unwrap();
    let rows = rows(&bed, &lake).await;
    assert_eq!((rows.num_rows(), fields(&rows.schema()).as_str()), (1, ""));
    lake.flush(None).await.unwrap();
    // The old files go with history.
    for _ in 0..3 {
        bed.advance_seconds(4000);
        lake.upkeep().await.unwrap();
    }
    assert!(
        bed.stored().await.iter().all(|key| key.contains("stream/orders~2/")),
        "{:?}",
        bed.stored().await
    );
    drop(lake);
    let lake = crate::streams::lake(&bed, &registry).await;
    assert_eq!(pin(&bed, &lake).await.rows(), 1);

    lake.drop_project(bed.project()).await.unwrap();
    assert_eq!(pin(&bed, &lake).await.rows(), 0);
    for _ in 0..3 {
        bed.advance_seconds(4000);
        lake.upkeep().await.unwrap();
    }
    assert_eq!(bed.stored().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_that_the_log_let_go_of_are_not_missed() {
    let (bed, registry) = bed(ValuesMode::Auto).await;
    let lake = lake(&bed, &registry).await;
    for n in 0..6 {
        append(&bed, 0, batch(&[value(&n.to_string()), value("x")]));
    }
    bed.log.trim(bed.project(), "orders", 0, 3);
    assert_eq!(offsets(&bed, &lake).await.len(), 9, "from within a batch on");
    lake.flush(None).await.unwrap();
    append(&bed, 0, batch(&[value("7"), value("8")]));
    bed.log.trim(bed.project(), "orders", 0, 13);
    assert_eq!(offsets(&bed, &lake).await.len(), 10);
    drop(lake);
    let lake = crate::streams::lake(&bed, &registry).await;
    assert_eq!(offsets(&bed, &lake).await.len(), 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_cannot_be_read_fails_no_query() {
    let (bed, registry) = bed(ValuesMode::Auto).await;
    let lake = lake(&bed, &registry).await;
    let mut broken = batch(&[value("lost")]).to_vec();
    let at = broken.len() - 3;
    broken[at..].fill(0xff);
    append(&bed, 0, batch(&[value("a")]));
    append(&bed, 0, Bytes::from(broken));
    append(&bed, 0, batch(&[value("b")]));
    assert_eq!(column(&rows(&bed, &lake).await, "value"), ["a", "b"]);
    // A log that cannot be read fails the query, and only as long.
    append(&bed, 0, batch(&[value("c")]));
    bed.log.refuse_reads.store(true, std::sync::atomic::Ordering::Relaxed);
    let failed = lake.pin_stream(&bed.shop, "orders").await;
    assert!(matches!(failed, Err(LakeError::Log(_))));
    bed.log.refuse_reads.store(false, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(pin(&bed, &lake).await.rows(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn counts_never_fall_while_records_come_and_files_are_made() {
    let (bed, registry) = bed(ValuesMode::Auto).await;
    let config = LakeConfig { table_bytes: 64 << 10, total_bytes: 1 << 20, ..bed.config() };
    let lake = bed.lake_with(config).await;
    lake.serve_streams(Arc::clone(&registry) as Arc<dyn StreamTables>, None);
    let bed = Arc::new(bed);
    let producing = {
        let bed = Arc::clone(&bed);
        tokio::task::spawn_blocking(move || {
            for n in 0..300 {
                let text =
                    if n < 150 { format!(r#"{{"n":{n}}}"#) } else { format!(r#"{{"n":{n},"m":"{n}"}}"#) };
                append(&bed, n % 4, batch(&vec![value(&text); 10]));
            }
        })
    };
    let publishing = {
        let lake = lake.clone();
        tokio::spawn(async move {
            for _ in 0..15 {
                lake.flush(None).await.unwrap();
                lake.compact(None).await.unwrap();
            }
        })
    };
    let mut last = 0;
    while !(producing.is_finished() && publishing.is_finished()) {
        let rows = pin(&bed, &lake).await.rows();
        assert!(rows >= last, "{rows} after {last}");
        last = rows;
    }
    producing.await.unwrap();
    publishing.await.unwrap();
    let all = rows(&bed, &lake).await;
    assert_eq!((all.num_rows(), fields(&all.schema()).as_str()), (3000, "v_n Int64, v_m Utf8"));
    let sum: i64 = all.column_by_name("v_n").unwrap().as_primitive::<Int64Type>().iter().flatten().sum();
    assert_eq!(sum, (0..300).sum::<i64>() * 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_topics_cost_nothing_until_somebody_asks() {
    let bed = Bed::new().await;
    let registry = Arc::new(Registry::default());
    let lake = lake(&bed, &registry).await;
    for n in 0..2000 {
        let name = format!("t{n}");
        registry.add(&name, &name, ValuesMode::Auto);
        bed.log.append_stream(bed.project(), &name, 0, batch(&[value("x")]), bed.clock.now());
    }
    for _ in 0..3 {
        lake.upkeep().await.unwrap();
    }
    let stats = lake.stats();
    assert_eq!((stats.tail_bytes, stats.files_published), (0, 0));
    bed.advance_seconds(1000);
    lake.upkeep().await.unwrap();
    assert!((1..=16).contains(&lake.stats().files_published), "at the pace, never in a burst");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_cannot_be_read_keeps_no_other_from_being_published() {
    let (bed, registry) = bed(ValuesMode::Text).await;
    registry.add("broken", "broken", ValuesMode::Text);
    // One table a round.
    let config = LakeConfig { files_per_second: 1, ..bed.config() };
    let lake = bed.lake_with(config).await;
    lake.serve_streams(Arc::clone(&registry) as Arc<dyn StreamTables>, None);
    bed.log.append_stream(bed.project(), "broken", 0, batch(&[value("b")]), bed.clock.now());
    bed.advance_seconds(1);
    append(&bed, 0, batch(&[value("a")]));
    *bed.log.unreadable.lock() = Some("broken".to_owned());
    bed.advance_seconds(900);
    let lag = lake.stats().stream_lag_bytes;
    assert!(lake.upkeep().await.is_err());
    let _ = lake.upkeep().await;
    let _ = lake.upkeep().await;
    assert_eq!(lake.stats().files_published, 1);
    assert!((1..lag).contains(&lake.stats().stream_lag_bytes), "only the other one's lag is left");
    *bed.log.unreadable.lock() = None;
    bed.advance_seconds(60);
    lake.upkeep().await.unwrap();
    assert_eq!((lake.stats().files_published, lake.stats().stream_lag_bytes), (2, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_of_many_different_fields_take_bounded_memory() {
    let (bed, registry) = bed(ValuesMode::Json).await;
    let config = LakeConfig { table_bytes: 8 << 20, total_bytes: 16 << 20, ..bed.config() };
    let lake = bed.lake_with(config).await;
    lake.serve_streams(Arc::clone(&registry) as Arc<dyn StreamTables>, None);
    // One field each, and yet a column of each.
    let texts: Vec<String> = (0..20_000).map(|n| format!("{{\"f{}\":{n}}}", n % 512)).collect();
    append(&bed, 0, batch(&texts.iter().map(|text| value(text)).collect::<Vec<_>>()));
    let pinned = pin(&bed, &lake).await;
    assert_eq!(pinned.rows(), 20_000);
    for piece in pinned.tail.iter() {
        assert!(piece.get_array_memory_size() <= 12 << 20, "{} rows", piece.num_rows());
    }
    let held: usize = pinned.tail.iter().map(RecordBatch::get_array_memory_size).sum();
    assert!(held <= 32 << 20 && !pinned.files.is_empty(), "{held} bytes, {} files", pinned.files.len());
    let sum = bed.rows(&lake, &pinned).await;
    let column = sum.column_by_name("v_f511").unwrap().as_primitive::<Int64Type>();
    assert_eq!(
        (column.len() - column.null_count(), arrow::compute::sum(column)),
        (39, Some(39 * 511 + 512 * 741))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_soon_to_be_compacted_is_published_before() {
    let (bed, registry) = bed(ValuesMode::Text).await;
    registry.0.lock()[0].compact_after_ms = Some(500);
    registry.add("later", "later", ValuesMode::Text);
    registry.0.lock()[1].compact_after_ms = Some(WEEK_MS);
    let lake = lake(&bed, &registry).await;
    append(&bed, 0, batch(&[value("a")]));
    bed.log.append_stream(bed.project(), "later", 0, batch(&[value("b")]), bed.clock.now());
    bed.advance_seconds(4);
    lake.upkeep().await.unwrap();
    assert_eq!(lake.stats().files_published, 0, "not with every record");
    bed.advance_seconds(2);
    lake.upkeep().await.unwrap();
    assert_eq!((lake.stats().files_published, bed.log.consumed_streams("orders")), (1, vec![1]));
}
