//! Sessions: what is told again, what is not, and whose they are.

use std::time::Duration;

use candor_log::Ends;
use candor_model::Offset;
use candor_records::{BatchBuilder, Codec, Headers};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{DeleteRecordsRequest, DeleteTopicsRequest, ProduceRequest};
use tokio::time::Instant;

use crate::admin::acl::{Filter, Operation, Pattern, PatternFilter, Permission, ResourceType, Rule};
use crate::caller::Caller;
use crate::data::fetch::message::{AskedPartition, FetchAnswer, FetchRequest, TopicKey};
use crate::data::fetch::still_there;
use crate::testing::{House, text};
use crate::topics::NewTopic;

const ORDERS: &str = "orders";

const NOT_FOUND: ResponseError = ResponseError::FetchSessionIdNotFound;
const BAD_EPOCH: ResponseError = ResponseError::InvalidFetchSessionEpoch;

/// A house with one topic of four partitions.
async fn house() -> House {
    let house = House::new().await;
    make(&house, ORDERS).await;
    house
}

async fn make(house: &House, name: &str) {
    let new = NewTopic { name: name.to_owned(), partitions: Some(4), configs: Vec::new() };
    house.streams.topics().create(house.project(), new).await.unwrap();
}

async fn produce(house: &House, index: i32) {
    let mut batch = BatchBuilder::new(Codec::None);
    batch.push(1_790_000_000_000, None, Some(b"packed"), Headers::default());
    let data = PartitionProduceData::default().with_index(index).with_records(Some(batch.finish().unwrap()));
    let topic = TopicProduceData::default().with_name(text(ORDERS).into()).with_partition_data(vec![data]);
    let request = ProduceRequest::default().with_acks(-1).with_topic_data(vec![topic]);
    let rights = house.rights(&house.owner);
    let answer = house.streams.parts.produce.take(&house.scope, &rights, request, 12).answer.await.unwrap();
    assert_eq!(answer.responses[0].partition_responses[0].error_code, 0);
}

fn place(index: i32, from: i64) -> AskedPartition {
    AskedPartition { topic: 0, index, epoch: -1, from, bytes_max: 1 << 20 }
}

fn request((id, epoch): (i32, i32), places: &[AskedPartition]) -> FetchRequest {
    FetchRequest {
        wait_ms: 0,
        bytes_min: 0,
        bytes_max: 1 << 20,
        committed_only: false,
        session_id: id,
        session_epoch: epoch,
        by_id: false,
        topics: if places.is_empty() { Vec::new() } else { vec![TopicKey::Name(text(ORDERS))] },
        partitions: places.to_vec(),
        forgotten: Vec::new(),
    }
}

async fn ask(house: &House, caller: &Caller, request: FetchRequest) -> FetchAnswer {
    house.streams.parts.fetch.answer(&house.rights(caller), request).await
}

/// Partitions that are told, whether with records, and what is wrong with them.
fn told(answer: &FetchAnswer) -> Vec<(i32, bool, i16)> {
    assert_eq!(answer.error, 0);
    answer.partitions.iter().map(|told| (told.index, told.records.bytes() > 0, told.error)).collect()
}

async fn open(house: &House, caller: &Caller) -> i32 {
    let places = [0, 1, 2].map(|index| place(index, 0));
    let answer = ask(house, caller, request((0, 0), &places)).await;
    assert_eq!(told(&answer), [(0, false, 0), (1, false, 0), (2, false, 0)]);
    assert!(answer.session_id > 0);
    answer.session_id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_changed_is_told_and_asked() {
    let house = house().await;
    let owner = &house.owner;
    let id = open(&house, owner).await;
    assert_eq!(told(&ask(&house, owner, request((id, 1), &[])).await), []);
    produce(&house, 1).await;
    assert_eq!(told(&ask(&house, owner, request((id, 2), &[])).await), [(1, true, 0)]);
    // It reads on; nothing of what it was told has changed.
    assert_eq!(told(&ask(&house, owner, request((id, 3), &[place(1, 1)])).await), []);
    // What had records has its turn behind the others.
    produce(&house, 0).await;
    produce(&house, 1).await;
    assert_eq!(told(&ask(&house, owner, request((id, 4), &[])).await), [(0, true, 0), (1, true, 0)]);
    let mut change = request((id, 5), &[place(3, 0)]);
    change.forgotten = vec![(TopicKey::Name(text(ORDERS)), 0), (TopicKey::Name(text("never said")), 7)];
    assert_eq!(told(&ask(&house, owner, change).await), [(1, true, 0), (3, false, 0)]);
    // One that does not exist is told each time, and that it is gone is not forgotten.
    let answer = ask(&house, owner, request((id, 6), &[place(1, 2), place(9, 0)])).await;
    let unknown = ResponseError::UnknownTopicOrPartition.code();
    assert_eq!(told(&answer), [(9, false, unknown)]);
    assert_eq!(told(&ask(&house, owner, request((id, 7), &[])).await), [(9, false, unknown)]);
    let mut rest = request((id, 8), &[]);
    rest.forgotten = [1, 2, 3, 9].map(|index| (TopicKey::Name(text(ORDERS)), index)).to_vec();
    let answer = ask(&house, owner, rest).await;
    assert_eq!((answer.error, answer.session_id, answer.partitions.len()), (0, 0, 0));
    assert_eq!(ask(&house, owner, request((id, 9), &[])).await.error, NOT_FOUND.code(), "nothing was left");
}

/// Lets a fetch come to where it waits; false where it does not wait.
async fn begins(fetch: std::pin::Pin<&mut impl Future<Output = FetchAnswer>>) -> bool {
    tokio::time::timeout(Duration::ZERO, fetch).await.is_err()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ends_that_move_are_told_without_records() {
    let house = house().await;
    // The second has no room where the first has records.
    let places = [place(1, 0), AskedPartition { bytes_max: 0, ..place(0, 0) }];
    let id = ask(&house, &house.owner, request((0, 0), &places)).await.session_id;
    produce(&house, 0).await;
    produce(&house, 1).await;
    let answer = ask(&house, &house.owner, request((id, 1), &[])).await;
    assert_eq!(told(&answer), [(1, true, 0), (0, false, 0)]);
    assert_eq!((answer.partitions[1].high_watermark, answer.partitions[1].log_start), (1, 0));
    // All is read to its end; then what was read is deleted.
    assert_eq!(told(&ask(&house, &house.owner, request((id, 2), &[place(0, 1), place(1, 1)])).await), []);
    let part = DeleteRecordsPartition::default().with_partition_index(1).with_offset(-1);
    let topic = DeleteRecordsTopic::default().with_name(text(ORDERS).into()).with_partitions(vec![part]);
    let deletion = DeleteRecordsRequest::default().with_topics(vec![topic]);
    let deleted = house.streams.parts.offsets.delete(&house.rights(&house.owner), deletion).await;
    assert_eq!(deleted.topics[0].partitions[0].error_code, 0);
    let answer = ask(&house, &house.owner, request((id, 3), &[])).await;
    assert_eq!(told(&answer), [(1, false, 0)]);
    assert_eq!((answer.partitions[0].high_watermark, answer.partitions[0].log_start), (1, 1));
    assert_eq!(told(&ask(&house, &house.owner, request((id, 4), &[])).await), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn topics_without_partitions_are_not_kept() {
    let house = house().await;
    let id = ask(&house, &house.owner, request((0, 0), &[place(0, 0)])).await.session_id;
    for epoch in 1..4 {
        let mut names_more = request((id, epoch), &[]);
        names_more.topics = (0..1_000).map(|nth| TopicKey::Name(text(&format!("{epoch}-{nth}")))).collect();
        let answer = ask(&house, &house.owner, names_more).await;
        assert_eq!((told(&answer).len(), answer.topics.len()), (0, 1));
    }
}

/// A read that an answer has no room for is the last: what is behind it is told without records.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_read_behind_what_did_not_fit() {
    let house = house().await;
    for index in [0, 1, 1, 2] {
        produce(&house, index).await;
    }
    let places = [0, 1, 2].map(|index| place(index, 0));
    let whole = ask(&house, &house.owner, request((0, -1), &places)).await;
    let bytes: Vec<usize> = whole.partitions.iter().map(|told| told.records.bytes()).collect();
    assert_eq!(bytes, [bytes[0], 2 * bytes[0], bytes[0]]);
    let asked = |bytes_max: usize, first: i32| {
        let mut request = request((0, -1), &places);
        (request.bytes_max, request.partitions[0].bytes_max) = (bytes_max as i32, first);
        request
    };
    let one = bytes[0];
    let answer = ask(&house, &house.owner, asked(one + one / 2, 1 << 20)).await;
    assert_eq!(told(&answer), [(0, true, 0), (1, false, 0), (2, false, 0)]);
    // What is too much for a partition is not too much for the rest.
    let mut of_one = asked(1 << 20, 1 << 20);
    of_one.partitions[1].bytes_max = one as i32 / 2;
    let answer = ask(&house, &house.owner, of_one).await;
    assert_eq!(told(&answer), [(0, true, 0), (1, false, 0), (2, true, 0)]);
}

#[test]
fn what_was_deleted_while_it_was_read_is_not_told() {
    let ends = |start: u64, is_deleted: bool| Ends {
        start: Offset(start),
        high_watermark: Offset(9),
        last_stable: Offset(9),
        is_deleted,
    };
    let check = |ends: Ends| still_there(Offset(4), Some(&ends));
    assert_eq!(check(ends(4, false)), Ok(()));
    assert_eq!(check(ends(5, false)), Err(ResponseError::OffsetOutOfRange));
    assert_eq!(check(ends(4, true)), Err(ResponseError::UnknownTopicOrPartition));
    assert_eq!(still_there(Offset(4), None), Err(ResponseError::OffsetOutOfRange));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_is_not_the_next_is_refused() {
    let house = house().await;
    let id = open(&house, &house.owner).await;
    for epoch in [2, 3, i32::MAX] {
        assert_eq!(ask(&house, &house.owner, request((id, epoch), &[])).await.error, BAD_EPOCH.code());
    }
    assert_eq!(told(&ask(&house, &house.owner, request((id, 1), &[])).await), []);
    assert_eq!(ask(&house, &house.owner, request((id, 1), &[])).await.error, BAD_EPOCH.code(), "it was seen");
    let mut by_id = request((id, 2), &[]);
    by_id.by_id = true;
    let mixed = ResponseError::FetchSessionTopicIdError.code();
    assert_eq!(ask(&house, &house.owner, by_id).await.error, mixed);
    // While one waits, another cannot be the next.
    let mut waits = request((id, 2), &[]);
    (waits.wait_ms, waits.bytes_min) = (10_000, 1);
    let mut waiting = std::pin::pin!(ask(&house, &house.owner, waits));
    assert!(begins(waiting.as_mut()).await);
    assert_eq!(ask(&house, &house.owner, request((id, 3), &[])).await.error, BAD_EPOCH.code());
    produce(&house, 2).await;
    assert_eq!(told(&waiting.await), [(2, true, 0)]);
    // Epoch -1 ends a session and asks for all; 0 does, too, and begins another.
    let answer = ask(&house, &house.owner, request((id, -1), &[place(0, 0)])).await;
    assert_eq!((told(&answer), answer.session_id), (vec![(0, false, 0)], 0));
    assert_eq!(ask(&house, &house.owner, request((id, 3), &[])).await.error, NOT_FOUND.code());
    let id = ask(&house, &house.owner, request((0, 0), &[place(1, 0)])).await.session_id;
    let answer = ask(&house, &house.owner, request((id, 0), &[place(0, 0)])).await;
    assert!(answer.session_id != id && answer.session_id > 0);
    assert_eq!(ask(&house, &house.owner, request((id, 1), &[])).await.error, NOT_FOUND.code());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_else_can_use_or_end_it() {
    let house = house().await;
    let id = open(&house, &house.owner).await;
    let (other, _) = house.tenancy.create_project("other").await.unwrap();
    let stranger = Caller { project: other.id, ..house.owner.clone() };
    for caller in [&stranger, &house.guest] {
        for epoch in [1, 0, -1] {
            let answer = ask(&house, caller, request((id, epoch), &[])).await;
            let refused = if epoch == 1 { NOT_FOUND.code() } else { 0 };
            assert_eq!((answer.error, answer.partitions.len()), (refused, 0), "{epoch}");
        }
    }
    assert_eq!(told(&ask(&house, &house.owner, request((id, 1), &[])).await), []);
    house.streams.parts.fetch.forget(house.project());
    assert_eq!(ask(&house, &house.owner, request((id, 2), &[])).await.error, NOT_FOUND.code());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_and_topics_that_change_are_noticed() {
    let house = house().await;
    let acls = house.streams.parts.admin.acls();
    let rule = Rule {
        resource: ResourceType::Topic,
        pattern: Pattern::Literal,
        name: ORDERS.to_owned(),
        principal: format!("User:{}", house.guest.user),
        host: "*".to_owned(),
        operation: Operation::Read,
        permission: Permission::Allow,
    };
    acls.add(house.project(), std::slice::from_ref(&rule)).await.unwrap();
    produce(&house, 0).await;
    let id = {
        let answer = ask(&house, &house.guest, request((0, 0), &[place(0, 0), place(5, 0)])).await;
        let unknown = ResponseError::UnknownTopicOrPartition.code();
        assert_eq!(told(&answer), [(0, true, 0), (5, false, unknown)]);
        answer.session_id
    };
    // It grows.
    house.streams.topics().grow(house.project(), ORDERS, 6, false).await.unwrap();
    assert_eq!(told(&ask(&house, &house.guest, request((id, 1), &[])).await), [(5, false, 0), (0, true, 0)]);
    let filter = Filter {
        resource: None,
        pattern: PatternFilter::Any,
        name: None,
        principal: None,
        host: None,
        operation: None,
        permission: None,
    };
    acls.remove(house.project(), &[filter]).await.unwrap();
    let refused = ResponseError::TopicAuthorizationFailed.code();
    let answer = ask(&house, &house.guest, request((id, 2), &[])).await;
    assert_eq!(told(&answer), [(5, false, refused), (0, false, refused)]);
    acls.add(house.project(), &[rule]).await.unwrap();
    assert_eq!(told(&ask(&house, &house.guest, request((id, 3), &[])).await), [(5, false, 0), (0, true, 0)]);
    // While it waits the topic goes.
    let mut waits = request((id, 4), &[place(0, 1)]);
    (waits.wait_ms, waits.bytes_min) = (10_000, 1);
    let began = std::time::Instant::now();
    let mut waiting = std::pin::pin!(ask(&house, &house.guest, waits));
    assert!(begins(waiting.as_mut()).await);
    let topic = DeleteTopicState::default().with_name(Some(text(ORDERS).into()));
    let deletion = DeleteTopicsRequest::default().with_topics(vec![topic]);
    let answer = house.streams.parts.admin.delete_topics(&house.owner, deletion, 6).await;
    assert_eq!(answer.responses[0].error_code, 0);
    let unknown = ResponseError::UnknownTopicOrPartition.code();
    assert_eq!(told(&waiting.await), [(5, false, unknown), (0, false, unknown)]);
    assert!(began.elapsed() < Duration::from_secs(8), "it was woken");
    // Made anew it is another topic; the session reads that one by its name.
    make(&house, ORDERS).await;
    produce(&house, 0).await;
    let answer = ask(&house, &house.guest, request((id, 5), &[place(0, 0)])).await;
    assert_eq!(told(&answer), [(5, false, unknown), (0, true, 0)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn there_are_so_many_and_no_more() {
    let house = house().await;
    let first = open(&house, &house.owner).await;
    let two = [place(0, 0), place(1, 0)];
    for _ in 1..super::super::session::SESSIONS_MAX {
        assert!(ask(&house, &house.owner, request((0, 0), &two)).await.session_id > 0);
    }
    let sessions = &house.streams.parts.fetch.sessions;
    assert_eq!(sessions.count(house.project()), super::super::session::SESSIONS_MAX);
    let answer = ask(&house, &house.owner, request((0, 0), &two)).await;
    assert_eq!((told(&answer).len(), answer.session_id), (2, 0), "it is answered without one");
    assert_eq!(told(&ask(&house, &house.owner, request((first, 1), &[])).await), [], "none was ended");
    // A name that no topic can have is not remembered.
    let mut long = request((0, 0), &two);
    long.topics = vec![TopicKey::Name(text(&"n".repeat(250)))];
    assert_eq!(ask(&house, &house.owner, long).await.session_id, 0);
}

#[tokio::test(start_paused = true)]
async fn the_idle_make_room() {
    use super::super::asked::Asked;
    use super::super::session::{SESSIONS_MAX, Sessions};
    use candor_model::ProjectId;
    use candor_model::random::Seeded;

    let sessions = Sessions::new(std::sync::Arc::new(Seeded::new(1)));
    let places = |count: i32| {
        let places: Vec<_> = (0..count).map(|index| place(index, 0)).collect();
        Asked::of(&request((0, 0), &places))
    };
    let open = |project: i64, count: i32| sessions.open(ProjectId(project), "shop", false, places(count));
    let small = open(1, 1);
    let rest: Vec<i32> = (1..SESSIONS_MAX).map(|_| open(1, 3)).collect();
    assert_eq!(open(1, 9), 0, "all are young");
    assert_ne!(open(2, 9), 0, "another project has its own room");
    tokio::time::advance(Duration::from_secs(119)).await;
    let goes = |id: i32, epoch: i32| sessions.turn(ProjectId(1), "shop", &request((id, epoch), &[])).is_ok();
    assert!(goes(small, 1) && rest.iter().skip(1).all(|id| goes(*id, 1)));
    tokio::time::advance(Duration::from_secs(2)).await;
    assert_ne!(open(1, 1), 0);
    assert!(!goes(rest[0], 1), "the one that nothing was heard of");
    assert_eq!(open(1, 1), 0, "no smaller one is there");
    assert_ne!(open(1, 2), 0);
    assert!(!goes(small, 2), "a small one makes room for a larger one");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_hold_room_until_they_are_sent_and_without_room_none_are_read() {
    let house = house().await;
    produce(&house, 0).await;
    let answers = house.streams.parts.fetch.answers.clone();
    let all = answers.free_bytes();
    let sent = ask(&house, &house.owner, request((0, -1), &[place(0, 0)])).await.write(0, 12);
    assert!(sent.bytes() > 0 && answers.free_bytes() == all - 1024, "{} free", answers.free_bytes());
    drop(sent);
    assert_eq!(answers.free_bytes(), all);
    // Who waits for nothing is told all but records while there is no room, and who waits gets them once there is.
    let taken = answers.take(all, Instant::now()).await.unwrap();
    let without = ask(&house, &house.owner, request((0, -1), &[place(0, 0)])).await;
    assert_eq!((told(&without), without.partitions[0].high_watermark), (vec![(0, false, 0)], 1));
    let waiting = FetchRequest { wait_ms: 60_000, bytes_min: 1, ..request((0, -1), &[place(0, 0)]) };
    let (with, ()) = tokio::join!(ask(&house, &house.owner, waiting), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        drop(taken);
    });
    assert_eq!(told(&with), [(0, true, 0)]);
}
