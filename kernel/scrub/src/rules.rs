//! Rules as data: which detectors strike, where, and what happens to what they find.

mod action;
mod detector;
mod kind;

pub use action::Action;
pub use detector::Detector;
pub use kind::Kind;

use crate::Selector;

/// Most rules and exceptions. A policy of more cannot be read.
pub(crate) const RULES_MAX: usize = 200;
/// Most patterns of users.
pub(crate) const PATTERNS_MAX: usize = 64;

/// Where a rule holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Scope {
    /// In every text, number and key of a record.
    #[default]
    Everywhere,
    /// Where the selector says.
    At(Selector),
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Its name in the policy and in reports.
    pub id: String,
    /// What it looks for.
    pub detectors: Vec<Detector>,
    /// What happens to what is found.
    pub action: Action,
    /// Where it holds.
    pub scope: Scope,
}

/// An exception: where nothing is looked for that rules elsewhere remove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allow {
    /// Where.
    pub at: Selector,
    /// What is left alone there.
    pub detectors: Vec<Detector>,
}

/// A user's own pattern, named in rules as [`Detector::Pattern`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    /// Its name in the policy and in errors.
    pub id: String,
    /// A regular expression as the `regex` crate reads it: without look-around and back references, so that matching
    /// takes time in proportion to the text.
    pub expression: String,
}

/// An encoding that text is looked into for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// Escapes of JSON within text.
    Json,
    /// Percent-encoding.
    Url,
    /// Base64 of text.
    Base64,
}

impl Encoding {
    /// Every encoding.
    pub const ALL: [Encoding; 3] = [Encoding::Json, Encoding::Url, Encoding::Base64];

    /// The name in a policy.
    pub fn name(self) -> &'static str {
        match self {
            Encoding::Json => "json",
            Encoding::Url => "url",
            Encoding::Base64 => "base64",
        }
    }

    /// The encoding of that name.
    pub fn by_name(name: &str) -> Option<Encoding> {
        Encoding::ALL.into_iter().find(|encoding| encoding.name() == name)
    }
}

/// Rules in order: the first that holds at a place and names a detector decides what happens to its hits there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// The rules.
    pub rules: Vec<Rule>,
    /// Exceptions from all of them.
    pub allow: Vec<Allow>,
    /// Patterns that rules name by their place here.
    pub patterns: Vec<Pattern>,
    /// Whether names of members are scrubbed as well as their values.
    pub keys_too: bool,
    /// Which encodings are looked into.
    pub decode: Vec<Encoding>,
}

impl Rules {
    /// These rules, everywhere, without exceptions.
    pub fn of(rules: Vec<Rule>) -> Rules {
        Rules {
            rules,
            allow: Vec::new(),
            patterns: Vec::new(),
            keys_too: true,
            decode: Encoding::ALL.to_vec(),
        }
    }
}

impl Default for Rules {
    /// What holds where no policy says otherwise. E-mail addresses in text are left to the policy.
    fn default() -> Rules {
        let rule = |id: &str, detectors: &[Detector]| Rule {
            id: id.to_owned(),
            detectors: detectors.to_vec(),
            action: Action::Remove,
            scope: Scope::Everywhere,
        };
        let secrets =
            [Detector::PrivateKey, Detector::SecretName, Detector::SecretShape, Detector::UrlCredentials];
        Rules::of(vec![
            rule("payment", &[Detector::Card, Detector::Iban, Detector::SsnUs]),
            rule("secrets", &secrets),
        ])
    }
}

/// Why rules are refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// Two rules of one name could not be told apart in a report.
    #[error("two rules are called `{0}`")]
    Duplicate(String),
    /// The replacement would be struck itself, so scrubbing would not be idempotent.
    #[error("rule `{0}`: the replacement itself contains what the rules remove")]
    ReplacementStrikes(String),
    /// More rules and exceptions than are taken.
    #[error("{0} rules and exceptions, more than {RULES_MAX}; join those of one action")]
    TooMany(usize),
    /// More patterns than are taken.
    #[error("{0} patterns, more than {PATTERNS_MAX}; join some with `|`")]
    TooManyPatterns(usize),
    /// A pattern that cannot be used.
    #[error("pattern `{id}`: {why}")]
    Pattern {
        /// Its name.
        id: String,
        /// What is wrong, in one line.
        why: String,
    },
    /// A rule or exception that names a pattern that there is not.
    #[error("`{0}` names a pattern that there is not")]
    NoPattern(String),
}
