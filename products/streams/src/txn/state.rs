//! What a transaction may become: the coordinator's rules (KIP-98, KIP-360, KIP-890), without time, storage or locks of
//! their own.
//!
//! ```text
//! Empty ─ add ─► Ongoing ─ end ─► PrepareCommit ─ markers ─► CompleteCommit ─ add ─► Ongoing
//!                   └─ end, timeout, init ─► PrepareAbort ─ markers ─► CompleteAbort ─┘
//! ```
//!
//! Once Prepare is stored the outcome is settled, whatever happens. A producer of version 2 gets another epoch with
//! every end, and the markers carry it already: what comes late of the old epoch is refused by the partitions
//! themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use candor_model::{Partition, Timestamp, TopicName};
use kafka_protocol::ResponseError;

use crate::mutant::{Mutant, planted};

/// The last epoch that a producer is given. The one behind it is for the markers that fence it.
pub(super) const EPOCH_LAST: i16 = i16::MAX - 1;

/// No producer id.
pub(super) const NO_PRODUCER: i64 = -1;
/// No epoch.
pub(super) const NO_EPOCH: i16 = -1;

/// How far a transaction has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Empty,
    Ongoing,
    PrepareCommit,
    PrepareAbort,
    CompleteCommit,
    CompleteAbort,
}

impl Phase {
    pub const ALL: [Phase; 6] = [
        Phase::Empty,
        Phase::Ongoing,
        Phase::PrepareCommit,
        Phase::PrepareAbort,
        Phase::CompleteCommit,
        Phase::CompleteAbort,
    ];

    /// Its name to clients (KIP-664), and in storage.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Empty => "Empty",
            Phase::Ongoing => "Ongoing",
            Phase::PrepareCommit => "PrepareCommit",
            Phase::PrepareAbort => "PrepareAbort",
            Phase::CompleteCommit => "CompleteCommit",
            Phase::CompleteAbort => "CompleteAbort",
        }
    }

    pub fn from_name(name: &str) -> Option<Phase> {
        Phase::ALL.into_iter().find(|phase| phase.name() == name)
    }

    /// Its outcome is settled and not yet told everywhere.
    pub fn is_ending(self) -> bool {
        matches!(self, Phase::PrepareCommit | Phase::PrepareAbort)
    }

    fn prepare(commit: bool) -> Phase {
        if commit { Phase::PrepareCommit } else { Phase::PrepareAbort }
    }

    fn complete(commit: bool) -> Phase {
        if commit { Phase::CompleteCommit } else { Phase::CompleteAbort }
    }
}

/// A topic's partitions in a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Parts {
    /// What clients call the topic.
    pub name: Arc<str>,
    pub partitions: BTreeSet<Partition>,
}

/// Partitions by the names that the log has for their topics: one that was deleted and made again is another.
pub(super) type Places = BTreeMap<TopicName, Parts>;

/// How many partitions these are.
pub(super) fn count(places: &Places) -> usize {
    places.values().map(|parts| parts.partitions.len()).sum()
}

/// A transactional id with its producer and its transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Transaction {
    pub producer: i64,
    pub epoch: i16,
    /// The epoch that its owner had before the last change that it asked for itself: it comes with that again where
    /// the answer was lost. None where somebody else took over.
    pub last_epoch: i16,
    /// The id that its owner had before it was given another.
    pub last_producer: i64,
    /// The id that it goes on with behind this transaction, for its epochs are used up.
    pub next_producer: i64,
    pub timeout_ms: i32,
    pub phase: Phase,
    /// When the transaction began.
    pub started_at: Timestamp,
    /// When anything changed last.
    pub changed_at: Timestamp,
    pub places: Places,
    /// Consumer groups whose offsets it commits.
    pub groups: BTreeSet<Arc<str>>,
}

/// What becomes of an InitProducerId.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Init {
    /// It was done before: the producer is told again.
    Given(i64, i16),
    /// This is stored, then told.
    Becomes(Box<Transaction>),
    /// The open transaction is aborted like this; then the client asks again.
    Aborts(Box<Transaction>),
    /// Ask again with a fresh id.
    NeedsId,
}

/// What becomes of an EndTxn.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It was done before.
    Given(i64, i16),
    /// This is stored; markers follow.
    Prepares(Box<Transaction>),
    /// Nothing was written: this is stored, and that is all.
    Becomes(Box<Transaction>),
    /// Ask again with a fresh id.
    NeedsId,
}

/// InitProducerId. `asked` is the producer id and epoch that the client had, `fresh` an id that nobody has.
pub(super) fn init(
    current: Option<&Transaction>,
    asked: Option<(i64, i16)>,
    timeout_ms: i32,
    now: Timestamp,
    fresh: Option<i64>,
) -> Result<Init, ResponseError> {
    let Some(current) = current else {
        let Some(producer) = fresh else { return Ok(Init::NeedsId) };
        return Ok(Init::Becomes(Box::new(Transaction::new(producer, timeout_ms, now))));
    };
    let mut is_retry = false;
    if let Some((producer, epoch)) = asked {
        if producer == current.producer {
            is_retry = epoch != current.epoch && epoch == current.last_epoch;
            if epoch != current.epoch && !is_retry {
                return Err(ResponseError::ProducerFenced);
            }
        } else if producer == current.last_producer && epoch >= EPOCH_LAST && current.epoch == 0 {
            is_retry = true;
        } else {
            return Err(ResponseError::ProducerFenced);
        }
    }
    match current.phase {
        Phase::PrepareCommit | Phase::PrepareAbort => Err(ResponseError::ConcurrentTransactions),
        // It began something since: this is an old request that was on its way for long.
        Phase::Ongoing if is_retry => Err(ResponseError::ProducerFenced),
        Phase::Ongoing if !planted(Mutant::SkipInitAbort) => {
            Ok(Init::Aborts(Box::new(current.fenced(asked.map(|(_, epoch)| epoch), now))))
        }
        _ if is_retry => Ok(Init::Given(current.producer, current.epoch)),
        _ => {
            let mut next = Transaction {
                last_epoch: asked.map_or(NO_EPOCH, |(_, epoch)| epoch),
                last_producer: NO_PRODUCER,
                timeout_ms,
                phase: Phase::Empty,
                changed_at: now,
                ..current.clone()
            };
            if current.epoch < EPOCH_LAST {
                next.epoch += 1;
            } else {
                let Some(fresh) = fresh else { return Ok(Init::NeedsId) };
                next.last_producer = asked.map_or(NO_PRODUCER, |(producer, _)| producer);
                (next.producer, next.epoch) = (fresh, 0);
            }
            Ok(Init::Becomes(Box::new(next)))
        }
    }
}

impl Transaction {
    /// Of a producer that has done nothing yet.
    pub fn new(producer: i64, timeout_ms: i32, now: Timestamp) -> Transaction {
        Transaction {
            producer,
            epoch: 0,
            last_epoch: NO_EPOCH,
            last_producer: NO_PRODUCER,
            next_producer: NO_PRODUCER,
            timeout_ms,
            phase: Phase::Empty,
            started_at: Timestamp(0),
            changed_at: now,
            places: Places::new(),
            groups: BTreeSet::new(),
        }
    }

    /// That it is this producer who speaks.
    pub fn check(&self, producer: i64, epoch: i16) -> Result<(), ResponseError> {
        match () {
            () if producer != self.producer => Err(ResponseError::InvalidProducerIdMapping),
            () if epoch != self.epoch => Err(ResponseError::ProducerFenced),
            () => Ok(()),
        }
    }

    /// True where a batch or an offset of such a place may come now. An error where the transaction is ending.
    pub fn holds(&self, topic: &TopicName, partition: Partition) -> Result<bool, ResponseError> {
        self.may_grow()?;
        let parts = self.places.get(topic).filter(|_| self.phase == Phase::Ongoing);
        Ok(parts.is_some_and(|parts| parts.partitions.contains(&partition)))
    }

    /// The same of a group.
    pub fn holds_group(&self, group: &str) -> Result<bool, ResponseError> {
        self.may_grow()?;
        Ok(self.phase == Phase::Ongoing && self.groups.contains(group))
    }

    fn may_grow(&self) -> Result<(), ResponseError> {
        if self.phase.is_ending() { Err(ResponseError::ConcurrentTransactions) } else { Ok(()) }
    }

    /// With these places and this group, in a transaction that begins now where none is open.
    pub fn grown(&self, places: &Places, group: Option<&Arc<str>>, now: Timestamp) -> Transaction {
        let mut next = self.clone();
        if self.phase != Phase::Ongoing {
            next.phase = Phase::Ongoing;
            next.started_at = now;
            next.places.clear();
            next.groups.clear();
        }
        next.changed_at = now;
        for (topic, parts) in places {
            let empty = || Parts { name: Arc::clone(&parts.name), partitions: BTreeSet::new() };
            let held = next.places.entry(topic.clone()).or_insert_with(empty);
            held.partitions.extend(&parts.partitions);
        }
        next.groups.extend(group.map(Arc::clone));
        next
    }

    /// EndTxn. With `bumps` (version 5 on) the producer gets another epoch, whatever there was to end.
    pub fn end(
        &self,
        (producer, epoch): (i64, i16),
        commit: bool,
        bumps: bool,
        now: Timestamp,
        fresh: Option<i64>,
    ) -> Result<End, ResponseError> {
        let was_before = bumps
            && match producer == self.producer {
                true => epoch != self.epoch && epoch == self.last_epoch,
                false => producer == self.last_producer && epoch == EPOCH_LAST && self.epoch == 0,
            };
        if was_before {
            return match self.phase {
                phase if phase == Phase::complete(commit) => Ok(End::Given(self.producer, self.epoch)),
                phase if phase == Phase::prepare(commit) => Err(ResponseError::ConcurrentTransactions),
                Phase::Ongoing | Phase::Empty => Err(ResponseError::ProducerFenced),
                _ => Err(ResponseError::InvalidTxnState),
            };
        }
        if !planted(Mutant::SkipEndFence) {
            self.check(producer, epoch)?;
        }
        match self.phase {
            Phase::Ongoing => {}
            phase if phase == Phase::prepare(commit) => return Err(ResponseError::ConcurrentTransactions),
            phase if phase.is_ending() => return Err(ResponseError::InvalidTxnState),
            phase if !bumps && phase == Phase::complete(commit) => return Ok(End::Given(producer, epoch)),
            // Of version 2 it may abort what it does not know to have begun.
            _ if bumps && !commit => {}
            _ => return Err(ResponseError::InvalidTxnState),
        }
        let mut next = Transaction { phase: Phase::prepare(commit), changed_at: now, ..self.clone() };
        if bumps {
            if self.epoch >= EPOCH_LAST {
                let Some(fresh) = fresh else { return Ok(End::NeedsId) };
                next.next_producer = fresh;
            }
            next.last_epoch = self.epoch;
            next.last_producer = NO_PRODUCER;
            next.epoch = self.epoch.saturating_add(1);
        }
        match self.phase {
            Phase::Ongoing => Ok(End::Prepares(Box::new(next))),
            _ => Ok(End::Becomes(Box::new(next.completed(now)))),
        }
    }

    /// Aborted by somebody else, under the next epoch. `owner` is the epoch of the owner where it is itself that
    /// begins anew.
    pub fn fenced(&self, owner: Option<i16>, now: Timestamp) -> Transaction {
        Transaction {
            epoch: self.epoch.saturating_add(1),
            last_epoch: owner.unwrap_or(NO_EPOCH),
            last_producer: NO_PRODUCER,
            phase: Phase::PrepareAbort,
            changed_at: now,
            ..self.clone()
        }
    }

    /// The same once everybody is told how it ended.
    pub fn completed(&self, now: Timestamp) -> Transaction {
        let mut next = self.clone();
        next.phase = Phase::complete(self.commits());
        next.changed_at = now;
        next.places.clear();
        next.groups.clear();
        if self.next_producer != NO_PRODUCER {
            next.last_producer = self.producer;
            next.producer = self.next_producer;
            next.next_producer = NO_PRODUCER;
            next.epoch = 0;
        }
        next
    }

    /// Who a client is that ends it so, from then on.
    pub fn goes_on_as(&self) -> (i64, i16) {
        match self.next_producer {
            NO_PRODUCER => (self.producer, self.epoch),
            next => (next, 0),
        }
    }

    /// Its outcome, once it is settled.
    pub fn commits(&self) -> bool {
        matches!(self.phase, Phase::PrepareCommit | Phase::CompleteCommit)
    }

    /// Open for longer than its producer said that it would be.
    pub fn is_overdue(&self, now: Timestamp) -> bool {
        let until = self.started_at.0.saturating_add(i64::from(self.timeout_ms) * 1000);
        self.phase == Phase::Ongoing && now.0 >= until && !planted(Mutant::SkipTimeout)
    }

    /// Neither open nor ending, and unused since.
    pub fn is_idle_since(&self, since: Timestamp) -> bool {
        let is_over = !self.phase.is_ending() && self.phase != Phase::Ongoing;
        is_over && self.changed_at <= since
    }
}
