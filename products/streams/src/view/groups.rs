//! Groups: how they stand, how far they are behind, and where they go on.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use candor_meta::{ReadScope, WriteScope};
use candor_model::{Partition, ProjectId};
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::{DeleteGroupsRequest, GroupId, OffsetCommitRequest, TopicName};
use kafka_protocol::protocol::StrBytes;
use serde::{Deserialize, Serialize};

use super::describe::{Commits, Listed, Member};
use super::{Inner, View, ViewError, read, write};
use crate::topics::Topic;

/// Groups that a list holds.
const LISTED_MAX: usize = 300;

/// Groups that are looked through for those that read a topic.
const READERS_MAX: usize = 2_000;

/// Versions of the requests.
const COMMIT: i16 = 9;
const DELETE: i16 = 2;

/// Groups.
#[derive(Debug, Clone, Serialize)]
pub struct GroupList {
    /// The first of them by name.
    pub groups: Vec<GroupSummary>,
    /// How many fit in all.
    pub total: usize,
}

/// A group in a list.
#[derive(Debug, Clone, Serialize)]
pub struct GroupSummary {
    /// Its name.
    pub group: String,
    /// `classic`, `consumer` or `share`.
    pub kind: String,
    /// How it stands, as Kafka says it.
    pub state: String,
    /// `consumer`, or what else its members are.
    pub protocol_type: String,
    /// How many members it has.
    pub members: usize,
    /// The topics that it has read.
    pub topics: Vec<String>,
    /// Messages that it has not read.
    pub lag: i64,
}

/// A group.
#[derive(Debug, Clone, Serialize)]
pub struct GroupDetail {
    /// What a list says of it.
    #[serde(flatten)]
    pub summary: GroupSummary,
    /// How partitions are assigned.
    pub assignor: String,
    /// Its members.
    pub who: Vec<Member>,
    /// How far it is in each partition.
    pub offsets: Vec<GroupOffset>,
    /// True while nobody reads in it: then its offsets can be moved, and it can be deleted.
    pub idle: bool,
}

/// How far a group is in a partition.
#[derive(Debug, Clone, Serialize)]
pub struct GroupOffset {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// What is committed; none where nothing is.
    pub committed: Option<i64>,
    /// The oldest offset that is held.
    pub start: u64,
    /// The offset that comes next.
    pub end: u64,
    /// Messages that it has not read; none where nothing is committed.
    pub lag: Option<i64>,
    /// The member that reads it.
    pub member: Option<String>,
    /// What its reader noted with the offset.
    pub metadata: String,
}

/// How far groups are behind in one topic.
#[derive(Debug, Clone)]
pub(super) struct LagOfTopic {
    pub group: String,
    pub state: String,
    pub lag: i64,
    pub partitions: usize,
}

/// Where a group's offsets are to be moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ResetTo {
    /// To the oldest that is held.
    Earliest,
    /// To the end: what is there is skipped.
    Latest,
    /// To the first message of a time or later.
    Timestamp,
    /// To an offset, or the nearest that is held.
    Offset,
}

/// A move of a group's offsets.
#[derive(Debug, Clone)]
pub struct Reset {
    /// The topic.
    pub topic: String,
    /// Its partitions; none for all.
    pub partitions: Option<Vec<u32>>,
    /// Where to.
    pub to: ResetTo,
    /// The offset, for `Offset`.
    pub offset: Option<u64>,
    /// The time, milliseconds since 1970, for `Timestamp`.
    pub timestamp_ms: Option<i64>,
    /// Nothing is moved: what would be is told.
    pub dry_run: bool,
}

/// Where a partition's offset was and is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Moved {
    /// The partition.
    pub partition: u32,
    /// What was committed; none where nothing was.
    pub before: Option<i64>,
    /// What is.
    pub after: i64,
}

impl View {
    /// Groups whose names hold a text.
    pub async fn groups(&self, scope: &ReadScope, search: &str) -> Result<GroupList, ViewError> {
        let (project, search) = (read(scope), search.to_lowercase());
        let mut found = self.inner.listed(project).await;
        found.retain(|one| one.group.to_lowercase().contains(&search));
        let total = found.len();
        found.truncate(LISTED_MAX);
        let refs: Vec<&Listed> = found.iter().collect();
        let names: Vec<&str> = found.iter().map(|one| one.group.as_str()).collect();
        let members = self.inner.described(project, &refs).await;
        let commits = self.inner.commits(project, &names, None).await?;
        let groups = found.iter().map(|one| {
            let members = members.get(&one.group).map_or(0, |described| described.members.len());
            self.inner.summary_of(project, one, members, commits.get(&one.group))
        });
        Ok(GroupList { groups: groups.collect(), total })
    }

    /// A group with its members and offsets.
    pub async fn group(&self, scope: &ReadScope, name: &str) -> Result<GroupDetail, ViewError> {
        let (project, inner) = (read(scope), &self.inner);
        let listed = inner.one_listed(project, name).await?;
        let described = inner.described(project, &[&listed]).await.remove(name).unwrap_or_default();
        let commits = inner.commits(project, &[name], None).await?.remove(name).unwrap_or_default();
        let mut owners: HashMap<(&str, i32), &str> = HashMap::new();
        for member in &described.members {
            for assigned in &member.assigned {
                for partition in &assigned.partitions {
                    owners.insert((&assigned.topic, *partition), &member.id);
                }
            }
        }
        let committed = commits.keys().map(|(topic, partition)| (topic.as_str(), *partition));
        let places: BTreeSet<(&str, i32)> = committed.chain(owners.keys().copied()).collect();
        let offsets = places.into_iter().map(|place| {
            let (topic, partition) = place;
            let (start, end) = inner.ends_of(project, topic, partition);
            let committed = commits.get(&(topic.to_owned(), partition));
            GroupOffset {
                topic: topic.to_owned(),
                partition,
                committed: committed.map(|committed| committed.offset),
                start,
                end,
                lag: committed.map(|committed| lag(committed.offset, end)),
                member: owners.get(&place).map(|id| (*id).to_owned()),
                metadata: committed.map(|committed| committed.metadata.clone()).unwrap_or_default(),
            }
        });
        Ok(GroupDetail {
            offsets: offsets.collect(),
            summary: inner.summary_of(project, &listed, described.members.len(), Some(&commits)),
            assignor: described.assignor,
            who: described.members,
            idle: is_idle(&listed.state),
        })
    }

    /// Moves a group's offsets. Refused while anybody reads in it.
    pub async fn reset(&self, scope: &WriteScope, name: &str, reset: Reset) -> Result<Vec<Moved>, ViewError> {
        let (project, inner) = (write(scope), &self.inner);
        let topic = inner.topic(project, &reset.topic)?;
        let listed = inner.one_listed(project, name).await?;
        must_be_idle(&listed)?;
        let all = topic.view.partitions;
        let partitions = reset.partitions.clone().unwrap_or_else(|| (0..all).collect());
        if let Some(beyond) = partitions.iter().find(|partition| **partition >= all) {
            return Err(ViewError::Missing(format!("{} has no partition {beyond}", reset.topic)));
        }
        let commits = inner.commits(project, &[name], Some((&reset.topic, all))).await?;
        let commits = commits.get(name).cloned().unwrap_or_default();
        let mut moved = Vec::with_capacity(partitions.len());
        for partition in BTreeSet::from_iter(partitions) {
            let before = commits.get(&(reset.topic.clone(), partition.cast_signed())).map(|one| one.offset);
            let after = inner.target(project, &topic, partition, &reset).await?;
            moved.push(Moved { partition, before, after: i64::try_from(after).unwrap_or(i64::MAX) });
        }
        if !reset.dry_run {
            inner.commit(project, name, &reset.topic, &moved).await?;
        }
        Ok(moved)
    }

    /// Deletes a group with its offsets. Refused while anybody reads in it.
    pub async fn delete_group(&self, scope: &WriteScope, name: &str) -> Result<(), ViewError> {
        let (project, inner) = (write(scope), &self.inner);
        must_be_idle(&inner.one_listed(project, name).await?)?;
        let groups = vec![GroupId(StrBytes::from_string(name.to_owned()))];
        let request = DeleteGroupsRequest::default().with_groups_names(groups);
        let caller = inner.caller(project);
        let answer = inner.parts.groups.delete_groups(&caller, request, DELETE).await;
        match answer.results.first().map(|result| result.error_code) {
            Some(0) => Ok(()),
            _ => Err(ViewError::Conflict(format!("{name} could not be deleted: does somebody read in it?"))),
        }
    }
}

fn must_be_idle(listed: &Listed) -> Result<(), ViewError> {
    if is_idle(&listed.state) {
        return Ok(());
    }
    let Listed { group, state, .. } = listed;
    Err(ViewError::Conflict(format!("{group} has members (it is {state}): stop its readers first")))
}

fn is_idle(state: &str) -> bool {
    matches!(state, "Empty" | "Dead")
}

/// Messages between a committed offset and the end.
pub(super) fn lag(committed: i64, end: u64) -> i64 {
    i64::try_from(end).unwrap_or(i64::MAX).saturating_sub(committed).max(0)
}

impl Inner {
    async fn one_listed(&self, project: ProjectId, name: &str) -> Result<Listed, ViewError> {
        let found = self.listed(project).await.into_iter().find(|one| one.group == name);
        found.ok_or_else(|| ViewError::Missing(format!("the project has no group {name:?}")))
    }

    /// Where a partition of a topic begins and ends; both 0 where there is none.
    pub(super) fn ends_of(&self, project: ProjectId, topic: &str, partition: i32) -> (u64, u64) {
        let found = self.topics.get(project, topic).zip(u32::try_from(partition).ok());
        found.map_or((0, 0), |(topic, partition)| self.ends(project, &topic, partition))
    }

    /// How far a group is behind in each place that it has committed.
    pub(super) fn lags(&self, project: ProjectId, commits: &Commits) -> BTreeMap<(String, i32), i64> {
        let each = commits.iter().map(|(place, committed)| {
            let (_, end) = self.ends_of(project, &place.0, place.1);
            (place.clone(), lag(committed.offset, end))
        });
        each.collect()
    }

    fn summary_of(
        &self,
        project: ProjectId,
        listed: &Listed,
        members: usize,
        commits: Option<&Commits>,
    ) -> GroupSummary {
        let lags = commits.map(|commits| self.lags(project, commits)).unwrap_or_default();
        let topics: BTreeSet<&str> = lags.keys().map(|(topic, _)| topic.as_str()).collect();
        GroupSummary {
            group: listed.group.clone(),
            kind: listed.kind.clone(),
            state: listed.state.clone(),
            protocol_type: listed.protocol_type.clone(),
            members,
            topics: topics.into_iter().map(str::to_owned).collect(),
            lag: lags.values().sum(),
        }
    }

    /// The groups that have committed an offset of a topic.
    pub(super) async fn groups_of_topic(
        &self,
        project: ProjectId,
        topic: &Topic,
    ) -> Result<Vec<LagOfTopic>, ViewError> {
        let mut listed = self.listed(project).await;
        listed.truncate(READERS_MAX);
        let names: Vec<&str> = listed.iter().map(|one| one.group.as_str()).collect();
        let commits = self.commits(project, &names, Some((&topic.view.name, topic.view.partitions))).await?;
        let mut readers = Vec::new();
        for one in &listed {
            let Some(commits) = commits.get(&one.group).filter(|commits| !commits.is_empty()) else {
                continue;
            };
            readers.push(LagOfTopic {
                group: one.group.clone(),
                state: one.state.clone(),
                lag: self.lags(project, commits).values().sum(),
                partitions: commits.len(),
            });
        }
        Ok(readers)
    }

    /// Where an offset goes.
    async fn target(
        &self,
        project: ProjectId,
        topic: &Topic,
        partition: u32,
        reset: &Reset,
    ) -> Result<u64, ViewError> {
        let (start, end) = self.ends(project, topic, partition);
        Ok(match reset.to {
            ResetTo::Earliest => start,
            ResetTo::Latest => end,
            ResetTo::Offset => {
                let offset = reset.offset.ok_or_else(|| ViewError::Refused("name an offset".into()))?;
                offset.clamp(start, end)
            }
            ResetTo::Timestamp => {
                let time = reset.timestamp_ms.ok_or_else(|| ViewError::Refused("name a time".into()))?;
                let in_log = Inner::in_log(project, topic);
                let found = self.log.offset_for_timestamp(&in_log, Partition(partition), time).await?;
                found.map_or(end, |(offset, _)| offset.0)
            }
        })
    }

    async fn commit(
        &self,
        project: ProjectId,
        group: &str,
        topic: &str,
        moved: &[Moved],
    ) -> Result<(), ViewError> {
        let partitions = moved.iter().map(|one| {
            OffsetCommitRequestPartition::default()
                .with_partition_index(one.partition.cast_signed())
                .with_committed_offset(one.after)
        });
        let text = |text: &str| StrBytes::from_string(text.to_owned());
        let topic = OffsetCommitRequestTopic::default()
            .with_name(TopicName(text(topic)))
            .with_partitions(partitions.collect());
        // As one who is no member: it is refused where somebody joined meanwhile.
        let request = OffsetCommitRequest::default()
            .with_group_id(GroupId(text(group)))
            .with_generation_id_or_member_epoch(-1)
            .with_topics(vec![topic]);
        let answer = self.parts.groups.offset_commit(&self.caller(project), request, COMMIT).await;
        let mut codes = answer.topics.iter().flat_map(|topic| &topic.partitions).map(|one| one.error_code);
        match codes.find(|code| *code != 0) {
            None => Ok(()),
            Some(code) => Err(ViewError::Conflict(format!(
                "the offsets of {group} were not moved (Kafka's error {code}): does somebody read in it?"
            ))),
        }
    }
}
