//! A node of a cluster: puts and commits segments, shows what is committed, here or elsewhere, and reads it back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use candor_model::{Clock, Offset, Partition, Random, Timestamp};
use candor_store::{FileKind, Files, ObjectError, StoreError};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::broken::{Step, left_out};
use super::read::{CATCH_UP_BYTES, read_run};
use super::seal::{Sealed, seal};
use super::sequencer::{Bounds, Outcome, Sequenced, Sequencer, SequencerError};
use crate::queue::Request;
use crate::reader::{Look, look};
use crate::segment::SegmentError;
use crate::shared::Shared;
use crate::state::PartitionKey;
use crate::{AppendError, Appended, Committed, ReadError, Topic};

/// Tries of a commit whose outcome is unknown, with growing pauses, within [`COMMIT_WITHIN`]. Then the client is told
/// that it is unavailable, and the poll finds out what became of it.
const COMMIT_TRIES: u32 = 8;

/// How long a put may take, its retries included: clients wait for it.
const PUT_WITHIN: Duration = Duration::from_secs(8);

/// How long after its sealing a segment is committed: clients wait for it.
const COMMIT_WITHIN: Duration = Duration::from_secs(5);

/// What a commit gets at least, however long its put took; and what each gets while the database is known to be lost,
/// so that those behind one another do not wait for all before them.
const COMMIT_WITHIN_LEAST: Duration = Duration::from_millis(500);

/// How long a partition's show may wait for the store to give what lies before it. Others wait behind it.
const CATCH_UP_WITHIN: Duration = Duration::from_secs(5);

/// Runs asked for at once.
const RUNS_MAX: u32 = 16;

/// A segment that was sealed so long ago is not committed any more, µs: the process was asleep, and the segment may have
/// been collected as garbage meanwhile, with the mark that tells so.
const LATE: i64 = 600 * Timestamp::SECOND;

/// How often a read starts over when what it was to read moved away under it.
const READ_TRIES: u32 = 4;

/// Changes are asked for this much further back than the last time, as nodes' clocks differ.
const SKEW: i64 = 10 * Timestamp::SECOND;

/// After this long every partition is looked at, as clocks may differ more.
const WHOLE_LOOK: i64 = 60 * Timestamp::SECOND;

/// How often it is said that a partition still cannot be shown.
const SAY_EVERY: Duration = Duration::from_secs(60);

/// A node.
pub(crate) struct Node {
    pub shared: Arc<Shared>,
    pub files: Arc<Files>,
    pub sequencer: Arc<dyn Sequencer>,
    pub clock: Arc<dyn Clock>,
    pub random: Arc<dyn Random>,
    /// The pause before the second try of a commit; none in the simulation.
    pub retry_pause: Duration,
    /// Held from the commit of a segment until it is shown: what is shown is in order.
    showing: tokio::sync::Mutex<()>,
    polled: Mutex<Polled>,
    /// What is committed and not shown here yet. It stays until it is shown: every poll tries again.
    unseen: Mutex<BTreeMap<PartitionKey, Unseen>>,
    /// The last commit got no answer.
    is_lost: AtomicBool,
}

/// A partition of which something is not shown yet.
struct Unseen {
    topic: Topic,
    partition: Partition,
    /// The offset after it.
    until: u64,
    /// Since when it cannot be read, and when that was said last.
    failing: Option<(Instant, Instant)>,
    /// When it was tried last: where one hangs, the others are tried first the next time.
    tried: Option<Instant>,
}

#[derive(Default)]
struct Polled {
    last: Timestamp,
    whole: Timestamp,
}

impl Node {
    pub fn new(
        shared: Arc<Shared>,
        files: Arc<Files>,
        sequencer: Arc<dyn Sequencer>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        retry_pause: Duration,
    ) -> Node {
        Node {
            shared,
            files,
            sequencer,
            clock,
            random,
            retry_pause,
            showing: tokio::sync::Mutex::new(()),
            polled: Mutex::new(Polled { last: Timestamp(i64::MIN), whole: Timestamp(i64::MIN) }),
            unseen: Mutex::default(),
            is_lost: AtomicBool::new(false),
        }
    }

    /// True where rows of the partition are committed and cannot be read back to be shown. Nothing more is taken for
    /// it until they are: it would be acknowledged into the dark.
    pub fn is_behind(&self, topic: &Topic, partition: Partition) -> bool {
        let unseen = self.unseen.lock();
        let mut failing = unseen.values().filter(|unseen| unseen.failing.is_some());
        failing.any(|unseen| unseen.topic == *topic && unseen.partition == partition)
    }

    /// How many partitions are behind.
    pub fn behind(&self) -> usize {
        self.unseen.lock().values().filter(|unseen| unseen.failing.is_some()).count()
    }

    /// Learns what there is. To be done before anything else.
    pub async fn learn(&self) -> Result<(), SequencerError> {
        let all = self.sequencer.learn().await?;
        let mut state = self.shared.state.write();
        for (bounds, stream) in all {
            let key = state.intern(&bounds.topic, bounds.partition);
            if let Some(partition) = state.get_mut(key) {
                (partition.start, partition.end) = (bounds.start, bounds.next);
                partition.stream = stream.map(Box::new);
            }
        }
        Ok(())
    }

    /// Makes a segment of a group.
    pub fn seal(&self, group: Vec<Request>) -> Sealed {
        seal(group, self.clock.now(), &*self.random)
    }

    /// Puts a segment on stable storage.
    pub async fn persist(&self, key: &str, content: Bytes) -> Result<(), AppendError> {
        if left_out(Step::Put) {
            return Ok(());
        }
        let put = self.files.put(key, FileKind::Segment, content);
        let Ok(put) = tokio::time::timeout(PUT_WITHIN, put).await else {
            tracing::warn!(key, "a segment was not put: the object store is too slow");
            return Err(AppendError::Unavailable);
        };
        put.map(drop).map_err(|error| match error {
            StoreError::Object(ObjectError::Full) => AppendError::Full,
            error => {
                tracing::warn!(error = &error as &dyn std::error::Error, "a segment was not put");
                AppendError::Unavailable
            }
        })
    }

    /// Commits a segment that is on stable storage, shows it, and answers who waits.
    pub async fn commit(&self, mut sealed: Sealed) {
        let showing = self.showing.lock().await;
        let least = Instant::now() + COMMIT_WITHIN_LEAST;
        let until = match self.is_lost.load(Ordering::Relaxed) {
            true => least,
            false => least.max(sealed.sealed_at + COMMIT_WITHIN),
        };
        let sequenced = self.sequence(&sealed, until).await;
        let is_lost = sequenced.as_ref().is_err_and(SequencerError::is_transient);
        self.is_lost.store(is_lost, Ordering::Relaxed);
        let sequenced = match sequenced {
            Ok(sequenced) => sequenced,
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "a segment was not committed");
                drop(showing);
                return match left_out(Step::CommitCheck) {
                    true => sealed.acknowledge(&|_, _| {
                        Some(Ok(Appended { base: Offset(0), count: 1, duplicate: false }))
                    }),
                    false => sealed.refuse(&AppendError::Unavailable),
                };
            }
        };
        for (of_part, places) in sealed.take_batches().into_iter().zip(&sequenced) {
            let fresh = of_part.into_iter().zip(places).filter_map(|(batch, place)| {
                let place = place.as_ref().ok().filter(|place| !place.duplicate)?;
                Some(Committed { base: Offset(place.base), ..batch })
            });
            // What is not shown now is committed and durable: the poll shows it, as soon as what lies before it can
            // be read.
            self.show(fresh.collect()).await;
        }
        drop(showing);
        sealed.acknowledge(&|part, batch| {
            let place = *sequenced.get(part)?.get(batch)?;
            Some(place.map(|Sequenced { base, count, duplicate }| Appended {
                base: Offset(base),
                count,
                duplicate,
            }))
        });
    }

    async fn sequence(&self, sealed: &Sealed, until: Instant) -> Result<Vec<Vec<Outcome>>, SequencerError> {
        let age = self.clock.now().0.saturating_sub(sealed.proposal.made_at.0);
        if age > LATE {
            return Err(SequencerError::GivenUp(Arc::clone(&sealed.proposal.key)));
        }
        let mut tried = 0;
        loop {
            let commit = tokio::time::timeout_at(until, self.sequencer.commit(&sealed.proposal));
            let error = match commit.await.unwrap_or(Err(SequencerError::Silent)) {
                Ok(sequenced) => return Ok(sequenced),
                Err(error) => error,
            };
            tried += 1;
            let pause = self.retry_pause * (1 << tried.min(6));
            if !error.is_transient() || tried >= COMMIT_TRIES || Instant::now() + pause >= until {
                return Err(error);
            }
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
        }
    }

    /// Shows batches of one partition, and before them what other nodes committed in between.
    async fn show(&self, batches: Vec<Committed>) {
        let (Some(first), Some(last)) = (batches.first(), batches.last()) else { return };
        let (topic, partition) = (first.topic.clone(), first.partition);
        let until = last.base.0 + u64::from(last.count);
        let key = self.shared.state.write().intern(&topic, partition);
        // Who is behind is not waited for by everybody else.
        if self.is_behind(&topic, partition) {
            return self.note_unseen(key, &topic, partition, until);
        }
        for batch in batches {
            if !left_out(Step::CatchUp)
                && let Err(error) = self.catch_up(key, &topic, partition, batch.base.0).await
            {
                self.note_unseen(key, &topic, partition, until);
                return self.note_failed(key, &error);
            }
            self.show_next(key, batch);
        }
    }

    /// Notes that there is more of a partition than was shown.
    fn note_unseen(&self, key: PartitionKey, topic: &Topic, partition: Partition, until: u64) {
        let mut unseen = self.unseen.lock();
        let of_it = unseen.entry(key).or_insert_with(|| Unseen {
            topic: topic.clone(),
            partition,
            until,
            failing: None,
            tried: None,
        });
        of_it.until = of_it.until.max(until);
    }

    /// Notes that what is not shown cannot be read.
    fn note_failed(&self, key: PartitionKey, error: &ReadError) {
        let mut unseen = self.unseen.lock();
        let Some(of_it) = unseen.get_mut(&key) else { return };
        let now = Instant::now();
        let (since, said) = of_it.failing.unwrap_or((now, now));
        let is_due = of_it.failing.is_none() || now - said >= SAY_EVERY;
        of_it.failing = Some((since, if is_due { now } else { said }));
        if is_due {
            tracing::error!(
                error = error as &dyn std::error::Error,
                project = %of_it.topic.project, topic = %of_it.topic.name, offset = self.shared.state.read().end(key),
                "committed rows cannot be read back: they are shown, and more are taken, once they can"
            );
        }
    }

    /// Shows a batch, unless it was shown already.
    fn show_next(&self, key: PartitionKey, batch: Committed) {
        if self.shared.state.read().end(key) > batch.base.0 {
            return;
        }
        let end = batch.base.0 + u64::from(batch.count);
        self.shared.publish(&[key], std::slice::from_ref(&batch), |state| {
            if let Some(partition) = state.get_mut(key) {
                partition.note(&batch);
                partition.end = end;
            }
        });
    }

    /// Reads and shows what is committed before `until` and was not shown here yet.
    async fn catch_up(
        &self,
        key: PartitionKey,
        topic: &Topic,
        partition: Partition,
        until: u64,
    ) -> Result<(), ReadError> {
        let caught_up = self.catch_up_slowly(key, topic, partition, until);
        let slow = |_| ReadError::Storage("the object store is too slow".into());
        tokio::time::timeout(CATCH_UP_WITHIN, caught_up).await.map_err(slow)?
    }

    async fn catch_up_slowly(
        &self,
        key: PartitionKey,
        topic: &Topic,
        partition: Partition,
        until: u64,
    ) -> Result<(), ReadError> {
        loop {
            let end = self.shared.state.read().end(key);
            if end >= until {
                return Ok(());
            }
            let batches = self.read_stored(topic, partition, end, until, CATCH_UP_BYTES).await?;
            if batches.is_empty() {
                // Offsets become visible in their order, so what is not there is gone: trimmed before this node
                // saw it.
                self.skip_to(key, until);
            }
            for batch in batches {
                self.skip_to(key, batch.base.0);
                self.show_next(key, batch);
            }
        }
    }

    fn skip_to(&self, key: PartitionKey, offset: u64) {
        if let Some(partition) = self.shared.state.write().get_mut(key) {
            partition.end = partition.end.max(offset);
        }
    }

    /// Looks what other nodes, or commits whose answers were lost, added, and shows it.
    pub async fn poll(&self) -> Result<(), SequencerError> {
        let now = self.clock.now();
        let since = {
            let polled = self.polled.lock();
            let whole = now.0.saturating_sub(polled.whole.0) >= WHOLE_LOOK;
            (!whole).then_some(Timestamp(polled.last.0.saturating_sub(SKEW)))
        };
        // Asked without the lock: while the database does not answer, commits are to learn it by themselves.
        for Bounds { topic, partition, start, next } in self.sequencer.bounds(since).await? {
            let _showing = self.showing.lock().await;
            let (key, end) = {
                let mut state = self.shared.state.write();
                let key = state.intern(&topic, partition);
                if let Some(held) = state.get_mut(key) {
                    held.start = start.max(held.start);
                    if let Some(stream) = &mut held.stream {
                        stream.trim(held.start);
                    }
                    // A node that lost touch for longer than retention goes on at what is left.
                    held.end = held.end.max(held.start);
                }
                (key, state.end(key))
            };
            if end < next {
                self.note_unseen(key, &topic, partition, next);
            }
        }
        {
            let mut polled = self.polled.lock();
            polled.last = now;
            if since.is_none() {
                polled.whole = now;
            }
        }
        self.show_unseen().await;
        Ok(())
    }

    /// Reads and shows what is committed and was not shown yet. What cannot be read stays for the next time, and does
    /// not keep what can: only a store that hangs ends the round.
    async fn show_unseen(&self) {
        let mut keys: Vec<(Option<Instant>, PartitionKey)> =
            self.unseen.lock().iter().map(|(key, unseen)| (unseen.tried, *key)).collect();
        keys.sort_unstable();
        for (_, key) in keys {
            let _showing = self.showing.lock().await;
            let began = Instant::now();
            let (topic, partition, until) = {
                let mut unseen = self.unseen.lock();
                let Some(of_it) = unseen.get_mut(&key) else { continue };
                of_it.tried = Some(began);
                (of_it.topic.clone(), of_it.partition, of_it.until)
            };
            match self.catch_up(key, &topic, partition, until).await {
                Ok(()) => {
                    let shown = self.unseen.lock().remove(&key);
                    if let Some((since, _)) = shown.and_then(|unseen| unseen.failing) {
                        let after_ms = since.elapsed().as_millis() as u64;
                        let project = topic.project;
                        tracing::info!(%project, topic = %topic.name, after_ms, "all committed rows are shown again");
                    }
                }
                Err(error) => {
                    self.note_failed(key, &error);
                    if began.elapsed() >= CATCH_UP_WITHIN {
                        return;
                    }
                }
            }
        }
    }

    /// Reads committed batches: see [`crate::Log::read`].
    pub async fn read(
        &self,
        topic: &Topic,
        partition: Partition,
        from: u64,
        max_bytes: usize,
    ) -> Result<Vec<Committed>, ReadError> {
        let looked = look(&self.shared, &self.shared.state.read(), topic, partition, from, max_bytes)?;
        let (start, end) = match looked {
            Look::Batches(batches) => return Ok(batches),
            Look::Stored { start, end } => (start, end),
        };
        let batches = self.read_stored(topic, partition, from, end, max_bytes).await?;
        if batches.is_empty() {
            // Trimmed by another node since the last poll.
            return Err(ReadError::OutOfRange { asked: from, start: start.max(from + 1), end });
        }
        Ok(batches)
    }

    /// Reads batches from the store, from the one that holds `from` on, none that begins at `until` or after.
    async fn read_stored(
        &self,
        topic: &Topic,
        partition: Partition,
        from: u64,
        until: u64,
        max_bytes: usize,
    ) -> Result<Vec<Committed>, ReadError> {
        let storage = |error: Box<dyn std::error::Error + Send + Sync>| ReadError::Storage(error);
        let mut tries = 0;
        'again: loop {
            tries += 1;
            let runs = self.sequencer.find(topic, partition, from, RUNS_MAX).await;
            let mut found: Vec<Committed> = Vec::new();
            let mut bytes = 0;
            for run in runs.map_err(|error| storage(Box::new(error)))? {
                let next = found.last().map_or(from, |last| last.base.0 + u64::from(last.count));
                if run.base >= until || (!found.is_empty() && (bytes >= max_bytes || run.base != next)) {
                    break;
                }
                let read = read_run(&self.shared, &self.files, topic, partition, &run, next).await;
                let batches = match read {
                    // Compaction or retention took the segment away; look again where the batches are.
                    Err(SegmentError::Store(StoreError::Object(ObjectError::NotFound(_))))
                        if tries < READ_TRIES =>
                    {
                        continue 'again;
                    }
                    read => read.map_err(|error| storage(Box::new(error)))?,
                };
                for batch in batches {
                    bytes += batch.batch.len();
                    let enough = !found.is_empty() && bytes > max_bytes;
                    if enough || batch.base.0 >= until {
                        return Ok(found);
                    }
                    found.push(batch);
                }
            }
            return Ok(found);
        }
    }
}
