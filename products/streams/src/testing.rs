//! What tests of this crate share: a database of each engine.

use candor_meta::Database;

/// A database for one test, and what must live as long.
pub(crate) struct Bed {
    /// The database.
    pub database: Database,
    _folder: Option<tempfile::TempDir>,
}

impl Bed {
    pub async fn sqlite() -> Bed {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open_sqlite(&folder.path().join("meta.db"), &[]).await.unwrap();
        Bed { database, _folder: Some(folder) }
    }

    /// None, and a word on standard error, where PostgreSQL is not installed.
    pub async fn postgres(test: &str) -> Option<Bed> {
        let server = candor_testbed::postgres::server(test)?;
        let database = Database::open_postgres(&server.url(), &server.fresh_schema(), &[]).await.unwrap();
        Some(Bed { database, _folder: None })
    }
}

/// Makes two tests of an async function that takes a [`Bed`].
macro_rules! on_both_engines {
    ($($test:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test($crate::testing::Bed::sqlite().await).await;
            })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                if let Some(bed) = $crate::testing::Bed::postgres(stringify!($test)).await {
                    super::$test(bed).await;
                }
            })*
        }
    };
}

pub(crate) use on_both_engines;
