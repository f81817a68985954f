//! Consumer groups of both protocols, as one kind of thing.

use axum::Json;
use kafka_protocol::messages::consumer_group_describe_response::Member as ConsumerMember;
use kafka_protocol::messages::describe_groups_response::DescribedGroupMember;
use kafka_protocol::messages::{
    ConsumerGroupDescribeRequest, DescribeGroupsRequest, GroupId, ListGroupsRequest,
};
use kafka_protocol::protocol::StrBytes;
use serde_json::{Value, json};

use super::clusters::broker_at;
use crate::groups::{CONSUMER, assigned_partitions};
use crate::rest::client::Client;
use crate::rest::door::{Ask, Names};
use crate::rest::error::{Answer, RestError, check};
use crate::rest::links::At;

/// The state of a classic group that there is none of.
const DEAD: &str = "Dead";

/// A group.
pub(super) struct Group {
    pub id: String,
    kind: String,
    state: String,
    assignor: String,
    protocol_type: String,
    pub members: Vec<Member>,
}

/// Who is in one.
pub(super) struct Member {
    pub id: String,
    pub instance: Option<String>,
    pub client: String,
    /// Topics, and the partitions of each.
    pub assigned: Vec<(String, Vec<i32>)>,
}

fn owned(text: &StrBytes) -> String {
    text.to_string()
}

fn group_id(name: &str) -> GroupId {
    GroupId(StrBytes::from_string(name.to_owned()))
}

/// A group; an error where there is none of that name.
pub(super) async fn find(client: &Client, name: &str) -> Answer<Group> {
    if let Some(group) = of_consumers(client, name).await? {
        return Ok(group);
    }
    let request = DescribeGroupsRequest::default().with_groups(vec![group_id(name)]);
    let found = client.describe_groups(request).await.groups.into_iter().next();
    let missing = || RestError::not_found(format!("Consumer Group {name} could not be found."));
    let found = found.ok_or_else(missing)?;
    check(found.error_code, found.error_message.as_ref())?;
    if found.group_state.as_str() == DEAD {
        return Err(missing());
    }
    // What members of other groups tell each other is theirs.
    let are_consumers = found.protocol_type.as_str() == CONSUMER;
    Ok(Group {
        id: name.to_owned(),
        kind: "classic".to_owned(),
        state: owned(&found.group_state),
        assignor: owned(&found.protocol_data),
        protocol_type: owned(&found.protocol_type),
        members: found.members.iter().map(|member| classic(member, are_consumers)).collect(),
    })
}

async fn of_consumers(client: &Client, name: &str) -> Answer<Option<Group>> {
    let request = ConsumerGroupDescribeRequest::default().with_group_ids(vec![group_id(name)]);
    let found = client.describe_consumer_groups(request).await.groups.into_iter().next();
    let Some(found) = found else { return Ok(None) };
    match check(found.error_code, found.error_message.as_ref()) {
        Ok(()) => {}
        Err(error) if error.status == http::StatusCode::NOT_FOUND => return Ok(None),
        Err(error) => return Err(error),
    }
    Ok(Some(Group {
        id: name.to_owned(),
        kind: "consumer".to_owned(),
        state: owned(&found.group_state),
        assignor: owned(&found.assignor_name),
        protocol_type: CONSUMER.to_owned(),
        members: found.members.iter().map(consumer).collect(),
    }))
}

fn consumer(member: &ConsumerMember) -> Member {
    let topics = member.assignment.topic_partitions.iter();
    Member {
        id: owned(&member.member_id),
        instance: member.instance_id.as_ref().map(owned),
        client: owned(&member.client_id),
        assigned: topics.map(|topic| (topic.topic_name.to_string(), topic.partitions.clone())).collect(),
    }
}

fn classic(member: &DescribedGroupMember, is_consumer: bool) -> Member {
    let assigned = is_consumer.then(|| assigned_partitions(&member.member_assignment)).flatten();
    Member {
        id: owned(&member.member_id),
        instance: member.group_instance_id.as_ref().map(owned),
        client: owned(&member.client_id),
        assigned: assigned.unwrap_or_default(),
    }
}

/// Where a group is.
pub(super) fn group_at(cluster: &At, group: &str) -> At {
    cluster.down("consumer-groups", "consumer-group", group)
}

/// `PreparingRebalance` as `PREPARING_REBALANCE`.
fn upper_snake(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 4);
    for (at, letter) in name.char_indices() {
        if letter.is_ascii_uppercase() && at > 0 {
            out.push('_');
        }
        out.push(letter.to_ascii_uppercase());
    }
    out
}

fn shown(ask: &Ask, cluster: &At, group: &Group) -> Value {
    let at = group_at(cluster, &group.id);
    at.resource(
        "KafkaConsumerGroup",
        json!({
            "cluster_id": ask.client.cluster_id(),
            "consumer_group_id": group.id,
            // One that only commits offsets has no protocol.
            "is_simple": group.protocol_type.is_empty(),
            "partition_assignor": group.assignor,
            "state": upper_snake(&group.state),
            "type": upper_snake(&group.kind),
            "is_mixed_consumer_group": false,
            "coordinator": broker_at(cluster, ask.client.node().node_id).relation(),
            "consumers": at.related("consumers"),
            "lag_summary": at.related("lag-summary"),
        }),
    )
}

pub(super) async fn list(ask: Ask, Names(named): Names<String>) -> Answer<Json<Value>> {
    let cluster = ask.cluster(&named)?;
    let listed = ask.client.list_groups(ListGroupsRequest::default()).await;
    check(listed.error_code, None)?;
    let mut data = Vec::new();
    for listed in listed.groups {
        // One that goes meanwhile is not shown.
        if let Ok(group) = find(&ask.client, &listed.group_id).await {
            data.push(shown(&ask, &cluster, &group));
        }
    }
    Ok(Json(cluster.list("consumer-groups", "KafkaConsumerGroup", data)))
}

pub(super) async fn one(ask: Ask, Names((named, name)): Names<(String, String)>) -> Answer<Json<Value>> {
    let cluster = ask.cluster(&named)?;
    let group = find(&ask.client, &name).await?;
    Ok(Json(shown(&ask, &cluster, &group)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_written_as_kafka_rest_writes_them() {
        assert_eq!(upper_snake("PreparingRebalance"), "PREPARING_REBALANCE");
        assert_eq!(upper_snake("Stable"), "STABLE");
        assert_eq!(upper_snake("classic"), "CLASSIC");
    }
}
