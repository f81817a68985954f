//! Members of a group of the consumer protocol (KIP-848): they heartbeat, let go late or not at all, fall silent, die and
//! come back; two share an instance id.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;

use kafka_protocol::messages::consumer_group_heartbeat_request::TopicPartitions;
use kafka_protocol::messages::{ConsumerGroupHeartbeatRequest, GroupId};
use uuid::Uuid;

use super::classic::{commit, look};
use super::node::{Node, PLAIN, SESSION_MS, TOPICS};
use super::world::{Client, World};
use crate::admin::acl::Sights;
use crate::testing::text;
use crate::txn::tests::bed::topic_name;

pub const GROUP: &str = "consumers";
/// How long a member may take to let go.
const REBALANCE_MS: i32 = 200;
/// Two members that say that they are the same.
const DOUBLE: &str = "double";
/// The error of one whose instance id is another's that lives.
const UNRELEASED: i16 = 111;

pub struct ConsumerMember {
    name: u64,
    /// How often it began under another id.
    lives: u64,
    epoch: i32,
    owned: BTreeSet<u32>,
    /// What it may use, as it was told last.
    told: BTreeSet<u32>,
    /// When it was heard of for sure, milliseconds.
    heard: i64,
    /// Since when it may be owing something.
    holding: Option<i64>,
    is_over: bool,
}

impl Client for ConsumerMember {
    fn live<'a>(&'a mut self, world: &'a World, node: &'a Node) -> Pin<Box<dyn Future<Output = ()> + 'a>> {
        Box::pin(async move {
            let name = format!("consumer {}", self.name);
            if self.epoch < 0 {
                // It was about to leave when the node went.
                self.epoch = 0;
                self.lives += 1;
            }
            // In the calm one of the doubles stays away.
            while !(self.is_over || world.calm.get() && self.name == 3) {
                let about = format!("{} at {} owns {:?}", self.id(), self.epoch, self.owned);
                world.model.borrow_mut().waiting.insert(name.clone(), about);
                world.think(20).await;
                if world.happens(30) {
                    self.leave(world, node).await;
                } else if world.happens(20) {
                    world.think(SESSION_MS + SESSION_MS / 2).await;
                }
                self.beat(world, node).await;
                if self.epoch > 0 && world.below(2) == 0 {
                    self.commit(world, node).await;
                }
                if world.calm.get() {
                    let all: BTreeSet<u32> = world.model.borrow().owned.values().flatten().copied().collect();
                    self.is_over = self.epoch > 0 && all.len() == TOPICS[PLAIN].1 as usize;
                }
            }
            world.model.borrow_mut().waiting.remove(&name);
            if !self.is_over {
                world.model.borrow_mut().owned.remove(&self.name);
            }
        })
    }
}

impl ConsumerMember {
    pub fn new(name: u64) -> ConsumerMember {
        ConsumerMember {
            name,
            lives: 0,
            epoch: 0,
            owned: BTreeSet::new(),
            told: BTreeSet::new(),
            heard: 0,
            holding: None,
            is_over: false,
        }
    }

    fn id(&self) -> String {
        format!("reader-{}-{}", self.name, self.lives)
    }

    fn instance(&self) -> Option<&'static str> {
        (self.name >= 2).then_some(DOUBLE)
    }

    fn request(&self, world: &World) -> ConsumerGroupHeartbeatRequest {
        let owned = TopicPartitions::default()
            .with_topic_id(Uuid::from_bytes(world.fixtures.topic_id(PLAIN)))
            .with_partitions(self.owned.iter().map(|partition| *partition as i32).collect());
        let request = ConsumerGroupHeartbeatRequest::default()
            .with_group_id(GroupId(text(GROUP)))
            .with_member_id(text(&self.id()))
            .with_member_epoch(self.epoch)
            .with_instance_id(self.instance().map(text))
            .with_rebalance_timeout_ms(-1)
            .with_topic_partitions(Some(if self.owned.is_empty() { Vec::new() } else { vec![owned] }));
        match self.epoch {
            0 => request
                .with_rebalance_timeout_ms(REBALANCE_MS)
                .with_subscribed_topic_names(Some(vec![topic_name(TOPICS[PLAIN].0)])),
            _ => request,
        }
    }

    /// It goes, with a word or without, and comes back as another.
    async fn leave(&mut self, world: &World, node: &Node) {
        let was = (self.id(), self.epoch);
        self.epoch = if self.instance().is_some() && world.below(2) == 0 { -2 } else { -1 };
        self.lets_go(world);
        let says_so = world.below(2) == 0;
        if says_so {
            let answer = world
                .ask(node.groups.consumer_heartbeat(
                    &node.caller,
                    self.request(world),
                    1,
                    &Sights::everything(),
                ))
                .await;
            world.say(|| format!("{was:?} leaves: {:?}", answer.map(|answer| answer.error_code)));
        } else {
            world.say(|| format!("{was:?} is gone"));
        }
        self.epoch = 0;
        self.lives += 1;
    }

    fn lets_go(&mut self, world: &World) {
        self.owned.clear();
        self.told.clear();
        self.holding = None;
        self.check_owners(world);
    }

    async fn beat(&mut self, world: &World, node: &Node) {
        let asked = world.now();
        let had = self.owned.clone();
        let request = self.request(world);
        let since = self.holding.replace(self.holding.unwrap_or(asked));
        // The answer may be lost, and with it that there is something to let go of.
        world.model.borrow_mut().doubts.insert(self.name, self.sure_until());
        let answer =
            world.ask(node.groups.consumer_heartbeat(&node.caller, request, 1, &Sights::everything())).await;
        let Some(response) = answer else { return };
        let given: Option<BTreeSet<u32>> = response.assignment.as_ref().map(|assignment| {
            let each = assignment.topic_partitions.iter().flat_map(|topic| &topic.partitions);
            each.map(|partition| *partition as u32).collect()
        });
        world.say(|| {
            let told = (response.error_code, response.member_epoch, &given);
            format!("{} at {} with {had:?} is told {told:?}", self.id(), self.epoch)
        });
        match response.error_code {
            0 => {
                self.heard = asked;
                world.check(response.member_epoch >= self.epoch, || {
                    format!("{} went from epoch {} to {}", self.id(), self.epoch, response.member_epoch)
                });
                self.epoch = response.member_epoch;
                if let Some(given) = given {
                    match world.happens(4) {
                        // It does not let go yet.
                        true => self.owned.extend(&given),
                        false => self.owned.clone_from(&given),
                    }
                    self.told = given;
                    world.model.borrow_mut().count("assignments");
                }
                // What it said that it owned is what it may own.
                self.holding = if had.is_subset(&self.told) { None } else { since.or(Some(asked)) };
            }
            15 => {}
            UNRELEASED => self.holding = since,
            _ => {
                let (id, epoch) = (self.id(), self.epoch);
                self.epoch = 0;
                self.lets_go(world);
                // It is put out: what it has read is another's by now.
                if epoch > 0 {
                    let place = world.below(3) as u32;
                    let who = (id.as_str(), None, epoch);
                    let done = commit(world, node, GROUP, place, who, 9).await;
                    world.check(done != Some(true), || format!("{who:?} committed, and was put out"));
                }
            }
        }
        self.check_owners(world);
    }

    /// Until when it owns for sure what it was given: it may be put out then without its knowing.
    fn sure_until(&self) -> i64 {
        let until = self.holding.map_or(i64::MAX, |since| since + i64::from(REBALANCE_MS));
        until.min(self.heard + SESSION_MS as i64)
    }

    /// No partition is with two who both may use it.
    fn check_owners(&self, world: &World) {
        let now = world.now();
        let is_doubtful = now >= self.sure_until();
        let model = &mut *world.model.borrow_mut();
        model.doubts.insert(self.name, self.sure_until());
        model.owned.insert(self.name, self.owned.clone());
        if is_doubtful {
            return;
        }
        let others = model.owned.iter().filter(|(other, _)| **other != self.name);
        let sure = others.filter(|(other, _)| model.doubts.get(other).is_some_and(|until| now < *until));
        let shared =
            sure.map(|(other, owned)| (*other, owned & &self.owned)).find(|(_, both)| !both.is_empty());
        if let Some((other, both)) = shared {
            model.broken.get_or_insert(format!("consumers {} and {other} both own {both:?}", self.name));
        }
    }

    async fn commit(&self, world: &World, node: &Node) {
        let Some(partition) = self.owned.first().copied() else { return };
        let id = self.id();
        if self.epoch > 1 && world.happens(4) {
            let who = (id.as_str(), None, self.epoch - 1);
            let done = commit(world, node, GROUP, partition, who, 9).await;
            world.check(done != Some(true), || format!("{who:?} committed, at {} by now", self.epoch));
        } else {
            commit(world, node, GROUP, partition, (&id, self.instance(), self.epoch), 9).await;
        }
        look(world, node, GROUP, partition).await;
    }
}
