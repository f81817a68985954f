//! Rows under construction: what is pushed becomes columns, a piece at a time, within bounds.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, Float64Builder, Int32Array, Int64Array, Int64Builder, ListArray,
    MapArray, StringBuilder, StructArray, TimestampMicrosecondArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, FieldRef, Schema};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use candor_log::Committed;
use candor_model::{Object, Offset, Timestamp, Value};
use candor_records::Record;

use super::columns::{FIELD_PREFIX, FIELDS_MAX, Shown, StreamTypes, is_column, stream_schema, wider};

/// A piece of so many rows is ended: what the engine works on at once.
const PIECE_ROWS: usize = 8192;

/// Nor does a piece grow beyond this by more than a record, bytes.
const PIECE_BYTES: usize = 4 << 20;

/// What a row takes beside what varies in length: its numbers, and where its texts begin.
const ROW_BYTES: usize = 64;

/// What a row takes in a column of a field, whether it has the field or not.
pub(crate) const CELL_BYTES: usize = 8;

/// Rows under construction.
pub(super) struct Rows {
    pub(super) types: StreamTypes,
    partitions: Vec<i32>,
    offsets: Vec<i64>,
    times: Vec<i64>,
    keys: Parts,
    values: Parts,
    header_names: StringBuilder,
    header_values: StringBuilder,
    header_ends: Vec<i32>,
    subject: StringBuilder,
    subjects: StringBuilder,
    subject_ends: Vec<i32>,
    ingested: Vec<i64>,
    epochs: Vec<i32>,
    fields: BTreeMap<String, Members>,
    /// Of which the table has no column yet.
    unknown: usize,
    /// The fields that the table has columns of. They have a place in every piece, whatever else is in it.
    known: Arc<HashSet<String>>,
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
    pub(super) fn new(types: StreamTypes, known: Arc<HashSet<String>>) -> Rows {
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
            subject: StringBuilder::new(),
            subjects: StringBuilder::new(),
            subject_ends: vec![0],
            ingested: Vec::new(),
            epochs: Vec::new(),
            fields: BTreeMap::new(),
            unknown: 0,
            known,
            bytes: 0,
        }
    }

    /// True where the next record is to begin another piece: with its fields, each of which is a column with a cell for
    /// every row, the piece would grow beyond its bounds.
    pub(super) fn has_no_room_for(&self, opened: Option<&Value>) -> bool {
        let rows = self.offsets.len();
        if rows == 0 {
            return false;
        }
        let is_over = |fields: usize| {
            self.bytes.saturating_add((rows + 1) * fields.min(FIELDS_MAX) * CELL_BYTES) > PIECE_BYTES
        };
        let members = opened.and_then(Value::as_object);
        let most = self.fields.len() + members.map_or(0, Object::len);
        rows >= PIECE_ROWS
            || is_over(self.fields.len())
            || is_over(most)
                && is_over(self.fields.len() + members.map_or(0, |members| self.unknown(members)))
    }

    /// How many members have no column yet.
    fn unknown(&self, members: &Object) -> usize {
        members.iter().filter(|(name, _)| !self.fields.contains_key(*name)).count()
    }

    /// What the piece takes so far, bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes + self.offsets.len() * self.fields.len() * CELL_BYTES
    }

    /// Adds whom the next row is about.
    fn add_subjects(&mut self, codes: &[&str]) {
        self.subject.append_option(codes.first());
        codes.iter().for_each(|code| self.subjects.append_value(code));
        self.subject_ends.push(arrow::array::ArrayBuilder::len(&self.subjects) as i32);
        self.bytes += codes.iter().map(|code| 2 * code.len() + 8).sum::<usize>();
    }

    /// Adds a row about these persons.
    pub(super) fn push(
        &mut self,
        batch: &Committed,
        (offset, time): (Offset, i64),
        record: &Record<'_>,
        (value, opened): (Option<&[u8]>, Option<Value>),
        codes: &[&str],
    ) {
        self.add_subjects(codes);
        let row = self.offsets.len();
        self.partitions.push(batch.partition.0 as i32);
        self.offsets.push(offset.0 as i64);
        self.times.push(time);
        self.ingested.push(batch.ingested_at.0);
        self.epochs.push(batch.epoch.0 as i32);
        self.keys.push(record.key);
        self.values.push(value);
        let mut bytes = ROW_BYTES + record.key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len);
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
                // Nested values stand as JSON, and as that they take what their text does.
                let value = match value {
                    Value::Array(_) | Value::Object(_) => Value::Str(value.to_text()),
                    other => other,
                };
                bytes += std::mem::size_of::<(usize, Value)>() + value.as_str().map_or(0, str::len);
                if let Some(members) = self.fields.get_mut(&name) {
                    members.push(row, value);
                } else {
                    if !self.known.contains(&name) {
                        if self.known.len() + self.unknown >= FIELDS_MAX {
                            continue;
                        }
                        self.unknown += 1;
                    }
                    let kind = kind_of(&value);
                    self.fields.insert(name, Members { kind, seen: vec![(row, value)] });
                }
            }
        }
        self.bytes += bytes;
    }

    /// The rows so far, if there are any, and when the first came.
    pub(super) fn finish(&mut self) -> Result<Option<(RecordBatch, Timestamp)>, ArrowError> {
        let Some(since) = self.ingested.first().copied() else { return Ok(None) };
        let mut rows = std::mem::replace(self, Rows::new(self.types, Arc::clone(&self.known)));
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
            Arc::new(rows.subject.finish()),
            list(base.field(7), rows.subject_ends, &mut rows.subjects)?,
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

fn list(field: &Field, ends: Vec<i32>, items: &mut StringBuilder) -> Result<ArrayRef, ArrowError> {
    let DataType::List(item) = field.data_type() else {
        return Err(ArrowError::SchemaError("subjects are no list".to_owned()));
    };
    let ends = OffsetBuffer::new(ends.into());
    Ok(Arc::new(ListArray::try_new(Arc::clone(item), ends, Arc::new(items.finish()), None)?))
}
