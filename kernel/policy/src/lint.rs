//! What a policy should not say, or not say without saying more.

mod effect;
mod said;
mod signals;
mod words;

use std::fmt;

use serde::Serialize;

use crate::fault::Place;
use crate::read::Resolved;

/// How much it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The policy may not hold.
    Error,
    /// It may; a person should look.
    Warning,
}

/// Something that the lint found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Where.
    #[serde(flatten)]
    pub place: Place,
    /// The key.
    pub key: String,
    /// How much it matters.
    pub severity: Severity,
    /// What is wrong.
    pub why: String,
    /// What to write.
    pub write: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { file, line, column } = &self.place;
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, "{file}:{line}:{column}: {severity}: {}: {}; {}", self.key, self.why, self.write)
    }
}

/// What is found while a policy is looked at.
pub(crate) struct Look<'a> {
    resolved: &'a Resolved,
    found: Vec<Finding>,
}

impl Look<'_> {
    fn note(&mut self, severity: Severity, key: &str, why: String, write: &str) {
        let place = self.resolved.place(key);
        self.found.push(Finding { place, key: key.to_owned(), severity, why, write: write.to_owned() });
    }

    fn error(&mut self, key: &str, why: impl Into<String>, write: &str) {
        self.note(Severity::Error, key, why.into(), write);
    }

    fn warn(&mut self, key: &str, why: impl Into<String>, write: &str) {
        self.note(Severity::Warning, key, why.into(), write);
    }
}

/// Looks at a policy. It may hold where no finding is an error.
pub fn lint(resolved: &Resolved) -> Vec<Finding> {
    let mut look = Look { resolved, found: Vec::new() };
    signals::look(&mut look);
    words::look(&mut look);
    effect::look(&mut look);
    said::look(&mut look);
    look.found
}
