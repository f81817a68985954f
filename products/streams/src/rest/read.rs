//! Records of a partition, read as a client that sees nothing of transactions that were given up or are under way.

use std::collections::BTreeSet;

use bytes::Bytes;
use candor_gate::STREAM_BOUNDS;
use candor_records::{BadBatch, Bounds, Header, Marker, MarkerKind, Opened, TimestampType};
use kafka_protocol::messages::list_offsets_request::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};

use tokio::sync::OwnedSemaphorePermit;

use super::RestState;
use super::client::Client;
use super::error::{Answer, RestError, check};
use super::send::topic_name;
use crate::data::fetch::message::{AskedPartition, FetchRequest, TopicKey};

/// What the batches of a page may unfold to, bytes, but for the last.
pub(super) const PAGE_BYTES: usize = 8 << 20;

/// What one batch may, in the room that a reader takes. Few unfold to more: a reader takes room for such a one as it comes.
const BATCH: Bounds = Bounds { bytes: 16 << 20, records: STREAM_BOUNDS.records };

/// Headers of a record that are given out.
const HEADERS_MAX: usize = 10_000;

/// What a record and a header take beside their bytes.
const RECORD_COST: usize = 128;
const HEADER_COST: usize = 80;

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
    /// The first of them.
    pub headers: Vec<(Bytes, Option<Bytes>)>,
    /// How many more it has.
    pub headers_left: usize,
}

/// What was read, and where to read on.
#[derive(Debug)]
pub(super) struct Page {
    pub records: Vec<ReadRecord>,
    pub next: i64,
    /// What it takes, bytes: what its batches unfolded to, which records are parts of, and the like.
    pub bytes: usize,
}

/// What may be read at once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Within {
    /// Once a page has taken so many bytes, nothing more is opened.
    pub page: usize,
    /// What one batch may unfold to.
    pub batch: Bounds,
}

/// Room for what is read, held while it is there.
#[derive(Debug, Default)]
pub(super) struct Held(Option<OwnedSemaphorePermit>);

impl Held {
    /// Opens a page of batches of which so many bytes may still be taken. Where the first unfolds to more than there is
    /// room for, and `may_grow`, it waits for as much room as any may need; otherwise there is no page.
    pub async fn page(
        &mut self,
        state: &RestState,
        (batches, aborted): (Bytes, Vec<(i64, i64)>),
        wanted: Wanted,
        (page, may_grow): (usize, bool),
    ) -> Answer<Option<Page>> {
        if self.0.is_none() {
            self.0 = Some(state.room(PAGE_BYTES + BATCH.bytes).await?);
        }
        let opened = records(batches.clone(), aborted.clone(), wanted, Within { page, batch: BATCH })?;
        if opened.is_some() || !may_grow {
            return Ok(opened);
        }
        // What it holds goes back first: two that each want more would wait for each other.
        self.0 = None;
        self.0 = Some(state.room(PAGE_BYTES + STREAM_BOUNDS.bytes).await?);
        let within = Within { page, batch: STREAM_BOUNDS };
        let opened = tokio::task::spawn_blocking(move || records(batches, aborted, wanted, within)).await;
        let stopped = |_| RestError::plain(http::StatusCode::SERVICE_UNAVAILABLE, "the server stops");
        opened.map_err(stopped)??.map(Some).ok_or_else(|| unreadable(&BadBatch::TooLarge))
    }
}

/// Reads a page of a partition.
pub(super) async fn page(
    state: &RestState,
    client: &Client,
    topic: &str,
    partition: i32,
    wanted: Wanted,
) -> Answer<(Page, Held)> {
    let topic = TopicKey::Name(topic_name(topic).0);
    let (from, bytes_max) = (wanted.from, wanted.bytes_max);
    let place = AskedPartition { topic: 0, index: partition, epoch: -1, from, bytes_max };
    let answer = client.fetch(FetchRequest::once(vec![topic], vec![place], bytes_max, wanted.wait_ms)).await;
    check(answer.error, None)?;
    let data = answer.partitions.into_iter().next().ok_or_else(RestError::partition_not_found)?;
    check(data.error, None)?;
    // Room is waited for behind the fetch, which may wait long.
    let mut held = Held::default();
    let batches = (data.records.into_bytes(), data.aborted.unwrap_or_default());
    let page = held.page(state, batches, wanted, (PAGE_BYTES, true)).await?;
    Ok((page.ok_or_else(|| unreadable(&BadBatch::TooLarge))?, held))
}

/// A page of batches; of aborted transactions it is told producer and first offset. None where the first batch unfolds to
/// more than it may.
pub(super) fn records(
    mut rest: Bytes,
    aborted: Vec<(i64, i64)>,
    wanted: Wanted,
    within: Within,
) -> Answer<Option<Page>> {
    let mut page = Page { records: Vec::new(), next: wanted.from, bytes: 0 };
    let (mut is_first, mut costs) = (true, 0);
    let mut aborted = Aborted::of(aborted);
    while !rest.is_empty() {
        // The last batch may be cut where the answer was full.
        let Ok(header) = Header::parse(&rest) else { break };
        let batch = rest.split_to(header.bytes);
        if page.bytes > within.page {
            return Ok(Some(page));
        }
        let opened = match candor_records::open(&batch, within.batch) {
            Ok(opened) => opened,
            Err(BadBatch::TooLarge) => return Ok((!is_first).then_some(page)),
            // What came before it is given out first.
            Err(_) if !page.records.is_empty() => return Ok(Some(page)),
            Err(bad) => return Err(unreadable(&bad)),
        };
        is_first = false;
        page.bytes += opened.body().len();
        if !aborted.skips(&opened) {
            for record in opened.records() {
                let record = match record {
                    Ok(record) => record,
                    Err(_) if !page.records.is_empty() => return Ok(Some(page)),
                    Err(bad) => return Err(unreadable(&bad)),
                };
                let offset = record.offset(&header);
                if offset < wanted.from {
                    continue;
                }
                let headers = record.headers.len().min(HEADERS_MAX);
                let cost = RECORD_COST + headers * HEADER_COST;
                let is_full = page.records.len() >= wanted.records_max
                    || !page.records.is_empty() && costs + cost > within.page;
                if is_full {
                    return Ok(Some(page));
                }
                costs += cost;
                page.bytes += cost;
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
                    headers: record
                        .headers
                        .iter()
                        .take(HEADERS_MAX)
                        .map(|(name, value)| (own(name), value.map(own)))
                        .collect(),
                    headers_left: record.headers.len() - headers,
                });
                page.next = offset + 1;
            }
        }
        page.next = page.next.max(header.last_offset().saturating_add(1));
    }
    Ok(Some(page))
}

fn unreadable(bad: &BadBatch) -> RestError {
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
