//! The consumer protocol (KIP-848), as clients see it.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use kafka_protocol::messages::consumer_group_heartbeat_request::TopicPartitions;
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use kafka_protocol::messages::{
    ConsumerGroupDescribeRequest, ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse,
    OffsetFetchRequest, TopicName,
};

use super::bed::*;
use crate::admin::acl::Sights;
use crate::directory::TopicId;

type Owned = BTreeSet<(TopicId, i32)>;

/// A client: it owns what it was given until it says that it let go.
pub struct Client {
    pub name: String,
    pub instance: Option<String>,
    pub topics: Vec<String>,
    pub epoch: i32,
    pub owned: Owned,
    /// Does not let go of what is taken from it.
    pub stubborn: bool,
}

pub fn client(name: &str) -> Client {
    Client {
        name: name.to_owned(),
        instance: None,
        topics: vec!["orders".to_owned()],
        epoch: 0,
        owned: Owned::new(),
        stubborn: false,
    }
}

fn wire_owned(owned: &Owned) -> Vec<TopicPartitions> {
    owned
        .iter()
        .map(|(topic, partition)| {
            TopicPartitions::default()
                .with_topic_id(topic.to_vec().try_into().unwrap())
                .with_partitions(vec![*partition])
        })
        .collect()
}

impl Client {
    pub fn request(&self, group_name: &str) -> ConsumerGroupHeartbeatRequest {
        let request = ConsumerGroupHeartbeatRequest::default()
            .with_group_id(group(group_name))
            .with_member_id(text(&self.name))
            .with_member_epoch(self.epoch)
            .with_instance_id(self.instance.as_deref().map(text))
            .with_rebalance_timeout_ms(-1)
            .with_topic_partitions(Some(wire_owned(&self.owned)));
        if self.epoch != 0 {
            return request;
        }
        request
            .with_rebalance_timeout_ms(60_000)
            .with_topic_partitions(Some(Vec::new()))
            .with_subscribed_topic_names(Some(
                self.topics.iter().map(|topic| TopicName(text(topic))).collect(),
            ))
    }

    /// Heartbeats as a client does: joining again where it is fenced, letting go at once of what it is to let go of.
    pub async fn beat(&mut self, bed: &Bed) -> i16 {
        let response = beat(bed, self.request("g"), 1).await;
        match response.error_code {
            0 => self.take(&response),
            25 | 110 => {
                self.epoch = 0;
                self.owned.clear();
            }
            _ => {}
        }
        response.error_code
    }

    pub fn take(&mut self, response: &ConsumerGroupHeartbeatResponse) {
        self.epoch = response.member_epoch;
        if let Some(given) = given(response) {
            match self.stubborn {
                true => self.owned.extend(given),
                false => self.owned = given,
            }
        }
    }

    async fn leave(&mut self, bed: &Bed, epoch: i32) -> i16 {
        self.epoch = epoch;
        self.owned.clear();
        beat(bed, self.request("g"), 1).await.error_code
    }
}

pub fn given(response: &ConsumerGroupHeartbeatResponse) -> Option<Owned> {
    let assignment = response.assignment.as_ref()?;
    let each = assignment.topic_partitions.iter();
    Some(
        each.flat_map(|topic| {
            topic.partitions.iter().map(|partition| (*topic.topic_id.as_bytes(), *partition))
        })
        .collect(),
    )
}

pub async fn beat(
    bed: &Bed,
    request: ConsumerGroupHeartbeatRequest,
    version: i16,
) -> ConsumerGroupHeartbeatResponse {
    let response = bed.groups.consumer_heartbeat(&caller(), request, version, &Sights::everything()).await;
    fits(&response, version);
    response
}

async fn phase(bed: &Bed) -> String {
    let request = ConsumerGroupDescribeRequest::default().with_group_ids(vec![group("g")]);
    let response = bed.groups.consumer_describe(&caller(), request, 1).await;
    fits(&response, 1);
    response.groups[0].group_state.to_string()
}

#[tokio::test(start_paused = true)]
async fn a_second_member_gets_its_share_when_the_first_has_let_go_and_not_before() {
    let bed = Bed::new().await;
    let (mut first, mut second) = (client("a"), client("b"));
    assert_eq!(first.beat(&bed).await, 0);
    assert_eq!((first.epoch, first.owned.len()), (1, 4));
    assert_eq!(phase(&bed).await, "Stable");
    assert_eq!(second.beat(&bed).await, 0);
    assert_eq!((second.epoch, second.owned.len()), (2, 0));
    assert_eq!(phase(&bed).await, "Reconciling");
    first.stubborn = true;
    let told = beat(&bed, first.request("g"), 1).await;
    assert_eq!((told.member_epoch, given(&told).unwrap().len()), (1, 2), "it is to let go, at its epoch");
    for _ in 0..3 {
        assert_eq!(first.beat(&bed).await, 0);
        assert_eq!(first.epoch, 1);
        assert_eq!(second.beat(&bed).await, 0);
        assert_eq!(second.owned.len(), 0, "the first one has them still");
    }
    first.stubborn = false;
    first.owned = given(&told).unwrap();
    assert_eq!(first.beat(&bed).await, 0);
    assert_eq!((first.epoch, first.owned.len()), (2, 2));
    assert_eq!(second.beat(&bed).await, 0);
    assert_eq!((second.epoch, second.owned.len()), (2, 2));
    assert!(first.owned.is_disjoint(&second.owned));
    assert_eq!(phase(&bed).await, "Stable");
    let quiet = beat(&bed, first.request("g"), 1).await;
    assert!(quiet.assignment.is_none(), "what has not changed is not said again");
}

#[tokio::test(start_paused = true)]
async fn one_that_does_not_let_go_in_time_is_put_out() {
    let bed = Bed::new().await;
    let (mut first, mut second) = (client("a"), client("b"));
    first.stubborn = true;
    first.beat(&bed).await;
    second.beat(&bed).await;
    first.beat(&bed).await;
    for _ in 0..13 {
        tokio::time::sleep(Duration::from_secs(5)).await;
        first.beat(&bed).await;
        second.beat(&bed).await;
    }
    assert_eq!(second.owned.len() + first.owned.len(), 4);
    assert!(first.epoch == 0 || second.owned.len() == 4);
}

#[tokio::test(start_paused = true)]
async fn one_that_is_not_heard_of_is_put_out_and_its_share_goes_to_others() {
    let bed = Bed::new().await;
    let (mut first, mut second) = (client("a"), client("b"));
    for _ in 0..3 {
        first.beat(&bed).await;
        second.beat(&bed).await;
    }
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(second.beat(&bed).await, 0);
    }
    assert_eq!(second.owned.len(), 4);
    assert_eq!(first.beat(&bed).await, 25);
    assert_eq!(first.beat(&bed).await, 0);
    assert_eq!(first.owned.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn epochs_are_fenced_and_a_lost_answer_is_given_again() {
    let bed = Bed::new().await;
    let mut first = client("a");
    first.beat(&bed).await;
    let mut wrong = first.request("g");
    wrong.member_epoch = 5;
    assert_eq!(beat(&bed, wrong, 1).await.error_code, 110);
    bed.topics.make("orders", 6);
    let before = first.request("g");
    assert_eq!(first.beat(&bed).await, 0);
    assert_eq!((first.epoch, first.owned.len()), (2, 6));
    let again = beat(&bed, before.clone(), 1).await;
    assert_eq!((again.error_code, again.member_epoch), (0, 2));
    assert_eq!(given(&again).unwrap().len(), 6);
    let before = before.with_topic_partitions(None);
    assert_eq!(beat(&bed, before, 1).await.error_code, 110, "it does not say what it owns");
    assert_eq!(beat(&bed, client("nobody").request("none").with_member_epoch(3), 1).await.error_code, 69);
    assert_eq!(beat(&bed, client("nobody").request("g").with_member_epoch(3), 1).await.error_code, 25);
}

#[tokio::test(start_paused = true)]
async fn a_static_member_comes_back_to_what_it_had() {
    let bed = Bed::new().await;
    let (mut first, mut second) = (client("a"), client("b"));
    first.instance = Some("one".to_owned());
    for _ in 0..3 {
        first.beat(&bed).await;
        second.beat(&bed).await;
    }
    let had = first.owned.clone();
    assert_eq!(had.len(), 2);
    let mut again = client("c");
    again.instance = Some("one".to_owned());
    assert_eq!(again.beat(&bed).await, 111, "it has not left yet");
    assert_eq!(first.leave(&bed, -2).await, 0);
    second.beat(&bed).await;
    assert_eq!(second.owned.len(), 2, "its share is kept for it");
    assert_eq!(again.beat(&bed).await, 0);
    assert_eq!((again.owned.clone(), again.epoch), (had, second.epoch));
    first.epoch = 2;
    assert_eq!(beat(&bed, first.request("g"), 1).await.error_code, 82);
    assert_eq!(again.leave(&bed, -2).await, 0);
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_secs(5)).await;
        second.beat(&bed).await;
    }
    assert_eq!(second.owned.len(), 4, "it was away for too long");
    assert_eq!(second.leave(&bed, -1).await, 0);
    assert_eq!(phase(&bed).await, "Empty");
}

#[tokio::test(start_paused = true)]
async fn topics_by_expression_come_and_go() {
    let bed = Bed::new().await;
    bed.topics.make("orders-eu", 2);
    let mut first = client("a");
    let join = first
        .request("g")
        .with_subscribed_topic_names(None)
        .with_subscribed_topic_regex(Some(text("orders.*")));
    assert_eq!(beat(&bed, join.clone(), 0).await.error_code, 42, "version 0 knows no expressions");
    let joined = beat(&bed, join.clone(), 1).await;
    assert_eq!((joined.error_code, given(&joined).unwrap().len()), (0, 6));
    first.take(&joined);
    bed.topics.make("my-orders", 7);
    bed.topics.make("orders-us", 3);
    assert_eq!(first.beat(&bed).await, 0);
    assert_eq!(first.owned.len(), 9, "it fits whole names");
    bed.topics.remove("orders-eu");
    assert_eq!(first.beat(&bed).await, 0);
    first.beat(&bed).await;
    assert_eq!(first.owned.len(), 7);
    let broken = join.clone().with_subscribed_topic_regex(Some(text("(")));
    assert_eq!(beat(&bed, broken, 1).await.error_code, 128);
    let huge = join.with_subscribed_topic_regex(Some(text("((a{100}){100}){100}")));
    assert_eq!(beat(&bed, huge, 1).await.error_code, 128);
}

#[tokio::test(start_paused = true)]
async fn topics_by_name_come_before_those_by_expression() {
    let bed = Bed::new().await;
    bed.topics.make("more", 3);
    let mut first = client("a");
    let join = first.request("g").with_subscribed_topic_regex(Some(text("mo.*")));
    first.take(&beat(&bed, join, 1).await);
    assert_eq!(first.owned.len(), 4);
    assert_eq!(first.beat(&bed).await, 0);
    assert_eq!(first.owned.len(), 7);
    assert_eq!(first.beat(&bed).await, 0);
    assert_eq!((first.owned.len(), phase(&bed).await), (7, "Stable".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn bad_heartbeats_get_their_errors() {
    let bed = Bed::new().await;
    let join = client("a").request("g");
    let code = async |request: ConsumerGroupHeartbeatRequest| beat(&bed, request, 1).await.error_code;
    assert_eq!(code(join.clone().with_group_id(group(""))).await, 42);
    assert_eq!(code(join.clone().with_member_id(text(""))).await, 42);
    assert_eq!(code(join.clone().with_instance_id(Some(text("")))).await, 42);
    assert_eq!(code(join.clone().with_rack_id(Some(text("")))).await, 42);
    assert_eq!(code(join.clone().with_rebalance_timeout_ms(-1)).await, 42);
    assert_eq!(code(join.clone().with_subscribed_topic_names(None)).await, 42);
    assert_eq!(code(join.clone().with_topic_partitions(None)).await, 42);
    assert_eq!(code(join.clone().with_member_epoch(-3)).await, 42);
    assert_eq!(code(join.clone().with_member_epoch(-2)).await, 42);
    assert_eq!(code(join.clone().with_server_assignor(Some(text("best")))).await, 112);
    assert!(bed.groups.find(PROJECT, "g").is_none());
    let made = beat(&bed, join.with_member_id(text("")), 0).await;
    assert_eq!(made.error_code, 0);
    assert_eq!(made.member_id.unwrap().len(), 36, "version 0 gives ids");
}

#[tokio::test(start_paused = true)]
async fn only_the_members_epoch_commits_and_reads() {
    let bed = Bed::new().await;
    let mut first = client("a");
    first.beat(&bed).await;
    let code = async |member: &str, epoch: i32, version: i16| {
        let request = commit_request("g", member, epoch, 5);
        bed.groups.offset_commit(&caller(), request, version).await.topics[0].partitions[0].error_code
    };
    assert_eq!(code("a", 1, 9).await, 0);
    assert_eq!(code("a", 0, 9).await, 113);
    assert_eq!(code("z", 1, 9).await, 25);
    assert_eq!(code("a", 1, 8).await, 35);
    assert_eq!(code("", -1, 9).await, 25);
    let fetched = async |member: Option<&str>, epoch: i32| {
        let asked = OffsetFetchRequestGroup::default()
            .with_group_id(group("g"))
            .with_member_id(member.map(text))
            .with_member_epoch(epoch);
        let request = OffsetFetchRequest::default().with_groups(vec![asked.with_topics(None)]);
        let response = bed.groups.offset_fetch(&caller(), request, 9).await;
        (response.groups[0].error_code, response.groups[0].topics.len())
    };
    assert_eq!(fetched(Some("a"), 1).await, (0, 1));
    assert_eq!(fetched(Some("a"), 9).await, (113, 0));
    assert_eq!(fetched(Some("z"), 1).await, (25, 0));
    assert_eq!(fetched(None, -1).await, (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_group_is_of_one_kind_while_it_has_members() {
    let bed = Bed::new().await;
    let joined = join(&bed.groups, "g").await;
    sync(&bed.groups, "g", &joined).await;
    assert_eq!(commit(&bed.groups, "g", &joined.member_id, 1, 5).await, 0);
    let mut first = client("a");
    assert_eq!(first.beat(&bed).await, 69);
    tokio::time::sleep(Duration::from_secs(11)).await;
    assert_eq!(first.beat(&bed).await, 0);
    assert_eq!(first.owned.len(), 4);
    assert_eq!(fetch(&bed.groups, "g", false).await, Ok(5), "offsets stay");
    assert_eq!(bed.groups.join(&caller(), join_request("g", ""), 5).await.error_code, 23);
    assert_eq!(heartbeat(&bed.groups, "g", &joined.member_id, 1).await, 25);
    assert_eq!(first.leave(&bed, -1).await, 0);
    let joined = join(&bed.groups, "g").await;
    assert_eq!(joined.error_code, 0);
    assert_eq!(sync(&bed.groups, "g", &joined).await.error_code, 0);
    assert_eq!(fetch(&bed.groups, "g", false).await, Ok(5));
}

#[tokio::test(start_paused = true)]
async fn members_go_on_after_a_restart_where_they_were() {
    let mut bed = Bed::new().await;
    let (mut first, mut second) = (client("a"), client("b"));
    first.beat(&bed).await;
    second.beat(&bed).await;
    first.stubborn = true;
    first.beat(&bed).await;
    bed.restart().await;
    second.beat(&bed).await;
    assert_eq!(second.owned.len(), 0, "what the first one holds is not given away");
    first.stubborn = false;
    first.owned = first.owned.iter().take(2).copied().collect();
    let kept = first.owned.clone();
    bed.restart().await;
    assert_eq!(first.beat(&bed).await, 0);
    assert_eq!(second.beat(&bed).await, 0);
    for _ in 0..3 {
        assert_eq!((first.beat(&bed).await, second.beat(&bed).await), (0, 0));
    }
    assert_eq!(first.owned.len() + second.owned.len(), 4);
    assert!(first.owned.is_disjoint(&second.owned));
    assert!(!kept.is_empty());
    bed.restart().await;
    assert_eq!((first.beat(&bed).await, second.beat(&bed).await), (0, 0));
    assert_eq!(phase(&bed).await, "Stable");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_stored_is_told_to_nobody() {
    let bed = Bed::new().await;
    let mut first = client("a");
    first.beat(&bed).await;
    bed.topics.make("orders", 6);
    bed.memory.fails.store(true, Ordering::Relaxed);
    let failed = beat(&bed, first.request("g"), 1).await;
    assert_eq!((failed.error_code, failed.assignment), (15, None));
    bed.memory.fails.store(false, Ordering::Relaxed);
    assert_eq!(first.beat(&bed).await, 0);
    assert_eq!((first.epoch, first.owned.len()), (2, 6));
}

#[tokio::test(start_paused = true)]
async fn what_is_set_of_a_group_holds_from_the_next_heartbeat_on() {
    let mut bed = Bed::new().await;
    let mut member = client("a");
    let told = beat(&bed, member.request("g"), 1).await;
    assert_eq!(told.heartbeat_interval_ms, 5_000);
    member.take(&told);
    let set = |bed: &Bed, name: &str, seconds| {
        let name = format!("consumer.{name}.ms");
        bed.set.0.lock().insert(("g".to_owned(), name), Duration::from_secs(seconds));
    };
    set(&bed, "session.timeout", 10);
    set(&bed, "heartbeat.interval", 2);
    assert_eq!(beat(&bed, member.request("g"), 1).await.heartbeat_interval_ms, 2_000);
    tokio::time::sleep(Duration::from_secs(9)).await;
    assert_eq!(member.beat(&bed).await, 0);
    tokio::time::sleep(Duration::from_secs(9)).await;
    assert_eq!(phase(&bed).await, "Stable");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(phase(&bed).await, "Empty", "it was silent for longer than is set");
    // Longer than what holds for all, over a restart too.
    set(&bed, "session.timeout", 120);
    while member.beat(&bed).await != 0 {}
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_secs(115)).await;
        assert_eq!(phase(&bed).await, "Stable");
        bed.restart().await;
    }
    tokio::time::sleep(Duration::from_secs(125)).await;
    assert_eq!(phase(&bed).await, "Empty");
}

#[tokio::test(start_paused = true)]
async fn what_is_set_of_a_share_group_holds_from_the_next_heartbeat_on() {
    use kafka_protocol::messages::{ShareGroupDescribeRequest, ShareGroupHeartbeatRequest};
    let bed = Bed::new().await;
    let beat = async |epoch: i32| {
        let request = ShareGroupHeartbeatRequest::default()
            .with_group_id(group("g"))
            .with_member_id(text("a"))
            .with_member_epoch(epoch)
            .with_subscribed_topic_names(Some(vec![TopicName(text("orders"))]));
        let told = bed.groups.share_heartbeat(&caller(), request).await;
        assert_eq!(told.error_code, 0);
        (told.member_epoch, told.heartbeat_interval_ms)
    };
    let phase = async || {
        let request = ShareGroupDescribeRequest::default().with_group_ids(vec![group("g")]);
        bed.groups.share_describe(&caller(), request).await.groups[0].group_state.to_string()
    };
    let (epoch, interval) = beat(0).await;
    assert_eq!(interval, 5_000);
    for (name, seconds) in [("session.timeout", 10), ("heartbeat.interval", 2)] {
        let name = format!("share.{name}.ms");
        bed.set.0.lock().insert(("g".to_owned(), name), Duration::from_secs(seconds));
    }
    assert_eq!(beat(epoch).await, (epoch, 2_000));
    tokio::time::sleep(Duration::from_secs(9)).await;
    assert_eq!(phase().await, "Stable");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(phase().await, "Empty", "it was silent for longer than is set");
}
