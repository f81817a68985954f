//! Rules beside each other: the first that holds at a place decides, so a rule also takes away what a later one would do.

use candor_scrub::Detector;

use super::ChangeClass;
use crate::action::detectors;
use crate::model::{Policy, Rule};

/// How much an action leaves: more is stricter. Those of one number cannot be told apart.
pub(super) fn strength(action: &str) -> u8 {
    match action.split(':').next().unwrap_or_default() {
        "alert" => 0,
        "mask" | "truncate" | "generalise" | "pseudonym" => 1,
        _ => 2,
    }
}

/// What a rule looks for; the whole text where it names nothing.
fn looks_for(rule: &Rule) -> Vec<Detector> {
    match rule.detect.is_empty() {
        true => vec![Detector::Whole],
        false => rule.detect.iter().filter_map(|name| detectors(name)).flatten().collect(),
    }
}

/// True where both decide over the same finds. A pattern is nobody else's.
fn meet(one: &[Detector], other: &[Detector]) -> bool {
    one.iter().any(|detector| other.contains(detector))
}

fn finds(rule: &Rule) -> Vec<Detector> {
    if rule.pattern.is_some() { Vec::new() } else { looks_for(rule) }
}

/// True where a rule stands before one that would do more with the same finds; those of `but` aside.
pub(super) fn hides_a_stricter(policy: &Policy, rule: &Rule, but: Option<&Rule>) -> bool {
    let aside = but.map(finds).unwrap_or_default();
    let own: Vec<Detector> = finds(rule).into_iter().filter(|detector| !aside.contains(detector)).collect();
    let behind = policy.scrub.rules.iter().skip_while(|other| other.id != rule.id).skip(1);
    behind
        .filter(|other| strength(&other.action) > strength(&rule.action))
        .any(|other| meet(&own, &finds(other)))
}

/// The order of the rules that both policies have, where it is another.
pub(super) fn order<'a>(
    old: &'a Policy,
    new: &'a Policy,
) -> Option<(ChangeClass, Vec<&'a str>, Vec<&'a str>)> {
    let has = |policy: &Policy, rule: &Rule| policy.scrub.rules.iter().any(|other| other.id == rule.id);
    let before: Vec<&Rule> = old.scrub.rules.iter().filter(|rule| has(new, rule)).collect();
    let after: Vec<&Rule> = new.scrub.rules.iter().filter(|rule| has(old, rule)).collect();
    let ids = |rules: &[&'a Rule]| -> Vec<&'a str> { rules.iter().map(|rule| rule.id.as_str()).collect() };
    let (old_ids, new_ids) = (ids(&before), ids(&after));
    if old_ids == new_ids {
        return None;
    }
    // The order of rules that never meet is of no matter.
    let place = |id: &str| new_ids.iter().position(|other| *other == id);
    let swaps = before.iter().enumerate().any(|(index, first)| {
        let finds_first = finds(first);
        let behind = before.iter().skip(index + 1);
        behind
            .filter(|second| place(&second.id) < place(&first.id))
            .any(|second| meet(&finds_first, &finds(second)))
    });
    let class = if swaps { ChangeClass::Mixed } else { ChangeClass::Neutral };
    Some((class, old_ids, new_ids))
}
