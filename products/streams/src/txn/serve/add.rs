//! AddPartitionsToTxn, AddOffsetsToTxn (KIP-98), and what Produce and TxnOffsetCommit add by themselves (KIP-890).

use std::sync::Arc;

use candor_gate::may_name;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use kafka_protocol::messages::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnResult, AddPartitionsToTxnTopicResult,
};
use kafka_protocol::messages::{
    AddOffsetsToTxnRequest, AddOffsetsToTxnResponse, AddPartitionsToTxnRequest, AddPartitionsToTxnResponse,
};

use super::{FENCED_FROM, Producing, code, to_the_end, told, writable};
use crate::caller::Caller;
use crate::txn::coordinator::{Pass, Transactions};
use crate::txn::state::{Parts, Places, Transaction, count};

/// From this version on AddPartitionsToTxn names many transactions, and may ask instead of add (KIP-890).
const MANY_FROM: i16 = 4;

/// From this version on who asks knows that a transaction may be aborted and gone on from (KIP-890).
const ABORTABLE_FROM: i16 = 5;

/// Longest name of a group, bytes, as groups have it.
const GROUP_BYTES_MAX: usize = 1_024;

impl Transactions {
    /// AddPartitionsToTxn, 0 to 5.
    pub async fn add_partitions(
        &self,
        caller: &Caller,
        request: AddPartitionsToTxnRequest,
        version: i16,
    ) -> AddPartitionsToTxnResponse {
        let project = caller.project;
        let answer = AddPartitionsToTxnResponse::default();
        if version < MANY_FROM {
            let who = Producing::new(
                project,
                &request.v3_and_below_transactional_id,
                request.v3_and_below_producer_id.0,
                request.v3_and_below_producer_epoch,
            );
            let results = self.add_topics(who, &request.v3_and_below_topics, version).await;
            return answer.with_results_by_topic_v3_and_below(results);
        }
        let mut all = Vec::with_capacity(request.transactions.len());
        for asked in &request.transactions {
            let who =
                Producing::new(project, &asked.transactional_id, asked.producer_id.0, asked.producer_epoch);
            let results = match asked.verify_only {
                true => self.verify(who, &asked.topics, version),
                false => self.add_topics(who, &asked.topics, version).await,
            };
            all.push(
                AddPartitionsToTxnResult::default()
                    .with_transactional_id(asked.transactional_id.clone())
                    .with_topic_results(results),
            );
        }
        answer.with_results_by_transaction(all)
    }

    async fn add_topics(
        &self,
        who: Result<Producing, ResponseError>,
        topics: &[AddPartitionsToTxnTopic],
        version: i16,
    ) -> Vec<AddPartitionsToTxnTopicResult> {
        let who = match who {
            Ok(who) => who,
            Err(error) => return results(topics, |_, _| Err(error)),
        };
        let mut places = Places::new();
        let mut is_whole = true;
        for topic in topics {
            let view = self.topic(who.project, &topic.name);
            for index in &topic.partitions {
                match writable(view.as_deref(), *index) {
                    Ok((in_log, partition)) => {
                        let name = || Arc::from(topic.name.as_str());
                        let empty = || Parts { name: name(), partitions: Default::default() };
                        places.entry(in_log).or_insert_with(empty).partitions.insert(partition);
                    }
                    Err(_) => is_whole = false,
                }
            }
        }
        if !is_whole {
            // All or none; each is told whose fault it is.
            return results(topics, |topic, index| {
                let view = self.topic(who.project, &topic.name);
                writable(view.as_deref(), index).and(Err(ResponseError::OperationNotAttempted))
            });
        }
        let added = self.add(&who, places, None).await.map(drop);
        let added = added.map_err(|error| told(error, version >= FENCED_FROM));
        results(topics, |_, _| added)
    }

    /// Whether partitions are in an open transaction, which brokers ask each other.
    fn verify(
        &self,
        who: Result<Producing, ResponseError>,
        topics: &[AddPartitionsToTxnTopic],
        version: i16,
    ) -> Vec<AddPartitionsToTxnTopicResult> {
        let checked = who.and_then(|who| {
            let transaction = self.find(who.project, &who.id).and_then(|entry| entry.transaction());
            let transaction = transaction.ok_or(ResponseError::InvalidProducerIdMapping)?;
            transaction.check(who.producer, who.epoch)?;
            Ok((who.project, transaction))
        });
        results(topics, |topic, index| {
            let (project, transaction) = checked.as_ref().map_err(|error| *error)?;
            let view = self.topic(*project, &topic.name);
            let (in_log, partition) = writable(view.as_deref(), index)?;
            match transaction.holds(&in_log, partition)? {
                true => Ok(()),
                false if version >= ABORTABLE_FROM => Err(ResponseError::TransactionAbortable),
                false => Err(ResponseError::InvalidTxnState),
            }
        })
    }

    /// AddOffsetsToTxn, 0 to 4.
    pub async fn add_offsets(
        &self,
        caller: &Caller,
        request: AddOffsetsToTxnRequest,
        version: i16,
    ) -> AddOffsetsToTxnResponse {
        let AddOffsetsToTxnRequest { transactional_id, producer_id, producer_epoch, group_id, .. } = request;
        let added = match Producing::new(caller.project, &transactional_id, producer_id.0, producer_epoch) {
            Ok(who) => self.add_group(&who, &group_id).await.map(drop),
            Err(error) => Err(error),
        };
        let added = added.map_err(|error| told(error, version >= FENCED_FROM));
        AddOffsetsToTxnResponse::default().with_error_code(code(added))
    }

    /// Adds a group whose offsets the transaction commits.
    pub(super) async fn add_group(&self, who: &Producing, group: &str) -> Result<Pass, ResponseError> {
        if group.len() > GROUP_BYTES_MAX || group.contains('\0') || !may_name(group) {
            return Err(ResponseError::InvalidGroupId);
        }
        self.add(who, Places::new(), Some(Arc::from(group))).await
    }

    /// Adds places and a group to the transaction of who asks; it begins with them where none is open. What is given
    /// keeps it from ending.
    pub(in crate::txn) async fn add(
        &self,
        who: &Producing,
        places: Places,
        group: Option<Arc<str>>,
    ) -> Result<Pass, ResponseError> {
        let entry = self.find(who.project, &who.id).ok_or(ResponseError::InvalidProducerIdMapping)?;
        let (producer, epoch) = (who.producer, who.epoch);
        let holds = |transaction: Option<&Transaction>| {
            let transaction = transaction.ok_or(ResponseError::InvalidProducerIdMapping)?;
            transaction.check(producer, epoch)?;
            let mut holds = group.as_deref().map_or(Ok(true), |group| transaction.holds_group(group))?;
            for (topic, parts) in &places {
                for partition in &parts.partitions {
                    holds &= transaction.holds(topic, *partition)?;
                }
            }
            Ok(holds)
        };
        if let Some(pass) = entry.pass(holds)? {
            return Ok(pass);
        }
        let own = self.clone();
        to_the_end(async move {
            let turn = own.turn(&entry).await?.ok_or(ResponseError::InvalidProducerIdMapping)?;
            let current = entry.transaction().ok_or(ResponseError::InvalidProducerIdMapping)?;
            current.check(producer, epoch)?;
            if current.phase.is_ending() {
                return Err(ResponseError::ConcurrentTransactions);
            }
            let next = current.grown(&places, group.as_ref(), own.inner.clock.now());
            let (settings, partitions) = (&own.inner.settings, count(&next.places));
            let more = partitions.saturating_sub(count(&current.places));
            if partitions > settings.max_partitions
                || next.groups.len() > settings.max_groups
                || !own.has_room(more)
            {
                return Err(ResponseError::PolicyViolation);
            }
            turn.change(next).await?;
            // Still in its turn, so that no end comes between.
            entry.pass(|_| Ok(true)).and_then(|pass| pass.ok_or(ResponseError::UnknownServerError))
        })
        .await
    }
}

fn results(
    topics: &[AddPartitionsToTxnTopic],
    outcome: impl Fn(&AddPartitionsToTxnTopic, i32) -> Result<(), ResponseError>,
) -> Vec<AddPartitionsToTxnTopicResult> {
    let topics = topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|index| {
            AddPartitionsToTxnPartitionResult::default()
                .with_partition_index(*index)
                .with_partition_error_code(code(outcome(topic, *index)))
        });
        AddPartitionsToTxnTopicResult::default()
            .with_name(topic.name.clone())
            .with_results_by_partition(partitions.collect())
    });
    topics.collect()
}
