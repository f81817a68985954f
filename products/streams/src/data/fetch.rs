//! Fetch (KIP-74, KIP-98, KIP-227, KIP-516): batches from the log, or a wait for some.
//!
//! Every partition of a request is looked at before it waits, and it waits once, for any of them. Sessions are not
//! kept: the answer names session 0, and a client then sends all its partitions each time.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use candor_log::{Committed, Log, ReadError};
use candor_model::{Offset, ProjectId};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchRequest};
use kafka_protocol::messages::fetch_response::{
    AbortedTransaction, FetchResponse, FetchableTopicResponse, PartitionData,
};
use tokio::time::Instant;

use super::signals::Signals;
use super::{LEADER_EPOCH, Place, check_epoch, topic};
use crate::admin::acl::Operation;
use crate::directory::{TopicDirectory, TopicView};
use crate::rights::Rights;

/// The longest that a fetch waits, whatever it asks.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// An answer's records at most, bytes, whatever a request asks.
const BYTES_MAX: usize = 64 << 20;

/// From this version on topics are named by ids.
const BY_ID: i16 = 13;

/// Answers fetches. Cheap to clone.
#[derive(Clone)]
pub struct Fetch {
    log: Log,
    signals: Signals,
    directory: Arc<dyn TopicDirectory>,
}

/// A partition that a request names, or why it cannot be read.
struct Asked {
    /// Which topic of the request.
    topic: usize,
    index: i32,
    from: i64,
    bytes_max: usize,
    place: Result<Place, ResponseError>,
}

/// What is read for one answer.
struct Gathered {
    partitions: Vec<PartitionData>,
    bytes: usize,
    /// Something that does not get better by waiting.
    is_final: bool,
}

impl Fetch {
    /// Over a log and its topics.
    pub(crate) fn new(log: Log, signals: Signals, directory: Arc<dyn TopicDirectory>) -> Fetch {
        Fetch { log, signals, directory }
    }

    /// Answers a request.
    pub(crate) async fn answer(&self, rights: &Rights, request: FetchRequest, version: i16) -> FetchResponse {
        // A session that was never given: an incremental fetch of it (KIP-227).
        if request.session_id != 0 && request.session_epoch > 0 {
            return FetchResponse::default().with_error_code(ResponseError::FetchSessionIdNotFound.code());
        }
        let committed_only = request.isolation_level == 1;
        let bytes_max = usize::try_from(request.max_bytes).unwrap_or(0).min(BYTES_MAX);
        let bytes_min = usize::try_from(request.min_bytes).unwrap_or(0).min(bytes_max);
        let wait = Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0)).min(WAIT_MAX);
        let deadline = Instant::now() + wait;
        let (asked, gathered) = loop {
            // Looked up anew each time: a topic that was deleted meanwhile has nothing to wait for.
            let asked = self.asked(rights, &request, version);
            let gathered = self.gather(&asked, bytes_max, committed_only).await;
            let left = deadline.saturating_duration_since(Instant::now());
            if gathered.bytes >= bytes_min || gathered.is_final || left.is_zero() || asked.is_empty() {
                break (asked, gathered);
            }
            self.wait(&asked, &gathered, left).await;
        };
        let mut partitions = asked.iter().map(|asked| asked.topic).zip(gathered.partitions).peekable();
        let responses = request.topics.iter().enumerate().map(|(number, of)| {
            let mut own = Vec::with_capacity(of.partitions.len());
            while let Some((_, partition)) = partitions.next_if(|(topic, _)| *topic == number) {
                own.push(partition);
            }
            let name = if version >= BY_ID { Default::default() } else { of.topic.clone() };
            FetchableTopicResponse::default().with_topic(name).with_topic_id(of.topic_id).with_partitions(own)
        });
        FetchResponse::default().with_responses(responses.collect())
    }

    fn asked(&self, rights: &Rights, request: &FetchRequest, version: i16) -> Vec<Asked> {
        let mut all = Vec::new();
        for (number, of) in request.topics.iter().enumerate() {
            let view =
                topic(&*self.directory, (rights, Operation::Read), &of.topic, of.topic_id, version >= BY_ID);
            for asked in &of.partitions {
                let place = view.as_ref().map_err(|error| *error);
                all.push(Asked {
                    topic: number,
                    index: asked.partition,
                    from: asked.fetch_offset,
                    bytes_max: usize::try_from(asked.partition_max_bytes).unwrap_or(0),
                    place: place.and_then(|view| place_of(rights.project(), view, asked)),
                });
            }
        }
        all
    }

    async fn gather(&self, asked: &[Asked], bytes_max: usize, committed_only: bool) -> Gathered {
        let mut gathered =
            Gathered { partitions: Vec::with_capacity(asked.len()), bytes: 0, is_final: false };
        for one in asked {
            let mut data = PartitionData::default().with_partition_index(one.index);
            let left = bytes_max.saturating_sub(gathered.bytes).min(one.bytes_max);
            // The first batch of an answer is given whatever its size, else a reader would never get past it.
            let is_first = gathered.bytes == 0;
            let read = match &one.place {
                Ok(place) => self.read(place, one.from, left, is_first, committed_only, &mut data).await,
                Err(error) => Err(*error),
            };
            match read {
                Ok(records) => {
                    gathered.bytes += records.len();
                    data.records = Some(records);
                }
                Err(error) => {
                    gathered.is_final = true;
                    data.error_code = error.code();
                    data.records = Some(Bytes::new());
                }
            }
            gathered.partitions.push(data);
        }
        gathered
    }

    async fn read(
        &self,
        place: &Place,
        from: i64,
        bytes_max: usize,
        is_first: bool,
        committed_only: bool,
        data: &mut PartitionData,
    ) -> Result<Bytes, ResponseError> {
        let Place { topic, partition } = place;
        let start = self.log.log_start(topic, *partition);
        let end = self.log.high_watermark(topic, *partition);
        let stable = self.log.last_stable_offset(topic, *partition);
        data.high_watermark = end.0 as i64;
        data.last_stable_offset = stable.0 as i64;
        data.log_start_offset = start.0 as i64;
        data.aborted_transactions = committed_only.then(Vec::new);
        let until = if committed_only { stable } else { end };
        let from = u64::try_from(from).map_err(|_| ResponseError::OffsetOutOfRange)?;
        if from < start.0 || from > end.0 {
            data.high_watermark = if from > end.0 { end.0 as i64 } else { data.high_watermark };
            return Err(ResponseError::OffsetOutOfRange);
        }
        if from >= until.0 || (bytes_max == 0 && !is_first) {
            return Ok(Bytes::new());
        }
        if let Some(signal) = topic.name.signal() {
            let batches = self.signals.read(place, signal, Offset(from), bytes_max, is_first).await;
            let batches = batches.map_err(|error| error.told("a signal could not be read"))?;
            return Ok(batches.concat().into());
        }
        let mut batches = match self.log.read(topic, *partition, Offset(from), bytes_max.max(1)).await {
            Ok(batches) => batches,
            Err(ReadError::OutOfRange { .. }) => return Err(ResponseError::OffsetOutOfRange),
            Err(ReadError::Storage(error)) => {
                tracing::warn!(error = &*error as &dyn std::error::Error, "a fetch could not be read");
                return Err(ResponseError::KafkaStorageError);
            }
        };
        batches.retain(|batch| batch.base < until);
        let records = joined(&batches, bytes_max, is_first);
        if committed_only {
            let aborted = self.log.aborted_among(&batches).into_iter().map(|aborted| {
                AbortedTransaction::default()
                    .with_producer_id(aborted.producer_id.into())
                    .with_first_offset(aborted.first_offset.0 as i64)
            });
            data.aborted_transactions = Some(aborted.collect());
        }
        Ok(records)
    }

    /// Waits until one of the partitions has more than was seen.
    async fn wait(&self, asked: &[Asked], seen: &Gathered, left: Duration) {
        let places = asked.iter().zip(&seen.partitions).filter_map(|(asked, data)| {
            let place = asked.place.as_ref().ok()?;
            let seen = Offset(u64::try_from(data.high_watermark).ok()?);
            Some((place.topic.clone(), place.partition, seen))
        });
        let places: Vec<_> = places.collect();
        self.log.wait_any(&places, left).await;
    }
}

fn place_of(project: ProjectId, view: &TopicView, asked: &FetchPartition) -> Result<Place, ResponseError> {
    let place = Place::of(project, view, asked.partition)?;
    check_epoch(asked.current_leader_epoch)?;
    Ok(place)
}

/// Batches one behind the other, each with its place written into it: base offset and leader epoch, which no checksum
/// covers.
fn joined(batches: &[Committed], bytes_max: usize, is_first: bool) -> Bytes {
    let mut records = BytesMut::new();
    for (nth, batch) in batches.iter().enumerate() {
        let fits = records.len() + batch.batch.len() <= bytes_max || (nth == 0 && is_first);
        if !fits {
            break;
        }
        let at = records.len();
        records.extend_from_slice(&batch.batch);
        if let Some(base) = records.get_mut(at..at + 8) {
            base.copy_from_slice(&batch.base.0.to_be_bytes());
        }
        if let Some(epoch) = records.get_mut(at + 12..at + 16) {
            epoch.copy_from_slice(&LEADER_EPOCH.to_be_bytes());
        }
    }
    records.freeze()
}
