//! What must never be stored, planted in every place of every kind of record, beside something harmless that must
//! survive in the same place.

use candor_model::{LogRecord, Object, Records, SpanRecord, Value};

use crate::{Bed, error, row};

/// As they are planted, and what no stored byte may hold.
const DIRTY: [(&str, &str); 6] = [
    ("4111111111111111", "4111111111111111"),
    ("4111 1111 1111 1111", "4111 1111 1111"),
    ("DE89370400440532013000", "89370400440532013000"),
    ("536-90-4399", "536-90-4399"),
    ("password=hunter2", "hunter2"),
    ("https://u:hunter2@x.example/", "hunter2"),
];

/// It has no shape that any detector knows.
const HARMLESS: &str = "harmlesscanary";

fn plant(dirty: &str) -> String {
    format!("{HARMLESS} {dirty} ")
}

fn member(key: impl Into<String>, value: impl Into<Value>) -> Object {
    Object::from_iter([(key.into(), value.into())])
}

type LogPlace = (&'static str, fn(String) -> LogRecord);

const LOG_PLACES: &[LogPlace] = &[
    ("body", |text| LogRecord { body: text.into(), ..LogRecord::default() }),
    ("body member", |text| LogRecord { body: member("a", text).into(), ..LogRecord::default() }),
    ("body list", |text| LogRecord { body: Value::Array(vec![text.into()]), ..LogRecord::default() }),
    ("body key", |text| LogRecord { body: member(text, "x").into(), ..LogRecord::default() }),
    ("attribute", |text| LogRecord { attributes: member("a", text), ..LogRecord::default() }),
    ("attribute key", |text| LogRecord { attributes: member(text, "x"), ..LogRecord::default() }),
    ("nested attribute", |text| LogRecord {
        attributes: member("a", member("b", Value::Array(vec![member("c", text).into()]))),
        ..LogRecord::default()
    }),
    ("user id", |text| LogRecord { attributes: member("user.id", text), ..LogRecord::default() }),
    ("user e-mail", |text| LogRecord { attributes: member("user.email", text), ..LogRecord::default() }),
    ("session", |text| LogRecord { attributes: member("session.id", text), ..LogRecord::default() }),
    ("service name", |text| LogRecord { service_name: text, ..LogRecord::default() }),
    ("host name", |text| LogRecord { host_name: text, ..LogRecord::default() }),
    ("source", |text| LogRecord { source: text, ..LogRecord::default() }),
    ("level", |text| LogRecord { severity_text: text, ..LogRecord::default() }),
    ("trace id", |text| LogRecord { trace_id: text, ..LogRecord::default() }),
    ("span id", |text| LogRecord { span_id: text, ..LogRecord::default() }),
];

type SpanPlace = (&'static str, fn(String) -> SpanRecord);

const SPAN_PLACES: &[SpanPlace] = &[
    ("name", |text| SpanRecord { name: text, ..SpanRecord::default() }),
    ("op", |text| SpanRecord { op: text, ..SpanRecord::default() }),
    ("status", |text| SpanRecord { status: text, ..SpanRecord::default() }),
    ("service name", |text| SpanRecord { service_name: text, ..SpanRecord::default() }),
    ("release", |text| SpanRecord { release: text, ..SpanRecord::default() }),
    ("trace id", |text| SpanRecord { trace_id: text, ..SpanRecord::default() }),
    ("span id", |text| SpanRecord { span_id: text, ..SpanRecord::default() }),
    ("parent id", |text| SpanRecord { parent_span_id: text, ..SpanRecord::default() }),
    ("attribute", |text| SpanRecord { attributes: member("a", text), ..SpanRecord::default() }),
    ("attribute key", |text| SpanRecord { attributes: member(text, 7_i64), ..SpanRecord::default() }),
    ("event of the span", |text| SpanRecord {
        attributes: member("events", Value::Array(vec![member("attributes", member("k", text)).into()])),
        ..SpanRecord::default()
    }),
    ("enduser", |text| SpanRecord { attributes: member("enduser.id", text), ..SpanRecord::default() }),
];

/// Events with `@` where the text is planted.
const EVENT_PLACES: &[&str] = &[
    r#"{"message": "@"}"#,
    r#"{"logentry": {"message": "@"}}"#,
    r#"{"logentry": {"params": ["@"]}}"#,
    r#"{"logentry": {"formatted": "@"}}"#,
    r#"{"exception": {"values": [{"type": "@"}]}}"#,
    r#"{"exception": {"values": [{"value": "@"}]}}"#,
    r#"{"exception": {"values": [{"mechanism": {"data": {"a": "@"}}}]}}"#,
    r#"{"exception": {"values": [{"stacktrace": {"frames": [{"vars": {"a": "@"}}]}}]}}"#,
    r#"{"exception": {"values": [{"stacktrace": {"frames": [{"vars": {"a": {"b": ["@"]}}}]}}]}}"#,
    r#"{"exception": {"values": [{"stacktrace": {"frames": [{"vars": {"@": "a"}}]}}]}}"#,
    r#"{"exception": {"values": [{"stacktrace": {"frames": [{"context_line": "@"}]}}]}}"#,
    r#"{"exception": {"values": [{"stacktrace": {"frames": [{"pre_context": ["@"]}]}}]}}"#,
    r#"{"exception": {"values": [{"stacktrace": {"frames": [{"filename": "@", "abs_path": "@"}]}}]}}"#,
    r#"{"threads": {"values": [{"name": "@"}]}}"#,
    r#"{"breadcrumbs": {"values": [{"message": "@"}]}}"#,
    r#"{"breadcrumbs": {"values": [{"data": {"url": "@"}}]}}"#,
    r#"{"breadcrumbs": [{"data": {"@": 1}}]}"#,
    r#"{"tags": {"a": "@"}}"#,
    r#"{"tags": {"@": "a"}}"#,
    r#"{"tags": [["a", "@"]]}"#,
    r#"{"tags": [{"key": "a", "value": "@"}]}"#,
    r#"{"tags": {"user": "id:@"}}"#,
    r#"{"extra": {"a": "@"}}"#,
    r#"{"extra": {"a": {"b": {"@": "@"}}}}"#,
    r#"{"contexts": {"a": {"b": "@"}}}"#,
    r#"{"contexts": {"device": {"id": "@"}}}"#,
    r#"{"request": {"url": "https://x.example/?q=@"}}"#,
    r#"{"request": {"query_string": "q=@"}}"#,
    r#"{"request": {"query_string": [["q", "@"]]}}"#,
    r#"{"request": {"data": "@"}}"#,
    r#"{"request": {"data": {"a": "@"}}}"#,
    r#"{"request": {"headers": [["X-Note", "@"]]}}"#,
    r#"{"request": {"headers": {"X-Note": "@"}}}"#,
    r#"{"user": {"id": "@"}}"#,
    r#"{"user": {"email": "@"}}"#,
    r#"{"user": {"username": "@"}}"#,
    r#"{"transaction": "@"}"#,
    r#"{"release": "@", "environment": "@", "server_name": "@"}"#,
    r#"{"fingerprint": ["@"]}"#,
    r#"{"modules": {"@": "@"}}"#,
    r#"{"level": "@", "platform": "@", "event_id": "@"}"#,
    r#"{"sdk": {"name": "@", "packages": [{"name": "@"}]}}"#,
    r#"{"debug_meta": {"images": [{"code_file": "@"}]}}"#,
];

/// Clears, and gives everything that would be stored, as text.
fn stored(bed: &Bed, records: Records) -> String {
    let cleared = bed.clear(records);
    let admitted = cleared.admitted.expect("a dirty record is cleaned, not dropped");
    let opened: Vec<String> = admitted
        .vault()
        .iter()
        .filter_map(|entry| bed.keyring.open_entry(bed.scope.project(), entry))
        .collect();
    let batch = String::from_utf8_lossy(admitted.batch()).into_owned();
    format!("{:?}\n{opened:?}\n{batch}\n{:?}", row(admitted.rows().unwrap(), 0), cleared.report)
}

fn check(bed: &Bed, place: &str, records: impl Fn(String) -> Records) {
    for (dirty, forbidden) in DIRTY {
        let stored = stored(bed, records(plant(dirty)));
        assert!(!stored.contains(forbidden), "{place}: {dirty} is stored: {stored}");
        assert!(stored.contains(HARMLESS), "{place}: {dirty} took its neighbour along: {stored}");
    }
}

#[test]
fn nothing_forbidden_is_stored_of_a_log_record() {
    let bed = Bed::new();
    for (place, record) in LOG_PLACES {
        check(&bed, place, |text| Records::Logs(vec![record(text)]));
    }
}

#[test]
fn nothing_forbidden_is_stored_of_a_span() {
    let bed = Bed::new();
    for (place, record) in SPAN_PLACES {
        check(&bed, place, |text| Records::Spans(vec![record(text)]));
    }
}

#[test]
fn nothing_forbidden_is_stored_of_an_error_event() {
    let bed = Bed::new();
    for place in EVENT_PLACES {
        check(&bed, place, |text| Records::Errors(vec![error(&place.replace('@', &text))]));
    }
}

#[test]
fn numbers_are_looked_at_too() {
    let bed = Bed::new();
    let card = 4_111_111_111_111_111_i64;
    let log = |value: Value| {
        Records::Logs(vec![LogRecord {
            body: member("n", value.clone()).into(),
            attributes: member("n", value),
            ..LogRecord::default()
        }])
    };
    for value in [Value::Int(card), Value::UInt(card as u64), Value::BigInt(card.to_string().into())] {
        let stored = stored(&bed, log(value));
        assert!(!stored.contains("411111111111") && stored.contains("[card]"), "{stored}");
    }
    let event = format!(r#"{{"extra": {{"n": {card}, "list": [{card}]}}, "tags": {{"n": {card}}}}}"#);
    let text = stored(&bed, Records::Errors(vec![error(&event)]));
    assert!(!text.contains("411111111111"), "{text}");
    let harmless = stored(&bed, log(Value::Int(1_763_632_800_123)));
    assert!(harmless.contains("1763632800123"), "{harmless}");
}

#[test]
fn codes_are_never_taken_for_secrets() {
    let bed = Bed::new();
    for n in 0..200 {
        let event = bed.event(&format!(
            r#"{{"user": {{"id": "u{n}", "email": "p{n}@x.example", "username": "name {n}"}}, "tags": {{"user": "id:u{n}"}},
                 "message": "p{n}@x.example token", "contexts": {{"device": {{"id": "device-{n}"}}, "replay": {{"replay_id": "r{n}"}}}},
                 "request": {{"env": {{"session_id": "s-{n}"}}}}}}"#
        ));
        let text = event.to_text();
        assert!(!text.contains("[secret]"), "{text}");
        assert_eq!(text.matches("user:").count(), 2, "{text}");
        assert_eq!(text.matches("email:").count(), 2, "{text}");
    }
}

#[test]
fn attachments_are_scrubbed_where_they_are_text() {
    let bed = Bed::new();
    let clear = |content: &[u8]| {
        let cleared = bed.gate.clear_blob(&bed.scope, bytes::Bytes::copy_from_slice(content));
        (cleared.admitted.unwrap(), cleared.report)
    };
    let (blob, report) = clear(b"card 4111111111111111 of harmlesscanary");
    assert_eq!(&blob.bytes()[..], b"card [card] of harmlesscanary");
    assert_eq!(report.replaced, [("card", 1)]);
    let (json, _) = clear(br#"{"password": "hunter2", "a": "harmlesscanary"}"#);
    let text = String::from_utf8(json.bytes().to_vec()).unwrap();
    assert!(!text.contains("hunter2") && text.contains("harmlesscanary"), "{text}");
    let binary = [0xff_u8, 0x00, 0x34, 0x31];
    let (kept, _) = clear(&binary);
    assert_eq!(&kept.bytes()[..], binary);
    assert_eq!(kept.name().len(), 32);
    assert_ne!(kept.name(), blob.name());
}

/// Ids are of hexadecimal digits and random. Where one spells a card in decimal digits it is none; a card between
/// letters of an id, or spread over it, cannot be told from chance.
#[test]
fn an_id_does_not_spell_a_card() {
    let bed = Bed::new();
    let (card, zeros) = ("4111111111111111", "0".repeat(16));
    for id in [format!("{card}{zeros}"), format!("{zeros}{card}"), card.to_owned()] {
        let log = LogRecord { trace_id: id.clone(), span_id: id.clone(), ..LogRecord::default() };
        let span = SpanRecord { trace_id: id.clone(), parent_span_id: id.clone(), ..SpanRecord::default() };
        let event =
            error(&format!(r#"{{"contexts": {{"trace": {{"trace_id": "{id}", "span_id": "{id}"}}}}}}"#));
        for records in [Records::Logs(vec![log]), Records::Spans(vec![span]), Records::Errors(vec![event])] {
            let cleared = bed.clear(records);
            let row = row(cleared.admitted.unwrap().rows().unwrap(), 0);
            assert!(row.iter().all(|(_, cell)| !cell.contains(card)), "{row:?}");
        }
    }
    let random = "00000000000000000000000000000017";
    let row = bed.log(LogRecord { trace_id: random.to_owned(), ..LogRecord::default() });
    assert!(row.contains(&("trace_id".to_owned(), random.to_owned())), "{row:?}");
}
