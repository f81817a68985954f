//! Groups as the broker's own requests describe them, in plain words.

use std::collections::BTreeMap;

use candor_model::ProjectId;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use kafka_protocol::messages::{
    ConsumerGroupDescribeRequest, DescribeGroupsRequest, GroupId, ListGroupsRequest, OffsetFetchRequest,
    TopicName,
};
use kafka_protocol::protocol::StrBytes;
use serde::Serialize;

use super::{Inner, ViewError};
use crate::groups::{CONSUMER, assigned_partitions};

/// Versions of the requests that say most.
const LIST: i16 = 5;
const DESCRIBE: i16 = 6;
const CONSUMER_DESCRIBE: i16 = 1;
const OFFSET_FETCH: i16 = 9;

/// Groups that one OffsetFetch asks about.
const GROUPS_AT_ONCE: usize = 500;

/// A group in a list.
#[derive(Debug, Clone)]
pub(super) struct Listed {
    pub group: String,
    /// `classic`, `consumer` or `share`.
    pub kind: String,
    pub state: String,
    pub protocol_type: String,
}

/// A group's members.
#[derive(Debug, Clone, Default)]
pub(super) struct Described {
    /// How partitions are assigned.
    pub assignor: String,
    pub members: Vec<Member>,
}

/// A member of a group.
#[derive(Debug, Clone, Serialize)]
pub struct Member {
    /// Its id.
    pub id: String,
    /// What it calls itself.
    pub client_id: String,
    /// Where it is.
    pub host: String,
    /// Its instance id, where it has one: it may be away for a while and keep its place.
    pub instance: Option<String>,
    /// What it reads.
    pub assigned: Vec<Assigned>,
}

/// Partitions of a topic that a member reads.
#[derive(Debug, Clone, Serialize)]
pub struct Assigned {
    /// The topic.
    pub topic: String,
    /// Its partitions.
    pub partitions: Vec<i32>,
}

/// What is committed of a partition.
#[derive(Debug, Clone)]
pub(super) struct Committed {
    pub offset: i64,
    pub metadata: String,
}

/// Committed offsets of a group by topic and partition.
pub(super) type Commits = BTreeMap<(String, i32), Committed>;

fn bytes(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

impl Inner {
    pub(super) async fn listed(&self, project: ProjectId) -> Vec<Listed> {
        let caller = self.caller(project);
        let answer = self.parts.groups.list_groups(&caller, ListGroupsRequest::default(), LIST).await;
        let listed = answer.groups.into_iter().map(|one| Listed {
            group: one.group_id.to_string(),
            kind: one.group_type.to_string(),
            state: one.group_state.to_string(),
            protocol_type: one.protocol_type.to_string(),
        });
        listed.collect()
    }

    /// Describes groups; each only as its kind has it.
    pub(super) async fn described(
        &self,
        project: ProjectId,
        groups: &[&Listed],
    ) -> BTreeMap<String, Described> {
        let caller = self.caller(project);
        let of_kind = |kind: &str| {
            let own = groups.iter().filter(|one| one.kind == kind);
            own.map(|one| GroupId(bytes(&one.group))).collect::<Vec<_>>()
        };
        let mut all = BTreeMap::new();
        let classic = DescribeGroupsRequest::default().with_groups(of_kind("classic"));
        for group in self.parts.groups.describe_groups(&caller, classic, DESCRIBE).await.groups {
            // What members of other groups tell each other is theirs.
            let are_consumers = group.protocol_type.as_str() == CONSUMER;
            let members = group.members.into_iter().map(|member| Member {
                id: member.member_id.to_string(),
                client_id: member.client_id.to_string(),
                host: host(&member.client_host),
                instance: member.group_instance_id.map(|instance| instance.to_string()),
                assigned: if are_consumers { assigned(&member.member_assignment) } else { Vec::new() },
            });
            let described =
                Described { assignor: group.protocol_data.to_string(), members: members.collect() };
            all.insert(group.group_id.to_string(), described);
        }
        let consumer = ConsumerGroupDescribeRequest::default().with_group_ids(of_kind("consumer"));
        for group in self.parts.groups.consumer_describe(&caller, consumer, CONSUMER_DESCRIBE).await.groups {
            let members = group.members.into_iter().map(|member| Member {
                id: member.member_id.to_string(),
                client_id: member.client_id.to_string(),
                host: host(&member.client_host),
                instance: member.instance_id.map(|instance| instance.to_string()),
                assigned: member
                    .assignment
                    .topic_partitions
                    .into_iter()
                    .map(|of| Assigned { topic: of.topic_name.to_string(), partitions: of.partitions })
                    .collect(),
            });
            let described =
                Described { assignor: group.assignor_name.to_string(), members: members.collect() };
            all.insert(group.group_id.to_string(), described);
        }
        all
    }

    /// What groups have committed, of all topics or of one.
    pub(super) async fn commits(
        &self,
        project: ProjectId,
        groups: &[&str],
        topic: Option<(&str, u32)>,
    ) -> Result<BTreeMap<String, Commits>, ViewError> {
        let caller = self.caller(project);
        let topics = topic.map(|(name, partitions)| {
            let partitions = (0..partitions).filter_map(|one| i32::try_from(one).ok()).collect();
            let topic = OffsetFetchRequestTopics::default().with_name(TopicName(bytes(name)));
            vec![topic.with_partition_indexes(partitions)]
        });
        let mut all = BTreeMap::new();
        for some in groups.chunks(GROUPS_AT_ONCE) {
            let asked = some.iter().map(|group| {
                OffsetFetchRequestGroup::default()
                    .with_group_id(GroupId(bytes(group)))
                    .with_topics(topics.clone())
            });
            let request = OffsetFetchRequest::default().with_groups(asked.collect());
            let answer = self.parts.groups.offset_fetch(&caller, request, OFFSET_FETCH).await;
            for group in answer.groups {
                // A share group has none.
                let has_none = group.error_code == ResponseError::GroupIdNotFound.code();
                if group.error_code != 0 && !has_none {
                    return Err(ViewError::Later("committed offsets cannot be read now: try again".into()));
                }
                let commits = group.topics.into_iter().flat_map(|of| {
                    let name = of.name.to_string();
                    of.partitions.into_iter().filter(|one| one.committed_offset >= 0).map(move |one| {
                        let metadata = one.metadata.map(|metadata| metadata.to_string()).unwrap_or_default();
                        let committed = Committed { offset: one.committed_offset, metadata };
                        ((name.clone(), one.partition_index), committed)
                    })
                });
                all.insert(group.group_id.to_string(), commits.collect());
            }
        }
        Ok(all)
    }
}

/// An address without the slash that Java puts before it.
fn host(text: &str) -> String {
    text.strip_prefix('/').unwrap_or(text).to_owned()
}

/// What a classic consumer was assigned.
fn assigned(assignment: &[u8]) -> Vec<Assigned> {
    let topics = assigned_partitions(assignment).unwrap_or_default().into_iter();
    topics.map(|(topic, partitions)| Assigned { topic, partitions }).collect()
}
