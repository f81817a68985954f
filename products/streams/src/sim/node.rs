//! The node under simulation: the code that ships over a disk, a clock and storage that the simulation holds, in one
//! thread.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use candor_gate::Gate;
use candor_keyring::{Keyring, RootKey};
use candor_log::driven::{self, Driver, Upkeep};
use candor_log::{Compaction, FailStop, Limits, Log, LogOptions, OpenError, Retention, Topic};
use candor_meta::{Tenancy, WriteScope};
use candor_model::random::Seeded;
use candor_model::{Clock, Partition, ProjectId, Random, Timestamp};
use candor_store::sim::SimDisk;
use candor_store::{Disk, DiskError, DiskObjects, Files};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::trouble::Trouble;
use crate::admin::acl::Acls;
use crate::admin::resources::{ResourceConfigs, ResourceKind};
use crate::auth::credentials::{ANONYMOUS, Credentials};
use crate::caller::Caller;
use crate::data::produce::Produce;
use crate::data::producer_ids::ProducerIds;
use crate::directory::TopicDirectory;
use crate::groups::Groups;
use crate::groups::tests::sim::GroupStore;
use crate::rights::Rights;
use crate::share::Shares;
use crate::testing::{Bed, NOW};
use crate::topics::config::Change;
use crate::topics::{NewTopic, Topics};
use crate::txn::Transactions;
use crate::txn::tests::sim::{Ground, TransactionStore};

/// The topics of every run, with their partitions: one that keeps all, one that is compacted by key, one of which little
/// is kept.
pub const TOPICS: [(&str, u32); 3] = [("plain", 3), ("keyed", 1), ("brief", 1)];
/// See [`TOPICS`].
pub const PLAIN: usize = 0;
/// See [`TOPICS`].
pub const KEYED: usize = 1;
/// See [`TOPICS`].
pub const BRIEF: usize = 2;

/// The share group.
pub const SHARERS: &str = "sharers";
/// How long its records are locked, milliseconds: the least that there may be.
pub const LOCK_MS: i64 = 1000;
/// The longest session of a member, milliseconds.
pub const SESSION_MS: u64 = 300;

/// A partition: its topic's number in [`TOPICS`], and its own.
pub type Place = (usize, u32);

/// What does not change from seed to seed: topics and who may do what with them.
pub struct Fixtures {
    _runtime: tokio::runtime::Runtime,
    bed: Bed,
    pub project: ProjectId,
    scope: WriteScope,
    topics: Topics,
    acls: Acls,
    configs: ResourceConfigs,
}

impl Fixtures {
    pub fn new() -> Fixtures {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let (bed, project, scope, topics, acls, configs) = runtime.block_on(async {
            let bed = Bed::sqlite().await;
            let clock: Arc<dyn Clock> = Arc::new(candor_model::time::ManualClock::new(NOW));
            let random: Arc<dyn Random> = Arc::new(Seeded::new(5));
            let database = bed.database.clone();
            let tenancy =
                Tenancy::open(database.clone(), Arc::clone(&clock), Arc::clone(&random)).await.unwrap();
            let project = tenancy.create_project("shop").await.unwrap().0.id;
            let scope = tenancy.user_write(project).await.unwrap().unwrap();
            let topics =
                Topics::open(database.clone(), Arc::clone(&clock), Arc::clone(&random), Default::default())
                    .await
                    .unwrap();
            for (name, partitions) in TOPICS {
                let mut configs = vec![("candor.values".to_owned(), Change::Set("opaque".to_owned()))];
                if name == TOPICS[KEYED].0 {
                    configs.push(("cleanup.policy".to_owned(), Change::Set("compact".to_owned())));
                }
                let new = NewTopic { name: name.to_owned(), partitions: Some(partitions), configs };
                topics.create(project, new).await.unwrap();
            }
            let credentials = Credentials::open(database.clone(), clock, random).await.unwrap();
            let acls = Acls::open(database.clone(), credentials).await.unwrap();
            let configs = ResourceConfigs::open(database).await.unwrap();
            let share = [
                ("share.record.lock.duration.ms", LOCK_MS.to_string()),
                ("share.auto.offset.reset", "earliest".to_owned()),
                ("share.isolation.level", "read_committed".to_owned()),
            ];
            let share = share.map(|(name, value)| (name.to_owned(), Change::Set(value)));
            configs.configure(project, ResourceKind::Group, SHARERS, false, &share, false).await.unwrap();
            (bed, project, scope, topics, acls, configs)
        });
        Fixtures { _runtime: runtime, bed, project, scope, topics, acls, configs }
    }

    pub fn topic(&self, number: usize) -> Topic {
        let found = self.topics.get(self.project, TOPICS[number].0).unwrap();
        Topic { project: self.project, name: found.view.in_log.clone() }
    }

    pub fn topic_id(&self, number: usize) -> [u8; 16] {
        self.topics.get(self.project, TOPICS[number].0).unwrap().view.id
    }
}

/// Virtual time, which goes on from one life to the next.
pub struct SimClock {
    base: AtomicI64,
    /// When this life began, by its runtime's time. Between two lives no time passes.
    began: Mutex<Option<Instant>>,
}

impl SimClock {
    pub fn new() -> SimClock {
        SimClock { base: AtomicI64::new(NOW.0), began: Mutex::new(None) }
    }

    /// A life begins, in a runtime of its own.
    pub fn begin(&self) {
        *self.began.lock() = Some(Instant::now());
    }

    /// A life ends.
    pub fn end(&self) {
        self.base.store(self.now().0, Ordering::Relaxed);
        *self.began.lock() = None;
    }
}

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        let passed = self.began.lock().map_or(0, |began| began.elapsed().as_micros());
        Timestamp(self.base.load(Ordering::Relaxed) + i64::try_from(passed).unwrap_or(i64::MAX))
    }
}

/// Told when the log cannot go on.
#[derive(Default)]
struct Died(Notify);

impl FailStop for Died {
    fn stop(&self, _why: &str) {
        self.0.notify_one();
    }
}

/// What outlives the process.
pub struct Kept {
    pub disk: SimDisk,
    pub clock: Arc<SimClock>,
    pub trouble: Arc<Trouble>,
    pub groups: Arc<GroupStore>,
    pub transactions: Arc<TransactionStore>,
    seed: u64,
}

impl Kept {
    pub fn new(seed: u64) -> Kept {
        Kept {
            disk: SimDisk::new(seed),
            clock: Arc::new(SimClock::new()),
            trouble: Arc::new(Trouble::new(seed ^ 0xabcd)),
            groups: Arc::default(),
            transactions: Arc::default(),
            seed,
        }
    }
}

/// A process.
pub struct Node {
    pub log: Log,
    pub groups: Groups,
    pub transactions: Transactions,
    pub shares: Shares,
    pub produce: Produce,
    pub rights: Rights,
    pub scope: WriteScope,
    pub caller: Caller,
    pub topics: Vec<Topic>,
    died: Arc<Died>,
}

impl Node {
    /// Starts one over what was kept; none where the power went meanwhile.
    pub async fn start(fixtures: &Fixtures, kept: &Kept, life: u64) -> Result<Option<Node>, String> {
        let clock: Arc<dyn Clock> = Arc::<SimClock>::clone(&kept.clock);
        let random: Arc<dyn Random> = Arc::new(Seeded::new((kept.seed << 8) + life));
        let died = Arc::new(Died::default());
        let disk: Arc<dyn Disk> = Arc::new(kept.disk.with_reserve(256 << 10));
        let objects = Arc::new(DiskObjects::inline(Arc::clone(&disk), "objects"));
        let sizes = [4 << 10, 16 << 10, 256 << 10];
        let options = LogOptions {
            disk,
            files: Arc::new(Files::new(objects, None, Arc::clone(&random))),
            keys: None,
            clock: Arc::clone(&clock),
            random: Arc::clone(&random),
            stop: Arc::<Died>::clone(&died),
            consumers: Vec::new(),
            limits: Limits {
                journal_file_bytes: sizes[(kept.seed % 3) as usize],
                journal_bytes: 8 << 10,
                segment_bytes: 4 << 10,
                tail_cache_bytes: [0, 2000, 1 << 20][(kept.seed / 3 % 3) as usize],
                ..Limits::default()
            },
        };
        let (log, driver) = match driven::open(&options) {
            Ok(opened) => opened,
            Err(OpenError::Disk(DiskError::Full)) => {
                kept.disk.set_capacity(u64::MAX);
                return Ok(None);
            }
            Err(OpenError::Disk(_)) if kept.disk.is_off() => return Ok(None),
            Err(error) => return Err(format!("the log does not open: {error}")),
        };
        let topics: Vec<Topic> = (0..TOPICS.len()).map(|number| fixtures.topic(number)).collect();
        let compaction = Compaction {
            lag_min_ms: 0,
            dirty_ratio_min: 0.0,
            delete_retention_ms: 60,
            segment_ms: 50,
            ..Compaction::default()
        };
        log.set_compaction(&topics[KEYED], Some(compaction));
        log.set_retention(&topics[KEYED], Retention { ms: None, bytes: None });
        log.set_retention(&topics[PLAIN], Retention { ms: None, bytes: None });
        log.set_retention(&topics[BRIEF], Retention { ms: None, bytes: Some(500) });
        let pace = Seeded::new(kept.seed ^ (life << 40));
        tokio::spawn(drive(driver, Arc::clone(&kept.trouble), pace));

        let root = RootKey::generate(&Seeded::new(1));
        let keyring = Arc::new(Keyring::new(&root, Arc::clone(&random)));
        let gate = Arc::new(Gate::new(keyring, Arc::clone(&clock), Arc::clone(&random)));
        let directory: Arc<dyn TopicDirectory> = Arc::new(fixtures.topics.clone());
        let ms = Duration::from_millis;
        let settings = crate::groups::Settings {
            initial_rebalance_delay: ms(3),
            min_session_timeout: ms(10),
            consumer_session_timeout: ms(SESSION_MS),
            share_session_timeout: ms(SESSION_MS),
            ..Default::default()
        };
        let groups = crate::groups::tests::sim::open(
            &kept.groups,
            &kept.trouble,
            Arc::clone(&directory),
            Arc::clone(&clock),
            random,
            settings,
        )
        .await;
        let ground = Ground {
            gate: Arc::clone(&gate),
            log: log.clone(),
            groups: groups.clone(),
            scope: fixtures.scope.clone(),
            directory: Arc::clone(&directory),
            producer_ids: ProducerIds::from(fixtures.bed.database.clone(), 1 + 1000 * life as i64),
            clock,
        };
        let settings = crate::txn::Settings {
            look_every: ms(20),
            end_patience: ms(60),
            turn_patience: ms(200),
            ..Default::default()
        };
        let transactions =
            crate::txn::tests::sim::open(&kept.transactions, &kept.trouble, ground, settings).await;
        let caller = Caller {
            project: fixtures.project,
            user: Arc::from(ANONYMOUS),
            client_id: None,
            host: IpAddr::V4(Ipv4Addr::LOCALHOST),
        };
        let acls = fixtures.acls.clone();
        let rights = Rights::of(&acls, &caller);
        let produce = Produce::new(log.clone(), gate, fixtures.topics.clone(), transactions.clone());
        let shares = Shares::new(log.clone(), groups.clone(), directory, fixtures.configs.clone(), acls);
        let scope = fixtures.scope.clone();
        Ok(Some(Node { log, groups, transactions, shares, produce, rights, scope, caller, topics, died }))
    }

    /// Waits until the log gives up.
    pub async fn died(&self) {
        self.died.0.notified().await;
    }

    /// First offset, last stable offset and high watermark.
    pub fn ends(&self, place: Place) -> (u64, u64, u64) {
        let (topic, partition) = (&self.topics[place.0], Partition(place.1));
        let stable = self.log.last_stable_offset(topic, partition).0;
        (self.log.log_start(topic, partition).0, stable, self.log.high_watermark(topic, partition).0)
    }
}

/// What the log's threads would do.
async fn drive(mut driver: Driver, trouble: Arc<Trouble>, dice: Seeded) {
    let later = || Instant::now() + Duration::from_millis(10 + dice.next_u64() % 40);
    let mut next = later();
    loop {
        let goes_on = tokio::select! {
            biased;
            () = tokio::time::sleep_until(next) => {
                next = later();
                let what = [Upkeep::Seal, Upkeep::Trim, Upkeep::Checkpoint][(dice.next_u64() % 3) as usize];
                driver.keep(what).await
            }
            some = driver.has_some() => {
                trouble.pause().await;
                some && driver.commit()
            }
        };
        if !goes_on {
            return;
        }
    }
}

/// All partitions.
pub fn places() -> impl Iterator<Item = Place> {
    TOPICS
        .iter()
        .enumerate()
        .flat_map(|(topic, (_, count))| (0..*count).map(move |partition| (topic, partition)))
}
