//! The cluster, and its one broker.

use axum::Json;
use serde_json::{Value, json};

use crate::rest::door::{Ask, Names};
use crate::rest::error::{Answer, RestError};
use crate::rest::links::At;

pub(super) async fn list(ask: Ask) -> Answer<Json<Value>> {
    let at = At::cluster(&ask.base, &ask.client.cluster_id());
    let url = format!("{}/v3/clusters", ask.base);
    let data = [cluster(&ask, &at)];
    Ok(Json(json!({ "kind": "KafkaClusterList", "metadata": { "self": url, "next": null }, "data": data })))
}

pub(super) async fn one(ask: Ask, Names(named): Names<String>) -> Answer<Json<Value>> {
    let at = ask.cluster(&named)?;
    Ok(Json(cluster(&ask, &at)))
}

fn cluster(ask: &Ask, at: &At) -> Value {
    let node = ask.client.node();
    at.resource(
        "KafkaCluster",
        json!({
            "cluster_id": node.cluster_id,
            "controller": at.related(&format!("brokers/{}", node.node_id)),
            "acls": at.related("acls"),
            "brokers": at.related("brokers"),
            "broker_configs": at.related("broker-configs"),
            "consumer_groups": at.related("consumer-groups"),
            "topics": at.related("topics"),
            "partition_reassignments": at.related("topics/-/partitions/-/reassignment"),
        }),
    )
}

/// The broker of that number below a cluster.
pub(super) fn broker_at(cluster: &At, id: i32) -> At {
    cluster.down("brokers", "broker", &id.to_string())
}

/// Refuses the number of a broker that is not there.
pub(super) fn check_broker(ask: &Ask, id: i32) -> Answer<()> {
    if id == ask.client.node().node_id {
        Ok(())
    } else {
        Err(RestError::not_found(format!("Broker {id} cannot be found.")))
    }
}

pub(super) async fn brokers(ask: Ask, Names(named): Names<String>) -> Answer<Json<Value>> {
    let at = ask.cluster(&named)?;
    Ok(Json(at.list("brokers", "KafkaBroker", vec![shown(&ask, &at)])))
}

pub(super) async fn broker(ask: Ask, Names((named, id)): Names<(String, i32)>) -> Answer<Json<Value>> {
    let at = ask.cluster(&named)?;
    check_broker(&ask, id)?;
    Ok(Json(shown(&ask, &at)))
}

fn shown(ask: &Ask, cluster: &At) -> Value {
    let node = ask.client.node();
    let at = broker_at(cluster, node.node_id);
    at.resource(
        "KafkaBroker",
        json!({
            "cluster_id": node.cluster_id,
            "broker_id": node.node_id,
            "host": node.host,
            "port": node.port,
            "rack": null,
            "configs": at.related("configs"),
            "partition_replicas": at.related("partition-replicas"),
        }),
    )
}
