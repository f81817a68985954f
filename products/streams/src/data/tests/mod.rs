//! Records in and out, over a real log.

mod signals;

use candor_model::Partition;
use kafka_protocol::messages::TopicName;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};

use crate::testing::text;

pub(super) const FIRST: Partition = Partition(0);

pub(super) fn topic_name(name: &str) -> TopicName {
    TopicName(text(name))
}

/// Asks for a topic's first partition, and does not wait.
pub(super) fn fetch(topic: &str, from: i64, bytes_max: i32) -> FetchRequest {
    let partition = FetchPartition::default()
        .with_fetch_offset(from)
        .with_partition_max_bytes(bytes_max)
        .with_partition(0);
    FetchRequest::default().with_max_bytes(bytes_max).with_topics(vec![
        FetchTopic::default().with_topic(topic_name(topic)).with_partitions(vec![partition]),
    ])
}
