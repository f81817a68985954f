//! SQLite: one writing connection where callers queue, and a few reading ones.

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow, SqliteSynchronous,
};
use sqlx::{AssertSqlSafe, ConnectOptions, Executor, Row as _, Sqlite, Transaction, TypeInfo, ValueRef};

use super::{Param, Row, SqlError, sql};

/// How long a statement waits for a lock that another process holds. Within this process writers queue before they
/// ask, so it is met only where somebody else works on the file, and all that writes tries again.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a caller queues for the writer or a reader before it is told that the database is busy.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(30);

/// Readers that were idle for so long are closed: each holds a thread and a page cache.
const READER_IDLE: Duration = Duration::from_secs(60);

/// The WAL file is cut back to this size when it is reused, so that a burst does not keep its disk space.
const WAL_BYTES_KEPT: &str = "16777216";

/// When SQLite syncs (https://www.sqlite.org/pragma.html#pragma_synchronous).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Synchronous {
    /// At every commit: what was committed survives a loss of power.
    #[default]
    Full,
    /// At checkpoints: a loss of power may roll back the last commits, never corrupt. For what the log rebuilds.
    Normal,
}

/// How to open a SQLite file.
#[derive(Debug, Clone, Copy)]
pub struct SqliteOptions {
    /// When to sync.
    pub synchronous: Synchronous,
    /// How many connections read at once.
    pub readers: u32,
    /// One file with no write-ahead log beside it, to be handed on once it is closed.
    pub standalone: bool,
}

impl Default for SqliteOptions {
    fn default() -> SqliteOptions {
        SqliteOptions { synchronous: Synchronous::Full, readers: 4, standalone: false }
    }
}

#[derive(Clone)]
pub(super) struct SqlitePools {
    writer: SqlitePool,
    readers: SqlitePool,
}

impl SqlitePools {
    pub(super) async fn open(path: &Path, options: SqliteOptions) -> Result<SqlitePools, SqlError> {
        let failed =
            |error: sqlx::Error| SqlError::Open { at: path.display().to_string(), source: Box::new(error) };
        let synchronous = match options.synchronous {
            Synchronous::Full => SqliteSynchronous::Full,
            Synchronous::Normal => SqliteSynchronous::Normal,
        };
        let connect = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(if options.standalone { SqliteJournalMode::Delete } else { SqliteJournalMode::Wal })
            .synchronous(synchronous)
            .busy_timeout(BUSY_TIMEOUT)
            .foreign_keys(true)
            // Deleted rows are overwritten: erasing must not leave them in free pages.
            .pragma("secure_delete", "ON")
            // Sorting must not spill rows into files that nobody encrypts or erases.
            .pragma("temp_store", "MEMORY")
            .pragma("journal_size_limit", WAL_BYTES_KEPT)
            .pragma("trusted_schema", "OFF")
            .disable_statement_logging();
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
            .connect_with(connect.clone())
            .await
            .map_err(failed)?;
        let readers = SqlitePoolOptions::new()
            .max_connections(options.readers.max(1))
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .idle_timeout(READER_IDLE)
            .max_lifetime(None)
            .test_before_acquire(false)
            .connect_lazy_with(connect.create_if_missing(false).pragma("query_only", "ON"));
        Ok(SqlitePools { writer, readers })
    }

    pub(super) async fn query(&self, sql: &str, params: &[Param]) -> Result<Vec<Row>, SqlError> {
        let pool = if sql::only_reads(sql) { &self.readers } else { &self.writer };
        query_on(pool, sql, params).await
    }

    pub(super) async fn execute(&self, sql: &str, params: &[Param]) -> Result<u64, SqlError> {
        execute_on(&self.writer, sql, params).await
    }

    pub(super) async fn begin(&self) -> Result<SqliteTx, SqlError> {
        const BEGIN: &str = "BEGIN IMMEDIATE";
        match self.writer.begin_with(BEGIN).await {
            // A full device ends a transaction within SQLite, and its connection is taken to be in one ever after.
            Err(sqlx::Error::InvalidSavePointStatement) => {
                self.writer.acquire().await?.close().await?;
                Ok(SqliteTx { tx: self.writer.begin_with(BEGIN).await? })
            }
            begun => Ok(SqliteTx { tx: begun? }),
        }
    }

    pub(super) async fn begin_read(&self) -> Result<SqliteTx, SqlError> {
        let mut tx = SqliteTx { tx: self.readers.begin().await? };
        // A deferred transaction takes its snapshot at its first read: take it now.
        tx.query("SELECT count(*) FROM sqlite_schema", &[]).await?;
        Ok(tx)
    }

    pub(super) async fn copy_to(&self, path: &Path) -> Result<(), SqlError> {
        let Some(path) = path.to_str() else {
            return Err(SqlError::Statement("the path of the copy is not UTF-8".into()));
        };
        // On a reader, so that writers go on; `query_only` forbids only changes of the database itself, but
        // `VACUUM` is one of the statements that it refuses, so it is lifted for this connection, which nobody reads
        // from after it: also not where the caller gives up in the middle.
        let mut reader = self.readers.acquire().await?;
        reader.close_on_drop();
        reader.execute("PRAGMA query_only = OFF").await?;
        let copied = sqlx::query("VACUUM INTO ?").bind(path).execute(&mut *reader).await;
        copied.map(drop).map_err(SqlError::from)
    }

    pub(super) async fn checkpoint(&self) -> Result<(), SqlError> {
        let rows = query_on(&self.writer, "PRAGMA wal_checkpoint(TRUNCATE)", &[]).await?;
        // The first column is 1 where a reader kept the log from being emptied.
        match rows.first().map(|row| row.int(0)).transpose()? {
            Some(0) | None => Ok(()),
            Some(_) => Err(SqlError::Transient("readers hold the write-ahead log".into())),
        }
    }

    pub(super) async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

pub(super) struct SqliteTx {
    tx: Transaction<'static, Sqlite>,
}

impl SqliteTx {
    pub(super) async fn query(&mut self, sql: &str, params: &[Param]) -> Result<Vec<Row>, SqlError> {
        query_on(&mut *self.tx, sql, params).await
    }

    pub(super) async fn execute(&mut self, sql: &str, params: &[Param]) -> Result<u64, SqlError> {
        execute_on(&mut *self.tx, sql, params).await
    }

    pub(super) async fn commit(self) -> Result<(), SqlError> {
        self.tx.commit().await.map_err(SqlError::from)
    }
}

fn bind<'q>(sql: &str, params: &[Param]) -> sqlx::query::Query<'q, Sqlite, sqlx::sqlite::SqliteArguments> {
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for param in params {
        query = match param {
            Param::Null => query.bind(None::<i64>),
            Param::Int(v) => query.bind(*v),
            Param::Real(v) => query.bind(*v),
            Param::Text(v) => query.bind(v.clone()),
            Param::Blob(v) => query.bind(v.clone()),
        };
    }
    query
}

async fn query_on<'c>(
    executor: impl Executor<'c, Database = Sqlite>,
    sql: &str,
    params: &[Param],
) -> Result<Vec<Row>, SqlError> {
    let rows = bind(sql, params).fetch_all(executor).await?;
    rows.iter().map(read).collect()
}

async fn execute_on<'c>(
    executor: impl Executor<'c, Database = Sqlite>,
    sql: &str,
    params: &[Param],
) -> Result<u64, SqlError> {
    Ok(bind(sql, params).execute(executor).await?.rows_affected())
}

fn read(row: &SqliteRow) -> Result<Row, SqlError> {
    let value = |column: usize| -> Result<Param, SqlError> {
        let raw = row.try_get_raw(column)?;
        if raw.is_null() {
            return Ok(Param::Null);
        }
        let type_name = raw.type_info().name().to_owned();
        drop(raw);
        Ok(match type_name.as_str() {
            "INTEGER" => Param::Int(row.try_get_unchecked(column)?),
            "REAL" => Param::Real(row.try_get_unchecked(column)?),
            "TEXT" => Param::Text(row.try_get_unchecked(column)?),
            _ => Param::Blob(row.try_get_unchecked(column)?),
        })
    };
    (0..row.len()).map(value).collect::<Result<_, _>>().map(Row)
}
