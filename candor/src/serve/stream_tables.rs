//! The registries of topics and of schemas as the lake asks them.

use std::sync::Arc;

use candor_gate::{Gate, Part, ValuesMode};
use candor_lake::{StreamTables, StreamTopic, ValueDecoder};
use candor_model::{ProjectId, TopicName, Value};
use candor_streams::topics::{Topic, Topics};

/// Topics whose records are tables.
pub(super) struct TopicTables(pub(super) Topics);

/// Values as the gate shows them by their schemas. The lake asks for none that its topic does not open so.
pub(super) struct SchemaValues(pub(super) Arc<Gate>);

impl ValueDecoder for SchemaValues {
    fn decode(&self, project: ProjectId, _: &TopicName, value: &[u8]) -> Option<Value> {
        self.0.shown(project, (ValuesMode::Schema, Part::Value), value).map(|(_, value)| value)
    }
}

fn of(topic: &Topic) -> StreamTopic {
    let config = &topic.config;
    // What a topic that only compacts keeps, it keeps for ever.
    let kept =
        |bound: Option<i64>| bound.filter(|_| config.delete).and_then(|bound| u64::try_from(bound).ok());
    StreamTopic {
        name: Arc::clone(&topic.view.name),
        topic: topic.view.in_log.clone(),
        values: config.values,
        retention_ms: kept(config.retention_ms),
        compact_after_ms: config
            .compact
            .then(|| u64::try_from(config.segment_ms.min(config.compaction_lag_max_ms)).unwrap_or(0)),
        retention_bytes: kept(config.retention_bytes),
    }
}

impl StreamTables for TopicTables {
    fn topics(&self, project: ProjectId) -> Vec<StreamTopic> {
        let topics = self.0.list(project);
        topics.iter().filter(|topic| !topic.read_only).map(|topic| of(topic)).collect()
    }

    fn topic(&self, project: ProjectId, name: &str) -> Option<StreamTopic> {
        self.0.get(project, name).filter(|topic| !topic.read_only).map(|topic| of(&topic))
    }

    fn in_log(&self, project: ProjectId, topic: &TopicName) -> Option<StreamTopic> {
        // `#` and a number follow the name of a topic that was made again.
        let name = topic.0.split('#').next().unwrap_or_default();
        self.topic(project, name).filter(|known| known.topic == *topic)
    }
}
