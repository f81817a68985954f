//! JSON in and out of [`Value`], for input that nobody promised to be well formed.

use crate::Value;

/// How forgiving to be.
#[derive(Debug, Clone, Copy, Default)]
pub struct Leniency {
    /// Take `NaN`, `Infinity`, `-Infinity` (Python's `json.dumps` writes them).
    pub non_finite: bool,
    /// Replace invalid UTF-8 and lone surrogates by U+FFFD instead of refusing (JavaScript sends the latter).
    pub replace_invalid: bool,
}

/// Why text is not JSON that we take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} at byte {at}")]
pub struct JsonError {
    /// What is wrong, without quoting the input.
    pub what: &'static str,
    /// Where.
    pub at: usize,
}

/// Parses one document. Nesting is bounded by [`crate::limits::NESTING_DEPTH_MAX`], members by
/// [`crate::limits::RECORD_NODES_MAX`].
pub fn parse(_input: &[u8], _leniency: Leniency) -> Result<Value, JsonError> {
    todo!()
}

/// Compact JSON text; NaN and infinities are `null`.
pub fn to_string(_value: &Value) -> String {
    todo!()
}
