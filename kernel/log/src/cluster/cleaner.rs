//! Compaction by key in the log of a cluster: runs of settled segments become runs of new ones.

use std::sync::Arc;

use async_trait::async_trait;
use candor_model::Timestamp;

use super::cleaner_sql::{Cleaning, Settled};
use super::read::read_run;
use super::sequencer::Run;
use super::streams_sql::Overview;
use super::upkeep::{OpenSegment, Upkeep, UpkeepError};
use super::upkeep_sql::{Identified, Lease, Part};
use crate::Committed;
use crate::cleaner::{Cleaned, Compaction, Held, Job, KEYS_MAX, Store, due, note, run};
use crate::segment::SegmentError;

impl Upkeep {
    /// Runs the passes that are due.
    pub(super) async fn clean(&self, lease: &Lease, settled: Timestamp) -> Result<(), UpkeepError> {
        let compaction = self.node.shared.state.read().compaction.clone();
        if compaction.is_empty() {
            return Ok(());
        }
        let partitions = self.sequencer.identified().await?;
        let positions = self.sequencer.positions().await?;
        let now = self.node.clock.now();
        for (id, held) in self.sequencer.overview().await? {
            let said = partitions.get(&id).and_then(|known| Some((known, compaction.get(&known.topic)?)));
            let Some((partition, compaction)) =
                said.filter(|(_, compaction)| may_be_due(compaction, &held, now))
            else {
                continue;
            };
            let consumed = self.consumed_by_all(partition, &positions).unwrap_or(u64::MAX);
            while self.clean_one(lease, partition, compaction, consumed, settled).await? {}
        }
        Ok(())
    }

    /// Runs a pass over a partition; false where none is due.
    async fn clean_one(
        &self,
        lease: &Lease,
        partition: &Identified,
        compaction: &Compaction,
        consumed: u64,
        settled: Timestamp,
    ) -> Result<bool, UpkeepError> {
        let now = self.node.clock.now();
        let (stable, aborted) = {
            let state = self.node.shared.state.read();
            // A node that has not seen all of it knows of an earlier last stable offset, never of a later one.
            let held = state.find_named(&partition.topic, partition.partition);
            let Some(held) = held.filter(|held| !held.deleted) else { return Ok(false) };
            let stream = held.stream.as_deref();
            let stable = held.last_stable().min(consumed);
            (stable, stream.map_or_else(Vec::new, |stream| stream.aborted_before(stable)))
        };
        let Settled { cleaned, runs } = self.sequencer.settled_of(partition.id, stable, settled).await?;
        let held = runs.iter().map(|(run, bytes, ingested)| Held {
            end: run.next,
            bytes: *bytes,
            first_ingested: *ingested,
            last_ingested: *ingested,
        });
        let Some(until) = due(compaction, cleaned, held, now) else { return Ok(false) };
        let runs: Vec<Run> = runs.into_iter().map(|(run, ..)| run).filter(|run| run.next <= until).collect();
        let Some(first) = runs.first() else { return Ok(false) };
        let job = Job {
            topic: partition.topic.clone(),
            partition: partition.partition,
            from: first.base,
            dirty: cleaned.to,
            until,
            aborted,
            newest: self.sequencer.newest_of(partition.id).await?,
            now: now.0 / 1000,
            delete_retention: i64::try_from(compaction.delete_retention_ms).unwrap_or(i64::MAX),
            keys_max: self.limits.compaction_keys.min(KEYS_MAX),
        };
        let (open, made) = (OpenSegment::default(), Vec::new());
        let mut pass = Pass { upkeep: self, partition, runs: &runs, consumed, open, made };
        let done = run(&mut pass, &job).await?;
        let Pass { mut open, mut made, .. } = pass;
        self.close(&mut open, &mut made).await?;
        let cleaning = Cleaning { partition: partition.id, runs: &runs, made: &made, done: &done };
        self.sequencer.swap_cleaned(lease, &cleaning).await?;
        let mut state = self.node.shared.state.write();
        if let Some(key) = state.find(&partition.topic, partition.partition)
            && let Some(held) = state.get_mut(key)
        {
            note(held, &done);
            self.node.shared.cache.lock().forget(key, until);
        }
        Ok(true)
    }
}

/// False where no pass can be due, whatever of it is settled and stable: [`due`] looks at no more than there is, as one
/// run that is clean and one that is dirty.
fn may_be_due(compaction: &Compaction, held: &Overview, now: Timestamp) -> bool {
    let clean = held.bytes.saturating_sub(held.dirty_bytes);
    let cleaned = Cleaned { to: 1, horizon: held.horizon };
    let run = |end, bytes, at| Held { end, bytes, first_ingested: at, last_ingested: at };
    // Some of the dirty part may be too young, and what is left then has a lower ratio.
    let all = Compaction { lag_min_ms: 0, ..*compaction };
    let dirty = held.dirty_since.map(|since| run(2, held.dirty_bytes, since));
    due(&all, cleaned, [run(1, clean, held.oldest)].into_iter().chain(dirty), now).is_some()
}

/// What a pass reads of a partition, and where it writes.
struct Pass<'a> {
    upkeep: &'a Upkeep,
    partition: &'a Identified,
    runs: &'a [Run],
    consumed: u64,
    open: OpenSegment,
    made: Vec<(Arc<str>, u64, Vec<Part>)>,
}

#[async_trait]
impl Store for Pass<'_> {
    type Error = UpkeepError;

    async fn read(&mut self, job: &Job, from: u64) -> Result<Vec<Committed>, UpkeepError> {
        let node = &self.upkeep.node;
        let missing = |key: String| SegmentError::Missing { key, offset: from };
        let at = self.runs.partition_point(|run| run.next <= from);
        let run = self.runs.get(at).ok_or_else(|| missing(String::new()))?;
        let batches =
            read_run(&node.shared, &node.files, &job.topic, job.partition, run, from.max(run.base)).await?;
        match batches.is_empty() {
            true => Err(missing(run.segment.to_string()).into()),
            false => Ok(batches),
        }
    }

    async fn write(&mut self, batch: Committed, is_first: bool) -> Result<(), UpkeepError> {
        self.open.push(self.partition, &batch, !is_first, self.consumed);
        if self.open.is_full(self.upkeep.limits.segment_bytes) {
            self.upkeep.close(&mut self.open, &mut self.made).await?;
        }
        Ok(())
    }
}
