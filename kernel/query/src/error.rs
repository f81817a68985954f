//! Why a query was refused, stopped or failed.

use std::time::Duration;

/// Why a query was refused, stopped or failed. The text is for the person who wrote the query: it names what they
/// wrote, never another project, a path or a setting.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The SQL does not parse.
    #[error("{0}")]
    Syntax(String),
    /// The SQL parses and makes no sense: an unknown table, column or function, or types that do not fit.
    #[error("{0}")]
    Plan(String),
    /// The statement is of a kind that is never run here.
    #[error("{0}")]
    Refused(String),
    /// The search text does not parse.
    #[error(transparent)]
    Search(#[from] crate::language::ParseError),
    /// A bad argument beside the query: a cursor, a time, a limit.
    #[error("{0}")]
    Argument(String),
    /// It ran for longer than it may.
    #[error("stopped after {} s: narrow the time range or aggregate", .0.as_secs_f64())]
    Timeout(Duration),
    /// It needs more memory than it may take; queries never spill to disk.
    #[error("needs more than {} MiB of memory: narrow the time range, select fewer columns or add a LIMIT", .0 >> 20)]
    Memory(usize),
    /// The answer is larger than may be given.
    #[error("the answer is larger than {} MiB: select fewer columns or add a LIMIT", .0 >> 20)]
    TooLarge(usize),
    /// Too many queries wait already: answer 503 with Retry-After.
    #[error("too many queries are running")]
    Overloaded,
    /// No such snapshot.
    #[error("no snapshot {0}: it expired or never was")]
    NoSnapshot(i64),
    /// A value could not be computed: a cast, a division by zero, an overflow.
    #[error("{0}")]
    Execution(String),
    /// The lake or a file failed.
    #[error("a table could not be read")]
    Storage(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A fault of the engine.
    #[error("the query engine failed")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The query was stopped: its reader went away or the server stops.
    #[error("stopped")]
    Cancelled,
}

impl QueryError {
    /// True where the caller can mend it by another query (HTTP 400), false where the server is at fault.
    pub fn is_callers(&self) -> bool {
        !matches!(
            self,
            QueryError::Overloaded | QueryError::Storage(_) | QueryError::Internal(_) | QueryError::Cancelled
        )
    }
}
