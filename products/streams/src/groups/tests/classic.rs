//! The classic protocol, transition by transition.

use std::sync::atomic::Ordering;
use std::time::Duration;

use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::{JoinGroupRequest, LeaveGroupRequest};

use super::bed::*;
use crate::groups::Settings;

async fn leave(bed: &Bed, name: &str, member: &str) -> i16 {
    let request = LeaveGroupRequest::default().with_group_id(group(name)).with_member_id(text(member));
    let response = bed.groups.leave(&caller(), request, 1).await;
    fits(&response, 1);
    response.error_code
}

#[tokio::test(start_paused = true)]
async fn a_first_consumer_joins_at_once_and_reads() {
    let bed = Bed::new().await;
    let joined = join(&bed.groups, "g").await;
    assert_eq!((joined.error_code, joined.generation_id), (0, 1));
    assert_eq!(joined.leader, joined.member_id);
    assert_eq!(joined.members.len(), 1);
    let synced = sync(&bed.groups, "g", &joined).await;
    assert_eq!(synced.assignment, format!("for {}", joined.member_id.as_str()));
    assert_eq!(heartbeat(&bed.groups, "g", &joined.member_id, 1).await, 0);
    assert_eq!(commit(&bed.groups, "g", &joined.member_id, 1, 41).await, 0);
    assert_eq!(fetch(&bed.groups, "g", true).await, Ok(41));
    tokio::time::sleep(Duration::from_secs(11)).await;
    assert_eq!(heartbeat(&bed.groups, "g", &joined.member_id, 1).await, 25);
}

#[tokio::test(start_paused = true)]
async fn members_keep_their_places_while_they_heartbeat_and_lose_them_when_they_do_not() {
    let bed = Bed::new().await;
    let (first, second) = pair(&bed.groups, "g").await;
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(heartbeat(&bed.groups, "g", &first.member_id, 2).await, 0);
        assert_eq!(heartbeat(&bed.groups, "g", &second.member_id, 2).await, 0);
    }
    tokio::time::sleep(Duration::from_secs(9)).await;
    assert_eq!(heartbeat(&bed.groups, "g", &first.member_id, 2).await, 0);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(
        heartbeat(&bed.groups, "g", &first.member_id, 2).await,
        27,
        "the second one's session has ended"
    );
    assert_eq!(heartbeat(&bed.groups, "g", &second.member_id, 2).await, 25);
    let joined = bed.groups.join(&caller(), join_request("g", &first.member_id), 5).await;
    assert_eq!((joined.generation_id, joined.members.len()), (3, 1));
}

#[tokio::test(start_paused = true)]
async fn many_who_come_at_once_meet_in_one_generation() {
    let bed = Bed::new().await;
    let tasks: Vec<_> = (0..20)
        .map(|_| {
            let groups = bed.groups.clone();
            tokio::spawn(async move { join(&groups, "g").await })
        })
        .collect();
    let mut joined = Vec::new();
    for task in tasks {
        joined.push(done(task).await);
    }
    let last = joined.iter().map(|joined| joined.generation_id).max().unwrap();
    let newest: Vec<_> = joined.iter().filter(|joined| joined.generation_id == last).collect();
    assert_eq!(newest.iter().filter(|joined| joined.leader == joined.member_id).count(), 1);
    let leader = newest.iter().find(|joined| joined.leader == joined.member_id).unwrap();
    assert_eq!(leader.members.len(), newest.len());
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_dies_before_it_assigns_holds_up_nobody_longer_than_its_session() {
    let bed = Bed::new().await;
    let first = join(&bed.groups, "g").await;
    let asked = bed.groups.join(&caller(), join_request("g", ""), 5).await;
    let second = begin_join(&bed.groups, join_request("g", &asked.member_id), 5);
    settle().await;
    let again = bed.groups.join(&caller(), join_request("g", &first.member_id), 5).await;
    let second = done(second).await;
    assert_eq!(again.leader, again.member_id);
    let began = tokio::time::Instant::now();
    let synced = done(begin_sync(&bed.groups, "g", &second)).await;
    assert_eq!(synced.error_code, 27);
    assert!(synced.assignment.is_empty());
    assert!(began.elapsed() <= Duration::from_secs(10) + Duration::from_millis(100));
    let joined = bed.groups.join(&caller(), join_request("g", &second.member_id), 5).await;
    assert_eq!(joined.leader, second.member_id);
    assert_eq!(sync(&bed.groups, "g", &joined).await.error_code, 0);
}

#[tokio::test(start_paused = true)]
async fn one_who_never_asks_for_its_assignment_is_put_out_even_if_it_heartbeats() {
    let bed = Bed::new().await;
    let first = join(&bed.groups, "g").await;
    sync(&bed.groups, "g", &first).await;
    let asked = bed.groups.join(&caller(), join_request("g", ""), 5).await;
    let second = begin_join(&bed.groups, join_request("g", &asked.member_id), 5);
    settle().await;
    let first = bed.groups.join(&caller(), join_request("g", &first.member_id), 5).await;
    let second = done(second).await;
    sync(&bed.groups, "g", &first).await;
    for _ in 0..13 {
        tokio::time::sleep(Duration::from_secs(5)).await;
        heartbeat(&bed.groups, "g", &first.member_id, first.generation_id).await;
        heartbeat(&bed.groups, "g", &second.member_id, second.generation_id).await;
    }
    assert_eq!(heartbeat(&bed.groups, "g", &second.member_id, second.generation_id).await, 25);
    assert_eq!(heartbeat(&bed.groups, "g", &first.member_id, first.generation_id).await, 27);
}

#[tokio::test(start_paused = true)]
async fn a_rebalance_ends_without_those_who_do_not_join_again() {
    let bed = Bed::new().await;
    let (first, second) = pair(&bed.groups, "g").await;
    let changed =
        join_request("g", &second.member_id).with_protocols(protocols(&[("range", &["orders", "more"])]));
    let waiting = begin_join(&bed.groups, changed, 5);
    let began = tokio::time::Instant::now();
    for _ in 0..13 {
        tokio::time::sleep(Duration::from_secs(5)).await;
        heartbeat(&bed.groups, "g", &first.member_id, 2).await;
    }
    let joined = done(waiting).await;
    assert!(began.elapsed() < Duration::from_secs(66));
    assert_eq!((joined.generation_id, joined.members.len()), (3, 1));
    assert_eq!(joined.leader, second.member_id);
    assert_eq!(heartbeat(&bed.groups, "g", &first.member_id, 2).await, 25);
}

#[tokio::test(start_paused = true)]
async fn joining_again_with_the_same_metadata_moves_nobody_unless_it_leads() {
    let bed = Bed::new().await;
    let (first, second) = pair(&bed.groups, "g").await;
    let again = bed.groups.join(&caller(), join_request("g", &second.member_id), 5).await;
    assert_eq!((again.error_code, again.generation_id), (0, 2));
    assert!(again.members.is_empty());
    assert_eq!(heartbeat(&bed.groups, "g", &first.member_id, 2).await, 0);
    let leads = begin_join(&bed.groups, join_request("g", &first.member_id), 5);
    settle().await;
    assert_eq!(heartbeat(&bed.groups, "g", &second.member_id, 2).await, 27);
    bed.groups.join(&caller(), join_request("g", &second.member_id), 5).await;
    assert_eq!(done(leads).await.generation_id, 3);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_was_lost_is_given_again_before_the_assignment() {
    let bed = Bed::new().await;
    let joined = join(&bed.groups, "g").await;
    let again = bed.groups.join(&caller(), join_request("g", &joined.member_id), 5).await;
    assert_eq!(again, joined);
}

#[tokio::test(start_paused = true)]
async fn an_id_that_nobody_uses_holds_up_a_rebalance_for_a_session_at_most() {
    let bed = Bed::new().await;
    let asked = bed.groups.join(&caller(), join_request("g", ""), 5).await;
    assert_eq!(asked.error_code, 79);
    assert!(asked.member_id.starts_with("client-"));
    let began = tokio::time::Instant::now();
    let joined = join(&bed.groups, "g").await;
    assert_eq!((joined.error_code, joined.members.len()), (0, 1));
    assert!(began.elapsed() <= Duration::from_secs(10) + Duration::from_millis(100));
    let late = bed.groups.join(&caller(), join_request("g", &asked.member_id), 5).await;
    assert_eq!(late.error_code, 25);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_gone_while_it_waits_holds_up_nobody_longer_than_its_session() {
    let bed = Bed::new().await;
    let first = join(&bed.groups, "g").await;
    sync(&bed.groups, "g", &first).await;
    let gone = begin_join(&bed.groups, join_request("g", ""), 3);
    settle().await;
    gone.abort();
    settle().await;
    let began = tokio::time::Instant::now();
    let joined = bed.groups.join(&caller(), join_request("g", &first.member_id), 5).await;
    assert_eq!((joined.error_code, joined.members.len()), (0, 1));
    assert!(began.elapsed() <= Duration::from_secs(10) + Duration::from_millis(100));
}

#[tokio::test(start_paused = true)]
async fn the_protocol_that_most_prefer_and_all_know_is_taken() {
    let bed = Bed::new().await;
    let offers: [&[(&str, &[&str])]; 3] = [
        &[("range", &["orders"]), ("roundrobin", &["orders"]), ("own", &["orders"])],
        &[("own", &["orders"]), ("roundrobin", &["orders"]), ("range", &["orders"])],
        &[("roundrobin", &["orders"]), ("range", &["orders"])],
    ];
    // Before version 4 members join without asking for an id.
    let tasks: Vec<_> = offers
        .iter()
        .map(|offer| begin_join(&bed.groups, join_request("g", "").with_protocols(protocols(offer)), 3))
        .collect();
    settle().await;
    let first = done(tasks.into_iter().next().unwrap()).await;
    let again = join_request("g", &first.member_id).with_protocols(protocols(offers[0]));
    let joined = bed.groups.join(&caller(), again, 3).await;
    assert_eq!(joined.members.len(), 3);
    // "own" is not known to all; one votes for range, two for roundrobin.
    assert_eq!(joined.protocol_name.unwrap(), *"roundrobin");
    let stranger = join_request("g", "").with_protocols(protocols(&[("sticky", &["orders"])]));
    assert_eq!(bed.groups.join(&caller(), stranger, 3).await.error_code, 23);
    let other = join_request("g", "").with_protocol_type(text("connect"));
    assert_eq!(bed.groups.join(&caller(), other, 3).await.error_code, 23);
}

#[tokio::test(start_paused = true)]
async fn the_first_rebalance_waits_for_more_where_it_is_told_to() {
    let settings = Settings { initial_rebalance_delay: Duration::from_secs(3), ..Settings::default() };
    let bed = Bed::with(settings).await;
    let began = tokio::time::Instant::now();
    let first = begin_join(&bed.groups, join_request("g", ""), 3);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let second = begin_join(&bed.groups, join_request("g", ""), 3);
    let (first, second) = (done(first).await, done(second).await);
    assert_eq!((first.generation_id, second.generation_id), (1, 1));
    assert!(began.elapsed() >= Duration::from_secs(6) && began.elapsed() < Duration::from_secs(7));
    assert_eq!(first.members.len() + second.members.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_group_that_all_have_left_is_empty_and_its_generations_go_on() {
    let mut bed = Bed::new().await;
    let (first, second) = pair(&bed.groups, "g").await;
    assert_eq!(leave(&bed, "g", &second.member_id).await, 0);
    assert_eq!(heartbeat(&bed.groups, "g", &first.member_id, 2).await, 27);
    assert_eq!(leave(&bed, "g", &first.member_id).await, 0);
    assert_eq!(leave(&bed, "g", &first.member_id).await, 25);
    settle().await;
    bed.restart().await;
    let joined = join(&bed.groups, "g").await;
    assert_eq!(joined.generation_id, 4, "two generations, one when it became empty, this one");
}

#[tokio::test(start_paused = true)]
async fn members_go_on_after_a_restart_as_if_nothing_had_been() {
    let mut bed = Bed::new().await;
    let (first, second) = pair(&bed.groups, "g").await;
    bed.restart().await;
    assert_eq!(heartbeat(&bed.groups, "g", &first.member_id, 2).await, 0);
    assert_eq!(heartbeat(&bed.groups, "g", &second.member_id, 2).await, 0);
    assert_eq!(commit(&bed.groups, "g", &second.member_id, 2, 9).await, 0);
    let synced = sync(&bed.groups, "g", &second).await;
    assert_eq!(synced.assignment, format!("for {}", second.member_id.as_str()));
    tokio::time::sleep(Duration::from_secs(11)).await;
    assert_eq!(heartbeat(&bed.groups, "g", &first.member_id, 2).await, 25);
}

#[tokio::test(start_paused = true)]
async fn a_restart_in_the_middle_of_a_rebalance_gives_nobody_two_generations_of_one_number() {
    let mut bed = Bed::new().await;
    let (first, _) = pair(&bed.groups, "g").await;
    // Generation 3 is made, and its leader has not assigned.
    let third = begin_join(&bed.groups, join_request("g", ""), 3);
    settle().await;
    let again = begin_join(&bed.groups, join_request("g", &first.member_id), 5);
    tokio::time::sleep(Duration::from_secs(11)).await;
    let (third, again) = (done(third).await, done(again).await);
    assert_eq!((third.generation_id, again.generation_id), (3, 3));
    bed.restart().await;
    assert_eq!(sync(&bed.groups, "g", &again).await.error_code, 22, "that generation is not known");
    assert_eq!(sync(&bed.groups, "g", &third).await.error_code, 25);
    assert_eq!(heartbeat(&bed.groups, "g", &first.member_id, 2).await, 0);
    let joined = begin_join(&bed.groups, join_request("g", &first.member_id), 5);
    let joined = tokio::time::timeout(Duration::from_secs(61), joined).await.unwrap().unwrap();
    assert_eq!((joined.error_code, joined.generation_id), (0, 3));
}

#[tokio::test(start_paused = true)]
async fn no_assignment_is_given_out_that_is_not_stored() {
    let bed = Bed::new().await;
    let joined = join(&bed.groups, "g").await;
    bed.memory.stuck.store(true, Ordering::Relaxed);
    let synced = begin_sync(&bed.groups, "g", &joined);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!synced.is_finished());
    bed.memory.fails.store(true, Ordering::Relaxed);
    bed.memory.stuck.store(false, Ordering::Relaxed);
    let synced = done(synced).await;
    assert_eq!(synced.error_code, 15);
    assert!(synced.assignment.is_empty());
    bed.memory.fails.store(false, Ordering::Relaxed);
    let joined = bed.groups.join(&caller(), join_request("g", &joined.member_id), 5).await;
    assert_eq!(joined.generation_id, 2);
    assert_eq!(sync(&bed.groups, "g", &joined).await.error_code, 0);
}

#[tokio::test(start_paused = true)]
async fn a_follower_that_asks_early_gets_its_assignment_never_an_empty_one() {
    let bed = Bed::new().await;
    let first = join(&bed.groups, "g").await;
    let second = begin_join(&bed.groups, join_request("g", ""), 3);
    settle().await;
    let first = bed.groups.join(&caller(), join_request("g", &first.member_id), 5).await;
    let second = done(second).await;
    let early = begin_sync(&bed.groups, "g", &second);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(!early.is_finished());
    sync(&bed.groups, "g", &first).await;
    let early = done(early).await;
    assert_eq!(early.assignment, format!("for {}", second.member_id.as_str()));
}

fn fixed(name: &str, member: &str, instance: &str) -> JoinGroupRequest {
    join_request(name, member).with_group_instance_id(Some(text(instance)))
}

#[tokio::test(start_paused = true)]
async fn a_static_member_that_starts_again_takes_its_place_and_fences_the_former() {
    let bed = Bed::new().await;
    let first = bed.groups.join(&caller(), fixed("g", "", "a"), 5).await;
    assert_eq!(first.error_code, 0, "no id has to be asked for");
    let second = begin_join(&bed.groups, fixed("g", "", "b"), 5);
    settle().await;
    let first = bed.groups.join(&caller(), fixed("g", &first.member_id, "a"), 5).await;
    let second = done(second).await;
    assert_eq!(first.generation_id, second.generation_id);
    let synced = begin_sync(&bed.groups, "g", &second);
    sync(&bed.groups, "g", &first).await;
    done(synced).await;
    let back = bed.groups.join(&caller(), fixed("g", "", "b"), 5).await;
    assert_eq!((back.error_code, back.generation_id), (0, second.generation_id));
    assert_ne!(back.member_id, second.member_id);
    assert_eq!(sync(&bed.groups, "g", &back).await.assignment, format!("for {}", second.member_id.as_str()));
    assert_eq!(
        heartbeat(&bed.groups, "g", &first.member_id, first.generation_id).await,
        0,
        "nobody is moved"
    );
    let former = sync_request("g", &second).with_group_instance_id(Some(text("b")));
    assert_eq!(bed.groups.sync(&caller(), former, 3).await.error_code, 82);
    let former = fixed("g", &second.member_id, "b");
    assert_eq!(bed.groups.join(&caller(), former, 5).await.error_code, 82);
    assert_eq!(heartbeat(&bed.groups, "g", &second.member_id, 2).await, 25);
}

#[tokio::test(start_paused = true)]
async fn a_static_member_that_took_its_place_keeps_it_after_a_crash() {
    let mut bed = Bed::new().await;
    let first = bed.groups.join(&caller(), fixed("g", "", "a"), 5).await;
    sync(&bed.groups, "g", &first).await;
    let back = bed.groups.join(&caller(), fixed("g", "", "a"), 5).await;
    assert_eq!((back.error_code, back.generation_id), (0, first.generation_id));
    bed.restart().await;
    assert_eq!(heartbeat(&bed.groups, "g", &back.member_id, back.generation_id).await, 0);
    assert_eq!(heartbeat(&bed.groups, "g", &first.member_id, first.generation_id).await, 25);
    // Where it cannot be stored nobody is told that it is so.
    bed.memory.fails.store(true, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(bed.groups.join(&caller(), fixed("g", "", "a"), 5).await.error_code, 15);
}

#[tokio::test(start_paused = true)]
async fn a_static_leader_that_starts_again_does_not_assign() {
    let bed = Bed::new().await;
    let first = bed.groups.join(&caller(), fixed("g", "", "a"), 9).await;
    sync(&bed.groups, "g", &first).await;
    let old = bed.groups.join(&caller(), fixed("g", "", "a"), 8).await;
    fits(&old, 8);
    assert_ne!(old.leader, old.member_id, "an older client must not take itself for the leader");
    let new = bed.groups.join(&caller(), fixed("g", "", "a"), 9).await;
    fits(&new, 9);
    assert!(new.skip_assignment);
    assert_eq!((new.leader.clone(), new.members.len()), (new.member_id.clone(), 1));
    assert_eq!(new.generation_id, 1);
}

#[tokio::test(start_paused = true)]
async fn a_static_member_that_comes_back_for_other_topics_is_assigned_anew() {
    let bed = Bed::new().await;
    let first = bed.groups.join(&caller(), fixed("g", "", "a"), 5).await;
    sync(&bed.groups, "g", &first).await;
    let other = fixed("g", "", "a").with_protocols(protocols(&[("range", &["payments"])]));
    let back = bed.groups.join(&caller(), other, 5).await;
    assert_eq!((back.error_code, back.generation_id), (0, 2));
    assert_eq!(back.leader, back.member_id);
}

#[tokio::test(start_paused = true)]
async fn a_static_member_that_is_away_keeps_its_place_until_its_session_ends() {
    let bed = Bed::new().await;
    let long = fixed("g", "", "a").with_session_timeout_ms(300_000);
    let away = bed.groups.join(&caller(), long, 5).await;
    sync(&bed.groups, "g", &away).await;
    let second = begin_join(&bed.groups, join_request("g", ""), 3);
    tokio::time::sleep(Duration::from_secs(61)).await;
    let second = done(second).await;
    assert_eq!((second.error_code, second.leader.clone()), (0, second.member_id.clone()));
    assert_eq!(second.members.len(), 2, "the one that is away is assigned to, too");
    sync(&bed.groups, "g", &second).await;
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(heartbeat(&bed.groups, "g", &second.member_id, 2).await, 0);
    }
    for _ in 0..30 {
        tokio::time::sleep(Duration::from_secs(5)).await;
        heartbeat(&bed.groups, "g", &second.member_id, 2).await;
    }
    assert_eq!(heartbeat(&bed.groups, "g", &second.member_id, 2).await, 27);
}

#[tokio::test(start_paused = true)]
async fn members_are_taken_out_by_their_instance_ids() {
    let bed = Bed::new().await;
    let first = bed.groups.join(&caller(), fixed("g", "", "a"), 5).await;
    sync(&bed.groups, "g", &first).await;
    let leaving = |member: &str, instance: Option<&str>| {
        MemberIdentity::default().with_member_id(text(member)).with_group_instance_id(instance.map(text))
    };
    let members = vec![
        leaving("nobody", Some("a")),
        leaving("", Some("z")),
        leaving("nobody", None),
        leaving("", Some("a")),
    ];
    let request = LeaveGroupRequest::default().with_group_id(group("g")).with_members(members);
    let response = bed.groups.leave(&caller(), request, 5).await;
    fits(&response, 5);
    let codes: Vec<i16> = response.members.iter().map(|member| member.error_code).collect();
    assert_eq!((response.error_code, codes), (0, vec![82, 25, 25, 0]));
    let request =
        LeaveGroupRequest::default().with_group_id(group("none")).with_members(vec![leaving("x", None)]);
    assert_eq!(bed.groups.leave(&caller(), request, 5).await.error_code, 25);
}

#[tokio::test(start_paused = true)]
async fn bad_requests_get_their_errors_in_every_version() {
    let settings = Settings { max_size: 2, max_group_bytes: 2_000, ..Settings::default() };
    let bed = Bed::with(settings).await;
    let code = async |request: JoinGroupRequest| {
        let mut codes = Vec::new();
        for version in 0..=9 {
            let response = bed.groups.join(&caller(), request.clone(), version).await;
            fits(&response, version);
            codes.push(response.error_code);
        }
        codes.dedup();
        codes
    };
    assert_eq!(code(join_request("", "")).await, [24]);
    assert_eq!(code(join_request("a\0b", "")).await, [24]);
    assert_eq!(code(join_request("g", "").with_session_timeout_ms(10)).await, [26]);
    assert_eq!(code(join_request("g", "").with_session_timeout_ms(-5)).await, [26]);
    assert_eq!(code(join_request("g", "who")).await, [25]);
    assert_eq!(code(join_request("g", "").with_protocols(vec![])).await, [23]);
    assert_eq!(code(join_request("g", "").with_protocol_type(text(""))).await, [23]);
    let many: Vec<String> = (0..500).map(|number| format!("topic-{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(code(join_request("g", "").with_protocols(protocols(&[("range", &many)]))).await, [81]);
    assert!(bed.groups.find(PROJECT, "g").is_none(), "what was refused leaves nothing behind");
    let (first, _) = pair(&bed.groups, "g").await;
    assert_eq!(code(join_request("g", "")).await, [81]);
    let mut wrong = sync_request("g", &first);
    wrong.generation_id = 9;
    for version in 0..=5 {
        let response = bed.groups.sync(&caller(), wrong.clone(), version).await;
        fits(&response, version);
        assert_eq!(response.error_code, 22);
    }
    let other = sync_request("g", &first).with_protocol_name(Some(text("sticky")));
    assert_eq!(bed.groups.sync(&caller(), other.clone(), 5).await.error_code, 23);
    assert_eq!(bed.groups.sync(&caller(), other, 4).await.error_code, 0);
    let mut huge = sync_request("g", &first);
    huge.assignments[0].assignment = vec![0; 4_000].into();
    let again = begin_join(&bed.groups, join_request("g", &first.member_id), 5);
    tokio::time::sleep(Duration::from_secs(11)).await;
    huge.generation_id = done(again).await.generation_id;
    assert_eq!(bed.groups.sync(&caller(), huge, 3).await.error_code, 42);
}
