//! A policy, whole: every key of the register with its value.

mod house;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::duration::Span;

pub use house::*;

/// A policy. What a file does not say, its preset has said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// The version of the language: 1.
    pub candor_policy: u32,
    /// `tenant` or `vendor`.
    pub data_ownership: String,
    /// What the notice says of itself.
    pub notice: Notice,
    /// Who decides.
    pub controller: Controller,
    /// Web properties.
    #[serde(default, rename = "site")]
    pub sites: Vec<Site>,
    /// What is done, and how long it is kept.
    #[serde(rename = "activity")]
    pub activities: Vec<Activity>,
    /// What is collected.
    pub collect: Collect,
    /// How people agree.
    pub consent: Consent,
    /// Who a record is about.
    pub identity: Identity,
    /// What is struck.
    pub scrub: Scrub,
    /// Where data is.
    pub residency: Residency,
    /// Who else gets data.
    #[serde(default, rename = "recipient")]
    pub recipients: Vec<Recipient>,
    /// What is shared.
    pub sharing: Sharing,
    /// The rights of people.
    pub rights: Rights,
    /// How the house is run.
    pub governance: Governance,
}

/// `[notice]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    /// As the writer counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// A day, `2026-12-01`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effective: Option<String>,
    /// `en`, `de`.
    pub languages: Vec<String>,
    /// Where people write to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contact: Option<String>,
    /// The supervisory authority.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authority: Option<String>,
}

/// `[controller]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Controller {
    /// Who decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// ISO 3166-1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// The data protection officer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dpo: Option<String>,
    /// `controller` or `processor`, by `default`, `project:NAME`, `project:PREFIX/*`.
    pub role: BTreeMap<String, String>,
}

/// `[[site]]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Site {
    /// Its name; codes of people are of it.
    pub name: String,
    /// `https://shop.example`.
    pub origins: Vec<String>,
}

/// `[[activity]]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Activity {
    /// Its name.
    pub id: String,
    /// Its heading.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Signals that it does something with.
    pub signals: Vec<String>,
    /// Whom it is about.
    #[serde(default)]
    pub subjects: Vec<String>,
    /// Kinds of data.
    #[serde(default)]
    pub data_categories: Vec<String>,
    /// What it is used for.
    #[serde(default)]
    pub data_uses: Vec<String>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    /// `eu-gdpr:A6-1-f`.
    pub legal_basis: String,
    /// How long.
    pub retention: Retention,
}

impl Activity {
    /// True where people have to agree first.
    pub fn rests_on_consent(&self) -> bool {
        self.legal_basis == "eu-gdpr:A6-1-a"
    }

    /// True where it is the one for a signal: `stream:orders` before `stream:*`.
    fn names(&self, signal: &str) -> bool {
        self.signals.iter().any(|own| own == signal)
    }
}

/// How long something is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Retention {
    /// For readers.
    pub live: Span,
    /// How much later its bytes are gone.
    pub max_lag: Span,
    /// Copies.
    pub backups: Span,
    /// `fixed` or `account`.
    pub basis: String,
}

/// `[collect]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Collect {
    /// `scrub` or `drop`, by `default`, signal and `user_traits`.
    pub unknown_fields: BTreeMap<String, String>,
    /// Declared fields, by signal.
    #[serde(default)]
    pub fields: BTreeMap<String, Vec<String>>,
    /// Sources that records are completed from.
    pub enrichment: Vec<String>,
    /// Addresses.
    pub ip: Ip,
    /// `drop`, `family_only`, `keep`.
    pub user_agent: String,
    /// `drop`, `country`, `coarse`, `keep`.
    pub location: String,
    /// `drop`, `pseudonym`, `keep`.
    pub device_ids: String,
    /// Recordings.
    pub replay: Replay,
    /// Kafka topics; `*` is every other one.
    pub streams: BTreeMap<String, Stream>,
}

/// `collect.ip`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ip {
    /// `drop`, `generalise`, `vault`.
    pub action: String,
    /// Bits of an IPv4 address that stay.
    pub v4: u8,
    /// Bits of an IPv6 address that stay.
    pub v6: u8,
    /// What is kept in its place.
    pub derive: Vec<String>,
}

/// `collect.replay`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Replay {
    /// `mask`, `keep`.
    pub text: String,
    /// `never`, `allow_listed`.
    pub inputs: String,
    /// `block`, `keep`.
    pub media: String,
    /// Headers.
    pub request_headers: Vec<String>,
    /// `off`, `scrub`.
    pub bodies: String,
    /// `off`, `scrub`.
    pub console: String,
    /// `off`, `on`.
    pub canvas: String,
}

/// `collect.streams.TOPIC`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Stream {
    /// `allow`, `reject`; none as for `*`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opaque: Option<String>,
    /// How values are opened; none as the topic itself says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub values: Option<String>,
    /// `$.customer.id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject_key: Option<String>,
}

/// `[consent]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Consent {
    /// `opt_in`, `opt_out`, `implied`, by `default` and region.
    pub mode: BTreeMap<String, String>,
    /// `anonymous`, `identified`.
    pub no_cookie: String,
    /// Browsers' signals.
    pub signals: ConsentSignals,
    /// Children.
    pub children: Children,
}

/// `consent.signals`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConsentSignals {
    /// What Global Privacy Control does.
    pub gpc: Vec<String>,
    /// What Do Not Track does.
    pub dnt: Vec<String>,
    /// Whether they count more than a stored yes.
    pub beats_stored_consent: bool,
}

/// `consent.children`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Children {
    /// 0 for none.
    pub min_age: u8,
    /// `erase`, `drop`, `keep`.
    pub below: String,
    /// Whether a parent's consent lifts it.
    pub parental_consent: bool,
}

/// `[identity]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Identity {
    /// Fields that make a code.
    pub keys: Vec<String>,
    /// Whether an address makes one.
    pub ip_is_identity: bool,
    /// How codes are made.
    pub pseudonym: Pseudonym,
    /// `forbid`.
    pub cross_domain: String,
    /// `forbid`, `allow`.
    pub technical_to_identity: String,
}

/// `identity.pseudonym`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pseudonym {
    /// `hmac-sha256`.
    pub alg: String,
    /// `site`, `project`.
    pub scope: String,
    /// `per_subject_key`, `none`.
    pub vault: String,
}

/// `[scrub]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scrub {
    /// `drop_event`.
    pub on_error: String,
    /// Whether names are looked into.
    pub keys_too: bool,
    /// Encodings that are looked through.
    pub decode: Vec<String>,
    /// Rules, in order.
    #[serde(default, rename = "rule")]
    pub rules: Vec<Rule>,
    /// Exceptions.
    #[serde(default)]
    pub allow: Vec<Allow>,
}

/// `scrub.rule`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    /// Its name.
    pub id: String,
    /// Where.
    pub at: String,
    /// What.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub detect: Vec<String>,
    /// Or a regular expression.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// What takes its place.
    pub action: String,
}

/// `scrub.allow`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Allow {
    /// Where.
    pub at: String,
    /// Which detectors.
    pub detect: Vec<String>,
    /// Why.
    pub reason: String,
}

impl Policy {
    /// The activity that a signal is in: `logs`, `errors`, `spans`, or `stream:NAME`.
    pub fn activity(&self, signal: &str) -> Option<&Activity> {
        let named = self.activities.iter().find(|activity| activity.names(signal));
        named.or_else(|| {
            let any = signal.starts_with("stream:").then_some("stream:*")?;
            self.activities.iter().find(|activity| activity.names(any))
        })
    }

    /// What holds for a topic: its own entry, and for what that leaves open the one of `*`.
    pub fn stream(&self, topic: &str) -> Stream {
        let own = self.collect.streams.get(topic).cloned().unwrap_or_default();
        let rest = self.collect.streams.get("*").cloned().unwrap_or_default();
        Stream {
            opaque: own.opaque.or(rest.opaque),
            values: own.values.or(rest.values),
            subject_key: own.subject_key.or(rest.subject_key),
        }
    }

    /// `scrub` or `drop` for what no rule names of a signal, or of `user_traits`.
    pub fn unknown_fields(&self, of: &str) -> &str {
        let own = self.collect.unknown_fields.get(of).or_else(|| self.collect.unknown_fields.get("default"));
        own.map_or("drop", String::as_str)
    }

    /// Its JSON in one form: members by name, no spaces.
    pub fn canonical(&self) -> String {
        // Maps of the model are sorted, and its members have one order.
        serde_json::to_value(self).map(|value| value.to_string()).unwrap_or_default()
    }
}
