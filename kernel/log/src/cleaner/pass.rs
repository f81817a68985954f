//! One pass over a partition: what stays, and in which form.

use std::collections::{BTreeSet, HashMap, HashSet};

use async_trait::async_trait;
use bytes::Bytes;
use candor_gate::StreamSubjects;
use candor_model::Partition;
use candor_records::{BadBatch, Header, Opened, Rebuild, Record, open};

use super::Cleaned;
use super::keys::Keys;
use crate::mutant::{Mutant, planted};
use crate::stream_reads::OPENED_MAX;
use crate::streams::header_of;
use crate::{Committed, Topic};

/// What a pass is to do.
pub(crate) struct Job {
    pub topic: Topic,
    pub partition: Partition,
    /// Where the first batch begins.
    pub from: u64,
    /// The first offset that no pass has seen.
    pub dirty: u64,
    /// The end of the last batch.
    pub until: u64,
    /// Aborted transactions that begin before `until`: producer, first offset, marker.
    pub aborted: Vec<(i64, u64, u64)>,
    /// The base offset of each producer's last batch.
    pub newest: HashMap<i64, u64>,
    /// Milliseconds since 1970.
    pub now: i64,
    /// How long tombstones and markers stay from now on, milliseconds.
    pub delete_retention: i64,
    /// Keys remembered at most.
    pub keys_max: usize,
}

/// What a pass came to, once what it wrote is in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Done {
    pub cleaned: Cleaned,
    /// Markers of aborted transactions of which nothing is left.
    pub forgotten: BTreeSet<u64>,
}

/// Where a pass reads and writes.
#[async_trait]
pub(crate) trait Store: Send {
    type Error: Send;

    /// Batches from the one on that holds `from`, or the first after it; at least one where there is one before the
    /// end of the job.
    async fn read(&mut self, job: &Job, from: u64) -> Result<Vec<Committed>, Self::Error>;

    /// Takes a batch that stays. `is_first` of the pass.
    async fn write(&mut self, batch: Committed, is_first: bool) -> Result<(), Self::Error>;
}

/// Runs a pass. What it gives holds once what was written is in its place.
pub(crate) async fn run<S: Store>(store: &mut S, job: &Job) -> Result<Done, S::Error> {
    let mut filter = Filter::new(job);
    let mut from = job.dirty.max(job.from);
    'index: while from < job.until {
        for batch in store.read(job, from).await? {
            from = end_of(&batch);
            if batch.base.0 >= job.until || !filter.index(&batch) {
                break 'index;
            }
        }
    }
    let (mut from, mut is_first) = (job.from, true);
    while from < job.until {
        for batch in store.read(job, from).await? {
            from = end_of(&batch);
            if batch.base.0 >= job.until {
                break;
            }
            let batch = match filter.look(&batch) {
                Kept::AsIs => batch,
                Kept::Rebuilt(rebuilt) => Committed {
                    subjects: subjects_left(&batch.subjects, &rebuilt),
                    batch: rebuilt,
                    rows: None,
                    ..batch
                },
                Kept::Gone => continue,
            };
            store.write(batch, is_first).await?;
            is_first = false;
        }
    }
    Ok(filter.done())
}

fn end_of(batch: &Committed) -> u64 {
    batch.base.0 + u64::from(batch.count)
}

/// Whom the records are about that are left of a batch.
fn subjects_left(subjects: &StreamSubjects, rebuilt: &Bytes) -> StreamSubjects {
    if subjects.is_empty() {
        return StreamSubjects::default();
    }
    let Ok(opened) = open(rebuilt, OPENED_MAX) else { return subjects.clone() };
    let left = opened.records().filter_map(|record| u32::try_from(record.ok()?.offset_delta).ok());
    let left: HashSet<u32> = left.collect();
    subjects.retain(|delta| left.contains(&delta))
}

/// What becomes of a batch.
#[derive(Debug, PartialEq, Eq)]
enum Kept {
    AsIs,
    Rebuilt(Bytes),
    Gone,
}

struct Filter<'a> {
    job: &'a Job,
    keys: Keys,
    /// The end of what the keys were taken of: what is behind it stays as it is.
    end: u64,
    /// Aborted transactions by producer: first offset and marker.
    aborted: HashMap<i64, Vec<(u64, u64)>>,
    /// Producers of which something was met since their last marker.
    ongoing: HashSet<i64>,
    /// Markers that were met.
    markers: HashSet<u64>,
    horizon: Option<i64>,
}

impl<'a> Filter<'a> {
    fn new(job: &'a Job) -> Filter<'a> {
        let mut aborted: HashMap<i64, Vec<(u64, u64)>> = HashMap::new();
        for (producer, first, marker) in &job.aborted {
            aborted.entry(*producer).or_default().push((*first, *marker));
        }
        Filter {
            job,
            keys: Keys::new(job.keys_max),
            end: job.dirty.max(job.from),
            aborted,
            ongoing: HashSet::new(),
            markers: HashSet::new(),
            horizon: None,
        }
    }

    /// Takes the keys of a batch; false where they do not fit.
    fn index(&mut self, batch: &Committed) -> bool {
        if let Some(opened) = self.opened_if_counts(batch) {
            if !self.keys.has_room(usize::try_from(opened.header().records).unwrap_or(0)) {
                return false;
            }
            for record in opened.records() {
                // What cannot be read stays as it is, whole: see `look`.
                let Ok(record) = record else { break };
                if let Some(key) = record.key {
                    self.keys.insert(key, offset_of(batch, &record));
                }
            }
        }
        self.end = end_of(batch);
        true
    }

    /// The records of a batch that count as what was written last.
    fn opened_if_counts(&self, batch: &Committed) -> Option<Opened> {
        let header = header_of(&batch.topic, &batch.batch)?;
        if header.is_control() || header.records == 0 || self.is_aborted(&header, batch) {
            return None;
        }
        open(&batch.batch, OPENED_MAX).ok()
    }

    fn is_aborted(&self, header: &Header, batch: &Committed) -> bool {
        if !header.is_transactional() || planted(Mutant::CountAborted) {
            return false;
        }
        let Some(of_producer) = self.aborted.get(&header.producer_id) else { return false };
        // Transactions of one producer follow one another.
        let next = of_producer.partition_point(|(first, _)| *first <= batch.base.0);
        let last = next.checked_sub(1).and_then(|last| of_producer.get(last));
        last.is_some_and(|(_, marker)| batch.base.0 < *marker)
    }

    /// What becomes of a batch. What cannot be read stays.
    fn look(&mut self, batch: &Committed) -> Kept {
        if batch.base.0 >= self.end {
            return Kept::AsIs;
        }
        let Some(header) = header_of(&batch.topic, &batch.batch) else { return Kept::AsIs };
        let kept = match header.is_control() {
            true => self.look_at_marker(batch, &header),
            false => self.look_at_records(batch, &header),
        };
        kept.unwrap_or(Kept::AsIs)
    }

    /// As `CleanedTransactionMetadata.onControlBatchRead`: a marker may go once none of its transaction was met.
    fn look_at_marker(&mut self, batch: &Committed, header: &Header) -> Result<Kept, BadBatch> {
        self.markers.insert(batch.base.0);
        if self.ongoing.remove(&header.producer_id) {
            return Ok(Kept::AsIs);
        }
        if header.records == 0 {
            return self.emptied(batch, header);
        }
        match header.delete_horizon() {
            Some(horizon) if self.has_come(horizon) => self.emptied(batch, header),
            Some(horizon) => {
                self.note(horizon);
                Ok(Kept::AsIs)
            }
            None => {
                let opened = open(&batch.batch, OPENED_MAX)?;
                let mut rebuilt = Rebuild::new(header)?.with_delete_horizon(self.new_horizon());
                for record in opened.records() {
                    rebuilt.push(&record?);
                }
                self.note(self.new_horizon());
                rebuilt.finish().map(Kept::Rebuilt)
            }
        }
    }

    fn look_at_records(&mut self, batch: &Committed, header: &Header) -> Result<Kept, BadBatch> {
        if header.is_transactional() {
            self.ongoing.insert(header.producer_id);
        }
        if header.records == 0 || self.is_aborted(header, batch) {
            return self.emptied(batch, header);
        }
        let opened = open(&batch.batch, OPENED_MAX)?;
        let tombstones_go = header.delete_horizon().is_some_and(|horizon| self.has_come(horizon));
        let mut keeps = Vec::with_capacity(usize::try_from(header.records).unwrap_or(0));
        let mut has_tombstones = false;
        for record in opened.records() {
            let record = record?;
            let keep = self.is_latest(batch, &record) && !(tombstones_go && record.value.is_none());
            has_tombstones |= keep && record.value.is_none();
            keeps.push(keep);
        }
        if !keeps.contains(&true) {
            return self.emptied(batch, header);
        }
        let new_horizon = (has_tombstones && header.delete_horizon().is_none()).then(|| self.new_horizon());
        if has_tombstones {
            self.horizon = [self.horizon, header.delete_horizon(), new_horizon].into_iter().flatten().min();
        }
        if !keeps.contains(&false) && new_horizon.is_none() {
            return Ok(Kept::AsIs);
        }
        let mut rebuilt = Rebuild::new(header)?;
        if let Some(horizon) = new_horizon {
            rebuilt = rebuilt.with_delete_horizon(horizon);
        }
        for (record, keep) in opened.records().zip(keeps) {
            if keep {
                rebuilt.push(&record?);
            }
        }
        rebuilt.finish().map(Kept::Rebuilt)
    }

    /// A record without a key is of a time before the topic was compacted, and goes.
    fn is_latest(&self, batch: &Committed, record: &Record<'_>) -> bool {
        let latest = record.key.map(|key| self.keys.latest(key));
        latest.is_some_and(|latest| latest.is_none_or(|latest| offset_of(batch, record) >= latest))
    }

    /// A batch of which no record stays.
    fn emptied(&self, batch: &Committed, header: &Header) -> Result<Kept, BadBatch> {
        let newest = self.job.newest.get(&header.producer_id);
        let is_newest = newest == Some(&batch.base.0) && !planted(Mutant::DropLastOfProducer);
        if !is_newest && end_of(batch) != self.job.until {
            return Ok(Kept::Gone);
        }
        if header.records == 0 {
            return Ok(Kept::AsIs);
        }
        Rebuild::new(header)?.finish().map(Kept::Rebuilt)
    }

    fn has_come(&self, horizon: i64) -> bool {
        self.job.now >= horizon || planted(Mutant::DropTombstonesEarly)
    }

    fn new_horizon(&self) -> i64 {
        self.job.now.saturating_add(self.job.delete_retention)
    }

    fn note(&mut self, horizon: i64) {
        self.horizon = Some(self.horizon.map_or(horizon, |before| before.min(horizon)));
    }

    fn done(self) -> Done {
        let ended = self.job.aborted.iter().map(|(_, _, marker)| *marker);
        // They are told of until a pass finds the marker gone: a reader that began before it went may still ask.
        let forgotten = ended.filter(|marker| *marker < self.end && !self.markers.contains(marker));
        Done { forgotten: forgotten.collect(), cleaned: Cleaned { to: self.end, horizon: self.horizon } }
    }
}

/// What the batch itself says of its place counts for nothing.
fn offset_of(batch: &Committed, record: &Record<'_>) -> u64 {
    batch.base.0.saturating_add_signed(i64::from(record.offset_delta))
}
