//! Who is in a group, and what they were given.

use axum::Json;
use serde_json::{Value, json};

use super::groups::{Group, Member, find, group_at};
use super::partitions::partition_at;
use crate::rest::door::{Ask, Names};
use crate::rest::error::{Answer, RestError};
use crate::rest::links::At;

/// Where a member is.
pub(super) fn member_at(cluster: &At, group: &str, member: &str) -> At {
    group_at(cluster, group).down("consumers", "consumer", member)
}

fn pick<'a>(group: &'a Group, id: &str) -> Answer<&'a Member> {
    let found = group.members.iter().find(|member| member.id == id);
    found.ok_or_else(|| RestError::not_found(format!("Consumer {id} could not be found.")))
}

fn shown(ask: &Ask, cluster: &At, group: &str, member: &Member) -> Value {
    let at = member_at(cluster, group, &member.id);
    at.resource(
        "KafkaConsumer",
        json!({
            "cluster_id": ask.client.cluster_id(),
            "consumer_group_id": group,
            "consumer_id": member.id,
            "instance_id": member.instance,
            "client_id": member.client,
            "assignments": at.related("assignments"),
        }),
    )
}

pub(super) async fn list(ask: Ask, Names((named, name)): Names<(String, String)>) -> Answer<Json<Value>> {
    let cluster = ask.cluster(&named)?;
    let group = find(&ask.client, &name).await?;
    let data = group.members.iter().map(|member| shown(&ask, &cluster, &name, member)).collect();
    Ok(Json(group_at(&cluster, &name).list("consumers", "KafkaConsumer", data)))
}

pub(super) async fn one(
    ask: Ask,
    Names((named, name, id)): Names<(String, String, String)>,
) -> Answer<Json<Value>> {
    let cluster = ask.cluster(&named)?;
    let group = find(&ask.client, &name).await?;
    Ok(Json(shown(&ask, &cluster, &name, pick(&group, &id)?)))
}

fn given(ask: &Ask, cluster: &At, group: &str, member: &str, (topic, partition): (&str, i32)) -> Value {
    let number = partition.to_string();
    let place = format!("{topic}/partitions/{number}");
    let at = member_at(cluster, group, member).down("assignments", "assignment", topic).down(
        "partitions",
        "partition",
        &number,
    );
    at.resource(
        "KafkaConsumerAssignment",
        json!({
            "cluster_id": ask.client.cluster_id(),
            "consumer_group_id": group,
            "consumer_id": member,
            "topic_name": topic,
            "partition_id": partition,
            "partition": partition_at(cluster, topic, partition).relation(),
            "lag": group_at(cluster, group).related(&format!("lags/{place}")),
        }),
    )
}

pub(super) async fn assignments(
    ask: Ask,
    Names((named, name, id)): Names<(String, String, String)>,
) -> Answer<Json<Value>> {
    let cluster = ask.cluster(&named)?;
    let group = find(&ask.client, &name).await?;
    let member = pick(&group, &id)?;
    let mut data = Vec::new();
    for (topic, partitions) in &member.assigned {
        data.extend(
            partitions.iter().map(|partition| given(&ask, &cluster, &name, &id, (topic, *partition))),
        );
    }
    Ok(Json(member_at(&cluster, &name, &id).list("assignments", "KafkaConsumerAssignment", data)))
}

pub(super) async fn assignment(
    ask: Ask,
    Names((named, name, id, topic, partition)): Names<(String, String, String, String, i32)>,
) -> Answer<Json<Value>> {
    let cluster = ask.cluster(&named)?;
    let group = find(&ask.client, &name).await?;
    let mut own = pick(&group, &id)?.assigned.iter();
    if !own.any(|(of, partitions)| *of == topic && partitions.contains(&partition)) {
        return Err(RestError::not_found("The consumer has no such partition."));
    }
    Ok(Json(given(&ask, &cluster, &name, &id, (&topic, partition))))
}
