//! The search language: `timeout "could not connect" service:cart level>=error -host:db* (a OR b) url:~^/api`.

/// Why search text does not parse.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} at character {at}")]
pub struct ParseError {
    /// What is wrong.
    pub what: String,
    /// Where: a character, counted from 1.
    pub at: usize,
}
