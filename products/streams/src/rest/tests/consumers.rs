//! Consumers of version 2, from their making to their end.

use http::StatusCode;
use serde_json::{Value, json};

use super::{Answered, Web, basic};

const V2: &str = "application/vnd.kafka.v2+json";

impl Web {
    pub(super) async fn v2(&self, method: &str, path: &str, body: Value) -> Answered {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.ask(method, &format!("/kafka{path}"), V2, body).await
    }

    pub(super) async fn consumer(&self, group: &str, name: &str, options: Value) -> String {
        let mut body = json!({ "name": name, "auto.offset.reset": "earliest" });
        for (key, value) in options.as_object().into_iter().flatten() {
            body[key] = value.clone();
        }
        let made = self.v2("POST", &format!("/consumers/{group}"), body).await;
        assert_eq!(made.status, StatusCode::OK, "{}", made.text);
        let path = format!("/consumers/{group}/instances/{name}");
        assert_eq!(made.json()["base_uri"], format!("http://host/kafka{path}"));
        path
    }

    pub(super) async fn records_of(&self, consumer: &str) -> Vec<Value> {
        let read = self.v2("GET", &format!("{consumer}/records?timeout=3000"), Value::Null).await;
        assert_eq!(read.status, StatusCode::OK, "{}", read.text);
        read.json().as_array().unwrap().clone()
    }

    async fn sent(&self, topic: &str, values: &[Value]) {
        let records: Vec<Value> = values.iter().map(|value| json!({ "key": "k", "value": value })).collect();
        let kind = "application/vnd.kafka.json.v2+json";
        let body = json!({ "records": records }).to_string();
        let answered = self.ask("POST", &format!("/kafka/topics/{topic}"), kind, body).await;
        assert_eq!(answered.status, StatusCode::OK, "{}", answered.text);
    }
}

fn values(records: &[Value]) -> Vec<Value> {
    records.iter().map(|record| record["value"].clone()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_reads_commits_and_hands_over() {
    let web = Web::new().await;
    web.topic("t", 2).await;
    web.sent("t", &[json!(1), json!({ "a": 2 })]).await;
    let options = json!({ "format": "json", "auto.commit.enable": "false" });
    let one = web.consumer("g", "one", options.clone()).await;
    let unsubscribed = web.v2("GET", &format!("{one}/records"), Value::Null).await;
    assert_eq!(
        (unsubscribed.status.as_u16(), unsubscribed.json()["error_code"].clone()),
        (409, json!(40903))
    );
    let subscription = format!("{one}/subscription");
    let answered = web.v2("POST", &subscription, json!({ "topics": ["t"] })).await;
    assert_eq!(answered.status, StatusCode::NO_CONTENT, "{}", answered.text);
    assert_eq!(web.v2("GET", &subscription, Value::Null).await.json(), json!({ "topics": ["t"] }));
    let read = web.records_of(&one).await;
    assert_eq!(values(&read), [json!(1), json!({ "a": 2 })]);
    assert_eq!(
        read[0],
        json!({ "topic": "t", "key": "k", "value": 1, "partition": read[0]["partition"], "offset": 0 })
    );
    let partition = read[0]["partition"].clone();
    let assigned = web.v2("GET", &format!("{one}/assignments"), Value::Null).await.json();
    assert_eq!(assigned["partitions"].as_array().unwrap().len(), 2);
    // What is named was read: the group goes on behind it.
    let offsets = format!("{one}/offsets");
    let place = json!({ "topic": "t", "partition": partition });
    let body = json!({ "offsets": [{ "topic": "t", "partition": partition, "offset": 0, "metadata": "m" }] });
    let answered = web.v2("POST", &offsets, body).await;
    assert_eq!((answered.status, answered.json()), (StatusCode::OK, json!([])));
    let asked = json!({ "partitions": [place] });
    let committed = web.v2("GET", &offsets, asked.clone()).await.json();
    assert_eq!(
        committed,
        json!({ "offsets": [{ "topic": "t", "partition": partition, "offset": 1, "metadata": "m" }] })
    );
    // It goes, and another of the group reads on from what was committed.
    assert_eq!(web.v2("DELETE", &one, Value::Null).await.status, StatusCode::NO_CONTENT);
    assert_eq!(web.v2("GET", &subscription, Value::Null).await.json()["error_code"], 40403);
    let two = web.consumer("g", "two", options).await;
    let answered = web.v2("POST", &format!("{two}/subscription"), json!({ "topic_pattern": "t.*" })).await;
    assert_eq!(answered.status, StatusCode::NO_CONTENT, "{}", answered.text);
    assert_eq!(values(&web.records_of(&two).await), [json!({ "a": 2 })]);
    let seek = web.v2("POST", &format!("{two}/positions/beginning"), asked.clone()).await;
    assert_eq!(seek.status, StatusCode::NO_CONTENT, "{}", seek.text);
    assert_eq!(values(&web.records_of(&two).await), [json!(1), json!({ "a": 2 })]);
    let to = json!({ "offsets": [{ "topic": "t", "partition": partition, "offset": 1 }] });
    assert_eq!(web.v2("POST", &format!("{two}/positions"), to).await.status, StatusCode::NO_CONTENT);
    assert_eq!(values(&web.records_of(&two).await), [json!({ "a": 2 })]);
    // An empty commit is of all that was given out.
    assert_eq!(web.v2("POST", &format!("{two}/offsets"), Value::Null).await.status, StatusCode::OK);
    assert_eq!(web.v2("GET", &format!("{two}/offsets"), asked).await.json()["offsets"][0]["offset"], 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_given_out_is_committed_at_the_next_read() {
    let web = Web::new().await;
    web.topic("t", 1).await;
    web.sent("t", &[json!("a")]).await;
    let one = web.consumer("g", "one", json!({ "format": "json" })).await;
    web.v2("POST", &format!("{one}/subscription"), json!({ "topics": ["t"] })).await;
    assert_eq!(values(&web.records_of(&one).await), [json!("a")]);
    let asked = json!({ "partitions": [{ "topic": "t", "partition": 0 }] });
    let committed = async || {
        let told = web.v2("GET", &format!("{one}/offsets"), asked.clone()).await.json();
        told["offsets"][0]["offset"].clone()
    };
    assert_eq!(committed().await, Value::Null);
    web.sent("t", &[json!("b")]).await;
    assert_eq!(values(&web.records_of(&one).await), [json!("b")]);
    assert_eq!(committed().await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_consumers_of_a_group_share_its_partitions() {
    let web = Web::new().await;
    web.topic("t", 2).await;
    let (one, two) = (web.consumer("g", "one", json!({})).await, web.consumer("g", "two", json!({})).await);
    for consumer in [&one, &two] {
        web.v2("POST", &format!("{consumer}/subscription"), json!({ "topics": ["t"] })).await;
    }
    let assigned = async |consumer: &str| {
        web.v2("GET", &format!("{consumer}/records?timeout=0"), Value::Null).await;
        let told = web.v2("GET", &format!("{consumer}/assignments"), Value::Null).await.json();
        told["partitions"].as_array().unwrap().len()
    };
    for _ in 0..20 {
        if (assigned(&one).await, assigned(&two).await) == (1, 1) {
            return;
        }
    }
    panic!("{} and {}", assigned(&one).await, assigned(&two).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_may_be_told_its_partitions() {
    let web = Web::new().await;
    web.topic("t", 2).await;
    let path = "/kafka/topics/t/partitions/1";
    let body = json!({ "records": [{ "value": "dg==" }] }).to_string();
    web.ask("POST", path, "application/vnd.kafka.binary.v2+json", body).await;
    let one = web.consumer("g", "one", json!({})).await;
    let body = json!({ "partitions": [{ "topic": "t", "partition": 1 }] });
    let told = web.v2("POST", &format!("{one}/assignments"), body.clone()).await;
    assert_eq!(told.status, StatusCode::NO_CONTENT, "{}", told.text);
    assert_eq!(web.v2("GET", &format!("{one}/assignments"), Value::Null).await.json(), body);
    assert_eq!(values(&web.records_of(&one).await), [json!("dg==")]);
    let both = web.v2("POST", &format!("{one}/subscription"), json!({ "topics": ["t"] })).await;
    assert_eq!(both.json()["error_code"], 40903);
    let elsewhere = json!({ "offsets": [{ "topic": "t", "partition": 0, "offset": 0 }] });
    assert_eq!(web.v2("POST", &format!("{one}/positions"), elsewhere).await.json()["error_code"], 40903);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_of_consumers() {
    let web = Web::new().await;
    web.topic("t", 1).await;
    web.sent("t", &[json!(1)]).await;
    let one = web.consumer("g", "one", json!({ "format": "avro" })).await;
    for (body, status, code) in [
        (json!({ "name": "one" }), 409, 40902),
        (json!({ "format": "xml" }), 422, 42204),
        (json!({ "auto.offset.reset": "middle" }), 422, 42204),
        (json!({ "auto.commit.enable": "perhaps" }), 422, 42204),
        (json!({ "name": "a/b" }), 422, 42206),
    ] {
        let answered = web.v2("POST", "/consumers/g", body.clone()).await;
        let told = (answered.status.as_u16(), answered.json()["error_code"].as_i64());
        assert_eq!(told, (status, Some(code)), "{body}");
    }
    let named = web.v2("POST", "/consumers/g", Value::Null).await.json();
    assert!(named["instance_id"].as_str().unwrap().starts_with("rest-consumer-"));
    // Another user's is not there.
    let guest = web.guest().await;
    let request = http::Request::builder().method("DELETE").uri(format!("/kafka{one}"));
    let request = request.header("authorization", guest.clone()).body(axum::body::Body::empty()).unwrap();
    assert_eq!(web.send(request).await.status, StatusCode::NOT_FOUND);
    // Rights are asked as of a connection.
    let request = http::Request::builder().method("POST").uri("/kafka/consumers/g");
    let request = request.header("authorization", guest.clone()).header("content-type", V2);
    let made = web.send(request.body(json!({ "name": "guest" }).to_string().into()).unwrap()).await;
    assert_eq!(made.status, StatusCode::OK);
    let request =
        http::Request::builder().method("POST").uri("/kafka/consumers/g/instances/guest/subscription");
    let request = request.header("authorization", guest).header("content-type", V2);
    let refused = web.send(request.body(json!({ "topics": ["t"] }).to_string().into()).unwrap()).await;
    assert_eq!((refused.status.as_u16(), refused.json()["error_code"].clone()), (403, json!(40301)));
    // A value of no schema is nothing of the format, and stays to be read.
    web.v2("POST", &format!("{one}/subscription"), json!({ "topics": ["t"] })).await;
    for _ in 0..2 {
        let read = web.v2("GET", &format!("{one}/records"), Value::Null).await;
        assert_eq!(
            (read.status.as_u16(), read.json()["error_code"].clone()),
            (500, json!(50002)),
            "{}",
            read.text
        );
    }
    // What is of the format before it is given out first.
    let json = web.consumer("json", "two", json!({ "format": "json" })).await;
    web.v2("POST", &format!("{json}/subscription"), json!({ "topics": ["t"] })).await;
    let body = json!({ "records": [{ "value": data_encoding::BASE64.encode(b"none") }] }).to_string();
    let kind = "application/vnd.kafka.binary.v2+json";
    assert_eq!(web.ask("POST", "/kafka/topics/t", kind, body).await.status, StatusCode::OK);
    assert_eq!(values(&web.records_of(&json).await), [json!(1)]);
    let read = web.v2("GET", &format!("{json}/records"), Value::Null).await;
    assert_eq!(read.json()["error_code"], 50002, "{}", read.text);
    let request =
        http::Request::builder().uri(format!("/kafka{one}/records")).header("authorization", &web.owner);
    let request = request.header("accept", "application/vnd.kafka.json.v2+json");
    let other = web.send(request.body(axum::body::Body::empty()).unwrap()).await;
    assert_eq!(other.json()["error_code"], 40601);
    assert_eq!(web.ask("POST", "/kafka/consumers/g", "text/plain", "{}").await.status, 415);
    let nobody = http::Request::builder().method("POST").uri("/kafka/consumers/g");
    let nobody =
        nobody.header("authorization", basic("web", "wrong")).body(axum::body::Body::empty()).unwrap();
    assert_eq!(web.send(nobody).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_with_a_schema_go_in_and_come_out() {
    let web = Web::new().await;
    let avro = r#"{"type":"record","name":"Order","fields":[{"name":"id","type":"string"},{"name":"note","type":["null","string"]}]}"#;
    let proto = r#"syntax = "proto3"; message Order { string id = 1; int64 big = 2; map<string, int32> counts = 3; }"#;
    for (topic, kind, v3, schema, data, shown) in [
        (
            "a",
            "avro",
            "AVRO",
            avro,
            json!({ "id": "x", "note": { "string": "n" } }),
            json!({ "id": "x", "note": "n" }),
        ),
        ("j", "jsonschema", "JSONSCHEMA", r#"{"type":"object"}"#, json!({ "id": "x" }), json!({ "id": "x" })),
        (
            "p",
            "protobuf",
            "PROTOBUF",
            proto,
            json!({ "id": "x", "big": "9007199254740993", "counts": { "a": 1 } }),
            json!({ "id": "x", "big": 9_007_199_254_740_993_i64, "counts": { "a": 1 } }),
        ),
    ] {
        web.topic(topic, 1).await;
        let media = format!("application/vnd.kafka.{kind}.v2+json");
        let body = json!({ "value_schema": schema, "records": [{ "value": data }, { "value": null }] });
        let sent = web.ask("POST", &format!("/kafka/topics/{topic}"), &media, body.to_string()).await;
        let id = sent.json()["value_schema_id"].as_i64().unwrap_or_else(|| panic!("{}", sent.text));
        assert_eq!(sent.json()["offsets"][1]["offset"], 1);
        // By its id, by a version of the topic's subject, and by nothing but that it is the latest.
        let body = json!({ "value_schema_id": id, "records": [{ "value": data }] });
        assert_eq!(
            web.ask("POST", &format!("/kafka/topics/{topic}"), &media, body.to_string()).await.status,
            200
        );
        let path = web.v3(&format!("/topics/{topic}/records"));
        for said in
            [json!({ "schema_id": id }), json!({ "schema_version": 1 }), json!({ "type": v3 }), json!({})]
        {
            let mut value = said.clone();
            value["data"] = data.clone();
            let told = web.post(&path, json!({ "value": value })).await.lines()[0].clone();
            assert_eq!(
                (&told["error_code"], &told["value"]["type"]),
                (&json!(200), &json!(v3)),
                "{said}: {told}"
            );
            assert_eq!(told["value"]["schema_id"], id);
        }
        let one = web.consumer("g", topic, json!({ "format": kind })).await;
        web.v2("POST", &format!("{one}/subscription"), json!({ "topics": [topic] })).await;
        let read = web.records_of(&one).await;
        let expected: Vec<&Value> = read.iter().map(|record| &record["value"]).collect();
        assert_eq!(expected, [&shown, &Value::Null, &shown, &shown, &shown, &shown, &shown]);
        let list = web.get(&web.v3(&format!("/topics/{topic}/partitions/0/records?type={v3}"))).await.json();
        assert_eq!(list["data"][0]["value"], json!({ "type": v3, "schema_id": id, "data": shown }));
    }
    let path = web.v3("/topics/a/records");
    for (value, code) in [
        (json!({ "type": "AVRO", "data": { "id": 1, "note": null } }), 42203),
        (json!({ "schema_id": 999, "data": {} }), 40801),
        (json!({ "subject": "none", "data": {} }), 40801),
        (json!({ "type": "PROTOBUF", "schema_version": 1, "data": {} }), 42206),
        (json!({ "type": "AVRO", "schema": "{", "data": {} }), 40801),
    ] {
        let told = web.post(&path, json!({ "value": value })).await.lines()[0].clone();
        assert_eq!(told["error_code"], code, "{value}: {told}");
    }
    let body = json!({ "records": [{ "value": { "id": "x" } }] }).to_string();
    let unsaid = web.ask("POST", "/kafka/topics/a", "application/vnd.kafka.avro.v2+json", body).await;
    assert_eq!(unsaid.json()["error_code"], 42203, "{}", unsaid.text);
}
