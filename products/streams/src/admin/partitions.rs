//! What is asked about where partitions are: ElectLeaders, AlterPartitionReassignments, ListPartitionReassignments,
//! DescribeLogDirs. The one broker has and leads them all, so nothing ever moves.

use std::collections::BTreeSet;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::alter_partition_reassignments_response::{
    ReassignablePartitionResponse, ReassignableTopicResponse,
};
use kafka_protocol::messages::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use kafka_protocol::messages::elect_leaders_response::{PartitionResult, ReplicaElectionResult};
use kafka_protocol::messages::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse, BrokerId,
    DescribeLogDirsRequest, DescribeLogDirsResponse, ElectLeadersRequest, ElectLeadersResponse,
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse,
};

use super::acl::{Operation, Resource};
use super::{Admin, Broker, Refusal, topic_name};
use crate::caller::Caller;

/// What DescribeLogDirs calls the log, which is one for all partitions. Where it is on the machine is nobody's business.
const LOG_DIR: &str = "/candor/log";

impl Admin {
    fn has_partition(&self, caller: &Caller, topic: &str, partition: i32) -> Result<(), Refusal> {
        let found = self.topics.get(caller.project, topic);
        let has = found.map_or(0, |topic| topic.view.partitions);
        if u32::try_from(partition).is_ok_and(|partition| partition < has) {
            return Ok(());
        }
        Err(Refusal::new(ResponseError::UnknownTopicOrPartition, "there is no such partition"))
    }

    /// ElectLeaders (43), versions 0 to 2: the leader that is there is the one that would be elected.
    pub async fn elect_leaders(
        &self,
        caller: &Caller,
        request: ElectLeadersRequest,
        version: i16,
    ) -> ElectLeadersResponse {
        let may = self.check(caller, Operation::Alter, Resource::cluster());
        let mut response = ElectLeadersResponse::default();
        // Before version 1 there was no place for it but beside each partition.
        if let Err(refusal) = may.as_ref()
            && version >= 1
        {
            response.error_code = refusal.code();
        }
        // Who asks for all partitions is told of those whose leader changed, and none did.
        for topic in request.topic_partitions.unwrap_or_default() {
            let results = topic.partitions.iter().map(|partition| {
                let refusal = match may
                    .clone()
                    .and_then(|()| self.has_partition(caller, &topic.topic, *partition))
                {
                    Ok(()) => Refusal::new(ResponseError::ElectionNotNeeded, "the broker leads it already"),
                    Err(refusal) => refusal,
                };
                PartitionResult::default()
                    .with_partition_id(*partition)
                    .with_error_code(refusal.code())
                    .with_error_message(refusal.message())
            });
            let results = results.collect();
            let result = ReplicaElectionResult::default().with_topic(topic.topic.clone());
            response.replica_election_results.push(result.with_partition_result(results));
        }
        response
    }

    /// AlterPartitionReassignments (45), versions 0 and 1: a partition stays where it is, and can go nowhere else.
    pub async fn alter_partition_reassignments(
        &self,
        caller: &Caller,
        broker: &Broker,
        request: AlterPartitionReassignmentsRequest,
        _version: i16,
    ) -> AlterPartitionReassignmentsResponse {
        let response = AlterPartitionReassignmentsResponse::default()
            .with_allow_replication_factor_change(request.allow_replication_factor_change);
        if let Err(refusal) = self.check(caller, Operation::Alter, Resource::cluster()) {
            return response.with_error_code(refusal.code()).with_error_message(refusal.message());
        }
        let topics = request.topics.into_iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|asked| {
                let done =
                    self.has_partition(caller, &topic.name, asked.partition_index).and_then(|()| match asked
                        .replicas
                        .as_deref()
                    {
                        Some([one]) if *one == BrokerId(broker.node_id) => Ok(()),
                        Some(_) => {
                            let message =
                                format!("a partition has one replica, on broker {}", broker.node_id);
                            Err(Refusal::new(ResponseError::InvalidReplicaAssignment, message))
                        }
                        None => {
                            let message = "no reassignment is under way that could be cancelled";
                            Err(Refusal::new(ResponseError::NoReassignmentInProgress, message))
                        }
                    });
                let result =
                    ReassignablePartitionResponse::default().with_partition_index(asked.partition_index);
                match done {
                    Ok(()) => result.with_error_message(None),
                    Err(refusal) => {
                        result.with_error_code(refusal.code()).with_error_message(refusal.message())
                    }
                }
            });
            let partitions = partitions.collect();
            ReassignableTopicResponse::default().with_name(topic.name.clone()).with_partitions(partitions)
        });
        response.with_error_message(None).with_responses(topics.collect())
    }

    /// ListPartitionReassignments (46), version 0: none is ever under way.
    pub async fn list_partition_reassignments(
        &self,
        caller: &Caller,
        _request: ListPartitionReassignmentsRequest,
        _version: i16,
    ) -> ListPartitionReassignmentsResponse {
        let response = ListPartitionReassignmentsResponse::default();
        match self.check(caller, Operation::Describe, Resource::cluster()) {
            Ok(()) => response.with_error_message(None),
            Err(refusal) => response.with_error_code(refusal.code()).with_error_message(refusal.message()),
        }
    }

    /// DescribeLogDirs (35), versions 1 to 4.
    pub async fn describe_log_dirs(
        &self,
        caller: &Caller,
        request: DescribeLogDirsRequest,
        version: i16,
    ) -> DescribeLogDirsResponse {
        let response = DescribeLogDirsResponse::default();
        if let Err(refusal) = self.check(caller, Operation::Describe, Resource::cluster()) {
            return match version {
                // Before version 3 there was no place for it; Kafka answers with nothing.
                ..=2 => response,
                _ => response.with_error_code(refusal.code()),
            };
        }
        let mut topics = Vec::new();
        match request.topics {
            None => {
                for topic in self.topics.list(caller.project) {
                    topics.push((topic, None));
                }
            }
            Some(asked) => {
                let mut seen = BTreeSet::new();
                for topic in asked {
                    let found = self.topics.get(caller.project, &topic.topic);
                    if let Some(found) = found.filter(|found| seen.insert(found.view.id)) {
                        topics.push((found, Some(topic.partitions.into_iter().collect::<BTreeSet<i32>>())));
                    }
                }
            }
        }
        let mut described = Vec::with_capacity(topics.len());
        for (topic, asked) in topics {
            let sizes = self.log.sizes(caller.project, &topic.view).await;
            let partitions = (0..topic.view.partitions.cast_signed())
                .zip(sizes.into_iter().chain(std::iter::repeat(0)))
                .filter(|(index, _)| asked.as_ref().is_none_or(|asked| asked.contains(index)))
                .map(|(index, size)| {
                    DescribeLogDirsPartition::default().with_partition_index(index).with_partition_size(size)
                });
            let partitions = partitions.collect();
            let name = topic_name(&topic.view.name);
            described.push(DescribeLogDirsTopic::default().with_name(name).with_partitions(partitions));
        }
        let mut result = DescribeLogDirsResult::default().with_log_dir(LOG_DIR.into()).with_topics(described);
        if let Some((total, usable)) = self.log.space().await {
            result = result.with_total_bytes(total).with_usable_bytes(usable);
        }
        response.with_results(vec![result])
    }
}
