//! The share group protocol's requests about members (KIP-932): ShareGroupHeartbeat, ShareGroupDescribe. Those about
//! records are answered by [`crate::share`], which does what it does to a group through [`Groups::with_share`].

use std::collections::{BTreeMap, BTreeSet};

use candor_model::ProjectId;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::share_group_describe_response as described;
use kafka_protocol::messages::share_group_heartbeat_response as told;
use kafka_protocol::messages::{
    ShareGroupDescribeRequest, ShareGroupDescribeResponse, ShareGroupHeartbeatRequest,
    ShareGroupHeartbeatResponse, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use tokio::time::Instant;

use super::admin::ALL_OPERATIONS;
use super::consumer::{NAMES_MAX, Wrong, by_topic};
use super::{check_group, check_id, check_instance, client_id, keep, keep_opt, wire, wire_opt};
use crate::caller::Caller;
use crate::directory::TopicId;
use crate::groups::consumer::{JOINING, LEAVING};
use crate::groups::registry::Groups;
use crate::groups::settings::Pace;
use crate::groups::share::{ASSIGNOR, Partitions, Share, ShareBeat, ShareBeaten};
use crate::groups::state::Body;

impl Groups {
    /// ShareGroupHeartbeat, 1.
    pub(crate) async fn share_heartbeat(
        &self,
        caller: &Caller,
        request: ShareGroupHeartbeatRequest,
    ) -> ShareGroupHeartbeatResponse {
        let pace = self.share_pace(caller.project, &request.group_id);
        match self.share_beat(caller, &request, pace).await {
            Ok(beaten) => {
                let assignment = beaten.assignment.map(|assigned| {
                    let topics = by_topic(&assigned).into_iter().map(|(topic, partitions)| {
                        told::TopicPartitions::default()
                            .with_topic_id(uuid::Uuid::from_bytes(topic))
                            .with_partitions(partitions)
                    });
                    told::Assignment::default().with_topic_partitions(topics.collect())
                });
                ShareGroupHeartbeatResponse::default()
                    .with_member_id(Some(request.member_id))
                    .with_member_epoch(beaten.epoch)
                    .with_heartbeat_interval_ms(i32::try_from(pace.heartbeat.as_millis()).unwrap_or(i32::MAX))
                    .with_assignment(assignment)
            }
            Err((error, sentence)) => ShareGroupHeartbeatResponse::default()
                .with_error_code(error.code())
                .with_error_message(Some(wire(sentence))),
        }
    }

    async fn share_beat(
        &self,
        caller: &Caller,
        request: &ShareGroupHeartbeatRequest,
        pace: Pace,
    ) -> Result<ShareBeaten, Wrong> {
        let beat = read_beat(caller, request)?;
        let (project, joins) = (caller.project, beat.epoch == JOINING);
        let beaten = self.heard(project, &request.group_id, joins, |state, world, now| {
            if joins && state.is_untouched() {
                state.body = self.new_share();
            }
            let Body::Share(share) = &mut state.body else {
                return Err((
                    ResponseError::GroupIdNotFound,
                    "the group is of another protocol: it is no share group",
                ));
            };
            let sooner = share.set_session(pace.session);
            let beaten = share.beat(&beat, world, now).map_err(|error| (error, sentence(error)))?;
            share.forget_gone(|topic| self.inner.directory.topic_by_id(project, topic).is_some());
            if sooner {
                // The next alarm may be behind the deadline that there is now.
                state.timer = None;
            }
            Ok((beaten.changed, beaten))
        });
        beaten.await
    }

    /// Does something to a share group that there is.
    pub(crate) fn with_share<R>(
        &self,
        project: ProjectId,
        name: &str,
        mut act: impl FnMut(&mut Share, Instant) -> R,
    ) -> Result<R, ResponseError> {
        check_group(name, false)?;
        let done = self.with(project, name, |_, state, now| {
            let Body::Share(share) = &mut state.body else { return None };
            Some(act(share, now))
        });
        done.flatten().ok_or(ResponseError::GroupIdNotFound)
    }

    /// Waits until all that has changed in a share group is stored; false where it could not be.
    pub(crate) async fn save_share(&self, project: ProjectId, name: &str) -> bool {
        match self.find(project, name) {
            Some(group) => self.save(&group).await,
            None => false,
        }
    }

    /// ShareGroupDescribe, 1.
    pub(crate) async fn share_describe(
        &self,
        caller: &Caller,
        request: ShareGroupDescribeRequest,
    ) -> ShareGroupDescribeResponse {
        let each = request.group_ids.iter().take(NAMES_MAX).map(|name| {
            let found = self.see(caller.project, name, |state| match &state.body {
                Body::Share(group) => Some(self.describe_share(caller.project, group)),
                Body::Classic(_) | Body::Consumer(_) => None,
            });
            let group = found.unwrap_or_else(|| {
                described::DescribedGroup::default()
                    .with_error_code(ResponseError::GroupIdNotFound.code())
                    .with_error_message(Some(wire("there is no such share group")))
            });
            let operations = if request.include_authorized_operations { ALL_OPERATIONS } else { i32::MIN };
            group.with_group_id(name.clone()).with_authorized_operations(operations)
        });
        ShareGroupDescribeResponse::default().with_groups(each.collect())
    }

    fn describe_share(&self, project: ProjectId, group: &Share) -> described::DescribedGroup {
        let names: BTreeMap<TopicId, StrBytes> = group
            .members
            .values()
            .flat_map(|member| &member.assigned)
            .map(|(topic, _)| *topic)
            .collect::<BTreeSet<_>>()
            .into_iter()
            .filter_map(|topic| Some((topic, wire(&self.inner.directory.topic_by_id(project, topic)?.name))))
            .collect();
        let assignment = |partitions: &Partitions| {
            let topics = by_topic(partitions).into_iter().map(|(topic, partitions)| {
                described::TopicPartitions::default()
                    .with_topic_id(uuid::Uuid::from_bytes(topic))
                    .with_topic_name(TopicName(names.get(&topic).cloned().unwrap_or_default()))
                    .with_partitions(partitions)
            });
            described::Assignment::default().with_topic_partitions(topics.collect())
        };
        let members = group.members.iter().map(|(id, member)| {
            let names = member.names.iter().map(|name| TopicName(wire(name)));
            described::Member::default()
                .with_member_id(wire(id))
                .with_rack_id(wire_opt(&member.rack))
                .with_member_epoch(member.epoch)
                .with_client_id(wire(&member.client_id))
                .with_client_host(wire(&member.host.map(|host| format!("/{host}")).unwrap_or_default()))
                .with_subscribed_topic_names(names.collect())
                .with_assignment(assignment(&member.assigned))
        });
        described::DescribedGroup::default()
            .with_error_message(None)
            .with_group_state(StrBytes::from_static_str(group.phase()))
            .with_group_epoch(group.epoch)
            .with_assignment_epoch(group.epoch)
            .with_assignor_name(StrBytes::from_static_str(ASSIGNOR))
            .with_members(members.collect())
    }
}

fn read_beat(caller: &Caller, request: &ShareGroupHeartbeatRequest) -> Result<ShareBeat, Wrong> {
    let wrong = |sentence| Err((ResponseError::InvalidRequest, sentence));
    if check_group(&request.group_id, false).is_err() {
        return wrong("the group's name is empty or too long");
    }
    if check_id(Some(&request.member_id)).is_err() || check_instance(request.rack_id.as_deref()).is_err() {
        return wrong(
            "a member id or a rack id is not empty and has at most 1024 bytes; a rack's holds no secret",
        );
    }
    if request.member_epoch < LEAVING {
        return wrong("a member's epoch is -1 or more");
    }
    if request.member_epoch == JOINING
        && request.subscribed_topic_names.as_ref().is_none_or(|names| names.is_empty())
    {
        return wrong("who joins says what it wants to read");
    }
    let names = request.subscribed_topic_names.as_ref();
    if names.is_some_and(|names| names.len() > NAMES_MAX) {
        return wrong("a member names at most 10,000 topics");
    }
    Ok(ShareBeat {
        member_id: keep(&request.member_id),
        epoch: request.member_epoch,
        rack: keep_opt(&request.rack_id),
        names: names.map(|names| names.iter().map(|name| keep(name)).collect()),
        client_id: client_id(caller),
        host: caller.host,
    })
}

fn sentence(error: ResponseError) -> &'static str {
    match error {
        ResponseError::UnknownMemberId => "the member is not known here: join again",
        ResponseError::FencedMemberEpoch => "the member's epoch is not the one that it has here: join again",
        ResponseError::GroupMaxSizeReached => "the group is as large as it may be",
        _ => "the heartbeat cannot be taken",
    }
}
