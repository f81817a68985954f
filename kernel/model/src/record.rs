//! Records as the listeners hand them to the gate. Nothing here has been cleared: these types are what *came*, and
//! only the gate turns them into what the log accepts.

use std::net::IpAddr;

use crate::{EventTime, Object, RequestId, Signal, Value};

/// A batch of one signal on its way to the gate.
#[derive(Debug)]
pub struct Incoming {
    /// The records.
    pub records: Records,
    /// Where they came from.
    pub origin: Origin,
    /// The id under which a retry of this batch is recognised.
    pub request: Option<RequestId>,
}

/// Records of one signal.
#[derive(Debug)]
pub enum Records {
    /// Log records.
    Logs(Vec<LogRecord>),
    /// Spans.
    Spans(Vec<SpanRecord>),
    /// Error events.
    Errors(Vec<ErrorRecord>),
}

impl Records {
    /// The signal they are of.
    pub fn signal(&self) -> Signal {
        match self {
            Records::Logs(_) => Signal::Logs,
            Records::Spans(_) => Signal::Spans,
            Records::Errors(_) => Signal::Errors,
        }
    }

    /// How many records.
    pub fn len(&self) -> usize {
        match self {
            Records::Logs(records) => records.len(),
            Records::Spans(records) => records.len(),
            Records::Errors(records) => records.len(),
        }
    }

    /// True without records.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Where a request came from, as far as the policy asks.
#[derive(Debug, Clone, Default)]
pub struct Origin {
    /// The peer, or whom a trusted proxy names.
    pub ip: Option<IpAddr>,
    /// The `Origin` header: a browser sent it.
    pub site: Option<String>,
    /// The public key of the DSN that it came under.
    pub key: Option<String>,
    /// The SDK's name, as the protocol carries it.
    pub sdk: Option<String>,
    /// The country that a trusted proxy states, ISO 3166-1 alpha-2.
    pub country: Option<String>,
    /// `Sec-GPC: 1`.
    pub global_privacy_control: bool,
    /// `DNT: 1`.
    pub do_not_track: bool,
    /// `Candor-Consent`: what the person said; none where the request does not say.
    pub consent: Option<Consent>,
}

/// What a person said of being recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consent {
    /// Yes.
    Granted,
    /// No.
    Denied,
}

impl Consent {
    /// From a word that a header or an SDK's field says; none for any other word.
    pub fn from_word(word: &str) -> Option<Consent> {
        let is_any = |words: &[&str]| words.iter().any(|known| known.eq_ignore_ascii_case(word.trim()));
        if is_any(&["granted", "true", "yes"]) {
            Some(Consent::Granted)
        } else if is_any(&["denied", "false", "no"]) {
            Some(Consent::Denied)
        } else {
            None
        }
    }
}

/// The kinds of identifier that make a subject's code, in the order in which the first present names the row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SubjectKind {
    /// An application's own user id.
    User,
    /// An e-mail address.
    Email,
    /// A user name.
    Name,
    /// A device id.
    Device,
    /// A session id.
    Session,
    /// A replay id.
    Replay,
}

impl SubjectKind {
    /// Every kind, in order.
    pub const ALL: [SubjectKind; 6] = [
        SubjectKind::User,
        SubjectKind::Email,
        SubjectKind::Name,
        SubjectKind::Device,
        SubjectKind::Session,
        SubjectKind::Replay,
    ];

    /// The prefix of the code: `user` in `user:…`.
    pub fn name(self) -> &'static str {
        match self {
            SubjectKind::User => "user",
            SubjectKind::Email => "email",
            SubjectKind::Name => "name",
            SubjectKind::Device => "device",
            SubjectKind::Session => "session",
            SubjectKind::Replay => "replay",
        }
    }
}

/// An identifier of a person that a listener took out of a field that its protocol defines for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// What it is.
    pub kind: SubjectKind,
    /// The identifier in the clear. It goes to the vault, never into a row.
    pub value: String,
}

/// A log record, in OpenTelemetry's terms (logs data model).
#[derive(Debug, Clone, Default)]
pub struct LogRecord {
    /// When it happened; none means now.
    pub timestamp: Option<EventTime>,
    /// When a collector saw it; none means now.
    pub observed: Option<EventTime>,
    /// The level in the sender's words.
    pub severity_text: String,
    /// OpenTelemetry's 1 to 24; 0 for unknown.
    pub severity_number: i32,
    /// The message: text, or a value that is stored as JSON text.
    pub body: Value,
    /// `service.name`.
    pub service_name: String,
    /// `host.name`.
    pub host_name: String,
    /// 32 hex digits, or empty.
    pub trace_id: String,
    /// 16 hex digits, or empty.
    pub span_id: String,
    /// The named origin within the project.
    pub source: String,
    /// Everything else, complete. The gate finds the identifiers of persons in here by their names.
    pub attributes: Object,
}

/// A span, in OpenTelemetry's terms with Sentry's `op`.
#[derive(Debug, Clone, Default)]
pub struct SpanRecord {
    /// The start; none means now.
    pub timestamp: Option<EventTime>,
    /// How long it took.
    pub duration_ns: i64,
    /// 32 hex digits.
    pub trace_id: String,
    /// 16 hex digits.
    pub span_id: String,
    /// 16 hex digits, or empty for a root.
    pub parent_span_id: String,
    /// The name or description.
    pub name: String,
    /// Sentry's operation (`http.server`), or OpenTelemetry's kind.
    pub op: String,
    /// `ok`, `error` or `unset`, or Sentry's finer word.
    pub status: String,
    /// `service.name`.
    pub service_name: String,
    /// `service.version`, Sentry's release.
    pub release: String,
    /// Everything else, complete (events and links too, as lists).
    pub attributes: Object,
}

/// An error event: Sentry's event payload as it came, and what reads its columns once the gate has cleared it.
#[derive(Debug, Clone)]
pub struct ErrorRecord {
    /// The event, whole.
    pub event: Value,
    /// Reads the columns from the cleared event. The gate calls it after scrubbing, so no column and no group hash
    /// is made of what the gate takes out.
    pub columns: fn(&Value) -> ErrorColumns,
}

/// The columns of an error event.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ErrorColumns {
    /// When it happened; none means now.
    pub timestamp: Option<EventTime>,
    /// 32 hex digits.
    pub event_id: String,
    /// `fatal`, `error`, `warning`, `info`, `debug`.
    pub level: String,
    /// The exception's type.
    pub error_type: String,
    /// The exception's value, or the message.
    pub value: String,
    /// Where: module and function, or the transaction.
    pub culprit: String,
    /// The platform.
    pub platform: String,
    /// The release.
    pub release: String,
    /// The environment.
    pub environment: String,
    /// The transaction.
    pub transaction: String,
    /// 32 hex digits, or empty.
    pub trace_id: String,
    /// 16 hex digits, or empty.
    pub span_id: String,
    /// Tags in the order they came.
    pub tags: Vec<(String, String)>,
    /// The hashes that group it, strongest first.
    pub group_hashes: Vec<String>,
}
