//! Where share groups stand, for administrators: DescribeShareGroupOffsets, AlterShareGroupOffsets,
//! DeleteShareGroupOffsets.

use std::collections::BTreeMap;

use candor_log::Topic;
use candor_model::{Partition, ProjectId};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::alter_share_group_offsets_response as altered;
use kafka_protocol::messages::delete_share_group_offsets_response as deleted;
use kafka_protocol::messages::describe_share_group_offsets_request as asked;
use kafka_protocol::messages::describe_share_group_offsets_response as told;
use kafka_protocol::messages::{
    AlterShareGroupOffsetsRequest, AlterShareGroupOffsetsResponse, DeleteShareGroupOffsetsRequest,
    DeleteShareGroupOffsetsResponse, DescribeShareGroupOffsetsRequest, DescribeShareGroupOffsetsResponse,
    GroupId, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use super::{Place, Shares, by_topic};
use crate::admin::acl::Operation;
use crate::caller::Caller;
use crate::data::{LEADER_EPOCH, partition};
use crate::groups::{Share, Stands};
use crate::rights::{Rights, once};

/// Groups that one request may ask for.
const GROUPS_MAX: usize = 10_000;

/// Where a group stands that has not begun to read a partition.
const NOWHERE: i64 = -1;

/// How far groups are behind.
pub(crate) type Lags = BTreeMap<(GroupId, Place), i64>;

/// Partitions of topics by name, each with where it is to stand or not.
type Named<T> = Vec<(TopicName, Vec<(i32, T)>)>;

impl Shares {
    /// DescribeShareGroupOffsets, 0 to 1; version 1 tells the lags, too (KIP-1226).
    pub(crate) async fn describe_offsets(
        &self,
        caller: &Caller,
        request: DescribeShareGroupOffsetsRequest,
    ) -> (DescribeShareGroupOffsetsResponse, Lags) {
        let rights = self.rights(caller);
        let mut lags = Lags::new();
        let groups = once(request.groups, |of| of.group_id.clone());
        let each = groups.into_iter().take(GROUPS_MAX).map(|of| {
            let group = told::DescribeShareGroupOffsetsResponseGroup::default();
            if let Err(error) = rights.on_group(Operation::Describe, &of.group_id) {
                let group = group.with_error_code(error.code()).with_error_message(Some(sentence(error)));
                return group.with_group_id(of.group_id);
            }
            let starts = self.inner.groups.with_share(caller.project, &of.group_id, |share, _| {
                share.parts().map(|(place, part)| (*place, part.stands())).collect::<BTreeMap<_, _>>()
            });
            let lags_of = starts.iter().flatten().filter_map(|(place, stands)| {
                Some(((of.group_id.clone(), *place), self.lag(caller.project, *place, *stands)?))
            });
            lags.extend(lags_of);
            let starts = starts.map(|starts| {
                starts.into_iter().map(|(place, stands)| (place, stands.start)).collect::<BTreeMap<_, _>>()
            });
            let group = match starts {
                Ok(starts) => group.with_error_message(None).with_topics(match of.topics {
                    None => self.describe_all(&rights, starts),
                    Some(topics) => self.describe_some(&rights, &starts, topics),
                }),
                Err(error) => group
                    .with_error_code(error.code())
                    .with_error_message(Some(StrBytes::from_static_str("there is no such share group"))),
            };
            group.with_group_id(of.group_id)
        });
        let groups = each.collect();
        (DescribeShareGroupOffsetsResponse::default().with_groups(groups), lags)
    }

    /// Records of a partition that a group is not done with. None where the topic is gone.
    fn lag(&self, project: ProjectId, (topic, index): Place, stands: Stands) -> Option<i64> {
        let view = self.inner.directory.topic_by_id(project, topic)?;
        let partition = partition(&view, index).ok()?;
        let topic = Topic { project, name: view.in_log.clone() };
        let end = i64::try_from(self.inner.log.high_watermark(&topic, partition).0).unwrap_or(i64::MAX);
        Some((end - stands.start - stands.over).max(0))
    }

    fn describe_all(
        &self,
        rights: &Rights,
        starts: BTreeMap<Place, i64>,
    ) -> Vec<told::DescribeShareGroupOffsetsResponseTopic> {
        let topics = by_topic(starts).into_iter().filter_map(|(id, partitions)| {
            let view = self.inner.directory.topic_by_id(rights.project(), id)?;
            rights.on_topic(Operation::Describe, &view.name).ok()?;
            let partitions = partitions.into_iter().map(|(index, start)| described(index, start));
            let topic = told::DescribeShareGroupOffsetsResponseTopic::default()
                .with_topic_name(TopicName(StrBytes::from_string(view.name.to_string())))
                .with_topic_id(Uuid::from_bytes(id))
                .with_partitions(partitions.collect());
            Some(topic)
        });
        topics.collect()
    }

    fn describe_some(
        &self,
        rights: &Rights,
        starts: &BTreeMap<Place, i64>,
        topics: Vec<asked::DescribeShareGroupOffsetsRequestTopic>,
    ) -> Vec<told::DescribeShareGroupOffsetsResponseTopic> {
        let each = once(topics, |topic| topic.topic_name.clone()).into_iter().map(|topic| {
            let view = rights.on_topic(Operation::Describe, &topic.topic_name).and_then(|()| {
                let view = self.inner.directory.topic(rights.project(), &topic.topic_name);
                view.ok_or(ResponseError::UnknownTopicOrPartition)
            });
            let id = view.as_ref().map(|view| view.id).unwrap_or_default();
            let partitions = once(topic.partitions, |index| *index).into_iter().map(|index| {
                let start = starts.get(&(id, index)).copied().unwrap_or(NOWHERE);
                match view.as_ref().map_err(|error| *error).and_then(|view| partition(view, index)) {
                    Ok(_) => described(index, start),
                    Err(error) => described(index, NOWHERE).with_error_code(error.code()),
                }
            });
            told::DescribeShareGroupOffsetsResponseTopic::default()
                .with_topic_id(Uuid::from_bytes(id))
                .with_partitions(partitions.collect())
                .with_topic_name(topic.topic_name)
        });
        each.collect()
    }

    /// AlterShareGroupOffsets, 0: of a group without members.
    pub async fn alter_offsets(
        &self,
        caller: &Caller,
        request: AlterShareGroupOffsetsRequest,
    ) -> AlterShareGroupOffsetsResponse {
        let (project, rights) = (caller.project, self.rights(caller));
        if let Err(error) = rights.on_group(Operation::Read, &request.group_id) {
            return AlterShareGroupOffsetsResponse::default()
                .with_error_code(error.code())
                .with_error_message(Some(sentence(error)));
        }
        let named: Named<i64> = request
            .topics
            .into_iter()
            .map(|topic| {
                let partitions = topic
                    .partitions
                    .iter()
                    .map(|partition| (partition.partition_index, partition.start_offset));
                (topic.topic_name, partitions.collect())
            })
            .collect();
        let altered = self
            .change(project, &request.group_id, |share| {
                let topics = named.iter().map(|(name, partitions)| {
                    let each = partitions
                        .iter()
                        .map(|(index, start)| (*index, self.alter(&rights, share, name, *index, *start)));
                    each.collect::<Vec<_>>()
                });
                topics.collect::<Vec<_>>()
            })
            .await;
        let outcomes = match altered {
            Ok(outcomes) => outcomes,
            Err(error) => {
                return AlterShareGroupOffsetsResponse::default()
                    .with_error_code(error.code())
                    .with_error_message(Some(sentence(error)));
            }
        };
        let responses = named.into_iter().zip(outcomes).map(|((name, _), outcomes)| {
            let id = self.inner.directory.topic(project, &name).map(|view| view.id).unwrap_or_default();
            let partitions = outcomes.into_iter().map(|(index, outcome)| {
                altered::AlterShareGroupOffsetsResponsePartition::default()
                    .with_partition_index(index)
                    .with_error_code(outcome.err().map_or(0, |error| error.code()))
                    .with_error_message(None)
            });
            altered::AlterShareGroupOffsetsResponseTopic::default()
                .with_topic_name(name)
                .with_topic_id(Uuid::from_bytes(id))
                .with_partitions(partitions.collect())
        });
        AlterShareGroupOffsetsResponse::default().with_error_message(None).with_responses(responses.collect())
    }

    fn alter(
        &self,
        rights: &Rights,
        share: &mut Share,
        name: &str,
        index: i32,
        start: i64,
    ) -> Result<(), ResponseError> {
        rights.on_topic(Operation::Read, name)?;
        let project = rights.project();
        let view = self.inner.directory.topic(project, name).ok_or(ResponseError::UnknownTopicOrPartition)?;
        let partition: Partition = partition(&view, index)?;
        let topic = Topic { project, name: view.in_log.clone() };
        let end = i64::try_from(self.inner.log.high_watermark(&topic, partition).0).unwrap_or(i64::MAX);
        if !(0..=end).contains(&start) {
            return Err(ResponseError::OffsetOutOfRange);
        }
        share.begin((view.id, index), start)
    }

    /// DeleteShareGroupOffsets, 0: of a group without members.
    pub async fn delete_offsets(
        &self,
        caller: &Caller,
        request: DeleteShareGroupOffsetsRequest,
    ) -> DeleteShareGroupOffsetsResponse {
        let (project, rights) = (caller.project, self.rights(caller));
        if let Err(error) = rights.on_group(Operation::Delete, &request.group_id) {
            return DeleteShareGroupOffsetsResponse::default()
                .with_error_code(error.code())
                .with_error_message(Some(sentence(error)));
        }
        let views: Vec<_> = request
            .topics
            .into_iter()
            .map(|topic| {
                let view = rights.on_topic(Operation::Read, &topic.topic_name).and_then(|()| {
                    let view = self.inner.directory.topic(project, &topic.topic_name);
                    view.map(|view| view.id).ok_or(ResponseError::UnknownTopicOrPartition)
                });
                (topic.topic_name, view)
            })
            .collect();
        let forgotten = self
            .change(project, &request.group_id, |share| {
                for topic in views.iter().filter_map(|(_, topic)| topic.ok()) {
                    share.forget_topic(topic);
                }
            })
            .await;
        if let Err(error) = forgotten {
            return DeleteShareGroupOffsetsResponse::default()
                .with_error_code(error.code())
                .with_error_message(Some(sentence(error)));
        }
        let responses = views.into_iter().map(|(name, topic)| {
            let error = topic.err().map_or(0, |error| error.code());
            deleted::DeleteShareGroupOffsetsResponseTopic::default()
                .with_topic_name(name)
                .with_topic_id(Uuid::from_bytes(topic.unwrap_or_default()))
                .with_error_code(error)
                .with_error_message(None)
        });
        DeleteShareGroupOffsetsResponse::default()
            .with_error_message(None)
            .with_responses(responses.collect())
    }

    /// Changes where a group without members stands, and stores it.
    async fn change<R>(
        &self,
        project: ProjectId,
        group: &str,
        mut change: impl FnMut(&mut Share) -> R,
    ) -> Result<R, ResponseError> {
        let changed = self.inner.groups.with_share(project, group, |share, _| match share.is_empty() {
            true => Ok(change(share)),
            false => Err(ResponseError::NonEmptyGroup),
        })??;
        match self.inner.groups.save_share(project, group).await {
            true => Ok(changed),
            false => Err(ResponseError::KafkaStorageError),
        }
    }
}

fn described(index: i32, start: i64) -> told::DescribeShareGroupOffsetsResponsePartition {
    told::DescribeShareGroupOffsetsResponsePartition::default()
        .with_partition_index(index)
        .with_start_offset(start)
        .with_leader_epoch(LEADER_EPOCH)
        .with_error_message(None)
}

fn sentence(error: ResponseError) -> StrBytes {
    StrBytes::from_static_str(match error {
        ResponseError::GroupIdNotFound => "there is no such share group",
        ResponseError::GroupAuthorizationFailed => "no rule allows that with the group",
        ResponseError::NonEmptyGroup => "the group has members: stop them first",
        _ => "it cannot be stored now: try again",
    })
}
