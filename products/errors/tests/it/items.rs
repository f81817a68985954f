//! What envelopes carry: where each item goes, and that neighbours survive.

use candor_model::Signal;

use crate::house::{House, NOW};
use crate::samples::samples;

const ID: &str = "9ec79c33ec9942ab8353589fcb2e04dc";
const EVENT: &[u8] = br#"{"message":"hello","platform":"python","timestamp":1741256391.5}"#;
const SPANS: &[u8] = br#"{"version":2,"items":[
    {"trace_id":"0123456789abcdef0123456789abcdef","span_id":"0123456789abcdef","name":"GET /","status":"ok","start_timestamp":1741256391,"end_timestamp":1741256392},
    7,
    {"trace_id":"0123456789abcdef0123456789abcdef","span_id":"1123456789abcdef","name":"SELECT","status":"ok","start_timestamp":1741256391,"end_timestamp":1741256392}]}"#;
const LOGS: &[u8] =
    br#"{"items":[{"timestamp":1741256391,"level":"warn","body":"careful","attributes":{"a":{"value":1,"type":"integer"}}},null]}"#;

fn headers() -> String {
    format!(r#"{{"event_id":"{ID}"}}"#)
}

#[tokio::test]
async fn every_sample_is_stored() {
    let house = House::new().await;
    let samples = samples();
    for (name, bytes) in &samples {
        let answer = house.post(&house.store_path(), bytes.clone()).await;
        assert_eq!(answer.status.as_u16(), 200, "{name}: {}", answer.body);
    }
    let stored = house.column(Signal::Errors, "event_id").await;
    // Some samples share an event id: an id is one event, and what comes under it again is not stored again.
    let mut ids = std::collections::HashSet::new();
    for (name, bytes) in &samples {
        let event = candor_model::json::parse(
            bytes,
            candor_model::json::Leniency { non_finite: true, replace_invalid: true },
        );
        let id = event.ok().and_then(|event| Some(event.get("event_id")?.as_str()?.replace('-', "")));
        ids.insert(id.unwrap_or_else(|| name.to_string()));
    }
    assert_eq!(stored.len(), ids.len());
    assert_eq!(stored.iter().collect::<std::collections::HashSet<_>>().len(), stored.len());
    let issues = house.issues.list(&house.read, &Default::default()).await.unwrap();
    assert_eq!(issues.iter().map(|issue| issue.count).sum::<i64>(), stored.len() as i64);
    println!("{} samples stored, {} issues", samples.len(), issues.len());
}

#[tokio::test]
async fn one_envelope_becomes_three_tables_and_a_retry_of_its_event_nothing() {
    let house = House::new().await;
    let items: &[(&str, &[u8])] =
        &[("event", EVENT), ("span", SPANS), ("log", LOGS), ("client_report", br#"{"discarded_events":[{"reason":"sample_rate","category":"transaction","quantity":7},{"reason":"my own","category":"mine","quantity":1}]}"#)];
    assert_eq!(house.post_items(&headers(), items).await.line(), format!(r#"200 {{"id":"{ID}"}}"#));
    assert_eq!(house.column(Signal::Errors, "event_id").await, [ID]);
    assert_eq!(house.column(Signal::Spans, "name").await, ["GET /", "SELECT"]);
    assert_eq!(house.column(Signal::Logs, "body").await, ["careful"]);
    assert_eq!(house.column(Signal::Logs, "source").await, ["sentry"]);
    assert_eq!(
        house.counted(),
        [
            "error accepted  1",
            "log_item accepted  1",
            "log_item invalid invalid_shape 1",
            "other client_discard other 1",
            "span accepted  2",
            "span invalid invalid_shape 1",
            "transaction client_discard sample_rate 7",
        ]
    );
    for _ in 0..3 {
        assert_eq!(
            house.post_items(&headers(), &[("event", EVENT)]).await.line(),
            format!(r#"200 {{"id":"{ID}"}}"#)
        );
    }
    assert_eq!(house.count(Signal::Errors).await, 1);
    assert!(house.counted().contains(&"error duplicate  3".to_owned()));
}

#[tokio::test]
async fn transactions_are_spans_and_are_stored_once() {
    let house = House::new().await;
    let transaction = br#"{"type":"transaction","transaction":"/cart","start_timestamp":1741256390,"timestamp":1741256391,
        "contexts":{"trace":{"trace_id":"0123456789abcdef0123456789abcdef","span_id":"0123456789abcdef","op":"http.server"}},
        "spans":[{"span_id":"1123456789abcdef","parent_span_id":"0123456789abcdef","op":"db","description":"SELECT","start_timestamp":1741256390,"timestamp":1741256391}]}"#;
    for _ in 0..2 {
        let answer = house.post_items(&headers(), &[("transaction", transaction)]).await;
        assert_eq!(answer.line(), format!(r#"200 {{"id":"{ID}"}}"#));
    }
    assert_eq!(house.column(Signal::Spans, "name").await, ["/cart", "SELECT"]);
    assert_eq!(house.column(Signal::Spans, "op").await, ["http.server", "db"]);
    assert_eq!(house.count(Signal::Errors).await, 0);
    // An error of the same id is another record.
    house.post_items(&headers(), &[("event", EVENT)]).await;
    assert_eq!(house.count(Signal::Errors).await, 1);
}

#[tokio::test]
async fn what_is_not_stored_yet_is_held_back_and_counted() {
    let house = House::new().await;
    let items: &[(&str, &[u8])] = &[
        ("session", b"{}"),
        ("sessions", b"{}"),
        ("replay_event", b"{}"),
        ("replay_recording", b"{\"segment_id\":0}\n\x78\x9c"),
        ("check_in", b"{}"),
        ("attachment", b"alone"),
        ("something_new", b"?"),
    ];
    let answer = house.post_items(&headers(), items).await;
    assert_eq!(answer.line(), format!(r#"200 {{"id":"{ID}"}}"#));
    assert_eq!(answer.header("x-sentry-rate-limits"), "3600:session;replay;monitor:project:not_supported");
    assert_eq!(
        house.counted(),
        [
            "attachment accepted  1",
            "monitor not_supported  1",
            "other not_supported unknown_item 1",
            "replay not_supported  2",
            "session not_supported  2",
        ]
    );
    assert_eq!(house.post_items("{}", &[]).await.line(), "200 {}");
}

#[tokio::test]
async fn containers_that_come_again_are_stored_once_where_an_id_tells() {
    let house = House::new().await;
    for _ in 0..3 {
        assert_eq!(house.post_items("{}", &[("span", SPANS)]).await.status.as_u16(), 200);
    }
    assert_eq!(house.column(Signal::Spans, "name").await, ["GET /", "SELECT"]);
    assert!(house.counted().contains(&"span duplicate  4".to_owned()), "{:?}", house.counted());
    // The same ids in other words are other spans: nothing is dropped on suspicion.
    let other = String::from_utf8_lossy(SPANS).replace("GET /", "GET /cart");
    house.post_items("{}", &[("span", other.as_bytes())]).await;
    assert_eq!(house.count(Signal::Spans).await, 4);
    // A span without ids is none, and is counted. Log records may be alike and both be meant …
    for _ in 0..2 {
        house.post_items("{}", &[("span", br#"{"items":[{"name":"nameless"}]}"#), ("log", LOGS)]).await;
    }
    assert_eq!((house.count(Signal::Spans).await, house.count(Signal::Logs).await), (4, 2));
    assert!(house.counted().contains(&"span invalid invalid_shape 6".to_owned()), "{:?}", house.counted());
    // … unless the client says that it is the same request.
    for _ in 0..2 {
        let request = http::Request::post(house.envelope_path()).header("idempotency-key", "k");
        let body = crate::house::envelope("{}", &[("log", LOGS)]);
        assert_eq!(house.send(request.body(body.into()).unwrap()).await.status.as_u16(), 200);
    }
    assert_eq!(house.count(Signal::Logs).await, 3);
    // The key of one request is not another's.
    for (path, body) in [
        (house.envelope_path(), crate::house::envelope("{}", &[("event", EVENT)])),
        (house.store_path(), EVENT.to_vec()),
    ] {
        let request = http::Request::post(path).header("idempotency-key", "k");
        let answer = house.send(request.body(body.into()).unwrap()).await;
        assert_eq!(answer.status.as_u16(), 422, "{}", answer.body);
        assert!(answer.body.contains("Idempotency-Key"), "{}", answer.body);
    }
    assert_eq!(house.count(Signal::Errors).await, 0);
    // An event without an id of its own gets one that its retry is answered with too.
    let mut ids = std::collections::BTreeSet::new();
    for path in [house.store_path(), house.store_path()] {
        let request = http::Request::post(path).header("idempotency-key", "k2");
        let answer = house.send(request.body(r#"{"message":"nameless"}"#.into()).unwrap()).await;
        assert_eq!(answer.status.as_u16(), 200, "{}", answer.body);
        ids.insert(answer.body);
    }
    assert_eq!((ids.len(), house.count(Signal::Errors).await), (1, 1), "{ids:?}");
}

#[tokio::test]
async fn a_fault_is_one_issue_whomever_it_strikes() {
    let house = House::new().await;
    for (nth, email) in ["ada@example.org", "grace@example.org"].into_iter().enumerate() {
        let event = format!(
            r#"{{"platform":"python","user":{{"email":"{email}"}},"exception":{{"values":[{{"type":"MailError","value":"cannot mail {email}"}}]}}}}"#
        );
        let headers = format!(r#"{{"event_id":"{:032x}"}}"#, nth + 1);
        assert_eq!(house.post_items(&headers, &[("event", event.as_bytes())]).await.status.as_u16(), 200);
    }
    let values = house.column(Signal::Errors, "value").await;
    assert!(values.iter().all(|value| value.starts_with("cannot mail email:")), "{values:?}");
    assert_ne!(values[0], values[1]);
    let issues = house.issues.list(&house.read, &Default::default()).await.unwrap();
    assert_eq!(issues.iter().map(|issue| issue.count).collect::<Vec<_>>(), [2]);
}

#[tokio::test]
async fn broken_neighbours_are_counted_and_the_rest_is_stored() {
    let house = House::new().await;
    let items: &[(&str, &[u8])] = &[("event", b"{"), ("log", LOGS), ("span", b"nonsense"), ("log", b"[]")];
    let answer = house.post_items(&headers(), items).await;
    assert_eq!(answer.status.as_u16(), 200, "{}", answer.body);
    assert_eq!(house.count(Signal::Logs).await, 1);
    let counted = house.counted();
    assert!(counted.contains(&"error invalid invalid_json 1".to_owned()), "{counted:?}");
    assert!(counted.contains(&"span invalid invalid_json 1".to_owned()), "{counted:?}");
    assert!(counted.contains(&"log_item invalid invalid_shape 2".to_owned()), "{counted:?}");
}

#[tokio::test]
async fn odd_json_degrades_and_identifiers_leave() {
    let house = House::new().await;
    let event = br#"{"message":"half \ud83d surrogate","extra":{"nan":NaN,"inf":-Infinity,"big":123456789012345678901234567890,"card":4111111111111111},
        "user":{"id":42,"email":"ada@example.org","ip_address":"{{auto}}"},"request":{"env":{"REMOTE_ADDR":"{{auto}}"}}}"#;
    assert_eq!(house.post_items(&headers(), &[("event", event)]).await.status.as_u16(), 200);
    let stored = house.column(Signal::Errors, "event").await.concat();
    for gone in ["ada@example.org", "4111111111111111", "{{auto}}", "192.0.2.1"] {
        assert!(!stored.contains(gone), "{gone}: {stored}");
    }
    assert!(
        stored.contains("half \u{fffd} surrogate") && stored.contains("123456789012345678901234567890"),
        "{stored}"
    );
    assert!(stored.contains(r#""nan":null"#), "{stored}");
    assert!(house.column(Signal::Errors, "subject").await[0].starts_with("user:"));
}

#[tokio::test]
async fn a_gross_drift_of_the_senders_clock_is_corrected() {
    let house = House::new().await;
    let day = 86_400;
    let sent_at = candor_model::Timestamp(NOW.0 - day * 1_000_000);
    let headers = format!(r#"{{"event_id":"{ID}","sent_at":"{sent_at}"}}"#);
    let at = NOW.0 / 1_000_000 - day - 10;
    let event = format!(r#"{{"message":"late","timestamp":{at}}}"#);
    let log = format!(r#"{{"items":[{{"timestamp":{at},"body":"late"}}]}}"#);
    house.post_items(&headers, &[("event", event.as_bytes()), ("log", log.as_bytes())]).await;
    for signal in [Signal::Errors, Signal::Logs] {
        use arrow::array::AsArray;
        use arrow::datatypes::TimestampMicrosecondType;
        let rows = house.rows(signal).await;
        let times = rows[0].column_by_name("timestamp").unwrap().as_primitive::<TimestampMicrosecondType>();
        assert_eq!(times.value(0), NOW.0 - 10_000_000, "{signal:?}");
    }
    assert!(house.column(Signal::Errors, "event").await[0].contains("clock_drift"));
}
