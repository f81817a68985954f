//! Why SQL failed, told apart by what the caller can do about it.

use sqlx::error::ErrorKind;

/// Why a statement failed.
#[derive(Debug, thiserror::Error)]
pub enum SqlError {
    /// The database could not be opened or reached.
    #[error("cannot open the database {at}")]
    Open {
        /// Its file or address, without credentials.
        at: String,
        /// The driver's error.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A statement failed; a retry may pass (busy, serialization failure, connection lost).
    #[error("the database is busy or unreachable")]
    Transient(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// No space left for the database; a retry may pass once there is.
    #[error("no space left for the database")]
    Full(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A uniqueness constraint was hit.
    #[error("already exists")]
    Unique(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A statement failed for good.
    #[error("a statement failed")]
    Statement(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A row does not have the column, or it is of another type.
    #[error("column {0} is missing or of another type")]
    Column(usize),
    /// The database was written by a newer Candor.
    #[error("the database is of a newer version ({found}) than this program knows ({known})")]
    Newer {
        /// What it says.
        found: i64,
        /// What we know.
        known: i64,
    },
}

impl SqlError {
    /// True where the same statement may pass later without anybody changing it.
    pub fn is_transient(&self) -> bool {
        matches!(self, SqlError::Transient(_) | SqlError::Full(_))
    }
}

/// SQLite's primary result codes (https://www.sqlite.org/rescode.html): the low byte of the extended code.
mod sqlite_code {
    pub const BUSY: i64 = 5;
    pub const LOCKED: i64 = 6;
    pub const IOERR: i64 = 10;
    pub const FULL: i64 = 13;
    pub const CANTOPEN: i64 = 14;
    pub const PROTOCOL: i64 = 15;
}

impl From<sqlx::Error> for SqlError {
    fn from(error: sqlx::Error) -> SqlError {
        let class = match &error {
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::BeginFailed => SqlError::Transient,
            sqlx::Error::Database(database) => {
                if database.kind() == ErrorKind::UniqueViolation {
                    SqlError::Unique
                } else if database.try_downcast_ref::<sqlx::sqlite::SqliteError>().is_some() {
                    classify_sqlite(database.code().as_deref())
                } else {
                    classify_postgres(database.code().as_deref())
                }
            }
            _ => SqlError::Statement,
        };
        class(Box::new(error))
    }
}

type Variant = fn(Box<dyn std::error::Error + Send + Sync>) -> SqlError;

fn classify_sqlite(code: Option<&str>) -> Variant {
    let primary = code.and_then(|code| code.parse::<i64>().ok()).unwrap_or(0) & 0xff;
    match primary {
        sqlite_code::FULL => SqlError::Full,
        sqlite_code::BUSY
        | sqlite_code::LOCKED
        | sqlite_code::IOERR
        | sqlite_code::CANTOPEN
        | sqlite_code::PROTOCOL => SqlError::Transient,
        _ => SqlError::Statement,
    }
}

/// SQLSTATE classes (PostgreSQL documentation, appendix A).
fn classify_postgres(code: Option<&str>) -> Variant {
    let code = code.unwrap_or("");
    match code {
        // disk_full
        "53100" => SqlError::Full,
        // Serialization failure, deadlock, lock not available, shutdown and start-up, read-only after a failover.
        "40001" | "40P01" | "55P03" | "57P01" | "57P02" | "57P03" | "25006" => SqlError::Transient,
        // Connection exceptions, insufficient resources, system errors.
        _ if code.starts_with("08") || code.starts_with("53") || code.starts_with("58") => {
            SqlError::Transient
        }
        _ => SqlError::Statement,
    }
}
