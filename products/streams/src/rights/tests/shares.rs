use kafka_protocol::messages::share_fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::{
    AlterShareGroupOffsetsRequest, DeleteShareGroupOffsetsRequest, ShareAcknowledgeRequest,
    ShareFetchRequest, ShareGroupDescribeRequest, ShareGroupHeartbeatRequest,
};
use kafka_protocol::messages::{
    DescribeShareGroupOffsetsRequest,
    describe_share_group_offsets_request::DescribeShareGroupOffsetsRequestGroup,
};

use super::*;

fn heartbeat() -> ShareGroupHeartbeatRequest {
    ShareGroupHeartbeatRequest::default()
        .with_group_id(GroupId(text(READERS)))
        .with_member_id(text("m"))
        .with_subscribed_topic_names(Some(vec![topic(ORDERS)]))
}

fn fetch(house: &House) -> ShareFetchRequest {
    let id = parts(house).topics.get(house.project(), SECRETS).unwrap().view.id;
    let partition = FetchPartition::default().with_partition_max_bytes(1_000);
    let topic =
        FetchTopic::default().with_topic_id(uuid::Uuid::from_bytes(id)).with_partitions(vec![partition]);
    ShareFetchRequest::default()
        .with_group_id(Some(GroupId(text(READERS))))
        .with_member_id(Some(text("m")))
        .with_max_bytes(1_000)
        .with_max_records(10)
        .with_topics(vec![topic])
}

#[tokio::test]
async fn members_need_rules() {
    let house = house().await;
    let (shares, guest) = (&parts(&house).shares, &house.guest);
    assert_eq!(shares.heartbeat(guest, heartbeat()).await.error_code, GROUP);
    allow(&house, Operation::Read, ResourceType::Group, READERS).await;
    assert_eq!(shares.heartbeat(guest, heartbeat()).await.error_code, TOPIC);
    allow(&house, Operation::Describe, ResourceType::Topic, ORDERS).await;
    assert_eq!(shares.heartbeat(guest, heartbeat()).await.error_code, OK);
    // A topic that it was not given in the group either.
    let (fetched, _) = shares.fetch(guest, fetch(&house), Default::default()).await;
    assert_eq!(fetched.error_code, OK);
    assert_eq!(fetched.responses[0].partitions[0].error_code, TOPIC);
}

#[tokio::test]
async fn records_and_offsets_of_a_group_need_a_rule() {
    let house = house().await;
    let (shares, guest) = (&parts(&house).shares, &house.guest);
    let group = || GroupId(text(READERS));
    assert_eq!(shares.heartbeat(&house.owner, heartbeat()).await.error_code, OK);
    assert_eq!(shares.fetch(guest, fetch(&house), Default::default()).await.0.error_code, GROUP);
    let request =
        ShareAcknowledgeRequest::default().with_group_id(Some(group())).with_member_id(Some(text("m")));
    assert_eq!(shares.acknowledge(guest, request, false).await.0.error_code, GROUP);
    let described =
        shares.describe(guest, ShareGroupDescribeRequest::default().with_group_ids(vec![group()])).await;
    assert_eq!(described.groups[0].error_code, GROUP);
    assert!(described.groups[0].members.is_empty());
    let of = DescribeShareGroupOffsetsRequestGroup::default().with_group_id(group()).with_topics(None);
    let offsets = DescribeShareGroupOffsetsRequest::default().with_groups(vec![of]);
    assert_eq!(shares.describe_offsets(guest, offsets).await.0.groups[0].error_code, GROUP);
    let alter = AlterShareGroupOffsetsRequest::default().with_group_id(group());
    assert_eq!(shares.alter_offsets(guest, alter).await.error_code, GROUP);
    let delete = DeleteShareGroupOffsetsRequest::default().with_group_id(group());
    assert_eq!(shares.delete_offsets(guest, delete).await.error_code, GROUP);
}
