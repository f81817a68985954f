//! One database: a writer and readers over SQLite in a file, or a pool over PostgreSQL.

use std::path::Path;

/// Which SQL engine a database is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// SQLite in a file, WAL mode, one writing process.
    Sqlite,
    /// PostgreSQL 15 or newer.
    Postgres,
}

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

/// A parameter of a statement.
#[derive(Debug, Clone)]
pub enum Param {
    /// NULL.
    Null,
    /// An integer.
    Int(i64),
    /// A float.
    Real(f64),
    /// Text.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
}

/// Makes a list of [`Param`] from values.
#[macro_export]
macro_rules! params {
    ($($value:expr),* $(,)?) => { &[$($crate::Param::from($value)),*] };
}

impl From<i64> for Param {
    fn from(v: i64) -> Param {
        Param::Int(v)
    }
}
impl From<f64> for Param {
    fn from(v: f64) -> Param {
        Param::Real(v)
    }
}
impl From<&str> for Param {
    fn from(v: &str) -> Param {
        Param::Text(v.to_owned())
    }
}
impl From<String> for Param {
    fn from(v: String) -> Param {
        Param::Text(v)
    }
}
impl From<&[u8]> for Param {
    fn from(v: &[u8]) -> Param {
        Param::Blob(v.to_vec())
    }
}
impl From<Vec<u8>> for Param {
    fn from(v: Vec<u8>) -> Param {
        Param::Blob(v)
    }
}
impl<T: Into<Param>> From<Option<T>> for Param {
    fn from(v: Option<T>) -> Param {
        v.map_or(Param::Null, Into::into)
    }
}

/// A step of a crate's schema. Steps are numbered from 1 and never change once released.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    /// Whose tables: the crate's name.
    pub owner: &'static str,
    /// The step.
    pub version: i64,
    /// Statements, separated by `;`, that both engines take (`BLOB` is rewritten to `BYTEA` for PostgreSQL, and
    /// `INTEGER PRIMARY KEY AUTOINCREMENT` to an identity column).
    pub sql: &'static str,
}

/// A result row.
#[derive(Debug, Clone)]
pub struct Row(pub Vec<Param>);

impl Row {
    /// An integer.
    pub fn int(&self, _column: usize) -> Result<i64, SqlError> {
        todo!()
    }
    /// Text.
    pub fn text(&self, _column: usize) -> Result<&str, SqlError> {
        todo!()
    }
    /// Bytes.
    pub fn blob(&self, _column: usize) -> Result<&[u8], SqlError> {
        todo!()
    }
    /// An integer or NULL.
    pub fn opt_int(&self, _column: usize) -> Result<Option<i64>, SqlError> {
        todo!()
    }
    /// Text or NULL.
    pub fn opt_text(&self, _column: usize) -> Result<Option<&str>, SqlError> {
        todo!()
    }
}

/// A database. Cheap to clone.
#[derive(Clone)]
pub struct Database {}

/// A transaction; rolled back when dropped without [`Tx::commit`].
pub struct Tx {}

impl Database {
    /// Opens or creates a SQLite file (WAL, `synchronous=FULL`, foreign keys on) and runs the migrations.
    pub async fn open_sqlite(_path: &Path, _migrations: &[Migration]) -> Result<Database, SqlError> {
        todo!()
    }
    /// Connects to PostgreSQL (`postgres://…`), creating `schema` if absent, and runs the migrations in it.
    pub async fn open_postgres(
        _url: &str,
        _schema: &str,
        _migrations: &[Migration],
    ) -> Result<Database, SqlError> {
        todo!()
    }
    /// Which engine.
    pub fn engine(&self) -> Engine {
        todo!()
    }
    /// Runs more migrations (each crate brings its own).
    pub async fn migrate(&self, _migrations: &[Migration]) -> Result<(), SqlError> {
        todo!()
    }
    /// Reads rows outside a transaction. `?` placeholders.
    pub async fn query(&self, _sql: &str, _params: &[Param]) -> Result<Vec<Row>, SqlError> {
        todo!()
    }
    /// Runs one statement in a transaction of its own; gives the number of rows it touched.
    pub async fn execute(&self, _sql: &str, _params: &[Param]) -> Result<u64, SqlError> {
        todo!()
    }
    /// Begins a writing transaction (`BEGIN IMMEDIATE` on SQLite, where writers queue here).
    pub async fn begin(&self) -> Result<Tx, SqlError> {
        todo!()
    }
}

impl Tx {
    /// Reads rows.
    pub async fn query(&mut self, _sql: &str, _params: &[Param]) -> Result<Vec<Row>, SqlError> {
        todo!()
    }
    /// Runs one statement; gives the number of rows it touched.
    pub async fn execute(&mut self, _sql: &str, _params: &[Param]) -> Result<u64, SqlError> {
        todo!()
    }
    /// Commits: on return it is on stable storage.
    pub async fn commit(self) -> Result<(), SqlError> {
        todo!()
    }
}
