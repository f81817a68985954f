//! What writing a value by a schema has in common.

use std::fmt;

use candor_model::Value;
use candor_model::limits::NESTING_DEPTH_MAX;

/// Steps of writing one value: a union tries one branch after the other, at every level.
const STEPS_MAX: usize = 500_000;

/// Why a value cannot be written by a schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodeError {
    /// Where in the value.
    path: String,
    what: String,
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.is_empty() {
            true => f.write_str(&self.what),
            false => write!(f, "{}: {}", self.path, self.what),
        }
    }
}

impl std::error::Error for EncodeError {}

impl EncodeError {
    pub(crate) fn new(what: impl Into<String>) -> EncodeError {
        EncodeError { path: String::new(), what: what.into() }
    }

    /// The same, seen from further out.
    pub(crate) fn within(mut self, key: impl fmt::Display) -> EncodeError {
        self.path = match self.path.is_empty() {
            true => key.to_string(),
            false => format!("{key}.{}", self.path),
        };
        self
    }
}

/// What writing a value may still cost.
pub(crate) struct Steps {
    left: usize,
    depth: usize,
}

impl Steps {
    pub(crate) fn new() -> Steps {
        Steps { left: STEPS_MAX, depth: 0 }
    }

    pub(crate) fn is_spent(&self) -> bool {
        self.left == 0
    }

    pub(crate) fn take(&mut self) -> Result<(), EncodeError> {
        let left = self.left.checked_sub(1).ok_or_else(|| EncodeError::new("the value is too large"))?;
        self.left = left;
        Ok(())
    }

    pub(crate) fn enter(&mut self) -> Result<(), EncodeError> {
        if self.depth >= NESTING_DEPTH_MAX {
            return Err(EncodeError::new("the value nests too deep"));
        }
        self.depth += 1;
        Ok(())
    }

    pub(crate) fn leave(&mut self) {
        self.depth -= 1;
    }
}

/// A number without a fraction.
pub(crate) fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::Int(number) => Some(*number),
        // 2^53: beyond it a float does not tell which number was meant.
        Value::Float(number) if number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0 => {
            Some(*number as i64)
        }
        _ => None,
    }
}
