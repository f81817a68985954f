//! The catalog: which files make up a table at which snapshot, in a SQL database in the shape of DuckLake 1.0.
//!
//! Written by statements of our own rather than through a library: the shape is small, and what must be atomic with
//! it (positions in the log, sidecars) is ours. Every change is one transaction that makes one snapshot. One process
//! writes; a position that is not where it was left stops a second one.

mod commit;
mod drop;
mod expire;
mod outcome;
mod read;
pub(crate) mod schema;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use candor_meta::{Database, SqlError, Tx, params};
use candor_model::{Offset, Partition, ProjectId, Timestamp};
use parking_lot::Mutex;

use crate::LakeError;
use crate::name::TableName;

pub(crate) use commit::{Change, ChangeKind, NewFile, insert_columns};
pub(crate) use expire::Doomed;
pub(crate) use read::{Aged, Mergeable};

/// What the path of an intent begins with once it was given up; no path does by itself.
const GIVEN_UP: &str = "-";

/// What object keys begin with; a path in the catalog is relative to it.
pub(crate) const KEY_PREFIX: &str = "lake/";

/// The store's key of a path in the catalog.
pub(crate) fn key_of(path: &str) -> String {
    format!("{KEY_PREFIX}{path}")
}

/// The folder of a project, below the catalog's data path.
pub(crate) fn schema_folder(project: ProjectId) -> String {
    format!("p{project}/")
}

/// A moment as DuckLake writes it. None for what has no such text (beyond year 9999): a bound that is unknown.
pub(crate) fn moment(at: i64) -> Option<String> {
    let time = jiff::Timestamp::from_microsecond(at).ok()?;
    let year = time.to_zoned(jiff::tz::TimeZone::UTC).year();
    (0..=9999).contains(&year).then(|| time.strftime("%Y-%m-%d %H:%M:%S.%6f+00").to_string())
}

/// How far a table has come in a partition of its topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) project: ProjectId,
    pub(crate) name: TableName,
    pub(crate) partition: Partition,
    pub(crate) next: Offset,
}

/// The catalog. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Catalog {
    pub(crate) database: Database,
    /// Rows that are no more since somebody asked.
    gone: Arc<Mutex<HashMap<(ProjectId, TableName), u64>>>,
}

/// Takes an object's intent back, as it is named from now on. Nobody may have taken it for garbage.
async fn take_intent(tx: &mut Tx, path: &str) -> Result<(), LakeError> {
    match tx.execute("DELETE FROM candor_lake_intent WHERE path = ?", params![path]).await? {
        1 => Ok(()),
        _ => Err(LakeError::Inconsistent(format!("{path} was taken for garbage before it was named"))),
    }
}

impl Catalog {
    /// Brings the tables up and makes the first snapshot where there is none.
    pub(crate) async fn open(
        database: Database,
        data_path: &str,
        now: Timestamp,
        uuid: &str,
    ) -> Result<Catalog, SqlError> {
        database.migrate(&schema::catalog(database.engine())).await?;
        let catalog = Catalog { database, gone: Arc::default() };
        let mut tx = catalog.database.begin().await?;
        tx.lock(commit::WRITER).await?;
        if tx.query("SELECT 1 FROM ducklake_snapshot LIMIT 1", &[]).await?.is_empty() {
            for statement in commit::first_snapshot(0, now, uuid, "main/") {
                tx.execute(statement.0, &statement.1).await?;
            }
            for (key, value) in metadata(data_path) {
                tx.execute(
                    "INSERT INTO ducklake_metadata VALUES (?, ?, NULL, NULL)",
                    params![key, value.as_str()],
                )
                .await?;
            }
        }
        // The data folder may have been moved since.
        tx.execute(
            "UPDATE ducklake_metadata SET \"value\" = ? WHERE \"key\" = 'data_path'",
            params![data_path],
        )
        .await?;
        tx.commit().await?;
        Ok(catalog)
    }

    /// Every position.
    pub(crate) async fn positions(&self) -> Result<Vec<Position>, SqlError> {
        let rows = self
            .database
            .query("SELECT project, signal, part, next_offset FROM candor_lake_position", &[])
            .await?;
        let mut positions = Vec::with_capacity(rows.len());
        for row in rows {
            // A signal that this release does not know belongs to a newer one: leave it alone.
            let Some(name) = TableName::from_stored(row.text(1)?) else { continue };
            positions.push(Position {
                project: ProjectId(row.int(0)?),
                name,
                partition: Partition(row.int(2)? as u32),
                next: Offset(row.int(3)? as u64),
            });
        }
        Ok(positions)
    }

    /// Every table: project, name, id.
    pub(crate) async fn tables(&self) -> Result<Vec<(ProjectId, TableName, i64)>, SqlError> {
        let rows =
            self.database.query("SELECT project, signal, table_id FROM candor_lake_table", &[]).await?;
        let mut tables = Vec::with_capacity(rows.len());
        for row in rows {
            if let Some(name) = TableName::from_stored(row.text(1)?) {
                tables.push((ProjectId(row.int(0)?), name, row.int(2)?));
            }
        }
        Ok(tables)
    }

    /// Deleted projects.
    pub(crate) async fn dropped(&self) -> Result<HashSet<ProjectId>, SqlError> {
        let rows = self.database.query("SELECT project FROM candor_lake_dropped", &[]).await?;
        rows.iter().map(|row| row.int(0).map(ProjectId)).collect()
    }

    /// Notes objects that are about to be written.
    pub(crate) async fn intend(&self, paths: &[String]) -> Result<(), SqlError> {
        let mut tx = self.database.begin().await?;
        for path in paths {
            tx.execute("INSERT INTO candor_lake_intent (path) VALUES (?)", params![path]).await?;
        }
        tx.commit().await
    }

    /// Waits for what an earlier process, or a connection of this one that was lost, still has under way.
    pub(crate) async fn settle(&self) -> Result<(), SqlError> {
        let mut tx = self.database.begin().await?;
        tx.lock(commit::WRITER).await?;
        tx.commit().await
    }

    /// True where objects were about to be written and no commit took them, or not yet.
    pub(crate) async fn has_intents(&self) -> Result<bool, SqlError> {
        Ok(!self.database.query("SELECT 1 FROM candor_lake_intent LIMIT 1", &[]).await?.is_empty())
    }

    /// Gives up objects that no commit took: from now on none can. Gives their paths, those given up before first,
    /// and how many these are. The lock waits for a commit that still runs on a server whose answer was lost.
    pub(crate) async fn give_up_intents(&self) -> Result<(Vec<String>, usize), SqlError> {
        let mut tx = self.database.begin().await?;
        tx.lock(commit::WRITER).await?;
        let mut paths = Vec::new();
        for row in tx.query("SELECT path FROM candor_lake_intent WHERE path LIKE '-%'", &[]).await? {
            paths.extend(row.text(0)?.strip_prefix(GIVEN_UP).map(str::to_owned));
        }
        let before = paths.len();
        for row in tx.query("SELECT path FROM candor_lake_intent WHERE path NOT LIKE '-%'", &[]).await? {
            paths.push(row.text(0)?.to_owned());
        }
        tx.execute("UPDATE candor_lake_intent SET path = '-' || path WHERE path NOT LIKE '-%'", &[]).await?;
        tx.commit().await?;
        Ok((paths, before))
    }

    /// Forgets intents that were given up and whose objects are gone.
    pub(crate) async fn forget_intents(&self, paths: &[String]) -> Result<(), SqlError> {
        let mut tx = self.database.begin().await?;
        for path in paths {
            let path = format!("{GIVEN_UP}{path}");
            tx.execute("DELETE FROM candor_lake_intent WHERE path = ?", params![path]).await?;
        }
        tx.commit().await
    }

    /// Marks files as holding erased rows.
    pub(crate) async fn deny(&self, paths: &[String]) -> Result<(), SqlError> {
        let mut tx = self.database.begin().await?;
        for path in paths {
            tx.execute(
                "INSERT INTO candor_lake_denied (path) VALUES (?) ON CONFLICT (path) DO NOTHING",
                params![path],
            )
            .await?;
        }
        tx.commit().await
    }

    /// True for a file that holds erased rows.
    pub(crate) async fn is_denied(&self, path: &str) -> Result<bool, SqlError> {
        let rows =
            self.database.query("SELECT 1 FROM candor_lake_denied WHERE path = ?", params![path]).await?;
        Ok(!rows.is_empty())
    }
}

/// What `ducklake_metadata` says of a catalog.
pub(crate) fn metadata(data_path: &str) -> [(&'static str, String); 4] {
    [
        ("version", "1.0".to_owned()),
        ("created_by", format!("candor {}", env!("CARGO_PKG_VERSION"))),
        ("data_path", data_path.to_owned()),
        ("encrypted", "false".to_owned()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_ducklake_writes_them() {
        assert_eq!(moment(0).as_deref(), Some("1970-01-01 00:00:00.000000+00"));
        assert_eq!(moment(1_795_305_280_452_874).as_deref(), Some("2026-11-21 23:54:40.452874+00"));
        assert_eq!(moment(-1).as_deref(), Some("1969-12-31 23:59:59.999999+00"));
        assert_eq!(moment(i64::MAX), None);
    }
}
