//! Tests of what only the local log has: its journal on a disk.

use std::sync::Arc;
use std::time::{Duration, Instant};

use candor_model::{Offset, Partition, ProjectId};
use candor_store::sim::{SimDisk, SimOperation};
use candor_store::{Disk, DiskError, RealDisk};

use crate::batch::Batch;
use crate::maintenance::Maintenance;
use crate::open::{Opened, read_back};
use crate::queue::Request;
use crate::reader::Reader;
use crate::testing::{Kafka, SeenStop, TestKeys, batch, options, read_all, stream, topic};
use crate::{AppendError, Limits, Log, OpenError, inspect};

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

/// What a stream's producer is told where the disk is full, and that it goes on with the same numbers.
#[tokio::test]
async fn a_producer_goes_on_where_the_disk_was_full() {
    let disk = SimDisk::new(1);
    let limits = Limits { journal_file_bytes: 64 << 10, ..Limits::default() };
    let open = async || {
        let options = options(Arc::new(disk.clone()), Arc::new(SeenStop::default()), limits.clone());
        Log::open(options).await.expect("opens")
    };
    let log = open().await;
    let value = vec![1; 5000];
    let send = async |log: &Log, sequence: i32| {
        let producer = candor_records::Producer { id: 7, epoch: 0, sequence };
        let kafka = Kafka { producer, value: &value, ..Kafka::default() };
        log.append_each_batch(vec![kafka.batch(&stream(1))]).await.remove(0)
    };
    disk.set_capacity(disk.used() + 100_000);
    let mut stored = 0;
    let refused = loop {
        match send(&log, stored).await {
            Ok(appended) => assert_eq!(appended.base, Offset(stored as u64)),
            Err(error) => break error,
        }
        stored += 1;
        assert!(stored < 100, "the disk is never full");
    };
    assert!(matches!(refused, AppendError::Full), "{refused}");
    assert!(stored > 2 && matches!(send(&log, stored).await, Err(AppendError::Full)));
    // What was acknowledged is read meanwhile.
    let end = Offset(stored as u64);
    assert_eq!(log.high_watermark(&stream(1), P), end);
    assert_eq!(log.read(&stream(1), P, Offset(0), 1 << 20).await.expect("reads").len(), stored as usize);
    disk.set_capacity(u64::MAX);
    log.close().await;
    let log = open().await;
    let again = send(&log, stored - 1).await.expect("is known");
    assert_eq!((again.base, again.duplicate), (Offset(end.0 - 1), true));
    let next = send(&log, stored).await.expect("appends again");
    assert_eq!((next.base, next.duplicate), (end, false));
    assert_eq!(log.read(&stream(1), P, Offset(0), 1 << 20).await.expect("reads").len(), stored as usize + 1);
    log.close().await;
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

/// Looks until it is so.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_so().await {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Projects of which a batch lies in any file of the log.
async fn projects_stored(log: &Log, disk: &dyn Disk) -> Vec<i64> {
    let mut batches = Vec::new();
    for path in disk.list("log/journal").expect("lists") {
        match inspect::journal(disk, &path, Some(&TestKeys(3))) {
            // It went meanwhile.
            Err(OpenError::Disk(DiskError::NotFound(_))) => {}
            read => batches.extend(read.expect("reads")),
        }
    }
    for key in log.inner.files.list("log/").await.expect("lists") {
        let Ok(file) = log.inner.files.open(&key).await else { continue };
        let content = file.read(0..file.length()).await.expect("reads");
        batches.extend(inspect::segment(content).expect("a segment"));
    }
    let mut projects: Vec<i64> = batches.iter().map(|batch| batch.topic.project.0).collect();
    projects.sort_unstable();
    projects.dedup();
    projects
}

fn small() -> Limits {
    Limits {
        journal_file_bytes: 8 << 10,
        journal_bytes: 16 << 10,
        segment_bytes: 8 << 10,
        tail_cache_bytes: 1,
        ..Limits::default()
    }
}

#[tokio::test]
async fn a_forgotten_projects_batches_leave_every_file() {
    let mut fixture = Fixture::new();
    fixture.limits = small();
    let log = fixture.open().await;
    for n in 0..60_u8 {
        let of_each = vec![batch(1, &[n; 400], 1), batch(2, &[n; 400], 1), batch(3, &[n; 30], 2)];
        log.append_batches(of_each).await.expect("appends");
    }
    let disk = fixture.disk();
    until("something is compacted", async || !disk.list("objects/log").expect("lists").is_empty()).await;
    assert_eq!(projects_stored(&log, &*disk).await, [1, 2, 3]);
    let plain = async |log: &Log, project| -> Vec<(Offset, Vec<u8>)> {
        read_all(log, project).await.into_iter().map(|batch| (batch.base, batch.batch.to_vec())).collect()
    };
    let (second, third) = (plain(&log, 2).await, plain(&log, 3).await);
    log.forget(ProjectId(1)).await.expect("forgets");
    until("no file holds it", async || projects_stored(&log, &*disk).await == [2, 3]).await;
    assert_eq!((plain(&log, 2).await, plain(&log, 3).await), (second.clone(), third.clone()));
    log.append_batches(vec![batch(2, b"on", 1)]).await.expect("appends");
    log.close().await;
    let log = fixture.open().await;
    let mut expected = second;
    expected.push((Offset(60), b"on".to_vec()));
    assert_eq!((plain(&log, 2).await, plain(&log, 3).await), (expected, third));
    let again = log.append_batches(vec![batch(1, b"late", 1)]).await.expect("appends");
    assert_eq!(again[0].base, Offset(60), "its offsets go on");
    log.forget(ProjectId(1)).await.expect("forgets");
    until("what came late goes too", async || projects_stored(&log, &*disk).await == [2, 3]).await;
    log.close().await;
}

#[tokio::test]
async fn what_a_failed_compaction_wrote_goes_while_the_log_runs() {
    let disk = SimDisk::new(1);
    let log = Log::open(options(Arc::new(disk.clone()), Arc::new(SeenStop::default()), small()));
    let log = log.await.expect("opens");
    // Of every two segments the second fails: what a compaction wrote before it is of no use.
    let (mut puts, failed) = (0, Arc::new(std::sync::atomic::AtomicU32::new(0)));
    let count = Arc::clone(&failed);
    disk.fail_when(move |operation, path| {
        let is_put = operation == SimOperation::Sync && path.starts_with("objects/");
        puts += u32::from(is_put);
        let fails = is_put && puts.is_multiple_of(2);
        count.fetch_add(u32::from(fails), std::sync::atomic::Ordering::SeqCst);
        fails
    });
    for n in 0..60_u8 {
        log.append_batches(vec![batch(1, &[n; 900], 1)]).await.expect("appends");
    }
    let failed = || failed.load(std::sync::atomic::Ordering::SeqCst);
    until("compactions fail", async || failed() > 0).await;
    until("nothing is left of them", async || disk.list("objects/log").expect("lists").is_empty()).await;
    assert_eq!(read_all(&log, 1).await.len(), 60);
    log.close().await;
}

/// Commits batches as the journal's thread does.
fn commit(opened: &mut Opened, batches: Vec<Batch>) {
    let (reply, mut answer) = tokio::sync::oneshot::channel();
    opened.committer.commit(vec![Request { batches, each: false, reply }]);
    answer.try_recv().expect("is answered").expect("appends");
}

#[tokio::test]
async fn a_purge_leaves_alone_what_the_project_was_never_in() {
    let disk: Arc<dyn Disk> = Arc::new(SimDisk::new(1));
    let options = options(disk, Arc::new(SeenStop::default()), small());
    let mut opened = read_back(&options).expect("opens");
    // One history segment each; only the first and the last hold the project that goes.
    for (n, beside) in (0..).zip([true, false, false, true]) {
        let mut batches = vec![batch(2, &[n; 100], 1)];
        batches.extend(beside.then(|| batch(1, &[n; 100], 1)));
        commit(&mut opened, batches);
        opened.committer.seal_file();
        opened.maintenance.compact().await.expect("compacts");
        let snapshot = Maintenance::snapshot(&mut opened.committer);
        opened.maintenance.checkpoint(snapshot).await.expect("writes");
    }
    let shared = Arc::clone(&opened.committer.shared);
    let before: Vec<u64> = {
        let state = shared.state.read();
        let held = state.find_named(&topic(2), P).expect("held");
        held.chunks.iter().filter_map(crate::state::Chunk::segment).collect()
    };
    assert_eq!(before.len(), 4);
    shared.state.write().forget(ProjectId(1));
    opened.maintenance.purge().await.expect("purges");
    {
        let state = shared.state.read();
        let left = |n: usize| state.segments.contains_key(&before[n]);
        assert_eq!([left(0), left(1), left(2), left(3)], [false, true, true, false]);
        let held = state.find_named(&topic(2), P).expect("held");
        let places: Vec<_> = held.chunks.iter().map(|chunk| (chunk.base, chunk.end)).collect();
        assert_eq!(places, [(0, 1), (1, 2), (2, 3), (3, 4)]);
    }
    let reader = Reader { shared: &shared, files: &options.files, blocking_threads: false };
    for n in 0..4_u8 {
        let read = reader.read(&topic(2), P, u64::from(n), 1).await.expect("reads");
        assert_eq!((read[0].base, read[0].batch.as_ref()), (Offset(u64::from(n)), &[n; 100][..]));
    }
}

#[tokio::test]
async fn a_deletion_is_finished_after_a_stop_in_between() {
    let mut fixture = Fixture::new();
    fixture.limits = small();
    let log = fixture.open().await;
    for n in 0..5_u8 {
        log.append_batches(vec![batch(1, &[n; 400], 1), batch(2, &[n; 400], 1)]).await.expect("appends");
    }
    let before = read_all(&log, 2).await.len();
    log.close().await;
    {
        // Deleted, and stopped before anything of it was written anew.
        let options = options(fixture.disk(), Arc::new(SeenStop::default()), fixture.limits.clone());
        let mut opened = read_back(&options).expect("opens");
        opened.committer.shared.state.write().forget(ProjectId(1));
        let snapshot = Maintenance::snapshot(&mut opened.committer);
        opened.maintenance.checkpoints.write(&snapshot).expect("writes");
    }
    let disk = fixture.disk();
    let log = fixture.open().await;
    until("no file holds it", async || projects_stored(&log, &*disk).await == [2]).await;
    assert_eq!(read_all(&log, 2).await.len(), before);
    log.close().await;
}

#[tokio::test]
async fn a_segment_that_cannot_be_read_keeps_the_log_from_being_purged_alone() {
    let mut fixture = Fixture::new();
    fixture.limits = small();
    let log = fixture.open().await;
    let append = async |n: u8| {
        // Of the first and the third there is so little that they share segments.
        let of_each = vec![batch(1, &[n; 30], 1), batch(2, &[n; 800], 1), batch(3, &[n; 30], 2)];
        log.append_batches(of_each).await.expect("appends");
    };
    for n in 0..60 {
        append(n).await;
    }
    let disk = fixture.disk();
    until("something is compacted", async || !disk.list("objects/log").expect("lists").is_empty()).await;
    for path in disk.list("objects/log").expect("lists") {
        disk.remove(&path).expect("removes");
    }
    log.forget(ProjectId(1)).await.expect("forgets");
    append(60).await;
    let journal = disk.list("log/journal").expect("lists").pop().expect("a file");
    for n in 61..160 {
        append(n).await;
    }
    until("the journal is compacted", async || {
        log.inner.shared.rolled.notify_one();
        !disk.list("log/journal").expect("lists").contains(&journal)
    })
    .await;
    log.close().await;
}
