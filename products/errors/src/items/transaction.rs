//! Transactions: one root span and the spans below it in one event. Everything that the event says about the whole
//! becomes attributes of the root; whom it is about and where it ran is said of every span, so that what belongs to a
//! person can be found, and erased, span by span.

use candor_model::{Object, SpanRecord, Value};

use super::attributes::{add, add_all, flatten, text};
use super::span::{Common, duration_ns, measurements, span_v1};
use crate::event::{hex_id, member, member_or_empty, tags, time};

/// Reads a transaction: the root first. None where it is no object.
pub(crate) fn spans(event: &Value) -> Option<Vec<SpanRecord>> {
    let members = event.as_object()?;
    let trace = event.path(&["contexts", "trace"]).unwrap_or(&Value::Null);
    let trace_id = hex_id(&member_or_empty(trace, "trace_id"), 32);
    let span_id = hex_id(&member_or_empty(trace, "span_id"), 16);
    let name = member_or_empty(event, "transaction");
    let release = member_or_empty(event, "release");

    let mut shared = Object::new();
    if let Some(user) = event.get("user") {
        flatten(&mut shared, "user", user);
    }
    for (key, attribute) in [("environment", "sentry.environment"), ("server_name", "server.address")] {
        if let Some(value) = member(event, key) {
            add(&mut shared, attribute, value.into_owned());
        }
    }

    let mut attributes = Object::new();
    add_all(&mut attributes, "data", trace.get("data"));
    for (key, value) in tags::sent(event) {
        match attributes.get(&key).map(Value::to_text) {
            None => attributes.insert(key, value),
            Some(present) if present == value => {}
            Some(_) => add(&mut attributes, &format!("tags.{key}"), value),
        }
    }
    for (key, value) in shared.iter() {
        add(&mut attributes, key, value.clone());
    }
    add(&mut attributes, "sentry.is_segment", true);
    for (key, value) in members.iter() {
        match key {
            "type" | "transaction" | "start_timestamp" | "timestamp" | "release" | "spans" | "tags"
            | "user" | "environment" | "server_name" => {}
            "event_id" | "platform" | "dist" => add(&mut attributes, &format!("sentry.{key}"), value.clone()),
            "sdk" => {
                for (part, value) in value.as_object().iter().flat_map(|sdk| sdk.iter()) {
                    flatten(&mut attributes, &format!("sentry.sdk.{part}"), value);
                }
            }
            "measurements" => measurements(&mut attributes, value),
            "contexts" => contexts(&mut attributes, value),
            _ => flatten(&mut attributes, key, value),
        }
    }

    let service_name = match text(&attributes, "service.name") {
        name if !name.is_empty() => name,
        _ => text(&attributes, "contexts.otel.resource.service.name"),
    };
    let start = event.get("start_timestamp").and_then(time);
    let mut spans = vec![SpanRecord {
        timestamp: start,
        duration_ns: duration_ns(start, event.get("timestamp").and_then(time)),
        trace_id: trace_id.clone(),
        span_id: span_id.clone(),
        parent_span_id: hex_id(&member_or_empty(trace, "parent_span_id"), 16),
        name: name.clone(),
        op: member_or_empty(trace, "op"),
        status: member_or_empty(trace, "status"),
        service_name: service_name.clone(),
        release: release.clone(),
        attributes,
    }];

    if !span_id.is_empty() {
        add(&mut shared, "sentry.segment.id", span_id);
    }
    if !name.is_empty() {
        add(&mut shared, "sentry.segment.name", name);
    }
    let common = Common { trace_id, service_name, release, attributes: shared };
    let children = event.get("spans").and_then(Value::as_array).unwrap_or_default();
    spans.extend(children.iter().filter_map(|child| span_v1(child, &common)));
    Some(spans)
}

/// `contexts.<name>.<member>`, but for what has become a column of its own.
fn contexts(into: &mut Object, contexts: &Value) {
    for (name, context) in contexts.as_object().iter().flat_map(|object| object.iter()) {
        for (key, value) in context.as_object().iter().flat_map(|object| object.iter()) {
            match (name, key) {
                ("trace", "trace_id" | "span_id" | "parent_span_id" | "op" | "status" | "data") => {}
                ("trace", "origin") => add(into, "sentry.origin", value.clone()),
                // Every context says its own name.
                (_, "type") if value.as_str() == Some(name) => {}
                _ => flatten(into, &format!("contexts.{name}.{key}"), value),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candor_model::json::{Leniency, parse, to_string};
    use expect_test::expect;

    #[test]
    fn a_transaction_is_its_root_and_its_spans() {
        let event = parse(
            br#"{"type":"transaction","event_id":"9ec79c33ec9942ab8353589fcb2e04dc","transaction":"/cart","release":"shop@1",
            "environment":"staging","server_name":"web-1","platform":"python","start_timestamp":"2025-03-06T10:19:51Z",
            "timestamp":1741256392.5,"user":{"id":"42","email":"a@b.example"},"tags":[["shop","eu"],["http.method","PUT"]],
            "contexts":{"trace":{"trace_id":"0123456789abcdef0123456789abcdef","span_id":"0123456789abcdef","op":"http.server",
            "status":"ok","origin":"auto.http","type":"trace","data":{"http.method":"GET"}},"runtime":{"name":"CPython","type":"runtime"}},
            "measurements":{"lcp":{"value":12.5,"unit":"millisecond"}},"sdk":{"name":"sentry.python","version":"2.75.0","packages":[]},
            "request":{"url":"http://h/cart","headers":{"Host":"h"}},"breadcrumbs":{"values":[]},
            "spans":[{"span_id":"aaaaaaaaaaaaaaaa","parent_span_id":"0123456789abcdef","op":"db","description":"SELECT 1",
            "start_timestamp":1741256391.25,"timestamp":1741256391.5,"data":{"db.system":"sqlite"}},null]}"#,
            Leniency::default(),
        );
        let spans = spans(&event.unwrap()).unwrap();
        let shown: Vec<String> = spans
            .iter()
            .map(|span| {
                let attributes = to_string(&Value::Object(span.attributes.clone()));
                format!(
                    "{} {}<{} {:?} {} {} {} {}\n{attributes}\n",
                    span.duration_ns,
                    span.span_id,
                    span.parent_span_id,
                    span.name,
                    span.op,
                    span.status,
                    span.release,
                    span.trace_id
                )
            })
            .collect();
        expect![[r#"
            1500000000 0123456789abcdef< "/cart" http.server ok shop@1 0123456789abcdef0123456789abcdef
            {"http.method":"GET","shop":"eu","tags.http.method":"PUT","user.id":"42","user.email":"a@b.example","sentry.environment":"staging","server.address":"web-1","sentry.is_segment":true,"sentry.event_id":"9ec79c33ec9942ab8353589fcb2e04dc","sentry.platform":"python","sentry.origin":"auto.http","contexts.runtime.name":"CPython","measurements.lcp":12.5,"measurements.lcp.unit":"millisecond","sentry.sdk.name":"sentry.python","sentry.sdk.version":"2.75.0","request.url":"http://h/cart","request.headers.Host":"h"}
            250000000 aaaaaaaaaaaaaaaa<0123456789abcdef "SELECT 1" db  shop@1 0123456789abcdef0123456789abcdef
            {"db.system":"sqlite","user.id":"42","user.email":"a@b.example","sentry.environment":"staging","server.address":"web-1","sentry.segment.id":"0123456789abcdef","sentry.segment.name":"/cart"}
        "#]].assert_eq(&shown.concat());
    }

    #[test]
    fn what_is_no_transaction_degrades() {
        assert!(spans(&Value::Int(1)).is_none());
        let bare = spans(&parse(br#"{"spans":"x","contexts":7}"#, Leniency::default()).unwrap()).unwrap();
        assert_eq!(bare.len(), 1);
    }
}
