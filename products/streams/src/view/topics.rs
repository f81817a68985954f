//! Topics: what there are, what one holds and how it is set, and what is done to them.

use std::sync::Arc;

use candor_meta::{ReadScope, WriteScope};
use candor_model::{Partition, ProjectId};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::groups::LagOfTopic;
use super::{Inner, View, ViewError, read, write};
use crate::admin::TopicLog;
use crate::topics::config::{Change as ConfigChange, Source, value_of};
use crate::topics::definitions::{self, Kind};
use crate::topics::{self, Topic};
use crate::upkeep::Kept;

/// Topics that a list holds.
const LISTED_MAX: usize = 500;

/// Topics.
#[derive(Debug, Clone, Default, Serialize)]
pub struct TopicList {
    /// The first of them by name, the project's own before the signals'.
    pub topics: Vec<TopicSummary>,
    /// How many fit in all.
    pub total: usize,
}

/// A topic in a list.
#[derive(Debug, Clone, Serialize)]
pub struct TopicSummary {
    /// Its name.
    pub name: String,
    /// How many partitions it has.
    pub partitions: u32,
    /// Offsets from its beginning to its end, markers and gaps among them.
    pub messages: u64,
    /// Bytes that it takes in the log; none where nobody counts them.
    pub bytes: Option<u64>,
    /// Messages a second, over the last minute at most; none until it was looked at twice.
    pub rate: Option<f64>,
    /// `retention.ms`; none for ever.
    pub retention_ms: Option<i64>,
    /// `retention.bytes` of a partition; none for no bound.
    pub retention_bytes: Option<i64>,
    /// `candor.values`: how its values may be opened.
    pub values: String,
    /// `cleanup.policy`.
    pub cleanup: String,
    /// True for a signal's, which nobody writes or changes.
    pub read_only: bool,
    /// When it was made, RFC 3339; none for a signal's.
    pub created_at: Option<String>,
}

/// A topic.
#[derive(Debug, Clone, Serialize)]
pub struct TopicDetail {
    /// What a list says of it.
    #[serde(flatten)]
    pub summary: TopicSummary,
    /// Its partitions.
    pub parts: Vec<PartitionShown>,
    /// Every configuration that it has.
    pub configs: Vec<ConfigShown>,
    /// Groups that have read from it.
    pub groups: Vec<TopicGroup>,
}

/// A partition.
#[derive(Debug, Clone, Serialize)]
pub struct PartitionShown {
    /// Its number.
    pub partition: u32,
    /// The oldest offset that is held.
    pub start: u64,
    /// The offset that comes next.
    pub end: u64,
    /// Before this no transaction is open.
    pub stable: u64,
    /// Bytes that it takes in the log.
    pub bytes: Option<u64>,
}

/// A configuration.
#[derive(Debug, Clone, Serialize)]
pub struct ConfigShown {
    /// Its name.
    pub name: &'static str,
    /// What holds.
    pub value: String,
    /// What holds where nothing is set.
    pub default: &'static str,
    /// `topic` where it is set there, else `default`.
    pub source: &'static str,
    /// `flag`, `number`, `choice`, `list` or `text`.
    pub kind: &'static str,
    /// The words that a choice or a list takes.
    pub words: &'static [&'static str],
    /// What it means.
    pub text: &'static str,
}

/// A group that has read from a topic.
#[derive(Debug, Clone, Serialize)]
pub struct TopicGroup {
    /// Its name.
    pub group: String,
    /// How it stands.
    pub state: String,
    /// Messages that it has not read.
    pub lag: i64,
    /// Partitions that it has committed an offset of.
    pub partitions: usize,
}

/// A topic to be made.
#[derive(Debug, Clone, Deserialize)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// How many partitions; none for the default.
    pub partitions: Option<u32>,
    /// What is set of its configurations.
    #[serde(default)]
    pub configs: Vec<Change>,
}

/// A change of one configuration.
#[derive(Debug, Clone, Deserialize)]
pub struct Change {
    /// Its name.
    pub name: String,
    /// What it is set to; none puts it back to its default.
    pub value: Option<String>,
}

impl From<Change> for (String, ConfigChange) {
    fn from(change: Change) -> (String, ConfigChange) {
        (change.name, change.value.map_or(ConfigChange::Delete, ConfigChange::Set))
    }
}

fn kind_of(kind: Kind) -> (&'static str, &'static [&'static str]) {
    match kind {
        Kind::Flag => ("flag", &["false", "true"]),
        Kind::Int(..) | Kind::Long(..) | Kind::Double(..) => ("number", &[]),
        Kind::Choice(words) => ("choice", words),
        Kind::List(words) => ("list", words),
        Kind::Replicas => ("text", &[]),
    }
}

impl View {
    /// Topics whose names hold a text.
    pub fn topics(&self, scope: &ReadScope, search: &str) -> TopicList {
        let (project, search) = (read(scope), search.to_lowercase());
        let mut found = self.inner.topics.list(project);
        found.retain(|topic| topic.view.name.to_lowercase().contains(&search));
        // Sorted by name already.
        found.sort_by_key(|topic| topic.read_only);
        let total = found.len();
        let topics = found.iter().take(LISTED_MAX).map(|topic| self.inner.summary(project, topic)).collect();
        TopicList { topics, total }
    }

    /// How many topics of its own a project has.
    pub fn topics_count(&self, scope: &ReadScope) -> usize {
        self.inner.topics.list(read(scope)).iter().filter(|topic| !topic.read_only).count()
    }

    /// A topic with its partitions, configurations and readers.
    pub async fn topic(&self, scope: &ReadScope, name: &str) -> Result<TopicDetail, ViewError> {
        let project = read(scope);
        let topic = self.inner.topic(project, name)?;
        let groups = self.inner.groups_of_topic(project, &topic).await?;
        Ok(self.inner.detail(project, &topic, groups))
    }

    /// Makes a topic.
    pub async fn create_topic(&self, scope: &WriteScope, new: NewTopic) -> Result<TopicDetail, ViewError> {
        let project = write(scope);
        let configs = new.configs.into_iter().map(Into::into).collect();
        let new = topics::NewTopic { name: new.name, partitions: new.partitions, configs };
        let topic = self.inner.topics.create(project, new).await?;
        Ok(self.inner.detail(project, &topic, Vec::new()))
    }

    /// Changes a topic's configurations, and gives it more partitions.
    pub async fn change_topic(
        &self,
        scope: &WriteScope,
        name: &str,
        configs: Vec<Change>,
        partitions: Option<u32>,
    ) -> Result<TopicDetail, ViewError> {
        let project = write(scope);
        let topics = &self.inner.topics;
        let mut topic = self.inner.topic(project, name)?;
        if !configs.is_empty() {
            let changes: Vec<(String, ConfigChange)> = configs.into_iter().map(Into::into).collect();
            topic = topics.configure(project, name, false, &changes, false).await?;
        }
        if let Some(partitions) = partitions.filter(|count| *count != topic.view.partitions) {
            topic = topics.grow(project, name, partitions, false).await?;
        }
        let groups = self.inner.groups_of_topic(project, &topic).await?;
        Ok(self.inner.detail(project, &topic, groups))
    }

    /// Deletes a topic with its records.
    pub async fn delete_topic(&self, scope: &WriteScope, name: &str) -> Result<(), ViewError> {
        let project = write(scope);
        self.inner.stream(project, name)?;
        let (_, gone) = self.inner.topics.delete(project, name).await?;
        match Kept(self.inner.log.clone()).remove(&gone).await {
            Ok(()) => {
                // Where this is not noted the log is asked to remove what it has not.
                if let Err(error) = self.inner.topics.collected(&gone).await {
                    let error = &error as &dyn std::error::Error;
                    tracing::debug!(error, "a removed topic is not ticked off");
                }
            }
            Err(why) => tracing::warn!(why, "the records of a deleted topic are removed later"),
        }
        Ok(())
    }
}

impl Inner {
    fn summary(&self, project: ProjectId, topic: &Topic) -> TopicSummary {
        let in_log = Inner::in_log(project, topic);
        let (mut messages, mut taken, mut bytes) = (0, 0, Some(0_u64));
        for partition in 0..topic.view.partitions {
            let (start, end) = self.ends(project, topic, partition);
            messages += end - start;
            taken += end;
            bytes = bytes.zip(self.log.partition_bytes(&in_log, Partition(partition))).map(|(a, b)| a + b);
        }
        let config = &topic.config;
        let value = |name: &str| {
            definitions::find(name).map_or(String::new(), |one| value_of(&topic.overrides, one).0.to_owned())
        };
        TopicSummary {
            name: topic.view.name.to_string(),
            partitions: topic.view.partitions,
            messages,
            bytes,
            rate: self.rates.lock().look(project, &topic.view.name, taken, Instant::now()),
            retention_ms: config.retention_ms.filter(|_| config.delete),
            retention_bytes: config.retention_bytes.filter(|_| config.delete),
            values: value("candor.values"),
            cleanup: value("cleanup.policy"),
            read_only: topic.read_only,
            created_at: (!topic.read_only).then(|| topic.created_at.to_string()),
        }
    }

    fn detail(&self, project: ProjectId, topic: &Arc<Topic>, groups: Vec<LagOfTopic>) -> TopicDetail {
        let in_log = Inner::in_log(project, topic);
        let part = |partition| {
            let (start, end) = self.ends(project, topic, partition);
            PartitionShown {
                partition,
                start,
                end,
                stable: self.log.last_stable_offset(&in_log, Partition(partition)).0,
                bytes: self.log.partition_bytes(&in_log, Partition(partition)),
            }
        };
        let config = |definition: &'static definitions::Definition| {
            let (value, source) = value_of(&topic.overrides, definition);
            let (kind, words) = kind_of(definition.kind);
            ConfigShown {
                name: definition.name,
                value: value.to_owned(),
                default: definition.default,
                source: if source == Source::Topic { "topic" } else { "default" },
                kind,
                words,
                text: definition.text,
            }
        };
        let group = |lag: LagOfTopic| TopicGroup {
            group: lag.group,
            state: lag.state,
            lag: lag.lag,
            partitions: lag.partitions,
        };
        TopicDetail {
            summary: self.summary(project, topic),
            parts: (0..topic.view.partitions).map(part).collect(),
            configs: definitions::ALL.iter().map(config).collect(),
            groups: groups.into_iter().map(group).collect(),
        }
    }
}
