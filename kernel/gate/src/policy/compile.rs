//! A policy of the policy language becomes the gate's own.
//!
//! What the language's own lint refuses is refused here, too: a word that the gate does not know never means "keep".

use std::collections::BTreeMap;

use candor_model::{PolicyEpoch, Signal, SubjectKind};
use candor_scrub::RuleError;

use super::{
    Activities, Activity, AddressRule, AgentRule, BySignal, Collect, Compiled, ConsentRules, DeviceRule,
    IdentityRules, LocationRule, Mode, Policy, Site, Switches, TooYoung, TopicRules, UnknownFields,
};
use crate::ValuesMode;

/// Why a policy cannot be cleared by.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    /// A key says something that the gate does not know.
    #[error("{key} says {word:?}, which the gate does not know")]
    Word {
        /// The key.
        key: &'static str,
        /// What it says.
        word: String,
    },
    /// The rules of `[scrub]` cannot be read.
    #[error("scrub: {0}")]
    Scrub(String),
    /// The rules of `[scrub]` do not fit together.
    #[error("scrub: {0}")]
    Rules(#[from] RuleError),
}

/// Compiles a policy; batches carry `epoch`.
pub fn compile(policy: &candor_policy::Policy, epoch: PolicyEpoch) -> Result<Compiled, CompileError> {
    // There is no other.
    word("scrub.on_error", &policy.scrub.on_error, &[("drop_event", ())])?;
    let children = &policy.consent.children;
    let topics = policy.collect.streams.keys().filter(|name| *name != "*");
    let topics = topics.map(|name| Ok((name.clone(), topic(&policy.stream(name))?)));
    // No topic has such a name, so this gives what holds for all that have no entry.
    let other_topics = topic(&policy.stream(""))?;
    let compiled = Compiled::new(Policy {
        epoch,
        rules: policy.scrub_rules().map_err(CompileError::Scrub)?,
        activities: activities(policy),
        consent: consent(&policy.consent)?,
        too_young: word(
            "consent.children.below",
            &children.below,
            &[("erase", TooYoung::Erased), ("drop", TooYoung::Dropped), ("keep", TooYoung::Kept)],
        )?,
        min_age: (children.min_age > 0).then_some(u32::from(children.min_age)),
        parents_may_consent: children.parental_consent,
        collect: collect(policy)?,
        identity: identity(&policy.identity)?,
        sites: policy.sites.iter().map(site).collect(),
        topics: topics.collect::<Result<BTreeMap<_, _>, CompileError>>()?,
        other_topics,
    })?;
    Ok(compiled)
}

/// What a word stands for.
fn word<T: Copy>(key: &'static str, word: &str, known: &[(&str, T)]) -> Result<T, CompileError> {
    let found = known.iter().find(|(name, _)| *name == word).map(|(_, value)| *value);
    found.ok_or_else(|| CompileError::Word { key, word: word.to_owned() })
}

fn activities(policy: &candor_policy::Policy) -> Activities {
    let of = |signal: &str| {
        let activity = policy.activity(signal)?;
        let live_us = Some(activity.retention.live.micros());
        Some(Activity { rests_on_consent: activity.rests_on_consent(), live_us })
    };
    let named = policy.activities.iter().flat_map(|activity| &activity.signals);
    let topics = named.filter_map(|signal| signal.strip_prefix("stream:")).filter(|name| *name != "*");
    Activities {
        logs: of(Signal::Logs.name()),
        errors: of(Signal::Errors.name()),
        spans: of(Signal::Spans.name()),
        topics: topics.filter_map(|name| Some((name.to_owned(), of(&format!("stream:{name}"))?))).collect(),
        other_topics: of("stream:*"),
    }
}

fn consent(consent: &candor_policy::Consent) -> Result<ConsentRules, CompileError> {
    let modes = [("opt_in", Mode::OptIn), ("opt_out", Mode::OptOut), ("implied", Mode::NotAsked)];
    let mut rules = ConsentRules {
        // Where nothing is said people are asked.
        mode: Mode::OptIn,
        regions: Vec::new(),
        anonymous_without_cookies: word(
            "consent.no_cookie",
            &consent.no_cookie,
            &[("anonymous", true), ("identified", false)],
        )?,
        gpc: switches("consent.signals.gpc", &consent.signals.gpc)?,
        dnt: switches("consent.signals.dnt", &consent.signals.dnt)?,
        signals_beat_consent: consent.signals.beats_stored_consent,
    };
    for (region, mode) in &consent.mode {
        let mode = word("consent.mode", mode, &modes)?;
        match region.as_str() {
            "default" => rules.mode = mode,
            region => rules.regions.push((region.to_owned(), mode)),
        }
    }
    Ok(rules)
}

fn switches(key: &'static str, words: &[String]) -> Result<Switches, CompileError> {
    let mut switches = Switches::default();
    for switch in words {
        match switch.as_str() {
            "no_share" => switches.no_share = true,
            "no_id" => switches.no_id = true,
            "no_replay" => switches.no_replay = true,
            other => return Err(CompileError::Word { key, word: other.to_owned() }),
        }
    }
    Ok(switches)
}

fn collect(policy: &candor_policy::Policy) -> Result<Collect, CompileError> {
    let collect = &policy.collect;
    let unknown = |of: &str| {
        let words = [("scrub", UnknownFields::Scrub), ("drop", UnknownFields::Drop)];
        word("collect.unknown_fields", policy.unknown_fields(of), &words)
    };
    let fields = |signal: Signal| collect.fields.get(signal.name()).cloned().unwrap_or_default();
    let (v4, v6) = (collect.ip.v4, collect.ip.v6);
    let address = word(
        "collect.ip.action",
        &collect.ip.action,
        &[
            ("drop", AddressRule::Drop),
            ("generalise", AddressRule::Generalise { v4, v6 }),
            ("vault", AddressRule::Keep),
        ],
    )?;
    let joins = word(
        "identity.technical_to_identity",
        &policy.identity.technical_to_identity,
        &[("forbid", false), ("allow", true)],
    )?;
    for derived in &collect.ip.derive {
        word("collect.ip.derive", derived, &[("country", ())])?;
    }
    Ok(Collect {
        unknown: BySignal {
            logs: unknown(Signal::Logs.name())?,
            errors: unknown(Signal::Errors.name())?,
            spans: unknown(Signal::Spans.name())?,
        },
        fields: BySignal {
            logs: fields(Signal::Logs),
            errors: fields(Signal::Errors),
            spans: fields(Signal::Spans),
        },
        user_traits: unknown("user_traits")?,
        // In the vault an address lies under its person's key: that joins the two.
        address: if address == AddressRule::Keep && !joins { AddressRule::Drop } else { address },
        derives_country: !collect.ip.derive.is_empty(),
        agent: word(
            "collect.user_agent",
            &collect.user_agent,
            &[("drop", AgentRule::Drop), ("family_only", AgentRule::FamilyOnly), ("keep", AgentRule::Keep)],
        )?,
        location: word(
            "collect.location",
            &collect.location,
            &[
                ("drop", LocationRule::Drop),
                ("country", LocationRule::Country),
                ("coarse", LocationRule::OneDecimal),
                ("keep", LocationRule::Keep),
            ],
        )?,
        device_ids: word(
            "collect.device_ids",
            &collect.device_ids,
            &[("drop", DeviceRule::Drop), ("pseudonym", DeviceRule::Pseudonym), ("keep", DeviceRule::Keep)],
        )?,
    })
}

fn identity(identity: &candor_policy::Identity) -> Result<IdentityRules, CompileError> {
    let mut rules = IdentityRules {
        kinds: Vec::new(),
        names: Vec::new(),
        scoped_to_site: word(
            "identity.pseudonym.scope",
            &identity.pseudonym.scope,
            &[("site", true), ("project", false)],
        )?,
        keeps_values: word(
            "identity.pseudonym.vault",
            &identity.pseudonym.vault,
            &[("per_subject_key", true), ("none", false)],
        )?,
    };
    word("identity.pseudonym.alg", &identity.pseudonym.alg, &[("hmac-sha256", ())])?;
    for key in &identity.keys {
        match key.as_str() {
            "user.id" => rules.kinds.push(SubjectKind::User),
            "user.email" => rules.kinds.push(SubjectKind::Email),
            "user.name" => rules.kinds.push(SubjectKind::Name),
            "device.id" => rules.kinds.push(SubjectKind::Device),
            "session.id" => rules.kinds.push(SubjectKind::Session),
            "replay.id" => rules.kinds.push(SubjectKind::Replay),
            own => rules.names.push(own.to_owned()),
        }
    }
    Ok(rules)
}

fn site(site: &candor_policy::Site) -> Site {
    Site { name: site.name.clone(), origins: site.origins.clone(), keys: Vec::new() }
}

fn topic(stream: &candor_policy::Stream) -> Result<TopicRules, CompileError> {
    // What nobody says is refused, and opened as far as it can be.
    let opaque = stream.opaque.as_deref().unwrap_or("reject");
    let values = stream.values.as_deref().unwrap_or("auto");
    let unknown = || CompileError::Word { key: "collect.streams.values", word: values.to_owned() };
    Ok(TopicRules {
        values: ValuesMode::from_name(values).ok_or_else(unknown)?,
        takes_opaque: word("collect.streams.opaque", opaque, &[("allow", true), ("reject", false)])?,
        subject_key: stream.subject_key.as_ref().map(|key| key.trim_start_matches("$.").to_owned()),
        fields: None,
    })
}
