//! The tables of transactions in the metadata database.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use async_trait::async_trait;
use candor_meta::{Database, Migration, Param, Row, SqlError, Tx, params};
use candor_model::{Partition, ProjectId, Timestamp, TopicName};

use super::state::{Parts, Phase, Places, Transaction};
use super::storage::{Key, Step, Storage};

const MIGRATIONS: &[Migration] = &[Migration {
    owner: "streams.transactions",
    version: 1,
    sql: "
    CREATE TABLE stream_transaction (
        project BIGINT NOT NULL,
        id TEXT NOT NULL,
        producer BIGINT NOT NULL,
        epoch BIGINT NOT NULL,
        last_epoch BIGINT NOT NULL,
        last_producer BIGINT NOT NULL,
        next_producer BIGINT NOT NULL,
        timeout_ms BIGINT NOT NULL,
        phase TEXT NOT NULL,
        started_at BIGINT NOT NULL,
        changed_at BIGINT NOT NULL,
        PRIMARY KEY (project, id)
    );
    CREATE TABLE stream_transaction_part (
        project BIGINT NOT NULL,
        id TEXT NOT NULL,
        in_log TEXT NOT NULL,
        part BIGINT NOT NULL,
        topic TEXT NOT NULL,
        PRIMARY KEY (project, id, in_log, part)
    );
    CREATE TABLE stream_transaction_group (
        project BIGINT NOT NULL,
        id TEXT NOT NULL,
        group_name TEXT NOT NULL,
        PRIMARY KEY (project, id, group_name)
    )
",
}];

/// Rows of one `INSERT`. SQLite takes 32,766 parameters.
const ROWS_PER_STATEMENT: usize = 500;

const TABLES: [&str; 3] = ["stream_transaction", "stream_transaction_part", "stream_transaction_group"];

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
        for step in steps {
            write(&mut tx, step).await?;
        }
        tx.commit().await
    }

    async fn load(&self) -> Result<Vec<(Key, Transaction)>, SqlError> {
        let mut tx = self.database.begin_read().await?;
        let mut all: HashMap<Key, Transaction> = HashMap::new();
        let sql = "SELECT project, id, producer, epoch, last_epoch, last_producer, next_producer, timeout_ms, phase,
                   started_at, changed_at FROM stream_transaction";
        for row in tx.query(sql, &[]).await? {
            all.insert(key(&row)?, transaction(&row)?);
        }
        let sql = "SELECT project, id, in_log, part, topic FROM stream_transaction_part";
        for row in tx.query(sql, &[]).await? {
            let Some(of) = all.get_mut(&key(&row)?) else { continue };
            let partition = u32::try_from(row.int(3)?).map_err(|_| SqlError::Column(3))?;
            let name: Arc<str> = Arc::from(row.text(4)?);
            let empty = || Parts { name, partitions: BTreeSet::new() };
            let parts = of.places.entry(TopicName(row.text(2)?.to_owned())).or_insert_with(empty);
            parts.partitions.insert(Partition(partition));
        }
        let sql = "SELECT project, id, group_name FROM stream_transaction_group";
        for row in tx.query(sql, &[]).await? {
            if let Some(of) = all.get_mut(&key(&row)?) {
                of.groups.insert(Arc::from(row.text(2)?));
            }
        }
        Ok(all.into_iter().collect())
    }
}

fn key(row: &Row) -> Result<Key, SqlError> {
    Ok(Key { project: ProjectId(row.int(0)?), id: Arc::from(row.text(1)?) })
}

fn transaction(row: &Row) -> Result<Transaction, SqlError> {
    let epoch = |column| i16::try_from(row.int(column)?).map_err(|_| SqlError::Column(column));
    Ok(Transaction {
        producer: row.int(2)?,
        epoch: epoch(3)?,
        last_epoch: epoch(4)?,
        last_producer: row.int(5)?,
        next_producer: row.int(6)?,
        timeout_ms: i32::try_from(row.int(7)?).map_err(|_| SqlError::Column(7))?,
        phase: Phase::from_name(row.text(8)?).ok_or(SqlError::Column(8))?,
        started_at: Timestamp(row.int(9)?),
        changed_at: Timestamp(row.int(10)?),
        places: Places::new(),
        groups: BTreeSet::new(),
    })
}

async fn write(tx: &mut Tx, step: &Step) -> Result<(), SqlError> {
    match step {
        Step::Head { key, head } => {
            let sql = "INSERT INTO stream_transaction (project, id, producer, epoch, last_epoch, last_producer,
                           next_producer, timeout_ms, phase, started_at, changed_at)
                       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                       ON CONFLICT (project, id) DO UPDATE SET
                           producer = excluded.producer, epoch = excluded.epoch, last_epoch = excluded.last_epoch,
                           last_producer = excluded.last_producer, next_producer = excluded.next_producer,
                           timeout_ms = excluded.timeout_ms, phase = excluded.phase,
                           started_at = excluded.started_at, changed_at = excluded.changed_at";
            let values = params![
                key.project.0,
                &*key.id,
                head.producer,
                i64::from(head.epoch),
                i64::from(head.last_epoch),
                head.last_producer,
                head.next_producer,
                i64::from(head.timeout_ms),
                head.phase.name(),
                head.started_at.0,
                head.changed_at.0,
            ];
            tx.execute(sql, values).await?;
        }
        Step::Grow { key, places, groups } => {
            let parts = places.iter().flat_map(|(in_log, parts)| {
                parts.partitions.iter().map(move |partition| {
                    vec![
                        Param::from(key.project.0),
                        Param::from(&*key.id),
                        Param::from(&*in_log.0),
                        Param::from(i64::from(partition.0)),
                        Param::from(&*parts.name),
                    ]
                })
            });
            let of = "stream_transaction_part (project, id, in_log, part, topic)";
            insert(tx, of, 5, parts.collect()).await?;
            let named = groups
                .iter()
                .map(|group| vec![Param::from(key.project.0), Param::from(&*key.id), Param::from(&**group)]);
            insert(tx, "stream_transaction_group (project, id, group_name)", 3, named.collect()).await?;
        }
        Step::Clear { key } => {
            for table in TABLES.into_iter().skip(1) {
                let sql = format!("DELETE FROM {table} WHERE project = ? AND id = ?");
                tx.execute(&sql, params![key.project.0, &*key.id]).await?;
            }
        }
        Step::Drop { key } => {
            for table in TABLES {
                let sql = format!("DELETE FROM {table} WHERE project = ? AND id = ?");
                tx.execute(&sql, params![key.project.0, &*key.id]).await?;
            }
        }
        Step::DropProject(project) => {
            for table in TABLES {
                tx.execute(&format!("DELETE FROM {table} WHERE project = ?"), params![project.0]).await?;
            }
        }
    }
    Ok(())
}

/// Inserts rows of so many columns that may be there already.
async fn insert(tx: &mut Tx, table: &str, columns: usize, rows: Vec<Vec<Param>>) -> Result<(), SqlError> {
    for chunk in rows.chunks(ROWS_PER_STATEMENT) {
        let tuple = format!("({})", vec!["?"; columns].join(", "));
        let tuples = vec![tuple; chunk.len()].join(", ");
        let sql = format!("INSERT INTO {table} VALUES {tuples} ON CONFLICT DO NOTHING");
        let values: Vec<Param> = chunk.iter().flatten().cloned().collect();
        tx.execute(&sql, &values).await?;
    }
    Ok(())
}
