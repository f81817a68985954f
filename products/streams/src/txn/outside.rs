//! What the end of a transaction does elsewhere: markers in the log, offsets in the groups.

use std::sync::Arc;

use async_trait::async_trait;
use candor_gate::{Gate, TransactionEnd};
use candor_log::{AppendError, Log, Rejected};
use candor_meta::{Tenancy, WriteScope};
use candor_model::{Partition, ProjectId, TopicName};
use kafka_protocol::ResponseError;

use crate::groups::Groups;

/// Markers of one append: what waits behind them waits for all of them.
const MARKERS_AT_ONCE: usize = 1_000;

/// Where transactions end. Doing any of it again is harmless.
#[async_trait]
pub(super) trait Outside: Send + Sync {
    /// Writes markers, and gives what became of each. None where the project is deleted, and all of this with it.
    async fn mark(
        &self,
        project: ProjectId,
        places: Vec<(TopicName, Partition)>,
        end: TransactionEnd,
    ) -> Result<Vec<Result<(), ResponseError>>, ResponseError>;

    /// Ends what a producer has pending in a group.
    async fn end_offsets(
        &self,
        project: ProjectId,
        group: &str,
        producer: i64,
        commit: bool,
    ) -> Result<(), ResponseError>;
}

/// The log and the groups.
pub(super) struct House {
    pub tenancy: Tenancy,
    pub gate: Arc<Gate>,
    pub log: Log,
    pub groups: Groups,
}

#[async_trait]
impl Outside for House {
    async fn mark(
        &self,
        project: ProjectId,
        places: Vec<(TopicName, Partition)>,
        end: TransactionEnd,
    ) -> Result<Vec<Result<(), ResponseError>>, ResponseError> {
        let scope = self.tenancy.user_write(project).await.map_err(|error| {
            tracing::warn!(error = &error as &dyn std::error::Error, "a project could not be looked up");
            ResponseError::CoordinatorNotAvailable
        })?;
        let Some(scope) = scope else {
            return Ok(vec![Err(ResponseError::UnknownTopicOrPartition); places.len()]);
        };
        Ok(write(&self.gate, &self.log, &scope, &places, end).await)
    }

    async fn end_offsets(
        &self,
        project: ProjectId,
        group: &str,
        producer: i64,
        commit: bool,
    ) -> Result<(), ResponseError> {
        self.groups.end_txn(project, group, producer, commit).await
    }
}

/// Writes markers, and gives what became of each.
pub(super) async fn write(
    gate: &Gate,
    log: &Log,
    scope: &WriteScope,
    places: &[(TopicName, Partition)],
    end: TransactionEnd,
) -> Vec<Result<(), ResponseError>> {
    let mut all = Vec::with_capacity(places.len());
    for chunk in places.chunks(MARKERS_AT_ONCE) {
        let markers = chunk.iter().map(|(topic, at)| gate.marker(scope, topic.clone(), *at, end));
        let written = log.append_each(markers.collect()).await;
        all.extend(written.into_iter().map(|written| match written {
            Ok(_) => Ok(()),
            Err(error) => Err(refusal(&error)),
        }));
    }
    all
}

/// Why a marker was not written.
fn refusal(error: &AppendError) -> ResponseError {
    match error {
        AppendError::Full | AppendError::Unavailable => ResponseError::KafkaStorageError,
        AppendError::Overloaded => ResponseError::RequestTimedOut,
        AppendError::Closed => ResponseError::NotLeaderOrFollower,
        AppendError::Rejected(Rejected::InvalidProducerEpoch) => ResponseError::InvalidProducerEpoch,
        AppendError::Rejected(Rejected::OutOfOrderSequence | Rejected::InvalidTransactionState) => {
            ResponseError::InvalidTxnState
        }
        AppendError::Rejected(Rejected::Deleted) => ResponseError::UnknownTopicOrPartition,
        // The next marker is one of the policy that holds then.
        AppendError::Rejected(Rejected::Outdated) => ResponseError::NotEnoughReplicas,
        // Each marker was handed over by itself.
        AppendError::Rejected(Rejected::AllOrNone) => ResponseError::UnknownServerError,
    }
}

/// True where a marker that was refused so is not missed: the partition is gone, or a later producer's epoch has closed
/// the transaction there.
pub(super) fn is_settled(error: ResponseError) -> bool {
    matches!(error, ResponseError::UnknownTopicOrPartition | ResponseError::InvalidProducerEpoch)
}
