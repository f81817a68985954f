//! The registry's tables.

use std::collections::HashMap;
use std::sync::Arc;

use candor_meta::{Migration, SqlError, Tx, params};
use candor_model::ProjectId;
use candor_schemas::Kind;

use super::book::{Book, Extra, Reference, Stored};
use super::edit::Edit;
use super::{Scope, Settings};

pub(super) const MIGRATIONS: &[Migration] = &[Migration {
    owner: "streams_registry",
    version: 1,
    sql: "
CREATE TABLE stream_schema (
    project BIGINT NOT NULL,
    id BIGINT NOT NULL,
    kind TEXT NOT NULL,
    body TEXT NOT NULL,
    refers TEXT NOT NULL,
    extra TEXT NOT NULL,
    PRIMARY KEY (project, id)
);
CREATE TABLE stream_schema_version (
    project BIGINT NOT NULL,
    subject TEXT NOT NULL,
    version BIGINT NOT NULL,
    id BIGINT NOT NULL,
    is_deleted BIGINT NOT NULL,
    PRIMARY KEY (project, subject, version)
);
CREATE TABLE stream_schema_setting (
    project BIGINT NOT NULL,
    scope TEXT NOT NULL,
    settings TEXT NOT NULL,
    PRIMARY KEY (project, scope)
);
CREATE TABLE stream_schema_next (
    project BIGINT NOT NULL PRIMARY KEY,
    id BIGINT NOT NULL
);
",
}];

fn json<T: serde::de::DeserializeOwned>(text: &str, column: usize) -> Result<T, SqlError> {
    serde_json::from_str(text).map_err(|_| SqlError::Column(column))
}

fn text_of<T: serde::Serialize>(value: &T) -> String {
    // Plain data under names that are strings: nothing about it can fail.
    serde_json::to_string(value).unwrap_or_default()
}

fn number(value: i64, column: usize) -> Result<i32, SqlError> {
    i32::try_from(value).map_err(|_| SqlError::Column(column))
}

/// All projects'.
pub(super) async fn load(mut tx: Tx) -> Result<HashMap<ProjectId, Arc<Book>>, SqlError> {
    let mut books: HashMap<ProjectId, Book> = HashMap::new();
    let sql = "SELECT project, id, kind, body, refers, extra FROM stream_schema";
    for row in tx.query(sql, &[]).await? {
        let kind = Kind::from_name(row.text(2)?).ok_or(SqlError::Column(2))?;
        let references: Vec<Reference> = json(row.text(4)?, 4)?;
        let extra: Extra = json(row.text(5)?, 5)?;
        let stored = Stored::new(number(row.int(1)?, 1)?, kind, row.text(3)?.to_owned(), references, extra);
        books.entry(ProjectId(row.int(0)?)).or_default().apply(&Edit::AddSchema(Arc::new(stored)));
    }
    let sql = "SELECT project, subject, version, id, is_deleted FROM stream_schema_version";
    for row in tx.query(sql, &[]).await? {
        let book = books.entry(ProjectId(row.int(0)?)).or_default();
        let (subject, version) = (row.text(1)?.to_owned(), number(row.int(2)?, 2)?);
        book.apply(&Edit::PutVersion { subject: subject.clone(), version, id: number(row.int(3)?, 3)? });
        book.apply(&Edit::MarkVersion { subject, version, is_deleted: row.int(4)? != 0 });
    }
    for row in tx.query("SELECT project, scope, settings FROM stream_schema_setting", &[]).await? {
        let settings: Settings = json(row.text(2)?, 2)?;
        let edit = Edit::Set { scope: Scope(row.text(1)?.to_owned()), settings };
        books.entry(ProjectId(row.int(0)?)).or_default().apply(&edit);
    }
    for row in tx.query("SELECT project, id FROM stream_schema_next", &[]).await? {
        books.entry(ProjectId(row.int(0)?)).or_default().set_next_id(number(row.int(1)?, 1)?);
    }
    Ok(books.into_iter().map(|(project, book)| (project, Arc::new(book))).collect())
}

pub(super) async fn write(tx: &mut Tx, project: ProjectId, edit: &Edit) -> Result<(), SqlError> {
    match edit {
        Edit::AddSchema(stored) => {
            tx.execute(
                "INSERT INTO stream_schema (project, id, kind, body, refers, extra) VALUES (?, ?, ?, ?, ?, ?)",
                params![
                    project.0,
                    i64::from(stored.id),
                    stored.kind.name(),
                    &*stored.text,
                    text_of(&stored.references),
                    text_of(&stored.extra)
                ],
            )
            .await?;
        }
        Edit::RemoveSchema(id) => {
            let sql = "DELETE FROM stream_schema WHERE project = ? AND id = ?";
            tx.execute(sql, params![project.0, i64::from(*id)]).await?;
        }
        Edit::PutVersion { subject, version, id } => {
            remove_version(tx, project, subject, *version).await?;
            tx.execute(
                "INSERT INTO stream_schema_version (project, subject, version, id, is_deleted) VALUES (?, ?, ?, ?, 0)",
                params![project.0, subject, i64::from(*version), i64::from(*id)],
            )
            .await?;
        }
        Edit::MarkVersion { subject, version, is_deleted } => {
            tx.execute(
                "UPDATE stream_schema_version SET is_deleted = ? WHERE project = ? AND subject = ? AND version = ?",
                params![i64::from(*is_deleted), project.0, subject, i64::from(*version)],
            )
            .await?;
        }
        Edit::RemoveVersion { subject, version } => remove_version(tx, project, subject, *version).await?,
        Edit::Set { scope, settings } => {
            let sql = "DELETE FROM stream_schema_setting WHERE project = ? AND scope = ?";
            tx.execute(sql, params![project.0, &scope.0]).await?;
            if !settings.is_empty() {
                tx.execute(
                    "INSERT INTO stream_schema_setting (project, scope, settings) VALUES (?, ?, ?)",
                    params![project.0, &scope.0, text_of(settings)],
                )
                .await?;
            }
        }
    }
    Ok(())
}

async fn remove_version(
    tx: &mut Tx,
    project: ProjectId,
    subject: &str,
    version: i32,
) -> Result<(), SqlError> {
    let sql = "DELETE FROM stream_schema_version WHERE project = ? AND subject = ? AND version = ?";
    tx.execute(sql, params![project.0, subject, i64::from(version)]).await?;
    Ok(())
}

pub(super) async fn set_next(tx: &mut Tx, project: ProjectId, next: i32) -> Result<(), SqlError> {
    let next = i64::from(next);
    let sql = "UPDATE stream_schema_next SET id = ? WHERE project = ?";
    if tx.execute(sql, params![next, project.0]).await? == 0 {
        let sql = "INSERT INTO stream_schema_next (project, id) VALUES (?, ?)";
        tx.execute(sql, params![project.0, next]).await?;
    }
    Ok(())
}

pub(super) async fn forget(tx: &mut Tx, project: ProjectId) -> Result<(), SqlError> {
    for table in ["stream_schema", "stream_schema_version", "stream_schema_setting", "stream_schema_next"] {
        tx.execute(&format!("DELETE FROM {table} WHERE project = ?"), params![project.0]).await?;
    }
    Ok(())
}
