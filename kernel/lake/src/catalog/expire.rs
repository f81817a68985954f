//! History that ends: old snapshots, then the files that no kept snapshot names, then their bytes.

use candor_meta::params;
use candor_model::Timestamp;

use super::{Catalog, commit, moment};
use crate::LakeError;

/// A file whose bytes wait to be deleted.
#[derive(Debug, Clone)]
pub(crate) struct Doomed {
    pub(crate) id: i64,
    /// Relative to the data path.
    pub(crate) path: String,
    /// Its sidecars' paths.
    pub(crate) sidecars: Vec<String>,
}

impl Catalog {
    /// Forgets snapshots older than `cutoff` (never the newest) and schedules the files that no kept one names.
    /// Gives the ids of the files scheduled.
    pub(crate) async fn expire(&self, cutoff: Timestamp, now: Timestamp) -> Result<Vec<i64>, LakeError> {
        let (Some(cutoff), Some(now)) = (moment(cutoff.0), moment(now.0)) else { return Ok(Vec::new()) };
        // Most passes find nothing: do not queue for the writer to learn that.
        let due = self
            .database
            .query(
                "SELECT 1 FROM ducklake_snapshot WHERE snapshot_time < ?
                   AND snapshot_id < (SELECT max(snapshot_id) FROM ducklake_snapshot) LIMIT 1",
                params![cutoff.as_str()],
            )
            .await?;
        if due.is_empty() {
            return Ok(Vec::new());
        }
        let mut tx = self.database.begin().await?;
        tx.lock(commit::WRITER).await?;
        let head = commit::head(&mut tx).await?.snapshot;
        // By id, below the oldest that is young enough: a clock that was set back must not tear holes.
        let rows = tx
            .query(
                "SELECT min(snapshot_id) FROM ducklake_snapshot WHERE snapshot_time >= ?",
                params![cutoff.as_str()],
            )
            .await?;
        let oldest = rows.first().map(|row| row.opt_int(0)).transpose()?.flatten().unwrap_or(head);
        for sql in [
            "DELETE FROM ducklake_snapshot WHERE snapshot_id < ?",
            "DELETE FROM ducklake_snapshot_changes WHERE snapshot_id < ?",
        ] {
            tx.execute(sql, params![oldest]).await?;
        }
        let ended = tx
            .query(
                "SELECT f.data_file_id, s.path || t.path || f.path FROM ducklake_data_file f
                 JOIN ducklake_table t ON t.table_id = f.table_id
                 JOIN ducklake_schema s ON s.schema_id = t.schema_id
                 WHERE f.end_snapshot IS NOT NULL AND f.end_snapshot <= ?",
                params![oldest],
            )
            .await?;
        let mut scheduled = Vec::with_capacity(ended.len());
        for row in &ended {
            let id = row.int(0)?;
            tx.execute(
                "INSERT INTO ducklake_files_scheduled_for_deletion VALUES (?, ?, ?, ?)",
                params![id, row.text(1)?, true, now.as_str()],
            )
            .await?;
            for sql in [
                "DELETE FROM ducklake_file_column_stats WHERE data_file_id = ?",
                "DELETE FROM candor_lake_file WHERE data_file_id = ?",
                "DELETE FROM ducklake_data_file WHERE data_file_id = ?",
            ] {
                tx.execute(sql, params![id]).await?;
            }
            scheduled.push(id);
        }
        for sql in [
            "DELETE FROM ducklake_schema_versions WHERE table_id IN
                (SELECT table_id FROM ducklake_table WHERE end_snapshot <= ?)",
            "DELETE FROM ducklake_column WHERE end_snapshot <= ?",
            "DELETE FROM ducklake_table WHERE end_snapshot <= ?",
            "DELETE FROM ducklake_schema WHERE end_snapshot <= ?",
        ] {
            tx.execute(sql, params![oldest]).await?;
        }
        tx.commit().await?;
        Ok(scheduled)
    }

    /// Files scheduled before `cutoff`.
    pub(crate) async fn doomed(&self, cutoff: Timestamp) -> Result<Vec<Doomed>, LakeError> {
        let Some(cutoff) = moment(cutoff.0) else { return Ok(Vec::new()) };
        let rows = self
            .database
            .query(
                "SELECT data_file_id, path FROM ducklake_files_scheduled_for_deletion
                 WHERE schedule_start <= ? ORDER BY data_file_id",
                params![cutoff],
            )
            .await?;
        let mut doomed = Vec::with_capacity(rows.len());
        for row in &rows {
            let id = row.int(0)?;
            let sidecars = self
                .database
                .query("SELECT path FROM candor_lake_sidecar WHERE data_file_id = ?", params![id])
                .await?;
            let sidecars = sidecars.iter().map(|row| row.text(0).map(str::to_owned));
            doomed.push(Doomed {
                id,
                path: row.text(1)?.to_owned(),
                sidecars: sidecars.collect::<Result<_, _>>()?,
            });
        }
        Ok(doomed)
    }

    /// Forgets files whose bytes are gone.
    pub(crate) async fn buried(&self, files: &[Doomed]) -> Result<(), LakeError> {
        if files.is_empty() {
            return Ok(());
        }
        let mut tx = self.database.begin().await?;
        for file in files {
            for sql in [
                "DELETE FROM ducklake_files_scheduled_for_deletion WHERE data_file_id = ?",
                "DELETE FROM candor_lake_sidecar WHERE data_file_id = ?",
            ] {
                tx.execute(sql, params![file.id]).await?;
            }
            tx.execute("DELETE FROM candor_lake_denied WHERE path = ?", params![file.path.as_str()]).await?;
        }
        tx.commit().await?;
        Ok(())
    }
}
