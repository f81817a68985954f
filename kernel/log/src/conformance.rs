//! What every log must do, wherever its bytes and its order are: one suite over the local log, over a cluster's on
//! SQLite and files, and over a cluster's on PostgreSQL and S3, as far as the machine has them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use candor_meta::Database;
use candor_model::random::Seeded;
use candor_model::time::ManualClock;
use candor_model::{Offset, Partition, ProjectId, Timestamp};
use candor_store::{DiskObjects, Files, KeyWrap, Objects, RealDisk, S3Objects};

use crate::testing::{Recorder, SeenStop, TestKeys, batch, options, read_all, request, topic, vault_entry};
use crate::{AppendError, ClusterOptions, Committed, Limits, Log, ReadError};

const P: Partition = Partition(0);

/// A place for a log.
enum Bed {
    Local(tempfile::TempDir),
    Cluster { folder: tempfile::TempDir, order: Order, objects: Arc<dyn Objects>, random: Arc<Seeded> },
}

enum Order {
    Sqlite,
    Postgres { url: String, schema: String },
}

impl Bed {
    fn local(_test: &str) -> Option<Bed> {
        Some(Bed::Local(tempfile::tempdir().expect("a folder")))
    }

    fn cluster_on_sqlite(_test: &str) -> Option<Bed> {
        let folder = tempfile::tempdir().expect("a folder");
        let disk = Arc::new(RealDisk::open(folder.path(), 0).expect("opens"));
        let objects = Arc::new(DiskObjects::new(disk, "objects"));
        let random = Arc::new(Seeded::new(21));
        Some(Bed::Cluster { folder, order: Order::Sqlite, objects, random })
    }

    fn cluster_on_postgres(test: &str) -> Option<Bed> {
        let server = candor_testbed::postgres::server(test)?;
        let Some(Bed::Cluster { folder, objects, random, .. }) = Bed::cluster_on_sqlite(test) else {
            return None;
        };
        let order = Order::Postgres { url: server.url(), schema: server.fresh_schema() };
        Some(Bed::Cluster { folder, order, objects, random })
    }

    fn cluster_on_postgres_and_s3(test: &str) -> Option<Bed> {
        let s3 = candor_testbed::s3::server(test)?;
        let (access, secret) = s3.keys();
        let url = s3.fresh_url();
        let objects = S3Objects::with_credentials(&url, &s3.endpoint(), "us-east-1", access, secret);
        let objects: Arc<dyn Objects> = Arc::new(objects.expect("an address"));
        let Some(Bed::Cluster { folder, order, random, .. }) = Bed::cluster_on_postgres(test) else {
            return None;
        };
        Some(Bed::Cluster { folder, order, objects, random })
    }

    async fn open(&self) -> Log {
        match self {
            Bed::Local(folder) => {
                let disk = Arc::new(RealDisk::open(folder.path(), 0).expect("opens"));
                let limits = Limits { journal_file_bytes: 64 << 10, ..Limits::default() };
                Log::open(options(disk, Arc::new(SeenStop::default()), limits)).await.expect("opens")
            }
            Bed::Cluster { folder, order, objects, random } => {
                let database = match order {
                    Order::Sqlite => Database::open_sqlite(&folder.path().join("log.db"), &[]).await,
                    Order::Postgres { url, schema } => Database::open_postgres(url, schema, &[]).await,
                };
                let keys: Option<Arc<dyn KeyWrap>> = Some(Arc::new(TestKeys(4)));
                let options = ClusterOptions {
                    files: Arc::new(Files::new(Arc::clone(objects), keys, random.clone())),
                    database: database.expect("opens"),
                    clock: Arc::new(ManualClock::new(Timestamp(1_700_000_000_000_000))),
                    random: random.clone(),
                    stop: Arc::new(SeenStop::default()),
                    consumers: Vec::new(),
                    limits: Limits::default(),
                    linger: Duration::from_millis(5),
                    puts_in_flight: ClusterOptions::PUTS_IN_FLIGHT,
                    poll: Duration::from_millis(50),
                };
                Log::open_cluster(options).await.expect("opens")
            }
        }
    }
}

macro_rules! on_every_log {
    ($($test:ident),* $(,)?) => {
        on_every_log!(@bed local; $($test),*);
        on_every_log!(@bed cluster_on_sqlite; $($test),*);
        on_every_log!(@bed cluster_on_postgres; $($test),*);
        on_every_log!(@bed cluster_on_postgres_and_s3; $($test),*);
    };
    (@bed $bed:ident; $($test:ident),*) => {
        mod $bed {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                if let Some(bed) = super::Bed::$bed(concat!(stringify!($bed), "::", stringify!($test))) {
                    super::$test(bed).await;
                }
            })*
        }
    };
}

on_every_log!(
    what_is_appended_is_followed_read_and_there_after_a_restart,
    a_retry_is_stored_once_even_after_a_restart,
    many_appends_at_once_have_offsets_of_their_own_and_waiters_wake,
    an_append_of_many_topics_is_whole,
    a_forgotten_project_is_gone_and_its_offsets_go_on,
);

type Plain = (Offset, u32, Vec<u8>, Vec<candor_keyring::VaultEntry>);

fn plain(batches: Vec<Committed>) -> Vec<Plain> {
    batches.into_iter().map(|b| (b.base, b.count, b.batch.to_vec(), b.vault)).collect()
}

async fn what_is_appended_is_followed_read_and_there_after_a_restart(bed: Bed) {
    let log = bed.open().await;
    let recorder = Arc::new(Recorder::default());
    assert_eq!(log.follow(recorder.clone()), []);
    let mut expected = Vec::new();
    for n in 0..40_u32 {
        let content = vec![n as u8; 1000 + 37 * n as usize];
        let mut first = batch(1, &content, n % 3 + 1);
        first.vault = vec![vault_entry(n as u8)];
        let second = batch(2, &content, 1);
        let appended = log.append_batches(vec![first, second]).await.expect("appends");
        assert_eq!(appended[1].base, Offset(u64::from(n)));
        // What is acknowledged was shown.
        assert_eq!(recorder.0.lock().len(), 2 * (n as usize + 1));
        expected.push((appended[0].base, n % 3 + 1, content, vec![vault_entry(n as u8)]));
    }
    assert!(plain(read_all(&log, 1).await) == expected);
    let followed = recorder.0.lock().iter().filter(|b| b.topic == topic(1)).cloned().collect();
    assert!(plain(followed) == expected);
    log.close().await;
    assert!(matches!(log.append_batches(vec![batch(1, b"x", 1)]).await, Err(AppendError::Closed)));

    let log = bed.open().await;
    assert_eq!(log.topics(None), [topic(1), topic(2)]);
    assert_eq!(log.topics(Some(ProjectId(2))), [topic(2)]);
    assert!(plain(read_all(&log, 1).await) == expected);
    let ends = log.follow(Arc::new(Recorder::default()));
    assert!(ends.contains(&(topic(2), P, Offset(40))));
    let appended = log.append_batches(vec![batch(2, b"on", 1)]).await.expect("appends");
    assert_eq!(appended[0].base, Offset(40));
    let beyond = log.read(&topic(2), P, Offset(42), 10).await;
    assert!(matches!(beyond, Err(ReadError::OutOfRange { asked: 42, start: 0, end: 41 })));
    assert_eq!(log.read(&topic(2), P, Offset(41), 10).await.expect("nothing yet").len(), 0);
    assert_eq!(log.read(&topic(3), P, Offset(0), 10).await.expect("nothing at all").len(), 0);
    // From within a batch, the batch that holds it.
    let within = log.read(&topic(1), P, Offset(2), 1).await.expect("reads");
    assert_eq!((within[0].base, within[0].count, within.len()), (Offset(1), 2, 1));
    log.close().await;
}

async fn a_retry_is_stored_once_even_after_a_restart(bed: Bed) {
    let log = bed.open().await;
    let with_id = |n| {
        let mut batch = batch(1, b"content", 2);
        batch.request = Some(request(n));
        batch
    };
    // Two batches of one topic in one request are not retries of each other.
    let first = log.append_batches(vec![with_id(1), with_id(1)]).await.expect("appends");
    assert_eq!((first[0].base, first[1].base), (Offset(0), Offset(2)));
    let (a, b) = tokio::join!(log.append_batches(vec![with_id(2)]), log.append_batches(vec![with_id(2)]));
    let (a, b) = (a.expect("appends")[0], b.expect("appends")[0]);
    assert_eq!((a.base, b.base), (Offset(4), Offset(4)));
    assert!(a.duplicate != b.duplicate);
    // A retry beside something new: what is dead in between leaves no gap.
    let mixed = log.append_batches(vec![batch(1, b"new", 1), with_id(2), batch(1, b"newer", 1)]).await;
    let mixed: Vec<_> = mixed.expect("appends").iter().map(|a| (a.base.0, a.duplicate)).collect();
    assert_eq!(mixed, [(6, false), (4, true), (7, false)]);
    log.close().await;

    let log = bed.open().await;
    let again = log.append_batches(vec![with_id(1), with_id(1), with_id(3)]).await.expect("appends");
    let again: Vec<_> = again.iter().map(|a| (a.base.0, a.duplicate)).collect();
    assert_eq!(again, [(0, true), (2, true), (8, false)]);
    let all: Vec<_> = read_all(&log, 1).await.iter().map(|b| (b.base.0, b.batch.to_vec())).collect();
    let expected: [(u64, &[u8]); 6] =
        [(0, b"content"), (2, b"content"), (4, b"content"), (6, b"new"), (7, b"newer"), (8, b"content")];
    assert_eq!(all, expected.map(|(base, content)| (base, content.to_vec())));
    log.close().await;
}

async fn many_appends_at_once_have_offsets_of_their_own_and_waiters_wake(bed: Bed) {
    let log = bed.open().await;
    let waiter = tokio::spawn({
        let log = log.clone();
        async move { log.wait(&topic(1), P, Offset(499), Duration::from_secs(60)).await }
    });
    let appends: Vec<_> = (0..500)
        .map(|n: u32| {
            let log = log.clone();
            tokio::spawn(async move { log.append_batches(vec![batch(1, &n.to_le_bytes(), 1)]).await })
        })
        .collect();
    let mut bases = Vec::new();
    for append in appends {
        bases.push(append.await.expect("runs").expect("appends")[0].base.0);
    }
    bases.sort_unstable();
    assert!(bases.into_iter().eq(0..500));
    waiter.await.expect("wakes");
    let start = Instant::now();
    log.wait(&topic(1), P, Offset(500), Duration::from_millis(20)).await;
    assert!(start.elapsed() >= Duration::from_millis(20));
    log.close().await;
}

async fn an_append_of_many_topics_is_whole(bed: Bed) {
    let log = bed.open().await;
    let batches = (0..300).map(|n| batch(n % 100 + 1, &[n as u8; 3000], 1)).collect();
    let appended = log.append_batches(batches).await.expect("appends");
    assert!(appended.iter().enumerate().all(|(n, a)| a.base.0 == n as u64 / 100));
    for project in [1, 50, 100] {
        let all = read_all(&log, project).await;
        let contents: Vec<u8> = all.iter().map(|b| b.batch[0]).collect();
        let first = project as u8 - 1;
        assert_eq!(contents, [first, first + 100, first.wrapping_add(200)]);
    }
    log.close().await;
}

async fn a_forgotten_project_is_gone_and_its_offsets_go_on(bed: Bed) {
    let log = bed.open().await;
    log.append_batches(vec![batch(1, b"a", 3), batch(2, b"b", 1)]).await.expect("appends");
    log.forget(ProjectId(1));
    let deadline = Instant::now() + Duration::from_secs(10);
    while log.log_start(&topic(1), P) < Offset(3) {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(matches!(log.read(&topic(1), P, Offset(0), 10).await, Err(ReadError::OutOfRange { .. })));
    assert_eq!(read_all(&log, 2).await.len(), 1);
    log.close().await;
    let log = bed.open().await;
    let appended = log.append_batches(vec![batch(1, b"c", 1)]).await.expect("appends");
    assert_eq!(appended[0].base, Offset(3));
    log.close().await;
}
