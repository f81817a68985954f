//! Values as trees: every text, number and key, with the name that each stands under.

use std::collections::{HashMap, HashSet};

use candor_model::{Object, Value};

use crate::detect::{assignment, issuer, ssn};
use crate::names::{self, Meaning, Secrecy};
use crate::rules::{Detector, Kind};
use crate::{Counts, Scrubber};

/// Deepest nesting that is walked. Listeners bound what they parse far below this; what is deeper is blanked.
const DEPTH_MAX: usize = 256;

/// What is known on the way down.
#[derive(Clone, Copy)]
struct Above<'a> {
    /// The nearest name.
    key: Option<&'a str>,
    /// What it means.
    meaning: Meaning,
    depth: usize,
}

/// Scrubs a value under a name.
pub(crate) fn value(scrubber: &Scrubber, value: &mut Value, key: Option<&str>, counts: &mut Counts) {
    let meaning = key.map_or(Meaning::Ordinary, |key| names::meaning(key.as_bytes()));
    walk(scrubber, value, Above { key, meaning, depth: 0 }, counts);
}

/// Scrubs members.
pub(crate) fn object(scrubber: &Scrubber, object: &mut Object, counts: &mut Counts) {
    members(scrubber, object, Above { key: None, meaning: Meaning::Ordinary, depth: 0 }, counts);
}

fn walk(scrubber: &Scrubber, value: &mut Value, above: Above<'_>, counts: &mut Counts) {
    if above.depth > DEPTH_MAX {
        *value = Value::from(Kind::Secret.placeholder());
        return;
    }
    match value {
        Value::Null | Value::Bool(_) => {}
        Value::Str(text) => {
            if let Some(replacement) = scrubber.scrub_named(text, above.key, above.meaning, counts) {
                *text = replacement;
            }
        }
        Value::Int(_) | Value::UInt(_) | Value::Float(_) | Value::BigInt(_) => {
            if let Some(replacement) = number(scrubber, value, above, counts) {
                *value = Value::Str(replacement);
            }
        }
        Value::Array(list) => items(scrubber, list, above, counts),
        Value::Object(object) => members(scrubber, object, above, counts),
    }
}

/// What takes the place of a number; none where it stays.
fn number(scrubber: &Scrubber, value: &Value, above: Above<'_>, counts: &mut Counts) -> Option<String> {
    if let Meaning::Secret(secrecy) = above.meaning {
        let text = value.to_text();
        if scrubber.takes(&text, above.key, secrecy) {
            return scrubber.replaced(&text, Detector::SecretName, counts);
        }
    }
    // The text that a double is stored as has its digits in other places.
    if matches!((value, above.meaning), (Value::Float(_), Meaning::Card | Meaning::Ssn)) {
        let text = value.to_text();
        if let Some(scrubbed) = scrubber.scrub_text(&text, above.key, above.meaning, counts) {
            return Some(scrubbed);
        }
    }
    let magnitude = match value {
        Value::Int(number) => number.unsigned_abs(),
        Value::UInt(number) => *number,
        // Beyond 2^53 a double no longer holds every digit, but what it prints as may still be a card.
        Value::Float(number) if number.fract() == 0.0 && number.abs() < 1e19 => number.abs() as u64,
        // What the parser keeps as text has 20 digits or more; a caller may hand in fewer.
        Value::BigInt(text) => text.trim_start_matches('-').parse().ok()?,
        _ => return None,
    };
    let mut buffer = [0u8; 20];
    let digits = decimal(magnitude, &mut buffer);
    let named_card = above.meaning == Meaning::Card;
    let is_card = match digits.len() {
        0..issuer::DIGITS_MIN => false,
        _ if named_card => digits.len() <= issuer::DIGITS_MAX && issuer::passes_luhn(digits),
        // Decimal ids of 64 bits have 17 to 19 digits.
        17.. if above.key.is_some_and(|key| names::is_identifier(key.as_bytes())) => false,
        _ => issuer::is_card(digits),
    };
    if is_card && scrubber.detects(Detector::Card) {
        return scrubber.replaced(&value.to_text(), Detector::Card, counts);
    }
    if above.meaning == Meaning::Ssn && scrubber.detects(Detector::SsnUs) {
        // Leading zeros of an area are lost in a number.
        let mut padded = [0u8; 9];
        let free = padded.len().checked_sub(digits.len())?;
        padded.get_mut(free..)?.copy_from_slice(digits);
        if digits.len() >= 7 && ssn::is_issued(&padded) {
            return scrubber.replaced(&value.to_text(), Detector::SsnUs, counts);
        }
    }
    None
}

/// The decimal digits of a number, as values 0 to 9.
fn decimal(mut number: u64, buffer: &mut [u8; 20]) -> &[u8] {
    let mut first = buffer.len();
    while number > 0 {
        first -= 1;
        if let Some(slot) = buffer.get_mut(first) {
            *slot = (number % 10) as u8;
        }
        number /= 10;
    }
    buffer.get(first..).unwrap_or_default()
}

/// What a name means as it came and as it stands once it is scrubbed itself: cutting a secret out of a name can make
/// another name of what is left, and the next one to scrub sees only that. What stands under the name is scrubbed by
/// the one and then by the other, so that scrubbing again finds nothing to do.
#[derive(Clone, Copy)]
struct Named {
    came: Meaning,
    stays: Meaning,
}

impl Named {
    const ORDINARY: Named = Named { came: Meaning::Ordinary, stays: Meaning::Ordinary };
}

/// How often an item of a list that names the next one is scrubbed until its own meaning stays.
const RENAMES_MAX: usize = 4;

fn items(scrubber: &Scrubber, list: &mut [Value], above: Above<'_>, counts: &mut Counts) {
    // `rawHeaders` of Node: names and values by turns.
    let by_turns =
        above.key.is_some_and(|key| key.eq_ignore_ascii_case("rawheaders")) && list.len().is_multiple_of(2);
    // `["Cookie", "…"]`: a pair, as lists of headers, tags and parameters have them.
    let pair = list.len() == 2;
    let mut before = Named::ORDINARY;
    for (index, item) in list.iter_mut().enumerate() {
        let is_name = pair && index == 0 || by_turns && index % 2 == 0;
        before = self::item(scrubber, item, is_name, before, above, counts);
    }
}

/// Scrubs an item of a list and says what it calls the next one. `before` is what the one before it calls this one.
fn item(
    scrubber: &Scrubber,
    item: &mut Value,
    is_name: bool,
    before: Named,
    above: Above<'_>,
    counts: &mut Counts,
) -> Named {
    let above = Above { depth: above.depth + 1, ..above };
    let came = meaning_as_item(item, is_name);
    let mut now = came;
    for _ in 0..RENAMES_MAX {
        // A name is not the value of the one before it.
        let named = if now == Meaning::Ordinary { before } else { Named::ORDINARY };
        under(scrubber, item, named, above, counts);
        let stays = meaning_as_item(item, is_name);
        if stays == now {
            return Named { came, stays };
        }
        now = stays;
    }
    // It keeps changing: nothing of it can be trusted.
    *item = Value::from(Kind::Secret.placeholder());
    Named { came, stays: Meaning::Ordinary }
}

/// What an item of a list calls the next one.
fn meaning_as_item(item: &Value, is_name: bool) -> Meaning {
    match item {
        Value::Str(text) if is_name => names::meaning(text.as_bytes()),
        // `["--password", "…"]`: arguments of a command.
        Value::Str(text) if text.starts_with('-') && !text.contains('=') => names::meaning(text.as_bytes()),
        _ => Meaning::Ordinary,
    }
}

/// Scrubs what stands under a name, or under what is above it where the name says nothing.
fn under(scrubber: &Scrubber, value: &mut Value, named: Named, above: Above<'_>, counts: &mut Counts) {
    let meaning = |own: Meaning| if own == Meaning::Ordinary { above.meaning } else { own };
    if named.came != named.stays {
        walk(scrubber, value, Above { meaning: meaning(named.came), ..above }, counts);
    }
    walk(scrubber, value, Above { meaning: meaning(named.stays), ..above }, counts);
}

fn members(scrubber: &Scrubber, object: &mut Object, above: Above<'_>, counts: &mut Counts) {
    let mut named_value = Named { came: pair_meaning(object), ..Named::ORDINARY };
    let came = scrub_keys(scrubber, object, counts);
    let inherited = match above.meaning {
        Meaning::Secret(secrecy) if secrecy.takes_containers() => above.meaning,
        _ => Meaning::Ordinary,
    };
    let meaning = |own: Meaning, named_value: Meaning, key: &str| match own {
        Meaning::Ordinary
            if named_value != Meaning::Ordinary && assignment::is_value_label(key.as_bytes()) =>
        {
            named_value
        }
        Meaning::Ordinary => inherited,
        // A weaker word does not take back what stands above it.
        Meaning::Secret(Secrecy::Weak) | Meaning::Card | Meaning::Ssn if inherited != Meaning::Ordinary => {
            inherited
        }
        own => own,
    };
    let depth = above.depth + 1;
    let mut came = came.into_iter().peekable();
    for (index, (key, member)) in object.0.iter_mut().enumerate() {
        let stays = names::meaning(key.as_bytes());
        let came = came.next_if(|(renamed, _)| *renamed == index).map_or(stays, |(_, came)| came);
        if came != stays {
            let meaning = meaning(came, named_value.came, key);
            walk(scrubber, member, Above { key: Some(key), meaning, depth }, counts);
        }
        let meaning = meaning(stays, named_value.came, key);
        walk(scrubber, member, Above { key: Some(key), meaning, depth }, counts);
    }
    named_value.stays = pair_meaning(object);
    if named_value.came == named_value.stays {
        return;
    }
    for (key, member) in &mut object.0 {
        if assignment::is_value_label(key.as_bytes()) {
            let meaning = meaning(names::meaning(key.as_bytes()), named_value.stays, key);
            walk(scrubber, member, Above { key: Some(key), meaning, depth }, counts);
        }
    }
}

/// Scrubs the names of members and keeps them distinct; gives what those that were replaced meant before.
fn scrub_keys(scrubber: &Scrubber, object: &mut Object, counts: &mut Counts) -> Vec<(usize, Meaning)> {
    let mut came = Vec::new();
    for (index, (key, _)) in object.0.iter_mut().enumerate() {
        if let Some(replacement) = scrubber.scrub_key(key, counts) {
            came.push((index, names::meaning(key.as_bytes())));
            *key = replacement;
        }
    }
    if !came.is_empty() {
        let renamed: Vec<usize> = came.iter().map(|(index, _)| *index).collect();
        keep_distinct(scrubber, object, &renamed);
    }
    came
}

/// Numbers names that became equal to others when they were replaced, so that no member hides another.
fn keep_distinct(scrubber: &Scrubber, object: &mut Object, renamed: &[usize]) {
    let mut all: HashSet<String> = object.0.iter().map(|(key, _)| key.clone()).collect();
    let others = object.0.iter().enumerate().filter(|(index, _)| renamed.binary_search(index).is_err());
    let mut held: HashSet<String> = others.map(|(_, (key, _))| key.clone()).collect();
    let mut numbers: HashMap<String, usize> = HashMap::new();
    for index in renamed {
        let Some((key, _)) = object.0.get_mut(*index) else { continue };
        if held.insert(key.clone()) {
            continue;
        }
        // Where the number would read as part of a secret, the name is given up whole.
        for stem in [key.clone(), Kind::Secret.placeholder().to_owned()] {
            let number = numbers.entry(stem.clone()).or_insert(1);
            let name = loop {
                *number += 1;
                let name = format!("{stem}#{number}");
                if !all.contains(&name) {
                    break name;
                }
            };
            if scrubber.scrub_key(&name, &mut Counts::new()).is_none() {
                all.insert(name.clone());
                *key = name;
                break;
            }
        }
    }
}

/// What the name in `{"name": "Cookie", "value": "…"}` says about the value.
fn pair_meaning(object: &Object) -> Meaning {
    let name = object.0.iter().find(|(key, _)| assignment::is_name_label(key.as_bytes()));
    name.and_then(|(_, name)| name.as_str()).map_or(Meaning::Ordinary, |name| names::meaning(name.as_bytes()))
}
