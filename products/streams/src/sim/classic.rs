//! Members of a classic group: they join, are assigned, commit, fall silent, die and come back; two share an instance id.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::*;

use super::checks::offset;
use super::model::Instance;
use super::node::{Node, PLAIN, TOPICS};
use super::producers::is_done;
use super::world::{Client, World};
use crate::testing::text;
use crate::txn::tests::bed::topic_name;

pub const GROUP: &str = "classic";
const SESSION_MS: i32 = 120;
const REBALANCE_MS: i32 = 200;
/// Two members that say that they are the same.
const TWIN: &str = "twin";
/// What comes before an assignment's partitions, so that none is empty.
const MARK: u8 = b'=';

pub struct ClassicMember {
    name: u64,
    id: String,
    /// What it is in, once it has its partitions.
    generation: Option<i32>,
    partitions: Vec<u8>,
    is_over: bool,
}

impl Client for ClassicMember {
    fn live<'a>(&'a mut self, world: &'a World, node: &'a Node) -> Pin<Box<dyn Future<Output = ()> + 'a>> {
        Box::pin(async move {
            let name = format!("classic {}", self.name);
            // In the calm one of the twins stays away.
            while !(self.is_over || world.calm.get() && self.name == 3) {
                let about = format!("{} in {:?}", self.id, self.generation);
                world.model.borrow_mut().waiting.insert(name.clone(), about);
                world.think(20).await;
                if world.happens(25) {
                    // It is gone without a word.
                    (self.generation, self.id) = (None, String::new());
                    world.think(2 * SESSION_MS as u64).await;
                }
                match self.generation {
                    None => self.join(world, node).await,
                    Some(generation) => self.stay(world, node, generation).await,
                }
            }
            world.model.borrow_mut().waiting.remove(&name);
        })
    }
}

/// Commits an offset that nobody has committed before, and says what came of it.
pub async fn commit(
    world: &World,
    node: &Node,
    group: &'static str,
    partition: u32,
    (member, instance, generation): (&str, Option<&str>, i32),
    version: i16,
) -> Option<bool> {
    let (offset, attempt) = {
        let mut model = world.model.borrow_mut();
        model.last_offset += 1;
        let offset = model.last_offset;
        (offset, model.offsets.entry((group, partition)).or_default().begin(offset, world.stamp()))
    };
    let place = OffsetCommitRequestPartition::default()
        .with_partition_index(partition as i32)
        .with_committed_offset(offset);
    let topic = OffsetCommitRequestTopic::default()
        .with_name(topic_name(TOPICS[PLAIN].0))
        .with_partitions(vec![place]);
    let request = OffsetCommitRequest::default()
        .with_group_id(GroupId(text(group)))
        .with_member_id(text(member))
        .with_group_instance_id(instance.map(text))
        .with_generation_id_or_member_epoch(generation)
        .with_topics(vec![topic]);
    let answer = world.ask(node.groups.offset_commit(&node.caller, request, version)).await;
    let code = answer.map(|response| response.topics[0].partitions[0].error_code);
    world.say(|| format!("{group} {member} in {generation} commits {offset} of {partition}: {code:?}"));
    let done = is_done(code?);
    let mut model = world.model.borrow_mut();
    let stamp = world.stamp();
    model.offsets.entry((group, partition)).or_default().end(attempt, done, stamp);
    if done == Some(true) {
        model.count("offsets");
    }
    done
}

/// Looks what is committed.
pub async fn look(world: &World, node: &Node, group: &'static str, partition: u32) {
    let began = world.stamp();
    let Some(Ok(found)) = world.ask(offset(node, group, partition)).await else { return };
    let mut model = world.model.borrow_mut();
    let fits = model.offsets.entry((group, partition)).or_default().may_be(found, began);
    drop(model);
    world.say(|| format!("{group} has {found} of {partition}"));
    world.check(fits, || format!("{group} has {found} committed of {partition}, which cannot be"));
}

impl ClassicMember {
    pub fn new(name: u64) -> ClassicMember {
        ClassicMember { name, id: String::new(), generation: None, partitions: Vec::new(), is_over: false }
    }

    fn instance(&self) -> Option<&'static str> {
        (self.name >= 2).then_some(TWIN)
    }

    /// True where another has taken its place, as was told before now.
    fn is_replaced(&self, world: &World) -> bool {
        let model = world.model.borrow();
        self.instance().and_then(|of| model.instances.get(of)).is_some_and(|newest| newest.member != self.id)
    }

    async fn join(&mut self, world: &World, node: &Node) {
        let protocol = JoinGroupRequestProtocol::default()
            .with_name(text("range"))
            .with_metadata(Bytes::from_static(b"plain"));
        let request = JoinGroupRequest::default()
            .with_group_id(GroupId(text(GROUP)))
            .with_session_timeout_ms(SESSION_MS)
            .with_rebalance_timeout_ms(REBALANCE_MS)
            .with_member_id(text(&self.id))
            .with_group_instance_id(self.instance().map(text))
            .with_protocol_type(text("consumer"))
            .with_protocols(vec![protocol]);
        let (asked, synced) = (world.stamp(), world.model.borrow().synced);
        let was_replaced = !self.id.is_empty() && self.is_replaced(world);
        let Some(joined) = world.ask(node.groups.join(&node.caller, request, 5)).await else { return };
        world.say(|| {
            let told = (joined.error_code, joined.member_id.as_str(), joined.generation_id);
            format!("classic {} joins: {told:?}", self.name)
        });
        match joined.error_code {
            0 => {}
            79 => return self.id = joined.member_id.to_string(),
            _ => return self.id.clear(),
        }
        world.check(!was_replaced, || format!("{} joined, and had been replaced", self.id));
        self.id = joined.member_id.to_string();
        if let Some(instance) = self.instance() {
            let told = world.stamp();
            let mut model = world.model.borrow_mut();
            let held = model.instances.get(instance).map(|held| (held.member == self.id, held.told > asked));
            match held {
                Some((true, _)) => {}
                // Which of two that asked beside one another came last nobody can tell.
                Some((false, true)) => drop(model.instances.remove(instance)),
                _ => {
                    let newest = Instance { member: self.id.clone(), told, is_stored: false };
                    model.instances.insert(instance, newest);
                }
            }
        }
        let generation = joined.generation_id;
        world.check(generation >= synced, || format!("generation {generation} comes after {synced}"));
        self.sync(world, node, &joined).await;
    }

    async fn sync(&mut self, world: &World, node: &Node, joined: &JoinGroupResponse) {
        let generation = joined.generation_id;
        let mut shares: BTreeMap<String, Vec<u8>> =
            joined.members.iter().map(|member| (member.member_id.to_string(), vec![MARK])).collect();
        let members: Vec<String> = shares.keys().cloned().collect();
        for partition in 0..TOPICS[PLAIN].1 as usize {
            if let Some(share) = members.get(partition % members.len().max(1)) {
                shares.get_mut(share).expect("it is one of them").push(partition as u8);
            }
        }
        let given = shares.iter().map(|(id, share)| {
            SyncGroupRequestAssignment::default()
                .with_member_id(text(id))
                .with_assignment(Bytes::from(share.clone()))
        });
        let request = SyncGroupRequest::default()
            .with_group_id(GroupId(text(GROUP)))
            .with_generation_id(generation)
            .with_member_id(joined.member_id.clone())
            .with_group_instance_id(self.instance().map(text))
            .with_assignments(given.collect());
        if !shares.is_empty() {
            world.model.borrow_mut().assigned.insert((world.lives.get(), generation), shares);
        }
        let was_replaced = self.is_replaced(world);
        let Some(synced) = world.ask(node.groups.sync(&node.caller, request, 3)).await else { return };
        world.say(|| format!("classic {} syncs: {} {:?}", self.name, synced.error_code, synced.assignment));
        if synced.error_code != 0 {
            return;
        }
        world.check(!was_replaced, || format!("{} was assigned to, and had been replaced", self.id));
        let mut model = world.model.borrow_mut();
        let of_it = model.assigned.iter().rev().find(|((_, number), _)| *number == generation);
        // One that took another's place has what that one had.
        let fits = of_it.is_some_and(|(_, shares)| match self.instance() {
            None => shares.get(&self.id).is_some_and(|share| *share == synced.assignment),
            Some(_) => shares.values().any(|share| *share == synced.assignment),
        });
        model.synced = generation.max(model.synced);
        model.count("assignments");
        let newest = self.instance().and_then(|of| model.instances.get_mut(of));
        if let Some(newest) = newest.filter(|newest| newest.member == self.id) {
            newest.is_stored = true;
        }
        drop(model);
        world.check(fits, || format!("generation {generation} gives {} what its leader did not", self.id));
        self.generation = Some(generation);
        self.partitions = synced.assignment.iter().skip(1).copied().collect();
    }

    async fn stay(&mut self, world: &World, node: &Node, generation: i32) {
        let partition = self.partitions.get(world.below(3) as usize).copied().unwrap_or(0);
        let (newest, was_replaced) = (world.model.borrow().synced, self.is_replaced(world));
        if world.happens(6) {
            // As one of a generation that is over.
            let who = (self.id.as_str(), self.instance(), generation - 1);
            let done = commit(world, node, GROUP, u32::from(partition), who, 8).await;
            world.check(done != Some(true), || format!("{who:?} committed, {generation} had begun"));
        } else {
            let who = (self.id.as_str(), self.instance(), generation);
            let done = commit(world, node, GROUP, u32::from(partition), who, 8).await;
            let fits = done != Some(true) || newest <= generation && !was_replaced;
            world.check(fits, || format!("{who:?} committed: {newest}, replaced {was_replaced}"));
        }
        look(world, node, GROUP, u32::from(partition)).await;
        let was_replaced = self.is_replaced(world);
        let request = HeartbeatRequest::default()
            .with_group_id(GroupId(text(GROUP)))
            .with_generation_id(generation)
            .with_member_id(text(&self.id))
            .with_group_instance_id(self.instance().map(text));
        let Some(beaten) = world.ask(node.groups.heartbeat(&node.caller, request, 3)).await else { return };
        match beaten.error_code {
            0 => {
                world.check(!was_replaced, || format!("{} lives, and had been replaced", self.id));
                self.is_over = world.calm.get() && world.model.borrow().synced == generation;
            }
            27 => self.generation = None,
            _ => (self.generation, self.id) = (None, String::new()),
        }
    }
}
