//! A Kafka client within the process: asks the parts what a connection would ask them.
//!
//! It is the one place of this module that names the parts, so that rules are asked where connections' are.
//! The trade-off refused is a connection to our own listener, which would need a password and copy every record twice.

use std::sync::Arc;

use candor_gate::{Part, ValuesMode};
use candor_meta::WriteScope;
use candor_model::{ProjectId, Value};
use candor_schemas::Schema;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use kafka_protocol::messages::{
    ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse, CreateAclsRequest, CreateAclsResponse, CreatePartitionsRequest,
    CreatePartitionsResponse, CreateTopicsRequest, CreateTopicsResponse, DeleteAclsRequest,
    DeleteAclsResponse, DeleteTopicsRequest, DeleteTopicsResponse, DescribeAclsRequest, DescribeAclsResponse,
    DescribeConfigsRequest, DescribeConfigsResponse, DescribeGroupsRequest, DescribeGroupsResponse,
    IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse, ListGroupsRequest, ListGroupsResponse,
    ListOffsetsRequest, ListOffsetsResponse, MetadataRequest, MetadataResponse, OffsetCommitRequest,
    OffsetCommitResponse, OffsetFetchRequest, OffsetFetchResponse, ProduceRequest, ProduceResponse,
};

use crate::admin::Broker;
use crate::admin::acl::Operation;
use crate::broker::throttle::Flow;
use crate::caller::Caller;
use crate::data::fetch::message::{FetchAnswer, FetchRequest};
use crate::parts::Parts;
use crate::rights::{groups, offsets};

/// What this client calls itself.
pub(crate) const CLIENT_ID: &str = "rest";

/// Versions that requests are asked in: the newest that name topics by their names.
mod version {
    pub const METADATA: i16 = 12;
    pub const CREATE_TOPICS: i16 = 7;
    pub const DELETE_TOPICS: i16 = 6;
    pub const CREATE_PARTITIONS: i16 = 3;
    pub const DESCRIBE_CONFIGS: i16 = 4;
    pub const ALTER_CONFIGS: i16 = 1;
    pub const ACLS: i16 = 3;
    pub const LIST_GROUPS: i16 = 5;
    pub const DESCRIBE_GROUPS: i16 = 6;
    pub const CONSUMER_GROUP_DESCRIBE: i16 = 1;
    pub const CONSUMER_GROUP_HEARTBEAT: i16 = 1;
    pub const OFFSET_FETCH: i16 = 9;
    pub const OFFSET_COMMIT: i16 = 9;
    pub const LIST_OFFSETS: i16 = 10;
    pub const PRODUCE: i16 = 12;
}

/// A client that has proved who it is, for one request of HTTP. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Client {
    parts: Parts,
    scope: WriteScope,
    caller: Caller,
}

impl Client {
    pub fn new(parts: Parts, scope: WriteScope, caller: Caller) -> Client {
        Client { parts, scope, caller }
    }

    /// The project.
    pub fn project(&self) -> ProjectId {
        self.caller.project
    }

    /// Who it is.
    pub fn user(&self) -> Arc<str> {
        Arc::clone(&self.caller.user)
    }

    /// How the values of a topic are opened; not at all where there is none.
    pub fn values_of(&self, topic: &str) -> ValuesMode {
        let topic = self.parts.topics.get(self.project(), topic);
        topic.map_or(ValuesMode::Opaque, |topic| topic.config.values)
    }

    /// What a part of a record says by its schema, which may be shown.
    pub fn shown(&self, opened: (ValuesMode, Part), bytes: &[u8]) -> Option<(Arc<Schema>, Value)> {
        self.parts.produce.gate().shown(self.project(), opened, bytes)
    }

    /// Whether it may write to a topic, which a subject's schemas may be registered by.
    pub fn may_write(&self, topic: &str) -> Result<(), ResponseError> {
        self.parts.rights(&self.caller).on_topic(Operation::Write, topic)
    }

    /// The broker.
    pub fn node(&self) -> Broker {
        self.parts.node.broker()
    }

    /// The cluster's id.
    pub fn cluster_id(&self) -> Arc<str> {
        Arc::clone(&self.parts.node.cluster_id)
    }

    pub async fn metadata(&self, request: MetadataRequest) -> MetadataResponse {
        self.parts.admin.metadata(&self.caller, &self.node(), request, version::METADATA).await
    }

    pub async fn create_topics(&self, request: CreateTopicsRequest) -> CreateTopicsResponse {
        self.parts.admin.create_topics(&self.caller, &self.node(), request, version::CREATE_TOPICS).await
    }

    pub async fn delete_topics(&self, request: DeleteTopicsRequest) -> DeleteTopicsResponse {
        self.parts.admin.delete_topics(&self.caller, request, version::DELETE_TOPICS).await
    }

    pub async fn create_partitions(&self, request: CreatePartitionsRequest) -> CreatePartitionsResponse {
        let version = version::CREATE_PARTITIONS;
        self.parts.admin.create_partitions(&self.caller, &self.node(), request, version).await
    }

    pub async fn describe_configs(&self, request: DescribeConfigsRequest) -> DescribeConfigsResponse {
        let version = version::DESCRIBE_CONFIGS;
        self.parts.admin.describe_configs(&self.caller, &self.node(), request, version).await
    }

    pub async fn alter_configs(
        &self,
        request: IncrementalAlterConfigsRequest,
    ) -> IncrementalAlterConfigsResponse {
        let version = version::ALTER_CONFIGS;
        self.parts.admin.incremental_alter_configs(&self.caller, &self.node(), request, version).await
    }

    pub async fn describe_acls(&self, request: DescribeAclsRequest) -> DescribeAclsResponse {
        self.parts.admin.describe_acls(&self.caller, request, version::ACLS).await
    }

    pub async fn create_acls(&self, request: CreateAclsRequest) -> CreateAclsResponse {
        self.parts.admin.create_acls(&self.caller, request, version::ACLS).await
    }

    pub async fn delete_acls(&self, request: DeleteAclsRequest) -> DeleteAclsResponse {
        self.parts.admin.delete_acls(&self.caller, request, version::ACLS).await
    }

    pub async fn list_groups(&self, request: ListGroupsRequest) -> ListGroupsResponse {
        groups::list(&self.parts, &self.caller, request, version::LIST_GROUPS).await
    }

    pub async fn describe_groups(&self, request: DescribeGroupsRequest) -> DescribeGroupsResponse {
        groups::describe(&self.parts, &self.caller, request, version::DESCRIBE_GROUPS).await
    }

    pub async fn describe_consumer_groups(
        &self,
        request: ConsumerGroupDescribeRequest,
    ) -> ConsumerGroupDescribeResponse {
        let version = version::CONSUMER_GROUP_DESCRIBE;
        groups::consumer_describe(&self.parts, &self.caller, request, version).await
    }

    pub async fn committed(&self, request: OffsetFetchRequest) -> OffsetFetchResponse {
        offsets::fetch(&self.parts, &self.caller, request, version::OFFSET_FETCH).await
    }

    pub async fn consumer_heartbeat(
        &self,
        request: ConsumerGroupHeartbeatRequest,
    ) -> ConsumerGroupHeartbeatResponse {
        let version = version::CONSUMER_GROUP_HEARTBEAT;
        groups::consumer_heartbeat(&self.parts, &self.caller, request, version).await
    }

    pub async fn commit(&self, request: OffsetCommitRequest) -> OffsetCommitResponse {
        offsets::commit(&self.parts, &self.caller, request, version::OFFSET_COMMIT).await
    }

    pub async fn list_offsets(&self, request: ListOffsetsRequest) -> ListOffsetsResponse {
        self.parts.offsets.list(&self.parts.rights(&self.caller), request, version::LIST_OFFSETS).await
    }

    /// Whoever has moved more than a quota allows is refused until it would have been allowed: a connection would be
    /// muted, and a request that waits holds what it has.
    pub async fn fetch(&self, request: FetchRequest) -> FetchAnswer {
        let throttle = &self.parts.throttle;
        if !throttle.debt(&self.caller, Flow::Consumed).is_zero() {
            let error = ResponseError::ThrottlingQuotaExceeded.code();
            return FetchAnswer { error, ..FetchAnswer::default() };
        }
        let answer = self.parts.fetch.answer(&self.parts.rights(&self.caller), request).await;
        throttle.count(&self.caller, Flow::Consumed, answer.records_bytes());
        answer
    }

    /// None only where the request asks for no acknowledgement.
    pub async fn produce(&self, request: ProduceRequest) -> Option<ProduceResponse> {
        let throttle = &self.parts.throttle;
        if !throttle.debt(&self.caller, Flow::Produced).is_zero() {
            return Some(refused(&request, ResponseError::ThrottlingQuotaExceeded));
        }
        let partitions = request.topic_data.iter().flat_map(|topic| &topic.partition_data);
        let bytes =
            partitions.filter_map(|partition| partition.records.as_ref()).map(|records| records.len());
        throttle.count(&self.caller, Flow::Produced, bytes.sum());
        let rights = self.parts.rights(&self.caller);
        self.parts.produce.take(&self.scope, &rights, request, version::PRODUCE).answer.await
    }
}

/// The same error for every partition of a request.
fn refused(request: &ProduceRequest, error: ResponseError) -> ProduceResponse {
    let topics = request.topic_data.iter().map(|topic| {
        let partitions = topic.partition_data.iter().map(|partition| {
            PartitionProduceResponse::default()
                .with_index(partition.index)
                .with_error_code(error.code())
                .with_base_offset(-1)
        });
        TopicProduceResponse::default()
            .with_name(topic.name.clone())
            .with_partition_responses(partitions.collect())
    });
    ProduceResponse::default().with_responses(topics.collect())
}
