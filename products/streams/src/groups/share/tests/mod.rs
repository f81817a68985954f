//! Share groups by themselves: members and partitions in the simple cases, and records against a model.

mod model;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::ResponseError;
use tokio::time::Instant;

use super::partition::Standing;
use super::*;

const BOUNDS: Bounds = Bounds {
    members: 3,
    bytes: 1000,
    partitions: 3,
    records: 10,
    deliveries: 2,
    session: Duration::from_secs(45),
};

fn id(number: u8) -> TopicId {
    [number; 16]
}

fn beat(member: &str, epoch: i32, names: Option<&[&str]>) -> ShareBeat {
    ShareBeat {
        member_id: Arc::from(member),
        epoch,
        rack: None,
        names: names.map(|names| names.iter().map(|name| Arc::from(*name)).collect()),
        client_id: Arc::from("client"),
        host: IpAddr::V4(Ipv4Addr::LOCALHOST),
    }
}

/// Topics `a` with two partitions and `b` with one, the latter from the second tick on.
fn find(tick: u64) -> impl Fn(&str) -> Option<Topic> + Sync {
    move |name: &str| match name {
        "a" => Some(Topic { id: id(1), name: Arc::from("a"), partitions: 2 }),
        "b" if tick > 1 => Some(Topic { id: id(2), name: Arc::from("b"), partitions: 1 }),
        _ => None,
    }
}

fn told(group: &mut Share, tick: u64, beat: &ShareBeat) -> Result<ShareBeaten, ResponseError> {
    let (find, all) = (find(tick), Vec::new);
    group.beat(beat, &World { tick, find: &find, all: &all }, Instant::now())
}

fn places(places: &[(u8, i32)]) -> Option<Partitions> {
    Some(places.iter().map(|(topic, partition)| (id(*topic), *partition)).collect())
}

#[tokio::test(start_paused = true)]
async fn members_share_what_there_is() {
    let mut group = Share::new(BOUNDS);
    let first = told(&mut group, 1, &beat("m1", JOINING, Some(&["a", "b"]))).unwrap();
    assert_eq!((first.epoch, first.assignment, first.changed), (1, places(&[(1, 0), (1, 1)]), true));
    // Nothing new is not said again.
    let again = told(&mut group, 1, &beat("m1", 1, None)).unwrap();
    assert_eq!((again.epoch, again.assignment), (1, None));
    let second = told(&mut group, 1, &beat("m2", JOINING, Some(&["a"]))).unwrap();
    assert_eq!((second.epoch, second.assignment), (2, places(&[(1, 1)])));
    // A third one gets a partition that another reads, too.
    let third = told(&mut group, 1, &beat("m3", JOINING, Some(&["a"]))).unwrap();
    assert_eq!((third.epoch, third.assignment), (3, places(&[(1, 0)])));
    assert_eq!(
        told(&mut group, 1, &beat("m4", JOINING, Some(&["a"]))),
        Err(ResponseError::GroupMaxSizeReached)
    );
    // The first hears of it, though the answer before was lost; but not with an epoch that it never had.
    let first = told(&mut group, 1, &beat("m1", 1, None)).unwrap();
    assert_eq!((first.epoch, first.assignment), (3, places(&[(1, 0)])));
    assert_eq!(told(&mut group, 1, &beat("m1", 1, None)).map(|told| told.epoch), Ok(3));
    assert_eq!(told(&mut group, 1, &beat("m1", 2, None)), Err(ResponseError::FencedMemberEpoch));
    assert_eq!(told(&mut group, 1, &beat("m9", 2, None)), Err(ResponseError::UnknownMemberId));
    // A topic that comes later is shared out, too.
    let first = told(&mut group, 2, &beat("m1", 3, None)).unwrap();
    assert_eq!((first.epoch, first.assignment.map(|all| all.contains(&(id(2), 0)))), (4, Some(true)));
    // Who leaves, and who is silent for too long, is gone.
    assert_eq!(told(&mut group, 2, &beat("m2", LEAVING, None)).map(|told| told.epoch), Ok(LEAVING));
    assert_eq!(told(&mut group, 2, &beat("m2", LEAVING, None)), Err(ResponseError::UnknownMemberId));
    group.tick(Instant::now() + Duration::from_secs(44));
    assert_eq!((group.members.len(), group.phase()), (2, "Stable"));
    group.tick(Instant::now() + Duration::from_secs(45));
    assert_eq!((group.members.len(), group.phase()), (0, "Empty"));
}

#[test]
fn everybody_has_a_partition_and_every_partition_somebody() {
    for (topics, members) in [(1, 1), (1, 7), (3, 2), (5, 5), (4, 40), (20, 3)] {
        let topics: BTreeMap<TopicId, u32> =
            (0..topics).map(|number| (id(number), u32::from(number % 4) + 1)).collect();
        let wishes: Vec<(Arc<str>, BTreeSet<TopicId>)> = (0..members)
            .map(|member| (Arc::from(format!("m{member}")), topics.keys().copied().collect()))
            .collect();
        let shares = assignor::assign(&topics, &wishes);
        let total: u32 = topics.values().sum();
        let read: BTreeSet<(TopicId, i32)> = shares.values().flatten().copied().collect();
        assert_eq!(read.len(), total as usize);
        let sizes: Vec<usize> = shares.values().map(Partitions::len).collect();
        let (least, most) = (sizes.iter().min().unwrap(), sizes.iter().max().unwrap());
        assert!(*least >= 1 && most - least <= 1, "{sizes:?}");
    }
}

fn wish(member: &Arc<str>, records: i64, exactly: bool) -> Wish<'_> {
    Wish { member, until: Instant::now() + Duration::from_secs(30), records, exactly, may_grow: true }
}

fn span(first: i64, last: i64) -> Span {
    Span { first, last, is_for_readers: true }
}

fn said(first: i64, last: i64, verdict: Verdict) -> Acknowledgement {
    Acknowledgement { first, last, verdicts: vec![verdict] }
}

const LIMITS: Limits = Limits { records: 10, deliveries: 2 };

#[tokio::test(start_paused = true)]
async fn a_batch_is_given_whole_unless_asked_otherwise_and_never_beyond_the_locks() {
    let (one, now) = (Arc::from("one"), Instant::now());
    let mut part = SharePartition::new(0, LIMITS);
    assert_eq!(
        part.acquire(&wish(&one, 1, false), 0, &[span(0, 2), span(3, 5)]),
        [Given { first: 0, last: 2, deliveries: 1 }]
    );
    assert_eq!(
        part.acquire(&wish(&one, 1, true), 3, &[span(3, 5)]),
        [Given { first: 3, last: 3, deliveries: 1 }]
    );
    assert_eq!(
        part.acquire(&wish(&one, 100, false), 4, &[span(3, 5), span(6, 30)]),
        [Given { first: 4, last: 9, deliveries: 1 }]
    );
    assert_eq!(
        (part.next(true), part.acquire(&wish(&one, 9, false), 10, &[span(6, 30)])),
        (None, Vec::new())
    );
    // Room comes with what is accepted at the front.
    assert_eq!(part.acknowledge("one", &[said(1, 1, Verdict::Accept)], now, now), Ok(false));
    assert_eq!((part.start(), part.next(true)), (0, None));
    assert_eq!(part.acknowledge("one", &[said(0, 0, Verdict::Accept)], now, now), Ok(true));
    assert_eq!((part.start(), part.next(true)), (2, Some(10)));
}

#[tokio::test(start_paused = true)]
async fn only_who_has_a_record_speaks_of_it_and_all_or_nothing_is_taken() {
    let (one, two, now) = (Arc::from("one"), Arc::from("two"), Instant::now());
    let mut part = SharePartition::new(0, LIMITS);
    part.acquire(&wish(&one, 3, false), 0, &[span(0, 2)]);
    part.acquire(&wish(&two, 3, false), 3, &[span(3, 5)]);
    let bad = Err(ResponseError::InvalidRecordState);
    assert_eq!(part.acknowledge("two", &[said(0, 0, Verdict::Accept)], now, now), bad);
    assert_eq!(
        part.acknowledge("one", &[said(0, 1, Verdict::Accept), said(2, 3, Verdict::Accept)], now, now),
        bad
    );
    assert_eq!(part.start(), 0, "nothing of it was taken");
    let each = Acknowledgement {
        first: 0,
        last: 2,
        verdicts: vec![Verdict::Accept, Verdict::Release, Verdict::Reject],
    };
    assert_eq!(part.acknowledge("one", &[each], now, now), Ok(true));
    assert_eq!(part.acknowledge("one", &[said(0, 0, Verdict::Accept)], now, now), bad);
    assert_eq!(
        part.acquire(&wish(&two, 9, false), 1, &[span(0, 2)]),
        [Given { first: 1, last: 1, deliveries: 2 }]
    );
    // Given as often as may be: a second release is its end.
    assert_eq!(part.acknowledge("two", &[said(1, 1, Verdict::Release)], now, now), Ok(false));
    assert_eq!((part.start(), part.next(true)), (3, Some(6)));
}

#[tokio::test(start_paused = true)]
async fn a_lock_ends_unless_it_is_renewed() {
    let (one, now) = (Arc::from("one"), Instant::now());
    let after = |seconds| now + Duration::from_secs(seconds);
    let mut part = SharePartition::new(0, LIMITS);
    part.acquire(&wish(&one, 2, false), 0, &[span(0, 1)]);
    assert_eq!(part.acknowledge("one", &[said(1, 1, Verdict::Renew)], after(50), after(20)), Ok(false));
    assert!(!part.expire(after(29)) && part.expire(after(30)));
    assert_eq!(part.next(true), Some(0));
    assert_eq!(
        part.acknowledge("one", &[said(0, 0, Verdict::Accept)], now, after(30)),
        Err(ResponseError::InvalidRecordState)
    );
    assert_eq!(part.acknowledge("one", &[said(1, 1, Verdict::Accept)], now, after(49)), Ok(false));
    assert_eq!(
        part.acquire(&wish(&one, 9, false), 0, &[span(0, 1)]),
        [Given { first: 0, last: 0, deliveries: 2 }]
    );
    // A session that ends gives back what may never have been seen.
    assert!(part.give_back("one"));
    assert_eq!(
        part.acquire(&wish(&one, 9, false), 0, &[span(0, 1)]),
        [Given { first: 0, last: 0, deliveries: 2 }]
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_no_record_is_passed_over() {
    let one = Arc::from("one");
    let mut part = SharePartition::new(0, LIMITS);
    let marker = Span { first: 4, last: 4, is_for_readers: false };
    // Offsets 2 and 3 were compacted away.
    assert_eq!(
        part.acquire(&wish(&one, 9, false), 0, &[span(0, 1), marker, span(5, 5)]),
        [Given { first: 0, last: 1, deliveries: 1 }, Given { first: 5, last: 5, deliveries: 1 }]
    );
    let now = Instant::now();
    part.acknowledge("one", &[said(0, 1, Verdict::Accept)], now, now).unwrap();
    assert_eq!(part.start(), 5);
    // What the log trims is over, whoever has it.
    part.trim(8);
    assert_eq!((part.start(), part.next(true)), (8, Some(8)));
}

#[tokio::test(start_paused = true)]
async fn a_stored_partition_gives_again_what_was_not_accepted() {
    let one = Arc::from("one");
    let now = Instant::now();
    let mut part = SharePartition::new(0, LIMITS);
    part.acquire(&wish(&one, 9, false), 0, &[span(0, 8)]);
    part.acknowledge("one", &[said(0, 0, Verdict::Accept), said(2, 3, Verdict::Accept)], now, now).unwrap();
    part.acknowledge("one", &[said(5, 5, Verdict::Reject), said(6, 6, Verdict::Release)], now, now).unwrap();
    let (start, runs) = part.image();
    assert_eq!(start, 1);
    let mut part = SharePartition::restore(start, runs, LIMITS);
    let given = part.acquire(&wish(&one, 9, false), 1, &[span(0, 8)]);
    let offsets: Vec<i64> = given.iter().flat_map(|given| given.first..=given.last).collect();
    assert_eq!(offsets, [1, 4, 6, 7, 8]);
    assert!(given.iter().all(|given| given.deliveries == 2));
    // Given twice, which is as often as may be: a restart does not give it a third time.
    let (start, runs) = part.image();
    assert!(runs.iter().any(|(_, standing, _)| *standing == Standing::Available));
    assert_eq!(SharePartition::restore(start, runs, LIMITS).next(true), Some(9));
}
