//! Figures that stand beside sentences.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Sentence;

/// A figure, and when it was taken.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figure {
    /// In words, in the language of the page: `oldest row 29 d 21 h`.
    pub text: String,
    /// The number alone, for machines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<f64>,
    /// When it was taken (RFC 3339).
    pub at: String,
    /// Its entry in the ledger.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ledger: Option<u64>,
}

/// The figures of a moment, by key (`activity.errors.retention.live`) or by what measures or enforces (`retention`).
#[derive(Debug, Clone, Default)]
pub struct Evidence(BTreeMap<String, Figure>);

impl Evidence {
    /// None yet.
    pub fn new() -> Evidence {
        Evidence::default()
    }

    /// Adds a figure.
    pub fn insert(&mut self, of: impl Into<String>, figure: Figure) {
        self.0.insert(of.into(), figure);
    }

    /// The figures of a sentence: of its keys, else of what measures them.
    pub fn of(&self, sentence: &Sentence) -> Vec<&Figure> {
        let own: Vec<&Figure> = sentence.keys.iter().filter_map(|key| self.0.get(key)).collect();
        if !own.is_empty() {
            return own;
        }
        sentence.by.iter().filter_map(|by| self.0.get(*by)).collect()
    }
}
