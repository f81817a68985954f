//! What the log knows: partitions, where their batches lie, the window of request ids. Memory only; the checkpoint
//! and the journal's tail rebuild it.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use candor_model::{Offset, Partition, ProjectId, Timestamp};

use crate::journal::{FrameAt, JournalFile};
use crate::window::Window;
use crate::{Committed, Topic};

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
}

impl PartitionState {
    /// The chunk that holds `offset`, or the first after it.
    pub fn chunk_at(&self, offset: u64) -> usize {
        self.chunks.partition_point(|chunk| chunk.end <= offset)
    }

    pub fn bytes(&self) -> u64 {
        self.chunks.iter().map(|chunk| chunk.bytes).sum()
    }

    /// Lets go of the oldest chunk.
    pub fn trim_front(&mut self) -> Option<Chunk> {
        let chunk = self.chunks.pop_front()?;
        self.start = self.chunks.front().map_or(self.end, |next| next.base);
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

/// Files that hold batches of deleted projects: what else is in them is to be written elsewhere, so that they can go.
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
        let mut purge = Purge::default();
        for partition in self.partitions.iter_mut().filter(|p| p.topic.project == project) {
            while let Some(chunk) = partition.trim_front() {
                purge.journals_to = purge.journals_to.max(chunk.journal());
                purge.segments.extend(chunk.segment());
            }
        }
        self.purge.merge(purge);
        self.drop_unnamed_segments();
        self.changed = true;
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
        self.numbers.entry(topic.clone()).or_default().insert(partition, key);
        self.partitions.push(PartitionState {
            topic: topic.clone(),
            partition,
            start: 0,
            end: 0,
            chunks: VecDeque::new(),
            consumed: Vec::new(),
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
        let entry = Entry {
            base,
            count: committed.count,
            bytes,
            frame_at: frame.at,
            frame_length: frame.length,
            slot,
        };
        let Timestamp(ingested) = committed.ingested_at;
        let end = partition.end;
        match partition.chunks.back_mut() {
            Some(Chunk { place: Place::Journal { file, entries }, bytes: total, last_ingested, .. })
                if *file == frame.file =>
            {
                Arc::make_mut(entries).push(entry);
                *total += u64::from(bytes);
                *last_ingested = ingested.max(*last_ingested);
            }
            _ => partition.chunks.push_back(Chunk {
                base,
                end,
                bytes: u64::from(bytes),
                first_ingested: ingested,
                last_ingested: ingested,
                place: Place::Journal { file: frame.file, entries: Arc::new(vec![entry]) },
            }),
        }
        if let Some(chunk) = partition.chunks.back_mut() {
            chunk.end = end;
            chunk.first_ingested = ingested.min(chunk.first_ingested);
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
            self.partitions.iter().filter(|p| p.end > 0).map(|p| p.topic.clone()).collect();
        topics.sort_unstable();
        topics.dedup();
        topics
    }
}
