//! A group of the consumer protocol (KIP-848): members say in heartbeats what they want and own, the group says what
//! each may have. A state machine without I/O, as the classic one.
//!
//! Three epochs: the group's rises with every change of members, subscriptions or topics; the target assignment has
//! that of the group it was made for; a member has that of the target it has come to. A partition belongs to one member
//! at most: whoever is to have it next waits until its owner has said that it let go, or is gone.

mod assignor;
mod heartbeat;
mod image;
mod matches;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use candor_model::Timestamp;
use kafka_protocol::ResponseError;
use tokio::time::Instant;

use crate::directory::TopicId;
use crate::mutant::{Mutant, planted};

pub(super) use assignor::Assignor;
pub(super) use heartbeat::{Beat, Beaten, Topic, World};
pub(super) use image::Head;
pub(super) use matches::compile;

/// The epoch with which a member joins.
pub(super) const JOINING: i32 = 0;
/// The epoch with which a member leaves.
pub(super) const LEAVING: i32 = -1;
/// The epoch with which a static member leaves for a while.
pub(super) const LEAVING_STATIC: i32 = -2;

/// Partitions of topics.
pub(super) type Partitions = BTreeSet<(TopicId, i32)>;

/// Bounds of one group.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub members: usize,
    pub bytes: usize,
    pub session: Duration,
}

/// What a member wants.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Subscription {
    pub names: BTreeSet<Arc<str>>,
    pub regex: Option<Arc<str>>,
    pub rack: Option<Arc<str>>,
    pub assignor: Option<Assignor>,
}

impl Subscription {
    fn bytes(&self) -> usize {
        let names: usize = self.names.iter().map(|name| name.len()).sum();
        names + self.regex.as_ref().map_or(0, |regex| regex.len())
    }
}

#[derive(Debug, Clone)]
pub(super) struct Member {
    pub instance: Option<Arc<str>>,
    pub client_id: Arc<str>,
    /// Who it is, and where; none until it is heard of after a start.
    user: Option<Arc<str>>,
    pub host: Option<IpAddr>,
    pub rebalance: Duration,
    pub subscription: Subscription,
    /// The target that it has come to; [`LEAVING_STATIC`] while it is away.
    pub epoch: i32,
    /// The one before: it has not heard of the newer one where it says this.
    previous: i32,
    /// What it may use.
    pub assigned: Partitions,
    /// What it is to let go of, and has not said that it did.
    revoking: Partitions,
    /// What it is to have in the end.
    pub target: Partitions,
    /// The topics that its subscription means now.
    topics: BTreeSet<TopicId>,
    /// They have been looked for since the start.
    looked: bool,
    /// Its expression counts from its next heartbeat on: topics that it names come first, as from Kafka, which matches
    /// expressions aside.
    matches_later: bool,
    deadline: Instant,
    /// Until when it has to let go.
    revoke_by: Option<Instant>,
    /// It differs from what is stored.
    dirty: bool,
}

/// A group.
#[derive(Debug)]
pub(super) struct Consumer {
    pub epoch: i32,
    pub assignment_epoch: i32,
    pub assignor: Assignor,
    pub members: BTreeMap<Arc<str>, Member>,
    pub empty_since: Option<Timestamp>,
    /// Something has changed outside of a request and is to be stored.
    pub save: bool,
    /// All of it is to be stored anew.
    pub rewrite: bool,
    statics: HashMap<Arc<str>, Arc<str>>,
    /// Whose each partition is, as long as its member has not let go.
    owners: HashMap<(TopicId, i32), Arc<str>>,
    /// The topics that members want, with their partitions, as the target assignment knows them.
    topics: BTreeMap<TopicId, Topic>,
    /// What the directory ticked, and the rules, when topics were looked at.
    seen: Option<(u64, u64)>,
    /// Members whose rows are to go.
    removed: BTreeSet<Arc<str>>,
    bounds: Bounds,
}

impl Consumer {
    pub fn new(bounds: Bounds) -> Consumer {
        Consumer {
            epoch: 0,
            assignment_epoch: 0,
            assignor: Assignor::Uniform,
            members: BTreeMap::new(),
            empty_since: None,
            save: false,
            // A group of the other kind may have been there.
            rewrite: true,
            statics: HashMap::new(),
            owners: HashMap::new(),
            topics: BTreeMap::new(),
            seen: None,
            removed: BTreeSet::new(),
            bounds,
        }
    }

    /// After how long without a word members are taken for gone, from their next heartbeats on. True where that is
    /// sooner than before.
    pub fn set_session(&mut self, session: Duration) -> bool {
        std::mem::replace(&mut self.bounds.session, session) > session
    }

    /// How it stands, as the protocol says it.
    pub fn phase(&self) -> &'static str {
        if self.members.is_empty() {
            "Empty"
        } else if self.epoch > self.assignment_epoch {
            "Assigning"
        } else if self.members.values().any(|member| !self.is_settled(member)) {
            "Reconciling"
        } else {
            "Stable"
        }
    }

    /// It has all that it is to have, or is away.
    fn is_settled(&self, member: &Member) -> bool {
        member.epoch == LEAVING_STATIC
            || member.epoch == self.assignment_epoch
                && member.revoking.is_empty()
                && member.assigned == member.target
    }

    /// The names of topics that members read, as far as there are such topics.
    pub fn topic_names(&self) -> Vec<String> {
        let wanted = self.members.values().flat_map(|member| &member.subscription.names);
        let found = self.topics.values().map(|topic| &topic.name);
        wanted.chain(found).map(|name| name.to_string()).collect()
    }

    /// Whether a member may commit, or read what is committed, at that epoch. An empty group may be reset by anybody.
    pub fn check_epoch(&self, member_id: &str, epoch: i32, transactional: bool) -> Result<(), ResponseError> {
        if epoch < 0 && (self.members.is_empty() || transactional && member_id.is_empty()) {
            return Ok(());
        }
        let member = self.members.get(member_id).ok_or(ResponseError::UnknownMemberId)?;
        match epoch == member.epoch || planted(Mutant::SkipMemberEpoch) {
            true => Ok(()),
            false => Err(ResponseError::StaleMemberEpoch),
        }
    }

    /// A member is removed by somebody else.
    pub fn expel(&mut self, member_id: &str, instance: Option<&str>) -> Result<(), ResponseError> {
        let id = match instance {
            None => Arc::from(member_id),
            Some(instance) => {
                let current = self.statics.get(instance).ok_or(ResponseError::UnknownMemberId)?;
                if !member_id.is_empty() && **current != *member_id {
                    return Err(ResponseError::FencedInstanceId);
                }
                Arc::clone(current)
            }
        };
        if !self.members.contains_key(&id) {
            return Err(ResponseError::UnknownMemberId);
        }
        self.remove(&id);
        self.save = true;
        Ok(())
    }

    /// The target assignment is to be made anew. The epoch rises once for all that changes before that.
    fn outdate(&mut self) {
        if self.epoch == self.assignment_epoch {
            self.epoch += 1;
        }
    }

    /// Takes a member out, with all that it owns; the others are assigned anew at their next heartbeats.
    fn remove(&mut self, id: &Arc<str>) {
        let Some(member) = self.members.remove(id) else { return };
        if let Some(instance) = member.instance
            && self.statics.get(&instance) == Some(id)
        {
            self.statics.remove(&instance);
        }
        for partition in member.assigned.iter().chain(&member.revoking) {
            if self.owners.get(partition) == Some(id) {
                self.owners.remove(partition);
            }
        }
        self.removed.insert(Arc::clone(id));
        self.outdate();
        // Topics that only it wanted are not watched any longer.
        self.seen = None;
    }

    /// Removes whose session has ended, and who does not let go in time.
    pub fn tick(&mut self, now: Instant) {
        let late = |member: &Member| member.deadline <= now || member.revoke_by.is_some_and(|by| by <= now);
        let late: Vec<Arc<str>> = self
            .members
            .iter()
            .filter(|(_, member)| late(member) && !planted(Mutant::SkipSessionTimeout))
            .map(|(id, _)| Arc::clone(id))
            .collect();
        for id in &late {
            self.remove(id);
            self.save = true;
        }
    }

    /// When [`Consumer::tick`] has something to do next.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.members
            .values()
            .flat_map(|member| std::iter::once(member.deadline).chain(member.revoke_by))
            .min()
    }
}
