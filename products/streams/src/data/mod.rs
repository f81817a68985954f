//! Records in and out: produce, fetch, offsets.

pub mod fetch;
pub mod offsets;
pub mod produce;
pub mod producer_ids;
pub(crate) mod signals;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use candor_log::Topic;
use candor_model::{Partition, ProjectId};
use kafka_protocol::ResponseError;
use uuid::Uuid;

use crate::admin::acl::Operation;
use crate::directory::{TopicDirectory, TopicView};
use crate::rights::Rights;

/// The leader epoch of every partition: its leader never changes, for one process serves.
pub const LEADER_EPOCH: i32 = 0;

/// A partition as the log knows it.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub topic: Topic,
    pub partition: Partition,
}

impl Place {
    /// A partition of a topic, where it has it.
    pub fn of(project: ProjectId, view: &TopicView, index: i32) -> Result<Place, ResponseError> {
        let partition = partition(view, index)?;
        Ok(Place { topic: Topic { project, name: view.in_log.clone() }, partition })
    }
}

/// What a partition is asked for by: a name, or from some version on an id. Whether a name that may not be used is a
/// topic's is not told.
pub(crate) fn topic(
    directory: &dyn TopicDirectory,
    (rights, operation): (&Rights, Operation),
    name: &str,
    id: Uuid,
    by_id: bool,
) -> Result<Arc<TopicView>, ResponseError> {
    let project = rights.project();
    if by_id {
        let found = directory.topic_by_id(project, id.into_bytes()).ok_or(ResponseError::UnknownTopicId)?;
        rights.on_topic(operation, &found.name)?;
        return Ok(found);
    }
    rights.on_topic(operation, name)?;
    directory.topic(project, name).ok_or(ResponseError::UnknownTopicOrPartition)
}

/// A partition of a topic, where it has it.
pub(crate) fn partition(topic: &TopicView, index: i32) -> Result<Partition, ResponseError> {
    let index = u32::try_from(index).ok().filter(|index| *index < topic.partitions);
    index.map(Partition).ok_or(ResponseError::UnknownTopicOrPartition)
}

/// Whether what a client says of the leader's epoch holds (KIP-320). -1 is nothing said.
pub(crate) fn check_epoch(said: i32) -> Result<(), ResponseError> {
    match said {
        LEADER_EPOCH.. if said > LEADER_EPOCH => Err(ResponseError::UnknownLeaderEpoch),
        _ => Ok(()),
    }
}
