//! Compaction by key in the local log: chunks of the journal and of history segments become new history segments.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use candor_model::Timestamp;

use super::{Compaction, Done, Held, Job, KEYS_MAX, Store, due, micros, run};
use crate::maintenance::{Maintenance, MaintenanceError, consumed_by_all};
use crate::mutant::{Mutant, planted};
use crate::reader::{BadRecord, read_journal};
use crate::rewrite::{Output, PartitionWork, Source, chunks_by_bytes, run_of};
use crate::state::{PartitionKey, PartitionState, State};
use crate::{Committed, ReadError};

/// The open journal file is not ended more often for the sake of compaction, microseconds: files are not to be tiny.
const ACTIVE_MIN: i64 = 10 * Timestamp::SECOND;

/// Partitions whose passes share their new segments, and the step in which those come into their place.
const PARTITIONS_MAX: usize = 1000;

impl Maintenance {
    /// True where something is compacted by key at all.
    pub fn compacts_keys(&self) -> bool {
        !self.shared.state.read().compaction.is_empty()
    }

    /// True where a pass is due once the open journal file is ended.
    pub fn waits_for_the_active_end(&self) -> bool {
        let state = self.shared.state.read();
        let open = state.open_journal;
        let is_due = |key| {
            let (partition, compaction) = compacted(&state, key)?;
            let active = partition.chunks.back().filter(|chunk| chunk.is_in(open))?;
            let age = micros(compaction.segment_ms.min(compaction.lag_max_ms)).max(ACTIVE_MIN);
            if self.clock.now().0.saturating_sub(active.first_ingested) < age {
                return None;
            }
            self.due(partition, compaction, None).filter(|until| *until == active.end)
        };
        open.is_some() && state.keys().any(|key| is_due(key).is_some())
    }

    /// Up to where a partition is to be compacted. Nothing that lies in the journal file `open` is.
    fn due(&self, partition: &PartitionState, compaction: &Compaction, open: Option<u64>) -> Option<u64> {
        let stable = match planted(Mutant::CompactPastStable) {
            true => partition.end,
            false => partition.last_stable(),
        };
        let stable = stable.min(consumed_by_all(&self.consumers, partition));
        let settled = partition.chunks.iter().take_while(|chunk| chunk.end <= stable && !chunk.is_in(open));
        let held = settled.map(|chunk| Held {
            end: chunk.end,
            bytes: chunk.bytes,
            first_ingested: chunk.first_ingested,
            last_ingested: chunk.last_ingested,
        });
        due(compaction, partition.cleaned, held, self.clock.now())
    }

    /// Runs passes that are due; false where none is. There may be more.
    pub async fn clean(&self) -> Result<bool, MaintenanceError> {
        let keys: Vec<PartitionKey> = self.shared.state.read().keys().collect();
        let mut work = BTreeMap::new();
        let mut cleaned = Vec::new();
        let mut output = Output::default();
        for key in keys {
            let Some((of_it, job)) = self.job(key) else { continue };
            let is_large = of_it.bytes() >= self.limits.segment_bytes as u64 / 4;
            if is_large {
                self.close_segment(&mut output).await?;
            }
            let mut pass = Pass { maintenance: self, work: &of_it, output: &mut output };
            let done = run(&mut pass, &job).await?;
            tracing::debug!(project = %job.topic.project, topic = %job.topic.name, partition = job.partition.0,
                to = done.cleaned.to, "compacted by key");
            work.insert(key, of_it);
            cleaned.push((key, job.until, done));
            if is_large || work.len() >= PARTITIONS_MAX {
                break;
            }
        }
        self.close_segment(&mut output).await?;
        self.swap(&work, output, &cleaned);
        Ok(!cleaned.is_empty())
    }

    fn job(&self, key: PartitionKey) -> Option<(PartitionWork, Job)> {
        let state = self.shared.state.read();
        let (partition, compaction) = compacted(&state, key)?;
        let until = self.due(partition, compaction, state.open_journal)?;
        let chunks = partition.chunks.iter().take_while(|chunk| chunk.end <= until);
        let runs: Option<Vec<_>> = chunks.map(|chunk| run_of(&state, chunk)).collect();
        let runs = runs?;
        let from = runs.first()?.base;
        let stream = partition.stream.as_deref();
        let aborted = stream.map_or_else(Vec::new, |stream| stream.aborted_before(until));
        let work = PartitionWork {
            topic: partition.topic.clone(),
            partition: partition.partition,
            runs,
            consumed: consumed_by_all(&self.consumers, partition),
        };
        let job = Job {
            topic: partition.topic.clone(),
            partition: partition.partition,
            from,
            dirty: partition.cleaned.to,
            until,
            aborted,
            newest: stream.map(|stream| stream.newest()).unwrap_or_default(),
            now: self.clock.now().0 / 1000,
            delete_retention: i64::try_from(compaction.delete_retention_ms).unwrap_or(i64::MAX),
            keys_max: self.limits.compaction_keys.min(KEYS_MAX),
        };
        Some((work, job))
    }
}

/// A partition that is compacted by key, and how.
fn compacted(state: &State, key: PartitionKey) -> Option<(&PartitionState, &Compaction)> {
    let partition = state.get(key).filter(|partition| !partition.deleted && !partition.chunks.is_empty())?;
    Some((partition, state.compaction.get(&partition.topic)?))
}

/// Notes what a pass came to, in the step in which what it wrote comes into its place.
pub(crate) fn note(partition: &mut PartitionState, done: &Done) {
    partition.cleaned = done.cleaned;
    if let Some(stream) = &mut partition.stream {
        stream.forget_aborted(&done.forgotten);
        if planted(Mutant::LoseProducers) {
            stream.forget_producers();
        }
    }
}

/// Of segments that lost batches, those of which less than half is still needed: the rest is to be written elsewhere,
/// so that they can go.
pub(crate) fn sparse(state: &State, segments: &BTreeSet<u64>) -> BTreeSet<u64> {
    let mut needed: BTreeMap<u64, u64> = segments.iter().map(|segment| (*segment, 0)).collect();
    for chunk in state.partitions.iter().flat_map(|partition| &partition.chunks) {
        if let Some(bytes) = chunk.segment().and_then(|segment| needed.get_mut(&segment)) {
            *bytes += chunk.bytes;
        }
    }
    let is_sparse = |(id, needed): &(u64, u64)| {
        *needed > 0 && state.segments.get(id).is_some_and(|segment| needed * 2 < segment.bytes)
    };
    needed.into_iter().filter(is_sparse).map(|(id, _)| id).collect()
}

/// What a pass reads of a partition, and where it writes.
struct Pass<'a> {
    maintenance: &'a Maintenance,
    work: &'a PartitionWork,
    output: &'a mut Output,
}

#[async_trait]
impl Store for Pass<'_> {
    type Error = MaintenanceError;

    async fn read(&mut self, _job: &Job, from: u64) -> Result<Vec<Committed>, MaintenanceError> {
        // A pass over the journal alone never waits for anything, and others have their turn.
        tokio::task::yield_now().await;
        let lost = || ReadError::Storage(Box::new(BadRecord::Lost { offset: from }));
        let at = self.work.runs.partition_point(|run| run.end <= from);
        let run = self.work.runs.get(at).ok_or_else(lost)?;
        let step = self.maintenance.limits.segment_bytes as u64 / 4;
        Ok(match &run.at {
            Source::Journal { file, entries } => {
                let skip = entries.partition_point(|entry| entry.base + u64::from(entry.count) <= from);
                let entries = entries.get(skip..).and_then(|entries| chunks_by_bytes(entries, step).next());
                read_journal(file, entries.ok_or_else(lost)?)?
            }
            Source::History { key } => {
                self.maintenance.read_history(key, self.work, from.max(run.base), step).await?
            }
        })
    }

    async fn write(&mut self, batch: Committed, is_first: bool) -> Result<(), MaintenanceError> {
        self.maintenance.add(self.work, vec![batch], !is_first, self.output).await
    }
}
