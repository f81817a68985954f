//! What is done beside the journal's thread: trimming, compaction, checkpoints, removal of what is not needed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use candor_model::{Clock, ProjectId, Random, Timestamp};
use candor_store::{Disk, DiskError, FileKind, Files, ObjectError, StoreError};

use crate::batch::{encode_committed, stored_length};
use crate::checkpoint::{Checkpoints, Snapshot};
use crate::cleaner::{Done, note, sparse};
use crate::committer::Committer;
use crate::journal::number_of;
use crate::mutant::{Mutant, planted};
use crate::reader::{Reader, read_journal};
use crate::rewrite::{Output, PartitionWork, Run, Source, chunks_by_bytes, run_of};
use crate::segment::{Part, SegmentError};
use crate::shared::Shared;
use crate::state::{Chunk, PartitionKey, PartitionState, Place, SegmentState, State};
use crate::stream_upkeep::age_of;
use crate::{Committed, Consumer, Limits, LogOptions, ReadError, Retention};

/// Where segments lie in the store.
pub(crate) const SEGMENTS: &str = "log/";

/// An open journal file is ended when its oldest batch has this part of the retention behind it: batches go with
/// their file.
const SEALS_PER_RETENTION: i64 = 8;

/// No stream's retention ends journal files more often than if it were this, microseconds: files are not to be tiny.
const STREAM_AGE_MIN: i64 = SEALS_PER_RETENTION * 60 * Timestamp::SECOND;

/// Why maintenance did not get done; it is tried again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MaintenanceError {
    #[error("cannot write a history segment")]
    Store(#[from] StoreError),
    #[error("cannot read the journal")]
    Read(#[from] ReadError),
    #[error("cannot read a history segment")]
    Segment(#[from] SegmentError),
    #[error("cannot write the checkpoint")]
    Disk(#[from] DiskError),
}

impl MaintenanceError {
    pub fn is_full(&self) -> bool {
        matches!(
            self,
            MaintenanceError::Disk(DiskError::Full)
                | MaintenanceError::Store(StoreError::Object(ObjectError::Full))
        )
    }
}

/// Keeps the log in shape.
pub(crate) struct Maintenance {
    pub shared: Arc<Shared>,
    disk: Arc<dyn Disk>,
    files: Arc<Files>,
    random: Arc<dyn Random>,
    pub clock: Arc<dyn Clock>,
    pub consumers: Vec<Consumer>,
    pub limits: Limits,
    pub checkpoints: Arc<Checkpoints>,
}

impl Maintenance {
    pub fn new(options: &LogOptions, shared: Arc<Shared>, checkpoints: Arc<Checkpoints>) -> Maintenance {
        Maintenance {
            shared,
            disk: Arc::clone(&options.disk),
            files: Arc::clone(&options.files),
            random: Arc::clone(&options.random),
            clock: Arc::clone(&options.clock),
            consumers: options.consumers.clone(),
            limits: options.limits.clone(),
            checkpoints,
        }
    }

    /// The age at which an open journal file is ended, µs.
    pub fn age_limit(&self) -> i64 {
        let signals = i64::try_from(self.limits.retention.as_micros()).unwrap_or(i64::MAX);
        let state = self.shared.state.read();
        let shortest = state.retention.values().filter_map(age_of).min();
        shortest.map_or(signals, |stream| stream.max(STREAM_AGE_MIN).min(signals)) / SEALS_PER_RETENTION
    }

    /// True where a restart would read more than a file's worth of journal, or would not know something at all.
    pub fn needs_checkpoint(&self) -> bool {
        let state = self.shared.state.read();
        state.changed || state.open_journal > state.checkpointed_journal
    }

    /// On the journal's thread: the state between two groups.
    pub fn snapshot(committer: &mut Committer) -> Snapshot {
        let position = committer.writer.position();
        let shared = Arc::clone(&committer.shared);
        let mut state = shared.state.write();
        Snapshot::take(&mut state, position)
    }

    /// The same at the end, where nobody asks it for its garbage: until it is written, the checkpoint before it names
    /// that, and a sweep beside this must leave it alone.
    pub fn last_snapshot(committer: &mut Committer) -> Snapshot {
        let position = committer.writer.position();
        let shared = Arc::clone(&committer.shared);
        // Under one lock: a sweep is never to see it named by nothing.
        let mut state = shared.state.write();
        let snapshot = Snapshot::take(&mut state, position);
        state.garbage_segments.extend(snapshot.garbage_segments.iter().cloned());
        snapshot
    }

    /// Writes a checkpoint and removes what it does not need.
    pub async fn checkpoint(&self, snapshot: Snapshot) -> Result<(), MaintenanceError> {
        if planted(Mutant::RemoveBeforeCheckpoint) {
            self.remove_garbage(&snapshot).await?;
        }
        if let Err(error) = self.checkpoints.write(&snapshot) {
            let mut state = self.shared.state.write();
            state.garbage_segments.extend(snapshot.garbage_segments);
            state.changed = true;
            return Err(error.into());
        }
        self.remove_garbage(&snapshot).await
    }

    async fn remove_garbage(&self, snapshot: &Snapshot) -> Result<(), MaintenanceError> {
        for path in self.disk.list(crate::journal::FOLDER)? {
            if number_of(&path).is_some_and(|number| number < snapshot.first_needed) {
                self.disk.remove(&path)?;
            }
        }
        for key in &snapshot.garbage_segments {
            self.files.delete(key).await?;
        }
        Ok(())
    }

    /// Removes segments that no checkpoint names: of compactions that a crash ended. Not while one runs.
    pub async fn remove_orphans(&self) -> Result<u64, MaintenanceError> {
        let held = self.files.list(SEGMENTS).await?;
        let named: BTreeSet<Arc<str>> = {
            let state = self.shared.state.read();
            // Garbage is named by the last checkpoint until the next one is written.
            let segments = state.segments.values().map(|segment| &segment.key);
            segments.chain(&state.garbage_segments).cloned().collect()
        };
        let mut removed = 0;
        for key in held {
            if !named.contains(key.as_str()) {
                self.files.delete(&key).await?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// Moves the start of partitions up as retention says, not beyond what consumers have consumed.
    pub fn trim(&self) -> bool {
        let retention = i64::try_from(self.limits.retention.as_micros()).unwrap_or(i64::MAX);
        let now = self.clock.now();
        let oldest = Timestamp(now.0.saturating_sub(retention));
        let mut state = self.shared.state.write();
        let open = state.open_journal;
        let mut sizes: HashMap<ProjectId, u64> = HashMap::new();
        let mut trimmed = false;
        state.forget_deleted();
        let State { partitions, retention, .. } = &mut *state;
        for partition in partitions {
            if partition.topic.name.signal().is_none() {
                // Nothing goes of what nobody has said how long it is kept, as at a start.
                if let Some(retention) = retention.get(&partition.topic).copied() {
                    trimmed |= self.trim_stream(partition, retention, now, open);
                }
                continue;
            }
            let limit = consumed_by_all(&self.consumers, partition);
            while let Some(chunk) = partition.chunks.front()
                && chunk.last_ingested < oldest.0
                && may_go(chunk, limit, open)
            {
                partition.trim_front();
                trimmed = true;
            }
            *sizes.entry(partition.topic.project).or_default() += partition.bytes();
        }
        for (project, mut size) in sizes {
            while size > self.limits.retention_project_bytes {
                // The oldest of all its partitions.
                let of_project = |p: &&mut PartitionState| p.topic.project == project;
                let candidates = state.partitions.iter_mut().filter(of_project);
                let candidates = candidates.filter(|partition| partition.topic.name.signal().is_some());
                let oldest = candidates
                    .filter(|partition| {
                        let limit = consumed_by_all(&self.consumers, partition);
                        partition.chunks.front().is_some_and(|chunk| may_go(chunk, limit, open))
                    })
                    .min_by_key(|partition| partition.chunks.front().map(|chunk| chunk.last_ingested));
                let Some(partition) = oldest else { break };
                size -= partition.trim_front().map_or(0, |chunk| chunk.bytes);
                trimmed = true;
            }
        }
        if trimmed {
            state.drop_unnamed_segments();
            state.changed = true;
        }
        trimmed
    }

    /// Moves the start of a partition of a stream up as its topic says, and forgets producers that are gone.
    fn trim_stream(
        &self,
        partition: &mut PartitionState,
        retention: Retention,
        now: Timestamp,
        open: Option<u64>,
    ) -> bool {
        let oldest = age_of(&retention).map(|age| now.0.saturating_sub(age));
        let consumed = consumed_by_all(&self.consumers, partition);
        let mut bytes = partition.bytes();
        let mut trimmed = false;
        while let Some(chunk) = partition.chunks.front()
            && may_go(chunk, consumed, open)
        {
            let is_old = oldest.is_some_and(|oldest| chunk.last_ingested < oldest);
            let is_over = retention.bytes.is_some_and(|most| bytes - chunk.bytes >= most);
            if !is_old && !is_over && chunk.end > partition.start {
                break;
            }
            bytes -= chunk.bytes;
            partition.trim_front();
            trimmed = true;
        }
        let gone = partition.stream.as_mut().is_some_and(|stream| stream.expire(now));
        trimmed || gone
    }

    /// True where the journal holds more than it should.
    pub fn needs_compaction(&self) -> bool {
        let state = self.shared.state.read();
        let sealed = state.journals.len().saturating_sub(1) as u64;
        sealed * self.limits.journal_file_bytes > self.limits.journal_bytes
    }

    /// Moves the older half of the journal into history segments.
    pub async fn compact(&self) -> Result<bool, MaintenanceError> {
        let half: BTreeSet<u64> = {
            let state = self.shared.state.read();
            let sealed = state.journals.keys().filter(|number| state.open_journal != Some(**number));
            let sealed: Vec<u64> = sealed.copied().collect();
            sealed.iter().take(sealed.len().div_ceil(2)).copied().collect()
        };
        if half.is_empty() {
            return Ok(false);
        }
        self.rewrite(|chunk| chunk.journal().is_some_and(|file| half.contains(&file))).await?;
        Ok(true)
    }

    /// True where files hold batches of deleted projects, or little else than what was compacted away.
    pub fn needs_purge(&self) -> bool {
        !self.shared.state.read().purge.is_empty()
    }

    /// True where such files are the journal's.
    pub fn purges_journal(&self) -> bool {
        self.shared.state.read().purge.journals_to.is_some()
    }

    /// Writes elsewhere what lies beside batches of deleted projects, so that the next checkpoint lets go of their
    /// files. Where the journal holds some, the open file of it was ended before.
    pub async fn purge(&self) -> Result<(), MaintenanceError> {
        let (purge, open) = {
            let state = self.shared.state.read();
            (state.purge.clone(), state.open_journal)
        };
        self.rewrite(|chunk| purge.holds(chunk) && chunk.journal().is_none_or(|file| Some(file) != open))
            .await?;
        // A file that was begun since, and holds batches of another project deleted since, has its turn the next time.
        if open.is_none() || open > purge.journals_to {
            // Not before: a checkpoint meanwhile is to tell the next start what is left to do.
            self.shared.state.write().purge.remove(&purge);
        }
        Ok(())
    }

    /// Writes the chosen chunks into new history segments.
    async fn rewrite(&self, chosen: impl Fn(&Chunk) -> bool) -> Result<(), MaintenanceError> {
        let work = self.work(chosen);
        let mut output = Output::default();
        let (own, shared): (Vec<_>, Vec<_>) =
            work.values().partition(|part| part.bytes() >= self.limits.segment_bytes as u64 / 4);
        for part in shared {
            self.rewrite_partition(part, &mut output).await?;
        }
        self.close_segment(&mut output).await?;
        for part in own {
            self.rewrite_partition(part, &mut output).await?;
            self.close_segment(&mut output).await?;
        }
        self.swap(&work, output, &[]);
        Ok(())
    }

    fn work(&self, chosen: impl Fn(&Chunk) -> bool) -> BTreeMap<PartitionKey, PartitionWork> {
        let state = self.shared.state.read();
        let mut work = BTreeMap::new();
        for key in state.keys() {
            let Some(partition) = state.get(key) else { continue };
            let chosen = partition.chunks.iter().filter(|chunk| chosen(chunk));
            let runs = chosen.filter_map(|chunk| run_of(&state, chunk));
            let runs: Vec<Run> = runs.collect();
            if runs.is_empty() {
                continue;
            }
            let consumed = consumed_by_all(&self.consumers, partition);
            let (topic, number) = (partition.topic.clone(), partition.partition);
            work.insert(key, PartitionWork { topic, partition: number, runs, consumed });
        }
        work
    }

    async fn rewrite_partition(
        &self,
        part: &PartitionWork,
        output: &mut Output,
    ) -> Result<(), MaintenanceError> {
        // A few megabytes at a time: the whole of a run may be as long as the file.
        let step = self.limits.segment_bytes as u64 / 4;
        for run in &part.runs {
            match &run.at {
                Source::Journal { file, entries } => {
                    for entries in chunks_by_bytes(entries, step) {
                        self.add(part, read_journal(file, entries)?, false, output).await?;
                    }
                }
                Source::History { key } => {
                    let mut from = run.base;
                    while from < run.end {
                        let batches = self.read_history(key, part, from, step).await?;
                        let Some(last) = batches.last() else { break };
                        let joins = from > run.base;
                        from = last.base.0 + u64::from(last.count);
                        self.add(part, batches, joins, output).await?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Batches of a history segment, from the one that holds `from` on.
    pub async fn read_history(
        &self,
        key: &Arc<str>,
        part: &PartitionWork,
        from: u64,
        max_bytes: u64,
    ) -> Result<Vec<Committed>, SegmentError> {
        let reader = Reader { shared: &self.shared, files: &self.files, blocking_threads: false };
        reader.read_history(key, &part.topic, part.partition, from, max_bytes as usize).await
    }

    /// Adds batches that lay together. Where the first of them `joins` what was added before, nothing is in between.
    pub async fn add(
        &self,
        part: &PartitionWork,
        batches: Vec<Committed>,
        joins: bool,
        output: &mut Output,
    ) -> Result<(), MaintenanceError> {
        let bytes: usize = batches.iter().map(stored_length).sum();
        output.builder.reserve(self.limits.segment_bytes + bytes);
        for (nth, batch) in batches.into_iter().enumerate() {
            // The vault has what its consumers consumed; the log does not keep it beside.
            let vault = batch.base.0 + u64::from(batch.count) > part.consumed;
            output.builder.push(&batch, joins || nth > 0, |to| encode_committed(&batch, vault, to));
        }
        if output.builder.len() >= self.limits.segment_bytes {
            self.close_segment(output).await?;
        }
        Ok(())
    }

    /// Writes a segment of what was added.
    pub async fn close_segment(&self, output: &mut Output) -> Result<(), MaintenanceError> {
        if output.builder.is_empty() {
            return Ok(());
        }
        let (content, parts): (Bytes, Vec<Part>) = std::mem::take(&mut output.builder).finish();
        let id = self.random.next_u64();
        let key: Arc<str> = format!("{SEGMENTS}{id:016x}").into();
        let bytes = match self.files.put(&key, FileKind::Segment, content).await {
            Err(_) if planted(Mutant::SwapUnwritten) => 0,
            put => put?,
        };
        output.segments.push((id, SegmentState { key, bytes }));
        for part in parts {
            output.parts.push((id, part));
        }
        Ok(())
    }

    /// Lets readers find rewritten batches in their new segments, and forgets where they lay; all of it in one step, in
    /// which also what was `cleaned` up to an offset counts as that.
    pub fn swap(
        &self,
        work: &BTreeMap<PartitionKey, PartitionWork>,
        output: Output,
        cleaned: &[(PartitionKey, u64, Done)],
    ) {
        let mut state = self.shared.state.write();
        state.segments.extend(output.segments);
        let mut by_partition: HashMap<PartitionKey, Vec<Chunk>> = HashMap::new();
        for (segment, part) in output.parts {
            let key = state.intern(&part.topic, part.partition);
            by_partition.entry(key).or_default().push(Chunk {
                base: part.base,
                end: part.end,
                bytes: part.bytes,
                first_ingested: part.first_ingested,
                last_ingested: part.last_ingested,
                max_timestamp: part.max_timestamp,
                place: Place::History { segment },
            });
        }
        let mut forgotten = Vec::new();
        let mut left = BTreeSet::new();
        for (key, part) in work {
            let rewritten = by_partition.remove(key).unwrap_or_default();
            let Some(partition) = state.get_mut(*key) else { continue };
            let moved: BTreeSet<u64> = part.runs.iter().map(|run| run.base).collect();
            partition.chunks.retain(|chunk| {
                let stays = !moved.contains(&chunk.base);
                left.extend(chunk.segment().filter(|_| !stays));
                stays
            });
            // What was trimmed in the meantime stays trimmed.
            let start = partition.start;
            let (kept, trimmed): (Vec<_>, Vec<_>) =
                rewritten.into_iter().partition(|chunk| chunk.end > start);
            forgotten.extend(trimmed.iter().filter_map(Chunk::segment));
            for chunk in kept {
                // Between those that stayed where they are.
                let place = partition.chunks.partition_point(|before| before.base < chunk.base);
                partition.chunks.insert(place, chunk);
            }
        }
        for (key, until, done) in cleaned {
            if let Some(partition) = state.get_mut(*key) {
                note(partition, done);
            }
            // Who reads is not to be told of a transaction less than what it is given has.
            self.shared.cache.lock().forget(*key, *until);
        }
        // Of a project that was deleted meanwhile, its new segments hold batches again.
        state.purge.segments.extend(forgotten);
        let sparse = sparse(&state, &left);
        state.purge.segments.extend(sparse);
        state.drop_unnamed_segments();
        state.changed |= !work.is_empty();
    }
}

/// How far everybody came who must have consumed a batch before it goes.
pub(crate) fn consumed_by_all(consumers: &[Consumer], partition: &PartitionState) -> u64 {
    if planted(Mutant::IgnoreConsumers) {
        return partition.end;
    }
    let required = consumers
        .iter()
        .filter(|consumer| (consumer.topics)(&partition.topic.name))
        .map(|consumer| partition.consumed_by(consumer.name).unwrap_or(0));
    required.chain(partition.consumed.iter().map(|(_, next)| *next)).min().unwrap_or(partition.end)
}

/// Batches of the open journal file stay: more of the partition may follow in it.
fn may_go(chunk: &Chunk, consumed: u64, open: Option<u64>) -> bool {
    chunk.end <= consumed && !chunk.is_in(open)
}
