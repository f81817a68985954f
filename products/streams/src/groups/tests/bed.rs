//! What the tests stand on: a directory of topics, storage in memory, members that behave.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use candor_meta::SqlError;
use candor_model::random::Seeded;
use candor_model::time::ManualClock;
use candor_model::{ProjectId, Timestamp};
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Encodable, StrBytes};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::caller::Caller;
use crate::directory::{TopicDirectory, TopicId, TopicView};
use crate::groups::storage::{Committed, GroupKey, Place, Step, Storage, StoredGroup, StoredPending};
use crate::groups::{GroupConfigs, Groups, Settings};

pub const PROJECT: ProjectId = ProjectId(7);

/// Topics that tests make and remove.
pub struct Topics {
    topics: Mutex<BTreeMap<String, Arc<TopicView>>>,
    tick: watch::Sender<u64>,
    ids: AtomicUsize,
}

impl Topics {
    pub fn new() -> Arc<Topics> {
        let (tick, _) = watch::channel(0);
        Arc::new(Topics { topics: Mutex::default(), tick, ids: AtomicUsize::new(1) })
    }

    /// Makes a topic, or gives it another number of partitions.
    pub fn make(&self, name: &str, partitions: u32) -> TopicId {
        let mut topics = self.topics.lock();
        let id = match topics.get(name) {
            Some(topic) => topic.id,
            None => {
                let number = self.ids.fetch_add(1, Ordering::Relaxed) as u128;
                number.to_be_bytes()
            }
        };
        let in_log = candor_model::TopicName(name.to_owned());
        topics.insert(name.to_owned(), Arc::new(TopicView { name: Arc::from(name), id, partitions, in_log }));
        self.tick.send_modify(|tick| *tick += 1);
        id
    }

    pub fn remove(&self, name: &str) {
        self.topics.lock().remove(name);
        self.tick.send_modify(|tick| *tick += 1);
    }
}

impl TopicDirectory for Topics {
    fn topic(&self, project: ProjectId, name: &str) -> Option<Arc<TopicView>> {
        self.topics.lock().get(name).filter(|_| project == PROJECT).map(Arc::clone)
    }

    fn topic_by_id(&self, project: ProjectId, id: TopicId) -> Option<Arc<TopicView>> {
        self.topics(project).into_iter().find(|topic| topic.id == id)
    }

    fn topics(&self, project: ProjectId) -> Vec<Arc<TopicView>> {
        self.topics.lock().values().filter(|_| project == PROJECT).map(Arc::clone).collect()
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.tick.subscribe()
    }
}

/// Storage in memory, which fails where it is told to. Time stands still in it, as tests with paused time need.
#[derive(Default)]
pub struct Memory {
    pub kept: Mutex<Kept>,
    pub fails: AtomicBool,
    pub transactions: AtomicUsize,
    /// While true nothing gets through.
    pub stuck: AtomicBool,
    /// Milliseconds from the reading of offsets until they are there.
    pub reading_ms: AtomicUsize,
}

/// Times that are set of groups, by group and configuration.
#[derive(Default)]
pub struct Set(pub Mutex<BTreeMap<(String, String), Duration>>);

impl GroupConfigs for Set {
    fn time(&self, project: ProjectId, group: &str, name: &str) -> Option<Duration> {
        let set = self.0.lock();
        set.get(&(group.to_owned(), name.to_owned())).copied().filter(|_| project == PROJECT)
    }
}

#[derive(Default, Clone)]
pub struct Kept {
    pub groups: BTreeMap<GroupKey, String>,
    pub members: BTreeMap<(GroupKey, Arc<str>), String>,
    pub offsets: BTreeMap<(GroupKey, Place), Committed>,
    pub pending: BTreeMap<(GroupKey, i64, Place), (i16, Committed)>,
    pub shares: BTreeMap<(GroupKey, TopicId, i32), String>,
}

impl Kept {
    fn apply(&mut self, step: &Step) {
        match step.clone() {
            Step::Offset { key, place, committed } => {
                self.offsets.insert((key, place), committed);
            }
            Step::ForgetOffset { key, place } => {
                self.offsets.remove(&(key, place));
            }
            Step::Group { key, body } => {
                self.groups.insert(key, body);
            }
            Step::Member { key, member, body } => {
                self.members.insert((key, member), body);
            }
            Step::ForgetMember { key, member } => {
                self.members.remove(&(key, member));
            }
            Step::ForgetMembers { key } => self.members.retain(|(of, _), _| *of != key),
            Step::Pending { key, producer, epoch, place, committed } => {
                self.pending.insert((key, producer, place), (epoch, committed));
            }
            Step::EndPending { key, producer, commit } => {
                let ended: Vec<_> = self
                    .pending
                    .keys()
                    .filter(|(of, who, _)| *of == key && *who == producer)
                    .cloned()
                    .collect();
                for at in ended {
                    let Some((_, committed)) = self.pending.remove(&at) else { continue };
                    if commit {
                        self.offsets.insert((at.0, at.2), committed);
                    }
                }
            }
            Step::Share { key, topic, partition, body } => {
                self.shares.insert((key, topic, partition), body);
            }
            Step::ForgetShares { key, topic } => {
                self.shares.retain(|(of, id, _), _| *of != key || topic.is_some_and(|topic| topic != *id));
            }
            Step::DropGroup { key } => {
                self.groups.remove(&key);
                self.shares.retain(|(of, _, _), _| *of != key);
                self.members.retain(|(of, _), _| *of != key);
                self.offsets.retain(|(of, _), _| *of != key);
                self.pending.retain(|(of, _, _), _| *of != key);
            }
            Step::DropProject(project) => {
                self.shares.retain(|(of, _, _), _| of.project != project);
                self.groups.retain(|of, _| of.project != project);
                self.members.retain(|(of, _), _| of.project != project);
                self.offsets.retain(|(of, _), _| of.project != project);
                self.pending.retain(|(of, _, _), _| of.project != project);
            }
        }
    }
}

#[async_trait]
impl Storage for Memory {
    async fn apply(&self, steps: &[Step]) -> Result<(), SqlError> {
        while self.stuck.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        tokio::task::yield_now().await;
        if self.fails.load(Ordering::Relaxed) {
            return Err(SqlError::Transient("told to fail".into()));
        }
        self.transactions.fetch_add(1, Ordering::Relaxed);
        let mut kept = self.kept.lock();
        steps.iter().for_each(|step| kept.apply(step));
        Ok(())
    }

    async fn load(&self) -> Result<Vec<(GroupKey, StoredGroup)>, SqlError> {
        let kept = self.kept.lock().clone();
        let mut groups: BTreeMap<GroupKey, StoredGroup> = BTreeMap::new();
        for (key, body) in kept.groups {
            groups.entry(key).or_default().body = Some(body);
        }
        for ((key, member), body) in kept.members {
            groups.entry(key).or_default().members.push((member, body));
        }
        for ((key, _), _) in kept.offsets {
            groups.entry(key).or_default();
        }
        for ((key, producer, place), (epoch, committed)) in kept.pending {
            let pending = StoredPending { producer, epoch, place, committed };
            groups.entry(key).or_default().pending.push(pending);
        }
        for ((key, topic, partition), body) in kept.shares {
            groups.entry(key).or_default().shares.push((topic, partition, body));
        }
        Ok(groups.into_iter().collect())
    }

    async fn offsets(&self, key: &GroupKey) -> Result<Vec<(Place, Committed)>, SqlError> {
        tokio::task::yield_now().await;
        if self.fails.load(Ordering::Relaxed) {
            return Err(SqlError::Transient("told to fail".into()));
        }
        let found = {
            let kept = self.kept.lock();
            let theirs = kept.offsets.iter().filter(|((of, _), _)| of == key);
            theirs.map(|((_, place), committed)| (place.clone(), committed.clone())).collect()
        };
        match self.reading_ms.load(Ordering::Relaxed) {
            0 => {}
            ms => tokio::time::sleep(Duration::from_millis(ms as u64)).await,
        }
        Ok(found)
    }
}

/// Groups over memory.
pub struct Bed {
    pub groups: Groups,
    pub topics: Arc<Topics>,
    pub memory: Arc<Memory>,
    pub clock: Arc<ManualClock>,
    pub settings: Settings,
    pub set: Arc<Set>,
    starts: u64,
}

impl Bed {
    pub async fn new() -> Bed {
        Bed::with(Settings::default()).await
    }

    pub async fn with(settings: Settings) -> Bed {
        let topics = Topics::new();
        topics.make("orders", 4);
        let clock = Arc::new(ManualClock::new(Timestamp(1_700_000_000_000_000)));
        let memory = Arc::new(Memory::default());
        let set = Arc::new(Set::default());
        let groups = start(&memory, &topics, &clock, &settings, &set, 0).await;
        Bed { groups, topics, memory, clock, settings, set, starts: 0 }
    }

    /// The process ends, whatever it was doing, and another begins with what was stored until now.
    pub async fn restart(&mut self) {
        let kept = self.memory.kept.lock().clone();
        self.memory = Arc::new(Memory { kept: Mutex::new(kept), ..Memory::default() });
        self.starts += 1;
        let Bed { memory, topics, clock, settings, set, .. } = &*self;
        self.groups = start(memory, topics, clock, settings, set, self.starts).await;
    }
}

async fn start(
    memory: &Arc<Memory>,
    topics: &Arc<Topics>,
    clock: &Arc<ManualClock>,
    settings: &Settings,
    set: &Arc<Set>,
    starts: u64,
) -> Groups {
    let loaded = memory.load().await.unwrap();
    // No start gives out the ids of another.
    let random = Arc::new(Seeded::new(starts << 32));
    Groups::start(
        Arc::<Memory>::clone(memory),
        loaded,
        Arc::<Topics>::clone(topics),
        Arc::<ManualClock>::clone(clock),
        random,
        settings.clone(),
        Arc::<Set>::clone(set),
    )
}

pub fn caller() -> Caller {
    Caller {
        project: PROJECT,
        user: Arc::from("shop"),
        client_id: Some(Arc::from("client")),
        host: IpAddr::V4(Ipv4Addr::LOCALHOST),
    }
}

pub fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

pub fn group(name: &str) -> GroupId {
    GroupId(text(name))
}

/// Whether a response can be written in that version at all: fields that it lacks must not be set.
pub fn fits<T: Encodable>(response: &T, version: i16) {
    response
        .encode(&mut BytesMut::new(), version)
        .unwrap_or_else(|error| panic!("version {version}: {error}"));
}

pub fn subscription(topics: &[&str]) -> Bytes {
    let subscription =
        ConsumerProtocolSubscription::default().with_topics(topics.iter().map(|topic| text(topic)).collect());
    let mut bytes = BytesMut::new();
    bytes.extend_from_slice(&1_i16.to_be_bytes());
    subscription.encode(&mut bytes, 1).unwrap();
    bytes.freeze()
}

pub fn protocols(protocols: &[(&str, &[&str])]) -> Vec<JoinGroupRequestProtocol> {
    let each = protocols.iter().map(|(name, topics)| {
        JoinGroupRequestProtocol::default().with_name(text(name)).with_metadata(subscription(topics))
    });
    each.collect()
}

/// What a request has come to in the end.
pub async fn done<T>(task: tokio::task::JoinHandle<T>) -> T {
    tokio::time::timeout(Duration::from_secs(3600), task).await.expect("it is stuck").unwrap()
}

/// Sends a request that is waited for elsewhere.
pub fn begin_join(
    groups: &Groups,
    request: JoinGroupRequest,
    version: i16,
) -> tokio::task::JoinHandle<JoinGroupResponse> {
    let groups = groups.clone();
    tokio::spawn(async move {
        let response = groups.join(&caller(), request, version).await;
        fits(&response, version);
        response
    })
}

pub fn begin_sync(
    groups: &Groups,
    name: &str,
    joined: &JoinGroupResponse,
) -> tokio::task::JoinHandle<SyncGroupResponse> {
    let (groups, request) = (groups.clone(), sync_request(name, joined));
    tokio::spawn(async move { groups.sync(&caller(), request, 3).await })
}

/// A group of two members that is stable, its leader first.
pub async fn pair(groups: &Groups, name: &str) -> (JoinGroupResponse, JoinGroupResponse) {
    let first = join(groups, name).await;
    sync(groups, name, &first).await;
    let asked = groups.join(&caller(), join_request(name, ""), 5).await;
    let second = begin_join(groups, join_request(name, &asked.member_id), 5);
    settle().await;
    assert_eq!(heartbeat(groups, name, &first.member_id, first.generation_id).await, 27);
    let first = groups.join(&caller(), join_request(name, &first.member_id), 5).await;
    let second = done(second).await;
    assert_eq!((first.error_code, second.error_code), (0, 0));
    assert_eq!(first.generation_id, second.generation_id);
    let waiting = begin_sync(groups, name, &second);
    sync(groups, name, &first).await;
    assert_eq!(done(waiting).await.error_code, 0);
    (first, second)
}

pub fn join_request(name: &str, member: &str) -> JoinGroupRequest {
    JoinGroupRequest::default()
        .with_group_id(group(name))
        .with_session_timeout_ms(10_000)
        .with_rebalance_timeout_ms(60_000)
        .with_member_id(text(member))
        .with_protocol_type(text("consumer"))
        .with_protocols(protocols(&[("range", &["orders"])]))
}

/// Joins as a client does: with an id of nobody first, then with the one it was given.
pub async fn join(groups: &Groups, name: &str) -> JoinGroupResponse {
    let asked = groups.join(&caller(), join_request(name, ""), 5).await;
    fits(&asked, 5);
    assert_eq!(asked.error_code, 79, "an id is given first");
    let joined = groups.join(&caller(), join_request(name, &asked.member_id), 5).await;
    fits(&joined, 5);
    joined
}

pub fn sync_request(name: &str, joined: &JoinGroupResponse) -> SyncGroupRequest {
    let assignments = joined.members.iter().map(|member| {
        SyncGroupRequestAssignment::default()
            .with_member_id(member.member_id.clone())
            .with_assignment(Bytes::from(format!("for {}", member.member_id.as_str())))
    });
    SyncGroupRequest::default()
        .with_group_id(group(name))
        .with_generation_id(joined.generation_id)
        .with_member_id(joined.member_id.clone())
        .with_assignments(assignments.collect())
}

pub async fn sync(groups: &Groups, name: &str, joined: &JoinGroupResponse) -> SyncGroupResponse {
    let synced = groups.sync(&caller(), sync_request(name, joined), 3).await;
    fits(&synced, 3);
    synced
}

pub async fn heartbeat(groups: &Groups, name: &str, member: &str, generation: i32) -> i16 {
    let request = HeartbeatRequest::default()
        .with_group_id(group(name))
        .with_generation_id(generation)
        .with_member_id(text(member));
    groups.heartbeat(&caller(), request, 3).await.error_code
}

pub fn commit_request(name: &str, member: &str, generation: i32, offset: i64) -> OffsetCommitRequest {
    OffsetCommitRequest::default()
        .with_group_id(group(name))
        .with_member_id(text(member))
        .with_generation_id_or_member_epoch(generation)
        .with_topics(vec![
            OffsetCommitRequestTopic::default()
                .with_name(kafka_protocol::messages::TopicName(text("orders")))
                .with_partitions(vec![
                    OffsetCommitRequestPartition::default()
                        .with_partition_index(0)
                        .with_committed_offset(offset)
                        .with_committed_metadata(Some(text("mark"))),
                ]),
        ])
}

pub async fn commit(groups: &Groups, name: &str, member: &str, generation: i32, offset: i64) -> i16 {
    let response = groups.offset_commit(&caller(), commit_request(name, member, generation, offset), 8).await;
    fits(&response, 8);
    response.topics[0].partitions[0].error_code
}

/// What is committed at the first partition, or the error.
pub async fn fetch(groups: &Groups, name: &str, require_stable: bool) -> Result<i64, i16> {
    let topic = offset_fetch_request::OffsetFetchRequestTopic::default()
        .with_name(kafka_protocol::messages::TopicName(text("orders")))
        .with_partition_indexes(vec![0]);
    let request = OffsetFetchRequest::default()
        .with_group_id(group(name))
        .with_require_stable(require_stable)
        .with_topics(Some(vec![topic]));
    let response = groups.offset_fetch(&caller(), request, 7).await;
    fits(&response, 7);
    let found = &response.topics[0].partitions[0];
    if found.error_code == 0 { Ok(found.committed_offset) } else { Err(found.error_code) }
}

/// Lets everything that can go on do so.
pub async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}
