//! A lock that lasts as long as a connection: who of several processes may serve from one database.

use super::{Database, Engine, SqlError, Tx};

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
}

impl Database {
    /// Takes a lock that no other process of this schema holds; none where one does. It takes one connection of the
    /// pool.
    pub async fn hold(&self, name: &str) -> Result<Option<Held>, SqlError> {
        if self.engine() == Engine::Sqlite {
            return Ok(Some(Held { tx: None }));
        }
        let mut tx = self.begin().await?;
        for setting in PATIENT {
            tx.execute(setting, &[]).await?;
        }
        Ok(tx.try_lock(name).await?.then_some(Held { tx: Some(tx) }))
    }
}

impl Held {
    /// Asks the database whether it is held still: an error says that the connection is lost, and the lock with it.
    pub async fn check(&mut self) -> Result<(), SqlError> {
        match &mut self.tx {
            Some(tx) => tx.query("SELECT 1", &[]).await.map(drop),
            None => Ok(()),
        }
    }
}
