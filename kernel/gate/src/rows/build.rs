//! Builders of columns, one value a row.

use std::fmt::Write;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Builder, ListArray, StringBuilder, TimestampMicrosecondBuilder};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use candor_model::{EventTime, Timestamp, Value, json};

use crate::codec::build_map;
use crate::schema::list_item;

/// The years -9999 to 9999, which is what RFC 3339 and every reader can show. What senders put beyond is put at the
/// end that it passed.
const MICROS_MIN: i64 = -377_705_023_201_000_000;
const MICROS_MAX: i64 = 253_402_207_200_999_999;

/// Text reserved a row.
const TEXT_BYTES_GUESSED: usize = 16;

/// A time and its nanoseconds.
pub(super) struct Times {
    micros: TimestampMicrosecondBuilder,
    nanos: Int32Builder,
}

impl Times {
    pub(super) fn new(rows: usize) -> Times {
        let micros = TimestampMicrosecondBuilder::with_capacity(rows).with_timezone("UTC");
        Times { micros, nanos: Int32Builder::with_capacity(rows) }
    }

    /// The time as it was sent, or now.
    pub(super) fn push(&mut self, time: Option<EventTime>, now: Timestamp) {
        let time = time.unwrap_or(EventTime::from(now));
        self.micros.append_value(time.micros.clamp(MICROS_MIN, MICROS_MAX));
        self.nanos.append_value(i32::from(time.nanos.min(999)));
    }

    pub(super) fn finish(mut self) -> [ArrayRef; 2] {
        [Arc::new(self.micros.finish()), Arc::new(self.nanos.finish())]
    }
}

/// 32-bit integers.
pub(super) struct Ints(Int32Builder);

impl Ints {
    pub(super) fn new(rows: usize) -> Ints {
        Ints(Int32Builder::with_capacity(rows))
    }

    pub(super) fn push(&mut self, value: i32) {
        self.0.append_value(value);
    }

    pub(super) fn finish(mut self) -> ArrayRef {
        Arc::new(self.0.finish())
    }
}

/// Text; empty is null.
pub(super) struct Texts(StringBuilder);

impl Texts {
    pub(super) fn new(rows: usize) -> Texts {
        Texts(StringBuilder::with_capacity(rows, rows * TEXT_BYTES_GUESSED))
    }

    pub(super) fn push(&mut self, text: &str) {
        self.0.append_option((!text.is_empty()).then_some(text));
    }

    /// A value as text, as attributes are stored; null is null.
    pub(super) fn push_value(&mut self, value: &Value) {
        match value {
            Value::Null => self.0.append_null(),
            other => append(&mut self.0, other),
        }
    }

    pub(super) fn finish(mut self) -> ArrayRef {
        Arc::new(self.0.finish())
    }
}

/// A string without quotes, everything else as JSON text, without a copy where none is needed.
fn append(builder: &mut StringBuilder, value: &Value) {
    match value {
        Value::Str(text) => builder.append_value(text),
        Value::Bool(flag) => builder.append_value(if *flag { "true" } else { "false" }),
        Value::Int(number) => {
            // Writing to a builder in memory does not fail.
            let _ = write!(builder, "{number}");
            builder.append_value("");
        }
        other => {
            let mut text = String::new();
            json::write(other, &mut text);
            builder.append_value(text);
        }
    }
}

/// Lists of text.
pub(super) struct Lists {
    items: StringBuilder,
    offsets: Vec<i32>,
    count: i32,
}

impl Lists {
    pub(super) fn new(rows: usize) -> Lists {
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        Lists { items: StringBuilder::new(), offsets, count: 0 }
    }

    pub(super) fn push<'a>(&mut self, items: impl Iterator<Item = &'a str>) {
        for item in items {
            self.items.append_value(item);
            self.count += 1;
        }
        self.offsets.push(self.count);
    }

    pub(super) fn finish(mut self) -> ArrayRef {
        let offsets = OffsetBuffer::new(ScalarBuffer::from(self.offsets));
        Arc::new(ListArray::new(list_item(), offsets, Arc::new(self.items.finish()), None))
    }
}

/// Maps of text.
pub(super) struct Maps {
    keys: StringBuilder,
    values: StringBuilder,
    offsets: Vec<i32>,
    count: i32,
}

impl Maps {
    pub(super) fn new(rows: usize) -> Maps {
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        Maps { keys: StringBuilder::new(), values: StringBuilder::new(), offsets, count: 0 }
    }

    pub(super) fn push<'a>(&mut self, members: impl Iterator<Item = (&'a str, &'a Value)>) {
        for (key, value) in members {
            self.keys.append_value(key);
            append(&mut self.values, value);
            self.count += 1;
        }
        self.offsets.push(self.count);
    }

    /// As [`Maps::push`], of text; of keys that stand twice the last counts, as in JSON.
    pub(super) fn push_texts<'a>(&mut self, members: impl Iterator<Item = (&'a str, &'a str)>) {
        let mut distinct: Vec<(&str, &str)> = Vec::new();
        for (key, value) in members {
            match distinct.iter_mut().find(|(known, _)| *known == key) {
                Some(known) => known.1 = value,
                None => distinct.push((key, value)),
            }
        }
        for (key, value) in distinct {
            self.keys.append_value(key);
            self.values.append_value(value);
            self.count += 1;
        }
        self.offsets.push(self.count);
    }

    pub(super) fn finish(mut self) -> Option<ArrayRef> {
        build_map(self.keys.finish(), self.values.finish(), self.offsets)
    }
}
