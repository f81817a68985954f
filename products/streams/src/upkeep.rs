//! What the registry of topics asks of the log: how long what is kept, what is compacted by key, and that deleted
//! topics go.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use candor_log::{Compaction, Log, Retention, Topic as LogTopic};
use candor_model::{Partition, ProjectId};
use tokio_util::sync::CancellationToken;

use crate::admin::TopicLog;
use crate::directory::{TopicDirectory, TopicView};
use crate::topics::config::TopicConfig;
use crate::topics::{Gone, Topics};

/// How often what is left of deleted topics is tried again.
const COLLECT_EVERY: Duration = Duration::from_secs(600);

/// The log as the administration of topics uses it.
pub(crate) struct Kept(pub Log);

#[async_trait]
impl TopicLog for Kept {
    async fn sizes(&self, project: ProjectId, topic: &TopicView) -> Vec<i64> {
        let name = LogTopic { project, name: topic.in_log.clone() };
        let size = |partition| {
            let bytes = self.0.partition_bytes(&name, Partition(partition));
            bytes.map_or(-1, |bytes| i64::try_from(bytes).unwrap_or(i64::MAX))
        };
        (0..topic.partitions).map(size).collect()
    }

    async fn space(&self) -> Option<(i64, i64)> {
        None
    }

    async fn remove(&self, gone: &Gone) -> Result<(), String> {
        remove(&self.0, gone).await
    }
}

async fn remove(log: &Log, gone: &Gone) -> Result<(), String> {
    let topic = LogTopic { project: gone.project, name: gone.in_log.clone() };
    log.delete_topic(&topic).await.map_err(|error| error.to_string())
}

fn retention(config: &TopicConfig) -> Retention {
    let bound =
        |bound: Option<i64>| bound.filter(|_| config.delete).and_then(|bound| u64::try_from(bound).ok());
    Retention { ms: bound(config.retention_ms), bytes: bound(config.retention_bytes) }
}

fn compaction(config: &TopicConfig) -> Option<Compaction> {
    let ms = |ms: i64| u64::try_from(ms).unwrap_or(0);
    config.compact.then(|| Compaction {
        lag_min_ms: ms(config.compaction_lag_min_ms),
        lag_max_ms: ms(config.compaction_lag_max_ms),
        dirty_ratio_min: config.dirty_ratio_min,
        delete_retention_ms: ms(config.delete_retention_ms),
        segment_ms: ms(config.segment_ms),
    })
}

/// What the log was told of each topic.
type Told = HashMap<LogTopic, (Retention, Option<Compaction>)>;

/// Tells the log what it was not told yet, and forgets topics that are gone.
fn tell(topics: &Topics, log: &Log, told: &mut Told) {
    let mut now = Told::new();
    for (project, topic) in topics.all() {
        let name = LogTopic { project, name: topic.view.in_log.clone() };
        let policy = (retention(&topic.config), compaction(&topic.config));
        if told.get(&name) != Some(&policy) {
            log.set_retention(&name, policy.0);
            log.set_compaction(&name, policy.1);
        }
        now.insert(name, policy);
    }
    *told = now;
}

/// Removes what earlier deletions left.
async fn collect(topics: &Topics, log: &Log) {
    let gone = match topics.gone().await {
        Ok(gone) => gone,
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "deleted topics cannot be listed");
            return;
        }
    };
    for gone in gone {
        let removed = remove(log, &gone).await;
        let noted = match removed {
            Ok(()) => topics.collected(&gone).await.map_err(|error| error.to_string()),
            failed => failed,
        };
        if let Err(error) = noted {
            tracing::warn!(error, "a deleted topic is not gone yet");
        }
    }
}

/// Does all that from now on, until `stop`. Opened streams do it by themselves; a program without them calls this, so
/// that topics are kept as long as they say whether clients are listened to or not. Needs a Tokio runtime.
pub fn keep(topics: Topics, log: Log, stop: CancellationToken) {
    let mut told = Told::new();
    tell(&topics, &log, &mut told);
    let mut changes = topics.changes();
    tokio::spawn(async move {
        let mut collecting = tokio::time::interval(COLLECT_EVERY);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                changed = changes.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    tell(&topics, &log, &mut told);
                }
                _ = collecting.tick() => collect(&topics, &log).await,
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topics::config::{Change, Overrides, apply};

    fn config(pairs: &[(&str, &str)]) -> TopicConfig {
        let changes: Vec<_> = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), Change::Set((*value).to_owned())))
            .collect();
        TopicConfig::of(&apply(&Overrides::new(), false, &changes).unwrap()).unwrap()
    }

    #[test]
    fn the_log_is_told_what_the_policy_says() {
        let plain = config(&[("retention.ms", "5"), ("retention.bytes", "7")]);
        assert_eq!(retention(&plain), Retention { ms: Some(5), bytes: Some(7) });
        assert_eq!(compaction(&plain), None);
        // As long as it is not deleted by age or size, retention says nothing.
        let compacted = config(&[
            ("cleanup.policy", "compact"),
            ("retention.ms", "5"),
            ("delete.retention.ms", "11"),
            ("min.compaction.lag.ms", "12"),
            ("max.compaction.lag.ms", "13"),
            ("min.cleanable.dirty.ratio", "0.25"),
            ("segment.ms", "14"),
        ]);
        assert_eq!(retention(&compacted), Retention { ms: None, bytes: None });
        let expected = Compaction {
            lag_min_ms: 12,
            lag_max_ms: 13,
            dirty_ratio_min: 0.25,
            delete_retention_ms: 11,
            segment_ms: 14,
        };
        assert_eq!(compaction(&compacted), Some(expected));
        let both = config(&[("cleanup.policy", "compact,delete"), ("retention.ms", "5")]);
        assert_eq!(retention(&both), Retention { ms: Some(5), bytes: None });
        assert_eq!(compaction(&both), Some(Compaction::default()));
    }
}
