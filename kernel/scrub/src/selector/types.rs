//! The words after `$`: types of values, kinds of records, and the parts of an error event that Sentry names.

use std::sync::LazyLock;

use super::{Program, Selector};

/// What a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RecordKind {
    /// An error event.
    Error,
    /// A log line.
    Log,
    /// A span of a trace.
    Span,
    /// A record of a stream.
    Stream,
    /// A metric's point.
    Metric,
    /// A part of a session replay.
    Replay,
    /// A check's result.
    Check,
}

/// A word after `$`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    String,
    Number,
    Boolean,
    Null,
    Object,
    Array,
    Datetime,
    Error,
    Log,
    Span,
    Stream,
    Metric,
    Replay,
    Check,
    Exception,
    Stacktrace,
    Frame,
    Request,
    User,
    Message,
    Thread,
    Breadcrumb,
    Sdk,
}

/// Names and types. Of several names of one type the first is its own.
const NAMES: &[(&str, Type)] = &[
    ("string", Type::String),
    ("number", Type::Number),
    ("boolean", Type::Boolean),
    ("bool", Type::Boolean),
    ("null", Type::Null),
    ("object", Type::Object),
    ("databag", Type::Object),
    ("array", Type::Array),
    ("datetime", Type::Datetime),
    ("error", Type::Error),
    ("event", Type::Error),
    ("log", Type::Log),
    ("span", Type::Span),
    ("stream", Type::Stream),
    ("metric", Type::Metric),
    ("replay", Type::Replay),
    ("check", Type::Check),
    ("exception", Type::Exception),
    ("stacktrace", Type::Stacktrace),
    ("frame", Type::Frame),
    ("request", Type::Request),
    ("http", Type::Request),
    ("user", Type::User),
    ("message", Type::Message),
    ("logentry", Type::Message),
    ("thread", Type::Thread),
    ("breadcrumb", Type::Breadcrumb),
    ("sdk", Type::Sdk),
];

impl Type {
    pub(super) fn by_name(name: &str) -> Option<Type> {
        NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, own)| *own)
    }

    pub(super) fn name(self) -> &'static str {
        NAMES.iter().find(|(_, own)| *own == self).map_or("", |(name, _)| name)
    }
}

/// What one place of a record is, as a set of [`Type`]s.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Types(u32);

impl Types {
    pub(crate) const STRING: Types = Types::of(Type::String);
    pub(crate) const NUMBER: Types = Types::of(Type::Number);
    pub(crate) const BOOLEAN: Types = Types::of(Type::Boolean);
    pub(crate) const NULL: Types = Types::of(Type::Null);
    pub(crate) const OBJECT: Types = Types::of(Type::Object);
    pub(crate) const ARRAY: Types = Types::of(Type::Array);

    const fn of(one: Type) -> Types {
        Types(1 << one as u32)
    }

    /// The type alone.
    pub(crate) fn of_part(part: Type) -> Types {
        Types::of(part)
    }

    pub(super) fn with(self, one: Type) -> Types {
        Types(self.0 | Types::of(one).0)
    }

    pub(super) fn has(self, one: Type) -> bool {
        self.0 & Types::of(one).0 != 0
    }

    pub(crate) fn and(self, other: Types) -> Types {
        Types(self.0 | other.0)
    }

    /// What a record is as a whole.
    pub(crate) fn of_record(kind: Option<RecordKind>) -> Types {
        match kind {
            None => Types::default(),
            Some(RecordKind::Error) => Types::of(Type::Error),
            Some(RecordKind::Log) => Types::of(Type::Log),
            Some(RecordKind::Span) => Types::of(Type::Span),
            Some(RecordKind::Stream) => Types::of(Type::Stream),
            Some(RecordKind::Metric) => Types::of(Type::Metric),
            Some(RecordKind::Replay) => Types::of(Type::Replay),
            Some(RecordKind::Check) => Types::of(Type::Check),
        }
    }
}

/// Where in a record the named parts stand, as selectors. They are only followed where a rule names one.
const PARTS: &[(Type, &str)] = &[
    (
        Type::Datetime,
        "timestamp || start_timestamp || received || time || observed_timestamp || start_time || end_time",
    ),
    (Type::Span, "$error.spans.*"),
    (Type::Exception, "$error.exception.values.* || $error.exception.* && $object"),
    (Type::Stacktrace, "(stacktrace || raw_stacktrace) && $object"),
    (Type::Frame, "stacktrace.frames.* || raw_stacktrace.frames.*"),
    (Type::Request, "$error.request"),
    (Type::User, "$error.user"),
    (Type::Message, "$error.logentry || $error.message || $error.'sentry.interfaces.Message'"),
    (Type::Thread, "$error.threads.values.* || $error.threads.* && $object"),
    (Type::Breadcrumb, "$error.breadcrumbs.values.* || $error.breadcrumbs.* && $object"),
    (Type::Sdk, "$error.sdk"),
];

static PROGRAMS: LazyLock<Vec<(Type, Program)>> = LazyLock::new(|| {
    let compile = |(part, text): &(Type, &str)| Some((*part, Selector::parse(text).ok()?.compile()));
    PARTS.iter().filter_map(compile).collect()
});

/// The parts among these types, with what finds them.
pub(super) fn programs(types: Types) -> impl Iterator<Item = &'static (Type, Program)> {
    PROGRAMS.iter().filter(move |(part, _)| types.has(*part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_found_by_a_selector() {
        assert_eq!(PROGRAMS.len(), PARTS.len());
        for (part, text) in PARTS {
            let named = Selector::parse(text).expect("it parses").types();
            assert!(PARTS.iter().all(|(other, _)| !named.has(*other)), "{part:?} is said by itself");
        }
    }

    #[test]
    fn names_lead_to_types_and_back() {
        for (name, own) in NAMES {
            assert_eq!(Type::by_name(name), Some(*own));
            assert_eq!(Type::by_name(own.name()), Some(*own));
        }
        assert_eq!(Type::by_name("strng"), None);
    }
}
