//! Where groups are, what groups there are, how they stand, and their end: FindCoordinator, ListGroups,
//! DescribeGroups, DeleteGroups.

use std::collections::HashSet;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::delete_groups_response::DeletableGroupResult;
use kafka_protocol::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use kafka_protocol::messages::find_coordinator_response::Coordinator as FoundCoordinator;
use kafka_protocol::messages::list_groups_response::ListedGroup;
use kafka_protocol::messages::{
    BrokerId, DeleteGroupsRequest, DeleteGroupsResponse, DescribeGroupsRequest, DescribeGroupsResponse,
    FindCoordinatorRequest, FindCoordinatorResponse, GroupId, ListGroupsRequest, ListGroupsResponse,
};
use kafka_protocol::protocol::StrBytes;

use super::{check_group, wire, wire_opt};
use crate::caller::Caller;
use crate::groups::classic::{Classic, Phase};
use crate::groups::registry::Groups;
use crate::groups::state::{Body, State};

/// Names that one request may ask for.
const NAMES_MAX: usize = 10_000;

/// Kinds of coordinators: of a group, a transaction, a share group's partition (KIP-932).
const KINDS: std::ops::RangeInclusive<i8> = 0..=2;

/// What may be done with a group by one who may do all: READ, DELETE and DESCRIBE, each the bit of its number in
/// Kafka's list of operations (KIP-430).
pub(super) const ALL_OPERATIONS: i32 = 1 << 3 | 1 << 6 | 1 << 8;

/// Who coordinates: this server, as its clients reach it.
#[derive(Debug, Clone)]
pub struct Coordinator {
    /// Its node id.
    pub node_id: i32,
    /// The host that it advertises to this client.
    pub host: StrBytes,
    /// The port.
    pub port: i32,
}

impl Groups {
    /// FindCoordinator, 0 to 6: whatever is asked for is here.
    pub async fn find_coordinator(
        &self,
        _caller: &Caller,
        request: FindCoordinatorRequest,
        version: i16,
        here: &Coordinator,
    ) -> FindCoordinatorResponse {
        let kind = if version >= 1 { request.key_type } else { 0 };
        let known = KINDS.contains(&kind) && (kind < 2 || version >= 6);
        let refusal = "no coordinator of that kind";
        if version <= 3 {
            let response = FindCoordinatorResponse::default();
            if !known {
                return response
                    .with_error_code(ResponseError::InvalidRequest.code())
                    .with_error_message(Some(wire(refusal)))
                    .with_node_id(BrokerId(-1))
                    .with_port(-1);
            }
            return response
                .with_error_message(None)
                .with_node_id(BrokerId(here.node_id))
                .with_host(here.host.clone())
                .with_port(here.port);
        }
        let each = request.coordinator_keys.into_iter().take(NAMES_MAX).map(|key| {
            let found = FoundCoordinator::default().with_key(key.clone());
            // A share partition's key is GROUP:TOPIC_ID:PARTITION.
            if !known || kind == 2 && key.split(':').count() != 3 {
                return found
                    .with_error_code(ResponseError::InvalidRequest.code())
                    .with_error_message(Some(wire(refusal)))
                    .with_node_id(BrokerId(-1))
                    .with_port(-1);
            }
            found
                .with_error_message(None)
                .with_node_id(BrokerId(here.node_id))
                .with_host(here.host.clone())
                .with_port(here.port)
        });
        FindCoordinatorResponse::default().with_coordinators(each.collect())
    }

    /// ListGroups, 0 to 5.
    pub async fn list_groups(
        &self,
        caller: &Caller,
        request: ListGroupsRequest,
        version: i16,
    ) -> ListGroupsResponse {
        // Sets, as there may be many names in a request and many groups in a project.
        let set = |filter: &[StrBytes]| -> HashSet<String> {
            filter.iter().map(|wanted| wanted.to_ascii_lowercase()).collect()
        };
        let (states, types) = (set(&request.states_filter), set(&request.types_filter));
        let fits = |filter: &HashSet<String>, value: &str| {
            filter.is_empty() || filter.contains(&value.to_ascii_lowercase())
        };
        let mut groups = Vec::new();
        for group in self.of_project(caller.project) {
            let (kind, phase, protocol_type) = describe_kind(&group.state.lock());
            if version >= 4 && !fits(&states, phase) || version >= 5 && !fits(&types, kind) {
                continue;
            }
            groups.push(
                ListedGroup::default()
                    .with_group_id(GroupId(wire(&group.key.name)))
                    .with_protocol_type(protocol_type)
                    .with_group_state(if version >= 4 { wire(phase) } else { StrBytes::new() })
                    .with_group_type(if version >= 5 { wire(kind) } else { StrBytes::new() }),
            );
        }
        ListGroupsResponse::default().with_groups(groups)
    }

    /// DescribeGroups, 0 to 6: classic groups.
    pub async fn describe_groups(
        &self,
        caller: &Caller,
        request: DescribeGroupsRequest,
        version: i16,
    ) -> DescribeGroupsResponse {
        let operations = request.include_authorized_operations && version >= 3;
        let each = request.groups.iter().take(NAMES_MAX).map(|name| {
            let described = match check_group(name, true) {
                Err(error) => DescribedGroup::default().with_error_code(error.code()),
                Ok(()) => self
                    .see(caller.project, name, |state| match &state.body {
                        Body::Classic(group) => Some(describe(group, version)),
                        Body::Consumer(_) | Body::Share(_) => None,
                    })
                    .unwrap_or_else(|| unknown(name, version)),
            };
            let described = described.with_group_id(name.clone());
            if operations { described.with_authorized_operations(ALL_OPERATIONS) } else { described }
        });
        DescribeGroupsResponse::default().with_groups(each.collect())
    }

    /// DeleteGroups, 0 to 2: groups without members, of any kind, with how far they have read.
    pub async fn delete_groups(
        &self,
        caller: &Caller,
        request: DeleteGroupsRequest,
        _version: i16,
    ) -> DeleteGroupsResponse {
        let mut results = Vec::new();
        for name in request.groups_names.into_iter().take(NAMES_MAX) {
            let outcome = self.delete_group(caller, &name).await;
            results.push(
                DeletableGroupResult::default().with_group_id(name).with_error_code(super::code(outcome)),
            );
        }
        DeleteGroupsResponse::default().with_results(results)
    }

    async fn delete_group(&self, caller: &Caller, name: &str) -> Result<(), ResponseError> {
        check_group(name, true)?;
        let dropped = self.with(caller.project, name, |group, state, _| match state.is_vacant() {
            true => Ok(self.take_out(group, state)),
            false => Err(ResponseError::NonEmptyGroup),
        });
        match dropped.unwrap_or(Err(ResponseError::GroupIdNotFound))?.await {
            Ok(true) => Ok(()),
            _ => Err(ResponseError::CoordinatorNotAvailable),
        }
    }
}

/// Its kind, its state and its protocol type, as they are listed.
fn describe_kind(state: &State) -> (&'static str, &'static str, StrBytes) {
    match &state.body {
        Body::Classic(group) => {
            ("classic", group.phase.name(), wire_opt(&group.protocol_type).unwrap_or_default())
        }
        Body::Consumer(group) => ("consumer", group.phase(), StrBytes::from_static_str("consumer")),
        Body::Share(group) => ("share", group.phase(), StrBytes::from_static_str("share")),
    }
}

/// Before version 6 a group that is not there is dead; from then on that is an error (KIP-1043).
fn unknown(name: &str, version: i16) -> DescribedGroup {
    let dead = DescribedGroup::default().with_group_state(StrBytes::from_static_str("Dead"));
    if version < 6 {
        return dead;
    }
    dead.with_error_code(ResponseError::GroupIdNotFound.code())
        .with_error_message(Some(wire(&format!("there is no classic group {name}"))))
}

fn describe(group: &Classic, version: i16) -> DescribedGroup {
    let stable = group.phase == Phase::Stable;
    let protocol = group.protocol.as_deref().filter(|_| stable).unwrap_or_default();
    let members = group.members.iter().map(|(id, member)| {
        let described = DescribedGroupMember::default()
            .with_member_id(wire(id))
            .with_group_instance_id(wire_opt(&member.instance).filter(|_| version >= 4))
            .with_client_id(wire(&member.client_id))
            .with_client_host(wire(&member.host.map(|host| format!("/{host}")).unwrap_or_default()));
        match stable {
            true => described
                .with_member_metadata(member.metadata(protocol))
                .with_member_assignment(member.assignment.clone()),
            false => described,
        }
    });
    DescribedGroup::default()
        .with_group_state(StrBytes::from_static_str(group.phase.name()))
        .with_protocol_type(wire_opt(&group.protocol_type).unwrap_or_default())
        .with_protocol_data(wire(protocol))
        .with_members(members.collect())
}
