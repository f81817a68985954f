//! The statements of streams: producers and transactions, which a commit checks and writes while it holds the lock of
//! their partitions; timestamps; what is deleted by hand.

use std::collections::{BTreeMap, HashMap, HashSet};

use bytes::Bytes;
use candor_meta::{Param, Tx, params};
use candor_model::{Partition, Timestamp};

use super::broken::{Step, left_out};
use super::sequencer::{Proposal, ProposedStream, SequencerError};
use super::sql::{SqlSequencer, int, offset, rows_of};
use super::upkeep_sql::{Lease, purge_gone};
use crate::Topic;
use crate::producers::{Producer, Rejected, Verdict, check};
use crate::streams::StreamState;
use crate::wire::Take;

/// Rows of one statement.
const ROWS_MAX: usize = 500;

pub(super) const SCHEMA: &str = "
CREATE TABLE log_producer (
    partition_id INTEGER NOT NULL, producer INTEGER NOT NULL, known BLOB NOT NULL, open_offset INTEGER,
    changed INTEGER NOT NULL, PRIMARY KEY (partition_id, producer));
CREATE INDEX log_producer_changed ON log_producer (changed);
CREATE TABLE log_aborted (
    partition_id INTEGER NOT NULL, marker INTEGER NOT NULL, producer INTEGER NOT NULL,
    first_offset INTEGER NOT NULL, PRIMARY KEY (partition_id, marker));
ALTER TABLE log_run ADD COLUMN max_timestamp INTEGER NOT NULL DEFAULT -1;
";

/// The number of no partition: the row of it says that a topic was deleted.
pub(super) const DELETED_PART: i64 = -1;

/// The id of no partition.
pub(super) const NO_ID: i64 = -1;

/// Set in rows of topics that were deleted.
pub(super) const DELETED_SCHEMA: &str = "
ALTER TABLE log_partition ADD COLUMN deleted INTEGER NOT NULL DEFAULT 0;
";

/// What a partition holds, as far as it matters for what is to be done of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Overview {
    pub bytes: u64,
    /// When the oldest of it was taken, microseconds.
    pub oldest: i64,
    /// Of what no pass of compaction has seen.
    pub dirty_bytes: u64,
    pub dirty_since: Option<i64>,
    /// When the first tombstone or marker may go, milliseconds since 1970.
    pub horizon: Option<i64>,
}

/// A partition's id and a producer's.
pub(super) type ProducerKey = (i64, i64);

/// What a commit changes of streams.
#[derive(Default)]
pub(super) struct Streams {
    pub producers: BTreeMap<ProducerKey, Producer>,
    /// Partition, marker, producer, first offset.
    pub aborted: Vec<(i64, u64, i64, u64)>,
}

impl Streams {
    /// Checks a batch against what is known, and takes it in at `base` where it is new.
    pub fn settle(
        &mut self,
        id: i64,
        stream: &ProposedStream,
        base: u64,
        at: Timestamp,
        stored: &HashMap<ProducerKey, Producer>,
    ) -> Result<Verdict, Rejected> {
        let header = &stream.header;
        let key = (id, header.producer_id);
        let known = self.producers.get(&key).or_else(|| stored.get(&key)).copied();
        let verdict = check(known.as_ref(), header)?;
        if verdict == Verdict::New {
            let mut producer = known.unwrap_or_else(|| Producer::new(header));
            let before = producer.open();
            producer.take(header, base, at.0);
            if let Some(first) = before.filter(|_| stream.aborts) {
                self.aborted.push((id, base, header.producer_id, first));
            }
            self.producers.insert(key, producer);
        }
        Ok(verdict)
    }
}

/// Producers whose batches a segment holds.
pub(super) fn wanted_producers(proposal: &Proposal, ids: &[i64]) -> Vec<ProducerKey> {
    let mut wanted = Vec::new();
    for (part, id) in proposal.parts.iter().zip(ids) {
        let numbered = part.batches.iter().filter_map(|batch| batch.numbered());
        wanted.extend(numbered.map(|stream| (*id, stream.header.producer_id)));
    }
    wanted.sort_unstable();
    wanted.dedup();
    wanted
}

/// Those of partitions that are there, and whose topic was not deleted.
pub(super) async fn present(tx: &mut Tx, ids: &[i64]) -> Result<HashSet<i64>, SequencerError> {
    let mut found = HashSet::new();
    for ids in ids.chunks(ROWS_MAX) {
        let list = rows_of(ids.len(), 1);
        let sql = format!("SELECT id FROM log_partition WHERE id IN {list} AND deleted = 0");
        let params: Vec<Param> = ids.iter().map(|id| Param::from(*id)).collect();
        for row in tx.query(&sql, &params).await? {
            found.insert(row.int(0)?);
        }
    }
    Ok(found)
}

/// What is known of producers of locked partitions.
pub(super) async fn find_producers(
    tx: &mut Tx,
    wanted: &[ProducerKey],
    now: Timestamp,
) -> Result<HashMap<ProducerKey, Producer>, SequencerError> {
    let mut found = HashMap::new();
    if left_out(Step::Producers) {
        return Ok(found);
    }
    for wanted in wanted.chunks(ROWS_MAX / 5) {
        let any = vec!["(partition_id = ? AND producer = ?)"; wanted.len()].join(" OR ");
        let sql = format!("SELECT partition_id, producer, known FROM log_producer WHERE {any}");
        let params: Vec<Param> =
            wanted.iter().flat_map(|(id, producer)| [Param::from(*id), Param::from(*producer)]).collect();
        for row in tx.query(&sql, &params).await? {
            let known = Producer::decode(&mut Take(Bytes::copy_from_slice(row.blob(2)?)));
            if let Some(known) = known.filter(|known| !known.has_expired(now.0)) {
                found.insert((row.int(0)?, row.int(1)?), known);
            }
        }
    }
    Ok(found)
}

/// Writes what a commit changed.
pub(super) async fn write_streams(
    tx: &mut Tx,
    streams: &Streams,
    now: Timestamp,
) -> Result<(), SequencerError> {
    let producers: Vec<_> = streams.producers.iter().collect();
    for producers in producers.chunks(ROWS_MAX) {
        let sql = format!(
            "INSERT INTO log_producer (partition_id, producer, known, open_offset, changed) VALUES {} \
             ON CONFLICT (partition_id, producer) DO UPDATE SET known = excluded.known, \
             open_offset = excluded.open_offset, changed = excluded.changed",
            rows_of(5, producers.len())
        );
        let row = |((id, producer), known): &(&ProducerKey, &Producer)| {
            let mut encoded = Vec::new();
            known.encode(&mut encoded);
            let open = known.open().map(int);
            [Param::from(*id), Param::from(*producer), encoded.into(), open.into(), Param::from(now.0)]
        };
        let params: Vec<Param> = producers.iter().flat_map(row).collect();
        tx.execute(&sql, &params).await?;
    }
    for aborted in streams.aborted.chunks(ROWS_MAX) {
        let sql = format!(
            "INSERT INTO log_aborted (partition_id, marker, producer, first_offset) VALUES {}",
            rows_of(4, aborted.len())
        );
        let row = |(id, marker, producer, first): &(i64, u64, i64, u64)| {
            let (marker, first) = (int(*marker), int(*first));
            [Param::from(*id), Param::from(marker), Param::from(*producer), Param::from(first)]
        };
        let params: Vec<Param> = aborted.iter().flat_map(row).collect();
        tx.execute(&sql, &params).await?;
    }
    Ok(())
}

/// Open and aborted transactions, by partition.
pub(super) async fn transactions(tx: &mut Tx) -> Result<HashMap<i64, StreamState>, SequencerError> {
    let mut all: HashMap<i64, StreamState> = HashMap::new();
    let sql = "SELECT partition_id, producer, known FROM log_producer WHERE open_offset IS NOT NULL";
    for row in tx.query(sql, &[]).await? {
        let known = Producer::decode(&mut Take(Bytes::copy_from_slice(row.blob(2)?)));
        if let Some(known) = known {
            all.entry(row.int(0)?).or_default().learn_open(row.int(1)?, known);
        }
    }
    let sql =
        "SELECT partition_id, producer, first_offset, marker FROM log_aborted ORDER BY partition_id, marker";
    for row in tx.query(sql, &[]).await? {
        let of_it = all.entry(row.int(0)?).or_default();
        of_it.learn_aborted(row.int(1)?, offset(&row, 2)?, offset(&row, 3)?);
    }
    Ok(all)
}

impl SqlSequencer {
    /// Where the first run from the one that holds `from` on begins that has a timestamp as late.
    pub(crate) async fn next_with(
        &self,
        topic: &Topic,
        partition: Partition,
        from: u64,
        timestamp: i64,
    ) -> Result<Option<u64>, SequencerError> {
        let Some(id) = self.known_id(topic, partition).await? else { return Ok(None) };
        let sql = "SELECT base FROM log_run WHERE partition_id = ? AND next > ? AND max_timestamp >= ? \
                   ORDER BY base LIMIT 1";
        let rows = self.database.query(sql, params![id, int(from), timestamp]).await?;
        Ok(rows.first().map(|row| offset(row, 0)).transpose()?.map(|base| base.max(from)))
    }

    /// The greatest timestamp of runs from an offset on, -1 without any, and up to where a run lies that begins before
    /// it.
    pub(crate) async fn known_greatest(
        &self,
        topic: &Topic,
        partition: Partition,
        start: u64,
    ) -> Result<(i64, u64), SequencerError> {
        let Some(id) = self.known_id(topic, partition).await? else { return Ok((-1, 0)) };
        let sql = "SELECT COALESCE(MAX(CASE WHEN base >= ? THEN max_timestamp END), -1), \
                   COALESCE(MAX(CASE WHEN base < ? THEN next END), 0) FROM log_run \
                   WHERE partition_id = ? AND next > ?";
        let start = int(start);
        let rows = self.database.query(sql, params![start, start, id, start]).await?;
        let Some(row) = rows.first() else { return Ok((-1, 0)) };
        Ok((row.int(0)?, offset(row, 1)?))
    }

    /// Lets a partition begin at `before`, unless it begins later. Gives where it begins.
    pub(crate) async fn delete_records(
        &self,
        topic: &Topic,
        partition: Partition,
        before: u64,
    ) -> Result<u64, SequencerError> {
        let Some(id) = self.known_id(topic, partition).await? else { return Ok(0) };
        let mut tx = self.database.begin().await?;
        let now = self.clock.now().0;
        tx.execute(
            "UPDATE log_partition SET start_offset = ?, changed = ? \
             WHERE id = ? AND start_offset < ? AND next_offset >= ?",
            params![int(before), now, id, int(before), int(before)],
        )
        .await?;
        tx.execute("DELETE FROM log_run WHERE partition_id = ? AND next <= ?", params![id, int(before)])
            .await?;
        tx.execute("DELETE FROM log_aborted WHERE partition_id = ? AND marker < ?", params![id, int(before)])
            .await?;
        let rows = tx.query("SELECT start_offset FROM log_partition WHERE id = ?", params![id]).await?;
        let start = rows.first().map(|row| offset(row, 0)).transpose()?.unwrap_or(0);
        tx.commit().await?;
        Ok(start)
    }

    /// Lets go of a topic: nothing more is taken for it. Its rows stay for as long as a commit of before may come, and
    /// one beside them says that of partitions that have none yet.
    pub(crate) async fn delete_topic(&self, topic: &Topic) -> Result<(), SequencerError> {
        let mut tx = self.database.begin().await?;
        let (project, name) = (topic.project, topic.name.0.as_str());
        let now = self.clock.now().0;
        tx.execute(
            "INSERT INTO log_partition (project, topic, part, start_offset, next_offset, changed, deleted) \
             VALUES (?, ?, ?, 0, 0, ?, 1) ON CONFLICT (project, topic, part) DO NOTHING",
            params![project.0, name, DELETED_PART, now],
        )
        .await?;
        tx.execute(
            "UPDATE log_partition SET start_offset = next_offset, changed = ?, deleted = 1 \
             WHERE project = ? AND topic = ? AND deleted = 0",
            params![now, project.0, name],
        )
        .await?;
        for table in ["log_producer", "log_aborted"] {
            let sql = format!(
                "DELETE FROM {table} WHERE partition_id IN \
                 (SELECT id FROM log_partition WHERE project = ? AND topic = ?)"
            );
            tx.execute(&sql, params![project.0, name]).await?;
        }
        purge_gone(&mut tx, Some(project)).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Removes the rows of topics that were deleted before a moment, and lets go of partitions that a commit made beside
    /// their deletion.
    pub(super) async fn forget_deleted(
        &self,
        lease: &Lease,
        moment: Timestamp,
    ) -> Result<(), SequencerError> {
        let any = "SELECT 1 FROM log_partition WHERE deleted = 1 LIMIT 1";
        if self.database.query(any, &[]).await?.is_empty() {
            return Ok(());
        }
        let mut tx = self.begin_fenced(lease).await?;
        let late = tx
            .execute(
                "UPDATE log_partition AS p SET start_offset = next_offset, changed = ?, deleted = 1 \
                 WHERE p.deleted = 0 AND EXISTS (SELECT 1 FROM log_partition d WHERE d.project = p.project \
                 AND d.topic = p.topic AND d.part = ?)",
                params![self.clock.now().0, DELETED_PART],
            )
            .await?;
        if late > 0 {
            purge_gone(&mut tx, None).await?;
        }
        for table in ["log_consumed", "log_request", "log_producer", "log_aborted"] {
            let sql = format!(
                "DELETE FROM {table} WHERE partition_id IN \
                 (SELECT id FROM log_partition WHERE deleted = 1 AND changed < ?)"
            );
            tx.execute(&sql, params![moment.0]).await?;
        }
        let sql = "DELETE FROM log_partition WHERE deleted = 1 AND changed < ? \
                   AND NOT EXISTS (SELECT 1 FROM log_run r WHERE r.partition_id = log_partition.id)";
        tx.execute(sql, params![moment.0]).await?;
        tx.commit().await?;
        Ok(())
    }

    /// What partitions hold, all of them in one go: what upkeep finds by whom it has something to do for.
    pub(super) async fn overview(&self) -> Result<HashMap<i64, Overview>, SequencerError> {
        let sql = "SELECT r.partition_id, CAST(SUM(r.bytes) AS BIGINT), MIN(r.ingested), \
                   CAST(COALESCE(SUM(CASE WHEN r.next > p.cleaned THEN r.bytes END), 0) AS BIGINT), \
                   MIN(CASE WHEN r.next > p.cleaned THEN r.ingested END), MIN(p.horizon) \
                   FROM log_run r JOIN log_partition p ON p.id = r.partition_id GROUP BY r.partition_id";
        let mut all = HashMap::new();
        for row in self.database.query(sql, &[]).await? {
            let overview = Overview {
                bytes: offset(&row, 1)?,
                oldest: row.int(2)?,
                dirty_bytes: offset(&row, 3)?,
                dirty_since: row.opt_int(4)?,
                horizon: row.opt_int(5)?,
            };
            all.insert(row.int(0)?, overview);
        }
        Ok(all)
    }

    /// Where a partition of a stream is to begin, so that nothing older than a moment and no more than so many bytes
    /// are kept, but all from `consumed` on; `None` where nothing has to go.
    pub(super) async fn expired_of(
        &self,
        id: i64,
        (moment, bytes): (Option<Timestamp>, Option<u64>),
        mut left: u64,
        consumed: u64,
    ) -> Result<Option<u64>, SequencerError> {
        // Runs go from the oldest on; what is young keeps what is behind it.
        let sql = "SELECT next, bytes, ingested FROM log_run WHERE partition_id = ? ORDER BY base LIMIT 1000";
        let mut start = None;
        for row in self.database.query(sql, params![id]).await? {
            let (next, size) = (offset(&row, 0)?, offset(&row, 1)?);
            let ingested = row.int(2)?;
            let is_old = moment.is_some_and(|moment| ingested < moment.0);
            let is_over = bytes.is_some_and(|most| left.saturating_sub(size) >= most);
            if next > consumed || !(is_old || is_over) {
                break;
            }
            left = left.saturating_sub(size);
            start = Some(next);
        }
        Ok(start)
    }

    /// Forgets producers that were not heard of since a moment, and aborted transactions below the start of their
    /// partition.
    pub(super) async fn forget_producers(&self, moment: Timestamp) -> Result<(), SequencerError> {
        let sql = "DELETE FROM log_producer WHERE changed < ? AND open_offset IS NULL";
        self.database.execute(sql, params![moment.0]).await?;
        let sql = "DELETE FROM log_aborted AS a WHERE EXISTS (SELECT 1 FROM log_partition p \
                   WHERE p.id = a.partition_id AND a.marker < p.start_offset)";
        self.database.execute(sql, &[]).await?;
        Ok(())
    }
}
