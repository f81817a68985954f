//! The policy, typed and complete: what the gate, retention, the reader and the notice are compiled from.
//!
//! Serialised, it has the very form of `policy.toml`, and reads back as the same policy.

mod action;
mod activity;
mod collect;
mod consent;
mod duration;
mod governance;
mod identity;
mod notice;
mod places;
mod rights;
mod scrub;
mod words;
mod written;

pub use action::Action;
pub use activity::{Activity, Retention, RetentionBasis};
pub use collect::{
    Collect, DeviceIds, Ip, IpAction, IpDerived, Location, Opaque, ReplayChannel, ReplayChannels,
    ReplayInputs, ReplayMedia, ReplayText, Topic, UnknownField, UnknownFields, UserAgent, Values,
};
pub use consent::{BelowAge, BrowserSignals, Children, Consent, ConsentMode, NoCookie, Switch};
pub use duration::Duration;
pub use governance::{
    AtRest, Breach, BreachSubjects, ChangeNotice, Changes, Governance, LegalRequests, LooseningAppliesTo,
    NotifySubject, OnOff, Reads, Report, Requirement, RoleSees, Security, Telemetry, TransferChoice,
    TransferOfControl,
};
pub use identity::{Identity, Joining, Pseudonym, PseudonymAlgorithm, PseudonymScope, Vault};
pub use notice::{Controller, Notice, Ownership, Role, Site};
pub use places::{Aggregates, Disclosure, Recipient, RecipientList, Residency, Sharing};
pub use rights::{
    Access, AccessFormat, ErasedBackups, Erasure, Receipt, Rectification, RefuseCode, Restriction, Rights,
    Verification,
};
pub use scrub::{Allow, Decode, OnError, Rule, Scrub, ScrubError};

use serde::{Deserialize, Serialize};

/// A whole policy, nothing left open.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// The version of the language: 1.
    pub candor_policy: u32,
    /// Whose the data are.
    pub data_ownership: Ownership,
    /// The page.
    pub notice: Notice,
    /// Who answers for it.
    pub controller: Controller,
    /// Web properties.
    #[serde(rename = "site", default, skip_serializing_if = "Vec::is_empty")]
    pub sites: Vec<Site>,
    /// What is done with which records.
    #[serde(rename = "activity")]
    pub activities: Vec<Activity>,
    /// What is collected.
    pub collect: Collect,
    /// Consent.
    pub consent: Consent,
    /// Who is known by what.
    pub identity: Identity,
    /// What is removed.
    pub scrub: Scrub,
    /// Where data are.
    pub residency: Residency,
    /// Who else gets them.
    #[serde(rename = "recipient", default, skip_serializing_if = "Vec::is_empty")]
    pub recipients: Vec<Recipient>,
    /// What is handed on.
    pub sharing: Sharing,
    /// What people may ask for.
    pub rights: Rights,
    /// How the operator acts.
    pub governance: Governance,
}

impl Policy {
    /// The activity that the records of a signal are of: `logs`, `stream:orders`. A topic that none names is of
    /// `stream:*`.
    pub fn activity_of(&self, signal: &str) -> Option<&Activity> {
        let named = |name: &str| {
            self.activities.iter().find(|activity| activity.signals.iter().any(|signal| signal == name))
        };
        named(signal).or_else(|| signal.starts_with("stream:").then(|| named("stream:*")).flatten())
    }
}
