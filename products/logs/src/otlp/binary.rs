//! OTLP's protobuf encoding, straight from the request's bytes into records.
//!
//! Field numbers are those of opentelemetry-proto 1.x: common.proto, resource.proto, logs.proto, trace.proto,
//! metrics.proto and the collector's services.

use candor_model::limits::NESTING_DEPTH_MAX;
use candor_model::{LogRecord, Object, SpanRecord, Value};

use super::OtlpError;
use super::context::{Attributes, Context, LogDraft, PointDraft, Resource, Scope, SpanDraft, id_text};
use super::frames::{Export, Frames, Part, Reading};
use super::wire::{Fields, Wire, WireError};
use crate::drops::{Budget, DropReason};

impl From<WireError> for DropReason {
    fn from(_: WireError) -> DropReason {
        DropReason::Malformed
    }
}

impl From<WireError> for OtlpError {
    fn from(_: WireError) -> OtlpError {
        OtlpError::Protobuf
    }
}

/// The log records of an `ExportLogsServiceRequest`.
pub fn logs(body: &[u8]) -> Result<Export<'_, LogRecord>, OtlpError> {
    let record = |record: &[u8], context: &Context| Ok(log_record(record)?.finish(context));
    Ok(Export::new(frames(body)?, Reading { resource, scope, record }))
}

/// The spans of an `ExportTraceServiceRequest`.
pub fn spans(body: &[u8]) -> Result<Export<'_, SpanRecord>, OtlpError> {
    let record = |record: &[u8], context: &Context| Ok(span(record)?.finish(context));
    Ok(Export::new(frames(body)?, Reading { resource, scope, record }))
}

/// Walks down to the records: requests, resources and scopes have the same field numbers for every signal.
fn frames(body: &[u8]) -> Result<Frames<'_>, WireError> {
    let mut frames = Frames::default();
    let mut request = Fields::new(body);
    while let Some((field, value)) = request.next()? {
        if field == 1 {
            resource_frames(Fields::new(value.bytes()?), &mut frames)?;
        }
    }
    Ok(frames)
}

fn resource_frames<'a>(mut message: Fields<'a>, frames: &mut Frames<'a>) -> Result<(), WireError> {
    let (mut of_resource, mut part) = (frames.resource(), Part::default());
    while let Some((field, value)) = message.next()? {
        match field {
            1 => part.own = value.bytes()?,
            2 => {
                let (mut message, mut part) = (Fields::new(value.bytes()?), Part::default());
                while let Some((field, value)) = message.next()? {
                    match field {
                        1 => part.own = value.bytes()?,
                        2 => of_resource.record(value.bytes()?),
                        3 => part.schema_url = value.string()?,
                        _ => {}
                    }
                }
                of_resource.end_scope(part);
            }
            3 => part.schema_url = value.string()?,
            _ => {}
        }
    }
    of_resource.end(part);
    Ok(())
}

/// resource.proto, `Resource`.
fn resource(message: &[u8]) -> Result<Resource, DropReason> {
    let (mut resource, mut budget) = (Resource::default(), Budget::new());
    let mut fields = Fields::new(message);
    while let Some((field, value)) = fields.next()? {
        match field {
            1 => resource.attributes.push(key_value(value.bytes()?, 1, &mut budget)?),
            2 => resource.dropped_attributes_count = value.uint32()?,
            _ => {}
        }
    }
    Ok(resource)
}

/// common.proto, `InstrumentationScope`.
fn scope(message: &[u8]) -> Result<Scope, DropReason> {
    let (mut scope, mut budget) = (Scope::default(), Budget::new());
    let mut fields = Fields::new(message);
    while let Some((field, value)) = fields.next()? {
        match field {
            1 => scope.name = value.string()?,
            2 => scope.version = value.string()?,
            3 => scope.attributes.push(key_value(value.bytes()?, 1, &mut budget)?),
            4 => scope.dropped_attributes_count = value.uint32()?,
            _ => {}
        }
    }
    Ok(scope)
}

fn log_record(record: &[u8]) -> Result<LogDraft, DropReason> {
    let (mut draft, mut budget) = (LogDraft::default(), Budget::new());
    let mut fields = Fields::new(record);
    while let Some((field, value)) = fields.next()? {
        match field {
            1 => draft.time_unix_nano = value.fixed64()?,
            2 => draft.severity_number = value.int32()?,
            3 => draft.severity_text = value.string()?,
            5 => draft.body = any_value(value.bytes()?, 1, &mut budget)?,
            6 => draft.attributes.push(key_value(value.bytes()?, 1, &mut budget)?),
            7 => draft.dropped_attributes_count = value.uint32()?,
            8 => draft.flags = value.fixed32()?,
            9 => draft.trace_id = id_text::<16>(value.bytes()?),
            10 => draft.span_id = id_text::<8>(value.bytes()?),
            11 => draft.observed_time_unix_nano = value.fixed64()?,
            12 => draft.event_name = value.string()?,
            _ => {}
        }
    }
    Ok(draft)
}

fn span(record: &[u8]) -> Result<SpanDraft, DropReason> {
    let (mut draft, mut budget) = (SpanDraft::default(), Budget::new());
    let mut fields = Fields::new(record);
    while let Some((field, value)) = fields.next()? {
        match field {
            1 => draft.trace_id = id_text::<16>(value.bytes()?),
            2 => draft.span_id = id_text::<8>(value.bytes()?),
            3 => draft.trace_state = value.string()?,
            4 => draft.parent_span_id = id_text::<8>(value.bytes()?),
            5 => draft.name = value.string()?,
            6 => draft.kind = value.int32()?,
            7 => draft.start_time_unix_nano = value.fixed64()?,
            8 => draft.end_time_unix_nano = value.fixed64()?,
            9 => draft.attributes.push(key_value(value.bytes()?, 1, &mut budget)?),
            10 => draft.dropped_attributes_count = value.uint32()?,
            11 => {
                budget.spend()?;
                draft.events.push(event(value.bytes()?, &mut budget)?);
            }
            12 => draft.dropped_events_count = value.uint32()?,
            13 => {
                budget.spend()?;
                draft.links.push(link(value.bytes()?, &mut budget)?);
            }
            14 => draft.dropped_links_count = value.uint32()?,
            15 => {
                let mut status = Fields::new(value.bytes()?);
                while let Some((field, value)) = status.next()? {
                    match field {
                        2 => draft.status_message = value.string()?,
                        3 => draft.status_code = value.int32()?,
                        _ => {}
                    }
                }
            }
            16 => draft.flags = value.fixed32()?,
            _ => {}
        }
    }
    Ok(draft)
}

fn event(message: &[u8], budget: &mut Budget) -> Result<Value, DropReason> {
    let (mut draft, mut fields) = (PointDraft::default(), Fields::new(message));
    while let Some((field, value)) = fields.next()? {
        match field {
            1 => draft.time_unix_nano = value.fixed64()?,
            2 => draft.name = value.string()?,
            3 => draft.attributes.push(key_value(value.bytes()?, 3, budget)?),
            4 => draft.dropped_attributes_count = value.uint32()?,
            _ => {}
        }
    }
    Ok(draft.finish())
}

fn link(message: &[u8], budget: &mut Budget) -> Result<Value, DropReason> {
    let (mut draft, mut fields) = (PointDraft::default(), Fields::new(message));
    while let Some((field, value)) = fields.next()? {
        match field {
            1 => draft.trace_id = id_text::<16>(value.bytes()?),
            2 => draft.span_id = id_text::<8>(value.bytes()?),
            3 => draft.trace_state = value.string()?,
            4 => draft.attributes.push(key_value(value.bytes()?, 3, budget)?),
            5 => draft.dropped_attributes_count = value.uint32()?,
            6 => draft.flags = value.fixed32()?,
            _ => {}
        }
    }
    Ok(draft.finish())
}

/// common.proto, `KeyValue`.
fn key_value(message: &[u8], depth: usize, budget: &mut Budget) -> Result<(String, Value), DropReason> {
    let (mut key, mut held) = (String::new(), Value::Null);
    let mut fields = Fields::new(message);
    while let Some((field, value)) = fields.next()? {
        match field {
            1 => key = value.string()?,
            2 => held = any_value(value.bytes()?, depth, budget)?,
            _ => {}
        }
    }
    Ok((key, held))
}

/// common.proto, `AnyValue`; without any of its alternatives it is null.
fn any_value(message: &[u8], depth: usize, budget: &mut Budget) -> Result<Value, DropReason> {
    if depth > NESTING_DEPTH_MAX {
        return Err(DropReason::Nesting);
    }
    budget.spend()?;
    let mut held = Value::Null;
    let mut fields = Fields::new(message);
    while let Some((field, value)) = fields.next()? {
        held = match field {
            1 => Value::Str(value.string()?),
            2 => Value::Bool(value.varint()? != 0),
            3 => Value::Int(value.varint()? as i64),
            4 => Value::Float(f64::from_bits(value.fixed64()?)),
            5 => {
                let (mut items, mut list) = (Vec::new(), Fields::new(value.bytes()?));
                while let Some((field, value)) = list.next()? {
                    if field == 1 {
                        items.push(any_value(value.bytes()?, depth + 1, budget)?);
                    }
                }
                Value::Array(items)
            }
            6 => {
                let (mut members, mut list) = (Attributes::new(), Fields::new(value.bytes()?));
                while let Some((field, value)) = list.next()? {
                    if field == 1 {
                        members.push(key_value(value.bytes()?, depth + 1, budget)?);
                    }
                }
                Value::Object(Object(members))
            }
            7 => Value::Str(data_encoding::BASE64.encode(value.bytes()?)),
            _ => continue,
        };
    }
    Ok(held)
}

/// How many data points an `ExportMetricsServiceRequest` holds.
pub fn count_data_points(body: &[u8]) -> Result<u64, OtlpError> {
    // Resources, scopes and metrics, by field number; then any of the five kinds of data, each a list in field 1.
    fn count(message: &[u8], path: &[&[u32]]) -> Result<u64, WireError> {
        let Some((wanted, rest)) = path.split_first() else { return Ok(1) };
        let (mut fields, mut points) = (Fields::new(message), 0);
        while let Some((field, value)) = fields.next()? {
            if wanted.contains(&field)
                && let Wire::Bytes(message) = value
            {
                points += count(message, rest)?;
            }
        }
        Ok(points)
    }
    Ok(count(body, &[&[1], &[2], &[2], &[5, 7, 9, 10, 11], &[1]])?)
}
