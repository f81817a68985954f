//! The tables of words beside each other and beside the register.

use std::collections::BTreeSet;

use super::say::named;
use super::words::Language;
use crate::keys::{self, Takes};

#[test]
fn the_languages_have_the_same_entries_that_name_the_same_keys() {
    let (en, de) = (Language::En.words().entries(), Language::De.words().entries());
    assert!(en.len() > 300, "the table is not read");
    let only = |one: &[(String, Vec<String>)], other: &[(String, Vec<String>)]| -> Vec<String> {
        let other: BTreeSet<_> = other.iter().collect();
        one.iter().filter(|entry| !other.contains(entry)).map(|(id, _)| id.clone()).collect()
    };
    assert_eq!(only(&en, &de), Vec::<String>::new(), "only in English, or with other places");
    assert_eq!(only(&de, &en), Vec::<String>::new(), "only in German, or with other places");
}

/// Every value of every key has a sentence, of its own or in another one; and no template is of a key that is not.
#[test]
fn every_key_is_said() {
    let texts = Language::En.words().texts();
    let said: BTreeSet<&str> = texts.keys().map(|id| id.split('#').next().unwrap_or_default()).collect();
    let inside: BTreeSet<String> = texts.values().flat_map(|text| named(text)).collect();
    let mut missing = Vec::new();
    for key in keys::all() {
        // Of a policy that is read they are gone: what they brought is in its place.
        if matches!(key.path, "extends" | "without") || key.takes.is_none() || inside.contains(key.path) {
            continue;
        }
        if !said.contains(key.path) {
            missing.push(key.path.to_owned());
        }
        if let (Some(Takes::Word(words)), false) = (key.takes, texts.contains_key(key.path)) {
            let open = words.iter().map(|word| format!("{}#{word}", key.path));
            missing.extend(open.filter(|id| !texts.contains_key(id)));
        }
    }
    assert_eq!(missing, Vec::<String>::new());
    let known: BTreeSet<&str> = keys::all().iter().map(|key| key.path).collect();
    let lists = ["recipient", "scrub.rule", "scrub.allow"];
    let unknown: Vec<_> = said.iter().filter(|id| !known.contains(*id) && !lists.contains(id)).collect();
    assert_eq!(unknown, Vec::<&&str>::new());
    let places: Vec<_> =
        inside.iter().filter(|id| !known.contains(id.as_str()) && *id != "value" && *id != "name").collect();
    assert_eq!(places, Vec::<&String>::new());
}

/// Words of the language are said in words, never as they are written in the file.
#[test]
fn every_word_of_a_list_has_its_phrase() {
    for language in Language::ALL {
        let words = language.words();
        for key in keys::all() {
            let Some(Takes::Words(list)) = key.takes else { continue };
            for word in list {
                let phrase = words.word(&format!("{}.{word}", key.path)).or_else(|| words.word(word));
                assert!(phrase.is_some(), "{language:?}: {word} of {}", key.path);
            }
        }
        for preset in crate::PRESETS {
            let policy = crate::read(preset.name, preset.text).map(|read| read.policy);
            let Ok(policy) = policy else { continue };
            for activity in &policy.activities {
                let terms =
                    activity.subjects.iter().chain(&activity.data_categories).chain(&activity.data_uses);
                for term in terms.chain(&activity.purpose).chain([&activity.legal_basis]) {
                    assert!(words.word(term).is_some(), "{language:?}: {term} of {}", preset.name);
                }
            }
        }
    }
}
