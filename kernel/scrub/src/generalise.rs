//! Less of a value: the network of an address, the hour of a time, one decimal of a coordinate.

use crate::bytes::{at, skip};
use crate::detect::personal;

/// What is left of `text`; none where it is nothing that less can be said of.
pub(crate) fn generalised(text: &str, v4: u8, v6: u8) -> Option<String> {
    personal::generalised(text, v4, v6).or_else(|| hour(text)).or_else(|| coordinates(text))
}

/// `2026-01-02T03:04:05.678Z` as `2026-01-02T03:00:00Z`.
fn hour(text: &str) -> Option<String> {
    const FORM: &[u8] = b"dddd-dd-dd dd:dd";
    let bytes = text.as_bytes();
    let fits = bytes.len() >= FORM.len()
        && FORM.iter().zip(bytes).all(|(form, byte)| match form {
            b'd' => byte.is_ascii_digit(),
            b' ' => matches!(byte, b'T' | b't' | b' '),
            form => form == byte,
        });
    if !fits {
        return None;
    }
    let mut end = FORM.len();
    if at(bytes, end) == b':' {
        end = skip(bytes, end + 1, |byte| byte.is_ascii_digit() || matches!(byte, b'.' | b','));
    }
    let zone = text.get(end..)?;
    let is_zone =
        zone.len() <= 6 && zone.bytes().all(|byte| byte.is_ascii_digit() || b"zZ+-:".contains(&byte));
    is_zone.then(|| format!("{}:00:00{zone}", text.get(..13).unwrap_or_default()))
}

/// `52.520008` as `52.5`; also two with a comma between them.
fn coordinates(text: &str) -> Option<String> {
    let less = |text: &str| {
        let trimmed = text.trim();
        let number: f64 = trimmed.parse().ok().filter(|number: &f64| number.abs() <= 360.0)?;
        let whole = trimmed.trim_start_matches(['-', '+']);
        let is_decimal =
            whole.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') && whole.contains('.');
        // Towards zero: rounding could carry a place over into the next.
        is_decimal.then(|| format!("{:.1}", (number * 10.0).trunc() / 10.0))
    };
    match text.split_once(',') {
        None => less(text),
        Some((latitude, longitude)) => Some(format!("{},{}", less(latitude)?, less(longitude)?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn less_of_each() {
        let less = |text: &str| generalised(text, 24, 48);
        for (text, expected) in [
            ("203.0.113.9", "203.0.113.0"),
            ("2026-01-02T03:04:05.678Z", "2026-01-02T03:00:00Z"),
            ("2026-01-02 03:04:05+01:00", "2026-01-02 03:00:00+01:00"),
            ("2026-01-02T03:04", "2026-01-02T03:00:00"),
            ("52.520008", "52.5"),
            ("-0.1277", "-0.1"),
            ("52.520008, 13.404954", "52.5,13.4"),
        ] {
            assert_eq!(less(text).as_deref(), Some(expected));
            assert_eq!(less(expected).as_deref(), Some(expected), "twice is once");
        }
        for text in ["jane", "52", "1e3", "2026-01-02", "NaN", "400.5", "2026-01-02T03:04 and more", ""] {
            assert_eq!(less(text), None, "{text}");
        }
    }
}
