//! Limits as flags: `off`, a number, or bytes with a unit.

/// A limit; none for `off`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit(pub Option<u64>);

/// Reads a number of requests.
pub fn requests(text: &str) -> Result<Limit, String> {
    let wrong = || "not a number of requests: give one up to 4294967295, or off".to_owned();
    match text {
        "off" => Ok(Limit(None)),
        text => text.parse::<u32>().map(|n| Limit(Some(n.into()))).map_err(|_| wrong()),
    }
}

/// Reads a number of bytes.
pub fn bytes(text: &str) -> Result<Limit, String> {
    let wrong = || "not a number of bytes: give one as in 500000, 500KB, 20MB or 10GB, or off".to_owned();
    if text == "off" {
        return Ok(Limit(None));
    }
    let at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(at);
    let factor = match unit {
        "" | "B" => 1,
        "KB" | "kB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "TB" => 1_000_000_000_000,
        _ => return Err(wrong()),
    };
    let count = digits.parse::<u64>().ok().and_then(|n| n.checked_mul(factor));
    count.filter(|bytes| i64::try_from(*bytes).is_ok()).map(|bytes| Limit(Some(bytes))).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_read_and_nonsense_is_refused() {
        assert_eq!(bytes("off"), Ok(Limit(None)));
        assert_eq!(requests("off"), Ok(Limit(None)));
        for (text, expected) in [
            ("0", 0),
            ("500000", 500_000),
            ("500KB", 500_000),
            ("20MB", 20_000_000),
            ("10GB", 10_000_000_000),
        ] {
            assert_eq!(bytes(text), Ok(Limit(Some(expected))), "{text}");
        }
        for text in ["", "MB", "-1", "1.5GB", "10XB", "10 GB", "99999999999999999999", "9999999999TB"] {
            assert!(bytes(text).is_err(), "{text}");
        }
        assert_eq!(requests("10"), Ok(Limit(Some(10))));
        assert!(requests("4294967296").is_err() && requests("10/s").is_err());
    }
}
