//! ShareFetch: records that are free, locked for who asks; or a wait for some.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::BytesMut;
use candor_log::{Committed, ReadError, Topic};
use candor_model::{Offset, Partition};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::share_fetch_response as told;
use kafka_protocol::messages::{ShareFetchRequest, ShareFetchResponse};
use tokio::time::Instant;

use super::acknowledge::{Batch, Said, Taken, read};
use super::session::{CLOSING, OPENING};
use super::{Asking, Place, Shares, by_topic, records};
use crate::caller::Caller;
use crate::data::partition;
use crate::groups::{Given, Wish};
use crate::wire::AnswerRoom;

/// The longest that a fetch waits, whatever it asks.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// An answer's records at most, bytes, whatever a request asks.
const BYTES_MAX: usize = 64 << 20;

/// What is read of the log at once, bytes: a member that asks for few small records does not wait for many.
const READ_BYTES: usize = 1 << 20;

/// How often a partition is read for one answer.
const READS_MAX: usize = 64;

/// What version 2 of the request says beside version 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Newer {
    /// `ShareAcquireMode` is 1: no more records than asked for, though a batch is cut for it (KIP-1206).
    pub exactly: bool,
    /// Renewals are among what is said of records, and nothing is fetched (KIP-1222).
    pub renews: bool,
}

/// What a request asks for.
#[derive(Clone, Copy)]
struct Wanted {
    bytes: usize,
    records: i64,
    exactly: bool,
}

/// What is given of one partition.
#[derive(Default)]
struct Found {
    records: BytesMut,
    given: Vec<Given>,
}

/// What one look found.
#[derive(Default)]
struct Gathered {
    found: BTreeMap<Place, Result<Found, ResponseError>>,
    /// Where more may come.
    seen: Vec<(Topic, Partition, Offset)>,
}

impl Gathered {
    /// There is something to answer.
    fn is_final(&self) -> bool {
        self.found.values().any(|found| found.as_ref().map_or(true, |found| !found.given.is_empty()))
    }
}

impl Shares {
    /// ShareFetch, 1 and 2. Its records hold room until they are sent.
    pub(crate) async fn fetch(
        &self,
        caller: &Caller,
        request: ShareFetchRequest,
        newer: Newer,
    ) -> (ShareFetchResponse, Option<AnswerRoom>) {
        let refused = |error: ResponseError| ShareFetchResponse::default().with_error_code(error.code());
        let asking = match self.asking(caller, request.group_id.as_ref(), request.member_id.as_ref()) {
            Ok(asking) => asking,
            Err(error) => return (refused(error), None),
        };
        let (response, room) = match self.fetch_for(&asking, &request, newer).await {
            Ok(answered) => answered,
            Err(error) => (refused(error), None),
        };
        let lock_ms = asking.terms.lock_ms();
        (response.with_error_message(None).with_acquisition_lock_timeout_ms(lock_ms), room)
    }

    async fn fetch_for(
        &self,
        asking: &Asking<'_>,
        request: &ShareFetchRequest,
        newer: Newer,
    ) -> Result<(ShareFetchResponse, Option<AnswerRoom>), ResponseError> {
        let (places, said) = named(request, newer.renews);
        let asks_for_some = [request.max_bytes, request.min_bytes, request.max_records, request.max_wait_ms]
            .iter()
            .any(|n| *n != 0);
        if newer.renews && (asks_for_some || said.len() < places.len()) {
            return Err(ResponseError::InvalidRequest);
        }
        let (sessions, epoch) = (&self.inner.sessions, request.share_session_epoch);
        let (project, group, member) = (asking.project, asking.group, &asking.member);
        let read = match epoch {
            OPENING if !said.is_empty() => return Err(ResponseError::InvalidRequest),
            OPENING => {
                sessions.open(project, group, member, places.clone())?;
                places.into_iter().collect()
            }
            CLOSING => {
                sessions.close(project, group, member)?;
                Vec::new()
            }
            _ => {
                let mut less = BTreeSet::new();
                for topic in &request.forgotten_topics_data {
                    less.extend(topic.partitions.iter().map(|index| (topic.topic_id.into_bytes(), *index)));
                }
                sessions.go_on(project, group, member, epoch, places, &less)?
            }
        };
        let taken = self.take(asking, said).await;
        if epoch == CLOSING {
            self.give_back(asking).await;
        }
        let (found, room) = match newer.renews || epoch == CLOSING {
            true => (BTreeMap::new(), None),
            false => self.wait_for_some(asking, request, newer, &read).await?,
        };
        Ok((answer(found, taken, epoch == OPENING, request.batch_size), room))
    }

    /// Looks for records until there are some, or the wait is over.
    async fn wait_for_some(
        &self,
        asking: &Asking<'_>,
        request: &ShareFetchRequest,
        newer: Newer,
        places: &[Place],
    ) -> Result<(BTreeMap<Place, Result<Found, ResponseError>>, Option<AnswerRoom>), ResponseError> {
        let wait = Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0)).min(WAIT_MAX);
        let deadline = Instant::now() + wait;
        let wanted = Wanted {
            bytes: usize::try_from(request.max_bytes).unwrap_or(0).min(BYTES_MAX),
            records: i64::from(request.max_records),
            exactly: newer.exactly,
        };
        // Each request begins with another partition, so that none is always the last.
        let turn = usize::try_from(request.share_session_epoch).unwrap_or(0) % places.len().max(1);
        let (behind, ahead) = places.split_at(turn.min(places.len()));
        let places: Vec<Place> = ahead.iter().chain(behind).copied().collect();
        let mut freed =
            self.inner.groups.with_share(asking.project, asking.group, |share, _| share.freed())?;
        loop {
            freed.borrow_and_update();
            // Without room in time nothing is given, and it is asked for again.
            let mut room = self.inner.answers.take(wanted.bytes, deadline).await;
            let bytes = room.as_ref().map_or(0, |room| room.bytes().min(wanted.bytes));
            let gathered = self.gather(asking, &Wanted { bytes, ..wanted }, &places).await;
            if let Some(room) = &mut room {
                room.shrink(gathered.found.values().flatten().map(|found| found.records.len()).sum());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if gathered.is_final() || left.is_zero() || places.is_empty() || wanted.records <= 0 {
                return Ok((gathered.found, room));
            }
            drop(room);
            tokio::select! {
                () = self.inner.log.wait_any(&gathered.seen, left), if !gathered.seen.is_empty() => {}
                changed = freed.changed() => if changed.is_err() {
                    // The group is gone.
                    return Ok((gathered.found, None));
                },
                () = tokio::time::sleep(left) => {}
            }
        }
    }

    async fn gather(&self, asking: &Asking<'_>, wanted: &Wanted, places: &[Place]) -> Gathered {
        let mut gathered = Gathered::default();
        let (mut bytes, mut records) = (0, 0);
        for place in places {
            let left = Wanted {
                bytes: wanted.bytes.saturating_sub(bytes),
                records: wanted.records - records,
                exactly: wanted.exactly,
            };
            // Who takes nothing gets nothing, where a Fetch would give one batch that is larger than what is wanted.
            if left.records <= 0 || left.bytes == 0 {
                break;
            }
            let found = self.look(asking, &left, *place, &mut gathered.seen).await;
            if let Ok(found) = &found {
                bytes += found.records.len();
                records += found.given.iter().map(|given| given.last - given.first + 1).sum::<i64>();
            }
            gathered.found.insert(*place, found);
        }
        gathered
    }

    /// Takes what is free in a partition.
    async fn look(
        &self,
        asking: &Asking<'_>,
        wanted: &Wanted,
        place: Place,
        seen: &mut Vec<(Topic, Partition, Offset)>,
    ) -> Result<Found, ResponseError> {
        let Asking { project, group, member, terms, .. } = asking;
        let view = self.topic(asking, place.0)?;
        let partition = partition(&view, place.1)?;
        let topic = Topic { project: *project, name: view.in_log.clone() };
        let log = &self.inner.log;
        self.begin(asking, &topic, partition, place).await?;
        let mut found = Found::default();
        let mut records = wanted.records;
        let mut before = None;
        for _ in 0..READS_MAX {
            let start = i64::try_from(log.log_start(&topic, partition).0).unwrap_or(i64::MAX);
            let end = log.high_watermark(&topic, partition);
            let next = self.inner.groups.with_share(*project, group, |share, now| {
                let may_grow = share.may_grow();
                let next = share.part(place, |part| {
                    part.trim(start);
                    part.expire(now);
                    part.next(may_grow)
                });
                next.flatten()
            })?;
            let until = match terms.committed_only {
                true => log.last_stable_offset(&topic, partition),
                false => end,
            };
            let Some(from) = next.and_then(|next| u64::try_from(next).ok()) else { break };
            // What is there and cannot be given is no reason to look again at once.
            if from >= until.0 || before.replace(from) == Some(from) {
                seen.push((topic.clone(), partition, end));
                break;
            }
            let bytes = wanted.bytes.saturating_sub(found.records.len());
            if records <= 0 || bytes == 0 && !found.given.is_empty() {
                break;
            }
            let batches =
                self.read(&topic, partition, Offset(from), until, bytes.clamp(1, READ_BYTES)).await?;
            if batches.is_empty() {
                break;
            }
            let aborted = if terms.committed_only { log.aborted_among(&batches) } else { Vec::new() };
            let spans = records::spans(&batches, &aborted).map_err(|_| ResponseError::CorruptMessage)?;
            let from = i64::try_from(from).unwrap_or(i64::MAX);
            let given = self.inner.groups.with_share(*project, group, |share, now| {
                let until = now + terms.lock;
                let may_grow = share.may_grow();
                let wish = Wish { member, until, records, exactly: wanted.exactly, may_grow };
                let given = share.part(place, |part| part.acquire(&wish, from, &spans)).unwrap_or_default();
                if !given.is_empty() {
                    share.locked_until(until);
                }
                given
            })?;
            records -= given.iter().map(|given| given.last - given.first + 1).sum::<i64>();
            records::joined(&batches, &given, &mut found.records)
                .map_err(|_| ResponseError::CorruptMessage)?;
            found.given.extend(given);
        }
        Ok(found)
    }

    /// Begins to read a partition, where that has not been done: from where is stored before anything is given.
    async fn begin(
        &self,
        asking: &Asking<'_>,
        topic: &Topic,
        partition: Partition,
        place: Place,
    ) -> Result<(), ResponseError> {
        let log = &self.inner.log;
        let (project, group) = (asking.project, asking.group);
        let is_new = self.inner.groups.with_share(project, group, |share, _| {
            if let Some(is_new) = share.part(place, |part| part.is_new) {
                return Ok(is_new);
            }
            let start = match asking.terms.from_start {
                true => log.log_start(topic, partition),
                false => log.high_watermark(topic, partition),
            };
            share.begin(place, i64::try_from(start.0).unwrap_or(i64::MAX))?;
            Ok(true)
        })??;
        if !is_new {
            return Ok(());
        }
        if !self.inner.groups.save_share(project, group).await {
            return Err(ResponseError::KafkaStorageError);
        }
        self.inner.groups.with_share(project, group, |share, _| {
            share.part(place, |part| part.is_new = false);
        })
    }

    async fn read(
        &self,
        topic: &Topic,
        partition: Partition,
        from: Offset,
        until: Offset,
        bytes: usize,
    ) -> Result<Vec<Committed>, ResponseError> {
        match self.inner.log.read(topic, partition, from, bytes).await {
            Ok(mut batches) => {
                batches.retain(|batch| batch.base < until);
                Ok(batches)
            }
            // It was trimmed meanwhile: the next look begins behind that.
            Err(ReadError::OutOfRange { .. }) => Ok(Vec::new()),
            Err(ReadError::Storage(error)) => {
                tracing::warn!(error = &*error as &dyn std::error::Error, "a share fetch could not be read");
                Err(ResponseError::KafkaStorageError)
            }
        }
    }
}

/// The partitions that a request names, and what it says of their records.
fn named(request: &ShareFetchRequest, may_renew: bool) -> (BTreeSet<Place>, Vec<(Place, Said)>) {
    let (mut places, mut all) = (BTreeSet::new(), Vec::new());
    for topic in &request.topics {
        for partition in &topic.partitions {
            let place = (topic.topic_id.into_bytes(), partition.partition_index);
            places.insert(place);
            if !partition.acknowledgement_batches.is_empty() {
                let batches = partition.acknowledgement_batches.iter().map(Batch::from);
                all.push((place, read(batches, may_renew)));
            }
        }
    }
    (places, all)
}

/// The answer: what was found, and what came of what was said. A session's first answer names all its partitions.
fn answer(
    found: BTreeMap<Place, Result<Found, ResponseError>>,
    mut taken: Taken,
    names_all: bool,
    batch_size: i32,
) -> ShareFetchResponse {
    let mut partitions: BTreeMap<Place, told::PartitionData> = BTreeMap::new();
    let nobody = || told::LeaderIdAndEpoch::default().with_leader_id(-1).with_leader_epoch(-1);
    let empty = |index| {
        told::PartitionData::default()
            .with_partition_index(index)
            .with_error_message(None)
            .with_acknowledge_error_message(None)
            .with_current_leader(nobody())
    };
    for (place, found) in found {
        let said = taken.remove(&place);
        let says_nothing = found.as_ref().is_ok_and(|found| found.given.is_empty());
        if says_nothing && said.is_none() && !names_all {
            continue;
        }
        let mut data = empty(place.1).with_acknowledge_error_code(code(said));
        match found {
            Ok(found) => {
                data.records = Some(found.records.freeze());
                data.acquired_records = split(&found.given, batch_size);
            }
            Err(error) => data.error_code = error.code(),
        }
        partitions.insert(place, data);
    }
    for (place, said) in taken {
        partitions.insert(place, empty(place.1).with_acknowledge_error_code(code(Some(said))));
    }
    let topics = by_topic(partitions).into_iter().map(|(topic, partitions)| {
        told::ShareFetchableTopicResponse::default()
            .with_topic_id(uuid::Uuid::from_bytes(topic))
            .with_partitions(partitions.into_iter().map(|(_, data)| data).collect())
    });
    ShareFetchResponse::default().with_responses(topics.collect())
}

fn code(said: Option<Result<(), ResponseError>>) -> i16 {
    said.and_then(Result::err).map_or(0, |error| error.code())
}

/// What was given, in pieces of the size in which the member likes to acknowledge.
fn split(given: &[Given], batch_size: i32) -> Vec<told::AcquiredRecords> {
    let most = if batch_size > 0 { i64::from(batch_size) } else { i64::MAX };
    let mut all = Vec::new();
    for one in given {
        let mut first = one.first;
        while first <= one.last {
            let last = one.last.min(first.saturating_add(most - 1));
            all.push(
                told::AcquiredRecords::default()
                    .with_first_offset(first)
                    .with_last_offset(last)
                    .with_delivery_count(one.deliveries),
            );
            first = last + 1;
        }
    }
    all
}
