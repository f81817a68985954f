//! The vocabulary of Candor: identifiers, time, values, records, limits.
//!
//! Everything here is plain data and pure functions. There is no I/O, no clock that ticks by itself and no
//! random source that is not handed in: [`Clock`] and [`Random`] are traits, so that the code that ships is the
//! code that a seeded simulation breaks.

pub mod anchors;
pub mod errors;
pub mod ids;
pub mod issues;
pub mod json;
pub mod limits;
pub mod random;
pub mod record;
pub mod time;
pub mod value;

pub use anchors::Anchors;
pub use errors::chain;
pub use ids::{Offset, OrgId, Partition, PolicyEpoch, ProjectId, RequestId, Signal, TopicName};
pub use issues::{EVERY_OTHER, IssueMap, NoIssues};
pub use random::Random;
pub use record::{
    Consent, ErrorColumns, ErrorRecord, Incoming, LogRecord, Origin, Records, SpanRecord, Subject,
    SubjectKind,
};
pub use time::{Clock, EventTime, Timestamp};
pub use value::{Object, Value};
