//! Rules as data: which detectors strike, where, and what happens to what they find.

/// What was found. It names the placeholder that the reader sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A payment card's number.
    Card,
    /// An international bank account number.
    Iban,
    /// A US social security number.
    Ssn,
    /// A password, token, cookie or other credential.
    Secret,
    /// A private key.
    PrivateKey,
    /// User name and password in a URL.
    UrlCredentials,
    /// An e-mail address.
    Email,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 7] = [
        Kind::Card,
        Kind::Iban,
        Kind::Ssn,
        Kind::Secret,
        Kind::PrivateKey,
        Kind::UrlCredentials,
        Kind::Email,
    ];

    /// The kind's name: `card`.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Card => "card",
            Kind::Iban => "iban",
            Kind::Ssn => "ssn",
            Kind::Secret => "secret",
            Kind::PrivateKey => "private_key",
            Kind::UrlCredentials => "url_credentials",
            Kind::Email => "email",
        }
    }

    /// What stands in place of what was found: `[card]`.
    pub fn placeholder(self) -> &'static str {
        match self {
            Kind::Card => "[card]",
            Kind::Iban => "[iban]",
            Kind::Ssn => "[ssn]",
            Kind::Secret => "[secret]",
            Kind::PrivateKey => "[private_key]",
            Kind::UrlCredentials => "[url_credentials]",
            Kind::Email => "[email]",
        }
    }
}

/// A way to find something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Detector {
    /// Payment cards: issuer ranges and Luhn's checksum.
    Card,
    /// IBANs: the length of the country and the checksum of ISO 13616.
    Iban,
    /// US social security numbers: with dashes, or beside a name that says so.
    SsnUs,
    /// Private keys in PEM, whole or cut, and as bare DER in base64.
    PrivateKey,
    /// What a name calls a secret: members, headers, cookies, parameters, `password=…` in text.
    SecretName,
    /// What looks like a credential by itself: JWT, `AKIA…`, `ghp_…`, `Bearer …` and their like.
    SecretShape,
    /// `scheme://user:password@host`.
    UrlCredentials,
    /// E-mail addresses in text.
    Email,
    /// The whole text, whatever it is: for rules that cut or blank what is at their place.
    Whole,
}

impl Detector {
    /// Every detector.
    pub const ALL: [Detector; 9] = [
        Detector::Card,
        Detector::Iban,
        Detector::SsnUs,
        Detector::PrivateKey,
        Detector::SecretName,
        Detector::SecretShape,
        Detector::UrlCredentials,
        Detector::Email,
        Detector::Whole,
    ];

    /// The name in a policy.
    pub fn name(self) -> &'static str {
        match self {
            Detector::Card => "card",
            Detector::Iban => "iban",
            Detector::SsnUs => "ssn_us",
            Detector::PrivateKey => "private_key",
            Detector::SecretName => "secrets:names",
            Detector::SecretShape => "secrets:shapes",
            Detector::UrlCredentials => "url_credentials",
            Detector::Email => "email",
            Detector::Whole => "whole",
        }
    }

    /// What it finds.
    pub fn kind(self) -> Kind {
        match self {
            Detector::Card => Kind::Card,
            Detector::Iban => Kind::Iban,
            Detector::SsnUs => Kind::Ssn,
            Detector::PrivateKey => Kind::PrivateKey,
            Detector::SecretName | Detector::SecretShape | Detector::Whole => Kind::Secret,
            Detector::UrlCredentials => Kind::UrlCredentials,
            Detector::Email => Kind::Email,
        }
    }
}

/// What happens to what was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// The kind's placeholder takes its place.
    Remove,
    /// This text takes its place.
    Replace(String),
    /// Letters and digits become `*`, but for the last few.
    Mask {
        /// How many characters at the end stay.
        keep_last: usize,
    },
    /// It is cut behind this many characters.
    Truncate {
        /// How many characters at the start stay.
        characters: usize,
    },
}

/// Where a rule holds. The policy language adds paths here; until then every rule holds everywhere.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Scope {
    /// In every text, number and key of a record.
    #[default]
    Everywhere,
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

/// Rules in order: the first that names a detector decides what happens to its hits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules(pub Vec<Rule>);

impl Default for Rules {
    /// What holds where no policy says otherwise. E-mail addresses in text are left to the policy.
    fn default() -> Rules {
        let rule = |id: &str, detectors: &[Detector]| Rule {
            id: id.to_owned(),
            detectors: detectors.to_vec(),
            action: Action::Remove,
            scope: Scope::Everywhere,
        };
        Rules(vec![
            rule("payment", &[Detector::Card, Detector::Iban, Detector::SsnUs]),
            rule(
                "secrets",
                &[
                    Detector::PrivateKey,
                    Detector::SecretName,
                    Detector::SecretShape,
                    Detector::UrlCredentials,
                ],
            ),
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
}
