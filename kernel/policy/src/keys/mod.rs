//! The register of keys: the one description of the language.
//!
//! A path has names, `{topic}` for a name of the writer's choice, and `[id]` for an item of a list of tables that is told
//! from the others by that member: `activity.[id].retention.live`.

mod collect;
mod governance;
mod people;
mod scrub;
mod shape;
mod who;

use std::sync::OnceLock;

use serde::Serialize;

pub(crate) use shape::{Shape, shape};

/// The register as a tree.
pub(crate) fn root() -> &'static Shape {
    shape()
}

/// What a key takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Takes {
    /// Any text that is not empty.
    Text,
    /// One of these; for [`Order::FirstIsStrictest`] the strictest first.
    Word(&'static [&'static str]),
    /// A list of these.
    Words(&'static [&'static str]),
    /// A list of texts.
    Texts,
    /// A whole number of this range.
    Int(i64, i64),
    /// A number of at least this.
    Number(f64),
    /// True or false.
    Bool,
    /// A span of time: `30d`.
    Span,
    /// A day: `2026-12-01`.
    Date,
    /// A term of a vocabulary.
    Term(Vocabulary),
    /// A list of such terms.
    Terms(Vocabulary),
}

/// Vocabularies of others: their terms are names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vocabulary {
    /// fideslang's data categories (CC BY 4.0, Ethyca).
    DataCategory,
    /// fideslang's data uses.
    DataUse,
    /// fideslang's data subjects.
    DataSubject,
    /// DPV 2.3, purposes.
    Purpose,
    /// DPV 2.3, roles of recipients.
    RecipientRole,
    /// DPV's `eu-gdpr` extension: legal bases of Art. 6.
    LegalBasis,
    /// The same: tools of Art. 45 and 46 for transfers.
    Transfer,
    /// ISO 3166-1 alpha-2, and the regions of consent: `EEA`, `UK`.
    Region,
}

/// Which of two values is the stricter one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Neither: it changes what is said, not what is done with data.
    Neutral,
    /// Of words, the one that stands first.
    FirstIsStrictest,
    /// The smaller number, the shorter time, the list with less in it.
    LessIsStricter,
    /// The larger number, the longer time, the list with more in it.
    MoreIsStricter,
    /// `true`.
    TrueIsStricter,
    /// `false`.
    FalseIsStricter,
    /// It cannot be told: any change is announced.
    Unordered,
}

/// Who vouches for the sentence that a key stands behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Class {
    /// The server refuses otherwise.
    Enforced,
    /// A figure, with its time.
    Measured,
    /// A person's promise.
    Attested,
}

/// A key of the policy.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Its path.
    pub path: &'static str,
    /// What it takes; none for an item of a list of tables, or of a table of free names, as such.
    pub takes: Option<Takes>,
    /// Which of two values is the stricter one; of an item, whether having it is.
    pub order: Order,
    /// What it is, for editors and faults.
    pub what: &'static str,
    /// Who vouches for it.
    pub class: Class,
    /// What enforces it (the code's path), or what measures it.
    pub by: &'static str,
    /// False while the feature behind it is not built.
    pub in_force: bool,
    /// Clauses of published policies that it carries.
    pub clauses: &'static [&'static str],
    /// It must be there in each item.
    pub required: bool,
}

const fn key(path: &'static str, takes: Takes, order: Order, what: &'static str) -> Key {
    Key {
        path,
        takes: Some(takes),
        order,
        what,
        class: Class::Attested,
        by: "",
        in_force: true,
        clauses: &[],
        required: false,
    }
}

const fn item(path: &'static str, order: Order, what: &'static str) -> Key {
    Key { takes: None, ..key(path, Takes::Text, order, what) }
}

impl Key {
    const fn enforced(self, by: &'static str) -> Key {
        Key { class: Class::Enforced, by, ..self }
    }

    const fn measured(self, by: &'static str) -> Key {
        Key { class: Class::Measured, by, ..self }
    }

    /// Enforced, or measured, once it is built.
    const fn not_yet(self) -> Key {
        Key { in_force: false, ..self }
    }

    const fn clauses(self, clauses: &'static [&'static str]) -> Key {
        Key { clauses, ..self }
    }

    const fn required(self) -> Key {
        Key { required: true, ..self }
    }
}

/// Every key.
pub fn all() -> &'static [Key] {
    static ALL: OnceLock<Vec<Key>> = OnceLock::new();
    ALL.get_or_init(|| {
        let parts = [who::KEYS, collect::KEYS, people::KEYS, scrub::KEYS, governance::KEYS];
        parts.into_iter().flatten().copied().collect()
    })
}

/// The key of a path of a policy: `activity.errors.retention.live` is `activity.[id].retention.live`.
pub fn of(path: &[String]) -> Option<&'static Key> {
    let mut at = shape();
    for name in path {
        at = at.child(name)?;
    }
    at.key
}

/// Values that are not in force though their keys are: what another value of the key asks for is done, and this is not.
pub const VALUES_NOT_IN_FORCE: &[(&str, &str)] = &[
    // Records of children are refused; what there was of them before is not erased yet.
    ("consent.children.below", "erase"),
];

/// Those that are not in force.
pub fn not_in_force() -> impl Iterator<Item = &'static Key> {
    all().iter().filter(|key| !key.in_force)
}
