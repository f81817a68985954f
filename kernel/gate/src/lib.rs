//! The gate: the only way from what came to what the log accepts.
//!
//! [`Gate::clear`] takes [`Incoming`] and gives [`Admitted`]. Nothing else makes an `Admitted`: its fields are
//! private and it has no other constructor, so what was not admitted cannot be written.
//!
//! ```text
//! Incoming ─ limits ─ activity, age, consent ─ fields ─ identity: codes in, identifiers out ─ scrub
//!          ─ repeated identifiers ─ rows ─ encode ─ Admitted
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
mod collect;
mod identity;
mod policy;
mod rows;
mod streams;
mod tester;
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
pub use policy::{
    Activities, Activity, AddressRule, AgentRule, BySignal, Collect, CompileError, Compiled, ConsentRules,
    DeviceRule, IdentityRules, LocationRule, Mode, Policy, Site, Switches, TooYoung, TopicRules,
    UnknownFields, compile,
};
pub use streams::{
    ClearedStream, OpenedSubjects, Part, RecordRefusal, RefusedRecord, STREAM_BOUNDS, Schemas, StreamBatch,
    StreamRefusal, StreamSubjects, Timestamps, TransactionEnd, ValuesMode,
};
pub use tester::{Change, Tested};
pub use totals::Totals;

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use candor_keyring::Keyring;
use candor_meta::WriteScope;
use candor_model::{Clock, Incoming, Object, Partition, PolicyEpoch, ProjectId, Random, TopicName, Value};
use candor_schemas::Schema;
use candor_scrub::Counts;
use parking_lot::RwLock;

use clear::By;
use policy::Policies;

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
    fn refused(refusal: &StreamRefusal, records: u64) -> GateReport {
        GateReport { dropped: vec![(refusal.kind(), records)], ..GateReport::default() }
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

/// Whoever acts upon what the gate learns of persons. Told of each batch once it is cleared; it must be quick.
pub trait Persons: Send + Sync {
    /// These say that they are younger than the policy takes (`consent.children`). Their record was dropped; what is
    /// stored of them is to go.
    fn too_young(&self, project: ProjectId, codes: &[String]);

    /// Rows of these are not to be shared (`no_share`).
    fn not_shared(&self, project: ProjectId, codes: &[String]);
}

/// The gate. Pure but for the keyring's memory of what the vault already holds.
pub struct Gate {
    keyring: Arc<Keyring>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    policies: RwLock<Arc<Policies>>,
    totals: Totals,
    /// Who is told of persons; nobody until it is there.
    persons: OnceLock<Arc<dyn Persons>>,
    /// What knows the schemas that values of streams name; none until it is there.
    schemas: OnceLock<Arc<dyn Schemas>>,
}

impl Gate {
    /// A gate with the default rules.
    pub fn new(keyring: Arc<Keyring>, clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Gate {
        Gate {
            keyring,
            clock,
            random,
            policies: RwLock::default(),
            totals: Totals::default(),
            persons: OnceLock::new(),
            schemas: OnceLock::new(),
        }
    }

    /// Tells what is learned of persons, from now on; the first that is given stays.
    pub fn set_persons(&self, persons: Arc<dyn Persons>) {
        let _ = self.persons.set(persons);
    }

    /// Opens values of streams by the schemas that they name, from now on; the first that is given stays.
    pub fn set_schemas(&self, schemas: Arc<dyn Schemas>) {
        let _ = self.schemas.set(schemas);
    }

    /// Clears by these policies from now on: the instance's, and those of projects that have their own. Batches that are
    /// being cleared end under the one that they began with.
    ///
    /// Epochs are of one sequence over all policies, and each change takes the next; a project's batches carry its own
    /// policy's or the instance's, whichever is newer. Where a project gives its own policy up the instance's is set anew
    /// under the next epoch. Once this returns the log's floor may be raised (`Log::set_policy_floor`).
    pub fn set_policies(&self, instance: Compiled, projects: HashMap<ProjectId, Compiled>) {
        let policies = Arc::new(Policies::new(instance, projects));
        *self.policies.write() = policies;
    }

    /// Clears by this policy alone from now on.
    pub fn set_policy(&self, policy: Policy) -> Result<(), RuleError> {
        self.set_policies(Compiled::new(policy)?, HashMap::new());
        Ok(())
    }

    /// The policy of a project, and the epoch that its batches carry.
    fn policy_of(&self, project: ProjectId) -> (Arc<Compiled>, PolicyEpoch) {
        self.policies.read().of(project)
    }

    /// The epoch that a project's batches carry now.
    pub fn epoch(&self, project: ProjectId) -> PolicyEpoch {
        self.policy_of(project).1
    }

    /// What the activities of a project's policy say, also how long each signal's and topic's records live.
    pub fn activities(&self, project: ProjectId) -> Activities {
        self.policy_of(project).0.activities().clone()
    }

    /// Clears one batch for the project that the key proved.
    pub fn clear(&self, scope: &WriteScope, incoming: Incoming) -> Cleared {
        let project = scope.project();
        let (policy, epoch) = self.policy_of(project);
        let by = By { keyring: &self.keyring, policy: &policy, epoch, now: self.clock.now(), project };
        let (cleared, learned) = clear::batch(by, incoming);
        self.totals.add_of(project, &cleared.report);
        if let Some(persons) = self.persons.get() {
            if !learned.too_young.is_empty() {
                persons.too_young(project, &learned.too_young);
            }
            if !learned.unshared.is_empty() {
                persons.not_shared(project, &learned.unshared);
            }
        }
        cleared
    }

    /// What a policy makes of records of a project, and which of its clauses does what: for whoever tries it out. Nothing
    /// is stored, counted or told.
    pub fn test(&self, policy: &Compiled, project: ProjectId, incoming: Incoming) -> Vec<Tested> {
        let epoch = policy.epoch();
        let by = By { keyring: &self.keyring, policy, epoch, now: self.clock.now(), project };
        tester::test(by, incoming)
    }

    /// Clears one batch of a topic of streams, as a producer sent it, for the project that the credential proved. One
    /// that needs no change keeps its bytes, without a copy; a batch is taken whole or not at all.
    pub fn clear_stream(
        &self,
        scope: &WriteScope,
        batch: StreamBatch,
    ) -> Result<ClearedStream, StreamRefusal> {
        let project = scope.project();
        let (policy, epoch) = self.policy_of(project);
        let records = batch.records();
        let by = By { keyring: &self.keyring, policy: &policy, epoch, now: self.clock.now(), project };
        let cleared = streams::clear(by, self.schemas.get(), batch);
        match &cleared {
            Ok(cleared) => self.totals.add_of(project, &cleared.report),
            Err(refusal) => self.totals.add_of(project, &GateReport::refused(refusal, records)),
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
        let (policy, _) = self.policy_of(project);
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
        let epoch = self.epoch(scope.project());
        let batch = end.batch(self.clock.now());
        Admitted::stream(scope.project(), topic, partition, batch, 1, epoch)
    }

    /// What was done since the start.
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// Clears what is said about a project's attachment that no record names (its file name and the like), in place.
    pub fn clear_about(&self, project: ProjectId, about: &mut Object) {
        let (policy, _) = self.policy_of(project);
        let mut counts = Counts::new();
        policy.scrubber.scrub_object(about, &mut counts);
        self.totals.add(&GateReport::of(&counts));
    }

    /// Clears one attachment. Text is scrubbed (as JSON where it is JSON). In anything else, as a memory dump, runs of
    /// text in which a rule strikes are blanked at their own length; what is compressed or encoded within is not
    /// looked into.
    pub fn clear_blob(&self, scope: &WriteScope, content: Bytes) -> ClearedBlob {
        let (policy, epoch) = self.policy_of(scope.project());
        let mut id = [0; 16];
        self.random.fill(&mut id);
        // Time first, so that names say their age without a table.
        let milliseconds = u64::try_from(self.clock.now().0 / 1000).unwrap_or_default();
        for (to, from) in id.iter_mut().zip(milliseconds.to_be_bytes().into_iter().skip(2)) {
            *to = from;
        }
        let cleared = clear::blob((&policy, epoch), scope.project(), id, content);
        self.totals.add_of(scope.project(), &cleared.report);
        cleared
    }
}
