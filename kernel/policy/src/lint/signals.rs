//! Whether what is promised can be done with the signals that there are.

use std::collections::BTreeMap;

use candor_scrub::{Detector, Selector};

use super::Look;
use crate::check::nearest;
use crate::model::Policy;

/// Signals that records come in as today.
const BUILT: &[&str] = &["logs", "errors", "spans"];

/// Signals that parse and do nothing yet.
const NOT_BUILT: &[&str] = &["metrics", "checks", "replays"];

/// The log keeps what the tables have for a day, unless it is told to keep less.
const LIVE_SECONDS_MIN: i64 = 86_400;

/// Bytes of ended files lie this long on the disk for readers that began before (an hour of history, and grace).
const LAG_SECONDS_MIN: i64 = 2 * 3600;

pub(super) fn look(look: &mut Look<'_>) {
    let policy = &look.resolved.policy;
    activities(look, policy);
    retention(look, policy);
    streams(look, policy);
    rules(look, policy);
}

fn activities(look: &mut Look<'_>, policy: &Policy) {
    let mut named: BTreeMap<&str, &str> = BTreeMap::new();
    for activity in &policy.activities {
        let key = format!("activity.{}.signals", activity.id);
        for signal in &activity.signals {
            let topic = signal.strip_prefix("stream:").is_some_and(|name| !name.is_empty());
            if !topic && !BUILT.contains(&signal.as_str()) && !NOT_BUILT.contains(&signal.as_str()) {
                let known: Vec<&str> = BUILT.iter().chain(NOT_BUILT).chain(&["stream:*"]).copied().collect();
                look.error(&key, format!("there is no signal {signal:?}"), &nearest(signal, &known));
            }
            if let Some(other) = named.insert(signal, &activity.id) {
                look.error(
                    &key,
                    format!("{signal} is in {other} already"),
                    "name each signal in one activity",
                );
            }
        }
        if activity.signals.is_empty() {
            look.error(&key, "it names no signal", "name one, or leave the activity out");
        }
        if activity.purpose.is_none() {
            look.warn(
                &key.replace(".signals", ".purpose"),
                "it does not say why",
                "write `purpose = \"dpv:ServiceProvision\"` or another",
            );
        }
        if activity.data_categories.is_empty() || activity.subjects.is_empty() {
            look.warn(
                &format!("activity.{}", activity.id),
                "it does not say what data of whom it is",
                "write `subjects` and `data_categories`",
            );
        }
    }
    for signal in BUILT {
        if policy.activity(signal).is_none() {
            look.error(
                "activity",
                format!("{signal} is in no activity: nothing of it would be kept"),
                "name it in the signals of one",
            );
        }
    }
    if policy.activity("stream:").is_none() {
        look.error(
            "activity",
            "topics without an entry are in no activity",
            "name `stream:*` in the signals of one",
        );
    }
}

fn retention(look: &mut Look<'_>, policy: &Policy) {
    for activity in &policy.activities {
        let key = |leaf: &str| format!("activity.{}.retention.{leaf}", activity.id);
        let retention = &activity.retention;
        let inert = activity.signals.iter().all(|signal| NOT_BUILT.contains(&signal.as_str()));
        if retention.live.seconds() < LIVE_SECONDS_MIN && !inert {
            look.error(
                &key("live"),
                format!(
                    "{} cannot be kept: the log holds what came for a day, for its readers",
                    retention.live
                ),
                "write at least \"1d\"",
            );
        }
        if retention.max_lag.seconds() < LAG_SECONDS_MIN && !inert {
            look.error(
                &key("max_lag"),
                format!(
                    "{} cannot be kept: an ended file is there for two hours, for readers that began before",
                    retention.max_lag
                ),
                "write at least \"2h\"",
            );
        }
        let promise = retention.live.seconds() + retention.max_lag.seconds();
        if retention.backups.seconds() > promise {
            look.error(
                &key("backups"),
                "copies outlive what they are copies of",
                "write at most `live` and `max_lag` together",
            );
        }
        if retention.basis == "account" {
            look.warn(
                &key("basis"),
                "Candor does not know when an account ends: `live` holds",
                "write \"fixed\"",
            );
        }
    }
}

fn streams(look: &mut Look<'_>, policy: &Policy) {
    for (topic, stream) in &policy.collect.streams {
        let key = format!("collect.streams.{topic}");
        if let Some(path) = &stream.subject_key
            && !path.strip_prefix("$.").is_some_and(|rest| rest.split('.').all(|name| !name.is_empty()))
        {
            look.error(
                &format!("{key}.subject_key"),
                format!("{path:?} is no path"),
                "write it as in `$.customer.id`",
            );
        }
        if topic == "*" && stream.subject_key.is_some() {
            look.error(
                &format!("{key}.subject_key"),
                "it holds for no topic in particular",
                "name the topic",
            );
        }
        if topic.starts_with("candor.") {
            look.error(&key, "topics of signals are not written by clients", "leave it out");
        }
        if stream.values.as_deref() == Some("opaque")
            && policy.stream(topic).opaque.as_deref() != Some("allow")
        {
            look.error(
                &format!("{key}.values"),
                "values that are never opened are refused here",
                "write `opaque = \"allow\"` beside it",
            );
        }
    }
    if policy.collect.streams.get("*").and_then(|stream| stream.opaque.as_ref()).is_none() {
        look.error(
            "collect.streams",
            "it does not say what becomes of topics without an entry",
            "write `\"*\" = { opaque = \"reject\" }`",
        );
    }
    for activity in &policy.activities {
        for topic in activity.signals.iter().filter_map(|signal| signal.strip_prefix("stream:")) {
            if topic != "*" && !super::effect::is_topic(topic) {
                look.error(
                    &format!("activity.{}.signals", activity.id),
                    format!("no topic can be called {topic:?}"),
                    "see Kafka's rules for names",
                );
            }
        }
    }
    for signal in policy.collect.fields.keys() {
        if !BUILT.contains(&signal.as_str()) {
            look.error(
                &format!("collect.fields.{signal}"),
                "it has no fields that could be declared",
                &nearest(signal, BUILT),
            );
        }
    }
}

fn rules(look: &mut Look<'_>, policy: &Policy) {
    let selector = |look: &mut Look<'_>, key: &str, at: &str| {
        if let Err(error) = Selector::parse(at) {
            look.error(
                key,
                format!("{at:?} is no selector: {error}"),
                "see `candor policy schema` for how places are written",
            );
        }
    };
    let detectors = |look: &mut Look<'_>, key: &str, names: &[String]| {
        for name in names {
            if crate::action::detectors(name).is_none() {
                let known: Vec<&str> = Detector::names().collect();
                look.error(key, format!("there is no detector {name:?}"), &nearest(name, &known));
            }
        }
    };
    for rule in &policy.scrub.rules {
        let key = |leaf: &str| format!("scrub.rule.{}.{leaf}", rule.id);
        selector(look, &key("at"), &rule.at);
        detectors(look, &key("detect"), &rule.detect);
        if rule.pattern.is_some() && !rule.detect.is_empty() {
            look.error(&key("pattern"), "it has detectors beside", "write two rules");
        }
        if let Err(why) = crate::action::parse(&rule.action) {
            look.error(&key("action"), why, crate::action::EXPECTED);
        }
    }
    // What no part alone is to blame for: too many rules, a replacement that would be struck itself.
    if let Err(why) = policy
        .scrub_rules()
        .and_then(|rules| candor_scrub::Scrubber::new(rules).map_err(|error| error.to_string()))
    {
        look.error("scrub", why, "change the rule that is named");
    }
    for allow in &policy.scrub.allow {
        selector(look, &format!("scrub.allow.{}.at", allow.at), &allow.at);
        detectors(look, &format!("scrub.allow.{}.detect", allow.at), &allow.detect);
    }
}
