//! Spans of time as a policy writes them: `30d`, `24h`, `60s`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The longest span that is taken: a hundred years.
const SECONDS_MAX: i64 = 100 * 366 * 86_400;

/// A span of time, and how it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    text: String,
    seconds: i64,
}

impl Span {
    /// Seconds.
    pub fn seconds(&self) -> i64 {
        self.seconds
    }

    /// Microseconds.
    pub fn micros(&self) -> i64 {
        self.seconds.saturating_mul(1_000_000)
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Span {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Span, &'static str> {
        const WHY: &str = "a span of time is a whole number and s, m, h, d, w or y, as in 30d";
        let unit = text.chars().last().ok_or(WHY)?;
        let number = text.get(..text.len() - unit.len_utf8()).ok_or(WHY)?;
        if number.is_empty() || number.len() > 10 || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(WHY);
        }
        let each = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            'w' => 7 * 86_400,
            'y' => 365 * 86_400,
            _ => return Err(WHY),
        };
        let seconds = number.parse::<i64>().map_err(|_| WHY)?.saturating_mul(each);
        if seconds > SECONDS_MAX {
            return Err("a span of time is at most a hundred years");
        }
        Ok(Span { text: text.to_owned(), seconds })
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.text)
    }
}

impl<'d> Deserialize<'d> for Span {
    fn deserialize<D: Deserializer<'d>>(from: D) -> Result<Span, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read() {
        let seconds = |text: &str| text.parse::<Span>().map(|span| span.seconds());
        assert_eq!(seconds("30d"), Ok(30 * 86_400));
        assert_eq!(seconds("0d"), Ok(0));
        assert_eq!(seconds("24h"), Ok(86_400));
        assert_eq!(seconds("90s"), Ok(90));
        for bad in ["", "d", "30", "-1d", "1.5d", "30 d", "30é", "99999999999d", "200y"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }
}
