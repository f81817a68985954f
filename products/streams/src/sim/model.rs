//! What the simulation knows must be true, in the simplest form: what was sent, what became of it, what was committed.

use std::collections::{BTreeMap, BTreeSet};

use super::node::{BRIEF, KEYED, Node, Place, places};

/// What became of a record that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// No answer, or one that says nothing.
    Unknown,
    /// Acknowledged at this offset.
    Acknowledged(u64),
    /// Refused, or it had to be: nobody may ever read it.
    Refused,
}

/// A record. Its value is its number.
#[derive(Debug, Clone)]
pub struct Sent {
    pub place: Place,
    pub key: u64,
    pub fate: Fate,
    /// The transaction that it is of.
    pub transaction: Option<usize>,
    /// Whose numbers must rise in each partition.
    pub writer: u64,
}

/// How a transaction ended, as its client knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Open,
    /// It asked to commit, and was not told.
    Unknown,
    Committed,
    /// It never asked to commit, or was told that it did not.
    Aborted,
}

#[derive(Debug, Clone)]
pub struct Transaction {
    pub id: usize,
    pub end: End,
    /// Something may have ended it that its client does not know of: another producer of its id, or its end was asked for.
    pub may_end: bool,
    /// When it began at the earliest, milliseconds.
    pub began: i64,
    pub timeout: i64,
    /// Its offset was sent, and acknowledged.
    pub offset: Option<bool>,
    /// The first offset of each partition that was acknowledged to it.
    pub firsts: BTreeMap<Place, u64>,
}

/// Somebody's attempt to commit an offset.
#[derive(Debug)]
struct Attempt {
    offset: i64,
    began: u64,
    ended: Option<u64>,
    /// None until it is known.
    done: Option<bool>,
}

/// Who an instance id is.
#[derive(Debug)]
pub struct Instance {
    pub member: String,
    /// When it was told so.
    pub told: u64,
    /// It has its assignment: no crash undoes that.
    pub is_stored: bool,
}

/// A shared record that a member has.
#[derive(Debug, Clone)]
pub struct Given {
    pub member: u64,
    pub asked: i64,
    pub told: u64,
    pub life: u64,
}

/// A group's offset of one partition.
#[derive(Debug, Default)]
pub struct Register {
    attempts: Vec<Attempt>,
}

impl Register {
    pub fn begin(&mut self, offset: i64, stamp: u64) -> usize {
        self.attempts.push(Attempt { offset, began: stamp, ended: None, done: None });
        self.attempts.len() - 1
    }

    /// It was answered: committed, refused, or neither is known.
    pub fn end(&mut self, attempt: usize, done: Option<bool>, stamp: u64) {
        let attempt = &mut self.attempts[attempt];
        (attempt.ended, attempt.done) = (Some(stamp), done);
    }

    /// Whether somebody who began to read then may be given this.
    pub fn may_be(&self, offset: i64, began: u64) -> bool {
        let is_over = |from: u64| {
            let over = |other: &&Attempt| other.began > from && other.ended.is_some_and(|end| end < began);
            self.attempts.iter().filter(|other| other.done == Some(true)).any(|other| over(&other))
        };
        if offset < 0 {
            return !is_over(0);
        }
        let mut fitting = self.attempts.iter().filter(|one| one.offset == offset && one.done != Some(false));
        fitting.any(|one| one.ended.is_none_or(|end| !is_over(end)))
    }
}

#[derive(Default)]
pub struct Model {
    pub sent: Vec<Sent>,
    pub transactions: Vec<Transaction>,
    /// The newest producer that was given for a transactional id.
    pub newest: BTreeMap<usize, (i64, i16)>,
    /// By group and partition.
    pub offsets: BTreeMap<(&'static str, u32), Register>,
    /// The greatest offset that anybody committed.
    pub last_offset: i64,
    /// Of the classic group: by life and generation what its leader assigned to whom.
    pub assigned: BTreeMap<(u64, i32), BTreeMap<String, Vec<u8>>>,
    /// The newest generation that somebody was given partitions of.
    pub synced: i32,
    /// Of static members, by instance: who has it now.
    pub instances: BTreeMap<&'static str, Instance>,
    /// What members of the consumer protocol own.
    pub owned: BTreeMap<u64, BTreeSet<u32>>,
    /// Until when each of them owns it for sure, milliseconds.
    pub doubts: BTreeMap<u64, i64>,
    /// Shared records that were done with, by partition and offset.
    pub accepted: BTreeSet<(u32, i64)>,
    /// Who was given a shared record last: when at the earliest, milliseconds, when it was told of it, and in which life.
    /// None once the record may be free again.
    pub given: BTreeMap<(u32, i64), Option<Given>>,
    /// Requests for a producer of a transactional id that may be under way.
    pub inits: BTreeMap<usize, u64>,
    /// Where readers were: no log begins or ends before.
    ends: BTreeMap<Place, (u64, u64, u64)>,
    pub broken: Option<String>,
    pub waiting: BTreeMap<String, String>,
    /// What happened, to see that enough does.
    pub seen: BTreeMap<&'static str, u64>,
}

impl Model {
    pub fn count(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    /// The process has ended: what was not answered never will be, and nothing of it goes on.
    pub fn died(&mut self, stamp: u64) {
        self.inits.clear();
        // A rebalance that was under way never was.
        self.instances.retain(|_, instance| instance.is_stored);
        // How far retention came is stored with a checkpoint.
        for (start, stable, _) in self.ends.values_mut() {
            if stable == start {
                // Stable from there on alone, for retention had overtaken what is open.
                *stable = 0;
            }
            *start = 0;
        }
        for register in self.offsets.values_mut() {
            for attempt in register.attempts.iter_mut().filter(|attempt| attempt.ended.is_none()) {
                attempt.ended = Some(stamp);
            }
        }
    }

    /// Who has not come to an end.
    pub fn stuck(&self) -> String {
        format!("{:?}", self.waiting)
    }

    /// The number of a new record.
    pub fn send(&mut self, place: Place, key: u64, writer: u64, transaction: Option<usize>) -> u64 {
        self.sent.push(Sent { place, key, fate: Fate::Unknown, transaction, writer });
        self.sent.len() as u64 - 1
    }

    /// Records were acknowledged, the first at this offset.
    pub fn acknowledged(&mut self, numbers: &[u64], base: i64) -> Result<(), String> {
        for (number, offset) in numbers.iter().zip(base..) {
            let offset =
                u64::try_from(offset).map_err(|_| format!("{number} is acknowledged at {offset}"))?;
            let Some(sent) = self.sent.get_mut(*number as usize) else { continue };
            match sent.fate {
                Fate::Refused => return Err(format!("{number} had to be refused, and is at {offset}")),
                Fate::Acknowledged(before) if before != offset => {
                    return Err(format!("{number} was acknowledged at {before} and at {offset}"));
                }
                _ => sent.fate = Fate::Acknowledged(offset),
            }
            if let Some(transaction) = sent.transaction.and_then(|of| self.transactions.get_mut(of)) {
                let first = transaction.firsts.entry(sent.place).or_insert(offset);
                *first = offset.min(*first);
            }
        }
        Ok(())
    }

    /// Logs grow, and nothing passes a transaction that is open.
    pub fn check_ends(&mut self, node: &Node) -> Result<(), String> {
        for place in places() {
            let (start, stable, end) = node.ends(place);
            let (start_before, stable_before, end_before) =
                self.ends.insert(place, (start, stable, end)).unwrap_or_default();
            if start < start_before || stable < stable_before || end < end_before || stable > end {
                return Err(format!(
                    "{place:?} went from {start_before}, {stable_before}, {end_before} to {start}, {stable}, {end}"
                ));
            }
            if start > 0 && place.0 != BRIEF && place.0 != KEYED {
                return Err(format!("{place:?} was trimmed to {start}"));
            }
        }
        Ok(())
    }

    /// No last stable offset passes what is open for sure.
    pub fn check_open(&self, node: &Node, now: i64) -> Result<(), String> {
        for (number, open) in self.transactions.iter().enumerate() {
            if open.end != End::Open || open.may_end || now >= open.began + open.timeout {
                continue;
            }
            for (place, first) in &open.firsts {
                // Retention asks nobody.
                let (start, stable, _) = node.ends(*place);
                if stable > start.max(*first) {
                    return Err(format!(
                        "{place:?} is stable to {stable}, transaction {number} is open from {first} on"
                    ));
                }
            }
        }
        Ok(())
    }

    /// Whether who reads what is committed may be given a record now.
    pub fn check_visible(&self, number: u64, place: Place, offset: u64) -> Result<(), String> {
        let at = format!("{number} at {place:?} {offset}");
        let Some(sent) = self.sent.get(number as usize) else { return Err(format!("{at}: nobody sent it")) };
        match sent.fate {
            _ if sent.place != place => return Err(format!("{at}: it was sent to {:?}", sent.place)),
            Fate::Refused => return Err(format!("{at}: it had to be refused")),
            Fate::Acknowledged(told) if told != offset => return Err(format!("{at}: told was {told}")),
            _ => {}
        }
        let Some(of) = sent.transaction else { return Ok(()) };
        match self.transactions[of].end {
            End::Unknown | End::Committed => Ok(()),
            End::Open | End::Aborted => Err(format!("{at}: transaction {of} was never committed")),
        }
    }
}
