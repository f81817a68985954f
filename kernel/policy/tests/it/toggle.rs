//! Every key of the register, set to another value, changes the sentences that name it, and no other.

use std::collections::{BTreeMap, BTreeSet};

use candor_policy::keys::{self, Takes};
use candor_policy::notice::{Language, Notice, compile};
use candor_policy::{PRESETS, Policy, diff, read};
use serde_json::Value;

use crate::changes::{other, place};
use crate::files::{SHOP, WHOLE};

/// Keys without another value that a policy can have, and why.
const NOT_TOGGLED: &[(&str, &str)] = &[
    ("candor_policy", "there is one version of the language"),
    ("extends", "gone once a policy is read: what a preset brings is said by its own keys"),
    ("without", "gone once a policy is read"),
    ("site.[name].name", "names the item: another name is another item, which comes and goes as a whole"),
    ("activity.[id].id", "names the item"),
    ("scrub.rule.[id].id", "names the item"),
    ("scrub.allow.[at].at", "names the item"),
    ("recipient.[id].id", "names the item"),
    ("identity.pseudonym.alg", "takes one value"),
    ("identity.cross_domain", "takes one value"),
    ("scrub.on_error", "takes one value"),
    ("governance.changes.loosening_applies_to", "takes one value"),
    ("governance.telemetry.self", "takes one value"),
];

fn texts(notice: &Notice) -> BTreeMap<String, (String, Vec<String>)> {
    let pairs = notice.sentences().map(|one| (one.id.clone(), (one.text.clone(), one.keys.clone())));
    pairs.collect()
}

/// True for a key and what lies below it, and the other way.
fn meets(one: &str, other: &str) -> bool {
    let below = |inner: &str, outer: &str| inner == outer || inner.starts_with(&format!("{outer}."));
    below(one, other) || below(other, one)
}

/// The sentences that changed, and those that name a key that did.
fn changed(old: &Policy, new: &Policy, language: Language) -> (BTreeSet<String>, BTreeSet<String>) {
    let (before, after) = (texts(&compile(old, language)), texts(&compile(new, language)));
    let keys: Vec<String> = diff(old, new).into_iter().map(|change| change.key).collect();
    let ids: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let (mut differ, mut name) = (BTreeSet::new(), BTreeSet::new());
    for id in ids {
        let (old, new) = (before.get(id), after.get(id));
        if old.map(|(text, _)| text) != new.map(|(text, _)| text) {
            differ.insert(id.clone());
        }
        let own = old.into_iter().chain(new).flat_map(|(_, keys)| keys);
        if own.into_iter().any(|own| keys.iter().any(|key| meets(own, key))) {
            name.insert(id.clone());
        }
    }
    (differ, name)
}

/// Every preset, and files that have something of each section.
fn policies() -> Vec<(String, Policy)> {
    let presets = PRESETS.iter().map(|preset| {
        // The preset that leaves open how long records are kept takes a file that says so.
        let mut text = format!("candor_policy = 1\nextends = \"{}\"\n", preset.name);
        if preset.name == "preset:logflare" {
            for id in ["errors", "operations", "replay"] {
                text.push_str(&format!(
                    "[[activity]]\nid = \"{id}\"\nretention = {{ live = \"30d\", max_lag = \"24h\", backups = \"1d\", basis = \"fixed\" }}\n"
                ));
            }
        }
        (preset.name.to_owned(), text)
    });
    let files = [("shop".to_owned(), SHOP.to_owned()), ("whole".to_owned(), WHOLE.to_owned())];
    let read = presets.chain(files).map(|(name, text)| {
        let policy = read("policy.toml", &text).unwrap_or_else(|faults| panic!("{name}: {faults:?}")).policy;
        (name, policy)
    });
    read.collect()
}

#[test]
fn every_key_changes_the_sentences_that_name_it_and_no_other() {
    let skipped: BTreeMap<&str, &str> = NOT_TOGGLED.iter().copied().collect();
    let mut table: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mut wrong = Vec::new();
    for (name, policy) in policies() {
        let json = serde_json::to_value(&policy).expect("is JSON");
        for key in keys::all() {
            let Some(takes) = key.takes else { continue };
            if skipped.contains_key(key.path) {
                continue;
            }
            let mut json = json.clone();
            let Some(place) = place(&mut json, &key.path.split('.').collect::<Vec<_>>()) else { continue };
            let mut values: Vec<Value> = other(takes, place).into_iter().collect();
            if let Takes::Word(words) = takes {
                values = words.iter().map(|word| Value::from(*word)).filter(|word| word != place).collect();
            }
            let before = place.clone();
            for value in values {
                let mut json = json.clone();
                let segments: Vec<&str> = key.path.split('.').collect();
                *crate::changes::place(&mut json, &segments).expect("is there") = value.clone();
                let new: Policy =
                    serde_json::from_value(json).unwrap_or_else(|error| panic!("{}: {error}", key.path));
                for language in Language::ALL {
                    let (differ, named) = changed(&policy, &new, language);
                    if differ != named {
                        wrong.push(format!(
                            "{name} {language:?} {}: {before} to {value}: {differ:?}, but {named:?}",
                            key.path
                        ));
                    }
                    let row = table.entry(key.path).or_default();
                    if !differ.is_empty() && row.last() != Some(&name) {
                        row.push(name.clone());
                    }
                }
            }
        }
    }
    for key in keys::all().iter().filter(|key| key.takes.is_some()) {
        match (skipped.get(key.path), table.get(key.path)) {
            (Some(why), _) => println!("{:52} not toggled: {why}", key.path),
            (None, Some(policies)) => println!("{:52} changes its sentences in {}", key.path, policies.len()),
            (None, None) => println!("{:52} stands in none", key.path),
        }
    }
    assert_eq!(wrong, Vec::<String>::new(), "the sentences that change are not those that name the key");
    let silent: Vec<_> = keys::all()
        .iter()
        .filter(|key| key.takes.is_some() && !skipped.contains_key(key.path))
        .filter(|key| table.get(key.path).is_none_or(Vec::is_empty))
        .map(|key| key.path)
        .collect();
    assert_eq!(silent, Vec::<&str>::new(), "keys that change no sentence anywhere");
}

/// Items come and go with their sentences.
#[test]
fn items_change_the_sentences_that_name_them() {
    let all = policies();
    let (_, whole) = all.last().expect("there are some");
    for pointer in ["/activity", "/scrub/rule", "/scrub/allow", "/recipient", "/site"] {
        let mut json = serde_json::to_value(whole).expect("is JSON");
        let list = json.pointer_mut(pointer).and_then(Value::as_array_mut).expect("is a list");
        assert!(!list.is_empty(), "{pointer}");
        list.pop();
        let new: Policy = serde_json::from_value(json).expect("is a policy");
        for language in Language::ALL {
            for (old, new) in [(whole, &new), (&new, whole)] {
                let (differ, _) = changed(old, new, language);
                assert!(!differ.is_empty(), "{pointer}");
                let keys: Vec<String> = diff(old, new).into_iter().map(|change| change.key).collect();
                let list = pointer.trim_start_matches('/').replace('/', ".");
                for id in differ {
                    assert!(id == list || keys.iter().any(|key| meets(&id, key)), "{pointer}: {id} {keys:?}");
                }
            }
        }
    }
}
