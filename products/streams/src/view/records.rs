//! Records of a stretch of a partition, opened.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use candor_gate::{Part as Which, STREAM_BOUNDS};
use candor_log::{Committed, Log, ReadError, Topic as LogTopic};
use candor_model::{Offset, Partition, ProjectId, Timestamp};
use candor_records::{Header, Marker, MarkerKind, Record, TimestampType, open};
use regex::bytes::{Regex, RegexBuilder};
use serde::Serialize;
use tokio::time::Instant;

use super::decode::Part;
use super::{Inner, ViewError};
use crate::topics::Topic;

/// Read from the log at once, bytes as they are stored; one batch at the least.
const READ_BYTES: usize = 1 << 20;

/// Headers of a record that are shown.
const HEADERS_MAX: usize = 100;

/// What of a header is shown, bytes.
const HEADER_SHOWN: usize = 1 << 10;

/// A record as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Message {
    /// Its partition.
    pub partition: u32,
    /// Its offset.
    pub offset: u64,
    /// Its time, RFC 3339; none where the producer gave none.
    pub timestamp: Option<String>,
    /// True where that is when it came, and not what its producer said.
    pub append_time: bool,
    /// Its key.
    pub key: Option<Part>,
    /// Its value; none for a tombstone.
    pub value: Option<Part>,
    /// Its headers, in order.
    pub headers: Vec<MessageHeader>,
    /// Bytes of key, value and headers.
    pub size: usize,
    /// `open` or `aborted`: readers of what is committed do not see it, or not yet.
    pub transaction: Option<&'static str>,
}

/// A header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MessageHeader {
    /// Its name.
    pub name: String,
    /// What it says.
    pub value: Option<Part>,
}

/// A record with its bytes.
#[derive(Debug, Clone)]
pub(super) struct Raw {
    pub partition: u32,
    pub offset: u64,
    /// Milliseconds since 1970, -1 for none.
    pub timestamp: i64,
    append_time: bool,
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
    headers: Vec<(Bytes, Option<Bytes>)>,
    size: usize,
    transaction: Option<&'static str>,
}

/// Which records are wanted: those of a key, or of keys that begin so.
#[derive(Debug, Clone, PartialEq, Eq)]
enum KeyFilter {
    All,
    Is(Arc<str>),
    Begins(Arc<str>),
}

impl KeyFilter {
    /// `order-1` is that key, `order-*` all that begin so.
    fn parse(text: Option<&str>) -> KeyFilter {
        match text {
            None | Some("") => KeyFilter::All,
            Some(text) => match text.strip_suffix('*') {
                Some(beginning) => KeyFilter::Begins(Arc::from(beginning)),
                None => KeyFilter::Is(Arc::from(text)),
            },
        }
    }

    fn fits(&self, key: Option<&[u8]>) -> bool {
        match (self, key) {
            (KeyFilter::All, _) => true,
            (KeyFilter::Is(wanted), Some(key)) => key == wanted.as_bytes(),
            (KeyFilter::Begins(wanted), Some(key)) => key.starts_with(wanted.as_bytes()),
            (_, None) => false,
        }
    }
}

/// Longest text that is looked for, bytes.
const TEXT_MAX: usize = 200;

/// Which records are wanted: of a key, and such that hold a text.
#[derive(Debug, Clone)]
pub(super) struct Filter {
    key: KeyFilter,
    text: Option<Regex>,
}

impl Filter {
    /// Every record.
    pub fn all() -> Filter {
        Filter { key: KeyFilter::All, text: None }
    }

    /// Of a key, and with a text in key, value or a header, whatever its case.
    pub fn parse(key: Option<&str>, text: Option<&str>) -> Result<Filter, ViewError> {
        let wrong = || ViewError::Refused(format!("a text that is looked for has at most {TEXT_MAX} bytes"));
        let compiled = |text: &str| {
            let pattern = RegexBuilder::new(&regex::escape(text)).case_insensitive(true).build();
            pattern.ok().filter(|_| text.len() <= TEXT_MAX).ok_or_else(wrong)
        };
        let text = text.filter(|text| !text.is_empty()).map(compiled).transpose()?;
        Ok(Filter { key: KeyFilter::parse(key), text })
    }

    fn fits(&self, record: &Record<'_>) -> bool {
        let holds = |wanted: &Regex| {
            let headers = record.headers.iter().filter_map(|(_, value)| value);
            record.key.into_iter().chain(record.value).chain(headers).any(|part| wanted.is_match(part))
        };
        self.key.fits(record.key) && self.text.as_ref().is_none_or(holds)
    }
}

/// What one answer may cost.
#[derive(Debug)]
pub(super) struct Budget {
    /// Bytes that may still be opened.
    pub bytes: usize,
    /// Until when.
    pub deadline: Instant,
    /// Bytes that were opened: a batch is opened whole, so they may be more than might be.
    pub spent: usize,
    /// Records that were looked at.
    pub looked_at: u64,
}

impl Budget {
    pub fn new(bytes: usize, time: std::time::Duration) -> Budget {
        Budget { bytes, deadline: Instant::now() + time, spent: 0, looked_at: 0 }
    }

    pub fn is_spent(&self) -> bool {
        self.bytes == 0 || Instant::now() >= self.deadline
    }
}

/// A stretch of a partition, and how many records of it are wanted.
pub(super) struct Stretch {
    pub topic: LogTopic,
    pub partition: u32,
    pub from: u64,
    /// Exclusive.
    pub to: u64,
    pub filter: Filter,
    pub wanted: usize,
    /// The last of them rather than the first.
    pub last: bool,
}

/// What was found in a stretch, in the order of offsets.
pub(super) struct Found {
    pub records: VecDeque<Raw>,
    /// Everything before this was looked at.
    pub until: u64,
}

/// Reads a stretch from its front. Without `last` it stops at as many as are wanted, and anyhow where the budget ends.
pub(super) async fn find(log: &Log, stretch: Stretch, budget: &mut Budget) -> Result<Found, ReadError> {
    let partition = Partition(stretch.partition);
    let stable = log.last_stable_offset(&stretch.topic, partition).0;
    let mut opener = Opener {
        aborted: VecDeque::new(),
        aborting: HashSet::new(),
        stable,
        found: VecDeque::new(),
        stretch,
    };
    let mut next = opener.stretch.from;
    while next < opener.stretch.to && !budget.is_spent() && (opener.stretch.last || !opener.has_enough()) {
        let batches = match log.read(&opener.stretch.topic, partition, Offset(next), READ_BYTES).await {
            Ok(batches) => batches,
            // Retention overtook the reader.
            Err(ReadError::OutOfRange { start, .. }) if start > next => {
                next = start;
                continue;
            }
            Err(ReadError::OutOfRange { .. }) => break,
            Err(error) => return Err(error),
        };
        if batches.is_empty() {
            break;
        }
        opener.aborted =
            log.aborted_among(&batches).iter().map(|one| (one.first_offset.0, one.producer_id)).collect();
        let room = budget.bytes;
        // Decompressing is work for a thread that takes no connections.
        let opened = tokio::task::spawn_blocking(move || {
            let spent = opener.take(&batches, room);
            (opener, spent)
        });
        let (back, spent) = opened.await.map_err(|error| ReadError::Storage(Box::new(error)))?;
        opener = back;
        budget.bytes = budget.bytes.saturating_sub(spent.bytes);
        budget.spent += spent.bytes;
        budget.looked_at += spent.records;
        next = spent.until.max(next + 1);
    }
    Ok(Found { records: opener.found, until: next.min(opener.stretch.to) })
}

struct Opener {
    stretch: Stretch,
    /// Aborted transactions that have not begun yet: first offset and producer.
    aborted: VecDeque<(u64, i64)>,
    /// Producers in the middle of one.
    aborting: HashSet<i64>,
    stable: u64,
    found: VecDeque<Raw>,
}

struct Spent {
    bytes: usize,
    records: u64,
    until: u64,
}

impl Opener {
    fn has_enough(&self) -> bool {
        self.found.len() >= self.stretch.wanted
    }

    fn take(&mut self, batches: &[Committed], room: usize) -> Spent {
        let mut spent = Spent { bytes: 0, records: 0, until: self.stretch.from };
        for batch in batches {
            if batch.base.0 >= self.stretch.to {
                // Nothing is left between: it was compacted or erased.
                spent.until = self.stretch.to;
                break;
            }
            if spent.bytes >= room || !self.stretch.last && self.has_enough() {
                break;
            }
            spent.until = batch.base.0 + u64::from(batch.count);
            // What cannot be opened is nothing that the gate let in.
            let Ok(opened) = open(&batch.batch, STREAM_BOUNDS) else { continue };
            spent.bytes += opened.body().len().max(batch.batch.len());
            let header = *opened.header();
            while let Some((first, producer)) = self.aborted.front().copied()
                && first < spent.until
            {
                self.aborted.pop_front();
                self.aborting.insert(producer);
            }
            let records = opened.records().map_while(Result::ok);
            if header.is_control() {
                let is_abort =
                    |record| Marker::read(&record).is_some_and(|one| one.kind == MarkerKind::Abort);
                if records.into_iter().any(is_abort) {
                    self.aborting.remove(&header.producer_id);
                }
                continue;
            }
            for record in records {
                // What the batch itself says of its place counts for nothing.
                let offset = batch.base.0 + u64::try_from(record.offset_delta).unwrap_or(0);
                spent.records += 1;
                if offset < self.stretch.from
                    || offset >= self.stretch.to
                    || !self.stretch.filter.fits(&record)
                {
                    continue;
                }
                if !self.stretch.last && self.has_enough() {
                    spent.until = offset;
                    return spent;
                }
                let headers = record.headers.iter().take(HEADERS_MAX);
                let headers_bytes: usize = record
                    .headers
                    .iter()
                    .map(|(name, value)| name.len() + value.map_or(0, <[u8]>::len))
                    .sum();
                let length = |part: Option<&[u8]>| part.map_or(0, <[u8]>::len);
                self.found.push_back(Raw {
                    partition: self.stretch.partition,
                    offset,
                    timestamp: record.timestamp(&header),
                    append_time: header.timestamp_type() == TimestampType::LogAppendTime,
                    key: record.key.map(|key| opened.bytes_of(key)),
                    value: record.value.map(|value| opened.bytes_of(value)),
                    headers: headers
                        .map(|(name, value)| {
                            (opened.bytes_of(name), value.map(|value| opened.bytes_of(value)))
                        })
                        .collect(),
                    size: length(record.key) + length(record.value) + headers_bytes,
                    transaction: self.transaction(&header, offset),
                });
                if self.stretch.last && self.found.len() > self.stretch.wanted {
                    self.found.pop_front();
                }
            }
        }
        spent
    }

    fn transaction(&self, header: &Header, offset: u64) -> Option<&'static str> {
        if !header.is_transactional() {
            None
        } else if self.aborting.contains(&header.producer_id) {
            Some("aborted")
        } else if offset >= self.stable {
            Some("open")
        } else {
            None
        }
    }
}

impl Inner {
    /// A record of a topic as it is shown, of each part at most so many bytes.
    pub(super) fn shown(&self, project: ProjectId, topic: &Topic, raw: Raw, shown_max: usize) -> Message {
        let headers = raw.headers.iter().map(|(name, value)| MessageHeader {
            name: String::from_utf8_lossy(name.get(..HEADER_SHOWN).unwrap_or(name)).into_owned(),
            value: value.as_ref().map(|value| Part::of(value, HEADER_SHOWN)),
        });
        let headers = headers.collect();
        let time = Timestamp(raw.timestamp.saturating_mul(1000)).to_string();
        let part = |bytes: Option<Bytes>, which: Which| {
            let bytes = bytes?;
            let part = Part::of(&bytes, shown_max);
            let gate = self.parts.produce.gate();
            let said = part.schema_id.and_then(|_| gate.shown(project, (topic.config.values, which), &bytes));
            Some(match said {
                Some((schema, value)) => part.decoded(&schema, &value, shown_max),
                None => part,
            })
        };
        Message {
            partition: raw.partition,
            offset: raw.offset,
            timestamp: (raw.timestamp >= 0 && time.ends_with('Z')).then_some(time),
            append_time: raw.append_time,
            key: part(raw.key, Which::Key),
            value: part(raw.value, Which::Value),
            headers,
            size: raw.size,
            transaction: raw.transaction,
        }
    }
}
