//! Records to rows: batches of a topic opened, the ones that nobody is to read left out, values looked into.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, Float64Builder, Int32Array, Int64Array, Int64Builder, ListArray,
    MapArray, StringArray, StringBuilder, StructArray, TimestampMicrosecondArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, FieldRef, Schema};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use candor_gate::{STREAM_BOUNDS, ValuesMode};
use candor_log::{Aborted, Committed};
use candor_model::limits::RECORD_BYTES_MAX;
use candor_model::{Offset, ProjectId, Timestamp, TopicName, Value, json};
use candor_records::{Header, Marker, MarkerKind, Opened, Record, open};

use super::ValueDecoder;
use super::columns::{FIELD_PREFIX, FIELDS_MAX, Shown, StreamTypes, is_column, stream_schema, wider};

/// A piece of so many rows is ended: what the engine works on at once.
const PIECE_ROWS: usize = 8192;

/// Nor does a piece grow beyond this by more than a record, bytes.
const PIECE_BYTES: usize = 4 << 20;

/// What is made of batches at one go, bytes: they may have been compressed 250 times over.
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

    /// Rows of batches from an offset on, to before another. `aborted` are the transactions of which something lies
    /// there. Blocks.
    pub(crate) fn decode(
        &self,
        types: StreamTypes,
        batches: &[Committed],
        (from, until): (Offset, Offset),
        aborted: Vec<Aborted>,
    ) -> Result<Decoded, ArrowError> {
        let mut decoded = Decoded { pieces: Vec::new(), next: from };
        let mut readers = Readers { aborted: aborted.into(), skipped: HashSet::new() };
        let mut rows = Rows::new(types);
        let mut bytes = 0;
        for batch in batches.iter().take_while(|batch| batch.base < until) {
            if bytes >= DECODED_BYTES {
                break;
            }
            let end = Offset(batch.base.0 + u64::from(batch.count));
            if let Some(opened) = readers.opened(batch) {
                for record in opened.records() {
                    let Ok(record) = record else {
                        warn_of(batch, "a record of a batch cannot be read");
                        break;
                    };
                    let delta = u64::try_from(record.offset_delta).unwrap_or(0);
                    let offset = Offset(batch.base.0 + delta);
                    if offset < from || offset >= end {
                        continue;
                    }
                    bytes += self.push(&mut rows, opened.header(), batch, offset, &record);
                    if rows.is_full() {
                        decoded.pieces.extend(rows.finish()?);
                    }
                }
            }
            decoded.next = end.max(decoded.next);
        }
        decoded.pieces.extend(rows.finish()?);
        Ok(decoded)
    }

    fn push(
        &self,
        rows: &mut Rows,
        header: &Header,
        batch: &Committed,
        offset: Offset,
        record: &Record<'_>,
    ) -> usize {
        let by_schema = record.value.and_then(|value| self.by_schema(value));
        let opened = match &by_schema {
            Some(_) => by_schema.clone(),
            None => record.value.and_then(|value| self.as_json(value)),
        };
        let value = by_schema.map(|value| json::to_string(&value).into_bytes());
        let value = match rows.types.value {
            Shown::Text => value.as_deref().or(record.value),
            Shown::Bytes => record.value,
        };
        rows.push(batch, offset, time_of(header, record, batch.ingested_at), record, value, opened)
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

/// Rows under construction.
struct Rows {
    types: StreamTypes,
    partitions: Vec<i32>,
    offsets: Vec<i64>,
    times: Vec<i64>,
    keys: Parts,
    values: Parts,
    header_names: StringBuilder,
    header_values: StringBuilder,
    header_ends: Vec<i32>,
    ingested: Vec<i64>,
    epochs: Vec<i32>,
    fields: BTreeMap<String, Members>,
    bytes: usize,
}

/// Keys or values.
enum Parts {
    Text(StringBuilder),
    Bytes(BinaryBuilder),
}

impl Parts {
    fn new(shown: Shown) -> Parts {
        match shown {
            Shown::Text => Parts::Text(StringBuilder::new()),
            Shown::Bytes => Parts::Bytes(BinaryBuilder::new()),
        }
    }

    fn push(&mut self, bytes: Option<&[u8]>) {
        match self {
            Parts::Text(builder) => append_text(builder, bytes),
            Parts::Bytes(builder) => builder.append_option(bytes),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Parts::Text(builder) => Arc::new(builder.finish()),
            Parts::Bytes(builder) => Arc::new(builder.finish()),
        }
    }
}

/// Bytes as text: themselves where they are UTF-8, else `\x` and hexadecimal digits.
fn append_text(builder: &mut StringBuilder, bytes: Option<&[u8]>) {
    match bytes.map(|bytes| (std::str::from_utf8(bytes), bytes)) {
        None => builder.append_null(),
        Some((Ok(text), _)) => builder.append_value(text),
        Some((Err(_), bytes)) => {
            builder.append_value(format!("\\x{}", data_encoding::HEXLOWER.encode(bytes)));
        }
    }
}

/// What was seen of a field, by row.
struct Members {
    kind: DataType,
    seen: Vec<(usize, Value)>,
}

fn kind_of(value: &Value) -> DataType {
    match value {
        Value::Bool(_) => DataType::Boolean,
        Value::Int(_) => DataType::Int64,
        Value::Float(_) => DataType::Float64,
        _ => DataType::Utf8,
    }
}

impl Members {
    fn push(&mut self, row: usize, value: Value) {
        self.kind = wider(&self.kind, &kind_of(&value));
        // Of several members of one name the last counts.
        match self.seen.last_mut() {
            Some((last, seen)) if *last == row => *seen = value,
            _ => self.seen.push((row, value)),
        }
    }

    fn finish(self, rows: usize) -> ArrayRef {
        let mut seen = self.seen.into_iter().peekable();
        let values = (0..rows).map(|row| seen.next_if(|(at, _)| *at == row).map(|(_, value)| value));
        match self.kind {
            DataType::Boolean => {
                let mut builder = BooleanBuilder::with_capacity(rows);
                values.for_each(|value| {
                    builder.append_option(value.and_then(|value| match value {
                        Value::Bool(flag) => Some(flag),
                        _ => None,
                    }));
                });
                Arc::new(builder.finish())
            }
            DataType::Int64 => {
                let mut builder = Int64Builder::with_capacity(rows);
                values.for_each(|value| builder.append_option(value.and_then(|value| value.as_i64())));
                Arc::new(builder.finish())
            }
            DataType::Float64 => {
                let mut builder = Float64Builder::with_capacity(rows);
                values.for_each(|value| builder.append_option(value.and_then(|value| value.as_f64())));
                Arc::new(builder.finish())
            }
            _ => {
                let mut builder = StringBuilder::with_capacity(rows, 0);
                values.for_each(|value| builder.append_option(value.map(|value| value.to_text())));
                Arc::new(builder.finish())
            }
        }
    }
}

impl Rows {
    fn new(types: StreamTypes) -> Rows {
        Rows {
            types,
            partitions: Vec::new(),
            offsets: Vec::new(),
            times: Vec::new(),
            keys: Parts::new(types.key),
            values: Parts::new(types.value),
            header_names: StringBuilder::new(),
            header_values: StringBuilder::new(),
            header_ends: vec![0],
            ingested: Vec::new(),
            epochs: Vec::new(),
            fields: BTreeMap::new(),
            bytes: 0,
        }
    }

    fn is_full(&self) -> bool {
        self.offsets.len() >= PIECE_ROWS || self.bytes >= PIECE_BYTES
    }

    /// Adds a row; gives what it takes, bytes.
    fn push(
        &mut self,
        batch: &Committed,
        offset: Offset,
        time: i64,
        record: &Record<'_>,
        value: Option<&[u8]>,
        opened: Option<Value>,
    ) -> usize {
        let row = self.offsets.len();
        self.partitions.push(batch.partition.0 as i32);
        self.offsets.push(offset.0 as i64);
        self.times.push(time);
        self.ingested.push(batch.ingested_at.0);
        self.epochs.push(batch.epoch.0 as i32);
        self.keys.push(record.key);
        self.values.push(value);
        let mut bytes = 64 + record.key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len);
        // A map has each name once: of several headers the last counts.
        let headers: Vec<_> = record.headers.iter().collect();
        let mut names = HashSet::new();
        let mut kept: Vec<_> = headers.into_iter().rev().filter(|(name, _)| names.insert(*name)).collect();
        kept.reverse();
        for (name, value) in kept {
            append_text(&mut self.header_names, Some(name));
            append_text(&mut self.header_values, value);
            bytes += 16 + name.len() + value.map_or(0, <[u8]>::len);
        }
        self.header_ends.push(arrow::array::ArrayBuilder::len(&self.header_names) as i32);
        if let Some(Value::Object(members)) = opened {
            for (name, value) in members.0 {
                if value.is_null() || !is_column(&name) {
                    continue;
                }
                bytes += 32;
                if let Some(members) = self.fields.get_mut(&name) {
                    members.push(row, value);
                } else if self.fields.len() < FIELDS_MAX {
                    let kind = kind_of(&value);
                    self.fields.insert(name, Members { kind, seen: vec![(row, value)] });
                }
            }
        }
        self.bytes += bytes;
        bytes
    }

    /// The rows so far, if there are any, and when the first came.
    fn finish(&mut self) -> Result<Option<(RecordBatch, Timestamp)>, ArrowError> {
        let Some(since) = self.ingested.first().copied() else { return Ok(None) };
        let mut rows = std::mem::replace(self, Rows::new(self.types));
        let count = rows.offsets.len();
        let base = stream_schema(rows.types);
        let times = |times: Vec<i64>| Arc::new(TimestampMicrosecondArray::from(times).with_timezone("UTC"));
        let offsets: ArrayRef = Arc::new(Int64Array::from(rows.offsets));
        let partitions: ArrayRef = Arc::new(Int32Array::from(rows.partitions));
        let mut arrays: Vec<ArrayRef> = vec![
            Arc::clone(&partitions),
            Arc::clone(&offsets),
            times(rows.times),
            rows.keys.finish(),
            rows.values.finish(),
            headers(base.field(5), rows.header_ends, &mut rows.header_names, &mut rows.header_values)?,
            arrow::array::new_null_array(&DataType::Utf8, count),
            no_subjects(base.field(7), count)?,
            times(rows.ingested),
            partitions,
            offsets,
            Arc::new(Int32Array::from(rows.epochs)),
        ];
        let mut fields: Vec<FieldRef> = base.fields().iter().cloned().collect();
        for (name, members) in rows.fields {
            let array = members.finish(count);
            let name = format!("{FIELD_PREFIX}{name}");
            fields.push(Arc::new(Field::new(name, array.data_type().clone(), true)));
            arrays.push(array);
        }
        let piece = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)?;
        Ok(Some((piece, Timestamp(since))))
    }
}

fn headers(
    field: &Field,
    ends: Vec<i32>,
    names: &mut StringBuilder,
    values: &mut StringBuilder,
) -> Result<ArrayRef, ArrowError> {
    let wrong = || ArrowError::SchemaError("headers are no map".to_owned());
    let DataType::Map(entries, sorted) = field.data_type() else { return Err(wrong()) };
    let DataType::Struct(pair) = entries.data_type() else { return Err(wrong()) };
    let arrays: Vec<ArrayRef> = vec![Arc::new(names.finish()), Arc::new(values.finish())];
    let pairs = StructArray::try_new(pair.clone(), arrays, None)?;
    let ends = OffsetBuffer::new(ends.into());
    Ok(Arc::new(MapArray::try_new(Arc::clone(entries), ends, pairs, None, *sorted)?))
}

fn no_subjects(field: &Field, rows: usize) -> Result<ArrayRef, ArrowError> {
    let DataType::List(item) = field.data_type() else {
        return Err(ArrowError::SchemaError("subjects are no list".to_owned()));
    };
    let none = Arc::new(StringArray::from(Vec::<Option<&str>>::new()));
    let ends = OffsetBuffer::new(vec![0; rows + 1].into());
    Ok(Arc::new(ListArray::try_new(Arc::clone(item), ends, none, None)?))
}
