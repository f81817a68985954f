//! Bodies of JSON or MessagePack events taken apart and given out record by record.

use std::collections::VecDeque;

use candor_model::limits::{BATCH_RECORDS_MAX, RECORD_BYTES_MAX};
use candor_model::{LogRecord, Value, json};

use crate::cursor::{Cursor, Malformed};
use crate::drops::DropReason;
use crate::event::{self, Dialect};
use crate::msgpack;

/// Where the records of a body stand.
#[derive(Debug, Default)]
pub(crate) struct Slices<'a> {
    records: VecDeque<&'a [u8]>,
    beyond: u64,
}

impl<'a> Slices<'a> {
    pub(crate) fn push(&mut self, record: &'a [u8]) {
        match self.records.len() < BATCH_RECORDS_MAX {
            true => self.records.push_back(record),
            false => self.beyond += 1,
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    fn next(&mut self) -> Option<Result<&'a [u8], DropReason>> {
        match self.records.pop_front() {
            Some(record) if record.len() > RECORD_BYTES_MAX => Some(Err(DropReason::Size)),
            Some(record) => Some(Ok(record)),
            None => {
                self.beyond = self.beyond.checked_sub(1)?;
                Some(Err(DropReason::Batch))
            }
        }
    }
}

enum Source<'a> {
    /// JSON values whose ends are known.
    Json(Slices<'a>),
    /// NDJSON, or documents one after the other.
    Documents { documents: json::Documents<'a>, pending: VecDeque<Value>, count: usize },
    /// MessagePack values.
    MessagePack(Slices<'a>),
}

/// The records of a body.
pub struct Events<'a> {
    source: Source<'a>,
    dialect: &'static Dialect,
}

impl<'a> Events<'a> {
    /// The records of a JSON body: a list, an object, the list that an object holds under `wrapper`, or documents
    /// one after the other, as a rule a line each.
    pub(crate) fn json(
        body: &'a [u8],
        wrapper: Option<&str>,
        dialect: &'static Dialect,
    ) -> Result<Events<'a>, Malformed> {
        let mut cursor = Cursor::new(body);
        let first = cursor.peek();
        let start = cursor.at();
        let whole = match cursor.skip() {
            Ok(text) if cursor.is_at_end() => Some(text),
            Ok(_) => None,
            // A list that does not end is cut; an object that does not may be one bad line of many.
            Err(wrong) if first != Some(b'{') => return Err(wrong),
            Err(_) => None,
        };
        let source = match (first, whole) {
            (Some(b'['), Some(text)) => Source::Json(list(text)?),
            (Some(b'{'), Some(text)) if let Some(list) = wrapper.and_then(|name| wrapped(text, name)) => {
                Source::Json(list?)
            }
            _ => {
                let text = body.get(start..).unwrap_or_default();
                let documents = json::documents(text, json::Leniency::LENIENT);
                Source::Documents { documents, pending: VecDeque::new(), count: 0 }
            }
        };
        Ok(Events { source, dialect })
    }

    /// The records of a MessagePack body.
    pub(crate) fn message_pack(body: &'a [u8], dialect: &'static Dialect) -> Result<Events<'a>, Malformed> {
        Ok(Events { source: Source::MessagePack(msgpack::records(body)?), dialect })
    }
}

/// The items of a list.
fn list(text: &[u8]) -> Result<Slices<'_>, Malformed> {
    let mut slices = Slices::default();
    let mut cursor = Cursor::new(text);
    cursor.items::<Malformed>(|cursor| {
        slices.push(cursor.skip()?);
        Ok(())
    })?;
    Ok(slices)
}

/// The items of the list that an object holds under that name.
fn wrapped<'a>(text: &'a [u8], name: &str) -> Option<Result<Slices<'a>, Malformed>> {
    let mut found = None;
    let walk = Cursor::new(text).members::<Malformed>(|cursor, key| {
        let value = cursor.skip()?;
        if key == name && value.starts_with(b"[") {
            found = Some(value);
        }
        Ok(())
    });
    match walk {
        Ok(()) => found.map(list),
        // Not an object after all: its parser says so.
        Err(_) => None,
    }
}

/// One value of JSON.
fn parse(text: &[u8]) -> Result<Value, DropReason> {
    json::parse(text, json::Leniency::LENIENT).map_err(|wrong| reason(&wrong))
}

fn reason(wrong: &json::JsonError) -> DropReason {
    match wrong.what {
        "nested too deep" => DropReason::Nesting,
        "too many members" => DropReason::Members,
        _ => DropReason::Malformed,
    }
}

impl Source<'_> {
    fn next(&mut self) -> Option<Result<Value, DropReason>> {
        match self {
            Source::Json(slices) => slices.next().map(|slice| slice.and_then(parse)),
            Source::MessagePack(slices) => slices.next().map(|slice| slice.and_then(msgpack::value)),
            Source::Documents { documents, pending, count } => {
                let value = loop {
                    if let Some(value) = pending.pop_front() {
                        break Ok(value);
                    }
                    match documents.next()?.1 {
                        // A line may be a list of events.
                        Ok(Value::Array(items)) => pending.extend(items),
                        Ok(value) => break Ok(value),
                        Err(wrong) => break Err(reason(&wrong)),
                    }
                };
                *count += 1;
                Some(if *count > BATCH_RECORDS_MAX { Err(DropReason::Batch) } else { value })
            }
        }
    }
}

impl Iterator for Events<'_> {
    type Item = Result<LogRecord, DropReason>;

    fn next(&mut self) -> Option<Self::Item> {
        self.source.next().map(|event| event::record(event?, self.dialect))
    }
}
