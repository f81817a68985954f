//! What a share group knows of the records of one partition: which it has given to whom, how often, and what became of
//! them (KIP-932). A state machine without I/O.
//!
//! Offsets before the start are done with; from the end on nothing has been given to anybody. Those between lie in runs
//! of neighbours that are alike. There are at most as many offsets between as records may be locked, but for those that
//! were never to be given: markers, aborted records, what compaction took.

use std::collections::BTreeMap;
use std::sync::Arc;

use kafka_protocol::ResponseError;
use tokio::time::Instant;

use crate::mutant::{Mutant, planted};

/// What becomes of a record that was given to a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// There is no record at that offset.
    Gap,
    /// It is done with.
    Accept,
    /// It is to be given to somebody again.
    Release,
    /// Nobody can do anything with it.
    Reject,
    /// More time is needed (KIP-1222).
    Renew,
}

impl Verdict {
    /// From Kafka's number.
    pub fn from_number(number: i8) -> Option<Verdict> {
        let all = [Verdict::Gap, Verdict::Accept, Verdict::Release, Verdict::Reject, Verdict::Renew];
        usize::try_from(number).ok().and_then(|number| all.get(number).copied())
    }
}

/// What a member says of the records from `first` to `last`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Acknowledgement {
    pub first: i64,
    pub last: i64,
    /// One for all of them, or one for each.
    pub verdicts: Vec<Verdict>,
}

impl Acknowledgement {
    fn verdict(&self, offset: i64) -> Option<Verdict> {
        if let [all] = self.verdicts.as_slice() {
            return Some(*all);
        }
        usize::try_from(offset - self.first).ok().and_then(|index| self.verdicts.get(index)).copied()
    }
}

/// How a record stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    Available,
    /// A member has it, until then.
    Acquired {
        by: Arc<str>,
        until: Instant,
    },
    Acknowledged,
    Archived,
}

impl Standing {
    fn is_over(&self) -> bool {
        matches!(self, Standing::Acknowledged | Standing::Archived)
    }
}

/// Neighbours that are alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Run {
    pub last: i64,
    pub standing: Standing,
    /// How often they were given to somebody.
    pub deliveries: i16,
}

/// A batch in the log, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub first: i64,
    pub last: i64,
    /// It holds records for readers: it is no marker, and no aborted transaction's where those are left out.
    pub is_for_readers: bool,
}

/// Who wants records, and how many.
#[derive(Debug, Clone)]
pub(crate) struct Wish<'a> {
    pub member: &'a Arc<str>,
    /// Until when they are its.
    pub until: Instant,
    pub records: i64,
    /// Not one more than that: else the last batch is given whole (KIP-1206).
    pub exactly: bool,
    /// Records may be given that never were: the group has room to remember them.
    pub may_grow: bool,
}

/// Neighbours that were given to a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Given {
    pub first: i64,
    pub last: i64,
    /// How often they were given, this time included.
    pub deliveries: i16,
}

/// What one partition's bounds are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Offsets between start and end.
    pub records: i64,
    /// How often a record is given at most.
    pub deliveries: i16,
}

/// How far a group is with a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stands {
    /// The first offset that is not done with.
    pub start: i64,
    /// Offsets behind it that are.
    pub over: i64,
}

/// A partition as one share group sees it.
#[derive(Debug)]
pub(crate) struct SharePartition {
    /// The first offset that is not done with.
    start: i64,
    /// The first that was never given to anybody.
    end: i64,
    runs: BTreeMap<i64, Run>,
    limits: Limits,
    /// No record's time is over before.
    nearest: Option<Instant>,
    /// It differs from what is stored.
    pub dirty: bool,
    /// It has never been stored: nothing may be given of it, else a restart would begin elsewhere.
    pub is_new: bool,
}

impl SharePartition {
    /// A partition that is read from this offset on.
    pub fn new(start: i64, limits: Limits) -> SharePartition {
        SharePartition {
            start,
            end: start,
            runs: BTreeMap::new(),
            limits,
            nearest: None,
            dirty: true,
            is_new: true,
        }
    }

    /// The same as it was stored, by its runs: length, standing, deliveries.
    pub(super) fn restore(start: i64, runs: Vec<(i64, Standing, i16)>, limits: Limits) -> SharePartition {
        let mut partition = SharePartition::new(start, limits);
        (partition.dirty, partition.is_new) = (false, false);
        for (length, standing, deliveries) in runs {
            let spent = standing == Standing::Available && deliveries >= limits.deliveries;
            let standing = if spent { Standing::Archived } else { standing };
            let first = partition.end;
            partition.end = first.saturating_add(length.max(1));
            partition.runs.insert(first, Run { last: partition.end - 1, standing, deliveries });
        }
        partition.tidy();
        partition
    }

    /// What is stored of it: who has a record is not, for a restart ends all sessions.
    pub(super) fn image(&self) -> (i64, Vec<(i64, Standing, i16)>) {
        let stored = self.runs.iter().map(|(first, run)| {
            let standing = match &run.standing {
                Standing::Acquired { .. } => Standing::Available,
                other => other.clone(),
            };
            (run.last - first + 1, standing, run.deliveries)
        });
        (self.start, stored.collect())
    }

    /// How far it is.
    pub fn stands(&self) -> Stands {
        let over = self.runs.iter().filter(|(_, run)| run.standing.is_over());
        Stands { start: self.start, over: over.map(|(first, run)| run.last - first + 1).sum() }
    }

    /// The first offset that is not done with.
    #[cfg(test)]
    pub fn start(&self) -> i64 {
        self.start
    }

    /// From where there may be something to give; none where all that may be locked is. Behind what was given before
    /// only where it may grow.
    pub fn next(&self, may_grow: bool) -> Option<i64> {
        let free = self.runs.iter().find(|(_, run)| run.standing == Standing::Available);
        free.map(|(first, _)| *first).or((may_grow && self.room() > 0).then_some(self.end))
    }

    /// How much is remembered of it.
    pub fn runs(&self) -> usize {
        self.runs.len()
    }

    fn room(&self) -> i64 {
        self.limits.records - (self.end - self.start)
    }

    /// When [`SharePartition::expire`] has something to do next.
    pub fn nearest(&self) -> Option<Instant> {
        self.nearest
    }

    /// Gives records to a member: those that are free of what lies in the log from `from` on, which is where the spans
    /// were read.
    pub fn acquire(&mut self, wish: &Wish<'_>, from: i64, spans: &[Span]) -> Vec<Given> {
        let mut given: Vec<Given> = Vec::new();
        let mut left = wish.records;
        let mut next = from.max(self.start);
        for span in spans {
            if left <= 0 || span.last < next {
                if left <= 0 {
                    break;
                }
                continue;
            }
            let first = span.first.max(next);
            // What lies between batches is not in the log any more.
            self.skip(next, first - 1, wish.may_grow);
            next = span.last + 1;
            if !span.is_for_readers {
                self.skip(first, span.last, wish.may_grow);
                continue;
            }
            if first > self.end {
                // Something that was given in between: the spans were read before that.
                break;
            }
            let most = if wish.exactly { left } else { i64::MAX };
            left -= self.give(wish, first, span.last, most, &mut given);
            if self.end <= span.last {
                break;
            }
        }
        if !given.is_empty() {
            self.dirty = true;
            self.nearest = Some(self.nearest.map_or(wish.until, |nearest| nearest.min(wish.until)));
        }
        self.tidy();
        given
    }

    /// Gives of the batch from `first` to `last` what is free; says how many.
    fn give(&mut self, wish: &Wish<'_>, first: i64, last: i64, most: i64, given: &mut Vec<Given>) -> i64 {
        let mut count = 0;
        let mut at = first;
        let acquired = || Standing::Acquired { by: Arc::clone(wish.member), until: wish.until };
        while at <= last && at < self.end && count < most {
            let Some((_, run)) = self.runs.range(..=at).next_back() else { break };
            let (until, is_free) = (run.last.min(last), run.standing == Standing::Available);
            if is_free {
                let until = until.min(at.saturating_add(most - count - 1));
                self.change(at, until, |run| {
                    run.standing = acquired();
                    run.deliveries += 1;
                });
                let deliveries = self.runs.get(&at).map_or(1, |run| run.deliveries);
                add(given, Given { first: at, last: until, deliveries });
                count += until - at + 1;
                at = until + 1;
            } else {
                at = until + 1;
            }
        }
        let room = if wish.may_grow { self.room() } else { 0 };
        if at == self.end && at <= last && count < most && room > 0 {
            let until = last.min(at.saturating_add(room.min(most - count) - 1));
            self.runs.insert(at, Run { last: until, standing: acquired(), deliveries: 1 });
            self.end = until + 1;
            add(given, Given { first: at, last: until, deliveries: 1 });
            count += until - at + 1;
        }
        count
    }

    /// Nobody is given what lies there, as far as nobody has it.
    fn skip(&mut self, first: i64, last: i64, may_grow: bool) {
        if first > last {
            return;
        }
        let within = last.min(self.end - 1);
        if first <= within {
            self.dirty |= self.change(first, within, |run| {
                if run.standing == Standing::Available {
                    run.standing = Standing::Archived;
                }
            });
        }
        if last >= self.end && first <= self.end && may_grow && self.room() > 0 {
            self.runs.insert(self.end, Run { last, standing: Standing::Archived, deliveries: 0 });
            self.end = last + 1;
            self.dirty = true;
        }
    }

    /// Takes what a member says of records that it has: all of it or nothing. True where there may be something to give
    /// that there was not before.
    pub fn acknowledge(
        &mut self,
        member: &str,
        acknowledgements: &[Acknowledgement],
        renewed: Instant,
        now: Instant,
    ) -> Result<bool, ResponseError> {
        let was_full = self.room() <= 0;
        let mut is_free = self.expire(now);
        for one in acknowledgements {
            self.check(member, one)?;
        }
        let most = self.limits.deliveries;
        for one in acknowledgements {
            if let [all] = one.verdicts.as_slice() {
                is_free |= self.judge(one.first, one.last, *all, renewed, most);
                continue;
            }
            for offset in one.first..=one.last {
                let Some(verdict) = one.verdict(offset) else { break };
                is_free |= self.judge(offset, offset, verdict, renewed, most);
            }
        }
        self.dirty = true;
        self.tidy();
        Ok(is_free || was_full && self.room() > 0)
    }

    fn check(&self, member: &str, one: &Acknowledgement) -> Result<(), ResponseError> {
        let mut at = one.first;
        while at <= one.last {
            let run = self.runs.range(..=at).next_back().map(|(_, run)| run);
            let run = run.filter(|run| run.last >= at).ok_or(ResponseError::InvalidRecordState)?;
            match &run.standing {
                Standing::Acquired { by, .. } if **by == *member => at = run.last + 1,
                _ if planted(Mutant::AcceptTwice) => at = run.last + 1,
                _ => return Err(ResponseError::InvalidRecordState),
            }
        }
        Ok(())
    }

    fn judge(&mut self, first: i64, last: i64, verdict: Verdict, renewed: Instant, most: i16) -> bool {
        let mut is_free = false;
        self.change(first, last, |run| {
            run.standing = match (verdict, &run.standing) {
                (Verdict::Accept, _) => Standing::Acknowledged,
                (Verdict::Gap | Verdict::Reject, _) => Standing::Archived,
                (Verdict::Release, _) => released(run.deliveries, most),
                (Verdict::Renew, Standing::Acquired { by, .. }) => {
                    Standing::Acquired { by: Arc::clone(by), until: renewed }
                }
                (Verdict::Renew, other) => other.clone(),
            };
            is_free |= run.standing == Standing::Available;
        });
        is_free
    }

    /// Takes back what members have had for too long; true where there may be something to give that there was not.
    pub fn expire(&mut self, now: Instant) -> bool {
        if self.nearest.is_none_or(|nearest| nearest > now) {
            return false;
        }
        let was_full = self.room() <= 0;
        let most = self.limits.deliveries;
        let mut is_free = false;
        self.nearest = None;
        for run in self.runs.values_mut() {
            let Standing::Acquired { until, .. } = run.standing else { continue };
            if until <= now {
                run.standing = released(run.deliveries, most);
                is_free |= run.standing == Standing::Available;
                self.dirty = true;
            } else {
                self.nearest = Some(self.nearest.map_or(until, |nearest| nearest.min(until)));
            }
        }
        self.tidy();
        is_free || was_full && self.room() > 0
    }

    /// A member gives back all that it has. It may not have seen it: that does not count as a delivery.
    pub fn give_back(&mut self, member: &str) -> bool {
        let mut is_free = false;
        for run in self.runs.values_mut() {
            if matches!(&run.standing, Standing::Acquired { by, .. } if **by == *member) {
                run.standing = Standing::Available;
                run.deliveries = (run.deliveries - 1).max(0);
                is_free = true;
            }
        }
        self.dirty |= is_free;
        self.tidy();
        is_free
    }

    /// What the log does not hold any more is done with, whoever has it.
    pub fn trim(&mut self, log_start: i64) {
        if log_start <= self.start {
            return;
        }
        self.split(log_start);
        self.runs = self.runs.split_off(&log_start);
        self.start = log_start;
        self.end = self.end.max(log_start);
        self.dirty = true;
        self.tidy();
    }

    /// Changes the runs from `first` to `last`; true where there are some.
    fn change(&mut self, first: i64, last: i64, mut change: impl FnMut(&mut Run)) -> bool {
        self.split(first);
        self.split(last.saturating_add(1));
        let mut any = false;
        for (_, run) in self.runs.range_mut(first..=last) {
            change(run);
            any = true;
        }
        any
    }

    /// Lets a run begin there.
    fn split(&mut self, at: i64) {
        let Some((first, run)) = self.runs.range_mut(..at).next_back() else { return };
        if run.last < at || *first == at {
            return;
        }
        let behind = Run { last: run.last, ..run.clone() };
        run.last = at - 1;
        self.runs.insert(at, behind);
    }

    /// Moves the start over what is done with, and joins neighbours that are alike.
    fn tidy(&mut self) {
        while let Some(first) = self.runs.first_entry()
            && first.get().standing.is_over()
        {
            self.start = first.remove().last + 1;
            self.dirty = true;
        }
        let mut before: Option<i64> = None;
        let firsts: Vec<i64> = self.runs.keys().copied().collect();
        for at in firsts {
            let alike = before.and_then(|before| self.runs.get(&before)).zip(self.runs.get(&at)).is_some_and(
                |(a, b)| {
                    let counts = a.standing.is_over() || a.deliveries == b.deliveries;
                    a.standing == b.standing && counts
                },
            );
            if let Some(last) = self.runs.get(&at).map(|run| run.last).filter(|_| alike)
                && let Some(run) = before.and_then(|before| self.runs.get_mut(&before))
            {
                run.last = last;
                self.runs.remove(&at);
            } else {
                before = Some(at);
            }
        }
    }
}

/// What is given back is free, unless it was given as often as may be.
fn released(deliveries: i16, most: i16) -> Standing {
    if deliveries >= most { Standing::Archived } else { Standing::Available }
}

fn add(given: &mut Vec<Given>, more: Given) {
    match given.last_mut() {
        Some(last) if last.last + 1 == more.first && last.deliveries == more.deliveries => {
            last.last = more.last;
        }
        _ => given.push(more),
    }
}
