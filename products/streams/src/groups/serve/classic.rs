//! The classic protocol's requests: JoinGroup, SyncGroup, Heartbeat, LeaveGroup.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::join_group_response::JoinGroupResponseMember;
use kafka_protocol::messages::leave_group_response::MemberResponse;
use kafka_protocol::messages::{
    HeartbeatRequest, HeartbeatResponse, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest,
    LeaveGroupResponse, SyncGroupRequest, SyncGroupResponse,
};
use kafka_protocol::protocol::StrBytes;

use super::{check_group, check_instance, client_id, code, keep, keep_opt, wire, wire_opt};
use crate::caller::Caller;
use crate::groups::classic::{Answer, Classic, Joined, Joining, Protocols, Refused, Synced, Syncing};
use crate::groups::registry::Groups;
use crate::groups::state::{Body, State};

/// Protocols that a member may offer. Clients offer up to four.
const PROTOCOLS_MAX: usize = 64;

/// Members that one LeaveGroup may name.
const LEAVING_MAX: usize = 10_000;

/// Bytes of a client's name that go into a member's id.
const PREFIX_BYTES_MAX: usize = 200;

/// A rebalance waits at least that long for members, whatever they say.
const MIN_REBALANCE: Duration = Duration::from_secs(1);

impl Groups {
    /// JoinGroup, 0 to 9. Answers once the rebalance is complete.
    pub async fn join(&self, caller: &Caller, request: JoinGroupRequest, version: i16) -> JoinGroupResponse {
        let outcome = match self.begin_join(caller, &request, version) {
            // A static member that takes the place of the one that it was: it must not lose it to that one in a crash.
            Ok(Answer::Now(Ok(_)))
                if request.member_id.is_empty() && !self.save_named(caller, &request).await =>
            {
                Err(Refused::new(ResponseError::CoordinatorNotAvailable, ""))
            }
            Ok(Answer::Now(outcome)) => outcome,
            // Who waited in its name has been replaced by another request of the same member.
            Ok(Answer::Later(answer)) => answer.await.unwrap_or_else(|_| {
                Err(Refused::new(ResponseError::RebalanceInProgress, &request.member_id))
            }),
            Err(error) => Err(Refused::new(error, &request.member_id)),
        };
        join_response(outcome, version)
    }

    /// Waits until the group that is asked about is stored as it is; false where that failed.
    async fn save_named(&self, caller: &Caller, request: &JoinGroupRequest) -> bool {
        match self.find(caller.project, &request.group_id) {
            Some(group) => self.save(&group).await,
            None => false,
        }
    }

    fn begin_join(
        &self,
        caller: &Caller,
        request: &JoinGroupRequest,
        version: i16,
    ) -> Result<Answer<Result<Joined, Refused>>, ResponseError> {
        check_group(&request.group_id, false)?;
        let instance = request.group_instance_id.as_ref().filter(|_| version >= 5);
        check_instance(instance.map(|instance| instance.as_str()))?;
        let settings = &self.inner.settings;
        let session = millis(request.session_timeout_ms).ok_or(ResponseError::InvalidSessionTimeout)?;
        if session < settings.min_session_timeout || session > settings.max_session_timeout {
            return Err(ResponseError::InvalidSessionTimeout);
        }
        // Version 0 has no time of its own for rebalances.
        let rebalance = millis(request.rebalance_timeout_ms).filter(|_| version >= 1).unwrap_or(session);
        if request.protocols.len() > PROTOCOLS_MAX {
            return Err(ResponseError::InvalidRequest);
        }
        let protocols: Protocols = request
            .protocols
            .iter()
            .map(|protocol| (keep(&protocol.name), Bytes::copy_from_slice(&protocol.metadata)))
            .collect();
        let client_id = client_id(caller);
        let prefix = instance.map_or(&*client_id, |instance| instance.as_str());
        let joining = Joining {
            member_id: keep(&request.member_id),
            fresh_id: Arc::from(self.fresh_id(&printable(prefix))),
            instance: instance.map(keep),
            client_id,
            host: caller.host,
            session,
            rebalance: rebalance.max(MIN_REBALANCE),
            protocol_type: keep(&request.protocol_type),
            protocols,
            id_required: version >= 4,
            may_skip: version >= 9,
        };
        let join = |state: &mut State, now| match self.classic_or_empty(state) {
            Some(group) => Ok(group.join(joining.clone(), now)),
            None => Err(ResponseError::InconsistentGroupProtocol),
        };
        // Only one who comes for the first time makes a group.
        match joining.member_id.is_empty() {
            true => self.with_made(caller.project, &request.group_id, |_, state, now| join(state, now))?,
            false => self
                .with(caller.project, &request.group_id, |_, state, now| join(state, now))
                .unwrap_or(Err(ResponseError::UnknownMemberId)),
        }
    }

    /// The classic group; an empty one of the other kind becomes one.
    fn classic_or_empty<'a>(&self, state: &'a mut State) -> Option<&'a mut Classic> {
        if matches!(state.body, Body::Consumer(_)) && state.is_vacant() {
            state.body = self.new_classic();
        }
        match &mut state.body {
            Body::Classic(group) => Some(group),
            Body::Consumer(_) | Body::Share(_) => None,
        }
    }

    /// Does something to a classic group's members; a group of the other kind has none.
    fn of_classic<R>(
        &self,
        caller: &Caller,
        group: &str,
        mut act: impl FnMut(&mut Classic, tokio::time::Instant) -> Result<R, ResponseError>,
    ) -> Result<R, ResponseError> {
        check_group(group, false)?;
        let done = self.with(caller.project, group, |_, state, now| match &mut state.body {
            Body::Classic(group) => act(group, now),
            Body::Consumer(_) | Body::Share(_) => Err(ResponseError::UnknownMemberId),
        });
        done.unwrap_or(Err(ResponseError::UnknownMemberId))
    }

    /// SyncGroup, 0 to 5. Answers once the leader's assignment is stored.
    pub async fn sync(&self, caller: &Caller, request: SyncGroupRequest, version: i16) -> SyncGroupResponse {
        let copied = request
            .assignments
            .iter()
            .map(|assignment| (keep(&assignment.member_id), Bytes::copy_from_slice(&assignment.assignment)));
        let syncing = Syncing {
            member_id: keep(&request.member_id),
            instance: keep_opt(&request.group_instance_id).filter(|_| version >= 3),
            generation: request.generation_id,
            protocol_type: keep_opt(&request.protocol_type).filter(|_| version >= 5),
            protocol: keep_opt(&request.protocol_name).filter(|_| version >= 5),
            assignments: copied.collect(),
        };
        let begun =
            self.of_classic(caller, &request.group_id, |group, now| Ok(group.sync(syncing.clone(), now)));
        let outcome = match begun {
            Ok(Answer::Now(outcome)) => outcome,
            Ok(Answer::Later(answer)) => answer.await.unwrap_or(Err(ResponseError::RebalanceInProgress)),
            Err(error) => Err(error),
        };
        match outcome {
            Ok(Synced { protocol_type, protocol, assignment }) => {
                let response = SyncGroupResponse::default().with_assignment(assignment);
                match version >= 5 {
                    true => response
                        .with_protocol_type(wire_opt(&protocol_type))
                        .with_protocol_name(wire_opt(&protocol)),
                    false => response,
                }
            }
            Err(error) => SyncGroupResponse::default().with_error_code(error.code()),
        }
    }

    /// Heartbeat, 0 to 4.
    pub async fn heartbeat(
        &self,
        caller: &Caller,
        request: HeartbeatRequest,
        version: i16,
    ) -> HeartbeatResponse {
        let instance = request.group_instance_id.as_deref().filter(|_| version >= 3);
        let beat = |state: &mut State, now| {
            state.quiet = true;
            match &mut state.body {
                Body::Classic(group) => {
                    group.heartbeat(&request.member_id, instance, request.generation_id, now)
                }
                Body::Consumer(_) | Body::Share(_) => Err(ResponseError::UnknownMemberId),
            }
        };
        let outcome = check_group(&request.group_id, false).and_then(|()| {
            let beaten = self.with(caller.project, &request.group_id, |_, state, now| beat(state, now));
            beaten.unwrap_or(Err(ResponseError::UnknownMemberId))
        });
        HeartbeatResponse::default().with_error_code(code(outcome))
    }

    /// LeaveGroup, 0 to 5. Up to version 2 one member leaves, and its error is the answer's; later ones have an error
    /// for each.
    pub async fn leave(
        &self,
        caller: &Caller,
        request: LeaveGroupRequest,
        version: i16,
    ) -> LeaveGroupResponse {
        if version <= 2 {
            let outcome = self.of_classic(caller, &request.group_id, |group, now| {
                group.leave(&request.member_id, None, now)
            });
            return LeaveGroupResponse::default().with_error_code(code(outcome));
        }
        if request.members.len() > LEAVING_MAX {
            return LeaveGroupResponse::default().with_error_code(ResponseError::InvalidRequest.code());
        }
        let left = self.leave_any(caller, &request);
        match left {
            Ok(members) => LeaveGroupResponse::default().with_members(members),
            Err(error) => LeaveGroupResponse::default().with_error_code(error.code()),
        }
    }

    fn leave_any(
        &self,
        caller: &Caller,
        request: &LeaveGroupRequest,
    ) -> Result<Vec<MemberResponse>, ResponseError> {
        check_group(&request.group_id, false)?;
        let left = self.with(caller.project, &request.group_id, |_, state, now| {
            let each = request.members.iter().map(|leaving| {
                let instance = leaving.group_instance_id.as_deref();
                let outcome = match &mut state.body {
                    Body::Classic(group) => group.leave(&leaving.member_id, instance, now),
                    // The way in which an administrator removes a member, whatever its kind.
                    Body::Consumer(group) => group.expel(&leaving.member_id, instance),
                    Body::Share(_) => Err(ResponseError::UnknownMemberId),
                };
                MemberResponse::default()
                    .with_member_id(leaving.member_id.clone())
                    .with_group_instance_id(leaving.group_instance_id.clone())
                    .with_error_code(code(outcome))
            });
            each.collect()
        });
        left.ok_or(ResponseError::UnknownMemberId)
    }
}

fn millis(millis: i32) -> Option<Duration> {
    u64::try_from(millis).ok().filter(|millis| *millis > 0).map(Duration::from_millis)
}

/// A name without what would harm an id: ids are stored and shown.
fn printable(name: &str) -> String {
    let mut kept: String = name.chars().filter(|c| !c.is_control()).collect();
    let mut end = kept.len().min(PREFIX_BYTES_MAX);
    while !kept.is_char_boundary(end) {
        end -= 1;
    }
    kept.truncate(end);
    kept
}

fn join_response(outcome: Result<Joined, Refused>, version: i16) -> JoinGroupResponse {
    match outcome {
        Ok(joined) => {
            let members = joined.members.into_iter().map(|member| {
                JoinGroupResponseMember::default()
                    .with_member_id(wire(&member.id))
                    .with_group_instance_id(wire_opt(&member.instance).filter(|_| version >= 5))
                    .with_metadata(member.metadata)
            });
            JoinGroupResponse::default()
                .with_generation_id(joined.generation)
                .with_protocol_type(wire_opt(&joined.protocol_type).filter(|_| version >= 7))
                .with_protocol_name(Some(wire(joined.protocol.as_deref().unwrap_or_default())))
                .with_leader(wire(&joined.leader))
                .with_skip_assignment(joined.skip_assignment && version >= 9)
                .with_member_id(wire(&joined.member_id))
                .with_members(members.collect())
        }
        Err(Refused { error, member_id }) => JoinGroupResponse::default()
            .with_error_code(error.code())
            .with_member_id(wire(&member_id))
            // Null from version 7 on, before that it may not be.
            .with_protocol_name((version < 7).then(StrBytes::new)),
    }
}
