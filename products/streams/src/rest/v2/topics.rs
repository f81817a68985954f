//! What there is: brokers, topics, partitions, offsets.

use kafka_protocol::messages::describe_configs_request::{DescribeConfigsRequest, DescribeConfigsResource};
use kafka_protocol::messages::metadata_response::{MetadataResponsePartition, MetadataResponseTopic};
use kafka_protocol::protocol::StrBytes;
use serde_json::{Map, Value, json};

use super::{V2, named};
use crate::rest::door::{Ask, Names};
use crate::rest::error::{Answer, RestError};
use crate::rest::read::{self, EARLIEST, LATEST};
use crate::rest::v3::topics::{all, find, name_of};

/// The type of topics in Kafka's messages.
const TOPIC: i8 = 2;

pub(super) async fn brokers(ask: Ask) -> V2 {
    V2(json!({ "brokers": [ask.client.node().node_id] }))
}

pub(super) async fn list(ask: Ask) -> V2 {
    let topics = all(&ask.client, false).await;
    V2(topics.iter().map(name_of).collect::<Vec<_>>().into())
}

fn shown(partition: &MetadataResponsePartition) -> Value {
    let replicas = partition.replica_nodes.iter().map(|node| {
        json!({
            "broker": node.0,
            "leader": *node == partition.leader_id,
            "in_sync": partition.isr_nodes.contains(node),
        })
    });
    json!({
        "partition": partition.partition_index,
        "leader": partition.leader_id.0,
        "replicas": replicas.collect::<Vec<_>>(),
    })
}

fn all_shown(topic: &MetadataResponseTopic) -> Value {
    topic.partitions.iter().map(shown).collect::<Vec<_>>().into()
}

pub(super) async fn one(ask: Ask, Names(name): Names<String>) -> Answer<V2> {
    let topic = find(&ask.client, &name, false).await.map_err(named)?;
    let resource = DescribeConfigsResource::default()
        .with_resource_type(TOPIC)
        .with_resource_name(StrBytes::from_string(name.clone()))
        .with_configuration_keys(None);
    let request = DescribeConfigsRequest::default().with_resources(vec![resource]);
    // Who may see a topic may not see its configuration by that.
    let results = ask.client.describe_configs(request).await.results;
    let configs: Map<String, Value> = results
        .into_iter()
        .flat_map(|result| result.configs)
        .map(|config| (config.name.to_string(), json!(config.value.as_ref().map(StrBytes::as_str))))
        .collect();
    Ok(V2(json!({ "name": name, "configs": configs, "partitions": all_shown(&topic) })))
}

pub(super) async fn partitions(ask: Ask, Names(name): Names<String>) -> Answer<V2> {
    Ok(V2(all_shown(&find(&ask.client, &name, false).await.map_err(named)?)))
}

async fn pick(ask: &Ask, name: &str, index: i32) -> Answer<MetadataResponsePartition> {
    let topic = find(&ask.client, name, false).await.map_err(named)?;
    let found = topic.partitions.into_iter().find(|partition| partition.partition_index == index);
    found.ok_or_else(RestError::partition_not_found)
}

pub(super) async fn partition(ask: Ask, Names((name, index)): Names<(String, i32)>) -> Answer<V2> {
    Ok(V2(shown(&pick(&ask, &name, index).await?)))
}

pub(super) async fn offsets(ask: Ask, Names((name, index)): Names<(String, i32)>) -> Answer<V2> {
    pick(&ask, &name, index).await?;
    let beginning = read::offset(&ask.client, &name, index, EARLIEST).await?;
    let end = read::offset(&ask.client, &name, index, LATEST).await?;
    Ok(V2(json!({ "beginning_offset": beginning, "end_offset": end })))
}
