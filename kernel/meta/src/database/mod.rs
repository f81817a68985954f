//! One database: a writer and readers over SQLite in a file, or a pool over PostgreSQL.
//!
//! Statements are written once, with `?` placeholders, and values travel as [`Param`] both ways. That refuses
//! compile-time checked queries (they know one engine) for one SQL text that every test runs on both engines.
//!
//! On SQLite all writing goes through one connection, where callers queue in order: a second writer would only
//! meet `SQLITE_BUSY`. Reads have connections of their own and, in WAL mode, never wait for the writer.
//!
//! Two rules for portable statements: a parameter has the type of what it meets, so one that meets only a literal
//! is written `CAST(? AS BIGINT)`; and rows touched by `SELECT … FOR UPDATE` logic are guarded by [`Tx::lock`].

mod error;
mod held;
mod migrate;
mod param;
mod postgres;
mod sql;
mod sqlite;

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub use error::SqlError;
pub use held::Held;
pub use migrate::Migration;
pub use param::{Param, Row};
pub use sqlite::{SqliteOptions, Synchronous};

/// Which SQL engine a database is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// SQLite in a file, WAL mode, one writing process.
    Sqlite,
    /// PostgreSQL 15 or newer.
    Postgres,
}

/// A database. Cheap to clone.
#[derive(Clone)]
pub struct Database {
    pools: Pools,
    /// How long a statement or the beginning of a transaction may take, where the caller said so.
    patience: Option<Duration>,
}

#[derive(Clone)]
enum Pools {
    Sqlite(sqlite::SqlitePools),
    Postgres(Arc<postgres::PostgresPool>),
}

/// A transaction; rolled back when dropped without [`Tx::commit`].
pub struct Tx {
    inner: TxInner,
}

enum TxInner {
    Sqlite(sqlite::SqliteTx),
    Postgres(postgres::PostgresTx),
}

impl Database {
    /// Opens or creates a SQLite file (WAL, `synchronous=FULL`, foreign keys on) and runs the migrations.
    pub async fn open_sqlite(path: &Path, migrations: &[Migration]) -> Result<Database, SqlError> {
        Database::open_sqlite_with(path, SqliteOptions::default(), migrations).await
    }

    /// Opens or creates a SQLite file with options of its own and runs the migrations.
    pub async fn open_sqlite_with(
        path: &Path,
        options: SqliteOptions,
        migrations: &[Migration],
    ) -> Result<Database, SqlError> {
        let pools = sqlite::SqlitePools::open(path, options).await?;
        let database = Database { pools: Pools::Sqlite(pools), patience: None };
        database.migrate(migrations).await?;
        Ok(database)
    }

    /// Connects to PostgreSQL (`postgres://…`), creating `schema` if absent, and runs the migrations in it.
    pub async fn open_postgres(
        url: &str,
        schema: &str,
        migrations: &[Migration],
    ) -> Result<Database, SqlError> {
        let pool = postgres::PostgresPool::open(url, schema).await?;
        let database = Database { pools: Pools::Postgres(Arc::new(pool)), patience: None };
        database.migrate(migrations).await?;
        Ok(database)
    }

    /// The same database for callers who have somebody waiting: a statement, or the beginning of a transaction, that
    /// takes longer fails as transient, whether it waits in the queue of this process or for another one's lock. What
    /// was on its way then may still take effect. Migrations are not bound by it.
    pub fn with_patience(&self, patience: Duration) -> Database {
        Database { pools: self.pools.clone(), patience: Some(patience) }
    }

    async fn patiently<T>(&self, work: impl Future<Output = Result<T, SqlError>>) -> Result<T, SqlError> {
        let Some(patience) = self.patience else { return work.await };
        let done = tokio::time::timeout(patience, work).await;
        done.unwrap_or_else(|_| Err(SqlError::Transient("it did not answer in time".into())))
    }

    /// Which engine.
    pub fn engine(&self) -> Engine {
        match &self.pools {
            Pools::Sqlite(_) => Engine::Sqlite,
            Pools::Postgres(_) => Engine::Postgres,
        }
    }

    /// Runs more migrations (each crate brings its own). Steps that ran before are skipped; a database that has
    /// a later step than an owner's last is refused with [`SqlError::Newer`].
    pub async fn migrate(&self, migrations: &[Migration]) -> Result<(), SqlError> {
        migrate::run(&Database { pools: self.pools.clone(), patience: None }, migrations).await
    }

    /// Reads rows outside a transaction. `?` placeholders. On SQLite a statement that writes (`INSERT …
    /// RETURNING`) is sent to the writer.
    pub async fn query(&self, sql: &str, params: &[Param]) -> Result<Vec<Row>, SqlError> {
        self.patiently(async {
            match &self.pools {
                Pools::Sqlite(pools) => pools.query(sql, params).await,
                Pools::Postgres(pool) => pool.query(sql, params).await,
            }
        })
        .await
    }

    /// Runs one statement in a transaction of its own; gives the number of rows it touched.
    pub async fn execute(&self, sql: &str, params: &[Param]) -> Result<u64, SqlError> {
        self.patiently(async {
            match &self.pools {
                Pools::Sqlite(pools) => pools.execute(sql, params).await,
                Pools::Postgres(pool) => pool.execute(sql, params).await,
            }
        })
        .await
    }

    /// Begins a writing transaction (`BEGIN IMMEDIATE` on SQLite, where writers queue here; read committed on
    /// PostgreSQL).
    pub async fn begin(&self) -> Result<Tx, SqlError> {
        self.patiently(async {
            let inner = match &self.pools {
                Pools::Sqlite(pools) => TxInner::Sqlite(pools.begin().await?),
                Pools::Postgres(pool) => TxInner::Postgres(pool.begin(false).await?),
            };
            Ok(Tx { inner })
        })
        .await
    }

    /// Begins a reading transaction: all its queries see the database of one moment, and it never waits for a
    /// writer.
    pub async fn begin_read(&self) -> Result<Tx, SqlError> {
        self.patiently(async {
            let inner = match &self.pools {
                Pools::Sqlite(pools) => TxInner::Sqlite(pools.begin_read().await?),
                Pools::Postgres(pool) => TxInner::Postgres(pool.begin(true).await?),
            };
            Ok(Tx { inner })
        })
        .await
    }

    /// Writes a consistent copy of a SQLite database into a file that does not exist yet, beside readers and
    /// writers (`VACUUM INTO`: without free pages). Refused on PostgreSQL, which has tools of its own.
    pub async fn copy_to(&self, path: &Path) -> Result<(), SqlError> {
        match &self.pools {
            Pools::Sqlite(pools) => pools.copy_to(path).await,
            Pools::Postgres(_) => Err(SqlError::Statement("only SQLite is copied to a file".into())),
        }
    }

    /// Moves SQLite's write-ahead log into the file and empties it, so that what was deleted is gone from both.
    /// Does nothing on PostgreSQL.
    pub async fn checkpoint(&self) -> Result<(), SqlError> {
        match &self.pools {
            Pools::Sqlite(pools) => pools.checkpoint().await,
            Pools::Postgres(_) => Ok(()),
        }
    }

    /// Waits for what runs and closes every connection; later calls fail as transient.
    pub async fn close(&self) {
        match &self.pools {
            Pools::Sqlite(pools) => pools.close().await,
            Pools::Postgres(pool) => pool.close().await,
        }
    }
}

impl Tx {
    /// Reads rows.
    pub async fn query(&mut self, sql: &str, params: &[Param]) -> Result<Vec<Row>, SqlError> {
        match &mut self.inner {
            TxInner::Sqlite(tx) => tx.query(sql, params).await,
            TxInner::Postgres(tx) => tx.query(sql, params).await,
        }
    }

    /// Runs one statement; gives the number of rows it touched.
    pub async fn execute(&mut self, sql: &str, params: &[Param]) -> Result<u64, SqlError> {
        match &mut self.inner {
            TxInner::Sqlite(tx) => tx.execute(sql, params).await,
            TxInner::Postgres(tx) => tx.execute(sql, params).await,
        }
    }

    /// Keeps every other transaction that locks the same name out until this one ends: an advisory lock on
    /// PostgreSQL; nothing on SQLite, where a writing transaction excludes all others already.
    pub async fn lock(&mut self, name: &str) -> Result<(), SqlError> {
        match &mut self.inner {
            TxInner::Sqlite(_) => Ok(()),
            TxInner::Postgres(tx) => tx.lock(name).await,
        }
    }

    /// The same without waiting: false where another transaction has it. Always true on SQLite.
    pub async fn try_lock(&mut self, name: &str) -> Result<bool, SqlError> {
        match &mut self.inner {
            TxInner::Sqlite(_) => Ok(true),
            TxInner::Postgres(tx) => tx.try_lock(name).await,
        }
    }

    /// Commits: on return it is on stable storage (unless the database was opened otherwise). After an error the
    /// outcome is unknown when the error is transient; effects must be harmless to repeat.
    pub async fn commit(self) -> Result<(), SqlError> {
        match self.inner {
            TxInner::Sqlite(tx) => tx.commit().await,
            TxInner::Postgres(tx) => tx.commit().await,
        }
    }
}
