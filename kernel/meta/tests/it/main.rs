//! Every test of `meta` runs on both engines: SQLite in a temporary folder, PostgreSQL in a schema of its own.

#![allow(clippy::unwrap_used, missing_docs)]

mod database;
mod tenancy;

use candor_meta::{Database, Migration};

/// A database for one test, and what must live as long.
pub struct Bed {
    pub database: Database,
    pub engine: Where,
}

/// How to open the same database again.
pub enum Where {
    Sqlite(tempfile::TempDir),
    Postgres { url: String, schema: String },
}

impl Where {
    pub async fn open(&self, migrations: &[Migration]) -> Result<Database, candor_meta::SqlError> {
        match self {
            Where::Sqlite(folder) => Database::open_sqlite(&folder.path().join("meta.db"), migrations).await,
            Where::Postgres { url, schema } => Database::open_postgres(url, schema, migrations).await,
        }
    }
}

impl Bed {
    pub async fn sqlite(migrations: &[Migration]) -> Bed {
        let engine = Where::Sqlite(tempfile::tempdir().unwrap());
        Bed { database: engine.open(migrations).await.unwrap(), engine }
    }

    pub async fn postgres(test: &str, migrations: &[Migration]) -> Option<Bed> {
        let server = candor_testbed::postgres::server(test)?;
        let engine = Where::Postgres { url: server.url(), schema: server.fresh_schema() };
        Some(Bed { database: engine.open(migrations).await.unwrap(), engine })
    }
}

/// Makes two tests of an async function that takes a [`Bed`].
#[macro_export]
macro_rules! on_both_engines {
    ($migrations:expr; $($test:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test($crate::Bed::sqlite($migrations).await).await;
            })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                if let Some(bed) = $crate::Bed::postgres(stringify!($test), $migrations).await {
                    super::$test(bed).await;
                }
            })*
        }
    };
}
