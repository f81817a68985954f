//! Levels of compatibility: which earlier schemas a new one is held against, and which way.

use crate::{Incompatibility, Schema};

/// Which of two schemas cannot read what the other wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reader {
    /// The one that would follow.
    New,
    /// The one that is there.
    Old,
}

/// How schemas of a subject may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are the registry's")]
pub enum Level {
    None,
    Backward,
    BackwardTransitive,
    Forward,
    ForwardTransitive,
    Full,
    FullTransitive,
}

impl Level {
    /// Every level.
    pub const ALL: [Level; 7] = [
        Level::None,
        Level::Backward,
        Level::BackwardTransitive,
        Level::Forward,
        Level::ForwardTransitive,
        Level::Full,
        Level::FullTransitive,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Level::None => "NONE",
            Level::Backward => "BACKWARD",
            Level::BackwardTransitive => "BACKWARD_TRANSITIVE",
            Level::Forward => "FORWARD",
            Level::ForwardTransitive => "FORWARD_TRANSITIVE",
            Level::Full => "FULL",
            Level::FullTransitive => "FULL_TRANSITIVE",
        }
    }

    /// The level of a name, in any case.
    pub fn from_name(name: &str) -> Option<Level> {
        Level::ALL.into_iter().find(|level| level.name().eq_ignore_ascii_case(name))
    }

    /// True where a new schema is held against all earlier ones, not the latest alone.
    pub fn is_transitive(self) -> bool {
        matches!(self, Level::BackwardTransitive | Level::ForwardTransitive | Level::FullTransitive)
    }

    /// What keeps `new` from following `old`, and which of the two would have to read the other; nothing where it may.
    pub fn compare(self, new: &Schema, old: &Schema) -> Vec<(Reader, Incompatibility)> {
        let told =
            |reader: Reader, found: Vec<Incompatibility>| found.into_iter().map(move |one| (reader, one));
        let backward = || told(Reader::New, new.incompatibilities(old));
        let forward = || told(Reader::Old, old.incompatibilities(new));
        match self {
            Level::None => Vec::new(),
            Level::Backward | Level::BackwardTransitive => backward().collect(),
            Level::Forward | Level::ForwardTransitive => forward().collect(),
            Level::Full | Level::FullTransitive => backward().chain(forward()).collect(),
        }
    }

    /// What keeps `new` from following `old`, each as a message; nothing where it may.
    pub fn check(self, new: &Schema, old: &Schema) -> Vec<String> {
        let told = |(reader, found): (Reader, Incompatibility)| match reader {
            Reader::New => found.message("new", "old"),
            Reader::Old => found.message("old", "new"),
        };
        self.compare(new, old).into_iter().map(told).collect()
    }
}
