//! Where data is, who gets it, the rights of people, and how the house is run.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::duration::Span;

/// `[residency]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Residency {
    /// Where data is.
    pub regions: Vec<String>,
    /// Where copies are.
    pub replicas: Vec<String>,
    /// From where it may be read.
    pub viewers: Vec<String>,
    /// The countries of the regions.
    #[serde(default)]
    pub countries: Vec<String>,
}

/// `[[recipient]]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recipient {
    /// A short name.
    pub id: String,
    /// Who.
    pub name: String,
    /// Where.
    pub country: String,
    /// `dpv:DataSubProcessor`.
    pub role: String,
    /// For what.
    #[serde(default)]
    pub uses: Vec<String>,
    /// Addresses.
    #[serde(default)]
    pub endpoints: Vec<String>,
    /// What allows the transfer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transfer: Option<String>,
    /// What of a record.
    #[serde(default)]
    pub fields: Vec<String>,
}

/// `[sharing]`: `never`, `with_consent`, `allowed`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sharing {
    /// Selling.
    pub sale: String,
    /// Advertisements.
    pub ads: String,
    /// Partners.
    pub partners: String,
    /// Affiliates.
    pub affiliates: String,
    /// Single records.
    pub events: String,
    /// Requests for support.
    pub publish_support_requests: String,
    /// Sums.
    pub aggregates: Aggregates,
}

/// `sharing.aggregates`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Aggregates {
    /// Who gets them.
    pub to: Vec<String>,
    /// The least people behind one.
    pub k: u32,
    /// The noise budget of a year.
    pub epsilon_year: f64,
}

/// `[rights]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rights {
    /// By `default` and region.
    pub deadline: BTreeMap<String, Span>,
    /// By when a request is confirmed.
    pub ack: Span,
    /// How people prove who they are.
    pub verify: Vec<String>,
    /// Why a request may be refused.
    pub refuse_codes: Vec<String>,
    /// Copies.
    pub access: Access,
    /// `self_service`, `on_request`.
    pub rectification: String,
    /// `store_only`, `none`.
    pub restriction: String,
    /// Erasure.
    pub erasure: Erasure,
}

/// `rights.access`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Access {
    /// How it is given.
    pub format: Vec<String>,
    /// Whether it says who read.
    pub include_access_log: bool,
}

/// `rights.erasure`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Erasure {
    /// By when hidden.
    pub hide: Span,
    /// By when keys are destroyed.
    pub keys: Span,
    /// By when bytes are gone.
    pub live: Span,
    /// `shred`, `exempt`.
    pub backups: String,
    /// `signed`, `none`.
    pub receipt: String,
}

/// `[governance]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Governance {
    /// Disclosure to authorities.
    pub legal_requests: LegalRequests,
    /// Breaches.
    pub breach: Breach,
    /// Changes of the policy.
    pub changes: Changes,
    /// A new owner.
    pub transfer_of_control: TransferOfControl,
    /// Reads.
    pub reads: Reads,
    /// What the program tells others.
    pub telemetry: Telemetry,
    /// Security.
    pub security: Security,
}

/// `governance.legal_requests`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LegalRequests {
    /// How many approve.
    pub approvers: u8,
    /// `unless_gagged`, `never`.
    pub notify_subject: String,
    /// `yearly`, `never`.
    pub report: String,
}

/// `governance.breach`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Breach {
    /// Hours.
    pub authority_hours: u32,
    /// Hours.
    pub processor_to_controller_hours: u32,
    /// `always`, `high_risk`.
    pub subjects: String,
}

/// `governance.changes`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Changes {
    /// How they are announced.
    pub notice: Vec<String>,
    /// Days.
    pub prior_days: u16,
    /// Days.
    pub subprocessor_days: u16,
    /// `new_data`.
    pub loosening_applies_to: String,
}

/// `governance.transfer_of_control`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TransferOfControl {
    /// Days.
    pub notice_days: u16,
    /// `export`, `erase`.
    pub choices: Vec<String>,
}

/// `governance.reads`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reads {
    /// Whether reads are on record.
    pub ledger: bool,
    /// Whether showing a value takes a reason.
    pub reveal_needs_reason: bool,
    /// `tokens`, `reveal`, `all`, by role.
    pub roles: BTreeMap<String, String>,
}

/// `governance.telemetry`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Telemetry {
    /// `off`.
    #[serde(rename = "self")]
    pub own: String,
    /// Mails.
    pub email_open_tracking: bool,
    /// Pages.
    pub third_party_embeds: Vec<String>,
}

/// `governance.security`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Security {
    /// `required`, `optional`.
    pub tls: String,
    /// `required`, `optional`.
    pub second_factor: String,
    /// `per_file_keys`, `off`.
    pub at_rest: String,
}
