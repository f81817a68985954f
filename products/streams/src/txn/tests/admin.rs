//! What operators see and do.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::add_partitions_to_txn_request::{
    AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction,
};
use kafka_protocol::messages::describe_producers_request::TopicRequest;
use kafka_protocol::messages::write_txn_markers_request::{WritableTxnMarker, WritableTxnMarkerTopic};
use kafka_protocol::messages::*;

use super::bed::{Bed, ID, NOW, OK, ORDERS, TIMEOUT_MS, fits, text, topic_name};

async fn list(bed: &Bed, request: ListTransactionsRequest, version: i16) -> Result<Vec<String>, i16> {
    let response = bed.transactions.list_transactions(&bed.caller(), request, version).await;
    fits(&response, version..=version);
    if response.error_code != OK {
        return Err(response.error_code);
    }
    let listed = response.transaction_states.iter();
    let mut listed: Vec<String> = listed
        .map(|one| format!("{} {}", one.transactional_id.as_str(), one.transaction_state.as_str()))
        .collect();
    listed.extend(response.unknown_state_filters.iter().map(|name| format!("unknown {}", name.as_str())));
    Ok(listed)
}

#[tokio::test]
async fn transactions_are_listed_and_described() {
    let bed = Bed::new().await;
    let who = bed.init().await;
    assert_eq!(bed.init_as("idle", (-1, -1), TIMEOUT_MS).await.0, OK);
    assert_eq!(bed.add(who, &[1, 0]).await, [OK, OK]);
    bed.advance_ms(5_000);
    let all = ListTransactionsRequest::default;
    assert_eq!(list(&bed, all(), 0).await.unwrap(), ["idle Empty", "mover Ongoing"]);
    let states = all().with_state_filters(vec![text("Ongoing"), text("Lost")]);
    assert_eq!(list(&bed, states, 0).await.unwrap(), ["mover Ongoing", "unknown Lost"]);
    assert_eq!(list(&bed, all().with_state_filters(vec![text("Lost")]), 0).await.unwrap(), ["unknown Lost"]);
    let of = all().with_producer_id_filters(vec![who.0.into()]);
    assert_eq!(list(&bed, of, 0).await.unwrap(), ["mover Ongoing"]);
    assert_eq!(list(&bed, all().with_duration_filter(4_999), 1).await.unwrap(), ["mover Ongoing"]);
    assert_eq!(list(&bed, all().with_duration_filter(5_000), 1).await.unwrap().len(), 0);
    let pattern = |pattern: &str| all().with_transactional_id_pattern(Some(text(pattern)));
    assert_eq!(list(&bed, pattern("i.*"), 2).await.unwrap(), ["idle Empty"]);
    // It is the whole id that matches.
    assert_eq!(list(&bed, pattern("i|move"), 2).await.unwrap().len(), 0);
    let bad = ResponseError::InvalidRegularExpression.code();
    for wrong in ["(", "a{1000}{1000}{1000}"] {
        assert_eq!(list(&bed, pattern(wrong), 2).await, Err(bad));
    }

    let ids = ["mover", "idle", "none", ""].map(|id| TransactionalId(text(id)));
    let request = DescribeTransactionsRequest::default().with_transactional_ids(ids.to_vec());
    let response = bed.transactions.describe_transactions(&bed.caller(), request, 0).await;
    fits(&response, 0..=0);
    let [open, idle, none, empty] = &*response.transaction_states else { panic!("four") };
    assert_eq!(
        (open.producer_id.0, open.producer_epoch, open.transaction_timeout_ms),
        (who.0, 0, TIMEOUT_MS)
    );
    assert_eq!((open.transaction_state.as_str(), open.transaction_start_time_ms), ("Ongoing", NOW.0 / 1000));
    assert_eq!((open.topics[0].topic.as_str(), &*open.topics[0].partitions), (ORDERS, &[0, 1][..]));
    assert_eq!((idle.transaction_state.as_str(), idle.transaction_start_time_ms), ("Empty", -1));
    assert_eq!(none.error_code, ResponseError::TransactionalIdNotFound.code());
    assert_eq!(empty.error_code, ResponseError::InvalidRequest.code());
}

async fn producers(bed: &Bed, partition: i32) -> Result<Vec<(i64, i32, i32, i64)>, i16> {
    let topic = TopicRequest::default().with_name(topic_name(ORDERS)).with_partition_indexes(vec![partition]);
    let request = DescribeProducersRequest::default().with_topics(vec![topic]);
    let response = bed.transactions.describe_producers(&bed.caller(), request, 0).await;
    fits(&response, 0..=0);
    let found = &response.topics[0].partitions[0];
    if found.error_code != OK {
        return Err(found.error_code);
    }
    let producers = found.active_producers.iter();
    Ok(producers
        .map(|one| (one.producer_id.0, one.producer_epoch, one.last_sequence, one.current_txn_start_offset))
        .collect())
}

async fn mark(bed: &Bed, (producer, epoch): (i64, i16), partitions: &[i32]) -> Vec<i16> {
    let topic = |name: &str, partitions: &[i32]| {
        WritableTxnMarkerTopic::default()
            .with_name(topic_name(name))
            .with_partition_indexes(partitions.to_vec())
    };
    let marker = WritableTxnMarker::default()
        .with_producer_id(producer.into())
        .with_producer_epoch(epoch)
        .with_topics(vec![topic(ORDERS, partitions), topic("candor.logs", &[0])]);
    let request = WriteTxnMarkersRequest::default().with_markers(vec![marker]);
    let response = bed.transactions.write_markers(&bed.caller(), request, 1).await;
    fits(&response, 1..=1);
    let topics = response.markers[0].topics.iter();
    topics.flat_map(|topic| &topic.partitions).map(|partition| partition.error_code).collect()
}

#[tokio::test]
async fn a_transaction_that_hangs_in_a_partition_is_aborted_there() {
    let bed = Bed::new().await;
    let who = bed.init().await;
    assert_eq!(bed.send_as(None, false, (-1, -1), -1, 0, "other", 9).await, OK);
    assert_eq!(producers(&bed, 0).await.unwrap(), []);
    assert_eq!(bed.add(who, &[0]).await, [OK]);
    assert_eq!(bed.send(who, 0, 0, "a", 9).await, OK);
    assert_eq!(bed.send(who, 1, 0, "b", 9).await, OK);
    assert_eq!(producers(&bed, 0).await.unwrap(), [(who.0, 0, 1, 1)]);
    assert_eq!(producers(&bed, 2).await, Err(ResponseError::UnknownTopicOrPartition.code()));
    let signal = ResponseError::TopicAuthorizationFailed.code();
    let unknown = ResponseError::UnknownTopicOrPartition.code();
    assert_eq!(mark(&bed, who, &[2, 0, -1]).await, [unknown, OK, unknown, signal]);
    assert_eq!(producers(&bed, 0).await.unwrap(), [(who.0, 0, 1, -1)]);
    assert_eq!((bed.ends(0), bed.committed(0).await), ((4, 4), vec!["other".to_owned()]));
    // Nobody's.
    let bad = ResponseError::InvalidRequest.code();
    assert_eq!(mark(&bed, (-1, 0), &[0]).await, [bad, signal]);
    assert_eq!(mark(&bed, (who.0, -1), &[0]).await, [bad, signal]);
    // What the coordinator writes later does no harm; one of an epoch that is over is refused.
    assert_eq!(bed.end(who, false, 3).await.0, OK);
    let next = bed.init().await;
    assert_eq!(bed.add(next, &[0]).await, [OK]);
    assert_eq!(bed.send(next, 0, 0, "c", 9).await, OK);
    assert_eq!(mark(&bed, who, &[0]).await, [ResponseError::InvalidProducerEpoch.code(), signal]);
    assert_eq!(bed.end(next, true, 3).await.0, OK);
    assert_eq!(bed.committed(0).await, ["other", "c"]);
}

#[tokio::test]
async fn many_transactions_are_added_to_or_asked_about_at_once() {
    let bed = Bed::new().await;
    let who = bed.init().await;
    let asked = |id: &str, verify_only: bool, partitions: &[i32]| {
        AddPartitionsToTxnTransaction::default()
            .with_transactional_id(TransactionalId(text(id)))
            .with_producer_id(who.0.into())
            .with_producer_epoch(who.1)
            .with_verify_only(verify_only)
            .with_topics(vec![
                AddPartitionsToTxnTopic::default()
                    .with_name(topic_name(ORDERS))
                    .with_partitions(partitions.to_vec()),
            ])
    };
    let ask = async |transactions: Vec<AddPartitionsToTxnTransaction>, version| {
        let request = AddPartitionsToTxnRequest::default().with_transactions(transactions);
        let response = bed.transactions.add_partitions(&bed.caller(), request, version).await;
        fits(&response, version..=version);
        let results = response.results_by_transaction.iter().flat_map(|result| &result.topic_results);
        let partitions = results.flat_map(|topic| &topic.results_by_partition);
        partitions.map(|partition| partition.partition_error_code).collect::<Vec<i16>>()
    };
    let abortable = ResponseError::TransactionAbortable.code();
    let mapping = ResponseError::InvalidProducerIdMapping.code();
    let state = ResponseError::InvalidTxnState.code();
    assert_eq!(ask(vec![asked(ID, true, &[0])], 4).await, [state]);
    assert_eq!(ask(vec![asked(ID, false, &[0]), asked("none", false, &[0])], 4).await, [OK, mapping]);
    let unknown = ResponseError::UnknownTopicOrPartition.code();
    assert_eq!(ask(vec![asked(ID, true, &[0, 1, 2])], 5).await, [OK, abortable, unknown]);
    assert_eq!(ask(vec![asked("none", true, &[0])], 5).await, [mapping]);
}
