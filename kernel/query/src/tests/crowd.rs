//! Many queries at once, and readers who are slow.

use std::sync::Arc;
use std::time::Duration;

use super::{engine, engine_with, standard_lake};
use crate::{Limits, Options, QueryError};

/// Starts a query that keeps its place until the task is dropped.
fn busy(engine: &Arc<crate::engine::Engine>) -> tokio::task::JoinHandle<()> {
    let engine = Arc::clone(engine);
    tokio::spawn(async move {
        let endless = "SELECT count(*) FROM generate_series(1, 100000000000)";
        let _ = engine.sql(Arc::new(standard_lake()), endless, Limits::default()).await;
    })
}

#[tokio::test]
async fn beyond_its_places_queries_wait_and_then_are_refused() {
    let engine = engine_with(Options { threads: 2, running_max: 1, waiting_max: 1, ..Options::default() });
    let running = busy(&engine);
    tokio::time::sleep(Duration::from_millis(100)).await;
    let waiting = tokio::spawn({
        let engine = Arc::clone(&engine);
        async move { engine.sql(Arc::new(standard_lake()), "SELECT 1", Limits::default()).await.map(|_| ()) }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    let refused = engine.sql(Arc::new(standard_lake()), "SELECT 1", Limits::default()).await;
    assert!(matches!(refused, Err(QueryError::Overloaded)), "{:?}", refused.err());
    running.abort();
    waiting.await.expect("no panic").expect("got its place");
    let late = Limits { time: Duration::from_millis(100), ..Limits::default() };
    let running = busy(&engine);
    tokio::time::sleep(Duration::from_millis(100)).await;
    let timed_out = engine.sql(Arc::new(standard_lake()), "SELECT 1", late).await;
    assert!(matches!(timed_out, Err(QueryError::Timeout(_))), "{:?}", timed_out.err());
    running.abort();
}

#[tokio::test]
async fn slow_readers_hold_no_place() {
    let engine = engine_with(Options { threads: 2, running_max: 1, streams_max: 2, ..Options::default() });
    let paced = Limits { rows: None, answer_bytes: None, ..Limits::default() };
    let many = "SELECT value FROM generate_series(1, 300000)";
    let mut slow = Vec::new();
    for _ in 0..2 {
        let mut answer = engine.sql(Arc::new(standard_lake()), many, paced).await.expect("runs");
        let first = answer.next().await.expect("a batch").expect("rows");
        slow.push((answer, first.num_rows()));
    }
    for _ in 0..3 {
        let quick = Limits { time: Duration::from_secs(10), ..Limits::default() };
        let mut answer =
            engine.sql(Arc::new(standard_lake()), "SELECT count(*) FROM logs", quick).await.expect("a place");
        answer.collect().await.expect("rows");
    }
    // Of those that their readers pace there are only so many.
    let late = Limits { time: Duration::from_millis(200), ..paced };
    let one_more = engine.sql(Arc::new(standard_lake()), many, late).await;
    assert!(matches!(one_more, Err(QueryError::Timeout(_))), "{:?}", one_more.err());
    for (mut answer, first) in slow {
        let rest = answer.collect().await.expect("the rest");
        assert_eq!(first + rest.iter().map(|batch| batch.num_rows()).sum::<usize>(), 300_000);
    }
}

#[tokio::test]
async fn a_reader_who_sets_the_pace_gets_pieces_of_bounded_size() {
    let engine = engine();
    let paced = Limits { rows: None, answer_bytes: None, ..Limits::default() };
    let wide = "SELECT value, repeat('x', 4000) AS x FROM generate_series(1, 8000)";
    let mut answer = engine.sql(Arc::new(standard_lake()), wide, paced).await.expect("runs");
    let batches = answer.collect().await.expect("rows");
    assert_eq!(batches.iter().map(|batch| batch.num_rows()).sum::<usize>(), 8000);
    assert!(batches.iter().all(|batch| batch.num_rows() * 4000 <= 2 << 20), "{}", batches.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_queries_at_once_agree() {
    let engine = engine();
    let lake = Arc::new(standard_lake());
    let mut tasks = Vec::new();
    for at in 0..64 {
        let (engine, lake) = (Arc::clone(&engine), Arc::clone(&lake));
        tasks.push(tokio::spawn(async move {
            let query = if at % 2 == 0 {
                "SELECT count(*), sum(_offset) FROM logs WHERE body LIKE 'request%'"
            } else {
                "SELECT count(*), sum(_offset) FROM (SELECT * FROM logs ORDER BY timestamp DESC LIMIT 5000)"
            };
            let mut answer = engine.sql(lake, query, Limits::default()).await.expect("runs");
            let batches = answer.collect().await.expect("rows");
            format!("{:?}", batches[0].columns())
        }));
    }
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.expect("no panic"));
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
}
