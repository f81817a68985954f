//! Requests about groups: membership takes READ of the group, to look at it DESCRIBE, to end it DELETE.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::delete_groups_response::DeletableGroupResult;
use kafka_protocol::messages::find_coordinator_response::Coordinator as FoundCoordinator;
use kafka_protocol::messages::{
    BrokerId, ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse, DeleteGroupsRequest, DeleteGroupsResponse, DescribeGroupsRequest,
    DescribeGroupsResponse, FindCoordinatorRequest, FindCoordinatorResponse, HeartbeatRequest,
    HeartbeatResponse, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, LeaveGroupResponse,
    ListGroupsRequest, ListGroupsResponse, SyncGroupRequest, SyncGroupResponse,
};
use kafka_protocol::messages::{
    consumer_group_describe_response as consumer, describe_groups_response as classic,
};
use kafka_protocol::protocol::StrBytes;

use super::{Rights, once, parted};
use crate::admin::acl::Operation;
use crate::caller::Caller;
use crate::parts::Parts;

/// From this version on FindCoordinator asks for many at once (KIP-699).
const MANY_COORDINATORS_FROM: i16 = 4;

/// From this version on DescribeGroups tells what may be done (KIP-430).
const OPERATIONS_FROM: i16 = 3;

/// What is said of a group with topics that who asks may not see.
const UNSEEN_TOPICS: &str = "the group reads topics that no rule allows to describe";

/// JoinGroup.
pub async fn join(
    parts: &Parts,
    caller: &Caller,
    request: JoinGroupRequest,
    version: i16,
) -> JoinGroupResponse {
    match parts.rights(caller).on_group(Operation::Read, &request.group_id) {
        Ok(()) => parts.groups.join(caller, request, version).await,
        Err(error) => {
            JoinGroupResponse::default().with_error_code(error.code()).with_member_id(request.member_id)
        }
    }
}

/// SyncGroup.
pub async fn sync(
    parts: &Parts,
    caller: &Caller,
    request: SyncGroupRequest,
    version: i16,
) -> SyncGroupResponse {
    match parts.rights(caller).on_group(Operation::Read, &request.group_id) {
        Ok(()) => parts.groups.sync(caller, request, version).await,
        Err(error) => SyncGroupResponse::default().with_error_code(error.code()),
    }
}

/// Heartbeat.
pub async fn heartbeat(
    parts: &Parts,
    caller: &Caller,
    request: HeartbeatRequest,
    version: i16,
) -> HeartbeatResponse {
    match parts.rights(caller).on_group(Operation::Read, &request.group_id) {
        Ok(()) => parts.groups.heartbeat(caller, request, version).await,
        Err(error) => HeartbeatResponse::default().with_error_code(error.code()),
    }
}

/// LeaveGroup.
pub async fn leave(
    parts: &Parts,
    caller: &Caller,
    request: LeaveGroupRequest,
    version: i16,
) -> LeaveGroupResponse {
    match parts.rights(caller).on_group(Operation::Read, &request.group_id) {
        Ok(()) => parts.groups.leave(caller, request, version).await,
        Err(error) => LeaveGroupResponse::default().with_error_code(error.code()),
    }
}

/// ConsumerGroupHeartbeat. Topics that are subscribed to by name have to be seen; an expression means those alone that
/// its member may see.
pub async fn consumer_heartbeat(
    parts: &Parts,
    caller: &Caller,
    request: ConsumerGroupHeartbeatRequest,
    version: i16,
) -> ConsumerGroupHeartbeatResponse {
    let rights = parts.rights(caller);
    let mut names = request.subscribed_topic_names.iter().flatten();
    let may = rights
        .on_group(Operation::Read, &request.group_id)
        .and_then(|()| names.try_for_each(|name| rights.on_topic(Operation::Describe, name)));
    match may {
        Ok(()) => parts.groups.consumer_heartbeat(caller, request, version, &rights.sights()).await,
        Err(error) => ConsumerGroupHeartbeatResponse::default().with_error_code(error.code()),
    }
}

/// FindCoordinator.
pub async fn find_coordinator(
    parts: &Parts,
    caller: &Caller,
    mut request: FindCoordinatorRequest,
    version: i16,
) -> FindCoordinatorResponse {
    let rights = parts.rights(caller);
    let kind = if version >= 1 { request.key_type } else { 0 };
    let may = |key: &StrBytes| match kind {
        0 => rights.on_group(Operation::Describe, key),
        1 => rights.on_transactional_id(Operation::Describe, key),
        2 => rights.on_cluster(Operation::ClusterAction),
        // There is none such, which is said there.
        _ => Ok(()),
    };
    let here = parts.node.coordinator();
    if version < MANY_COORDINATORS_FROM {
        return match may(&request.key) {
            Ok(()) => parts.groups.find_coordinator(caller, request, version, &here).await,
            Err(error) => FindCoordinatorResponse::default()
                .with_error_code(error.code())
                .with_node_id(BrokerId(-1))
                .with_port(-1),
        };
    }
    let (allowed, refused) = parted(std::mem::take(&mut request.coordinator_keys), may);
    request.coordinator_keys = allowed;
    let mut response = parts.groups.find_coordinator(caller, request, version, &here).await;
    response.coordinators.extend(refused.into_iter().map(|(key, error)| {
        FoundCoordinator::default()
            .with_key(key)
            .with_error_code(error.code())
            .with_node_id(BrokerId(-1))
            .with_port(-1)
    }));
    response
}

/// ListGroups: who may describe the cluster sees all.
pub async fn list(
    parts: &Parts,
    caller: &Caller,
    request: ListGroupsRequest,
    version: i16,
) -> ListGroupsResponse {
    let rights = parts.rights(caller);
    let mut response = parts.groups.list_groups(caller, request, version).await;
    if rights.on_cluster(Operation::Describe).is_err() {
        response.groups.retain(|group| rights.on_group(Operation::Describe, &group.group_id).is_ok());
    }
    response
}

/// DescribeGroups.
pub async fn describe(
    parts: &Parts,
    caller: &Caller,
    mut request: DescribeGroupsRequest,
    version: i16,
) -> DescribeGroupsResponse {
    let rights = parts.rights(caller);
    let tells = request.include_authorized_operations && version >= OPERATIONS_FROM;
    let groups = once(std::mem::take(&mut request.groups), Clone::clone);
    let (allowed, refused) = parted(groups, |name| rights.on_group(Operation::Describe, name));
    request.groups = allowed;
    let mut response = parts.groups.describe_groups(caller, request, version).await;
    if tells {
        for group in &mut response.groups {
            group.authorized_operations = rights.group_operations(&group.group_id);
        }
    }
    response.groups.extend(refused.into_iter().map(|(name, error)| {
        classic::DescribedGroup::default().with_group_id(name).with_error_code(error.code())
    }));
    response
}

/// ConsumerGroupDescribe. A group is told whole or not: topics in it have to be seen, too.
pub async fn consumer_describe(
    parts: &Parts,
    caller: &Caller,
    mut request: ConsumerGroupDescribeRequest,
    version: i16,
) -> ConsumerGroupDescribeResponse {
    let rights = parts.rights(caller);
    let tells = request.include_authorized_operations;
    let groups = once(std::mem::take(&mut request.group_ids), Clone::clone);
    let (allowed, refused) = parted(groups, |name| rights.on_group(Operation::Describe, name));
    request.group_ids = allowed;
    let mut response = parts.groups.consumer_describe(caller, request, version).await;
    for group in &mut response.groups {
        if tells {
            group.authorized_operations = rights.group_operations(&group.group_id);
        }
        if !group.members.iter().all(|member| sees_topics(&rights, member)) {
            let hidden = refused_group(ResponseError::TopicAuthorizationFailed, UNSEEN_TOPICS);
            *group = hidden.with_group_id(group.group_id.clone());
        }
    }
    response.groups.extend(refused.into_iter().map(|(name, error)| {
        refused_group(error, "no rule allows to describe the group").with_group_id(name)
    }));
    response
}

fn refused_group(error: ResponseError, why: &'static str) -> consumer::DescribedGroup {
    consumer::DescribedGroup::default()
        .with_error_code(error.code())
        .with_error_message(Some(StrBytes::from_static_str(why)))
        .with_authorized_operations(i32::MIN)
}

fn sees_topics(rights: &Rights, member: &consumer::Member) -> bool {
    let assigned = [&member.assignment, &member.target_assignment].into_iter();
    let assigned =
        assigned.flat_map(|assignment| &assignment.topic_partitions).map(|topic| &topic.topic_name);
    let mut names = member.subscribed_topic_names.iter().chain(assigned);
    // A topic that was deleted meanwhile has no name.
    names.all(|name| name.is_empty() || rights.on_topic(Operation::Describe, name).is_ok())
}

/// DeleteGroups.
pub async fn delete(
    parts: &Parts,
    caller: &Caller,
    mut request: DeleteGroupsRequest,
    version: i16,
) -> DeleteGroupsResponse {
    let rights = parts.rights(caller);
    let groups = once(std::mem::take(&mut request.groups_names), Clone::clone);
    let (allowed, refused) = parted(groups, |name| rights.on_group(Operation::Delete, name));
    request.groups_names = allowed;
    let mut response = parts.groups.delete_groups(caller, request, version).await;
    response.results.extend(refused.into_iter().map(|(name, error)| {
        DeletableGroupResult::default().with_group_id(name).with_error_code(error.code())
    }));
    response
}
