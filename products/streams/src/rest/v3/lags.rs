//! How far groups are behind.

use std::collections::BTreeMap;

use axum::Json;
use kafka_protocol::messages::GroupId;
use kafka_protocol::messages::offset_fetch_request::{OffsetFetchRequest, OffsetFetchRequestGroup};
use kafka_protocol::protocol::StrBytes;
use serde_json::{Value, json};

use super::groups::{Group, Member, find, group_at};
use super::members::member_at;
use super::partitions::partition_at;
use crate::rest::client::Client;
use crate::rest::door::{Ask, Names};
use crate::rest::error::{Answer, RestError, check};
use crate::rest::links::At;
use crate::rest::read::{self, LATEST};

/// A partition that a group has read from.
struct Lag<'a> {
    topic: String,
    partition: i32,
    /// What it committed.
    current: i64,
    end: i64,
    /// Whom it is given to.
    member: Option<&'a Member>,
}

impl Lag<'_> {
    fn lag(&self) -> i64 {
        self.end.saturating_sub(self.current).max(0)
    }

    fn of_member<T>(&self, part: impl Fn(&Member) -> T) -> Option<T> {
        self.member.map(part)
    }
}

async fn lags<'a>(client: &Client, group: &'a Group) -> Answer<Vec<Lag<'a>>> {
    let asked = OffsetFetchRequestGroup::default()
        .with_group_id(GroupId(StrBytes::from_string(group.id.clone())))
        .with_topics(None);
    let found = client.committed(OffsetFetchRequest::default().with_groups(vec![asked])).await;
    let Some(found) = found.groups.into_iter().next() else { return Ok(Vec::new()) };
    check(found.error_code, None)?;
    let mut committed: BTreeMap<(String, i32), i64> = BTreeMap::new();
    for topic in &found.topics {
        let known =
            topic.partitions.iter().filter(|found| found.error_code == 0 && found.committed_offset >= 0);
        committed.extend(
            known.map(|found| ((topic.name.to_string(), found.partition_index), found.committed_offset)),
        );
    }
    let mut asked: BTreeMap<String, Vec<i32>> = BTreeMap::new();
    for (topic, partition) in committed.keys() {
        asked.entry(topic.clone()).or_default().push(*partition);
    }
    let ends = read::offsets(client, asked.into_iter().collect(), LATEST).await;
    let mut lags = Vec::with_capacity(ends.len());
    for (topic, partition, end) in ends {
        let place = (topic, partition);
        // A topic that the client may not read, or that goes meanwhile.
        let (Ok(end), Some(current)) = (end, committed.get(&place).copied()) else { continue };
        let (topic, partition) = place;
        let holds = |member: &&Member| {
            member.assigned.iter().any(|(of, partitions)| *of == topic && partitions.contains(&partition))
        };
        let member = group.members.iter().find(holds);
        lags.push(Lag { topic, partition, current, end, member });
    }
    Ok(lags)
}

fn shown(ask: &Ask, cluster: &At, group: &Group, lag: &Lag<'_>) -> Value {
    let at = group_at(cluster, &group.id).down("lags", "lag", &lag.topic).down(
        "partitions",
        "partition",
        &lag.partition.to_string(),
    );
    at.resource(
        "KafkaConsumerLag",
        json!({
            "cluster_id": ask.client.cluster_id(),
            "consumer_group_id": group.id,
            "topic_name": lag.topic,
            "partition_id": lag.partition,
            "consumer_id": lag.of_member(|member| member.id.clone()).unwrap_or_default(),
            "instance_id": lag.of_member(|member| member.instance.clone()).flatten(),
            "client_id": lag.of_member(|member| member.client.clone()).unwrap_or_default(),
            "current_offset": lag.current,
            "log_end_offset": lag.end,
            "lag": lag.lag(),
        }),
    )
}

pub(super) async fn list(ask: Ask, Names((named, name)): Names<(String, String)>) -> Answer<Json<Value>> {
    let cluster = ask.cluster(&named)?;
    let group = find(&ask.client, &name).await?;
    let mut lags = lags(&ask.client, &group).await?;
    lags.sort_by_key(|lag| std::cmp::Reverse(lag.lag()));
    let data = lags.iter().map(|lag| shown(&ask, &cluster, &group, lag)).collect();
    Ok(Json(group_at(&cluster, &name).list("lags", "KafkaConsumerLag", data)))
}

pub(super) async fn one(
    ask: Ask,
    Names((named, name, topic, partition)): Names<(String, String, String, i32)>,
) -> Answer<Json<Value>> {
    let cluster = ask.cluster(&named)?;
    let group = find(&ask.client, &name).await?;
    let lags = lags(&ask.client, &group).await?;
    let found = lags.iter().find(|lag| lag.topic == topic && lag.partition == partition);
    let found =
        found.ok_or_else(|| RestError::not_found("The group has committed no offset of this partition."))?;
    Ok(Json(shown(&ask, &cluster, &group, found)))
}

pub(super) async fn summary(ask: Ask, Names((named, name)): Names<(String, String)>) -> Answer<Json<Value>> {
    let cluster = ask.cluster(&named)?;
    let group = find(&ask.client, &name).await?;
    let lags = lags(&ask.client, &group).await?;
    let most = lags.iter().max_by_key(|lag| lag.lag());
    let most = most.ok_or_else(|| RestError::not_found("The group has committed no offsets."))?;
    let consumer = most.of_member(|member| member.id.clone()).unwrap_or_default();
    let fields = json!({
        "cluster_id": ask.client.cluster_id(),
        "consumer_group_id": name,
        "max_lag_consumer_id": consumer,
        "max_lag_instance_id": most.of_member(|member| member.instance.clone()).flatten(),
        "max_lag_client_id": most.of_member(|member| member.client.clone()).unwrap_or_default(),
        "max_lag_topic_name": most.topic,
        "max_lag_partition_id": most.partition,
        "max_lag": most.lag(),
        "total_lag": lags.iter().map(Lag::lag).sum::<i64>(),
        "max_lag_consumer": member_at(&cluster, &name, &consumer).relation(),
        "max_lag_partition": partition_at(&cluster, &most.topic, most.partition).relation(),
    });
    let at = group_at(&cluster, &name).only("lag-summary");
    Ok(Json(at.resource("KafkaConsumerGroupLagSummary", fields)))
}
