//! TxnOffsetCommit (KIP-98, KIP-447, KIP-890): offsets that count once the transaction is committed.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::txn_offset_commit_response::{
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use kafka_protocol::messages::{TxnOffsetCommitRequest, TxnOffsetCommitResponse};

use super::Producing;
use crate::caller::Caller;
use crate::txn::coordinator::{Pass, Transactions};

/// From this version on the group is added to the transaction by itself (KIP-890).
const ADDS_FROM: i16 = 5;

impl Transactions {
    /// TxnOffsetCommit, 0 to 5.
    pub async fn txn_offset_commit(
        &self,
        caller: &Caller,
        request: TxnOffsetCommitRequest,
        version: i16,
    ) -> TxnOffsetCommitResponse {
        match self.may_commit(caller, &request, version).await {
            // The transaction does not end before the offsets are there.
            Ok(pass) => {
                let response = self.inner.groups.txn_offset_commit(caller, request, version).await;
                drop(pass);
                response
            }
            Err(error) => refused(&request, error),
        }
    }

    async fn may_commit(
        &self,
        caller: &Caller,
        request: &TxnOffsetCommitRequest,
        version: i16,
    ) -> Result<Pass, ResponseError> {
        let (producer, epoch) = (request.producer_id.0, request.producer_epoch);
        let who = Producing::new(caller.project, &request.transactional_id, producer, epoch)?;
        if version >= ADDS_FROM {
            return self.add_group(&who, &request.group_id).await;
        }
        let entry = self.find(who.project, &who.id).ok_or(ResponseError::InvalidProducerIdMapping)?;
        let pass = entry.pass(|transaction| {
            let transaction = transaction.ok_or(ResponseError::InvalidProducerIdMapping)?;
            transaction.check(producer, epoch)?;
            transaction.holds_group(&request.group_id)
        });
        match pass {
            Ok(pass) => pass.ok_or(ResponseError::InvalidTxnState),
            // These versions do not know how to wait.
            Err(ResponseError::ConcurrentTransactions) => Err(ResponseError::InvalidTxnState),
            Err(ResponseError::ProducerFenced) => Err(ResponseError::InvalidProducerEpoch),
            Err(error) => Err(error),
        }
    }
}

fn refused(request: &TxnOffsetCommitRequest, error: ResponseError) -> TxnOffsetCommitResponse {
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            TxnOffsetCommitResponsePartition::default()
                .with_partition_index(partition.partition_index)
                .with_error_code(error.code())
        });
        TxnOffsetCommitResponseTopic::default()
            .with_name(topic.name.clone())
            .with_partitions(partitions.collect())
    });
    TxnOffsetCommitResponse::default().with_topics(topics.collect())
}
