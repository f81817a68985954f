//! CreateTopics, DeleteTopics, CreatePartitions.

use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::create_topics_response::{CreatableTopicConfigs, CreatableTopicResult};
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages::{
    BrokerId, CreatePartitionsRequest, CreatePartitionsResponse, CreateTopicsRequest, CreateTopicsResponse,
    DeleteTopicsRequest, DeleteTopicsResponse, TopicName,
};

use super::acl::{Operation, Resource};
use super::{Admin, Broker, Refusal, bytes, text, topic_name, twice, uuid};
use crate::caller::Caller;
use crate::topics::config::{Change, ConfigError, Source, value_of};
use crate::topics::{NAMES_PER_REQUEST_MAX, NewTopic, Topic, TopicError, definitions};

/// What a topic is said to have: one replica, on the one broker.
const REPLICATION_FACTOR: i16 = 1;

fn invalid(message: &str) -> Refusal {
    Refusal::new(ResponseError::InvalidRequest, message)
}

impl Admin {
    /// CreateTopics (19), versions 2 to 7.
    pub async fn create_topics(
        &self,
        caller: &Caller,
        broker: &Broker,
        request: CreateTopicsRequest,
        _version: i16,
    ) -> CreateTopicsResponse {
        let twice = twice(request.topics.iter().map(|topic| topic.name.as_str()));
        let too_many = request.topics.len() > NAMES_PER_REQUEST_MAX;
        let read: Vec<Result<NewTopic, Refusal>> = request
            .topics
            .iter()
            .map(|topic| {
                if too_many {
                    return Err(Refusal::from(TopicError::TooManyNames));
                }
                if twice.contains(topic.name.as_str()) {
                    return Err(invalid("the topic stands in the request more than once"));
                }
                if !self.may_create(caller, &topic.name) {
                    let resource = Resource::topic(&topic.name);
                    return self.check(caller, Operation::Create, resource).and(Err(invalid("refused")));
                }
                wanted(topic, broker)
            })
            .collect();
        let good: Vec<NewTopic> = read.iter().flatten().cloned().collect();
        let made = match good.is_empty() {
            true => Ok(Vec::new()),
            false => self.topics.create_all(caller.project, &good, request.validate_only).await,
        };
        let (mut made, failed) = match made {
            Ok(made) => (made.into_iter(), None),
            Err(error) => (Vec::new().into_iter(), Some(error)),
        };
        let results = request.topics.iter().zip(read).map(|(asked, read)| {
            let made = read.and_then(|_| {
                let made = made.next().or_else(|| failed.clone().map(Err));
                made.unwrap_or(Err(TopicError::Unknown)).map_err(Refusal::from)
            });
            let result = CreatableTopicResult::default().with_name(asked.name.clone());
            match made {
                Ok(topic) => self.made(caller, result, &topic, request.validate_only),
                Err(refusal) => result
                    .with_error_code(refusal.code())
                    .with_error_message(refusal.message())
                    .with_configs(None),
            }
        });
        let results = results.collect();
        CreateTopicsResponse::default().with_topics(results)
    }

    fn made(
        &self,
        caller: &Caller,
        result: CreatableTopicResult,
        topic: &Topic,
        dry_run: bool,
    ) -> CreatableTopicResult {
        // What was only checked has no id.
        let id = if dry_run { [0; 16] } else { topic.view.id };
        let result = result.with_topic_id(uuid(id)).with_error_message(None);
        if let Err(refusal) =
            self.check(caller, Operation::DescribeConfigs, Resource::topic(&topic.view.name))
        {
            return result.with_topic_config_error_code(refusal.code()).with_configs(None);
        }
        let configs = definitions::ALL.iter().map(|definition| {
            let (value, source) = value_of(&topic.overrides, definition);
            CreatableTopicConfigs::default()
                .with_name(bytes(definition.name))
                .with_value(Some(bytes(value)))
                .with_config_source(source.wire())
        });
        result
            .with_num_partitions(topic.view.partitions.cast_signed())
            .with_replication_factor(REPLICATION_FACTOR)
            .with_configs(Some(configs.collect()))
    }

    /// DeleteTopics (20), versions 1 to 6: by name, and from version 6 on by id. A topic is gone for every client at once;
    /// its records are removed before the answer, or later where the log cannot now.
    pub async fn delete_topics(
        &self,
        caller: &Caller,
        request: DeleteTopicsRequest,
        version: i16,
    ) -> DeleteTopicsResponse {
        let asked: Vec<DeleteTopicState> = if version >= 6 {
            request.topics
        } else {
            let by_name = |name: TopicName| DeleteTopicState::default().with_name(Some(name));
            request.topic_names.into_iter().map(by_name).collect()
        };
        let mut found = Vec::with_capacity(asked.len());
        for topic in &asked {
            found.push(self.to_delete(caller, topic));
        }
        let twice = twice(found.iter().flatten().map(|topic| Arc::clone(&topic.view.name)));
        let mut responses = Vec::with_capacity(asked.len());
        for (asked, found) in asked.into_iter().zip(found) {
            let name = found.as_ref().ok().map(|topic| topic_name(&topic.view.name));
            let result = DeletableTopicResult::default()
                // Whose name may not be told stays unnamed.
                .with_name(name.or(asked.name))
                .with_topic_id(found.as_ref().map_or(asked.topic_id, |topic| uuid(topic.view.id)));
            let done = match found {
                Ok(topic) if twice.contains(&topic.view.name) => {
                    Err(invalid("the topic stands in the request more than once"))
                }
                Ok(topic) => self.delete_topic(caller, &topic).await,
                Err(refusal) => Err(refusal),
            };
            responses.push(match done {
                Ok(()) => result.with_error_message(None),
                Err(refusal) => result.with_error_code(refusal.code()).with_error_message(refusal.message()),
            });
        }
        DeleteTopicsResponse::default().with_responses(responses)
    }

    fn to_delete(&self, caller: &Caller, asked: &DeleteTopicState) -> Result<Arc<Topic>, Refusal> {
        let unknown_id = || Refusal::new(ResponseError::UnknownTopicId, "there is no topic of that id");
        let topic = match &asked.name {
            Some(_) if !asked.topic_id.is_nil() => {
                return Err(invalid("a topic is named by its name or its id, not by both"));
            }
            None if asked.topic_id.is_nil() => return Err(invalid("a topic has a name or an id")),
            Some(name) => {
                // Who may not delete it does not learn whether it is there.
                self.check(caller, Operation::Delete, Resource::topic(name))?;
                self.topics.get(caller.project, name).ok_or(TopicError::Unknown)?
            }
            None => {
                let id = asked.topic_id.into_bytes();
                let topic = self.topics.get_by_id(caller.project, id).ok_or_else(unknown_id)?;
                let resource = Resource::topic(&topic.view.name);
                if !self.acls.allowed(caller, Operation::Describe, resource) {
                    return Err(unknown_id());
                }
                self.check(caller, Operation::Delete, resource)?;
                topic
            }
        };
        Ok(topic)
    }

    async fn delete_topic(&self, caller: &Caller, topic: &Topic) -> Result<(), Refusal> {
        let (_, gone) = self.topics.delete(caller.project, &topic.view.name).await?;
        match self.log.remove(&gone).await {
            Ok(()) => {
                // Where this is not noted the log is asked to remove what it has not.
                if let Err(error) = self.topics.collected(&gone).await {
                    tracing::debug!(
                        error = &error as &dyn std::error::Error,
                        "a removed topic is not ticked off"
                    );
                }
            }
            Err(why) => tracing::warn!(why, "the records of a deleted topic are removed later"),
        }
        Ok(())
    }

    /// CreatePartitions (37), versions 0 to 3.
    pub async fn create_partitions(
        &self,
        caller: &Caller,
        broker: &Broker,
        request: CreatePartitionsRequest,
        _version: i16,
    ) -> CreatePartitionsResponse {
        let twice = twice(request.topics.iter().map(|topic| text(&topic.name)));
        let mut results = Vec::with_capacity(request.topics.len());
        for topic in request.topics {
            let done = match twice.contains(topic.name.as_str()) {
                true => Err(invalid("the topic stands in the request more than once")),
                false => self.grow(caller, broker, &topic, request.validate_only).await,
            };
            let result = CreatePartitionsTopicResult::default().with_name(topic.name);
            results.push(match done {
                Ok(()) => result.with_error_message(None),
                Err(refusal) => result.with_error_code(refusal.code()).with_error_message(refusal.message()),
            });
        }
        CreatePartitionsResponse::default().with_results(results)
    }

    async fn grow(
        &self,
        caller: &Caller,
        broker: &Broker,
        asked: &CreatePartitionsTopic,
        dry_run: bool,
    ) -> Result<(), Refusal> {
        self.check(caller, Operation::Alter, Resource::topic(&asked.name))?;
        let has = self.topics.get(caller.project, &asked.name).ok_or(TopicError::Unknown)?.view.partitions;
        let count = u32::try_from(asked.count).map_err(|_| TopicError::NotMore { has })?;
        if let Some(assignments) = asked.assignments.as_ref().filter(|_| count > has) {
            if u32::try_from(assignments.len()).ok() != Some(count - has) {
                return Err(misplaced("each new partition is assigned, and no other"));
            }
            for assignment in assignments {
                placed(&assignment.broker_ids, broker)?;
            }
        }
        self.topics.grow(caller.project, &asked.name, count, dry_run).await?;
        Ok(())
    }
}

fn misplaced(message: &str) -> Refusal {
    Refusal::new(ResponseError::InvalidReplicaAssignment, message)
}

/// Partitions can be placed on the one broker alone.
fn placed(brokers: &[BrokerId], broker: &Broker) -> Result<(), Refusal> {
    if brokers == [BrokerId(broker.node_id)] {
        return Ok(());
    }
    Err(misplaced(&format!("a partition has one replica, on broker {}", broker.node_id)))
}

/// What a request wants, where that can be.
fn wanted(topic: &CreatableTopic, broker: &Broker) -> Result<NewTopic, Refusal> {
    const BY_DEFAULT: i32 = -1;
    let partitions = if topic.assignments.is_empty() {
        // Any number of replicas is taken, as tools ask for three: how often records are kept is the storage's affair.
        if i32::from(topic.replication_factor) < 1 && i32::from(topic.replication_factor) != BY_DEFAULT {
            let message = "the replication factor is 1 or more, or -1 for the default";
            return Err(Refusal::new(ResponseError::InvalidReplicationFactor, message));
        }
        match topic.num_partitions {
            // Clients of versions before 4 do not know of defaults, but what they would mean is clear.
            BY_DEFAULT => None,
            count => Some(u32::try_from(count).unwrap_or(0)),
        }
    } else {
        let has_default = |number: i32| number == BY_DEFAULT;
        if !has_default(topic.num_partitions) || !has_default(i32::from(topic.replication_factor)) {
            return Err(invalid("a topic has assignments, or numbers of partitions and replicas, not both"));
        }
        let mut indexes: Vec<i32> = topic.assignments.iter().map(|one| one.partition_index).collect();
        indexes.sort_unstable();
        let expected = 0..i32::try_from(indexes.len()).unwrap_or(i32::MAX);
        if !indexes.iter().copied().eq(expected) {
            return Err(misplaced("assigned partitions are numbered from 0 on without gaps"));
        }
        for assignment in &topic.assignments {
            placed(&assignment.broker_ids, broker)?;
        }
        Some(u32::try_from(indexes.len()).unwrap_or(u32::MAX))
    };
    let configs = topic.configs.iter().map(|config| match &config.value {
        Some(value) => Ok((text(&config.name), Change::Set(text(value)))),
        None => Err(Refusal::from(TopicError::Config(ConfigError::Null(text(&config.name))))),
    });
    Ok(NewTopic { name: text(&topic.name), partitions, configs: configs.collect::<Result<_, _>>()? })
}

/// What DescribeConfigs and CreateTopics call where a value comes from.
impl Source {
    /// Kafka's number: DYNAMIC_TOPIC_CONFIG or DEFAULT_CONFIG.
    pub fn wire(self) -> i8 {
        match self {
            Source::Topic => 1,
            Source::Default => 5,
        }
    }
}
