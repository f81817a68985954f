//! Stores what transactions want stored: all that waits goes into one transaction of the database, so that many cost
//! one sync.

use std::sync::Arc;

use candor_meta::SqlError;
use tokio::sync::{mpsc, oneshot};

use super::storage::{Step, Storage};

/// Pieces of work that may wait; who brings more waits before.
const WAITING_MAX: usize = 1_000;

/// Pieces of work that share a transaction of the database at most.
const WORKS_AT_ONCE: usize = 200;

struct Work {
    steps: Vec<Step>,
    done: oneshot::Sender<bool>,
}

/// Takes steps to be stored, in the order in which they come. Its task ends with it.
pub(super) struct Committer {
    queue: mpsc::Sender<Work>,
}

impl Committer {
    /// To be called within a Tokio runtime.
    pub fn start(storage: Arc<dyn Storage>) -> Committer {
        let (queue, works) = mpsc::channel(WAITING_MAX);
        tokio::spawn(run(works, storage));
        Committer { queue }
    }

    /// Stores steps, all or none; false where it is not known whether they are.
    pub async fn store(&self, steps: Vec<Step>) -> bool {
        let (done, stored) = oneshot::channel();
        if self.queue.send(Work { steps, done }).await.is_err() {
            return false;
        }
        stored.await.unwrap_or(false)
    }
}

async fn run(mut works: mpsc::Receiver<Work>, storage: Arc<dyn Storage>) {
    let mut taken = Vec::with_capacity(WORKS_AT_ONCE);
    while works.recv_many(&mut taken, WORKS_AT_ONCE).await > 0 {
        let all: Vec<Step> = taken.iter().flat_map(|work| work.steps.iter().cloned()).collect();
        let outcome = storage.apply(&all).await;
        let is_alone = taken.len() == 1;
        for work in taken.drain(..) {
            let outcome = match &outcome {
                // What the database refuses for good is one's fault: the others are tried without it.
                Err(error) if !error.is_transient() && !is_alone => storage.apply(&work.steps).await,
                Err(error) => {
                    complain(error);
                    work.done.send(false).ok();
                    continue;
                }
                Ok(()) => Ok(()),
            };
            if let Err(error) = &outcome {
                complain(error);
            }
            work.done.send(outcome.is_ok()).ok();
        }
    }
}

fn complain(error: &SqlError) {
    tracing::warn!(error = error as &dyn std::error::Error, "what transactions did cannot be stored");
}
