//! Writing at the target: records, and how far the source was read, in one transaction.
//!
//! The transactional id is the bridge's own: whoever opens it anew ends what another had begun and fences it, so that two
//! processes that both believe the bridge to be theirs cannot both write.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::add_partitions_to_txn_request::{
    AddPartitionsToTxnRequest, AddPartitionsToTxnTopic,
};
use kafka_protocol::messages::offset_fetch_request::{OffsetFetchRequest, OffsetFetchRequestTopic};
use kafka_protocol::messages::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use kafka_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequest, TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use kafka_protocol::messages::{
    AddOffsetsToTxnRequest, ApiKey, EndTxnRequest, InitProducerIdRequest, ProduceResponse,
};
use kafka_protocol::protocol::StrBytes;

use super::batches::Ready;
use super::client::{Cluster, Node, Side};
use super::position::Claim;
use super::trouble::{Trouble, code_name, name};
use crate::wire::Held;

/// How long the target may wait for the end of a transaction before it ends it.
const TRANSACTION_TIMEOUT_MS: i32 = 60_000;

/// How often, and after which pause, is asked again while a transaction is ending.
const TRIES: u32 = 200;
const PAUSE: Duration = Duration::from_millis(20);

/// How long the target may take to store a batch.
const PRODUCE_TIMEOUT_MS: i32 = 30_000;

/// Partitions of one transaction.
const PARTITIONS_MAX: usize = 300;

/// What stands beside the offsets of one request, bytes: a coordinator stores a request as one batch, which Kafka takes
/// up to 1 MiB.
const BESIDE_BYTES_MAX: usize = 256 << 10;

/// What is written of a partition.
pub(crate) struct Work {
    /// Its topic at the source, for messages.
    pub source: Arc<str>,
    pub target: Arc<str>,
    pub partition: i32,
    /// Who leads it at the target.
    pub leader: Node,
    pub batches: Vec<Ready>,
    /// How far the source is read then.
    pub next: i64,
    /// Which offsets are which; what is written is added.
    pub claim: Claim,
    /// Room of what was read, held until it is written.
    pub room: Arc<Held>,
    /// Records and bytes that were written of it.
    pub written: (u64, u64),
}

/// How far a partition was mirrored: the committed offset, and what stands beside it.
pub(crate) type Position = (i64, String);

/// Writes the target.
pub(crate) struct Writer {
    cluster: Cluster,
    /// Of its transactions, and of its group.
    id: String,
    producer: (i64, i16),
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

impl Writer {
    /// Takes the bridge's transactions over. What was open of them is aborted.
    pub async fn open(side: &Side, id: &str) -> Result<Writer, Trouble> {
        let mut cluster = Cluster::new(side);
        cluster.metadata(Some(Vec::new())).await?;
        let request = InitProducerIdRequest::default()
            .with_transactional_id(Some(text(id).into()))
            .with_transaction_timeout_ms(TRANSACTION_TIMEOUT_MS)
            .with_producer_id((-1).into())
            .with_producer_epoch(-1);
        let mut tried = 0;
        let told = loop {
            let told = cluster.ask_transaction(id, &request).await?;
            tried += 1;
            let is_ending = ResponseError::try_from_code(told.error_code).is_some_and(|error| {
                matches!(
                    error,
                    ResponseError::ConcurrentTransactions | ResponseError::CoordinatorLoadInProgress
                )
            });
            if !is_ending || tried > TRIES {
                break told;
            }
            tokio::time::sleep(PAUSE).await;
        };
        Trouble::check(|| cluster.name().to_owned(), ApiKey::InitProducerId, told.error_code)?;
        Ok(Writer { cluster, id: id.to_owned(), producer: (told.producer_id.0, told.producer_epoch) })
    }

    /// Who writes, and in which epoch.
    pub fn producer(&self) -> (i64, i16) {
        self.producer
    }

    /// How far partitions were mirrored, those that were. Waits for transactions that are about to end.
    pub async fn positions(
        &mut self,
        wanted: &BTreeMap<String, Vec<i32>>,
    ) -> Result<BTreeMap<(String, i32), Position>, Trouble> {
        let topics = wanted.iter().map(|(topic, partitions)| {
            OffsetFetchRequestTopic::default()
                .with_name(text(topic).into())
                .with_partition_indexes(partitions.clone())
        });
        let request = OffsetFetchRequest::default()
            .with_group_id(text(&self.id).into())
            .with_topics(Some(topics.collect()))
            .with_require_stable(true);
        let mut tried = 0;
        'again: loop {
            tried += 1;
            let told = self.cluster.ask_group(&self.id, &request).await?;
            Trouble::check(|| self.at(), ApiKey::OffsetFetch, told.error_code)?;
            let mut found = BTreeMap::new();
            for topic in told.topics {
                for part in topic.partitions {
                    let unstable = ResponseError::UnstableOffsetCommit.code();
                    if part.error_code == unstable && tried <= TRIES {
                        tokio::time::sleep(PAUSE).await;
                        continue 'again;
                    }
                    Trouble::check(|| self.at(), ApiKey::OffsetFetch, part.error_code)?;
                    if part.committed_offset >= 0 {
                        let beside = part.metadata.map(|text| text.to_string()).unwrap_or_default();
                        let key = (topic.name.to_string(), part.partition_index);
                        found.insert(key, (part.committed_offset, beside));
                    }
                }
            }
            return Ok(found);
        }
    }

    fn at(&self) -> String {
        format!("{} ({})", self.cluster.name(), self.id)
    }

    /// Writes it, each partition wholly or not at all. After a failure nothing more can be written: the bridge is to be
    /// opened anew. What was written has given its room back: a fetch at the same time may wait for that.
    pub async fn write(&mut self, work: Vec<Work>) -> Result<Vec<Work>, Trouble> {
        let mut written = Vec::with_capacity(work.len());
        let mut rest = work.into_iter().peekable();
        while rest.peek().is_some() {
            written.extend(self.transaction(rest.by_ref().take(PARTITIONS_MAX).collect()).await?);
        }
        Ok(written)
    }

    async fn transaction(&mut self, mut work: Vec<Work>) -> Result<Vec<Work>, Trouble> {
        self.add_partitions(&work).await?;
        let rounds = work.iter().map(|one| one.batches.len()).max().unwrap_or(0);
        for round in 0..rounds {
            self.produce(&mut work, round).await?;
        }
        for one in &mut work {
            let batches = std::mem::take(&mut one.batches);
            one.room = Arc::default();
            for batch in &batches {
                one.written.0 += u64::from(batch.records.unsigned_abs());
                one.written.1 += batch.bytes.len() as u64;
            }
        }
        self.commit_offsets(&mut work).await?;
        let request = EndTxnRequest::default()
            .with_transactional_id(text(&self.id).into())
            .with_producer_id(self.producer.0.into())
            .with_producer_epoch(self.producer.1)
            .with_committed(true);
        let mut tried = 0;
        loop {
            let told = self.cluster.ask_transaction(&self.id, &request).await?;
            tried += 1;
            if !is_busy(told.error_code) || tried > TRIES {
                Trouble::check(|| self.at(), ApiKey::EndTxn, told.error_code)?;
                return Ok(work);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn add_partitions(&mut self, work: &[Work]) -> Result<(), Trouble> {
        let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
        for one in work.iter().filter(|one| !one.batches.is_empty()) {
            topics.entry(&one.target).or_default().push(one.partition);
        }
        if topics.is_empty() {
            return Ok(());
        }
        let topics = topics.into_iter().map(|(topic, partitions)| {
            AddPartitionsToTxnTopic::default().with_name(text(topic).into()).with_partitions(partitions)
        });
        let request = AddPartitionsToTxnRequest::default()
            .with_v3_and_below_transactional_id(text(&self.id).into())
            .with_v3_and_below_producer_id(self.producer.0.into())
            .with_v3_and_below_producer_epoch(self.producer.1)
            .with_v3_and_below_topics(topics.collect());
        let mut tried = 0;
        loop {
            let told = self.cluster.ask_transaction(&self.id, &request).await?;
            tried += 1;
            let mut busy = false;
            for topic in &told.results_by_topic_v3_and_below {
                for part in &topic.results_by_partition {
                    let code = part.partition_error_code;
                    busy |= is_busy(code);
                    if is_busy(code) || code == ResponseError::OperationNotAttempted.code() {
                        continue;
                    }
                    let one = work.iter().find(|one| {
                        *one.target == *topic.name.as_str() && one.partition == part.partition_index
                    });
                    self.check_topic(one, ApiKey::AddPartitionsToTxn, code)?;
                }
            }
            if !busy {
                return Ok(());
            }
            if tried > TRIES {
                let code = ResponseError::ConcurrentTransactions.code();
                return Trouble::check(|| self.at(), ApiKey::AddPartitionsToTxn, code);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// An error that only one topic has is that topic's; the others go on without it.
    fn check_topic(&self, work: Option<&Work>, api: ApiKey, code: i16) -> Result<(), Trouble> {
        use ResponseError as E;
        let Some(error) = ResponseError::try_from_code(code) else { return Ok(()) };
        let is_size = matches!(error, E::MessageTooLarge | E::RecordListTooLarge);
        let why = match error {
            E::MessageTooLarge | E::RecordListTooLarge => {
                "a record is larger than the target takes: raise max.message.bytes there".to_owned()
            }
            E::InvalidRecord => {
                "the target refuses a record: its policy or its settings do not take it, as a \
                 record without a key where it compacts"
                    .to_owned()
            }
            E::TopicAuthorizationFailed => "the user may not write to it at the target".to_owned(),
            E::UnknownTopicOrPartition => "it is gone at the target".to_owned(),
            E::PolicyViolation | E::InvalidTimestamp | E::CorruptMessage | E::UnsupportedCompressionType => {
                format!("the target refuses its records: {}", code_name(code))
            }
            _ => return Trouble::check(|| self.at(), api, code),
        };
        match work {
            Some(one) => Err(Trouble::Topic {
                topic: one.source.to_string(),
                why: format!("partition {}: {why}", one.partition),
                is_size,
            }),
            None => Trouble::check(|| self.at(), api, code),
        }
    }

    /// Sends one batch of each partition that has one more.
    async fn produce(&mut self, work: &mut [Work], round: usize) -> Result<(), Trouble> {
        let mut leaders: BTreeMap<Node, BTreeMap<&str, Vec<PartitionProduceData>>> = BTreeMap::new();
        for one in work.iter() {
            let Some(batch) = one.batches.get(round) else { continue };
            let data = PartitionProduceData::default()
                .with_index(one.partition)
                .with_records(Some(batch.bytes.clone()));
            leaders.entry(one.leader).or_default().entry(&one.target).or_default().push(data);
        }
        let requests = leaders.into_iter().map(|(leader, topics)| {
            let topics = topics.into_iter().map(|(topic, data)| {
                TopicProduceData::default().with_name(text(topic).into()).with_partition_data(data)
            });
            let request = ProduceRequest::default()
                .with_transactional_id(Some(text(&self.id).into()))
                .with_acks(-1)
                .with_timeout_ms(PRODUCE_TIMEOUT_MS)
                .with_topic_data(topics.collect());
            (leader, request)
        });
        let wait = Duration::from_millis(PRODUCE_TIMEOUT_MS.unsigned_abs().into());
        for (_, told) in self.cluster.ask_each(requests.collect(), wait).await {
            self.note(told?.message, work, round)?;
        }
        Ok(())
    }

    fn note(&self, told: ProduceResponse, work: &mut [Work], round: usize) -> Result<(), Trouble> {
        for topic in &told.responses {
            for part in &topic.partition_responses {
                let at = work
                    .iter()
                    .position(|one| *one.target == *topic.name.as_str() && one.partition == part.index);
                self.check_topic(at.and_then(|at| work.get(at)), ApiKey::Produce, part.error_code)?;
                let Some(one) = at.and_then(|at| work.get_mut(at)) else { continue };
                let mut target = part.base_offset;
                if target < 0 {
                    let why = "it stored records below offset 0";
                    let (server, api) = (self.cluster.name().to_owned(), name(ApiKey::Produce));
                    return Err(Trouble::Malformed { server, api, why });
                }
                let runs = one.batches.get(round).map(|batch| batch.runs.clone()).unwrap_or_default();
                for (source, count) in runs {
                    one.claim.runs.push(source, target, count);
                    target = target.saturating_add(count);
                }
            }
        }
        Ok(())
    }

    async fn commit_offsets(&mut self, work: &mut [Work]) -> Result<(), Trouble> {
        let request = AddOffsetsToTxnRequest::default()
            .with_transactional_id(text(&self.id).into())
            .with_producer_id(self.producer.0.into())
            .with_producer_epoch(self.producer.1)
            .with_group_id(text(&self.id).into());
        let mut tried = 0;
        loop {
            let told = self.cluster.ask_transaction(&self.id, &request).await?;
            tried += 1;
            if !is_busy(told.error_code) || tried > TRIES {
                Trouble::check(|| self.at(), ApiKey::AddOffsetsToTxn, told.error_code)?;
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        let mut rest = work;
        while !rest.is_empty() {
            let mut bytes = 0;
            let mut beside = Vec::new();
            for one in rest.iter_mut() {
                let text = one.claim.encode();
                bytes += text.len();
                if bytes > BESIDE_BYTES_MAX && !beside.is_empty() {
                    break;
                }
                beside.push(text);
            }
            let (some, behind) = rest.split_at_mut(beside.len());
            self.commit_some(some, beside).await?;
            rest = behind;
        }
        Ok(())
    }

    async fn commit_some(&mut self, work: &[Work], beside: Vec<String>) -> Result<(), Trouble> {
        let mut topics: BTreeMap<String, Vec<TxnOffsetCommitRequestPartition>> = BTreeMap::new();
        for (one, beside) in work.iter().zip(beside) {
            let part = TxnOffsetCommitRequestPartition::default()
                .with_partition_index(one.partition)
                .with_committed_offset(one.next)
                .with_committed_leader_epoch(-1)
                .with_committed_metadata(Some(StrBytes::from_string(beside)));
            topics.entry(one.target.to_string()).or_default().push(part);
        }
        let topics = topics.into_iter().map(|(topic, parts)| {
            TxnOffsetCommitRequestTopic::default().with_name(text(&topic).into()).with_partitions(parts)
        });
        let request = TxnOffsetCommitRequest::default()
            .with_transactional_id(text(&self.id).into())
            .with_group_id(text(&self.id).into())
            .with_producer_id(self.producer.0.into())
            .with_producer_epoch(self.producer.1)
            .with_generation_id(-1)
            .with_topics(topics.collect());
        let mut tried = 0;
        loop {
            let told = self.cluster.ask_group(&self.id, &request).await?;
            tried += 1;
            let parts = told.topics.iter().flat_map(|topic| &topic.partitions);
            let codes: Vec<i16> = parts.map(|part| part.error_code).collect();
            if tried <= TRIES && codes.iter().any(|code| is_busy(*code)) {
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            for topic in &told.topics {
                for part in &topic.partitions {
                    let one = work.iter().find(|one| {
                        *one.target == *topic.name.as_str() && one.partition == part.partition_index
                    });
                    self.check_topic(one, ApiKey::TxnOffsetCommit, part.error_code)?;
                }
            }
            return Ok(());
        }
    }
}

/// Whether it is to be asked again in a moment.
fn is_busy(code: i16) -> bool {
    [ResponseError::ConcurrentTransactions, ResponseError::CoordinatorLoadInProgress]
        .iter()
        .any(|error| error.code() == code)
}
