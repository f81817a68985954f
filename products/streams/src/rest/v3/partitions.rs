//! Partitions, their replicas, their offsets. There is one broker, so nothing is ever moved.

use axum::Json;
use kafka_protocol::messages::metadata_response::{MetadataResponsePartition, MetadataResponseTopic};
use serde_json::{Value, json};

use super::clusters::{broker_at, check_broker};
use super::topics::{all, find, name_of, topic_at};
use crate::rest::door::{Ask, Asked, Names};
use crate::rest::error::{Answer, RestError};
use crate::rest::links::At;
use crate::rest::read::{self, EARLIEST, LATEST};

/// Where a partition is.
pub(super) fn partition_at(cluster: &At, topic: &str, index: i32) -> At {
    topic_at(cluster, topic).down("partitions", "partition", &index.to_string())
}

fn pick(topic: &MetadataResponseTopic, index: i32) -> Answer<&MetadataResponsePartition> {
    let found = topic.partitions.iter().find(|partition| partition.partition_index == index);
    found.ok_or_else(RestError::partition_not_found)
}

fn shown(ask: &Ask, cluster: &At, topic: &str, partition: &MetadataResponsePartition) -> Value {
    let index = partition.partition_index;
    let at = partition_at(cluster, topic, index);
    at.resource(
        "KafkaPartition",
        json!({
            "cluster_id": ask.client.cluster_id(),
            "topic_name": topic,
            "partition_id": index,
            "leader": at.related(&format!("replicas/{}", partition.leader_id.0)),
            "replicas": at.related("replicas"),
            "reassignment": at.related("reassignment"),
        }),
    )
}

pub(super) async fn list(ask: Ask, Names((named, name)): Names<(String, String)>) -> Answer<Json<Value>> {
    let cluster = ask.cluster(&named)?;
    let topic = find(&ask.client, &name, false).await?;
    let data = topic.partitions.iter().map(|partition| shown(&ask, &cluster, &name, partition)).collect();
    Ok(Json(topic_at(&cluster, &name).list("partitions", "KafkaPartition", data)))
}

pub(super) async fn one(
    ask: Ask,
    Names((named, name, index)): Names<(String, String, i32)>,
) -> Answer<Json<Value>> {
    let cluster = ask.cluster(&named)?;
    let topic = find(&ask.client, &name, false).await?;
    Ok(Json(shown(&ask, &cluster, &name, pick(&topic, index)?)))
}

/// The first and the last offset; `offset_type` asks for one of them.
pub(super) async fn offsets(
    ask: Ask,
    Names((named, name, index)): Names<(String, String, i32)>,
    asked: Asked,
) -> Answer<Json<Value>> {
    let cluster = ask.cluster(&named)?;
    let (earliest, latest) = match asked.text("offset_type") {
        None => (true, true),
        Some(kind) if kind.eq_ignore_ascii_case("earliest") => (true, false),
        Some(kind) if kind.eq_ignore_ascii_case("latest") => (false, true),
        Some(_) => return Err(RestError::bad_request("offset_type is earliest or latest")),
    };
    let topic = find(&ask.client, &name, false).await?;
    pick(&topic, index)?;
    let mut fields =
        json!({ "cluster_id": ask.client.cluster_id(), "topic_name": name, "partition_id": index });
    for (wanted, field, time) in [(earliest, "earliest_offset", EARLIEST), (latest, "latest_offset", LATEST)]
    {
        if wanted && let Value::Object(fields) = &mut fields {
            let offset = read::offset(&ask.client, &name, index, time).await?;
            fields.insert(field.to_owned(), json!(offset));
        }
    }
    Ok(Json(
        partition_at(&cluster, &name, index).only("offset").resource("KafkaPartitionWithOffsets", fields),
    ))
}

fn replica_shown(
    ask: &Ask,
    cluster: &At,
    topic: &str,
    partition: &MetadataResponsePartition,
    id: i32,
) -> Value {
    let index = partition.partition_index;
    partition_at(cluster, topic, index).down("replicas", "replica", &id.to_string()).resource(
        "KafkaReplica",
        json!({
            "cluster_id": ask.client.cluster_id(),
            "topic_name": topic,
            "partition_id": index,
            "broker_id": id,
            "is_leader": partition.leader_id.0 == id,
            "is_in_sync": partition.isr_nodes.iter().any(|node| node.0 == id),
            "broker": broker_at(cluster, id).relation(),
        }),
    )
}

fn replicas_shown(ask: &Ask, cluster: &At, topic: &str, partition: &MetadataResponsePartition) -> Vec<Value> {
    let ids = partition.replica_nodes.iter();
    ids.map(|id| replica_shown(ask, cluster, topic, partition, id.0)).collect()
}

pub(super) async fn replicas(
    ask: Ask,
    Names((named, name, index)): Names<(String, String, i32)>,
) -> Answer<Json<Value>> {
    let cluster = ask.cluster(&named)?;
    let topic = find(&ask.client, &name, false).await?;
    let data = replicas_shown(&ask, &cluster, &name, pick(&topic, index)?);
    Ok(Json(partition_at(&cluster, &name, index).list("replicas", "KafkaReplica", data)))
}

pub(super) async fn replica(
    ask: Ask,
    Names((named, name, index, id)): Names<(String, String, i32, i32)>,
) -> Answer<Json<Value>> {
    let cluster = ask.cluster(&named)?;
    let topic = find(&ask.client, &name, false).await?;
    let partition = pick(&topic, index)?;
    if !partition.replica_nodes.iter().any(|node| node.0 == id) {
        return Err(RestError::not_found(format!("Replica {id} cannot be found.")));
    }
    Ok(Json(replica_shown(&ask, &cluster, &name, partition, id)))
}

pub(super) async fn of_broker(ask: Ask, Names((named, id)): Names<(String, i32)>) -> Answer<Json<Value>> {
    let cluster = ask.cluster(&named)?;
    check_broker(&ask, id)?;
    let topics = all(&ask.client, false).await;
    let data = topics.iter().flat_map(|topic| {
        let name = name_of(topic);
        let each = topic.partitions.iter();
        each.flat_map(|partition| replicas_shown(&ask, &cluster, &name, partition)).collect::<Vec<_>>()
    });
    Ok(Json(broker_at(&cluster, id).list("partition-replicas", "KafkaReplica", data.collect())))
}

pub(super) async fn reassignments(ask: Ask, Names(named): Names<String>) -> Answer<Json<Value>> {
    let cluster = ask.cluster(&named)?;
    Ok(Json(cluster.list("topics/-/partitions/-/reassignment", "KafkaReassignment", Vec::new())))
}

pub(super) async fn reassignments_of_topic(
    ask: Ask,
    Names((named, name)): Names<(String, String)>,
) -> Answer<Json<Value>> {
    let cluster = ask.cluster(&named)?;
    find(&ask.client, &name, false).await?;
    let at = topic_at(&cluster, &name);
    Ok(Json(at.list("partitions/-/reassignment", "KafkaReassignment", Vec::new())))
}

pub(super) async fn reassignment(
    ask: Ask,
    Names((named, name, index)): Names<(String, String, i32)>,
) -> Answer<Json<Value>> {
    ask.cluster(&named)?;
    let topic = find(&ask.client, &name, false).await?;
    pick(&topic, index)?;
    Err(RestError::not_found("No reassignment of this partition is under way."))
}
