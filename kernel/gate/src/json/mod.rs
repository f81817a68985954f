//! Rows as JSON: integers beyond 2^53 and decimals as strings, times RFC 3339 in UTC, binary base64, NaN null, maps
//! and structs as objects, lists as arrays. The one way in which rows are shown as JSON: queries, the live tail, and
//! what Kafka clients read of signals.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{
    DataType, Date32Type, Date64Type, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, SchemaRef, Time32MillisecondType, Time32SecondType, Time64MicrosecondType,
    Time64NanosecondType, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};

pub mod time;

/// Beyond this, JavaScript's numbers are no longer exact.
const EXACT_MAX: u64 = 1 << 53;

/// Writes rows of one schema as JSON.
pub struct JsonRows {
    /// Every column's name with the comma before and the colon after.
    keys: Vec<Vec<u8>>,
}

impl JsonRows {
    /// For batches of this schema.
    pub fn new(schema: &SchemaRef) -> JsonRows {
        let keys = schema.fields().iter().enumerate().map(|(at, field)| {
            let mut key = if at == 0 { Vec::new() } else { vec![b','] };
            string(field.name(), &mut key);
            key.push(b':');
            key
        });
        JsonRows { keys: keys.collect() }
    }

    /// A batch made ready to write its rows.
    pub fn batch<'a>(&'a self, batch: &'a RecordBatch) -> JsonBatch<'a> {
        JsonBatch { keys: &self.keys, cells: batch.columns().iter().map(Cell::new).collect() }
    }

    /// Appends row `row` of `batch` as an object with every column.
    pub fn object(&self, batch: &RecordBatch, row: usize, out: &mut Vec<u8>) {
        self.batch(batch).object(row, out);
    }

    /// Appends row `row` of `batch` as an array.
    pub fn array(&self, batch: &RecordBatch, row: usize, out: &mut Vec<u8>) {
        self.batch(batch).array(row, out);
    }
}

/// A batch made ready to write its rows.
pub struct JsonBatch<'a> {
    keys: &'a [Vec<u8>],
    cells: Vec<Cell<'a>>,
}

impl JsonBatch<'_> {
    /// Appends a row as an object with every column.
    pub fn object(&self, row: usize, out: &mut Vec<u8>) {
        out.push(b'{');
        for (key, cell) in self.keys.iter().zip(&self.cells) {
            out.extend_from_slice(key);
            cell.write(row, out);
        }
        out.push(b'}');
    }

    /// Appends a row as an array.
    pub fn array(&self, row: usize, out: &mut Vec<u8>) {
        out.push(b'[');
        for (at, cell) in self.cells.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            cell.write(row, out);
        }
        out.push(b']');
    }
}

/// A string in quotes.
pub fn string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut plain = 0;
    for (at, byte) in bytes.iter().enumerate() {
        let escape: &[u8] = match byte {
            b'"' => b"\\\"",
            b'\\' => b"\\\\",
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            b'\t' => b"\\t",
            0x00..=0x1f | 0x7f => b"",
            _ => continue,
        };
        out.extend_from_slice(&bytes[plain..at]);
        plain = at + 1;
        if escape.is_empty() {
            out.extend_from_slice(format!("\\u{byte:04x}").as_bytes());
        } else {
            out.extend_from_slice(escape);
        }
    }
    out.extend_from_slice(&bytes[plain..]);
    out.push(b'"');
}

/// A column of a batch, or the values inside one, ready to be written.
pub struct Cell<'a> {
    array: &'a ArrayRef,
    inside: Vec<Cell<'a>>,
    formatter: Option<ArrayFormatter<'a>>,
}

impl<'a> Cell<'a> {
    /// Of this column.
    pub fn new(array: &'a ArrayRef) -> Cell<'a> {
        let inside = match array.data_type() {
            DataType::List(_) => vec![Cell::new(array.as_list::<i32>().values())],
            DataType::LargeList(_) => vec![Cell::new(array.as_list::<i64>().values())],
            DataType::FixedSizeList(_, _) => vec![Cell::new(array.as_fixed_size_list().values())],
            DataType::Map(_, _) => {
                let map = array.as_map();
                vec![Cell::new(map.keys()), Cell::new(map.values())]
            }
            DataType::Struct(_) => array.as_struct().columns().iter().map(Cell::new).collect(),
            DataType::Dictionary(_, _) => match array.as_any_dictionary_opt() {
                Some(dictionary) => vec![Cell::new(dictionary.values())],
                None => Vec::new(),
            },
            _ => Vec::new(),
        };
        let formatter = match array.data_type() {
            DataType::Decimal32(..)
            | DataType::Decimal64(..)
            | DataType::Decimal128(..)
            | DataType::Decimal256(..)
            | DataType::Duration(_)
            | DataType::Interval(_)
            | DataType::Union(..)
            | DataType::RunEndEncoded(..)
            | DataType::ListView(_)
            | DataType::LargeListView(_) => {
                ArrayFormatter::try_new(array.as_ref(), &FormatOptions::new()).ok()
            }
            _ => None,
        };
        Cell { array, inside, formatter }
    }

    /// Appends the value as JSON.
    pub fn write(&self, row: usize, out: &mut Vec<u8>) {
        let array = self.array;
        if array.is_null(row) {
            out.extend_from_slice(b"null");
            return;
        }
        match array.data_type() {
            DataType::Null => out.extend_from_slice(b"null"),
            DataType::Boolean => {
                out.extend_from_slice(if array.as_boolean().value(row) { b"true" } else { b"false" });
            }
            DataType::Int8 => int(i64::from(array.as_primitive::<Int8Type>().value(row)), out),
            DataType::Int16 => int(i64::from(array.as_primitive::<Int16Type>().value(row)), out),
            DataType::Int32 => int(i64::from(array.as_primitive::<Int32Type>().value(row)), out),
            DataType::Int64 => int(array.as_primitive::<Int64Type>().value(row), out),
            DataType::UInt8 => uint(u64::from(array.as_primitive::<UInt8Type>().value(row)), out),
            DataType::UInt16 => uint(u64::from(array.as_primitive::<UInt16Type>().value(row)), out),
            DataType::UInt32 => uint(u64::from(array.as_primitive::<UInt32Type>().value(row)), out),
            DataType::UInt64 => uint(array.as_primitive::<UInt64Type>().value(row), out),
            DataType::Float16 => float(array.as_primitive::<Float16Type>().value(row).to_f64(), out),
            DataType::Float32 => {
                let value = array.as_primitive::<Float32Type>().value(row);
                // A single's own digits: 0.1, not 0.10000000149011612.
                if value.is_finite() { put(out, &format!("{value:?}")) } else { float(f64::NAN, out) }
            }
            DataType::Float64 => float(array.as_primitive::<Float64Type>().value(row), out),
            DataType::Utf8 => string(array.as_string::<i32>().value(row), out),
            DataType::LargeUtf8 => string(array.as_string::<i64>().value(row), out),
            DataType::Utf8View => string(array.as_string_view().value(row), out),
            DataType::Binary => base64(array.as_binary::<i32>().value(row), out),
            DataType::LargeBinary => base64(array.as_binary::<i64>().value(row), out),
            DataType::BinaryView => base64(array.as_binary_view().value(row), out),
            DataType::FixedSizeBinary(_) => base64(array.as_fixed_size_binary().value(row), out),
            DataType::Timestamp(unit, _) => {
                let micros = match unit {
                    TimeUnit::Second => {
                        array.as_primitive::<TimestampSecondType>().value(row).saturating_mul(1_000_000)
                    }
                    TimeUnit::Millisecond => {
                        array.as_primitive::<TimestampMillisecondType>().value(row).saturating_mul(1000)
                    }
                    TimeUnit::Microsecond => array.as_primitive::<TimestampMicrosecondType>().value(row),
                    TimeUnit::Nanosecond => {
                        array.as_primitive::<TimestampNanosecondType>().value(row).div_euclid(1000)
                    }
                };
                quoted(out, |out| time::timestamp(out, micros));
            }
            DataType::Date32 => {
                let days = i64::from(array.as_primitive::<Date32Type>().value(row));
                quoted(out, |out| time::date(out, days));
            }
            DataType::Date64 => {
                let days = array.as_primitive::<Date64Type>().value(row).div_euclid(86_400_000);
                quoted(out, |out| time::date(out, days));
            }
            DataType::Time32(unit) => {
                let micros = match unit {
                    TimeUnit::Second => {
                        i64::from(array.as_primitive::<Time32SecondType>().value(row)) * 1_000_000
                    }
                    _ => i64::from(array.as_primitive::<Time32MillisecondType>().value(row)) * 1000,
                };
                quoted(out, |out| time::time(out, micros));
            }
            DataType::Time64(unit) => {
                let micros = match unit {
                    TimeUnit::Microsecond => array.as_primitive::<Time64MicrosecondType>().value(row),
                    _ => array.as_primitive::<Time64NanosecondType>().value(row) / 1000,
                };
                quoted(out, |out| time::time(out, micros));
            }
            DataType::List(_) => {
                let offsets = array.as_list::<i32>().value_offsets();
                self.items(offsets[row] as usize..offsets[row + 1] as usize, out);
            }
            DataType::LargeList(_) => {
                let offsets = array.as_list::<i64>().value_offsets();
                self.items(offsets[row] as usize..offsets[row + 1] as usize, out);
            }
            DataType::FixedSizeList(_, length) => {
                let length = usize::try_from(*length).unwrap_or(0);
                let start = array.as_fixed_size_list().value_offset(row) as usize;
                self.items(start..start + length, out);
            }
            DataType::Map(_, _) => {
                let offsets = array.as_map().value_offsets();
                self.members(offsets[row] as usize..offsets[row + 1] as usize, out);
            }
            DataType::Struct(fields) => {
                out.push(b'{');
                for (at, (field, cell)) in fields.iter().zip(&self.inside).enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    string(field.name(), out);
                    out.push(b':');
                    cell.write(row, out);
                }
                out.push(b'}');
            }
            DataType::Dictionary(_, _) => {
                let key = array.as_any_dictionary_opt().map(|dictionary| dictionary.normalized_keys()[row]);
                match (key, self.inside.first()) {
                    (Some(key), Some(values)) => values.write(key, out),
                    _ => out.extend_from_slice(b"null"),
                }
            }
            _ => match &self.formatter {
                Some(formatter) => string(&formatter.value(row).to_string(), out),
                None => out.extend_from_slice(b"null"),
            },
        }
    }

    fn items(&self, range: std::ops::Range<usize>, out: &mut Vec<u8>) {
        out.push(b'[');
        let start = range.start;
        if let Some(values) = self.inside.first() {
            for at in range {
                if at > start {
                    out.push(b',');
                }
                values.write(at, out);
            }
        }
        out.push(b']');
    }

    fn members(&self, range: std::ops::Range<usize>, out: &mut Vec<u8>) {
        out.push(b'{');
        let start = range.start;
        if let [keys, values] = self.inside.as_slice() {
            for at in range {
                if at > start {
                    out.push(b',');
                }
                let mut key = Vec::new();
                keys.write(at, &mut key);
                // A member's name is a string, whatever the key's type.
                if key.first() == Some(&b'"') {
                    out.extend_from_slice(&key);
                } else {
                    string(&String::from_utf8_lossy(&key), out);
                }
                out.push(b':');
                values.write(at, out);
            }
        }
        out.push(b'}');
    }
}

fn put(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

fn quoted(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    out.push(b'"');
    write(out);
    out.push(b'"');
}

fn int(value: i64, out: &mut Vec<u8>) {
    if value.unsigned_abs() > EXACT_MAX {
        put(out, &format!("\"{value}\""))
    } else {
        put(out, &value.to_string())
    }
}

fn uint(value: u64, out: &mut Vec<u8>) {
    if value > EXACT_MAX { put(out, &format!("\"{value}\"")) } else { put(out, &value.to_string()) }
}

fn float(value: f64, out: &mut Vec<u8>) {
    if value.is_finite() { put(out, &format!("{value:?}")) } else { out.extend_from_slice(b"null") }
}

fn base64(bytes: &[u8], out: &mut Vec<u8>) {
    quoted(out, |out| put(out, &data_encoding::BASE64.encode(bytes)));
}
