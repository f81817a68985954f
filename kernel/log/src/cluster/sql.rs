//! The sequencer in SQL: one row a partition, locked in the order of ids, one row a segment and one a run of
//! batches. Written for PostgreSQL; SQLite takes the same statements, which is what the simulation runs on.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::sync::Arc;

use async_trait::async_trait;
use candor_meta::{Database, Engine, Migration, Param, Row, Tx, params};
use candor_model::{Clock, Partition, ProjectId, RequestId, Timestamp, TopicName};
use parking_lot::Mutex;

use super::broken::{Step, left_out};
use super::cleaner_sql;
use super::floor_sql::{self, floors_of};
use super::requests_sql::{find_requests, wanted_requests};
use super::sequencer::{Bounds, Outcome, Proposal, Run, Sequenced, Sequencer, SequencerError};
use super::streams_sql::{
    self, DELETED_PART, NO_ID, ProducerKey, Streams, find_producers, present, transactions, wanted_producers,
    write_streams,
};
use crate::Topic;
use crate::floors::Floors;
use crate::producers::{Producer, Rejected, Verdict, check};
use crate::streams::StreamState;

/// Rows of one statement: PostgreSQL takes 65,535 parameters, and a statement this long is no slower in pieces.
pub(super) const ROWS_MAX: usize = 500;

/// A segment whose batches may be read.
pub(super) const STATE_SEALED: i64 = 0;
/// A segment made of others.
pub(super) const STATE_HISTORY: i64 = 1;
/// A segment that holds batches of a deleted project: what else is in it is written elsewhere, so that it can go.
pub(super) const STATE_PURGED: i64 = 3;
/// A segment that is to go; it cannot be committed any more.
pub(super) const STATE_GARBAGE: i64 = 2;

/// Autovacuum comes early on what is written first in, first out; the defaults take hours to notice.
const SCHEMA: &str = "
CREATE TABLE log_partition (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    project INTEGER NOT NULL, topic TEXT NOT NULL, part INTEGER NOT NULL,
    start_offset INTEGER NOT NULL, next_offset INTEGER NOT NULL, changed INTEGER NOT NULL,
    UNIQUE (project, topic, part));
CREATE INDEX log_partition_changed ON log_partition (changed);
CREATE TABLE log_segment (
    name TEXT PRIMARY KEY, bytes INTEGER NOT NULL, made INTEGER NOT NULL, state INTEGER NOT NULL);
CREATE INDEX log_segment_made ON log_segment (state, made);
CREATE TABLE log_run (
    partition_id INTEGER NOT NULL, base INTEGER NOT NULL, next INTEGER NOT NULL,
    segment TEXT NOT NULL, relative INTEGER NOT NULL, bytes INTEGER NOT NULL, ingested INTEGER NOT NULL,
    PRIMARY KEY (partition_id, base));
CREATE INDEX log_run_segment ON log_run (segment);
CREATE INDEX log_run_ingested ON log_run (ingested);
CREATE TABLE log_request (
    partition_id INTEGER NOT NULL, request BLOB NOT NULL, base INTEGER NOT NULL, records INTEGER NOT NULL,
    made INTEGER NOT NULL, PRIMARY KEY (partition_id, request));
CREATE INDEX log_request_made ON log_request (made);
CREATE TABLE log_consumed (
    partition_id INTEGER NOT NULL, consumer TEXT NOT NULL, next INTEGER NOT NULL,
    PRIMARY KEY (partition_id, consumer));
CREATE TABLE log_lease (
    name TEXT PRIMARY KEY, holder TEXT NOT NULL, until INTEGER NOT NULL, epoch INTEGER NOT NULL);
";

pub(super) const MIGRATIONS: &[Migration] = &[
    Migration { owner: "log", version: 1, sql: SCHEMA },
    Migration { owner: "log", version: 2, sql: streams_sql::SCHEMA },
    Migration { owner: "log", version: 3, sql: cleaner_sql::SCHEMA },
    Migration { owner: "log", version: 4, sql: streams_sql::DELETED_SCHEMA },
    Migration { owner: "log", version: 5, sql: floor_sql::SCHEMA },
];

/// The sequencer of an instance. All nodes share its database.
pub(crate) struct SqlSequencer {
    pub(super) database: Database,
    pub(super) clock: Arc<dyn Clock>,
    /// Ids of partitions: they never change.
    ids: Mutex<HashMap<(Topic, Partition), i64>>,
}

pub(super) fn int(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

pub(super) fn offset(row: &Row, column: usize) -> Result<u64, candor_meta::SqlError> {
    Ok(u64::try_from(row.int(column)?).unwrap_or(0))
}

/// `(?, ?), (?, ?)` for so many rows of so many columns.
pub(super) fn rows_of(columns: usize, rows: usize) -> String {
    let row = format!("({})", vec!["?"; columns].join(", "));
    vec![row; rows].join(", ")
}

impl SqlSequencer {
    pub async fn open(database: Database, clock: Arc<dyn Clock>) -> Result<SqlSequencer, SequencerError> {
        database.migrate(MIGRATIONS).await?;
        Ok(SqlSequencer { database, clock, ids: Mutex::new(HashMap::new()) })
    }

    /// The time.
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(super) async fn known_id(
        &self,
        topic: &Topic,
        partition: Partition,
    ) -> Result<Option<i64>, SequencerError> {
        let name = (topic.clone(), partition);
        if let Some(id) = self.ids.lock().get(&name) {
            return Ok(Some(*id));
        }
        let sql = "SELECT id FROM log_partition WHERE project = ? AND topic = ? AND part = ?";
        let params = params![topic.project.0, topic.name.0.as_str(), i64::from(partition.0)];
        let rows = self.database.query(sql, params).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let id = row.int(0)?;
        self.ids.lock().insert(name, id);
        Ok(Some(id))
    }

    /// The id of a partition, which is made where there is none; `NO_ID` where its topic was deleted.
    async fn id_of(&self, topic: &Topic, partition: Partition) -> Result<i64, SequencerError> {
        let (project, name) = (topic.project.0, topic.name.0.as_str());
        if let Some(id) = self.known_id(topic, partition).await? {
            return Ok(id);
        }
        self.database
            .execute(
                "INSERT INTO log_partition (project, topic, part, start_offset, next_offset, changed) \
                 SELECT CAST(? AS BIGINT), CAST(? AS TEXT), CAST(? AS BIGINT), 0, 0, CAST(? AS BIGINT) WHERE NOT EXISTS \
                 (SELECT 1 FROM log_partition WHERE project = ? AND topic = ? AND part = ?) \
                 ON CONFLICT (project, topic, part) DO NOTHING",
                params![project, name, i64::from(partition.0), self.clock.now().0, project, name, DELETED_PART],
            )
            .await?;
        Ok(self.known_id(topic, partition).await?.unwrap_or(NO_ID))
    }

    /// Locks partitions, always in the order of their ids, and gives the next offset of each that there is.
    async fn lock(&self, tx: &mut Tx, ids: &[i64]) -> Result<HashMap<i64, u64>, SequencerError> {
        let mut held = HashMap::new();
        for ids in ids.chunks(ROWS_MAX) {
            let mut sql = format!(
                "SELECT id, next_offset FROM log_partition WHERE id IN {} AND deleted = 0 ORDER BY id",
                rows_of(ids.len(), 1)
            );
            if self.database.engine() == Engine::Postgres {
                sql.push_str(" FOR UPDATE");
            }
            let params: Vec<Param> = ids.iter().map(|id| Param::from(*id)).collect();
            for row in tx.query(&sql, &params).await? {
                held.insert(row.int(0)?, offset(&row, 1)?);
            }
        }
        Ok(held)
    }

    /// What became of a segment that was committed before.
    async fn outcome(&self, proposal: &Proposal, ids: &[i64]) -> Result<Vec<Vec<Outcome>>, SequencerError> {
        let mut tx = self.database.begin_read().await?;
        let sql = "SELECT state FROM log_segment WHERE name = ?";
        let state = tx.query(sql, params![&*proposal.key]).await?;
        let state = state.first().map(|row| row.int(0)).transpose()?;
        if state == Some(STATE_GARBAGE) {
            return Err(SequencerError::GivenUp(Arc::clone(&proposal.key)));
        }
        let sql = "SELECT partition_id, base, next, relative FROM log_run WHERE segment = ?";
        let mut runs: HashMap<i64, Vec<(u64, u64, u64)>> = HashMap::new();
        for row in tx.query(sql, params![&*proposal.key]).await? {
            let run = (offset(&row, 1)?, offset(&row, 2)?, offset(&row, 3)?);
            runs.entry(row.int(0)?).or_default().push(run);
        }
        let requests = wanted_requests(proposal, ids);
        let requests = find_requests(&mut tx, &requests).await?;
        let producers = wanted_producers(proposal, ids);
        let producers = find_producers(&mut tx, &producers, proposal.made_at).await?;
        let held = present(&mut tx, ids).await?;
        let floors = floors_of(&mut tx, proposal).await?;
        let mut parts = Vec::with_capacity(proposal.parts.len());
        for (part, id) in proposal.parts.iter().zip(ids) {
            let mut batches = Vec::with_capacity(part.batches.len());
            for batch in &part.batches {
                let runs = runs.get(id).into_iter().flatten();
                let mut holding = runs.filter_map(|(base, next, relative)| {
                    let within = batch.relative.checked_sub(*relative)?;
                    (within < next - base).then_some(base + within)
                });
                let fresh = holding.next().map(|base| (base, batch.count, false));
                let first = batch.request.and_then(|request| requests.get(&(*id, request)));
                let place = fresh.or_else(|| first.map(|(base, count)| (*base, *count, true)));
                if let Some((base, count, duplicate)) = place {
                    batches.push(Ok(Sequenced { base, count, duplicate }));
                    continue;
                }
                if !held.contains(id) {
                    batches.push(Err(Rejected::Deleted));
                    continue;
                }
                // Floors only rise: what was below one is still.
                if !floors.admit(part.topic.project, batch.epoch) {
                    batches.push(Err(Rejected::Outdated));
                    continue;
                }
                // A retry, or refused: by what is known of its producer since.
                let given_up = || SequencerError::GivenUp(Arc::clone(&proposal.key));
                let numbered = batch.numbered().ok_or_else(given_up)?;
                let known = producers.get(&(*id, numbered.header.producer_id));
                batches.push(match check(known, &numbered.header) {
                    Ok(Verdict::Duplicate(base)) => {
                        Ok(Sequenced { base, count: batch.count, duplicate: true })
                    }
                    Ok(Verdict::New) => return Err(given_up()),
                    Err(rejected) => Err(rejected),
                });
            }
            parts.push(batches);
        }
        Ok(parts)
    }
}

/// Neighbouring batches that are new.
struct SettledRun {
    partition: i64,
    base: u64,
    next: u64,
    relative: u64,
    bytes: u64,
    max_timestamp: i64,
}

/// Offsets of a segment, settled against locked partitions; what is to be written.
struct Settled {
    parts: Vec<Vec<Outcome>>,
    runs: Vec<SettledRun>,
    streams: Streams,
    requests: Vec<(i64, RequestId, u64, u32)>,
    ends: BTreeMap<i64, u64>,
}

fn settle(
    proposal: &Proposal,
    ids: &[i64],
    held: &HashMap<i64, u64>,
    stored: &HashMap<(i64, RequestId), (u64, u32)>,
    producers: &HashMap<ProducerKey, Producer>,
    floors: &Floors,
) -> Settled {
    let mut settled = Settled {
        parts: Vec::new(),
        runs: Vec::new(),
        streams: Streams::default(),
        requests: Vec::new(),
        ends: BTreeMap::new(),
    };
    for (part, id) in proposal.parts.iter().zip(ids) {
        let Some(mut end) = held.get(id).copied() else {
            settled.parts.push(vec![Err(Rejected::Deleted); part.batches.len()]);
            continue;
        };
        let mut seen: HashMap<RequestId, (u64, u32)> = HashMap::new();
        let mut run: Option<SettledRun> = None;
        let mut batches = Vec::with_capacity(part.batches.len());
        for batch in &part.batches {
            let first = batch
                .request
                .and_then(|request| stored.get(&(*id, request)).or_else(|| seen.get(&request)).copied());
            if let Some((base, count)) = first {
                // Its bytes in the segment are dead: the run ends before them.
                batches.push(Ok(Sequenced { base, count, duplicate: true }));
                settled.runs.extend(run.take());
                continue;
            }
            if !floors.admit(part.topic.project, batch.epoch) {
                batches.push(Err(Rejected::Outdated));
                settled.runs.extend(run.take());
                continue;
            }
            if let Some(stream) = batch.numbered() {
                let verdict = settled.streams.settle(*id, stream, end, proposal.made_at, producers);
                let stored = match verdict {
                    Ok(Verdict::New) => None,
                    Ok(Verdict::Duplicate(base)) => {
                        Some(Ok(Sequenced { base, count: batch.count, duplicate: true }))
                    }
                    Err(rejected) => Some(Err(rejected)),
                };
                if let Some(stored) = stored {
                    batches.push(stored);
                    settled.runs.extend(run.take());
                    continue;
                }
            }
            batches.push(Ok(Sequenced { base: end, count: batch.count, duplicate: false }));
            if batch.count == 0 {
                continue;
            }
            let next = end + u64::from(batch.count);
            let open = run.get_or_insert(SettledRun {
                partition: *id,
                base: end,
                next,
                relative: batch.relative,
                bytes: 0,
                max_timestamp: -1,
            });
            open.next = next;
            open.bytes += u64::from(batch.bytes);
            open.max_timestamp = open.max_timestamp.max(batch.max_timestamp());
            if let Some(request) = batch.request {
                seen.insert(request, (end, batch.count));
                settled.requests.push((*id, request, end, batch.count));
            }
            end = next;
        }
        settled.runs.extend(run);
        settled.ends.insert(*id, end);
        settled.parts.push(batches);
    }
    settled
}

#[async_trait]
impl Sequencer for SqlSequencer {
    async fn commit(&self, proposal: &Proposal) -> Result<Vec<Vec<Outcome>>, SequencerError> {
        let mut ids = Vec::with_capacity(proposal.parts.len());
        for part in &proposal.parts {
            ids.push(self.id_of(&part.topic, part.partition).await?);
        }
        let mut tx = self.database.begin().await?;
        let inserted = tx
            .execute(
                "INSERT INTO log_segment (name, bytes, made, state) VALUES (?, ?, ?, ?) \
                 ON CONFLICT (name) DO NOTHING",
                params![&*proposal.key, int(proposal.bytes), proposal.made_at.0, STATE_SEALED],
            )
            .await?;
        if inserted == 0 && !left_out(Step::SegmentId) {
            drop(tx);
            return self.outcome(proposal, &ids).await;
        }
        let mut sorted = ids.clone();
        sorted.sort_unstable();
        sorted.dedup();
        let held = self.lock(&mut tx, &sorted).await?;
        let wanted = wanted_requests(proposal, &ids);
        let stored = find_requests(&mut tx, &wanted).await?;
        let producers = wanted_producers(proposal, &ids);
        let producers = find_producers(&mut tx, &producers, proposal.made_at).await?;
        let floors = floors_of(&mut tx, proposal).await?;
        let settled = settle(proposal, &ids, &held, &stored, &producers, &floors);
        self.write(&mut tx, proposal, &settled).await?;
        tx.commit().await?;
        Ok(settled.parts)
    }

    async fn bounds(&self, since: Option<Timestamp>) -> Result<Vec<Bounds>, SequencerError> {
        let sql = "SELECT project, topic, part, start_offset, next_offset FROM log_partition \
                   WHERE changed >= ? AND part >= 0";
        let since = since.map_or(i64::MIN, |since| since.0);
        let rows = self.database.query(sql, params![since]).await?;
        rows.iter().map(bounds_in).collect()
    }

    async fn learn(&self) -> Result<Vec<(Bounds, Option<StreamState>)>, SequencerError> {
        let mut tx = self.database.begin_read().await?;
        let sql =
            "SELECT project, topic, part, start_offset, next_offset, id FROM log_partition WHERE deleted = 0";
        let rows = tx.query(sql, &[]).await?;
        let mut streams = transactions(&mut tx).await?;
        let mut all = Vec::with_capacity(rows.len());
        for row in &rows {
            all.push((bounds_in(row)?, streams.remove(&row.int(5)?)));
        }
        Ok(all)
    }

    async fn find(
        &self,
        topic: &Topic,
        partition: Partition,
        from: u64,
        limit: u32,
    ) -> Result<Vec<Run>, SequencerError> {
        let Some(id) = self.known_id(topic, partition).await? else { return Ok(Vec::new()) };
        // From the run that begins at or before `from`, found in the primary key, never from the oldest on.
        let sql = "SELECT base, next, segment, relative FROM log_run WHERE partition_id = ? AND next > ? \
                   AND base >= COALESCE((SELECT MAX(base) FROM log_run WHERE partition_id = ? AND base <= ?), 0) \
                   ORDER BY base LIMIT ?";
        let from = int(from);
        let params = params![id, from, id, from, i64::from(limit)];
        let mut runs = Vec::new();
        for row in self.database.query(sql, params).await? {
            runs.push(Run {
                base: offset(&row, 0)?,
                next: offset(&row, 1)?,
                segment: row.text(2)?.into(),
                relative: offset(&row, 3)?,
            });
        }
        Ok(runs)
    }
}

/// Project, topic, partition, start and next offset.
fn bounds_in(row: &Row) -> Result<Bounds, SequencerError> {
    Ok(Bounds {
        topic: Topic { project: ProjectId(row.int(0)?), name: TopicName(row.text(1)?.to_owned()) },
        partition: Partition(u32::try_from(row.int(2)?).unwrap_or(0)),
        start: offset(row, 3)?,
        next: offset(row, 4)?,
    })
}

impl SqlSequencer {
    async fn write(&self, tx: &mut Tx, proposal: &Proposal, settled: &Settled) -> Result<(), SequencerError> {
        let now = self.clock.now().0;
        let ends: Vec<(i64, u64)> = settled.ends.iter().map(|(id, end)| (*id, *end)).collect();
        for ends in ends.chunks(ROWS_MAX) {
            // The rows are there and locked; the values that a conflict ignores only fill the columns.
            let mut sql = String::from(
                "INSERT INTO log_partition (id, project, topic, part, start_offset, next_offset, changed) VALUES ",
            );
            let _ = write!(sql, "{}", rows_of(7, ends.len()));
            sql.push_str(
                " ON CONFLICT (id) DO UPDATE SET next_offset = excluded.next_offset, changed = excluded.changed",
            );
            let row = |(id, end): &(i64, u64)| {
                let filler = [Param::from(-*id), Param::from(""), Param::from(0), Param::from(0)];
                let values = [Param::from(int(*end)), Param::from(now)];
                [Param::from(*id)].into_iter().chain(filler).chain(values)
            };
            let params: Vec<Param> = ends.iter().flat_map(row).collect();
            tx.execute(&sql, &params).await?;
        }
        for runs in settled.runs.chunks(ROWS_MAX) {
            let sql = format!(
                "INSERT INTO log_run (partition_id, base, next, segment, relative, bytes, ingested, max_timestamp) \
                 VALUES {}",
                rows_of(8, runs.len())
            );
            let row = |run: &SettledRun| {
                [
                    Param::from(run.partition),
                    Param::from(int(run.base)),
                    Param::from(int(run.next)),
                    Param::from(&*proposal.key),
                    Param::from(int(run.relative)),
                    Param::from(int(run.bytes)),
                    Param::from(proposal.made_at.0),
                    Param::from(run.max_timestamp),
                ]
            };
            let params: Vec<Param> = runs.iter().flat_map(row).collect();
            tx.execute(&sql, &params).await?;
        }
        for requests in settled.requests.chunks(ROWS_MAX) {
            let sql = format!(
                "INSERT INTO log_request (partition_id, request, base, records, made) VALUES {} \
                 ON CONFLICT (partition_id, request) DO NOTHING",
                rows_of(5, requests.len())
            );
            let row = |(id, request, base, count): &(i64, RequestId, u64, u32)| {
                [
                    Param::from(*id),
                    Param::from(request.0.as_slice()),
                    Param::from(int(*base)),
                    Param::from(i64::from(*count)),
                    Param::from(now),
                ]
            };
            let params: Vec<Param> = requests.iter().flat_map(row).collect();
            tx.execute(&sql, &params).await?;
        }
        write_streams(tx, &settled.streams, self.clock.now()).await
    }
}
