//! Sealing: a group of appends becomes a segment and a proposal to the sequencer.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use candor_model::{Offset, Partition, PolicyEpoch, Random, RequestId, Timestamp};
use tokio::sync::oneshot;

use super::SEGMENTS;
use super::sequencer::{Proposal, ProposedBatch, ProposedPart, ProposedStream};
use crate::batch::{encode_committed, stored_length};
use crate::queue::{Answers, Request};
use crate::segment::SegmentBuilder;
use crate::streams::{header_of, is_abort};
use crate::window::nth_id;
use crate::{AppendError, Appended, Committed, Rejected, Topic};

/// A segment that is not committed yet, and who waits for it.
pub(crate) struct Sealed {
    pub content: Bytes,
    pub proposal: Proposal,
    /// The batches of each part, with offsets from 0.
    pub batches: Vec<Vec<Committed>>,
    pub waiting: Vec<Waiting>,
    pub sealed_at: tokio::time::Instant,
}

/// An append in a segment.
pub(crate) struct Waiting {
    pub reply: oneshot::Sender<Answers>,
    /// Part and batch of each of its batches, in its own order.
    pub places: Vec<(usize, usize)>,
}

impl Sealed {
    /// The batches of each part, to be shown.
    pub fn take_batches(&mut self) -> Vec<Vec<Committed>> {
        std::mem::take(&mut self.batches)
    }

    /// Answers everybody who waits with where their batches went, by part and batch.
    pub fn acknowledge(self, place: &dyn Fn(usize, usize) -> Option<Result<Appended, Rejected>>) {
        for waiting in self.waiting {
            let answers: Option<Vec<_>> = waiting
                .places
                .iter()
                .map(|(part, batch)| Some(place(*part, *batch)?.map_err(AppendError::from)))
                .collect();
            let _ = waiting.reply.send(answers.ok_or(AppendError::Unavailable));
        }
    }

    /// Answers everybody who waits with an error.
    pub fn refuse(self, error: &AppendError) {
        for waiting in self.waiting {
            let _ = waiting.reply.send(Err(error.clone()));
        }
    }
}

/// A segment's key: unique, and it tells when it was made, so that garbage is known by its name.
pub(crate) fn key_at(made_at: Timestamp, random: &dyn Random) -> Arc<str> {
    format!("{SEGMENTS}{:016x}-{:016x}", made_at.0.max(0), random.next_u64()).into()
}

/// When the segment of a key was made.
pub(crate) fn made_at(key: &str) -> Option<Timestamp> {
    let (time, _) = key.strip_prefix(SEGMENTS)?.split_once('-')?;
    i64::from_str_radix(time, 16).ok().map(Timestamp)
}

/// Makes a segment of a group.
pub(crate) fn seal(group: Vec<Request>, made_at: Timestamp, random: &dyn Random) -> Sealed {
    let mut numbers: BTreeMap<(Topic, Partition), usize> = BTreeMap::new();
    for batch in group.iter().flat_map(|request| &request.batches) {
        numbers.entry((batch.topic.clone(), batch.partition)).or_default();
    }
    for (number, slot) in (0..).zip(numbers.values_mut()) {
        *slot = number;
    }
    let mut batches: Vec<Vec<Committed>> = vec![Vec::new(); numbers.len()];
    let mut epochs: Vec<Vec<PolicyEpoch>> = vec![Vec::new(); numbers.len()];
    let mut ends = vec![0_u64; numbers.len()];
    let mut waiting = Vec::with_capacity(group.len());
    for request in group {
        let mut places = Vec::with_capacity(request.batches.len());
        let mut seen: HashMap<(usize, RequestId), u32> = HashMap::new();
        let oldest = request.batches.iter().map(|batch| batch.epoch).min().filter(|_| !request.each);
        for mut batch in request.batches {
            let part = numbers.get(&(batch.topic.clone(), batch.partition)).copied().unwrap_or_default();
            if let Some(id) = batch.request {
                let nth = seen.entry((part, id)).or_default();
                batch.request = Some(nth_id(id, *nth));
                *nth += 1;
            }
            let (Some(of_part), Some(end)) = (batches.get_mut(part), ends.get_mut(part)) else { continue };
            places.push((part, of_part.len()));
            let base = *end;
            *end += u64::from(batch.count);
            if let Some(of_part) = epochs.get_mut(part) {
                of_part.push(oldest.unwrap_or(batch.epoch));
            }
            of_part.push(batch.committed(Offset(base), made_at));
        }
        waiting.push(Waiting { reply: request.reply, places });
    }

    let mut builder = SegmentBuilder::default();
    let mut parts = Vec::with_capacity(batches.len());
    for (((topic, partition), of_part), epochs) in numbers.into_keys().zip(&batches).zip(epochs) {
        for batch in of_part {
            builder.push(batch, false, |to| encode_committed(batch, true, to));
        }
        let proposed = of_part.iter().zip(epochs).map(|(batch, epoch)| ProposedBatch {
            relative: batch.base.0,
            count: batch.count,
            bytes: stored_length(batch) as u32,
            request: batch.request,
            epoch,
            stream: header_of(&batch.topic, &batch.batch).map(|header| ProposedStream {
                header,
                aborts: header.is_control() && is_abort(&batch.batch),
            }),
        });
        parts.push(ProposedPart { topic, partition, batches: proposed.collect() });
    }
    let (content, _) = builder.finish();
    let key = key_at(made_at, random);
    let proposal = Proposal { key, bytes: content.len() as u64, made_at, parts };
    Sealed { content, proposal, batches, waiting, sealed_at: tokio::time::Instant::now() }
}
