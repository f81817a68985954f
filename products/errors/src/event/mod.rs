//! Reading an error event in whatever form an SDK wrote it.
//!
//! There are twelve years of SDKs: lists where others have `{"values": …}`, one object where others have a list,
//! pairs where others have a map, strings where others have an interface, nulls anywhere. Readers here answer
//! "nothing" for what they cannot read and never fail: a crooked event degrades, it does not vanish.

pub(crate) mod columns;
pub(crate) mod exceptions;
pub(crate) mod frames;
pub(crate) mod message;
pub(crate) mod normalize;
pub(crate) mod tags;

use std::borrow::Cow;

use candor_model::{EventTime, Value};

pub use columns::columns;

/// Text as it is, numbers and flags as their text; nothing for null, lists and objects.
pub(crate) fn text(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::Str(text) => Some(Cow::Borrowed(text)),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
        scalar => Some(Cow::Owned(scalar.to_text())),
    }
}

/// The text of a member, trimmed; nothing where it is empty.
pub(crate) fn member<'a>(value: &'a Value, key: &str) -> Option<Cow<'a, str>> {
    let text = match text(value.get(key)?)? {
        Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
        Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
    };
    (!text.is_empty()).then_some(text)
}

/// As [`member`], owned and empty where there is nothing.
pub(crate) fn member_or_empty(value: &Value, key: &str) -> String {
    member(value, key).map(Cow::into_owned).unwrap_or_default()
}

/// The values of an interface that is `{"values": […]}`, a bare list, or one bare object.
pub(crate) fn values(interface: Option<&Value>) -> &[Value] {
    match interface {
        Some(Value::Array(items)) => items,
        Some(Value::Object(object)) => match object.get("values") {
            Some(Value::Array(items)) => items,
            Some(_) => &[],
            None => interface.map(std::slice::from_ref).unwrap_or_default(),
        },
        _ => &[],
    }
}

/// A time in any form that SDKs write: seconds as a number or its text, RFC 3339 with or without a zone. Numbers too
/// great to be seconds before the year 5000 are milli-, micro- or nanoseconds, which some home-made senders write.
pub(crate) fn time(value: &Value) -> Option<EventTime> {
    match value {
        Value::Int(seconds) if seconds.unsigned_abs() < 100_000_000_000 => {
            Some(EventTime { micros: seconds * 1_000_000, nanos: 0 })
        }
        Value::Str(text) => EventTime::parse(text).or_else(|| scaled(text.trim().parse().ok()?)),
        number => scaled(number.as_f64()?),
    }
}

fn scaled(number: f64) -> Option<EventTime> {
    let seconds = match number.abs() {
        n if n < 1e11 => number,
        n if n < 1e14 => number / 1e3,
        n if n < 1e17 => number / 1e6,
        _ => number / 1e9,
    };
    EventTime::from_seconds(seconds)
}

/// An id of `digits` hex digits in lower case without dashes; empty where it is none, or all zeros.
pub(crate) fn hex_id(text: &str, digits: usize) -> String {
    let id: String = text.trim().chars().filter(|c| *c != '-').map(|c| c.to_ascii_lowercase()).collect();
    let is_id = id.len() == digits
        && id.bytes().all(|byte| byte.is_ascii_hexdigit())
        && id.bytes().any(|byte| byte != b'0');
    if is_id { id } else { String::new() }
}

/// Cuts text to at most `max` bytes at a character's border.
pub(crate) fn cut(text: &str, max: usize) -> &str {
    match text.len() <= max {
        true => text,
        false => text.split_at(text.floor_char_boundary(max)).0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_in_every_form() {
        let at = |value: Value| time(&value).map(|time| time.micros);
        let expected = Some(1_741_256_391_500_000);
        assert_eq!(at(Value::Float(1_741_256_391.5)), expected);
        assert_eq!(at(Value::from("1741256391.5")), expected);
        assert_eq!(at(Value::from("2025-03-06T10:19:51.5Z")), expected);
        assert_eq!(at(Value::from("2025-03-06T10:19:51.5")), expected);
        assert_eq!(at(Value::Int(1_741_256_391_500)), expected);
        assert_eq!(at(Value::Int(-1)), Some(-1_000_000));
        for none in [Value::Null, Value::Float(f64::NAN), Value::from("soon"), Value::Bool(true)] {
            assert_eq!(at(none), None);
        }
    }

    #[test]
    fn text_is_cut_between_characters() {
        assert_eq!(cut("größe", 3), "gr");
        assert_eq!(cut("größe", 4), "grö");
        assert_eq!(cut("ab", 5), "ab");
    }
}
