//! The leader's assignment, and how members get it.

use super::*;

/// What a member is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::groups) struct Synced {
    pub protocol_type: Option<Arc<str>>,
    pub protocol: Option<Arc<str>>,
    pub assignment: Bytes,
}

/// A request for an assignment; the leader's brings everybody's.
#[derive(Debug, Clone, Default)]
pub(in crate::groups) struct Syncing {
    pub member_id: Arc<str>,
    pub instance: Option<Arc<str>>,
    pub generation: i32,
    pub protocol_type: Option<Arc<str>>,
    pub protocol: Option<Arc<str>>,
    pub assignments: Vec<(Arc<str>, Bytes)>,
}

type SyncAnswer = Answer<Result<Synced, ResponseError>>;

impl Classic {
    /// A member asks for its assignment. It is answered once the leader's is stored, never before.
    pub fn sync(&mut self, syncing: Syncing, now: Instant) -> SyncAnswer {
        match self.try_sync(syncing, now) {
            Ok(answer) => answer,
            Err(error) => Answer::Now(Err(error)),
        }
    }

    fn try_sync(&mut self, syncing: Syncing, now: Instant) -> Result<SyncAnswer, ResponseError> {
        let id = &syncing.member_id;
        self.check_generation(id, syncing.instance.as_deref(), syncing.generation)?;
        let differs = |asked: &Option<Arc<str>>, ours: &Option<Arc<str>>| asked.is_some() && asked != ours;
        if differs(&syncing.protocol_type, &self.protocol_type) || differs(&syncing.protocol, &self.protocol)
        {
            return Err(ResponseError::InconsistentGroupProtocol);
        }
        match self.phase {
            Phase::Empty => return Err(ResponseError::UnknownMemberId),
            Phase::PreparingRebalance => return Err(ResponseError::RebalanceInProgress),
            Phase::CompletingRebalance | Phase::Stable => {}
        }
        if self.phase == Phase::CompletingRebalance
            && self.leader.as_ref() == Some(id)
            && self.saving.is_none()
        {
            self.assign(&syncing.assignments)?;
        }
        let stable = self.phase == Phase::Stable;
        let (protocol_type, protocol) = (self.protocol_type.clone(), self.protocol.clone());
        let member = self.members.get_mut(id).ok_or(ResponseError::UnknownMemberId)?;
        member.synced = true;
        member.deadline = now + member.session;
        let answer = if stable {
            Answer::Now(Ok(Synced { protocol_type, protocol, assignment: member.assignment.clone() }))
        } else {
            let (waiter, answer) = oneshot::channel();
            if let Some(former) = member.sync.replace(waiter) {
                former.send(Err(ResponseError::RebalanceInProgress)).ok();
            }
            Answer::Later(answer)
        };
        if stable && self.members.values().all(|member| member.synced) {
            self.sync_deadline = None;
        }
        Ok(answer)
    }

    /// Takes the leader's assignment, to be stored. Assignments for strangers are left out.
    fn assign(&mut self, assignments: &[(Arc<str>, Bytes)]) -> Result<(), ResponseError> {
        let assigned: usize = assignments.iter().map(|(_, assignment)| assignment.len()).sum();
        let joined: usize = self.members.values().map(|member| protocol_bytes(&member.protocols)).sum();
        if assigned + joined > self.bounds.bytes {
            return Err(ResponseError::InvalidRequest);
        }
        for (id, assignment) in assignments {
            if let Some(member) = self.members.get_mut(id) {
                member.assignment = assignment.clone();
            }
        }
        self.saving = Some(self.generation);
        self.save_assignment = Some(self.generation);
        Ok(())
    }

    /// The assignment of a generation was stored, or could not be. Where the group has gone on meanwhile nothing
    /// happens.
    pub fn saved(&mut self, generation: i32, stored: bool, now: Instant) {
        if self.phase != Phase::CompletingRebalance || self.saving != Some(generation) {
            return;
        }
        self.saving = None;
        if stored {
            self.phase = Phase::Stable;
        }
        for member in self.members.values_mut() {
            let answer = match stored {
                true => Ok(Synced {
                    protocol_type: self.protocol_type.clone(),
                    protocol: self.protocol.clone(),
                    assignment: member.assignment.clone(),
                }),
                false => Err(ResponseError::CoordinatorNotAvailable),
            };
            if let Some(waiter) = member.sync.take() {
                member.deadline = now + member.session;
                waiter.send(answer).ok();
            }
        }
        if !stored {
            self.prepare(now);
        } else if self.members.values().all(|member| member.synced) {
            self.sync_deadline = None;
        }
    }
}
