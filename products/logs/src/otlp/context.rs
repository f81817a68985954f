//! What records of one resource and scope share, and how a record becomes a row: one mapping for both encodings.
//!
//! OTLP's own fields that are no column are kept as attributes under the names that OpenTelemetry gives them for
//! formats without such fields (specification, "Mapping to non-OTLP formats": `otel.scope.name`,
//! `otel.status_description`, `otel.dropped_attributes_count`, …).

use std::collections::HashSet;

use candor_model::{EventTime, LogRecord, Object, SpanRecord, Value};

use crate::level;

/// Attributes as they are read: in order, as sent.
pub(super) type Attributes = Vec<(String, Value)>;

/// The number of own attributes times shared ones up to which clashes are looked for by walking.
const CLASH_WALK_MAX: usize = 4096;

/// A resource as sent.
#[derive(Debug, Default)]
pub(super) struct Resource {
    pub(super) attributes: Attributes,
    pub(super) dropped_attributes_count: u32,
    pub(super) schema_url: String,
}

impl Resource {
    /// What a copy weighs, bytes.
    pub(super) fn weight(&self) -> usize {
        self.schema_url.len() + weight(&self.attributes)
    }
}

/// An instrumentation scope as sent.
#[derive(Debug, Default)]
pub(super) struct Scope {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) attributes: Attributes,
    pub(super) dropped_attributes_count: u32,
    pub(super) schema_url: String,
}

/// What every record of a resource and scope gets.
#[derive(Debug, Default)]
pub(super) struct Context {
    shared: Attributes,
    service_name: String,
    service_version: String,
    host_name: String,
    /// What one record's copy of all this weighs, bytes.
    pub(super) weight: usize,
}

impl Context {
    pub(super) fn new(resource: &Resource, scope: Scope) -> Context {
        let of_resource = |key: &str| {
            let value = resource.attributes.iter().rev().find(|(name, _)| name == key);
            value.map(|(_, value)| value.to_text()).unwrap_or_default()
        };
        let mut context = Context {
            service_name: of_resource("service.name"),
            service_version: of_resource("service.version"),
            host_name: of_resource("host.name"),
            shared: resource.attributes.clone(),
            weight: 0,
        };
        let shared = &mut context.shared;
        put_count(shared, "otel.resource.dropped_attributes_count", resource.dropped_attributes_count);
        put_text(shared, "otel.resource.schema_url", resource.schema_url.clone());
        put_text(shared, "otel.scope.name", scope.name);
        put_text(shared, "otel.scope.version", scope.version);
        put_text(shared, "otel.scope.schema_url", scope.schema_url);
        put_count(shared, "otel.scope.dropped_attributes_count", scope.dropped_attributes_count);
        for (key, value) in scope.attributes {
            shared.push((format!("otel.scope.{key}"), value));
        }
        let columns = context.service_name.len() + context.service_version.len() + context.host_name.len();
        context.weight = weight(&context.shared) + columns;
        context
    }

    /// A record's own attributes and the shared ones. Where a key is in both, the record's own stands under it and
    /// the shared one under `resource.` and the key: nothing that was sent is lost.
    fn complete(&self, mut own: Attributes) -> Object {
        let own_count = own.len();
        own.reserve_exact(self.shared.len());
        let keys: Option<HashSet<String>> = (own_count * self.shared.len() > CLASH_WALK_MAX)
            .then(|| own.iter().map(|(key, _)| key.clone()).collect());
        for (key, value) in &self.shared {
            let clashes = match &keys {
                Some(keys) => keys.contains(key),
                None => own.iter().take(own_count).any(|(other, _)| other == key),
            };
            let key = if clashes { format!("resource.{key}") } else { key.clone() };
            own.push((key, value.clone()));
        }
        Object(own)
    }
}

/// A log record's own fields (logs.proto, `LogRecord`).
#[derive(Debug, Default)]
pub(super) struct LogDraft {
    pub(super) time_unix_nano: u64,
    pub(super) observed_time_unix_nano: u64,
    pub(super) severity_number: i32,
    pub(super) severity_text: String,
    pub(super) body: Value,
    pub(super) attributes: Attributes,
    pub(super) dropped_attributes_count: u32,
    pub(super) flags: u32,
    pub(super) trace_id: String,
    pub(super) span_id: String,
    pub(super) event_name: String,
}

impl LogDraft {
    pub(super) fn finish(self, context: &Context) -> LogRecord {
        let mut own = self.attributes;
        put_text(&mut own, "otel.event_name", self.event_name);
        put_count(&mut own, "otel.flags", self.flags);
        put_count(&mut own, "otel.dropped_attributes_count", self.dropped_attributes_count);
        if !(0..=24).contains(&self.severity_number) {
            own.push(("otel.severity_number".to_owned(), Value::Int(i64::from(self.severity_number))));
        }
        let severity = level::from_parts(self.severity_number, self.severity_text);
        let observed = time(self.observed_time_unix_nano);
        LogRecord {
            timestamp: time(self.time_unix_nano).or(observed),
            observed,
            severity_text: severity.text,
            severity_number: severity.number,
            body: self.body,
            service_name: context.service_name.clone(),
            host_name: context.host_name.clone(),
            trace_id: self.trace_id,
            span_id: self.span_id,
            source: String::new(),
            attributes: context.complete(own),
        }
    }
}

/// A span's own fields (trace.proto, `Span`).
#[derive(Debug, Default)]
pub(super) struct SpanDraft {
    pub(super) trace_id: String,
    pub(super) span_id: String,
    pub(super) trace_state: String,
    pub(super) parent_span_id: String,
    pub(super) flags: u32,
    pub(super) name: String,
    pub(super) kind: i32,
    pub(super) start_time_unix_nano: u64,
    pub(super) end_time_unix_nano: u64,
    pub(super) attributes: Attributes,
    pub(super) dropped_attributes_count: u32,
    pub(super) events: Vec<Value>,
    pub(super) dropped_events_count: u32,
    pub(super) links: Vec<Value>,
    pub(super) dropped_links_count: u32,
    pub(super) status_code: i32,
    pub(super) status_message: String,
}

impl SpanDraft {
    pub(super) fn finish(self, context: &Context) -> SpanRecord {
        let mut own = self.attributes;
        put_text(&mut own, "otel.trace_state", self.trace_state);
        put_text(&mut own, "otel.status_description", self.status_message);
        put_count(&mut own, "otel.flags", self.flags);
        put_list(&mut own, "otel.events", self.events);
        put_list(&mut own, "otel.links", self.links);
        put_count(&mut own, "otel.dropped_attributes_count", self.dropped_attributes_count);
        put_count(&mut own, "otel.dropped_events_count", self.dropped_events_count);
        put_count(&mut own, "otel.dropped_links_count", self.dropped_links_count);
        let (start, end) = (i128::from(self.start_time_unix_nano), i128::from(self.end_time_unix_nano));
        if end < start {
            // A clock that ran backwards, or a span without an end: no negative durations, and nothing lost.
            put_text(&mut own, "otel.end_time_unix_nano", self.end_time_unix_nano.to_string());
        }
        SpanRecord {
            timestamp: time(self.start_time_unix_nano),
            duration_ns: i64::try_from((end - start).max(0)).unwrap_or(i64::MAX),
            trace_id: self.trace_id,
            span_id: self.span_id,
            parent_span_id: self.parent_span_id,
            name: self.name,
            op: kind_name(self.kind).to_owned(),
            status: status_name(self.status_code).to_owned(),
            service_name: context.service_name.clone(),
            release: context.service_version.clone(),
            attributes: context.complete(own),
        }
    }
}

/// An event of a span, or a link to one, as it is kept in a list.
#[derive(Debug, Default)]
pub(super) struct PointDraft {
    pub(super) time_unix_nano: u64,
    pub(super) name: String,
    pub(super) trace_id: String,
    pub(super) span_id: String,
    pub(super) trace_state: String,
    pub(super) attributes: Attributes,
    pub(super) dropped_attributes_count: u32,
    pub(super) flags: u32,
}

impl PointDraft {
    pub(super) fn finish(self) -> Value {
        let mut members = Vec::with_capacity(4);
        if let Some(time) = time(self.time_unix_nano) {
            put_text(&mut members, "timestamp", crate::times::to_text(time));
        }
        put_text(&mut members, "name", self.name);
        put_text(&mut members, "trace_id", self.trace_id);
        put_text(&mut members, "span_id", self.span_id);
        put_text(&mut members, "trace_state", self.trace_state);
        put_count(&mut members, "flags", self.flags);
        if !self.attributes.is_empty() {
            members.push(("attributes".to_owned(), Value::Object(Object(self.attributes))));
        }
        put_count(&mut members, "dropped_attributes_count", self.dropped_attributes_count);
        Value::Object(Object(members))
    }
}

/// The time of a field in which zero means unknown.
fn time(unix_nano: u64) -> Option<EventTime> {
    (unix_nano > 0).then(|| EventTime::from_nanos(i128::from(unix_nano)))
}

fn put_text(attributes: &mut Attributes, key: &str, text: String) {
    if !text.is_empty() {
        attributes.push((key.to_owned(), Value::Str(text)));
    }
}

fn put_count(attributes: &mut Attributes, key: &str, count: u32) {
    if count > 0 {
        attributes.push((key.to_owned(), Value::Int(i64::from(count))));
    }
}

fn put_list(attributes: &mut Attributes, key: &str, items: Vec<Value>) {
    if !items.is_empty() {
        attributes.push((key.to_owned(), Value::Array(items)));
    }
}

/// About how many bytes attributes take in memory.
fn weight(attributes: &Attributes) -> usize {
    attributes
        .iter()
        .map(|(key, value)| key.len() + crate::weight::value(value) + crate::weight::MEMBER)
        .sum()
}

/// trace.proto, `Span.SpanKind`.
fn kind_name(kind: i32) -> &'static str {
    match kind {
        1 => "internal",
        2 => "server",
        3 => "client",
        4 => "producer",
        5 => "consumer",
        _ => "",
    }
}

/// trace.proto, `Status.StatusCode`.
fn status_name(code: i32) -> &'static str {
    match code {
        1 => "ok",
        2 => "error",
        _ => "unset",
    }
}

/// A trace or span id of `N` bytes in hexadecimal. Ids of another length or of zeroes alone are invalid
/// (logs.proto, trace.proto) and become empty.
pub(super) fn id_text<const N: usize>(bytes: &[u8]) -> String {
    if bytes.len() != N || bytes.iter().all(|byte| *byte == 0) {
        return String::new();
    }
    data_encoding::HEXLOWER.encode(bytes)
}

/// The same from OTLP's JSON, which has hexadecimal; base64, as protobuf's JSON mapping would have it, is taken too.
pub(super) fn id_from_json<const N: usize>(text: &str) -> String {
    let from_hex = data_encoding::HEXLOWER_PERMISSIVE.decode(text.as_bytes());
    match from_hex.or_else(|_| data_encoding::BASE64.decode(text.as_bytes())) {
        Ok(bytes) => id_text::<N>(&bytes),
        Err(_) => String::new(),
    }
}
