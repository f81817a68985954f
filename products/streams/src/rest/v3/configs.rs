//! Configurations of topics, of the broker, and of the cluster (what is set for all brokers).

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use http::{HeaderMap, StatusCode};
use kafka_protocol::messages::describe_configs_request::{DescribeConfigsRequest, DescribeConfigsResource};
use kafka_protocol::messages::describe_configs_response::DescribeConfigsResourceResult;
use kafka_protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use kafka_protocol::protocol::StrBytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::clusters::{broker_at, check_broker};
use super::topics::{self, topic_at};
use crate::rest::RestState;
use crate::rest::door::{self, Ask, Names};
use crate::rest::error::{Answer, RestError, check};
use crate::rest::links::At;

/// Types of resources in Kafka's messages.
const TOPIC: i8 = 2;
const BROKER: i8 = 4;

/// What is done to a configuration (KIP-339).
const SET: i8 = 0;
const DELETE: i8 = 1;

/// Where values come from, by their numbers in Kafka's messages.
const SOURCES: [&str; 7] = [
    "UNKNOWN",
    "DYNAMIC_TOPIC_CONFIG",
    "DYNAMIC_BROKER_CONFIG",
    "DYNAMIC_DEFAULT_BROKER_CONFIG",
    "STATIC_BROKER_CONFIG",
    "DEFAULT_CONFIG",
    "DYNAMIC_BROKER_LOGGER_CONFIG",
];
const DEFAULT: i8 = 5;

/// Whose configurations.
enum Of {
    Topic(String),
    Broker(i32),
    Cluster,
}

impl Of {
    fn resource_type(&self) -> i8 {
        match self {
            Of::Topic(_) => TOPIC,
            Of::Broker(_) | Of::Cluster => BROKER,
        }
    }

    /// The name in Kafka's messages. The brokers' common one is empty.
    fn resource_name(&self) -> String {
        match self {
            Of::Topic(name) => name.clone(),
            Of::Broker(id) => id.to_string(),
            Of::Cluster => String::new(),
        }
    }

    fn at(&self, cluster: &At) -> At {
        match self {
            Of::Topic(name) => topic_at(cluster, name),
            Of::Broker(id) => broker_at(cluster, *id),
            Of::Cluster => cluster.clone(),
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Of::Topic(_) => "KafkaTopicConfig",
            Of::Broker(_) => "KafkaBrokerConfig",
            Of::Cluster => "KafkaClusterConfig",
        }
    }

    /// The part of the path, and the word in a name.
    fn part(&self) -> (&'static str, &'static str) {
        match self {
            Of::Topic(_) | Of::Broker(_) => ("configs", "config"),
            Of::Cluster => ("broker-configs", "broker-config"),
        }
    }

    fn shown(&self, ask: &Ask, cluster: &At, config: &DescribeConfigsResourceResult) -> Value {
        let (part, word) = self.part();
        let synonyms = config.synonyms.iter().map(|synonym| {
            let value = synonym.value.as_ref().map(StrBytes::as_str);
            json!({ "name": synonym.name.as_str(), "value": value, "source": source(synonym.source) })
        });
        let mut fields = json!({
            "cluster_id": ask.client.cluster_id(),
            "name": config.name.as_str(),
            "value": config.value.as_ref().map(StrBytes::as_str),
            "is_default": config.config_source == DEFAULT,
            "is_read_only": config.read_only,
            "is_sensitive": config.is_sensitive,
            "source": source(config.config_source),
            "synonyms": synonyms.collect::<Vec<_>>(),
        });
        let (name, own) = match self {
            Of::Topic(name) => ("topic_name", json!(name)),
            Of::Broker(id) => ("broker_id", json!(id)),
            Of::Cluster => ("config_type", json!("BROKER")),
        };
        if let Value::Object(fields) = &mut fields {
            fields.insert(name.to_owned(), own);
        }
        self.at(cluster).down(part, word, &config.name).resource(self.kind(), fields)
    }
}

fn source(number: i8) -> &'static str {
    usize::try_from(number).ok().and_then(|number| SOURCES.get(number)).copied().unwrap_or("UNKNOWN")
}

/// What is described of several things; of one thing that fails, its error.
async fn described(
    ask: &Ask,
    of: &[Of],
    name: Option<&str>,
) -> Answer<Vec<Vec<DescribeConfigsResourceResult>>> {
    let resources = of.iter().map(|of| {
        DescribeConfigsResource::default()
            .with_resource_type(of.resource_type())
            .with_resource_name(StrBytes::from_string(of.resource_name()))
            .with_configuration_keys(name.map(|name| vec![StrBytes::from_string(name.to_owned())]))
    });
    let request =
        DescribeConfigsRequest::default().with_resources(resources.collect()).with_include_synonyms(true);
    let results = ask.client.describe_configs(request).await.results;
    results
        .into_iter()
        .map(|result| {
            check(result.error_code, result.error_message.as_ref())?;
            Ok(result.configs)
        })
        .collect()
}

async fn list(ask: &Ask, cluster: &At, of: Vec<Of>, path: String, kind: &str) -> Answer<Json<Value>> {
    let described = described(ask, &of, None).await?;
    let each = of.iter().zip(&described);
    let data =
        each.flat_map(|(of, configs)| configs.iter().map(move |config| of.shown(ask, cluster, config)));
    Ok(Json(cluster.list(&path, kind, data.collect())))
}

async fn one(ask: &Ask, cluster: &At, of: Of, name: &str) -> Answer<Json<Value>> {
    let found = described(ask, std::slice::from_ref(&of), Some(name)).await?;
    let found = found.iter().flatten().find(|config| config.name.as_str() == name);
    let found = found.ok_or_else(|| RestError::not_found(format!("Config {name} cannot be found.")))?;
    Ok(Json(of.shown(ask, cluster, found)))
}

/// One change: a name, and its value, or none where it goes back to its default.
type Change = (String, Option<String>);

async fn change(ask: &Ask, of: &Of, changes: Vec<Change>, is_dry: bool) -> Answer<StatusCode> {
    let configs = changes.into_iter().map(|(name, value)| {
        AlterableConfig::default()
            .with_name(StrBytes::from_string(name))
            .with_config_operation(if value.is_some() { SET } else { DELETE })
            .with_value(value.map(StrBytes::from_string))
    });
    let resource = AlterConfigsResource::default()
        .with_resource_type(of.resource_type())
        .with_resource_name(StrBytes::from_string(of.resource_name()))
        .with_configs(configs.collect());
    let request =
        IncrementalAlterConfigsRequest::default().with_resources(vec![resource]).with_validate_only(is_dry);
    for response in ask.client.alter_configs(request).await.responses {
        check(response.error_code, response.error_message.as_ref())?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// `UpdateConfigRequestData`.
#[derive(Debug, Deserialize)]
struct NewValue {
    value: Option<String>,
}

async fn set(
    state: &RestState,
    ask: &Ask,
    of: Of,
    name: String,
    sent: (HeaderMap, Body),
) -> Answer<StatusCode> {
    let new: NewValue = door::json(state, &sent.0, sent.1).await?;
    change(ask, &of, vec![(name, new.value)], false).await
}

/// `AlterConfigBatchRequestData`.
#[derive(Debug, Deserialize)]
struct Changes {
    data: Vec<OneChange>,
    validate_only: Option<bool>,
}

#[derive(Debug, Deserialize)]
struct OneChange {
    name: String,
    value: Option<String>,
    operation: Option<String>,
}

async fn alter(state: &RestState, ask: &Ask, of: Of, sent: (HeaderMap, Body)) -> Answer<StatusCode> {
    let changes: Changes = door::json(state, &sent.0, sent.1).await?;
    let read = changes.data.into_iter().map(|change| match change.operation.as_deref() {
        None | Some("SET") => Ok((change.name, change.value)),
        Some("DELETE") => Ok((change.name, None)),
        Some(_) => Err(RestError::bad_request("Bad Request: operation is SET or DELETE")),
    });
    let read = read.collect::<Answer<Vec<Change>>>()?;
    self::change(ask, &of, read, changes.validate_only.unwrap_or(false)).await
}

pub(super) async fn of_topic(
    ask: Ask,
    Names((named, topic)): Names<(String, String)>,
) -> Answer<Json<Value>> {
    let cluster = ask.cluster(&named)?;
    let path = format!("topics/{topic}/configs");
    list(&ask, &cluster, vec![Of::Topic(topic)], path, "KafkaTopicConfig").await
}

pub(super) async fn of_all_topics(ask: Ask, Names(named): Names<String>) -> Answer<Json<Value>> {
    let cluster = ask.cluster(&named)?;
    let topics = topics::all(&ask.client, false).await;
    let topics = topics.iter().map(|topic| Of::Topic(topics::name_of(topic))).collect();
    list(&ask, &cluster, topics, "topics/-/configs".to_owned(), "KafkaTopicConfig").await
}

pub(super) async fn one_of_topic(
    ask: Ask,
    Names((named, topic, name)): Names<(String, String, String)>,
) -> Answer<Json<Value>> {
    let cluster = ask.cluster(&named)?;
    one(&ask, &cluster, Of::Topic(topic), &name).await
}

pub(super) async fn set_of_topic(
    State(state): State<RestState>,
    ask: Ask,
    Names((named, topic, name)): Names<(String, String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Answer<StatusCode> {
    ask.cluster(&named)?;
    set(&state, &ask, Of::Topic(topic), name, (headers, body)).await
}

pub(super) async fn reset_of_topic(
    ask: Ask,
    Names((named, topic, name)): Names<(String, String, String)>,
) -> Answer<StatusCode> {
    ask.cluster(&named)?;
    change(&ask, &Of::Topic(topic), vec![(name, None)], false).await
}

pub(super) async fn alter_topic(
    State(state): State<RestState>,
    ask: Ask,
    Names((named, topic)): Names<(String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Answer<StatusCode> {
    ask.cluster(&named)?;
    alter(&state, &ask, Of::Topic(topic), (headers, body)).await
}

pub(super) async fn of_broker(ask: Ask, Names((named, id)): Names<(String, i32)>) -> Answer<Json<Value>> {
    let cluster = ask.cluster(&named)?;
    check_broker(&ask, id)?;
    list(&ask, &cluster, vec![Of::Broker(id)], format!("brokers/{id}/configs"), "KafkaBrokerConfig").await
}

pub(super) async fn of_all_brokers(ask: Ask, Names(named): Names<String>) -> Answer<Json<Value>> {
    let cluster = ask.cluster(&named)?;
    let id = ask.client.node().node_id;
    list(&ask, &cluster, vec![Of::Broker(id)], "brokers/-/configs".to_owned(), "KafkaBrokerConfig").await
}

pub(super) async fn one_of_broker(
    ask: Ask,
    Names((named, id, name)): Names<(String, i32, String)>,
) -> Answer<Json<Value>> {
    let cluster = ask.cluster(&named)?;
    check_broker(&ask, id)?;
    one(&ask, &cluster, Of::Broker(id), &name).await
}

pub(super) async fn set_of_broker(
    State(state): State<RestState>,
    ask: Ask,
    Names((named, id, name)): Names<(String, i32, String)>,
    headers: HeaderMap,
    body: Body,
) -> Answer<StatusCode> {
    ask.cluster(&named)?;
    check_broker(&ask, id)?;
    set(&state, &ask, Of::Broker(id), name, (headers, body)).await
}

pub(super) async fn reset_of_broker(
    ask: Ask,
    Names((named, id, name)): Names<(String, i32, String)>,
) -> Answer<StatusCode> {
    ask.cluster(&named)?;
    check_broker(&ask, id)?;
    change(&ask, &Of::Broker(id), vec![(name, None)], false).await
}

pub(super) async fn alter_broker(
    State(state): State<RestState>,
    ask: Ask,
    Names((named, id)): Names<(String, i32)>,
    headers: HeaderMap,
    body: Body,
) -> Answer<StatusCode> {
    ask.cluster(&named)?;
    check_broker(&ask, id)?;
    alter(&state, &ask, Of::Broker(id), (headers, body)).await
}

pub(super) async fn of_cluster(ask: Ask, Names(named): Names<String>) -> Answer<Json<Value>> {
    let cluster = ask.cluster(&named)?;
    list(&ask, &cluster, vec![Of::Cluster], "broker-configs".to_owned(), "KafkaClusterConfig").await
}

pub(super) async fn one_of_cluster(
    ask: Ask,
    Names((named, name)): Names<(String, String)>,
) -> Answer<Json<Value>> {
    let cluster = ask.cluster(&named)?;
    one(&ask, &cluster, Of::Cluster, &name).await
}

pub(super) async fn set_of_cluster(
    State(state): State<RestState>,
    ask: Ask,
    Names((named, name)): Names<(String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Answer<StatusCode> {
    ask.cluster(&named)?;
    set(&state, &ask, Of::Cluster, name, (headers, body)).await
}

pub(super) async fn reset_of_cluster(
    ask: Ask,
    Names((named, name)): Names<(String, String)>,
) -> Answer<StatusCode> {
    ask.cluster(&named)?;
    change(&ask, &Of::Cluster, vec![(name, None)], false).await
}

pub(super) async fn alter_cluster(
    State(state): State<RestState>,
    ask: Ask,
    Names(named): Names<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer<StatusCode> {
    ask.cluster(&named)?;
    alter(&state, &ask, Of::Cluster, (headers, body)).await
}
