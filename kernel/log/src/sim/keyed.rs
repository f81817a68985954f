//! What must be true of the stream that is compacted by key: whatever is read was written there, and whatever is
//! missing had to go, or was allowed to.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use candor_model::Timestamp;
use candor_records::{Bounds, Opened, open};

use super::model::{Does, Model, Sent};
use crate::{Committed, Compaction, Topic};

const BOUNDS: Bounds = Bounds { bytes: 1 << 20, records: 100 };

/// True where a batch is what compaction may leave of one that was sent: the same but for records that are missing.
pub fn is_left_of(sent: &Sent, batch: &Bytes) -> bool {
    if sent.keys.is_empty() && !sent.part.is_some_and(|part| part.does != Does::Nothing) {
        return false;
    }
    let (Ok(whole), Ok(left)) = (open(&sent.content, BOUNDS), open(batch, BOUNDS)) else { return false };
    if left.header().check(batch).is_err() {
        return false;
    }
    let fields = |opened: &Opened| {
        let header = opened.header();
        let producer = (header.producer_id, header.producer_epoch, header.base_sequence);
        let kind = (header.is_transactional(), header.is_control(), header.timestamp_type());
        let codec = if left.header().records == 0 { 0 } else { header.codec() };
        (header.base_offset, header.last_offset_delta, header.leader_epoch, producer, kind, codec)
    };
    let records = |opened: &Opened| -> Option<Vec<_>> {
        let one = |record: candor_records::Record<'_>| {
            let timestamp = record.timestamp(opened.header());
            let (key, value) = (record.key.map(<[u8]>::to_vec), record.value.map(<[u8]>::to_vec));
            (record.offset_delta, timestamp, key, value)
        };
        opened.records().map(|record| record.ok().map(one)).collect()
    };
    let (Some(of_whole), Some(of_left)) = (records(&whole), records(&left)) else { return false };
    fields(&whole) == fields(&left) && of_left.iter().all(|record| of_whole.contains(record))
}

/// What a batch that was seen is a part of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Counts,
    Aborted,
    /// Of an open transaction.
    Unknown,
}

impl Model {
    /// True where the last look found a batch of an aborted transaction: first offset and producer.
    pub fn is_held(&self, topic: &Topic, (first, producer): (u64, i64)) -> bool {
        let Some(seen) = self.seen.get(topic) else { return false };
        for (base, number) in seen.range(first..) {
            let part = self.sent.get(*number as usize).and_then(|sent| sent.part);
            match part.filter(|part| part.producer == producer) {
                Some(part) if part.does != Does::Opens => return false,
                Some(_) if self.held.contains(base) => return true,
                _ => {}
            }
        }
        false
    }

    /// All that the stream holds that is compacted by key was read, from `start` to `end`.
    pub fn read_keyed(
        &mut self,
        topic: &Topic,
        start: u64,
        end: u64,
        batches: &[Committed],
        compaction: &Compaction,
        now: Timestamp,
    ) -> Result<(), String> {
        let allowed = self.allowed_start(topic, start)?;
        let mut next = 0;
        let mut left: HashMap<u64, HashSet<u64>> = HashMap::new();
        for batch in batches {
            if batch.base.0 < next {
                return Err(format!("{topic:?}: {} comes after {next}", batch.base.0));
            }
            next = batch.base.0 + u64::from(batch.count);
            self.saw(batch, next > allowed)?;
            let opened = open(&batch.batch, BOUNDS).map_err(|error| error.to_string())?;
            let records = opened.records().flatten().map(|record| record.offset_delta as u64);
            left.insert(batch.base.0, records.collect());
        }
        if next != end && start < end {
            return Err(format!("{topic:?} ends at {next}, its high watermark is {end}"));
        }
        self.held = left.keys().copied().collect();
        let (stable, _) = self.transactions(topic, start, end);
        self.check_missing(topic, start, stable, &left, compaction, now)
    }

    /// What became of each batch, by base offset.
    fn outcomes(&self, topic: &Topic) -> Vec<(u64, &Sent, Outcome)> {
        let seen = self.seen.get(topic).into_iter().flatten();
        let sent = seen.filter_map(|(base, number)| Some((*base, self.sent.get(*number as usize)?)));
        let mut all: Vec<(u64, &Sent, Outcome)> = Vec::new();
        let mut open: HashMap<i64, Vec<usize>> = HashMap::new();
        for (base, sent) in sent {
            let Some(part) = sent.part else { continue };
            let outcome = match part.does {
                Does::Nothing => Outcome::Counts,
                Does::Opens => {
                    open.entry(part.producer).or_default().push(all.len());
                    Outcome::Unknown
                }
                Does::Commits | Does::Aborts => {
                    let outcome = if part.does == Does::Commits { Outcome::Counts } else { Outcome::Aborted };
                    for of_it in open.remove(&part.producer).unwrap_or_default() {
                        all[of_it].2 = outcome;
                    }
                    Outcome::Counts
                }
            };
            all.push((base, sent, outcome));
        }
        all
    }

    fn check_missing(
        &self,
        topic: &Topic,
        start: u64,
        stable: u64,
        left: &HashMap<u64, HashSet<u64>>,
        compaction: &Compaction,
        now: Timestamp,
    ) -> Result<(), String> {
        let all = self.outcomes(topic);
        let mut latest: HashMap<u8, u64> = HashMap::new();
        let mut newest: HashMap<i64, (u64, i16, bool)> = HashMap::new();
        for (base, sent, outcome) in &all {
            for ((key, _), offset) in sent.keys.iter().zip(*base..) {
                if *outcome == Outcome::Counts && *base < stable {
                    latest.insert(*key, offset);
                }
            }
            let Some(part) = sent.part else { continue };
            let is_data = matches!(part.does, Does::Nothing | Does::Opens);
            let before = newest.get(&part.producer).map(|(_, epoch, _)| *epoch);
            if is_data || before.is_some_and(|epoch| epoch != part.epoch) {
                newest.insert(part.producer, (*base, part.epoch, is_data));
            }
        }
        // Of each producer's transaction, whether a batch of it is left.
        let mut is_left: HashMap<i64, bool> = HashMap::new();
        for (base, sent, outcome) in &all {
            let Some(part) = sent.part else { continue };
            let held = left.get(base);
            let age = (now.0 - sent.at.0) / 1000;
            let may_expire = age >= compaction.delete_retention_ms as i64;
            let may_go = *base < stable && age >= compaction.lag_min_ms as i64;
            let of_transaction = is_left.entry(part.producer).or_default();
            if matches!(part.does, Does::Commits | Does::Aborts) {
                let had_data = std::mem::take(of_transaction);
                let is_gone = held.is_none_or(HashSet::is_empty);
                if is_gone && *base >= start && !(may_go && may_expire && !had_data) {
                    return Err(format!("{topic:?}: the marker at {base} is lost"));
                }
                continue;
            }
            *of_transaction |= held.is_some();
            for ((key, is_tombstone), offset) in sent.keys.iter().zip(*base..) {
                let is_there = held.is_some_and(|held| held.contains(&(offset - base)));
                if is_there || offset < start {
                    continue;
                }
                let superseded = latest.get(key).is_some_and(|latest| *latest > offset);
                let expired = *is_tombstone && may_expire;
                if !may_go || !(*outcome == Outcome::Aborted || superseded || expired) {
                    return Err(format!("{topic:?}: the record of key {key} at {offset} is lost"));
                }
            }
        }
        for (producer, (base, _, is_data)) in newest {
            if is_data && base >= start && !left.contains_key(&base) {
                return Err(format!("{topic:?}: the last batch of producer {producer}, at {base}, is lost"));
            }
        }
        Ok(())
    }
}
