//! Idempotent producers in the simulation: each sends what was not answered again, in its order, until it is.

use std::collections::HashMap;

use bytes::Bytes;
use candor_model::PolicyEpoch;
use candor_records::{BatchBuilder, Codec, Headers};
use tokio::sync::oneshot;

use super::model::{Does, Fate, Part, Sent};
use super::world::{Outcome, World};
use crate::AppendError;
use crate::queue::Request;
use crate::testing::{Kafka, marker, stream};
use crate::{Partition, Retention, Topic};

/// Batches that wait for their answers: one fewer than the log compares retries with, as the last answered one is sent
/// again at times.
const WAITING_MAX: u64 = 4;

/// Projects with a stream.
const STREAMS: i64 = 3;

/// Keys of the stream that is compacted by key.
const KEYS: u64 = 6;

/// A producer.
pub struct Producer {
    id: i64,
    topic: Topic,
    epoch: i16,
    next: i32,
    is_transactional: bool,
    /// Sent and not answered, by number.
    waiting: Vec<u64>,
    answered: Option<u64>,
}

/// What is kept of streams: of one little, of one what is young, of one the last of each key.
pub fn retention() -> HashMap<Topic, Retention> {
    let little = Retention { ms: None, bytes: Some(10_000) };
    let young = Retention { ms: Some(6 * 3600 * 1000), bytes: None };
    [(stream(1), little), (stream(2), young), (keyed(), Retention { ms: None, bytes: None })].into()
}

/// The stream that is compacted by key.
pub fn keyed() -> Topic {
    stream(STREAMS)
}

/// A batch of records with keys; one without a value is a tombstone.
fn keyed_batch(
    codec: Codec,
    is_transactional: bool,
    producer: candor_records::Producer,
    keys: &[(u8, bool)],
    number: u64,
    value: &[u8],
) -> Bytes {
    let builder = BatchBuilder::new(codec);
    let mut builder = match is_transactional {
        true => builder.transactional(producer),
        false => builder.producer(producer),
    };
    for (key, is_tombstone) in keys {
        let value = (!is_tombstone).then_some(value);
        builder.push(number as i64, Some(&[*key]), value, Headers::default());
    }
    builder.finish().expect("is small")
}

impl Producer {
    pub fn some() -> Vec<Producer> {
        let producer = |id: i64| Producer {
            id,
            topic: stream(1 + id % STREAMS),
            epoch: 0,
            // The numbers of one pass the greatest there is.
            next: if id == 1 { i32::MAX - 20 } else { 0 },
            is_transactional: matches!(id, 3 | 5 | 8),
            waiting: Vec::new(),
            answered: None,
        };
        [1, 2, 3, 4, 5, 6, 8].map(producer).into()
    }
}

impl World {
    /// Some producers send, in one group.
    pub fn produce(&mut self) -> Outcome {
        let mut group = Vec::new();
        let mut answers = Vec::new();
        for which in 0..self.producers.len() {
            // One is seldom heard of, and where it is about keys, those elsewhere.
            let seldom = match self.producers[which].id {
                2 => 8,
                _ if self.is_keyed && self.producers[which].topic != keyed() => 4,
                _ => 1,
            };
            if self.below(2 * seldom) >= 1 {
                continue;
            }
            let mut first = self.collect(which);
            // The same again in another request of the group, as if the connection had been lost in between.
            let second = (self.below(3) == 0).then(|| first.split_off(first.len() / 2));
            for numbers in [Some(first.clone()), second.map(|rest| [first, rest].concat())] {
                let Some(numbers) = numbers else { continue };
                let (reply, answer) = oneshot::channel();
                let batches = numbers.iter().filter_map(|number| self.model.sent.get(*number as usize));
                let batches = batches.map(Sent::batch).collect();
                group.push(Request { batches, each: true, reply });
                answers.push((which, numbers, answer));
            }
        }
        self.say(|| {
            format!("produce {:?}", answers.iter().map(|(_, numbers, _)| numbers).collect::<Vec<_>>())
        });
        let Some(log) = &mut self.log else { return Ok(()) };
        log.committer.commit(group);
        for (which, numbers, mut answer) in answers {
            let answer = answer.try_recv().map_err(|_| "an append was not answered".to_owned())?;
            let of_each = match answer {
                Ok(of_each) if of_each.len() == numbers.len() => of_each,
                Ok(_) => return Err("an append was answered in part".to_owned()),
                Err(error) => vec![Err(error); numbers.len()],
            };
            for (number, answer) in numbers.into_iter().zip(of_each) {
                if let Err(AppendError::Rejected(rejected)) = answer {
                    return Err(format!("batch {number} of producer {which}, in order: {rejected}"));
                }
                if answer.is_ok() {
                    let producer = &mut self.producers[which];
                    // A marker has no number, and is not known again.
                    if producer.waiting.contains(&number) {
                        producer.answered = producer.answered.max(Some(number));
                    }
                    producer.waiting.retain(|waiting| *waiting != number);
                }
                self.answered(&[number], answer.map(|appended| vec![appended]))?;
            }
        }
        self.followed()
    }

    /// What a producer sends next: what waits, and something new.
    fn collect(&mut self, which: usize) -> Vec<u64> {
        let mut numbers = self.producers[which].waiting.clone();
        if self.below(4) == 0 {
            numbers.splice(0..0, self.producers[which].answered);
        } else if numbers.is_empty() && self.below(if self.is_keyed { 2 } else { 4 }) == 0 {
            numbers.extend(self.end(which));
            return numbers;
        }
        let room = WAITING_MAX - self.producers[which].waiting.len() as u64;
        for _ in 0..self.below(room + 1) {
            numbers.push(self.number(which));
        }
        numbers
    }

    fn number(&mut self, which: usize) -> u64 {
        let number = self.model.sent.len() as u64;
        let count = 1 + self.below(4) as usize;
        let value = vec![number as u8; self.below(400) as usize];
        let keys: Vec<(u8, bool)> =
            (0..count).map(|_| (self.below(KEYS) as u8, self.below(4) == 0)).collect();
        let codec = [Codec::None, Codec::None, Codec::Lz4][self.below(3) as usize];
        let producer = &mut self.producers[which];
        let timestamps = vec![number as i64; count];
        let numbering =
            candor_records::Producer { id: producer.id, epoch: producer.epoch, sequence: producer.next };
        let is_keyed = producer.topic == keyed();
        let batch = match is_keyed {
            true => keyed_batch(codec, producer.is_transactional, numbering, &keys, number, &value),
            false => {
                let is_transactional = producer.is_transactional;
                let kafka =
                    Kafka { is_transactional, producer: numbering, timestamps: &timestamps, value: &value };
                kafka.batch(&producer.topic).batch
            }
        };
        producer.next = ((i64::from(producer.next) + count as i64) % (1 << 31)) as i32;
        let does = if producer.is_transactional { Does::Opens } else { Does::Nothing };
        let keys = if is_keyed { keys } else { Vec::new() };
        self.sends(which, &batch, count as u32, does, keys)
    }

    /// Ends a transaction, or begins the producer anew.
    fn end(&mut self, which: usize) -> Option<u64> {
        let (commits, bumps) = (self.below(2) == 0, self.below(2) == 0);
        let producer = &mut self.producers[which];
        if bumps {
            producer.epoch += 1;
            producer.next = 0;
            producer.answered = None;
        }
        if !producer.is_transactional {
            return None;
        }
        // A marker has no number of its own, so it is not sent again by itself: see `sends`.
        let batch = marker(&producer.topic, producer.id, producer.epoch, commits);
        let does = if commits { Does::Commits } else { Does::Aborts };
        Some(self.sends(which, &batch.batch, batch.count, does, Vec::new()))
    }

    fn sends(&mut self, which: usize, batch: &[u8], count: u32, does: Does, keys: Vec<(u8, bool)>) -> u64 {
        let number = self.model.sent.len() as u64;
        // The base offset that a producer writes counts for nothing.
        let content: Vec<u8> = number.to_le_bytes().into_iter().chain(batch[8..].iter().copied()).collect();
        let at = self.options.clock.now();
        let producer = &mut self.producers[which];
        if matches!(does, Does::Nothing | Does::Opens) {
            producer.waiting.push(number);
        }
        self.model.sent.push(Sent {
            number,
            topic: producer.topic.clone(),
            content: Bytes::from(content),
            count,
            request: None,
            fate: Fate::Refused,
            part: Some(Part { producer: producer.id, epoch: producer.epoch, does }),
            keys,
            at,
            // Numbered batches are never refused here: what follows them would be, too.
            epoch: PolicyEpoch(u32::MAX),
        });
        number
    }

    /// Records of a stream that are to be deleted now and then.
    pub fn deletes(&mut self) -> Option<(Topic, u64)> {
        if self.below(4) > 0 {
            return None;
        }
        let topic = stream(1 + self.below(STREAMS as u64) as i64);
        let (start, end) = self.bounds(&topic);
        let before = start + self.below((end - start) / 2 + 1);
        if before == start {
            return None;
        }
        self.say(|| format!("deletes {topic:?} to {before}"));
        let may = self.model.may_be_deleted.entry(topic.clone()).or_default();
        *may = before.max(*may);
        Some((topic, before))
    }

    /// Compares transactions with what was seen of them.
    pub fn check_transactions(&self, topic: &Topic, start: u64, end: u64) -> Outcome {
        let Some(log) = &self.log else { return Ok(()) };
        let state = log.committer.shared.state.read();
        let Some(held) = state.find_named(topic, Partition(0)) else { return Ok(()) };
        let aborted = held.stream.as_ref().map_or_else(Vec::new, |stream| stream.aborted(start, end));
        let aborted = aborted.iter().map(|aborted| (aborted.first_offset.0, aborted.producer_id)).collect();
        let found: (u64, Vec<(u64, i64)>) = (held.last_stable(), aborted);
        let mut expected = self.model.transactions(topic, start, end);
        if *topic == keyed() {
            // Those of which nothing is left may be forgotten.
            expected.1.retain(|aborted| self.model.is_held(topic, *aborted) || found.1.contains(aborted));
        }
        match found == expected {
            true => Ok(()),
            false => Err(format!("transactions of {topic:?} are {found:?}, should be {expected:?}")),
        }
    }
}
