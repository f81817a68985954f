//! Writing: what waits goes in together, one transaction a batch, and whoever waits knows that it is stored.

use std::sync::Arc;
use std::time::Duration;

use candor_keyring::Keyring;
use candor_meta::{Database, Tx, params};
use candor_model::{Clock, ProjectId, Random};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::leaf::{Event, Leaf};
use crate::note::{Checkpoint, Notary};
use crate::proof::{self, Proof};
use crate::reads::{self, Alike, Noted, Read, Reads};
use crate::schema::MIGRATIONS;
use crate::store::{self, Entry};
use crate::tree::Hash;
use crate::verify::{self, Verified};
use crate::{Detail, LedgerError};

/// Events in one transaction: others wait for the database meanwhile.
const BATCH_MAX: usize = 512;

/// Events that wait at most; beyond them, whoever brings more is told to come again.
const WAITING_MAX: usize = 10_000;

/// How often what is counted is stored, and what an hour counted becomes an entry.
const TEND_EVERY: Duration = Duration::from_secs(10);

/// How long the first read of an hour waits to be stored: reading goes on where nothing can be written, and what is
/// counted in memory is stored later.
const NOTE_WAIT_MAX: Duration = Duration::from_millis(500);

/// The ledger of an instance. Cheap to clone.
#[derive(Clone)]
pub struct Ledger {
    inner: Arc<Inner>,
}

struct Inner {
    database: Database,
    keyring: Arc<Keyring>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    notary: Notary,
    waiting: Mutex<Vec<Job>>,
    turn: tokio::sync::Mutex<()>,
    /// Held while what is counted is stored, or becomes entries: of what is an entry no count may be stored behind it.
    storing: tokio::sync::Mutex<()>,
    reads: Reads,
}

struct Job {
    events: Vec<Event>,
    /// What is not open any more once they are entries.
    closes: Vec<Alike>,
    done: oneshot::Sender<Result<u64, LedgerError>>,
}

impl Ledger {
    /// Opens the ledger's tables.
    pub async fn open(
        database: Database,
        keyring: Arc<Keyring>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Result<Ledger, LedgerError> {
        database.migrate(MIGRATIONS).await?;
        let reads = Reads::default();
        reads.restore(&keyring, &database.query("SELECT key, sealed FROM ledger_open", &[]).await?)?;
        let notary = Notary::new(&keyring);
        let (waiting, turn, storing) = Default::default();
        let inner = Inner { database, keyring, clock, random, notary, waiting, turn, storing, reads };
        Ok(Ledger { inner: Arc::new(inner) })
    }

    /// Stores what is counted now and then, and makes it entries at the hour's end, until the task is aborted. `failed`
    /// is told why that did not work; it is tried again.
    pub fn start(&self, failed: impl Fn(&LedgerError) + Send + 'static) -> tokio::task::JoinHandle<()> {
        let ledger = self.clone();
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(TEND_EVERY).await;
                if let Err(error) = ledger.tend().await {
                    failed(&error);
                }
            }
        })
    }

    /// Who reads and signs its checkpoints.
    pub fn notary(&self) -> &Notary {
        &self.inner.notary
    }

    /// Writes something that was done; on return it is on stable storage. Gives the entry's number.
    pub async fn append(&self, event: Event) -> Result<u64, LedgerError> {
        self.put(vec![event], Vec::new()).await
    }

    /// Counts a read. The first of its kind in an hour is stored before this returns, where the database takes it.
    pub async fn note(&self, read: Read) -> Result<(), LedgerError> {
        let inner = &self.inner;
        let (noted, ended) = inner.reads.note(read, &inner.keyring, inner.clock.now());
        self.after_note(noted, ended).await
    }

    /// Counts a read and waits for nothing: it is counted on return, and stored behind it. `failed` is told why that did
    /// not work; it is tried again.
    pub fn count(&self, read: Read, failed: impl FnOnce(&LedgerError) + Send + 'static) {
        let inner = &self.inner;
        let (noted, ended) = inner.reads.note(read, &inner.keyring, inner.clock.now());
        if matches!(noted, Noted::Counted) {
            return;
        }
        let ledger = self.clone();
        tokio::spawn(async move {
            if let Err(error) = ledger.after_note(noted, ended).await {
                failed(&error);
            }
        });
    }

    async fn after_note(&self, noted: Noted, ended: Option<(Alike, Event)>) -> Result<(), LedgerError> {
        if let Some(ended) = ended {
            let _storing = self.inner.storing.lock().await;
            self.close(vec![ended]).await?;
        }
        match noted {
            Noted::Counted => Ok(()),
            Noted::First => {
                let stored = tokio::time::timeout(NOTE_WAIT_MAX, self.store_counted()).await;
                stored.unwrap_or(Ok(()))
            }
            Noted::Full => self.settle(None).await,
        }
    }

    /// Makes entries of all that is counted, of one project or of all.
    pub async fn settle(&self, project: Option<ProjectId>) -> Result<(), LedgerError> {
        let _storing = self.inner.storing.lock().await;
        let events = self.inner.reads.take(self.inner.clock.now(), true, project);
        self.close(events).await
    }

    /// Stores what is counted, and makes entries of hours that are over.
    pub async fn tend(&self) -> Result<(), LedgerError> {
        {
            let _storing = self.inner.storing.lock().await;
            let over = self.inner.reads.take(self.inner.clock.now(), false, None);
            self.close(over).await?;
        }
        self.store_counted().await
    }

    async fn store_counted(&self) -> Result<(), LedgerError> {
        let inner = &self.inner;
        let _storing = inner.storing.lock().await;
        let rows = inner.reads.changed(&inner.keyring);
        if rows.is_empty() {
            return Ok(());
        }
        let stored = async {
            let mut tx = inner.database.begin().await?;
            reads::store(&mut tx, &rows).await?;
            tx.commit().await
        };
        // Where nobody waits for it any more it is stored with the next.
        let guard = NotStored(&inner.reads);
        stored.await?;
        std::mem::forget(guard);
        Ok(())
    }

    async fn close(&self, events: Vec<(Alike, Event)>) -> Result<(), LedgerError> {
        for some in events.chunks(BATCH_MAX) {
            let (closes, entries) = some.iter().cloned().unzip();
            if let Err(error) = self.put(entries, closes).await {
                self.inner.reads.put_back(some.to_vec());
                return Err(error);
            }
        }
        Ok(())
    }

    async fn put(&self, events: Vec<Event>, closes: Vec<Alike>) -> Result<u64, LedgerError> {
        if events.is_empty() {
            return Ok(0);
        }
        let (done, written) = oneshot::channel();
        {
            let mut waiting = self.inner.waiting.lock();
            let count: usize = waiting.iter().map(|job| job.events.len()).sum();
            if count + events.len() > WAITING_MAX {
                return Err(LedgerError::Busy);
            }
            waiting.push(Job { events, closes, done });
        }
        // A task of its own: it writes for others too, who stay where this caller goes.
        let inner = Arc::clone(&self.inner);
        tokio::spawn(async move { inner.write_waiting().await });
        written.await.map_err(|_| LedgerError::Stopped)?
    }

    /// The newest entries of a project, below a number where one is given.
    pub async fn entries(
        &self,
        project: ProjectId,
        below: Option<u64>,
        count: u32,
    ) -> Result<Vec<Entry>, LedgerError> {
        Ok(store::newest_of(&self.inner.database, project, below, count).await?)
    }

    /// One entry.
    pub async fn entry(&self, index: u64) -> Result<Option<Entry>, LedgerError> {
        let mut tx = self.inner.database.begin_read().await?;
        Ok(store::one(&mut tx, index).await?)
    }

    /// Whom an entry concerned, and the reason. None where it says neither, or the detail was erased.
    pub async fn detail(&self, leaf: &Leaf) -> Result<Option<Detail>, LedgerError> {
        store::detail_of(&self.inner.database, &self.inner.keyring, leaf).await
    }

    /// Removes the details of a project's entries. The entries stay.
    pub async fn erase_details(tx: &mut Tx, project: ProjectId) -> Result<u64, LedgerError> {
        let sql = "DELETE FROM ledger_detail WHERE project = ?";
        Ok(tx.execute(sql, params![project.0]).await?)
    }

    /// The newest checkpoint, signed. None while there is no entry.
    pub async fn checkpoint(&self) -> Result<Option<(Checkpoint, String)>, LedgerError> {
        let mut tx = self.inner.database.begin_read().await?;
        store::newest(&mut tx, &self.inner.notary).await
    }

    /// The proof that an entry is in the ledger.
    pub async fn proof(&self, index: u64) -> Result<Proof, LedgerError> {
        let mut tx = self.inner.database.begin_read().await?;
        proof::of_entry(&mut tx, &self.inner.notary, index).await
    }

    /// The proof that the ledger began with its first `size` entries, and the checkpoint that it leads to.
    pub async fn growth(&self, size: u64) -> Result<(Vec<Hash>, String), LedgerError> {
        let mut tx = self.inner.database.begin_read().await?;
        proof::of_growth(&mut tx, &self.inner.notary, size).await
    }

    /// Looks through all of it, and holds it against checkpoints that were kept outside.
    pub async fn verify(&self, outside: &[String]) -> Result<Verified, LedgerError> {
        verify::run(&self.inner.database, &self.inner.keyring, outside).await
    }
}

/// Marks all as not stored unless it is forgotten.
struct NotStored<'a>(&'a Reads);

impl Drop for NotStored<'_> {
    fn drop(&mut self) {
        self.0.not_stored();
    }
}

impl Inner {
    async fn write_waiting(&self) {
        let _turn = self.turn.lock().await;
        let mut jobs = Vec::new();
        {
            let mut waiting = self.waiting.lock();
            let mut count = 0;
            while let Some(job) = waiting.first() {
                count += job.events.len();
                if count > BATCH_MAX && !jobs.is_empty() {
                    break;
                }
                jobs.push(waiting.remove(0));
            }
        }
        match self.write(&jobs).await {
            Ok(numbers) => {
                for (job, number) in jobs.into_iter().zip(numbers) {
                    let _ = job.done.send(Ok(number));
                }
            }
            Err(error) if jobs.len() <= 1 => {
                if let Some(job) = jobs.pop() {
                    let _ = job.done.send(Err(error));
                }
            }
            // One of them may be the reason.
            Err(_) => {
                for job in jobs {
                    let written = self.write(std::slice::from_ref(&job)).await;
                    let number = written.map(|numbers| numbers.first().copied().unwrap_or_default());
                    let _ = job.done.send(number);
                }
            }
        }
    }

    async fn write(&self, jobs: &[Job]) -> Result<Vec<u64>, LedgerError> {
        let events: Vec<Event> = jobs.iter().flat_map(|job| job.events.iter().cloned()).collect();
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let mut tx = self.database.begin().await?;
        let now = self.clock.now();
        let first = store::add(&mut tx, &self.keyring, &self.notary, &*self.random, now, &events).await?;
        for job in jobs {
            reads::forget(&mut tx, &self.keyring, &job.closes).await?;
        }
        tx.commit().await?;
        let mut next = first;
        let number = |job: &Job| {
            let own = next;
            next += job.events.len() as u64;
            own
        };
        Ok(jobs.iter().map(number).collect())
    }
}
