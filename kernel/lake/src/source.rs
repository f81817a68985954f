//! The log as the lake sees it, so that tests and the simulation can stand in for it.

use std::sync::Arc;

use async_trait::async_trait;
use candor_log::{Aborted, Committed, Follower, Log, ReadError, Topic};
use candor_model::{Offset, Partition};

/// A log that can be followed and read again.
#[async_trait]
pub trait Source: Send + Sync {
    /// See [`Log::follow`].
    fn follow(&self, follower: Arc<dyn Follower>) -> Vec<(Topic, Partition, Offset)>;
    /// See [`Log::log_start`].
    fn log_start(&self, topic: &Topic, partition: Partition) -> Offset;
    /// See [`Log::consumed`].
    fn consumed(&self, topic: &Topic, partition: Partition, next: Offset);
    /// See [`Log::stable_ends`].
    fn stable_ends(&self, topic: &Topic) -> Vec<(Partition, Offset)>;
    /// See [`Log::aborted_among`].
    fn aborted_among(&self, batches: &[Committed]) -> Vec<Aborted>;
    /// See [`Log::read`].
    async fn read(
        &self,
        topic: &Topic,
        partition: Partition,
        from: Offset,
        max_bytes: usize,
    ) -> Result<Vec<Committed>, ReadError>;
}

#[async_trait]
impl Source for Log {
    fn follow(&self, follower: Arc<dyn Follower>) -> Vec<(Topic, Partition, Offset)> {
        Log::follow(self, follower)
    }
    fn log_start(&self, topic: &Topic, partition: Partition) -> Offset {
        Log::log_start(self, topic, partition)
    }
    fn consumed(&self, topic: &Topic, partition: Partition, next: Offset) {
        Log::consumed(self, "lake", topic, partition, next);
    }
    fn stable_ends(&self, topic: &Topic) -> Vec<(Partition, Offset)> {
        Log::stable_ends(self, topic)
    }
    fn aborted_among(&self, batches: &[Committed]) -> Vec<Aborted> {
        Log::aborted_among(self, batches)
    }
    async fn read(
        &self,
        topic: &Topic,
        partition: Partition,
        from: Offset,
        max_bytes: usize,
    ) -> Result<Vec<Committed>, ReadError> {
        Log::read(self, topic, partition, from, max_bytes).await
    }
}
