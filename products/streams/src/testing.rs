//! What tests of this crate share: a database of each engine, and streams over a disk in memory.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use candor_gate::Gate;
use candor_keyring::{Keyring, RootKey};
use candor_log::{FailStop, Log, LogOptions};
use candor_meta::{Database, Tenancy, WriteScope};
use candor_model::random::Seeded;
use candor_model::time::ManualClock;
use candor_model::{Clock, ProjectId, Random, Timestamp};
use candor_store::sim::SimDisk;
use candor_store::{Disk, DiskObjects, Files};
use kafka_protocol::protocol::StrBytes;
use tokio_util::sync::CancellationToken;

use crate::bridge::Forbidden;
use crate::caller::Caller;
use crate::node::Advertised;
use crate::rights::Rights;
use crate::settings::Settings;
use crate::streams::{Streams, StreamsOptions};

/// A database for one test, and what must live as long.
pub(crate) struct Bed {
    /// The database.
    pub database: Database,
    _folder: Option<tempfile::TempDir>,
}

impl Bed {
    pub async fn sqlite() -> Bed {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open_sqlite(&folder.path().join("meta.db"), &[]).await.unwrap();
        Bed { database, _folder: Some(folder) }
    }

    /// None, and a word on standard error, where PostgreSQL is not installed.
    pub async fn postgres(test: &str) -> Option<Bed> {
        let server = candor_testbed::postgres::server(test)?;
        let database = Database::open_postgres(&server.url(), &server.fresh_schema(), &[]).await.unwrap();
        Some(Bed { database, _folder: None })
    }
}

/// Makes two tests of an async function that takes a [`Bed`].
macro_rules! on_both_engines {
    ($($test:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test($crate::testing::Bed::sqlite().await).await;
            })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                if let Some(bed) = $crate::testing::Bed::postgres(stringify!($test)).await {
                    super::$test(bed).await;
                }
            })*
        }
    };
}

pub(crate) use on_both_engines;

/// When tests play.
pub(crate) const NOW: Timestamp = Timestamp(1_790_000_000_000_000);

struct Panic;

impl FailStop for Panic {
    fn stop(&self, why: &str) {
        panic!("{why}");
    }
}

/// Streams with one project, its owner and a user that may do nothing yet.
pub(crate) struct House {
    pub streams: Streams,
    pub tenancy: Tenancy,
    pub log: Log,
    pub gate: Arc<Gate>,
    pub scope: WriteScope,
    pub clock: Arc<ManualClock>,
    /// May do everything.
    pub owner: Caller,
    /// May do what rules allow.
    pub guest: Caller,
    /// Hosts that no bridge may send to.
    pub undeclared: Arc<parking_lot::Mutex<Vec<String>>>,
    stop: CancellationToken,
    _bed: Bed,
}

impl House {
    pub async fn new() -> House {
        let bed = Bed::sqlite().await;
        let clock = Arc::new(ManualClock::new(NOW));
        let ticking: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
        let random: Arc<dyn Random> = Arc::new(Seeded::new(7));
        let database = bed.database.clone();
        let keyring = Arc::new(Keyring::new(&RootKey::generate(&Seeded::new(1)), Arc::clone(&random)));
        let tenancy =
            Tenancy::open(database.clone(), Arc::clone(&ticking), Arc::clone(&random)).await.unwrap();
        let project = tenancy.create_project("shop").await.unwrap().0.id;
        let scope = tenancy.user_write(project).await.unwrap().unwrap();
        let disk: Arc<dyn Disk> = Arc::new(SimDisk::new(1));
        let objects = Arc::new(DiskObjects::inline(Arc::clone(&disk), "objects"));
        let options = LogOptions {
            disk,
            files: Arc::new(Files::new(objects, None, Arc::clone(&random))),
            keys: None,
            clock: Arc::clone(&ticking),
            random: Arc::clone(&random),
            stop: Arc::new(Panic),
            consumers: Vec::new(),
            limits: candor_log::Limits { journal_file_bytes: 1 << 20, ..Default::default() },
        };
        let log = Log::open(options).await.unwrap();
        let gate = Arc::new(Gate::new(Arc::clone(&keyring), Arc::clone(&ticking), Arc::clone(&random)));
        let stop = CancellationToken::new();
        let undeclared: Arc<parking_lot::Mutex<Vec<String>>> = Arc::default();
        let options = StreamsOptions {
            database,
            tenancy: tenancy.clone(),
            log: log.clone(),
            gate: Arc::clone(&gate),
            clock: ticking,
            random,
            keyring,
            advertised: Advertised { host: Arc::from("localhost"), port: 9092 },
            anonymous: None,
            egress: {
                let undeclared = Arc::clone(&undeclared);
                Arc::new(move |_, host, _| match undeclared.lock().iter().any(|one| one == host) {
                    true => {
                        Err(Forbidden { clause: "recipient.endpoints", why: "nobody is declared".to_owned() })
                    }
                    false => Ok(()),
                })
            },
            settings: Settings::default(),
            tokens: None,
            stop: stop.clone(),
        };
        let streams = Streams::open(options).await.unwrap();
        streams.credentials().create(project, "shop").await.unwrap();
        let caller = |user: &str| Caller {
            project,
            user: Arc::from(user),
            client_id: None,
            host: IpAddr::V4(Ipv4Addr::LOCALHOST),
        };
        let (owner, guest) = (caller("shop"), caller("guest"));
        House { streams, tenancy, log, gate, scope, clock, owner, guest, stop, undeclared, _bed: bed }
    }

    pub fn rights(&self, caller: &Caller) -> Rights {
        self.streams.parts.rights(caller)
    }

    pub fn project(&self) -> ProjectId {
        self.owner.project
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

pub(crate) fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}
