//! The rules that the gate clears by, as plain data, and compiled.
//!
//! [`compile`] makes them of a policy that is written in the policy language. [`Policy::default`] is what holds where
//! there is none. An instance has one policy, and projects may have their own ([`Policies`]); every batch says under
//! which epoch it was cleared.

mod activity;
mod compile;
mod consent;
mod region;

pub use activity::{Activities, Activity};
pub use compile::{CompileError, compile};
pub use consent::{ConsentRules, Mode, Switches};
pub(crate) use consent::{Stance, Will};
pub(crate) use region::country;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use candor_model::{Origin, PolicyEpoch, ProjectId, Signal, SubjectKind};
use candor_scrub::{RuleError, Rules, Scrubber};

use crate::ValuesMode;

/// What happens to fields that no rule names (`collect.unknown_fields` of the policy).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UnknownFields {
    /// They stay, after the detectors.
    #[default]
    Scrub,
    /// They go.
    Drop,
}

/// What happens to addresses of people's machines (`collect.ip`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressRule {
    /// A placeholder takes their place.
    Drop,
    /// Their networks take their place.
    Generalise {
        /// Bits that stay of an address of version 4.
        v4: u8,
        /// Bits that stay of one of version 6.
        v6: u8,
    },
    /// They leave the row for the vault, beside the identifiers of their person.
    Keep,
}

/// What happens to what a browser or client calls itself (`collect.user_agent`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgentRule {
    /// It stays.
    Keep,
    /// Its family and major version stay: `Firefox 126`.
    FamilyOnly,
    /// It goes.
    Drop,
}

/// What happens to where a person is (`collect.location`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LocationRule {
    /// It stays.
    Keep,
    /// Coordinates stay to one decimal, some ten kilometres; what is finer than a city goes.
    OneDecimal,
    /// The country stays.
    Country,
    /// It goes.
    Drop,
}

/// What happens to ids of devices (`collect.device_ids`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceRule {
    /// They stay as they are, and name nobody.
    Keep,
    /// A code takes their place.
    Pseudonym,
    /// They go.
    Drop,
}

/// What happens to records of people who say that they are too young (`consent.children.below`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TooYoung {
    /// They stay.
    Kept,
    /// They are dropped.
    Dropped,
    /// They are dropped, and what is stored of the person is to go.
    Erased,
}

/// Something for each signal.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BySignal<T> {
    /// Of log records.
    pub logs: T,
    /// Of error events.
    pub errors: T,
    /// Of spans.
    pub spans: T,
}

impl<T> BySignal<T> {
    /// That of a signal.
    pub fn of(&self, signal: Signal) -> &T {
        match signal {
            Signal::Logs => &self.logs,
            Signal::Errors => &self.errors,
            Signal::Spans => &self.spans,
        }
    }
}

/// `[collect]` of a policy, but for streams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collect {
    /// Fields that nobody documents.
    pub unknown: BySignal<UnknownFields>,
    /// Fields that are known beside those (`collect.fields`): dotted names.
    pub fields: BySignal<Vec<String>>,
    /// What becomes of the traits of a user beside the identifiers (`user.plan`, `user.data`).
    pub user_traits: UnknownFields,
    /// Addresses.
    pub address: AddressRule,
    /// The country that a sender or a trusted proxy states is noted (`ip.derive`).
    pub derives_country: bool,
    /// User agents.
    pub agent: AgentRule,
    /// Location.
    pub location: LocationRule,
    /// Ids of devices.
    pub device_ids: DeviceRule,
}

impl Default for Collect {
    fn default() -> Collect {
        Collect {
            unknown: BySignal::default(),
            fields: BySignal::default(),
            user_traits: UnknownFields::Drop,
            address: AddressRule::Drop,
            derives_country: false,
            agent: AgentRule::Keep,
            location: LocationRule::Keep,
            device_ids: DeviceRule::Pseudonym,
        }
    }
}

/// `[identity]` of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityRules {
    /// What makes codes. Identifiers of other kinds leave records without one.
    pub kinds: Vec<SubjectKind>,
    /// Names of the policy's own that say a user's id: `customer.ref`.
    pub names: Vec<String>,
    /// Codes are scoped to the site, where one is known; else to the project.
    pub scoped_to_site: bool,
    /// The vault keeps the values that codes stand for; else nobody does.
    pub keeps_values: bool,
}

impl Default for IdentityRules {
    fn default() -> IdentityRules {
        IdentityRules {
            kinds: SubjectKind::ALL.to_vec(),
            names: Vec::new(),
            scoped_to_site: true,
            keeps_values: true,
        }
    }
}

/// A web property (`[[site]]`): codes are scoped to it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Site {
    /// Its name.
    pub name: String,
    /// Origins of its pages: `https://shop.example`.
    pub origins: Vec<String>,
    /// Public keys of the DSNs that it sends to.
    pub keys: Vec<String>,
}

/// What holds for a topic of streams (`collect.streams`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicRules {
    /// How values are opened. A topic's own setting may narrow it.
    pub values: ValuesMode,
    /// Values that cannot be opened are stored as they were sent; else they are refused.
    pub takes_opaque: bool,
    /// Where a value names its person: `customer.id`.
    pub subject_key: Option<String>,
    /// The only members of values that are kept; none keeps all.
    pub fields: Option<Vec<String>>,
}

impl Default for TopicRules {
    fn default() -> TopicRules {
        TopicRules { values: ValuesMode::Auto, takes_opaque: true, subject_key: None, fields: None }
    }
}

/// The rules of one policy.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Its version; batches carry it.
    pub epoch: PolicyEpoch,
    /// What is scrubbed.
    pub rules: Rules,
    /// Which activities there are.
    pub activities: Activities,
    /// Consent.
    pub consent: ConsentRules,
    /// Who says that they are younger is too young (`consent.children.min_age`).
    pub min_age: Option<u32>,
    /// What happens to their records.
    pub too_young: TooYoung,
    /// A parent's consent lifts that.
    pub parents_may_consent: bool,
    /// What is collected.
    pub collect: Collect,
    /// Who is known by what.
    pub identity: IdentityRules,
    /// Web properties.
    pub sites: Vec<Site>,
    /// Topics of streams by name.
    pub topics: BTreeMap<String, TopicRules>,
    /// What holds for all other topics.
    pub other_topics: TopicRules,
}

impl Default for Policy {
    /// What holds where no policy says otherwise.
    fn default() -> Policy {
        Policy {
            epoch: PolicyEpoch(1),
            rules: Rules::default(),
            activities: Activities::default(),
            consent: ConsentRules::default(),
            min_age: None,
            too_young: TooYoung::Erased,
            parents_may_consent: false,
            collect: Collect::default(),
            identity: IdentityRules::default(),
            sites: Vec::new(),
            topics: BTreeMap::new(),
            other_topics: TopicRules::default(),
        }
    }
}

/// A policy, ready to clear.
#[derive(Default)]
pub struct Compiled {
    pub(crate) policy: Policy,
    pub(crate) scrubber: Scrubber,
}

impl Compiled {
    /// Makes a policy ready.
    pub fn new(policy: Policy) -> Result<Compiled, RuleError> {
        let scrubber = Scrubber::new(policy.rules.clone())?;
        Ok(Compiled { policy, scrubber })
    }

    /// Its version.
    pub fn epoch(&self) -> PolicyEpoch {
        self.policy.epoch
    }

    /// What its activities say, also for how long.
    pub fn activities(&self) -> &Activities {
        &self.policy.activities
    }

    /// The site that a request is of, where codes are scoped to sites.
    pub(crate) fn site(&self, origin: &Origin) -> Option<&str> {
        if !self.policy.identity.scoped_to_site {
            return None;
        }
        let by_origin = |site: &&Site| {
            let sent = origin.site.as_deref().map(|sent| sent.trim_end_matches('/'));
            sent.is_some_and(|sent| site.origins.iter().any(|known| is_origin(known, sent)))
        };
        let by_key = |site: &&Site| origin.key.as_ref().is_some_and(|key| site.keys.contains(key));
        let sites = &self.policy.sites;
        let found = sites.iter().find(by_origin).or_else(|| sites.iter().find(by_key));
        found.map(|site| site.name.as_str())
    }

    /// What holds for a topic, as its clients call it.
    pub(crate) fn topic(&self, name: &str) -> &TopicRules {
        self.policy.topics.get(name).unwrap_or(&self.policy.other_topics)
    }
}

/// Scheme and host have no case (RFC 6454, 4).
fn is_origin(known: &str, sent: &str) -> bool {
    known.trim_end_matches('/').eq_ignore_ascii_case(sent)
}

/// The policies in force, of the instance and of projects that have their own.
#[derive(Default)]
pub(crate) struct Policies {
    instance: Arc<Compiled>,
    projects: HashMap<ProjectId, Arc<Compiled>>,
}

impl Policies {
    pub fn new(instance: Compiled, projects: HashMap<ProjectId, Compiled>) -> Policies {
        let projects = projects.into_iter().map(|(project, compiled)| (project, Arc::new(compiled)));
        Policies { instance: Arc::new(instance), projects: projects.collect() }
    }

    /// The policy of a project, and the epoch that its batches carry: never older than the instance's policy, so that
    /// one floor of all holds back nobody who has a policy of their own.
    pub fn of(&self, project: ProjectId) -> (Arc<Compiled>, PolicyEpoch) {
        let own = self.projects.get(&project).unwrap_or(&self.instance);
        (Arc::clone(own), own.epoch().max(self.instance.epoch()))
    }
}
