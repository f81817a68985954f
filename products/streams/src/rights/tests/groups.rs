//! Groups and their offsets.

use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_delete_request::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use kafka_protocol::messages::*;

use super::*;
use crate::rights::{groups, offsets};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn membership_takes_read() {
    let house = house().await;
    let (parts, guest) = (parts(&house), &house.guest);
    let join = || {
        let protocol = JoinGroupRequestProtocol::default().with_name(text("range"));
        JoinGroupRequest::default()
            .with_group_id(group(READERS))
            .with_session_timeout_ms(10_000)
            .with_rebalance_timeout_ms(10_000)
            .with_protocol_type(text("consumer"))
            .with_protocols(vec![protocol])
    };
    let sync = SyncGroupRequest::default().with_group_id(group(READERS));
    let beat = HeartbeatRequest::default().with_group_id(group(READERS));
    let leave = LeaveGroupRequest::default().with_group_id(group(READERS));

    let joined = groups::join(parts, guest, join(), 5).await;
    fits(&joined, 0..=9);
    let synced = groups::sync(parts, guest, sync.clone(), 5).await;
    fits(&synced, 0..=5);
    let beaten = groups::heartbeat(parts, guest, beat.clone(), 4).await;
    let left = groups::leave(parts, guest, leave.clone(), 2).await;
    assert_eq!([joined.error_code, synced.error_code, beaten.error_code, left.error_code], [GROUP; 4]);

    allow(&house, Operation::Read, ResourceType::Group, READERS).await;
    let joined = groups::join(parts, guest, join(), 5).await;
    assert_eq!(joined.error_code, ResponseError::MemberIdRequired.code());
    let synced = groups::sync(parts, guest, sync, 5).await.error_code;
    let beaten = groups::heartbeat(parts, guest, beat, 4).await.error_code;
    let left = groups::leave(parts, guest, leave, 2).await.error_code;
    assert_eq!([synced, beaten, left], [ResponseError::UnknownMemberId.code(); 3]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_of_the_consumer_protocol_sees_what_it_subscribes_to() {
    let house = house().await;
    let beat = async || {
        let request = ConsumerGroupHeartbeatRequest::default()
            .with_group_id(group(READERS))
            .with_member_id(text("one"))
            .with_rebalance_timeout_ms(10_000)
            .with_subscribed_topic_names(Some(vec![topic(ORDERS)]))
            .with_topic_partitions(Some(Vec::new()));
        let answer = groups::consumer_heartbeat(parts(&house), &house.guest, request, 1).await;
        fits(&answer, 0..=1);
        answer.error_code
    };
    assert_eq!(beat().await, GROUP);
    allow(&house, Operation::Read, ResourceType::Group, READERS).await;
    assert_eq!(beat().await, TOPIC);
    let describe = async || {
        let request = ConsumerGroupDescribeRequest::default()
            .with_group_ids(vec![group(READERS)])
            .with_include_authorized_operations(true);
        let answer = groups::consumer_describe(parts(&house), &house.guest, request, 1).await;
        fits(&answer, 0..=1);
        let group = &answer.groups[0];
        (group.error_code, group.members.len(), group.authorized_operations)
    };
    // READ of it is leave to describe it.
    assert_eq!(describe().await.0, ResponseError::GroupIdNotFound.code());
    let owner = &house.owner;
    let request = ConsumerGroupHeartbeatRequest::default()
        .with_group_id(group(READERS))
        .with_member_id(text("two"))
        .with_rebalance_timeout_ms(10_000)
        .with_subscribed_topic_names(Some(vec![topic(ORDERS)]))
        .with_topic_partitions(Some(Vec::new()));
    assert_eq!(groups::consumer_heartbeat(parts(&house), owner, request, 1).await.error_code, OK);
    assert_eq!(describe().await, (TOPIC, 0, i32::MIN));
    allow(&house, Operation::Read, ResourceType::Topic, ORDERS).await;
    assert_eq!(beat().await, OK);
    assert_eq!(describe().await, (OK, 2, 1 << 3 | 1 << 8));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expression_tells_of_no_topic_that_its_member_may_not_see() {
    let house = house().await;
    let guest = &house.guest;
    allow(&house, Operation::Read, ResourceType::Group, READERS).await;
    allow(&house, Operation::Read, ResourceType::Topic, ORDERS).await;
    let beat = async |caller: &crate::caller::Caller, member: &str| {
        let request = ConsumerGroupHeartbeatRequest::default()
            .with_group_id(group(READERS))
            .with_member_id(text(member))
            .with_rebalance_timeout_ms(10_000)
            .with_subscribed_topic_regex(Some(text(".*")))
            .with_topic_partitions(Some(Vec::new()));
        let answer = groups::consumer_heartbeat(parts(&house), caller, request, 1).await;
        assert_eq!(answer.error_code, OK, "{:?}", answer.error_message);
        answer.assignment.map_or(0, |assigned| assigned.topic_partitions.len())
    };
    assert_eq!(beat(guest, "one").await, 1, "neither the other topic nor the signals'");
    let request = ConsumerGroupDescribeRequest::default().with_group_ids(vec![group(READERS)]);
    let told = groups::consumer_describe(parts(&house), guest, request, 1).await;
    assert_eq!((told.groups[0].error_code, told.groups[0].members.len()), (OK, 1));
    assert_eq!(beat(&house.owner, "two").await, 4, "all that the first one has not");
    assert_eq!(beat(guest, "one").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn groups_are_seen_with_describe_and_deleted_with_delete() {
    let house = house().await;
    let (parts, guest) = (parts(&house), &house.guest);
    let commit = commit_request(&[ORDERS]);
    assert_eq!(committed(offsets::commit(parts, &house.owner, commit, 8).await), [(ORDERS.to_owned(), OK)]);

    let find = async |version: i16, kind: i8| {
        let request = FindCoordinatorRequest::default().with_key_type(kind);
        let request = match version >= 4 {
            true => request.with_coordinator_keys(vec![text(READERS)]),
            false => request.with_key(text(READERS)),
        };
        let answer = groups::find_coordinator(parts, guest, request, version).await;
        fits(&answer, version..=version);
        answer.coordinators.first().map_or(answer.error_code, |found| found.error_code)
    };
    let list = async || groups::list(parts, guest, ListGroupsRequest::default(), 5).await.groups.len();
    let describe = async |version: i16| {
        let request = DescribeGroupsRequest::default()
            .with_groups(vec![group(READERS)])
            .with_include_authorized_operations(version >= 3);
        let answer = groups::describe(parts, guest, request, version).await;
        fits(&answer, version..=version);
        (answer.groups[0].error_code, answer.groups[0].authorized_operations)
    };
    let delete = async || {
        let request = DeleteGroupsRequest::default().with_groups_names(vec![group(READERS)]);
        groups::delete(parts, guest, request, 2).await.results[0].error_code
    };
    for version in [1, 4] {
        assert_eq!(find(version, 0).await, GROUP);
        assert_eq!(find(version, 1).await, TRANSACTIONAL_ID);
    }
    assert_eq!(find(6, 2).await, CLUSTER);
    assert_eq!(list().await, 0);
    assert_eq!(describe(5).await, (GROUP, i32::MIN));
    assert_eq!(describe(0).await, (GROUP, i32::MIN));
    assert_eq!(delete().await, GROUP);
    allow(&house, Operation::Describe, ResourceType::Group, READERS).await;
    for version in [1, 4] {
        assert_eq!(find(version, 0).await, OK);
    }
    assert_eq!(list().await, 1);
    assert_eq!(describe(5).await, (OK, 1 << 8));
    assert_eq!(delete().await, GROUP);
    allow(&house, Operation::Delete, ResourceType::Group, READERS).await;
    assert_eq!(delete().await, OK);
}

fn commit_request(topics: &[&str]) -> OffsetCommitRequest {
    let topics = topics.iter().map(|name| {
        let partition =
            OffsetCommitRequestPartition::default().with_partition_index(0).with_committed_offset(5);
        OffsetCommitRequestTopic::default().with_name(topic(name)).with_partitions(vec![partition])
    });
    OffsetCommitRequest::default()
        .with_group_id(group(READERS))
        .with_generation_id_or_member_epoch(-1)
        .with_topics(topics.collect())
}

fn committed(response: OffsetCommitResponse) -> Vec<(String, i16)> {
    fits(&response, 2..=9);
    let topics = response.topics.into_iter();
    topics.map(|topic| (topic.name.to_string(), topic.partitions[0].error_code)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn offsets_are_kept_topic_by_topic() {
    let house = house().await;
    let (parts, guest) = (parts(&house), &house.guest);
    let both = |first: i16, second: i16| [(ORDERS.to_owned(), first), (SECRETS.to_owned(), second)];
    let commit =
        async || committed(offsets::commit(parts, guest, commit_request(&[ORDERS, SECRETS]), 8).await);
    // The error of the whole, and of each topic what it is told.
    let fetch = async |version: i16, all: bool| {
        let names = [ORDERS, SECRETS];
        let request = if version >= 8 {
            let topics = names.map(|name| {
                OffsetFetchRequestTopics::default().with_name(topic(name)).with_partition_indexes(vec![0])
            });
            let of = OffsetFetchRequestGroup::default()
                .with_group_id(group(READERS))
                .with_topics((!all).then(|| topics.to_vec()));
            OffsetFetchRequest::default().with_groups(vec![of])
        } else {
            let topics = names.map(|name| {
                OffsetFetchRequestTopic::default().with_name(topic(name)).with_partition_indexes(vec![0])
            });
            OffsetFetchRequest::default()
                .with_group_id(group(READERS))
                .with_topics((!all).then(|| topics.to_vec()))
        };
        let answer = offsets::fetch(parts, guest, request, version).await;
        fits(&answer, version..=version);
        let seen: Vec<(String, i16, i64)> = match answer.groups.first() {
            Some(group) => group
                .topics
                .iter()
                .map(|topic| {
                    let found = &topic.partitions[0];
                    (topic.name.to_string(), found.error_code, found.committed_offset)
                })
                .collect(),
            None => answer
                .topics
                .iter()
                .map(|topic| {
                    let found = &topic.partitions[0];
                    (topic.name.to_string(), found.error_code, found.committed_offset)
                })
                .collect(),
        };
        (answer.groups.first().map_or(answer.error_code, |group| group.error_code), seen)
    };
    assert_eq!(commit().await, both(GROUP, GROUP));
    for version in [5, 8] {
        assert_eq!(fetch(version, false).await, (GROUP, Vec::new()));
    }
    // There the version has no place for an error of the whole.
    assert_eq!(fetch(1, false).await.1.iter().map(|(_, error, _)| *error).collect::<Vec<_>>(), [GROUP; 2]);
    allow(&house, Operation::Read, ResourceType::Group, READERS).await;
    assert_eq!(commit().await, both(TOPIC, TOPIC));
    allow(&house, Operation::Read, ResourceType::Topic, ORDERS).await;
    assert_eq!(commit().await, both(OK, TOPIC));
    let done = offsets::commit(parts, &house.owner, commit_request(&[SECRETS]), 8).await;
    assert_eq!(committed(done), [(SECRETS.to_owned(), OK)]);
    let (open, hidden) = ((ORDERS.to_owned(), OK, 5), (SECRETS.to_owned(), TOPIC, -1));
    for version in [1, 5, 8, 9] {
        assert_eq!(fetch(version, false).await, (OK, vec![open.clone(), hidden.clone()]), "{version}");
    }
    for version in [5, 8] {
        assert_eq!(fetch(version, true).await, (OK, vec![open.clone()]), "{version}");
    }

    let delete = async || {
        let topics = [ORDERS, SECRETS].map(|name| {
            OffsetDeleteRequestTopic::default()
                .with_name(topic(name))
                .with_partitions(vec![OffsetDeleteRequestPartition::default()])
        });
        let request =
            OffsetDeleteRequest::default().with_group_id(group(READERS)).with_topics(topics.to_vec());
        let answer = offsets::delete(parts, guest, request, 0).await;
        let topics = answer.topics.into_iter();
        let topics: Vec<_> =
            topics.map(|topic| (topic.name.to_string(), topic.partitions[0].error_code)).collect();
        (answer.error_code, topics)
    };
    assert_eq!(delete().await, (GROUP, Vec::new()));
    allow(&house, Operation::Delete, ResourceType::Group, READERS).await;
    assert_eq!(delete().await, (OK, both(OK, TOPIC).to_vec()));
}
