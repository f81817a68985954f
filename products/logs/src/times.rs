//! Times as senders write them: numbers of any unit, RFC 3339 with or without a zone, RFC 2822.

use candor_model::{EventTime, Value};

/// The longest text that can be a time.
const TEXT_BYTES_MAX: usize = 64;

/// Numbers up to here are seconds (the year 5138); up to a thousand times as much milliseconds, and so on. So times
/// from 1973 on are read right in every unit, and earlier ones where they are in seconds.
const SECONDS_MAX: i128 = 100_000_000_000;

/// The time that a value states, where it does.
pub fn from_value(value: &Value) -> Option<EventTime> {
    match value {
        Value::Int(number) => Some(from_integer(i128::from(*number))),
        Value::UInt(number) => Some(from_integer(i128::from(*number))),
        Value::Float(number) => from_float(*number),
        Value::BigInt(text) => text.parse::<f64>().ok().and_then(from_float),
        Value::Str(text) => from_text(text),
        _ => None,
    }
}

fn from_integer(number: i128) -> EventTime {
    EventTime::from_nanos(number.saturating_mul(nanos_in_unit(number)))
}

/// How many nanoseconds the unit of a number of this magnitude has.
fn nanos_in_unit(number: i128) -> i128 {
    match number.unsigned_abs() as i128 {
        0..=SECONDS_MAX => 1_000_000_000,
        n if n <= SECONDS_MAX * 1_000 => 1_000_000,
        n if n <= SECONDS_MAX * 1_000_000 => 1_000,
        _ => 1,
    }
}

fn from_float(number: f64) -> Option<EventTime> {
    if !number.is_finite() || number.abs() > 1e20 {
        return None;
    }
    if number.fract() == 0.0 {
        return Some(from_integer(number as i128));
    }
    let seconds = number * nanos_in_unit(number as i128) as f64 / 1e9;
    EventTime::from_seconds(seconds)
}

fn from_text(text: &str) -> Option<EventTime> {
    let text = text.trim();
    if text.is_empty() || text.len() > TEXT_BYTES_MAX {
        return None;
    }
    if let Ok(number) = text.parse::<i64>() {
        return Some(from_integer(i128::from(number)));
    }
    let first = text.as_bytes().first()?;
    if first.is_ascii_digit() || matches!(first, b'+' | b'-') {
        if let Some(time) = EventTime::parse(text) {
            return Some(time);
        }
        // `1700000000.25`; not `1e9`, which nobody writes for a time.
        if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
            return text.parse().ok().and_then(from_float);
        }
    }
    let zoned = jiff::fmt::rfc2822::parse(text).ok()?;
    Some(EventTime::from_nanos(zoned.timestamp().as_nanosecond()))
}

/// RFC 3339 in UTC with as many digits as are needed; for times that no calendar holds, the nanoseconds.
pub fn to_text(time: EventTime) -> String {
    let nanos = i128::from(time.micros) * 1000 + i128::from(time.nanos);
    match jiff::Timestamp::from_nanosecond(nanos) {
        Ok(time) => time.to_string(),
        Err(_) => nanos.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: impl Into<Value>) -> String {
        from_value(&value.into()).map_or("none".into(), to_text)
    }

    #[test]
    fn numbers_are_read_in_the_unit_that_makes_sense() {
        assert_eq!(text(Value::Int(1_767_225_600)), "2026-01-01T00:00:00Z");
        assert_eq!(text(Value::Int(1_767_225_600_123)), "2026-01-01T00:00:00.123Z");
        assert_eq!(text(Value::Int(1_767_225_600_123_456)), "2026-01-01T00:00:00.123456Z");
        assert_eq!(text(Value::Int(1_767_225_600_123_456_789)), "2026-01-01T00:00:00.123456789Z");
        assert_eq!(text(Value::Float(1_767_225_600.25)), "2026-01-01T00:00:00.25Z");
        assert_eq!(text(Value::Float(1_767_225_600_123.5)), "2026-01-01T00:00:00.1235Z");
        assert_eq!(text("1767225600123"), "2026-01-01T00:00:00.123Z");
        assert_eq!(text("1767225600.5"), "2026-01-01T00:00:00.5Z");
    }

    #[test]
    fn the_ends_of_time_are_kept() {
        assert_eq!(text(Value::Int(0)), "1970-01-01T00:00:00Z");
        assert_eq!(text(Value::Int(-1)), "1969-12-31T23:59:59Z");
        assert_eq!(text(Value::Int(16_725_225_600)), "2500-01-01T00:00:00Z");
        assert_eq!(text(Value::UInt(16_725_225_600_000_000_000)), "2500-01-01T00:00:00Z");
        assert_eq!(text("2500-01-01T00:00:00Z"), "2500-01-01T00:00:00Z");
        assert_eq!(from_value(&Value::Int(i64::MIN)).map(|t| t.micros), Some(i64::MIN / 1000 - 1));
    }

    #[test]
    fn texts_are_read_with_and_without_a_zone() {
        assert_eq!(text("2026-01-01T02:00:00.000001+02:00"), "2026-01-01T00:00:00.000001Z");
        assert_eq!(text("2026-01-01 00:00:00,5"), "2026-01-01T00:00:00.5Z");
        assert_eq!(text("Thu, 1 Jan 2026 00:00:00 +0000"), "2026-01-01T00:00:00Z");
        for not_a_time in ["", "yesterday", "NaN", "2026-13-01T00:00:00Z", "12.34.56.78"] {
            assert_eq!(text(not_a_time), "none", "{not_a_time}");
        }
        assert_eq!(text(Value::Float(f64::INFINITY)), "none");
        assert_eq!(text(Value::Null), "none");
    }
}
