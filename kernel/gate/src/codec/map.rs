//! Maps of text: shapes, and one column a key.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, MapArray, StringArray, StringBuilder, StructArray};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};

use super::CodecError;
use super::bytes::{Budget, Reader, put_text, put_varint};
use super::text::{self, TextValues};
use crate::schema::{map_entries, map_fields};

/// What an entry of a map costs beside its text: two offsets and a bit.
const ENTRY_BYTES: usize = 9;

/// Text reserved ahead: more grows as it comes, so that a lying count reserves little.
const RESERVE_BYTES_MAX: usize = 1 << 20;

/// Writes a map column; false where it is not one of text to text.
pub(super) fn encode(column: &MapArray, out: &mut Vec<u8>) -> bool {
    let (Some(keys), Some(values)) =
        (column.keys().as_string_opt::<i32>(), column.values().as_string_opt::<i32>())
    else {
        return false;
    };
    let mut key_numbers: HashMap<&str, u32> = HashMap::new();
    let mut key_table: Vec<&str> = Vec::new();
    let mut key_places: Vec<Vec<u32>> = Vec::new();
    let mut shape_numbers: HashMap<Vec<u32>, u32> = HashMap::new();
    let mut shapes: Vec<Vec<u32>> = Vec::new();
    let mut row_shapes: Vec<u32> = Vec::with_capacity(column.len());
    let mut shape = Vec::new();
    for row in column.value_offsets().windows(2) {
        let &[start, end] = row else { continue };
        // Rows of one source have the same keys in the same order: the row before says most of them.
        let (last_number, last) = match row_shapes.last() {
            Some(number) => (*number, shapes.get(*number as usize).map_or(&[][..], Vec::as_slice)),
            None => (0, &[][..]),
        };
        shape.clear();
        for (place, nth) in (start..end).zip(0..) {
            let key = keys.value(place as usize);
            let guess = last.get::<usize>(nth).filter(|guess| key_table.get(**guess as usize) == Some(&key));
            let number = match guess {
                Some(number) => *number,
                None => *key_numbers.entry(key).or_insert_with(|| {
                    key_table.push(key);
                    key_places.push(Vec::new());
                    key_table.len() as u32 - 1
                }),
            };
            if let Some(places) = key_places.get_mut(number as usize) {
                places.push(place as u32);
            }
            shape.push(number);
        }
        let is_last = !row_shapes.is_empty() && shape == last;
        let known = if is_last { Some(last_number) } else { shape_numbers.get(&shape).copied() };
        let number = match known {
            Some(number) => number,
            None => {
                shapes.push(shape.clone());
                shape_numbers.insert(shape.clone(), shapes.len() as u32 - 1);
                shapes.len() as u32 - 1
            }
        };
        row_shapes.push(number);
    }
    put_varint(out, key_table.len() as u64);
    key_table.iter().for_each(|key| put_text(out, key));
    put_varint(out, shapes.len() as u64);
    for shape in &shapes {
        put_varint(out, shape.len() as u64);
        shape.iter().for_each(|key| put_varint(out, u64::from(*key)));
    }
    row_shapes.iter().for_each(|shape| put_varint(out, u64::from(*shape)));
    for places in &key_places {
        let get = |n: usize| {
            let place = *places.get(n)? as usize;
            values.is_valid(place).then(|| values.value(place))
        };
        text::encode(places.len(), get, out);
    }
    true
}

pub(super) fn decode(
    reader: &mut Reader<'_>,
    rows: usize,
    budget: &mut Budget,
) -> Result<ArrayRef, CodecError> {
    let key_count = reader.count()?;
    let keys = (0..key_count).map(|_| reader.text()).collect::<Result<Vec<_>, _>>()?;
    let shape_count = reader.count()?;
    let mut shapes: Vec<Vec<usize>> = Vec::with_capacity(shape_count);
    for _ in 0..shape_count {
        let length = reader.count()?;
        let shape = (0..length)
            .map(|_| match reader.length()? {
                key if key < key_count => Ok(key),
                _ => Err(CodecError("no such key")),
            })
            .collect::<Result<Vec<_>, _>>()?;
        shapes.push(shape);
    }
    let mut row_shapes = Vec::with_capacity(rows);
    let mut shape_uses = vec![0_usize; shape_count];
    for _ in 0..rows {
        let number = reader.length()?;
        *shape_uses.get_mut(number).ok_or(CodecError("no such shape"))? += 1;
        row_shapes.push(number);
    }
    let mut occurrences = vec![0_usize; key_count];
    let mut entry_count = 0_usize;
    for (shape, uses) in shapes.iter().zip(shape_uses) {
        let entries = shape.len().saturating_mul(uses);
        budget.spend(entries.saturating_mul(ENTRY_BYTES))?;
        entry_count += entries;
        for key in shape {
            let length = keys.get(*key).map_or(0, |key| key.len());
            budget.spend(length.saturating_mul(uses))?;
            if let Some(count) = occurrences.get_mut(*key) {
                *count += uses;
            }
        }
    }
    let columns = occurrences
        .iter()
        .map(|count| text::decode(reader, *count, budget))
        .collect::<Result<Vec<_>, _>>()?;
    assemble(&keys, &shapes, &row_shapes, &columns, entry_count)
}

fn assemble(
    keys: &[&str],
    shapes: &[Vec<usize>],
    row_shapes: &[usize],
    columns: &[TextValues<'_>],
    entry_count: usize,
) -> Result<ArrayRef, CodecError> {
    let mut key_builder =
        StringBuilder::with_capacity(entry_count, (entry_count * 16).min(RESERVE_BYTES_MAX));
    let mut value_builder =
        StringBuilder::with_capacity(entry_count, (entry_count * 16).min(RESERVE_BYTES_MAX));
    let mut offsets = Vec::with_capacity(row_shapes.len() + 1);
    let mut cursors = vec![0_usize; keys.len()];
    let mut end = 0_i32;
    offsets.push(end);
    for shape in row_shapes {
        for key in shapes.get(*shape).map_or(&[][..], Vec::as_slice) {
            let (Some(name), Some(column), Some(cursor)) =
                (keys.get(*key), columns.get(*key), cursors.get_mut(*key))
            else {
                return Err(CodecError("no such key"));
            };
            key_builder.append_value(name);
            value_builder.append_option(column.get(*cursor));
            *cursor += 1;
            end += 1;
        }
        offsets.push(end);
    }
    build(key_builder.finish(), value_builder.finish(), offsets).ok_or(CodecError("a map does not fit"))
}

/// A map column from its parts.
pub(crate) fn build(keys: StringArray, values: StringArray, offsets: Vec<i32>) -> Option<ArrayRef> {
    let entries = StructArray::try_new(map_fields(), vec![Arc::new(keys), Arc::new(values)], None).ok()?;
    let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
    let map = MapArray::try_new(map_entries(), offsets, entries, None, false).ok()?;
    Some(Arc::new(map))
}
