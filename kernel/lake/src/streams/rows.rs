//! Records to rows: batches of a topic opened, the ones that nobody is to read left out, values looked into.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use candor_gate::{STREAM_BOUNDS, ValuesMode};
use candor_log::{Aborted, Committed};
use candor_model::limits::RECORD_BYTES_MAX;
use candor_model::{Offset, ProjectId, Timestamp, TopicName, Value, json};
use candor_records::{Header, Marker, MarkerKind, Opened, Record, open};

use super::ValueDecoder;
use super::columns::{Shown, StreamTypes};
use super::piece::Rows;

/// What is made of batches at one go, bytes, but for a piece: they may have been compressed 250 times over, and a few
/// fields of each record may be many columns together.
const DECODED_BYTES: usize = 16 << 20;

/// What a value begins with that names its schema: a zero, then four bytes of its id (the Confluent wire format).
const SCHEMA_MAGIC: u8 = 0;

/// How the records of a topic are looked at.
#[derive(Clone)]
pub(crate) struct Decoding {
    pub(crate) project: ProjectId,
    pub(crate) topic: TopicName,
    pub(crate) values: ValuesMode,
    pub(crate) decoder: Option<Arc<dyn ValueDecoder>>,
}

/// Rows of a partition.
#[derive(Default)]
pub(crate) struct Decoded {
    /// Pieces of them in offset order, each with the time that the first came.
    pub(crate) pieces: Vec<(RecordBatch, Timestamp)>,
    /// Where to read on.
    pub(crate) next: Offset,
}

impl Decoding {
    /// What keys and values of a table are shown as that begins with these batches: what the topic says, else what most
    /// of them are. Blocks.
    pub(crate) fn types(&self, batches: &[Committed]) -> StreamTypes {
        let (mut keys, mut values) = (Vote::default(), Vote::default());
        for batch in batches {
            let Ok(opened) = open(&batch.batch, STREAM_BOUNDS) else { continue };
            if opened.header().is_control() {
                continue;
            }
            for record in opened.records().map_while(Result::ok) {
                keys.count(record.key.map(shown));
                values.count(record.value.map(|value| match self.by_schema(value) {
                    Some(_) => Shown::Text,
                    None => shown(value),
                }));
            }
        }
        match self.values {
            ValuesMode::Opaque => StreamTypes { key: Shown::Bytes, value: Shown::Bytes },
            ValuesMode::Json | ValuesMode::Text => StreamTypes { key: keys.won(), value: Shown::Text },
            ValuesMode::Auto | ValuesMode::Schema => StreamTypes { key: keys.won(), value: values.won() },
        }
    }

    /// Rows of batches from an offset on, to before another, for a table of these types and `known` fields. `aborted` are
    /// the transactions of which something lies there. Blocks.
    pub(crate) fn decode(
        &self,
        (types, known): (StreamTypes, HashSet<String>),
        batches: &[Committed],
        (from, until): (Offset, Offset),
        aborted: Vec<Aborted>,
    ) -> Result<Decoded, ArrowError> {
        let mut decoded = Decoded { pieces: Vec::new(), next: from };
        let mut readers = Readers { aborted: aborted.into(), skipped: HashSet::new() };
        let mut rows = Rows::new(types, Arc::new(known));
        let mut bytes = 0;
        for batch in batches.iter().take_while(|batch| batch.base < until) {
            if bytes + rows.bytes() >= DECODED_BYTES {
                break;
            }
            let end = Offset(batch.base.0 + u64::from(batch.count));
            if let Some(opened) = readers.opened(batch) {
                let mut subjects = batch.subjects.open();
                for record in opened.records() {
                    let Ok(record) = record else {
                        warn_of(batch, "a record of a batch cannot be read");
                        break;
                    };
                    let delta = u32::try_from(record.offset_delta).unwrap_or(0);
                    let offset = Offset(batch.base.0 + u64::from(delta));
                    if offset < from || offset >= end {
                        continue;
                    }
                    let (text, value) = self.opened(types, &record);
                    if rows.has_no_room_for(value.as_ref()) {
                        bytes += rows.bytes();
                        decoded.pieces.extend(rows.finish()?);
                        if bytes >= DECODED_BYTES {
                            decoded.next = offset;
                            return Ok(decoded);
                        }
                    }
                    let time = time_of(opened.header(), &record, batch.ingested_at);
                    let value = (text.as_deref().or(record.value), value);
                    rows.push(batch, (offset, time), &record, value, &subjects.of(delta));
                }
            }
            decoded.next = end.max(decoded.next);
        }
        decoded.pieces.extend(rows.finish()?);
        Ok(decoded)
    }

    /// What a record's value says, and the text that stands for it where it is not itself shown.
    fn opened(&self, types: StreamTypes, record: &Record<'_>) -> (Option<Vec<u8>>, Option<Value>) {
        let Some(value) = record.value else { return (None, None) };
        match self.by_schema(value) {
            Some(said) => {
                let is_text = types.value == Shown::Text;
                (is_text.then(|| json::to_string(&said).into_bytes()), Some(said))
            }
            None => (None, self.as_json(value)),
        }
    }

    /// A value that names its schema, where somebody knows that.
    fn by_schema(&self, value: &[u8]) -> Option<Value> {
        let decoder = self.decoder.as_ref()?;
        let may = matches!(self.values, ValuesMode::Auto | ValuesMode::Schema);
        (may && value.len() >= 5 && value.first() == Some(&SCHEMA_MAGIC))
            .then(|| decoder.decode(self.project, &self.topic, value))
            .flatten()
    }

    /// A value that is an object of JSON, where values may be opened as such.
    fn as_json(&self, value: &[u8]) -> Option<Value> {
        let may = matches!(self.values, ValuesMode::Auto | ValuesMode::Json);
        let is_object = value.trim_ascii_start().first() == Some(&b'{');
        (may && is_object && value.len() <= RECORD_BYTES_MAX)
            .then(|| json::parse(value, json::Leniency::LENIENT).ok())
            .flatten()
    }
}

/// How many of some keys or values are text, and how many are not.
#[derive(Default)]
struct Vote {
    text: usize,
    bytes: usize,
}

impl Vote {
    fn count(&mut self, shown: Option<Shown>) {
        match shown {
            Some(Shown::Text) => self.text += 1,
            Some(Shown::Bytes) => self.bytes += 1,
            None => {}
        }
    }

    fn won(&self) -> Shown {
        if self.bytes > self.text { Shown::Bytes } else { Shown::Text }
    }
}

fn warn_of(batch: &Committed, what: &str) {
    tracing::warn!(
        project = %batch.topic.project, topic = %batch.topic.name, offset = %batch.base,
        "{what}: the table lacks it"
    );
}

/// What bytes are best shown as: text that is UTF-8 without control characters but those that text has.
fn shown(bytes: &[u8]) -> Shown {
    let is_control = |byte: &u8| *byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r' | 0x1b | 0x01);
    if bytes.iter().any(is_control) || std::str::from_utf8(bytes).is_err() {
        Shown::Bytes
    } else {
        Shown::Text
    }
}

/// A record's time, µs; where its producer gave none, when the log took it.
fn time_of(header: &Header, record: &Record<'_>, ingested_at: Timestamp) -> i64 {
    match record.timestamp(header) {
        -1 => ingested_at.0,
        milliseconds => milliseconds.saturating_mul(1000),
    }
}

/// Which batches are for readers of what is committed (KIP-98): as a consumer does it, from the first offset of each
/// aborted transaction to its marker.
struct Readers {
    aborted: VecDeque<Aborted>,
    skipped: HashSet<i64>,
}

impl Readers {
    /// The batch, opened, if its records are to be read.
    fn opened(&mut self, batch: &Committed) -> Option<Opened> {
        let opened = match open(&batch.batch, STREAM_BOUNDS) {
            Ok(opened) => opened,
            Err(_) => {
                warn_of(batch, "a batch cannot be opened");
                return None;
            }
        };
        let header = opened.header();
        let end = batch.base.0 + u64::from(batch.count);
        while let Some(aborted) = self.aborted.pop_front_if(|aborted| aborted.first_offset.0 < end) {
            self.skipped.insert(aborted.producer_id);
        }
        if header.is_control() {
            let marker = opened.records().next().and_then(Result::ok);
            let marker = marker.and_then(|record| Marker::read(&record));
            if marker.is_some_and(|marker| marker.kind == MarkerKind::Abort) {
                self.skipped.remove(&header.producer_id);
            }
            return None;
        }
        (!header.is_transactional() || !self.skipped.contains(&header.producer_id)).then_some(opened)
    }
}
