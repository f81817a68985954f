//! OffsetCommit and OffsetFetch of version 10, which name topics by their ids (KIP-848). The decoder knows version 9: these
//! are read and written by hand, and asked as version 9 asks, by the names that the ids have now.

use std::collections::HashMap;

use bytes::{BufMut, BytesMut};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use kafka_protocol::messages::offset_fetch_response::OffsetFetchResponsePartitions;
use kafka_protocol::messages::{GroupId, OffsetCommitRequest, OffsetFetchRequest, TopicName};
use kafka_protocol::protocol::StrBytes;

use super::offsets;
use crate::caller::Caller;
use crate::directory::{TopicDirectory, TopicId};
use crate::parts::Parts;
use crate::wire::{Answer, Fields, PutFields, Read, Request};

/// The version.
pub(crate) const FROM: i16 = 10;

/// The version that is asked in its place.
const AS: i16 = 9;

/// From these versions on the two are flexible.
const COMMIT_FLEXIBLE_FROM: i16 = 8;
const FETCH_FLEXIBLE_FROM: i16 = 6;

/// Bytes that elements have at the least: partitions and topics of a commit, topics and groups of a fetch.
const PARTITION_BYTES: usize = 4 + 8 + 4 + 1 + 1;
const TOPIC_BYTES: usize = 16 + 1 + 1;
const GROUP_BYTES: usize = 1 + 1 + 4 + 1 + 1;

/// Ids and names of topics, as they are when a request comes.
struct Ids<'a> {
    parts: &'a Parts,
    caller: &'a Caller,
    by_name: HashMap<TopicName, TopicId>,
}

impl<'a> Ids<'a> {
    fn new(parts: &'a Parts, caller: &'a Caller) -> Ids<'a> {
        Ids { parts, caller, by_name: HashMap::new() }
    }

    /// The name of a topic that there is.
    fn name(&mut self, id: TopicId) -> Option<TopicName> {
        let view = self.parts.topics.topic_by_id(self.caller.project, id)?;
        let name = TopicName(StrBytes::from_string(view.name.to_string()));
        self.by_name.insert(name.clone(), id);
        Some(name)
    }

    /// The id of a topic: the one that was asked by, else the one that it has. None where it is gone meanwhile.
    fn id(&self, name: &TopicName) -> Option<TopicId> {
        let asked = self.by_name.get(name).copied();
        asked.or_else(|| Some(self.parts.topics.topic(self.caller.project, name)?.id))
    }
}

/// OffsetCommit.
pub(crate) async fn commit(parts: &Parts, caller: &Caller, request: &Request) -> Read<Answer> {
    let mut fields = request.fields(COMMIT_FLEXIBLE_FROM);
    let mut ids = Ids::new(parts, caller);
    let mut message = OffsetCommitRequest::default()
        .with_group_id(GroupId(fields.name()?))
        .with_generation_id_or_member_epoch(fields.i32()?)
        .with_member_id(fields.name()?)
        .with_group_instance_id(fields.text()?);
    // Of topics that there are not: what is said of each partition.
    let mut told: Vec<(TopicId, Vec<(i32, i16)>)> = Vec::new();
    for _ in 0..fields.count(TOPIC_BYTES)? {
        let id = fields.id()?;
        let mut partitions = Vec::new();
        for _ in 0..fields.count(PARTITION_BYTES)? {
            partitions.push(
                OffsetCommitRequestPartition::default()
                    .with_partition_index(fields.i32()?)
                    .with_committed_offset(fields.i64()?)
                    .with_committed_leader_epoch(fields.i32()?)
                    .with_committed_metadata(fields.text()?),
            );
            fields.end()?;
        }
        fields.end()?;
        match ids.name(id) {
            Some(name) => message
                .topics
                .push(OffsetCommitRequestTopic::default().with_name(name).with_partitions(partitions)),
            None => {
                let unknown = ResponseError::UnknownTopicId.code();
                told.push((id, partitions.iter().map(|of| (of.partition_index, unknown)).collect()));
            }
        }
    }
    fields.end()?;
    if !message.topics.is_empty() {
        let answer = offsets::commit(parts, caller, message, AS).await;
        told.extend(answer.topics.iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|of| (of.partition_index, of.error_code));
            (ids.id(&topic.name).unwrap_or_default(), partitions.collect())
        }));
    }
    let mut body = BytesMut::new();
    // Nobody is slowed down.
    body.put_i32(0);
    body.put_length(told.len(), true);
    for (id, partitions) in &told {
        body.put_slice(id);
        body.put_length(partitions.len(), true);
        for (index, error) in partitions {
            body.put_i32(*index);
            body.put_i16(*error);
            body.put_end(true);
        }
        body.put_end(true);
    }
    body.put_end(true);
    Ok(request.written(body))
}

/// What is told of the partitions of one topic.
type Told = (TopicId, Vec<OffsetFetchResponsePartitions>);

/// Topics that are asked for by name, and what is told of others.
type Asked = (Option<Vec<OffsetFetchRequestTopics>>, Vec<Told>);

/// OffsetFetch.
pub(crate) async fn fetch(parts: &Parts, caller: &Caller, request: &Request) -> Read<Answer> {
    let mut fields = request.fields(FETCH_FLEXIBLE_FROM);
    let mut ids = Ids::new(parts, caller);
    let mut message = OffsetFetchRequest::default();
    // What is said of topics that there are not, by the group that they were asked of.
    let mut unknown: HashMap<GroupId, Vec<Told>> = HashMap::new();
    for _ in 0..fields.count(GROUP_BYTES)? {
        let group = OffsetFetchRequestGroup::default()
            .with_group_id(GroupId(fields.name()?))
            .with_member_id(fields.text()?)
            .with_member_epoch(fields.i32()?);
        let (topics, not_there) = asked_topics(&mut fields, &mut ids)?;
        fields.end()?;
        // Of a group that is asked about again the first question counts, as it does where it is answered.
        unknown.entry(group.group_id.clone()).or_insert(not_there);
        message.groups.push(group.with_topics(topics));
    }
    message.require_stable = fields.i8()? != 0;
    fields.end()?;
    let answer = offsets::fetch(parts, caller, message, AS).await;

    let mut body = BytesMut::new();
    body.put_i32(0);
    body.put_length(answer.groups.len(), true);
    for group in answer.groups {
        body.put_text(&group.group_id, true);
        let mut told: Vec<Told> = group
            .topics
            .into_iter()
            .filter_map(|topic| Some((ids.id(&topic.name)?, topic.partitions)))
            .collect();
        if group.error_code == 0 {
            told.extend(unknown.remove(&group.group_id).unwrap_or_default());
        }
        body.put_length(told.len(), true);
        for (id, partitions) in &told {
            body.put_slice(id);
            body.put_length(partitions.len(), true);
            for of in partitions {
                body.put_i32(of.partition_index);
                body.put_i64(of.committed_offset);
                body.put_i32(of.committed_leader_epoch);
                body.put_text(of.metadata.as_deref().unwrap_or_default(), true);
                body.put_i16(of.error_code);
                body.put_end(true);
            }
            body.put_end(true);
        }
        body.put_i16(group.error_code);
        body.put_end(true);
    }
    body.put_end(true);
    Ok(request.written(body))
}

/// The topics that are asked for, none where it is all; and what is said of those that there are not.
fn asked_topics(fields: &mut Fields, ids: &mut Ids<'_>) -> Read<Asked> {
    let mut unknown = Vec::new();
    let Some(count) = fields.count_or_null(TOPIC_BYTES)? else { return Ok((None, unknown)) };
    let mut topics = Vec::new();
    for _ in 0..count {
        let id = fields.id()?;
        let mut indexes = Vec::new();
        for _ in 0..fields.count(4)? {
            indexes.push(fields.i32()?);
        }
        fields.end()?;
        match ids.name(id) {
            Some(name) => topics
                .push(OffsetFetchRequestTopics::default().with_name(name).with_partition_indexes(indexes)),
            None => {
                let nothing = |index: &i32| {
                    OffsetFetchResponsePartitions::default()
                        .with_partition_index(*index)
                        .with_committed_offset(-1)
                        .with_error_code(ResponseError::UnknownTopicId.code())
                };
                unknown.push((id, indexes.iter().map(nothing).collect()));
            }
        }
    }
    Ok((Some(topics), unknown))
}
