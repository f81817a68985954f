//! Numbers: cards and the like that came without quotes.

use candor_model::Value;

use crate::Run;
use crate::detect::{issuer, ssn};
use crate::names::{self, Meaning};
use crate::plan::Tools;
use crate::rules::Detector;

/// What takes the place of a number; none where it stays.
pub(super) fn scrubbed(
    tools: Tools<'_>,
    value: &Value,
    key: Option<&str>,
    meaning: Meaning,
    run: &mut Run<'_>,
) -> Option<String> {
    let replacement = replacement(tools, value, key, meaning, run);
    if replacement.is_some() || !tools.plan.reads_numbers {
        return replacement;
    }
    tools.scrub_text(&value.to_text(), key, Meaning::Ordinary, run)
}

/// What takes the place of a number that is a secret, a card or a social security number.
fn replacement(
    tools: Tools<'_>,
    value: &Value,
    key: Option<&str>,
    meaning: Meaning,
    run: &mut Run<'_>,
) -> Option<String> {
    if let Meaning::Secret(secrecy) = meaning {
        let text = value.to_text();
        if tools.takes(&text, key, secrecy) {
            return tools.replaced(&text, Detector::SecretName, run);
        }
    }
    // The text that a double is stored as has its digits in other places.
    if matches!((value, meaning), (Value::Float(_), Meaning::Card | Meaning::Ssn)) {
        let text = value.to_text();
        if let Some(scrubbed) = tools.scrub_text(&text, key, meaning, run) {
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
    let named_card = meaning == Meaning::Card;
    let is_card = match digits.len() {
        0..issuer::DIGITS_MIN => false,
        _ if named_card => digits.len() <= issuer::DIGITS_MAX && issuer::passes_luhn(digits),
        // Decimal ids of 64 bits have 17 to 19 digits.
        17.. if key.is_some_and(|key| names::is_identifier(key.as_bytes())) => false,
        _ => issuer::is_card(digits),
    };
    if is_card && tools.detects(Detector::Card) {
        return tools.replaced(&value.to_text(), Detector::Card, run);
    }
    if meaning == Meaning::Ssn && tools.detects(Detector::SsnUs) {
        // Leading zeros of an area are lost in a number.
        let mut padded = [0u8; 9];
        let free = padded.len().checked_sub(digits.len())?;
        padded.get_mut(free..)?.copy_from_slice(digits);
        if digits.len() >= 7 && ssn::is_issued(&padded) {
            return tools.replaced(&value.to_text(), Detector::SsnUs, run);
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
