//! EndTxn (KIP-98, KIP-890).

use std::sync::Arc;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::{EndTxnRequest, EndTxnResponse};

use super::{FENCED_FROM, Producing, to_the_end, told};
use crate::caller::Caller;
use crate::txn::coordinator::Transactions;
use crate::txn::state::{End, NO_EPOCH, NO_PRODUCER};

/// From this version on a producer gets another epoch with each end (KIP-890).
const BUMPS_FROM: i16 = 5;

impl Transactions {
    /// EndTxn, 0 to 5.
    pub async fn end_txn(&self, caller: &Caller, request: EndTxnRequest, version: i16) -> EndTxnResponse {
        let EndTxnRequest { transactional_id, producer_id, producer_epoch, committed, .. } = request;
        let bumps = version >= BUMPS_FROM;
        let ended = match Producing::new(caller.project, &transactional_id, producer_id.0, producer_epoch) {
            Ok(who) => self.end(who, committed, bumps).await,
            Err(error) => Err(error),
        };
        match ended {
            Ok((producer, epoch)) if bumps => {
                EndTxnResponse::default().with_producer_id(producer.into()).with_producer_epoch(epoch)
            }
            Ok(_) => EndTxnResponse::default(),
            Err(error) => EndTxnResponse::default()
                .with_error_code(told(error, version >= FENCED_FROM).code())
                .with_producer_id(NO_PRODUCER.into())
                .with_producer_epoch(NO_EPOCH),
        }
    }

    /// Ends a transaction, and gives who its producer is from then on.
    async fn end(&self, who: Producing, commit: bool, bumps: bool) -> Result<(i64, i16), ResponseError> {
        let entry = self.find(who.project, &who.id).ok_or(ResponseError::InvalidProducerIdMapping)?;
        let (own, of) = (self.clone(), Arc::clone(&entry));
        let asks = (who.producer, who.epoch);
        let unknown = ResponseError::InvalidProducerIdMapping;
        // What is ending is not waited for.
        let current = entry.transaction().ok_or(unknown)?;
        current.end(asks, commit, bumps, self.inner.clock.now(), None)?;
        let (goes_on_as, is_over) = to_the_end(async move {
            let turn = own.turn(&of).await?.ok_or(unknown)?;
            let mut fresh = None;
            loop {
                let current = of.transaction().ok_or(unknown)?;
                match current.end(asks, commit, bumps, own.inner.clock.now(), fresh)? {
                    End::Given(producer, epoch) => return Ok(((producer, epoch), true)),
                    End::Becomes(next) => {
                        let next = turn.change(*next).await?;
                        return Ok((next.goes_on_as(), true));
                    }
                    End::Prepares(next) => {
                        let next = turn.change(*next).await?;
                        return Ok((next.goes_on_as(), false));
                    }
                    End::NeedsId => fresh = Some(own.fresh_id().await?),
                }
            }
        })
        .await?;
        if !is_over {
            self.finish_aside(&entry).await;
        }
        Ok(goes_on_as)
    }
}
