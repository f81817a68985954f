//! Topics: list, make, look at, give more partitions, delete.

use std::collections::BTreeMap;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};
use kafka_protocol::messages::create_partitions_request::{CreatePartitionsRequest, CreatePartitionsTopic};
use kafka_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use kafka_protocol::messages::delete_topics_request::{DeleteTopicState, DeleteTopicsRequest};
use kafka_protocol::messages::metadata_request::{MetadataRequest, MetadataRequestTopic};
use kafka_protocol::messages::metadata_response::MetadataResponseTopic;
use kafka_protocol::messages::{BrokerId, TopicName};
use kafka_protocol::protocol::StrBytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::acls;
use crate::rest::RestState;
use crate::rest::client::Client;
use crate::rest::door::{self, Ask, Asked, Names};
use crate::rest::error::{Answer, RestError, check};
use crate::rest::links::At;
use crate::rest::send::topic_name;

/// How long the broker may take, ms. It answers when it is done.
const TIMEOUT_MS: i32 = 30_000;

/// Where a topic is.
pub(super) fn topic_at(cluster: &At, name: &str) -> At {
    cluster.down("topics", "topic", name)
}

/// A topic, which is not made by asking for it.
pub(in crate::rest) async fn find(
    client: &Client,
    name: &str,
    operations: bool,
) -> Answer<MetadataResponseTopic> {
    let asked = MetadataRequestTopic::default().with_name(Some(topic_name(name)));
    let request = MetadataRequest::default()
        .with_topics(Some(vec![asked]))
        .with_allow_auto_topic_creation(false)
        .with_include_topic_authorized_operations(operations);
    let found = client.metadata(request).await.topics.into_iter().next();
    let found = found.ok_or_else(RestError::topic_not_found)?;
    check(found.error_code, None)?;
    Ok(found)
}

/// All topics that the client may see.
pub(in crate::rest) async fn all(client: &Client, operations: bool) -> Vec<MetadataResponseTopic> {
    let request = MetadataRequest::default()
        .with_topics(None)
        .with_allow_auto_topic_creation(false)
        .with_include_topic_authorized_operations(operations);
    client.metadata(request).await.topics
}

/// A topic's name.
pub(in crate::rest) fn name_of(topic: &MetadataResponseTopic) -> String {
    topic.name.as_ref().map(|name| name.to_string()).unwrap_or_default()
}

fn wants_operations(asked: &Asked) -> bool {
    asked.text("include_authorized_operations") == Some("true")
}

pub(super) async fn list(ask: Ask, Names(named): Names<String>, asked: Asked) -> Answer<Json<Value>> {
    let cluster = ask.cluster(&named)?;
    let operations = wants_operations(&asked);
    let topics = all(&ask.client, operations).await;
    let data = topics.iter().map(|topic| shown(&ask, &cluster, topic, operations)).collect();
    Ok(Json(cluster.list("topics", "KafkaTopic", data)))
}

pub(super) async fn one(
    ask: Ask,
    Names((named, name)): Names<(String, String)>,
    asked: Asked,
) -> Answer<Json<Value>> {
    let cluster = ask.cluster(&named)?;
    let operations = wants_operations(&asked);
    let topic = find(&ask.client, &name, operations).await?;
    Ok(Json(shown(&ask, &cluster, &topic, operations)))
}

fn shown(ask: &Ask, cluster: &At, topic: &MetadataResponseTopic, operations: bool) -> Value {
    let name = name_of(topic);
    let replicas = topic.partitions.first().map_or(0, |partition| partition.replica_nodes.len());
    let shape = Shape { internal: topic.is_internal, replicas, partitions: topic.partitions.len() };
    let mut shown = resource(ask, cluster, &name, &shape);
    if operations && let Value::Object(fields) = &mut shown {
        let names = acls::operations_of(topic.topic_authorized_operations);
        fields.insert("authorized_operations".to_owned(), json!(names));
    }
    shown
}

struct Shape {
    internal: bool,
    replicas: usize,
    partitions: usize,
}

fn resource(ask: &Ask, cluster: &At, name: &str, shape: &Shape) -> Value {
    let at = topic_at(cluster, name);
    at.resource(
        "KafkaTopic",
        json!({
            "cluster_id": ask.client.cluster_id(),
            "topic_name": name,
            "is_internal": shape.internal,
            "replication_factor": shape.replicas,
            "partitions_count": shape.partitions,
            "partitions": at.related("partitions"),
            "configs": at.related("configs"),
            "partition_reassignments": at.related("partitions/-/reassignment"),
        }),
    )
}

/// `CreateTopicRequestData`.
#[derive(Debug, Deserialize)]
struct NewTopic {
    topic_name: String,
    partitions_count: Option<i32>,
    replication_factor: Option<i16>,
    #[serde(default)]
    replicas_assignments: BTreeMap<i32, Vec<i32>>,
    #[serde(default)]
    configs: Vec<NewConfig>,
    validate_only: Option<bool>,
}

#[derive(Debug, Deserialize)]
struct NewConfig {
    name: String,
    value: Option<String>,
}

pub(super) async fn create(
    State(state): State<RestState>,
    ask: Ask,
    Names(named): Names<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer<Response> {
    let cluster = ask.cluster(&named)?;
    let new: NewTopic = door::json(&state, &headers, body).await?;
    let is_dry = new.validate_only.unwrap_or(false);
    let assignments = new.replicas_assignments.into_iter().map(|(partition, brokers)| {
        CreatableReplicaAssignment::default()
            .with_partition_index(partition)
            .with_broker_ids(brokers.into_iter().map(BrokerId).collect())
    });
    let configs = new.configs.into_iter().map(|config| {
        CreatableTopicConfig::default()
            .with_name(StrBytes::from_string(config.name))
            .with_value(config.value.map(StrBytes::from_string))
    });
    let topic = CreatableTopic::default()
        .with_name(TopicName(StrBytes::from_string(new.topic_name.clone())))
        .with_num_partitions(new.partitions_count.unwrap_or(-1))
        .with_replication_factor(new.replication_factor.unwrap_or(-1))
        .with_assignments(assignments.collect())
        .with_configs(configs.collect());
    let request = CreateTopicsRequest::default()
        .with_topics(vec![topic])
        .with_timeout_ms(TIMEOUT_MS)
        .with_validate_only(is_dry);
    let made = ask.client.create_topics(request).await.topics.into_iter().next();
    let made = made.ok_or_else(RestError::topic_not_found)?;
    check(made.error_code, made.error_message.as_ref())?;
    let count = |number: i32| usize::try_from(number).unwrap_or(0);
    let shape = Shape {
        internal: false,
        replicas: count(made.replication_factor.into()),
        partitions: count(made.num_partitions),
    };
    let shown = Json(resource(&ask, &cluster, &new.topic_name, &shape));
    if is_dry {
        return Ok(shown.into_response());
    }
    let location = topic_at(&cluster, &new.topic_name).url().to_owned();
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], shown).into_response())
}

/// `UpdatePartitionCountRequestData`.
#[derive(Debug, Deserialize)]
struct Grow {
    partitions_count: i32,
}

pub(super) async fn grow(
    State(state): State<RestState>,
    ask: Ask,
    Names((named, name)): Names<(String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Answer<Json<Value>> {
    let cluster = ask.cluster(&named)?;
    let grow: Grow = door::json(&state, &headers, body).await?;
    let topic = CreatePartitionsTopic::default()
        .with_name(topic_name(&name))
        .with_count(grow.partitions_count)
        .with_assignments(None);
    let request = CreatePartitionsRequest::default().with_topics(vec![topic]).with_timeout_ms(TIMEOUT_MS);
    for result in ask.client.create_partitions(request).await.results {
        check(result.error_code, result.error_message.as_ref())?;
    }
    let topic = find(&ask.client, &name, false).await?;
    Ok(Json(shown(&ask, &cluster, &topic, false)))
}

pub(super) async fn remove(ask: Ask, Names((named, name)): Names<(String, String)>) -> Answer<StatusCode> {
    ask.cluster(&named)?;
    let state = DeleteTopicState::default().with_name(Some(topic_name(&name)));
    let request = DeleteTopicsRequest::default().with_topics(vec![state]).with_timeout_ms(TIMEOUT_MS);
    for result in ask.client.delete_topics(request).await.responses {
        check(result.error_code, result.error_message.as_ref())?;
    }
    Ok(StatusCode::NO_CONTENT)
}
