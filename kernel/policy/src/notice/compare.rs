//! What two versions of a page say differently.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Notice, Sentence};
use crate::diff::{ChangeClass, diff};

/// What became of a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SentenceChangeKind {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It says something else.
    Changed,
}

/// A sentence that is not in both versions as it is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SentenceChange {
    /// The sentence.
    pub id: String,
    /// What became of it.
    pub kind: SentenceChangeKind,
    /// What it said.
    pub before: Option<String>,
    /// What it says.
    pub after: Option<String>,
    /// The keys behind it that changed, each with the way that it went.
    pub keys: Vec<(String, ChangeClass)>,
}

/// The sentences that differ, in the order of the newer page, what is gone last.
pub fn compare(old: &Notice, new: &Notice) -> Vec<SentenceChange> {
    let changes = diff(&old.policy, &new.policy);
    let before: BTreeMap<&str, &Sentence> = old.sentences().map(|one| (one.id.as_str(), one)).collect();
    let after: BTreeMap<&str, &Sentence> = new.sentences().map(|one| (one.id.as_str(), one)).collect();
    let change = |kind, before: Option<&Sentence>, after: Option<&Sentence>| {
        let both = || before.into_iter().chain(after);
        let is_of = |key: &str| both().any(|sentence| sentence.keys.iter().any(|own| meets(own, key)));
        let keys = changes.iter().filter(|change| is_of(&change.key));
        SentenceChange {
            id: both().next().map(|sentence| sentence.id.clone()).unwrap_or_default(),
            kind,
            before: before.map(|sentence| sentence.text.clone()),
            after: after.map(|sentence| sentence.text.clone()),
            keys: keys.map(|change| (change.key.clone(), change.class)).collect(),
        }
    };
    let mut found = Vec::new();
    for sentence in new.sentences() {
        match before.get(sentence.id.as_str()) {
            None => found.push(change(SentenceChangeKind::Added, None, Some(sentence))),
            Some(old) if old.text != sentence.text => {
                found.push(change(SentenceChangeKind::Changed, Some(old), Some(sentence)));
            }
            Some(_) => {}
        }
    }
    let gone = old.sentences().filter(|sentence| !after.contains_key(sentence.id.as_str()));
    found.extend(gone.map(|sentence| change(SentenceChangeKind::Removed, Some(sentence), None)));
    found
}

/// A sentence's key, and a key that changed: the same, or one lies in the other, as an item's members do.
fn meets(own: &str, changed: &str) -> bool {
    let is_below = |inner: &str, outer: &str| {
        inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    is_below(own, changed) || is_below(changed, own)
}
