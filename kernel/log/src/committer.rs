//! Commits groups of appends: offsets and duplicates are settled, the group is written and synced, then it is
//! shown, then acknowledged. There is one committer, on the journal's thread.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use candor_model::{Clock, Offset, Timestamp};

use crate::batch::{Batch, Placed, encode, encoded_length};
use crate::journal::{Body, JournalWriter, WriteError, Written};
use crate::plan::{Plan, Planner, Write};
use crate::queue::{Answers, Request};
use crate::shared::Shared;
use crate::state::PartitionKey;
use crate::wire::Put;
use crate::{AppendError, Committed, FailStop};

/// The kind of a journal record that holds appended batches.
pub(crate) const KIND_APPEND: u8 = 1;

/// What a frame takes beside the stored forms in it.
const FRAME_BYTES_MAX: usize = 96;

pub(crate) struct Committer {
    pub shared: Arc<Shared>,
    pub writer: JournalWriter,
    clock: Arc<dyn Clock>,
    stop: Arc<dyn FailStop>,
    failed: bool,
    /// When the first batch of the open journal file came.
    active_since: Timestamp,
}

/// Writes the body of one frame into a buffer.
type WriteBody<'a> = Box<dyn Fn(&mut Vec<u8>) + 'a>;

impl Committer {
    pub fn new(
        shared: Arc<Shared>,
        writer: JournalWriter,
        clock: Arc<dyn Clock>,
        stop: Arc<dyn FailStop>,
    ) -> Committer {
        let active_since = clock.now();
        Committer { shared, writer, clock, stop, failed: false, active_since }
    }

    /// True once the disk failed: nothing is taken any more.
    pub fn has_failed(&self) -> bool {
        self.failed
    }

    /// Ends the open journal file once its first batch is older than `age_us`.
    pub fn seal_if_older(&mut self, age_us: i64) {
        let age = self.clock.now().0.saturating_sub(self.active_since.0);
        if self.writer.active_bytes() > 0 && age >= age_us {
            self.seal_file();
        }
    }

    /// Ends the open journal file; the next group begins another.
    pub fn seal_file(&mut self) {
        self.writer.seal_file();
        let mut state = self.shared.state.write();
        state.open_journal = None;
        state.changed = true;
    }

    /// Stops the process, as nothing is known any more about what the disk holds.
    pub fn fail(&mut self, why: &str) {
        self.failed = true;
        self.stop.stop(why);
    }

    /// Commits a group and answers every request of it.
    pub fn commit(&mut self, group: Vec<Request>) {
        if self.failed {
            for request in group {
                let _ = request.reply.send(Err(AppendError::Unavailable));
            }
            return;
        }
        let mut replies = Vec::with_capacity(group.len());
        let mut requests = Vec::with_capacity(group.len());
        for request in group {
            replies.push(request.reply);
            requests.push((request.each, request.batches));
        }
        match self.write(requests) {
            Ok(answers) => {
                for (reply, answers) in replies.into_iter().zip(answers) {
                    let _ = reply.send(answers);
                }
            }
            Err(error) => {
                for reply in replies {
                    let _ = reply.send(Err(error.clone()));
                }
            }
        }
    }

    fn write(&mut self, requests: Vec<(bool, Vec<Batch>)>) -> Result<Vec<Answers>, AppendError> {
        let ingested_at = self.clock.now();
        let plans = self.plan(requests, ingested_at);
        let Some(written) = self.write_journal(&plans, ingested_at)? else {
            // Only retries of what is stored already, and what was refused.
            return Ok(plans.into_iter().map(|plan| plan.answers).collect());
        };
        let mut answers = Vec::with_capacity(plans.len());
        let (mut keys, mut batches) = (Vec::new(), Vec::new());
        let mut places = Vec::new();
        let mut frames = written.frames.iter();
        for plan in plans {
            answers.push(plan.answers);
            let mut writes = plan.writes.into_iter().peekable();
            while writes.peek().is_some() {
                let Some(frame) = frames.next() else { break };
                for (slot, write) in (0..).zip(writes.by_ref().take(plan.in_frame)) {
                    places.push((*frame, slot, encoded_length(&write.batch) as u32));
                    keys.push(write.partition);
                    batches.push(write.batch.committed(Offset(write.base), ingested_at));
                }
            }
        }
        self.publish(&keys, &batches, &places, written.file);
        if self.failed { Err(AppendError::Unavailable) } else { Ok(answers) }
    }

    fn plan(&self, requests: Vec<(bool, Vec<Batch>)>, now: Timestamp) -> Vec<Plan> {
        let mut state = self.shared.state.write();
        let mut planner = Planner::new(&mut state, now);
        requests.into_iter().map(|(each, batches)| planner.plan(each, batches)).collect()
    }

    /// Writes and syncs the frames of all appends that have something to write.
    fn write_journal(
        &mut self,
        plans: &[Plan],
        ingested_at: Timestamp,
    ) -> Result<Option<Written>, AppendError> {
        let to_write = plans.iter().flat_map(|plan| plan.writes.chunks(plan.in_frame));
        let mut weight = 0;
        let mut bodies = Vec::<WriteBody<'_>>::new();
        for writes in to_write {
            weight += FRAME_BYTES_MAX;
            weight += writes.iter().map(|write| encoded_length(&write.batch)).sum::<usize>();
            bodies.push(Box::new(move |buffer| encode_body(writes, ingested_at, buffer)));
        }
        if bodies.is_empty() {
            return Ok(None);
        }
        let bodies: Vec<Body<'_>> = bodies.iter().map(|body| &**body as Body<'_>).collect();
        match self.writer.write(&bodies, weight) {
            Ok(written) => Ok(Some(written)),
            Err(WriteError::Full) => Err(AppendError::Full),
            Err(WriteError::Failed(error)) => {
                tracing::error!(error = &error as &dyn std::error::Error, "the journal failed");
                self.fail("the journal could not be written");
                Err(AppendError::Unavailable)
            }
        }
    }

    fn publish(
        &mut self,
        keys: &[PartitionKey],
        batches: &[Committed],
        places: &[(crate::journal::FrameAt, u32, u32)],
        file: Arc<crate::journal::JournalFile>,
    ) {
        let mut follows = true;
        let number = file.head.number;
        let mut rolled = false;
        let shown = catch_unwind(AssertUnwindSafe(|| {
            self.shared.publish(keys, batches, |state| {
                rolled = state.open_journal != Some(number);
                state.open_journal = Some(number);
                state.journals.entry(number).or_insert(file);
                for (committed, (frame, slot, bytes)) in batches.iter().zip(places) {
                    follows &= state.apply(committed, *frame, *slot, *bytes);
                }
            });
        }));
        if rolled {
            self.active_since = batches.first().map_or(self.active_since, |first| first.ingested_at);
            self.shared.rolled.notify_one();
        }
        if shown.is_err() || !follows {
            // A follower that missed a batch would serve wrong answers from then on; a restart mends it.
            self.fail("a committed batch could not be shown");
        }
    }
}

fn encode_body(writes: &[Write], ingested_at: Timestamp, buffer: &mut Vec<u8>) {
    buffer.put_u8(KIND_APPEND);
    buffer.put_u32(writes.len() as u32);
    for write in writes {
        let start = buffer.len();
        encode(&write.batch, Placed { base: Offset(write.base), ingested_at }, buffer);
        debug_assert_eq!(buffer.len() - start, encoded_length(&write.batch));
    }
}
