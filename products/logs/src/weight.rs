//! What records weigh in memory, and requests given out in portions of a bounded weight.
//!
//! A body may be a hundred times smaller than its records in memory. So a request is parsed and stored portion by
//! portion; how many are stored together says [`crate::intake`].

use candor_model::{LogRecord, Object, SpanRecord, Value};

use crate::drops::{DropReason, Drops};

/// What a member of an object weighs beside its text.
pub(crate) const MEMBER: usize = size_of::<(String, Value)>();

/// A portion, bytes in memory: the size of a segment of the log.
const PORTION_BYTES: usize = 8 << 20;

/// About how many bytes a value takes beyond its own cell.
pub(crate) fn value(value: &Value) -> usize {
    match value {
        Value::Str(text) => text.len(),
        Value::BigInt(text) => text.len(),
        Value::Array(items) => items.iter().map(|item| self::value(item) + size_of::<Value>()).sum(),
        Value::Object(object) => self::object(object),
        _ => 0,
    }
}

fn object(object: &Object) -> usize {
    object.iter().map(|(key, value)| key.len() + self::value(value) + MEMBER).sum()
}

/// What can be weighed.
pub(crate) trait Weighed {
    /// About how many bytes it takes in memory.
    fn weight(&self) -> usize;
}

impl Weighed for LogRecord {
    fn weight(&self) -> usize {
        size_of::<LogRecord>() + value(&self.body) + object(&self.attributes)
    }
}

impl Weighed for SpanRecord {
    fn weight(&self) -> usize {
        size_of::<SpanRecord>() + object(&self.attributes)
    }
}

/// The next portion of a request; empty at its end. What could not be parsed is counted.
pub(crate) fn portion<R: Weighed>(
    records: &mut impl Iterator<Item = Result<R, DropReason>>,
    drops: &mut Drops,
) -> Vec<R> {
    let (mut portion, mut weight) = (Vec::new(), 0);
    while weight < PORTION_BYTES
        && let Some(outcome) = records.next()
    {
        match outcome {
            Ok(record) => {
                weight += record.weight();
                portion.push(record);
            }
            Err(reason) => drops.add(reason),
        }
    }
    portion
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_request_comes_in_portions_and_nothing_is_lost() {
        let record = || LogRecord { body: "x".repeat(1 << 20).into(), ..LogRecord::default() };
        let outcomes = (0..20).map(|n| if n % 4 == 3 { Err(DropReason::Malformed) } else { Ok(record()) });
        let (mut outcomes, mut drops) = (outcomes, Drops::default());
        let mut sizes = Vec::new();
        loop {
            let portion = portion(&mut outcomes, &mut drops);
            if portion.is_empty() {
                break;
            }
            sizes.push(portion.len());
        }
        assert_eq!((sizes, drops.total()), (vec![8, 7], 5));
    }
}
