//! A group of the classic protocol: members join, a leader assigns, all heartbeat (Kafka protocol guide, "Group
//! Membership"; KIP-62, KIP-345, KIP-394). A state machine without I/O: every call says what time it is, what has to
//! be stored is noted in [`Classic::save`] and [`Classic::save_assignment`], and who waits is answered through a
//! channel.

mod image;
mod join;
mod sync;

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use candor_model::Timestamp;
use kafka_protocol::ResponseError;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::mutant::{Mutant, planted};

pub(super) use image::Head;
pub(super) use join::{Joined, Joining, Refused};
pub(super) use sync::{Synced, Syncing};

/// Where a group stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// No members. It may have offsets.
    Empty,
    /// Members are asked to join again.
    PreparingRebalance,
    /// All have joined; the leader has not assigned yet.
    CompletingRebalance,
    /// Every member knows its assignment.
    Stable,
}

impl Phase {
    /// As the protocol says it.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Empty => "Empty",
            Phase::PreparingRebalance => "PreparingRebalance",
            Phase::CompletingRebalance => "CompletingRebalance",
            Phase::Stable => "Stable",
        }
    }
}

/// An answer at once, or one that is waited for.
#[derive(Debug)]
pub(super) enum Answer<T> {
    Now(T),
    Later(oneshot::Receiver<T>),
}

/// Protocols with each one's metadata, in the order of the member's preference.
pub(super) type Protocols = Vec<(Arc<str>, Bytes)>;

/// Bounds of one group, and how long the first rebalance waits for more members.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub members: usize,
    pub bytes: usize,
    pub first_delay: Duration,
}

#[derive(Debug)]
pub(super) struct Member {
    pub instance: Option<Arc<str>>,
    pub client_id: Arc<str>,
    pub host: Option<IpAddr>,
    pub session: Duration,
    pub rebalance: Duration,
    pub protocols: Protocols,
    pub assignment: Bytes,
    /// Order of joining: the one who is longest here leads.
    ordinal: u64,
    /// When it is gone unless it is heard of. Put off while it waits for an answer of ours.
    deadline: Instant,
    join: Option<oneshot::Sender<Result<Joined, Refused>>>,
    sync: Option<oneshot::Sender<Result<Synced, ResponseError>>>,
    /// It has asked for its assignment of this generation.
    synced: bool,
}

impl Member {
    /// It waits for the rebalance to complete. One whose connection is gone does not.
    fn joining(&self) -> bool {
        self.join.as_ref().is_some_and(|waiter| !waiter.is_closed())
    }

    fn syncing(&self) -> bool {
        self.sync.as_ref().is_some_and(|waiter| !waiter.is_closed())
    }

    /// Its metadata for a protocol.
    pub fn metadata(&self, protocol: &str) -> Bytes {
        let found = self.protocols.iter().find(|(name, _)| &**name == protocol);
        found.map(|(_, metadata)| metadata.clone()).unwrap_or_default()
    }

    fn bytes(&self) -> usize {
        protocol_bytes(&self.protocols) + self.assignment.len()
    }
}

fn protocol_bytes(protocols: &Protocols) -> usize {
    protocols.iter().map(|(name, metadata)| name.len() + metadata.len()).sum()
}

/// A group.
#[derive(Debug)]
pub(super) struct Classic {
    pub phase: Phase,
    pub generation: i32,
    /// None until somebody has joined: such a group has offsets alone.
    pub protocol_type: Option<Arc<str>>,
    /// What was voted for.
    pub protocol: Option<Arc<str>>,
    pub leader: Option<Arc<str>>,
    pub members: BTreeMap<Arc<str>, Member>,
    /// Since when it has no members; none where it never had any.
    pub empty_since: Option<Timestamp>,
    /// What belongs to the group has changed and is to be stored.
    pub save: bool,
    /// The leader has assigned in this generation: once that is stored, [`Classic::saved`] is to be called.
    pub save_assignment: Option<i32>,
    statics: HashMap<Arc<str>, Arc<str>>,
    /// Ids that were given out and have not joined yet (KIP-394), and until when they may.
    pending: HashMap<Arc<str>, Instant>,
    joins: u64,
    rebalance_deadline: Option<Instant>,
    sync_deadline: Option<Instant>,
    /// The first rebalance waits until then for more members (KIP-134).
    settle_until: Option<Instant>,
    settle_left: Duration,
    grown: bool,
    /// The generation whose assignment is being stored.
    saving: Option<i32>,
    bounds: Bounds,
}

impl Classic {
    pub fn new(bounds: Bounds) -> Classic {
        Classic {
            phase: Phase::Empty,
            generation: 0,
            protocol_type: None,
            protocol: None,
            leader: None,
            members: BTreeMap::new(),
            empty_since: None,
            save: false,
            save_assignment: None,
            statics: HashMap::new(),
            pending: HashMap::new(),
            joins: 0,
            rebalance_deadline: None,
            sync_deadline: None,
            settle_until: None,
            settle_left: Duration::ZERO,
            grown: false,
            saving: None,
            bounds,
        }
    }

    /// Nobody is in it or about to be.
    pub fn is_vacant(&self) -> bool {
        self.members.is_empty() && self.pending.is_empty()
    }

    /// How many hold a place.
    pub fn size(&self) -> usize {
        self.members.len() + self.pending.len()
    }

    /// The member is one, and the one that its instance id stands for (KIP-345).
    fn check_member(&self, member_id: &str, instance: Option<&str>) -> Result<(), ResponseError> {
        if let Some(instance) = instance {
            match self.statics.get(instance) {
                None => return Err(ResponseError::UnknownMemberId),
                Some(_) if planted(Mutant::KeepReplaced) => return Ok(()),
                Some(current) if &**current != member_id => return Err(ResponseError::FencedInstanceId),
                Some(_) => {}
            }
        }
        match self.members.contains_key(member_id) {
            true => Ok(()),
            false => Err(ResponseError::UnknownMemberId),
        }
    }

    fn check_generation(
        &self,
        member_id: &str,
        instance: Option<&str>,
        generation: i32,
    ) -> Result<(), ResponseError> {
        self.check_member(member_id, instance)?;
        match generation == self.generation || planted(Mutant::SkipGeneration) {
            true => Ok(()),
            false => Err(ResponseError::IllegalGeneration),
        }
    }

    fn renew(&mut self, member_id: &str, now: Instant) {
        if let Some(member) = self.members.get_mut(member_id) {
            member.deadline = now + member.session;
        }
    }

    /// A member says that it lives.
    pub fn heartbeat(
        &mut self,
        member_id: &str,
        instance: Option<&str>,
        generation: i32,
        now: Instant,
    ) -> Result<(), ResponseError> {
        self.check_generation(member_id, instance, generation)?;
        self.renew(member_id, now);
        match self.phase {
            Phase::Empty => Err(ResponseError::UnknownMemberId),
            Phase::PreparingRebalance => Err(ResponseError::RebalanceInProgress),
            Phase::CompletingRebalance | Phase::Stable => Ok(()),
        }
    }

    /// Whether offsets may be committed so; a member that commits lives. Of a transaction's offsets the member is
    /// checked where it is named (KIP-447).
    pub fn check_commit(
        &mut self,
        member_id: &str,
        instance: Option<&str>,
        generation: i32,
        transactional: bool,
        now: Instant,
    ) -> Result<(), ResponseError> {
        // A consumer that assigns itself names a member id all the same where it speaks KIP-848.
        if generation < 0 && self.phase == Phase::Empty {
            return Ok(());
        }
        if generation >= 0 || !member_id.is_empty() || instance.is_some() {
            self.check_generation(member_id, instance, generation)?;
        } else if !transactional {
            return Err(ResponseError::UnknownMemberId);
        }
        if !transactional && self.phase == Phase::CompletingRebalance {
            return Err(ResponseError::RebalanceInProgress);
        }
        self.renew(member_id, now);
        Ok(())
    }

    /// A member leaves, by its id, its instance id or both.
    pub fn leave(
        &mut self,
        member_id: &str,
        instance: Option<&str>,
        now: Instant,
    ) -> Result<(), ResponseError> {
        let leaving: Arc<str> = match instance {
            Some(instance) => {
                let current = self.statics.get(instance).ok_or(ResponseError::UnknownMemberId)?;
                if !member_id.is_empty() && **current != *member_id {
                    return Err(ResponseError::FencedInstanceId);
                }
                Arc::clone(current)
            }
            None if self.pending.remove(member_id).is_some() => {
                self.try_complete(now);
                return Ok(());
            }
            None => Arc::from(member_id),
        };
        if self.remove(&leaving, ResponseError::UnknownMemberId) {
            self.after_removal(now);
            Ok(())
        } else {
            Err(ResponseError::UnknownMemberId)
        }
    }

    /// Takes a member out; whoever waits in its name gets the error.
    fn remove(&mut self, member_id: &str, error: ResponseError) -> bool {
        let Some(mut member) = self.members.remove(member_id) else { return false };
        if let Some(instance) = &member.instance {
            self.statics.remove(instance);
        }
        if let Some(waiter) = member.join.take() {
            waiter.send(Err(Refused::new(error, member_id))).ok();
        }
        if let Some(waiter) = member.sync.take() {
            waiter.send(Err(error)).ok();
        }
        if self.leader.as_deref() == Some(member_id) {
            self.leader = self.eldest(|_| true);
        }
        true
    }

    fn eldest(&self, fit: impl Fn(&Member) -> bool) -> Option<Arc<str>> {
        let fitting = self.members.iter().filter(|(_, member)| fit(member));
        fitting.min_by_key(|(_, member)| member.ordinal).map(|(id, _)| Arc::clone(id))
    }

    fn after_removal(&mut self, now: Instant) {
        match self.phase {
            Phase::Empty => {}
            Phase::PreparingRebalance => self.try_complete(now),
            Phase::CompletingRebalance | Phase::Stable => self.prepare(now),
        }
    }

    /// Does what is due. To be called at [`Classic::next_deadline`]; calling it earlier does no harm.
    pub fn tick(&mut self, now: Instant) {
        if self.settle_until.is_some_and(|at| at <= now) {
            self.settle(now);
        }
        let pending = self.pending.len();
        self.pending.retain(|_, until| *until > now);
        if self.pending.len() < pending {
            self.try_complete(now);
        }
        self.expire_members(now);
        if self.rebalance_deadline.is_some_and(|at| at <= now) && self.settle_until.is_none() {
            self.complete(now);
        }
        if self.sync_deadline.is_some_and(|at| at <= now) {
            self.expire_syncs(now);
        }
    }

    fn expire_members(&mut self, now: Instant) {
        let mut expired = Vec::new();
        for (id, member) in &mut self.members {
            if member.deadline > now || planted(Mutant::SkipSessionTimeout) {
                continue;
            }
            if member.joining() || member.syncing() {
                // It waits for us, not we for it.
                member.deadline = now + member.session;
            } else {
                expired.push(Arc::clone(id));
            }
        }
        for id in &expired {
            self.remove(id, ResponseError::UnknownMemberId);
        }
        if !expired.is_empty() {
            self.after_removal(now);
        }
    }

    /// Members that joined and never asked for their assignment hold up nobody longer than a rebalance may take.
    fn expire_syncs(&mut self, now: Instant) {
        self.sync_deadline = None;
        if !matches!(self.phase, Phase::CompletingRebalance | Phase::Stable) {
            return;
        }
        let silent = self.members.iter().filter(|(_, member)| !member.synced);
        let silent: Vec<Arc<str>> = silent.map(|(id, _)| Arc::clone(id)).collect();
        for id in &silent {
            self.remove(id, ResponseError::UnknownMemberId);
        }
        if !silent.is_empty() {
            self.prepare(now);
        } else if self.phase == Phase::CompletingRebalance && self.saving.is_none() {
            // All have asked, the leader among them, and there is no assignment: storage has failed meanwhile.
            self.prepare(now);
        }
    }

    /// When [`Classic::tick`] has something to do next.
    pub fn next_deadline(&self) -> Option<Instant> {
        let sessions = self.members.values().map(|member| member.deadline);
        let pending = self.pending.values().copied();
        let rebalance = self.rebalance_deadline.filter(|_| self.settle_until.is_none());
        let others = [rebalance, self.sync_deadline, self.settle_until];
        sessions.chain(pending).chain(others.into_iter().flatten()).min()
    }
}
