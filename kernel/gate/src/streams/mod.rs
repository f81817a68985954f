//! The door for streams: one record batch of a producer, checked as Apache Kafka checks it, opened as its topic allows,
//! and kept byte for byte unless a rule strikes.
//!
//! ```text
//! bytes ─ one batch, checksum, fields ─ open within bounds ─ records in order ─ values ─┬─ same bytes ──┬─ Admitted
//!                                                                                       └─ built anew ───┘
//! ```
//!
//! Streams are the tenant's own data: keys, values and headers stay as they are but for what the rules strike. What a
//! rule would turn into another type of JSON, as a number into text, would break those who read the topic: such a record
//! is refused by its index, and with it its batch, as in Kafka.
//!
//! Who the records are about is told beside the batch ([`StreamSubjects`]), by the names and the codes by which the gate
//! knows persons in signals. Nothing of it goes to the vault: it is for values that left their row, and these stand in
//! the record.

mod modes;
mod reading;
mod refusal;
mod shown;
mod subjects;
mod values;

pub use modes::{Part, Schemas, ValuesMode};
pub use refusal::{RecordRefusal, RefusedRecord, StreamRefusal};
pub(crate) use shown::shown;
pub use subjects::{OpenedSubjects, StreamSubjects};

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use candor_model::limits::{BATCH_RECORDS_MAX, BODY_DECODED_BYTES_MAX};
use candor_model::{Partition, Timestamp, TopicName};
use candor_records::{
    BadBatch, Bounds, Checked, Header, HeadersBuf, Marker, MarkerKind, Opened, ProducedLimits, Rebuild,
    Record, TimestampType, open, set_max_timestamp, validate_produced,
};

use crate::GateReport;
use crate::admitted::Admitted;
use crate::clear::By;
use crate::identity::Finder;
use refusal::Refused;
use subjects::Collected;
use values::{Cleaned, Cleaner};

/// What a batch that the gate let in unfolds to at most: who reads one opens it with these.
pub const STREAM_BOUNDS: Bounds = Bounds { bytes: BODY_DECODED_BYTES_MAX, records: BATCH_RECORDS_MAX as u32 };

/// Beyond so many bytes decompressed …
const RATIO_FREE_BYTES: usize = 8 << 20;

/// … a batch may unfold to at most so many times what came, as a request's body may: looking into what a bomb unfolds
/// to costs far more than sending it. The Java client splits a batch that is refused so, and sends the parts.
const RATIO_MAX: usize = 250;

/// `max.message.bytes` of Apache Kafka where nothing is set.
const BATCH_BYTES_MAX_DEFAULT: usize = 1_048_588;

/// What the timestamps of a topic say (`message.timestamp.type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timestamps {
    /// The producer's, which may be so far from now.
    CreateTime {
        /// In the past, milliseconds (`message.timestamp.before.max.ms`).
        before_max_ms: i64,
        /// In the future, milliseconds (`message.timestamp.after.max.ms`).
        after_max_ms: i64,
    },
    /// When the batch came.
    LogAppendTime,
}

/// What a producer sent for one partition, and what holds for its topic.
#[derive(Debug, Clone)]
pub struct StreamBatch {
    /// The topic as the log calls it.
    pub topic: TopicName,
    /// As its clients and policies call it.
    pub name: String,
    /// The partition.
    pub partition: Partition,
    /// The bytes that it sent: one batch and nothing behind it.
    pub bytes: Bytes,
    /// How values may be opened (`candor.values`).
    pub values: ValuesMode,
    /// The topic is compacted (`cleanup.policy`): records need keys, and keys never change. One in which a rule strikes
    /// refuses its record.
    pub compacted: bool,
    /// The longest batch that is taken, bytes (`max.message.bytes`).
    pub max_bytes: usize,
    /// What timestamps say.
    pub timestamps: Timestamps,
}

impl StreamBatch {
    /// With what holds for a topic where nothing is set, but for how far a timestamp may be from now.
    pub fn new(topic: TopicName, partition: Partition, bytes: Bytes) -> StreamBatch {
        StreamBatch {
            name: topic.0.clone(),
            topic,
            partition,
            bytes,
            values: ValuesMode::Auto,
            compacted: false,
            max_bytes: BATCH_BYTES_MAX_DEFAULT,
            timestamps: Timestamps::CreateTime { before_max_ms: i64::MAX, after_max_ms: i64::MAX },
        }
    }

    /// The records that it says it has, at least one: it counts as a batch even where it is none.
    pub(crate) fn records(&self) -> u64 {
        let records = Header::parse(&self.bytes).map_or(1, |header| header.records.max(1));
        u64::try_from(records).unwrap_or(1).min(STREAM_BOUNDS.records.into())
    }
}

/// A batch that may be written.
#[derive(Debug)]
pub struct ClearedStream {
    /// What may be written.
    pub admitted: Admitted,
    /// Its header.
    pub header: Header,
    /// What was done.
    pub report: GateReport,
}

/// How a producer's transaction ends in a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransactionEnd {
    /// Whose it is.
    pub producer_id: i64,
    /// Its epoch.
    pub producer_epoch: i16,
    /// True where what it wrote counts; otherwise it is aborted.
    pub commit: bool,
    /// The epoch of the coordinator that ends it.
    pub coordinator_epoch: i32,
}

impl TransactionEnd {
    pub(crate) fn batch(self, now: Timestamp) -> Bytes {
        let kind = if self.commit { MarkerKind::Commit } else { MarkerKind::Abort };
        let marker = Marker { kind, coordinator_epoch: self.coordinator_epoch };
        marker.batch(self.producer_id, self.producer_epoch, milliseconds(now))
    }
}

fn milliseconds(at: Timestamp) -> i64 {
    at.0.div_euclid(1000)
}

/// Clears a batch.
pub(crate) fn clear(
    by: By<'_>,
    schemas: Option<&Arc<dyn Schemas>>,
    batch: StreamBatch,
) -> Result<ClearedStream, StreamRefusal> {
    let By { policy, project, now, .. } = by;
    if policy.activities().of_topic(&batch.name).is_none() {
        return Err(StreamRefusal::NoActivity);
    }
    let rules = policy.topic(&batch.name);
    let limits = ProducedLimits { batch_bytes: batch.max_bytes, records: STREAM_BOUNDS.records };
    validate_produced(&batch.bytes, limits)?;
    let unfolded = batch.bytes.len().saturating_mul(RATIO_MAX).max(RATIO_FREE_BYTES);
    let bounds = Bounds { bytes: STREAM_BOUNDS.bytes.min(unfolded), ..STREAM_BOUNDS };
    let opened = open(&batch.bytes, bounds)?;
    let checked = opened.check_produced()?;
    check_records(&batch, &opened, checked, milliseconds(now))?;
    let known = schemas.map(|schemas| (&**schemas, project));
    // A topic is the project's, not a site's.
    let finder = Finder::new(by.keyring, policy, project, None, None);
    let values = rules.values.narrowed(batch.values, rules.takes_opaque);
    let cleaner = Cleaner::new((&policy.scrubber, rules), values, known, finder);
    let Looked { changes, subjects, report } = look(cleaner, &batch, &opened)?;
    let bytes = match changes.is_empty() {
        true => batch.bytes.clone(),
        false => rebuilt(&opened, &changes)?,
    };
    let (kind, timestamp) = match batch.timestamps {
        Timestamps::LogAppendTime => (TimestampType::LogAppendTime, milliseconds(now)),
        Timestamps::CreateTime { .. } => (TimestampType::CreateTime, checked.greatest),
    };
    let bytes = stamped(bytes, kind, timestamp)?;
    let header = Header::parse(&bytes)?;
    let admitted = Admitted::stream(project, batch.topic, batch.partition, bytes, header.offsets(), by.epoch)
        .about(subjects);
    Ok(ClearedStream { admitted, header, report })
}

/// Checks what the topic asks of each record. Where all is well, which is known from what was checked, none is looked
/// at again.
fn check_records(
    batch: &StreamBatch,
    opened: &Opened,
    checked: Checked,
    now_ms: i64,
) -> Result<(), StreamRefusal> {
    let keyless = batch.compacted && !checked.all_have_keys;
    let allowed = match batch.timestamps {
        Timestamps::LogAppendTime => i64::MIN..=i64::MAX,
        Timestamps::CreateTime { before_max_ms, after_max_ms } => {
            now_ms.saturating_sub(before_max_ms)..=now_ms.saturating_add(after_max_ms)
        }
    };
    let is_timely = |timestamp: i64| timestamp == -1 || allowed.contains(&timestamp);
    if !keyless && is_timely(checked.greatest) && checked.least.is_none_or(is_timely) {
        return Ok(());
    }
    let mut refused = Refused::default();
    for (index, record) in (0..).zip(opened.records()) {
        let record = record?;
        if batch.compacted && record.key.is_none() {
            refused.add(index, RecordRefusal::NoKey);
        } else if !is_timely(record.timestamp(opened.header())) {
            refused.add(index, RecordRefusal::Timestamp);
        }
    }
    refused.finish()
}

/// What takes the place of a record's parts; none of what stays.
#[derive(Default)]
struct Change {
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Option<HeadersBuf>,
}

impl Change {
    fn bytes(&self) -> usize {
        let length = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(0, Vec::len);
        length(&self.key) + length(&self.value) + self.headers.as_ref().map_or(0, HeadersBuf::bytes)
    }
}

/// Records that change, by their index.
type Changes = BTreeMap<u32, Change>;

/// What was found in the records of a batch.
#[derive(Default)]
struct Looked {
    changes: Changes,
    subjects: StreamSubjects,
    report: GateReport,
}

/// Opens records as far as the topic allows it.
fn look(mut cleaner: Cleaner<'_>, batch: &StreamBatch, opened: &Opened) -> Result<Looked, StreamRefusal> {
    if !cleaner.opens() {
        return Ok(Looked::default());
    }
    let mut changes = Changes::new();
    let mut subjects = Collected::default();
    let mut refused = Refused::default();
    let mut bytes = 0;
    for (index, record) in (0..).zip(opened.records()) {
        let record = record?;
        match change(&mut cleaner, &record, batch.compacted) {
            Ok(None) => {}
            Ok(Some(change)) => {
                bytes += change.bytes();
                // A replacement may be longer than what it replaces.
                if bytes > STREAM_BOUNDS.bytes {
                    return Err(BadBatch::TooLarge.into());
                }
                changes.insert(index, change);
            }
            Err(reason) => refused.add(index, reason),
        }
        if cleaner.is_spent() {
            return Err(BadBatch::TooLarge.into());
        }
        if let Some(found) = cleaner.found() {
            // The offset deltas of what a producer sends count its records.
            subjects.take(index, &found)?;
        }
    }
    refused.finish()?;
    Ok(Looked { changes, subjects: subjects.finish(), report: GateReport::of(cleaner.counts()) })
}

/// What changes in a record.
fn change(
    cleaner: &mut Cleaner<'_>,
    record: &Record<'_>,
    keeps_key: bool,
) -> Result<Option<Change>, RecordRefusal> {
    let key = record.key.map_or(Ok(Cleaned::Same), |key| cleaner.key(key))?;
    if keeps_key && matches!(key, Cleaned::Changed(_)) {
        return Err(RecordRefusal::Key);
    }
    let value = record.value.map_or(Ok(Cleaned::Same), |value| cleaner.value(value))?;
    let headers = if record.headers.is_empty() { None } else { cleaner.headers(record.headers)? };
    let change = Change { key: key.changed(), value: value.changed(), headers };
    let is_same = change.key.is_none() && change.value.is_none() && change.headers.is_none();
    Ok((!is_same).then_some(change))
}

fn rebuilt(opened: &Opened, changes: &Changes) -> Result<Bytes, BadBatch> {
    let mut rebuild = Rebuild::new(opened.header())?;
    for (index, record) in (0..).zip(opened.records()) {
        let mut record = record?;
        if let Some(change) = changes.get(&index) {
            record.key = change.key.as_deref().or(record.key);
            record.value = change.value.as_deref().or(record.value);
            record.headers = change.headers.as_ref().map_or(record.headers, HeadersBuf::headers);
        }
        rebuild.push(&record);
        // It will be opened again.
        if rebuild.bytes() > STREAM_BOUNDS.bytes {
            return Err(BadBatch::TooLarge);
        }
    }
    rebuild.finish()
}

/// With these timestamps in its header; the same bytes where they stand there already.
fn stamped(bytes: Bytes, kind: TimestampType, timestamp: i64) -> Result<Bytes, BadBatch> {
    let header = Header::parse(&bytes)?;
    if header.timestamp_type() == kind && header.max_timestamp == timestamp {
        return Ok(bytes);
    }
    let mut own = BytesMut::from(bytes);
    set_max_timestamp(&mut own, kind, timestamp)?;
    Ok(own.freeze())
}
