//! Logflare's ingest: every shape of body and place of a key, and its own answers.

use candor_log::AppendError;
use candor_model::Value;
use http::StatusCode;

use crate::house::{House, chunked, gzip};

const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn every_shape_of_body_is_taken() {
    let house = House::new().await;
    for (body, expected) in [
        (r#"{"batch":[{"event_message":"a"},{"message":"b"}]}"#, &["a", "b"][..]),
        (r#"[{"event_message":"a"},{"message":"b"}]"#, &["a", "b"]),
        (r#"{"event_message":"a","message":"kept"}"#, &["a"]),
        ("{\"message\":\"a\"}\n{\"message\":\"b\"}\r\n\n{\"message\":\"c\"}", &["a", "b", "c"]),
        (r#"{"message":"a"}{"message":"b"}"#, &["a", "b"]),
        ("{\n  \"message\": \"a\"\n}", &["a"]),
        (r#"["a",{"msg":"b"}]"#, &["a", "b"]),
        ("\u{feff}{\"batch\":{\"message\":\"not a list\"}}", &["null"]),
        (r#"{"batch":[]}"#, &[]),
        ("[]", &[]),
    ] {
        for path in ["/logs", "/api/logs", "/api/events"] {
            let answer = house.post(path, &[JSON], body).await;
            assert_eq!(
                (answer.status, answer.text()),
                (StatusCode::OK, r#"{"message":"Logged!"}"#),
                "{body}"
            );
            assert_eq!(house.bodies(), expected, "{body}");
        }
    }
    let answer =
        house.post("/logs", &[("content-encoding", "gzip")], chunked(gzip(br#"{"message":"zipped"}"#))).await;
    assert_eq!((answer.status, house.bodies()), (StatusCode::OK, vec!["zipped".to_owned()]));
}

#[tokio::test]
async fn a_source_has_an_id_and_a_name() {
    let house = House::new().await;
    for path in [
        "/logs?source=web",
        "/logs?source_name=web",
        "/api/logs?collection=web",
        "/api/events?collection_name=web",
    ] {
        house.post(path, &[JSON], r#"{"message":"x"}"#).await;
        assert_eq!(house.logs()[0].source, "web", "{path}");
    }
    house.post("/logs", &[("x-source", "web")], r#"{"message":"x"}"#).await;
    assert_eq!(house.logs()[0].source, "web");
    let project = candor_model::ProjectId(1);
    let sources = house.sources.list(project).await.unwrap();
    assert_eq!(sources.len(), 1);
    house.post(&format!("/logs?source={}", sources[0].id), &[JSON], r#"{"message":"x"}"#).await;
    assert_eq!(house.logs()[0].source, "web");
    house.post("/logs?source_name=my%20app", &[JSON], r#"{"message":"x"}"#).await;
    assert_eq!(house.logs()[0].source, "my app");
    assert_eq!(house.post("/logs", &[JSON], r#"{"message":"x"}"#).await.status, StatusCode::OK);
    assert_eq!(house.logs()[0].source, "");

    let long = format!("/logs?source={}", "x".repeat(300));
    let answer = house.post(&long, &[JSON], r#"{"message":"x"}"#).await;
    assert_eq!(answer.status, StatusCode::NOT_ACCEPTABLE);
    assert!(house.logs().is_empty());
}

#[tokio::test]
async fn the_key_may_stand_in_three_places() {
    let house = House::new().await;
    let (token, body) = (house.token.clone(), r#"{"message":"x"}"#);
    let bearer = format!("Bearer {token}");
    assert_eq!(house.post("/logs", &[("x-api-key", &token)], body).await.status, StatusCode::OK);
    assert_eq!(house.post("/logs", &[("authorization", &bearer)], body).await.status, StatusCode::OK);
    let path = format!("/logs?api_key={token}&source=web");
    assert_eq!(house.post(&path, &[("authorization", "")], body).await.status, StatusCode::OK);
    assert_eq!(house.logs().len(), 3);
    for (path, key) in [("/logs", ("authorization", "")), ("/logs?api_key=no", ("x-api-key", "no"))] {
        let answer = house.post(path, &[key], body).await;
        assert_eq!((answer.status, answer.text()), (StatusCode::UNAUTHORIZED, r#"{"error":"Unauthorized"}"#));
    }
    assert!(house.logs().is_empty());
}

#[tokio::test]
async fn bad_events_cost_only_themselves() {
    let house = House::new().await;
    let deep = format!("{}1{}", "{\"a\":".repeat(100), "}".repeat(100));
    let body =
        format!(r#"[{{"message":"a"}},{deep},7,{{"message" "b"}},{{"message":"\ud800","v":NaN}},null]"#);
    let answer = house.post("/logs", &[JSON], body).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(
        answer.json(),
        serde_json::json!({"message": "Logged!", "dropped": 4, "errors": ["4 records dropped: 3 malformed, 1 nested too deep"]})
    );
    let logs = house.logs();
    assert_eq!(logs.iter().map(|log| log.body.to_text()).collect::<Vec<_>>(), ["a", "\u{fffd}"]);
    assert!(matches!(logs[1].attributes.get("v"), Some(Value::Float(v)) if v.is_nan()));

    let answer = house
        .post("/logs", &[JSON], "{\"message\":\"a\"}\n{\"cut\":\"\n{\"message\":\"b\"}\nnonsense\n")
        .await;
    assert_eq!((answer.status, answer.json()["dropped"].as_u64()), (StatusCode::OK, Some(2)));
    assert_eq!(house.bodies(), ["a", "b"]);
    // What follows a list is a bad line of its own.
    let answer = house.post("/logs", &[JSON], r#"[{"message":"a"}] x"#).await;
    assert_eq!((answer.status, answer.json()["dropped"].as_u64()), (StatusCode::OK, Some(1)));
    assert_eq!(house.bodies(), ["a"]);

    for bad in ["", "nonsense", "[7]", "{\"message\":", "[{\"message\":\"a\"}"] {
        let answer = house.post("/logs", &[JSON], bad).await;
        assert_eq!(answer.status, StatusCode::NOT_ACCEPTABLE, "{bad}");
        assert!(answer.json()["message"][0].is_string(), "{bad}");
        assert!(house.logs().is_empty(), "{bad}");
    }
}

#[tokio::test]
async fn ten_thousand_attributes_are_one_record() {
    let house = House::new().await;
    let members: Vec<String> = (0..10_000).map(|n| format!("\"k{n}\":{n}")).collect();
    let body = format!(r#"{{"message":"many","metadata":{{{}}}}}"#, members.join(","));
    assert_eq!(house.post("/logs", &[JSON], body).await.status, StatusCode::OK);
    assert_eq!(house.logs()[0].attributes.len(), 10_000);
}

#[tokio::test]
async fn pressure_is_answered_as_logflare_does() {
    let house = House::new().await;
    house.fail(AppendError::Overloaded);
    let answer = house.post("/logs", &[JSON], r#"{"message":"x"}"#).await;
    assert_eq!((answer.status, answer.header("retry-after")), (StatusCode::TOO_MANY_REQUESTS, "3"));
    assert_eq!(answer.json()["message"], "Buffer Full: Too Many Requests");
    house.fail(AppendError::Full);
    let answer = house.post("/logs", &[JSON], r#"{"message":"x"}"#).await;
    assert_eq!((answer.status, answer.header("retry-after")), (StatusCode::SERVICE_UNAVAILABLE, "3"));

    let large = vec![b' '; (12 << 20) + 1];
    assert_eq!(house.post("/logs", &[JSON], large.clone()).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(house.post("/logs", &[JSON], chunked(large)).await.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn a_body_names_its_source_as_the_url_does() {
    let house = House::new().await;
    for name in ["source", "source_name", "collection", "collection_name"] {
        house
            .post(
                "/logs",
                &[JSON],
                format!(r#"{{"{name}":"web","batch":[{{"message":"x"}},{{"message":"y"}}]}}"#),
            )
            .await;
        let logs = house.logs();
        assert_eq!(
            (logs.len(), logs[0].source.as_str(), logs[1].source.as_str()),
            (2, "web", "web"),
            "{name}"
        );
        house.post("/logs", &[JSON], format!(r#"{{"message":"x","{name}":"web"}}"#)).await;
        assert_eq!(house.logs()[0].source, "web", "{name}");
    }
    let id = house.sources.list(candor_model::ProjectId(1)).await.unwrap()[0].id.clone();
    house.post("/api/logs", &[JSON], format!(r#"{{"batch":[{{"message":"x"}}],"source":"{id}"}}"#)).await;
    assert_eq!(house.logs()[0].source, "web");
    // The URL comes first; what is no name is none; lines are events of their own.
    house.post("/logs?source_name=url", &[JSON], r#"{"source":"web","batch":[{"message":"x"}]}"#).await;
    assert_eq!(house.logs()[0].source, "url");
    for body in [r#"{"source":7,"message":"x"}"#, r#"[{"source":"web","message":"x"}]"#] {
        house.post("/logs", &[JSON], body).await;
        assert_eq!(house.logs()[0].source, "", "{body}");
    }
    let lines = "{\"source\":\"a\",\"message\":\"x\"}\n{\"source\":\"b\",\"message\":\"x\"}";
    house.post("/logs", &[JSON], lines).await;
    assert_eq!(house.logs()[0].source, "");
    // `source` of an event may be anything: it finds a source and makes none.
    house.post("/logs", &[JSON], r#"{"source":"jane@example.org","message":"x"}"#).await;
    assert_eq!(house.logs()[0].source, "");
    house.post("/logs", &[JSON], r#"{"source_name":"new one","message":"x"}"#).await;
    assert_eq!(house.logs()[0].source, "new one");
    let known = house.sources.list(candor_model::ProjectId(1)).await.unwrap();
    assert_eq!(
        known.iter().map(|source| source.name.as_str()).collect::<Vec<_>>(),
        ["new one", "url", "web"]
    );
    // An event is not lost over a member that cannot be a source; a parameter of the request is refused.
    let long = "x".repeat(300);
    let answer = house.post("/logs", &[JSON], format!(r#"{{"source":"{long}","message":"x"}}"#)).await;
    assert_eq!((answer.status.as_u16(), house.logs().len()), (200, 1));
    let answer =
        house.post("/logs", &[JSON], format!(r#"{{"source":"{long}","batch":[{{"message":"x"}}]}}"#)).await;
    assert_eq!((answer.status.as_u16(), house.logs().len()), (406, 0));
}

#[tokio::test]
async fn a_key_that_came_with_another_body_is_refused() {
    let house = House::new().await;
    let otlp = |text: &str| {
        format!(
            r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"body":{{"stringValue":"{text}"}}}}]}}]}}]}}"#
        )
    };
    let traces = |text: &str| {
        format!(
            r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{"name":"{text}","traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"b7ad6b7169203331"}}]}}]}}]}}"#
        )
    };
    let event = |text: &str| format!(r#"{{"message":"{text}"}}"#);
    type Body<'a> = &'a dyn Fn(&str) -> String;
    let paths: [(&str, Body<'_>); 6] = [
        ("/logs", &event),
        ("/api/logs", &event),
        ("/api/events", &event),
        ("/", &event),
        ("/v1/logs", &otlp),
        ("/v1/traces", &traces),
    ];
    for (path, body) in paths {
        let headers = [JSON, ("idempotency-key", path)];
        let send = async |text: &str| house.post(path, &headers, body(text)).await;
        // What is not stored leaves the key free.
        assert!(house.post(path, &headers, "{\"").await.status.is_client_error(), "{path}");
        assert!(send("first").await.status.is_success(), "{path}");
        assert!(send("first").await.status.is_success(), "{path}");
        let refused = send("second").await;
        assert_eq!(refused.status.as_u16(), 422, "{path}: {refused:?}");
        assert!(String::from_utf8_lossy(&refused.body).contains("Idempotency-Key"), "{path}: {refused:?}");
        assert!(send("first").await.status.is_success(), "{path}");
    }
}
