//! A catalog of one project in a file of its own, for DuckDB and whatever else reads DuckLake.
//!
//! Schemas `main` and, where there are topics, `stream`; one snapshot with the number of ours, names of files relative to `/lake/<project number>/`. The
//! issues of `errors` are inlined rows (https://ducklake.select/docs/stable/duckdb/advanced_features/data_inlining):
//! they change without a publish, and an object of their own would be one more file to collect. What of a project is
//! not in its published files is not in here: the tail stays behind.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use candor_meta::{Database, Param, Row, SqlError, SqliteOptions, Tx, params};
use candor_model::{ProjectId, Signal};

use crate::LakeError;
use crate::catalog::{insert_columns, metadata, moment, schema};
use crate::columns::{CatalogColumn, Columns};
use crate::inner::Inner;
use crate::name::{STREAM_FOLDER, TableName, topic_folder};

/// Rows in one statement: well within SQLite's 32,766 parameters.
const ROWS_AT_ONCE: usize = 1000;

/// What an exported file has as SQLite's `application_id`: the letters `Cndr`. A command that writes over a file looks
/// for it first.
pub const EXPORT_APPLICATION_ID: u32 = 0x436e_6472;

/// The schema version of the one snapshot, by which the table of inlined rows is named.
const SCHEMA_VERSION: i64 = 1;

impl Inner {
    pub(crate) async fn export(
        self: &Arc<Inner>,
        project: ProjectId,
        issues: &[(String, i64)],
        data_path: &str,
        out: &Path,
    ) -> Result<i64, LakeError> {
        let options = SqliteOptions { standalone: true, ..SqliteOptions::default() };
        let target = Database::open_sqlite_with(out, options, &schema::exported()).await?;
        // One moment of the catalog for all tables.
        let mut source = self.catalog.database.begin_read().await?;
        let mut export = Export::begin(self, &mut source, &target, data_path).await?;
        for signal in Signal::ALL {
            let place = Place {
                schema: MAIN,
                name: signal.name().to_owned(),
                folder: TableName::from(signal).folder(),
            };
            if !export.table(&mut source, project, &signal.into(), &place, self.new_uuid()).await? {
                let columns = Columns::new(&signal.into()).assign_ids();
                export.make_table(&place, &columns, (0, 0, 0), self.new_uuid()).await?;
            }
        }
        export.issues(issues, self.new_uuid()).await?;
        let mut topics = Vec::new();
        for topic in self.stream_topics(project) {
            let known = self.tables.get(&(project, TableName::Stream(topic.topic.clone())));
            if known.is_some_and(|table| table.state.lock().table.is_some()) {
                topics.push(topic);
            }
        }
        if !topics.is_empty() {
            let schema = export.make_stream_schema(self.new_uuid()).await?;
            let mut taken = HashSet::new();
            for topic in topics {
                // DuckDB compares names without case.
                let mut name = topic.name.to_string();
                while !taken.insert(name.to_lowercase()) {
                    name.push('~');
                }
                let place = Place { schema, name, folder: topic_folder(&topic.topic) };
                let table = TableName::Stream(topic.topic);
                export.table(&mut source, project, &table, &place, self.new_uuid()).await?;
            }
        }
        let snapshot = export.finish().await?;
        target.close().await;
        Ok(snapshot)
    }
}

/// The id of the schema `main`.
const MAIN: i64 = 0;

/// Where a table is in the exported catalog.
struct Place {
    schema: i64,
    name: String,
    /// Below its schema's.
    folder: String,
}

struct Export {
    tx: Tx,
    snapshot: i64,
    next_catalog_id: i64,
    next_file_id: i64,
}

impl Export {
    async fn begin(
        inner: &Inner,
        source: &mut Tx,
        target: &Database,
        data_path: &str,
    ) -> Result<Export, LakeError> {
        let rows = source
            .query(
                "SELECT snapshot_id, next_catalog_id, next_file_id FROM ducklake_snapshot
                 ORDER BY snapshot_id DESC LIMIT 1",
                &[],
            )
            .await?;
        let head = rows.first().ok_or_else(|| LakeError::Inconsistent("no snapshot at all".into()))?;
        let mut export = Export {
            tx: target.begin().await?,
            snapshot: head.int(0)?,
            next_catalog_id: head.int(1)?,
            next_file_id: head.int(2)?,
        };
        for (key, value) in metadata(data_path) {
            let row = params![key, value.as_str()];
            export.tx.execute("INSERT INTO ducklake_metadata VALUES (?, ?, NULL, NULL)", row).await?;
        }
        let schema_row = params![inner.new_uuid(), export.snapshot];
        export
            .tx
            .execute("INSERT INTO ducklake_schema VALUES (0, ?, ?, NULL, 'main', '', 1)", schema_row)
            .await?;
        let time = moment(inner.clock.now().0).unwrap_or_default();
        let snapshot_row = params![export.snapshot, time, SCHEMA_VERSION];
        export.tx.execute("INSERT INTO ducklake_snapshot VALUES (?, ?, ?, 0, 0)", snapshot_row).await?;
        let changes_row = params![export.snapshot];
        export
            .tx
            .execute(
                "INSERT INTO ducklake_snapshot_changes VALUES (?, 'created_schema:\"main\"', 'candor', NULL, NULL)",
                changes_row,
            )
            .await?;
        Ok(export)
    }

    /// The schema of topics: one may be called `logs`.
    async fn make_stream_schema(&mut self, uuid: String) -> Result<i64, SqlError> {
        let id = self.next_catalog_id;
        self.next_catalog_id += 1;
        let row = params![id, uuid, self.snapshot, STREAM_FOLDER];
        self.tx.execute("INSERT INTO ducklake_schema VALUES (?, ?, ?, NULL, 'stream', ?, 1)", row).await?;
        Ok(id)
    }

    /// A table with the files of the snapshot; false where the project has none.
    async fn table(
        &mut self,
        source: &mut Tx,
        project: ProjectId,
        table: &TableName,
        place: &Place,
        uuid: String,
    ) -> Result<bool, LakeError> {
        let known = source
            .query(
                "SELECT table_id FROM candor_lake_table WHERE project = ? AND signal = ?",
                params![project.0, table.stored()],
            )
            .await?;
        let Some(known) = known.first() else { return Ok(false) };
        let table = known.int(0)?;
        let columns = source
            .query(
                "SELECT column_id, column_order, column_name, column_type, parent_column FROM ducklake_column
                 WHERE table_id = ? AND end_snapshot IS NULL ORDER BY column_order",
                params![table],
            )
            .await?;
        let columns = columns.iter().map(column).collect::<Result<Vec<_>, _>>()?;
        let stats = source
            .query(
                "SELECT record_count, next_row_id, file_size_bytes FROM ducklake_table_stats WHERE table_id = ?",
                params![table],
            )
            .await?;
        let stats = match stats.first() {
            Some(row) => (row.int(0)?, row.int(1)?, row.int(2)?),
            None => (0, 0, 0),
        };
        let id = self.make_table(place, &columns, stats, uuid).await?;
        let files = source
            .query(
                "SELECT data_file_id, path, record_count, file_size_bytes, footer_size, row_id_start
                 FROM ducklake_data_file WHERE table_id = ? AND end_snapshot IS NULL ORDER BY data_file_id",
                params![table],
            )
            .await?;
        let snapshot = self.snapshot;
        self.insert(
            "ducklake_data_file (data_file_id, path, record_count, file_size_bytes, footer_size, row_id_start,
                table_id, begin_snapshot, path_is_relative, file_format)",
            files,
            &[id.into(), snapshot.into(), 1.into(), "parquet".into()],
        )
        .await?;
        let stats = source
            .query(
                "SELECT s.data_file_id, s.column_id, s.value_count, s.null_count, s.min_value, s.max_value
                 FROM ducklake_data_file f
                 JOIN ducklake_file_column_stats s ON s.data_file_id = f.data_file_id
                 WHERE f.table_id = ? AND f.end_snapshot IS NULL",
                params![table],
            )
            .await?;
        self.insert(
            "ducklake_file_column_stats (data_file_id, column_id, value_count, null_count, min_value, max_value,
                table_id)",
            stats,
            &[id.into()],
        )
        .await?;
        Ok(true)
    }

    /// The issues, as rows in the catalog itself.
    async fn issues(&mut self, issues: &[(String, i64)], uuid: String) -> Result<(), LakeError> {
        let column = |id, name: &str, kind: &str| CatalogColumn {
            id,
            order: id,
            name: name.to_owned(),
            kind: kind.to_owned(),
            parent: None,
        };
        let columns = [column(1, "group_hash", "varchar"), column(2, "issue", "int64")];
        let count = issues.len() as i64;
        let place = Place { schema: MAIN, name: "issues".to_owned(), folder: "issues/".to_owned() };
        let id = self.make_table(&place, &columns, (count, count, 0), uuid).await?;
        let name = format!("ducklake_inlined_data_{id}_{SCHEMA_VERSION}");
        self.tx
            .execute(
                &format!(
                    "CREATE TABLE {name}(row_id BIGINT, begin_snapshot BIGINT, end_snapshot BIGINT,
                        group_hash VARCHAR, issue BIGINT)"
                ),
                &[],
            )
            .await?;
        self.tx
            .execute(
                "INSERT INTO ducklake_inlined_data_tables VALUES (?, ?, ?)",
                params![id, name.as_str(), SCHEMA_VERSION],
            )
            .await?;
        let rows = issues
            .iter()
            .enumerate()
            .map(|(n, (hash, issue))| Row(params![n as i64, hash, *issue].to_vec()))
            .collect();
        let snapshot = self.snapshot;
        self.insert(&format!("{name} (row_id, group_hash, issue, begin_snapshot)"), rows, &[snapshot.into()])
            .await?;
        Ok(())
    }

    async fn finish(mut self) -> Result<i64, LakeError> {
        self.tx
            .execute(
                "UPDATE ducklake_snapshot SET next_catalog_id = ?, next_file_id = ?",
                params![self.next_catalog_id, self.next_file_id],
            )
            .await?;
        self.tx.execute(&format!("PRAGMA application_id = {EXPORT_APPLICATION_ID}"), &[]).await?;
        self.tx.commit().await?;
        Ok(self.snapshot)
    }

    async fn make_table(
        &mut self,
        place: &Place,
        columns: &[CatalogColumn],
        (rows, next_row, bytes): (i64, i64, i64),
        uuid: String,
    ) -> Result<i64, SqlError> {
        let id = self.next_catalog_id;
        self.next_catalog_id += 1;
        let snapshot = self.snapshot;
        self.tx
            .execute(
                "INSERT INTO ducklake_table VALUES (?, ?, ?, NULL, ?, ?, ?, 1)",
                params![id, uuid, snapshot, place.schema, place.name.as_str(), place.folder.as_str()],
            )
            .await?;
        insert_columns(&mut self.tx, id, snapshot, columns).await?;
        self.tx
            .execute(
                "INSERT INTO ducklake_table_stats VALUES (?, ?, ?, ?)",
                params![id, rows, next_row, bytes],
            )
            .await?;
        self.tx
            .execute(
                "INSERT INTO ducklake_schema_versions VALUES (?, ?, ?)",
                params![snapshot, SCHEMA_VERSION, id],
            )
            .await?;
        Ok(id)
    }

    /// Inserts rows, each with the same values at its end, many in a statement.
    async fn insert(&mut self, into: &str, rows: Vec<Row>, tail: &[Param]) -> Result<(), SqlError> {
        for some in rows.chunks(ROWS_AT_ONCE) {
            let width = some.first().map_or(0, |row| row.0.len()) + tail.len();
            let place = format!("({})", vec!["?"; width].join(", "));
            let sql = format!("INSERT INTO {into} VALUES {}", vec![place; some.len()].join(", "));
            let values: Vec<Param> = some.iter().flat_map(|row| row.0.iter().chain(tail).cloned()).collect();
            self.tx.execute(&sql, &values).await?;
        }
        Ok(())
    }
}

fn column(row: &Row) -> Result<CatalogColumn, SqlError> {
    Ok(CatalogColumn {
        id: row.int(0)?,
        order: row.int(1)?,
        name: row.text(2)?.to_owned(),
        kind: row.text(3)?.to_owned(),
        parent: row.opt_int(4)?,
    })
}
