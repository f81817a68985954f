//! Levels: one scale for every protocol, and the sender's own words kept.
//!
//! The scale is OpenTelemetry's severity number, 1 to 24 (logs data model, "Severity Fields" and appendix B for
//! how other systems map). A record keeps its text as it came; what it did not say is filled from the other half.

use candor_model::Value;

/// A level, both halves.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Severity {
    /// OpenTelemetry's number; 0 for unknown.
    pub number: i32,
    /// The sender's word, or the scale's where there was none.
    pub text: String,
}

/// Names of the scale, by number.
const NAMES: [&str; 25] = [
    "", "TRACE", "TRACE2", "TRACE3", "TRACE4", "DEBUG", "DEBUG2", "DEBUG3", "DEBUG4", "INFO", "INFO2",
    "INFO3", "INFO4", "WARN", "WARN2", "WARN3", "WARN4", "ERROR", "ERROR2", "ERROR3", "ERROR4", "FATAL",
    "FATAL2", "FATAL3", "FATAL4",
];

/// The longest word that can be a level.
const WORD_BYTES_MAX: usize = 16;

/// The name of a number of the scale; empty outside of it.
pub fn name(number: i32) -> &'static str {
    usize::try_from(number).ok().and_then(|at| NAMES.get(at)).copied().unwrap_or_default()
}

/// The number of a word in any common spelling (`warn`, `WARNING`, `I`, `Informational`, `ERROR3`); 0 for others.
pub fn number(word: &str) -> i32 {
    let word = word.trim().trim_matches(['[', ']', ':']);
    if word.is_empty() || word.len() > WORD_BYTES_MAX {
        return 0;
    }
    let mut lower = [0u8; WORD_BYTES_MAX];
    let lower = match lower.get_mut(..word.len()) {
        Some(slot) => {
            slot.copy_from_slice(word.as_bytes());
            slot.make_ascii_lowercase();
            &*slot
        }
        None => return 0,
    };
    match lower {
        b"trace" | b"verbose" | b"silly" | b"finest" | b"finer" | b"all" | b"t" | b"v" | b"trc" => 1,
        b"debug" | b"dbg" | b"fine" | b"d" => 5,
        b"config" => 7,
        b"info" | b"inf" | b"information" | b"informational" | b"log" | b"default" | b"i" => 9,
        b"http" | b"success" | b"ok" => 9,
        b"notice" | b"note" | b"n" => 10,
        b"warn" | b"wrn" | b"warning" | b"w" => 13,
        b"error" | b"err" | b"eror" | b"severe" | b"e" => 17,
        b"critical" | b"crit" | b"c" => 18,
        b"alert" | b"a" => 19,
        b"fatal" | b"ftl" | b"panic" | b"dpanic" | b"emergency" | b"emerg" | b"f" => 21,
        _ => numbered(lower),
    }
}

/// `info2`, `error4`.
fn numbered(lower: &[u8]) -> i32 {
    NAMES
        .iter()
        .position(|name| !name.is_empty() && name.as_bytes().eq_ignore_ascii_case(lower))
        .and_then(|at| i32::try_from(at).ok())
        .unwrap_or(0)
}

/// What a number in a field called `level` or `severity` means: pino's and bunyan's 10 to 60, else syslog's 0 to 7.
/// (Python's logging also counts in tens, but every Python shipper sends the word as well.)
pub fn from_number(number: i64) -> Option<Severity> {
    let (number, text) = match number {
        0 => (21, "emergency"),
        1 => (19, "alert"),
        2 => (18, "critical"),
        3 => (17, "error"),
        4 => (13, "warning"),
        5 => (10, "notice"),
        6 => (9, "info"),
        7 => (5, "debug"),
        10..=19 => (1, "trace"),
        20..=29 => (5, "debug"),
        30..=39 => (9, "info"),
        40..=49 => (13, "warn"),
        50..=59 => (17, "error"),
        60..=69 => (21, "fatal"),
        _ => return None,
    };
    Some(Severity { number, text: text.to_owned() })
}

/// The level that a value in a field called `level` or `severity` states. A word that nobody knows is a level too,
/// of unknown rank; a sentence is not.
pub fn from_value(value: &Value) -> Option<Severity> {
    match value {
        Value::Str(text) => {
            let text = text.trim();
            if let Ok(number) = text.parse::<i64>() {
                return from_number(number);
            }
            let known = number(text);
            let plausible =
                !text.is_empty() && text.len() <= WORD_BYTES_MAX && !text.contains(char::is_whitespace);
            (known > 0 || plausible).then(|| Severity { number: known, text: text.to_owned() })
        }
        Value::Float(number) if number.fract() == 0.0 && number.abs() < 1e9 => from_number(*number as i64),
        other => from_number(other.as_i64()?),
    }
}

/// The two halves as OTLP carries them, each filled from the other where it is missing.
pub fn from_parts(number: i32, text: String) -> Severity {
    let number = if (1..=24).contains(&number) { number } else { self::number(&text) };
    let text = if text.is_empty() { name(number).to_owned() } else { text };
    Severity { number, text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(value: impl Into<Value>) -> (i32, String) {
        let severity = from_value(&value.into()).unwrap_or_default();
        (severity.number, severity.text)
    }

    #[test]
    fn words_in_any_spelling_have_a_rank() {
        assert_eq!(of("warning"), (13, "warning".into()));
        assert_eq!(of(" ERROR "), (17, "ERROR".into()));
        assert_eq!(of("Informational"), (9, "Informational".into()));
        assert_eq!(of("E"), (17, "E".into()));
        assert_eq!(of("ERROR3"), (19, "ERROR3".into()));
        assert_eq!(of("audit"), (0, "audit".into()));
        assert_eq!(of("not a level at all"), (0, String::new()));
        assert_eq!(of(""), (0, String::new()));
    }

    #[test]
    fn pino_and_syslog_numbers_are_told_apart() {
        let pino: Vec<_> = [10, 20, 30, 40, 50, 60].into_iter().map(|n| of(Value::Int(n)).0).collect();
        assert_eq!(pino, [1, 5, 9, 13, 17, 21]);
        let syslog: Vec<_> = (0..8).map(|n| of(Value::Int(n)).0).collect();
        assert_eq!(syslog, [21, 19, 18, 17, 13, 10, 9, 5]);
        assert_eq!(of("30"), (9, "info".into()));
        assert_eq!(of(Value::Float(50.0)), (17, "error".into()));
        assert_eq!(of(Value::Int(1_000)), (0, String::new()));
        assert_eq!(of(Value::Float(f64::NAN)), (0, String::new()));
    }

    #[test]
    fn each_half_fills_the_other() {
        assert_eq!(from_parts(9, String::new()), Severity { number: 9, text: "INFO".into() });
        assert_eq!(from_parts(0, "warn".into()), Severity { number: 13, text: "warn".into() });
        assert_eq!(from_parts(17, "warn".into()), Severity { number: 17, text: "warn".into() });
        assert_eq!(from_parts(99, String::new()), Severity::default());
        assert_eq!(name(24), "FATAL4");
        assert_eq!(name(-1), "");
    }
}
