//! What is named many times is answered once: a short question is not to have an answer without end.

use kafka_protocol::messages::describe_producers_request::TopicRequest;
use kafka_protocol::messages::describe_share_group_offsets_request::{
    DescribeShareGroupOffsetsRequestGroup, DescribeShareGroupOffsetsRequestTopic,
};
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use kafka_protocol::messages::*;

use super::*;
use crate::rights::{groups, offsets, transactions};

const TIMES: usize = 1000;

async fn committed(house: &House, metadata: usize) {
    let partition = OffsetCommitRequestPartition::default()
        .with_committed_offset(7)
        .with_committed_metadata(Some(text(&"x".repeat(metadata))));
    let topic = OffsetCommitRequestTopic::default().with_name(topic(ORDERS)).with_partitions(vec![partition]);
    let request = OffsetCommitRequest::default().with_group_id(group(READERS)).with_topics(vec![topic]);
    let request = request.with_generation_id_or_member_epoch(-1);
    let answer = offsets::commit(parts(house), &house.owner, request, 9).await;
    assert_eq!(answer.topics[0].partitions[0].error_code, OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn groups_and_transactions_are_described_once() {
    let house = house().await;
    committed(&house, 0).await;
    for caller in [&house.owner, &house.guest] {
        let parts = parts(&house);
        let request = DescribeGroupsRequest::default().with_groups(vec![group(READERS); TIMES]);
        assert_eq!(groups::describe(parts, caller, request, 6).await.groups.len(), 1);
        let request = ConsumerGroupDescribeRequest::default().with_group_ids(vec![group(READERS); TIMES]);
        assert_eq!(groups::consumer_describe(parts, caller, request, 1).await.groups.len(), 1);
        let request = ShareGroupDescribeRequest::default().with_group_ids(vec![group(READERS); TIMES]);
        assert_eq!(parts.shares.describe(caller, request).await.groups.len(), 1);
        let request = DescribeTransactionsRequest::default().with_transactional_ids(vec![id(MOVER); TIMES]);
        let answer = transactions::describe(parts, caller, request, 0).await;
        assert_eq!(answer.transaction_states.len(), 1);
        let of = TopicRequest::default().with_name(topic(ORDERS)).with_partition_indexes(vec![0; TIMES]);
        let request = DescribeProducersRequest::default().with_topics(vec![of; TIMES]);
        let answer = transactions::describe_producers(parts, caller, request, 0).await;
        assert_eq!((answer.topics.len(), answer.topics[0].partitions.len()), (1, 1));
    }
    let twice = [READERS, READERS, "nobody"].map(group).to_vec();
    let request = DeleteGroupsRequest::default().with_groups_names(twice);
    let answer = groups::delete(parts(&house), &house.owner, request, 2).await;
    let codes: Vec<i16> = answer.results.iter().map(|result| result.error_code).collect();
    assert_eq!(codes, [OK, ResponseError::GroupIdNotFound.code()]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn offsets_are_told_once() {
    let house = house().await;
    committed(&house, 4000).await;
    let (parts, owner) = (parts(&house), &house.owner);
    let of = OffsetFetchRequestTopic::default().with_name(topic(ORDERS)).with_partition_indexes(vec![0; 100]);
    let request =
        OffsetFetchRequest::default().with_group_id(group(READERS)).with_topics(Some(vec![of; 100]));
    let answer = offsets::fetch(parts, owner, request, 7).await;
    assert_eq!((answer.topics.len(), answer.topics[0].partitions.len()), (1, 1));
    assert_eq!(answer.topics[0].partitions[0].committed_offset, 7);

    let of = |indexes: &[i32]| {
        OffsetFetchRequestTopics::default().with_name(topic(ORDERS)).with_partition_indexes(indexes.to_vec())
    };
    let asked = OffsetFetchRequestGroup::default().with_group_id(group(READERS));
    let some = asked.clone().with_topics(Some(vec![of(&[0, 0]), of(&[0]), of(&[5, 0, 5])]));
    let all = asked.with_topics(None);
    let request = OffsetFetchRequest::default().with_groups(vec![some, all.clone(), all]);
    let answer = offsets::fetch(parts, owner, request, 9).await;
    fits(&answer, 8..=9);
    let told = &answer.groups[0];
    let places: Vec<Vec<i32>> = told
        .topics
        .iter()
        .map(|topic| topic.partitions.iter().map(|partition| partition.partition_index).collect())
        .collect();
    assert_eq!(places, [vec![0], vec![5]], "what is new of a topic that is named again is told");
    let rest: Vec<(i16, usize)> =
        answer.groups[1..].iter().map(|group| (group.error_code, group.topics.len())).collect();
    assert_eq!(rest, [(ResponseError::InvalidRequest.code(), 0); 2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn offsets_of_share_groups_are_told_once() {
    let house = house().await;
    let (shares, owner) = (&parts(&house).shares, &house.owner);
    let beat = ShareGroupHeartbeatRequest::default()
        .with_group_id(group(READERS))
        .with_member_id(text("m"))
        .with_subscribed_topic_names(Some(vec![topic(ORDERS)]));
    assert_eq!(shares.heartbeat(owner, beat).await.error_code, OK);
    let of = DescribeShareGroupOffsetsRequestTopic::default()
        .with_topic_name(topic(ORDERS))
        .with_partitions(vec![0; TIMES]);
    let of = DescribeShareGroupOffsetsRequestGroup::default()
        .with_group_id(group(READERS))
        .with_topics(Some(vec![of; TIMES]));
    let request = DescribeShareGroupOffsetsRequest::default().with_groups(vec![of; TIMES]);
    let answer = shares.describe_offsets(owner, request).await.0;
    let told = &answer.groups[0].topics;
    assert_eq!((answer.groups.len(), told.len(), told[0].partitions.len()), (1, 1, 1));
}
