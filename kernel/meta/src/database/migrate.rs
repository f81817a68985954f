//! The migration runner: numbered steps an owner, each in a transaction with its mark.

use std::collections::BTreeMap;

use super::{Database, Engine, SqlError, sql};
use crate::params;

/// A step of a crate's schema. Steps are numbered from 1 and never change once released.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    /// Whose tables: the crate's name.
    pub owner: &'static str,
    /// The step.
    pub version: i64,
    /// Statements, separated by `;`, that both engines take. For PostgreSQL `BLOB` is rewritten to `BYTEA`,
    /// `INTEGER` to `BIGINT`, `REAL` to `DOUBLE PRECISION`, and `INTEGER PRIMARY KEY AUTOINCREMENT` to an identity
    /// column.
    pub sql: &'static str,
}

const MARKS: &str = "CREATE TABLE IF NOT EXISTS candor_migration (
    owner TEXT NOT NULL, version BIGINT NOT NULL, PRIMARY KEY (owner, version))";

pub(super) async fn run(database: &Database, migrations: &[Migration]) -> Result<(), SqlError> {
    let mut owners: BTreeMap<&str, Vec<&Migration>> = BTreeMap::new();
    for migration in migrations {
        owners.entry(migration.owner).or_default().push(migration);
    }
    for steps in owners.values_mut() {
        steps.sort_by_key(|step| step.version);
    }
    for (owner, steps) in owners {
        // One transaction an owner: a step that fails leaves the schema as it was. On PostgreSQL the lock keeps
        // nodes that start together from running a step twice.
        let mut tx = database.begin().await?;
        tx.lock("candor_migration").await?;
        tx.execute(MARKS, &[]).await?;
        let rows =
            tx.query("SELECT max(version) FROM candor_migration WHERE owner = ?", params![owner]).await?;
        let found = rows.first().map(|row| row.opt_int(0)).transpose()?.flatten().unwrap_or(0);
        let known = steps.last().map_or(0, |step| step.version);
        if found > known {
            return Err(SqlError::Newer { found, known });
        }
        for step in steps.iter().filter(|step| step.version > found) {
            for statement in sql::statements(step.sql) {
                let statement = match database.engine() {
                    Engine::Sqlite => statement,
                    Engine::Postgres => sql::schema_for_postgres(&statement),
                };
                tx.execute(&statement, &[]).await?;
            }
            tx.execute(
                "INSERT INTO candor_migration (owner, version) VALUES (?, ?)",
                params![owner, step.version],
            )
            .await?;
        }
        tx.commit().await?;
    }
    Ok(())
}
