//! One change of the catalog: a transaction that makes one snapshot.

use candor_meta::{Param, SqlError, Tx, params};
use candor_model::{Offset, Partition, ProjectId, Timestamp};

use super::{Catalog, moment, schema_folder, take_intent};
use crate::LakeError;
use crate::columns::{CatalogColumn, Columns};
use crate::encode::Summary;
use crate::name::{STREAM_FOLDER, TableName, topic_folder};
use crate::pin::Bound;

/// The advisory lock under which snapshots are made.
pub(super) const WRITER: &str = "candor_lake";

/// A stored file that a change adds.
#[derive(Clone)]
pub(crate) struct NewFile {
    /// Relative to its table's folder.
    pub(crate) path: String,
    pub(crate) length: u64,
    pub(crate) footer: u64,
    pub(crate) raw_bytes: u64,
    /// The day of its rows' arrival, days since the epoch.
    pub(crate) day: i64,
    pub(crate) summary: Summary,
}

/// What kind of change it is, in DuckLake's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChangeKind {
    /// New rows.
    Insert,
    /// The same rows in other files.
    Merge,
    /// Rows that are no more.
    Delete,
}

/// A change of one table.
pub(crate) struct Change {
    pub(crate) project: ProjectId,
    pub(crate) name: TableName,
    /// None for a table that is to be made.
    pub(crate) table: Option<i64>,
    /// All columns, ids assigned.
    pub(crate) columns: Columns,
    /// Those that the catalog does not have yet.
    pub(crate) new_columns: Vec<CatalogColumn>,
    pub(crate) add: Vec<NewFile>,
    /// Files that end. All must still be live, and for a merge none denied.
    pub(crate) remove: Vec<i64>,
    /// Partition, where the table stood (none: nowhere yet), where it stands now.
    pub(crate) positions: Vec<(Partition, Option<Offset>, Offset)>,
    pub(crate) kind: ChangeKind,
}

/// What a change came to.
#[derive(Debug, Clone)]
pub(crate) struct Done {
    pub(crate) snapshot: i64,
    /// A table's id and the ids of the files added, in the order of the changes.
    pub(crate) tables: Vec<(i64, Vec<i64>)>,
    /// Rows that are no more, by project and table.
    pub(super) gone: Vec<(ProjectId, TableName, u64)>,
}

/// Where the catalog stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head {
    pub(super) snapshot: i64,
    pub(super) schema_version: i64,
    next_catalog_id: i64,
    next_file_id: i64,
}

/// The newest snapshot.
pub(super) async fn head(tx: &mut Tx) -> Result<Head, LakeError> {
    let rows = tx
        .query(
            "SELECT snapshot_id, schema_version, next_catalog_id, next_file_id FROM ducklake_snapshot
             ORDER BY snapshot_id DESC LIMIT 1",
            &[],
        )
        .await?;
    let row = rows.first().ok_or_else(|| LakeError::Inconsistent("no snapshot at all".into()))?;
    Ok(Head {
        snapshot: row.int(0)?,
        schema_version: row.int(1)?,
        next_catalog_id: row.int(2)?,
        next_file_id: row.int(3)?,
    })
}

/// The statements of a catalog's first snapshot, which makes the schema `main`.
pub(super) fn first_snapshot(
    id: i64,
    now: Timestamp,
    uuid: &str,
    folder: &str,
) -> [(&'static str, Vec<Param>); 4] {
    let now = moment(now.0).unwrap_or_default();
    [
        ("INSERT INTO ducklake_snapshot VALUES (?, ?, 0, 1, 0)", params![id, now].to_vec()),
        (
            "INSERT INTO ducklake_snapshot_changes VALUES (?, 'created_schema:\"main\"', NULL, NULL, NULL)",
            params![id].to_vec(),
        ),
        (
            "INSERT INTO ducklake_schema VALUES (0, ?, ?, NULL, 'main', ?, ?)",
            params![uuid, id, folder, true].to_vec(),
        ),
        ("INSERT INTO ducklake_schema_versions VALUES (?, 0, NULL)", params![id].to_vec()),
    ]
}

impl Catalog {
    /// Makes one snapshot of these changes. Where the answer of the commit is lost, asks the catalog what became of
    /// it, until it answers: the caller is never left with files that it believes lost and readers see.
    pub(crate) async fn commit(
        &self,
        changes: &[Change],
        now: Timestamp,
        uuid: &(dyn Fn() -> String + Sync),
    ) -> Result<Done, LakeError> {
        let mut tx = self.database.begin().await?;
        tx.lock(WRITER).await?;
        let done = apply(&mut tx, changes, now, uuid).await?;
        if let Err(lost) = tx.commit().await
            && !self.outcome(&done).await
        {
            return Err(lost.into());
        }
        self.note_gone(&done.gone);
        Ok(done)
    }
}

pub(super) async fn insert_snapshot(
    tx: &mut Tx,
    head: Head,
    made: &str,
    now: Timestamp,
) -> Result<(), SqlError> {
    tx.execute(
        "INSERT INTO ducklake_snapshot VALUES (?, ?, ?, ?, ?)",
        params![
            head.snapshot,
            moment(now.0).unwrap_or_default(),
            head.schema_version,
            head.next_catalog_id,
            head.next_file_id
        ],
    )
    .await?;
    tx.execute(
        "INSERT INTO ducklake_snapshot_changes VALUES (?, ?, 'candor', NULL, NULL)",
        params![head.snapshot, made],
    )
    .await?;
    Ok(())
}

async fn apply(
    tx: &mut Tx,
    changes: &[Change],
    now: Timestamp,
    uuid: &(dyn Fn() -> String + Sync),
) -> Result<Done, LakeError> {
    let mut head = head(tx).await?;
    head.snapshot += 1;
    let mut made = Vec::new();
    let mut altered = Vec::new();
    let mut tables = Vec::new();
    let mut gone = Vec::new();
    for change in changes {
        let table = match change.table {
            Some(table) => {
                if !change.new_columns.is_empty() {
                    made.push(format!("altered_table:{table}"));
                    altered.push(table);
                }
                table
            }
            None => {
                let table = create_table(tx, &mut head, change, uuid, &mut made).await?;
                altered.push(table);
                table
            }
        };
        if change.table.is_some() {
            end_columns(tx, table, head.snapshot, &change.new_columns).await?;
        }
        insert_columns(tx, table, head.snapshot, &change.new_columns).await?;
        let (lost_rows, lost_bytes) = end_files(tx, table, head.snapshot, change).await?;
        let (rows, bytes, ids) = insert_files(tx, table, &mut head, change).await?;
        tx.execute(
            "UPDATE ducklake_table_stats SET record_count = record_count + ?, next_row_id = next_row_id + ?,
                file_size_bytes = file_size_bytes + ? WHERE table_id = ?",
            params![rows - lost_rows, rows, bytes - lost_bytes, table],
        )
        .await?;
        // The pair of the row count: a merge neither loses nor invents rows.
        if change.kind == ChangeKind::Merge && rows != lost_rows {
            return Err(LakeError::Inconsistent(format!("a merge of {lost_rows} rows made {rows}")));
        }
        if change.kind == ChangeKind::Delete
            && let Some(less) = u64::try_from(lost_rows - rows).ok().filter(|less| *less > 0)
        {
            gone.push((change.project, change.name.clone(), less));
        }
        move_positions(tx, change).await?;
        if change.add.is_empty() && change.remove.is_empty() {
            tables.push((table, ids));
            continue;
        }
        made.push(match change.kind {
            ChangeKind::Insert => format!("inserted_into_table:{table}"),
            ChangeKind::Merge => format!("merge_adjacent:{table}"),
            ChangeKind::Delete => format!("deleted_from_table:{table}"),
        });
        tables.push((table, ids));
    }
    if !altered.is_empty() {
        head.schema_version += 1;
        for table in altered {
            tx.execute(
                "INSERT INTO ducklake_schema_versions VALUES (?, ?, ?)",
                params![head.snapshot, head.schema_version, table],
            )
            .await?;
        }
    }
    insert_snapshot(tx, head, &made.join(","), now).await?;
    Ok(Done { snapshot: head.snapshot, tables, gone })
}

async fn create_table(
    tx: &mut Tx,
    head: &mut Head,
    change: &Change,
    uuid: &(dyn Fn() -> String + Sync),
    made: &mut Vec<String>,
) -> Result<i64, LakeError> {
    let (name, folder) = schema_of(change.project, &change.name);
    let rows = tx
        .query(
            "SELECT schema_id FROM ducklake_schema WHERE schema_name = ? AND end_snapshot IS NULL",
            params![name.as_str()],
        )
        .await?;
    let schema = match rows.first() {
        Some(row) => row.int(0)?,
        None => {
            let id = head.next_catalog_id;
            head.next_catalog_id += 1;
            tx.execute(
                "INSERT INTO ducklake_schema VALUES (?, ?, ?, NULL, ?, ?, ?)",
                params![id, uuid(), head.snapshot, name.as_str(), folder.as_str(), true],
            )
            .await?;
            made.push(format!("created_schema:\"{name}\""));
            id
        }
    };
    let id = head.next_catalog_id;
    head.next_catalog_id += 1;
    let (table, folder) = table_of(&change.name);
    tx.execute(
        "INSERT INTO ducklake_table VALUES (?, ?, ?, NULL, ?, ?, ?, ?)",
        params![id, uuid(), head.snapshot, schema, table.as_str(), folder.as_str(), true],
    )
    .await?;
    tx.execute("INSERT INTO ducklake_table_stats VALUES (?, 0, 0, 0)", params![id]).await?;
    tx.execute(
        "INSERT INTO candor_lake_table (table_id, project, signal) VALUES (?, ?, ?)",
        params![id, change.project.0, change.name.stored()],
    )
    .await?;
    made.push(format!("created_table:\"{name}\".\"{table}\""));
    Ok(id)
}

/// A project's schema for such a table, and its folder. Topics have one of their own: one may be called `logs`.
pub(super) fn schema_of(project: ProjectId, name: &TableName) -> (String, String) {
    match name {
        TableName::Signal(_) => (format!("p{project}"), schema_folder(project)),
        TableName::Stream(_) => {
            (format!("p{project}_stream"), format!("{}{STREAM_FOLDER}", schema_folder(project)))
        }
    }
}

/// A table's name in its schema, and its folder below the schema's.
fn table_of(name: &TableName) -> (String, String) {
    match name {
        TableName::Signal(signal) => (signal.name().to_owned(), name.folder()),
        TableName::Stream(topic) => (topic.0.clone(), topic_folder(topic)),
    }
}

/// Ends what stood for columns that get another type: they keep their ids, by which files have them.
async fn end_columns(
    tx: &mut Tx,
    table: i64,
    snapshot: i64,
    columns: &[CatalogColumn],
) -> Result<(), SqlError> {
    for column in columns {
        tx.execute(
            "UPDATE ducklake_column SET end_snapshot = ?
             WHERE table_id = ? AND column_id = ? AND end_snapshot IS NULL",
            params![snapshot, table, column.id],
        )
        .await?;
    }
    Ok(())
}

/// Adds rows of `ducklake_column`.
pub(crate) async fn insert_columns(
    tx: &mut Tx,
    table: i64,
    snapshot: i64,
    columns: &[CatalogColumn],
) -> Result<(), SqlError> {
    for column in columns {
        let nested = matches!(column.kind.as_str(), "map" | "list");
        tx.execute(
            "INSERT INTO ducklake_column VALUES (?, ?, NULL, ?, ?, ?, ?, NULL, 'NULL', ?, ?, ?, 'duckdb')",
            params![
                column.id,
                snapshot,
                table,
                column.order,
                column.name.as_str(),
                column.kind.as_str(),
                true,
                column.parent,
                if nested { "" } else { "literal" }
            ],
        )
        .await?;
    }
    Ok(())
}

/// Ends the files that the change removes; gives their rows and bytes.
async fn end_files(tx: &mut Tx, table: i64, snapshot: i64, change: &Change) -> Result<(i64, i64), LakeError> {
    let (mut rows, mut bytes) = (0, 0);
    for id in &change.remove {
        let found = tx
            .query(
                "SELECT record_count, file_size_bytes, path FROM ducklake_data_file
                 WHERE data_file_id = ? AND table_id = ? AND end_snapshot IS NULL",
                params![*id, table],
            )
            .await?;
        let Some(row) = found.first() else {
            return Err(LakeError::Inconsistent(format!("file {id} is no longer live")));
        };
        rows += row.int(0)?;
        bytes += row.int(1)?;
        // Rows that were denied meanwhile must not come back in what takes its place.
        if !change.add.is_empty() {
            let path = format!("{}{}{}", schema_folder(change.project), change.name.folder(), row.text(2)?);
            let denied =
                tx.query("SELECT 1 FROM candor_lake_denied WHERE path = ?", params![path.as_str()]).await?;
            if !denied.is_empty() {
                return Err(LakeError::Inconsistent(format!("file {id} was denied while it was rewritten")));
            }
        }
        tx.execute(
            "UPDATE ducklake_data_file SET end_snapshot = ? WHERE data_file_id = ?",
            params![snapshot, *id],
        )
        .await?;
    }
    Ok((rows, bytes))
}

/// Adds the files of a change; gives their rows, bytes and ids.
async fn insert_files(
    tx: &mut Tx,
    table: i64,
    head: &mut Head,
    change: &Change,
) -> Result<(i64, i64, Vec<i64>), LakeError> {
    let (mut rows, mut bytes) = (0, 0);
    let mut ids = Vec::with_capacity(change.add.len());
    if change.add.is_empty() {
        return Ok((rows, bytes, ids));
    }
    let found =
        tx.query("SELECT next_row_id FROM ducklake_table_stats WHERE table_id = ?", params![table]).await?;
    let mut next_row = match found.first() {
        Some(row) => row.int(0)?,
        None => return Err(LakeError::Inconsistent(format!("table {table} has no statistics"))),
    };
    for file in &change.add {
        let id = head.next_file_id;
        head.next_file_id += 1;
        insert_file(tx, id, table, head.snapshot, next_row, file).await?;
        let summary = &file.summary;
        tx.execute(
            "INSERT INTO candor_lake_file (data_file_id, table_id, signal, ingest_day, time_min, time_max,
                ingested_min, ingested_max, raw_bytes) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            params![
                id,
                table,
                change.name.stored(),
                file.day,
                summary.timestamps.0,
                summary.timestamps.1,
                summary.ingested.0,
                summary.ingested.1,
                file.raw_bytes as i64
            ],
        )
        .await?;
        insert_stats(tx, id, table, file, &change.columns).await?;
        let full = format!("{}{}{}", schema_folder(change.project), change.name.folder(), file.path);
        take_intent(tx, &full).await?;
        rows += summary.rows as i64;
        bytes += file.length as i64;
        next_row += summary.rows as i64;
        ids.push(id);
    }
    Ok((rows, bytes, ids))
}

/// Adds a row of `ducklake_data_file`.
async fn insert_file(
    tx: &mut Tx,
    id: i64,
    table: i64,
    snapshot: i64,
    first_row: i64,
    file: &NewFile,
) -> Result<(), SqlError> {
    tx.execute(
        "INSERT INTO ducklake_data_file VALUES
            (?, ?, ?, NULL, NULL, ?, ?, 'parquet', ?, ?, ?, ?, NULL, NULL, NULL, NULL)",
        params![
            id,
            table,
            snapshot,
            file.path.as_str(),
            true,
            file.summary.rows as i64,
            file.length as i64,
            file.footer as i64,
            first_row
        ],
    )
    .await?;
    Ok(())
}

/// Adds the file's rows of `ducklake_file_column_stats`: one for each column that has bounds, in one statement.
async fn insert_stats(
    tx: &mut Tx,
    file: i64,
    table: i64,
    new: &NewFile,
    columns: &Columns,
) -> Result<(), SqlError> {
    let mut values: Vec<Param> = Vec::new();
    let mut places = Vec::new();
    for stats in new.summary.columns.iter() {
        let Some(ids) = columns.ids.get(stats.column) else { continue };
        let is_time = columns
            .schema
            .field_with_name(stats.column)
            .is_ok_and(|field| matches!(field.data_type(), arrow::datatypes::DataType::Timestamp(_, _)));
        let text = |bound: &Option<Bound>| match bound {
            Some(Bound::Int(value)) if is_time => moment(*value),
            Some(Bound::Int(value)) => Some(value.to_string()),
            Some(Bound::Text(value)) => Some(value.to_string()),
            None => None,
        };
        places.push("(?, ?, ?, NULL, ?, ?, ?, ?, NULL, NULL)");
        values.extend_from_slice(params![
            file,
            table,
            ids.id,
            (stats.rows - stats.nulls) as i64,
            stats.nulls as i64,
            text(&stats.min),
            text(&stats.max)
        ]);
    }
    if !places.is_empty() {
        let sql = format!("INSERT INTO ducklake_file_column_stats VALUES {}", places.join(", "));
        tx.execute(&sql, &values).await?;
    }
    Ok(())
}

/// Moves positions, each from exactly where it was left: whoever else moved it is a second writer.
async fn move_positions(tx: &mut Tx, change: &Change) -> Result<(), LakeError> {
    let name = change.name.stored();
    for (partition, from, to) in &change.positions {
        let (project, part, to) = (change.project.0, i64::from(partition.0), to.0 as i64);
        let touched = match from {
            None => {
                tx.execute(
                    "INSERT INTO candor_lake_position (project, signal, part, next_offset)
                     VALUES (?, ?, ?, ?) ON CONFLICT (project, signal, part) DO NOTHING",
                    params![project, name.as_str(), part, to],
                )
                .await?
            }
            Some(from) => {
                tx.execute(
                    "UPDATE candor_lake_position SET next_offset = ?
                     WHERE project = ? AND signal = ? AND part = ? AND next_offset = ?",
                    params![to, project, name.as_str(), part, from.0 as i64],
                )
                .await?
            }
        };
        if touched != 1 {
            return Err(LakeError::Inconsistent(format!(
                "the position of p{project}.{name}/{part} was moved by another writer"
            )));
        }
    }
    Ok(())
}
