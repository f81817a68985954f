//! The tables of topics. Every row is keyed by its project.

use std::collections::HashMap;

use candor_meta::{Database, Migration, SqlError, Tx, params};
use candor_model::{ProjectId, Timestamp, TopicName};

use super::config::Overrides;
use super::name::in_log;
use crate::directory::TopicId;

pub(super) const MIGRATIONS: &[Migration] = &[Migration {
    owner: "streams_topics",
    version: 1,
    sql: "
CREATE TABLE stream_topic (
    project BIGINT NOT NULL,
    name TEXT NOT NULL,
    id BLOB NOT NULL,
    incarnation BIGINT NOT NULL,
    partitions BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (project, name)
);
CREATE TABLE stream_topic_config (
    project BIGINT NOT NULL,
    topic TEXT NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (project, topic, name)
);
CREATE TABLE stream_topic_name (
    project BIGINT NOT NULL,
    name TEXT NOT NULL,
    incarnations BIGINT NOT NULL,
    PRIMARY KEY (project, name)
);
CREATE TABLE stream_topic_gone (
    project BIGINT NOT NULL,
    in_log TEXT NOT NULL,
    partitions BIGINT NOT NULL,
    deleted_at BIGINT NOT NULL,
    PRIMARY KEY (project, in_log)
);
",
}];

/// A topic as its rows say.
pub(super) struct Stored {
    pub project: ProjectId,
    pub name: String,
    pub id: TopicId,
    pub in_log: TopicName,
    pub partitions: u32,
    pub created_at: Timestamp,
    pub overrides: Overrides,
}

/// What a deleted topic left in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gone {
    /// The project.
    pub project: ProjectId,
    /// What the log calls it.
    pub in_log: TopicName,
    /// How many partitions it had.
    pub partitions: u32,
}

impl Gone {
    /// The name that clients knew it by. Another topic may have it by now.
    pub fn name(&self) -> &str {
        self.in_log.0.split('#').next().unwrap_or_default()
    }
}

/// Everything that is kept in memory: the topics, and how many names each project has ever used.
pub(super) async fn load(mut tx: Tx) -> Result<(Vec<Stored>, HashMap<ProjectId, usize>), SqlError> {
    let mut configs: HashMap<(i64, String), Vec<(String, String)>> = HashMap::new();
    for row in tx.query("SELECT project, topic, name, value FROM stream_topic_config", &[]).await? {
        let topic = (row.int(0)?, row.text(1)?.to_owned());
        configs.entry(topic).or_default().push((row.text(2)?.to_owned(), row.text(3)?.to_owned()));
    }
    let mut topics = Vec::new();
    let sql = "SELECT project, name, id, incarnation, partitions, created_at FROM stream_topic";
    for row in tx.query(sql, &[]).await? {
        let (project, name) = (row.int(0)?, row.text(1)?.to_owned());
        let overrides = super::config::stored(
            super::definitions::find,
            configs.remove(&(project, name.clone())).unwrap_or_default(),
        );
        topics.push(Stored {
            project: ProjectId(project),
            id: row.blob(2)?.try_into().map_err(|_| SqlError::Column(2))?,
            in_log: in_log(&name, row.int(3)?),
            partitions: u32::try_from(row.int(4)?).map_err(|_| SqlError::Column(4))?,
            created_at: Timestamp(row.int(5)?),
            name,
            overrides,
        });
    }
    let mut names = HashMap::new();
    for row in tx.query("SELECT project, COUNT(*) FROM stream_topic_name GROUP BY project", &[]).await? {
        names.insert(ProjectId(row.int(0)?), usize::try_from(row.int(1)?).unwrap_or(usize::MAX));
    }
    Ok((topics, names))
}

/// Counts another topic of that name and gives the count.
pub(super) async fn incarnate(tx: &mut Tx, project: ProjectId, name: &str) -> Result<i64, SqlError> {
    let sql = "INSERT INTO stream_topic_name (project, name, incarnations) VALUES (?, ?, 1) \
               ON CONFLICT (project, name) DO UPDATE SET incarnations = stream_topic_name.incarnations + 1 \
               RETURNING incarnations";
    let rows = tx.query(sql, params![project.0, name]).await?;
    rows.first().ok_or(SqlError::Column(0))?.int(0)
}

pub(super) async fn insert(tx: &mut Tx, topic: &Stored, incarnation: i64) -> Result<(), SqlError> {
    tx.execute(
        "INSERT INTO stream_topic (project, name, id, incarnation, partitions, created_at) VALUES (?, ?, ?, ?, ?, ?)",
        params![
            topic.project.0,
            &topic.name,
            topic.id.to_vec(),
            incarnation,
            i64::from(topic.partitions),
            topic.created_at.0
        ],
    )
    .await?;
    write_configs(tx, topic.project, &topic.name, &topic.overrides).await
}

/// Puts a topic's configurations in the place of those there were.
pub(super) async fn set_configs(
    tx: &mut Tx,
    project: ProjectId,
    topic: &str,
    overrides: &Overrides,
) -> Result<(), SqlError> {
    tx.execute("DELETE FROM stream_topic_config WHERE project = ? AND topic = ?", params![project.0, topic])
        .await?;
    write_configs(tx, project, topic, overrides).await
}

async fn write_configs(
    tx: &mut Tx,
    project: ProjectId,
    topic: &str,
    overrides: &Overrides,
) -> Result<(), SqlError> {
    for (name, value) in overrides {
        tx.execute(
            "INSERT INTO stream_topic_config (project, topic, name, value) VALUES (?, ?, ?, ?)",
            params![project.0, topic, *name, value],
        )
        .await?;
    }
    Ok(())
}

pub(super) async fn set_partitions(
    tx: &mut Tx,
    project: ProjectId,
    topic: &str,
    partitions: u32,
) -> Result<(), SqlError> {
    tx.execute(
        "UPDATE stream_topic SET partitions = ? WHERE project = ? AND name = ?",
        params![i64::from(partitions), project.0, topic],
    )
    .await?;
    Ok(())
}

/// Removes a topic and notes, in the same transaction, what the log is to be rid of.
pub(super) async fn delete(tx: &mut Tx, topic: &str, gone: &Gone, now: Timestamp) -> Result<(), SqlError> {
    let project = gone.project;
    set_configs(tx, project, topic, &Overrides::new()).await?;
    tx.execute("DELETE FROM stream_topic WHERE project = ? AND name = ?", params![project.0, topic]).await?;
    tx.execute(
        "INSERT INTO stream_topic_gone (project, in_log, partitions, deleted_at) VALUES (?, ?, ?, ?)",
        params![project.0, &gone.in_log.0, i64::from(gone.partitions), now.0],
    )
    .await?;
    Ok(())
}

/// What deleted topics left in the log.
pub(super) async fn gone(database: &Database) -> Result<Vec<Gone>, SqlError> {
    let sql =
        "SELECT project, in_log, partitions FROM stream_topic_gone ORDER BY deleted_at, project, in_log";
    let rows = database.query(sql, &[]).await?;
    let gone = |row: &candor_meta::Row| {
        Ok(Gone {
            project: ProjectId(row.int(0)?),
            in_log: TopicName(row.text(1)?.to_owned()),
            partitions: u32::try_from(row.int(2)?).map_err(|_| SqlError::Column(2))?,
        })
    };
    rows.iter().map(gone).collect()
}

/// Notes that the log is rid of it.
pub(super) async fn collected(database: &Database, gone: &Gone) -> Result<(), SqlError> {
    let sql = "DELETE FROM stream_topic_gone WHERE project = ? AND in_log = ?";
    database.execute(sql, params![gone.project.0, &gone.in_log.0]).await?;
    Ok(())
}

/// Removes everything of a project.
pub(super) async fn forget(tx: &mut Tx, project: ProjectId) -> Result<(), SqlError> {
    for sql in [
        "DELETE FROM stream_topic_config WHERE project = ?",
        "DELETE FROM stream_topic WHERE project = ?",
        "DELETE FROM stream_topic_name WHERE project = ?",
        "DELETE FROM stream_topic_gone WHERE project = ?",
    ] {
        tx.execute(sql, params![project.0]).await?;
    }
    Ok(())
}
