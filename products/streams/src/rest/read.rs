//! Records of a partition, read as a client that sees nothing of transactions that were given up or are under way.

use std::collections::BTreeSet;

use bytes::Bytes;
use candor_records::{Bounds, Header, Marker, MarkerKind, Opened, TimestampType};
use kafka_protocol::messages::list_offsets_request::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};

use tokio::sync::OwnedSemaphorePermit;

use super::RestState;
use super::client::Client;
use super::error::{Answer, RestError, check};
use super::send::topic_name;
use crate::data::fetch::message::{AskedPartition, FetchRequest, TopicKey};

/// What the batches of a page may unfold to, bytes, but for the first, and what one may.
const PAGE_BYTES: usize = 8 << 20;
pub(super) const BATCH: Bounds = Bounds { bytes: 32 << 20, records: 1_000_000 };

/// Only what is committed (KIP-98).
const READ_COMMITTED: i8 = 1;

/// Which records are read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    /// From which offset on.
    pub from: i64,
    /// So many bytes of batches, but one batch at the least.
    pub bytes_max: i32,
    /// So many records.
    pub records_max: usize,
    /// How long is waited where there are none, ms.
    pub wait_ms: i32,
}

/// A record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ReadRecord {
    pub offset: i64,
    /// Milliseconds since 1970, -1 for none.
    pub timestamp: i64,
    pub timestamp_type: &'static str,
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
    pub headers: Vec<(Bytes, Option<Bytes>)>,
}

/// What was read, and where to read on.
#[derive(Debug)]
pub(super) struct Page {
    pub records: Vec<ReadRecord>,
    pub next: i64,
    _room: Option<OwnedSemaphorePermit>,
}

/// Reads a page of a partition.
pub(super) async fn page(
    state: &RestState,
    client: &Client,
    topic: &str,
    partition: i32,
    wanted: Wanted,
) -> Answer<Page> {
    let topic = TopicKey::Name(topic_name(topic).0);
    let (from, bytes_max) = (wanted.from, wanted.bytes_max);
    let place = AskedPartition { topic: 0, index: partition, epoch: -1, from, bytes_max };
    let answer = client.fetch(FetchRequest::once(vec![topic], vec![place], bytes_max, wanted.wait_ms)).await;
    check(answer.error, None)?;
    let data = answer.partitions.into_iter().next().ok_or_else(RestError::partition_not_found)?;
    check(data.error, None)?;
    // For what the batches unfold to. Waited for behind the fetch, which may wait long.
    let room = state.room(BATCH.bytes).await?;
    records(data.records.into_bytes(), data.aborted.unwrap_or_default(), wanted, Some(room))
}

/// A page of batches; of aborted transactions it is told producer and first offset.
pub(super) fn records(
    mut rest: Bytes,
    aborted: Vec<(i64, i64)>,
    wanted: Wanted,
    room: Option<OwnedSemaphorePermit>,
) -> Answer<Page> {
    let mut page = Page { records: Vec::new(), next: wanted.from, _room: room };
    let mut unfolded = 0;
    let mut aborted = Aborted::of(aborted);
    while !rest.is_empty() {
        // The last batch may be cut where the answer was full.
        let Ok(header) = Header::parse(&rest) else { break };
        let batch = rest.split_to(header.bytes);
        if unfolded > PAGE_BYTES {
            return Ok(page);
        }
        let opened = candor_records::open(&batch, BATCH).map_err(|bad| unreadable(&bad))?;
        unfolded += opened.body().len();
        if !aborted.skips(&opened) {
            for record in opened.records() {
                let record = record.map_err(|bad| unreadable(&bad))?;
                let offset = record.offset(&header);
                if offset < wanted.from {
                    continue;
                }
                if page.records.len() >= wanted.records_max {
                    return Ok(page);
                }
                let own = |part: &[u8]| opened.bytes_of(part);
                page.records.push(ReadRecord {
                    offset,
                    timestamp: record.timestamp(&header),
                    timestamp_type: match header.timestamp_type() {
                        TimestampType::CreateTime => "CREATE_TIME",
                        TimestampType::LogAppendTime => "LOG_APPEND_TIME",
                    },
                    key: record.key.map(own),
                    value: record.value.map(own),
                    headers: record.headers.iter().map(|(name, value)| (own(name), value.map(own))).collect(),
                });
                page.next = offset + 1;
            }
        }
        page.next = page.next.max(header.last_offset().saturating_add(1));
    }
    Ok(page)
}

fn unreadable(bad: &candor_records::BadBatch) -> RestError {
    RestError::new(
        http::StatusCode::INTERNAL_SERVER_ERROR,
        50002,
        format!("a batch that is stored cannot be read: {bad}"),
    )
}

/// Whose transactions were given up, as the batches come.
struct Aborted {
    /// First offset and producer, the first to begin last.
    begins: Vec<(i64, i64)>,
    open: BTreeSet<i64>,
}

impl Aborted {
    fn of(all: Vec<(i64, i64)>) -> Aborted {
        let mut begins: Vec<(i64, i64)> =
            all.into_iter().map(|(producer, first)| (first, producer)).collect();
        begins.sort_unstable_by(|a, b| b.cmp(a));
        Aborted { begins, open: BTreeSet::new() }
    }

    /// True for a batch that no client is given.
    fn skips(&mut self, batch: &Opened) -> bool {
        let header = batch.header();
        while self.begins.last().is_some_and(|(first, _)| *first <= header.last_offset()) {
            self.open.extend(self.begins.pop().map(|(_, producer)| producer));
        }
        if header.is_control() {
            let marker = batch.records().flatten().next().and_then(|record| Marker::read(&record));
            if marker.is_some_and(|marker| marker.kind == MarkerKind::Abort) {
                self.open.remove(&header.producer_id);
            }
            return true;
        }
        header.is_transactional() && self.open.contains(&header.producer_id)
    }
}

/// A special time of ListOffsets: the end.
pub(super) const LATEST: i64 = -1;
/// The beginning.
pub(super) const EARLIEST: i64 = -2;

/// Offsets of partitions at a time: milliseconds since 1970, [`LATEST`] or [`EARLIEST`]. -1 where there is none.
pub(super) async fn offsets(
    client: &Client,
    asked: Vec<(String, Vec<i32>)>,
    time: i64,
) -> Vec<(String, i32, Answer<i64>)> {
    let topics = asked.into_iter().map(|(name, partitions)| {
        let partitions = partitions.into_iter().map(|index| {
            ListOffsetsPartition::default()
                .with_partition_index(index)
                .with_current_leader_epoch(-1)
                .with_timestamp(time)
        });
        ListOffsetsTopic::default().with_name(topic_name(&name)).with_partitions(partitions.collect())
    });
    let request =
        ListOffsetsRequest::default().with_isolation_level(READ_COMMITTED).with_topics(topics.collect());
    let answer = client.list_offsets(request).await;
    let each = answer.topics.into_iter().flat_map(|topic| {
        let name = topic.name.to_string();
        topic.partitions.into_iter().map(move |found| {
            let offset = check(found.error_code, None).map(|()| found.offset);
            (name.clone(), found.partition_index, offset)
        })
    });
    each.collect()
}

/// One partition's offset at a time.
pub(super) async fn offset(client: &Client, topic: &str, partition: i32, time: i64) -> Answer<i64> {
    let found = offsets(client, vec![(topic.to_owned(), vec![partition])], time).await;
    found.into_iter().next().map_or_else(|| Err(RestError::partition_not_found()), |(_, _, offset)| offset)
}
