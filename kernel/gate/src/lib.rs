//! The gate: the only way from what came to what the log accepts.
//!
//! [`Gate::clear`] takes [`Incoming`] and gives [`Admitted`]. Nothing else makes an `Admitted`: its fields are
//! private and it has no other constructor, so what was not admitted cannot be written.
//!
//! ```text
//! Incoming ─ limits ─ identity: codes in, identifiers out ─ scrub ─ repeated identifiers ─ rows ─ encode ─ Admitted
//! ```
//!
//! A topic of streams holds Kafka record batches: [`Gate::clear_stream`] takes one as it was sent and keeps its bytes
//! unless a rule strikes in it; whom its records name stands beside it.
//!
//! Identity goes first because it goes by names, and a name may be scrubbed; repeats go behind the scrubbing because
//! what is struck needs no code. A record in which one was replaced is scrubbed once more (the detectors know a
//! code), so that what is stored does not change when it is scrubbed again. Fail closed: a record that cannot be cleared is dropped and counted, never stored raw. The
//! trade-off refused is clearing lazily at read: what is stored raw once is in every backup.

mod binary;
mod clear;
mod identity;
mod policy;
mod rows;
mod streams;
mod totals;

pub mod admission;
pub mod admitted;
pub mod codec;
pub mod json;
#[cfg(doctest)]
mod refused;
pub mod schema;

pub use admitted::{Admitted, AdmittedBlob};
pub use candor_scrub::{RuleError, Rules};
pub use policy::{Policy, UnknownFields};
pub use streams::{
    ClearedStream, OpenedSubjects, Part, RecordRefusal, RefusedRecord, STREAM_BOUNDS, Schemas, StreamBatch,
    StreamRefusal, StreamSubjects, Timestamps, TransactionEnd, ValuesMode,
};
pub use totals::Totals;

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use candor_keyring::Keyring;
use candor_meta::WriteScope;
use candor_model::{Clock, Incoming, Object, Partition, ProjectId, Random, TopicName, Value};
use candor_schemas::Schema;
use candor_scrub::Counts;
use parking_lot::RwLock;

use policy::Compiled;

/// What the gate did to a batch: counts, never values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GateReport {
    /// Records dropped, by reason (`nesting`, `size`, `policy:…`).
    pub dropped: Vec<(&'static str, u64)>,
    /// Values replaced or taken out, by kind (`card`, `secret`, …, `identifier`, `ip`, `user_trait`).
    pub replaced: Vec<(&'static str, u64)>,
    /// Attributes dropped because a record had too many or their names were too long.
    pub attributes_dropped: u64,
}

impl GateReport {
    /// What rules alone did.
    pub(crate) fn of(counts: &Counts) -> GateReport {
        let replaced = counts.by_kind().map(|(kind, count)| (kind.name(), count)).collect();
        GateReport { replaced, ..GateReport::default() }
    }

    /// A batch of a stream that was refused whole; its producer was told.
    fn refused(records: u64) -> GateReport {
        GateReport { dropped: vec![("stream", records)], ..GateReport::default() }
    }

    /// Records dropped for any reason.
    pub fn records_dropped(&self) -> u64 {
        self.dropped.iter().map(|(_, count)| count).sum()
    }
}

/// What became of a batch.
#[derive(Debug)]
pub struct Cleared {
    /// What may be written; none when every record was dropped.
    pub admitted: Option<Admitted>,
    /// What was done.
    pub report: GateReport,
}

/// What became of an attachment.
#[derive(Debug)]
pub struct ClearedBlob {
    /// What may be written; none when it was dropped.
    pub admitted: Option<AdmittedBlob>,
    /// What was done.
    pub report: GateReport,
}

/// The gate. Pure but for the keyring's memory of what the vault already holds.
pub struct Gate {
    keyring: Arc<Keyring>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    policy: RwLock<Arc<Compiled>>,
    totals: Totals,
    /// What knows the schemas that values of streams name; none until it is there.
    schemas: OnceLock<Arc<dyn Schemas>>,
}

impl Gate {
    /// A gate with the default rules.
    pub fn new(keyring: Arc<Keyring>, clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Gate {
        let (policy, totals, schemas) = (RwLock::default(), Totals::default(), OnceLock::new());
        Gate { keyring, clock, random, policy, totals, schemas }
    }

    /// Opens values of streams by the schemas that they name, from now on; the first that is given stays.
    pub fn set_schemas(&self, schemas: Arc<dyn Schemas>) {
        let _ = self.schemas.set(schemas);
    }

    /// Clears by this policy from now on. Batches that are being cleared end under the one that they began with.
    pub fn set_policy(&self, policy: Policy) -> Result<(), RuleError> {
        let compiled = Arc::new(Compiled::new(policy)?);
        *self.policy.write() = compiled;
        Ok(())
    }

    /// Clears one batch for the project that the key proved.
    pub fn clear(&self, scope: &WriteScope, incoming: Incoming) -> Cleared {
        let policy = Arc::clone(&self.policy.read());
        let cleared = clear::batch(&self.keyring, &policy, self.clock.now(), scope.project(), incoming);
        self.totals.add(&cleared.report);
        cleared
    }

    /// Clears one batch of a topic of streams, as a producer sent it, for the project that the credential proved. One
    /// that needs no change keeps its bytes, without a copy; a batch is taken whole or not at all.
    pub fn clear_stream(
        &self,
        scope: &WriteScope,
        batch: StreamBatch,
    ) -> Result<ClearedStream, StreamRefusal> {
        let policy = Arc::clone(&self.policy.read());
        let records = batch.records();
        let cleared = streams::clear(
            &self.keyring,
            &policy,
            self.schemas.get(),
            self.clock.now(),
            scope.project(),
            batch,
        );
        match &cleared {
            Ok(cleared) => self.totals.add(&cleared.report),
            Err(_) => self.totals.add(&GateReport::refused(records)),
        }
        cleared
    }

    /// What a part of a stored record says by the schema that it names, and that schema, for those who read; none where the
    /// topic's `values` are not opened so, or the gate itself would not have opened it. The rules that hold now strike in
    /// it: its schema may have become known after it came.
    pub fn shown(
        &self,
        project: ProjectId,
        (values, part): (ValuesMode, Part),
        bytes: &[u8],
    ) -> Option<(Arc<Schema>, Value)> {
        let schemas = self.schemas.get().filter(|_| values.opens_by_schema(part))?;
        let policy = Arc::clone(&self.policy.read());
        streams::shown(&policy, &**schemas, project, bytes)
    }

    /// The marker that ends a producer's transaction in a partition.
    pub fn marker(
        &self,
        scope: &WriteScope,
        topic: TopicName,
        partition: Partition,
        end: TransactionEnd,
    ) -> Admitted {
        let epoch = self.policy.read().epoch;
        let batch = end.batch(self.clock.now());
        Admitted::stream(scope.project(), topic, partition, batch, 1, epoch)
    }

    /// What was done since the start.
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// Clears what is said about an attachment that no record names (its file name and the like), in place.
    pub fn clear_about(&self, about: &mut Object) {
        let policy = Arc::clone(&self.policy.read());
        let mut counts = Counts::new();
        policy.scrubber.scrub_object(about, &mut counts);
        self.totals.add(&GateReport::of(&counts));
    }

    /// Clears one attachment. Text is scrubbed (as JSON where it is JSON). In anything else, as a memory dump, runs of
    /// text in which a rule strikes are blanked at their own length; what is compressed or encoded within is not
    /// looked into.
    pub fn clear_blob(&self, scope: &WriteScope, content: Bytes) -> ClearedBlob {
        let policy = Arc::clone(&self.policy.read());
        let mut id = [0; 16];
        self.random.fill(&mut id);
        // Time first, so that names say their age without a table.
        let milliseconds = u64::try_from(self.clock.now().0 / 1000).unwrap_or_default();
        for (to, from) in id.iter_mut().zip(milliseconds.to_be_bytes().into_iter().skip(2)) {
            *to = from;
        }
        let cleared = clear::blob(&policy, scope.project(), id, content);
        self.totals.add(&cleared.report);
        cleared
    }
}
