//! Records as text for golden tests.

use std::fmt::Write;

use candor_model::{EventTime, LogRecord, Object, SpanRecord, json};

use crate::times;

fn time(out: &mut String, name: &str, time: Option<EventTime>) {
    if let Some(time) = time {
        let _ = write!(out, "{name}={} ", times::to_text(time));
    }
}

fn fields(out: &mut String, fields: &[(&str, &str)]) {
    for (name, value) in fields.iter().filter(|(_, value)| !value.is_empty()) {
        let _ = write!(out, "{name}={value} ");
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
}

fn attributes(out: &mut String, attributes: &Object) {
    for (key, value) in attributes.iter() {
        let _ = writeln!(out, "{key}={}", json::to_string(value));
    }
}

/// A log record: columns in a line, the body, then an attribute a line.
pub(crate) fn log(record: &LogRecord) -> String {
    let mut out = String::new();
    time(&mut out, "time", record.timestamp);
    time(&mut out, "observed", record.observed);
    let _ = write!(out, "level={}/{} ", record.severity_number, record.severity_text);
    let columns = [
        ("service", record.service_name.as_str()),
        ("host", &record.host_name),
        ("trace", &record.trace_id),
        ("span", &record.span_id),
        ("source", &record.source),
    ];
    fields(&mut out, &columns);
    let _ = writeln!(out, "body={}", json::to_string(&record.body));
    attributes(&mut out, &record.attributes);
    out
}

/// A span: columns in a line, then an attribute a line.
pub(crate) fn span(record: &SpanRecord) -> String {
    let mut out = String::new();
    time(&mut out, "time", record.timestamp);
    let _ = write!(out, "duration={} ", record.duration_ns);
    let columns = [
        ("trace", record.trace_id.as_str()),
        ("span", &record.span_id),
        ("parent", &record.parent_span_id),
        ("name", &record.name),
        ("op", &record.op),
        ("status", &record.status),
        ("service", &record.service_name),
        ("release", &record.release),
    ];
    fields(&mut out, &columns);
    attributes(&mut out, &record.attributes);
    out
}
