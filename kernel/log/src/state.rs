//! What the log knows: partitions, where their batches lie, the window of request ids. Memory only; the checkpoint
//! and the journal's tail rebuild it.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use candor_model::{Offset, Partition, ProjectId, Timestamp};

use candor_records::Header;

use crate::cleaner::Cleaned;
use crate::floors::Floors;
use crate::journal::{FrameAt, JournalFile};
use crate::streams::{StreamState, header_of};
use crate::window::Window;
use crate::{Committed, Compaction, Retention, Topic};

/// A partition of a topic, by its number in this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct PartitionKey(pub u32);

/// A batch in the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub base: u64,
    pub count: u32,
    /// Its stored form, bytes.
    pub bytes: u32,
    /// The frame that holds it.
    pub frame_at: u64,
    pub frame_length: u32,
    /// Which batch of the frame.
    pub slot: u32,
    /// Of a stream the greatest of its records' timestamps, milliseconds; else -1.
    pub max_timestamp: i64,
}

/// Where a run of batches lies.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    /// In a journal file, batch by batch.
    Journal { file: u64, entries: Arc<Vec<Entry>> },
    /// In a history segment, whose footer says where.
    History { segment: u64 },
}

/// A run of neighbouring batches of a partition in one file.
#[derive(Debug, Clone)]
pub(crate) struct Chunk {
    pub base: u64,
    /// The offset after its last record.
    pub end: u64,
    /// Stored forms together, bytes.
    pub bytes: u64,
    pub first_ingested: i64,
    pub last_ingested: i64,
    /// Of a stream the greatest of its records' timestamps, milliseconds; else -1.
    pub max_timestamp: i64,
    pub place: Place,
}

impl Chunk {
    pub fn journal(&self) -> Option<u64> {
        match self.place {
            Place::Journal { file, .. } => Some(file),
            Place::History { .. } => None,
        }
    }

    pub fn segment(&self) -> Option<u64> {
        match self.place {
            Place::Journal { .. } => None,
            Place::History { segment } => Some(segment),
        }
    }

    /// True where it lies in this journal file.
    pub fn is_in(&self, file: Option<u64>) -> bool {
        file.is_some() && self.journal() == file
    }

    /// Adds a batch that follows in the same journal file.
    fn push(&mut self, entry: Entry, ingested: i64) {
        let Place::Journal { entries, .. } = &mut self.place else { return };
        Arc::make_mut(entries).push(entry);
        self.end = entry.base + u64::from(entry.count);
        self.bytes += u64::from(entry.bytes);
        self.first_ingested = ingested.min(self.first_ingested);
        self.last_ingested = ingested.max(self.last_ingested);
        self.max_timestamp = entry.max_timestamp.max(self.max_timestamp);
    }
}

/// A partition.
pub(crate) struct PartitionState {
    pub topic: Topic,
    pub partition: Partition,
    /// The oldest offset that is held.
    pub start: u64,
    /// The offset of the next record: the high watermark.
    pub end: u64,
    pub chunks: VecDeque<Chunk>,
    /// How far consumers have come.
    pub consumed: Vec<(&'static str, u64)>,
    /// Of a stream: its producers and transactions, once there are any.
    pub stream: Option<Box<StreamState>>,
    /// How far it is compacted by key.
    pub cleaned: Cleaned,
    /// The topic was deleted; nothing more is taken.
    pub deleted: bool,
}

impl PartitionState {
    /// The first offset that may belong to an open transaction.
    pub fn last_stable(&self) -> u64 {
        let open = self.stream.as_ref().and_then(|stream| stream.first_open());
        // Retention may have overtaken a transaction that nobody ends.
        open.map_or(self.end, |first| first.max(self.start).min(self.end))
    }

    /// Takes in what a committed batch of a stream says of its producer. Gives its header.
    pub fn note(&mut self, committed: &Committed) -> Option<Header> {
        let header = header_of(&committed.topic, &committed.batch)?;
        if header.has_producer() {
            self.stream.get_or_insert_default().apply(&header, committed);
        }
        Some(header)
    }

    /// True where the topic was deleted and something of it is still there.
    pub fn is_left_over(&self) -> bool {
        self.deleted && !self.chunks.is_empty()
    }

    /// True where a start must know it: what a deleted topic had is not asked for again.
    pub fn is_worth_keeping(&self) -> bool {
        self.end > 0 && (!self.deleted || !self.chunks.is_empty())
    }

    /// The chunk that holds `offset`, or the first after it.
    pub fn chunk_at(&self, offset: u64) -> usize {
        self.chunks.partition_point(|chunk| chunk.end <= offset)
    }

    /// Bytes of the batch that holds `offset`, or of the first after it, where the journal has it.
    pub fn journal_bytes_at(&self, offset: u64) -> Option<u32> {
        let Place::Journal { entries, .. } = &self.chunks.get(self.chunk_at(offset))?.place else {
            return None;
        };
        let skip = entries.partition_point(|entry| entry.base + u64::from(entry.count) <= offset);
        entries.get(skip).map(|entry| entry.bytes)
    }

    pub fn bytes(&self) -> u64 {
        self.chunks.iter().map(|chunk| chunk.bytes).sum()
    }

    /// Lets go of the oldest chunk.
    pub fn trim_front(&mut self) -> Option<Chunk> {
        let chunk = self.chunks.pop_front()?;
        // It may begin within a batch, where records were deleted.
        self.start = self.chunks.front().map_or(self.end, |next| next.base).max(self.start);
        if let Some(stream) = &mut self.stream {
            stream.trim(self.start);
        }
        Some(chunk)
    }

    /// How far a consumer came; `None` where it has not said.
    pub fn consumed_by(&self, consumer: &str) -> Option<u64> {
        self.consumed.iter().find(|(name, _)| *name == consumer).map(|(_, next)| *next)
    }
}

/// A history segment.
#[derive(Debug, Clone)]
pub(crate) struct SegmentState {
    /// Its name in the store.
    pub key: Arc<str>,
    pub bytes: u64,
}

/// Files that hold batches of deleted projects, or of what was compacted away: what else is in them is to be written elsewhere, so that they can go.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Purge {
    /// Journal files up to this one.
    pub journals_to: Option<u64>,
    pub segments: BTreeSet<u64>,
}

impl Purge {
    pub fn is_empty(&self) -> bool {
        *self == Purge::default()
    }

    /// True where a chunk lies in one of the files.
    pub fn holds(&self, chunk: &Chunk) -> bool {
        chunk.journal().is_some_and(|file| Some(file) <= self.journals_to)
            || chunk.segment().is_some_and(|segment| self.segments.contains(&segment))
    }

    pub fn merge(&mut self, other: Purge) {
        self.journals_to = self.journals_to.max(other.journals_to);
        self.segments.extend(other.segments);
    }

    /// Takes out what was done; what was added since stays.
    pub fn remove(&mut self, done: &Purge) {
        if self.journals_to <= done.journals_to {
            self.journals_to = None;
        }
        self.segments.retain(|segment| !done.segments.contains(segment));
    }
}

/// What the log knows.
pub(crate) struct State {
    pub partitions: Vec<PartitionState>,
    numbers: HashMap<Topic, HashMap<Partition, PartitionKey>>,
    pub window: Window,
    /// What is kept of topics of streams, as far as it was said.
    pub retention: HashMap<Topic, Retention>,
    /// Which topics of streams are compacted by key, and how.
    pub compaction: HashMap<Topic, Compaction>,
    /// Under which policies what comes may have been cleared.
    pub floors: Floors,
    /// Journal files that hold batches, and the one that is written.
    pub journals: BTreeMap<u64, Arc<JournalFile>>,
    pub segments: BTreeMap<u64, SegmentState>,
    /// The journal file that is written, once something is in it.
    pub open_journal: Option<u64>,
    /// Segments that go once a checkpoint does not name them.
    pub garbage_segments: Vec<Arc<str>>,
    /// Where deleted projects' batches still lie beside those of others.
    pub purge: Purge,
    /// Something a checkpoint should hold changed by other than appends.
    pub changed: bool,
    /// The journal file that was open at the last snapshot.
    pub checkpointed_journal: Option<u64>,
    /// Snapshots taken so far.
    pub snapshots: u64,
}

impl State {
    pub fn new(window_requests: usize) -> State {
        State {
            partitions: Vec::new(),
            numbers: HashMap::new(),
            window: Window::new(window_requests),
            retention: HashMap::new(),
            compaction: HashMap::new(),
            floors: Floors::default(),
            journals: BTreeMap::new(),
            segments: BTreeMap::new(),
            open_journal: None,
            garbage_segments: Vec::new(),
            purge: Purge::default(),
            changed: false,
            checkpointed_journal: None,
            snapshots: 0,
        }
    }

    pub fn find(&self, topic: &Topic, partition: Partition) -> Option<PartitionKey> {
        self.numbers.get(topic)?.get(&partition).copied()
    }

    pub fn get(&self, key: PartitionKey) -> Option<&PartitionState> {
        self.partitions.get(key.0 as usize)
    }

    pub fn get_mut(&mut self, key: PartitionKey) -> Option<&mut PartitionState> {
        self.partitions.get_mut(key.0 as usize)
    }

    /// Every partition's number.
    pub fn keys(&self) -> impl Iterator<Item = PartitionKey> + use<> {
        (0..self.partitions.len() as u32).map(PartitionKey)
    }

    /// Forgets segments in which no partition has anything any more; they go with the next checkpoint.
    pub fn drop_unnamed_segments(&mut self) {
        let named: BTreeSet<u64> =
            self.partitions.iter().flat_map(|p| &p.chunks).filter_map(Chunk::segment).collect();
        let garbage = &mut self.garbage_segments;
        self.segments.retain(|id, segment| {
            let keep = named.contains(id);
            if !keep {
                garbage.push(Arc::clone(&segment.key));
            }
            keep
        });
    }

    /// Lets go of all that a project has, and notes which files held it.
    pub fn forget(&mut self, project: ProjectId) {
        self.forget_all(|partition| partition.topic.project == project);
    }

    /// Lets go of a topic, and takes nothing more for it. Gives its partitions.
    pub fn delete_topic(&mut self, topic: &Topic) -> Vec<PartitionKey> {
        self.retention.remove(topic);
        self.compaction.remove(topic);
        // Of one that was never written to, something has to say so too.
        self.intern(topic, Partition(0));
        let keys: Vec<_> = self.numbers.get(topic).into_iter().flat_map(|of| of.values().copied()).collect();
        for key in &keys {
            if let Some(partition) = self.get_mut(*key) {
                partition.deleted = true;
            }
        }
        self.forget_deleted();
        keys
    }

    /// Lets go of what deleted topics have: of what was being written at that moment, once more.
    pub fn forget_deleted(&mut self) {
        if self.partitions.iter().any(PartitionState::is_left_over) {
            self.forget_all(PartitionState::is_left_over);
        }
    }

    /// Lets a partition begin at `before`, unless it begins later. Gives where it begins.
    pub fn delete_records(&mut self, key: PartitionKey, before: u64) -> u64 {
        let open = self.open_journal;
        let Some(partition) = self.get_mut(key) else { return 0 };
        let start = partition.start;
        partition.start = before.max(start);
        // More may follow in the open file.
        while partition.chunks.front().is_some_and(|chunk| chunk.end <= partition.start && !chunk.is_in(open))
        {
            partition.trim_front();
        }
        // Not where the first chunk begins that is left: what was compacted away leaves gaps.
        partition.start = before.max(start);
        let start = partition.start;
        if let Some(stream) = &mut partition.stream {
            stream.trim(start);
        }
        self.drop_unnamed_segments();
        self.changed = true;
        start
    }

    fn forget_all(&mut self, goes: impl Fn(&PartitionState) -> bool) {
        let mut purge = Purge::default();
        for partition in self.partitions.iter_mut().filter(|partition| goes(partition)) {
            partition.stream = None;
            while let Some(chunk) = partition.trim_front() {
                purge.journals_to = purge.journals_to.max(chunk.journal());
                purge.segments.extend(chunk.segment());
            }
        }
        self.purge.merge(purge);
        self.drop_unnamed_segments();
        self.changed = true;
    }

    /// The partitions of a topic, in no order.
    pub fn partitions_of(&self, topic: &Topic) -> impl Iterator<Item = &PartitionState> {
        self.numbers.get(topic).into_iter().flat_map(|of| of.values()).filter_map(|key| self.get(*key))
    }

    /// A partition by name.
    pub fn find_named(&self, topic: &Topic, partition: Partition) -> Option<&PartitionState> {
        self.find(topic, partition).and_then(|key| self.get(key))
    }

    /// The partition's number, given now if it is new.
    pub fn intern(&mut self, topic: &Topic, partition: Partition) -> PartitionKey {
        if let Some(key) = self.find(topic, partition) {
            return key;
        }
        let key = PartitionKey(self.partitions.len() as u32);
        let deleted = self.partitions_of(topic).next().is_some_and(|held| held.deleted);
        self.numbers.entry(topic.clone()).or_default().insert(partition, key);
        self.partitions.push(PartitionState {
            topic: topic.clone(),
            partition,
            start: 0,
            end: 0,
            chunks: VecDeque::new(),
            consumed: Vec::new(),
            stream: None,
            cleaned: Cleaned::default(),
            deleted,
        });
        key
    }

    pub fn end(&self, key: PartitionKey) -> u64 {
        self.get(key).map_or(0, |partition| partition.end)
    }

    /// Takes in a batch that is on stable storage in a frame of the journal. False where it does not follow what is
    /// there: the journal is damaged.
    pub fn apply(&mut self, committed: &Committed, frame: FrameAt, slot: u32, bytes: u32) -> bool {
        let key = self.intern(&committed.topic, committed.partition);
        let Some(partition) = self.get_mut(key) else { return false };
        let Offset(base) = committed.base;
        if base != partition.end {
            return false;
        }
        partition.end = base + u64::from(committed.count);
        let header = partition.note(committed);
        let max_timestamp = header.map_or(-1, |header| header.max_timestamp);
        let entry = Entry {
            base,
            count: committed.count,
            bytes,
            frame_at: frame.at,
            frame_length: frame.length,
            slot,
            max_timestamp,
        };
        let Timestamp(ingested) = committed.ingested_at;
        let end = partition.end;
        match partition.chunks.back_mut() {
            Some(chunk) if chunk.journal() == Some(frame.file) => {
                chunk.push(entry, ingested);
            }
            _ => partition.chunks.push_back(Chunk {
                base,
                end,
                bytes: u64::from(bytes),
                first_ingested: ingested,
                last_ingested: ingested,
                max_timestamp,
                place: Place::Journal { file: frame.file, entries: Arc::new(vec![entry]) },
            }),
        }
        if let Some(request) = committed.request {
            let stored = crate::window::Stored { base, count: committed.count };
            self.window.insert(key, request, stored);
        }
        true
    }

    /// Topics that hold or held something, sorted.
    pub fn topics(&self) -> Vec<Topic> {
        let mut topics: Vec<Topic> =
            self.partitions.iter().filter(|p| p.end > 0 && !p.deleted).map(|p| p.topic.clone()).collect();
        topics.sort_unstable();
        topics.dedup();
        topics
    }
}
