//! What the catalog is asked for.

use std::collections::HashMap;
use std::sync::Arc;

use candor_meta::{Row, SqlError, Tx, params};
use candor_model::{ProjectId, Signal};

use super::{Catalog, key_of, moment, schema_folder};
use crate::LakeError;
use crate::columns::{BOUNDED, CatalogColumn, Columns, time_type};
use crate::config::DAY_US;
use crate::name::TableName;
use crate::pin::{Bound, ColumnStats, DataFile};

/// A table's files at a snapshot, and its columns.
pub(crate) struct Files {
    pub(crate) columns: Arc<Columns>,
    pub(crate) files: Vec<DataFile>,
}

/// A live file that a merge may take.
#[derive(Debug, Clone)]
pub(crate) struct Mergeable {
    pub(crate) id: i64,
    /// Relative to the table's folder.
    pub(crate) path: String,
    pub(crate) bytes: u64,
    pub(crate) raw_bytes: u64,
    pub(crate) rows: u64,
    pub(crate) day: i64,
}

/// A live file with rows that may be past their time.
#[derive(Debug, Clone)]
pub(crate) struct Aged {
    pub(crate) project: ProjectId,
    pub(crate) table: i64,
    pub(crate) file: i64,
    pub(crate) name: TableName,
    /// When its oldest and its newest row came, µs.
    pub(crate) came: (i64, i64),
}

impl Aged {
    /// None where the name is of a later release.
    fn from_row(row: &Row) -> Result<Option<Aged>, LakeError> {
        let Some(name) = TableName::from_stored(row.text(3)?) else { return Ok(None) };
        let (table, file, came) = (row.int(1)?, row.int(2)?, (row.int(4)?, row.int(5)?));
        Ok(Some(Aged { project: ProjectId(row.int(0)?), table, file, name, came }))
    }
}

impl Catalog {
    /// The newest snapshot.
    pub(crate) async fn head(&self) -> Result<i64, LakeError> {
        let rows = self.database.query("SELECT max(snapshot_id) FROM ducklake_snapshot", &[]).await?;
        match rows.first().map(|row| row.opt_int(0)).transpose()?.flatten() {
            Some(snapshot) => Ok(snapshot),
            None => Err(LakeError::Inconsistent("no snapshot at all".into())),
        }
    }

    /// A table's columns as of now.
    pub(crate) async fn columns(&self, name: &TableName, table: i64) -> Result<Columns, LakeError> {
        let mut tx = self.database.begin_read().await?;
        columns(&mut tx, name, table, None).await
    }

    /// A table's columns and files at a snapshot. The snapshot need not be kept any more: what is live now stays
    /// listed.
    pub(crate) async fn files(
        &self,
        project: ProjectId,
        name: &TableName,
        table: i64,
        snapshot: i64,
    ) -> Result<Files, LakeError> {
        let mut tx = self.database.begin_read().await?;
        files_at(&mut tx, project, name, table, snapshot).await
    }

    /// The same, for a snapshot that somebody named: none where it is not kept (any more).
    pub(crate) async fn files_of_snapshot(
        &self,
        project: ProjectId,
        name: &TableName,
        snapshot: i64,
    ) -> Result<Option<Files>, LakeError> {
        let mut tx = self.database.begin_read().await?;
        let kept =
            tx.query("SELECT 1 FROM ducklake_snapshot WHERE snapshot_id = ?", params![snapshot]).await?;
        if kept.is_empty() {
            return Ok(None);
        }
        let tables = tx
            .query(
                "SELECT c.table_id FROM candor_lake_table c JOIN ducklake_table t ON t.table_id = c.table_id
                 WHERE c.project = ? AND c.signal = ? AND t.begin_snapshot <= ?
                   AND (t.end_snapshot IS NULL OR t.end_snapshot > ?)",
                params![project.0, name.stored(), snapshot, snapshot],
            )
            .await?;
        let Some(table) = tables.first() else {
            return Ok(Some(Files { columns: Arc::new(Columns::new(name)), files: Vec::new() }));
        };
        let table = table.int(0)?;
        files_at(&mut tx, project, name, table, snapshot).await.map(Some)
    }

    /// The live files of a table that are smaller than `below` bytes and not denied.
    pub(crate) async fn mergeable(
        &self,
        project: ProjectId,
        name: &TableName,
        table: i64,
        below: u64,
    ) -> Result<Vec<Mergeable>, LakeError> {
        let folder = format!("{}{}", schema_folder(project), name.folder());
        let rows = self
            .database
            .query(
                "SELECT f.data_file_id, f.path, f.file_size_bytes, c.raw_bytes, f.record_count, c.ingest_day
                 FROM ducklake_data_file f JOIN candor_lake_file c ON c.data_file_id = f.data_file_id
                 WHERE f.table_id = ? AND f.end_snapshot IS NULL AND f.file_size_bytes < ?
                   AND NOT EXISTS (SELECT 1 FROM candor_lake_denied d WHERE d.path = ? || f.path)
                 ORDER BY c.ingest_day, f.file_size_bytes, f.data_file_id",
                params![table, below as i64, folder],
            )
            .await?;
        rows.iter()
            .map(|row| {
                Ok(Mergeable {
                    id: row.int(0)?,
                    path: row.text(1)?.to_owned(),
                    bytes: row.int(2)? as u64,
                    raw_bytes: row.int(3)? as u64,
                    rows: row.int(4)? as u64,
                    day: row.int(5)?,
                })
            })
            .collect()
    }

    /// Tables that have at least `count` live files of a day below `below` bytes, of days before `before`.
    pub(crate) async fn crowded(
        &self,
        count: usize,
        below: u64,
        before: i64,
    ) -> Result<Vec<(ProjectId, TableName)>, LakeError> {
        let rows = self
            .database
            .query(
                "SELECT DISTINCT t.project, t.signal FROM candor_lake_table t JOIN (
                    SELECT c.table_id AS id FROM candor_lake_file c
                    JOIN ducklake_data_file f ON f.data_file_id = c.data_file_id
                    WHERE f.end_snapshot IS NULL AND f.file_size_bytes < ? AND c.ingest_day < ?
                    GROUP BY c.table_id, c.ingest_day HAVING count(*) >= ?
                 ) crowded ON crowded.id = t.table_id",
                params![below as i64, before, count as i64],
            )
            .await?;
        let mut tables = Vec::new();
        for row in rows {
            if let Some(name) = TableName::from_stored(row.text(1)?) {
                tables.push((ProjectId(row.int(0)?), name));
            }
        }
        Ok(tables)
    }

    /// When the oldest row of each table's live files came.
    pub(crate) async fn oldest(&self) -> Result<HashMap<(ProjectId, String), i64>, LakeError> {
        let rows = self
            .database
            .query(
                "SELECT t.project, c.signal, MIN(c.ingested_min) FROM candor_lake_file c
                 JOIN ducklake_data_file f ON f.data_file_id = c.data_file_id
                 JOIN candor_lake_table t ON t.table_id = c.table_id
                 WHERE f.end_snapshot IS NULL GROUP BY t.project, c.signal",
                &[],
            )
            .await?;
        rows.iter().map(|row| Ok(((ProjectId(row.int(0)?), row.text(1)?.to_owned()), row.int(2)?))).collect()
    }

    /// Live files of a signal whose oldest row came before `cutoff`.
    pub(crate) async fn aged(&self, signal: Signal, cutoff: i64) -> Result<Vec<Aged>, LakeError> {
        let rows = self
            .database
            .query(
                "SELECT t.project, t.table_id, c.data_file_id, c.signal, c.ingested_min, c.ingested_max FROM candor_lake_file c
                 JOIN ducklake_data_file f ON f.data_file_id = c.data_file_id
                 JOIN candor_lake_table t ON t.table_id = c.table_id
                 WHERE c.signal = ? AND c.ingested_max < ? AND c.ingested_min < ? AND f.end_snapshot IS NULL",
                params![signal.name(), cutoff.saturating_add(DAY_US), cutoff],
            )
            .await?;
        rows.iter().map(Aged::from_row).filter_map(Result::transpose).collect()
    }

    /// The same of tables of streams.
    pub(crate) async fn aged_streams(&self, cutoff: i64) -> Result<Vec<Aged>, LakeError> {
        let rows = self
            .database
            .query(
                "SELECT t.project, t.table_id, c.data_file_id, c.signal, c.ingested_min, c.ingested_max FROM candor_lake_file c
                 JOIN ducklake_data_file f ON f.data_file_id = c.data_file_id
                 JOIN candor_lake_table t ON t.table_id = c.table_id
                 WHERE c.signal LIKE 'stream:%' AND c.ingested_max < ? AND c.ingested_min < ?
                 AND f.end_snapshot IS NULL",
                params![cutoff.saturating_add(DAY_US), cutoff],
            )
            .await?;
        rows.iter().map(Aged::from_row).filter_map(Result::transpose).collect()
    }

    /// The rows of the file that a kept snapshot names by this path in the project; zero for one that waits for its
    /// deletion, and none where there is none.
    pub(crate) async fn rows_of_file(
        &self,
        project: ProjectId,
        name: &TableName,
        path: &str,
    ) -> Result<Option<u64>, LakeError> {
        let live = self
            .database
            .query(
                "SELECT f.record_count FROM ducklake_data_file f JOIN candor_lake_table t ON t.table_id = f.table_id
                 WHERE f.path = ? AND t.project = ? AND t.signal = ?",
                params![path, project.0, name.stored()],
            )
            .await?;
        if let Some(row) = live.first() {
            return Ok(Some(u64::try_from(row.int(0)?).unwrap_or(0)));
        }
        let full = format!("{}{}{path}", schema_folder(project), name.folder());
        let waiting = self
            .database
            .query("SELECT 1 FROM ducklake_files_scheduled_for_deletion WHERE path = ?", params![full])
            .await?;
        Ok((!waiting.is_empty()).then_some(0))
    }
}

/// A table's columns, as of a snapshot or of now.
pub(super) async fn columns(
    tx: &mut Tx,
    name: &TableName,
    table: i64,
    snapshot: Option<i64>,
) -> Result<Columns, LakeError> {
    let at = snapshot.unwrap_or(i64::MAX);
    let rows = tx
        .query(
            "SELECT column_id, column_order, column_name, column_type, parent_column FROM ducklake_column
             WHERE table_id = ? AND begin_snapshot <= ? AND (end_snapshot IS NULL OR end_snapshot > ?)
             ORDER BY column_order",
            params![table, at, at],
        )
        .await?;
    let rows: Vec<CatalogColumn> = rows
        .iter()
        .map(|row| {
            Ok(CatalogColumn {
                id: row.int(0)?,
                order: row.int(1)?,
                name: row.text(2)?.to_owned(),
                kind: row.text(3)?.to_owned(),
                parent: row.opt_int(4)?,
            })
        })
        .collect::<Result<_, SqlError>>()?;
    Ok(Columns::from_catalog(name, &rows))
}

async fn files_at(
    tx: &mut Tx,
    project: ProjectId,
    name: &TableName,
    table: i64,
    snapshot: i64,
) -> Result<Files, LakeError> {
    let columns = columns(tx, name, table, Some(snapshot)).await?;
    let live = "f.table_id = ? AND f.begin_snapshot <= ? AND (f.end_snapshot IS NULL OR f.end_snapshot > ?)";
    let at = params![table, snapshot, snapshot];
    let stats = tx
        .query(
            &format!(
                "SELECT s.data_file_id, s.column_id, s.value_count, s.null_count, s.min_value, s.max_value
                 FROM ducklake_data_file f
                 JOIN ducklake_file_column_stats s ON s.data_file_id = f.data_file_id WHERE {live}"
            ),
            at,
        )
        .await?;
    let mut stats_of: HashMap<i64, Vec<ColumnStats>> = HashMap::new();
    let bounded = bounded_by_id(&columns);
    for row in &stats {
        if let Some((column, is_time)) = bounded.get(&row.int(1)?) {
            stats_of.entry(row.int(0)?).or_default().push(column_stats(row, column, *is_time)?);
        }
    }
    let rows = tx
        .query(
            &format!(
                "SELECT f.data_file_id, f.path, f.file_size_bytes, f.footer_size, f.record_count, c.time_min,
                    c.time_max, c.ingested_min, c.ingested_max
                 FROM ducklake_data_file f JOIN candor_lake_file c ON c.data_file_id = f.data_file_id
                 WHERE {live} ORDER BY f.data_file_id"
            ),
            at,
        )
        .await?;
    let folder = format!("{}{}", schema_folder(project), name.folder());
    let mut files = Vec::with_capacity(rows.len());
    for row in &rows {
        let id = row.int(0)?;
        files.push(DataFile {
            id,
            key: key_of(&format!("{folder}{}", row.text(1)?)),
            length: row.int(2)? as u64,
            footer: row.int(3)? as u64,
            rows: row.int(4)? as u64,
            timestamps: (row.int(5)?, row.int(6)?),
            ingested: (row.int(7)?, row.int(8)?),
            columns: stats_of.remove(&id).unwrap_or_default().into(),
        });
    }
    Ok(Files { columns: Arc::new(columns), files })
}

/// The columns with bounds by the catalog's id, and whether each is a time.
fn bounded_by_id(columns: &Columns) -> HashMap<i64, (&'static str, bool)> {
    let time = time_type();
    BOUNDED
        .into_iter()
        .filter_map(|name| {
            let is_time = columns.schema.field_with_name(name).is_ok_and(|f| *f.data_type() == time);
            Some((columns.ids.get(name)?.id, (name, is_time)))
        })
        .collect()
}

fn column_stats(row: &Row, column: &'static str, is_time: bool) -> Result<ColumnStats, SqlError> {
    let nulls = row.int(3)? as u64;
    let bound = |text: Option<&str>| {
        let text = text?;
        if is_time {
            parse_moment(text).map(Bound::Int)
        } else if is_number(column) {
            text.parse().ok().map(Bound::Int)
        } else {
            Some(Bound::Text(text.into()))
        }
    };
    Ok(ColumnStats {
        column,
        rows: row.int(2)? as u64 + nulls,
        nulls,
        min: bound(row.opt_text(4)?),
        max: bound(row.opt_text(5)?),
    })
}

fn is_number(column: &str) -> bool {
    use crate::columns::{EPOCH, OFFSET};
    [OFFSET, EPOCH, "partition", "offset", "severity_number", "duration_ns"].contains(&column)
}

/// Reads what [`moment`] writes.
fn parse_moment(text: &str) -> Option<i64> {
    let at = candor_model::EventTime::parse(text)?.micros;
    debug_assert_eq!(moment(at).as_deref(), Some(text));
    Some(at)
}
