//! Identifiers. Each is a type of its own, so that a project number never passes for an offset.

use std::fmt;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
        pub struct $name(pub $inner);
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number!(
    /// An organisation: it owns projects.
    OrgId(i64)
);
number!(
    /// A project: the integer in Sentry paths and the `p<number>` of a lake schema.
    ProjectId(i64)
);
number!(
    /// A partition of a topic.
    Partition(u32)
);
number!(
    /// A position in a partition. Offsets never repeat and never move.
    Offset(u64)
);
number!(
    /// The version of the policy that a record was admitted under.
    PolicyEpoch(u32)
);

/// The id a protocol gives a request or a record so that a retry is stored once
/// (Sentry `event_id`, Elasticsearch `_id`, `Idempotency-Key`): a digest of protocol, project and id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub [u8; 16]);

/// A kind of record. Each is a topic and a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Signal {
    /// Log records (table `logs`).
    Logs,
    /// Error events (table `errors`).
    Errors,
    /// Spans of traces (table `spans`).
    Spans,
}

impl Signal {
    /// Every signal that is built.
    pub const ALL: [Signal; 3] = [Signal::Logs, Signal::Errors, Signal::Spans];

    /// The name in the policy and of the table: `logs`.
    pub fn name(self) -> &'static str {
        match self {
            Signal::Logs => "logs",
            Signal::Errors => "errors",
            Signal::Spans => "spans",
        }
    }

    /// The topic that carries the signal: `candor.logs`.
    pub fn topic(self) -> TopicName {
        TopicName(format!("candor.{}", self.name()))
    }

    /// The signal of that name.
    pub fn from_name(name: &str) -> Option<Signal> {
        Signal::ALL.into_iter().find(|signal| signal.name() == name)
    }
}

/// A topic's name within its project.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicName(pub String);

impl TopicName {
    /// The signal that this topic carries, where it is one of Candor's own.
    pub fn signal(&self) -> Option<Signal> {
        self.0.strip_prefix("candor.").and_then(Signal::from_name)
    }
}

impl fmt::Display for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
