//! Two nodes over one database and one object store that fail, lose answers and stand still, in an order that
//! follows from a seed. What was acknowledged is there exactly once, at its offset, on both nodes; what was refused
//! before its commit is nowhere; a retry is stored once; compaction, retention and collection change none of it.

use std::collections::{BTreeMap, HashMap, HashSet};
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
use super::broken::{Step, leave_out};
use super::node::Node;
use super::seal::{Sealed, key_at};
use super::sequencer::{Bounds, Proposal, Run, Sequenced, Sequencer, SequencerError};
use super::sql::SqlSequencer;
use super::upkeep::Upkeep;
use crate::queue::Request;
use crate::shared::Shared;
use crate::state::State;
use crate::testing::{Recorder, TestKeys, batch, request, topic};
use crate::{AppendError, Appended, Consumer, Limits, ReadError, Topic};

const P: Partition = Partition(0);
const START: Timestamp = Timestamp(1_700_000_000_000_000);
const SEEDS: u64 = 40;
const STEPS: u64 = 120;
/// Clients that retry at all do so by then, well within the time that ids are remembered, µs.
const RETRIED_WITHIN: i64 = 1800 * Timestamp::SECOND;

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
    async fn commit(&self, proposal: &Proposal) -> Result<Vec<Vec<Sequenced>>, SequencerError> {
        self.strikes()?;
        let sequenced = self.inner.commit(proposal).await?;
        self.strikes()?;
        Ok(sequenced)
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
        let clock: Arc<dyn Clock> = self.clock.clone();
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
        let files = Arc::new(Files::new(objects, keys, self.dice.clone()));
        let random: Arc<dyn Random> = self.dice.clone();
        let node = Node::new(Arc::clone(&shared), files, Arc::new(faulty), clock, random, Duration::ZERO);
        while node.learn().await.is_err() {}
        let seen = Arc::new(Recorder::default());
        shared.followers.lock().push(seen.clone());
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

type Answer = oneshot::Receiver<Result<Vec<Appended>, AppendError>>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Acknowledged(u64),
    Unknown,
    Refused,
}

struct Sent {
    topic: Topic,
    content: Vec<u8>,
    count: u32,
    id: Option<u64>,
    /// When its first try was.
    at: Timestamp,
    fate: Fate,
}

/// A segment on its way: of which node, whether it was put, which batches it holds.
struct Underway {
    member: usize,
    sealed: Sealed,
    put: bool,
    batches: Vec<usize>,
    answers: Vec<Answer>,
}

#[derive(Default)]
struct History {
    sent: Vec<Sent>,
}

impl History {
    /// New batches in one append; now and then one is a retry of an earlier one.
    fn make(&mut self, world: &World) -> Vec<usize> {
        let mut made = Vec::new();
        let now = world.clock.now();
        for _ in 0..=world.roll(3) {
            let number = self.sent.len();
            let retried = (world.roll(4) == 0).then(|| self.sent.iter().rev().find(|sent| sent.id.is_some()));
            let sent = match retried.flatten() {
                // A retry of what this append itself holds would be another batch of the same request.
                Some(first)
                    if now.0 - first.at.0 < RETRIED_WITHIN
                        && !made.iter().any(|n: &usize| self.sent[*n].id == first.id) =>
                {
                    Sent {
                        topic: first.topic.clone(),
                        content: first.content.clone(),
                        count: first.count,
                        id: first.id,
                        at: first.at,
                        fate: Fate::Unknown,
                    }
                }
                _ => {
                    let mut content = vec![0; 40 + world.roll(900) as usize];
                    content[..8].copy_from_slice(&(number as u64).to_le_bytes());
                    let id = (world.roll(3) == 0).then_some(number as u64);
                    let topic = topic(world.roll(3) as i64 + 1);
                    Sent { topic, content, count: world.roll(5) as u32 + 1, id, at: now, fate: Fate::Unknown }
                }
            };
            self.sent.push(sent);
            made.push(number);
        }
        made
    }

    fn request(&self, numbers: &[usize]) -> (Request, Answer) {
        let one = |number: &usize| {
            let sent = &self.sent[*number];
            let mut batch = batch(sent.topic.project.0, &sent.content, sent.count);
            batch.request = sent.id.map(request);
            batch
        };
        let (reply, answer) = oneshot::channel();
        (Request { batches: numbers.iter().map(one).collect(), reply }, answer)
    }

    /// What each append of a segment was answered, once it was put and its commit is over.
    fn answered(&mut self, batches: &[usize], answers: Vec<Answer>) {
        let mut numbers = batches.iter();
        for mut answer in answers {
            match answer.try_recv().expect("everybody is answered") {
                Ok(appended) => {
                    for one in appended {
                        let sent = &mut self.sent[*numbers.next().expect("a batch")];
                        assert_eq!(one.count, sent.count);
                        sent.fate = Fate::Acknowledged(one.base.0);
                    }
                }
                // All appends of a segment fare alike.
                Err(_) => numbers.by_ref().for_each(|number| self.sent[*number].fate = Fate::Unknown),
            }
        }
    }

    /// Compares what was answered with what is there.
    fn check(&self, stored: &HashMap<Topic, BTreeMap<u64, (u32, Vec<u8>)>>) {
        let mut copies: HashMap<(&Topic, &[u8]), Vec<u64>> = HashMap::new();
        for (topic, batches) in stored {
            for (base, (_, content)) in batches {
                copies.entry((topic, content)).or_default().push(*base);
            }
        }
        let mut refused: HashSet<&[u8]> = HashSet::new();
        let mut others: HashSet<&[u8]> = HashSet::new();
        for sent in &self.sent {
            let of_it = copies.get(&(&sent.topic, &*sent.content)).map_or(&[][..], Vec::as_slice);
            assert!(of_it.len() <= 1, "a batch is stored {} times", of_it.len());
            if let Fate::Acknowledged(base) = sent.fate {
                assert_eq!(of_it, [base], "an acknowledged batch lies at its offset");
            }
            match sent.fate {
                Fate::Refused => refused.insert(&sent.content),
                _ => others.insert(&sent.content),
            };
        }
        for content in refused.difference(&others) {
            assert!(!copies.keys().any(|(_, held)| held == content), "a refused batch is stored");
        }
    }
}

/// The next thing that happens to a segment: it is put, or committed.
async fn advance(members: &[Member], history: &mut History, mut underway: Underway) -> Option<Underway> {
    let node = &members[underway.member].node;
    if !underway.put {
        let (key, content) = (Arc::clone(&underway.sealed.proposal.key), underway.sealed.content.clone());
        if let Err(error) = node.persist(&key, content).await {
            let Underway { sealed, .. } = underway;
            sealed.refuse(&error);
            for number in underway.batches {
                history.sent[number].fate = Fate::Refused;
            }
            return None;
        }
        underway.put = true;
        return Some(underway);
    }
    node.commit(underway.sealed).await;
    history.answered(&underway.batches, underway.answers);
    None
}

async fn run(seed: u64) {
    let world = World::new(seed).await;
    let mut members = vec![world.member().await, world.member().await];
    let mut history = History::default();
    let mut underway: Vec<Underway> = Vec::new();
    world.set_faults(5);
    for _ in 0..STEPS {
        match world.roll(12) {
            0..=3 => {
                let member = world.roll(2) as usize;
                let (mut group, mut answers, mut batches) = (Vec::new(), Vec::new(), Vec::new());
                for _ in 0..=world.roll(3) {
                    let numbers = history.make(&world);
                    let (request, answer) = history.request(&numbers);
                    group.push(request);
                    answers.push(answer);
                    batches.extend(numbers);
                }
                let sealed = members[member].node.seal(group);
                underway.push(Underway { member, sealed, put: false, batches, answers });
            }
            // Segments of one node are committed in their order, those of two in any.
            4..=8 if !underway.is_empty() => {
                let member = world.roll(2) as usize;
                let Some(at) = underway.iter().position(|u| u.member == member) else { continue };
                let next = underway.remove(at);
                if let Some(next) = advance(&members, &mut history, next).await {
                    underway.insert(at, next);
                }
            }
            9 => {
                let _ = members[world.roll(2) as usize].node.poll().await;
            }
            10 => {
                world.clock.advance(world.roll(900) as i64 * Timestamp::SECOND);
                let member = &members[world.roll(2) as usize];
                // It may fail; it is tried again.
                let _ = world.upkeep(member, Vec::new()).run().await;
            }
            11 if world.roll(5) == 0 => {
                // The node dies; what it had underway has no answer, put or not.
                let dead = world.roll(2) as usize;
                members[dead].check_seen();
                for lost in underway.extract_if(.., |u| u.member == dead) {
                    let fate = if lost.put { Fate::Unknown } else { Fate::Refused };
                    lost.batches.iter().for_each(|number| history.sent[*number].fate = fate);
                }
                members[dead] = world.member().await;
            }
            _ => {}
        }
    }
    world.set_faults(0);
    for left in std::mem::take(&mut underway) {
        let mut next = Some(left);
        while let Some(left) = next {
            next = advance(&members, &mut history, left).await;
        }
    }
    for member in &members {
        world.clock.advance(120 * Timestamp::SECOND);
        member.node.poll().await.expect("asks");
        member.check_seen();
    }
    check_all(&members, &history).await;
    // Everything becomes history, and what nothing names goes.
    for _ in 0..4 {
        world.clock.advance(2 * 3600 * Timestamp::SECOND);
        world.upkeep(&members[0], Vec::new()).run().await.expect("keeps");
    }
    members.push(world.member().await);
    check_all(&members, &history).await;
    let named = world.database.query("SELECT name FROM log_segment", &[]).await.expect("queries");
    let named: HashSet<String> = named.iter().map(|row| row.text(0).expect("text").to_owned()).collect();
    let held: HashSet<String> = world.objects.list(SEGMENTS).await.expect("lists").into_iter().collect();
    assert_eq!(named, held, "every file is named, and every name has its file");
}

async fn check_all(members: &[Member], history: &History) {
    let mut first: Option<HashMap<Topic, BTreeMap<u64, (u32, Vec<u8>)>>> = None;
    for member in members {
        let mut stored = HashMap::new();
        for bounds in member.sequencer.bounds(None).await.expect("asks") {
            assert_eq!(bounds.start, 0);
            assert_eq!(member.end(&bounds.topic), bounds.next);
            let batches = member.read_all(&bounds.topic, 0).await;
            let mut next = 0;
            for (base, (count, _)) in &batches {
                assert_eq!(*base, next, "offsets have no gaps");
                next += u64::from(*count);
            }
            assert_eq!(next, bounds.next);
            stored.insert(bounds.topic, batches);
        }
        history.check(&stored);
        let first = first.get_or_insert_with(|| stored.clone());
        assert!(*first == stored, "all nodes read the same");
    }
}

/// Runs a seed on this thread, with a step left out.
fn holds(seed: u64, without: Option<Step>) -> std::thread::Result<()> {
    leave_out(without);
    let held = std::panic::catch_unwind(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(run(seed));
    });
    leave_out(None);
    held
}

#[test]
fn nothing_acknowledged_is_lost_or_doubled_whatever_fails() {
    let only = std::env::var("CANDOR_SIM_SEED").ok().and_then(|seed| seed.parse().ok());
    for seed in only.map_or(0..SEEDS, |seed: u64| seed..seed + 1) {
        if let Err(panic) = holds(seed, None) {
            eprintln!("CANDOR_SIM_SEED={seed} repeats it");
            std::panic::resume_unwind(panic);
        }
    }
}

#[test]
fn each_step_left_out_is_noticed() {
    use Step::{CatchUp, CommitCheck, Put, RequestIds, SegmentId};
    for step in [Put, CommitCheck, SegmentId, RequestIds, CatchUp] {
        let noticed = (0..SEEDS).find(|seed| holds(*seed, Some(step)).is_err());
        eprintln!("without {step:?}: noticed by seed {noticed:?}");
        assert!(noticed.is_some(), "nobody notices that {step:?} is left out");
    }
}

/// A node that seals, puts and commits one batch at a time.
async fn append(member: &Member, batches: Vec<crate::batch::Batch>) -> Result<Vec<Appended>, AppendError> {
    let (reply, answer) = oneshot::channel();
    let sealed = member.node.seal(vec![Request { batches, reply }]);
    member.node.persist(&sealed.proposal.key, sealed.content.clone()).await?;
    member.node.commit(sealed).await;
    answer.await.expect("answers")
}

#[tokio::test]
async fn a_commit_whose_answer_was_lost_is_found_by_its_segment() {
    let world = World::new(1).await;
    let member = world.member().await;
    let (reply, answer) = oneshot::channel();
    let sealed = member.node.seal(vec![Request { batches: vec![batch(1, b"once", 3)], reply }]);
    member.node.persist(&sealed.proposal.key, sealed.content.clone()).await.expect("puts");
    // It was committed, and nobody heard of it.
    let first = member.sequencer.commit(&sealed.proposal).await.expect("commits");
    let again = member.sequencer.commit(&sealed.proposal).await.expect("is told");
    assert_eq!(first, again);
    member.node.commit(sealed).await;
    let appended = answer.await.expect("answers").expect("appends");
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
    let late = member.node.seal(vec![Request { batches: vec![batch(1, b"late", 1)], reply }]);
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
    let late = member.node.seal(vec![Request { batches: vec![batch(1, b"late", 1)], reply }]);
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

#[test]
fn a_segments_name_tells_when_it_was_made() {
    let key = key_at(START, &Seeded::new(3));
    assert_eq!(super::seal::made_at(&key), Some(START));
    for other in ["log/readme", "log/000000000000000a", "lake/x-y"] {
        assert_eq!(super::seal::made_at(other), None, "{other}");
    }
}
