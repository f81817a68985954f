//! The table of bridges: what each was told. How far they are stands at the target alone.

use candor_meta::{Database, Migration, SqlError, params};
use candor_model::{ProjectId, Timestamp};

use super::spec::Spec;

pub(super) const MIGRATIONS: &[Migration] = &[Migration {
    owner: "streams_bridges",
    version: 1,
    sql: "
CREATE TABLE stream_bridge (
    project BIGINT NOT NULL,
    name TEXT NOT NULL,
    id TEXT NOT NULL,
    spec TEXT NOT NULL,
    secret BLOB NOT NULL,
    is_paused BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (project, name)
);
",
}];

/// A bridge as it is kept.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub project: ProjectId,
    pub spec: Spec,
    /// Of its group and its transactions.
    pub id: String,
    /// The password, sealed; empty where there is none.
    pub secret: Vec<u8>,
    pub is_paused: bool,
    pub created_at: Timestamp,
}

/// All of them. One whose description this version cannot read is left where it is, and said.
pub(super) async fn load(database: &Database) -> Result<Vec<Stored>, SqlError> {
    let sql = "SELECT project, name, id, spec, secret, is_paused, created_at FROM stream_bridge";
    let mut all = Vec::new();
    for row in database.query(sql, &[]).await? {
        let Ok(spec) = serde_json::from_str::<Spec>(row.text(3)?) else {
            tracing::error!(name = row.text(1)?, "a bridge is described as this version does not know");
            continue;
        };
        all.push(Stored {
            project: ProjectId(row.int(0)?),
            spec,
            id: row.text(2)?.to_owned(),
            secret: row.blob(4)?.to_vec(),
            is_paused: row.flag(5)?,
            created_at: Timestamp(row.int(6)?),
        });
    }
    Ok(all)
}

pub(super) async fn insert(database: &Database, bridge: &Stored) -> Result<(), SqlError> {
    let spec = serde_json::to_string(&bridge.spec).unwrap_or_default();
    database
        .execute(
            "INSERT INTO stream_bridge (project, name, id, spec, secret, is_paused, created_at) \
             VALUES (?, ?, ?, ?, ?, ?, ?)",
            params![
                bridge.project.0,
                bridge.spec.name.as_str(),
                bridge.id.as_str(),
                spec,
                bridge.secret.clone(),
                bridge.is_paused,
                bridge.created_at.0
            ],
        )
        .await?;
    Ok(())
}

pub(super) async fn change(database: &Database, bridge: &Stored) -> Result<(), SqlError> {
    let spec = serde_json::to_string(&bridge.spec).unwrap_or_default();
    let sql = "UPDATE stream_bridge SET spec = ?, secret = ? WHERE project = ? AND name = ?";
    let name = bridge.spec.name.as_str();
    database.execute(sql, params![spec, bridge.secret.clone(), bridge.project.0, name]).await?;
    Ok(())
}

pub(super) async fn pause(
    database: &Database,
    project: ProjectId,
    name: &str,
    paused: bool,
) -> Result<(), SqlError> {
    let sql = "UPDATE stream_bridge SET is_paused = ? WHERE project = ? AND name = ?";
    database.execute(sql, params![paused, project.0, name]).await?;
    Ok(())
}

pub(super) async fn delete(database: &Database, project: ProjectId, name: &str) -> Result<(), SqlError> {
    let sql = "DELETE FROM stream_bridge WHERE project = ? AND name = ?";
    database.execute(sql, params![project.0, name]).await?;
    Ok(())
}

pub(super) async fn forget(database: &Database, project: ProjectId) -> Result<(), SqlError> {
    database.execute("DELETE FROM stream_bridge WHERE project = ?", params![project.0]).await?;
    Ok(())
}
