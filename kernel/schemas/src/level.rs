//! Levels of compatibility: which earlier schemas a new one is held against, and which way.

use crate::{Incompatibility, Schema};

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

    /// What keeps `new` from following `old`, each as a message; nothing where it may.
    pub fn check(self, new: &Schema, old: &Schema) -> Vec<String> {
        let told = |found: Vec<Incompatibility>, reader: &str, writer: &str| {
            found.iter().map(|one| one.message(reader, writer)).collect::<Vec<_>>()
        };
        let backward = || told(new.incompatibilities(old), "new", "old");
        let forward = || told(old.incompatibilities(new), "old", "new");
        match self {
            Level::None => Vec::new(),
            Level::Backward | Level::BackwardTransitive => backward(),
            Level::Forward | Level::ForwardTransitive => forward(),
            Level::Full | Level::FullTransitive => {
                let mut all = backward();
                all.extend(forward());
                all
            }
        }
    }
}
