//! Tables that end: those of a deleted project, and that of a deleted topic.

use candor_meta::{SqlError, Tx, params};
use candor_model::{ProjectId, Timestamp};

use super::Catalog;
use super::commit::{self, Head, insert_snapshot};
use crate::LakeError;
use crate::name::TableName;

impl Catalog {
    /// Ends a project: its tables, columns and files are in no later snapshot, and its log is not read again.
    pub(crate) async fn drop_project(&self, project: ProjectId, now: Timestamp) -> Result<i64, LakeError> {
        let mut tx = self.database.begin().await?;
        tx.lock(commit::WRITER).await?;
        let head = commit::head(&mut tx).await?;
        let snapshot = head.snapshot + 1;
        let tables =
            tx.query("SELECT table_id FROM candor_lake_table WHERE project = ?", params![project.0]).await?;
        let mut made = Vec::new();
        for row in &tables {
            made.push(end_table(&mut tx, row.int(0)?, snapshot).await?);
        }
        let (main, stream) = (format!("p{project}"), format!("p{project}_stream"));
        let schemas = tx
            .query(
                "SELECT schema_id FROM ducklake_schema WHERE schema_name IN (?, ?) AND end_snapshot IS NULL",
                params![main.as_str(), stream.as_str()],
            )
            .await?;
        for row in &schemas {
            let id = row.int(0)?;
            tx.execute(
                "UPDATE ducklake_schema SET end_snapshot = ? WHERE schema_id = ?",
                params![snapshot, id],
            )
            .await?;
            made.push(format!("dropped_schema:{id}"));
        }
        tx.execute("DELETE FROM candor_lake_position WHERE project = ?", params![project.0]).await?;
        tx.execute(
            "INSERT INTO candor_lake_dropped (project) VALUES (?) ON CONFLICT (project) DO NOTHING",
            params![project.0],
        )
        .await?;
        let snapshot = note(&mut tx, head, &made, now).await?;
        tx.commit().await?;
        Ok(snapshot)
    }

    /// Ends a table, and forgets how far it came. Gives the newest snapshot.
    pub(crate) async fn drop_table(
        &self,
        project: ProjectId,
        name: &TableName,
        now: Timestamp,
    ) -> Result<i64, LakeError> {
        let mut tx = self.database.begin().await?;
        tx.lock(commit::WRITER).await?;
        let head = commit::head(&mut tx).await?;
        let stored = name.stored();
        let tables = tx
            .query(
                "SELECT table_id FROM candor_lake_table WHERE project = ? AND signal = ?",
                params![project.0, stored.as_str()],
            )
            .await?;
        let mut made = Vec::new();
        for row in &tables {
            made.push(end_table(&mut tx, row.int(0)?, head.snapshot + 1).await?);
        }
        tx.execute(
            "DELETE FROM candor_lake_position WHERE project = ? AND signal = ?",
            params![project.0, stored.as_str()],
        )
        .await?;
        let snapshot = note(&mut tx, head, &made, now).await?;
        tx.commit().await?;
        Ok(snapshot)
    }
}

/// Ends a table with its columns and files; gives what the snapshot says of it.
async fn end_table(tx: &mut Tx, table: i64, snapshot: i64) -> Result<String, SqlError> {
    for sql in [
        "UPDATE ducklake_data_file SET end_snapshot = ? WHERE table_id = ? AND end_snapshot IS NULL",
        "UPDATE ducklake_column SET end_snapshot = ? WHERE table_id = ? AND end_snapshot IS NULL",
        "UPDATE ducklake_table SET end_snapshot = ? WHERE table_id = ? AND end_snapshot IS NULL",
    ] {
        tx.execute(sql, params![snapshot, table]).await?;
    }
    for sql in [
        "DELETE FROM ducklake_table_stats WHERE table_id = ?",
        "DELETE FROM candor_lake_table WHERE table_id = ?",
    ] {
        tx.execute(sql, params![table]).await?;
    }
    Ok(format!("dropped_table:{table}"))
}

/// Makes the snapshot in which that is so; the newest there is where nothing ended.
async fn note(tx: &mut Tx, head: Head, made: &[String], now: Timestamp) -> Result<i64, SqlError> {
    if made.is_empty() {
        return Ok(head.snapshot);
    }
    let mut next = head;
    next.snapshot += 1;
    next.schema_version += 1;
    tx.execute(
        "INSERT INTO ducklake_schema_versions VALUES (?, ?, NULL)",
        params![next.snapshot, next.schema_version],
    )
    .await?;
    insert_snapshot(tx, next, &made.join(","), now).await?;
    Ok(next.snapshot)
}
