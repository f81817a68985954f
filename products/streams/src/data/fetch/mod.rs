//! Fetch (KIP-74, KIP-98, KIP-227, KIP-516): batches from the log, or a wait for some.
//!
//! Every partition of a request is looked at before it waits, and it waits once, for any of them. Records are answered
//! from where they lie: in the log's cache, or where they were read to.

mod asked;
pub(crate) mod message;
mod session;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use candor_log::{Ends, Held, Log, ReadError, Topic};
use candor_model::{Offset, Partition, ProjectId, Random};
use candor_records::Header;
use kafka_protocol::ResponseError;
use tokio::sync::watch;
use tokio::time::Instant;

use super::signals::Signals;
use super::{Place, check_epoch};
use crate::directory::TopicDirectory;
use crate::reads::ReadCounts;
use crate::rights::Rights;
use crate::wire::{AnswerRoom, Answers};
use asked::{Asked, Next};
use message::{FetchAnswer, FetchRequest, Records, ToldPartition};
use session::{Sessions, Turn};

/// The longest that a fetch waits, whatever it asks.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// An answer's records at most, bytes, whatever a request asks.
const BYTES_MAX: usize = 64 << 20;

/// Records of all answers together that are read or on their way, bytes. Most lie in the log's cache as well.
const ANSWERS_BYTES: usize = 256 << 20;

/// Answers fetches. Cheap to clone.
#[derive(Clone)]
pub struct Fetch {
    log: Log,
    signals: Signals,
    directory: Arc<dyn TopicDirectory>,
    /// Ticks when topics change.
    changes: watch::Receiver<u64>,
    sessions: Arc<Sessions>,
    answers: Answers,
    reads: ReadCounts,
}

/// What a request bounds.
#[derive(Clone, Copy)]
struct Terms {
    bytes_max: usize,
    bytes_min: usize,
    committed_only: bool,
    deadline: Instant,
}

/// What is read for one answer.
struct Gathered {
    partitions: Vec<ToldPartition>,
    bytes: usize,
    /// A batch did not fit into what was left: nothing more is read.
    is_full: bool,
    /// Something that does not get better by waiting.
    is_final: bool,
    /// What to wait for: partitions, and what was seen of them.
    seen: Vec<(Held, Offset)>,
}

fn size(said: i32) -> usize {
    usize::try_from(said).unwrap_or(0)
}

impl Fetch {
    /// Over a log and its topics.
    pub(crate) fn new(
        log: Log,
        signals: Signals,
        directory: Arc<dyn TopicDirectory>,
        random: Arc<dyn Random>,
    ) -> Fetch {
        let changes = directory.changes();
        let (sessions, answers) = (Arc::new(Sessions::new(random)), Answers::new(ANSWERS_BYTES));
        Fetch { log, signals, directory, changes, sessions, answers, reads: ReadCounts::default() }
    }

    /// Lets go of a deleted project's sessions.
    pub(crate) fn forget(&self, project: ProjectId) {
        self.sessions.forget(project);
    }

    /// Who read what.
    pub(crate) fn reads(&self) -> &ReadCounts {
        &self.reads
    }

    /// Counts what is about persons in what is given.
    fn count(&self, rights: &Rights, asked: &Asked, told: &[ToldPartition]) {
        for told in told {
            let (records, subjects) = told.records.personal();
            if records > 0
                && let Some(topic) = asked.topic(told.topic)
            {
                self.reads.add(rights.caller(), topic, records, subjects);
            }
        }
    }

    /// Answers a request.
    pub(crate) async fn answer(&self, rights: &Rights, request: FetchRequest) -> FetchAnswer {
        let (project, user) = (rights.project(), rights.user());
        let wait = Duration::from_millis(u64::try_from(request.wait_ms).unwrap_or(0)).min(WAIT_MAX);
        let bytes_max = size(request.bytes_max).min(BYTES_MAX);
        let terms = Terms {
            bytes_max,
            bytes_min: size(request.bytes_min).min(bytes_max),
            committed_only: request.committed_only,
            deadline: Instant::now() + wait,
        };
        match self.sessions.turn(project, user, &request) {
            Err(error) => FetchAnswer { error: error.code(), ..FetchAnswer::default() },
            Ok(Turn::Goes(session_id, mut session)) => {
                let (told, room) = self.read_all(rights, &mut session.asked, terms).await;
                self.count(rights, &session.asked, &told);
                let topics = session.asked.keys();
                FetchAnswer { error: 0, session_id, topics, partitions: session.settle(told), room }
            }
            Ok(turn) => {
                let by_id = request.by_id;
                let mut asked = Asked::of(&request);
                // What it said of what it reads is in there now.
                drop(request);
                let (partitions, room) = self.read_all(rights, &mut asked, terms).await;
                self.count(rights, &asked, &partitions);
                let topics = asked.keys();
                let session_id = match turn {
                    Turn::Opens => {
                        asked.settle(&partitions);
                        self.sessions.open(project, user, by_id, asked)
                    }
                    _ => 0,
                };
                FetchAnswer { error: 0, session_id, topics, partitions, room }
            }
        }
    }

    /// Reads all that is asked for, once there is enough, or it is time.
    async fn read_all(
        &self,
        rights: &Rights,
        asked: &mut Asked,
        terms: Terms,
    ) -> (Vec<ToldPartition>, Option<Arc<AnswerRoom>>) {
        loop {
            let tick = *self.changes.borrow();
            asked.look_up(&*self.directory, &self.log, rights, tick);
            // Without room in time the answer has no records, and they are asked for again.
            let mut room = self.answers.take(terms.bytes_max.max(1), terms.deadline).await;
            let bytes_max = room.as_ref().map_or(0, |room| room.bytes().min(terms.bytes_max));
            let gathered = self.gather(asked, Terms { bytes_max, ..terms }, room.is_some()).await;
            if let Some(room) = &mut room {
                room.shrink(gathered.bytes);
            }
            let left = terms.deadline.saturating_duration_since(Instant::now());
            let is_enough = gathered.bytes >= terms.bytes_min || gathered.is_final;
            // What is less than all that was asked for may be all that there is room for.
            let is_all = gathered.is_full && bytes_max < terms.bytes_max;
            if is_enough || is_all || left.is_zero() || gathered.seen.is_empty() {
                return (gathered.partitions, room.map(Arc::new));
            }
            drop((gathered.partitions, room));
            self.log.wait_held(gathered.seen, left).await;
        }
    }

    async fn gather(&self, asked: &Asked, terms: Terms, takes_any: bool) -> Gathered {
        let mut gathered = Gathered {
            partitions: Vec::with_capacity(asked.len()),
            bytes: 0,
            is_full: false,
            is_final: false,
            seen: Vec::with_capacity(asked.len()),
        };
        let held = asked.each().filter_map(|next| next.place.ok().map(|(held, _)| held));
        let mut ends = self.log.ends(held).into_iter();
        for Next { asked, place } in asked.each() {
            let mut told = ToldPartition {
                topic: asked.topic,
                index: asked.index,
                error: 0,
                high_watermark: -1,
                last_stable: -1,
                log_start: -1,
                aborted: None,
                records: Records::default(),
            };
            let ends = if place.is_ok() { ends.next() } else { None };
            let whole = if gathered.is_full { 0 } else { terms.bytes_max.saturating_sub(gathered.bytes) };
            let left = whole.min(size(asked.bytes_max));
            // The first batch of an answer is given whatever its size, else a reader would never get past it.
            let room = Room { bytes: left, takes_any: takes_any && gathered.bytes == 0 };
            let read = match (place, ends) {
                (Ok((held, topic)), Some(ends)) => {
                    gathered.seen.push((held, ends.high_watermark));
                    told.high_watermark = ends.high_watermark.0 as i64;
                    told.last_stable = ends.last_stable.0 as i64;
                    told.log_start = ends.start.0 as i64;
                    told.aborted = terms.committed_only.then(Vec::new);
                    let until = if terms.committed_only { ends.last_stable } else { ends.high_watermark };
                    match check_epoch(asked.epoch) {
                        Ok(()) => self.read((held, topic), (asked.from, until), ends, room, &mut told).await,
                        Err(error) => Err(error),
                    }
                }
                (place, _) => Err(place.err().unwrap_or(ResponseError::UnknownServerError)),
            };
            match read {
                Ok((records, fits)) => {
                    // What a partition itself may have says nothing of the others.
                    gathered.is_full |= !fits && left == whole;
                    gathered.bytes += records.bytes();
                    told.records = records;
                }
                Err(error) => {
                    gathered.is_final = true;
                    told.error = error.code();
                }
            }
            gathered.partitions.push(told);
        }
        gathered
    }

    /// Reads a partition. False where a batch was left out for want of room.
    async fn read(
        &self,
        (held, topic): (Held, &Topic),
        (from, until): (i64, Offset),
        ends: Ends,
        room: Room,
        told: &mut ToldPartition,
    ) -> Result<(Records, bool), ResponseError> {
        let mut records = Records::default();
        let from = Offset(u64::try_from(from).map_err(|_| ResponseError::OffsetOutOfRange)?);
        if from < ends.start || from > ends.high_watermark {
            return Err(ResponseError::OffsetOutOfRange);
        }
        if from >= until || (room.bytes == 0 && !room.takes_any) {
            return Ok((records, true));
        }
        if let Some(signal) = topic.name.signal() {
            let partition = Partition(u32::try_from(told.index).unwrap_or(0));
            let place = Place { topic: topic.clone(), partition };
            let batches = self.signals.read(&place, signal, from, room.bytes, room.takes_any).await;
            let batches = batches.map_err(|error| error.told("a signal could not be read"))?;
            for batch in batches {
                let count =
                    Header::parse(&batch).map_or(0, |header| u64::try_from(header.records).unwrap_or(0));
                records.note_personal(count, None);
                records.push(batch);
            }
            return Ok((records, true));
        }
        let mut batches = match self.log.read_held(held, from, room.bytes.max(1), room.takes_any).await {
            Ok(batches) => batches,
            Err(ReadError::OutOfRange { .. }) => return Err(ResponseError::OffsetOutOfRange),
            Err(ReadError::Storage(error)) => {
                tracing::warn!(error = &*error as &dyn std::error::Error, "a fetch could not be read");
                return Err(ResponseError::KafkaStorageError);
            }
        };
        if batches.is_empty() {
            // Some are before the end: the first did not fit.
            return Ok((records, room.takes_any));
        }
        batches.retain(|batch| batch.base < until);
        if told.aborted.is_some() {
            let aborted = self.log.aborted_in(held, &batches).into_iter();
            told.aborted = Some(aborted.map(|one| (one.producer_id, one.first_offset.0 as i64)).collect());
            // Looked at behind them: nothing that was read was deleted before they were found.
            still_there(from, self.log.ends([held]).first())?;
        }
        for batch in batches {
            let takes_any = room.takes_any && records.bytes() == 0;
            if records.bytes() + batch.batch.len() > room.bytes && !takes_any {
                return Ok((records, false));
            }
            if !batch.subjects.is_empty() {
                records.note_personal(u64::from(batch.count), Some(batch.subjects));
            }
            records.push_at(batch.base, batch.batch);
        }
        Ok((records, true))
    }
}

/// With records that are deleted goes what is known of their aborted transactions: who read them before may not tell
/// them as committed.
fn still_there(from: Offset, ends: Option<&Ends>) -> Result<(), ResponseError> {
    match ends {
        Some(ends) if ends.is_deleted => Err(ResponseError::UnknownTopicOrPartition),
        Some(ends) if from >= ends.start => Ok(()),
        _ => Err(ResponseError::OffsetOutOfRange),
    }
}

/// Room that is left in an answer for a partition.
#[derive(Clone, Copy)]
struct Room {
    bytes: usize,
    /// One batch is taken whatever its size.
    takes_any: bool,
}
