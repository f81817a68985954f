//! Sentences from templates: what a template names by `{…}` is what its sentence answers for.

use serde_json::Value as Json;

use super::find::{Instance, beside};
use super::words::Words;
use crate::keys::{self, Key, Takes};

/// A sentence's text, and the paths that it is made from.
pub(super) struct Said {
    pub(super) text: String,
    pub(super) paths: Vec<Vec<String>>,
}

/// The places that a template names.
#[cfg(test)]
pub(super) fn named(template: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = template;
    while let Some((_, after)) = rest.split_once('{') {
        let Some((name, next)) = after.split_once('}') else { break };
        found.push(name.trim_end_matches(":dative").to_owned());
        rest = next;
    }
    found
}

/// The sentence of a place; none where another one says it, or where there is nothing to say.
pub(super) fn say(policy: &Json, words: &Words, instance: &Instance<'_>) -> Option<Said> {
    if is_silent(policy, instance.key.path) {
        return None;
    }
    let path = instance.key.path;
    let special = words.text(&format!("{path}#{}", variant(policy, instance)));
    let template = match (special, instance.value) {
        (Some(template), _) => template,
        (None, Some(_)) => words.text(path)?,
        (None, None) => return None,
    };
    let mut said = Said { text: String::new(), paths: vec![instance.path.clone()] };
    // Which of the two templates of a rule holds is told by whether there is an expression.
    if path == "scrub.rule.[id].id" {
        let both = ["scrub.rule.[id].pattern", "scrub.rule.[id].detect"];
        said.paths.extend(both.iter().filter_map(|other| Some(beside(policy, &instance.path, other)?.0)));
    }
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((place, next)) = after.split_once('}') else { break };
        said.text.push_str(before);
        let (place, is_dative) = place.strip_suffix(":dative").map_or((place, false), |place| (place, true));
        match place {
            "value" => said.text.push_str(&show(words, instance.key, instance.value, is_dative)),
            "name" => {
                let name = instance.name().unwrap_or_default();
                // A topic may be called `metrics`: words of the language are regions and signals alone.
                let is_term = ["{region}", "{signal}"].iter().any(|free| path.ends_with(free));
                let term = words.name(name).or_else(|| words.word(name).filter(|_| is_term));
                said.text.push_str(&term.map_or_else(|| words.quoted(&plain(name)), str::to_owned));
            }
            pattern => {
                let (path, value) = beside(policy, &instance.path, pattern)?;
                let key = keys::of(&path)?;
                let text = match show(words, key, value, is_dative) {
                    text if text.is_empty() => plain(instance.name().unwrap_or_default()),
                    text => text,
                };
                said.text.push_str(&text);
                if !said.paths.contains(&path) {
                    said.paths.push(path);
                }
            }
        }
        rest = next;
    }
    said.text.push_str(rest);
    Some(said)
}

/// What is said of children where there is a least age, and the other way.
fn is_silent(policy: &Json, path: &str) -> bool {
    let has_age = || policy.pointer("/consent/children/min_age").and_then(Json::as_u64) != Some(0);
    match path {
        "consent.children.below" | "consent.children.parental_consent" => !has_age(),
        _ => false,
    }
}

fn variant(policy: &Json, instance: &Instance<'_>) -> String {
    if instance.key.path == "scrub.rule.[id].id" {
        let pattern = beside(policy, &instance.path, "scrub.rule.[id].pattern");
        return if pattern.is_some_and(|(_, value)| value.is_some()) { "pattern" } else { "" }.to_owned();
    }
    match (instance.key.takes, instance.value) {
        (_, None | Some(Json::Null)) => "absent".to_owned(),
        (Some(Takes::Word(_)), Some(Json::String(word))) => word.clone(),
        (_, Some(Json::Bool(is_so))) => if *is_so { "yes" } else { "no" }.to_owned(),
        (_, Some(Json::Array(items))) if items.is_empty() => "none".to_owned(),
        (Some(Takes::Int(..)), Some(number)) if number.as_i64() == Some(0) => "zero".to_owned(),
        (Some(Takes::Span), Some(Json::String(span))) => {
            let is_none = span.bytes().rev().skip(1).all(|digit| digit == b'0');
            if is_none { "zero" } else { "" }.to_owned()
        }
        _ => String::new(),
    }
}

/// A value in words.
fn show(words: &Words, key: &Key, value: Option<&Json>, is_dative: bool) -> String {
    match value {
        Some(Json::String(text)) => one(words, key, text, is_dative),
        Some(Json::Array(items)) if !items.is_empty() => {
            let items: Vec<String> =
                items.iter().filter_map(Json::as_str).map(|text| one(words, key, text, is_dative)).collect();
            // Reasons and choices are one or the other.
            let choices = ["rights.refuse_codes", "governance.transfer_of_control.choices"];
            words.list(&items, if choices.contains(&key.path) { "or" } else { "and" })
        }
        Some(Json::Number(number)) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => whole.to_string(),
            (None, Some(number)) => number.to_string(),
            (None, None) => String::new(),
        },
        _ => words.word(&format!("absent:{}", key.path)).unwrap_or_default().to_owned(),
    }
}

fn one(words: &Words, key: &Key, text: &str, is_dative: bool) -> String {
    let term = |term: &str| words.word(term).map(str::to_owned);
    let own = || term(&format!("{}.{text}", key.path)).or_else(|| term(text));
    let found = match (key.takes, key.path) {
        (Some(Takes::Span), _) => return words.span(text, is_dative),
        (Some(Takes::Word(_) | Takes::Words(_) | Takes::Term(_) | Takes::Terms(_)), _) => own(),
        (_, "activity.[id].signals") => own().or_else(|| {
            let stream = text.strip_prefix("stream:")?;
            Some(format!("{} {}", words.word("stream")?, words.quoted(&plain(stream))))
        }),
        (_, "activity.[id].title") => term(&format!("title:{text}")),
        (_, "residency.regions" | "residency.replicas" | "sharing.aggregates.to") => own(),
        (_, "scrub.rule.[id].detect" | "scrub.allow.[at].detect") => term(&format!("pick:{text}")),
        (_, "scrub.rule.[id].at" | "scrub.allow.[at].at") => {
            term(&format!("place:{text}")).or_else(|| Some(words.quoted(&plain(text))))
        }
        (_, "scrub.rule.[id].pattern" | "scrub.rule.[id].id" | "activity.[id].id" | "recipient.[id].id") => {
            Some(words.quoted(&plain(text)))
        }
        (_, "scrub.rule.[id].action") => {
            let (name, argument) = text.split_once(':').unwrap_or((text, ""));
            let argument = if name == "mask" && argument.is_empty() { "0" } else { argument };
            term(&format!("do:{name}")).map(|phrase| phrase.replace("{value}", &plain(argument)))
        }
        _ => None,
    };
    found.unwrap_or_else(|| plain(text))
}

/// A writer's text on one line, without what turns the direction of the text around it.
pub(super) fn plain(text: &str) -> String {
    let is_odd = |letter: char| {
        letter.is_control()
            || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|letter| if is_odd(letter) { ' ' } else { letter }).collect()
}
