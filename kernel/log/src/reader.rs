//! Reading committed batches back, from the tail cache or from where they lie.

use std::sync::Arc;

use bytes::Bytes;
use candor_model::Partition;
use candor_store::{DiskError, Files, ObjectError, StoreError};

use crate::batch::decode;
use crate::committer::KIND_APPEND;
use crate::journal::JournalFile;
use crate::segment::{Part, SegmentError, read_part};
use crate::shared::Shared;
use crate::state::{Entry, PartitionKey, Place, State};
use crate::wire::Take;
use crate::{Committed, ReadError, Topic};

/// Something that holds a run of batches.
pub(crate) enum Located {
    Journal { file: Arc<JournalFile>, entries: Vec<Entry> },
    History { key: Arc<str> },
}

/// What a stored batch turned out to be.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadRecord {
    #[error("{path}: the record at byte {at} does not authenticate")]
    Damaged { path: String, at: u64 },
    #[error("{path}: the record at byte {at} is not of this format")]
    Format { path: String, at: u64 },
    #[error("nothing is known to hold offset {offset}")]
    Lost { offset: u64 },
}

fn storage(error: impl std::error::Error + Send + Sync + 'static) -> ReadError {
    ReadError::Storage(Box::new(error))
}

/// What a read is answered with from memory.
pub(crate) enum Look<T> {
    Batches(Vec<T>),
    /// It has to be read from where it is stored.
    Stored {
        start: u64,
        end: u64,
    },
}

/// Answers a read from memory, where the offset is the next one or the cache has it.
pub(crate) fn look(
    shared: &Shared,
    state: &State,
    topic: &Topic,
    partition: Partition,
    from: u64,
    max_bytes: usize,
) -> Result<Look<Committed>, ReadError> {
    look_at(shared, state, state.find(topic, partition), from, max_bytes, Committed::clone)
}

/// The same for a partition that was found, where there is one. `own` takes what is wanted of a batch.
pub(crate) fn look_at<T>(
    shared: &Shared,
    state: &State,
    key: Option<PartitionKey>,
    from: u64,
    max_bytes: usize,
    own: impl Fn(&Committed) -> T,
) -> Result<Look<T>, ReadError> {
    let held = key.and_then(|key| state.get(key));
    let (start, end) = held.map_or((0, 0), |held| (held.start, held.end));
    if from < start || from > end {
        return Err(ReadError::OutOfRange { asked: from, start, end });
    }
    if from == end {
        return Ok(Look::Batches(Vec::new()));
    }
    // The cache is ahead of the high watermark for a moment.
    let cached = key.and_then(|key| shared.cache.lock().read(key, from, end, max_bytes, own));
    Ok(cached.map_or(Look::Stored { start, end }, Look::Batches))
}

/// What a read is answered with before any file is touched.
pub(crate) enum Found {
    Batches(Vec<Committed>),
    At(Located),
}

/// Looks where batches from `from` on lie: at least one where there is one, no more than about `max_bytes`.
pub(crate) fn find(
    shared: &Shared,
    topic: &Topic,
    partition: Partition,
    from: u64,
    max_bytes: usize,
) -> Result<Found, ReadError> {
    let state = shared.state.read();
    if let Look::Batches(batches) = look(shared, &state, topic, partition, from, max_bytes)? {
        return Ok(Found::Batches(batches));
    }
    let held = state.find_named(topic, partition);
    let held = held.ok_or_else(|| storage(BadRecord::Lost { offset: from }))?;
    let at = held.chunks.get(held.chunk_at(from));
    let located = at.and_then(|chunk| match &chunk.place {
        Place::Journal { file, entries } => {
            let skip = entries.partition_point(|entry| entry.base + u64::from(entry.count) <= from);
            let entries = within(entries.get(skip..)?, max_bytes as u64);
            Some(Located::Journal { file: Arc::clone(state.journals.get(file)?), entries })
        }
        Place::History { segment } => {
            let key = Arc::clone(&state.segments.get(segment)?.key);
            Some(Located::History { key })
        }
    });
    located.map(Found::At).ok_or_else(|| storage(BadRecord::Lost { offset: from }))
}

/// The first entries, no more than about `bytes_max`, at least one.
fn within(entries: &[Entry], bytes_max: u64) -> Vec<Entry> {
    let mut bytes = 0;
    let fits = |entry: &&Entry| {
        let first = bytes == 0;
        bytes += u64::from(entry.bytes);
        first || bytes <= bytes_max
    };
    entries.iter().take_while(fits).copied().collect()
}

/// How often a read starts over when what it was to read moved away under it.
const TRIES: u32 = 4;

/// Where a reader reads from.
pub(crate) struct Reader<'a> {
    pub shared: &'a Shared,
    pub files: &'a Files,
    /// False runs blocking reads where they are asked for: for the simulation.
    pub blocking_threads: bool,
}

impl Reader<'_> {
    /// Reads batches from `from` on: at least one where there is one, no more than about `max_bytes`.
    pub async fn read(
        &self,
        topic: &Topic,
        partition: Partition,
        from: u64,
        max_bytes: usize,
    ) -> Result<Vec<Committed>, ReadError> {
        let mut batches = self.read_run(topic, partition, from, max_bytes).await?;
        let mut bytes: usize = batches.iter().map(|batch| batch.batch.len()).sum();
        while let Some(last) = batches.last()
            && bytes < max_bytes
        {
            let next = last.base.0 + u64::from(last.count);
            // Retention may overtake a reader; what it has is whole.
            let Ok(more) = self.read_run(topic, partition, next, max_bytes - bytes).await else { break };
            if more.is_empty() {
                break;
            }
            for batch in more {
                bytes += batch.batch.len();
                if bytes > max_bytes {
                    return Ok(batches);
                }
                batches.push(batch);
            }
        }
        Ok(batches)
    }

    /// Reads batches that lie together.
    async fn read_run(
        &self,
        topic: &Topic,
        partition: Partition,
        from: u64,
        max_bytes: usize,
    ) -> Result<Vec<Committed>, ReadError> {
        let mut tries = 0;
        loop {
            tries += 1;
            let located = match find(self.shared, topic, partition, from, max_bytes)? {
                Found::Batches(batches) => return Ok(batches),
                Found::At(located) => located,
            };
            match located {
                Located::Journal { file, entries } if self.blocking_threads => {
                    let read = tokio::task::spawn_blocking(move || read_journal(&file, &entries));
                    return read.await.map_err(storage)?;
                }
                Located::Journal { file, entries } => return read_journal(&file, &entries),
                Located::History { key } => {
                    match self.read_history(&key, topic, partition, from, max_bytes).await {
                        // Compaction or retention took the segment away; look again where the batches are.
                        Err(SegmentError::Store(StoreError::Object(ObjectError::NotFound(_))))
                            if tries < TRIES => {}
                        done => return done.map_err(storage),
                    }
                }
            }
        }
    }

    /// Reads batches of a history segment, from the one that holds `from` on.
    pub async fn read_history(
        &self,
        key: &Arc<str>,
        topic: &Topic,
        partition: Partition,
        from: u64,
        max_bytes: usize,
    ) -> Result<Vec<Committed>, SegmentError> {
        let parts = self.shared.footer(self.files, key).await?;
        let ours = |part: &&Part| part.topic == *topic && part.partition == partition && part.end > from;
        let part = parts.iter().find(ours);
        let part = part.ok_or_else(|| SegmentError::Missing { key: key.to_string(), offset: from })?;
        read_part(self.files, key, part, from, max_bytes as u64).await
    }
}

/// Reads batches from the journal. Blocks.
pub(crate) fn read_journal(file: &JournalFile, entries: &[Entry]) -> Result<Vec<Committed>, ReadError> {
    let mut found = Vec::with_capacity(entries.len());
    for same_frame in entries.chunk_by(|a, b| a.frame_at == b.frame_at) {
        let Some(first) = same_frame.first() else { continue };
        let body = file
            .read(first.frame_at, first.frame_length)
            .map_err(|error: DiskError| storage(error))?
            .ok_or_else(|| storage(BadRecord::Damaged { path: file.path(), at: first.frame_at }))?;
        let batches = decode_body(body)
            .ok_or_else(|| storage(BadRecord::Format { path: file.path(), at: first.frame_at }))?;
        for entry in same_frame {
            let batch = batches.get(entry.slot as usize).filter(|batch| batch.base.0 == entry.base);
            let batch =
                batch.ok_or_else(|| storage(BadRecord::Format { path: file.path(), at: entry.frame_at }))?;
            let mut batch = batch.clone();
            // A batch alone is not to hold on to all its frame.
            if batch.batch.len() < first.frame_length as usize / 2 {
                batch.batch = Bytes::copy_from_slice(&batch.batch);
            }
            found.push(batch);
        }
    }
    Ok(found)
}

/// The batches of a journal record.
pub(crate) fn decode_body(body: Bytes) -> Option<Vec<Committed>> {
    let mut take = Take(body);
    if take.u8()? != KIND_APPEND {
        return None;
    }
    let count = take.u32()?;
    let mut batches = Vec::new();
    for _ in 0..count {
        batches.push(decode(&mut take)?);
    }
    take.is_empty().then_some(batches)
}
