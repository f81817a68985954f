//! Durations as people write them: `30s`, `15m`, `24h`, `7d`; a bare number is seconds.

use std::fmt;

/// Whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seconds(pub i64);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}s", self.0)
    }
}

/// Longest duration that is taken: a hundred years.
const SECONDS_MAX: i64 = 100 * 366 * 86_400;

/// Parses a duration.
pub fn parse(text: &str) -> Result<Seconds, String> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let factor = match unit {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err("a duration is a number and s, m, h or d, as in 90m".to_owned()),
    };
    number
        .parse::<i64>()
        .ok()
        .and_then(|number| number.checked_mul(factor))
        .filter(|seconds| *seconds <= SECONDS_MAX)
        .map(Seconds)
        .ok_or_else(|| "a duration is a number and s, m, h or d, as in 90m".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_people_write_them() {
        assert_eq!(parse("24h"), Ok(Seconds(86_400)));
        assert_eq!(parse("90"), Ok(Seconds(90)));
        assert_eq!(parse("0s"), Ok(Seconds(0)));
        assert_eq!(parse("7d"), Ok(Seconds(604_800)));
        for bad in ["", "h", "-1h", "1w", "1h30m", "99999999999999999999s", "9999999999d"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
