//! Spans that come by themselves: the newer containers (span v2, what JavaScript sends by default since version 11)
//! and the older single `span` items.

use candor_model::{EventTime, Object, SpanRecord, Value};

use super::attributes::{add, add_all, flatten, text, typed};
use crate::event::{hex_id, member, member_or_empty, time};

/// Nanoseconds from one time to another; none backwards.
pub(crate) fn duration_ns(start: Option<EventTime>, end: Option<EventTime>) -> i64 {
    let nanos = |time: EventTime| i128::from(time.micros) * 1000 + i128::from(time.nanos);
    match (start, end) {
        (Some(start), Some(end)) => i64::try_from((nanos(end) - nanos(start)).max(0)).unwrap_or(i64::MAX),
        _ => 0,
    }
}

/// A span without ids belongs to no trace and is nobody's parent: it is no span.
pub(crate) fn has_place(span: &SpanRecord) -> bool {
    !span.trace_id.is_empty() && !span.span_id.is_empty()
}

/// Reads a span of a container; none where it is no object.
pub(crate) fn span_v2(item: &Value) -> Option<SpanRecord> {
    let members = item.as_object()?;
    let mut attributes = typed(item.get("attributes"));
    const COLUMNS: [&str; 9] = [
        "trace_id",
        "span_id",
        "parent_span_id",
        "name",
        "status",
        "start_timestamp",
        "end_timestamp",
        "attributes",
        "is_segment",
    ];
    for (key, value) in members.iter().filter(|(key, _)| !COLUMNS.contains(key)) {
        // Links are a list, whole; what a later SDK adds is kept under its own name.
        add(&mut attributes, key, value.clone());
    }
    if let Some(Value::Bool(is_segment)) = item.get("is_segment") {
        add(&mut attributes, "sentry.is_segment", *is_segment);
    }
    let start = item.get("start_timestamp").and_then(time);
    Some(SpanRecord {
        timestamp: start,
        duration_ns: duration_ns(start, item.get("end_timestamp").and_then(time)),
        trace_id: hex_id(&member_or_empty(item, "trace_id"), 32),
        span_id: hex_id(&member_or_empty(item, "span_id"), 16),
        parent_span_id: hex_id(&member_or_empty(item, "parent_span_id"), 16),
        name: member_or_empty(item, "name"),
        op: text(&attributes, "sentry.op"),
        status: member_or_empty(item, "status"),
        service_name: text(&attributes, "service.name"),
        release: text(&attributes, "sentry.release"),
        attributes,
    })
}

/// What spans of one transaction have in common.
#[derive(Debug, Clone, Default)]
pub(crate) struct Common {
    pub trace_id: String,
    pub service_name: String,
    pub release: String,
    /// Attributes that every span gets: whom it is about, where it ran.
    pub attributes: Object,
}

/// Reads a span of a transaction's `spans`, or a single `span` item; none where it is no object.
pub(crate) fn span_v1(item: &Value, common: &Common) -> Option<SpanRecord> {
    let members = item.as_object()?;
    let mut attributes = Object::new();
    add_all(&mut attributes, "data", item.get("data"));
    add_all(&mut attributes, "tags", item.get("tags"));
    for (key, value) in members.iter() {
        match key {
            "trace_id" | "span_id" | "parent_span_id" | "op" | "description" | "status"
            | "start_timestamp" | "timestamp" | "data" | "tags" => {}
            "origin" => add(&mut attributes, "sentry.origin", value.clone()),
            "segment_id" => add(&mut attributes, "sentry.segment.id", value.clone()),
            "is_segment" => add(&mut attributes, "sentry.is_segment", value.clone()),
            "measurements" => measurements(&mut attributes, value),
            _ => flatten(&mut attributes, key, value),
        }
    }
    for (key, value) in common.attributes.iter() {
        add(&mut attributes, key, value.clone());
    }
    let first = |own: String, otherwise: &str| if own.is_empty() { otherwise.to_owned() } else { own };
    let start = item.get("start_timestamp").and_then(time);
    let op = member_or_empty(item, "op");
    Some(SpanRecord {
        timestamp: start,
        duration_ns: duration_ns(start, item.get("timestamp").and_then(time)),
        trace_id: first(hex_id(&member_or_empty(item, "trace_id"), 32), &common.trace_id),
        span_id: hex_id(&member_or_empty(item, "span_id"), 16),
        parent_span_id: hex_id(&member_or_empty(item, "parent_span_id"), 16),
        name: match member(item, "description") {
            Some(description) => description.into_owned(),
            None => op.clone(),
        },
        op,
        status: member_or_empty(item, "status"),
        service_name: first(text(&attributes, "service.name"), &common.service_name),
        release: first(text(&attributes, "sentry.release"), &common.release),
        attributes,
    })
}

/// `{"lcp": {"value": 1, "unit": "millisecond"}}` as `measurements.lcp` and `measurements.lcp.unit`.
pub(crate) fn measurements(into: &mut Object, value: &Value) {
    for (name, measurement) in value.as_object().iter().flat_map(|object| object.iter()) {
        match measurement.get("value") {
            Some(number) => {
                add(into, &format!("measurements.{name}"), number.clone());
                if let Some(unit) = member(measurement, "unit").filter(|unit| unit != "none") {
                    add(into, &format!("measurements.{name}.unit"), unit.into_owned());
                }
            }
            None => flatten(into, &format!("measurements.{name}"), measurement),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candor_model::json::{Leniency, parse, to_string};
    use expect_test::{Expect, expect};

    pub(crate) fn shown(span: &SpanRecord) -> String {
        format!(
            "{:?} +{}ns {}/{}<{} {:?} op={} status={} service={} release={}\n{}\n",
            span.timestamp.map(|time| time.micros),
            span.duration_ns,
            span.trace_id,
            span.span_id,
            span.parent_span_id,
            span.name,
            span.op,
            span.status,
            span.service_name,
            span.release,
            to_string(&Value::Object(span.attributes.clone()))
        )
    }

    fn check(item: &str, read: fn(&Value) -> Option<SpanRecord>, expected: Expect) {
        let item = parse(item.as_bytes(), Leniency::default()).unwrap();
        expected.assert_eq(&read(&item).map(|span| shown(&span)).unwrap_or_default());
    }

    #[test]
    fn a_span_of_a_container() {
        check(
            r#"{"trace_id":"0123456789abcdef0123456789abcdef","span_id":"0123456789abcdef","name":"GET /cart","status":"ok",
            "is_segment":true,"start_timestamp":1741256391.5,"end_timestamp":1741256391.75,"links":[{"trace_id":"x"}],
            "attributes":{"sentry.op":{"value":"http.server","type":"string"},"sentry.release":{"value":"shop@1","type":"string"},
            "n":{"value":3,"type":"integer"}}}"#,
            span_v2,
            expect![[r#"
                Some(1741256391500000) +250000000ns 0123456789abcdef0123456789abcdef/0123456789abcdef< "GET /cart" op=http.server status=ok service= release=shop@1
                {"sentry.op":"http.server","sentry.release":"shop@1","n":3,"links":[{"trace_id":"x"}],"sentry.is_segment":true}
            "#]],
        );
    }

    #[test]
    fn a_single_span_and_crooked_ones() {
        check(
            r#"{"span_id":"B0E6F15B45C36B12","op":"db","description":"SELECT 1","start_timestamp":2,"timestamp":1,
            "data":{"db.system":"sqlite"},"tags":{"db.system":"other","t":"1"},"origin":"auto.db","measurements":{"rows":{"value":5,"unit":"none"}}}"#,
            |item| span_v1(item, &Common::default()),
            expect![[r#"
                Some(2000000) +0ns /b0e6f15b45c36b12< "SELECT 1" op=db status= service= release=
                {"db.system":"sqlite","tags.db.system":"other","t":"1","sentry.origin":"auto.db","measurements.rows":5}
            "#]],
        );
        check("7", span_v2, expect![""]);
        check(
            r#"{"name":null,"attributes":[]}"#,
            span_v2,
            expect![[r#"
                None +0ns /< "" op= status= service= release=
                {}
            "#]],
        );
    }
}
