//! From parsed records to the log: gathered in portions, with what was dropped on the way counted.

use std::future::Future;
use std::pin::Pin;

use candor_log::AppendError;
use candor_log::ingest::{Ingest, Receipt};
use candor_meta::WriteScope;
use candor_model::{Incoming, LogRecord, Records, SpanRecord};

use crate::door::Entry;
use crate::drops::{DropReason, Drops};
use crate::weight::{Weighed, portion};

/// Where records go: the gate and the log behind it. A trait, so that tests can make the log fail.
pub trait Accept: Send + Sync {
    /// Clears batches and appends them, all or none; on return they are on stable storage.
    fn accept<'a>(
        &'a self,
        scope: &'a WriteScope,
        incoming: Vec<Incoming>,
    ) -> Pin<Box<dyn Future<Output = Result<Receipt, AppendError>> + Send + 'a>>;
}

impl Accept for Ingest {
    fn accept<'a>(
        &'a self,
        scope: &'a WriteScope,
        incoming: Vec<Incoming>,
    ) -> Pin<Box<dyn Future<Output = Result<Receipt, AppendError>> + Send + 'a>> {
        Box::pin(Ingest::accept(self, scope, incoming))
    }
}

/// Records of a signal, as the gate takes them.
pub(crate) trait Kind: Weighed + Sized {
    fn batch(records: Vec<Self>) -> Records;
    /// Names the source of a record, where its signal knows sources.
    fn name_source(&mut self, source: &str);
}

impl Kind for LogRecord {
    fn batch(records: Vec<LogRecord>) -> Records {
        Records::Logs(records)
    }
    fn name_source(&mut self, source: &str) {
        source.clone_into(&mut self.source);
    }
}

impl Kind for SpanRecord {
    fn batch(records: Vec<SpanRecord>) -> Records {
        Records::Spans(records)
    }
    fn name_source(&mut self, _source: &str) {}
}

/// Whose records they are, and the source that they name; empty for none.
pub(crate) struct Sender<'a> {
    pub(crate) entry: &'a Entry,
    pub(crate) source: &'a str,
}

/// What became of a request's records.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) stored: u64,
    pub(crate) drops: Drops,
}

/// Portions that are stored together, all or none: 32 MiB of records in memory, which is more than the largest
/// requests that collectors and shippers send unless they are told to (8 MiB of OTLP, 12 MB of Logflare).
const PORTIONS_TOGETHER: usize = 4;

/// Stores the records of a request. One of at most [`PORTIONS_TOGETHER`] portions is stored whole or not at all, also
/// where the server dies in the middle. Of a larger one, what was stored before an error stays: the client gets no
/// success, and when it sends again those records are doubled unless it gives an `Idempotency-Key`.
pub(crate) async fn store<R: Kind>(
    door: &dyn Accept,
    sender: Sender<'_>,
    mut records: impl Iterator<Item = Result<R, DropReason>> + Send,
) -> Result<Outcome, AppendError> {
    let mut outcome = Outcome::default();
    let mut together = Vec::new();
    for nth in 0.. {
        let mut portion = portion(&mut records, &mut outcome.drops);
        let ended = portion.is_empty();
        if !ended {
            if !sender.source.is_empty() {
                portion.iter_mut().for_each(|record| record.name_source(sender.source));
            }
            together.push(Incoming {
                records: R::batch(portion),
                origin: sender.entry.origin.clone(),
                request: sender.entry.request.portion(nth),
            });
        }
        if !together.is_empty() && (ended || together.len() == PORTIONS_TOGETHER) {
            let receipt = door.accept(sender.entry.scope(), std::mem::take(&mut together)).await;
            let receipt = receipt.map_err(|error| match error.is_outdated() && outcome.stored > 0 {
                // Who sends all of it again at once would double what is stored.
                true => AppendError::Unavailable,
                false => error,
            })?;
            outcome.stored += receipt.stored();
            for (reason, count) in receipt.reports.iter().flat_map(|report| &report.dropped) {
                outcome.drops.add_many(of_gate(reason), *count);
            }
        }
        if ended {
            break;
        }
    }
    if outcome.stored > 0 {
        sender.entry.request.keep();
    }
    Ok(outcome)
}

/// The gate's reasons in our words.
fn of_gate(reason: &str) -> DropReason {
    match reason {
        "nesting" => DropReason::Nesting,
        "size" => DropReason::Size,
        _ => DropReason::Policy,
    }
}
