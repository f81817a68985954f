//! Every parser against mutated input; see [`candor_testbed::fuzz`] for how long and how to run a case again.

use bytes::Bytes;
use candor_model::json::{self, Leniency};
use candor_model::random::{Random, Seeded};
use candor_model::{Object, ProjectId, Timestamp, Value};

use crate::event::columns;
use crate::items::{Context, Gathered};
use crate::outcomes::Outcomes;
use crate::protocol::envelope::Envelope;
use crate::protocol::store;

const EVENTS: &[&[u8]] = &[
    br#"{"event_id":"9ec79c33ec9942ab8353589fcb2e04dc","timestamp":1741256391.5,"platform":"python","level":"error","server_name":"w","release":"r@1","environment":"e","transaction":"/t","tags":[["a","b"],{"key":"c","value":1}],"fingerprint":["{{ default }}","{{ tags.a }}",1],"user":{"id":1,"ip_address":"{{auto}}"},"contexts":{"trace":{"trace_id":"0123456789abcdef0123456789abcdef","span_id":"0123456789abcdef"},"os":{"name":"Linux","version":6}},"breadcrumbs":{"values":[{"timestamp":1.5,"message":"x"}]},"exception":{"values":[{"type":"A","value":"order 17 of 4,150,908","mechanism":{"type":"x","handled":false,"exception_id":1,"parent_id":0,"meta":{"ns_error":{"code":1,"domain":"d"}}},"stacktrace":{"frames":[{"module":"m","function":"f","lineno":3,"in_app":true,"context_line":"  a = b"},{"filename":"https://h/app.3f2a.js","abs_path":"https://h/app.3f2a.js","function":"Object.x"},null]}},{"type":"G","mechanism":{"exception_id":0,"is_exception_group":true,"synthetic":true}}]}}"#,
    br#"{"logentry":{"message":"%s of %(b)s {c} {0}","params":["x",2]},"threads":{"values":[{"crashed":true,"stacktrace":{"frames":[{"function":"void a<b>::c(int)"}]}}]},"sentry.interfaces.User":{"id":1},"checksum":"x","timestamp":"2025-03-06T10:19:51Z","platform":"native"}"#,
    br#"{"type":"transaction","transaction":"/c","start_timestamp":1,"timestamp":2,"contexts":{"trace":{"trace_id":"0123456789abcdef0123456789abcdef","span_id":"0123456789abcdef","op":"o","data":{"a":1}}},"measurements":{"lcp":{"value":1,"unit":"ms"}},"spans":[{"span_id":"0123456789abcdef","op":"db","start_timestamp":1,"timestamp":2,"data":{"x":[1]}}],"tags":{"a":"b"}}"#,
];

const CONTAINERS: &[(&str, &[u8])] = &[
    ("span", br#"{"version":2,"items":[{"trace_id":"0123456789abcdef0123456789abcdef","span_id":"0123456789abcdef","name":"n","start_timestamp":1.5,"end_timestamp":2,"attributes":{"sentry.op":{"value":"o","type":"string"}}}]}"#),
    ("log", br#"{"items":[{"timestamp":1.5,"level":"warn","body":"b","severity_number":13,"attributes":{"k":{"value":1,"type":"integer"}}}]}"#),
    ("client_report", br#"{"discarded_events":[{"reason":"sample_rate","category":"error","quantity":3}]}"#),
    ("attachment", b"\x00\x01\n\xff"),
    ("session", b"{}"),
    ("zorks", b"?"),
];

fn envelopes() -> Vec<Vec<u8>> {
    let mut all = b"{\"event_id\":\"9ec79c33ec9942ab8353589fcb2e04dc\",\"sent_at\":\"2025-03-06T10:19:51Z\",\"dsn\":\"http://0123456789abcdef0123456789abcdef@h/1\"}\n".to_vec();
    let items = EVENTS.iter().map(|event| ("event", *event)).chain(CONTAINERS.iter().copied());
    for (at, (kind, payload)) in items.enumerate() {
        let header = match at % 2 {
            0 => format!("{{\"type\":\"{kind}\",\"length\":{}}}\n", payload.len()),
            _ => format!("{{\"type\":\"{kind}\",\"filename\":\"f\"}}\n"),
        };
        all.extend_from_slice(header.as_bytes());
        all.extend_from_slice(payload);
        all.push(b'\n');
    }
    vec![all, b"{}\n".to_vec(), Vec::new()]
}

fn pick(random: &Seeded, below: usize) -> usize {
    (random.next_u64() % below.max(1) as u64) as usize
}

/// Bytes changed in one to eight places.
fn mutated_bytes(random: &Seeded, corpus: &[Vec<u8>]) -> Vec<u8> {
    const TELLING: &[u8] = b"\"\\{}[]:,\n\0-.eE01n<>()'=/@%\x80\xff";
    let mut body = corpus[pick(random, corpus.len())].clone();
    for _ in 0..=pick(random, 8) {
        let at = pick(random, body.len());
        let until = (at + 1 + pick(random, 24)).min(body.len());
        match pick(random, 7) {
            0 if !body.is_empty() => body[at] ^= 1 << pick(random, 8),
            1 => body.insert(at, TELLING[pick(random, TELLING.len())]),
            2 if !body.is_empty() => body[at] = TELLING[pick(random, TELLING.len())],
            3 => body.truncate(at),
            4 if !body.is_empty() => drop(body.drain(at..until)),
            5 if !body.is_empty() => {
                let piece = body[at..until].repeat(1 + pick(random, 50));
                drop(body.splice(at..at, piece));
            }
            _ => body.extend_from_slice(&corpus[pick(random, corpus.len())]),
        }
    }
    body
}

/// A value in which one node in ten is something else: JSON that is right and an event that is not.
fn mutated_value(random: &Seeded, value: &Value, depth: usize) -> Value {
    if pick(random, 10) == 0 {
        return match pick(random, 12) {
            0 => Value::Null,
            1 => Value::Bool(true),
            2 => Value::Int(i64::MIN),
            3 => Value::UInt(u64::MAX),
            4 => Value::Float(f64::NAN),
            5 => Value::Float(1e300),
            6 => Value::BigInt("9".repeat(40).into()),
            7 => Value::Array(vec![value.clone(); 3]),
            8 => Value::Object([("values".to_owned(), value.clone())].into_iter().collect()),
            9 => Value::from(""),
            10 => Value::from("{{ default }}"),
            _ => Value::Str("ü<a>::b'c\"(1)%s{0}\u{0}\n".repeat(1 + pick(random, 4))),
        };
    }
    match value {
        Value::Array(items) if depth < 40 => {
            let mut items: Vec<Value> =
                items.iter().map(|item| mutated_value(random, item, depth + 1)).collect();
            if pick(random, 10) == 0 && !items.is_empty() {
                let item = items[pick(random, items.len())].clone();
                items.extend(vec![item; pick(random, 20)]);
            }
            Value::Array(items)
        }
        Value::Object(members) if depth < 40 => members
            .iter()
            .filter(|_| pick(random, 15) > 0)
            .map(|(key, value)| (key.to_owned(), mutated_value(random, value, depth + 1)))
            .collect::<Object>()
            .into(),
        other => other.clone(),
    }
}

fn fuzz<T: std::fmt::Debug>(make: impl Fn(&Seeded) -> T, check: impl Fn(&T)) {
    candor_testbed::fuzz::fuzz(|case| make(&Seeded::new(case)), check);
}

fn gather(items: &Envelope) -> Gathered {
    let outcomes = Outcomes::default();
    let context = Context {
        project: ProjectId(1),
        event_id: None,
        drift: Some(7_200_000_000),
        received: Timestamp(1_741_256_391_000_000),
        peer: None,
        new_id: &|| "0".repeat(32),
        outcomes: &outcomes,
    };
    let mut gathered = Gathered::default();
    items.items.iter().for_each(|item| gathered.add(item, &context));
    gathered.drop_lone_attachments(&context);
    gathered
}

/// What holds for everything that was gathered, whatever came.
fn check_gathered(gathered: &Gathered) {
    for event in &gathered.events {
        assert_eq!(event.id.len(), 32);
        check_columns(&Value::Object(event.event.clone()));
    }
    let spans =
        gathered.transactions.iter().flat_map(|transaction| &transaction.spans).chain(&gathered.spans);
    for span in spans {
        assert!(span.duration_ns >= 0);
        assert!(matches!(span.trace_id.len(), 0 | 32) && matches!(span.span_id.len(), 0 | 16));
    }
    for log in &gathered.logs {
        assert!((0..=24).contains(&log.severity_number));
    }
}

fn check_columns(event: &Value) {
    let columns = columns(event);
    assert!((1..=2).contains(&columns.group_hashes.len()));
    assert!(columns.group_hashes.iter().all(|hash| hash.len() == 32));
    assert!(matches!(columns.event_id.len(), 0 | 32));
    assert!(columns.value.len() <= 8 << 10 && columns.tags.len() <= 1_100);
}

#[test]
fn envelopes_of_any_bytes() {
    let corpus = envelopes();
    assert!(Envelope::parse(&Bytes::from(corpus[0].clone())).is_ok());
    fuzz(
        |random| Bytes::from(mutated_bytes(random, &corpus)),
        |body| {
            if let Ok(envelope) = Envelope::parse(body) {
                check_gathered(&gather(&envelope));
            }
        },
    );
}

#[test]
fn events_of_any_shape() {
    let corpus: Vec<Value> =
        EVENTS.iter().map(|event| json::parse(event, Leniency::LENIENT).unwrap()).collect();
    fuzz(
        |random| mutated_value(random, &corpus[pick(random, corpus.len())], 0),
        |event| {
            check_columns(event);
            let mut headers = Object::new();
            headers.insert("type", "event");
            let payload = Bytes::from(json::to_string(event));
            let item = crate::protocol::envelope::Item { headers, payload };
            check_gathered(&gather(&Envelope { headers: Object::new(), items: vec![item] }));
        },
    );
}

#[test]
fn bodies_of_the_older_path() {
    let corpus = vec![
        EVENTS[0].to_vec(),
        data_encoding::BASE64.encode(EVENTS[1]).into_bytes(),
        vec![0x78, 0x9c, 0x4b, 0x04, 0x00, 0x00, 0x62, 0x00, 0x62],
        vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3],
    ];
    fuzz(
        |random| Bytes::from(mutated_bytes(random, &corpus)),
        |body| {
            if let Ok(decoded) = store::decode(body.clone(), 1 << 20) {
                assert!(decoded.len() <= (1 << 20).max(body.len()));
            }
        },
    );
}
