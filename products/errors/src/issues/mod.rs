//! Issues: what error events that are one fault have in common, and how often, when and for whom it happened.
//!
//! A follower of the log takes every error event in as it is committed and before it is acknowledged, in memory: so a
//! query that runs right after the acknowledgement resolves `errors.issue`. A task writes what happened to `meta.db`
//! in batches, each in one transaction with the positions up to which it happened; what a crash takes from memory is
//! read from the log again. Numbers in the list are never older than the question: reading writes first.
//!
//! Trade-off refused: a transaction for each event, which is where single-writer designs stop at tens of events a
//! second.

mod read;
mod rows;
mod search;
mod sketch;
mod state;
mod store;

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use candor_gate::codec;
use candor_log::{Committed, Consumer, Follower, Log, ReadError, Topic};
use candor_meta::{Database, SqlError};
use candor_model::{Clock, IssueMap, Partition, ProjectId, Signal, Timestamp};
use parking_lot::Mutex;
use tokio::sync::Notify;

pub use read::{Issue, IssueQuery, LIST_MAX, Order, Status, TREND_HOURS};
use rows::ErrorRows;
use state::{Pending, State};

/// The name under which positions are told to the log.
const CONSUMER: &str = "issues";
/// How long events are gathered before they are written.
const GATHER: Duration = Duration::from_millis(300);
/// After a failure.
const RETRY: Duration = Duration::from_secs(1);
/// What is read from the log at once when catching up, bytes.
const READ_BYTES: usize = 4 << 20;
/// How often the trend of long ago is forgotten, and issues without events.
const FORGET_EVERY: Duration = Duration::from_secs(3_600);

/// The consumer to open the log with: what issues have not consumed is not trimmed.
pub fn consumer() -> Consumer {
    Consumer { name: CONSUMER, topics: |topic| topic.signal() == Some(Signal::Errors) }
}

/// Why issues failed.
#[derive(Debug, thiserror::Error)]
pub enum IssuesError {
    /// The database failed.
    #[error("the database of issues failed")]
    Sql(#[from] SqlError),
    /// The log could not be read.
    #[error("the log of errors could not be read")]
    Log(#[from] ReadError),
}

/// The issues of all projects. Cheap to clone.
#[derive(Clone)]
pub struct Issues {
    inner: Arc<Inner>,
}

struct Inner {
    database: Database,
    log: Log,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    /// Held while catching up and writing, so that only the follower works beside either.
    working: tokio::sync::Mutex<()>,
    wake: Arc<Notify>,
}

/// What is being written. Dropped before it is known to be written (an error, or a caller that went away), it goes
/// back to what is to be written. Where the commit had passed after all, the next attempt finds the positions moved
/// and reads anew, so nothing counts twice.
struct Taken<'a> {
    inner: &'a Inner,
    pending: Option<Pending>,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        if let Some(pending) = self.pending.take() {
            self.inner.state.lock().pending.put_back(pending);
        }
    }
}

/// What the log holds of us; it does not keep us alive.
struct Tap(Weak<Inner>);

impl Follower for Tap {
    fn committed(&self, batches: &[Committed]) {
        if let Some(inner) = self.0.upgrade() {
            inner.take_in(batches);
        }
    }
}

impl Issues {
    /// Opens the tables, reads the map, follows the log, and takes in what was committed while nobody followed.
    pub async fn open(database: Database, log: Log, clock: Arc<dyn Clock>) -> Result<Issues, IssuesError> {
        database.migrate(store::MIGRATIONS).await?;
        let state = store::load(&database).await?;
        let inner = Arc::new(Inner {
            database,
            log,
            clock,
            state: Mutex::new(state),
            working: tokio::sync::Mutex::new(()),
            wake: Arc::new(Notify::new()),
        });
        let marks = inner.log.follow(Arc::new(Tap(Arc::downgrade(&inner))));
        inner.learn_ends(marks);
        {
            let _working = inner.working.lock().await;
            inner.catch_up().await?;
        }
        inner.tell_positions();
        Ok(Issues { inner })
    }

    /// Writes what happens until the returned task is aborted or everything else of us is dropped. `kept_us` is how long
    /// error events are kept: an issue whose newest one is older goes with it.
    pub fn start(&self, kept_us: i64) -> tokio::task::JoinHandle<()> {
        let (inner, wake) = (Arc::downgrade(&self.inner), Arc::clone(&self.inner.wake));
        tokio::spawn(async move {
            let mut forgot = None::<Timestamp>;
            loop {
                let _ = tokio::time::timeout(FORGET_EVERY, wake.notified()).await;
                tokio::time::sleep(GATHER).await;
                let Some(inner) = inner.upgrade() else { return };
                if let Err(error) = inner.work().await {
                    tracing::warn!(error = &error as &dyn std::error::Error, "issues wait for the database");
                    tokio::time::sleep(RETRY).await;
                    wake.notify_one();
                }
                let now = inner.clock.now();
                let long_ago = |then: Timestamp| now.0 - then.0 >= FORGET_EVERY.as_micros() as i64;
                if forgot.is_none_or(long_ago) {
                    let kept_since = Timestamp(now.0.saturating_sub(kept_us));
                    match inner.forget_old(now, kept_since).await {
                        Ok(()) => forgot = Some(now),
                        Err(error) => {
                            let error = &error as &dyn std::error::Error;
                            tracing::warn!(error, "old issues could not be removed");
                        }
                    }
                }
            }
        })
    }

    /// Writes what has happened so far; on return the database knows it.
    pub async fn settle(&self) -> Result<(), IssuesError> {
        self.inner.work().await
    }

    /// Removes issues whose newest event arrived before `kept_since`, and so is no longer kept.
    pub async fn retire(&self, kept_since: Timestamp) -> Result<(), IssuesError> {
        self.inner.retire(kept_since).await
    }

    /// Events since the start that went into one issue because their project had no room for more different ones.
    pub fn folded(&self) -> u64 {
        self.inner.state.lock().folded
    }

    /// Removes all that is known of a deleted project.
    pub async fn forget(&self, project: ProjectId) -> Result<(), IssuesError> {
        let _working = self.inner.working.lock().await;
        store::forget_project(&self.inner.database, project).await?;
        self.inner.state.lock().forget(project);
        Ok(())
    }

    pub(crate) fn database(&self) -> &Database {
        &self.inner.database
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.inner.clock.now()
    }
}

impl IssueMap for Issues {
    fn issues(&self, project: ProjectId) -> Arc<HashMap<String, i64>> {
        let state = self.inner.state.lock();
        state.projects.get(&project).map(|issues| Arc::clone(&issues.map)).unwrap_or_default()
    }
}

impl Inner {
    /// Takes in what was just committed. A partition that lacks earlier batches waits until they are read.
    fn take_in(&self, batches: &[Committed]) {
        let mut touched = false;
        for batch in batches.iter().filter(|batch| batch.topic.name.signal() == Some(Signal::Errors)) {
            touched = true;
            let mut state = self.state.lock();
            if state.pending.is_full() {
                let end = batch.base.0.saturating_add(u64::from(batch.count));
                state.leave_to_log(batch.topic.project, batch.partition, end);
                continue;
            }
            drop(state);
            self.take_in_batch(batch);
        }
        if touched {
            self.wake.notify_one();
        }
    }

    fn take_in_batch(&self, batch: &Committed) {
        let decoded;
        let rows = match &batch.rows {
            Some(rows) => Some(rows),
            None => match codec::decode(Signal::Errors, &batch.batch) {
                Ok(rows) => {
                    decoded = rows;
                    Some(&decoded)
                }
                Err(error) => {
                    // One batch that cannot be read must not hold back those of all projects behind it.
                    let (project, offset) = (batch.topic.project.0, batch.base.0);
                    tracing::error!(project, offset, %error, "issues leave out a batch");
                    None
                }
            },
        };
        let rows = rows.map(ErrorRows::new);
        self.state.lock().take_in(
            batch.topic.project,
            batch.partition,
            batch.base.0,
            batch.ingested_at,
            u64::from(batch.count),
            |at| rows.as_ref().map(|rows| rows.row(at)).unwrap_or_default(),
        );
    }

    /// Notes up to where the log had come when we began to follow it.
    fn learn_ends(&self, marks: Vec<(Topic, Partition, candor_model::Offset)>) {
        let mut state = self.state.lock();
        for (topic, partition, end) in marks {
            if topic.name.signal() != Some(Signal::Errors) {
                continue;
            }
            let progress = state.progress.entry((topic.project, partition)).or_default();
            progress.end = progress.end.max(end.0);
            if progress.next > end.0 {
                tracing::error!(
                    project = topic.project.0,
                    position = progress.next,
                    log = end.0,
                    "issues are ahead of the log: was it restored without meta.db?"
                );
            }
        }
    }

    /// Reads from the log what was committed while nobody followed.
    async fn catch_up(&self) -> Result<(), IssuesError> {
        loop {
            let behind = {
                let state = self.state.lock();
                state
                    .progress
                    .iter()
                    .find(|(_, progress)| !progress.is_live())
                    .map(|(key, at)| (*key, at.next))
            };
            let Some(((project, partition), next)) = behind else { return Ok(()) };
            let topic = Topic { project, name: Signal::Errors.topic() };
            let start = self.log.log_start(&topic, partition).0;
            if start > next {
                self.state.lock().skip_to(project, partition, start);
                continue;
            }
            let batches = self.log.read(&topic, partition, candor_model::Offset(next), READ_BYTES).await?;
            let mut last = next;
            for batch in &batches {
                last = last.max(batch.base.0.saturating_add(u64::from(batch.count)));
                // Offsets that are gone (erased, compacted) leave gaps in what is read; they are over.
                self.state.lock().skip_to(project, partition, batch.base.0);
                self.take_in_batch(batch);
            }
            if last == next {
                // Nothing there although something was committed: it was trimmed meanwhile, or is gone for good.
                let end = self.log.high_watermark(&topic, partition).0;
                tracing::warn!(
                    project = project.0,
                    next,
                    end,
                    "the log holds none of the errors that are missing"
                );
                self.state.lock().skip_to(project, partition, end);
            }
            let is_full = self.state.lock().pending.is_full();
            if is_full {
                self.write().await?;
            }
        }
    }

    /// Reads what is missing and writes what is not written.
    async fn work(&self) -> Result<(), IssuesError> {
        let _working = self.working.lock().await;
        loop {
            self.catch_up().await?;
            if self.write().await? {
                return Ok(());
            }
        }
    }

    /// Writes what is not written. False where memory had to be read anew, and lacks what the log still has.
    async fn write(&self) -> Result<bool, IssuesError> {
        let pending = std::mem::take(&mut self.state.lock().pending);
        if pending.is_empty() {
            return Ok(true);
        }
        let mut taken = Taken { inner: self, pending: None };
        let pending = taken.pending.insert(pending);
        match store::write(&self.database, pending).await {
            Ok(()) => {
                if let Some(written) = taken.pending.take() {
                    self.tell(&written);
                }
                Ok(true)
            }
            Err(store::StoreError::Sql(error)) => Err(error.into()),
            Err(moved @ store::StoreError::Moved(_)) => {
                tracing::warn!(reason = %moved, "issues are read anew");
                taken.pending = None;
                self.read_anew().await?;
                Ok(false)
            }
        }
    }

    async fn forget_old(&self, now: Timestamp, kept_since: Timestamp) -> Result<(), IssuesError> {
        store::forget_old_hours(&self.database, now.0).await?;
        self.retire(kept_since).await
    }

    async fn retire(&self, kept_since: Timestamp) -> Result<(), IssuesError> {
        let _working = self.working.lock().await;
        while !self.write().await? {
            self.catch_up().await?;
        }
        let retired = store::retire(&self.database, kept_since.0).await?;
        let mut state = self.state.lock();
        for (project, issues) in &retired {
            state.retire(*project, issues);
        }
        Ok(())
    }

    /// Another process has taken in what we hold: what is stored counts, and the rest is read from the log again.
    async fn read_anew(&self) -> Result<(), IssuesError> {
        let mut stored = store::load(&self.database).await?;
        let mut state = self.state.lock();
        for (key, progress) in &state.progress {
            let anew = stored.progress.entry(*key).or_default();
            anew.end = anew.end.max(progress.end);
        }
        stored.folded = state.folded;
        *state = stored;
        Ok(())
    }

    fn tell(&self, written: &Pending) {
        for ((project, partition), (_, next)) in &written.positions {
            let topic = Topic { project: *project, name: Signal::Errors.topic() };
            self.log.consumed(CONSUMER, &topic, *partition, candor_model::Offset(*next));
        }
    }

    /// Tells the log all positions that are stored, once at the start.
    fn tell_positions(&self) {
        let state = self.state.lock();
        for ((project, partition), progress) in &state.progress {
            if !state.pending.positions.contains_key(&(*project, *partition)) {
                let topic = Topic { project: *project, name: Signal::Errors.topic() };
                self.log.consumed(CONSUMER, &topic, *partition, candor_model::Offset(progress.next));
            }
        }
    }
}
