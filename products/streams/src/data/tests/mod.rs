//! Records in and out, over a real log.

mod signals;

use candor_model::Partition;
use kafka_protocol::messages::TopicName;

use super::fetch::message::{AskedPartition, FetchRequest, TopicKey};
use crate::testing::text;

pub(super) const FIRST: Partition = Partition(0);

pub(super) fn topic_name(name: &str) -> TopicName {
    TopicName(text(name))
}

/// Asks for a topic's first partition, and does not wait.
pub(super) fn fetch(topic: &str, from: i64, bytes_max: i32) -> FetchRequest {
    let place = AskedPartition { topic: 0, index: 0, epoch: -1, from, bytes_max };
    FetchRequest::once(vec![TopicKey::Name(text(topic))], vec![place], place.bytes_max, 0)
}
