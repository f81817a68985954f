//! Tests of the whole local log over real files.

use std::sync::Arc;
use std::time::Duration;

use candor_model::{Offset, Partition};
use candor_store::{Disk, DiskError, RealDisk};
use parking_lot::Mutex;

use crate::testing::{SeenStop, batch, options, request, topic, vault_entry};
use crate::{AppendError, Committed, Follower, Limits, Log, OpenError, ReadError};

const P: Partition = Partition(0);

struct Fixture {
    folder: tempfile::TempDir,
    limits: Limits,
}

impl Fixture {
    fn new() -> Fixture {
        let limits = Limits { journal_file_bytes: 64 << 10, ..Limits::default() };
        Fixture { folder: tempfile::tempdir().expect("a folder"), limits }
    }

    fn disk(&self) -> Arc<dyn Disk> {
        Arc::new(RealDisk::open(self.folder.path(), 0).expect("opens"))
    }

    async fn try_open(&self) -> Result<Log, OpenError> {
        Log::open(options(self.disk(), Arc::new(SeenStop::default()), self.limits.clone())).await
    }

    async fn open(&self) -> Log {
        self.try_open().await.expect("opens")
    }
}

#[derive(Default)]
struct Recorder(Mutex<Vec<Committed>>);

impl Follower for Recorder {
    fn committed(&self, batches: &[Committed]) {
        self.0.lock().extend_from_slice(batches);
    }
}

async fn read_all(log: &Log, project: i64) -> Vec<Committed> {
    let topic = topic(project);
    let mut from = log.log_start(&topic, P);
    let mut all = Vec::new();
    while from < log.high_watermark(&topic, P) {
        let batches = log.read(&topic, P, from, 10_000).await.expect("reads");
        let last = batches.last().expect("at least one");
        from = Offset(last.base.0 + u64::from(last.count));
        all.extend(batches);
    }
    all
}

#[tokio::test]
async fn what_is_appended_is_followed_read_and_there_after_a_restart() {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    let recorder = Arc::new(Recorder::default());
    assert_eq!(log.follow(Arc::<Recorder>::clone(&recorder)), []);
    let mut expected = Vec::new();
    for n in 0..200_u32 {
        let content = vec![n as u8; 1000 + n as usize];
        let mut first = batch(1, &content, n % 3 + 1);
        first.vault = vec![vault_entry(n as u8)];
        let second = batch(2, &content, 1);
        let appended = log.append_batches(vec![first, second]).await.expect("appends");
        assert_eq!(appended[1].base, Offset(u64::from(n)));
        expected.push((appended[0].base, n % 3 + 1, content, vec![vault_entry(n as u8)]));
    }
    let tuples = |batches: Vec<Committed>| -> Vec<_> {
        batches.into_iter().map(|b| (b.base, b.count, b.batch.to_vec(), b.vault)).collect()
    };
    assert!(tuples(read_all(&log, 1).await) == expected);
    let followed = recorder.0.lock().iter().filter(|b| b.topic == topic(1)).cloned().collect();
    assert!(tuples(followed) == expected);
    log.close().await;
    assert!(matches!(log.append_batches(vec![batch(1, b"x", 1)]).await, Err(AppendError::Closed)));

    let log = fixture.open().await;
    assert_eq!(log.topics(None), [topic(1), topic(2)]);
    assert!(tuples(read_all(&log, 1).await) == expected);
    let ends = log.follow(Arc::new(Recorder::default()));
    assert!(ends.contains(&(topic(2), P, Offset(200))));
    let appended = log.append_batches(vec![batch(2, b"on", 1)]).await.expect("appends");
    assert_eq!(appended[0].base, Offset(200));
    let beyond = log.read(&topic(2), P, Offset(202), 10).await;
    assert!(matches!(beyond, Err(ReadError::OutOfRange { asked: 202, start: 0, end: 201 })));
    assert_eq!(log.read(&topic(2), P, Offset(201), 10).await.expect("nothing yet").len(), 0);
}

#[tokio::test]
async fn a_retry_is_stored_once_even_after_a_restart() {
    let fixture = Fixture::new();
    let log = fixture.open().await;
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
    assert_eq!((a.base, a.duplicate, b.base, b.duplicate), (Offset(4), false, Offset(4), true));
    log.close().await;

    let log = fixture.open().await;
    let again = log.append_batches(vec![with_id(1), with_id(1), with_id(3)]).await.expect("appends");
    assert_eq!(
        again.iter().map(|a| (a.base.0, a.duplicate)).collect::<Vec<_>>(),
        [(0, true), (2, true), (6, false)]
    );
}

#[tokio::test]
async fn many_appends_share_syncs_and_waiters_wake() {
    let fixture = Fixture::new();
    let log = fixture.open().await;
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
    let start = std::time::Instant::now();
    log.wait(&topic(1), P, Offset(500), Duration::from_millis(20)).await;
    assert!(start.elapsed() >= Duration::from_millis(20));
}

/// The last journal file's path and content.
fn last_journal(fixture: &Fixture) -> (Arc<dyn Disk>, String, Vec<u8>) {
    let disk = fixture.disk();
    let path = disk.list("log/journal").expect("lists").pop().expect("a file");
    let file = disk.open(&path).expect("opens");
    let mut bytes = vec![0; file.length().expect("length") as usize];
    file.read_at(&mut bytes, 0).expect("reads");
    (disk, path, bytes)
}

#[tokio::test]
async fn a_torn_end_is_cut_and_a_hole_stops_the_start() {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    for n in 0..10_u8 {
        log.append_batches(vec![batch(1, &[n; 500], 1)]).await.expect("appends");
    }
    log.close().await;
    let (disk, path, bytes) = last_journal(&fixture);
    // As if it had not been stopped cleanly: the journal is read from its beginning.
    disk.remove("log/checkpoint").expect("removes");
    let frames: Vec<usize> =
        (0..bytes.len()).step_by(16).filter(|at| bytes[*at..].starts_with(&[0xc5, b'J', b'F', 1])).collect();
    assert_eq!(frames.len(), 10);

    // Damage in the middle: later groups are there, so it had been synced.
    disk.open(&path)
        .expect("opens")
        .write_at(&[!bytes[frames[4] + 100]], frames[4] as u64 + 100)
        .expect("writes");
    let error = fixture.try_open().await.err().expect("refuses");
    assert!(matches!(&error, OpenError::Hole { at, .. } if *at == frames[4] as u64), "{error}");
    disk.open(&path).expect("opens").write_at(&bytes, 0).expect("writes");

    // The same in the last frame is what a torn write leaves.
    disk.open(&path)
        .expect("opens")
        .write_at(&[!bytes[frames[9] + 100]], frames[9] as u64 + 100)
        .expect("writes");
    let log = fixture.open().await;
    assert_eq!(log.high_watermark(&topic(1), P), Offset(9));
    let appended = log.append_batches(vec![batch(1, b"after", 1)]).await.expect("appends");
    assert_eq!(appended[0].base, Offset(9));
    log.close().await;
    assert_ne!(last_journal(&fixture).1, path, "a new file with a new key");
    // The torn record is cut off, and the one before it was written anew, as its sync may have failed.
    assert_eq!(fixture.disk().open(&path).expect("opens").length().expect("length"), frames[8] as u64);

    disk.remove(&path).expect("removes");
    let error = fixture.try_open().await.err().expect("refuses");
    assert!(matches!(&error, OpenError::Missing(missing) if *missing == path), "{error}");
}

#[tokio::test]
async fn another_root_key_is_told_apart_from_damage() {
    let fixture = Fixture::new();
    let log = fixture.open().await;
    log.append_batches(vec![batch(1, b"x", 1)]).await.expect("appends");
    log.close().await;
    let mut other = options(fixture.disk(), Arc::new(SeenStop::default()), fixture.limits.clone());
    other.keys = Some(Arc::new(crate::testing::TestKeys(9)));
    assert!(matches!(Log::open(other).await.err(), Some(OpenError::KeyGone(_))));
}

#[tokio::test]
async fn nothing_is_readable_in_the_journal_and_plain_journals_work() {
    let fixture = Fixture::new();
    for sealed in [true, false] {
        let mut options = options(fixture.disk(), Arc::new(SeenStop::default()), fixture.limits.clone());
        if !sealed {
            options.keys = None;
        }
        // A plain log goes on where a sealed one was only with its keys at hand.
        if sealed || matches!(fixture.disk().list("log/journal").as_deref(), Ok([])) {
            let log = Log::open(options).await.expect("opens");
            log.append_batches(vec![batch(1, b"zygomorphicfault", 1)]).await.expect("appends");
            log.close().await;
            let (disk, path, bytes) = last_journal(&fixture);
            let found = bytes.windows(16).any(|window| window == b"zygomorphicfault");
            assert_eq!(found, !sealed);
            disk.remove(&path).expect("removes");
            disk.remove("log/checkpoint").expect("removes");
        }
    }
}

#[tokio::test]
async fn a_full_disk_refuses_and_recovers() {
    let disk = candor_store::sim::SimDisk::new(1);
    let limits = Limits { journal_file_bytes: 64 << 10, ..Limits::default() };
    let log = Log::open(options(Arc::new(disk.clone()), Arc::new(SeenStop::default()), limits));
    let log = log.await.expect("opens");
    log.append_batches(vec![batch(1, &[1; 1000], 1)]).await.expect("appends");
    disk.set_capacity(disk.used());
    let mut refused = 0;
    for _ in 0..100 {
        match log.append_batches(vec![batch(1, &[1; 1000], 1)]).await {
            Ok(_) => assert_eq!(refused, 0),
            Err(AppendError::Full) => refused += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(refused > 10);
    let end = log.high_watermark(&topic(1), P);
    disk.set_capacity(u64::MAX);
    let appended = log.append_batches(vec![batch(1, &[1; 1000], 1)]).await.expect("appends again");
    assert_eq!(appended[0].base, end);
    assert_eq!(read_all(&log, 1).await.len() as u64, end.0 + 1);
}

#[tokio::test]
async fn a_failed_sync_stops_the_process() {
    let disk = candor_store::sim::SimDisk::new(1);
    let stop = Arc::new(SeenStop::default());
    let log = Log::open(options(Arc::new(disk.clone()), Arc::<SeenStop>::clone(&stop), Limits::default()));
    let log = log.await.expect("opens");
    log.append_batches(vec![batch(1, b"x", 1)]).await.expect("appends");
    disk.fail_when(|operation, _| operation == candor_store::sim::SimOperation::Sync);
    let refused = log.append_batches(vec![batch(1, b"x", 1)]).await;
    assert!(matches!(refused, Err(AppendError::Unavailable)), "{refused:?}");
    assert!(stop.stopped());
    let refused = log.append_batches(vec![batch(1, b"x", 1)]).await;
    assert!(matches!(refused, Err(AppendError::Unavailable)), "{refused:?}");
    match disk.open("anything") {
        Err(DiskError::NotFound(_)) => {}
        other => panic!("{:?}", other.err()),
    }
}
