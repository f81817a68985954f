//! Stores what groups want stored: all that waits goes into one transaction, so that many commits cost one sync.

use std::collections::VecDeque;
use std::sync::Arc;

use candor_meta::SqlError;
use parking_lot::Mutex;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::registry::Group;
use super::storage::{Step, Storage};

/// Pieces of work that share a transaction at most: what waits behind it waits for its end.
const WORKS_AT_ONCE: usize = 2_000;

/// Told whether the work is stored. What it does must be short.
pub(super) type Done = Box<dyn FnOnce(bool) + Send>;

/// What is to be stored.
pub(super) enum What {
    Steps(Vec<Step>),
    /// The group as it is once its turn comes.
    Group,
}

pub(super) struct Work {
    pub group: Arc<Group>,
    pub what: What,
    pub done: Done,
    /// Its share of what may wait.
    pub permit: Option<OwnedSemaphorePermit>,
}

/// Work in the order in which it came.
pub(super) struct Queue {
    works: Mutex<VecDeque<Work>>,
    wake: Notify,
    rows: Arc<Semaphore>,
    rows_max: u32,
}

impl Queue {
    pub fn new(rows_max: usize) -> Queue {
        let rows_max = u32::try_from(rows_max.max(1)).unwrap_or(u32::MAX);
        let rows = Arc::new(Semaphore::new(usize::try_from(rows_max).unwrap_or(1)));
        Queue { works: Mutex::default(), wake: Notify::new(), rows, rows_max }
    }

    /// Waits until there is room for so many rows.
    pub async fn room(&self, rows: usize) -> Option<OwnedSemaphorePermit> {
        let rows = u32::try_from(rows).unwrap_or(u32::MAX).clamp(1, self.rows_max);
        Arc::clone(&self.rows).acquire_many_owned(rows).await.ok()
    }

    pub fn push(&self, work: Work) {
        self.works.lock().push_back(work);
        self.wake.notify_one();
    }

    fn take(&self) -> Vec<Work> {
        let mut works = self.works.lock();
        let count = works.len().min(WORKS_AT_ONCE);
        works.drain(..count).collect()
    }
}

/// Stores work until it is told to end.
pub(super) async fn run(queue: Arc<Queue>, storage: Arc<dyn Storage>, closed: CancellationToken) {
    loop {
        tokio::select! {
            biased;
            () = closed.cancelled() => return,
            () = queue.wake.notified() => {}
        }
        loop {
            let works = queue.take();
            if works.is_empty() {
                break;
            }
            store(&*storage, works).await;
        }
    }
}

async fn store(storage: &dyn Storage, works: Vec<Work>) {
    let mut works: Vec<(Work, Vec<Step>)> = works
        .into_iter()
        .map(|mut work| {
            let steps = match &mut work.what {
                What::Steps(steps) => std::mem::take(steps),
                What::Group => work.group.state.lock().take_steps(&work.group.key),
            };
            (work, steps)
        })
        .collect();
    let mut all: Vec<Step> = Vec::with_capacity(works.iter().map(|(_, steps)| steps.len()).sum());
    for (_, steps) in &works {
        all.extend(steps.iter().cloned());
    }
    let outcome = if all.is_empty() { Ok(()) } else { storage.apply(&all).await };
    drop(all);
    let alone = works.len() == 1;
    for (work, steps) in works.drain(..) {
        let outcome = match &outcome {
            Ok(()) => Ok(()),
            // What the database refuses for good is one work's fault: the others are tried without it.
            Err(error) if !error.is_transient() && !alone => storage.apply(&steps).await,
            Err(error) => {
                complain(error);
                finish(work, &steps, false);
                continue;
            }
        };
        if let Err(error) = &outcome {
            complain(error);
        }
        finish(work, &steps, outcome.is_ok());
    }
}

fn complain(error: &SqlError) {
    tracing::warn!(
        error = error as &dyn std::error::Error,
        "what consumer groups committed cannot be stored"
    );
}

fn finish(work: Work, steps: &[Step], stored: bool) {
    {
        let mut state = work.group.state.lock();
        match work.what {
            What::Steps(_) => state.stored(steps, stored),
            What::Group => state.saved(stored),
        }
    }
    drop(work.permit);
    (work.done)(stored);
}
