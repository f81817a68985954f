//! Members that come, go, fall silent, change their minds and lose answers, while storage fails and the process starts
//! again: what must hold all the time, over many seeds. `CANDOR_GROUPS_SEED=n` runs one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use candor_model::Random;
use candor_model::random::Seeded;
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{JoinGroupResponse, LeaveGroupRequest, SyncGroupRequest, SyncGroupResponse};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;

use super::bed::*;
use super::consumer::{Client, beat, client};
use crate::directory::TopicId;
use crate::groups::Groups;

const SEEDS: u64 = 40;
const PARTITIONS: usize = 7;
/// As [`join_request`] says it.
const SESSION: Duration = Duration::from_secs(10);
const REBALANCE: Duration = Duration::from_secs(60);

fn seeds() -> Vec<u64> {
    match std::env::var("CANDOR_GROUPS_SEED") {
        Ok(seed) => vec![seed.parse().expect("a seed is a number")],
        Err(_) => (0..SEEDS).collect(),
    }
}

/// What all members have seen.
#[derive(Default)]
struct Seen {
    /// Times that the process was started.
    starts: u64,
    /// By start and generation: who leads, and what it assigned.
    leaders: BTreeMap<(u64, i32), String>,
    assigned: BTreeMap<(u64, i32), BTreeMap<String, Bytes>>,
    /// The newest generation that was given out by this start, and the newest of which an assignment was.
    joined: i32,
    synced: i32,
    /// Assignments that were given out.
    given: usize,
}

struct World {
    seed: u64,
    random: Seeded,
    groups: watch::Sender<Groups>,
    seen: Mutex<Seen>,
    /// The end is near: members only come and stay.
    calm: std::sync::atomic::AtomicBool,
}

impl World {
    fn pick(&self, count: u64) -> u64 {
        self.random.next_u64() % count
    }

    fn churns(&self, one_in: u64) -> bool {
        !self.calm.load(Ordering::Relaxed) && self.pick(one_in) == 0
    }

    /// Sends a request; none where the process ends meanwhile, or the connection breaks.
    async fn ask<T>(&self, within: Duration, ask: impl AsyncFnOnce(Groups) -> T) -> Option<T> {
        let mut groups = self.groups.subscribe();
        let now = groups.borrow_and_update().clone();
        let began = Instant::now();
        let breaks = self.churns(40);
        let breaks_after = Duration::from_millis(self.pick(20_000));
        tokio::select! {
            biased;
            // An answer of the former process that nobody has read yet is lost with it.
            _ = groups.changed() => None,
            answer = ask(now) => Some(answer),
            () = tokio::time::sleep(breaks_after), if breaks => None,
            () = tokio::time::sleep(within) => {
                panic!("seed {}: stuck for {:?}", self.seed, began.elapsed());
            }
        }
    }
}

/// A member's life: joins, asks for its assignment, heartbeats and commits, leaves or falls silent, and again.
async fn live(world: Arc<World>, number: u64) {
    let mut member = String::new();
    // A follower waits for a rebalance, and for an id that nobody uses.
    let longest_join = REBALANCE + SESSION * 2;
    let longest_sync = REBALANCE + SESSION;
    loop {
        tokio::time::sleep(Duration::from_millis(world.pick(300))).await;
        let topics = if world.pick(4) == 0 { vec!["orders", "more"] } else { vec!["orders"] };
        let request = join_request("g", &member)
            .with_protocols(protocols(&[("range", &topics)]))
            .with_client_id_like(number);
        let synced_before = world.seen.lock().synced;
        let answer = world.ask(longest_join, async |groups| groups.join(&caller(), request, 5).await).await;
        let Some(joined) = answer else { continue };
        match joined.error_code {
            0 => member = joined.member_id.to_string(),
            79 => {
                member = joined.member_id.to_string();
                if world.churns(10) {
                    // It asks for an id and is never seen again.
                    member.clear();
                }
                continue;
            }
            25 => {
                member.clear();
                continue;
            }
            27 | 15 => continue,
            error => panic!("seed {}: a join gave {error}", world.seed),
        }
        note_joined(&world, &joined, synced_before);
        let start = world.seen.lock().starts;
        if world.churns(12) {
            tokio::time::sleep(Duration::from_millis(world.pick(30_000))).await;
        }
        let request = assigning(&joined, &world, start);
        let answer = world.ask(longest_sync, async |groups| groups.sync(&caller(), request, 3).await).await;
        let Some(synced) = answer else { continue };
        match synced.error_code {
            0 => note_synced(&world, &joined, &synced),
            22 | 25 => {
                member.clear();
                continue;
            }
            27 | 15 => continue,
            error => panic!("seed {}: a sync gave {error}", world.seed),
        }
        if !stay(&world, &member, joined.generation_id).await {
            member.clear();
        }
    }
}

/// Heartbeats and commits until there is a reason to join again; false where it has no place any more.
async fn stay(world: &World, member: &str, generation: i32) -> bool {
    loop {
        tokio::time::sleep(Duration::from_millis(1_000 + world.pick(2_000))).await;
        if world.churns(15) {
            tokio::time::sleep(Duration::from_millis(world.pick(25_000))).await;
        }
        if world.churns(20) {
            let request = LeaveGroupRequest::default().with_group_id(group("g")).with_member_id(text(member));
            let left =
                world.ask(SESSION, async |groups| groups.leave(&caller(), request, 1).await.error_code);
            left.await;
            tokio::time::sleep(Duration::from_millis(world.pick(5_000))).await;
            return false;
        }
        if world.churns(20) {
            // It wants other topics.
            return true;
        }
        let newest = world.seen.lock().synced;
        let offset = i64::from(generation);
        let answer = world.ask(SESSION, async |groups| {
            let committed = commit(&groups, "g", member, generation, offset).await;
            (committed, heartbeat(&groups, "g", member, generation).await)
        });
        let Some((committed, beaten)) = answer.await else { continue };
        assert!(
            committed != 0 || newest <= generation,
            "seed {}: generation {generation} commits after {newest} was assigned",
            world.seed
        );
        match beaten {
            0 => {}
            27 => return true,
            22 | 25 => return false,
            error => panic!("seed {}: a heartbeat gave {error}", world.seed),
        }
    }
}

trait Named {
    fn with_client_id_like(self, number: u64) -> Self;
}

impl Named for kafka_protocol::messages::JoinGroupRequest {
    /// Sessions differ a little, so that not all end at once.
    fn with_client_id_like(self, number: u64) -> Self {
        self.with_session_timeout_ms(10_000 - i32::try_from(number).unwrap() * 100)
    }
}

fn note_joined(world: &World, joined: &JoinGroupResponse, synced_before: i32) {
    let mut seen = world.seen.lock();
    let generation = joined.generation_id;
    let seed = world.seed;
    assert!(
        generation >= synced_before,
        "seed {seed}: generation {generation} after {synced_before} was assigned"
    );
    let start = seen.starts;
    let leader = seen.leaders.entry((start, generation)).or_insert_with(|| joined.leader.to_string());
    assert_eq!(*leader, *joined.leader, "seed {seed}: generation {generation} has two leaders");
    seen.joined = seen.joined.max(generation);
}

/// The leader shares out all partitions, each to one.
fn assigning(joined: &JoinGroupResponse, world: &World, start: u64) -> SyncGroupRequest {
    let mut shares: BTreeMap<String, Vec<u8>> =
        joined.members.iter().map(|member| (member.member_id.to_string(), Vec::new())).collect();
    let members: Vec<String> = shares.keys().cloned().collect();
    for partition in 0..PARTITIONS {
        if !members.is_empty() {
            shares.get_mut(&members[partition % members.len()]).unwrap().push(partition as u8);
        }
    }
    let shares: BTreeMap<String, Bytes> = shares
        .into_iter()
        // Nobody's assignment is empty: what is, was never assigned.
        .map(|(id, share)| (id, Bytes::from([b"share:", share.as_slice()].concat())))
        .collect();
    let request = SyncGroupRequest::default()
        .with_group_id(group("g"))
        .with_generation_id(joined.generation_id)
        .with_member_id(joined.member_id.clone())
        .with_assignments(
            shares
                .iter()
                .map(|(id, share)| {
                    SyncGroupRequestAssignment::default()
                        .with_member_id(text(id))
                        .with_assignment(share.clone())
                })
                .collect(),
        );
    if !shares.is_empty() {
        // Of the process that made the generation: it may have ended since.
        world.seen.lock().assigned.insert((start, joined.generation_id), shares);
    }
    request
}

fn note_synced(world: &World, joined: &JoinGroupResponse, synced: &SyncGroupResponse) {
    let mut seen = world.seen.lock();
    let generation = joined.generation_id;
    // It may have been assigned before the process was started again.
    let assigned = seen.assigned.range(..).rev().find(|((_, number), _)| *number == generation);
    let expected = assigned.and_then(|(_, shares)| shares.get(&joined.member_id.to_string()));
    assert_eq!(
        Some(&synced.assignment),
        expected,
        "seed {}: generation {generation} gives what its leader did not",
        world.seed
    );
    seen.synced = seen.synced.max(generation);
    seen.given += 1;
}

#[tokio::test(start_paused = true)]
async fn classic_groups_hold_what_they_promise_whatever_members_do() {
    let mut given = 0;
    for seed in seeds() {
        let mut bed = Bed::new().await;
        let (groups, _) = watch::channel(bed.groups.clone());
        let world = Arc::new(World {
            seed,
            random: Seeded::new(seed),
            groups,
            seen: Mutex::default(),
            calm: std::sync::atomic::AtomicBool::new(false),
        });
        let members = 2 + world.pick(6);
        let tasks: Vec<_> =
            (0..members).map(|number| tokio::spawn(live(Arc::clone(&world), number))).collect();
        for _ in 0..30 {
            tokio::time::sleep(Duration::from_millis(world.pick(20_000))).await;
            assert!(tasks.iter().all(|task| !task.is_finished()), "seed {seed}: a member has failed");
            match world.pick(8) {
                0 => {
                    bed.restart().await;
                    let mut seen = world.seen.lock();
                    seen.starts += 1;
                    seen.joined = seen.synced;
                    drop(seen);
                    world.groups.send_replace(bed.groups.clone());
                }
                1 => {
                    bed.memory.fails.store(true, Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_millis(world.pick(5_000))).await;
                    bed.memory.fails.store(false, Ordering::Relaxed);
                }
                _ => {}
            }
        }
        world.calm.store(true, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_secs(300)).await;
        assert!(tasks.iter().all(|task| !task.is_finished()), "seed {seed}: a member has failed");
        let seen = world.seen.lock();
        let (start, newest) = *seen.assigned.keys().next_back().unwrap();
        let shares = &seen.assigned[&(start, newest)];
        assert_eq!(newest, seen.synced, "seed {seed}: the newest generation is the one that all are in");
        assert_eq!(shares.len() as u64, members, "seed {seed}: all are in it");
        let shared: usize = shares.values().map(|share| share.len() - b"share:".len()).sum();
        assert_eq!(shared, PARTITIONS, "seed {seed}");
        given += seen.given;
        tasks.iter().for_each(tokio::task::JoinHandle::abort);
    }
    assert!(given > 10 * seeds().len(), "members got {given} assignments: too little happens");
}

/// A client of the consumer protocol, and when it was heard of.
struct Reader {
    client: Client,
    heard: Instant,
    /// Since when it does not let go of something.
    holding: Option<Instant>,
    /// What it may use, as it was told last.
    told: BTreeSet<(TopicId, i32)>,
    away: bool,
}

impl Reader {
    fn new(name: String, instance: Option<String>, now: Instant) -> Reader {
        let client = Client { instance, ..client(&name) };
        Reader { client, heard: now, holding: None, told: BTreeSet::new(), away: false }
    }

    /// The group may have put it out without its knowing.
    fn is_doubtful(&self, now: Instant) -> bool {
        self.away
            || now - self.heard >= Duration::from_secs(45)
            || self.holding.is_some_and(|since| now - since >= Duration::from_secs(60))
    }
}

/// No partition is with two who both may use it.
fn check_owners(seed: u64, readers: &[Reader], now: Instant) {
    let mut owners: BTreeMap<(TopicId, i32), &str> = BTreeMap::new();
    for reader in readers.iter().filter(|reader| !reader.is_doubtful(now)) {
        for partition in &reader.client.owned {
            if let Some(other) = owners.insert(*partition, &reader.client.name) {
                panic!("seed {seed}: {partition:?} is with {other} and with {}", reader.client.name);
            }
        }
    }
}

async fn reader_beats(bed: &Bed, seed: u64, reader: &mut Reader, lost: bool, lets_go: bool) {
    let had = reader.client.owned.clone();
    reader.client.stubborn = !lets_go;
    let response = beat(bed, reader.client.request("g"), 1).await;
    if response.error_code == 0 {
        reader.heard = Instant::now();
    }
    // The group counts from when it would have told it, whether that was heard or not.
    let holding = Some(reader.holding.unwrap_or_else(Instant::now));
    if lost {
        reader.holding = holding;
        return;
    }
    reader.holding = match response.error_code {
        0 => {
            reader.client.take(&response);
            if let Some(given) = super::consumer::given(&response) {
                reader.told = given;
            }
            // What it said that it owned is what it may own.
            if had.is_subset(&reader.told) { None } else { holding }
        }
        25 | 110 | 69 => {
            reader.client.epoch = 0;
            reader.client.owned.clear();
            None
        }
        15 | 111 => holding,
        error => panic!("seed {seed}: a heartbeat gave {error}"),
    };
}

#[tokio::test(start_paused = true)]
async fn consumer_groups_give_no_partition_to_two_whatever_members_do() {
    let mut moves = 0;
    for seed in seeds() {
        let random = Seeded::new(seed);
        let pick = |count: u64| random.next_u64() % count;
        let mut bed = Bed::new().await;
        let mut partitions = 4;
        let mut readers: Vec<Reader> = Vec::new();
        let mut made = 0;
        for _ in 0..400 {
            let now = Instant::now();
            let chosen = pick(readers.len().max(1) as u64) as usize;
            let room = readers.len() < 8;
            match (pick(40), readers.get_mut(chosen)) {
                (0..2, _) | (_, None) if room => {
                    made += 1;
                    let instance = (pick(3) == 0).then(|| format!("static-{made}"));
                    readers.push(Reader::new(format!("reader-{made}"), instance, now));
                }
                (2, Some(reader)) => {
                    // It leaves for good.
                    reader.client.epoch = -1;
                    beat(&bed, reader.client.request("g"), 1).await;
                    readers.remove(chosen);
                }
                (3, Some(reader)) if reader.client.instance.is_some() && reader.client.epoch > 0 => {
                    reader.client.epoch = -2;
                    reader.client.owned.clear();
                    let left = beat(&bed, reader.client.request("g"), 1).await.error_code;
                    made += 1;
                    // Back under another name, at its next heartbeat. Where it could not leave, its session has to end.
                    reader.client.name = format!("reader-{made}");
                    reader.client.epoch = 0;
                    assert!(
                        [0, 15, 25, 69, 82].contains(&left),
                        "seed {seed}: leaving for a while gave {left}"
                    );
                }
                (4, Some(reader)) => {
                    // It starts again and has forgotten all but its name.
                    reader.client.epoch = 0;
                    reader.client.owned.clear();
                }
                (5, _) => {
                    partitions += 1;
                    bed.topics.make("orders", partitions);
                }
                (6, _) => bed.restart().await,
                (7, _) => {
                    let failing = bed.memory.fails.load(Ordering::Relaxed);
                    bed.memory.fails.store(!failing && pick(2) == 0, Ordering::Relaxed);
                }
                (8, Some(reader)) => {
                    // It is away for long.
                    reader.away = !reader.away;
                }
                (9, _) => tokio::time::sleep(Duration::from_millis(pick(20_000))).await,
                (10, _) => {
                    if pick(2) == 0 {
                        bed.topics.remove("more");
                    } else {
                        bed.topics.make("more", 3);
                    }
                }
                (11, Some(reader)) => {
                    // It begins anew and wants something else, too.
                    reader.client.topics = vec!["orders".to_owned(), "more".to_owned()];
                    reader.client.epoch = 0;
                    reader.client.owned.clear();
                }
                (_, Some(reader)) => {
                    reader.away = false;
                    let (lost, lets_go) = (pick(12) == 0, pick(4) != 0);
                    let had = reader.client.owned.clone();
                    reader_beats(&bed, seed, reader, lost, lets_go).await;
                    moves += usize::from(had != reader.client.owned);
                    tokio::time::sleep(Duration::from_millis(pick(1_000))).await;
                }
                (_, None) => {}
            }
            check_owners(seed, &readers, Instant::now());
        }
        bed.memory.fails.store(false, Ordering::Relaxed);
        bed.topics.make("more", 3);
        // All do as they should: soon everything is with somebody, and stays.
        for _ in 0..30 {
            for reader in &mut readers {
                reader.away = false;
                reader_beats(&bed, seed, reader, false, true).await;
            }
            tokio::time::sleep(Duration::from_secs(5)).await;
            check_owners(seed, &readers, Instant::now());
        }
        let owned: BTreeSet<_> =
            readers.iter().flat_map(|reader| reader.client.owned.iter().copied()).collect();
        let wants_more = readers.iter().any(|reader| reader.client.topics.len() > 1);
        let expected = partitions as usize + if wants_more { 3 } else { 0 };
        if !readers.is_empty() {
            assert_eq!(owned.len(), expected, "seed {seed}: something is with nobody");
        }
        let sizes = readers.iter().map(|reader| reader.client.owned.len());
        let (least, most) = (sizes.clone().min().unwrap_or(0), sizes.max().unwrap_or(0));
        if !wants_more {
            assert!(most - least <= 1, "seed {seed}: one has {most}, one {least}");
        }
    }
    assert!(moves > 10 * seeds().len(), "partitions moved {moves} times: too little happens");
}
