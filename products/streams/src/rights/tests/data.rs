//! Records in and out.

use candor_records::Producer;
use kafka_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::offset_for_leader_epoch_request::{
    OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{
    DeleteRecordsRequest, ListOffsetsRequest, MetadataRequest, OffsetForLeaderEpochRequest, ProduceRequest,
};
use uuid::Uuid;

use super::*;
use crate::data::fetch::message::{AskedPartition, FetchRequest, TopicKey};

async fn produce(house: &House, name: &str, producer: Option<Producer>, version: i16) -> i16 {
    let data = PartitionProduceData::default().with_index(0).with_records(Some(batch(producer)));
    let of = match version >= 13 {
        true => TopicProduceData::default().with_topic_id(topic_id(house, name).await),
        false => TopicProduceData::default().with_name(topic(name)),
    };
    let request = ProduceRequest::default()
        .with_acks(-1)
        .with_transactional_id(producer.map(|_| id(MOVER)))
        .with_topic_data(vec![of.with_partition_data(vec![data])]);
    let rights = house.rights(&house.guest);
    let answer = parts(house).produce.take(&house.scope, &rights, request, version).answer.await.unwrap();
    fits(&answer, version..=version);
    answer.responses[0].partition_responses[0].error_code
}

async fn topic_id(house: &House, name: &str) -> Uuid {
    let of = MetadataRequestTopic::default().with_name(Some(topic(name)));
    let request = MetadataRequest::default().with_topics(Some(vec![of]));
    let node = parts(house).node.broker();
    parts(house).admin.metadata(&house.owner, &node, request, 12).await.topics[0].topic_id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn produce_takes_write() {
    let house = house().await;
    for version in [9, 13] {
        assert_eq!(produce(&house, ORDERS, None, version).await, TOPIC, "{version}");
    }
    // Whether there is such a topic is not told.
    assert_eq!(produce(&house, "nothing", None, 9).await, TOPIC);
    allow(&house, Operation::Write, ResourceType::Topic, ORDERS).await;
    for version in [9, 13] {
        assert_eq!(produce(&house, ORDERS, None, version).await, OK, "{version}");
    }
    assert_eq!(produce(&house, SECRETS, None, 9).await, TOPIC);
    let producer = Some(Producer { id: 7, epoch: 0, sequence: 0 });
    assert_eq!(produce(&house, ORDERS, producer, 9).await, TRANSACTIONAL_ID);
    allow(&house, Operation::Write, ResourceType::TransactionalId, MOVER).await;
    assert_ne!(produce(&house, ORDERS, producer, 9).await, TRANSACTIONAL_ID);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fetch_takes_read() {
    let house = house().await;
    let fetch = async |name: &str, version: i16| {
        let key = match version >= 13 {
            true => TopicKey::Id(topic_id(&house, name).await.into_bytes()),
            false => TopicKey::Name(text(name)),
        };
        let place = AskedPartition { topic: 0, index: 0, epoch: -1, from: 0, bytes_max: 1000 };
        let request = FetchRequest::once(vec![key], vec![place], place.bytes_max, 0);
        let answer = parts(&house).fetch.answer(&house.rights(&house.guest), request).await;
        answer.partitions[0].error
    };
    for version in [12, 13] {
        assert_eq!(fetch(ORDERS, version).await, TOPIC);
    }
    assert_eq!(fetch("nothing", 12).await, TOPIC);
    assert_eq!(fetch("candor.logs", 12).await, TOPIC);
    allow(&house, Operation::Read, ResourceType::Topic, ORDERS).await;
    allow(&house, Operation::Read, ResourceType::Topic, "candor.logs").await;
    for version in [12, 13] {
        assert_eq!(fetch(ORDERS, version).await, OK);
        assert_eq!(fetch("candor.logs", version).await, OK);
        assert_eq!(fetch(SECRETS, version).await, TOPIC);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn offsets_take_describe_and_deleting_takes_delete() {
    let house = house().await;
    let rights = house.rights(&house.guest);
    let list = async || {
        let partition = ListOffsetsPartition::default().with_timestamp(-1);
        let of = ListOffsetsTopic::default().with_name(topic(ORDERS)).with_partitions(vec![partition]);
        let request = ListOffsetsRequest::default().with_topics(vec![of]);
        let mut errors = std::collections::BTreeSet::new();
        for version in 1..=10 {
            let answer = parts(&house).offsets.list(&rights, request.clone(), version).await;
            fits(&answer, version..=version);
            errors.insert(answer.topics[0].partitions[0].error_code);
        }
        assert_eq!(errors.len(), 1, "{errors:?}");
        errors.pop_first().unwrap()
    };
    let epoch = || {
        let partition = OffsetForLeaderPartition::default();
        let of = OffsetForLeaderTopic::default().with_topic(topic(ORDERS)).with_partitions(vec![partition]);
        let request = OffsetForLeaderEpochRequest::default().with_topics(vec![of]);
        parts(&house).offsets.for_leader_epoch(&rights, request).topics[0].partitions[0].error_code
    };
    let delete = async || {
        let partition = DeleteRecordsPartition::default().with_offset(-1);
        let of = DeleteRecordsTopic::default().with_name(topic(ORDERS)).with_partitions(vec![partition]);
        let request = DeleteRecordsRequest::default().with_topics(vec![of]);
        parts(&house).offsets.delete(&rights, request).await.topics[0].partitions[0].error_code
    };
    assert_eq!((list().await, epoch(), delete().await), (TOPIC, TOPIC, TOPIC));
    allow(&house, Operation::Describe, ResourceType::Topic, ORDERS).await;
    assert_eq!((list().await, epoch(), delete().await), (OK, OK, TOPIC));
    allow(&house, Operation::Delete, ResourceType::Topic, ORDERS).await;
    assert_eq!(delete().await, OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metadata_makes_topics_for_those_who_may_create() {
    let house = house().await;
    let ask = async |name: &str| {
        let of = MetadataRequestTopic::default().with_name(Some(topic(name)));
        let request =
            MetadataRequest::default().with_topics(Some(vec![of])).with_allow_auto_topic_creation(true);
        let node = parts(&house).node.broker();
        let answer = parts(&house).admin.metadata(&house.guest, &node, request, 12).await;
        answer.topics[0].error_code
    };
    assert_eq!(ask("fresh").await, TOPIC);
    allow(&house, Operation::Describe, ResourceType::Topic, "fresh").await;
    assert_eq!(ask("fresh").await, ResponseError::UnknownTopicOrPartition.code());
    allow(&house, Operation::Create, ResourceType::Topic, "fresh").await;
    assert_eq!(ask("fresh").await, OK);
}
