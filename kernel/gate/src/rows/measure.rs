//! How large and how deep a record is, before anything walks it without counting.

use candor_model::limits::{ATTRIBUTES_MAX, KEY_BYTES_MAX, NESTING_DEPTH_MAX, RECORD_BYTES_MAX};
use candor_model::{ErrorRecord, LogRecord, Object, SpanRecord, Value};

/// What a member costs beside its text.
const MEMBER_BYTES: usize = 8;

/// Members up to which duplicate names are found by comparing all: quicker than a table there.
const FEW_MEMBERS: usize = 32;

/// Why a record is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Oversize {
    /// Too many bytes.
    Size,
    /// Too deep.
    Nesting,
}

impl Oversize {
    /// The reason in reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Oversize::Size => "size",
            Oversize::Nesting => "nesting",
        }
    }
}

/// Trims the attributes of a record to the limits and gives its size, and how many attributes went.
pub(crate) fn measure_log(record: &mut LogRecord) -> Result<(usize, u64), Oversize> {
    let dropped = tidy(&mut record.attributes);
    let texts = [
        &record.severity_text,
        &record.service_name,
        &record.host_name,
        &record.trace_id,
        &record.span_id,
        &record.source,
    ];
    let fixed: usize = texts.iter().map(|text| text.len()).sum();
    let size = fixed + size_of_value(&record.body, 0)? + size_of_object(&record.attributes, 0)?;
    bounded(size).map(|size| (size, dropped))
}

/// As [`measure_log`].
pub(crate) fn measure_span(record: &mut SpanRecord) -> Result<(usize, u64), Oversize> {
    let dropped = tidy(&mut record.attributes);
    let texts = super::texts_of_span(record);
    let fixed: usize = texts.iter().map(|text| text.len()).sum();
    bounded(fixed + size_of_object(&record.attributes, 0)?).map(|size| (size, dropped))
}

/// The size of an event; nothing of it is trimmed.
pub(crate) fn measure_error(record: &ErrorRecord) -> Result<(usize, u64), Oversize> {
    bounded(size_of_value(&record.event, 0)?).map(|size| (size, 0))
}

fn bounded(size: usize) -> Result<usize, Oversize> {
    if size > RECORD_BYTES_MAX { Err(Oversize::Size) } else { Ok(size) }
}

fn size_of_value(value: &Value, depth: usize) -> Result<usize, Oversize> {
    if depth > NESTING_DEPTH_MAX {
        return Err(Oversize::Nesting);
    }
    match value {
        Value::Str(text) => Ok(text.len()),
        Value::BigInt(text) => Ok(text.len()),
        Value::Array(items) => {
            items.iter().try_fold(0, |sum, item| Ok(sum + MEMBER_BYTES + size_of_value(item, depth + 1)?))
        }
        Value::Object(object) => size_of_object(object, depth + 1),
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::UInt(_) | Value::Float(_) => Ok(MEMBER_BYTES),
    }
}

fn size_of_object(object: &Object, depth: usize) -> Result<usize, Oversize> {
    if depth > NESTING_DEPTH_MAX {
        return Err(Oversize::Nesting);
    }
    object
        .iter()
        .try_fold(0, |sum, (key, value)| Ok(sum + MEMBER_BYTES + key.len() + size_of_value(value, depth)?))
}

/// Keeps of each name the last value, and drops names that are too long and members beyond the limit.
fn tidy(attributes: &mut Object) -> u64 {
    drop_duplicates(attributes);
    let before = attributes.len();
    attributes.0.retain(|(key, _)| key.len() <= KEY_BYTES_MAX);
    attributes.0.truncate(ATTRIBUTES_MAX);
    (before - attributes.len()) as u64
}

/// What JSON calls undefined and every parser decides alike: the last of two members of one name counts.
fn drop_duplicates(object: &mut Object) {
    let members = &object.0;
    let duplicate = match members.len() {
        0..=FEW_MEMBERS => {
            members.iter().enumerate().any(|(n, (key, _))| members.iter().skip(n + 1).any(|(k, _)| k == key))
        }
        _ => {
            let mut seen = std::collections::HashSet::with_capacity(members.len());
            !members.iter().all(|(key, _)| seen.insert(key.as_str()))
        }
    };
    if !duplicate {
        return;
    }
    let mut seen = std::collections::HashSet::with_capacity(object.0.len());
    let mut kept: Vec<_> = std::mem::take(&mut object.0);
    kept.reverse();
    kept.retain(|(key, _)| seen.insert(key.clone()));
    kept.reverse();
    object.0 = kept;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attributes(members: impl IntoIterator<Item = (String, Value)>) -> LogRecord {
        LogRecord { attributes: members.into_iter().collect(), ..LogRecord::default() }
    }

    #[test]
    fn the_last_of_two_members_counts_and_excess_is_dropped() {
        for extra in [0, 100] {
            let filler = (0..extra).map(|n| (format!("f{n}"), Value::Null));
            let twice = [("a".to_owned(), Value::Int(1)), ("b".to_owned(), Value::Int(2))];
            let mut record =
                attributes(twice.into_iter().chain(filler).chain([("a".to_owned(), Value::Int(3))]));
            assert_eq!(measure_log(&mut record).map(|(_, dropped)| dropped), Ok(0));
            assert_eq!(record.attributes.get("a"), Some(&Value::Int(3)));
            assert_eq!(record.attributes.len(), extra + 2);
        }
        let mut record = attributes((0..ATTRIBUTES_MAX + 5).map(|n| (n.to_string(), Value::Null)));
        record.attributes.0.insert(0, ("k".repeat(KEY_BYTES_MAX + 1), Value::Null));
        assert_eq!(measure_log(&mut record).map(|(_, dropped)| dropped), Ok(6));
    }

    #[test]
    fn what_is_too_large_or_too_deep_is_not_taken() {
        let nested = |depth: usize| (0..depth).fold(Value::Null, |inner, _| Value::Array(vec![inner]));
        let mut record = attributes([("deep".to_owned(), nested(NESTING_DEPTH_MAX))]);
        assert!(measure_log(&mut record).is_ok());
        let mut record = attributes([("deep".to_owned(), nested(NESTING_DEPTH_MAX + 1))]);
        assert_eq!(measure_log(&mut record), Err(Oversize::Nesting));
        let mut record = LogRecord { body: "x".repeat(RECORD_BYTES_MAX + 1).into(), ..LogRecord::default() };
        assert_eq!(measure_log(&mut record), Err(Oversize::Size));
    }
}
