//! Whether what is written has an effect: names that nothing bears, rules that never decide.

use std::collections::BTreeMap;

use candor_scrub::Detector;

use super::Look;
use crate::action::detectors;
use crate::keys::Vocabulary;
use crate::model::{Policy, Rule};
use crate::terms;

/// Longest name of a topic (Kafka).
const TOPIC_MAX: usize = 249;

/// What members of an organisation can be, where it is about persons. The last two are one.
const ROLES: [&str; 5] = ["operator", "viewer", "responder", "dpo", "privacy-officer"];

pub(super) fn look(look: &mut Look<'_>) {
    let policy = &look.resolved.policy;
    topics(look, policy);
    regions(look, policy);
    sites(look, policy);
    projects(look, policy);
    roles(look, policy);
    rules(look, policy);
    exceptions(look, policy);
}

/// True for what a topic of Kafka can be called.
pub(super) fn is_topic(name: &str) -> bool {
    let signs = name.bytes().all(|sign| sign.is_ascii_alphanumeric() || b"._-".contains(&sign));
    signs && !matches!(name, "" | "." | "..") && name.len() <= TOPIC_MAX
}

fn topics(look: &mut Look<'_>, policy: &Policy) {
    for topic in policy.collect.streams.keys().filter(|topic| *topic != "*" && !is_topic(topic)) {
        look.error(
            &format!("collect.streams.{topic}"),
            format!("no topic can be called {topic:?}"),
            "name one topic, or `*` for all others",
        );
    }
}

fn regions(look: &mut Look<'_>, policy: &Policy) {
    let named = |key: &str, regions: Vec<&String>| -> Vec<(String, String)> {
        let others = regions.into_iter().filter(|region| *region != "default");
        others.map(|region| (format!("{key}.{region}"), region.clone())).collect()
    };
    let modes = named("consent.mode", policy.consent.mode.keys().collect());
    for (key, region) in &modes {
        if region.contains('-') {
            look.error(key, "senders state countries, not parts of them", "name the country");
        }
    }
    for (key, region) in
        modes.iter().chain(&named("rights.deadline", policy.rights.deadline.keys().collect()))
    {
        if let Err((why, write)) = terms::check(Vocabulary::Region, region) {
            look.error(key, why, &write);
        }
    }
}

fn sites(look: &mut Look<'_>, policy: &Policy) {
    let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
    for site in &policy.sites {
        let key = format!("site.{}.origins", site.name);
        for origin in &site.origins {
            let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
            let is_origin = host.is_some_and(|host| {
                let host = host.trim_end_matches('/');
                !host.is_empty() && !host.contains(['/', '?', '#', '@', '*', ' '])
            });
            if !is_origin {
                look.error(
                    &key,
                    format!("{origin:?} is no origin: no page is of it"),
                    "write scheme and host alone, as in \"https://shop.example\"",
                );
            }
            if let Some(other) = seen.insert(origin, &site.name) {
                look.error(&key, format!("{origin} is one of {other} already"), "name each origin once");
            }
        }
    }
}

fn projects(look: &mut Look<'_>, policy: &Policy) {
    for name in policy.controller.role.keys().filter(|name| *name != "default") {
        if name.strip_prefix("project:").is_none_or(str::is_empty) {
            look.error(
                &format!("controller.role.{name}"),
                "no project is meant by that",
                "write `\"project:NAME\"` or `\"project:PREFIX/*\"`",
            );
        }
    }
}

/// Roles that nobody can be given: what is said of them is said of nobody.
fn roles(look: &mut Look<'_>, policy: &Policy) {
    for name in policy.governance.reads.roles.keys().filter(|name| !ROLES.contains(&name.as_str())) {
        look.warn(
            &format!("governance.reads.roles.{name}"),
            format!("nobody has the role {name:?}"),
            "name operator, viewer, responder or dpo",
        );
    }
}

/// What a rule looks for by name.
fn named(rule: &Rule) -> Vec<Detector> {
    rule.detect.iter().filter_map(|name| detectors(name)).flatten().collect()
}

/// Rules that never decide, as one before them does, everywhere.
fn rules(look: &mut Look<'_>, policy: &Policy) {
    let mut decided: Vec<(Detector, &str)> = Vec::new();
    for rule in &policy.scrub.rules {
        let own = named(rule);
        let before = |detector: &Detector| decided.iter().find(|(other, _)| other == detector);
        let earlier: Option<Vec<&str>> = own.iter().map(|one| before(one).map(|(_, id)| *id)).collect();
        let key = format!("scrub.rule.{}", rule.id);
        // That a file's rule leaves nothing to one of its preset is as it should be.
        if let Some(first) = earlier.as_ref().and_then(|earlier| earlier.first())
            && look.resolved.is_of_file(&format!("{key}.id"))
        {
            look.warn(
                &key,
                format!("it never strikes: `{first}` before it does, everywhere"),
                "put it before that one, or leave it out",
            );
        }
        if rule.at.trim() == "**" {
            decided.extend(own.into_iter().map(|detector| (detector, rule.id.as_str())));
        }
    }
}

/// Exceptions from nothing.
fn exceptions(look: &mut Look<'_>, policy: &Policy) {
    let looked_for: Vec<Detector> = policy.scrub.rules.iter().flat_map(named).collect();
    for allow in &policy.scrub.allow {
        for name in &allow.detect {
            let own = detectors(name).unwrap_or_default();
            if !own.is_empty() && !own.iter().any(|detector| looked_for.contains(detector)) {
                look.warn(
                    &format!("scrub.allow.{}.detect", allow.at),
                    format!("no rule looks for {name:?}: there is nothing to except"),
                    "leave it out",
                );
            }
        }
    }
}
