//! Topics that one request makes.

use std::collections::HashMap;
use std::sync::Arc;

use super::name;
use super::store::Stored;

/// Those that may be made so far. What the next one is checked against is not looked for among them one by one: a
/// request may name many.
#[derive(Default)]
pub(super) struct Batch {
    pub topics: Vec<Stored>,
    /// Their partitions together.
    pub partitions: u64,
    by_likeness: HashMap<String, Arc<str>>,
}

impl Batch {
    /// Adds one, and tells where it stands among them.
    pub fn accept(&mut self, topic: Stored) -> usize {
        self.partitions += u64::from(topic.partitions);
        self.by_likeness.insert(name::likeness(&topic.name), Arc::from(&*topic.name));
        self.topics.push(topic);
        self.topics.len() - 1
    }

    /// The one that a name of that likeness is, or would be taken for.
    pub fn alike(&self, likeness: &str) -> Option<Arc<str>> {
        self.by_likeness.get(likeness).map(Arc::clone)
    }
}
