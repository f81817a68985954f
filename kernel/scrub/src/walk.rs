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
            let replacement = match above.meaning {
                Meaning::Secret(secrecy)
                    if scrubber.detects(Detector::SecretName) && scrubber.is_secret(text, secrecy) =>
                {
                    scrubber.replaced(text, Detector::SecretName, counts)
                }
                Meaning::Secret(_) => scrubber.scrub_text(text, above.key, Meaning::Ordinary, counts),
                meaning => scrubber.scrub_text(text, above.key, meaning, counts),
            };
            if let Some(replacement) = replacement {
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
    if let Meaning::Secret(secrecy) = above.meaning
        && secrecy.takes_numbers()
        && scrubber.detects(Detector::SecretName)
        && !is_amount(above.key, value)
    {
        return scrubber.replaced(&value.to_text(), Detector::SecretName, counts);
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

/// True for a number of tokens: `"tokens": 512` counts, `"token": 512` does not.
fn is_amount(key: Option<&str>, value: &Value) -> bool {
    let plural =
        key.is_some_and(|key| key.as_bytes().last().is_some_and(|byte| byte.eq_ignore_ascii_case(&b's')));
    plural && value.as_f64().is_some_and(|number| number.abs() < 1e9)
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

fn items(scrubber: &Scrubber, list: &mut [Value], above: Above<'_>, counts: &mut Counts) {
    // `rawHeaders` of Node: names and values by turns.
    let by_turns =
        above.key.is_some_and(|key| key.eq_ignore_ascii_case("rawheaders")) && list.len().is_multiple_of(2);
    // `["Cookie", "…"]`: a pair, as lists of headers, tags and parameters have them.
    let pair = list.len() == 2;
    let mut meaning = above.meaning;
    for (index, item) in list.iter_mut().enumerate() {
        let names_next = match item {
            Value::Str(text) if pair && index == 0 || by_turns && index % 2 == 0 => {
                names::meaning(text.as_bytes())
            }
            // `["--password", "…"]`: arguments of a command.
            Value::Str(text) if text.starts_with('-') && !text.contains('=') => {
                names::meaning(text.as_bytes())
            }
            _ => Meaning::Ordinary,
        };
        let own = if names_next == Meaning::Ordinary { meaning } else { above.meaning };
        walk(scrubber, item, Above { meaning: own, depth: above.depth + 1, ..above }, counts);
        meaning = if names_next == Meaning::Ordinary { above.meaning } else { names_next };
    }
}

fn members(scrubber: &Scrubber, object: &mut Object, above: Above<'_>, counts: &mut Counts) {
    let mut renamed = false;
    let named_value = pair_meaning(object);
    for (key, member) in &mut object.0 {
        let own = names::meaning(key.as_bytes());
        let own = match scrubber.scrub_key(key, counts) {
            Some(replacement) => {
                *key = replacement;
                renamed = true;
                if own == Meaning::Ordinary { names::meaning(key.as_bytes()) } else { own }
            }
            None => own,
        };
        let inherited = match above.meaning {
            Meaning::Secret(secrecy) if secrecy.takes_containers() => above.meaning,
            _ => Meaning::Ordinary,
        };
        let meaning = match (own, named_value) {
            (Meaning::Ordinary, Some(named)) if assignment::is_value_label(key.as_bytes()) => named,
            (Meaning::Ordinary, _) => inherited,
            // A weaker word does not take back what stands above it.
            (Meaning::Secret(Secrecy::Weak) | Meaning::Card | Meaning::Ssn, _)
                if inherited != Meaning::Ordinary =>
            {
                inherited
            }
            (own, _) => own,
        };
        walk(scrubber, member, Above { key: Some(key), meaning, depth: above.depth + 1 }, counts);
    }
    if renamed {
        keep_distinct(object);
    }
}

/// What the name in `{"name": "Cookie", "value": "…"}` says about the value.
fn pair_meaning(object: &Object) -> Option<Meaning> {
    let name = object.0.iter().find(|(key, _)| assignment::is_name_label(key.as_bytes()))?.1.as_str()?;
    match names::meaning(name.as_bytes()) {
        Meaning::Ordinary => None,
        meaning => Some(meaning),
    }
}

/// Numbers names that became equal when they were replaced, so that no member hides another.
fn keep_distinct(object: &mut Object) {
    let mut taken: HashSet<String> = object.0.iter().map(|(key, _)| key.clone()).collect();
    let mut seen: HashSet<String> = HashSet::new();
    let mut numbers: HashMap<String, usize> = HashMap::new();
    for (key, _) in &mut object.0 {
        let first = seen.insert(key.clone());
        if first || !Kind::ALL.iter().any(|kind| key.contains(kind.placeholder())) {
            continue;
        }
        let number = numbers.entry(key.clone()).or_insert(1);
        loop {
            *number += 1;
            let name = format!("{key}#{number}");
            if taken.insert(name.clone()) {
                *key = name;
                break;
            }
        }
    }
}
