//! Who did what with accounts, keys and projects. Names and numbers only: no addresses, no secrets, no payloads.

use candor_meta::{SqlError, params};
use candor_model::Timestamp;

use crate::People;

/// One line of the audit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// When.
    pub at: Timestamp,
    /// `user:3`, `admin`, `setup`.
    pub actor: String,
    /// `project.create`, `session.begin`, …
    pub action: String,
    /// On what: `project:4`, `user:3`.
    pub target: String,
}

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

    /// The newest lines of the audit, newest first.
    pub async fn audited(&self, limit: u32) -> Result<Vec<AuditEntry>, SqlError> {
        let rows = self
            .inner
            .database
            .query(
                "SELECT at, actor, action, target FROM people_audit ORDER BY id DESC LIMIT ?",
                params![i64::from(limit)],
            )
            .await?;
        rows.iter()
            .map(|row| {
                Ok(AuditEntry {
                    at: Timestamp(row.int(0)?),
                    actor: row.text(1)?.to_owned(),
                    action: row.text(2)?.to_owned(),
                    target: row.text(3)?.to_owned(),
                })
            })
            .collect()
    }
}
