//! All transactional ids, each changed by one at a time: the change is settled, stored, and then seen.
//!
//! A change runs to its end whoever waits for it, else one who hangs up would leave memory behind storage. Whether a
//! batch may come is told from memory, under a lock that nobody holds for long; a batch that may is counted until it has
//! its place in the log, and markers wait for that.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use candor_gate::{Gate, TransactionEnd, may_name};
use candor_log::Log;
use candor_meta::{Database, SqlError, Tenancy};
use candor_model::{Clock, Partition, ProjectId, Timestamp, TopicName};
use kafka_protocol::ResponseError;
use parking_lot::Mutex;
use tokio::sync::{Mutex as Turns, MutexGuard, Notify};

use super::committer::Committer;
use super::outside::{House, Outside, is_settled};
use super::settings::Settings;
use super::state::{self, Transaction};
use super::storage::{Key, Step, Storage};
use super::tables::Tables;
use crate::by_project::ByProject;
use crate::data::producer_ids::ProducerIds;
use crate::directory::TopicDirectory;
use crate::groups::Groups;
use crate::mutant::{Mutant, planted};

/// How long the database may take, with somebody waiting.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(10);

/// The coordinator's epoch in markers: there is one, for one process serves.
pub(super) const COORDINATOR_EPOCH: i32 = 0;

/// The transactions of all projects. Cheap to clone.
#[derive(Clone)]
pub struct Transactions {
    pub(super) inner: Arc<Inner>,
}

/// What transactions are opened with.
pub struct TransactionsOptions {
    /// Metadata.
    pub database: Database,
    /// Projects.
    pub tenancy: Tenancy,
    /// Where markers go.
    pub log: Log,
    /// What makes them.
    pub gate: Arc<Gate>,
    /// Groups whose offsets transactions commit.
    pub groups: Groups,
    /// Topics.
    pub directory: Arc<dyn TopicDirectory>,
    /// Where ids come from.
    pub producer_ids: ProducerIds,
    /// Wall time.
    pub clock: Arc<dyn Clock>,
    /// Bounds and times.
    pub settings: Settings,
}

pub(super) struct Inner {
    committer: Committer,
    pub outside: Arc<dyn Outside>,
    pub groups: Groups,
    pub log: Log,
    pub directory: Arc<dyn TopicDirectory>,
    pub producer_ids: ProducerIds,
    pub clock: Arc<dyn Clock>,
    pub settings: Settings,
    entries: Mutex<ByProject<Entry>>,
    /// Partitions of all open transactions.
    partitions: AtomicUsize,
}

/// A transactional id.
pub(super) struct Entry {
    pub key: Key,
    /// Who changes it. Held across the storing.
    turn: Turns<()>,
    state: Mutex<State>,
    /// Batches and offsets that were let in and are on their way.
    under_way: AtomicUsize,
    arrived: Notify,
}

struct State {
    /// None until a first producer is stored.
    transaction: Option<Arc<Transaction>>,
    /// What is stored may differ, for an answer of the database was lost.
    unsure: bool,
    /// It was removed: who holds it looks for it again.
    gone: bool,
}

/// Something that was let into a transaction and is on its way: the transaction's end waits until this is dropped.
#[must_use]
pub struct Pass {
    entry: Arc<Entry>,
}

impl Pass {
    /// Another one for the same transaction.
    pub(super) fn another(&self) -> Pass {
        self.entry.under_way.fetch_add(1, Ordering::AcqRel);
        Pass { entry: Arc::clone(&self.entry) }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if self.entry.under_way.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.entry.arrived.notify_waiters();
        }
    }
}

impl Entry {
    fn new(key: Key, transaction: Option<Transaction>) -> Arc<Entry> {
        let state = State { transaction: transaction.map(Arc::new), unsure: false, gone: false };
        Arc::new(Entry {
            key,
            turn: Turns::new(()),
            state: Mutex::new(state),
            under_way: AtomicUsize::new(0),
            arrived: Notify::new(),
        })
    }

    /// As it is now.
    pub fn transaction(&self) -> Option<Arc<Transaction>> {
        self.state.lock().transaction.clone()
    }

    /// True where what is stored may be another state than this.
    pub fn is_unsure(&self) -> bool {
        self.state.lock().unsure
    }

    /// Lets something in if it may come in the transaction as it is now.
    pub fn pass<E>(
        self: &Arc<Self>,
        may: impl FnOnce(Option<&Transaction>) -> Result<bool, E>,
    ) -> Result<Option<Pass>, E> {
        let state = self.state.lock();
        if !may(state.transaction.as_deref())? {
            return Ok(None);
        }
        // Counted under the lock: an end that is seen later waits for it.
        self.under_way.fetch_add(1, Ordering::AcqRel);
        Ok(Some(Pass { entry: Arc::clone(self) }))
    }

    /// Waits until nothing that was let in is on its way.
    async fn settle(&self) {
        loop {
            let mut arrived = std::pin::pin!(self.arrived.notified());
            arrived.as_mut().enable();
            if self.under_way.load(Ordering::Acquire) == 0 {
                return;
            }
            arrived.await;
        }
    }
}

/// The right to change a transactional id.
pub(super) struct Turn<'a> {
    coordinator: &'a Transactions,
    pub entry: &'a Arc<Entry>,
    _turn: MutexGuard<'a, ()>,
}

impl Turn<'_> {
    /// Stores the next state, and lets it be seen. After an error nothing has changed that anybody was told of.
    pub async fn change(&self, next: Transaction) -> Result<Arc<Transaction>, ResponseError> {
        let steps = {
            let state = self.entry.state.lock();
            let before = state.transaction.as_deref().filter(|_| !state.unsure);
            Step::between(&self.entry.key, before, &next)
        };
        let is_stored = match planted(Mutant::SkipPrepare) && next.phase.is_ending() {
            true => true,
            false => self.coordinator.inner.committer.store(steps).await,
        };
        let mut state = self.entry.state.lock();
        state.unsure = !is_stored;
        if !is_stored {
            return Err(ResponseError::CoordinatorNotAvailable);
        }
        let before = state.transaction.as_ref().map_or(0, |before| state::count(&before.places));
        let next = Arc::new(next);
        let open = &self.coordinator.inner.partitions;
        open.fetch_add(state::count(&next.places), Ordering::Relaxed);
        open.fetch_sub(before, Ordering::Relaxed);
        state.transaction = Some(Arc::clone(&next));
        Ok(next)
    }
}

impl Transactions {
    /// Opens the transactions of the metadata database. What was being ended is ended, and from then on what is open
    /// for too long is aborted, by a task that ends with the last clone. To be called within a Tokio runtime.
    pub async fn open(options: TransactionsOptions) -> Result<Transactions, SqlError> {
        let TransactionsOptions {
            database,
            tenancy,
            log,
            gate,
            groups,
            directory,
            producer_ids,
            clock,
            settings,
        } = options;
        // Opening waits as long as it takes; nobody else does.
        let loaded = Tables::open(database.clone()).await?.load().await?;
        let storage = Arc::new(Tables::open(database.with_patience(PATIENCE)).await?);
        let outside = Arc::new(House { tenancy, gate, log: log.clone(), groups: groups.clone() });
        let transactions = Transactions::new(
            storage,
            loaded,
            outside,
            groups,
            log,
            directory,
            producer_ids,
            clock,
            settings,
        );
        transactions.keep();
        Ok(transactions)
    }

    #[allow(clippy::too_many_arguments, reason = "what a coordinator is made of, named once")]
    pub(super) fn new(
        storage: Arc<dyn Storage>,
        loaded: Vec<(Key, Transaction)>,
        outside: Arc<dyn Outside>,
        groups: Groups,
        log: Log,
        directory: Arc<dyn TopicDirectory>,
        producer_ids: ProducerIds,
        clock: Arc<dyn Clock>,
        settings: Settings,
    ) -> Transactions {
        let open = loaded.iter().map(|(_, transaction)| state::count(&transaction.places)).sum();
        let mut entries = ByProject::default();
        for (key, transaction) in loaded {
            let entry = Entry::new(key, Some(transaction));
            entries.insert(entry.key.project, &entry.key.id, &entry);
        }
        let inner = Inner {
            committer: Committer::start(storage),
            outside,
            groups,
            log,
            directory,
            producer_ids,
            clock,
            settings,
            entries: Mutex::new(entries),
            partitions: AtomicUsize::new(open),
        };
        Transactions { inner: Arc::new(inner) }
    }

    pub(super) fn find(&self, project: ProjectId, id: &str) -> Option<Arc<Entry>> {
        self.inner.entries.lock().get(project, id)
    }

    /// A project's transactional ids, by name.
    pub(super) fn of_project(&self, project: ProjectId) -> Vec<Arc<Entry>> {
        self.inner.entries.lock().of(project)
    }

    pub(super) fn all(&self) -> Vec<Arc<Entry>> {
        self.inner.entries.lock().all()
    }

    /// The entry of an id, made if there is none.
    pub(super) async fn find_or_make(
        &self,
        project: ProjectId,
        id: &str,
    ) -> Result<Arc<Entry>, ResponseError> {
        loop {
            {
                let mut entries = self.inner.entries.lock();
                if let Some(entry) = entries.get(project, id) {
                    return Ok(entry);
                }
                // Ids are stored as they are.
                if !may_name(id) {
                    return Err(ResponseError::InvalidRequest);
                }
                if entries.count(project) < self.inner.settings.max_ids {
                    let entry = Entry::new(Key { project, id: Arc::from(id) }, None);
                    entries.insert(project, &entry.key.id, &entry);
                    return Ok(entry);
                }
            }
            // Somebody else may take the room: then it is made again, of what is left to make it of.
            if !self.make_room(project).await? {
                return Err(ResponseError::PolicyViolation);
            }
        }
    }

    /// Where a project has as many ids as it may have, the one goes that was used longest ago, unless a transaction may
    /// be open by then. False where there is none.
    async fn make_room(&self, project: ProjectId) -> Result<bool, ResponseError> {
        let now = self.inner.clock.now();
        let rest = i64::try_from(self.inner.settings.max_timeout.as_micros()).unwrap_or(i64::MAX);
        let since = Timestamp(now.0.saturating_sub(rest));
        let idle = |entry: &Entry| {
            let transaction = entry.transaction().filter(|transaction| transaction.is_idle_since(since))?;
            (!entry.is_unsure()).then_some(transaction.changed_at)
        };
        let mut spare: Vec<(Timestamp, Arc<Entry>)> = Vec::new();
        for entry in self.of_project(project) {
            spare.extend(idle(&entry).map(|at| (at, entry)));
        }
        spare.sort_by_key(|(at, _)| *at);
        for (_, entry) in spare {
            // One that is being changed is in use.
            let Ok(turn) = entry.turn.try_lock() else { continue };
            if entry.state.lock().gone || idle(&entry).is_none() {
                continue;
            }
            let turn = Turn { coordinator: self, entry: &entry, _turn: turn };
            return match self.remove(&turn).await {
                true => Ok(true),
                false => Err(ResponseError::CoordinatorNotAvailable),
            };
        }
        Ok(false)
    }

    /// Waits for the right to change an id. None where it was removed meanwhile.
    pub(super) async fn turn<'a>(&'a self, entry: &'a Arc<Entry>) -> Result<Option<Turn<'a>>, ResponseError> {
        let turn = tokio::time::timeout(self.inner.settings.turn_patience, entry.turn.lock()).await;
        let turn = turn.map_err(|_| ResponseError::ConcurrentTransactions)?;
        if entry.state.lock().gone {
            return Ok(None);
        }
        Ok(Some(Turn { coordinator: self, entry, _turn: turn }))
    }

    /// Whether there is room for so many more partitions in open transactions.
    pub(super) fn has_room(&self, more: usize) -> bool {
        let open = self.inner.partitions.load(Ordering::Relaxed);
        open.saturating_add(more) <= self.inner.settings.max_partitions_open
    }

    /// Ends what is settled and not told everywhere yet: markers, then offsets, then the last word. An error leaves it
    /// to be tried again.
    pub(super) async fn finish(&self, entry: &Arc<Entry>) -> Result<(), ResponseError> {
        let Some(turn) = self.turn(entry).await? else { return Ok(()) };
        let Some(ending) = entry.transaction().filter(|ending| ending.phase.is_ending()) else {
            return Ok(());
        };
        // What was let in before has its place in the log before its marker has.
        let settled = tokio::time::timeout(self.inner.settings.turn_patience, entry.settle()).await;
        settled.map_err(|_| ResponseError::RequestTimedOut)?;
        let project = entry.key.project;
        let end = TransactionEnd {
            producer_id: ending.producer,
            producer_epoch: ending.epoch,
            commit: ending.commits(),
            coordinator_epoch: COORDINATOR_EPOCH,
        };
        let mut places: Vec<(TopicName, Partition)> = Vec::new();
        for (topic, parts) in &ending.places {
            let view = self.inner.directory.topic(project, &parts.name);
            // In a topic that was deleted there is nothing to end.
            if view.is_some_and(|view| view.in_log == *topic) {
                places.extend(parts.partitions.iter().map(|partition| (topic.clone(), *partition)));
            }
        }
        if planted(Mutant::LoseMarker) && places.len() > 1 {
            places.pop();
        }
        for outcome in self.inner.outside.mark(project, places, end).await? {
            match outcome {
                Err(error) if !is_settled(error) => return Err(error),
                Err(error) => tracing::debug!(?error, "a partition needs no marker"),
                Ok(()) => {}
            }
        }
        if planted(Mutant::CompleteBeforeOffsets) {
            turn.change(ending.completed(self.inner.clock.now())).await?;
        }
        let commits = ending.commits() || planted(Mutant::CommitAborted);
        for group in &ending.groups {
            self.inner.outside.end_offsets(project, group, ending.producer, commits).await?;
        }
        turn.change(ending.completed(self.inner.clock.now())).await?;
        Ok(())
    }

    /// The same with a task of its own, that is waited for as long as an answer may wait.
    pub(super) async fn finish_aside(&self, entry: &Arc<Entry>) {
        let (own, of) = (self.clone(), Arc::clone(entry));
        let task = tokio::spawn(async move { own.finish(&of).await });
        match tokio::time::timeout(self.inner.settings.end_patience, task).await {
            Ok(Ok(Ok(()))) => {}
            // It is settled and stored: it is tried until it is done.
            other => tracing::warn!(?other, "the end of a transaction is not everywhere yet"),
        }
    }

    /// Removes an id that holds nothing. False where storage did not take it.
    pub(super) async fn remove(&self, turn: &Turn<'_>) -> bool {
        let entry = turn.entry;
        let is_stored = match entry.transaction() {
            Some(_) => self.inner.committer.store(vec![Step::Drop { key: entry.key.clone() }]).await,
            None => true,
        };
        let mut entries = self.inner.entries.lock();
        let mut state = entry.state.lock();
        if is_stored {
            state.gone = true;
            entries.remove(entry.key.project, &entry.key.id);
        } else {
            state.unsure = true;
        }
        is_stored
    }

    /// Forgets a deleted project's transactions.
    pub async fn forget_project(&self, project: ProjectId) -> Result<(), ResponseError> {
        for entry in self.of_project(project) {
            let Some(_turn) = self.turn(&entry).await? else { continue };
            let mut entries = self.inner.entries.lock();
            let mut state = entry.state.lock();
            state.gone = true;
            entries.remove(project, &entry.key.id);
            let open = state.transaction.take().map_or(0, |open| state::count(&open.places));
            self.inner.partitions.fetch_sub(open, Ordering::Relaxed);
        }
        match self.inner.committer.store(vec![Step::DropProject(project)]).await {
            true => Ok(()),
            false => Err(ResponseError::CoordinatorNotAvailable),
        }
    }
}
