//! The statements of compaction by key.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use candor_meta::{Param, Tx, params};
use candor_model::Timestamp;

use super::sequencer::{Run, SequencerError};
use super::sql::{STATE_HISTORY, STATE_PURGED, STATE_SEALED, SqlSequencer, int, offset, rows_of};
use super::upkeep_sql::{Lease, Part, insert_made, purge_below_start};
use crate::cleaner::{Cleaned, Done};
use crate::producers::Producer;
use crate::wire::Take;

/// Rows of one statement.
const ROWS_MAX: usize = 500;

/// Runs of a partition that one pass looks at. Merged history has few.
const RUNS_MAX: i64 = 100_000;

pub(super) const SCHEMA: &str = "
ALTER TABLE log_partition ADD COLUMN cleaned INTEGER NOT NULL DEFAULT 0;
ALTER TABLE log_partition ADD COLUMN horizon INTEGER;
";

/// What may be compacted of a partition, and how far it is.
pub(super) struct Settled {
    pub cleaned: Cleaned,
    /// Each with its bytes, and when it was taken, microseconds.
    pub runs: Vec<(Run, u64, i64)>,
}

/// What a pass came to.
pub(super) struct Cleaning<'a> {
    pub partition: i64,
    /// What was read.
    pub runs: &'a [Run],
    /// What was written.
    pub made: &'a [(Arc<str>, u64, Vec<Part>)],
    pub done: &'a Done,
}

impl SqlSequencer {
    /// The first runs of a partition that end by `stable` and lie in segments that were committed before a moment.
    pub(super) async fn settled_of(
        &self,
        id: i64,
        stable: u64,
        moment: Timestamp,
    ) -> Result<Settled, SequencerError> {
        let mut tx = self.database.begin_read().await?;
        let sql = "SELECT cleaned, horizon FROM log_partition WHERE id = ?";
        let mut cleaned = Cleaned::default();
        if let Some(row) = tx.query(sql, params![id]).await?.first() {
            cleaned = Cleaned { to: offset(row, 0)?, horizon: row.opt_int(1)? };
        }
        let sql = "SELECT r.base, r.next, r.segment, r.relative, r.bytes, r.ingested, s.state, s.made \
                   FROM log_run r JOIN log_segment s ON s.name = r.segment \
                   WHERE r.partition_id = ? AND r.next <= ? ORDER BY r.base LIMIT ?";
        let mut runs = Vec::new();
        for row in tx.query(sql, params![id, int(stable), RUNS_MAX]).await? {
            if row.int(6)? == STATE_SEALED && row.int(7)? >= moment.0 {
                break;
            }
            let run = Run {
                base: offset(&row, 0)?,
                next: offset(&row, 1)?,
                segment: row.text(2)?.into(),
                relative: offset(&row, 3)?,
            };
            runs.push((run, offset(&row, 4)?, row.int(5)?));
        }
        Ok(Settled { cleaned, runs })
    }

    /// The base offset of the last batch of each producer of a partition.
    pub(super) async fn newest_of(&self, id: i64) -> Result<HashMap<i64, u64>, SequencerError> {
        let sql = "SELECT producer, known FROM log_producer WHERE partition_id = ?";
        let mut newest = HashMap::new();
        for row in self.database.query(sql, params![id]).await? {
            let known = Producer::decode(&mut Take(Bytes::copy_from_slice(row.blob(1)?)));
            if let Some(base) = known.and_then(|known| known.newest()) {
                newest.insert(row.int(0)?, base);
            }
        }
        Ok(newest)
    }

    /// Puts what a pass wrote in the place of what it read.
    pub(super) async fn swap_cleaned(
        &self,
        lease: &Lease,
        cleaning: &Cleaning<'_>,
    ) -> Result<(), SequencerError> {
        let Cleaning { partition, runs, made, done } = cleaning;
        let mut tx = self.begin_fenced(lease).await?;
        for runs in runs.chunks(ROWS_MAX) {
            let bases = rows_of(runs.len(), 1);
            let sql = format!("DELETE FROM log_run WHERE partition_id = ? AND base IN {bases}");
            let bases = runs.iter().map(|run| Param::from(int(run.base)));
            let params: Vec<Param> = [Param::from(*partition)].into_iter().chain(bases).collect();
            tx.execute(&sql, &params).await?;
        }
        insert_made(&mut tx, made, self.now()).await?;
        let markers: Vec<u64> = done.forgotten.iter().copied().collect();
        for markers in markers.chunks(ROWS_MAX) {
            let list = rows_of(markers.len(), 1);
            let sql = format!("DELETE FROM log_aborted WHERE partition_id = ? AND marker IN {list}");
            let markers = markers.iter().map(|marker| Param::from(int(*marker)));
            let params: Vec<Param> = [Param::from(*partition)].into_iter().chain(markers).collect();
            tx.execute(&sql, &params).await?;
        }
        let mut segments: Vec<&str> = runs.iter().map(|run| &*run.segment).collect();
        segments.sort_unstable();
        segments.dedup();
        mark_sparse(&mut tx, &segments).await?;
        // Last, as commits to the partition wait for its row from here on.
        tx.execute(
            "UPDATE log_partition SET cleaned = ?, horizon = ? WHERE id = ?",
            params![int(done.cleaned.to), done.cleaned.horizon, *partition],
        )
        .await?;
        // What was deleted in between stays gone.
        purge_below_start(&mut tx, *partition).await?;
        tx.commit().await?;
        Ok(())
    }
}

/// Of history segments that lost batches, those of which less than half is still needed are to be written elsewhere, so
/// that they can go.
async fn mark_sparse(tx: &mut Tx, segments: &[&str]) -> Result<(), SequencerError> {
    for segments in segments.chunks(ROWS_MAX) {
        let list = rows_of(segments.len(), 1);
        let sql = format!(
            "UPDATE log_segment SET state = ? WHERE state = ? AND name IN {list} AND bytes > \
             (SELECT COALESCE(SUM(r.bytes), 0) * 2 FROM log_run r WHERE r.segment = log_segment.name) \
             AND EXISTS (SELECT 1 FROM log_run r WHERE r.segment = log_segment.name)"
        );
        let states = [Param::from(STATE_PURGED), Param::from(STATE_HISTORY)];
        let params: Vec<Param> =
            states.into_iter().chain(segments.iter().map(|name| Param::from(*name))).collect();
        tx.execute(&sql, &params).await?;
    }
    Ok(())
}
