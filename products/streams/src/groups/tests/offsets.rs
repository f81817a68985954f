//! Offsets: committed, fetched, forgotten, and those of transactions.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::offset_delete_request::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use kafka_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use kafka_protocol::messages::{
    DeleteGroupsRequest, OffsetDeleteRequest, OffsetFetchRequest, ProducerId, TopicName,
    TxnOffsetCommitRequest,
};

use super::bed::*;
use crate::caller::Caller;
use crate::groups::Settings;

const DAY_MICROS: i64 = 24 * 60 * 60 * 1_000_000;

fn txn_request(name: &str, producer: i64, epoch: i16, offset: i64) -> TxnOffsetCommitRequest {
    let partition =
        TxnOffsetCommitRequestPartition::default().with_partition_index(0).with_committed_offset(offset);
    let topic = TxnOffsetCommitRequestTopic::default()
        .with_name(TopicName(text("orders")))
        .with_partitions(vec![partition]);
    TxnOffsetCommitRequest::default()
        .with_group_id(group(name))
        .with_producer_id(ProducerId(producer))
        .with_producer_epoch(epoch)
        .with_generation_id(-1)
        .with_topics(vec![topic])
}

async fn txn_commit(bed: &Bed, name: &str, producer: i64, epoch: i16, offset: i64) -> i16 {
    let response =
        bed.groups.txn_offset_commit(&caller(), txn_request(name, producer, epoch, offset), 3).await;
    fits(&response, 3);
    response.topics[0].partitions[0].error_code
}

async fn delete(bed: &Bed, name: &str) -> i16 {
    let request = DeleteGroupsRequest::default().with_groups_names(vec![group(name)]);
    let response = bed.groups.delete_groups(&caller(), request, 2).await;
    fits(&response, 2);
    response.results[0].error_code
}

#[tokio::test(start_paused = true)]
async fn what_is_committed_comes_back_whole_in_every_version_and_after_a_restart() {
    let mut bed = Bed::new().await;
    let mut request = commit_request("g", "", -1, 17);
    request.topics[0].partitions[0].committed_leader_epoch = 3;
    for version in 2..=9 {
        let response = bed.groups.offset_commit(&caller(), request.clone(), version).await;
        fits(&response, version);
        assert_eq!(response.topics[0].partitions[0].error_code, 0);
    }
    for _ in 0..2 {
        for version in 1..=7 {
            let topic = kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestTopic::default()
                .with_name(TopicName(text("orders")))
                .with_partition_indexes(vec![0, 1]);
            let request =
                OffsetFetchRequest::default().with_group_id(group("g")).with_topics(Some(vec![topic]));
            let response = bed.groups.offset_fetch(&caller(), request, version).await;
            fits(&response, version);
            let found = &response.topics[0].partitions;
            assert_eq!((found[0].committed_offset, found[0].committed_leader_epoch), (17, 3));
            assert_eq!(found[0].metadata, Some(text("mark")));
            assert_eq!((found[1].committed_offset, found[1].committed_leader_epoch), (-1, -1));
        }
        for version in 8..=9 {
            let asked = |name: &str| {
                OffsetFetchRequestGroup::default()
                    .with_group_id(group(name))
                    .with_topics(None)
                    .with_member_epoch(-1)
            };
            let request =
                OffsetFetchRequest::default().with_groups(vec![asked("g"), asked("other"), asked("a\0b")]);
            let response = bed.groups.offset_fetch(&caller(), request, version).await;
            fits(&response, version);
            let found = &response.groups[0].topics[0];
            assert_eq!((found.name.0.as_str(), found.partitions[0].committed_offset), ("orders", 17));
            assert!(response.groups[1].topics.is_empty());
            assert_eq!((response.groups[1].error_code, response.groups[2].error_code), (0, 24));
        }
        bed.restart().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_without_members_takes_offsets_from_whoever_is_in_no_generation() {
    let bed = Bed::new().await;
    for member in ["", "self-assigned"] {
        assert_eq!(commit(&bed.groups, "alone", member, -1, 7).await, 0);
    }
    assert_eq!(commit(&bed.groups, "alone", "self-assigned", 0, 7).await, 25, "of a generation it is not");
}

#[tokio::test(start_paused = true)]
async fn each_partition_has_its_own_error() {
    let bed = Bed::new().await;
    let mut request = commit_request("g", "", -1, 1);
    let good = request.topics[0].partitions[0].clone();
    request.topics[0].partitions.push(good.clone().with_partition_index(99));
    request.topics[0].partitions.push(good.clone().with_partition_index(-1));
    request.topics[0]
        .partitions
        .push(good.clone().with_committed_metadata(Some(text(&"x".repeat(4097)))).with_partition_index(1));
    let mut unknown = request.topics[0].clone();
    unknown.name = TopicName(text("nothing"));
    request.topics.push(unknown);
    let response = bed.groups.offset_commit(&caller(), request, 8).await;
    let codes: Vec<Vec<i16>> = response
        .topics
        .iter()
        .map(|topic| topic.partitions.iter().map(|partition| partition.error_code).collect())
        .collect();
    assert_eq!(codes, [vec![0, 3, 3, 12], vec![3, 3, 3, 3]]);
    assert_eq!(fetch(&bed.groups, "g", false).await, Ok(1));
}

#[tokio::test(start_paused = true)]
async fn only_members_of_this_generation_commit_for_a_group_that_has_any() {
    let bed = Bed::new().await;
    assert_eq!(commit(&bed.groups, "g", "who", 3, 1).await, 22);
    let newest = bed.groups.offset_commit(&caller(), commit_request("g", "who", 3, 1), 9).await;
    assert_eq!(newest.topics[0].partitions[0].error_code, 69);
    let joined = join(&bed.groups, "g").await;
    assert_eq!(commit(&bed.groups, "g", &joined.member_id, 1, 1).await, 27, "nothing is assigned yet");
    sync(&bed.groups, "g", &joined).await;
    assert_eq!(commit(&bed.groups, "g", "", -1, 1).await, 25);
    assert_eq!(commit(&bed.groups, "g", "who", 1, 1).await, 25);
    assert_eq!(commit(&bed.groups, "g", &joined.member_id, 0, 1).await, 22);
    assert_eq!(commit(&bed.groups, "g", &joined.member_id, 1, 1).await, 0);
    assert_eq!(fetch(&bed.groups, "g", false).await, Ok(1));
}

#[tokio::test(start_paused = true)]
async fn a_member_that_commits_lives() {
    let bed = Bed::new().await;
    let joined = join(&bed.groups, "g").await;
    sync(&bed.groups, "g", &joined).await;
    for offset in 0..10 {
        tokio::time::sleep(Duration::from_secs(8)).await;
        assert_eq!(commit(&bed.groups, "g", &joined.member_id, 1, offset).await, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn many_commits_share_a_transaction() {
    let bed = Bed::new().await;
    bed.memory.stuck.store(true, Ordering::Relaxed);
    let tasks: Vec<_> = (0..200)
        .map(|number| {
            let groups = bed.groups.clone();
            tokio::spawn(async move { commit(&groups, &format!("g{number}"), "", -1, number).await })
        })
        .collect();
    settle().await;
    assert_eq!(fetch(&bed.groups, "g7", false).await, Ok(-1), "what is not stored is not seen");
    bed.memory.stuck.store(false, Ordering::Relaxed);
    for task in tasks {
        assert_eq!(done(task).await, 0);
    }
    assert!(bed.memory.transactions.load(Ordering::Relaxed) <= 3);
    assert_eq!(fetch(&bed.groups, "g7", false).await, Ok(7));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_stored_is_not_acknowledged_and_does_not_stay_in_memory() {
    let bed = Bed::new().await;
    assert_eq!(commit(&bed.groups, "g", "", -1, 1).await, 0);
    bed.memory.fails.store(true, Ordering::Relaxed);
    assert_eq!(commit(&bed.groups, "g", "", -1, 2).await, 15);
    assert_eq!(fetch(&bed.groups, "g", false).await, Err(15), "what is stored is not known");
    bed.memory.fails.store(false, Ordering::Relaxed);
    assert_eq!(fetch(&bed.groups, "g", false).await, Ok(1));
    assert_eq!(commit(&bed.groups, "g", "", -1, 2).await, 0);
    assert_eq!(fetch(&bed.groups, "g", false).await, Ok(2));
}

#[tokio::test(start_paused = true)]
async fn a_commit_whose_connection_is_gone_is_stored_all_the_same() {
    let bed = Bed::new().await;
    bed.memory.stuck.store(true, Ordering::Relaxed);
    let groups = bed.groups.clone();
    let task = tokio::spawn(async move { commit(&groups, "g", "", -1, 5).await });
    settle().await;
    task.abort();
    bed.memory.stuck.store(false, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(fetch(&bed.groups, "g", false).await, Ok(5));
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_is_made_again_begins_without_offsets() {
    let bed = Bed::new().await;
    assert_eq!(commit(&bed.groups, "g", "", -1, 5).await, 0);
    bed.topics.remove("orders");
    assert_eq!(fetch(&bed.groups, "g", false).await, Ok(-1));
    bed.topics.make("orders", 4);
    assert_eq!(fetch(&bed.groups, "g", false).await, Ok(-1));
    bed.groups.expire().await;
    settle().await;
    assert!(bed.memory.kept.lock().offsets.is_empty());
}

#[tokio::test(start_paused = true)]
async fn offsets_are_forgotten_when_the_group_has_been_empty_for_a_week_and_not_before() {
    let bed = Bed::new().await;
    let joined = join(&bed.groups, "g").await;
    sync(&bed.groups, "g", &joined).await;
    assert_eq!(commit(&bed.groups, "g", &joined.member_id, 1, 5).await, 0);
    bed.clock.advance(30 * DAY_MICROS);
    bed.groups.expire().await;
    assert_eq!(fetch(&bed.groups, "g", false).await, Ok(5), "it has a member");
    tokio::time::sleep(Duration::from_secs(11)).await;
    bed.clock.advance(7 * DAY_MICROS - 1);
    bed.groups.expire().await;
    assert_eq!(fetch(&bed.groups, "g", false).await, Ok(5));
    bed.clock.advance(2);
    bed.groups.expire().await;
    assert_eq!(fetch(&bed.groups, "g", false).await, Ok(-1));
    settle().await;
    assert!(bed.groups.find(PROJECT, "g").is_none(), "nothing is left of it");
    assert!(bed.memory.kept.lock().groups.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_group_without_members_goes_with_all_that_it_has() {
    let mut bed = Bed::new().await;
    assert_eq!(delete(&bed, "g").await, 69);
    let joined = join(&bed.groups, "g").await;
    sync(&bed.groups, "g", &joined).await;
    assert_eq!(commit(&bed.groups, "g", &joined.member_id, 1, 5).await, 0);
    assert_eq!(delete(&bed, "g").await, 68);
    tokio::time::sleep(Duration::from_secs(11)).await;
    bed.memory.fails.store(true, Ordering::Relaxed);
    assert_eq!(delete(&bed, "g").await, 15);
    bed.memory.fails.store(false, Ordering::Relaxed);
    assert_eq!(fetch(&bed.groups, "g", false).await, Ok(5), "what could not be deleted is there still");
    assert_eq!(delete(&bed, "g").await, 0);
    assert_eq!(fetch(&bed.groups, "g", false).await, Ok(-1));
    assert_eq!(commit(&bed.groups, "g", "", -1, 1).await, 0);
    bed.restart().await;
    assert_eq!(fetch(&bed.groups, "g", false).await, Ok(1));
}

#[tokio::test(start_paused = true)]
async fn offsets_of_topics_that_members_read_are_not_deleted() {
    let bed = Bed::new().await;
    bed.topics.make("other", 1);
    let request = |topic: &str| {
        let partition = OffsetDeleteRequestPartition::default().with_partition_index(0);
        let topic = OffsetDeleteRequestTopic::default()
            .with_name(TopicName(text(topic)))
            .with_partitions(vec![partition]);
        OffsetDeleteRequest::default().with_group_id(group("g")).with_topics(vec![topic])
    };
    let response = bed.groups.offset_delete(&caller(), request("orders"), 0).await;
    fits(&response, 0);
    assert_eq!(response.error_code, 69);
    let joined = join(&bed.groups, "g").await;
    sync(&bed.groups, "g", &joined).await;
    assert_eq!(commit(&bed.groups, "g", &joined.member_id, 1, 5).await, 0);
    let response = bed.groups.offset_delete(&caller(), request("orders"), 0).await;
    assert_eq!((response.error_code, response.topics[0].partitions[0].error_code), (0, 86));
    let response = bed.groups.offset_delete(&caller(), request("other"), 0).await;
    assert_eq!((response.error_code, response.topics[0].partitions[0].error_code), (0, 0));
    tokio::time::sleep(Duration::from_secs(11)).await;
    let response = bed.groups.offset_delete(&caller(), request("orders"), 0).await;
    assert_eq!((response.error_code, response.topics[0].partitions[0].error_code), (0, 0));
    assert_eq!(fetch(&bed.groups, "g", false).await, Ok(-1));
}

#[tokio::test(start_paused = true)]
async fn members_that_say_nothing_readable_end_no_request() {
    for metadata in [&b"\0\0\x7f\xff\xff\xff"[..], br#"{"url":"http://registry","version":1}"#] {
        let bed = Bed::new().await;
        let request = |member: &str| {
            let mut request = join_request("g", member).with_group_instance_id(Some(text("a")));
            request.protocols.iter_mut().for_each(|one| one.metadata = Bytes::from_static(metadata));
            request
        };
        let first = bed.groups.join(&caller(), request(""), 5).await;
        assert_eq!(sync(&bed.groups, "g", &first).await.error_code, 0);
        let back = bed.groups.join(&caller(), request(""), 5).await;
        assert_eq!((back.error_code, back.generation_id), (0, first.generation_id), "it wants the same");
        let topic = OffsetDeleteRequestTopic::default()
            .with_name(TopicName(text("orders")))
            .with_partitions(vec![OffsetDeleteRequestPartition::default()]);
        let request = OffsetDeleteRequest::default().with_group_id(group("g")).with_topics(vec![topic]);
        let response = bed.groups.offset_delete(&caller(), request, 0).await;
        assert_eq!(response.error_code, 68, "what it reads is not known");
    }
}

#[tokio::test(start_paused = true)]
async fn what_does_not_fit_into_memory_is_read_again() {
    let settings = Settings { max_offsets_cached: 8, max_offsets_waiting: 1, ..Settings::default() };
    let bed = Bed::with(settings).await;
    for round in 0..3 {
        for number in 0..50 {
            assert_eq!(commit(&bed.groups, &format!("g{number}"), "", -1, round * 100 + number).await, 0);
        }
        for number in 0..50 {
            assert_eq!(fetch(&bed.groups, &format!("g{number}"), false).await, Ok(round * 100 + number));
            assert!(bed.groups.inner.cached.load(Ordering::Relaxed) <= 8);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_transactions_offsets_count_when_it_has_ended() {
    for commits in [true, false] {
        let mut bed = Bed::new().await;
        assert_eq!(commit(&bed.groups, "g", "", -1, 1).await, 0);
        assert_eq!(txn_commit(&bed, "g", 70, 0, 9).await, 0);
        assert_eq!(fetch(&bed.groups, "g", false).await, Ok(1));
        assert_eq!(fetch(&bed.groups, "g", true).await, Err(88));
        bed.restart().await;
        assert_eq!(fetch(&bed.groups, "g", true).await, Err(88), "an open transaction outlives the process");
        bed.memory.fails.store(true, Ordering::Relaxed);
        assert!(bed.groups.end_txn(PROJECT, "g", 70, commits).await.is_err());
        bed.memory.fails.store(false, Ordering::Relaxed);
        for _ in 0..2 {
            bed.groups.end_txn(PROJECT, "g", 70, commits).await.unwrap();
        }
        let expected = if commits { 9 } else { 1 };
        assert_eq!(fetch(&bed.groups, "g", true).await, Ok(expected));
        bed.restart().await;
        assert_eq!(fetch(&bed.groups, "g", true).await, Ok(expected));
        assert!(bed.memory.kept.lock().pending.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn an_older_epoch_of_a_producer_commits_nothing() {
    let bed = Bed::new().await;
    assert_eq!(txn_commit(&bed, "g", 70, 5, 9).await, 0);
    assert_eq!(txn_commit(&bed, "g", 70, 4, 8).await, 47);
    assert_eq!(txn_commit(&bed, "g", 71, 0, 7).await, 0);
    bed.groups.end_txn(PROJECT, "g", 71, false).await.unwrap();
    bed.groups.end_txn(PROJECT, "none", 71, true).await.unwrap();
    assert_eq!(fetch(&bed.groups, "g", true).await, Err(88));
    bed.groups.end_txn(PROJECT, "g", 70, true).await.unwrap();
    assert_eq!(fetch(&bed.groups, "g", true).await, Ok(9));
}

#[tokio::test(start_paused = true)]
async fn a_transactions_offsets_are_fenced_by_the_generation_where_it_names_one() {
    let bed = Bed::new().await;
    let joined = join(&bed.groups, "g").await;
    sync(&bed.groups, "g", &joined).await;
    let mut request =
        txn_request("g", 70, 0, 9).with_member_id(joined.member_id.clone()).with_generation_id(1);
    let code = async |request: &TxnOffsetCommitRequest, version| {
        bed.groups.txn_offset_commit(&caller(), request.clone(), version).await.topics[0].partitions[0]
            .error_code
    };
    assert_eq!(code(&request, 5).await, 0);
    request.generation_id = 0;
    assert_eq!(code(&request, 5).await, 22);
    request.member_id = text("who");
    assert_eq!(code(&request, 3).await, 25);
    assert_eq!(code(&request, 2).await, 0, "versions before 3 name no member");
    for version in 0..=5 {
        fits(&bed.groups.txn_offset_commit(&caller(), request.clone(), version).await, version);
    }
}

#[tokio::test(start_paused = true)]
async fn where_a_bridge_stands_is_never_forgotten() {
    let bed = Bed::new().await;
    let group = format!("{}main.1", crate::bridge::GROUP_PREFIX);
    assert_eq!(commit(&bed.groups, &group, "", -1, 5).await, 0);
    bed.clock.advance(400 * DAY_MICROS);
    bed.groups.expire().await;
    assert_eq!(fetch(&bed.groups, &group, false).await, Ok(5));
}

#[tokio::test(start_paused = true)]
async fn what_is_read_while_its_transaction_ends_is_not_what_was_before_it() {
    let mut bed = Bed::new().await;
    assert_eq!(commit(&bed.groups, "g", "", -1, 1).await, 0);
    assert_eq!(txn_commit(&bed, "g", 70, 0, 9).await, 0);
    bed.restart().await;
    bed.memory.reading_ms.store(100, Ordering::Relaxed);
    let groups = bed.groups.clone();
    let task = tokio::spawn(async move { fetch(&groups, "g", true).await });
    settle().await;
    bed.groups.end_txn(PROJECT, "g", 70, true).await.unwrap();
    assert!(!task.is_finished());
    assert_eq!(done(task).await, Ok(9));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_between_the_ends_of_transactions_is_to_be_asked_for_again() {
    let mut bed = Bed::new().await;
    assert_eq!(commit(&bed.groups, "g", "", -1, 1).await, 0);
    bed.restart().await;
    bed.memory.reading_ms.store(100, Ordering::Relaxed);
    let groups = bed.groups.clone();
    let task = tokio::spawn(async move { fetch(&groups, "g", true).await });
    let mut last = 1;
    while !task.is_finished() && last < 1_000 {
        last += 1;
        assert_eq!(txn_commit(&bed, "g", 70, 0, last).await, 0);
        bed.groups.end_txn(PROJECT, "g", 70, true).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(done(task).await, Err(14), "the next answer may be asked for then");
    assert_eq!(fetch(&bed.groups, "g", true).await, Ok(last));
}

#[tokio::test(start_paused = true)]
async fn a_group_without_offsets_goes_once_nobody_is_in_it() {
    let bed = Bed::new().await;
    let joined = join(&bed.groups, "g").await;
    sync(&bed.groups, "g", &joined).await;
    bed.groups.expire().await;
    assert_eq!(heartbeat(&bed.groups, "g", &joined.member_id, 1).await, 0, "it has a member");
    assert_eq!(commit(&bed.groups, "kept", "", -1, 5).await, 0);
    tokio::time::sleep(Duration::from_secs(11)).await;
    bed.groups.expire().await;
    settle().await;
    assert!(bed.groups.find(PROJECT, "g").is_none(), "nothing is left of it");
    assert!(bed.memory.kept.lock().groups.is_empty());
    assert_eq!(fetch(&bed.groups, "kept", false).await, Ok(5));
}

#[tokio::test(start_paused = true)]
async fn groups_that_nothing_is_left_of_make_room_for_others() {
    let bed = Bed::with(Settings { max_groups: 3, ..Settings::default() }).await;
    assert_eq!(commit(&bed.groups, "kept", "", -1, 5).await, 0);
    let full = async |name: &str| bed.groups.join(&caller(), join_request(name, ""), 3).await.error_code;
    for name in ["a", "b"] {
        let joined = join(&bed.groups, name).await;
        sync(&bed.groups, name, &joined).await;
        tokio::time::sleep(Duration::from_secs(3)).await;
    }
    assert_eq!(full("c").await, 81, "all are in use");
    tokio::time::sleep(Duration::from_secs(20)).await;
    for name in ["c", "d"] {
        let joined = join(&bed.groups, name).await;
        assert_eq!(joined.error_code, 0);
        let left = ["a", "b", "c", "d"].map(|name| bed.groups.find(PROJECT, name).is_some());
        assert_eq!(left, [false, name == "c", true, name == "d"], "the one that was used longest ago goes");
    }
    assert_eq!(full("e").await, 81);
    assert_eq!(fetch(&bed.groups, "kept", false).await, Ok(5));
}

#[tokio::test(start_paused = true)]
async fn what_clients_call_themselves_and_their_groups_is_no_card() {
    let bed = Bed::new().await;
    let card = "g-4111111111111111";
    assert_eq!(commit(&bed.groups, card, "", -1, 17).await, 24);
    assert_eq!(bed.groups.join(&caller(), join_request(card, ""), 5).await.error_code, 24);
    assert_eq!(txn_commit(&bed, card, 7, 0, 17).await, 24);
    let instance = join_request("g", "").with_group_instance_id(Some(text(card)));
    assert_eq!(bed.groups.join(&caller(), instance, 5).await.error_code, 42);
    // What a client calls itself is for people: it is left out.
    let named = Caller { client_id: Some(card.into()), ..caller() };
    let asked = bed.groups.join(&named, join_request("g", ""), 5).await;
    assert_eq!(asked.error_code, 79);
    assert!(!asked.member_id.contains("4111"), "{}", asked.member_id);
    let named = Caller { client_id: Some("till".into()), ..caller() };
    let asked = bed.groups.join(&named, join_request("g", ""), 5).await;
    assert!(asked.member_id.starts_with("till"), "{}", asked.member_id);
}
