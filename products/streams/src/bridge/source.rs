//! Reading at the source: fetches of all leaders at once, and where a partition begins and ends.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use kafka_protocol::messages::list_offsets_request::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use kafka_protocol::messages::{ApiKey, FetchResponse};
use kafka_protocol::protocol::StrBytes;

use super::batches::{self, Read};
use super::client::{Bounds, Cluster, Node, Side};
use super::spec::Start;
use super::trouble::Trouble;
use crate::wire::{Held, Room};

/// What one fetch asks for of all leaders together, bytes: as much is written in one transaction.
const FETCH_BYTES: i32 = 8 << 20;

/// And of one leader at least.
const FETCH_BYTES_MIN: i32 = 64 << 10;

/// And of one partition.
const PARTITION_BYTES: i32 = 2 << 20;

/// The largest answer that is taken, bytes: a broker gives the first batch whole, however large it is.
const ANSWER_BYTES_MAX: usize = 100 << 20;

/// How long a fetch waits for records at one broker, and where there are several, whose answers wait for one another.
const WAIT_ALONE: Duration = Duration::from_millis(500);
const WAIT_TOGETHER: Duration = Duration::from_millis(100);

/// Only what was committed is read.
const READ_COMMITTED: i8 = 1;

/// A partition to be read.
#[derive(Debug, Clone)]
pub(crate) struct Want {
    pub topic: Arc<str>,
    pub partition: i32,
    pub leader: Node,
    pub offset: i64,
}

/// What came of a partition.
pub(crate) struct Piece {
    pub topic: Arc<str>,
    pub partition: i32,
    /// The offset that was asked for.
    pub from: i64,
    pub read: Read,
    /// The last stable offset.
    pub end: i64,
    /// The answer's room, held as long as its records are.
    pub room: Arc<Held>,
}

/// What a fetch came to.
#[derive(Default)]
pub(crate) struct Fetched {
    pub pieces: Vec<Piece>,
    /// Partitions of which the source gave none, and why.
    pub refused: Vec<(Arc<str>, i32, ResponseError)>,
}

/// Reads the source.
pub(crate) struct Reader {
    cluster: Cluster,
    /// Which partition comes first: each has its turn where an answer is full before the last.
    turn: usize,
}

/// What is asked of a topic.
type OfTopic<'a> = (&'a Arc<str>, Vec<FetchPartition>);

impl Reader {
    /// Answers take room of what all bridges share.
    pub fn new(side: &Side, room: &Room) -> Reader {
        let bounds = Bounds { answer_bytes: ANSWER_BYTES_MAX, room: room.clone() };
        Reader { cluster: Cluster::with(side, bounds), turn: 0 }
    }

    /// Learns where brokers are.
    pub async fn connect(&mut self) -> Result<(), Trouble> {
        self.cluster.metadata(Some(Vec::new())).await.map(drop)
    }

    /// What there is from these offsets on. Waits a moment where there is nothing.
    pub async fn fetch(&mut self, wants: &[Want]) -> Result<Fetched, Trouble> {
        if wants.is_empty() {
            tokio::time::sleep(WAIT_ALONE).await;
            return Ok(Fetched::default());
        }
        self.turn = (self.turn + 1) % wants.len();
        let (behind, first) = wants.split_at(self.turn);
        let mut leaders: BTreeMap<Node, Vec<OfTopic>> = BTreeMap::new();
        for want in first.iter().chain(behind) {
            let topics = leaders.entry(want.leader).or_default();
            let part = FetchPartition::default()
                .with_partition(want.partition)
                .with_fetch_offset(want.offset)
                .with_partition_max_bytes(PARTITION_BYTES);
            match topics.last_mut() {
                Some((topic, parts)) if **topic == want.topic => parts.push(part),
                _ => topics.push((&want.topic, vec![part])),
            }
        }
        let wait = if leaders.len() > 1 { WAIT_TOGETHER } else { WAIT_ALONE };
        let count = i32::try_from(leaders.len()).unwrap_or(i32::MAX);
        let bytes = (FETCH_BYTES / count.max(1)).max(FETCH_BYTES_MIN);
        let requests = leaders.into_iter().map(|(leader, topics)| {
            let topics = topics.into_iter().map(|(topic, parts)| {
                let name = StrBytes::from_string(topic.to_string());
                FetchTopic::default().with_topic(name.into()).with_partitions(parts)
            });
            let request = FetchRequest::default()
                .with_max_wait_ms(i32::try_from(wait.as_millis()).unwrap_or(0))
                .with_min_bytes(1)
                .with_max_bytes(bytes)
                .with_isolation_level(READ_COMMITTED)
                .with_topics(topics.collect());
            (leader, request)
        });
        let asked: BTreeMap<(&str, i32), &Want> =
            wants.iter().map(|want| ((&*want.topic, want.partition), want)).collect();
        let mut fetched = Fetched::default();
        for (_, told) in self.cluster.ask_each(requests.collect(), wait).await {
            let told = told?;
            let room = Arc::new(told.room);
            take(told.message, &room, &asked, &mut fetched)?;
        }
        Ok(fetched)
    }

    /// Where partitions begin, or end.
    pub async fn bounds(
        &mut self,
        wants: &[Want],
        at: Start,
    ) -> Result<BTreeMap<(Arc<str>, i32), i64>, Trouble> {
        let timestamp = match at {
            Start::Latest => -1,
            Start::Earliest => -2,
        };
        let mut leaders: BTreeMap<Node, BTreeMap<&Arc<str>, Vec<ListOffsetsPartition>>> = BTreeMap::new();
        for want in wants {
            let part = ListOffsetsPartition::default()
                .with_partition_index(want.partition)
                .with_current_leader_epoch(-1)
                .with_timestamp(timestamp);
            leaders.entry(want.leader).or_default().entry(&want.topic).or_default().push(part);
        }
        let requests = leaders.into_iter().map(|(leader, topics)| {
            let topics = topics.into_iter().map(|(topic, parts)| {
                let name = StrBytes::from_string(topic.to_string());
                ListOffsetsTopic::default().with_name(name.into()).with_partitions(parts)
            });
            let request = ListOffsetsRequest::default()
                .with_replica_id((-1).into())
                .with_isolation_level(READ_COMMITTED)
                .with_topics(topics.collect());
            (leader, request)
        });
        let mut found = BTreeMap::new();
        for (_, told) in self.cluster.ask_each(requests.collect(), Duration::ZERO).await {
            for topic in told?.message.topics {
                for part in topic.partitions {
                    let at = || format!("the source ({})", topic.name.as_str());
                    Trouble::check(at, ApiKey::ListOffsets, part.error_code)?;
                    let key = (Arc::from(topic.name.as_str()), part.partition_index);
                    // One that has none says -1.
                    found.insert(key, part.offset.max(0));
                }
            }
        }
        Ok(found)
    }
}

fn take(
    told: FetchResponse,
    room: &Arc<Held>,
    asked: &BTreeMap<(&str, i32), &Want>,
    fetched: &mut Fetched,
) -> Result<(), Trouble> {
    Trouble::check(|| "the source".to_owned(), ApiKey::Fetch, told.error_code)?;
    for topic in told.responses {
        for part in topic.partitions {
            let Some(want) = asked.get(&(topic.topic.as_str(), part.partition_index)) else { continue };
            if let Some(error) = ResponseError::try_from_code(part.error_code) {
                fetched.refused.push((Arc::clone(&want.topic), want.partition, error));
                continue;
            }
            let aborted = part.aborted_transactions.unwrap_or_default();
            let records = part.records.unwrap_or_default();
            let read = batches::read(records, want.offset, &aborted).map_err(|why| Trouble::Topic {
                topic: want.topic.to_string(),
                why: format!("partition {} from offset {} on: {why}", want.partition, want.offset),
                is_size: false,
            })?;
            fetched.pieces.push(Piece {
                topic: Arc::clone(&want.topic),
                partition: want.partition,
                from: want.offset,
                read,
                end: part.last_stable_offset,
                room: Arc::clone(room),
            });
        }
    }
    Ok(())
}
