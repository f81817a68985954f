//! Rows that another node committed and that the store does not give for a while.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use candor_model::{Offset, Timestamp};
use candor_store::{ObjectError, Objects};

use super::{Backend, Bed, P, until};
use crate::testing::{batch, topic};
use crate::{AppendError, ClusterOptions, Log};

/// A store that does not give what it holds while it is told so.
struct Mute {
    inner: Arc<dyn Objects>,
    is_mute: AtomicBool,
}

impl Mute {
    fn gives(&self, key: &str) -> Result<(), ObjectError> {
        let (operation, key) = ("get", key.to_owned());
        match self.is_mute.load(Ordering::SeqCst) {
            true => Err(ObjectError::Failed { operation, key, source: "made to fail".into() }),
            false => Ok(()),
        }
    }
}

#[async_trait]
impl Objects for Mute {
    async fn put(&self, key: &str, bytes: Bytes) -> Result<(), ObjectError> {
        self.inner.put(key, bytes).await
    }
    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes, ObjectError> {
        self.gives(key)?;
        self.inner.get_range(key, range).await
    }
    async fn size(&self, key: &str) -> Result<u64, ObjectError> {
        self.gives(key)?;
        self.inner.size(key).await
    }
    async fn delete(&self, key: &str) -> Result<(), ObjectError> {
        self.inner.delete(key).await
    }
    async fn list(&self, prefix: &str) -> Result<Vec<String>, ObjectError> {
        self.inner.list(prefix).await
    }
}

/// What cannot be read back to be shown is told, nothing is acknowledged behind it, and it is shown within a second of
/// the store giving it again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hidden_rows_are_shown_within_a_second_of_the_store_being_back() {
    let Some(mut bed) = Bed::cluster_on_sqlite("") else { return };
    let one = bed.open().await;
    let Backend::Cluster { objects, .. } = &mut bed.backend else { return };
    let mute = Arc::new(Mute { inner: Arc::clone(objects), is_mute: true.into() });
    *objects = Arc::<Mute>::clone(&mute);
    let options = ClusterOptions { poll: ClusterOptions::POLL, ..bed.cluster_options().await };
    let two = Log::open_cluster(options).await.expect("opens");
    one.append_batches(vec![batch(1, b"hidden", 1)]).await.expect("appends");
    // Long enough for its clock to have forgotten that the partition changed.
    until("it is told", async || two.behind() == 1).await;
    bed.clock.advance(30 * Timestamp::SECOND);
    tokio::time::sleep(2 * ClusterOptions::POLL).await;
    assert_eq!(two.high_watermark(&topic(1), P), Offset(0));
    let refused = two.append_batches(vec![batch(1, b"into the dark", 1)]).await;
    assert!(matches!(refused, Err(AppendError::Unavailable)), "{refused:?}");
    two.append_batches(vec![batch(2, b"of others", 1)]).await.expect("appends");
    mute.is_mute.store(false, Ordering::SeqCst);
    let back = Instant::now();
    two.wait(&topic(1), P, Offset(0), Duration::from_secs(10)).await;
    assert!(back.elapsed() < Duration::from_secs(1), "{:?}", back.elapsed());
    until("nothing is behind", async || two.behind() == 0).await;
    assert_eq!(two.high_watermark(&topic(1), P), Offset(1));
    two.append_batches(vec![batch(1, b"on", 1)]).await.expect("appends");
    one.close().await;
    two.close().await;
}
