//! Resources have the shapes of kafka-rest's `openapi.yaml`.

use axum::body::Body;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::{GroupId, TopicName};
use serde_json::{Value, json};

use super::Web;
use crate::testing::text;

fn related(value: &Value) -> String {
    value["related"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_and_its_topics() {
    let web = Web::new().await;
    let cluster = &web.cluster;
    let made = web.post(&web.v3("/topics"), json!({ "topic_name": "t", "partitions_count": 2, "configs": [{ "name": "cleanup.policy", "value": "compact" }] })).await;
    let url = format!("http://host/kafka/v3/clusters/{cluster}");
    let topic = json!({
        "kind": "KafkaTopic",
        "metadata": { "self": format!("{url}/topics/t"), "resource_name": format!("crn:///kafka={cluster}/topic=t") },
        "cluster_id": cluster, "topic_name": "t", "is_internal": false, "replication_factor": 1, "partitions_count": 2,
        "partitions": { "related": format!("{url}/topics/t/partitions") },
        "configs": { "related": format!("{url}/topics/t/configs") },
        "partition_reassignments": { "related": format!("{url}/topics/t/partitions/-/reassignment") },
    });
    assert_eq!((made.status.as_u16(), made.json()), (201, topic.clone()));
    assert_eq!(made.headers["location"].to_str().unwrap(), format!("{url}/topics/t"));
    assert_eq!(web.get(&web.v3("/topics/t")).await.json(), topic);
    let dry = web.post(&web.v3("/topics"), json!({ "topic_name": "dry", "validate_only": true })).await;
    assert_eq!((dry.status.as_u16(), dry.json()["partitions_count"].clone()), (200, json!(4)));
    assert_eq!(web.get(&web.v3("/topics/dry")).await.status, 404);

    let grown = web.ask("PATCH", &web.v3("/topics/t"), "application/json", r#"{"partitions_count":3}"#).await;
    assert_eq!(grown.json()["partitions_count"], 3);
    let asked = web.get(&web.v3("/topics/t?include_authorized_operations=true")).await.json();
    assert!(asked["authorized_operations"].as_array().unwrap().contains(&json!("WRITE")));

    let one = web.get(&web.v3("")).await.json();
    assert_eq!(one["kind"], "KafkaCluster");
    for link in [
        "controller",
        "acls",
        "brokers",
        "broker_configs",
        "consumer_groups",
        "topics",
        "partition_reassignments",
    ] {
        let path = related(&one[link]).strip_prefix("http://host").unwrap().to_owned();
        assert_eq!(web.get(&path).await.status, 200, "{link}");
    }
    let brokers = web.get(&web.v3("/brokers")).await.json();
    assert_eq!((&brokers["kind"], &brokers["data"][0]["port"]), (&json!("KafkaBrokerList"), &json!(9092)));
    assert_eq!(web.get("/kafka/brokers").await.json(), json!({ "brokers": [1] }));
    let replicas = web.get(&web.v3("/brokers/1/partition-replicas")).await.json();
    assert!(replicas["data"].as_array().unwrap().iter().any(|replica| replica["topic_name"] == "t"));

    let shown = web.get("/kafka/topics/t").await.json();
    assert_eq!(
        (&shown["configs"]["cleanup.policy"], &shown["partitions"][2]),
        (
            &json!("compact"),
            &json!({ "partition": 2, "leader": 1, "replicas": [{ "broker": 1, "leader": true, "in_sync": true }] }),
        )
    );
    assert_eq!(web.ask("DELETE", &web.v3("/topics/t"), "", Body::empty()).await.status, 204);
    assert_eq!(web.get("/kafka/topics/t").await.json()["error_code"], 40401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_and_what_is_below_them() {
    let web = Web::new().await;
    web.topic("t", 2).await;
    let partitions = web.get(&web.v3("/topics/t/partitions")).await.json();
    assert_eq!(
        (&partitions["kind"], partitions["data"].as_array().map(Vec::len)),
        (&json!("KafkaPartitionList"), Some(2))
    );
    let one = web.get(&web.v3("/topics/t/partitions/1")).await.json();
    assert_eq!(one, partitions["data"][1]);
    for (link, kind) in [("leader", "KafkaReplica"), ("replicas", "KafkaReplicaList")] {
        let path = related(&one[link]).strip_prefix("http://host").unwrap().to_owned();
        assert_eq!(web.get(&path).await.json()["kind"], kind);
    }
    let replica = web.get(&web.v3("/topics/t/partitions/1/replicas/1")).await.json();
    assert_eq!((&replica["is_leader"], &replica["is_in_sync"]), (&json!(true), &json!(true)));
    web.post(&web.v3("/topics/t/records"), r#"{"partition_id":1,"value":{"type":"STRING","data":"x"}}"#)
        .await;
    let offsets = web.get(&web.v3("/topics/t/partitions/1/offset")).await.json();
    assert_eq!((&offsets["earliest_offset"], &offsets["latest_offset"]), (&json!(0), &json!(1)));
    let latest = web.get(&web.v3("/topics/t/partitions/1/offset?offset_type=latest")).await.json();
    assert_eq!((latest.get("earliest_offset"), &latest["latest_offset"]), (None, &json!(1)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn configurations_are_set_and_reset() {
    let web = Web::new().await;
    web.topic("t", 1).await;
    let path = web.v3("/topics/t/configs/retention.ms");
    let before = web.get(&path).await.json();
    assert_eq!(
        (&before["kind"], &before["is_default"], &before["source"]),
        (&json!("KafkaTopicConfig"), &json!(true), &json!("DEFAULT_CONFIG"))
    );
    assert_eq!(web.ask("PUT", &path, "application/json", r#"{"value":"1000"}"#).await.status, 204);
    let after = web.get(&path).await.json();
    assert_eq!(
        (&after["value"], &after["is_default"], &after["source"]),
        (&json!("1000"), &json!(false), &json!("DYNAMIC_TOPIC_CONFIG"))
    );
    assert!(after["synonyms"].as_array().unwrap().len() > 1);
    assert_eq!(web.ask("DELETE", &path, "", Body::empty()).await.status, 204);
    assert_eq!(web.get(&path).await.json()["value"], before["value"]);
    let alter = json!({ "data": [{ "name": "retention.ms", "value": "2000" }], "validate_only": true });
    assert_eq!(web.post(&web.v3("/topics/t/configs:alter"), alter).await.status, 204);
    assert_eq!(web.get(&path).await.json()["value"], before["value"]);
    let names = |list: Value| {
        list["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|config| config["name"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let all = names(web.get(&web.v3("/topics/t/configs")).await.json());
    assert!(all.contains(&"candor.values".to_owned()) && all.contains(&"cleanup.policy".to_owned()));
    assert!(names(web.get(&web.v3("/topics/-/configs")).await.json()).len() >= all.len());
    assert!(
        names(web.get(&web.v3("/brokers/1/configs")).await.json()).contains(&"num.partitions".to_owned())
    );
    let one = web.get(&web.v3("/brokers/1/configs/num.partitions")).await.json();
    assert_eq!((&one["kind"], &one["broker_id"]), (&json!("KafkaBrokerConfig"), &json!(1)));
    assert_eq!(web.get(&web.v3("/brokers/-/configs")).await.json()["kind"], "KafkaBrokerConfigList");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_are_made_found_and_removed() {
    let web = Web::new().await;
    let rule = |name: &str, operation: &str| {
        json!({
            "resource_type": "TOPIC", "resource_name": name, "pattern_type": "PREFIXED", "principal": "User:guest",
            "host": "*", "operation": operation, "permission": "ALLOW",
        })
    };
    let made = web.post(&web.v3("/acls"), rule("a", "READ")).await;
    assert_eq!(made.status, 201);
    let location = made.headers["location"].to_str().unwrap().strip_prefix("http://host").unwrap().to_owned();
    assert_eq!(web.get(&location).await.json()["data"].as_array().map(Vec::len), Some(1));
    let both = json!({ "data": [rule("b", "WRITE"), rule("b", "READ")] });
    assert_eq!(web.post(&web.v3("/acls:batch"), both).await.status, 201);
    let found = web.get(&web.v3("/acls?resource_type=topic&operation=READ")).await.json();
    let names: Vec<&Value> =
        found["data"].as_array().unwrap().iter().map(|rule| &rule["resource_name"]).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(found["data"][0]["principal"], "User:guest");
    let query = "?resource_type=TOPIC&resource_name=b&pattern_type=PREFIXED&operation=ANY&permission=ANY";
    let gone = web.ask("DELETE", &web.v3(&format!("/acls{query}")), "", Body::empty()).await.json();
    assert_eq!(gone["data"].as_array().map(Vec::len), Some(2));
    assert_eq!(web.get(&web.v3("/acls")).await.json()["data"].as_array().map(Vec::len), Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn groups_and_how_far_they_are_behind() {
    let web = Web::new().await;
    web.topic("t", 2).await;
    for partition in [0, 1, 1] {
        let record = json!({ "partition_id": partition, "value": { "type": "STRING", "data": "x" } });
        web.post(&web.v3("/topics/t/records"), record).await;
    }
    let commit = |index: i32, offset: i64| {
        OffsetCommitRequestPartition::default().with_partition_index(index).with_committed_offset(offset)
    };
    let topic = OffsetCommitRequestTopic::default()
        .with_name(TopicName(text("t")))
        .with_partitions(vec![commit(0, 1), commit(1, 0)]);
    let request = OffsetCommitRequest::default()
        .with_group_id(GroupId(text("g h")))
        .with_generation_id_or_member_epoch(-1)
        .with_topics(vec![topic]);
    web.house.streams.parts.groups.offset_commit(&web.house.owner, request, 8).await;

    let group = web.get(&web.v3("/consumer-groups/g%20h")).await.json();
    assert_eq!(
        (&group["kind"], &group["consumer_group_id"], &group["state"], &group["type"], &group["is_simple"]),
        (&json!("KafkaConsumerGroup"), &json!("g h"), &json!("EMPTY"), &json!("CLASSIC"), &json!(true))
    );
    assert_eq!(web.get(&web.v3("/consumer-groups")).await.json()["data"], json!([group]));
    for link in ["coordinator", "consumers", "lag_summary"] {
        let path = related(&group[link]).strip_prefix("http://host").unwrap().to_owned();
        assert_eq!(web.get(&path).await.status, 200, "{link}");
    }
    let lags = web.get(&web.v3("/consumer-groups/g%20h/lags")).await.json();
    let each: Vec<(&Value, &Value, &Value, &Value)> = lags["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|lag| (&lag["partition_id"], &lag["current_offset"], &lag["log_end_offset"], &lag["lag"]))
        .collect();
    assert_eq!(
        each,
        [(&json!(1), &json!(0), &json!(2), &json!(2)), (&json!(0), &json!(1), &json!(1), &json!(0))]
    );
    let one = web.get(&web.v3("/consumer-groups/g%20h/lags/t/partitions/1")).await.json();
    assert_eq!(one, lags["data"][0]);
    let summary = web.get(&web.v3("/consumer-groups/g%20h/lag-summary")).await.json();
    assert_eq!(
        (&summary["max_lag"], &summary["total_lag"], &summary["max_lag_partition_id"]),
        (&json!(2), &json!(2), &json!(1))
    );
}
