//! Requests about transactions: they take WRITE of the transactional id, to look DESCRIBE.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use kafka_protocol::messages::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnTopicResult,
};
use kafka_protocol::messages::describe_producers_response::{PartitionResponse, TopicResponse};
use kafka_protocol::messages::describe_transactions_response::TransactionState;
use kafka_protocol::messages::write_txn_markers_response::{
    WritableTxnMarkerPartitionResult, WritableTxnMarkerResult, WritableTxnMarkerTopicResult,
};
use kafka_protocol::messages::{
    AddOffsetsToTxnRequest, AddOffsetsToTxnResponse, AddPartitionsToTxnRequest, AddPartitionsToTxnResponse,
    DescribeProducersRequest, DescribeProducersResponse, DescribeTransactionsRequest,
    DescribeTransactionsResponse, EndTxnRequest, EndTxnResponse, InitProducerIdRequest,
    InitProducerIdResponse, ListTransactionsRequest, ListTransactionsResponse, WriteTxnMarkersRequest,
    WriteTxnMarkersResponse,
};

use super::{once, parted};
use crate::admin::acl::Operation;
use crate::caller::Caller;
use crate::parts::Parts;

/// From this version on AddPartitionsToTxn is what brokers say to each other (KIP-890).
const BROKERS_FROM: i16 = 4;

/// InitProducerId.
pub async fn init_producer_id(
    parts: &Parts,
    caller: &Caller,
    request: InitProducerIdRequest,
    version: i16,
) -> InitProducerIdResponse {
    let rights = parts.rights(caller);
    let may = match &request.transactional_id {
        Some(id) => rights.on_transactional_id(Operation::Write, id),
        None => rights.may_number(),
    };
    match may {
        Ok(()) => parts.transactions.init_producer_id(caller, request, version).await,
        Err(error) => InitProducerIdResponse::default()
            .with_error_code(error.code())
            .with_producer_id((-1).into())
            .with_producer_epoch(-1),
    }
}

/// AddPartitionsToTxn. All partitions are added or none.
pub async fn add_partitions(
    parts: &Parts,
    caller: &Caller,
    request: AddPartitionsToTxnRequest,
    version: i16,
) -> AddPartitionsToTxnResponse {
    let rights = parts.rights(caller);
    if version >= BROKERS_FROM {
        return match rights.on_cluster(Operation::ClusterAction) {
            Ok(()) => parts.transactions.add_partitions(caller, request, version).await,
            Err(error) => AddPartitionsToTxnResponse::default().with_error_code(error.code()),
        };
    }
    let whole = rights.on_transactional_id(Operation::Write, &request.v3_and_below_transactional_id);
    let topics = &request.v3_and_below_topics;
    let may =
        |topic: &AddPartitionsToTxnTopic| whole.and_then(|()| rights.on_topic(Operation::Write, &topic.name));
    if topics.iter().all(|topic| may(topic).is_ok()) {
        return parts.transactions.add_partitions(caller, request, version).await;
    }
    let results = topics.iter().map(|topic| {
        let error = may(topic).err().unwrap_or(ResponseError::OperationNotAttempted);
        let partitions = topic.partitions.iter().map(|index| {
            AddPartitionsToTxnPartitionResult::default()
                .with_partition_index(*index)
                .with_partition_error_code(error.code())
        });
        AddPartitionsToTxnTopicResult::default()
            .with_name(topic.name.clone())
            .with_results_by_partition(partitions.collect())
    });
    AddPartitionsToTxnResponse::default().with_results_by_topic_v3_and_below(results.collect())
}

/// AddOffsetsToTxn.
pub async fn add_offsets(
    parts: &Parts,
    caller: &Caller,
    request: AddOffsetsToTxnRequest,
    version: i16,
) -> AddOffsetsToTxnResponse {
    let rights = parts.rights(caller);
    let may = rights
        .on_transactional_id(Operation::Write, &request.transactional_id)
        .and_then(|()| rights.on_group(Operation::Read, &request.group_id));
    match may {
        Ok(()) => parts.transactions.add_offsets(caller, request, version).await,
        Err(error) => AddOffsetsToTxnResponse::default().with_error_code(error.code()),
    }
}

/// EndTxn.
pub async fn end(parts: &Parts, caller: &Caller, request: EndTxnRequest, version: i16) -> EndTxnResponse {
    match parts.rights(caller).on_transactional_id(Operation::Write, &request.transactional_id) {
        Ok(()) => parts.transactions.end_txn(caller, request, version).await,
        Err(error) => EndTxnResponse::default().with_error_code(error.code()),
    }
}

/// WriteTxnMarkers: what an operator or a broker does.
pub async fn write_markers(
    parts: &Parts,
    caller: &Caller,
    request: WriteTxnMarkersRequest,
    version: i16,
) -> WriteTxnMarkersResponse {
    let rights = parts.rights(caller);
    let may = rights.on_cluster(Operation::Alter).or_else(|_| rights.on_cluster(Operation::ClusterAction));
    let Err(error) = may else {
        return parts.transactions.write_markers(caller, request, version).await;
    };
    let markers = request.markers.iter().map(|marker| {
        let topics = marker.topics.iter().map(|topic| {
            let partitions = topic.partition_indexes.iter().map(|index| {
                WritableTxnMarkerPartitionResult::default()
                    .with_partition_index(*index)
                    .with_error_code(error.code())
            });
            WritableTxnMarkerTopicResult::default()
                .with_name(topic.name.clone())
                .with_partitions(partitions.collect())
        });
        WritableTxnMarkerResult::default().with_producer_id(marker.producer_id).with_topics(topics.collect())
    });
    WriteTxnMarkersResponse::default().with_markers(markers.collect())
}

/// DescribeProducers.
pub async fn describe_producers(
    parts: &Parts,
    caller: &Caller,
    mut request: DescribeProducersRequest,
    version: i16,
) -> DescribeProducersResponse {
    let rights = parts.rights(caller);
    let mut topics = once(std::mem::take(&mut request.topics), |topic| topic.name.clone());
    for topic in &mut topics {
        topic.partition_indexes = once(std::mem::take(&mut topic.partition_indexes), |index| *index);
    }
    let (allowed, refused) = parted(topics, |topic| rights.on_topic(Operation::Read, &topic.name));
    request.topics = allowed;
    let mut response = parts.transactions.describe_producers(caller, request, version).await;
    response.topics.extend(refused.into_iter().map(|(topic, error)| {
        let partitions = topic.partition_indexes.iter().map(|index| {
            PartitionResponse::default().with_partition_index(*index).with_error_code(error.code())
        });
        TopicResponse::default().with_partitions(partitions.collect()).with_name(topic.name)
    }));
    response
}

/// DescribeTransactions. Of a transaction the topics are told that may be seen.
pub async fn describe(
    parts: &Parts,
    caller: &Caller,
    mut request: DescribeTransactionsRequest,
    version: i16,
) -> DescribeTransactionsResponse {
    let rights = parts.rights(caller);
    let ids = once(std::mem::take(&mut request.transactional_ids), Clone::clone);
    let (allowed, refused) = parted(ids, |id| rights.on_transactional_id(Operation::Describe, id));
    request.transactional_ids = allowed;
    let mut response = parts.transactions.describe_transactions(caller, request, version).await;
    for state in &mut response.transaction_states {
        state.topics.retain(|topic| rights.on_topic(Operation::Describe, &topic.topic).is_ok());
    }
    response.transaction_states.extend(refused.into_iter().map(|(id, error)| {
        TransactionState::default().with_transactional_id(id).with_error_code(error.code())
    }));
    response
}

/// ListTransactions.
pub async fn list(
    parts: &Parts,
    caller: &Caller,
    request: ListTransactionsRequest,
    version: i16,
) -> ListTransactionsResponse {
    let rights = parts.rights(caller);
    let mut response = parts.transactions.list_transactions(caller, request, version).await;
    let may = |id: &str| rights.on_transactional_id(Operation::Describe, id).is_ok();
    response.transaction_states.retain(|state| may(&state.transactional_id));
    response
}
