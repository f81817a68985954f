//! Opening a log: what the disk holds is read back, and the journal's thread is started.

use std::sync::Arc;
use std::time::Duration;

use crate::batch::stored_length;
use crate::checkpoint::Checkpoints;
use crate::committer::Committer;
use crate::journal::{FrameAt, JournalWriter, LastGroup, Recovered, WriteError, recover};
use crate::maintenance::{Maintenance, MaintenanceError};
use crate::mutant::{Mutant, planted};
use crate::queue::{Errand, Job, Queue};
use crate::reader::decode_body;
use crate::shared::Shared;
use crate::state::{Chunk, State};
use candor_store::DiskError;

use crate::{AppendError, FailStop, Inner, Log, LogOptions, OpenError};

/// How often retention is looked after. Nothing else needs a clock: history segments and checkpoints follow the journal.
const MAINTENANCE_INTERVAL: Duration = Duration::from_secs(60);

/// How often it is looked whether something is to be compacted by key, where topics are (`log.cleaner.backoff.ms`, which
/// is longer with Kafka: here it is a look at memory).
const COMPACTION_INTERVAL: Duration = Duration::from_secs(5);

pub(crate) async fn open(options: LogOptions) -> Result<Log, OpenError> {
    let work = tokio::task::spawn_blocking(move || {
        let opened = read_back(&options)?;
        Ok::<_, OpenError>((opened, options))
    });
    let (opened, options) = match work.await {
        Ok(done) => done?,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    };
    let queue = Arc::new(Queue::new(options.limits.queue_bytes));
    let shared = Arc::clone(&opened.committer.shared);
    let (stopped_sender, stopped) = tokio::sync::watch::channel(false);
    let end = ThreadEnd {
        queue: Arc::clone(&queue),
        shared: Arc::clone(&shared),
        stop: Arc::clone(&options.stop),
        stopped: stopped_sender,
    };
    let group_bytes = options.limits.group_bytes;
    let Opened { committer, maintenance } = opened;
    let checkpoints = Arc::clone(&maintenance.checkpoints);
    let failed = |source| DiskError::Io { operation: "start a thread", path: String::new(), source };
    std::thread::Builder::new()
        .name("candor-journal".to_owned())
        .spawn(move || run(&end, committer, group_bytes, &checkpoints))
        .map_err(failed)?;
    let keeper = Keeper {
        maintenance,
        queue: Arc::clone(&queue),
        shared: Arc::clone(&shared),
        stop: options.stop,
        stopped: stopped.clone(),
        purge_at: None,
        clean_at: None,
    };
    // A thread and a runtime of its own: it reads and seals hundreds of megabytes at a time, beside who answers
    // requests.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(failed)?;
    std::thread::Builder::new()
        .name("candor-log-keeper".to_owned())
        .spawn(move || runtime.block_on(keeper.run()))
        .map_err(failed)?;
    let files = options.files;
    Ok(Log {
        inner: Arc::new(Inner { shared, files, queue, stopped, cluster: None, blocking_threads: true }),
    })
}

/// How long after a purge, or a compaction by key, that failed the next is tried.
const PURGE_PAUSE: Duration = Duration::from_secs(600);

/// How often segments that nothing names are looked for: what a put that was given up left behind.
const SWEEP_INTERVAL: Duration = Duration::from_secs(3600);

/// What an opened log consists of, before its threads run.
pub(crate) struct Opened {
    pub committer: Committer,
    pub maintenance: Maintenance,
}

/// Rebuilds the state from what is on the disk. Blocks.
pub(crate) fn read_back(options: &LogOptions) -> Result<Opened, OpenError> {
    let mut state = State::new(options.limits.window_requests);
    let (keys, random) = (options.keys.clone(), Arc::clone(&options.random));
    let checkpoints = Arc::new(Checkpoints::new(&*options.disk, keys, random));
    let loaded = checkpoints.load(&mut state)?;
    let (from, first_needed) = loaded.map_or((None, 1), |at| (Some(at.position), at.first_needed));
    let keys = options.keys.as_deref();
    let mut recovered = recover(&*options.disk, keys, from, first_needed, |frame, body| {
        apply_record(&mut state, frame, body)
    })?;
    if let Some(file) = unknown_file(&state, &recovered) {
        return Err(OpenError::Missing(crate::journal::path_of(file)));
    }
    state.changed = recovered.frames > 0;
    if recovered.frames > 0 {
        tracing::info!(records = recovered.frames, "read the journal's tail back");
    }
    let mut writer = JournalWriter::new(
        Arc::clone(&options.disk),
        options.keys.clone(),
        Arc::clone(&options.random),
        options.limits.journal_file_bytes,
        recovered.start,
    );
    if let Some(group) = recovered.last_group.take() {
        show_last_group(&mut writer, &mut state, &mut recovered, group)?;
    }
    state.journals = recovered.files;
    let shared = Arc::new(Shared::new(state, options.limits.tail_cache_bytes));
    let maintenance = Maintenance::new(options, Arc::clone(&shared), checkpoints);
    let committer = Committer::new(shared, writer, Arc::clone(&options.clock), Arc::clone(&options.stop));
    Ok(Opened { committer, maintenance })
}

/// Takes in the last group of the journal, once it is durable for sure.
fn show_last_group(
    writer: &mut JournalWriter,
    state: &mut State,
    recovered: &mut Recovered,
    group: LastGroup,
) -> Result<(), OpenError> {
    let skipped = planted(Mutant::SkipRecommit) || planted(Mutant::SkipRecoverySync);
    let places = if skipped {
        if !planted(Mutant::SkipRecoverySync) {
            group.file.disk_file().sync()?;
        }
        group.frames.iter().map(|(frame, _)| *frame).collect()
    } else {
        let written = writer.recommit(&group).map_err(|error| match error {
            // Not even the reserve holds it. What cannot be made durable must not be shown.
            WriteError::Full => DiskError::Full,
            WriteError::Failed(error) => error,
        })?;
        let number = written.file.head.number;
        recovered.files.insert(number, written.file);
        state.open_journal = Some(number);
        written.frames
    };
    for (place, (frame, body)) in places.into_iter().zip(group.frames) {
        apply_record(state, place, body).map_err(|what| OpenError::Hole {
            file: group.file.path(),
            at: frame.at,
            what,
        })?;
    }
    Ok(())
}

fn apply_record(state: &mut State, frame: FrameAt, body: bytes::Bytes) -> Result<(), &'static str> {
    let batches = decode_body(body).ok_or("a record is not of this format")?;
    for (slot, batch) in (0..).zip(&batches) {
        if !state.apply(batch, frame, slot, stored_length(batch) as u32) {
            return Err("a record does not follow the one before it");
        }
    }
    Ok(())
}

/// A journal file that batches are said to lie in, but that is not there.
fn unknown_file(state: &State, recovered: &Recovered) -> Option<u64> {
    let mut named = state.partitions.iter().flat_map(|p| &p.chunks).filter_map(Chunk::journal);
    named.find(|file| !recovered.files.contains_key(file))
}

/// Answers who waits however the journal's thread ends.
struct ThreadEnd {
    queue: Arc<Queue>,
    shared: Arc<Shared>,
    stop: Arc<dyn FailStop>,
    stopped: tokio::sync::watch::Sender<bool>,
}

impl Drop for ThreadEnd {
    fn drop(&mut self) {
        self.queue.fail(AppendError::Unavailable);
        let _ = self.stopped.send(true);
        self.shared.wake_all();
        if std::thread::panicking() {
            self.stop.stop("the journal's thread panicked");
        }
    }
}

fn run(end: &ThreadEnd, mut committer: Committer, group_bytes: usize, checkpoints: &Checkpoints) {
    loop {
        match end.queue.take(group_bytes) {
            Job::Append(group) => committer.commit(group),
            Job::Run(errand) => errand(&mut committer),
            Job::Stop => break,
        }
        if committer.has_failed() {
            end.queue.fail(AppendError::Unavailable);
            return;
        }
    }
    // A start after a clean stop reads no journal. Without it nothing is lost.
    committer.writer.seal_file();
    let snapshot = Maintenance::last_snapshot(&mut committer);
    if let Err(error) = checkpoints.write(&snapshot) {
        tracing::warn!(error = &error as &dyn std::error::Error, "no checkpoint at the end");
    }
}

/// Runs maintenance until the log stops.
struct Keeper {
    maintenance: Maintenance,
    queue: Arc<Queue>,
    shared: Arc<Shared>,
    stop: Arc<dyn FailStop>,
    stopped: tokio::sync::watch::Receiver<bool>,
    /// When a purge that failed is tried again.
    purge_at: Option<tokio::time::Instant>,
    /// When compaction by key that failed is tried again.
    clean_at: Option<tokio::time::Instant>,
}

impl Keeper {
    async fn run(mut self) {
        let mut swept = tokio::time::Instant::now();
        self.sweep().await;
        loop {
            if swept.elapsed() >= SWEEP_INTERVAL {
                swept = tokio::time::Instant::now();
                self.sweep().await;
            }
            if let Err(error) = self.keep().await {
                // On a full disk it is tried again; a sync of the checkpoint that failed may not be.
                if matches!(&error, MaintenanceError::Disk(_)) && !error.is_full() {
                    report(&error, "the log cannot be kept");
                    self.stop.stop("the log's checkpoint could not be written");
                    return;
                }
                report(&error, "the log is kept later");
            }
            let interval = match self.maintenance.compacts_keys() {
                true => COMPACTION_INTERVAL,
                false => MAINTENANCE_INTERVAL,
            };
            let stopped = self.stopped.wait_for(|stopped| *stopped);
            tokio::select! {
                _ = stopped => return,
                () = self.shared.rolled.notified() => {}
                () = tokio::time::sleep(interval) => {}
            }
        }
    }

    /// Removes what compactions left that did not end. None runs meanwhile.
    async fn sweep(&self) {
        match self.maintenance.remove_orphans().await {
            Ok(0) => {}
            Ok(removed) => tracing::info!(removed, "removed segments of an unfinished compaction"),
            Err(error) => report(&error, "segments of unfinished compactions were not removed"),
        }
    }

    async fn keep(&mut self) -> Result<(), MaintenanceError> {
        let kept = self.try_keep().await;
        if kept.is_err() {
            // What was written so far is of no use, and a full disk needs its room.
            self.sweep().await;
        }
        kept
    }

    /// Writes anew what lies beside batches of deleted projects. Where that fails, as with a segment that cannot be
    /// read, it waits: nothing else may.
    async fn purge(&mut self) {
        let now = tokio::time::Instant::now();
        if !self.maintenance.needs_purge() || self.purge_at.is_some_and(|at| now < at) {
            return;
        }
        // None where the log is closed.
        if self.maintenance.purges_journal() && self.on_journal(Committer::seal_file).await.is_none() {
            return;
        }
        self.purge_at = None;
        if let Err(error) = self.maintenance.purge().await {
            self.purge_at = Some(tokio::time::Instant::now() + PURGE_PAUSE);
            report(&error, "batches of deleted projects stay in the log for now");
            // What was written so far is of no use, and a full disk needs its room.
            self.sweep().await;
        }
    }

    /// Compacts by key what is due. Where that fails, as with a segment that cannot be read, it waits: nothing else may.
    async fn clean(&mut self) -> Result<(), MaintenanceError> {
        if self.clean_at.is_some_and(|at| tokio::time::Instant::now() < at) {
            return Ok(());
        }
        self.clean_at = None;
        let cleaned = {
            let mut cleaning = std::pin::pin!(self.maintenance.clean());
            loop {
                // A large partition takes its time, and who deletes something waits for a checkpoint.
                tokio::select! {
                    cleaned = &mut cleaning => break cleaned,
                    () = self.shared.rolled.notified() => self.checkpoint_if_asked().await?,
                }
            }
        };
        match cleaned {
            // There may be more, and something else may have become due meanwhile.
            Ok(true) => self.shared.rolled.notify_one(),
            Ok(false) => {}
            Err(error) => {
                self.clean_at = Some(tokio::time::Instant::now() + PURGE_PAUSE);
                report(&error, "topics are compacted later");
                self.sweep().await;
            }
        }
        Ok(())
    }

    async fn checkpoint_if_asked(&self) -> Result<(), MaintenanceError> {
        let asked = std::mem::take(&mut *self.shared.checkpoint_asked.lock());
        if !asked.is_empty()
            && let Some(snapshot) = self.on_journal(Maintenance::snapshot).await
        {
            self.maintenance.checkpoint(snapshot).await?;
            for reply in asked {
                // Who asked may have gone.
                let _ = reply.send(());
            }
        }
        Ok(())
    }

    async fn try_keep(&mut self) -> Result<(), MaintenanceError> {
        self.checkpoint_if_asked().await?;
        if self.maintenance.waits_for_the_active_end() {
            let _ = self.on_journal(Committer::seal_file).await;
        }
        let seals = self.maintenance.age_limit();
        if self.on_journal(move |committer| committer.seal_if_older(seals)).await.is_none() {
            return Ok(());
        }
        self.maintenance.trim();
        self.purge().await;
        let maintenance = &self.maintenance;
        if maintenance.needs_compaction() {
            maintenance.compact().await?;
        }
        self.clean().await?;
        let maintenance = &self.maintenance;
        if !maintenance.needs_checkpoint() {
            return Ok(());
        }
        match self.on_journal(Maintenance::snapshot).await {
            Some(snapshot) => maintenance.checkpoint(snapshot).await,
            None => Ok(()),
        }
    }

    /// Runs something between two groups; none once the log is closed.
    async fn on_journal<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Committer) -> T + Send + 'static,
    ) -> Option<T> {
        let (reply, answer) = tokio::sync::oneshot::channel();
        let errand: Errand = Box::new(move |committer| {
            let _ = reply.send(work(committer));
        });
        if !self.queue.run(errand) {
            return None;
        }
        answer.await.ok()
    }
}

fn report(error: &MaintenanceError, what: &str) {
    tracing::warn!(error = error as &dyn std::error::Error, "{what}");
}
