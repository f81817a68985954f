//! What a key means on a table, and the order of severities.

use candor_model::Signal;
use datafusion::arrow::datatypes::{DataType, Schema};

use crate::functions::attribute::is_text_map;
use crate::functions::text::is_text;

/// Severities in their order, as OpenTelemetry groups them: four numbers each, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
    Fatal,
}

impl Level {
    pub(crate) const ALL: [Level; 6] =
        [Level::Trace, Level::Debug, Level::Info, Level::Warn, Level::Error, Level::Fatal];

    /// The name in answers.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Level::Trace => "trace",
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
            Level::Fatal => "fatal",
        }
    }

    /// Names that senders write, in lower case.
    pub(crate) fn names(self) -> &'static [&'static str] {
        match self {
            Level::Trace => &["trace", "verbose"],
            Level::Debug => &["debug"],
            Level::Info => &["info", "information", "informational", "notice", "log"],
            Level::Warn => &["warn", "warning"],
            Level::Error => &["error", "err"],
            Level::Fatal => &["fatal", "critical", "crit", "alert", "emergency", "emerg", "panic"],
        }
    }

    /// The severity of a name.
    pub(crate) fn from_name(name: &str) -> Option<Level> {
        let name = name.to_ascii_lowercase();
        Level::ALL.into_iter().find(|level| level.names().contains(&name.as_str()))
    }

    /// The severity of an OpenTelemetry number.
    pub(crate) fn from_number(number: i32) -> Option<Level> {
        let at = usize::try_from(number.checked_sub(1)? / 4).ok()?;
        (number > 0).then(|| Level::ALL.get(at).copied())?
    }

    /// The least and the greatest number.
    pub(crate) fn numbers(self) -> (i32, i32) {
        let first = self as i32 * 4 + 1;
        (first, first + 3)
    }
}

/// What a key stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// The severity.
    Level,
    /// A text to look into: `body:word` finds a word in it.
    Prose(String),
    /// A text to compare.
    Text(String),
    /// An integer.
    Int(String),
    /// A duration in nanoseconds.
    Duration(String),
    /// A time.
    Time(String),
    /// A person: the code in `subject` or in `subjects`, of this kind where the value names none.
    Subject(Option<&'static str>),
    /// A list of text.
    List(String),
    /// All values of a map.
    Values(String),
    /// A key of the map of attributes.
    Attribute { map: String, key: String },
    /// Nothing that this table has.
    Absent,
}

/// The map that holds what is no column.
fn map_of(signal: Signal) -> &'static str {
    match signal {
        Signal::Logs | Signal::Spans => "attributes",
        Signal::Errors => "tags",
    }
}

/// What words are looked for in.
pub(crate) fn prose(signal: Signal) -> &'static [&'static str] {
    match signal {
        Signal::Logs => &["body", "attributes"],
        Signal::Errors => &["type", "value", "culprit", "transaction", "tags", "event"],
        Signal::Spans => &["name", "op", "attributes"],
    }
}

/// Columns whose commonest values are counted.
pub(crate) fn facets(signal: Signal) -> &'static [&'static str] {
    match signal {
        Signal::Logs => &["service_name", "severity_text", "host_name", "source"],
        Signal::Errors => &["level", "type", "release", "environment"],
        Signal::Spans => &["service_name", "op", "status", "name"],
    }
}

/// The column that a short name means.
fn short(signal: Signal, key: &str) -> Option<&'static str> {
    Some(match (key, signal) {
        ("service", _) => "service_name",
        ("host", _) => "host_name",
        ("trace", _) => "trace_id",
        ("span", _) => "span_id",
        ("time", _) => "timestamp",
        ("message" | "msg", Signal::Logs) => "body",
        ("message" | "msg", Signal::Errors) => "value",
        ("event_id" | "id", Signal::Errors) => "event_id",
        ("env", Signal::Errors) => "environment",
        ("parent", Signal::Spans) => "parent_span_id",
        _ => return None,
    })
}

/// What a key means on a table.
pub(crate) fn target(signal: Signal, key: &str, schema: &Schema) -> Target {
    let lower = key.to_lowercase();
    match (lower.as_str(), signal) {
        ("level" | "severity" | "severity_text", Signal::Logs) | ("level" | "severity", Signal::Errors) => {
            return Target::Level;
        }
        ("user", _) => return Target::Subject(Some("user")),
        ("subject", _) => return Target::Subject(None),
        ("duration" | "duration_ns", Signal::Spans) => return Target::Duration("duration_ns".to_owned()),
        _ => {}
    }
    let column = short(signal, &lower).map(str::to_owned).or_else(|| {
        schema.fields().iter().map(|field| field.name()).find(|name| name.to_lowercase() == lower).cloned()
    });
    let found =
        column.and_then(|name| schema.field_with_name(&name).ok().map(|field| (name, field.data_type())));
    if let Some((name, data_type)) = found {
        return match data_type {
            of if is_text(of)
                && matches!(
                    (name.as_str(), signal),
                    ("body", _) | ("event" | "contexts", _) | ("value", Signal::Errors)
                ) =>
            {
                Target::Prose(name)
            }
            of if is_text(of) => Target::Text(name),
            of if of.is_integer() => Target::Int(name),
            DataType::Timestamp(_, _) => Target::Time(name),
            DataType::List(_) => Target::List(name),
            of if is_text_map(of) => Target::Values(name),
            _ => Target::Absent,
        };
    }
    let map = map_of(signal);
    match schema.field_with_name(map) {
        Ok(_) => {
            let key = key.strip_prefix(map).and_then(|rest| rest.strip_prefix('.')).unwrap_or(key);
            Target::Attribute { map: map.to_owned(), key: key.to_owned() }
        }
        Err(_) => Target::Absent,
    }
}
