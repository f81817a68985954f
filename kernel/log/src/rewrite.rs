//! What maintenance reads to write it anew, and what it wrote.

use std::sync::Arc;

use candor_model::Partition;

use crate::Topic;
use crate::journal::JournalFile;
use crate::segment::{Part, SegmentBuilder};
use crate::state::{Chunk, Entry, Place, SegmentState, State};

/// What is to be rewritten of a partition, in offset order; others may lie between.
pub(crate) struct PartitionWork {
    pub topic: Topic,
    pub partition: Partition,
    pub runs: Vec<Run>,
    pub consumed: u64,
}

/// A chunk of it.
pub(crate) struct Run {
    pub base: u64,
    pub end: u64,
    bytes: u64,
    pub at: Source,
}

/// Where a chunk is read from.
pub(crate) enum Source {
    Journal { file: Arc<JournalFile>, entries: Arc<Vec<Entry>> },
    History { key: Arc<str> },
}

/// A chunk as something to read; none where what holds it is not known.
pub(crate) fn run_of(state: &State, chunk: &Chunk) -> Option<Run> {
    let at = match &chunk.place {
        Place::Journal { file, entries } => {
            Source::Journal { file: Arc::clone(state.journals.get(file)?), entries: Arc::clone(entries) }
        }
        Place::History { segment } => Source::History { key: Arc::clone(&state.segments.get(segment)?.key) },
    };
    Some(Run { base: chunk.base, end: chunk.end, bytes: chunk.bytes, at })
}

impl PartitionWork {
    pub fn bytes(&self) -> u64 {
        self.runs.iter().map(|run| run.bytes).sum()
    }
}

/// What was written so far, and what is to become a segment next.
#[derive(Default)]
pub(crate) struct Output {
    pub builder: SegmentBuilder,
    pub segments: Vec<(u64, SegmentState)>,
    pub parts: Vec<(u64, Part)>,
}

/// Entries in pieces of so many bytes, each at least one.
pub(crate) fn chunks_by_bytes(entries: &[Entry], bytes_max: u64) -> impl Iterator<Item = &[Entry]> {
    let mut rest = entries;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let over = |entry: &Entry| {
            bytes += u64::from(entry.bytes);
            bytes > bytes_max
        };
        let split = rest.iter().position(over).unwrap_or(rest.len()).max(1).min(rest.len());
        let (chunk, left) = rest.split_at_checked(split)?;
        rest = left;
        (!chunk.is_empty()).then_some(chunk)
    })
}
