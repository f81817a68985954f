//! Every parser against mutated bodies; see [`candor_testbed::fuzz`] for how long and how to run a case again.

use candor_logs::drops::Parsed;
use candor_logs::{better_stack, level, logflare, otlp, times};
use candor_model::random::{Random, Seeded};
use candor_model::{LogRecord, SpanRecord, Value, json, limits};
use candor_testbed::fuzz;

/// Bodies of every shape that a parser takes, to mutate.
const JSON: &[&[u8]] = &[
    br#"{"batch":[{"event_message":"hi","metadata":{"level":"info","n":[1,2.5,{"a":null}]},"timestamp":1767225600123},{"message":"\u00fc\ud83d\ude00"}]}"#,
    br#"[{"dt":"2026-01-01T00:00:00.123Z","message":"a","level":"warn","context":{"system":{"hostname":"h"}}},"text",7,null]"#,
    b"{\"message\":\"one\",\"x\":NaN}\n{\"message\":\"two\",\"y\":-1e400}\r\n\n{\"message\":\"three\"",
    br#"{"a":{"b":{"c":{"d":{"e":[[[[{}]]]]}}}},"a":1,"a.b":2,"trace_id":"0af7651916cd43dd8448eb211c80319c"}"#,
    br#"{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"s"}}]},"scopeLogs":[{"scope":{"name":"n"},"logRecords":[{"timeUnixNano":"1767225600000000000","severityNumber":9,"body":{"kvlistValue":{"values":[{"key":"k","value":{"arrayValue":{"values":[{"intValue":"5"},{"doubleValue":1.5},{"bytesValue":"AAE="}]}}}]}},"traceId":"0af7651916cd43dd8448eb211c80319c"}]}]}]}"#,
    br#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"b7ad6b7169203331","name":"n","kind":2,"startTimeUnixNano":"1","endTimeUnixNano":2,"events":[{"name":"e","timeUnixNano":5,"attributes":[]}],"links":[{"spanId":"b7ad6b7169203331"}],"status":{"code":2,"message":"m"}}]}]}]}"#,
    br#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"gauge":{"dataPoints":[{}]}}]}]}]}"#,
];

const MESSAGE_PACK: &[&[u8]] = &[
    b"\x90",
    b"\x92\x83\xa2dt\xd7\xff\x1d\x6f\x34\x54\x69\x55\xb9\x00\xa7message\xa2hi\xa5level\xa4info\x81\xa1a\x93\x01\xcb\x3f\xf8\0\0\0\0\0\0\xc0",
    b"\x81\xa7context\x81\xa6system\x81\xa8hostname\xa1h\x82\x01\xc4\x02\xff\xfe\xa1k\xdd\0\0\0\x01\xd3\xff\xff\xff\xff\xff\xff\xff\xff",
];

fn protobuf() -> Vec<Vec<u8>> {
    use opentelemetry_proto::tonic::collector::{logs::v1 as logs, trace::v1 as trace};
    use opentelemetry_proto::tonic::common::v1::{
        AnyValue, ArrayValue, KeyValue, KeyValueList, any_value::Value,
    };
    use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
    use opentelemetry_proto::tonic::resource::v1::Resource;
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, span};
    use prost::Message;

    let any = |value| Some(AnyValue { value: Some(value) });
    let list = ArrayValue { values: vec![AnyValue { value: Some(Value::DoubleValue(1.5)) }; 3] };
    let pair = KeyValue { key: "k".into(), value: any(Value::ArrayValue(list)), ..KeyValue::default() };
    let map = Value::KvlistValue(KeyValueList { values: vec![pair.clone(); 2] });
    let resource = Some(Resource { attributes: vec![pair.clone()], ..Resource::default() });
    let record = LogRecord {
        time_unix_nano: 1_767_225_600_000_000_000,
        severity_number: 9,
        body: any(map),
        attributes: vec![pair.clone()],
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        ..LogRecord::default()
    };
    let scope_logs = vec![ScopeLogs { log_records: vec![record; 3], ..ScopeLogs::default() }];
    let resource_logs =
        vec![ResourceLogs { resource: resource.clone(), scope_logs, ..ResourceLogs::default() }];
    let event = span::Event { name: "e".into(), attributes: vec![pair.clone()], ..span::Event::default() };
    let link = span::Link { trace_id: vec![1; 16], attributes: vec![pair.clone()], ..span::Link::default() };
    let span = Span {
        trace_id: vec![1; 16],
        name: "n".into(),
        events: vec![event; 2],
        links: vec![link],
        attributes: vec![pair],
        ..Span::default()
    };
    let scope_spans = vec![ScopeSpans { spans: vec![span; 2], ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { resource, scope_spans, ..ResourceSpans::default() }];
    vec![
        logs::ExportLogsServiceRequest { resource_logs }.encode_to_vec(),
        trace::ExportTraceServiceRequest { resource_spans }.encode_to_vec(),
        Vec::new(),
    ]
}

/// A body changed in one to eight places: bits, bytes, lengths, pieces doubled, moved, cut and joined.
fn mutated(random: &Seeded, corpus: &[Vec<u8>]) -> Vec<u8> {
    /// Bytes that mean something to one format or another.
    const TELLING: &[u8] = b"\"\\{}[]:,\n\0-.eE0un\x80\x90\xc1\xdc\xdf\xff\x0a\x0b\x0c\x7f";
    let pick = |below: usize| (random.next_u64() % below.max(1) as u64) as usize;
    let mut body = corpus[pick(corpus.len())].clone();
    for _ in 0..=pick(8) {
        let at = pick(body.len());
        let until = (at + 1 + pick(16)).min(body.len());
        match pick(8) {
            0 if !body.is_empty() => body[at] ^= 1 << pick(8),
            1 if !body.is_empty() => body[at] = TELLING[pick(TELLING.len())],
            2 => body.insert(at, TELLING[pick(TELLING.len())]),
            3 => body.truncate(at),
            4 if !body.is_empty() => drop(body.drain(at..until)),
            5 if !body.is_empty() => {
                let piece = body[at..until].repeat(1 + pick(200));
                body.splice(at..at, piece);
            }
            6 => body.extend_from_slice(&corpus[pick(corpus.len())]),
            _ if !body.is_empty() => body[at] = pick(256) as u8,
            _ => {}
        }
    }
    body
}

/// Runs `parse` on the corpus and on bodies made of it.
fn fuzz(corpus: &[Vec<u8>], parse: impl Fn(&[u8])) {
    corpus.iter().for_each(|body| parse(body));
    fuzz::fuzz(|case| fuzz::Body(mutated(&Seeded::new(case), corpus)), |body| parse(&body.0));
}

fn owned(corpus: &[&[u8]]) -> Vec<Vec<u8>> {
    corpus.iter().map(|body| body.to_vec()).collect()
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(object) => 1 + object.iter().map(|(_, value)| depth(value)).max().unwrap_or(0),
        _ => 0,
    }
}

/// What holds for every record, whatever came.
fn check_log(record: &LogRecord) {
    assert!((0..=24).contains(&record.severity_number));
    for (id, digits) in [(&record.trace_id, 32), (&record.span_id, 16)] {
        assert!(id.is_empty() || id.len() == digits && id.bytes().all(|b| b.is_ascii_hexdigit()), "{id}");
    }
    assert!(depth(&record.body) <= limits::NESTING_DEPTH_MAX + 1);
    for (_, value) in record.attributes.iter() {
        assert!(depth(value) <= limits::NESTING_DEPTH_MAX + 1);
    }
    if let Some(time) = record.timestamp {
        assert!(time.nanos < 1000);
    }
    json::to_string(&record.body);
}

fn check_span(record: &SpanRecord) {
    assert!(record.duration_ns >= 0);
    assert!(matches!(record.status.as_str(), "ok" | "error" | "unset"));
    for (_, value) in record.attributes.iter() {
        assert!(depth(value) <= limits::NESTING_DEPTH_MAX + 4);
    }
}

fn check_logs<E>(parsed: Result<Parsed<LogRecord>, E>) {
    if let Ok(parsed) = parsed {
        parsed.records.iter().for_each(check_log);
    }
}

fn check_spans<E>(parsed: Result<Parsed<SpanRecord>, E>) {
    if let Ok(parsed) = parsed {
        parsed.records.iter().for_each(check_span);
    }
}

#[test]
fn logflare_bodies() {
    fuzz(&owned(JSON), |body| check_logs(logflare::parse(body)));
}

#[test]
fn better_stack_bodies() {
    let corpus = [owned(JSON), owned(MESSAGE_PACK)].concat();
    fuzz(&corpus, |body| check_logs(better_stack::parse(body)));
}

#[test]
fn message_pack_bodies() {
    fuzz(&owned(MESSAGE_PACK), |body| check_logs(better_stack::parse(body)));
}

#[test]
fn otlp_json_bodies() {
    fuzz(&owned(JSON), |body| {
        check_logs(otlp::text::logs(body).map(Parsed::collect));
        check_spans(otlp::text::spans(body).map(Parsed::collect));
        let _ = otlp::text::count_data_points(body);
    });
}

#[test]
fn otlp_protobuf_bodies() {
    fuzz(&protobuf(), |body| {
        check_logs(otlp::binary::logs(body).map(Parsed::collect));
        check_spans(otlp::binary::spans(body).map(Parsed::collect));
        let _ = otlp::binary::count_data_points(body);
    });
}

#[test]
fn times_and_levels() {
    let corpus = [
        "2026-01-01T00:00:00.123456789+01:00",
        "Thu, 1 Jan 2026 00:00:00 +0000",
        "1767225600.5",
        "18446744073709551615",
        "-9223372036854775808",
        "Warning",
        "[ERROR3]:",
    ];
    let corpus: Vec<Vec<u8>> = corpus.iter().map(|text| text.as_bytes().to_vec()).collect();
    fuzz(&corpus, |text| {
        let text = String::from_utf8_lossy(text);
        let number = text.parse::<f64>().unwrap_or(f64::NAN);
        for value in [Value::from(&*text), Value::Float(number), Value::BigInt(text.as_ref().into())] {
            if let Some(time) = times::from_value(&value) {
                assert!(time.nanos < 1000);
                times::to_text(time);
            }
            level::from_value(&value);
        }
    });
}
