//! Both encodings against golden records and against each other; messages are written by generated code.

use expect_test::{Expect, expect};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;

use super::{OtlpError, binary, text};
use crate::drops::{DropReason, Parsed};
use crate::shown;

fn any(value: Any) -> AnyValue {
    AnyValue { value: Some(value) }
}

fn pair(key: &str, value: Any) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(any(value)), ..KeyValue::default() }
}

fn string(text: &str) -> Any {
    Any::StringValue(text.to_owned())
}

fn logs_of(records: Vec<LogRecord>) -> Vec<u8> {
    let resource = Resource {
        attributes: vec![
            pair("service.name", string("cart")),
            pair("service.version", string("1.2.3")),
            pair("host.name", string("box-7")),
            pair("shared", string("of the resource")),
        ],
        dropped_attributes_count: 1,
        ..Resource::default()
    };
    let scope = InstrumentationScope {
        name: "lib".to_owned(),
        version: "0.9".to_owned(),
        attributes: vec![pair("kind", string("test"))],
        dropped_attributes_count: 2,
    };
    let scope_logs =
        ScopeLogs { scope: Some(scope), log_records: records, schema_url: "https://scope/1".to_owned() };
    ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            resource: Some(resource),
            scope_logs: vec![scope_logs],
            schema_url: "https://resource/1".to_owned(),
        }],
    }
    .encode_to_vec()
}

fn a_record() -> LogRecord {
    let nested = KeyValueList {
        values: vec![
            pair(
                "list",
                Any::ArrayValue(ArrayValue { values: vec![any(Any::IntValue(1)), AnyValue::default()] }),
            ),
            pair("deep", Any::KvlistValue(KeyValueList { values: vec![pair("x", Any::BoolValue(true))] })),
        ],
    };
    LogRecord {
        time_unix_nano: 1_767_225_600_123_456_789,
        observed_time_unix_nano: 1_767_225_601_000_000_000,
        severity_number: 13,
        severity_text: "Warning".to_owned(),
        body: Some(any(string("it is late"))),
        attributes: vec![
            pair("int", Any::IntValue(-5)),
            pair("double", Any::DoubleValue(0.1)),
            pair("bytes", Any::BytesValue(vec![0xff, 0])),
            pair("nested", Any::KvlistValue(nested)),
            pair("shared", string("of the record")),
            KeyValue { key: "empty".to_owned(), value: None, ..KeyValue::default() },
        ],
        dropped_attributes_count: 3,
        flags: 1,
        trace_id: (1..=16).collect(),
        span_id: (1..=8).collect(),
        event_name: "user.login".to_owned(),
    }
}

const A_RECORD_IN_JSON: &str = r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{
    "timeUnixNano":"1767225600123456789","observedTimeUnixNano":1767225601000000000,"severityNumber":"SEVERITY_NUMBER_WARN",
    "severityText":"Warning","body":{"stringValue":"it is late"},"unknown":{"a":[1]},
    "attributes":[{"key":"int","value":{"intValue":-5}},{"key":"double","value":{"doubleValue":0.1}},
      {"key":"bytes","value":{"bytesValue":"/wA="}},
      {"key":"nested","value":{"kvlistValue":{"values":[
        {"key":"list","value":{"arrayValue":{"values":[{"intValue":"1"},{}]}}},
        {"key":"deep","value":{"kvlistValue":{"values":[{"key":"x","value":{"boolValue":true}}]}}}]}}},
      {"key":"shared","value":{"stringValue":"of the record"}},{"key":"empty"}],
    "droppedAttributesCount":3,"flags":1,"traceId":"0102030405060708090A0B0C0D0E0F10","spanId":"0102030405060708",
    "eventName":"user.login"}],
  "schemaUrl":"https://scope/1",
  "scope":{"name":"lib","version":"0.9","attributes":[{"key":"kind","value":{"stringValue":"test"}}],"droppedAttributesCount":2}}],
  "schemaUrl":"https://resource/1",
  "resource":{"droppedAttributesCount":1,"attributes":[{"key":"service.name","value":{"stringValue":"cart"}},
    {"key":"service.version","value":{"stringValue":"1.2.3"}},{"key":"host.name","value":{"stringValue":"box-7"}},
    {"key":"shared","value":{"stringValue":"of the resource"}}]}}]}"#;

fn shown_logs(export: Result<super::Export<'_, candor_model::LogRecord>, OtlpError>) -> String {
    let parsed = Parsed::collect(export.unwrap());
    let mut out: String = parsed.records.iter().map(shown::log).collect();
    if !parsed.drops.is_empty() {
        out.push_str(&format!("{}\n", parsed.drops));
    }
    out
}

fn shown_spans(export: Result<super::Export<'_, candor_model::SpanRecord>, OtlpError>) -> String {
    let parsed = Parsed::collect(export.unwrap());
    let mut out: String = parsed.records.iter().map(shown::span).collect();
    if !parsed.drops.is_empty() {
        out.push_str(&format!("{}\n", parsed.drops));
    }
    out
}

fn check(shown: String, expected: Expect) {
    expected.assert_eq(&shown);
}

#[test]
fn a_log_record_keeps_everything_and_both_encodings_agree() {
    let from_protobuf = shown_logs(binary::logs(&logs_of(vec![a_record()])));
    assert_eq!(from_protobuf, shown_logs(text::logs(A_RECORD_IN_JSON.as_bytes())));
    check(
        from_protobuf,
        expect![[r#"
        time=2026-01-01T00:00:00.123456789Z observed=2026-01-01T00:00:01Z level=13/Warning service=cart host=box-7 trace=0102030405060708090a0b0c0d0e0f10 span=0102030405060708
        body="it is late"
        int=-5
        double=0.1
        bytes="/wA="
        nested={"list":[1,null],"deep":{"x":true}}
        shared="of the record"
        empty=null
        otel.event_name="user.login"
        otel.flags=1
        otel.dropped_attributes_count=3
        service.name="cart"
        service.version="1.2.3"
        host.name="box-7"
        resource.shared="of the resource"
        otel.resource.dropped_attributes_count=1
        otel.resource.schema_url="https://resource/1"
        otel.scope.name="lib"
        otel.scope.version="0.9"
        otel.scope.schema_url="https://scope/1"
        otel.scope.dropped_attributes_count=2
        otel.scope.kind="test"
    "#]],
    );
}

#[test]
fn times_and_levels_fill_in_for_each_other() {
    let record = |time, observed, number, level: &str| LogRecord {
        time_unix_nano: time,
        observed_time_unix_nano: observed,
        severity_number: number,
        severity_text: level.to_owned(),
        trace_id: vec![0; 16],
        span_id: vec![1; 7],
        ..LogRecord::default()
    };
    let request = ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            scope_logs: vec![ScopeLogs {
                log_records: vec![
                    record(0, 0, 0, ""),
                    record(0, 1_767_225_600_000_000_000, 21, ""),
                    record(u64::MAX, 0, 0, "err"),
                    record(1, 2, 77, ""),
                ],
                ..ScopeLogs::default()
            }],
            ..ResourceLogs::default()
        }],
    };
    check(
        shown_logs(binary::logs(&request.encode_to_vec())),
        expect![[r#"
        level=0/
        body=null
        time=2026-01-01T00:00:00Z observed=2026-01-01T00:00:00Z level=21/FATAL
        body=null
        time=2554-07-21T23:34:33.709551615Z level=17/err
        body=null
        time=1970-01-01T00:00:00.000000001Z observed=1970-01-01T00:00:00.000000002Z level=0/
        body=null
        otel.severity_number=77
    "#]],
    );
}

#[test]
fn a_span_keeps_everything_and_both_encodings_agree() {
    let span = Span {
        trace_id: vec![0xab; 16],
        span_id: vec![0xcd; 8],
        trace_state: "a=b".to_owned(),
        parent_span_id: vec![0xef; 8],
        flags: 257,
        name: "GET /cart".to_owned(),
        kind: 2,
        start_time_unix_nano: 1_767_225_600_000_000_001,
        end_time_unix_nano: 1_767_225_600_250_000_003,
        attributes: vec![pair("http.route", string("/cart"))],
        dropped_attributes_count: 1,
        events: vec![Event {
            time_unix_nano: 1_767_225_600_100_000_000,
            name: "exception".to_owned(),
            attributes: vec![pair("exception.type", string("E"))],
            dropped_attributes_count: 4,
        }],
        dropped_events_count: 2,
        links: vec![Link {
            trace_id: vec![0x11; 16],
            span_id: vec![0x22; 8],
            trace_state: "c=d".to_owned(),
            attributes: vec![pair("why", string("batch"))],
            dropped_attributes_count: 0,
            flags: 1,
        }],
        dropped_links_count: 3,
        status: Some(Status { message: "boom".to_owned(), code: 2 }),
    };
    let backwards =
        Span { start_time_unix_nano: 10, end_time_unix_nano: 4, name: "back".to_owned(), ..Span::default() };
    let resource = Resource {
        attributes: vec![pair("service.name", string("cart")), pair("service.version", string("1.2.3"))],
        ..Resource::default()
    };
    let request = ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(resource),
            scope_spans: vec![ScopeSpans { spans: vec![span, backwards], ..ScopeSpans::default() }],
            ..ResourceSpans::default()
        }],
    };
    let json = r#"{"resource_spans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"cart"}},
        {"key":"service.version","value":{"stringValue":"1.2.3"}}]},"scope_spans":[{"spans":[
        {"trace_id":"q6urq6urq6urq6urq6urqw==","span_id":"cdcdcdcdcdcdcdcd","trace_state":"a=b","parent_span_id":"efefefefefefefef",
         "flags":257,"name":"GET /cart","kind":"SPAN_KIND_SERVER","start_time_unix_nano":"1767225600000000001",
         "end_time_unix_nano":"1767225600250000003","attributes":[{"key":"http.route","value":{"string_value":"/cart"}}],
         "dropped_attributes_count":1,"events":[{"time_unix_nano":"1767225600100000000","name":"exception",
         "attributes":[{"key":"exception.type","value":{"stringValue":"E"}}],"dropped_attributes_count":4}],"dropped_events_count":2,
         "links":[{"trace_id":"11111111111111111111111111111111","span_id":"2222222222222222","trace_state":"c=d",
         "attributes":[{"key":"why","value":{"stringValue":"batch"}}],"flags":1}],"dropped_links_count":3,
         "status":{"message":"boom","code":"STATUS_CODE_ERROR"}},
        {"startTimeUnixNano":"10","endTimeUnixNano":4,"name":"back","kind":null,"status":{}}]}]}]}"#;
    let from_protobuf = shown_spans(binary::spans(&request.encode_to_vec()));
    assert_eq!(from_protobuf, shown_spans(text::spans(json.as_bytes())));
    check(
        from_protobuf,
        expect![[r#"
        time=2026-01-01T00:00:00.000000001Z duration=250000002 trace=abababababababababababababababab span=cdcdcdcdcdcdcdcd parent=efefefefefefefef name=GET /cart op=server status=error service=cart release=1.2.3
        http.route="/cart"
        otel.trace_state="a=b"
        otel.status_description="boom"
        otel.flags=257
        otel.events=[{"timestamp":"2026-01-01T00:00:00.1Z","name":"exception","attributes":{"exception.type":"E"},"dropped_attributes_count":4}]
        otel.links=[{"trace_id":"11111111111111111111111111111111","span_id":"2222222222222222","trace_state":"c=d","flags":1,"attributes":{"why":"batch"}}]
        otel.dropped_attributes_count=1
        otel.dropped_events_count=2
        otel.dropped_links_count=3
        service.name="cart"
        service.version="1.2.3"
        time=1970-01-01T00:00:00.00000001Z duration=0 name=back status=unset service=cart release=1.2.3
        otel.end_time_unix_nano="4"
        service.name="cart"
        service.version="1.2.3"
    "#]],
    );
}

/// A value that nests this many lists.
fn nested(levels: usize) -> AnyValue {
    (0..levels).fold(any(string("end")), |inner, _| any(Any::ArrayValue(ArrayValue { values: vec![inner] })))
}

#[test]
fn a_bad_record_costs_only_itself() {
    let good = || LogRecord { body: Some(any(string("good"))), ..LogRecord::default() };
    let deep = LogRecord { body: Some(nested(100)), ..LogRecord::default() };
    let deepest = LogRecord { body: Some(nested(63)), ..LogRecord::default() };
    let wide = Any::ArrayValue(ArrayValue { values: vec![AnyValue::default(); 200_001] });
    let wide = LogRecord { body: Some(any(wide)), ..LogRecord::default() };
    let large = LogRecord { body: Some(any(string(&"x".repeat(11 << 20)))), ..LogRecord::default() };
    let mut body = logs_of(vec![good(), deep, wide, large, deepest, good()]);
    let parsed = Parsed::collect(binary::logs(&body).unwrap());
    assert_eq!(parsed.records.len(), 3);
    assert_eq!(
        parsed.drops.to_string(),
        "3 records dropped: 1 nested too deep, 1 too many members, 1 too large"
    );

    // A record whose own bytes are broken, its frame intact: field 1 in the wrong wire type.
    let broken: &[u8] = &[0x0a, 0x08, 0x12, 0x06, 0x12, 0x02, 0x08, 0x01, 0x12, 0x00];
    body.extend(broken);
    let parsed = Parsed::collect(binary::logs(&body).unwrap());
    assert_eq!(parsed.records.len(), 4);
    assert_eq!(parsed.drops.iter().next(), Some((DropReason::Malformed, 1)));

    let json = r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[
        {"body":{"stringValue":"good"}},{"timeUnixNano":{}},{"severityNumber" 9},7,null,"text",[],
        {"body":{"stringValue":"lone \ud800 surrogate"}},{"body":{"boolValue":"maybe"}}]}]}]}"#;
    let parsed = Parsed::collect(text::logs(json.as_bytes()).unwrap());
    assert_eq!((parsed.records.len(), parsed.drops.total()), (2, 7));
}

#[test]
fn a_bad_resource_costs_only_its_records() {
    let json = format!(
        r#"{{"resourceLogs":[
        {{"resource":{{"attributes":[{{"key":"k","value":{}1{}}}]}},"scopeLogs":[{{"logRecords":[{{}},{{}}]}}]}},
        {{"resource":{{"attributes":[]}},"scopeLogs":[{{"logRecords":[{{}}]}},{{"scope":7,"logRecords":[{{}}]}}]}}]}}"#,
        r#"{"arrayValue":{"values":["#.repeat(100),
        "]}}".repeat(100),
    );
    let parsed = Parsed::collect(text::logs(json.as_bytes()).unwrap());
    assert_eq!(parsed.records.len(), 1);
    assert_eq!(parsed.drops.to_string(), "3 records dropped: 1 malformed, 2 nested too deep");
}

#[test]
fn a_request_that_does_not_hold_together_is_refused_whole() {
    let body = logs_of(vec![a_record()]);
    for cut in [1, body.len() / 2, body.len() - 1] {
        assert_eq!(binary::logs(&body[..cut]).err(), Some(OtlpError::Protobuf), "{cut}");
    }
    assert!(binary::logs(b"").unwrap().next().is_none());
    for cut in 0..A_RECORD_IN_JSON.len() {
        assert!(text::logs(&A_RECORD_IN_JSON.as_bytes()[..cut]).is_err(), "{cut}");
    }
    for bad in ["[]", "7", "{} {}", "{\"resourceLogs\":{}}", "{\"resourceLogs\":[7]}", "nul"] {
        assert!(text::logs(bad.as_bytes()).is_err(), "{bad}");
    }
    for empty in ["{}", "null", "{\"resourceLogs\":null}", "{\"resourceLogs\":[{}]}", "\u{feff}{}"] {
        assert!(text::logs(empty.as_bytes()).unwrap().next().is_none(), "{empty}");
    }
}

#[test]
fn a_small_request_cannot_unfold_without_bound() {
    let resource =
        Resource { attributes: vec![pair("big", string(&"x".repeat(1 << 20)))], ..Resource::default() };
    let scope_logs = ScopeLogs { log_records: vec![LogRecord::default(); 1000], ..ScopeLogs::default() };
    let resource_logs =
        ResourceLogs { resource: Some(resource), scope_logs: vec![scope_logs], ..ResourceLogs::default() };
    let body = ExportLogsServiceRequest { resource_logs: vec![resource_logs] }.encode_to_vec();
    let (mut stored, mut dropped) = (0, 0);
    for outcome in binary::logs(&body).unwrap() {
        match outcome {
            Ok(_) => stored += 1,
            Err(reason) => {
                assert_eq!(reason, DropReason::Batch);
                dropped += 1;
            }
        }
    }
    assert_eq!((stored, dropped), (510, 490));

    let many = [0x12, 0x00].repeat(600_000);
    let mut body = Vec::new();
    super::wire::put_bytes(&mut body, 2, &many);
    let mut request = Vec::new();
    super::wire::put_bytes(&mut request, 1, &body);
    let parsed = Parsed::collect(binary::logs(&request).unwrap());
    assert_eq!((parsed.records.len(), parsed.drops.total()), (500_000, 100_000));
}

#[test]
fn data_points_are_counted_in_both_encodings() {
    use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
    use opentelemetry_proto::tonic::metrics::v1::{
        Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics,
        metric::Data,
    };
    let gauge = Gauge { data_points: vec![NumberDataPoint::default(); 3] };
    let histogram = Histogram { data_points: vec![HistogramDataPoint::default(); 2], ..Histogram::default() };
    let metric = |data| Metric { name: "m".to_owned(), data: Some(data), ..Metric::default() };
    let metrics = vec![metric(Data::Gauge(gauge)), metric(Data::Histogram(histogram))];
    let scope_metrics = vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }];
    let resource_metrics = vec![ResourceMetrics { scope_metrics, ..ResourceMetrics::default() }];
    let request = ExportMetricsServiceRequest { resource_metrics };
    assert_eq!(binary::count_data_points(&request.encode_to_vec()), Ok(5));
    let json = r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"m","gauge":{"dataPoints":[{},{"asInt":"1"}]}},
        {"sum":{"dataPoints":[{}],"isMonotonic":true}},{"summary":null}]}]}]}"#;
    assert_eq!(text::count_data_points(json.as_bytes()), Ok(3));
    assert!(text::count_data_points(b"[").is_err());
}
