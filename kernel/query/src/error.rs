//! Why a query was refused, stopped or failed.

use std::time::Duration;

use candor_lake::LakeError;
use datafusion::arrow::error::ArrowError;
use datafusion::common::DataFusionError;
use datafusion::parquet::errors::ParquetError;

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
    /// The sort of error in one word, for our own log: the text may quote what rows hold.
    pub fn kind(&self) -> &'static str {
        match self {
            QueryError::Syntax(_) => "syntax",
            QueryError::Plan(_) => "plan",
            QueryError::Refused(_) => "refused",
            QueryError::Search(_) => "search",
            QueryError::Argument(_) => "argument",
            QueryError::Timeout(_) => "timeout",
            QueryError::Memory(_) => "memory",
            QueryError::TooLarge(_) => "too large",
            QueryError::Overloaded => "overloaded",
            QueryError::NoSnapshot(_) => "no snapshot",
            QueryError::Execution(_) => "execution",
            QueryError::Storage(_) => "storage",
            QueryError::Internal(_) => "internal",
            QueryError::Cancelled => "cancelled",
        }
    }

    /// What the engine's error means to the caller.
    pub(crate) fn from_datafusion(error: DataFusionError) -> QueryError {
        match error {
            DataFusionError::SQL(e, _) => QueryError::Syntax(crate::statement::clean(&e.to_string())),
            // The engine's own check of a plan that it made: it shows the whole plan.
            DataFusionError::Plan(what) if what.starts_with("Plan: [") => QueryError::Internal(what.into()),
            DataFusionError::Plan(what) | DataFusionError::Configuration(what) => {
                QueryError::Plan(readable(&what))
            }
            DataFusionError::NotImplemented(what) => {
                QueryError::Plan(format!("not supported: {}", readable(&what)))
            }
            DataFusionError::SchemaError(e, _) => QueryError::Plan(readable(&e.to_string())),
            DataFusionError::Execution(what) => QueryError::Execution(readable(&what)),
            DataFusionError::ResourcesExhausted(_) => QueryError::Memory(0),
            DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => {
                QueryError::from_datafusion(*inner)
            }
            DataFusionError::Collection(errors) => match errors.into_iter().next() {
                Some(first) => QueryError::from_datafusion(first),
                None => QueryError::Internal("an empty collection of errors".into()),
            },
            DataFusionError::Shared(shared) => match std::sync::Arc::try_unwrap(shared) {
                Ok(inner) => QueryError::from_datafusion(inner),
                Err(shared) => QueryError::of_shared(&shared),
            },
            DataFusionError::ArrowError(e, _) => QueryError::from_arrow(*e),
            DataFusionError::ParquetError(e) => QueryError::from_parquet(*e),
            DataFusionError::External(e) => QueryError::from_external(e),
            // A fault of the pattern, not of the engine.
            DataFusionError::Internal(what) if what.contains("Regular expression did not compile") => {
                QueryError::Execution(if what.contains("CompiledTooBig") {
                    "the regular expression is too large".to_owned()
                } else {
                    "this is no regular expression".to_owned()
                })
            }
            other => QueryError::Internal(Box::new(other)),
        }
    }

    /// The same for an error that others hold too.
    fn of_shared(shared: &std::sync::Arc<DataFusionError>) -> QueryError {
        match shared.find_root() {
            DataFusionError::ResourcesExhausted(_) => QueryError::Memory(0),
            DataFusionError::Plan(what) => QueryError::Plan(readable(what)),
            DataFusionError::Execution(what) => QueryError::Execution(readable(what)),
            DataFusionError::ArrowError(e, _) => QueryError::Execution(readable(&e.to_string())),
            DataFusionError::External(what)
                if matches!(what.downcast_ref::<QueryError>(), Some(QueryError::Storage(_))) =>
            {
                QueryError::Storage(Box::new(DataFusionError::Shared(std::sync::Arc::clone(shared))))
            }
            _ => QueryError::Internal(Box::new(DataFusionError::Shared(std::sync::Arc::clone(shared)))),
        }
    }

    fn from_arrow(error: ArrowError) -> QueryError {
        match error {
            ArrowError::ExternalError(e) => QueryError::from_external(e),
            ArrowError::ComputeError(what)
            | ArrowError::CastError(what)
            | ArrowError::ParseError(what)
            | ArrowError::InvalidArgumentError(what)
            | ArrowError::ArithmeticOverflow(what) => QueryError::Execution(readable(&what)),
            ArrowError::DivideByZero => QueryError::Execution("division by zero".to_owned()),
            other => QueryError::Internal(Box::new(other)),
        }
    }

    fn from_parquet(error: ParquetError) -> QueryError {
        match error {
            ParquetError::External(e) => QueryError::from_external(e),
            // The reader passes a predicate's own fault on as text.
            ParquetError::ArrowError(what) => QueryError::Execution(readable(&what)),
            other => QueryError::Storage(Box::new(other)),
        }
    }

    fn from_external(error: Box<dyn std::error::Error + Send + Sync>) -> QueryError {
        let error = match error.downcast::<QueryError>() {
            Ok(own) => return *own,
            Err(error) => error,
        };
        let error = match error.downcast::<LakeError>() {
            Ok(lake) => return QueryError::from_lake(*lake),
            Err(error) => error,
        };
        let error = match error.downcast::<DataFusionError>() {
            Ok(inner) => return QueryError::from_datafusion(*inner),
            Err(error) => error,
        };
        let error = match error.downcast::<ParquetError>() {
            Ok(inner) => return QueryError::from_parquet(*inner),
            Err(error) => error,
        };
        match error.downcast::<ArrowError>() {
            Ok(inner) => QueryError::from_arrow(*inner),
            Err(error) => QueryError::Storage(error),
        }
    }

    /// The lake's error as a query's.
    pub(crate) fn from_lake(error: LakeError) -> QueryError {
        match error {
            LakeError::NoSnapshot(snapshot) => QueryError::NoSnapshot(snapshot),
            other => QueryError::Storage(Box::new(other)),
        }
    }

    /// As an error that passes through the engine and comes out whole.
    pub(crate) fn into_datafusion(self) -> DataFusionError {
        DataFusionError::External(Box::new(self))
    }

    /// With the bound that was met, where only that was known that one was.
    pub(crate) fn with_memory_limit(self, limit: usize) -> QueryError {
        match self {
            QueryError::Memory(_) => QueryError::Memory(limit),
            other => other,
        }
    }
}

/// The engine's words without its prefixes, its advice about its own settings and the name of the catalog.
fn readable(what: &str) -> String {
    let mut text = what.trim();
    for prefix in [
        "Error during planning: ",
        "Execution error: ",
        "Arrow error: ",
        "Compute error: ",
        "Cast error: ",
        "Parser error: ",
        "External error: ",
    ] {
        text = text.strip_prefix(prefix).unwrap_or(text);
    }
    // What a function of ours says of its arguments says it all.
    if let Some((_, own)) = text.split_once("user-defined coercion failed with: Error during planning: ") {
        text = own.split(" No function matches").next().unwrap_or(own).trim_end_matches('.');
    }
    let told = text
        .strip_prefix("Failed to coerce arguments to satisfy a call to '")
        .and_then(|rest| rest.split_once("' function: coercion from "))
        .and_then(|(name, rest)| Some((name, rest.split_once(" to the signature ")?.0)));
    if let Some((name, types)) = told {
        return format!("{name} takes no arguments of the types {types}");
    }
    text.replace(" or disable the datafusion.sql_parser.enable_ident_normalization configuration", "")
        .replace("candor.main.", "")
        .replace("\n\tCandidate functions:\n\t", " Candidates: ")
        .replace("\n\t", ", ")
}
