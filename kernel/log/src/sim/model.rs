//! What the simulation knows must be true, kept beside the log in the simplest form.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use candor_model::{PolicyEpoch, RequestId, Timestamp};
use parking_lot::Mutex;

use super::keyed::is_left_of;
use crate::batch::Batch;
use crate::{Committed, Follower, Topic};

/// What became of a batch that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Acknowledged at this offset.
    Acknowledged(u64),
    /// No answer, or one that says nothing.
    Unknown,
    /// Refused: nothing of it may be read.
    Refused,
}

/// A batch that was sent. Its content begins with its number, so that it is known again wherever it turns up.
#[derive(Debug, Clone)]
pub struct Sent {
    pub number: u64,
    pub topic: Topic,
    pub content: Bytes,
    pub count: u32,
    pub request: Option<RequestId>,
    pub fate: Fate,
    /// Of a stream: whose it is and what it does.
    pub part: Option<Part>,
    /// Of the stream that is compacted by key: of each record the key, and whether it is a tombstone.
    pub keys: Vec<(u8, bool)>,
    /// When it was sent first.
    pub at: Timestamp,
    /// The policy it was cleared under.
    pub epoch: PolicyEpoch,
}

/// What a batch of a stream is part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    pub producer: i64,
    pub epoch: i16,
    pub does: Does,
}

/// What a batch of a stream does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Does {
    /// It stands alone.
    Nothing,
    /// It opens a transaction, or goes on with it.
    Opens,
    /// It ends one.
    Commits,
    Aborts,
}

impl Sent {
    pub fn batch(&self) -> Batch {
        let mut batch = crate::testing::batch(self.topic.project.0, &self.content, self.count);
        batch.topic = self.topic.clone();
        batch.request = self.request;
        batch.epoch = self.epoch;
        batch.vault = vec![crate::testing::vault_entry(self.number as u8)];
        batch
    }
}

/// Every batch, and where each was ever seen.
#[derive(Default)]
pub struct Model {
    pub sent: Vec<Sent>,
    /// By topic: base offset to the batch's number. What was once seen, by a reader or a follower, stays.
    pub(super) seen: HashMap<Topic, BTreeMap<u64, u64>>,
    /// Where a batch lies, by number.
    place: HashMap<u64, u64>,
    pub consumed: HashMap<Topic, u64>,
    /// Up to where records were deleted by hand, or may be.
    pub may_be_deleted: HashMap<Topic, u64>,
    /// Up to where records are deleted for good.
    pub deleted: HashMap<Topic, u64>,
    /// The oldest offset a topic may still have to hold.
    start: HashMap<Topic, u64>,
    /// What the last look at the stream that is compacted by key found: base offsets.
    pub(super) held: BTreeSet<u64>,
}

impl Model {
    pub fn new() -> Model {
        Model::default()
    }

    fn number_of(content: &[u8]) -> Option<u64> {
        Some(u64::from_le_bytes(*content.first_chunk()?))
    }

    /// An acknowledgement came.
    pub fn acknowledged(&mut self, number: u64, base: u64, duplicate: bool) -> Result<(), String> {
        let sent = self.sent.get_mut(number as usize).ok_or("an acknowledgement of nothing")?;
        match sent.fate {
            Fate::Acknowledged(first) if first != base => {
                return Err(format!("batch {number} was acknowledged at {first} and at {base}"));
            }
            Fate::Acknowledged(_) if !duplicate => {
                return Err(format!("batch {number} was stored twice"));
            }
            _ => sent.fate = Fate::Acknowledged(base),
        }
        let topic = sent.topic.clone();
        self.note(&topic, base, number)
    }

    fn note(&mut self, topic: &Topic, base: u64, number: u64) -> Result<(), String> {
        if let Some(place) = self.place.insert(number, base)
            && place != base
        {
            return Err(format!("batch {number} is at {place} and at {base} of {topic:?}"));
        }
        match self.seen.entry(topic.clone()).or_default().insert(base, number) {
            Some(other) if other != number => {
                Err(format!("offset {base} of {topic:?} held batch {other}, now {number}"))
            }
            _ => Ok(()),
        }
    }

    /// A batch was seen.
    pub fn saw(&mut self, batch: &Committed, with_vault: bool) -> Result<(), String> {
        let at = format!("offset {} of project {}", batch.base.0, batch.topic.project.0);
        let number = Model::number_of(&batch.batch).ok_or_else(|| format!("{at}: no batch of ours"))?;
        let sent = self.sent.get(number as usize).ok_or_else(|| format!("{at}: no batch of ours"))?;
        let is_same = sent.content == batch.batch || (!with_vault && is_left_of(sent, &batch.batch));
        if !is_same || sent.topic != batch.topic || sent.count != batch.count {
            return Err(format!("{at}: batch {number} was changed"));
        }
        if batch.request.is_some() != sent.request.is_some() {
            return Err(format!("{at}: batch {number} lost its request id"));
        }
        if sent.fate == Fate::Refused {
            return Err(format!("{at}: batch {number} was refused, and is there"));
        }
        if with_vault && batch.vault != sent.batch().vault {
            return Err(format!("{at}: batch {number} lost its vault entries"));
        }
        let topic = sent.topic.clone();
        self.note(&topic, batch.base.0, number)
    }

    /// Up to where a topic may have been trimmed; an error where it begins later, or earlier than it did.
    pub(super) fn allowed_start(&self, topic: &Topic, start: u64) -> Result<u64, String> {
        let of_topic = |of: &HashMap<Topic, u64>| of.get(topic).copied().unwrap_or(0);
        let allowed = of_topic(&self.consumed).max(of_topic(&self.may_be_deleted));
        if start > allowed {
            return Err(format!("{topic:?} starts at {start}, but only {allowed} is consumed"));
        }
        let deleted = of_topic(&self.deleted);
        if start < deleted {
            return Err(format!("{topic:?} starts at {start} again, {deleted} was deleted"));
        }
        Ok(allowed)
    }

    /// All that a topic holds was read, from `start` to `end`.
    pub fn read_whole(
        &mut self,
        topic: &Topic,
        start: u64,
        end: u64,
        batches: &[Committed],
    ) -> Result<(), String> {
        let allowed = self.allowed_start(topic, start)?;
        // It may start within a batch.
        let mut next = batches.first().map_or(start, |first| first.base.0.min(start));
        if batches.first().is_some_and(|first| first.base.0 + u64::from(first.count) <= start) {
            return Err(format!("{topic:?} starts at {start}, and what is before it is read"));
        }
        for batch in batches {
            if batch.base.0 != next {
                return Err(format!("{topic:?} has a gap: {next} to {}", batch.base.0));
            }
            next = batch.base.0 + u64::from(batch.count);
            let consumed = next <= allowed;
            self.saw(batch, !consumed)?;
        }
        if next != end {
            return Err(format!("{topic:?} ends at {next}, its high watermark is {end}"));
        }
        let held = self.start.entry(topic.clone()).or_default();
        *held = start.max(*held);
        // Whatever was seen once, and not trimmed, must have been there.
        let seen = self.seen.get(topic).into_iter().flat_map(|seen| seen.range(start..));
        let missing = seen.filter(|(base, _)| !batches.iter().any(|batch| batch.base.0 == **base));
        match missing.map(|(base, number)| format!("batch {number} at {base} of {topic:?} is lost")).next() {
            Some(lost) => Err(lost),
            None => Ok(()),
        }
    }

    /// Where the last stable offset of a stream must be, and which transactions were aborted, by first offset: from
    /// all that was ever seen of it.
    pub fn transactions(&self, topic: &Topic, start: u64, end: u64) -> (u64, Vec<(u64, i64)>) {
        let mut open: HashMap<i64, u64> = HashMap::new();
        let mut aborted = Vec::new();
        for (base, number) in self.seen.get(topic).into_iter().flatten() {
            let Some(part) = self.sent.get(*number as usize).and_then(|sent| sent.part) else { continue };
            match part.does {
                Does::Nothing => {}
                Does::Opens => {
                    open.entry(part.producer).or_insert(*base);
                }
                Does::Commits | Does::Aborts => {
                    let first = open.remove(&part.producer);
                    let counts = part.does == Does::Aborts && *base >= start;
                    aborted.extend(first.filter(|_| counts).map(|first| (first, part.producer)));
                }
            }
        }
        aborted.sort_unstable();
        (open.values().min().map_or(end, |first| *first.max(&start)), aborted)
    }

    pub fn topics(&self) -> Vec<Topic> {
        let mut topics: Vec<Topic> = self.sent.iter().map(|sent| sent.topic.clone()).collect();
        topics.sort_unstable();
        topics.dedup();
        topics
    }
}

/// A follower that checks that nothing is skipped.
#[derive(Default)]
pub struct Recorder {
    pub seen: Mutex<Vec<Committed>>,
    next: Mutex<HashMap<Topic, u64>>,
    pub broken: Mutex<Option<String>>,
}

impl Recorder {
    pub fn new(ends: impl IntoIterator<Item = (Topic, u64)>) -> Arc<Recorder> {
        let recorder = Recorder::default();
        recorder.next.lock().extend(ends);
        Arc::new(recorder)
    }
}

impl Follower for Recorder {
    fn committed(&self, batches: &[Committed]) {
        for batch in batches {
            let mut next = self.next.lock();
            let next = next.entry(batch.topic.clone()).or_default();
            if batch.base.0 != *next || batch.ingested_at == Timestamp(0) {
                let broken = format!("a follower saw {} after {next} of {:?}", batch.base.0, batch.topic);
                *self.broken.lock() = Some(broken);
            }
            *next = batch.base.0 + u64::from(batch.count);
        }
        self.seen.lock().extend_from_slice(batches);
    }
}
