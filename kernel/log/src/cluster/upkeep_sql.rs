//! The statements of upkeep. Each transaction proves that the lease is still held; none holds a partition's lock
//! for longer than one update of it, as commits wait for those.

use std::collections::HashMap;
use std::sync::Arc;

use candor_meta::{Engine, Param, Tx, params};
use candor_model::{Partition, ProjectId, Signal, Timestamp, TopicName};

use super::sequencer::{Run, SequencerError};
use super::sql::{
    STATE_GARBAGE, STATE_HISTORY, STATE_PURGED, STATE_SEALED, SqlSequencer, int, offset, rows_of,
};
use crate::Topic;

/// Rows of one statement.
const ROWS_MAX: usize = 500;

/// Expired chunks looked at in one go; more wait for the next.
const EXPIRED_MAX: i64 = 10_000;

/// The right to keep the log in shape, held by one node at a time.
#[derive(Debug, Clone)]
pub(super) struct Lease {
    pub holder: String,
    pub epoch: i64,
}

/// A partition with its id.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Identified {
    pub id: i64,
    pub topic: Topic,
    pub partition: Partition,
}

/// A run that may go, as far as its age says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expired {
    pub partition: i64,
    pub next: u64,
    pub bytes: u64,
}

/// A segment that is to be compacted, or went into one that was.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub partition: i64,
    pub base: u64,
    pub next: u64,
    pub bytes: u64,
    pub ingested: i64,
    pub max_timestamp: i64,
}

/// The topics of signals, as SQL has them in a list: what is of streams is kept as its topic says.
fn signal_topics() -> String {
    let quoted: Vec<String> = Signal::ALL.iter().map(|signal| format!("'{}'", signal.topic())).collect();
    quoted.join(", ")
}

/// Lets go of runs below the start of their partition, of one project or of all, and notes which segments hold them.
pub(super) async fn purge_gone(tx: &mut Tx, project: Option<ProjectId>) -> Result<(), SequencerError> {
    let of_project = project.map(|project| format!("AND p.project = {}", project.0)).unwrap_or_default();
    let gone = format!(
        "SELECT 1 FROM log_partition p WHERE p.id = r.partition_id {of_project} AND r.next <= p.start_offset"
    );
    let mark = format!(
        "UPDATE log_segment SET state = ? WHERE state <> ? AND name IN \
         (SELECT r.segment FROM log_run r WHERE EXISTS ({gone}))"
    );
    tx.execute(&mark, params![STATE_PURGED, STATE_GARBAGE]).await?;
    tx.execute(&format!("DELETE FROM log_run AS r WHERE EXISTS ({gone})"), &[]).await?;
    Ok(())
}

/// Lets go of runs below the start of a partition, and notes which segments hold them. By the primary key: whoever calls
/// holds the partition's row.
pub(super) async fn purge_below_start(tx: &mut Tx, id: i64) -> Result<(), SequencerError> {
    let start = "(SELECT start_offset FROM log_partition WHERE id = ?)";
    let gone = format!("partition_id = ? AND base < {start} AND next <= {start}");
    let mark = format!(
        "UPDATE log_segment SET state = ? WHERE state <> ? AND name IN (SELECT segment FROM log_run WHERE {gone})"
    );
    tx.execute(&mark, params![STATE_PURGED, STATE_GARBAGE, id, id, id]).await?;
    tx.execute(&format!("DELETE FROM log_run WHERE {gone}"), params![id, id, id]).await?;
    Ok(())
}

/// Lets history segments be found, each with its bytes and what it holds.
pub(super) async fn insert_made(
    tx: &mut Tx,
    made: &[(Arc<str>, u64, Vec<Part>)],
    now: Timestamp,
) -> Result<(), SequencerError> {
    for (segment, bytes, parts) in made {
        tx.execute(
            "INSERT INTO log_segment (name, bytes, made, state) VALUES (?, ?, ?, ?)",
            params![&**segment, int(*bytes), now.0, STATE_HISTORY],
        )
        .await?;
        for parts in parts.chunks(ROWS_MAX) {
            let sql = format!(
                "INSERT INTO log_run \
                 (partition_id, base, next, segment, relative, bytes, ingested, max_timestamp) VALUES {}",
                rows_of(8, parts.len())
            );
            let row = |part: &Part| {
                [
                    Param::from(part.partition),
                    Param::from(int(part.base)),
                    Param::from(int(part.next)),
                    Param::from(&**segment),
                    Param::from(int(part.base)),
                    Param::from(int(part.bytes)),
                    Param::from(part.ingested),
                    Param::from(part.max_timestamp),
                ]
            };
            let params: Vec<Param> = parts.iter().flat_map(row).collect();
            tx.execute(&sql, &params).await?;
        }
    }
    Ok(())
}

impl SqlSequencer {
    /// Takes or renews the lease until `until`; none while another node holds it.
    pub(super) async fn take_lease(
        &self,
        holder: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<Lease>, SequencerError> {
        let rows = self
            .database
            .query(
                "INSERT INTO log_lease (name, holder, until, epoch) VALUES ('upkeep', ?, ?, 1) \
                 ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until, \
                 epoch = CASE WHEN log_lease.holder = excluded.holder THEN log_lease.epoch \
                 ELSE log_lease.epoch + 1 END \
                 WHERE log_lease.until < ? OR log_lease.holder = excluded.holder RETURNING epoch",
                params![holder, until.0, now.0],
            )
            .await?;
        let Some(row) = rows.first() else { return Ok(None) };
        Ok(Some(Lease { holder: holder.to_owned(), epoch: row.int(0)? }))
    }

    /// Begins a transaction that proves that the lease is held.
    pub(super) async fn begin_fenced(&self, lease: &Lease) -> Result<Tx, SequencerError> {
        let mut tx = self.database.begin().await?;
        let mut sql =
            String::from("SELECT epoch FROM log_lease WHERE name = 'upkeep' AND holder = ? AND epoch = ?");
        if self.database.engine() == Engine::Postgres {
            sql.push_str(" FOR SHARE");
        }
        match tx.query(&sql, params![lease.holder.as_str(), lease.epoch]).await?.is_empty() {
            true => Err(SequencerError::Fenced),
            false => Ok(tx),
        }
    }

    /// Every partition but those of deleted topics, by id.
    pub(super) async fn identified(&self) -> Result<HashMap<i64, Identified>, SequencerError> {
        let sql = "SELECT id, project, topic, part FROM log_partition WHERE deleted = 0";
        let mut all = HashMap::new();
        for row in self.database.query(sql, &[]).await? {
            let topic = Topic { project: ProjectId(row.int(1)?), name: TopicName(row.text(2)?.to_owned()) };
            let partition = Partition(u32::try_from(row.int(3)?).unwrap_or(0));
            all.insert(row.int(0)?, Identified { id: row.int(0)?, topic, partition });
        }
        Ok(all)
    }

    /// How far consumers came, by partition.
    pub(super) async fn positions(&self) -> Result<HashMap<i64, HashMap<String, u64>>, SequencerError> {
        let sql = "SELECT partition_id, consumer, next FROM log_consumed";
        let mut all: HashMap<i64, HashMap<String, u64>> = HashMap::new();
        for row in self.database.query(sql, &[]).await? {
            let of_partition = all.entry(row.int(0)?).or_default();
            of_partition.insert(row.text(1)?.to_owned(), offset(&row, 2)?);
        }
        Ok(all)
    }

    /// Keeps how far consumers came. Positions never go back.
    pub(super) async fn record_consumed(
        &self,
        consumed: &[(Topic, Partition, &'static str, u64)],
    ) -> Result<(), SequencerError> {
        let mut rows = Vec::with_capacity(consumed.len());
        for (topic, partition, consumer, next) in consumed {
            if let Some(id) = self.known_id(topic, *partition).await? {
                rows.push((id, *consumer, *next));
            }
        }
        for rows in rows.chunks(ROWS_MAX) {
            let sql = format!(
                "INSERT INTO log_consumed (partition_id, consumer, next) VALUES {} \
                 ON CONFLICT (partition_id, consumer) DO UPDATE SET next = excluded.next \
                 WHERE excluded.next > log_consumed.next",
                rows_of(3, rows.len())
            );
            let row = |(id, consumer, next): &(i64, &'static str, u64)| {
                [Param::from(*id), Param::from(*consumer), Param::from(int(*next))]
            };
            let params: Vec<Param> = rows.iter().flat_map(row).collect();
            self.database.execute(&sql, &params).await?;
        }
        Ok(())
    }

    /// Runs of signals older than a moment, oldest first.
    pub(super) async fn older_than(&self, moment: Timestamp) -> Result<Vec<Expired>, SequencerError> {
        let sql = format!(
            "SELECT r.partition_id, r.next, r.bytes FROM log_run r JOIN log_partition p ON p.id = r.partition_id \
             WHERE r.ingested < ? AND p.topic IN ({}) ORDER BY r.ingested, r.base LIMIT ?",
            signal_topics()
        );
        self.expired(&sql, params![moment.0, EXPIRED_MAX]).await
    }

    /// Projects whose signals' runs take more than so many bytes, and how many they take.
    pub(super) async fn larger_than(&self, bytes: u64) -> Result<Vec<(i64, u64)>, SequencerError> {
        let sql = format!(
            "SELECT p.project, CAST(SUM(r.bytes) AS BIGINT) FROM log_run r \
             JOIN log_partition p ON p.id = r.partition_id WHERE p.topic IN ({}) \
             GROUP BY p.project HAVING SUM(r.bytes) > ?",
            signal_topics()
        );
        let mut all = Vec::new();
        for row in self.database.query(&sql, params![int(bytes)]).await? {
            all.push((row.int(0)?, offset(&row, 1)?));
        }
        Ok(all)
    }

    /// A project's runs of signals, oldest first.
    pub(super) async fn oldest_of(&self, project: i64) -> Result<Vec<Expired>, SequencerError> {
        let sql = format!(
            "SELECT r.partition_id, r.next, r.bytes FROM log_run r \
             JOIN log_partition p ON p.id = r.partition_id WHERE p.project = ? AND p.topic IN ({}) \
             ORDER BY r.ingested, r.base LIMIT ?",
            signal_topics()
        );
        self.expired(&sql, params![project, EXPIRED_MAX]).await
    }

    async fn expired(&self, sql: &str, params: &[Param]) -> Result<Vec<Expired>, SequencerError> {
        let mut all = Vec::new();
        for row in self.database.query(sql, params).await? {
            all.push(Expired { partition: row.int(0)?, next: offset(&row, 1)?, bytes: offset(&row, 2)? });
        }
        Ok(all)
    }

    /// Lets a partition begin at `start`.
    pub(super) async fn trim(&self, lease: &Lease, partition: i64, start: u64) -> Result<(), SequencerError> {
        let mut tx = self.begin_fenced(lease).await?;
        tx.execute(
            "DELETE FROM log_run WHERE partition_id = ? AND next <= ?",
            params![partition, int(start)],
        )
        .await?;
        tx.execute(
            "UPDATE log_partition SET start_offset = ?, changed = ? WHERE id = ? AND start_offset < ?",
            params![int(start), self.clock.now().0, partition, int(start)],
        )
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Lets go of all that a project has.
    pub(super) async fn forget(&self, project: ProjectId) -> Result<(), SequencerError> {
        let mut tx = self.database.begin().await?;
        let now = self.clock.now().0;
        tx.execute(
            "UPDATE log_partition SET start_offset = next_offset, changed = ? \
             WHERE project = ? AND start_offset < next_offset",
            params![now, project.0],
        )
        .await?;
        purge_gone(&mut tx, Some(project)).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Segments sealed before a moment, oldest first, with their sizes.
    pub(super) async fn sealed_before(
        &self,
        moment: Timestamp,
    ) -> Result<Vec<(Arc<str>, u64)>, SequencerError> {
        self.in_state(STATE_SEALED, moment).await
    }

    /// Segments sealed before a moment that hold batches of deleted projects, oldest first, with their sizes.
    pub(super) async fn purged_before(
        &self,
        moment: Timestamp,
    ) -> Result<Vec<(Arc<str>, u64)>, SequencerError> {
        self.in_state(STATE_PURGED, moment).await
    }

    async fn in_state(&self, state: i64, moment: Timestamp) -> Result<Vec<(Arc<str>, u64)>, SequencerError> {
        let sql = "SELECT name, bytes FROM log_segment WHERE state = ? AND made < ? ORDER BY made LIMIT 5000";
        let mut all = Vec::new();
        for row in self.database.query(sql, params![state, moment.0]).await? {
            all.push((Arc::from(row.text(0)?), offset(&row, 1)?));
        }
        Ok(all)
    }

    /// What segments hold, by partition, in offset order.
    pub(super) async fn runs_in(
        &self,
        segments: &[Arc<str>],
    ) -> Result<Vec<(i64, Run, u64)>, SequencerError> {
        let mut all = Vec::new();
        for segments in segments.chunks(ROWS_MAX) {
            let sql = format!(
                "SELECT partition_id, base, next, segment, relative, bytes FROM log_run WHERE segment IN {}",
                rows_of(segments.len(), 1)
            );
            let params: Vec<Param> = segments.iter().map(|segment| Param::from(&**segment)).collect();
            for row in self.database.query(&sql, &params).await? {
                let run = Run {
                    base: offset(&row, 1)?,
                    next: offset(&row, 2)?,
                    segment: row.text(3)?.into(),
                    relative: offset(&row, 4)?,
                };
                all.push((row.int(0)?, run, offset(&row, 5)?));
            }
        }
        all.sort_by_key(|(partition, run, _)| (*partition, run.base));
        Ok(all)
    }

    /// Puts history segments in the place of those they were made of.
    pub(super) async fn swap(
        &self,
        lease: &Lease,
        victims: &[Arc<str>],
        made: &[(Arc<str>, u64, Vec<Part>)],
    ) -> Result<(), SequencerError> {
        let mut tx = self.begin_fenced(lease).await?;
        for victims in victims.chunks(ROWS_MAX) {
            let sql = format!("DELETE FROM log_run WHERE segment IN {}", rows_of(victims.len(), 1));
            let params: Vec<Param> = victims.iter().map(|segment| Param::from(&**segment)).collect();
            tx.execute(&sql, &params).await?;
            // Never compacted again, and garbage once nobody can be reading them.
            let sql = format!("UPDATE log_segment SET state = ? WHERE name IN {}", rows_of(victims.len(), 1));
            let params: Vec<Param> = [Param::from(STATE_HISTORY)].into_iter().chain(params).collect();
            tx.execute(&sql, &params).await?;
        }
        insert_made(&mut tx, made, self.now()).await?;
        // What a project's deletion let go of in between stays gone.
        purge_gone(&mut tx, None).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Marks segments that hold nothing any more as garbage. They were committed before `moment`.
    pub(super) async fn give_up_empty(
        &self,
        lease: &Lease,
        moment: Timestamp,
    ) -> Result<u64, SequencerError> {
        let mut tx = self.begin_fenced(lease).await?;
        let marked = tx
            .execute(
                "UPDATE log_segment SET state = ?, made = ? WHERE state <> ? AND made < ? \
                 AND NOT EXISTS (SELECT 1 FROM log_run r WHERE r.segment = name)",
                params![STATE_GARBAGE, self.clock.now().0, STATE_GARBAGE, moment.0],
            )
            .await?;
        tx.commit().await?;
        Ok(marked)
    }

    /// Marks segments that were put and never committed as garbage; from then on they cannot be.
    pub(super) async fn give_up_uncommitted(
        &self,
        lease: &Lease,
        segments: &[Arc<str>],
    ) -> Result<u64, SequencerError> {
        let mut marked = 0;
        for segments in segments.chunks(ROWS_MAX) {
            let mut tx = self.begin_fenced(lease).await?;
            let sql = format!(
                "INSERT INTO log_segment (name, bytes, made, state) VALUES {} ON CONFLICT (name) DO NOTHING",
                rows_of(4, segments.len())
            );
            let now = self.clock.now().0;
            let row = |segment: &Arc<str>| {
                [Param::from(&**segment), Param::from(0), Param::from(now), Param::from(STATE_GARBAGE)]
            };
            let params: Vec<Param> = segments.iter().flat_map(row).collect();
            marked += tx.execute(&sql, &params).await?;
            tx.commit().await?;
        }
        Ok(marked)
    }

    /// Garbage that was marked before a moment.
    pub(super) async fn garbage(&self, moment: Timestamp) -> Result<Vec<Arc<str>>, SequencerError> {
        let sql = "SELECT name FROM log_segment WHERE state = ? AND made < ? ORDER BY made LIMIT 5000";
        let rows = self.database.query(sql, params![STATE_GARBAGE, moment.0]).await?;
        let mut all = Vec::with_capacity(rows.len());
        for row in rows {
            all.push(Arc::from(row.text(0)?));
        }
        Ok(all)
    }

    /// Forgets garbage whose file is gone.
    pub(super) async fn forget_garbage(&self, segments: &[Arc<str>]) -> Result<(), SequencerError> {
        for segments in segments.chunks(ROWS_MAX) {
            let sql =
                format!("DELETE FROM log_segment WHERE state = ? AND name IN {}", rows_of(segments.len(), 1));
            let state = [Param::from(STATE_GARBAGE)];
            let params: Vec<Param> =
                state.into_iter().chain(segments.iter().map(|segment| Param::from(&**segment))).collect();
            self.database.execute(&sql, &params).await?;
        }
        Ok(())
    }

    /// Forgets request ids older than a moment.
    pub(super) async fn forget_requests(&self, moment: Timestamp) -> Result<u64, SequencerError> {
        let sql = "DELETE FROM log_request WHERE made < ?";
        Ok(self.database.execute(sql, params![moment.0]).await?)
    }
}
