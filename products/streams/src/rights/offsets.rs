//! Committed offsets: to commit takes READ of group and topic, to look DESCRIBE, to remove DELETE of the group.

use std::collections::BTreeSet;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use kafka_protocol::messages::offset_delete_response::{
    OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use kafka_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopic};
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use kafka_protocol::messages::txn_offset_commit_response::{
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use kafka_protocol::messages::{
    OffsetCommitRequest, OffsetCommitResponse, OffsetDeleteRequest, OffsetDeleteResponse, OffsetFetchRequest,
    OffsetFetchResponse, TxnOffsetCommitRequest, TxnOffsetCommitResponse,
};

use super::{Rights, parted};
use crate::admin::acl::Operation;
use crate::caller::Caller;
use crate::parts::Parts;

/// From this version on OffsetFetch asks for many groups at once (KIP-709).
const MANY_FROM: i16 = 8;

/// From this version on OffsetFetch tells what is wrong with the whole.
const WHOLE_ERROR_FROM: i16 = 2;

/// OffsetCommit.
pub async fn commit(
    parts: &Parts,
    caller: &Caller,
    mut request: OffsetCommitRequest,
    version: i16,
) -> OffsetCommitResponse {
    let rights = parts.rights(caller);
    let group = rights.on_group(Operation::Read, &request.group_id);
    let (allowed, refused) = parted(std::mem::take(&mut request.topics), |topic| {
        group.and_then(|()| rights.on_topic(Operation::Read, &topic.name))
    });
    let mut response = match allowed.is_empty() && !refused.is_empty() {
        true => OffsetCommitResponse::default(),
        false => {
            request.topics = allowed;
            parts.groups.offset_commit(caller, request, version).await
        }
    };
    response.topics.extend(refused.into_iter().map(|(topic, error)| {
        let partitions = topic.partitions.iter().map(|partition| {
            OffsetCommitResponsePartition::default()
                .with_partition_index(partition.partition_index)
                .with_error_code(error.code())
        });
        OffsetCommitResponseTopic::default().with_partitions(partitions.collect()).with_name(topic.name)
    }));
    response
}

/// TxnOffsetCommit, which takes WRITE of the transactional id, too.
pub async fn commit_in_transaction(
    parts: &Parts,
    caller: &Caller,
    mut request: TxnOffsetCommitRequest,
    version: i16,
) -> TxnOffsetCommitResponse {
    let rights = parts.rights(caller);
    let whole = rights
        .on_transactional_id(Operation::Write, &request.transactional_id)
        .and_then(|()| rights.on_group(Operation::Read, &request.group_id));
    let (allowed, refused) = parted(std::mem::take(&mut request.topics), |topic| {
        whole.and_then(|()| rights.on_topic(Operation::Read, &topic.name))
    });
    let mut response = match allowed.is_empty() && !refused.is_empty() {
        true => TxnOffsetCommitResponse::default(),
        false => {
            request.topics = allowed;
            parts.transactions.txn_offset_commit(caller, request, version).await
        }
    };
    response.topics.extend(refused.into_iter().map(|(topic, error)| {
        let partitions = topic.partitions.iter().map(|partition| {
            TxnOffsetCommitResponsePartition::default()
                .with_partition_index(partition.partition_index)
                .with_error_code(error.code())
        });
        TxnOffsetCommitResponseTopic::default().with_partitions(partitions.collect()).with_name(topic.name)
    }));
    response
}

/// OffsetFetch. Who asks for all offsets of a group is told those of topics that it may see.
pub async fn fetch(
    parts: &Parts,
    caller: &Caller,
    request: OffsetFetchRequest,
    version: i16,
) -> OffsetFetchResponse {
    let rights = parts.rights(caller);
    match version >= MANY_FROM {
        true => fetch_many(parts, &rights, caller, request, version).await,
        false => fetch_one(parts, &rights, caller, request, version).await,
    }
}

fn sees(rights: &Rights, topic: &str) -> Result<(), ResponseError> {
    rights.on_topic(Operation::Describe, topic)
}

async fn fetch_one(
    parts: &Parts,
    rights: &Rights,
    caller: &Caller,
    mut request: OffsetFetchRequest,
    version: i16,
) -> OffsetFetchResponse {
    let group = rights.on_group(Operation::Describe, &request.group_id);
    if let Err(error) = group
        && version >= WHOLE_ERROR_FROM
    {
        return OffsetFetchResponse::default().with_error_code(error.code());
    }
    let Some(topics) = request.topics.take() else {
        let mut response = parts.groups.offset_fetch(caller, request, version).await;
        response.topics.retain(|topic| sees(rights, &topic.name).is_ok());
        return response;
    };
    let (allowed, refused) = parted(topics, |topic| group.and_then(|()| sees(rights, &topic.name)));
    request.topics = Some(allowed);
    let mut response = parts.groups.offset_fetch(caller, request, version).await;
    response.topics.extend(refused.into_iter().map(refused_topic));
    response
}

fn refused_topic((topic, error): (OffsetFetchRequestTopic, ResponseError)) -> OffsetFetchResponseTopic {
    let partitions = topic.partition_indexes.iter().map(|index| {
        OffsetFetchResponsePartition::default()
            .with_partition_index(*index)
            .with_committed_offset(-1)
            .with_metadata(Some(Default::default()))
            .with_error_code(error.code())
    });
    OffsetFetchResponseTopic::default().with_partitions(partitions.collect()).with_name(topic.name)
}

async fn fetch_many(
    parts: &Parts,
    rights: &Rights,
    caller: &Caller,
    mut request: OffsetFetchRequest,
    version: i16,
) -> OffsetFetchResponse {
    // A group that is asked about again might be meant for other topics: it is not passed over in silence.
    let mut seen = BTreeSet::new();
    let (mut allowed, refused) = parted(std::mem::take(&mut request.groups), |group| {
        rights.on_group(Operation::Describe, &group.group_id)?;
        seen.insert(group.group_id.clone()).then_some(()).ok_or(ResponseError::InvalidRequest)
    });
    // The topics that are refused, group by group as they are asked for and answered.
    let hidden: Vec<Vec<OffsetFetchResponseTopics>> =
        allowed.iter_mut().map(|group| hidden_topics(rights, group)).collect();
    request.groups = allowed;
    let mut response = parts.groups.offset_fetch(caller, request, version).await;
    for (group, hidden) in response.groups.iter_mut().zip(hidden) {
        group.topics.retain(|topic| sees(rights, &topic.name).is_ok());
        if group.error_code == 0 {
            group.topics.extend(hidden);
        }
    }
    response.groups.extend(refused.into_iter().map(|(group, error)| {
        OffsetFetchResponseGroup::default().with_group_id(group.group_id).with_error_code(error.code())
    }));
    response
}

/// Takes the topics that may not be seen out of what is asked, and gives what is said of them.
fn hidden_topics(rights: &Rights, group: &mut OffsetFetchRequestGroup) -> Vec<OffsetFetchResponseTopics> {
    let Some(topics) = group.topics.take() else { return Vec::new() };
    let (allowed, refused) = parted(topics, |topic| sees(rights, &topic.name));
    group.topics = Some(allowed);
    let refused = refused.into_iter().map(|(topic, error)| {
        let partitions = topic.partition_indexes.iter().map(|index| {
            OffsetFetchResponsePartitions::default()
                .with_partition_index(*index)
                .with_committed_offset(-1)
                .with_metadata(Some(Default::default()))
                .with_error_code(error.code())
        });
        OffsetFetchResponseTopics::default().with_partitions(partitions.collect()).with_name(topic.name)
    });
    refused.collect()
}

/// OffsetDelete.
pub async fn delete(
    parts: &Parts,
    caller: &Caller,
    mut request: OffsetDeleteRequest,
    version: i16,
) -> OffsetDeleteResponse {
    let rights = parts.rights(caller);
    if let Err(error) = rights.on_group(Operation::Delete, &request.group_id) {
        return OffsetDeleteResponse::default().with_error_code(error.code());
    }
    let (allowed, refused) =
        parted(std::mem::take(&mut request.topics), |topic| rights.on_topic(Operation::Read, &topic.name));
    request.topics = allowed;
    let mut response = parts.groups.offset_delete(caller, request, version).await;
    if response.error_code == 0 {
        response.topics.extend(refused.into_iter().map(|(topic, error)| {
            let partitions = topic.partitions.iter().map(|partition| {
                OffsetDeleteResponsePartition::default()
                    .with_partition_index(partition.partition_index)
                    .with_error_code(error.code())
            });
            OffsetDeleteResponseTopic::default().with_partitions(partitions.collect()).with_name(topic.name)
        }));
    }
    response
}
