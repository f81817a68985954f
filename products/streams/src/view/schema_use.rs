//! Which topics use a subject's schemas: the one that it is named after, and those whose newest messages name them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use candor_meta::ReadScope;
use candor_model::ProjectId;
use candor_schemas::schema_id;
use serde::Serialize;
use tokio::time::Instant;

use super::pages::Newest;
use super::records::{Budget, Raw};
use super::{Inner, View, ViewError, read};
use crate::registry::{Context, Subject};
use crate::topics::Topic;

/// Topics that are looked into.
const TOPICS_MAX: usize = 64;

/// Partitions of each.
const PARTITIONS_MAX: u32 = 8;

/// Messages of a partition that are looked at.
const MESSAGES: usize = 20;

/// Bytes that are opened of one topic.
const OPENED_MAX: usize = 4 << 20;

/// How long topics are looked into.
const LOOK_MAX: Duration = Duration::from_secs(2);

/// Topics that use a subject.
#[derive(Debug, Clone, Serialize)]
pub struct SchemaTopics {
    /// The topics, by name.
    pub topics: Vec<SchemaTopic>,
    /// Messages that were looked at: the newest of partitions.
    pub looked_at: u64,
    /// Topics that were not looked into.
    pub topics_left: usize,
}

/// A topic that uses a subject.
#[derive(Debug, Clone, Serialize)]
pub struct SchemaTopic {
    /// The topic.
    pub topic: String,
    /// The subject is named after it (Confluent's TopicNameStrategy).
    pub by_name: bool,
    /// Versions that its newest keys name.
    pub keys: BTreeSet<i32>,
    /// Versions that its newest values name.
    pub values: BTreeSet<i32>,
}

impl View {
    /// Topics that use a subject's schemas, as far as their newest messages say.
    pub async fn schema_topics(&self, scope: &ReadScope, name: &str) -> Result<SchemaTopics, ViewError> {
        self.inner.schema_topics(read(scope), name).await
    }
}

impl Inner {
    async fn schema_topics(&self, project: ProjectId, name: &str) -> Result<SchemaTopics, ViewError> {
        let subject = Subject::parse(name, &Context::default_one())?;
        let book = self.registry.book(project);
        let missing = || ViewError::Missing(format!("the project has no subject {name:?}"));
        let versions = book.versions(subject.full()).ok_or_else(missing)?;
        let by_id: BTreeMap<i32, i32> = versions.iter().map(|(version, of)| (of.id, *version)).collect();
        let mut topics: Vec<_> =
            self.topics.list(project).into_iter().filter(|topic| !topic.read_only).collect();
        // The one that it is named after is never left out.
        topics.sort_by_key(|topic| *topic.view.name != *subject.topic());
        let _turn = self.reading.turn(project).await?;
        let deadline = Instant::now() + LOOK_MAX;
        let mut told = SchemaTopics { topics: Vec::new(), looked_at: 0, topics_left: 0 };
        for (nth, topic) in topics.iter().enumerate() {
            if nth >= TOPICS_MAX || Instant::now() >= deadline {
                told.topics_left = topics.len() - nth;
                break;
            }
            let mut found = SchemaTopic {
                topic: topic.view.name.to_string(),
                by_name: *topic.view.name == *subject.topic(),
                keys: BTreeSet::new(),
                values: BTreeSet::new(),
            };
            for raw in self.newest_of(project, topic, deadline, &mut told.looked_at).await? {
                let version = |bytes: &Option<bytes::Bytes>| by_id.get(&schema_id(bytes.as_ref()?)?).copied();
                found.keys.extend(version(&raw.key));
                found.values.extend(version(&raw.value));
            }
            if found.by_name || !found.keys.is_empty() || !found.values.is_empty() {
                told.topics.push(found);
            }
        }
        told.topics.sort_by(|a, b| a.topic.cmp(&b.topic));
        Ok(told)
    }

    async fn newest_of(
        &self,
        project: ProjectId,
        topic: &Topic,
        deadline: Instant,
        looked_at: &mut u64,
    ) -> Result<Vec<Raw>, ViewError> {
        let mut budget = Budget { bytes: OPENED_MAX, deadline, spent: 0, looked_at: 0 };
        let mut found = Vec::new();
        for partition in 0..topic.view.partitions.min(PARTITIONS_MAX) {
            let newest = Newest { project, topic, partition, wanted: MESSAGES };
            found.extend(self.newest(newest, &mut budget).await?);
        }
        *looked_at += budget.looked_at;
        Ok(found)
    }
}
