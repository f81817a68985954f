//! What is wrong with a file: where, why, and what to write.

use std::fmt;

use serde::Serialize;

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The file, or the preset.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
}

/// Something that keeps a file from being a policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Where.
    #[serde(flatten)]
    pub place: Place,
    /// The key: `activity.errors.retention.live`; empty for the file as a whole.
    pub key: String,
    /// What is wrong.
    pub why: String,
    /// What to write instead.
    pub write: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { file, line, column } = &self.place;
        write!(f, "{file}:{line}:{column}: ")?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        write!(f, "{}", self.why)?;
        if !self.write.is_empty() {
            write!(f, "; {}", self.write)?;
        }
        Ok(())
    }
}
