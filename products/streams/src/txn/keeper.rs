//! What happens by itself: ends that were settled are carried through, what is open for too long is aborted, ids that
//! nobody uses are forgotten.

use std::sync::Arc;

use candor_model::Timestamp;
use futures::StreamExt;
use kafka_protocol::ResponseError;

use super::coordinator::{Entry, Transactions};
use super::state::Transaction;

/// Transactions that are ended at once.
const ENDS_AT_ONCE: usize = 32;

/// What an id is due for.
#[derive(Clone, Copy)]
enum Due {
    Finish,
    Abort,
    Forget,
    /// It is stored once more, for nobody knows what is.
    Store,
}

impl Transactions {
    /// Looks for what is due, for as long as there is anybody else who holds this.
    pub(super) fn keep(&self) {
        let weak = Arc::downgrade(&self.inner);
        let every = self.inner.settings.look_every;
        tokio::spawn(async move {
            while let Some(inner) = weak.upgrade() {
                Transactions { inner }.look().await;
                tokio::time::sleep(every).await;
            }
        });
    }

    /// Does what is due now.
    pub(super) async fn look(&self) {
        let due = self.all().into_iter().filter_map(|entry| {
            let due = self.due(&entry, entry.transaction().as_deref())?;
            Some((entry, due))
        });
        let done = futures::stream::iter(due).map(|(entry, due)| async move { self.act(&entry, due).await });
        let done: Vec<Result<(), ResponseError>> = done.buffer_unordered(ENDS_AT_ONCE).collect().await;
        let failed = done.iter().filter(|done| done.is_err()).count();
        if let Some(Err(first)) = done.into_iter().find(Result::is_err) {
            tracing::warn!(failed, ?first, "transactions cannot be ended now, and are tried again");
        }
    }

    fn due(&self, entry: &Entry, transaction: Option<&Transaction>) -> Option<Due> {
        let now = self.inner.clock.now();
        let kept = i64::try_from(self.inner.settings.id_expiration.as_micros()).unwrap_or(i64::MAX);
        match transaction {
            Some(ending) if ending.phase.is_ending() => Some(Due::Finish),
            Some(open) if open.is_overdue(now) => Some(Due::Abort),
            Some(idle) if idle.is_idle_since(Timestamp(now.0.saturating_sub(kept))) => Some(Due::Forget),
            Some(_) => entry.is_unsure().then_some(Due::Store),
            // Its first producer could not be stored.
            None => Some(Due::Forget),
        }
    }

    async fn act(&self, entry: &Arc<Entry>, due: Due) -> Result<(), ResponseError> {
        if let Due::Finish = due {
            return self.finish(entry).await;
        }
        {
            let Some(turn) = self.turn(entry).await? else { return Ok(()) };
            // Once more, now that nobody else changes it.
            let transaction = entry.transaction();
            match (self.due(entry, transaction.as_deref()), transaction) {
                (Some(Due::Abort), Some(open)) => {
                    turn.change(open.fenced(None, self.inner.clock.now())).await?;
                    tracing::info!(
                        producer = open.producer,
                        "a transaction was open for longer than its timeout and is aborted"
                    );
                }
                (Some(Due::Forget), _) => {
                    return match self.remove(&turn).await {
                        true => Ok(()),
                        false => Err(ResponseError::CoordinatorNotAvailable),
                    };
                }
                (Some(Due::Store), Some(known)) => {
                    turn.change(Transaction::clone(&known)).await?;
                    return Ok(());
                }
                _ => return Ok(()),
            }
        }
        self.finish(entry).await
    }
}
