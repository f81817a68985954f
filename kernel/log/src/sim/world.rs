//! One run: the log, its disk, and a day in its life.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use candor_model::random::Seeded;
use candor_model::time::ManualClock;
use candor_model::{Clock, Partition, Random, Timestamp, TopicName};
use candor_store::sim::{SimCrash, SimDisk, SimOperation};
use candor_store::{Disk, DiskObjects, Files, KeyWrap};
use futures::executor::block_on;
use tokio::sync::oneshot;

use super::model::{Fate, Model, Recorder, Sent};
use super::policies::Policies;
use super::producers::Producer;
use crate::maintenance::{Maintenance, MaintenanceError};
use crate::open::{Opened, read_back};
use crate::queue::Request;
use crate::testing::{SeenStop, TestKeys, request, topic};
use crate::{AppendError, Compaction, Consumer, Limits, LogOptions, OpenError};

pub(super) const PROJECTS: u64 = 5;
const STEPS: u64 = 70;
/// Room for the last group of a journal and a checkpoint.
const RESERVE: u64 = 256 << 10;
pub(super) const P: Partition = Partition(0);

pub struct World {
    dice: Seeded,
    pub(super) disk: SimDisk,
    pub(super) options: LogOptions,
    clock: Arc<ManualClock>,
    stop: Arc<SeenStop>,
    pub(super) log: Option<Opened>,
    recorder: Arc<Recorder>,
    pub(super) model: Model,
    requests: u64,
    pub(super) producers: Vec<Producer>,
    /// Rewrites files as after a deletion. Not in every run: it ends the journal's files early, which hides what is
    /// wrong with long ones.
    purges: bool,
    pub(super) compaction: Compaction,
    /// Mostly about the stream that is compacted by key.
    pub(super) is_keyed: bool,
    pub(super) policies: Policies,
    verbose: bool,
}

pub(super) type Outcome = Result<(), String>;

impl World {
    pub fn new(seed: u64, verbose: bool) -> World {
        let dice = Seeded::new(seed.wrapping_mul(0x1234_5677).wrapping_add(99));
        let disk = SimDisk::new(seed);
        let is_keyed = seed % 4 == 2;
        let below = |n: u64| dice.next_u64() % n;
        let limits = Limits {
            journal_file_bytes: [4 << 10, 16 << 10, 64 << 10][below(3) as usize],
            journal_bytes: 40 << 10,
            segment_bytes: [2 << 10, 32 << 10][below(2) as usize],
            tail_cache_bytes: [0, 6000, 1 << 20][below(3) as usize],
            retention: Duration::from_secs(24 * 3600),
            retention_project_bytes: 60_000,
            // A few batches, or all.
            compaction_keys: if seed % 4 == 1 { 5 } else { usize::MAX },
            ..Limits::default()
        };
        let clock = Arc::new(ManualClock::new(Timestamp(1_700_000_000_000_000)));
        let stop = Arc::new(SeenStop::default());
        let keys: Option<Arc<dyn KeyWrap>> =
            (below(8) > 0).then(|| Arc::new(TestKeys(5)) as Arc<dyn KeyWrap>);
        let random = Arc::new(Seeded::new(seed ^ 0x5555));
        let data: Arc<dyn Disk> = Arc::new(disk.with_reserve(RESERVE));
        let objects = Arc::new(DiskObjects::inline(Arc::clone(&data), "objects"));
        let options = LogOptions {
            disk: data,
            files: Arc::new(Files::new(objects, keys.clone(), Arc::<Seeded>::clone(&random))),
            keys,
            clock: Arc::<ManualClock>::clone(&clock),
            random,
            stop: Arc::<SeenStop>::clone(&stop),
            consumers: vec![Consumer { name: "lake", topics: |_: &TopicName| true }],
            limits,
        };
        World {
            dice,
            disk,
            options,
            clock,
            stop,
            log: None,
            recorder: Recorder::new([]),
            model: Model::new(),
            requests: 0,
            producers: Producer::some(),
            purges: seed % 4 == 3,
            is_keyed,
            compaction: Compaction {
                lag_min_ms: [0, 0, 1800 * 1000][(seed % 3) as usize],
                dirty_ratio_min: if is_keyed { 0.0 } else { 0.2 },
                delete_retention_ms: 6 * 3600 * 1000,
                segment_ms: 600 * 1000,
                ..Compaction::default()
            },
            policies: Policies::new(seed),
            verbose,
        }
    }

    pub fn disk(&self) -> &SimDisk {
        &self.disk
    }

    pub(super) fn below(&self, n: u64) -> u64 {
        self.dice.next_u64() % n.max(1)
    }

    pub(super) fn say(&self, what: impl FnOnce() -> String) {
        if self.verbose {
            println!("{}", what());
        }
    }

    pub fn run(&mut self) -> Outcome {
        self.open()?;
        for _ in 0..STEPS {
            self.step()?;
            if self.disk.is_off() || self.stop.stopped() {
                self.restart()?;
            }
        }
        self.disk.set_capacity(u64::MAX);
        self.crash(SimCrash::PowerCut)?;
        // The log works on whatever came before.
        self.append()?;
        self.produce()?;
        self.check_all()
    }

    fn step(&mut self) -> Outcome {
        match self.below(100) {
            8..28 if self.is_keyed => self.produce(),
            0..28 => self.append(),
            28..40 => self.produce(),
            40..52 => self.check_some(),
            52..62 => {
                self.consume();
                Ok(())
            }
            62..77 => self.maintain(),
            77..81 => {
                let minutes = self.below(600) as i64;
                self.say(|| format!("{minutes} minutes pass"));
                self.clock.advance(minutes * 60 * Timestamp::SECOND);
                Ok(())
            }
            81..85 => {
                let used = self.disk.used();
                let room = if self.below(3) > 0 { u64::MAX / 2 } else { self.below(40_000) };
                self.say(|| format!("room for {room} more bytes"));
                self.disk.set_capacity(used + room);
                Ok(())
            }
            90..92 => self.die_in_a_checkpoint(),
            85..87 => {
                let calls = 1 + self.below(40);
                self.say(|| format!("the power goes in {calls} calls"));
                self.disk.cut_power_after(calls);
                Ok(())
            }
            87..90 => {
                // Nearly always the group itself; else what a new file begins with.
                let mut left = self.below(4) / 3;
                self.say(|| "writes in place find no room".to_owned());
                self.disk.full_when(move |_, path| {
                    left = left.wrapping_sub(u64::from(path.ends_with(".journal")));
                    left == u64::MAX
                });
                self.append()?;
                if self.below(6) > 0 { self.crash(SimCrash::PowerCut) } else { Ok(()) }
            }
            92..94 => {
                let which = self.below(3);
                self.say(|| format!("syncs fail ({which})"));
                let mut left = self.below(4);
                self.disk.fail_when(move |operation, path| {
                    let fits = match which {
                        0 => operation == SimOperation::Sync && path.starts_with("log/"),
                        1 => operation == SimOperation::SyncDir,
                        _ => path.starts_with("objects/"),
                    };
                    let now = fits && left == 0;
                    left = left.saturating_sub(u64::from(fits));
                    now
                });
                Ok(())
            }
            94..97 => self.crash(if self.below(2) == 0 { SimCrash::Killed } else { SimCrash::PowerCut }),
            _ => self.close(),
        }
    }

    /// The process is killed within a checkpoint, the next one begins on what is in the page cache, and then the power
    /// goes.
    fn die_in_a_checkpoint(&mut self) -> Outcome {
        self.say(|| "killed in a checkpoint, then a power cut".to_owned());
        let Some(log) = &mut self.log else { return Ok(()) };
        // What is compacted lets the checkpoint do without old files of the journal.
        if block_on(log.maintenance.compact()).is_err() {
            return self.restart();
        }
        let snapshot = Maintenance::snapshot(&mut log.committer);
        let calls = 3 + self.dice.next_u64() % 3;
        self.disk.cut_power_after(calls);
        let _ = log.maintenance.checkpoints.write(&snapshot);
        self.followed()?;
        self.log = None;
        self.disk.restart(SimCrash::Killed);
        self.open()?;
        self.append()?;
        self.crash(SimCrash::PowerCut)
    }

    fn open(&mut self) -> Outcome {
        for _ in 0..50 {
            match read_back(&self.options) {
                Ok(opened) => {
                    let state = opened.committer.shared.state.read();
                    let ends: Vec<_> = state.partitions.iter().map(|p| (p.topic.clone(), p.end)).collect();
                    drop(state);
                    let mut state = opened.committer.shared.state.write();
                    state.retention = super::producers::retention();
                    state.compaction = [(super::producers::keyed(), self.compaction)].into();
                    drop(state);
                    self.recorder = Recorder::new(ends);
                    opened.committer.shared.followers.lock().push(Arc::<Recorder>::clone(&self.recorder));
                    self.log = Some(opened);
                    self.announce();
                    self.say_policy();
                    self.check_all()?;
                    return Ok(());
                }
                Err(OpenError::Disk(candor_store::DiskError::Full)) => {
                    self.disk.set_capacity(u64::MAX);
                }
                Err(OpenError::Disk(_)) if self.disk.is_off() => {
                    self.disk.restart(self.ending());
                }
                Err(error) => return Err(format!("the log does not open: {error}")),
            }
            if self.below(10) == 0 {
                self.disk.cut_power_after(1 + self.below(10));
            }
        }
        Err("the log never opens".to_owned())
    }

    fn ending(&self) -> SimCrash {
        if self.below(3) == 0 { SimCrash::Killed } else { SimCrash::PowerCut }
    }

    /// Consumers say again where they are.
    fn announce(&self) {
        let Some(log) = &self.log else { return };
        let mut state = log.committer.shared.state.write();
        for (topic, next) in &self.model.consumed {
            let key = state.intern(topic, P);
            if let Some(partition) = state.get_mut(key) {
                partition.consumed = vec![("lake", *next)];
            }
        }
    }

    fn restart(&mut self) -> Outcome {
        let crash = self.ending();
        self.crash(crash)
    }

    fn crash(&mut self, crash: SimCrash) -> Outcome {
        self.say(|| format!("crash: {crash:?}"));
        self.followed()?;
        self.log = None;
        self.stop.0.store(false, std::sync::atomic::Ordering::SeqCst);
        self.disk.restart(crash);
        if self.below(4) == 0 {
            self.disk.cut_power_after(1 + self.below(12));
        }
        self.open()
    }

    fn close(&mut self) -> Outcome {
        self.say(|| "a clean stop".to_owned());
        if let Some(mut log) = self.log.take() {
            log.committer.writer.seal_file();
            let snapshot = Maintenance::snapshot(&mut log.committer);
            let _ = log.maintenance.checkpoints.write(&snapshot);
        }
        self.followed()?;
        if self.disk.is_off() {
            return self.restart();
        }
        self.disk.restart(SimCrash::Killed);
        self.open()
    }

    /// What followers saw was committed, and stays.
    pub(super) fn followed(&mut self) -> Outcome {
        if let Some(broken) = self.recorder.broken.lock().take() {
            return Err(broken);
        }
        let seen = std::mem::take(&mut *self.recorder.seen.lock());
        seen.iter().try_for_each(|batch| self.model.saw(batch, true))
    }

    fn append(&mut self) -> Outcome {
        self.change_policy();
        let mut group = Vec::new();
        let mut answers = Vec::new();
        for _ in 0..=self.below(4) {
            let mut numbers = Vec::new();
            for _ in 0..=self.below(3) {
                let retry = self.below(5) == 0;
                numbers.push(match retry.then(|| self.pick_retry(&numbers)).flatten() {
                    Some(number) => number,
                    None => self.send(),
                });
            }
            let (reply, answer) = oneshot::channel();
            let batches = numbers.iter().filter_map(|number| self.model.sent.get(*number as usize));
            let batches = batches.map(Sent::batch).collect();
            group.push(Request { batches, each: false, reply });
            answers.push((numbers, answer));
        }
        self.say(|| format!("append {:?}", answers.iter().map(|(numbers, _)| numbers).collect::<Vec<_>>()));
        let Some(log) = &mut self.log else { return Ok(()) };
        log.committer.commit(group);
        for (numbers, mut answer) in answers {
            let answer = answer.try_recv().map_err(|_| "an append was not answered".to_owned())?;
            let answer = answer.and_then(|of_each| of_each.into_iter().collect());
            self.check_policy(&numbers, &answer)?;
            self.answered(&numbers, answer)?;
        }
        self.followed()
    }

    pub(super) fn answered(
        &mut self,
        numbers: &[u64],
        answer: Result<Vec<crate::Appended>, AppendError>,
    ) -> Outcome {
        match answer {
            Ok(appended) => {
                self.say(|| {
                    format!("  {numbers:?} at {:?}", appended.iter().map(|a| a.base.0).collect::<Vec<_>>())
                });
                if appended.len() != numbers.len() {
                    return Err("an append was answered in part".to_owned());
                }
                for (number, appended) in numbers.iter().zip(appended) {
                    self.model.acknowledged(*number, appended.base.0, appended.duplicate)?;
                }
            }
            Err(error) => {
                self.say(|| format!("  {numbers:?}: {error}"));
                let refused = !matches!(error, AppendError::Unavailable);
                for number in numbers {
                    if let Some(sent) = self.model.sent.get_mut(*number as usize)
                        && !matches!(sent.fate, Fate::Acknowledged(_))
                    {
                        // A retry of what may be stored already, refused now, may still be stored.
                        let first = sent.fate == Fate::Refused;
                        sent.fate = if refused && first { Fate::Refused } else { Fate::Unknown };
                    }
                }
            }
        }
        Ok(())
    }

    /// A batch that was sent before with a request id, and is not in this request.
    fn pick_retry(&self, not: &[u64]) -> Option<u64> {
        let back = 1 + self.below(40.min(self.model.sent.len() as u64));
        let number = (self.model.sent.len() as u64).checked_sub(back)?;
        let sent = self.model.sent.get(number as usize)?;
        (sent.request.is_some() && !not.contains(&number)).then_some(number)
    }

    fn send(&mut self) -> u64 {
        let number = self.model.sent.len() as u64;
        let length = match self.below(20) {
            0 => self.below(20_000),
            1..4 => self.below(4000),
            _ => self.below(300),
        };
        let mut content = number.to_le_bytes().to_vec();
        content.extend((0..length).map(|i| (i * 7 + number) as u8));
        let request = (self.below(3) == 0).then(|| {
            self.requests += 1;
            request(self.requests)
        });
        self.model.sent.push(Sent {
            number,
            topic: topic(1 + self.below(PROJECTS) as i64),
            content: Bytes::from(content),
            count: 1 + self.below(4) as u32,
            request,
            // Until something says otherwise.
            fate: Fate::Refused,
            part: None,
            keys: Vec::new(),
            at: self.clock.now(),
            epoch: self.policies.of_new(),
        });
        number
    }

    fn consume(&mut self) {
        let Some(log) = &self.log else { return };
        let mut state = log.committer.shared.state.write();
        for topic in self.model.topics() {
            if self.below(2) == 0 {
                continue;
            }
            let key = state.intern(&topic, P);
            let Some(partition) = state.get_mut(key) else { continue };
            let behind = if self.below(2) == 0 { 0 } else { self.below(10) };
            let next = partition.end.saturating_sub(behind);
            let consumed = self.model.consumed.entry(topic).or_default();
            *consumed = next.max(*consumed);
            partition.consumed = vec![("lake", *consumed)];
        }
    }

    fn maintain(&mut self) -> Outcome {
        let deletes = self.deletes();
        let Some(log) = &mut self.log else { return Ok(()) };
        let maintenance = &log.maintenance;
        let done = block_on(async {
            match self.dice.next_u64() % 6 {
                0 => {
                    maintenance.remove_orphans().await?;
                }
                1 => log.committer.seal_if_older(maintenance.age_limit()),
                // Only what is in files that were ended is compacted by key.
                3..5 if self.is_keyed => log.committer.seal_file(),
                2 if self.purges => {
                    // As if a deleted project had something in every file.
                    log.committer.seal_file();
                    {
                        let mut state = log.committer.shared.state.write();
                        state.purge.journals_to = state.journals.keys().next_back().copied();
                        state.purge.segments = state.segments.keys().copied().collect();
                    }
                    maintenance.purge().await?;
                }
                _ => {}
            }
            if let Some((topic, before)) = &deletes {
                let mut state = log.committer.shared.state.write();
                let key = state.intern(topic, P);
                state.delete_records(key, *before);
            }
            maintenance.trim();
            if maintenance.needs_compaction() {
                maintenance.compact().await?;
            }
            if maintenance.waits_for_the_active_end() {
                log.committer.seal_file();
            }
            maintenance.clean().await?;
            if deletes.is_some() || maintenance.needs_checkpoint() || self.dice.next_u64().is_multiple_of(3) {
                let snapshot = Maintenance::snapshot(&mut log.committer);
                maintenance.checkpoint(snapshot).await?;
            }
            Ok::<_, MaintenanceError>(())
        });
        self.say(|| format!("maintained: {done:?}"));
        if let (Some((topic, before)), Ok(())) = (deletes, &done) {
            self.model.deleted.insert(topic, before);
        }
        match done {
            Err(MaintenanceError::Disk(error)) if !matches!(error, candor_store::DiskError::Full) => {
                self.stop.0.store(true, std::sync::atomic::Ordering::SeqCst);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
