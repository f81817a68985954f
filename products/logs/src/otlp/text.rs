//! OTLP's JSON encoding (OTLP specification, "JSON Protobuf Encoding"): lowerCamelCase names, ids in hexadecimal,
//! 64-bit integers as text or as numbers, enums as numbers. What other writers of protobuf's JSON do is taken too:
//! the names of the .proto files, the names of enums, `null` for what is not set. Unknown members are passed over.

use std::borrow::Cow;

use candor_model::limits::NESTING_DEPTH_MAX;
use candor_model::{LogRecord, Object, SpanRecord, Value};

use super::OtlpError;
use super::context::{Attributes, Context, LogDraft, PointDraft, Resource, Scope, SpanDraft, id_from_json};
use super::frames::{Export, Frames, Part, Reading};
use crate::cursor::{Cursor, Malformed};
use crate::drops::{Budget, DropReason};

impl From<Malformed> for DropReason {
    fn from(_: Malformed) -> DropReason {
        DropReason::Malformed
    }
}

impl From<Malformed> for OtlpError {
    fn from(wrong: Malformed) -> OtlpError {
        OtlpError::Json(wrong)
    }
}

/// The log records of an `ExportLogsServiceRequest`.
pub fn logs(body: &[u8]) -> Result<Export<'_, LogRecord>, OtlpError> {
    const NAMES: Names = Names {
        resources: ["resourceLogs", "resource_logs"],
        scopes: ["scopeLogs", "scope_logs"],
        records: ["logRecords", "log_records"],
    };
    let record = |record: &[u8], context: &Context| Ok(log_record(record)?.finish(context));
    Ok(Export::new(frames(body, &NAMES)?, Reading { resource, scope, record }))
}

/// The spans of an `ExportTraceServiceRequest`.
pub fn spans(body: &[u8]) -> Result<Export<'_, SpanRecord>, OtlpError> {
    const NAMES: Names = Names {
        resources: ["resourceSpans", "resource_spans"],
        scopes: ["scopeSpans", "scope_spans"],
        records: ["spans", "spans"],
    };
    let record = |record: &[u8], context: &Context| Ok(span(record)?.finish(context));
    Ok(Export::new(frames(body, &NAMES)?, Reading { resource, scope, record }))
}

/// What a signal calls its lists.
struct Names {
    resources: [&'static str; 2],
    scopes: [&'static str; 2],
    records: [&'static str; 2],
}

/// Walks down to the records: apart from names, requests are alike for every signal.
fn frames<'a>(body: &'a [u8], names: &Names) -> Result<Frames<'a>, Malformed> {
    let mut frames = Frames::default();
    let mut cursor = Cursor::new(body);
    cursor.members(|cursor, key| match names.resources.contains(&key) {
        true => cursor.items(|cursor| resource_frames(cursor, &mut frames, names)),
        false => cursor.skip().map(drop),
    })?;
    match cursor.is_at_end() {
        true => Ok(frames),
        false => Err(Malformed { what: "text after the request", at: cursor.at() }),
    }
}

fn resource_frames<'a>(
    cursor: &mut Cursor<'a>,
    frames: &mut Frames<'a>,
    names: &Names,
) -> Result<(), Malformed> {
    let (mut of_resource, mut part) = (frames.resource(), Part::default());
    cursor.members::<Malformed>(|cursor, key| {
        match key {
            "resource" => part.own = cursor.skip()?,
            "schemaUrl" | "schema_url" => part.schema_url = cursor.text()?.into_owned(),
            key if names.scopes.contains(&key) => cursor.items(|cursor| {
                let mut part = Part::default();
                cursor.members::<Malformed>(|cursor, key| {
                    match key {
                        "scope" => part.own = cursor.skip()?,
                        "schemaUrl" | "schema_url" => part.schema_url = cursor.text()?.into_owned(),
                        key if names.records.contains(&key) => cursor.items::<Malformed>(|cursor| {
                            of_resource.record(cursor.skip()?);
                            Ok(())
                        })?,
                        _ => drop(cursor.skip()?),
                    }
                    Ok(())
                })?;
                of_resource.end_scope(part);
                Ok::<(), Malformed>(())
            })?,
            _ => drop(cursor.skip()?),
        }
        Ok(())
    })?;
    of_resource.end(part);
    Ok(())
}

fn resource(text: &[u8]) -> Result<Resource, DropReason> {
    let (mut resource, mut budget) = (Resource::default(), Budget::new());
    if text.is_empty() {
        return Ok(resource);
    }
    Cursor::new(text).members(|cursor, key| {
        match key {
            "attributes" => attributes(cursor, &mut resource.attributes, 1, &mut budget)?,
            "droppedAttributesCount" | "dropped_attributes_count" => {
                resource.dropped_attributes_count = count(cursor)?;
            }
            _ => drop(cursor.skip()?),
        }
        Ok::<(), DropReason>(())
    })?;
    Ok(resource)
}

fn scope(text: &[u8]) -> Result<Scope, DropReason> {
    let (mut scope, mut budget) = (Scope::default(), Budget::new());
    if text.is_empty() {
        return Ok(scope);
    }
    Cursor::new(text).members(|cursor, key| {
        match key {
            "name" => scope.name = cursor.text()?.into_owned(),
            "version" => scope.version = cursor.text()?.into_owned(),
            "attributes" => attributes(cursor, &mut scope.attributes, 1, &mut budget)?,
            "droppedAttributesCount" | "dropped_attributes_count" => {
                scope.dropped_attributes_count = count(cursor)?;
            }
            _ => drop(cursor.skip()?),
        }
        Ok::<(), DropReason>(())
    })?;
    Ok(scope)
}

fn log_record(record: &[u8]) -> Result<LogDraft, DropReason> {
    let (mut draft, mut budget) = (LogDraft::default(), Budget::new());
    only_object(record)?.members::<DropReason>(|cursor, key| {
        match key {
            "timeUnixNano" | "time_unix_nano" => draft.time_unix_nano = cursor.u64()?,
            "observedTimeUnixNano" | "observed_time_unix_nano" => {
                draft.observed_time_unix_nano = cursor.u64()?
            }
            "severityNumber" | "severity_number" => draft.severity_number = named(cursor, severity_number)?,
            "severityText" | "severity_text" => draft.severity_text = cursor.text()?.into_owned(),
            "body" => draft.body = any_value(cursor, 1, &mut budget)?,
            "attributes" => attributes(cursor, &mut draft.attributes, 1, &mut budget)?,
            "droppedAttributesCount" | "dropped_attributes_count" => {
                draft.dropped_attributes_count = count(cursor)?;
            }
            "flags" => draft.flags = count(cursor)?,
            "traceId" | "trace_id" => draft.trace_id = id_from_json::<16>(&cursor.text()?),
            "spanId" | "span_id" => draft.span_id = id_from_json::<8>(&cursor.text()?),
            "eventName" | "event_name" => draft.event_name = cursor.text()?.into_owned(),
            _ => drop(cursor.skip()?),
        }
        Ok(())
    })?;
    Ok(draft)
}

fn span(record: &[u8]) -> Result<SpanDraft, DropReason> {
    let (mut draft, mut budget) = (SpanDraft::default(), Budget::new());
    only_object(record)?.members::<DropReason>(|cursor, key| {
        match key {
            "traceId" | "trace_id" => draft.trace_id = id_from_json::<16>(&cursor.text()?),
            "spanId" | "span_id" => draft.span_id = id_from_json::<8>(&cursor.text()?),
            "traceState" | "trace_state" => draft.trace_state = cursor.text()?.into_owned(),
            "parentSpanId" | "parent_span_id" => draft.parent_span_id = id_from_json::<8>(&cursor.text()?),
            "flags" => draft.flags = count(cursor)?,
            "name" => draft.name = cursor.text()?.into_owned(),
            "kind" => draft.kind = named(cursor, span_kind)?,
            "startTimeUnixNano" | "start_time_unix_nano" => draft.start_time_unix_nano = cursor.u64()?,
            "endTimeUnixNano" | "end_time_unix_nano" => draft.end_time_unix_nano = cursor.u64()?,
            "attributes" => attributes(cursor, &mut draft.attributes, 1, &mut budget)?,
            "droppedAttributesCount" | "dropped_attributes_count" => {
                draft.dropped_attributes_count = count(cursor)?;
            }
            "events" => cursor.items::<DropReason>(|cursor| {
                budget.spend()?;
                draft.events.push(point(cursor, &mut budget)?);
                Ok(())
            })?,
            "droppedEventsCount" | "dropped_events_count" => draft.dropped_events_count = count(cursor)?,
            "links" => cursor.items::<DropReason>(|cursor| {
                budget.spend()?;
                draft.links.push(point(cursor, &mut budget)?);
                Ok(())
            })?,
            "droppedLinksCount" | "dropped_links_count" => draft.dropped_links_count = count(cursor)?,
            "status" => cursor.members::<DropReason>(|cursor, key| {
                match key {
                    "message" => draft.status_message = cursor.text()?.into_owned(),
                    "code" => draft.status_code = named(cursor, status_code)?,
                    _ => drop(cursor.skip()?),
                }
                Ok(())
            })?,
            _ => drop(cursor.skip()?),
        }
        Ok(())
    })?;
    Ok(draft)
}

/// An event or a link: their members do not overlap in name and differ in meaning.
fn point(cursor: &mut Cursor<'_>, budget: &mut Budget) -> Result<Value, DropReason> {
    let mut draft = PointDraft::default();
    cursor.members::<DropReason>(|cursor, key| {
        match key {
            "timeUnixNano" | "time_unix_nano" => draft.time_unix_nano = cursor.u64()?,
            "name" => draft.name = cursor.text()?.into_owned(),
            "traceId" | "trace_id" => draft.trace_id = id_from_json::<16>(&cursor.text()?),
            "spanId" | "span_id" => draft.span_id = id_from_json::<8>(&cursor.text()?),
            "traceState" | "trace_state" => draft.trace_state = cursor.text()?.into_owned(),
            "attributes" => attributes(cursor, &mut draft.attributes, 3, budget)?,
            "droppedAttributesCount" | "dropped_attributes_count" => {
                draft.dropped_attributes_count = count(cursor)?;
            }
            "flags" => draft.flags = count(cursor)?,
            _ => drop(cursor.skip()?),
        }
        Ok(())
    })?;
    Ok(draft.finish())
}

/// A record must be an object; `null` in a list of records is none.
fn only_object(record: &[u8]) -> Result<Cursor<'_>, DropReason> {
    match record.first() {
        Some(b'{') => Ok(Cursor::new(record)),
        _ => Err(DropReason::Malformed),
    }
}

fn attributes(
    cursor: &mut Cursor<'_>,
    into: &mut Attributes,
    depth: usize,
    budget: &mut Budget,
) -> Result<(), DropReason> {
    cursor.items(|cursor| {
        let (mut key, mut held) = (Cow::Borrowed(""), Value::Null);
        cursor.members::<DropReason>(|cursor, name| {
            match name {
                "key" => key = cursor.text()?,
                "value" => held = any_value(cursor, depth, budget)?,
                _ => drop(cursor.skip()?),
            }
            Ok(())
        })?;
        into.push((key.into_owned(), held));
        Ok(())
    })
}

/// An `AnyValue`; without any of its alternatives it is null.
fn any_value(cursor: &mut Cursor<'_>, depth: usize, budget: &mut Budget) -> Result<Value, DropReason> {
    if depth > NESTING_DEPTH_MAX {
        return Err(DropReason::Nesting);
    }
    budget.spend()?;
    let mut held = Value::Null;
    cursor.members::<DropReason>(|cursor, name| {
        match name {
            "stringValue" | "string_value" | "bytesValue" | "bytes_value" => {
                held = Value::Str(cursor.text()?.into_owned());
            }
            "boolValue" | "bool_value" => held = Value::Bool(cursor.bool()?),
            "intValue" | "int_value" => held = cursor.number()?,
            "doubleValue" | "double_value" => {
                held = match cursor.number()? {
                    Value::Int(number) => Value::Float(number as f64),
                    other => other,
                }
            }
            "arrayValue" | "array_value" => {
                let mut items = Vec::new();
                cursor.members::<DropReason>(|cursor, name| match name {
                    "values" => cursor.items(|cursor| {
                        items.push(any_value(cursor, depth + 1, budget)?);
                        Ok(())
                    }),
                    _ => Ok(cursor.skip().map(drop)?),
                })?;
                held = Value::Array(items);
            }
            "kvlistValue" | "kvlist_value" => {
                let mut members = Attributes::new();
                cursor.members::<DropReason>(|cursor, name| match name {
                    "values" => attributes(cursor, &mut members, depth + 1, budget),
                    _ => Ok(cursor.skip().map(drop)?),
                })?;
                held = Value::Object(Object(members));
            }
            _ => drop(cursor.skip()?),
        }
        Ok(())
    })?;
    Ok(held)
}

/// A 32-bit number without a sign; what is larger is cut to the largest.
fn count(cursor: &mut Cursor<'_>) -> Result<u32, Malformed> {
    Ok(u32::try_from(cursor.u64()?).unwrap_or(u32::MAX))
}

/// An enum: a number, or a name.
fn named(cursor: &mut Cursor<'_>, number_of: fn(&str) -> i32) -> Result<i32, Malformed> {
    let text = cursor.text()?;
    Ok(text.parse().unwrap_or_else(|_| number_of(&text)))
}

fn severity_number(name: &str) -> i32 {
    crate::level::number(name.strip_prefix("SEVERITY_NUMBER_").unwrap_or(name))
}

fn span_kind(name: &str) -> i32 {
    match name.strip_prefix("SPAN_KIND_").unwrap_or(name) {
        "INTERNAL" => 1,
        "SERVER" => 2,
        "CLIENT" => 3,
        "PRODUCER" => 4,
        "CONSUMER" => 5,
        _ => 0,
    }
}

fn status_code(name: &str) -> i32 {
    match name.strip_prefix("STATUS_CODE_").unwrap_or(name) {
        "OK" => 1,
        "ERROR" => 2,
        _ => 0,
    }
}

/// How many data points an `ExportMetricsServiceRequest` holds.
pub fn count_data_points(body: &[u8]) -> Result<u64, OtlpError> {
    /// The names on the way down to a list of data points.
    const PATH: [&[&str]; 5] = [
        &["resourceMetrics", "resource_metrics"],
        &["scopeMetrics", "scope_metrics"],
        &["metrics"],
        &["gauge", "sum", "histogram", "exponentialHistogram", "exponential_histogram", "summary"],
        &["dataPoints", "data_points"],
    ];
    fn count(cursor: &mut Cursor<'_>, path: &[&[&str]], points: &mut u64) -> Result<(), Malformed> {
        let Some((wanted, rest)) = path.split_first() else {
            *points += 1;
            return cursor.skip().map(drop);
        };
        cursor.members(|cursor, key| {
            if !wanted.contains(&key) {
                return cursor.skip().map(drop);
            }
            match cursor.peek() {
                Some(b'[') => cursor.items(|cursor| count(cursor, rest, points)),
                _ => count(cursor, rest, points),
            }
        })
    }
    let (mut cursor, mut points) = (Cursor::new(body), 0);
    count(&mut cursor, &PATH, &mut points)?;
    if !cursor.is_at_end() {
        return Err(OtlpError::Json(Malformed { what: "text after the request", at: cursor.at() }));
    }
    Ok(points)
}
