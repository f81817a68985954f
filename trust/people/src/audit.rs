//! Who did what with accounts, keys and projects. Names and numbers only: no addresses, no secrets, no payloads.

use candor_meta::{SqlError, params};

use crate::People;

impl People {
    /// Writes a line of the audit.
    pub async fn audit(&self, actor: &str, action: &str, target: &str) -> Result<(), SqlError> {
        let now = self.inner.clock.now();
        self.inner
            .database
            .execute(
                "INSERT INTO people_audit (at, actor, action, target) VALUES (?, ?, ?, ?)",
                params![now.0, actor, action, target],
            )
            .await?;
        Ok(())
    }
}
