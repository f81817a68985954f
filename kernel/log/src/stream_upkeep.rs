//! What is kept of topics of streams, and what is deleted of them by hand.

use std::time::Duration;

use candor_model::{Offset, Partition};

use crate::{Log, Topic};

/// What is kept of a topic of streams (`retention.ms` and `retention.bytes`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// How long after the log took it a batch is kept, milliseconds; none keeps it whatever its age.
    pub ms: Option<u64>,
    /// How much is kept of a partition, bytes; none keeps all.
    pub bytes: Option<u64>,
}

impl Default for Retention {
    /// A week, as with Kafka.
    fn default() -> Retention {
        Retention { ms: Some(7 * 24 * 3600 * 1000), bytes: None }
    }
}

/// Why records or a topic were not deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DeleteError {
    /// The offset is beyond the high watermark.
    #[error("offset {asked} is out of range: the high watermark is {end}")]
    OutOfRange {
        /// What was asked for.
        asked: u64,
        /// The high watermark.
        end: u64,
    },
    /// It is not read any more, but may be again after a restart: it is to be called again.
    #[error("the deletion could not be made durable")]
    NotDurable,
    /// It is a signal's: that goes with its project.
    #[error("only topics of streams can be deleted")]
    Signal,
}

impl Log {
    /// Says what is kept of a topic of streams from now on. To be said anew after each start; until then it is a week.
    pub fn set_retention(&self, topic: &Topic, retention: Retention) {
        self.inner.shared.state.write().retention.insert(topic.clone(), retention);
        self.inner.shared.rolled.notify_one();
    }

    /// Bytes that the log holds of a partition; none in a cluster, where nobody counts them.
    pub fn partition_bytes(&self, topic: &Topic, partition: Partition) -> Option<u64> {
        if self.inner.cluster.is_some() {
            return None;
        }
        let state = self.inner.shared.state.read();
        Some(state.find_named(topic, partition).map_or(0, |held| held.bytes()))
    }

    /// Lets a partition of a stream begin at `before`, and gives where it begins: there or later. On return that is on
    /// stable storage; the bytes go with the file that they lie in.
    pub async fn delete_records(
        &self,
        topic: &Topic,
        partition: Partition,
        before: Offset,
    ) -> Result<Offset, DeleteError> {
        self.may_delete(topic)?;
        let start = {
            let mut state = self.inner.shared.state.write();
            let end = state.find_named(topic, partition).map_or(0, |held| held.end);
            if before.0 > end {
                return Err(DeleteError::OutOfRange { asked: before.0, end });
            }
            let Some(key) = state.find(topic, partition) else { return Ok(Offset(0)) };
            let start = state.delete_records(key, before.0);
            drop(state);
            self.inner.shared.wake(std::iter::once(key));
            start
        };
        match &self.inner.cluster {
            Some(cluster) => {
                let deleted = cluster.sequencer.delete_records(topic, partition, before.0).await;
                Ok(Offset(deleted.map_err(not_durable)?))
            }
            None => self.make_durable().await.map(|()| Offset(start)),
        }
    }

    /// Lets go of a topic of streams. It cannot be read from now on, and nothing more is taken for it: its name is not
    /// to be used again. On return that is on stable storage; files that hold it beside what is others' are written
    /// anew behind this.
    pub async fn delete_topic(&self, topic: &Topic) -> Result<(), DeleteError> {
        self.may_delete(topic)?;
        let keys = self.inner.shared.state.write().delete_topic(topic);
        self.inner.shared.wake(keys.into_iter());
        match &self.inner.cluster {
            Some(cluster) => cluster.sequencer.delete_topic(topic).await.map_err(not_durable),
            None => self.make_durable().await,
        }
    }

    fn may_delete(&self, topic: &Topic) -> Result<(), DeleteError> {
        match topic.name.signal() {
            Some(_) => Err(DeleteError::Signal),
            None => Ok(()),
        }
    }

    /// Waits for a checkpoint that holds what was changed before.
    async fn make_durable(&self) -> Result<(), DeleteError> {
        let (reply, answer) = tokio::sync::oneshot::channel();
        self.inner.shared.checkpoint_asked.lock().push(reply);
        self.inner.shared.rolled.notify_one();
        let mut stopped = self.inner.stopped.clone();
        tokio::select! {
            answer = answer => answer.map_err(|_| DeleteError::NotDurable),
            _ = stopped.wait_for(|stopped| *stopped) => Err(DeleteError::NotDurable),
        }
    }
}

fn not_durable(error: crate::cluster::SequencerError) -> DeleteError {
    tracing::warn!(error = &error as &dyn std::error::Error, "a deletion was not committed");
    DeleteError::NotDurable
}

/// An age in the log's own unit, microseconds.
pub(crate) fn age_of(retention: &Retention) -> Option<i64> {
    let ms = retention.ms?;
    Some(i64::try_from(Duration::from_millis(ms).as_micros()).unwrap_or(i64::MAX))
}
