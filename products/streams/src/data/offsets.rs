//! Where a partition begins and ends, what lies at a time, what may go: ListOffsets, OffsetForLeaderEpoch, DeleteRecords.

use std::sync::Arc;

use candor_log::Log;
use candor_model::Offset;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::delete_records_request::DeleteRecordsRequest;
use kafka_protocol::messages::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsResponse, DeleteRecordsTopicResult,
};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsRequest};
use kafka_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsResponse, ListOffsetsTopicResponse,
};
use kafka_protocol::messages::offset_for_leader_epoch_request::{
    OffsetForLeaderEpochRequest, OffsetForLeaderPartition,
};
use kafka_protocol::messages::offset_for_leader_epoch_response::{
    EpochEndOffset, OffsetForLeaderEpochResponse, OffsetForLeaderTopicResult,
};
use uuid::Uuid;

use super::signals::Signals;
use super::{LEADER_EPOCH, Place, check_epoch, topic};
use crate::admin::acl::Operation;
use crate::directory::TopicDirectory;
use crate::rights::Rights;

/// What a timestamp of ListOffsets stands for where it is none (KIP-79, KIP-734, KIP-405, KIP-1005, KIP-1023).
const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;
const EARLIEST_PENDING_UPLOAD: i64 = -6;

/// From this version on ListOffsets tells the leader's epoch (KIP-320).
const EPOCH_FROM: i16 = 4;

/// What DeleteRecords calls the end.
const TO_THE_END: i64 = -1;

/// Answers questions about offsets. Cheap to clone.
#[derive(Clone)]
pub struct Offsets {
    log: Log,
    signals: Signals,
    directory: Arc<dyn TopicDirectory>,
}

impl Offsets {
    /// Over a log and its topics.
    pub(crate) fn new(log: Log, signals: Signals, directory: Arc<dyn TopicDirectory>) -> Offsets {
        Offsets { log, signals, directory }
    }

    fn place(
        &self,
        (rights, operation): (&Rights, Operation),
        name: &str,
        index: i32,
    ) -> Result<Place, ResponseError> {
        let view = topic(&*self.directory, (rights, operation), name, Uuid::nil(), false)?;
        Place::of(rights.project(), &view, index)
    }

    /// ListOffsets.
    pub(crate) async fn list(
        &self,
        rights: &Rights,
        request: ListOffsetsRequest,
        version: i16,
    ) -> ListOffsetsResponse {
        let epoch = if version >= EPOCH_FROM { LEADER_EPOCH } else { -1 };
        let committed_only = request.isolation_level == 1;
        let mut topics = Vec::with_capacity(request.topics.len());
        for of in request.topics {
            let mut partitions = Vec::with_capacity(of.partitions.len());
            for asked in &of.partitions {
                let found = self.offset(rights, &of.name, asked, committed_only).await;
                let answer =
                    ListOffsetsPartitionResponse::default().with_partition_index(asked.partition_index);
                partitions.push(match found {
                    Ok(Some((offset, timestamp))) => {
                        answer.with_offset(offset.0 as i64).with_timestamp(timestamp).with_leader_epoch(epoch)
                    }
                    Ok(None) => answer.with_offset(-1).with_timestamp(-1),
                    Err(error) => answer.with_offset(-1).with_timestamp(-1).with_error_code(error.code()),
                });
            }
            topics.push(ListOffsetsTopicResponse::default().with_name(of.name).with_partitions(partitions));
        }
        ListOffsetsResponse::default().with_topics(topics)
    }

    /// An offset and its record's timestamp, -1 where it is not a record's.
    async fn offset(
        &self,
        rights: &Rights,
        name: &str,
        asked: &ListOffsetsPartition,
        committed_only: bool,
    ) -> Result<Option<(Offset, i64)>, ResponseError> {
        let place = self.place((rights, Operation::Describe), name, asked.partition_index)?;
        check_epoch(asked.current_leader_epoch)?;
        let failed = |error: candor_log::ReadError| {
            tracing::warn!(error = &error as &dyn std::error::Error, "an offset could not be looked up");
            ResponseError::KafkaStorageError
        };
        let Place { topic, partition } = &place;
        let (log, partition) = (&self.log, *partition);
        if let Some(signal) = topic.name.signal()
            && (asked.timestamp >= 0 || asked.timestamp == MAX_TIMESTAMP)
        {
            let found = match asked.timestamp {
                MAX_TIMESTAMP => self.signals.newest(&place, signal).await,
                time => self.signals.offset_for_timestamp(&place, signal, time).await,
            };
            return found.map_err(|error| error.told("an offset of a signal could not be looked up"));
        }
        match asked.timestamp {
            LATEST if committed_only => Ok(Some((log.last_stable_offset(topic, partition), -1))),
            LATEST => Ok(Some((log.high_watermark(topic, partition), -1))),
            EARLIEST | EARLIEST_LOCAL => Ok(Some((log.log_start(topic, partition), -1))),
            MAX_TIMESTAMP => log.max_timestamp(topic, partition).await.map_err(failed),
            LATEST_TIERED | EARLIEST_PENDING_UPLOAD => Ok(None),
            time if time >= 0 => {
                let found = log.offset_for_timestamp(topic, partition, time).await.map_err(failed)?;
                let end = log.last_stable_offset(topic, partition);
                Ok(found.filter(|(offset, _)| !committed_only || *offset < end))
            }
            _ => Err(ResponseError::UnsupportedVersion),
        }
    }

    /// OffsetForLeaderEpoch (KIP-320).
    pub(crate) fn for_leader_epoch(
        &self,
        rights: &Rights,
        request: OffsetForLeaderEpochRequest,
    ) -> OffsetForLeaderEpochResponse {
        let topics = request.topics.into_iter().map(|of| {
            let partitions = of.partitions.iter().map(|asked| {
                let answer = EpochEndOffset::default().with_partition(asked.partition);
                match self.epoch_end(rights, &of.topic, asked) {
                    Ok(Some(end)) => answer.with_leader_epoch(LEADER_EPOCH).with_end_offset(end.0 as i64),
                    Ok(None) => answer.with_leader_epoch(-1).with_end_offset(-1),
                    Err(error) => {
                        answer.with_leader_epoch(-1).with_end_offset(-1).with_error_code(error.code())
                    }
                }
            });
            OffsetForLeaderTopicResult::default().with_partitions(partitions.collect()).with_topic(of.topic)
        });
        OffsetForLeaderEpochResponse::default().with_topics(topics.collect())
    }

    fn epoch_end(
        &self,
        rights: &Rights,
        name: &str,
        asked: &OffsetForLeaderPartition,
    ) -> Result<Option<Offset>, ResponseError> {
        let Place { topic, partition } = self.place((rights, Operation::Describe), name, asked.partition)?;
        check_epoch(asked.current_leader_epoch)?;
        let is_ours = asked.leader_epoch == LEADER_EPOCH;
        Ok(is_ours.then(|| self.log.high_watermark(&topic, partition)))
    }

    /// DeleteRecords (KIP-107).
    pub(crate) async fn delete(
        &self,
        rights: &Rights,
        request: DeleteRecordsRequest,
    ) -> DeleteRecordsResponse {
        let mut topics = Vec::with_capacity(request.topics.len());
        for of in request.topics {
            let mut partitions = Vec::with_capacity(of.partitions.len());
            for asked in &of.partitions {
                let answer =
                    DeleteRecordsPartitionResult::default().with_partition_index(asked.partition_index);
                let deleted = self.delete_before(rights, &of.name, asked.partition_index, asked.offset).await;
                partitions.push(match deleted {
                    Ok(start) => answer.with_low_watermark(start.0 as i64),
                    Err(error) => answer.with_low_watermark(-1).with_error_code(error.code()),
                });
            }
            topics.push(DeleteRecordsTopicResult::default().with_name(of.name).with_partitions(partitions));
        }
        DeleteRecordsResponse::default().with_topics(topics)
    }

    async fn delete_before(
        &self,
        rights: &Rights,
        name: &str,
        index: i32,
        before: i64,
    ) -> Result<Offset, ResponseError> {
        let Place { topic, partition } = self.place((rights, Operation::Delete), name, index)?;
        if topic.name.signal().is_some() {
            return Err(ResponseError::TopicAuthorizationFailed);
        }
        let end = self.log.high_watermark(&topic, partition);
        let before = match before {
            TO_THE_END => end,
            before => Offset(u64::try_from(before).map_err(|_| ResponseError::OffsetOutOfRange)?),
        };
        if before > end {
            return Err(ResponseError::OffsetOutOfRange);
        }
        self.log.delete_records(&topic, partition, before).await.map_err(|error| {
            tracing::warn!(error = &error as &dyn std::error::Error, "records could not be deleted");
            ResponseError::KafkaStorageError
        })
    }
}
