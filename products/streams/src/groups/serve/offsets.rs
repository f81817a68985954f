//! Offsets that are committed, by members and by transactions: OffsetCommit, TxnOffsetCommit, OffsetDelete.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use candor_model::ProjectId;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use kafka_protocol::messages::offset_delete_response::{
    OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use kafka_protocol::messages::txn_offset_commit_response::{
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use kafka_protocol::messages::{
    OffsetCommitRequest, OffsetCommitResponse, OffsetDeleteRequest, OffsetDeleteResponse,
    TxnOffsetCommitRequest, TxnOffsetCommitResponse,
};
use kafka_protocol::protocol::StrBytes;

use super::{check_group, keep};
use crate::caller::Caller;
use crate::directory::TopicView;
use crate::groups::classic::Phase;
use crate::groups::committer::What;
use crate::groups::embedded::{CONSUMER, subscribed_topics};
use crate::groups::registry::Groups;
use crate::groups::state::{Body, State};
use crate::groups::storage::{Committed, GroupKey, Place, Step};
use crate::mutant::{Mutant, planted};

/// Offsets that one request may commit. Kafka bounds requests by bytes alone (100 MB).
const PLACES_MAX: usize = 100_000;

/// A place that somebody wants to commit at, or why that cannot be.
struct Wish<'a> {
    topic: &'a StrBytes,
    partition: i32,
    offset: i64,
    leader_epoch: i32,
    metadata: Option<&'a StrBytes>,
}

/// Who commits.
struct Committing<'a> {
    group: &'a str,
    member_id: &'a str,
    instance: Option<&'a str>,
    generation: i32,
    version: i16,
    /// The producer and its epoch, in a transaction.
    producer: Option<(i64, i16)>,
}

impl Groups {
    /// OffsetCommit, 2 to 9.
    pub async fn offset_commit(
        &self,
        caller: &Caller,
        request: OffsetCommitRequest,
        version: i16,
    ) -> OffsetCommitResponse {
        let committing = Committing {
            group: &request.group_id,
            member_id: &request.member_id,
            instance: request.group_instance_id.as_deref().filter(|_| version >= 7),
            generation: request.generation_id_or_member_epoch,
            version,
            producer: None,
        };
        let wishes: Vec<Wish<'_>> = request
            .topics
            .iter()
            .flat_map(|topic| {
                topic.partitions.iter().map(|partition| Wish {
                    topic: &topic.name,
                    partition: partition.partition_index,
                    offset: partition.committed_offset,
                    leader_epoch: if version >= 6 { partition.committed_leader_epoch } else { -1 },
                    metadata: partition.committed_metadata.as_ref(),
                })
            })
            .collect();
        let mut codes = self.commit(caller, &committing, &wishes).await.into_iter();
        let topics = request.topics.iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|partition| {
                OffsetCommitResponsePartition::default()
                    .with_partition_index(partition.partition_index)
                    .with_error_code(codes.next().unwrap_or_default())
            });
            OffsetCommitResponseTopic::default()
                .with_name(topic.name.clone())
                .with_partitions(partitions.collect())
        });
        OffsetCommitResponse::default().with_topics(topics.collect())
    }

    /// TxnOffsetCommit, 0 to 5. What it brings counts once the transaction ends ([`Groups::end_txn`]). That the
    /// producer is in such a transaction is for the caller to know.
    pub async fn txn_offset_commit(
        &self,
        caller: &Caller,
        request: TxnOffsetCommitRequest,
        version: i16,
    ) -> TxnOffsetCommitResponse {
        let committing = Committing {
            group: &request.group_id,
            member_id: if version >= 3 { &request.member_id } else { "" },
            instance: request.group_instance_id.as_deref().filter(|_| version >= 3),
            generation: if version >= 3 { request.generation_id } else { -1 },
            version,
            producer: Some((request.producer_id.0, request.producer_epoch)),
        };
        let wishes: Vec<Wish<'_>> = request
            .topics
            .iter()
            .flat_map(|topic| {
                topic.partitions.iter().map(|partition| Wish {
                    topic: &topic.name,
                    partition: partition.partition_index,
                    offset: partition.committed_offset,
                    leader_epoch: if version >= 2 { partition.committed_leader_epoch } else { -1 },
                    metadata: partition.committed_metadata.as_ref(),
                })
            })
            .collect();
        let mut codes = self.commit(caller, &committing, &wishes).await.into_iter();
        let topics = request.topics.iter().map(|topic| {
            let partitions = topic.partitions.iter().map(|partition| {
                TxnOffsetCommitResponsePartition::default()
                    .with_partition_index(partition.partition_index)
                    .with_error_code(codes.next().unwrap_or_default())
            });
            TxnOffsetCommitResponseTopic::default()
                .with_name(topic.name.clone())
                .with_partitions(partitions.collect())
        });
        TxnOffsetCommitResponse::default().with_topics(topics.collect())
    }

    /// A transaction has ended: the offsets that it brought to a group are committed, or forgotten. Harmless to repeat;
    /// after an error it has to be. Nothing happens where there is no such group any more.
    pub async fn end_txn(
        &self,
        project: ProjectId,
        group: &str,
        producer_id: i64,
        commit: bool,
    ) -> Result<(), ResponseError> {
        let stored = self.with(project, group, |group, state, _| {
            let step = Step::EndPending { key: group.key.clone(), producer: producer_id, commit };
            state.offsets.begin();
            self.enqueue(group, What::Steps(vec![step]), None)
        });
        match stored {
            Some(stored) => done(stored.await),
            None => Ok(()),
        }
    }

    /// An error code for each wish, in order.
    async fn commit(&self, caller: &Caller, committing: &Committing<'_>, wishes: &[Wish<'_>]) -> Vec<i16> {
        let all = |error: ResponseError| vec![error.code(); wishes.len()];
        if let Err(error) = check_group(committing.group, true) {
            return all(error);
        }
        if wishes.len() > PLACES_MAX {
            return all(ResponseError::InvalidRequest);
        }
        let key = GroupKey { project: caller.project, name: Arc::from(committing.group) };
        let mut topics: HashMap<&str, Option<Arc<TopicView>>> = HashMap::new();
        let mut steps = Vec::new();
        let mut codes = Vec::with_capacity(wishes.len());
        for wish in wishes {
            let topic = topics
                .entry(wish.topic.as_str())
                .or_insert_with(|| self.inner.directory.topic(caller.project, wish.topic));
            match self.check_wish(wish, topic.as_deref()) {
                Ok((place, committed)) => {
                    codes.push(0);
                    steps.push(step(&key, committing, place, committed));
                }
                Err(error) => codes.push(error.code()),
            }
        }
        let permit = self.inner.queue.room(steps.len()).await;
        if let Err(error) = self.store_offsets(caller, committing, steps, permit).await {
            // What was wrong with one place is said of it all the same.
            codes.iter_mut().filter(|code| **code == 0).for_each(|code| *code = error.code());
        }
        self.evict();
        codes
    }

    fn check_wish(
        &self,
        wish: &Wish<'_>,
        topic: Option<&TopicView>,
    ) -> Result<(Place, Committed), ResponseError> {
        let topic = topic.ok_or(ResponseError::UnknownTopicOrPartition)?;
        if u32::try_from(wish.partition).map_or(true, |partition| partition >= topic.partitions) {
            return Err(ResponseError::UnknownTopicOrPartition);
        }
        let metadata = wish.metadata.map(StrBytes::as_str).unwrap_or_default();
        if metadata.len() > self.inner.settings.max_offset_metadata {
            return Err(ResponseError::OffsetMetadataTooLarge);
        }
        let committed = Committed {
            topic_id: topic.id,
            offset: wish.offset,
            leader_epoch: wish.leader_epoch,
            metadata: Bytes::copy_from_slice(metadata.as_bytes()),
            at: self.inner.clock.now(),
        };
        Ok(((Arc::clone(&topic.name), wish.partition), committed))
    }

    async fn store_offsets(
        &self,
        caller: &Caller,
        committing: &Committing<'_>,
        steps: Vec<Step>,
        permit: Option<tokio::sync::OwnedSemaphorePermit>,
    ) -> Result<(), ResponseError> {
        let mut work = Some((steps, permit));
        // Checked and queued under one lock: a generation that ends meanwhile comes after.
        let mut act = |group: &Arc<crate::groups::registry::Group>, state: &mut State, now| {
            check_committing(state, committing, now)?;
            let (steps, permit) = work.take().unwrap_or_default();
            if steps.is_empty() {
                return Ok(None);
            }
            state.offsets.begin();
            Ok(Some(self.enqueue(group, What::Steps(steps), permit)))
        };
        let stored = if committing.generation < 0 {
            self.with_made(caller.project, committing.group, &mut act)?
        } else {
            let missing = match committing.version {
                // A member of no group: what older versions can be told is that their generation is over.
                version if version < 9 || committing.producer.is_some() => ResponseError::IllegalGeneration,
                _ => ResponseError::GroupIdNotFound,
            };
            self.with(caller.project, committing.group, &mut act).unwrap_or(Err(missing))
        };
        match stored? {
            Some(stored) => done(stored.await),
            None => Ok(()),
        }
    }

    /// OffsetDelete, 0. Offsets of topics that members read stay.
    pub async fn offset_delete(
        &self,
        caller: &Caller,
        request: OffsetDeleteRequest,
        _version: i16,
    ) -> OffsetDeleteResponse {
        let refused = |error: ResponseError| OffsetDeleteResponse::default().with_error_code(error.code());
        if let Err(error) = check_group(&request.group_id, true) {
            return refused(error);
        }
        let count: usize = request.topics.iter().map(|topic| topic.partitions.len()).sum();
        if count > PLACES_MAX {
            return refused(ResponseError::InvalidRequest);
        }
        let permit = &mut self.inner.queue.room(count).await;
        let begun = self.with(caller.project, &request.group_id, |group, state, _| {
            let read = topics_read(state)?;
            let mut steps = Vec::new();
            let mut topics = Vec::new();
            for topic in &request.topics {
                let is_read = read.as_ref().is_some_and(|read| read.contains(topic.name.as_str()));
                let partitions = topic.partitions.iter().map(|partition| {
                    if !is_read {
                        let place = (keep(&topic.name), partition.partition_index);
                        steps.push(Step::ForgetOffset { key: group.key.clone(), place });
                    }
                    let error = if is_read { ResponseError::GroupSubscribedToTopic.code() } else { 0 };
                    OffsetDeleteResponsePartition::default()
                        .with_partition_index(partition.partition_index)
                        .with_error_code(error)
                });
                topics.push(
                    OffsetDeleteResponseTopic::default()
                        .with_name(topic.name.clone())
                        .with_partitions(partitions.collect()),
                );
            }
            state.offsets.begin();
            Ok((topics, self.enqueue(group, What::Steps(steps), permit.take())))
        });
        match begun {
            None => refused(ResponseError::GroupIdNotFound),
            Some(Err(error)) => refused(error),
            Some(Ok((topics, stored))) => match stored.await.unwrap_or(false) {
                true => OffsetDeleteResponse::default().with_topics(topics),
                false => refused(ResponseError::CoordinatorNotAvailable),
            },
        }
    }
}

/// The topics that members read; none where it has no members. A group whose members are no consumers cannot be asked.
fn topics_read(state: &State) -> Result<Option<HashSet<String>>, ResponseError> {
    let group = match &state.body {
        Body::Consumer(group) if group.members.is_empty() => return Ok(None),
        Body::Consumer(group) => return Ok(Some(group.topic_names().into_iter().collect())),
        Body::Share(_) => return Err(ResponseError::GroupIdNotFound),
        Body::Classic(group) => group,
    };
    if group.phase == Phase::Empty {
        return Ok(None);
    }
    if group.protocol_type.as_deref() != Some(CONSUMER) {
        return Err(ResponseError::NonEmptyGroup);
    }
    let mut read = HashSet::new();
    for member in group.members.values() {
        for (_, metadata) in &member.protocols {
            read.extend(subscribed_topics(metadata).ok_or(ResponseError::NonEmptyGroup)?);
        }
    }
    Ok(Some(read))
}

fn check_committing(
    state: &mut State,
    committing: &Committing<'_>,
    now: tokio::time::Instant,
) -> Result<(), ResponseError> {
    state.quiet = true;
    let Committing { member_id, instance, generation, version, producer, .. } = *committing;
    if let Some((producer, epoch)) = producer {
        // Of a producer that was started again only the newest counts.
        if state.offsets.pending.get(&producer).is_some_and(|begun| epoch < begun.epoch) {
            return Err(ResponseError::InvalidProducerEpoch);
        }
    }
    match &mut state.body {
        Body::Classic(group) => group.check_commit(member_id, instance, generation, producer.is_some(), now),
        // How far it has read is not said by offsets.
        Body::Share(_) => Err(ResponseError::GroupIdNotFound),
        Body::Consumer(group) => {
            let checked = group.check_epoch(member_id, generation, producer.is_some());
            match checked {
                // What versions before KIP-848 know.
                Err(ResponseError::StaleMemberEpoch) if producer.is_some() => {
                    Err(ResponseError::IllegalGeneration)
                }
                Ok(()) if producer.is_none() && version < 9 && generation >= 0 => {
                    Err(ResponseError::UnsupportedVersion)
                }
                checked => checked,
            }
        }
    }
}

/// Clients try again where storage failed.
fn done(stored: Result<bool, tokio::sync::oneshot::error::RecvError>) -> Result<(), ResponseError> {
    match stored == Ok(true) || planted(Mutant::AcknowledgeUnstored) {
        true => Ok(()),
        false => Err(ResponseError::CoordinatorNotAvailable),
    }
}

fn step(key: &GroupKey, committing: &Committing<'_>, place: Place, committed: Committed) -> Step {
    let key = key.clone();
    match committing.producer {
        Some((producer, epoch)) if !planted(Mutant::CommitAtOnce) => {
            Step::Pending { key, producer, epoch, place, committed }
        }
        _ => Step::Offset { key, place, committed },
    }
}
