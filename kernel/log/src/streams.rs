//! What the log knows of a partition of streams beside where its batches lie: producers and their transactions
//! (KIP-98).
//!
//! A batch of a transaction opens it in the partition, a control batch closes it. Below the last stable offset no
//! transaction is open; readers of what is committed stop there, and skip the batches of those that were aborted,
//! which they are told by producer and first offset.

use std::collections::{BTreeSet, HashMap};

use bytes::Bytes;
use candor_model::{Offset, Timestamp};
use candor_records::{Bounds, Header, Marker, MarkerKind, open};

use crate::mutant::{Mutant, planted};
use crate::producers::Producer;
use crate::wire::{Put, Take};
use crate::{Committed, Topic};

/// Producers remembered of a partition, whenever they were heard of last. A client that is given a new id at every start
/// fills a week with them: of more, those go that rest.
const PRODUCERS_RESTING_MAX: usize = 10_240;

/// One that was not heard of for so long rests, microseconds: no client tries a batch again after that.
const RESTS_AFTER: i64 = 3600 * Timestamp::SECOND;

/// Producers remembered of a partition in any case, some 25 MB: of more, those go that were not heard of for longest. Only
/// open transactions are kept beyond it.
const PRODUCERS_MAX: usize = 102_400;

/// Room is made for so many at once, as it costs a look at all.
const ROOM: usize = 1024;

/// What a control batch may unfold to: it holds one record of a few bytes.
const CONTROL_MAX: Bounds = Bounds { bytes: 4096, records: 1 };

/// A transaction that was aborted, as a reader of committed records is told: it skips the producer's batches from
/// there to the marker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Aborted {
    /// The first offset of its first batch in the partition.
    pub first_offset: Offset,
    /// Whose it was.
    pub producer_id: i64,
}

/// A producer that a partition remembers (KIP-664).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActiveProducer {
    /// Its id.
    pub producer_id: i64,
    /// Its epoch.
    pub producer_epoch: i16,
    /// The number of its last record; none where it wrote nothing in this epoch.
    pub last_sequence: Option<i32>,
    /// When something of it was taken last.
    pub last_at: Timestamp,
    /// The first offset of the transaction that it has open.
    pub transaction_start: Option<Offset>,
}

/// An aborted transaction. Kept in the order of their markers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct AbortedRange {
    producer_id: i64,
    first: u64,
    /// Its marker.
    marker: u64,
    /// The last stable offset behind it: those that end later begin there or after.
    stable: u64,
}

/// Producers and transactions of a partition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct StreamState {
    producers: HashMap<i64, Producer>,
    /// Open transactions: first offset and producer.
    open: BTreeSet<(u64, i64)>,
    aborted: Vec<AbortedRange>,
}

/// The header of a batch of a stream; none of a signal's batch, or of what is no record batch.
pub(crate) fn header_of(topic: &Topic, batch: &[u8]) -> Option<Header> {
    if topic.name.signal().is_some() {
        return None;
    }
    Header::parse(batch).ok()
}

/// Of a batch of a stream the greatest of its records' timestamps, milliseconds; -1 without records or timestamps, and
/// where it is not of a stream.
pub(crate) fn greatest_timestamp(batch: &Committed) -> i64 {
    let header = header_of(&batch.topic, &batch.batch);
    // What compaction left empty says what its records had.
    header.filter(|header| header.records > 0).map_or(-1, |header| header.max_timestamp)
}

/// True for a control batch that ends a transaction of which nothing is to be read.
pub(crate) fn is_abort(batch: &Bytes) -> bool {
    let Ok(opened) = open(batch, CONTROL_MAX) else { return false };
    let record = opened.records().next().and_then(Result::ok);
    record.and_then(|record| Marker::read(&record)).is_some_and(|marker| marker.kind == MarkerKind::Abort)
}

impl StreamState {
    /// What is known of a producer.
    pub fn producer(&self, id: i64, now: Timestamp) -> Option<&Producer> {
        self.producers.get(&id).filter(|producer| !producer.has_expired(now.0))
    }

    /// Takes in a committed batch of a producer.
    pub fn apply(&mut self, header: &Header, committed: &Committed) {
        let (id, base, at) = (header.producer_id, committed.base.0, committed.ingested_at.0);
        if !self.producers.contains_key(&id) {
            self.make_room(at);
        }
        let producer = self.producers.entry(id).or_insert_with(|| Producer::new(header));
        if producer.has_expired(at) {
            *producer = Producer::new(header);
        }
        let before = producer.open();
        producer.take(header, base, at);
        match (before, producer.open()) {
            (None, Some(first)) => {
                self.open.insert((first, id));
            }
            (Some(first), None) => {
                self.open.remove(&(first, id));
                if is_abort(&committed.batch) {
                    let stable =
                        self.open.first().map_or(base + u64::from(committed.count), |(first, _)| *first);
                    self.aborted.push(AbortedRange { producer_id: id, first, marker: base, stable });
                }
            }
            _ => {}
        }
    }

    /// Learns of an open transaction, as of a moment before anything was applied.
    pub fn learn_open(&mut self, id: i64, producer: Producer) {
        self.open.extend(producer.open().map(|first| (first, id)));
        self.producers.insert(id, producer);
    }

    /// Learns of an aborted transaction. They come in the order of their markers.
    pub fn learn_aborted(&mut self, producer_id: i64, first: u64, marker: u64) {
        // Nothing is said of those that ended later.
        self.aborted.push(AbortedRange { producer_id, first, marker, stable: 0 });
    }

    /// Forgets producers where there are too many. Those with open transactions stay.
    fn make_room(&mut self, now: i64) {
        let count = self.producers.len();
        if count < PRODUCERS_RESTING_MAX || !count.is_multiple_of(ROOM) {
            return;
        }
        let idle = self.producers.iter().filter(|(_, producer)| producer.open().is_none());
        let mut oldest: Vec<(i64, i64)> = idle.map(|(id, producer)| (producer.last(), *id)).collect();
        oldest.sort_unstable();
        let resting = oldest.partition_point(|(last, _)| now.saturating_sub(*last) >= RESTS_AFTER);
        let too_many = (count + ROOM).saturating_sub(PRODUCERS_MAX);
        for (_, id) in oldest.iter().take(resting.min(count + ROOM - PRODUCERS_RESTING_MAX).max(too_many)) {
            self.producers.remove(id);
        }
    }

    /// Forgets producers that were not heard of for long; true where there were any.
    pub fn expire(&mut self, now: Timestamp) -> bool {
        let before = self.producers.len();
        self.producers.retain(|_, producer| !producer.has_expired(now.0));
        before != self.producers.len()
    }

    /// Forgets transactions that lie below the start.
    pub fn trim(&mut self, start: u64) {
        let gone = self.aborted.partition_point(|aborted| aborted.marker < start);
        self.aborted.drain(..gone);
    }

    /// Aborted transactions that begin before an offset: producer, first offset and marker, in the order of the markers.
    pub fn aborted_before(&self, end: u64) -> Vec<(i64, u64, u64)> {
        let begun = self.aborted.iter().filter(|aborted| aborted.first < end);
        begun.map(|aborted| (aborted.producer_id, aborted.first, aborted.marker)).collect()
    }

    /// Forgets aborted transactions with these markers: nothing of them is left.
    pub fn forget_aborted(&mut self, markers: &BTreeSet<u64>) {
        self.aborted.retain(|aborted| !markers.contains(&aborted.marker));
    }

    /// Forgets every producer: what compaction must not do.
    pub fn forget_producers(&mut self) {
        self.producers.retain(|_, producer| producer.open().is_some());
    }

    /// The base offset of the last batch of each producer in its epoch.
    pub fn newest(&self) -> HashMap<i64, u64> {
        let newest = self.producers.iter().map(|(id, producer)| Some((*id, producer.newest()?)));
        newest.flatten().collect()
    }

    /// All producers that are remembered, by id.
    pub fn active(&self) -> Vec<ActiveProducer> {
        let active = self.producers.iter().map(|(id, producer)| ActiveProducer {
            producer_id: *id,
            producer_epoch: producer.epoch(),
            last_sequence: producer.last_sequence(),
            last_at: Timestamp(producer.last()),
            transaction_start: producer.open().map(Offset),
        });
        let mut active: Vec<ActiveProducer> = active.collect();
        active.sort_unstable_by_key(|producer| producer.producer_id);
        active
    }

    /// The first offset of an open transaction.
    pub fn first_open(&self) -> Option<u64> {
        self.open.first().map(|(first, _)| *first)
    }

    /// True where the aborted transactions of anybody are remembered.
    pub fn has_aborted(&self) -> bool {
        !self.aborted.is_empty()
    }

    /// Aborted transactions that have something from `from` to before `to`, by first offset.
    pub fn aborted(&self, from: u64, to: u64) -> Vec<Aborted> {
        self.aborted_to(from, to).into_iter().map(|(aborted, _)| aborted).collect()
    }

    /// The same with their markers.
    pub fn aborted_to(&self, from: u64, to: u64) -> Vec<(Aborted, u64)> {
        let skip = self.aborted.partition_point(|aborted| aborted.marker < from);
        let mut found = Vec::new();
        for aborted in self.aborted.iter().skip(skip) {
            if aborted.first < to {
                let first_offset = Offset(aborted.first);
                found.push((Aborted { first_offset, producer_id: aborted.producer_id }, aborted.marker));
            }
            if aborted.stable >= to {
                break;
            }
        }
        found.sort_unstable();
        found
    }

    /// 4 producers, each 8 id and what is known of it; 4 aborted transactions, each 8 producer, 8 first offset,
    /// 8 marker, 8 last stable offset behind it.
    pub fn encode(&self, to: &mut Vec<u8>) {
        let producers = if planted(Mutant::ForgetProducers) { &HashMap::new() } else { &self.producers };
        to.put_u32(producers.len() as u32);
        for (id, producer) in producers {
            to.put_i64(*id);
            producer.encode(to);
        }
        to.put_u32(self.aborted.len() as u32);
        for aborted in &self.aborted {
            to.put_i64(aborted.producer_id);
            for number in [aborted.first, aborted.marker, aborted.stable] {
                to.put_u64(number);
            }
        }
    }

    pub fn decode(take: &mut Take) -> Option<StreamState> {
        let mut state = StreamState::default();
        for _ in 0..take.u32()? {
            let id = take.i64()?;
            let producer = Producer::decode(take)?;
            if let Some(first) = producer.open() {
                state.open.insert((first, id));
            }
            state.producers.insert(id, producer);
        }
        for _ in 0..take.u32()? {
            let producer_id = take.i64()?;
            let (first, marker, stable) = (take.u64()?, take.u64()?, take.u64()?);
            state.aborted.push(AbortedRange { producer_id, first, marker, stable });
        }
        Some(state)
    }

    pub fn is_empty(&self) -> bool {
        self.producers.is_empty() && self.aborted.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{numbered, transactional};

    const HOUR: i64 = 3600 * Timestamp::SECOND;

    fn take(state: &mut StreamState, batch: crate::batch::Batch, at: i64) {
        let committed = batch.committed(Offset(0), Timestamp(at));
        let header = Header::parse(&committed.batch).expect("a batch");
        state.apply(&header, &committed);
    }

    fn knows(state: &StreamState, id: i64) -> bool {
        state.producers.contains_key(&id)
    }

    #[test]
    fn many_producers_of_late_are_all_remembered_and_resting_ones_make_room() {
        let mut state = StreamState::default();
        take(&mut state, transactional(1, 0, 0, 1), 0);
        for id in 2..12_000 {
            take(&mut state, numbered(id, 0, 0, 1), HOUR / 2);
        }
        assert_eq!(state.producers.len(), 11_999, "all were heard of within the hour");
        for id in 12_000..14_000 {
            take(&mut state, numbered(id, 0, 0, 1), 2 * HOUR);
        }
        assert!(knows(&state, 1), "its transaction is open");
        assert!((12_000..14_000).all(|id| knows(&state, id)), "heard of lately");
        assert!(state.producers.len() <= PRODUCERS_RESTING_MAX + ROOM, "{}", state.producers.len());
    }

    #[test]
    fn no_more_than_so_many_are_remembered_in_any_case() {
        let mut state = StreamState::default();
        take(&mut state, transactional(1, 0, 0, 1), 0);
        let last = PRODUCERS_MAX as i64 + 5000;
        let batch = numbered(2, 0, 0, 1).committed(Offset(0), Timestamp(0));
        let header = Header::parse(&batch.batch).expect("a batch");
        for id in 2..=last {
            let at = Timestamp(id);
            state.apply(
                &Header { producer_id: id, ..header },
                &Committed { ingested_at: at, ..batch.clone() },
            );
        }
        assert!((PRODUCERS_MAX - 2 * ROOM..=PRODUCERS_MAX).contains(&state.producers.len()));
        assert!(knows(&state, 1) && !knows(&state, 2) && knows(&state, last));
    }
}
