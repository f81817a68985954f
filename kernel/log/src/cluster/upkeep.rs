//! Upkeep of a cluster's log: retention, compaction into history segments, collection of garbage. One node at a
//! time does it, by a lease that every transaction proves.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use candor_model::{Offset, Partition, Timestamp};
use candor_store::{FileKind, StoreError};
use parking_lot::Mutex;

use super::SEGMENTS;
use super::node::Node;
use super::read::read_run;
use super::seal::{key_at, made_at};
use super::sequencer::{Run, SequencerError};
use super::sql::SqlSequencer;
use super::upkeep_sql::{Identified, Lease, Part};
use crate::batch::encode_committed;
use crate::producers::EXPIRY;
use crate::segment::{SegmentBuilder, SegmentError};
use crate::stream_upkeep::age_of;
use crate::streams::greatest_timestamp;
use crate::{Committed, Consumer, Limits, Topic};

/// How long the lease is held without renewal.
const LEASE: Duration = Duration::from_secs(120);

/// A segment is left alone for so long: a commit of it may still be repeated, and asked what became of it.
const SETTLED: Duration = Duration::from_secs(600);

/// A file that nothing names is kept for so long: its commit may be under way, on a node whose clock differs.
const GRACE: Duration = Duration::from_secs(3600);

/// So many small segments are compacted whatever their size: each costs a row a partition.
const SEGMENTS_MAX: usize = 500;

/// Request ids are remembered for so long.
const REQUESTS: Duration = Duration::from_secs(3600);

/// Rows of deleted topics are kept for so long: a commit may be under way until then.
const DELETED: Duration = Duration::from_secs(3600);

/// Why upkeep did not get done; it is tried again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpkeepError {
    #[error("the sequencer failed")]
    Sequencer(#[from] SequencerError),
    #[error("the store failed")]
    Store(#[from] StoreError),
    #[error("a segment cannot be read")]
    Segment(#[from] SegmentError),
}

/// How far consumers came, by partition.
type Positions = HashMap<i64, HashMap<String, u64>>;

pub(crate) struct Upkeep {
    pub(super) node: Arc<Node>,
    pub(super) sequencer: Arc<SqlSequencer>,
    holder: String,
    consumers: Vec<Consumer>,
    pub(super) limits: Limits,
    /// When files were last compared with what is committed: a listing costs a request a thousand files.
    listed: Mutex<Timestamp>,
}

fn before(now: Timestamp, span: Duration) -> Timestamp {
    Timestamp(now.0.saturating_sub(i64::try_from(span.as_micros()).unwrap_or(i64::MAX)))
}

impl Upkeep {
    pub fn new(
        node: Arc<Node>,
        sequencer: Arc<SqlSequencer>,
        consumers: Vec<Consumer>,
        limits: Limits,
    ) -> Upkeep {
        let holder = format!("{:016x}", node.random.next_u64());
        Upkeep { node, sequencer, holder, consumers, limits, listed: Mutex::new(Timestamp(i64::MIN)) }
    }

    /// Keeps what this node's consumers said, and, where it holds the lease, does all there is to do.
    pub async fn run(&self) -> Result<(), UpkeepError> {
        self.record_consumed().await?;
        let now = self.node.clock.now();
        let until = now.plus_seconds(LEASE.as_secs() as i64);
        let Some(lease) = self.sequencer.take_lease(&self.holder, now, until).await? else { return Ok(()) };
        self.trim(&lease, now).await?;
        while self.compact(&lease, now).await? {}
        if let Err(error) = self.clean(&lease, before(now, SETTLED)).await {
            // As with a segment that cannot be read: nothing else waits for that.
            tracing::warn!(error = &error as &dyn std::error::Error, "topics are compacted later");
        }
        self.sequencer.forget_deleted(&lease, before(now, DELETED)).await?;
        self.collect(&lease, now).await?;
        self.sequencer.forget_requests(before(now, REQUESTS)).await?;
        self.sequencer.forget_producers(Timestamp(now.0.saturating_sub(EXPIRY))).await?;
        Ok(())
    }

    async fn record_consumed(&self) -> Result<(), UpkeepError> {
        let consumed: Vec<(Topic, Partition, &'static str, u64)> = {
            let state = self.node.shared.state.read();
            let all = state.partitions.iter().flat_map(|partition| {
                let named = partition.consumed.iter();
                named.map(|(name, next)| (partition.topic.clone(), partition.partition, *name, *next))
            });
            all.collect()
        };
        Ok(self.sequencer.record_consumed(&consumed).await?)
    }

    /// How far everybody came who must have consumed a batch before it goes.
    pub(super) fn consumed_by_all(&self, partition: &Identified, positions: &Positions) -> Option<u64> {
        let said = positions.get(&partition.id);
        let required = self.consumers.iter().filter(|consumer| (consumer.topics)(&partition.topic.name));
        let required =
            required.map(|consumer| said.and_then(|said| said.get(consumer.name)).copied().unwrap_or(0));
        required.chain(said.into_iter().flat_map(HashMap::values).copied()).min()
    }

    async fn trim(&self, lease: &Lease, now: Timestamp) -> Result<(), UpkeepError> {
        let partitions = self.sequencer.identified().await?;
        let positions = self.sequencer.positions().await?;
        let may_go = |partition: i64, next: u64| {
            let limit = partitions.get(&partition).map(|known| self.consumed_by_all(known, &positions));
            limit.is_some_and(|limit| limit.is_none_or(|limit| next <= limit))
        };
        let mut starts: BTreeMap<i64, u64> = BTreeMap::new();
        for expired in self.sequencer.older_than(before(now, self.limits.retention)).await? {
            if may_go(expired.partition, expired.next) {
                let start = starts.entry(expired.partition).or_default();
                *start = expired.next.max(*start);
            }
        }
        for (project, mut bytes) in self.sequencer.larger_than(self.limits.retention_project_bytes).await? {
            let mut stuck = BTreeSet::new();
            for oldest in self.sequencer.oldest_of(project).await? {
                if bytes <= self.limits.retention_project_bytes {
                    break;
                }
                // What lies behind something that must stay, stays.
                if stuck.contains(&oldest.partition) || !may_go(oldest.partition, oldest.next) {
                    stuck.insert(oldest.partition);
                    continue;
                }
                let start = starts.entry(oldest.partition).or_default();
                *start = oldest.next.max(*start);
                bytes = bytes.saturating_sub(oldest.bytes);
            }
        }
        self.trim_streams(&partitions, &positions, now, &mut starts).await?;
        for (partition, start) in starts {
            self.sequencer.trim(lease, partition, start).await?;
        }
        Ok(())
    }

    /// Where partitions of streams are to begin, as their topics say.
    async fn trim_streams(
        &self,
        partitions: &HashMap<i64, Identified>,
        positions: &Positions,
        now: Timestamp,
        starts: &mut BTreeMap<i64, u64>,
    ) -> Result<(), UpkeepError> {
        let told = self.node.shared.state.read().retention.clone();
        if told.is_empty() {
            return Ok(());
        }
        for (id, held) in self.sequencer.overview().await? {
            let partition = partitions.get(&id).filter(|known| known.topic.name.signal().is_none());
            // Nothing goes of what nobody has said how long it is kept, as at a start.
            let said = partition.and_then(|known| Some((known, told.get(&known.topic)?)));
            let Some((partition, retention)) = said else { continue };
            let moment = age_of(retention).map(|age| Timestamp(now.0.saturating_sub(age)));
            let is_old = moment.is_some_and(|moment| held.oldest < moment.0);
            if !is_old && retention.bytes.is_none_or(|most| held.bytes <= most) {
                continue;
            }
            let consumed = self.consumed_by_all(partition, positions).unwrap_or(u64::MAX);
            let bounds = (moment, retention.bytes);
            if let Some(start) = self.sequencer.expired_of(id, bounds, held.bytes, consumed).await? {
                starts.insert(id, start);
            }
        }
        Ok(())
    }

    /// Makes history segments of those that hold batches of deleted projects, else of the oldest small ones; false
    /// where there are neither.
    async fn compact(&self, lease: &Lease, now: Timestamp) -> Result<bool, UpkeepError> {
        let mut chosen = self.sequencer.purged_before(before(now, SETTLED)).await?;
        if chosen.is_empty() {
            chosen = self.sequencer.sealed_before(before(now, SETTLED)).await?;
            let total: u64 = chosen.iter().map(|(_, bytes)| bytes).sum();
            if total < self.limits.journal_bytes && chosen.len() < SEGMENTS_MAX {
                return Ok(false);
            }
        }
        let mut bytes = 0;
        let within = |(_, size): &&(Arc<str>, u64)| {
            bytes += size;
            bytes <= self.limits.journal_bytes.max(*size)
        };
        let victims: Vec<Arc<str>> =
            chosen.iter().take_while(within).map(|(segment, _)| Arc::clone(segment)).collect();
        let runs = self.sequencer.runs_in(&victims).await?;
        let partitions = self.sequencer.identified().await?;
        let positions = self.sequencer.positions().await?;
        let mut made = Vec::new();
        let mut open = OpenSegment::default();
        for of_partition in runs.chunk_by(|(a, ..), (b, ..)| a == b) {
            let Some((id, ..)) = of_partition.first() else { continue };
            let Some(partition) = partitions.get(id) else { continue };
            let consumed = self.consumed_by_all(partition, &positions).unwrap_or(u64::MAX);
            let total: u64 = of_partition.iter().map(|(_, _, bytes)| bytes).sum();
            let own = total >= self.limits.segment_bytes as u64 / 4;
            if own {
                self.close(&mut open, &mut made).await?;
            }
            for (_, run, _) in of_partition {
                self.compact_run(partition, run, consumed, &mut open, &mut made).await?;
            }
            if own {
                self.close(&mut open, &mut made).await?;
            }
        }
        self.close(&mut open, &mut made).await?;
        self.sequencer.swap(lease, &victims, &made).await?;
        Ok(true)
    }

    async fn compact_run(
        &self,
        partition: &Identified,
        run: &Run,
        consumed: u64,
        open: &mut OpenSegment,
        made: &mut Vec<(Arc<str>, u64, Vec<Part>)>,
    ) -> Result<(), UpkeepError> {
        let node = &self.node;
        let mut from = run.base;
        while from < run.next {
            let (topic, number) = (&partition.topic, partition.partition);
            let batches = read_run(&node.shared, &node.files, topic, number, run, from).await?;
            let Some(last) = batches.last() else {
                let key = run.segment.to_string();
                return Err(SegmentError::Missing { key, offset: from }.into());
            };
            from = last.base.0 + u64::from(last.count);
            for batch in batches {
                // What was compacted away within a run is nowhere else.
                let joins = batch.base.0 > run.base;
                open.push(partition, &batch, joins, consumed);
            }
            if open.is_full(self.limits.segment_bytes) {
                self.close(open, made).await?;
            }
        }
        Ok(())
    }

    /// Writes a segment of what was added.
    pub(super) async fn close(
        &self,
        open: &mut OpenSegment,
        made: &mut Vec<(Arc<str>, u64, Vec<Part>)>,
    ) -> Result<(), UpkeepError> {
        if open.builder.is_empty() {
            return Ok(());
        }
        let OpenSegment { builder, parts } = std::mem::take(open);
        let (content, _) = builder.finish();
        let key = key_at(self.node.clock.now(), &*self.node.random);
        let bytes = self.node.files.put(&key, FileKind::Segment, content).await?;
        made.push((key, bytes, parts));
        Ok(())
    }

    /// Removes files that nothing names: of commits that never came, of compactions that failed, of what was
    /// compacted or trimmed.
    async fn collect(&self, lease: &Lease, now: Timestamp) -> Result<(), UpkeepError> {
        self.sequencer.give_up_empty(lease, before(now, SETTLED)).await?;
        let listed = *self.listed.lock();
        if listed <= before(now, GRACE) {
            let old = before(now, GRACE);
            let held = self.node.files.list(SEGMENTS).await?;
            let old_files = held.iter().filter(|key| made_at(key).is_some_and(|made| made < old));
            let old_files: Vec<Arc<str>> = old_files.map(|key| Arc::from(key.as_str())).collect();
            self.sequencer.give_up_uncommitted(lease, &old_files).await?;
            *self.listed.lock() = now;
        }
        // Readers that found a segment before it was marked have had time to finish.
        let garbage = self.sequencer.garbage(before(now, SETTLED)).await?;
        for segment in &garbage {
            self.node.files.delete(segment).await?;
        }
        self.sequencer.forget_garbage(&garbage).await?;
        Ok(())
    }
}

#[derive(Default)]
pub(super) struct OpenSegment {
    builder: SegmentBuilder,
    parts: Vec<Part>,
}

impl OpenSegment {
    /// Adds a batch of a partition that was consumed so far. Where it `joins` the one before, nothing is in between.
    pub fn push(&mut self, partition: &Identified, batch: &Committed, joins: bool, consumed: u64) {
        let Offset(base) = batch.base;
        let next = base + u64::from(batch.count);
        // The vault has what its consumers consumed; the log does not keep it beside.
        let vault = next > consumed;
        let before = self.builder.len();
        self.builder.push(batch, joins, |to| encode_committed(batch, vault, to));
        let bytes = (self.builder.len() - before) as u64;
        let ingested = batch.ingested_at.0;
        let max_timestamp = greatest_timestamp(batch);
        match self.parts.last_mut() {
            // Not across what lies in a segment that is none of the victims.
            Some(part) if part.partition == partition.id && (joins || part.next == base) => {
                part.next = next;
                part.bytes += bytes;
                part.ingested = part.ingested.max(ingested);
                part.max_timestamp = part.max_timestamp.max(max_timestamp);
            }
            _ => {
                let partition = partition.id;
                self.parts.push(Part { partition, base, next, bytes, ingested, max_timestamp });
            }
        }
    }

    /// True where it is to be closed.
    pub fn is_full(&self, segment_bytes: usize) -> bool {
        self.builder.len() >= segment_bytes
    }
}
