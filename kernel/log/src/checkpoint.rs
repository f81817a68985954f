//! The checkpoint: what the log knows, up to a position of the journal, in one small file that is replaced whole.
//! A start reads it and the journal after it. Files are removed only once a durable checkpoint does not name them.
//!
//! The content, within a framed file of the store: 1 version, the position (4 × 8), 8 first journal file needed,
//! then segments, partitions with their chunks, and the request ids of each, as written below; from version 2 on, which
//! files hold batches of deleted projects: 8 the last such journal file (0 is none), 4 segments, each 8. From version 3
//! on, what streams have beside: 4 partitions, each: 4 which of those above, 1 flags (1: deleted), the greatest
//! timestamp of each chunk and, of those in the journal, of each batch, 8 each, then producers and transactions.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use candor_model::{Partition, ProjectId, Random, RequestId, TopicName};
use candor_store::{Disk, DiskError, FileKind, KeyWrap, StoreError, open_file, seal_file};
use parking_lot::Mutex;

use crate::cleaner::Cleaned;
use crate::journal::Position;
use crate::mutant::{Mutant, planted};
use crate::state::{Chunk, Entry, PartitionState, Place, Purge, SegmentState, State};
use crate::streams::StreamState;
use crate::window::Stored;
use crate::wire::{Put, Take};
use crate::{OpenError, Topic};

const FOLDER: &str = "log";
const PATH: &str = "log/checkpoint";
const NEW_PATH: &str = "log/checkpoint.new";
const VERSION: u8 = 4;

/// The version that did not say where deleted projects' batches lie.
const VERSION_WITHOUT_PURGE: u8 = 1;

/// The last version that knew nothing of streams.
const VERSION_WITHOUT_STREAMS: u8 = 2;

/// The last version that did not say how far partitions are compacted by key.
const VERSION_WITHOUT_CLEANED: u8 = 3;

/// The state at a moment, and what nothing refers to any more since then.
pub(crate) struct Snapshot {
    /// Later ones have greater numbers.
    pub serial: u64,
    pub first_needed: u64,
    pub garbage_segments: Vec<Arc<str>>,
    position: Position,
    segments: Vec<(u64, SegmentState)>,
    partitions: Vec<PartitionSnapshot>,
    purge: Purge,
}

struct PartitionSnapshot {
    topic: Topic,
    partition: Partition,
    start: u64,
    end: u64,
    chunks: VecDeque<Chunk>,
    requests: Vec<(RequestId, Stored)>,
    stream: Option<Box<StreamState>>,
    cleaned: Cleaned,
    deleted: bool,
}

impl Snapshot {
    /// Of a state that is at `position`. What it no longer needs is forgotten by the state as well.
    pub fn take(state: &mut State, position: Position) -> Snapshot {
        let named = state.partitions.iter().flat_map(|p| &p.chunks).filter_map(Chunk::journal).min();
        let first_needed = named.unwrap_or(position.file).min(position.file);
        state.journals = state.journals.split_off(&first_needed);
        state.snapshots += 1;
        state.changed = false;
        state.checkpointed_journal = state.open_journal;
        Snapshot {
            serial: state.snapshots,
            first_needed,
            garbage_segments: std::mem::take(&mut state.garbage_segments),
            position,
            segments: state.segments.iter().map(|(id, segment)| (*id, segment.clone())).collect(),
            partitions: state
                .keys()
                .filter_map(|key| {
                    let partition = state.get(key).filter(|partition| partition.is_worth_keeping())?;
                    Some(PartitionSnapshot {
                        topic: partition.topic.clone(),
                        partition: partition.partition,
                        start: partition.start,
                        end: partition.end,
                        chunks: partition.chunks.clone(),
                        requests: match planted(Mutant::ForgetRequests) {
                            true => Vec::new(),
                            false => state.window.of(key).collect(),
                        },
                        stream: partition.stream.clone(),
                        cleaned: partition.cleaned,
                        deleted: partition.deleted,
                    })
                })
                .collect(),
            purge: state.purge.clone(),
        }
    }

    fn encode(&self) -> Vec<u8> {
        let mut to = Vec::with_capacity(1 << 16);
        to.put_u8(VERSION);
        for number in [self.position.file, self.position.at, self.position.sequence] {
            to.put_u64(number);
        }
        to.put_u64(self.position.previous_end);
        to.put_u64(self.first_needed);
        to.put_u32(self.segments.len() as u32);
        for (id, segment) in &self.segments {
            to.put_u64(*id);
            to.put_bytes(segment.key.as_bytes());
            to.put_u64(segment.bytes);
        }
        to.put_u32(self.partitions.len() as u32);
        for partition in &self.partitions {
            partition.encode(&mut to);
        }
        // The journal's files are numbered from 1.
        to.put_u64(self.purge.journals_to.unwrap_or(0));
        to.put_u32(self.purge.segments.len() as u32);
        for segment in &self.purge.segments {
            to.put_u64(*segment);
        }
        let streams = (0_u32..).zip(&self.partitions).filter(|(_, of)| of.topic.name.signal().is_none());
        let streams: Vec<_> = streams.collect();
        to.put_u32(streams.len() as u32);
        for (number, partition) in streams {
            to.put_u32(number);
            partition.encode_stream(&mut to);
        }
        to
    }
}

impl PartitionSnapshot {
    fn encode(&self, to: &mut Vec<u8>) {
        to.put_i64(self.topic.project.0);
        to.put_bytes(self.topic.name.0.as_bytes());
        to.put_u32(self.partition.0);
        to.put_u64(self.start);
        to.put_u64(self.end);
        to.put_u32(self.chunks.len() as u32);
        for chunk in &self.chunks {
            to.put_u64(chunk.base);
            to.put_u64(chunk.end);
            to.put_u64(chunk.bytes);
            to.put_i64(chunk.first_ingested);
            to.put_i64(chunk.last_ingested);
            match &chunk.place {
                Place::Journal { file, entries } => {
                    to.put_u8(0);
                    to.put_u64(*file);
                    to.put_u32(entries.len() as u32);
                    for entry in entries.iter() {
                        to.put_u64(entry.base);
                        to.put_u32(entry.count);
                        to.put_u32(entry.bytes);
                        to.put_u64(entry.frame_at);
                        to.put_u32(entry.frame_length);
                        to.put_u32(entry.slot);
                    }
                }
                Place::History { segment } => {
                    to.put_u8(1);
                    to.put_u64(*segment);
                }
            }
        }
        to.put_u32(self.requests.len() as u32);
        for (request, stored) in &self.requests {
            to.put(&request.0);
            to.put_u64(stored.base);
            to.put_u32(stored.count);
        }
    }

    fn encode_stream(&self, to: &mut Vec<u8>) {
        to.put_u8(u8::from(self.deleted));
        for chunk in &self.chunks {
            to.put_i64(chunk.max_timestamp);
            if let Place::Journal { entries, .. } = &chunk.place {
                entries.iter().for_each(|entry| to.put_i64(entry.max_timestamp));
            }
        }
        to.put_u64(self.cleaned.to);
        to.put_i64(self.cleaned.horizon.unwrap_or(NO_HORIZON));
        self.stream.as_deref().unwrap_or(&StreamState::default()).encode(to);
    }
}

/// In place of a time at which something may go.
const NO_HORIZON: i64 = i64::MIN;

/// What a checkpoint says beside the state.
pub(crate) struct Loaded {
    pub position: Position,
    pub first_needed: u64,
}

fn decode(content: Bytes, state: &mut State) -> Option<Loaded> {
    let mut take = Take(content);
    // Newer ones were refused before.
    let version = take.u8()?;
    let position =
        Position { file: take.u64()?, at: take.u64()?, sequence: take.u64()?, previous_end: take.u64()? };
    let first_needed = take.u64()?;
    for _ in 0..take.u32()? {
        let id = take.u64()?;
        let key = Arc::from(take.text()?);
        state.segments.insert(id, SegmentState { key, bytes: take.u64()? });
    }
    let mut keys = Vec::new();
    for _ in 0..take.u32()? {
        let project = ProjectId(take.i64()?);
        let topic = Topic { project, name: TopicName(take.text()?) };
        let key = state.intern(&topic, Partition(take.u32()?));
        keys.push(key);
        let (start, end) = (take.u64()?, take.u64()?);
        let mut chunks = VecDeque::new();
        for _ in 0..take.u32()? {
            chunks.push_back(decode_chunk(&mut take)?);
        }
        for _ in 0..take.u32()? {
            let request = RequestId(take.id()?);
            state.window.insert(key, request, Stored { base: take.u64()?, count: take.u32()? });
        }
        let partition = state.get_mut(key)?;
        (partition.start, partition.end, partition.chunks) = (start, end, chunks);
    }
    if version > VERSION_WITHOUT_PURGE {
        state.purge.journals_to = Some(take.u64()?).filter(|file| *file > 0);
        for _ in 0..take.u32()? {
            state.purge.segments.insert(take.u64()?);
        }
    }
    if version > VERSION_WITHOUT_STREAMS {
        for _ in 0..take.u32()? {
            let key = keys.get(take.u32()? as usize)?;
            decode_stream(&mut take, version, state.get_mut(*key)?)?;
        }
    }
    take.is_empty().then_some(Loaded { position, first_needed })
}

fn decode_stream(take: &mut Take, version: u8, partition: &mut PartitionState) -> Option<()> {
    partition.deleted = match take.u8()? {
        0 => false,
        1 => true,
        _ => return None,
    };
    for chunk in &mut partition.chunks {
        chunk.max_timestamp = take.i64()?;
        if let Place::Journal { entries, .. } = &mut chunk.place {
            for entry in Arc::make_mut(entries) {
                entry.max_timestamp = take.i64()?;
            }
        }
    }
    if version > VERSION_WITHOUT_CLEANED {
        let (to, horizon) = (take.u64()?, Some(take.i64()?).filter(|horizon| *horizon != NO_HORIZON));
        partition.cleaned = Cleaned { to, horizon };
    }
    let stream = StreamState::decode(take)?;
    partition.stream = (!stream.is_empty()).then(|| Box::new(stream));
    Some(())
}

fn decode_chunk(take: &mut Take) -> Option<Chunk> {
    Some(Chunk {
        base: take.u64()?,
        end: take.u64()?,
        bytes: take.u64()?,
        first_ingested: take.i64()?,
        last_ingested: take.i64()?,
        max_timestamp: -1,
        place: match take.u8()? {
            0 => {
                let file = take.u64()?;
                let mut entries = Vec::new();
                for _ in 0..take.u32()? {
                    entries.push(Entry {
                        base: take.u64()?,
                        count: take.u32()?,
                        bytes: take.u32()?,
                        frame_at: take.u64()?,
                        frame_length: take.u32()?,
                        slot: take.u32()?,
                        max_timestamp: -1,
                    });
                }
                Place::Journal { file, entries: Arc::new(entries) }
            }
            1 => Place::History { segment: take.u64()? },
            _ => return None,
        },
    })
}

/// Writes and reads the checkpoint of a log.
pub(crate) struct Checkpoints {
    /// Without the reserve: on a full disk this is what lets data go.
    disk: Arc<dyn Disk>,
    keys: Option<Arc<dyn KeyWrap>>,
    random: Arc<dyn Random>,
    /// The serial of the last one written. Two threads may write, at the end.
    written: Mutex<u64>,
}

impl Checkpoints {
    pub fn new(disk: &dyn Disk, keys: Option<Arc<dyn KeyWrap>>, random: Arc<dyn Random>) -> Checkpoints {
        Checkpoints { disk: disk.privileged(), keys, random, written: Mutex::new(0) }
    }

    /// Reads the checkpoint into an empty state; `None` where there is none yet.
    pub fn load(&self, state: &mut State) -> Result<Option<Loaded>, OpenError> {
        let file = match self.disk.open(PATH) {
            Ok(file) => file,
            Err(DiskError::NotFound(_)) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let mut stored = vec![0; file.length()? as usize];
        let read = file.read_at(&mut stored, 0)?;
        stored.truncate(read);
        let damaged = |what| OpenError::Hole { file: PATH.to_owned(), at: 0, what };
        let content = match open_file(PATH, stored, self.keys.as_deref()) {
            Ok((FileKind::Checkpoint, content)) => content,
            Ok(_) => return Err(damaged("it is not a checkpoint")),
            Err(StoreError::KeyGone(file)) => return Err(OpenError::KeyGone(file)),
            Err(StoreError::Newer { key, found }) => return Err(OpenError::Newer { file: key, found }),
            Err(_) => return Err(damaged("it does not authenticate")),
        };
        match content.first() {
            Some(&(VERSION_WITHOUT_PURGE..=VERSION)) => {}
            Some(&found) => return Err(OpenError::Newer { file: PATH.to_owned(), found }),
            None => return Err(damaged("it is empty")),
        }
        if !planted(Mutant::TrustFoundNames) {
            // It may be that of a process that was killed before it synced the folder. What it does not need is
            // about to go, so it must not go itself.
            self.disk.sync_dir(FOLDER)?;
        }
        decode(content, state).map(Some).ok_or_else(|| damaged("it is not of this format"))
    }

    /// Replaces the checkpoint, unless a later one was written already. On return it is on stable storage.
    pub fn write(&self, snapshot: &Snapshot) -> Result<(), DiskError> {
        let mut written = self.written.lock();
        if snapshot.serial < *written {
            return Ok(());
        }
        let content = snapshot.encode();
        let kind = FileKind::Checkpoint;
        let sealed = seal_file(PATH, kind, &content, self.keys.as_deref(), &*self.random);
        match self.disk.remove(NEW_PATH) {
            Ok(()) | Err(DiskError::NotFound(_)) => {}
            Err(error) => return Err(error),
        }
        let file = self.disk.create(NEW_PATH)?;
        let stored = file.write_at(&sealed, 0).and_then(|()| file.sync());
        if let Err(error) = stored {
            let _ = self.disk.remove(NEW_PATH);
            return Err(error);
        }
        self.disk.rename(NEW_PATH, PATH)?;
        self.disk.sync_dir(FOLDER)?;
        *written = snapshot.serial;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use candor_model::Offset;

    use super::*;
    use crate::testing::{batch, topic};

    #[test]
    fn what_is_to_be_purged_is_told_and_the_versions_before_are_read() {
        let mut state = State::new(10);
        let frame = crate::journal::FrameAt { file: 3, at: 64, length: 100 };
        let batch = batch(1, b"x", 2).committed(Offset(0), candor_model::Timestamp(5));
        assert!(state.apply(&batch, frame, 0, 10));
        let purge = Purge { journals_to: Some(3), segments: [7, 9].into() };
        for purge in [purge, Purge::default()] {
            state.purge = purge.clone();
            let position = Position { file: 4, at: 64, sequence: 9, previous_end: 1 };
            let content = Snapshot::take(&mut state, position).encode();
            let mut read = State::new(10);
            decode(Bytes::from(content.clone()), &mut read).expect("is read");
            assert_eq!(read.purge, purge);
            assert_eq!(read.find_named(&topic(1), Partition(0)).map(|held| held.end), Some(2));
            for length in 0..content.len() {
                assert!(decode(Bytes::copy_from_slice(&content[..length]), &mut State::new(10)).is_none());
            }
            let without_streams = content.len() - 4;
            let without_purge = without_streams - 12 - 8 * purge.segments.len();
            for (version, length) in [(2, without_streams), (VERSION_WITHOUT_PURGE, without_purge)] {
                let mut before = content[..length].to_vec();
                before[0] = version;
                let mut read = State::new(10);
                decode(Bytes::from(before), &mut read).expect("is read");
                let expected = if version == 2 { purge.clone() } else { Purge::default() };
                assert_eq!(read.purge, expected);
                assert_eq!(read.find_named(&topic(1), Partition(0)).map(|held| held.end), Some(2));
            }
        }
    }
}
