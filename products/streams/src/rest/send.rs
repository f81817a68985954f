//! Records of a request to their partitions: one batch a partition at a time, so that a request pays few syncs.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use candor_records::{BatchBuilder, Codec, HeadersBuf};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::TopicName;
use kafka_protocol::messages::metadata_request::{MetadataRequest, MetadataRequestTopic};
use kafka_protocol::messages::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use kafka_protocol::protocol::StrBytes;

use super::client::Client;
use super::error::{Answer, RestError, check};
use crate::view::partitioner::partition_of;

/// A batch of several records has at most so many bytes of them: half of what topics take by default.
const BATCH_BYTES: usize = 512 << 10;

/// How long a produce request may take, ms. What is stored is on stable storage whatever it says.
const TIMEOUT_MS: i32 = 30_000;

/// Acknowledged by all replicas.
const ACKS_ALL: i16 = -1;

/// A record that is to be stored.
#[derive(Debug, Clone)]
pub(super) struct NewRecord {
    pub partition: Option<i32>,
    /// Milliseconds since 1970.
    pub timestamp: i64,
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
    pub headers: HeadersBuf,
}

/// Where one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stored {
    pub partition: i32,
    pub offset: i64,
    /// Milliseconds since 1970.
    pub timestamp: i64,
}

/// Batches of a partition that are still to be stored: which records each has.
type Pieces = VecDeque<Vec<usize>>;

/// Sends to one topic.
pub(super) struct Sender {
    client: Client,
    topic: TopicName,
    partitions: u32,
}

/// A topic as a client asks for it by name.
pub(super) fn topic_name(name: &str) -> TopicName {
    TopicName(StrBytes::from_string(name.to_owned()))
}

impl Sender {
    /// To a topic, which is made where the client and the settings let it.
    pub async fn open(client: Client, topic: &str) -> Answer<Sender> {
        let name = topic_name(topic);
        let asked = MetadataRequestTopic::default().with_name(Some(name.clone()));
        let request =
            MetadataRequest::default().with_topics(Some(vec![asked])).with_allow_auto_topic_creation(true);
        let found = client.metadata(request).await.topics.into_iter().next();
        let found = found.ok_or_else(RestError::topic_not_found)?;
        if found.error_code == ResponseError::UnknownTopicOrPartition.code() {
            return Err(RestError::topic_not_found());
        }
        check(found.error_code, None)?;
        let partitions = u32::try_from(found.partitions.len()).unwrap_or(u32::MAX);
        Ok(Sender { client, topic: name, partitions })
    }

    /// Stores records, those of one partition in their order. `turn` says where those without a key go, another for
    /// each call. The answers are in the order of the records.
    pub async fn send(&self, turn: u32, records: &[NewRecord]) -> Vec<Answer<Stored>> {
        let mut answers: Vec<Option<Answer<Stored>>> = vec![None; records.len()];
        let mut left = self.pieces(turn, records, &mut answers);
        loop {
            // A produce request has one batch a partition; what comes behind it has to wait for it.
            let first = |(partition, queue): (&i32, &mut Pieces)| Some((*partition, queue.pop_front()?));
            let round: Vec<(i32, Vec<usize>)> = left.iter_mut().filter_map(first).collect();
            if round.is_empty() {
                break;
            }
            let outcomes = self.produce(records, &round).await;
            for ((partition, mut own), outcome) in round.into_iter().zip(outcomes) {
                match outcome {
                    Ok(stored) => {
                        for (delta, number) in own.iter().enumerate() {
                            let timestamp = match stored.timestamp {
                                -1 => records.get(*number).map_or(-1, |record| record.timestamp),
                                appended => appended,
                            };
                            let offset = stored.offset + delta as i64;
                            set(&mut answers, *number, Ok(Stored { offset, timestamp, ..stored }));
                        }
                    }
                    // A record of it is at fault, and nothing was stored: one half after the other then, so that finding
                    // it costs a few batches and not one for each record.
                    Err(Failed { is_of_records: true, .. }) if own.len() > 1 => {
                        let behind = own.split_off(own.len() / 2);
                        let queue = left.entry(partition).or_default();
                        queue.push_front(behind);
                        queue.push_front(own);
                    }
                    Err(failed) => {
                        own.iter().for_each(|number| set(&mut answers, *number, Err(failed.error.clone())));
                    }
                }
            }
        }
        let lost = || Err(RestError::of(ResponseError::UnknownServerError.code(), None));
        answers.into_iter().map(|answer| answer.unwrap_or_else(lost)).collect()
    }

    /// Which records go to which partition together, in their order.
    fn pieces(
        &self,
        turn: u32,
        records: &[NewRecord],
        answers: &mut [Option<Answer<Stored>>],
    ) -> BTreeMap<i32, Pieces> {
        let mut open: BTreeMap<i32, (usize, Vec<usize>)> = BTreeMap::new();
        let mut pieces: BTreeMap<i32, Pieces> = BTreeMap::new();
        for (number, record) in records.iter().enumerate() {
            let partition = match (record.partition, &record.key) {
                (Some(partition), _) => partition,
                (None, Some(key)) => partition_of(key, self.partitions).cast_signed(),
                (None, None) => (turn % self.partitions.max(1)).cast_signed(),
            };
            if u32::try_from(partition).map_or(true, |partition| partition >= self.partitions) {
                set(answers, number, Err(RestError::partition_not_found()));
                continue;
            }
            let length = |part: &Option<Bytes>| part.as_ref().map_or(0, Bytes::len);
            let bytes = length(&record.key) + length(&record.value) + record.headers.bytes();
            let (held, own) = open.entry(partition).or_default();
            if *held + bytes > BATCH_BYTES && !own.is_empty() {
                pieces.entry(partition).or_default().push_back(std::mem::take(own));
                *held = 0;
            }
            *held += bytes;
            own.push(number);
        }
        for (partition, (_, own)) in open {
            pieces.entry(partition).or_default().push_back(own);
        }
        pieces
    }

    async fn produce(
        &self,
        records: &[NewRecord],
        round: &[(i32, Vec<usize>)],
    ) -> Vec<Result<Stored, Failed>> {
        let mut data = Vec::with_capacity(round.len());
        let mut unsent: BTreeMap<i32, RestError> = BTreeMap::new();
        for (partition, own) in round {
            let mut batch = BatchBuilder::new(Codec::None);
            for record in own.iter().filter_map(|number| records.get(*number)) {
                let (key, value) = (record.key.as_deref(), record.value.as_deref());
                batch.push(record.timestamp, key, value, record.headers.headers());
            }
            match batch.finish() {
                Ok(bytes) => data
                    .push(PartitionProduceData::default().with_index(*partition).with_records(Some(bytes))),
                Err(bad) => {
                    unsent.insert(*partition, RestError::bad_request(bad.to_string()));
                }
            }
        }
        let topic = TopicProduceData::default().with_name(self.topic.clone()).with_partition_data(data);
        let request = ProduceRequest::default()
            .with_acks(ACKS_ALL)
            .with_timeout_ms(TIMEOUT_MS)
            .with_topic_data(vec![topic]);
        let answer = self.client.produce(request).await.unwrap_or_default();
        let told: BTreeMap<i32, PartitionProduceResponse> = answer
            .responses
            .into_iter()
            .flat_map(|topic| topic.partition_responses)
            .map(|told| (told.index, told))
            .collect();
        let outcome = |partition: &i32| match (unsent.get(partition), told.get(partition)) {
            (Some(error), _) => Err(Failed { error: error.clone(), is_of_records: false }),
            (None, Some(told)) => stored(told),
            (None, None) => Err(Failed::of(ResponseError::UnknownServerError.code(), None)),
        };
        round.iter().map(|(partition, _)| outcome(partition)).collect()
    }
}

fn set(answers: &mut [Option<Answer<Stored>>], number: usize, answer: Answer<Stored>) {
    if let Some(place) = answers.get_mut(number) {
        *place = Some(answer);
    }
}

/// Why a batch was not stored.
struct Failed {
    error: RestError,
    /// Another batch of the same records may be taken in part.
    is_of_records: bool,
}

impl Failed {
    fn of(code: i16, message: Option<&StrBytes>) -> Failed {
        use ResponseError::*;
        let refusals =
            [MessageTooLarge, RecordListTooLarge, InvalidRecord, InvalidTimestamp, PolicyViolation];
        let is_of_records = refusals.iter().any(|error| error.code() == code);
        Failed { error: RestError::of(code, message), is_of_records }
    }
}

fn stored(told: &PartitionProduceResponse) -> Result<Stored, Failed> {
    if told.error_code == 0 {
        let (partition, offset) = (told.index, told.base_offset);
        return Ok(Stored { partition, offset, timestamp: told.log_append_time_ms });
    }
    let of_record = told.record_errors.first().and_then(|record| record.batch_index_error_message.as_ref());
    Err(Failed::of(told.error_code, of_record.or(told.error_message.as_ref())))
}
