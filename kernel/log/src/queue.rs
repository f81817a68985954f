//! Appends that wait for the journal's thread: bounded by bytes, drained in groups.

use std::collections::VecDeque;

use parking_lot::{Condvar, Mutex};
use tokio::sync::{Notify, oneshot};

use crate::batch::{Batch, encoded_length};
use crate::{AppendError, Appended};

/// Appends waiting at most: each holds a task and some hundred bytes beside its batches.
const WAITING_MAX: usize = 16_384;

/// What an append is answered: what became of each batch; an error where that is the same for all.
pub(crate) type Answers = Result<Vec<Result<Appended, AppendError>>, AppendError>;

/// An append on its way.
pub(crate) struct Request {
    pub batches: Vec<Batch>,
    /// Each batch is taken or refused by itself; else all of them or none.
    pub each: bool,
    pub reply: oneshot::Sender<Answers>,
}

impl Request {
    pub fn weight(&self) -> usize {
        self.batches.iter().map(encoded_length).sum()
    }
}

/// What the journal's thread is to do next.
pub(crate) enum Job {
    /// Commit these together.
    Append(Vec<Request>),
    /// Run something between two groups.
    Run(Errand),
    /// End.
    Stop,
}

/// Work for the journal's thread.
pub(crate) type Errand = Box<dyn FnOnce(&mut crate::committer::Committer) + Send>;

pub(crate) struct Queue {
    state: Mutex<State>,
    ready: Condvar,
    /// The same for a task: a log has a thread or a task that takes, never both.
    arrived: Notify,
    bytes_max: usize,
}

struct State {
    waiting: VecDeque<Request>,
    bytes: usize,
    errands: VecDeque<Errand>,
    closed: Option<AppendError>,
}

impl Queue {
    pub fn new(bytes_max: usize) -> Queue {
        let state = State { waiting: VecDeque::new(), bytes: 0, errands: VecDeque::new(), closed: None };
        Queue { state: Mutex::new(state), ready: Condvar::new(), arrived: Notify::new(), bytes_max }
    }

    /// Queues an append, or refuses it.
    pub fn push(&self, request: Request) -> Result<(), AppendError> {
        let weight = request.weight();
        let mut state = self.state.lock();
        if let Some(why) = &state.closed {
            return Err(why.clone());
        }
        // One alone is let in whatever its size, else it could never be stored.
        let full = state.bytes.saturating_add(weight) > self.bytes_max && !state.waiting.is_empty();
        if full || state.waiting.len() >= WAITING_MAX {
            return Err(AppendError::Overloaded);
        }
        state.bytes += weight;
        state.waiting.push_back(request);
        drop(state);
        self.ready.notify_one();
        self.arrived.notify_one();
        Ok(())
    }

    /// Queues work to be done between two groups; false once closed.
    pub fn run(&self, errand: Errand) -> bool {
        let mut state = self.state.lock();
        if state.closed.is_some() {
            return false;
        }
        state.errands.push_back(errand);
        drop(state);
        self.ready.notify_one();
        true
    }

    /// Refuses what comes from now on with `why`; what waits is still committed.
    pub fn close(&self, why: AppendError) {
        let mut state = self.state.lock();
        if state.closed.is_none() {
            state.closed = Some(why);
        }
        drop(state);
        self.ready.notify_all();
        self.arrived.notify_one();
    }

    /// Refuses what comes, and what waits.
    pub fn fail(&self, why: AppendError) {
        self.close(why.clone());
        let mut state = self.state.lock();
        state.bytes = 0;
        state.errands.clear();
        for request in std::mem::take(&mut state.waiting) {
            let _ = request.reply.send(Err(why.clone()));
        }
    }

    /// Waits until something waits; false once closed and empty.
    pub async fn has_some(&self) -> bool {
        loop {
            {
                let state = self.state.lock();
                if !state.waiting.is_empty() || state.closed.is_some() {
                    return !state.waiting.is_empty();
                }
            }
            self.arrived.notified().await;
        }
    }

    /// Waits until so many bytes wait, or the queue is closed.
    pub async fn holds(&self, bytes: usize) {
        loop {
            {
                let state = self.state.lock();
                if state.bytes >= bytes || state.closed.is_some() {
                    return;
                }
            }
            self.arrived.notified().await;
        }
    }

    /// All that waits, up to about so many bytes.
    pub fn drain(&self, group_bytes: usize) -> Vec<Request> {
        self.state.lock().drain(group_bytes)
    }

    /// Waits for work: all that waits, up to about `group_bytes`.
    pub fn take(&self, group_bytes: usize) -> Job {
        let mut state = self.state.lock();
        loop {
            if let Some(errand) = state.errands.pop_front() {
                return Job::Run(errand);
            }
            if !state.waiting.is_empty() {
                return Job::Append(state.drain(group_bytes));
            }
            if state.closed.is_some() {
                return Job::Stop;
            }
            self.ready.wait(&mut state);
        }
    }
}

impl State {
    fn drain(&mut self, group_bytes: usize) -> Vec<Request> {
        let mut group: Vec<Request> = Vec::new();
        let mut bytes = 0;
        while let Some(request) = self.waiting.front() {
            bytes += request.weight();
            if !group.is_empty() && bytes > group_bytes {
                break;
            }
            let Some(request) = self.waiting.pop_front() else { break };
            self.bytes = self.bytes.saturating_sub(request.weight());
            group.push(request);
        }
        group
    }
}
