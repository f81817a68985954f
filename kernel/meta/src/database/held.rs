//! A lock that lasts as long as a connection: who of several processes may serve from one database.

use super::{Database, Engine, Param, SqlError, Tx};

/// Settings of the connection that holds: it is idle for good, and a machine that vanished without a word must not
/// keep the lock for the two hours that TCP takes by default.
const PATIENT: [&str; 4] = [
    "SET LOCAL idle_in_transaction_session_timeout = 0",
    "SET LOCAL tcp_keepalives_idle = 5",
    "SET LOCAL tcp_keepalives_interval = 2",
    "SET LOCAL tcp_keepalives_count = 3",
];

/// A lock that is held until this is dropped, or its connection to the database is lost.
pub struct Held {
    /// None on SQLite, where the folder's lock has kept others out already.
    tx: Option<Tx>,
    backend: Option<i64>,
}

impl Database {
    /// Takes a lock that no other process of this schema holds; none where one does. It takes one connection of the
    /// pool.
    pub async fn hold(&self, name: &str) -> Result<Option<Held>, SqlError> {
        if self.engine() == Engine::Sqlite {
            return Ok(Some(Held { tx: None, backend: None }));
        }
        let mut tx = self.begin().await?;
        for setting in PATIENT {
            tx.execute(setting, &[]).await?;
        }
        let rows = tx.query("SELECT CAST(pg_backend_pid() AS BIGINT)", &[]).await?;
        let backend = rows.first().map(|row| row.int(0)).transpose()?;
        Ok(tx.try_lock(name).await?.then_some(Held { tx: Some(tx), backend }))
    }

    /// The server process ([`Held::backend`]) that holds the lock of that name; none where nobody does, and on SQLite.
    pub async fn holder(&self, name: &str) -> Result<Option<i64>, SqlError> {
        if self.engine() == Engine::Sqlite {
            return Ok(None);
        }
        let sql = "SELECT CAST(pid AS BIGINT) FROM pg_locks
                   WHERE locktype = 'advisory' AND granted
                     AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
                     AND ((classid::bigint << 32) | objid::bigint)
                         = hashtextextended(current_setting('search_path') || ?, 0)";
        let rows = self.query(sql, &[Param::from(name)]).await?;
        rows.first().map(|row| row.int(0)).transpose()
    }
}

impl Held {
    /// The server process that serves the connection; none on SQLite.
    pub fn backend(&self) -> Option<i64> {
        self.backend
    }

    /// Asks the database whether it is held still: an error says that the connection is lost, and the lock with it.
    pub async fn check(&mut self) -> Result<(), SqlError> {
        match &mut self.tx {
            Some(tx) => tx.query("SELECT 1", &[]).await.map(drop),
            None => Ok(()),
        }
    }
}
