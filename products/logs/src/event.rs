//! JSON events of log shippers as records: one mapping for every protocol that sends objects.
//!
//! The message and the time become columns and leave the object. Everything else stays, complete, as attributes;
//! nested objects are unfolded to dotted keys (`metadata.req.method`), so that `attributes['…']` and `key:value`
//! reach them. Level, service, host and trace ids are read from wherever shippers put them and stay where they were.

use candor_model::limits::{ATTRIBUTES_MAX, KEY_BYTES_MAX};
use candor_model::{LogRecord, Object, Value};

use crate::drops::DropReason;
use crate::level::{self, Severity};
use crate::times;

/// Where a protocol keeps its message and its time: names by precedence.
#[derive(Debug)]
pub(crate) struct Dialect {
    pub(crate) message: &'static [&'static str],
    pub(crate) time: &'static [&'static str],
}

/// Prefixes up to here may stand before any number of members.
const PREFIX_BYTES_SHORT: usize = 64;

/// Bytes that longer prefixes may add to one record. Beyond it nested objects stay as they are: a key of a kilobyte
/// above thousands of short members is an attack.
const PREFIX_BYTES_MAX: usize = 64 << 10;

/// Objects whose members mean the same as members of the record.
const WRAPPERS: [&str; 7] =
    ["metadata.", "context.", "system.", "resource.", "attributes.", "extra.", "fields."];

/// The record that an event is. Plain text is its message.
pub(crate) fn record(event: Value, dialect: &Dialect) -> Result<LogRecord, DropReason> {
    let members = match event {
        Value::Object(Object(members)) => members,
        Value::Str(text) => {
            return Ok(LogRecord { body: text.into(), ..LogRecord::default() });
        }
        _ => return Err(DropReason::Malformed),
    };
    let message = best(&members, dialect.message, |value| (!value.is_null()).then_some(()));
    let time = best(&members, dialect.time, times::from_value);
    let (message_at, time_at) = (message.map(|(at, ())| at), time.map(|(at, _)| at));

    let mut record = LogRecord { timestamp: time.map(|(_, time)| time), ..LogRecord::default() };
    let mut unfolded = Unfolded { attributes: Vec::with_capacity(members.len() + 8), prefix_bytes: 0 };
    for (at, (key, value)) in members.into_iter().enumerate() {
        if Some(at) == message_at {
            record.body = value;
        } else if Some(at) != time_at {
            unfolded.put(key, value);
        }
    }
    record.attributes = Object(unfolded.attributes);
    detect(&mut record);
    Ok(record)
}

/// The member that comes first in `names` and that `read` can make something of; of duplicates the last.
fn best<T>(
    members: &[(String, Value)],
    names: &[&str],
    read: impl Fn(&Value) -> Option<T>,
) -> Option<(usize, T)> {
    names.iter().find_map(|name| {
        let (at, (_, value)) = members.iter().enumerate().rev().find(|(_, (key, _))| key == name)?;
        Some((at, read(value)?))
    })
}

struct Unfolded {
    attributes: Vec<(String, Value)>,
    prefix_bytes: usize,
}

impl Unfolded {
    fn put(&mut self, key: String, value: Value) {
        match value {
            Value::Object(object) if !object.is_empty() => self.unfold(key, object),
            value => self.attributes.push((key, value)),
        }
    }

    /// Recursion is as deep as the parser let the value nest.
    fn unfold(&mut self, prefix: String, object: Object) {
        let added = if prefix.len() > PREFIX_BYTES_SHORT { prefix.len() * object.len() } else { 0 };
        let longest = object.iter().map(|(key, _)| key.len()).max().unwrap_or(0);
        if prefix.len() + 1 + longest > KEY_BYTES_MAX
            || self.prefix_bytes + added > PREFIX_BYTES_MAX
            || self.attributes.len() + object.len() > ATTRIBUTES_MAX
        {
            self.attributes.push((prefix, Value::Object(object)));
            return;
        }
        self.prefix_bytes += added;
        for (key, value) in object.0 {
            let mut path = String::with_capacity(prefix.len() + 1 + key.len());
            path.push_str(&prefix);
            path.push('.');
            path.push_str(&key);
            self.put(path, value);
        }
    }
}

/// What an attribute's name says it is, and how sure that is (lower is surer).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Level(usize),
    Service(usize),
    Host(usize),
    Trace(usize),
    Span(usize),
    Parent,
}

fn role(name: &str) -> Option<Role> {
    Some(match name {
        "level" => Role::Level(0),
        "severity_text" | "severityText" | "log.level" | "log_level" | "loglevel" | "logLevel" => {
            Role::Level(1)
        }
        "levelname" | "level_name" | "levelName" | "lvl" | "@level" => Role::Level(2),
        "severity" => Role::Level(3),
        "service.name" | "service_name" | "serviceName" => Role::Service(0),
        "service" => Role::Service(1),
        "app" | "app_name" | "appName" | "appname" => Role::Service(2),
        "application" | "application_name" => Role::Service(3),
        "host.name" | "host_name" | "hostName" => Role::Host(0),
        "hostname" | "host.hostname" => Role::Host(1),
        "host" => Role::Host(2),
        "trace_id" | "traceId" | "traceID" | "trace.id" | "traceid" => Role::Trace(0),
        "otelTraceID" | "otel.trace_id" => Role::Trace(1),
        "span_id" | "spanId" | "spanID" | "span.id" | "spanid" => Role::Span(0),
        "otelSpanID" | "otel.span_id" => Role::Span(1),
        "traceparent" => Role::Parent,
        _ => return None,
    })
}

/// Fills the columns from the attributes.
fn detect(record: &mut LogRecord) {
    let mut level: Option<(usize, Severity)> = None;
    let mut texts: [Option<(usize, String)>; 4] = Default::default();
    let [service, host, trace, span] = &mut texts;
    for (key, value) in record.attributes.iter() {
        let (mut name, mut wraps) = (key, 0);
        while let Some(inner) = WRAPPERS.iter().find_map(|wrapper| name.strip_prefix(wrapper)) {
            (name, wraps) = (inner, wraps + 1);
        }
        let Some(role) = role(name) else { continue };
        // The name counts for more than the depth.
        match role {
            Role::Level(rank) => keep(&mut level, rank * 8 + wraps, || level::from_value(value)),
            Role::Service(rank) => keep(service, rank * 8 + wraps, || label(value)),
            Role::Host(rank) => keep(host, rank * 8 + wraps, || label(value)),
            Role::Trace(rank) => keep(trace, rank * 8 + wraps, || hexadecimal(value.as_str()?, 32)),
            Role::Span(rank) => keep(span, rank * 8 + wraps, || hexadecimal(value.as_str()?, 16)),
            Role::Parent => {
                let mut parts = value.as_str().unwrap_or_default().split('-').skip(1);
                keep(trace, 16 + wraps, || hexadecimal(parts.next()?, 32));
                keep(span, 16 + wraps, || hexadecimal(parts.next()?, 16));
            }
        }
    }
    let [service, host, trace, span] = texts.map(|found| found.map(|(_, text)| text).unwrap_or_default());
    let severity = level.map(|(_, severity)| severity).unwrap_or_default();
    (record.severity_number, record.severity_text) = (severity.number, severity.text);
    (record.service_name, record.host_name, record.trace_id, record.span_id) = (service, host, trace, span);
}

/// Puts what `read` finds in the slot unless it holds something surer.
fn keep<T>(slot: &mut Option<(usize, T)>, rank: usize, read: impl FnOnce() -> Option<T>) {
    if slot.as_ref().is_none_or(|(held, _)| rank <= *held)
        && let Some(found) = read()
    {
        *slot = Some((rank, found));
    }
}

/// A name of a service or host: short text.
fn label(value: &Value) -> Option<String> {
    let text = value.as_str()?.trim();
    (!text.is_empty() && text.len() <= KEY_BYTES_MAX).then(|| text.to_owned())
}

/// An id of that many hexadecimal digits; as a UUID it may have dashes.
fn hexadecimal(text: &str, digits: usize) -> Option<String> {
    if text.len() > digits + 4 {
        return None;
    }
    let id: String = text.chars().filter(|c| *c != '-').map(|c| c.to_ascii_lowercase()).collect();
    let valid =
        id.len() == digits && id.bytes().all(|b| b.is_ascii_hexdigit()) && id.bytes().any(|b| b != b'0');
    valid.then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candor_model::json;
    use expect_test::{Expect, expect};

    const DIALECT: Dialect =
        Dialect { message: &["event_message", "message", "msg"], time: &["timestamp", "dt"] };

    fn check(event: &str, expected: Expect) {
        let event = json::parse(event.as_bytes(), json::Leniency::LENIENT).unwrap();
        expected.assert_eq(&crate::shown::log(&record(event, &DIALECT).unwrap()));
    }

    #[test]
    fn nested_members_are_unfolded_and_columns_found() {
        check(
            r#"{"msg":"hi","timestamp":"2026-01-01T00:00:00Z","metadata":{"level":"warning",
                "context":{"host":"box","pid":4,"application":"shop"},"tags":["a","b"],"empty":{}}}"#,
            expect![[r#"
                time=2026-01-01T00:00:00Z level=13/warning service=shop host=box
                body="hi"
                metadata.level="warning"
                metadata.context.host="box"
                metadata.context.pid=4
                metadata.context.application="shop"
                metadata.tags=["a","b"]
                metadata.empty={}
            "#]],
        );
    }

    #[test]
    fn the_surest_name_wins_and_nothing_else_is_lost() {
        check(
            r#"{"message":null,"msg":"second","message":{"a":1},"timestamp":"soon","dt":1767225600,
                "level":30,"severity":"error","service":{"name":"pay"},"app":"other","hostname":"h1","host":"h2",
                "traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01","trace_id":"no"}"#,
            expect![[r#"
                time=2026-01-01T00:00:00Z level=9/info service=pay host=h1 trace=0af7651916cd43dd8448eb211c80319c span=b7ad6b7169203331
                body={"a":1}
                message=null
                msg="second"
                timestamp="soon"
                level=30
                severity="error"
                service.name="pay"
                app="other"
                hostname="h1"
                host="h2"
                traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
                trace_id="no"
            "#]],
        );
    }

    #[test]
    fn text_is_a_message_and_numbers_are_nothing() {
        check(
            r#""just text""#,
            expect![[r#"
            level=0/
            body="just text"
        "#]],
        );
        assert_eq!(record(Value::Int(1), &DIALECT).unwrap_err(), DropReason::Malformed);
        assert_eq!(record(Value::Array(vec![]), &DIALECT).unwrap_err(), DropReason::Malformed);
    }

    #[test]
    fn unfolding_cannot_multiply_a_record() {
        let key = "k".repeat(900);
        let members: Vec<String> = (0..10_000).map(|n| format!("\"m{n}\":1")).collect();
        let event = format!("{{\"{key}\":{{{}}}}}", members.join(","));
        let event = json::parse(event.as_bytes(), json::Leniency::LENIENT).unwrap();
        let record = record(event, &DIALECT).unwrap();
        assert_eq!(record.attributes.len(), 1);
        assert!(matches!(record.attributes.0[0].1, Value::Object(_)));
    }
}
