//! The identifiers of one batch: their codes, and which record has which.

use std::collections::HashMap;
use std::sync::Arc;

use candor_keyring::{Identity, Keyring};
use candor_model::{ProjectId, Subject, SubjectKind};
use candor_scrub::{Counts, Kind, Scrubber};

use super::names::{Class, classify};

/// Identifiers kept of one record. A record of more is a list of people, not a record of one; the rest leaves the
/// record without a code.
const IDENTIFIERS_MAX: usize = 64;

/// Names whose class is remembered within a batch.
const NAMES_MAX: usize = 4096;

/// What an identifier becomes.
pub(super) enum Replacement {
    /// Its code.
    Code(String),
    /// A placeholder: a rule struck the value, or there were too many.
    Text(String),
}

impl Replacement {
    pub(super) fn into_text(self) -> String {
        match self {
            Replacement::Code(text) | Replacement::Text(text) => text,
        }
    }
}

/// Makes codes for one batch and remembers them.
pub(super) struct Coder<'a> {
    keyring: &'a Keyring,
    scrubber: &'a Scrubber,
    project: ProjectId,
    site: Option<&'a str>,
    codes: HashMap<(SubjectKind, String), Arc<str>>,
    classes: HashMap<String, Class>,
}

impl<'a> Coder<'a> {
    pub(super) fn new(
        keyring: &'a Keyring,
        scrubber: &'a Scrubber,
        project: ProjectId,
        site: Option<&'a str>,
    ) -> Coder<'a> {
        Coder { keyring, scrubber, project, site, codes: HashMap::new(), classes: HashMap::new() }
    }

    /// The rules of the batch's policy.
    pub(super) fn scrubber(&self) -> &'a Scrubber {
        self.scrubber
    }

    /// What a name says; the names of a batch repeat, so the answer is remembered.
    pub(super) fn class(&mut self, path: &str) -> Class {
        if let Some(class) = self.classes.get(path) {
            return *class;
        }
        let class = classify(path);
        if self.classes.len() < NAMES_MAX {
            self.classes.insert(path.to_owned(), class);
        }
        class
    }

    /// Takes an identifier of a record: it is remembered in `found`, and what takes its place is given. A value
    /// that a rule strikes (a card number as user id) makes no code: the vault would hold what nobody may.
    pub(super) fn take(
        &mut self,
        kind: SubjectKind,
        value: &str,
        counts: &mut Counts,
        found: &mut Found,
    ) -> Replacement {
        let value = unquote(value);
        let mut struck = Counts::new();
        if let Some(clean) = self.scrubber.scrub_str(value, &mut struck) {
            let harmless =
                kind == SubjectKind::Email && struck.by_kind().all(|(kind, _)| kind == Kind::Email);
            if !harmless {
                counts.merge(&struck);
                return Replacement::Text(clean);
            }
        }
        let code = self.code(kind, value);
        if !found.add(Identity { code: code.to_string(), subject: Subject { kind, value: value.to_owned() } })
        {
            return Replacement::Text(format!("[{}]", kind.name()));
        }
        Replacement::Code(code.to_string())
    }

    fn code(&mut self, kind: SubjectKind, value: &str) -> Arc<str> {
        let name = (kind, value.to_owned());
        if let Some(code) = self.codes.get(&name) {
            return Arc::clone(code);
        }
        let subject = Subject { kind, value: value.to_owned() };
        let code: Arc<str> = self.keyring.code(self.project, self.site, &subject).into();
        self.codes.insert(name, Arc::clone(&code));
        code
    }
}

/// Text as it was before a language quoted it: frame variables of Python come as `'alice'`.
fn unquote(value: &str) -> &str {
    let value = value.trim();
    ['\'', '"']
        .iter()
        .find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote))
        .filter(|inner| !inner.is_empty())
        .unwrap_or(value)
}

/// The identifiers of one record.
#[derive(Debug, Default)]
pub(crate) struct Found {
    identities: Vec<Identity>,
    mentions: Vec<String>,
    /// True where a code took the place of a repeated identifier.
    repeated: bool,
    /// Identifiers that left the record, by kind; the last is addresses.
    pub(crate) removed: Removed,
}

/// How many values left a record.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Removed {
    pub(crate) identifiers: u64,
    pub(crate) addresses: u64,
    pub(crate) traits: u64,
}

impl Found {
    /// False where the record has too many already.
    pub(super) fn add(&mut self, identity: Identity) -> bool {
        self.removed.identifiers += 1;
        if self.identities.iter().any(|known| known.code == identity.code) {
            return true;
        }
        if self.identities.len() >= IDENTIFIERS_MAX {
            return false;
        }
        self.identities.push(identity);
        true
    }

    /// A code took the place of an identifier in the record's text; it may be of somebody that another record of the
    /// batch named.
    pub(super) fn repeat(&mut self, code: &str) {
        self.repeated = true;
        let known = self.identities.iter().any(|identity| identity.code == code)
            || self.mentions.iter().any(|mention| mention == code);
        if !known && self.mentions.len() < IDENTIFIERS_MAX {
            self.mentions.push(code.to_owned());
        }
    }

    /// True where a code took the place of a repeated identifier.
    pub(crate) fn is_repeated(&self) -> bool {
        self.repeated
    }

    /// True where the record has this code itself.
    pub(super) fn has(&self, code: &str) -> bool {
        self.identities.iter().any(|identity| identity.code == code)
    }

    /// Orders the identifiers as they name the row: user id, e-mail, name, device, session, replay.
    pub(crate) fn order(&mut self) {
        self.identities.sort_by_key(|identity| identity.subject.kind);
    }

    /// True where nobody was found.
    pub(crate) fn is_empty(&self) -> bool {
        self.identities.is_empty()
    }

    /// The identifiers, the one that names the row first.
    pub(crate) fn identities(&self) -> &[Identity] {
        &self.identities
    }

    /// The code that names the row.
    pub(crate) fn subject(&self) -> Option<&str> {
        self.identities.first().map(|identity| identity.code.as_str())
    }

    /// Every code in the row.
    pub(crate) fn subjects(&self) -> impl Iterator<Item = &str> {
        let own = self.identities.iter().map(|identity| identity.code.as_str());
        own.chain(self.mentions.iter().map(String::as_str))
    }
}
