//! What Produce asks before a batch goes to the log.

use std::sync::Arc;

use candor_model::{Partition, ProjectId, TopicName};
use kafka_protocol::ResponseError;

use super::coordinator::{Pass, Transactions};
use super::serve::Producing;
use super::state::{Parts, Places};
use crate::directory::TopicView;
use crate::mutant::{Mutant, planted};

/// From this version of Produce on a batch adds its partition to the transaction by itself (KIP-890).
const ADDS_FROM: i16 = 12;

/// From this version on a client knows that it may abort and go on (KIP-890).
const ABORTABLE_FROM: i16 = 11;

/// A batch of a transaction.
#[derive(Debug, Clone, Copy)]
pub struct Batch<'a> {
    /// The producer that it names.
    pub producer: i64,
    /// The producer's epoch.
    pub epoch: i16,
    /// Where it goes.
    pub topic: &'a TopicView,
    /// The partition.
    pub partition: Partition,
}

/// Whether a batch may come.
pub enum MayProduce {
    /// Now. The pass is kept until the batch has its turn in the log.
    Now(Pass),
    /// Once [`Transactions::add_produced`] has added its partition.
    Added(Adding),
}

/// A partition that a batch adds to its producer's transaction.
#[derive(Debug, Clone)]
pub struct Adding {
    who: Producing,
    topic: TopicName,
    name: Arc<str>,
    partition: Partition,
}

impl Transactions {
    /// Whether a transactional batch may be appended, by the version of its request. Answers from memory.
    pub fn may_produce(
        &self,
        project: ProjectId,
        transactional_id: Option<&str>,
        batch: Batch<'_>,
        version: i16,
    ) -> Result<MayProduce, ResponseError> {
        let Some(id) = transactional_id else {
            return Err(ResponseError::TransactionalIdAuthorizationFailed);
        };
        let Batch { producer, epoch, topic, partition } = batch;
        let entry = self.find(project, id).ok_or(ResponseError::InvalidProducerIdMapping)?;
        let pass = entry.pass(|transaction| {
            let transaction = transaction.ok_or(ResponseError::InvalidProducerIdMapping)?;
            if !planted(Mutant::SkipProduceFence) {
                transaction.check(producer, epoch)?;
            }
            transaction.holds(&topic.in_log, partition)
        });
        match pass {
            Ok(Some(pass)) => Ok(MayProduce::Now(pass)),
            Ok(None) if version >= ADDS_FROM => Ok(MayProduce::Added(Adding {
                who: Producing { project, id: Arc::clone(&entry.key.id), producer, epoch },
                topic: topic.in_log.clone(),
                name: Arc::clone(&topic.name),
                partition,
            })),
            Ok(None) => Err(told(ResponseError::InvalidTxnState, version)),
            Err(error) => Err(told(error, version)),
        }
    }

    /// Adds partitions to the transactions of those who produce to them; an answer for each, in order.
    pub async fn add_produced(&self, adding: Vec<Adding>, version: i16) -> Vec<Result<Pass, ResponseError>> {
        let mut answers = Vec::with_capacity(adding.len());
        // A request has one transactional id, and its batches one producer: those go together.
        let mut rest = adding.as_slice();
        while let Some(first) = rest.first() {
            let same = rest.iter().take_while(|one| one.who == first.who).count();
            let (own, others) = rest.split_at(same);
            rest = others;
            let mut places = Places::new();
            for one in own {
                let empty = || Parts { name: Arc::clone(&one.name), partitions: Default::default() };
                places.entry(one.topic.clone()).or_insert_with(empty).partitions.insert(one.partition);
            }
            let added = self.add(&first.who, places, None).await;
            for _ in own {
                answers.push(match &added {
                    Ok(pass) => Ok(pass.another()),
                    Err(error) => Err(told(*error, version)),
                });
            }
        }
        answers
    }
}

/// The error as a producer's version knows it.
fn told(error: ResponseError, version: i16) -> ResponseError {
    match error {
        ResponseError::ProducerFenced => ResponseError::InvalidProducerEpoch,
        // A batch behind the end of its transaction: only later versions wait and try again.
        ResponseError::ConcurrentTransactions if version < ADDS_FROM => {
            told(ResponseError::InvalidTxnState, version)
        }
        ResponseError::InvalidTxnState if version >= ABORTABLE_FROM => ResponseError::TransactionAbortable,
        // Producers try again.
        ResponseError::CoordinatorNotAvailable => ResponseError::NotEnoughReplicas,
        error => error,
    }
}
