//! Metadata and DescribeTopicPartitions: which topics there are, and that the one broker leads them.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_topic_partitions_response::{
    Cursor, DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{
    BrokerId, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse, MetadataRequest,
    MetadataResponse,
};
use uuid::Uuid;

use super::acl::{Operation, Resource};
use super::{Admin, Broker, bytes, nodes, topic_name, uuid};
use crate::caller::Caller;
use crate::data::LEADER_EPOCH;
use crate::directory::TopicView;
use crate::topics::{NAMES_PER_REQUEST_MAX, Topic, TopicError, name};

/// Partitions in one answer to DescribeTopicPartitions, as Kafka's default.
const PARTITIONS_PER_ANSWER_MAX: usize = 2000;

impl Admin {
    /// Metadata (3), versions 0 to 13. Names that are no topics become some where the client and the settings want it.
    pub async fn metadata(
        &self,
        caller: &Caller,
        broker: &Broker,
        request: MetadataRequest,
        version: i16,
    ) -> MetadataResponse {
        let operations = |topic: &str| match request.include_topic_authorized_operations && version >= 8 {
            true => self.acls.operations(caller, Resource::topic(topic)),
            false => i32::MIN,
        };
        let asks_for_all = match &request.topics {
            None => true,
            Some(topics) => version == 0 && topics.is_empty(),
        };
        let mut response = MetadataResponse::default()
            .with_brokers(vec![
                MetadataResponseBroker::default()
                    .with_node_id(BrokerId(broker.node_id))
                    .with_host(bytes(&broker.host))
                    .with_port(i32::from(broker.port))
                    .with_rack(None),
            ])
            .with_cluster_id(Some(bytes(&broker.cluster_id)))
            .with_controller_id(BrokerId(broker.node_id));
        if request.include_cluster_authorized_operations && (8..=10).contains(&version) {
            response.cluster_authorized_operations = self.acls.operations(caller, Resource::cluster());
        }
        response.topics = if asks_for_all {
            let may = |topic: &Arc<Topic>| self.may_see(caller, &topic.view.name);
            let topics = self.topics.list(caller.project).into_iter().filter(may);
            topics.map(|topic| answer(&topic.view, broker, operations(&topic.view.name))).collect()
        } else {
            let may_create = version < 4 || request.allow_auto_topic_creation;
            // Once each, however often they are named: an answer is many times as long as a question.
            let mut seen = BTreeSet::new();
            let mut asked = request.topics.unwrap_or_default();
            asked.retain(|topic| seen.insert((topic.topic_id, topic.name.clone().map(|name| name.0))));
            let asked = &asked[..];
            self.make_missing(caller, asked, may_create).await.map_or_else(
                |error| asked.iter().map(|topic| refused(topic, error.code(), version)).collect(),
                |refusals| {
                    let one =
                        |topic: &MetadataRequestTopic| match self.find(caller, topic, version, &refusals) {
                            Ok(found) => answer(&found.view, broker, operations(&found.view.name)),
                            Err(error) => refused(topic, error, version),
                        };
                    asked.iter().map(one).collect()
                },
            )
        };
        response
    }

    fn may_see(&self, caller: &Caller, topic: &str) -> bool {
        self.acls.allowed(caller, Operation::Describe, Resource::topic(topic))
    }

    /// Makes the topics that are asked for by name and are not there; tells what became of those that were refused.
    async fn make_missing<'a>(
        &self,
        caller: &Caller,
        asked: &'a [MetadataRequestTopic],
        may_create: bool,
    ) -> Result<HashMap<&'a str, TopicError>, TopicError> {
        if !may_create {
            return Ok(HashMap::new());
        }
        let names =
            asked.iter().filter(|topic| topic.topic_id.is_nil()).filter_map(|topic| topic.name.as_ref());
        let missing: BTreeSet<&str> = names
            .map(|name| name.as_str())
            .filter(|name| self.topics.get(caller.project, name).is_none())
            .collect();
        if missing.len() > NAMES_PER_REQUEST_MAX {
            // Those that are there are told of all the same.
            return Ok(missing.into_iter().map(|name| (name, TopicError::TooManyNames)).collect());
        }
        let may = |name: &&str| self.may_see(caller, name) && self.may_create(caller, name);
        let missing: Vec<&str> = missing.into_iter().filter(may).collect();
        if missing.is_empty() {
            return Ok(HashMap::new());
        }
        let made = self.topics.ensure_all(caller.project, &missing).await?;
        let refusals = missing.into_iter().zip(made).filter_map(|(name, made)| Some((name, made.err()?)));
        Ok(refusals.collect())
    }

    fn find(
        &self,
        caller: &Caller,
        asked: &MetadataRequestTopic,
        version: i16,
        refusals: &HashMap<&str, TopicError>,
    ) -> Result<Arc<Topic>, ResponseError> {
        if !asked.topic_id.is_nil() {
            // Versions 10 and 11 have a field for the id that they do not look up by.
            if version < 12 {
                return Err(ResponseError::InvalidRequest);
            }
            let found = self.topics.get_by_id(caller.project, asked.topic_id.into_bytes());
            let found = found.filter(|topic| self.may_see(caller, &topic.view.name));
            return found.ok_or(ResponseError::UnknownTopicId);
        }
        let asked = asked.name.as_ref().ok_or(ResponseError::InvalidRequest)?;
        if !self.may_see(caller, asked) {
            return Err(ResponseError::TopicAuthorizationFailed);
        }
        if let Some(found) = self.topics.get(caller.project, asked) {
            return Ok(found);
        }
        if let Some(error) = refusals.get(asked.as_str()) {
            return Err(error.code());
        }
        match name::check(asked) {
            Ok(()) => Err(ResponseError::UnknownTopicOrPartition),
            Err(_) => Err(ResponseError::InvalidTopicException),
        }
    }

    /// DescribeTopicPartitions (75), version 0: topics in the order of their names, from the cursor on, as many partitions
    /// as asked for.
    pub async fn describe_topic_partitions(
        &self,
        caller: &Caller,
        broker: &Broker,
        request: DescribeTopicPartitionsRequest,
        _version: i16,
    ) -> DescribeTopicPartitionsResponse {
        let mut names: BTreeSet<String> = if request.topics.is_empty() {
            self.topics.list(caller.project).iter().map(|topic| topic.view.name.to_string()).collect()
        } else {
            request.topics.iter().map(|topic| topic.name.to_string()).collect()
        };
        let mut first = 0;
        if let Some(cursor) = &request.cursor {
            let from = cursor.topic_name.to_string();
            names = names.split_off(&from);
            if names.first() == Some(&from) {
                first = u32::try_from(cursor.partition_index).unwrap_or(0);
            }
        }
        let limit = usize::try_from(request.response_partition_limit).unwrap_or(0);
        let mut room = limit.clamp(1, PARTITIONS_PER_ANSWER_MAX);
        let mut response = DescribeTopicPartitionsResponse::default().with_next_cursor(None);
        for name in names {
            let from = std::mem::take(&mut first);
            if room == 0 {
                let cursor = Cursor::default().with_topic_name(topic_name(&name));
                response.next_cursor = Some(cursor.with_partition_index(from.cast_signed()));
                break;
            }
            let topic = DescribeTopicPartitionsResponseTopic::default().with_name(Some(topic_name(&name)));
            let found = self.topics.get(caller.project, &name);
            let error = match (&found, self.may_see(caller, &name)) {
                // Who asked for all is told of what it may see.
                (_, false) if request.topics.is_empty() => continue,
                (_, false) => Some(ResponseError::TopicAuthorizationFailed),
                (None, true) if name::check(&name).is_err() => Some(ResponseError::InvalidTopicException),
                (None, true) => Some(ResponseError::UnknownTopicOrPartition),
                (Some(_), true) => None,
            };
            let Some(found) = found.filter(|_| error.is_none()) else {
                let code = error.map_or(0, |error| error.code());
                response.topics.push(topic.with_error_code(code));
                continue;
            };
            let partitions: Vec<_> =
                (from..found.view.partitions).take(room).map(|index| described(index, broker)).collect();
            room -= partitions.len();
            let next = u32::try_from(partitions.len()).map_or(u32::MAX, |count| from.saturating_add(count));
            response.topics.push(
                topic
                    .with_topic_id(uuid(found.view.id))
                    .with_topic_authorized_operations(self.acls.operations(caller, Resource::topic(&name)))
                    .with_partitions(partitions),
            );
            if next < found.view.partitions {
                let cursor = Cursor::default().with_topic_name(topic_name(&name));
                response.next_cursor = Some(cursor.with_partition_index(next.cast_signed()));
                break;
            }
        }
        response
    }
}

fn answer(view: &TopicView, broker: &Broker, operations: i32) -> MetadataResponseTopic {
    let partition = |index: u32| {
        MetadataResponsePartition::default()
            .with_partition_index(index.cast_signed())
            .with_leader_id(BrokerId(broker.node_id))
            .with_leader_epoch(LEADER_EPOCH)
            .with_replica_nodes(nodes(broker))
            .with_isr_nodes(nodes(broker))
    };
    MetadataResponseTopic::default()
        .with_name(Some(topic_name(&view.name)))
        .with_topic_id(uuid(view.id))
        .with_topic_authorized_operations(operations)
        .with_partitions((0..view.partitions).map(partition).collect())
}

fn refused(asked: &MetadataRequestTopic, error: ResponseError, version: i16) -> MetadataResponseTopic {
    // Only from version 12 on a name may be null.
    let name = asked.name.clone().or_else(|| (version < 12).then(Default::default));
    let id = if version >= 10 { asked.topic_id } else { Uuid::nil() };
    MetadataResponseTopic::default().with_error_code(error.code()).with_name(name).with_topic_id(id)
}

fn described(index: u32, broker: &Broker) -> DescribeTopicPartitionsResponsePartition {
    DescribeTopicPartitionsResponsePartition::default()
        .with_partition_index(index.cast_signed())
        .with_leader_id(BrokerId(broker.node_id))
        .with_leader_epoch(LEADER_EPOCH)
        .with_replica_nodes(nodes(broker))
        .with_isr_nodes(nodes(broker))
        .with_eligible_leader_replicas(Some(Vec::new()))
        .with_last_known_elr(Some(Vec::new()))
}
