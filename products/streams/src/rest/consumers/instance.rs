//! One consumer: what it wants, what it was given, and how far it is.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::consumer_group_heartbeat_request::TopicPartitions;
use kafka_protocol::messages::{ConsumerGroupHeartbeatRequest, GroupId, MetadataRequest};
use kafka_protocol::protocol::StrBytes;
use tokio::time::Instant;
use uuid::Uuid;

use super::super::RestState;
use super::super::client::Client;
use super::super::error::{Answer, RestError, check};
use super::super::format::Embedded;
use super::super::read::{Held, PAGE_BYTES, ReadRecord, Wanted};
use super::super::send::topic_name;
use crate::data::fetch::message::{AskedPartition, FetchRequest, ToldPartition, TopicKey};

/// How long a group waits for this member when it shares its partitions anew, ms.
const REBALANCE_MS: i32 = 30_000;

/// How long is waited at once while nothing is given.
const WAIT: Duration = Duration::from_millis(300);

/// A member that joins, and one that leaves (KIP-848).
const JOINING: i32 = 0;
const LEAVING: i32 = -1;

/// Records of one answer.
const RECORDS_MAX: usize = 5_000;

/// Bytes of batches of one answer, where the request names none, and at the most.
const BYTES_MAX: i32 = 8 << 20;

/// A partition of a topic.
pub(in crate::rest) type Place = (String, i32);

/// How a consumer was made.
#[derive(Debug, Clone, Copy)]
pub(in crate::rest) struct Options {
    /// It begins with the oldest record where it has no offset, else with those that come.
    pub from_oldest: bool,
    /// What was given out is committed at the next read.
    pub commits: bool,
    /// How long a read waits for records.
    pub wait: Duration,
    /// How its records are given out.
    pub format: Embedded,
}

/// What it reads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::rest) enum Wants {
    /// Nothing yet.
    #[default]
    Nothing,
    /// What its group gives it of these topics.
    Topics(Vec<String>),
    /// What its group gives it of topics whose names are so.
    Pattern(String),
    /// Partitions that it was told.
    Places(Vec<Place>),
}

/// A consumer.
pub(in crate::rest) struct Consumer {
    pub(super) client: Client,
    pub(super) group: StrBytes,
    pub(super) member: StrBytes,
    /// Its epoch as a member; none while it is none.
    pub(super) epoch: Option<i32>,
    pub(super) options: Options,
    wants: Wants,
    /// What it was given, and the next offset of each where that is known.
    pub(super) owned: BTreeMap<Place, Option<i64>>,
    /// Where positions moved since they were committed.
    pub(super) moved: bool,
    /// Topics by their ids.
    ids: HashMap<Uuid, String>,
    /// Which partition is read first: another each time.
    turn: usize,
}

impl Consumer {
    pub(super) fn new(client: Client, group: &str, member: String, options: Options) -> Consumer {
        Consumer {
            client,
            group: StrBytes::from_string(group.to_owned()),
            member: StrBytes::from_string(member),
            epoch: None,
            options,
            wants: Wants::Nothing,
            owned: BTreeMap::new(),
            moved: false,
            ids: HashMap::new(),
            turn: 0,
        }
    }

    pub(super) fn is_member(&self) -> bool {
        self.epoch.is_some()
    }

    /// How it was made.
    pub(in crate::rest) fn options(&self) -> Options {
        self.options
    }

    /// What it wants.
    pub(in crate::rest) fn wants(&self) -> &Wants {
        &self.wants
    }

    /// What it was given.
    pub(in crate::rest) fn owned(&self) -> impl Iterator<Item = &Place> {
        self.owned.keys()
    }

    /// Wants something else from now on.
    pub(in crate::rest) async fn want(&mut self, wants: Wants) -> Answer<()> {
        let tells = |wants: &Wants| matches!(wants, Wants::Places(_));
        let both =
            self.wants != Wants::Nothing && wants != Wants::Nothing && tells(&self.wants) != tells(&wants);
        if both {
            let message = "Subscription to topics, partitions and pattern are mutually exclusive.";
            return Err(RestError::new(http::StatusCode::CONFLICT, 40903, message));
        }
        match &wants {
            Wants::Nothing => self.leave().await,
            Wants::Places(places) => {
                let known = std::mem::take(&mut self.owned);
                let place = |place: &Place| (place.clone(), known.get(place).copied().flatten());
                self.owned = places.iter().map(place).collect();
            }
            Wants::Topics(_) | Wants::Pattern(_) => {}
        }
        let is_subscribed = matches!(wants, Wants::Topics(_) | Wants::Pattern(_));
        self.wants = wants;
        let joined = if is_subscribed { self.beat().await } else { Ok(()) };
        if joined.is_err() && !self.is_member() {
            self.wants = Wants::Nothing;
        }
        joined
    }

    /// Leaves its group, and lets go of all that it has. What was given out is committed first where it commits by itself.
    pub(in crate::rest) async fn leave(&mut self) {
        self.commit_by_itself().await;
        if self.epoch.take().is_some() {
            let _ = self.client.consumer_heartbeat(self.heartbeat(LEAVING)).await;
        }
        self.owned.clear();
        self.wants = Wants::Nothing;
    }

    fn heartbeat(&self, epoch: i32) -> ConsumerGroupHeartbeatRequest {
        let (names, pattern) = match &self.wants {
            Wants::Topics(topics) => (topics.as_slice(), ""),
            Wants::Pattern(pattern) => (&[][..], pattern.as_str()),
            Wants::Nothing | Wants::Places(_) => (&[][..], ""),
        };
        let names = names.iter().map(|name| topic_name(name)).collect();
        let mut request = ConsumerGroupHeartbeatRequest::default()
            .with_group_id(GroupId(self.group.clone()))
            .with_member_id(self.member.clone())
            .with_member_epoch(epoch)
            .with_rebalance_timeout_ms(REBALANCE_MS);
        if epoch != LEAVING {
            let owned = if epoch == JOINING { Vec::new() } else { self.owned_by_id() };
            request = request
                .with_subscribed_topic_names(Some(names))
                .with_subscribed_topic_regex(Some(StrBytes::from_string(pattern.to_owned())))
                .with_topic_partitions(Some(owned));
        }
        request
    }

    fn owned_by_id(&self) -> Vec<TopicPartitions> {
        let mut by_id: BTreeMap<Uuid, Vec<i32>> = BTreeMap::new();
        for (topic, partition) in self.owned.keys() {
            if let Some((id, _)) = self.ids.iter().find(|(_, name)| *name == topic) {
                by_id.entry(*id).or_default().push(*partition);
            }
        }
        let each = by_id
            .into_iter()
            .map(|(id, partitions)| TopicPartitions::default().with_topic_id(id).with_partitions(partitions));
        each.collect()
    }

    /// Says to its group that it is there, and takes what it is given. It joins where it is no member yet, or is none any
    /// more.
    pub(super) async fn beat(&mut self) -> Answer<()> {
        // Joining again, and saying that what was taken away was let go: a few times at the most.
        for _ in 0..4 {
            let epoch = self.epoch.unwrap_or(JOINING);
            let answer = self.client.consumer_heartbeat(self.heartbeat(epoch)).await;
            let lost = [
                ResponseError::UnknownMemberId,
                ResponseError::FencedMemberEpoch,
                ResponseError::GroupIdNotFound,
            ];
            if epoch != JOINING && lost.iter().any(|error| error.code() == answer.error_code) {
                self.epoch = None;
                self.owned.clear();
                self.moved = false;
                continue;
            }
            check(answer.error_code, answer.error_message.as_ref())?;
            self.epoch = Some(answer.member_epoch);
            let Some(assignment) = answer.assignment else { return Ok(()) };
            let mut given = Vec::new();
            for topic in assignment.topic_partitions {
                let Some(name) = self.name_of(topic.topic_id).await else { continue };
                given.extend(topic.partitions.into_iter().map(|partition| (name.clone(), partition)));
            }
            let goes = self.owned.keys().any(|place| !given.contains(place));
            if goes {
                // Whoever gets them goes on from there.
                self.commit_by_itself().await;
            }
            let known = std::mem::take(&mut self.owned);
            let place = |place: Place| {
                let at = known.get(&place).copied().flatten();
                (place, at)
            };
            self.owned = given.into_iter().map(place).collect();
            if !goes {
                return Ok(());
            }
        }
        Ok(())
    }

    async fn name_of(&mut self, id: Uuid) -> Option<String> {
        if !self.ids.contains_key(&id) {
            let all = self.client.metadata(MetadataRequest::default().with_topics(None)).await;
            let named =
                all.topics.into_iter().filter_map(|topic| Some((topic.topic_id, topic.name?.to_string())));
            self.ids = named.collect();
        }
        self.ids.get(&id).cloned()
    }

    /// Reads on. What it gives out is committed at the next read, where it commits by itself.
    pub(in crate::rest) async fn read(
        &mut self,
        state: &RestState,
        wait: Option<Duration>,
        bytes_max: Option<i32>,
    ) -> Answer<Read> {
        if self.wants == Wants::Nothing {
            let message = "Consumer is not subscribed to any topics or assigned any partitions";
            return Err(RestError::new(http::StatusCode::CONFLICT, 40903, message));
        }
        self.commit_by_itself().await;
        let until = Instant::now() + wait.unwrap_or(self.options.wait);
        let bytes_max = bytes_max.unwrap_or(BYTES_MAX).clamp(1, BYTES_MAX);
        let is_told = matches!(self.wants, Wants::Places(_));
        loop {
            if !is_told {
                self.beat().await?;
            }
            self.find_positions().await?;
            let left = until.saturating_duration_since(Instant::now());
            let known = self.owned.values().any(Option::is_some);
            let read = match known {
                true => self.fetch(state, left.min(WAIT), bytes_max).await?,
                false => {
                    tokio::time::sleep(left.min(WAIT)).await;
                    Read::default()
                }
            };
            if !read.records.is_empty() || left.is_zero() {
                return Ok(read);
            }
        }
    }

    async fn fetch(&mut self, state: &RestState, wait: Duration, bytes_max: i32) -> Answer<Read> {
        let known = self.owned.iter().filter_map(|(place, at)| Some((place.clone(), (*at)?)));
        let mut places: Vec<(Place, i64)> = known.collect();
        // One that always has records must not keep the others from their turn.
        self.turn = self.turn.wrapping_add(1);
        let turn = self.turn % places.len().max(1);
        places.rotate_left(turn);
        let topics = places.iter().map(|((topic, _), _)| TopicKey::Name(topic_name(topic).0)).collect();
        let asked = places.iter().zip(0..).map(|(((_, index), from), topic)| AskedPartition {
            topic,
            index: *index,
            epoch: -1,
            from: *from,
            bytes_max,
        });
        let wait_ms = i32::try_from(wait.as_millis()).unwrap_or(i32::MAX);
        let request = FetchRequest::once(topics, asked.collect(), bytes_max, wait_ms);
        let answer = self.client.fetch(request).await;
        check(answer.error, None)?;
        let mut read = Read::default();
        let mut failed = None;
        for data in answer.partitions {
            let Some((place, _)) = places.get(data.topic as usize) else { continue };
            let Some(Some(from)) = self.owned.get(place).copied() else { continue };
            if data.error == ResponseError::OffsetOutOfRange.code() {
                let begin = self.begin(place).await?;
                self.owned.insert(place.clone(), Some(begin));
                continue;
            }
            let wanted = Wanted { from, bytes_max, records_max: RECORDS_MAX, wait_ms: 0 };
            // What the others have is given out all the same.
            if let Err(error) = read.take(state, place, data, wanted).await {
                failed = failed.or(Some(error));
            }
        }
        if read.records.is_empty() {
            // Markers of transactions alone.
            self.given_out(&read);
            return failed.map_or(Ok(read), Err);
        }
        Ok(read)
    }

    /// Goes on behind what was read: its client is given it.
    pub(in crate::rest) fn given_out(&mut self, read: &Read) {
        for (place, next) in &read.next {
            if let Some(at) = self.owned.get_mut(place) {
                *at = Some(*next);
                self.moved = true;
            }
        }
    }
}

/// What was read, and the room that it takes.
#[derive(Default)]
pub(in crate::rest) struct Read {
    pub records: Vec<(Place, ReadRecord)>,
    /// What they take, bytes: they are parts of what their batches unfolded to.
    bytes: usize,
    next: Vec<(Place, i64)>,
    room: Held,
}

impl Read {
    /// Takes what a partition had, as far as there is room: the rest is for the next read.
    async fn take(
        &mut self,
        state: &RestState,
        place: &Place,
        data: ToldPartition,
        wanted: Wanted,
    ) -> Answer<()> {
        check(data.error, None)?;
        let left = PAGE_BYTES.saturating_sub(self.bytes);
        let records_max = wanted.records_max.saturating_sub(self.records.len());
        if data.records.bytes() == 0 || left == 0 || records_max == 0 {
            return Ok(());
        }
        let batches = (data.records.into_bytes(), data.aborted.unwrap_or_default());
        let wanted = Wanted { records_max, ..wanted };
        let may_grow = self.records.is_empty();
        let Some(page) = self.room.page(state, batches, wanted, (left, may_grow)).await? else {
            return Ok(());
        };
        if !page.records.is_empty() {
            self.bytes += page.bytes;
        }
        self.next.push((place.clone(), page.next));
        self.records.extend(page.records.into_iter().map(|record| (place.clone(), record)));
        Ok(())
    }

    /// Leaves the records from this one on for the next read.
    pub(in crate::rest) fn cut(&mut self, at: usize) {
        let left = self.records.split_off(at.min(self.records.len()));
        for (place, record) in left.into_iter().rev() {
            if let Some((_, next)) = self.next.iter_mut().find(|(one, _)| *one == place) {
                *next = record.offset;
            }
        }
    }
}
