//! Segments: many batches in one immutable file of the store, partition by partition, with a footer that says where.
//!
//! ```text
//! batches   in their stored forms; those of a partition lie together, in offset order; where some between are
//!           elsewhere, in several parts
//! footer    4 partitions, each: 8 project, 4+n topic, 4 partition, 8 base, 8 end, 8 at, 8 bytes,
//!           8 first and 8 last ingested at, 4 marks, each: 8 base, 8 at (from the partition's start)
//! trailer   4 length of the footer, 4 CRC-32 of the footer, 8 magic
//! ```
//!
//! A segment tells by itself what it holds. History segments (the compacted journal) hold final offsets; segments of
//! a cluster are written before offsets are known and hold offsets from 0, to which the sequencer's base is added.

use bytes::Bytes;
use candor_model::{Partition, ProjectId, TopicName};
use candor_store::{Files, StoreError};

use crate::batch::decode;
use crate::streams::greatest_timestamp;
use crate::wire::{Put, Take};
use crate::{Committed, Topic};

const MAGIC: &[u8; 8] = b"CANDOR\x1aS";
const TRAILER_BYTES: u64 = 16;

/// A mark is set about every so many bytes: a reader skips at most that much.
const MARK_BYTES: u64 = 64 << 10;

/// What is read at least: a batch is rarely longer.
const READ_BYTES_MIN: u64 = 64 << 10;

/// A partition's part of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    pub topic: Topic,
    pub partition: Partition,
    pub base: u64,
    pub end: u64,
    pub at: u64,
    pub bytes: u64,
    pub first_ingested: i64,
    pub last_ingested: i64,
    marks: Vec<(u64, u64)>,
    /// Of a stream the greatest of its records' timestamps, milliseconds; else -1. Not in the footer: a segment that is
    /// made tells it.
    pub max_timestamp: i64,
}

/// Collects batches into a segment.
#[derive(Default)]
pub(crate) struct SegmentBuilder {
    content: Vec<u8>,
    parts: Vec<Part>,
    marked_at: u64,
}

impl SegmentBuilder {
    pub fn len(&self) -> usize {
        self.content.len()
    }

    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Sets room aside for a segment of so many bytes, where nothing was added yet: growing to it would copy it twice.
    pub fn reserve(&mut self, bytes: usize) {
        if self.content.is_empty() {
            self.content.reserve(bytes);
        }
    }

    /// Adds a batch. Batches of a partition come one after the other, in offset order. A gap between two begins another
    /// part, unless the second `joins` the first: nothing of the partition is in between anywhere, as it was compacted
    /// away. `encode` writes the stored form.
    pub fn push(&mut self, batch: &Committed, joins: bool, encode: impl FnOnce(&mut Vec<u8>)) {
        let at = self.content.len() as u64;
        encode(&mut self.content);
        let bytes = self.content.len() as u64 - at;
        let (base, end) = (batch.base.0, batch.base.0 + u64::from(batch.count));
        let ingested = batch.ingested_at.0;
        let max_timestamp = greatest_timestamp(batch);
        let follows = |part: &Part| {
            let is_next = part.end == base || (joins && part.end < base);
            is_next && part.partition == batch.partition && part.topic == batch.topic
        };
        match self.parts.last_mut() {
            Some(part) if follows(part) => {
                if at - self.marked_at >= MARK_BYTES {
                    part.marks.push((base, at - part.at));
                    self.marked_at = at;
                }
                part.end = end;
                part.bytes += bytes;
                part.first_ingested = part.first_ingested.min(ingested);
                part.last_ingested = part.last_ingested.max(ingested);
                part.max_timestamp = part.max_timestamp.max(max_timestamp);
            }
            _ => {
                self.marked_at = at;
                self.parts.push(Part {
                    topic: batch.topic.clone(),
                    partition: batch.partition,
                    base,
                    end,
                    at,
                    bytes,
                    first_ingested: ingested,
                    last_ingested: ingested,
                    marks: Vec::new(),
                    max_timestamp,
                });
            }
        }
    }

    /// The whole segment, and what it holds.
    pub fn finish(self) -> (Bytes, Vec<Part>) {
        let mut content = self.content;
        let start = content.len();
        content.put_u32(self.parts.len() as u32);
        for part in &self.parts {
            content.put_i64(part.topic.project.0);
            content.put_bytes(part.topic.name.0.as_bytes());
            content.put_u32(part.partition.0);
            for number in [part.base, part.end, part.at, part.bytes] {
                content.put_u64(number);
            }
            content.put_i64(part.first_ingested);
            content.put_i64(part.last_ingested);
            content.put_u32(part.marks.len() as u32);
            for (base, at) in &part.marks {
                content.put_u64(*base);
                content.put_u64(*at);
            }
        }
        let footer = content.get(start..).unwrap_or_default();
        let (length, crc) = (footer.len() as u32, crc32fast::hash(footer));
        content.put_u32(length);
        content.put_u32(crc);
        content.put(MAGIC);
        (Bytes::from(content), self.parts)
    }
}

/// Why a segment cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SegmentError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{0} is not a segment of this format")]
    Format(String),
    #[error("{key} does not hold offset {offset}")]
    Missing { key: String, offset: u64 },
}

/// Reads a segment's footer.
pub(crate) async fn read_footer(files: &Files, key: &str) -> Result<Vec<Part>, SegmentError> {
    let file = files.open(key).await?;
    let format = || SegmentError::Format(key.to_owned());
    let end = file.length();
    // Most footers are short: one read has all of it.
    let guess = end.saturating_sub(32 << 10);
    let mut tail = file.read(guess..end).await?;
    let trailer_at = tail.len().checked_sub(TRAILER_BYTES as usize).ok_or_else(format)?;
    let mut trailer = Take(tail.split_off(trailer_at));
    let parsed = (|| Some((trailer.u32()?, trailer.u32()?, trailer.bytes(MAGIC.len())?)))();
    let (length, crc, magic) = parsed.ok_or_else(format)?;
    if magic.as_ref() != MAGIC {
        return Err(format());
    }
    let footer_at = (end - TRAILER_BYTES).checked_sub(u64::from(length)).ok_or_else(format)?;
    let footer = match footer_at.checked_sub(guess) {
        Some(at) => tail.split_off(at as usize),
        None => file.read(footer_at..end - TRAILER_BYTES).await?,
    };
    if crc32fast::hash(&footer) != crc {
        return Err(format());
    }
    parse_footer(footer).ok_or_else(format)
}

fn parse_footer(footer: Bytes) -> Option<Vec<Part>> {
    let mut take = Take(footer);
    let count = take.u32()?;
    let mut parts = Vec::new();
    for _ in 0..count {
        let project = ProjectId(take.i64()?);
        let topic = Topic { project, name: TopicName(take.text()?) };
        let partition = Partition(take.u32()?);
        let mut part = Part {
            topic,
            partition,
            base: take.u64()?,
            end: take.u64()?,
            at: take.u64()?,
            bytes: take.u64()?,
            first_ingested: take.i64()?,
            last_ingested: take.i64()?,
            marks: Vec::new(),
            max_timestamp: -1,
        };
        for _ in 0..take.u32()? {
            part.marks.push((take.u64()?, take.u64()?));
        }
        parts.push(part);
    }
    take.is_empty().then_some(parts)
}

/// Reads batches of a part from the one that holds `from` on: at least one, no more than about `max_bytes`.
pub(crate) async fn read_part(
    files: &Files,
    key: &str,
    part: &Part,
    from: u64,
    max_bytes: u64,
) -> Result<Vec<Committed>, SegmentError> {
    let file = files.open(key).await?;
    let mark = part.marks.partition_point(|(base, _)| *base <= from);
    let skipped = mark.checked_sub(1).and_then(|mark| part.marks.get(mark)).map_or(0, |(_, at)| *at);
    let (start, end) = (part.at + skipped, part.at + part.bytes);
    let mut length = max_bytes.max(READ_BYTES_MIN).saturating_add(MARK_BYTES);
    loop {
        let stop = start.saturating_add(length).min(end);
        let found = take_batches(file.read(start..stop).await?, from, max_bytes);
        if !found.is_empty() {
            return Ok(found);
        }
        if stop == end {
            return Err(SegmentError::Missing { key: key.to_owned(), offset: from });
        }
        // One batch longer than all that was read.
        length = length.saturating_mul(4);
    }
}

fn take_batches(content: Bytes, from: u64, max_bytes: u64) -> Vec<Committed> {
    let mut take = Take(content);
    let mut found: Vec<Committed> = Vec::new();
    let mut bytes = 0;
    while let Some(batch) = decode(&mut take) {
        if batch.base.0 + u64::from(batch.count) <= from {
            continue;
        }
        bytes += batch.batch.len() as u64;
        if !found.is_empty() && bytes > max_bytes {
            break;
        }
        found.push(batch);
    }
    found
}

/// Every batch of a segment that is at hand whole.
pub(crate) fn read_whole(content: Bytes) -> Option<Vec<Committed>> {
    let trailer_at = content.len().checked_sub(TRAILER_BYTES as usize)?;
    let mut trailer = Take(content.slice(trailer_at..));
    let (length, crc, magic) = (trailer.u32()?, trailer.u32()?, trailer.bytes(MAGIC.len())?);
    let footer_at = trailer_at.checked_sub(length as usize)?;
    let footer = content.slice(footer_at..trailer_at);
    if magic.as_ref() != MAGIC || crc32fast::hash(&footer) != crc {
        return None;
    }
    let mut batches = Vec::new();
    for part in parse_footer(footer)? {
        let end = part.at.checked_add(part.bytes).filter(|end| *end <= footer_at as u64)?;
        let found = take_batches(content.slice(part.at as usize..end as usize), part.base, u64::MAX);
        let last = found.last().map_or(part.base, |batch| batch.base.0 + u64::from(batch.count));
        if last != part.end {
            return None;
        }
        batches.extend(found);
    }
    Some(batches)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use candor_model::random::Seeded;
    use candor_model::{Offset, Timestamp};
    use candor_store::sim::SimObjects;
    use candor_store::{FileKind, Files};

    use super::*;
    use crate::batch::encode_committed;
    use crate::testing::{batch, topic};

    #[tokio::test]
    async fn every_batch_is_found_through_the_footer() {
        let mut builder = SegmentBuilder::default();
        let mut expected = Vec::new();
        for project in 1..=3_i64 {
            for n in 0..300_u64 {
                // One far longer than what is read at once.
                let length = if n == 200 { 900_000 } else { 1000 + n as usize };
                let batch = batch(project, &vec![n as u8; length], 2);
                let batch = batch.committed(Offset(100 + 2 * n), Timestamp(n as i64));
                builder.push(&batch, false, |to| encode_committed(&batch, true, to));
                expected.push(batch);
            }
        }
        let (content, parts) = builder.finish();
        let files = Files::new(Arc::new(SimObjects::new(1)), None, Arc::new(Seeded::new(1)));
        files.put("s", FileKind::Segment, content).await.expect("puts");
        assert_eq!(read_footer(&files, "s").await.expect("reads"), parts);
        assert_eq!(parts.len(), 3);
        for expected in &expected {
            let part = parts.iter().find(|part| part.topic == expected.topic).expect("a part");
            for from in [expected.base.0, expected.base.0 + 1] {
                let found = read_part(&files, "s", part, from, 5000).await.expect("reads");
                assert_eq!(found[0].base, expected.base);
                assert_eq!(found[0].batch, expected.batch);
                let more: usize = found[1..].iter().map(|batch| batch.batch.len()).sum();
                assert!(more <= 5000);
            }
        }
        let part = parts.iter().find(|part| part.topic == topic(1)).expect("a part");
        assert!(part.marks.len() >= 5);
        assert!(read_part(&files, "s", part, 700, 10).await.is_err());
    }
}
