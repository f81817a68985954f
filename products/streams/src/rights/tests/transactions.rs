//! Transactions.

use kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use kafka_protocol::messages::describe_producers_request::TopicRequest;
use kafka_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use kafka_protocol::messages::write_txn_markers_request::{WritableTxnMarker, WritableTxnMarkerTopic};
use kafka_protocol::messages::*;

use super::*;
use crate::rights::{offsets, transactions};

async fn init(house: &House, named: bool) -> (i16, i64, i16) {
    let request = InitProducerIdRequest::default()
        .with_transactional_id(named.then(|| id(MOVER)))
        .with_transaction_timeout_ms(60_000)
        .with_producer_id((-1).into())
        .with_producer_epoch(-1);
    let answer = transactions::init_producer_id(parts(house), &house.guest, request, 5).await;
    fits(&answer, 0..=5);
    (answer.error_code, answer.producer_id.0, answer.producer_epoch)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_take_leave_to_write_somewhere() {
    let house = house().await;
    assert_eq!(init(&house, false).await, (CLUSTER, -1, -1));
    allow(&house, Operation::Write, ResourceType::Topic, ORDERS).await;
    assert_eq!(init(&house, false).await.0, OK);
    let house = self::house().await;
    allow(&house, Operation::IdempotentWrite, ResourceType::Cluster, "kafka-cluster").await;
    assert_eq!(init(&house, false).await.0, OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_takes_write_of_its_id_and_of_all_it_touches() {
    let house = house().await;
    let (parts, guest) = (parts(&house), &house.guest);
    assert_eq!(init(&house, true).await, (TRANSACTIONAL_ID, -1, -1));
    let add = async |producer: (i64, i16), names: &[&str]| {
        let topics = names
            .iter()
            .map(|name| AddPartitionsToTxnTopic::default().with_name(topic(name)).with_partitions(vec![0]));
        let request = AddPartitionsToTxnRequest::default()
            .with_v3_and_below_transactional_id(id(MOVER))
            .with_v3_and_below_producer_id(producer.0.into())
            .with_v3_and_below_producer_epoch(producer.1)
            .with_v3_and_below_topics(topics.collect());
        let answer = transactions::add_partitions(parts, guest, request, 3).await;
        fits(&answer, 0..=3);
        let topics = answer.results_by_topic_v3_and_below.iter();
        topics.map(|topic| topic.results_by_partition[0].partition_error_code).collect::<Vec<_>>()
    };
    let add_group = async |producer: (i64, i16)| {
        let request = AddOffsetsToTxnRequest::default()
            .with_transactional_id(id(MOVER))
            .with_producer_id(producer.0.into())
            .with_producer_epoch(producer.1)
            .with_group_id(group(READERS));
        transactions::add_offsets(parts, guest, request, 3).await.error_code
    };
    let commit = async |producer: (i64, i16)| {
        let partition = TxnOffsetCommitRequestPartition::default().with_committed_offset(3);
        let of =
            TxnOffsetCommitRequestTopic::default().with_name(topic(ORDERS)).with_partitions(vec![partition]);
        let request = TxnOffsetCommitRequest::default()
            .with_transactional_id(id(MOVER))
            .with_group_id(group(READERS))
            .with_producer_id(producer.0.into())
            .with_producer_epoch(producer.1)
            .with_generation_id(-1)
            .with_topics(vec![of]);
        let answer = offsets::commit_in_transaction(parts, guest, request, 3).await;
        fits(&answer, 3..=5);
        answer.topics[0].partitions[0].error_code
    };
    let end = async |producer: (i64, i16)| {
        let request = EndTxnRequest::default()
            .with_transactional_id(id(MOVER))
            .with_producer_id(producer.0.into())
            .with_producer_epoch(producer.1)
            .with_committed(true);
        transactions::end(parts, guest, request, 3).await.error_code
    };
    let nobody = (1, 0);
    assert_eq!(add(nobody, &[ORDERS]).await, [TRANSACTIONAL_ID]);
    assert_eq!(add_group(nobody).await, TRANSACTIONAL_ID);
    assert_eq!(commit(nobody).await, TRANSACTIONAL_ID);
    assert_eq!(end(nobody).await, TRANSACTIONAL_ID);

    allow(&house, Operation::Write, ResourceType::TransactionalId, MOVER).await;
    let (error, producer, epoch) = init(&house, true).await;
    assert_eq!(error, OK);
    let who = (producer, epoch);
    assert_eq!(add(who, &[ORDERS]).await, [TOPIC]);
    allow(&house, Operation::Write, ResourceType::Topic, ORDERS).await;
    let all_or_none = ResponseError::OperationNotAttempted.code();
    assert_eq!(add(who, &[ORDERS, SECRETS]).await, [all_or_none, TOPIC]);
    assert_eq!(add(who, &[ORDERS]).await, [OK]);
    assert_eq!((add_group(who).await, commit(who).await), (GROUP, GROUP));
    allow(&house, Operation::Read, ResourceType::Group, READERS).await;
    assert_eq!((add_group(who).await, commit(who).await), (OK, TOPIC));
    allow(&house, Operation::Read, ResourceType::Topic, ORDERS).await;
    assert_eq!((commit(who).await, end(who).await), (OK, OK));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn looking_takes_describe_and_markers_the_cluster() {
    let house = house().await;
    allow(&house, Operation::Write, ResourceType::TransactionalId, MOVER).await;
    assert_eq!(init(&house, true).await.0, OK);
    let (parts, guest) = (parts(&house), &house.guest);
    let request = InitProducerIdRequest::default()
        .with_transactional_id(Some(id("other")))
        .with_transaction_timeout_ms(60_000)
        .with_producer_id((-1).into())
        .with_producer_epoch(-1);
    assert_eq!(transactions::init_producer_id(parts, &house.owner, request, 5).await.error_code, OK);

    let request = DescribeTransactionsRequest::default().with_transactional_ids(vec![id(MOVER), id("other")]);
    let answer = transactions::describe(parts, guest, request, 0).await;
    fits(&answer, 0..=0);
    let errors: Vec<i16> = answer.transaction_states.iter().map(|state| state.error_code).collect();
    assert_eq!(errors, [OK, TRANSACTIONAL_ID]);
    let listed = transactions::list(parts, guest, ListTransactionsRequest::default(), 0).await;
    let names: Vec<&str> = listed.transaction_states.iter().map(|state| &*state.transactional_id.0).collect();
    assert_eq!(names, [MOVER]);

    let producers = async || {
        let of = TopicRequest::default().with_name(topic(ORDERS)).with_partition_indexes(vec![0]);
        let request = DescribeProducersRequest::default().with_topics(vec![of]);
        let answer = transactions::describe_producers(parts, guest, request, 0).await;
        fits(&answer, 0..=0);
        answer.topics[0].partitions[0].error_code
    };
    assert_eq!(producers().await, TOPIC);
    allow(&house, Operation::Read, ResourceType::Topic, ORDERS).await;
    assert_eq!(producers().await, OK);

    let mark = async || {
        let of = WritableTxnMarkerTopic::default().with_name(topic(ORDERS)).with_partition_indexes(vec![0]);
        let marker = WritableTxnMarker::default().with_producer_id(9.into()).with_topics(vec![of]);
        let request = WriteTxnMarkersRequest::default().with_markers(vec![marker]);
        let answer = transactions::write_markers(parts, guest, request, 1).await;
        fits(&answer, 1..=1);
        answer.markers[0].topics[0].partitions[0].error_code
    };
    assert_eq!(mark().await, CLUSTER);
    allow(&house, Operation::Alter, ResourceType::Cluster, "kafka-cluster").await;
    assert_ne!(mark().await, CLUSTER);

    let request = AddPartitionsToTxnRequest::default();
    let answer = transactions::add_partitions(parts, guest, request.clone(), 4).await;
    fits(&answer, 4..=5);
    assert_eq!(answer.error_code, CLUSTER);
    allow(&house, Operation::ClusterAction, ResourceType::Cluster, "kafka-cluster").await;
    assert_eq!(transactions::add_partitions(parts, guest, request, 4).await.error_code, OK);
}
