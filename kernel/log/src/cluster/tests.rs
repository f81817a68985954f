//! Two nodes over one database and one object store: what each part of the cluster's log promises by itself, and in
//! [`faults`] all of it while everything fails.

mod faults;
mod streams;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use candor_meta::{Database, SqlError, SqliteOptions, Synchronous};
use candor_model::random::Seeded;
use candor_model::time::ManualClock;
use candor_model::{Clock, Offset, Partition, Random, Timestamp, TopicName};
use candor_store::sim::SimObjects;
use candor_store::{Files, KeyWrap, Objects};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::SEGMENTS;
use super::node::Node;
use super::seal::key_at;
use super::sequencer::{Bounds, Outcome, Proposal, Run, Sequencer, SequencerError};
use super::sql::SqlSequencer;
use super::upkeep::Upkeep;
use crate::queue::Request;
use crate::shared::Shared;
use crate::state::State;
use crate::streams::StreamState;
use crate::testing::{Recorder, TestKeys, batch, topic};
use crate::{AppendError, Appended, Consumer, Limits, ReadError, Topic};

const P: Partition = Partition(0);
const START: Timestamp = Timestamp(1_700_000_000_000_000);

/// A sequencer that fails before it did anything, or loses the answer to what it did.
struct Faulty {
    inner: Arc<SqlSequencer>,
    dice: Arc<Seeded>,
    /// One in so many calls; 0 is never.
    faults: Arc<Mutex<u64>>,
}

impl Faulty {
    fn strikes(&self) -> Result<(), SequencerError> {
        let one_in = *self.faults.lock();
        match one_in > 0 && self.dice.next_u64().is_multiple_of(one_in) {
            true => Err(SqlError::Transient("made to fail".into()).into()),
            false => Ok(()),
        }
    }
}

#[async_trait]
impl Sequencer for Faulty {
    async fn commit(&self, proposal: &Proposal) -> Result<Vec<Vec<Outcome>>, SequencerError> {
        self.strikes()?;
        let sequenced = self.inner.commit(proposal).await?;
        self.strikes()?;
        Ok(sequenced)
    }

    async fn learn(&self) -> Result<Vec<(Bounds, Option<StreamState>)>, SequencerError> {
        self.strikes()?;
        self.inner.learn().await
    }

    async fn bounds(&self, since: Option<Timestamp>) -> Result<Vec<Bounds>, SequencerError> {
        self.strikes()?;
        self.inner.bounds(since).await
    }

    async fn find(
        &self,
        topic: &Topic,
        partition: Partition,
        from: u64,
        limit: u32,
    ) -> Result<Vec<Run>, SequencerError> {
        self.strikes()?;
        self.inner.find(topic, partition, from, limit).await
    }
}

/// What all nodes share.
struct World {
    _folder: tempfile::TempDir,
    database: Database,
    objects: SimObjects,
    clock: Arc<ManualClock>,
    dice: Arc<Seeded>,
    faults: Arc<Mutex<u64>>,
    limits: Limits,
}

/// A node and who follows it.
struct Member {
    node: Arc<Node>,
    sequencer: Arc<SqlSequencer>,
    seen: Arc<Recorder>,
    /// Where the follower began, by topic.
    from: BTreeMap<Topic, u64>,
}

impl World {
    async fn new(seed: u64) -> World {
        let folder = tempfile::tempdir().expect("a folder");
        let options = SqliteOptions { synchronous: Synchronous::Normal, ..SqliteOptions::default() };
        let database = Database::open_sqlite_with(&folder.path().join("log.db"), options, &[]).await;
        let limits = Limits {
            journal_bytes: 20_000,
            segment_bytes: 8_000,
            retention: Duration::from_secs(100 * 3600),
            ..Limits::default()
        };
        World {
            _folder: folder,
            database: database.expect("opens"),
            objects: SimObjects::new(seed),
            clock: Arc::new(ManualClock::new(START)),
            dice: Arc::new(Seeded::new(seed)),
            faults: Arc::default(),
            limits,
        }
    }

    fn set_faults(&self, one_in: u64) {
        *self.faults.lock() = one_in;
        self.objects.set_faults(one_in * 2, one_in);
    }

    fn roll(&self, below: u64) -> u64 {
        self.dice.next_u64() % below
    }

    async fn member(&self) -> Member {
        let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(&self.clock);
        let opened = SqlSequencer::open(self.database.clone(), Arc::clone(&clock)).await;
        let sequencer = Arc::new(opened.expect("opens"));
        let faulty = Faulty {
            inner: Arc::clone(&sequencer),
            dice: Arc::clone(&self.dice),
            faults: Arc::clone(&self.faults),
        };
        // Small, so that readers meet the store.
        let shared = Arc::new(Shared::new(State::new(0), 4_000));
        let objects: Arc<dyn Objects> = Arc::new(self.objects.clone());
        let keys: Option<Arc<dyn KeyWrap>> = Some(Arc::new(TestKeys(9)));
        let files = Arc::new(Files::new(objects, keys, Arc::<Seeded>::clone(&self.dice)));
        let random: Arc<dyn Random> = Arc::<Seeded>::clone(&self.dice);
        let node = Node::new(Arc::clone(&shared), files, Arc::new(faulty), clock, random, Duration::ZERO);
        while node.learn().await.is_err() {}
        let seen = Arc::new(Recorder::default());
        shared.followers.lock().push(Arc::<Recorder>::clone(&seen));
        let from = shared.state.read().partitions.iter().map(|p| (p.topic.clone(), p.end)).collect();
        Member { node: Arc::new(node), sequencer, seen, from }
    }

    fn upkeep(&self, member: &Member, consumers: Vec<Consumer>) -> Upkeep {
        let sequencer = Arc::clone(&member.sequencer);
        Upkeep::new(Arc::clone(&member.node), sequencer, consumers, self.limits.clone())
    }
}

impl Member {
    fn end(&self, topic: &Topic) -> u64 {
        self.node.shared.state.read().find_named(topic, P).map_or(0, |held| held.end)
    }

    /// What the follower saw: without gap or repetition, from where it began.
    fn check_seen(&self) {
        let mut next = self.from.clone();
        for batch in self.seen.0.lock().iter() {
            let at = next.entry(batch.topic.clone()).or_insert(0);
            assert_eq!(batch.base.0, *at, "followers see every offset, in order");
            *at += u64::from(batch.count);
        }
        for (topic, seen) in next {
            assert_eq!(seen, self.end(&topic), "what is visible was shown");
        }
    }

    async fn read_all(&self, topic: &Topic, mut from: u64) -> BTreeMap<u64, (u32, Vec<u8>)> {
        let mut all = BTreeMap::new();
        while from < self.end(topic) {
            let batches = self.node.read(topic, P, from, 3_000).await.expect("reads");
            for batch in batches {
                from = batch.base.0 + u64::from(batch.count);
                all.insert(batch.base.0, (batch.count, batch.batch.to_vec()));
            }
        }
        all
    }
}

/// A node that seals, puts and commits one batch at a time.
async fn append(member: &Member, batches: Vec<crate::batch::Batch>) -> Result<Vec<Appended>, AppendError> {
    let (reply, answer) = oneshot::channel();
    let sealed = member.node.seal(vec![Request { batches, each: false, reply }]);
    member.node.persist(&sealed.proposal.key, sealed.content.clone()).await?;
    member.node.commit(sealed).await;
    answer.await.expect("answers")?.into_iter().collect()
}

#[tokio::test]
async fn a_commit_whose_answer_was_lost_is_found_by_its_segment() {
    let world = World::new(1).await;
    let member = world.member().await;
    let (reply, answer) = oneshot::channel();
    let sealed = member.node.seal(vec![Request { batches: vec![batch(1, b"once", 3)], each: false, reply }]);
    member.node.persist(&sealed.proposal.key, sealed.content.clone()).await.expect("puts");
    // It was committed, and nobody heard of it.
    let first = member.sequencer.commit(&sealed.proposal).await.expect("commits");
    let again = member.sequencer.commit(&sealed.proposal).await.expect("is told");
    assert_eq!(first, again);
    member.node.commit(sealed).await;
    let appended = answer.await.expect("answers").expect("appends");
    let appended = [*appended[0].as_ref().expect("appends")];
    assert_eq!((appended[0].base, appended[0].duplicate), (Offset(0), false));
    assert_eq!(member.end(&topic(1)), 3);
    assert_eq!(append(&member, vec![batch(1, b"next", 1)]).await.expect("appends")[0].base, Offset(3));
}

#[tokio::test]
async fn what_was_put_and_never_committed_goes_after_its_grace_and_cannot_come_back() {
    let world = World::new(2).await;
    let member = world.member().await;
    append(&member, vec![batch(1, b"kept", 1)]).await.expect("appends");
    let (reply, answer) = oneshot::channel();
    let late = member.node.seal(vec![Request { batches: vec![batch(1, b"late", 1)], each: false, reply }]);
    member.node.persist(&late.proposal.key, late.content.clone()).await.expect("puts");
    // A file that is none of the log's own is left alone.
    let foreign = format!("{SEGMENTS}readme");
    world.objects.put(&foreign, "x".into()).await.expect("puts");
    let upkeep = world.upkeep(&member, Vec::new());
    upkeep.run().await.expect("keeps");
    world.clock.advance(1800 * Timestamp::SECOND);
    upkeep.run().await.expect("keeps");
    assert_eq!(world.objects.list(SEGMENTS).await.expect("lists").len(), 3, "within the grace it stays");
    for _ in 0..3 {
        world.clock.advance(3600 * Timestamp::SECOND);
        upkeep.run().await.expect("keeps");
    }
    let held = world.objects.list(SEGMENTS).await.expect("lists");
    assert!(!held.contains(&late.proposal.key.to_string()) && held.contains(&foreign), "{held:?}");
    // The mark is gone with the file by now: a node that slept so long knows it by its clock.
    member.node.commit(late).await;
    assert!(matches!(answer.await.expect("answers"), Err(AppendError::Unavailable)));
    assert_eq!(member.end(&topic(1)), 1);
}

#[tokio::test]
async fn a_segment_that_was_given_up_is_refused() {
    let world = World::new(3).await;
    let member = world.member().await;
    let (reply, answer) = oneshot::channel();
    let late = member.node.seal(vec![Request { batches: vec![batch(1, b"late", 1)], each: false, reply }]);
    member.node.persist(&late.proposal.key, late.content.clone()).await.expect("puts");
    world.clock.advance(2 * 3600 * Timestamp::SECOND);
    world.upkeep(&member, Vec::new()).run().await.expect("keeps");
    // Its own clock stood still; the database knows.
    let committed = member.sequencer.commit(&late.proposal).await;
    assert!(matches!(committed, Err(SequencerError::GivenUp(_))), "{committed:?}");
    late.refuse(&AppendError::Unavailable);
    assert!(answer.await.expect("answers").is_err());
    assert_eq!(member.end(&topic(1)), 0);
}

#[tokio::test]
async fn retention_waits_for_consumers_and_cuts_by_age_and_size() {
    fn every(_: &TopicName) -> bool {
        true
    }
    let mut world = World::new(4).await;
    world.limits.retention = Duration::from_secs(3600);
    world.limits.retention_project_bytes = 5_000;
    let member = world.member().await;
    for n in 0..10_u8 {
        append(&member, vec![batch(1, &[n; 1000], 1), batch(2, &[n; 10], 1)]).await.expect("appends");
        world.clock.advance(60 * Timestamp::SECOND);
    }
    let consumers = vec![Consumer { name: "test", topics: every }];
    let upkeep = world.upkeep(&member, consumers);
    let start = async |project| {
        let all = member.sequencer.bounds(None).await.expect("asks");
        all.iter().find(|bounds| bounds.topic == topic(project)).expect("a topic").start
    };
    world.clock.advance(2 * 3600 * Timestamp::SECOND);
    upkeep.run().await.expect("keeps");
    assert_eq!((start(1).await, start(2).await), (0, 0), "nobody has consumed anything yet");
    let consumed = |project, next| {
        let mut state = member.node.shared.state.write();
        let key = state.intern(&topic(project), P);
        state.get_mut(key).expect("held").consumed = vec![("test", next)];
    };
    consumed(1, 4);
    consumed(2, 10);
    upkeep.run().await.expect("keeps");
    assert_eq!((start(1).await, start(2).await), (4, 10), "by age, as far as consumed");
    // Fresh ones, over the size.
    for n in 0..8_u8 {
        append(&member, vec![batch(3, &[n; 1000], 1)]).await.expect("appends");
    }
    consumed(3, 8);
    upkeep.run().await.expect("keeps");
    assert_eq!(start(3).await, 4, "the oldest go until the project fits");
    member.node.poll().await.expect("asks");
    let gone = member.node.read(&topic(3), P, 0, 10).await;
    assert!(matches!(gone, Err(ReadError::OutOfRange { start: 4, .. })), "{gone:?}");
    assert_eq!(member.read_all(&topic(3), 4).await.len(), 4);
}

#[tokio::test]
async fn a_forgotten_projects_batches_leave_every_segment() {
    let world = World::new(8).await;
    let member = world.member().await;
    let upkeep = world.upkeep(&member, Vec::new());
    // Sealed, and history: in the shared segments and in those of one partition.
    for n in 0..60_u8 {
        let of_each = vec![batch(1, &[n; 400], 1), batch(2, &[n; 400], 1), batch(3, &[n; 30], 2)];
        append(&member, of_each).await.expect("appends");
        if n == 40 {
            world.clock.advance(2 * 600 * Timestamp::SECOND);
            upkeep.run().await.expect("keeps");
        }
    }
    let stored = async || {
        let mut projects = std::collections::BTreeSet::new();
        for key in world.objects.list(SEGMENTS).await.expect("lists") {
            let file = member.node.files.open(&key).await.expect("opens");
            let content = file.read(0..file.length()).await.expect("reads");
            let batches = crate::inspect::segment(content).expect("a segment");
            projects.extend(batches.iter().map(|batch| batch.topic.project.0));
        }
        Vec::from_iter(projects)
    };
    let before = (member.read_all(&topic(2), 0).await, member.read_all(&topic(3), 0).await);
    assert_eq!(stored().await, [1, 2, 3]);
    member.sequencer.forget(candor_model::ProjectId(1)).await.expect("forgets");
    for _ in 0..3 {
        world.clock.advance(601 * Timestamp::SECOND);
        upkeep.run().await.expect("keeps");
    }
    assert_eq!(stored().await, [2, 3]);
    member.node.poll().await.expect("asks");
    assert_eq!((member.read_all(&topic(2), 0).await, member.read_all(&topic(3), 0).await), before);
    assert_eq!(append(&member, vec![batch(1, b"on", 1)]).await.expect("appends")[0].base, Offset(60));
}

#[tokio::test]
async fn what_lies_between_segments_of_a_forgotten_project_stays_readable() {
    let world = World::new(9).await;
    let member = world.member().await;
    let upkeep = world.upkeep(&member, Vec::new());
    // Of those that follow one another, the one in between never held the project that goes.
    for (n, beside) in (0..).zip([true, false, true, false, false, true]) {
        let mut batches = vec![batch(2, &[n; 400], 10)];
        batches.extend(beside.then(|| batch(1, &[n; 400], 1)));
        append(&member, batches).await.expect("appends");
    }
    let before = member.read_all(&topic(2), 0).await;
    member.sequencer.forget(candor_model::ProjectId(1)).await.expect("forgets");
    for _ in 0..3 {
        world.clock.advance(601 * Timestamp::SECOND);
        upkeep.run().await.expect("keeps");
    }
    // Without anything in its memory.
    let fresh = world.member().await;
    for from in 0..60 {
        let first = from / 10 * 10;
        let expected: BTreeMap<_, _> =
            before.range(first..).map(|(base, batch)| (*base, batch.clone())).collect();
        assert_eq!(fresh.read_all(&topic(2), from).await, expected, "from {from}");
    }
}

#[tokio::test]
async fn one_node_at_a_time_holds_the_lease() {
    let world = World::new(5).await;
    let (one, two) = (world.member().await, world.member().await);
    let now = world.clock.now();
    let until = now.plus_seconds(120);
    let held = one.sequencer.take_lease("one", now, until).await.expect("asks").expect("is free");
    assert!(two.sequencer.take_lease("two", now, until).await.expect("asks").is_none());
    let renewed = one.sequencer.take_lease("one", now, until).await.expect("asks").expect("renews");
    assert_eq!(held.epoch, renewed.epoch);
    let later = now.plus_seconds(121);
    let taken = two.sequencer.take_lease("two", later, later.plus_seconds(120)).await.expect("asks");
    assert_eq!(taken.expect("has lapsed").epoch, held.epoch + 1);
    // The first one was asleep: what it does now is fenced.
    append(&one, vec![batch(1, b"a", 1)]).await.expect("appends");
    let trimmed = one.sequencer.trim(&held, 1, 1).await;
    assert!(matches!(trimmed, Err(SequencerError::Fenced)), "{trimmed:?}");
}

#[tokio::test]
async fn what_could_not_be_read_is_shown_as_soon_as_the_store_answers() {
    let world = World::new(6).await;
    let (one, two) = (world.member().await, world.member().await);
    append(&one, vec![batch(1, b"a", 1), batch(2, b"b", 2)]).await.expect("appends");
    world.objects.set_faults(1, 0);
    for _ in 0..40 {
        two.node.poll().await.expect("asks");
        world.clock.advance(Timestamp::SECOND);
    }
    assert_eq!((two.end(&topic(1)), two.end(&topic(2))), (0, 0));
    assert_eq!(two.node.behind(), 2);
    assert!(two.node.is_behind(&topic(1), P) && !two.node.is_behind(&topic(3), P));
    world.objects.set_faults(0, 0);
    two.node.poll().await.expect("asks");
    assert_eq!(
        (two.end(&topic(1)), two.end(&topic(2))),
        (1, 2),
        "at the next poll, not at the next whole look"
    );
    assert_eq!(two.node.behind(), 0);
    two.check_seen();
}

#[tokio::test]
async fn a_segment_that_cannot_be_read_hides_its_own_partition_alone() {
    let world = World::new(7).await;
    let (one, two) = (world.member().await, world.member().await);
    append(&one, vec![batch(1, b"lost", 1)]).await.expect("appends");
    let lost = world.objects.list(SEGMENTS).await.expect("lists");
    world.objects.delete(&lost[0]).await.expect("deletes");
    append(&one, vec![batch(2, b"there", 2)]).await.expect("appends");
    two.node.poll().await.expect("asks");
    assert_eq!((two.end(&topic(1)), two.end(&topic(2))), (0, 2));
    assert_eq!(two.node.behind(), 1);
    // What is appended here to the one goes on, and to the other it stays hidden until what is before it is shown.
    append(&two, vec![batch(1, b"x", 1), batch(2, b"y", 1)]).await.expect("appends");
    assert_eq!((two.end(&topic(1)), two.end(&topic(2))), (0, 3));
    two.check_seen();
}

#[test]
fn a_segments_name_tells_when_it_was_made() {
    let key = key_at(START, &Seeded::new(3));
    assert_eq!(super::seal::made_at(&key), Some(START));
    for other in ["log/readme", "log/000000000000000a", "lake/x-y"] {
        assert_eq!(super::seal::made_at(other), None, "{other}");
    }
}
