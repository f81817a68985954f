//! Columns by their Arrow type.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Int32Array, Int64Array, ListArray, StringBuilder, TimestampMicrosecondArray,
    new_null_array,
};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType};

use super::bytes::{Budget, Reader, Validity, put_validity, put_varint, put_zigzag};
use super::{CodecError, map, text};
use crate::schema::list_item;

const ALL_NULL: u8 = 0;
const CONSTANT: u8 = 1;
const DELTAS: u8 = 2;

/// What an item of a list costs beside its text.
const ITEM_BYTES: usize = 5;

/// Writes a column; false for a type that no signal has.
pub(super) fn encode(column: &ArrayRef, out: &mut Vec<u8>) -> bool {
    let rows = column.len();
    match column.data_type() {
        DataType::Utf8 => {
            let values = column.as_string::<i32>();
            text::encode(rows, |row| values.is_valid(row).then(|| values.value(row)), out);
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            let values = column.as_primitive::<TimestampMicrosecondType>();
            encode_integers(rows, |row| values.is_valid(row).then(|| values.value(row)), out);
        }
        DataType::Int64 => {
            let values = column.as_primitive::<Int64Type>();
            encode_integers(rows, |row| values.is_valid(row).then(|| values.value(row)), out);
        }
        DataType::Int32 => {
            let values = column.as_primitive::<Int32Type>();
            encode_integers(rows, |row| values.is_valid(row).then(|| values.value(row).into()), out);
        }
        DataType::List(_) => return encode_list(column.as_list::<i32>(), out),
        DataType::Map(..) => return map::encode(column.as_map(), out),
        _ => return false,
    }
    true
}

/// Reads a column, or makes one of nulls where a batch does not have it.
pub(super) fn decode(
    data_type: &DataType,
    content: Option<&[u8]>,
    rows: usize,
    budget: &mut Budget,
) -> Result<ArrayRef, CodecError> {
    let Some(content) = content else { return Ok(new_null_array(data_type, rows)) };
    let mut reader = Reader::new(content);
    let column: ArrayRef = match data_type {
        DataType::Utf8 => {
            let values = text::decode(&mut reader, rows, budget)?;
            let mut builder = StringBuilder::with_capacity(rows, content.len());
            (0..rows).for_each(|row| builder.append_option(values.get(row)));
            Arc::new(builder.finish())
        }
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            let values: TimestampMicrosecondArray = decode_integers(&mut reader, rows)?.into();
            Arc::new(values.with_timezone_opt(zone.clone()))
        }
        DataType::Int64 => Arc::new(Int64Array::from(decode_integers(&mut reader, rows)?)),
        DataType::Int32 => {
            let narrow = |value: Option<i64>| value.map(i32::try_from).transpose();
            let values: Result<Vec<_>, _> =
                decode_integers(&mut reader, rows)?.into_iter().map(narrow).collect();
            Arc::new(Int32Array::from(values.map_err(|_| CodecError("a number is too large"))?))
        }
        DataType::List(_) => decode_list(&mut reader, rows, budget)?,
        DataType::Map(..) => map::decode(&mut reader, rows, budget)?,
        _ => return Err(CodecError("unknown type")),
    };
    if reader.is_empty() { Ok(column) } else { Err(CodecError("a column is too long")) }
}

fn encode_integers(rows: usize, get: impl Fn(usize) -> Option<i64>, out: &mut Vec<u8>) {
    let Some(first) = (0..rows).find_map(&get) else {
        out.push(ALL_NULL);
        return;
    };
    if (0..rows).all(|row| get(row) == Some(first)) {
        out.push(CONSTANT);
        put_zigzag(out, first);
        return;
    }
    out.push(DELTAS);
    put_validity(out, rows, |row| get(row).is_some());
    let mut before = 0_i64;
    for value in (0..rows).filter_map(&get) {
        // Wrapping, and undone by wrapping: any two numbers have a difference.
        put_zigzag(out, value.wrapping_sub(before));
        before = value;
    }
}

fn decode_integers(reader: &mut Reader<'_>, rows: usize) -> Result<Vec<Option<i64>>, CodecError> {
    match reader.u8()? {
        ALL_NULL => Ok(vec![None; rows]),
        CONSTANT => Ok(vec![Some(reader.zigzag()?); rows]),
        DELTAS => {
            let validity = Validity::read(reader, rows)?;
            let mut before = 0_i64;
            let mut next = || {
                before = before.wrapping_add(reader.zigzag()?);
                Ok(before)
            };
            (0..rows).map(|row| validity.get(row).then(&mut next).transpose()).collect()
        }
        _ => Err(CodecError("unknown form of numbers")),
    }
}

fn encode_list(column: &ListArray, out: &mut Vec<u8>) -> bool {
    let Some(items) = column.values().as_string_opt::<i32>() else { return false };
    let offsets = column.value_offsets();
    for row in offsets.windows(2) {
        if let &[start, end] = row {
            put_varint(out, (end - start) as u64);
        }
    }
    let first = offsets.first().copied().unwrap_or(0) as usize;
    let last = offsets.last().copied().unwrap_or(0) as usize;
    let get = |n: usize| items.is_valid(first + n).then(|| items.value(first + n));
    text::encode(last - first, get, out);
    true
}

fn decode_list(reader: &mut Reader<'_>, rows: usize, budget: &mut Budget) -> Result<ArrayRef, CodecError> {
    let mut offsets = Vec::with_capacity(rows + 1);
    let mut end = 0_usize;
    offsets.push(0);
    for _ in 0..rows {
        let count = reader.length()?;
        budget.spend(count.saturating_mul(ITEM_BYTES))?;
        end += count;
        offsets.push(i32::try_from(end).map_err(|_| CodecError("too large"))?);
    }
    let values = text::decode(reader, end, budget)?;
    let mut builder = StringBuilder::with_capacity(end, (end * 32).min(1 << 20));
    (0..end).for_each(|item| builder.append_option(values.get(item)));
    let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
    ListArray::try_new(list_item(), offsets, Arc::new(builder.finish()), None)
        .map(|list| Arc::new(list) as ArrayRef)
        .map_err(|_| CodecError("a list does not fit"))
}
