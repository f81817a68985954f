//! The gate: the only way from what came to what the log accepts.
//!
//! [`Gate::clear`] takes [`Incoming`] and gives [`Admitted`]. Nothing else makes an `Admitted`: its fields are
//! private and it has no other constructor, so what was not admitted cannot be written.

pub mod admission;
pub mod admitted;
pub mod codec;
pub mod schema;

pub use admitted::{Admitted, AdmittedBlob};

use candor_keyring::Keyring;
use candor_meta::WriteScope;
use candor_model::{Clock, Incoming, Random};
use std::sync::Arc;

/// What the gate did to a batch: counts, never values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GateReport {
    /// Records dropped, by reason (`nesting`, `size`, `policy:…`).
    pub dropped: Vec<(&'static str, u64)>,
    /// Values replaced, by kind (`card`, `secret`, …).
    pub replaced: Vec<(&'static str, u64)>,
}

/// What became of a batch.
#[derive(Debug)]
pub struct Cleared {
    /// What may be written; none when every record was dropped.
    pub admitted: Option<Admitted>,
    /// What was done.
    pub report: GateReport,
}

/// The gate. Pure but for the keyring's memory of what the vault already holds.
pub struct Gate {}

impl Gate {
    /// A gate with the default rules.
    pub fn new(_keyring: Arc<Keyring>, _clock: Arc<dyn Clock>, _random: Arc<dyn Random>) -> Gate {
        todo!()
    }

    /// Clears one batch for the project that the key proved.
    pub fn clear(&self, _scope: &WriteScope, _incoming: Incoming) -> Cleared {
        todo!()
    }
}
