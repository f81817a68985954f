//! The one door for products: gate, then log.

use std::sync::Arc;

use bytes::Bytes;
use candor_gate::{Gate, GateReport};
use candor_meta::WriteScope;
use candor_model::{Incoming, Object};
use candor_store::{ObjectError, StoreError};

use crate::{AppendError, Appended, Log};

/// What became of a request.
#[derive(Debug, Clone, Default)]
pub struct Receipt {
    /// Where each batch went, in the order given; none where the gate dropped every record of it.
    pub appended: Vec<Option<Appended>>,
    /// What the gate did to each batch, in the order given.
    pub reports: Vec<GateReport>,
}

/// What became of an attachment.
#[derive(Debug, Clone, Default)]
pub struct Kept {
    /// What a record may call it; none where the gate dropped it.
    pub name: Option<String>,
    /// Bytes stored.
    pub bytes: u64,
    /// What the gate did.
    pub report: GateReport,
}

impl Receipt {
    /// Records stored.
    pub fn stored(&self) -> u64 {
        self.appended.iter().flatten().map(|appended| u64::from(appended.count)).sum()
    }
    /// Records the gate dropped.
    pub fn dropped(&self) -> u64 {
        self.reports.iter().flat_map(|report| &report.dropped).map(|(_, count)| count).sum()
    }
}

/// Gate and log together. Cheap to clone.
#[derive(Clone)]
pub struct Ingest {
    gate: Arc<Gate>,
    log: Log,
}

impl Ingest {
    /// Over a gate and a log.
    pub fn new(gate: Arc<Gate>, log: Log) -> Ingest {
        Ingest { gate, log }
    }

    /// The log behind it.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Clears an attachment and stores what is left of it. On return it is on stable storage; what appends the record
    /// that names it comes after.
    pub async fn keep(&self, scope: &WriteScope, content: Bytes) -> Result<Kept, AppendError> {
        let cleared = self.gate.clear_blob(scope, content);
        let mut kept = Kept { name: None, bytes: 0, report: cleared.report };
        if let Some(blob) = cleared.admitted {
            self.log.blobs().put(&blob).await.map_err(|error| match error {
                StoreError::Object(ObjectError::Full) => AppendError::Full,
                error => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "an attachment could not be stored"
                    );
                    AppendError::Unavailable
                }
            })?;
            kept.name = Some(blob.name());
            kept.bytes = blob.bytes().len() as u64;
        }
        Ok(kept)
    }

    /// Clears what is said about a project's attachment that no record names, in place.
    pub fn clear_about(&self, scope: &WriteScope, about: &mut Object) {
        self.gate.clear_about(scope.project(), about);
    }

    /// Clears batches and appends what is left of them, all or none. On return they are on stable storage.
    pub async fn accept(&self, scope: &WriteScope, incoming: Vec<Incoming>) -> Result<Receipt, AppendError> {
        let mut receipt = Receipt::default();
        let mut admitted = Vec::with_capacity(incoming.len());
        let mut places = Vec::with_capacity(incoming.len());
        for batch in incoming {
            let cleared = self.gate.clear(scope, batch);
            receipt.reports.push(cleared.report);
            receipt.appended.push(None);
            if let Some(batch) = cleared.admitted {
                places.push(receipt.appended.len() - 1);
                admitted.push(batch);
            }
        }
        if admitted.is_empty() {
            return Ok(receipt);
        }
        let appended = self.log.append(admitted).await?;
        for (place, appended) in places.into_iter().zip(appended) {
            if let Some(slot) = receipt.appended.get_mut(place) {
                *slot = Some(appended);
            }
        }
        Ok(receipt)
    }
}
