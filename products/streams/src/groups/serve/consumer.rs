//! The consumer protocol's requests (KIP-848): ConsumerGroupHeartbeat, ConsumerGroupDescribe.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use candor_model::ProjectId;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::consumer_group_describe_response as described;
use kafka_protocol::messages::consumer_group_heartbeat_response as told;
use kafka_protocol::messages::{
    ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use tokio::time::Instant;

use super::admin::ALL_OPERATIONS;
use super::{check_group, check_id, check_instance, client_id, keep, keep_opt, wire, wire_opt};
use crate::admin::acl::Sights;
use crate::caller::Caller;
use crate::directory::{TopicId, TopicView};
use crate::groups::consumer::{
    Assignor, Beat, Beaten, Consumer, JOINING, LEAVING_STATIC, Partitions, Topic, World, compile,
};
use crate::groups::registry::{Group, Groups};
use crate::groups::settings::Pace;
use crate::groups::state::{Body, State};

/// Names that one request may ask for.
pub(super) const NAMES_MAX: usize = 10_000;

/// What is wrong, and a sentence about it.
pub(super) type Wrong = (ResponseError, &'static str);

impl Groups {
    /// ConsumerGroupHeartbeat, 0 to 1. Of what an expression matches, members are given what `sights` says they see.
    pub(crate) async fn consumer_heartbeat(
        &self,
        caller: &Caller,
        request: ConsumerGroupHeartbeatRequest,
        version: i16,
        sights: &Sights,
    ) -> ConsumerGroupHeartbeatResponse {
        let pace = self.consumer_pace(caller.project, &request.group_id);
        match self.beat(caller, &request, version, sights, pace).await {
            Ok((member_id, beaten)) => {
                let interval = pace.heartbeat;
                let assignment = beaten.assignment.map(|assigned| {
                    told::Assignment::default().with_topic_partitions(
                        by_topic(&assigned)
                            .into_iter()
                            .map(|(topic, partitions)| {
                                told::TopicPartitions::default()
                                    .with_topic_id(topic.to_vec().try_into().unwrap_or_default())
                                    .with_partitions(partitions)
                            })
                            .collect(),
                    )
                });
                ConsumerGroupHeartbeatResponse::default()
                    .with_member_id(Some(wire(&member_id)))
                    .with_member_epoch(beaten.epoch)
                    .with_heartbeat_interval_ms(i32::try_from(interval.as_millis()).unwrap_or(i32::MAX))
                    .with_assignment(assignment)
            }
            Err((error, sentence)) => ConsumerGroupHeartbeatResponse::default()
                .with_error_code(error.code())
                .with_error_message(Some(wire(sentence))),
        }
    }

    async fn beat(
        &self,
        caller: &Caller,
        request: &ConsumerGroupHeartbeatRequest,
        version: i16,
        sights: &Sights,
        pace: Pace,
    ) -> Result<(Arc<str>, Beaten), Wrong> {
        let beat = self.read_beat(caller, request, version)?;
        let joins = beat.epoch == JOINING;
        let beaten = self.heard(caller.project, &request.group_id, joins, |state, world, now| {
            let consumer = self.consumer_or_empty(state, joins).ok_or((
                ResponseError::GroupIdNotFound,
                "the group is of another protocol: it is none of the consumer protocol",
            ))?;
            let sooner = consumer.set_session(pace.session);
            let beaten = consumer.beat(beat.clone(), world, sights, now);
            let beaten = beaten.map_err(|error| (error, sentence(error)))?;
            if sooner {
                // The next alarm may be behind the deadline that there is now.
                state.timer = None;
            }
            Ok((beaten.changed, beaten))
        });
        Ok((Arc::clone(&beat.member_id), beaten.await?))
    }

    /// Takes what a member says of itself, and stores what that changed in its group, which is made where one joins.
    /// `take` tells whether anything changed.
    pub(super) async fn heard<B>(
        &self,
        project: ProjectId,
        group: &str,
        joins: bool,
        mut take: impl FnMut(&mut State, &World<'_>, Instant) -> Result<(bool, B), Wrong>,
    ) -> Result<B, Wrong> {
        let find = |name: &str| self.inner.directory.topic(project, name).as_deref().map(seen);
        let all = || self.inner.directory.topics(project).iter().map(|topic| seen(topic)).collect();
        let tick = *self.inner.changes.borrow();
        let world = World { tick, find: &find, all: &all };
        let act = |group: &Arc<Group>, state: &mut State, now| {
            let (changed, beaten) = take(state, &world, now)?;
            state.quiet = !changed;
            Ok((Arc::clone(group), changed, beaten))
        };
        let (group, changed, beaten) = match joins {
            true => self
                .with_made(project, group, act)
                .map_err(|error| (error, "the project has as many groups as it may have"))?,
            false => self
                .with(project, group, act)
                .unwrap_or(Err((ResponseError::GroupIdNotFound, "there is no such group"))),
        }?;
        if changed && !self.save(&group).await {
            let sentence = "the group cannot be stored now: try again";
            return Err((ResponseError::CoordinatorNotAvailable, sentence));
        }
        Ok(beaten)
    }

    /// The consumer group; an empty one of the other kind becomes one when somebody joins.
    fn consumer_or_empty<'a>(&self, state: &'a mut State, joins: bool) -> Option<&'a mut Consumer> {
        if joins && matches!(state.body, Body::Classic(_)) && state.is_vacant() {
            state.body = self.new_consumer();
        }
        match &mut state.body {
            Body::Consumer(group) => Some(group),
            Body::Classic(_) | Body::Share(_) => None,
        }
    }

    fn read_beat(
        &self,
        caller: &Caller,
        request: &ConsumerGroupHeartbeatRequest,
        version: i16,
    ) -> Result<Beat, Wrong> {
        let wrong = |sentence| Err((ResponseError::InvalidRequest, sentence));
        let joins = request.member_epoch == JOINING;
        if check_group(&request.group_id, false).is_err() {
            return wrong("the group's name is empty or too long");
        }
        let ids = [request.instance_id.as_deref(), request.rack_id.as_deref()];
        if ids.into_iter().any(|id| check_instance(id).is_err()) {
            return wrong(
                "an instance id or a rack id is not empty, has at most 1024 bytes, and holds no payment data and no secret",
            );
        }
        let fresh = request.member_id.is_empty() && joins && version == 0;
        if !fresh && check_id(Some(&request.member_id)).is_err() {
            return wrong("a member id is not empty and has at most 1024 bytes");
        }
        if request.member_epoch < LEAVING_STATIC {
            return wrong("a member's epoch is -2 or more");
        }
        if request.member_epoch == LEAVING_STATIC && request.instance_id.is_none() {
            return wrong("only a member with an instance id leaves for a while");
        }
        let regex = request.subscribed_topic_regex.as_ref().filter(|_| version >= 1);
        if joins {
            if request.rebalance_timeout_ms < 0 {
                return wrong("who joins says how long a rebalance may take");
            }
            if request.topic_partitions.as_ref().is_none_or(|owned| !owned.is_empty()) {
                return wrong("who joins owns nothing");
            }
            if request.subscribed_topic_names.is_none() && regex.is_none() {
                return wrong("who joins says what it wants to read");
            }
        }
        if let Some(regex) = regex.filter(|regex| !regex.is_empty()) {
            compile(regex).map_err(|error| (error, sentence(error)))?;
        }
        let assignor = match &request.server_assignor {
            None => None,
            Some(name) => match Assignor::parse(name) {
                Some(assignor) => Some(assignor),
                None => {
                    return Err((
                        ResponseError::UnsupportedAssignor,
                        sentence(ResponseError::UnsupportedAssignor),
                    ));
                }
            },
        };
        Ok(Beat {
            member_id: if fresh { Arc::from(self.fresh_id("")) } else { keep(&request.member_id) },
            epoch: request.member_epoch,
            instance: keep_opt(&request.instance_id),
            rack: keep_opt(&request.rack_id),
            rebalance: u64::try_from(request.rebalance_timeout_ms).ok().map(Duration::from_millis),
            names: request
                .subscribed_topic_names
                .as_ref()
                .map(|names| names.iter().map(|name| Arc::from(name.as_str())).collect()),
            regex: regex.map(keep),
            assignor,
            owned: request.topic_partitions.as_ref().map(|owned| {
                let each = owned.iter().flat_map(|topic| {
                    topic.partitions.iter().map(|partition| (*topic.topic_id.as_bytes(), *partition))
                });
                each.collect()
            }),
            client_id: client_id(caller),
            user: Arc::clone(&caller.user),
            host: caller.host,
        })
    }

    /// ConsumerGroupDescribe, 0 to 1.
    pub async fn consumer_describe(
        &self,
        caller: &Caller,
        request: ConsumerGroupDescribeRequest,
        version: i16,
    ) -> ConsumerGroupDescribeResponse {
        let each = request.group_ids.iter().take(NAMES_MAX).map(|name| {
            let found = self.see(caller.project, name, |state| match &state.body {
                Body::Consumer(group) => Some(self.describe(caller.project, group, version)),
                Body::Classic(_) | Body::Share(_) => None,
            });
            let group = found.unwrap_or_else(|| {
                described::DescribedGroup::default()
                    .with_error_code(ResponseError::GroupIdNotFound.code())
                    .with_error_message(Some(wire("there is no such group of the consumer protocol")))
            });
            let group = group.with_group_id(name.clone());
            match request.include_authorized_operations {
                true => group.with_authorized_operations(ALL_OPERATIONS),
                false => group.with_authorized_operations(i32::MIN),
            }
        });
        ConsumerGroupDescribeResponse::default().with_groups(each.collect())
    }

    fn describe(&self, project: ProjectId, group: &Consumer, version: i16) -> described::DescribedGroup {
        let name = |topic: TopicId| {
            let view = self.inner.directory.topic_by_id(project, topic);
            TopicName(view.map(|view| wire(&view.name)).unwrap_or_default())
        };
        let assignment = |partitions: &Partitions| {
            let topics = by_topic(partitions).into_iter().map(|(topic, partitions)| {
                described::TopicPartitions::default()
                    .with_topic_id(topic.to_vec().try_into().unwrap_or_default())
                    .with_topic_name(name(topic))
                    .with_partitions(partitions)
            });
            described::Assignment::default().with_topic_partitions(topics.collect())
        };
        let members = group.members.iter().map(|(id, member)| {
            let names = member.subscription.names.iter().map(|name| TopicName(wire(name)));
            let described = described::Member::default()
                .with_member_id(wire(id))
                .with_instance_id(wire_opt(&member.instance))
                .with_rack_id(wire_opt(&member.subscription.rack))
                .with_member_epoch(member.epoch)
                .with_client_id(wire(&member.client_id))
                .with_client_host(wire(&member.host.map(|host| format!("/{host}")).unwrap_or_default()))
                .with_subscribed_topic_names(names.collect())
                .with_subscribed_topic_regex(wire_opt(&member.subscription.regex))
                .with_assignment(assignment(&member.assigned))
                .with_target_assignment(assignment(&member.target));
            // 1: of the consumer protocol.
            if version >= 1 { described.with_member_type(1) } else { described }
        });
        described::DescribedGroup::default()
            .with_group_state(StrBytes::from_static_str(group.phase()))
            .with_group_epoch(group.epoch)
            .with_assignment_epoch(group.assignment_epoch)
            .with_assignor_name(StrBytes::from_static_str(group.assignor.name()))
            .with_members(members.collect())
    }
}

fn seen(topic: &TopicView) -> Topic {
    Topic { id: topic.id, name: Arc::clone(&topic.name), partitions: topic.partitions }
}

pub(super) fn by_topic(partitions: &Partitions) -> BTreeMap<TopicId, Vec<i32>> {
    let mut topics: BTreeMap<TopicId, Vec<i32>> = BTreeMap::new();
    for (topic, partition) in partitions {
        topics.entry(*topic).or_default().push(*partition);
    }
    topics
}

fn sentence(error: ResponseError) -> &'static str {
    match error {
        ResponseError::UnknownMemberId => "the member is not known here: join again",
        ResponseError::FencedMemberEpoch => "the member's epoch is not the one that it has here: join again",
        ResponseError::FencedInstanceId => "another member has this instance id now",
        ResponseError::UnreleasedInstanceId => "another member has this instance id still",
        ResponseError::GroupMaxSizeReached => "the group is as large as it may be",
        ResponseError::InvalidRegularExpression => "the regular expression is not valid, or too large",
        ResponseError::UnsupportedAssignor => "the assignors are uniform and range",
        _ => "the heartbeat cannot be taken",
    }
}
