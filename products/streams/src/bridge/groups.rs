//! Consumer groups: where each stands at the source, told in the target's offsets.
//!
//! A group that has members at the target is the target's own: the broker refuses the commit of one who is none of them,
//! and that is the check, without a moment between looking and committing. A group is never moved back.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::ApiKey;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequest;
use kafka_protocol::protocol::StrBytes;

use super::client::{Cluster, Side};
use super::echo::{GROUP_PREFIX, groups};
use super::progress::Progress;
use super::trouble::{Trouble, code_name};

/// How often groups are looked at: each is a request.
const EVERY_MIN: Duration = Duration::from_secs(1);
const EVERY_MAX: Duration = Duration::from_secs(30);
const EVERY_GROUP: Duration = Duration::from_millis(30);

/// Groups of one bridge: each is a request every time.
const GROUPS_MAX: usize = 1_000;

/// Offsets by topic and partition.
type Offsets = HashMap<(String, i32), i64>;

/// Carries groups over.
pub(crate) struct Groups {
    source: Cluster,
    target: Cluster,
    /// What was committed last, so that the target is asked only about what moved.
    done: HashMap<String, Offsets>,
    /// How many the source has.
    groups: usize,
    progress: Arc<Progress>,
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

impl Groups {
    pub fn new(source: &Side, target: &Side, progress: &Arc<Progress>) -> Groups {
        Groups {
            source: Cluster::new(source),
            target: Cluster::new(target),
            done: HashMap::new(),
            groups: 0,
            progress: Arc::clone(progress),
        }
    }

    /// Goes on until it is dropped. What fails is told, and tried again; records do not wait for it.
    pub async fn run(mut self) -> std::convert::Infallible {
        let mut every = EVERY_MIN;
        loop {
            tokio::time::sleep(every).await;
            let outcome = self.once().await;
            let groups = u32::try_from(self.groups).unwrap_or(u32::MAX);
            every = EVERY_GROUP.saturating_mul(groups).clamp(EVERY_MIN, EVERY_MAX);
            if outcome.is_err() {
                self.source.forget_coordinators();
                self.target.forget_coordinators();
            }
            self.progress.groups_looked_at(outcome.err().map(|trouble| trouble.to_string()));
        }
    }

    async fn once(&mut self) -> Result<(), Trouble> {
        self.source.metadata(Some(Vec::new())).await?;
        self.target.metadata(Some(Vec::new())).await?;
        let found = groups(&mut self.source).await?;
        // Share groups have no offsets of that kind (KIP-932); brokers that do not say the kind have none.
        let mut found: Vec<String> = found
            .into_iter()
            .filter(|(name, kind)| !name.starts_with(GROUP_PREFIX) && (kind.is_empty() || is_consumers(kind)))
            .map(|(name, _)| name)
            .collect();
        // The same ones every time, where there are too many.
        found.sort_unstable();
        let there = found.len();
        found.truncate(GROUPS_MAX);
        self.done.retain(|group, _| found.binary_search(group).is_ok());
        self.groups = found.len();
        self.progress.groups_are(&found);
        for group in &found {
            let at = committed(&mut self.source, group).await?;
            let wanted: Offsets = at
                .into_iter()
                .filter_map(|((topic, partition), offset)| {
                    let (target, offset) = self.progress.translate(&topic, partition, offset)?;
                    Some(((target, partition), offset))
                })
                .collect();
            if wanted.is_empty() || self.done.get(group) == Some(&wanted) {
                continue;
            }
            let said = self.carry(group, &wanted).await?;
            if said.is_none() {
                self.done.insert(group.clone(), wanted.clone());
            }
            self.progress.group(group, wanted.len(), said);
        }
        if there > GROUPS_MAX {
            return Err(Trouble::Other(format!(
                "{there} groups are more than a bridge carries over: the first {GROUPS_MAX} by name are"
            )));
        }
        Ok(())
    }

    /// Moves a group of the target forward; tells why not, where it was not.
    async fn carry(&mut self, group: &str, wanted: &Offsets) -> Result<Option<String>, Trouble> {
        let there = committed(&mut self.target, group).await?;
        let mut topics: HashMap<&str, Vec<OffsetCommitRequestPartition>> = HashMap::new();
        for ((topic, partition), offset) in wanted {
            if there.get(&(topic.clone(), *partition)).is_some_and(|there| there >= offset) {
                continue;
            }
            let part = OffsetCommitRequestPartition::default()
                .with_partition_index(*partition)
                .with_committed_offset(*offset)
                .with_committed_leader_epoch(-1)
                .with_committed_metadata(Some(StrBytes::default()));
            topics.entry(topic).or_default().push(part);
        }
        if topics.is_empty() {
            return Ok(None);
        }
        let topics = topics.into_iter().map(|(topic, parts)| {
            OffsetCommitRequestTopic::default().with_name(text(topic).into()).with_partitions(parts)
        });
        let request = OffsetCommitRequest::default()
            .with_group_id(text(group).into())
            .with_generation_id_or_member_epoch(-1)
            .with_retention_time_ms(-1)
            .with_topics(topics.collect());
        let told = self.target.ask_group(group, &request).await?;
        let codes = told.topics.iter().flat_map(|topic| &topic.partitions).map(|part| part.error_code);
        for code in codes {
            use ResponseError as E;
            return match ResponseError::try_from_code(code) {
                None => continue,
                Some(
                    E::UnknownMemberId
                    | E::IllegalGeneration
                    | E::StaleMemberEpoch
                    | E::FencedMemberEpoch
                    | E::RebalanceInProgress,
                ) => Ok(Some("it has members at the target, whose offsets are its own".to_owned())),
                Some(E::UnknownTopicOrPartition) => {
                    Ok(Some("one of its topics is gone at the target".to_owned()))
                }
                Some(E::NotCoordinator | E::CoordinatorNotAvailable | E::CoordinatorLoadInProgress) => {
                    Err(Trouble::Answered { at: group.to_owned(), api: "OffsetCommit", code })
                }
                Some(_) => Ok(Some(format!("the target refuses its offsets: {}", code_name(code)))),
            };
        }
        Ok(None)
    }
}

fn is_consumers(kind: &str) -> bool {
    kind.eq_ignore_ascii_case("classic") || kind.eq_ignore_ascii_case("consumer")
}

/// What a group has committed.
async fn committed(cluster: &mut Cluster, group: &str) -> Result<Offsets, Trouble> {
    let request = OffsetFetchRequest::default().with_group_id(text(group).into()).with_topics(None);
    let told = cluster.ask_group(group, &request).await?;
    let error = ResponseError::try_from_code(told.error_code);
    if matches!(error, Some(ResponseError::GroupIdNotFound | ResponseError::GroupAuthorizationFailed)) {
        return Ok(Offsets::new());
    }
    let name = cluster.name();
    Trouble::check(|| format!("{name} ({group})"), ApiKey::OffsetFetch, told.error_code)?;
    let mut offsets = Offsets::new();
    for topic in told.topics {
        for part in topic.partitions {
            if part.error_code == 0 && part.committed_offset >= 0 {
                offsets.insert((topic.name.to_string(), part.partition_index), part.committed_offset);
            }
        }
    }
    Ok(offsets)
}
