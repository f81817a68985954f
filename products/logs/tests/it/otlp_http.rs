//! OTLP over HTTP: answers in the encoding of the request, errors that clients understand.

use candor_gate::admission::Limits;
use candor_log::AppendError;
use candor_meta::KeyLimits;
use http::StatusCode;
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use prost::Message;

use crate::house::{Answer, House, chunked, gzip};

const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");
const JSON: (&str, &str) = ("content-type", "application/json");

/// An export request with one record a body.
pub fn request(bodies: &[&str]) -> Vec<u8> {
    let record = |body: &&str| LogRecord {
        body: Some(AnyValue { value: Some(Value::StringValue((*body).to_owned())) }),
        ..LogRecord::default()
    };
    let scope_logs =
        vec![ScopeLogs { log_records: bodies.iter().map(record).collect(), ..ScopeLogs::default() }];
    let resource_logs = vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }];
    ExportLogsServiceRequest { resource_logs }.encode_to_vec()
}

fn in_json(bodies: &[&str]) -> String {
    let records: Vec<_> =
        bodies.iter().map(|body| serde_json::json!({"body": {"stringValue": body}})).collect();
    serde_json::json!({"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]}).to_string()
}

/// A `google.rpc.Status` without its details.
#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}

fn status(answer: &Answer) -> (u16, i32, String) {
    assert_eq!(answer.header("content-type"), "application/x-protobuf");
    let status = Status::decode(answer.body.as_slice()).unwrap();
    (answer.status.as_u16(), status.code, status.message)
}

#[tokio::test]
async fn both_encodings_are_stored_and_answered_in_kind() {
    let house = House::new().await;
    let answer = house.post("/v1/logs", &[PROTOBUF], request(&["one", "two"])).await;
    assert_eq!((answer.status, answer.body.len()), (StatusCode::OK, 0));
    assert_eq!(answer.header("content-type"), "application/x-protobuf");
    assert_eq!(house.bodies(), ["one", "two"]);

    let answer = house
        .post("/v1/logs", &[("content-type", "application/json; charset=utf-8")], in_json(&["three"]))
        .await;
    assert_eq!((answer.status, answer.text()), (StatusCode::OK, "{}"));
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(house.bodies(), ["three"]);

    let zipped = gzip(&request(&["zipped"]));
    let answer = house.post("/v1/logs", &[PROTOBUF, ("content-encoding", "gzip")], chunked(zipped)).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(house.bodies(), ["zipped"]);

    let answer = house.post("/v1/logs", &[JSON, ("x-source", "web")], in_json(&["named"])).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(house.logs()[0].source, "web");
    let body = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"n"}]}]}]}"#;
    assert_eq!(house.post("/v1/traces", &[JSON], body).await.status, StatusCode::OK);
    assert_eq!(house.spans()[0].name, "n");

    // An empty request is a success, and nothing is stored.
    assert_eq!(house.post("/v1/logs", &[PROTOBUF], "").await.status, StatusCode::OK);
    assert!(house.logs().is_empty());
}

#[tokio::test]
async fn what_is_not_stored_is_said() {
    let house = House::new().await;
    let mut body = request(&["good"]);
    body.extend([0x0a, 0x08, 0x12, 0x06, 0x12, 0x02, 0x08, 0x01, 0x12, 0x00]);
    let answer = house.post("/v1/logs", &[PROTOBUF], body).await;
    let partial = ExportLogsServiceResponse::decode(answer.body.as_slice()).unwrap().partial_success.unwrap();
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(partial.rejected_log_records, 1);
    assert_eq!(partial.error_message, "1 record dropped: 1 malformed");
    assert_eq!(house.logs().len(), 2);

    let body = r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":[]},{}]}]}]}"#;
    let answer = house.post("/v1/logs", &[JSON], body).await;
    assert_eq!(
        answer.json(),
        serde_json::json!({"partialSuccess": {"rejectedLogRecords": "1", "errorMessage": "1 record dropped: 1 malformed"}})
    );

    let body = r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"gauge":{"dataPoints":[{},{}]}}]}]}]}"#;
    let answer = house.post("/v1/metrics", &[JSON], body).await;
    let expected =
        serde_json::json!({"rejectedDataPoints": "2", "errorMessage": "metrics are not stored yet"});
    assert_eq!((answer.status, &answer.json()["partialSuccess"]), (StatusCode::OK, &expected));
    assert_eq!(house.post("/v1/metrics", &[PROTOBUF], "").await.body, b"");
}

#[tokio::test]
async fn failures_have_a_status_that_clients_understand() {
    let house = House::new().await;
    for key in [("authorization", ""), ("authorization", "Bearer wrong"), ("x-api-key", "wrong")] {
        let answer = house.post("/v1/logs", &[PROTOBUF, key], request(&["x"])).await;
        assert_eq!((status(&answer).0, status(&answer).1), (401, 16), "{key:?}");
    }
    let answer = house.post("/v1/logs", &[PROTOBUF], b"\x0a\x05abc".to_vec()).await;
    assert_eq!(status(&answer), (400, 3, "the body is not a protobuf export request".to_owned()));
    let answer = house.post("/v1/logs", &[JSON], "{\"resourceLogs\":[").await;
    assert_eq!((answer.status, answer.json()["code"].as_i64()), (StatusCode::BAD_REQUEST, Some(3)));
    let answer = house.post("/v1/logs", &[("content-type", "text/plain")], "x").await;
    assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let answer = house.post("/v1/logs", &[PROTOBUF, ("content-encoding", "rot13")], "x").await;
    assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let answer = house.post("/v1/logs", &[PROTOBUF, ("content-encoding", "gzip")], "not gzip").await;
    assert_eq!((status(&answer).0, status(&answer).1), (400, 3));
    let answer = house.post("/v1/logs", &[PROTOBUF, ("x-source", &"x".repeat(300))], request(&["x"])).await;
    assert_eq!((status(&answer).0, status(&answer).1), (400, 3));
    assert!(house.logs().is_empty());

    for (failure, expected) in [
        (AppendError::Overloaded, (429, 8)),
        (AppendError::Full, (503, 14)),
        (AppendError::Unavailable, (503, 14)),
        (AppendError::Closed, (503, 14)),
    ] {
        house.fail(failure);
        let answer = house.post("/v1/logs", &[PROTOBUF], request(&["x"])).await;
        assert_eq!((status(&answer).0, status(&answer).1), expected);
        assert_eq!(answer.header("retry-after"), "2");
        let answer = house.post("/v1/logs", &[JSON], in_json(&["x"])).await;
        assert_eq!(answer.json()["details"][0]["retryDelay"], "2s");
    }
}

#[tokio::test]
async fn too_much_is_refused_before_it_is_taken_in() {
    let limits = Limits { body_bytes: 1000, ..Limits::default() };
    let house = House::with(limits).await;
    let large = request(&[&"x".repeat(2000)]);
    let answer = house.post("/v1/logs", &[PROTOBUF], large.clone()).await;
    assert_eq!(status(&answer).0, 413);
    assert_eq!(
        house.post("/v1/logs", &[PROTOBUF], chunked(large)).await.status,
        StatusCode::PAYLOAD_TOO_LARGE
    );

    let key = KeyLimits { requests_per_second: Some(1), ..KeyLimits::default() };
    let house = House::with(Limits { key, ..Limits::default() }).await;
    let mut answers = Vec::new();
    for _ in 0..50 {
        answers.push(house.post("/v1/logs", &[PROTOBUF], "").await);
    }
    let limited = answers.iter().find(|answer| answer.status == StatusCode::TOO_MANY_REQUESTS).unwrap();
    assert_eq!((status(limited).1, limited.header("retry-after")), (8, "1"));
}

#[tokio::test]
async fn a_large_request_is_stored_in_portions_and_as_a_whole() {
    let house = House::new().await;
    let body = "x".repeat(1 << 20);
    let bodies = vec![body.as_str(); 15];
    let answer = house.post("/v1/logs", &[PROTOBUF, ("idempotency-key", "k")], request(&bodies)).await;
    assert_eq!(answer.status, StatusCode::OK);
    let requests = house.requests();
    assert_eq!(requests.len(), 2);
    assert!(requests[0].is_some() && requests[0] != requests[1]);
    assert_eq!(std::mem::take(&mut *house.kept.calls.lock()), [2], "all or none");
    // Beyond that, memory is bounded and what was stored stays.
    let noise: String = (0..60_000).map(|n| format!("GET /item/{} 200 ", n % 7919)).collect();
    let bodies = vec![&noise[..1 << 20]; 36];
    let zipped = gzip(&request(&bodies));
    let answer = house.post("/v1/logs", &[PROTOBUF, ("content-encoding", "gzip")], zipped).await;
    assert_eq!((answer.status, house.logs().len()), (StatusCode::OK, 36));
    assert_eq!(*house.kept.calls.lock(), [4, 1]);
}

#[tokio::test]
async fn a_retry_is_known_by_its_key() {
    let house = House::new().await;
    for (path, body) in [
        ("/v1/logs", in_json(&["x"])),
        ("/logs", r#"{"message":"x"}"#.to_owned()),
        ("/", r#"{"message":"x"}"#.to_owned()),
    ] {
        house.post(path, &[JSON, ("idempotency-key", "a")], body.clone()).await;
        house.post(path, &[JSON, ("idempotency-key", "a")], body.clone()).await;
        house.post(path, &[JSON, ("idempotency-key", "b")], body.clone()).await;
        house.post(path, &[JSON], body).await;
        let requests = house.requests();
        assert_eq!(requests.len(), 4, "{path}");
        assert!(requests[0].is_some() && requests[0] == requests[1], "{path}");
        assert!(requests[2].is_some() && requests[2] != requests[0] && requests[3].is_none(), "{path}");
    }
}

#[tokio::test]
async fn browsers_may_send_from_any_page() {
    let house = House::new().await;
    for path in ["/v1/logs", "/v1/traces", "/logs", "/api/events", "/"] {
        let preflight = http::Request::options(path)
            .header("origin", "https://shop.example")
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization,content-type")
            .body(axum::body::Body::empty());
        let answer = house.send(house.http.clone(), preflight.unwrap()).await;
        assert!(answer.status.is_success(), "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), "*");
        assert_eq!(answer.header("access-control-allow-headers"), "authorization,content-type");
        let answer = house
            .post(path, &[("origin", "https://shop.example"), ("authorization", "Bearer no")], "{}")
            .await;
        assert_eq!(answer.header("access-control-allow-origin"), "*", "{path}");
    }
    let mut body = request(&["x"]);
    house
        .post(
            "/v1/logs",
            &[PROTOBUF, ("origin", "https://shop.example"), ("sec-gpc", "1")],
            std::mem::take(&mut body),
        )
        .await;
    let batch = house.kept.batches.lock().pop().unwrap();
    assert_eq!(batch.origin.site.as_deref(), Some("https://shop.example"));
    assert!(batch.origin.global_privacy_control && !batch.origin.do_not_track);
}
