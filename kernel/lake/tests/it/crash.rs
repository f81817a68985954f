//! A lake that is dropped without a word, at any step, and opened again over the same log.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use candor_lake::{Lake, LakeParts};
use candor_model::random::Seeded;
use candor_model::{Offset, Signal};
use candor_store::{Files, ObjectError, Objects};

use crate::bed::Bed;

/// Objects that fail from a given put on, before or after the bytes are stored.
struct Failing {
    inner: Arc<dyn Objects>,
    puts_left: AtomicUsize,
    store_first: bool,
}

#[async_trait]
impl Objects for Failing {
    async fn put(&self, key: &str, bytes: Bytes) -> Result<(), ObjectError> {
        let left = self.puts_left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
        if left.is_ok() {
            return self.inner.put(key, bytes).await;
        }
        if self.store_first {
            self.inner.put(key, bytes).await?;
        }
        let source = "the power went".into();
        Err(ObjectError::Failed { operation: "put", key: key.to_owned(), source })
    }
    async fn get_range(&self, key: &str, range: std::ops::Range<u64>) -> Result<Bytes, ObjectError> {
        self.inner.get_range(key, range).await
    }
    async fn size(&self, key: &str) -> Result<u64, ObjectError> {
        self.inner.size(key).await
    }
    async fn delete(&self, key: &str) -> Result<(), ObjectError> {
        self.inner.delete(key).await
    }
    async fn list(&self, prefix: &str) -> Result<Vec<String>, ObjectError> {
        self.inner.list(prefix).await
    }
}

async fn lake_over_failing(bed: &Bed, puts: usize, store_first: bool) -> Lake {
    let objects = Failing { inner: Arc::clone(&bed.objects), puts_left: AtomicUsize::new(puts), store_first };
    let files = Arc::new(Files::new(Arc::new(objects), None, Arc::new(Seeded::new(3))));
    Lake::start(LakeParts { files, ..bed.parts() }, bed.config()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_not_published_is_read_back_exactly_once() {
    let bed = Bed::new().await;
    let mut next = 0;
    for round in 0..6 {
        let lake = bed.lake().await;
        for _ in 0..5 {
            bed.logs(next, 11);
            next += 11;
        }
        if round % 2 == 0 {
            lake.flush(None).await.unwrap();
            bed.logs(next, 3);
            next += 3;
        }
        let offsets = bed.offsets(&lake, Signal::Logs).await;
        assert_eq!(offsets, (0..next as i64).collect::<Vec<_>>(), "round {round}");
        // Dropped here without a flush, as a kill would.
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_put_that_fails_leaves_the_rows_in_the_tail_and_no_garbage() {
    for store_first in [false, true] {
        let bed = Bed::new().await;
        let lake = lake_over_failing(&bed, 1, store_first).await;
        bed.logs(0, 40);
        lake.flush(None).await.unwrap();
        bed.logs(40, 40);
        assert!(lake.flush(None).await.is_err());
        assert_eq!(lake.stats().failures, 1);
        let pinned = lake.pin(&bed.shop, Signal::Logs).await.unwrap();
        assert_eq!((pinned.rows(), pinned.files.len()), (80, 1));
        assert_eq!(bed.stored().await.len(), 1 + usize::from(store_first));
        drop((lake, pinned));

        let lake = bed.lake().await;
        assert_eq!(bed.stored().await.len(), 1, "what no commit took is collected");
        assert_eq!(bed.offsets(&lake, Signal::Logs).await, (0..80).collect::<Vec<_>>());
        lake.flush(None).await.unwrap();
        assert_eq!(bed.log.consumed_to(bed.project(), Signal::Logs), Some(Offset(80)));
        assert_eq!(bed.offsets(&lake, Signal::Logs).await, (0..80).collect::<Vec<_>>());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_failed_publish_stored_goes_while_the_lake_runs() {
    let bed = Bed::new().await;
    let lake = lake_over_failing(&bed, 0, true).await;
    bed.logs(0, 40);
    for _ in 0..3 {
        assert!(lake.flush(None).await.is_err());
    }
    assert_eq!(bed.stored().await.len(), 3);
    lake.upkeep().await.unwrap();
    assert_eq!(bed.stored().await.len(), 0);
    // Once more after a while, for puts that arrive late; then they are forgotten.
    let intents = async || bed.catalog.query("SELECT path FROM candor_lake_intent", &[]).await.unwrap().len();
    assert_eq!(intents().await, 3);
    bed.advance_seconds(700);
    lake.upkeep().await.unwrap();
    assert_eq!(intents().await, 0);
    drop(lake);
    let lake = bed.lake().await;
    lake.flush(None).await.unwrap();
    assert_eq!(bed.offsets(&lake, Signal::Logs).await, (0..40).collect::<Vec<_>>());
}

/// A store in whose puts another process takes everything unnamed for garbage.
struct Collecting {
    inner: Arc<dyn Objects>,
    catalog: candor_meta::Database,
}

#[async_trait]
impl Objects for Collecting {
    async fn put(&self, key: &str, bytes: Bytes) -> Result<(), ObjectError> {
        self.inner.put(key, bytes).await?;
        self.catalog.execute("UPDATE candor_lake_intent SET path = '-' || path", &[]).await.unwrap();
        self.inner.delete(key).await
    }
    async fn get_range(&self, key: &str, range: std::ops::Range<u64>) -> Result<Bytes, ObjectError> {
        self.inner.get_range(key, range).await
    }
    async fn size(&self, key: &str) -> Result<u64, ObjectError> {
        self.inner.size(key).await
    }
    async fn delete(&self, key: &str) -> Result<(), ObjectError> {
        self.inner.delete(key).await
    }
    async fn list(&self, prefix: &str) -> Result<Vec<String>, ObjectError> {
        self.inner.list(prefix).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_was_taken_for_garbage_is_never_named() {
    let bed = Bed::new().await;
    let objects = Collecting { inner: Arc::clone(&bed.objects), catalog: bed.catalog.clone() };
    let files = Arc::new(Files::new(Arc::new(objects), None, Arc::new(Seeded::new(3))));
    let lake = Lake::start(LakeParts { files, ..bed.parts() }, bed.config()).await.unwrap();
    bed.logs(0, 40);
    let refused = lake.flush(None).await.err().unwrap();
    assert!(refused.to_string().contains("taken for garbage"), "{refused}");
    assert_eq!(lake.pin(&bed.shop, Signal::Logs).await.unwrap().rows(), 40, "the rows stay in the tail");
    drop(lake);
    let lake = bed.lake().await;
    lake.flush(None).await.unwrap();
    assert_eq!(bed.offsets(&lake, Signal::Logs).await, (0..40).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_merge_that_dies_changes_nothing() {
    let bed = Bed::new().await;
    let lake = lake_over_failing(&bed, 4, true).await;
    for n in 0..4 {
        bed.logs(n * 10, 10);
        lake.flush(None).await.unwrap();
    }
    assert!(lake.compact(None).await.is_err());
    assert_eq!(bed.stored().await.len(), 5);
    drop(lake);
    let lake = bed.lake().await;
    assert_eq!(bed.stored().await.len(), 4);
    assert_eq!(lake.compact(None).await.unwrap(), 4);
    assert_eq!(bed.offsets(&lake, Signal::Logs).await, (0..40).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clean_stop_publishes_and_a_second_writer_is_stopped() {
    let bed = Bed::new().await;
    let lake = bed.lake().await;
    bed.logs(0, 5);
    lake.close().await.unwrap();
    assert_eq!(bed.stored().await.len(), 1);

    let (one, two) = (bed.lake().await, bed.lake().await);
    bed.logs(5, 5);
    two.flush(None).await.unwrap();
    let refused = one.flush(None).await.err().unwrap();
    assert!(refused.to_string().contains("moved by another writer"), "{refused}");
    drop((one, two));
    assert_eq!(bed.offsets(&bed.lake().await, Signal::Logs).await, (0..10).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lake_ahead_of_its_log_does_not_start() {
    let bed = Bed::new().await;
    let lake = bed.lake().await;
    bed.logs(0, 5);
    lake.flush(None).await.unwrap();
    drop(lake);
    let empty = LakeParts { source: Arc::new(crate::bed::MemoryLog::default()), ..bed.parts() };
    let refused = Lake::start(empty, bed.config()).await.err().unwrap();
    assert!(refused.to_string().contains("the log does not know its topic"), "{refused}");
}
