//! A share group (KIP-932): its members read the same partitions together, each record given to one of them at a time
//! until somebody has accepted it. A state machine without I/O, as the other kinds of groups.
//!
//! One epoch, which rises with every change of members, subscriptions or topics. As partitions are nobody's own, what a
//! member is assigned holds at once. Where its records stand is a [`SharePartition`]'s.

mod assignor;
mod image;
mod partition;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::ResponseError;
use tokio::sync::watch;
use tokio::time::Instant;

use super::consumer::{JOINING, LEAVING, Topic, World};
use crate::directory::TopicId;

pub(super) use image::Head;
pub(crate) use partition::{Acknowledgement, Given, Limits, SharePartition, Span, Stands, Verdict, Wish};

/// The one assignor's name.
pub(super) const ASSIGNOR: &str = "simple";

/// Runs of records that a group remembers before it is given what it was never given, some 10 MB.
const RUNS_MAX: usize = 100_000;

/// Partitions of topics.
pub(crate) type Partitions = BTreeSet<(TopicId, i32)>;

/// Bounds of one group.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub members: usize,
    /// Of all members' subscriptions.
    pub bytes: usize,
    /// Partitions that it has begun to read.
    pub partitions: usize,
    /// Records of a partition that may be locked.
    pub records: i64,
    /// How often a record is given.
    pub deliveries: i16,
    /// How long a member may be silent.
    pub session: Duration,
}

/// A heartbeat. What is none has not changed since the last one.
#[derive(Debug, Clone)]
pub(crate) struct ShareBeat {
    pub member_id: Arc<str>,
    pub epoch: i32,
    pub rack: Option<Arc<str>>,
    pub names: Option<BTreeSet<Arc<str>>>,
    pub client_id: Arc<str>,
    pub host: IpAddr,
}

/// What a member is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ShareBeaten {
    pub epoch: i32,
    /// What it reads, where that may be news to it.
    pub assignment: Option<Partitions>,
    /// It has to be stored before it is told.
    pub changed: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Member {
    pub rack: Option<Arc<str>>,
    pub client_id: Arc<str>,
    pub host: Option<IpAddr>,
    pub names: BTreeSet<Arc<str>>,
    /// The group's epoch that it has heard of.
    pub epoch: i32,
    /// The one before: it has not heard of the newer one where it says this.
    previous: i32,
    pub assigned: Partitions,
    deadline: Instant,
    /// It differs from what is stored.
    dirty: bool,
}

/// A share group.
#[derive(Debug)]
pub(crate) struct Share {
    pub(super) epoch: i32,
    pub(super) members: BTreeMap<Arc<str>, Member>,
    /// Partitions that it has begun to read.
    parts: BTreeMap<(TopicId, i32), SharePartition>,
    /// Runs of all partitions together.
    runs: usize,
    /// Something has changed outside of a request and is to be stored.
    pub(super) save: bool,
    /// All of it is to be stored anew.
    pub(super) rewrite: bool,
    topics: BTreeMap<TopicId, Topic>,
    /// What the directory ticked when topics were looked at.
    seen: Option<u64>,
    /// Members whose rows are to go.
    removed: BTreeSet<Arc<str>>,
    /// Topics whose partitions' rows are to go.
    forgotten: BTreeSet<TopicId>,
    /// No record's lock ends before.
    nearest: Option<Instant>,
    /// Ticks when records are free again.
    freed: watch::Sender<u64>,
    bounds: Bounds,
}

impl Share {
    pub(super) fn new(bounds: Bounds) -> Share {
        Share {
            epoch: 0,
            members: BTreeMap::new(),
            parts: BTreeMap::new(),
            runs: 0,
            save: false,
            rewrite: false,
            topics: BTreeMap::new(),
            seen: None,
            removed: BTreeSet::new(),
            forgotten: BTreeSet::new(),
            nearest: None,
            freed: watch::Sender::new(0),
            bounds,
        }
    }

    /// After how long without a word members are taken for gone, from their next heartbeats on. True where that is
    /// sooner than before.
    pub(super) fn set_session(&mut self, session: Duration) -> bool {
        std::mem::replace(&mut self.bounds.session, session) > session
    }

    /// How it stands, as the protocol says it.
    pub(super) fn phase(&self) -> &'static str {
        if self.members.is_empty() { "Empty" } else { "Stable" }
    }

    /// Takes a heartbeat.
    pub(super) fn beat(
        &mut self,
        beat: &ShareBeat,
        world: &World<'_>,
        now: Instant,
    ) -> Result<ShareBeaten, ResponseError> {
        if beat.epoch == LEAVING {
            if !self.members.contains_key(&beat.member_id) {
                return Err(ResponseError::UnknownMemberId);
            }
            self.remove(&beat.member_id);
            return Ok(ShareBeaten { epoch: LEAVING, assignment: None, changed: true });
        }
        let joins = beat.epoch == JOINING;
        if !joins {
            let member = self.members.get(&beat.member_id).ok_or(ResponseError::UnknownMemberId)?;
            if beat.epoch != member.epoch && beat.epoch != member.previous {
                return Err(ResponseError::FencedMemberEpoch);
            }
        }
        self.check_bounds(beat)?;
        let before = self.epoch;
        let resubscribed = self.update(beat, now);
        if resubscribed || self.seen != Some(world.tick) {
            self.look_at_topics(world, resubscribed);
        }
        let epoch = self.epoch;
        let member = self.members.get_mut(&beat.member_id).ok_or(ResponseError::UnknownMemberId)?;
        let tell = joins || beat.names.is_some() || member.epoch != epoch || beat.epoch != member.epoch;
        if member.epoch != epoch {
            member.previous = member.epoch;
            member.epoch = epoch;
            member.dirty = true;
        }
        Ok(ShareBeaten {
            epoch,
            assignment: tell.then(|| member.assigned.clone()),
            changed: member.dirty || before != epoch || !self.removed.is_empty() || self.rewrite,
        })
    }

    fn check_bounds(&self, beat: &ShareBeat) -> Result<(), ResponseError> {
        if !self.members.contains_key(&beat.member_id) && self.members.len() >= self.bounds.members {
            return Err(ResponseError::GroupMaxSizeReached);
        }
        let Some(names) = &beat.names else { return Ok(()) };
        let others = self.members.iter().filter(|(id, _)| **id != beat.member_id);
        let others = others.flat_map(|(_, member)| &member.names);
        let bytes: usize = others.chain(names).map(|name| name.len()).sum();
        if bytes > self.bounds.bytes { Err(ResponseError::GroupMaxSizeReached) } else { Ok(()) }
    }

    /// Takes what the heartbeat brings; true where others are concerned.
    fn update(&mut self, beat: &ShareBeat, now: Instant) -> bool {
        let deadline = now + self.bounds.session;
        let is_new = !self.members.contains_key(&beat.member_id);
        let member = self.members.entry(Arc::clone(&beat.member_id)).or_insert_with(|| Member {
            rack: None,
            client_id: Arc::clone(&beat.client_id),
            host: None,
            names: BTreeSet::new(),
            epoch: JOINING,
            previous: JOINING,
            assigned: Partitions::new(),
            deadline,
            dirty: true,
        });
        if is_new {
            self.removed.remove(&beat.member_id);
        }
        member.deadline = deadline;
        member.host = Some(beat.host);
        if member.client_id != beat.client_id || beat.rack.is_some() && member.rack != beat.rack {
            member.client_id = Arc::clone(&beat.client_id);
            member.rack = beat.rack.clone().or_else(|| member.rack.clone());
            member.dirty = true;
        }
        let wants = beat.names.as_ref().filter(|names| **names != member.names);
        if let Some(names) = wants {
            member.names.clone_from(names);
            member.dirty = true;
        }
        is_new || wants.is_some()
    }

    /// Finds the topics that members want, and shares them out anew where something has changed.
    fn look_at_topics(&mut self, world: &World<'_>, resubscribed: bool) {
        let names: BTreeSet<&Arc<str>> = self.members.values().flat_map(|member| &member.names).collect();
        let found = names.into_iter().filter_map(|name| (world.find)(name));
        let topics: BTreeMap<TopicId, Topic> = found.map(|topic| (topic.id, topic)).collect();
        self.seen = Some(world.tick);
        if resubscribed || topics != self.topics {
            self.topics = topics;
            self.share_out();
        }
    }

    /// Shares partitions out anew: members hear of it with their next heartbeats.
    fn share_out(&mut self) {
        self.epoch += 1;
        let by_name: BTreeMap<&str, TopicId> =
            self.topics.values().map(|topic| (&*topic.name, topic.id)).collect();
        let wishes: Vec<(Arc<str>, BTreeSet<TopicId>)> = self
            .members
            .iter()
            .map(|(id, member)| {
                let wants = member.names.iter().filter_map(|name| by_name.get(&**name).copied());
                (Arc::clone(id), wants.collect())
            })
            .collect();
        let counts = self.topics.values().map(|topic| (topic.id, topic.partitions)).collect();
        let mut shares = assignor::assign(&counts, &wishes);
        for (id, member) in &mut self.members {
            member.assigned = shares.remove(id).unwrap_or_default();
        }
    }

    /// Takes a member out. What it has of records stays locked until its time is over.
    fn remove(&mut self, id: &Arc<str>) {
        if self.members.remove(id).is_none() {
            return;
        }
        self.removed.insert(Arc::clone(id));
        let wanted: BTreeSet<&Arc<str>> = self.members.values().flat_map(|member| &member.names).collect();
        self.topics.retain(|_, topic| wanted.contains(&topic.name));
        self.share_out();
    }

    /// Removes whose session has ended, and takes back records whose time is over.
    pub(super) fn tick(&mut self, now: Instant) {
        let late = self.members.iter().filter(|(_, member)| member.deadline <= now);
        let late: Vec<Arc<str>> = late.map(|(id, _)| Arc::clone(id)).collect();
        for id in &late {
            self.remove(id);
            self.save = true;
        }
        if self.nearest.is_some_and(|nearest| nearest <= now) {
            let mut is_free = false;
            for part in self.parts.values_mut() {
                is_free |= part.expire(now);
                self.save |= part.dirty;
            }
            self.runs = self.parts.values().map(SharePartition::runs).sum();
            self.nearest = self.parts.values().filter_map(SharePartition::nearest).min();
            if is_free {
                self.tell_freed();
            }
        }
    }

    /// When [`Share::tick`] has something to do next.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.members.values().map(|member| member.deadline).chain(self.nearest).min()
    }

    /// What ticks when records are free again that were locked.
    pub(crate) fn freed(&self) -> watch::Receiver<u64> {
        self.freed.subscribe()
    }

    /// Records are free again: who waits for some may look.
    pub(crate) fn tell_freed(&self) {
        self.freed.send_modify(|tick| *tick += 1);
    }

    /// Records are locked until then at the earliest.
    pub(crate) fn locked_until(&mut self, until: Instant) {
        self.nearest = Some(self.nearest.map_or(until, |nearest| nearest.min(until)));
    }

    /// There is room to remember more records that were given.
    pub(crate) fn may_grow(&self) -> bool {
        self.runs < RUNS_MAX
    }

    /// Does something to a partition that it has begun to read.
    pub(crate) fn part<R>(
        &mut self,
        place: (TopicId, i32),
        act: impl FnOnce(&mut SharePartition) -> R,
    ) -> Option<R> {
        let could_grow = self.may_grow();
        let part = self.parts.get_mut(&place)?;
        let before = part.runs();
        let done = act(part);
        self.runs = (self.runs + part.runs()).saturating_sub(before);
        if !could_grow && self.may_grow() {
            self.tell_freed();
        }
        Some(done)
    }

    /// The partitions that it has begun to read.
    pub(crate) fn parts(&self) -> impl Iterator<Item = (&(TopicId, i32), &SharePartition)> {
        self.parts.iter()
    }

    /// A member's session is over: what it has of records is free again. True where there was something.
    pub(crate) fn give_back(&mut self, member: &str) -> bool {
        let mut any = false;
        for part in self.parts.values_mut() {
            any |= part.give_back(member);
        }
        if any {
            self.runs = self.parts.values().map(SharePartition::runs).sum();
            self.tell_freed();
        }
        any
    }

    /// Begins to read a partition from there, in the place of where it was.
    pub(crate) fn begin(&mut self, place: (TopicId, i32), start: i64) -> Result<(), ResponseError> {
        if !self.parts.contains_key(&place) && self.parts.len() >= self.bounds.partitions {
            return Err(ResponseError::PolicyViolation);
        }
        let before = self.parts.insert(place, SharePartition::new(start, self.limits()));
        self.runs = self.runs.saturating_sub(before.map_or(0, |part| part.runs()));
        self.tell_freed();
        Ok(())
    }

    fn limits(&self) -> Limits {
        Limits { records: self.bounds.records, deliveries: self.bounds.deliveries }
    }

    /// Forgets how far a topic has been read; true where something was known of it.
    pub(crate) fn forget_topic(&mut self, topic: TopicId) -> bool {
        let count = self.parts.len();
        self.parts.retain(|(of, _), _| *of != topic);
        self.runs = self.parts.values().map(SharePartition::runs).sum();
        let any = self.parts.len() < count;
        if any {
            self.forgotten.insert(topic);
        }
        any
    }

    /// Forgets topics that are no more.
    pub(super) fn forget_gone(&mut self, is_there: impl Fn(TopicId) -> bool) {
        let topics: BTreeSet<TopicId> = self.parts.keys().map(|(topic, _)| *topic).collect();
        for topic in topics.into_iter().filter(|topic| !is_there(*topic)) {
            self.save |= self.forget_topic(topic);
        }
    }

    /// Nobody is in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }
}
