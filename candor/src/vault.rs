//! What left the rows goes to the vault: a consumer of the log that stores vault entries, with its position in the
//! same transaction.
//!
//! It stands here because the keyring lies below the log: the vault knows how to store an entry, the log how to hand
//! it over, and only the program knows both. Storing an entry again changes nothing, so reading a stretch of the log
//! twice is harmless; what was not stored is never trimmed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

use candor_keyring::{Keyring, Vault, VaultEntry};
use candor_log::{Committed, Consumer, Follower, Log, ReadError, Topic};
use candor_meta::{Database, Migration, SqlError, params};
use candor_model::{Clock, Offset, Partition, ProjectId, Timestamp, TopicName};
use tokio::sync::Notify;

const CONSUMER: &str = "vault";

/// How long entries gather before they are stored together.
const GATHER: Duration = Duration::from_millis(100);

/// Wait before a failed write is tried again.
const RETRY_WAIT: Duration = Duration::from_secs(1);

/// How often positions are stored that moved without anybody new, µs: what a start reads again at most.
const POSITIONS_EVERY_US: i64 = 60 * Timestamp::SECOND;

/// Entries that wait in memory at most; beyond, the log is read again instead.
const WAITING_ENTRIES_MAX: usize = 100_000;

/// Entries in one transaction: others wait for the database meanwhile.
const STORE_ENTRIES_MAX: usize = 5_000;

/// Read from the log at once, bytes.
const READ_BYTES: usize = 4 << 20;

const MIGRATIONS: &[Migration] = &[Migration {
    owner: "candor-vault",
    version: 1,
    sql: "
CREATE TABLE vault_position (
    project BIGINT NOT NULL,
    topic TEXT NOT NULL,
    part BIGINT NOT NULL,
    next BIGINT NOT NULL,
    PRIMARY KEY (project, topic, part)
);
",
}];

/// The consumer to open the log with: what the vault has not stored is not trimmed.
pub fn consumer() -> Consumer {
    Consumer { name: CONSUMER, topics: |topic| topic.signal().is_some() }
}

/// Why entries could not be stored.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The database failed.
    #[error("the vault cannot be reached")]
    Sql(#[from] SqlError),
    /// The log could not be read.
    #[error("the log could not be read for the vault")]
    Log(#[from] ReadError),
}

/// A stretch of a topic and what it holds for the vault.
struct Stretch {
    topic: Topic,
    partition: Partition,
    next: Offset,
    entries: Vec<VaultEntry>,
}

impl Stretch {
    fn of(batch: &Committed) -> Stretch {
        Stretch {
            topic: batch.topic.clone(),
            partition: batch.partition,
            next: Offset(batch.base.0 + u64::from(batch.count)),
            entries: batch.vault.clone(),
        }
    }
}

/// The consumer. Cheap to clone.
#[derive(Clone)]
pub struct VaultKeeper {
    inner: Arc<Inner>,
}

struct Inner {
    database: Database,
    log: Log,
    keyring: Arc<Keyring>,
    clock: Arc<dyn Clock>,
    waiting: Mutex<Waiting>,
    wake: Notify,
    /// Held while storing. How far topics came that brought nobody new, where that is not stored yet.
    ahead: tokio::sync::Mutex<Ahead>,
}

/// Positions that are ahead of the stored ones. Nothing is lost with them, but the next start reads the log from the
/// stored ones on: so they are stored too, though not with every batch.
#[derive(Default)]
struct Ahead {
    ends: HashMap<(Topic, Partition), Offset>,
    /// When positions were stored last.
    stored_at: Option<Timestamp>,
}

/// What came and is not stored yet.
#[derive(Default)]
struct Waiting {
    stretches: Vec<Stretch>,
    entries: usize,
    /// Something is missing here and must be read from the log before anything after it is stored.
    missing: bool,
}

/// What the log holds of us; it does not keep us alive.
struct Tap(Weak<Inner>);

impl Follower for Tap {
    fn committed(&self, batches: &[Committed]) {
        let Some(inner) = self.0.upgrade() else { return };
        // Streams bring nothing to the vault.
        let mut batches = batches.iter().filter(|batch| batch.topic.name.signal().is_some()).peekable();
        if batches.peek().is_none() {
            return;
        }
        let mut waiting = inner.waiting();
        if waiting.entries > WAITING_ENTRIES_MAX || waiting.stretches.len() > WAITING_ENTRIES_MAX {
            *waiting = Waiting { missing: true, ..Waiting::default() };
        }
        for batch in batches {
            waiting.entries += batch.vault.len();
            match waiting.stretches.last_mut() {
                // Most batches bring nobody new: one stretch stands for a run of them.
                Some(last)
                    if last.topic == batch.topic
                        && last.partition == batch.partition
                        && batch.vault.is_empty() =>
                {
                    last.next = Offset(batch.base.0 + u64::from(batch.count));
                }
                _ => waiting.stretches.push(Stretch::of(batch)),
            }
        }
        drop(waiting);
        inner.wake.notify_one();
    }
}

impl VaultKeeper {
    /// Opens the positions, follows the log, and stores what was committed while nobody followed.
    pub async fn open(
        database: Database,
        log: Log,
        keyring: Arc<Keyring>,
        clock: Arc<dyn Clock>,
    ) -> Result<VaultKeeper, VaultError> {
        database.migrate(MIGRATIONS).await?;
        let inner = Arc::new(Inner {
            database,
            log,
            keyring,
            clock,
            waiting: Mutex::default(),
            wake: Notify::new(),
            ahead: Default::default(),
        });
        inner.log.follow(Arc::new(Tap(Arc::downgrade(&inner))));
        inner.catch_up(&mut *inner.ahead.lock().await).await?;
        Ok(VaultKeeper { inner })
    }

    /// Stores what comes until the returned task is aborted.
    pub fn start(&self) -> tokio::task::JoinHandle<()> {
        let inner = Arc::clone(&self.inner);
        tokio::spawn(async move {
            loop {
                inner.wake.notified().await;
                tokio::time::sleep(GATHER).await;
                if let Err(error) = inner.store_waiting(false).await {
                    tracing::warn!(error = crate::logging::chain(&error), "the vault waits");
                    tokio::time::sleep(RETRY_WAIT).await;
                    inner.wake.notify_one();
                }
            }
        })
    }

    /// Stores what waits: before a stop, so that the next start has nothing to read.
    pub async fn settle(&self) -> Result<(), VaultError> {
        self.inner.store_waiting(true).await
    }

    /// Removes all that a deleted project has in the vault: its keys, and what they seal.
    pub async fn forget(&self, project: ProjectId) -> Result<(), VaultError> {
        let mut ahead = self.inner.ahead.lock().await;
        ahead.ends.retain(|(topic, _), _| topic.project != project);
        let mut tx = self.inner.database.begin().await.map_err(VaultError::Sql)?;
        Vault::forget_project(&mut tx, project).await?;
        tx.execute("DELETE FROM vault_position WHERE project = ?", params![project.0]).await?;
        tx.commit().await?;
        Ok(())
    }
}

impl Inner {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Stores what waits; with `all_positions` also how far topics came that brought nobody new.
    async fn store_waiting(&self, all_positions: bool) -> Result<(), VaultError> {
        let mut ahead = self.ahead.lock().await;
        loop {
            match self.take_some() {
                None => self.catch_up(&mut ahead).await?,
                Some(stretches) if stretches.is_empty() => {
                    let due =
                        ahead.stored_at.is_none_or(|at| self.clock.now().0 - at.0 >= POSITIONS_EVERY_US);
                    if all_positions || due {
                        self.store(&[], &mut ahead).await?;
                    }
                    return Ok(());
                }
                Some(stretches) => {
                    if let Err(error) = self.store(&stretches, &mut ahead).await {
                        // The stored positions have not moved: the log has it all.
                        self.waiting().missing = true;
                        return Err(error.into());
                    }
                }
            }
        }
    }

    /// The next stretches; `None` where something before them is missing.
    fn take_some(&self) -> Option<Vec<Stretch>> {
        let mut waiting = self.waiting();
        if waiting.missing {
            return None;
        }
        let mut entries = 0;
        let fits = |stretch: &&Stretch| {
            let fits = entries < STORE_ENTRIES_MAX;
            entries += stretch.entries.len();
            fits
        };
        let count = waiting.stretches.iter().take_while(fits).count();
        let taken: Vec<Stretch> = waiting.stretches.drain(..count).collect();
        waiting.entries = waiting.stretches.iter().map(|stretch| stretch.entries.len()).sum();
        Some(taken)
    }

    /// Stores stretches and all ends in one transaction. Where the stretches bring nobody new, their ends wait.
    async fn store(&self, stretches: &[Stretch], ahead: &mut Ahead) -> Result<(), SqlError> {
        let now = self.clock.now();
        let ends = || stretches.iter().map(|s| ((s.topic.clone(), s.partition), s.next));
        let brings = |stretch: &&Stretch| !stretch.entries.is_empty();
        if stretches.is_empty() || stretches.iter().any(|stretch| brings(&stretch)) {
            let mut tx = self.database.begin().await?;
            for stretch in stretches.iter().filter(brings) {
                Vault::store(&mut tx, stretch.topic.project, &stretch.entries, now).await?;
            }
            let mut all = ahead.ends.clone();
            all.extend(ends());
            for ((topic, partition), next) in &all {
                tx.execute(
                    "INSERT INTO vault_position (project, topic, part, next) VALUES (?, ?, ?, ?)
                     ON CONFLICT (project, topic, part) DO UPDATE SET next = excluded.next",
                    params![
                        topic.project.0,
                        topic.name.0.as_str(),
                        i64::from(partition.0),
                        i64::try_from(next.0).unwrap_or(i64::MAX)
                    ],
                )
                .await?;
            }
            tx.commit().await?;
            ahead.ends.clear();
            ahead.stored_at = Some(now);
        } else {
            ahead.ends.extend(ends());
        }
        for stretch in stretches {
            self.keyring.committed(stretch.topic.project, &stretch.entries);
            // Without entries the stored position may lag: reading again from there finds nothing again.
            self.log.consumed(CONSUMER, &stretch.topic, stretch.partition, stretch.next);
        }
        Ok(())
    }

    /// Reads from the stored positions to the present. What waits is in the log too.
    async fn catch_up(&self, ahead: &mut Ahead) -> Result<(), VaultError> {
        *self.waiting() = Waiting::default();
        let caught_up = self.read_from_positions(ahead).await;
        if caught_up.is_err() {
            self.waiting().missing = true;
        }
        caught_up
    }

    async fn read_from_positions(&self, ahead: &mut Ahead) -> Result<(), VaultError> {
        let rows = self.database.query("SELECT project, topic, part, next FROM vault_position", &[]).await?;
        let mut stored = std::collections::HashMap::new();
        for row in &rows {
            let topic = Topic { project: ProjectId(row.int(0)?), name: TopicName(row.text(1)?.to_owned()) };
            let partition = Partition(u32::try_from(row.int(2)?).unwrap_or(0));
            stored.insert((topic, partition), Offset(u64::try_from(row.int(3)?).unwrap_or(0)));
        }
        for topic in self.log.topics(None) {
            if topic.name.signal().is_none() {
                continue;
            }
            let partition = Partition(0);
            let start = self.log.log_start(&topic, partition);
            let from = stored.get(&(topic.clone(), partition)).copied().unwrap_or(start).max(start);
            self.read_on(&topic, partition, from, ahead).await?;
        }
        Ok(())
    }

    async fn read_on(
        &self,
        topic: &Topic,
        partition: Partition,
        from: Offset,
        ahead: &mut Ahead,
    ) -> Result<(), VaultError> {
        let end = self.log.high_watermark(topic, partition);
        let mut next = from;
        while next < end {
            let batches = self.log.read(topic, partition, next, READ_BYTES).await?;
            let stretches: Vec<Stretch> = batches.iter().map(Stretch::of).collect();
            let Some(last) = stretches.last() else { break };
            next = last.next;
            self.store(&stretches, ahead).await?;
        }
        self.log.consumed(CONSUMER, topic, partition, next);
        Ok(())
    }
}
