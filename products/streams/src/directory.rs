//! Topics as the other parts see them.

use std::sync::Arc;

use candor_model::{ProjectId, TopicName};

/// A topic's id: a UUID, never given twice (KIP-516).
pub type TopicId = [u8; 16];

/// A topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicView {
    /// Its name within the project.
    pub name: Arc<str>,
    /// Its id. A topic that was deleted and made again has another.
    pub id: TopicId,
    /// How many partitions it has.
    pub partitions: u32,
    /// What the log calls it: another name for each topic of the same name that there was.
    pub in_log: TopicName,
}

/// What topics there are. Answers from memory.
pub trait TopicDirectory: Send + Sync {
    /// A topic by name.
    fn topic(&self, project: ProjectId, name: &str) -> Option<Arc<TopicView>>;

    /// A topic by id.
    fn topic_by_id(&self, project: ProjectId, id: TopicId) -> Option<Arc<TopicView>>;

    /// A project's topics, sorted by name.
    fn topics(&self, project: ProjectId) -> Vec<Arc<TopicView>>;

    /// Ticks when topics or their partitions change.
    fn changes(&self) -> tokio::sync::watch::Receiver<u64>;
}
