//! What the registry of topics asks of the log: how long what is kept, and that deleted topics go.

use std::time::Duration;

use async_trait::async_trait;
use candor_log::{Log, Retention, Topic as LogTopic};
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

fn tell(topics: &Topics, log: &Log) {
    for (project, topic) in topics.configured() {
        let name = LogTopic { project, name: topic.view.in_log.clone() };
        log.set_retention(&name, retention(&topic.config));
    }
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

/// Does all that from now on, until `stop`.
pub(crate) fn start(topics: Topics, log: Log, stop: CancellationToken) {
    tell(&topics, &log);
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
                    tell(&topics, &log);
                }
                _ = collecting.tick() => collect(&topics, &log).await,
            }
        }
    });
}
