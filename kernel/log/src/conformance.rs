//! What every log must do, wherever its bytes and its order are: one suite over the local log, over a cluster's on
//! SQLite and files, and over a cluster's on PostgreSQL and S3, as far as the machine has them.

mod hidden;

use std::sync::Arc;
use std::time::{Duration, Instant};

use candor_meta::Database;
use candor_model::random::Seeded;
use candor_model::time::ManualClock;
use candor_model::{Offset, Partition, ProjectId, Random, Timestamp};
use candor_store::{Disk, DiskObjects, FileKind, Files, KeyWrap, Objects, RealDisk, S3Objects};

use crate::testing::{Recorder, SeenStop, TestKeys, batch, options, read_all, request, topic, vault_entry};
use crate::{AppendError, ClusterOptions, Committed, Limits, Log, ReadError};

const P: Partition = Partition(0);

/// A place for a log.
struct Bed {
    folder: tempfile::TempDir,
    clock: Arc<ManualClock>,
    random: Arc<Seeded>,
    limits: Limits,
    backend: Backend,
}

enum Backend {
    Local,
    Cluster { order: Order, objects: Arc<dyn Objects> },
}

enum Order {
    Sqlite,
    Postgres { url: String, schema: String },
}

impl Bed {
    fn local(_test: &str) -> Option<Bed> {
        Some(Bed {
            folder: tempfile::tempdir().expect("a folder"),
            clock: Arc::new(ManualClock::new(Timestamp(1_700_000_000_000_000))),
            random: Arc::new(Seeded::new(21)),
            limits: Limits { journal_file_bytes: 64 << 10, ..Limits::default() },
            backend: Backend::Local,
        })
    }

    fn cluster_on_sqlite(test: &str) -> Option<Bed> {
        let bed = Bed::local(test)?;
        let disk = Arc::new(RealDisk::open(bed.folder.path(), 0).expect("opens"));
        let objects = Arc::new(DiskObjects::new(disk, "objects"));
        Some(Bed { backend: Backend::Cluster { order: Order::Sqlite, objects }, ..bed })
    }

    fn cluster_on_postgres(test: &str) -> Option<Bed> {
        let server = candor_testbed::postgres::server(test)?;
        let order = Order::Postgres { url: server.url(), schema: server.fresh_schema() };
        let bed = Bed::cluster_on_sqlite(test)?;
        let Backend::Cluster { objects, .. } = bed.backend else { return None };
        Some(Bed { backend: Backend::Cluster { order, objects }, ..bed })
    }

    fn cluster_on_postgres_and_s3(test: &str) -> Option<Bed> {
        let s3 = candor_testbed::s3::server(test)?;
        let (access, secret) = s3.keys();
        let url = s3.fresh_url();
        let objects = S3Objects::with_credentials(&url, &s3.endpoint(), "us-east-1", access, secret);
        let objects: Arc<dyn Objects> = Arc::new(objects.expect("an address"));
        let bed = Bed::cluster_on_postgres(test)?;
        let Backend::Cluster { order, .. } = bed.backend else { return None };
        Some(Bed { backend: Backend::Cluster { order, objects }, ..bed })
    }

    fn disk(&self) -> Arc<RealDisk> {
        Arc::new(RealDisk::open(self.folder.path(), 0).expect("opens"))
    }

    /// Opens the log; its upkeep runs once at once.
    async fn open(&self) -> Log {
        match &self.backend {
            Backend::Local => {
                let mut options = options(self.disk(), Arc::new(SeenStop::default()), self.limits.clone());
                (options.clock, options.random) =
                    (Arc::<ManualClock>::clone(&self.clock), Arc::<Seeded>::clone(&self.random));
                Log::open(options).await.expect("opens")
            }
            Backend::Cluster { .. } => Log::open_cluster(self.cluster_options().await).await.expect("opens"),
        }
    }

    async fn cluster_options(&self) -> ClusterOptions {
        let Backend::Cluster { order, objects } = &self.backend else { panic!("a cluster's log") };
        // A store that was just started takes seconds for its first object; nodes try theirs out before they serve.
        let warm = format!("probe/{:016x}", self.random.next_u64());
        objects.put(&warm, bytes::Bytes::from_static(b"warm")).await.expect("puts");
        let database = match order {
            Order::Sqlite => Database::open_sqlite(&self.folder.path().join("log.db"), &[]).await,
            Order::Postgres { url, schema } => Database::open_postgres(url, schema, &[]).await,
        };
        let keys: Option<Arc<dyn KeyWrap>> = Some(Arc::new(TestKeys(4)));
        ClusterOptions {
            files: Arc::new(Files::new(Arc::clone(objects), keys, Arc::<Seeded>::clone(&self.random))),
            database: database.expect("opens"),
            clock: Arc::<ManualClock>::clone(&self.clock),
            random: Arc::<Seeded>::clone(&self.random),
            stop: Arc::new(SeenStop::default()),
            consumers: Vec::new(),
            limits: self.limits.clone(),
            linger: Duration::from_millis(5),
            puts_in_flight: ClusterOptions::PUTS_IN_FLIGHT,
            poll: Duration::from_millis(50),
        }
    }

    /// The segments that lie in the store.
    async fn segments(&self) -> Vec<String> {
        match &self.backend {
            // The folder itself: the log has its own object store over it.
            Backend::Local => self.disk().list("objects/log").expect("lists"),
            Backend::Cluster { objects, .. } => objects.list("log/").await.expect("lists"),
        }
    }
}

/// Looks until it is so.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_so().await {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
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

mod keyed;
mod policies;
mod streams;

on_every_log!(
    what_is_appended_is_followed_read_and_there_after_a_restart,
    a_retry_is_stored_once_even_after_a_restart,
    many_appends_at_once_have_offsets_of_their_own_and_waiters_wake,
    an_append_of_many_topics_is_whole,
    what_is_older_than_retention_goes_and_the_rest_stays,
    compaction_moves_batches_and_no_offset,
    a_forgotten_project_is_gone_and_its_offsets_go_on,
);

type Plain = (Offset, u32, Vec<u8>, Vec<candor_keyring::VaultEntry>);

fn plain(batches: Vec<Committed>) -> Vec<Plain> {
    batches.into_iter().map(|b| (b.base, b.count, b.batch.to_vec(), b.vault)).collect()
}

async fn what_is_appended_is_followed_read_and_there_after_a_restart(bed: Bed) {
    let log = bed.open().await;
    let recorder = Arc::new(Recorder::default());
    assert_eq!(log.follow(Arc::<Recorder>::clone(&recorder)), []);
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
    log.forget(ProjectId(1)).await.expect("forgets");
    until("the project goes", async || log.log_start(&topic(1), P) == Offset(3)).await;
    assert!(matches!(log.read(&topic(1), P, Offset(0), 10).await, Err(ReadError::OutOfRange { .. })));
    assert_eq!(read_all(&log, 2).await.len(), 1);
    log.close().await;
    let log = bed.open().await;
    let appended = log.append_batches(vec![batch(1, b"c", 1)]).await.expect("appends");
    assert_eq!(appended[0].base, Offset(3));
    log.close().await;
}

async fn what_is_older_than_retention_goes_and_the_rest_stays(bed: Bed) {
    let bed = Bed { limits: Limits { retention: Duration::from_secs(3600), ..bed.limits.clone() }, ..bed };
    let log = bed.open().await;
    log.append_batches(vec![batch(1, b"old", 3), batch(2, b"old", 1)]).await.expect("appends");
    log.close().await;
    bed.clock.advance(2 * 3600 * Timestamp::SECOND);
    let log = bed.open().await;
    log.append_batches(vec![batch(1, b"new", 2)]).await.expect("appends");
    until("the old ones go", async || {
        (log.log_start(&topic(1), P), log.log_start(&topic(2), P)) == (Offset(3), Offset(1))
    })
    .await;
    let below = log.read(&topic(1), P, Offset(0), 10).await;
    assert!(matches!(below, Err(ReadError::OutOfRange { asked: 0, start: 3, end: 5 })), "{below:?}");
    let left: Vec<_> = read_all(&log, 1).await.into_iter().map(|b| (b.base.0, b.batch.to_vec())).collect();
    assert_eq!(left, [(3, b"new".to_vec())]);
    let next = log.append_batches(vec![batch(2, b"on", 1)]).await.expect("appends");
    assert_eq!(next[0].base, Offset(1), "offsets go on where they were");
    log.close().await;
}

async fn compaction_moves_batches_and_no_offset(bed: Bed) {
    let limits = Limits {
        journal_file_bytes: 8 << 10,
        journal_bytes: 16 << 10,
        segment_bytes: 8 << 10,
        tail_cache_bytes: 1,
        ..bed.limits.clone()
    };
    let bed = Bed { limits, ..bed };
    let log = bed.open().await;
    for n in 0..30_u8 {
        let mut first = batch(1, &[n; 2000], 2);
        first.request = Some(request(u64::from(n)));
        log.append_batches(vec![first, batch(2, &[n; 300], 1)]).await.expect("appends");
    }
    let before = (plain(read_all(&log, 1).await), plain(read_all(&log, 2).await));
    assert_eq!((before.0.len(), before.1.len()), (30, 30));
    log.close().await;
    let unmerged = bed.segments().await;

    bed.clock.advance(1200 * Timestamp::SECOND);
    let log = bed.open().await;
    // The local log may have made some before it was closed.
    let local = matches!(bed.backend, Backend::Local);
    until("history is made", async || {
        let segments = bed.segments().await;
        segments.iter().any(|key| local || !unmerged.contains(key))
    })
    .await;
    // Readers meet both, and what lies between.
    for _ in 0..5 {
        assert!((plain(read_all(&log, 1).await), plain(read_all(&log, 2).await)) == before);
    }
    log.close().await;
    let log = bed.open().await;
    assert!((plain(read_all(&log, 1).await), plain(read_all(&log, 2).await)) == before);
    let mut retried = batch(1, &[7; 2000], 2);
    retried.request = Some(request(7));
    let again = log.append_batches(vec![retried]).await.expect("appends");
    assert_eq!((again[0].base, again[0].duplicate), (Offset(14), true));
    log.close().await;
}

/// Two nodes append to one partition at once: both show all of it in one order, each what the other did within a second.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_share_a_partition() {
    let Some(bed) = Bed::cluster_on_postgres_and_s3("two_nodes_share_a_partition") else { return };
    let (one, two) = (bed.open().await, bed.open().await);
    let seen = [Arc::new(Recorder::default()), Arc::new(Recorder::default())];
    one.follow(Arc::<Recorder>::clone(&seen[0]));
    two.follow(Arc::<Recorder>::clone(&seen[1]));
    let appends: Vec<_> = (0..200_u32)
        .map(|n| {
            let log = if n % 2 == 0 { one.clone() } else { two.clone() };
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(u64::from(n))).await;
                log.append_batches(vec![batch(1, &n.to_le_bytes(), n % 3 + 1)]).await.expect("appends")[0]
            })
        })
        .collect();
    for append in appends {
        append.await.expect("runs");
    }
    let acknowledged = Instant::now();
    let end = Offset((0..200_u64).map(|n| n % 3 + 1).sum());
    for log in [&one, &two] {
        log.wait(&topic(1), P, Offset(end.0 - 1), Duration::from_secs(10)).await;
        assert_eq!(log.high_watermark(&topic(1), P), end);
    }
    let late = acknowledged.elapsed();
    eprintln!("two nodes: all of 200 appends is visible on both {late:?} after the last acknowledgement");
    assert!(late < Duration::from_secs(1));
    let all = plain(read_all(&one, 1).await);
    assert!(plain(read_all(&two, 1).await) == all && all.len() == 200);
    let mut contents: Vec<Vec<u8>> = all.iter().map(|(_, _, content, _)| content.clone()).collect();
    contents.sort_unstable();
    contents.dedup();
    assert_eq!(contents.len(), 200, "each append is there once");
    for recorder in &seen {
        assert!(plain(recorder.0.lock().clone()) == all, "followers saw all of it, in offset order");
    }
    one.close().await;
    two.close().await;
}

/// The figure to reach: a small append after a pause takes less than one put, the linger and 50 ms.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_small_append_to_s3_takes_little_more_than_one_put() {
    let Some(bed) = Bed::cluster_on_postgres_and_s3("a_small_append_to_s3_takes_little_more_than_one_put")
    else {
        return;
    };
    let options = ClusterOptions { linger: ClusterOptions::LINGER, ..bed.cluster_options().await };
    let linger = options.linger;
    let files = Arc::clone(&options.files);
    let log = Log::open_cluster(options).await.expect("opens");
    let (mut puts, mut paused, mut steady) = (Vec::new(), Vec::new(), Vec::new());
    for n in 0..20_u8 {
        let start = Instant::now();
        let content = bytes::Bytes::from(vec![n; 300]);
        files.put(&format!("blob/{n}"), FileKind::Blob, content).await.expect("puts");
        puts.push(start.elapsed());
        tokio::time::sleep(linger).await;
        let start = Instant::now();
        log.append_batches(vec![batch(1, &[n; 300], 1)]).await.expect("appends");
        paused.push(start.elapsed());
        let start = Instant::now();
        log.append_batches(vec![batch(1, &[n; 300], 1)]).await.expect("appends");
        steady.push(start.elapsed());
    }
    log.close().await;
    for times in [&mut puts, &mut paused, &mut steady] {
        times.sort_unstable();
    }
    let (put, paused, steady) = (puts[10], paused[10], steady[10]);
    eprintln!(
        "medians: one put {put:?}, an append after a pause {paused:?}, one right after another {steady:?}"
    );
    assert!(paused.max(steady) < put + linger + Duration::from_millis(50));
}
