//! Joining and rebalancing.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::*;
use crate::groups::embedded::{CONSUMER, subscribed_topics};

/// A request to join.
#[derive(Debug, Clone)]
pub(in crate::groups) struct Joining {
    /// Empty for one who comes for the first time.
    pub member_id: Arc<str>,
    /// The id for a new one.
    pub fresh_id: Arc<str>,
    pub instance: Option<Arc<str>>,
    pub client_id: Arc<str>,
    pub host: IpAddr,
    pub session: Duration,
    pub rebalance: Duration,
    pub protocol_type: Arc<str>,
    pub protocols: Protocols,
    /// A new member has to come back with its id (KIP-394; JoinGroup 4).
    pub id_required: bool,
    /// It can be told to lead without assigning (KIP-814; JoinGroup 9).
    pub may_skip: bool,
}

/// One who has joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::groups) struct Joined {
    pub member_id: Arc<str>,
    pub generation: i32,
    pub protocol_type: Option<Arc<str>>,
    pub protocol: Option<Arc<str>>,
    pub leader: Arc<str>,
    /// All members, for the leader alone.
    pub members: Vec<JoinedMember>,
    pub skip_assignment: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::groups) struct JoinedMember {
    pub id: Arc<str>,
    pub instance: Option<Arc<str>>,
    pub metadata: Bytes,
}

/// One who may not join, or not like that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::groups) struct Refused {
    pub error: ResponseError,
    pub member_id: Arc<str>,
}

impl Refused {
    pub fn new(error: ResponseError, member_id: &str) -> Refused {
        Refused { error, member_id: Arc::from(member_id) }
    }
}

type JoinAnswer = Answer<Result<Joined, Refused>>;

impl Classic {
    /// A member joins, or joins again.
    pub fn join(&mut self, joining: Joining, now: Instant) -> JoinAnswer {
        match self.try_join(joining, now) {
            Ok(answer) => answer,
            Err(refused) => Answer::Now(Err(refused)),
        }
    }

    fn try_join(&mut self, joining: Joining, now: Instant) -> Result<JoinAnswer, Refused> {
        let refuse = |error| Refused::new(error, &joining.member_id);
        let current = match &joining.instance {
            Some(instance) => self.statics.get(instance).map(Arc::clone),
            None => None,
        };
        let known = match joining.member_id.is_empty() {
            true => current.as_deref(),
            false => Some(&*joining.member_id).filter(|id| self.members.contains_key(*id)),
        };
        if !self.agrees(&joining, known) {
            return Err(refuse(ResponseError::InconsistentGroupProtocol));
        }
        let others = self.members.iter().filter(|(id, _)| Some(&***id) != known);
        let bytes: usize = others.map(|(_, member)| member.bytes()).sum();
        if bytes + protocol_bytes(&joining.protocols) > self.bounds.bytes {
            return Err(refuse(ResponseError::GroupMaxSizeReached));
        }
        if joining.member_id.is_empty() {
            if let Some(current) = current {
                return Ok(self.replace(&current, joining, now));
            }
            if self.size() >= self.bounds.members {
                return Err(refuse(ResponseError::GroupMaxSizeReached));
            }
            let fresh = Arc::clone(&joining.fresh_id);
            if joining.id_required && joining.instance.is_none() {
                self.pending.insert(Arc::clone(&fresh), now + joining.session);
                return Err(Refused { error: ResponseError::MemberIdRequired, member_id: fresh });
            }
            return Ok(self.add(fresh, joining, now));
        }
        if joining.instance.is_none() && self.pending.remove(&joining.member_id).is_some() {
            let id = Arc::clone(&joining.member_id);
            return Ok(self.add(id, joining, now));
        }
        self.check_member(&joining.member_id, joining.instance.as_deref()).map_err(refuse)?;
        Ok(self.join_again(joining, now))
    }

    /// Its protocols fit those of the other members: at least one is common to all.
    fn agrees(&self, joining: &Joining, known: Option<&str>) -> bool {
        if joining.protocol_type.is_empty() || joining.protocols.is_empty() {
            return false;
        }
        let others: Vec<&Member> =
            self.members.iter().filter(|(id, _)| Some(&***id) != known).map(|(_, member)| member).collect();
        if self.members.is_empty() {
            return true;
        }
        self.protocol_type.as_ref() == Some(&joining.protocol_type)
            && joining.protocols.iter().any(|(name, _)| {
                others.iter().all(|member| member.protocols.iter().any(|(theirs, _)| theirs == name))
            })
    }

    fn add(&mut self, id: Arc<str>, joining: Joining, now: Instant) -> JoinAnswer {
        let (waiter, answer) = oneshot::channel();
        if let Some(instance) = &joining.instance {
            self.statics.insert(Arc::clone(instance), Arc::clone(&id));
        }
        self.joins += 1;
        let member = Member {
            instance: joining.instance,
            client_id: joining.client_id,
            host: Some(joining.host),
            session: joining.session,
            rebalance: joining.rebalance,
            protocols: joining.protocols,
            assignment: Bytes::new(),
            ordinal: self.joins,
            deadline: now + joining.session,
            join: Some(waiter),
            sync: None,
            synced: false,
        };
        self.protocol_type = Some(joining.protocol_type);
        self.leader.get_or_insert_with(|| Arc::clone(&id));
        self.members.insert(id, member);
        self.grown = true;
        self.rebalance(now);
        Answer::Later(answer)
    }

    /// A static member that has been started again: it takes the place of the one that it was (KIP-345).
    fn replace(&mut self, current: &Arc<str>, joining: Joining, now: Instant) -> JoinAnswer {
        let id = Arc::clone(&joining.fresh_id);
        let Some(mut member) = self.members.remove(current) else {
            return self.add(id, joining, now);
        };
        if let Some(waiter) = member.join.take() {
            waiter.send(Err(Refused::new(ResponseError::FencedInstanceId, current))).ok();
        }
        if let Some(waiter) = member.sync.take() {
            waiter.send(Err(ResponseError::FencedInstanceId)).ok();
        }
        if let Some(instance) = &joining.instance {
            self.statics.insert(Arc::clone(instance), Arc::clone(&id));
        }
        let led = self.leader.as_ref() == Some(current);
        if led {
            self.leader = Some(Arc::clone(&id));
        }
        let wants_same = self.wants_same(&member, &joining);
        let may_skip = joining.may_skip;
        self.members.insert(Arc::clone(&id), member);
        self.update(&id, joining, now);
        // Where the others' assignments stand as they are, a restart within the session timeout costs them nothing.
        let stays = self.phase == Phase::Stable && wants_same && self.vote() == self.protocol;
        if !stays {
            let answer = self.wait_joined(&id);
            self.rebalance(now);
            return answer;
        }
        self.save = true;
        let mut joined = self.joined(&id, led && may_skip);
        joined.skip_assignment = led && may_skip;
        if led && !may_skip {
            // One that cannot skip must not take itself for the leader: what it assigned would reach nobody.
            joined.leader = Arc::clone(current);
        }
        Answer::Now(Ok(joined))
    }

    /// The topics that it wants are those that it wanted. What a consumer says beside (what it owned) is of its former
    /// life.
    fn wants_same(&self, member: &Member, joining: &Joining) -> bool {
        let protocol = self.protocol.as_deref().unwrap_or_default();
        let old = member.metadata(protocol);
        let Some((_, new)) = joining.protocols.iter().find(|(name, _)| &**name == protocol) else {
            return false;
        };
        if self.protocol_type.as_deref() != Some(CONSUMER) {
            return old == *new;
        }
        match (subscribed_topics(&old), subscribed_topics(new)) {
            (Some(old), Some(new)) => old == new,
            _ => old == *new,
        }
    }

    fn join_again(&mut self, joining: Joining, now: Instant) -> JoinAnswer {
        let id = Arc::clone(&joining.member_id);
        let leads = self.leader.as_ref() == Some(&id);
        let same = self.members.get(&id).is_some_and(|member| member.protocols == joining.protocols);
        let repeated = match self.phase {
            // It has not heard the answer.
            Phase::CompletingRebalance => same,
            // A leader that joins again wants to assign anew: topics have changed that only it knows of.
            Phase::Stable => same && !leads,
            Phase::Empty | Phase::PreparingRebalance => false,
        };
        self.update(&id, joining, now);
        if repeated {
            return Answer::Now(Ok(self.joined(&id, leads)));
        }
        let answer = self.wait_joined(&id);
        self.rebalance(now);
        answer
    }

    fn update(&mut self, id: &str, joining: Joining, now: Instant) {
        let Some(member) = self.members.get_mut(id) else { return };
        member.client_id = joining.client_id;
        member.host = Some(joining.host);
        member.session = joining.session;
        member.rebalance = joining.rebalance;
        member.protocols = joining.protocols;
        member.deadline = now + joining.session;
    }

    /// It waits for the rebalance to complete. Who waited in its name before has given up.
    fn wait_joined(&mut self, id: &str) -> JoinAnswer {
        let (waiter, answer) = oneshot::channel();
        let former = self.members.get_mut(id).and_then(|member| member.join.replace(waiter));
        if let Some(former) = former {
            former.send(Err(Refused::new(ResponseError::RebalanceInProgress, id))).ok();
        }
        Answer::Later(answer)
    }

    fn rebalance(&mut self, now: Instant) {
        match self.phase {
            Phase::PreparingRebalance => self.try_complete(now),
            _ => self.prepare(now),
        }
    }

    /// Asks all members to join again.
    pub(super) fn prepare(&mut self, now: Instant) {
        for member in self.members.values_mut() {
            if let Some(waiter) = member.sync.take() {
                waiter.send(Err(ResponseError::RebalanceInProgress)).ok();
                // It was waiting for us until now.
                member.deadline = now + member.session;
            }
        }
        let first = self.phase == Phase::Empty;
        let longest = self.longest_rebalance();
        self.saving = None;
        self.sync_deadline = None;
        self.phase = Phase::PreparingRebalance;
        self.rebalance_deadline = Some(now + longest);
        if first && !self.bounds.first_delay.is_zero() {
            let delay = self.bounds.first_delay.min(longest);
            self.settle_until = Some(now + delay);
            self.settle_left = longest.saturating_sub(delay);
            self.grown = false;
        }
        self.try_complete(now);
    }

    fn longest_rebalance(&self) -> Duration {
        self.members.values().map(|member| member.rebalance).max().unwrap_or_default()
    }

    /// The first delay is over; it goes on for as long as members keep coming (KIP-134).
    pub(super) fn settle(&mut self, now: Instant) {
        self.settle_until = None;
        if self.grown && !self.settle_left.is_zero() {
            let delay = self.bounds.first_delay.min(self.settle_left);
            self.settle_left = self.settle_left.saturating_sub(delay);
            self.settle_until = Some(now + delay);
            self.grown = false;
        } else {
            self.try_complete(now);
        }
    }

    /// Completes the rebalance where nobody is waited for.
    pub(super) fn try_complete(&mut self, now: Instant) {
        let waits = self.settle_until.is_some() || !self.pending.is_empty();
        let vacant = self.members.is_empty();
        if self.phase == Phase::PreparingRebalance
            && (vacant || !waits && self.members.values().all(Member::joining))
        {
            self.complete(now);
        }
    }

    /// Ends the rebalance with those who have joined. Static members keep their place until their session ends.
    pub(super) fn complete(&mut self, now: Instant) {
        if self.phase != Phase::PreparingRebalance {
            self.rebalance_deadline = None;
            return;
        }
        let absent = self.members.iter().filter(|(_, member)| !member.joining() && member.instance.is_none());
        for id in absent.map(|(id, _)| Arc::clone(id)).collect::<Vec<_>>() {
            self.remove(&id, ResponseError::UnknownMemberId);
        }
        if self.members.is_empty() {
            self.rebalance_deadline = None;
            self.settle_until = None;
            self.empty();
            return;
        }
        let leads = |id: &Arc<str>| self.members.get(id).is_some_and(Member::joining);
        if !self.leader.as_ref().is_some_and(leads) {
            match self.eldest(Member::joining) {
                Some(leader) => self.leader = Some(leader),
                None => {
                    // None is here but static members that are away: nobody could lead. Their sessions end this.
                    self.rebalance_deadline =
                        Some(now + self.longest_rebalance().max(Duration::from_secs(1)));
                    return;
                }
            }
        }
        self.rebalance_deadline = None;
        self.settle_until = None;
        self.next_generation();
        self.protocol = self.vote();
        self.phase = Phase::CompletingRebalance;
        self.sync_deadline = Some(now + self.longest_rebalance());
        for id in self.members.keys().map(Arc::clone).collect::<Vec<_>>() {
            let joined = self.joined(&id, self.leader.as_ref() == Some(&id));
            let Some(member) = self.members.get_mut(&id) else { continue };
            // A static member that is away is waited for by its session alone.
            member.synced = !member.joining();
            member.assignment = Bytes::new();
            if let Some(waiter) = member.join.take() {
                member.deadline = now + member.session;
                waiter.send(Ok(joined)).ok();
            }
        }
    }

    fn empty(&mut self) {
        self.next_generation();
        self.phase = Phase::Empty;
        self.protocol = None;
        self.leader = None;
        self.save = true;
    }

    fn next_generation(&mut self) {
        // After 2^31 generations it begins anew; no member of the first ones is alive.
        self.generation = self.generation.checked_add(1).unwrap_or(1);
    }

    /// The protocol that all support and most prefer.
    fn vote(&self) -> Option<Arc<str>> {
        let mut votes: HashMap<&Arc<str>, usize> = HashMap::new();
        let everyone_has = |name: &Arc<str>| {
            self.members.values().all(|member| member.protocols.iter().any(|(theirs, _)| theirs == name))
        };
        let first = self.members.values().next()?;
        let common: Vec<&Arc<str>> =
            first.protocols.iter().map(|(name, _)| name).filter(|name| everyone_has(name)).collect();
        for member in self.members.values() {
            if let Some((name, _)) = member.protocols.iter().find(|(name, _)| common.contains(&name)) {
                *votes.entry(name).or_default() += 1;
            }
        }
        votes
            .into_iter()
            .max_by_key(|(name, count)| (*count, Reverse(*name)))
            .map(|(name, _)| Arc::clone(name))
    }

    fn joined(&self, id: &Arc<str>, with_members: bool) -> Joined {
        let protocol = self.protocol.as_deref().unwrap_or_default();
        let mut members = Vec::new();
        if with_members {
            members.extend(self.members.iter().map(|(id, member)| JoinedMember {
                id: Arc::clone(id),
                instance: member.instance.clone(),
                metadata: member.metadata(protocol),
            }));
        }
        Joined {
            member_id: Arc::clone(id),
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            leader: self.leader.clone().unwrap_or_else(|| Arc::from("")),
            members,
            skip_assignment: false,
        }
    }
}
