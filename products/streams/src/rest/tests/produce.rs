//! Records in, and out again.

use std::collections::BTreeSet;

use axum::body::Body;
use futures::stream;
use serde_json::{Value, json};

use super::Web;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_of_records_is_stored_and_read_again() {
    let web = Web::new().await;
    web.topic("t", 2).await;
    let key = |kind: &str, data: Value| json!({ "type": kind, "data": data });
    let sent = [
        json!({
            "partition_id": 1,
            "headers": [{ "name": "h", "value": "AQI=" }, { "name": "n", "value": null }],
            "key": { "type": "STRING", "data": "k" },
            "value": { "type": "JSON", "data": { "a": [1, "}"] } },
            "timestamp": "2021-02-05T19:14:42Z",
        }),
        json!({ "partition_id": 1, "key": key("STRING", json!("k")), "value": key("JSON", json!(null)) }),
        json!({ "partition_id": 1, "value": key("BINARY", json!("/wA=")) }),
        json!({ "partition_id": 1, "key": key("JSON", json!(7)), "value": key("STRING", json!("text")) }),
    ];
    let body = sent.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    let answered = web.post(&web.v3("/topics/t/records"), body).await;
    assert_eq!(answered.status, 200);
    let lines = answered.lines();
    let offsets: Vec<Option<i64>> = lines.iter().map(|line| line["offset"].as_i64()).collect();
    assert_eq!(offsets, [Some(0), Some(1), Some(2), Some(3)], "{}", answered.text);
    assert_eq!(
        lines[0],
        json!({
            "error_code": 200, "cluster_id": web.cluster, "topic_name": "t", "partition_id": 1, "offset": 0,
            "timestamp": "2021-02-05T19:14:42.000000Z",
            "key": { "type": "STRING", "size": 1 }, "value": { "type": "JSON", "size": 13 },
        })
    );
    assert_eq!(lines[1]["value"], json!({ "type": "JSON", "size": 0 }));
    assert_eq!(lines[2]["key"], Value::Null);

    let list = web.get(&web.v3("/topics/t/partitions/1/records")).await.json();
    let data = list["data"].as_array().unwrap();
    assert_eq!(data.len(), 4);
    assert_eq!(
        data[0],
        json!({
            "topic_name": "t", "partition_id": 1, "offset": 0,
            "timestamp": "2021-02-05T19:14:42.000000Z", "timestamp_type": "CREATE_TIME",
            "headers": [{ "name": "h", "value": "AQI=" }, { "name": "n", "value": null }],
            "key": { "type": "STRING", "data": "k" }, "value": { "type": "JSON", "data": { "a": [1, "}"] } },
        })
    );
    assert_eq!(data[1]["value"], Value::Null);
    assert_eq!(data[2]["value"], json!({ "type": "BINARY", "data": "/wA=" }));
    assert_eq!(data[3]["key"], json!({ "type": "JSON", "data": 7 }));
    // What was read can be sent again.
    let again: String = data.iter().map(ToString::to_string).collect();
    let answered = web.post(&web.v3("/topics/t/records"), again).await;
    assert_eq!(
        answered.lines().iter().map(|line| line["offset"].as_i64()).collect::<Vec<_>>(),
        [Some(4), Some(5), Some(6), Some(7)]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_is_refused_does_not_refuse_its_neighbours() {
    let web = Web::new().await;
    web.topic("t", 1).await;
    let body = json!({ "data": [{ "name": "max.message.bytes", "value": "2000" }] });
    assert_eq!(web.post(&web.v3("/topics/t/configs:alter"), body).await.status, 204);
    let text =
        |length: usize| json!({ "value": { "type": "STRING", "data": "x".repeat(length) } }).to_string();
    let objects = [
        text(1),
        r#"{"value":{"type":"XML","data":1}}"#.to_owned(),
        r#"{"value": nonsense}"#.to_owned(),
        text(5000),
        r#"{"partition_id":9,"value":{"type":"STRING","data":"x"}}"#.to_owned(),
        r#"{"timestamp":"soon","value":{"type":"STRING","data":"x"}}"#.to_owned(),
        text(2),
    ];
    let answered = web.post(&web.v3("/topics/t/records"), objects.concat()).await;
    let codes: Vec<i64> = answered.lines().iter().map(|line| line["error_code"].as_i64().unwrap()).collect();
    assert_eq!(codes, [200, 400, 400, 40002, 40402, 400, 200]);
    // What ends the stream is said behind what came before it.
    for (end, code) in [("x", 400), ("{", 400), ("[{}]", 400)] {
        let answered = web.post(&web.v3("/topics/t/records"), format!("{}{end}", text(1))).await;
        let codes: Vec<i64> =
            answered.lines().iter().map(|line| line["error_code"].as_i64().unwrap()).collect();
        assert_eq!(codes, [200, code], "{end}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_may_be_cut_anywhere() {
    let web = Web::new().await;
    web.topic("t", 1).await;
    let one = json!({ "value": { "type": "STRING", "data": "a \"{ b" } }).to_string();
    let body = format!("{one} {one}\n{one}");
    for size in [1, 7, 50] {
        let pieces: Vec<Result<Vec<u8>, std::convert::Infallible>> =
            body.as_bytes().chunks(size).map(|piece| Ok(piece.to_vec())).collect();
        let body = Body::from_stream(stream::iter(pieces));
        let answered =
            web.ask("POST", &web.v3("/topics/t/records"), "application/json; charset=utf-8", body).await;
        assert_eq!(answered.lines().len(), 3, "{}", answered.text);
        assert!(answered.lines().iter().all(|line| line["error_code"] == 200));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_of_one_key_go_to_one_partition_and_others_spread() {
    let web = Web::new().await;
    web.topic("t", 4).await;
    let path = web.v3("/topics/t/records");
    let of = |lines: Vec<Value>| {
        lines.iter().map(|line| line["partition_id"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    let keyed = |key: &str| json!({ "key": { "type": "STRING", "data": key } }).to_string();
    // `(murmur2(key) & 0x7fffffff) % 4` of the hashes in Kafka's own test.
    let lines = web.post(&path, ["21", "foobar", "abc"].map(keyed).concat()).await.lines();
    assert_eq!(of(lines), [0, 2, 3]);
    let mut seen = BTreeSet::new();
    for _ in 0..4 {
        seen.extend(of(web.post(&path, r#"{"value":{"type":"STRING","data":"x"}}"#).await.lines()));
    }
    assert_eq!(seen.len(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_answer_each_entry_by_its_id() {
    let web = Web::new().await;
    web.topic("t", 1).await;
    let path = web.v3("/topics/t/records:batch");
    let entry = |id: &str| json!({ "id": id, "value": { "type": "STRING", "data": id } });
    let bad = json!({ "id": "bad", "value": { "type": "BINARY", "data": "%" } });
    let answered = web.post(&path, json!({ "entries": [entry("a"), bad, entry("b")] })).await;
    assert_eq!(answered.status, 207);
    let ids =
        |list: &Value| list.as_array().unwrap().iter().map(|entry| entry["id"].clone()).collect::<Vec<_>>();
    let answer = answered.json();
    assert_eq!(
        (ids(&answer["successes"]), ids(&answer["failures"])),
        (vec![json!("a"), json!("b")], vec![json!("bad")])
    );
    assert_eq!(answer["failures"][0]["error_code"], 400);
    for wrong in
        [json!([]), json!([entry("a"), entry("a")]), json!([entry("a b")]), json!(vec![entry("a"); 11])]
    {
        let answered = web.post(&path, json!({ "entries": wrong })).await;
        assert_eq!((answered.status.as_u16(), answered.json()["error_code"].clone()), (422, json!(42208)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn version_2_takes_bytes_and_json() {
    let web = Web::new().await;
    web.topic("t", 2).await;
    let send = async |path: &str, kind: &str, body: Value| {
        web.ask("POST", path, &format!("application/vnd.kafka.{kind}.v2+json"), body.to_string()).await
    };
    let body = json!({ "records": [{ "key": "aw==", "value": "dg==", "partition": 1 }, { "value": null, "partition": 9 }] });
    let answered = send("/kafka/topics/t", "binary", body).await;
    assert_eq!(answered.headers["content-type"], "application/vnd.kafka.v2+json");
    let offsets = answered.json()["offsets"].clone();
    assert_eq!(offsets[0], json!({ "partition": 1, "offset": 0, "error_code": null, "error": null }));
    assert_eq!(
        (&offsets[1]["error_code"], &offsets[1]["error"]),
        (&json!(1), &json!("Partition not found."))
    );
    let answered = send(
        "/kafka/topics/t/partitions/1",
        "json",
        json!({ "records": [{ "key": 1.50, "value": { "a": 1 } }] }),
    )
    .await;
    assert_eq!(answered.json()["offsets"][0]["offset"], 1);
    let read = web.get(&web.v3("/topics/t/partitions/1/records?type=STRING")).await.json();
    let shown: Vec<_> = read["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|record| (&record["key"]["data"], &record["value"]["data"]))
        .collect();
    assert_eq!(shown, [(&json!("k"), &json!("v")), (&json!("1.5"), &json!(r#"{"a":1}"#))]);
    assert_eq!(
        web.get("/kafka/topics/t/partitions/1/offsets").await.json(),
        json!({ "beginning_offset": 0, "end_offset": 2 })
    );
    assert_eq!(send("/kafka/topics/t", "avro", json!({})).await.json()["error_code"], 42206);
    assert_eq!(send("/kafka/topics/t", "xml", json!({})).await.status, 415);
    let bad = json!({ "records": [{ "value": "%" }] });
    assert_eq!(send("/kafka/topics/t", "binary", bad).await.json()["error_code"], 42203);
    let other = json!({ "records": [{ "value": "" }] });
    assert_eq!(send("/kafka/topics/t/partitions/7", "binary", other).await.json()["error_code"], 40402);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn quotas_hold_for_records_over_http() {
    use kafka_protocol::messages::AlterClientQuotasRequest;
    use kafka_protocol::messages::alter_client_quotas_request::{EntityData, EntryData, OpData};

    use crate::testing::text;

    let web = Web::new().await;
    web.topic("t", 1).await;
    let set = async |name: &str, rate: f64| {
        let entity = EntityData::default().with_entity_type(text("user")).with_entity_name(Some(text("web")));
        let op = OpData::default().with_key(text(name)).with_value(rate);
        let entry = EntryData::default().with_entity(vec![entity]).with_ops(vec![op]);
        let request = AlterClientQuotasRequest::default().with_entries(vec![entry]);
        let admin = &web.house.streams.parts.admin;
        assert_eq!(admin.alter_client_quotas(&web.house.owner, request, 1).await.entries[0].error_code, 0);
    };
    let record = || json!({ "partition_id": 0, "value": { "type": "STRING", "data": "x".repeat(3000) } });
    let (send, read) = (web.v3("/topics/t/records"), web.v3("/topics/t/partitions/0/records?offset=0"));
    set("producer_byte_rate", 100.0).await;
    assert_eq!(web.post(&send, record()).await.lines()[0]["error_code"], 200, "a first one is taken");
    let refused = web.post(&send, record()).await;
    assert_eq!(refused.lines()[0]["error_code"], 429, "{}", refused.text);
    assert_eq!(web.get(&read).await.status, 200, "reads have a quota of their own");
    set("consumer_byte_rate", 100.0).await;
    assert_eq!(web.get(&read).await.status, 200);
    let refused = web.get(&read).await;
    assert_eq!((refused.status.as_u16(), &refused.json()["error_code"]), (429, &json!(429)));
    assert_eq!(refused.headers["retry-after"], "1");
    set("producer_byte_rate", 1e9).await;
    set("consumer_byte_rate", 1e9).await;
    assert_eq!(web.post(&send, record()).await.lines()[0]["error_code"], 200);
    assert_eq!(web.get(&read).await.json()["data"].as_array().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_bad_record_costs_a_few_batches_and_not_one_for_each() {
    let web = Web::new().await;
    web.topic("t", 1).await;
    // A compacted topic takes no record without a key.
    let body = json!({ "data": [{ "name": "cleanup.policy", "value": "compact" }] });
    assert_eq!(web.post(&web.v3("/topics/t/configs:alter"), body).await.status, 204);
    let key = |n: usize| if n == 700 { Value::Null } else { json!(n) };
    let records: Vec<Value> = (0..1000).map(|n| json!({ "key": key(n), "value": n })).collect();
    let kind = "application/vnd.kafka.json.v2+json";
    let body = json!({ "records": records }).to_string();
    let answered = web.ask("POST", "/kafka/topics/t", kind, body).await.json();
    let offset = |n: usize| answered["offsets"][n]["offset"].as_u64();
    assert!(answered["offsets"][700]["error_code"].is_number(), "{}", answered["offsets"][700]);
    let expected: Vec<Option<u64>> =
        (0..1000).map(|n| if n == 700 { None } else { Some(n - (n > 700) as u64) }).collect();
    assert_eq!((0..1000).map(offset).collect::<Vec<_>>(), expected);
    let topic = candor_log::Topic {
        project: web.house.project(),
        name: web.house.streams.topics().get(web.house.project(), "t").unwrap().view.in_log.clone(),
    };
    let (partition, from) = (candor_model::Partition(0), candor_model::Offset(0));
    let batches = web.house.log.read(&topic, partition, from, 64 << 20).await.unwrap();
    assert!(batches.len() <= 12, "{} batches", batches.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_holds_room_for_what_has_come_alone() {
    let web = Web::new().await;
    web.topic("t", 1).await;
    let room = web.house.streams.room().clone();
    let all = room.free_bytes();
    let (pieces, come) = tokio::sync::mpsc::channel::<Vec<u8>>(1);
    let body = stream::unfold(come, |mut come| async move {
        come.recv().await.map(|piece| (Ok::<_, std::convert::Infallible>(piece), come))
    });
    let path = web.v3("/topics/t/records");
    let sent = web.ask("POST", &path, "application/json", Body::from_stream(body));
    let until = async |fits: &dyn Fn(usize) -> bool| {
        for _ in 0..1000 {
            if fits(all - room.free_bytes()) {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        panic!("{} bytes of room are held", all - room.free_bytes());
    };
    let sending = async move {
        let begin = format!(r#"{{"value":{{"type":"STRING","data":"{}"#, "x".repeat(200_000));
        pieces.send(begin.into_bytes()).await.unwrap();
        until(&|held| (200_000..300_000).contains(&held)).await;
        pieces.send(br#""}}"#.to_vec()).await.unwrap();
        until(&|held| held == 0).await;
        pieces.send(br#"{"value":{"type":"STRING","data":"more"}}"#.to_vec()).await.unwrap();
    };
    let (answered, ()) = futures::join!(sent, sending);
    let codes: Vec<i64> = answered.lines().iter().map(|line| line["error_code"].as_i64().unwrap()).collect();
    assert_eq!(codes, [200, 200]);
}
