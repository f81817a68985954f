//! Finding, listing and describing.

use kafka_protocol::messages::{
    ConsumerGroupDescribeRequest, DescribeGroupsRequest, FindCoordinatorRequest, ListGroupsRequest,
};

use super::bed::*;
use super::consumer::client;
use crate::groups::Coordinator;

#[tokio::test(start_paused = true)]
async fn every_coordinator_is_here() {
    let bed = Bed::new().await;
    let here = Coordinator { node_id: 4, host: text("broker.example"), port: 9092 };
    for version in 0..=6 {
        let find = async |request| {
            let response = bed.groups.find_coordinator(&caller(), request, version, &here).await;
            fits(&response, version);
            response
        };
        for kind in 0..=3_i8 {
            let mut request = FindCoordinatorRequest::default();
            if version >= 1 {
                request.key_type = kind;
            }
            let key = if kind == 2 { "g:AAAAAAAAAAAAAAAAAAAAAA:0" } else { "g" };
            let known = version == 0 || kind < 2 || kind == 2 && version >= 6;
            if version <= 3 {
                request.key = text(key);
                let found = find(request).await;
                let expected = if known { (0, 4, "broker.example", 9092) } else { (42, -1, "", -1) };
                assert_eq!((found.error_code, found.node_id.0, found.host.as_str(), found.port), expected);
            } else {
                request.coordinator_keys = vec![text(key), text(key)];
                let found = find(request).await.coordinators;
                assert_eq!(found.len(), 2);
                let expected = if known { (0, 4, "broker.example", 9092) } else { (42, -1, "", -1) };
                let second = &found[1];
                assert_eq!(
                    (second.error_code, second.node_id.0, second.host.as_str(), second.port),
                    expected
                );
                assert_eq!(second.key, text(key));
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn groups_are_listed_by_state_and_kind() {
    let bed = Bed::new().await;
    let (first, _) = pair(&bed.groups, "stable").await;
    join(&bed.groups, "joining").await;
    commit(&bed.groups, "simple", "", -1, 1).await;
    client("a").beat(&bed).await;
    let list = async |states: &[&str], types: &[&str], version: i16| {
        let request = ListGroupsRequest::default()
            .with_states_filter(states.iter().map(|state| text(state)).collect())
            .with_types_filter(types.iter().map(|kind| text(kind)).collect());
        let response = bed.groups.list_groups(&caller(), request, version).await;
        fits(&response, version);
        let groups = response.groups.into_iter();
        groups
            .map(|group| {
                format!(
                    "{}/{}/{}/{}",
                    group.group_id.0, group.protocol_type, group.group_state, group.group_type
                )
            })
            .collect::<Vec<_>>()
    };
    let all = [
        "g/consumer/Stable/consumer",
        "joining/consumer/CompletingRebalance/classic",
        "simple//Empty/classic",
        "stable/consumer/Stable/classic",
    ];
    assert_eq!(list(&[], &[], 5).await, all);
    assert_eq!(list(&[], &[], 0).await[3], "stable/consumer//");
    assert_eq!(list(&["stable"], &["Classic"], 5).await, all[3..]);
    assert_eq!(list(&["empty", "completingrebalance"], &[], 4).await.len(), 2);
    for version in 0..=6 {
        let request = DescribeGroupsRequest::default()
            .with_groups(vec![group("stable"), group("none"), group("g"), group("simple"), group("joining")])
            .with_include_authorized_operations(version >= 3);
        let response = bed.groups.describe_groups(&caller(), request, version).await;
        fits(&response, version);
        let [stable, none, other, simple, joining] = response.groups.as_slice() else {
            panic!("{response:?}")
        };
        assert_eq!((stable.group_state.as_str(), stable.protocol_data.as_str()), ("Stable", "range"));
        let leader = stable.members.iter().find(|member| member.member_id == first.member_id).unwrap();
        assert_eq!(leader.member_assignment, format!("for {}", first.member_id.as_str()));
        assert_eq!(leader.member_metadata, subscription(&["orders"]));
        assert_eq!((leader.client_id.as_str(), leader.client_host.as_str()), ("client", "/127.0.0.1"));
        let missing = if version >= 6 { 69 } else { 0 };
        assert_eq!((none.error_code, none.group_state.as_str()), (missing, "Dead"));
        assert_eq!((other.error_code, other.group_state.as_str()), (missing, "Dead"));
        assert_eq!(simple.group_state.as_str(), "Empty");
        assert!(joining.members[0].member_assignment.is_empty());
    }
    for version in 0..=1 {
        let request =
            ConsumerGroupDescribeRequest::default().with_group_ids(vec![group("g"), group("stable")]);
        let response = bed.groups.consumer_describe(&caller(), request, version).await;
        fits(&response, version);
        let described = &response.groups[0];
        assert_eq!((described.group_epoch, described.assignment_epoch), (1, 1));
        assert_eq!(described.assignor_name.as_str(), "uniform");
        let member = &described.members[0];
        assert_eq!(member.assignment.topic_partitions[0].topic_name.0, text("orders"));
        assert_eq!(member.assignment.topic_partitions[0].partitions, [0, 1, 2, 3]);
        assert_eq!(response.groups[1].error_code, 69);
    }
    let other = crate::caller::Caller { project: candor_model::ProjectId(8), ..caller() };
    let listed = bed.groups.list_groups(&other, ListGroupsRequest::default(), 5).await;
    assert!(listed.groups.is_empty(), "another project has none of these");
}
