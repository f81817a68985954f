//! How often something was struck, for the record's report and the instance's metrics.

use crate::Kind;

/// Hits by rule and by kind. Adding up is all it can do: it never holds what was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// One row a rule, in the order of the rules; a row that is missing is zero.
    rows: Vec<[u64; Kind::ALL.len()]>,
}

impl Counts {
    /// Nothing struck yet.
    pub fn new() -> Counts {
        Counts::default()
    }

    /// Counts one hit of the rule at that place in [`crate::Rules`].
    pub(crate) fn add(&mut self, rule: usize, kind: Kind) {
        if self.rows.len() <= rule {
            self.rows.resize(rule + 1, [0; Kind::ALL.len()]);
        }
        if let Some(cell) = self.rows.get_mut(rule).and_then(|row| row.get_mut(kind as usize)) {
            *cell += 1;
        }
    }

    /// Adds the hits of `other`, which came from the same rules.
    pub fn merge(&mut self, other: &Counts) {
        if self.rows.len() < other.rows.len() {
            self.rows.resize(other.rows.len(), [0; Kind::ALL.len()]);
        }
        for (row, more) in self.rows.iter_mut().zip(&other.rows) {
            for (cell, more) in row.iter_mut().zip(more) {
                *cell += more;
            }
        }
    }

    /// Hits over all rules and kinds.
    pub fn total(&self) -> u64 {
        self.rows.iter().flatten().sum()
    }

    /// True where nothing was struck.
    pub fn is_empty(&self) -> bool {
        self.total() == 0
    }

    /// Hits of each kind that was struck.
    pub fn by_kind(&self) -> impl Iterator<Item = (Kind, u64)> {
        Kind::ALL
            .into_iter()
            .map(|kind| (kind, self.rows.iter().filter_map(|row| row.get(kind as usize)).sum()))
            .filter(|(_, hits)| *hits > 0)
    }

    /// Hits of each rule that struck, by its place in [`crate::Rules`].
    pub fn by_rule(&self) -> impl Iterator<Item = (usize, u64)> {
        self.rows.iter().map(|row| row.iter().sum()).enumerate().filter(|(_, hits)| *hits > 0)
    }
}
