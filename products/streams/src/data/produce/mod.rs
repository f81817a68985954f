//! Produce (KIP-98, KIP-467, KIP-516): each partition's batch through the gate into the log, acknowledged from stable
//! storage whatever `acks` says; 0 asks for no answer.

pub(crate) mod message;

use std::sync::Arc;

use candor_gate::{Admitted, ClearedStream, Gate, StreamBatch, StreamRefusal, Timestamps};
use candor_log::{AppendError, Appended, Log, Rejected, Topic};
use candor_meta::WriteScope;
use candor_model::Partition;
use futures::FutureExt;
use futures::future::BoxFuture;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use kafka_protocol::messages::produce_response::{
    BatchIndexAndErrorMessage, PartitionProduceResponse, ProduceResponse, TopicProduceResponse,
};
use kafka_protocol::protocol::StrBytes;

use super::partition;
use crate::admin::acl::Operation;
use crate::mutant::{Mutant, planted};
use crate::rights::Rights;
use crate::topics::config::TimestampType;
use crate::topics::{self, Topics};
use crate::txn::{self, Adding, MayProduce, Pass, Transactions};

/// From this version on topics are named by ids.
const BY_ID: i16 = 13;

/// Answers produce requests. Cheap to clone.
#[derive(Clone)]
pub struct Produce {
    log: Log,
    gate: Arc<Gate>,
    topics: Topics,
    transactions: Transactions,
}

/// A request that was taken in.
pub struct Taken {
    /// Waits for stable storage; without `acks` it gives nothing.
    pub answer: BoxFuture<'static, Option<ProduceResponse>>,
    /// Its batches have their turn in the log. Where they have not, the next request of the connection has to wait.
    pub has_its_turn: bool,
}

/// What becomes of a partition's batch.
enum Fate {
    /// The nth of those that were appended.
    Appended(usize),
    /// The nth of those that were appended once their partitions were in a transaction.
    Later(usize),
    Refused(Refusal),
}

struct Refusal {
    error: ResponseError,
    message: Option<String>,
    records: Vec<(i32, String)>,
}

impl From<ResponseError> for Refusal {
    fn from(error: ResponseError) -> Refusal {
        Refusal { error, message: None, records: Vec::new() }
    }
}

/// A partition of a request.
struct Sent {
    topic: usize,
    index: i32,
    place: Option<(Topic, Partition)>,
    fate: Fate,
}

impl Produce {
    /// Over a gate and a log.
    pub fn new(log: Log, gate: Arc<Gate>, topics: Topics, transactions: Transactions) -> Produce {
        Produce { log, gate, topics, transactions }
    }

    /// What records pass before they are written.
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Takes a request in: its batches have their turn in the log when this returns, but where partitions have to be
    /// added to a transaction first.
    pub(crate) fn take(
        &self,
        scope: &WriteScope,
        rights: &Rights,
        request: ProduceRequest,
        version: i16,
    ) -> Taken {
        let mut admitted = Vec::new();
        let mut sent = Vec::new();
        let mut passes: Vec<Pass> = Vec::new();
        let mut adding: Vec<(Adding, Admitted)> = Vec::new();
        let transactional_id = request.transactional_id.as_ref().map(|id| id.as_str());
        for (number, of) in request.topic_data.iter().enumerate() {
            let topic = self.topic(rights, of, version);
            for data in &of.partition_data {
                let cleared = match &topic {
                    Ok(topic) => self.clear(scope, topic, data).and_then(|cleared| {
                        let may = self.may_produce(rights, transactional_id, topic, &cleared, version)?;
                        Ok((cleared.admitted, may))
                    }),
                    Err(error) => Err((*error).into()),
                };
                let (place, fate) = match cleared {
                    Ok((batch, may)) => {
                        let topic = Topic { project: batch.project(), name: batch.topic().clone() };
                        let place = (topic, batch.partition());
                        let fate = match may {
                            Some(MayProduce::Added(added)) => {
                                adding.push((added, batch));
                                Fate::Later(adding.len() - 1)
                            }
                            may => {
                                if let Some(MayProduce::Now(pass)) = may {
                                    passes.push(pass);
                                }
                                admitted.push(batch);
                                Fate::Appended(admitted.len() - 1)
                            }
                        };
                        (Some(place), fate)
                    }
                    Err(refusal) => (None, Fate::Refused(refusal)),
                };
                sent.push(Sent { topic: number, index: data.index, place, fate });
            }
        }
        let has_its_turn = adding.is_empty();
        let answers = self.log.append_each(admitted);
        // They have their turn, so the ends of their transactions come behind them.
        drop(passes);
        let later = self.append_added(adding, version);
        let log = self.log.clone();
        let answer = async move {
            let answers = answers.await;
            let later = later.await;
            if request.acks == 0 {
                return None;
            }
            let mut sent = sent.into_iter().peekable();
            let responses = request.topic_data.into_iter().enumerate().map(|(number, of)| {
                let mut own = Vec::with_capacity(of.partition_data.len());
                while let Some(sent) = sent.next_if(|sent| sent.topic == number) {
                    own.push(said(&log, sent, &answers, &later));
                }
                let answer = TopicProduceResponse::default().with_partition_responses(own);
                if version >= BY_ID { answer.with_topic_id(of.topic_id) } else { answer.with_name(of.name) }
            });
            Some(ProduceResponse::default().with_responses(responses.collect()))
        };
        Taken { answer: answer.boxed(), has_its_turn }
    }

    fn topic(
        &self,
        rights: &Rights,
        of: &TopicProduceData,
        version: i16,
    ) -> Result<Arc<topics::Topic>, ResponseError> {
        let project = rights.project();
        if version >= BY_ID {
            let found = self.topics.get_by_id(project, of.topic_id.into_bytes());
            let found = found.ok_or(ResponseError::UnknownTopicId)?;
            rights.on_topic(Operation::Write, &found.view.name)?;
            return Ok(found);
        }
        rights.on_topic(Operation::Write, &of.name)?;
        self.topics.get(project, &of.name).ok_or(ResponseError::UnknownTopicOrPartition)
    }

    /// Whether a batch of a transaction may come; none for any other.
    fn may_produce(
        &self,
        rights: &Rights,
        transactional_id: Option<&str>,
        topic: &topics::Topic,
        cleared: &ClearedStream,
        version: i16,
    ) -> Result<Option<MayProduce>, ResponseError> {
        let header = &cleared.header;
        if !header.is_transactional() {
            return Ok(None);
        }
        if let Some(id) = transactional_id {
            rights.on_transactional_id(Operation::Write, id)?;
        }
        let batch = txn::Batch {
            producer: header.producer_id,
            epoch: header.producer_epoch,
            topic: &topic.view,
            partition: cleared.admitted.partition(),
        };
        self.transactions.may_produce(rights.project(), transactional_id, batch, version).map(Some)
    }

    /// Adds the partitions of batches to their transaction and appends those of which that came off.
    fn append_added(
        &self,
        adding: Vec<(Adding, Admitted)>,
        version: i16,
    ) -> impl Future<Output = Vec<Result<Appended, ResponseError>>> + Send + use<> {
        let (log, transactions) = (self.log.clone(), self.transactions.clone());
        async move {
            if adding.is_empty() {
                return Vec::new();
            }
            let (adding, batches): (Vec<Adding>, Vec<Admitted>) = adding.into_iter().unzip();
            let added = transactions.add_produced(adding, version).await;
            let mut admitted = Vec::with_capacity(batches.len());
            let mut passes = Vec::with_capacity(batches.len());
            let mut outcomes = Vec::with_capacity(batches.len());
            for (batch, added) in batches.into_iter().zip(added) {
                outcomes.push(added.map(|pass| {
                    passes.push(pass);
                    admitted.push(batch);
                }));
            }
            let answers = log.append_each(admitted);
            drop(passes);
            let mut answers = answers.await.into_iter();
            let outcome = |added: Result<(), ResponseError>| {
                added?;
                let answer = answers.next().ok_or(ResponseError::UnknownServerError)?;
                answer.map_err(|error| not_stored(&error))
            };
            outcomes.into_iter().map(outcome).collect()
        }
    }

    fn clear(
        &self,
        scope: &WriteScope,
        topic: &topics::Topic,
        data: &PartitionProduceData,
    ) -> Result<ClearedStream, Refusal> {
        if topic.read_only {
            return Err(Refusal {
                message: Some(format!("{} carries a signal and is read only", topic.view.name)),
                ..ResponseError::TopicAuthorizationFailed.into()
            });
        }
        let partition = partition(&topic.view, data.index)?;
        let bytes = data.records.clone().ok_or(ResponseError::CorruptMessage)?;
        #[cfg(test)]
        let bytes = match planted(Mutant::SkipSequence) {
            true => crate::sim::without_numbers(bytes),
            false => bytes,
        };
        let config = &topic.config;
        let batch = StreamBatch {
            topic: topic.view.in_log.clone(),
            name: topic.view.name.to_string(),
            partition,
            bytes,
            values: config.values,
            compacted: config.compact,
            max_bytes: config.message_bytes_max,
            timestamps: match config.timestamp_type {
                TimestampType::LogAppendTime => Timestamps::LogAppendTime,
                TimestampType::CreateTime => Timestamps::CreateTime {
                    before_max_ms: config.timestamp_before_max_ms,
                    after_max_ms: config.timestamp_after_max_ms,
                },
            },
        };
        Ok(self.gate.clear_stream(scope, batch)?)
    }
}

impl From<StreamRefusal> for Refusal {
    fn from(refusal: StreamRefusal) -> Refusal {
        let error = ResponseError::try_from_code(refusal.code()).unwrap_or(ResponseError::UnknownServerError);
        let message = Some(refusal.to_string());
        let records = match refusal {
            StreamRefusal::Batch(_) | StreamRefusal::NoActivity => Vec::new(),
            StreamRefusal::Records { first, .. } => {
                let index = |index: u32| i32::try_from(index).unwrap_or(i32::MAX);
                first.iter().map(|record| (index(record.index), record.reason.to_string())).collect()
            }
        };
        Refusal { error, message, records }
    }
}

/// What a partition is told.
fn said(
    log: &Log,
    sent: Sent,
    answers: &[Result<Appended, AppendError>],
    later: &[Result<Appended, ResponseError>],
) -> PartitionProduceResponse {
    let answer = PartitionProduceResponse::default()
        .with_index(sent.index)
        .with_base_offset(-1)
        .with_log_start_offset(-1);
    let outcome = match sent.fate {
        Fate::Refused(refusal) => Err(refusal),
        Fate::Appended(nth) => match answers.get(nth) {
            Some(answer) => answer.as_ref().map_err(|error| not_stored(error).into()),
            None => Err(ResponseError::UnknownServerError.into()),
        },
        Fate::Later(nth) => match later.get(nth) {
            Some(answer) => answer.as_ref().map_err(|error| (*error).into()),
            None => Err(ResponseError::UnknownServerError.into()),
        },
    };
    let refusal = match outcome {
        Err(refusal) => refusal,
        Ok(appended) => {
            let is_new = planted(Mutant::AnswerRetryAsNew) && appended.duplicate;
            let base = appended.base.0 as i64 + i64::from(is_new);
            let start = sent.place.map_or(-1, |(topic, partition)| log.log_start(&topic, partition).0 as i64);
            return answer.with_base_offset(base).with_log_append_time_ms(-1).with_log_start_offset(start);
        }
    };
    let records = refusal.records.into_iter().map(|(index, why)| {
        BatchIndexAndErrorMessage::default()
            .with_batch_index(index)
            .with_batch_index_error_message(Some(StrBytes::from_string(why)))
    });
    answer
        .with_error_code(refusal.error.code())
        .with_record_errors(records.collect())
        .with_error_message(refusal.message.map(StrBytes::from_string))
}

/// The error by which Kafka's clients know why a batch was not stored.
fn not_stored(error: &AppendError) -> ResponseError {
    match error {
        AppendError::Full | AppendError::Unavailable => ResponseError::KafkaStorageError,
        // Clients try again where a request timed out.
        AppendError::Overloaded => ResponseError::RequestTimedOut,
        AppendError::Closed => ResponseError::NotLeaderOrFollower,
        AppendError::Rejected(Rejected::OutOfOrderSequence) => ResponseError::OutOfOrderSequenceNumber,
        AppendError::Rejected(Rejected::InvalidProducerEpoch) => ResponseError::InvalidProducerEpoch,
        AppendError::Rejected(Rejected::InvalidTransactionState) => ResponseError::InvalidTxnState,
        // Each batch was handed over by itself.
        AppendError::Rejected(Rejected::AllOrNone) => ResponseError::UnknownServerError,
        AppendError::Rejected(Rejected::Deleted) => ResponseError::UnknownTopicOrPartition,
        // The client still has it, sends it again, and it is cleared by what holds then.
        AppendError::Rejected(Rejected::Outdated) => ResponseError::NotEnoughReplicas,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_disk_cannot_take_is_a_storage_error() {
        for error in [AppendError::Full, AppendError::Unavailable] {
            assert_eq!(not_stored(&error), ResponseError::KafkaStorageError, "{error}");
        }
        assert_eq!(not_stored(&AppendError::Overloaded), ResponseError::RequestTimedOut);
    }

    #[test]
    fn what_a_new_policy_overtook_is_sent_again() {
        let outdated = not_stored(&AppendError::Rejected(Rejected::Outdated));
        assert!(outdated.is_retriable(), "{outdated}");
    }
}
