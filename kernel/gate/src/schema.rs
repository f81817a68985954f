//! The Arrow schemas of the signals: the columns of contract.md but for those that the lake adds
//! (`_ingested_at`, `_partition`, `_offset`, `_epoch`) and `issue`, which is resolved at read.
//!
//! Optional text that is empty is null. Maps and lists are never null themselves, only empty.
//!
//! Columns are only ever appended: a column's place is its number in the log (see [`crate::codec`]), and a batch of
//! an older release reads with nulls in the columns that it lacks.

use std::sync::{Arc, OnceLock};

use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef, TimeUnit};
use candor_model::Signal;

/// The type of all times: microseconds, UTC.
pub fn time() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// A column of optional text.
fn text(name: &str) -> Field {
    Field::new(name, DataType::Utf8, true)
}

fn required(name: &str, kind: DataType) -> Field {
    Field::new(name, kind, false)
}

/// A list of texts, in Parquet's names, so that files read back as the type they were written.
fn texts(name: &str) -> Field {
    required(name, DataType::List(list_item()))
}

/// The item of every list.
pub(crate) fn list_item() -> FieldRef {
    Arc::new(text("element"))
}

/// Key and value of every map.
pub(crate) fn map_fields() -> Fields {
    Fields::from(vec![required("key", DataType::Utf8), text("value")])
}

/// The entries of every map.
pub(crate) fn map_entries() -> FieldRef {
    Arc::new(required("key_value", DataType::Struct(map_fields())))
}

/// A map from text to text, in Parquet's names, so that files read back as the type they were written.
fn map(name: &str) -> Field {
    required(name, DataType::Map(map_entries(), false))
}

fn columns(signal: Signal) -> Vec<Field> {
    let times = [required("timestamp", time()), required("timestamp_ns", DataType::Int32)];
    let rest = match signal {
        Signal::Logs => vec![
            required("observed_timestamp", time()),
            text("severity_text"),
            required("severity_number", DataType::Int32),
            text("body"),
            text("service_name"),
            text("host_name"),
            text("trace_id"),
            text("span_id"),
            text("source"),
            map("attributes"),
            text("subject"),
            texts("subjects"),
        ],
        Signal::Errors => vec![
            text("event_id"),
            text("level"),
            text("type"),
            text("value"),
            text("culprit"),
            text("platform"),
            text("release"),
            text("environment"),
            text("transaction"),
            text("trace_id"),
            text("span_id"),
            text("subject"),
            texts("subjects"),
            map("tags"),
            text("contexts"),
            text("event"),
            texts("group_hashes"),
        ],
        Signal::Spans => vec![
            required("duration_ns", DataType::Int64),
            text("trace_id"),
            text("span_id"),
            text("parent_span_id"),
            text("name"),
            text("op"),
            text("status"),
            text("service_name"),
            text("release"),
            map("attributes"),
            text("subject"),
            texts("subjects"),
        ],
    };
    times.into_iter().chain(rest).collect()
}

/// The schema of a signal's rows.
pub fn schema(signal: Signal) -> SchemaRef {
    static SCHEMAS: [OnceLock<SchemaRef>; 3] = [const { OnceLock::new() }; 3];
    let [logs, errors, spans] = &SCHEMAS;
    let cell = match signal {
        Signal::Logs => logs,
        Signal::Errors => errors,
        Signal::Spans => spans,
    };
    Arc::clone(cell.get_or_init(|| Arc::new(Schema::new(columns(signal)))))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Columns are appended, never moved or renamed: their places are in every stored batch.
    #[test]
    fn columns_stay_where_they_are() {
        let names = |signal| {
            schema(signal).fields().iter().map(|field| field.name().as_str()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(
            names(Signal::Logs),
            "timestamp timestamp_ns observed_timestamp severity_text severity_number body service_name host_name \
             trace_id span_id source attributes subject subjects"
        );
        assert_eq!(
            names(Signal::Spans),
            "timestamp timestamp_ns duration_ns trace_id span_id parent_span_id name op status service_name \
             release attributes subject subjects"
        );
        assert_eq!(
            names(Signal::Errors),
            "timestamp timestamp_ns event_id level type value culprit platform release environment transaction \
             trace_id span_id subject subjects tags contexts event group_hashes"
        );
    }
}
