//! Members of a share group (KIP-932): they fetch, accept, release, reject, keep silent, and at times say something of
//! records that are not theirs.

use std::future::Future;
use std::pin::Pin;

use kafka_protocol::messages::share_acknowledge_request as acked;
use kafka_protocol::messages::share_fetch_request as asked;
use kafka_protocol::messages::{
    GroupId, ShareAcknowledgeRequest, ShareFetchRequest, ShareGroupHeartbeatRequest,
};
use uuid::Uuid;

use super::model::Given;
use super::node::{LOCK_MS, Node, PLAIN, SHARERS, TOPICS, places};
use super::producers::is_done;
use super::world::{Client, World};
use crate::share::fetch::Newer;
use crate::testing::text;
use crate::txn::tests::bed::topic_name;

const ACCEPT: i8 = 1;
const RELEASE: i8 = 2;
const REJECT: i8 = 3;

/// Looks without anything found, after which it is over, in the calm. They span the longest that a record is locked.
const EMPTY_LOOKS: u32 = 30;

pub struct Sharer {
    name: u64,
    epoch: i32,
    session: i32,
    /// What it was given and has said nothing of.
    has: Vec<(u32, i64, i64)>,
    empty_looks: u32,
}

impl Client for Sharer {
    fn live<'a>(&'a mut self, world: &'a World, node: &'a Node) -> Pin<Box<dyn Future<Output = ()> + 'a>> {
        Box::pin(async move {
            let name = format!("sharer {}", self.name);
            while self.empty_looks < EMPTY_LOOKS {
                world.model.borrow_mut().waiting.insert(name.clone(), format!("has {:?}", self.has));
                world.think(if world.calm.get() { 80 } else { 20 }).await;
                if self.epoch == 0 || world.below(4) == 0 || world.calm.get() {
                    self.beat(world, node).await;
                }
                match self.has.is_empty() {
                    _ if self.epoch == 0 => {}
                    true => self.fetch(world, node).await,
                    false => self.acknowledge(world, node).await,
                }
            }
            world.model.borrow_mut().waiting.remove(&name);
        })
    }
}

/// Nobody writes any more, and all that was written can be read.
fn is_quiet(world: &World, node: &Node) -> bool {
    let model = world.model.borrow();
    let writes = model.waiting.keys().any(|name| name.starts_with("mover") || name.starts_with("producer"));
    !writes && places().map(|place| node.ends(place)).all(|(_, stable, end)| stable == end)
}

impl Sharer {
    pub fn new(name: u64) -> Sharer {
        Sharer { name, epoch: 0, session: 0, has: Vec::new(), empty_looks: 0 }
    }

    fn id(&self) -> String {
        format!("sharer-{}", self.name)
    }

    fn topic(world: &World) -> Uuid {
        Uuid::from_bytes(world.fixtures.topic_id(PLAIN))
    }

    async fn beat(&mut self, world: &World, node: &Node) {
        let request = ShareGroupHeartbeatRequest::default()
            .with_group_id(GroupId(text(SHARERS)))
            .with_member_id(text(&self.id()))
            .with_member_epoch(self.epoch)
            .with_subscribed_topic_names((self.epoch == 0).then(|| vec![topic_name(TOPICS[PLAIN].0)]));
        let Some(answer) = world.ask(node.shares.heartbeat(&node.caller, request)).await else { return };
        world.say(|| format!("{} beats: {} {}", self.id(), answer.error_code, answer.member_epoch));
        match answer.error_code {
            0 => self.epoch = answer.member_epoch,
            code if is_done(code).is_some() => self.epoch = 0,
            _ => {}
        }
    }

    async fn fetch(&mut self, world: &World, node: &Node) {
        let partitions = (0..TOPICS[PLAIN].1 as i32)
            .map(|index| asked::FetchPartition::default().with_partition_index(index))
            .collect();
        let topic =
            asked::FetchTopic::default().with_topic_id(Sharer::topic(world)).with_partitions(partitions);
        let request = ShareFetchRequest::default()
            .with_group_id(Some(GroupId(text(SHARERS))))
            .with_member_id(Some(text(&self.id())))
            .with_share_session_epoch(self.session)
            .with_max_bytes(1 << 20)
            .with_max_records(1 + world.below(20) as i32)
            .with_batch_size(500)
            .with_topics(vec![topic]);
        // Where the answer is lost, so is the session's number.
        let session = std::mem::take(&mut self.session);
        let (began, stamp) = (world.now(), world.stamp());
        let Some((answer, _)) = world.ask(node.shares.fetch(&node.caller, request, Newer::default())).await
        else {
            return world.model.borrow_mut().count("share fetches without an answer");
        };
        if answer.error_code != 0 {
            world.say(|| format!("{} fetches: {}", self.id(), answer.error_code));
            return;
        }
        self.session = session + 1;
        self.empty_looks += u32::from(world.calm.get() && is_quiet(world, node));
        for partition in answer.responses.iter().flat_map(|topic| &topic.partitions) {
            for given in &partition.acquired_records {
                let run = (partition.partition_index as u32, given.first_offset, given.last_offset);
                world.say(|| format!("{} is given {run:?}, {}", self.id(), given.delivery_count));
                self.take(world, run, began, stamp);
                self.has.push(run);
                self.empty_looks = 0;
            }
        }
    }

    /// What it was given was nobody's, and not done with.
    fn take(&self, world: &World, (partition, first, last): (u32, i64, i64), asked: i64, began: u64) {
        let (now, life) = (world.now(), world.lives.get());
        let mut model = world.model.borrow_mut();
        model.count("given");
        for offset in first..=last {
            let at = (partition, offset);
            if model.accepted.contains(&at) {
                model.broken.get_or_insert(format!("{at:?} was done with, and is given to {}", self.id()));
            }
            let given = Given { member: self.name, asked, told: world.stamp(), life };
            let before = model.given.insert(at, Some(given)).flatten();
            let is_locked = before.filter(|before| {
                before.life == life
                    && before.told < began
                    && now < before.asked + LOCK_MS
                    && before.member != self.name
            });
            if let Some(before) = is_locked {
                let what = format!("{at:?} is with sharer {}, and is given to {}", before.member, self.id());
                model.broken.get_or_insert(what);
            }
        }
    }

    async fn acknowledge(&mut self, world: &World, node: &Node) {
        if world.happens(5) {
            return self.say_of_others(world, node).await;
        }
        let (partition, first, last) = self.has.pop().expect("it has some");
        if world.happens(10) {
            // It forgets them: their time ends.
            return;
        }
        let verdict = match world.below(if world.calm.get() { 5 } else { 8 }) {
            0..5 => ACCEPT,
            5 => REJECT,
            _ => RELEASE,
        };
        {
            let mut model = world.model.borrow_mut();
            for offset in first..=last {
                model.given.insert((partition, offset), None);
            }
        }
        let done = self.say(world, node, (partition, first, last), verdict).await;
        if done == Some(true) && verdict != RELEASE {
            let mut model = world.model.borrow_mut();
            model.count("accepted");
            for offset in first..=last {
                if !model.accepted.insert((partition, offset)) {
                    let what = format!("{offset} of {partition} was accepted twice");
                    model.broken.get_or_insert(what);
                }
            }
        }
    }

    /// Accepts what was done with before, or what another has.
    async fn say_of_others(&mut self, world: &World, node: &Node) {
        let chosen = {
            let model = world.model.borrow();
            let theirs = model.given.iter().filter(|(_, given)| {
                given.as_ref().is_some_and(|given| {
                    let is_sure = given.life == world.lives.get() && world.now() + 20 < given.asked + LOCK_MS;
                    given.member != self.name && is_sure
                })
            });
            let all: Vec<(u32, i64)> =
                model.accepted.iter().chain(theirs.map(|(at, _)| at)).copied().collect();
            let at = world.below(all.len() as u64) as usize;
            all.get(at).copied()
        };
        let Some((partition, offset)) = chosen else { return };
        let done = self.say(world, node, (partition, offset, offset), ACCEPT).await;
        let given = world.model.borrow().given.get(&(partition, offset)).cloned().flatten();
        // It may have been given to this one meanwhile, for it was given back.
        let is_own = given.is_some_and(|given| given.member == self.name);
        world.check(done != Some(true) || is_own, || {
            format!("{} accepted {offset} of {partition}, which it does not have", self.id())
        });
    }

    async fn say(
        &mut self,
        world: &World,
        node: &Node,
        (partition, first, last): (u32, i64, i64),
        verdict: i8,
    ) -> Option<bool> {
        let batch = acked::AcknowledgementBatch::default()
            .with_first_offset(first)
            .with_last_offset(last)
            .with_acknowledge_types(vec![verdict]);
        let data = acked::AcknowledgePartition::default()
            .with_partition_index(partition as i32)
            .with_acknowledgement_batches(vec![batch]);
        let topic = acked::AcknowledgeTopic::default()
            .with_topic_id(Sharer::topic(world))
            .with_partitions(vec![data]);
        let request = ShareAcknowledgeRequest::default()
            .with_group_id(Some(GroupId(text(SHARERS))))
            .with_member_id(Some(text(&self.id())))
            .with_share_session_epoch(self.session)
            .with_topics(vec![topic]);
        if self.session == 0 {
            return None;
        }
        let session = std::mem::take(&mut self.session);
        let (answer, _) = world.ask(node.shares.acknowledge(&node.caller, request, false)).await?;
        let code = match answer.error_code {
            0 => answer.responses[0].partitions[0].error_code,
            code => code,
        };
        world.say(|| format!("{} says {verdict} of {partition}: {first} to {last}: {code}", self.id()));
        if answer.error_code == 0 {
            self.session = session + 1;
        }
        is_done(code)
    }
}
