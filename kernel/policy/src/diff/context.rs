//! What a value means beside the others of its policy: what holds where a key is not there, and who takes what another
//! lets go.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::{ChangeClass, class, rules};
use crate::flat::Path;
use crate::keys::{Key, Takes};
use crate::model::Policy;
use crate::terms;

/// One of two policies.
#[derive(Clone, Copy)]
pub(super) struct Side<'a> {
    policy: &'a Policy,
    leaves: &'a BTreeMap<Path, Json>,
}

impl<'a> Side<'a> {
    pub(super) fn new(policy: &'a Policy, leaves: &'a BTreeMap<Path, Json>) -> Side<'a> {
        Side { policy, leaves }
    }

    fn at(self, path: &[&str]) -> Option<Json> {
        let path: Path = path.iter().map(|name| (*name).to_owned()).collect();
        self.leaves.get(&path).cloned()
    }

    /// What holds at a path, also where the policy does not name it.
    fn holds(self, path: &[&str]) -> Option<Json> {
        let own = self.at(path);
        if own.is_some() {
            return own;
        }
        match path {
            ["consent", "mode", region] => self.mode_around(region),
            ["rights", "deadline", _] => self.at(&["rights", "deadline", "default"]),
            ["collect", "unknown_fields", _] => self.at(&["collect", "unknown_fields", "default"]),
            ["collect", "fields", _] => Some(Json::Array(Vec::new())),
            ["collect", "streams", _, leaf] => self.at(&["collect", "streams", "*", leaf]),
            _ => None,
        }
    }

    /// How people of a region are asked that has no entry: as strictly as in any that it lies in.
    fn mode_around(self, region: &str) -> Option<Json> {
        let around = terms::regions_around(region).into_iter();
        let named = around.filter_map(|region| self.policy.consent.mode.get(region));
        let strictest =
            named.min_by_key(|mode| ["opt_in", "opt_out"].iter().position(|one| one == mode).unwrap_or(2));
        strictest.or_else(|| self.policy.consent.mode.get("default")).map(|mode| Json::from(mode.as_str()))
    }
}

fn names(path: &Path) -> Vec<&str> {
    path.iter().map(String::as_str).collect()
}

/// Which way it goes that an item came or went, where that is not said by the kind of item alone.
pub(super) fn item(path: &Path, (old, new): (Side<'_>, Side<'_>), was: bool) -> Option<ChangeClass> {
    match names(path)[..] {
        // A topic without an entry is one like all others.
        ["collect", "streams", topic] => {
            let leaves = ["opaque", "values", "subject_key"].map(|leaf| {
                let path = ["collect", "streams", topic, leaf];
                let key = crate::keys::of(&path.map(str::to_owned))?;
                Some(class(key, key.takes?, old.holds(&path).as_ref(), new.holds(&path).as_ref()))
            });
            Some(together(leaves.into_iter().flatten()))
        }
        // What becomes of the signals of an activity that goes is for the one to say that has them then. At once, and
        // without that one, nothing of them would be kept.
        ["activity", id] if was => {
            let activity = old.policy.activities.iter().find(|activity| activity.id == id)?;
            let moves = activity.signals.iter().any(|signal| new.policy.activity(signal).is_some());
            moves.then_some(ChangeClass::Mixed)
        }
        ["scrub", "rule", id] => {
            let (policy, class) = match was {
                true => (old.policy, ChangeClass::Loosening),
                false => (new.policy, ChangeClass::Tightening),
            };
            let rule = policy.scrub.rules.iter().find(|rule| rule.id == id)?;
            Some(if rules::hides_a_stricter(policy, rule, None) { ChangeClass::Mixed } else { class })
        }
        _ => None,
    }
}

/// Which way a value goes.
pub(super) fn leaf(path: &Path, key: &Key, takes: Takes, (old, new): (Side<'_>, Side<'_>)) -> ChangeClass {
    let names = names(path);
    let class = class(key, takes, old.holds(&names).as_ref(), new.holds(&names).as_ref());
    match names[..] {
        ["activity", id, "signals"] if class == ChangeClass::Tightening => {
            let of = |policy: &Policy| {
                let own = policy.activities.iter().find(|activity| activity.id == id);
                own.map(|activity| activity.signals.clone()).unwrap_or_default()
            };
            let kept = of(new.policy);
            let moves = |signal: &String| !kept.contains(signal) && new.policy.activity(signal).is_some();
            if of(old.policy).iter().any(moves) { ChangeClass::Mixed } else { class }
        }
        // Who has no fields named gets records whole.
        ["recipient", _, "fields"] => {
            let is_whole = |side: Side<'_>| {
                side.holds(&names).as_ref().and_then(Json::as_array).is_none_or(|fields| fields.is_empty())
            };
            match (is_whole(old), is_whole(new)) {
                (true, false) => ChangeClass::Tightening,
                (false, true) => ChangeClass::Loosening,
                _ => class,
            }
        }
        ["scrub", "rule", id, "detect"] => {
            let of = |policy: &'_ Policy| policy.scrub.rules.iter().find(|rule| rule.id == id).cloned();
            let (Some(before), Some(after)) = (of(old.policy), of(new.policy)) else { return class };
            let (wider, narrower, policy) = match class {
                ChangeClass::Tightening => (after, before, new.policy),
                ChangeClass::Loosening => (before, after, old.policy),
                _ => return class,
            };
            match rules::hides_a_stricter(policy, &wider, Some(&narrower)) {
                true => ChangeClass::Mixed,
                false => class,
            }
        }
        ["scrub", "rule", _, "action"] => {
            let strength =
                |side: Side<'_>| side.holds(&names).as_ref().and_then(Json::as_str).map(rules::strength);
            match strength(new).cmp(&strength(old)) {
                std::cmp::Ordering::Greater => ChangeClass::Tightening,
                std::cmp::Ordering::Less => ChangeClass::Loosening,
                std::cmp::Ordering::Equal => ChangeClass::Mixed,
            }
        }
        // Another one is responsible. To name somebody for the first time takes nothing from anybody.
        ["controller", "name"] if old.holds(&names).is_some_and(|name| !name.is_null()) => ChangeClass::Mixed,
        _ => class,
    }
}

/// Several ways in one.
fn together(classes: impl Iterator<Item = ChangeClass>) -> ChangeClass {
    let moving = classes.filter(|class| *class != ChangeClass::Neutral);
    moving
        .reduce(|one, other| if one == other { one } else { ChangeClass::Mixed })
        .unwrap_or(ChangeClass::Neutral)
}
