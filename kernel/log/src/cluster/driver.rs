//! The tasks of a node: sealing, committing, looking what others did, upkeep.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::node::Node;
use super::seal::Sealed;
use super::sql::SqlSequencer;
use super::upkeep::Upkeep;
use crate::queue::Queue;
use crate::shared::Shared;
use crate::state::State;
use crate::{AppendError, ClusterOptions, FailStop, ForgetError, Inner, Log, OpenError};

/// The pause before the second try of a commit.
const RETRY_PAUSE: Duration = Duration::from_millis(20);

/// What an append waits at least for others to share its segment: appends that come at once are one put.
const SHARING: Duration = Duration::from_millis(4);

/// How often upkeep is done.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(30);

/// A segment on its way: being put, and taking one of the few places for that.
type Underway = (Sealed, JoinHandle<Result<(), AppendError>>, OwnedSemaphorePermit);

pub(crate) async fn open(options: ClusterOptions) -> Result<Log, OpenError> {
    let failed = |error| OpenError::Sequencer(Box::new(error));
    let sequencer = SqlSequencer::open(options.database.clone(), Arc::clone(&options.clock)).await;
    let sequencer = Arc::new(sequencer.map_err(failed)?);
    let shared = Arc::new(Shared::new(State::new(0), options.limits.tail_cache_bytes));
    let node = Arc::new(Node::new(
        Arc::clone(&shared),
        Arc::clone(&options.files),
        Arc::clone(&sequencer) as Arc<dyn super::sequencer::Sequencer>,
        Arc::clone(&options.clock),
        Arc::clone(&options.random),
        RETRY_PAUSE,
    ));
    node.learn().await.map_err(failed)?;

    let queue = Arc::new(Queue::new(options.limits.queue_bytes));
    let (stopped_sender, stopped) = watch::channel(false);
    let end = TaskEnd {
        queue: Arc::clone(&queue),
        shared: Arc::clone(&shared),
        stop: Arc::clone(&options.stop),
        stopped: stopped_sender,
    };
    // What is sealed waits for its turn to be committed; no more is sealed than may be put at once.
    let (sender, receiver) = mpsc::channel(options.puts_in_flight.max(1));
    tokio::spawn(seal_all(Arc::clone(&node), Arc::clone(&queue), sender, Sealing::of(&options)));
    tokio::spawn(commit_all(Arc::clone(&node), receiver, end));
    tokio::spawn(poll(Arc::clone(&node), options.poll, stopped.clone()));
    let upkeep = Upkeep::new(Arc::clone(&node), Arc::clone(&sequencer), options.consumers, options.limits);
    tokio::spawn(keep(upkeep, Arc::clone(&shared), stopped.clone()));
    let cluster = Some(Cluster { node, sequencer });
    let files = options.files;
    Ok(Log { inner: Arc::new(Inner { shared, files, queue, stopped, cluster, blocking_threads: true }) })
}

/// What a log of a cluster needs beside what every log has.
pub(crate) struct Cluster {
    pub node: Arc<Node>,
    pub sequencer: Arc<SqlSequencer>,
}

impl Cluster {
    /// Lets go of a project.
    pub async fn forget(&self, project: candor_model::ProjectId) -> Result<(), ForgetError> {
        self.sequencer.forget(project).await.map_err(|error| ForgetError(Box::new(error)))
    }
}

#[derive(Clone)]
struct Sealing {
    linger: Duration,
    segment_bytes: usize,
    puts: Arc<Semaphore>,
}

impl Sealing {
    fn of(options: &ClusterOptions) -> Sealing {
        Sealing {
            linger: options.linger,
            segment_bytes: options.limits.group_bytes,
            puts: Arc::new(Semaphore::new(options.puts_in_flight.max(1))),
        }
    }
}

/// Seals what waits, as soon as it fills a segment or its time has come: after a pause at once, but for a moment in
/// which others may join; under steady load once a linger. While all puts are taken, segments grow instead.
async fn seal_all(node: Arc<Node>, queue: Arc<Queue>, sender: mpsc::Sender<Underway>, sealing: Sealing) {
    let mut not_before = Instant::now();
    while queue.has_some().await {
        let due = not_before.max(Instant::now() + SHARING);
        let _ = tokio::time::timeout_at(due, queue.holds(sealing.segment_bytes)).await;
        let Ok(permit) = Arc::clone(&sealing.puts).acquire_owned().await else { return };
        not_before = Instant::now() + sealing.linger;
        let sealed = node.seal(queue.drain(sealing.segment_bytes));
        let (key, content) = (Arc::clone(&sealed.proposal.key), sealed.content.clone());
        let putting = Arc::clone(&node);
        let put = tokio::spawn(async move { putting.persist(&key, content).await });
        if sender.send((sealed, put, permit)).await.is_err() {
            return;
        }
    }
}

/// Commits what is sealed, in its order.
async fn commit_all(node: Arc<Node>, mut receiver: mpsc::Receiver<Underway>, _end: TaskEnd) {
    while let Some((sealed, put, permit)) = receiver.recv().await {
        let put = put.await.unwrap_or(Err(AppendError::Unavailable));
        drop(permit);
        match put {
            Ok(()) => node.commit(sealed).await,
            Err(error) => sealed.refuse(&error),
        }
    }
}

/// Looks what other nodes did, until the log stops.
async fn poll(node: Arc<Node>, interval: Duration, mut stopped: watch::Receiver<bool>) {
    loop {
        if let Err(error) = node.poll().await {
            tracing::warn!(error = &error as &dyn std::error::Error, "the sequencer was not asked");
        }
        tokio::select! {
            _ = stopped.wait_for(|stopped| *stopped) => return,
            () = tokio::time::sleep(interval) => {}
        }
    }
}

async fn keep(upkeep: Upkeep, shared: Arc<Shared>, mut stopped: watch::Receiver<bool>) {
    loop {
        if let Err(error) = upkeep.run().await {
            tracing::warn!(error = &error as &dyn std::error::Error, "the log is kept later");
        }
        tokio::select! {
            _ = stopped.wait_for(|stopped| *stopped) => return,
            () = shared.rolled.notified() => {}
            () = tokio::time::sleep(UPKEEP_INTERVAL) => {}
        }
    }
}

/// Answers who waits however the committing task ends.
struct TaskEnd {
    queue: Arc<Queue>,
    shared: Arc<Shared>,
    stop: Arc<dyn FailStop>,
    stopped: watch::Sender<bool>,
}

impl Drop for TaskEnd {
    fn drop(&mut self) {
        self.queue.fail(AppendError::Unavailable);
        let _ = self.stopped.send(true);
        self.shared.wake_all();
        if std::thread::panicking() {
            self.stop.stop("a committed batch could not be shown");
        }
    }
}
