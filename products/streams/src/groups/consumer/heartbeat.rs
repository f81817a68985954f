//! A member's heartbeat, which is all that it says: it joins, changes its mind, lets go of partitions, leaves.

use super::assignor::{Sharer, assign};
use super::matches::Matches;
use super::*;
use crate::admin::acl::Sights;

/// A topic as subscriptions see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::groups) struct Topic {
    pub id: TopicId,
    pub name: Arc<str>,
    pub partitions: u32,
}

/// What topics there are.
pub(in crate::groups) struct World<'a> {
    /// Changes with them.
    pub tick: u64,
    pub find: &'a (dyn Fn(&str) -> Option<Topic> + Sync),
    pub all: &'a (dyn Fn() -> Vec<Topic> + Sync),
}

/// A heartbeat. What is none has not changed since the last one.
#[derive(Debug, Clone)]
pub(in crate::groups) struct Beat {
    pub member_id: Arc<str>,
    pub epoch: i32,
    pub instance: Option<Arc<str>>,
    pub rack: Option<Arc<str>>,
    pub rebalance: Option<Duration>,
    pub names: Option<BTreeSet<Arc<str>>>,
    /// An empty one takes the subscription by expression back.
    pub regex: Option<Arc<str>>,
    pub assignor: Option<Assignor>,
    pub owned: Option<Partitions>,
    pub client_id: Arc<str>,
    /// Who says it.
    pub user: Arc<str>,
    pub host: IpAddr,
}

/// What a member is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::groups) struct Beaten {
    pub epoch: i32,
    /// What it may use, where that has changed or it has asked.
    pub assignment: Option<Partitions>,
    /// It has to be stored before it is told.
    pub changed: bool,
}

impl Member {
    /// It is heard of from the same user and place as the last time.
    fn is_of(&self, beat: &Beat) -> bool {
        self.user.as_ref() == Some(&beat.user) && self.host == Some(beat.host)
    }
}

impl Consumer {
    /// Takes a heartbeat.
    pub fn beat(
        &mut self,
        beat: Beat,
        world: &World<'_>,
        sights: &Sights,
        now: Instant,
    ) -> Result<Beaten, ResponseError> {
        match beat.epoch {
            LEAVING => {
                let id = self.named(&beat)?;
                self.remove(&id);
                Ok(Beaten { epoch: LEAVING, assignment: None, changed: true })
            }
            LEAVING_STATIC => {
                let id = self.named(&beat)?;
                self.leave_for_a_while(&id, now);
                Ok(Beaten { epoch: LEAVING_STATIC, assignment: None, changed: true })
            }
            _ => self.go_on(beat, world, sights, now),
        }
    }

    /// The member that says this.
    fn named(&self, beat: &Beat) -> Result<Arc<str>, ResponseError> {
        if let Some(instance) = &beat.instance {
            match self.statics.get(instance) {
                None => return Err(ResponseError::UnknownMemberId),
                Some(current) if *current != beat.member_id => return Err(ResponseError::FencedInstanceId),
                Some(_) => {}
            }
        }
        match self.members.get_key_value(&beat.member_id) {
            Some((id, _)) => Ok(Arc::clone(id)),
            None => Err(ResponseError::UnknownMemberId),
        }
    }

    /// A static member that will be back keeps what it has until its session ends; what it was to let go of is free.
    fn leave_for_a_while(&mut self, id: &Arc<str>, now: Instant) {
        let session = self.bounds.session;
        let Some(member) = self.members.get_mut(id) else { return };
        member.epoch = LEAVING_STATIC;
        member.revoke_by = None;
        member.deadline = now + session;
        member.dirty = true;
        for partition in std::mem::take(&mut member.revoking) {
            self.owners.remove(&partition);
        }
    }

    fn go_on(
        &mut self,
        beat: Beat,
        world: &World<'_>,
        sights: &Sights,
        now: Instant,
    ) -> Result<Beaten, ResponseError> {
        let joins = beat.epoch == JOINING;
        if !joins {
            let id = self.named(&beat)?;
            self.check_beat_epoch(&id, &beat)?;
        }
        self.check_bounds(&beat)?;
        let before = (self.epoch, self.assignment_epoch);
        let id = if joins { self.enter(&beat, now)? } else { Arc::clone(&beat.member_id) };
        // What it may see is another's, or was not known.
        let is_other = self.members.get(&id).is_some_and(|member| !member.is_of(&beat));
        let resubscribed = self.update(&id, &beat);
        let fresh =
            self.members.get(&id).is_some_and(|member| member.epoch == JOINING && member.topics.is_empty());
        if resubscribed {
            self.outdate();
        }
        let mark = (world.tick, sights.changes());
        if resubscribed || fresh || is_other || self.seen != Some(mark) {
            self.look_at_topics(world, sights, &id);
        }
        if self.epoch > self.assignment_epoch {
            self.retarget();
        }
        let Some(member) = self.members.get_mut(&id) else { return Err(ResponseError::UnknownMemberId) };
        let had = member.assigned.clone();
        let (epoch, revoking) = (member.epoch, member.revoking.len());
        self.reconcile(&id, beat.owned.as_ref());
        let session = self.bounds.session;
        let groups_changed = before != (self.epoch, self.assignment_epoch) || !self.removed.is_empty();
        let Some(member) = self.members.get_mut(&id) else { return Err(ResponseError::UnknownMemberId) };
        member.deadline = now + session;
        member.revoke_by = match member.revoking.is_empty() {
            true => None,
            false => member.revoke_by.or(Some(now + member.rebalance)),
        };
        let moved = had != member.assigned;
        member.dirty |= moved || epoch != member.epoch || revoking != member.revoking.len();
        let full = beat.rebalance.is_some()
            && (beat.names.is_some() || beat.regex.is_some())
            && beat.owned.is_some();
        // One that owns something else than it may use has not heard of it, or is about to let go: said once more it
        // does no harm.
        let differs = beat.owned.as_ref().is_some_and(|owned| *owned != member.assigned);
        let tell = joins || full || moved || differs || beat.epoch < member.epoch;
        let beaten = Beaten {
            epoch: member.epoch,
            assignment: tell.then(|| member.assigned.clone()),
            changed: member.dirty || groups_changed || self.rewrite,
        };
        Ok(beaten)
    }

    /// An epoch is the member's own, or the one before where the answer has not reached it.
    fn check_beat_epoch(&self, id: &str, beat: &Beat) -> Result<(), ResponseError> {
        let member = self.members.get(id).ok_or(ResponseError::UnknownMemberId)?;
        let behind = beat.epoch == member.previous
            && beat.owned.as_ref().is_some_and(|owned| owned.is_subset(&member.assigned));
        match beat.epoch == member.epoch || beat.epoch < member.epoch && behind {
            true => Ok(()),
            false => Err(ResponseError::FencedMemberEpoch),
        }
    }

    fn check_bounds(&self, beat: &Beat) -> Result<(), ResponseError> {
        let known = self.members.contains_key(&beat.member_id)
            || beat.instance.as_ref().is_some_and(|instance| self.statics.contains_key(instance));
        if beat.epoch == JOINING && !known && self.members.len() >= self.bounds.members {
            return Err(ResponseError::GroupMaxSizeReached);
        }
        if beat.names.is_none() && beat.regex.is_none() {
            return Ok(());
        }
        let others = self.members.iter().filter(|(id, _)| **id != beat.member_id);
        let others: usize = others.map(|(_, member)| member.subscription.bytes()).sum();
        let names: usize = beat.names.iter().flatten().map(|name| name.len()).sum();
        let own = names + beat.regex.as_ref().map_or(0, |regex| regex.len());
        if others + own > self.bounds.bytes { Err(ResponseError::GroupMaxSizeReached) } else { Ok(()) }
    }

    /// A member joins, comes back, or begins anew.
    fn enter(&mut self, beat: &Beat, now: Instant) -> Result<Arc<str>, ResponseError> {
        let id = Arc::clone(&beat.member_id);
        if let Some(instance) = &beat.instance {
            let current = self.statics.get(instance).map(Arc::clone);
            let current = current.filter(|current| *current != id);
            if let Some(current) = current {
                let away = self.members.get(&current).is_some_and(|member| member.epoch == LEAVING_STATIC);
                if !away && !planted(Mutant::TakeOverLiving) {
                    return Err(ResponseError::UnreleasedInstanceId);
                }
                self.take_over(&current, &id);
                return Ok(id);
            }
        }
        if let Some(member) = self.members.get_mut(&id) {
            // It has lost what it knew, or is back.
            member.previous = JOINING;
            member.epoch = JOINING;
            member.dirty = true;
            return Ok(id);
        }
        let member = Member {
            instance: beat.instance.clone(),
            client_id: Arc::clone(&beat.client_id),
            user: None,
            host: None,
            rebalance: beat.rebalance.unwrap_or_default(),
            subscription: Subscription::default(),
            epoch: JOINING,
            previous: JOINING,
            assigned: Partitions::new(),
            revoking: Partitions::new(),
            target: Partitions::new(),
            topics: BTreeSet::new(),
            looked: false,
            deadline: now + self.bounds.session,
            revoke_by: None,
            matches_later: false,
            dirty: true,
        };
        if let Some(instance) = &beat.instance {
            self.statics.insert(Arc::clone(instance), Arc::clone(&id));
        }
        self.members.insert(Arc::clone(&id), member);
        self.removed.remove(&id);
        self.outdate();
        Ok(id)
    }

    /// A static member is back under another id: it has what it had.
    fn take_over(&mut self, former: &Arc<str>, id: &Arc<str>) {
        let Some(mut member) = self.members.remove(former) else { return };
        self.removed.insert(Arc::clone(former));
        self.removed.remove(id);
        member.epoch = JOINING;
        member.previous = JOINING;
        member.dirty = true;
        for partition in &member.assigned {
            self.owners.insert(*partition, Arc::clone(id));
        }
        if let Some(instance) = &member.instance {
            self.statics.insert(Arc::clone(instance), Arc::clone(id));
        }
        self.members.insert(Arc::clone(id), member);
    }

    /// Takes what the heartbeat brings; true where others are concerned.
    fn update(&mut self, id: &str, beat: &Beat) -> bool {
        let Some(member) = self.members.get_mut(id) else { return false };
        let mut wants = match beat.epoch {
            JOINING => Subscription::default(),
            _ => member.subscription.clone(),
        };
        if let Some(names) = &beat.names {
            wants.names.clone_from(names);
        }
        if let Some(regex) = &beat.regex {
            wants.regex = Some(Arc::clone(regex)).filter(|regex| !regex.is_empty());
        }
        wants.rack = beat.rack.clone().or(wants.rack);
        wants.assignor = beat.assignor.or(wants.assignor);
        let rebalance = beat.rebalance.unwrap_or(member.rebalance);
        member.dirty |= rebalance != member.rebalance || member.client_id != beat.client_id;
        member.rebalance = rebalance;
        member.client_id = Arc::clone(&beat.client_id);
        member.user = Some(Arc::clone(&beat.user));
        member.host = Some(beat.host);
        let changed = wants != member.subscription;
        let matched_later = std::mem::take(&mut member.matches_later);
        member.matches_later =
            wants.regex.is_some() && wants.regex != member.subscription.regex && !wants.names.is_empty();
        member.dirty |= changed;
        member.subscription = wants;
        changed || matched_later
    }

    /// Finds which topics subscriptions mean: the member's alone, or everybody's where topics or rules may have changed.
    fn look_at_topics(&mut self, world: &World<'_>, sights: &Sights, id: &str) {
        let mark = Some((world.tick, sights.changes()));
        let everybody = self.seen != mark;
        self.seen = mark;
        let mut found: BTreeMap<TopicId, Topic> = BTreeMap::new();
        let mut named: HashMap<Arc<str>, Option<Topic>> = HashMap::new();
        let mut matches = Matches::new(world, sights);
        let mut moved = false;
        for (member_id, member) in &mut self.members {
            if !everybody && &**member_id != id {
                continue;
            }
            let mut topics = BTreeSet::new();
            for name in &member.subscription.names {
                let topic = named.entry(Arc::clone(name)).or_insert_with(|| (world.find)(name));
                if let Some(topic) = topic {
                    topics.insert(topic.id);
                    found.insert(topic.id, topic.clone());
                }
            }
            if let Some(regex) = member.subscription.regex.as_ref().filter(|_| !member.matches_later) {
                let who = member.user.as_ref().zip(member.host);
                matches.each(regex, who, &self.topics, |topic| {
                    topics.insert(topic.id);
                    found.entry(topic.id).or_insert_with(|| topic.clone());
                });
            }
            moved |= match member.looked {
                true => topics != member.topics,
                // What it was given before the start it may have to give back.
                false => member.target.iter().any(|(topic, _)| !topics.contains(topic)),
            };
            member.looked = true;
            member.topics = topics;
        }
        if !everybody {
            found.extend(
                std::mem::take(&mut self.topics)
                    .into_iter()
                    .filter(|(topic, _)| self.members.values().any(|member| member.topics.contains(topic)))
                    .collect::<Vec<_>>(),
            );
        }
        if moved || found != self.topics && everybody {
            self.outdate();
        }
        self.topics = found;
    }

    /// Makes a new target assignment.
    fn retarget(&mut self) {
        let mut votes: BTreeMap<Assignor, usize> = BTreeMap::new();
        for assignor in self.members.values().filter_map(|member| member.subscription.assignor) {
            *votes.entry(assignor).or_default() += 1;
        }
        let most = votes.into_iter().max_by_key(|(assignor, votes)| (*votes, std::cmp::Reverse(*assignor)));
        self.assignor = most.map_or(Assignor::Uniform, |(assignor, _)| assignor);
        let topics: BTreeMap<TopicId, u32> =
            self.topics.iter().map(|(id, topic)| (*id, topic.partitions)).collect();
        let sharers: Vec<Sharer<'_>> = self
            .members
            .iter()
            .map(|(id, member)| Sharer {
                id,
                rank: member.instance.as_deref().unwrap_or(id),
                topics: &member.topics,
                had: &member.target,
            })
            .collect();
        let mut targets = assign(self.assignor, &topics, &sharers);
        for (id, member) in &mut self.members {
            let target = targets.remove(id).unwrap_or_default();
            member.dirty |= member.target != target;
            member.target = target;
        }
        self.assignment_epoch = self.epoch;
    }

    /// Brings a member nearer to its target: it lets go first, and gets what is free then.
    fn reconcile(&mut self, id: &Arc<str>, owned: Option<&Partitions>) {
        let Some(member) = self.members.get_mut(id) else { return };
        // One that does not say what it owns may own it still.
        let holds = |some: &Partitions| owned.is_none_or(|owned| !owned.is_disjoint(some));
        if !member.revoking.is_empty() {
            if holds(&member.revoking) {
                return;
            }
            for partition in std::mem::take(&mut member.revoking) {
                self.owners.remove(&partition);
            }
        }
        let revoke: Partitions = member.assigned.difference(&member.target).copied().collect();
        member.assigned.retain(|partition| member.target.contains(partition));
        if !revoke.is_empty() && holds(&revoke) {
            member.revoking = revoke;
            return;
        }
        for partition in revoke {
            self.owners.remove(&partition);
        }
        for partition in &member.target {
            match self.owners.get(partition) {
                Some(owner) if owner != id && !planted(Mutant::HandOverEarly) => {}
                _ => {
                    self.owners.insert(*partition, Arc::clone(id));
                    member.assigned.insert(*partition);
                }
            }
        }
        if member.epoch != self.assignment_epoch {
            member.previous = member.epoch;
            member.epoch = self.assignment_epoch;
        }
    }
}
