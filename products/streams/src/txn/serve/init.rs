//! InitProducerId (KIP-98, KIP-360).

use std::sync::Arc;
use std::time::Duration;

use candor_model::ProjectId;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse};

use super::{check_id, to_the_end, told};
use crate::caller::Caller;
use crate::txn::coordinator::Transactions;
use crate::txn::state::{self, Init, NO_EPOCH, NO_PRODUCER};

/// From this version on a client knows that it was fenced (KIP-588).
const FENCED_FROM: i16 = 4;

impl Transactions {
    /// InitProducerId, 0 to 5.
    pub async fn init_producer_id(
        &self,
        caller: &Caller,
        request: InitProducerIdRequest,
        version: i16,
    ) -> InitProducerIdResponse {
        let Some(id) = request.transactional_id.clone() else {
            return self.inner.producer_ids.init(request).await;
        };
        let asked = (request.producer_id.0, request.producer_epoch);
        let answer = InitProducerIdResponse::default();
        match self.init(caller.project, &id, asked, request.transaction_timeout_ms).await {
            Ok((producer, epoch)) => answer.with_producer_id(producer.into()).with_producer_epoch(epoch),
            Err(error) => answer
                .with_error_code(told(error, version >= FENCED_FROM).code())
                .with_producer_id(NO_PRODUCER.into())
                .with_producer_epoch(NO_EPOCH),
        }
    }

    async fn init(
        &self,
        project: ProjectId,
        id: &str,
        asked: (i64, i16),
        timeout_ms: i32,
    ) -> Result<(i64, i16), ResponseError> {
        check_id(id)?;
        let asked = match asked {
            (NO_PRODUCER, NO_EPOCH) => None,
            (producer, epoch) if producer >= 0 && epoch >= 0 => Some(asked),
            _ => return Err(ResponseError::InvalidRequest),
        };
        let timeout =
            u64::try_from(timeout_ms).ok().filter(|timeout| *timeout > 0).map(Duration::from_millis);
        if timeout.is_none_or(|timeout| timeout > self.inner.settings.max_timeout) {
            return Err(ResponseError::InvalidTransactionTimeout);
        }
        // What is ending is not waited for.
        let entry = self.find(project, id);
        if entry
            .and_then(|entry| entry.transaction())
            .is_some_and(|transaction| transaction.phase.is_ending())
        {
            return Err(ResponseError::ConcurrentTransactions);
        }
        let own = self.clone();
        let id = id.to_owned();
        to_the_end(async move {
            loop {
                let entry = own.find_or_make(project, &id).await?;
                if let Some(turn) = own.turn(&entry).await? {
                    let mut fresh = None;
                    break loop {
                        let (current, now) = (entry.transaction(), own.inner.clock.now());
                        match state::init(current.as_deref(), asked, timeout_ms, now, fresh)? {
                            Init::Given(producer, epoch) => break Ok((producer, epoch)),
                            Init::Becomes(next) => {
                                let next = turn.change(*next).await?;
                                break Ok((next.producer, next.epoch));
                            }
                            Init::Aborts(next) => {
                                turn.change(*next).await?;
                                let (own, entry) = (own.clone(), Arc::clone(&entry));
                                // It is settled; where this fails it is tried until it is done.
                                tokio::spawn(async move { own.finish(&entry).await });
                                break Err(ResponseError::ConcurrentTransactions);
                            }
                            Init::NeedsId => fresh = Some(own.fresh_id().await?),
                        }
                    };
                }
            }
        })
        .await
    }

    /// A producer id that nobody has.
    pub(super) async fn fresh_id(&self) -> Result<i64, ResponseError> {
        self.inner.producer_ids.next().await.map_err(|error| {
            tracing::warn!(error = &error as &dyn std::error::Error, "no producer id could be given");
            ResponseError::CoordinatorNotAvailable
        })
    }
}
