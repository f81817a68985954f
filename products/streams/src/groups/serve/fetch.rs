//! OffsetFetch: how far groups have read.

use std::sync::Arc;

use candor_model::ProjectId;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use kafka_protocol::messages::{OffsetFetchRequest, OffsetFetchResponse, TopicName};
use kafka_protocol::protocol::StrBytes;

use super::{check_group, keep, wire};
use crate::caller::Caller;
use crate::groups::offsets::Places;
use crate::groups::registry::Groups;
use crate::groups::state::{Body, State};
use crate::groups::storage::Place;

/// Places that one request may ask for.
const PLACES_MAX: usize = 200_000;

/// Groups that one request may ask for.
const GROUPS_MAX: usize = 1_000;

/// Bytes of an answer after which no further group is told: its client asks for fewer at once.
const ANSWER_BYTES_MAX: usize = 32 << 20;

/// What is asked of one group.
struct Question<'a> {
    group: &'a str,
    /// None asks for all.
    topics: Option<Vec<(&'a StrBytes, &'a [i32])>>,
    /// Who asks, where it is a member that says so (KIP-848).
    member: Option<(&'a str, i32)>,
    require_stable: bool,
}

struct Found {
    partition: i32,
    offset: i64,
    leader_epoch: i32,
    metadata: StrBytes,
    error: i16,
}

type Topics = Vec<(TopicName, Vec<Found>)>;

impl Groups {
    /// OffsetFetch, 1 to 9.
    pub async fn offset_fetch(
        &self,
        caller: &Caller,
        request: OffsetFetchRequest,
        version: i16,
    ) -> OffsetFetchResponse {
        let require_stable = request.require_stable && version >= 7;
        if version >= 8 {
            return self.fetch_groups(caller, &request, version, require_stable).await;
        }
        let topics = request.topics.as_ref().filter(|_| version >= 2 || request.topics.is_some());
        let question = Question {
            group: &request.group_id,
            topics: topics.map(|topics| {
                topics.iter().map(|topic| (&topic.name.0, topic.partition_indexes.as_slice())).collect()
            }),
            member: None,
            require_stable,
        };
        match self.offsets_of(caller.project, &question).await {
            Ok(topics) => {
                let topics = topics.into_iter().map(|(name, found)| {
                    let partitions = found.into_iter().map(|found| {
                        OffsetFetchResponsePartition::default()
                            .with_partition_index(found.partition)
                            .with_committed_offset(found.offset)
                            .with_committed_leader_epoch(found.leader_epoch)
                            .with_metadata(Some(found.metadata))
                            .with_error_code(found.error)
                    });
                    OffsetFetchResponseTopic::default().with_name(name).with_partitions(partitions.collect())
                });
                OffsetFetchResponse::default().with_topics(topics.collect())
            }
            Err(error) => refused(&question, error),
        }
    }

    async fn fetch_groups(
        &self,
        caller: &Caller,
        request: &OffsetFetchRequest,
        version: i16,
        require_stable: bool,
    ) -> OffsetFetchResponse {
        let mut groups = Vec::with_capacity(request.groups.len().min(GROUPS_MAX));
        let mut bytes = 0;
        for (number, asked) in request.groups.iter().enumerate() {
            let member = asked.member_id.as_deref().filter(|member| version >= 9 && !member.is_empty());
            let question = Question {
                group: &asked.group_id,
                topics: asked.topics.as_ref().map(|topics| {
                    topics.iter().map(|topic| (&topic.name.0, topic.partition_indexes.as_slice())).collect()
                }),
                member: member.map(|member| (member, asked.member_epoch)),
                require_stable,
            };
            let outcome = match number < GROUPS_MAX && bytes < ANSWER_BYTES_MAX {
                true => self.offsets_of(caller.project, &question).await,
                false => Err(ResponseError::InvalidRequest),
            };
            let found = outcome.iter().flatten().flat_map(|(_, found)| found);
            bytes += found.map(|found| size_of::<Found>() + found.metadata.len()).sum::<usize>();
            let response = OffsetFetchResponseGroup::default().with_group_id(asked.group_id.clone());
            groups.push(match outcome {
                Err(error) => response.with_error_code(error.code()),
                Ok(topics) => response.with_topics(
                    topics
                        .into_iter()
                        .map(|(name, found)| {
                            let partitions = found.into_iter().map(|found| {
                                OffsetFetchResponsePartitions::default()
                                    .with_partition_index(found.partition)
                                    .with_committed_offset(found.offset)
                                    .with_committed_leader_epoch(found.leader_epoch)
                                    .with_metadata(Some(found.metadata))
                                    .with_error_code(found.error)
                            });
                            OffsetFetchResponseTopics::default()
                                .with_name(name)
                                .with_partitions(partitions.collect())
                        })
                        .collect(),
                ),
            });
        }
        OffsetFetchResponse::default().with_groups(groups)
    }

    async fn offsets_of(&self, project: ProjectId, question: &Question<'_>) -> Result<Topics, ResponseError> {
        check_group(question.group, true)?;
        let asked =
            question.topics.as_ref().map_or(0, |topics| topics.iter().map(|(_, parts)| parts.len()).sum());
        if asked > PLACES_MAX {
            return Err(ResponseError::InvalidRequest);
        }
        let Some(group) = self.find(project, question.group) else {
            return Ok(self.answer(project, question, None));
        };
        let looked = self.look(&group, |state, places| {
            if let (Some((member, epoch)), Body::Consumer(consumer)) = (question.member, &state.body) {
                consumer.check_epoch(member, epoch, false)?;
            }
            if matches!(state.body, Body::Share(_)) {
                return Err(ResponseError::GroupIdNotFound);
            }
            Ok(self.answer(project, question, Some((state, places))))
        });
        match looked.await {
            Ok(Some(answer)) => answer,
            Ok(None) => Err(ResponseError::CoordinatorLoadInProgress),
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "committed offsets cannot be read");
                Err(ResponseError::CoordinatorNotAvailable)
            }
        }
    }

    fn answer(
        &self,
        project: ProjectId,
        question: &Question<'_>,
        found: Option<(&State, &Places)>,
    ) -> Topics {
        // Offsets of a topic that was deleted, or deleted and made again, are none.
        let current = |place: &Place| {
            let (_, places) = found?;
            let committed = places.get(place)?;
            let topic = self.inner.directory.topic(project, &place.0)?;
            (topic.id == committed.topic_id).then_some(committed)
        };
        let one = |place: &Place| {
            let partition = place.1;
            let nothing =
                |error| Found { partition, offset: -1, leader_epoch: -1, metadata: StrBytes::new(), error };
            if question.require_stable && found.is_some_and(|(state, _)| state.offsets.is_unstable(place)) {
                return nothing(ResponseError::UnstableOffsetCommit.code());
            }
            match current(place) {
                None => nothing(0),
                Some(committed) => Found {
                    partition,
                    offset: committed.offset,
                    leader_epoch: committed.leader_epoch,
                    metadata: StrBytes::from_utf8(committed.metadata.clone()).unwrap_or_default(),
                    error: 0,
                },
            }
        };
        if let Some(topics) = &question.topics {
            // Each place once, however often it is named: what is kept with one may be long.
            let mut seen = std::collections::BTreeSet::new();
            let mut told = Topics::with_capacity(topics.len());
            for (name, partitions) in topics {
                let kept = keep(name);
                let new = partitions.iter().filter(|partition| seen.insert((*name, **partition)));
                let found: Vec<Found> = new.map(|partition| one(&(Arc::clone(&kept), *partition))).collect();
                if !found.is_empty() || partitions.is_empty() {
                    told.push((TopicName((*name).clone()), found));
                }
            }
            return told;
        }
        let mut topics: Topics = Vec::new();
        let Some((state, places)) = found else { return topics };
        let pending = state.offsets.pending.values().flat_map(|transaction| transaction.places.keys());
        let pending = pending.filter(|_| question.require_stable);
        let all: std::collections::BTreeSet<&Place> =
            places.keys().filter(|place| current(place).is_some()).chain(pending).collect();
        for place in all {
            match topics.last_mut() {
                Some((name, found)) if **name == *place.0 => found.push(one(place)),
                _ => topics.push((TopicName(wire(&place.0)), vec![one(place)])),
            }
        }
        topics
    }
}

/// An error for the whole group: version 1 has no place for it but at each partition.
fn refused(question: &Question<'_>, error: ResponseError) -> OffsetFetchResponse {
    let topics = question.topics.iter().flatten().map(|(name, partitions)| {
        let partitions = partitions.iter().map(|partition| {
            OffsetFetchResponsePartition::default()
                .with_partition_index(*partition)
                .with_committed_offset(-1)
                .with_error_code(error.code())
        });
        OffsetFetchResponseTopic::default()
            .with_name(TopicName((*name).clone()))
            .with_partitions(partitions.collect())
    });
    OffsetFetchResponse::default().with_error_code(error.code()).with_topics(topics.collect())
}
