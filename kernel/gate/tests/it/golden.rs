//! Whole rows, as they were sent and as they are stored.

use candor_model::{EventTime, LogRecord, Records, SpanRecord, Value};
use expect_test::expect;

use crate::{Bed, NOW, error, object, print, row, value};

fn log() -> LogRecord {
    LogRecord {
        timestamp: Some(EventTime::from_nanos(1_763_632_800_123_456_789)),
        severity_text: "ERROR".into(),
        severity_number: 17,
        body: "payment of alice@example.com failed for u-4711".into(),
        service_name: "cart".into(),
        trace_id: "5b8efff798038103d269b633813fc60c".into(),
        span_id: "eee19b7ec3c1b174".into(),
        source: "web".into(),
        attributes: object(
            r#"{"user.id": "u-4711", "user.email": "alice@example.com", "client.address": "203.0.113.9",
                "http.request.method": "GET", "retries": 3, "ratio": 0.5, "flag": true, "nothing": null,
                "list": [1, "two"], "nested": {"user": {"name": "alice", "plan": "pro"}, "kept": "yes"},
                "session.id": "s-1", "empty": "", "server.address": "10.0.0.1", "retries": 4}"#,
        ),
        ..LogRecord::default()
    }
}

#[test]
fn a_log_record() {
    expect![[r#"
        timestamp: 2025-11-20T10:00:00.123456Z
        timestamp_ns: 789
        observed_timestamp: 2026-09-21T14:13:20.000000Z
        severity_text: ERROR
        severity_number: 17
        body: payment of email:atmwmcrn6lb6kwipu3u3i2ywra failed for user:bqfpy2yk2htgh7pep2bjn5v6om
        service_name: cart
        trace_id: 5b8efff798038103d269b633813fc60c
        span_id: eee19b7ec3c1b174
        source: web
        attributes: client.address=[ip]
          http.request.method=GET
          ratio=0.5
          flag=true
          nothing=null
          list=[1,"two"]
          nested={"kept":"yes"}
          empty=
          server.address=10.0.0.1
          retries=4
        subject: user:bqfpy2yk2htgh7pep2bjn5v6om
        subjects: user:bqfpy2yk2htgh7pep2bjn5v6om, email:atmwmcrn6lb6kwipu3u3i2ywra, name:3imxd522dleonnvuxifhrhp6ma, session:upntg4k3254onfynxkhocnkkwq
    "#]]
    .assert_eq(&print(&Bed::new().log(log())));
}

#[test]
fn a_span() {
    let span = SpanRecord {
        timestamp: Some(EventTime::from_nanos(-1)),
        duration_ns: 1_500_000,
        trace_id: "5b8efff798038103d269b633813fc60c".into(),
        span_id: "eee19b7ec3c1b174".into(),
        name: "GET /users/u-4711".into(),
        op: "http.server".into(),
        status: "ok".into(),
        service_name: "cart".into(),
        attributes: object(
            r#"{"enduser.id": "u-4711", "enduser.role": "admin", "net.peer.ip": "203.0.113.9", "url.path": "/users/u-4711",
                "http.request.header.x-forwarded-for": ["203.0.113.9"], "db.user": "shop"}"#,
        ),
        ..SpanRecord::default()
    };
    let cleared = Bed::new().clear(Records::Spans(vec![span]));
    expect![[r#"
        timestamp: 1969-12-31T23:59:59.999999Z
        timestamp_ns: 999
        duration_ns: 1500000
        trace_id: 5b8efff798038103d269b633813fc60c
        span_id: eee19b7ec3c1b174
        name: GET /users/user:bqfpy2yk2htgh7pep2bjn5v6om
        op: http.server
        status: ok
        service_name: cart
        attributes: net.peer.ip=[ip]
          url.path=/users/user:bqfpy2yk2htgh7pep2bjn5v6om
          http.request.header.x-forwarded-for=[ip]
          db.user=shop
        subject: user:bqfpy2yk2htgh7pep2bjn5v6om
        subjects: user:bqfpy2yk2htgh7pep2bjn5v6om
    "#]]
    .assert_eq(&print(&row(cleared.admitted.unwrap().rows().unwrap(), 0)));
}

const EVENT: &str = r#"{
    "event_id": "fc6d8c0c43fc4630ad850ee518f1b9d0", "timestamp": 1763632800.25, "level": "error", "platform": "python",
    "release": "shop@1", "transaction": "checkout",
    "user": {"id": 4711, "email": "alice@example.com", "username": "alice", "ip_address": "203.0.113.9",
             "geo": {"country_code": "CZ"}, "segment": "gold", "data": {"shoe": 43}},
    "exception": {"values": [{"type": "ValueError", "value": "no address of alice@example.com",
        "stacktrace": {"frames": [{"function": "pay", "in_app": true, "vars": {"email": "'alice@example.com'", "n": "1"}}]}}]},
    "request": {"url": "https://shop.example/pay?mail=alice@example.com",
        "headers": [["X-Forwarded-For", "203.0.113.9, 10.0.0.1"], ["Accept", "*/*"]],
        "env": {"REMOTE_ADDR": "203.0.113.9", "SERVER_PORT": "80"}},
    "tags": {"user": "id:4711", "user.email": "alice@example.com", "color": "blue"},
    "contexts": {"trace": {"trace_id": "5b8efff798038103d269b633813fc60c", "span_id": "eee19b7ec3c1b174"},
        "device": {"id": "dev-0001", "model": "Pixel"}, "replay": {"replay_id": "0196f0b56a2c7e118d00000000000000"}},
    "extra": {"note": "alice called"}, "sdk": {"name": "sentry.python", "version": "2"}
}"#;

#[test]
fn an_error_event() {
    let cleared = Bed::new().clear(Records::Errors(vec![error(EVENT)]));
    expect![[r#"
        timestamp: 2025-11-20T10:00:00.250000Z
        timestamp_ns: 0
        event_id: fc6d8c0c43fc4630ad850ee518f1b9d0
        level: error
        type: ValueError
        value: no address of email:atmwmcrn6lb6kwipu3u3i2ywra
        culprit: checkout
        platform: python
        release: shop@1
        transaction: checkout
        trace_id: 5b8efff798038103d269b633813fc60c
        span_id: eee19b7ec3c1b174
        subject: user:3poxoav432udhncwz6etijocta
        subjects: user:3poxoav432udhncwz6etijocta, email:atmwmcrn6lb6kwipu3u3i2ywra, name:3imxd522dleonnvuxifhrhp6ma, device:jjb57q3y5uw6mlogrhtxh435kq, replay:pgl6qnvuvddfqtx45sm4wrsu4u
        tags: user=user:3poxoav432udhncwz6etijocta
          user.email=email:atmwmcrn6lb6kwipu3u3i2ywra
          color=blue
        contexts: {"trace":{"trace_id":"5b8efff798038103d269b633813fc60c","span_id":"eee19b7ec3c1b174"},"device":{"id":"device:jjb57q3y5uw6mlogrhtxh435kq","model":"Pixel"},"replay":{"replay_id":"replay:pgl6qnvuvddfqtx45sm4wrsu4u"}}
        event: {"event_id":"fc6d8c0c43fc4630ad850ee518f1b9d0","timestamp":1763632800.25,"level":"error","platform":"python","release":"shop@1","transaction":"checkout","user":{"id":"user:3poxoav432udhncwz6etijocta","email":"email:atmwmcrn6lb6kwipu3u3i2ywra","username":"name:3imxd522dleonnvuxifhrhp6ma","ip_address":"[ip]","geo":{"country_code":"CZ"}},"exception":{"values":[{"type":"ValueError","value":"no address of email:atmwmcrn6lb6kwipu3u3i2ywra","stacktrace":{"frames":[{"function":"pay","in_app":true,"vars":{"email":"email:atmwmcrn6lb6kwipu3u3i2ywra","n":"1"}}]}}]},"request":{"url":"https://shop.example/pay?mail=email:atmwmcrn6lb6kwipu3u3i2ywra","headers":[["X-Forwarded-For","[ip]"],["Accept","*/*"]],"env":{"REMOTE_ADDR":"[ip]","SERVER_PORT":"80"}},"tags":{"user":"user:3poxoav432udhncwz6etijocta","user.email":"email:atmwmcrn6lb6kwipu3u3i2ywra","color":"blue"},"contexts":{"trace":{"trace_id":"5b8efff798038103d269b633813fc60c","span_id":"eee19b7ec3c1b174"},"device":{"id":"device:jjb57q3y5uw6mlogrhtxh435kq","model":"Pixel"},"replay":{"replay_id":"replay:pgl6qnvuvddfqtx45sm4wrsu4u"}},"extra":{"note":"name:3imxd522dleonnvuxifhrhp6ma called"},"sdk":{"name":"sentry.python","version":"2"}}
        group_hashes: ValueError, no address of email:atmwmcrn6lb6kwipu3u3i2ywra
    "#]]
    .assert_eq(&print(&row(cleared.admitted.as_ref().unwrap().rows().unwrap(), 0)));
    expect![[r#"
        GateReport {
            dropped: [],
            replaced: [
                (
                    "identifier",
                    8,
                ),
                (
                    "ip",
                    3,
                ),
                (
                    "user_trait",
                    2,
                ),
            ],
            attributes_dropped: 0,
        }
    "#]]
    .assert_debug_eq(&cleared.report);
}

#[test]
fn times_are_kept_as_sent_and_made_up_where_missing() {
    let bed = Bed::new();
    let at = |seconds: i64| LogRecord {
        timestamp: Some(EventTime { micros: seconds * 1_000_000, nanos: 5 }),
        ..LogRecord::default()
    };
    for (seconds, shown) in [
        (0, "1970-01-01T00:00:00.000000Z"),
        (16_725_225_600, "2500-01-01T00:00:00.000000Z"),
        (-62_135_596_800, "0001-01-01T00:00:00.000000Z"),
    ] {
        let row = bed.log(at(seconds));
        assert_eq!(row[0], ("timestamp".into(), shown.into()));
        assert_eq!(row[1], ("timestamp_ns".into(), "5".into()));
        assert_eq!(row[2], ("observed_timestamp".into(), NOW.to_string()));
    }
    assert_eq!(bed.log(LogRecord::default())[0].1, NOW.to_string());
    // Beyond what any reader shows: the end that it passed.
    let extreme =
        |micros| LogRecord { timestamp: Some(EventTime { micros, nanos: 0 }), ..LogRecord::default() };
    let (last, first) = (bed.log(extreme(i64::MAX))[0].1.clone(), bed.log(extreme(i64::MIN))[0].1.clone());
    assert!(last.starts_with("9999-12-30") || last == "253402207200999999us", "{last}");
    assert!(first.starts_with("-009999-01-02") || first.starts_with("-3777"), "{first}");
}

#[test]
fn bodies_of_any_kind_are_text_and_empty_text_is_null() {
    let bed = Bed::new();
    let body = |body: Value| {
        let row = bed.log(LogRecord { body, ..LogRecord::default() });
        row.into_iter().find(|(name, _)| name == "body").map(|(_, value)| value)
    };
    assert_eq!(body(Value::Null), None);
    assert_eq!(body("text".into()).as_deref(), Some("text"));
    assert_eq!(body(value(r#"{"a":[1,2.5,null,true]}"#)).as_deref(), Some(r#"{"a":[1,2.5,null,true]}"#));
    assert_eq!(body(Value::Float(f64::NAN)).as_deref(), Some("null"));
    assert_eq!(
        body(value("123456789012345678901234567890")).as_deref(),
        Some("123456789012345678901234567890")
    );
}

#[test]
fn what_is_over_a_limit_is_dropped_and_its_neighbours_survive() {
    let bed = Bed::new();
    let deep = (0..100).fold(Value::Null, |inner, _| Value::Array(vec![inner]));
    let records = vec![
        LogRecord { body: "first".into(), ..LogRecord::default() },
        LogRecord { body: deep, ..LogRecord::default() },
        LogRecord { body: "x".repeat(11 << 20).into(), ..LogRecord::default() },
        LogRecord {
            body: "last".into(),
            attributes: (0..10_002).map(|n| (n.to_string(), Value::Int(n))).collect(),
            ..LogRecord::default()
        },
    ];
    let cleared = bed.clear(Records::Logs(records));
    let rows = cleared.admitted.unwrap().rows().unwrap().clone();
    assert_eq!(rows.num_rows(), 2);
    assert!(row(&rows, 1).contains(&("body".into(), "last".into())));
    assert_eq!(cleared.report.dropped, [("nesting", 1), ("size", 1)]);
    assert_eq!(cleared.report.records_dropped(), 2);
    assert_eq!(cleared.report.attributes_dropped, 2);
    // Nothing left is nothing admitted.
    let nothing = bed
        .clear(Records::Logs(vec![LogRecord { body: "x".repeat(11 << 20).into(), ..LogRecord::default() }]));
    assert!(nothing.admitted.is_none());
    assert!(bed.clear(Records::Spans(vec![])).admitted.is_none());
}
