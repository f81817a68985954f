//! WriteTxnMarkers and DescribeProducers: how an operator finds a transaction that hangs in a partition, and aborts it
//! there (KIP-664).

use candor_gate::TransactionEnd;
use candor_log::Topic;
use candor_model::{Partition, ProjectId, TopicName};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_producers_response::{
    PartitionResponse, ProducerState, TopicResponse,
};
use kafka_protocol::messages::write_txn_markers_request::WritableTxnMarker;
use kafka_protocol::messages::write_txn_markers_response::{
    WritableTxnMarkerPartitionResult, WritableTxnMarkerResult, WritableTxnMarkerTopicResult,
};
use kafka_protocol::messages::{
    DescribeProducersRequest, DescribeProducersResponse, WriteTxnMarkersRequest, WriteTxnMarkersResponse,
};

use super::{code, writable};
use crate::caller::Caller;
use crate::txn::coordinator::Transactions;

/// What is said of a producer's coordinator where it is not known.
const NO_COORDINATOR: i32 = -1;

/// Where no transaction is open.
const NO_OFFSET: i64 = -1;

impl Transactions {
    /// WriteTxnMarkers, 1.
    pub async fn write_markers(
        &self,
        caller: &Caller,
        request: WriteTxnMarkersRequest,
        _version: i16,
    ) -> WriteTxnMarkersResponse {
        let mut all = Vec::with_capacity(request.markers.len());
        for marker in &request.markers {
            all.push(self.write_marker(caller.project, marker).await);
        }
        WriteTxnMarkersResponse::default().with_markers(all)
    }

    async fn write_marker(&self, project: ProjectId, marker: &WritableTxnMarker) -> WritableTxnMarkerResult {
        let is_whole = marker.producer_id.0 >= 0 && marker.producer_epoch >= 0;
        let mut places: Vec<(TopicName, Partition)> = Vec::new();
        let mut checked: Vec<Result<(), ResponseError>> = Vec::new();
        for topic in &marker.topics {
            let view = self.topic(project, &topic.name);
            for index in &topic.partition_indexes {
                let place = writable(view.as_deref(), *index);
                let place = place.and_then(|at| is_whole.then_some(at).ok_or(ResponseError::InvalidRequest));
                checked.push(place.map(|place| places.push(place)));
            }
        }
        let end = TransactionEnd {
            producer_id: marker.producer_id.0,
            producer_epoch: marker.producer_epoch,
            commit: marker.transaction_result,
            coordinator_epoch: marker.coordinator_epoch,
        };
        let written = match places.is_empty() {
            true => Ok(Vec::new()),
            false => self.inner.outside.mark(project, places, end).await,
        };
        let failed = written.as_ref().err().copied().unwrap_or(ResponseError::UnknownServerError);
        let mut written = written.unwrap_or_default().into_iter();
        let mut outcomes =
            checked.into_iter().map(|ok| ok.and_then(|()| written.next().unwrap_or(Err(failed))));
        let topics = marker.topics.iter().map(|topic| {
            let partitions = topic.partition_indexes.iter().map(|index| {
                let outcome = outcomes.next().unwrap_or(Err(ResponseError::UnknownServerError));
                WritableTxnMarkerPartitionResult::default()
                    .with_partition_index(*index)
                    .with_error_code(code(outcome))
            });
            WritableTxnMarkerTopicResult::default()
                .with_name(topic.name.clone())
                .with_partitions(partitions.collect())
        });
        let topics = topics.collect();
        WritableTxnMarkerResult::default().with_producer_id(marker.producer_id).with_topics(topics)
    }

    /// DescribeProducers, 0.
    pub async fn describe_producers(
        &self,
        caller: &Caller,
        request: DescribeProducersRequest,
        _version: i16,
    ) -> DescribeProducersResponse {
        let topics = request.topics.iter().map(|topic| {
            let view = self.topic(caller.project, &topic.name);
            let partitions = topic.partition_indexes.iter().map(|index| {
                let answer = PartitionResponse::default().with_partition_index(*index);
                let place = view.as_deref().ok_or(ResponseError::UnknownTopicOrPartition).and_then(|view| {
                    let topic = Topic { project: caller.project, name: view.in_log.clone() };
                    Ok((topic, crate::data::partition(view, *index)?))
                });
                match place {
                    Ok((topic, partition)) => answer.with_active_producers(self.producers(&topic, partition)),
                    Err(error) => answer.with_error_code(error.code()),
                }
            });
            TopicResponse::default().with_name(topic.name.clone()).with_partitions(partitions.collect())
        });
        DescribeProducersResponse::default().with_topics(topics.collect())
    }

    fn producers(&self, topic: &Topic, partition: Partition) -> Vec<ProducerState> {
        let producers = self.inner.log.producers(topic, partition).into_iter().map(|producer| {
            let start = producer.transaction_start.and_then(|start| i64::try_from(start.0).ok());
            ProducerState::default()
                .with_producer_id(producer.producer_id.into())
                .with_producer_epoch(producer.producer_epoch.into())
                .with_last_sequence(producer.last_sequence.unwrap_or(-1))
                .with_last_timestamp(producer.last_at.0.div_euclid(1000))
                .with_coordinator_epoch(NO_COORDINATOR)
                .with_current_txn_start_offset(start.unwrap_or(NO_OFFSET))
        });
        producers.collect()
    }
}
