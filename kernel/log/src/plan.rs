//! The plan of a group: offsets, retries, and the numbers of idempotent producers are settled before anything is
//! written. It changes nothing of what the log knows, as the write may fail; batches of a group see each other.

use std::collections::HashMap;

use candor_model::{Offset, RequestId, Timestamp};
use candor_records::Header;

use crate::batch::Batch;
use crate::mutant::{Mutant, planted};
use crate::producers::{Producer, Rejected, Verdict, check};
use crate::queue::Answers;
use crate::state::{PartitionKey, State};
use crate::streams::header_of;
use crate::window::{Stored, nth_id};
use crate::{AppendError, Appended};

/// A batch that is to be written.
pub(crate) struct Write {
    pub partition: PartitionKey,
    pub base: u64,
    pub batch: Batch,
}

/// What becomes of one append.
pub(crate) struct Plan {
    pub answers: Answers,
    pub writes: Vec<Write>,
    /// Batches of one frame: all of those that are written all or none. Each that stands by itself has a frame of its
    /// own, as a reader of one opens the whole frame, and those of many partitions may come at once.
    pub in_frame: usize,
}

/// What a group settled so far.
#[derive(Default, Clone)]
struct Settled {
    ends: HashMap<PartitionKey, u64>,
    requests: HashMap<(PartitionKey, RequestId), Stored>,
    producers: HashMap<(PartitionKey, i64), Producer>,
}

/// Settles the appends of one group.
pub(crate) struct Planner<'a> {
    state: &'a mut State,
    now: Timestamp,
    settled: Settled,
}

impl Planner<'_> {
    /// For a group that comes at `now`.
    pub fn new(state: &mut State, now: Timestamp) -> Planner<'_> {
        Planner { state, now, settled: Settled::default() }
    }

    /// Settles an append. What it is answered holds once its writes are on stable storage.
    pub fn plan(&mut self, each: bool, batches: Vec<Batch>) -> Plan {
        let in_frame = if each { 1 } else { batches.len().max(1) };
        // Before anything of them is settled, as they are stored all or none.
        if !each && batches.iter().any(|batch| self.is_outdated(batch)) {
            return Plan { answers: Err(Rejected::Outdated.into()), writes: Vec::new(), in_frame };
        }
        let mut plan = Plan { answers: Ok(Vec::new()), writes: Vec::new(), in_frame };
        let may_undo = !each && batches.len() > 1 && batches.iter().any(is_stream);
        let before = may_undo.then(|| self.settled.clone());
        let mut seen: HashMap<(PartitionKey, RequestId), u32> = HashMap::new();
        let mut answers = Vec::with_capacity(batches.len());
        for batch in batches {
            match self.settle(batch, &mut seen, &mut plan.writes) {
                Err(rejected) if !each => {
                    if let Some(before) = before {
                        self.settled = before;
                    }
                    return Plan { answers: Err(rejected.into()), writes: Vec::new(), in_frame };
                }
                answer => answers.push(answer.map_err(AppendError::from)),
            }
        }
        plan.answers = Ok(answers);
        plan
    }

    fn settle(
        &mut self,
        mut batch: Batch,
        seen: &mut HashMap<(PartitionKey, RequestId), u32>,
        writes: &mut Vec<Write>,
    ) -> Result<Appended, Rejected> {
        let partition = self.state.intern(&batch.topic, batch.partition);
        if self.state.get(partition).is_some_and(|held| held.deleted) {
            return Err(Rejected::Deleted);
        }
        if self.is_outdated(&batch) {
            return Err(Rejected::Outdated);
        }
        if let Some(request) = batch.request {
            let nth = seen.entry((partition, request)).or_insert(0);
            let id = nth_id(request, *nth);
            *nth += 1;
            batch.request = Some(id);
            let stored = self.state.window.find(partition, id);
            let here = self.settled.requests.get(&(partition, id)).copied();
            let here = here.filter(|_| !planted(Mutant::SkipGroupRequests));
            if let Some(stored) = stored.or(here) {
                return Ok(appended(stored, true));
            }
        }
        let numbered = header_of(&batch.topic, &batch.batch).filter(Header::has_producer);
        let mut producer = None;
        if let Some(header) = &numbered {
            let known = self.producer(partition, header.producer_id);
            if let Verdict::Duplicate(base) = check(known.as_ref(), header)? {
                return Ok(appended(Stored { base, count: batch.count }, true));
            }
            producer = Some((known.unwrap_or_else(|| Producer::new(header)), header));
        }
        let end = self.settled.ends.entry(partition).or_insert_with(|| self.state.end(partition));
        let stored = Stored { base: *end, count: batch.count };
        if batch.count == 0 {
            return Ok(appended(stored, false));
        }
        *end += u64::from(batch.count);
        if let Some(request) = batch.request {
            self.settled.requests.insert((partition, request), stored);
        }
        if let Some((mut producer, header)) = producer {
            producer.take(header, stored.base, self.now.0);
            self.settled.producers.insert((partition, header.producer_id), producer);
        }
        writes.push(Write { partition, base: stored.base, batch });
        Ok(appended(stored, false))
    }

    /// True where the policy that it was cleared under holds no more.
    fn is_outdated(&self, batch: &Batch) -> bool {
        let is_outdated = !self.state.floors.admit(batch.topic.project, batch.epoch);
        is_outdated && !planted(Mutant::TakeOutdated)
    }

    fn producer(&self, partition: PartitionKey, id: i64) -> Option<Producer> {
        if let Some(here) = self.settled.producers.get(&(partition, id))
            && !planted(Mutant::SkipGroupProducers)
        {
            return Some(*here);
        }
        let stream = self.state.get(partition)?.stream.as_ref()?;
        stream.producer(id, self.now).copied()
    }
}

fn is_stream(batch: &Batch) -> bool {
    batch.topic.name.signal().is_none()
}

fn appended(stored: Stored, duplicate: bool) -> Appended {
    Appended { base: Offset(stored.base), count: stored.count, duplicate }
}
