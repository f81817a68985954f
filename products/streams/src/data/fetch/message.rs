//! Fetch's messages by hand, versions 4 to 18: what is asked is read in place, records are answered from where they lie.
//!
//! A batch's base offset and leader epoch are the broker's to say and no checksum covers them: the 16 bytes that hold
//! them are written with the fields, the rest of the batch is not touched.

use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes};
use candor_gate::StreamSubjects;
use candor_model::Offset;
use kafka_protocol::protocol::StrBytes;

use super::super::LEADER_EPOCH;
use crate::wire::{AnswerRoom, Fields, PutFields, Read, Request, Rope, RopeBuilder};

/// From this version on a request has a session.
const SESSIONS_FROM: i16 = 7;
/// From this version on messages are flexible (KIP-482).
const FLEXIBLE_FROM: i16 = 12;
/// From this version on topics are named by ids (KIP-516).
pub(super) const BY_ID: i16 = 13;
/// Up to this version a request names a replica; later ones do so in a tagged field (KIP-903).
const REPLICA_TO: i16 = 14;

/// Before the length of a batch's rest: base offset, length, leader epoch.
const PATCHED_BYTES: usize = 16;

/// What a topic is asked for by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum TopicKey {
    /// Its name.
    Name(StrBytes),
    /// Its id.
    Id([u8; 16]),
}

/// A partition that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AskedPartition {
    /// Which topic of the request.
    pub topic: u32,
    pub index: i32,
    /// The leader's epoch that the client knows, -1 for none.
    pub epoch: i32,
    pub from: i64,
    /// Bytes of records at most.
    pub bytes_max: i32,
}

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FetchRequest {
    pub wait_ms: i32,
    pub bytes_min: i32,
    pub bytes_max: i32,
    /// Records of transactions that are not committed are not wanted.
    pub committed_only: bool,
    pub session_id: i32,
    pub session_epoch: i32,
    /// Whether topics are named by ids.
    pub by_id: bool,
    pub topics: Vec<TopicKey>,
    /// In the order of the request, and so of the topics.
    pub partitions: Vec<AskedPartition>,
    /// What a session lets go of.
    pub forgotten: Vec<(TopicKey, i32)>,
}

impl FetchRequest {
    /// Asks once for what is committed, without a session. All topics are named alike.
    pub fn once(
        topics: Vec<TopicKey>,
        partitions: Vec<AskedPartition>,
        bytes_max: i32,
        wait_ms: i32,
    ) -> FetchRequest {
        FetchRequest {
            wait_ms,
            bytes_min: 1,
            bytes_max,
            committed_only: true,
            session_id: 0,
            session_epoch: -1,
            by_id: matches!(topics.first(), Some(TopicKey::Id(_))),
            topics,
            partitions,
            forgotten: Vec::new(),
        }
    }

    /// Reads a request.
    pub fn read(request: &Request) -> Read<FetchRequest> {
        let version = request.version;
        let mut from = request.fields(FLEXIBLE_FROM);
        if version <= REPLICA_TO {
            from.i32()?;
        }
        let (wait_ms, bytes_min, bytes_max, isolation) = (from.i32()?, from.i32()?, from.i32()?, from.i8()?);
        let (session_id, session_epoch) =
            if version >= SESSIONS_FROM { (from.i32()?, from.i32()?) } else { (0, -1) };
        let mut asked = FetchRequest {
            wait_ms,
            bytes_min,
            bytes_max,
            committed_only: isolation == 1,
            session_id,
            session_epoch,
            by_id: version >= BY_ID,
            topics: Vec::new(),
            partitions: Vec::new(),
            forgotten: Vec::new(),
        };
        let count = from.count(2)?;
        asked.topics.reserve_exact(count);
        for topic in 0..count {
            asked.topics.push(key(&mut from, version)?);
            // Index, offset and bytes at the least.
            let count = from.count(16)?;
            asked.partitions.reserve(count);
            for _ in 0..count {
                asked.partitions.push(partition(&mut from, version, topic as u32)?);
            }
            from.end()?;
        }
        if version >= SESSIONS_FROM {
            for _ in 0..from.count(2)? {
                let topic = key(&mut from, version)?;
                let count = from.count(4)?;
                asked.forgotten.reserve(count);
                for _ in 0..count {
                    asked.forgotten.push((topic.clone(), from.i32()?));
                }
                from.end()?;
            }
        }
        if version >= 11 {
            // The rack: there is one broker to read from.
            from.text()?;
        }
        from.end()?;
        Ok(asked)
    }
}

fn key(from: &mut Fields, version: i16) -> Read<TopicKey> {
    if version >= BY_ID { from.id().map(TopicKey::Id) } else { from.name().map(TopicKey::Name) }
}

fn partition(from: &mut Fields, version: i16, topic: u32) -> Read<AskedPartition> {
    let index = from.i32()?;
    let epoch = if version >= 9 { from.i32()? } else { -1 };
    let offset = from.i64()?;
    if version >= 12 {
        // The epoch of the last record that was fetched, by which a broker that lost records would tell.
        from.i32()?;
    }
    if version >= 5 {
        // A follower's own start.
        from.i64()?;
    }
    let bytes_max = from.i32()?;
    from.end()?;
    Ok(AskedPartition { topic, index, epoch, from: offset, bytes_max })
}

/// Batches that are answered.
#[derive(Debug, Clone, Default)]
pub(crate) struct Records {
    batches: Vec<(Option<Offset>, Bytes)>,
    bytes: usize,
    /// Those that are about persons, and whom.
    personal: u64,
    subjects: Vec<StreamSubjects>,
}

impl Records {
    /// How many bytes they take.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Records that are about persons, and what stands beside their batches.
    pub fn personal(&self) -> (u64, &[StreamSubjects]) {
        (self.personal, &self.subjects)
    }

    /// Says of a batch that it is about persons.
    pub fn note_personal(&mut self, records: u64, subjects: Option<StreamSubjects>) {
        self.personal += records;
        self.subjects.extend(subjects);
    }

    /// Adds a batch, to be told as beginning at an offset.
    pub fn push_at(&mut self, base: Offset, batch: Bytes) {
        self.bytes += batch.len();
        self.batches.push((Some(base), batch));
    }

    /// Adds a batch that says where it begins.
    pub fn push(&mut self, batch: Bytes) {
        self.bytes += batch.len();
        self.batches.push((None, batch));
    }

    fn write(self, to: &mut RopeBuilder) {
        for (base, mut batch) in self.batches {
            if let Some(base) = base
                && let Some((patched, _)) = batch.split_first_chunk::<PATCHED_BYTES>()
            {
                let [_, _, _, _, _, _, _, _, length @ .., _, _, _, _] = *patched;
                to.fields.put_u64(base.0);
                to.fields.put_slice(&length);
                to.fields.put_i32(LEADER_EPOCH);
                batch.advance(PATCHED_BYTES);
            }
            to.put_bytes(batch);
        }
    }

    /// All in one piece, as a client has them.
    pub fn into_bytes(self) -> Bytes {
        let mut rope = RopeBuilder::default();
        self.write(&mut rope);
        rope.finish().into_bytes()
    }
}

/// What is told of a partition.
#[derive(Debug, Clone)]
pub(crate) struct ToldPartition {
    /// Which topic of the answer.
    pub topic: u32,
    pub index: i32,
    pub error: i16,
    pub high_watermark: i64,
    pub last_stable: i64,
    pub log_start: i64,
    /// Producer and first offset of aborted transactions; none where nobody asked.
    pub aborted: Option<Vec<(i64, i64)>>,
    pub records: Records,
}

/// An answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct FetchAnswer {
    pub error: i16,
    pub session_id: i32,
    pub topics: Vec<TopicKey>,
    /// Neighbours of one topic are told together.
    pub partitions: Vec<ToldPartition>,
    /// Held until it is sent.
    pub room: Option<Arc<AnswerRoom>>,
}

impl FetchAnswer {
    /// Bytes of its records.
    pub fn records_bytes(&self) -> usize {
        self.partitions.iter().map(|partition| partition.records.bytes()).sum()
    }

    /// Writes it.
    pub fn write(self, throttle_ms: i32, version: i16) -> Rope {
        let is_flexible = version >= FLEXIBLE_FROM;
        let batches: usize = self.partitions.iter().map(|partition| partition.records.batches.len()).sum();
        // Without names and what is short: a guess, so that it seldom grows.
        let guess = 64 + self.partitions.len() * 64 + batches * PATCHED_BYTES;
        let mut to = RopeBuilder::with_capacity(guess);
        to.fields.put_i32(throttle_ms);
        if version >= SESSIONS_FROM {
            to.fields.put_i16(self.error);
            to.fields.put_i32(self.session_id);
        }
        let runs = self.partitions.chunk_by(|a, b| a.topic == b.topic);
        let lengths: Vec<usize> = runs.map(<[ToldPartition]>::len).collect();
        let mut partitions = self.partitions.into_iter();
        to.fields.put_length(lengths.len(), is_flexible);
        for length in lengths {
            let mut run = partitions.by_ref().take(length).peekable();
            let topic = run.peek().map_or(0, |first| first.topic);
            match self.topics.get(topic as usize) {
                Some(TopicKey::Name(name)) if version < BY_ID => to.fields.put_text(name, is_flexible),
                Some(TopicKey::Id(id)) if version >= BY_ID => to.fields.put_slice(id),
                // A request has one or the other for all its topics, and so its answer.
                _ if version < BY_ID => to.fields.put_text("", is_flexible),
                _ => to.fields.put_slice(&[0; 16]),
            }
            to.fields.put_length(length, is_flexible);
            for partition in run {
                partition.write(&mut to, version);
            }
            to.fields.put_end(is_flexible);
        }
        to.fields.put_end(is_flexible);
        to.finish().holding(self.room)
    }
}

impl ToldPartition {
    fn write(self, to: &mut RopeBuilder, version: i16) {
        let is_flexible = version >= FLEXIBLE_FROM;
        to.fields.put_i32(self.index);
        to.fields.put_i16(self.error);
        to.fields.put_i64(self.high_watermark);
        to.fields.put_i64(self.last_stable);
        if version >= 5 {
            to.fields.put_i64(self.log_start);
        }
        match self.aborted {
            None => to.fields.put_no_length(is_flexible),
            Some(aborted) => {
                to.fields.put_length(aborted.len(), is_flexible);
                for (producer, first) in aborted {
                    to.fields.put_i64(producer);
                    to.fields.put_i64(first);
                    to.fields.put_end(is_flexible);
                }
            }
        }
        if version >= 11 {
            // No other replica is to be read from.
            to.fields.put_i32(-1);
        }
        to.fields.put_length(self.records.bytes(), is_flexible);
        self.records.write(to);
        to.fields.put_end(is_flexible);
    }
}
