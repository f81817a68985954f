//! The tables of groups in the metadata database.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use candor_meta::{Database, Migration, Param, Row, SqlError, Tx, params};
use candor_model::{ProjectId, Timestamp};
use data_encoding::HEXLOWER;

use super::storage::{Committed, GroupKey, Place, Step, Storage, StoredGroup, StoredPending};
use crate::directory::TopicId;

const MIGRATIONS: &[Migration] = &[
    Migration { owner: "streams.groups", version: 1, sql: FIRST },
    Migration { owner: "streams.groups", version: 2, sql: SHARES },
];

const SHARES: &str = "
    CREATE TABLE stream_share (
        project BIGINT NOT NULL,
        group_name TEXT NOT NULL,
        topic_id TEXT NOT NULL,
        part BIGINT NOT NULL,
        body TEXT NOT NULL,
        PRIMARY KEY (project, group_name, topic_id, part)
    )
";

const FIRST: &str = "
    CREATE TABLE stream_group (
        project BIGINT NOT NULL,
        name TEXT NOT NULL,
        body TEXT NOT NULL,
        PRIMARY KEY (project, name)
    );
    CREATE TABLE stream_group_member (
        project BIGINT NOT NULL,
        group_name TEXT NOT NULL,
        member TEXT NOT NULL,
        body TEXT NOT NULL,
        PRIMARY KEY (project, group_name, member)
    );
    CREATE TABLE stream_group_offset (
        project BIGINT NOT NULL,
        group_name TEXT NOT NULL,
        topic TEXT NOT NULL,
        part BIGINT NOT NULL,
        topic_id TEXT NOT NULL,
        next_offset BIGINT NOT NULL,
        leader_epoch BIGINT NOT NULL,
        metadata BLOB NOT NULL,
        committed_at BIGINT NOT NULL,
        PRIMARY KEY (project, group_name, topic, part)
    );
    CREATE TABLE stream_group_pending (
        project BIGINT NOT NULL,
        group_name TEXT NOT NULL,
        producer BIGINT NOT NULL,
        epoch BIGINT NOT NULL,
        topic TEXT NOT NULL,
        part BIGINT NOT NULL,
        topic_id TEXT NOT NULL,
        next_offset BIGINT NOT NULL,
        leader_epoch BIGINT NOT NULL,
        metadata BLOB NOT NULL,
        committed_at BIGINT NOT NULL,
        PRIMARY KEY (project, group_name, producer, topic, part)
    )
";

/// Rows of one `INSERT`. SQLite takes 32,766 parameters.
const ROWS_PER_STATEMENT: usize = 100;

const TABLES: [&str; 4] =
    ["stream_group_member", "stream_group_offset", "stream_group_pending", "stream_share"];

/// What an offset of a later commit puts in the place of an earlier one's.
const OFFSET_COLUMNS: &str =
    "project, group_name, topic, part, topic_id, next_offset, leader_epoch, metadata, committed_at";
const OFFSET_CONFLICT: &str = "ON CONFLICT (project, group_name, topic, part) DO UPDATE SET
    topic_id = excluded.topic_id, next_offset = excluded.next_offset, leader_epoch = excluded.leader_epoch,
    metadata = excluded.metadata, committed_at = excluded.committed_at";

/// The tables.
pub(super) struct Tables {
    database: Database,
}

impl Tables {
    pub async fn open(database: Database) -> Result<Tables, SqlError> {
        database.migrate(MIGRATIONS).await?;
        Ok(Tables { database })
    }
}

#[async_trait]
impl Storage for Tables {
    async fn apply(&self, steps: &[Step]) -> Result<(), SqlError> {
        let mut tx = self.database.begin().await?;
        let mut offsets = Offsets::default();
        for step in steps {
            if let Step::Offset { key, place, committed } = step {
                offsets.insert((key.project.0, &key.name, &place.0, place.1), committed);
                continue;
            }
            write_offsets(&mut tx, &mut offsets).await?;
            write(&mut tx, step).await?;
        }
        write_offsets(&mut tx, &mut offsets).await?;
        tx.commit().await
    }

    async fn load(&self) -> Result<Vec<(GroupKey, StoredGroup)>, SqlError> {
        let mut groups: HashMap<GroupKey, StoredGroup> = HashMap::new();
        let mut tx = self.database.begin_read().await?;
        for row in tx.query("SELECT project, name, body FROM stream_group", &[]).await? {
            groups.entry(key(&row)?).or_default().body = Some(row.text(2)?.to_owned());
        }
        let sql = "SELECT project, group_name, member, body FROM stream_group_member";
        for row in tx.query(sql, &[]).await? {
            let member = (Arc::from(row.text(2)?), row.text(3)?.to_owned());
            groups.entry(key(&row)?).or_default().members.push(member);
        }
        let sql = "SELECT project, group_name FROM stream_group_offset GROUP BY project, group_name";
        for row in tx.query(sql, &[]).await? {
            groups.entry(key(&row)?).or_default();
        }
        let sql = "SELECT project, group_name, topic, part, topic_id, next_offset, leader_epoch, metadata,
                   committed_at, producer, epoch FROM stream_group_pending";
        for row in tx.query(sql, &[]).await? {
            let (place, committed) = offset(&row, 2)?;
            let epoch = i16::try_from(row.int(10)?).unwrap_or_default();
            let pending = StoredPending { producer: row.int(9)?, epoch, place, committed };
            groups.entry(key(&row)?).or_default().pending.push(pending);
        }
        for row in tx.query("SELECT project, group_name, topic_id, part, body FROM stream_share", &[]).await?
        {
            let topic = parse_id(row.text(2)?).ok_or(SqlError::Column(2))?;
            let partition = i32::try_from(row.int(3)?).map_err(|_| SqlError::Column(3))?;
            groups.entry(key(&row)?).or_default().shares.push((topic, partition, row.text(4)?.to_owned()));
        }
        Ok(groups.into_iter().collect())
    }

    async fn offsets(&self, key: &GroupKey) -> Result<Vec<(Place, Committed)>, SqlError> {
        let sql = "SELECT topic, part, topic_id, next_offset, leader_epoch, metadata, committed_at
                   FROM stream_group_offset WHERE project = ? AND group_name = ?";
        let rows = self.database.query(sql, params![key.project.0, &*key.name]).await?;
        rows.iter().map(|row| offset(row, 0)).collect()
    }
}

fn key(row: &Row) -> Result<GroupKey, SqlError> {
    Ok(GroupKey { project: ProjectId(row.int(0)?), name: Arc::from(row.text(1)?) })
}

fn offset(row: &Row, from: usize) -> Result<(Place, Committed), SqlError> {
    let part = i32::try_from(row.int(from + 1)?).map_err(|_| SqlError::Column(from + 1))?;
    let committed = Committed {
        topic_id: parse_id(row.text(from + 2)?).ok_or(SqlError::Column(from + 2))?,
        offset: row.int(from + 3)?,
        leader_epoch: i32::try_from(row.int(from + 4)?).unwrap_or(-1),
        metadata: Bytes::copy_from_slice(row.blob(from + 5)?),
        at: Timestamp(row.int(from + 6)?),
    };
    Ok(((Arc::from(row.text(from)?), part), committed))
}

/// A topic's id from its text in hex.
pub(super) fn parse_id(text: &str) -> Option<TopicId> {
    HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok()
}

/// A topic's id in hex.
pub(super) fn show_id(id: &TopicId) -> String {
    HEXLOWER.encode(id)
}

/// Offsets to write, the last for each place: a statement may touch a row once.
type Offsets<'a> = BTreeMap<(i64, &'a str, &'a str, i32), &'a Committed>;

async fn write_offsets(tx: &mut Tx, offsets: &mut Offsets<'_>) -> Result<(), SqlError> {
    let rows: Vec<Vec<Param>> = std::mem::take(offsets)
        .into_iter()
        .map(|((project, name, topic, part), committed)| {
            let mut row: Vec<Param> = vec![project.into(), name.into()];
            row.extend(place_values(topic, part, committed));
            row
        })
        .collect();
    for chunk in rows.chunks(ROWS_PER_STATEMENT) {
        let tuples = vec!["(?, ?, ?, ?, ?, ?, ?, ?, ?)"; chunk.len()].join(", ");
        let sql =
            format!("INSERT INTO stream_group_offset ({OFFSET_COLUMNS}) VALUES {tuples} {OFFSET_CONFLICT}");
        let values: Vec<Param> = chunk.iter().flatten().cloned().collect();
        tx.execute(&sql, &values).await?;
    }
    Ok(())
}

fn place_values(topic: &str, part: i32, committed: &Committed) -> [Param; 7] {
    [
        topic.into(),
        i64::from(part).into(),
        show_id(&committed.topic_id).into(),
        committed.offset.into(),
        i64::from(committed.leader_epoch).into(),
        committed.metadata.to_vec().into(),
        committed.at.0.into(),
    ]
}

async fn write(tx: &mut Tx, step: &Step) -> Result<(), SqlError> {
    match step {
        Step::Offset { .. } => {}
        Step::ForgetOffset { key, place } => {
            let sql = "DELETE FROM stream_group_offset
                       WHERE project = ? AND group_name = ? AND topic = ? AND part = ?";
            tx.execute(sql, params![key.project.0, &*key.name, &*place.0, i64::from(place.1)]).await?;
        }
        Step::Group { key, body } => {
            let sql = "INSERT INTO stream_group (project, name, body) VALUES (?, ?, ?)
                       ON CONFLICT (project, name) DO UPDATE SET body = excluded.body";
            tx.execute(sql, params![key.project.0, &*key.name, body]).await?;
        }
        Step::Member { key, member, body } => {
            let sql =
                "INSERT INTO stream_group_member (project, group_name, member, body) VALUES (?, ?, ?, ?)
                       ON CONFLICT (project, group_name, member) DO UPDATE SET body = excluded.body";
            tx.execute(sql, params![key.project.0, &*key.name, &**member, body]).await?;
        }
        Step::ForgetMember { key, member } => {
            let sql = "DELETE FROM stream_group_member WHERE project = ? AND group_name = ? AND member = ?";
            tx.execute(sql, params![key.project.0, &*key.name, &**member]).await?;
        }
        Step::ForgetMembers { key } => {
            let sql = "DELETE FROM stream_group_member WHERE project = ? AND group_name = ?";
            tx.execute(sql, params![key.project.0, &*key.name]).await?;
        }
        Step::Pending { key, producer, epoch, place, committed } => {
            let sql = "INSERT INTO stream_group_pending (project, group_name, producer, epoch, topic, part, topic_id,
                           next_offset, leader_epoch, metadata, committed_at)
                       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                       ON CONFLICT (project, group_name, producer, topic, part) DO UPDATE SET
                           epoch = excluded.epoch, topic_id = excluded.topic_id, next_offset = excluded.next_offset,
                           leader_epoch = excluded.leader_epoch, metadata = excluded.metadata,
                           committed_at = excluded.committed_at";
            let mut values: Vec<Param> =
                vec![key.project.0.into(), (&*key.name).into(), (*producer).into(), i64::from(*epoch).into()];
            values.extend(place_values(&place.0, place.1, committed));
            tx.execute(sql, &values).await?;
        }
        Step::EndPending { key, producer, commit } => {
            if *commit {
                // The condition keeps SQLite from taking `ON` for the join's (its "parsing ambiguity").
                let sql = format!(
                    "INSERT INTO stream_group_offset ({OFFSET_COLUMNS})
                     SELECT {OFFSET_COLUMNS} FROM stream_group_pending
                     WHERE project = ? AND group_name = ? AND producer = ? {OFFSET_CONFLICT}"
                );
                tx.execute(&sql, params![key.project.0, &*key.name, *producer]).await?;
            }
            let sql =
                "DELETE FROM stream_group_pending WHERE project = ? AND group_name = ? AND producer = ?";
            tx.execute(sql, params![key.project.0, &*key.name, *producer]).await?;
        }
        Step::Share { key, topic, partition, body } => {
            let sql =
                "INSERT INTO stream_share (project, group_name, topic_id, part, body) VALUES (?, ?, ?, ?, ?)
                       ON CONFLICT (project, group_name, topic_id, part) DO UPDATE SET body = excluded.body";
            let topic = show_id(topic);
            tx.execute(sql, params![key.project.0, &*key.name, topic.as_str(), i64::from(*partition), body])
                .await?;
        }
        Step::ForgetShares { key, topic: None } => {
            let sql = "DELETE FROM stream_share WHERE project = ? AND group_name = ?";
            tx.execute(sql, params![key.project.0, &*key.name]).await?;
        }
        Step::ForgetShares { key, topic: Some(topic) } => {
            let sql = "DELETE FROM stream_share WHERE project = ? AND group_name = ? AND topic_id = ?";
            tx.execute(sql, params![key.project.0, &*key.name, show_id(topic).as_str()]).await?;
        }
        Step::DropGroup { key } => {
            for table in TABLES {
                let sql = format!("DELETE FROM {table} WHERE project = ? AND group_name = ?");
                tx.execute(&sql, params![key.project.0, &*key.name]).await?;
            }
            let sql = "DELETE FROM stream_group WHERE project = ? AND name = ?";
            tx.execute(sql, params![key.project.0, &*key.name]).await?;
        }
        Step::DropProject(project) => {
            for table in TABLES.into_iter().chain(["stream_group"]) {
                tx.execute(&format!("DELETE FROM {table} WHERE project = ?"), params![project.0]).await?;
            }
        }
    }
    Ok(())
}
